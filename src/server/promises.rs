//! The promises of ARCHITECTURE.md, each as a small story. Reactors, pipeline and tree are the real ones; the test is the
//! shell, so it decides when bytes arrive, when the disk has synced and when a reactor wakes up. No thread, no sleep.

use super::pipeline::Pipeline;
use crate::clock::Clock;
use crate::engine::{Engine, MemberRules, Rules, SessionTable};
use crate::jute::{Decode, Encode, Reader};
use crate::proto::acl::AclEntry;
use crate::proto::records::*;
use crate::proto::{ErrorCode, OpCode, Zxid};
use crate::reactor::{LANE_MAX, Number, OUTPUT_SOFT_MAX, Reactor, Settings, Turn};
use crate::throttle::{ConnectionThrottle, ConnectionThrottleSettings, LargeRequests, RequestThrottle};
use crate::tree::{OwnerRules, Tree};
use std::sync::Arc;
use std::time::Duration;

mod local;

/// A server in the hand: two reactors, nothing moves by itself.
struct World {
    pipeline: Pipeline,
    reactors: Vec<Reactor>,
    closed: Vec<(usize, Number)>,
}

#[derive(Clone, Copy)]
struct Client {
    reactor: usize,
    number: Number,
}

/// A frame from the server, as far as these stories need it.
#[derive(Debug, PartialEq, Eq)]
struct Reply {
    xid: i32,
    zxid: i64,
    err: ErrorCode,
    body: Vec<u8>,
}

impl World {
    fn new() -> World {
        World::build(None, |_| {})
    }

    /// With settings of its own.
    fn with(change: impl FnOnce(&mut Settings)) -> World {
        World::build(None, change)
    }

    /// A standalone server, or a member of an ensemble that has not begun.
    fn build(member: Option<MemberRules>, change: impl FnOnce(&mut Settings)) -> World {
        let owners = OwnerRules { extended_types: true, emulate_353: false };
        let tree = Tree::new(owners, true);
        let policy = Arc::new(crate::auth::Policy::default());
        let rules = Rules {
            policy: policy.clone(),
            owners,
            enforce_quota: false,
            digest: true,
            close_session_paths: true,
            reconfig: false,
            member,
        };
        let me = member.map(|member| i64::from(member.me));
        let engine = Engine::new(rules, SessionTable::new(1000, 1 << 56), &tree);
        let throttle = ConnectionThrottle::new(ConnectionThrottleSettings::default(), 0);
        let mut settings = Settings {
            policy,
            frame_max: 1 << 20,
            field_max: 2 << 20,
            min_session_timeout_ms: 1000,
            max_session_timeout_ms: 60_000,
            sessionless_timeout_ms: 10_000,
            ensemble: member.is_some(),
            outstanding_max: 1000,
            throttle: RequestThrottle::default(),
            large: Arc::new(LargeRequests::new(-1, -1)),
            provider: crate::metrics::Provider::default(),
            talkers: Some(crate::talkers::Settings { half_life_ms: 60_000, prefix_depth: 2, capacity: 16 }),
            audit: true,
            budget: Arc::default(),
            rates: None,
            prefix_rates: Arc::default(),
            slow_request_ms: 0,
            is_word: |_| false,
        };
        change(&mut settings);
        let settings = Arc::new(settings);
        World {
            pipeline: Pipeline::new(tree, engine, 2, 2 << 20, throttle, Clock::default(), me, 500),
            reactors: (0..2).map(|id| Reactor::new(id, settings.clone())).collect(),
            closed: Vec::new(),
        }
    }

    /// A turn of one reactor, as its thread would make it.
    fn turn(&mut self, id: usize, input: Option<(Number, &[u8])>) {
        let mut turn = Turn::default();
        let (reactor, load) = (&mut self.reactors[id], self.pipeline.outstanding());
        self.pipeline.gate.read(|tree| {
            for delivery in self.pipeline.mailboxes[id].deliveries() {
                reactor.deliver(tree, delivery, load, 0, &mut turn);
            }
            if let Some((number, bytes)) = input {
                reactor.receive(tree, number, bytes, load, 0, &mut turn);
            }
            self.pipeline.mailboxes[id].set_watching(!reactor.watches().is_empty());
        });
        self.pipeline.submit(&mut turn.submissions, None);
        self.closed.extend(turn.close.drain(..).map(|number| (id, number)));
    }

    /// The disk syncs everything that was handed to it so far; reactors do not wake up yet.
    fn sync(&self) {
        if let Some(batch) = self.pipeline.next_batch(Duration::ZERO)
            && let Some((last, ..)) = batch.last()
        {
            self.pipeline.logged(*last);
        }
    }

    fn wake(&mut self) {
        (0..self.reactors.len()).for_each(|id| self.turn(id, None));
    }

    fn settle(&mut self) {
        self.sync();
        self.wake();
    }

    fn connect(&mut self, reactor: usize) -> Client {
        self.connect_with(reactor, 0)
    }

    fn connect_with(&mut self, reactor: usize, last_zxid_seen: i64) -> Client {
        let number = self.reactors[reactor].open("127.0.0.1:1".parse().unwrap(), 0);
        let client = Client { reactor, number };
        let request =
            ConnectRequest { protocol_version: 0, last_zxid_seen, timeout_ms: 5000, session_id: 0, password: None };
        self.send_body(client, &request.to_bytes());
        self.settle();
        if !self.closed.contains(&(reactor, number)) {
            assert_eq!(self.raw(client).len(), 40, "a connect response without the readOnly byte");
        }
        client
    }

    fn send_body(&mut self, client: Client, body: &[u8]) {
        let mut frame = (body.len() as i32).to_bytes();
        frame.extend_from_slice(body);
        self.turn(client.reactor, Some((client.number, &frame)));
    }

    fn send(&mut self, client: Client, xid: i32, op: OpCode, record: &impl Encode) {
        let mut body = RequestHeader { xid, op: op.0 }.to_bytes();
        record.encode(&mut body);
        self.send_body(client, &body);
    }

    fn get(&mut self, client: Client, xid: i32, path: &str, watch: bool) {
        self.send(client, xid, OpCode::GET_DATA, &PathWatchRequest { path: Some(path.into()), watch });
    }

    fn set(&mut self, client: Client, xid: i32, path: &str, data: &[u8]) {
        let request = SetDataRequest { path: Some(path.into()), data: Some(data), version: -1 };
        self.send(client, xid, OpCode::SET_DATA, &request);
    }

    fn create(&mut self, client: Client, xid: i32, path: &str, flags: i32) {
        self.send(client, xid, OpCode::CREATE, &create_request(path, flags));
    }

    fn raw(&mut self, client: Client) -> Vec<u8> {
        self.reactors[client.reactor].output(client.number).map(std::mem::take).unwrap_or_default()
    }

    fn replies(&mut self, client: Client) -> Vec<Reply> {
        let bytes = self.raw(client);
        let (mut reader, mut replies) = (Reader::unlimited(&bytes), Vec::new());
        while !reader.is_empty() {
            let length = reader.int().unwrap() as usize;
            let mut frame = Reader::unlimited(reader.take(length).unwrap());
            let ReplyHeader { xid, zxid, err } = ReplyHeader::decode(&mut frame).unwrap();
            replies.push(Reply { xid, zxid, err: ErrorCode(err), body: frame.rest().to_vec() });
        }
        replies
    }
}

fn create_request(path: &str, flags: i32) -> CreateRequest<'_> {
    let open = AclEntry { perms: 31, scheme: Some("world".into()), id: Some("anyone".into()) };
    CreateRequest { path: Some(path.into()), data: Some(b"0"), acl: Some(vec![open]), flags }
}

fn data(reply: &Reply) -> Vec<u8> {
    let mut reader = Reader::unlimited(&reply.body);
    GetDataResponse::decode(&mut reader).unwrap().data.unwrap().to_vec()
}

fn xids(replies: &[Reply]) -> Vec<i32> {
    replies.iter().map(|reply| reply.xid).collect()
}

#[test]
fn order_1_transactions_apply_in_zxid_order_each_once() {
    let mut world = World::new();
    let (a, b) = (world.connect(0), world.connect(1));
    world.create(a, 1, "/a", 0);
    for n in 0..50 {
        world.set(if n % 2 == 0 { a } else { b }, 10 + n, "/a", &n.to_bytes());
    }
    world.settle();
    let mut zxids: Vec<_> = world.replies(a).iter().chain(&world.replies(b)).map(|reply| reply.zxid).collect();
    zxids.sort_unstable();
    assert_eq!(zxids, (3..=53).collect::<Vec<_>>());
    world.pipeline.gate.read(|tree| {
        let node = tree.get("/a").unwrap();
        assert_eq!((node.stat.version, node.data().unwrap()), (50, &49i32.to_bytes()[..]));
        assert_eq!((tree.zxid(), tree.digest()), (Zxid(53), tree.digest_from_scratch()));
    });
}

#[test]
fn order_2_a_read_between_two_writes_sees_the_first_and_not_the_second() {
    let mut world = World::new();
    let a = world.connect(0);
    world.create(a, 1, "/a", 0);
    world.settle();
    world.replies(a);
    world.set(a, 2, "/a", b"first");
    world.get(a, 3, "/a", false);
    world.set(a, 4, "/a", b"second");
    world.get(a, 5, "/a", false);
    // Both writes commit before the reactor looks again.
    world.settle();
    let replies = world.replies(a);
    assert_eq!(xids(&replies), [2, 3, 4, 5]);
    assert_eq!(data(&replies[1]), b"first");
    assert_eq!(data(&replies[3]), b"second");
    assert!(replies.is_sorted_by_key(|reply| reply.zxid), "the zxids of one connection never go back");
}

#[test]
fn order_2_replies_keep_the_order_of_requests_also_for_refusals_and_pings() {
    let mut world = World::new();
    let a = world.connect(0);
    world.create(a, 1, "/a", 0);
    world.get(a, 2, "/missing", false);
    world.send(a, 3, OpCode::SET_DATA, &0i64); // no record of a setData
    world.send(a, -2, OpCode::PING, &PathRequest { path: None });
    world.create(a, 5, "/a", 0);
    world.settle();
    let replies = world.replies(a);
    assert_eq!(xids(&replies), [1, 2, 3, -2, 5]);
    assert_eq!(replies[2].err, ErrorCode::MARSHALLING_ERROR);
    assert_eq!(replies[4].err, ErrorCode::NODE_EXISTS);
}

#[test]
fn atomic_a_failed_multi_leaves_nothing_and_a_good_one_appears_whole() {
    let mut world = World::new();
    let (a, b) = (world.connect(0), world.connect(1));
    let multi = |paths: &[&str]| {
        let mut body = Vec::new();
        for path in paths {
            MultiHeader { op: OpCode::CREATE.0, done: false, err: -1 }.encode(&mut body);
            create_request(path, 0).encode(&mut body);
        }
        MULTI_END.encode(&mut body);
        Raw(body)
    };
    world.send(a, 1, OpCode::MULTI, &multi(&["/x", "/y", "/missing/z"]));
    world.send(a, 2, OpCode::MULTI, &multi(&["/p", "/p/q"]));
    world.get(b, 1, "/p", false);
    world.sync();
    // Committed, and the other reactor has not been told: its next read sees all of it.
    world.get(b, 2, "/p/q", false);
    world.get(b, 3, "/p", false);
    world.get(b, 4, "/x", false);
    world.wake();
    let errors: Vec<_> = world.replies(b).into_iter().map(|reply| reply.err).collect();
    assert_eq!(errors, [ErrorCode::NO_NODE, ErrorCode::OK, ErrorCode::OK, ErrorCode::NO_NODE]);
    world.pipeline.gate.read(|tree| assert_eq!(tree.digest(), tree.digest_from_scratch()));
}

struct Raw(Vec<u8>);

impl Encode for Raw {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

#[test]
fn watch_1_the_event_comes_before_any_reply_that_shows_the_change() {
    let mut world = World::new();
    let (a, b) = (world.connect(0), world.connect(1));
    world.create(a, 1, "/a", 0);
    world.settle();
    world.get(b, 1, "/a", true);
    world.replies(b);
    world.set(a, 2, "/a", b"new");
    world.sync();
    // b's reactor is not woken; its client asks by itself.
    world.get(b, 2, "/a", false);
    let replies = world.replies(b);
    assert_eq!(xids(&replies), [-1, 2]);
    assert_eq!(data(&replies[1]), b"new");
    assert!(replies[0].zxid <= replies[1].zxid);
}

#[test]
fn watch_1_a_clients_own_event_comes_before_its_own_reply() {
    let mut world = World::new();
    let a = world.connect(0);
    world.create(a, 1, "/a", 0);
    world.settle();
    world.get(a, 2, "/a", true);
    world.replies(a);
    world.set(a, 3, "/a", b"new");
    world.settle();
    let replies = world.replies(a);
    assert_eq!(xids(&replies), [-1, 3]);
    assert_eq!(replies[0].zxid, replies[1].zxid);
}

#[test]
fn watch_2_the_first_change_after_the_read_fires_once_also_behind_and_before_writes() {
    let mut world = World::new();
    let a = world.connect(0);
    world.create(a, 1, "/a", 0);
    world.settle();
    world.replies(a);
    world.set(a, 2, "/a", b"one");
    world.get(a, 3, "/a", true); // reads "one" between the writes, on the committing side
    world.set(a, 4, "/a", b"two");
    world.set(a, 5, "/a", b"three");
    world.settle();
    assert_eq!(xids(&world.replies(a)), [2, 3, -1, 4, 5]);
}

#[test]
fn watch_3_no_reply_carries_a_zxid_above_the_events_already_sent() {
    let mut world = World::new();
    let (a, b) = (world.connect(0), world.connect(1));
    world.create(a, 1, "/a", 0);
    world.settle();
    world.get(b, 1, "/a", true);
    world.replies(b);
    world.set(a, 2, "/a", b"x");
    world.sync();
    world.send(b, -2, OpCode::PING, &Raw(Vec::new()));
    let replies = world.replies(b);
    assert_eq!(xids(&replies), [-1, -2], "the ping's zxid shows the change, so the event goes first");
    assert_eq!(replies[1].zxid, replies[0].zxid);
}

#[test]
fn durable_nothing_is_answered_or_visible_before_the_sync() {
    let mut world = World::new();
    let (a, b) = (world.connect(0), world.connect(1));
    world.create(a, 1, "/a", 0);
    world.wake();
    assert!(world.replies(a).is_empty());
    world.get(b, 1, "/a", false);
    assert_eq!(world.replies(b)[0].err, ErrorCode::NO_NODE);
    world.settle();
    assert_eq!(xids(&world.replies(a)), [1]);
}

#[test]
fn monotone_a_client_that_has_seen_more_is_sent_away_without_a_byte() {
    let mut world = World::new();
    let ahead = world.connect_with(0, 1_000_000);
    assert!(world.closed.contains(&(0, ahead.number)));
    assert!(world.raw(ahead).is_empty());
}

#[test]
fn bounded_a_lane_stops_taking_requests_and_goes_on_when_it_empties() {
    let mut world = World::new();
    let a = world.connect(0);
    world.create(a, 1, "/a", 0);
    let count = LANE_MAX as i32 + 500;
    for n in 0..count {
        world.get(a, 10 + n, "/a", false);
    }
    assert!(world.reactors[0].connection(a.number).unwrap().queued() <= LANE_MAX);
    assert!(!world.reactors[0].wants_input(a.number, 0));
    let mut seen = Vec::new();
    world.sync();
    for _ in 0..1000 {
        world.turn(0, Some((a.number, &[])));
        seen.extend(xids(&world.replies(a)));
    }
    assert_eq!(seen.len(), 1 + count as usize);
    assert!(seen.is_sorted());
}

#[test]
fn bounded_a_client_that_does_not_read_is_not_read_either() {
    let mut world = World::new();
    let a = world.connect(0);
    world.create(a, 1, "/a", 0);
    world.set(a, 2, "/a", &[7; 10_000]);
    world.settle();
    for n in 0..1000 {
        world.get(a, 10 + n, "/a", false);
    }
    assert!(!world.reactors[0].wants_input(a.number, 0));
    let waiting = world.raw(a).len();
    assert!(waiting <= OUTPUT_SOFT_MAX + 11_000, "{waiting} bytes wait");
}

#[test]
fn bounded_requests_held_back_behind_a_large_reply_go_on_once_it_is_sent() {
    let mut world = World::new();
    let a = world.connect(0);
    world.create(a, 1, "/a", 0);
    world.set(a, 2, "/a", &[7; 200_000]);
    world.settle();
    world.replies(a);
    // Both come in one read: the second is held back, and the socket will say no more.
    let mut bytes = Vec::new();
    for xid in [3, 4] {
        let mut body = RequestHeader { xid, op: OpCode::GET_DATA.0 }.to_bytes();
        PathWatchRequest { path: Some("/a".into()), watch: false }.encode(&mut body);
        (body.len() as i32).encode(&mut bytes);
        bytes.extend_from_slice(&body);
    }
    world.turn(0, Some((a.number, &bytes)));
    assert!(!world.reactors[0].can_resume(a.number, 0));
    assert_eq!(xids(&world.replies(a)), [3]);
    assert!(world.reactors[0].can_resume(a.number, 0), "the shell must be told to go on");
    world.turn(0, Some((a.number, &[])));
    assert_eq!(xids(&world.replies(a)), [4]);
    assert!(!world.reactors[0].can_resume(a.number, 0));
}

#[test]
fn an_expired_session_takes_its_ephemerals_and_its_connection_along() {
    let mut world = World::new();
    let (a, b) = (world.connect(0), world.connect(1));
    world.create(a, 1, "/e", 1);
    world.settle();
    world.send(b, 1, OpCode::EXISTS, &PathWatchRequest { path: Some("/e".into()), watch: true });
    world.replies(b);
    let expired = world.pipeline.engine(|engine| {
        let (first, _) = (1i64 << 56, ());
        engine.sessions.expire(7000).into_iter().find(|id| *id == first).unwrap()
    });
    world.pipeline.submit_own(&[(expired, OpCode::CLOSE_SESSION, Vec::new())]);
    world.settle();
    assert_eq!(xids(&world.replies(b)), [-1]);
    assert!(world.closed.contains(&(0, a.number)));
}

#[test]
fn closing_a_session_spares_a_node_that_another_made_anew_in_flight() {
    let mut world = World::new();
    let (a, b) = (world.connect(0), world.connect(1));
    world.create(a, 1, "/e", 1);
    world.create(a, 2, "/f", 1);
    world.settle();
    world.send(b, 1, OpCode::DELETE, &PathVersionRequest { path: Some("/e".into()), version: -1 });
    world.create(b, 2, "/e", 0);
    world.send(a, 3, OpCode::CLOSE_SESSION, &Raw(Vec::new()));
    world.settle();
    world.pipeline.gate.read(|tree| {
        assert!(tree.get("/e").is_some() && tree.get("/f").is_none());
        assert_eq!(tree.digest(), tree.digest_from_scratch());
    });
}

#[test]
fn digests_prepared_ahead_are_those_of_the_tree_also_through_failed_multis() {
    let mut world = World::new();
    let a = world.connect(0);
    let part = |op: OpCode, record: &dyn Fn(&mut Vec<u8>), body: &mut Vec<u8>| {
        MultiHeader { op: op.0, done: false, err: -1 }.encode(body);
        record(body);
    };
    world.create(a, 1, "/a", 0);
    world.create(a, 2, "/a/s", 2);
    world.create(a, 3, "/zookeeper/x", 0);
    let mut body = Vec::new();
    part(OpCode::CREATE, &|out| create_request("/a/b", 1).encode(out), &mut body);
    part(OpCode::DELETE, &|out| PathVersionRequest { path: Some("/a/b".into()), version: 5 }.encode(out), &mut body);
    MULTI_END.encode(&mut body);
    world.send(a, 4, OpCode::MULTI, &Raw(body));
    world.set(a, 5, "/", b"root");
    world.create(a, 6, "/a/b", 1);
    world.create(a, 7, "/missing/x", 0);
    world.send(a, 8, OpCode::CLOSE_SESSION, &Raw(Vec::new()));
    let batch = world.pipeline.next_batch(Duration::ZERO).unwrap();
    let mut replayed = Tree::new(OwnerRules { extended_types: true, emulate_353: false }, true);
    for (zxid, record, _) in &batch {
        let record = crate::proto::txn::TxnRecord::decode(record).unwrap();
        replayed.apply(&record.header, &record.txn, None);
        if let Some(digest) = record.digest {
            assert_eq!(digest.tree_digest as u64, replayed.digest(), "after {zxid}");
        }
    }
    assert!(batch.iter().any(|(_, record, _)| crate::proto::txn::TxnRecord::decode(record).unwrap().digest.is_none()));
}

#[test]
fn who_loads_the_server_is_known_by_every_dimension() {
    use crate::talkers::Summary;
    let mut world = World::new();
    let (a, b) = (world.connect(0), world.connect(1));
    world.create(a, 1, "/a", 0);
    world.create(a, 2, "/a/b", 0);
    world.settle();
    for xid in 3..13 {
        world.get(b, xid, "/a/b", false);
    }
    // A read that waits behind a write, and one whose record is none.
    world.set(a, 3, "/a/b", b"x");
    world.get(a, 4, "/missing", false);
    world.send(a, 5, OpCode::GET_DATA, &7i32);
    world.settle();
    let ledgers: Vec<_> = world
        .reactors
        .iter_mut()
        .map(|reactor| {
            reactor.settle(1_000, 0);
            reactor.count_talkers(1_000);
            reactor.ledger().cloned().unwrap()
        })
        .collect();
    let summary = Summary::of(&ledgers, 10);
    let requests = |name: &str| {
        let found = summary.prefixes.by[0].iter().find(|talker| talker.key == name);
        found.map_or(0.0, |talker| talker.rate.requests)
    };
    assert_eq!((requests("/a"), requests("/missing")), (13.0, 1.0));
    let operation = |op| summary.operations.by[0].iter().find(|talker| talker.key == op).unwrap().rate.requests;
    assert_eq!((operation(OpCode::GET_DATA), operation(OpCode::CREATE), operation(OpCode::SET_DATA)), (12.0, 2.0, 1.0));
    let session = |client: Client| world.reactors[client.reactor].connection(client.number).unwrap().session().unwrap();
    let sessions: Vec<_> = summary.sessions.by[0].iter().map(|talker| (talker.key, talker.rate.requests)).collect();
    // The connect requests count as well.
    assert_eq!(sessions, [(session(b), 11.0), (session(a), 6.0)]);
    assert_eq!(summary.identities.by[0][0].key, "world:anyone");
    assert_eq!(summary.addresses.by[0][0].rate.requests, 17.0);
    let busy: f64 = summary.sessions.by[2].iter().map(|talker| talker.rate.time_us).sum();
    assert_eq!(busy, 2_000.0, "two turns of a millisecond were shared out");
}

#[test]
fn order_2_what_a_budget_refuses_is_answered_in_its_turn_and_taken_again_later() {
    use crate::guard::{Budget, Budgets, Usage};
    let budget = Arc::new(Budget::new(Budgets { memory: 100, disk: 0, reserve: 0 }));
    let mut world = World::with(|settings| settings.budget = budget.clone());
    let a = world.connect(0);
    world.create(a, 1, "/a", 0);
    world.settle();
    world.replies(a);
    budget.measured(&Usage { memory: 101, ..Usage::default() });
    world.send(a, 2, OpCode::SYNC, &PathRequest { path: Some("/".into()) });
    world.set(a, 3, "/a", b"more");
    world.get(a, 4, "/a", false);
    let delete = crate::proto::records::PathVersionRequest { path: Some("/a".into()), version: -1 };
    world.send(a, 5, OpCode::DELETE, &delete);
    world.create(a, 6, "/b", 0);
    world.get(a, 7, "/a", false);
    world.settle();
    let replies: Vec<_> = world.replies(a).iter().map(|reply| (reply.xid, reply.err)).collect();
    let (ok, full) = (ErrorCode::OK, ErrorCode::QUOTA_EXCEEDED);
    assert_eq!(replies, [(2, ok), (3, full), (4, ok), (5, ok), (6, full), (7, ErrorCode::NO_NODE)]);
    assert_eq!((world.reactors[0].stats.refused, world.reactors[0].stats.refused_for_rate), (2, 0));
    assert_eq!(world.pipeline.gate.read(Tree::zxid), Zxid(3), "what was refused took no zxid");
    budget.measured(&Usage { memory: 90, ..Usage::default() });
    world.create(a, 8, "/b", 0);
    world.settle();
    assert_eq!(world.replies(a)[0].err, ErrorCode::OK);
}

#[test]
fn a_rate_refuses_requests_but_not_what_keeps_a_session() {
    use crate::guard::PrefixRates;
    let rates = Arc::new(PrefixRates::new([("/a".to_owned(), 2)]));
    let mut world = World::with(|settings| settings.prefix_rates = rates);
    let a = world.connect(0);
    for xid in 1..5 {
        world.get(a, xid, "/a/b", false);
    }
    world.get(a, 5, "/b", false);
    world.send(a, -2, OpCode::PING, &PathRequest { path: None });
    let watches = crate::proto::records::SetWatches {
        relative_zxid: 0,
        data_watches: Some(vec![Some("/a".into())]),
        exist_watches: Some(Vec::new()),
        child_watches: Some(Vec::new()),
    };
    world.send(a, -8, OpCode::SET_WATCHES, &watches);
    let errors: Vec<_> = world.replies(a).iter().filter(|reply| reply.xid != -1).map(|reply| reply.err).collect();
    let (none, slow, ok) = (ErrorCode::NO_NODE, ErrorCode::THROTTLED_OP, ErrorCode::OK);
    assert_eq!(errors, [none, none, slow, slow, none, ok, ok]);
}
