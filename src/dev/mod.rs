//! `oxkeeper dev`: an ensemble on this machine by one command. Each member is a process of its own with a folder, a
//! zoo.cfg and ports; this program starts them, shows what they say, tells who leads, and ends them. It knows the servers
//! from outside alone, as an operator does: by four-letter words, signals and exit codes.

mod ensemble;
mod member;
mod plan;
mod report;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Arguments of `dev`.
#[derive(Debug, Parser)]
#[command(name = "oxkeeper dev", about = "Runs an ensemble on this machine, for a try or for tests; Ctrl-C ends it")]
pub struct Args {
    /// Members that vote.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=15))]
    servers: u8,
    /// Members that do not vote.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=15))]
    observers: u8,
    /// Client port of the first member; the others follow. Quorum ports are 707 above, election ports 1707, admin ports
    /// 5899. Without it:
    /// 2181, or if one of these ports is taken, 2281 and so on
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// The folder; each member has one in it, with its zoo.cfg and data. What is there is gone on with
    #[arg(long, default_value = "data/dev")]
    data: PathBuf,
    /// A line for the zoo.cfg of every member, such as tickTime=500. May be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = plan::setting)]
    settings: Vec<(String, String)>,
    /// Start a member again that has died
    #[arg(long)]
    restart: bool,
    /// Show what the members log (OXKEEPER_LOG says how much); without it, warnings and errors
    #[arg(short, long)]
    verbose: bool,
}

/// Runs until a signal comes or no member is left. The exit code is that of the signal, 1 when the members are gone, and
/// 2 when the ensemble cannot be started as it was asked for.
pub fn run(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let args = Args::parse_from(arguments);
    let console = report::Console::to_stdout();
    let started = plan::Plan::make(&args).and_then(|plan| ensemble::Ensemble::start(plan, &args, console));
    match started {
        Ok(ensemble) => ExitCode::from(ensemble.run()),
        Err(refusal) => {
            report::complain(&refusal.0);
            ExitCode::from(2)
        }
    }
}

/// Why an ensemble is not started.
#[derive(Debug)]
struct Refusal(String);

impl Refusal {
    fn new(text: impl Into<String>) -> Self {
        Refusal(text.into())
    }
}

/// A member's part of the bargain: called first in a server's process, it makes the process end with the `dev` that
/// started it, however that ends. Does nothing elsewhere.
pub fn end_with_parent() {
    let Ok(parent) = std::env::var(member::PARENT) else { return };
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, getppid, set_parent_process_death_signal};
        let asked = set_parent_process_death_signal(Some(Signal::TERM));
        let still = getppid().is_some_and(|pid| pid.as_raw_nonzero().to_string() == parent);
        if asked.is_ok() && !still {
            // It ended before it could be watched.
            std::process::exit(143);
        }
    }
    let _ = parent;
}
