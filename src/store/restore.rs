//! The seam between the files and the state they hold: what recovery fills. Knows records, neither files nor trees; the
//! tree's side of it is in the engine.

use crate::proto::Zxid;
use crate::proto::acl::Acl;
use crate::proto::records::StatPersisted;
use crate::proto::txn::{TxnDigest, TxnRecord};

/// A znode as a snapshot holds it, borrowed from the read buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotNode<'a> {
    /// Path; the root is the empty one.
    pub path: &'a str,
    /// Data; null stays null.
    pub data: Option<&'a [u8]>,
    /// Key of the ACL list in the same snapshot; -1 is "open to the world". A key that was not listed is legal: the
    /// list was made while the snapshot was written, and replay brings it.
    pub acl_key: i64,
    /// Bookkeeping, with the raw cversion and the raw ephemeral owner.
    pub stat: StatPersisted,
}

/// Why a node of a snapshot cannot be; the snapshot is bad then, and an older one is tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NodeRefused(pub String);

/// What recovery fills. Calls come in this order: `clear`, then for a snapshot `session`*, `acl`*, `node`* (parents
/// before children) and `snapshot_done`; `clear` starts over when that snapshot turns out bad. Then `replay`*.
pub trait Restore {
    /// Back to the state of an empty database: the root and the system nodes, no sessions, no ACL lists. The first node
    /// of a snapshot, its root, takes the place of all these nodes.
    fn clear(&mut self);
    /// A session of the snapshot.
    fn session(&mut self, id: i64, timeout_ms: i32);
    /// An ACL list of the snapshot, under the key that its nodes use.
    fn acl(&mut self, key: i64, acl: Vec<Acl>);
    /// A node of the snapshot.
    fn node(&mut self, node: SnapshotNode<'_>) -> Result<(), NodeRefused>;
    /// The snapshot was whole. `zxid` is the one of its name: everything up to it is in, and replay starts after it.
    /// `digest` is the tree's digest after a transaction that may be later; `last_zxid` is where the walk ended.
    fn snapshot_done(&mut self, zxid: Zxid, digest: Option<(Zxid, TxnDigest)>, last_zxid: Option<Zxid>);
    /// A transaction of the log, in the order of the log. `body` is the record as it stands in the file: header, body
    /// and digest, which is also what a proposal carries.
    fn replay(&mut self, record: &TxnRecord<'_>, body: &[u8]);
}
