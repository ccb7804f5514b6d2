//! Removes snapshots and logs that no recovery will need (`org.apache.zookeeper.server.PurgeTxnLog`). When to do it is
//! the caller's; which files recovery would pick is [`super::recovery`]'s, and both ask the same check.

use super::dirs::Dirs;
use super::disk::Disk;
use super::error::StoreError;
use super::recovery::looks_whole;
use crate::proto::Zxid;

/// Fewer snapshots are never kept.
pub const RETAIN_MIN: usize = 3;

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Purged {
    /// Names of snapshots.
    pub snapshots: Vec<String>,
    /// Names of logs.
    pub logs: Vec<String>,
}

/// Keeps the `retain` newest snapshots that look whole, and every log that may hold a transaction after the oldest of
/// them. Removes nothing when there is no such snapshot.
pub fn purge<D: Disk>(disk: &D, dirs: &Dirs, retain: usize) -> Result<Purged, StoreError> {
    let mut purged = Purged::default();
    let mut kept = Vec::new();
    let snapshots = dirs.list_snapshots(disk)?;
    for snapshot in &snapshots {
        if kept.len() < retain.max(RETAIN_MIN) && looks_whole(disk, dirs, snapshot)? {
            kept.push(snapshot.zxid);
        }
    }
    let (Some(newest), Some(oldest)) = (kept.first().copied(), kept.last().copied()) else { return Ok(purged) };
    for snapshot in snapshots.into_iter().filter(|snapshot| snapshot.zxid < oldest) {
        remove(disk, &dirs.snapshots, &snapshot.name)?;
        purged.snapshots.push(snapshot.name);
    }
    // One that is being written is newer than any that is finished.
    for unfinished in dirs.list_unfinished_snapshots(disk)?.into_iter().filter(|file| file.zxid < newest) {
        remove(disk, &dirs.snapshots, &unfinished.name)?;
        purged.snapshots.push(unfinished.name);
    }
    let logs = dirs.list_logs(disk)?;
    // The newest log that starts at the snapshot or before may hold what comes after it.
    let needed = logs.iter().map(|log| log.zxid).filter(|zxid| *zxid <= oldest).max().unwrap_or(Zxid::ZERO);
    for log in logs.into_iter().filter(|log| log.zxid < needed) {
        remove(disk, &dirs.logs, &log.name)?;
        purged.logs.push(log.name);
    }
    Ok(purged)
}

fn remove<D: Disk>(disk: &D, dir: &std::path::Path, name: &str) -> Result<(), StoreError> {
    let path = dir.join(name);
    match disk.remove(&path) {
        // Somebody else's cleaning was faster.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(StoreError::io(&path, "remove the file")),
    }
}
