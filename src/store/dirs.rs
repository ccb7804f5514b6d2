//! The layout of the data folders: which file is called what, and what a name says about its content. Opens no file;
//! the readers and writers of [`super::log`] and [`super::snapshot`] do.

use std::path::{Path, PathBuf};

use super::compress::Compression;
use super::disk::Disk;
use super::error::StoreError;
use crate::proto::Zxid;

/// The subfolder that holds the files of the format in use.
const VERSION: &str = "version-2";
const INITIALIZE: &str = "initialize";
const LOG_PREFIX: &str = "log";
const SNAPSHOT_PREFIX: &str = "snapshot";

/// A transaction log by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogName {
    /// Its first transaction.
    pub zxid: Zxid,
    /// File name.
    pub name: String,
}

/// A snapshot by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotName {
    /// The last transaction that is wholly in it.
    pub zxid: Zxid,
    /// File name.
    pub name: String,
    /// From the suffix.
    pub compression: Compression,
}

impl LogName {
    /// A name that is one of a log.
    pub fn parse(name: &str) -> Option<Self> {
        Some(LogName { zxid: zxid_of(name, LOG_PREFIX)?, name: name.into() })
    }
}

impl SnapshotName {
    /// A name that is one of a snapshot.
    pub fn parse(name: &str) -> Option<Self> {
        let zxid = zxid_of(name, SNAPSHOT_PREFIX)?;
        Some(SnapshotName { zxid, compression: Compression::of_name(name), name: name.into() })
    }
}

/// The folders of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// Snapshots and epoch files.
    pub snapshots: PathBuf,
    /// Transaction logs.
    pub logs: PathBuf,
}

/// Bytes on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Snapshots, in the snapshot folder.
    pub snapshots: u64,
    /// Logs, in the log folder.
    pub logs: u64,
}

impl Dirs {
    /// The folders below `dataDir` and, where it is set, `dataLogDir`.
    pub fn new(data_dir: &Path, data_log_dir: Option<&Path>) -> Self {
        Dirs { snapshots: data_dir.join(VERSION), logs: data_log_dir.unwrap_or(data_dir).join(VERSION) }
    }

    /// Makes missing folders where that is allowed, and refuses folders that cannot be right: not writable, or with the
    /// roles swapped (`org.apache.zookeeper.server.persistence.FileTxnSnapLog`).
    pub fn open<D: Disk>(&self, disk: &D, autocreate: bool) -> Result<(), StoreError> {
        for dir in [&self.logs, &self.snapshots] {
            if !disk.is_dir(dir) {
                if !autocreate {
                    let why = "the data folder is missing, and datadir.autocreate is off: create it or switch it on";
                    return Err(StoreError::Folder { path: dir.clone(), why: why.into() });
                }
                create_durably(disk, dir)?;
            }
            if !disk.is_writable(dir) {
                let why = "the data folder is not writable for this user";
                return Err(StoreError::Folder { path: dir.clone(), why: why.into() });
            }
        }
        if self.logs != self.snapshots {
            self.refuse_swapped(disk)?;
        }
        Ok(())
    }

    fn refuse_swapped<D: Disk>(&self, disk: &D) -> Result<(), StoreError> {
        for (dir, prefix, role, kind) in [
            (&self.logs, "snapshot.", "dataLogDir", "snapshots"),
            (&self.snapshots, "log.", "dataDir", "transaction logs"),
        ] {
            if let Some(name) = list(disk, dir)?.iter().find(|name| name.starts_with(prefix)) {
                let why = format!(
                    "the folder of {role} holds {kind} ({name}); check whether dataDir and dataLogDir are swapped"
                );
                return Err(StoreError::Folder { path: dir.clone(), why });
            }
        }
        Ok(())
    }

    /// The logs, oldest first.
    pub fn list_logs<D: Disk>(&self, disk: &D) -> Result<Vec<LogName>, StoreError> {
        let names = list(disk, &self.logs)?.into_iter();
        let mut logs: Vec<_> = names.filter_map(|name| LogName::parse(&name)).collect();
        logs.sort();
        Ok(logs)
    }

    /// The snapshots, newest first. Files that are still being written are not among them.
    pub fn list_snapshots<D: Disk>(&self, disk: &D) -> Result<Vec<SnapshotName>, StoreError> {
        let names = list(disk, &self.snapshots)?.into_iter();
        let mut snapshots: Vec<_> =
            names.filter(|name| !is_temporary(name)).filter_map(|name| SnapshotName::parse(&name)).collect();
        snapshots.sort_by(|a, b| b.cmp(a));
        Ok(snapshots)
    }

    /// Where the snapshots behind `after` up to `upto` stand. Logs that pass one without its transaction do not lead up to it:
    /// they are what was here before a copy, and a crash kept them from being removed.
    pub fn snapshots_within<D: Disk>(&self, disk: &D, after: Zxid, upto: Zxid) -> Result<Vec<Zxid>, StoreError> {
        let all = self.list_snapshots(disk)?.into_iter().map(|snapshot| snapshot.zxid);
        Ok(all.filter(|zxid| after < *zxid && *zxid <= upto).collect())
    }

    /// Snapshots that were never finished.
    pub(super) fn list_unfinished_snapshots<D: Disk>(&self, disk: &D) -> Result<Vec<LogName>, StoreError> {
        let names = list(disk, &self.snapshots)?.into_iter().filter(|name| is_temporary(name));
        Ok(names.filter_map(|name| Some(LogName { zxid: zxid_of(&name, SNAPSHOT_PREFIX)?, name })).collect())
    }

    /// Where the log that starts with `zxid` stands.
    pub fn log_path(&self, zxid: Zxid) -> PathBuf {
        self.logs.join(format!("{LOG_PREFIX}.{:x}", zxid.0))
    }

    /// Where the snapshot of `zxid` stands.
    pub fn snapshot_path(&self, zxid: Zxid, compression: Compression) -> PathBuf {
        self.snapshots.join(format!("{SNAPSHOT_PREFIX}.{:x}{}", zxid.0, compression.suffix()))
    }

    /// The marker that allows an empty folder to become a new database: where zkServer-initialize.sh leaves it, beside the
    /// snapshots. Where the logs have a folder of their own, the original never finds it there: it looks beside the logs,
    /// which is the second place, if it is another one (`org.apache.zookeeper.server.persistence.FileTxnSnapLog`).
    pub fn initialize_paths(&self) -> impl Iterator<Item = PathBuf> {
        let beside = |folder: &Path| folder.parent().unwrap_or(folder).join(INITIALIZE);
        let (first, second) = (beside(&self.snapshots), beside(&self.logs));
        let other = (second != first).then_some(second);
        std::iter::once(first).chain(other)
    }

    /// Whether there is such a marker.
    pub fn may_initialize<D: Disk>(&self, disk: &D) -> bool {
        self.initialize_paths().any(|path| disk.is_file(&path))
    }

    /// The newest snapshot and when it was last written, in seconds since the Unix epoch; for who only shows it.
    pub fn newest_snapshot(&self) -> Option<(Zxid, i64)> {
        let newest = self.list_snapshots(&super::RealDisk).ok()?.into_iter().next()?;
        let written = std::fs::metadata(self.snapshots.join(&newest.name)).and_then(|data| data.modified()).ok()?;
        let seconds = written.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
        Some((newest.zxid, seconds))
    }

    /// How much the files take.
    pub fn sizes<D: Disk>(&self, disk: &D) -> Result<Sizes, StoreError> {
        let mut sizes = Sizes::default();
        for log in self.list_logs(disk)? {
            sizes.logs += length(disk, &self.logs.join(log.name))?;
        }
        for snapshot in self.list_snapshots(disk)? {
            sizes.snapshots += length(disk, &self.snapshots.join(snapshot.name))?;
        }
        Ok(sizes)
    }
}

/// The length of a file; 0 for one that was removed meanwhile.
fn length<D: Disk>(disk: &D, path: &Path) -> Result<u64, StoreError> {
    match disk.open(path).and_then(|file| super::DiskFile::len(&file)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        result => result.map_err(StoreError::io(path, "measure the file")),
    }
}

/// Creates `dir` with its parents, each name durable.
fn create_durably<D: Disk>(disk: &D, dir: &Path) -> Result<(), StoreError> {
    let parent = match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    if !disk.is_dir(parent) {
        create_durably(disk, parent)?;
    }
    let refused = |path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| StoreError::Folder { path, why: format!("cannot create the data folder: {error}") }
    };
    match disk.create_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && disk.is_dir(dir) => {}
        result => result.map_err(refused(dir))?,
    }
    disk.sync_dir(parent).map_err(refused(parent))
}

fn list<D: Disk>(disk: &D, dir: &Path) -> Result<Vec<String>, StoreError> {
    disk.list(dir).map_err(StoreError::io(dir, "list the folder"))
}

fn is_temporary(name: &str) -> bool {
    name.ends_with(".tmp")
}

/// The zxid of a file name. Part 1 counts, further parts are not looked at (`org.apache.zookeeper.server.persistence.Util`).
fn zxid_of(name: &str, prefix: &str) -> Option<Zxid> {
    let mut parts = name.split('.');
    if parts.next() != Some(prefix) {
        return None;
    }
    let zxid = i64::from_str_radix(parts.next()?, 16).ok()?;
    (zxid >= 0).then_some(Zxid(zxid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SimDisk;

    #[test]
    fn names_tell_zxid_and_compression() {
        assert_eq!(zxid_of("log.1d99", "log"), Some(Zxid(0x1d99)));
        assert_eq!(zxid_of("snapshot.400000007.gz", "snapshot"), Some(Zxid(0x4_0000_0007)));
        for bad in ["log", "log.", "log.zzz", "log.-1", "snapshot.1", "log.ffffffffffffffff", "xlog.1", "log1"] {
            assert_eq!(zxid_of(bad, "log"), None, "{bad}");
        }
    }

    #[test]
    fn listings_are_sorted_by_number_and_skip_strangers() {
        let disk = SimDisk::new(1);
        let dirs = Dirs::new(Path::new("/data"), None);
        dirs.open(&disk, true).unwrap();
        for name in ["log.9", "log.10", "log.zzz", "snapshot.2", "snapshot.ff.tmp", "snapshot.10.gz", "README", "myid"]
        {
            disk.create(&dirs.logs.join(name)).unwrap();
        }
        assert_eq!(dirs.list_logs(&disk).unwrap().iter().map(|l| l.zxid.0).collect::<Vec<_>>(), [0x9, 0x10]);
        let snapshots = dirs.list_snapshots(&disk).unwrap();
        assert_eq!(
            snapshots.iter().map(|s| (s.zxid.0, s.compression)).collect::<Vec<_>>(),
            [(0x10, Compression::Gz), (0x2, Compression::None)]
        );
    }

    #[test]
    fn a_missing_folder_is_refused_without_autocreate() {
        let disk = SimDisk::new(1);
        let dirs = Dirs::new(Path::new("/data"), None);
        assert_eq!(dirs.open(&disk, false).unwrap_err().exit_code(), 3);
        dirs.open(&disk, true).unwrap();
        dirs.open(&disk, false).unwrap();
    }

    #[test]
    fn swapped_folders_are_refused() {
        let disk = SimDisk::new(1);
        let dirs = Dirs::new(Path::new("/data"), Some(Path::new("/datalog")));
        dirs.open(&disk, true).unwrap();
        disk.create(&dirs.logs.join("snapshot.0")).unwrap();
        let error = dirs.open(&disk, true).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains("swapped"), "{error}");
    }
}
