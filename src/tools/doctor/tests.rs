//! The right verdict for every golden folder, with the reason; and what no golden folder shows.

use std::path::{Path, PathBuf};

use super::super::testing::{cases, contents, golden, text};
use crate::proto::txn::TxnRecord;
use crate::store::{Dirs, FolderLock, LogOptions, LogWriter, RealDisk};

/// Exit code, cases, a word of the finding (empty for none), and why.
const VERDICTS: &[(u8, &[&str], &str, &str)] = &[
    (
        0,
        &[
            "default-prealloc",
            "era-3.4.14",
            "era-3.4.14-upgraded",
            "era-3.5.10",
            "era-3.5.10-upgraded",
            "era-3.6.4",
            "era-3.6.4-upgraded",
            "era-3.8.4",
            "era-3.8.4-upgraded",
            "fuzzy",
            "kinds",
            "kinds-all-off",
            "kinds-lastzxid-off",
            "kinds-nobig",
            "kinds-restarted",
            "log-size-limit",
            "separate-datalogdir",
            "seq-overflow-start",
            "small",
            "snapshot-gz",
            "snapshot-mixed",
            "snapshot-mixed2",
            "snapshot-snappy",
            "ttl-disabled",
        ],
        "",
        "whole files of each version, setting and compression",
    ),
    (0, &["kill9-midwrite"], "", "the process died, not the machine: what it wrote is whole"),
    (
        0,
        &["quorum-before-s2", "quorum-before-s4", "quorum-s1", "quorum-s2", "quorum-s3", "quorum-s4"],
        "",
        "members after elections, copies from a leader and reconfigurations; their epochs fit the data",
    ),
    (
        0,
        &["trunc-before", "trunc-after", "trunc-dirty-before"],
        "",
        "a member with transactions that were never committed, and one that was cut well: each is whole by itself",
    ),
    (
        0,
        &["empty-autocreate", "empty-noautocreate", "empty-noautocreate-initialize"],
        "a server begins a new database here",
        "nothing can be at risk where nothing is; the setting db.autocreate is not in the folder",
    ),
    (0, &["log-flip-version", "log-flip-dbid"], "", "no server looks at these fields, and every record is unchanged"),
    (0, &["log-trunc-exact"], "", "cut behind a record: nothing in the files shows that there was another"),
    (
        0,
        &["snap-newest-deleted", "snap-only-zero"],
        "",
        "the logs hold everything since an older snapshot, without a gap",
    ),
    (
        0,
        &["snap-trunc-after-seal1", "snap-trunc-after-seal2"],
        "",
        "cut behind a seal: the layout of an older version, whole by its checksums",
    ),
    (
        1,
        &["kinds-closetxn-off"],
        "digest is not the one",
        "an early digest of a fuzzy snapshot, a known false alarm; still not what the log says",
    ),
    (
        1,
        &["kinds-digest-off", "kinds-digest-off-default-reader"],
        "digest.enabled=false",
        "Oxkeeper reads it, Apache's server with default settings refuses",
    ),
    (
        1,
        &["seq-overflow"],
        "/wrap: the counter of sequence nodes is at its end",
        "nothing is lost, but the next sequence node fails",
    ),
    (1, &["log-empty-tail"], "the file is empty", "a crash at the creation of a file; nothing was in it"),
    (1, &["log-trunc-header16"], "holds no transaction", "the same, or a cut: the files do not show which"),
    (
        1,
        &["log-torn-body", "log-torn-half", "log-torn-marker"],
        "never acknowledged",
        "the last record is torn, nothing is behind it: it was not synced, so nobody was told of it",
    ),
    (
        1,
        &["log-trunc-body", "log-trunc-crc", "log-trunc-len", "log-trunc-marker"],
        "never acknowledged",
        "the file ends inside its last record",
    ),
    (1, &["log-flip-old"], "no start needs this file", "damage in a log that is older than every start"),
    (1, &["log-garbage-name"], "servers do not look at it", "names that only look like ours"),
    (1, &["logs-none"], "no log at all", "a server starts, and nobody knows what came after the snapshot"),
    (
        1,
        &[
            "snap-flip-data",
            "snap-flip-digest",
            "snap-flip-digestzxid",
            "snap-flip-endmark",
            "snap-flip-lastzxid",
            "snap-flip-magic",
            "snap-flip-seal1",
            "snap-flip-seal2",
            "snap-flip-seal3",
            "snap-flip-version",
            "snap-trunc-9",
            "snap-trunc-empty",
            "snap-trunc-half",
            "snap-trunc-in-digest",
        ],
        "snapshot.4a cannot be used",
        "the newest snapshot is damaged, the older one and the logs since are whole",
    ),
    (2, &["snap-all-bad"], "not able to find a valid snapshot", "no snapshot is whole"),
    (
        2,
        &["snap-none", "snap-none-trust"],
        "no snapshot found",
        "logs alone: they may begin too late; the operator decides",
    ),
    (
        2,
        &["log-flip-body-last", "log-flip-body-mid", "log-flip-crc"],
        "has checksum",
        "a record is not what was written, no matter where",
    ),
    (
        2,
        &["log-flip-len-huge", "log-flip-len-negative", "log-len-minus1"],
        "claims the length",
        "a length that cannot be, with good records behind it",
    ),
    (
        2,
        &["log-flip-len-small", "log-torn-mid", "log-zero-mid"],
        "9 good records follow",
        "whole records behind the place where Apache's server stops without a word",
    ),
    (2, &["log-flip-magic"], "not a transaction log", "the newest log cannot be read"),
    (
        2,
        &["log-trunc-header8"],
        "inside its header",
        "no crash leaves half a header: it is synced before anything else",
    ),
    (2, &["log-empty-middle"], "the file is empty", "a log in the middle lost its content"),
    (
        2,
        &["log-missing-middle", "log-prefix-lost"],
        "those between are missing",
        "transactions behind the snapshot are gone",
    ),
    (2, &["swapped-datalogdir"], "swapped", "no server starts"),
    (
        2,
        &["trunc-dirty-after"],
        "which no log has",
        "Apache's server brought back transactions that the ensemble had taken back",
    ),
];

fn doctor(folder: &Path, json: bool) -> (u8, String) {
    let data = folder.join("data").to_str().unwrap().to_owned();
    let logs = folder.join("datalog").to_str().unwrap().to_owned();
    let mut words = vec!["doctor", &data];
    if Path::new(&logs).is_dir() {
        words.extend(["--log-dir", &logs]);
    }
    if json {
        words.push("--json");
    }
    let (code, printed, complaint) = text(&words);
    (code, printed + &complaint)
}

#[test]
fn every_golden_folder_gets_the_right_verdict() {
    let mut wrong = Vec::new();
    for case in cases() {
        let rows: Vec<_> = VERDICTS.iter().filter(|(_, names, _, _)| names.contains(&case.as_str())).collect();
        let [(code, _, word, why)] = rows[..] else { panic!("{case} stands in {} rows", rows.len()) };
        let folder = golden(&case);
        let before = contents(folder.path());
        let (found, printed) = doctor(folder.path(), false);
        let flawed = printed.lines().any(|line| line.starts_with("warning") || line.starts_with("at risk"));
        if found != *code || !printed.contains(word) || flawed != (*code > 0) {
            wrong.push(format!("{case}: expected {code} ({why}), found {found}\n{printed}"));
        }
        let (found, printed) = doctor(folder.path(), true);
        let json: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!((found, json["exitCode"].as_u64()), (*code, Some(u64::from(*code))), "{case}");
        assert!(before == contents(folder.path()), "{case} was changed");
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_safe_is_named_with_its_proof() {
    let json =
        |case: &str| -> serde_json::Value { serde_json::from_str(&doctor(golden(case).path(), true).1).unwrap() };
    let kinds = json("kinds");
    assert_eq!((kinds["safeUpTo"].as_str(), kinds["state"]["digest"].as_str()), (Some("0x91"), Some("0x33ab78cfaa")));
    assert_eq!(
        (kinds["state"]["digestProven"].as_bool(), kinds["lastTime"].as_str()),
        (Some(true), Some("2026-11-22T08:50:20.999Z"))
    );
    // Up to the damage, and not a transaction further.
    assert_eq!(json("log-flip-crc")["safeUpTo"], "0x55");
    assert_eq!(json("log-torn-mid")["safeUpTo"], "0x55");
    // Files that contradict each other prove nothing.
    assert!(json("trunc-dirty-after")["safeUpTo"].is_null());
    // Logs of 3.5 name no digest.
    assert_eq!(json("era-3.5.10")["state"]["digestProven"], false);
}

#[test]
fn a_fuzzy_snapshot_needs_the_logs_up_to_the_end_of_its_walk() {
    let folder = golden("fuzzy");
    let logs = folder.path().join("data/version-2");
    std::fs::remove_file(logs.join("log.376d")).unwrap();
    let (code, printed) = doctor(folder.path(), false);
    assert_eq!(code, 2, "{printed}");
    assert!(printed.contains("snapshot.374a.gz holds changes up to 0x3786, but the logs end with 0x376c"), "{printed}");
    assert!(!printed.contains("provably safe"), "{printed}");
}

#[test]
fn epochs_are_held_against_the_data() {
    for (accepted, current, more, code, word) in [
        (Some("5"), Some("4"), None, 0, ""),
        (Some("4"), Some("3"), None, 2, "currentEpoch says 3, the data is of epoch 4"),
        (Some("4"), Some("3"), Some("currentEpoch.tmp"), 1, "currentEpoch.tmp lets the next start go on"),
        (Some("4"), Some("5"), None, 2, "acceptedEpoch says 4, less than currentEpoch, 5"),
        (Some("x"), Some("4"), None, 2, "refuses to start"),
        (None, Some("4"), None, 1, "acceptedEpoch is missing"),
    ] {
        let folder = golden("quorum-s1");
        let files = folder.path().join("data/version-2");
        for (name, content) in [("acceptedEpoch", accepted), ("currentEpoch", current)] {
            match content {
                Some(content) => std::fs::write(files.join(name), content).unwrap(),
                None => std::fs::remove_file(files.join(name)).unwrap(),
            }
        }
        if let Some(name) = more {
            std::fs::write(files.join(name), "4").unwrap();
        }
        let (found, printed) = doctor(folder.path(), false);
        assert_eq!(found, code, "{accepted:?} {current:?} {more:?}\n{printed}");
        assert!(printed.contains(word), "{printed}");
    }
}

#[test]
fn the_end_of_the_counter_is_seen_coming() {
    let folder = golden("small");
    let files = folder.path().join("data/version-2");
    for entry in std::fs::read_dir(&files).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.file_name().unwrap() != "snapshot.0" {
            std::fs::remove_file(path).unwrap();
        }
    }
    std::fs::rename(files.join("snapshot.0"), files.join("snapshot.fffffff0")).unwrap();
    let dirs = Dirs::new(&folder.path().join("data"), None);
    let mut log = LogWriter::new(&RealDisk, &dirs, LogOptions { preallocate: 0, ..LogOptions::default() });
    let mut body = Vec::new();
    let header = crate::proto::txn::TxnHeader { client_id: 1, cxid: 1, zxid: 0xffff_fff1, time_ms: 5, op: -1 };
    TxnRecord { header, txn: crate::proto::txn::Txn::Error { err: -4 }, digest: None }.encode(&mut body);
    log.append(crate::proto::Zxid(0xffff_fff1), &body);
    log.commit().unwrap();
    drop(log);
    let (code, printed) = doctor(folder.path(), false);
    assert!(code == 1 && printed.contains("14 transactions are left in this epoch"), "{printed}");
}

#[test]
fn a_folder_that_a_server_holds_is_looked_at_and_said_to_be_held() {
    let folder = golden("small");
    let _lock = FolderLock::take(&Dirs::new(&folder.path().join("data"), None)).unwrap();
    let (code, printed) = doctor(folder.path(), false);
    assert!(code == 0 && printed.contains("a server holds the folder"), "{printed}");
    let (code, _, complaint) = text(&["doctor", "/nowhere"]);
    assert_eq!((code, complaint.as_str()), (2, "/nowhere: there is no such folder"));
}
