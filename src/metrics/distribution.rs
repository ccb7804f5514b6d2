//! The distribution of a summary's values. Knows no names and no clock.
//!
//! Values are counted in cells: exact below 256, and to two significant digits above. Only cells that have values take memory
//! (eight bytes each), so that a summary for each of a thousand namespaces costs next to nothing.

use std::collections::VecDeque;

/// Bits of a value that are kept.
const KEPT_BITS: u32 = 8;
/// Windows of a distribution that forgets (`io.prometheus.client.TimeWindowQuantiles`: five of them in ten minutes).
const WINDOWS: usize = 5;

/// What is kept of the values' spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spread {
    /// Nothing.
    #[default]
    None,
    /// Of all values.
    Whole,
    /// Of the values since the fifth [`Distribution::turn`] before.
    Recent,
}

/// How often each value was recorded, by cells in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Cells {
    cells: Vec<(u16, u32)>,
    /// Where the last value went: the next one is often like it.
    last: usize,
}

impl Cells {
    fn add(&mut self, cell: u16, times: u32) {
        if let Some((known, count)) = self.cells.get_mut(self.last)
            && *known == cell
        {
            *count = count.saturating_add(times);
            return;
        }
        match self.cells.binary_search_by_key(&cell, |(cell, _)| *cell) {
            Ok(at) => {
                self.last = at;
                self.cells[at].1 = self.cells[at].1.saturating_add(times);
            }
            Err(at) => {
                self.last = at;
                self.cells.insert(at, (cell, times));
            }
        }
    }
}

/// The cell of a value. Below 256 each value has its own; above, each power of two has 128.
fn cell_of(value: u64) -> u16 {
    let bits = u64::BITS - value.leading_zeros();
    let shift = bits.saturating_sub(KEPT_BITS);
    ((shift << (KEPT_BITS - 1)) + (value >> shift) as u32) as u16
}

/// The least value of a cell.
fn value_of(cell: u16) -> u64 {
    let half = 1 << (KEPT_BITS - 1);
    let shift = u32::from(cell).saturating_sub(half) / half;
    (u64::from(cell) - u64::from(shift * half)) << shift
}

/// Values of a summary: sum, number, extremes, and how they are spread where quantiles are wanted.
#[derive(Debug, Clone, Default)]
pub struct Distribution {
    /// The two last different values, the newer first, and how often each came: not among the figures below yet. What is
    /// counted for each request is mostly like one of the two before, and costs a comparison then.
    runs: [(i64, u32); 2],
    /// Sum of the values.
    sum: i64,
    /// How many there were.
    count: u64,
    /// Least and greatest; of no meaning without values.
    extremes: (i64, i64),
    spread: Spread,
    /// Takes no memory before the first value: most summaries never get one.
    newest: Cells,
    /// Windows before, the oldest first.
    older: VecDeque<Cells>,
}

impl Distribution {
    /// An empty one.
    pub fn new(spread: Spread) -> Self {
        Distribution { spread, ..Distribution::default() }
    }

    /// Adds a value. Among the quantiles, a value below 0 counts as 0.
    #[inline]
    pub fn record(&mut self, value: i64) {
        for (known, times) in &mut self.runs {
            if *known == value && *times < u32::MAX {
                *times += 1;
                return;
            }
        }
        let [newer, (value_before, times)] = self.runs;
        self.record_many(value_before, times);
        self.runs = [(value, 1), newer];
    }

    /// Adds a value that came several times.
    pub fn record_many(&mut self, value: i64, times: u32) {
        if times == 0 {
            return;
        }
        let (min, max) = if self.count == 0 { (value, value) } else { self.extremes };
        self.extremes = (min.min(value), max.max(value));
        self.sum = self.sum.saturating_add(value.saturating_mul(i64::from(times)));
        self.count += u64::from(times);
        if self.spread != Spread::None {
            self.newest.add(cell_of(u64::try_from(value).unwrap_or(0)), times);
        }
    }

    fn settle(&mut self) {
        for (value, times) in std::mem::take(&mut self.runs) {
            self.record_many(value, times);
        }
    }

    /// A window ends: of a distribution that forgets, the oldest values are no longer among the quantiles.
    pub fn turn(&mut self) {
        self.settle();
        if self.spread != Spread::Recent || self.newest.cells.is_empty() && self.older.is_empty() {
            return;
        }
        self.older.push_back(std::mem::take(&mut self.newest));
        if self.older.len() == WINDOWS {
            self.older.pop_front();
        }
        if self.older.iter().all(|window| window.cells.is_empty()) {
            self.older = VecDeque::new();
        }
    }

    /// Adds what another thread recorded.
    pub fn merge(&mut self, other: &Distribution) {
        for (value, times) in other.runs {
            self.record_many(value, times);
        }
        if other.count == 0 {
            return;
        }
        let (min, max) = if self.count == 0 { other.extremes } else { self.extremes };
        self.extremes = (min.min(other.extremes.0), max.max(other.extremes.1));
        self.sum = self.sum.saturating_add(other.sum);
        self.count += other.count;
        if self.spread == Spread::None {
            return;
        }
        let add = |to: &mut Cells, from: &Cells| from.cells.iter().for_each(|(cell, times)| to.add(*cell, *times));
        add(&mut self.newest, &other.newest);
        while self.older.len() < other.older.len() {
            self.older.push_front(Cells::default());
        }
        for (ours, theirs) in self.older.iter_mut().rev().zip(other.older.iter().rev()) {
            add(ours, theirs);
        }
    }

    /// Sum of the values.
    pub fn sum(&self) -> i64 {
        self.runs
            .iter()
            .fold(self.sum, |sum, (value, times)| sum.saturating_add(value.saturating_mul(i64::from(*times))))
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.runs.iter().fold(self.count, |count, (_, times)| count + u64::from(*times))
    }

    /// Least value; 0 when there is none.
    pub fn min(&self) -> i64 {
        self.extreme(self.extremes.0, i64::min)
    }

    /// Greatest value; 0 when there is none.
    pub fn max(&self) -> i64 {
        self.extreme(self.extremes.1, i64::max)
    }

    fn extreme(&self, settled: i64, of: impl FnMut(i64, i64) -> i64) -> i64 {
        let runs = self.runs.iter().filter(|(_, times)| *times > 0).map(|(value, _)| *value);
        (self.count > 0).then_some(settled).into_iter().chain(runs).reduce(of).unwrap_or(0)
    }

    /// The value at a quantile, interpolated between its neighbours; `None` without values
    /// (`com.codahale.metrics.UniformSnapshot`).
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let (cells, count) = self.together()?;
        let position = (quantile * (count + 1) as f64).clamp(1.0, count as f64);
        let below = position.floor();
        let low = value_at(&cells, below as u64)?;
        let high = value_at(&cells, position.ceil() as u64)?;
        Some(low + (position - below) * (high - low))
    }

    /// The least value that at least this share of all is not above; `None` without values
    /// (`io.prometheus.client.CKMSQuantiles`).
    pub fn ranked(&self, quantile: f64) -> Option<f64> {
        let (cells, count) = self.together()?;
        value_at(&cells, ((quantile * count as f64).ceil() as u64).clamp(1, count))
    }

    /// All windows as one, with the number of values.
    fn together(&self) -> Option<(Cells, u64)> {
        let mut all = self.newest.clone();
        for window in &self.older {
            window.cells.iter().for_each(|(cell, times)| all.add(*cell, *times));
        }
        for (value, times) in self.runs.iter().filter(|(_, times)| self.spread != Spread::None && *times > 0) {
            all.add(cell_of(u64::try_from(*value).unwrap_or(0)), *times);
        }
        let count = all.cells.iter().map(|(_, times)| u64::from(*times)).sum();
        (count > 0).then_some((all, count))
    }
}

/// The value with this rank, counted from 1.
fn value_at(cells: &Cells, rank: u64) -> Option<f64> {
    let mut seen = 0;
    cells.cells.iter().find_map(|(cell, times)| {
        seen += u64::from(*times);
        (seen >= rank).then(|| value_of(*cell) as f64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[i64]) -> Distribution {
        let mut distribution = Distribution::new(Spread::Whole);
        values.iter().for_each(|value| distribution.record(*value));
        distribution
    }

    #[test]
    fn nothing_recorded_is_nothing() {
        let empty = of(&[]);
        assert_eq!((empty.min(), empty.max(), empty.sum(), empty.count(), empty.quantile(0.5)), (0, 0, 0, 0, None));
        assert_eq!(empty.ranked(0.5), None);
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
    fn ranked_values_are_values_that_were_there() {
        assert_eq!(of(&[1, 19]).ranked(0.5), Some(1.0));
        assert_eq!(of(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).ranked(0.99), Some(10.0));
        assert_eq!(of(&[3]).ranked(0.0), Some(3.0));
    }

    #[test]
    fn a_basic_distribution_has_no_quantiles() {
        let mut basic = Distribution::new(Spread::None);
        basic.record(5);
        basic.merge(&of(&[1]));
        assert_eq!((basic.min(), basic.max(), basic.quantile(0.5)), (1, 5, None));
    }

    #[test]
    fn extreme_values_are_taken() {
        let wide = of(&[i64::MIN, -1, 0, i64::MAX]);
        assert_eq!((wide.min(), wide.max(), wide.count()), (i64::MIN, i64::MAX, 4));
        assert!(wide.quantile(0.999).unwrap() > 9.0e18);
        assert_eq!(wide.quantile(0.01), Some(0.0));
    }

    #[test]
    fn old_values_leave_the_quantiles_and_stay_in_the_sums() {
        let mut recent = Distribution::new(Spread::Recent);
        recent.record(7);
        for _ in 1..WINDOWS {
            recent.turn();
            assert_eq!(recent.ranked(0.5), Some(7.0));
        }
        recent.record(3);
        recent.turn();
        assert_eq!(recent.ranked(1.0), Some(3.0));
        for _ in 0..WINDOWS {
            recent.turn();
        }
        assert_eq!((recent.ranked(0.5), recent.sum(), recent.count()), (None, 10, 2));
        assert!(recent.older.is_empty() && recent.newest.cells.is_empty(), "it takes no memory any more");
    }

    #[test]
    fn windows_are_merged_by_age() {
        let (mut one, mut two) = (Distribution::new(Spread::Recent), Distribution::new(Spread::Recent));
        one.record(1);
        one.turn();
        two.record(2);
        one.merge(&two);
        for _ in 2..WINDOWS {
            one.turn();
        }
        one.turn();
        assert_eq!((one.ranked(0.0), one.ranked(1.0)), (Some(2.0), Some(2.0)));
    }

    #[test]
    fn a_value_that_came_often_counts_so() {
        let mut often = of(&[1]);
        often.record_many(4, 3);
        often.record_many(100, 0);
        assert_eq!((often.sum(), often.count(), often.max(), often.ranked(0.5)), (13, 4, 4, Some(4.0)));
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
            prop_assert_eq!((merged.min(), merged.max(), merged.sum(), merged.count()), (all.min(), all.max(), all.sum(), all.count()));
        }

        #[test]
        fn small_values_are_exact(mut values in proptest::collection::vec(0..256i64, 1..50)) {
            let distribution = of(&values);
            values.sort_unstable();
            prop_assert_eq!(distribution.quantile(0.0), Some(values[0] as f64));
            prop_assert_eq!(distribution.quantile(1.0), Some(values[values.len() - 1] as f64));
        }

        #[test]
        fn a_cell_is_less_than_a_hundredth_wide(value: u64) {
            let least = value_of(cell_of(value));
            prop_assert!(least <= value && value - least <= value / 100, "{value} in the cell of {least}");
            prop_assert_eq!(cell_of(least), cell_of(value));
        }

        #[test]
        fn cells_are_in_the_order_of_their_values(one: u64, two: u64) {
            prop_assert_eq!(cell_of(one).cmp(&cell_of(two)), value_of(cell_of(one)).cmp(&value_of(cell_of(two))));
        }
    }
}
