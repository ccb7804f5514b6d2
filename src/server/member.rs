//! The write path of a member of an ensemble: what the pipeline does with the machines of `crate::zab`. All of it happens
//! under the lock of the pipeline, so proposals, commits and the joining of a learner have one order.

mod forward;
mod receive;

use super::known::Known;
use super::link::Link;
use super::pipeline::{InFlight, Pipeline, State, Wakes};
use crate::engine::{ConnectionKey, Engine, SessionTable};
use crate::membership::Consequence;
use crate::proto::session::{self, SessionId};
use crate::proto::txn::{TxnHeader, TxnRecord};
use crate::proto::{OpCode, Zxid};
use crate::reactor::Item;
use crate::store::{EpochFile, Epochs, StoreError};
use crate::tree::Tree;
use crate::zab::{
    History, LEADER, Leader, Learner, LinkId, Membership, Output, Pending, Plan, ServerId, Times, Violation,
};
use bytes::Bytes;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

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
    /// Observes and serves.
    Observing,
    /// Without a leader for a while: clients that only read are served.
    ReadOnly,
}

impl Role {
    /// Whether clients are served.
    pub fn serves(self) -> bool {
        matches!(self, Role::Alone | Role::Leading | Role::Following | Role::Observing | Role::ReadOnly)
    }

    /// Whether a leader is asked about what clients want.
    pub fn learns(self) -> bool {
        matches!(self, Role::Following | Role::Observing)
    }
}

/// The part of Zab that this server plays.
pub(super) enum Machine {
    /// None: between two terms.
    Resting(History),
    Leading(Box<Leader>),
    Learning(Box<Learner>),
}

impl Machine {
    pub fn history(&self) -> &History {
        match self {
            Machine::Resting(history) => history,
            Machine::Leading(leader) => leader.history(),
            Machine::Learning(learner) => learner.history(),
        }
    }

    /// A learner's connection is gone.
    fn closed(&mut self, link: LinkId) {
        match self {
            Machine::Leading(leader) => leader.closed(link),
            Machine::Learning(learner) => learner.observer_closed(link),
            Machine::Resting(_) => {}
        }
    }

    /// Ends the part, and returns the history.
    fn rest(&mut self) -> &mut History {
        let machine = std::mem::replace(self, Machine::Resting(History::new(Zxid::ZERO, 0)));
        *self = Machine::Resting(match machine {
            Machine::Resting(history) => history,
            Machine::Leading(leader) => leader.into_history(),
            Machine::Learning(learner) => learner.into_history(),
        });
        let Machine::Resting(history) = self else { unreachable!("just put there") };
        history
    }
}

/// What a member does beside talking: files, and telling the election.
pub struct Duties {
    /// Writes an epoch, durably. What cannot be written ends the process.
    pub write_epoch: Box<dyn Fn(EpochFile, i64) + Send + Sync>,
    /// The configurations.
    pub known: Arc<Known>,
    /// Called once the epoch of a term is settled.
    pub settled: Box<dyn Fn(i64) + Send + Sync>,
}

/// Work on files that a learner does outside the lock, before the next packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Cut the log behind this transaction.
    Truncate(Zxid),
    /// Take a copy of everything from the connection.
    Install(Zxid),
}

/// A sync that the leader was asked for.
enum Syncing {
    /// By a client of this server.
    Own(InFlight),
    /// By an observer that learns from this server.
    Observer(LinkId),
}

impl Syncing {
    fn session(&self) -> Option<SessionId> {
        match self {
            Syncing::Own(sync) => Some(sync.session),
            Syncing::Observer(_) => None,
        }
    }
}

/// The part of the pipeline's state that only members of an ensemble use.
pub(super) struct Member {
    pub role: Role,
    pub machine: Machine,
    pub duties: Option<Duties>,
    /// Connections to other members; a learner's to its leader is [`LEADER`].
    links: HashMap<LinkId, Link>,
    /// On a learner: requests of own clients on their way to the leader.
    waiting: HashMap<SessionId, VecDeque<InFlight>>,
    /// On a learner: syncs that the leader has not answered.
    syncs: VecDeque<Syncing>,
    /// On a follower: sessions that its observers have heard, with their timeouts, since the leader asked last.
    heard: HashMap<SessionId, i32>,
    /// On a learner: sessions the leader is asked about, with who wants them.
    resuming: VecDeque<(SessionId, ConnectionKey, i32)>,
    /// On a learner: ends of local sessions, which wait for what the sessions asked for before.
    local_ends: Vec<InFlight>,
    /// Counts the elections.
    pub term: u64,
    /// Somebody waits until the log has written all it was given, and closed its file.
    pub roll: Option<SyncSender<()>>,
    /// What a learner has to do before the next packet.
    work: Option<Work>,
    /// Why the term is over.
    ended: Option<String>,
    /// Whom a learner learns from.
    leader: ServerId,
    /// Who leads in the next term, by the will of a reconfiguration.
    successor: Option<ServerId>,
    touched_ms: i64,
    pub counts: LeaderCounts,
    /// Whom the last election found.
    elected: Option<ServerId>,
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
    /// Whether everything for other members has been sent.
    pub fn nothing_to_send(&self) -> bool {
        self.links.values().all(|link| link.waiting() == 0)
    }

    pub fn new(role: Role, machine: Machine) -> Self {
        Member {
            role,
            machine,
            duties: None,
            links: HashMap::new(),
            waiting: HashMap::new(),
            syncs: VecDeque::new(),
            heard: HashMap::new(),
            resuming: VecDeque::new(),
            local_ends: Vec::new(),
            term: 0,
            roll: None,
            work: None,
            ended: None,
            leader: -1,
            successor: None,
            touched_ms: 0,
            counts: LeaderCounts::default(),
            elected: None,
        }
    }

    /// Whether this server turns requests into transactions.
    pub fn judges(&self) -> bool {
        matches!(self.role, Role::Alone | Role::Leading)
    }

    /// Before a transaction is applied: it meets the request it came from.
    pub fn adopt(&mut self, write: InFlight) -> InFlight {
        if self.role == Role::Leading && !write.record.is_empty() {
            self.counts.commits += 1;
        }
        if self.waiting.is_empty() || write.record.is_empty() {
            return write;
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

    /// Takes out the ends of local sessions that nothing stands before.
    pub fn local_ends_ready(&mut self) -> Vec<InFlight> {
        if self.local_ends.is_empty() {
            return Vec::new();
        }
        let busy = |session| {
            self.waiting.contains_key(&session) || self.syncs.iter().any(|sync| sync.session() == Some(session))
        };
        let (waits, ready) = std::mem::take(&mut self.local_ends).into_iter().partition(|end| busy(end.session));
        self.local_ends = waits;
        ready
    }

    fn known(&self) -> Option<Arc<Known>> {
        self.duties.as_ref().map(|duties| duties.known.clone())
    }

    fn waiting(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }
}

/// What was promised to others cannot be kept: a quorum survives one lost member better than one wrong member.
fn give_up(error: StoreError) -> ! {
    tracing::error!(%error, "the configuration cannot be written: this member cannot go on");
    super::give_up::give_up(&error.into())
}

impl Pipeline {
    /// What this server is.
    pub fn role(&self) -> Role {
        self.lock().member.role
    }

    /// The number of the election, or of the term that came of it.
    pub fn term(&self) -> u64 {
        self.lock().member.term
    }

    /// Whether requests become transactions here: on a leader, or alone.
    pub fn judges(&self) -> bool {
        self.lock().member.judges()
    }

    /// Learners that get proposals, as `(synced followers, observers)`.
    pub fn learners(&self) -> (usize, usize) {
        match &self.lock().member.machine {
            Machine::Leading(leader) => {
                leader.learners().fold((0, 0), |(followers, observers), (_, observer)| match observer {
                    true => (followers, observers + 1),
                    false => (followers + 1, observers),
                })
            }
            Machine::Learning(learner) => (0, learner.observers().count()),
            Machine::Resting(_) => (0, 0),
        }
    }

    /// Whom the last election found; nobody while there is none.
    pub fn elected(&self) -> Option<ServerId> {
        self.lock().member.elected
    }

    /// An election has found a leader.
    pub fn set_elected(&self, leader: ServerId) {
        self.lock().member.elected = Some(leader);
    }

    /// Observers that learn from this leader or follower: id, address, bytes that wait for them.
    pub fn observers(&self) -> Vec<(ServerId, SocketAddr, usize)> {
        let state = self.lock();
        let links: Vec<_> = match &state.member.machine {
            Machine::Leading(leader) => leader.observers().collect(),
            Machine::Learning(learner) => learner.observers().collect(),
            Machine::Resting(_) => Vec::new(),
        };
        let links = links.into_iter().filter_map(|(link, id)| Some((id, state.member.links.get(&link)?)));
        links.map(|(id, link)| (id, link.peer, link.waiting())).collect()
    }

    /// What was done as a leader.
    pub fn leader_counts(&self) -> LeaderCounts {
        self.lock().member.counts
    }

    /// For the log thread: whoever waits for the log to be closed.
    pub fn take_roll(&self) -> Option<SyncSender<()>> {
        self.lock().member.roll.take()
    }

    /// Carries out what a machine has put out, in its order. Only that transactions are applied together: neither the log
    /// nor another member asks how far the tree is.
    pub(super) fn perform(&self, state: &mut State, out: Vec<Output>, wakes: &mut Wakes) {
        let mut due = None;
        for output in out {
            if !matches!(output, Output::Apply(_) | Output::Append { .. } | Output::Flush | Output::Send { .. })
                && let Some(zxid) = due.take()
            {
                self.apply(state, zxid, wakes);
            }
            match output {
                Output::Send { link, packet } => {
                    if let Some(link) = state.member.links.get(&link) {
                        wakes.send(link, &packet);
                    }
                }
                Output::Close { link, why } => {
                    if let Some(closed) = state.member.links.remove(&link) {
                        tracing::warn!(peer = %closed.peer, why, "the connection of a learner is closed");
                        closed.close();
                    }
                }
                Output::WriteEpoch(which, epoch) => {
                    if let Some(duties) = &state.member.duties {
                        (duties.write_epoch)(which, epoch);
                    }
                }
                Output::Append { zxid, record } => self.append(state, zxid, record, wakes),
                // Whatever was appended is on its way to the disk; the log thread syncs each group.
                Output::Flush => {}
                Output::Apply(zxid) => due = Some(zxid),
                Output::Join { link, member, peer } => {
                    if let Some(link) = state.member.links.get(&link) {
                        link.join(member, peer);
                        wakes.link(link);
                    }
                }
                Output::Truncate(zxid) => state.member.work = Some(Work::Truncate(zxid)),
                Output::Install(zxid) => state.member.work = Some(Work::Install(zxid)),
                Output::Serve { epoch } => self.serve(state, epoch),
                Output::Request { link, data, ids } => {
                    if let Err(violation) = self.submit_of(state, link, &data, &ids, wakes) {
                        self.hang_up(state, link, violation);
                    }
                }
                Output::Revalidate { link, data } => match self.revalidate(state, link, &data) {
                    Ok(answer) => {
                        if let Some(link) = state.member.links.get(&link) {
                            wakes.send(link, &answer);
                        }
                    }
                    Err(violation) => self.hang_up(state, link, violation),
                },
                Output::Touched(data) => self.touched(state, &data),
                Output::SyncOf(link) => state.member.syncs.push_back(Syncing::Observer(link)),
                Output::Pong(zxid) => {
                    let pong = self.pong(state, zxid);
                    if let Some(link) = state.member.links.get(&LEADER) {
                        wakes.send(link, &pong.encode());
                    }
                }
                Output::Synced => self.synced(state, wakes),
                Output::Revalidated(data) => self.revalidated(state, &data, wakes),
                Output::Seen(text) => {
                    let Some(known) = state.member.known() else { continue };
                    if let Err(error) = known.propose(&text) {
                        give_up(error);
                    }
                    let observes = matches!(&state.member.machine, Machine::Learning(learner) if learner.observes());
                    if observes && !known.observes() {
                        state.member.successor = Some(state.member.leader);
                        let why = "a vote is to be given to this server: it comes back to acknowledge that";
                        state.member.ended.get_or_insert(why.into());
                        self.term_changed.notify_all();
                    }
                }
                Output::Activate { text, leader } => {
                    if let Some(text) = text {
                        self.activate(state, &text, leader);
                    }
                }
                Output::End(why) => {
                    state.member.ended.get_or_insert(why);
                    self.term_changed.notify_all();
                }
            }
        }
        if let Some(zxid) = due {
            self.apply(state, zxid, wakes);
        }
        self.finish_local_ends(state, wakes);
    }

    /// Another configuration is in force. What it makes of this server may end the term, and the next begins without an
    /// election when the old leader has said who leads on.
    fn activate(&self, state: &mut State, text: &[u8], designated: Option<ServerId>) {
        let Some(known) = state.member.known() else { return };
        let leads = matches!(state.member.machine, Machine::Leading(_));
        let leader = if leads { self.me } else { state.member.leader };
        let activated = known.activate(text, leader).unwrap_or_else(|error| give_up(error));
        let (active, version) = (known.active(), known.version());
        // A configuration that no transaction has brought: it came with an epoch, or with a leader's greeting.
        let wall_ms = self.clock.wall_ms();
        self.gate.write(|tree| {
            let node = tree.get(crate::proto::path::CONFIG);
            if node.is_some_and(|node| node.stat.mzxid < version) {
                tree.set_config(&active.to_string(), version, wall_ms);
            }
        });
        if let Some(configurations) = &mut state.engine.configurations {
            *configurations = known.configurations();
        }
        match activated.consequence(leads, leader, designated) {
            Consequence::Nothing => return,
            Consequence::EndsBehindLearners => {}
            Consequence::Ends => {
                state.member.ended.get_or_insert("the configuration gives this server another part".into());
                self.term_changed.notify_all();
            }
        }
        state.member.successor = designated;
    }

    /// What a transaction that was just judged makes of the ensemble. It is on disk before anybody hears of it.
    pub(super) fn reconfiguration(&self, state: &State, zxid: Zxid) -> Option<Membership> {
        let next = &state.engine.configurations.as_ref()?.last_seen;
        if next.version != zxid.0 {
            return None;
        }
        let known = state.member.known()?;
        if let Err(error) = known.propose(next.to_string().as_bytes()) {
            give_up(error);
        }
        Some(known.proposed())
    }

    /// As learner: the next term has the same leader, without an election.
    pub fn learn_again(&self) {
        let mut state = self.lock();
        state.member.successor = Some(state.member.leader);
    }

    /// Who leads in the term that begins, if that is known without an election.
    pub fn take_successor(&self) -> Option<ServerId> {
        self.lock().member.successor.take()
    }

    fn hang_up(&self, state: &mut State, id: LinkId, violation: Violation) {
        if let Some(link) = state.member.links.remove(&id) {
            tracing::warn!(peer = %link.peer, %violation, "the connection of a learner is closed");
            link.close();
        }
        state.member.machine.closed(id);
    }

    /// A proposal goes to the log, and waits for its commit.
    fn append(&self, state: &mut State, zxid: Zxid, record: Bytes, wakes: &mut Wakes) {
        let header = TxnRecord::decode(&record).expect("the machine has read it").header;
        let TxnHeader { client_id: session, cxid: xid, op, .. } = header;
        state.count_proposal(&record, self.clock.wall_ms());
        let since_us = self.clock.now_us();
        self.to_disk(state, zxid, record.clone(), since_us, wakes);
        state.in_flight.push_back(InFlight {
            zxid,
            record,
            body: Bytes::new(),
            op: OpCode(op),
            xid,
            session,
            connection: None,
            identities: [].into(),
            reads: Vec::new(),
            opened: None,
            since_us,
            refused: None,
        });
    }

    /// Waits until the log has written everything and closed its file.
    pub fn flush_log(&self, patience: Duration) -> bool {
        let (to, from) = sync_channel(1);
        self.lock().member.roll = Some(to);
        self.to_log.notify_all();
        from.recv_timeout(patience).is_ok()
    }

    /// Ends the current role: clients are sent away, the log is written out, and what is in it is applied, as the next
    /// start would. Returns the last transaction in the log. `None` when the log does not answer: the process must end.
    pub fn stand_down(&self) -> Option<Zxid> {
        {
            let mut state = self.lock();
            let state = &mut *state;
            state.unavailable(self.clock.now_us());
            let member = &mut state.member;
            member.role = Role::Looking;
            member.term += 1;
            member.local_ends.clear();
            member.machine.rest();
            member.links.drain().for_each(|(_, link)| link.close());
            member.elected = None;
            member.waiting.clear();
            member.syncs.clear();
            member.heard.clear();
            member.resuming.clear();
            (member.work, member.ended) = (None, None);
            state.in_flight.retain(|write| !write.record.is_empty());
            for write in &mut state.in_flight {
                (write.connection, write.opened) = (None, None);
                write.reads.clear();
            }
        }
        self.read_only.store(false, std::sync::atomic::Ordering::Relaxed);
        (0..self.mailboxes.len()).for_each(|reactor| self.tell(reactor as u16, Item::CloseAll));
        if !self.flush_log(Duration::from_secs(60)) {
            return None;
        }
        let (mut state, mut wakes) = (self.lock(), Wakes::default());
        state.member.machine.rest().fast_forward();
        self.apply(&mut state, Zxid(i64::MAX), &mut wakes);
        self.wake(&wakes);
        self.begin(&mut state);
        Some(state.member.machine.history().last())
    }

    /// Takes another tree, after the files were changed under this one, as a learner that gets in step. Only while nobody
    /// is served.
    pub fn replace_tree(&self, tree: Tree) {
        let mut state = self.lock();
        state.in_flight.clear();
        let zxid = tree.zxid();
        self.gate.write(|old| *old = tree);
        self.begin(&mut state);
        let now_ms = self.clock.now_ms();
        match &mut state.member.machine {
            Machine::Learning(learner) => learner.installed(zxid, now_ms),
            Machine::Resting(history) => history.reset(zxid),
            Machine::Leading(_) => unreachable!("a leader's files are its own"),
        }
    }

    /// On a server that is alone: puts another tree in the place of this one. Clients are sent away and find out what has
    /// become of their sessions when they come back. `keep` writes the new tree to disk; when it fails, the old one is
    /// put back. Numbers never go back, for clients' sake and because newer logs are on disk: a tree that is older than
    /// what it replaces gets the next number.
    pub fn restore<E>(&self, mut tree: Tree, keep: impl FnOnce() -> Result<(), E>) -> Result<Zxid, E> {
        assert!(self.role() == Role::Alone, "only a server that is alone is restored while it runs");
        let Some(last) = self.stand_down() else {
            tracing::error!("the log does not answer; what it holds is read again at the next start");
            std::process::exit(1);
        };
        let last = last.max(self.gate.read(Tree::zxid));
        let zxid = if tree.zxid() >= last { tree.zxid() } else { last.next() };
        tree.set_zxid(zxid);
        let old = self.gate.write(|current| std::mem::replace(current, tree));
        let kept = keep();
        if kept.is_err() {
            self.gate.write(|current| *current = old);
        }
        let zxid = self.gate.read(Tree::zxid);
        let mut state = self.lock();
        self.begin(&mut state);
        state.member = Member::new(Role::Alone, Machine::Leading(Leader::alone(0, zxid).into()));
        state.digests.clear();
        kept.map(|()| zxid)
    }

    /// Engine and sessions anew, from the tree; every session gets its full timeout.
    pub(super) fn begin(&self, state: &mut State) {
        let (now_ms, wall_ms) = (self.clock.now_ms(), self.clock.wall_ms());
        let tick_ms = state.engine.sessions.tick_ms();
        let mut sessions = SessionTable::new(tick_ms, session::first_id(self.session_member, wall_ms as u64));
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

    /// A quorum has this history: clients are served.
    fn serve(&self, state: &mut State, epoch: i64) {
        state.member.role = match &state.member.machine {
            Machine::Leading(_) => Role::Leading,
            Machine::Learning(learner) if learner.observes() => Role::Observing,
            _ => Role::Following,
        };
        if state.member.role == Role::Leading {
            self.gate.write(|tree| tree.set_zxid(Zxid(epoch << 32)));
        }
        self.begin(state);
        state.available(self.clock.now_us());
        if state.member.role == Role::Leading {
            state.engine.configurations = state.member.known().map(|known| known.configurations());
        }
        if let Some(duties) = &state.member.duties {
            (duties.settled)(epoch);
        }
        tracing::info!(epoch, role = ?state.member.role, "clients are served");
    }

    /// A step of the machine, and what comes of it.
    fn step<R>(&self, step: impl FnOnce(&mut Machine, i64, &mut Vec<Output>) -> R) -> R {
        let mut guard = self.lock();
        let state = &mut *guard;
        let (mut out, mut wakes) = (Vec::new(), Wakes::default());
        let result = step(&mut state.member.machine, self.clock.now_ms(), &mut out);
        self.perform(state, out, &mut wakes);
        drop(guard);
        self.wake(&wakes);
        result
    }

    /// A term as leader begins.
    pub fn begin_leading(&self, active: Membership, pending: Pending, epochs: Epochs, times: Times) {
        self.begin_term(|me, history, now_ms, out| {
            Machine::Leading(Leader::new(me, active, pending, history, epochs, times, now_ms, out).into())
        });
    }

    /// A term as learner begins, over a link to the leader.
    #[allow(clippy::too_many_arguments)]
    pub fn begin_learning(
        &self,
        id: ServerId,
        leader: Link,
        observer: bool,
        version: i64,
        wants_copy: bool,
        epochs: Epochs,
        times: Times,
    ) {
        {
            let mut state = self.lock();
            state.member.links.insert(LEADER, leader);
            state.member.leader = id;
            state.learning_since_us = Some(self.clock.now_us());
        }
        self.begin_term(|me, history, now_ms, out| {
            let mut learner = Learner::new(me, observer, version, history, epochs, times, now_ms, out);
            if wants_copy {
                learner.want_copy();
            }
            Machine::Learning(learner.into())
        });
    }

    fn begin_term(&self, begin: impl FnOnce(ServerId, History, i64, &mut Vec<Output>) -> Machine) {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.member.role = Role::Syncing;
        self.end_read_only(state);
        let history = std::mem::replace(state.member.machine.rest(), History::new(Zxid::ZERO, 0));
        let (mut out, mut wakes) = (Vec::new(), Wakes::default());
        state.member.machine = begin(self.me, history, self.clock.now_ms(), &mut out);
        self.perform(state, out, &mut wakes);
        drop(guard);
        self.wake(&wakes);
    }

    /// Time has passed.
    pub fn tick(&self) {
        self.step(|machine, now_ms, out| match machine {
            Machine::Leading(leader) => leader.tick(now_ms, out),
            Machine::Learning(learner) => learner.tick(now_ms, out),
            Machine::Resting(_) => {}
        });
    }

    /// As leader: a voter looks for another (`leader.maxTimeToWaitForEpoch`).
    pub fn deserted(&self, patience_ms: i64) {
        self.step(|machine, now_ms, out| {
            if let Machine::Leading(leader) = machine {
                leader.deserted(patience_ms, now_ms, out);
            }
        });
    }

    /// Waits so long for the end of the term; returns why it ended.
    pub fn ended(&self, patience: Duration) -> Option<String> {
        let state = self.lock();
        let waited = self.term_changed.wait_timeout_while(state, patience, |state| state.member.ended.is_none());
        waited.unwrap_or_else(std::sync::PoisonError::into_inner).0.member.ended.clone()
    }

    /// A learner has connected to this leader or follower.
    pub fn opened(&self, link: Link) {
        let id = link.id;
        self.lock().member.links.insert(id, link);
        self.step(|machine, now_ms, out| match machine {
            Machine::Leading(leader) => leader.opened(id, now_ms),
            Machine::Learning(learner) => learner.observer_opened(id, now_ms, out),
            Machine::Resting(_) => out.push(Output::Close { link: id, why: "between two terms".into() }),
        });
    }

    /// A learner is gone.
    pub fn parted(&self, id: LinkId) {
        let mut state = self.lock();
        state.member.links.remove(&id);
        state.member.machine.closed(id);
    }

    /// The oldest transaction that memory holds, when a learner at `peer` lacks older ones.
    pub fn missing_from_memory(&self, peer: Zxid) -> Option<Zxid> {
        self.lock().member.machine.history().missing_from_memory(peer)
    }

    /// A learner of this leader or follower gets everything from here on. `None` when the term is over for it.
    pub fn join(&self, id: LinkId, peer: Zxid) -> Option<Plan> {
        let config = self.lock().member.known().map(|known| known.active().to_string()).unwrap_or_default();
        let plan = self.step(|machine, _, out| match machine {
            Machine::Leading(leader) => leader.join(id, peer, out),
            Machine::Learning(learner) => learner.join_observer(id, peer, config.into(), out),
            Machine::Resting(_) => None,
        })?;
        let counts = &mut self.lock().member.counts;
        match plan {
            Plan::Snap => counts.snaps += 1,
            Plan::Diff { .. } => counts.diffs += 1,
            Plan::Trunc(_) => {}
        }
        Some(plan)
    }
}
