//! Sessions that one server alone knows, and reading while there is no leader.

use super::*;
use crate::engine::MemberRules;
use crate::store::Epochs;
use crate::zab::{Membership, Pending, Times, Voters};

const TIMES: Times = Times { tick_ms: 1000, init_ms: 10_000, sync_ms: 5000 };

impl World {
    /// Member 1 of an ensemble of one.
    fn member(local_sessions: bool, upgrading: bool) -> World {
        World::build(Some(MemberRules { me: 1, local_sessions, upgrading }), |_| {})
    }

    /// It leads from here on; its first transaction will be 1 of epoch 1.
    fn lead(&mut self) {
        let text = "server.1=a:1:2:participant\nversion=0";
        let active = Membership { voters: Voters::majority([1]), text: text.into(), version: 0, leads_on: true };
        self.pipeline.begin_leading(active, Pending::Nothing, Epochs { accepted: 0, current: 0 }, TIMES);
        assert!(self.pipeline.judges());
    }

    /// It finds no leader for so long that clients may read.
    fn read_only(&mut self) {
        self.pipeline.serve_read_only(self.pipeline.term());
        assert!(self.pipeline.is_read_only());
        self.reactors.iter_mut().for_each(|reactor| reactor.set_read_only(true));
    }

    /// Sends a ConnectRequest that may say readOnly; returns the answer's frame.
    fn asks(&mut self, session: i64, read_only: Option<bool>) -> (Client, Vec<u8>) {
        let number = self.reactors[0].open("127.0.0.1:1".parse().unwrap(), 0);
        let client = Client { reactor: 0, number };
        let password = crate::proto::session::password(session);
        let password = (session != 0).then_some(&password[..]);
        let mut body =
            ConnectRequest { protocol_version: 0, last_zxid_seen: 0, timeout_ms: 5000, session_id: session, password }
                .to_bytes();
        read_only.inspect(|read_only| read_only.encode(&mut body));
        self.send_body(client, &body);
        self.settle();
        let answer = self.raw(client);
        (client, answer)
    }

    fn is_closed(&self, client: Client) -> bool {
        self.closed.contains(&(client.reactor, client.number))
    }

    fn zxid(&self) -> Zxid {
        self.pipeline.gate.read(Tree::zxid)
    }

    fn global_sessions(&self) -> usize {
        self.pipeline.gate.read(|tree| tree.sessions().len())
    }

    /// One request, settled: its error.
    fn error(&mut self, client: Client) -> ErrorCode {
        self.settle();
        let replies = self.replies(client);
        assert_eq!(replies.len(), 1, "{replies:?}");
        replies[0].err
    }
}

fn session_of(answer: &[u8]) -> i64 {
    i64::from_be_bytes(answer[12..20].try_into().unwrap())
}

fn ephemeral_in_multi() -> Raw {
    let mut body = Vec::new();
    MultiHeader { op: OpCode::CREATE.0, done: false, err: -1 }.encode(&mut body);
    create_request("/in-multi", 1).encode(&mut body);
    MULTI_END.encode(&mut body);
    Raw(body)
}

#[test]
fn a_local_session_takes_no_transaction_and_its_writes_do() {
    let mut world = World::member(true, true);
    world.lead();
    let (client, answer) = world.asks(0, Some(false));
    assert_eq!(answer.len(), 41, "a session");
    assert_eq!((world.zxid(), world.global_sessions()), (Zxid::new(1, 0), 0));
    world.create(client, 1, "/a", 0);
    assert_eq!(world.error(client), ErrorCode::OK);
    world.set(client, 2, "/a", b"1");
    world.send(client, 3, OpCode::CLOSE_SESSION, &Raw(Vec::new()));
    world.settle();
    assert_eq!(xids(&world.replies(client)), [2, 3], "the end waits for the write before it");
    assert!(world.is_closed(client));
    assert_eq!(world.zxid(), Zxid::new(1, 2), "the end takes no transaction either");
    let (_, again) = world.asks(session_of(&answer), Some(false));
    assert_eq!(session_of(&again), 0, "it has ended");
}

#[test]
fn the_first_ephemeral_makes_a_local_session_global() {
    for multi in [false, true] {
        let mut world = World::member(true, true);
        world.lead();
        let (client, answer) = world.asks(0, Some(false));
        match multi {
            false => world.create(client, 1, "/e", 1),
            true => world.send(client, 1, OpCode::MULTI, &ephemeral_in_multi()),
        }
        assert_eq!(world.error(client), ErrorCode::OK);
        assert_eq!((world.zxid(), world.global_sessions()), (Zxid::new(1, 2), 1), "createSession comes first");
        let owner = world.pipeline.gate.read(|tree| tree.ephemeral_owners().next());
        assert_eq!(owner, Some(session_of(&answer)));
        let (again, resumed) = world.asks(session_of(&answer), Some(false));
        assert_eq!(session_of(&resumed), session_of(&answer));
        world.send(again, 2, OpCode::CLOSE_SESSION, &Raw(Vec::new()));
        world.settle();
        assert_eq!((world.zxid(), world.global_sessions()), (Zxid::new(1, 3), 0));
        assert_eq!(world.pipeline.gate.read(Tree::ephemeral_count), 0);
    }
}

#[test]
fn without_upgrading_an_ephemeral_is_refused() {
    let mut world = World::member(true, false);
    world.lead();
    let (client, _) = world.asks(0, Some(false));
    world.create(client, 1, "/e", 1);
    assert_eq!(world.error(client), ErrorCode::EPHEMERAL_ON_LOCAL_SESSION);
    assert_eq!(world.zxid(), Zxid::new(1, 1), "and takes a number, as every refused write");
    world.send(client, 2, OpCode::MULTI, &ephemeral_in_multi());
    world.settle();
    let replies = world.replies(client);
    let told = ErrorCode::EPHEMERAL_ON_LOCAL_SESSION.0.to_be_bytes();
    assert!(replies[0].body.windows(4).any(|bytes| bytes == told), "{replies:?}");
    world.create(client, 3, "/p", 0);
    assert_eq!(world.error(client), ErrorCode::OK);
    assert_eq!(world.global_sessions(), 0);
}

#[test]
fn a_local_session_is_known_where_it_was_made_and_expires_there() {
    let mut world = World::member(true, true);
    world.lead();
    let (first, answer) = world.asks(0, Some(false));
    let session = session_of(&answer);
    let (second, resumed) = world.asks(session, Some(false));
    assert_eq!(session_of(&resumed), session);
    world.wake();
    assert!(world.is_closed(first) && !world.is_closed(second), "a session has one connection");
    assert_eq!(session_of(&world.asks(session + 1, Some(false)).1), 0, "nobody knows that one");
    assert_eq!(world.pipeline.engine(|engine| engine.local_sessions.expire(60_000)), [session]);
    let (_, late) = world.asks(session, Some(false));
    assert_eq!(session_of(&late), 0);
    assert_eq!(world.zxid(), Zxid::new(1, 0));
}

#[test]
fn without_a_leader_only_clients_that_say_so_may_read_and_nobody_writes() {
    let mut world = World::member(true, true);
    world.read_only();
    for refused in [None, Some(false)] {
        let (client, answer) = world.asks(0, refused);
        assert!(answer.is_empty() && world.is_closed(client), "{refused:?}");
    }
    let (client, answer) = world.asks(0, Some(true));
    assert_eq!((answer.len(), answer[40]), (41, 1), "the answer says that it is read-only");
    world.get(client, 1, "/", false);
    world.create(client, 2, "/a", 0);
    world.set(client, 3, "/a", b"1");
    world.send(client, 4, OpCode::SYNC, &PathRequest { path: Some("/".into()) });
    world.send(client, 5, OpCode::MULTI, &ephemeral_in_multi());
    world.send(client, -2, OpCode::PING, &Raw(Vec::new()));
    world.send(client, 6, OpCode::CLOSE_SESSION, &Raw(Vec::new()));
    world.settle();
    let replies = world.replies(client);
    let found: Vec<_> = replies.iter().map(|reply| (reply.xid, reply.err.0)).collect();
    assert_eq!(found, [(1, 0), (2, -119), (3, -119), (4, -119), (5, -119), (-2, 0), (6, 0)]);
    assert!(world.is_closed(client));
    assert_eq!((world.zxid(), world.global_sessions()), (Zxid::ZERO, 0));
}

#[test]
fn without_a_leader_and_local_sessions_there_are_no_new_sessions() {
    let mut world = World::member(false, false);
    world.read_only();
    let (client, answer) = world.asks(0, Some(true));
    assert_eq!(answer, [&16i32.to_bytes()[..], &[0; 12], &(-119i32).to_bytes()].concat());
    assert!(world.is_closed(client));
}

#[test]
fn a_global_session_is_not_renewed_without_a_leader_and_a_leader_sends_readers_away() {
    let mut world = World::member(true, true);
    world.lead();
    let (client, answer) = world.asks(0, Some(true));
    assert_eq!(answer[40], 0, "there is a leader");
    world.create(client, 1, "/e", 1);
    assert_eq!(world.error(client), ErrorCode::OK);
    std::thread::scope(|scope| {
        let log = scope.spawn(|| while world.pipeline.take_roll().is_none_or(|roll| roll.send(()).is_err()) {});
        assert_eq!(world.pipeline.stand_down(), Some(Zxid::new(1, 2)));
        log.join().unwrap();
    });
    world.wake();
    world.read_only();
    let (refused, silence) = world.asks(session_of(&answer), Some(true));
    assert!(silence.is_empty() && world.is_closed(refused));
    let (reader, _) = world.asks(0, Some(true));
    let active = Membership { voters: Voters::majority([1]), text: "".into(), version: 0, leads_on: true };
    world.pipeline.begin_leading(active, Pending::Nothing, Epochs { accepted: 1, current: 1 }, TIMES);
    world.reactors.iter_mut().for_each(|reactor| reactor.set_read_only(false));
    world.wake();
    assert!(!world.pipeline.is_read_only() && world.is_closed(reader));
    assert_eq!(session_of(&world.asks(session_of(&answer), Some(true)).1), session_of(&answer));
}
