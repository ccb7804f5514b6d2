//! The replay rules written as plainly as can be: a map of paths, everything recomputed from scratch. Too slow for a
//! server, which is the point: it is the model that recovery and the real tree are compared with in tests.

use std::collections::{BTreeMap, BTreeSet};

use super::restore::{NodeRefused, Restore, SnapshotNode};
use crate::jute::Encode;
use crate::proto::acl::Acl;
use crate::proto::records::StatPersisted;
use crate::proto::txn::{CreateKind, CreateTxn, Txn, TxnDigest, TxnHeader, TxnRecord};
use crate::proto::{OpCode, Zxid};

const CONTAINER: i64 = i64::MIN;
const TTL: i64 = 0xffu64.cast_signed() << 56;
const QUOTA: &str = "/zookeeper/quota";

/// A znode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub data: Option<Vec<u8>>,
    /// `None` while the list is not known.
    pub acl: Option<Vec<Acl>>,
    pub stat: StatPersisted,
}

/// The model.
#[derive(Default)]
pub(crate) struct NaiveTree {
    /// By path; the root is the empty one.
    pub nodes: BTreeMap<String, Node>,
    /// Children that were ever recorded and not removed, by parent: a delete of a missing node takes its name out too.
    pub children: BTreeMap<String, BTreeSet<String>>,
    pub sessions: BTreeMap<i64, i32>,
    /// Digests that did not agree.
    pub mismatches: u64,
    /// Compare digests only each so many transactions.
    pub compare_every: i64,
    /// A TTL mark in the owner means a TTL node (`extendedTypesEnabled`).
    pub extended_types: bool,
    acls: BTreeMap<i64, Vec<Acl>>,
    ephemerals: BTreeMap<i64, BTreeSet<String>>,
    quotas: BTreeSet<String>,
    pending: Option<(Zxid, TxnDigest)>,
}

fn parent_and_name(path: &str) -> (String, String) {
    let (parent, name) = path.rsplit_once('/').unwrap();
    (parent.to_owned(), name.to_owned())
}

/// The tree calls its root by the empty path, clients and transactions by `/`.
fn key(path: &str) -> &str {
    if path == "/" { "" } else { path }
}

fn length(data: Option<&[u8]>) -> i64 {
    data.map_or(0, |data| data.len() as i64)
}

impl NaiveTree {
    pub(crate) fn new(compare_every: i64) -> Self {
        let mut tree = NaiveTree { compare_every, extended_types: true, ..NaiveTree::default() };
        tree.clear();
        tree
    }

    /// The ephemerals of each session that has some.
    pub(crate) fn ephemerals(&self) -> BTreeMap<i64, BTreeSet<String>> {
        self.ephemerals.iter().filter(|(_, paths)| !paths.is_empty()).map(|(id, paths)| (*id, paths.clone())).collect()
    }

    pub(crate) fn is_ttl(&self, owner: i64) -> bool {
        self.extended_types && (owner >> 56) & 0xff == 0xff
    }

    /// The digest of the whole tree, from scratch.
    pub(crate) fn digest(&self) -> u64 {
        let counted = self.nodes.iter().filter(|(path, _)| !path.starts_with("/zookeeper/"));
        counted.fold(0, |sum, (path, node)| {
            let stat = &node.stat;
            let mut bytes = path.as_bytes().to_vec();
            bytes.extend_from_slice(node.data.as_deref().unwrap_or_default());
            for number in [stat.czxid, stat.mzxid, stat.pzxid, stat.ctime, stat.mtime] {
                number.encode(&mut bytes);
            }
            for number in [stat.version, stat.cversion, stat.aversion] {
                number.encode(&mut bytes);
            }
            stat.ephemeral_owner.encode(&mut bytes);
            u64::wrapping_add(sum, u64::from(crc32fast::hash(&bytes)))
        })
    }

    fn new_node(data: Option<&[u8]>, acl: Vec<Acl>, zxid: i64, time_ms: i64, owner: i64) -> Node {
        let stat = StatPersisted {
            czxid: zxid,
            mzxid: zxid,
            ctime: time_ms,
            mtime: time_ms,
            ephemeral_owner: owner,
            pzxid: zxid,
            ..StatPersisted::default()
        };
        Node { data: data.map(<[u8]>::to_vec), acl: Some(acl), stat }
    }

    fn insert(&mut self, path: &str, node: Node) {
        let owner = node.stat.ephemeral_owner;
        if owner != 0 && owner != CONTAINER && !self.is_ttl(owner) {
            self.ephemerals.entry(owner).or_default().insert(path.to_owned());
        }
        if !path.is_empty() {
            let (parent, name) = parent_and_name(path);
            self.children.entry(parent).or_default().insert(name);
        }
        self.children.entry(path.to_owned()).or_default();
        self.nodes.insert(path.to_owned(), node);
    }

    fn create(&mut self, header: &TxnHeader, op: OpCode, txn: &CreateTxn<'_>) {
        let path = txn.path.as_deref().unwrap();
        let (parent, name) = parent_and_name(path);
        let Some(parent_node) = self.nodes.get(&parent) else { return };
        let (old, zxid) = (parent_node.stat.cversion, header.zxid);
        let cversion = if txn.parent_cversion == -1 { old.wrapping_add(1) } else { txn.parent_cversion };
        let acl = txn.acl.clone().unwrap_or_else(Acl::open_unsafe);
        let exists = match self.nodes.get_mut(path) {
            Some(node) => {
                node.acl = Some(acl.clone());
                true
            }
            None => false,
        };
        if cversion > old && (!exists || op == OpCode::CREATE) {
            let stat = &mut self.nodes.get_mut(&parent).unwrap().stat;
            (stat.cversion, stat.pzxid) = (cversion, zxid);
        }
        if exists {
            return;
        }
        let owner = match txn.kind {
            CreateKind::Persistent => 0,
            CreateKind::Ephemeral => header.client_id,
            CreateKind::Container => CONTAINER,
            CreateKind::Ttl(ttl_ms) => TTL | ttl_ms,
        };
        self.insert(path, Self::new_node(txn.data, acl, zxid, header.time_ms, owner));
        if let Some(of) = parent.strip_prefix(QUOTA) {
            match name.as_str() {
                "zookeeper_limits" => drop(self.quotas.insert(of.to_owned())),
                "zookeeper_stats" => self.recount(of),
                _ => {}
            }
        }
        self.count(path, 1, length(txn.data));
    }

    fn delete(&mut self, path: &str, zxid: i64) {
        let (parent, name) = parent_and_name(path);
        let Some(parent_node) = self.nodes.get_mut(&parent) else { return };
        parent_node.stat.pzxid = parent_node.stat.pzxid.max(zxid);
        self.children.entry(parent.clone()).or_default().remove(&name);
        let Some(node) = self.nodes.remove(path) else { return };
        self.children.remove(path);
        if let Some(paths) = self.ephemerals.get_mut(&node.stat.ephemeral_owner) {
            paths.remove(path);
        }
        if let Some(of) = parent.strip_prefix(QUOTA)
            && name == "zookeeper_limits"
        {
            self.quotas.remove(of);
        }
        self.count(path, -1, -length(node.data.as_deref()));
    }

    /// The quota that covers a path: the longest.
    fn quota_of(&self, path: &str) -> Option<String> {
        let covers = |quota: &&String| path == quota.as_str() || path.starts_with(&format!("{quota}/"));
        self.quotas.iter().filter(covers).max_by_key(|quota| quota.len()).cloned()
    }

    fn count(&mut self, path: &str, nodes: i64, bytes: i64) {
        let Some(stats) =
            self.quota_of(path).and_then(|of| self.nodes.get_mut(&format!("{QUOTA}{of}/zookeeper_stats")))
        else {
            return;
        };
        let text = String::from_utf8(stats.data.clone().unwrap()).unwrap();
        let value = |name: &str| -> i64 {
            let field = text.split([',', ';']).find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
            field.map_or(-1, |value| value.parse().unwrap())
        };
        let text = format!("count={},bytes={}", value("count") + nodes, value("bytes") + bytes);
        stats.data = Some(text.into_bytes());
    }

    fn recount(&mut self, of: &str) {
        let below = format!("{of}/");
        let covered = self.nodes.iter().filter(|(path, _)| *path == of || path.starts_with(&below));
        let (nodes, bytes) =
            covered.fold((0, 0), |(nodes, bytes), (_, node)| (nodes + 1, bytes + length(node.data.as_deref())));
        if let Some(stats) = self.nodes.get_mut(&format!("{QUOTA}{of}/zookeeper_stats")) {
            stats.data = Some(format!("count={nodes},bytes={bytes}").into_bytes());
        }
    }

    fn apply(&mut self, header: &TxnHeader, op: OpCode, txn: &Txn<'_>) {
        let zxid = header.zxid;
        match txn {
            Txn::Create(create) => self.create(header, op, create),
            Txn::Delete { path } => self.delete(path.as_deref().unwrap(), zxid),
            Txn::SetData { path, data, version } => {
                let path = path.as_deref().unwrap();
                let Some(node) = self.nodes.get_mut(key(path)) else { return };
                let grown = length(*data) - length(node.data.as_deref());
                node.data = data.map(<[u8]>::to_vec);
                (node.stat.mtime, node.stat.mzxid, node.stat.version) = (header.time_ms, zxid, *version);
                self.count(path, 0, grown);
            }
            Txn::SetAcl { path, acl, version } => {
                let Some(node) = self.nodes.get_mut(key(path.as_deref().unwrap())) else { return };
                node.acl = Some(acl.clone().unwrap_or_else(Acl::open_unsafe));
                node.stat.aversion = *version;
            }
            Txn::CreateSession { timeout_ms } => drop(self.sessions.insert(header.client_id, *timeout_ms)),
            Txn::CloseSession { paths } => {
                self.sessions.remove(&header.client_id);
                let owned = self.ephemerals.remove(&header.client_id).unwrap_or_default();
                for path in paths.iter().flatten().flatten() {
                    self.delete(path, zxid);
                }
                owned
                    .iter()
                    .filter(|path| self.nodes.contains_key(*path))
                    .cloned()
                    .collect::<Vec<_>>()
                    .iter()
                    .for_each(|path| {
                        if !paths.iter().flatten().flatten().any(|gone| gone == path) {
                            self.delete(path, zxid);
                        }
                    });
            }
            Txn::Error { .. } | Txn::Check { .. } => {}
            Txn::Multi(items) => {
                if items.iter().all(|(op, _)| *op != OpCode::ERROR) {
                    items.iter().for_each(|(op, item)| self.apply(header, *op, item));
                }
            }
        }
    }

    fn compare(&mut self, digest: TxnDigest) {
        self.mismatches += u64::from(digest.tree_digest.cast_unsigned() != self.digest());
    }
}

impl Restore for NaiveTree {
    fn clear(&mut self) {
        *self = NaiveTree {
            compare_every: self.compare_every,
            extended_types: self.extended_types,
            ..NaiveTree::default()
        };
        for path in ["", "/zookeeper", QUOTA, "/zookeeper/config"] {
            self.insert(path, Self::new_node(Some(b""), Acl::open_unsafe(), 0, 0, 0));
        }
        let config = self.nodes.get_mut("/zookeeper/config").unwrap();
        config.acl = Some(vec![Acl::new(1, "world", "anyone")]);
        config.stat.aversion = -1;
    }

    fn session(&mut self, id: i64, timeout_ms: i32) {
        self.sessions.insert(id, timeout_ms);
    }

    fn acl(&mut self, key: i64, acl: Vec<Acl>) {
        self.acls.insert(key, acl);
    }

    fn node(&mut self, node: SnapshotNode<'_>) -> Result<(), NodeRefused> {
        if node.path.is_empty() {
            self.nodes.clear();
            self.children.clear();
        } else {
            let parent = node.path.rsplit_once('/').map(|(parent, _)| parent);
            if !parent.is_some_and(|parent| self.nodes.contains_key(parent)) {
                return Err(NodeRefused(format!("{} has no parent", node.path)));
            }
        }
        let acl = if node.acl_key == -1 { Some(Acl::open_unsafe()) } else { self.acls.get(&node.acl_key).cloned() };
        self.insert(node.path, Node { data: node.data.map(<[u8]>::to_vec), acl, stat: node.stat });
        Ok(())
    }

    fn snapshot_done(&mut self, zxid: Zxid, digest: Option<(Zxid, TxnDigest)>, _last_zxid: Option<Zxid>) {
        let quotas: Vec<_> = self
            .nodes
            .keys()
            .filter_map(|path| Some(path.strip_prefix(QUOTA)?.strip_suffix("/zookeeper_limits")?.to_owned()))
            .collect();
        quotas.iter().for_each(|of| self.recount(of));
        self.quotas.extend(quotas);
        // The section of an epoch's first snapshot names a zxid before the one of the file.
        self.pending = digest.filter(|(at, _)| at.0 > 0 && *at >= zxid);
        if let Some((at, digest)) = self.pending
            && at == zxid
        {
            self.compare(digest);
            self.pending = None;
        }
    }

    fn replay(&mut self, record: &TxnRecord<'_>, body: &[u8]) {
        let mut again = Vec::new();
        record.encode(&mut again);
        assert_eq!(again.len(), body.len(), "what is handed over is the record itself");
        self.apply(&record.header, OpCode(record.header.op), &record.txn);
        if let Some((at, digest)) = self.pending {
            if record.header.zxid() != at {
                return;
            }
            self.compare(digest);
            self.pending = None;
        }
        if let Some(digest) = record.digest
            && record.header.zxid % self.compare_every == 0
        {
            self.compare(digest);
        }
    }
}
