//! What the threads behind the reactors measure: events, which `mntr` shows. One lock that is taken once for each sync and
//! each snapshot, never for a request.

use crate::metrics::{Provider, Readings};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The readings of the log and of snapshots.
#[derive(Debug)]
pub struct Measures {
    readings: Mutex<Readings>,
    slow_syncs: AtomicU64,
}

impl Measures {
    /// No events yet.
    pub fn new(provider: Provider) -> Self {
        Measures { readings: Mutex::new(Readings::new(provider)), slow_syncs: AtomicU64::new(0) }
    }

    /// Takes down what happened, or looks at it.
    pub fn with<R>(&self, record: impl FnOnce(&mut Readings) -> R) -> R {
        record(&mut self.readings.lock().unwrap_or_else(PoisonError::into_inner))
    }
    /// Syncs of the log that took longer than `fsync.warningthresholdms`, since the start.
    pub fn slow_syncs(&self) -> u64 {
        self.slow_syncs.load(Ordering::Relaxed)
    }

    /// Says how many there were.
    pub fn set_slow_syncs(&self, count: u64) {
        self.slow_syncs.store(count, Ordering::Relaxed);
    }
}
