//! What the threads behind the reactors measure: events, which `mntr` shows. One lock that is taken once for each sync and
//! each snapshot, never for a request.

use crate::metrics::{Provider, Readings};
use std::sync::{Mutex, PoisonError};

/// The readings of the log and of snapshots.
#[derive(Debug)]
pub struct Measures(Mutex<Readings>);

impl Measures {
    /// No events yet.
    pub fn new(provider: Provider) -> Self {
        Measures(Mutex::new(Readings::new(provider)))
    }

    /// Takes down what happened, or looks at it.
    pub fn with<R>(&self, record: impl FnOnce(&mut Readings) -> R) -> R {
        record(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
