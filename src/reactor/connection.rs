//! One client connection: handshake state, identities, the lane of requests that wait their turn, bytes not yet read or
//! written, and the numbers that `cons` shows.

use super::auditing::Audited;
use crate::engine::Touch;
use crate::guard::Rate;
use crate::proto::acl::Id;
use crate::proto::session::SessionId;
use crate::proto::{ErrorCode, OpCode};
use crate::talkers::{Ledger, Place, Tally};
use crate::throttle::{Entry, LargeCharge, RequestThrottle, WaitingRequest};
use compact_str::CompactString;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

/// How far a connection has come.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing but a four-letter word or a ConnectRequest is expected.
    Fresh,
    /// The session is being opened; what the client sent behind its ConnectRequest waits.
    Connecting,
    /// Requests flow.
    Open { session: SessionId, touch: Arc<Touch> },
    /// Nothing is read any more; what is in the output is still sent.
    Closing,
}

/// A read that waits behind a write of its session.
#[derive(Debug)]
pub struct WaitingRead {
    /// The client's number.
    pub xid: i32,
    /// Operation.
    pub op: OpCode,
    /// Encoded record.
    pub body: Box<[u8]>,
    pub(super) since_ms: i64,
}

impl WaitingRead {
    /// When it was received, ms of the monotonic clock.
    pub fn since_ms(&self) -> i64 {
        self.since_ms
    }
}

/// The head of a lane is what runs next (ORDER-2).
#[derive(Debug)]
pub(super) enum Waiting {
    Write {
        op: OpCode,
        since_ms: i64,
        charge: LargeCharge,
        /// What the audit log is to say of it.
        audited: Option<Box<Audited>>,
        /// Where the ledger counts it.
        place: Option<Place>,
        /// For the log of slow requests.
        path: Option<CompactString>,
    },
    Read(WaitingRead),
    /// Refused in its turn: it waited too long at the entry, is over a limit, or is no read while there is no leader.
    Refused {
        op: OpCode,
        xid: i32,
        since_ms: i64,
        error: ErrorCode,
    },
}

/// What `cons` shows of a connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConnectionStats {
    /// When it came, ms of the monotonic clock.
    pub established_ms: i64,
    /// Packets received.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// Last operation.
    pub last_op: Option<OpCode>,
    /// Its xid.
    pub last_cxid: i64,
    /// The zxid of the last reply.
    pub last_zxid: i64,
    /// When the last reply was made, ms.
    pub last_response_ms: i64,
    /// Latency of the last request, ms.
    pub last_latency_ms: i64,
    /// Least latency; `None` before the first.
    pub min_latency_ms: Option<i64>,
    /// Greatest latency.
    pub max_latency_ms: i64,
    /// Sum and number, for the mean.
    pub latency_sum_ms: i64,
    /// Requests counted.
    pub latency_count: i64,
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    pub(super) remote: SocketAddr,
    pub(super) state: State,
    pub(super) identities: Arc<[Id]>,
    pub(super) timeout_ms: i32,
    /// The client sent, so it also gets, the readOnly byte.
    pub(super) knows_read_only: bool,
    /// It asked for an old session.
    pub(super) resumes: bool,
    /// It came while there was no leader.
    pub(super) read_only: bool,
    pub(super) lane: VecDeque<Waiting>,
    pub(super) writes_in_flight: usize,
    pub(super) lane_bytes: usize,
    pub(super) input: Vec<u8>,
    pub(super) output: Vec<u8>,
    pub(super) heard_ms: i64,
    /// The input was left with frames in it, because the connection had to be held back.
    pub(super) held_back: bool,
    /// Since when the next request waits for the entry to clear.
    pub(super) stalled_ms: Option<i64>,
    pub(super) stats: ConnectionStats,
    /// What it cost since the ledger heard of it.
    pub(super) tally: Tally,
    /// Who the ledger says it is.
    pub(super) name: Arc<str>,
    /// The rate of its identity.
    pub(super) rate: Option<Arc<Rate>>,
}

impl Connection {
    pub(super) fn new(
        remote: SocketAddr,
        identities: Arc<[Id]>,
        name: Arc<str>,
        rate: Option<Arc<Rate>>,
        now_ms: i64,
    ) -> Self {
        Connection {
            remote,
            state: State::Fresh,
            identities,
            timeout_ms: 0,
            knows_read_only: false,
            resumes: false,
            read_only: false,
            lane: VecDeque::new(),
            writes_in_flight: 0,
            lane_bytes: 0,
            input: Vec::new(),
            output: Vec::new(),
            heard_ms: now_ms,
            held_back: false,
            stalled_ms: None,
            stats: ConnectionStats { established_ms: now_ms, last_cxid: -1, ..ConnectionStats::default() },
            tally: Tally::default(),
            name,
            rate,
        }
    }

    /// The client's address.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Negotiated session timeout; 0 before.
    pub fn timeout_ms(&self) -> i32 {
        self.timeout_ms
    }

    /// Requests in work.
    pub fn queued(&self) -> usize {
        self.lane.len()
    }

    /// Output waits for the socket.
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// When the client was last heard, ms of the monotonic clock.
    pub fn heard_ms(&self) -> i64 {
        self.heard_ms
    }

    /// What `cons` shows.
    pub fn stats(&self) -> &ConnectionStats {
        &self.stats
    }

    /// The session, once it is open.
    pub fn session(&self) -> Option<SessionId> {
        match &self.state {
            State::Open { session, .. } => Some(*session),
            _ => None,
        }
    }

    /// Tells the ledger what this connection cost since the last time.
    pub(super) fn fold(&self, ledger: &mut Ledger) {
        if self.tally != Tally::default() {
            ledger.fold(self.session(), self.remote.ip(), &self.name, self.tally);
        }
    }

    /// Whether a request may enter, by the operator's throttle.
    pub(super) fn entry(&self, throttle: &RequestThrottle, frame: &[u8], load: usize, now_ms: i64) -> Entry {
        let Some(op) = frame.get(4..8).and_then(|op| op.try_into().ok()) else { return Entry::Submit };
        let op = OpCode(i32::from_be_bytes(op));
        if !matches!(self.state, State::Open { .. }) || matches!(op, OpCode::AUTH | OpCode::SASL) {
            return Entry::Submit;
        }
        let since_ms = self.stalled_ms.unwrap_or(now_ms);
        let request = WaitingRequest {
            op,
            created_at: since_ms,
            entered_at: since_ms,
            session_timeout_ms: i64::from(self.timeout_ms),
            // What a lost connection has sent is lost with it, before it gets here.
            connection_gone: false,
            follows_dropped: false,
        };
        throttle.decide(&request, load, now_ms)
    }

    /// A reply of this connection was made: the numbers of `cons` and `srvr`.
    pub(super) fn replied(&mut self, op: OpCode, xid: i32, zxid: i64, since_ms: i64, now_ms: i64) -> i64 {
        let latency = (now_ms - since_ms).max(0);
        let stats = &mut self.stats;
        stats.sent += 1;
        stats.last_op = Some(op);
        if xid >= 0 {
            stats.last_cxid = i64::from(xid);
        }
        stats.last_zxid = zxid;
        stats.last_response_ms = now_ms;
        stats.last_latency_ms = latency;
        stats.min_latency_ms = Some(stats.min_latency_ms.map_or(latency, |min| min.min(latency)));
        stats.max_latency_ms = stats.max_latency_ms.max(latency);
        stats.latency_sum_ms += latency;
        stats.latency_count += 1;
        latency
    }
}
