//! Snapshots: what is written is read back, in every compression; what is damaged is refused as a whole and never
//! loaded as something else; a power cut leaves the old ones or the new one.

use std::path::Path;

use proptest::prelude::*;

use super::log_tests::Collect;
use super::*;
use crate::proto::Zxid;
use crate::proto::acl::Acl;
use crate::proto::records::StatPersisted;
use crate::proto::txn::TxnDigest;

fn dirs() -> Dirs {
    Dirs::new(Path::new("/data"), None)
}

type Sections = (Option<(Zxid, TxnDigest)>, Option<Zxid>);

const BOTH: Sections = (Some((Zxid(9), TxnDigest { version: 2, tree_digest: -5 })), Some(Zxid(9)));

fn stat(number: i64) -> StatPersisted {
    StatPersisted { czxid: number, mzxid: number + 1, version: 3, pzxid: number * 2, ..StatPersisted::default() }
}

/// Some state to keep.
fn sample(nodes: usize) -> Collect {
    let mut state = Collect {
        sessions: vec![(0x100_0000_0000_0001, 30_000), (-1, 4_000)],
        acls: vec![(1, Acl::open_unsafe()), (2, vec![Acl::new(1, "digest", "é:x"), Acl::new(31, "ip", "::1")])],
        nodes: vec![(String::new(), Some(Vec::new()), -1, stat(0))],
        ..Collect::default()
    };
    for at in 1..nodes {
        let data = (at % 3 != 0).then(|| vec![at as u8; at * 7 % 400]);
        state.nodes.push((format!("/node-{at}"), data, at as i64 % 3, stat(at as i64)));
    }
    state
}

fn write(
    disk: &SimDisk,
    zxid: i64,
    compression: Compression,
    state: &Collect,
    sections: Sections,
) -> Result<(), StoreError> {
    let acls = state.acls.iter().map(|(key, acl)| (*key, acl.as_slice()));
    let mut writer = SnapshotWriter::begin(disk, &dirs(), Zxid(zxid), compression, &state.sessions, acls)?;
    for (path, data, key, stat) in &state.nodes {
        writer.node(path, data.as_deref(), *key, stat)?;
    }
    writer.finish(sections.0, sections.1)?;
    Ok(())
}

fn read(disk: &SimDisk) -> Result<(Collect, Recovered), StoreError> {
    let mut found = Collect::default();
    let recovered = recover(disk, &dirs(), &RecoverOptions::default(), &mut found)?;
    Ok((found, recovered))
}

fn same(one: &Collect, other: &Collect) -> bool {
    one.nodes == other.nodes && one.sessions == other.sessions && one.acls == other.acls
}

#[test]
fn what_is_written_is_read_back() {
    for compression in [Compression::None, Compression::Gz, Compression::Snappy] {
        for sections in [(None, None), (BOTH.0, None), (None, BOTH.1), BOTH] {
            let disk = SimDisk::new(1);
            dirs().open(&disk, true).unwrap();
            let state = sample(3_000);
            write(&disk, 7, compression, &state, sections).unwrap();
            let (found, recovered) = read(&disk).unwrap();
            assert!(same(&found, &state));
            let (name, summary) = recovered.snapshot.unwrap();
            assert_eq!((name.zxid, name.compression), (Zxid(7), compression));
            assert_eq!((summary.nodes, summary.sessions, summary.acls), (3_000, 2, 2));
            assert_eq!((summary.digest, summary.last_zxid), sections);
            assert_eq!(recovered.last_zxid, Zxid(7), "replay starts after the name, not after the section");
        }
    }
}

#[test]
fn a_fresh_snapshot_has_the_bytes_of_the_original() {
    let disk = SimDisk::new(1);
    dirs().open(&disk, true).unwrap();
    let state =
        Collect { nodes: vec![(String::new(), Some(Vec::new()), -1, StatPersisted::default())], ..Collect::default() };
    write(
        &disk,
        0,
        Compression::None,
        &state,
        (Some((Zxid(0), TxnDigest { version: 2, tree_digest: 0 })), Some(Zxid(0))),
    )
    .unwrap();
    let bytes = disk.content(&dirs().snapshots.join("snapshot.0")).unwrap();
    assert_eq!(&bytes[..16], b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff");
    assert_eq!(bytes[16..24], [0; 8], "no sessions, no lists");
    let nodes = 24 + 4 + 4 + 8 + 60;
    assert_eq!(&bytes[nodes..nodes + 5], b"\0\0\0\x01/");
    let seal = |at: usize| {
        let expected = i64::from(adler2::adler32_slice(&bytes[..at])).to_be_bytes();
        assert_eq!(bytes[at..at + 8], expected, "seal at {at}");
        assert_eq!(&bytes[at + 8..at + 13], b"\0\0\0\x01/");
        at + 13
    };
    let digest = seal(nodes + 5);
    let last = seal(digest + 20);
    assert_eq!(seal(last + 8), bytes.len());
}

#[test]
fn truncation_at_every_byte_falls_back_or_is_a_valid_older_layout() {
    let disk = SimDisk::new(1);
    dirs().open(&disk, true).unwrap();
    let (old, new) = (sample(2), sample(5));
    write(&disk, 5, Compression::None, &old, BOTH).unwrap();
    write(&disk, 5, Compression::None, &new, BOTH).unwrap();
    let path = dirs().snapshots.join("snapshot.5");
    let whole = disk.content(&path).unwrap();
    write(&disk, 4, Compression::None, &old, BOTH).unwrap();
    for length in 0..whole.len() {
        disk.install(&path, whole[..length].to_vec());
        let (found, recovered) = read(&disk).unwrap();
        let zxid = recovered.snapshot.unwrap().0.zxid;
        if [whole.len() - 54, whole.len() - 21].contains(&length) {
            assert!(same(&found, &new) && zxid == Zxid(5), "cut at a seal: {length}");
        } else {
            assert!(same(&found, &old) && zxid == Zxid(4), "{length}");
            assert_eq!(recovered.skipped.len(), 1, "{length}: told");
        }
    }
}

#[test]
fn a_flipped_bit_never_loads_as_something_else() {
    for compression in [Compression::None, Compression::Gz, Compression::Snappy] {
        let disk = SimDisk::new(1);
        dirs().open(&disk, true).unwrap();
        let (old, new) = (sample(1), sample(4));
        write(&disk, 4, Compression::None, &old, BOTH).unwrap();
        write(&disk, 5, compression, &new, BOTH).unwrap();
        let path = dirs().snapshot_path(Zxid(5), compression);
        let whole = disk.content(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            disk.install(&path, damaged);
            let (found, recovered) = read(&disk).unwrap();
            let wanted = if recovered.snapshot.unwrap().0.zxid == Zxid(5) { &new } else { &old };
            assert!(same(&found, wanted), "{compression:?} bit {bit}");
        }
    }
}

#[test]
fn a_power_cut_leaves_the_old_snapshot_or_the_new_one() {
    let mut renewed = 0;
    for seed in 0..400 {
        let disk = SimDisk::new(seed);
        dirs().open(&disk, true).unwrap();
        let (old, new) = (sample(2), sample(50));
        write(&disk, 4, Compression::None, &old, BOTH).unwrap();
        disk.burn_fuse(seed % 10);
        let written = write(&disk, 5, Compression::None, &new, BOTH).is_ok();
        disk.power_cut();
        let (found, recovered) = read(&disk).unwrap();
        let is_new = recovered.snapshot.unwrap().0.zxid == Zxid(5);
        assert!(same(&found, if is_new { &new } else { &old }), "seed {seed}");
        assert!(is_new || !written, "seed {seed}: lost after it was finished");
        assert_eq!(recovered.skipped, [], "seed {seed}: no half file under the final name");
        renewed += u64::from(is_new);
    }
    assert!((50..400).contains(&renewed), "{renewed}");
}

#[test]
fn a_full_disk_leaves_no_half_snapshot() {
    let disk = SimDisk::new(1);
    dirs().open(&disk, true).unwrap();
    write(&disk, 4, Compression::None, &sample(2), BOTH).unwrap();
    disk.set_faults(sim_disk::Faults { capacity: disk.used() + 5_000, ..sim_disk::Faults::default() });
    let error = write(&disk, 5, Compression::None, &sample(500), BOTH).unwrap_err();
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
    assert_eq!(disk.list(&dirs().snapshots).unwrap(), ["snapshot.4"]);
}

#[test]
fn purge_keeps_what_recovery_needs() {
    let disk = SimDisk::new(1);
    dirs().open(&disk, true).unwrap();
    for zxid in [0, 5, 10, 20, 30] {
        write(&disk, zxid, Compression::None, &sample(2), BOTH).unwrap();
    }
    for name in ["log.1", "log.6", "log.8", "log.b", "log.19", "log.1f"] {
        disk.install(&dirs().logs.join(name), b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0".to_vec());
    }
    disk.install(&dirs().snapshots.join("snapshot.a.tmp"), vec![1]);
    disk.install(&dirs().snapshots.join("snapshot.40.tmp"), vec![1]);
    // Not whole: it counts for nothing.
    disk.install(&dirs().snapshots.join("snapshot.1e"), vec![1; 40]);
    let purged = purge(&disk, &dirs(), 1).unwrap();
    // snapshot.1e is broken, so 14, a and 5 are the three that stay, with the log that holds 6 and all after it.
    assert_eq!(purged.snapshots, ["snapshot.0", "snapshot.a.tmp"]);
    assert_eq!(purged.logs, Vec::<String>::new());
    let purged = purge(&disk, &dirs(), 3).unwrap();
    assert_eq!(purged, purge::Purged::default());
    write(&disk, 31, Compression::Gz, &sample(2), BOTH).unwrap();
    let purged = purge(&disk, &dirs(), 3).unwrap();
    assert_eq!(purged.snapshots, ["snapshot.5"]);
    assert_eq!(purged.logs, ["log.1", "log.6"]);
}

#[test]
fn no_snapshot_means_new_only_where_that_is_allowed() {
    for (autocreate, marker, fresh, zxid) in [
        (true, false, Fresh::Initialize, 0),
        (true, true, Fresh::Initialize, 0),
        (false, true, Fresh::Initialize, 0),
        (false, false, Fresh::Uninitialized, -1),
    ] {
        let disk = SimDisk::new(1);
        dirs().open(&disk, true).unwrap();
        if marker {
            disk.install(Path::new("/data/initialize"), Vec::new());
        }
        let options = RecoverOptions { autocreate_db: autocreate, ..RecoverOptions::default() };
        let recovered = recover(&disk, &dirs(), &options, &mut Collect::default()).unwrap();
        assert_eq!((recovered.fresh, recovered.last_zxid), (fresh, Zxid(zxid)));
        initialize_done(&disk, &dirs()).unwrap();
        disk.power_cut();
        assert!(!disk.is_file(Path::new("/data/initialize")));
    }
}

/// zkServer-initialize.sh leaves the marker in dataDir; the original's server looks in dataLogDir, and never finds it.
#[test]
fn the_marker_counts_beside_the_snapshots_and_beside_the_logs() {
    let apart = Dirs::new(Path::new("/data"), Some(Path::new("/logs")));
    for marker in ["/data/initialize", "/logs/initialize"] {
        let disk = SimDisk::new(1);
        apart.open(&disk, true).unwrap();
        let options = RecoverOptions { autocreate_db: false, ..RecoverOptions::default() };
        let fresh = || recover(&disk, &apart, &options, &mut Collect::default()).unwrap().fresh;
        assert_eq!(fresh(), Fresh::Uninitialized);
        disk.install(Path::new(marker), Vec::new());
        assert_eq!(fresh(), Fresh::Initialize, "{marker}");
        initialize_done(&disk, &apart).unwrap();
        disk.power_cut();
        assert_eq!(fresh(), Fresh::Uninitialized, "{marker} is gone");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..300)) {
        let mut content = b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff".to_vec();
        content.extend_from_slice(&bytes);
        let _ = read_snapshot(&content[..], Zxid(1), &mut Collect::default());
        content.truncate(16);
        content.extend_from_slice(&[0; 8]);
        content.extend_from_slice(&bytes);
        let _ = read_snapshot(&content[..], Zxid(1), &mut Collect::default());
    }
}
