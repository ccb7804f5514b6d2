//! The command line of `oxkeeper bench`.

use clap::{Parser, ValueEnum};
use std::time::Duration;

/// What is done to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// getData of random keys
    Get,
    /// exists of random keys
    Exists,
    /// setData of random keys
    Set,
    /// getData, and setData in --write-percent of the cases
    Mixed,
    /// create, in a directory of each session
    Create,
    /// delete of nodes made before; --ops of them (default 100,000)
    Delete,
    /// create and delete in turn
    CreateDelete,
    /// create and delete of ephemeral nodes in turn
    Ephemeral,
    /// transactions of --multi-size setData
    Multi,
    /// getChildren of a node with --children children
    Children,
    /// one writer, --sessions watchers that set their one-shot watches anew
    Watch,
    /// one writer, --sessions watchers with a persistent recursive watch
    WatchRecursive,
    /// sessions opened and closed, --sessions at a time
    Connect,
    /// --sessions opened and held for --duration, for memory
    Idle,
    /// --nodes znodes created and left there, for memory and restart
    Fill,
    /// reads at --rate while writes at --write-rate make the server take snapshots; needs --data-dir
    Snapshot,
    /// the generator alone, against a server that does nothing: what it can measure at all
    Calibrate,
}

impl Workload {
    /// Its name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// Load for any ZooKeeper server: throughput, latencies and, for a server on this machine, CPU time and memory.
#[derive(Debug, Clone, Parser)]
#[command(name = "oxkeeper bench")]
pub struct Args {
    /// What to do, one after the other
    #[arg(value_enum, default_values = ["get", "set", "mixed", "create-delete"])]
    pub workloads: Vec<Workload>,
    /// Servers, host:port,host:port; sessions are spread over them
    #[arg(short, long, default_value = "127.0.0.1:2181")]
    pub server: String,
    /// Sessions
    #[arg(short = 'c', long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub sessions: u32,
    /// Requests under way in each session; for the watch workloads, keys written at the same time
    #[arg(short, long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub depth: u32,
    /// Bytes of data
    #[arg(long, default_value_t = 100)]
    pub size: usize,
    /// Keys that are read and set
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub keys: u64,
    /// Seconds to measure
    #[arg(short = 't', long, default_value = "10", value_parser = seconds)]
    pub duration: Duration,
    /// Seconds before measuring
    #[arg(long, default_value = "2", value_parser = seconds)]
    pub warmup: Duration,
    /// Exactly so many requests instead of a duration, without warm-up
    #[arg(short = 'n', long)]
    pub ops: Option<u64>,
    /// Requests per second in all, instead of as many as the server answers; waiting for a free place counts as latency
    #[arg(long, value_parser = positive)]
    pub rate: Option<f64>,
    /// Share of writes in mixed
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=100))]
    pub write_percent: u64,
    /// Parts of a multi; fill creates so many nodes in one
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub multi_size: u64,
    /// Children of the listed node
    #[arg(long, default_value_t = 1000)]
    pub children: u64,
    /// Nodes that fill creates
    #[arg(long, default_value_t = 1_000_000)]
    pub nodes: u64,
    /// Writes per second beside the reads of snapshot
    #[arg(long, default_value = "2000", value_parser = positive)]
    pub write_rate: f64,
    /// The server's data directory, on this machine: tells snapshot when one is being written
    #[arg(long)]
    pub data_dir: Option<std::path::PathBuf>,
    /// Generator threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: u32,
    /// Session timeout to ask for, seconds
    #[arg(long, default_value = "30", value_parser = seconds)]
    pub timeout: Duration,
    /// The node everything happens below
    #[arg(long, default_value = "/oxkeeper-bench", value_parser = root)]
    pub root: String,
    /// Seed of random keys and data
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Process ids of the server, or of all servers of an ensemble, on this machine: reports their CPU time and memory
    #[arg(short, long, value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// One JSON object for each workload instead of a table
    #[arg(long)]
    pub json: bool,
    /// No progress bar
    #[arg(short, long)]
    pub quiet: bool,
    /// Leave the nodes there (fill always does)
    #[arg(long)]
    pub keep: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("not a number above 0".to_owned()),
    }
}

fn root(text: &str) -> Result<String, String> {
    if text.len() > 1 && crate::proto::path::is_valid(text) {
        return Ok(text.to_owned());
    }
    Err("not the path of a node below /".to_owned())
}
