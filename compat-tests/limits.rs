//! Limits that protect the operator, on real servers: writes are refused before the machine or the disk ends the server,
//! reads go on, and the server takes writes again by itself once there is room, or time has passed.

// Helpers of tests are tests, which clippy does not know.
#![allow(clippy::unwrap_used)]

use oxkeeper::client::{Client, CreateMode, Error, Events, Options};
use oxkeeper::config::{Config, SystemProperties};
use oxkeeper::proto::ErrorCode;
use oxkeeper::proto::acl::Acl;
use oxkeeper::server::Server;
use oxkeeper::store::{Dirs, RealDisk, purge};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

fn text(folder: &Path, more: &str) -> String {
    format!(
        "tickTime=2000\ndataDir={}\nclientPort=0\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n{more}",
        folder.display()
    )
}

fn start(folder: &Path, more: &str) -> Server {
    let text = text(folder, more);
    let config = Config::parse(text.as_bytes(), Path::new("zoo.cfg"), &SystemProperties::default()).unwrap();
    Server::start(&config).unwrap()
}

fn run<T>(address: SocketAddr, work: impl AsyncFnOnce(Client, Events) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, events) = Client::connect(&[address], &Options::default()).await.unwrap();
        work(client, events).await
    })
}

async fn create(client: &Client, path: &str, data: &[u8]) -> Result<(), Error> {
    client.create(path, Some(data), &Acl::open_unsafe(), CreateMode::Persistent).await.map(drop)
}

fn code<T>(result: Result<T, Error>) -> Option<ErrorCode> {
    match result {
        Ok(_) => None,
        Err(error) => Some(error.code().unwrap_or_else(|| panic!("{error}"))),
    }
}

/// Tries again until it works; anything but this refusal is wrong.
async fn until_taken(refusal: ErrorCode, mut attempt: impl AsyncFnMut() -> Result<(), Error>) {
    let begin = Instant::now();
    while let Some(error) = code(attempt().await) {
        assert_eq!(error, refusal);
        assert!(begin.elapsed() < PATIENCE, "the server does not recover");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn a_disk_budget_refuses_writes_and_a_purge_makes_room_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), "diskBudgetInMb=3\npreAllocSize=64\nsnapCount=20\nautopurge.purgeInterval=0\n");
    run(server.address(), async |client, _events| {
        create(&client, "/a", b"first").await.unwrap();
        create(&client, "/b", b"to go").await.unwrap();
        let data = vec![7; 40_000];
        let begin = Instant::now();
        let refused = loop {
            match code(client.set_data("/a", &data, -1).await) {
                None => assert!(begin.elapsed() < PATIENCE, "the budget is never used up"),
                Some(error) => break error,
            }
        };
        assert_eq!(refused, ErrorCode::QUOTA_EXCEEDED);
        assert_eq!(client.get_data("/a", false).await.unwrap().0.unwrap(), data, "reads go on");
        client.delete("/b", -1).await.unwrap();
        client.add_auth("digest", b"a:b").await.unwrap();
        // Sessions come and go.
        let (other, _events) = Client::connect(&[server.address()], &Options::default()).await.unwrap();
        assert_eq!(code(create(&other, "/c", b"").await), Some(ErrorCode::QUOTA_EXCEEDED));
        other.close().await.unwrap();
        // What is beyond the newest three snapshots is of no use to the server.
        let dirs = Dirs::new(folder.path(), None);
        until_taken(ErrorCode::QUOTA_EXCEEDED, async || {
            purge(&RealDisk, &dirs, 3).unwrap();
            create(&client, "/c", b"").await
        })
        .await;
    });
    server.stop().unwrap();
}

#[test]
fn a_disk_with_less_than_the_reserve_takes_no_new_data() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), "");
    run(server.address(), async |client, _events| create(&client, "/a", b"").await.unwrap());
    server.stop().unwrap();
    // More than any disk has.
    let server = start(folder.path(), "diskReserveInMb=1000000000000\n");
    run(server.address(), async |client, _events| {
        assert_eq!(code(create(&client, "/b", b"").await), Some(ErrorCode::QUOTA_EXCEEDED));
        assert_eq!(client.children("/", false).await.unwrap().0.len(), 2);
        client.delete("/a", -1).await.unwrap();
    });
    server.stop().unwrap();
}

#[test]
fn an_identity_above_its_rate_is_refused_and_served_again_a_moment_later() {
    let folder = tempfile::tempdir().unwrap();
    let rates = "requestRate.identities=digest:bob=5\nrequestRate.prefixes=/slow=4\n";
    let server = start(folder.path(), rates);
    run(server.address(), async |client, _events| {
        create(&client, "/a", b"").await.unwrap();
        create(&client, "/slow", b"").await.unwrap();
        let refused = async |client: &Client, path: &str| {
            let mut refused = 0;
            for _ in 0..40 {
                match code(client.get_data(path, false).await) {
                    None => {}
                    Some(error) => {
                        assert_eq!(error, ErrorCode::THROTTLED_OP);
                        refused += 1;
                    }
                }
            }
            refused
        };
        assert_eq!(refused(&client, "/a").await, 0, "nobody limits this client there");
        assert!(refused(&client, "/slow").await > 20);
        let taken = async || client.get_data("/slow", false).await.map(drop);
        until_taken(ErrorCode::THROTTLED_OP, taken).await;

        client.add_auth("digest", b"bob:secret").await.unwrap();
        assert!(refused(&client, "/a").await > 20, "bob is limited everywhere");
        // Another connection of bob's does not get around it.
        let (other, _events) = Client::connect(&[server.address()], &Options::default()).await.unwrap();
        other.add_auth("digest", b"bob:secret").await.unwrap();
        assert!(refused(&other, "/a").await > 20);
        until_taken(ErrorCode::THROTTLED_OP, async || other.get_data("/a", false).await.map(drop)).await;
    });
    server.stop().unwrap();
}

/// A server of its own process, whose memory is its own.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(folder: &Path, more: &str) -> Self {
        let file = folder.join("zoo.cfg");
        std::fs::write(&file, text(&folder.join("data"), more)).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_oxkeeper"))
            .arg(&file)
            .env("OXKEEPER_LOG_FORMAT", "json")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            let fields = &line["fields"];
            (fields["message"] == "ready").then(|| fields["address"].as_str().unwrap().parse().unwrap())
        });
        // Its pipe must not fill up.
        std::thread::spawn(move || lines.for_each(drop));
        Process { child, address: address.unwrap() }
    }

    fn resident_mb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_memory_budget_keeps_the_server_alive_and_deletes_make_room_again() {
    memory_runs_out(150, 900_000);
}

/// The allocator keeps the pages of small things that are gone.
#[test]
fn a_memory_budget_knows_that_pages_without_nodes_are_room() {
    memory_runs_out(50, 4_000);
}

/// Nodes of so many bytes until none is taken any more, and then none.
fn memory_runs_out(budget_mb: u64, size: usize) {
    let folder = tempfile::tempdir().unwrap();
    let more = format!("memoryBudgetInMb={budget_mb}\nforceSync=no\nsnapCount=1000000\nsnapSizeLimitInKb=0\n");
    let process = Process::start(folder.path(), &more);
    run(process.address, async |client, _events| {
        let data = vec![7; size];
        let mut made = 0;
        let refused = loop {
            match code(create(&client, &format!("/{made}"), &data).await) {
                None => made += 1,
                Some(error) => break error,
            }
            assert!(made * size < 900_000_000, "{} MB", process.resident_mb());
        };
        assert_eq!(refused, ErrorCode::QUOTA_EXCEEDED);
        assert!(made > 20, "{made} nodes");
        assert!(process.resident_mb() < 2 * budget_mb, "{} MB", process.resident_mb());
        assert_eq!(client.get_data("/0", false).await.unwrap().0.unwrap().len(), data.len(), "reads go on");
        for node in 0..made {
            client.delete(&format!("/{node}"), -1).await.unwrap();
        }
        until_taken(ErrorCode::QUOTA_EXCEEDED, async || create(&client, "/again", b"").await).await;
    });
}
