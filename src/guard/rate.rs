//! Rates of requests: so many each second, of which a second's worth may come at once. A request above is answered with
//! ThrottledOp in its turn; whoever waits a moment is served again. The algorithm is the generic cell rate algorithm (ITU-T
//! I.371): one number says when the bucket would be empty again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The bucket of all who share a rate. Times are nanoseconds of the server's clock; it orders no other memory.
#[derive(Debug)]
pub struct Rate {
    /// Between two requests at the full rate.
    interval_ns: i64,
    /// When everything admitted so far would have been served at that rate.
    due_ns: AtomicI64,
}

const SECOND_NS: i64 = 1_000_000_000;

impl Rate {
    /// So many requests each second, at least one.
    pub fn new(per_second: u32) -> Self {
        Rate { interval_ns: SECOND_NS / i64::from(per_second.max(1)), due_ns: AtomicI64::new(0) }
    }

    /// Whether a request is served now.
    pub fn admits(&self, now_ms: i64) -> bool {
        let now_ns = now_ms.saturating_mul(1_000_000);
        let next = |due: i64| {
            let due = due.max(now_ns) + self.interval_ns;
            // A bucket of one second, and of one request at least.
            (due - now_ns <= SECOND_NS.max(self.interval_ns)).then_some(due)
        };
        self.due_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }

    /// Whether it is as good as new: nobody has used it for a while.
    pub fn is_rested(&self, now_ms: i64) -> bool {
        self.due_ns.load(Ordering::Relaxed) <= now_ms.saturating_mul(1_000_000)
    }
}

/// Knows the bucket of an identity, the same for all its connections.
pub trait Rates: fmt::Debug + Send + Sync {
    /// The bucket, or `None` for who is not limited.
    fn of(&self, identity: &str) -> Option<Arc<Rate>>;
}

/// Rates of places in the tree: a request counts for the longest path that it is at or below.
#[derive(Debug, Default)]
pub struct PrefixRates(BTreeMap<String, Rate>);

impl PrefixRates {
    /// From paths and requests each second.
    pub fn new(rates: impl IntoIterator<Item = (String, u32)>) -> Self {
        PrefixRates(rates.into_iter().map(|(path, rate)| (path, Rate::new(rate))).collect())
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a request at this path is served now.
    pub fn admit(&self, path: &str, now_ms: i64) -> bool {
        let mut at = path;
        loop {
            if let Some(rate) = self.0.get(at) {
                return rate.admits(now_ms);
            }
            at = match at.rsplit_once('/') {
                Some(("", "")) | None => return true,
                Some(("", _)) => "/",
                Some((parent, _)) => parent,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn admitted(rate: &Rate, times: usize, now_ms: i64) -> usize {
        (0..times).filter(|_| rate.admits(now_ms)).count()
    }

    #[test]
    fn a_second_s_worth_may_come_at_once_and_comes_back_with_time() {
        let rate = Rate::new(10);
        assert_eq!(admitted(&rate, 50, 0), 10);
        assert_eq!(admitted(&rate, 50, 99), 0);
        assert_eq!(admitted(&rate, 50, 100), 1);
        assert_eq!(admitted(&rate, 50, 600), 5);
        assert!(!rate.is_rested(1_000));
        assert!(rate.is_rested(1_600));
        assert_eq!(admitted(&rate, 50, 1_000_000), 10, "never more than a second's worth");
    }

    #[test]
    fn the_longest_prefix_counts() {
        let rates = PrefixRates::new([("/a".to_owned(), 2), ("/a/b".to_owned(), 1), ("/".to_owned(), 3)]);
        let admitted = |path: &str| (0..10).filter(|_| rates.admit(path, 0)).count();
        assert_eq!(admitted("/a/b/c"), 1);
        assert_eq!(admitted("/a/b"), 0, "the same bucket");
        assert_eq!(admitted("/a/bc"), 2);
        assert_eq!(admitted("/ab"), 3);
        assert_eq!(admitted("/"), 0);
        assert!(PrefixRates::new([("/a".to_owned(), 1)]).admit("/b/c", 0));
        assert!(PrefixRates::default().is_empty());
    }

    proptest! {
        #[test]
        fn never_more_than_rate_times_time_and_a_second_s_worth(
            per_second in 1..100_000u32, steps in proptest::collection::vec(0..400i64, 1..50), tries in 1..50usize,
        ) {
            let rate = Rate::new(per_second);
            let (mut now_ms, mut served) = (0, 0i64);
            for step in steps {
                now_ms += step;
                served += admitted(&rate, tries, now_ms) as i64;
                // Rounding the interval down may give one in 10,000 more.
                let bound = i64::from(per_second) * (now_ms + 1_000) / 1_000;
                prop_assert!(served <= bound + bound / 9_000 + 1, "{} served in {} ms", served, now_ms);
            }
        }

        #[test]
        fn who_keeps_to_the_rate_is_never_refused(per_second in 1..1_000u32, count in 1..200i64) {
            let rate = Rate::new(per_second);
            for number in 0..count {
                prop_assert!(rate.admits((number * 1_000 + i64::from(per_second) - 1) / i64::from(per_second)));
            }
        }
    }
}
