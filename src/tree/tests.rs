use super::*;
use crate::proto::OpCode;
use crate::proto::acl::Acl;
use crate::proto::txn::{CreateKind, CreateTxn, Txn, TxnHeader};

fn header(zxid: i64, op: OpCode) -> TxnHeader {
    TxnHeader { client_id: 7, cxid: 1, zxid, time_ms: 1000 + zxid, op: op.0 }
}

fn create<'a>(path: &'a str, data: &'a [u8], parent_cversion: i32) -> Txn<'a> {
    create_kind(path, data, parent_cversion, CreateKind::Persistent)
}

fn create_kind<'a>(path: &'a str, data: &'a [u8], parent_cversion: i32, kind: CreateKind) -> Txn<'a> {
    Txn::Create(CreateTxn {
        path: Some(path.into()),
        data: Some(data),
        acl: Some(Acl::open_unsafe()),
        kind,
        parent_cversion,
    })
}

fn tree() -> Tree {
    Tree::new(OwnerRules { extended_types: true, emulate_353: false }, true)
}

fn apply(tree: &mut Tree, zxid: i64, op: OpCode, txn: &Txn<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    tree.apply(&header(zxid, op), txn, Some(&mut changes));
    assert_eq!(tree.digest(), tree.digest_from_scratch());
    changes
}

#[test]
fn an_empty_tree_has_the_digest_of_the_original() {
    assert_eq!(tree().digest(), 0x51c6_d660);
    assert_eq!(tree().node_count(), 5);
}

#[test]
fn system_nodes_start_with_negative_cversions() {
    let tree = tree();
    assert_eq!(tree.stat(tree.get("/").unwrap()).cversion, -1);
    assert_eq!(tree.stat(tree.get("/zookeeper").unwrap()).cversion, -2);
    assert_eq!(tree.stat(tree.get("/zookeeper/config").unwrap()).aversion, -1);
}

/// No leader makes such a transaction; a file can hold it.
#[test]
fn a_node_below_one_without_a_name_is_not_created() {
    let mut tree = tree();
    apply(&mut tree, 1, OpCode::CREATE, &create("//a", b"", 1));
    assert!(tree.find("/a").is_none() && tree.find("//a").is_none());
    assert_eq!(tree.digest(), tree.digest_from_scratch());
    let mut restored = Tree::new(OwnerRules { extended_types: true, emulate_353: false }, true);
    restored.restore_node("", None, -1, Default::default()).unwrap();
    assert!(restored.restore_node("//a", None, -1, Default::default()).is_err());
}

#[test]
fn creation_and_deletion_both_move_the_shown_cversion() {
    let mut tree = tree();
    apply(&mut tree, 1, OpCode::CREATE, &create("/a", b"x", 1));
    apply(&mut tree, 2, OpCode::CREATE, &create("/a/b", b"y", 1));
    assert_eq!(tree.stat(tree.get("/a").unwrap()).cversion, 1);
    let changes = apply(&mut tree, 3, OpCode::DELETE, &Txn::Delete { path: Some("/a/b".into()) });
    assert_eq!(changes[0].kind, ChangeKind::Deleted);
    let stat = tree.stat(tree.get("/a").unwrap());
    assert_eq!((stat.cversion, stat.num_children, stat.pzxid), (2, 0, 3));
}

#[test]
fn closing_a_session_takes_its_ephemerals_named_or_not() {
    let mut tree = tree();
    apply(&mut tree, 1, OpCode::CREATE_SESSION, &Txn::CreateSession { timeout_ms: 10 });
    apply(&mut tree, 2, OpCode::CREATE, &create_kind("/e", b"", 1, CreateKind::Ephemeral));
    apply(&mut tree, 3, OpCode::CREATE, &create_kind("/f", b"", 2, CreateKind::Ephemeral));
    assert_eq!(tree.ephemeral_count(), 2);
    let changes =
        apply(&mut tree, 4, OpCode::CLOSE_SESSION, &Txn::CloseSession { paths: Some(vec![Some("/e".into())]) });
    assert_eq!(changes.len(), 2);
    assert_eq!(tree.ephemeral_count(), 0);
    assert!(tree.sessions().is_empty());
}

#[test]
fn replay_of_a_create_that_is_there_moves_the_acl_and_the_counter_only() {
    let mut tree = tree();
    apply(&mut tree, 5, OpCode::CREATE, &create("/a", b"new", 3));
    let again = Txn::Create(CreateTxn {
        path: Some("/a".into()),
        data: Some(b"old"),
        acl: Some(vec![Acl::new(1, "world", "anyone")]),
        kind: CreateKind::Persistent,
        parent_cversion: 4,
    });
    apply(&mut tree, 6, OpCode::CREATE, &again);
    let node = tree.get("/a").unwrap();
    assert_eq!(node.data(), Some(&b"new"[..]));
    assert_eq!(tree.acl(node.acl()).unwrap()[0].perms, 1);
    assert_eq!(tree.get("/").unwrap().stat.cversion, 4);
}

#[test]
fn replay_of_a_delete_under_a_child_from_the_future_leaves_no_orphan() {
    let mut tree = tree();
    apply(&mut tree, 1, OpCode::CREATE, &create("/a", b"", 1));
    apply(&mut tree, 9, OpCode::CREATE, &create("/a/b", b"", 1));
    apply(&mut tree, 2, OpCode::DELETE, &Txn::Delete { path: Some("/a".into()) });
    assert!(tree.get("/a/b").is_none());
    assert_eq!(tree.node_count(), 5);
}

#[test]
fn a_failed_multi_changes_nothing_and_tells_each_part() {
    let mut tree = tree();
    let items = vec![
        (OpCode::ERROR, Txn::Error { err: 0 }),
        (OpCode::ERROR, Txn::Error { err: -101 }),
        (OpCode::ERROR, Txn::Error { err: -2 }),
    ];
    let txn = Txn::Multi(items);
    let digest = tree.digest();
    let Outcome::Multi(outcomes) = tree.apply(&header(1, OpCode::MULTI), &txn, None) else { panic!() };
    assert_eq!(outcomes[1].1, Outcome::Failed(crate::proto::ErrorCode::NO_NODE));
    assert_eq!(tree.digest(), digest);
    assert_eq!(tree.zxid(), Zxid(1));
}

#[test]
fn quota_statistics_follow_in_place() {
    let mut tree = tree();
    apply(&mut tree, 1, OpCode::CREATE, &create("/q", b"12345", 1));
    apply(&mut tree, 2, OpCode::CREATE, &create("/zookeeper/quota/q", b"", 1));
    apply(&mut tree, 3, OpCode::CREATE, &create("/zookeeper/quota/q/zookeeper_limits", b"count=2,bytes=-1", 1));
    apply(&mut tree, 4, OpCode::CREATE, &create("/zookeeper/quota/q/zookeeper_stats", b"count=0,bytes=0", 2));
    apply(&mut tree, 5, OpCode::CREATE, &create("/q/a", b"123", 1));
    let stats = tree.get("/zookeeper/quota/q/zookeeper_stats").unwrap();
    assert_eq!(stats.data(), Some(&b"count=2,bytes=8"[..]));
    assert_eq!((stats.stat.version, stats.stat.mzxid), (0, 4));
    assert!(!tree.exceeds_quota("/q/b", 1, 0).unwrap().hard);
    assert!(tree.exceeds_quota("/q", 0, 100).is_none());
}

#[test]
fn quotas_are_counted_after_the_snapshot_and_not_after_the_log() {
    const LIMITS: &str = "/zookeeper/quota/q/zookeeper_limits";
    const STATS: &str = "/zookeeper/quota/q/zookeeper_stats";
    let counted = |tree: &Tree| String::from_utf8(tree.get(STATS).unwrap().data().unwrap().to_vec()).unwrap();
    let set = |text: &'static str| Txn::SetData { path: Some(STATS.into()), data: Some(text.as_bytes()), version: 1 };
    let mut tree = tree();
    apply(&mut tree, 1, OpCode::CREATE, &create("/q", b"12345", 1));
    apply(&mut tree, 2, OpCode::CREATE, &create("/zookeeper/quota/q", b"", 1));
    apply(&mut tree, 3, OpCode::CREATE, &create(LIMITS, b"count=2", 1));
    apply(&mut tree, 4, OpCode::CREATE, &create(STATS, b"", 2));
    apply(&mut tree, 5, OpCode::SET_DATA, &set("count=77,bytes=77"));
    tree.restore_done();
    assert_eq!(counted(&tree), "count=77,bytes=77", "a client has set it, and the log says so");
    tree.restore_snapshot_done(crate::proto::Zxid(5));
    assert_eq!(counted(&tree), "count=1,bytes=5");
    // Limits with a child are found by nobody after a load.
    apply(&mut tree, 6, OpCode::CREATE, &create(&format!("{LIMITS}/x"), b"", 1));
    tree.restore_snapshot_done(crate::proto::Zxid(6));
    apply(&mut tree, 7, OpCode::CREATE, &create("/q/a", b"123", 1));
    assert_eq!(counted(&tree), "count=1,bytes=5");
}

#[test]
fn a_walk_in_chunks_meets_parents_first_and_every_lasting_node() {
    let mut tree = tree();
    for n in 0..500 {
        apply(&mut tree, n * 2 + 1, OpCode::CREATE, &create(&format!("/a{n}"), b"", -1));
        apply(&mut tree, n * 2 + 2, OpCode::CREATE, &create(&format!("/a{n}/b"), b"", -1));
    }
    let (mut walk, mut seen) = (Walk::default(), std::collections::HashSet::new());
    let mut zxid = 2000;
    let mut doomed = 0..50;
    while walk.chunk(&tree, 20, |path, _| {
        let (parent, _) = path.rsplit_once('/').unwrap_or_default();
        assert!(path.is_empty() || seen.contains(parent), "{path} before its parent");
        assert!(seen.insert(path.to_owned()));
    }) {
        if let Some(n) = doomed.next() {
            zxid += 2;
            apply(&mut tree, zxid, OpCode::DELETE, &Txn::Delete { path: Some(format!("/a{n}/b").into()) });
            apply(&mut tree, zxid + 1, OpCode::CREATE, &create(&format!("/new{n}"), b"", -1));
        }
    }
    for n in 50..500 {
        assert!(seen.contains(&format!("/a{n}/b")));
    }
}
