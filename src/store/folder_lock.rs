//! Who may write to data folders. A server keeps an exclusive lock on the folders themselves for its lifetime, and a
//! tool while it changes something; no file is added that Apache's server would wonder at. The system releases the lock
//! when its holder ends, however it ends. Apache's server knows nothing of it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use super::dirs::Dirs;
use super::error::StoreError;

/// So long a lock that is in use is tried again: a tool that only looks takes it for an instant.
const PATIENCE: Duration = Duration::from_millis(500);

/// The locks of a server's or a tool's folders, until dropped.
#[derive(Debug)]
pub struct FolderLock {
    _folders: Vec<File>,
}

impl FolderLock {
    /// Locks folders that are there. Fails when somebody else holds one of them; on a file system without locks there is
    /// nothing to hold, and the log says so.
    pub fn take(dirs: &Dirs) -> Result<Self, StoreError> {
        let mut folders = vec![&dirs.snapshots];
        if dirs.logs != dirs.snapshots {
            folders.push(&dirs.logs);
        }
        let mut locked = Vec::new();
        for dir in folders {
            locked.extend(take(dir)?);
        }
        Ok(FolderLock { _folders: locked })
    }

    /// True when somebody holds the lock of a folder.
    pub fn is_taken(dir: &Path) -> bool {
        let Ok(file) = File::open(dir) else { return false };
        flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
    }
}

fn take(dir: &Path) -> Result<Option<File>, StoreError> {
    let file = File::open(dir).map_err(StoreError::io(dir, "open the folder"))?;
    let started = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) if started.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let why =
                    "another server or tool holds this folder: two would destroy each other's data. Stop the other";
                return Err(StoreError::Folder { path: dir.to_owned(), why: why.into() });
            }
            Err(error) => {
                let error = io::Error::from(error);
                tracing::warn!(dir = %dir.display(), %error, "this file system has no locks: nothing keeps a second server away");
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("version-2")).unwrap();
        let dirs = Dirs::new(dir.path(), None);
        let lock = FolderLock::take(&dirs).unwrap();
        assert!(FolderLock::is_taken(&dirs.snapshots));
        let error = FolderLock::take(&dirs).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains("another server or tool"), "{error}");
        drop(lock);
        assert!(!FolderLock::is_taken(&dirs.snapshots));
        FolderLock::take(&dirs).unwrap();
    }
}
