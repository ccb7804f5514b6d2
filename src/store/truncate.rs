//! Takes back transactions that never became history: cuts the logs behind one, and removes every snapshot that has seen
//! a later one. Only files are changed; the caller has closed the log before and recovers anew afterwards. Zab decides
//! when and where to cut.
//!
//! Stricter than `FileTxnLog.truncate` of the original, which leaves newer snapshots in place, so that the next start brings
//! the transactions back (ZOOKEEPER-4837), and which cuts behind a later record when the wanted one is missing.

use std::path::PathBuf;

use super::dirs::{Dirs, SnapshotName};
use super::disk::{Disk, DiskFile};
use super::error::StoreError;
use super::log_reader::{LogReader, ReadOptions};
use super::recovery::{load, looks_whole};
use super::restore::{NodeRefused, Restore, SnapshotNode};
use super::tear::FRAME_HEAD;
use crate::mutant::{self, Mutant};
use crate::proto::Zxid;
use crate::proto::acl::Acl;
use crate::proto::txn::{TxnDigest, TxnRecord};

/// What was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Truncated {
    /// Snapshots removed.
    pub snapshots: Vec<String>,
    /// Logs removed.
    pub logs: Vec<String>,
    /// The log that was cut, and its length now.
    pub cut: Option<(PathBuf, u64)>,
}

/// Makes `zxid` the last transaction on disk, or changes nothing and says why that cannot be: then the data must come
/// from another server as a whole. A power cut on the way leaves a history that ends somewhere between.
pub fn truncate<D: Disk>(disk: &D, dirs: &Dirs, zxid: Zxid, options: ReadOptions) -> Result<Truncated, StoreError> {
    let cannot = |why: String| StoreError::CannotTruncate { dir: dirs.logs.clone(), zxid, why };
    let snapshots = dirs.list_snapshots(disk)?;
    let base = base_snapshot(disk, dirs, &snapshots, zxid)?;
    let base = base.ok_or_else(|| cannot("no whole snapshot is old enough".into()))?;
    let options = ReadOptions { accept_damage: false, ..options };
    let end = end_of(disk, dirs, base.zxid, zxid, options).map_err(|error| cannot(error.to_string()))?;
    if end.is_none() && base.zxid != zxid {
        return Err(cannot(format!("the logs behind {} do not hold it", base.name)));
    }

    let mut truncated = Truncated::default();
    // The newest first, each for good before the next: what is left never has a hole.
    let kept = mutant::is(Mutant::TruncKeepsSnapshots);
    for snapshot in snapshots.into_iter().take_while(|snapshot| *snapshot != base && !kept) {
        let path = dirs.snapshots.join(&snapshot.name);
        disk.remove(&path).map_err(StoreError::io(&path, "remove the snapshot"))?;
        disk.sync_dir(&dirs.snapshots).map_err(StoreError::io(&dirs.snapshots, "sync the folder"))?;
        truncated.snapshots.push(snapshot.name);
    }
    for log in dirs.list_logs(disk)?.into_iter().rev().take_while(|log| log.zxid > zxid) {
        let path = dirs.logs.join(&log.name);
        disk.remove(&path).map_err(StoreError::io(&path, "remove the log"))?;
        disk.sync_dir(&dirs.logs).map_err(StoreError::io(&dirs.logs, "sync the folder"))?;
        truncated.logs.push(log.name);
    }
    // A file that starts behind the cut is gone already.
    if let Some((path, length)) = end.filter(|(path, _)| disk.is_file(path)) {
        let cut = || StoreError::io(&path, "cut the log");
        let file = disk.open_write(&path).map_err(cut())?;
        file.set_len(length).map_err(cut())?;
        file.sync_data().map_err(cut())?;
        truncated.cut = Some((path, length));
    }
    Ok(truncated)
}

/// The newest snapshot that has seen nothing after `zxid`. Its name alone does not tell: it may hold changes from the
/// time while it was written.
pub fn base_snapshot<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    snapshots: &[SnapshotName],
    zxid: Zxid,
) -> Result<Option<SnapshotName>, StoreError> {
    for name in snapshots.iter().filter(|name| name.zxid <= zxid) {
        if !looks_whole(disk, dirs, name)? {
            continue;
        }
        let mut latest = Latest(name.zxid);
        let Ok(summary) = load(disk, dirs, name, &mut latest)? else { continue };
        // Neither section says where the walk over the tree ended: access lists and sessions may be from any time.
        let Some(ended) = summary.last_zxid.max(summary.digest.map(|(at, _)| at)) else { continue };
        if ended.max(latest.0) <= zxid {
            return Ok(Some(name.clone()));
        }
    }
    Ok(None)
}

/// Where in the logs to cut, when they lead from `base` to `zxid` without a gap: behind the record of `zxid`. `None`
/// when that is not there; for the base itself, which needs no record, then before the one that follows.
fn end_of<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    base: Zxid,
    zxid: Zxid,
    options: ReadOptions,
) -> Result<Option<(PathBuf, u64)>, StoreError> {
    let mut reader = LogReader::open(disk, dirs, base, Some(base), options)?;
    while let Some(record) = reader.next_record()? {
        let end = record.offset + (FRAME_HEAD + record.body.len() + 1) as u64;
        let cut = match record.zxid {
            found if found < zxid => continue,
            found if found == zxid => end,
            _ if base == zxid => record.offset,
            _ => return Ok(None),
        };
        return Ok(reader.path().map(|path| (path.to_owned(), cut)));
    }
    Ok(None)
}

/// Remembers the latest transaction that any node has seen.
struct Latest(Zxid);

impl Restore for Latest {
    fn clear(&mut self) {}
    fn session(&mut self, _: i64, _: i32) {}
    fn acl(&mut self, _: i64, _: Vec<Acl>) {}
    fn node(&mut self, node: SnapshotNode<'_>) -> Result<(), NodeRefused> {
        let stat = &node.stat;
        // The ensemble's configuration carries its own version as mzxid, which is no transaction of this log.
        if node.path != crate::proto::path::CONFIG {
            self.0 = self.0.max(Zxid(stat.czxid.max(stat.mzxid).max(stat.pzxid)));
        }
        Ok(())
    }
    fn snapshot_done(&mut self, _: Zxid, _: Option<(Zxid, TxnDigest)>, _: Option<Zxid>) {}
    fn replay(&mut self, _: &TxnRecord<'_>, _: &[u8]) {}
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::golden_tests::case;
    use super::super::log_tests::{Collect, Records, record};
    use super::super::naive_tree::NaiveTree;
    use super::super::{LogOptions, LogWriter, RecoverOptions, SimDisk, SnapshotWriter, recover};
    use super::*;
    use crate::store::Compression;

    const LAST_KEPT: Zxid = Zxid(0x1_0000_001d);

    #[test]
    fn golden_transactions_that_were_taken_back_stay_away() {
        // In the second folder a snapshot newer than the cut lies about, with which the original brings them back.
        for name in ["trunc-before", "trunc-dirty-before"] {
            let (disk, dirs, options, _) = case(name);
            let truncated = truncate(&disk, &dirs, LAST_KEPT, options.read).unwrap();
            assert_eq!(truncated.snapshots.is_empty(), name == "trunc-before", "{truncated:?}");
            let mut tree = NaiveTree::new(1);
            let recovered = recover(&disk, &dirs, &options, &mut tree).unwrap();
            assert_eq!((recovered.last_zxid, recovered.replayed, tree.nodes.len()), (LAST_KEPT, 29, 29));
            assert_eq!(tree.mismatches, 0);
        }
    }

    const SNAPSHOTS: [(i64, i64); 4] = [(0, 0), (3, 5), (7, 7), (9, 12)];

    /// Transactions 1 to 15 in three files, and snapshots whose walks ended when the table says.
    fn folder(seed: u64) -> (SimDisk, Dirs, Records) {
        let (disk, dirs) = (SimDisk::new(seed), Dirs::new(Path::new("/data"), None));
        dirs.open(&disk, true).unwrap();
        let mut log = LogWriter::new(&disk, &dirs, LogOptions { preallocate: 0, ..LogOptions::default() });
        let records: Records = (1..=15).map(|zxid| (zxid, record(zxid, Some(b"data")))).collect();
        for (zxid, body) in &records {
            log.append(Zxid(*zxid), body);
            if zxid % 5 == 0 {
                log.roll().unwrap();
            }
        }
        for (zxid, ended) in SNAPSHOTS {
            let none = [].into_iter();
            let mut writer = SnapshotWriter::begin(&disk, &dirs, Zxid(zxid), Compression::None, &[], none).unwrap();
            writer.node("", None, -1, &Default::default()).unwrap();
            writer.finish(None, Some(Zxid(ended))).unwrap();
        }
        (disk, dirs, records)
    }

    #[test]
    fn every_cut_leaves_the_transactions_up_to_it_and_no_later_snapshot() {
        for zxid in 0..=15 {
            let (disk, dirs, records) = folder(1);
            truncate(&disk, &dirs, Zxid(zxid), ReadOptions::default()).unwrap();
            let mut found = Collect::default();
            let recovered = recover(&disk, &dirs, &RecoverOptions::default(), &mut found).unwrap();
            let base = SNAPSHOTS.iter().rev().find(|(_, ended)| *ended <= zxid).unwrap().0;
            assert_eq!(recovered.snapshot.unwrap().0.zxid, Zxid(base), "{zxid}");
            assert_eq!(found.records, records[base as usize..zxid as usize], "{zxid}");
            assert_eq!(recovered.last_zxid, Zxid(zxid));
            // And the log goes on from there.
            let mut log = LogWriter::new(&disk, &dirs, LogOptions::default());
            log.append(Zxid(zxid + 1), &record(zxid + 1, None));
            log.commit().unwrap();
        }
    }

    #[test]
    fn without_an_unbroken_way_nothing_is_changed() {
        let (disk, dirs, _) = folder(1);
        disk.remove(&dirs.logs.join("log.1")).unwrap();
        disk.remove(&dirs.snapshots.join("snapshot.7")).unwrap();
        let before = (disk.list(&dirs.logs).unwrap(), disk.used());
        for zxid in [4, 8, 11] {
            let error = truncate(&disk, &dirs, Zxid(zxid), ReadOptions::default()).unwrap_err();
            assert!(matches!(error, StoreError::CannotTruncate { .. }), "{zxid}: {error}");
        }
        let error = truncate(&disk, &dirs, Zxid(20), ReadOptions::default()).unwrap_err();
        assert!(error.to_string().contains("do not hold it"), "{error}");
        assert_eq!((disk.list(&dirs.logs).unwrap(), disk.used()), before);
    }

    #[test]
    fn a_power_cut_on_the_way_leaves_a_history_without_a_hole() {
        let mut unfinished = 0;
        for seed in 0..400 {
            let (disk, dirs, records) = folder(seed);
            let zxid = Zxid((seed % 15) as i64);
            disk.burn_fuse(seed / 15 % 12);
            let done = truncate(&disk, &dirs, zxid, ReadOptions::default()).is_ok();
            disk.power_cut();
            let mut found = Collect::default();
            let recovered = recover(&disk, &dirs, &RecoverOptions::default(), &mut found).unwrap();
            let base = recovered.snapshot.unwrap().0.zxid.0;
            assert_eq!(found.records, records[base as usize..recovered.last_zxid.0 as usize], "seed {seed}");
            assert!(recovered.last_zxid >= zxid && (!done || recovered.last_zxid == zxid), "seed {seed}");
            unfinished += u64::from(!done);
            truncate(&disk, &dirs, zxid, ReadOptions::default()).unwrap();
        }
        assert!(unfinished > 50, "{unfinished}");
    }
}
