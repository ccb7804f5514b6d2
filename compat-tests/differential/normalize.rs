//! Makes answers of two servers comparable: replaces what must differ (session ids, times, passwords) by what must be
//! equal, and puts lists without an order into one. Everything else stays as it came, byte for byte.

use oxkeeper::jute::{Encode, Reader, put_bytes};
use oxkeeper::proto::session;
use std::collections::HashMap;

/// xid of a notification.
pub const NOTIFICATION: i32 = -1;
/// Bytes of a reply header.
const HEADER: usize = 16;
/// Bytes of a Stat.
const STAT: usize = 68;
/// Marks a masked session id.
const SESSION_MARK: i64 = 0x5e55_0000_0000_0000;

/// What one server has told so far, which later answers must agree with.
#[derive(Debug, Default, Clone)]
pub struct Memory {
    /// Session ids in the order of their creation.
    sessions: HashMap<i64, i64>,
    /// The time of each transaction.
    times: HashMap<i64, i64>,
    /// The highest zxid in a reply.
    pub last_zxid: i64,
}

impl Memory {
    /// The number of a session, given out at first sight.
    fn session(&mut self, id: i64) -> i64 {
        let next = SESSION_MARK + self.sessions.len() as i64;
        *self.sessions.entry(id).or_insert(next)
    }

    /// The masked form of an id that stands in a Stat or a dump; unknown ids stay.
    pub fn owner(&self, id: i64) -> i64 {
        self.sessions.get(&id).copied().unwrap_or(id)
    }

    /// Masks a connect response: id by its number, password by whether it belongs to the id.
    pub fn connect_response(&mut self, frame: &mut [u8]) -> Option<(i64, i32)> {
        if frame.len() < 36 {
            return None;
        }
        let timeout_ms = int(frame, 4);
        let id = long(frame, 8);
        if id == 0 {
            return None;
        }
        let number = self.session(id);
        put_long(frame, 8, number);
        let right = frame[20..36] == session::password(id);
        frame[20..36].fill(if right { b'P' } else { b'?' });
        Some((id, timeout_ms))
    }

    /// Masks a notification or a reply to operation `op`. A complaint is about this server alone.
    pub fn reply(&mut self, op: i32, frame: &mut [u8]) -> Result<(), String> {
        if frame.len() < HEADER {
            return Err("shorter than a reply header".into());
        }
        self.last_zxid = self.last_zxid.max(long(frame, 4));
        // A multiRead that fails shows the results it had.
        let results = op == 22 && frame.len() > HEADER;
        if int(frame, 0) == NOTIFICATION || (int(frame, 12) != 0 && !results) {
            return Ok(());
        }
        match op {
            3 | 5 | 7 => self.stat(frame, HEADER),
            15 | 19 | 21 => {
                let at = skip_bytes(frame, HEADER)?;
                self.stat(frame, at)
            }
            4 => {
                let at = skip_bytes(frame, HEADER)?;
                self.stat(frame, at)
            }
            6 => {
                let end = sort_records(frame, HEADER, 2, true)?;
                self.stat(frame, end)
            }
            8 | 103 => sort_records(frame, HEADER, 1, false).map(drop),
            12 => {
                let end = sort_records(frame, HEADER, 1, false)?;
                self.stat(frame, end)
            }
            107 => sort_records(frame, HEADER, 2, false).map(drop),
            14 | 22 => self.results(frame),
            _ => Ok(()),
        }
    }

    fn results(&mut self, frame: &mut [u8]) -> Result<(), String> {
        let mut at = HEADER;
        loop {
            let header = frame.get(at..at + 9).ok_or("a multi ends without its end marker")?;
            let (op, done) = (int(header, 0), header[4] != 0);
            at += 9;
            if done {
                return Ok(());
            }
            at = match op {
                -1 => at + 4,
                1 => skip_bytes(frame, at)?,
                15 => {
                    let stat = skip_bytes(frame, at)?;
                    self.stat(frame, stat)?;
                    stat + STAT
                }
                5 => {
                    self.stat(frame, at)?;
                    at + STAT
                }
                2 | 13 => at,
                4 => {
                    let stat = skip_bytes(frame, at)?;
                    self.stat(frame, stat)?;
                    stat + STAT
                }
                8 => sort_records(frame, at, 1, false)?,
                other => return Err(format!("a result of type {other} in a multi")),
            };
        }
    }

    /// Masks the Stat at `at`. Times are checked against those of the same transactions, then cleared.
    fn stat(&mut self, frame: &mut [u8], at: usize) -> Result<(), String> {
        if frame.len() < at + STAT {
            return Err("a Stat is cut off".into());
        }
        let mut wrong = Ok(());
        for (zxid_at, time_at) in [(at, at + 16), (at + 8, at + 24)] {
            let (zxid, time) = (long(frame, zxid_at), long(frame, time_at));
            let known = *self.times.entry(zxid).or_insert(time);
            if known != time {
                wrong = Err(format!("transaction 0x{zxid:x} had time {known} before, now {time}"));
            }
            put_long(frame, time_at, 0);
        }
        let owner = self.owner(long(frame, at + 44));
        put_long(frame, at + 44, owner);
        wrong
    }
}

/// The `int` at `at`.
pub fn int(bytes: &[u8], at: usize) -> i32 {
    bytes.get(at..at + 4).map_or(0, |word| i32::from_be_bytes(word.try_into().expect("four bytes were asked for")))
}

/// The `long` at `at`.
pub fn long(bytes: &[u8], at: usize) -> i64 {
    bytes.get(at..at + 8).map_or(0, |word| i64::from_be_bytes(word.try_into().expect("eight bytes were asked for")))
}

fn put_long(bytes: &mut [u8], at: usize, value: i64) {
    bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
}

/// Where the string or buffer at `at` ends.
fn skip_bytes(frame: &[u8], at: usize) -> Result<usize, String> {
    if frame.len() < at + 4 {
        return Err("a length is cut off".into());
    }
    let end = at + 4 + usize::try_from(int(frame, at)).unwrap_or(0);
    if end > frame.len() { Err("a field runs over the end".into()) } else { Ok(end) }
}

/// The strings of a record; `None` is null.
type Texts = Vec<Option<Vec<u8>>>;

/// Sorts the vector at `at`, whose records are `texts` strings each, after an `int` in the case of ACLs. ACL entries
/// have an order, except those that the entry `auth` was replaced by: digest entries of equal permissions in a row.
fn sort_records(frame: &mut [u8], at: usize, texts: usize, acl: bool) -> Result<usize, String> {
    let rest = frame.get(at..).ok_or("a count is cut off")?.to_vec();
    let cut = |_| "a list is cut off".to_owned();
    let mut reader = Reader::unlimited(&rest);
    let count = reader.int().map_err(cut)?;
    let mut records: Vec<(Option<i32>, Texts)> = vec![];
    for _ in 0..count.max(0) {
        let perms = if acl { Some(reader.int().map_err(cut)?) } else { None };
        let mut fields = Vec::with_capacity(texts);
        for _ in 0..texts {
            fields.push(reader.buffer().map_err(cut)?.map(<[u8]>::to_vec));
        }
        records.push((perms, fields));
    }
    let end = frame.len() - reader.rest().len();
    if acl {
        let digest = Some(b"digest".to_vec());
        for run in records.chunk_by_mut(|a, b| a.0 == b.0 && a.1[0] == digest && b.1[0] == digest) {
            run.sort();
        }
    } else {
        records.sort();
    }
    let mut sorted = vec![];
    count.encode(&mut sorted);
    for (perms, fields) in &records {
        if let Some(perms) = perms {
            perms.encode(&mut sorted);
        }
        for field in fields {
            match field {
                Some(bytes) => put_bytes(&mut sorted, bytes),
                None => (-1i32).encode(&mut sorted),
            }
        }
    }
    frame[at..end].copy_from_slice(&sorted);
    Ok(end)
}
