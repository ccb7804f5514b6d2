//! What a follower does for observers that learn from it instead of the leader (`ObserverMaster`,
//! `ObserverMasterLearnerHandler`): it brings them in step from its own history, tells them what the leader has committed,
//! and relays what their clients want. It decides nothing: no observer counts for a quorum, and the epoch is the leader's.

use super::packet::{greeting, long_of, put_history};
use super::{History, LEADER, LinkId, Output, PROTOCOL, Packet, Plan, ServerId, Times, Violation, kind};
use crate::jute::{Encode, Reader};
use crate::proto::session::SessionId;
use crate::proto::{OpCode, Zxid};
use bytes::Bytes;
use std::collections::BTreeMap;

/// How far an observer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It has to say who it is.
    Greeting,
    /// It has to accept the epoch.
    Accepting,
    /// It is about to be brought up to date.
    Joining,
    /// It has to say that what it was sent is on its disk.
    Synchronizing,
    /// It serves.
    Serving,
}

#[derive(Debug)]
struct Observer {
    member: ServerId,
    step: Step,
    /// When its patience ends in this step.
    deadline_ms: i64,
}

impl Observer {
    fn is_informed(&self) -> bool {
        matches!(self.step, Step::Synchronizing | Step::Serving)
    }
}

/// The observers of a follower that serves.
#[derive(Debug)]
pub(super) struct Observers {
    me: ServerId,
    epoch: i64,
    times: Times,
    links: BTreeMap<LinkId, Observer>,
    /// Sessions that the leader is asked about, for whom.
    asked: BTreeMap<SessionId, LinkId>,
    next_ping_ms: i64,
}

impl Observers {
    /// None yet, in the leader's epoch.
    pub fn new(me: ServerId, epoch: i64, times: Times) -> Self {
        Observers { me, epoch, times, links: BTreeMap::new(), asked: BTreeMap::new(), next_ping_ms: 0 }
    }

    /// Those that are told what is committed.
    pub fn informed(&self) -> impl Iterator<Item = (LinkId, ServerId)> + '_ {
        self.links.iter().filter(|(_, link)| link.is_informed()).map(|(id, link)| (*id, link.member))
    }

    /// Somebody has connected.
    pub fn opened(&mut self, link: LinkId, now_ms: i64) {
        let deadline_ms = now_ms + self.times.init_ms;
        self.links.insert(link, Observer { member: -1, step: Step::Greeting, deadline_ms });
    }

    /// A connection is gone.
    pub fn closed(&mut self, link: LinkId) {
        self.links.remove(&link);
        self.asked.retain(|_, waiting| *waiting != link);
    }

    fn close(&mut self, link: LinkId, why: String, out: &mut Vec<Output>) {
        self.closed(link);
        out.push(Output::Close { link, why });
    }

    /// A packet has come. A violation ends the link, with a [`Output::Close`].
    pub fn receive(&mut self, link: LinkId, packet: Packet, version: i64, now_ms: i64, out: &mut Vec<Output>) {
        if self.links.contains_key(&link)
            && let Err(violation) = self.handle(link, packet, version, now_ms, out)
        {
            self.close(link, violation.0, out);
        }
    }

    fn handle(
        &mut self,
        id: LinkId,
        packet: Packet,
        version: i64,
        now_ms: i64,
        out: &mut Vec<Output>,
    ) -> Result<(), Violation> {
        let init_ms = self.times.init_ms;
        let link = self.links.get_mut(&id).expect("the caller has seen it");
        match (link.step, packet.kind) {
            (Step::Greeting, kind::OBSERVERINFO) => return self.greeted(id, &packet, version, now_ms, out),
            (Step::Accepting, kind::ACKEPOCH) => {
                link.step = Step::Joining;
                out.push(Output::Join { link: id, member: link.member, peer: packet.zxid });
            }
            (Step::Synchronizing, kind::ACK) if packet.zxid == Zxid(self.epoch << 32) => {
                (link.step, link.deadline_ms) = (Step::Serving, now_ms + self.times.sync_ms);
                out.push(Output::Send { link: id, packet: Packet::bare(kind::UPTODATE, Zxid(-1)).encode() });
            }
            (Step::Serving, what) => {
                link.deadline_ms = now_ms + self.times.sync_ms;
                let relayed = || Output::Send { link: LEADER, packet: packet.encode() };
                let data = packet.data.as_deref().unwrap_or_default();
                match what {
                    kind::PING => out.push(Output::Touched(packet.data.unwrap_or_default())),
                    kind::REVALIDATE => {
                        let session =
                            long_of(data).ok_or_else(|| Violation::new("a revalidation without a session"))?;
                        self.asked.insert(session, id);
                        out.push(relayed());
                    }
                    kind::REQUEST => {
                        let op = Reader::unlimited(data.get(12..).unwrap_or_default()).int();
                        let op = op.map_err(|_| Violation::new("a request of less than 16 bytes"))?;
                        if OpCode(op) == OpCode::SYNC {
                            out.push(Output::SyncOf(id));
                        }
                        out.push(relayed());
                    }
                    // As in the original, what is unknown does no harm.
                    _ => {}
                }
                return Ok(());
            }
            (step, what) => return Err(Violation(format!("packet {what} from an observer in step {step:?}"))),
        }
        if link.step != Step::Serving {
            link.deadline_ms = now_ms + init_ms;
        }
        Ok(())
    }

    fn greeted(
        &mut self,
        id: LinkId,
        packet: &Packet,
        version: i64,
        now_ms: i64,
        out: &mut Vec<Output>,
    ) -> Result<(), Violation> {
        let member = greeting(packet, self.me, version)?;
        let is_older = |(other, link): (&LinkId, &Observer)| (*other != id && link.member == member).then_some(*other);
        let older: Vec<LinkId> = self.links.iter().filter_map(is_older).collect();
        for older in older {
            self.close(older, format!("observer {member} has connected again"), out);
        }
        let deadline_ms = now_ms + self.times.init_ms;
        self.links.insert(id, Observer { member, step: Step::Accepting, deadline_ms });
        let info = Packet::with(kind::LEADERINFO, Zxid(self.epoch << 32), PROTOCOL.to_bytes());
        out.push(Output::Send { link: id, packet: info.encode() });
        Ok(())
    }

    /// As [`super::Leader::join`]. What is committed and not applied here yet is told at once: others have it on disk.
    pub fn join(
        &mut self,
        id: LinkId,
        peer: Zxid,
        history: &History,
        committed: Zxid,
        config: Bytes,
        out: &mut Vec<Output>,
    ) -> Option<Plan> {
        let link = self.links.get_mut(&id).filter(|link| link.step == Step::Joining)?;
        let plan = history.plan(peer);
        if let Plan::Diff { from, .. } | Plan::Trunc(from) = plan {
            history.after(from).for_each(|(zxid, record)| put_history(id, *zxid, record, out));
        }
        let pending = history.pending().iter().take_while(|(zxid, _)| *zxid <= committed);
        pending.for_each(|(zxid, record)| put_history(id, *zxid, record, out));
        link.step = Step::Synchronizing;
        let new_leader = Packet::with(kind::NEWLEADER, Zxid(self.epoch << 32), config);
        out.push(Output::Send { link: id, packet: new_leader.encode() });
        Some(plan)
    }

    /// The leader has committed a transaction; with it another may lead on.
    pub fn committed(&self, zxid: Zxid, record: &Bytes, leads_on: Option<ServerId>, out: &mut Vec<Output>) {
        if self.links.is_empty() {
            return;
        }
        let packet = match leads_on {
            None => Packet::with(kind::INFORM, zxid, record.clone()),
            Some(leader) => Packet::with(kind::INFORMANDACTIVATE, zxid, [&leader.to_bytes()[..], record].concat()),
        };
        let packet = packet.encode();
        out.extend(self.informed().map(|(link, _)| Output::Send { link, packet: packet.clone() }));
    }

    /// The leader says whether a session lives; false if no observer asked.
    pub fn revalidated(&mut self, data: &Bytes, out: &mut Vec<Output>) -> bool {
        let Some(link) = long_of(data).and_then(|session| self.asked.remove(&session)) else { return false };
        let answer = Packet::with(kind::REVALIDATE, Zxid(-1), data.clone());
        out.push(Output::Send { link, packet: answer.encode() });
        true
    }

    /// Time has passed: pings, and patience.
    pub fn tick(&mut self, last: Zxid, now_ms: i64, out: &mut Vec<Output>) {
        // Bringing up to date ends by itself, with its connection, and patience begins behind it.
        for link in self.links.values_mut().filter(|link| link.step == Step::Joining) {
            link.deadline_ms = now_ms + self.times.init_ms;
        }
        let late = self.links.iter().filter(|(_, link)| now_ms >= link.deadline_ms);
        let late: Vec<_> =
            late.map(|(id, link)| (*id, format!("silent for too long in step {:?}", link.step))).collect();
        late.into_iter().for_each(|(link, why)| self.close(link, why, out));
        if now_ms >= self.next_ping_ms {
            self.next_ping_ms = now_ms + self.times.tick_ms / 2;
            let ping = Packet::bare(kind::PING, last).encode();
            out.extend(self.informed().map(|(link, _)| Output::Send { link, packet: ping.clone() }));
        }
    }
}
