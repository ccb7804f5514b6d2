//! The audit log's thread and file. Events come in batches through a bounded queue: who makes them faster than they are
//! written waits, as with the original, whose requests write the log themselves. What an event says is in `audit`.

use super::ServerError;
use crate::audit::{Event, Operation, Result};
use crate::clock::Clock;
use crate::config::{AuditFormat, Config};
use crate::proto::session::SessionId;
use crate::throttle::LogLimiter;
use crossbeam_channel::{Receiver, Sender};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Batches that may wait to be written.
const BATCHES_MAX: usize = 1024;
/// The logger of the original, in full and as its pattern `%c{2}` shortens it.
const LOGGER: &str = "org.apache.zookeeper.audit.Slf4jAuditLogger";
const LOGGER_SHORT: &str = "o.a.z.a.Slf4jAuditLogger";
/// Between two lines in the server's log about an audit file that cannot be written.
const COMPLAINT_INTERVAL_MS: i64 = 10_000;

enum Message {
    Events(i64, Vec<Event>),
    /// Answered once everything before it is written.
    Flush(Sender<()>),
}

/// The audit log of a server.
pub struct AuditLog {
    to: Sender<Message>,
    clock: Clock,
    user: String,
}

impl AuditLog {
    /// Opens the file and starts the thread; `None` when `audit.enable` is false.
    pub fn open(config: &Config, clock: Clock) -> std::result::Result<Option<AuditLog>, ServerError> {
        if !config.audit_enable {
            return Ok(None);
        }
        let file = match &config.audit_file {
            None => None,
            Some(path) => Some(Rolling::open(
                path.clone(),
                u64::try_from(config.audit_file_size_kb).unwrap_or(1) << 10,
                usize::try_from(config.audit_file_count).unwrap_or(1),
            )?),
        };
        let (to, from) = crossbeam_channel::bounded(BATCHES_MAX);
        let (format, clock_of_thread) = (config.audit_format, clock);
        super::thread("audit".into(), move || write_all(&from, file, format, &clock_of_thread))?;
        Ok(Some(AuditLog { to, clock, user: account() }))
    }

    /// Takes events of clients.
    pub fn write(&self, events: Vec<Event>) {
        // The thread ends with this sender, not before.
        let _ = self.to.send(Message::Events(self.clock.wall_ms(), events));
    }

    /// Something of the server itself.
    pub fn server(&self, operation: Operation, result: Result) {
        self.write(vec![Event { user: Some(self.user.clone()), ..Event::new(operation, result) }]);
    }

    /// Ephemeral nodes went with their session; those that were gone already are failures.
    pub fn ephemerals(&self, session: SessionId, paths: impl Iterator<Item = (String, bool)>) {
        let events = paths.map(|(path, there)| Event {
            session: Some(session),
            user: Some(self.user.clone()),
            znode: Some(path),
            ..Event::new(Operation::EphemeralDeletion, if there { Result::Success } else { Result::Failure })
        });
        let events: Vec<_> = events.collect();
        if !events.is_empty() {
            self.write(events);
        }
    }

    /// Until everything is written.
    pub fn flush(&self) {
        let (done, told) = crossbeam_channel::bounded(1);
        if self.to.send(Message::Flush(done)).is_ok() {
            let _ = told.recv();
        }
    }
}

fn write_all(from: &Receiver<Message>, mut file: Option<Rolling>, format: AuditFormat, clock: &Clock) {
    let (mut lost, mut complaints) = (0u64, LogLimiter::new(COMPLAINT_INTERVAL_MS));
    for message in from {
        let (time_ms, events) = match message {
            Message::Flush(done) => {
                let _ = done.send(());
                continue;
            }
            Message::Events(time_ms, events) => (time_ms, events),
        };
        let Some(file) = &mut file else {
            events.iter().for_each(|event| to_server_log(event, format, time_ms));
            continue;
        };
        let text: String = events.iter().map(|event| line(event, format, time_ms)).collect();
        match file.write(text.as_bytes()) {
            Ok(()) if lost > 0 => {
                tracing::warn!(lost, "the audit log is written again; these events are not in it");
                lost = 0;
            }
            Ok(()) => {}
            Err(error) => {
                lost += events.len() as u64;
                if complaints.pass(clock.now_ms()).is_some() {
                    tracing::error!(%error, file = %file.path.display(), lost, "cannot write the audit log");
                }
            }
        }
    }
}

/// As the original's own pattern has it: `%d{ISO8601} %p %c{2}: %m%n`, in local time; JSON in UTC.
fn line(event: &Event, format: AuditFormat, time_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(time_ms).unwrap_or_default();
    match format {
        AuditFormat::Text => {
            let time =
                time.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S,%3f").to_string();
            format!("{time} {} {LOGGER_SHORT}: {}\n", event.level(), event.line())
        }
        AuditFormat::Json => format!("{}\n", event.json(&time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())),
    }
}

/// Without a file, the events stand among the other lines of the server, as with the original's sample configuration.
fn to_server_log(event: &Event, format: AuditFormat, time_ms: i64) {
    let text = match format {
        AuditFormat::Text => event.line(),
        AuditFormat::Json => line(event, format, time_ms).trim_end().to_owned(),
    };
    match event.result {
        Result::Failure => tracing::error!(target: LOGGER, "{text}"),
        _ => tracing::info!(target: LOGGER, "{text}"),
    }
}

/// A file that is renamed to `.1`, `.2`, ... when it is full; the oldest one goes.
struct Rolling {
    path: PathBuf,
    size_max: u64,
    count: usize,
    /// None after a failure: the next write tries again.
    file: Option<File>,
    size: u64,
}

impl Rolling {
    fn open(path: PathBuf, size_max: u64, count: usize) -> std::result::Result<Self, ServerError> {
        let mut rolling = Rolling { path, size_max, count, file: None, size: 0 };
        match rolling.reopen() {
            Ok(()) => Ok(rolling),
            Err(error) => Err(ServerError::AuditLog { path: rolling.path, error }),
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        self.size = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            self.reopen()?;
        }
        if self.size > 0 && self.size + text.len() as u64 > self.size_max {
            self.roll()?;
        }
        let Some(file) = &mut self.file else { return Err(io::Error::other("the file is closed")) };
        let written = file.write_all(text);
        match written {
            Ok(()) => self.size += text.len() as u64,
            Err(_) => self.file = None,
        }
        written
    }

    fn roll(&mut self) -> io::Result<()> {
        self.file = None;
        for number in (1..self.count).rev() {
            match std::fs::rename(numbered(&self.path, number), numbered(&self.path, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.count > 0 {
            std::fs::rename(&self.path, numbered(&self.path, 1))?;
        } else {
            std::fs::remove_file(&self.path)?;
        }
        self.reopen()
    }
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// The account this process runs under, as the original's `user.name`.
fn account() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    name.or_else(|| std::env::var("USER").ok()).unwrap_or(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_else(|_| "-".into())
    }

    #[test]
    fn a_full_file_is_rolled_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let mut file = Rolling::open(path.clone(), 10, 2).unwrap();
        for text in ["aaaa\n", "bbbb\n", "cccc\n", "a line that is too long\n", "dddd\n", "eeee\n", "ffff\n"] {
            file.write(text.as_bytes()).unwrap();
        }
        let found = [path.clone(), numbered(&path, 1), numbered(&path, 2), numbered(&path, 3)].map(|path| read(&path));
        assert_eq!(found, ["ffff\n", "dddd\neeee\n", "a line that is too long\n", "-"]);
        // A restart goes on where the file ends.
        let mut file = Rolling::open(path.clone(), 10, 2).unwrap();
        file.write(b"gggg\n").unwrap();
        file.write(b"hhhh\n").unwrap();
        assert_eq!([read(&path), read(&numbered(&path, 1))], ["hhhh\n", "ffff\ngggg\n"]);
    }

    #[test]
    fn a_file_that_went_away_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("there/audit.log");
        assert!(Rolling::open(path.clone(), 10, 2).is_err(), "a server does not start without its audit log");
        std::fs::create_dir(folder.path().join("there")).unwrap();
        let mut file = Rolling::open(path.clone(), 10, 2).unwrap();
        file.write(b"aaaa\n").unwrap();
        std::fs::remove_dir_all(folder.path().join("there")).unwrap();
        assert!(file.write(b"bbbb too long\n").is_err(), "the folder is gone when the file is to be rolled");
        std::fs::create_dir(folder.path().join("there")).unwrap();
        file.write(b"cccc\n").unwrap();
        assert_eq!(read(&path), "cccc\n");
    }

    #[test]
    fn a_line_has_the_form_of_the_originals_pattern() {
        let event = Event::new(Operation::ServerStart, Result::Failure);
        let text = line(&event, AuditFormat::Text, 1_795_336_768_686);
        let (date, rest) = text.split_at(10);
        assert!(date.starts_with("2026-11-2"), "{text}");
        assert!(
            rest.ends_with(",686 ERROR o.a.z.a.Slf4jAuditLogger: operation=serverStart\tresult=failure\n"),
            "{text}"
        );
        let json = line(&event, AuditFormat::Json, 1_795_336_768_686);
        let head = r#"{"time":"2026-11-22T"#;
        assert!(
            json.starts_with(head)
                && json
                    .ends_with(".686Z\",\"level\":\"ERROR\",\"operation\":\"serverStart\",\"result\":\"failure\"}\n"),
            "{json}"
        );
    }
}
