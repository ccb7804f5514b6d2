//! Programs for data folders, on Apache's files as well as ours: show snapshots and logs, judge a folder, clean it, back
//! it up and restore it. Knows the store, the records and the tree, nothing of a running server but whether there is
//! one ([`live`]). What only looks never writes; what writes asks first whether a server holds the folder.

mod backup;
mod check;
mod doctor;
mod init;
mod live;
mod output;
mod purge;
mod snapshot;
mod txnlog;

#[cfg(test)]
mod command_tests;
#[cfg(test)]
mod java_tests;
#[cfg(test)]
mod testing;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::proto::Zxid;
use crate::store::{Dirs, Disk, LogName, RealDisk, SnapshotName};

pub use output::{Failure, Output};

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "oxkeeper", version, about = "Tools for data folders of Oxkeeper and Apache ZooKeeper")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show snapshots, and compare two.
    #[command(subcommand)]
    Snapshot(snapshot::Command),
    /// Show, check and mend transaction logs.
    #[command(subcommand)]
    Txnlog(txnlog::Command),
    /// Copy a server's data as it is at one transaction, also while the server runs.
    Backup(backup::Backup),
    /// Make a data folder of a backup, at its end, at a transaction or at a time.
    Restore(backup::RestoreArgs),
    /// Read a backup from front to back. Exit code 0: whole, 1: digests differ, 2: not to be restored.
    Verify(backup::Verify),
    /// Remove snapshots and logs that no recovery needs.
    Purge(purge::Purge),
    /// Say in which state a data folder is. Exit code 0: healthy, 1: warnings, 2: data is at risk.
    Doctor(doctor::Doctor),
    /// Make the folders of a new server.
    Init(init::Init),
}

/// A zxid as the original's tools take it: decimal, or hexadecimal behind 0x.
fn parse_zxid(text: &str) -> Result<Zxid, String> {
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    number.map(Zxid).map_err(|_| format!("{text} is no zxid: write 31 or 0x1f"))
}

/// The folders that an operator means by a path: dataDir, or the folder version-2 itself.
fn folders(dir: &Path, log_dir: Option<&Path>) -> Dirs {
    let inner = |dir: &Path| {
        let version = dir.join("version-2");
        if version.is_dir() || !holds_data(dir) { version } else { dir.to_owned() }
    };
    Dirs { snapshots: inner(dir), logs: inner(log_dir.unwrap_or(dir)) }
}

fn holds_data(dir: &Path) -> bool {
    let names = RealDisk.list(dir).unwrap_or_default();
    names.iter().any(|name| LogName::parse(name).is_some() || SnapshotName::parse(name).is_some())
}

/// True for the first word of a command line that belongs here.
pub fn knows(word: &str) -> bool {
    use clap::CommandFactory;
    Cli::command().get_subcommands().any(|command| command.get_name() == word)
}

/// Runs the program's arguments, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let mut out = Output::to_stdout();
    let result = execute(cli.command, &mut out);
    let result = result.and_then(|code| out.flush().map(|()| code));
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            // What was shown before the failure belongs in front of it.
            let _ = out.flush();
            failure.tell();
            ExitCode::from(failure.code)
        }
    }
}

/// Runs a command; the result is the exit code.
fn execute(command: Command, out: &mut Output) -> Result<u8, Failure> {
    match command {
        Command::Snapshot(command) => snapshot::run(command, out),
        Command::Txnlog(command) => txnlog::run(command, out),
        Command::Backup(args) => backup::backup(&args, out),
        Command::Restore(args) => backup::restore(&args, out),
        Command::Verify(args) => backup::verify(&args, out),
        Command::Purge(args) => purge::run(&args, out),
        Command::Doctor(args) => doctor::run(&args, out),
        Command::Init(args) => init::run(&args, out),
    }
}
