//! What the threads behind the reactors measure: events, which `mntr` shows. One lock that is taken once for each sync and
//! each snapshot, never for a request.

use crate::metrics::{Provider, Readings};
use crate::store::LogStats;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The readings of the log and of snapshots.
#[derive(Debug)]
pub struct Measures {
    readings: Mutex<Readings>,
    syncs: AtomicU64,
    sync_time_us: AtomicU64,
    slow_syncs: AtomicU64,
}

impl Measures {
    /// No events yet.
    pub fn new(provider: Provider) -> Self {
        Measures {
            readings: Mutex::new(Readings::new(provider)),
            syncs: AtomicU64::new(0),
            sync_time_us: AtomicU64::new(0),
            slow_syncs: AtomicU64::new(0),
        }
    }

    /// Takes down what happened, or looks at it.
    pub fn with<R>(&self, record: impl FnOnce(&mut Readings) -> R) -> R {
        record(&mut self.readings.lock().unwrap_or_else(PoisonError::into_inner))
    }
    /// Syncs of the log that took longer than `fsync.warningthresholdms`, since the start.
    pub fn slow_syncs(&self) -> u64 {
        self.slow_syncs.load(Ordering::Relaxed)
    }

    /// Syncs of the log since the start, and the time they took, microseconds.
    pub fn syncs(&self) -> (u64, u64) {
        (self.syncs.load(Ordering::Relaxed), self.sync_time_us.load(Ordering::Relaxed))
    }

    /// Takes over what the log has counted.
    pub fn set_syncs(&self, stats: &LogStats) {
        self.syncs.store(stats.syncs, Ordering::Relaxed);
        self.sync_time_us.store(stats.sync_time.as_micros() as u64, Ordering::Relaxed);
        self.slow_syncs.store(stats.slow_syncs, Ordering::Relaxed);
    }
}
