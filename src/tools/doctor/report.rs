//! The doctor's report, for people and for programs.

use std::io::Write;

use serde_json::{Value, json};

use super::snapshots::Checked;
use super::{Finding, Level, LogReport};
use crate::proto::Zxid;
use crate::store::Dirs;
use crate::tools::output::{Failure, Output, rfc3339};

/// What a server would serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The snapshot that a start uses.
    pub snapshot: Option<String>,
    /// Transactions that it replays.
    pub replayed: u64,
    /// Nodes.
    pub nodes: u64,
    /// Sessions.
    pub sessions: u64,
    /// Digest of the tree.
    pub digest: u64,
    /// True when the log names the same digest for the last transaction, and no other differed.
    pub digest_proven: bool,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What was looked at.
    pub dirs: Dirs,
    held_by: Option<String>,
    /// The newest first.
    pub snapshots: Vec<Checked>,
    /// The oldest first.
    pub logs: Vec<LogReport>,
    /// acceptedEpoch and currentEpoch.
    pub epochs: (Option<i64>, Option<i64>),
    /// Up to here everything is there and unchanged.
    pub safe: Option<Zxid>,
    /// `None` where no server starts, or nothing is there.
    pub state: Option<State>,
    /// What is wrong, or worth a word.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Of these folders.
    pub fn new(dirs: &Dirs, held_by: Option<String>) -> Self {
        Report {
            dirs: dirs.clone(),
            held_by,
            snapshots: Vec::new(),
            logs: Vec::new(),
            epochs: (None, None),
            safe: None,
            state: None,
            findings: Vec::new(),
        }
    }

    /// The worst of everything.
    pub fn level(&self) -> Level {
        let logs = self.logs.iter().map(LogReport::level);
        logs.chain(self.findings.iter().map(|finding| finding.level)).max().unwrap_or(Level::Fine)
    }

    /// All findings with the file they belong to, the worst first.
    fn all(&self) -> Vec<Finding> {
        let mut all = self.findings.clone();
        for log in &self.logs {
            let name = log.path.file_name().unwrap_or_default().to_string_lossy();
            for finding in &log.findings {
                // The start has said the same with the way out.
                let said =
                    |other: &Finding| other.level >= finding.level && other.text.contains(&format!("{name}: offset "));
                if !self.findings.iter().any(said) {
                    all.push(Finding { text: format!("{name}: {}", finding.text), ..finding.clone() });
                }
            }
        }
        all.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        all
    }

    /// Up to where everything is proven. Nothing is, where the files contradict each other.
    fn proven(&self) -> Option<Zxid> {
        self.safe.filter(|_| self.state.is_none() || self.level() < Level::Risk)
    }

    fn last_time_ms(&self) -> Option<i64> {
        self.logs.iter().rfind(|log| log.range.is_some()).and_then(|log| log.last_time_ms)
    }

    /// For programs.
    pub fn json(&self, out: &mut Output) -> Result<(), Failure> {
        let level = self.level();
        let snapshots = self.snapshots.iter().map(|snapshot| {
            json!({"file": snapshot.name, "zxid": snapshot.zxid.to_string(), "bytes": snapshot.bytes,
                "nodes": snapshot.nodes, "latestChange": snapshot.latest.to_string(), "bad": snapshot.bad})
        });
        let state = self.state.as_ref().map(|state| {
            json!({"snapshot": state.snapshot, "replayed": state.replayed, "nodes": state.nodes, "sessions": state.sessions,
                "digest": format!("{:#x}", state.digest), "digestProven": state.digest_proven})
        });
        let report = json!({
            "verdict": level.word(),
            "exitCode": level.exit_code(),
            "snapshotFolder": self.dirs.snapshots.display().to_string(),
            "logFolder": self.dirs.logs.display().to_string(),
            "heldBy": self.held_by,
            "safeUpTo": self.proven().map(|zxid| zxid.to_string()),
            "lastTime": self.last_time_ms().map(rfc3339),
            "state": state,
            "acceptedEpoch": self.epochs.0,
            "currentEpoch": self.epochs.1,
            "findings": self.all().iter().map(Finding::to_json).collect::<Value>(),
            "snapshots": snapshots.collect::<Value>(),
            "logs": self.logs.iter().map(LogReport::to_json).collect::<Value>(),
        });
        Ok(writeln!(out, "{report}")?)
    }

    /// For people.
    pub fn text(&self, out: &mut Output) -> Result<(), Failure> {
        writeln!(out, "snapshots in {}", self.dirs.snapshots.display())?;
        for snapshot in &self.snapshots {
            let state = match &snapshot.bad {
                None => format!("whole, {} nodes", snapshot.nodes),
                Some(why) => format!("not whole: {why}"),
            };
            writeln!(out, "  {:<28} {:>12} bytes  {state}", snapshot.name, snapshot.bytes)?;
        }
        writeln!(out, "logs in {}", self.dirs.logs.display())?;
        for log in &self.logs {
            let name = log.path.file_name().unwrap_or_default().to_string_lossy();
            let range = log.range.map_or_else(|| "no records".into(), |(first, last)| format!("{first} to {last}"));
            writeln!(out, "  {name:<28} {:>12} bytes  {} records, {range}", log.bytes, log.records)?;
        }
        if let (Some(accepted), Some(current)) = self.epochs {
            writeln!(out, "epochs: accepted {accepted}, current {current}")?;
        }
        if let Some(state) = &self.state {
            let from = state.snapshot.as_deref().unwrap_or("nothing");
            writeln!(
                out,
                "a start loads {from} and replays {} transactions: {} nodes, {} sessions, digest {:#x}",
                state.replayed, state.nodes, state.sessions, state.digest
            )?;
        }
        if let Some(safe) = self.proven() {
            let when = self
                .last_time_ms()
                .filter(|_| self.state.is_some())
                .map_or_else(String::new, |ms| format!(", made {}", rfc3339(ms)));
            let proof = match &self.state {
                Some(state) if state.digest_proven => {
                    "; checksums agree, there is no gap, and the log names the same digest"
                }
                Some(_) => "; checksums agree, and there is no gap",
                None => "; what is behind it is not",
            };
            writeln!(out, "provably safe up to {safe}{when}{proof}")?;
        }
        if let Some(held) = &self.held_by {
            writeln!(out, "a server holds the folder ({held}): what it writes meanwhile may look unfinished")?;
        }
        for finding in self.all() {
            let word = if finding.level == Level::Fine { "note" } else { finding.level.word() };
            writeln!(out, "{word}: {}", finding.text)?;
            if !finding.remedy.is_empty() {
                writeln!(out, "    {}", finding.remedy)?;
            }
        }
        Ok(writeln!(out, "verdict: {}", self.level().word())?)
    }
}
