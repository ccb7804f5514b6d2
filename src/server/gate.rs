//! The one place where threads meet the tree: many readers in short visits, one writer in short batches. The tree itself
//! knows nothing of threads.

use crate::tree::Tree;
use std::sync::{PoisonError, RwLock, TryLockError};
use std::time::Instant;

/// The tree behind shared and exclusive access.
#[derive(Debug)]
pub struct Gate {
    tree: RwLock<Tree>,
}

impl Gate {
    /// Puts a tree behind the gate.
    pub fn new(tree: Tree) -> Self {
        Gate { tree: RwLock::new(tree) }
    }

    /// Visits the tree beside other readers. Keep it short: a writer waits.
    pub fn read<R>(&self, visit: impl FnOnce(&Tree) -> R) -> R {
        // A panic while the tree was half changed has ended the process already (panic = abort).
        visit(&self.tree.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Visits the tree beside other readers; returns too how long a writer was waited for, µs. Who need not wait asks no
    /// clock.
    pub fn read_waited<R>(&self, visit: impl FnOnce(&Tree) -> R) -> (R, u64) {
        match self.tree.try_read() {
            Ok(tree) => (visit(&tree), 0),
            Err(TryLockError::Poisoned(tree)) => (visit(&tree.into_inner()), 0),
            Err(TryLockError::WouldBlock) => {
                let asked = Instant::now();
                let tree = self.tree.read().unwrap_or_else(PoisonError::into_inner);
                let waited = asked.elapsed().as_micros() as u64;
                (visit(&tree), waited)
            }
        }
    }

    /// Changes the tree alone; returns how long readers were waited for, µs.
    pub fn write_waited(&self, change: impl FnOnce(&mut Tree)) -> u64 {
        match self.tree.try_write() {
            Ok(mut tree) => change(&mut tree),
            Err(TryLockError::Poisoned(tree)) => change(&mut tree.into_inner()),
            Err(TryLockError::WouldBlock) => {
                let asked = Instant::now();
                let mut tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
                let waited = asked.elapsed().as_micros() as u64;
                change(&mut tree);
                return waited;
            }
        }
        0
    }

    /// Changes the tree alone. Keep it short: everybody waits.
    pub fn write<R>(&self, change: impl FnOnce(&mut Tree) -> R) -> R {
        change(&mut self.tree.write().unwrap_or_else(PoisonError::into_inner))
    }
}
