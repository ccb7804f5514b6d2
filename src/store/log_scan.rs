//! Reads one log file frame by frame and judges nothing: for tools that show what stands in a file, damaged or not.
//! A server reads through [`super::log_reader`], which knows where a file may end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, DiskFile, FileStream};
use super::error::StoreError;
use super::log_reader::{HEADER, MAGIC, UNSYNCED_MAX};
use super::tear::{Behind, END_OF_RECORD, FRAME_HEAD, checksum, lacks_sector, records_behind};
use super::window::Window;

/// The first bytes of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogHeader {
    /// 2 in every log there is.
    pub version: i32,
    /// 0 in every log there is.
    pub dbid: i64,
}

/// What stands where a header should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderFound {
    /// A header.
    Log(LogHeader),
    /// The file ends before a header could be whole, after so many bytes.
    Short(u64),
    /// Something else.
    Foreign([u8; 4]),
}

/// A frame as it stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Where it starts.
    pub offset: u64,
    /// Header, body and digest of the transaction.
    pub body: &'a [u8],
    /// The checksum in front of it.
    pub checksum: i64,
    /// The checksum of the body.
    pub sum: i64,
    /// The byte behind the body; `None` when the file ends there.
    pub mark: Option<u8>,
}

impl Frame<'_> {
    /// True for a frame that was written whole and is unchanged.
    pub fn is_good(&self) -> bool {
        self.checksum == self.sum && self.has_mark()
    }

    /// True when the byte behind the body is the one that a writer puts there last.
    pub fn has_mark(&self) -> bool {
        self.mark == Some(END_OF_RECORD)
    }

    /// Bytes of the whole frame.
    pub fn len(&self) -> u64 {
        (FRAME_HEAD + self.body.len() + 1) as u64
    }

    /// False: a frame has a head.
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// Why there is no further frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanEnd {
    /// The file ends, or zeros follow.
    Clean,
    /// The file ends inside a frame.
    Cut,
    /// The length of a frame cannot be.
    Length(i32),
}

/// A log file being read.
pub struct LogScan<D: Disk> {
    path: PathBuf,
    file: Arc<D::File>,
    window: Window<FileStream<D::File>>,
    length: u64,
    used: usize,
}

impl<D: Disk> LogScan<D> {
    /// Opens the file, and says what its head is.
    pub fn open(disk: &D, path: &Path) -> Result<(Self, HeaderFound), StoreError> {
        let read = || StoreError::io(path, "read the log");
        let file = Arc::new(disk.open(path).map_err(read())?);
        let length = file.len().map_err(read())?;
        let mut head = [0; HEADER.len()];
        let count = file.read_full_at(&mut head, 0).map_err(read())?;
        let found = match head.first_chunk::<4>() {
            _ if count < HEADER.len() => HeaderFound::Short(count as u64),
            Some(magic) if *magic != MAGIC => HeaderFound::Foreign(*magic),
            _ => {
                let mut rest = crate::jute::Reader::unlimited(&head[MAGIC.len()..]);
                let version = rest.int().unwrap_or_default();
                HeaderFound::Log(LogHeader { version, dbid: rest.long().unwrap_or_default() })
            }
        };
        let window = Window::new(FileStream::new(file.clone(), HEADER.len() as u64), HEADER.len() as u64);
        Ok((LogScan { path: path.to_owned(), file, window, length, used: 0 }, found))
    }

    /// Bytes of the file when it was opened.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Where the next frame starts.
    pub fn position(&self) -> u64 {
        self.window.position() + self.used as u64
    }

    /// Whole records at any place from `offset` on: what a reader that stops before them would lose.
    pub fn records_behind(&self, offset: u64, body_max: usize) -> Result<Option<Behind>, StoreError> {
        records_behind(&self.file, offset, body_max).map_err(StoreError::io(&self.path, "read the log"))
    }

    /// True when a power cut explains that the records end at `offset` although others are behind it: a sector in front
    /// of them never reached the disk, and all of them are young enough not to have been synced.
    pub fn power_cut(&self, offset: u64, behind: &Behind, body_max: usize) -> Result<bool, StoreError> {
        let near = behind.end - offset <= UNSYNCED_MAX + 2 * body_max as u64;
        let lacks = || lacks_sector(&*self.file, offset, behind.first);
        Ok(near && lacks().map_err(StoreError::io(&self.path, "read the log"))?)
    }

    /// True when a power cut explains that the frame at `offset`, which ends at `end`, is not what was written: a sector of
    /// it never reached the disk.
    pub fn lost_sector(&self, offset: u64, end: u64) -> Result<bool, StoreError> {
        lacks_sector(&*self.file, offset, end).map_err(StoreError::io(&self.path, "read the log"))
    }

    /// The next frame, whatever its state, or why there is none. Takes no more memory than the file justifies.
    pub fn next_frame(&mut self) -> Result<Result<Frame<'_>, ScanEnd>, StoreError> {
        let end = match self.look() {
            Ok(end) => end,
            Err(error) => return Err(StoreError::io(&self.path, "read the log")(error)),
        };
        Ok(match end {
            Some(end) => Err(end),
            None => Ok(self.frame()),
        })
    }

    fn look(&mut self) -> io::Result<Option<ScanEnd>> {
        self.window.consume(std::mem::take(&mut self.used));
        if !self.window.ensure(FRAME_HEAD)? {
            let clean = self.window.bytes().iter().all(|byte| *byte == 0);
            return Ok(Some(if clean { ScanEnd::Clean } else { ScanEnd::Cut }));
        }
        let length = self.body_length();
        let Ok(body) = usize::try_from(length) else { return Ok(Some(ScanEnd::Length(length))) };
        if body == 0 {
            return Ok(Some(ScanEnd::Clean));
        }
        let left = self.file.len()?.saturating_sub(self.window.position());
        if (FRAME_HEAD + body) as u64 > left {
            // Longer than any field of a client, in a file that ends first: the length is wrong, not the end.
            let cut = body <= 2 * crate::proto::JUTE_MAX_BUFFER;
            return Ok(Some(if cut { ScanEnd::Cut } else { ScanEnd::Length(length) }));
        }
        let whole = self.window.ensure(FRAME_HEAD + body + 1)?;
        if !whole && self.window.bytes().len() < FRAME_HEAD + body {
            return Ok(Some(ScanEnd::Cut));
        }
        self.used = FRAME_HEAD + body + usize::from(whole);
        Ok(None)
    }

    fn body_length(&self) -> i32 {
        self.window
            .bytes()
            .get(8..FRAME_HEAD)
            .and_then(|bytes| bytes.first_chunk())
            .map_or(0, |b| i32::from_be_bytes(*b))
    }

    fn frame(&self) -> Frame<'_> {
        let view = &self.window.bytes()[..self.used];
        let end = FRAME_HEAD + self.body_length() as usize;
        let body = &view[FRAME_HEAD..end];
        let checksum_found = view.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
        let mark = view.get(end).copied();
        Frame { offset: self.window.position(), body, checksum: checksum_found, sum: checksum(body), mark }
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_tests::case;
    use super::*;
    use crate::store::SimDisk;

    fn walk(name: &str, file: &str) -> (Vec<bool>, ScanEnd, Option<(u64, u64)>) {
        let (disk, dirs, _, _) = case(name);
        let (mut scan, head) = LogScan::open(&disk, &dirs.logs.join(file)).unwrap();
        assert!(matches!(head, HeaderFound::Log(_)), "{name}");
        let mut good = Vec::new();
        loop {
            match scan.next_frame().unwrap() {
                Ok(frame) => good.push(frame.is_good()),
                Err(end) => {
                    let behind = scan.records_behind(scan.position() + 1, 1 << 20).unwrap();
                    return (good, end, behind.map(|behind| (behind.first, behind.records)));
                }
            }
        }
    }

    #[test]
    fn damaged_frames_are_shown_and_not_hidden() {
        let (good, end, _) = walk("log-flip-crc", "log.4c");
        assert_eq!((good.len(), good.iter().filter(|good| !**good).count(), end), (20, 1, ScanEnd::Clean));
        let (good, end, _) = walk("log-torn-mid", "log.4c");
        assert_eq!(good.iter().position(|good| !good), Some(10), "{end:?}");
        let (good, end, _) = walk("log-flip-len-huge", "log.4c");
        assert_eq!((good.len(), end), (10, ScanEnd::Length(1_073_741_906)));
        let (good, end, _) = walk("log-len-minus1", "log.4c");
        assert_eq!((good.len(), end), (10, ScanEnd::Length(-1)));
        let (good, end, behind) = walk("log-zero-mid", "log.4c");
        assert_eq!((good.len(), end, behind), (10, ScanEnd::Clean, Some((1225, 9))));
        assert_eq!(walk("log-trunc-body", "log.4c").1, ScanEnd::Cut);
    }

    #[test]
    fn heads_that_are_none_are_told() {
        let disk = SimDisk::new(1);
        for (bytes, expected) in [
            (&b""[..], HeaderFound::Short(0)),
            (b"ZKLG\0\0", HeaderFound::Short(6)),
            (b"0123456789abcdef", HeaderFound::Foreign(*b"0123")),
        ] {
            disk.install(Path::new("/log.1"), bytes.to_vec());
            assert_eq!(LogScan::open(&disk, Path::new("/log.1")).unwrap().1, expected);
        }
    }
}
