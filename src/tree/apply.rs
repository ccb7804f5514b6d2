//! Applying transactions: what the leader's commit, a learner's commit and the replay of a log over a fuzzy snapshot
//! share. Replay may meet effects that are already there; the rules for that stand beside each case
//! (`org.apache.zookeeper.server.DataTree.processTxn`).

use super::node::NodeId;
use super::quota::counted;
use super::{AclId, Audience, Change, ChangeKind, Quota, Tree, digest};
use crate::proto::acl::Acl;
use crate::proto::owner::{CONTAINER_OWNER, TTL_OWNER};
use crate::proto::records::{Stat, StatPersisted};
use crate::proto::txn::{CreateKind, CreateTxn, Txn, TxnHeader};
use crate::proto::{ErrorCode, OpCode, path};

/// What became of a transaction, as its reply needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// A node was created.
    Created {
        /// Its path.
        path: &'a str,
        /// Its bookkeeping right after.
        stat: Stat,
    },
    /// Data or ACL was set.
    Set(Stat),
    /// The ensemble has another configuration.
    Reconfigured {
        /// Its text.
        text: &'a [u8],
        /// The bookkeeping of its node right after.
        stat: Stat,
    },
    /// Deleted, checked, session opened or closed: nothing to tell.
    Done,
    /// It failed, here or already at the leader.
    Failed(ErrorCode),
    /// One outcome for each part, with the part's operation.
    Multi(Vec<(OpCode, Outcome<'a>)>),
}

/// What one node change needs to know of its transaction.
#[derive(Clone, Copy)]
struct Context {
    client_id: i64,
    zxid: i64,
    time_ms: i64,
}

type Changes<'c> = Option<&'c mut Vec<Change>>;

impl Tree {
    /// Applies a whole transaction. With `changes`, tells what watches need to know.
    pub fn apply<'a>(&mut self, header: &TxnHeader, txn: &'a Txn<'_>, mut changes: Changes<'_>) -> Outcome<'a> {
        let context = Context { client_id: header.client_id, zxid: header.zxid, time_ms: header.time_ms };
        let outcome = match txn {
            Txn::CreateSession { timeout_ms } => {
                self.sessions.insert(header.client_id, *timeout_ms);
                Outcome::Done
            }
            Txn::CloseSession { paths } => {
                self.sessions.remove(&header.client_id);
                self.close_session(context, paths.as_deref(), &mut changes);
                Outcome::Done
            }
            Txn::Multi(items) => self.apply_multi(context, items, &mut changes),
            _ => self.apply_one(context, OpCode(header.op), txn, &mut changes),
        };
        // Only now, as a whole: a reload in the middle of a multi would skip its second half.
        if header.zxid() > self.zxid {
            self.zxid = header.zxid();
        }
        outcome
    }

    fn apply_multi<'a>(
        &mut self,
        context: Context,
        items: &'a [(OpCode, Txn<'_>)],
        changes: &mut Changes<'_>,
    ) -> Outcome<'a> {
        let failed = items.iter().any(|(_, txn)| matches!(txn, Txn::Error { .. }));
        let outcomes = items.iter().map(|(op, txn)| match txn {
            Txn::Error { err } => (*op, Outcome::Failed(ErrorCode(*err))),
            // It was valid by itself, but goes back with the rest.
            _ if failed => (*op, Outcome::Failed(ErrorCode::OK)),
            _ => (*op, self.apply_one(context, *op, txn, changes)),
        });
        Outcome::Multi(outcomes.collect())
    }

    fn apply_one<'a>(
        &mut self,
        context: Context,
        op: OpCode,
        txn: &'a Txn<'_>,
        changes: &mut Changes<'_>,
    ) -> Outcome<'a> {
        let outcome = match txn {
            Txn::Create(create) => self.create(context, op, create, changes),
            Txn::Delete { path } => self.delete(context, path.as_deref().unwrap_or(""), changes),
            Txn::SetData { path, data, version } => {
                let set = self.set_data(context, path.as_deref().unwrap_or(""), *data, *version, changes);
                set.map(|stat| match op {
                    OpCode::RECONFIG => Outcome::Reconfigured { text: data.unwrap_or_default(), stat },
                    _ => Outcome::Set(stat),
                })
            }
            Txn::SetAcl { path, acl, version } => {
                self.set_acl(path.as_deref().unwrap_or(""), acl.as_deref().unwrap_or_default(), *version)
            }
            Txn::Error { err } => Err(ErrorCode(*err)),
            Txn::Check { .. } => Ok(Outcome::Done),
            Txn::CreateSession { .. } | Txn::CloseSession { .. } | Txn::Multi(_) => {
                unreachable!("the decoder admits no session or multi inside a multi")
            }
        };
        outcome.unwrap_or_else(Outcome::Failed)
    }

    fn create<'a>(
        &mut self,
        context: Context,
        op: OpCode,
        txn: &'a CreateTxn<'_>,
        changes: &mut Changes<'_>,
    ) -> Result<Outcome<'a>, ErrorCode> {
        let full = txn.path.as_deref().unwrap_or("");
        let (parent_path, name) = path::split(full).ok_or(ErrorCode::NO_NODE)?;
        let parent = self.find_parent(parent_path).ok_or(ErrorCode::NO_NODE)?;
        let acl = match txn.acl.as_deref() {
            None | Some([]) => AclId::OPEN,
            Some(list) => self.acls.intern(list),
        };
        if let Some(existing) = self.find(full) {
            // A fuzzy snapshot holds the node, but its list may have been made after the snapshot's table of lists.
            let old = std::mem::replace(&mut self.pages.get_mut(existing).acl, acl);
            self.acls.drop_node(old);
            // The parent may have been written before this child was made.
            if op == OpCode::CREATE {
                self.raise_cversion(parent, parent_path, txn.parent_cversion, context.zxid);
            }
            return Err(ErrorCode::NODE_EXISTS);
        }
        let cversion = match txn.parent_cversion {
            -1 => self.node(parent).stat.cversion.wrapping_add(1),
            given => given,
        };
        self.raise_cversion(parent, parent_path, cversion, context.zxid);
        let ephemeral_owner = match txn.kind {
            CreateKind::Persistent => 0,
            CreateKind::Ephemeral => context.client_id,
            CreateKind::Container => CONTAINER_OWNER,
            CreateKind::Ttl(ttl_ms) => TTL_OWNER | ttl_ms,
        };
        let stat = StatPersisted {
            czxid: context.zxid,
            mzxid: context.zxid,
            pzxid: context.zxid,
            ctime: context.time_ms,
            mtime: context.time_ms,
            ephemeral_owner,
            ..StatPersisted::default()
        };
        let id = self.insert(parent, full, name, txn.data, acl, stat);
        // What the reply shows is the node as created, before quotas write into it.
        let shown = self.stat(self.node(id));
        self.watch_quota_node(full, true);
        self.count_quota(full, 1, txn.data.map_or(0, |data| data.len() as i64));
        if let Some(changes) = changes {
            changes.push(self.change(context, ChangeKind::Created, full, acl, parent));
        }
        Ok(Outcome::Created { path: full, stat: shown })
    }

    /// Replay over a fuzzy snapshot may meet a parent that has counted further already: the counter never goes back.
    fn raise_cversion(&mut self, parent: NodeId, parent_path: &str, cversion: i32, zxid: i64) {
        if cversion > self.node(parent).stat.cversion {
            self.sub_digest(parent_path, parent);
            let stat = &mut self.pages.get_mut(parent).stat;
            stat.cversion = cversion;
            stat.pzxid = zxid;
            self.add_digest(parent_path, parent);
        }
    }

    fn delete(
        &mut self,
        context: Context,
        full: &str,
        changes: &mut Changes<'_>,
    ) -> Result<Outcome<'static>, ErrorCode> {
        let (parent_path, _) = path::split(full).ok_or(ErrorCode::NO_NODE)?;
        let parent = self.find(parent_path).ok_or(ErrorCode::NO_NODE)?;
        // Also when the node is gone already: the parent may have been written before it was deleted.
        if context.zxid > self.node(parent).stat.pzxid {
            self.sub_digest(parent_path, parent);
            self.pages.get_mut(parent).stat.pzxid = context.zxid;
            self.add_digest(parent_path, parent);
        }
        let id = self.find(full).filter(|id| *id != NodeId::ROOT).ok_or(ErrorCode::NO_NODE)?;
        let (acl, bytes) = (self.node(id).acl, self.node(id).data_len() as i64);
        if let Some(changes) = changes {
            changes.push(self.change(context, ChangeKind::Deleted, full, acl, parent));
        }
        self.remove(id, full);
        self.watch_quota_node(full, false);
        self.count_quota(full, -1, -bytes);
        Ok(Outcome::Done)
    }

    fn set_data(
        &mut self,
        context: Context,
        full: &str,
        data: Option<&[u8]>,
        version: i32,
        changes: &mut Changes<'_>,
    ) -> Result<Stat, ErrorCode> {
        let id = self.find(full).ok_or(ErrorCode::NO_NODE)?;
        let before = self.node(id).data_len() as i64;
        self.store_data(id, full, data, |stat| {
            stat.mtime = context.time_ms;
            stat.mzxid = context.zxid;
            stat.version = version;
        });
        let shown = self.stat(self.node(id));
        self.count_quota(full, 0, data.map_or(0, |data| data.len() as i64) - before);
        if let Some(changes) = changes {
            changes.push(Change {
                zxid: crate::proto::Zxid(context.zxid),
                kind: ChangeKind::DataSet,
                path: full.into(),
                audience: self.audience(self.node(id).acl),
                parent_audience: Audience::Everyone,
            });
        }
        Ok(shown)
    }

    fn set_acl(&mut self, full: &str, acl: &[Acl], version: i32) -> Result<Outcome<'static>, ErrorCode> {
        let id = self.find(full).ok_or(ErrorCode::NO_NODE)?;
        let acl = if acl.is_empty() { AclId::OPEN } else { self.acls.intern(acl) };
        let old = std::mem::replace(&mut self.pages.get_mut(id).acl, acl);
        self.acls.drop_node(old);
        self.sub_digest(full, id);
        self.pages.get_mut(id).stat.aversion = version;
        self.add_digest(full, id);
        let node = self.node(id);
        Ok(Outcome::Set(self.stat(node)))
    }

    /// Deletes what the transaction names, then what the session still owns here: in a fuzzy image the two can differ.
    fn close_session(
        &mut self,
        context: Context,
        paths: Option<&[Option<std::borrow::Cow<'_, str>>]>,
        changes: &mut Changes<'_>,
    ) {
        for path in paths.into_iter().flatten() {
            let _ = self.delete(context, path.as_deref().unwrap_or(""), changes);
        }
        let mut owned: Vec<_> = self.ephemerals(context.client_id).map(|id| self.path(id)).collect();
        owned.sort_unstable();
        for path in owned {
            let _ = self.delete(context, &path, changes);
        }
    }

    /// Replaces data and stat of a node, with index, digest and sizes in step.
    pub(super) fn store_data(
        &mut self,
        id: NodeId,
        full: &str,
        data: Option<&[u8]>,
        touch: impl FnOnce(&mut StatPersisted),
    ) {
        self.sub_digest(full, id);
        // The root has two names, and counts by the empty one only.
        let counted = if id == NodeId::ROOT { "" } else { full };
        let crc = if self.digest_enabled { digest::content_crc(counted, data) } else { 0 };
        let node = self.pages.get_mut(id);
        let before = node.data_len() as u64;
        match (&mut node.data, data) {
            // The common case, a value of the same size, needs no allocation.
            (Some(old), Some(new)) if old.len() == new.len() => old.copy_from_slice(new),
            (old, new) => *old = new.map(Into::into),
        }
        node.content_crc = crc;
        touch(&mut node.stat);
        let after = node.data_len() as u64;
        self.data_size = self.data_size - before + after;
        self.add_digest(full, id);
    }

    fn change(&self, context: Context, kind: ChangeKind, full: &str, acl: AclId, parent: NodeId) -> Change {
        Change {
            zxid: crate::proto::Zxid(context.zxid),
            kind,
            path: full.into(),
            audience: self.audience(acl),
            parent_audience: self.audience(self.node(parent).acl),
        }
    }

    /// Limits that appear or vanish turn the quota of their subtree on or off; statistics that appear are counted.
    fn watch_quota_node(&mut self, full: &str, created: bool) {
        let Some((prefix, name)) = full.strip_prefix(path::QUOTA).and_then(path::split) else { return };
        match (name, created) {
            (path::QUOTA_LIMITS, true) => self.quotas.register(prefix),
            (path::QUOTA_LIMITS, false) => self.quotas.unregister(prefix),
            (path::QUOTA_STATS, true) => self.recount_quota(prefix),
            _ => {}
        }
    }

    fn count_quota(&mut self, full: &str, count: i64, bytes: i64) {
        if self.quotas.is_empty() || (count == 0 && bytes == 0) {
            return;
        }
        let Some(prefix) = self.quotas.prefix_of(full) else { return };
        let stats = format!("{}{prefix}/{}", path::QUOTA, path::QUOTA_STATS);
        let Some(id) = self.find(&stats) else { return };
        let text = counted(self.node(id).data().unwrap_or_default(), count, bytes);
        // In place: no transaction, so neither version nor mzxid move and no watch fires.
        self.store_data(id, &stats, Some(text.as_bytes()), |_| {});
    }

    fn recount_quota(&mut self, prefix: &str) {
        let stats = format!("{}{prefix}/{}", path::QUOTA, path::QUOTA_STATS);
        let Some(id) = self.find(&stats) else { return };
        // A quota may stand for a node that is not there (any more): that counts nothing.
        let (mut count, mut bytes, mut stack) = (0, 0, Vec::from_iter(self.find(prefix)));
        while let Some(id) = stack.pop() {
            let node = self.node(id);
            count += 1;
            bytes += node.data_len() as i64;
            stack.extend(node.children());
        }
        let usage = Quota { count, bytes, ..Quota::UNSET };
        self.store_data(id, &stats, Some(usage.text().as_bytes()), |_| {});
    }

    /// Finds all quotas again and counts what they hold, after a snapshot is loaded. The log is replayed on top: it is not
    /// counted again afterwards, since statistics are part of the tree's digest and a client may have set them.
    pub(super) fn reload_quotas(&mut self) {
        self.quotas = Default::default();
        let Some(top) = self.find(path::QUOTA) else { return };
        let mut stack = vec![top];
        while let Some(id) = stack.pop() {
            let node = self.node(id);
            stack.extend(node.children());
            // As in the original, limits with a child of their own are no limits.
            if node.name() == path::QUOTA_LIMITS && node.children().is_empty() {
                let full = self.path(id);
                self.watch_quota_node(&full, true);
            }
        }
        let prefixes: Vec<String> = self.quotas.prefixes().map(Into::into).collect();
        prefixes.iter().for_each(|prefix| self.recount_quota(prefix));
    }
}
