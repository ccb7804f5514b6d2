//! Writes fuzzy snapshots: visits a few hundred nodes at a time while transactions go on, encodes them under shared access,
//! and writes outside.

use super::measures::Measures;
use super::pipeline::Pipeline;
use crate::jute::Encode;
use crate::metrics;
use crate::proto::Zxid;
use crate::proto::txn::{DIGEST_VERSION, TxnDigest};
use crate::store::{Compression, Dirs, RealDisk, STREAM_END, SnapshotWriter, StoreError, encode_node};
use crate::tree::{Tree, Walk};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Nodes encoded in one visit of the tree: some ten microseconds, also where the scheduler then takes the core away.
const CHUNK: usize = 32;
/// Clients come first: where cores are short, the thread that writes a snapshot gives way by so much.
const NICENESS: i32 = 10;

/// What the operator decides about snapshots.
#[derive(Debug, Clone)]
pub struct SnapshotOptions {
    /// `snapshot.compression.method`.
    pub compression: Compression,
    /// `digest.enabled`.
    pub digest: bool,
    /// `serializeLastProcessedZxid.enabled`.
    pub last_zxid: bool,
}

/// Writes one snapshot at a time.
pub struct Snapshotter {
    pipeline: Arc<Pipeline>,
    dirs: Dirs,
    options: SnapshotOptions,
    running: AtomicBool,
    measures: Arc<Measures>,
}

/// Held while a snapshot is written.
struct Turn<'a>(&'a AtomicBool);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Snapshotter {
    /// For the tree of this pipeline.
    pub fn new(pipeline: Arc<Pipeline>, dirs: Dirs, options: SnapshotOptions, measures: Arc<Measures>) -> Arc<Self> {
        Arc::new(Snapshotter { pipeline, dirs, options, running: AtomicBool::new(false), measures })
    }

    /// Writes a snapshot in the background, unless one is being written.
    pub fn start(self: &Arc<Self>) {
        if self.running.swap(true, Ordering::AcqRel) {
            tracing::warn!("the last snapshot is still being written: this one is left out");
            return;
        }
        let me = self.clone();
        let spawned = std::thread::Builder::new().name("snapshot".into()).spawn(move || {
            // On Linux this is a property of the thread. Without it the snapshot is written all the same.
            let _ = rustix::process::nice(NICENESS);
            if let Err(error) = me.take() {
                me.measures.with(|readings| readings.add(metrics::SNAPSHOT_ERROR_COUNT, 1));
                tracing::error!(%error, "the snapshot failed; the logs still hold everything");
            }
            me.running.store(false, Ordering::Release);
        });
        if let Err(error) = spawned {
            self.running.store(false, Ordering::Release);
            tracing::error!(%error, "no thread for the snapshot; the logs still hold everything");
        }
    }

    /// Until no snapshot is being written in the background.
    pub fn wait(&self) {
        while self.running.load(Ordering::Acquire) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Writes a snapshot once no other is being written; where it stands.
    pub fn take_in_turn(&self) -> Result<(Zxid, PathBuf), StoreError> {
        let _ = rustix::process::nice(NICENESS);
        let _turn = self.turn();
        let zxid = self.take()?;
        Ok((zxid, self.dirs.snapshot_path(zxid, self.options.compression)))
    }

    /// Puts another tree in the place of all data, durably; nothing has changed when that fails. Only for a server that
    /// is alone.
    pub fn restore(&self, tree: Tree) -> Result<Zxid, StoreError> {
        let _turn = self.turn();
        self.pipeline.restore(tree, || self.take().map(drop))
    }

    /// Waits until no snapshot is being written, and keeps others from it.
    fn turn(&self) -> Turn<'_> {
        while self.running.swap(true, Ordering::AcqRel) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Turn(&self.running)
    }

    /// Sends everything to another member: a snapshot without its frame, fuzzy like one; what happens meanwhile follows.
    pub fn stream(&self, out: &mut impl io::Write) -> io::Result<()> {
        let gate = &self.pipeline.gate;
        let (sessions, acls) = gate.read(|tree| {
            let sessions: Vec<(i64, i32)> = tree.sessions().iter().map(|(id, timeout)| (*id, *timeout)).collect();
            (sessions, tree.acls())
        });
        let mut encoded = Vec::new();
        (sessions.len() as i32).encode(&mut encoded);
        for (id, timeout_ms) in sessions {
            id.encode(&mut encoded);
            timeout_ms.encode(&mut encoded);
        }
        (acls.len() as i32).encode(&mut encoded);
        for (key, list) in &acls {
            key.encode(&mut encoded);
            (list.len() as i32).encode(&mut encoded);
            list.iter().for_each(|entry| entry.encode(&mut encoded));
        }
        let (mut walk, mut more) = (Walk::default(), true);
        while more {
            more = gate.read(|tree| {
                walk.chunk(tree, CHUNK, |path, node| {
                    encode_node(&mut encoded, path, node.data(), node.acl().key(), &node.stat);
                })
            });
            out.write_all(&encoded)?;
            encoded.clear();
        }
        out.write_all(&STREAM_END)
    }

    /// Writes a snapshot now.
    pub fn take(&self) -> Result<Zxid, StoreError> {
        let started = Instant::now();
        let gate = &self.pipeline.gate;
        // From here on the file holds everything up to this zxid, and perhaps some of what follows.
        let (zxid, mut sessions, acls) = gate.read(|tree| {
            let sessions: Vec<(i64, i32)> = tree.sessions().iter().map(|(id, timeout)| (*id, *timeout)).collect();
            (tree.zxid(), sessions, tree.acls())
        });
        sessions.sort_unstable();
        let lists = acls.iter().map(|(key, list)| (*key, &**list));
        let mut writer =
            SnapshotWriter::begin(&RealDisk, &self.dirs, zxid, self.options.compression, &sessions, lists)?;
        let (mut walk, mut more, mut nodes) = (Walk::default(), true, 0u64);
        while more {
            more = writer.nodes(|out| {
                gate.read(|tree| {
                    walk.chunk(tree, CHUNK, |path, node| {
                        nodes += 1;
                        encode_node(out, path, node.data(), node.acl().key(), &node.stat);
                    })
                })
            })?;
        }
        let (last, tree_digest) = gate.read(|tree| (tree.zxid(), tree.digest() as i64));
        let digest =
            TxnDigest { version: DIGEST_VERSION, tree_digest: if last == Zxid::ZERO { 0 } else { tree_digest } };
        let written =
            writer.finish(self.options.digest.then_some((last, digest)), self.options.last_zxid.then_some(last))?;
        let took_ms = started.elapsed().as_millis() as i64;
        self.measures.with(|readings| readings.record(metrics::SNAPSHOTTIME, took_ms));
        tracing::info!(%zxid, nodes, bytes = written.bytes, ms = started.elapsed().as_millis() as u64, "snapshot written");
        Ok(zxid)
    }
}
