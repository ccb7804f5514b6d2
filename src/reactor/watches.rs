//! The watches of one reactor's connections (`org.apache.zookeeper.server.watch.WatchManager`). Two tables, as in the
//! original: data watches hear of the node itself, child watches of its list of children. A persistent watch sits in
//! both; a persistent recursive one sits in the data table and hears of everything below. No lock: the reactor alone
//! registers, and alone matches changes, in the order of their zxids (WATCH-2).

use hashbrown::{HashMap, HashSet};
use std::sync::Arc;

/// A connection of this reactor.
pub type Number = u64;

/// Bits of what a connection wants at a path; they are independent of each other.
const STANDARD: u8 = 1;
const PERSISTENT: u8 = 2;
const RECURSIVE: u8 = 4;

/// What to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchKind {
    /// exists and getData: once.
    Data,
    /// getChildren: once.
    Child,
    /// addWatch mode 0.
    Persistent,
    /// addWatch mode 1.
    PersistentRecursive,
}

/// What checkWatches and removeWatches ask about (`org.apache.zookeeper.Watcher.WatcherType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatcherType {
    /// Standard child watches.
    Children,
    /// Standard data watches.
    Data,
    /// Any watch.
    Any,
    /// Persistent watches.
    Persistent,
    /// Persistent recursive watches.
    PersistentRecursive,
}

impl WatcherType {
    /// By its number on the wire.
    pub fn from_wire(number: i32) -> Option<Self> {
        Some(match number {
            1 => WatcherType::Children,
            2 => WatcherType::Data,
            3 => WatcherType::Any,
            4 => WatcherType::Persistent,
            5 => WatcherType::PersistentRecursive,
            _ => return None,
        })
    }
}

type Table = HashMap<Arc<str>, HashMap<Number, u8>>;

/// All watches of a reactor.
#[derive(Debug, Default)]
pub struct Watches {
    data: Table,
    child: Table,
    by_connection: HashMap<Number, HashSet<Arc<str>>>,
    /// Paths in the data table of each connection. As in the original, one whose watches have all fired stays listed,
    /// with 0, until it closes; one that removed its last watch does not.
    data_paths: HashMap<Number, usize>,
    recursive: usize,
}

impl Watches {
    /// Registers a watch; doing so twice changes nothing.
    pub fn add(&mut self, number: Number, path: &str, kind: WatchKind) {
        let known =
            self.data.get_key_value(path).or_else(|| self.child.get_key_value(path)).map(|(path, _)| path.clone());
        let path = known.unwrap_or_else(|| path.into());
        if kind != WatchKind::Child {
            let first = !self.data.get(&path).is_some_and(|watchers| watchers.contains_key(&number));
            *self.data_paths.entry(number).or_default() += usize::from(first);
        }
        let mut set = |table: fn(&mut Self) -> &mut Table, bit| {
            let bits = table(self).entry(path.clone()).or_default().entry(number).or_default();
            let new = *bits & bit == 0;
            *bits |= bit;
            new
        };
        match kind {
            WatchKind::Data => drop(set(|w| &mut w.data, STANDARD)),
            WatchKind::Child => drop(set(|w| &mut w.child, STANDARD)),
            WatchKind::Persistent => {
                set(|w| &mut w.data, PERSISTENT);
                set(|w| &mut w.child, PERSISTENT);
            }
            WatchKind::PersistentRecursive => {
                if set(|w| &mut w.data, RECURSIVE) {
                    self.recursive += 1;
                }
            }
        }
        self.by_connection.entry(number).or_default().insert(path);
    }

    /// Whether a connection has such a watch.
    pub fn contains(&self, number: Number, path: &str, kind: WatcherType) -> bool {
        let bits = |table: &Table| table.get(path).and_then(|watchers| watchers.get(&number)).copied().unwrap_or(0);
        let (data, child) = (bits(&self.data), bits(&self.child));
        match kind {
            WatcherType::Children => child & STANDARD != 0,
            WatcherType::Data => data & STANDARD != 0,
            WatcherType::Any => data | child != 0,
            WatcherType::Persistent => (data | child) & PERSISTENT != 0,
            WatcherType::PersistentRecursive => data & RECURSIVE != 0,
        }
    }

    /// Removes such a watch; false when there was none.
    pub fn remove(&mut self, number: Number, path: &str, kind: WatcherType) -> bool {
        if !self.contains(number, path, kind) {
            return false;
        }
        let (data, child) = match kind {
            WatcherType::Children => (0, STANDARD),
            WatcherType::Data => (STANDARD, 0),
            WatcherType::Any => (u8::MAX, u8::MAX),
            WatcherType::Persistent => (PERSISTENT, PERSISTENT),
            WatcherType::PersistentRecursive => (RECURSIVE, 0),
        };
        if self.clear_bits(number, path, data, child) && self.data_paths.get(&number) == Some(&0) {
            self.data_paths.remove(&number);
        }
        true
    }

    /// Forgets a connection.
    pub fn remove_connection(&mut self, number: Number) {
        for path in self.by_connection.remove(&number).unwrap_or_default() {
            self.clear_bits(number, &path, u8::MAX, u8::MAX);
        }
        self.data_paths.remove(&number);
    }

    /// Who hears of a change of the node itself, recursive watchers above included, each once. Standard watches are used up.
    pub fn trigger_data(&mut self, path: &str, told: &mut Vec<Number>) {
        told.clear();
        if let Some(watchers) = self.data.get(path) {
            told.extend(watchers.keys());
        }
        if self.recursive > 0 {
            let mut above = path;
            while let Some((parent, _)) = above.rsplit_once('/') {
                if above == "/" {
                    break;
                }
                above = if parent.is_empty() { "/" } else { parent };
                if let Some(watchers) = self.data.get(above) {
                    told.extend(watchers.iter().filter(|(_, bits)| **bits & RECURSIVE != 0).map(|(number, _)| number));
                }
            }
        }
        told.sort_unstable();
        told.dedup();
        for number in self.use_up(|watches| &mut watches.data, path) {
            self.data_path_gone(number);
        }
    }

    /// Who hears of a change of the children of `path`. Standard watches are used up.
    pub fn trigger_child(&mut self, path: &str, told: &mut Vec<Number>) {
        told.clear();
        if let Some(watchers) = self.child.get(path) {
            told.extend(watchers.keys());
        }
        told.sort_unstable();
        self.use_up(|watches| &mut watches.child, path);
    }

    /// The connections that have nothing left in this table at the path.
    fn use_up(&mut self, table: fn(&mut Self) -> &mut Table, path: &str) -> Vec<Number> {
        let mut emptied = Vec::new();
        let Some(watchers) = table(self).get_mut(path) else { return emptied };
        watchers.retain(|number, bits| {
            *bits &= !STANDARD;
            if *bits == 0 {
                emptied.push(*number);
            }
            *bits != 0
        });
        if watchers.is_empty() {
            table(self).remove(path);
        }
        emptied.iter().for_each(|number| self.forget_if_gone(*number, path));
        emptied
    }

    fn data_path_gone(&mut self, number: Number) {
        if let Some(paths) = self.data_paths.get_mut(&number) {
            *paths -= 1;
        }
    }

    /// True when the path is no longer in the connection's data table.
    fn clear_bits(&mut self, number: Number, path: &str, data: u8, child: u8) -> bool {
        let has_data = |watches: &Self| watches.data.get(path).is_some_and(|watchers| watchers.contains_key(&number));
        let had_data = has_data(self);
        let mut recursive = 0;
        for (table, bits) in [(&mut self.data, data), (&mut self.child, child)] {
            let Some(watchers) = table.get_mut(path) else { continue };
            if let Some(mine) = watchers.get_mut(&number) {
                recursive += usize::from(*mine & bits & RECURSIVE != 0);
                *mine &= !bits;
                if *mine == 0 {
                    watchers.remove(&number);
                }
            }
            if watchers.is_empty() {
                table.remove(path);
            }
        }
        self.recursive -= recursive;
        self.forget_if_gone(number, path);
        let gone = had_data && !has_data(self);
        if gone {
            self.data_path_gone(number);
        }
        gone
    }

    fn forget_if_gone(&mut self, number: Number, path: &str) {
        let has = |table: &Table| table.get(path).is_some_and(|watchers| watchers.contains_key(&number));
        if has(&self.data) || has(&self.child) {
            return;
        }
        if let Some(paths) = self.by_connection.get_mut(&number) {
            paths.remove(path);
            if paths.is_empty() {
                self.by_connection.remove(&number);
            }
        }
    }

    /// No watch at all: changes need not be told.
    pub fn is_empty(&self) -> bool {
        self.by_connection.is_empty()
    }

    /// Watches in both tables, as `watch_count` counts.
    pub fn count(&self) -> usize {
        [&self.data, &self.child].into_iter().flat_map(|table| table.values()).map(HashMap::len).sum()
    }

    /// How many paths each connection watches, in any way.
    pub fn paths_by_connection(&self) -> impl Iterator<Item = (Number, usize)> {
        self.by_connection.iter().map(|(number, paths)| (*number, paths.len()))
    }

    /// The connections that `wchs` counts and `wchc` lists: also those whose data watches have all fired.
    pub fn data_connections(&self) -> impl Iterator<Item = Number> {
        self.data_paths.keys().copied()
    }

    /// Data watches with their connections, as `wchs`, `wchc` and `wchp` list them.
    pub fn data_watches(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = Number>)> {
        self.data.iter().map(|(path, watchers)| (&**path, watchers.keys().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(watches: &mut Watches, path: &str) -> Vec<Number> {
        let mut told = Vec::new();
        watches.trigger_data(path, &mut told);
        told
    }

    #[test]
    fn a_standard_watch_fires_once_and_leaves_nothing_behind() {
        let mut watches = Watches::default();
        watches.add(1, "/a", WatchKind::Data);
        watches.add(1, "/a", WatchKind::Data);
        assert_eq!(data(&mut watches, "/a"), [1]);
        assert!(data(&mut watches, "/a").is_empty());
        assert!(watches.is_empty());
    }

    #[test]
    fn recursive_hears_everything_below_once_each_time() {
        let mut watches = Watches::default();
        watches.add(1, "/", WatchKind::PersistentRecursive);
        watches.add(1, "/a/b", WatchKind::Data);
        watches.add(2, "/a", WatchKind::PersistentRecursive);
        assert_eq!(data(&mut watches, "/a/b"), [1, 2]);
        assert_eq!(data(&mut watches, "/a/b"), [1, 2]);
        assert_eq!(data(&mut watches, "/ab"), [1]);
        assert_eq!(data(&mut watches, "/"), [1]);
        let mut told = Vec::new();
        watches.trigger_child("/a", &mut told);
        assert!(told.is_empty());
    }

    #[test]
    fn modes_at_one_path_are_independent() {
        let mut watches = Watches::default();
        watches.add(1, "/a", WatchKind::Data);
        watches.add(1, "/a", WatchKind::Persistent);
        watches.add(1, "/a", WatchKind::PersistentRecursive);
        assert_eq!(data(&mut watches, "/a"), [1]);
        assert!(!watches.contains(1, "/a", WatcherType::Data));
        assert!(watches.remove(1, "/a", WatcherType::PersistentRecursive));
        assert!(watches.contains(1, "/a", WatcherType::Persistent));
        assert!(watches.remove(1, "/a", WatcherType::Any));
        assert!(!watches.remove(1, "/a", WatcherType::Any));
        assert!(watches.is_empty());
        assert_eq!(watches.recursive, 0);
    }

    /// What the Java server answers to `wchs` after the same steps.
    #[test]
    fn a_connection_counts_until_it_closes_or_removes_its_last_data_watch() {
        let mut watches = Watches::default();
        let listed = |watches: &Watches| {
            let mut numbers: Vec<_> = watches.data_connections().collect();
            numbers.sort_unstable();
            numbers
        };
        watches.add(1, "/x", WatchKind::Data);
        assert_eq!(data(&mut watches, "/x"), [1]);
        assert_eq!(listed(&watches), [1]);
        watches.add(2, "/x", WatchKind::Child);
        assert_eq!(listed(&watches), [1]);
        watches.add(2, "/y", WatchKind::Persistent);
        watches.add(2, "/y", WatchKind::Data);
        assert_eq!(listed(&watches), [1, 2]);
        assert!(watches.remove(2, "/y", WatcherType::Data));
        assert_eq!(listed(&watches), [1, 2]);
        assert!(watches.remove(2, "/y", WatcherType::Any));
        assert_eq!(listed(&watches), [1]);
        watches.remove_connection(1);
        watches.remove_connection(2);
        assert!(watches.data_paths.is_empty() && watches.is_empty());
    }

    #[test]
    fn a_closed_connection_takes_its_watches_along() {
        let mut watches = Watches::default();
        watches.add(1, "/a", WatchKind::PersistentRecursive);
        watches.add(1, "/b", WatchKind::Child);
        watches.add(2, "/b", WatchKind::Child);
        watches.remove_connection(1);
        assert_eq!(watches.count(), 1);
        assert_eq!(watches.recursive, 0);
    }
}
