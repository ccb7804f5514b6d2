//! Prefixes on their way to the sketch: counted exactly, in places that hold still while a write is in flight, so that its
//! answer is counted with an addition and without its path.

use super::prefix::PREFIX_BYTES_MAX;
use super::{Tally, prefix};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// Prefixes at most.
pub const PLACES_MAX: usize = 1_024;

/// Where a prefix is counted.
pub type Place = u32;

#[derive(Debug, Clone)]
struct Counted {
    prefix: Box<str>,
    tally: Tally,
    /// Writes in flight that will come back to this place.
    held: u32,
    /// Nobody's: on the list of free places.
    free: bool,
}

/// The places of one reactor.
#[derive(Debug, Clone)]
pub struct Places {
    depth: usize,
    all: Vec<Counted>,
    free: Vec<Place>,
    table: HashTable<Place>,
    /// Place of the last path's prefix, and whether it has as many names as a prefix may have: requests come in runs.
    last: Option<(Place, bool)>,
}

impl Places {
    /// None yet; prefixes have so many names.
    pub fn new(depth: usize) -> Self {
        Places { depth, all: Vec::new(), free: Vec::new(), table: HashTable::new(), last: None }
    }

    /// The place of a path's prefix; none while all places are taken, and for bytes that are no path.
    pub fn of(&mut self, path: &[u8]) -> Option<Place> {
        if let Some((place, whole)) = self.last
            && let Some(rest) = path.strip_prefix(self.all[place as usize].prefix.as_bytes())
            && let Some(rest) = rest.strip_prefix(b"/")
            && (whole || !rest.contains(&b'/'))
        {
            return Some(place);
        }
        let prefix = prefix(std::str::from_utf8(path).ok()?, self.depth);
        let place = self.find(prefix)?;
        // A prefix that was cut stands for many; the root's ends with the separator itself.
        let names = prefix.bytes().filter(|byte| *byte == b'/').count();
        self.last = (prefix.len() < PREFIX_BYTES_MAX && prefix.len() > 1).then_some((place, names == self.depth));
        Some(place)
    }

    fn find(&mut self, prefix: &str) -> Option<Place> {
        let hash = hash(prefix);
        if let Some(place) = self.table.find(hash, |place| &*self.all[*place as usize].prefix == prefix) {
            return Some(*place);
        }
        let counted = Counted { prefix: prefix.into(), tally: Tally::default(), held: 0, free: false };
        let place = match self.free.pop() {
            Some(place) => {
                self.all[place as usize] = counted;
                place
            }
            None if self.all.len() < PLACES_MAX => {
                self.all.push(counted);
                self.all.len() as Place - 1
            }
            None => return None,
        };
        let all = &self.all;
        self.table.insert_unique(hash, place, |place| self::hash(&all[*place as usize].prefix));
        Some(place)
    }

    /// Counts at a place.
    pub fn add(&mut self, place: Place, tally: Tally) {
        self.all[place as usize].tally.add(tally);
    }

    /// Keeps a place until it is released as often.
    pub fn hold(&mut self, place: Place) {
        self.all[place as usize].held += 1;
    }

    /// A place that was held; what is counted there from now on may be another's.
    pub fn release(&mut self, place: Place) {
        self.all[place as usize].held -= 1;
    }

    /// Hands over what was counted. Places that nobody holds are free then.
    pub fn drain(&mut self, mut counted: impl FnMut(&str, Tally)) {
        self.last = None;
        for (at, place) in self.all.iter_mut().enumerate().filter(|(_, place)| !place.free) {
            let tally = std::mem::take(&mut place.tally);
            if tally != Tally::default() {
                counted(&place.prefix, tally);
            }
            if place.held == 0 {
                place.free = true;
                let at = at as Place;
                self.free.push(at);
                if let Ok(entry) = self.table.find_entry(hash(&place.prefix), |place| *place == at) {
                    entry.remove();
                }
            }
        }
    }
}

fn hash(prefix: &str) -> u64 {
    FixedState::default().hash_one(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Tally = Tally { requests: 1, bytes: 0, time_us: 0 };

    fn drained(places: &mut Places) -> Vec<(String, u64)> {
        let mut all = Vec::new();
        places.drain(|prefix, tally| all.push((prefix.to_owned(), tally.requests)));
        all
    }

    #[test]
    fn a_place_that_is_held_stays_with_its_prefix() {
        let mut places = Places::new(2);
        let slow = places.of(b"/slow/x/1").unwrap();
        places.hold(slow);
        places.add(slow, ONE);
        assert_eq!(drained(&mut places), [("/slow/x".to_owned(), 1)]);
        for number in 0..10 {
            let other = places.of(format!("/{number}/x/y").as_bytes()).unwrap();
            assert_ne!(other, slow);
        }
        assert!(drained(&mut places).is_empty(), "nothing was counted since");
        places.add(slow, ONE);
        places.release(slow);
        assert_eq!(drained(&mut places), [("/slow/x".to_owned(), 1)]);
        assert!(drained(&mut places).is_empty());
        assert_eq!(places.free.len(), places.all.len());
        assert!(places.table.is_empty());
    }

    #[test]
    fn bounded_places_that_are_all_held_are_no_place_for_others() {
        let mut places = Places::new(1);
        for number in 0..PLACES_MAX {
            let place = places.of(format!("/{number}/x").as_bytes()).unwrap();
            places.hold(place);
        }
        assert_eq!(places.of(b"/more/x"), None);
        drained(&mut places);
        assert_eq!(places.of(b"/more/x"), None);
        let known = places.of(b"/7/x").unwrap();
        places.release(known);
        drained(&mut places);
        assert_eq!(places.of(b"/more/x"), Some(known));
    }
}
