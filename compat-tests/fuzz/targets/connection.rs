//! A whole connection: arbitrary bytes, in pieces, through handshake, lanes, reads and writes of the real core.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oxkeeper::auth::Policy;
use oxkeeper::engine::{Engine, Prepared, Request, Rules, SessionTable};
use oxkeeper::proto::OpCode;
use oxkeeper::proto::txn::TxnRecord;
use oxkeeper::reactor::{Delivery, Item, Reactor, Settings, Turn, Wanted, put_write_reply};
use oxkeeper::throttle::{LargeRequests, RequestThrottle};
use oxkeeper::tree::{OwnerRules, Tree};
use std::sync::Arc;

const CONNECT: [u8; 48] = {
    let mut frame = [0; 48];
    frame[3] = 44;
    frame[19] = 0x10;
    frame[31] = 16;
    frame
};

fuzz_target!(|bytes: &[u8]| {
    let owners = OwnerRules { extended_types: true, emulate_353: false };
    let policy = Arc::new(Policy::default());
    let mut tree = Tree::new(owners, true);
    let rules = Rules {
        policy: policy.clone(),
        owners,
        enforce_quota: true,
        digest: true,
        close_session_paths: true,
        reconfig: false,
        member: None,
    };
    let mut engine = Engine::new(rules, SessionTable::new(1000, 1 << 56), &tree);
    let settings = Arc::new(Settings {
        policy,
        frame_max: 1 << 16,
        field_max: 1 << 17,
        min_session_timeout_ms: 1000,
        max_session_timeout_ms: 40_000,
        sessionless_timeout_ms: 10_000,
        ensemble: false,
        outstanding_max: 1000,
        throttle: RequestThrottle::default(),
        large: Arc::new(LargeRequests::new(-1, -1)),
        talkers: Some(oxkeeper::talkers::Settings { half_life_ms: 60_000, prefix_depth: 2, capacity: 4 }),
        audit: true,
        budget: Arc::default(),
        rates: None,
        prefix_rates: Arc::default(),
        slow_request_ms: 1,
        provider: oxkeeper::metrics::Provider::Prometheus,
        is_word: oxkeeper::admin::four_letter::is_word,
    });
    let mut reactor = Reactor::new(0, settings);
    let number = reactor.open("127.0.0.1:1".parse().expect("an address"), 0);
    let (first, rest) = match bytes.split_first() {
        // Most inputs begin behind a good handshake.
        Some((kind, rest)) if kind % 4 != 0 => (&CONNECT[..], rest),
        _ => (&bytes[..0], bytes),
    };
    for piece in std::iter::once(first).chain(rest.chunks(97)) {
        let mut turn = Turn::default();
        reactor.receive(&tree, number, piece, 0, 0, &mut turn);
        while !turn.submissions.is_empty() {
            let mut delivery = Delivery::default();
            for submission in std::mem::take(&mut turn.submissions) {
                match submission.what {
                    Wanted::NewSession { timeout_ms } => {
                        let session = engine.sessions.next_id();
                        let touch = engine.sessions.track(session, timeout_ms, 0);
                        delivery.items.push(Item::SessionOpened { number, session, timeout_ms, touch });
                    }
                    Wanted::Resume { .. } => delivery.items.push(Item::SessionRefused { number }),
                    Wanted::Write { session, xid, op, body, identities, .. } => {
                        let request =
                            Request { session, xid, op, body: &body, identities: &identities, time_ms: 1, field_max: 1 << 17 };
                        let mut out = Vec::new();
                        let start = delivery.bytes.len();
                        if let Prepared::Logged(zxid) = engine.prepare(&tree, &request, &mut out) {
                            let record = TxnRecord::decode(&out).expect("prepare writes records");
                            let outcome = tree.apply(&record.header, &record.txn, None);
                            engine.applied(zxid);
                            if let Some(digest) = record.digest {
                                assert_eq!(digest.tree_digest as u64, tree.digest());
                            }
                            put_write_reply(&mut delivery.bytes, xid, zxid, op, &outcome);
                        }
                        let (bytes, close) = (start..delivery.bytes.len(), op == OpCode::CLOSE_SESSION);
                        delivery.items.push(Item::Written { number, bytes, xid, zxid: tree.zxid(), close });
                    }
                }
            }
            reactor.deliver(&tree, delivery, 0, 0, &mut turn);
        }
        if let Some(output) = reactor.output(number) {
            output.clear();
        }
    }
    assert_eq!(tree.digest(), tree.digest_from_scratch());
});
