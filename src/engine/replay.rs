//! The tree's side of recovery: what `crate::store` reads is filled in here.

use crate::proto::Zxid;
use crate::proto::acl::Acl;
use crate::proto::txn::{Txn, TxnDigest, TxnRecord};
use crate::store::{NodeRefused, Restore, SnapshotNode};
use crate::tree::Tree;

/// A tree being restored, and how well its digests agree with those of the files.
#[derive(Debug)]
pub struct Replay {
    /// The tree.
    pub tree: Tree,
    /// The digest that the snapshot names, and after which transaction it holds; compared once when replay gets there.
    expected: Option<(Zxid, u64)>,
    /// Comparisons begin once the fuzzy part is over.
    comparing: bool,
    /// Transactions after which the digest was another than the log says.
    pub digest_mismatches: u64,
    /// The first of them.
    pub first_mismatch: Option<Zxid>,
    /// Transactions replayed.
    pub replayed: u64,
    /// The last transaction after which the digest was compared, or which changed nothing behind such a one.
    pub compared: Option<Zxid>,
}

impl Replay {
    /// Into this tree, which is emptied first.
    pub fn new(tree: Tree) -> Self {
        Replay {
            tree,
            expected: None,
            comparing: false,
            digest_mismatches: 0,
            first_mismatch: None,
            replayed: 0,
            compared: None,
        }
    }

    fn compare(&mut self, zxid: Zxid, digest: u64) {
        self.compared = Some(zxid);
        if self.tree.digest() != digest {
            self.digest_mismatches += 1;
            self.first_mismatch.get_or_insert(zxid);
        }
    }
}

impl Restore for Replay {
    fn clear(&mut self) {
        self.tree.restore_empty();
        (self.expected, self.comparing) = (None, false);
        (self.digest_mismatches, self.first_mismatch, self.replayed, self.compared) = (0, None, 0, None);
    }

    fn session(&mut self, id: i64, timeout_ms: i32) {
        self.tree.restore_session(id, timeout_ms);
    }

    fn acl(&mut self, key: i64, acl: Vec<Acl>) {
        self.tree.restore_acl(key, &acl);
    }

    fn node(&mut self, node: SnapshotNode<'_>) -> Result<(), NodeRefused> {
        self.tree
            .restore_node(node.path, node.data, node.acl_key, node.stat)
            .map_err(|error| NodeRefused(error.to_string()))
    }

    fn snapshot_done(&mut self, zxid: Zxid, digest: Option<(Zxid, TxnDigest)>, _last_zxid: Option<Zxid>) {
        self.tree.restore_snapshot_done(zxid);
        self.expected = digest
            .filter(|(at, digest)| *at >= zxid && at.0 > 0 && digest.version == crate::proto::txn::DIGEST_VERSION)
            .map(|(at, digest)| (at, digest.tree_digest as u64));
        if let Some((at, digest)) = self.expected
            && at == zxid
        {
            self.expected = None;
            self.comparing = true;
            self.compare(at, digest);
        }
    }

    fn replay(&mut self, record: &TxnRecord<'_>, _body: &[u8]) {
        let before = self.tree.zxid();
        self.tree.apply(&record.header, &record.txn, None);
        self.replayed += 1;
        // Failed requests are logged without a digest.
        if matches!(record.txn, Txn::Error { .. }) && self.compared == Some(before) {
            self.compared = Some(record.header.zxid());
        }
        if !self.tree.digest_enabled() {
            return;
        }
        let zxid = record.header.zxid();
        if let Some((at, digest)) = self.expected {
            if zxid >= at {
                self.expected = None;
                self.comparing = true;
                if zxid == at {
                    self.compare(at, digest);
                }
            }
        } else if self.comparing
            && let Some(digest) = record.digest.filter(|digest| digest.version == crate::proto::txn::DIGEST_VERSION)
        {
            self.compare(zxid, digest.tree_digest as u64);
        }
    }
}
