//! The way of a write: prepare, propose, log, commit, apply, reply. The pure parts are the engine, the broadcast and the
//! tree; here they stand behind one lock that is held for short batches, by the reactor that submits and by the log
//! thread that commits. Taking turns at a lock costs a write two hand-overs between threads; a thread of its own for the
//! engine would cost four.
//!
//! Locks are taken in this order: log, pipeline, gate, mailbox. Who holds the pipeline may still try for the log, but not
//! wait for it.

use super::audit_log::AuditLog;
use super::batch::Batch;
use super::counts::{Visit, count_written, ms};
use super::gate::Gate;
use super::link::Link;
use super::log_thread::{Held, Log};
use super::mailbox::Mailbox;
use super::member::{Duties, Machine, Member, Role};
use crate::auth::Policy;
use crate::clock::Clock;
use crate::engine::{Before, ConnectionKey, Engine, Request, Touch};
use crate::jute::{Encode, Text};
use crate::metrics::{self, Provider, Readings};
use crate::proto::acl::Id;
use crate::proto::session::SessionId;
use crate::proto::txn::{Txn, TxnRecord};
use crate::proto::{ErrorCode, OpCode, Zxid};
use crate::reactor::{
    Delivery, Item, Listings, ReadRequest, Sizes, Submission, WaitingRead, Wanted, count_namespace, execute,
    put_write_reply,
};
use crate::throttle::{ConnectionThrottle, SessionKind};
use crate::tree::{Outcome, Tree};
use crate::zab::{History, Leader, ServerId};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Reactors of a server at most.
pub const REACTORS_MAX: usize = 64;

/// Transactions applied in one exclusive visit of the tree.
const APPLY_BATCH: usize = 64;

/// Bytes of a record beside those of its request: header, digest, counter.
pub(super) const RECORD_FRAME: usize = 64;

/// A digest is kept every so many transactions (`DataTree.DIGEST_LOG_INTERVAL`).
const DIGEST_INTERVAL: i64 = 128;
/// And so many of them at most (`DataTree.DIGEST_LOG_LIMIT`).
const DIGESTS_MAX: usize = 1024;

/// A write between prepare and apply.
pub(super) struct InFlight {
    pub(super) zxid: Zxid,
    /// Header, body and digest; empty for a request that could not be decoded and only waits for its turn to be refused.
    pub(super) record: Bytes,
    /// What a sync asks for; empty otherwise.
    pub(super) body: Bytes,
    pub(super) op: OpCode,
    pub(super) xid: i32,
    pub(super) session: SessionId,
    /// `None` for the server's own (expiry, reaper) and for what comes from other members.
    pub(super) connection: Option<ConnectionKey>,
    pub(super) identities: Arc<[Id]>,
    pub(super) reads: Vec<WaitingRead>,
    pub(super) opened: Option<(i32, Arc<Touch>)>,
    /// When it was taken, or sent to the leader, µs of the monotonic clock.
    pub(super) since_us: i64,
    /// What its client is told instead of the leader's refusal: the leader does not know this local session.
    pub(super) refused: Option<ErrorCode>,
}

/// A record for the log, with the time it was taken, µs of the monotonic clock.
pub type ToLog = (Zxid, Bytes, i64);

pub(super) struct State {
    pub(super) engine: Engine,
    pub(super) in_flight: VecDeque<InFlight>,
    pub(super) to_log: Vec<ToLog>,
    /// Their bytes.
    pub(super) to_log_bytes: usize,
    pub(super) throttle: ConnectionThrottle,
    /// What is counted for metrics.
    pub(super) readings: Readings,
    /// Sizes of proposals of this term as leader.
    pub(super) proposals: Sizes,
    /// Since when nobody is served, since when this server leads, since when it gets in step with a leader, µs.
    pub(super) unavailable_since_us: Option<i64>,
    pub(super) led_since_us: Option<i64>,
    pub(super) learning_since_us: Option<i64>,
    /// Learners that are being brought up to date, by what they lack and by a copy.
    pub(super) inflight_syncs: [i64; 2],
    /// The tree's digest at every so many transactions, for `hash`.
    pub(super) digests: VecDeque<(Zxid, i64)>,
    /// The log thread sleeps until it is told of records.
    pub(super) log_sleeps: bool,
    pub(super) closed: bool,
    /// What this server is to its ensemble.
    pub(super) member: Member,
}

impl State {
    /// A new configuration is judged by who follows right now.
    pub(super) fn look_who_is_synced(&mut self) {
        if let (Some(known), Machine::Leading(leader)) = (&mut self.engine.configurations, &self.member.machine) {
            known.synced = leader.in_step().collect();
        }
    }
}

/// What waits until the lock is free. Threads to wake: one that is woken under it would at once wait for it again. Links
/// whose packets go to the socket then.
#[derive(Default)]
pub(super) struct Wakes {
    log: bool,
    /// A bit for each reactor.
    reactors: u64,
    links: Vec<Link>,
}

impl Wakes {
    /// Queues a packet, in the order of the lock.
    pub(super) fn send(&mut self, link: &Link, packet: &[u8]) {
        link.send(packet);
        self.link(link);
    }

    /// Something is queued in it.
    pub(super) fn link(&mut self, link: &Link) {
        if self.links.iter().all(|other| other.id != link.id) {
            self.links.push(link.clone());
        }
    }

    pub(super) fn reactor(&mut self, id: usize) {
        self.reactors |= 1 << id;
    }
}

/// The write path of a server.
pub struct Pipeline {
    /// The tree.
    pub gate: Gate,
    /// One for each reactor.
    pub mailboxes: Vec<Mailbox>,
    /// The clocks.
    pub clock: Clock,
    state: Mutex<State>,
    pub(super) to_log: Condvar,
    /// A term has ended.
    pub(super) term_changed: Condvar,
    policy: Arc<Policy>,
    pub(super) field_max: usize,
    pub(super) me: ServerId,
    /// In the ids of sessions: a standalone server counts as 1, as the original's does.
    pub(super) session_member: u8,
    outstanding: AtomicUsize,
    /// Where it is written which ephemeral nodes went with their sessions.
    pub(super) audit: Option<Arc<AuditLog>>,
    /// `leader.ackLoggingFrequency`.
    ack_logging_frequency: AtomicI64,
    /// Clients may read, and nothing else: there is no leader.
    pub(super) read_only: AtomicBool,
}

impl Pipeline {
    /// Begins where the tree stands. Members of an ensemble remember `recent_max` transactions for others.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        tree: Tree,
        engine: Engine,
        reactors: usize,
        field_max: usize,
        throttle: ConnectionThrottle,
        clock: Clock,
        me: Option<ServerId>,
        recent_max: usize,
    ) -> Self {
        assert!(reactors <= REACTORS_MAX, "{reactors} reactors, and bits for {REACTORS_MAX}");
        let session_member = me.unwrap_or(1) as u8;
        let member = match me {
            Some(_) => Member::new(Role::Looking, Machine::Resting(History::new(tree.zxid(), recent_max))),
            None => Member::new(Role::Alone, Machine::Leading(Leader::alone(0, tree.zxid()).into())),
        };
        let me = me.unwrap_or(0);
        Pipeline {
            policy: engine.rules().policy.clone(),
            gate: Gate::new(tree),
            mailboxes: (0..reactors).map(|_| Mailbox::default()).collect(),
            clock,
            state: Mutex::new(State {
                engine,
                in_flight: VecDeque::new(),
                to_log: Vec::new(),
                to_log_bytes: 0,
                throttle,
                readings: Readings::new(Provider::default()),
                proposals: Sizes::default(),
                unavailable_since_us: None,
                led_since_us: None,
                learning_since_us: None,
                inflight_syncs: [0; 2],
                digests: VecDeque::new(),
                log_sleeps: false,
                closed: false,
                member,
            }),
            to_log: Condvar::new(),
            term_changed: Condvar::new(),
            field_max,
            me,
            session_member,
            outstanding: AtomicUsize::new(0),
            audit: None,
            ack_logging_frequency: AtomicI64::new(1_000),
            read_only: AtomicBool::new(false),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts for this metrics provider. To be said before anything happens.
    pub fn set_provider(&self, provider: Provider) {
        self.lock().readings = Readings::new(provider);
    }

    /// Of so many acknowledgements one is measured; 0 or less, none is.
    pub fn set_ack_logging_frequency(&self, every: i64) {
        self.ack_logging_frequency.store(every, Ordering::Relaxed);
    }

    pub(super) fn ack_logging_frequency(&self) -> i64 {
        self.ack_logging_frequency.load(Ordering::Relaxed)
    }

    /// Forgets what was counted (`srst`).
    pub fn reset_readings(&self) {
        self.lock().readings.reset();
    }

    /// Writes between prepare and apply.
    pub fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Whether clients are served: there is a leader, and this server does not end.
    pub fn is_serving(&self) -> bool {
        let state = self.lock();
        state.member.role.serves() && !state.closed
    }

    /// The digests kept for comparison with other servers, oldest first.
    pub fn digests(&self) -> Vec<(Zxid, i64)> {
        self.lock().digests.iter().copied().collect()
    }

    /// Looks at sessions and transactions in flight.
    pub fn engine<R>(&self, look: impl FnOnce(&mut Engine) -> R) -> R {
        look(&mut self.lock().engine)
    }

    /// Whether clients may read, and nothing else.
    pub fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    /// The connection of a session is gone; the session stays.
    pub fn unbind(&self, session: SessionId, connection: ConnectionKey) {
        self.lock().engine.table_of(session).unbind(session, connection);
    }

    /// Takes what turns of a reactor want. Afterwards everything has a zxid, or its refusal is on the way. With a log,
    /// the caller has time to write a lone record itself; it is committed then.
    pub fn submit(&self, submissions: &mut Vec<Submission>, log: Option<&Log>) {
        let (now_ms, time_ms) = (self.clock.now_ms(), self.clock.wall_ms());
        let mut replies: Vec<(u16, Item)> = Vec::new();
        let asked_us = self.clock.now_us();
        let mut state = self.lock();
        let taken_us = self.clock.now_us();
        if state.closed {
            submissions.clear();
            return;
        }
        match state.member.role {
            Role::Alone | Role::Leading => {}
            Role::Following | Role::Observing => {
                state.count_forwarded(submissions);
                let mut wakes = Wakes::default();
                self.forward(&mut state, submissions, &mut wakes);
                drop(state);
                return self.wake(&wakes);
            }
            Role::ReadOnly => return self.submit_read_only(&mut state, submissions),
            Role::Looking | Role::Syncing => {
                let away = submissions.iter().filter(|submission| submission.connects().is_some()).count();
                state.readings.add(metrics::CNXN_CLOSED_WITHOUT_ZK_SERVER_RUNNING, away as i64);
                for Submission { connection, .. } in submissions.drain(..) {
                    self.tell(connection.reactor, Item::Close { number: connection.number });
                }
                return;
            }
        }
        state.count_taken(submissions, taken_us - asked_us);
        let mut batch = Batch::with_room_for(submissions, asked_us);
        self.gate.read(|tree| {
            for Submission { connection, what } in submissions.drain(..) {
                let kind = match &what {
                    Wanted::Write { .. } => None,
                    Wanted::NewSession { .. } if state.engine.opens_local_sessions() => Some(SessionKind::Local),
                    Wanted::NewSession { .. } => Some(SessionKind::Global),
                    Wanted::Resume { .. } => Some(SessionKind::Renewed),
                };
                if kind.is_some_and(|kind| !state.throttle.admit(kind, now_ms, rand::random())) {
                    state.readings.add(metrics::CONNECTION_REJECTED, 1);
                    replies.push((connection.reactor, Item::Close { number: connection.number }));
                    continue;
                }
                if let Some(kind) = kind {
                    state.count_connect(kind == SessionKind::Renewed);
                }
                match what {
                    Wanted::Write { session, xid, op, body, identities, reads } => {
                        if op == OpCode::RECONFIG {
                            state.look_who_is_synced();
                        }
                        let request = Request {
                            session,
                            xid,
                            op,
                            body: &body,
                            identities: &identities,
                            time_ms,
                            field_max: self.field_max,
                        };
                        if state.engine.before(session, op, &body, self.field_max) == Before::Upgrade
                            && let Some(timeout_ms) = state.engine.upgrade(session)
                        {
                            let (op, body) = (OpCode::CREATE_SESSION, timeout_ms.to_bytes());
                            let upgrade =
                                Request { session, xid: 0, op, body: &body, identities: &[], time_ms, field_max: 4 };
                            batch.prepare(&mut state.engine, tree, &upgrade, false, None, [].into(), Vec::new(), None);
                        }
                        let moved = state.member.role != Role::Alone && !state.engine.sessions.own(session, 0);
                        batch.prepare(
                            &mut state.engine,
                            tree,
                            &request,
                            moved,
                            Some(connection),
                            identities.clone(),
                            reads,
                            None,
                        );
                    }
                    Wanted::NewSession { timeout_ms } if state.engine.opens_local_sessions() => {
                        let (session, touch) = state.engine.open_locally(connection, timeout_ms, now_ms);
                        let number = connection.number;
                        replies.push((connection.reactor, Item::SessionOpened { number, session, timeout_ms, touch }));
                    }
                    Wanted::NewSession { timeout_ms } => {
                        let session = state.engine.sessions.next_id();
                        let touch = state.engine.sessions.track(session, timeout_ms, now_ms);
                        state.engine.sessions.bind(session, connection);
                        let body = timeout_ms.to_bytes();
                        let op = OpCode::CREATE_SESSION;
                        let request =
                            Request { session, xid: 0, op, body: &body, identities: &[], time_ms, field_max: 4 };
                        let opened = Some((timeout_ms, touch));
                        batch.prepare(
                            &mut state.engine,
                            tree,
                            &request,
                            false,
                            Some(connection),
                            [].into(),
                            Vec::new(),
                            opened,
                        );
                    }
                    Wanted::Resume { session, password, timeout_ms } => {
                        // Even before the password is looked at, as in the original.
                        let sessions = state.engine.table_of(session);
                        if let Some(old) = sessions.connection(session)
                            && old != connection
                        {
                            replies.push((old.reactor, Item::Close { number: old.number }));
                        }
                        let attached = sessions.attach(session, password.as_deref(), timeout_ms, connection, now_ms);
                        if attached.is_some() {
                            sessions.set_owner(session, 0);
                        }
                        let number = connection.number;
                        replies.push((
                            connection.reactor,
                            match attached {
                                Some(attached) => {
                                    Item::SessionOpened { number, session, timeout_ms, touch: attached.touch }
                                }
                                None => Item::SessionRefused { number },
                            },
                        ));
                    }
                }
            }
        });
        let mut wakes = Wakes::default();
        let (prepared_us, requests) = (self.clock.now_us(), batch.writes.len() as u32);
        self.propose(&mut state, batch, &mut wakes);
        let readings = &mut state.readings;
        readings.record_shared(metrics::PREP_PROCESS_TIME, ms(prepared_us - taken_us), requests);
        readings.record_shared(metrics::PROPOSAL_PROCESS_TIME, ms(self.clock.now_us() - prepared_us), requests);
        for (reactor, item) in replies {
            self.mailboxes[usize::from(reactor)].deliver(Delivery { items: vec![item], bytes: Vec::new() });
            wakes.reactor(usize::from(reactor));
        }
        let log = log.filter(|_| state.to_log.len() == 1);
        self.leave(state, wakes, log);
    }

    /// Frees the lock, and does what waited for that. With a log, the caller has time to write to it itself.
    pub(super) fn leave(&self, mut state: MutexGuard<'_, State>, mut wakes: Wakes, log: Option<&Log>) {
        let own = log.and_then(|log| Some((log, Self::take_from_sleeper(&mut state, &mut wakes, log)?)));
        drop(state);
        self.wake(&wakes);
        if let Some((log, (held, batch))) = own {
            log.write_held(held, &batch);
        }
    }

    /// What the log thread would have to be woken for, if it can be written quickly. The thread sleeps on, and whoever
    /// comes now wakes it: what it then takes is written behind this.
    fn take_from_sleeper<'a>(
        state: &mut State,
        wakes: &mut Wakes,
        log: &'a Log,
    ) -> Option<(MutexGuard<'a, Held>, Vec<ToLog>)> {
        let held = if wakes.log { log.hold_if_quick()? } else { return None };
        (wakes.log, state.log_sleeps, state.to_log_bytes) = (false, true, 0);
        Some((held, std::mem::take(&mut state.to_log)))
    }

    pub(super) fn wake(&self, wakes: &Wakes) {
        // First what others wait for, far away.
        wakes.links.iter().for_each(Link::flush);
        if wakes.log {
            self.to_log.notify_one();
        }
        let woken = |id: &usize| wakes.reactors & (1 << id) != 0;
        (0..self.mailboxes.len()).filter(woken).for_each(|id| self.mailboxes[id].wake());
    }

    pub(super) fn tell(&self, reactor: u16, item: Item) {
        self.mailboxes[usize::from(reactor)].deliver(Delivery { items: vec![item], bytes: Vec::new() });
        self.mailboxes[usize::from(reactor)].wake();
    }

    /// Writes of the server itself: sessions that expired, containers that are empty.
    pub fn submit_own(&self, own: &[(SessionId, OpCode, Vec<u8>)]) {
        let time_ms = self.clock.wall_ms();
        let mut state = self.lock();
        if own.is_empty() || state.closed || !state.member.judges() {
            return;
        }
        state.readings.add(metrics::PREP_PROCESSOR_REQUEST_QUEUED, own.len() as i64);
        let mut batch = Batch::taken_at(self.clock.now_us());
        self.gate.read(|tree| {
            for (session, op, body) in own {
                let request = Request {
                    session: *session,
                    xid: 0,
                    op: *op,
                    body,
                    identities: &[],
                    time_ms,
                    field_max: self.field_max,
                };
                batch.prepare(&mut state.engine, tree, &request, false, None, [].into(), Vec::new(), None);
            }
        });
        let mut wakes = Wakes::default();
        self.propose(&mut state, batch, &mut wakes);
        drop(state);
        self.wake(&wakes);
    }

    pub(super) fn propose(&self, state: &mut State, batch: Batch, wakes: &mut Wakes) {
        let (records, now_ms) = (Bytes::from(batch.records), self.clock.now_ms());
        let mut out = Vec::new();
        for took_ms in batch.closes_ms {
            state.readings.record(metrics::CLOSE_SESSION_PREP_TIME, took_ms);
        }
        for (mut write, range) in batch.writes {
            write.record = records.slice(range);
            if !write.record.is_empty() {
                let reconfiguration = self.reconfiguration(state, write.zxid);
                let Machine::Leading(leader) = &mut state.member.machine else {
                    unreachable!("only a leader judges requests")
                };
                leader.propose(write.zxid, write.record.clone(), reconfiguration, now_ms, &mut out);
                if state.member.role == Role::Leading {
                    state.member.counts.proposals += 1;
                    state.proposals.count(write.record.len() as i64, now_ms);
                }
                self.to_disk(state, write.zxid, write.record.clone(), batch.since_us, wakes);
            }
            state.in_flight.push_back(write);
        }
        self.perform(state, out, wakes);
        self.count(state);
        // A refusal with nothing in front of it waits for no log.
        if state.in_flight.front().is_some_and(|first| first.record.is_empty()) {
            let applied = state.member.machine.history().applied();
            self.apply(state, applied, wakes);
        }
    }

    /// Hands a record that was taken then, µs, to the log thread.
    pub(super) fn to_disk(&self, state: &mut State, zxid: Zxid, record: Bytes, since_us: i64, wakes: &mut Wakes) {
        state.to_log_bytes += record.len();
        state.to_log.push((zxid, record, since_us));
        // While it syncs, the log thread looks for more by itself.
        wakes.log |= std::mem::take(&mut state.log_sleeps);
    }

    /// Bytes that wait for the log thread.
    pub fn log_backlog(&self) -> usize {
        self.lock().to_log_bytes
    }

    pub(super) fn count(&self, state: &State) {
        self.outstanding.store(state.in_flight.len() + Self::forwarded(state), Ordering::Relaxed);
    }

    /// For the log thread: waits for records; empty after `patience` without any, `None` once the pipeline is closed
    /// and everything was handed out.
    pub fn next_batch(&self, patience: Duration) -> Option<Vec<ToLog>> {
        let mut state = self.lock();
        let idle = |state: &mut State| state.to_log.is_empty() && !state.closed && state.member.roll.is_none();
        if idle(&mut state) {
            state.log_sleeps = true;
            let waited = self.to_log.wait_timeout_while(state, patience, idle);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.log_sleeps = false;
        }
        state.to_log_bytes = 0;
        if state.to_log.is_empty() && state.closed { None } else { Some(std::mem::take(&mut state.to_log)) }
    }

    /// For the log thread: everything up to `zxid` is on this server's disk (DURABLE: no reply before this).
    pub fn logged(&self, zxid: Zxid) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let (mut out, mut wakes) = (Vec::new(), Wakes::default());
        match &mut state.member.machine {
            Machine::Leading(leader) => leader.logged(zxid, &mut out),
            Machine::Learning(learner) => learner.logged(zxid, self.clock.now_ms(), &mut out),
            Machine::Resting(history) => history.synced(zxid),
        }
        self.perform(state, out, &mut wakes);
        drop(guard);
        self.wake(&wakes);
    }

    /// What this server does as a member of an ensemble.
    pub fn set_duties(&self, duties: Duties) {
        self.lock().member.duties = Some(duties);
    }

    /// Takes no more writes; what is on its way is still logged and answered.
    pub fn close(&self) {
        self.lock().closed = true;
        self.to_log.notify_all();
    }

    /// Behind [`Pipeline::close`] and the end of the log: waits until what was accepted has its quorum, the learners know of it and
    /// its clients have their answers, but not longer than `patience`. A leader that just ended would leave it to the next one
    /// whether its last proposals happened, and its clients would not know.
    pub fn settle(&self, patience: Duration) {
        let end = Instant::now() + patience;
        let left = || end.saturating_duration_since(Instant::now());
        let settled = |state: &State| {
            !matches!(state.member.role, Role::Alone | Role::Leading)
                || state.in_flight.is_empty() && state.member.nothing_to_send()
        };
        while !settled(&self.lock()) && !left().is_zero() {
            std::thread::sleep(Duration::from_millis(1));
        }
        // A reactor comes to a question when it has delivered and sent what came before.
        let (to, from) = std::sync::mpsc::channel::<()>();
        for mailbox in &self.mailboxes {
            let to = to.clone();
            mailbox.ask(Box::new(move |_| drop(to)));
        }
        drop(to);
        let _ = from.recv_timeout(left());
    }

    /// Applies in zxid order, a batch in each exclusive visit, and tells the reactors before anybody can read the new state.
    pub(super) fn apply(&self, state: &mut State, committed: Zxid, wakes: &mut Wakes) {
        let mut reply = Vec::new();
        while state.in_flight.front().is_some_and(|first| first.zxid <= committed) {
            let mut deliveries: Vec<Delivery> = self.mailboxes.iter().map(|_| Delivery::default()).collect();
            let mut started_us = 0;
            let (wall_ms, queued, mut visit) = (self.clock.wall_ms(), state.in_flight.len(), Visit::default());
            let waited_us = self.gate.write_waited(|tree| {
                let now_us = self.clock.now_us();
                for _ in 0..APPLY_BATCH {
                    let Some(write) = state.in_flight.pop_front_if(|write| write.zxid <= committed) else { break };
                    let write = state.member.adopt(write);
                    let (zxid, logged) = (write.zxid, !write.record.is_empty());
                    reply.clear();
                    visit.count(&mut state.readings, state.member.role, &write, wall_ms, now_us);
                    self.finish(tree, &mut state.engine, &mut state.readings, write, &mut reply, &mut deliveries);
                    if logged && zxid.0 % DIGEST_INTERVAL == 0 && tree.digest_enabled() {
                        state.digests.push_back((zxid, tree.digest() as i64));
                        if state.digests.len() > DIGESTS_MAX {
                            state.digests.pop_front();
                        }
                    }
                }
                for (id, (mailbox, delivery)) in self.mailboxes.iter().zip(deliveries).enumerate() {
                    if !delivery.items.is_empty() {
                        mailbox.deliver(delivery);
                        wakes.reactor(id);
                    }
                }
                started_us = now_us;
            });
            state.readings.observe(metrics::GATE_WAIT_SECONDS, "writer", waited_us, 1);
            visit.done(&mut state.readings, queued, waited_us, self.clock.now_us() - started_us);
        }
        self.count(state);
    }

    /// Applies a write and tells the reactors; `reply` is empty room for its reply.
    fn finish(
        &self,
        tree: &mut Tree,
        engine: &mut Engine,
        readings: &mut Readings,
        write: InFlight,
        reply: &mut Vec<u8>,
        deliveries: &mut [Delivery],
    ) {
        // ORDER-2: reads that were sent before this write see the state before it.
        if let Some(connection) = write.connection {
            let delivery = &mut deliveries[usize::from(connection.reactor)];
            write.reads.iter().for_each(|read| self.read_ahead(tree, readings, &write, connection, read, delivery));
        }
        let mut changes = self.mailboxes.iter().any(Mailbox::is_watching).then(Vec::new);
        if write.op == OpCode::SYNC {
            let request = ReadRequest {
                xid: write.xid,
                op: write.op,
                body: &write.body,
                session: write.session,
                identities: &write.identities,
                field_max: self.field_max,
            };
            execute(tree, &self.policy, &request, &mut Listings::default(), reply, &mut Vec::new());
        } else if write.op == OpCode::CLOSE_SESSION && write.record.is_empty() {
            // A local session ends without a transaction.
            put_write_reply(reply, write.xid, tree.zxid(), write.op, &Outcome::Done);
        } else if write.record.is_empty() {
            let refused = Outcome::Failed(ErrorCode::MARSHALLING_ERROR);
            put_write_reply(reply, write.xid, tree.zxid(), write.op, &refused);
        } else {
            let record = TxnRecord::decode(&write.record).expect("prepare encoded this record");
            if let Txn::CreateSession { timeout_ms } = record.txn {
                // It may have become local again: it moved before its upgrade was committed.
                engine.upgrade(write.session);
                engine.sessions.track(write.session, timeout_ms, self.clock.now_ms());
            }
            if let (Some(audit), Txn::CloseSession { paths }) = (&self.audit, &record.txn) {
                audit_ephemerals(audit, tree, write.session, paths.as_deref());
            }
            let mut outcome = tree.apply(&record.header, &record.txn, changes.as_mut());
            if let (Outcome::Failed(error), Some(refused)) = (&mut outcome, write.refused) {
                *error = refused;
            }
            count_written(readings, &record.txn, &outcome);
            put_write_reply(reply, write.xid, write.zxid, write.op, &outcome);
        }
        engine.applied(write.zxid);
        for change in changes.into_iter().flatten() {
            let change = Arc::new(change);
            for (mailbox, delivery) in self.mailboxes.iter().zip(deliveries.iter_mut()) {
                if mailbox.is_watching() {
                    delivery.items.push(Item::Change(change.clone()));
                }
            }
        }
        let ended = match write.op {
            OpCode::CLOSE_SESSION if write.record.is_empty() => engine.local_sessions.remove(write.session),
            OpCode::CLOSE_SESSION => engine.sessions.remove(write.session),
            _ => None,
        };
        if let Some(connection) = write.connection {
            let number = connection.number;
            let delivery = &mut deliveries[usize::from(connection.reactor)];
            match write.opened {
                Some((timeout_ms, touch)) => {
                    delivery.items.push(Item::SessionOpened { number, session: write.session, timeout_ms, touch });
                }
                None => {
                    let start = delivery.bytes.len();
                    delivery.bytes.extend_from_slice(reply);
                    let bytes = start..delivery.bytes.len();
                    let close = write.op == OpCode::CLOSE_SESSION;
                    delivery.items.push(Item::Written { number, bytes, xid: write.xid, zxid: tree.zxid(), close });
                }
            }
        }
        // The session may have moved to another connection, or have expired while connected.
        if let Some(connection) = ended.filter(|ended| Some(*ended) != write.connection) {
            deliveries[usize::from(connection.reactor)].items.push(Item::Close { number: connection.number });
        }
    }

    fn read_ahead(
        &self,
        tree: &Tree,
        readings: &mut Readings,
        write: &InFlight,
        connection: ConnectionKey,
        read: &WaitingRead,
        delivery: &mut Delivery,
    ) {
        let request = ReadRequest {
            xid: read.xid,
            op: read.op,
            body: &read.body,
            session: write.session,
            identities: &write.identities,
            field_max: self.field_max,
        };
        let (start, mut actions) = (delivery.bytes.len(), Vec::new());
        // A reactor remembers large listings; here they are rare.
        let mut listings = Listings::default();
        execute(tree, &self.policy, &request, &mut listings, &mut delivery.bytes, &mut actions);
        count_namespace(readings, &request, &delivery.bytes[start..]);
        if !actions.is_empty() {
            // Before the changes of this very batch are told: the reactor registers in stream order.
            self.mailboxes[usize::from(connection.reactor)].set_watching(true);
        }
        delivery.items.push(Item::Read {
            number: connection.number,
            bytes: start..delivery.bytes.len(),
            op: read.op,
            xid: read.xid,
            zxid: tree.zxid(),
            since_ms: read.since_ms(),
            actions,
        });
    }
}

/// Tells which ephemeral nodes go with their session, before they go.
fn audit_ephemerals(audit: &AuditLog, tree: &Tree, session: SessionId, paths: Option<&[Text<'_>]>) {
    let listed = paths.into_iter().flatten().flatten();
    let listed = listed.map(|path| (path.clone().into_owned(), tree.get(path).is_some()));
    match paths {
        Some(_) => audit.ephemerals(session, listed),
        None => audit.ephemerals(session, tree.ephemerals(session).map(|id| (tree.path(id), true))),
    }
}
