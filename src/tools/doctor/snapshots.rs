//! Every snapshot of a folder, read to its end: whether it is whole, and up to which transaction it has seen changes.

use crate::proto::Zxid;
use crate::proto::acl::Acl;
use crate::proto::path;
use crate::proto::txn::{TxnDigest, TxnRecord};
use crate::store::disk::FileStream;
use crate::store::{
    Compression, Decompress, Dirs, Disk, DiskFile, NodeRefused, RealDisk, Restore, SnapshotNode, read_snapshot,
};
use crate::tools::output::{Failure, Watched, bar};
use std::sync::Arc;

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// File name.
    pub name: String,
    /// From the name.
    pub zxid: Zxid,
    /// Bytes on disk.
    pub bytes: u64,
    /// Nodes read.
    pub nodes: u64,
    /// The latest change of any node.
    pub latest: Zxid,
    /// Why it is not whole; `None` when it is.
    pub bad: Option<String>,
}

/// Reads them all, the newest first.
pub fn check(dirs: &Dirs) -> Result<Vec<Checked>, Failure> {
    let mut checked = Vec::new();
    for name in dirs.list_snapshots(&RealDisk)? {
        let path = dirs.snapshots.join(&name.name);
        let file = RealDisk.open(&path).map_err(|error| super::unreadable(&path, &error))?;
        let bytes = file.len().map_err(|error| super::unreadable(&path, &error))?;
        let source = Watched::new(FileStream::new(Arc::new(file), 0), bar("checking", bytes));
        let mut seen = Seen { nodes: 0, latest: Zxid::ZERO };
        let result = read_snapshot(Decompress::new(source, Compression::of_name(&name.name)), name.zxid, &mut seen);
        checked.push(Checked {
            name: name.name,
            zxid: name.zxid,
            bytes,
            nodes: seen.nodes,
            latest: seen.latest,
            bad: result.err().map(|why| why.to_string()),
        });
    }
    Ok(checked)
}

struct Seen {
    nodes: u64,
    latest: Zxid,
}

impl Restore for Seen {
    fn clear(&mut self) {}
    fn session(&mut self, _: i64, _: i32) {}
    fn acl(&mut self, _: i64, _: Vec<Acl>) {}
    fn node(&mut self, node: SnapshotNode<'_>) -> Result<(), NodeRefused> {
        self.nodes += 1;
        // The ensemble's configuration carries its own version, which is no transaction of the log.
        if node.path != path::CONFIG {
            let stat = &node.stat;
            self.latest = self.latest.max(Zxid(stat.czxid.max(stat.mzxid).max(stat.pzxid)));
        }
        Ok(())
    }
    fn snapshot_done(&mut self, _: Zxid, _: Option<(Zxid, TxnDigest)>, _: Option<Zxid>) {}
    fn replay(&mut self, _: &TxnRecord<'_>, _: &[u8]) {}
}
