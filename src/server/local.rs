//! What a server does for clients by itself, without a leader and without a transaction: local sessions
//! (`LocalSessionTracker`), and reads while there is no leader (`ReadOnlyZooKeeperServer`).

use super::member::{Machine, Role};
use super::pipeline::{Pipeline, State, Wakes};
use crate::engine::ConnectionKey;
use crate::proto::session::SessionId;
use crate::proto::{ErrorCode, OpCode};
use crate::reactor::{Delivery, Item, Submission, Wanted, put_write_reply};
use crate::tree::{Outcome, Tree};
use std::sync::atomic::Ordering;

impl Pipeline {
    /// Ends local sessions that were not heard in time. No transaction tells of it: they own nothing.
    pub fn expire_local_sessions(&self) {
        let mut state = self.lock();
        if !state.member.role.serves() {
            return;
        }
        for session in state.engine.local_sessions.expire(self.clock.now_ms()) {
            tracing::info!(session = format_args!("0x{session:x}"), "local session expired");
            if let Some(connection) = state.engine.local_sessions.remove(session) {
                self.tell(connection.reactor, Item::Close { number: connection.number });
            }
        }
    }

    /// A client wants a session of this server back that only it knows. `None` when there is none of that kind.
    pub(super) fn resume_locally(
        &self,
        state: &mut State,
        session: SessionId,
        password: Option<&[u8]>,
        timeout_ms: i32,
        connection: ConnectionKey,
    ) -> Option<Item> {
        if !state.engine.is_local(session) {
            return None;
        }
        let sessions = &mut state.engine.local_sessions;
        if let Some(old) = sessions.connection(session).filter(|old| *old != connection) {
            self.tell(old.reactor, Item::Close { number: old.number });
        }
        let number = connection.number;
        Some(match sessions.attach(session, password, timeout_ms, connection, self.clock.now_ms()) {
            Some(attached) => Item::SessionOpened { number, session, timeout_ms, touch: attached.touch },
            None => Item::SessionRefused { number },
        })
    }

    /// On a learner: local sessions end once everything they asked for is answered.
    pub(super) fn finish_local_ends(&self, state: &mut State, wakes: &mut Wakes) {
        let Machine::Learning(learner) = &state.member.machine else { return };
        let (committed, applied) = (learner.committed(), learner.history().applied());
        let ready = state.member.local_ends_ready();
        if ready.is_empty() {
            return;
        }
        for mut end in ready {
            end.zxid = committed;
            let at = state.in_flight.iter().position(|write| write.zxid > committed).unwrap_or(state.in_flight.len());
            state.in_flight.insert(at, end);
        }
        self.apply(state, applied, wakes);
    }

    /// There has been no leader for a while: clients that can do with reads are served. `term` is that of the caller, which
    /// may have ended.
    pub fn serve_read_only(&self, term: u64) {
        let mut state = self.lock();
        if state.member.role == Role::Looking && state.member.term == term && !state.closed {
            state.member.role = Role::ReadOnly;
            self.read_only.store(true, Ordering::Relaxed);
            tracing::warn!("no leader is found: read-only clients are served what this server has");
        }
    }

    /// Reading without a leader is over; its clients are sent away.
    pub(super) fn end_read_only(&self, state: &mut State) {
        if self.read_only.swap(false, Ordering::Relaxed) {
            (0..self.mailboxes.len()).for_each(|reactor| self.tell(reactor as u16, Item::CloseAll));
            self.begin(state);
        }
    }

    /// What clients want of a server without a leader: sessions that are known here alone, or that nobody needs to know.
    pub(super) fn submit_read_only(&self, state: &mut State, submissions: &mut Vec<Submission>) {
        for Submission { connection, what } in submissions.drain(..) {
            let number = connection.number;
            let mut bytes = Vec::new();
            let item = match what {
                Wanted::NewSession { timeout_ms } if state.engine.opens_local_sessions() => {
                    let (session, touch) = state.engine.open_locally(connection, timeout_ms, self.clock.now_ms());
                    Item::SessionOpened { number, session, timeout_ms, touch }
                }
                Wanted::NewSession { .. } => Item::NotReadOnly { number },
                // A leader may be about to expire it.
                Wanted::Resume { session, .. } if self.gate.read(|tree| tree.sessions().contains_key(&session)) => {
                    Item::Close { number }
                }
                Wanted::Resume { session, password, timeout_ms } => self
                    .resume_locally(state, session, password.as_deref(), timeout_ms, connection)
                    .unwrap_or(Item::SessionRefused { number }),
                Wanted::Write { session, xid, op, .. } => {
                    let ends = op == OpCode::CLOSE_SESSION && state.engine.is_local(session);
                    let outcome = if ends { Outcome::Done } else { Outcome::Failed(ErrorCode::NOT_READ_ONLY) };
                    let zxid = self.gate.read(Tree::zxid);
                    put_write_reply(&mut bytes, xid, zxid, op, &outcome);
                    if ends {
                        state.engine.local_sessions.remove(session);
                    }
                    Item::Written { number, bytes: 0..bytes.len(), xid, zxid, close: ends }
                }
            };
            let mailbox = &self.mailboxes[usize::from(connection.reactor)];
            mailbox.deliver(Delivery { items: vec![item], bytes });
            mailbox.wake();
        }
    }
}
