//! `oxkeeper txnlog`: shows transaction logs, checks them, and makes mended copies. The words and the order of what is
//! printed are those of `org.apache.zookeeper.server.persistence.TxnLogToolkit`.

mod json;
mod line;
pub(super) mod mend;
mod verify;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::output::{Failure, Output, bar, complain};
use super::parse_zxid;
use crate::jute::DecodeError;
use crate::proto::Zxid;
use crate::store::{Dirs, Frame, HeaderFound, LogHeader, LogScan, RealDisk, ScanEnd};

pub use line::line;

/// What to do with logs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print every transaction of a log file.
    Dump(Dump),
    /// Print the transactions between two zxids, of a log file or of all logs of a folder.
    Range(Range),
    /// Check frames, checksums, order and gaps. Exit code 0: sound, 1: worth a look, 2: transactions are lost or changed.
    Verify(verify::Verify),
    /// Write a copy of a log file with new checksums where they are wrong.
    Recover(mend::Recover),
    /// Write a copy of a log file that ends with a zxid.
    Chop(mend::Chop),
}

/// Arguments of `dump`.
#[derive(Debug, Args)]
pub struct Dump {
    /// The log file.
    file: PathBuf,
    /// One JSON object in each line.
    #[arg(long)]
    json: bool,
}

/// Arguments of `range`.
#[derive(Debug, Args)]
pub struct Range {
    /// A log file, or a folder: dataDir, dataLogDir or version-2.
    path: PathBuf,
    /// The first zxid, such as 0x1f or 31.
    #[arg(value_parser = parse_zxid)]
    from: Zxid,
    /// The last zxid.
    #[arg(value_parser = parse_zxid)]
    to: Zxid,
    /// One JSON object in each line.
    #[arg(long)]
    json: bool,
}

/// Runs a command; the result is the exit code.
pub fn run(command: Command, out: &mut Output) -> Result<u8, Failure> {
    match command {
        Command::Dump(args) => dump(&args, out),
        Command::Range(args) => range(&args, out),
        Command::Verify(args) => verify::run(&args, out),
        Command::Recover(args) => mend::recover(&args, out, &mut std::io::stdin().lock()),
        Command::Chop(args) => mend::chop(&args, out),
    }
}

/// Opens a log file that has a header.
fn open(path: &Path) -> Result<(LogScan<RealDisk>, LogHeader), Failure> {
    let (scan, found) = LogScan::open(&RealDisk, path)?;
    match found {
        HeaderFound::Log(header) => Ok((scan, header)),
        HeaderFound::Short(0) => Err(Failure::new(format!("{}: the file is empty", path.display()))),
        HeaderFound::Short(bytes) => {
            Err(Failure::new(format!("{}: the file ends inside its header, after {bytes} bytes", path.display())))
        }
        HeaderFound::Foreign(_) => Err(Failure::with_code(2, format!("Invalid magic number for {}", name(path)))),
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn head_line(header: LogHeader) -> String {
    format!("ZooKeeper Transactional Log File with dbid {} txnlog format version {}", header.dbid, header.version)
}

/// Why the records of a file end where they should not, as a failure.
fn bad_length(path: &Path, offset: u64, length: i32) -> Failure {
    Failure::new(format!(
        "{}: offset {offset}: unreasonable length {length} of a record; what follows cannot be told apart",
        path.display()
    ))
}

fn unreadable(path: &Path, offset: u64, why: DecodeError) -> Failure {
    Failure::new(format!("{}: offset {offset}: the transaction cannot be read: {why}", path.display()))
}

fn no_mark(path: &Path, frame_offset: u64, mark: Option<u8>) -> Failure {
    match mark {
        Some(_) => Failure::new("Last transaction was partial."),
        None => Failure::new(format!(
            "{}: offset {frame_offset}: the file ends before the mark of the last record",
            path.display()
        )),
    }
}

fn dump(args: &Dump, out: &mut Output) -> Result<u8, Failure> {
    let (mut scan, header) = open(&args.file)?;
    if !args.json {
        writeln!(out, "{}", head_line(header))?;
    }
    let bar = bar("reading", scan.length());
    let mut count = 0u64;
    loop {
        bar.set_position(scan.position());
        let at = scan.position();
        let frame = match scan.next_frame()? {
            Ok(frame) => frame,
            Err(ScanEnd::Length(length)) => return Err(bad_length(&args.file, at, length)),
            Err(ScanEnd::Clean | ScanEnd::Cut) => break,
        };
        show(&frame, args.json, out).map_err(|error| error.of(&args.file))?;
        if !frame.has_mark() {
            return Err(no_mark(&args.file, frame.offset, frame.mark));
        }
        count += 1;
    }
    bar.finish_and_clear();
    if !args.json {
        writeln!(out, "EOF reached after {count} txns.")?;
    }
    Ok(0)
}

/// What can go wrong while a frame is shown.
enum ShowError {
    Decode(u64, DecodeError),
    Other(Failure),
}

impl ShowError {
    fn of(self, path: &Path) -> Failure {
        match self {
            ShowError::Decode(offset, why) => unreadable(path, offset, why),
            ShowError::Other(failure) => failure,
        }
    }
}

fn show(frame: &Frame<'_>, json: bool, out: &mut Output) -> Result<(), ShowError> {
    let decode = |why| ShowError::Decode(frame.offset, why);
    let text = if json {
        json::record(frame.body, frame.offset, frame.is_good()).map_err(decode)?.to_string()
    } else {
        let line = line(frame.body).map_err(decode)?;
        if frame.checksum == frame.sum { line } else { format!("CRC ERROR - {line}\n{line}") }
    };
    writeln!(out, "{text}").map_err(|error| ShowError::Other(error.into()))
}

fn range(args: &Range, out: &mut Output) -> Result<u8, Failure> {
    let mut damaged = false;
    for path in logs_of(&args.path)? {
        let (mut scan, _) = match open(&path) {
            Ok(opened) => opened,
            Err(failure) => {
                failure.tell();
                damaged = true;
                continue;
            }
        };
        loop {
            let at = scan.position();
            let frame = match scan.next_frame()? {
                Ok(frame) if frame.has_mark() => frame,
                Ok(frame) => {
                    no_mark(&path, frame.offset, frame.mark).tell();
                    damaged = true;
                    break;
                }
                Err(ScanEnd::Length(length)) => {
                    bad_length(&path, at, length).tell();
                    damaged = true;
                    break;
                }
                Err(ScanEnd::Clean | ScanEnd::Cut) => break,
            };
            let Some(zxid) = zxid_of(frame.body) else { continue };
            if zxid < args.from || zxid > args.to {
                continue;
            }
            damaged |= frame.checksum != frame.sum;
            match show(&frame, args.json, out) {
                Err(ShowError::Decode(offset, why)) => {
                    unreadable(&path, offset, why).tell();
                    damaged = true;
                }
                Err(ShowError::Other(failure)) => return Err(failure),
                Ok(()) => {}
            }
        }
    }
    if damaged {
        complain("there is damage on the way: see oxkeeper txnlog verify");
    }
    Ok(u8::from(damaged))
}

/// The transaction of a body, where it is long enough for a header.
fn zxid_of(body: &[u8]) -> Option<Zxid> {
    body.get(12..20)?.first_chunk().map(|bytes| Zxid(i64::from_be_bytes(*bytes)))
}

/// The file itself, or the logs of a folder, oldest first.
fn logs_of(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let dirs = super::folders(path, None);
    let names = dirs.list_logs(&RealDisk)?;
    if names.is_empty() {
        return Err(Failure::new(format!("{}: there are no logs", dirs.logs.display())));
    }
    Ok(names.into_iter().map(|log| dirs.logs.join(log.name)).collect())
}

/// The folders of a log file's neighbours.
fn dirs_around(file: &Path) -> Dirs {
    let dir = match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    };
    Dirs { snapshots: dir.clone(), logs: dir }
}
