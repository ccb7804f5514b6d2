//! Zab (Junqueira, Reed, Serafini: "Zab: High-performance broadcast for primary-backup systems"): discovery,
//! synchronization and broadcast as pure state machines. Packets, syncs of the log and the time come in, [`Output`]s go
//! out; whoever runs a machine carries them out in order. A standalone server is a leader with a quorum of one.
//!
//! Who leads is decided next door, in `crate::quorum`. Threads and sockets: `crate::server`.

mod history;
mod leader;
#[cfg(test)]
mod leader_tests;
mod learner;
#[cfg(test)]
mod learner_tests;
mod observers;
pub mod packet;
mod voters;

pub use history::{History, Plan, follows};
pub use leader::{Leader, Membership, Pending};
pub use learner::{LEADER, Learner};
pub use packet::{PROTOCOL, Packet, kind};
pub use voters::Voters;

use crate::proto::Zxid;
use crate::proto::acl::Id;
use crate::store::EpochFile;
use bytes::Bytes;

/// A server's id in the ensemble (`myid`).
pub type ServerId = i64;

/// A connection between two servers; never used again in a process. A learner's only one is 0.
pub type LinkId = u64;

/// Something the other side said that cannot be: its connection ends, the process lives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

impl Violation {
    /// With this reason.
    pub fn new(why: impl Into<String>) -> Self {
        Violation(why.into())
    }
}

/// Times of an ensemble, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// `tickTime`.
    pub tick_ms: i64,
    /// `tickTime * initLimit`: to agree and to get in step.
    pub init_ms: i64,
    /// `tickTime * syncLimit`: to be silent.
    pub sync_ms: i64,
}

/// What has to be done now, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A packet leaves.
    Send {
        /// By which connection.
        link: LinkId,
        /// Encoded.
        packet: Bytes,
    },
    /// A connection ends.
    Close {
        /// Which.
        link: LinkId,
        /// Why.
        why: String,
    },
    /// An epoch goes to disk; everything behind this output must wait until it is there.
    WriteEpoch(EpochFile, i64),
    /// As learner: a transaction goes to the log. (A leader's caller hands its own to the log itself.)
    Append {
        /// Its zxid.
        zxid: Zxid,
        /// Header, body and digest.
        record: Bytes,
    },
    /// The log is to be synced, also if nothing was appended; answered by `logged`.
    Flush,
    /// Transactions up to this one are applied.
    Apply(Zxid),
    /// As leader, or as follower with observers: a learner waits to be brought up to date; answered by [`Leader::join`],
    /// [`Learner::join_observer`], or the end of the link.
    Join {
        /// Its connection.
        link: LinkId,
        /// Who.
        member: ServerId,
        /// Where its log ends.
        peer: Zxid,
    },
    /// As learner: what comes after is taken back; answered by [`Learner::truncated`].
    Truncate(Zxid),
    /// As learner: a copy of everything follows on the connection; answered by [`Learner::installed`].
    Install(Zxid),
    /// A quorum has this history: clients are served from here on.
    Serve {
        /// The epoch of the term.
        epoch: i64,
    },
    /// As leader: a client of a learner wants something.
    Request {
        /// The learner's connection.
        link: LinkId,
        /// Session, xid, operation, record.
        data: Bytes,
        /// Who the client is.
        ids: Vec<Id>,
    },
    /// As leader: a client of a learner wants its session back; the answer goes to the link.
    Revalidate {
        /// The learner's connection.
        link: LinkId,
        /// Session and timeout.
        data: Bytes,
    },
    /// As leader, or as follower with observers: sessions that a learner has heard, 12 bytes each.
    Touched(Bytes),
    /// As follower with observers: a sync of this observer takes its place behind those that the leader was asked for.
    SyncOf(LinkId),
    /// As learner: the leader wants to know which sessions were heard; the answer carries this zxid.
    Pong(Zxid),
    /// As learner: the oldest sync is answered.
    Synced,
    /// As learner: whether a session lives: session, answer.
    Revalidated(Bytes),
    /// A configuration was proposed, or told by the leader: it is kept on disk beside the active one.
    Seen(Bytes),
    /// A configuration is the active one from here on.
    Activate {
        /// Its text; absent when it is the one of the transaction that was applied last.
        text: Option<Bytes>,
        /// Who leads on, by the will of the old leader.
        leader: Option<ServerId>,
    },
    /// The role is over: a new election.
    End(String),
}
