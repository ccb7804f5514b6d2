//! The differential runner: sends the same random requests to two ZooKeeper servers and compares every reply and every
//! watch event byte for byte, after masking times and ids. `plan` says what a run is made of, `generate` makes it from
//! a seed, `execute` runs it, `shrink` makes a found difference small. README.md tells how to use it.

mod bodies;
mod describe;
mod execute;
mod generate;
mod normalize;
mod plan;
mod rng;
mod server;
mod shrink;
mod side;
mod wire;
mod words;

use clap::Parser;
use execute::{Difference, Pair, Tally};
use oxkeeper::proto::{ErrorCode, OpCode};
use plan::{PROFILES, Profile, Step};
use server::Server;
use side::Side;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Compares two ZooKeeper servers, request by request.
#[derive(Parser)]
struct Args {
    /// Shell command of the reference server; the path of a zoo.cfg is appended.
    #[arg(long)]
    reference: String,
    /// Shell command of the server under test.
    #[arg(long)]
    candidate: String,
    /// Requests to send, all sessions together.
    #[arg(long, default_value_t = 100_000)]
    ops: u64,
    /// Requests after which both servers start again with empty directories.
    #[arg(long, default_value_t = 100_000)]
    episode: u64,
    /// First seed; each episode takes the next one.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only the steps up to this one, of the first episode.
    #[arg(long)]
    until: Option<u64>,
    /// Only this profile of server settings (plain, quota, small-frames); else in turn.
    #[arg(long)]
    profile: Option<String>,
    /// Without restarts of the servers within an episode.
    #[arg(long)]
    no_restarts: bool,
    /// Differences to collect before giving up; each ends its episode.
    #[arg(long, default_value_t = 1)]
    differences: usize,
    /// Seconds to spend on making each difference small; 0 for none.
    #[arg(long, default_value_t = 120)]
    shrink: u64,
    /// Prints step `--until` of the plan and so many steps before it, and runs nothing.
    #[arg(long)]
    show: Option<u64>,
    /// Reads this node after each step, so that a difference in it shows where it begins.
    #[arg(long)]
    look_at: Option<String>,
    /// Plays this recorded conversation against the candidate, and nothing else.
    #[arg(long)]
    wire: Option<PathBuf>,
    /// Scratch folder.
    #[arg(long)]
    work: PathBuf,
}

/// Lines of a shrunk plan that are printed.
const PLAN_LINES: usize = 120;

/// What a whole run has seen.
#[derive(Default)]
struct Total {
    ops: u64,
    steps: u64,
    tally: Tally,
    events: BTreeMap<&'static str, u64>,
    differences: BTreeMap<String, u64>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(recording) = &args.wire {
        return wire(&args, recording);
    }
    if let Some(before) = args.show {
        let profile =
            PROFILES.iter().find(|profile| Some(profile.name) == args.profile.as_deref()).unwrap_or(&PROFILES[0]);
        let last = args.until.unwrap_or(0);
        for index in last.saturating_sub(before)..=last {
            println!("{index}: {}", describe::step(&generate::step(args.seed, index, profile)));
        }
        return ExitCode::SUCCESS;
    }
    let mut total = Total::default();
    let started = Instant::now();
    match run(&args, &mut total, started) {
        Ok(()) => {}
        Err(error) => {
            println!("FAIL differential: {error}");
            return ExitCode::from(2);
        }
    }
    print_statistics(&total);
    let seconds = started.elapsed().as_secs_f64();
    let summary = format!(
        "{} requests, {} steps, seed {}, {seconds:.0} s ({:.0}/s)",
        total.ops,
        total.steps,
        args.seed,
        total.ops as f64 / seconds
    );
    if total.differences.is_empty() {
        println!("PASS differential {summary}");
        ExitCode::SUCCESS
    } else {
        for (signature, count) in &total.differences {
            println!("  {count} x {signature}");
        }
        println!("FAIL differential {summary}");
        ExitCode::FAILURE
    }
}

fn wire(args: &Args, recording: &Path) -> ExitCode {
    let outcome = std::fs::read_to_string(recording)
        .map_err(|error| format!("{}: {error}", recording.display()))
        .and_then(|text| {
            let server = Server::start(&args.candidate, &args.work.join("wire"), &PROFILES[0])?;
            wire::replay(&text, &server)
        });
    match outcome {
        Err(error) => println!("FAIL differential: {error}"),
        Ok((compared, differences)) if differences.is_empty() => {
            println!("PASS differential {compared} recorded answers");
            return ExitCode::SUCCESS;
        }
        Ok((compared, differences)) => {
            differences.iter().for_each(|difference| println!("DIFFERENCE {difference}"));
            println!("FAIL differential {} of {compared} recorded answers differ", differences.len());
        }
    }
    ExitCode::FAILURE
}

fn run(args: &Args, total: &mut Total, started: Instant) -> Result<(), String> {
    let mut episode = 0;
    let mut found = 0;
    while total.ops < args.ops && found < args.differences {
        let profile = match &args.profile {
            None => &PROFILES[episode as usize % PROFILES.len()],
            Some(name) => PROFILES.iter().find(|profile| profile.name == name).ok_or(format!("no profile {name}"))?,
        };
        let seed = args.seed + episode;
        if let Some((step, plan, difference)) = one_episode(args, total, seed, profile, started)? {
            found += 1;
            println!("\nDIFFERENCE {found}: {}", difference.signature);
            println!("  replay: --seed {seed} --profile {} --until {step}", profile.name);
            println!("  {}", difference.report);
            let mut smallest = difference;
            if args.shrink > 0 {
                let (plan, small) =
                    shrink::shrink(plan, smallest, Duration::from_secs(args.shrink), |plan| trial(args, profile, plan));
                println!("  the smallest plan that shows it, after {} s:", args.shrink);
                let lines: Vec<String> = plan
                    .iter()
                    .flat_map(|step| {
                        format!("- {}", describe::step(step)).lines().map(str::to_owned).collect::<Vec<_>>()
                    })
                    .collect();
                // The end is where it shows.
                lines[lines.len().saturating_sub(PLAN_LINES)..].iter().for_each(|line| println!("  {line}"));
                println!("  {}", small.report);
                smallest = small;
            }
            *total.differences.entry(smallest.signature).or_default() += 1;
        }
        episode += 1;
        if args.until.is_some() {
            break;
        }
    }
    Ok(())
}

type Found = Option<(u64, Vec<Step>, Difference)>;

fn one_episode(
    args: &Args,
    total: &mut Total,
    seed: u64,
    profile: &Profile,
    started: Instant,
) -> Result<Found, String> {
    let (_scratch, mut pair) = pair(args, profile)?;
    let mut plan: Vec<Step> = vec![];
    let mut sent = 0;
    let mut index = 0;
    let mut result = None;
    let mut shown = Instant::now();
    let within = |sent, index, total: &Total| match args.until {
        Some(last) => index <= last,
        None => sent < args.episode && total.ops < args.ops,
    };
    while within(sent, index, total) {
        let step = generate::step(seed, index, profile);
        if args.no_restarts && matches!(step, Step::Restart { .. }) {
            index += 1;
            continue;
        }
        let requests = step.requests() as u64;
        plan.push(step);
        let looks = usize::from(args.look_at.is_some());
        plan.extend(args.look_at.iter().map(|path| generate::look_at(path)));
        let outcome = plan[plan.len() - 1 - looks..].iter().try_for_each(|step| pair.step(step));
        sent += requests;
        total.ops += requests;
        total.steps += 1;
        if let Err(difference) = outcome {
            result = Some((index, std::mem::take(&mut plan), difference));
            break;
        }
        index += 1;
        if shown.elapsed() > Duration::from_secs(5) {
            shown = Instant::now();
            let seconds = started.elapsed().as_secs_f64();
            eprintln!(
                "[{seconds:5.0} s] seed {seed} {}: step {index}, {} requests, {:.0}/s",
                profile.name,
                total.ops,
                total.ops as f64 / seconds
            );
        }
    }
    for (op, codes) in pair.tally {
        for (code, count) in codes {
            *total.tally.entry(op).or_default().entry(code).or_default() += count;
        }
    }
    for (name, count) in pair.events {
        *total.events.entry(name).or_default() += count;
    }
    Ok(result)
}

/// Runs a plan on fresh servers.
fn trial(args: &Args, profile: &Profile, plan: &[Step]) -> Option<Difference> {
    let (_scratch, mut pair) = pair(args, profile).ok()?;
    plan.iter().find_map(|step| pair.step(step).err())
}

/// A scratch folder that goes away with its owner.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Two fresh servers. The folder is dropped after the servers.
fn pair(args: &Args, profile: &Profile) -> Result<(Scratch, Pair), String> {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let home = args.work.join(format!("run-{number}"));
    let scratch = Scratch(home.clone());
    let start = |command: &str, name: &str| Server::start(command, &home.join(Path::new(name)), profile);
    let (reference, candidate) = std::thread::scope(|scope| {
        let reference = scope.spawn(|| start(&args.reference, "reference"));
        let candidate = start(&args.candidate, "candidate");
        (reference.join(), candidate)
    });
    let reference = reference.map_err(|_| "the starting thread is gone".to_owned())??;
    Ok((scratch, Pair::new(Side::new("reference", reference), Side::new("candidate", candidate?))))
}

fn print_statistics(total: &Total) {
    println!("\nReplies of the reference, by operation and error:");
    for (op, codes) in &total.tally {
        let sum: u64 = codes.values().sum();
        let mut codes: Vec<_> = codes.iter().collect();
        codes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let list: Vec<String> =
            codes.iter().map(|(code, count)| format!("{} {count}", ErrorCode(**code).name().unwrap_or("?"))).collect();
        println!("  {:<24} {sum:>9}  {}", format!("{:?}", OpCode(*op)), list.join(", "));
    }
    for (name, count) in &total.events {
        println!("  {name:<40} {count:>9}");
    }
    println!();
}
