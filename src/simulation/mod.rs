//! Whole ensembles in one thread, from one seed: the real elections, leaders, learners, engines, trees and stores, on simulated
//! disks, networks and clocks, with faults of every kind, and checks of everything that is promised. Compiled for tests and
//! with the feature `simulation` only; `scripts/simulate` runs it for long.

mod check;
mod clients;
mod faults;
mod model;
mod network;
mod outputs;
mod process;
mod reconfigurations;
mod requests;
#[cfg(test)]
mod tests;
mod world;

pub use model::{Step, Summary, evaluate};
pub use world::FAULTS;

use crate::mutant::{self, Mutant};
use std::panic::{AssertUnwindSafe, catch_unwind};
use world::World;

/// How to run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// A bug to put back.
    pub mutant: Option<Mutant>,
    /// Tell everything on standard error.
    pub verbose: bool,
    /// Evaluate the trace by the invariants of the protocol's model as well.
    pub traced: bool,
    /// Without the checks of single promises (D2 to D4): only what comes of a broken one counts.
    pub consequences_only: bool,
}

/// What a run has seen.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Faults by kind, in the order of [`FAULTS`].
    pub faults: Vec<u64>,
    /// Events, committed transactions, terms, snapshots, copies, truncations, DIFFs from files.
    pub events: u64,
    /// Committed transactions.
    pub committed: u64,
    /// Answers to clients.
    pub answers: u64,
    /// Terms established.
    pub terms: u64,
    /// Snapshots written.
    pub snapshots: u64,
    /// Learners that got a copy of everything.
    pub copies: u64,
    /// Learners that had to take something back.
    pub truncations: u64,
    /// Learners that got transactions from log files.
    pub from_files: u64,
    /// Learners that could not take back what they had to.
    pub stuck: u64,
    /// Comparisons of memory with disk, of digests, of reads.
    pub comparisons: u64,
    /// Sessions that expired.
    pub expiries: u64,
    /// Reconfigurations that were committed.
    pub reconfigurations: u64,
    /// Members that were told that another leads on.
    pub handovers: u64,
    /// Steps of the trace that was evaluated.
    pub model_steps: u64,
    /// The same for every run of a seed.
    pub fingerprint: u64,
}

/// A run that has found something.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What is wrong.
    pub what: String,
    /// What happened last.
    pub story: Vec<String>,
}

/// Runs one seed.
pub fn run(seed: u64, options: Options) -> Result<Report, Failure> {
    mutant::choose(options.mutant);
    let mut world = World::new(seed, options.verbose, options.traced);
    world.promises_checked = !options.consequences_only;
    let ran = catch_unwind(AssertUnwindSafe(|| world.run()));
    mutant::choose(None);
    let mut steps = 0;
    let what = match ran {
        Ok(true) => {
            let trace = world.take_trace();
            match options.traced.then(|| evaluate(&trace)) {
                Some(Err(why)) => Some(format!("model: {why}")),
                Some(Ok(summary)) => {
                    steps = summary.steps as u64;
                    None
                }
                None => None,
            }
        }
        Ok(false) => Some(world.check.violation.clone().unwrap_or_else(|| "it did not settle".into())),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            Some(format!("panic: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?")))
        }
    };
    if let Some(what) = what {
        return Err(Failure { seed, what, story: world.story() });
    }
    Ok(Report {
        events: world.events,
        committed: world.check.committed.len() as u64,
        answers: world.clients.iter().map(|client| client.done).sum(),
        terms: world.terms,
        snapshots: world.snapshots,
        copies: world.copies,
        truncations: world.truncations,
        from_files: world.from_files,
        stuck: world.stuck,
        comparisons: world.compared + world.check.digest_checks + world.check.reads_checked,
        expiries: world.expiries,
        reconfigurations: world.check.reconfigurations(),
        handovers: world.handovers,
        model_steps: steps,
        fingerprint: world.fingerprint(),
        faults: std::mem::take(&mut world.counts),
    })
}
