//! Numbers of a run: a histogram for each class of operation, errors by code. Knows neither sockets nor output.

use crate::proto::ErrorCode;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// Latencies above this are counted as this: ten minutes.
const LATENCY_MAX_NS: u64 = 600_000_000_000;

/// A kind of operation a workload counts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// Its name in reports.
    pub name: &'static str,
    /// Whether it is part of the workload's headline; a phase of another class is not.
    pub headline: bool,
}

impl Class {
    /// A class of the headline.
    pub const fn new(name: &'static str) -> Self {
        Class { name, headline: true }
    }

    /// A class beside the headline.
    pub const fn aside(name: &'static str) -> Self {
        Class { name, headline: false }
    }
}

/// Latencies, in ns, with three significant digits.
#[derive(Debug, Clone)]
pub struct Latencies {
    histogram: Histogram<u64>,
    last_ns: u64,
    repeats: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3).expect("the bounds are constants that fit");
        Latencies { histogram, last_ns: 0, repeats: 0 }
    }
}

impl Latencies {
    /// Counts one. Replies of one read have equal latencies often: those are gathered.
    pub fn record(&mut self, ns: u64) {
        if ns == self.last_ns {
            self.repeats += 1;
        } else {
            self.settle();
            (self.last_ns, self.repeats) = (ns, 1);
        }
    }

    /// Puts gathered repeats into the histogram.
    pub fn settle(&mut self) {
        if self.repeats > 0 {
            self.histogram.saturating_record_n(self.last_ns.max(1), self.repeats);
            self.repeats = 0;
        }
    }

    /// Takes in those of another thread.
    pub fn add(&mut self, mut other: Latencies) {
        self.settle();
        other.settle();
        self.histogram.add(&other.histogram).expect("all histograms have the same bounds");
    }

    /// The settled histogram.
    pub fn histogram(&mut self) -> &Histogram<u64> {
        self.settle();
        &self.histogram
    }
}

/// What one generator thread saw.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// By index of the class.
    pub latencies: Vec<Latencies>,
    /// Error codes and how often they came.
    pub errors: BTreeMap<i32, u64>,
    /// Connections that were lost, with the reason of the first.
    pub lost: u64,
    /// The reason.
    pub lost_why: Option<String>,
    /// When the last counted reply came, ns since the beginning.
    pub last_ns: u64,
}

impl Outcome {
    /// Room for `classes`.
    pub fn new(classes: usize) -> Self {
        Outcome { latencies: vec![Latencies::default(); classes], ..Outcome::default() }
    }

    /// Counts an error.
    pub fn error(&mut self, code: i32) {
        *self.errors.entry(code).or_default() += 1;
    }

    /// Counts a lost connection.
    pub fn lose(&mut self, why: impl ToString) {
        self.lost += 1;
        self.lost_why.get_or_insert_with(|| why.to_string());
    }

    /// Takes in what another thread saw of the same classes.
    pub fn add(&mut self, other: Outcome) {
        for (mine, theirs) in self.latencies.iter_mut().zip(other.latencies) {
            mine.add(theirs);
        }
        other.errors.iter().for_each(|(&code, count)| *self.errors.entry(code).or_default() += count);
        self.lost += other.lost;
        self.lost_why = self.lost_why.take().or(other.lost_why);
        self.last_ns = self.last_ns.max(other.last_ns);
    }

    /// Error names with counts.
    pub fn error_names(&self) -> BTreeMap<String, u64> {
        self.errors.iter().map(|(&code, &count)| (ErrorCode(code).to_string(), count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_counted_like_others() {
        let mut latencies = Latencies::default();
        [5, 5, 5, 7, 5].into_iter().for_each(|ns| latencies.record(ns));
        assert_eq!(latencies.histogram().len(), 5);
        assert_eq!(latencies.histogram().value_at_quantile(0.5), 5);
        assert_eq!(latencies.histogram().max(), 7);
        let mut both = Latencies::default();
        both.record(9);
        both.add(latencies);
        assert_eq!((both.histogram().len(), both.histogram().max()), (6, 9));
    }

    #[test]
    fn errors_have_zookeepers_names() {
        let mut outcome = Outcome::new(1);
        outcome.error(-101);
        outcome.error(-101);
        assert_eq!(outcome.error_names(), BTreeMap::from([("NoNode (-101)".to_owned(), 2)]));
    }
}
