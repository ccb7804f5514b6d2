//! The one place where threads meet the tree: many readers in short visits, one writer in short batches. The tree itself
//! knows nothing of threads.

use crate::tree::Tree;
use std::sync::{PoisonError, RwLock};

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

    /// Changes the tree alone. Keep it short: everybody waits.
    pub fn write<R>(&self, change: impl FnOnce(&mut Tree) -> R) -> R {
        change(&mut self.tree.write().unwrap_or_else(PoisonError::into_inner))
    }
}
