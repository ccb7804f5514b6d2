//! `oxkeeper backup` against a server under load: what is restored has the digest that the server logged for exactly that
//! transaction, twenty times of twenty; and the restored data goes on where it stopped.

// Helpers of tests are tests, which clippy does not know.
#![allow(clippy::unwrap_used)]

use oxkeeper::client::{Client, CreateMode, Error, Op, Options};
use oxkeeper::config::{Config, SystemProperties};
use oxkeeper::proto::ErrorCode;
use oxkeeper::proto::acl::Acl;
use oxkeeper::server::Server;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const ROUNDS: usize = 20;
const WRITERS: usize = 4;

fn start(data: &Path, more: &str) -> Server {
    let text = format!(
        "tickTime=2000\ndataDir={}\nclientPort=0\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\nadmin.enableServer=false\n{more}",
        data.display()
    );
    let config = Config::parse(text.as_bytes(), Path::new("zoo.cfg"), &SystemProperties::default()).unwrap();
    Server::start(&config).unwrap()
}

fn oxkeeper(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_oxkeeper")).args(words).output().unwrap()
}

/// Runs a tool that must succeed, and gives what it printed.
fn done(words: &[&str]) -> String {
    let output = oxkeeper(words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn manifest(backup: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(backup.join("backup.json")).unwrap()).unwrap()
}

/// One client that never stops: creates, sets, deletes, multis, ephemerals, sequence nodes, access lists, failures.
async fn write(client: &Client, writer: usize, stop: &AtomicBool, written: &AtomicU64) -> Result<(), Error> {
    let open = Acl::open_unsafe();
    let reader = vec![Acl::new(1, "world", "anyone"), Acl::new(31, "ip", "127.0.0.1")];
    let home = format!("/w{writer}");
    client.create(&home, Some(b""), &open, CreateMode::Persistent).await?;
    let mut turn = 0u64;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let path = format!("{home}/n{}", turn % 500);
        let data = vec![b'x'; (turn % 97) as usize * 7];
        match client.create(&path, Some(&data), &open, CreateMode::Persistent).await {
            Ok(_) => {}
            Err(Error::Server(ErrorCode::NODE_EXISTS)) if turn.is_multiple_of(3) => client.delete(&path, -1).await?,
            Err(Error::Server(ErrorCode::NODE_EXISTS)) => drop(client.set_data(&path, &data, -1).await?),
            Err(error) => return Err(error),
        }
        if turn.is_multiple_of(5) {
            let (made, _) =
                client.create(&format!("{home}/e-"), Some(b""), &open, CreateMode::EphemeralSequential).await?;
            let (a, b) = (format!("{home}/m{turn}"), format!("{home}/m{turn}/below"));
            let ops = [
                Op::Create { path: &a, data: Some(b"1"), acl: &reader, mode: CreateMode::Persistent },
                Op::Create { path: &b, data: Some(b"2"), acl: &open, mode: CreateMode::Persistent },
                Op::Delete { path: &made, version: -1 },
            ];
            client.multi(&ops).await?;
        }
        written.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Writers in threads of their own, until dropped.
struct Load {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn on(address: SocketAddr) -> Self {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let writer = |writer: usize| {
            let (stop, written) = (stop.clone(), written.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let (client, _events) = Client::connect(&[address], &Options::default()).await.unwrap();
                    write(&client, writer, &stop, &written).await.unwrap();
                });
            })
        };
        let threads = (0..WRITERS).map(writer).collect();
        Load { stop, written, threads }
    }

    /// Waits until so many more turns are done.
    fn advance(&self, turns: u64) {
        let goal = self.written.load(Ordering::Relaxed) + turns;
        while self.written.load(Ordering::Relaxed) < goal {
            assert!(self.threads.iter().all(|thread| !thread.is_finished()), "a writer has ended");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        self.written.load(Ordering::Relaxed)
    }
}

/// The digest that the server logged for a transaction. A failed request is logged without one and changes nothing: then
/// it is that of the transaction before.
fn logged(data: &Path, zxid: &str) -> Value {
    let number = i64::from_str_radix(&zxid[2..], 16).unwrap();
    let from = (number - 100).max(1).to_string();
    let rows = done(&["txnlog", "range", "--json", name(data), &from, zxid]);
    let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.last().unwrap()["zxid"], zxid);
    let row = rows.iter().rfind(|row| row["type"] != "error").unwrap();
    assert!(row["digest"].is_string(), "{row}");
    row["digest"].clone()
}

#[test]
fn a_backup_under_load_restores_to_the_exact_digest_at_its_zxid_20_of_20() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // Snapshots begin all the time, and logs roll with them.
    let server = start(&data, "snapCount=150\n");
    let load = Load::on(server.address());
    load.advance(200);
    let (mut rounds, mut snapshots) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let backup = folder.path().join(format!("backup-{round}"));
        let before = load.written.load(Ordering::Relaxed);
        done(&["backup", name(&data), name(&backup)]);
        let manifest = manifest(&backup);
        assert!(load.written.load(Ordering::Relaxed) > before, "there was no load during round {round}");
        // At its end, while the load goes on.
        let restored = folder.path().join(format!("restored-{round}"));
        let said = done(&["restore", name(&backup), name(&restored)]);
        rounds.push((
            backup,
            restored,
            manifest["zxid"].as_str().unwrap().to_owned(),
            manifest["digest"].clone(),
            said,
        ));
        snapshots.push(manifest["snapshot"].clone());
        load.advance(40);
    }
    let written = load.end();
    server.stop().unwrap();
    snapshots.dedup();
    assert!(snapshots.len() > 3, "snapshots were taken meanwhile: {snapshots:?}");
    let mut exact = 0;
    for (backup, restored, zxid, digest, said) in &rounds {
        let logged = logged(&data, zxid);
        assert_eq!(digest, &logged, "{zxid}: the backup");
        assert!(
            said.contains(&format!(": {zxid}, made ")) && said.trim_end().ends_with(digest.as_str().unwrap()),
            "{said}"
        );
        // Once more by other code: the doctor plays a start through.
        let doctor: Value = serde_json::from_str(&done(&["doctor", "--json", name(restored)])).unwrap();
        assert_eq!((&doctor["state"]["digest"], doctor["safeUpTo"].as_str()), (&logged, Some(zxid.as_str())));
        done(&["verify", name(backup)]);
        // And from another snapshot, where the server's own folder still leads there.
        let again = folder.path().join(format!("again-{zxid}"));
        let said = done(&["restore", name(&data), name(&again), "--zxid", zxid]);
        assert!(said.trim_end().ends_with(digest.as_str().unwrap()), "{said}");
        exact += 1;
    }
    println!("{exact} of {ROUNDS} exact, {written} turns of {WRITERS} writers, {} snapshots used", snapshots.len());
    assert_eq!(exact, ROUNDS);
}

#[test]
fn a_continuous_backup_follows_until_it_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup"));
    let server = start(&data, "snapCount=150\n");
    let load = Load::on(server.address());
    load.advance(50);
    let mut following = Command::new(env!("CARGO_BIN_EXE_oxkeeper"))
        .args(["backup", name(&data), name(&backup), "--follow", "--interval", "0.05"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let zxid = || i64::from_str_radix(&manifest(&backup)["zxid"].as_str().unwrap()[2..], 16).unwrap();
    while !backup.join("backup.json").exists() {
        assert!(following.try_wait().unwrap().is_none(), "it has ended");
        std::thread::sleep(Duration::from_millis(10));
    }
    let first = zxid();
    load.advance(400);
    load.end();
    // All that was logged arrives; the closing of the writers' sessions is the last of it.
    let last: Value = serde_json::from_str(&done(&["doctor", "--json", name(&data)])).unwrap();
    let last = last["safeUpTo"].as_str().unwrap().to_owned();
    let end = i64::from_str_radix(&last[2..], 16).unwrap();
    for _ in 0..1_000 {
        if zxid() >= end {
            break;
        }
        assert!(following.try_wait().unwrap().is_none(), "it has ended");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(zxid() > first + 400, "{first:#x} and {:#x}", zxid());
    // By its id alone; the signal asks it to end in order.
    let stopped = Command::new("kill").args(["-TERM", &following.id().to_string()]).status().unwrap();
    assert!(stopped.success() && following.wait().unwrap().success());
    server.stop().unwrap();
    let manifest = manifest(&backup);
    assert_eq!(manifest["digest"], logged(&data, manifest["zxid"].as_str().unwrap()));
    done(&["verify", name(&backup)]);
}

#[test]
fn restored_data_goes_on_with_its_sequence_counters() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backup, restored): (PathBuf, PathBuf, PathBuf) =
        (folder.path().join("data"), folder.path().join("backup"), folder.path().join("restored"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let create = |address: SocketAddr, count: usize| -> String {
        runtime.block_on(async {
            let (client, _events) = Client::connect(&[address], &Options::default()).await.unwrap();
            let _ = client.create("/queue", Some(b""), &Acl::open_unsafe(), CreateMode::Persistent).await;
            let mut last = String::new();
            for _ in 0..count {
                let mode = CreateMode::PersistentSequential;
                last = client.create("/queue/item-", Some(b""), &Acl::open_unsafe(), mode).await.unwrap().0;
                // The counter must not be what is left to count.
                client.delete(&last, -1).await.unwrap();
            }
            client.close().await.unwrap();
            last
        })
    };
    let server = start(&data, "");
    assert_eq!(create(server.address(), 7), "/queue/item-0000000006");
    // The server holds its folder: nobody writes there. Only what no server needs may be removed.
    done(&["purge", name(&data), "-n", "3"]);
    for words in [vec!["restore", name(&data), name(&data)], vec!["init", name(&data), "--force"]] {
        let output = oxkeeper(&words);
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && complaint.contains("a server holds this folder"), "{words:?}: {complaint}");
    }
    done(&["backup", name(&data), name(&backup)]);
    server.stop().unwrap();
    done(&["restore", name(&backup), name(&restored), "--new-ensemble"]);
    let server = start(&restored, "");
    assert_eq!(create(server.address(), 1), "/queue/item-0000000007");
    server.stop().unwrap();
}
