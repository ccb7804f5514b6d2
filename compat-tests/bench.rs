//! `oxkeeper bench` and the client against a server in the same process: every workload runs without an error and leaves
//! nothing behind, every call of the client does what it says. What is measured is of no interest here.

// Helpers of tests are tests, which clippy does not know.
#![allow(clippy::unwrap_used)]

use clap::{Parser, ValueEnum};
use oxkeeper::bench::{Args, Report, Workload, measure};
use oxkeeper::client::{Client, CreateMode, Error, Event, Events, Op, OpResult, Options, WatchMode};
use oxkeeper::config::{Config, SystemProperties};
use oxkeeper::jute::Encode;
use oxkeeper::proto::acl::Acl;
use oxkeeper::proto::owner::{CONTAINER_OWNER, TTL_OWNER};
use oxkeeper::proto::records::PathWatchRequest;
use oxkeeper::proto::{ErrorCode, OpCode};
use oxkeeper::server::Server;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// A server on a free port, with a data directory of its own.
struct Fixture {
    address: SocketAddr,
    server: Option<Server>,
    folder: tempfile::TempDir,
}

impl Fixture {
    fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "tickTime=2000\ndataDir={}\nclientPort=0\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\nadmin.enableServer=false\n{more}",
            folder.path().display()
        );
        let config = Config::parse(text.as_bytes(), Path::new("zoo.cfg"), &SystemProperties::default()).unwrap();
        let server = Server::start(&config).unwrap();
        Fixture { address: server.address(), server: Some(server), folder }
    }

    fn bench(&self, words: &str) -> Report {
        let server = format!("--server={}", self.address);
        let fixed = ["bench", &server, "--quiet", "--warmup=0", "--sessions=3", "--depth=4", "--keys=20"];
        let args = Args::parse_from(fixed.into_iter().chain(words.split(' ')));
        let report = measure(args.workloads[0], &args).unwrap();
        assert!(report.clean(), "{}", report.table());
        report
    }

    /// Runs something with a client.
    fn client<T>(&self, work: impl AsyncFnOnce(Client, Events) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, events) = Client::connect(&[self.address], &Options::default()).await.unwrap();
            work(client, events).await
        })
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().unwrap();
        }
    }
}

#[test]
fn every_workload_runs_clean_and_leaves_nothing() {
    let fixture = Fixture::start("");
    for workload in Workload::value_variants() {
        let name = workload.name();
        let words = match workload {
            Workload::Delete => format!("{name} --ops 60"),
            Workload::Idle => format!("{name} --duration 0.1"),
            Workload::Fill => continue,
            Workload::Snapshot => format!("{name} --duration 0.3 --data-dir {}", fixture.folder.path().display()),
            _ => format!("{name} --duration 0.3 --children 30"),
        };
        let report = fixture.bench(&words);
        assert!(report.total.ops > 0, "{}", report.table());
        if *workload == Workload::Delete {
            assert_eq!(report.total.ops, 60);
        }
    }
    fixture.client(async |client, _| assert_eq!(client.exists("/oxkeeper-bench", false).await.unwrap(), None));
}

#[test]
fn fill_makes_so_many_nodes_and_other_workloads_leave_them_alone() {
    let fixture = Fixture::start("");
    fixture.bench("fill --nodes 1234 --multi-size 10 --size 7");
    fixture.bench("create-delete --duration 0.1");
    fixture.client(async |client, _| {
        // The two directories of a thousand are there beside the nodes.
        assert_eq!(client.all_children_number("/oxkeeper-bench/fill").await.unwrap(), 1236);
        let path = "/oxkeeper-bench/fill/d0000000001/n0000001233";
        assert_eq!(client.get_data(path, false).await.unwrap().0.unwrap().len(), 7);
    });
}

#[test]
fn snapshots_are_seen_while_they_are_written() {
    let fixture = Fixture::start("snapCount=200\n");
    let data = fixture.folder.path().display();
    let report = fixture.bench(&format!("snapshot --duration 2 --rate 500 --write-rate 500 --data-dir {data}"));
    let snapshots = report.more["snapshots"].as_u64().unwrap();
    assert!(snapshots >= 1, "{}", report.table());
    assert!(report.classes["during snapshot"].ops > 0, "{}", report.table());
}

#[test]
fn answers_of_more_than_the_output_limit_all_come() {
    let fixture = Fixture::start("");
    fixture.client(async |client, _| {
        client.create("/large", Some(&[7; 2000]), &Acl::open_unsafe(), CreateMode::Persistent).await.unwrap();
        let mut pending = Vec::new();
        for _ in 0..1000 {
            let body = PathWatchRequest { path: Some("/large".into()), watch: false }.to_bytes();
            pending.push(client.send(OpCode::GET_DATA, body).await.unwrap());
        }
        for reply in pending {
            let reply = tokio::time::timeout(Duration::from_secs(20), reply.reply()).await;
            assert_eq!(reply.expect("no answer: the server forgot what it had read").unwrap().body.len(), 2072);
        }
    });
}

#[test]
fn options_without_meaning_are_refused() {
    let args = Args::parse_from(["bench", "connect", "--rate", "10"]);
    assert!(matches!(measure(Workload::Connect, &args), Err(Error::Io(_))));
    let args = Args::parse_from(["bench", "snapshot"]);
    assert!(measure(Workload::Snapshot, &args).is_err());
}

fn event(kind: i32, path: &str) -> impl Fn(&Event) -> bool {
    move |event| event.kind == kind && event.path == path && event.zxid > 0
}

#[test]
fn the_client_creates_reads_sets_and_deletes() {
    let fixture = Fixture::start("extendedTypesEnabled=true\n");
    fixture.client(async |client, _| {
        let open = Acl::open_unsafe();
        let (path, stat) = client.create("/a", Some(b"x"), &open, CreateMode::Persistent).await.unwrap();
        assert_eq!((path.as_str(), stat.data_length), ("/a", 1));
        let again = client.create("/a", Some(b"x"), &open, CreateMode::Persistent).await;
        assert_eq!(again.unwrap_err().code(), Some(ErrorCode::NODE_EXISTS));
        let (path, _) = client.create("/a/e-", Some(b""), &open, CreateMode::EphemeralSequential).await.unwrap();
        assert_eq!(path, "/a/e-0000000000");
        assert_eq!(client.ephemerals("/").await.unwrap(), ["/a/e-0000000000"]);
        client.create("/a/c", Some(b""), &open, CreateMode::Container).await.unwrap();
        client.create("/a/t", Some(b""), &open, CreateMode::PersistentTtl(60_000)).await.unwrap();
        let mut children = client.children("/a", false).await.unwrap().0;
        children.sort();
        assert_eq!(children, ["c", "e-0000000000", "t"]);
        assert_eq!(client.set_data("/a", b"yy", 0).await.unwrap().version, 1);
        let stale = client.set_data("/a", b"yy", 0).await;
        assert_eq!(stale.unwrap_err().code(), Some(ErrorCode::BAD_VERSION));
        assert_eq!(client.get_data("/a", false).await.unwrap().0.as_deref(), Some(&b"yy"[..]));
        client.sync("/a").await.unwrap();
        client.delete("/a/c", -1).await.unwrap();
        assert_eq!(client.exists("/a/c", false).await.unwrap(), None);
    });
}

/// What all other replies hide of containers and TTL nodes, for who may read the node.
#[test]
fn an_owner_is_told_to_who_may_read_the_node() {
    let fixture = Fixture::start("extendedTypesEnabled=true\n");
    fixture.client(async |client, _| {
        let open = Acl::open_unsafe();
        client.create("/c", None, &open, CreateMode::Container).await.unwrap();
        client.create("/t", None, &open, CreateMode::PersistentTtl(60_000)).await.unwrap();
        client.create("/e", None, &open, CreateMode::Ephemeral).await.unwrap();
        client.create("/hidden", None, &[Acl::new(0, "world", "anyone")], CreateMode::Container).await.unwrap();
        assert_eq!(client.exists("/c", false).await.unwrap().unwrap().ephemeral_owner, 0);
        assert_eq!(client.owner("/").await.unwrap(), 0);
        assert_eq!(client.owner("/c").await.unwrap(), CONTAINER_OWNER);
        assert_eq!(client.owner("/t").await.unwrap(), TTL_OWNER | 60_000);
        assert_eq!(client.owner("/e").await.unwrap(), client.session().id);
        assert_eq!(client.owner("/hidden").await.unwrap_err().code(), Some(ErrorCode::NO_AUTH));
        assert_eq!(client.owner("/none").await.unwrap_err().code(), Some(ErrorCode::NO_NODE));
    });
}

#[test]
fn a_multi_is_all_or_nothing() {
    let fixture = Fixture::start("");
    fixture.client(async |client, _| {
        let acl = Acl::open_unsafe();
        let create = Op::Create { path: "/m", data: Some(b""), acl: &acl, mode: CreateMode::Persistent };
        let set = Op::Set { path: "/m", data: b"1", version: 0 };
        let results = client.multi(&[create.clone(), set, Op::Check { path: "/m", version: 1 }]).await.unwrap();
        assert!(matches!(&results[..], [OpResult::Created(path), OpResult::Set(stat), OpResult::Done]
            if path == "/m" && stat.version == 1));
        let delete = Op::Delete { path: "/m", version: 1 };
        let results = client.multi(&[delete, Op::Delete { path: "/none", version: -1 }, create]).await.unwrap();
        let failed = [ErrorCode::OK, ErrorCode::NO_NODE, ErrorCode::RUNTIME_INCONSISTENCY].map(OpResult::Failed);
        assert_eq!(results, failed);
        assert!(client.exists("/m", false).await.unwrap().is_some());
    });
}

#[test]
fn watches_bring_events() {
    let fixture = Fixture::start("");
    fixture.client(async |client, mut events| {
        let open = Acl::open_unsafe();
        assert_eq!(client.exists("/w", true).await.unwrap(), None);
        client.create("/w", Some(b""), &open, CreateMode::Persistent).await.unwrap();
        assert!(events.recv().await.is_some_and(|seen| event(1, "/w")(&seen)));
        client.add_watch("/w", WatchMode::PersistentRecursive).await.unwrap();
        client.create("/w/below", Some(b""), &open, CreateMode::Persistent).await.unwrap();
        client.delete("/w/below", -1).await.unwrap();
        assert!(events.recv().await.is_some_and(|seen| event(1, "/w/below")(&seen)));
        assert!(events.recv().await.is_some_and(|seen| event(2, "/w/below")(&seen)));
        client.remove_watches("/w", 5).await.unwrap();
        let none = client.remove_watches("/w", 5).await;
        assert_eq!(none.unwrap_err().code(), Some(ErrorCode::NO_WATCHER));
    });
}

#[test]
fn identities_open_what_they_own() {
    let fixture = Fixture::start("");
    fixture.client(async |client, _| {
        client.create("/mine", Some(b""), &Acl::open_unsafe(), CreateMode::Persistent).await.unwrap();
        client.add_auth("digest", b"user:secret").await.unwrap();
        let identities = client.who_am_i().await.unwrap();
        assert!(identities.contains(&("digest".to_owned(), "user".to_owned())), "{identities:?}");
        assert_eq!(client.set_acl("/mine", &[Acl::new(31, "auth", "")], -1).await.unwrap().aversion, 1);
        assert_eq!(client.acl("/mine").await.unwrap().0[0].id.scheme, "digest");
    });
    fixture.client(async |client, _| {
        assert_eq!(client.get_data("/mine", false).await.unwrap_err().code(), Some(ErrorCode::NO_AUTH));
    });
}

#[test]
fn a_session_is_resumed_until_it_is_closed() {
    let fixture = Fixture::start("");
    let session = fixture.client(async |client, _| {
        let open = Acl::open_unsafe();
        client.create("/stays", Some(b""), &open, CreateMode::Ephemeral).await.unwrap();
        *client.session()
    });
    let resume = Options { resume: Some(session), ..Options::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, _) = Client::connect(&[fixture.address], &resume).await.unwrap();
        assert_eq!(client.session().id, session.id);
        assert!(client.exists("/stays", false).await.unwrap().is_some());
        client.close().await.unwrap();
        let (other, _) = Client::connect(&[fixture.address], &Options::default()).await.unwrap();
        assert_eq!(other.exists("/stays", false).await.unwrap(), None);
        let refused = Client::connect(&[fixture.address], &resume).await;
        assert!(matches!(refused, Err(Error::SessionRefused)));
    });
}

/// As Java's standalone server, which proposes to nobody and syncs no learner, whatever it logs.
#[test]
fn mntr_counts_syncs_and_no_proposals_on_a_standalone_server() {
    let fixture = Fixture::start(
        "4lw.commands.whitelist=*\nmetricsProvider.className=org.apache.zookeeper.metrics.impl.DefaultMetricsProvider\n",
    );
    fixture.client(async |client, _| {
        for path in ["/a", "/b"] {
            client.create(path, Some(b""), &Acl::open_unsafe(), CreateMode::Persistent).await.unwrap();
        }
    });
    let answer = |word: &[u8; 4]| {
        let mut socket = std::net::TcpStream::connect(fixture.address).unwrap();
        std::io::Write::write_all(&mut socket, word).unwrap();
        std::io::read_to_string(socket).unwrap()
    };
    let value = |text: &str, name: &str| -> i64 {
        let line = text.lines().find(|line| line.split('\t').next() == Some(name)).unwrap_or_else(|| panic!("{text}"));
        line.split('\t').nth(1).unwrap().parse().unwrap()
    };
    let mntr = answer(b"mntr");
    for name in ["zk_proposal_count", "zk_commit_count", "zk_snap_count", "zk_diff_count"] {
        assert_eq!(value(&mntr, name), 0, "{name}");
    }
    // The session and two nodes, one after the other: no sync for more than one.
    assert!(value(&mntr, "zk_cnt_fsynctime") >= 3, "{mntr}");
    assert!(value(&mntr, "zk_sum_sync_processor_batch_size") >= 3, "{mntr}");
    assert!(value(&mntr, "zk_cnt_snapshottime") >= 1, "{mntr}");
    assert!(answer(b"srst").starts_with("Server stats reset"));
    assert_eq!(value(&answer(b"mntr"), "zk_cnt_snapshottime"), 0);
}
