//! Keeps a stretch of zeros ahead of the end of a log: a sync of bytes that overwrite zeros on disk takes a half to a
//! quarter of the time of one that makes the file grow. Works in the background and may fail without harm; the log goes on without.
//! Never touches a byte that [`super::log`] has written or is about to write.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::disk::{Disk, DiskFile};

/// Zeros kept ahead of the writer.
const AHEAD: u64 = 4 << 20;
/// Written and synced at once. Small, since a sync of the log that comes meanwhile waits for it.
const CHUNK: u64 = 512 << 10;
/// Filled stretches end at a page, so that no page is synced as zeros and as records at once.
const PAGE: u64 = 4096;
/// Below so much free room no zeros are written: they would take it from the records.
const FREE_MIN: u64 = 64 << 20;

/// Who writes the zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filling {
    /// A thread for each file.
    Thread,
    /// The writer itself, after each commit; for simulations, which have one thread.
    Inline,
}

/// Fills one file.
pub(super) struct Filler<D: Disk> {
    work: Option<Arc<Work<D>>>,
    filling: Filling,
    thread: Option<JoinHandle<()>>,
}

struct Work<D: Disk> {
    disk: D,
    path: PathBuf,
    /// How far ahead at most.
    ahead: u64,
    state: Mutex<State>,
    /// Wakes the filling thread: there is something to fill, or it shall end.
    wanted: Condvar,
    /// Wakes the writer: the filling thread is off the file's end.
    released: Condvar,
}

struct State {
    /// The writer's end, or where it will be after the write that is under way.
    reserved: u64,
    /// The file holds records or zeros up to here.
    filled: u64,
    /// The filling thread is writing from `filled` on.
    writing: bool,
    /// The first commit has come: nothing delays that one.
    begun: bool,
    ended: bool,
    /// The file cannot be filled; not tried again.
    failed: bool,
}

impl<D: Disk> Filler<D> {
    /// Prepares to fill the file at `path`, which ends at `end`, up to `preallocate` bytes ahead.
    pub fn new(disk: &D, path: &Path, end: u64, preallocate: u64, filling: Filling) -> Self {
        let ahead = preallocate.min(AHEAD);
        if ahead == 0 {
            return Filler { work: None, filling, thread: None };
        }
        let state = State { reserved: end, filled: end, writing: false, begun: false, ended: false, failed: false };
        let work = Work {
            disk: disk.clone(),
            path: path.to_owned(),
            ahead,
            state: Mutex::new(state),
            wanted: Condvar::new(),
            released: Condvar::new(),
        };
        Filler { work: Some(Arc::new(work)), filling, thread: None }
    }

    /// To be called before the writer writes up to `end`: what is reserved is not filled any more.
    pub fn reserve(&self, end: u64) {
        let Some(work) = &self.work else { return };
        let mut state = work.lock();
        while end > state.filled && state.writing {
            state = work.released.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.reserved = end;
        state.filled = state.filled.max(end);
    }

    /// To be called after a commit: fills what is missing, or has it filled.
    pub fn fill_ahead(&mut self) {
        let Some(work) = self.work.clone() else { return };
        match self.filling {
            Filling::Inline => {
                work.lock().begun = true;
                while work.fill_chunk() {}
            }
            Filling::Thread => {
                let wanted = {
                    let mut state = work.lock();
                    state.begun = true;
                    work.is_wanted(&state)
                };
                if wanted {
                    work.wanted.notify_one();
                }
                if self.thread.is_none() {
                    self.start(work);
                }
            }
        }
    }

    fn start(&mut self, work: Arc<Work<D>>) {
        let builder = std::thread::Builder::new().name("log-fill".into());
        match builder.spawn(move || work.run()) {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => {
                tracing::warn!(%error, "no thread to prepare log files; writes will take longer");
                self.work = None;
            }
        }
    }

    /// Ends the filling; with `cut`, the file is cut there, so that no zeros stay behind.
    pub fn close(mut self, cut: Option<u64>) {
        let Some(work) = self.work.take() else { return };
        work.lock().ended = true;
        work.wanted.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic over there has been reported by its own hook, and the zeros do not matter.
            let _ = thread.join();
        }
        if let Some(end) = cut
            && let Ok(file) = work.disk.open_write(&work.path)
        {
            // Zeros behind the records are legal; it is only tidier without.
            let _ = file.set_len(end);
        }
    }
}

impl<D: Disk> Work<D> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The filling thread.
    fn run(&self) {
        loop {
            while self.fill_chunk() {}
            let mut state = self.lock();
            while !state.ended && !self.is_wanted(&state) {
                state = self.wanted.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.ended {
                return;
            }
        }
    }

    /// Not after each commit, only when a quarter is used up.
    fn is_wanted(&self, state: &State) -> bool {
        state.begun && !state.failed && state.filled - state.reserved <= self.ahead - self.ahead / 4
    }

    /// Fills one chunk; false when nothing is left to do.
    fn fill_chunk(&self) -> bool {
        let (from, length) = {
            let mut state = self.lock();
            let target = (state.reserved + self.ahead) & !(PAGE - 1);
            let missing = target.saturating_sub(state.filled);
            // No crumbs: a chunk costs a sync.
            if state.ended || state.failed || !state.begun || missing < CHUNK.min(self.ahead / 4).max(1) {
                return false;
            }
            state.writing = true;
            (state.filled, missing.min(CHUNK))
        };
        let result = self.write_zeros(from, length);
        let mut state = self.lock();
        state.writing = false;
        match &result {
            Ok(_) => state.filled = from + length,
            Err(error) => {
                tracing::debug!(path = %self.path.display(), %error, "the log cannot be filled ahead");
                state.failed = true;
            }
        }
        drop(state);
        self.released.notify_one();
        // Synced here, so that the writer's next sync does not have to. Its failure is the writer's to find: each
        // opening of a file hears of a lost page by itself, which is why this one is not the writer's.
        if let Ok(file) = result
            && file.sync_data().is_err()
        {
            self.lock().failed = true;
        }
        true
    }

    fn write_zeros(&self, from: u64, length: u64) -> std::io::Result<D::File> {
        let dir = self.path.parent().unwrap_or(&self.path);
        if self.disk.free_space(dir)? < FREE_MIN {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        let file = self.disk.open_write(&self.path)?;
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        let mut offset = from;
        while offset < from + length {
            let count = (from + length - offset).min(ZEROS.len() as u64) as usize;
            file.write_all_at(&ZEROS[..count], offset)?;
            offset += count as u64;
        }
        Ok(file)
    }
}
