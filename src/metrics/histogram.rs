//! A histogram of durations with fixed bounds: a few additions for each value, and exact sums over servers, which quantiles do
//! not allow.

/// Upper bounds, microseconds. The last bucket has none.
pub const BOUNDS_US: [u64; 17] = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000,
    5_000_000, 10_000_000,
];

/// How many durations fell below each bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: [u64; BOUNDS_US.len() + 1],
    sum_us: u64,
}

impl Histogram {
    /// Takes a duration, microseconds, that came so many times.
    pub fn observe(&mut self, us: u64, times: u64) {
        self.buckets[BOUNDS_US.partition_point(|bound| *bound < us)] += times;
        self.sum_us = self.sum_us.saturating_add(us.saturating_mul(times));
    }

    /// Adds another thread's.
    pub fn merge(&mut self, other: &Histogram) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(ours, theirs)| *ours += theirs);
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
    }

    /// Each bound, seconds, with the number of durations up to it.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        BOUNDS_US.iter().zip(self.buckets).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((*bound as f64 / 1e6, *sum))
        })
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Their sum, seconds.
    pub fn sum(&self) -> f64 {
        self.sum_us as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_below_their_bounds() {
        let mut histogram = Histogram::default();
        histogram.observe(0, 2);
        histogram.observe(50, 1);
        histogram.observe(51, 1);
        histogram.observe(60_000_000, 1);
        let below: Vec<_> = histogram.cumulative().collect();
        assert_eq!((below[0], below[1]), ((0.000_05, 3), (0.000_1, 4)));
        assert_eq!((below[BOUNDS_US.len() - 1].1, histogram.count()), (4, 5), "the last bucket has no bound");
        assert!((histogram.sum() - 60.000_101).abs() < 1e-9);
        let mut twice = histogram.clone();
        twice.merge(&histogram);
        assert_eq!((twice.count(), twice.cumulative().last()), (10, Some((10.0, 8))));
    }
}
