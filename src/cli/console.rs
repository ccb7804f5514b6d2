//! Where the shell prints: standard output and error, or above the line that is being edited. Watch events come from
//! another thread at any time; they never cut into what a command prints. Knows no command.

use super::datum::Datum;
use super::error::Failure;
use super::session::Notice;
use super::text::Stream;
use super::{json, text};
use rustyline::ExternalPrinter;
use std::io::{self, BufWriter, Stderr, Stdout, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// As zkCli.sh prints them.
    #[default]
    Text,
    /// As JSON, one object a line.
    Json,
}

/// Events that may wait for a command that reads them.
const TAPPED_MAX: usize = 65_536;

struct Streams {
    out: BufWriter<Stdout>,
    err: Stderr,
    /// Prints above the line that is being edited.
    printer: Option<Box<dyn ExternalPrinter + Send>>,
    /// A command that wants the events instead.
    tap: Option<mpsc::Sender<Notice>>,
}

/// The streams of the shell.
pub struct Console {
    format: Format,
    /// No news of the connection.
    quiet: bool,
    /// Whether watch events are shown at all (`printwatches`); read and written on its own.
    print_watches: AtomicBool,
    streams: Mutex<Streams>,
}

impl Console {
    /// Prints on this process's streams.
    pub fn new(format: Format, quiet: bool) -> Self {
        let streams = Streams {
            out: BufWriter::with_capacity(64 * 1024, io::stdout()),
            err: io::stderr(),
            printer: None,
            tap: None,
        };
        let quiet = quiet || format == Format::Json;
        Console { format, quiet, print_watches: AtomicBool::new(true), streams: Mutex::new(streams) }
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How results are printed.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether watch events are shown.
    pub fn prints_watches(&self) -> bool {
        self.print_watches.load(Ordering::Relaxed)
    }

    /// Shows watch events, or not.
    pub fn print_watches(&self, on: bool) {
        self.print_watches.store(on, Ordering::Relaxed);
    }

    /// From now on events are printed above the line that is being edited.
    pub fn print_above(&self, printer: Box<dyn ExternalPrinter + Send>) {
        self.streams().printer = Some(printer);
    }

    /// Says something that a command has found out.
    pub fn say(&self, datum: &Datum) -> Result<(), Failure> {
        match self.format {
            Format::Text => {
                let (stream, text) = text::render(datum);
                match stream {
                    Stream::Out => self.streams().out.write_all(text.as_bytes())?,
                    Stream::Err => self.complain(&text),
                }
            }
            Format::Json => match json::render(datum) {
                Some(object) => {
                    let mut streams = self.streams();
                    serde_json::to_writer(&mut streams.out, &object).map_err(io::Error::from)?;
                    streams.out.write_all(b"\n")?;
                }
                None => self.streams().out.write_all(text::render(datum).1.as_bytes())?,
            },
        }
        Ok(())
    }

    /// Greetings and prompts, which only people want.
    pub fn greet(&self, text: &str) {
        if !self.quiet {
            let mut streams = self.streams();
            let _ = streams.out.write_all(text.as_bytes());
            let _ = streams.out.flush();
        }
    }

    /// Says a line on standard error, after all that was said before.
    pub fn remark(&self, line: &str) {
        self.complain(&format!("{line}\n"));
    }

    fn complain(&self, text: &str) {
        let mut streams = self.streams();
        let _ = streams.out.flush();
        let _ = streams.err.write_all(text.as_bytes());
    }

    /// Says why a command failed.
    pub fn failed(&self, failure: &Failure) {
        if matches!(failure, Failure::Output(_)) {
            return;
        }
        match self.format {
            Format::Json => self.remark(&json::failure(failure).to_string()),
            Format::Text => {
                self.remark(&failure.message());
                if let Failure::Keeper { trouble: Some(trouble), .. } = failure {
                    self.remark(trouble);
                }
            }
        }
    }

    /// Everything said so far is out.
    pub fn flush(&self) -> Result<(), Failure> {
        Ok(self.streams().out.flush()?)
    }

    /// Shows an event, or news of the session.
    pub fn notice(&self, notice: &Notice) {
        let mut streams = self.streams();
        let news = notice.kind == "None";
        if let Some(tap) = &streams.tap {
            // Whoever reads too slowly sees the end of the stream rather than a gap.
            if tap.try_send(notice.clone()).is_err() {
                streams.tap = None;
            }
            return;
        }
        if !self.prints_watches() || (news && self.quiet) {
            return;
        }
        let text = match self.format {
            Format::Text => text::render(&Datum::Notice(notice)).1,
            Format::Json => match json::render(&Datum::Notice(notice)) {
                Some(object) => format!("{object}\n"),
                None => return,
            },
        };
        let _ = match &mut streams.printer {
            Some(printer) => printer.print(text).map_err(|_| io::Error::other("the terminal is gone")),
            None => streams.out.write_all(text.as_bytes()).and_then(|()| streams.out.flush()),
        };
    }

    /// Hands events to a command instead of showing them, until [`Console::untap`].
    pub fn tap(&self) -> mpsc::Receiver<Notice> {
        let (sender, receiver) = mpsc::channel(TAPPED_MAX);
        self.streams().tap = Some(sender);
        receiver
    }

    /// Shows events again.
    pub fn untap(&self) {
        self.streams().tap = None;
    }
}
