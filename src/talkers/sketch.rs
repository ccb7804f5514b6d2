//! Who is heavy in a stream too wide to count: the space-saving sketch (Metwally, Agrawal, El Abbadi: "Efficient
//! computation of frequent and top-k elements in data streams", 2005), with weights and with decay. Knows keys and
//! weights, nothing of requests. What is promised of a sketch of `n` entries after weights that sum up to `total`:
//!
//! - the true weight of a key lies in `least()..=most` of its entry;
//! - an entry is wrong by at most `total / n`;
//! - a key above `total / n` has an entry.
//!
//! Decay shrinks every weight alike, so all three go on to hold for the decayed stream.

use super::{Cost, Measure};
use hashbrown::HashTable;
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};

/// A key that is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry<K> {
    /// Who.
    pub key: K,
    /// At most this much of the measure that the sketch ranks by.
    pub most: f64,
    /// How much of `most` may belong to keys that had this entry before.
    pub error: f64,
    /// Everything the key cost since it has this entry: never too much.
    pub cost: Cost,
}

impl<K> Entry<K> {
    /// At least this much.
    pub fn least(&self) -> f64 {
        self.most - self.error
    }
}

#[derive(Debug, Clone)]
struct Slot<K> {
    entry: Entry<K>,
    hash: u64,
    /// Where the heap holds this slot.
    at: usize,
}

/// The sketch. Its size is that of its entries; a key enters in the place of the lightest one.
#[derive(Debug, Clone)]
pub struct Sketch<K> {
    measure: Measure,
    capacity: usize,
    slots: Vec<Slot<K>>,
    /// Slots by hash.
    table: HashTable<usize>,
    /// Slots, the lightest first.
    heap: Vec<usize>,
    total: f64,
}

/// A fixed seed: a stranger who finds colliding keys makes look-ups go through `capacity` entries, and no more.
fn hash_of<Q: Hash + ?Sized>(key: &Q) -> u64 {
    foldhash::fast::FixedState::default().hash_one(key)
}

impl<K> Sketch<K> {
    /// Nothing yet; `capacity` entries at most, ranked by `measure`.
    pub fn new(measure: Measure, capacity: usize) -> Self {
        assert!(capacity > 0, "a sketch needs an entry");
        Sketch { measure, capacity, slots: Vec::new(), table: HashTable::new(), heap: Vec::new(), total: 0.0 }
    }

    /// Entries at most.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Sum of all weights, decayed as they are.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// A key without an entry had at most this much.
    pub fn unwatched_most(&self) -> f64 {
        if self.slots.len() < self.capacity { 0.0 } else { self.slots[self.heap[0]].entry.most }
    }

    /// The keys that are watched, in no order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry<K>> {
        self.slots.iter().map(|slot| &slot.entry)
    }

    /// Counts what a key cost. A cost without weight in this sketch's measure evicts nobody.
    pub fn add<Q>(&mut self, key: &Q, cost: Cost)
    where
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
        K: Borrow<Q>,
    {
        let weight = cost.of(self.measure);
        debug_assert!(weight >= 0.0, "{weight} of a key");
        self.total += weight;
        let hash = hash_of(key);
        let found = self.table.find(hash, |slot| self.slots[*slot].entry.key.borrow() == key).copied();
        let slot = match found {
            Some(slot) => slot,
            None if weight == 0.0 => return,
            None if self.slots.len() < self.capacity => self.enter(key.to_owned(), hash),
            None => self.replace_lightest(key.to_owned(), hash),
        };
        let entry = &mut self.slots[slot].entry;
        entry.most += weight;
        entry.cost.add(cost);
        self.sink(self.slots[slot].at);
    }

    fn enter(&mut self, key: K, hash: u64) -> usize {
        let (slot, at) = (self.slots.len(), self.heap.len());
        self.slots.push(Slot { entry: Entry { key, most: 0.0, error: 0.0, cost: Cost::default() }, hash, at });
        self.heap.push(slot);
        let slots = &self.slots;
        self.table.insert_unique(hash, slot, |slot| slots[*slot].hash);
        // Without weight it is the lightest.
        self.rise(at);
        slot
    }

    fn replace_lightest(&mut self, key: K, hash: u64) -> usize {
        let slot = self.heap[0];
        let old = self.slots[slot].hash;
        match self.table.find_entry(old, |found| *found == slot) {
            Ok(found) => drop(found.remove()),
            Err(_) => unreachable!("every slot is in the table"),
        }
        let error = self.slots[slot].entry.most;
        let entry = Entry { key, most: error, error, cost: Cost::default() };
        let at = self.slots[slot].at;
        self.slots[slot] = Slot { entry, hash, at };
        let slots = &self.slots;
        self.table.insert_unique(hash, slot, |slot| slots[*slot].hash);
        slot
    }

    fn most_at(&self, at: usize) -> f64 {
        self.slots[self.heap[at]].entry.most
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.slots[self.heap[a]].at = a;
        self.slots[self.heap[b]].at = b;
    }

    fn rise(&mut self, mut at: usize) {
        while at > 0 && self.most_at(at) < self.most_at((at - 1) / 2) {
            self.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let children = [2 * at + 1, 2 * at + 2].into_iter().filter(|child| *child < self.heap.len());
            let lightest = children.min_by(|a, b| self.most_at(*a).total_cmp(&self.most_at(*b)));
            match lightest {
                Some(child) if self.most_at(child) < self.most_at(at) => {
                    self.swap(at, child);
                    at = child;
                }
                _ => return,
            }
        }
    }

    /// Lets all that was counted weigh `factor` of what it did, 0 to 1.
    pub fn decay(&mut self, factor: f64) {
        debug_assert!((0.0..=1.0).contains(&factor), "a factor of {factor}");
        self.total *= factor;
        for Slot { entry, .. } in &mut self.slots {
            entry.most *= factor;
            entry.error *= factor;
            entry.cost.scale(factor);
        }
    }
}

/// What several sketches of different streams say of all streams together, the heaviest first. The bounds add up: an
/// entry is wrong by at most the sum of `total / capacity`.
pub fn merged<'a, K: Hash + Eq + Clone + 'a>(sketches: impl IntoIterator<Item = &'a Sketch<K>>) -> Vec<Entry<K>> {
    let sketches: Vec<_> = sketches.into_iter().collect();
    let mut all: hashbrown::HashMap<&K, Entry<K>> = hashbrown::HashMap::new();
    let unwatched: f64 = sketches.iter().map(|sketch| sketch.unwatched_most()).sum();
    for sketch in &sketches {
        for found in sketch.entries() {
            let entry = all.entry(&found.key).or_insert_with(|| Entry {
                key: found.key.clone(),
                most: unwatched,
                error: unwatched,
                cost: Cost::default(),
            });
            entry.most += found.most - sketch.unwatched_most();
            entry.error += found.error - sketch.unwatched_most();
            entry.cost.add(found.cost);
        }
    }
    let mut all: Vec<_> = all.into_values().collect();
    all.sort_by(|a, b| b.most.total_cmp(&a.most));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn weight(weight: f64) -> Cost {
        Cost { requests: weight, ..Cost::default() }
    }

    /// Something that happens to a stream.
    #[derive(Debug, Clone)]
    enum Step {
        Add(u16, u32),
        Decay(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        // Few keys are heavy, many are light, as streams are.
        let key = prop_oneof![0..4u16, 0..40u16, any::<u16>()];
        let step = prop_oneof![30 => (key, 0..1000u32).prop_map(|(key, weight)| Step::Add(key, weight)), 1 => any::<u8>().prop_map(Step::Decay)];
        proptest::collection::vec(step, 0..400)
    }

    fn run(capacity: usize, steps: &[Step]) -> (Sketch<u16>, HashMap<u16, f64>) {
        let mut sketch = Sketch::new(Measure::Requests, capacity);
        let mut exact: HashMap<u16, f64> = HashMap::new();
        for step in steps {
            match step {
                Step::Add(key, heavy) => {
                    sketch.add(key, weight(f64::from(*heavy)));
                    *exact.entry(*key).or_default() += f64::from(*heavy);
                }
                Step::Decay(eighths) => {
                    let factor = f64::from(*eighths) / 255.0;
                    sketch.decay(factor);
                    exact.values_mut().for_each(|weight| *weight *= factor);
                }
            }
        }
        (sketch, exact)
    }

    /// What rounding may add to a sum of this size.
    fn slack(total: f64) -> f64 {
        total * 1e-9 + 1e-9
    }

    fn check(entries: &[Entry<u16>], exact: &HashMap<u16, f64>, bound: f64) -> Result<(), TestCaseError> {
        let slack = slack(exact.values().sum());
        for entry in entries {
            let truth = exact.get(&entry.key).copied().unwrap_or(0.0);
            prop_assert!(truth <= entry.most + slack, "{entry:?} has {truth}");
            prop_assert!(truth >= entry.least() - slack, "{entry:?} has {truth}");
            prop_assert!(entry.error <= bound + slack, "{entry:?} may be wrong by {bound}");
            prop_assert!(entry.cost.requests <= truth + slack, "{entry:?} has {truth}");
        }
        for (key, truth) in exact {
            let watched = entries.iter().any(|entry| entry.key == *key);
            prop_assert!(watched || *truth <= bound + slack, "{key} has {truth}, above {bound}, and no entry");
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn an_entry_is_wrong_by_at_most_total_over_capacity_and_no_heavy_key_is_missed(
            capacity in 1..20usize, steps in steps(),
        ) {
            let (sketch, exact) = run(capacity, &steps);
            let bound = sketch.total() / capacity as f64;
            prop_assert!((sketch.total() - exact.values().sum::<f64>()).abs() <= slack(sketch.total()));
            prop_assert!(sketch.entries().count() <= capacity);
            check(&sketch.entries().cloned().collect::<Vec<_>>(), &exact, bound)?;
        }

        #[test]
        fn bounds_of_merged_sketches_add_up(
            capacities in proptest::collection::vec(1..20usize, 1..4), streams in proptest::collection::vec(steps(), 3),
        ) {
            let parts: Vec<_> = capacities.iter().zip(&streams).map(|(capacity, steps)| run(*capacity, steps)).collect();
            let bound = parts.iter().map(|(sketch, _)| sketch.total() / sketch.capacity() as f64).sum();
            let mut exact: HashMap<u16, f64> = HashMap::new();
            for (key, weight) in parts.iter().flat_map(|(_, exact)| exact) {
                *exact.entry(*key).or_default() += weight;
            }
            let all = merged(parts.iter().map(|(sketch, _)| sketch));
            check(&all, &exact, bound)?;
            prop_assert!(all.windows(2).all(|pair| pair[0].most >= pair[1].most));
        }
    }

    #[test]
    fn few_keys_are_exact() {
        let mut sketch = Sketch::<String>::new(Measure::Bytes, 4);
        for (key, bytes) in [("a", 5.0), ("b", 7.0), ("a", 6.0)] {
            sketch.add(key, Cost { requests: 1.0, bytes, time_us: 2.0 });
        }
        let all = merged([&sketch]);
        let shown: Vec<_> = all.iter().map(|entry| (entry.key.as_str(), entry.most, entry.error, entry.cost)).collect();
        let cost = |requests, bytes, time_us| Cost { requests, bytes, time_us };
        assert_eq!(shown, [("a", 11.0, 0.0, cost(2.0, 11.0, 4.0)), ("b", 7.0, 0.0, cost(1.0, 7.0, 2.0))]);
    }

    #[test]
    fn a_heavy_key_survives_a_flood_of_light_ones() {
        let mut sketch = Sketch::new(Measure::Requests, 8);
        for light in 0..10_000u32 {
            sketch.add(&light, weight(1.0));
            if light % 4 == 0 {
                sketch.add(&u32::MAX, weight(1.0));
            }
        }
        let first = &merged([&sketch])[0];
        assert_eq!(first.key, u32::MAX);
        assert!(first.least() <= 2_500.0 && 2_500.0 <= first.most, "{first:?}");
    }
}
