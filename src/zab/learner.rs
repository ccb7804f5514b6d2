//! A term as follower or observer (`Learner`, `Follower`, `Observer`): accept the leader's epoch, get in step, then log,
//! acknowledge and apply what the leader proposes and commits.
//!
//! The order at NEWLEADER is: the leader's history on disk, then the epoch, then the answer. No proposal is acknowledged
//! before it is on disk, and none before that answer.

use super::observers::Observers;
use super::{History, LinkId, Output, PROTOCOL, Packet, Plan, ServerId, Times, Violation, follows, kind};
use crate::jute::{Encode, Reader};
use crate::mutant::{self, Mutant};
use crate::proto::txn::{Txn, TxnRecord};
use crate::proto::{OpCode, Zxid};
use crate::store::{EpochFile, Epochs};
use bytes::Bytes;
use std::collections::VecDeque;

/// A learner's only connection.
pub const LEADER: LinkId = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The leader has to tell its epoch.
    Discovery,
    /// The leader has to tell how to get in step.
    Head,
    /// The files are changed.
    Files,
    /// What was missing comes.
    Synchronization,
    /// The leader's history goes to disk, up to here.
    Persisting(Zxid),
    /// The leader has to wait for a quorum.
    InStep,
    /// Clients are served.
    Broadcast,
}

/// A follower or an observer.
#[derive(Debug)]
pub struct Learner {
    me: ServerId,
    observer: bool,
    times: Times,
    epochs: Epochs,
    epoch: i64,
    phase: Phase,
    history: History,
    /// Proposals that are not handed to the log yet, in order; the first `committed` of them are committed.
    proposals: VecDeque<(Zxid, Bytes)>,
    committed_proposals: usize,
    /// The last commit told.
    committed: Zxid,
    /// Up to here the leader knows that this server has it on disk.
    acked: Zxid,
    /// The leader said UPTODATE: clients are served once everything up to here is applied. Before that the tree may be a copy
    /// that holds parts of what is yet to come.
    serves_from: Option<Zxid>,
    /// The leader's configuration, until it is active.
    config: Option<Bytes>,
    /// Up to here everything came as a copy, or was left when the rest was taken back.
    copied: Zxid,
    /// Reconfigurations that are committed and not applied, with who leads on.
    activations: VecDeque<(Zxid, ServerId)>,
    /// Who learns from this follower while it serves.
    observers: Option<Observers>,
    /// In this epoch the leader is asked for a copy of everything.
    copy_in: Option<i64>,
    deadline_ms: i64,
}

impl Learner {
    /// Connected to the leader: begins with the greeting. `history` has applied everything it has; `version` is that of the
    /// active configuration.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        me: ServerId,
        observer: bool,
        version: i64,
        history: History,
        epochs: Epochs,
        times: Times,
        now_ms: i64,
        out: &mut Vec<Output>,
    ) -> Self {
        let mut info = me.to_bytes();
        PROTOCOL.encode(&mut info);
        version.encode(&mut info);
        let what = if observer { kind::OBSERVERINFO } else { kind::FOLLOWERINFO };
        let (committed, acked) = (history.applied(), history.applied());
        let learner = Learner {
            me,
            observer,
            times,
            epochs,
            epoch: 0,
            phase: Phase::Discovery,
            history,
            proposals: VecDeque::new(),
            committed_proposals: 0,
            committed,
            acked,
            serves_from: None,
            config: None,
            copied: Zxid::ZERO,
            activations: VecDeque::new(),
            observers: None,
            copy_in: None,
            deadline_ms: now_ms + times.init_ms,
        };
        learner.send(&Packet::with(what, Zxid(epochs.accepted << 32), info), out);
        learner
    }

    /// What the leader of the epoch accepted last wanted to be taken back cannot be: should it lead still, it is told that
    /// there is nothing here, as by a server that lost its disk, and sends everything. Of a later leader's choice this
    /// server's history is a part, and it says what it has.
    pub fn want_copy(&mut self) {
        self.copy_in = Some(self.epochs.accepted);
    }

    /// The history, once the role is over.
    pub fn into_history(self) -> History {
        self.history
    }

    /// What is remembered, and what is on its way.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// This server.
    pub fn me(&self) -> ServerId {
        self.me
    }

    /// Whether it votes nowhere.
    pub fn observes(&self) -> bool {
        self.observer
    }

    /// Whether clients are served.
    pub fn serves(&self) -> bool {
        self.phase == Phase::Broadcast && self.serves_from.is_none()
    }

    /// The last commit told by the leader.
    pub fn committed(&self) -> Zxid {
        self.committed
    }

    fn send(&self, packet: &Packet, out: &mut Vec<Output>) {
        out.push(Output::Send { link: LEADER, packet: packet.encode() });
    }

    /// A packet has come. A violation ends the term.
    pub fn receive(&mut self, packet: Packet, now_ms: i64, out: &mut Vec<Output>) -> Result<(), Violation> {
        let patience = match self.phase {
            Phase::InStep | Phase::Broadcast => self.times.sync_ms,
            _ => self.times.init_ms,
        };
        self.deadline_ms = now_ms + patience;
        match self.phase {
            Phase::Discovery => self.discovered(&packet, out),
            Phase::Head => self.head(&packet, out),
            Phase::Files => Err(Violation(format!("packet {} while the files are changed", packet.kind))),
            Phase::Synchronization | Phase::Persisting(_) | Phase::InStep => self.synchronize(packet, now_ms, out),
            Phase::Broadcast => self.broadcast(packet, out),
        }
    }

    fn discovered(&mut self, packet: &Packet, out: &mut Vec<Output>) -> Result<(), Violation> {
        if packet.kind != kind::LEADERINFO {
            return Err(Violation(format!("packet {} where the leader should tell its epoch", packet.kind)));
        }
        self.epoch = packet.zxid.0 >> 32;
        let late = mutant::is(Mutant::AcceptedEpochLate);
        self.copy_in.take_if(|epoch| *epoch != self.epoch);
        let current = match self.epoch.cmp(&self.epochs.accepted) {
            std::cmp::Ordering::Less => {
                let accepted = self.epochs.accepted;
                return Err(Violation(format!("the leader's epoch {} is older than {accepted}", self.epoch)));
            }
            // It was promised before, perhaps to this leader: this server does not count a second time.
            std::cmp::Ordering::Equal => -1,
            std::cmp::Ordering::Greater => {
                if !late {
                    out.push(Output::WriteEpoch(EpochFile::Accepted, self.epoch));
                }
                self.epochs.current as i32
            }
        };
        let last = if self.copy_in.is_some() { Zxid(-1) } else { self.history.last() };
        self.send(&Packet::with(kind::ACKEPOCH, last, current.to_bytes()), out);
        if late {
            out.push(Output::WriteEpoch(EpochFile::Accepted, self.epoch));
        }
        self.phase = Phase::Head;
        Ok(())
    }

    fn head(&mut self, packet: &Packet, out: &mut Vec<Output>) -> Result<(), Violation> {
        match packet.kind {
            kind::DIFF | kind::TRUNC if self.copy_in.is_some() => {
                return Err(Violation::new("the leader sends a part of what it was asked for as a whole"));
            }
            kind::DIFF => self.phase = Phase::Synchronization,
            kind::TRUNC => {
                self.phase = Phase::Files;
                out.push(Output::Truncate(packet.zxid));
            }
            kind::SNAP => {
                self.phase = Phase::Files;
                out.push(Output::Install(packet.zxid));
            }
            kind::PING => {}
            what => return Err(Violation(format!("packet {what} where the leader should say how to get in step"))),
        }
        Ok(())
    }

    /// A copy of everything, up to this transaction, or what the files hold up to it, is on disk and in the tree.
    pub fn installed(&mut self, zxid: Zxid, now_ms: i64) {
        assert_eq!(self.phase, Phase::Files, "nobody asked for it");
        self.history.reset(zxid);
        (self.committed, self.acked, self.copied) = (zxid, zxid, zxid);
        self.phase = Phase::Synchronization;
        self.deadline_ms = now_ms + self.times.init_ms;
    }

    fn synchronize(&mut self, packet: Packet, now_ms: i64, out: &mut Vec<Output>) -> Result<(), Violation> {
        let Packet { kind: what, zxid, data, .. } = packet;
        let data = data.unwrap_or_default();
        match what {
            kind::PROPOSAL => self.proposed(zxid, data, out)?,
            kind::COMMIT => self.told_commit(zxid, out)?,
            kind::COMMITANDACTIVATE => {
                self.activates(zxid, &data)?;
                self.told_commit(zxid, out)?;
            }
            kind::INFORM => {
                self.proposed(zxid, data, out)?;
                self.told_commit(zxid, out)?;
            }
            kind::INFORMANDACTIVATE => {
                self.activates(zxid, &data)?;
                self.proposed(zxid, data.slice(8..), out)?;
                self.told_commit(zxid, out)?;
            }
            kind::NEWLEADER if self.phase == Phase::Synchronization => {
                if zxid != Zxid(self.epoch << 32) {
                    return Err(Violation(format!("NEWLEADER of {zxid} in epoch {}", self.epoch)));
                }
                if data.len() > 1 {
                    out.push(Output::Seen(data.clone()));
                    self.config = Some(data);
                }
                if mutant::is(Mutant::EpochBeforeHistory) {
                    out.push(Output::WriteEpoch(EpochFile::Current, self.epoch));
                }
                self.log_committed(out)?;
                self.phase = Phase::Persisting(self.history.last());
                out.push(Output::Flush);
                self.persisted(now_ms, out);
            }
            kind::UPTODATE if self.phase == Phase::InStep => self.up_to_date(out)?,
            kind::NEWLEADER | kind::UPTODATE => {
                return Err(Violation(format!("packet {what} in phase {:?}", self.phase)));
            }
            // Without an answer, as in the original.
            _ => {}
        }
        Ok(())
    }

    /// A proposal, while getting in step. Twice the same does no harm; a hole would.
    fn proposed(&mut self, zxid: Zxid, record: Bytes, out: &mut Vec<Output>) -> Result<(), Violation> {
        let before = self.proposals.back().map_or(self.history.last(), |(zxid, _)| *zxid);
        if zxid <= before {
            // A copy is made some time after NEWLEADER was: it may hold a reconfiguration of which that does not tell.
            if zxid <= self.copied
                && let Some(text) = self.check(zxid, &record, out)?
            {
                self.config = Some(text);
            }
            return Ok(());
        }
        self.check(zxid, &record, out)?;
        if !follows(before, zxid) {
            return Err(Violation(format!("proposal {zxid} after {before}: there is a hole")));
        }
        self.proposals.push_back((zxid, record));
        Ok(())
    }

    /// Whether a record is what it is said to be; returns the configuration that it makes.
    fn check(&self, zxid: Zxid, record: &[u8], out: &mut Vec<Output>) -> Result<Option<Bytes>, Violation> {
        let decoded = TxnRecord::decode(record).map_err(|error| Violation(format!("proposal {zxid}: {error}")))?;
        if decoded.header.zxid() != zxid {
            return Err(Violation(format!("proposal {zxid} holds {}", decoded.header.zxid())));
        }
        let configuration = configuration_of(&decoded);
        if !mutant::is(Mutant::ProposedForgotten) {
            out.extend(configuration.clone().map(Output::Seen));
        }
        Ok(configuration)
    }

    /// A commit, while getting in step: of the oldest proposal without one.
    fn told_commit(&mut self, zxid: Zxid, out: &mut Vec<Output>) -> Result<(), Violation> {
        let next = self.proposals.get(self.committed_proposals).map(|(zxid, _)| *zxid);
        if Some(zxid) != next {
            // What a copy holds already is told once more.
            return match zxid <= self.committed {
                true => Ok(()),
                false => Err(Violation(format!("commit of {zxid} where {next:?} is next"))),
            };
        }
        self.committed = zxid;
        self.committed_proposals += 1;
        // History of an epoch that this server has reached goes to the log at once, so that no queue grows with it. What is
        // newer waits for NEWLEADER: a log ahead of its epoch is a folder that the original refuses to start from.
        if self.phase == Phase::Synchronization && i64::from(zxid.epoch()) <= self.epochs.current {
            self.log_committed(out)?;
        }
        Ok(())
    }

    fn log_committed(&mut self, out: &mut Vec<Output>) -> Result<(), Violation> {
        for _ in 0..std::mem::take(&mut self.committed_proposals) {
            let (zxid, record) = self.proposals.pop_front().expect("committed ones are among them");
            self.history.append(zxid, record.clone())?;
            out.push(Output::Append { zxid, record });
        }
        Ok(())
    }

    fn activates(&mut self, zxid: Zxid, data: &[u8]) -> Result<(), Violation> {
        let leader = Reader::unlimited(data).long();
        let leader = leader.map_err(|_| Violation::new("an activation that does not say who leads"))?;
        // What a copy holds already is told once more.
        if zxid > self.committed {
            self.activations.push_back((zxid, leader));
        }
        Ok(())
    }

    /// This server's log has synced everything up to `zxid`.
    pub fn logged(&mut self, zxid: Zxid, now_ms: i64, out: &mut Vec<Output>) {
        self.history.synced(zxid.min(self.history.last()));
        if self.phase == Phase::Broadcast && !self.observer {
            let logged = self.history.logged();
            for (zxid, _) in self.history.pending().iter().filter(|(zxid, _)| *zxid > self.acked && *zxid <= logged) {
                out.push(Output::Send { link: LEADER, packet: Packet::bare(kind::ACK, *zxid).encode() });
            }
            self.acked = self.acked.max(logged);
        }
        self.advance(out);
        self.persisted(now_ms, out);
    }

    /// The leader's history is on disk: then the epoch, then the answer.
    fn persisted(&mut self, now_ms: i64, out: &mut Vec<Output>) {
        let Phase::Persisting(upto) = self.phase else { return };
        if self.history.logged() < upto && !mutant::is(Mutant::NewLeaderAckBeforeLog) {
            return;
        }
        self.acked = upto;
        out.push(Output::WriteEpoch(EpochFile::Current, self.epoch));
        self.send(&Packet::bare(kind::ACK, Zxid(self.epoch << 32)), out);
        self.phase = Phase::InStep;
        self.deadline_ms = now_ms + self.times.init_ms;
    }

    fn up_to_date(&mut self, out: &mut Vec<Output>) -> Result<(), Violation> {
        self.send(&Packet::bare(kind::ACK, Zxid(self.epoch << 32)), out);
        self.phase = Phase::Broadcast;
        // A leader of the original tells of what is only proposed in its term, too. In force it is when its commit comes.
        let proposed = Zxid(self.epoch << 32).max(self.committed);
        let in_force = |text: &Bytes| version_of(text).is_none_or(|version| version <= proposed);
        if let Some(text) = self.config.take().filter(|text| in_force(text) || mutant::is(Mutant::ProposedInForce)) {
            out.push(Output::Activate { text: Some(text), leader: None });
        }
        if mutant::is(Mutant::PendingDropped) {
            self.proposals.truncate(self.committed_proposals);
        }
        if mutant::is(Mutant::PendingCommitted) {
            self.committed = self.proposals.back().map_or(self.committed, |(zxid, _)| *zxid);
        }
        self.committed_proposals = self.proposals.len();
        self.log_committed(out)?;
        self.serves_from = Some(self.committed);
        self.serve(out);
        Ok(())
    }

    fn serve(&mut self, out: &mut Vec<Output>) {
        if self.serves_from.take_if(|zxid| self.history.applied() >= *zxid).is_some() {
            self.observers = (!self.observer).then(|| Observers::new(self.me, self.epoch, self.times));
            out.push(Output::Serve { epoch: self.epoch });
        }
    }

    fn broadcast(&mut self, packet: Packet, out: &mut Vec<Output>) -> Result<(), Violation> {
        let Packet { kind: what, zxid, data, .. } = packet;
        let data = data.unwrap_or_default();
        match what {
            kind::PROPOSAL => self.learn(zxid, data, out)?,
            kind::COMMIT => self.commit(zxid, out)?,
            kind::COMMITANDACTIVATE => {
                self.activates(zxid, &data)?;
                self.commit(zxid, out)?;
            }
            kind::INFORM => {
                self.learn(zxid, data, out)?;
                self.commit(zxid, out)?;
            }
            kind::INFORMANDACTIVATE => {
                self.activates(zxid, &data)?;
                self.learn(zxid, data.slice(8..), out)?;
                self.commit(zxid, out)?;
            }
            kind::PING => out.push(Output::Pong(zxid)),
            kind::SYNC => out.push(Output::Synced),
            kind::REVALIDATE if self.observers.as_mut().is_some_and(|observers| observers.revalidated(&data, out)) => {}
            kind::REVALIDATE => out.push(Output::Revalidated(data)),
            // As in the original, what is unknown does no harm.
            _ => {}
        }
        Ok(())
    }

    fn learn(&mut self, zxid: Zxid, record: Bytes, out: &mut Vec<Output>) -> Result<(), Violation> {
        self.check(zxid, &record, out)?;
        self.history.append(zxid, record.clone())?;
        out.push(Output::Append { zxid, record });
        if mutant::is(Mutant::AckBeforeSync) && !self.observer {
            self.send(&Packet::bare(kind::ACK, zxid), out);
            self.acked = zxid;
        }
        Ok(())
    }

    fn commit(&mut self, zxid: Zxid, out: &mut Vec<Output>) -> Result<(), Violation> {
        let next = self.history.pending().iter().find(|(zxid, _)| *zxid > self.committed);
        if next.is_none_or(|(next, _)| *next != zxid) && !mutant::is(Mutant::PendingCommitted) {
            let next = next.map(|(zxid, _)| *zxid);
            return Err(Violation(format!("commit of {zxid} where {next:?} is next")));
        }
        if let (Some(observers), Some((_, record))) = (&self.observers, next) {
            let leads_on = self.activations.iter().find(|(at, _)| *at == zxid).map(|(_, leader)| *leader);
            observers.committed(zxid, record, leads_on, out);
        }
        self.committed = zxid;
        self.advance(out);
        Ok(())
    }

    fn advance(&mut self, out: &mut Vec<Output>) {
        let mut activated = Vec::new();
        let activations = &mut self.activations;
        let news = self.history.advance(self.committed, |zxid, record| {
            if let Some((_, leader)) = activations.pop_front_if(|(at, _)| *at <= zxid) {
                let text = TxnRecord::decode(record).ok().and_then(|record| configuration_of(&record));
                activated.push(Output::Activate { text, leader: Some(leader) });
            }
        });
        if let Some(zxid) = news {
            out.push(Output::Apply(zxid));
            out.append(&mut activated);
            self.serve(out);
        }
    }

    /// Time has passed: whether the leader is still heard.
    pub fn tick(&mut self, now_ms: i64, out: &mut Vec<Output>) {
        if self.phase != Phase::Files && now_ms >= self.deadline_ms {
            out.push(Output::End(format!("the leader was silent for too long in phase {:?}", self.phase)));
        }
        if let Some(observers) = &mut self.observers {
            observers.tick(self.committed, now_ms, out);
        }
    }

    /// An observer has connected. It is sent away by a follower that does not serve.
    pub fn observer_opened(&mut self, link: LinkId, now_ms: i64, out: &mut Vec<Output>) {
        match &mut self.observers {
            Some(observers) => observers.opened(link, now_ms),
            None => out.push(Output::Close { link, why: "this server does not follow a leader yet".into() }),
        }
    }

    /// An observer's connection is gone.
    pub fn observer_closed(&mut self, link: LinkId) {
        if let Some(observers) = &mut self.observers {
            observers.closed(link);
        }
    }

    /// A packet of an observer has come; `version` is that of the active configuration.
    pub fn receive_of(&mut self, link: LinkId, packet: Packet, version: i64, now_ms: i64, out: &mut Vec<Output>) {
        if let Some(observers) = &mut self.observers {
            observers.receive(link, packet, version, now_ms, out);
        }
    }

    /// Brings an observer up to date, as a leader does: see [`super::Leader::join`]. `config` is the active configuration.
    pub fn join_observer(&mut self, link: LinkId, peer: Zxid, config: Bytes, out: &mut Vec<Output>) -> Option<Plan> {
        let observers = self.observers.as_mut()?;
        observers.join(link, peer, &self.history, self.committed, config, out)
    }

    /// Observers that are told what is committed, by their links.
    pub fn observers(&self) -> impl Iterator<Item = (LinkId, ServerId)> + '_ {
        self.observers.iter().flat_map(Observers::informed)
    }
}

/// The version of a configuration: the transaction that made it, or the start of an epoch.
fn version_of(text: &[u8]) -> Option<Zxid> {
    let version = text.rsplit(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"version="))?;
    i64::from_str_radix(std::str::from_utf8(version).ok()?.trim(), 16).ok().map(Zxid)
}

/// What a reconfiguration makes of the ensemble.
fn configuration_of(record: &TxnRecord<'_>) -> Option<Bytes> {
    match &record.txn {
        Txn::SetData { data, .. } if record.header.op == OpCode::RECONFIG.0 => data.map(Bytes::copy_from_slice),
        _ => None,
    }
}
