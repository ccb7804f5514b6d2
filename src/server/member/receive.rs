//! Packets of other members, as many as came along together: one turn at the lock, one record of the log's and one send
//! for each link where there can be, because under load a member gets them by the dozen.

use super::super::log_thread::Log;
use super::super::pipeline::{Pipeline, Wakes};
use super::{Machine, Work};
use crate::zab::{LinkId, Packet, Violation, kind};

/// What came of a learner's packets.
pub struct Received {
    /// To be done before the next packet.
    pub work: Option<Work>,
    /// The term is over, for this reason.
    pub ended: Option<String>,
    /// Bytes that wait for the log thread.
    pub backlog: usize,
}

impl Pipeline {
    /// A packet of a learner of this leader or follower, and those that came along with it. Returns how many that were.
    pub fn receive_from<E>(
        &self,
        id: LinkId,
        first: Packet,
        mut more: impl FnMut() -> Result<Option<Packet>, E>,
        log: &Log,
    ) -> Result<usize, E> {
        let (mut guard, mut wakes) = (self.lock(), Wakes::default());
        let state = &mut *guard;
        let (mut next, mut count, mut failed) = (Some(first), 0, None);
        while let Some(packet) = next {
            next = more().unwrap_or_else(|error| {
                failed = Some(error);
                None
            });
            count += 1;
            self.count_packet_of(state, id, &packet);
            // Who has the later one on disk has the earlier one too.
            if next.as_ref().is_some_and(|next| acknowledges_more(&packet, next)) {
                continue;
            }
            let mut out = Vec::new();
            let now_ms = self.clock.now_ms();
            match &mut state.member.machine {
                Machine::Leading(leader) => leader.receive(id, packet, now_ms, &mut out),
                Machine::Learning(learner) => {
                    let version = state.member.duties.as_ref().map_or(0, |duties| duties.known.version());
                    learner.receive_of(id, packet, version, now_ms, &mut out);
                }
                Machine::Resting(_) => {}
            }
            // At once: what a request becomes stands before a sync that follows it.
            self.perform(state, out, &mut wakes);
        }
        self.leave(guard, wakes, Some(log));
        failed.map_or(Ok(count), Err)
    }

    /// As learner: a packet of the leader, and those that came along with it, up to one that asks for work on files: that
    /// is done before the next one.
    pub fn receive<E: From<Violation>>(
        &self,
        first: Packet,
        mut more: impl FnMut() -> Result<Option<Packet>, E>,
        log: &Log,
    ) -> Result<Received, E> {
        let (mut guard, mut wakes) = (self.lock(), Wakes::default());
        let state = &mut *guard;
        let (mut out, mut next, mut failed) = (Vec::new(), Some(first), None);
        while let Some(packet) = next.take() {
            let what = packet.kind;
            if matches!(what, kind::COMMIT | kind::INFORM) {
                state.count_commit();
            }
            let received = match &mut state.member.machine {
                Machine::Learning(learner) => learner.receive(packet, self.clock.now_ms(), &mut out),
                _ => Ok(()),
            };
            // Answers take their place behind what is committed by now.
            if !matches!(what, kind::PROPOSAL | kind::COMMIT) {
                self.perform(state, std::mem::take(&mut out), &mut wakes);
            }
            match received.map_err(E::from).and_then(|()| if state.member.work.is_some() { Ok(None) } else { more() }) {
                Ok(more) => next = more,
                Err(error) => failed = Some(error),
            }
        }
        self.perform(state, out, &mut wakes);
        let member = &mut state.member;
        let (work, ended, backlog) = (member.work.take(), member.ended.clone(), state.to_log_bytes);
        self.leave(guard, wakes, Some(log));
        failed.map_or(Ok(Received { work, ended, backlog }), Err)
    }
}

/// Whether both acknowledge transactions, the second a later one of the same epoch.
fn acknowledges_more(packet: &Packet, next: &Packet) -> bool {
    let acks = packet.kind == kind::ACK && next.kind == kind::ACK && packet.zxid.counter() > 0;
    acks && packet.zxid.epoch() == next.zxid.epoch() && packet.zxid < next.zxid
}
