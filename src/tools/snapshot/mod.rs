//! `oxkeeper snapshot`: shows snapshots and compares them. The texts are those of the original's `SnapshotFormatter`,
//! `SnapshotRecursiveSummary` and `SnapshotComparer`; nodes come in the order of the file, or by name.

mod compare;
mod dump;
mod sizes;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::output::{Failure, Output, Watched, bar};
use crate::proto::Zxid;
use crate::store::disk::FileStream;
use crate::store::{
    BadSnapshot, Compression, Decompress, Disk, DiskFile, RealDisk, Restore, SnapshotName, SnapshotSummary,
    read_snapshot,
};

/// What to do with snapshots.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print all nodes and sessions.
    Dump(Dump),
    /// Print the tree in the JSON form of the original, which ncdu reads.
    Json(OneFile),
    /// Print descendants and bytes of each subtree.
    Stats(sizes::Stats),
    /// Print the subtrees that differ in size between two snapshots.
    Compare(compare::Compare),
}

/// Arguments of `dump`.
#[derive(Debug, Args)]
pub struct Dump {
    /// The snapshot file.
    file: PathBuf,
    /// Print the data of each node, in base64.
    #[arg(short = 'd', long)]
    data: bool,
    /// One JSON object in each line: nodes, then sessions, then a summary.
    #[arg(long)]
    json: bool,
}

/// Arguments of `json`.
#[derive(Debug, Args)]
pub struct OneFile {
    /// The snapshot file.
    file: PathBuf,
}

/// Runs a command; the result is the exit code.
pub fn run(command: Command, out: &mut Output) -> Result<u8, Failure> {
    match command {
        Command::Dump(args) => dump::run(&args, out),
        Command::Json(args) => sizes::json(&args.file, out),
        Command::Stats(args) => sizes::stats(&args, out),
        Command::Compare(args) => compare::run(&args, out),
    }
}

/// Reads a snapshot file of any name; the inner error says where its content stops making sense.
fn load(path: &Path, restore: &mut impl Restore) -> Result<Result<SnapshotSummary, BadSnapshot>, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("{}: cannot read the snapshot: {error}", path.display()));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let file = RealDisk.open(path).map_err(failed)?;
    let bar = bar("reading", file.len().map_err(failed)?);
    let source = Watched::new(FileStream::new(Arc::new(file), 0), bar);
    Ok(read_snapshot(Decompress::new(source, Compression::of_name(&name)), zxid_of(path), restore))
}

/// From the name; 0 for a file that was renamed.
fn zxid_of(path: &Path) -> Zxid {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    SnapshotName::parse(&name).map_or(Zxid::ZERO, |name| name.zxid)
}

fn bad(path: &Path, why: &BadSnapshot) -> Failure {
    Failure::new(format!("{}: {why}", path.display()))
}
