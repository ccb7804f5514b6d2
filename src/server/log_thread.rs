//! The log thread: takes what was prepared since the last sync, appends and syncs it as one group, then commits it.
//! While it syncs, the next group gathers. Also decides when the log is rolled and a snapshot is due.

use super::measures::Measures;
use super::pipeline::Pipeline;
use super::snapshots::Snapshotter;
use crate::metrics;
use crate::proto::Zxid;
use crate::store::{LogWriter, RealDisk, SnapshotPolicy, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// How long the thread waits before it uses the pause for housekeeping.
const PATIENCE: Duration = Duration::from_millis(500);

/// Runs until the pipeline is closed, or the log fails: then nothing of the group was acknowledged, and nothing more
/// may be.
pub fn run(
    pipeline: &Pipeline,
    mut log: LogWriter<RealDisk>,
    measures: &Measures,
    snapshotter: &Arc<Snapshotter>,
    snap_count: u64,
    snap_size_limit_kb: i64,
) -> Result<(), StoreError> {
    let mut policy = SnapshotPolicy::new(snap_count, snap_size_limit_kb, (rand::random(), rand::random()));
    let (mut transactions, mut bytes_before, mut syncs) = (0u64, 0u64, 0u64);
    while let Some(batch) = pipeline.next_batch(PATIENCE) {
        let Some((last, _)) = batch.last() else {
            if let Some(waiting) = pipeline.take_roll() {
                log.roll()?;
                // Whoever waited has given up, and ends the process.
                let _ = waiting.send(());
            }
            continue;
        };
        let last: Zxid = *last;
        batch.iter().for_each(|(zxid, record)| log.append(*zxid, record));
        log.commit()?;
        pipeline.logged(last);
        let stats = log.stats();
        measures.with(|readings| {
            readings.record(metrics::SYNC_PROCESSOR_BATCH_SIZE, batch.len() as i64);
            if stats.syncs > syncs {
                readings.record(metrics::FSYNCTIME, stats.sync_time_last.as_millis() as i64);
            }
        });
        syncs = stats.syncs;
        transactions += batch.len() as u64;
        if policy.is_due(transactions, stats.bytes - bytes_before) {
            // The roll stands even if the last snapshot is still being written and this one is left out.
            log.roll()?;
            (transactions, bytes_before) = (0, stats.bytes);
            policy.taken((rand::random(), rand::random()));
            snapshotter.start();
        }
    }
    log.roll()
}
