//! Brings a server's state back: chooses the snapshot, reads it, replays the logs behind it, and refuses what would be a
//! silent loss. Fills a [`Restore`] and knows nothing of what that makes of it. The rules are those of
//! `org.apache.zookeeper.server.persistence.FileTxnSnapLog`; where they are stricter, [`super::log_reader`] says why.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::compress::{Compression, Decompress};
use super::dirs::{Dirs, SnapshotName};
use super::disk::{Disk, DiskFile, FileStream};
use super::error::StoreError;
use super::log::WRITE_MAX;
use super::log_reader::{LogEnd, LogReader, ReadOptions};
use super::restore::Restore;
use super::snapshot::{BadSnapshot, END, SnapshotSummary, read_snapshot};
use crate::proto::Zxid;

/// More snapshots are not tried.
const CANDIDATES_MAX: usize = 100;
/// Shorter files are no snapshots.
const LENGTH_MIN: u64 = 10;

/// How a start goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoverOptions {
    /// Missing folders are made (`datadir.autocreate`).
    pub autocreate_dirs: bool,
    /// An empty folder becomes a new database also without the file `initialize` (`db.autocreate`).
    pub autocreate_db: bool,
    /// Logs without any snapshot are replayed on an empty tree (`snapshot.trust.empty`).
    pub trust_empty: bool,
    /// How logs are read.
    pub read: ReadOptions,
}

impl Default for RecoverOptions {
    fn default() -> Self {
        RecoverOptions { autocreate_dirs: true, autocreate_db: true, trust_empty: false, read: ReadOptions::default() }
    }
}

/// Whether the folder was empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh {
    /// There was data.
    No,
    /// It is a new database: the caller writes `snapshot.0`, then calls [`initialize_done`].
    Initialize,
    /// It must not become one (`db.autocreate` is off and there is no file `initialize`): the last zxid is -1.
    Uninitialized,
}

/// What recovery found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The snapshot that was used.
    pub snapshot: Option<(SnapshotName, SnapshotSummary)>,
    /// Newer snapshots that could not be used, and why.
    pub skipped: Vec<(String, String)>,
    /// The last transaction; -1 for [`Fresh::Uninitialized`].
    pub last_zxid: Zxid,
    /// Whether the folder was empty.
    pub fresh: Fresh,
    /// Transactions replayed.
    pub replayed: u64,
    /// Of these, transactions whose zxid is below the one before.
    pub backwards: u64,
    /// Places where records were given up. To be logged, each.
    pub ends: Vec<LogEnd>,
    /// Time for the snapshot.
    pub snapshot_time: Duration,
    /// Time for the logs.
    pub replay_time: Duration,
}

/// Opens the folders and fills `restore` from them.
pub fn recover<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    options: &RecoverOptions,
    restore: &mut impl Restore,
) -> Result<Recovered, StoreError> {
    dirs.open(disk, options.autocreate_dirs)?;
    let (mut recovered, tail) = read_all(disk, dirs, options, restore)?;
    if let Some((path, end)) = &tail.last_end {
        save_tail(disk, dirs, path, *end)?;
    }
    tidy(disk, &recovered.ends, tail.empty)?;
    if recovered.snapshot.is_none() && recovered.replayed == 0 {
        settle_fresh(disk, dirs, options.autocreate_db, &mut recovered);
    }
    Ok(recovered)
}

/// What [`recover`] would find, with nothing changed on disk: for tools, and for folders that somebody else may own.
pub fn examine<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    options: &RecoverOptions,
    restore: &mut impl Restore,
) -> Result<Recovered, StoreError> {
    let (mut recovered, _) = read_all(disk, dirs, options, restore)?;
    if recovered.snapshot.is_none() && recovered.replayed == 0 {
        settle_fresh(disk, dirs, options.autocreate_db, &mut recovered);
    }
    Ok(recovered)
}

/// What recovery puts in order behind the last record.
struct Tail {
    /// The file that was read to its end last, and where its good records end.
    last_end: Option<(PathBuf, u64)>,
    /// A last file in which nothing was ever written.
    empty: Option<PathBuf>,
}

fn read_all<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    options: &RecoverOptions,
    restore: &mut impl Restore,
) -> Result<(Recovered, Tail), StoreError> {
    let started = Instant::now();
    let mut skipped = Vec::new();
    let snapshot = load_snapshot(disk, dirs, restore, &mut skipped)?;
    let snapshot_time = started.elapsed();
    let zxid = snapshot.as_ref().map(|(name, _)| name.zxid);

    let from = zxid.map_or(Zxid::ZERO, Zxid::next);
    let mut reader = LogReader::open(disk, dirs, from, zxid, options.read)?;
    let mut recovered = Recovered {
        snapshot,
        skipped,
        last_zxid: zxid.unwrap_or(Zxid::ZERO),
        fresh: Fresh::No,
        replayed: 0,
        backwards: 0,
        ends: Vec::new(),
        snapshot_time,
        replay_time: Duration::ZERO,
    };
    replay(&mut reader, dirs, options.trust_empty, restore, &mut recovered)?;
    recovered.replay_time = started.elapsed() - snapshot_time;
    recovered.backwards = reader.backwards();
    recovered.ends = reader.ends().to_vec();
    let last_end = reader.last_end().map(|(path, end)| (path.to_owned(), end));
    let tail = Tail { last_end, empty: reader.empty_tail().map(ToOwned::to_owned) };
    Ok((recovered, tail))
}

/// Removes the marker `initialize`, once the new database is on disk.
pub fn initialize_done<D: Disk>(disk: &D, dirs: &Dirs) -> Result<(), StoreError> {
    for path in dirs.initialize_paths().filter(|path| disk.is_file(path)) {
        disk.remove(&path).map_err(StoreError::io(&path, "remove the file"))?;
        let dir = path.parent().unwrap_or(&path);
        disk.sync_dir(dir).map_err(StoreError::io(dir, "sync the folder"))?;
    }
    Ok(())
}

fn settle_fresh<D: Disk>(disk: &D, dirs: &Dirs, autocreate: bool, recovered: &mut Recovered) {
    if autocreate || dirs.may_initialize(disk) {
        recovered.fresh = Fresh::Initialize;
        recovered.last_zxid = Zxid::ZERO;
    } else {
        recovered.fresh = Fresh::Uninitialized;
        recovered.last_zxid = Zxid(-1);
    }
}

/// Reads the newest snapshot that is whole. `None` when there is not even a candidate.
fn load_snapshot<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    restore: &mut impl Restore,
    skipped: &mut Vec<(String, String)>,
) -> Result<Option<(SnapshotName, SnapshotSummary)>, StoreError> {
    restore.clear();
    let mut tried = 0;
    for name in dirs.list_snapshots(disk)? {
        if tried == CANDIDATES_MAX {
            break;
        }
        if !looks_whole(disk, dirs, &name)? {
            skipped.push((name.name, "it is not a whole snapshot".into()));
            continue;
        }
        tried += 1;
        match load(disk, dirs, &name, restore)? {
            Ok(summary) => return Ok(Some((name, summary))),
            Err(bad) => {
                skipped.push((name.name, bad.to_string()));
                restore.clear();
            }
        }
    }
    if tried == 0 {
        return Ok(None);
    }
    let mut text = String::new();
    for (name, why) in skipped.iter() {
        let separator = if text.is_empty() { "" } else { "; " };
        write!(text, "{separator}{name}: {why}").expect("writing to a string does not fail");
    }
    Err(StoreError::NoValidSnapshot { dir: dirs.snapshots.clone(), tried: text })
}

/// Reads one snapshot; the inner error is the file's fault.
pub(super) fn load<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    name: &SnapshotName,
    restore: &mut impl Restore,
) -> Result<Result<SnapshotSummary, BadSnapshot>, StoreError> {
    let path = dirs.snapshots.join(&name.name);
    let file = disk.open(&path).map_err(StoreError::io(&path, "open the snapshot"))?;
    let source = Decompress::new(FileStream::new(Arc::new(file), 0), name.compression);
    Ok(read_snapshot(source, name.zxid, restore))
}

/// The cheap check (`org.apache.zookeeper.server.persistence.SnapStream.isValidSnapshot`): the magic of compressed
/// files, the end mark of plain ones.
pub fn looks_whole<D: Disk>(disk: &D, dirs: &Dirs, name: &SnapshotName) -> Result<bool, StoreError> {
    let path = dirs.snapshots.join(&name.name);
    let read = || StoreError::io(&path, "read the snapshot");
    let file = match disk.open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        result => result.map_err(read())?,
    };
    let length = file.len().map_err(read())?;
    if name.compression == Compression::None {
        let mut tail = [0; END.len()];
        file.read_full_at(&mut tail, length.saturating_sub(END.len() as u64)).map_err(read())?;
        return Ok(length >= LENGTH_MIN && tail == END);
    }
    let magic = name.compression.magic();
    let mut head = vec![0; magic.len()];
    file.read_full_at(&mut head, 0).map_err(read())?;
    Ok(head == magic)
}

fn replay<D: Disk>(
    reader: &mut LogReader<D>,
    dirs: &Dirs,
    trust_empty: bool,
    restore: &mut impl Restore,
    recovered: &mut Recovered,
) -> Result<(), StoreError> {
    let mut path = PathBuf::new();
    loop {
        let Some(record) = reader.next_record()? else { return Ok(()) };
        if recovered.snapshot.is_none() && !trust_empty {
            return Err(StoreError::LogWithoutSnapshot { dir: dirs.logs.clone(), first: record.zxid });
        }
        match record.decode() {
            Ok(txn) => restore.replay(&txn, record.body),
            Err(why) => {
                let (zxid, offset) = (record.zxid, record.offset);
                path.clear();
                path.extend(reader.path());
                return Err(StoreError::undecodable(path, offset, zxid, why));
            }
        }
        recovered.last_zxid = recovered.last_zxid.max(record.zxid);
        recovered.replayed += 1;
    }
}

/// Makes durable what was read last. The server before this one may have ended before its sync, or because its sync
/// failed: then the bytes are in memory alone, and syncing would say so no more. So the stretch that can be
/// concerned is written once more.
fn save_tail<D: Disk>(disk: &D, dirs: &Dirs, path: &Path, end: u64) -> Result<(), StoreError> {
    let save = || StoreError::io(path, "make the end of the log durable");
    let file = disk.open_write(path).map_err(save())?;
    let start = end.saturating_sub(WRITE_MAX as u64);
    let mut tail = vec![0; (end - start) as usize];
    let count = file.read_full_at(&mut tail, start).map_err(save())?;
    file.write_all_at(&tail[..count], start).map_err(save())?;
    file.sync_data().map_err(save())?;
    disk.sync_dir(&dirs.logs).map_err(StoreError::io(&dirs.logs, "sync the folder"))
}

/// Leaves the logs so that the next reader, this one or the original, finds nothing to wonder at: a tail that a power
/// cut tore is cut off, and a file in which nothing was ever written is removed.
fn tidy<D: Disk>(disk: &D, ends: &[LogEnd], empty_tail: Option<PathBuf>) -> Result<(), StoreError> {
    for end in ends.iter().filter(|end| end.unsynced && end.blocks_original) {
        let cut = || StoreError::io(&end.path, "cut off the torn tail");
        let file = disk.open_write(&end.path).map_err(cut())?;
        file.set_len(end.offset).map_err(cut())?;
        file.sync_data().map_err(cut())?;
    }
    match empty_tail {
        Some(path) => disk.remove(&path).map_err(StoreError::io(&path, "remove the empty log")),
        None => Ok(()),
    }
}
