//! Crash campaigns: `kill9`, `handover` between Oxkeeper and Java, `powercut` on a real file system, `diskfull`.
//! scripts/campaign-* start it. What must hold is in `campaign`, what a session expects in `model`.

mod campaign;
mod disks;
mod dump;
mod load;
mod model;
mod server;
mod wire;

use campaign::Campaign;
use clap::{Parser, ValueEnum};
use rand::Rng;
use server::{Place, tail};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Crash campaigns against a ZooKeeper server.
#[derive(Parser)]
pub struct Args {
    /// Which campaign.
    mode: Mode,
    /// The server, a shell command to which the path of a zoo.cfg is appended.
    #[arg(long)]
    server: String,
    /// The Java server, likewise.
    #[arg(long)]
    java: Option<String>,
    /// An empty folder.
    #[arg(long)]
    work: PathBuf,
    /// How often the server dies.
    #[arg(long, default_value_t = 200)]
    rounds: u64,
    /// Java looks at a copy of the files every so many rounds.
    #[arg(long, default_value_t = 20)]
    java_every: u64,
    /// Decides what the sessions do and when the server dies.
    #[arg(long)]
    seed: Option<u64>,
    /// Sessions under load.
    #[arg(long, default_value_t = 5)]
    sessions: usize,
    /// File system of a power cut or a full disk.
    #[arg(long, default_value = "ext4")]
    fs: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    Kill9,
    Handover,
    Powercut,
    Diskfull,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let seed = args.seed.unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    let (name, started) =
        (args.mode.to_possible_value().map_or_else(String::new, |value| value.get_name().into()), Instant::now());
    let results = match args.mode {
        Mode::Kill9 => vec![(name, kill9(&args, seed))],
        Mode::Handover => vec![(name, handover(&args, seed))],
        Mode::Powercut => vec![(format!("{name}-{}", args.fs), disks::powercut(&args, seed))],
        Mode::Diskfull => disks::diskfull(&args, seed),
    };
    let mut failed = 0;
    for (name, result) in &results {
        match result {
            Ok(summary) => println!("PASS {name} seed={seed} seconds={} {summary}", started.elapsed().as_secs()),
            Err(why) => {
                failed += 1;
                println!("FAIL {name} seed={seed} {why}");
                println!("{}", tail(&args.work.join("server.log"), 12));
            }
        }
    }
    println!("{} passed, {failed} failed, 0 skipped", results.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Campaign {
    /// Settings that change from life to life: files of all shapes come together.
    pub fn vary(&mut self, sync: bool) {
        let rng = &mut self.rng;
        let snap_count = [20, 100, 500, 5000][rng.random_range(0..4)];
        let prealloc = [16, 1024, 65536][rng.random_range(0..3)];
        let compression = ["", "", "snapshot.compression.method=gz\n", "snapshot.compression.method=snappy\n"]
            [rng.random_range(0..4)];
        let purge = ["", "autopurge.snapRetainCount=3\nautopurge.purgeInterval=1\n"][rng.random_range(0..2)];
        let sync = ["", "forceSync=no\n"][if sync { 0 } else { rng.random_range(0..2) }];
        self.place.config = format!("snapCount={snap_count}\npreAllocSize={prealloc}\n{compression}{purge}{sync}");
    }
}

fn kill9(args: &Args, seed: u64) -> Result<String, String> {
    let mut campaign = Campaign::new(Place::new(&args.work)?, seed, args.sessions);
    let (mut compared, mut early) = (0, 0);
    campaign.vary(false);
    let mut process = campaign.place.start(&args.server)?;
    campaign.prepare(&mut process)?;
    for round in 1..=args.rounds {
        let tell = |why| format!("round {round}: {why}");
        let millis = campaign.rng.random_range(20..700);
        campaign.load(process, Duration::from_millis(millis), server::Process::kill).map_err(tell)?;
        campaign.vary(false);
        // It may die while it starts, too.
        while campaign.rng.random_ratio(1, 3) {
            let starting = campaign.place.start(&args.server)?;
            std::thread::sleep(Duration::from_micros(campaign.rng.random_range(0..60_000)));
            starting.kill();
            early += 1;
        }
        let java = match &args.java {
            Some(java) if round % args.java_every == 0 || round == args.rounds => {
                Some(campaign.tree_of_copy(java).map_err(tell)?)
            }
            _ => None,
        };
        process = campaign.place.start(&args.server)?;
        let dump = campaign.verify(&mut process).map_err(tell)?;
        if let Some(java) = java {
            compared += 1;
            if let Some(why) = dump.differs(&java) {
                return Err(tell(format!("Java sees another tree: {why}")));
            }
        }
        if round % 20 == 0 {
            eprintln!("round {round}: {} nodes, {}", dump.nodes.len(), campaign.summary());
        }
    }
    process.stop()?;
    process = campaign.place.start(&args.server)?;
    campaign.verify(&mut process).map_err(|why| format!("after the end: {why}"))?;
    process.stop()?;
    Ok(format!(
        "rounds={} killed-while-starting={early} compared-with-java={compared} {}",
        args.rounds,
        campaign.summary()
    ))
}

/// The files go from server to server; each life ends with SIGKILL, and each time both servers see the same tree.
fn handover(args: &Args, seed: u64) -> Result<String, String> {
    let java = args.java.as_ref().ok_or("--java is needed")?;
    let servers = [java, &args.server];
    let mut campaign = Campaign::new(Place::new(&args.work)?, seed, args.sessions);
    campaign.vary(false);
    let mut process = campaign.place.start(servers[0])?;
    process.await_serving()?;
    campaign.prepare(&mut process)?;
    for round in 1..=args.rounds {
        let (from, to) = (servers[(round + 1) as usize % 2], servers[round as usize % 2]);
        let tell = |why| format!("round {round}: {why}");
        let millis = campaign.rng.random_range(200..2500);
        campaign.load(process, Duration::from_millis(millis), server::Process::kill).map_err(tell)?;
        campaign.vary(false);
        let other = campaign.tree_of_copy(from).map_err(tell)?;
        process = campaign.place.start(to)?;
        process.await_serving().map_err(tell)?;
        let dump = campaign.verify(&mut process).map_err(tell)?;
        if let Some(why) = dump.differs(&other) {
            return Err(tell(format!("the two servers see different trees: {why}")));
        }
        eprintln!("round {round}: {} nodes, {}", dump.nodes.len(), campaign.summary());
    }
    process.stop()?;
    Ok(format!("rounds={} {}", args.rounds, campaign.summary()))
}
