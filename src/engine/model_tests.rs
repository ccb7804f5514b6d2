//! The real tree against the naive model, over random histories: applied one by one, and recovered from a snapshot that
//! was written while transactions went on, plus the log. Both ways must end in the same nodes, sessions and digest.

use std::path::Path;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{Rng, SeedableRng};

use serde_json::Value;

use super::Replay;
use super::golden_tests::dump;
use crate::proto::OpCode;
use crate::proto::acl::Acl;
use crate::proto::path::split;
use crate::proto::txn::{CreateKind, CreateTxn, DIGEST_VERSION, Txn, TxnDigest, TxnHeader, TxnRecord};
use crate::store::golden_tests::{Dump, dump_naive};
use crate::store::naive_tree::NaiveTree;
use crate::store::{
    Compression, Dirs, LogOptions, LogWriter, RecoverOptions, Restore, SimDisk, SnapshotWriter, encode_node, recover,
};
use crate::tree::{OwnerRules, Tree, Walk};

const RULES: OwnerRules = OwnerRules { extended_types: true, emulate_353: false };
const NAMES: [&str; 5] = ["a", "b", "c", "é", "n0000000001"];
const QUOTAS: [&str; 6] = [
    "/zookeeper/quota/a",
    "/zookeeper/quota/a/zookeeper_limits",
    "/zookeeper/quota/a/zookeeper_stats",
    "/zookeeper/quota/b",
    "/zookeeper/quota/b/zookeeper_limits",
    "/zookeeper/quota/b/zookeeper_stats",
];

/// Makes transactions as a leader would: valid against the state they meet.
struct Leader {
    random: StdRng,
    state: NaiveTree,
    zxid: i64,
}

/// A transaction that owns its parts.
type Made = (i64, OpCode, Txn<'static>);

/// Data that outlives the test; histories are short.
fn data(random: &mut StdRng) -> Option<&'static [u8]> {
    const BYTES: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    random.random_bool(0.9).then(|| &BYTES[..random.random_range(0..BYTES.len())])
}

impl Leader {
    fn new(seed: u64) -> Self {
        Leader { random: StdRng::seed_from_u64(seed), state: NaiveTree::new(1), zxid: 0 }
    }

    fn acl(&mut self) -> Vec<Acl> {
        let lists = [
            Acl::open_unsafe(),
            vec![Acl::new(1, "world", "anyone")],
            vec![Acl::new(31, "digest", "me:x"), Acl::new(1, "ip", "127.0.0.1")],
            vec![Acl::new(self.random.random_range(0..32), "auth", "you")],
        ];
        lists.choose(&mut self.random).expect("not empty").clone()
    }

    fn some_path(&mut self) -> Option<String> {
        let paths = self.state.nodes.keys().filter(|path| !path.is_empty() && !path.starts_with("/zookeeper"));
        paths.choose(&mut self.random).cloned()
    }

    fn create(&mut self) -> Option<Made> {
        let path = if self.random.random_bool(0.1) {
            let path = *QUOTAS.choose(&mut self.random)?;
            // The other way round, statistics are wrong until the next start, here as in the original.
            let limits = path.replace("_stats", "_limits");
            if limits != path && !self.state.nodes.contains_key(&limits) {
                return None;
            }
            path.to_owned()
        } else {
            let parent = if self.random.random_bool(0.4) { Some(String::new()) } else { self.some_path() };
            format!("{}/{}", parent?, NAMES.choose(&mut self.random)?)
        };
        let (parent, _) = split(&path)?;
        let parent = &self.state.nodes.get(parent)?.stat;
        let ephemeral_parent = self.state.sessions.contains_key(&parent.ephemeral_owner);
        if self.state.nodes.contains_key(&path) || ephemeral_parent || path.len() > 40 {
            return None;
        }
        let parent_cversion = parent.cversion + 1;
        let (mut client, mut op, mut kind) = (1, OpCode::CREATE, CreateKind::Persistent);
        let mut data = data(&mut self.random);
        if path.starts_with("/zookeeper") {
            data = Some(b"count=1000,bytes=1000");
        } else {
            (op, kind) = match self.random.random_range(0..6) {
                0 => (OpCode::CREATE_CONTAINER, CreateKind::Container),
                1 => (OpCode::CREATE_TTL, CreateKind::Ttl(5000)),
                2 | 3 if !self.state.sessions.is_empty() => {
                    client = *self.state.sessions.keys().choose(&mut self.random)?;
                    ([OpCode::CREATE, OpCode::CREATE2][self.random.random_range(0..2)], CreateKind::Ephemeral)
                }
                4 => (OpCode::CREATE2, kind),
                _ => (op, kind),
            };
        }
        let acl = Some(self.acl());
        Some((client, op, Txn::Create(CreateTxn { path: Some(path.into()), data, acl, kind, parent_cversion })))
    }

    fn single(&mut self) -> Option<Made> {
        match self.random.random_range(0..10) {
            0..5 => self.create(),
            5 | 6 => {
                let path = self.some_path().filter(|path| self.state.children[path].is_empty())?;
                let op = [OpCode::DELETE, OpCode::DELETE_CONTAINER][self.random.random_range(0..2)];
                Some((1, op, Txn::Delete { path: Some(path.into()) }))
            }
            7 | 8 => {
                let path = self.some_path()?;
                let version = self.state.nodes[&path].stat.version + 1;
                let data = data(&mut self.random);
                Some((1, OpCode::SET_DATA, Txn::SetData { path: Some(path.into()), data, version }))
            }
            _ => {
                let path = if self.random.random_bool(0.1) { "/".to_owned() } else { self.some_path()? };
                let version = self.state.nodes[if path == "/" { "" } else { &path }].stat.aversion + 1;
                let acl = Some(self.acl());
                Some((1, OpCode::SET_ACL, Txn::SetAcl { path: Some(path.into()), acl, version }))
            }
        }
    }

    fn make(&mut self) -> Option<Made> {
        match self.random.random_range(0..20) {
            0 => Some((1, OpCode::ERROR, Txn::Error { err: -101 })),
            1 => {
                let timeout_ms = self.random.random_range(1000..9000);
                Some((self.random.random_range(2..7), OpCode::CREATE_SESSION, Txn::CreateSession { timeout_ms }))
            }
            2 => {
                let session = *self.state.sessions.keys().choose(&mut self.random)?;
                let owned = self.state.ephemerals().remove(&session).unwrap_or_default();
                let paths = owned.into_iter().map(|path| Some(path.into())).collect();
                Some((session, OpCode::CLOSE_SESSION, Txn::CloseSession { paths: Some(paths) }))
            }
            3 => {
                // One after the other would need a state between; so the parts have nothing to do with each other.
                let mut items: Vec<(OpCode, Txn<'static>)> = Vec::new();
                let mut touched: Vec<String> = Vec::new();
                for _ in 0..4 {
                    let Some((1, op, txn)) = self.single() else { continue };
                    let path = match &txn {
                        Txn::Create(CreateTxn { path, .. }) | Txn::Delete { path } | Txn::SetData { path, .. } => path,
                        _ => continue,
                    };
                    let path = path.as_deref().expect("made above").to_owned();
                    let top = path.split('/').nth(1).expect("absolute").to_owned();
                    let quota = path.starts_with("/zookeeper");
                    let at_top = matches!(&txn, Txn::Create(_) | Txn::Delete { .. }) && path.matches('/').count() == 1;
                    if quota || at_top || touched.contains(&top) {
                        continue;
                    }
                    touched.push(top);
                    items.push((op, txn));
                }
                if self.random.random_bool(0.2) {
                    items.push((OpCode::ERROR, Txn::Error { err: -103 }));
                }
                Some((1, OpCode::MULTI, Txn::Multi(items)))
            }
            _ => self.single(),
        }
    }

    /// The next record, already applied to the leader's own state.
    fn next(&mut self) -> TxnRecord<'static> {
        let (client_id, op, txn) = loop {
            if let Some(made) = self.make() {
                break made;
            }
        };
        self.zxid += 1;
        let header = TxnHeader { client_id, cxid: 1, zxid: self.zxid, time_ms: 1_000_000 + self.zxid, op: op.0 };
        let mut record = TxnRecord { header, txn, digest: None };
        replay(&mut self.state, &record);
        if op != OpCode::ERROR {
            let tree_digest = self.state.digest().cast_signed();
            record.digest = Some(TxnDigest { version: DIGEST_VERSION, tree_digest });
        }
        record
    }
}

fn replay(restore: &mut impl Restore, record: &TxnRecord<'_>) {
    restore.replay(record, &encoded(record));
}

fn encoded(record: &TxnRecord<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    bytes
}

/// Compares what was made of a history in two ways; says only what differs.
fn assert_same(one: &Dump, other: &Dump, what: &str) {
    let (one, other) = (one.describe(), other.describe());
    let nodes = |dump: &Value| dump["nodes"].as_object().expect("nodes are an object").clone();
    let (ones, others) = (nodes(&one), nodes(&other));
    for path in ones.keys().chain(others.keys()) {
        assert_eq!(ones.get(path), others.get(path), "{what}: {path}");
    }
    assert_eq!(one, other, "{what}");
}

fn empty() -> Replay {
    let mut replay = Replay::new(Tree::new(RULES, true));
    replay.clear();
    replay
}

#[test]
fn the_tree_does_what_the_model_does() {
    for seed in 0..60 {
        let (mut leader, mut live) = (Leader::new(seed), empty());
        for _ in 0..120 {
            let record = leader.next();
            replay(&mut live, &record);
            assert_eq!(live.tree.digest(), leader.state.digest(), "seed {seed}, after {record:?}");
        }
        assert_same(&dump(live), &dump_naive(&leader.state), &format!("seed {seed}"));
    }
}

/// ORDER, DURABLE: a snapshot taken while transactions go on, and the log, are the state.
#[test]
fn a_fuzzy_snapshot_and_the_log_are_the_state() {
    let mut overtaken = 0;
    for seed in 0..120 {
        let (disk, dirs) = (SimDisk::new(seed), Dirs::new(Path::new("/data"), None));
        dirs.open(&disk, true).unwrap();
        let mut log = LogWriter::new(&disk, &dirs, LogOptions { preallocate: 0, ..LogOptions::default() });
        let (mut leader, mut live) = (Leader::new(seed), empty());
        let mut advance = |live: &mut Replay, count: usize| {
            for _ in 0..count {
                let record = leader.next();
                log.append(record.header.zxid(), &encoded(&record));
                log.commit().unwrap();
                replay(live, &record);
                live.tree.set_zxid(record.header.zxid());
            }
        };
        let mut random = StdRng::seed_from_u64(seed + 1000);
        advance(&mut live, random.random_range(0..100));

        let zxid = live.tree.zxid();
        let mut sessions: Vec<_> = live.tree.sessions().iter().map(|(id, timeout)| (*id, *timeout)).collect();
        sessions.sort_unstable();
        let acls = live.tree.acls();
        let lists = acls.iter().map(|(key, list)| (*key, &**list));
        let mut writer = SnapshotWriter::begin(&disk, &dirs, zxid, Compression::None, &sessions, lists).unwrap();
        let (mut walk, mut more) = (Walk::default(), true);
        while more {
            let encode = |out: &mut Vec<u8>| {
                walk.chunk(&live.tree, 1, |path, node| {
                    encode_node(out, path, node.data(), node.acl().key(), &node.stat);
                })
            };
            more = writer.nodes(encode).unwrap();
            advance(&mut live, random.random_range(0..4));
        }
        let (last, tree_digest) = (live.tree.zxid(), live.tree.digest().cast_signed());
        let digest = TxnDigest { version: DIGEST_VERSION, tree_digest };
        writer.finish(Some((last, digest)), Some(last)).unwrap();
        overtaken += last.0 - zxid.0;
        advance(&mut live, random.random_range(0..50));

        let mut found = Replay::new(Tree::new(RULES, true));
        let recovered = recover(&disk, &dirs, &RecoverOptions::default(), &mut found).unwrap();
        assert_eq!(recovered.snapshot.unwrap().0.zxid, zxid);
        assert_eq!((found.digest_mismatches, found.first_mismatch), (0, None), "seed {seed}");
        assert_same(&dump(found), &dump(live), &format!("seed {seed}, from {zxid} to {last}"));
    }
    assert!(overtaken > 500, "{overtaken}");
}
