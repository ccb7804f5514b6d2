//! The log and its thread: takes what was prepared since the last sync, appends and syncs it as one group, then commits it.
//! While it syncs, the next group gathers. Also decides when the log is rolled and a snapshot is due. A client that is
//! alone saves the way to the thread and back: its reactor writes the record itself.

use super::counts::{ms, record_age};
use super::measures::Measures;
use super::member::Role;
use super::pipeline::{Pipeline, ToLog};
use super::snapshots::Snapshotter;
use crate::metrics::{self, PROPOSAL_ACK_CREATION_LATENCY as ACK_CREATION, Readings};
use crate::store::{LogWriter, RealDisk, SnapshotPolicy, StoreError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long the thread waits before it uses the pause for housekeeping.
const PATIENCE: Duration = Duration::from_millis(500);
/// A reactor waits for the disk itself only where the last sync was as quick as this: a slow disk must not hold up who
/// comes meanwhile, and makes the time that is saved small.
const QUICK: Duration = Duration::from_micros(500);

/// The log of a server.
pub struct Log {
    pipeline: Arc<Pipeline>,
    measures: Arc<Measures>,
    snapshotter: Arc<Snapshotter>,
    quick: Duration,
    /// Taken by the log thread for each group, and by a reactor only while that thread sleeps.
    held: Mutex<Held>,
}

/// What whoever writes the log holds.
pub struct Held {
    writer: LogWriter<RealDisk>,
    policy: SnapshotPolicy,
    transactions: u64,
    bytes_before: u64,
    syncs: u64,
    /// A reactor could not write: the thread ends with this.
    failure: Option<StoreError>,
}

impl Log {
    /// A log that has a snapshot written after so many transactions or kilobytes.
    pub fn new(
        pipeline: Arc<Pipeline>,
        measures: Arc<Measures>,
        snapshotter: Arc<Snapshotter>,
        writer: LogWriter<RealDisk>,
        snap_count: u64,
        snap_size_limit_kb: i64,
    ) -> Self {
        let policy = SnapshotPolicy::new(snap_count, snap_size_limit_kb, (rand::random(), rand::random()));
        let held = Held { writer, policy, transactions: 0, bytes_before: 0, syncs: 0, failure: None };
        Log { pipeline, measures, snapshotter, quick: QUICK, held: Mutex::new(held) }
    }

    /// The log thread. Runs until the pipeline is closed, or the log fails: then nothing of the group was acknowledged,
    /// and nothing more may be.
    pub fn run(&self) -> Result<(), StoreError> {
        while let Some(batch) = self.pipeline.next_batch(PATIENCE) {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(error) = held.failure.take() {
                return Err(error);
            }
            if !batch.is_empty() {
                self.write(&mut held, &batch)?;
                self.snapshot_when_due(&mut held)?;
            } else if let Some(waiting) = self.pipeline.take_roll() {
                held.writer.roll()?;
                // Whoever waited has given up, and ends the process.
                let _ = waiting.send(());
            }
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match held.failure.take() {
            Some(error) => Err(error),
            None => held.writer.roll(),
        }
    }

    /// For a reactor, while the log thread sleeps: the log, if a write of one record is quick.
    pub fn hold_if_quick(&self) -> Option<MutexGuard<'_, Held>> {
        let held = self.held.try_lock().ok()?;
        let quick = held.writer.current_bytes() > 0
            && held.writer.stats().sync_time_last < self.quick
            && !held.policy.is_due(held.transactions + 1, held.writer.stats().bytes - held.bytes_before);
        quick.then_some(held)
    }

    /// For a reactor that holds the log: writes, syncs and commits what was prepared.
    pub fn write_held(&self, mut held: MutexGuard<'_, Held>, batch: &[ToLog]) {
        if let Err(error) = self.write(&mut held, batch) {
            held.failure = Some(error);
            // Wakes the log thread, which ends with the failure.
            self.pipeline.close();
        }
    }

    /// One group: on disk first, then acknowledged (DURABLE).
    fn write(&self, held: &mut Held, batch: &[ToLog]) -> Result<(), StoreError> {
        let Some((last, ..)) = batch.last() else { return Ok(()) };
        let taken_us = self.pipeline.clock.now_us();
        batch.iter().for_each(|(zxid, record, _)| held.writer.append(*zxid, record));
        let appended_us = self.pipeline.clock.now_us();
        held.writer.commit()?;
        let flushed_us = self.pipeline.clock.now_us();
        held.transactions += batch.len() as u64;
        self.pipeline.logged(*last);
        let stats = held.writer.stats();
        let synced = (stats.syncs > held.syncs).then_some(stats.sync_time_last);
        let (member, wall_ms) = (self.pipeline.role() != Role::Alone, self.pipeline.clock.wall_ms());
        self.measures.with(|readings| {
            count_group(readings, batch, [taken_us, appended_us, flushed_us], synced);
            if member {
                batch.iter().for_each(|(_, record, _)| record_age(readings, ACK_CREATION, record, wall_ms));
            }
            readings.set_own(metrics::LOG_BYTES_TOTAL, "", stats.bytes as f64);
        });
        self.measures.set_syncs(&stats);
        held.syncs = stats.syncs;
        Ok(())
    }

    fn snapshot_when_due(&self, held: &mut Held) -> Result<(), StoreError> {
        let bytes = held.writer.stats().bytes;
        if held.policy.is_due(held.transactions, bytes - held.bytes_before) {
            // The roll stands even if the last snapshot is still being written and this one is left out.
            held.writer.roll()?;
            (held.transactions, held.bytes_before) = (0, bytes);
            held.policy.taken((rand::random(), rand::random()));
            self.snapshotter.start();
        }
        Ok(())
    }
}

/// What the original's `SyncRequestProcessor` counts: a group was taken, appended and flushed at these times, µs.
fn count_group(
    readings: &mut Readings,
    group: &[ToLog],
    [taken_us, appended_us, flushed_us]: [i64; 3],
    synced: Option<Duration>,
) {
    let count = group.len() as i64;
    readings.turn(ms(flushed_us));
    readings.add(metrics::SYNC_PROCESSOR_REQUEST_QUEUED, count);
    readings.record(metrics::SYNC_PROCESSOR_QUEUE_SIZE, count);
    readings.record(metrics::SYNC_PROCESSOR_BATCH_SIZE, count);
    for (_, _, since_us) in group {
        readings.record(metrics::SYNC_PROCESSOR_QUEUE_TIME_MS, ms(taken_us - since_us));
        readings.record(metrics::SYNC_PROCESSOR_QUEUE_AND_FLUSH_TIME_MS, ms(flushed_us - since_us));
    }
    readings.record_shared(metrics::SYNC_PROCESS_TIME, ms(flushed_us - taken_us), group.len() as u32);
    readings.record(metrics::SYNC_PROCESSOR_QUEUE_FLUSH_TIME_MS, ms(flushed_us - appended_us));
    let us = u64::try_from(flushed_us - taken_us).unwrap_or(0);
    readings.observe(metrics::FSYNC_SECONDS, "", us, 1);
    if let Some(synced) = synced {
        readings.record(metrics::FSYNCTIME, synced.as_millis() as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::engine::{ConnectionKey, Engine, Replay, Rules, SessionTable};
    use crate::metrics::{Provider, Summary};
    use crate::proto::Zxid;
    use crate::reactor::{Submission, Wanted};
    use crate::server::snapshots::SnapshotOptions;
    use crate::store::{Compression, Dirs, LogOptions, RecoverOptions, recover};
    use crate::throttle::{ConnectionThrottle, ConnectionThrottleSettings};
    use crate::tree::{OwnerRules, Tree};
    use bytes::Bytes;

    const OWNERS: OwnerRules = OwnerRules { extended_types: true, emulate_353: false };

    /// A log that nobody runs: the test is its thread.
    fn log_in(dirs: &Dirs) -> Log {
        let tree = Tree::new(OWNERS, true);
        let rules = Rules {
            policy: Arc::default(),
            owners: OWNERS,
            enforce_quota: false,
            digest: true,
            close_session_paths: true,
            reconfig: false,
            member: None,
        };
        let engine = Engine::new(rules, SessionTable::new(1000, 1 << 56), &tree);
        let throttle = ConnectionThrottle::new(ConnectionThrottleSettings::default(), 0);
        let pipeline = Arc::new(Pipeline::new(tree, engine, 1, 1 << 20, throttle, Clock::default(), None, 0));
        let measures = Arc::new(Measures::new(Provider::Default));
        let options = SnapshotOptions { compression: Compression::None, digest: true, last_zxid: true };
        let snapshotter = Snapshotter::new(pipeline.clone(), dirs.clone(), options, measures.clone());
        let writer = LogWriter::new(&RealDisk, dirs, LogOptions::default());
        Log { quick: Duration::MAX, ..Log::new(pipeline, measures, snapshotter, writer, 100_000, -1) }
    }

    fn open_sessions(log: &Log, count: u64) {
        let connection = |number| ConnectionKey { reactor: 0, number };
        let what = || Wanted::NewSession { timeout_ms: 5000 };
        let open = |number| Submission { connection: connection(number), what: what() };
        log.pipeline.submit(&mut (0..count).map(open).collect(), Some(log));
    }

    fn sessions_on_disk(dirs: &Dirs) -> usize {
        let mut replay = Replay::new(Tree::new(OWNERS, true));
        let options = RecoverOptions { trust_empty: true, ..RecoverOptions::default() };
        recover(&RealDisk, dirs, &options, &mut replay).unwrap();
        replay.tree.sessions().len()
    }

    #[test]
    fn durable_a_lone_record_is_on_disk_when_its_reactor_has_submitted_it() {
        let folder = tempfile::tempdir().unwrap();
        let dirs = Dirs::new(folder.path(), None);
        dirs.open(&RealDisk, true).unwrap();
        let log = log_in(&dirs);
        let turn_of_the_thread = || {
            let batch = log.pipeline.next_batch(Duration::ZERO).unwrap();
            log.write(&mut log.held.lock().unwrap(), &batch).unwrap();
        };
        open_sessions(&log, 1);
        assert_eq!(log.pipeline.outstanding(), 1, "a file is begun by the log thread");
        turn_of_the_thread();
        assert_eq!(log.pipeline.outstanding(), 0);

        open_sessions(&log, 1);
        assert_eq!(log.pipeline.outstanding(), 1, "the log thread is awake, and will look for more itself");
        turn_of_the_thread();

        log.pipeline.lock().log_sleeps = true;
        open_sessions(&log, 1);
        assert_eq!((log.pipeline.outstanding(), sessions_on_disk(&dirs)), (0, 3));
        assert!(log.pipeline.lock().log_sleeps, "whoever comes next still has to wake it");

        open_sessions(&log, 2);
        assert_eq!((log.pipeline.outstanding(), sessions_on_disk(&dirs)), (2, 3), "a group is for the log thread");
        assert!(!log.pipeline.lock().log_sleeps);
        turn_of_the_thread();
        assert_eq!((log.pipeline.outstanding(), sessions_on_disk(&dirs)), (0, 5));
    }

    #[test]
    fn durable_a_reactor_that_cannot_write_acknowledges_nothing_and_ends_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = log_in(&Dirs::new(&folder.path().join("missing"), None));
        open_sessions(&log, 1);
        let batch = log.pipeline.next_batch(Duration::ZERO).unwrap();
        log.write_held(log.held.lock().unwrap(), &batch);
        assert_eq!(log.pipeline.outstanding(), 1);
        assert!(matches!(log.run(), Err(StoreError::Io { .. })), "the thread ends with what the reactor met");
        open_sessions(&log, 1);
        assert_eq!(log.pipeline.outstanding(), 1, "nothing is taken any more");
    }

    #[test]
    fn a_group_is_counted_record_by_record() {
        let mut readings = Readings::new(Provider::Prometheus);
        let group = [1_000, 2_000, 9_000].map(|since_us| (Zxid(since_us), Bytes::new(), since_us));
        count_group(&mut readings, &group, [10_000, 11_000, 20_000], Some(Duration::from_millis(7)));
        let summed = |wanted: Summary| {
            let (_, _, values) = readings.summaries().find(|(summary, ..)| *summary == wanted).unwrap();
            (values.count(), values.sum())
        };
        assert_eq!(summed(metrics::SYNC_PROCESSOR_BATCH_SIZE), (1, 3));
        assert_eq!(summed(metrics::SYNC_PROCESSOR_QUEUE_TIME_MS), (3, 9 + 8 + 1));
        assert_eq!(summed(metrics::SYNC_PROCESSOR_QUEUE_AND_FLUSH_TIME_MS), (3, 19 + 18 + 11));
        assert_eq!(summed(metrics::SYNC_PROCESS_TIME), (3, 10));
        assert_eq!(summed(metrics::SYNC_PROCESSOR_QUEUE_FLUSH_TIME_MS), (1, 9));
        assert_eq!(summed(metrics::FSYNCTIME), (1, 7));
        assert_eq!(readings.histograms().map(|(.., histogram)| histogram.count()).sum::<u64>(), 1);
    }
}
