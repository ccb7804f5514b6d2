//! When a snapshot is due: by transactions or by bytes of log since the last, each with a random part so that the
//! members of an ensemble do not all write at once. Numbers only; chance is handed in.

/// Counts towards the next snapshot (`org.apache.zookeeper.server.SyncRequestProcessor`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotPolicy {
    count_half: u64,
    bytes_half: Option<u64>,
    count_limit: u64,
    bytes_limit: Option<u64>,
}

impl SnapshotPolicy {
    /// A policy of `snapCount` transactions or `snapSizeLimitInKb`; a limit of bytes that is not positive is off.
    pub fn new(snap_count: u64, size_limit_kb: i64, random: (u64, u64)) -> Self {
        let bytes_half = u64::try_from(size_limit_kb).ok().filter(|kb| *kb > 0).map(|kb| kb.saturating_mul(1024) / 2);
        let mut policy = SnapshotPolicy {
            // The original raises what is below 2.
            count_half: snap_count.max(2) / 2,
            bytes_half,
            count_limit: 0,
            bytes_limit: None,
        };
        policy.taken(random);
        policy
    }

    /// A snapshot was begun: draws the next limits from two random numbers.
    pub fn taken(&mut self, random: (u64, u64)) {
        self.count_limit = self.count_half + random.0 % self.count_half;
        self.bytes_limit = self.bytes_half.map(|half| half + random.1 % half.max(1));
    }

    /// True when so many transactions, or so many bytes of log, since the last snapshot are enough.
    pub fn is_due(&self, transactions: u64, log_bytes: u64) -> bool {
        transactions > self.count_limit || self.bytes_limit.is_some_and(|limit| log_bytes > limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_lies_between_a_half_and_the_whole() {
        for random in [0, 1, 49_999, 50_000, u64::MAX] {
            let policy = SnapshotPolicy::new(100_000, -1, (random, 0));
            assert!(!policy.is_due(50_000, u64::MAX));
            assert!(policy.is_due(100_000, 0));
        }
        assert!(SnapshotPolicy::new(100_000, -1, (0, 0)).is_due(50_001, 0));
    }

    #[test]
    fn bytes_count_too_unless_switched_off() {
        let policy = SnapshotPolicy::new(100_000, 8, (0, 100));
        assert!(!policy.is_due(0, 4196));
        assert!(policy.is_due(0, 4197));
        assert!(!SnapshotPolicy::new(100_000, 0, (0, 0)).is_due(0, u64::MAX));
    }

    #[test]
    fn the_least_count_is_two() {
        assert!(SnapshotPolicy::new(0, 0, (7, 7)).is_due(2, 0));
        assert!(!SnapshotPolicy::new(0, 0, (7, 7)).is_due(1, 0));
    }
}
