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

/// A time from a command line: RFC 3339 in UTC or with an offset, or ms since the Unix epoch.
pub fn parse_time(text: &str) -> Result<i64, String> {
    if let Ok(ms) = text.parse() {
        return Ok(ms);
    }
    parse_rfc3339(text).ok_or_else(|| format!("{text} is no time: write 2026-11-22T08:50:20Z, or ms since 1970"))
}

fn parse_rfc3339(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let number = |text: &str, from: i64, to: i64| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| digits && (from..=to).contains(number))
    };
    let [year, month, day] = date.split('-').collect::<Vec<_>>().try_into().ok()?;
    let (year, month, day) = (number(year, 1970, 9999)?, number(month, 1, 12)?, number(day, 1, 31)?);
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at(zone);
    let offset_min = match zone {
        "Z" | "z" => 0,
        zone => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let offset = number(hours, 0, 23)? * 60 + number(minutes, 0, 59)?;
            if zone.starts_with('-') { -offset } else { offset }
        }
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    number(fraction, 0, i64::MAX)?;
    let ms = format!("{fraction:0<3}").get(..3)?.parse::<i64>().ok()?;
    let [hour, minute, second] = time.split(':').collect::<Vec<_>>().try_into().ok()?;
    let (hour, minute, second) = (number(hour, 0, 23)?, number(minute, 0, 59)?, number(second, 0, 59)?);
    // Days from 1970 on: years count from March, so that the day of the leap year is the last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    (crate::admin::java_text::civil(days) == (year, month, day))
        .then_some((((days * 24 + hour) * 60 + minute - offset_min) * 60 + second) * 1_000 + ms)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for ms in [0, 951_782_399_999, 951_782_400_000, 1_795_337_050_726, 253_402_300_799_999] {
            assert_eq!(parse_time(&rfc3339(ms)), Ok(ms));
        }
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00.5+02:00", 951_818_400_500),
            ("2000-02-29 12:00:00-01:30", 951_831_000_000),
            ("1795337050726", 1_795_337_050_726),
        ] {
            assert_eq!(parse_time(text), Ok(ms), "{text}");
        }
        for bad in [
            "",
            "now",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01T0:+1:00Z",
        ] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }
}
