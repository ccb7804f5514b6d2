//! A term as leader (`Leader`, `LearnerHandler`): agree on an epoch, agree that this history is the one, bring learners in
//! step, broadcast.

use super::packet::{greeting, put_history};
use super::{History, LinkId, Output, PROTOCOL, Packet, Plan, ServerId, Times, Violation, Voters, kind};
use crate::jute::{Encode, Reader};
use crate::mutant::{self, Mutant};
use crate::proto::{OpCode, Zxid};
use crate::store::{EpochFile, Epochs};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// So many numbers of an epoch are left unused: a term ends before it runs out of them.
const ZXIDS_LEFT: u32 = 1 << 24;

/// Who votes, and the text that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The voters.
    pub voters: Voters,
    /// The configuration, as it travels.
    pub text: Bytes,
    /// Its version: the zxid of the transaction that made it.
    pub version: i64,
    /// Whether the server that leads votes in it, and can be reached where it was.
    pub leads_on: bool,
}

/// What becomes the active configuration together with the history that a term begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pending {
    /// Nothing: it is active already.
    Nothing,
    /// A configuration that was proposed when an earlier term ended.
    Proposed(Membership),
    /// The active one has never had a version, and gets that of the epoch (`Leader.lead`).
    Unversioned,
}

impl Membership {
    /// The same members under the version of an epoch's start.
    fn versioned(&self, start: Zxid) -> Membership {
        let text = String::from_utf8_lossy(&self.text);
        let members = text.lines().filter(|line| !line.starts_with("version="));
        let text: String = members.flat_map(|line| [line, "\n"]).collect();
        let text = format!("{text}version={:x}", start.0);
        Membership { text: text.into(), version: start.0, ..self.clone() }
    }
}

/// How far the term has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A quorum has to tell which epochs it has accepted.
    Discovery,
    /// A quorum has to accept the epoch.
    Accepting,
    /// A quorum has to have this history on disk.
    Synchronization,
    /// Transactions are proposed.
    Broadcast,
}

/// How far a learner has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It has to say who it is.
    Greeting,
    /// It waits for the epoch.
    Waiting,
    /// It has to accept the epoch.
    Accepting,
    /// It waits until the leader is agreed upon; its log ends here.
    Accepted(Zxid),
    /// It is about to be brought up to date.
    Joining,
    /// It has to say that everything up to here is on its disk.
    Synchronizing(Zxid),
    /// It waits for the others.
    Ready,
    /// It serves.
    Serving,
}

#[derive(Debug)]
struct Link {
    member: ServerId,
    observer: bool,
    step: Step,
    /// When its patience ends in this step.
    deadline_ms: i64,
    /// A proposal that it has not acknowledged, and since when.
    awaited: Option<(Zxid, i64)>,
    acked: Zxid,
}

impl Link {
    /// Whether proposals go to it.
    fn gets_proposals(&self) -> bool {
        let late = mutant::is(Mutant::ForwardingLate);
        matches!(self.step, Step::Ready | Step::Serving) || matches!(self.step, Step::Synchronizing(_)) && !late
    }
}

/// A leader.
#[derive(Debug)]
pub struct Leader {
    me: ServerId,
    active: Membership,
    /// A reconfiguration on its way: from this zxid on, transactions want a quorum of both.
    next: Option<(Zxid, Membership)>,
    times: Times,
    history: History,
    /// Where the history ends with which the term began, and its epoch.
    initial: (i64, Zxid),
    phase: Phase,
    epoch: i64,
    /// Voters that told an epoch.
    told: BTreeMap<ServerId, i64>,
    /// Voters that accepted the epoch.
    accepted: BTreeMap<ServerId, ()>,
    /// Where each voter's disk is, as far as it said so in this term by its present connection.
    logged: BTreeMap<ServerId, Zxid>,
    links: BTreeMap<LinkId, Link>,
    committed: Zxid,
    syncs: VecDeque<(Zxid, LinkId)>,
    phase_deadline_ms: i64,
    next_ping_ms: i64,
    /// When a quorum was last heard.
    healthy_ms: i64,
    /// What becomes active with the history.
    pending: Pending,
    /// Another leads on: nothing is committed here any more. Learners go when they hear of it; since when they may.
    retired: Option<Option<i64>>,
    ended: bool,
}

impl Leader {
    /// Begins a term. `history` has applied everything it has.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        me: ServerId,
        active: Membership,
        pending: Pending,
        history: History,
        epochs: Epochs,
        times: Times,
        now_ms: i64,
        out: &mut Vec<Output>,
    ) -> Self {
        let mut leader = Leader {
            initial: (epochs.current, history.last()),
            epoch: epochs.accepted + 1,
            phase_deadline_ms: now_ms + times.init_ms,
            next_ping_ms: now_ms,
            healthy_ms: now_ms,
            pending,
            ..Leader::bare(me, active, history, times)
        };
        leader.told.insert(me, epochs.accepted);
        leader.settle_epoch(now_ms, out);
        leader
    }

    /// A standalone server: it serves at once, alone, in the epoch of its files, and remembers nothing for others.
    pub fn alone(me: ServerId, last: Zxid) -> Self {
        let times = Times { tick_ms: i64::MAX, init_ms: i64::MAX, sync_ms: i64::MAX };
        let active = Membership { voters: Voters::majority([me]), text: Bytes::new(), version: 0, leads_on: true };
        Leader {
            phase: Phase::Broadcast,
            epoch: i64::from(last.epoch()),
            logged: BTreeMap::from([(me, last)]),
            ..Leader::bare(me, active, History::new(last, 0), times)
        }
    }

    /// Before anything was said, and without an end to its patience.
    fn bare(me: ServerId, active: Membership, history: History, times: Times) -> Self {
        Leader {
            me,
            active,
            next: None,
            times,
            committed: history.applied(),
            initial: (0, history.last()),
            history,
            phase: Phase::Discovery,
            epoch: 0,
            told: BTreeMap::new(),
            accepted: BTreeMap::new(),
            logged: BTreeMap::new(),
            links: BTreeMap::new(),
            syncs: VecDeque::new(),
            phase_deadline_ms: i64::MAX,
            next_ping_ms: i64::MAX,
            healthy_ms: 0,
            pending: Pending::Nothing,
            retired: None,
            ended: false,
        }
    }

    /// The history, once the role is over.
    pub fn into_history(self) -> History {
        self.history
    }

    /// What is remembered, and what is on its way.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The epoch of this term, once it is agreed on.
    pub fn epoch(&self) -> Option<i64> {
        (self.phase != Phase::Discovery).then_some(self.epoch)
    }

    /// Whether clients are served.
    pub fn serves(&self) -> bool {
        self.phase == Phase::Broadcast
    }

    /// Members that get proposals: voters with `false`, observers with `true`.
    pub fn learners(&self) -> impl Iterator<Item = (ServerId, bool)> + '_ {
        self.links.values().filter(|link| link.gets_proposals()).map(|link| (link.member, link.observer))
    }

    /// Observers that get what is committed, by their links.
    pub fn observers(&self) -> impl Iterator<Item = (LinkId, ServerId)> + '_ {
        let observing = self.links.iter().filter(|(_, link)| link.observer && link.gets_proposals());
        observing.map(|(id, link)| (*id, link.member))
    }

    /// Members that follow in step, this one included: a new configuration needs a quorum of them. Observers do not
    /// acknowledge, so it could never be committed with them (`Leader.isQuorumSynced`).
    pub fn in_step(&self) -> impl Iterator<Item = ServerId> + '_ {
        let serving = |link: &&Link| !link.observer && matches!(link.step, Step::Ready | Step::Serving);
        let serving = self.links.values().filter(serving);
        std::iter::once(self.me).chain(serving.map(|link| link.member))
    }

    /// Who is at the other end of a link, once it said so.
    pub fn member(&self, link: LinkId) -> Option<ServerId> {
        self.links.get(&link).map(|link| link.member).filter(|member| *member >= 0)
    }

    /// Syncs that wait for a transaction.
    pub fn pending_syncs(&self) -> usize {
        self.syncs.len()
    }

    /// Whether a reconfiguration is on its way.
    pub fn reconfigures(&self) -> bool {
        self.next.is_some()
    }

    /// Somebody has connected.
    pub fn opened(&mut self, link: LinkId, now_ms: i64) {
        let deadline_ms = now_ms + self.times.init_ms;
        let (step, acked) = (Step::Greeting, Zxid::ZERO);
        self.links.insert(link, Link { member: -1, observer: true, step, deadline_ms, awaited: None, acked });
    }

    /// A connection is gone.
    pub fn closed(&mut self, link: LinkId) {
        self.links.remove(&link);
        self.syncs.retain(|(_, waiting)| *waiting != link);
    }

    /// A packet has come. A violation ends the link, with a [`Output::Close`].
    pub fn receive(&mut self, link: LinkId, packet: Packet, now_ms: i64, out: &mut Vec<Output>) {
        if self.ended || !self.links.contains_key(&link) {
            return;
        }
        if let Err(violation) = self.handle(link, packet, now_ms, out) {
            self.close(link, violation.0, out);
        }
    }

    fn close(&mut self, link: LinkId, why: String, out: &mut Vec<Output>) {
        self.closed(link);
        out.push(Output::Close { link, why });
    }

    fn handle(&mut self, id: LinkId, packet: Packet, now_ms: i64, out: &mut Vec<Output>) -> Result<(), Violation> {
        let step = self.links[&id].step;
        match (step, packet.kind) {
            (Step::Greeting, kind::FOLLOWERINFO | kind::OBSERVERINFO) => self.greeted(id, &packet, now_ms, out),
            (Step::Accepting, kind::ACKEPOCH) => self.epoch_accepted(id, &packet, now_ms, out),
            (Step::Synchronizing(upto), kind::ACK) => self.in_step_with(id, upto, &packet, now_ms, out),
            (Step::Ready | Step::Serving, what) => {
                let link = self.links.get_mut(&id).expect("looked up above");
                link.deadline_ms = now_ms + self.times.sync_ms;
                match what {
                    kind::ACK if !link.observer => self.acknowledged(id, packet.zxid, now_ms, out),
                    kind::PING => {
                        out.push(Output::Touched(packet.data.unwrap_or_default()));
                        Ok(())
                    }
                    kind::REVALIDATE => {
                        out.push(Output::Revalidate { link: id, data: packet.data.unwrap_or_default() });
                        Ok(())
                    }
                    kind::REQUEST => {
                        let data = packet.data.unwrap_or_default();
                        match Reader::unlimited(data.get(12..).unwrap_or_default()).int() {
                            Ok(op) if OpCode(op) == OpCode::SYNC => self.sync(id, out),
                            Ok(_) => out.push(Output::Request { link: id, data, ids: packet.ids.unwrap_or_default() }),
                            Err(_) => return Err(Violation::new("a request of less than 16 bytes")),
                        }
                        Ok(())
                    }
                    // As in the original, what is unknown does no harm.
                    _ => Ok(()),
                }
            }
            (step, what) => Err(Violation(format!("packet {what} from a member in step {step:?}"))),
        }
    }

    fn greeted(&mut self, id: LinkId, packet: &Packet, now_ms: i64, out: &mut Vec<Output>) -> Result<(), Violation> {
        let member = greeting(packet, self.me, self.active.version)?;
        // The next epoch must be one that has transactions; the original would lead on in a negative one.
        if packet.zxid.0 >> 32 >= i64::from(i32::MAX) {
            return Err(Violation(format!("a member that has accepted {}: no epoch is left behind it", packet.zxid)));
        }
        let observer = packet.kind == kind::OBSERVERINFO;
        // A member has one connection: the newest. Whatever it said by an older one counts no more.
        let older: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(other, link)| **other != id && link.member == member)
            .map(|(id, _)| *id)
            .collect();
        for older in older {
            self.close(older, format!("member {member} has connected again"), out);
        }
        if !mutant::is(Mutant::RejoinedAcksCount) {
            self.logged.remove(&member);
        }
        let link = self.links.get_mut(&id).expect("the caller has it");
        (link.member, link.observer, link.step) = (member, observer, Step::Waiting);
        link.deadline_ms = now_ms + self.times.init_ms;
        let accepted = packet.zxid.0 >> 32;
        if self.phase == Phase::Discovery {
            if !mutant::is(Mutant::EpochOfLeaderAlone) {
                self.epoch = self.epoch.max(accepted + 1);
            }
            if !observer {
                self.told.insert(member, accepted);
            }
            self.settle_epoch(now_ms, out);
        } else if accepted > self.epoch && !observer && self.active.voters.contains(member) {
            // It accepted a leader that came to nothing, and may not follow in this epoch. The original goes on without it
            // for as long as the term lasts, and with a member less to lose.
            self.end(format!("member {member} has accepted epoch {accepted}: one behind it is needed"), out);
        } else {
            self.tell_epoch(id, now_ms, out);
        }
        Ok(())
    }

    /// Once a quorum has told its epochs, the next one is this term's: on disk before anybody hears of it.
    fn settle_epoch(&mut self, now_ms: i64, out: &mut Vec<Output>) {
        if !self.active.voters.is_quorum(|id| self.told.contains_key(&id)) {
            return;
        }
        self.phase = Phase::Accepting;
        self.phase_deadline_ms = now_ms + self.times.init_ms;
        let late = mutant::is(Mutant::LeaderInfoBeforeEpoch);
        if !late {
            out.push(Output::WriteEpoch(EpochFile::Accepted, self.epoch));
        }
        let start = Zxid(self.epoch << 32);
        match std::mem::replace(&mut self.pending, Pending::Nothing) {
            Pending::Nothing => {}
            Pending::Proposed(next) => self.next = Some((start, next)),
            Pending::Unversioned => {
                let next = self.active.versioned(start);
                out.push(Output::Seen(next.text.clone()));
                self.next = Some((start, next));
            }
        }
        let waiting: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| link.step == Step::Waiting).map(|(id, _)| *id).collect();
        for link in waiting {
            self.tell_epoch(link, now_ms, out);
        }
        if late {
            out.push(Output::WriteEpoch(EpochFile::Accepted, self.epoch));
        }
        self.accepted.insert(self.me, ());
        self.settle_leader(now_ms, out);
    }

    fn tell_epoch(&mut self, id: LinkId, now_ms: i64, out: &mut Vec<Output>) {
        let link = self.links.get_mut(&id).expect("the caller has it");
        link.step = Step::Accepting;
        link.deadline_ms = now_ms + self.times.init_ms;
        let info = Packet::with(kind::LEADERINFO, Zxid(self.epoch << 32), PROTOCOL.to_bytes());
        out.push(Output::Send { link: id, packet: info.encode() });
    }

    fn epoch_accepted(
        &mut self,
        id: LinkId,
        packet: &Packet,
        now_ms: i64,
        out: &mut Vec<Output>,
    ) -> Result<(), Violation> {
        let current = Reader::unlimited(packet.data.as_deref().unwrap_or_default()).int();
        let current = i64::from(current.map_err(|_| Violation::new("an epoch that is not told"))?);
        let (peer, link) = (packet.zxid, self.links.get_mut(&id).expect("the caller has it"));
        link.step = Step::Accepted(peer);
        link.deadline_ms = now_ms + self.times.init_ms;
        if self.phase != Phase::Accepting {
            // What a latecomer has beyond a history that a quorum agreed on was never committed: it is cut
            // (`Leader.waitForEpochAck`).
            self.ask_to_join(id, out);
            return Ok(());
        }
        // It had accepted this epoch before: it is served, and does not count.
        if current != -1 || mutant::is(Mutant::AnyAckEpochCounts) {
            if (current, peer) > self.initial && !mutant::is(Mutant::LongerHistoryIgnored) {
                return Err(Violation(format!("it has more history, epoch {current} to {peer}, than this leader")));
            }
            // A server that lost its disk must not help to decide what history is.
            if peer.0 != -1 && !link.observer {
                self.accepted.insert(link.member, ());
            }
        }
        self.settle_leader(now_ms, out);
        Ok(())
    }

    /// Once a quorum has accepted the epoch, this history is the one.
    fn settle_leader(&mut self, now_ms: i64, out: &mut Vec<Output>) {
        if !self.active.voters.is_quorum(|id| self.accepted.contains_key(&id)) {
            return;
        }
        self.phase = Phase::Synchronization;
        self.phase_deadline_ms = now_ms + self.times.init_ms;
        out.push(Output::WriteEpoch(EpochFile::Current, self.epoch));
        self.logged.insert(self.me, self.history.logged());
        let ready: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| matches!(link.step, Step::Accepted(_))).map(|(id, _)| *id).collect();
        for link in ready {
            self.ask_to_join(link, out);
        }
        self.settle_history(now_ms, out);
    }

    fn ask_to_join(&mut self, id: LinkId, out: &mut Vec<Output>) {
        let link = self.links.get_mut(&id).expect("the caller has it");
        let Step::Accepted(peer) = link.step else { return };
        link.step = Step::Joining;
        out.push(Output::Join { link: id, member: link.member, peer });
    }

    /// Brings a learner up to date whose log ends at `peer` (or that was sent what it lacked up to `peer` from files):
    /// decides how, queues what it lacks from memory, and lets it have every proposal from here on, all in one step. The
    /// head of the plan goes out before the packets of this step. `None` when the link is gone, or has no business here.
    pub fn join(&mut self, id: LinkId, peer: Zxid, out: &mut Vec<Output>) -> Option<Plan> {
        let link = self.links.get_mut(&id).filter(|link| link.step == Step::Joining)?;
        let plan = self.history.plan(peer);
        let from = match plan {
            Plan::Diff { from, .. } | Plan::Trunc(from) => from,
            Plan::Snap => self.history.applied(),
        };
        let upto = match plan {
            Plan::Snap => from,
            Plan::Diff { .. } | Plan::Trunc(_) => {
                let mut upto = from;
                for (zxid, record) in self.history.after(from) {
                    put_history(id, *zxid, record, out);
                    upto = *zxid;
                }
                upto
            }
        };
        // What NEWLEADER tells is in force for a learner once it serves. So it tells what comes into force with this term,
        // and later what is in force; a reconfiguration that is only proposed comes behind it, as a proposal. Observers get no
        // proposals, and one that is to have a vote must hear of it, to come back as somebody who acknowledges.
        let joins = |next: &Membership| link.observer && next.voters.contains(link.member);
        let broadcast = self.phase == Phase::Broadcast && !mutant::is(Mutant::ProposedInForce);
        let proposed = self.next.as_ref().filter(|_| broadcast).map(|(zxid, _)| *zxid);
        let known =
            self.next.as_ref().filter(|(_, next)| !broadcast || joins(next)).map_or(&self.active, |(_, next)| next);
        let new_leader = Packet::with(kind::NEWLEADER, Zxid(self.epoch << 32), known.text.clone());
        let pending = if link.observer { &VecDeque::new() } else { self.history.pending() };
        let in_front = pending.iter().take_while(|(zxid, _)| proposed.is_none_or(|proposed| *zxid < proposed)).count();
        let proposal = |(zxid, record): &(Zxid, Bytes)| Packet::with(kind::PROPOSAL, *zxid, record.clone());
        let packets = pending.iter().take(in_front).map(proposal).chain([new_leader]);
        let packets = packets.chain(pending.iter().skip(in_front).map(proposal));
        out.extend(packets.map(|packet| Output::Send { link: id, packet: packet.encode() }));
        link.step = Step::Synchronizing(upto);
        Some(plan)
    }

    /// A learner has everything up to `upto` on disk.
    fn in_step_with(
        &mut self,
        id: LinkId,
        upto: Zxid,
        packet: &Packet,
        now_ms: i64,
        out: &mut Vec<Output>,
    ) -> Result<(), Violation> {
        if packet.zxid != Zxid(self.epoch << 32) {
            return Err(Violation(format!("an ACK of {} where a member should be in step", packet.zxid)));
        }
        let link = self.links.get_mut(&id).expect("the caller has it");
        link.step = Step::Ready;
        link.acked = upto;
        link.deadline_ms = now_ms + self.times.sync_ms;
        if !link.observer {
            let member = link.member;
            self.logged.insert(member, upto);
        }
        if self.phase == Phase::Broadcast {
            self.let_serve(id, out);
            self.commit(out);
        } else {
            self.settle_history(now_ms, out);
        }
        Ok(())
    }

    /// Once a quorum has this history on disk, clients are served.
    fn settle_history(&mut self, now_ms: i64, out: &mut Vec<Output>) {
        let in_step = |id: ServerId| {
            id == self.me || self.links.values().any(|link| link.member == id && link.step == Step::Ready)
        };
        let next = self.next.as_ref().is_none_or(|(_, next)| next.voters.is_quorum(in_step));
        let quorum = self.active.voters.is_quorum(in_step) || mutant::is(Mutant::ServesBeforeQuorum);
        if self.phase != Phase::Synchronization || !quorum || !next {
            return;
        }
        self.phase = Phase::Broadcast;
        let start = Zxid(self.epoch << 32);
        self.history.begin_epoch(start);
        self.committed = start;
        self.healthy_ms = now_ms;
        self.next_ping_ms = now_ms;
        if let Some(leader) = self.next.as_ref().map(|_| self.designated(Zxid::ZERO)) {
            self.activate(leader, out);
        }
        out.push(Output::Serve { epoch: self.epoch });
        let ready: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| link.step == Step::Ready).map(|(id, _)| *id).collect();
        for link in ready {
            self.let_serve(link, out);
        }
    }

    fn let_serve(&mut self, id: LinkId, out: &mut Vec<Output>) {
        self.links.get_mut(&id).expect("the caller has it").step = Step::Serving;
        out.push(Output::Send { link: id, packet: Packet::bare(kind::UPTODATE, Zxid(-1)).encode() });
    }

    fn acknowledged(&mut self, id: LinkId, zxid: Zxid, now_ms: i64, out: &mut Vec<Output>) -> Result<(), Violation> {
        // The start of an epoch is nobody's transaction.
        if zxid.counter() == 0 {
            return Ok(());
        }
        let last = self.history.last();
        if zxid > last {
            return Err(Violation(format!("an ACK of {zxid}, and {last} was the last proposal")));
        }
        let link = self.links.get_mut(&id).expect("the caller has it");
        link.acked = link.acked.max(zxid);
        link.awaited = link.awaited.and_then(|(awaited, since)| match link.acked >= awaited {
            false => Some((awaited, since)),
            true => (link.acked < last).then_some((last, now_ms)),
        });
        let (member, acked) = (link.member, link.acked);
        self.logged.insert(member, acked);
        self.commit(out);
        Ok(())
    }

    fn sync(&mut self, id: LinkId, out: &mut Vec<Output>) {
        self.syncs.push_back((self.history.last(), id));
        self.answer_syncs(out);
    }

    fn answer_syncs(&mut self, out: &mut Vec<Output>) {
        let applied = if mutant::is(Mutant::SyncAnsweredAtOnce) { Zxid(i64::MAX) } else { self.history.applied() };
        while let Some((_, link)) = self.syncs.pop_front_if(|(zxid, _)| *zxid <= applied) {
            out.push(Output::Send { link, packet: Packet::bare(kind::SYNC, Zxid(0)).encode() });
        }
    }

    /// A transaction of this leader's is on its way to its log. A reconfiguration comes with what it makes of the ensemble.
    pub fn propose(
        &mut self,
        zxid: Zxid,
        record: Bytes,
        reconfiguration: Option<Membership>,
        now_ms: i64,
        out: &mut Vec<Output>,
    ) {
        assert!(self.serves(), "a proposal by a leader that does not serve");
        if !self.links.is_empty() {
            let packet = Packet::with(kind::PROPOSAL, zxid, record.clone()).encode();
            for (id, link) in &mut self.links {
                if link.gets_proposals() && !link.observer {
                    out.push(Output::Send { link: *id, packet: packet.clone() });
                    link.awaited = link.awaited.or(Some((zxid, now_ms)));
                }
            }
        }
        if let Some(next) = reconfiguration {
            assert!(self.next.is_none(), "one reconfiguration at a time");
            self.next = Some((zxid, next));
        }
        let appended = self.history.append(zxid, record);
        assert_eq!(appended, Ok(()), "a leader's own transactions follow each other");
    }

    /// This server's log has synced everything up to `zxid`.
    pub fn logged(&mut self, zxid: Zxid, out: &mut Vec<Output>) {
        self.history.synced(zxid.min(self.history.last()));
        if self.phase == Phase::Broadcast {
            self.logged.insert(self.me, self.history.logged());
            self.commit(out);
        }
    }

    fn commit(&mut self, out: &mut Vec<Output>) {
        if self.phase != Phase::Broadcast || self.ended || self.retired.is_some() {
            return;
        }
        // Only with this disk: what the others have is no decision yet while one of them may come again, be told to take it
        // back, and have it no more when this disk has it at last.
        let logged = if mutant::is(Mutant::AppliedBeforeLogged) { Zxid(i64::MAX) } else { self.history.logged() };
        for (zxid, _) in self.history.pending().iter().take_while(|(zxid, _)| *zxid <= logged) {
            if *zxid <= self.committed {
                continue;
            }
            let has = |id: ServerId| self.logged.get(&id).is_some_and(|logged| logged >= zxid);
            let pending = self.next.as_ref().filter(|(since, _)| zxid >= since);
            let old =
                self.active.voters.is_quorum(has) || pending.is_some() && mutant::is(Mutant::ReconfiguredByTheNewAlone);
            if !old || !pending.is_none_or(|(_, next)| next.voters.is_quorum(has)) {
                break;
            }
            self.committed = *zxid;
            if pending.is_some_and(|(since, _)| since == zxid) {
                break;
            }
        }
        let reconfigured = self.next.as_ref().map(|(zxid, _)| *zxid).filter(|zxid| *zxid <= self.committed);
        let leader = reconfigured.map(|zxid| self.designated(zxid));
        let (links, observed) = (&self.links, self.links.values().any(|link| link.observer));
        let mut told = Vec::new();
        let news = self.history.advance(self.committed, |zxid, record| {
            if links.is_empty() {
                return;
            }
            let activates = leader.filter(|_| Some(zxid) == reconfigured);
            let (commit, inform) = match activates {
                None => (
                    Packet::bare(kind::COMMIT, zxid).encode(),
                    observed.then(|| Packet::with(kind::INFORM, zxid, record.clone()).encode()),
                ),
                Some(leader) => {
                    let with_leader = [&leader.to_bytes()[..], record].concat();
                    (
                        Packet::with(kind::COMMITANDACTIVATE, zxid, leader.to_bytes()).encode(),
                        observed.then(|| Packet::with(kind::INFORMANDACTIVATE, zxid, with_leader).encode()),
                    )
                }
            };
            for (id, link) in links.iter().filter(|(_, link)| link.gets_proposals()) {
                let packet = if link.observer { inform.clone().unwrap_or_default() } else { commit.clone() };
                told.push(Output::Send { link: *id, packet });
            }
        });
        let Some(applied) = news else { return };
        out.append(&mut told);
        out.push(Output::Apply(applied));
        self.answer_syncs(out);
        if let (Some(zxid), Some(leader)) = (reconfigured.filter(|zxid| *zxid <= applied), leader) {
            tracing::info!(%zxid, leader, "another configuration of the ensemble is in force");
            self.activate(leader, out);
            // What follows may need only the new configuration.
            self.commit(out);
        }
    }

    /// The proposed configuration is in force. When another leads on, nothing is committed here any more: learners leave
    /// when they hear of it, so that a quorum surely hears.
    fn activate(&mut self, leader: ServerId, out: &mut Vec<Output>) {
        let (_, next) = self.next.take().expect("the caller has seen it");
        self.active = next;
        out.push(Output::Activate { text: Some(self.active.text.clone()), leader: Some(leader) });
        if leader != self.me {
            self.retired = Some(None);
        }
    }

    /// Who leads on after a reconfiguration (`Leader.getDesignatedLeader`): this server if it still votes, otherwise the
    /// new voter with the longest log.
    fn designated(&self, zxid: Zxid) -> ServerId {
        let Some((_, next)) = &self.next else { return self.me };
        if next.leads_on {
            return self.me;
        }
        let has = next.voters.ids().filter_map(|id| self.logged.get(&id).map(|logged| (*logged, id)));
        let has = has.filter(|(_, id)| *id != self.me);
        has.filter(|(logged, _)| *logged >= zxid).max().map_or(self.me, |(_, id)| id)
    }

    fn end(&mut self, why: String, out: &mut Vec<Output>) {
        if !std::mem::replace(&mut self.ended, true) {
            out.push(Output::End(why));
        }
    }

    /// A voter that made this server the leader looks for another: after so much time without an agreed epoch the term is
    /// given up, for the others may have elected somebody else (`Leader.reportLookingSid`).
    pub fn deserted(&mut self, patience_ms: i64, now_ms: i64, out: &mut Vec<Output>) {
        let since_ms = self.phase_deadline_ms - self.times.init_ms;
        if self.phase == Phase::Discovery && now_ms - since_ms > patience_ms {
            self.end("a voter looks for another leader, and no epoch is agreed on".into(), out);
        }
    }

    /// Time has passed: pings, patience, and whether a quorum still follows.
    pub fn tick(&mut self, now_ms: i64, out: &mut Vec<Output>) {
        if self.ended {
            return;
        }
        let late: Vec<(LinkId, String)> = self
            .links
            .iter()
            .filter_map(|(id, link)| {
                let unacked =
                    link.awaited.filter(|(_, since)| now_ms - since > self.times.sync_ms && link.step == Step::Serving);
                match (link.step, unacked) {
                    (_, Some((zxid, _))) => Some((*id, format!("{zxid} was not acknowledged in time"))),
                    // Bringing up to date ends by itself, with its connection.
                    (Step::Joining, _) => None,
                    (step, _) => {
                        (now_ms >= link.deadline_ms).then(|| (*id, format!("silent for too long in step {step:?}")))
                    }
                }
            })
            .collect();
        for (link, why) in late {
            self.close(link, why, out);
        }
        if self.phase != Phase::Broadcast {
            if now_ms >= self.phase_deadline_ms {
                self.end(format!("no quorum in time, in phase {:?}", self.phase), out);
            }
            return;
        }
        if let Some(since) = &mut self.retired {
            let since = *since.get_or_insert(now_ms);
            if self.links.is_empty() || now_ms - since >= self.times.sync_ms {
                self.end("another leads on".into(), out);
                return;
            }
        }
        if now_ms >= self.next_ping_ms {
            self.next_ping_ms = now_ms + self.times.tick_ms / 2;
            let ping = Packet::bare(kind::PING, self.history.last()).encode();
            for id in self.links.iter().filter(|(_, link)| link.gets_proposals()).map(|(id, _)| *id) {
                out.push(Output::Send { link: id, packet: ping.clone() });
            }
        }
        let follows = |id: ServerId| {
            let serving = |link: &Link| link.member == id && matches!(link.step, Step::Ready | Step::Serving);
            id == self.me || self.links.values().any(serving)
        };
        if self.active.voters.is_quorum(follows)
            && self.next.as_ref().is_none_or(|(_, next)| next.voters.is_quorum(follows))
        {
            self.healthy_ms = now_ms;
        } else if now_ms - self.healthy_ms >= self.times.tick_ms {
            self.end("no quorum follows any more".into(), out);
        }
        if self.history.last().counter() > u32::MAX - ZXIDS_LEFT {
            self.end("the numbers of this epoch are used up: a new one begins".into(), out);
        }
    }
}
