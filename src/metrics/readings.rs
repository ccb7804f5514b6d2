//! What a thread has counted, or the sum of what all threads have.

use super::{Counter, Distribution, Gauge, Histogram, Own, Provider, Spread, Summary};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// A gauge's value. The two kinds are shown differently: `5` and `5.0`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number.
    Integer(i64),
    /// A mean or a probability.
    Real(f64),
}

impl Number {
    /// As a double.
    pub fn real(self) -> f64 {
        match self {
            Number::Integer(value) => value as f64,
            Number::Real(value) => value,
        }
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Number::Integer(value)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Number::Real(value)
    }
}

/// Keys of one metric that are kept apart; readings beyond go to the key `other`. Namespaces are the clients' choice.
pub const KEYS_MAX: usize = 1_000;

/// How often [`Readings::turn`] ends a window of quantiles, ms: five of them are ten minutes, as the original's exporter looks
/// back.
pub const WINDOW_MS: i64 = 120_000;

/// One value for each key.
#[derive(Debug, Clone)]
struct Keyed<T> {
    all: Vec<(Box<str>, T)>,
    places: HashMap<Box<str>, usize, FixedState>,
    /// Which was asked for last: the next one is often the same.
    last: usize,
}

impl<T> Default for Keyed<T> {
    fn default() -> Self {
        Keyed { all: Vec::new(), places: HashMap::default(), last: 0 }
    }
}

impl<T> Keyed<T> {
    /// The value of a key, or of the key `other` once there are too many.
    fn get(&mut self, key: &str, empty: impl FnOnce() -> T) -> &mut T {
        if self.all.get(self.last).is_none_or(|(last, _)| **last != *key) {
            self.last = self.place(key, empty);
        }
        &mut self.all[self.last].1
    }

    /// As `get`, for bytes that nobody has looked at; none if they are no text.
    #[inline]
    fn get_bytes(&mut self, key: &[u8], empty: impl FnOnce() -> T) -> Option<&mut T> {
        if self.all.get(self.last).is_none_or(|(last, _)| last.as_bytes() != key) {
            self.last = self.place(std::str::from_utf8(key).ok()?, empty);
        }
        Some(&mut self.all[self.last].1)
    }

    fn place(&mut self, key: &str, empty: impl FnOnce() -> T) -> usize {
        if let Some(place) = self.places.get(key) {
            return *place;
        }
        let key = if self.all.len() < KEYS_MAX { key } else { "other" };
        *self.places.entry_ref(key).or_insert_with(|| {
            self.all.push((key.into(), empty()));
            self.all.len() - 1
        })
    }

    fn in_order(&self) -> Vec<(&str, &T)> {
        let mut all: Vec<_> = self.all.iter().map(|(key, value)| (&**key, value)).collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }
}

/// Readings of one thread, or the merged ones of all.
#[derive(Debug, Clone)]
pub struct Readings {
    provider: Provider,
    gauges: BTreeMap<(Gauge, String), Number>,
    counters: Vec<i64>,
    keyed_counters: BTreeMap<Counter, Keyed<i64>>,
    summaries: Vec<Distribution>,
    keyed_summaries: Vec<Keyed<Distribution>>,
    own: BTreeMap<(Own, String), f64>,
    /// They are few.
    histograms: Vec<(Own, &'static str, Histogram)>,
    /// When the window of the quantiles ends.
    window_ends_ms: Option<i64>,
}

impl Readings {
    /// No events yet.
    pub fn new(provider: Provider) -> Self {
        Readings {
            provider,
            gauges: BTreeMap::new(),
            counters: vec![0; Counter::all().count()],
            keyed_counters: BTreeMap::new(),
            summaries: Summary::all().map(|summary| empty(provider, summary)).collect(),
            keyed_summaries: Summary::all().map(|_| Keyed::default()).collect(),
            own: BTreeMap::new(),
            histograms: Vec::new(),
            window_ends_ms: None,
        }
    }

    /// The provider the readings are for.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Sets a gauge. A gauge that nobody sets is not shown: followers have no proposal sizes.
    pub fn set(&mut self, gauge: Gauge, value: impl Into<Number>) {
        debug_assert!(!gauge.form().is_keyed(), "{} wants a key", gauge.name());
        self.gauges.insert((gauge, String::new()), value.into());
    }

    /// Sets a gauge of a key.
    pub fn set_for(&mut self, gauge: Gauge, key: &str, value: impl Into<Number>) {
        debug_assert!(gauge.form().is_keyed(), "{} has no keys", gauge.name());
        self.gauges.insert((gauge, key.to_owned()), value.into());
    }

    /// Counts events.
    #[inline]
    pub fn add(&mut self, counter: Counter, events: i64) {
        debug_assert!(!counter.form().is_keyed(), "{} wants a key", counter.name());
        if self.provider != Provider::None {
            self.counters[usize::from(counter.0)] += events;
        }
    }

    /// Counts events of a key.
    pub fn add_for(&mut self, counter: Counter, key: &str, events: i64) {
        debug_assert!(counter.form().is_keyed(), "{} has no keys", counter.name());
        if self.provider != Provider::None {
            *self.keyed_counters.entry(counter).or_default().get(key, || 0) += events;
        }
    }

    /// Takes a value into a summary.
    #[inline]
    pub fn record(&mut self, summary: Summary, value: i64) {
        debug_assert!(!summary.form().is_keyed(), "{} wants a key", summary.name());
        if self.provider != Provider::None {
            self.summaries[usize::from(summary.0)].record(value);
        }
    }

    /// Takes a value that came several times into a summary.
    pub fn record_many(&mut self, summary: Summary, value: i64, times: u32) {
        debug_assert!(!summary.form().is_keyed(), "{} wants a key", summary.name());
        if self.provider != Provider::None {
            self.summaries[usize::from(summary.0)].record_many(value, times);
        }
    }

    /// Takes time that several events took together into a summary: each took its share, and the sum is exact.
    pub fn record_shared(&mut self, summary: Summary, total: i64, events: u32) {
        if let Some(others) = events.checked_sub(1) {
            let share = total / i64::from(events);
            self.record_many(summary, share, others);
            self.record(summary, total - share * i64::from(others));
        }
    }

    /// Takes a value into a summary of a key. Bytes that are no text are none.
    #[inline]
    pub fn record_for(&mut self, summary: Summary, key: impl AsRef<[u8]>, value: i64) {
        debug_assert!(summary.form().is_keyed(), "{} has no keys", summary.name());
        if self.provider != Provider::None {
            let empty = || empty(self.provider, summary);
            if let Some(of) = self.keyed_summaries[usize::from(summary.0)].get_bytes(key.as_ref(), empty) {
                of.record(value);
            }
        }
    }

    /// Sets a gauge or a counter of our own; without a label, `key` is empty.
    pub fn set_own(&mut self, own: Own, key: &str, value: f64) {
        debug_assert!(own.label().is_some() != key.is_empty(), "{} and the key {key:?}", own.name());
        self.own.insert((own, key.to_owned()), value);
    }

    /// Takes a duration, microseconds, that came several times into a histogram of our own.
    pub fn observe(&mut self, own: Own, key: &'static str, us: u64, times: u64) {
        debug_assert!(own.label().is_some() != key.is_empty(), "{} and the key {key:?}", own.name());
        if self.provider == Provider::Prometheus {
            self.histogram(own, key).observe(us, times);
        }
    }

    fn histogram(&mut self, own: Own, key: &'static str) -> &mut Histogram {
        let found = self.histograms.iter().position(|(known, of, _)| *known == own && *of == key);
        let at = found.unwrap_or_else(|| {
            self.histograms.push((own, key, Histogram::default()));
            self.histograms.len() - 1
        });
        &mut self.histograms[at].2
    }

    /// Lets quantiles forget what is old, if it is time; the time is any clock's that never goes back.
    pub fn turn(&mut self, now_ms: i64) {
        let ends_ms = *self.window_ends_ms.get_or_insert(now_ms + WINDOW_MS);
        if now_ms < ends_ms || self.provider != Provider::Prometheus {
            return;
        }
        let turns = (now_ms - ends_ms) / WINDOW_MS + 1;
        self.window_ends_ms = Some(ends_ms + turns * WINDOW_MS);
        let keyed = self.keyed_summaries.iter_mut().flat_map(|keyed| keyed.all.iter_mut());
        for summary in self.summaries.iter_mut().chain(keyed.map(|(_, summary)| summary)) {
            // After that many nothing is left.
            (0..turns.min(8)).for_each(|_| summary.turn());
        }
    }

    /// Adds another thread's readings; its gauges win.
    pub fn merge(&mut self, other: &Readings) {
        self.gauges.extend(other.gauges.iter().map(|(key, value)| (key.clone(), *value)));
        for (ours, theirs) in self.counters.iter_mut().zip(&other.counters) {
            *ours += theirs;
        }
        for (counter, keys) in &other.keyed_counters {
            let ours = self.keyed_counters.entry(*counter).or_default();
            keys.in_order().into_iter().for_each(|(key, events)| *ours.get(key, || 0) += events);
        }
        for (ours, theirs) in self.summaries.iter_mut().zip(&other.summaries) {
            ours.merge(theirs);
        }
        let provider = self.provider;
        for (summary, (ours, theirs)) in Summary::all().zip(self.keyed_summaries.iter_mut().zip(&other.keyed_summaries))
        {
            let empty = || empty(provider, summary);
            theirs.in_order().into_iter().for_each(|(key, theirs)| ours.get(key, empty).merge(theirs));
        }
        self.own.extend(other.own.iter().map(|(key, value)| (key.clone(), *value)));
        for (own, key, theirs) in &other.histograms {
            self.histogram(*own, key).merge(theirs);
        }
    }

    /// Forgets events (`srst`). Gauges and keys stay, and readings for Prometheus: its counters never go back.
    pub fn reset(&mut self) {
        if self.provider == Provider::Prometheus {
            return;
        }
        self.counters.fill(0);
        self.keyed_counters.values_mut().flat_map(|keys| &mut keys.all).for_each(|(_, events)| *events = 0);
        for (summary, (plain, keys)) in Summary::all().zip(self.summaries.iter_mut().zip(&mut self.keyed_summaries)) {
            *plain = empty(self.provider, summary);
            keys.all.iter_mut().for_each(|(_, values)| *values = empty(self.provider, summary));
        }
    }

    /// Gauges that were set, with their keys.
    pub fn gauges(&self) -> impl Iterator<Item = (Gauge, &str, Number)> {
        self.gauges.iter().map(|((gauge, key), value)| (*gauge, key.as_str(), *value))
    }

    /// All counters, and those with keys that have any.
    pub fn counters(&self) -> impl Iterator<Item = (Counter, &str, i64)> {
        let plain = Counter::all().filter(|counter| !counter.form().is_keyed());
        let plain = plain.map(|counter| (counter, "", self.counters[usize::from(counter.0)]));
        plain.chain(
            self.keyed_counters
                .iter()
                .flat_map(|(counter, keys)| keys.in_order().into_iter().map(|(key, events)| (*counter, key, *events))),
        )
    }

    /// All summaries, and those with keys that have any.
    pub fn summaries(&self) -> impl Iterator<Item = (Summary, &str, &Distribution)> {
        let plain = Summary::all().filter(|summary| !summary.form().is_keyed());
        let plain = plain.map(|summary| (summary, "", &self.summaries[usize::from(summary.0)]));
        plain.chain(Summary::all().zip(&self.keyed_summaries).flat_map(|(summary, keys)| {
            keys.in_order().into_iter().map(move |(key, distribution)| (summary, key, distribution))
        }))
    }

    /// Gauges and counters of our own that were set, with their keys.
    pub fn own(&self) -> impl Iterator<Item = (Own, &str, f64)> {
        self.own.iter().map(|((own, key), value)| (*own, key.as_str(), *value))
    }

    /// Histograms that have any value, with their keys.
    pub fn histograms(&self) -> impl Iterator<Item = (Own, &str, &Histogram)> {
        let mut all: Vec<_> = self.histograms.iter().map(|(own, key, histogram)| (*own, *key, histogram)).collect();
        all.sort_unstable_by_key(|(own, key, _)| (*own, *key));
        all.into_iter()
    }
}

fn empty(provider: Provider, summary: Summary) -> Distribution {
    Distribution::new(match provider {
        Provider::Prometheus => Spread::Recent,
        Provider::Default if summary.form().has_percentiles() => Spread::Whole,
        Provider::Default | Provider::None => Spread::None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::*;

    fn reading(readings: &Readings, wanted: Counter, key: &str) -> Option<i64> {
        readings.counters().find(|(counter, of, _)| *counter == wanted && *of == key).map(|(.., events)| events)
    }

    #[test]
    fn threads_are_merged() {
        let mut one = Readings::new(Provider::Prometheus);
        let mut two = one.clone();
        for (readings, latency) in [(&mut one, 3), (&mut two, 5)] {
            readings.add(RESPONSE_BYTES, 10);
            readings.record(READLATENCY, latency);
            readings.record_for(READ_PER_NAMESPACE, "a", latency);
            readings.add_for(QUOTA_EXCEEDED_ERROR_PER_NAMESPACE, "a", 1);
            readings.observe(FSYNC_SECONDS, "", 70, 1);
        }
        two.set(UPTIME, 7);
        two.set_own(QUEUE_LENGTH, "log", 2.0);
        one.merge(&two);
        assert_eq!(reading(&one, RESPONSE_BYTES, ""), Some(20));
        assert_eq!(reading(&one, QUOTA_EXCEEDED_ERROR_PER_NAMESPACE, "a"), Some(2));
        for wanted in [READLATENCY, READ_PER_NAMESPACE] {
            let (_, _, values) = one.summaries().find(|(summary, ..)| *summary == wanted).unwrap();
            assert_eq!((values.min(), values.max(), values.sum(), values.count()), (3, 5, 8, 2));
        }
        assert_eq!(one.gauges().collect::<Vec<_>>(), [(UPTIME, "", Number::Integer(7))]);
        assert_eq!(one.own().collect::<Vec<_>>(), [(QUEUE_LENGTH, "log", 2.0)]);
        let (own, key, histogram) = one.histograms().next().unwrap();
        assert_eq!((own, key, histogram.count()), (FSYNC_SECONDS, "", 2));
    }

    #[test]
    fn a_reset_forgets_events_but_not_for_prometheus() {
        for (provider, left) in [(Provider::Default, 0), (Provider::Prometheus, 1)] {
            let mut readings = Readings::new(provider);
            readings.add(SNAP_COUNT, 1);
            readings.record(FSYNCTIME, 1);
            readings.set(UPTIME, 1);
            readings.reset();
            assert_eq!(readings.counters().map(|(.., events)| events).sum::<i64>(), left);
            assert_eq!(readings.summaries().map(|(.., values)| values.count()).sum::<u64>(), left as u64);
            assert_eq!(readings.gauges().count(), 1);
        }
    }

    #[test]
    fn without_a_provider_nothing_is_kept() {
        let mut readings = Readings::new(Provider::None);
        readings.add(SNAP_COUNT, 1);
        readings.record(FSYNCTIME, 1);
        readings.record_for(READ_PER_NAMESPACE, "a", 1);
        readings.add_for(QUOTA_EXCEEDED_ERROR_PER_NAMESPACE, "a", 1);
        readings.observe(FSYNC_SECONDS, "", 70, 1);
        assert!(readings.counters().all(|(.., events)| events == 0));
        assert!(readings.summaries().all(|(.., values)| values.count() == 0));
        assert_eq!(readings.histograms().count(), 0);
    }

    #[test]
    fn keys_are_bounded() {
        let mut readings = Readings::new(Provider::Default);
        for number in 0..KEYS_MAX + 10 {
            readings.record_for(WRITE_PER_NAMESPACE, number.to_string(), 1);
        }
        let keys: Vec<_> = readings.summaries().filter(|(summary, ..)| *summary == WRITE_PER_NAMESPACE).collect();
        assert_eq!(keys.len(), KEYS_MAX + 1);
        assert!(keys.iter().any(|(_, key, values)| *key == "other" && values.count() == 10));
        assert!(keys.is_sorted_by_key(|(_, key, _)| *key));
    }

    #[test]
    fn time_that_events_took_together_is_not_lost() {
        let mut readings = Readings::new(Provider::Prometheus);
        readings.record_shared(PREP_PROCESS_TIME, 11, 4);
        readings.record_shared(PREP_PROCESS_TIME, 5, 0);
        let (_, _, values) = readings.summaries().find(|(summary, ..)| *summary == PREP_PROCESS_TIME).unwrap();
        assert_eq!((values.sum(), values.count(), values.max()), (11, 4, 5));
    }

    #[test]
    fn quantiles_look_ten_minutes_back() {
        let mut readings = Readings::new(Provider::Prometheus);
        let median = |readings: &Readings| {
            readings
                .summaries()
                .find(|(summary, ..)| *summary == READLATENCY)
                .and_then(|(.., values)| values.ranked(0.5))
        };
        readings.turn(1_000);
        readings.record(READLATENCY, 7);
        readings.turn(1_000 + 4 * WINDOW_MS);
        assert_eq!(median(&readings), Some(7.0));
        readings.turn(1_000 + 5 * WINDOW_MS);
        assert_eq!(median(&readings), None);
        readings.record(READLATENCY, 8);
        readings.turn(1_000 + 500 * WINDOW_MS);
        assert_eq!(median(&readings), None);
    }
}
