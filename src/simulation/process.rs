//! A server's process: what is in memory, and what a start makes of the files. The machines, the engine, the tree and the
//! store are the real ones; threads and sockets are events of the [`World`].

use super::check::{dump, empty_tree};
use super::network::CopyEnd;
use super::reconfigurations::votes;
use super::world::{Event, Fault, World};
use crate::auth::Policy;
use crate::config::Ensemble;
use crate::engine::{Engine, Replay, Rules, SessionTable};
use crate::membership::Membership;
use crate::mutant::{self, Mutant};
use crate::proto::acl::Acl;
use crate::proto::session::first_id;
use crate::proto::txn::{DIGEST_VERSION, TxnDigest, TxnRecord};
use crate::proto::{OpCode, Zxid};
use crate::quorum::{Election, Notification, Pauses};
use crate::store::{
    self, Compression, Dirs, Disk, EpochFile, Epochs, Fresh, LogOptions, LogWriter, NodeRefused, RecoverOptions,
    Restore, SimDisk, SnapshotNode, SnapshotWriter, StoreError, encode_node,
};
use crate::tree::{OwnerRules, Tree, Walk};
use crate::zab::{History, Leader, Learner, LinkId, Output, Packet, ServerId};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Killed; what it wrote is in the system's cache.
    Kill,
    /// The power is gone.
    Power,
    /// It ended itself: its disk failed.
    Exit,
}

/// A server: its files, and what the simulator knows about it across its lives.
pub struct Node {
    pub observer: bool,
    pub disk: SimDisk,
    pub dirs: Dirs,
    pub incarnation: u64,
    pub process: Option<Box<Process>>,
    /// Every transaction that its tree has seen, in order.
    pub ghost: Vec<(Zxid, Bytes)>,
    /// A copy that may be on disk after a crash.
    pub installing: Option<(Zxid, CopyEnd)>,
    /// It died between a copy and the end of what was before: its older files lead nowhere.
    pub interrupted: bool,
    /// Up to here the tree may hold parts of transactions that it has not seen.
    pub fuzzy_until: Zxid,
    /// Its log ended here when a sync last succeeded.
    pub durable: Zxid,
    pub accepted: i64,
    pub current: i64,
    /// How far its clocks are off.
    pub jump_ms: i64,
    pub wall_ms: i64,
    /// It dies after so many outputs.
    pub dies_in: Option<(u32, Death)>,
    pub slow_until: i64,
    pub boots: u64,
    /// The last vote sent to each other server: sent again once the way is free.
    pub mail: BTreeMap<usize, Notification>,
}

impl Node {
    pub fn new(seed: u64, observer: bool) -> Self {
        Node {
            observer,
            disk: SimDisk::new(seed),
            dirs: Dirs::new(Path::new("/data"), None),
            incarnation: 0,
            process: None,
            ghost: Vec::new(),
            installing: None,
            interrupted: false,
            fuzzy_until: Zxid::ZERO,
            durable: Zxid::ZERO,
            accepted: 0,
            current: 0,
            jump_ms: 0,
            wall_ms: 0,
            dies_in: None,
            slow_until: 0,
            boots: 0,
            mail: BTreeMap::new(),
        }
    }
}

/// A transaction between prepare and apply.
#[derive(Debug, Clone)]
pub struct Write {
    pub zxid: Zxid,
    pub record: Bytes,
    pub op: OpCode,
    pub xid: i32,
    pub session: i64,
    pub connection: Option<u64>,
    /// It answers a sync, and is no transaction.
    pub sync: bool,
}

/// What a server is.
pub enum Role {
    /// The log is written out before the next election.
    StandingDown(History),
    Looking(History),
    Dialing {
        history: History,
        leader: usize,
        tries: u32,
    },
    Leading(Box<Leader>),
    Learning(Box<Learner>),
}

/// A copy on its way to a learner, and what waits behind it.
pub struct Stream {
    pub walk: Walk,
    pub begun: bool,
    pub held: Vec<Bytes>,
}

/// A snapshot being written.
pub struct Job {
    pub writer: SnapshotWriter<SimDisk>,
    pub walk: Walk,
}

/// Something that happens to a process.
#[derive(Debug)]
pub enum Input {
    Tick,
    Notification(usize, Notification),
    /// Another server has a later configuration.
    Newer(Box<Ensemble>),
    /// Chance elects this server, whatever the votes say.
    Chance(usize),
    Connected(u64),
    Refused,
    Opened(LinkId),
    Packet(LinkId, Packet),
    Copy(Bytes, Option<CopyEnd>),
    Closed(LinkId),
    Bring(LinkId, Zxid),
    Stream(LinkId),
    LogWrite,
    LogDone(Zxid),
    Snapshot,
    SnapshotStep,
    Client {
        connection: u64,
        client: usize,
        message: super::clients::ToServer,
    },
}

pub struct Connection {
    pub client: usize,
    pub session: i64,
    pub last_at: i64,
}

pub struct Process {
    pub tree: Tree,
    pub engine: Engine,
    pub log: LogWriter<SimDisk>,
    pub election: Election,
    pub role: Role,
    pub epochs: Epochs,
    pub membership: Membership<SimDisk>,
    pub outputs: VecDeque<Output>,
    pub inbox: VecDeque<Input>,
    pub blocked_until: i64,
    pub unapplied: VecDeque<Write>,
    pub to_log: Vec<(Zxid, Bytes)>,
    pub batch: Vec<(Zxid, Bytes)>,
    pub log_busy: bool,
    pub wires: BTreeMap<LinkId, u64>,
    pub streams: BTreeMap<LinkId, Stream>,
    pub copy: Option<(Zxid, Vec<u8>)>,
    /// When a part of it last came.
    pub copied_ms: i64,
    pub serving: bool,
    pub epoch: i64,
    /// The epoch that the leader has told.
    pub told_epoch: i64,
    /// As leader: the latest epoch that a follower had accepted, of those that were asked before the epoch was decided.
    pub heard_epoch: i64,
    /// What the leader has told to be committed in front of NEWLEADER, and whether that has yet to come.
    pub told_history: Zxid,
    pub in_sync_stream: bool,
    pub term: u64,
    pub connections: BTreeMap<u64, Connection>,
    pub waiting: BTreeMap<i64, VecDeque<(i32, OpCode, u64)>>,
    pub syncs: VecDeque<(i32, u64, i64)>,
    pub resuming: VecDeque<(i64, u64, i32)>,
    pub touched_ms: i64,
    pub job: Option<Job>,
    pub wants_roll: bool,
    pub wants_copy: bool,
    /// Whom it learns from, and whether it does so in the next term, too.
    pub leader: usize,
    pub learn_again: Option<usize>,
    /// Who leads in the next term, by the word of a leader.
    pub successor: Option<ServerId>,
}

pub const SESSION_TICK_MS: i64 = 200;

fn rules(reconfig: bool) -> Rules {
    Rules {
        policy: Arc::new(Policy::default()),
        owners: OwnerRules::default(),
        enforce_quota: false,
        digest: true,
        close_session_paths: true,
        reconfig,
        member: None,
    }
}

/// Fills a tree, and remembers what was replayed.
struct Witness {
    replay: Replay,
    records: Vec<(Zxid, Bytes)>,
}

impl Restore for Witness {
    fn clear(&mut self) {
        self.replay.clear();
    }
    fn session(&mut self, id: i64, timeout_ms: i32) {
        self.replay.session(id, timeout_ms);
    }
    fn acl(&mut self, key: i64, acl: Vec<Acl>) {
        self.replay.acl(key, acl);
    }
    fn node(&mut self, node: SnapshotNode<'_>) -> Result<(), NodeRefused> {
        self.replay.node(node)
    }
    fn snapshot_done(&mut self, zxid: Zxid, digest: Option<(Zxid, TxnDigest)>, last_zxid: Option<Zxid>) {
        self.replay.snapshot_done(zxid, digest, last_zxid);
    }
    fn replay(&mut self, record: &TxnRecord<'_>, body: &[u8]) {
        self.records.push((record.header.zxid(), Bytes::copy_from_slice(body)));
        self.replay.replay(record, body);
    }
}

/// What a start found.
pub struct Loaded {
    pub tree: Tree,
    pub last: Zxid,
    pub base: Zxid,
    pub records: Vec<(Zxid, Bytes)>,
}

/// Reads the files.
pub fn load(disk: &SimDisk, dirs: &Dirs) -> Result<Loaded, StoreError> {
    let mut witness = Witness { replay: Replay::new(empty_tree()), records: Vec::new() };
    let recovered = store::recover(disk, dirs, &RecoverOptions::default(), &mut witness)?;
    let mut tree = witness.replay.tree;
    tree.restore_done();
    tree.set_zxid(recovered.last_zxid.max(tree.zxid()));
    let base = recovered.snapshot.map_or(Zxid::ZERO, |(name, _)| name.zxid);
    if recovered.fresh == Fresh::Initialize {
        write_snapshot(disk, dirs, &tree)?;
        store::initialize_done(disk, dirs)?;
    }
    Ok(Loaded { tree, last: recovered.last_zxid, base, records: witness.records })
}

/// Begins a snapshot.
pub fn begin_snapshot(disk: &SimDisk, dirs: &Dirs, tree: &Tree) -> Result<Job, StoreError> {
    let mut sessions: Vec<(i64, i32)> = tree.sessions().iter().map(|(id, timeout)| (*id, *timeout)).collect();
    sessions.sort_unstable();
    let acls = tree.acls();
    let lists = acls.iter().map(|(key, list)| (*key, &**list));
    let writer = SnapshotWriter::begin(disk, dirs, tree.zxid(), Compression::None, &sessions, lists)?;
    Ok(Job { writer, walk: Walk::default() })
}

/// Goes on with a snapshot; true at the end of the walk.
pub fn step_snapshot(job: &mut Job, tree: &Tree, count: usize) -> Result<bool, StoreError> {
    let Job { writer, walk } = job;
    let more = writer.nodes(|out| {
        walk.chunk(tree, count, |path, node| encode_node(out, path, node.data(), node.acl().key(), &node.stat))
    })?;
    Ok(!more)
}

pub fn finish_snapshot(disk: &SimDisk, dirs: &Dirs, job: Job, tree: &Tree) -> Result<(), StoreError> {
    let last = tree.zxid();
    let digest =
        TxnDigest { version: DIGEST_VERSION, tree_digest: if last == Zxid::ZERO { 0 } else { tree.digest() as i64 } };
    let written = job.writer.finish(Some((last, digest)), Some(last))?;
    if mutant::is(Mutant::SnapshotNamedLate) && last.counter() != 0 {
        let late = dirs.snapshot_path(last, Compression::None);
        disk.rename(&written.path, &late)
            .and_then(|()| disk.sync_dir(&dirs.snapshots))
            .map_err(|source| StoreError::Io { path: late.clone(), doing: "rename the snapshot", source })?;
    }
    Ok(())
}

/// A whole snapshot at once.
pub fn write_snapshot(disk: &SimDisk, dirs: &Dirs, tree: &Tree) -> Result<(), StoreError> {
    let mut job = begin_snapshot(disk, dirs, tree)?;
    step_snapshot(&mut job, tree, usize::MAX)?;
    finish_snapshot(disk, dirs, job, tree)
}

impl World {
    pub fn options_of_log(&mut self) -> LogOptions {
        LogOptions {
            preallocate: self.plan.preallocate,
            size_limit: self.plan.log_limit,
            filling: self.plan.filling,
            ..LogOptions::default()
        }
    }

    /// A server starts.
    pub fn boot(&mut self, n: usize) {
        if self.nodes[n].process.is_some() {
            return;
        }
        let (disk, dirs) = (self.nodes[n].disk.clone(), self.nodes[n].dirs.clone());
        self.nodes[n].incarnation += 1;
        self.nodes[n].boots += 1;
        let started = load(&disk, &dirs)
            .and_then(|loaded| store::settle_epochs(&disk, &dirs, loaded.last).map(|epochs| (loaded, epochs)))
            .and_then(|(loaded, epochs)| self.read_membership(n).map(|membership| (loaded, epochs, membership)));
        let (loaded, epochs, membership) = match started {
            Ok(started) => started,
            Err(error) => {
                if disk.is_dead() {
                    disk.power_cut();
                    self.count(Fault::PowerDuringStart);
                } else if !matches!(
                    error,
                    StoreError::Io { .. } | StoreError::DiskFull { .. } | StoreError::Poisoned { .. }
                ) {
                    self.check.fail(format!("D5/D7: server {} does not start: {error}", n + 1));
                }
                let at = self.now + self.range(100, 1500);
                self.at(at, Event::Boot(n));
                return;
            }
        };
        self.check_start(n, &loaded, epochs);
        self.note(n, "boot", loaded.last.0, epochs.current);
        let log = LogWriter::new(&disk, &dirs, self.options_of_log());
        let engine = self.fresh_engine(n, &loaded.tree);
        let history = History::new(loaded.last, self.plan.recent_max);
        let election = Election::new(n as i64 + 1, votes(&membership), Pauses::default());
        self.nodes[n].observer = membership.observes();
        let mut process = Box::new(Process {
            tree: loaded.tree,
            engine,
            log,
            election,
            role: Role::StandingDown(history),
            epochs,
            membership,
            outputs: VecDeque::new(),
            inbox: VecDeque::new(),
            blocked_until: 0,
            unapplied: VecDeque::new(),
            to_log: Vec::new(),
            batch: Vec::new(),
            log_busy: false,
            wires: BTreeMap::new(),
            streams: BTreeMap::new(),
            copy: None,
            copied_ms: 0,
            serving: false,
            epoch: 0,
            told_epoch: 0,
            heard_epoch: 0,
            told_history: Zxid::ZERO,
            in_sync_stream: false,
            term: 0,
            connections: BTreeMap::new(),
            waiting: BTreeMap::new(),
            syncs: VecDeque::new(),
            resuming: VecDeque::new(),
            touched_ms: 0,
            job: None,
            wants_roll: false,
            wants_copy: false,
            leader: n,
            learn_again: None,
            successor: None,
        });
        self.put_configuration(n, &mut process);
        process.inbox.push_back(Input::Tick);
        let incarnation = self.nodes[n].incarnation;
        self.nodes[n].process = Some(process);
        self.at(self.now + 25, Event::Tick(n, incarnation));
        self.pump(n);
    }

    /// D5, D6, D7 and that nothing that was durable is gone.
    fn check_start(&mut self, n: usize, loaded: &Loaded, epochs: Epochs) {
        let node = &mut self.nodes[n];
        if epochs.accepted < node.accepted || epochs.current < node.current {
            let (accepted, current) = (node.accepted, node.current);
            self.check.fail(format!("D6: server {} had epochs {accepted}, {current} and has {epochs:?}", n + 1));
            return;
        }
        (node.accepted, node.current) = (epochs.accepted, epochs.current);
        if loaded.last < node.durable {
            let durable = node.durable;
            self.check.fail(format!("D1: server {} had {durable} on disk and has {}", n + 1, loaded.last));
            return;
        }
        node.durable = loaded.last;
        let mut before = loaded.base;
        for (zxid, _) in &loaded.records {
            if !crate::zab::follows(before, *zxid) {
                return self.check.fail(format!("D7: the log of server {} goes from {before} to {zxid}", n + 1));
            }
            before = *zxid;
        }
        if let Some((zxid, end)) = node.installing.take()
            && zxid == loaded.base
        {
            node.fuzzy_until = end.fuzzy_until;
            node.ghost = end.history;
            node.interrupted = true;
        }
        node.ghost.retain(|(zxid, _)| *zxid <= loaded.base);
        node.ghost.extend(loaded.records.iter().cloned());
    }

    pub fn fresh_engine(&self, n: usize, tree: &Tree) -> Engine {
        let node = &self.nodes[n];
        let wall_ms = (super::world::EPOCH_MS + self.now + node.wall_ms) as u64;
        let mut sessions = SessionTable::new(SESSION_TICK_MS, first_id(n as u8 + 1, wall_ms));
        for (id, timeout_ms) in tree.sessions() {
            sessions.track(*id, *timeout_ms, self.now + node.jump_ms);
        }
        Engine::new(rules(self.plan.reconfigures), sessions, tree)
    }

    /// The role is over: connections end, the log is written out, then comes an election.
    pub fn stand_down(&mut self, n: usize, p: &mut Process, why: &str) {
        let role = std::mem::replace(&mut p.role, Role::StandingDown(History::new(Zxid::ZERO, 0)));
        let history = match role {
            Role::StandingDown(history) | Role::Looking(history) | Role::Dialing { history, .. } => history,
            Role::Leading(leader) => leader.into_history(),
            Role::Learning(learner) => learner.into_history(),
        };
        self.note(n, "stands down", history.last().0, 0);
        if self.verbose {
            self.say(n, why);
        }
        for wire in std::mem::take(&mut p.wires).into_values() {
            self.hang_up(wire, n);
        }
        p.serving = false;
        p.streams.clear();
        p.outputs.clear();
        p.inbox.retain(|input| {
            matches!(input, Input::LogWrite | Input::LogDone(_) | Input::Snapshot | Input::SnapshotStep | Input::Tick)
                || matches!(input, Input::Notification(..) | Input::Newer(_))
        });
        for (connection, of) in std::mem::take(&mut p.connections) {
            self.tell_client(of.client, connection, of.last_at, super::clients::ToClient::Closed);
        }
        p.waiting.clear();
        p.syncs.clear();
        p.resuming.clear();
        p.unapplied.retain(|write| !write.sync);
        p.unapplied.iter_mut().for_each(|write| write.connection = None);
        if let Some((zxid, bytes)) = p.copy.take()
            && mutant::is(Mutant::PartialCopyKept)
        {
            self.keep_part(n, p, zxid, &bytes);
        }
        p.role = Role::StandingDown(history);
    }

    /// The bug of ZOOKEEPER-3642.
    fn keep_part(&mut self, n: usize, p: &mut Process, zxid: Zxid, bytes: &[u8]) {
        let mut replay = Replay::new(empty_tree());
        let _ = store::read_stream(bytes, zxid, &mut replay);
        let at = p.tree.zxid();
        p.tree = replay.tree;
        p.tree.set_zxid(at);
        p.engine = self.fresh_engine(n, &p.tree);
    }

    /// Once the log has written everything, what is in it counts, and an election begins.
    pub fn try_to_look(&mut self, n: usize, p: &mut Process) -> Result<(), Death> {
        let Role::StandingDown(history) = &mut p.role else { return Ok(()) };
        if mutant::is(Mutant::StaleLogWriter) {
            // The log thread goes on in the next role with what it has; memory believes that it is written.
            history.synced(history.last());
        } else if p.log_busy || !p.to_log.is_empty() {
            return Ok(());
        }
        let committed = history.applied();
        if history.logged() < history.last() {
            history.synced(self.nodes[n].durable.min(history.last()));
        }
        history.fast_forward();
        let last = history.last();
        self.apply(n, p, Zxid(i64::MAX));
        p.engine = self.fresh_engine(n, &p.tree);
        p.touched_ms = self.clock(n);
        let disk = self.nodes[n].disk.clone();
        let settled = store::settle_epochs(&disk, &self.nodes[n].dirs.clone(), last);
        match settled {
            Ok(epochs) => p.epochs = epochs,
            Err(StoreError::Epoch { why, .. }) => {
                self.check.fail(format!("D5: {why}"));
                return Err(Death::Exit);
            }
            Err(_) => return Err(if disk.is_dead() { Death::Power } else { Death::Exit }),
        }
        // D9: the vote speaks of what is on disk; the start of an epoch is nobody's transaction.
        let durable = self.nodes[n].durable;
        if last.counter() != 0 && last > durable && !mutant::is(Mutant::StaleLogWriter) {
            self.check.fail(format!("D9: server {} votes with {last}, and its disk ends at {durable}", n + 1));
        }
        if self.chance(0.1) && p.job.is_none() && !mutant::is(Mutant::StaleLogWriter) {
            self.compare_with_disk(n, p, last);
        }
        let Role::StandingDown(history) = std::mem::replace(&mut p.role, Role::Looking(History::new(Zxid::ZERO, 0)))
        else {
            unreachable!("looked at above")
        };
        p.role = Role::Looking(history);
        self.note(n, "looks", last.0, p.epochs.current);
        if let Some(leader) = p.successor.take() {
            p.election.hand_over(leader);
            self.decided(n, p, leader == n as ServerId + 1, leader as usize - 1);
            return Ok(());
        }
        if let Some(leader) = p.learn_again.take() {
            p.election.hand_over(leader as i64 + 1);
            self.decided(n, p, false, leader);
            return Ok(());
        }
        let vote = if mutant::is(Mutant::VoteOfCommitted) { committed } else { last };
        let (now, mut out) = (self.clock(n), Vec::new());
        p.election.look(vote, p.epochs.current, now, &mut out);
        if p.election.vote().zxid != last && !self.nodes[n].observer && self.promises_checked {
            let said = p.election.vote().zxid;
            self.check.fail(format!("D9: server {} votes with {said}, and has {last}", n + 1));
        }
        self.elections(n, p, out);
        // What is committed must be safe whoever is elected, and by whom.
        if self.plan.false_elections && self.chance(0.4) {
            let voters = self.plan.voters as i64;
            let leader = if !self.nodes[n].observer && self.chance(0.4) { n } else { self.range(0, voters) as usize };
            let (incarnation, at) = (self.nodes[n].incarnation, self.now + self.range(1, 500));
            self.at(at, Event::Input(n, incarnation, Box::new(Input::Chance(leader))));
        }
        Ok(())
    }

    /// D8: what a start would find is what is in memory.
    fn compare_with_disk(&mut self, n: usize, p: &Process, last: Zxid) {
        let (disk, dirs) = (self.nodes[n].disk.clone(), self.nodes[n].dirs.clone());
        let mut witness = Witness { replay: Replay::new(empty_tree()), records: Vec::new() };
        let Ok(found) = store::examine(&disk, &dirs, &RecoverOptions::default(), &mut witness) else { return };
        if found.last_zxid != last && last.counter() != 0 {
            let on_disk = found.last_zxid;
            return self.check.fail(format!("D8: server {} is at {last} in memory and at {on_disk} on disk", n + 1));
        }
        witness.replay.tree.restore_done();
        let (memory, disk) = (dump(&p.tree), dump(&witness.replay.tree));
        if memory != disk {
            let odd =
                memory.iter().find(|line| !disk.contains(line)).or(disk.iter().find(|line| !memory.contains(line)));
            self.check.fail(format!("D8: server {} at {last} has another tree in memory than on disk: {odd:?}", n + 1));
        }
        self.compared += 1;
    }

    /// Writes an epoch; what comes behind waits for it.
    pub fn write_epoch(&mut self, n: usize, p: &mut Process, which: EpochFile, epoch: i64) -> Result<(), Death> {
        let (disk, dirs) = (self.nodes[n].disk.clone(), self.nodes[n].dirs.clone());
        if store::write_epoch(&disk, &dirs, which, epoch).is_err() {
            return Err(if disk.is_dead() { Death::Power } else { Death::Exit });
        }
        let node = &mut self.nodes[n];
        let before = match which {
            EpochFile::Accepted => std::mem::replace(&mut node.accepted, epoch),
            EpochFile::Current => std::mem::replace(&mut node.current, epoch),
        };
        if epoch < before {
            self.check.fail(format!("D6: server {} writes {which:?} epoch {epoch} after {before}", n + 1));
        }
        self.note(n, if which == EpochFile::Current { "current" } else { "accepted" }, epoch, 0);
        if which == EpochFile::Current && matches!(p.role, Role::Leading(_)) {
            let incarnation = self.nodes[n].incarnation;
            self.check.leads(epoch, n, incarnation << 16 | p.term);
            self.model(super::model::Step::Leads { node: n, epoch });
        }
        if self.nodes[n].slow_until > self.now {
            p.blocked_until = self.now + self.range(1, 300);
            self.count(Fault::SlowSync);
        }
        Ok(())
    }

    /// Starts the log thread when it has something to do.
    pub fn kick_log(&mut self, n: usize, p: &mut Process) {
        if p.log_busy || p.to_log.is_empty() {
            return;
        }
        p.log_busy = true;
        p.batch = std::mem::take(&mut p.to_log);
        let slow = self.nodes[n].slow_until > self.now;
        if slow {
            self.count(Fault::SlowSync);
        }
        let delay = if slow { self.range(5, 250) } else { self.range(0, 3) };
        let incarnation = self.nodes[n].incarnation;
        self.at(self.now + delay, Event::Input(n, incarnation, Box::new(Input::LogWrite)));
    }

    /// The log thread writes and syncs its group; that it did so is told later.
    pub fn write_log(&mut self, n: usize, p: &mut Process) -> Result<(), Death> {
        let batch = std::mem::take(&mut p.batch);
        let last = batch.last().map(|(zxid, _)| *zxid);
        batch.iter().for_each(|(zxid, record)| p.log.append(*zxid, record));
        let written = if std::mem::take(&mut p.wants_roll) { p.log.roll() } else { p.log.commit() };
        if let Err(error) = written {
            self.note(n, "log fails", 0, 0);
            if self.verbose {
                self.say(n, &error.to_string());
            }
            return Err(if self.nodes[n].disk.is_dead() { Death::Power } else { Death::Exit });
        }
        if let Some(last) = last {
            self.nodes[n].durable = last;
            let incarnation = self.nodes[n].incarnation;
            let delay = if self.nodes[n].slow_until > self.now { self.range(1, 150) } else { self.range(0, 2) };
            self.at(self.now + delay, Event::Input(n, incarnation, Box::new(Input::LogDone(last))));
        } else {
            p.log_busy = false;
        }
        Ok(())
    }

    /// A server that serves applies only what is on its own disk, and a leader what is on the disks of a quorum (D1).
    fn committed_where_it_says(&mut self, n: usize, p: &Process, zxid: Zxid) {
        if !self.promises_checked {
            return;
        }
        if zxid > self.nodes[n].durable {
            let durable = self.nodes[n].durable;
            self.check.fail(format!("D1: server {} applies {zxid}, on its disk is {durable}", n + 1));
        }
        let has = |id: i64| self.nodes[id as usize - 1].durable >= zxid;
        if matches!(p.role, Role::Leading(_)) && !self.check.quorums_of(zxid).all(|voters| voters.is_quorum(has)) {
            let disks: Vec<Zxid> = self.nodes.iter().map(|node| node.durable).collect();
            self.check.fail(format!("D1: server {} commits {zxid}, and on the disks are {disks:?}", n + 1));
        }
    }

    /// Applies what is before or at `limit`.
    pub fn apply(&mut self, n: usize, p: &mut Process, limit: Zxid) {
        while p.unapplied.front().is_some_and(|write| write.zxid <= limit) {
            let write = p.unapplied.pop_front().expect("looked at above");
            if write.sync {
                self.answer(n, p, &write, None);
                continue;
            }
            let record = TxnRecord::decode(&write.record).expect("it was decoded before");
            if let crate::proto::txn::Txn::CreateSession { timeout_ms } = record.txn {
                let now = self.clock(n);
                p.engine.sessions.track(write.session, timeout_ms, now);
            }
            if mutant::is(Mutant::EphemeralsSurvive)
                && record.header.op == OpCode::CLOSE_SESSION.0
                && matches!(p.role, Role::Learning(_))
            {
                let nothing = crate::proto::txn::Txn::CloseSession { paths: Some(Vec::new()) };
                p.tree.apply(&record.header, &nothing, None);
            } else {
                p.tree.apply(&record.header, &record.txn, None);
            }
            p.engine.applied(write.zxid);
            self.nodes[n].ghost.push((write.zxid, write.record.clone()));
            let count = self.nodes[n].ghost.len();
            if p.serving {
                self.model(super::model::Step::Deliver { node: n, zxid: write.zxid });
                self.check.commit(count - 1, write.zxid, &write.record, n, Some(p.epoch));
                self.committed_where_it_says(n, p, write.zxid);
                if write.zxid >= self.nodes[n].fuzzy_until {
                    self.check.digest(n, count, p.tree.digest());
                }
            }
            let error = match record.txn {
                crate::proto::txn::Txn::Error { err } => err,
                _ => 0,
            };
            let ended = match write.op == OpCode::CLOSE_SESSION && error == 0 {
                true => p.engine.sessions.remove(write.session).map(|connection| connection.number),
                false => None,
            };
            let asked_by = self.answer(n, p, &write, Some(error));
            // The session may have moved to another connection, or have expired while connected.
            if let Some(connection) = ended.filter(|ended| Some(*ended) != asked_by)
                && let Some(of) = p.connections.remove(&connection)
            {
                self.tell_client(of.client, connection, of.last_at, super::clients::ToClient::Closed);
            }
        }
    }
}
