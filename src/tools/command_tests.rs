//! Each command once, with what it refuses.

use std::path::Path;

use super::testing::{contents, golden, text};
use crate::store::{Dirs, FolderLock};

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

#[test]
fn a_range_of_transactions_is_printed_from_all_logs_of_a_folder() {
    let folder = golden("small");
    let data = path(folder.path(), "data");
    let (code, printed, _) = text(&["txnlog", "range", &data, "0x24", "38", "--json"]);
    let zxids: Vec<_> = printed
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["zxid"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((code, zxids), (0, vec!["0x24".to_owned(), "0x25".into(), "0x26".into()]), "the files meet at 0x25");
    let (code, printed, _) = text(&["txnlog", "range", &path(folder.path(), "data/version-2/log.4c"), "0x1", "0x4c"]);
    assert_eq!((code, printed.lines().next().unwrap().contains("zxid 0x4c create")), (0, true));
}

#[test]
fn logs_are_verified_one_by_one_and_together() {
    for (case, file, code, words) in [
        ("small", "", 0, "healthy"),
        ("log-flip-crc", "", 2, "has checksum"),
        ("log-torn-mid", "", 2, "9 good records follow"),
        ("log-zero-mid", "", 2, "9 good records follow"),
        ("log-trunc-body", "", 1, "never acknowledged"),
        ("log-torn-marker", "", 1, "never acknowledged"),
        ("log-empty-tail", "", 1, "the file is empty"),
        ("log-empty-middle", "", 2, "inside its header"),
        ("log-flip-magic", "", 2, "not a transaction log"),
        ("log-len-minus1", "", 2, "claims the length -1"),
        ("log-missing-middle", "", 2, "transactions between 0x24 and 0x4c are missing"),
        // A file by itself does not know what came before.
        ("log-missing-middle", "/version-2/log.4c", 0, "healthy"),
    ] {
        let folder = golden(case);
        let before = contents(folder.path());
        let path = format!("{}{file}", path(folder.path(), "data"));
        let (found, printed, _) = text(&["txnlog", "verify", &path]);
        assert_eq!(found, code, "{case}{file}: {printed}");
        assert!(printed.contains(words), "{case}{file}: {printed}");
        let (found, printed, _) = text(&["txnlog", "verify", "--json", &path]);
        let json: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!((found, json["logs"].as_array().unwrap().is_empty()), (code, false));
        assert!(before == contents(folder.path()), "{case} was changed");
    }
}

#[test]
fn a_mended_copy_is_written_only_where_the_operator_says_yes() {
    use super::output::Output;
    use super::txnlog::mend::{Recover, recover};
    let folder = golden("log-flip-crc");
    let log = folder.path().join("data/version-2/log.4c");
    let original = std::fs::read(&log).unwrap();
    // What is left of the file: nothing, a copy as damaged as before, a mended one.
    for (answers, expected) in [("a\n", None), ("", None), ("maybe\nno\n", Some(2)), ("q\nYes\n", Some(0))] {
        let copy = folder.path().join("copy");
        let args = Recover { file: log.clone(), yes: false, verbose: false, output: Some(copy.clone()) };
        let code = recover(&args, &mut Output::to(std::io::sink()), &mut answers.as_bytes()).unwrap();
        assert_eq!((code, copy.exists()), (0, expected.is_some()), "{answers:?}");
        if let Some(verdict) = expected {
            assert_eq!(text(&["txnlog", "verify", copy.to_str().unwrap()]).0, verdict, "{answers:?}");
            let again = recover(&args, &mut Output::to(std::io::sink()), &mut answers.as_bytes()).unwrap_err();
            assert!(again.text.contains("already exists"), "{}", again.text);
            std::fs::remove_file(copy).unwrap();
        }
        assert!(std::fs::read(&log).unwrap() == original, "the file itself was changed");
    }
}

#[test]
fn a_log_is_chopped_behind_a_transaction_that_it_holds() {
    let folder = golden("small");
    let log = path(folder.path(), "data/version-2/log.4c");
    let (code, printed, _) = text(&["txnlog", "chop", &log, "-z", "80"]);
    // 551 bytes and these words are the original's.
    assert!(code == 0 && printed.ends_with("Chopping at 50 new log has 5 records\n"), "{printed}");
    assert_eq!(std::fs::metadata(format!("{log}.chopped80")).unwrap().len(), 551);
    let (code, _, complaint) = text(&["txnlog", "chop", &log, "-z", "0x900"]);
    assert_eq!((code, complaint.as_str()), (1, "Failed to chop log.4c"));
    assert!(!Path::new(&format!("{log}.chopped2304")).exists(), "half a copy is left");
}

#[test]
fn purge_keeps_what_recovery_needs_and_speaks_as_the_original() {
    let folder = golden("kinds");
    let data = path(folder.path(), "data");
    let (code, _, complaint) = text(&["purge", &data, "-n", "2"]);
    assert_eq!(code, 1);
    assert!(complaint.starts_with("count should be greater than or equal to 3\nUsage:\nPurgeTxnLog"), "{complaint}");
    let (code, printed, _) = text(&["purge", &data, "-n", "3"]);
    assert_eq!((code, printed.as_str()), (0, ""));
    let left: Vec<_> = contents(&folder.path().join("data/version-2"));
    let mut names: Vec<_> = left.iter().map(|(path, _)| path.file_name().unwrap().to_str().unwrap()).collect();
    names.retain(|name| name.starts_with("snapshot") || name.starts_with("log"));
    // log.1 ends with 0x2c: it holds what follows the oldest snapshot that is kept.
    assert_eq!(names, ["log.1", "log.2d", "log.61", "log.8d", "snapshot.2b", "snapshot.5f", "snapshot.8b"]);
}

#[test]
fn nothing_is_written_where_a_server_holds_the_folder() {
    let folder = golden("kinds");
    let data = path(folder.path(), "data");
    let log = path(folder.path(), "data/version-2/log.8d");
    let lock = FolderLock::take(&Dirs::new(Path::new(&data), None)).unwrap();
    let before = contents(folder.path());
    for words in [
        vec!["init", &data, "--force"],
        vec!["txnlog", "recover", "-y", &log],
        vec!["txnlog", "chop", &log, "-z", "0x8e"],
    ] {
        let (code, _, complaint) = text(&words);
        assert_eq!(code, 1, "{words:?}");
        assert!(complaint.contains("a server holds this folder") && complaint.contains("locked"), "{complaint}");
    }
    // Looking is allowed.
    assert_eq!(text(&["txnlog", "verify", &data]).0, 0);
    assert!(before == contents(folder.path()));
    // What no server needs may go while one runs: scheduled clean-ups do that.
    assert_eq!(text(&["purge", &data, "-n", "3"]).0, 0);
    assert!(before != contents(folder.path()));
    drop(lock);
}

/// Apache's server takes no lock; what gives it away is the log that it has open to write.
#[test]
fn a_file_that_another_process_may_write_to_counts_as_held() {
    let folder = golden("kinds");
    let data = path(folder.path(), "data");
    let log = path(folder.path(), "data/version-2/log.8d");
    let mut writer = std::process::Command::new("sh")
        .args(["-c", "exec 3>>\"$0\"; echo ready; read -r _", &log])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(writer.stdout.as_mut().unwrap()), &mut line).unwrap();
    let (code, _, complaint) = text(&["init", &data, "--force"]);
    drop(writer.stdin.take());
    writer.wait().unwrap();
    assert_eq!(code, 1);
    assert!(complaint.contains(&format!("process {} has {log} open", writer.id())), "{complaint}");
    assert_eq!(text(&["init", &data, "--force"]).0, 0);
}

#[test]
fn init_makes_a_member_and_removes_nothing_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let (data, logs) = (path(folder.path(), "data"), path(folder.path(), "logs"));
    let config = path(folder.path(), "zoo.cfg");
    std::fs::write(&config, format!("# dataDir=/nowhere\ndataDir={data}\ndataLogDir = {logs}\nserver.1=a:1:2\n"))
        .unwrap();
    let (code, printed, _) = text(&["init", "--configfile", &config, "--myid", "3"]);
    assert_eq!((code, printed.as_str()), (0, "Using myid of 3\n"));
    assert_eq!(std::fs::read_to_string(format!("{data}/myid")).unwrap(), "3\n");
    let marked = |folder: &str| Path::new(folder).join("initialize").is_file();
    assert!(marked(&data) && !marked(&logs), "where zkServer-initialize.sh leaves it; our server looks there too");
    assert!(Path::new(&format!("{data}/version-2")).is_dir() && Path::new(&format!("{logs}/version-2")).is_dir());
    std::fs::write(format!("{data}/version-2/snapshot.0"), "x").unwrap();
    let (code, _, complaint) = text(&["init", &data, "--log-dir", &logs]);
    assert_eq!((code, complaint.contains("--force")), (1, true), "{complaint}");
    assert!(Path::new(&format!("{data}/version-2/snapshot.0")).is_file());
    let (code, printed, _) = text(&["init", &data, "--log-dir", &logs, "--force"]);
    assert_eq!((code, printed.contains("No myid provided")), (0, true));
    assert!(!Path::new(&format!("{data}/version-2/snapshot.0")).exists());
}

#[test]
fn files_that_are_none_are_refused_with_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let file = path(folder.path(), "snapshot.1");
    // Counts and lengths that promise more than there is.
    let mut hostile = b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff".to_vec();
    hostile.extend([0x7f, 0xff, 0xff, 0xff]);
    let mut hostile_log = b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0".to_vec();
    hostile_log.extend([0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff, 1]);
    for bytes in [Vec::new(), vec![0; 100], vec![0xff; 5000], hostile, hostile_log] {
        std::fs::write(&file, &bytes).unwrap();
        for words in [
            &["snapshot", "dump", &file][..],
            &["snapshot", "json", &file],
            &["snapshot", "stats", &file],
            &["snapshot", "compare", "-l", &file, "-r", &file, "-b", "0", "-n", "0"],
            &["txnlog", "dump", &file],
            &["txnlog", "chop", &file, "-z", "1"],
        ] {
            let (code, _, complaint) = text(words);
            assert!(code > 0 && !complaint.is_empty(), "{words:?} of {} bytes: {code} {complaint}", bytes.len());
        }
        assert_eq!(text(&["txnlog", "verify", &file]).0, if bytes.is_empty() || bytes == [0; 100] { 1 } else { 2 });
    }
    let (code, _, complaint) = text(&["snapshot", "dump", "/nowhere/snapshot.1"]);
    assert_eq!((code, complaint.contains("/nowhere/snapshot.1: cannot read")), (1, true));
}
