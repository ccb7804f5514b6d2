//! Requests that travel between members: a follower sends the writes of its clients on and remembers what they wait for, and
//! the leader takes them, revalidates sessions that moved, and hears which sessions are alive.

use super::super::batch::Batch;
use super::super::pipeline::{InFlight, Pipeline, State, Wakes};
use super::{Machine, Role, Syncing};
use crate::engine::{Before, Request, Standing};
use crate::jute::{Encode, Reader};
use crate::metrics;
use crate::proto::acl::Id;
use crate::proto::session::{self, SessionId};
use crate::proto::{Class, ErrorCode, OpCode, Zxid};
use crate::reactor::{Delivery, Item, Submission, Wanted};
use crate::zab::{LEADER, LinkId, Packet, Violation, kind};
use bytes::Bytes;
use std::sync::Arc;

impl Pipeline {
    /// As leader: a client of another member asks for something.
    pub(super) fn submit_of(
        &self,
        state: &mut State,
        link: LinkId,
        data: &[u8],
        identities: &[Id],
        wakes: &mut Wakes,
    ) -> Result<(), Violation> {
        let mut reader = Reader::unlimited(data);
        let short = |_| Violation::new("a request of less than 16 bytes");
        let (session, xid, op) =
            (reader.long().map_err(short)?, reader.int().map_err(short)?, OpCode(reader.int().map_err(short)?));
        let body = reader.rest();
        let (now_ms, time_ms) = (self.clock.now_ms(), self.clock.wall_ms());
        if state.member.role != Role::Leading || state.closed {
            return Ok(());
        }
        let travels = matches!(op.class(), Some(Class::Write | Class::Session)) || op == OpCode::CREATE_SESSION;
        if !travels {
            return Err(Violation(format!("a request to forward of type {op}")));
        }
        if op == OpCode::CREATE_SESSION {
            let timeout_ms = Reader::unlimited(body).int().map_err(short)?;
            state.engine.sessions.track(session, timeout_ms, now_ms);
            state.engine.sessions.set_owner(session, link);
        }
        let moved = op != OpCode::CLOSE_SESSION && !state.engine.sessions.own(session, link);
        let request = Request { session, xid, op, body, identities, time_ms, field_max: self.field_max };
        state.readings.add(metrics::PREP_PROCESSOR_REQUEST_QUEUED, 1);
        if op == OpCode::RECONFIG {
            state.look_who_is_synced();
        }
        let mut batch = Batch::taken_at(self.clock.now_us());
        self.gate.read(|tree| {
            batch.prepare(&mut state.engine, tree, &request, moved, None, identities.into(), Vec::new(), None);
        });
        self.propose(state, batch, wakes);
        Ok(())
    }

    /// As leader: another member's client wants its session back.
    pub(super) fn revalidate(&self, state: &mut State, link: LinkId, data: &[u8]) -> Result<Bytes, Violation> {
        let mut reader = Reader::unlimited(data);
        let session = reader.long().map_err(|_| Violation::new("a revalidation without a session"))?;
        state.readings.add(metrics::REVALIDATE_COUNT, 1);
        let alive = state.engine.sessions.touch(session, self.clock.now_ms());
        if alive {
            state.engine.sessions.set_owner(session, link);
        }
        let mut data = session.to_bytes();
        alive.encode(&mut data);
        Ok(Packet::with(kind::REVALIDATE, Zxid(-1), data).encode())
    }

    /// The sessions that another member has heard: a follower tells the leader when it is asked next.
    pub(super) fn touched(&self, state: &mut State, data: &[u8]) {
        let now_ms = self.clock.now_ms();
        for pair in data.chunks_exact(12) {
            let mut reader = Reader::unlimited(pair);
            let (Ok(session), Ok(timeout_ms)) = (reader.long(), reader.int()) else { continue };
            // Of sessions that nobody knows, nothing is kept.
            if state.engine.sessions.touch(session, now_ms) && !state.member.judges() {
                state.member.heard.insert(session, timeout_ms);
            }
        }
    }

    /// As learner: the answer to the oldest sync takes the place of a commit.
    pub(super) fn synced(&self, state: &mut State, wakes: &mut Wakes) {
        let Machine::Learning(learner) = &state.member.machine else { return };
        let (committed, applied) = (learner.committed(), learner.history().applied());
        let mut sync = match state.member.syncs.pop_front() {
            Some(Syncing::Own(sync)) => sync,
            Some(Syncing::Observer(link)) => {
                if let Some(link) = state.member.links.get(&link) {
                    wakes.send(link, &Packet::bare(kind::SYNC, Zxid(0)).encode());
                }
                return;
            }
            None => return,
        };
        sync.zxid = committed;
        let at = state.in_flight.iter().position(|write| write.zxid > committed).unwrap_or(state.in_flight.len());
        state.in_flight.insert(at, sync);
        self.apply(state, applied, wakes);
    }

    /// As learner: whether a session lives.
    pub(super) fn revalidated(&self, state: &mut State, data: &[u8], wakes: &mut Wakes) {
        let mut reader = Reader::unlimited(data);
        let (Ok(session), Ok(valid)) = (reader.long(), reader.bool()) else {
            state.member.ended.get_or_insert("a short answer to a revalidation".into());
            return;
        };
        let Some(at) = state.member.resuming.iter().position(|(id, _, _)| *id == session) else { return };
        let Some((_, connection, timeout_ms)) = state.member.resuming.remove(at) else { return };
        let (now_ms, number) = (self.clock.now_ms(), connection.number);
        let sessions = &mut state.engine.sessions;
        let attached = valid.then(|| {
            if sessions.standing(session) == Standing::Unknown {
                sessions.track(session, timeout_ms, now_ms);
            }
            sessions.attach(session, Some(&session::password(session)), timeout_ms, connection, now_ms)
        });
        let item = match attached.flatten() {
            Some(attached) => Item::SessionOpened { number, session, timeout_ms, touch: attached.touch },
            None => Item::SessionRefused { number },
        };
        let reactor = usize::from(connection.reactor);
        self.mailboxes[reactor].deliver(Delivery { items: vec![item], bytes: Vec::new() });
        wakes.reactor(reactor);
    }

    /// As learner: the answer to a ping, with the sessions heard since the last.
    pub(super) fn pong(&self, state: &mut State, zxid: Zxid) -> Packet {
        let since_ms = std::mem::replace(&mut state.member.touched_ms, self.clock.now_ms());
        let mut data = Vec::new();
        let own = state.engine.sessions.heard_since(since_ms);
        let observed = std::mem::take(&mut state.member.heard);
        for (session, timeout_ms) in own.into_iter().chain(observed) {
            session.encode(&mut data);
            timeout_ms.encode(&mut data);
        }
        Packet::with(kind::PING, zxid, data)
    }

    /// As learner: what own clients want goes to the leader, in order.
    pub(in crate::server) fn forward(&self, state: &mut State, submissions: &mut Vec<Submission>, wakes: &mut Wakes) {
        let (now_ms, since_us) = (self.clock.now_ms(), self.clock.now_us());
        let Some(leader) = state.member.links.get(&LEADER).cloned() else { return submissions.clear() };
        let ask = |session: SessionId, xid: i32, op: OpCode, body: &[u8], identities: &[Id], wakes: &mut Wakes| {
            let mut data = session.to_bytes();
            xid.encode(&mut data);
            op.0.encode(&mut data);
            data.extend_from_slice(body);
            let mut packet = Packet::with(kind::REQUEST, Zxid(-1), data);
            packet.ids = Some(identities.to_vec());
            wakes.send(&leader, &packet.encode());
        };
        for Submission { connection, what } in submissions.drain(..) {
            match what {
                Wanted::Write { session, xid, op, body, identities, reads } => {
                    let mut refused = None;
                    match state.engine.before(session, op, &body, self.field_max) {
                        Before::Nothing => {}
                        // The leader refuses it, since it does not know the session.
                        Before::Refuse => refused = Some(ErrorCode::EPHEMERAL_ON_LOCAL_SESSION),
                        Before::Upgrade => {
                            if let Some(timeout_ms) = state.engine.upgrade(session) {
                                ask(session, 0, OpCode::CREATE_SESSION, &timeout_ms.to_bytes(), &[], wakes);
                            }
                        }
                    }
                    if op == OpCode::CLOSE_SESSION && state.engine.is_local(session) {
                        state.engine.local_sessions.set_closing(session);
                        state.member.local_ends.push(InFlight {
                            zxid: Zxid::ZERO,
                            record: Bytes::new(),
                            body: Bytes::new(),
                            op,
                            xid,
                            session,
                            connection: Some(connection),
                            identities,
                            reads,
                            opened: None,
                            since_us,
                            refused: None,
                        });
                        continue;
                    }
                    ask(session, xid, op, &body, &identities, wakes);
                    let sync = op == OpCode::SYNC;
                    let write = InFlight {
                        zxid: Zxid::ZERO,
                        record: Bytes::new(),
                        body: if sync { Bytes::from(Vec::from(body)) } else { Bytes::new() },
                        op,
                        // The original gives the end of a session this number, whatever the client said.
                        xid,
                        session,
                        connection: Some(connection),
                        identities,
                        reads,
                        opened: None,
                        since_us,
                        refused,
                    };
                    match sync {
                        true => state.member.syncs.push_back(Syncing::Own(write)),
                        false => state.member.waiting.entry(session).or_default().push_back(write),
                    }
                }
                Wanted::NewSession { timeout_ms } if state.engine.opens_local_sessions() => {
                    let (session, touch) = state.engine.open_locally(connection, timeout_ms, now_ms);
                    let number = connection.number;
                    self.tell(connection.reactor, Item::SessionOpened { number, session, timeout_ms, touch });
                }
                Wanted::NewSession { timeout_ms } => {
                    let session = state.engine.sessions.next_id();
                    let touch = state.engine.sessions.track(session, timeout_ms, now_ms);
                    state.engine.sessions.bind(session, connection);
                    ask(session, 0, OpCode::CREATE_SESSION, &timeout_ms.to_bytes(), &[], wakes);
                    state.member.waiting.entry(session).or_default().push_back(InFlight {
                        zxid: Zxid::ZERO,
                        record: Bytes::new(),
                        body: Bytes::new(),
                        op: OpCode::CREATE_SESSION,
                        xid: 0,
                        session,
                        connection: Some(connection),
                        identities: Arc::new([]),
                        reads: Vec::new(),
                        opened: Some((timeout_ms, touch)),
                        since_us,
                        refused: None,
                    });
                }
                Wanted::Resume { session, password, timeout_ms } => {
                    if let Some(item) = self.resume_locally(state, session, password.as_deref(), timeout_ms, connection)
                    {
                        self.tell(connection.reactor, item);
                        continue;
                    }
                    if let Some(old) = state.engine.sessions.connection(session).filter(|old| *old != connection) {
                        self.tell(old.reactor, Item::Close { number: old.number });
                    }
                    if session == 0 || password.as_deref() != Some(&session::password(session)[..]) {
                        self.tell(connection.reactor, Item::SessionRefused { number: connection.number });
                        continue;
                    }
                    let mut data = session.to_bytes();
                    timeout_ms.encode(&mut data);
                    wakes.send(&leader, &Packet::with(kind::REVALIDATE, Zxid(-1), data).encode());
                    state.member.resuming.push_back((session, connection, timeout_ms));
                }
            }
        }
        self.finish_local_ends(state, wakes);
        self.count(state);
    }

    /// Requests on their way to a leader.
    pub(in crate::server) fn forwarded(state: &State) -> usize {
        state.member.waiting() + state.member.syncs.len()
    }
}
