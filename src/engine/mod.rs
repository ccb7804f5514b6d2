//! From request to transaction. The engine validates a request against the tree and the changes in flight, gives it a
//! zxid and encodes the transaction, once, as it will stand in the log and in proposals. Pure: time and randomness come in
//! as values. What a committed transaction does is the business of `crate::tree`; who calls is `crate::server`.

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod model_tests;
mod outstanding;
mod prepare;
mod reaper;
mod replay;
mod sessions;

pub(crate) use prepare::is_multi_of_writes;
pub use prepare::{Prepared, Request};
pub use reaper::{Reaper, ReaperRules};
pub use replay::Replay;
pub use sessions::{Attached, ConnectionKey, SessionTable, Standing, Touch};

use crate::auth::Policy;
use crate::proto::Zxid;
use crate::tree::{OwnerRules, Tree};
use outstanding::Outstanding;
use std::sync::Arc;

/// What an operator may decide about the writing of transactions.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Who may do what.
    pub policy: Arc<Policy>,
    /// Which owners are TTL nodes; with extended types off, TTL creates are refused.
    pub owners: OwnerRules,
    /// Whether hard quotas refuse (`zookeeper.enforceQuota`).
    pub enforce_quota: bool,
    /// Whether transactions carry the tree digest (`zookeeper.digest.enabled`).
    pub digest: bool,
    /// Whether closeSession names the ephemerals it removes (`zookeeper.closeSessionTxn.enabled`).
    pub close_session_paths: bool,
    /// Whether membership may change (`reconfigEnabled`).
    pub reconfig: bool,
}

/// The serial stage in front of the log, on the leader or a standalone server.
#[derive(Debug)]
pub struct Engine {
    rules: Rules,
    /// Who is connected, and until when without a word.
    pub sessions: SessionTable,
    outstanding: Outstanding,
    /// The last zxid given out.
    zxid: Zxid,
    /// The digest of the tree once everything in flight is applied.
    digest: u64,
}

impl Engine {
    /// Starts where the tree stands.
    pub fn new(rules: Rules, sessions: SessionTable, tree: &Tree) -> Self {
        Engine { rules, sessions, outstanding: Outstanding::default(), zxid: tree.zxid(), digest: tree.digest() }
    }

    /// The last zxid given out.
    pub fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// The rules in force.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The transaction was applied to the tree: what was remembered for it can go.
    pub fn applied(&mut self, zxid: Zxid) {
        self.outstanding.applied(zxid);
    }

    /// Transactions given out and not applied.
    pub fn in_flight(&self, applied: Zxid) -> i64 {
        self.zxid.0 - applied.0
    }
}
