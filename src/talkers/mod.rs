//! Who loads the server: requests, bytes and time by session, address, identity, path prefix and operation, over a window
//! that fades. Each reactor counts for itself, without a lock; what the reactors counted is put together when somebody
//! asks. Memory is bounded whatever clients do: `sketch` says what the figures promise.
//! Pure: time comes in as a value. The reactor feeds a [`Ledger`]; `admin/top` shows a [`Summary`].

mod ledger;
mod places;
mod prefix;
mod sketch;

pub use ledger::{Ledger, Settings};
pub use places::{PLACES_MAX, Place, Places};
pub use prefix::{path_bytes, path_of, prefix};
pub use sketch::{Entry, Sketch, merged};

use crate::proto::OpCode;
use crate::proto::session::SessionId;
use std::net::IpAddr;

/// What talkers are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Requests.
    Requests,
    /// Bytes received and sent, watch events included.
    Bytes,
    /// Time that requests were in work: for reads their share of the reactor's time, for writes the time from receipt to
    /// reply.
    Time,
}

impl Measure {
    /// All.
    pub const ALL: [Measure; 3] = [Measure::Requests, Measure::Bytes, Measure::Time];
}

/// What requests cost, faded.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// Number.
    pub requests: f64,
    /// Bytes received and sent.
    pub bytes: f64,
    /// Microseconds in work.
    pub time_us: f64,
}

impl Cost {
    /// One of the measures.
    pub fn of(&self, measure: Measure) -> f64 {
        match measure {
            Measure::Requests => self.requests,
            Measure::Bytes => self.bytes,
            Measure::Time => self.time_us,
        }
    }

    fn of_mut(&mut self, measure: Measure) -> &mut f64 {
        match measure {
            Measure::Requests => &mut self.requests,
            Measure::Bytes => &mut self.bytes,
            Measure::Time => &mut self.time_us,
        }
    }

    fn add(&mut self, other: Cost) {
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.time_us += other.time_us;
    }

    fn scale(&mut self, factor: f64) {
        self.requests *= factor;
        self.bytes *= factor;
        self.time_us *= factor;
    }
}

/// What requests cost since somebody looked: whole numbers, cheap to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Number.
    pub requests: u64,
    /// Bytes received and sent.
    pub bytes: u64,
    /// Microseconds in work.
    pub time_us: u64,
}

impl From<Tally> for Cost {
    fn from(tally: Tally) -> Cost {
        Cost { requests: tally.requests as f64, bytes: tally.bytes as f64, time_us: tally.time_us as f64 }
    }
}

/// A talker: who, what it cost each second of the window, and how much of the ranking figure may be others'.
#[derive(Debug, Clone, PartialEq)]
pub struct Talker<K> {
    /// Who.
    pub key: K,
    /// Each second. In the measure it is ranked by, this is the upper bound.
    pub rate: Cost,
    /// What the ranking figure may be too high by.
    pub error: f64,
}

/// The heaviest of one dimension, by each measure.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking<K> {
    /// In the order of [`Measure::ALL`].
    pub by: [Vec<Talker<K>>; 3],
}

impl<K> Default for Ranking<K> {
    fn default() -> Self {
        Ranking { by: Default::default() }
    }
}

/// Who loads the server.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// Time after which what happened counts half, ms; 0 when nobody counts.
    pub half_life_ms: i64,
    /// By session.
    pub sessions: Ranking<SessionId>,
    /// By client address.
    pub addresses: Ranking<IpAddr>,
    /// By who the client proved to be.
    pub identities: Ranking<String>,
    /// By where in the tree.
    pub prefixes: Ranking<String>,
    /// By operation; all of them, exact.
    pub operations: Ranking<OpCode>,
}
