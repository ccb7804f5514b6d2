//! Changes that have a zxid and are not applied yet: an overlay over the tree, so that a pipelined request is judged by
//! the state it will meet (`outstandingChanges` of the original).

use crate::proto::Zxid;
use crate::proto::acl::Acl;
use crate::proto::records::StatPersisted;
use crate::tree::{AclId, Tree};
use hashbrown::HashMap;
use hashbrown::hash_map::{Entry, EntryRef};
use std::collections::VecDeque;
use std::sync::Arc;

/// The access list of a node that may not be in the tree yet.
#[derive(Debug, Clone)]
pub(super) enum AclOf {
    Stored(AclId),
    Pending(Arc<[Acl]>),
}

/// What prepare needs to know of a node.
#[derive(Debug, Clone)]
pub(super) struct NodeView {
    pub stat: StatPersisted,
    pub children: i64,
    pub acl: AclOf,
    pub content_crc: u32,
    pub data_len: usize,
}

#[derive(Debug, Clone)]
struct Record {
    zxid: Zxid,
    /// `None` once deleted.
    node: Option<NodeView>,
}

#[derive(Debug, Default)]
pub(super) struct Outstanding {
    by_path: HashMap<Arc<str>, Record>,
    in_order: VecDeque<(Zxid, Arc<str>)>,
    /// What a multi overwrote, to be put back when it fails.
    undo: Option<Vec<(Arc<str>, Option<Record>)>>,
    /// Changes put in and, once applied, taken out, since the start.
    pub(super) queued: u64,
    pub(super) removed: u64,
}

impl Outstanding {
    /// The node as it will be once everything in flight is applied.
    pub(super) fn node(&self, tree: &Tree, path: &str) -> Option<NodeView> {
        let path = if path == "/" { "" } else { path };
        if !self.by_path.is_empty()
            && let Some(record) = self.by_path.get(path)
        {
            return record.node.clone();
        }
        tree.get(path).map(|node| NodeView {
            stat: node.stat,
            children: node.children().len() as i64,
            acl: AclOf::Stored(node.acl()),
            content_crc: tree.content_crc(node),
            data_len: node.data_len(),
        })
    }

    pub(super) fn put(&mut self, zxid: Zxid, path: &str, node: Option<NodeView>) {
        let path = if path == "/" { "" } else { path };
        let record = Record { zxid, node };
        let (path, before) = match self.by_path.entry_ref(path) {
            EntryRef::Occupied(mut entry) => {
                let before = entry.insert(record);
                (entry.key().clone(), Some(before))
            }
            EntryRef::Vacant(entry) => (entry.insert_entry(record).key().clone(), None),
        };
        if let Some(undo) = &mut self.undo {
            undo.push((path.clone(), before));
        }
        self.in_order.push_back((zxid, path));
        self.queued += 1;
    }

    /// From here on changes can be taken back.
    pub(super) fn begin(&mut self) {
        self.undo = Some(Vec::new());
    }

    /// The changes since `begin` stand.
    pub(super) fn keep(&mut self) {
        self.undo = None;
    }

    /// The changes since `begin` never were.
    pub(super) fn take_back(&mut self) {
        for (path, before) in self.undo.take().unwrap_or_default().into_iter().rev() {
            self.in_order.pop_back();
            match before {
                Some(record) => drop(self.by_path.insert(path, record)),
                None => drop(self.by_path.remove(&path)),
            }
        }
    }

    pub(super) fn applied(&mut self, zxid: Zxid) {
        while let Some((_, path)) = self.in_order.pop_front_if(|(of, _)| *of <= zxid) {
            self.removed += 1;
            if let Entry::Occupied(entry) = self.by_path.entry(path)
                && entry.get().zxid <= zxid
            {
                entry.remove();
            }
        }
    }

    /// Paths in flight in the order of their changes, with the owner they will have; `None` when deleted.
    pub(super) fn owners(&self) -> impl Iterator<Item = (&str, Option<i64>)> {
        self.in_order.iter().map(|(_, path)| {
            let node = self.by_path.get(path).and_then(|record| record.node.as_ref());
            (&**path, node.map(|node| node.stat.ephemeral_owner))
        })
    }
}
