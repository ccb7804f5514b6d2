//! Filling a tree from a snapshot: sessions, access lists, then nodes, parents before children. Lists are kept by value:
//! a key that a node names but the snapshot lacks stays unresolved until the log brings the list, and never matches a
//! list made later by accident.

use super::acl::AclId;
use super::digest;
use super::node::NodeId;
use super::{Tree, Zxid};
use crate::proto::acl::Acl;
use crate::proto::path;
use crate::proto::records::StatPersisted;
use crate::proto::session::SessionId;
use hashbrown::HashMap;

/// Why a snapshot cannot be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A node before its parent.
    #[error("the parent of {0:?} is not in front of it")]
    ParentMissing(String),
    /// A node twice, or a root that is not first.
    #[error("{0:?} stands twice")]
    Twice(String),
}

/// What is only needed while loading.
#[derive(Debug, Default)]
pub(super) struct Restoring {
    keys: HashMap<i64, AclId>,
    has_root: bool,
    /// The last parent, since siblings come together.
    parent: Option<(String, NodeId)>,
}

impl Tree {
    /// A session of the snapshot.
    pub fn restore_session(&mut self, session: SessionId, timeout_ms: i32) {
        self.sessions.insert(session, timeout_ms);
    }

    /// An access list of the snapshot.
    pub fn restore_acl(&mut self, key: i64, acl: &[Acl]) {
        let id = self.acls.id_of(acl);
        self.restoring.keys.insert(key, id);
    }

    /// A node of the snapshot.
    pub fn restore_node(
        &mut self,
        full: &str,
        data: Option<&[u8]>,
        acl_key: i64,
        stat: StatPersisted,
    ) -> Result<(), RestoreError> {
        let acl = match acl_key {
            -1 => AclId::OPEN,
            key => self.restoring.keys.get(&key).copied().unwrap_or(AclId::UNRESOLVED),
        };
        let Some((parent_path, name)) = path::split(full) else {
            if !full.is_empty() || self.restoring.has_root {
                return Err(RestoreError::Twice(full.into()));
            }
            self.without_nodes();
            self.restoring.has_root = true;
            self.acls.add_node(acl);
            self.insert_root(stat, acl, data);
            return Ok(());
        };
        let parent = match &self.restoring.parent {
            Some((path, id)) if path == parent_path => *id,
            _ => {
                let id = self.find_parent(parent_path).filter(|_| self.restoring.has_root);
                let id = id.ok_or_else(|| RestoreError::ParentMissing(full.into()))?;
                self.restoring.parent = Some((parent_path.into(), id));
                id
            }
        };
        if self.find(full).is_some() {
            return Err(RestoreError::Twice(full.into()));
        }
        self.acls.add_node(acl);
        self.insert(parent, full, name, data, acl, stat);
        Ok(())
    }

    /// Makes room for the root of a snapshot; its sessions and access lists came before.
    fn without_nodes(&mut self) {
        if let Some(config) = self.get(path::CONFIG).map(|node| node.acl()) {
            // The list itself stays: the snapshot may have it, too, and then its key already stands for it.
            self.acls.remove_node(config);
        }
        let mut bare = Tree::bare(self.rules, self.digest_enabled);
        std::mem::swap(&mut bare.sessions, &mut self.sessions);
        std::mem::swap(&mut bare.acls, &mut self.acls);
        std::mem::swap(&mut bare.restoring, &mut self.restoring);
        *self = bare;
    }

    /// The snapshot is read; its zxid is where replay begins.
    pub fn restore_snapshot_done(&mut self, zxid: Zxid) {
        self.restoring = Restoring::default();
        self.zxid = zxid;
        self.ensure_system_nodes();
        self.reload_quotas();
    }

    /// Back to an empty database. The first node of a snapshot then takes the place of the system nodes.
    pub fn restore_empty(&mut self) {
        *self = Tree::new(self.rules, self.digest_enabled);
    }

    /// Everything is replayed: unused lists go. Returns paths whose access list is lost.
    pub fn restore_done(&mut self) -> Vec<String> {
        self.acls.purge_unused();
        let mut lost = Vec::new();
        super::Walk::default().chunk(self, usize::MAX, |path, node| {
            if node.acl == AclId::UNRESOLVED {
                lost.push(path.to_owned());
            }
        });
        lost
    }

    /// Ephemerals whose session is in no table; a standalone server removes them at start.
    pub fn orphaned_sessions(&self) -> Vec<SessionId> {
        let mut orphans: Vec<_> = self.ephemeral_owners().filter(|owner| !self.sessions.contains_key(owner)).collect();
        orphans.sort_unstable();
        orphans
    }

    /// Takes ephemerals out without a transaction, for owners that no longer live.
    pub fn drop_ephemerals(&mut self, session: SessionId) {
        let owned: Vec<_> = self.ephemerals(session).map(|id| self.path(id)).collect();
        for path in owned {
            if let Some(id) = self.find(&path) {
                let (parent_path, _) = path::split(&path).expect("ephemerals have parents");
                let parent = self.find(parent_path).expect("a live node has a parent");
                // The original deletes with the zxid it has: the parent's pzxid moves up to it.
                if self.zxid.0 > self.node(parent).stat.pzxid {
                    self.sub_digest(parent_path, parent);
                    self.pages.get_mut(parent).stat.pzxid = self.zxid.0;
                    self.add_digest(parent_path, parent);
                }
                self.remove(id, &path);
            }
        }
    }

    /// Recomputes the digest from nothing, to check the incremental one.
    pub fn digest_from_scratch(&self) -> u64 {
        let mut sum = 0u64;
        super::Walk::default().chunk(self, usize::MAX, |path, node| {
            if digest::counts(path) {
                sum = sum.wrapping_add(digest::node_digest(digest::content_crc(path, node.data()), &node.stat));
            }
        });
        sum
    }
}
