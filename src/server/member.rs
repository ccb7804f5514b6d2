//! The write path of a member of an ensemble: what the pipeline does for a leader and for a follower. All of it happens
//! under the lock of the pipeline, so proposals, commits and the joining of a follower have one order.
//!
//! Stricter than the original, nothing is applied here before it is on this server's own disk, on the leader too: memory
//! never runs ahead of the log.

use super::link::{Link, kind, packet};
use super::pipeline::{Batch, InFlight, Pipeline, State};
use crate::engine::{Engine, Request, SessionTable, Standing};
use crate::jute::{Encode, Reader};
use crate::proto::acl::Id;
use crate::proto::session::{self, SessionId};
use crate::proto::txn::{TxnHeader, TxnRecord};
use crate::proto::{Class, OpCode, Zxid};
use crate::reactor::{Delivery, Item, Submission, Wanted};
use crate::tree::Tree;
use crate::zab::{Broadcast, ServerId};
use bytes::Bytes;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

/// Committed transactions kept for members that were away (`zookeeper.commitLogCount`).
const RECENT_MAX: usize = 500;

/// What a server is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Standalone.
    Alone,
    /// Without a leader: nobody is served.
    Looking,
    /// Coming to terms with a leader, or as one: nobody is served.
    Syncing,
    /// Leads and serves.
    Leading,
    /// Follows and serves.
    Following,
}

impl Role {
    /// Whether clients are served.
    pub fn serves(self) -> bool {
        matches!(self, Role::Alone | Role::Leading | Role::Following)
    }
}

/// How a follower is brought up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// What it lacks follows.
    Diff(Zxid),
    /// It must cut its log.
    Trunc(Zxid),
    /// It gets everything, as of this transaction or later.
    Snap(Zxid),
}

/// The part of the pipeline's state that only members of an ensemble use.
pub(super) struct Member {
    pub role: Role,
    /// On this server's disk.
    logged: Zxid,
    /// The last commit told by the leader.
    committed: Zxid,
    /// On a leader: followers that get proposals.
    pub links: Vec<Link>,
    /// On a leader: the link each member came by last. What it says by an older one counts no more.
    voices: HashMap<ServerId, u64>,
    /// On a follower: the way to the leader.
    leader: Option<Link>,
    /// On a follower: requests of own clients on their way to the leader.
    waiting: HashMap<SessionId, VecDeque<InFlight>>,
    /// On a follower: syncs that the leader has not answered.
    syncs: VecDeque<InFlight>,
    /// On a follower: sessions the leader is asked about, with who wants them.
    resuming: VecDeque<(SessionId, crate::engine::ConnectionKey, i32)>,
    /// On a leader: syncs of followers, each with the transaction it waits for.
    link_syncs: VecDeque<(Zxid, u64)>,
    /// The last committed transactions.
    recent: VecDeque<(Zxid, Bytes)>,
    /// Somebody waits until the log has written all it was given, and closed its file.
    pub roll: Option<SyncSender<()>>,
    touched_ms: i64,
    pub counts: LeaderCounts,
}

/// What this server has done as a leader since it started; a standalone server counts nothing here, as the original.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeaderCounts {
    /// Transactions proposed to followers.
    pub proposals: i64,
    /// Of these, committed.
    pub commits: i64,
    /// Learners brought up to date by a copy of everything.
    pub snaps: i64,
    /// Learners brought up to date by what they lacked.
    pub diffs: i64,
}

impl Member {
    pub fn new(role: Role, zxid: Zxid) -> Self {
        Member {
            role,
            logged: zxid,
            committed: zxid,
            links: Vec::new(),
            voices: HashMap::new(),
            leader: None,
            waiting: HashMap::new(),
            syncs: VecDeque::new(),
            resuming: VecDeque::new(),
            link_syncs: VecDeque::new(),
            recent: VecDeque::new(),
            roll: None,
            touched_ms: 0,
            counts: LeaderCounts::default(),
        }
    }

    /// Whether this server turns requests into transactions.
    pub fn judges(&self) -> bool {
        matches!(self.role, Role::Alone | Role::Leading)
    }

    /// Up to where transactions may be applied.
    pub fn applicable(&self, committed: Zxid) -> Zxid {
        if self.role == Role::Alone { committed } else { committed.min(self.logged) }
    }

    pub fn proposed(&mut self, zxid: Zxid, record: &Bytes) {
        if self.role == Role::Leading {
            self.counts.proposals += 1;
        }
        if !self.links.is_empty() {
            let proposal = packet(kind::PROPOSAL, zxid.0, Some(record), None);
            self.links.iter().filter(|link| !link.observer).for_each(|link| link.send(&proposal));
        }
    }

    /// Before a transaction is applied: followers hear of the commit, and it meets the request it came from.
    pub fn adopt(&mut self, write: InFlight) -> InFlight {
        if self.role == Role::Alone || write.record.is_empty() {
            return write;
        }
        if self.role == Role::Leading {
            self.counts.commits += 1;
        }
        if !self.links.is_empty() {
            let commit = packet(kind::COMMIT, write.zxid.0, None, None);
            let inform = packet(kind::INFORM, write.zxid.0, Some(&write.record), None);
            self.links.iter().for_each(|link| link.send(if link.observer { &inform } else { &commit }));
        }
        self.recent.push_back((write.zxid, write.record.clone()));
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
        let Some(queue) = self.waiting.get_mut(&write.session) else { return write };
        let is_its =
            |first: &mut InFlight| first.xid == write.xid && (first.op == write.op || write.op == OpCode::ERROR);
        let mine = queue.pop_front_if(is_its);
        if queue.is_empty() || write.op == OpCode::CLOSE_SESSION {
            self.waiting.remove(&write.session);
        }
        match mine {
            Some(mine) => InFlight { zxid: write.zxid, record: write.record, ..mine },
            None => write,
        }
    }

    fn waiting(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }
}

/// Something a peer said that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

impl Pipeline {
    /// What this server is.
    pub fn role(&self) -> Role {
        self.lock().member.role
    }

    /// Whether requests become transactions here: on a leader, or alone.
    pub fn judges(&self) -> bool {
        self.lock().member.judges()
    }

    /// Followers and observers that get proposals, as `(synced followers, observers)`.
    pub fn learners(&self) -> (usize, usize) {
        let state = self.lock();
        let observers = state.member.links.iter().filter(|link| link.observer).count();
        (state.member.links.len() - observers, observers)
    }

    /// What was done as a leader.
    pub fn leader_counts(&self) -> LeaderCounts {
        self.lock().member.counts
    }

    /// For the log thread: whoever waits for the log to be closed.
    pub fn take_roll(&self) -> Option<SyncSender<()>> {
        self.lock().member.roll.take()
    }

    /// For the log thread, on a member: returns up to where transactions may be applied now.
    pub(super) fn logged_as_member(&self, state: &mut State, zxid: Zxid) -> Zxid {
        let before = state.member.logged;
        state.member.logged = zxid.max(before);
        match state.member.role {
            Role::Leading => {
                let committed = state.broadcast.logged(self.me, zxid);
                state.member.applicable(committed)
            }
            Role::Looking => Zxid(i64::MIN),
            _ => {
                // One for each transaction, in order, and never before the disk has it.
                if let Some(leader) = &state.member.leader {
                    let new = state.in_flight.iter().filter(|write| write.zxid > before && write.zxid <= zxid);
                    let new = new.filter(|write| !write.record.is_empty());
                    new.for_each(|write| leader.send(&packet(kind::ACK, write.zxid.0, None, None)));
                }
                state.member.applicable(state.member.committed)
            }
        }
    }

    /// Waits until the log has written everything and closed its file.
    pub fn flush_log(&self, patience: Duration) -> bool {
        let (to, from) = sync_channel(1);
        self.lock().member.roll = Some(to);
        self.to_log.notify_all();
        from.recv_timeout(patience).is_ok()
    }

    /// Ends the current role: clients are sent away, the log is written out, and what is in it is applied, as the next
    /// start would. Returns the last transaction. `None` when the log does not answer: the process must end.
    pub fn stand_down(&self) -> Option<Zxid> {
        {
            let mut state = self.lock();
            let state = &mut *state;
            let member = &mut state.member;
            member.role = Role::Looking;
            member.links.drain(..).for_each(|link| link.close());
            member.leader.take().inspect(Link::close);
            member.waiting.clear();
            member.syncs.clear();
            member.resuming.clear();
            member.link_syncs.clear();
            state.in_flight.retain(|write| !write.record.is_empty());
            for write in &mut state.in_flight {
                (write.connection, write.opened) = (None, None);
                write.reads.clear();
            }
        }
        (0..self.mailboxes.len()).for_each(|reactor| self.tell(reactor as u16, Item::CloseAll));
        if !self.flush_log(Duration::from_secs(60)) {
            return None;
        }
        let mut state = self.lock();
        let wakes = self.apply(&mut state, Zxid(i64::MAX));
        self.wake(&wakes);
        let zxid = self.gate.read(Tree::zxid);
        self.begin(&mut state, zxid);
        Some(zxid)
    }

    /// Takes another tree, after the files were changed under this one. Only while nobody is served.
    pub fn replace_tree(&self, tree: Tree) {
        let mut state = self.lock();
        state.member.recent.clear();
        state.in_flight.clear();
        let zxid = tree.zxid();
        self.gate.write(|old| *old = tree);
        self.begin(&mut state, zxid);
    }

    /// Engine and sessions anew, from the tree; every session gets its full timeout.
    fn begin(&self, state: &mut State, zxid: Zxid) {
        (state.member.logged, state.member.committed) = (zxid, zxid);
        let (now_ms, wall_ms) = (self.clock.now_ms(), self.clock.wall_ms());
        let tick_ms = state.engine.sessions.tick_ms();
        let mut sessions = SessionTable::new(tick_ms, session::first_id(self.me as u8, wall_ms as u64));
        let rules = state.engine.rules().clone();
        self.gate.read(|tree| {
            for (id, timeout_ms) in tree.sessions() {
                sessions.track(*id, *timeout_ms, now_ms);
            }
            state.engine = Engine::new(rules, sessions, tree);
        });
        state.member.touched_ms = now_ms;
        self.count(state);
    }

    /// A term begins, as leader or as follower.
    pub fn begin_sync(&self) {
        self.lock().member.role = Role::Syncing;
    }

    /// As leader: a quorum has this history. From here on clients are served.
    pub fn lead(&self, epoch: i64, voters: &[ServerId]) {
        let mut state = self.lock();
        let state = &mut *state;
        let start = Zxid(epoch << 32);
        self.gate.write(|tree| tree.set_zxid(start));
        self.begin(state, start);
        state.broadcast = Broadcast::new(voters.iter().copied(), start);
        state.member.role = Role::Leading;
    }

    /// As leader: decides how a follower whose log ends at `peer` gets up to date, queues what it lacks, and lets it have
    /// every proposal from here on: all in one step.
    pub fn join(&self, link: Link, member: ServerId, peer: Zxid) -> Plan {
        let mut state = self.lock();
        let last = self.gate.read(Tree::zxid);
        let recent = &state.member.recent;
        let (min, max) = match (recent.front(), recent.back()) {
            (Some(first), Some(last)) => (first.0, last.0),
            _ => (last, last),
        };
        let at_start = peer.0 as u32 == 0;
        let plan = if peer == last {
            Plan::Diff(peer)
        } else if peer > max && !at_start {
            Plan::Trunc(max)
        } else if peer >= min && peer <= max && recent.iter().any(|(zxid, _)| *zxid == peer) {
            Plan::Diff(max)
        } else if peer > min && peer < max && !at_start {
            // It has one that never became history: cut before it, unless that was in another epoch.
            let before = recent.iter().rev().map(|(zxid, _)| *zxid).find(|zxid| *zxid < peer);
            match before
                .filter(|_| recent.iter().find(|(z, _)| *z > peer).is_some_and(|(z, _)| z.epoch() == peer.epoch()))
            {
                Some(before) => Plan::Trunc(before),
                None => Plan::Snap(last),
            }
        } else {
            Plan::Snap(last)
        };
        let from = match plan {
            Plan::Diff(_) => peer,
            Plan::Trunc(zxid) => zxid,
            Plan::Snap(zxid) => zxid,
        };
        if plan != Plan::Snap(last) {
            for (zxid, record) in recent.iter().filter(|(zxid, _)| *zxid > from) {
                link.send(&packet(kind::PROPOSAL, zxid.0, Some(record), None));
                link.send(&packet(kind::COMMIT, zxid.0, None, None));
            }
        }
        if !link.observer {
            for write in state.in_flight.iter().filter(|write| !write.record.is_empty()) {
                link.send(&packet(kind::PROPOSAL, write.zxid.0, Some(&write.record), None));
            }
        }
        // It may be about to cut what it acknowledged before: that must not count towards a quorum any more.
        let state = &mut *state;
        state.broadcast.rejoins(member, from);
        match plan {
            Plan::Snap(_) => state.member.counts.snaps += 1,
            Plan::Diff(_) => state.member.counts.diffs += 1,
            Plan::Trunc(_) => {}
        }
        state.member.voices.insert(member, link.id);
        state.member.links.push(link);
        plan
    }

    /// As leader: few numbers are left in this epoch.
    pub fn zxids_run_out(&self) -> bool {
        self.lock().engine.zxid().0 as u32 > u32::MAX - (1 << 24)
    }

    /// As leader: a follower is gone.
    pub fn part(&self, id: u64) {
        let mut state = self.lock();
        state.member.links.retain(|link| link.id != id);
        state.member.voices.retain(|_, link| *link != id);
    }

    /// As leader: every follower gets this.
    pub fn tell_learners(&self, packet: &Bytes) {
        self.lock().member.links.iter().for_each(|link| link.send(packet));
    }

    /// As leader: a voter has a transaction on disk.
    pub fn acknowledged(&self, link: u64, voter: ServerId, zxid: Zxid) {
        let mut state = self.lock();
        let heard = state.member.voices.get(&voter) == Some(&link);
        if heard && state.member.role == Role::Leading && zxid.0 as u32 != 0 {
            let committed = state.broadcast.logged(voter, zxid);
            let committed = state.member.applicable(committed);
            let wakes = self.apply(&mut state, committed);
            drop(state);
            self.wake(&wakes);
        }
    }

    /// As leader: a client of another member asks for something.
    pub fn submit_of(&self, link: u64, data: &[u8], identities: &[Id]) -> Result<(), Violation> {
        let mut reader = Reader::unlimited(data);
        let short = |_| Violation("a request of less than 16 bytes".into());
        let (session, xid, op) =
            (reader.long().map_err(short)?, reader.int().map_err(short)?, OpCode(reader.int().map_err(short)?));
        let body = reader.rest();
        let (now_ms, time_ms) = (self.clock.now_ms(), self.clock.wall_ms());
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.member.role != Role::Leading {
            return Ok(());
        }
        if op == OpCode::SYNC {
            let zxid = state.engine.zxid();
            state.member.link_syncs.push_back((zxid, link));
            self.answer_syncs(state);
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
        let mut batch = Batch::default();
        self.gate.read(|tree| {
            batch.prepare(&mut state.engine, tree, &request, moved, None, identities.into(), Vec::new(), None);
        });
        let wakes = self.propose(state, batch);
        drop(guard);
        self.wake(&wakes);
        Ok(())
    }

    /// As leader: answers syncs whose transaction is applied.
    pub(super) fn answer_syncs(&self, state: &mut State) {
        if state.member.link_syncs.is_empty() {
            return;
        }
        let applied = state.in_flight.front().map_or(Zxid(i64::MAX), |first| Zxid(first.zxid.0 - 1));
        let answer = packet(kind::SYNC, 0, None, None);
        while let Some((_, id)) = state.member.link_syncs.pop_front_if(|(zxid, _)| *zxid <= applied) {
            state.member.links.iter().filter(|link| link.id == id).for_each(|link| link.send(&answer));
        }
    }

    /// As leader: another member's client wants its session back.
    pub fn revalidate(&self, link: u64, data: &[u8]) -> Result<Bytes, Violation> {
        let mut reader = Reader::unlimited(data);
        let session = reader.long().map_err(|_| Violation("a revalidation without a session".into()))?;
        let mut state = self.lock();
        let alive = state.engine.sessions.touch(session, self.clock.now_ms());
        if alive {
            state.engine.sessions.set_owner(session, link);
        }
        let mut data = session.to_bytes();
        alive.encode(&mut data);
        Ok(packet(kind::REVALIDATE, -1, Some(&data), None))
    }

    /// As leader: the sessions that another member has heard.
    pub fn touched(&self, data: &[u8]) {
        let state = self.lock();
        let now_ms = self.clock.now_ms();
        for pair in data.chunks_exact(12) {
            if let Ok(session) = Reader::unlimited(pair).long() {
                state.engine.sessions.touch(session, now_ms);
            }
        }
    }

    /// As follower: from here on clients are served through this link.
    pub fn follow(&self, leader: Link) {
        let mut state = self.lock();
        let zxid = self.gate.read(Tree::zxid);
        self.begin(&mut state, zxid);
        state.member.leader = Some(leader);
        state.member.role = Role::Following;
    }

    /// As follower: a proposal goes to the log.
    pub fn learn(&self, record: Bytes) -> Result<(), Violation> {
        let decoded = TxnRecord::decode(&record).map_err(|error| Violation(format!("a proposal: {error}")))?;
        let TxnHeader { client_id: session, cxid: xid, op, .. } = decoded.header;
        let (zxid, op) = (decoded.header.zxid(), OpCode(op));
        let mut state = self.lock();
        let last = state.in_flight.iter().rev().map(|write| write.zxid).max();
        let last = last.unwrap_or(state.member.logged).max(state.member.logged);
        if zxid <= last {
            return Err(Violation(format!("proposal {zxid} after {last}")));
        }
        state.to_log.push((zxid, record.clone()));
        state.in_flight.push_back(InFlight {
            zxid,
            record,
            body: Bytes::new(),
            op,
            xid,
            session,
            connection: None,
            identities: [].into(),
            reads: Vec::new(),
            opened: None,
        });
        self.to_log.notify_one();
        Ok(())
    }

    /// As follower: a commit; it must be that of the oldest proposal without one.
    pub fn commit(&self, zxid: Zxid) -> Result<(), Violation> {
        let mut state = self.lock();
        let committed = state.member.committed;
        let next = state.in_flight.iter().find(|write| write.zxid > committed).map(|write| write.zxid);
        if next != Some(zxid) {
            return Err(Violation(format!("commit of {zxid} where {next:?} is next")));
        }
        state.member.committed = zxid;
        let limit = state.member.applicable(zxid);
        let wakes = self.apply(&mut state, limit);
        drop(state);
        self.wake(&wakes);
        Ok(())
    }

    /// As follower: the answer to the oldest sync.
    pub fn synced(&self) {
        let mut state = self.lock();
        let Some(mut sync) = state.member.syncs.pop_front() else { return };
        let committed = state.member.committed;
        sync.zxid = committed;
        let at = state.in_flight.iter().position(|write| write.zxid > committed).unwrap_or(state.in_flight.len());
        state.in_flight.insert(at, sync);
        let limit = state.member.applicable(committed);
        let wakes = self.apply(&mut state, limit);
        drop(state);
        self.wake(&wakes);
    }

    /// As follower: whether a session lives.
    pub fn revalidated(&self, data: &[u8]) -> Result<(), Violation> {
        let mut reader = Reader::unlimited(data);
        let short = |_| Violation("a short answer to a revalidation".into());
        let (session, valid) = (reader.long().map_err(short)?, reader.bool().map_err(short)?);
        let mut state = self.lock();
        let Some(at) = state.member.resuming.iter().position(|(id, _, _)| *id == session) else { return Ok(()) };
        let Some((_, connection, timeout_ms)) = state.member.resuming.remove(at) else { return Ok(()) };
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
        self.mailboxes[usize::from(connection.reactor)].deliver(Delivery { items: vec![item], bytes: Vec::new() });
        self.mailboxes[usize::from(connection.reactor)].wake();
        Ok(())
    }

    /// As follower: the answer to a ping, with the sessions heard since the last.
    pub fn pong(&self, zxid: i64) -> Bytes {
        let mut state = self.lock();
        let since_ms = std::mem::replace(&mut state.member.touched_ms, self.clock.now_ms());
        let mut data = Vec::new();
        for (session, timeout_ms) in state.engine.sessions.heard_since(since_ms) {
            session.encode(&mut data);
            timeout_ms.encode(&mut data);
        }
        packet(kind::PING, zxid, Some(&data), None)
    }

    /// As follower: what own clients want goes to the leader, in order.
    pub(super) fn forward(&self, state: &mut State, submissions: &mut Vec<Submission>) {
        let now_ms = self.clock.now_ms();
        let Some(leader) = state.member.leader.clone() else { return submissions.clear() };
        let ask = |session: SessionId, xid: i32, op: OpCode, body: &[u8], identities: &[Id]| {
            let mut data = session.to_bytes();
            xid.encode(&mut data);
            op.0.encode(&mut data);
            data.extend_from_slice(body);
            leader.send(&packet(kind::REQUEST, -1, Some(&data), Some(identities)));
        };
        for Submission { connection, what } in submissions.drain(..) {
            match what {
                Wanted::Write { session, xid, op, body, identities, reads } => {
                    ask(session, xid, op, &body, &identities);
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
                    };
                    match sync {
                        true => state.member.syncs.push_back(write),
                        false => state.member.waiting.entry(session).or_default().push_back(write),
                    }
                }
                Wanted::NewSession { timeout_ms } => {
                    let session = state.engine.sessions.next_id();
                    let touch = state.engine.sessions.track(session, timeout_ms, now_ms);
                    state.engine.sessions.bind(session, connection);
                    ask(session, 0, OpCode::CREATE_SESSION, &timeout_ms.to_bytes(), &[]);
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
                    });
                }
                Wanted::Resume { session, password, timeout_ms } => {
                    if let Some(old) = state.engine.sessions.connection(session).filter(|old| *old != connection) {
                        self.tell(old.reactor, Item::Close { number: old.number });
                    }
                    if session == 0 || password.as_deref() != Some(&session::password(session)[..]) {
                        self.tell(connection.reactor, Item::SessionRefused { number: connection.number });
                        continue;
                    }
                    let mut data = session.to_bytes();
                    timeout_ms.encode(&mut data);
                    leader.send(&packet(kind::REVALIDATE, -1, Some(&data), None));
                    state.member.resuming.push_back((session, connection, timeout_ms));
                }
            }
        }
        self.count(state);
    }

    /// Requests on their way to a leader.
    pub(super) fn forwarded(state: &State) -> usize {
        state.member.waiting() + state.member.syncs.len()
    }
}
