//! Runs the simulator for long: `scripts/simulate`. See `oxkeeper::simulation`.

use clap::Parser;
use oxkeeper::mutant::Mutant;
use oxkeeper::simulation::{FAULTS, Failure, Options, Report, run};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Simulates whole ensembles, one for each seed.
#[derive(Parser)]
#[command(name = "simulate")]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Runs one seed, and tells everything.
    #[arg(long)]
    seed: Option<u64>,
    /// Puts each of the historical bugs back and looks how many seeds it takes to find it; fails if one is not found.
    #[arg(long)]
    mutants: bool,
    /// Puts one bug back.
    #[arg(long)]
    mutant: Option<String>,
    /// How long a bug may go unfound, seconds.
    #[arg(long, default_value_t = 600)]
    patience: u64,
    /// Evaluates each trace by the invariants of the protocol's model as well.
    #[arg(long)]
    model: bool,
    /// Only what comes of a broken promise counts, not the promise (D2 to D4).
    #[arg(long)]
    consequences: bool,
    /// Threads, each with a seed at a time.
    #[arg(long, default_value_t = 1)]
    threads: u64,
    /// Goes on after a violation.
    #[arg(long)]
    keep_going: bool,
}

fn main() {
    let arguments = Arguments::parse();
    let mutant = arguments.mutant.as_ref().map(|name| {
        let found = Mutant::ALL.iter().find(|mutant| format!("{mutant:?}") == *name);
        *found.unwrap_or_else(|| {
            Mutant::ALL.iter().for_each(|mutant| eprintln!("{mutant:?}: {}", mutant.text()));
            std::process::exit(2);
        })
    });
    let options = Options {
        mutant,
        traced: arguments.model,
        consequences_only: arguments.consequences,
        verbose: arguments.seed.is_some(),
    };
    if let Some(seed) = arguments.seed {
        match run(seed, options) {
            Ok(report) => println!("seed {seed} holds: {report:?}"),
            Err(failure) => tell(&failure, mutant, 0),
        }
        return;
    }
    // What a machine says when it panics is part of the failure.
    std::panic::set_hook(Box::new(|_| {}));
    let good = if arguments.mutants { mutants(&arguments, options) } else { seeds(&arguments, options) };
    std::process::exit(i32::from(!good));
}

fn tell(failure: &Failure, mutant: Option<Mutant>, lines: usize) {
    failure.story.iter().rev().take(lines).rev().for_each(|line| println!("{line}"));
    let with = mutant.map(|mutant| format!(" --mutant {mutant:?}")).unwrap_or_default();
    println!("scripts/simulate --seed {}{with}: {}", failure.seed, failure.what);
}

#[derive(Default)]
struct Sums {
    report: Report,
    failures: u64,
}

/// Seeds side by side, until all are done or one fails.
fn search(
    arguments: &Arguments,
    options: Options,
    end: Option<Instant>,
    mut each: impl FnMut(u64, Result<Report, Failure>) -> bool + Send,
) {
    let next = AtomicU64::new(arguments.from);
    let last = arguments.from.saturating_add(if end.is_some() { u64::MAX / 2 } else { arguments.seeds });
    let stop = AtomicBool::new(false);
    let each = Mutex::new(&mut each);
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) && end.is_none_or(|end| Instant::now() < end) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= last {
                        break;
                    }
                    let result = run(seed, options);
                    let mut each = each.lock().unwrap_or_else(PoisonError::into_inner);
                    if !(*each)(seed, result) {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

fn seeds(arguments: &Arguments, options: Options) -> bool {
    let started = Instant::now();
    let mut sums = Sums::default();
    sums.report.faults = vec![0; FAULTS.len()];
    let (mut done, mut told) = (0u64, Instant::now());
    search(arguments, options, None, |_, result| {
        done += 1;
        match result {
            Ok(report) => {
                sums.report.faults.iter_mut().zip(&report.faults).for_each(|(sum, count)| *sum += count);
                sums.report.events += report.events;
                sums.report.committed += report.committed;
                sums.report.answers += report.answers;
                sums.report.terms += report.terms;
                sums.report.snapshots += report.snapshots;
                sums.report.copies += report.copies;
                sums.report.truncations += report.truncations;
                sums.report.from_files += report.from_files;
                sums.report.stuck += report.stuck;
                sums.report.comparisons += report.comparisons;
                sums.report.expiries += report.expiries;
                sums.report.reconfigurations += report.reconfigurations;
                sums.report.handovers += report.handovers;
                sums.report.model_steps += report.model_steps;
            }
            Err(failure) => {
                sums.failures += 1;
                tell(&failure, options.mutant, if arguments.keep_going { 0 } else { 60 });
                if !arguments.keep_going {
                    return false;
                }
            }
        }
        if told.elapsed() > Duration::from_secs(60) {
            told = Instant::now();
            eprintln!("{done} seeds in {} s, {} violations", started.elapsed().as_secs(), sums.failures);
        }
        true
    });
    let Report { events, committed, answers, terms, snapshots, copies, truncations, from_files, stuck, .. } =
        sums.report;
    let took = started.elapsed().as_secs_f64();
    for (name, count) in FAULTS.iter().zip(&sums.report.faults) {
        println!("{count:>12}  {name}");
    }
    println!("{:>12}  faults in all", sums.report.faults.iter().sum::<u64>());
    println!(
        "{done} seeds in {took:.0} s ({:.0} an hour), {events} events, {terms} terms, {committed} transactions, {answers} \
         answers, {snapshots} snapshots, {copies} copies, {truncations} truncations ({stuck} impossible), {from_files} from \
         files, {} sessions expired, {} reconfigurations, {} words that another leads on, {} comparisons",
        done as f64 / took * 3600.0,
        sums.report.expiries,
        sums.report.reconfigurations,
        sums.report.handovers,
        sums.report.comparisons,
    );
    if options.traced {
        println!("{} traces conform to the model, {} steps", done - sums.failures, sums.report.model_steps);
    }
    println!("{} passed, {} failed, 0 skipped", done - sums.failures, sums.failures);
    sums.failures == 0
}

fn mutants(arguments: &Arguments, options: Options) -> bool {
    let mut survivors = 0;
    for mutant in Mutant::ALL {
        let started = Instant::now();
        let end = Some(started + Duration::from_secs(arguments.patience));
        let (mut found, mut seeds) = (None, 0u64);
        search(arguments, Options { mutant: Some(*mutant), ..options }, end, |_, result| {
            seeds += 1;
            found = result.err();
            found.is_none()
        });
        let took = started.elapsed().as_secs_f64();
        match found {
            Some(failure) => println!("found     {seeds:>6} seeds {took:>6.1} s  {mutant:?}: {}", failure.what),
            None => {
                survivors += 1;
                println!("SURVIVES  {seeds:>6} seeds {took:>6.1} s  {mutant:?}: {}", mutant.text());
            }
        }
    }
    let all = Mutant::ALL.len();
    println!("{} passed, {survivors} failed, 0 skipped", all - survivors);
    survivors == 0
}
