//! Executes the steps of a plan on two servers at once and compares what the clients hear. Between the clients of one
//! side there is an order only where a step makes one: one client writes, the others wait; see `plan`.

use crate::describe;
use crate::normalize::long;
use crate::plan::{Connect, Password, Request, Step};
use crate::side::{Item, Kind, Side, Socket, encode};
use crate::words;
use oxkeeper::jute::{Decode, DecodeError, Reader};
use oxkeeper::proto::records::{CreateRequest, CreateTtlRequest, MultiHeader, PathVersionRequest, SetDataRequest};
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

/// How long an expiry may take beyond the session timeout.
const EXPIRY_PATIENCE: Duration = Duration::from_secs(10);
/// What clients say that want to be connected and nothing else.
const USUAL: Connect = Connect {
    protocol_version: 0,
    last_zxid: 0,
    relative: false,
    timeout_ms: 600_000,
    read_only: Some(0),
    trailing: vec![],
};

/// Two servers that did not say the same.
#[derive(Debug, Clone)]
pub struct Difference {
    /// Short and stable: what kind of difference. The shrinker keeps it.
    pub signature: String,
    /// For people.
    pub report: String,
}

/// Requests and answers so far: by operation, then by error code or other outcome of the reference.
pub type Tally = BTreeMap<i32, BTreeMap<i32, u64>>;

/// The two servers, and what the run has seen.
pub struct Pair {
    /// Reference first.
    pub sides: [Side; 2],
    /// Coverage.
    pub tally: Tally,
    /// Other things that happened, by name.
    pub events: BTreeMap<&'static str, u64>,
    /// Transactions that delete several nodes in an order nobody promises.
    unordered: HashSet<i64>,
}

type Outcome = Result<(), Difference>;

impl Pair {
    /// Two fresh servers.
    pub fn new(reference: Side, candidate: Side) -> Pair {
        let (tally, events) = (Tally::new(), BTreeMap::new());
        Pair { sides: [reference, candidate], tally, events, unordered: HashSet::new() }
    }

    /// Executes one step.
    pub fn step(&mut self, step: &Step) -> Outcome {
        match step {
            Step::Write { client, requests } => self.write(*client, requests),
            Step::Read { bursts } => self.read(bursts),
            Step::Garbage { client, bytes } => self.garbage(*client, bytes),
            Step::Drop { client } => {
                self.count("drops");
                self.sides.iter_mut().for_each(|side| side.clients[*client].socket = None);
                Ok(())
            }
            Step::Resume { client, password, connect, requests } => self.resume(*client, *password, connect, requests),
            Step::Probe { connect, stranger, requests } => self.probe(connect, stranger.as_ref(), requests),
            Step::Expire { requests, drop } => self.expire(requests, *drop),
            Step::Word { word } => self.word(word),
            Step::Restart { swap } => self.restart(*swap),
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.events.entry(what).or_default() += 1;
    }

    fn last_zxid(&self) -> i64 {
        self.sides[0].memory.last_zxid
    }

    /// One client's burst; requests that must stand alone cut it into pieces.
    fn write(&mut self, client: usize, requests: &[Request]) -> Outcome {
        let mut first = 0;
        while first < requests.len() {
            let piece = first_piece(&requests[first..]);
            self.connect(client)?;
            if piece[0].alone && piece[0].closes {
                self.settle(client)?;
            }
            let zxid = self.last_zxid();
            let mut bytes = vec![];
            encode(piece, zxid, &mut bytes);
            for side in &mut self.sides {
                if let Some(socket) = &mut side.clients[client].socket {
                    socket.send(&bytes);
                }
            }
            let heard = self.collect(client, first, piece);
            self.judge(&format!("client {client}"), requests, heard)?;
            first += piece.len();
        }
        Ok(())
    }

    fn read(&mut self, bursts: &[(usize, Vec<Request>)]) -> Outcome {
        for (client, _) in bursts {
            self.connect(*client)?;
        }
        let zxid = self.last_zxid();
        for (client, requests) in bursts {
            let mut bytes = vec![];
            encode(requests, zxid, &mut bytes);
            for side in &mut self.sides {
                if let Some(socket) = &mut side.clients[*client].socket {
                    socket.send(&bytes);
                }
            }
        }
        for (client, requests) in bursts {
            let heard = self.collect(*client, 0, requests);
            self.judge(&format!("client {client}"), requests, heard)?;
        }
        Ok(())
    }

    /// What the client hears on both sides until the requests are answered.
    fn collect(&mut self, client: usize, first: usize, requests: &[Request]) -> [Vec<Item>; 2] {
        let mut heard = [vec![], vec![]];
        for (side, items) in self.sides.iter_mut().zip(&mut heard) {
            let Some(mut socket) = side.clients[client].socket.take() else { continue };
            if side.answers(&mut socket, first, requests, items) {
                side.clients[client].socket = Some(socket);
            }
        }
        let closed = requests.last().is_some_and(|request| request.op == -11);
        if closed {
            self.sides.iter_mut().for_each(|side| side.clients[client].session = None);
        }
        heard
    }

    /// Makes sure that a client has a connection, with its old session if it has one.
    fn connect(&mut self, client: usize) -> Outcome {
        // Twice: a session may turn out to be gone.
        for _ in 0..2 {
            if self.sides.iter().all(|side| side.clients[client].socket.is_some()) {
                return Ok(());
            }
            let mut heard = [vec![], vec![]];
            for (side, items) in self.sides.iter_mut().zip(&mut heard) {
                let frame = side.resume_frame(client, &USUAL, Password::Right, 0);
                let Some(mut socket) = open(side, items) else { continue };
                socket.send(&frame);
                let (item, session) = side.connected(&mut socket);
                items.push(item);
                side.clients[client].session = session;
                side.clients[client].socket = session.map(|_| socket);
            }
            self.count("connects");
            self.judge(&format!("client {client} connects"), &[], heard)?;
        }
        Ok(())
    }

    /// Waits until a client has heard everything that happened so far: what waits in an output buffer when a
    /// connection is closed from the other end may or may not arrive.
    fn settle(&mut self, client: usize) -> Outcome {
        self.connect(client)?;
        let ping = [Request { xid: -2, op: 11, body: vec![], relative_zxid: None, alone: true, closes: false }];
        let mut bytes = vec![];
        encode(&ping, 0, &mut bytes);
        for side in &mut self.sides {
            if let Some(socket) = &mut side.clients[client].socket {
                socket.send(&bytes);
            }
        }
        let heard = self.collect(client, 0, &ping);
        self.judge(&format!("client {client}"), &ping, heard)
    }

    fn garbage(&mut self, client: usize, bytes: &[u8]) -> Outcome {
        self.settle(client)?;
        self.count("garbage");
        let mut heard = [vec![], vec![]];
        for (side, items) in self.sides.iter_mut().zip(&mut heard) {
            let Some(mut socket) = side.clients[client].socket.take() else { continue };
            socket.send(bytes);
            side.end(&mut socket, items);
        }
        self.judge(&format!("client {client} sends {}", describe::hex(bytes)), &[], heard)
    }

    fn resume(&mut self, client: usize, password: Password, connect: &Connect, requests: &[Request]) -> Outcome {
        self.settle(client)?;
        self.count("resumes");
        let zxid = self.last_zxid();
        let mut heard = [vec![], vec![]];
        let mut before = [vec![], vec![]];
        for ((side, items), before) in self.sides.iter_mut().zip(&mut heard).zip(&mut before) {
            let mut bytes = side.resume_frame(client, connect, password, zxid);
            encode(requests, zxid, &mut bytes);
            let Some(mut old) = side.clients[client].socket.take() else { continue };
            let Some(mut socket) = open(side, items) else { continue };
            socket.send(&bytes);
            let (item, session) = side.connected(&mut socket);
            items.push(item);
            side.end(&mut old, before);
            if session.is_none() {
                side.end(&mut socket, items);
            } else if side.answers(&mut socket, 0, requests, items) {
                side.clients[client].socket = Some(socket);
            }
        }
        let what = format!("client {client}'s session with the {password:?} password, {connect:?}");
        self.judge(&format!("{what}: its old connection"), &[], before)?;
        self.judge(&what, requests, heard)
    }

    fn probe(&mut self, connect: &Connect, stranger: Option<&(i64, Vec<u8>)>, requests: &[Request]) -> Outcome {
        self.count("probes");
        let zxid = self.last_zxid();
        let (id, secret) = stranger.map_or((0, &[0; 16][..]), |(id, secret)| (*id, secret.as_slice()));
        let ahead = if requests.first().is_some_and(|request| request.alone) { 0 } else { first_piece(requests).len() };
        let mut bytes = Side::connect_frame(connect, zxid, id, Some(secret));
        encode(&requests[..ahead], zxid, &mut bytes);
        let mut heard = [vec![], vec![]];
        let mut sockets = [None, None];
        for ((side, items), socket) in self.sides.iter_mut().zip(&mut heard).zip(&mut sockets) {
            *socket = open(side, items);
            if let Some(socket) = socket {
                socket.send(&bytes);
            }
        }
        for ((side, items), slot) in self.sides.iter_mut().zip(&mut heard).zip(&mut sockets) {
            let Some(mut socket) = slot.take() else { continue };
            let (item, session) = side.connected(&mut socket);
            items.push(item);
            if session.is_none() {
                side.end(&mut socket, items);
                continue;
            }
            let mut open = side.answers(&mut socket, 0, &requests[..ahead], items);
            for (number, request) in requests.iter().enumerate().skip(ahead) {
                if !open {
                    break;
                }
                let one = std::slice::from_ref(request);
                let mut bytes = vec![];
                encode(one, zxid, &mut bytes);
                socket.send(&bytes);
                open = side.answers(&mut socket, number, one, items);
            }
            if open && !requests.iter().any(|request| request.closes) {
                // A shrunk plan may have lost its closeSession.
                continue;
            }
        }
        self.judge(&format!("a new connection, {connect:?}, session 0x{id:x}"), requests, heard)
    }

    fn expire(&mut self, requests: &[Request], drop: bool) -> Outcome {
        self.count("expiries");
        let connect = Connect { timeout_ms: 400, ..USUAL };
        let mut heard = [vec![], vec![]];
        let mut sockets = [None, None];
        for ((side, items), slot) in self.sides.iter_mut().zip(&mut heard).zip(&mut sockets) {
            let mut bytes = Side::connect_frame(&connect, 0, 0, Some(&[0; 16]));
            encode(requests, 0, &mut bytes);
            let Some(mut socket) = open(side, items) else { continue };
            socket.send(&bytes);
            let (item, _) = side.connected(&mut socket);
            items.push(item);
            side.answers(&mut socket, 0, requests, items);
            *slot = (!drop).then_some(socket);
        }
        self.judge("a session that is going to expire", requests, heard)?;
        let before = self.last_zxid();
        let deadline = Instant::now() + EXPIRY_PATIENCE;
        for side in &mut self.sides {
            loop {
                let zxid = words::zxid(&side.server.word(b"srvr").unwrap_or_default());
                if zxid == Some(before + 1) {
                    break;
                }
                if Instant::now() > deadline {
                    let report = format!(
                        "{}: the session with timeout 400 ms is not expired after {EXPIRY_PATIENCE:?}: zxid 0x{before:x} before, {zxid:x?} now",
                        side.name
                    );
                    return Err(Difference { signature: "expiry".into(), report });
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            side.memory.last_zxid = before + 1;
        }
        self.unordered.insert(before + 1);
        let mut heard = [vec![], vec![]];
        for ((side, items), socket) in self.sides.iter_mut().zip(&mut heard).zip(sockets) {
            if let Some(mut socket) = socket {
                side.end(&mut socket, items);
            }
        }
        self.judge("an expired session's connection", &[], heard)
    }

    fn word(&mut self, word: &[u8]) -> Outcome {
        self.count("words");
        let deadline = Instant::now() + Duration::from_secs(3);
        loop {
            let [reference, candidate] = self.sides.each_ref().map(|side| {
                let answer = side.server.word(word).unwrap_or_else(|error| format!("error: {error}"));
                words::masked(word, &answer, &side.memory)
            });
            if reference == candidate {
                return Ok(());
            }
            // Connections that went away are counted until the server notices.
            if Instant::now() > deadline {
                let word = String::from_utf8_lossy(word).into_owned();
                let report = format!("four-letter word {word:?}\n{}", describe::lines(&reference, &candidate));
                return Err(Difference { signature: format!("word {word}"), report });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn restart(&mut self, swap: bool) -> Outcome {
        self.count(if swap { "restarts with exchanged directories" } else { "restarts" });
        let failed = |error: String| Difference { signature: "restart".into(), report: error };
        for side in &mut self.sides {
            side.clients.iter_mut().for_each(|client| client.socket = None);
            side.server.stop().map_err(failed)?;
        }
        let [reference, candidate] = &mut self.sides;
        if swap {
            reference.server.swap_data(&mut candidate.server);
            std::mem::swap(&mut reference.memory, &mut candidate.memory);
            std::mem::swap(&mut reference.clients, &mut candidate.clients);
        }
        std::thread::scope(|scope| {
            let other = scope.spawn(|| reference.server.launch());
            let own = candidate.server.launch();
            other.join().map_err(|_| "the starting thread is gone".to_owned())?.and(own)
        })
        .map_err(failed)
    }

    /// Compares, counts, and explains a difference.
    fn judge(&mut self, who: &str, requests: &[Request], mut heard: [Vec<Item>; 2]) -> Outcome {
        for (request, item) in replies(requests, &heard[0]) {
            *self.tally.entry(request.op).or_default().entry(describe::error_code(item)).or_default() += 1;
            if request.op == -11 {
                self.unordered.insert(long(&item.raw, 4));
            }
        }
        for item in &heard[0] {
            match item.kind {
                Kind::Event => self.count("watch events"),
                Kind::Closed => self.count("connections closed by the server"),
                Kind::Silent => self.count("unanswered"),
                _ => {}
            }
        }
        if !self.unordered.is_empty() {
            heard.iter_mut().for_each(|items| self.order(items));
        }
        if heard[0] == heard[1] && heard[0].iter().all(|item| item.complaint.is_none()) {
            return Ok(());
        }
        let mut difference = describe::difference(who, requests, &heard);
        for side in &mut self.sides {
            if let Some(death) = side.server.death() {
                difference.signature = format!("{} died", side.name);
                difference.report.push_str(&format!("\n{}: {death}", side.name));
            } else if heard.iter().flatten().any(|item| item.kind == Kind::Closed) {
                difference.report.push_str(&format!("\nlog of the {}:\n{}", side.name, side.server.log_tail()));
            }
        }
        Err(difference)
    }

    /// Sorts the events of one unordered transaction among themselves.
    fn order(&self, items: &mut [Item]) {
        let same = |a: &Item, b: &Item| {
            a.kind == Kind::Event
                && b.kind == Kind::Event
                && long(&a.raw, 4) == long(&b.raw, 4)
                && self.unordered.contains(&long(&a.raw, 4))
        };
        for run in items.chunk_by_mut(same) {
            if run.len() > 1 {
                run.sort_by(|a, b| a.masked.cmp(&b.masked));
            }
        }
    }
}

/// The requests that may be sent together: none that must stand alone, none behind one that must settle.
fn first_piece(requests: &[Request]) -> &[Request] {
    let cut = |pair: &[Request]| pair[0].alone || pair[1].alone || must_settle(&pair[0]);
    let length = requests.windows(2).position(cut).map_or(requests.len(), |at| at + 1);
    &requests[..length]
}

/// True for requests that a Java server takes for something else until they are applied, so that what it answers to
/// later writes depends on time: a setACL does not change the ACL yet, an ephemeral flag on createContainer, which
/// makes no ephemeral node in the end, does until then, and a multi that falls over a null in an ACL leaves its earlier
/// parts behind (`org.apache.zookeeper.server.PrepRequestProcessor`).
fn must_settle(request: &Request) -> bool {
    let mut reader = Reader::unlimited(&request.body);
    match request.op {
        7 => true,
        19 => CreateRequest::decode(&mut reader).is_ok_and(|record| matches!(record.flags, 1 | 3)),
        14 => falls_over_acl(&mut reader).is_ok_and(|falls| falls),
        _ => false,
    }
}

/// Whether a create in a multi has an ACL with a null in it.
fn falls_over_acl(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    loop {
        let header = MultiHeader::decode(reader)?;
        let acl = match header.op {
            _ if header.done => return Ok(false),
            1 | 15 | 19 => CreateRequest::decode(reader)?.acl,
            21 => CreateTtlRequest::decode(reader)?.acl,
            2 | 13 => PathVersionRequest::decode(reader).map(|_| None)?,
            5 => SetDataRequest::decode(reader).map(|_| None)?,
            other => return Err(DecodeError::Type(other)),
        };
        if acl.is_some_and(|entries| entries.iter().any(|entry| entry.scheme.is_none() || entry.id.is_none())) {
            return Ok(true);
        }
    }
}

/// A connection to the server of a side; that it cannot be had is something heard.
fn open(side: &Side, items: &mut Vec<Item>) -> Option<Socket> {
    match Socket::open(side.server.address) {
        Ok(socket) => Some(socket),
        Err(_) => {
            let complaint = Some("nobody listens".to_owned());
            items.push(Item { kind: Kind::Closed, raw: vec![], masked: vec![], complaint });
            None
        }
    }
}

/// Requests with their replies.
fn replies<'a>(requests: &'a [Request], items: &'a [Item]) -> impl Iterator<Item = (&'a Request, &'a Item)> {
    items.iter().filter_map(|item| match item.kind {
        Kind::Reply(number) => requests.get(number).map(|request| (request, item)),
        _ => None,
    })
}
