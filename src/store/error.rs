//! What can go wrong with the files, in words for the operator who has to put it right: what, where, what now.
//! At start the server refuses with it; while it runs, an error of the log ends the process.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::is_full;
use crate::jute::DecodeError;
use crate::proto::Zxid;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A system call failed.
    #[error("{}: cannot {doing}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The system's word.
        source: io::Error,
    },
    /// No room is left.
    #[error("{}: the disk is full: cannot {doing} ({source}). Nothing acknowledged is lost; make room and start again", path.display())]
    DiskFull {
        /// File or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The system's word.
        source: io::Error,
    },
    /// A log cannot be used as it is.
    #[error("{}: offset {offset}: {what}. {remedy}", path.display())]
    Damaged {
        /// File.
        path: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What is wrong.
        what: String,
        /// What the operator can do.
        remedy: String,
    },
    /// Transactions are missing between the snapshot and the logs, or between two logs.
    #[error("{}: offset {offset}: transaction {found} follows {after}: those between are missing. {remedy}", path.display())]
    Hole {
        /// File that starts too late.
        path: PathBuf,
        /// Where in the file.
        offset: u64,
        /// The last transaction before the hole.
        after: Zxid,
        /// The first behind it.
        found: Zxid,
        /// What the operator can do.
        remedy: String,
    },
    /// A data folder is missing, not writable, or swapped with the other.
    #[error("{}: {why}", path.display())]
    Folder {
        /// Folder.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// There are snapshots, and none can be read.
    #[error("{}: not able to find a valid snapshot: {tried}. Put back a snapshot from a backup together with all later logs", dir.display())]
    NoValidSnapshot {
        /// Folder.
        dir: PathBuf,
        /// Each file, and why it was not taken.
        tried: String,
    },
    /// There are log records and no snapshot at all.
    #[error(
        "{}: no snapshot found, but the logs hold transactions from {first} on. Put the snapshots back, or set \
         snapshot.trust.empty=true for one start if this folder comes from a server before 3.5.3",
        dir.display()
    )]
    LogWithoutSnapshot {
        /// Folder.
        dir: PathBuf,
        /// First transaction found.
        first: Zxid,
    },
    /// An epoch file contradicts the data or the other epoch file.
    #[error("{}: {why}", path.display())]
    Epoch {
        /// File.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The log was asked to go on after a failed write or sync.
    #[error("{}: the log is closed for good after an earlier error: {cause}", path.display())]
    Poisoned {
        /// Folder of the logs.
        path: PathBuf,
        /// The earlier error.
        cause: String,
    },
    /// The data cannot be cut back to a transaction.
    #[error("{}: cannot cut the log after {zxid}: {why}", dir.display())]
    CannotTruncate {
        /// Folder of the logs.
        dir: PathBuf,
        /// The last transaction to keep.
        zxid: Zxid,
        /// Why not.
        why: String,
    },
}

impl StoreError {
    /// Wraps the error of a system call; to be used with `map_err`.
    pub fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_owned();
        move |source| {
            if is_full(&source) {
                StoreError::DiskFull { path, doing, source }
            } else {
                StoreError::Io { path, doing, source }
            }
        }
    }

    /// A record whose checksum is right, but whose body is no transaction that is known.
    pub fn undecodable(path: PathBuf, offset: u64, zxid: Zxid, why: DecodeError) -> StoreError {
        let what = format!("the checksum of transaction {zxid} is right, but its body cannot be read: {why}");
        let remedy = "Was it written by a newer version? Start that version, or restore a backup".into();
        StoreError::Damaged { path, offset, what, remedy }
    }

    /// The exit code with which the original ends when it meets this at start.
    pub fn exit_code(&self) -> i32 {
        match self {
            StoreError::Folder { .. } => 3,
            _ => 1,
        }
    }
}
