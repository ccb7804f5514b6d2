//! Reads transaction logs: all records from a zxid on, across files, with the original's rules for where a file ends
//! (`org.apache.zookeeper.server.persistence.FileTxnLog`) and stricter ones against silent loss: good records behind the
//! end of a file, and transactions missing between files, are refused. Changes nothing on disk; [`super::recovery`]
//! drives it, [`super::log`] writes what is read here.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ACCEPT_DAMAGE;
use super::dirs::{Dirs, LogName};
use super::disk::{Disk, DiskFile, FileStream};
use super::error::StoreError;
use super::tear::{BODY_MIN, Behind, END_OF_RECORD, FRAME_HEAD, checksum, lacks_sector, records_behind};
use super::window::Window;
use crate::jute::DecodeError;
use crate::proto::Zxid;
use crate::proto::txn::TxnRecord;

/// `ZKLG`.
pub(super) const MAGIC: [u8; 4] = *b"ZKLG";
/// Magic, version 2, dbid 0.
pub(super) const HEADER: [u8; 16] = *b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0";
/// So many bytes at most are written between two syncs, the last record not counted; what was lost further away from
/// the end was synced once.
pub(super) const UNSYNCED_MAX: u64 = 8 << 20;

/// How logs are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    /// Longest body that is believed without looking (`jute.maxbuffer` + `jute.maxbuffer.extrasize`). A longer one is
    /// taken when it is wholly there: a closeSession names every ephemeral and has no bound.
    pub body_max: usize,
    /// Read on where transactions are lost, as far as the original would.
    pub accept_damage: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions { body_max: 2 * crate::proto::JUTE_MAX_BUFFER, accept_damage: false }
    }
}

/// A record of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRecord<'a> {
    /// Its transaction.
    pub zxid: Zxid,
    /// Where its frame starts in [`LogReader::path`].
    pub offset: u64,
    /// Header, body and digest.
    pub body: &'a [u8],
}

impl<'a> LogRecord<'a> {
    /// The transaction.
    pub fn decode(&self) -> Result<TxnRecord<'a>, DecodeError> {
        TxnRecord::decode(self.body)
    }
}

/// A place where records of a log were given up: cut off by a crash, or lost and accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEnd {
    /// File.
    pub path: PathBuf,
    /// Where the last good record ends.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
    /// Good records behind it that are not read.
    pub records_behind: u64,
    /// True when a power cut explains it: nothing of it was ever acknowledged.
    pub unsynced: bool,
    /// True when the original refuses to start over it; recovery then cuts off what was never acknowledged.
    pub blocks_original: bool,
}

/// Reads logs, oldest record first.
pub struct LogReader<D: Disk> {
    disk: D,
    dir: PathBuf,
    files: Vec<LogName>,
    /// The file after the one that is open.
    next_file: usize,
    open: Option<OpenLog<D::File>>,
    options: ReadOptions,
    from: Zxid,
    /// The last transaction before the next one that is handed out; `None` at the very beginning.
    previous: Option<Zxid>,
    /// The last record seen, handed out or skipped.
    seen: Option<Zxid>,
    ends: Vec<LogEnd>,
    /// Where the good records of the last file that was read end.
    last_end: Option<(PathBuf, u64)>,
    empty_tail: Option<PathBuf>,
    backwards: u64,
}

struct OpenLog<F> {
    path: PathBuf,
    file: Arc<F>,
    window: Window<FileStream<F>>,
    /// Bytes of the record that was handed out last.
    handed_out: usize,
}

/// A whole frame in view, or why there is none.
enum Frame {
    Record { total: usize },
    End(Stop),
}

/// Why the records of a file end.
enum Stop {
    /// The file does.
    Clean,
    /// Zeros follow.
    Padding,
    /// The file ends inside a record.
    Partial,
    /// The byte behind a record is not the mark.
    NoMark(u8),
    /// The body is not the one that was written. Where the record ends.
    Checksum { expected: i64, found: i64, end: u64 },
    /// The length cannot be.
    Length(i32),
}

/// What is known about the first bytes of a file.
enum Header {
    Good,
    /// Nothing was ever written.
    Blank,
}

impl<D: Disk> LogReader<D> {
    /// Reads everything from `from` on. `previous` is the transaction that the first of them must follow: the snapshot's.
    pub fn open(
        disk: &D,
        dirs: &Dirs,
        from: Zxid,
        previous: Option<Zxid>,
        options: ReadOptions,
    ) -> Result<Self, StoreError> {
        let files = dirs.list_logs(disk)?;
        // Older files than the one that may hold `from` are never opened.
        let next_file = files.iter().rposition(|file| file.zxid <= from).unwrap_or(0);
        Ok(LogReader {
            disk: disk.clone(),
            dir: dirs.logs.clone(),
            files,
            next_file,
            open: None,
            options,
            from,
            previous,
            seen: None,
            ends: Vec::new(),
            last_end: None,
            empty_tail: None,
            backwards: 0,
        })
    }

    /// The next record, or `None` after the last.
    pub fn next_record(&mut self) -> Result<Option<LogRecord<'_>>, StoreError> {
        let Some((zxid, total)) = self.advance()? else { return Ok(None) };
        let open = self.open.as_ref().expect("advance has found a record in the open file");
        let body = &open.window.bytes()[FRAME_HEAD..total - 1];
        Ok(Some(LogRecord { zxid, offset: open.window.position(), body }))
    }

    /// The file of the last record.
    pub fn path(&self) -> Option<&Path> {
        self.open.as_ref().map(|open| open.path.as_path())
    }

    /// Where records were given up so far.
    pub fn ends(&self) -> &[LogEnd] {
        &self.ends
    }

    /// The file that was read to its end last, and where its good records end.
    pub(super) fn last_end(&self) -> Option<(&Path, u64)> {
        self.last_end.as_ref().map(|(path, end)| (path.as_path(), *end))
    }

    /// The last file, if nothing was ever written to it.
    pub fn empty_tail(&self) -> Option<&Path> {
        self.empty_tail.as_deref()
    }

    /// Records handed out whose zxid is below the one before.
    pub fn backwards(&self) -> u64 {
        self.backwards
    }

    /// Moves to the next record that counts; its frame is the beginning of the view.
    fn advance(&mut self) -> Result<Option<(Zxid, usize)>, StoreError> {
        loop {
            let Some(open) = &mut self.open else {
                if !self.open_next()? {
                    return Ok(None);
                }
                continue;
            };
            open.window.consume(std::mem::take(&mut open.handed_out));
            match open.frame(self.options.body_max)? {
                Frame::Record { total } => {
                    let zxid = open.zxid(total)?;
                    self.seen = Some(zxid);
                    if zxid < self.from {
                        open.window.consume(total);
                        continue;
                    }
                    let (path, offset) = (open.path.clone(), open.window.position());
                    open.handed_out = total;
                    self.expect_follows(zxid, path, offset)?;
                    self.previous = Some(zxid);
                    return Ok(Some((zxid, total)));
                }
                Frame::End(stop) => {
                    let open = self.open.take().expect("it was open above");
                    self.judge(&open, &stop)?;
                    self.last_end = Some((open.path, open.window.position()));
                }
            }
        }
    }

    /// Opens the next file; false after the last.
    fn open_next(&mut self) -> Result<bool, StoreError> {
        let Some(name) = self.files.get(self.next_file) else { return Ok(false) };
        let last = self.next_file + 1 == self.files.len();
        self.next_file += 1;
        let path = self.dir.join(&name.name);
        let file = Arc::new(self.disk.open(&path).map_err(StoreError::io(&path, "open the log"))?);
        match header(&path, &*file, last)? {
            Header::Good => {
                let stream = FileStream::new(file.clone(), HEADER.len() as u64);
                let window = Window::new(stream, HEADER.len() as u64);
                self.open = Some(OpenLog { path, file, window, handed_out: 0 });
                Ok(true)
            }
            Header::Blank => {
                self.empty_tail = Some(path);
                Ok(false)
            }
        }
    }

    /// Refuses a hole before `zxid`.
    fn expect_follows(&mut self, zxid: Zxid, path: PathBuf, offset: u64) -> Result<(), StoreError> {
        let after = self.previous.unwrap_or(Zxid::ZERO);
        if self.previous.is_some_and(|previous| zxid <= previous) {
            self.backwards += 1;
            return Ok(());
        }
        // A new epoch starts at 1; inside one, each counts one on.
        let follows = zxid == after.next() || (zxid.epoch() > after.epoch() && zxid.counter() <= 1);
        if follows {
            return Ok(());
        }
        let remedy = format!(
            "A log file is missing or was cut; put it back. If these transactions may stay lost, start once with \
             {ACCEPT_DAMAGE}=true"
        );
        if self.options.accept_damage {
            let what = format!("transactions between {after} and {zxid} are missing");
            self.ends.push(LogEnd { path, offset, what, records_behind: 0, unsynced: false, blocks_original: false });
            return Ok(());
        }
        Err(StoreError::Hole { path, offset, after, found: zxid, remedy })
    }

    /// Decides whether a file may end where its records do.
    fn judge(&mut self, open: &OpenLog<D::File>, stop: &Stop) -> Result<(), StoreError> {
        if matches!(stop, Stop::Clean) {
            return Ok(());
        }
        let offset = open.window.position();
        // A server that started after a crash goes on in a new file, right behind the last record that was good: then
        // the rest of this one was given up before.
        let good = self.seen.max(self.previous);
        let next = self.files.get(self.next_file).map(|file| file.zxid);
        if next.is_some() && next == good.map(Zxid::next) {
            return Ok(());
        }
        let read = StoreError::io(&open.path, "read the log");
        let behind = match records_behind(&open.file, offset + 1, self.options.body_max) {
            Ok(behind) => behind,
            Err(error) => return Err(read(error)),
        };
        let end = match (stop, behind) {
            (Stop::Padding, None) => return Ok(()),
            (Stop::Checksum { end, .. }, _) => *end,
            (_, Some(behind)) => behind.first,
            (_, None) => offset,
        };
        let unsynced = match stop {
            Stop::Length(_) => false,
            Stop::Partial | Stop::NoMark(_) if behind.is_none() => true,
            _ => {
                let near = behind.is_none_or(|behind| behind.end - offset <= self.unsynced_max());
                near && lacks_sector(&*open.file, offset, end).map_err(read)?
            }
        };
        let what = stop.describe(behind);
        if !unsynced && !self.options.accept_damage {
            let remedy = format!(
                "Restore the file from a backup or another member; if the transactions from there on may stay lost, start \
                 once with {ACCEPT_DAMAGE}=true"
            );
            return Err(StoreError::Damaged { path: open.path.clone(), offset, what, remedy });
        }
        let records_behind = behind.map_or(0, |behind| behind.records);
        let blocks_original = matches!(stop, Stop::Checksum { .. });
        self.ends.push(LogEnd { path: open.path.clone(), offset, what, records_behind, unsynced, blocks_original });
        Ok(())
    }

    fn unsynced_max(&self) -> u64 {
        UNSYNCED_MAX + 2 * self.options.body_max as u64
    }
}

impl Stop {
    fn describe(&self, behind: Option<Behind>) -> String {
        let mut text = match self {
            Stop::Clean => "the file ends".to_owned(),
            Stop::Padding => "the records end in zeros".to_owned(),
            Stop::Partial => "the file ends inside a record".to_owned(),
            Stop::NoMark(byte) => format!("a record ends in {byte:#04x} instead of its end mark"),
            Stop::Checksum { expected, found, .. } => {
                format!("a record has checksum {found:#x}, its body sums to {expected:#x}")
            }
            Stop::Length(length) => format!("a record claims the length {length}"),
        };
        if let Some(behind) = behind {
            text += &format!(", and {} good records follow from offset {} on", behind.records, behind.first);
        }
        text
    }
}

impl<F: DiskFile> OpenLog<F> {
    /// Looks at the next frame.
    fn frame(&mut self, body_max: usize) -> Result<Frame, StoreError> {
        match self.look(body_max) {
            Ok(frame) => Ok(frame),
            Err(error) => Err(StoreError::io(&self.path, "read the log")(error)),
        }
    }

    fn look(&mut self, body_max: usize) -> io::Result<Frame> {
        if !self.window.ensure(FRAME_HEAD)? {
            let clean = self.window.bytes().iter().all(|byte| *byte == 0);
            return Ok(Frame::End(if clean { Stop::Clean } else { Stop::Partial }));
        }
        let mut head = crate::jute::Reader::unlimited(self.window.bytes());
        let (Ok(expected), Ok(length)) = (head.long(), head.int()) else { return Ok(Frame::End(Stop::Partial)) };
        if length == 0 {
            return Ok(Frame::End(Stop::Padding));
        }
        let Ok(body_len) = usize::try_from(length) else { return Ok(Frame::End(Stop::Length(length))) };
        let total = FRAME_HEAD + body_len + 1;
        let long = body_len > body_max;
        if long && self.window.position() + total as u64 > self.file.len()? {
            return Ok(Frame::End(Stop::Length(length)));
        }
        if !self.window.ensure(total)? {
            return Ok(Frame::End(Stop::Partial));
        }
        let view = self.window.bytes();
        let (body, mark) = (&view[FRAME_HEAD..total - 1], view[total - 1]);
        let found = checksum(body);
        let stop = if mark != END_OF_RECORD {
            Stop::NoMark(mark)
        } else if found != expected {
            Stop::Checksum { expected: found, found: expected, end: self.window.position() + total as u64 }
        } else {
            return Ok(Frame::Record { total });
        };
        Ok(Frame::End(if long { Stop::Length(length) } else { stop }))
    }

    /// The transaction of the record in view.
    fn zxid(&self, total: usize) -> Result<Zxid, StoreError> {
        let body = &self.window.bytes()[FRAME_HEAD..total - 1];
        match body.get(..BODY_MIN).and_then(|header| header[12..].first_chunk::<8>()) {
            Some(zxid) => Ok(Zxid(i64::from_be_bytes(*zxid))),
            None => Err(StoreError::Damaged {
                path: self.path.clone(),
                offset: self.window.position(),
                what: format!("a record of {} bytes has no room for a transaction header", body.len()),
                remedy: "Restore the file from a backup or another member".into(),
            }),
        }
    }
}

/// Checks the head of a file. In the last one, nothing at all is fine: a crash may come right after its creation.
fn header<F: DiskFile>(path: &Path, file: &F, last: bool) -> Result<Header, StoreError> {
    let read = || StoreError::io(path, "read the log");
    let mut head = [0; HEADER.len()];
    let count = file.read_full_at(&mut head, 0).map_err(read())?;
    if count == HEADER.len() && head.starts_with(&MAGIC) {
        return Ok(Header::Good);
    }
    let blank = count == 0 || (count == HEADER.len() && is_blank(file).map_err(read())?);
    if last && blank {
        return Ok(Header::Blank);
    }
    let what = match count {
        0 => "the file is empty, but later logs follow".to_owned(),
        count if count < HEADER.len() => format!("the file ends inside its header, after {count} bytes"),
        _ => format!("not a transaction log: magic {:02x?}", &head[..4]),
    };
    let remedy = "Restore the file from a backup or another member, or move it away if it does not belong here".into();
    Err(StoreError::Damaged { path: path.to_owned(), offset: 0, what, remedy })
}

/// True for a file of zeros alone.
fn is_blank<F: DiskFile>(file: &F) -> io::Result<bool> {
    let mut offset = 0;
    let mut buffer = vec![0; 64 << 10];
    while let Some(data) = file.next_data(offset)? {
        let count = file.read_full_at(&mut buffer, data)?;
        if count == 0 {
            break;
        }
        if buffer[..count].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        offset = data + count as u64;
    }
    Ok(true)
}
