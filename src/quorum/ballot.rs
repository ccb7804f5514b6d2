//! A vote that somebody cast, how votes compare, and the ballot box of one election.

use super::membership::Membership;
use super::notification::{PeerState, VERSION, Vote};
use crate::mutant::{self, Mutant};
use crate::proto::Zxid;
use crate::zab::ServerId;
use std::collections::BTreeMap;

/// A vote somebody cast, and what it was at the time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ballot {
    pub state: PeerState,
    pub vote: Vote,
    pub version: i32,
}

impl Ballot {
    /// The vote of a server that looks for a leader.
    pub fn looking(vote: Vote) -> Self {
        Ballot { state: PeerState::Looking, vote, version: VERSION }
    }

    /// Whether two ballots are for the same leader in the same term. Servers that have a leader keep round and zxid of
    /// their own election, so only servers that look for one compare these.
    pub fn agrees(&self, other: &Ballot) -> bool {
        let same = |of: fn(&Vote) -> i64| of(&self.vote) == of(&other.vote);
        let looking = self.state == PeerState::Looking || other.state == PeerState::Looking;
        same(|vote| vote.leader)
            && if looking {
                self.vote == other.vote
            } else {
                (self.version == 0) != (other.version == 0) || same(|vote| vote.epoch)
            }
    }
}

/// The order of votes: the later epoch, then the longer log, then the larger id.
pub(super) fn is_better(membership: &Membership, vote: &Vote, than: &Vote) -> bool {
    let blind = mutant::is(Mutant::VoteIgnoresLog);
    let rank = |vote: &Vote| (vote.epoch, if blind { Zxid::ZERO } else { vote.zxid }, vote.leader);
    membership.may_lead(vote.leader) && rank(vote) > rank(than)
}

/// What was heard in one election.
#[derive(Debug, Default)]
pub(super) struct Ballots {
    /// Of this round.
    received: BTreeMap<ServerId, Ballot>,
    /// Of servers that have a leader, of any round.
    settled: BTreeMap<ServerId, Ballot>,
}

impl Ballots {
    /// A new round begins: only servers that have a leader already are remembered.
    pub fn next_round(&mut self) {
        self.received.clear();
    }

    /// A vote of this round. Returns whether it is the first in this round of a server that looks.
    pub fn put(&mut self, from: ServerId, ballot: Ballot) -> bool {
        let before = self.received.insert(from, ballot);
        ballot.state == PeerState::Looking && before.is_none_or(|before| before.state != PeerState::Looking)
    }

    /// The vote of a server that has a leader.
    pub fn put_settled(&mut self, from: ServerId, ballot: Ballot) {
        self.settled.insert(from, ballot);
    }

    /// Whether any other server that votes was heard in this round.
    pub fn heard_any(&self) -> bool {
        !self.received.is_empty() || !self.settled.is_empty()
    }

    /// Whether a server votes in this round as this ballot does.
    pub fn agrees(&self, id: ServerId, with: &Ballot) -> bool {
        self.received.get(&id).is_some_and(|ballot| ballot.agrees(with))
    }

    /// Whether this ballot, of a server that has a leader, is shared by a quorum and by the leader itself. In its own
    /// round the vote of this server counts too: the others may have settled on it before it could count theirs.
    pub fn is_led(&self, ballot: &Ballot, membership: &Membership, me: ServerId, round: i64, own: Vote) -> bool {
        let mine = Ballot::looking(own);
        let in_round = ballot.vote.round == round;
        let led = |ballots: &BTreeMap<ServerId, Ballot>, own: Option<&Ballot>| {
            let leader = ballot.vote.leader;
            let leads = if leader == me {
                in_round
            } else {
                ballots.get(&leader).is_some_and(|said| said.state == PeerState::Leading)
            };
            let of = |id| if id == me { own } else { ballots.get(&id) };
            let agrees = |id| of(id).is_some_and(|other: &Ballot| other.agrees(ballot));
            // Who leads others already is not made the leader by this. That a reconfiguration is proposed keeps nobody away
            // from him: it may wait for this very server.
            let joins = own.is_none() && leader != me;
            leads && if joins { membership.is_quorum_by_now(agrees) } else { membership.is_quorum(agrees) }
        };
        (in_round && led(&self.received, Some(&mine))) || led(&self.settled, None)
    }
}
