//! The walk for a fuzzy snapshot: a few hundred nodes at a time, parents before children, while transactions go on in
//! between. A node that was deleted or replaced since its parent was visited is skipped; the log has it.

use super::{Node, NodeId, Tree};

/// A walk over the whole tree, to be continued chunk by chunk.
#[derive(Debug)]
pub struct Walk {
    stack: Vec<(NodeId, i64)>,
}

impl Default for Walk {
    fn default() -> Self {
        Walk { stack: vec![(NodeId::ROOT, 0)] }
    }
}

impl Walk {
    /// Visits up to `count` nodes with their paths; false at the end of the walk.
    pub fn chunk(&mut self, tree: &Tree, count: usize, mut visit: impl FnMut(&str, &Node)) -> bool {
        let mut path = String::new();
        for _ in 0..count {
            let Some((id, czxid)) = self.stack.pop() else { return false };
            let node = tree.node(id);
            if !node.live || (id != NodeId::ROOT && node.stat.czxid != czxid) {
                continue;
            }
            path.clear();
            tree.path_into(id, &mut path);
            visit(&path, node);
            self.stack.extend(node.children().iter().map(|child| (*child, tree.node(*child).stat.czxid)));
        }
        true
    }
}
