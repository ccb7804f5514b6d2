//! How many connections there may be: from one address (`maxClientCnxns`) and in all (`maxCnxns`).

use hashbrown::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug, Default)]
struct Counts {
    by_address: HashMap<IpAddr, usize>,
    total: usize,
}

/// Counts connections and admits new ones.
#[derive(Debug, Clone)]
pub struct Connections {
    per_address_max: usize,
    total_max: usize,
    counts: Arc<Mutex<Counts>>,
}

/// Holds a connection's place until it is dropped.
#[derive(Debug)]
pub struct Admitted {
    address: IpAddr,
    connections: Connections,
}

impl Connections {
    /// Limits; 0 is no limit.
    pub fn new(per_address_max: usize, total_max: usize) -> Self {
        Connections { per_address_max, total_max, counts: Arc::default() }
    }

    /// Takes a place, if there is one.
    pub fn admit(&self, address: IpAddr) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let from_there = counts.by_address.get(&address).copied().unwrap_or(0);
        let full = |count: usize, max: usize| max > 0 && count >= max;
        if full(from_there, self.per_address_max) || full(counts.total, self.total_max) {
            return false;
        }
        *counts.by_address.entry(address).or_default() += 1;
        counts.total += 1;
        true
    }

    /// The place that was taken, to be given back on drop.
    pub fn guard(&self, address: IpAddr) -> Admitted {
        Admitted { address, connections: self.clone() }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = self.connections.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total -= 1;
        if let Some(count) = counts.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_address_and_in_all_and_given_back() {
        let limits = Connections::new(2, 3);
        let (a, b): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        assert!(limits.admit(a) && limits.admit(a));
        assert!(!limits.admit(a));
        assert!(limits.admit(b));
        assert!(!limits.admit(b), "three in all");
        drop(limits.guard(a));
        assert!(limits.admit(b));
        assert!(!limits.admit(b), "three again");
    }
}
