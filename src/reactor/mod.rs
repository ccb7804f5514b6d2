//! The reactor: bytes and deliveries in; bytes, submissions and connections to close out. It owns connections, their
//! lanes and their watches, and no socket, clock or lock, so that the server and a simulator run the same code. The
//! shell that moves the bytes is `server::reactor_thread`; what the operations read is in `read`.
//!
//! The catch-up rule: a turn runs under shared access to the tree, works off everything that was delivered up to the
//! tree's zxid, and only then reads. Deliveries are made under exclusive access, so nothing can be missing (WATCH-1, WATCH-3).

mod auditing;
mod connection;
mod counts;
mod events;
mod guarding;
mod handshake;
mod identities;
mod listing;
mod messages;
mod read;
mod reply;
mod slow;
mod talking;
mod watches;

pub use connection::{Connection, ConnectionStats, WaitingRead};
pub use counts::{ReactorStats, Sizes, count_namespace};
pub use listing::Listings;
pub use messages::{Delivery, Item, Submission, Turn, Wanted};
pub use read::{ReadRequest, WatchAction, execute, put_event};
pub use reply::put_write_reply;
pub use watches::{Number, WatchKind, WatcherType, Watches};

use crate::audit;
use crate::auth::Policy;
use crate::engine::ConnectionKey;
use crate::guard::{Budget, PrefixRates, Rates};
use crate::jute::{Decode, Reader};
use crate::metrics::{self, Provider, Readings};
use crate::metrics::{
    RESPONSE_PACKET_GET_CHILDREN_CACHE_HITS as CACHE_HITS, RESPONSE_PACKET_GET_CHILDREN_CACHE_MISSES as CACHE_MISSES,
};
use crate::proto::acl::Id;
use crate::proto::records::RequestHeader;
use crate::proto::session::SessionId;
use crate::proto::{Class, ErrorCode, OpCode, Zxid};
use crate::talkers::{self, Ledger, Tally, path_bytes, path_of};
use crate::throttle::{Entry, LargeRequests, RequestThrottle, pauses_reading};
use crate::tree::Tree;
use auditing::{Audited, Departed};
use connection::{State, Waiting};
use hashbrown::HashMap;
use read::{begin_reply, end_reply};
use slow::Slow;
use std::net::SocketAddr;
use std::sync::Arc;

/// Requests of one connection that may wait in its lane.
pub const LANE_MAX: usize = 4096;
/// Bytes of requests of one connection that may wait in its lane.
pub const LANE_BYTES_MAX: usize = 4 << 20;
/// Output that a client has not taken yet and above which no further request of it is looked at.
pub const OUTPUT_SOFT_MAX: usize = 64 << 10;
/// Output above which the connection is closed: its watch events come faster than it reads. It finds out what it
/// missed when it sets its watches again.
pub const OUTPUT_HARD_MAX: usize = 16 << 20;

/// What the operator decides about connections.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who may do what.
    pub policy: Arc<Policy>,
    /// `jute.maxbuffer`: longest frame.
    pub frame_max: usize,
    /// Longest string or buffer in a frame.
    pub field_max: usize,
    /// Least session timeout, ms.
    pub min_session_timeout_ms: i32,
    /// Greatest session timeout, ms.
    pub max_session_timeout_ms: i32,
    /// Connections without a session and without a word are closed after this, ms.
    pub sessionless_timeout_ms: i64,
    /// A member of an ensemble: a sync waits for the leader.
    pub ensemble: bool,
    /// `globalOutstandingLimit`.
    pub outstanding_max: i32,
    /// `request_throttle_*`.
    pub throttle: RequestThrottle,
    /// `largeRequest*`, over all reactors.
    pub large: Arc<LargeRequests>,
    /// Which metrics provider is configured.
    pub provider: Provider,
    /// How it is counted who loads the server; `None` counts nothing.
    pub talkers: Option<talkers::Settings>,
    /// `audit.enable`.
    pub audit: bool,
    /// Budgets of memory and disk, over all reactors.
    pub budget: Arc<Budget>,
    /// Rates of identities.
    pub rates: Option<Arc<dyn Rates>>,
    /// Rates of places in the tree, over all reactors.
    pub prefix_rates: Arc<PrefixRates>,
    /// Requests that take at least so long are logged, ms; 0 logs none.
    pub slow_request_ms: i64,
    /// Words of four letters that are commands.
    pub is_word: fn([u8; 4]) -> bool,
}

/// Bytes in front of a request's record: the frame's length, xid and operation.
const HEADER: usize = 12;

/// Whether a request goes to the engine, and not to the tree.
fn travels(class: Option<Class>, op: OpCode, ensemble: bool) -> bool {
    matches!(class, Some(Class::Write | Class::Session)) || ensemble && op == OpCode::SYNC
}

/// A reactor.
#[derive(Debug)]
pub struct Reactor {
    id: u16,
    settings: Arc<Settings>,
    /// There is no leader: clients may read.
    read_only: bool,
    connections: HashMap<Number, Connection>,
    watches: Watches,
    next_number: Number,
    /// Sums.
    pub stats: ReactorStats,
    /// What is counted for metrics.
    pub readings: Readings,
    listings: Listings,
    told: Vec<Number>,
    actions: Vec<WatchAction>,
    ledger: Option<Box<Ledger>>,
    departed: Departed,
    slow: Slow,
    /// The name of who has proven nothing, of most connections.
    anyone: Arc<str>,
    /// Reads of this turn.
    reads: u32,
}

impl Reactor {
    /// A reactor without connections.
    pub fn new(id: u16, settings: Arc<Settings>) -> Self {
        // The clock of a server begins with it.
        let ledger = settings.talkers.map(|settings| Box::new(Ledger::new(settings, 0)));
        Reactor {
            id,
            readings: Readings::new(settings.provider),
            settings,
            read_only: false,
            connections: HashMap::new(),
            watches: Watches::default(),
            next_number: 1,
            stats: ReactorStats::default(),
            listings: Listings::default(),
            told: Vec::new(),
            actions: Vec::new(),
            ledger,
            departed: Departed::default(),
            slow: Slow::default(),
            anyone: talking::ANYONE.into(),
            reads: 0,
        }
    }

    /// Whether clients may do nothing but read from here on.
    pub fn set_read_only(&mut self, read_only: bool) {
        self.read_only = read_only;
    }

    /// A client has come.
    pub fn open(&mut self, remote: SocketAddr, now_ms: i64) -> Number {
        let number = self.next_number;
        self.next_number += 1;
        let identities: Arc<[Id]> = [crate::auth::ip_identity(remote.ip())].into();
        let name = self.name_of(&identities);
        let rate = self.rate_of(&identities);
        self.connections.insert(number, Connection::new(remote, identities, name, rate, now_ms));
        number
    }

    /// A connection is gone. Returns its session, which stays.
    pub fn closed(&mut self, number: Number) -> Option<SessionId> {
        self.watches.remove_connection(number);
        let connection = self.connections.remove(&number)?;
        let session = connection.session();
        self.remember_departed(number, &connection);
        if let Some(ledger) = &mut self.ledger {
            connection.fold(ledger);
        }
        for waiting in connection.lane {
            if let Waiting::Write { charge, place, .. } = waiting {
                self.settings.large.release(charge);
                if let (Some(ledger), Some(place)) = (&mut self.ledger, place) {
                    ledger.abandoned(place);
                }
            }
        }
        session
    }

    /// The key of a connection.
    pub fn key(&self, number: Number) -> ConnectionKey {
        ConnectionKey { reactor: self.id, number }
    }

    /// Connections, with what `cons` shows.
    pub fn connections(&self) -> impl Iterator<Item = (Number, &Connection)> {
        self.connections.iter().map(|(number, connection)| (*number, connection))
    }

    /// A connection by its number.
    pub fn connection(&self, number: Number) -> Option<&Connection> {
        self.connections.get(&number)
    }

    /// The watches.
    pub fn watches(&self) -> &Watches {
        &self.watches
    }

    /// Requests in the lanes of all connections.
    pub fn waiting(&self) -> usize {
        self.connections.values().map(Connection::queued).sum()
    }

    /// Forgets sums and latencies (`srst`).
    pub fn reset_statistics(&mut self) {
        self.readings.reset();
        self.stats = ReactorStats { auth_failed: self.stats.auth_failed, ..ReactorStats::default() };
    }

    /// Forgets the numbers of each connection (`crst`).
    pub fn reset_connections(&mut self) {
        for connection in self.connections.values_mut() {
            let established_ms = connection.stats.established_ms;
            connection.stats =
                ConnectionStats { established_ms, last_cxid: -1, last_zxid: -1, ..ConnectionStats::default() };
        }
    }

    /// Output to send; the shell takes what the socket took.
    pub fn output(&mut self, number: Number) -> Option<&mut Vec<u8>> {
        self.connections.get_mut(&number).map(|connection| &mut connection.output)
    }

    /// Whether the shell should read more of this connection; `load` is the number of requests in work on this server.
    pub fn wants_input(&self, number: Number, load: usize) -> bool {
        let connection = self.connections.get(&number);
        connection.is_some_and(|connection| connection.stalled_ms.is_none() && self.may_go_on(connection, load))
    }

    /// Whether a connection was held back with requests in its input, and may go on now without a byte from its socket.
    pub fn can_resume(&self, number: Number, load: usize) -> bool {
        self.wants_input(number, load) && self.connections.get(&number).is_some_and(|connection| connection.held_back)
    }

    /// Connections whose next request waits for the entry to clear (`request_throttle_max_requests`).
    pub fn stalled(&self) -> Vec<Number> {
        let stalled = self.connections.iter().filter(|(_, connection)| connection.stalled_ms.is_some());
        stalled.map(|(number, _)| *number).collect()
    }

    /// Pressure travels back to the socket: no frame is looked at while its answer would have to wait too long (BOUNDED).
    fn may_go_on(&self, connection: &Connection, load: usize) -> bool {
        match connection.state {
            State::Fresh | State::Open { .. } => {}
            State::Connecting | State::Closing => return false,
        }
        connection.output.len() <= OUTPUT_SOFT_MAX
            && connection.lane.len() < LANE_MAX
            && connection.lane_bytes < LANE_BYTES_MAX
            && !pauses_reading(self.settings.outstanding_max, 0, load, connection.writes_in_flight)
    }

    /// Connections that have been silent too long: without a session after their own limit, with one after its timeout.
    pub fn silent(&self, now_ms: i64, out: &mut Vec<Number>) {
        for (number, connection) in &self.connections {
            let limit = match connection.state {
                State::Open { .. } => i64::from(connection.timeout_ms).max(self.settings.sessionless_timeout_ms) * 2,
                _ => self.settings.sessionless_timeout_ms,
            };
            if now_ms - connection.heard_ms > limit {
                out.push(*number);
            }
        }
    }

    /// Everything the committing side has told, up to the tree's zxid.
    pub fn deliver(&mut self, tree: &Tree, delivery: Delivery, load: usize, now_ms: i64, turn: &mut Turn) {
        for item in delivery.items {
            match item {
                Item::Change(change) => self.notify(&change, turn),
                Item::Written { number, bytes, xid, zxid, close } => {
                    let reply = &delivery.bytes[bytes];
                    let Some(connection) = self.connections.get_mut(&number) else {
                        self.readings.add(metrics::STALE_REPLIES, i64::from(!close));
                        self.audit_departed(number, reply, turn);
                        continue;
                    };
                    connection.output.extend_from_slice(reply);
                    turn.flush.push(number);
                    if self.settings.ensemble {
                        self.readings.record(metrics::REQUESTS_IN_SESSION_QUEUE, connection.lane.len() as i64);
                    }
                    if let Some(Waiting::Write { op, since_ms, charge, place, path, audited }) =
                        connection.lane.pop_front()
                    {
                        self.settings.large.release(charge);
                        connection.writes_in_flight -= 1;
                        let latency = connection.replied(op, xid, zxid.0, since_ms, now_ms);
                        self.stats.count(latency);
                        counts::count_reply(&mut self.readings, &mut self.stats, op, reply.len(), latency, now_ms);
                        if let Some(ledger) = &mut self.ledger {
                            let time_us = latency.unsigned_abs() * 1_000;
                            let tally = Tally { requests: 0, bytes: reply.len() as u64, time_us };
                            connection.tally.add(tally);
                            ledger.came_back(op, place, tally);
                        }
                        if let Some(audited) = audited {
                            audited.tell(&self.settings, reply, &connection.identities, turn);
                        }
                        self.slow.waited(&self.settings, connection, op, xid, path.as_deref(), latency, now_ms);
                    }
                    if close {
                        connection.state = State::Closing;
                        turn.close.push(number);
                    } else {
                        let reads = self.advance(tree, number, now_ms, turn);
                        if self.settings.ensemble {
                            self.readings.record(metrics::READS_AFTER_WRITE_IN_SESSION_QUEUE, reads);
                            self.readings.record(metrics::READS_ISSUED_FROM_SESSION_QUEUE, reads);
                            self.readings.record(metrics::SESSION_QUEUES_DRAINED, 1);
                        }
                        self.read_on(tree, number, &[], load, now_ms, turn);
                    }
                }
                Item::Read { number, bytes, op, xid, zxid, since_ms, actions } => {
                    let Some(connection) = self.connections.get_mut(&number) else { continue };
                    let answer = &delivery.bytes[bytes];
                    if let Some(ledger) = &mut self.ledger {
                        // That it came was counted when it left the lane.
                        let tally = Tally { requests: 0, bytes: answer.len() as u64, time_us: 0 };
                        connection.tally.add(tally);
                        ledger.answered(op, tally);
                    }
                    connection.output.extend_from_slice(answer);
                    let latency = connection.replied(op, xid, zxid.0, since_ms, now_ms);
                    self.stats.count(latency);
                    self.slow.waited(&self.settings, connection, op, xid, None, latency, now_ms);
                    if !answer.is_empty() {
                        counts::count_answer(&mut self.readings, &mut self.stats, op, answer, latency, now_ms);
                    }
                    turn.flush.push(number);
                    self.act(number, zxid, actions, now_ms);
                }
                Item::SessionOpened { number, session, timeout_ms, touch } => {
                    if self.session_opened(number, session, timeout_ms, touch, now_ms) {
                        turn.flush.push(number);
                        self.read_on(tree, number, &[], load, now_ms, turn);
                    }
                }
                Item::SessionRefused { number } => {
                    if let Some(connection) = self.connections.get_mut(&number) {
                        connection.refuse_session();
                        self.stats.sent += 1;
                        turn.flush.push(number);
                        turn.close.push(number);
                    }
                }
                Item::NotReadOnly { number } => {
                    self.last_words(number, 0, tree.zxid().0, ErrorCode::NOT_READ_ONLY, turn);
                }
                Item::CloseAll => {
                    turn.close.extend(self.connections.keys().copied());
                    // Another tree may follow, whose nodes have the same numbers.
                    self.listings = Listings::default();
                    // What they asked for is not answered any more.
                    self.departed = Departed::default();
                }
                Item::Close { number } => {
                    if let Some(connection) = self.connections.get_mut(&number) {
                        connection.state = State::Closing;
                        turn.close.push(number);
                    }
                }
            }
        }
    }

    /// Bytes from a client. The first of a connection decide between a four-letter word and a handshake.
    pub fn receive(&mut self, tree: &Tree, number: Number, bytes: &[u8], load: usize, now_ms: i64, turn: &mut Turn) {
        self.stats.bytes_received += bytes.len() as u64;
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.heard_ms = now_ms;
        }
        self.read_on(tree, number, bytes, load, now_ms, turn);
    }

    /// Works off what is in the input buffer and `bytes` behind it, frame by frame, as far as the lane allows.
    fn read_on(&mut self, tree: &Tree, number: Number, bytes: &[u8], load: usize, now_ms: i64, turn: &mut Turn) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        if connection.input.is_empty() {
            let used = self.frames(tree, number, bytes, load, now_ms, turn);
            if let Some(connection) = self.connections.get_mut(&number) {
                connection.input.extend_from_slice(&bytes[used..]);
            }
            return;
        }
        let mut input = std::mem::take(&mut connection.input);
        input.extend_from_slice(bytes);
        let used = self.frames(tree, number, &input, load, now_ms, turn);
        if let Some(connection) = self.connections.get_mut(&number) {
            input.drain(..used);
            if input.is_empty() {
                input = Vec::new();
            }
            connection.input = input;
        }
    }

    /// Whole frames at the start of `bytes`; returns how many bytes they were.
    fn frames(
        &mut self,
        tree: &Tree,
        number: Number,
        bytes: &[u8],
        load: usize,
        now_ms: i64,
        turn: &mut Turn,
    ) -> usize {
        let mut used = 0;
        while used < bytes.len() {
            let Some(connection) = self.connections.get(&number) else { break };
            let held_back = !self.may_go_on(connection, load);
            let Some(connection) = self.connections.get_mut(&number) else { break };
            connection.held_back = held_back;
            if held_back {
                break;
            }
            let rest = &bytes[used..];
            let Some((head, body)) = rest.split_first_chunk::<4>() else { break };
            if matches!(connection.state, State::Fresh) && (self.settings.is_word)(*head) {
                let argument = if head == b"stmk" { 8 } else { 0 };
                if body.len() < argument {
                    break;
                }
                connection.state = State::Closing;
                // The original counts a word and each piece of 2 KB of its answer; here the answer is one.
                self.stats.received += 1;
                self.stats.sent += 1;
                turn.words.push((number, *head, body[..argument].to_vec()));
                return bytes.len();
            }
            let length = i32::from_be_bytes(*head);
            let length = match usize::try_from(length).ok().filter(|length| *length <= self.settings.frame_max) {
                Some(length) => length,
                None => {
                    let hint = hint_of(head);
                    tracing::warn!(peer = %connection.remote, length, max = self.settings.frame_max, hint, "closing: no frame of that length is allowed");
                    self.hang_up(number, turn);
                    return bytes.len();
                }
            };
            if let Err(why) = self.settings.large.check(length) {
                self.readings.add(metrics::LARGE_REQUESTS_REJECTED, 1);
                tracing::warn!(peer = %connection.remote, %why, "closing (largeRequestMaxBytes)");
                self.hang_up(number, turn);
                return bytes.len();
            }
            let Some(frame) = body.get(..length) else { break };
            let entry = connection.entry(&self.settings.throttle, frame, load, now_ms);
            if entry == Entry::Stall {
                connection.stalled_ms.get_or_insert(now_ms);
                self.readings.add(metrics::REQUEST_THROTTLE_WAIT_COUNT, 1);
                break;
            }
            let waited_ms = connection.stalled_ms.take().map_or(0, |since_ms| now_ms - since_ms);
            if entry != Entry::Drop && counts::passes_the_throttle(connection, frame) {
                self.readings.record(metrics::REQUEST_THROTTLE_QUEUE_TIME_MS, waited_ms);
                self.readings.add(metrics::THROTTLED_OPS, i64::from(entry == Entry::SubmitThrottled));
                let stale = self.settings.throttle.stale_latency_check && waited_ms > i64::from(connection.timeout_ms);
                self.readings.add(metrics::STALE_REQUESTS, i64::from(stale));
            }
            used += 4 + length;
            self.stats.received += 1;
            connection.stats.received += 1;
            connection.tally.requests += 1;
            connection.tally.bytes += 4 + length as u64;
            match (&connection.state, entry) {
                (State::Fresh, _) => self.connect(tree, number, frame, turn),
                (_, Entry::Drop) => {
                    self.readings.add(metrics::STALE_REQUESTS_DROPPED, 1);
                    self.hang_up(number, turn);
                }
                (_, entry) => self.request(tree, number, frame, entry == Entry::SubmitThrottled, now_ms, turn),
            }
        }
        used
    }

    fn request(&mut self, tree: &Tree, number: Number, frame: &[u8], throttled: bool, now_ms: i64, turn: &mut Turn) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let State::Open { session, touch } = &connection.state else { return };
        let session = *session;
        let mut reader = Reader::new(frame, self.settings.field_max);
        let Ok(header) = RequestHeader::decode(&mut reader) else {
            tracing::warn!(peer = %connection.remote, session = format_args!("0x{session:x}"), "closing: a frame too short for a request header");
            return self.hang_up(number, turn);
        };
        if touch.is_closing() {
            // As the original: a request of a session that is ending is dropped without a word.
            return;
        }
        touch.touch(now_ms);
        let (op, body) = (OpCode(header.op), reader.rest());
        match op {
            OpCode::AUTH => return self.authenticate(number, header.xid, body, turn),
            OpCode::SASL => return self.sasl(number, header.xid, body, turn),
            _ => {}
        }
        if !self.settings.policy.admits(&connection.identities) {
            return self.last_words(number, header.xid, 0, ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH, turn);
        }
        let xid = if op == OpCode::PING { -2 } else { header.xid };
        let changes = self.read_only && (op.class() == Some(Class::Write) || op == OpCode::SYNC);
        let refusal = match (changes, throttled) {
            (true, _) => Some(ErrorCode::NOT_READ_ONLY),
            (_, true) => Some(ErrorCode::THROTTLED_OP),
            _ => self.refusal(number, op, body, now_ms),
        };
        let Some(connection) = self.connections.get_mut(&number) else { return };
        match (op.class(), refusal) {
            (None, _) => self.last_words(number, xid, -1, ErrorCode::UNIMPLEMENTED, turn),
            (Some(_), Some(error)) => {
                connection.lane.push_back(Waiting::Refused { op, xid, since_ms: now_ms, error });
                self.count_request(op, body, frame.len());
                self.advance(tree, number, now_ms, turn);
            }
            (class, None) if travels(class, op, self.settings.ensemble) => {
                let mut reads = Vec::new();
                while let Some(Waiting::Read(_)) = connection.lane.back() {
                    if let Some(Waiting::Read(read)) = connection.lane.pop_back() {
                        connection.lane_bytes -= read.body.len();
                        reads.push(read);
                    }
                }
                reads.reverse();
                let charge = match self.settings.large.charge(frame.len()) {
                    Ok(charge) => charge,
                    Err(why) => {
                        self.readings.add(metrics::LARGE_REQUESTS_REJECTED, 1);
                        tracing::warn!(peer = %connection.remote, %why, "closing (largeRequestMaxBytes)");
                        return self.hang_up(number, turn);
                    }
                };
                let bytes = HEADER + frame.len();
                let place = self.ledger.as_mut().and_then(|ledger| ledger.went(op, path_bytes(op, body), bytes));
                let path = if self.settings.slow_request_ms > 0 { path_of(op, body).map(Into::into) } else { None };
                let audited = (self.settings.audit && audit::is_audited(op)).then(|| Audited::new(session, op, body));
                connection.lane.push_back(Waiting::Write { op, since_ms: now_ms, charge, place, path, audited });
                connection.writes_in_flight += 1;
                if self.settings.ensemble {
                    self.readings.record(metrics::REQUESTS_IN_SESSION_QUEUE, connection.lane.len() as i64);
                }
                let identities = connection.identities.clone();
                reads.iter().for_each(|read| self.count_request(read.op, &read.body, read.body.len()));
                let what = Wanted::Write { session, xid, op, body: body.into(), identities, reads };
                turn.submissions.push(Submission { connection: ConnectionKey { reactor: self.id, number }, what });
            }
            (Some(_), None) if !connection.lane.is_empty() => {
                connection.lane_bytes += body.len();
                connection.lane.push_back(Waiting::Read(WaitingRead { xid, op, body: body.into(), since_ms: now_ms }));
                if self.settings.ensemble {
                    self.readings.record(metrics::REQUESTS_IN_SESSION_QUEUE, connection.lane.len() as i64);
                }
            }
            (Some(_), None) => {
                self.read(tree, number, xid, op, body, now_ms, now_ms);
                turn.flush.push(number);
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn read(&mut self, tree: &Tree, number: Number, xid: i32, op: OpCode, body: &[u8], since_ms: i64, now_ms: i64) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let request = ReadRequest {
            xid,
            op,
            body,
            session: connection.session().unwrap_or(0),
            identities: &connection.identities,
            field_max: self.settings.field_max,
        };
        let mut actions = std::mem::take(&mut self.actions);
        let (listings, start) = (&mut self.listings, connection.output.len());
        let found_before = listings.found;
        execute(tree, &self.settings.policy, &request, listings, &mut connection.output, &mut actions);
        let answer = &connection.output[start..];
        counts::count_namespace(&mut self.readings, &request, answer);
        if op == OpCode::GET_CHILDREN2 && counts::is_good(answer) {
            let found = listings.found > found_before;
            self.readings.add(if found { CACHE_HITS } else { CACHE_MISSES }, 1);
        }
        if self.settings.ensemble {
            self.reads += 1;
            self.readings.record(metrics::READ_COMMITPROC_TIME_MS, now_ms - since_ms);
        }
        let (size, path) = (answer.len(), || path_of(op, body));
        let latency = connection.replied(op, xid, tree.zxid().0, since_ms, now_ms);
        self.stats.count(latency);
        if let Some(ledger) = &mut self.ledger {
            connection.tally.bytes += size as u64;
            ledger.read(number, op, path_bytes(op, body), HEADER + body.len() + size);
        }
        if self.settings.slow_request_ms > 0 {
            self.slow.waited(&self.settings, connection, op, xid, path(), latency, now_ms);
            self.slow.read(number, op, xid, path(), size);
        }
        if size > 0 {
            let answer = &connection.output[start..];
            counts::count_answer(&mut self.readings, &mut self.stats, op, answer, latency, now_ms);
        }
        if !actions.is_empty() {
            self.act(number, tree.zxid(), actions.drain(..), now_ms);
        }
        self.actions = actions;
    }

    /// Registers and removes watches at this point of the stream of changes.
    fn act(&mut self, number: Number, zxid: Zxid, actions: impl IntoIterator<Item = WatchAction>, now_ms: i64) {
        for action in actions {
            match action {
                WatchAction::Add(path, kind) => self.watches.add(number, &path, kind),
                WatchAction::Find { path, kind, remove, xid } => {
                    let found = match remove {
                        true => self.watches.remove(number, &path, kind),
                        false => self.watches.contains(number, &path, kind),
                    };
                    let error = if found { ErrorCode::OK } else { ErrorCode::NO_WATCHER };
                    if let Some(connection) = self.connections.get_mut(&number) {
                        let frame = begin_reply(&mut connection.output, xid, zxid.0, error);
                        end_reply(&mut connection.output, frame);
                        let (size, latency) = (connection.output.len() - frame, connection.stats.last_latency_ms);
                        let op = OpCode::CHECK_WATCHES;
                        counts::count_reply(&mut self.readings, &mut self.stats, op, size, latency, now_ms);
                    }
                }
            }
        }
    }

    /// What stands at the head of a lane and is no write runs now. Returns how many these were.
    fn advance(&mut self, tree: &Tree, number: Number, now_ms: i64, turn: &mut Turn) -> i64 {
        let mut ran = 0;
        while let Some(connection) = self.connections.get_mut(&number)
            && let Some(waiting) = connection.lane.pop_front_if(|waiting| !matches!(waiting, Waiting::Write { .. }))
        {
            ran += 1;
            turn.flush.push(number);
            match waiting {
                Waiting::Read(WaitingRead { xid, op, body, since_ms }) => {
                    connection.lane_bytes -= body.len();
                    self.read(tree, number, xid, op, &body, since_ms, now_ms);
                }
                Waiting::Refused { op, xid, since_ms, error } => {
                    let zxid = tree.zxid().0;
                    let frame = begin_reply(&mut connection.output, xid, zxid, error);
                    end_reply(&mut connection.output, frame);
                    let latency = connection.replied(op, xid, zxid, since_ms, now_ms);
                    self.stats.count(latency);
                    let size = connection.output.len() - frame;
                    counts::count_reply(&mut self.readings, &mut self.stats, op, size, latency, now_ms);
                }
                Waiting::Write { .. } => unreachable!("left at the head"),
            }
        }
        ran
    }

    /// An error reply, then the end.
    fn last_words(&mut self, number: Number, xid: i32, zxid: i64, error: ErrorCode, turn: &mut Turn) {
        if let Some(connection) = self.connections.get_mut(&number) {
            let frame = begin_reply(&mut connection.output, xid, zxid, error);
            end_reply(&mut connection.output, frame);
            connection.stats.sent += 1;
            self.stats.sent += 1;
            connection.state = State::Closing;
            turn.flush.push(number);
            turn.close.push(number);
        }
    }

    fn hang_up(&mut self, number: Number, turn: &mut Turn) {
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.state = State::Closing;
            turn.close.push(number);
        }
    }
}

/// What a stranger probably wanted.
fn hint_of(head: &[u8; 4]) -> &'static str {
    match head {
        b"GET " | b"POST" | b"HEAD" | b"PUT " => "this looks like HTTP",
        [0x16, 3, ..] => "this looks like TLS on a port for plain text",
        [b'a'..=b'z', b'a'..=b'z', b'a'..=b'z', b'a'..=b'z'] => "this looks like an unknown four-letter word",
        _ => "",
    }
}
