//! Judges the place where a log stops making sense. A power cut may lose any of the sectors that were not synced yet, also
//! those in front of sectors that got through; that is no damage, for nothing of it was acknowledged. Anything else
//! that hides good records is. Looks at bytes only; what follows from it is decided in [`super::log_reader`].

use std::io;
use std::sync::Arc;

use super::disk::{DiskFile, FileStream};
use super::log_reader::HEADER;
use super::window::Window;

/// The smallest unit that a disk writes whole.
pub(super) const SECTOR: u64 = 512;
/// Checksum and length in front of the body of a record.
pub(super) const FRAME_HEAD: usize = 12;
/// The byte behind the body.
pub(super) const END_OF_RECORD: u8 = b'B';
/// The header of a transaction, the least a body holds.
pub(super) const BODY_MIN: usize = 32;

/// Zeros that a record begins with at most: 4 of its checksum, 3 of a checksum of which only the last byte is set.
const ZEROS_IN_FRONT: u64 = 7;

/// Whole records behind the place where reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    /// Where the first of them starts.
    pub first: u64,
    /// How many there are.
    pub records: u64,
    /// Where the last of them ends.
    pub end: u64,
}

/// Checksum of a record's body.
pub(super) fn checksum(body: &[u8]) -> i64 {
    let mut adler = simd_adler32::Adler32::new();
    adler.write(body);
    i64::from(adler.finish())
}

/// Looks for whole records from `offset` to the end of the file, at any position.
pub(super) fn records_behind<F: DiskFile>(file: &Arc<F>, offset: u64, body_max: usize) -> io::Result<Option<Behind>> {
    let Some(data) = file.next_data(offset)? else { return Ok(None) };
    // A record begins with zeros, and they may be the last ones of a hole.
    let start = data.saturating_sub(ZEROS_IN_FRONT).max(offset);
    let mut window = Window::new(FileStream::new(file.clone(), start), start);
    let mut found: Option<Behind> = None;
    while window.ensure(FRAME_HEAD + BODY_MIN + 1)? {
        let skip = plausible_head(window.bytes(), body_max);
        window.consume(skip.unwrap_or(window.bytes().len() - (FRAME_HEAD - 1)));
        if skip.is_none() {
            continue;
        }
        match whole_record(&mut window, body_max)? {
            Some(length) => {
                let first = window.position();
                window.consume(length);
                let behind = found.get_or_insert(Behind { first, records: 0, end: 0 });
                behind.records += 1;
                behind.end = window.position();
            }
            None => window.consume(1),
        }
    }
    Ok(found)
}

/// Where in the view a record may start, judged by its checksum and length alone.
fn plausible_head(view: &[u8], body_max: usize) -> Option<usize> {
    // A record begins with at most 7 zeros: 4 of the checksum, 3 of a checksum of which only the last byte is set.
    const LEAD: usize = 8;
    const STRIDE: usize = 64;
    let zeros = view.chunks(STRIDE).take_while(|chunk| *chunk == &[0; STRIDE][..chunk.len()]).count() * STRIDE;
    let start = zeros.min(view.len()).saturating_sub(LEAD);
    let heads = view[start..].windows(FRAME_HEAD);
    let plausible = |head: &[u8]| {
        let length = i32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        head.starts_with(&[0; 4]) && usize::try_from(length).is_ok_and(|length| (BODY_MIN..=body_max).contains(&length))
    };
    heads.enumerate().find(|(_, head)| plausible(head)).map(|(at, _)| start + at)
}

/// The length of the whole record at the beginning of the view, whose head is plausible.
fn whole_record<R: io::Read>(window: &mut Window<R>, body_max: usize) -> io::Result<Option<usize>> {
    let mut head = crate::jute::Reader::unlimited(window.bytes());
    let (Ok(sum), Ok(length)) = (head.long(), head.int()) else { return Ok(None) };
    let total = FRAME_HEAD + usize::try_from(length).unwrap_or(0).min(body_max) + 1;
    if !window.ensure(total)? {
        return Ok(None);
    }
    let view = window.bytes();
    let whole = view[total - 1] == END_OF_RECORD && checksum(&view[FRAME_HEAD..total - 1]) == sum;
    Ok(whole.then_some(total))
}

/// True when the bytes from `start`, the end of the last good record, to `end` lack at least one sector as a whole. Log
/// files are made of zeros before they are written, so a sector that was not written holds zeros from its beginning, or
/// from the end of the last synced record in it.
pub(super) fn lacks_sector<F: DiskFile>(file: &F, start: u64, end: u64) -> io::Result<bool> {
    let mut from = start;
    let mut buffer = [0; SECTOR as usize];
    while from < end {
        let to = (from / SECTOR + 1) * SECTOR;
        let sector = &mut buffer[..(to - from) as usize];
        let count = file.read_full_at(sector, from)?;
        if count > 0 && sector[..count].iter().all(|byte| *byte == 0) {
            return Ok(true);
        }
        from = to;
    }
    Ok(false)
}

/// True when a log file has a good record right behind its header.
pub(super) fn first_record_is_whole<F: DiskFile>(file: &F) -> io::Result<bool> {
    let mut head = [0; FRAME_HEAD];
    if file.read_full_at(&mut head, HEADER.len() as u64)? < FRAME_HEAD {
        return Ok(false);
    }
    let length = i32::from_be_bytes([head[8], head[9], head[10], head[11]]);
    let room = file.len()?.saturating_sub((HEADER.len() + FRAME_HEAD) as u64);
    let Some(length) = usize::try_from(length).ok().filter(|length| (*length as u64) < room) else { return Ok(false) };
    let mut body = vec![0; length + 1];
    file.read_full_at(&mut body, (HEADER.len() + FRAME_HEAD) as u64)?;
    let whole = body.pop() == Some(END_OF_RECORD) && length >= BODY_MIN;
    Ok(whole && checksum(&body).to_be_bytes() == head[..8])
}
