//! Measures memory and disk for the budgets, and keeps the rates of identities. What is decided by them is in `guard`.

use super::ServerError;
use crate::clock::Clock;
use crate::config::Config;
use crate::guard::{Budget, Budgets, Rate, Rates, Shortage, Usage};
use crate::store::{Dirs, Disk, RealDisk};
use hashbrown::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tikv_jemalloc_ctl::{background_thread, epoch, stats};

/// Between two measurements. Until the next one, clients may write what they can send in this time.
const INTERVAL: Duration = Duration::from_millis(250);

/// The budgets of a configuration; starts the thread that measures if there are any.
pub fn start(config: &Config, dirs: &Dirs) -> Result<Arc<Budget>, ServerError> {
    let bytes = |mb: i64| u64::try_from(mb).unwrap_or(0) << 20;
    let budget = Arc::new(Budget::new(Budgets {
        memory: bytes(config.memory_budget_mb),
        disk: bytes(config.disk_budget_mb),
        reserve: bytes(config.disk_reserve_mb),
    }));
    if budget.is_limited() {
        let (budget, dirs) = (budget.clone(), dirs.clone());
        // The first measurement comes before the first client.
        measure(&budget, &dirs);
        // The allocator gives pages back by and by; without this, only while its threads ask it for something.
        if let Err(error) = background_thread::write(true) {
            tracing::debug!(%error, "the allocator has no thread of its own");
        }
        super::thread("budgets".into(), move || {
            loop {
                std::thread::sleep(INTERVAL);
                measure(&budget, &dirs);
            }
        })?;
    }
    Ok(budget)
}

fn measure(budget: &Budget, dirs: &Dirs) {
    let sizes = dirs.sizes(&RealDisk).unwrap_or_default();
    // Who cannot say how much is free has not run out.
    let free = [&dirs.snapshots, &dirs.logs].into_iter().map(|dir| RealDisk.free_space(dir).unwrap_or(u64::MAX));
    let usage = Usage {
        memory: resident().saturating_sub(spare()),
        disk: sizes.snapshots + sizes.logs,
        free: free.min().unwrap_or(u64::MAX),
    };
    let (began, ended) = budget.measured(&usage);
    let mb = |bytes: u64| bytes >> 20;
    for shortage in began {
        tracing::error!(
            limit = shortage.name(),
            memory_mb = mb(usage.memory),
            disk_mb = mb(usage.disk),
            free_mb = mb(usage.free),
            "a limit is reached: {}; reads, deletes and sessions go on",
            advice(shortage)
        );
    }
    for shortage in ended {
        tracing::warn!(
            limit = shortage.name(),
            memory_mb = mb(usage.memory),
            disk_mb = mb(usage.disk),
            free_mb = mb(usage.free),
            "below the limit again: writes are taken"
        );
    }
}

fn advice(shortage: Shortage) -> &'static str {
    match shortage {
        Shortage::Memory => "writes that add something are refused until nodes are deleted (memoryBudgetInMb)",
        Shortage::Disk => {
            "writes that add something are refused until old snapshots and logs are purged (diskBudgetInMb; \
             the admin server's command snapshot makes new ones, and older ones can go)"
        }
        Shortage::Reserve => {
            "writes that add something are refused until the disk has more free space (diskReserveInMb)"
        }
    }
}

/// Memory of this process that is in the machine, bytes; 0 where the system does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) << 10
}

/// Pages in the machine that the allocator keeps for what comes next, bytes: nothing is in them, and they are taken before
/// memory grows. With them, deletes would not end a shortage while nobody asks the allocator for anything.
fn spare() -> u64 {
    let spare = || -> Option<usize> {
        epoch::advance().ok()?;
        let used = stats::active::read().ok()?.saturating_add(stats::metadata::read().ok()?);
        Some(stats::resident::read().ok()?.saturating_sub(used))
    };
    spare().unwrap_or(0) as u64
}

/// The rates of identities that a configuration sets; `None` when it sets none.
pub fn rates(config: &Config, clock: Clock) -> Option<Arc<dyn Rates>> {
    let own: HashMap<String, u32> = config.identity_rates().collect();
    let default = u32::try_from(config.request_rate_per_identity).ok().filter(|rate| *rate > 0);
    if own.is_empty() && default.is_none() {
        return None;
    }
    Some(Arc::new(Registry { own, default, clock, buckets: Mutex::default() }))
}

/// Buckets by identity, so that its connections share one, on all reactors. Asked when a connection comes or proves
/// something, not for a request.
#[derive(Debug)]
struct Registry {
    own: HashMap<String, u32>,
    default: Option<u32>,
    clock: Clock,
    buckets: Mutex<HashMap<String, Arc<Rate>>>,
}

/// Buckets that are kept without looking which of them are still of use.
const BUCKETS_MIN: usize = 1024;

impl Rates for Registry {
    fn of(&self, identity: &str) -> Option<Arc<Rate>> {
        let per_second = self.own.get(identity).copied().or(self.default)?;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get(identity) {
            return Some(bucket.clone());
        }
        if buckets.len() >= BUCKETS_MIN && buckets.len().is_power_of_two() {
            // A rested bucket that nobody holds is no different from a new one.
            let now_ms = self.clock.now_ms();
            buckets.retain(|_, bucket| Arc::strong_count(bucket) > 1 || !bucket.is_rested(now_ms));
        }
        let bucket = Arc::new(Rate::new(per_second));
        buckets.insert(identity.to_owned(), bucket.clone());
        Some(bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(default: Option<u32>) -> Registry {
        let own = [("digest:bob".to_owned(), 2)].into();
        Registry { own, default, clock: Clock::default(), buckets: Mutex::default() }
    }

    #[test]
    fn connections_of_an_identity_share_a_bucket_and_others_have_their_own() {
        let registry = registry(Some(100));
        let (one, other) = (registry.of("digest:bob").unwrap(), registry.of("digest:bob").unwrap());
        assert!(one.admits(0) && other.admits(0) && !one.admits(0), "two each second, together");
        assert!(registry.of("ip:10.0.0.1").unwrap().admits(0));
        assert!(super::tests::registry(None).of("ip:10.0.0.1").is_none(), "only bob is limited");
    }

    #[test]
    fn bounded_buckets_that_nobody_needs_go() {
        let registry = registry(Some(1));
        let held = registry.of("ip:held").unwrap();
        for number in 0..10_000 {
            registry.of(&format!("ip:{number}"));
        }
        let buckets = registry.buckets.lock().unwrap();
        assert!(buckets.len() <= 2 * BUCKETS_MIN, "{}", buckets.len());
        assert!(Arc::ptr_eq(&buckets["ip:held"], &held));
    }

    #[test]
    fn this_process_has_memory() {
        assert!(resident() > 1 << 20);
    }
}
