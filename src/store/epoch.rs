//! The two epoch files of a quorum member: decimal text, replaced as a whole. Standalone servers neither read nor write
//! them. What the numbers mean is Zab's business; here is what a start makes of those it finds
//! (`org.apache.zookeeper.server.quorum.QuorumPeer.loadDataBase`).

use std::io;
use std::path::PathBuf;

use super::dirs::Dirs;
use super::disk::{Disk, read_small, replace_small};
use super::error::StoreError;
use crate::proto::Zxid;

/// Longer than any number.
const LENGTH_MAX: usize = 64;
/// Left by some 3.4 releases between a snapshot and the update of the epoch.
const UPDATING: &str = "updatingEpoch";

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochFile {
    /// The epoch promised to a leader.
    Accepted,
    /// The epoch of the leader whose history this server has.
    Current,
}

/// Both numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epochs {
    /// See [`EpochFile::Accepted`].
    pub accepted: i64,
    /// See [`EpochFile::Current`].
    pub current: i64,
}

impl EpochFile {
    fn path(self, dirs: &Dirs) -> PathBuf {
        dirs.snapshots.join(match self {
            EpochFile::Accepted => "acceptedEpoch",
            EpochFile::Current => "currentEpoch",
        })
    }
}

/// Reads one; `None` when it is not there.
pub fn read_epoch<D: Disk>(disk: &D, dirs: &Dirs, which: EpochFile) -> Result<Option<i64>, StoreError> {
    read_number(disk, which.path(dirs))
}

/// Replaces one, durably.
pub fn write_epoch<D: Disk>(disk: &D, dirs: &Dirs, which: EpochFile, epoch: i64) -> Result<(), StoreError> {
    let path = which.path(dirs);
    replace_small(disk, &path, epoch.to_string().as_bytes()).map_err(StoreError::io(&path, "write the epoch"))
}

/// Brings both files in line with the data at the start of a quorum member, or refuses.
pub fn settle_epochs<D: Disk>(disk: &D, dirs: &Dirs, last_zxid: Zxid) -> Result<Epochs, StoreError> {
    let of_data = i64::from(last_zxid.epoch());
    let mut current = settle_missing(disk, dirs, EpochFile::Current, of_data)?;
    if of_data > current {
        let path = EpochFile::Current.path(dirs);
        let temporary = path.with_extension("tmp");
        let updating = dirs.snapshots.join(UPDATING);
        current = if read_epoch(disk, dirs, EpochFile::Accepted)?.is_some_and(|accepted| accepted >= of_data) {
            // It stopped while it got in step with the leader of an epoch that it had accepted: it has the beginning of that
            // leader's history, as a follower of its last transaction's epoch has. The leader's own epoch would claim more.
            of_data
        } else if let Ok(Some(epoch)) = read_number(disk, temporary) {
            epoch
        } else if disk.is_file(&updating) {
            of_data
        } else {
            let why = format!(
                "the current epoch, {current}, is older than the last zxid, {last_zxid}; the file does not belong to this \
                 data. Restore the folder as a whole, or empty it and let the member copy from the others"
            );
            return Err(StoreError::Epoch { path, why });
        };
        write_epoch(disk, dirs, EpochFile::Current, current)?;
        if disk.is_file(&updating) {
            disk.remove(&updating).map_err(StoreError::io(&updating, "remove the file"))?;
        }
    }
    let accepted = settle_missing(disk, dirs, EpochFile::Accepted, of_data)?;
    if accepted < current {
        let why = format!(
            "the accepted epoch, {accepted}, is less than the current epoch, {current}; restore the folder as a whole, or \
             empty it and let the member copy from the others"
        );
        return Err(StoreError::Epoch { path: EpochFile::Accepted.path(dirs), why });
    }
    Ok(Epochs { accepted, current })
}

fn settle_missing<D: Disk>(disk: &D, dirs: &Dirs, which: EpochFile, epoch: i64) -> Result<i64, StoreError> {
    match read_epoch(disk, dirs, which)? {
        Some(found) => Ok(found),
        None => {
            write_epoch(disk, dirs, which, epoch)?;
            Ok(epoch)
        }
    }
}

fn read_number<D: Disk>(disk: &D, path: PathBuf) -> Result<Option<i64>, StoreError> {
    let bytes = match read_small(disk, &path, LENGTH_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result.map_err(StoreError::io(&path, "read the epoch"))?,
    };
    let line = String::from_utf8_lossy(&bytes);
    match line.lines().next().unwrap_or_default().parse() {
        Ok(epoch) => Ok(Some(epoch)),
        Err(_) => {
            let why = format!("found {line:?} where an epoch should be, a decimal number");
            Err(StoreError::Epoch { path, why })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SimDisk;
    use std::path::Path;

    fn folder(files: &[(&str, &str)]) -> (SimDisk, Dirs) {
        let disk = SimDisk::new(3);
        let dirs = Dirs::new(Path::new("/data"), None);
        dirs.open(&disk, true).unwrap();
        for (name, text) in files {
            disk.install(&dirs.snapshots.join(name), text.as_bytes().to_vec());
        }
        (disk, dirs)
    }

    fn settle(files: &[(&str, &str)], zxid: Zxid) -> Result<(i64, i64), StoreError> {
        let (disk, dirs) = folder(files);
        let epochs = settle_epochs(&disk, &dirs, zxid)?;
        assert_eq!(read_epoch(&disk, &dirs, EpochFile::Current).unwrap(), Some(epochs.current));
        assert_eq!(read_epoch(&disk, &dirs, EpochFile::Accepted).unwrap(), Some(epochs.accepted));
        Ok((epochs.accepted, epochs.current))
    }

    #[test]
    fn missing_files_take_the_epoch_of_the_data() {
        assert_eq!(settle(&[], Zxid::new(4, 7)).unwrap(), (4, 4));
        assert_eq!(settle(&[("currentEpoch", "5\n")], Zxid::new(4, 7)).unwrap_err().exit_code(), 1);
        assert_eq!(settle(&[("acceptedEpoch", "6")], Zxid::new(4, 7)).unwrap(), (6, 4));
    }

    #[test]
    fn data_ahead_of_the_current_epoch_needs_a_reason() {
        let files = [("currentEpoch", "1"), ("acceptedEpoch", "2")];
        assert!(settle(&files, Zxid::new(3, 1)).is_err());
        assert!(settle(&[files[0], files[1], ("currentEpoch.tmp", "")], Zxid::new(3, 1)).is_err());
        assert!(settle(&[files[0], files[1], ("currentEpoch.tmp", "3")], Zxid::new(3, 1)).is_err());
        assert_eq!(settle(&[files[0], ("currentEpoch.tmp", "3")], Zxid::new(3, 1)).unwrap(), (3, 3));
        assert_eq!(settle(&[files[0], ("updatingEpoch", "")], Zxid::new(3, 1)).unwrap(), (3, 3));
    }

    #[test]
    fn who_stops_while_getting_in_step_has_the_epoch_of_its_data() {
        let files = [("currentEpoch", "1"), ("acceptedEpoch", "4"), ("currentEpoch.tmp", "")];
        assert_eq!(settle(&files, Zxid::new(2, 1)).unwrap(), (4, 2));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "x", "1 2", "99999999999999999999"] {
            assert!(settle(&[("currentEpoch", text)], Zxid::ZERO).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_power_cut_leaves_the_old_epoch_or_the_new() {
        for seed in 0..500 {
            let disk = SimDisk::new(seed);
            let dirs = Dirs::new(Path::new("/data"), None);
            dirs.open(&disk, true).unwrap();
            write_epoch(&disk, &dirs, EpochFile::Current, 1).unwrap();
            disk.burn_fuse(seed % 8);
            let written = write_epoch(&disk, &dirs, EpochFile::Current, 2).is_ok();
            disk.power_cut();
            let found = read_epoch(&disk, &dirs, EpochFile::Current).unwrap();
            assert!(found == Some(2) || (!written && found == Some(1)), "seed {seed}: {found:?}");
        }
    }
}
