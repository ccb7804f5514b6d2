//! What a server has logged, applied, and still remembers (`ZKDatabase.committedLog` and the proposals behind it), across
//! roles. Stricter than the original: nothing is applied before it is on this server's own disk, on a leader too, so
//! memory never runs ahead of the log.

use super::Violation;
use crate::mutant::{self, Mutant};
use crate::proto::Zxid;
use bytes::Bytes;
use std::collections::VecDeque;

/// How a learner is brought up to date (`LearnerHandler.syncFollower`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// What it lacks behind this transaction follows; the second is the last that follows.
    Diff {
        /// The last that it has in common with this server.
        from: Zxid,
        /// The last committed one.
        to: Zxid,
    },
    /// It must take back what comes after this transaction; the rest follows.
    Trunc(Zxid),
    /// It gets everything.
    Snap,
}

/// Transactions by their place on the way: appended, on disk, applied.
#[derive(Debug)]
pub struct History {
    /// Applied ones, for learners that were away.
    recent: VecDeque<(Zxid, Bytes)>,
    recent_max: usize,
    /// Handed to the log, not applied.
    pending: VecDeque<(Zxid, Bytes)>,
    logged: Zxid,
    applied: Zxid,
    /// The last applied transaction, or where the files ended at first: never the start of an own epoch.
    newest: Zxid,
}

impl History {
    /// Of a server whose log ends at `last`, all of it applied. Remembers `recent_max` transactions (`commitLogCount`).
    pub fn new(last: Zxid, recent_max: usize) -> Self {
        let (recent, pending) = (VecDeque::new(), VecDeque::new());
        History { recent, recent_max, pending, logged: last, applied: last, newest: last }
    }

    /// Everything anew, after the files were replaced.
    pub fn reset(&mut self, last: Zxid) {
        *self = History::new(last, self.recent_max);
    }

    /// The last transaction handed to the log.
    pub fn last(&self) -> Zxid {
        self.pending.back().map_or(self.applied, |(zxid, _)| *zxid)
    }

    /// The last one that is on this server's disk.
    pub fn logged(&self) -> Zxid {
        self.logged
    }

    /// The last one that the tree has seen.
    pub fn applied(&self) -> Zxid {
        self.applied
    }

    /// Transactions handed to the log and not applied, oldest first.
    pub fn pending(&self) -> &VecDeque<(Zxid, Bytes)> {
        &self.pending
    }

    /// A transaction goes to the log. A hole must not be spread: it follows the last one, or begins an epoch.
    pub fn append(&mut self, zxid: Zxid, record: Bytes) -> Result<(), Violation> {
        let last = self.last();
        if !follows(last, zxid) {
            return Err(Violation(format!("proposal {zxid} after {last}: there is a hole")));
        }
        self.pending.push_back((zxid, record));
        Ok(())
    }

    /// The log has synced everything up to `zxid`.
    pub fn synced(&mut self, zxid: Zxid) {
        debug_assert!(zxid <= self.last(), "{zxid} is on disk, and {} was the last", self.last());
        self.logged = self.logged.max(zxid);
    }

    /// Applies what is committed and on disk; `each` sees every transaction once. Returns how far, if that is news.
    pub fn advance(&mut self, committed: Zxid, mut each: impl FnMut(Zxid, &Bytes)) -> Option<Zxid> {
        let logged = if mutant::is(Mutant::AppliedBeforeLogged) { Zxid(i64::MAX) } else { self.logged };
        let limit = committed.min(logged);
        let mut news = None;
        while let Some((zxid, record)) = self.pending.pop_front_if(|(zxid, _)| *zxid <= limit) {
            each(zxid, &record);
            (self.applied, self.newest) = (zxid, zxid);
            news = Some(zxid);
            if self.recent_max > 0 {
                self.recent.push_back((zxid, record));
                if self.recent.len() > self.recent_max {
                    self.recent.pop_front();
                }
            }
        }
        news
    }

    /// The end of a role: what is on disk counts as history, as it would after a restart.
    pub fn fast_forward(&mut self) -> Option<Zxid> {
        debug_assert!(self.logged >= self.last(), "the log was not written out");
        self.advance(Zxid(i64::MAX), |_, _| {})
    }

    /// A leader's epoch begins: its zxid is nobody's transaction, yet the last that was seen.
    pub fn begin_epoch(&mut self, start: Zxid) {
        debug_assert!(self.pending.is_empty() && start >= self.applied);
        (self.applied, self.logged) = (start, start);
    }

    /// The oldest and the newest that is remembered; with nothing remembered, behind the last one.
    fn bounds(&self) -> (Zxid, Zxid) {
        match (self.recent.front(), self.recent.back()) {
            (Some(first), Some(last)) => (first.0, last.0),
            _ => (self.newest, self.newest),
        }
    }

    /// Whether a server whose log ends at `peer` lacks nothing but what is remembered, from the first of it.
    fn leads_up_to_memory(&self, peer: Zxid) -> bool {
        self.recent.front().map_or(peer == self.newest, |(first, _)| peer.next() == *first)
    }

    /// The first transaction that can be had from memory, when a learner at `peer` may lack older ones, which only the
    /// log files hold.
    pub fn missing_from_memory(&self, peer: Zxid) -> Option<Zxid> {
        let (min, _) = self.bounds();
        (peer != self.applied && peer < min && !self.leads_up_to_memory(peer)).then_some(min)
    }

    /// How a learner whose log ends at `peer` gets in step.
    pub fn plan(&self, peer: Zxid) -> Plan {
        let (min, max) = self.bounds();
        let starts_epoch = peer.counter() == 0;
        if peer == self.applied {
            return Plan::Diff { from: peer, to: peer };
        }
        if peer > max && !starts_epoch {
            return Plan::Trunc(max);
        }
        if self.leads_up_to_memory(peer) {
            return Plan::Diff { from: peer, to: max };
        }
        if peer < min || peer > max {
            return Plan::Snap;
        }
        let at = self.recent.partition_point(|(zxid, _)| *zxid < peer);
        match (self.recent.get(at), at.checked_sub(1).and_then(|before| self.recent.get(before))) {
            (Some((zxid, _)), _) if *zxid == peer => Plan::Diff { from: peer, to: max },
            // The start of an epoch: the learner has everything before it, which ends at the one before.
            (Some(_), Some((before, _))) if starts_epoch => Plan::Diff { from: *before, to: max },
            // It has one that never became history: cut before it, unless that was in another epoch.
            (Some((next, _)), Some((before, _))) if next.epoch() == peer.epoch() => Plan::Trunc(*before),
            _ => Plan::Snap,
        }
    }

    /// What is remembered behind `from`.
    pub fn after(&self, from: Zxid) -> impl Iterator<Item = &(Zxid, Bytes)> {
        self.recent.range(self.recent.partition_point(|(zxid, _)| *zxid <= from)..)
    }
}

/// Whether a transaction may come next.
pub fn follows(last: Zxid, next: Zxid) -> bool {
    match next.epoch() == last.epoch() {
        true => next == last.next(),
        false => next > last && next.counter() == 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(zxids: &[(u32, u32)]) -> History {
        let mut history = History::new(Zxid::ZERO, 500);
        for (epoch, counter) in zxids {
            let zxid = Zxid::new(*epoch, *counter);
            history.append(zxid, Bytes::new()).unwrap();
            history.synced(zxid);
        }
        history.fast_forward();
        history
    }

    #[test]
    fn plans_are_those_of_the_original() {
        let mut history = history(&[(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]);
        let z = Zxid::new;
        for (peer, plan) in [
            (z(2, 2), Plan::Diff { from: z(2, 2), to: z(2, 2) }),
            (z(1, 1), Plan::Diff { from: z(1, 1), to: z(2, 2) }),
            (z(1, 3), Plan::Diff { from: z(1, 3), to: z(2, 2) }),
            (z(2, 3), Plan::Trunc(z(2, 2))),
            // It has one of epoch 1 that nobody else has, and the next is of another epoch.
            (z(1, 4), Plan::Snap),
            (z(2, 0), Plan::Diff { from: z(1, 3), to: z(2, 2) }),
            (z(1, 0), Plan::Diff { from: z(1, 0), to: z(2, 2) }),
            (z(0, 9), Plan::Snap),
            (Zxid::ZERO, Plan::Snap),
            (z(3, 0), Plan::Snap),
        ] {
            assert_eq!(history.plan(peer), plan, "{peer}");
        }
        history.begin_epoch(z(3, 0));
        assert_eq!(history.plan(z(3, 0)), Plan::Diff { from: z(3, 0), to: z(3, 0) });
        assert_eq!(history.plan(z(2, 2)), Plan::Diff { from: z(2, 2), to: z(2, 2) });
        assert_eq!(history.after(z(1, 3)).map(|(zxid, _)| *zxid).collect::<Vec<_>>(), [z(2, 1), z(2, 2)]);
        assert_eq!(history.missing_from_memory(z(0, 9)), Some(z(1, 1)));
        assert_eq!(history.missing_from_memory(z(1, 0)), None);
        assert_eq!(history.missing_from_memory(z(1, 1)), None);
    }

    #[test]
    fn a_server_that_remembers_nothing_lets_nobody_in_who_lacks_something() {
        let z = Zxid::new;
        let mut history = History::new(z(1, 5), 500);
        assert_eq!(history.plan(z(1, 4)), Plan::Snap, "the last one is on disk, and not in memory");
        assert_eq!(history.missing_from_memory(z(1, 4)), Some(z(1, 5)));
        assert_eq!(history.plan(z(1, 6)), Plan::Trunc(z(1, 5)));
        history.begin_epoch(z(2, 0));
        assert_eq!(history.plan(z(1, 5)), Plan::Diff { from: z(1, 5), to: z(1, 5) });
        assert_eq!((history.plan(z(1, 4)), history.missing_from_memory(z(1, 4))), (Plan::Snap, Some(z(1, 5))));
        // What was proposed in this epoch, and is not committed, is taken back to a transaction that the other has.
        assert_eq!(history.plan(z(2, 1)), Plan::Trunc(z(1, 5)));
    }

    #[test]
    fn a_peer_in_a_gap_of_its_own_epoch_is_cut_before_it() {
        let mut history = History::new(Zxid::ZERO, 500);
        history.recent = [1, 2, 5].map(|counter| (Zxid::new(1, counter), Bytes::new())).into();
        history.applied = Zxid::new(1, 5);
        assert_eq!(history.plan(Zxid::new(1, 3)), Plan::Trunc(Zxid::new(1, 2)));
    }

    #[test]
    fn nothing_is_applied_before_it_is_on_disk_or_before_it_is_committed() {
        let mut history = History::new(Zxid(4), 1);
        for zxid in [5, 6, 7] {
            history.append(Zxid(zxid), Bytes::new()).unwrap();
        }
        assert_eq!(history.advance(Zxid(7), |_, _| ()), None);
        history.synced(Zxid(6));
        let mut seen = Vec::new();
        assert_eq!(history.advance(Zxid(5), |zxid, _| seen.push(zxid)), Some(Zxid(5)));
        assert_eq!(history.advance(Zxid(7), |zxid, _| seen.push(zxid)), Some(Zxid(6)));
        assert_eq!((seen, history.recent.len()), (vec![Zxid(5), Zxid(6)], 1));
        assert!(history.append(Zxid(9), Bytes::new()).is_err(), "a hole");
        assert!(history.append(Zxid(7), Bytes::new()).is_err(), "twice");
        assert!(history.append(Zxid::new(1, 2), Bytes::new()).is_err(), "an epoch begins with 1");
        assert!(history.append(Zxid::new(1, 1), Bytes::new()).is_ok());
    }
}
