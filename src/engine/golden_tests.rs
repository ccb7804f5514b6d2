//! The golden folders of the store, recovered into the real tree and compared with what the original makes of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Replay;
use crate::proto::acl::Acl;
use crate::store::golden_tests::{Dump, DumpNode, check_all};
use crate::tree::{NodeId, OwnerRules, Tree, Walk};

pub(super) fn dump(mut replay: Replay) -> Dump {
    let tree = &mut replay.tree;
    assert_eq!(tree.restore_done(), Vec::<String>::new(), "every access list is known in the end");
    assert_eq!(tree.digest(), tree.digest_from_scratch());
    let mut nodes = BTreeMap::new();
    Walk::default().chunk(tree, usize::MAX, |path, node| {
        let acl = tree.acl(node.acl()).map_or_else(Acl::open_unsafe, |list| list.to_vec());
        let children = node.children().len() as i32;
        let data = node.data().map(<[u8]>::to_vec);
        nodes.insert(path.to_owned(), DumpNode { data, acl: Some(acl), stat: node.stat, children });
    });
    let path = |id: NodeId| tree.path(id);
    let owners: BTreeSet<i64> = tree.ephemeral_owners().collect();
    Dump {
        nodes,
        sessions: tree.sessions().iter().map(|(id, timeout)| (*id, *timeout)).collect(),
        ephemerals: owners.into_iter().map(|owner| (owner, tree.ephemerals(owner).map(path).collect())).collect(),
        containers: tree.containers().map(path).collect(),
        ttls: tree.ttls().map(path).collect(),
        digest: tree.digest(),
        mismatches: Some(replay.digest_mismatches),
    }
}

/// A server adds `/zookeeper/config` to the snapshots of 3.4, which have none; the expectations were taken before that.
fn with_config(expected: &mut Value) {
    let Some(nodes) = expected["nodes"].as_array_mut() else { return };
    if nodes.iter().any(|node| node["path"] == "/zookeeper/config") {
        return;
    }
    let parent = nodes.iter_mut().find(|node| node["path"] == "/zookeeper").expect("it is in every snapshot");
    for (field, by) in [("numChildren", 1), ("cversion", -1)] {
        parent[field] = (parent[field].as_i64().expect("a number") + by).into();
    }
    let mut config = parent.clone();
    for (field, value) in [("numChildren", 0), ("cversion", 0), ("aversion", -1)] {
        config[field] = value.into();
    }
    config["path"] = "/zookeeper/config".into();
    config["acl"] = serde_json::json!([[1, "world", "anyone"]]);
    nodes.push(config);
}

#[test]
fn the_tree_loads_golden_folders_as_the_original_does() {
    let rules = OwnerRules { extended_types: true, emulate_353: false };
    check_all(|_| Replay::new(Tree::new(rules, true)), dump, |_, expected| with_config(expected));
}
