//! The log against power cuts, full disks, failing syncs and damage: what was acknowledged is read back, and nothing is
//! lost without a word. Hundreds of histories, each from a seed that a failure names.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::log_fill::Filling;
use super::sim_disk::Faults;
use super::*;
use crate::jute::{Buffer, Text};
use crate::proto::acl::Acl;
use crate::proto::txn::{Txn, TxnDigest, TxnHeader, TxnRecord};
use crate::proto::{OpCode, Zxid};

/// A setData of `zxid` with this data.
pub(super) fn record(zxid: i64, data: Buffer<'_>) -> Vec<u8> {
    let header =
        TxnHeader { client_id: 7, cxid: zxid as i32, zxid, time_ms: 1_700_000_000_000, op: OpCode::SET_DATA.0 };
    let path: Text<'_> = Some("/node".into());
    let txn = Txn::SetData { path, data, version: zxid as i32 };
    let mut out = Vec::new();
    TxnRecord { header, txn, digest: Some(TxnDigest { version: 2, tree_digest: zxid }) }.encode(&mut out);
    out
}

/// Transactions by zxid.
pub(super) type Records = Vec<(i64, Vec<u8>)>;

/// Keeps what recovery hands over.
#[derive(Default)]
pub(super) struct Collect {
    pub records: Records,
    pub nodes: Vec<(String, Option<Vec<u8>>, i64, crate::proto::records::StatPersisted)>,
    pub sessions: Vec<(i64, i32)>,
    pub acls: Vec<(i64, Vec<Acl>)>,
}

impl Restore for Collect {
    fn clear(&mut self) {
        *self = Collect::default();
    }
    fn session(&mut self, id: i64, timeout_ms: i32) {
        self.sessions.push((id, timeout_ms));
    }
    fn acl(&mut self, key: i64, acl: Vec<Acl>) {
        self.acls.push((key, acl));
    }
    fn node(&mut self, node: SnapshotNode<'_>) -> Result<(), NodeRefused> {
        self.nodes.push((node.path.to_owned(), node.data.map(<[u8]>::to_vec), node.acl_key, node.stat));
        Ok(())
    }
    fn snapshot_done(&mut self, _: Zxid, _: Option<(Zxid, TxnDigest)>, _: Option<Zxid>) {}
    fn replay(&mut self, record: &TxnRecord<'_>, body: &[u8]) {
        self.records.push((record.header.zxid, body.to_vec()));
    }
}

fn dirs() -> Dirs {
    Dirs::new(Path::new("/data"), None)
}

/// Logs alone are enough for these tests.
const LOGS_ALONE: RecoverOptions = RecoverOptions {
    autocreate_dirs: true,
    autocreate_db: true,
    trust_empty: true,
    read: ReadOptions { body_max: 1 << 20, accept_damage: false },
};

fn options(random: &mut StdRng) -> LogOptions {
    LogOptions {
        preallocate: [0, 4 << 10, 64 << 10, 256 << 10][random.random_range(0..4)],
        size_limit: [None, Some(2_000), Some(20_000)][random.random_range(0..3)],
        force_sync: true,
        sync_warning: Duration::MAX,
        filling: Filling::Inline,
    }
}

/// One server after the other on the same disk, each ended by a power cut, a full disk, a failing sync or kill -9.
struct History {
    seed: u64,
    disk: SimDisk,
    random: StdRng,
    /// Every record that must be there, from zxid 1 on.
    acknowledged: Vec<Vec<u8>>,
    /// Records that may be there behind them.
    in_doubt: Vec<Vec<u8>>,
}

impl History {
    fn new(seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        History { seed, disk: SimDisk::new(seed), random, acknowledged: Vec::new(), in_doubt: Vec::new() }
    }

    /// Recovers and compares; false when the power went meanwhile.
    fn recover(&mut self) -> bool {
        let mut found = Collect::default();
        if let Err(error) = recover(&self.disk, &dirs(), &LOGS_ALONE, &mut found) {
            assert!(self.disk.is_dead() || self.sync_errors_are_on(), "seed {}: {error}", self.seed);
            return false;
        }
        let (seed, sure) = (self.seed, self.acknowledged.len());
        let found: Vec<_> = found
            .records
            .into_iter()
            .enumerate()
            .map(|(at, (zxid, body))| {
                assert_eq!(zxid, at as i64 + 1, "seed {seed}");
                body
            })
            .collect();
        assert!(found.len() >= sure, "seed {seed}: {sure} were acknowledged, {} are left", found.len());
        let all: Vec<_> = self.acknowledged.iter().chain(&self.in_doubt).cloned().collect();
        assert!(found.len() <= all.len(), "seed {seed}: more than was ever written");
        assert!(found == all[..found.len()], "seed {seed}: other bytes than were written");
        // What a server has read at start, it stands for.
        self.acknowledged = found;
        self.in_doubt.clear();
        true
    }

    fn sync_errors_are_on(&self) -> bool {
        self.disk.counts().sync_errors > 0
    }

    fn body(&mut self) -> Vec<u8> {
        let zxid = (self.acknowledged.len() + self.in_doubt.len()) as i64 + 1;
        let length = [10, 100, 600, 3_000, 20_000][self.random.random_range(0..5)];
        let mut data = vec![0; self.random.random_range(0..length)];
        if self.random.random_bool(0.8) {
            data.fill(self.random.random());
        }
        record(zxid, Some(&data))
    }

    /// Writes until something fails or `batches` are done.
    fn serve(&mut self, batches: usize) {
        let options = options(&mut self.random);
        let mut log = LogWriter::new(&self.disk, &dirs(), options);
        for _ in 0..batches {
            for _ in 0..self.random.random_range(1..6) {
                let body = self.body();
                log.append(Zxid((self.acknowledged.len() + self.in_doubt.len()) as i64 + 1), &body);
                self.in_doubt.push(body);
            }
            let done = if self.random.random_bool(0.1) { log.roll() } else { log.commit() };
            if let Err(error) = done {
                if matches!(error, StoreError::DiskFull { .. }) {
                    assert!(self.disk.counts().disk_full > 0);
                }
                assert!(matches!(log.commit(), Err(StoreError::Poisoned { .. })), "seed {}", self.seed);
                return;
            }
            self.acknowledged.append(&mut self.in_doubt);
        }
        if self.random.random_bool(0.5) {
            // kill -9: nothing is closed.
            std::mem::forget(log);
        }
    }

    fn power_cut(&mut self) {
        self.disk.power_cut();
    }
}

fn run(seed: u64, faults: Faults) -> History {
    let mut history = History::new(seed);
    for _ in 0..4 {
        history.disk.set_faults(Faults::default());
        if history.random.random_bool(0.3) {
            // The power may go again while the server starts.
            history.disk.burn_fuse(history.random.random_range(0..12));
        }
        if !history.recover() {
            history.power_cut();
            assert!(history.recover(), "seed {seed}");
        }
        let capacity = if faults.capacity == u64::MAX {
            u64::MAX
        } else {
            let used = history.disk.used();
            used + history.random.random_range(0..faults.capacity)
        };
        history.disk.set_faults(Faults { capacity, ..faults });
        if history.random.random_bool(0.7) {
            history.disk.burn_fuse(history.random.random_range(0..60));
        }
        let batches = history.random.random_range(0..25);
        history.serve(batches);
        // A process may end alone; the machine goes on, with what was not synced still readable.
        if history.disk.is_dead() || history.random.random_bool(0.5) {
            history.power_cut();
        }
    }
    history.disk.set_faults(Faults::default());
    history.power_cut();
    assert!(history.recover(), "seed {seed}");
    history
}

/// DURABLE: what commit acknowledged is read back after a power cut at any point.
#[test]
fn durable_acknowledged_records_survive_power_cuts() {
    let mut lost = 0;
    for seed in 0..500 {
        lost += run(seed, Faults { short_write: 0.1, ..Faults::default() }).disk.counts().sectors_lost;
    }
    assert!(lost > 1000, "the cuts hit nothing: {lost}");
}

/// DURABLE: a failed sync ends the log; what it was to save is not acknowledged, and what a later server reads and
/// builds on does not vanish either.
#[test]
fn durable_a_failed_sync_is_never_trusted() {
    let mut failed = 0;
    for seed in 1_000..1_200 {
        failed += run(seed, Faults { sync_error: 0.05, ..Faults::default() }).disk.counts().sync_errors;
    }
    assert!(failed > 100, "too few failed: {failed}");
}

/// DURABLE: a full disk loses nothing that was acknowledged, and the server starts again once there is room.
#[test]
fn durable_a_full_disk_loses_nothing() {
    let mut full = 0;
    for seed in 2_000..2_200 {
        full += run(seed, Faults { capacity: 300_000, ..Faults::default() }).disk.counts().disk_full;
    }
    assert!(full > 100, "too few were full: {full}");
}

/// Three files: 1-5, 6-10, 11-15, of records with this data.
fn three_files(data: &[u8]) -> (SimDisk, Records) {
    let disk = SimDisk::new(5);
    dirs().open(&disk, true).unwrap();
    let options = LogOptions { preallocate: 0, filling: Filling::Inline, ..LogOptions::default() };
    let mut log = LogWriter::new(&disk, &dirs(), options);
    let records: Vec<_> =
        (1..=15).map(|zxid| (zxid, record(zxid, Some(&data[..data.len() * zxid as usize / 15])))).collect();
    for (zxid, body) in &records {
        log.append(Zxid(*zxid), body);
        log.commit().unwrap();
        if zxid % 5 == 0 {
            log.roll().unwrap();
        }
    }
    (disk, records)
}

fn read_back(disk: &SimDisk) -> Result<(Records, Vec<LogEnd>), StoreError> {
    let mut found = Collect::default();
    let recovered = recover(disk, &dirs(), &LOGS_ALONE, &mut found)?;
    Ok((found.records, recovered.ends))
}

#[test]
fn the_files_are_those_of_the_original() {
    let (disk, records) = three_files(b"x");
    let names: Vec<_> = dirs().list_logs(&disk).unwrap().into_iter().map(|log| log.name).collect();
    assert_eq!(names, ["log.1", "log.6", "log.b"]);
    let bytes = disk.content(Path::new("/data/version-2/log.1")).unwrap();
    assert_eq!(&bytes[..16], b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0");
    let body = &records[0].1;
    assert_eq!(bytes[16..24], i64::from(adler2::adler32_slice(body)).to_be_bytes());
    assert_eq!(bytes[24..28], (body.len() as i32).to_be_bytes());
    assert_eq!((&bytes[28..28 + body.len()], bytes[28 + body.len()]), (&body[..], b'B'));
}

#[test]
fn truncation_at_every_byte_keeps_every_whole_record() {
    let (disk, records) = three_files(&[9; 300]);
    let path = Path::new("/data/version-2/log.b");
    let whole = disk.content(path).unwrap();
    let mut ends = vec![16];
    records[10..].iter().for_each(|(_, body)| ends.push(ends[ends.len() - 1] + 13 + body.len()));
    for length in 0..whole.len() {
        let disk = three_files(&[9; 300]).0;
        disk.install(path, whole[..length].to_vec());
        let result = read_back(&disk);
        if (1..16).contains(&length) {
            assert!(result.is_err(), "{length}: the header is cut");
            continue;
        }
        let kept = 10 + ends.iter().skip(1).filter(|end| **end <= length).count();
        let (found, torn) = result.unwrap();
        assert_eq!(found, records[..kept], "{length}");
        let clean =
            length == 0 || ends.contains(&length) || whole[ends[kept - 10]..length].iter().all(|byte| *byte == 0);
        assert_eq!(torn.is_empty(), clean, "{length}: {torn:?}");
    }
}

#[test]
fn a_flipped_bit_is_refused_or_told() {
    let (disk, records) = three_files(&[9; 120]);
    for name in ["log.1", "log.6", "log.b"] {
        let path = dirs().logs.join(name);
        let whole = disk.content(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            disk.install(&path, damaged);
            match read_back(&disk) {
                Ok((found, _)) if found == records => {}
                Ok((found, ends)) => {
                    // The original's rule: the last record counts as never written when its frame is torn.
                    assert_eq!(found, records[..14], "{name} bit {bit}");
                    assert_eq!((name, ends.len()), ("log.b", 1), "bit {bit}: nothing was said");
                }
                Err(error) => assert!(error.to_string().contains("log."), "{error}"),
            }
        }
        disk.install(&path, whole);
    }
}

#[test]
fn a_missing_file_is_a_hole() {
    let (disk, records) = three_files(b"x");
    disk.remove(&dirs().logs.join("log.6")).unwrap();
    let error = read_back(&disk).unwrap_err();
    assert!(matches!(&error, StoreError::Hole { after: Zxid(5), found: Zxid(11), .. }), "{error}");
    let (disk, _) = three_files(b"x");
    disk.remove(&dirs().logs.join("log.1")).unwrap();
    assert!(matches!(read_back(&disk).unwrap_err(), StoreError::Hole { .. }));
    // A missing tail cannot be told from one that never was.
    let (disk, _) = three_files(b"x");
    disk.remove(&dirs().logs.join("log.b")).unwrap();
    assert_eq!(read_back(&disk).unwrap().0, records[..10]);
}

#[test]
fn a_record_above_the_limit_is_read_when_it_is_whole() {
    let disk = SimDisk::new(1);
    dirs().open(&disk, true).unwrap();
    let mut log = LogWriter::new(&disk, &dirs(), LogOptions { filling: Filling::Inline, ..LogOptions::default() });
    let large = record(1, Some(&vec![3; 5 << 20]));
    log.append(Zxid(1), &large);
    log.append(Zxid(2), &record(2, None));
    log.commit().unwrap();
    assert!(log.stats().syncs > 1, "a large batch is synced in pieces");
    drop(log);
    assert_eq!(read_back(&disk).unwrap().0, [(1, large), (2, record(2, None))]);
}

#[test]
fn a_name_that_is_taken_by_good_records_is_never_overwritten() {
    let (disk, _) = three_files(b"x");
    let mut log = LogWriter::new(&disk, &dirs(), LogOptions::default());
    log.append(Zxid(6), &record(6, None));
    assert!(log.commit().unwrap_err().to_string().contains("good records"));
    assert_eq!(read_back(&disk).unwrap().0.len(), 15);
}

#[test]
fn the_padding_is_cut_when_a_file_is_left() {
    let disk = SimDisk::new(1);
    dirs().open(&disk, true).unwrap();
    let mut log = LogWriter::new(&disk, &dirs(), LogOptions { filling: Filling::Inline, ..LogOptions::default() });
    log.append(Zxid(1), &record(1, None));
    log.commit().unwrap();
    let length = |name: &str| disk.content(&dirs().logs.join(name)).unwrap().len() as u64;
    assert!(length("log.1") > 3 << 20, "zeros are ahead");
    let written = log.current_bytes();
    log.roll().unwrap();
    assert_eq!(length("log.1"), written);
}

#[test]
fn a_thread_fills_ahead_without_touching_records() {
    let dir = tempfile::tempdir().unwrap();
    let dirs = Dirs::new(dir.path(), None);
    dirs.open(&RealDisk, true).unwrap();
    let mut expected = Vec::new();
    for preallocate in [64 << 10, 1 << 20, 64 << 20] {
        let options = LogOptions { preallocate, force_sync: false, ..LogOptions::default() };
        let mut log = LogWriter::new(&RealDisk, &dirs, options);
        for _ in 0..1500 {
            let zxid = expected.len() as i64 + 1;
            let body = record(zxid, Some(&vec![zxid as u8; (zxid as usize * 37) % 9000]));
            log.append(Zxid(zxid), &body);
            expected.push((zxid, body));
            if zxid % 7 != 0 {
                log.commit().unwrap();
            }
        }
        log.roll().unwrap();
    }
    let mut found = Collect::default();
    recover(&RealDisk, &dirs, &LOGS_ALONE, &mut found).unwrap();
    assert!(found.records == expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn hostile_bytes_never_panic(
        bytes in proptest::collection::vec(prop_oneof![Just(0u8), Just(b'B'), any::<u8>()], 0..400),
        header: bool,
    ) {
        let disk = SimDisk::new(0);
        let mut content = if header { log_reader::HEADER.to_vec() } else { Vec::new() };
        content.extend_from_slice(&bytes);
        disk.install(&dirs().logs.join("log.1"), content);
        let _ = read_back(&disk);
    }
}
