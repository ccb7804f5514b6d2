//! Where the logs of a folder end, while a server may be writing there. The last whole record is looked for first, and
//! the copy stops at it: so nobody reads where somebody writes, and a record that is half there is never judged.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::proto::Zxid;
use crate::proto::txn::TxnHeader;
use crate::store::{Dirs, HeaderFound, LogScan, ReadOptions, RealDisk, ScanEnd};
use crate::tools::output::Failure;

/// A writer needs far less between two whole records that it has begun.
const SETTLE: Duration = Duration::from_millis(200);
/// How long a server may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// The last whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Its transaction.
    pub zxid: Zxid,
    /// When it was made.
    pub time_ms: i64,
}

/// The last whole record of all logs; `None` when there is none. Fails where a damaged record, or good ones behind a place
/// that a reader cannot pass, show that the end is not the end.
pub fn end_of(dirs: &Dirs) -> Result<Option<End>, Failure> {
    for log in dirs.list_logs(&RealDisk)?.into_iter().rev() {
        let path = dirs.logs.join(&log.name);
        let mut found = scan(&path)?;
        if found.damaged {
            // Between the two looks a writer may have filled a gap that was open for an instant.
            let stuck = found.stopped_at;
            std::thread::sleep(SETTLE);
            found = scan(&path)?;
            if found.damaged && found.stopped_at == stuck {
                return Err(Failure::new(format!(
                    "{}: offset {stuck}: the log is damaged there, and a copy would lose what was acknowledged. See oxkeeper \
                     doctor",
                    path.display()
                )));
            }
        }
        if found.end.is_some() {
            return Ok(found.end);
        }
    }
    Ok(None)
}

struct Found {
    end: Option<End>,
    stopped_at: u64,
    /// Something was there that was acknowledged, or may have been.
    damaged: bool,
}

fn scan(path: &std::path::Path) -> Result<Found, Failure> {
    use crate::jute::{Decode, Reader};
    let (mut scan, header) = LogScan::open(&RealDisk, path)?;
    let mut found = Found { end: None, stopped_at: 0, damaged: false };
    match header {
        HeaderFound::Log(_) => {}
        // Being made, or left by a crash while it was.
        HeaderFound::Short(0) | HeaderFound::Foreign([0, 0, 0, 0]) => return Ok(found),
        HeaderFound::Short(_) | HeaderFound::Foreign(_) => {
            return Err(Failure::new(format!("{}: not a transaction log. See oxkeeper doctor", path.display())));
        }
    }
    let mut damaged = false;
    loop {
        found.stopped_at = scan.position();
        let whole_but_wrong = match scan.next_frame()? {
            Ok(frame) if frame.is_good() => {
                if let Ok(header) = TxnHeader::decode(&mut Reader::unlimited(frame.body)) {
                    found.end = Some(End { zxid: header.zxid(), time_ms: header.time_ms });
                }
                continue;
            }
            Ok(frame) if frame.has_mark() => Some(frame.offset + frame.len()),
            Err(ScanEnd::Length(_)) => {
                damaged = true;
                None
            }
            Ok(_) | Err(ScanEnd::Clean | ScanEnd::Cut) => None,
        };
        if let Some(end) = whole_but_wrong {
            damaged = !scan.lost_sector(found.stopped_at, end)?;
        }
        break;
    }
    let body_max = ReadOptions::default().body_max;
    let behind = scan.records_behind(found.stopped_at + 1, body_max)?;
    if let Some(behind) = behind {
        damaged |= !scan.power_cut(found.stopped_at, &behind, body_max)?;
    }
    found.damaged = damaged;
    Ok(found)
}

/// The last committed transaction that a server names in its answer to `srvr`.
pub fn committed_by(server: &str) -> Result<Zxid, Failure> {
    let failed = |why: String| Failure::new(format!("{server}: cannot ask for its last zxid: {why}"));
    let address = server.to_socket_addrs().map_err(|error| failed(error.to_string()))?.next();
    let address = address.ok_or_else(|| failed("the name has no address".into()))?;
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.write_all(b"srvr")?;
        let mut answer = String::new();
        stream.take(64 << 10).read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(|error| failed(error.to_string()))?;
    let zxid = answer.lines().find_map(|line| line.strip_prefix("Zxid: "));
    let zxid = zxid.ok_or_else(|| failed(format!("it says {:?}", answer.lines().next().unwrap_or_default())))?;
    crate::tools::parse_zxid(zxid.trim()).map_err(failed)
}
