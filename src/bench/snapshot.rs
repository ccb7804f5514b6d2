//! Reads while the server writes a snapshot: one thread reads at a steady rate, one writes, one looks at the data
//! directory and says when a snapshot file grows. The reads are counted apart by what it says.

use super::args::Args;
use super::connection::Tag;
use super::engine::Workload;
use super::stats::Class;
use super::workloads::Keyed;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the directory is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// A file that did not grow for so long is finished.
const QUIET: Duration = Duration::from_millis(200);
/// Where a data directory keeps its files.
const VERSION_DIRECTORY: &str = "version-2";

/// Reads outside of and during snapshots.
#[derive(Debug)]
pub struct Reads {
    /// What is read.
    pub keyed: Keyed,
    /// True while a snapshot is written.
    pub during: Arc<AtomicBool>,
}

impl Workload for Reads {
    fn classes(&self) -> &'static [Class] {
        const { &[Class::new("usual"), Class::new("during snapshot")] }
    }

    fn next(&mut self, index: usize, now_ns: u64, out: &mut Vec<u8>) -> Option<Tag> {
        let tag = self.keyed.next(index, now_ns, out)?;
        Some(Tag { class: u8::from(self.during.load(Ordering::Relaxed)), ..tag })
    }
}

/// A thread that watches a data directory; ends when it is dropped.
#[derive(Debug)]
pub struct Lookout {
    /// True while a snapshot is written.
    pub during: Arc<AtomicBool>,
    directory: PathBuf,
    /// Snapshots that were there before.
    before: BTreeSet<PathBuf>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Lookout {
    /// Watches the data directory the arguments name.
    pub fn start(args: &Args) -> io::Result<Self> {
        let missing = || io::Error::new(io::ErrorKind::InvalidInput, "snapshot needs --data-dir, the server's dataDir");
        let directory = args.data_dir.clone().ok_or_else(missing)?.join(VERSION_DIRECTORY);
        let mut sizes = snapshots(&directory)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", directory.display())))?;
        let mut lookout = Lookout {
            during: Arc::new(AtomicBool::new(false)),
            directory: directory.clone(),
            before: finished(&sizes),
            stop: Arc::new(AtomicBool::new(false)),
            thread: None,
        };
        let (during, stop) = (Arc::clone(&lookout.during), Arc::clone(&lookout.stop));
        lookout.thread = Some(std::thread::spawn(move || {
            let mut grew: Option<Instant> = None;
            while !stop.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK);
                // The directory may be away for a moment, or for good once the server is gone.
                let Ok(now) = snapshots(&directory) else { continue };
                let growing = now.iter().any(|(path, size)| sizes.get(path).is_none_or(|before| before < size));
                // The last rename gives a finished file a new name and no new size: that is no growth of its own.
                let renamed = now.len() == sizes.len() && now.values().sum::<u64>() == sizes.values().sum::<u64>();
                if growing && !renamed {
                    grew = Some(Instant::now());
                } else if grew.is_some_and(|at| at.elapsed() > QUIET) {
                    grew = None;
                }
                during.store(grew.is_some(), Ordering::Relaxed);
                sizes = now;
            }
        }));
        Ok(lookout)
    }

    /// Snapshots that were finished since the beginning.
    pub fn written(&self) -> io::Result<usize> {
        Ok(finished(&snapshots(&self.directory)?).difference(&self.before).count())
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only looks.
            let _ = thread.join();
        }
    }
}

/// The finished ones of them.
fn finished(sizes: &BTreeMap<PathBuf, u64>) -> BTreeSet<PathBuf> {
    sizes.keys().filter(|path| path.extension().is_none_or(|end| end != "tmp")).cloned().collect()
}

/// The snapshot files of a directory, unfinished ones included, and their sizes.
fn snapshots(directory: &Path) -> io::Result<BTreeMap<PathBuf, u64>> {
    let mut sizes = BTreeMap::new();
    for entry in fs::read_dir(directory)?.flatten() {
        if entry.file_name().to_string_lossy().contains("snapshot.")
            && let Ok(metadata) = entry.metadata()
        {
            sizes.insert(entry.path(), metadata.len());
        }
    }
    Ok(sizes)
}
