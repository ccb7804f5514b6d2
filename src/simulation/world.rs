//! The world of a simulation: one queue of events, the network, and the faults. Everything follows from the seed.

use super::check::Check;
use super::clients::{Client, ToClient, ToServer};
use super::faults::KINDS;
use super::model::Step;
use super::network::{Direction, End, Message, Wire};
use super::process::{Input, Node, Role};
use super::reconfigurations::{configure, first, members};
use crate::config::Ensemble;
use crate::quorum::Notification;
use crate::store::Filling;
use crate::store::sim_disk::Faults as DiskFaults;
use crate::zab::{LEADER, Times};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The wall clock at the beginning, ms.
pub const EPOCH_MS: i64 = 1_700_000_000_000;
const NOTES_MAX: usize = 400;

macro_rules! faults {
    ($($name:ident = $text:literal,)*) => {
        /// Kinds of faults that are counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Fault { $($name,)* }

        /// Their names, in the order of the counters.
        pub const FAULTS: &[&str] = &[$($text),*];
    };
}

faults! {
    Kill = "process killed",
    PowerCut = "power cut",
    PowerDuringStart = "power cut during start",
    DiesBetweenOutputs = "death between two outputs",
    PowerInDiskCall = "power cut inside a disk operation",
    DiskFailure = "process ended by its disk",
    SyncError = "sync failed",
    ShortWrite = "short write",
    DiskFull = "write refused, disk full",
    SlowSync = "slow sync",
    ConnectionBroken = "connection broken",
    MessageLost = "message lost with its connection",
    VoteLost = "vote lost",
    Delay = "message delayed",
    PartitionTwoWay = "partition, both ways",
    PartitionOneWay = "partition, one way",
    MessageStalled = "message stalled by a partition",
    Pause = "process paused",
    ClockJump = "clock jump",
    WallClockJump = "wall clock set",
    ClientMoved = "client moved",
    FalseElection = "election decided by chance",
}

/// Something that will happen.
pub enum Event {
    Boot(usize),
    Tick(usize, u64),
    Pump(usize, u64),
    Input(usize, u64, Box<Input>),
    Vote {
        from: usize,
        to: usize,
        notification: Notification,
    },
    Dial {
        from: usize,
        incarnation: u64,
        to: usize,
    },
    Arrive {
        from: usize,
        incarnation: u64,
        to: usize,
    },
    Wire(u64, usize),
    Client(usize),
    ToServer {
        node: usize,
        incarnation: u64,
        connection: u64,
        client: usize,
        message: Box<ToServer>,
    },
    ToClient {
        client: usize,
        connection: u64,
        message: Box<ToClient>,
    },
    Fault,
    Heal(usize, usize),
    Calm(usize),
    /// A connection of this server breaks.
    BreakOneOf(usize),
    Snapshot(usize),
}

/// What a seed decides once.
#[derive(Debug, Clone)]
pub struct Plan {
    pub voters: usize,
    pub observers: usize,
    pub clients: usize,
    pub recent_max: usize,
    pub from_files: bool,
    pub preallocate: u64,
    pub filling: Filling,
    pub log_limit: Option<u64>,
    pub times: Times,
    pub client_pause: i64,
    pub fault_pause: i64,
    pub snapshot_pause: i64,
    pub faults_until: i64,
    /// Kinds of faults that this run has.
    pub kinds: Vec<u32>,
    pub delay: f64,
    /// Servers believe now and then in a leader whom nobody elected.
    pub false_elections: bool,
    /// Clients change who votes.
    pub reconfigures: bool,
}

impl Plan {
    fn draw(random: &mut StdRng) -> Self {
        let mut kinds: Vec<u32> = (0..KINDS).filter(|_| random.random_bool(0.6)).collect();
        if kinds.is_empty() {
            kinds = (0..KINDS).collect();
        }
        Plan {
            voters: if random.random_bool(0.7) { 3 } else { 5 },
            observers: usize::from(random.random_bool(0.3)),
            clients: random.random_range(2..=4),
            recent_max: [0, 2, 5, 20, 500][random.random_range(0..5)],
            from_files: random.random_bool(0.5),
            preallocate: if random.random_bool(0.5) { 0 } else { 4096 },
            filling: Filling::Inline,
            log_limit: random.random_bool(0.3).then_some(2000),
            times: Times { tick_ms: 200, init_ms: 2000, sync_ms: 1000 },
            client_pause: random.random_range(10..60),
            fault_pause: [150, 300, 600][random.random_range(0..3)],
            snapshot_pause: [300, 1500, 5000][random.random_range(0..3)],
            faults_until: random.random_range(6000..14_000),
            kinds,
            delay: [0.0, 0.01, 0.05][random.random_range(0..3)],
            false_elections: random.random_bool(0.3),
            reconfigures: false,
        }
    }
}

pub struct World {
    pub random: StdRng,
    pub now: i64,
    queue: BTreeMap<(i64, u64), Event>,
    sequence: u64,
    pub plan: Plan,
    /// The configuration that all begin with.
    pub first: Ensemble,
    pub nodes: Vec<Node>,
    pub wires: BTreeMap<u64, Wire>,
    next_wire: u64,
    /// Ways that are cut, from and to.
    pub cut: BTreeSet<(usize, usize)>,
    pub clients: Vec<Client>,
    pub connections: u64,
    pub check: Check,
    pub counts: Vec<u64>,
    notes: VecDeque<(i64, usize, &'static str, i64, i64)>,
    trace: Option<Vec<Step>>,
    pub verbose: bool,
    pub promises_checked: bool,
    pub events: u64,
    pub expiries: u64,
    pub expired: u64,
    pub snapshots: u64,
    pub truncations: u64,
    pub copies: u64,
    pub handovers: u64,
    pub from_files: u64,
    pub stuck: u64,
    pub terms: u64,
    pub compared: u64,
    pub stale_syncs: u64,
    pub calm: bool,
}

impl World {
    pub fn new(seed: u64, verbose: bool, traced: bool) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut plan = Plan::draw(&mut random);
        // By another die: the stories of seeds without them are what they were.
        plan.reconfigures = StdRng::seed_from_u64(!seed).random_bool(0.4);
        let count = plan.voters + plan.observers;
        let nodes: Vec<Node> = (0..count).map(|n| Node::new(random.random(), n >= plan.voters)).collect();
        let lines = members(count, |n| n < plan.voters);
        if plan.reconfigures {
            nodes.iter().for_each(|node| configure(&node.disk, &lines));
        }
        let first = first(&lines);
        let clients = (0..plan.clients).map(|_| Client::new(3000)).collect();
        let mut world = World {
            random,
            now: 0,
            queue: BTreeMap::new(),
            sequence: 0,
            nodes,
            wires: BTreeMap::new(),
            next_wire: 1,
            cut: BTreeSet::new(),
            clients,
            connections: 0,
            check: Check::new(&first),
            first,
            counts: vec![0; FAULTS.len()],
            notes: VecDeque::new(),
            trace: traced.then(Vec::new),
            verbose,
            promises_checked: true,
            events: 0,
            expiries: 0,
            expired: 0,
            snapshots: 0,
            truncations: 0,
            copies: 0,
            handovers: 0,
            from_files: 0,
            stuck: 0,
            terms: 0,
            compared: 0,
            stale_syncs: 0,
            calm: false,
            plan,
        };
        for n in 0..count {
            let at = world.range(0, 100);
            world.at(at, Event::Boot(n));
            let at = world.range(0, world.plan.snapshot_pause);
            world.at(at, Event::Snapshot(n));
        }
        for c in 0..world.clients.len() {
            world.at(500, Event::Client(c));
        }
        let first = 800 + world.range(0, 500);
        world.at(first, Event::Fault);
        world
    }

    pub fn range(&mut self, from: i64, to: i64) -> i64 {
        if from >= to { from } else { self.random.random_range(from..to) }
    }

    pub fn chance(&mut self, p: f64) -> bool {
        p > 0.0 && self.random.random_bool(p)
    }

    pub fn count(&mut self, fault: Fault) {
        self.counts[fault as usize] += 1;
    }

    pub fn at(&mut self, at: i64, event: Event) {
        self.sequence += 1;
        self.queue.insert((at.max(self.now), self.sequence), event);
    }

    /// A server's monotonic clock.
    pub fn clock(&self, n: usize) -> i64 {
        self.now + self.nodes[n].jump_ms
    }

    pub fn note(&mut self, n: usize, what: &'static str, a: i64, b: i64) {
        if self.verbose {
            eprintln!("{:>6} server {} {what} {a:#x} {b:#x}", self.now, n + 1);
        }
        self.notes.push_back((self.now, n, what, a, b));
        if self.notes.len() > NOTES_MAX {
            self.notes.pop_front();
        }
    }

    pub fn say(&self, n: usize, what: &str) {
        eprintln!("{:>6} server {} : {what}", self.now, n + 1);
    }

    /// A number that two runs of a seed must share.
    pub fn fingerprint(&self) -> u64 {
        let mut sum = self.events;
        for (at, n, what, a, b) in &self.notes {
            for number in [*at, *n as i64, what.len() as i64, *a, *b] {
                sum = sum.wrapping_mul(0x0100_0000_01b3).wrapping_add(number as u64);
            }
        }
        sum
    }

    pub fn model(&mut self, step: Step) {
        if let Some(trace) = &mut self.trace {
            trace.push(step);
        }
    }

    pub fn take_trace(&mut self) -> Vec<Step> {
        self.trace.take().unwrap_or_default()
    }

    /// Runs to the end; true when nothing was violated.
    pub fn run(&mut self) -> bool {
        self.until(self.plan.faults_until, |_| false);
        if self.check.violation.is_none() {
            self.heal();
            // Everything heals: the ensemble must agree on everything in bounded time.
            let served = self.until(self.now + 30_000, World::serves);
            self.clients.iter_mut().for_each(|client| client.stopped = true);
            let settled = served && self.until(self.now + 10_000, World::is_settled);
            if !settled && self.check.violation.is_none() {
                self.check.fail("liveness: the ensemble has healed, and does not come to serve in 30 s");
            }
            if settled {
                self.compare_all();
            }
        }
        self.check.violation.is_none()
    }

    /// Runs events until a time, a violation, or a wish comes true.
    fn until(&mut self, end: i64, wish: impl Fn(&World) -> bool) -> bool {
        while self.check.violation.is_none() {
            if self.events.is_multiple_of(64) && wish(self) {
                return true;
            }
            let Some(entry) = self.queue.first_entry() else { return false };
            if entry.key().0 > end {
                self.now = end;
                return wish(self);
            }
            let ((at, _), event) = entry.remove_entry();
            self.now = at;
            self.events += 1;
            self.step(event);
        }
        false
    }

    fn lives(&self, n: usize, incarnation: u64) -> bool {
        self.nodes[n].process.is_some() && self.nodes[n].incarnation == incarnation
    }

    fn give(&mut self, n: usize, input: Input) {
        if let Some(p) = &mut self.nodes[n].process {
            p.inbox.push_back(input);
            self.pump(n);
        }
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Boot(n) => self.boot(n),
            Event::Tick(n, incarnation) => {
                if self.lives(n, incarnation) {
                    self.at(self.now + 25, Event::Tick(n, incarnation));
                    let paused = self.nodes[n].process.as_ref().is_some_and(|p| p.blocked_until > self.now);
                    if !paused {
                        self.give(n, Input::Tick);
                    }
                }
            }
            Event::Pump(n, incarnation) => {
                if self.lives(n, incarnation) {
                    self.pump(n);
                }
            }
            Event::Input(n, incarnation, input) => {
                if self.lives(n, incarnation) {
                    self.give(n, *input);
                }
            }
            Event::Vote { from, to, notification } => {
                if self.cut.contains(&(from, to)) {
                    self.count(Fault::VoteLost);
                } else {
                    self.give(to, Input::Notification(from, notification));
                }
            }
            Event::Dial { from, incarnation, to } => {
                if self.lives(from, incarnation) {
                    let at = self.now + self.range(1, 4);
                    self.at(at, Event::Arrive { from, incarnation, to });
                }
            }
            Event::Arrive { from, incarnation, to } => self.arrive(from, incarnation, to),
            Event::Wire(wire, side) => self.deliver(wire, side),
            Event::Client(c) => self.client_acts(c),
            Event::ToServer { node, incarnation, connection, client, message } => {
                if self.lives(node, incarnation) {
                    self.give(node, Input::Client { connection, client, message: *message });
                } else {
                    self.tell_client(client, connection, 0, ToClient::Closed);
                }
            }
            Event::ToClient { client, connection, message } => self.client_hears(client, connection, *message),
            Event::Fault => {
                if !self.calm {
                    let at = self.now + 1 + self.range(0, 2 * self.plan.fault_pause);
                    self.at(at, Event::Fault);
                    self.strike();
                }
            }
            Event::Heal(from, to) => self.free(from, to),
            Event::Calm(n) => self.nodes[n].disk.set_faults(DiskFaults::default()),
            Event::BreakOneOf(n) => {
                let of_it = |wire: &&u64| self.wires[*wire].ends.iter().any(|end| end.node == n);
                let ids: Vec<u64> = self.wires.keys().filter(of_it).copied().collect();
                if !ids.is_empty() && !self.calm {
                    let id = ids[self.range(0, ids.len() as i64) as usize];
                    self.break_wire(id);
                }
            }
            Event::Snapshot(n) => {
                let at = self.now + 1 + self.range(0, 2 * self.plan.snapshot_pause);
                self.at(at, Event::Snapshot(n));
                self.give(n, Input::Snapshot);
            }
        }
    }

    // ---- the network

    fn latency(&mut self) -> i64 {
        if !self.calm && self.chance(self.plan.delay) {
            self.count(Fault::Delay);
            return self.range(10, 400);
        }
        self.range(1, 5)
    }

    /// A vote: the newest is what counts, and it is sent again when a way is free.
    pub fn send_vote(&mut self, from: usize, to: usize, notification: Notification) {
        if to >= self.nodes.len() {
            return;
        }
        self.nodes[from].mail.insert(to, notification.clone());
        if !self.calm && self.chance(self.plan.delay) {
            return self.count(Fault::VoteLost);
        }
        // One connection for each pair keeps the order; delays between pairs differ.
        let at = self.now + 2;
        self.at(at, Event::Vote { from, to, notification });
    }

    fn arrive(&mut self, from: usize, incarnation: u64, to: usize) {
        if !self.lives(from, incarnation) {
            return;
        }
        let leads = self.nodes[to].process.as_ref().is_some_and(|p| matches!(p.role, Role::Leading(_)));
        if self.cut.contains(&(from, to)) || self.cut.contains(&(to, from)) || !leads {
            return self.give(from, Input::Refused);
        }
        let id = self.next_wire;
        self.next_wire += 1;
        let end = |node, incarnation, link| End { node, incarnation, link, open: true };
        let ends = [end(from, incarnation, LEADER), end(to, self.nodes[to].incarnation, id)];
        self.wires.insert(id, Wire { ends, to: [Direction::default(), Direction::default()], broken: false });
        if let Some(p) = &mut self.nodes[to].process {
            p.wires.insert(id, id);
        }
        self.give(to, Input::Opened(id));
        self.give(from, Input::Connected(id));
    }

    fn side_of(wire: &Wire, n: usize) -> usize {
        usize::from(wire.ends[1].node == n)
    }

    /// A message leaves server `n`.
    pub fn transmit(&mut self, id: u64, n: usize, message: Message) {
        let latency = self.latency();
        let Some(wire) = self.wires.get_mut(&id) else { return };
        let side = Self::side_of(wire, n);
        if !wire.ends[side].open || wire.broken {
            return;
        }
        let direction = &mut wire.to[1 - side];
        let at = (self.now + latency).max(direction.last_at);
        direction.last_at = at;
        direction.queue.push_back(message);
        self.at(at, Event::Wire(id, 1 - side));
    }

    /// Server `n` ends a connection; the other side hears of it behind what was sent.
    pub fn hang_up(&mut self, id: u64, n: usize) {
        self.transmit(id, n, Message::Fin);
        self.abandon(id, n);
    }

    /// Server `n` is gone without a word.
    pub fn abandon(&mut self, id: u64, n: usize) {
        if let Some(wire) = self.wires.get_mut(&id) {
            let side = Self::side_of(wire, n);
            wire.ends[side].open = false;
            if wire.is_over() {
                self.wires.remove(&id);
            }
        }
    }

    fn deliver(&mut self, id: u64, side: usize) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        let (to, from) = (wire.ends[side], wire.ends[1 - side]);
        if self.cut.contains(&(from.node, to.node)) {
            wire.to[side].stalled += 1;
            return self.count(Fault::MessageStalled);
        }
        let Some(message) = wire.to[side].queue.pop_front() else { return };
        if wire.is_over() {
            self.wires.remove(&id);
        }
        if !to.open || !self.lives(to.node, to.incarnation) {
            // Nobody is there; a machine that is up says so.
            if from.open && !matches!(message, Message::Fin) && self.nodes[to.node].process.is_some() {
                let at = self.now + self.range(1, 4);
                self.reset(id, 1 - side, at);
            }
            return;
        }
        match message {
            Message::Packet(bytes) => self.give(to.node, Input::Packet(to.link, super::outputs::decode(&bytes))),
            Message::Copy { bytes, last } => self.give(to.node, Input::Copy(bytes, last)),
            Message::Fin => {
                self.abandon(id, to.node);
                self.give(to.node, Input::Closed(to.link));
            }
        }
    }

    /// One side hears that the connection is gone.
    fn reset(&mut self, id: u64, side: usize, at: i64) {
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.to[side].queue.clear();
            wire.to[side].queue.push_back(Message::Fin);
            wire.to[side].last_at = at;
            self.at(at, Event::Wire(id, side));
        }
    }

    /// A connection breaks: of what is on its way, a part arrives.
    pub fn break_wire(&mut self, id: u64) {
        self.count(Fault::ConnectionBroken);
        for side in 0..2 {
            let Some(wire) = self.wires.get_mut(&id) else { return };
            wire.broken = true;
            let queued = wire.to[side].queue.len();
            let kept = self.random.random_range(0..=queued);
            let lost = queued - kept;
            for _ in 0..lost {
                self.count(Fault::MessageLost);
            }
            let Some(wire) = self.wires.get_mut(&id) else { return };
            wire.to[side].queue.truncate(kept);
            wire.to[side].queue.push_back(Message::Fin);
            let at = wire.to[side].last_at.max(self.now) + 1;
            self.at(at, Event::Wire(id, side));
        }
    }

    pub fn free(&mut self, from: usize, to: usize) {
        if !self.cut.remove(&(from, to)) {
            return;
        }
        let mut due = Vec::new();
        for (id, wire) in &mut self.wires {
            for side in 0..2 {
                if wire.ends[1 - side].node == from && wire.ends[side].node == to {
                    due.extend(std::iter::repeat_n((*id, side), std::mem::take(&mut wire.to[side].stalled) as usize));
                }
            }
        }
        for (id, side) in due {
            self.at(self.now + 1, Event::Wire(id, side));
        }
        if let Some(notification) = self.nodes[from].mail.get(&to).cloned()
            && self.nodes[from].process.is_some()
        {
            self.at(self.now + 3, Event::Vote { from, to, notification });
        }
    }

    /// Everybody serves in one term, and a write of it was committed.
    fn serves(&self) -> bool {
        let mut epochs = BTreeSet::new();
        let all = self.nodes.iter().all(|node| {
            node.process.as_ref().is_some_and(|p| {
                epochs.insert(p.epoch);
                p.serving
            })
        });
        all && epochs.len() == 1
            && self.now > self.plan.faults_until + 1500
            && self.check.last().epoch() == *epochs.first().unwrap_or(&0) as u32
    }

    /// Nothing is on its way.
    fn is_settled(&self) -> bool {
        self.serves()
            && self.nodes.iter().all(|node| {
                let rests = |p: &super::process::Process| p.unapplied.is_empty() && p.to_log.is_empty() && !p.log_busy;
                node.process.as_ref().is_some_and(|p| rests(p)) && node.ghost.len() == self.check.committed.len()
            })
    }

    /// The trees of all servers are one, in memory and on disk.
    fn compare_all(&mut self) {
        let expected = super::check::dump(&self.check.tree);
        for n in 0..self.nodes.len() {
            let Some(p) = &self.nodes[n].process else { continue };
            let (active, newest) = (p.membership.active(), self.check.configuration());
            if !active.is_same(newest) || p.membership.is_pending() {
                return self.check.fail(format!(
                    "in the end server {} has the configuration {active}, and {newest} is in force",
                    n + 1
                ));
            }
            let found = super::check::dump(&p.tree);
            if let Some(odd) = difference(&expected, &found) {
                return self.check.fail(format!("D11: in the end server {} has another tree: {odd}", n + 1));
            }
            let last = self.check.last();
            // What every start would find, also if the newest snapshot were gone.
            let mut disk = self.nodes[n].disk.fork();
            let dirs = self.nodes[n].dirs.clone();
            for older in 0..3 {
                let loaded = match super::process::load(&disk, &dirs) {
                    Ok(loaded) => loaded,
                    Err(error) if older == 0 => {
                        return self.check.fail(format!("D8: server {} would not start: {error}", n + 1));
                    }
                    // Without the newest snapshot there may be no unbroken way, and then it says so.
                    Err(_) => break,
                };
                let found = super::check::dump(&loaded.tree);
                if let Some(odd) = difference(&expected, &found) {
                    return self.check.fail(format!(
                        "D8: server {} would start at {} with another tree ({older} snapshots taken away): {odd}",
                        n + 1,
                        loaded.last
                    ));
                }
                if loaded.last < last {
                    return self.check.fail(format!("D8: server {} would start at {} of {last}", n + 1, loaded.last));
                }
                if self.nodes[n].interrupted {
                    break;
                }
                let Ok(snapshots) = dirs.list_snapshots(&disk) else { break };
                let Some(newest) = snapshots.first().filter(|_| snapshots.len() > 1) else { break };
                disk = disk.fork();
                if crate::store::Disk::remove(&disk, &dirs.snapshots.join(&newest.name)).is_err() {
                    break;
                }
            }
        }
    }

    /// The last things that happened, for a human.
    pub fn story(&self) -> Vec<String> {
        self.notes.iter().map(|(at, n, what, a, b)| format!("{at:>6} server {} {what} {a:#x} {b:#x}", n + 1)).collect()
    }
}

fn difference(expected: &[String], found: &[String]) -> Option<String> {
    if expected == found {
        return None;
    }
    let lacks = expected.iter().find(|line| !found.contains(line));
    let has = found.iter().find(|line| !expected.contains(line));
    Some(format!("lacks {lacks:?}, has {has:?}"))
}
