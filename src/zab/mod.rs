//! Atomic broadcast: which transactions a quorum has on disk, and so which are committed, in order. Pure. A standalone
//! server is a leader with a quorum of one: the same code, with one voter.

use crate::proto::Zxid;
use std::collections::{BTreeMap, VecDeque};

/// A server's id in the ensemble (`myid`).
pub type ServerId = i64;

/// What the leader waits for: proposals without a quorum, in zxid order.
#[derive(Debug)]
pub struct Broadcast {
    /// Voters, each with the last zxid that it has on disk.
    logged: BTreeMap<ServerId, Zxid>,
    proposed: VecDeque<Zxid>,
    committed: Zxid,
}

impl Broadcast {
    /// A leader whose log ends at `last`, with these voters.
    pub fn new(voters: impl IntoIterator<Item = ServerId>, last: Zxid) -> Self {
        Broadcast {
            logged: voters.into_iter().map(|id| (id, last)).collect(),
            proposed: VecDeque::new(),
            committed: last,
        }
    }

    /// A transaction is on its way to the logs.
    pub fn propose(&mut self, zxid: Zxid) {
        let last = self.proposed.back().copied().unwrap_or(self.committed);
        assert!(zxid > last, "proposal {zxid} after {last}");
        self.proposed.push_back(zxid);
    }

    /// A voter has everything up to `zxid` on disk. Returns up to where transactions are committed now.
    pub fn logged(&mut self, voter: ServerId, zxid: Zxid) -> Zxid {
        if let Some(logged) = self.logged.get_mut(&voter) {
            *logged = zxid.max(*logged);
        }
        while let Some(next) = self.proposed.pop_front_if(|next| has_quorum(&self.logged, *next)) {
            self.committed = next;
        }
        self.committed
    }

    /// A voter begins anew with a history up to `zxid`: what it acknowledged beyond may be cut from its log.
    pub fn rejoins(&mut self, voter: ServerId, zxid: Zxid) {
        if let Some(logged) = self.logged.get_mut(&voter) {
            *logged = zxid.min(*logged);
        }
    }

    /// Proposals without a quorum.
    pub fn outstanding(&self) -> usize {
        self.proposed.len()
    }
}

fn has_quorum(logged: &BTreeMap<ServerId, Zxid>, zxid: Zxid) -> bool {
    2 * logged.values().filter(|at| **at >= zxid).count() > logged.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_voter_commits_what_it_has_on_disk() {
        let mut broadcast = Broadcast::new([1], Zxid(5));
        broadcast.propose(Zxid(6));
        broadcast.propose(Zxid(7));
        assert_eq!(broadcast.logged(1, Zxid(6)), Zxid(6));
        assert_eq!(broadcast.outstanding(), 1);
    }

    #[test]
    fn of_three_voters_two_must_have_it() {
        let mut broadcast = Broadcast::new([1, 2, 3], Zxid(0));
        broadcast.propose(Zxid(1));
        broadcast.propose(Zxid(2));
        assert_eq!(broadcast.logged(1, Zxid(2)), Zxid(0));
        assert_eq!(broadcast.logged(3, Zxid(1)), Zxid(1));
        assert_eq!(broadcast.logged(2, Zxid(2)), Zxid(2));
        assert_eq!(broadcast.logged(9, Zxid(3)), Zxid(2), "a stranger has no voice");
    }

    #[test]
    fn what_a_voter_is_told_to_cut_counts_no_more() {
        let mut broadcast = Broadcast::new([1, 2, 3], Zxid(4));
        broadcast.propose(Zxid(5));
        assert_eq!(broadcast.logged(2, Zxid(5)), Zxid(4));
        broadcast.rejoins(2, Zxid(4));
        assert_eq!(broadcast.logged(1, Zxid(5)), Zxid(4), "only one of three still has it");
        assert_eq!(broadcast.logged(2, Zxid(5)), Zxid(5));
    }
}
