//! `oxkeeper doctor`: what state a data folder is in, what of it is provably safe, and what to do. Reads everything and
//! changes nothing; a start is played through in memory, by the code that a server starts with.

mod epochs;
mod report;
mod snapshots;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use clap::Args;

use super::check::{self, Finding, Level, LogReport};
use super::live;
use super::output::{Failure, Output};
use crate::engine::Replay;
use crate::proto::Zxid;
use crate::store::{
    Dirs, Disk, Fresh, LogName, RealDisk, RecoverOptions, Recovered, SnapshotName, StoreError, examine,
};
use crate::tree::{OwnerRules, Tree};
use report::Report;

/// Owners with all kinds of nodes: the folder does not say how its server is configured.
const OWNERS: OwnerRules = OwnerRules { extended_types: true, emulate_353: false };
/// From here on the end of a counter is near enough to plan for.
const ZXID_COUNTER_NEAR: u32 = 0xf000_0000;

/// Arguments.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The data folder: dataDir, or its version-2.
    dir: PathBuf,
    /// The folder of the logs, where it is another one (dataLogDir).
    #[arg(long)]
    log_dir: Option<PathBuf>,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

/// Examines and reports. Exit code 0: healthy, 1: warnings, 2: data is at risk or a server would not start.
pub fn run(args: &Doctor, out: &mut Output) -> Result<u8, Failure> {
    if let Some(missing) = [Some(&args.dir), args.log_dir.as_ref()].into_iter().flatten().find(|dir| !dir.is_dir()) {
        return Err(Failure::with_code(2, format!("{}: there is no such folder", missing.display())));
    }
    let report = diagnose(&super::folders(&args.dir, args.log_dir.as_deref()))?;
    if args.json {
        report.json(out)?
    } else {
        report.text(out)?
    }
    Ok(report.level().exit_code())
}

/// Everything that can be said of the folders.
pub fn diagnose(dirs: &Dirs) -> Result<Report, Failure> {
    let mut report = Report::new(dirs, live::holder(dirs));
    report.findings.extend(names(dirs)?);
    if !dirs.snapshots.is_dir() && !dirs.logs.is_dir() {
        report.findings.push(empty(dirs));
        return Ok(report);
    }
    report.snapshots = if dirs.snapshots.is_dir() { snapshots::check(dirs)? } else { Vec::new() };
    let logs: Vec<_> = list_logs(dirs)?.into_iter().map(|log| dirs.logs.join(log.name)).collect();
    report.logs = check::logs(&logs, true)?;
    start(dirs, &mut report);
    epochs::check(dirs, &mut report)?;
    Ok(report)
}

fn list_logs(dirs: &Dirs) -> Result<Vec<LogName>, Failure> {
    Ok(if dirs.logs.is_dir() { dirs.list_logs(&RealDisk)? } else { Vec::new() })
}

fn empty(dirs: &Dirs) -> Finding {
    let marker = if dirs.may_initialize(&RealDisk) { " (the file initialize allows it)" } else { "" };
    let text = format!("there is no data: a server begins a new database here{marker}");
    let remedy = if marker.is_empty() {
        "With db.autocreate=false it waits for the file initialize: oxkeeper init makes it"
    } else {
        ""
    };
    Finding::new(Level::Fine, text).remedy(remedy)
}

/// Files that do not belong, and folders that are swapped.
fn names(dirs: &Dirs) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let list = |dir: &Path| {
        if dir.is_dir() { RealDisk.list(dir).map_err(|error| unreadable(dir, &error)) } else { Ok(Vec::new()) }
    };
    if dirs.logs != dirs.snapshots {
        for (dir, prefix, what) in [(&dirs.logs, "snapshot.", "snapshots"), (&dirs.snapshots, "log.", "logs")] {
            if let Some(name) = list(dir)?.into_iter().find(|name| name.starts_with(prefix)) {
                let text = format!(
                    "{}: {name}: the folder holds {what} that belong into the other; no server starts",
                    dir.display()
                );
                let remedy = "Check whether dataDir and dataLogDir are swapped; if not, move these files over";
                findings.push(Finding::new(Level::Risk, text).remedy(remedy));
            }
        }
    }
    let mut all = list(&dirs.snapshots)?;
    if dirs.logs != dirs.snapshots {
        all.extend(list(&dirs.logs)?);
    }
    all.sort();
    for name in all {
        let (text, remedy) = if name.starts_with("snapshot.") && name.ends_with(".tmp") {
            (
                "an unfinished snapshot: servers here do not read it, Apache's try to",
                "Remove it, or let oxkeeper purge do it",
            )
        } else if name.starts_with("given-up-log.") {
            ("a log without usable records, set aside by a start", "Remove it once you are sure that nothing is missed")
        } else if odd_suffix(&name) {
            ("a log or snapshot by its name with something behind it: servers read it as one more", "Move it elsewhere")
        } else if (name.starts_with("log") && LogName::parse(&name).is_none())
            || (name.starts_with("snapshot") && SnapshotName::parse(&name).is_none())
        {
            ("not the name of a log or a snapshot: servers do not look at it", "Move it elsewhere if it is not yours")
        } else {
            continue;
        };
        findings.push(Finding::new(Level::Warning, format!("{name}: {text}")).remedy(remedy));
    }
    Ok(findings)
}

/// `log.4c.fixed`, or `snapshot.4a.bak`: the second part alone counts for a server.
fn odd_suffix(name: &str) -> bool {
    let suffix = name.splitn(3, '.').nth(2);
    let known = if LogName::parse(name).is_some() {
        suffix.is_none()
    } else {
        SnapshotName::parse(name).is_none() || matches!(suffix, None | Some("gz" | "snappy"))
    };
    !known
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::with_code(2, format!("{}: cannot read: {error}", path.display()))
}

/// Plays a start through, and judges by it what the files showed.
fn start(dirs: &Dirs, report: &mut Report) {
    let mut replay = Replay::new(Tree::new(OWNERS, true));
    let result = match [&dirs.snapshots, &dirs.logs].into_iter().find(|dir| !dir.is_dir()) {
        Some(dir) => {
            Err(StoreError::Folder { path: dir.clone(), why: "the folder is missing, and the other is there".into() })
        }
        None => examine(&RealDisk, dirs, &RecoverOptions::default(), &mut replay),
    };
    match result {
        Ok(recovered) if recovered.fresh != Fresh::No => report.findings.push(empty(dirs)),
        Ok(recovered) => loaded(recovered, replay, report),
        Err(error) => refused(&error, &replay, report),
    }
}

fn refused(error: &StoreError, replay: &Replay, report: &mut Report) {
    let safe = replay.tree.zxid();
    report.safe = (safe > Zxid::ZERO || replay.replayed > 0).then_some(safe);
    // The way out is part of the error's text.
    report.findings.push(Finding::new(Level::Risk, format!("a server refuses to start: {error}")));
}

fn loaded(recovered: Recovered, replay: Replay, report: &mut Report) {
    let base = recovered.snapshot.as_ref().map_or(Zxid::ZERO, |(name, _)| name.zxid);
    relieve(base, report);
    for (name, why) in &recovered.skipped {
        let text = format!("{name} cannot be used ({why}); an older snapshot and the logs behind it hold everything");
        let remedy = "Remove the file, or keep it aside for analysis; the next snapshot takes its place";
        report.findings.push(Finding::new(Level::Warning, text).remedy(remedy));
    }
    for end in &recovered.ends {
        let path = end.path.file_name().unwrap_or_default().to_string_lossy();
        let apache =
            if end.blocks_original { "; Apache's server refuses to start over it, Oxkeeper cuts it off" } else { "" };
        let text = format!("{path}: offset {}: {}: a torn tail, never acknowledged{apache}", end.offset, end.what);
        report.findings.push(
            Finding::new(Level::Warning, text).remedy("Nothing: the next start goes on behind the last good record"),
        );
    }
    if recovered.backwards > 0 {
        let text = format!("{} transactions come behind later ones in the logs", recovered.backwards);
        report
            .findings
            .push(Finding::new(Level::Warning, text).remedy("Compare this server's tree with another member's"));
    }
    behind_the_walk(&recovered, report);
    unknown_to_the_logs(&recovered, report);
    if report.logs.is_empty() && base > Zxid::ZERO {
        let text = format!(
            "there is a snapshot of {base}, and no log at all: what was written after it is gone, if anything was"
        );
        let remedy = "As it should be right after a copy from a leader or a restore; otherwise put the logs back";
        // A member that has just copied from its leader looks so.
        let member = report.dirs.snapshots.join("currentEpoch").is_file();
        report.findings.push(Finding::new(if member { Level::Fine } else { Level::Warning }, text).remedy(remedy));
    }
    if recovered.snapshot.as_ref().is_some_and(|(_, summary)| summary.digest.is_none() && summary.last_zxid.is_some()) {
        let text = "the newest snapshot was written with digest.enabled=false: Apache's server reads it with that setting alone";
        report.findings.push(Finding::new(Level::Warning, text).remedy("Nothing for Oxkeeper, which reads either"));
    }
    tree(&recovered, replay, report);
}

/// What the start does not need cannot keep it from starting.
fn relieve(base: Zxid, report: &mut Report) {
    let from = base.next();
    let name =
        |log: &LogReport| log.path.file_name().and_then(|name| LogName::parse(name.to_str()?)).map(|log| log.zxid);
    let needed = report.logs.iter().rposition(|log| name(log).is_some_and(|zxid| zxid <= from)).unwrap_or(0);
    for (at, log) in report.logs.iter_mut().enumerate() {
        for finding in log.findings.iter_mut().filter(|finding| finding.level == Level::Risk) {
            finding.level = Level::Warning;
            if at < needed {
                finding.text += "; no start needs this file, but older snapshots cannot be used without it";
                finding.remedy = "Let oxkeeper purge remove it with the snapshots it belongs to".into();
            }
        }
    }
}

/// A snapshot holds some changes of later transactions; they are whole only with the logs up to the end of its walk.
fn behind_the_walk(recovered: &Recovered, report: &mut Report) {
    let Some((name, summary)) = &recovered.snapshot else { return };
    let Some(seen) = report.snapshots.iter().find(|snapshot| snapshot.name == name.name) else { return };
    let last = recovered.last_zxid;
    if seen.latest > last {
        let text = format!(
            "{} holds changes up to {}, but the logs end with {last}: transactions between are there in part",
            name.name, seen.latest
        );
        let remedy = "Put the missing logs back, or let the member copy from the others";
        report.findings.push(Finding::new(Level::Risk, text).remedy(remedy));
    } else if let Some(ended) = summary.last_zxid.max(summary.digest.map(|(at, _)| at)).filter(|ended| *ended > last) {
        let text = format!(
            "{} was finished at {ended}, but the logs end with {last}; no change of a node is missing",
            name.name
        );
        report.findings.push(
            Finding::new(Level::Warning, text).remedy("Compare the sessions and access lists with another member's"),
        );
    }
}

/// Changes that a snapshot saw while it was written came from transactions that were logged. Where no log has any of
/// them, logs are lost, or they were cut and the snapshots left: so transactions come back that an ensemble had taken
/// back (ZOOKEEPER-4837).
fn unknown_to_the_logs(recovered: &Recovered, report: &mut Report) {
    let base = recovered.snapshot.as_ref().map(|(name, _)| name.name.as_str());
    let mut found = Vec::new();
    for snapshot in report.snapshots.iter().filter(|snapshot| snapshot.bad.is_none() && snapshot.latest > snapshot.zxid)
    {
        let logged =
            |log: &LogReport| log.range.is_some_and(|(first, last)| first <= snapshot.latest && last > snapshot.zxid);
        if Some(snapshot.name.as_str()) == base || report.logs.iter().any(logged) {
            continue;
        }
        let text = format!(
            "{} holds changes up to {}, which no log has: logs are lost, or transactions that were taken back have come back",
            snapshot.name, snapshot.latest
        );
        let remedy = "A member: empty it and let it copy from the others. A standalone server: compare with a backup";
        found.push(Finding::new(Level::Risk, text).remedy(remedy));
    }
    report.findings.extend(found);
}

/// The state that a server would serve.
fn tree(recovered: &Recovered, mut replay: Replay, report: &mut Report) {
    for path in replay.tree.restore_done() {
        let text = format!("{path}: its access list is lost: only a super user may use the node");
        report.findings.push(Finding::new(Level::Risk, text).remedy("Set the list anew, as a super user"));
    }
    if replay.digest_mismatches > 0 {
        let first = replay.first_mismatch.unwrap_or_default();
        let text = format!(
            "after {} transactions, first {first}, the tree's digest is not the one that the log says",
            replay.digest_mismatches
        );
        let remedy =
            "Compare this server's tree with another member's; a snapshot of Apache's under load can be a false alarm";
        report.findings.push(Finding::new(Level::Warning, text).remedy(remedy));
    }
    let last = recovered.last_zxid;
    if last.counter() >= ZXID_COUNTER_NEAR {
        let left = u32::MAX - last.counter();
        let text = format!("{left} transactions are left in this epoch");
        report.findings.push(
            Finding::new(Level::Warning, text).remedy("Plan an election of a new leader, which begins a new epoch"),
        );
    }
    for (path, children) in exhausted(&replay.tree) {
        let text = format!("{path}: the counter of sequence nodes is at its end ({children}): the next one fails");
        report.findings.push(Finding::new(Level::Warning, text).remedy("Use another parent for sequence nodes"));
    }
    let orphans = replay.tree.orphaned_sessions();
    if !orphans.is_empty() {
        let text =
            format!("ephemerals of {} sessions that no longer exist; a standalone server removes them", orphans.len());
        report.findings.push(Finding::new(Level::Fine, text));
    }
    if replay.tree.ttls().next().is_some() {
        let text =
            "there are TTL nodes: without extendedTypesEnabled=true a standalone server removes them at its start";
        report.findings.push(Finding::new(Level::Fine, text));
    }
    report.safe = Some(last);
    report.state = Some(report::State {
        snapshot: recovered.snapshot.as_ref().map(|(name, _)| name.name.clone()),
        replayed: recovered.replayed,
        nodes: replay.tree.node_count() as u64 - 1,
        sessions: replay.tree.sessions().len() as u64,
        digest: replay.tree.digest(),
        digest_proven: replay.digest_mismatches == 0 && replay.compared == Some(last),
    });
}

/// Parents whose counter of sequence nodes cannot go on.
fn exhausted(tree: &Tree) -> Vec<(String, i32)> {
    let mut found = Vec::new();
    crate::tree::Walk::default().chunk(tree, usize::MAX, |path, node| {
        if node.stat.cversion == i32::MAX {
            found.push((path.to_owned(), node.stat.cversion));
        }
    });
    found
}
