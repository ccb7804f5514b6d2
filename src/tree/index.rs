//! Path to node: a table of hashes of whole paths, each with its node's id. Paths are not stored twice: equality walks
//! up the parents and compares names from the end. The hash beside the id keeps a growing table and a search from
//! looking at nodes for nothing. Split into parts so that growing one stops nobody for long.

use super::node::{NodeId, Pages};
use foldhash::fast::{FixedState, RandomState};
use hashbrown::HashTable;
use std::hash::BuildHasher;

const PARTS: usize = 256;

#[derive(Debug)]
struct Entry {
    hash: u32,
    id: NodeId,
}

#[derive(Debug)]
pub(super) struct Index {
    parts: Vec<HashTable<Entry>>,
    seed: FixedState,
}

impl Index {
    /// An index whose hashes strangers cannot predict: the seed is drawn anew for each.
    pub(super) fn new() -> Self {
        let seed = RandomState::default().hash_one(0x6f78_6b65_6570_6572_u64);
        Index { parts: (0..PARTS).map(|_| HashTable::new()).collect(), seed: FixedState::with_seed(seed) }
    }

    pub(super) fn hash(&self, path: &str) -> u32 {
        let hash = self.seed.hash_one(path);
        (hash ^ (hash >> 32)) as u32
    }

    pub(super) fn find(&self, pages: &Pages, path: &str, hash: u32) -> Option<NodeId> {
        let same = |entry: &Entry| entry.hash == hash && is_path(pages, entry.id, path);
        self.parts[part(hash)].find(spread(hash), same).map(|entry| entry.id)
    }

    pub(super) fn insert(&mut self, hash: u32, id: NodeId) {
        self.parts[part(hash)].insert_unique(spread(hash), Entry { hash, id }, |other| spread(other.hash));
    }

    pub(super) fn remove(&mut self, hash: u32, id: NodeId) {
        match self.parts[part(hash)].find_entry(spread(hash), |other| other.id == id) {
            Ok(entry) => drop(entry.remove()),
            Err(_) => panic!("node {id:?} is not in the index"),
        }
    }
}

fn part(hash: u32) -> usize {
    (hash >> 24) as usize
}

/// The table takes its tag from the top bits and its place from the low ones: give it 64 good bits of our 32.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn is_path(pages: &Pages, id: NodeId, path: &str) -> bool {
    let (mut node, mut rest) = (pages.get(id), path.as_bytes());
    while node.parent != NodeId::NONE {
        let name = node.name.as_bytes();
        match rest.strip_suffix(name).and_then(|head| head.strip_suffix(b"/")) {
            Some(head) => rest = head,
            None => return false,
        }
        node = pages.get(node.parent);
    }
    rest.is_empty()
}
