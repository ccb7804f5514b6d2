//! Mended copies of log files: with right checksums (`recover`), or ending with a zxid (`chop`). The file itself is only
//! read; the copy must not exist before.

use std::fs::File;
use std::io::{BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{bad_length, dirs_around, head_line, line, name, no_mark, open, parse_zxid, unreadable, zxid_of};
use crate::proto::Zxid;
use crate::store::{Frame, LogHeader, ScanEnd};
use crate::tools::live;
use crate::tools::output::{Failure, Output, complain};

/// Arguments of `recover`.
#[derive(Debug, Args)]
pub struct Recover {
    /// The log file.
    pub(in crate::tools) file: PathBuf,
    /// Mend everything without asking.
    #[arg(short = 'y', long)]
    pub(in crate::tools) yes: bool,
    /// Print all transactions, not the mended ones alone.
    #[arg(short = 'v', long)]
    pub(in crate::tools) verbose: bool,
    /// Where the copy goes; the original's choice is FILE.fixed.
    #[arg(short = 'o', long)]
    pub(in crate::tools) output: Option<PathBuf>,
}

/// Arguments of `chop`.
#[derive(Debug, Args)]
pub struct Chop {
    /// The log file.
    file: PathBuf,
    /// The last zxid that is kept, such as 0x1f or 31.
    #[arg(short = 'z', long, value_parser = parse_zxid)]
    zxid: Zxid,
    /// Where the copy goes; the original's choice is FILE.chopped and the zxid in decimal.
    #[arg(short = 'o', long)]
    output: Option<PathBuf>,
}

/// A log file being written, removed again when it does not become whole.
struct Copy {
    path: PathBuf,
    file: BufWriter<File>,
    done: bool,
}

impl Copy {
    fn create(path: PathBuf, what: &str) -> Result<Self, Failure> {
        live::refuse_if_held(&dirs_around(&path))?;
        match File::options().write(true).create_new(true).open(&path) {
            Ok(file) => Ok(Copy { path, file: BufWriter::new(file), done: false }),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(Failure::new(format!("{what} file {} already exists or not writable", path.display())))
            }
            Err(error) => Err(Failure::new(format!("{}: cannot create the file: {error}", path.display()))),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let path = &self.path;
        self.file.write_all(bytes).map_err(|error| Failure::new(format!("{}: cannot write: {error}", path.display())))
    }

    fn header(&mut self, header: LogHeader) -> Result<(), Failure> {
        self.write(b"ZKLG")?;
        self.write(&header.version.to_be_bytes())?;
        self.write(&header.dbid.to_be_bytes())
    }

    fn frame(&mut self, frame: &Frame<'_>, checksum: i64) -> Result<(), Failure> {
        self.write(&checksum.to_be_bytes())?;
        // It was read behind a length of four bytes.
        self.write(&(frame.body.len() as u32).to_be_bytes())?;
        self.write(frame.body)?;
        self.write(b"B")
    }

    fn finish(mut self) -> Result<(), Failure> {
        let path = self.path.clone();
        let failed = |error: std::io::Error| Failure::new(format!("{}: cannot write: {error}", path.display()));
        self.file.flush().map_err(failed)?;
        self.file.get_ref().sync_all().map_err(failed)?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if !self.done {
            // An unfinished copy would look like a log to a server.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

enum Answer {
    Yes,
    No,
    Abort,
}

fn ask(out: &mut Output, answers: &mut impl BufRead) -> Result<Answer, Failure> {
    loop {
        write!(out, "Would you like to fix it (Yes/No/Abort) ? ")?;
        out.flush()?;
        let mut answer = String::new();
        match answers.read_line(&mut answer) {
            Ok(0) => return Ok(Answer::Abort),
            Ok(_) => {}
            Err(error) => return Err(Failure::new(format!("cannot read the answer: {error}"))),
        }
        match answer.trim().chars().next().map(|first| first.to_ascii_lowercase()) {
            Some('y') => return Ok(Answer::Yes),
            Some('n') => return Ok(Answer::No),
            Some('a') => return Ok(Answer::Abort),
            _ => {}
        }
    }
}

/// Copies every record, with a new checksum where the operator agrees.
pub fn recover(args: &Recover, out: &mut Output, answers: &mut impl BufRead) -> Result<u8, Failure> {
    let (mut scan, header) = open(&args.file)?;
    let mut copy = Copy::create(args.output.clone().unwrap_or_else(|| beside(&args.file, ".fixed")), "Recovery")?;
    writeln!(out, "{}", head_line(header))?;
    copy.header(header)?;
    let (mut count, mut fixed) = (0u64, 0u64);
    loop {
        let at = scan.position();
        let frame = match scan.next_frame()? {
            Ok(frame) => frame,
            Err(ScanEnd::Length(length)) => return Err(bad_length(&args.file, at, length)),
            Err(ScanEnd::Clean | ScanEnd::Cut) => break,
        };
        let text = line(frame.body).map_err(|why| unreadable(&args.file, frame.offset, why))?;
        let mut checksum = frame.checksum;
        if frame.checksum != frame.sum {
            let mend = if args.yes {
                writeln!(out, "CRC FIXED - {text}")?;
                Answer::Yes
            } else {
                writeln!(out, "CRC ERROR - {text}")?;
                ask(out, answers)?
            };
            match mend {
                Answer::Yes => (checksum, fixed) = (frame.sum, fixed + 1),
                Answer::No => {}
                Answer::Abort => {
                    out.flush()?;
                    complain("Recovery aborted.");
                    return Ok(0);
                }
            }
        }
        if args.verbose {
            writeln!(out, "{text}")?;
        }
        if !frame.has_mark() {
            return Err(no_mark(&args.file, frame.offset, frame.mark));
        }
        copy.frame(&frame, checksum)?;
        count += 1;
    }
    let path = copy.path.clone();
    copy.finish()?;
    writeln!(out, "EOF reached after {count} txns.")?;
    writeln!(out, "Recovery file {} has been written with {fixed} fixed CRC error(s)", path.display())?;
    out.flush()?;
    warn_of_name(&path);
    Ok(0)
}

/// Copies the records up to a zxid.
pub fn chop(args: &Chop, out: &mut Output) -> Result<u8, Failure> {
    let (mut scan, header) = open(&args.file)?;
    let path = args.output.clone().unwrap_or_else(|| beside(&args.file, &format!(".chopped{}", args.zxid.0)));
    let mut copy = Copy::create(path.clone(), "Chopped")?;
    writeln!(out, "{}", head_line(header))?;
    copy.header(header)?;
    let mut count = 0u64;
    loop {
        let at = scan.position();
        let frame = match scan.next_frame()? {
            Ok(frame) => frame,
            Err(ScanEnd::Length(length)) => return Err(bad_length(&args.file, at, length)),
            Err(ScanEnd::Clean | ScanEnd::Cut) => {
                writeln!(out, "EOF reached after {count} txns.")?;
                return Err(Failure::new(format!("Failed to chop {}", name(&args.file))));
            }
        };
        if frame.checksum != frame.sum || !frame.has_mark() {
            let what = "a record up to the zxid is damaged: see oxkeeper txnlog verify";
            return Err(Failure::new(format!("{}: offset {at}: {what}", args.file.display())));
        }
        let zxid = zxid_of(frame.body)
            .ok_or_else(|| Failure::new(format!("{}: offset {at}: a record without a header", args.file.display())))?;
        count += 1;
        copy.frame(&frame, frame.checksum)?;
        if zxid == args.zxid {
            break;
        }
    }
    copy.finish()?;
    writeln!(out, "Chopping at {:x} new log has {count} records", args.zxid.0)?;
    out.flush()?;
    warn_of_name(&path);
    Ok(0)
}

/// Servers look at the part of a name behind the first dot alone.
fn warn_of_name(path: &Path) {
    if crate::store::LogName::parse(&name(path)).is_some() {
        complain(&format!(
            "Before the next start rename or remove {} or the file it was made of: in a data folder a server would read both",
            path.display()
        ));
    }
}
