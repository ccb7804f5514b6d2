//! What is wrong with log files, frame by frame: for `txnlog verify` and for the doctor. Reads, and changes nothing.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::output::{Failure, bar};
use crate::proto::Zxid;
use crate::proto::txn::TxnRecord;
use crate::store::{Frame, HeaderFound, LogName, LogScan, ReadOptions, RealDisk, ScanEnd};

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// As it should be.
    Fine,
    /// Worth a look; nothing acknowledged is lost.
    Warning,
    /// Transactions are lost or changed, or a server would not start.
    Risk,
}

impl Level {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Level::Fine => "healthy",
            Level::Warning => "warning",
            Level::Risk => "at risk",
        }
    }

    /// For scripts.
    pub fn exit_code(self) -> u8 {
        match self {
            Level::Fine => 0,
            Level::Warning => 1,
            Level::Risk => 2,
        }
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What and where.
    pub text: String,
    /// What to do about it; empty where nothing is to do.
    pub remedy: String,
}

impl Finding {
    /// A finding.
    pub fn new(level: Level, text: impl Into<String>) -> Self {
        Finding { level, text: text.into(), remedy: String::new() }
    }

    /// The same, with what to do.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let level = if self.level == Level::Fine { "note" } else { self.level.word() };
        json!({"level": level, "what": self.text, "do": self.remedy})
    }
}

/// What a log file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogReport {
    /// The file.
    pub path: PathBuf,
    /// Good records, up to the place where a server stops.
    pub records: u64,
    /// The first and the last of them.
    pub range: Option<(Zxid, Zxid)>,
    /// When the last of them was made, ms since the Unix epoch.
    pub last_time_ms: Option<i64>,
    /// Where they end.
    pub end: u64,
    /// Bytes of the file, padding included.
    pub bytes: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl LogReport {
    /// The worst finding.
    pub fn level(&self) -> Level {
        self.findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Fine)
    }

    /// One line for people.
    pub fn summary(&self) -> String {
        let range = match self.range {
            Some((first, last)) => format!("{first} to {last}"),
            None => "empty".into(),
        };
        format!("{}: {} records, {range}, {} of {} bytes used", self.path.display(), self.records, self.end, self.bytes)
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        json!({
            "file": self.path.display().to_string(),
            "records": self.records,
            "first": self.range.map(|(first, _)| first.to_string()),
            "last": self.range.map(|(_, last)| last.to_string()),
            "usedBytes": self.end,
            "bytes": self.bytes,
            "findings": self.findings.iter().map(Finding::to_json).collect::<Vec<_>>(),
        })
    }
}

/// True when a transaction may stand behind another: the next of its epoch, or the first of a later one.
pub fn follows(after: Zxid, zxid: Zxid) -> bool {
    zxid == after.next() || (zxid.epoch() > after.epoch() && zxid.counter() <= 1)
}

/// Checks files; `together` when they are all the logs of one folder, oldest first, so that gaps between them count.
pub fn logs(paths: &[PathBuf], together: bool) -> Result<Vec<LogReport>, Failure> {
    let mut reports = Vec::new();
    let mut previous: Option<Zxid> = None;
    for (at, path) in paths.iter().enumerate() {
        let next = paths.get(at + 1).filter(|_| together).and_then(|path| start_of(path));
        let mut report = log(path, previous.filter(|_| together), next, at + 1 == paths.len())?;
        if let (true, Some(before), Some((first, _))) = (together, previous, report.range)
            && first > before
            && !follows(before, first)
        {
            let text = format!(
                "transactions between {before} and {first} are missing: a log is lost or was cut, or an admin server restored a snapshot there"
            );
            report.findings.push(Finding::new(Level::Risk, text));
        }
        previous = report.range.map(|(_, last)| last).max(previous);
        reports.push(report);
    }
    Ok(reports)
}

fn start_of(path: &Path) -> Option<Zxid> {
    Some(LogName::parse(path.file_name()?.to_str()?)?.zxid)
}

/// The state of a walk over one file.
struct Walk {
    report: LogReport,
    next: Option<Zxid>,
    last: bool,
}

/// Checks one file. `previous` is the transaction in front of it, `next` the name of the file behind it.
fn log(path: &Path, previous: Option<Zxid>, next: Option<Zxid>, last: bool) -> Result<LogReport, Failure> {
    let (mut scan, header) = LogScan::open(&RealDisk, path)?;
    let report = LogReport {
        path: path.to_owned(),
        records: 0,
        range: None,
        last_time_ms: None,
        end: 0,
        bytes: scan.length(),
        findings: Vec::new(),
    };
    let mut walk = Walk { report, next, last };
    match header {
        HeaderFound::Log(_) => {}
        HeaderFound::Short(0) if last => {
            walk.say(Level::Warning, "the file is empty: a server that was killed while it began a log leaves this");
            return Ok(walk.report);
        }
        HeaderFound::Short(bytes) => {
            walk.say(Level::Risk, format!("the file ends inside its header, after {bytes} bytes"));
            return Ok(walk.report);
        }
        HeaderFound::Foreign([0, 0, 0, 0]) if last => {
            walk.say(Level::Warning, "the file begins with zeros: nothing was written to it before a crash");
            return Ok(walk.report);
        }
        HeaderFound::Foreign(magic) => {
            walk.say(Level::Risk, format!("not a transaction log: it begins with {magic:02x?}"));
            return Ok(walk.report);
        }
    }
    let bar = bar("checking", scan.length());
    let mut seen = previous;
    loop {
        let offset = scan.position();
        walk.report.end = offset;
        bar.set_position(offset);
        match scan.next_frame()? {
            Ok(frame) if frame.is_good() => {
                let Some(zxid) = walk.good(&frame, seen) else { break };
                seen = seen.max(Some(zxid));
            }
            Ok(frame) if frame.has_mark() => {
                let (found, expected, end) = (frame.checksum, frame.sum, frame.offset + frame.len());
                let text = format!("offset {offset}: a record has checksum {found:#x}, its body sums to {expected:#x}");
                if scan.lost_sector(offset, end)? {
                    let text = text + ": a sector of it never reached the disk, a power cut; it was not acknowledged";
                    walk.say(Level::Warning, text);
                } else {
                    walk.say(Level::Risk, text);
                }
                break;
            }
            Ok(_) => {
                walk.stopped(&scan, offset, "a record has no end mark", seen)?;
                break;
            }
            Err(ScanEnd::Length(length)) => {
                walk.say(Level::Risk, format!("offset {offset}: a record claims the length {length}"));
                break;
            }
            Err(ScanEnd::Cut) => {
                walk.stopped(&scan, offset, "the file ends inside a record", seen)?;
                break;
            }
            Err(ScanEnd::Clean) => {
                walk.stopped(&scan, offset, "", seen)?;
                break;
            }
        }
    }
    bar.finish_and_clear();
    if walk.report.range.is_none() && walk.report.findings.is_empty() {
        walk.say(
            Level::Warning,
            "the file was begun, and holds no transaction: a crash came first, or they were cut off",
        );
    }
    Ok(walk.report)
}

impl Walk {
    fn say(&mut self, level: Level, text: impl Into<String>) {
        self.report.findings.push(Finding::new(level, text));
    }

    /// Takes a good frame; `None` when its body cannot be a transaction.
    fn good(&mut self, frame: &Frame<'_>, seen: Option<Zxid>) -> Option<Zxid> {
        let offset = frame.offset;
        let record = match TxnRecord::decode(frame.body) {
            Ok(record) => record,
            Err(why) => {
                self.say(
                    Level::Risk,
                    format!("offset {offset}: the checksum is right, but the record cannot be read: {why}"),
                );
                return None;
            }
        };
        let zxid = record.header.zxid();
        match seen {
            Some(before) if zxid <= before => {
                self.say(Level::Warning, format!("offset {offset}: transaction {zxid} comes behind {before}"));
            }
            // Between files the caller looks.
            Some(before) if self.report.range.is_some() && !follows(before, zxid) => {
                self.say(Level::Risk, format!("offset {offset}: transactions between {before} and {zxid} are missing"));
            }
            _ => {}
        }
        self.report.records += 1;
        let first = self.report.range.map_or(zxid, |(first, _)| first);
        self.report.range = Some((first, zxid));
        self.report.last_time_ms = Some(record.header.time_ms);
        Some(zxid)
    }

    /// The records end where the file does not say so clearly.
    fn stopped(
        &mut self,
        scan: &LogScan<RealDisk>,
        offset: u64,
        what: &str,
        seen: Option<Zxid>,
    ) -> Result<(), Failure> {
        let body_max = ReadOptions::default().body_max;
        let given_up = self.next.is_some() && self.next == seen.map(Zxid::next);
        let behind = scan.records_behind(offset + 1, body_max)?;
        let what = if what.is_empty() { "the records end in zeros" } else { what };
        match behind {
            // A start after a crash went on in the next file, right behind the last good record.
            _ if given_up => {
                if behind.is_some() || what != "the records end in zeros" {
                    self.say(
                        Level::Warning,
                        format!("offset {offset}: {what}; the log behind it goes on without a gap"),
                    );
                }
            }
            None if what == "the records end in zeros" => {}
            None if self.last => self.say(
                Level::Warning,
                format!("offset {offset}: {what}: a torn tail, as a crash leaves it; it was never acknowledged"),
            ),
            None => {
                self.say(Level::Risk, format!("offset {offset}: {what}, and the next log does not go on from there"))
            }
            Some(behind) => {
                let count = behind.records;
                if scan.power_cut(offset, &behind, body_max)? {
                    let text = format!(
                        "offset {offset}: {what}, and {count} records follow behind a sector that never reached the disk: a \
                         power cut; none of them was acknowledged"
                    );
                    self.say(Level::Warning, text);
                } else {
                    let first = behind.first;
                    let text =
                        format!("offset {offset}: {what}, but {count} good records follow from offset {first} on");
                    self.say(Level::Risk, text);
                }
            }
        }
        Ok(())
    }
}
