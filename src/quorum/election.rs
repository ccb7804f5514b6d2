//! Fast Leader Election: servers tell each other whom they would follow, adopt the better vote, and are decided once a
//! quorum agrees and nobody better was heard of for a moment. A server that has a leader tells those that look for one.

use super::notification::{Notification, PeerState, VERSION, Vote};
use super::voters::Voters;
use crate::proto::Zxid;
use crate::zab::ServerId;
use std::collections::BTreeMap;

/// How long a quorum waits for somebody better (`FastLeaderElection.finalizeWait`), ms.
const FINALIZE_WAIT_MS: i64 = 200;
/// The first pause before a vote is repeated (`fastleader.minNotificationInterval`), ms.
const REPEAT_MIN_MS: i64 = 200;
/// The longest (`fastleader.maxNotificationInterval`), ms.
const REPEAT_MAX_MS: i64 = 60_000;

/// What the owner has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Tell this server, dialling it if need be. What waits for it already is out of date.
    Send(ServerId, Notification),
    /// The election is over.
    Decided(PeerState, Vote),
}

/// A vote somebody cast, and what it was at the time.
#[derive(Debug, Clone, Copy)]
struct Ballot {
    state: PeerState,
    vote: Vote,
    version: i32,
}

impl Ballot {
    /// Whether two ballots are for the same leader in the same term. Servers that have a leader keep round and zxid of
    /// their own election, so only servers that look for one compare these.
    fn agrees(&self, other: &Ballot) -> bool {
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

#[derive(Debug)]
struct Search {
    /// The vote for itself.
    initial: Vote,
    proposal: Vote,
    /// Of this round.
    received: BTreeMap<ServerId, Ballot>,
    /// Of servers that have a leader, of any round.
    settled: BTreeMap<ServerId, Ballot>,
    repeat_ms: i64,
    repeat_at_ms: i64,
    /// A quorum agrees; unless somebody better is heard of, this is when it counts.
    final_at_ms: Option<i64>,
}

/// The election of one server, over all its rounds.
#[derive(Debug)]
pub struct Election {
    me: ServerId,
    voters: Voters,
    /// The text of the configuration, sent with each vote.
    config: String,
    /// The logical clock: the number of this server's last election.
    round: i64,
    state: PeerState,
    /// What others are told once there is a leader.
    current: Vote,
    search: Option<Search>,
}

impl Election {
    /// A server that has not voted yet.
    pub fn new(me: ServerId, voters: Voters, config: String) -> Self {
        let current = Vote { leader: me, zxid: Zxid::ZERO, round: 0, epoch: 0 };
        Election { me, voters, config, round: 0, state: PeerState::Looking, current, search: None }
    }

    /// What this server is.
    pub fn state(&self) -> PeerState {
        self.state
    }

    /// What it tells others.
    pub fn vote(&self) -> Vote {
        self.search.as_ref().map_or(self.current, |search| search.proposal)
    }

    /// Begins a round, with the last transaction in this server's log, committed or not, and its current epoch.
    pub fn look(&mut self, zxid: Zxid, epoch: i64, now_ms: i64, out: &mut Vec<Output>) {
        self.round += 1;
        self.state = PeerState::Looking;
        let none = i64::MIN;
        let initial = if self.voters.contains(self.me) {
            Vote { leader: self.me, zxid, round: self.round, epoch }
        } else {
            // An observer has no candidate.
            Vote { leader: none, zxid: Zxid(none), round: self.round, epoch: none }
        };
        self.search = Some(Search {
            initial,
            proposal: initial,
            received: BTreeMap::new(),
            settled: BTreeMap::new(),
            repeat_ms: REPEAT_MIN_MS,
            repeat_at_ms: now_ms + REPEAT_MIN_MS,
            final_at_ms: None,
        });
        self.tell_all(out);
        self.count(now_ms);
    }

    /// The leader and its followers have agreed on a new epoch: later joiners must hear of it in the vote.
    pub fn set_epoch(&mut self, epoch: i64) {
        self.current.epoch = epoch;
    }

    /// When [`Election::tick`] has something to do.
    pub fn deadline_ms(&self) -> Option<i64> {
        let search = self.search.as_ref()?;
        Some(search.final_at_ms.map_or(search.repeat_at_ms, |at| at.min(search.repeat_at_ms)))
    }

    /// Time has passed.
    pub fn tick(&mut self, now_ms: i64, out: &mut Vec<Output>) {
        let Some(search) = &mut self.search else { return };
        if search.final_at_ms.is_some_and(|at| now_ms >= at) {
            let proposal = search.proposal;
            return self.decide(proposal, out);
        }
        if now_ms >= search.repeat_at_ms {
            search.repeat_ms = (2 * search.repeat_ms).min(REPEAT_MAX_MS);
            search.repeat_at_ms = now_ms + search.repeat_ms;
            self.tell_all(out);
        }
    }

    /// A notification has come in.
    pub fn receive(&mut self, from: ServerId, told: &Notification, now_ms: i64, out: &mut Vec<Output>) {
        if from == self.me {
            return;
        }
        // Observers are answered, and not listened to.
        if !self.voters.contains(from) {
            out.push(Output::Send(from, self.told(self.state, self.vote())));
            return;
        }
        let Some(search) = &mut self.search else {
            if told.state == PeerState::Looking {
                out.push(Output::Send(from, self.told(self.state, self.current)));
            }
            return;
        };
        if told.state == PeerState::Looking && told.vote.round < self.round {
            let proposal = search.proposal;
            out.push(Output::Send(from, self.told(PeerState::Looking, proposal)));
            return;
        }
        if !self.voters.contains(told.vote.leader) || told.state == PeerState::Observing {
            return;
        }
        let ballot = Ballot { state: told.state, vote: told.vote, version: told.version };
        if told.state == PeerState::Looking {
            self.hear_candidate(from, ballot, now_ms, out);
        } else {
            self.hear_settled(from, ballot, out);
        }
    }

    /// Somebody looks for a leader as well, in this round or a later one.
    fn hear_candidate(&mut self, from: ServerId, ballot: Ballot, now_ms: i64, out: &mut Vec<Output>) {
        let Some(search) = &mut self.search else { return };
        // A database that was never initialized has no say.
        if search.initial.zxid == Zxid(-1) || ballot.vote.zxid == Zxid(-1) {
            return;
        }
        let later = ballot.vote.round > self.round;
        if later {
            self.round = ballot.vote.round;
            search.received.clear();
            search.initial.round = self.round;
            search.proposal = search.initial;
            search.final_at_ms = None;
        }
        let better = is_better(&self.voters, &ballot.vote, &search.proposal);
        if better {
            search.proposal = Vote { round: self.round, ..ballot.vote };
            search.final_at_ms = None;
        }
        search.received.insert(from, ballot);
        if later || better {
            self.tell_all(out);
        }
        self.count(now_ms);
    }

    /// Somebody has a leader. It is joined when a quorum follows it and it says itself that it leads.
    fn hear_settled(&mut self, from: ServerId, ballot: Ballot, out: &mut Vec<Output>) {
        let Some(search) = &mut self.search else { return };
        if ballot.vote.round == self.round {
            search.received.insert(from, ballot);
        }
        search.settled.insert(from, ballot);
        let (me, round, voters) = (self.me, self.round, &self.voters);
        let is_led = |ballots: &BTreeMap<ServerId, Ballot>, own: Option<&Ballot>| {
            let leader = ballot.vote.leader;
            let leads = if leader == me {
                ballot.vote.round == round
            } else {
                ballots.get(&leader).is_some_and(|own| own.state == PeerState::Leading)
            };
            let of = |id| if id == me { own } else { ballots.get(&id) };
            leads && voters.is_quorum(|id| of(id).is_some_and(|other| other.agrees(&ballot)))
        };
        // In its own round this server's vote counts too: the others may have settled on it before it could count theirs.
        let mine = Ballot { state: PeerState::Looking, vote: search.proposal, version: VERSION };
        if (ballot.vote.round == round && is_led(&search.received, Some(&mine))) || is_led(&search.settled, None) {
            self.round = ballot.vote.round;
            self.decide(ballot.vote, out);
        }
    }

    /// Looks whether a quorum agrees with the proposal.
    fn count(&mut self, now_ms: i64) {
        let me = self.me;
        let Some(search) = &mut self.search else { return };
        let mine = Ballot { state: PeerState::Looking, vote: search.proposal, version: VERSION };
        let agrees = |id| id == me || search.received.get(&id).is_some_and(|ballot| ballot.agrees(&mine));
        if !self.voters.contains(search.proposal.leader) || !self.voters.is_quorum(agrees) {
            search.final_at_ms = None;
        } else if search.final_at_ms.is_none() {
            search.final_at_ms = Some(now_ms + FINALIZE_WAIT_MS);
        }
    }

    fn decide(&mut self, vote: Vote, out: &mut Vec<Output>) {
        self.search = None;
        self.current = vote;
        self.state = if vote.leader == self.me {
            PeerState::Leading
        } else if self.voters.contains(self.me) {
            PeerState::Following
        } else {
            PeerState::Observing
        };
        out.push(Output::Decided(self.state, vote));
    }

    fn told(&self, state: PeerState, vote: Vote) -> Notification {
        Notification::new(state, vote, &self.config)
    }

    fn tell_all(&self, out: &mut Vec<Output>) {
        let told = self.told(PeerState::Looking, self.vote());
        let others = self.voters.ids().filter(|id| *id != self.me);
        out.extend(others.map(|id| Output::Send(id, told.clone())));
    }
}

/// The order of votes: the later epoch, then the longer log, then the larger id.
fn is_better(voters: &Voters, vote: &Vote, than: &Vote) -> bool {
    let rank = |vote: &Vote| (vote.epoch, vote.zxid, vote.leader);
    voters.weight(vote.leader) > 0 && rank(vote) > rank(than)
}
