//! Which containers and TTL nodes have outlived their purpose (`org.apache.zookeeper.server.ContainerManager`). The
//! deletions go through prepare like any other write, where they are judged again.

use crate::tree::{NodeId, Owner, Tree};

/// What the operator decides about the reaper.
#[derive(Debug, Clone, Copy)]
pub struct ReaperRules {
    /// How often to look, ms.
    pub interval_ms: u64,
    /// At most so many deletions a minute.
    pub max_per_minute: u32,
    /// A container that never had a child goes after so many ms; 0 for never.
    pub never_used_ms: i64,
}

/// One look at the tree.
#[derive(Debug)]
pub struct Reaper;

impl Reaper {
    /// Paths to delete, by the wall clock `now_ms`, in order.
    pub fn candidates(tree: &Tree, rules: &ReaperRules, now_ms: i64) -> Vec<String> {
        let containers = tree.containers().filter(|id| {
            let node = tree.node(*id);
            let used = node.stat.cversion > 0;
            let unused_too_long = rules.never_used_ms != 0 && now_ms - node.stat.mtime > rules.never_used_ms;
            node.children().is_empty() && (used || unused_too_long)
        });
        let ttls = tree.ttls().filter(|id| is_past_ttl(tree, *id, now_ms));
        let mut paths: Vec<String> = containers.chain(ttls).map(|id| tree.path(id)).collect();
        paths.sort_unstable();
        paths
    }
}

fn is_past_ttl(tree: &Tree, id: NodeId, now_ms: i64) -> bool {
    let node = tree.node(id);
    match tree.rules().owner(node.stat.ephemeral_owner) {
        Owner::Ttl(ttl_ms) => node.children().is_empty() && now_ms - node.stat.mtime > ttl_ms,
        _ => false,
    }
}
