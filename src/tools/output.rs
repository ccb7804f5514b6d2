//! What the tools say and how they fail: results to standard output, everything else to standard error, and an exit
//! code for scripts. A reader that went away is the end of the work, not an error.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

use crate::store::StoreError;

/// Why a tool ends without a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// For the operator; empty when everything is said already.
    pub text: String,
    /// The exit code.
    pub code: u8,
}

impl Failure {
    /// A failure with exit code 1.
    pub fn new(text: impl Into<String>) -> Self {
        Failure { text: text.into(), code: 1 }
    }

    /// A failure with another exit code.
    pub fn with_code(code: u8, text: impl Into<String>) -> Self {
        Failure { text: text.into(), code }
    }

    /// Says it on standard error.
    pub fn tell(&self) {
        if !self.text.is_empty() {
            complain(&self.text);
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::new(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // `oxkeeper txnlog dump FILE | head`
            io::ErrorKind::BrokenPipe => Failure::with_code(0, ""),
            _ => Failure::new(format!("cannot write the result: {error}")),
        }
    }
}

/// A line on standard error.
pub fn complain(text: &str) {
    // Nobody is left to tell when this fails.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Where results go.
pub struct Output {
    sink: Box<dyn Write>,
}

impl Output {
    /// To the terminal or the pipe behind standard output.
    pub fn to_stdout() -> Self {
        Output { sink: Box::new(io::BufWriter::with_capacity(64 << 10, io::stdout())) }
    }

    /// Elsewhere, for tests.
    pub fn to(sink: impl Write + 'static) -> Self {
        Output { sink: Box::new(sink) }
    }

    /// Pushes everything out.
    pub fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.sink.flush()?)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

/// A time for programs and people: RFC 3339 in UTC.
pub fn rfc3339(unix_ms: i64) -> String {
    let (year, month, day) = crate::admin::java_text::civil(unix_ms.div_euclid(86_400_000));
    let ms = unix_ms.rem_euclid(86_400_000);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1_000)
}

/// A bar over so many bytes, drawn only where somebody looks.
pub fn bar(what: &str, bytes: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{prefix:>12} [{wide_bar}] {bytes:>10} of {total_bytes}  {eta:>4}";
    let style = ProgressStyle::with_template(template).expect("the template is a constant that parses");
    ProgressBar::new(bytes).with_style(style).with_prefix(what.to_owned())
}

/// What is read with a bar that follows.
pub struct Watched<R> {
    inner: R,
    bar: ProgressBar,
}

impl<R> Watched<R> {
    /// Moves `bar` with each read.
    pub fn new(inner: R, bar: ProgressBar) -> Self {
        Watched { inner, bar }
    }
}

impl<R: io::Read> io::Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bar.inc(count as u64);
        Ok(count)
    }
}

impl<R> Drop for Watched<R> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
