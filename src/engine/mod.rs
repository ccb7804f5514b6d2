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
pub use prepare::{Configurations, Prepared, Request};
pub use reaper::{Reaper, ReaperRules};
pub use replay::Replay;
pub use sessions::{Attached, ConnectionKey, SessionTable, Standing, Touch};

use crate::auth::Policy;
use crate::metrics::{self, Readings};
use crate::proto::session::SessionId;
use crate::proto::{OpCode, Zxid};
use crate::tree::{OwnerRules, Tree};
use outstanding::Outstanding;
use std::collections::BTreeMap;
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
    /// What is different for a member of an ensemble; `None` alone.
    pub member: Option<MemberRules>,
}

/// What an operator may decide about the sessions of a member.
#[derive(Debug, Clone, Copy)]
pub struct MemberRules {
    /// The server's id, as session ids carry it.
    pub me: u8,
    /// New sessions are local: known to their server alone, and without a transaction (`localSessionsEnabled`).
    pub local_sessions: bool,
    /// A local session becomes global at its first ephemeral (`localSessionsUpgradingEnabled`).
    pub upgrading: bool,
}

/// What has to happen before a write is judged (`QuorumZooKeeperServer.checkUpgradeSession`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// Its session becomes global.
    Upgrade,
    /// It cannot be: EphemeralOnLocalSession.
    Refuse,
}

/// The serial stage in front of the log, on the leader or a standalone server.
#[derive(Debug)]
pub struct Engine {
    rules: Rules,
    /// Who is connected, and until when without a word.
    pub sessions: SessionTable,
    /// Local sessions of this server.
    pub local_sessions: SessionTable,
    /// The ensemble, on a leader.
    pub configurations: Option<Configurations>,
    outstanding: Outstanding,
    /// The last zxid given out.
    zxid: Zxid,
    /// The digest of the tree once everything in flight is applied.
    digest: u64,
    /// Changes that a hard quota refused, by namespace.
    pub(crate) over_quota: BTreeMap<String, i64>,
}

impl Engine {
    /// Starts where the tree stands.
    pub fn new(rules: Rules, sessions: SessionTable, tree: &Tree) -> Self {
        Engine {
            rules,
            local_sessions: SessionTable::new(sessions.tick_ms(), 0),
            sessions,
            configurations: None,
            outstanding: Outstanding::default(),
            zxid: tree.zxid(),
            digest: tree.digest(),
            over_quota: BTreeMap::new(),
        }
    }

    /// The last zxid given out.
    pub fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// Whether new sessions are local.
    pub fn opens_local_sessions(&self) -> bool {
        self.rules.member.is_some_and(|member| member.local_sessions)
    }

    /// Whether a session is known to this server alone.
    pub fn is_local(&self, session: SessionId) -> bool {
        self.local_sessions.standing(session) != Standing::Unknown
    }

    /// The table that knows a session, or would.
    pub fn table_of(&mut self, session: SessionId) -> &mut SessionTable {
        if self.is_local(session) { &mut self.local_sessions } else { &mut self.sessions }
    }

    /// A session that this server alone knows, for this connection.
    pub fn open_locally(&mut self, connection: ConnectionKey, timeout_ms: i32, now_ms: i64) -> (SessionId, Arc<Touch>) {
        let session = self.sessions.next_id();
        let touch = self.local_sessions.track(session, timeout_ms, now_ms);
        self.local_sessions.bind(session, connection);
        (session, touch)
    }

    /// A local session becomes global; its createSession is the caller's to make. Returns its timeout.
    pub fn upgrade(&mut self, session: SessionId) -> Option<i32> {
        self.sessions.upgrade(session, &mut self.local_sessions)
    }

    /// What a write of a local session needs first.
    pub fn before(&self, session: SessionId, op: OpCode, body: &[u8], field_max: usize) -> Before {
        if !self.is_local(session) || !prepare::makes_ephemerals(op, body, field_max) {
            return Before::Nothing;
        }
        match self.rules.member.is_some_and(|member| member.upgrading) {
            true => Before::Upgrade,
            false => Before::Refuse,
        }
    }

    /// The rules in force.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The transaction was applied to the tree: what was remembered for it can go.
    pub fn applied(&mut self, zxid: Zxid) {
        self.outstanding.applied(zxid);
    }

    /// Adds what was counted since the start (`PrepRequestProcessor.addChangeRecord`, `ZooKeeperServer.processTxn`).
    pub fn count_into(&self, readings: &mut Readings) {
        readings.add(metrics::OUTSTANDING_CHANGES_QUEUED, self.outstanding.queued as i64);
        readings.add(metrics::OUTSTANDING_CHANGES_REMOVED, self.outstanding.removed as i64);
        for (namespace, times) in &self.over_quota {
            readings.add_for(metrics::QUOTA_EXCEEDED_ERROR_PER_NAMESPACE, namespace, *times);
        }
    }

    /// Transactions given out and not applied.
    pub fn in_flight(&self, applied: Zxid) -> i64 {
        self.zxid.0 - applied.0
    }
}
