//! Taking a backup, going on with one, and following a server until told to stop.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;

use super::copy::Copied;
use super::live_end::{committed_by, end_of};
use super::manifest::{Manifest, dirs_of};
use crate::proto::Zxid;
use crate::proto::acl::Acl;
use crate::proto::txn::{TxnDigest, TxnRecord};
use crate::store::disk::FileStream;
use crate::store::{
    Decompress, Dirs, Disk, EpochFile, FolderLock, NodeRefused, RealDisk, Restore, SnapshotName, SnapshotNode,
    StoreError, base_snapshot, looks_whole, read_epoch, read_snapshot,
};
use crate::tools::output::{Failure, Output, complain, rfc3339};
use crate::tools::{folders, live, parse_zxid};

/// A server purges and takes snapshots meanwhile; so often the whole is tried anew.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// The data folder of the server (dataDir), which may be running.
    dir: PathBuf,
    /// Where the backup goes: a new folder, or a backup of the same server, which is then continued.
    backup: PathBuf,
    /// The folder of the logs, where it is another one (dataLogDir).
    #[arg(long)]
    log_dir: Option<PathBuf>,
    /// The last transaction to copy, such as 0x1f or 31; otherwise the last that was logged.
    #[arg(long, value_parser = parse_zxid)]
    zxid: Option<Zxid>,
    /// Ask this server (host:port) for the last committed transaction, and copy no further: a member of an ensemble logs
    /// transactions before they are committed, and may have to take them back.
    #[arg(long, conflicts_with = "zxid")]
    server: Option<String>,
    /// Go on copying what the server logs, until SIGINT or SIGTERM.
    #[arg(long, conflicts_with = "zxid")]
    follow: bool,
    /// Seconds between two looks with --follow.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    interval: f64,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("write seconds, from 0.01 to 86400".into()),
    }
}

/// Takes or continues a backup. Exit code 1 when the digests of the files do not agree.
pub fn backup(args: &Backup, out: &mut Output) -> Result<u8, Failure> {
    let from = folders(&args.dir, args.log_dir.as_deref());
    for dir in [&from.snapshots, &from.logs] {
        if !dir.is_dir() {
            return Err(Failure::new(format!("{}: there is no such folder", dir.display())));
        }
    }
    let to = dirs_of(&args.backup);
    refuse_inside(&from, &args.backup)?;
    let held = live::holder(&from);
    if let Some(sign) = &held {
        complain(&format!("a server holds the folder ({sign}): its files are read while it writes"));
    }
    let existing = Manifest::read(&args.backup)?;
    if existing.is_none() && !is_new(&args.backup)? {
        let why = "there is something in it, and it is no backup: name a new folder";
        return Err(Failure::new(format!("{}: {why}", args.backup.display())));
    }
    to.open(&RealDisk, true)?;
    let _lock = FolderLock::take(&to)?;
    let mut copied = match &existing {
        Some(manifest) => go_on(args, &from, &to, manifest)?,
        None => begin(args, &from, &to, if held.is_some() { ATTEMPTS } else { 1 })?,
    };
    copied.read_back()?;
    let manifest = write_manifest(&copied, &from, &args.backup)?;
    tell(&args.backup, &manifest, out)?;
    if args.follow {
        follow(args, &from, &mut copied, out)?;
    }
    Ok(u8::from(copied.replay.digest_mismatches > 0))
}

/// A backup in the server's own folders would be found by the server.
fn refuse_inside(from: &Dirs, backup: &Path) -> Result<(), Failure> {
    let Ok(backup) = backup.canonicalize() else { return Ok(()) };
    let own = [&from.snapshots, &from.logs].into_iter().filter_map(|dir| dir.canonicalize().ok());
    if own.into_iter().any(|dir| dir == backup.join("version-2") || backup.starts_with(&dir)) {
        return Err(Failure::new(format!("{}: that is the server's own folder", backup.display())));
    }
    Ok(())
}

/// True for a folder that is not there, or has nothing in it but what a backup that failed may have begun.
fn is_new(dir: &Path) -> Result<bool, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("{}: cannot list the folder: {error}", dir.display()));
    if !dir.exists() {
        return Ok(true);
    }
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let empty = path.is_dir() && std::fs::read_dir(&path).map_err(failed)?.next().is_none();
        if !(empty && path.file_name().is_some_and(|name| name == "version-2")) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The last transaction to copy.
fn target(args: &Backup, from: &Dirs) -> Result<Option<Zxid>, Failure> {
    let committed = args.server.as_deref().map(committed_by).transpose()?;
    let end = end_of(from)?.map(|end| end.zxid);
    let Some(wanted) = args.zxid else {
        return Ok(match (end, committed) {
            (Some(end), Some(committed)) => Some(end.min(committed)),
            (end, committed) => end.or(committed),
        });
    };
    let newest = from.list_snapshots(&RealDisk)?.first().map(|name| name.zxid);
    match end.max(newest) {
        Some(last) if wanted <= last => Ok(Some(wanted)),
        last => Err(Failure::new(format!("{wanted} is not there: the data ends with {}", last.unwrap_or_default()))),
    }
}

fn begin(args: &Backup, from: &Dirs, to: &Dirs, attempts: u32) -> Result<Copied, Failure> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let result = try_begin(args, from, to);
        match result {
            Ok(copied) => return Ok(copied),
            Err(failure) => {
                // What was begun is of no use, and would be taken for somebody's data the next time.
                discard(to);
                if attempt == attempts {
                    return Err(failure);
                }
                tracing::debug!(why = failure.text, attempt, "the folder changed under the copy: once more");
                std::thread::sleep(PAUSE);
            }
        }
    }
}

/// Removes what was begun in folders that were empty before.
pub fn discard(to: &Dirs) {
    for dir in [&to.snapshots, &to.logs] {
        for name in RealDisk.list(dir).unwrap_or_default() {
            // The failure that led here is the one to tell.
            let _ = RealDisk.remove(&dir.join(name));
        }
    }
}

/// The snapshot first, then the end of the logs: so what the snapshot saw is in the logs, once they are long enough.
fn try_begin(args: &Backup, from: &Dirs, to: &Dirs) -> Result<Copied, Failure> {
    let (base, seen) = match args.zxid {
        Some(zxid) => (base_for(from, zxid)?, zxid),
        None => newest(from)?,
    };
    let end = target(args, from)?.unwrap_or(base.zxid).max(base.zxid);
    if seen > end {
        return Err(Failure::new(format!(
            "{}: {} holds changes up to {seen}, but the logs, as far as they are committed, end with {end}. See oxkeeper doctor",
            from.snapshots.display(),
            base.name
        )));
    }
    let mut copied = Copied::begin(from, &base, to)?;
    copied.follow(from, end)?;
    if copied.zxid < end && args.zxid.is_none() {
        return Err(Failure::new(format!("the logs end with {}, but {end} was seen in them", copied.zxid)));
    }
    Ok(copied)
}

/// The newest snapshot that leads to a transaction: it must not have seen a later one.
pub fn base_for(from: &Dirs, zxid: Zxid) -> Result<SnapshotName, Failure> {
    let snapshots = from.list_snapshots(&RealDisk)?;
    if let Some(base) = base_snapshot(&RealDisk, from, &snapshots, zxid)? {
        return Ok(base);
    }
    let oldest =
        snapshots.last().map_or_else(|| "there is none".to_owned(), |name| format!("the oldest is {}", name.name));
    Err(Failure::new(format!("{}: no whole snapshot is old enough for {zxid}: {oldest}", from.snapshots.display())))
}

/// The newest snapshot that is whole, and the latest change in it.
pub fn newest(from: &Dirs) -> Result<(SnapshotName, Zxid), Failure> {
    for name in from.list_snapshots(&RealDisk)? {
        if !looks_whole(&RealDisk, from, &name)? {
            continue;
        }
        let path = from.snapshots.join(&name.name);
        let file = RealDisk.open(&path).map_err(StoreError::io(&path, "open the snapshot"))?;
        let mut seen = Latest(name.zxid);
        let stream = Decompress::new(FileStream::new(Arc::new(file), 0), name.compression);
        if let Ok(summary) = read_snapshot(stream, name.zxid, &mut seen) {
            let ended = summary.last_zxid.max(summary.digest.map(|(at, _)| at)).unwrap_or_default();
            return Ok((name, seen.0.max(ended)));
        }
    }
    Err(Failure::new(format!("{}: there is no whole snapshot to begin with", from.snapshots.display())))
}

struct Latest(Zxid);

impl Restore for Latest {
    fn clear(&mut self) {}
    fn session(&mut self, _: i64, _: i32) {}
    fn acl(&mut self, _: i64, _: Vec<Acl>) {}
    fn node(&mut self, node: SnapshotNode<'_>) -> Result<(), NodeRefused> {
        if node.path != crate::proto::path::CONFIG {
            self.0 = self.0.max(Zxid(node.stat.mzxid.max(node.stat.pzxid)));
        }
        Ok(())
    }
    fn snapshot_done(&mut self, _: Zxid, _: Option<(Zxid, TxnDigest)>, _: Option<Zxid>) {}
    fn replay(&mut self, _: &TxnRecord<'_>, _: &[u8]) {}
}

fn go_on(args: &Backup, from: &Dirs, to: &Dirs, manifest: &Manifest) -> Result<Copied, Failure> {
    let mut copied = Copied::resume(to)?;
    let promised = manifest.zxid()?;
    if copied.zxid < promised {
        let why = "the backup ends before the transaction that it names: it is damaged";
        return Err(Failure::new(format!("{}: {why} ({} before {promised})", args.backup.display(), copied.zxid)));
    }
    match target(args, from)? {
        Some(end) if end < copied.zxid => {
            complain(&format!("the backup holds {} already, which is behind {end}: nothing to copy", copied.zxid));
        }
        Some(end) => drop(copied.follow(from, end)?),
        None => {}
    }
    Ok(copied)
}

fn write_manifest(copied: &Copied, from: &Dirs, backup: &Path) -> Result<Manifest, Failure> {
    let digest = copied.replay.tree.digest();
    let mut manifest =
        Manifest::new(copied.zxid, digest, copied.digest_proven(), copied.base.name.clone(), copied.nodes());
    manifest.last_time_ms = copied.time_ms;
    manifest.accepted_epoch = read_epoch(&RealDisk, from, EpochFile::Accepted)?;
    manifest.current_epoch = read_epoch(&RealDisk, from, EpochFile::Current)?;
    manifest.write(backup)?;
    Ok(manifest)
}

fn tell(backup: &Path, manifest: &Manifest, out: &mut Output) -> Result<(), Failure> {
    let made = manifest.last_time_ms.map_or_else(String::new, |ms| format!(", made {}", rfc3339(ms)));
    let proof =
        if manifest.digest_proven { "the server logged the same digest" } else { "the log names no digest to compare" };
    writeln!(
        out,
        "{}: {} from {}{made}: {} nodes, digest {} ({proof})",
        backup.display(),
        manifest.zxid,
        manifest.snapshot,
        manifest.nodes,
        manifest.digest
    )?;
    out.flush()
}

/// Copies what the server logs, step by step; after each the backup is whole.
fn follow(args: &Backup, from: &Dirs, copied: &mut Copied, out: &mut Output) -> Result<(), Failure> {
    let stop = on_signal()?;
    let interval = Duration::from_secs_f64(args.interval);
    let (mut manifest, mut trouble) = (None, String::new());
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(interval);
        let end = match target(args, from) {
            Ok(Some(end)) => end,
            Ok(None) => continue,
            // A server that restarts or purges; told once.
            Err(failure) => {
                if failure.text != trouble {
                    complain(&failure.text);
                    trouble = failure.text;
                }
                continue;
            }
        };
        if copied.follow(from, end)? > 0 {
            manifest = Some(write_manifest(copied, from, &args.backup)?);
        }
    }
    match manifest {
        Some(manifest) => tell(&args.backup, &manifest, out),
        None => Ok(()),
    }
}

/// Becomes true at SIGINT or SIGTERM.
fn on_signal() -> Result<Arc<AtomicBool>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error: std::io::Error| Failure::new(format!("cannot wait for signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?)
    };
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        stopped.store(true, Ordering::Relaxed);
    });
    Ok(stop)
}
