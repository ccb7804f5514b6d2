//! The loop of a generator thread: one poller, many sessions, all requests that are due written with one call, replies
//! parsed in place. Knows no workload but through [`Workload`], and no output; `run` starts it and reads its outcome.

use super::connection::{Connection, Frame, Tag};
use super::stats::{Class, Outcome};
use crate::client::Options;
use mio::{Events, Interest, Poll, Token};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Room for one read; grows when an answer is longer.
const READ_BYTES: usize = 256 * 1024;
/// Events taken from the poller at once.
const EVENTS: usize = 1024;
/// How often idle sessions are looked after.
const SWEEP: Duration = Duration::from_secs(1);
/// How long replies may take after the end before they are given up.
const DRAIN: Duration = Duration::from_secs(30);
/// How long a blocking read may last before the end of the run is looked for.
const BLOCKED: Duration = Duration::from_millis(50);
/// Bytes a session may have waiting for its socket before it gets no new requests.
const UNSENT_MAX: usize = 1 << 20;

/// What the sessions ask for.
pub trait Workload: Send {
    /// What is counted apart.
    fn classes(&self) -> &'static [Class];

    /// Writes opcode and record of the next request of session `index`; `None` when it has none now.
    fn next(&mut self, index: usize, now_ns: u64, out: &mut Vec<u8>) -> Option<Tag>;

    /// The error a reply carries where its header says Ok.
    fn hidden_error(&self, _tag: Tag, _body: &[u8]) -> i32 {
        0
    }

    /// A reply came. Sessions that have something to ask because of it go to `wake`.
    fn answered(&mut self, _index: usize, _tag: Tag, _wake: &mut Vec<usize>) {}

    /// An event came; gives the class and the instant it is to be measured from.
    fn notified(&mut self, _index: usize, _path: &[u8], _wake: &mut Vec<usize>) -> Option<(u8, u64)> {
        None
    }

    /// True when there will be no more requests at all.
    fn exhausted(&self) -> bool {
        false
    }
}

impl<W: Workload + ?Sized> Workload for Box<W> {
    fn classes(&self) -> &'static [Class] {
        (**self).classes()
    }
    fn next(&mut self, index: usize, now_ns: u64, out: &mut Vec<u8>) -> Option<Tag> {
        (**self).next(index, now_ns, out)
    }
    fn hidden_error(&self, tag: Tag, body: &[u8]) -> i32 {
        (**self).hidden_error(tag, body)
    }
    fn answered(&mut self, index: usize, tag: Tag, wake: &mut Vec<usize>) {
        (**self).answered(index, tag, wake);
    }
    fn notified(&mut self, index: usize, path: &[u8], wake: &mut Vec<usize>) -> Option<(u8, u64)> {
        (**self).notified(index, path, wake)
    }
    fn exhausted(&self) -> bool {
        (**self).exhausted()
    }
}

/// When to measure, and how hard to drive.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The run's beginning; all times count from it.
    pub begin: Instant,
    /// Replies before this are not counted.
    pub warmup: Duration,
    /// How long to measure, or for ever.
    pub duration: Option<Duration>,
    /// How many requests to send, or any number.
    pub requests: Option<u64>,
    /// Requests per second of this thread, or as fast as replies come.
    pub rate: Option<f64>,
    /// Requests under way in each session.
    pub depth: usize,
    /// Counted operations of all threads, for the progress bar.
    pub progress: Arc<AtomicU64>,
}

impl Plan {
    /// Time since the beginning, ns.
    pub fn now_ns(&self) -> u64 {
        self.begin.elapsed().as_nanos() as u64
    }

    /// When measuring ends, ns.
    pub fn end_ns(&self) -> u64 {
        self.duration.map_or(u64::MAX, |duration| (self.warmup + duration).as_nanos() as u64)
    }
}

/// The sessions of one generator thread.
pub struct Engine {
    poll: Poll,
    connections: Vec<Connection>,
}

impl Engine {
    /// Opens `sessions` sessions, spread over the addresses.
    pub fn open(addresses: &[SocketAddr], sessions: usize, options: &Options) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::with_capacity(sessions);
        for index in 0..sessions {
            let mut connection = Connection::open(addresses[index % addresses.len()], options)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut connection.socket, Token(index), interest)?;
            connections.push(connection);
        }
        Ok(Engine { poll, connections })
    }

    /// Drives the workload to the plan's end, waits for what is under way and closes the sessions.
    pub fn run<W: Workload>(mut self, workload: &mut W, plan: &Plan) -> Outcome {
        let mut drive = Drive::new(workload, plan);
        for index in 0..self.connections.len() {
            drive.refill(index, &mut self.connections);
        }
        let lone = self.connections.len() == 1 && plan.depth == 1 && plan.rate.is_none();
        if lone && let Err(error) = self.block(true) {
            drive.outcome.lose(error);
        }
        let mut events = Events::with_capacity(EVENTS);
        let mut sweep_ns = 0;
        while !drive.over(&self.connections) {
            if lone {
                drive.ready(0, &mut self.connections);
            } else if let Err(error) = self.poll.poll(&mut events, Some(drive.patience(sweep_ns)))
                && error.kind() != io::ErrorKind::Interrupted
            {
                drive.outcome.lose(format!("poll: {error}"));
                break;
            }
            drive.now_ns = plan.now_ns();
            for event in &events {
                drive.ready(event.token().0, &mut self.connections);
            }
            drive.wake(&mut self.connections);
            drive.pace(&mut self.connections);
            if drive.now_ns >= sweep_ns {
                sweep_ns = drive.now_ns + SWEEP.as_nanos() as u64;
                drive.sweep(&mut self.connections);
            }
        }
        let outcome = drive.finish();
        if !lone || self.block(false).is_ok() {
            self.close();
        }
        outcome
    }

    /// A lone request under way can be waited for in the read itself: a system call less, which shows in the latency
    /// of a fast server.
    fn block(&self, blocking: bool) -> io::Result<()> {
        for connection in &self.connections {
            let socket = socket2::SockRef::from(&connection.socket);
            socket.set_nonblocking(!blocking)?;
            socket.set_read_timeout(blocking.then_some(BLOCKED))?;
        }
        Ok(())
    }

    /// Ends the sessions, so that the server need not wait for their timeouts. Nobody waits for the answers.
    fn close(&mut self) {
        for connection in self.connections.iter_mut().filter(|connection| connection.alive) {
            connection.put_close();
            let _ = connection.flush(0);
        }
        let until = Instant::now() + Duration::from_secs(2);
        let mut scratch = vec![0; READ_BYTES];
        let mut events = Events::with_capacity(EVENTS);
        let mut open = self.connections.iter().filter(|connection| connection.alive).count();
        while open > 0 && Instant::now() < until {
            if self.poll.poll(&mut events, Some(Duration::from_millis(100))).is_err() {
                return;
            }
            for event in &events {
                let connection = &mut self.connections[event.token().0];
                // The answer to closeSession is no reply that is waited for, so it ends the reading as the close does.
                if connection.alive && connection.read(&mut scratch, |_| {}).is_err() {
                    connection.alive = false;
                    open -= 1;
                }
            }
        }
    }
}

/// A run in progress.
struct Drive<'a, W> {
    workload: &'a mut W,
    plan: &'a Plan,
    outcome: Outcome,
    scratch: Vec<u8>,
    woken: Vec<usize>,
    now_ns: u64,
    warm_ns: u64,
    end_ns: u64,
    issued: u64,
    under_way: usize,
    counted: u64,
    turn: usize,
}

impl<'a, W: Workload> Drive<'a, W> {
    fn new(workload: &'a mut W, plan: &'a Plan) -> Self {
        let outcome = Outcome::new(workload.classes().len());
        Drive {
            workload,
            plan,
            outcome,
            scratch: vec![0; READ_BYTES],
            woken: Vec::new(),
            now_ns: plan.now_ns(),
            warm_ns: plan.warmup.as_nanos() as u64,
            end_ns: plan.end_ns(),
            issued: 0,
            under_way: 0,
            counted: 0,
            turn: 0,
        }
    }

    fn may_issue(&self) -> bool {
        self.now_ns < self.end_ns && self.plan.requests.is_none_or(|most| self.issued < most)
    }

    fn over(&self, connections: &[Connection]) -> bool {
        if self.now_ns >= self.end_ns && self.end_ns != u64::MAX {
            let given_up = self.now_ns >= self.end_ns + DRAIN.as_nanos() as u64;
            return given_up || self.under_way == 0;
        }
        let done = !self.may_issue() || self.workload.exhausted();
        (done && self.under_way == 0) || connections.iter().all(|connection| !connection.alive)
    }

    fn patience(&self, sweep_ns: u64) -> Duration {
        if self.plan.rate.is_some() && self.may_issue() {
            return Duration::from_millis(1);
        }
        let until = if self.now_ns < self.end_ns { sweep_ns.min(self.end_ns) } else { sweep_ns };
        Duration::from_nanos(until.saturating_sub(self.now_ns)).max(Duration::from_millis(1))
    }

    /// The poller says that a socket can be read or written.
    fn ready(&mut self, index: usize, connections: &mut [Connection]) {
        let connection = &mut connections[index];
        if !connection.alive {
            return;
        }
        loop {
            // One clock reading for all replies of one read, and for the requests that follow from them.
            let mut clock = Some(self.plan);
            let mut scratch = std::mem::take(&mut self.scratch);
            let result = connection.read(&mut scratch, |frame| {
                if let Some(plan) = clock.take() {
                    self.now_ns = plan.now_ns();
                }
                self.frame(index, frame);
            });
            self.scratch = scratch;
            match result {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return self.lose(connection, &error),
            }
        }
        self.plan.progress.fetch_add(std::mem::take(&mut self.counted), Ordering::Relaxed);
        self.refill(index, connections);
    }

    fn frame(&mut self, index: usize, frame: Frame<'_>) {
        match frame {
            Frame::Reply { request, err, body } => {
                self.under_way -= 1;
                let err = if err == 0 { self.workload.hidden_error(request.tag, body) } else { err };
                match err {
                    0 => self.count(request.tag.class, request.start_ns),
                    _ => self.outcome.error(err),
                }
                self.workload.answered(index, request.tag, &mut self.woken);
            }
            Frame::Event(path) => {
                if let Some((class, start_ns)) = self.workload.notified(index, path, &mut self.woken) {
                    self.count(class, start_ns);
                }
            }
        }
    }

    fn count(&mut self, class: u8, start_ns: u64) {
        if (self.warm_ns..self.end_ns).contains(&self.now_ns) {
            self.outcome.latencies[usize::from(class)].record(self.now_ns.saturating_sub(start_ns));
            self.outcome.last_ns = self.now_ns;
            self.counted += 1;
        }
    }

    /// Fills a session up to the depth and writes it all at once.
    fn refill(&mut self, index: usize, connections: &mut [Connection]) {
        if self.plan.rate.is_none() {
            let connection = &mut connections[index];
            while connection.pending.len() < self.plan.depth
                && connection.unsent() < UNSENT_MAX
                && self.issue(index, connection, self.now_ns)
            {}
        }
        self.flush(&mut connections[index]);
    }

    fn issue(&mut self, index: usize, connection: &mut Connection, due_ns: u64) -> bool {
        if !self.may_issue() || !connection.alive {
            return false;
        }
        let put = connection.put(due_ns, |out| self.workload.next(index, self.now_ns, out));
        self.issued += u64::from(put);
        self.under_way += usize::from(put);
        put
    }

    fn flush(&mut self, connection: &mut Connection) {
        if connection.alive
            && connection.unsent() > 0
            && let Err(error) = connection.flush(self.now_ns)
        {
            self.lose(connection, &error);
        }
    }

    fn wake(&mut self, connections: &mut [Connection]) {
        while let Some(index) = self.woken.pop() {
            self.refill(index, connections);
        }
    }

    /// With a rate: sends what is due by now, in turn over the sessions. A request that finds all sessions full waits,
    /// and its waiting counts as latency.
    fn pace(&mut self, connections: &mut [Connection]) {
        let Some(rate) = self.plan.rate else { return };
        let due = (self.now_ns as f64 * rate / 1e9) as u64;
        let mut full = 0;
        while self.issued < due && full < connections.len() && self.may_issue() {
            self.turn = (self.turn + 1) % connections.len();
            let connection = &mut connections[self.turn];
            let due_ns = (self.issued as f64 * 1e9 / rate) as u64;
            let room = connection.pending.len() < self.plan.depth;
            full = if room && self.issue(self.turn, connection, due_ns) { 0 } else { full + 1 };
        }
        connections.iter_mut().for_each(|connection| self.flush(connection));
    }

    fn sweep(&mut self, connections: &mut [Connection]) {
        for connection in connections.iter_mut().filter(|connection| connection.alive) {
            if connection.wants_ping(self.now_ns) {
                connection.put_ping();
                self.flush(connection);
            }
        }
    }

    fn lose(&mut self, connection: &mut Connection, error: &io::Error) {
        connection.alive = false;
        self.under_way -= connection.pending.len();
        connection.pending.clear();
        self.outcome.lose(error);
    }

    fn finish(mut self) -> Outcome {
        if self.under_way > 0 {
            self.outcome.lose(format!("{} requests were never answered", self.under_way));
        }
        self.outcome.latencies.iter_mut().for_each(super::stats::Latencies::settle);
        self.outcome
    }
}
