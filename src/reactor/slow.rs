//! The log of slow requests: those that waited too long, for the disk or behind others, and those that kept this reactor
//! busy too long. A line each, a few lines a second at most.

use super::{Connection, Number, Reactor, Settings};
use crate::proto::OpCode;
use crate::throttle::LogLimiter;
use compact_str::CompactString;

/// Between two lines of a reactor.
const INTERVAL_MS: i64 = 200;

/// The heaviest read of a turn.
#[derive(Debug)]
struct Heaviest {
    number: Number,
    op: OpCode,
    xid: i32,
    path: CompactString,
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct Slow {
    limiter: LogLimiter,
    heaviest: Option<Heaviest>,
}

impl Default for Slow {
    fn default() -> Self {
        Slow { limiter: LogLimiter::new(INTERVAL_MS), heaviest: None }
    }
}

impl Slow {
    /// A reply was made so long after its request had come.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn waited(
        &mut self,
        settings: &Settings,
        connection: &Connection,
        op: OpCode,
        xid: i32,
        path: Option<&str>,
        latency_ms: i64,
        now_ms: i64,
    ) {
        if settings.slow_request_ms > 0 && latency_ms >= settings.slow_request_ms {
            self.log(connection, op, xid, path.unwrap_or(""), latency_ms, now_ms, "slow request: it waited");
        }
    }

    /// A read of this turn.
    pub(super) fn read(&mut self, number: Number, op: OpCode, xid: i32, path: Option<&str>, bytes: usize) {
        if self.heaviest.as_ref().is_none_or(|heaviest| heaviest.bytes < bytes) {
            self.heaviest = Some(Heaviest { number, op, xid, path: path.unwrap_or("").into(), bytes });
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn log(&mut self, of: &Connection, op: OpCode, xid: i32, path: &str, ms: i64, now_ms: i64, what: &str) {
        if let Some(withheld) = self.limiter.pass(now_ms) {
            let session = format!("0x{:x}", of.session().unwrap_or(0));
            tracing::warn!(session, peer = %of.remote, user = &*of.name, %op, path, xid, ms, withheld, "{what}");
        }
    }
}

impl Reactor {
    /// Whether somebody wants to know how long a turn took.
    pub fn wants_time(&self) -> bool {
        self.ledger.is_some() || self.settings.slow_request_ms > 0
    }

    /// A turn is over; names its heaviest read when it took too long.
    pub(super) fn tell_slow_turn(&mut self, spent_us: u64, now_ms: i64) {
        let Some(Heaviest { number, op, xid, path, .. }) = self.slow.heaviest.take() else { return };
        let spent_ms = i64::try_from(spent_us / 1_000).unwrap_or(i64::MAX);
        if spent_ms >= self.settings.slow_request_ms
            && let Some(connection) = self.connections.get(&number)
        {
            let what = "slow request: it kept a reactor busy";
            self.slow.log(connection, op, xid, &path, spent_ms, now_ms, what);
        }
    }
}
