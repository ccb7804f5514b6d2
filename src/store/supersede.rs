//! After a copy of everything has come from another server: what stood here before is another history, and goes. Left in place,
//! its logs would seem to lead up to the copy: the first transaction of the next epoch fits behind any last one, so a later
//! reader, or a learner that is brought up to date from these files, would be given transactions that never were
//! (ZOOKEEPER-2846 and its kin).

use super::dirs::Dirs;
use super::disk::Disk;
use super::error::StoreError;
use crate::mutant::{self, Mutant};
use crate::proto::Zxid;

/// Removes every log and every snapshot but that of `zxid`, which is whole and durable. The log is closed. A power cut on the
/// way leaves either that snapshot or what stood here before, in each case with the first of what came behind it.
pub fn supersede<D: Disk>(disk: &D, dirs: &Dirs, zxid: Zxid) -> Result<(), StoreError> {
    if mutant::is(Mutant::LogsBeforeCopyStay) {
        return Ok(());
    }
    // The newest first, each for good before the next: what is left never has a hole.
    for log in dirs.list_logs(disk)?.into_iter().rev() {
        let path = dirs.logs.join(&log.name);
        disk.remove(&path).map_err(StoreError::io(&path, "remove the log"))?;
        disk.sync_dir(&dirs.logs).map_err(StoreError::io(&dirs.logs, "sync the folder"))?;
    }
    for snapshot in dirs.list_snapshots(disk)?.into_iter().filter(|snapshot| snapshot.zxid != zxid) {
        let path = dirs.snapshots.join(&snapshot.name);
        disk.remove(&path).map_err(StoreError::io(&path, "remove the snapshot"))?;
        disk.sync_dir(&dirs.snapshots).map_err(StoreError::io(&dirs.snapshots, "sync the folder"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::log_tests::{Collect, record};
    use super::super::{Compression, LogOptions, LogWriter, RecoverOptions, SimDisk, SnapshotWriter, recover};
    use super::*;
    use std::path::Path;

    fn snapshot(disk: &SimDisk, dirs: &Dirs, zxid: Zxid) {
        let mut writer =
            SnapshotWriter::begin(disk, dirs, zxid, Compression::None, &[], [].into_iter()).expect("room for it");
        writer.node("", None, -1, &Default::default()).expect("room for it");
        writer.finish(None, Some(zxid)).expect("room for it");
    }

    fn log(disk: &SimDisk, dirs: &Dirs, zxids: &[Zxid]) {
        let mut log = LogWriter::new(disk, dirs, LogOptions { preallocate: 0, ..LogOptions::default() });
        zxids.iter().for_each(|zxid| log.append(*zxid, &record(zxid.0, None)));
        log.commit().expect("room for it");
    }

    #[test]
    fn another_history_does_not_lead_up_to_a_copy() {
        for seed in 0..200 {
            let (disk, dirs) = (SimDisk::new(seed), Dirs::new(Path::new("/data"), None));
            dirs.open(&disk, true).expect("an empty disk");
            snapshot(&disk, &dirs, Zxid::ZERO);
            // The last of these never became history.
            log(&disk, &dirs, &[Zxid::new(4, 1), Zxid::new(4, 2)]);
            let copied = Zxid::new(5, 0);
            snapshot(&disk, &dirs, copied);
            disk.burn_fuse(seed % 6);
            let done = supersede(&disk, &dirs, copied).is_ok();
            disk.power_cut();
            let mut found = Collect::default();
            let recovered = recover(&disk, &dirs, &RecoverOptions::default(), &mut found).expect("the copy is whole");
            assert_eq!((recovered.last_zxid, recovered.replayed), (copied, 0), "seed {seed}");
            if done {
                assert!(dirs.list_logs(&disk).expect("it is there").is_empty(), "seed {seed}");
                assert_eq!(dirs.list_snapshots(&disk).expect("it is there").len(), 1, "seed {seed}");
            }
        }
    }
    #[test]
    fn what_was_longer_than_a_copy_goes_too_and_whoever_is_stopped_has_one_of_both() {
        for seed in 0..400 {
            let (disk, dirs) = (SimDisk::new(seed), Dirs::new(Path::new("/data"), None));
            dirs.open(&disk, true).expect("an empty disk");
            let copied = Zxid::new(4, 1);
            snapshot(&disk, &dirs, Zxid::ZERO);
            log(&disk, &dirs, &[Zxid::new(4, 1), Zxid::new(4, 2)]);
            snapshot(&disk, &dirs, Zxid::new(4, 3));
            log(&disk, &dirs, &[Zxid::new(4, 3), Zxid::new(4, 4)]);
            snapshot(&disk, &dirs, copied);
            disk.burn_fuse(seed % 12);
            let done = supersede(&disk, &dirs, copied).is_ok();
            disk.power_cut();
            let mut found = Collect::default();
            let recovered = recover(&disk, &dirs, &RecoverOptions::default(), &mut found).expect("one of both");
            assert!(recovered.last_zxid == copied || !done && recovered.last_zxid > copied, "seed {seed}");
        }
    }
}
