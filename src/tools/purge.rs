//! `oxkeeper purge`: removes snapshots and logs that no recovery needs, as `org.apache.zookeeper.server.PurgeTxnLog`.

use std::path::PathBuf;

use clap::Args;

use super::output::{Failure, Output, complain};
use crate::store::{self, Dirs, RETAIN_MIN, RealDisk};

const USAGE: &str = "\
Usage:
PurgeTxnLog dataLogDir [snapDir] -n count
\tdataLogDir -- path to the txn log directory
\tsnapDir -- path to the snapshot directory
\tcount -- the number of old snaps/logs you want to keep, value should be greater than or equal to 3";

/// Arguments of `purge`.
#[derive(Debug, Args)]
pub struct Purge {
    /// The folder of the logs (dataLogDir, or dataDir where there is no other).
    data_log_dir: PathBuf,
    /// The folder of the snapshots, where it is another one.
    snap_dir: Option<PathBuf>,
    /// How many snapshots are kept, with the logs behind them; at least 3.
    #[arg(short = 'n', long = "count", allow_negative_numbers = true)]
    count: i64,
    /// Say what was removed.
    #[arg(short = 'v', long)]
    verbose: bool,
}

/// Removes them. Silent like the original, unless asked.
pub fn run(args: &Purge, out: &mut Output) -> Result<u8, Failure> {
    let count = usize::try_from(args.count).ok().filter(|count| *count >= RETAIN_MIN);
    let Some(count) = count else {
        return Err(Failure::new(format!("count should be greater than or equal to {RETAIN_MIN}\n{USAGE}")));
    };
    let dirs = Dirs::new(args.snap_dir.as_ref().unwrap_or(&args.data_log_dir), Some(&args.data_log_dir));
    for dir in [&dirs.snapshots, &dirs.logs] {
        if !dir.is_dir() {
            return Err(Failure::new(format!("{}: there is no such folder", dir.display())));
        }
    }
    // Also beside a running server, as scheduled jobs do it with the original's zkCleanup.sh: what goes is older than anything
    // a server reads or writes.
    let purged = store::purge(&RealDisk, &dirs, count)?;
    if args.verbose {
        use std::io::Write;
        for name in purged.snapshots.iter().chain(&purged.logs) {
            writeln!(out, "removed {name}")?;
        }
        if purged.snapshots.is_empty() && purged.logs.is_empty() {
            complain("nothing to remove");
        }
    }
    Ok(0)
}
