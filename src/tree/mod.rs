//! The tree of znodes with its sessions: an ordinary single-threaded structure. `&Tree` reads, `&mut Tree` applies whole
//! transactions in zxid order. No IO, no clock, no thread, no randomness but the seed of the index; all thinking about
//! threads is in `server::gate`. How requests become transactions is the business of `crate::engine`.

mod acl;
mod apply;
mod change;
pub mod digest;
mod index;
mod node;
mod quota;
mod restore;
mod walk;

pub use crate::proto::owner::{CONTAINER_OWNER, TTL_MAX_MS, TTL_OWNER};
pub use acl::{AclId, AclList};
pub use apply::Outcome;
pub use change::{Audience, Change, ChangeKind};
pub use node::{Node, NodeId, Owner, OwnerRules};
pub use quota::{Exceeded, Quota};
pub use restore::RestoreError;
pub use walk::Walk;

use crate::proto::records::{Stat, StatPersisted};
use crate::proto::session::SessionId;
use crate::proto::{Zxid, path};
use compact_str::CompactString;
use hashbrown::{HashMap, HashSet};
use index::Index;
use node::Pages;

/// The database of a server: znodes, access lists, and the sessions with their timeouts.
#[derive(Debug)]
pub struct Tree {
    rules: OwnerRules,
    digest_enabled: bool,
    pages: Pages,
    index: Index,
    acls: acl::AclTable,
    sessions: HashMap<SessionId, i32>,
    ephemerals: HashMap<SessionId, HashSet<NodeId>>,
    containers: HashSet<NodeId>,
    ttls: HashSet<NodeId>,
    quotas: quota::Quotas,
    zxid: Zxid,
    digest: u64,
    data_size: u64,
    restoring: restore::Restoring,
}

impl Tree {
    /// An empty tree: the root and the system nodes.
    pub fn new(rules: OwnerRules, digest_enabled: bool) -> Self {
        let mut tree = Tree::bare(rules, digest_enabled);
        tree.insert_root(StatPersisted::default(), AclId::OPEN, Some(&[]));
        for (path, data) in [(path::ZOOKEEPER, &[][..]), (path::QUOTA, &[]), (path::CONFIG, &[])] {
            tree.insert_system(path, data);
        }
        tree
    }

    fn bare(rules: OwnerRules, digest_enabled: bool) -> Self {
        Tree {
            rules,
            digest_enabled,
            pages: Pages::default(),
            index: Index::new(),
            acls: acl::AclTable::new(),
            sessions: HashMap::new(),
            ephemerals: HashMap::new(),
            containers: HashSet::new(),
            ttls: HashSet::new(),
            quotas: quota::Quotas::default(),
            zxid: Zxid::ZERO,
            digest: 0,
            data_size: 0,
            restoring: restore::Restoring::default(),
        }
    }

    /// The system nodes are there before the first transaction, with no zxid, no time, and uncounted in their parents.
    fn insert_system(&mut self, path: &str, data: &[u8]) {
        let (parent, name) = path::split(path).expect("system paths are absolute");
        let parent = self.find(parent).expect("the parents of system nodes come first");
        let (acl, aversion) = match path {
            path::CONFIG => (self.acls.intern(&[crate::proto::acl::Acl::new(1, "world", "anyone")]), -1),
            _ => (AclId::OPEN, 0),
        };
        let stat = StatPersisted { aversion, ..StatPersisted::default() };
        self.insert(parent, path, name, Some(data), acl, stat);
    }

    /// Adds the nodes that every server has and a snapshot of an old release may lack.
    pub(crate) fn ensure_system_nodes(&mut self) {
        for path in [path::ZOOKEEPER, path::QUOTA, path::CONFIG] {
            if self.find(path).is_none() {
                self.insert_system(path, &[]);
            }
        }
    }

    /// Writes the configuration of the ensemble into its node, as no transaction does: a member knows it from its files
    /// (`ZKDatabase.initConfigInZKDatabase`). The node counts in no digest.
    pub fn set_config(&mut self, text: &str, version: i64, time_ms: i64) {
        if let Some(id) = self.find(path::CONFIG) {
            self.store_data(id, path::CONFIG, Some(text.as_bytes()), |stat| {
                (stat.mtime, stat.mzxid, stat.version) = (time_ms, version, -1);
            });
        }
    }

    /// The last transaction applied.
    pub fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// Sets the last applied transaction without applying one (a member that joins at an epoch's start).
    pub fn set_zxid(&mut self, zxid: Zxid) {
        self.zxid = zxid;
    }

    /// The digest of the tree as it is; 0 when digests are off.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Whether digests are kept.
    pub fn digest_enabled(&self) -> bool {
        self.digest_enabled
    }

    /// How stored owners are read.
    pub fn rules(&self) -> OwnerRules {
        self.rules
    }

    /// Nodes as the original counts them: the root twice, since it is known as "" and as "/".
    pub fn node_count(&self) -> usize {
        self.pages.len() + 1
    }

    /// Ephemeral nodes of all sessions.
    pub fn ephemeral_count(&self) -> usize {
        self.ephemerals.values().map(HashSet::len).sum()
    }

    /// Bytes of paths and data, about; the root's second name "/" is one of them.
    pub fn approximate_data_size(&self) -> u64 {
        self.data_size + 1
    }

    /// Looks a path up. The root is "" or "/".
    pub fn find(&self, path: &str) -> Option<NodeId> {
        let path = if path == "/" { "" } else { path };
        self.index.find(&self.pages, path, self.index.hash(path))
    }

    /// Looks the parent of a path up, by its own path as [`crate::proto::path::split`] gives it. The root is only "" there:
    /// "/" would be a node without a name, and there is none.
    fn find_parent(&self, path: &str) -> Option<NodeId> {
        if path == "/" { None } else { self.find(path) }
    }

    /// A node by its id, which must be live.
    pub fn node(&self, id: NodeId) -> &Node {
        self.pages.get(id)
    }

    /// Looks a path up.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.find(path).map(|id| self.node(id))
    }

    /// What decides how long a node lives.
    pub fn owner(&self, node: &Node) -> Owner {
        self.rules.owner(node.stat.ephemeral_owner)
    }

    /// What clients see of a node's bookkeeping.
    pub fn stat(&self, node: &Node) -> Stat {
        node::shown(&node.stat, self.rules, node.data_len(), node.children().len())
    }

    /// The whole path of a node; "" for the root.
    pub fn path(&self, id: NodeId) -> String {
        let mut path = String::new();
        self.path_into(id, &mut path);
        path
    }

    /// Appends the whole path of a node. Iterative, since a client decides how deep the tree is.
    pub(crate) fn path_into(&self, id: NodeId, out: &mut String) {
        let mut names = Vec::with_capacity(16);
        let mut node = self.node(id);
        while node.parent != NodeId::NONE {
            names.push(node.name());
            node = self.node(node.parent);
        }
        for name in names.iter().rev() {
            out.push('/');
            out.push_str(name);
        }
    }

    /// All nodes below `id`, itself not counted.
    pub fn descendant_count(&self, id: NodeId) -> usize {
        if id == NodeId::ROOT {
            return self.pages.len() - 1;
        }
        let mut stack = vec![id];
        let mut count = 0;
        while let Some(id) = stack.pop() {
            let children = self.node(id).children();
            count += children.len();
            stack.extend(children);
        }
        count
    }

    /// The access list of a node; `None` for a node that is open to all. An unresolved list gives nobody anything.
    pub fn acl(&self, id: AclId) -> Option<&AclList> {
        self.acls.list(id)
    }

    /// Permissions that a list gives to everybody.
    pub fn world_permissions(&self, id: AclId) -> i32 {
        match id {
            AclId::OPEN => crate::proto::acl::ALL,
            id => self.acls.world(id),
        }
    }

    /// All access lists with their snapshot keys.
    pub fn acls(&self) -> Vec<(i64, AclList)> {
        let mut lists: Vec<_> = self.acls.iter().map(|(id, list)| (id.key(), list.clone())).collect();
        lists.sort_by_key(|(key, _)| *key);
        lists
    }

    /// Sessions with their timeouts in ms.
    pub fn sessions(&self) -> &HashMap<SessionId, i32> {
        &self.sessions
    }

    /// Ephemerals of one session.
    pub fn ephemerals(&self, session: SessionId) -> impl Iterator<Item = NodeId> {
        self.ephemerals.get(&session).into_iter().flatten().copied()
    }

    /// Sessions that own ephemerals.
    pub fn ephemeral_owners(&self) -> impl Iterator<Item = SessionId> {
        self.ephemerals.keys().copied()
    }

    /// Containers, for the reaper.
    pub fn containers(&self) -> impl Iterator<Item = NodeId> {
        self.containers.iter().copied()
    }

    /// TTL nodes, for the reaper.
    pub fn ttls(&self) -> impl Iterator<Item = NodeId> {
        self.ttls.iter().copied()
    }

    /// Whether any subtree has a quota.
    pub fn has_quotas(&self) -> bool {
        !self.quotas.is_empty()
    }

    /// Subtrees with a quota: their top, what they may hold, what they hold.
    pub fn quotas(&self) -> impl Iterator<Item = (&str, Quota, Quota)> {
        let text = |prefix: &str, name| self.get(&format!("{}{prefix}/{name}", path::QUOTA)).and_then(Node::data);
        let quota = move |prefix: &str, name| text(prefix, name).map_or(Quota::UNSET, Quota::parse);
        let prefixes = self.quotas.prefixes();
        prefixes.map(move |prefix| (prefix, quota(prefix, path::QUOTA_LIMITS), quota(prefix, path::QUOTA_STATS)))
    }

    /// The quota that a change at `path` by so many nodes and bytes would exceed, judged on what is applied.
    pub fn exceeds_quota(&self, path: &str, count: i64, bytes: i64) -> Option<Exceeded> {
        let prefix = self.quotas.prefix_of(path)?;
        let limits = Quota::parse(self.get(&format!("{}{prefix}/{}", path::QUOTA, path::QUOTA_LIMITS))?.data()?);
        let usage = Quota::parse(self.get(&format!("{}{prefix}/{}", path::QUOTA, path::QUOTA_STATS))?.data()?);
        let over = |what, change: i64, used: i64, soft: i64, hard_limit: i64| {
            let (hard, limit) = if hard_limit > -1 { (true, hard_limit) } else { (false, soft) };
            let value = used.saturating_add(change);
            (change != 0 && limit > -1 && value > limit).then(|| Exceeded {
                prefix: prefix.into(),
                what,
                hard,
                value,
                limit,
            })
        };
        let count = over("count", count, usage.count, limits.count, limits.count_hard_limit);
        let bytes = over("bytes", bytes, usage.bytes, limits.bytes, limits.byte_hard_limit);
        match (count, bytes) {
            (Some(count), Some(bytes)) if bytes.hard && !count.hard => Some(bytes),
            (count, bytes) => count.or(bytes),
        }
    }

    fn audience(&self, id: AclId) -> Audience {
        match id {
            AclId::OPEN => Audience::Everyone,
            id if self.acls.world(id) & crate::proto::acl::READ != 0 => Audience::Everyone,
            id => self.acls.list(id).map_or(Audience::Everyone, |list| Audience::List(list.clone())),
        }
    }

    fn insert_root(&mut self, stat: StatPersisted, acl: AclId, data: Option<&[u8]>) {
        let node = Node {
            stat,
            name: CompactString::default(),
            data: data.map(Into::into),
            children: None,
            parent: NodeId::NONE,
            slot: 0,
            acl,
            content_crc: digest::content_crc("", data),
        };
        self.data_size += node.data_len() as u64;
        let id = self.pages.insert(node);
        assert_eq!(id, NodeId::ROOT, "the root is the first node");
        self.index.insert(self.index.hash(""), id);
        self.add_digest("", id);
    }

    /// Adds a node that is not there yet. The list's count was already raised for it.
    fn insert(
        &mut self,
        parent: NodeId,
        path: &str,
        name: &str,
        data: Option<&[u8]>,
        acl: AclId,
        stat: StatPersisted,
    ) -> NodeId {
        let siblings = self.pages.get_mut(parent).children.get_or_insert_default();
        let slot = u32::try_from(siblings.len()).expect("a node has fewer than 2^32 children");
        let node = Node {
            stat,
            name: CompactString::new(name),
            data: data.map(Into::into),
            children: None,
            parent,
            slot,
            acl,
            content_crc: if self.digest_enabled { digest::content_crc(path, data) } else { 0 },
        };
        self.data_size += (path.len() + node.data_len()) as u64;
        let id = self.pages.insert(node);
        self.pages.get_mut(parent).children.as_mut().expect("made above").push(id);
        self.index.insert(self.index.hash(path), id);
        self.add_digest(path, id);
        match self.rules.owner(stat.ephemeral_owner) {
            Owner::Nobody => {}
            Owner::Container => drop(self.containers.insert(id)),
            Owner::Ttl(_) => drop(self.ttls.insert(id)),
            Owner::Session(session) => drop(self.ephemerals.entry(session).or_default().insert(id)),
        }
        id
    }

    /// Takes a node out, and whatever a fuzzy snapshot left below it: the log brings those back.
    fn remove(&mut self, id: NodeId, path: &str) {
        let mut below: Vec<NodeId> = self.node(id).children().to_vec();
        let mut next = 0;
        while next < below.len() {
            below.extend_from_slice(self.pages.get(below[next]).children());
            next += 1;
        }
        for child in below.into_iter().rev() {
            let child_path = self.path(child);
            self.remove_leaf(child, &child_path);
        }
        self.remove_leaf(id, path);
    }

    fn remove_leaf(&mut self, id: NodeId, path: &str) {
        self.sub_digest(path, id);
        self.index.remove(self.index.hash(path), id);
        let node = self.pages.get(id);
        let (parent, slot, owner, acl) = (node.parent, node.slot, node.stat.ephemeral_owner, node.acl);
        self.data_size -= (path.len() + node.data_len()) as u64;
        match self.rules.owner(owner) {
            Owner::Nobody => {}
            Owner::Container => drop(self.containers.remove(&id)),
            Owner::Ttl(_) => drop(self.ttls.remove(&id)),
            Owner::Session(session) => {
                if let Some(owned) = self.ephemerals.get_mut(&session) {
                    owned.remove(&id);
                    if owned.is_empty() {
                        self.ephemerals.remove(&session);
                    }
                }
            }
        }
        self.acls.drop_node(acl);
        let parent = self.pages.get_mut(parent);
        let siblings = parent.children.as_mut().expect("a parent has children");
        siblings.swap_remove(slot as usize);
        let moved = siblings.get(slot as usize).copied();
        if siblings.is_empty() {
            parent.children = None;
        } else if siblings.capacity() > 64 && siblings.len() < siblings.capacity() / 4 {
            siblings.shrink_to(siblings.len() * 2);
        }
        if let Some(moved) = moved {
            self.pages.get_mut(moved).slot = slot;
        }
        self.pages.remove(id);
    }

    fn add_digest(&mut self, path: &str, id: NodeId) {
        if self.digest_enabled && digest::counts(path) {
            let node = self.pages.get(id);
            self.digest = self.digest.wrapping_add(digest::node_digest(node.content_crc, &node.stat));
        }
    }

    fn sub_digest(&mut self, path: &str, id: NodeId) {
        if self.digest_enabled && digest::counts(path) {
            let node = self.pages.get(id);
            self.digest = self.digest.wrapping_sub(digest::node_digest(node.content_crc, &node.stat));
        }
    }

    /// CRC of path and data of a node, from which prepare computes digests ahead of apply.
    pub(crate) fn content_crc(&self, node: &Node) -> u32 {
        node.content_crc
    }
}

#[cfg(test)]
mod tests;
