//! Fast Leader Election: servers tell each other whom they would follow, adopt the better vote, and are decided once a
//! quorum agrees and nobody better was heard of for a moment. A server that has a leader tells those that look for one.

use super::ballot::{Ballot, Ballots, is_better};
use super::membership::{Compared, Membership};
use super::notification::{Notification, PeerState, Vote};
use crate::config::Ensemble;
use crate::proto::Zxid;
use crate::zab::ServerId;
use std::collections::BTreeSet;

/// How long a quorum waits for somebody better (`FastLeaderElection.finalizeWait`), ms.
const FINALIZE_WAIT_MS: i64 = 200;
/// Servers without a vote that are answered once there is a leader; more have to ask again.
const ASKING_MAX: usize = 64;

/// Rounds are counted one by one; a number beyond this is nobody's, and would leave no number for the next round.
const ROUND_MAX: i64 = 1 << 60;

/// How long to wait for votes before saying one's own again, ms: `fastleader.minNotificationInterval`, doubled each
/// time up to `fastleader.maxNotificationInterval`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// The first.
    pub min_ms: i64,
    /// The longest.
    pub max_ms: i64,
}

impl Default for Pauses {
    fn default() -> Self {
        Pauses { min_ms: 200, max_ms: 60_000 }
    }
}

/// What the owner has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Tell this server, dialling it if need be. What waits for it already is out of date.
    Send(ServerId, Notification),
    /// The election is over.
    Decided(PeerState, Vote),
    /// A server knows a later configuration; whoever may should install it ([`Election::install`]).
    Newer(ServerId, Box<Ensemble>),
    /// The configuration of this server says something else under the same version, or cannot be read. Said once for
    /// each text; its votes count all the same.
    Differs(ServerId, String),
    /// A server whose vote made this one the leader looks for a leader again (`Leader.reportLookingSid`).
    Deserted(ServerId),
}

#[derive(Debug)]
struct Search {
    /// The vote for itself.
    initial: Vote,
    proposal: Vote,
    ballots: Ballots,
    /// Servers without a vote that have asked for the leader.
    asking: BTreeSet<ServerId>,
    repeat_ms: i64,
    repeat_at_ms: i64,
    /// A quorum agrees; unless somebody better is heard of, this is when it counts.
    final_at_ms: Option<i64>,
}

/// The election of one server, over all its rounds.
#[derive(Debug)]
pub struct Election {
    me: ServerId,
    membership: Membership,
    pauses: Pauses,
    /// The logical clock: the number of this server's last election.
    round: i64,
    state: PeerState,
    /// What others are told once there is a leader.
    current: Vote,
    search: Option<Search>,
    /// While leading: those whose votes made it so.
    electors: BTreeSet<ServerId>,
    /// Of each server whose configuration is another: what was last said of it.
    remarks: Vec<(ServerId, String)>,
    /// What the oracle says, where there is one: whether this server may go on alone.
    oracle: Option<bool>,
}

impl Election {
    /// A server that has not voted yet.
    pub fn new(me: ServerId, membership: Membership, pauses: Pauses) -> Self {
        let current = Vote { leader: me, zxid: Zxid::ZERO, round: 0, epoch: 0 };
        Election {
            me,
            membership,
            pauses: Pauses { min_ms: pauses.min_ms.max(1), max_ms: pauses.max_ms.max(1) },
            round: 0,
            state: PeerState::Looking,
            current,
            search: None,
            electors: BTreeSet::new(),
            remarks: Vec::new(),
            oracle: None,
        }
    }

    /// What this server is.
    pub fn state(&self) -> PeerState {
        self.state
    }

    /// What it tells others.
    pub fn vote(&self) -> Vote {
        self.search.as_ref().map_or(self.current, |search| search.proposal)
    }

    /// The configuration in force.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// Begins a round, with the last transaction in this server's log, committed or not, and its current epoch.
    pub fn look(&mut self, zxid: Zxid, epoch: i64, now_ms: i64, out: &mut Vec<Output>) {
        self.round += 1;
        self.state = PeerState::Looking;
        self.electors.clear();
        let initial = self.own_vote(zxid, epoch);
        self.search = Some(Search {
            initial,
            proposal: initial,
            ballots: Ballots::default(),
            asking: BTreeSet::new(),
            repeat_ms: self.pauses.min_ms,
            repeat_at_ms: now_ms.saturating_add(self.pauses.min_ms),
            final_at_ms: None,
        });
        self.tell_all(out);
        self.count(now_ms);
    }

    fn own_vote(&self, zxid: Zxid, epoch: i64) -> Vote {
        if self.membership.is_voter(self.me) {
            Vote { leader: self.me, zxid, round: self.round, epoch }
        } else {
            // An observer has no candidate.
            Vote { leader: i64::MIN, zxid: Zxid(i64::MIN), round: self.round, epoch: i64::MIN }
        }
    }

    /// Takes up another configuration, with this server's last transaction and epoch. A search begins anew.
    pub fn install(&mut self, membership: Membership, zxid: Zxid, epoch: i64, now_ms: i64, out: &mut Vec<Output>) {
        self.membership = membership;
        self.remarks.clear();
        if self.search.is_some() {
            self.look(zxid, epoch, now_ms, out);
        } else {
            // Who followed without a vote may have one now, and then counts for those who come later.
            self.state = self.state_under(self.current.leader);
        }
    }

    /// The leader and its followers have agreed on a new epoch: later joiners must hear of it in the vote.
    pub fn set_epoch(&mut self, epoch: i64) {
        self.current.epoch = epoch;
    }

    /// The next role was handed on without an election (`QuorumPeer.processReconfig`, the designated leader).
    pub fn hand_over(&mut self, leader: ServerId) -> PeerState {
        self.search = None;
        self.current.leader = leader;
        self.state = self.state_under(leader);
        self.state
    }

    /// What the oracle says now; `None` without one. It is asked only where two servers vote.
    pub fn set_oracle(&mut self, says: Option<bool>) {
        self.oracle = says;
    }

    /// When [`Election::tick`] has something to do.
    pub fn deadline_ms(&self) -> Option<i64> {
        let search = self.search.as_ref()?;
        Some(search.final_at_ms.map_or(search.repeat_at_ms, |at| at.min(search.repeat_at_ms)))
    }

    /// Time has passed.
    pub fn tick(&mut self, now_ms: i64, out: &mut Vec<Output>) {
        let Some(search) = &mut self.search else { return };
        let proposal = search.proposal;
        if search.final_at_ms.is_some_and(|at| now_ms >= at) {
            return self.decide(proposal, out);
        }
        if now_ms < search.repeat_at_ms {
            return;
        }
        search.repeat_ms = search.repeat_ms.saturating_mul(2).min(self.pauses.max_ms);
        search.repeat_at_ms = now_ms.saturating_add(search.repeat_ms);
        // The other of two voters is silent, and somebody who knows better than the network says to go on without it.
        let alone = !search.ballots.heard_any() && proposal.leader == self.me && proposal.zxid != Zxid(-1);
        if alone && self.oracle == Some(true) && self.membership.is_pair() && self.membership.is_voter(self.me) {
            return self.decide(proposal, out);
        }
        self.tell_all(out);
    }

    /// A notification has come in.
    pub fn receive(&mut self, from: ServerId, told: &Notification, now_ms: i64, out: &mut Vec<Output>) {
        if from == self.me {
            return;
        }
        self.compare(from, &told.config, out);
        if !self.membership.is_voter(from) {
            return self.hear_asking(from, out);
        }
        let voice = self.membership.is_voter(self.me);
        let Some(search) = &mut self.search else {
            if told.state == PeerState::Looking {
                if self.state == PeerState::Leading && self.electors.contains(&from) {
                    out.push(Output::Deserted(from));
                }
                out.push(Output::Send(from, self.told(self.state, self.current)));
            }
            return;
        };
        if told.state == PeerState::Looking && told.vote.round < self.round {
            // Who has no voice says nothing: it would be answered, and would answer, without end.
            if voice {
                let proposal = search.proposal;
                out.push(Output::Send(from, self.told(PeerState::Looking, proposal)));
            }
            return;
        }
        if !self.membership.is_voter(told.vote.leader) || !(0..ROUND_MAX).contains(&told.vote.round) {
            return;
        }
        let ballot = Ballot { state: told.state, vote: told.vote, version: told.version };
        match told.state {
            PeerState::Looking => self.hear_candidate(from, ballot, now_ms, out),
            PeerState::Following | PeerState::Leading => self.hear_settled(from, ballot, out),
            PeerState::Observing => {}
        }
    }

    /// Observers, and servers that this configuration does not know yet, are answered and not listened to. The original
    /// answers while it looks, too; an observer answers that, and so on: here the answer comes once it helps.
    fn hear_asking(&mut self, from: ServerId, out: &mut Vec<Output>) {
        match &mut self.search {
            None => out.push(Output::Send(from, self.told(self.state, Vote { round: self.round, ..self.current }))),
            Some(search) if search.asking.len() < ASKING_MAX => drop(search.asking.insert(from)),
            Some(_) => {}
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
            search.ballots.next_round();
            search.initial.round = self.round;
            search.proposal = search.initial;
            search.final_at_ms = None;
        }
        let better = is_better(&self.membership, &ballot.vote, &search.proposal);
        if better {
            search.proposal = Vote { round: self.round, ..ballot.vote };
            search.final_at_ms = None;
        }
        let begins = search.ballots.put(from, ballot);
        if later || better {
            self.tell_all(out);
        } else if begins && search.proposal != ballot.vote {
            // It has just begun to look, and what was told it before that is lost. The original leaves it to the next
            // repetition.
            let proposal = search.proposal;
            out.push(Output::Send(from, self.told(PeerState::Looking, proposal)));
        }
        self.count(now_ms);
    }

    /// Somebody has a leader. It is joined when a quorum follows it and it says itself that it leads.
    fn hear_settled(&mut self, from: ServerId, ballot: Ballot, out: &mut Vec<Output>) {
        let Some(search) = &mut self.search else { return };
        if ballot.vote.round == self.round {
            search.ballots.put(from, ballot);
        }
        search.ballots.put_settled(from, ballot);
        let led = search.ballots.is_led(&ballot, &self.membership, self.me, self.round, search.proposal);
        // Of two voters the other leads alone, by leave of its oracle; this one's says not to.
        let yields = ballot.state == PeerState::Leading
            && ballot.vote.leader == from
            && self.membership.is_pair()
            && self.oracle == Some(false);
        if led || yields {
            self.round = ballot.vote.round;
            self.decide(ballot.vote, out);
        }
    }

    /// Looks whether a quorum agrees with the proposal.
    fn count(&mut self, now_ms: i64) {
        let me = self.me;
        let Some(search) = &mut self.search else { return };
        let mine = Ballot::looking(search.proposal);
        let leader = search.proposal.leader;
        let agrees = |id| id == me || search.ballots.agrees(id, &mine);
        let possible = self.membership.is_voter(leader) && self.membership.may_lead(leader);
        if !possible || !self.membership.is_quorum(agrees) {
            search.final_at_ms = None;
        } else if search.final_at_ms.is_none() {
            search.final_at_ms = Some(now_ms.saturating_add(FINALIZE_WAIT_MS));
        }
    }

    fn decide(&mut self, vote: Vote, out: &mut Vec<Output>) {
        let Some(search) = self.search.take() else { return };
        self.current = vote;
        self.state = self.state_under(vote.leader);
        if self.state == PeerState::Leading {
            let (voters, mine) = (self.membership.voters(), Ballot::looking(vote));
            self.electors = voters.into_iter().filter(|id| search.ballots.agrees(*id, &mine)).collect();
        }
        out.push(Output::Decided(self.state, vote));
        let answer = self.told(self.state, vote);
        out.extend(search.asking.into_iter().map(|id| Output::Send(id, answer.clone())));
    }

    fn state_under(&self, leader: ServerId) -> PeerState {
        if leader == self.me {
            PeerState::Leading
        } else if self.membership.is_voter(self.me) {
            PeerState::Following
        } else {
            PeerState::Observing
        }
    }

    /// Says what is to be said of another server's configuration, once for each thing to say.
    fn compare(&mut self, from: ServerId, text: &[u8], out: &mut Vec<Output>) {
        let (remark, output) = match self.membership.compare(text) {
            Compared::Known => return self.remarks.retain(|(id, _)| *id != from),
            // Taken up only by those that look for a leader: the others get it from theirs.
            Compared::Newer(_) if self.search.is_none() => return,
            Compared::Newer(theirs) => (format!("version {:x}", theirs.version), Output::Newer(from, theirs)),
            Compared::Differs(why) => (why.clone(), Output::Differs(from, why)),
        };
        let said = self.remarks.iter().position(|(id, _)| *id == from);
        match said {
            Some(at) if self.remarks[at].1 == remark => {}
            Some(at) => {
                self.remarks[at].1 = remark;
                out.push(output);
            }
            None if self.remarks.len() < ASKING_MAX => {
                self.remarks.push((from, remark));
                out.push(output);
            }
            None => {}
        }
    }

    fn told(&self, state: PeerState, vote: Vote) -> Notification {
        Notification::new(state, vote, self.membership.text())
    }

    fn tell_all(&self, out: &mut Vec<Output>) {
        let told = self.told(PeerState::Looking, self.vote());
        let others = self.membership.voters().into_iter().filter(|id| *id != self.me);
        out.extend(others.map(|id| Output::Send(id, told.clone())));
    }
}
