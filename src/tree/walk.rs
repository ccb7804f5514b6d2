//! The walk for a fuzzy snapshot: some nodes at a time, parents before children, while transactions go on in between. A
//! node that was deleted or replaced since its parent was visited is skipped; the log has it.

use super::{Node, NodeId, Tree};

/// A walk over the whole tree, to be continued chunk by chunk.
#[derive(Debug, Default)]
pub struct Walk {
    begun: bool,
    levels: Vec<Level>,
}

/// Children that wait for their visit, as they were when their parent had its own.
#[derive(Debug)]
struct Level {
    path: String,
    /// The last transaction before the parent's visit.
    zxid: i64,
    left: Vec<NodeId>,
}

impl Walk {
    /// Visits up to `count` nodes with their paths; false at the end of the walk.
    pub fn chunk(&mut self, tree: &Tree, count: usize, mut visit: impl FnMut(&str, &Node)) -> bool {
        let now = tree.zxid().0;
        let mut path = String::new();
        for _ in 0..count {
            let node = if self.begun {
                while self.levels.pop_if(|level| level.left.is_empty()).is_some() {}
                let Some(level) = self.levels.last_mut() else { return false };
                let id = level.left.pop().expect("empty levels are gone");
                let node = tree.node(id);
                // An id is used again by nodes that are made later, and only by them.
                let later = node.stat.czxid > level.zxid && node.stat.czxid <= now;
                if !node.is_live() || later {
                    continue;
                }
                path.clear();
                path.extend([&level.path, "/", node.name()]);
                node
            } else {
                self.begun = true;
                tree.node(NodeId::ROOT)
            };
            visit(&path, node);
            if !node.children().is_empty() {
                self.levels.push(Level { path: path.clone(), zxid: now, left: node.children().to_vec() });
            }
        }
        true
    }
}
