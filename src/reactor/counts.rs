//! What a reactor counts for metrics, at the places where the original does. Plain additions to its own readings: nobody else
//! looks at them before the reactor is asked.

use super::connection::{Connection, State};
use super::{Reactor, ReadRequest, Submission, Wanted};
use crate::jute::{Decode, List, Reader, Text};
use crate::metrics::{self, Readings};
use crate::proto::records::{GetDataResponse, MultiHeader, PathWatchRequest};
use crate::proto::{Class, OpCode};

/// Bytes of a reply frame in front of its record: length, xid, zxid and error.
const HEADER: usize = 20;
/// Bytes of an encoded `Stat`; the original adds as many to every read of a namespace (`DataTree.STAT_OVERHEAD_BYTES`).
const STAT: usize = 68;

/// Sizes of what was sent to clients, bytes (`BufferStats`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The last, with the time it was sent, the least and the greatest; `None` before the first.
    seen: Option<(i64, i64, i64, i64)>,
}

impl Sizes {
    /// Takes a size at a time, ms.
    pub fn count(&mut self, size: i64, now_ms: i64) {
        let (least, greatest) =
            self.seen.map_or((size, size), |(_, _, least, greatest)| (least.min(size), greatest.max(size)));
        self.seen = Some((now_ms, size, least, greatest));
    }

    pub(super) fn merge(&mut self, other: &Sizes) {
        self.seen = match (self.seen, other.seen) {
            (Some(one), Some(two)) => {
                let (at_ms, last) = (one.0, one.1).max((two.0, two.1));
                Some((at_ms, last, one.2.min(two.2), one.3.max(two.3)))
            }
            (one, two) => one.or(two),
        };
    }

    /// Last, least, greatest; -1 before the first.
    pub fn shown(&self) -> [i64; 3] {
        self.seen.map_or([-1; 3], |(_, last, least, greatest)| [last, least, greatest])
    }
}

impl Submission {
    /// Whether it becomes a request; an old session that is wanted back does not.
    pub fn is_request(&self) -> bool {
        !matches!(self.what, Wanted::Resume { .. })
    }

    /// For a client that connects: whether it wants an old session back.
    pub fn connects(&self) -> Option<bool> {
        match self.what {
            Wanted::NewSession { .. } => Some(false),
            Wanted::Resume { .. } => Some(true),
            Wanted::Write { .. } => None,
        }
    }
}

impl Reactor {
    /// A turn is over and took so long, ms: its reads shared it. Only members of an ensemble are asked, as the original's
    /// standalone server has no `CommitProcessor`.
    pub fn count_reads(&mut self, took_ms: impl FnOnce() -> i64) {
        if self.reads > 0 {
            self.readings.record_shared(metrics::READ_FINAL_PROC_TIME_MS, took_ms(), self.reads);
            self.reads = 0;
        }
    }
}

/// The frames behind each other in `output`.
fn frames(mut output: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = output.split_first_chunk::<4>()?;
        let whole = 4 + u32::from_be_bytes(*length) as usize;
        let (frame, behind) = output.split_at_checked(whole).unwrap_or((output, &[]));
        output = behind;
        (!rest.is_empty()).then_some(frame)
    })
}

/// Counts an answer: frames of events in front, then the reply (`FinalRequestProcessor`, `NIOServerCnxn.process`).
pub(super) fn count_answer(
    readings: &mut Readings,
    stats: &mut ReactorStats,
    op: OpCode,
    answer: &[u8],
    latency_ms: i64,
    now_ms: i64,
) {
    let reply = match op {
        OpCode::SET_WATCHES | OpCode::SET_WATCHES2 => {
            let mut last: &[u8] = &[];
            for frame in frames(answer) {
                if !last.is_empty() {
                    stats.sent += 1;
                    count_event(readings, stats, last, now_ms);
                }
                last = frame;
            }
            last
        }
        _ => answer,
    };
    count_reply(readings, stats, op, reply.len(), latency_ms, now_ms);
}

/// Counts a reply whose frame has so many bytes.
pub(super) fn count_reply(
    readings: &mut Readings,
    stats: &mut ReactorStats,
    op: OpCode,
    frame: usize,
    latency_ms: i64,
    now_ms: i64,
) {
    let size = frame.saturating_sub(4) as i64;
    stats.responses.count(size, now_ms);
    // The original forgets the pings here.
    if op != OpCode::PING {
        readings.add(metrics::RESPONSE_BYTES, size);
    }
    let is_update = matches!(op.class(), Some(Class::Write | Class::Session));
    readings.record(if is_update { metrics::UPDATELATENCY } else { metrics::READLATENCY }, latency_ms);
}

/// Counts the frame of a watch event that is sent to a client.
pub(super) fn count_event(readings: &mut Readings, stats: &mut ReactorStats, frame: &[u8], now_ms: i64) {
    let size = frame.len().saturating_sub(4) as i64;
    stats.responses.count(size, now_ms);
    readings.add(metrics::WATCH_BYTES, size);
}

/// Whether a reply frame tells of success.
pub(super) fn is_good(reply: &[u8]) -> bool {
    reply.get(HEADER - 4..HEADER) == Some(&[0; 4])
}

/// Whether a frame is a request that the throttle sees: not a handshake, and not what a connection answers itself.
pub(super) fn passes_the_throttle(connection: &Connection, frame: &[u8]) -> bool {
    let op = frame.get(4..8).and_then(|op| op.try_into().ok()).map(i32::from_be_bytes);
    matches!(connection.state, State::Open { .. }) && !matches!(op.map(OpCode), Some(OpCode::AUTH | OpCode::SASL))
}

/// Counts what a read has read of its namespace, by the request and the frame of its reply (`DataTree.updateReadStat`).
/// Bytes of names and data; the original counts UTF-16 units of names, which is the same for ASCII.
pub fn count_namespace(readings: &mut Readings, request: &ReadRequest<'_>, reply: &[u8]) {
    let counted = matches!(
        request.op,
        OpCode::GET_DATA | OpCode::EXISTS | OpCode::GET_CHILDREN | OpCode::GET_CHILDREN2 | OpCode::MULTI_READ
    );
    if !counted || !is_good(reply) {
        return;
    }
    if request.op == OpCode::MULTI_READ {
        let parts = count_parts(readings, request, &reply[HEADER..]);
        debug_assert!(parts.is_ok(), "a multi of reads was answered with something else");
        return;
    }
    let Some(path) = path_of(request.body) else { return };
    let number = || reply.get(HEADER..HEADER + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_be_bytes);
    let names = |behind: usize| {
        let count = usize::try_from(number()).unwrap_or(0);
        reply.len().saturating_sub(HEADER + 4 + 4 * count + behind)
    };
    let bytes = match request.op {
        OpCode::GET_DATA => usize::try_from(number()).unwrap_or(0),
        OpCode::GET_CHILDREN => names(0),
        OpCode::GET_CHILDREN2 => names(STAT),
        _ => 0,
    };
    count_path(readings, path, bytes);
}

fn count_path(readings: &mut Readings, path: &[u8], bytes: usize) {
    let [b'/', names @ ..] = path else { return };
    let name = &names[..names.iter().position(|byte| *byte == b'/').unwrap_or(names.len())];
    if !name.is_empty() {
        readings.record_for(metrics::READ_PER_NAMESPACE, name, (path.len() + bytes + STAT) as i64);
    }
}

/// The path that a request begins with.
fn path_of(body: &[u8]) -> Option<&[u8]> {
    let (length, rest) = body.split_first_chunk::<4>()?;
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    rest.get(..length)
}

fn count_parts(
    readings: &mut Readings,
    request: &ReadRequest<'_>,
    answer: &[u8],
) -> Result<(), crate::jute::DecodeError> {
    let (mut asked, mut answered) = (Reader::new(request.body, request.field_max), Reader::unlimited(answer));
    while !MultiHeader::decode(&mut asked)?.done {
        let path = PathWatchRequest::decode(&mut asked)?.path.unwrap_or_default();
        match OpCode(MultiHeader::decode(&mut answered)?.op) {
            OpCode::GET_DATA => {
                let data = GetDataResponse::decode(&mut answered)?.data;
                count_path(readings, path.as_bytes(), data.map_or(0, <[u8]>::len));
            }
            OpCode::GET_CHILDREN => {
                let names = List::<Text<'_>>::decode(&mut answered)?.unwrap_or_default();
                count_path(readings, path.as_bytes(), names.iter().flatten().map(|name| name.len()).sum());
            }
            _ => drop(answered.int()?),
        }
    }
    Ok(())
}

/// Sums over all connections, past ones included.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReactorStats {
    /// Packets received.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Least latency, ms.
    pub min_latency_ms: Option<i64>,
    /// Greatest latency, ms.
    pub max_latency_ms: i64,
    /// Sum of latencies, ms.
    pub latency_sum_ms: i64,
    /// Latencies summed.
    pub latency_count: i64,
    /// Failed authentications.
    pub auth_failed: u64,
    /// Requests refused for a budget or a rate.
    pub refused: u64,
    /// Of these, for a rate.
    pub refused_for_rate: u64,
    /// Sizes of replies and events.
    pub responses: Sizes,
}

impl ReactorStats {
    /// Adds another reactor's.
    pub fn merge(&mut self, other: &ReactorStats) {
        self.received += other.received;
        self.sent += other.sent;
        self.bytes_received += other.bytes_received;
        self.min_latency_ms = self.min_latency_ms.into_iter().chain(other.min_latency_ms).min();
        self.max_latency_ms = self.max_latency_ms.max(other.max_latency_ms);
        self.latency_sum_ms += other.latency_sum_ms;
        self.latency_count += other.latency_count;
        self.auth_failed += other.auth_failed;
        self.refused += other.refused;
        self.refused_for_rate += other.refused_for_rate;
        self.responses.merge(&other.responses);
    }

    pub(super) fn count(&mut self, latency_ms: i64) {
        self.sent += 1;
        self.min_latency_ms = Some(self.min_latency_ms.map_or(latency_ms, |min| min.min(latency_ms)));
        self.max_latency_ms = self.max_latency_ms.max(latency_ms);
        self.latency_sum_ms += latency_ms;
        self.latency_count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Counter, Provider, Summary};

    fn counted(readings: &Readings, wanted: Counter) -> i64 {
        readings.counters().find(|(counter, ..)| *counter == wanted).map_or(0, |(.., events)| events)
    }

    fn summed(readings: &Readings, wanted: Summary, of: &str) -> (u64, i64) {
        let found = readings.summaries().find(|(summary, key, _)| *summary == wanted && *key == of);
        found.map_or((0, 0), |(.., values)| (values.count(), values.sum()))
    }

    fn frame(body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32).to_be_bytes(), body].concat()
    }

    #[test]
    fn events_in_front_of_a_reply_are_events() {
        let (mut readings, mut stats) = (Readings::new(Provider::Default), ReactorStats::default());
        let answer = [frame(&[0; 30]), frame(&[0; 31]), frame(&[0; 16])].concat();
        count_answer(&mut readings, &mut stats, OpCode::SET_WATCHES, &answer, 3, 9);
        assert_eq!((counted(&readings, metrics::WATCH_BYTES), counted(&readings, metrics::RESPONSE_BYTES)), (61, 16));
        assert_eq!(summed(&readings, metrics::READLATENCY, ""), (1, 3));
        assert_eq!(stats.responses.shown(), [16, 16, 31]);
    }

    #[test]
    fn pings_and_syncs_are_reads_and_writes_are_updates() {
        let (mut readings, mut stats) = (Readings::new(Provider::Default), ReactorStats::default());
        assert_eq!(stats.responses.shown(), [-1; 3]);
        for op in [OpCode::PING, OpCode::SYNC, OpCode::SET_DATA, OpCode::CLOSE_SESSION] {
            count_reply(&mut readings, &mut stats, op, 20, 1, 9);
        }
        assert_eq!(summed(&readings, metrics::READLATENCY, ""), (2, 2));
        assert_eq!(summed(&readings, metrics::UPDATELATENCY, ""), (2, 2));
        assert_eq!(counted(&readings, metrics::RESPONSE_BYTES), 48, "the original forgets the ping");
    }

    #[test]
    fn the_last_size_of_several_reactors_is_the_latest() {
        let (mut one, mut two) = (Sizes::default(), Sizes::default());
        one.count(5, 10);
        two.count(7, 9);
        two.merge(&one);
        assert_eq!(two.shown(), [5, 5, 7]);
        one.merge(&Sizes::default());
        assert_eq!(one.shown(), [5, 5, 5]);
    }

    #[test]
    fn a_read_counts_for_its_namespace() {
        let mut readings = Readings::new(Provider::Default);
        let reply = |error: i32, body: &[u8]| frame(&[&[0; 12][..], &error.to_be_bytes(), body].concat());
        let mut read = |op, path: &str, reply: &[u8]| {
            let body = [&(path.len() as u32).to_be_bytes(), path.as_bytes(), &[0]].concat();
            let request = ReadRequest { xid: 1, op, body: &body, session: 1, identities: &[], field_max: 99 };
            count_namespace(&mut readings, &request, reply);
        };
        let stat = [0; STAT];
        read(OpCode::GET_DATA, "/ns/a", &reply(0, &[&3i32.to_be_bytes(), &b"abc"[..], &stat].concat()));
        read(OpCode::GET_DATA, "/ns", &reply(0, &[&(-1i32).to_be_bytes()[..], &stat].concat()));
        read(OpCode::EXISTS, "/ns/a", &reply(0, &stat));
        read(OpCode::EXISTS, "/ns/a", &reply(-101, &[]));
        let names = [&2i32.to_be_bytes()[..], &1i32.to_be_bytes(), b"a", &2i32.to_be_bytes(), b"bc"].concat();
        read(OpCode::GET_CHILDREN, "/ns", &reply(0, &names));
        read(OpCode::GET_CHILDREN2, "/ns", &reply(0, &[&names[..], &stat].concat()));
        read(OpCode::GET_CHILDREN, "/", &reply(0, &names));
        read(OpCode::GET_ACL, "/ns", &reply(0, &[]));
        read(OpCode::GET_DATA, "/ns", &[]);
        let sum = [5 + 3, 3, 5, 3 + 3, 3 + 3].iter().sum::<usize>() + 5 * STAT;
        assert_eq!(summed(&readings, metrics::READ_PER_NAMESPACE, "ns"), (5, sum as i64));
        assert_eq!(readings.summaries().filter(|(summary, ..)| *summary == metrics::READ_PER_NAMESPACE).count(), 1);
    }
}
