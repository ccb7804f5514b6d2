//! The page of metrics of a server in the same process: it is there, it counts what was done, `mntr` says the same, and nothing
//! that a stranger asks for harms it.

// Helpers of tests are tests, which clippy does not know.
#![allow(clippy::unwrap_used)]

use oxkeeper::client::{Client, CreateMode, Options};
use oxkeeper::config::{Config, SystemProperties};
use oxkeeper::proto::acl::Acl;
use oxkeeper::server::Server;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

const PROMETHEUS: &str = "metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n\
     metricsProvider.httpHost=127.0.0.1\nmetricsProvider.httpPort=0\n";

fn config(folder: &Path, more: &str) -> Config {
    let folder = folder.display();
    let text = format!(
        "dataDir={folder}\nclientPort=0\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n4lw.commands.whitelist=*\n{more}"
    );
    Config::parse(text.as_bytes(), Path::new("zoo.cfg"), &SystemProperties::default()).unwrap()
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

fn get(address: SocketAddr, path: &str) -> (String, String) {
    let answer = ask(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// Samples by their names with labels.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

#[test]
fn the_page_counts_what_was_done_and_mntr_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&config(folder.path(), PROMETHEUS)).unwrap();
    let (address, page) = (server.address(), server.metrics_address().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = runtime.block_on(async {
        let (client, _events) = Client::connect(&[address], &Options::default()).await.unwrap();
        client.create("/ns", Some(b"data"), &Acl::open_unsafe(), CreateMode::Persistent).await.unwrap();
        for _ in 0..5 {
            client.get_data("/ns", false).await.unwrap();
        }
        client
    });
    let (head, body) = get(page, "/metrics");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.to_lowercase().contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    let found = samples(&body);
    for (name, value) in [
        ("znode_count", 6.0),
        ("num_alive_connections", 1.0),
        ("connection_request_count", 1.0),
        ("updatelatency_count", 2.0),
        ("readlatency_count", 5.0),
        ("outstanding_changes_queued", 2.0),
        ("outstanding_changes_removed", 2.0),
        (r#"read_per_namespace_count{key="ns"}"#, 5.0),
        (r#"read_per_namespace_sum{key="ns"}"#, 5.0 * (3.0 + 4.0 + 68.0)),
        (r#"write_per_namespace_sum{key="ns"}"#, 3.0 + 4.0),
        ("oxkeeper_commit_seconds_count", 2.0),
        (r#"oxkeeper_queue_length{queue="commit"}"#, 0.0),
        ("oxkeeper_zxids_left", f64::from(u32::MAX - 2)),
    ] {
        assert_eq!(found.get(name), Some(&value), "{name} in\n{body}");
    }
    assert!(found["fsynctime_count"] >= 1.0 && found["process_resident_memory_bytes"] > 0.0);

    let mntr = ask(address, "mntr");
    let line = |name: &str| mntr.lines().find_map(|line| line.strip_prefix(&format!("zk_{name}\t"))).map(str::to_owned);
    for name in ["znode_count", "readlatency_count", "updatelatency_count", "outstanding_changes_queued"] {
        assert_eq!(line(name).unwrap().parse::<f64>().unwrap(), found[name], "{name}");
    }

    let (_, some) = get(page, "/metrics?name[]=znode_count&name%5B%5D=readlatency_count");
    assert_eq!(samples(&some).into_keys().collect::<Vec<_>>(), ["readlatency_count", "znode_count"]);
    for (path, status) in [("/", "404"), ("/metrics/", "404"), ("/metrics?name[]=none", "200")] {
        assert!(get(page, path).0.starts_with(&format!("HTTP/1.1 {status}")), "{path}");
    }
    runtime.block_on(client.close()).unwrap();
    server.stop().unwrap();
}

#[test]
fn strangers_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&config(folder.path(), PROMETHEUS)).unwrap();
    let page = server.metrics_address().unwrap();
    // More connections than an address has places: the last ones are closed at once, those that leave make room.
    let mut silent: Vec<_> = (0..40).map(|_| TcpStream::connect(page).unwrap()).collect();
    assert!(matches!(silent[39].read(&mut [0]), Ok(0) | Err(_)));
    drop(silent);
    let answers = |request: &[u8]| {
        let mut answer = Vec::new();
        let mut connection = TcpStream::connect(page).unwrap();
        let _ = connection.write_all(request).and_then(|()| connection.read_to_end(&mut answer));
        !answer.is_empty()
    };
    while !answers(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    // A head without end, and what is no HTTP at all.
    let mut long = TcpStream::connect(page).unwrap();
    let _ = long.write_all(b"GET /metrics HTTP/1.1\r\nX: ").and_then(|()| long.write_all(&[b'x'; 100_000]));
    let mut answer = Vec::new();
    let _ = long.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    let mut garbage = TcpStream::connect(page).unwrap();
    let _ = garbage.write_all(&[0xff; 64]).and_then(|()| garbage.read_to_end(&mut answer));
    assert!(get(page, "/metrics").0.starts_with("HTTP/1.1 200"));
    server.stop().unwrap();
}

#[test]
fn other_providers_have_no_page_and_a_taken_port_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&config(folder.path(), "")).unwrap();
    assert_eq!(server.metrics_address(), None);
    let mntr = ask(server.address(), "mntr");
    assert!(mntr.contains("zk_cnt_readlatency\t0\n"), "{mntr}");
    server.stop().unwrap();

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("metricsProvider.httpPort={}\n", taken.local_addr().unwrap().port());
    let more = PROMETHEUS.replace("metricsProvider.httpPort=0\n", &port);
    let refused = Server::start(&config(folder.path(), &more)).err().unwrap();
    assert!(refused.to_string().starts_with("cannot listen on 127.0.0.1:"), "{refused}");
    assert_eq!(refused.exit_code(), 1);
}
