//! The watches this session has left, as the Java client keeps them (`org.apache.zookeeper.ZKWatchManager`): which
//! event is for whom, what removewatches may remove, and what a new connection must leave again. Knows no connection.

use crate::client;
use std::collections::BTreeSet;

/// Kinds of events (`Watcher.Event.EventType`), by their number on the wire.
pub const EVENT_KINDS: [(i32, &str); 4] =
    [(1, "NodeCreated"), (2, "NodeDeleted"), (3, "NodeDataChanged"), (4, "NodeChildrenChanged")];

/// The name of a kind of event.
pub fn event_name(kind: i32) -> Option<&'static str> {
    EVENT_KINDS.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name)
}

/// A kind of watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of getData, and of exists on a node that was there.
    Data,
    /// Of exists on a node that was not there.
    Exist,
    /// Of getChildren.
    Child,
    /// Of addWatch.
    Persistent,
    /// Of addWatch, for a whole subtree.
    Recursive,
}

/// What removewatches removes (`Watcher.WatcherType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Child watches.
    Children = 1,
    /// Data watches.
    Data = 2,
    /// All of them.
    Any = 3,
    /// Persistent ones.
    Persistent = 4,
    /// Persistent recursive ones.
    Recursive = 5,
}

/// Paths by kind of watch. Every watch of the shell has the same watcher, so a set of paths is enough.
#[derive(Debug, Default)]
pub struct Watches {
    data: BTreeSet<String>,
    exist: BTreeSet<String>,
    child: BTreeSet<String>,
    persistent: BTreeSet<String>,
    recursive: BTreeSet<String>,
}

impl Watches {
    fn of(&mut self, kind: Kind) -> &mut BTreeSet<String> {
        match kind {
            Kind::Data => &mut self.data,
            Kind::Exist => &mut self.exist,
            Kind::Child => &mut self.child,
            Kind::Persistent => &mut self.persistent,
            Kind::Recursive => &mut self.recursive,
        }
    }

    /// Remembers a watch; false when it was there already.
    pub fn add(&mut self, kind: Kind, path: &str) -> bool {
        self.of(kind).insert(path.to_owned())
    }

    /// Forgets a watch that the server did not leave.
    pub fn forget(&mut self, kind: Kind, path: &str) {
        self.of(kind).remove(path);
    }

    /// An exists watch whose node turned out to be there is a data watch, unless it has fired meanwhile.
    pub fn found(&mut self, path: &str) {
        if self.exist.remove(path) {
            self.data.insert(path.to_owned());
        }
    }

    /// Whether an event is for somebody; watches that fire once are gone then.
    pub fn fire(&mut self, event: i32, path: &str) -> bool {
        let mut wanted = match event {
            1 | 3 => self.data.remove(path) | self.exist.remove(path),
            2 => self.data.remove(path) | self.exist.remove(path) | self.child.remove(path),
            4 => self.child.remove(path),
            _ => return false,
        };
        wanted |= self.persistent.contains(path);
        // Events of children are not for recursive watches: those hear of the children themselves.
        wanted | (event != 4 && ancestors(path).any(|above| self.recursive.contains(above)))
    }

    /// Whether there is a watch that a removal would remove.
    pub fn has(&self, removal: Removal, path: &str) -> bool {
        match removal {
            Removal::Children => self.child.contains(path),
            Removal::Data => self.data.contains(path) || self.exist.contains(path),
            Removal::Persistent => self.persistent.contains(path),
            Removal::Recursive => self.recursive.contains(path),
            Removal::Any => [Removal::Children, Removal::Data, Removal::Persistent, Removal::Recursive]
                .into_iter()
                .any(|one| self.has(one, path)),
        }
    }

    /// Removes watches and returns the names of the events that tell of it.
    pub fn remove(&mut self, removal: Removal, path: &str) -> Vec<&'static str> {
        let mut told = Vec::new();
        let any = removal == Removal::Any;
        if (any || removal == Removal::Children) && self.child.remove(path) {
            told.push("ChildWatchRemoved");
        }
        if (any || removal == Removal::Data) && (self.data.remove(path) | self.exist.remove(path)) {
            told.push("DataWatchRemoved");
        }
        let persistent = (any || removal == Removal::Persistent) && self.persistent.remove(path);
        let recursive = (any || removal == Removal::Recursive) && self.recursive.remove(path);
        if persistent || recursive {
            told.push("PersistentWatchRemoved");
        }
        told
    }

    /// What a new connection must leave again, in pieces of a bounded size; `server_path` adds the chroot.
    pub fn pieces(&self, server_path: impl Fn(&str) -> String) -> Vec<Vec<(Kind, String)>> {
        /// `ClientCnxn.SET_WATCHES_MAX_LENGTH`.
        const PIECE_BYTES: usize = 128 * 1024;
        let kinds = [
            (Kind::Data, &self.data),
            (Kind::Exist, &self.exist),
            (Kind::Child, &self.child),
            (Kind::Persistent, &self.persistent),
            (Kind::Recursive, &self.recursive),
        ];
        let mut pieces: Vec<Vec<(Kind, String)>> = Vec::new();
        let mut room = 0;
        for (kind, path) in kinds.into_iter().flat_map(|(kind, paths)| paths.iter().map(move |path| (kind, path))) {
            if room < path.len() {
                pieces.push(Vec::new());
                room = PIECE_BYTES;
            }
            room = room.saturating_sub(path.len());
            pieces.last_mut().expect("a piece was begun").push((kind, server_path(path)));
        }
        pieces
    }
}

/// One piece as the request wants it.
pub fn lists(piece: &[(Kind, String)]) -> client::Watches<'_> {
    let of = |wanted| piece.iter().filter(|(kind, _)| *kind == wanted).map(|(_, path)| path.as_str()).collect();
    client::Watches {
        data: of(Kind::Data),
        exist: of(Kind::Exist),
        child: of(Kind::Child),
        persistent: of(Kind::Persistent),
        persistent_recursive: of(Kind::Recursive),
    }
}

/// A path and all above it, the root last.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let parent = |path: &&'_ str| match path.rfind('/') {
        _ if path.len() <= 1 => None,
        Some(0) => Some(0),
        at => at,
    };
    std::iter::successors(Some(path), move |path| {
        let at = parent(path)?;
        Some(if at == 0 { "/" } else { &path[..at] })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_that_fires_once_is_gone_and_a_persistent_one_stays() {
        let mut watches = Watches::default();
        watches.add(Kind::Data, "/a");
        watches.add(Kind::Child, "/a");
        watches.add(Kind::Persistent, "/p");
        assert!(!watches.fire(3, "/b"));
        assert!(watches.fire(3, "/a"));
        assert!(!watches.fire(3, "/a"));
        assert!(watches.fire(2, "/a"), "the child watch hears of the deletion");
        assert!(!watches.fire(4, "/a"));
        assert!(watches.fire(4, "/p") && watches.fire(4, "/p") && watches.fire(2, "/p"));
    }

    #[test]
    fn a_recursive_watch_hears_of_everything_below_but_not_of_lists_of_children() {
        let mut watches = Watches::default();
        watches.add(Kind::Recursive, "/a");
        assert!(watches.fire(1, "/a/b/c") && watches.fire(3, "/a"));
        assert!(!watches.fire(4, "/a") && !watches.fire(1, "/ab"));
        watches.add(Kind::Recursive, "/");
        assert!(watches.fire(1, "/x/y"));
        assert_eq!(ancestors("/x/y").collect::<Vec<_>>(), ["/x/y", "/x", "/"]);
    }

    #[test]
    fn removal_tells_what_it_removed() {
        let mut watches = Watches::default();
        watches.add(Kind::Exist, "/a");
        watches.add(Kind::Child, "/a");
        watches.add(Kind::Recursive, "/a");
        assert!(watches.has(Removal::Data, "/a") && !watches.has(Removal::Persistent, "/a"));
        assert_eq!(watches.remove(Removal::Children, "/a"), ["ChildWatchRemoved"]);
        assert_eq!(watches.remove(Removal::Any, "/a"), ["DataWatchRemoved", "PersistentWatchRemoved"]);
        assert!(!watches.has(Removal::Any, "/a"));
    }

    #[test]
    fn an_exists_watch_on_a_node_is_a_data_watch() {
        let mut watches = Watches::default();
        watches.add(Kind::Exist, "/a");
        watches.found("/a");
        watches.found("/gone");
        let pieces = watches.pieces(|path| format!("/chroot{path}"));
        assert_eq!(pieces, [[(Kind::Data, "/chroot/a".to_owned())]]);
        assert_eq!(lists(&pieces[0]).data, ["/chroot/a"]);
    }
}
