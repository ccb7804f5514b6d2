//! One znode in memory, and the pages that hold them. Ids are small numbers that are used again after a delete, so a
//! holder of an id across transactions must compare the czxid as well.

use super::acl::AclId;
use crate::proto::owner::{CONTAINER_OWNER, TTL_MAX_MS};
use crate::proto::records::{Stat, StatPersisted};
use compact_str::CompactString;

/// Position of a node in the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(super) u32);

impl NodeId {
    /// The parent of the root.
    pub(super) const NONE: NodeId = NodeId(u32::MAX);
    /// The parent of a node that was deleted.
    const DELETED: NodeId = NodeId(u32::MAX - 1);
    /// The root; it is never deleted.
    pub const ROOT: NodeId = NodeId(0);
}

/// What the stored ephemeral owner says of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Lives until deleted.
    Nobody,
    /// Lives until its last child is gone.
    Container,
    /// Lives this many ms after its last change.
    Ttl(i64),
    /// Lives as long as the session.
    Session(i64),
}

/// Which stored owners mean TTL nodes (`zookeeper.extendedTypesEnabled`, `zookeeper.emulate353TTLNodes`).
#[derive(Debug, Clone, Copy, Default)]
pub struct OwnerRules {
    /// 0xff.. owners are TTL nodes.
    pub extended_types: bool,
    /// Any negative owner but the container's is a TTL node.
    pub emulate_353: bool,
}

impl OwnerRules {
    /// Reads a stored owner.
    pub fn owner(self, stored: i64) -> Owner {
        match stored {
            0 => Owner::Nobody,
            CONTAINER_OWNER => Owner::Container,
            _ if self.extended_types && (stored as u64) >> 56 == 0xff => Owner::Ttl(stored & TTL_MAX_MS),
            _ if self.emulate_353 && stored < 0 => Owner::Ttl(stored & i64::MAX),
            session => Owner::Session(session),
        }
    }
}

/// As clients see it.
pub(super) fn shown(stat: &StatPersisted, rules: OwnerRules, data_length: usize, num_children: usize) -> Stat {
    let num_children = num_children as i32;
    Stat {
        czxid: stat.czxid,
        mzxid: stat.mzxid,
        ctime: stat.ctime,
        mtime: stat.mtime,
        version: stat.version,
        cversion: stat.cversion.wrapping_mul(2).wrapping_sub(num_children),
        aversion: stat.aversion,
        ephemeral_owner: match rules.owner(stat.ephemeral_owner) {
            Owner::Session(session) => session,
            _ => 0,
        },
        data_length: data_length as i32,
        num_children,
        pzxid: stat.pzxid,
    }
}

/// A znode.
#[derive(Debug)]
pub struct Node {
    /// Bookkeeping.
    pub stat: StatPersisted,
    /// Last component of the path; empty for the root.
    pub(super) name: CompactString,
    /// Data; `None` is null, which is not empty.
    pub(super) data: Option<Box<[u8]>>,
    // A leaf pays one word, not three.
    #[allow(clippy::box_collection)]
    pub(super) children: Option<Box<Vec<NodeId>>>,
    pub(super) parent: NodeId,
    /// Position in the parent's children.
    pub(super) slot: u32,
    pub(super) acl: AclId,
    /// CRC-32 of path and data, from which the digest is finished with the 60 bytes of the stat.
    pub(super) content_crc: u32,
}

// A million nodes make a hundred megabytes: growth of this struct is a decision, not an accident.
const _: () = assert!(size_of::<Node>() <= 128);

impl Node {
    /// False in a place whose node was deleted.
    pub(super) fn is_live(&self) -> bool {
        self.parent != NodeId::DELETED
    }

    /// Data; `None` is null.
    pub fn data(&self) -> Option<&[u8]> {
        self.data.as_deref()
    }

    /// Bytes of data.
    pub fn data_len(&self) -> usize {
        self.data.as_ref().map_or(0, |data| data.len())
    }

    /// Direct children, in no order.
    pub fn children(&self) -> &[NodeId] {
        self.children.as_ref().map_or(&[], |children| children)
    }

    /// Last component of the path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The interned access list.
    pub fn acl(&self) -> AclId {
        self.acl
    }
}

const PAGE_BITS: u32 = 12;
const PAGE_LEN: usize = 1 << PAGE_BITS;

/// All nodes, in pages that never move, so that growth copies nothing.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pages: Vec<Vec<Node>>,
    free: Vec<NodeId>,
    live: usize,
}

impl Pages {
    pub(super) fn insert(&mut self, node: Node) -> NodeId {
        self.live += 1;
        if let Some(id) = self.free.pop() {
            *self.get_mut(id) = node;
            return id;
        }
        if self.pages.last().is_none_or(|page| page.len() == PAGE_LEN) {
            // The first page grows with its content: an idle server stays small.
            self.pages.push(if self.pages.is_empty() { Vec::new() } else { Vec::with_capacity(PAGE_LEN) });
        }
        let page_number = self.pages.len() - 1;
        let page = &mut self.pages[page_number];
        page.push(node);
        let id = (page_number << PAGE_BITS) + page.len() - 1;
        NodeId(
            u32::try_from(id)
                .ok()
                .filter(|id| *id < NodeId::DELETED.0)
                .expect("fewer than 2^32 - 2 znodes fit into memory"),
        )
    }

    pub(super) fn remove(&mut self, id: NodeId) {
        let node = self.get_mut(id);
        assert!(node.is_live(), "node {id:?} removed twice");
        node.parent = NodeId::DELETED;
        node.data = None;
        node.children = None;
        node.name = CompactString::default();
        self.free.push(id);
        self.live -= 1;
    }

    pub(super) fn get(&self, id: NodeId) -> &Node {
        &self.pages[(id.0 >> PAGE_BITS) as usize][id.0 as usize & (PAGE_LEN - 1)]
    }

    pub(super) fn get_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.pages[(id.0 >> PAGE_BITS) as usize][id.0 as usize & (PAGE_LEN - 1)]
    }

    pub(super) fn len(&self) -> usize {
        self.live
    }
}
