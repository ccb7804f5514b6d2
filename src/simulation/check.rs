//! What must hold: the order of everything that was committed, as the simulator has seen it, against what servers do and what
//! clients are told. The names I1 to I9 and D1 to D14 are those of the list of invariants.

use crate::config::Ensemble;
use crate::membership::parse;
use crate::proto::acl::Acl;
use crate::proto::path::CONFIG;
use crate::proto::txn::{CreateKind, Txn, TxnRecord};
use crate::proto::{ErrorCode, OpCode, Zxid};
use crate::tree::{OwnerRules, Tree, Walk};
use crate::zab::Voters;
use bytes::Bytes;
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// A transaction that was committed.
#[derive(Debug, Clone)]
pub struct Committed {
    pub zxid: Zxid,
    pub record: Bytes,
    /// Of the tree afterwards.
    pub digest: u64,
}

/// What a client wants to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    Create {
        path: String,
        data: Bytes,
        ephemeral: bool,
    },
    Set {
        path: String,
        data: Bytes,
        version: i32,
    },
    Delete {
        path: String,
        version: i32,
    },
    SetAcl {
        path: String,
        acl: i32,
    },
    Multi {
        set: String,
        data: Bytes,
        create: String,
    },
    /// The members' lines of another configuration.
    Reconfigure {
        members: String,
    },
    CloseSession,
}

/// The order of everything committed, and the tree it makes.
pub struct Check {
    pub committed: Vec<Committed>,
    index: HashMap<Zxid, usize>,
    /// The configurations that were committed, with the first.
    configurations: BTreeMap<Zxid, Ensemble>,
    pub tree: Tree,
    /// Every value a node had: since when, and which.
    values: HashMap<String, Vec<(Zxid, Option<Bytes>)>>,
    /// What each leader has proposed.
    proposed: HashMap<Zxid, Bytes>,
    /// Who led in an epoch, and whether a quorum had its history.
    leaders: BTreeMap<i64, (usize, u64)>,
    established: BTreeMap<i64, (usize, u64)>,
    wishes: HashMap<(i64, i32), Wish>,
    /// The last committed write of which a client was told.
    pub told: Zxid,
    pub violation: Option<String>,
    pub digest_checks: u64,
    pub reads_checked: u64,
}

pub fn empty_tree() -> Tree {
    Tree::new(OwnerRules::default(), true)
}

impl Check {
    pub fn new(first: &Ensemble) -> Self {
        Check {
            configurations: [(Zxid::ZERO, first.clone())].into(),
            committed: Vec::new(),
            index: HashMap::new(),
            tree: empty_tree(),
            values: HashMap::new(),
            proposed: HashMap::new(),
            leaders: BTreeMap::new(),
            established: BTreeMap::new(),
            wishes: HashMap::new(),
            told: Zxid::ZERO,
            violation: None,
            digest_checks: 0,
            reads_checked: 0,
        }
    }

    /// Something that must not be; the first counts.
    pub fn fail(&mut self, what: impl Into<String>) {
        self.violation.get_or_insert_with(|| what.into());
    }

    /// The last configuration that was committed.
    pub fn configuration(&self) -> &Ensemble {
        self.configurations.last_key_value().expect("there is the first").1
    }

    /// A leader has taken up a configuration: one that a transaction has made, or that a term began with. A term may begin
    /// with one that was proposed, of which nothing came into the history; quorums of both have agreed to it.
    pub fn in_force(&mut self, epoch: i64, ensemble: &Ensemble) {
        if !self.configurations.contains_key(&Zxid(ensemble.version)) && epoch >= self.newest_epoch() {
            self.configurations.insert(Zxid(epoch << 32), ensemble.clone());
        }
    }

    /// How many configurations were committed.
    pub fn reconfigurations(&self) -> u64 {
        self.configurations.len() as u64 - 1
    }

    /// Whose quorums a transaction needs: those of the configuration it is in, and if it makes one, of that before, too.
    pub fn quorums_of(&self, zxid: Zxid) -> impl Iterator<Item = Voters> {
        let before = self.configurations.range(..zxid).next_back();
        let own = self.configurations.get(&zxid);
        before.map(|(_, ensemble)| ensemble).into_iter().chain(own).map(Voters::of)
    }

    /// The newest epoch of which a quorum has the history.
    pub fn newest_epoch(&self) -> i64 {
        self.established.last_key_value().map_or(0, |(epoch, _)| *epoch)
    }

    pub fn last(&self) -> Zxid {
        self.committed.last().map_or(Zxid::ZERO, |last| last.zxid)
    }

    /// I1: a leader has decided upon an epoch.
    pub fn leads(&mut self, epoch: i64, node: usize, term: u64) {
        let other = *self.leaders.entry(epoch).or_insert((node, term));
        if other != (node, term) {
            self.fail(format!("I1: epoch {epoch} is led by server {} and by server {}", other.0 + 1, node + 1));
        }
    }

    /// I2: a quorum has a leader's history. All of it is committed now, and everything committed is in it (I9, D1).
    pub fn established(&mut self, epoch: i64, node: usize, term: u64, history: &[(Zxid, Bytes)]) {
        let other = *self.established.entry(epoch).or_insert((node, term));
        if other != (node, term) {
            self.fail(format!("I2: epoch {epoch} was established by server {} and {}", other.0 + 1, node + 1));
        }
        if let Some((last, _)) = self.established.last_key_value()
            && *last > epoch
        {
            // A leader that lags behind does no harm as long as it commits nothing; `commit` looks at that.
            return;
        }
        for (at, (zxid, record)) in history.iter().enumerate() {
            self.commit(at, *zxid, record, node, None);
        }
        if history.len() < self.committed.len() {
            let lost = self.committed[history.len()].zxid;
            self.fail(format!("I9/D1: server {} leads epoch {epoch} without {lost}, which was committed", node + 1));
        }
    }

    /// A server applies its transaction number `at` as committed.
    pub fn commit(&mut self, at: usize, zxid: Zxid, record: &Bytes, node: usize, epoch: Option<i64>) {
        if self.violation.is_some() {
            return;
        }
        if let Some(known) = self.committed.get(at) {
            if known.zxid != zxid || known.record != *record {
                let known = known.zxid;
                self.fail(format!("I3: server {} has {zxid} where {known} was committed", node + 1));
            }
            return;
        }
        if at > self.committed.len() {
            return self.fail(format!("I6: server {} skips to {zxid}", node + 1));
        }
        if zxid <= self.last() {
            let last = self.last();
            return self.fail(format!("I8: server {} commits {zxid} after {last}", node + 1));
        }
        if let (Some(epoch), Some((newest, _))) = (epoch, self.established.last_key_value())
            && epoch < *newest
        {
            let newest = *newest;
            return self
                .fail(format!("I9: server {} commits {zxid} in epoch {epoch}, and {newest} is established", node + 1));
        }
        if let Some(epoch) = epoch
            && i64::from(zxid.epoch()) != epoch
        {
            return self.fail(format!("I9: server {} commits {zxid}, of an older epoch, in epoch {epoch}", node + 1));
        }
        match self.proposed.get(&zxid) {
            Some(proposed) if proposed == record => {}
            Some(_) => return self.fail(format!("I4: {zxid} is not what was proposed")),
            None => return self.fail(format!("I4: nobody proposed {zxid}")),
        }
        self.apply(zxid, record);
    }

    fn apply(&mut self, zxid: Zxid, record: &Bytes) {
        let decoded = TxnRecord::decode(record).expect("a leader encoded it");
        self.judge(&decoded);
        let session = decoded.header.client_id;
        let fails = match &decoded.txn {
            Txn::Error { .. } => true,
            // One that fails is one in which everything fails.
            Txn::Multi(parts) => parts.iter().all(|(_, part)| matches!(part, Txn::Error { .. })),
            _ => false,
        };
        if !fails
            && session != 0
            && decoded.header.op != OpCode::CREATE_SESSION.0
            && !self.tree.sessions().contains_key(&session)
            && decoded.header.op != OpCode::CLOSE_SESSION.0
        {
            let op = decoded.header.op;
            self.fail(format!("D13: {zxid} is a write, {op}, of session {session:#x}, which is no more"));
        }
        if let (OpCode::RECONFIG, Txn::SetData { data, .. }) = (OpCode(decoded.header.op), &decoded.txn) {
            let next = parse(data.unwrap_or_default()).expect("a leader has judged it");
            self.configurations.insert(zxid, next);
        }
        let mut changes = Vec::new();
        self.tree.apply(&decoded.header, &decoded.txn, Some(&mut changes));
        for change in &changes {
            let now = self.tree.get(&change.path).map(|node| Bytes::copy_from_slice(node.data().unwrap_or_default()));
            self.values.entry(change.path.to_string()).or_default().push((zxid, now));
        }
        let digest = self.tree.digest();
        if let Some(told) = decoded.digest
            && told.tree_digest as u64 != digest
        {
            self.fail(format!("D11: after {zxid} the digest is another than the leader said"));
        }
        self.index.insert(zxid, self.committed.len());
        self.committed.push(Committed { zxid, record: record.clone(), digest });
    }

    /// Whether the result of a write is the one that its place in the order gives.
    fn judge(&mut self, record: &TxnRecord<'_>) {
        let header = &record.header;
        let Some(wish) = self.wishes.remove(&(header.client_id, header.cxid)) else {
            if header.cxid != 0 && header.client_id != 0 {
                self.fail(format!("D14: {} was executed twice, or asked for by nobody", header.zxid()));
            }
            return;
        };
        let found = match record.txn {
            Txn::Error { err } => ErrorCode(err),
            _ => ErrorCode::OK,
        };
        let of_session = [ErrorCode::SESSION_EXPIRED, ErrorCode::SESSION_MOVED, ErrorCode::UNKNOWN_SESSION];
        if of_session.contains(&found) {
            return;
        }
        let version = |path: &str| self.tree.get(path).map(|node| node.stat.version);
        let expected = match &wish {
            Wish::Create { path, .. } if version(path).is_some() => ErrorCode::NODE_EXISTS,
            Wish::Create { .. } | Wish::CloseSession => ErrorCode::OK,
            Wish::Set { path, version: wanted, .. } | Wish::Delete { path, version: wanted } => match version(path) {
                None => ErrorCode::NO_NODE,
                Some(version) if *wanted != -1 && version != *wanted => ErrorCode::BAD_VERSION,
                Some(_) => ErrorCode::OK,
            },
            Wish::SetAcl { path, .. } => version(path).map_or(ErrorCode::NO_NODE, |_| ErrorCode::OK),
            // Its outcome is in the record.
            Wish::Multi { .. } => found,
            // A matter of who follows, and of what is under way.
            Wish::Reconfigure { .. } => match found {
                ErrorCode::RECONFIG_IN_PROGRESS | ErrorCode::NEW_CONFIG_NO_QUORUM => found,
                _ => ErrorCode::OK,
            },
        };
        if found != expected {
            self.fail(format!("D14: {wish:?} at {} gave {found:?}, and should give {expected:?}", header.zxid()));
        }
        let as_wished = match (&record.txn, &wish) {
            (Txn::Create(made), Wish::Create { path, data, ephemeral }) => {
                made.path.as_deref() == Some(path)
                    && made.data == Some(data)
                    && (made.kind == CreateKind::Ephemeral) == *ephemeral
            }
            (Txn::SetData { data: made, .. }, Wish::Set { data, .. }) => *made == Some(data),
            _ => true,
        };
        if !as_wished {
            self.fail(format!("D14: {} is not what was wished: {wish:?}", header.zxid()));
        }
    }

    /// A leader proposes.
    pub fn proposes(&mut self, zxid: Zxid, record: &Bytes) {
        if self.proposed.insert(zxid, record.clone()).is_some() {
            self.fail(format!("C2: {zxid} is proposed twice"));
        }
    }

    /// A client asks for a write.
    pub fn wishes(&mut self, session: i64, xid: i32, wish: Wish) {
        self.wishes.insert((session, xid), wish);
    }

    /// A client is told the result of a write (D1, and the order in real time).
    pub fn acknowledged(&mut self, session: i64, xid: i32, zxid: Zxid, told_before: Zxid) {
        let header = self.index.get(&zxid).map(|at| &self.committed[*at].record);
        let header = header.map(|record| TxnRecord::decode(record).expect("checked when it was committed").header);
        match header {
            Some(header) if header.client_id == session && header.cxid == xid => {}
            _ => {
                return self.fail(format!("D1: {zxid} was acknowledged to session {session:#x}, and is not its write"));
            }
        }
        if zxid <= told_before {
            return self.fail(format!("linearizability: {zxid} was asked for after {told_before} was acknowledged"));
        }
        self.told = self.told.max(zxid);
    }

    /// A client has read a node on a server whose tree was at `zxid`.
    pub fn read(&mut self, path: &str, found: Option<&Bytes>, zxid: Zxid, at_least: Zxid, synced: bool) {
        self.reads_checked += 1;
        if zxid < at_least {
            let what = if synced { "a read after sync" } else { "a session" };
            return self.fail(format!("D14: {what} sees {zxid} after {at_least}"));
        }
        let values = self.values.get(path).map_or(&[][..], |values| values);
        let expected = values.iter().rev().find(|(since, _)| *since <= zxid).and_then(|(_, value)| value.as_ref());
        if expected != found {
            self.fail(format!("D14: {path} at {zxid} reads {found:?}, and should be {expected:?}"));
        }
    }

    /// The digest of a server's tree once it has applied `count` transactions (D11).
    pub fn digest(&mut self, node: usize, count: usize, digest: u64) {
        self.digest_checks += 1;
        let expected = match count.checked_sub(1) {
            None => None,
            Some(at) => self.committed.get(at).map(|committed| committed.digest),
        };
        if let Some(expected) = expected
            && expected != digest
        {
            let zxid = self.committed[count - 1].zxid;
            self.fail(format!("D11: after {zxid} the tree of server {} is another", node + 1));
        }
    }
}

/// A tree as text, to be compared: nodes with everything, and sessions.
pub fn dump(tree: &Tree) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut walk, mut more) = (Walk::default(), true);
    while more {
        more = walk.chunk(tree, 64, |path, node| {
            // A server writes its own there.
            if path == CONFIG {
                return;
            }
            let acl: Option<Vec<Acl>> = tree.acl(node.acl()).map(|list| list.to_vec());
            lines.push(format!("{path} {:?} {acl:?} {:?}", node.data(), node.stat));
        });
    }
    lines.extend(tree.sessions().iter().map(|(id, timeout_ms)| format!("session {id:#x} {timeout_ms}")));
    lines.sort();
    lines
}

/// D13: ephemerals of sessions that are no more.
pub fn orphans(tree: &Tree) -> Vec<i64> {
    tree.ephemeral_owners().filter(|owner| !tree.sessions().contains_key(owner)).collect()
}
