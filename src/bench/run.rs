//! Runs one workload: nodes, threads, samples of the server's process, report. Knows all other files of the room;
//! nothing of the server's.

use super::args::{Args, Workload as Kind};
use super::engine::{Engine, Plan, Workload};
use super::process::Sample;
use super::progress::Progress;
use super::report::{self, Report};
use super::setup;
use super::snapshot::{Lookout, Reads};
use super::stats::{Class, Outcome};
use super::storm::{self, Storm};
use super::watch::{Fanout, WatchKind};
use super::workloads::{FILL_DIRECTORY, Fill, Keyed, KeyedKind, Listing, Nodes, NodesKind, Random};
use crate::client::{Client, Error, Options};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

/// Reads per second beside snapshots, without `--rate`.
const SNAPSHOT_READS_PER_S: f64 = 10_000.0;
/// Deletes without `--ops`.
const DELETES: u64 = 100_000;

/// Where a run takes place.
#[derive(Debug, Clone)]
pub struct Place {
    /// Addresses of the servers.
    pub addresses: Vec<SocketAddr>,
    /// How sessions are opened.
    pub options: Options,
}

impl Place {
    /// Does something with a client of its own, on a small runtime.
    pub fn with_client<T>(&self, work: impl AsyncFnOnce(&Client) -> Result<T, Error>) -> Result<T, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (client, _events) = Client::connect(&self.addresses, &self.options).await?;
            let result = work(&client).await;
            // The outcome of the work matters more than that of the farewell.
            let _ = client.close().await;
            result
        })
    }
}

/// Makes the nodes of a workload, runs it and removes them.
pub fn run(kind: Kind, args: &Args, place: &Place) -> Result<Report, Error> {
    check(kind, args)?;
    prepare(kind, args, place)?;
    let report = bare(kind, args, place);
    if kind != Kind::Fill && !args.keep {
        place.with_client(async |client| setup::remove(client, &home(kind, args), &args.root).await)?;
    }
    report
}

/// Runs a workload whose nodes are there, or which needs none.
pub fn bare(kind: Kind, args: &Args, place: &Place) -> Result<Report, Error> {
    match kind {
        Kind::Connect => connect(args, place),
        Kind::Idle => idle(args, place),
        Kind::Snapshot => snapshot(args, place),
        _ => measure(kind, args, place),
    }
}

/// Refuses options that would have no effect.
fn check(kind: Kind, args: &Args) -> io::Result<()> {
    let refuse = |option: &str| {
        Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{option} has no meaning for {}", kind.name())))
    };
    let own_pace = matches!(kind, Kind::Watch | Kind::WatchRecursive | Kind::Connect | Kind::Idle | Kind::Fill);
    if args.rate.is_some() && own_pace {
        return refuse("--rate");
    }
    if args.ops.is_some()
        && matches!(kind, Kind::Watch | Kind::WatchRecursive | Kind::Idle | Kind::Fill | Kind::Snapshot)
    {
        return refuse("--ops");
    }
    Ok(())
}

/// The node a workload lives below: its own, so that its end leaves the nodes of others alone.
fn home(kind: Kind, args: &Args) -> String {
    format!("{}/{}", args.root, kind.name())
}

fn keys(kind: Kind, args: &Args) -> String {
    format!("{}/k", home(kind, args))
}

fn session_directory(kind: Kind, args: &Args, index: usize) -> String {
    format!("{}/s{index:05}", home(kind, args))
}

fn deletes_each(args: &Args) -> u64 {
    args.ops.unwrap_or(DELETES).div_ceil(u64::from(args.sessions))
}

fn prepare(kind: Kind, args: &Args, place: &Place) -> Result<(), Error> {
    let data = Random::new(args.seed).bytes(args.size);
    let home = home(kind, args);
    place.with_client(async |client| {
        setup::ensure(client, &home).await?;
        match kind {
            Kind::Get | Kind::Exists | Kind::Set | Kind::Mixed | Kind::Multi | Kind::Snapshot => {
                setup::numbered(client, &keys(kind, args), args.keys, &data).await
            }
            Kind::Watch | Kind::WatchRecursive => {
                setup::numbered(client, &keys(kind, args), u64::from(args.depth), &data).await
            }
            Kind::Create | Kind::CreateDelete | Kind::Ephemeral | Kind::Delete => {
                for index in 0..args.sessions as usize {
                    let parent = session_directory(kind, args, index);
                    setup::ensure(client, &parent).await?;
                    if kind == Kind::Delete {
                        setup::numbered(client, &format!("{parent}/n"), deletes_each(args), &data).await?;
                    }
                }
                Ok(())
            }
            Kind::Children => setup::numbered(client, &keys(kind, args), args.children, b"").await,
            Kind::Fill => {
                let directories = args.nodes.div_ceil(FILL_DIRECTORY);
                setup::numbered(client, &format!("{home}/d"), directories, b"").await
            }
            Kind::Connect | Kind::Idle | Kind::Calibrate => Ok(()),
        }
    })
}

fn keyed(kind: Kind, asks: KeyedKind, args: &Args, stream: u64) -> Keyed {
    let mut seeds = Random::new(args.seed);
    let data = seeds.bytes(args.size);
    let random = Random::new(seeds.next() ^ stream.wrapping_mul(0x2545_f491_4f6c_dd1d));
    Keyed { prefix: keys(kind, args).into_bytes(), keys: args.keys, data, kind: asks, random }
}

/// The workload of one thread, for the sessions from `first` on.
fn workload(kind: Kind, args: &Args, first: usize, sessions: usize, taken: &Arc<AtomicU64>) -> Box<dyn Workload> {
    let data = Random::new(args.seed).bytes(args.size);
    let keyed = |asks| -> Box<dyn Workload> { Box::new(keyed(kind, asks, args, first as u64)) };
    let nodes = |change| -> Box<dyn Workload> {
        let prefix = |index| format!("{}/n", session_directory(kind, args, index)).into_bytes();
        let prefixes = (first..first + sessions).map(prefix).collect();
        Box::new(Nodes { prefixes, sent: vec![0; sessions], data: data.clone(), kind: change })
    };
    let watch = |watch| -> Box<dyn Workload> {
        Box::new(Fanout::new(watch, &home(kind, args), "k", sessions, args.depth as usize, data.clone()))
    };
    match kind {
        Kind::Get | Kind::Calibrate => keyed(KeyedKind::Get),
        Kind::Exists => keyed(KeyedKind::Exists),
        Kind::Set => keyed(KeyedKind::Set),
        Kind::Mixed => keyed(KeyedKind::Mixed(args.write_percent)),
        Kind::Multi => keyed(KeyedKind::Multi(args.multi_size as usize)),
        Kind::Create => nodes(NodesKind::Create),
        Kind::Delete => nodes(NodesKind::Delete(deletes_each(args))),
        Kind::CreateDelete => nodes(NodesKind::CreateDelete),
        Kind::Ephemeral => nodes(NodesKind::Ephemeral),
        Kind::Children => Box::new(Listing { path: home(kind, args).into_bytes() }),
        Kind::Watch => watch(WatchKind::OneShot),
        Kind::WatchRecursive => watch(WatchKind::Recursive),
        Kind::Fill => Box::new(Fill {
            prefix: format!("{}/d", home(kind, args)),
            taken: Arc::clone(taken),
            nodes: args.nodes,
            batch: args.multi_size,
            data,
        }),
        Kind::Connect | Kind::Idle | Kind::Snapshot => unreachable!("`bare` gives these drivers of their own"),
    }
}

fn measure(kind: Kind, args: &Args, place: &Place) -> Result<Report, Error> {
    let watch = matches!(kind, Kind::Watch | Kind::WatchRecursive);
    // The writer of a fan-out must see what its watchers got: one thread.
    let threads = if watch { 1 } else { args.threads.min(args.sessions) as usize };
    let sessions = args.sessions as usize + usize::from(watch);
    let counted = args.ops.is_some() || matches!(kind, Kind::Fill | Kind::Delete);
    let ends_itself = matches!(kind, Kind::Fill | Kind::Delete);
    let progress = Arc::new(AtomicU64::new(0));
    let taken = Arc::new(AtomicU64::new(0));

    let mut parts = Vec::new();
    let mut first = 0;
    for thread in 0..threads {
        let count = sessions / threads + usize::from(thread < sessions % threads);
        let engine = Engine::open(&place.addresses, count, &place.options)?;
        parts.push((engine, workload(kind, args, first, count, &taken)));
        first += count;
    }
    let classes = parts[0].1.classes();
    let plan = Plan {
        begin: Instant::now(),
        warmup: if counted { Duration::ZERO } else { args.warmup },
        duration: (!counted).then_some(args.duration),
        requests: args.ops.filter(|_| !ends_itself).map(|ops| ops.div_ceil(threads as u64)),
        rate: args.rate.map(|rate| rate / threads as f64),
        depth: args.depth as usize,
        progress: Arc::clone(&progress),
    };
    let expected = match kind {
        Kind::Fill => Some(args.nodes.div_ceil(args.multi_size)),
        Kind::Delete => Some(deletes_each(args) * u64::from(args.sessions)),
        _ => args.ops,
    };
    let bar = Progress::start(&kind.name(), args, &plan, expected);
    let running: Vec<_> = parts
        .into_iter()
        .map(|(engine, mut workload)| {
            let plan = plan.clone();
            std::thread::spawn(move || engine.run(&mut workload, &plan))
        })
        .collect();
    let watcher = Samples::watch(&args.pid, &plan)?;
    let mut outcome = Outcome::new(classes.len());
    for thread in running {
        outcome.add(thread.join().expect("generator threads do not panic"));
    }
    let samples = watcher.finish()?;
    drop(bar);
    let seconds = match plan.duration {
        Some(duration) => duration.as_secs_f64(),
        None => Duration::from_nanos(outcome.last_ns).as_secs_f64(),
    };
    let mut report = reported(kind, args, classes, outcome, &samples, seconds);
    if kind == Kind::Fill {
        let nodes = report.total.ops_per_s * args.multi_size as f64;
        report.more.insert("znodes_per_s".into(), nodes.round().into());
    }
    Ok(report)
}

/// Sessions opened and closed.
fn connect(args: &Args, place: &Place) -> Result<Report, Error> {
    let plan = Plan {
        begin: Instant::now(),
        warmup: if args.ops.is_some() { Duration::ZERO } else { args.warmup },
        duration: args.ops.is_none().then_some(args.duration),
        requests: args.ops,
        rate: None,
        depth: 1,
        progress: Arc::default(),
    };
    let bar = Progress::start(&Kind::Connect.name(), args, &plan, args.ops);
    let (outcome, samples) = std::thread::scope(|scope| {
        let cycle = || Ok(Storm::new(&place.addresses, &place.options, args.sessions as usize, false, &plan)?.cycle());
        let storm = scope.spawn(cycle);
        let watcher = Samples::watch(&args.pid, &plan)?;
        let outcome: io::Result<Outcome> = storm.join().expect("generator threads do not panic");
        Ok::<_, io::Error>((outcome?, watcher.finish()?))
    })?;
    drop(bar);
    let seconds = plan.duration.unwrap_or(Duration::from_nanos(outcome.last_ns)).as_secs_f64();
    Ok(reported(Kind::Connect, args, storm::CYCLE_CLASSES, outcome, &samples, seconds))
}

/// Sessions opened and held.
fn idle(args: &Args, place: &Place) -> Result<Report, Error> {
    let plan = Plan {
        begin: Instant::now(),
        warmup: Duration::ZERO,
        duration: None,
        requests: None,
        rate: None,
        depth: args.depth as usize,
        progress: Arc::default(),
    };
    let bar = Progress::start(&Kind::Idle.name(), args, &plan, Some(u64::from(args.sessions)));
    let watcher = Watcher::start(&args.pid)?;
    let storm = Storm::new(&place.addresses, &place.options, args.sessions as usize, true, &plan)?;
    let (outcome, samples) = storm.hold(args.duration, || watcher.finish());
    let samples = samples?;
    drop(bar);
    let seconds = Duration::from_nanos(outcome.last_ns).as_secs_f64();
    let mut report = reported(Kind::Idle, args, storm::HOLD_CLASSES, outcome, &samples, seconds);
    if let Some(server) = &report.server_process {
        let grown = server.rss_bytes as f64 - server.rss_before_bytes as f64;
        let each = (grown / report.total.ops.max(1) as f64).round();
        report.more.insert("resident_bytes_per_session".into(), each.into());
    }
    Ok(report)
}

/// Reads while snapshots are written.
fn snapshot(args: &Args, place: &Place) -> Result<Report, Error> {
    let lookout = Lookout::start(args)?;
    let plan = Plan {
        begin: Instant::now(),
        warmup: args.warmup,
        duration: Some(args.duration),
        requests: None,
        rate: Some(args.rate.unwrap_or(SNAPSHOT_READS_PER_S)),
        depth: args.depth as usize,
        progress: Arc::default(),
    };
    let readers = Engine::open(&place.addresses, args.sessions as usize, &place.options)?;
    let writer = Engine::open(&place.addresses, 1, &place.options)?;
    let mut reads =
        Reads { keyed: keyed(Kind::Snapshot, KeyedKind::Get, args, 0), during: Arc::clone(&lookout.during) };
    let mut writes = keyed(Kind::Snapshot, KeyedKind::Set, args, 1);
    let write_plan = Plan { rate: Some(args.write_rate), progress: Arc::default(), ..plan.clone() };
    let classes = [reads.classes(), &[Class::aside("set")]].concat();
    let bar = Progress::start(&Kind::Snapshot.name(), args, &plan, None);
    let (mut outcome, written, samples) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| readers.run(&mut reads, &plan));
        let writer = scope.spawn(|| writer.run(&mut writes, &write_plan));
        let watcher = Samples::watch(&args.pid, &plan)?;
        let read = reader.join().expect("generator threads do not panic");
        let written = writer.join().expect("generator threads do not panic");
        Ok::<_, io::Error>((read, written, watcher.finish()?))
    })?;
    drop(bar);
    outcome.latencies.extend(written.latencies);
    outcome.add(Outcome { latencies: Vec::new(), ..written });
    let mut report = reported(Kind::Snapshot, args, &classes, outcome, &samples, args.duration.as_secs_f64());
    report.more.insert("snapshots".into(), lookout.written()?.into());
    let p99 = |class: &str| report.classes[class].latency_us.p99;
    let ratio = p99("during snapshot") / p99("usual");
    if ratio.is_finite() && ratio > 0.0 {
        report.more.insert("p99_during_snapshot_to_usual".into(), ((ratio * 1000.0).round() / 1000.0).into());
    }
    Ok(report)
}

/// Puts a report together.
pub fn reported(
    kind: Kind,
    args: &Args,
    classes: &[Class],
    mut outcome: Outcome,
    samples: &Samples,
    seconds: f64,
) -> Report {
    let seconds = seconds.max(1e-9);
    let (total, rows) = report::rows(classes, &mut outcome, seconds);
    let ops = total.ops;
    let usage = |pair: &Option<(Sample, Sample)>| {
        pair.as_ref().map(|(before, after)| report::process(before, after, samples.seconds.max(1e-9), ops))
    };
    Report {
        workload: kind.name(),
        server: args.server.clone(),
        sessions: args.sessions,
        depth: args.depth,
        size: args.size,
        seconds,
        total,
        classes: rows,
        errors: outcome.error_names(),
        connections_lost: outcome.lost,
        connection_error: outcome.lost_why.clone(),
        server_process: usage(&samples.server),
        generator: usage(&samples.own),
        more: BTreeMap::new(),
    }
}

/// Samples of both processes at the beginning and at the end of the measured time.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    /// The server's.
    pub server: Option<(Sample, Sample)>,
    /// The generator's.
    pub own: Option<(Sample, Sample)>,
    /// Time between them.
    pub seconds: f64,
}

/// A pair of samples of which the first is taken.
#[derive(Debug)]
pub struct Watcher {
    pids: Vec<u32>,
    begin: Instant,
    server: Option<Sample>,
    own: Option<Sample>,
    done: Option<Samples>,
}

impl Samples {
    /// Sleeps through the warm-up, takes the first samples, and with a fixed duration the last ones too.
    fn watch(pids: &[u32], plan: &Plan) -> io::Result<Watcher> {
        sleep_until(plan.begin + plan.warmup);
        let mut watcher = Watcher::start(pids)?;
        if let Some(duration) = plan.duration {
            sleep_until(plan.begin + plan.warmup + duration);
            watcher.done = Some(watcher.take()?);
        }
        Ok(watcher)
    }
}

impl Watcher {
    /// Takes the first samples.
    pub fn start(pids: &[u32]) -> io::Result<Self> {
        let server = Sample::of_all(pids)?;
        Ok(Watcher { pids: pids.to_vec(), begin: Instant::now(), server, own: Sample::own().ok(), done: None })
    }

    fn take(&mut self) -> io::Result<Samples> {
        let seconds = self.begin.elapsed().as_secs_f64();
        let after = Sample::of_all(&self.pids)?;
        Ok(Samples {
            server: self.server.take().zip(after),
            own: self.own.take().and_then(|before| Some((before, Sample::own().ok()?))),
            seconds,
        })
    }

    /// Takes the last samples, unless that is done.
    pub fn finish(mut self) -> io::Result<Samples> {
        match self.done.take() {
            Some(samples) => Ok(samples),
            None => self.take(),
        }
    }
}

fn sleep_until(instant: Instant) {
    std::thread::sleep(instant.saturating_duration_since(Instant::now()));
}
