//! Historical safety bugs, to be put back by the simulator: it must find each. Without the feature `simulation` (or a test)
//! [`is`] is constantly false, and nothing of this is in the server.

macro_rules! mutants {
    ($($name:ident = $text:literal,)*) => {
        /// A bug that can be put back; the text says which, with its number in ZooKeeper's tracker where there is one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Mutant { $($name,)* }

        impl Mutant {
            /// All of them.
            pub const ALL: &'static [Mutant] = &[$(Mutant::$name),*];

            /// What it does.
            pub fn text(self) -> &'static str {
                match self { $(Mutant::$name => $text,)* }
            }
        }
    };
}

mutants! {
    AckBeforeSync = "a proposal is acknowledged before it is on disk (3023, 4646)",
    EpochBeforeHistory = "the current epoch is written before the history of the leader is on disk (4643)",
    NewLeaderAckBeforeLog = "NEWLEADER is acknowledged before the history of the leader is on disk (3911, 4646)",
    AcceptedEpochLate = "ACKEPOCH leaves before the accepted epoch is on disk",
    LeaderInfoBeforeEpoch = "LEADERINFO leaves before the leader's accepted epoch is on disk",
    EpochOfLeaderAlone = "a new epoch looks at the leader's own accepted epoch only",
    RejoinedAcksCount = "acknowledgements of a connection that is gone count for the next one",
    AnyAckEpochCounts = "ACKEPOCH with -1 counts towards the quorum",
    LongerHistoryIgnored = "a follower with more history than the leader is let in",
    ServesBeforeQuorum = "a leader serves before a quorum has its history",
    ForwardingLate = "proposals go to a learner only once it is in step (3104)",
    PendingDropped = "proposals that are pending at UPTODATE are dropped (4785)",
    PendingCommitted = "proposals that are pending at UPTODATE count as committed",
    AppliedBeforeLogged = "commits are applied before they are in the own log (4882)",
    SyncAnsweredAtOnce = "sync is answered before what was proposed is committed",
    VoteIgnoresLog = "votes are compared by epoch and id, not by the log",
    VoteOfCommitted = "the vote speaks of the last committed transaction, not of the last in the log",
    TruncKeepsSnapshots = "TRUNC leaves newer snapshots in place (4837)",
    LogsBeforeCopyStay = "logs from before a copy stay, and seem to lead up to it (2846)",
    FailedSyncIgnored = "a failed sync of the log is ignored (4882)",
    LogNameNotSynced = "the folder is not synced after a new log (ZOOKEEPER-2003 class)",
    SnapshotNotSynced = "a snapshot is renamed without a sync of its bytes (2872)",
    SnapshotNamedLate = "a snapshot is named by the last transaction at its end (3127 class)",
    UncommittedTreeKept = "after TRUNC the tree in memory stays as it was (2845, 5094)",
    PartialCopyKept = "what has come of a broken copy stays in the tree (3642)",
    StaleLogWriter = "what waits for the log at the end of a role is written in the next (4712)",
    ProposedInForce = "a learner that joins takes a configuration that is only proposed for one in force",
    ProposedForgotten = "a follower acknowledges a proposed configuration and does not keep it",
    ReconfiguredByTheNewAlone = "a reconfiguration is committed by a quorum of the new configuration alone",
    EphemeralsSurvive = "closeSession leaves the ephemerals in the tree of a follower (2355)",
}

#[cfg(any(test, feature = "simulation"))]
mod chosen {
    use super::Mutant;
    use std::cell::Cell;

    thread_local! {
        static CHOSEN: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Puts a bug back, for this thread.
    pub fn choose(mutant: Option<Mutant>) {
        CHOSEN.set(mutant);
    }

    /// Whether this bug is put back.
    pub fn is(mutant: Mutant) -> bool {
        CHOSEN.get() == Some(mutant)
    }
}

#[cfg(any(test, feature = "simulation"))]
pub use chosen::{choose, is};

/// Whether this bug is put back: never.
#[cfg(not(any(test, feature = "simulation")))]
pub const fn is(_: Mutant) -> bool {
    false
}
