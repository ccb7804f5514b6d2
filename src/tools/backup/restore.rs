//! Making a data folder of a backup: as it was at its end, at a transaction, or at a time.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::command::{base_for, discard, newest};
use super::copy::Copied;
use super::live_end::end_of;
use super::manifest::Manifest;
use crate::proto::Zxid;
use crate::store::{Dirs, Disk, EpochFile, FolderLock, LogReader, ReadOptions, RealDisk, SnapshotName, write_epoch};
use crate::tools::output::{Failure, Output, complain, parse_time, rfc3339};
use crate::tools::{folders, parse_zxid};

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup, or any data folder.
    backup: PathBuf,
    /// The data folder to make (dataDir). There must be no data in it.
    dir: PathBuf,
    /// The folder of the logs to make, where it shall be another one (dataLogDir).
    #[arg(long)]
    log_dir: Option<PathBuf>,
    /// The last transaction, such as 0x1f or 31, or the one before it where there is none of this number; otherwise all
    /// that the backup holds.
    #[arg(long, value_parser = parse_zxid)]
    zxid: Option<Zxid>,
    /// The time: transactions made later are left out. RFC 3339, such as 2026-11-22T08:50:20Z, or ms since 1970.
    #[arg(long, value_parser = parse_time, conflicts_with = "zxid")]
    time: Option<i64>,
    /// Begin a new ensemble with this data: epochs as the data has them, no promise to an old leader is kept. The same
    /// folder belongs onto every member. Sequence counters, sessions and all nodes stay as they were.
    #[arg(long)]
    new_ensemble: bool,
}

/// Restores. Exit code 1 when the digests of the files do not agree.
pub fn restore(args: &RestoreArgs, out: &mut Output) -> Result<u8, Failure> {
    let from = folders(&args.backup, None);
    if !from.snapshots.is_dir() {
        return Err(Failure::new(format!("{}: there is neither a backup nor a data folder", args.backup.display())));
    }
    let manifest = Manifest::read(&args.backup)?;
    let to = Dirs::new(&args.dir, args.log_dir.as_deref());
    refuse_used(&to)?;
    let target = target(args, &from)?;
    let base = if args.zxid.is_none() && args.time.is_none() { newest(&from)?.0 } else { base_for(&from, target)? };
    to.open(&RealDisk, true)?;
    let _lock = FolderLock::take(&to)?;
    let copied = match make(args, manifest.as_ref(), &from, &base, &to, target) {
        Ok(copied) => copied,
        Err(failure) => {
            // Half a folder would be served by the next server that starts there.
            discard(&to);
            return Err(failure);
        }
    };
    let made = copied.time_ms.map_or_else(String::new, |ms| format!(", made {}", rfc3339(ms)));
    let (nodes, digest) = (copied.nodes(), copied.replay.tree.digest());
    writeln!(out, "{}: {}{made}: {nodes} nodes, digest {digest:#x}", args.dir.display(), copied.zxid)?;
    out.flush()?;
    if args.new_ensemble {
        complain("Copy this folder onto every member of the new ensemble before the first of them starts");
    } else if manifest.as_ref().is_some_and(|manifest| manifest.current_epoch.is_some()) {
        complain(
            "This is the data of a member. While the others have later data, do not start it with them: empty the folder and \
             let the member copy from them. If all are lost, use --new-ensemble",
        );
    }
    Ok(u8::from(copied.replay.digest_mismatches > 0))
}

fn make(
    args: &RestoreArgs,
    manifest: Option<&Manifest>,
    from: &Dirs,
    base: &SnapshotName,
    to: &Dirs,
    target: Zxid,
) -> Result<Copied, Failure> {
    let mut copied = Copied::begin(from, base, to)?;
    copied.follow(from, target)?;
    if args.zxid.is_none() && copied.zxid < target {
        return Err(Failure::new(format!(
            "{}: the logs end with {}, before {target}",
            from.logs.display(),
            copied.zxid
        )));
    }
    copied.read_back()?;
    if let Some(manifest) = manifest {
        agree(manifest, &copied)?;
    }
    epochs(args, manifest, from, to, copied.zxid)?;
    Ok(copied)
}

/// Data is never written over.
fn refuse_used(to: &Dirs) -> Result<(), Failure> {
    crate::tools::live::refuse_if_held(to)?;
    for dir in [&to.snapshots, &to.logs] {
        let names = if dir.is_dir() { RealDisk.list(dir).unwrap_or_else(|_| vec!["?".into()]) } else { Vec::new() };
        if let Some(name) = names.first() {
            let why = format!("there is something in it ({name}): move it away first. Nothing was changed");
            return Err(Failure::new(format!("{}: {why}", dir.display())));
        }
    }
    Ok(())
}

/// The last transaction to restore.
fn target(args: &RestoreArgs, from: &Dirs) -> Result<Zxid, Failure> {
    let end = end_of(from)?;
    let newest = from.list_snapshots(&RealDisk)?.first().map(|name| name.zxid);
    let last = end.map(|end| end.zxid).max(newest);
    let last = last.ok_or_else(|| Failure::new(format!("{}: there is no data", from.snapshots.display())))?;
    if let Some(time_ms) = args.time {
        return at_time(from, time_ms, last);
    }
    match args.zxid {
        Some(zxid) if zxid > last => Err(Failure::new(format!("{zxid} is not there: the last transaction is {last}"))),
        Some(zxid) => Ok(zxid),
        None => Ok(last),
    }
}

/// The transaction in front of the first one that was made later. The clock of a leader may go back: what comes after
/// a later one is left out even if it claims to be older.
fn at_time(from: &Dirs, time_ms: i64, last: Zxid) -> Result<Zxid, Failure> {
    let snapshots = from.list_snapshots(&RealDisk)?;
    let oldest = snapshots.last().map_or(Zxid::ZERO, |name| name.zxid);
    let mut reader = LogReader::open(&RealDisk, from, oldest.next(), Some(oldest), ReadOptions::default())?;
    let mut before = oldest;
    while let Some(record) = reader.next_record()? {
        let header = record.decode().map_err(|why| Failure::new(format!("transaction {}: {why}", record.zxid)))?.header;
        if header.time_ms > time_ms {
            if before == oldest && oldest > Zxid::ZERO {
                let first = rfc3339(header.time_ms);
                return Err(Failure::new(format!(
                    "{} is too early: what is known begins before {first}",
                    rfc3339(time_ms)
                )));
            }
            return Ok(before);
        }
        before = record.zxid;
    }
    Ok(before.max(last))
}

/// A restore of the whole backup must lead to the digest that the backup names.
fn agree(manifest: &Manifest, copied: &Copied) -> Result<(), Failure> {
    let digest = format!("{:#x}", copied.replay.tree.digest());
    if manifest.zxid()? == copied.zxid && manifest.digest != digest {
        return Err(Failure::new(format!(
            "the backup names the digest {} for {}, but its files lead to {digest}: it is damaged",
            manifest.digest, manifest.zxid
        )));
    }
    Ok(())
}

fn epochs(args: &RestoreArgs, manifest: Option<&Manifest>, from: &Dirs, to: &Dirs, zxid: Zxid) -> Result<(), Failure> {
    let (accepted, current) = match manifest {
        _ if args.new_ensemble => (Some(i64::from(zxid.epoch())), Some(i64::from(zxid.epoch()))),
        Some(manifest) => (manifest.accepted_epoch, manifest.current_epoch),
        None => (
            crate::store::read_epoch(&RealDisk, from, EpochFile::Accepted)?,
            crate::store::read_epoch(&RealDisk, from, EpochFile::Current)?,
        ),
    };
    // The promise first: a current epoch above it would be refused.
    for (which, epoch) in [(EpochFile::Accepted, accepted), (EpochFile::Current, current)] {
        if let Some(epoch) = epoch {
            write_epoch(&RealDisk, to, which, epoch)?;
        }
    }
    Ok(())
}
