//! One campaign: sessions under load, a server that dies, a server that must know everything again. The way of dying is
//! the caller's; here is what must hold afterwards.

use crate::dump::Dump;
use crate::load::{Counts, SHARED, Worker, open_and_close};
use crate::model::Action;
use crate::server::{Place, Process};
use crate::wire::{Refusal, Wire};
use oxkeeper::client::Session;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Requests that a session has in flight at most.
const DEPTH: usize = 48;
/// How long sessions may still wait for answers after the server should be gone.
const AFTERMATH: Duration = Duration::from_secs(120);

/// The state between two lives of a server.
pub struct Campaign {
    pub place: Place,
    pub rng: StdRng,
    pub counts: Counts,
    pub workers: Vec<Worker>,
    closed: Vec<(Session, String)>,
    unknown_closed: HashSet<String>,
    shared: (i32, Vec<u8>),
    pub last_zxid: i64,
    round: u64,
    pub sessions_closed: u64,
}

impl Campaign {
    pub fn new(place: Place, seed: u64, sessions: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let workers = (0..sessions).map(|number| Worker::new(number, StdRng::seed_from_u64(rng.random()))).collect();
        Campaign {
            place,
            rng,
            counts: Counts::default(),
            workers,
            closed: Vec::new(),
            unknown_closed: HashSet::new(),
            shared: (0, b"first".to_vec()),
            last_zxid: 0,
            round: 0,
            sessions_closed: 0,
        }
    }

    /// Makes the nodes that everything stands on.
    pub fn prepare(&mut self, process: &mut Process) -> Result<(), String> {
        let mut wire = Wire::open_soon(process.address, None, 0, || process.alive())?;
        let mut paths = vec!["/campaign".to_owned(), SHARED.into(), "/campaign/closed".into()];
        paths.extend(self.workers.iter().map(|worker| worker.root.clone()));
        for path in paths {
            let action = Action::Create { path, data: b"first".into(), acl: 0, ephemeral: false, sequential: false };
            let (op, body) = action.request();
            let answer = wire.call(op, &body).map_err(|error| error.to_string())?;
            if answer.header.err != 0 {
                return Err(format!("cannot prepare the tree: error {}", answer.header.err));
            }
        }
        let dump = Dump::read(&mut wire)?;
        self.last_zxid = dump.last_zxid();
        for worker in &mut self.workers {
            worker.adopt_root(&dump)?;
        }
        wire.close().map_err(|error| error.to_string())
    }

    /// Loads the server until `duration` is over, when `death` takes it away (or leaves it: then everything is answered).
    pub fn load<T>(
        &mut self,
        mut process: Process,
        duration: Duration,
        death: impl FnOnce(Process) -> T,
    ) -> Result<T, String> {
        self.round += 1;
        let address = process.address;
        let mut wires = Vec::new();
        for worker in &mut self.workers {
            let wire = Wire::open_soon(address, worker.session, worker.last_zxid, || process.alive())
                .map_err(|why| format!("{}: {why}", worker.root))?;
            if worker.session.is_some_and(|session| session.id != wire.session.id) {
                return Err(format!("{}: another session was given", worker.root));
            }
            worker.session = Some(wire.session);
            wires.push(wire);
        }
        let started = Instant::now();
        let (counts, round) = (&self.counts, self.round);
        let (result, verdicts, (closed, unknown)) = std::thread::scope(|scope| {
            let until = started + duration + AFTERMATH;
            let loads: Vec<_> = (self.workers.iter_mut().zip(&mut wires))
                .map(|(worker, wire)| scope.spawn(move || worker.run(wire, DEPTH, until, counts)))
                .collect();
            let closing = scope.spawn(move || open_and_close(address, round, started + duration * 2));
            std::thread::sleep(duration);
            let result = death(process);
            let verdicts: Vec<_> = loads.into_iter().map(|load| load.join()).collect();
            (result, verdicts, closing.join().unwrap_or_default())
        });
        for verdict in verdicts {
            verdict.map_err(|_| "a session of the campaign panicked")??;
        }
        self.last_zxid = self.workers.iter().map(|worker| worker.last_zxid).fold(self.last_zxid, i64::max);
        self.sessions_closed += closed.len() as u64;
        self.closed = closed;
        self.unknown_closed.extend(unknown);
        Ok(result)
    }

    /// Everything acknowledged is there, nothing impossible is, and no zxid went back.
    pub fn verify(&mut self, process: &mut Process) -> Result<Dump, String> {
        // A server that lost a transaction that we saw refuses us here.
        let mut wire = Wire::open_soon(process.address, None, self.last_zxid, || process.alive())?;
        let dump = Dump::read(&mut wire)?;
        let mut unanswered = Vec::new();
        for worker in &mut self.workers {
            unanswered.extend(worker.verify(&dump, &self.counts)?);
        }
        self.verify_shared(&dump, &unanswered)?;
        for (path, seen) in dump.nodes.range("/campaign/closed/".to_owned().."/campaign/closed0".to_owned()) {
            if !self.unknown_closed.contains(path) {
                return Err(format!("{path}: the close of its session was acknowledged, it is there: {:?}", seen.stat));
            }
        }
        let sample = self.closed.len().saturating_sub(2);
        for (session, path) in self.closed.drain(..).skip(sample) {
            match Wire::open(process.address, Some(session), 0) {
                Err(Refusal::Session) => {}
                Err(Refusal::Unreachable(why)) => return Err(why),
                Ok(_) => return Err(format!("the session of {path} was closed, and is there again")),
            }
        }
        if let Some(count) = process.reading("zk_digest_mismatches_count").filter(|count| count != "0") {
            return Err(format!("{count} digests of the log differ from those of the tree"));
        }
        self.last_zxid = self.last_zxid.max(dump.last_zxid());
        wire.close().map_err(|error| error.to_string())?;
        Ok(dump)
    }

    fn verify_shared(&mut self, dump: &Dump, unanswered: &[Action]) -> Result<(), String> {
        let seen = dump.nodes.get(SHARED).ok_or("the shared node is missing")?;
        let mut sets: Vec<_> = self.workers.iter_mut().flat_map(|worker| worker.shared.drain(..)).collect();
        sets.sort();
        let open: Vec<&Vec<u8>> = unanswered
            .iter()
            .filter_map(|action| match action {
                Action::Shared { data, .. } => Some(data),
                _ => None,
            })
            .collect();
        let (version, data) = (seen.stat.version, &seen.data);
        if let Some(pair) = sets.windows(2).find(|pair| pair[0].0 == pair[1].0 || pair[0].1 >= pair[1].1) {
            return Err(format!("{SHARED}: versions and zxids do not go together: {pair:?}"));
        }
        let most = self.shared.0 + (sets.len() + open.len()) as i32;
        let last = sets.last().cloned().unwrap_or((self.shared.0, 0, self.shared.1.clone()));
        let fits = if version == last.0 { *data == last.2 } else { version > last.0 && open.contains(&data) };
        if !fits || version > most || version < self.shared.0 + sets.len() as i32 {
            return Err(format!("{SHARED}: version {version}, acknowledged up to {}, at most {most}", last.0));
        }
        self.shared = (version, data.clone());
        Ok(())
    }

    /// Starts a server on a copy of the files, reads its tree, and ends it.
    pub fn tree_of_copy(&self, command: &str) -> Result<Dump, String> {
        let place = self.place.copy("copy")?;
        let mut process = place.start(command)?;
        process.await_serving()?;
        let mut wire = Wire::open_soon(process.address, None, 0, || process.alive())?;
        let dump = Dump::read(&mut wire)?;
        if let Some(count) = process.reading("zk_digest_mismatches_count").filter(|count| count != "0") {
            return Err(format!("{command}: {count} digests of the log differ from those of the tree"));
        }
        process.kill();
        let _ = std::fs::remove_dir_all(&place.home);
        Ok(dump)
    }

    /// What a campaign tells in the end.
    pub fn summary(&self) -> String {
        format!(
            "acknowledged={} unanswered={} of-them-applied={} sessions-closed={} last-zxid={:#x}",
            self.counts.acknowledged.load(Ordering::Relaxed),
            self.counts.unknown.load(Ordering::Relaxed),
            self.counts.unknown_applied.load(Ordering::Relaxed),
            self.sessions_closed,
            self.last_zxid
        )
    }
}
