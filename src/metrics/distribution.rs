//! The distribution of a summary's values. Knows no names.

use hdrhistogram::Histogram;

/// Digits that are kept of a value; below 256 it is exact.
const SIGNIFICANT_DIGITS: u8 = 2;

/// Values of a summary: sum, number, extremes, and how they are spread where quantiles are wanted.
#[derive(Debug, Clone, Default)]
pub struct Distribution {
    /// Sum of the values.
    pub sum: i64,
    /// How many there were.
    pub count: u64,
    extremes: Option<(i64, i64)>,
    has_quantiles: bool,
    /// Made with the first value: most summaries never get one.
    histogram: Option<Box<Histogram<u64>>>,
}

impl Distribution {
    /// An empty one.
    pub fn new(has_quantiles: bool) -> Self {
        Distribution { has_quantiles, ..Distribution::default() }
    }

    /// Adds a value. Among the quantiles, a value below 0 counts as 0.
    pub fn record(&mut self, value: i64) {
        self.sum = self.sum.saturating_add(value);
        self.count += 1;
        self.extremes = Some(self.extremes.map_or((value, value), |(min, max)| (min.min(value), max.max(value))));
        if self.has_quantiles {
            let value = u64::try_from(value).unwrap_or(0);
            self.histogram().record(value).expect("a histogram that grows by itself takes every value");
        }
    }

    fn histogram(&mut self) -> &mut Histogram<u64> {
        self.histogram.get_or_insert_with(|| {
            Box::new(Histogram::new(SIGNIFICANT_DIGITS).expect("a histogram has one to five digits"))
        })
    }

    /// Adds what another thread recorded.
    pub fn merge(&mut self, other: &Distribution) {
        self.sum = self.sum.saturating_add(other.sum);
        self.count += other.count;
        self.extremes = match (self.extremes, other.extremes) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, two) => one.or(two),
        };
        if let Some(theirs) = other.histogram.as_deref().filter(|_| self.has_quantiles) {
            self.histogram().add(theirs).expect("a histogram that grows by itself takes every value");
        }
    }

    /// Least value; 0 when there is none.
    pub fn min(&self) -> i64 {
        self.extremes.map_or(0, |(min, _)| min)
    }

    /// Greatest value; 0 when there is none.
    pub fn max(&self) -> i64 {
        self.extremes.map_or(0, |(_, max)| max)
    }

    /// The value at a quantile, interpolated between its neighbours; `None` without values.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let histogram = self.histogram.as_deref()?;
        let count = histogram.len();
        let position = (quantile * (count + 1) as f64).clamp(1.0, count as f64);
        let below = position.floor();
        let low = value_at(histogram, below as u64)?;
        let high = value_at(histogram, position.ceil() as u64)?;
        Some(low + (position - below) * (high - low))
    }
}

/// The value with this rank, counted from 1.
fn value_at(histogram: &Histogram<u64>, rank: u64) -> Option<f64> {
    let mut seen = 0;
    histogram.iter_recorded().find_map(|step| {
        seen += step.count_since_last_iteration();
        (seen >= rank).then(|| histogram.lowest_equivalent(step.value_iterated_to()) as f64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[i64]) -> Distribution {
        let mut distribution = Distribution::new(true);
        values.iter().for_each(|value| distribution.record(*value));
        distribution
    }

    #[test]
    fn nothing_recorded_is_nothing() {
        let empty = of(&[]);
        assert_eq!((empty.min(), empty.max(), empty.sum, empty.count, empty.quantile(0.5)), (0, 0, 0, 0, None));
    }

    /// Asked of `com.codahale.metrics.UniformSnapshot`.
    #[test]
    fn quantiles_lie_between_their_neighbours() {
        let ten = of(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(ten.quantile(0.5), Some(5.5));
        assert_eq!(ten.quantile(0.95), Some(10.0));
        assert_eq!(ten.quantile(0.9), Some(9.9));
        assert_eq!(of(&[7]).quantile(0.5), Some(7.0));
        assert_eq!(of(&[1, 19]).quantile(0.5), Some(10.0));
        assert_eq!(of(&[1, 19]).quantile(0.0), Some(1.0));
    }

    #[test]
    fn a_basic_distribution_has_no_quantiles() {
        let mut basic = Distribution::new(false);
        basic.record(5);
        basic.merge(&of(&[1]));
        assert_eq!((basic.min(), basic.max(), basic.quantile(0.5)), (1, 5, None));
    }

    #[test]
    fn extreme_values_are_taken() {
        let wide = of(&[i64::MIN, -1, 0, i64::MAX]);
        assert_eq!((wide.min(), wide.max(), wide.count), (i64::MIN, i64::MAX, 4));
        assert!(wide.quantile(0.999).unwrap() > 9.0e18);
        assert_eq!(wide.quantile(0.01), Some(0.0));
    }

    proptest! {
        #[test]
        fn a_merge_is_as_if_one_had_recorded_all(one: Vec<u16>, two: Vec<u16>) {
            let values = |of: &[u16]| of.iter().map(|value| i64::from(*value)).collect::<Vec<_>>();
            let mut merged = of(&values(&one));
            merged.merge(&of(&values(&two)));
            let all = of(&values(&[one, two].concat()));
            for quantile in [0.5, 0.95, 0.999] {
                prop_assert_eq!(merged.quantile(quantile), all.quantile(quantile));
            }
            prop_assert_eq!((merged.min(), merged.max(), merged.sum, merged.count), (all.min(), all.max(), all.sum, all.count));
        }

        #[test]
        fn small_values_are_exact(mut values in proptest::collection::vec(0..256i64, 1..50)) {
            let distribution = of(&values);
            values.sort_unstable();
            prop_assert_eq!(distribution.quantile(0.0), Some(values[0] as f64));
            prop_assert_eq!(distribution.quantile(1.0), Some(values[values.len() - 1] as f64));
        }
    }
}
