//! A session under load: it pipelines random writes to its own part of the tree, compares each reply with what its model
//! predicts, and remembers which requests were never answered when the server went away.

use crate::dump::Dump;
use crate::model::{Action, Model, Node, parent};
use crate::wire::Wire;
use oxkeeper::client::Session;
use oxkeeper::jute::{Decode, Reader};
use oxkeeper::proto::records::{MultiHeader, Stat};
use oxkeeper::proto::{ErrorCode, OpCode};
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Nodes of one session, about: few enough that names meet again.
const NODES: usize = 120;
/// A node that all sessions set.
pub const SHARED: &str = "/campaign/shared";

/// What all sessions count.
#[derive(Default)]
pub struct Counts {
    pub acknowledged: AtomicU64,
    pub unknown: AtomicU64,
    pub unknown_applied: AtomicU64,
}

/// One session and what it believes.
pub struct Worker {
    pub root: String,
    pub session: Option<Session>,
    /// The tree after every acknowledged request.
    pub model: Model,
    /// Requests without an answer, in the order sent.
    pub unknown: VecDeque<Action>,
    /// Versions of the shared node that were acknowledged: version, zxid, data.
    pub shared: Vec<(i32, i64, Vec<u8>)>,
    pub last_zxid: i64,
    serial: u64,
    rng: StdRng,
}

impl Worker {
    pub fn new(number: usize, rng: StdRng) -> Self {
        Worker {
            root: format!("/campaign/s{number}"),
            session: None,
            model: Model::default(),
            unknown: VecDeque::new(),
            shared: Vec::new(),
            last_zxid: 0,
            serial: 0,
            rng,
        }
    }

    /// Sends requests, `depth` of them in flight, until the connection breaks or `until` has come: then the rest is
    /// awaited, so that nothing is unknown.
    pub fn run(&mut self, wire: &mut Wire, depth: usize, until: Instant, counts: &Counts) -> Result<(), String> {
        let session = wire.session.id;
        let mut planned = self.model.clone();
        let mut in_flight: VecDeque<(Action, ErrorCode)> = VecDeque::new();
        let mut number = 0i32;
        let broken = loop {
            let burst = if Instant::now() < until { self.rng.random_range(1..=depth) } else { 0 };
            for _ in 0..burst {
                if in_flight.len() >= depth {
                    break;
                }
                let action = self.invent(&planned);
                let expected = planned.apply(&action, session, None);
                let (op, body) = action.request();
                wire.put(number.wrapping_add(in_flight.len() as i32).wrapping_add(1), op, &body);
                in_flight.push_back((action, expected));
            }
            if in_flight.is_empty() {
                break false;
            }
            if wire.flush().is_err() && in_flight.is_empty() {
                break true;
            }
            // Even a connection that takes no more requests may hold answers.
            let Ok(answer) = wire.take() else { break true };
            number = number.wrapping_add(1);
            if answer.header.xid != number {
                return Err(format!("{}: answer to {}, {number} was next", self.root, answer.header.xid));
            }
            let Some((action, expected)) = in_flight.pop_front() else { return Err("an answer too many".into()) };
            self.acknowledge(&action, expected, &answer, session)?;
            counts.acknowledged.fetch_add(1, Ordering::Relaxed);
        };
        if broken && Instant::now() >= until + Duration::from_secs(25) {
            return Err(format!("{}: no answer in time", self.root));
        }
        counts.unknown.fetch_add(in_flight.len() as u64, Ordering::Relaxed);
        self.unknown = in_flight.into_iter().map(|(action, _)| action).collect();
        Ok(())
    }

    fn acknowledge(
        &mut self,
        action: &Action,
        expected: ErrorCode,
        answer: &crate::wire::Answer,
        session: i64,
    ) -> Result<(), String> {
        let (zxid, mut err) = (answer.header.zxid, answer.header.err);
        if zxid <= self.last_zxid {
            return Err(format!("{}: zxid {zxid:#x} after {:#x}", self.root, self.last_zxid));
        }
        self.last_zxid = zxid;
        let mut reader = Reader::unlimited(&answer.body);
        let odd = |error| format!("{}: unreadable answer to {action:?}: {error}", self.root);
        match action {
            Action::Multi(_) if err == 0 => {
                // A multi that failed tells a code for each part; the one that is neither OK nor a neighbour's counts.
                while let header = MultiHeader::decode(&mut reader).map_err(odd)?
                    && header.op == -1
                    && !header.done
                {
                    let code = reader.int().map_err(odd)?;
                    if code != 0 && ErrorCode(code) != ErrorCode::RUNTIME_INCONSISTENCY {
                        err = code;
                    }
                }
            }
            Action::Shared { data, .. } if err == 0 => {
                let stat = Stat::decode(&mut reader).map_err(odd)?;
                self.shared.push((stat.version, stat.mzxid, data.clone()));
            }
            _ => {}
        }
        if err != expected.0 {
            return Err(format!("{}: {action:?} answered {}, expected {expected}", self.root, ErrorCode(err)));
        }
        self.model.apply(action, session, Some(zxid));
        Ok(())
    }

    fn invent(&mut self, planned: &Model) -> Action {
        self.serial += 1;
        let data = format!("{} {}", self.root, self.serial).into_bytes();
        match self.rng.random_range(0..100) {
            0..4 => Action::Shared { path: SHARED.into(), data },
            4..20 => {
                let count = self.rng.random_range(1..=6);
                // Parts are invented for the state before the multi: some fail, and all of it must.
                Action::Multi((0..count).map(|part| self.single(planned, &data, Some(part))).collect())
            }
            _ => self.single(planned, &data, None),
        }
    }

    /// One write, or part number `part` of a multi: not every operation may stand in both places.
    fn single(&mut self, planned: &Model, data: &[u8], part: Option<u8>) -> Action {
        let mut data = data.to_vec();
        data.extend_from_slice(format!(".{}", part.unwrap_or_default()).as_bytes());
        if self.rng.random_ratio(1, 50) {
            data.resize(self.rng.random_range(100..6000), b'.');
        }
        let chosen = self.rng.random_range(0..planned.nodes.len().max(1));
        let (path, node) =
            planned.nodes.iter().nth(chosen).map_or((self.root.as_str(), None), |(path, node)| (path, Some(node)));
        let version = match (self.rng.random_range(0..10), node) {
            (0, _) => 7,
            (1..6, Some(node)) => node.version,
            _ => -1,
        };
        let path = path.to_owned();
        let grow = if planned.nodes.len() < NODES { 55 } else { 10 };
        match self.rng.random_range(0..100) {
            kind if kind < grow => {
                let sequential = self.rng.random_ratio(1, 4);
                let above = if path.split('/').count() > 6 { parent(&path).to_owned() } else { path };
                let name = if sequential { "q-".into() } else { format!("n{}", self.rng.random_range(0..30)) };
                let (acl, ephemeral) = (self.rng.random_range(0..4), self.rng.random_ratio(1, 5));
                Action::Create { path: format!("{above}/{name}"), data, acl, ephemeral, sequential }
            }
            kind if kind < grow + 6 && part.is_none() => Action::SetAcl { path, acl: self.rng.random_range(0..4) },
            kind if kind < grow + 20 => Action::Set { path, data, version },
            kind if kind < grow + 25 && part.is_some() => Action::Check { path, version },
            _ if path == self.root => Action::Set { path, data, version },
            _ => Action::Delete { path, version },
        }
    }

    /// After a crash: the tree must be what was acknowledged and a first part, perhaps none, of what was not answered.
    /// Takes over what the server shows.
    pub fn verify(&mut self, dump: &Dump, counts: &Counts) -> Result<Vec<Action>, String> {
        let session = self.session.map_or(0, |session| session.id);
        let mut model = self.model.clone();
        let (mut first, mut applied) = (None, 0);
        while let Err(why) = compare(&model, &self.root, dump) {
            first.get_or_insert(why);
            let Some(action) = self.unknown.get(applied) else {
                return Err(format!(
                    "{}: neither what was acknowledged nor any continuation ({} unanswered): {}",
                    self.root,
                    self.unknown.len(),
                    first.unwrap_or_default()
                ));
            };
            model.apply(action, session, None);
            applied += 1;
        }
        counts.unknown_applied.fetch_add(applied as u64, Ordering::Relaxed);
        for (path, node) in &mut model.nodes {
            if let Some(seen) = dump.nodes.get(path) {
                node.learn(&seen.stat);
            }
        }
        self.model = model;
        Ok(self.unknown.drain(..).collect())
    }

    /// The root of this session's part, as it was first made.
    pub fn adopt_root(&mut self, dump: &Dump) -> Result<(), String> {
        let seen = dump.nodes.get(&self.root).ok_or("the root of a session is missing")?;
        let mut node = Node {
            data: seen.data.clone(),
            acl: seen.acl_number(),
            version: 0,
            aversion: 0,
            creates: 0,
            children: 0,
            owner: 0,
            czxid: None,
            mzxid: None,
            pzxid: None,
        };
        node.learn(&seen.stat);
        self.model.nodes.insert(self.root.clone(), node);
        Ok(())
    }
}

fn compare(model: &Model, root: &str, dump: &Dump) -> Result<(), String> {
    let (below, end) = (format!("{root}/"), format!("{root}0"));
    let found = dump.nodes.range(root.to_owned()..end).filter(|(path, _)| *path == root || path.starts_with(&below));
    let mut count = 0;
    for (path, seen) in found {
        count += 1;
        let Some(node) = model.nodes.get(path) else {
            return Err(format!("{path} must not be there: {:?}", seen.stat));
        };
        if let Some(why) = node.differs(&seen.data, seen.acl_number(), &seen.stat) {
            return Err(format!("{path}: {why}"));
        }
    }
    if count == model.nodes.len() {
        return Ok(());
    }
    let missing = model.nodes.keys().find(|path| !dump.nodes.contains_key(*path));
    Err(format!("{} is missing", missing.map_or("a node", |path| path)))
}

/// Opens sessions with an ephemeral node and closes them again; returns those whose close was acknowledged, and the
/// paths of those whose end is unknown.
pub fn open_and_close(
    address: std::net::SocketAddr,
    round: u64,
    until: Instant,
) -> (Vec<(Session, String)>, Vec<String>) {
    let (mut closed, mut unknown) = (Vec::new(), Vec::new());
    for serial in 0.. {
        if Instant::now() >= until {
            break;
        }
        let Ok(mut wire) = Wire::open(address, None, 0) else { break };
        let path = format!("/campaign/closed/r{round}-{serial}");
        let action = Action::Create { path: path.clone(), data: vec![], acl: 0, ephemeral: true, sequential: false };
        let (op, body) = action.request();
        wire.put(1, op, &body);
        wire.put(2, OpCode::CLOSE_SESSION, &[]);
        let session = wire.session;
        let answers = wire.flush().and_then(|()| Ok((wire.take()?.header, wire.take()?.header)));
        if let Ok((made, ended)) = answers {
            closed.push((session, format!("{path} (made {made:?}, ended {ended:?})")));
        } else {
            unknown.push(path);
            break;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    (closed, unknown)
}
