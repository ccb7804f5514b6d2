//! A history copied: a snapshot, then the records behind it up to one transaction, replayed on the way. Backup and
//! restore are this in two directions.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::ProgressBar;

use super::OWNERS;
use crate::engine::Replay;
use crate::proto::Zxid;
use crate::store::disk::FileStream;
use crate::store::{
    Decompress, Dirs, Disk, LogOptions, LogReader, LogWriter, ReadOptions, RealDisk, RecoverOptions, Restore,
    SnapshotName, StoreError, examine, read_snapshot,
};
use crate::tools::output::{Failure, bar};
use crate::tree::Tree;

/// Bytes gathered before they are written and synced.
const BATCH: usize = 4 << 20;
/// A log of a backup that is longer is left for a new one.
const LOG_BYTES_MAX: u64 = 64 << 20;
const _: () = assert!(BATCH >= crate::proto::JUTE_MAX_BUFFER);

/// A copy being made, with the state it leads to.
pub struct Copied {
    /// Where it stands.
    pub dirs: Dirs,
    /// The state after the last record.
    pub replay: Replay,
    /// The snapshot it begins with.
    pub base: SnapshotName,
    /// The last transaction.
    pub zxid: Zxid,
    /// When that was made; `None` while there is no record.
    pub time_ms: Option<i64>,
    /// The last record, to recognize the same history again.
    last: Option<(Zxid, Vec<u8>)>,
    log: LogWriter<RealDisk>,
    /// It was there before; its source may have moved on.
    resumed: bool,
}

impl Copied {
    /// Begins a copy in folders that are there: takes the snapshot over, whole and checked.
    pub fn begin(from: &Dirs, base: &SnapshotName, to: &Dirs) -> Result<Self, Failure> {
        let (source, target) = (from.snapshots.join(&base.name), to.snapshots.join(&base.name));
        copy_file(&source, &target)?;
        let mut replay = Replay::new(Tree::new(OWNERS, true));
        replay.clear();
        let file = RealDisk.open(&target).map_err(StoreError::io(&target, "open the snapshot"))?;
        let stream = Decompress::new(FileStream::new(Arc::new(file), 0), base.compression);
        read_snapshot(stream, base.zxid, &mut replay)
            .map_err(|why| Failure::new(format!("{}: the copy is not whole: {why}", target.display())))?;
        Ok(Copied {
            dirs: to.clone(),
            replay,
            base: base.clone(),
            zxid: base.zxid,
            time_ms: None,
            last: None,
            log: LogWriter::new(&RealDisk, to, options()),
            resumed: false,
        })
    }

    /// Goes on with a copy that is there.
    pub fn resume(dirs: &Dirs) -> Result<Self, Failure> {
        let mut replay = Remember { replay: Replay::new(Tree::new(OWNERS, true)), last: None };
        let recovered = examine(&RealDisk, dirs, &RecoverOptions::default(), &mut replay)?;
        let (base, _) = recovered
            .snapshot
            .ok_or_else(|| Failure::new(format!("{}: there is no snapshot", dirs.snapshots.display())))?;
        let time_ms = replay.last.as_ref().map(|(_, time_ms, _)| *time_ms);
        Ok(Copied {
            dirs: dirs.clone(),
            replay: replay.replay,
            base,
            zxid: recovered.last_zxid,
            time_ms,
            last: replay.last.map(|(zxid, _, body)| (zxid, body)),
            log: LogWriter::new(&RealDisk, dirs, options()),
            resumed: true,
        })
    }

    /// Appends the records behind the last one, up to `until`; all are durable afterwards. Fails when `from` has another
    /// history, or has not all of it any more.
    pub fn follow(&mut self, from: &Dirs, until: Zxid) -> Result<u64, Failure> {
        if until <= self.zxid {
            return Ok(0);
        }
        // From the last one on, where there is one, to see that it is still the same.
        let (start, previous) = match &self.last {
            Some((zxid, _)) => (*zxid, Zxid(zxid.0 - 1)),
            None => (self.zxid.next(), self.zxid),
        };
        let mut reader = LogReader::open(&RealDisk, from, start, Some(previous), ReadOptions::default())?;
        let progress = records_bar(until, self.zxid);
        let mut count = 0;
        let mut first = self.last.is_some();
        loop {
            let record = match reader.next_record() {
                Ok(Some(record)) => record,
                Ok(None) => break,
                Err(StoreError::Hole { found, .. }) if self.resumed && count == 0 => {
                    return Err(gone(found, self.zxid));
                }
                Err(error) => return Err(error.into()),
            };
            if std::mem::take(&mut first) {
                self.recognize(record.zxid, record.body)?;
                continue;
            }
            if record.zxid > until {
                break;
            }
            let txn = match record.decode() {
                Ok(txn) => txn,
                Err(why) => {
                    let (zxid, offset) = (record.zxid, record.offset);
                    let path = reader.path().unwrap_or(&from.logs).to_owned();
                    return Err(StoreError::undecodable(path, offset, zxid, why).into());
                }
            };
            self.replay.replay(&txn, record.body);
            self.log.append(record.zxid, record.body);
            if self.log.pending_bytes() >= BATCH {
                self.log.commit()?;
            }
            self.time_ms = Some(txn.header.time_ms);
            self.zxid = record.zxid;
            let last = self.last.get_or_insert_default();
            last.0 = record.zxid;
            last.1.clear();
            last.1.extend_from_slice(record.body);
            count += 1;
            progress.inc(1);
            if record.zxid == until {
                break;
            }
        }
        progress.finish_and_clear();
        self.log.commit()?;
        Ok(count)
    }

    fn recognize(&self, zxid: Zxid, body: &[u8]) -> Result<(), Failure> {
        match &self.last {
            Some((last, same)) if *last == zxid && same == body => Ok(()),
            Some((last, _)) if zxid > *last => Err(gone(zxid, *last)),
            _ => Err(Failure::new(format!(
                "transaction {zxid} is another one there: it is the history of another server, or the end of this one was \
                 taken back. Begin a new backup"
            ))),
        }
    }

    /// True when the server logged the digest that the copy leads to, and no other differed.
    pub fn digest_proven(&self) -> bool {
        self.replay.digest_mismatches == 0 && self.replay.compared == Some(self.zxid)
    }

    /// Nodes, the root once.
    pub fn nodes(&self) -> u64 {
        self.replay.tree.node_count() as u64 - 1
    }

    /// Reads everything back from the disk, and compares.
    pub fn read_back(&self) -> Result<(), Failure> {
        let found = Copied::resume(&self.dirs)?;
        let (digest, expected) = (found.replay.tree.digest(), self.replay.tree.digest());
        if (found.zxid, digest) != (self.zxid, expected) {
            return Err(Failure::new(format!(
                "{}: what was written reads as {} with digest {digest:#x}, not {} with {expected:#x}: is the disk sound?",
                self.dirs.snapshots.display(),
                found.zxid,
                self.zxid
            )));
        }
        Ok(())
    }
}

/// Logs without padding, in files of a handy size.
fn options() -> LogOptions {
    LogOptions { preallocate: 0, size_limit: Some(LOG_BYTES_MAX), ..LogOptions::default() }
}

fn gone(first: Zxid, last: Zxid) -> Failure {
    Failure::new(format!(
        "the logs begin with {first}, and what follows {last} is not there any more: begin a new backup"
    ))
}

/// A bar over transactions; an epoch's numbers go on without holes.
fn records_bar(until: Zxid, from: Zxid) -> ProgressBar {
    let count = if until.epoch() == from.epoch() { until.0 - from.0 } else { i64::from(until.counter()) };
    bar("transactions", u64::try_from(count).unwrap_or(0))
}

/// Copies a file under a temporary name, durably.
fn copy_file(source: &Path, target: &Path) -> Result<(), Failure> {
    let reading = |error: std::io::Error| Failure::new(format!("{}: cannot read: {error}", source.display()));
    let writing = |error: std::io::Error| Failure::new(format!("{}: cannot write: {error}", target.display()));
    let input = File::open(source).map_err(reading)?;
    let progress = bar("snapshot", input.metadata().map_err(reading)?.len());
    let mut temporary = target.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let mut output = BufWriter::new(File::create(&temporary).map_err(writing)?);
    let mut input = BufReader::with_capacity(1 << 20, input);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(reading(error)),
        };
        output.write_all(&buffer[..count]).map_err(writing)?;
        progress.inc(count as u64);
    }
    progress.finish_and_clear();
    output.flush().and_then(|()| output.get_ref().sync_all()).map_err(writing)?;
    RealDisk.rename(&temporary, target).map_err(writing)?;
    RealDisk.sync_dir(target.parent().unwrap_or(target)).map_err(writing)
}

/// A replay that keeps the last record.
struct Remember {
    replay: Replay,
    last: Option<(Zxid, i64, Vec<u8>)>,
}

impl Restore for Remember {
    fn clear(&mut self) {
        self.replay.clear();
        self.last = None;
    }
    fn session(&mut self, id: i64, timeout_ms: i32) {
        self.replay.session(id, timeout_ms);
    }
    fn acl(&mut self, key: i64, acl: Vec<crate::proto::acl::Acl>) {
        self.replay.acl(key, acl);
    }
    fn node(&mut self, node: crate::store::SnapshotNode<'_>) -> Result<(), crate::store::NodeRefused> {
        self.replay.node(node)
    }
    fn snapshot_done(&mut self, zxid: Zxid, digest: Option<(Zxid, crate::proto::txn::TxnDigest)>, last: Option<Zxid>) {
        self.replay.snapshot_done(zxid, digest, last);
    }
    fn replay(&mut self, record: &crate::proto::txn::TxnRecord<'_>, body: &[u8]) {
        self.replay.replay(record, body);
        let (zxid, time_ms) = (record.header.zxid(), record.header.time_ms);
        let last = self.last.get_or_insert_with(|| (zxid, time_ms, Vec::new()));
        (last.0, last.1) = (zxid, time_ms);
        last.2.clear();
        last.2.extend_from_slice(body);
    }
}
