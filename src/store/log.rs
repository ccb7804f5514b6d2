//! Writes transaction logs: records are gathered, then written and synced together. A log that failed once is closed
//! for good; its owner stops the process. Knows bytes and zxids, not what a transaction means. [`super::log_fill`]
//! prepares the room ahead, [`super::log_reader`] reads it all back.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::dirs::Dirs;
use super::disk::{Disk, DiskFile};
use super::error::StoreError;
use super::log_fill::{Filler, Filling};
use super::log_reader::{HEADER, UNSYNCED_MAX};
use super::tear::{END_OF_RECORD, checksum, first_record_is_whole};
use crate::mutant::{self, Mutant};
use crate::proto::Zxid;

/// At most so many bytes are written without a sync between them. The reader relies on the bound when it judges a tear.
pub(super) const WRITE_MAX: usize = 4 << 20;
const _: () = assert!(WRITE_MAX as u64 <= UNSYNCED_MAX);
/// Room that the gathering buffer keeps from batch to batch.
const BUFFER_KEEP: usize = 1 << 20;

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// Bytes of zeros to keep ahead at most (`preAllocSize`); 0 for none.
    pub preallocate: u64,
    /// A file with more bytes than this is left for a new one (`txnLogSizeLimitInKb`).
    pub size_limit: Option<u64>,
    /// Whether a commit waits for the disk (`forceSync`).
    pub force_sync: bool,
    /// A sync that takes longer is worth a warning (`fsync.warningthresholdms`).
    pub sync_warning: Duration,
    /// Who prepares the room ahead.
    pub filling: Filling,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions {
            preallocate: 64 << 20,
            size_limit: None,
            force_sync: true,
            sync_warning: Duration::from_secs(1),
            filling: Filling::Thread,
        }
    }
}

/// What a log has done since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogStats {
    /// Records made durable.
    pub records: u64,
    /// Bytes made durable, frames included.
    pub bytes: u64,
    /// Syncs of log files.
    pub syncs: u64,
    /// Time spent in them.
    pub sync_time: Duration,
    /// The longest of them.
    pub sync_time_max: Duration,
    /// The last of them.
    pub sync_time_last: Duration,
    /// Syncs above the warning threshold.
    pub slow_syncs: u64,
    /// Files begun.
    pub files: u64,
}

/// The transaction log of a server that runs. One thread owns it.
pub struct LogWriter<D: Disk> {
    disk: D,
    dirs: Dirs,
    options: LogOptions,
    current: Option<Current<D>>,
    /// Frames that are not written yet.
    pending: Vec<u8>,
    pending_records: u64,
    /// First transaction of `pending`.
    pending_first: Zxid,
    last: Option<Zxid>,
    poisoned: Option<String>,
    stats: LogStats,
}

struct Current<D: Disk> {
    path: PathBuf,
    file: D::File,
    /// Bytes written and, with `force_sync`, durable.
    end: u64,
    filler: Filler<D>,
}

impl<D: Disk> LogWriter<D> {
    /// A log that begins a new file with its first record, as the original does after each start.
    pub fn new(disk: &D, dirs: &Dirs, options: LogOptions) -> Self {
        LogWriter {
            disk: disk.clone(),
            dirs: dirs.clone(),
            options,
            current: None,
            pending: Vec::new(),
            pending_records: 0,
            pending_first: Zxid::ZERO,
            last: None,
            poisoned: None,
            stats: LogStats::default(),
        }
    }

    /// Takes a record: header, body and digest as they shall stand in the file. Durable after [`LogWriter::commit`].
    pub fn append(&mut self, zxid: Zxid, body: &[u8]) {
        if self.last.is_some_and(|last| zxid <= last) {
            tracing::warn!(%zxid, last = %self.last.unwrap_or_default(), "transaction logged out of order");
        }
        if self.pending.is_empty() {
            self.pending_first = zxid;
        }
        self.last = Some(zxid);
        let length = i32::try_from(body.len()).expect("a record is built from a frame, whose length is an int");
        self.pending.extend_from_slice(&checksum(body).to_be_bytes());
        self.pending.extend_from_slice(&length.to_be_bytes());
        self.pending.extend_from_slice(body);
        self.pending.push(END_OF_RECORD);
        self.pending_records += 1;
    }

    /// Writes what was appended and waits until it is durable. After an error nothing of the batch may be acknowledged,
    /// and the log takes no more.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        if let Some(cause) = &self.poisoned {
            return Err(StoreError::Poisoned { path: self.dirs.logs.clone(), cause: cause.clone() });
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.write_pending() {
            self.poison(&error);
            return Err(error);
        }
        self.stats.records += std::mem::take(&mut self.pending_records);
        self.stats.bytes += self.pending.len() as u64;
        self.pending.clear();
        self.pending.shrink_to(BUFFER_KEEP);
        if self.options.size_limit.is_some_and(|limit| self.current_bytes() > limit) {
            self.close_current();
        }
        Ok(())
    }

    /// Commits, and leaves the file: the next record begins a new one.
    pub fn roll(&mut self) -> Result<(), StoreError> {
        self.commit()?;
        self.close_current();
        Ok(())
    }

    /// Bytes of the current file, padding not counted.
    pub fn current_bytes(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.end)
    }

    /// Bytes that wait for a commit.
    pub fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Counters.
    pub fn stats(&self) -> LogStats {
        self.stats
    }

    fn write_pending(&mut self) -> Result<(), StoreError> {
        if self.current.is_none() {
            self.current = Some(self.begin_file()?);
            self.stats.files += 1;
        }
        let current = self.current.as_mut().expect("a file was begun above");
        for piece in self.pending.chunks(WRITE_MAX) {
            let end = current.end + piece.len() as u64;
            current.filler.reserve(end);
            let write = StoreError::io(&current.path, "write the log");
            current.file.write_all_at(piece, current.end).map_err(write)?;
            if self.options.force_sync {
                let started = Instant::now();
                let synced = current.file.sync_data();
                if !mutant::is(Mutant::FailedSyncIgnored) {
                    synced.map_err(StoreError::io(&current.path, "sync the log"))?;
                }
                self.stats.synced(started.elapsed(), self.options.sync_warning, &current.path);
            }
            current.end = end;
        }
        current.filler.fill_ahead();
        Ok(())
    }

    /// Creates the file of the first pending record: its header and its name are durable before any record is in it.
    fn begin_file(&self) -> Result<Current<D>, StoreError> {
        let path = self.dirs.log_path(self.pending_first);
        if self.disk.is_file(&path) {
            self.set_aside(&path)?;
        }
        let create = || StoreError::io(&path, "create the log");
        let file = self.disk.create(&path).map_err(create())?;
        file.write_all_at(&HEADER, 0).map_err(create())?;
        if self.options.force_sync {
            file.sync_data().map_err(create())?;
            if !mutant::is(Mutant::LogNameNotSynced) {
                self.disk.sync_dir(&self.dirs.logs).map_err(StoreError::io(&self.dirs.logs, "sync the folder"))?;
            }
        }
        let end = HEADER.len() as u64;
        let filler = Filler::new(&self.disk, &path, end, self.options.preallocate, self.options.filling);
        Ok(Current { path, file, end, filler })
    }

    /// Makes room for a name that is taken. Recovery has read the file and found no record in it that counts: it is
    /// blank, or its records were given up. What has something in it is kept under another name.
    fn set_aside(&self, path: &std::path::Path) -> Result<(), StoreError> {
        let look = || StoreError::io(path, "look at the log of the same name");
        let old = self.disk.open_write(path).map_err(look())?;
        if first_record_is_whole(&old).map_err(look())? {
            let source = io::Error::new(io::ErrorKind::AlreadyExists, "it holds good records that were not read");
            return Err(StoreError::Io { path: path.to_owned(), doing: "begin the log", source });
        }
        if old.len().map_err(look())? > HEADER.len() as u64 {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let aside = path.with_file_name(format!("given-up-{name}"));
            tracing::warn!(from = %path.display(), to = %aside.display(), "a log without usable records is set aside");
            self.disk.rename(path, &aside).map_err(look())?;
        }
        Ok(())
    }

    fn close_current(&mut self) {
        if let Some(current) = self.current.take() {
            current.filler.close(Some(current.end));
        }
    }

    /// Closes the log for good. When the disk is full, what was written of the batch is cut off again with the padding,
    /// so that there is some room for what must be written on the way out; after any other error nobody knows
    /// what the file holds, and nothing more is done to it.
    fn poison(&mut self, error: &StoreError) {
        self.poisoned = Some(error.to_string());
        if let Some(current) = self.current.take() {
            let full = matches!(error, StoreError::DiskFull { .. });
            current.filler.close(full.then_some(current.end));
        }
    }
}

impl<D: Disk> Drop for LogWriter<D> {
    fn drop(&mut self) {
        self.close_current();
    }
}

impl LogStats {
    fn synced(&mut self, took: Duration, warning: Duration, path: &std::path::Path) {
        self.syncs += 1;
        self.sync_time += took;
        self.sync_time_last = took;
        self.sync_time_max = self.sync_time_max.max(took);
        if took > warning {
            self.slow_syncs += 1;
            tracing::warn!(
                path = %path.display(),
                took_ms = took.as_millis() as u64,
                "the sync of the log took long, which delays every write; is the disk shared?"
            );
        }
    }
}
