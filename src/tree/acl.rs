//! Interned access lists: each distinct list is stored once and counted. Ids are never used again, so a snapshot in
//! progress can name them while the tree changes.

use crate::proto::acl::Acl;
use hashbrown::HashMap;
use std::sync::Arc;

/// An interned list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AclId(pub(super) u32);

impl AclId {
    /// No list at all: open to everybody. Snapshots write it as -1; nodes that the server makes itself have it.
    pub const OPEN: AclId = AclId(0);
    /// A snapshot named a list that it did not hold and the log did not repair: nobody but a super user may touch it.
    pub const UNRESOLVED: AclId = AclId(u32::MAX);

    /// The key in a snapshot.
    pub fn key(self) -> i64 {
        match self {
            AclId::OPEN => -1,
            id => i64::from(id.0),
        }
    }
}

/// A shared access list.
pub type AclList = Arc<[Acl]>;

#[derive(Debug)]
struct Entry {
    list: AclList,
    nodes: u32,
    /// Union of the permissions of `world:anyone`: most checks end here.
    world: i32,
}

/// All lists in use.
#[derive(Debug)]
pub(super) struct AclTable {
    lists: HashMap<AclId, Entry>,
    ids: HashMap<AclList, AclId>,
    last: u32,
    /// Stands for a list that is lost. It is not empty, since an empty list is open to all.
    lost: AclList,
}

impl AclTable {
    pub(super) fn new() -> Self {
        AclTable { lists: HashMap::new(), ids: HashMap::new(), last: 0, lost: [Acl::new(0, "world", "anyone")].into() }
    }

    /// The id of a list, for one more node.
    pub(super) fn intern(&mut self, list: &[Acl]) -> AclId {
        let id = self.id_of(list);
        self.add_node(id);
        id
    }

    /// The id of a list that no node may have yet (a snapshot's table comes before its nodes).
    pub(super) fn id_of(&mut self, list: &[Acl]) -> AclId {
        if let Some(id) = self.ids.get(list) {
            return *id;
        }
        self.last += 1;
        let id = AclId(self.last);
        let world = list.iter().filter(|acl| is_world_anyone(acl)).fold(0, |perms, acl| perms | acl.perms);
        let list: AclList = list.into();
        self.ids.insert(list.clone(), id);
        self.lists.insert(id, Entry { list, nodes: 0, world });
        id
    }

    pub(super) fn add_node(&mut self, id: AclId) {
        if let Some(entry) = self.lists.get_mut(&id) {
            entry.nodes += 1;
        }
    }

    pub(super) fn drop_node(&mut self, id: AclId) {
        let Some(entry) = self.lists.get_mut(&id) else { return };
        entry.nodes -= 1;
        if entry.nodes == 0 {
            let entry = self.lists.remove(&id).expect("just found");
            self.ids.remove(&entry.list);
        }
    }

    /// One node less, whose list stays until [`AclTable::purge_unused`].
    pub(super) fn remove_node(&mut self, id: AclId) {
        if let Some(entry) = self.lists.get_mut(&id) {
            entry.nodes -= 1;
        }
    }

    /// Forgets lists that no node has.
    pub(super) fn purge_unused(&mut self) {
        let ids = &mut self.ids;
        self.lists.retain(|_, entry| {
            if entry.nodes == 0 {
                ids.remove(&entry.list);
            }
            entry.nodes > 0
        });
    }

    pub(super) fn list(&self, id: AclId) -> Option<&AclList> {
        match id {
            AclId::OPEN => None,
            // What is not known, for whatever reason, is not open.
            id => Some(self.lists.get(&id).map_or(&self.lost, |entry| &entry.list)),
        }
    }

    pub(super) fn world(&self, id: AclId) -> i32 {
        self.lists.get(&id).map_or(0, |entry| entry.world)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (AclId, &AclList)> {
        self.lists.iter().map(|(id, entry)| (*id, &entry.list))
    }
}

fn is_world_anyone(acl: &Acl) -> bool {
    acl.id.scheme == "world" && acl.id.id == "anyone"
}
