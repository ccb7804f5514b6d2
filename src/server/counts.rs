//! What the write path counts for metrics, at the places where the original's processors do. All of it happens under the lock
//! of the pipeline, in batches, into readings that lie behind that lock.

use super::member::{Machine, Role};
use super::pipeline::{InFlight, Pipeline, State};
use crate::metrics::{self, Readings, Summary, namespace_of};
use crate::proto::txn::Txn;
use crate::proto::{OpCode, Zxid};
use crate::reactor::{Sizes, Submission};
use crate::tree::Outcome;
use crate::zab::{LinkId, Packet, kind};
use bytes::Bytes;
use std::time::Duration;

/// Where the header of a record has its time: behind session, xid and zxid.
const TIME_AT: usize = 20;

/// When a record's transaction was made, by its leader's wall clock, ms.
pub(super) fn time_of(record: &[u8]) -> Option<i64> {
    record.get(TIME_AT..TIME_AT + 8)?.try_into().ok().map(i64::from_be_bytes)
}

/// Takes the age of a record, unless the clock of whoever made it is ahead (`Request.logLatency`).
pub(super) fn record_age(readings: &mut Readings, summary: Summary, record: &[u8], wall_ms: i64) {
    if let Some(age) = time_of(record).map(|time_ms| wall_ms - time_ms).filter(|age| *age >= 0) {
        readings.record(summary, age);
    }
}

pub(super) fn ms(us: i64) -> i64 {
    us.max(0) / 1_000
}

/// What a transaction wrote of its namespaces (`DataTree.updateWriteStat`).
pub(super) fn count_written(readings: &mut Readings, txn: &Txn<'_>, outcome: &Outcome<'_>) {
    if matches!(outcome, Outcome::Failed(_)) {
        return;
    }
    let mut written = |path: Option<&str>, bytes: usize| {
        let path = path.unwrap_or_default();
        if let Some(namespace) = namespace_of(path) {
            readings.record_for(metrics::WRITE_PER_NAMESPACE, namespace, (path.len() + bytes) as i64);
        }
    };
    let of_one = |txn: &Txn<'_>, written: &mut dyn FnMut(Option<&str>, usize)| match txn {
        Txn::Create(create) => written(create.path.as_deref(), create.data.map_or(0, <[u8]>::len)),
        Txn::Delete { path } => written(path.as_deref(), 0),
        Txn::SetData { path, data, .. } => written(path.as_deref(), data.map_or(0, <[u8]>::len)),
        Txn::CloseSession { paths } => paths.iter().flatten().for_each(|path| written(path.as_deref(), 0)),
        _ => {}
    };
    match txn {
        // One that failed keeps the parts in front of the one that could not be done.
        Txn::Multi(parts) if parts.iter().any(|(_, part)| matches!(part, Txn::Error { .. })) => {}
        Txn::Multi(parts) => parts.iter().for_each(|(_, part)| of_one(part, &mut written)),
        one => of_one(one, &mut written),
    }
}

/// Sums over the writes of one visit of the tree.
#[derive(Debug, Default)]
pub(super) struct Visit {
    pub writes: u32,
    pub reads: u32,
    /// Local writes of members, each with the time it has been under way, ms.
    local_ms: Vec<i64>,
    remote: u32,
    /// How long the last local write has been under way, us, and how many before it as long: those of one submission.
    committed: (u64, u64),
}

impl Visit {
    /// A write that is about to be applied.
    pub fn count(&mut self, readings: &mut Readings, role: Role, write: &InFlight, wall_ms: i64, now_us: i64) {
        self.reads += write.reads.len() as u32;
        if write.op != OpCode::SYNC {
            if write.connection.is_some() {
                let us = u64::try_from(now_us - write.since_us).unwrap_or(0);
                if us != self.committed.0 {
                    self.observe_committed(readings);
                    self.committed.0 = us;
                }
                self.committed.1 += 1;
            }
            record_age(readings, metrics::PROPAGATION_LATENCY, &write.record, wall_ms);
        }
        if role == Role::Alone || write.record.is_empty() {
            return;
        }
        self.writes += 1;
        match role {
            Role::Leading => record_age(readings, metrics::QUORUM_ACK_LATENCY, &write.record, wall_ms),
            role if role.learns() => record_age(readings, metrics::COMMIT_PROPAGATION_LATENCY, &write.record, wall_ms),
            _ => {}
        }
        match write.connection.is_some() {
            true => self.local_ms.push(ms(now_us - write.since_us)),
            false => self.remote += 1,
        }
    }

    fn observe_committed(&mut self, readings: &mut Readings) {
        let (us, times) = std::mem::take(&mut self.committed);
        if times > 0 {
            readings.observe(metrics::COMMIT_SECONDS, "", us, times);
        }
    }

    /// The visit is over: what the original's `CommitProcessor` counts in each of its rounds. A standalone server has none.
    pub fn done(mut self, readings: &mut Readings, queued: usize, waited_us: u64, took_us: i64) {
        self.observe_committed(readings);
        if self.writes == 0 {
            return;
        }
        let (waited_ms, took_ms) = (waited_us as i64 / 1_000, ms(took_us));
        for (summary, value) in [
            (metrics::READ_COMMIT_PROC_REQ_QUEUED, i64::from(self.reads)),
            (metrics::WRITE_COMMIT_PROC_REQ_QUEUED, queued as i64),
            (metrics::COMMIT_COMMIT_PROC_REQ_QUEUED, i64::from(self.writes)),
            (metrics::READ_COMMIT_PROC_ISSUED, i64::from(self.reads)),
            (metrics::WRITE_COMMIT_PROC_ISSUED, i64::from(self.writes)),
            (metrics::TIME_WAITING_EMPTY_POOL_IN_COMMIT_PROCESSOR_READ_MS, waited_ms),
            (metrics::WRITE_BATCH_TIME_IN_COMMIT_PROCESSOR, took_ms),
            (metrics::COMMIT_PROCESS_TIME, waited_ms + took_ms),
        ] {
            readings.record(summary, value);
        }
        readings.add(metrics::REQUEST_COMMIT_QUEUED, i64::from(self.writes));
        readings.record_shared(metrics::WRITE_FINAL_PROC_TIME_MS, took_ms, self.writes);
        for under_way_ms in &self.local_ms {
            readings.record(metrics::WRITE_COMMITPROC_TIME_MS, *under_way_ms);
        }
        readings.record_many(metrics::LOCAL_WRITE_COMMITTED_TIME_MS, waited_ms, self.local_ms.len() as u32);
        readings.record_many(metrics::SERVER_WRITE_COMMITTED_TIME_MS, waited_ms, self.remote);
    }
}

impl State {
    /// Requests that are taken for preparation, after waiting so long for those before them.
    pub(super) fn count_taken(&mut self, submissions: &[Submission], waited_us: i64) {
        let requests = submissions.iter().filter(|submission| submission.is_request()).count() as u32;
        let readings = &mut self.readings;
        readings.add(metrics::PREP_PROCESSOR_REQUEST_QUEUED, i64::from(requests));
        readings.record(metrics::PREP_PROCESSOR_QUEUE_SIZE, i64::from(requests));
        readings.record_many(metrics::PREP_PROCESSOR_QUEUE_TIME_MS, ms(waited_us), requests);
    }

    /// A client that was let in by the throttle of connections (`ZooKeeperServer.processConnectRequest`).
    pub(super) fn count_connect(&mut self, resumes: bool) {
        self.readings.add(metrics::CONNECTION_REQUEST_COUNT, 1);
        self.readings.record(metrics::CONNECTION_TOKEN_DEFICIT, self.throttle.deficit());
        self.readings.add(metrics::CONNECTION_REVALIDATE_COUNT, i64::from(resumes));
    }

    /// A follower sends on what its own clients want (`FollowerRequestProcessor`).
    pub(super) fn count_forwarded(&mut self, submissions: &[Submission]) {
        self.readings.record(metrics::LEARNER_REQUEST_PROCESSOR_QUEUE_SIZE, submissions.len() as i64);
        for submission in submissions {
            if let Some(resumes) = submission.connects() {
                self.count_connect(resumes);
            }
        }
    }

    /// A proposal of the leader (`Follower.processPacket`).
    pub(super) fn count_proposal(&mut self, record: &[u8], wall_ms: i64) {
        if self.member.role.learns() {
            self.readings.add(metrics::LEARNER_PROPOSAL_RECEIVED_COUNT, 1);
            record_age(&mut self.readings, metrics::PROPOSAL_LATENCY, record, wall_ms);
        }
    }

    /// A commit of the leader (`Follower.processPacket`).
    pub(super) fn count_commit(&mut self) {
        if self.member.role.learns() {
            self.readings.add(metrics::LEARNER_COMMIT_RECEIVED_COUNT, 1);
        }
    }

    /// A voter has this on disk; every so many are measured (`leader.ackLoggingFrequency`, `Leader.processAck`).
    pub(super) fn count_ack(&mut self, voter: i64, zxid: Zxid, every: i64, wall_ms: i64) {
        if every <= 0 || zxid.0 % every != 0 {
            return;
        }
        let record = self.in_flight.iter().find(|write| write.zxid == zxid).map(|write| write.record.clone());
        let time_ms = record.as_ref().and_then(|record: &Bytes| time_of(record));
        if let Some(age) = time_ms.map(|time_ms| wall_ms - time_ms).filter(|age| *age >= 0) {
            self.readings.record_for(metrics::ACK_LATENCY, voter.to_string(), age);
        }
    }

    /// From now on nobody is served (`QuorumPeer.run`).
    pub(super) fn unavailable(&mut self, now_us: i64) {
        self.unavailable_since_us.get_or_insert(now_us);
        self.led_since_us = None;
    }

    /// Clients are served, in the role that the member has by now (`QuorumPeer.setZabState`).
    pub(super) fn available(&mut self, now_us: i64) {
        let role = self.member.role;
        let leads = role == Role::Leading;
        self.led_since_us = leads.then_some(now_us);
        self.proposals = Sizes::default();
        if let Some(since_us) = self.learning_since_us.take().filter(|_| !leads) {
            let observes = role == Role::Observing;
            let summary = if observes { metrics::OBSERVER_SYNC_TIME } else { metrics::FOLLOWER_SYNC_TIME };
            self.readings.record(summary, ms(now_us - since_us));
        }
        if let Some(since_us) = self.unavailable_since_us.take() {
            self.readings.record(metrics::UNAVAILABLE_TIME, ms(now_us - since_us));
            if leads {
                self.readings.record(metrics::LEADER_UNAVAILABLE_TIME, ms(now_us - since_us));
            }
        }
    }
}

/// A learner that is being brought up to date counts until this is dropped.
pub(super) struct Syncing<'p> {
    pipeline: &'p Pipeline,
    by_snapshot: bool,
}

impl Pipeline {
    /// Takes down what happened outside of the pipeline's own steps. For what is rare.
    pub fn count_event(&self, count: impl FnOnce(&mut Readings)) {
        count(&mut self.lock().readings);
    }

    /// Takes down how long something took.
    pub fn count_time(&self, summary: Summary, took: Duration) {
        self.count_event(|readings| readings.record(summary, took.as_millis() as i64));
    }

    /// As leader: a packet of a learner has come.
    pub(super) fn count_packet_of(&self, state: &mut State, link: LinkId, packet: &Packet) {
        let every = self.ack_logging_frequency();
        if packet.kind == kind::ACK && every > 0 && packet.zxid.0 % every == 0 {
            let Machine::Leading(leader) = &state.member.machine else { return };
            if let Some(voter) = leader.member(link) {
                state.count_ack(voter, packet.zxid, every, self.clock.wall_ms());
            }
        }
    }

    /// As leader: a learner is brought up to date (`LearnerHandler.run`).
    pub(super) fn syncing(&self, by_snapshot: bool) -> Syncing<'_> {
        self.count_inflight(by_snapshot, 1);
        Syncing { pipeline: self, by_snapshot }
    }

    fn count_inflight(&self, by_snapshot: bool, change: i64) {
        let mut state = self.lock();
        let kind = usize::from(by_snapshot);
        state.inflight_syncs[kind] += change;
        let (summaries, count) =
            ([metrics::INFLIGHT_DIFF_COUNT, metrics::INFLIGHT_SNAP_COUNT], state.inflight_syncs[kind]);
        state.readings.record(summaries[kind], count);
    }

    /// What the write path has counted, and what stands there now.
    pub fn readings_into(&self, readings: &mut Readings) {
        let now_us = self.clock.now_us();
        let mut state = self.lock();
        let state = &mut *state;
        state.readings.turn(ms(now_us));
        readings.merge(&state.readings);
        state.engine.count_into(readings);
        readings.set(metrics::CONNECTION_DROP_PROBABILITY, state.throttle.drop_chance());
        readings.set_own(metrics::QUEUE_LENGTH, "commit", state.in_flight.len() as f64);
        readings.set_own(metrics::QUEUE_LENGTH, "log", state.to_log.len() as f64);
        let left = u32::MAX - state.engine.zxid().0 as u32;
        readings.set_own(metrics::ZXIDS_LEFT, "", f64::from(left));
        if let Machine::Leading(leader) = &state.member.machine
            && state.member.role == Role::Leading
        {
            let pending_syncs = leader.pending_syncs();
            let [last, least, greatest] = state.proposals.shown();
            for (gauge, value) in [
                (metrics::LAST_PROPOSAL_SIZE, last),
                (metrics::MIN_PROPOSAL_SIZE, least),
                (metrics::MAX_PROPOSAL_SIZE, greatest),
                (metrics::LEADER_UPTIME, state.led_since_us.map_or(0, |since_us| ms(now_us - since_us))),
                (metrics::PENDING_SYNCS, pending_syncs as i64),
            ] {
                readings.set(gauge, value);
            }
        }
    }
}

impl Drop for Syncing<'_> {
    fn drop(&mut self) {
        self.pipeline.count_inflight(self.by_snapshot, -1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jute::Encode;
    use crate::metrics::Provider;
    use crate::proto::txn::{CreateKind, CreateTxn, TxnHeader};

    fn summed(readings: &Readings, wanted: Summary, key: &str) -> (u64, i64) {
        let found = readings.summaries().find(|(summary, of, _)| *summary == wanted && *of == key);
        found.map_or((0, 0), |(.., values)| (values.count(), values.sum()))
    }

    #[test]
    fn the_time_of_a_record_is_that_of_its_header() {
        let mut record = Vec::new();
        TxnHeader { client_id: 1, cxid: 2, zxid: 3, time_ms: 1_000, op: 5 }.encode(&mut record);
        assert_eq!(time_of(&record), Some(1_000));
        assert_eq!(time_of(&record[..27]), None);
        let mut readings = Readings::new(Provider::Default);
        record_age(&mut readings, metrics::PROPAGATION_LATENCY, &record, 1_007);
        record_age(&mut readings, metrics::PROPAGATION_LATENCY, &record, 999);
        record_age(&mut readings, metrics::PROPAGATION_LATENCY, &[], 1_007);
        assert_eq!(summed(&readings, metrics::PROPAGATION_LATENCY, ""), (1, 7), "a clock that is behind tells nothing");
    }

    #[test]
    fn each_node_that_is_written_counts_for_its_namespace() {
        let mut readings = Readings::new(Provider::Default);
        let create = |path: &'static str, data| {
            Txn::Create(CreateTxn {
                path: Some(path.into()),
                data,
                acl: None,
                kind: CreateKind::Persistent,
                parent_cversion: 1,
            })
        };
        let set = Txn::SetData { path: Some("/b/c".into()), data: None, version: 1 };
        count_written(&mut readings, &create("/a", Some(b"123")), &Outcome::Done);
        count_written(&mut readings, &create("/a", Some(b"123")), &Outcome::Failed(crate::proto::ErrorCode::NO_NODE));
        count_written(&mut readings, &Txn::Delete { path: Some("/a/x".into()) }, &Outcome::Done);
        count_written(&mut readings, &set, &Outcome::Done);
        let failed = Txn::Multi(vec![(OpCode::SET_DATA, set.clone()), (OpCode::ERROR, Txn::Error { err: -101 })]);
        count_written(&mut readings, &failed, &Outcome::Done);
        let gone = Txn::CloseSession { paths: Some(vec![Some("/a/e".into()), Some("/b/e".into())]) };
        count_written(&mut readings, &gone, &Outcome::Done);
        assert_eq!(summed(&readings, metrics::WRITE_PER_NAMESPACE, "a"), (3, 2 + 3 + 4 + 4));
        assert_eq!(summed(&readings, metrics::WRITE_PER_NAMESPACE, "b"), (2, 4 + 4));
    }
}
