//! The admin server as its callers see it: real sockets on loopback, a real server behind it.

use super::super::{Server, ServerError};
use super::{AdminServer, restore};
use crate::auth::Policy;
use crate::client::{Client, CreateMode, Options};
use crate::config::{Config, SystemProperties};
use crate::proto::acl::Acl;
use crate::tree::OwnerRules;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

fn config(data: &Path, more: &str) -> Config {
    let text = format!(
        "tickTime=2000\ndataDir={}\nclientPort=0\nclientPortAddress=127.0.0.1\nadmin.serverAddress=127.0.0.1\n\
         admin.rateLimiterIntervalInMS=0\n{}\n{more}",
        data.display(),
        if more.contains("serverPort") { "" } else { "admin.serverPort=0" }
    );
    Config::parse(text.as_bytes(), Path::new("zoo.cfg"), &SystemProperties::default()).unwrap()
}

/// A server with a folder of its own.
struct Fixture {
    server: Option<Server>,
    admin: SocketAddr,
    folder: tempfile::TempDir,
    more: String,
}

impl Fixture {
    fn start(more: &str) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&config(folder.path(), more)).unwrap();
        let admin = server.admin_address().unwrap();
        Fixture { server: Some(server), admin, folder, more: more.into() }
    }

    fn restart(&mut self) {
        self.server.take().unwrap().stop().unwrap();
        let server = Server::start(&config(self.folder.path(), &self.more)).unwrap();
        self.admin = server.admin_address().unwrap();
        self.server = Some(server);
    }

    fn get(&self, path: &str) -> Answer {
        ask(self.admin, "GET", path, &[], &[])
    }

    fn client<T>(&self, work: impl AsyncFnOnce(Client) -> T) -> T {
        let address = self.server.as_ref().unwrap().address();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, _events) = Client::connect(&[address], &Options::default()).await.unwrap();
            work(client).await
        })
    }

    fn create(&self, path: &str, data: &[u8]) {
        self.client(async |client| {
            client.create(path, Some(data), &open(), CreateMode::Persistent).await.unwrap();
            client.close().await.unwrap();
        });
    }

    fn data(&self, path: &str) -> Option<Vec<u8>> {
        self.client(async |client| client.get_data(path, false).await.ok().and_then(|(data, _)| data))
    }

    fn zxid(&self) -> i64 {
        self.server.as_ref().unwrap().pipeline.gate.read(|tree| tree.zxid().0)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().unwrap();
        }
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Sends bytes and reads until the other side closes.
fn exchange(admin: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(admin).unwrap();
    // A refusal may come, and the connection end, before everything is sent.
    let _ = socket.write_all(request);
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    answer
}

fn ask(admin: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n");
    headers.iter().for_each(|(name, value)| request += &format!("{name}: {value}\r\n"));
    if !body.is_empty() || method == "POST" {
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    let request = [request.as_bytes(), b"\r\n", body].concat();
    parsed(&exchange(admin, &request))
}

fn parsed(answer: &[u8]) -> Answer {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer with a head");
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut answer = Answer { status, head, body: answer[end + 4..].to_vec() };
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = unchunked(&answer.body);
    }
    answer
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").expect("the size of a chunk");
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return out;
        }
        out.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
    }
}

const SUPER: &str = "digest super:secret";
/// The super user of these tests, by the hash of its password.
fn super_digest() -> String {
    let id = crate::auth::Algorithm::parse("SHA1").unwrap().identity("super:secret");
    format!("DigestAuthenticationProvider.superDigest={id}")
}

fn open() -> [Acl; 1] {
    [Acl::new(31, "world", "anyone")]
}

const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

#[test]
fn commands_answer_in_json_and_the_index_names_them() {
    let fixture = Fixture::start("");
    let index = fixture.get("/commands");
    assert_eq!((index.status, index.header("content-type")), (200, None));
    assert_eq!(index.text(), include_str!("../../admin/testdata/admin/standalone.index.html"));
    assert_eq!(fixture.get("/commands/").body, index.body);
    let ruok = fixture.get("/commands/ruok");
    assert_eq!((ruok.status, ruok.header("content-type")), (200, Some("application/json")));
    assert_eq!(ruok.text(), "{\n  \"command\" : \"ruok\",\n  \"error\" : null\n}");
    let unknown = fixture.get("/commands/no%20pe");
    assert_eq!(unknown.text(), "{\n  \"command\" : \"no pe\",\n  \"error\" : \"Unknown command: no pe\"\n}");
    assert_eq!(unknown.status, 200);
    for command in crate::admin::commands::COMMANDS {
        if ["snapshot", "restore", "set_trace_mask", "leader"].contains(&command.name) {
            continue;
        }
        for name in [command.name, command.word].into_iter().chain(command.aliases.iter().copied()) {
            if !name.is_empty() {
                let json = fixture.get(&format!("/commands/{name}")).json();
                assert_eq!((json["command"].as_str(), &json["error"]), (Some(command.name), &serde_json::Value::Null));
            }
        }
    }
    assert_eq!(fixture.get("/commands/lead").json()["error"], "server is not initialized");
    assert_eq!(fixture.get("/commands/stmk?traceMask=17").json()["tracemask"], 17);
    assert_eq!(fixture.get("/commands/gtmk").json()["tracemask"], 17);
    assert_eq!(fixture.get("/commands/stmk?traceMask=x").json()["command"], "set_trace_mask");
    let text = fixture.get("/commands/icfg").json()["initial_configuration"].as_str().unwrap().to_owned();
    assert!(text.contains("clientPort=0\n"), "{text}");
    assert_eq!(fixture.get("/livez").text(), "ok\n");
    assert_eq!(fixture.get("/readyz").status, 200);
    assert!(fixture.get("/metrics").text().contains("\nznode_count "));
    assert!(!fixture.get("/metrics?name[]=uptime").text().contains("znode_count"));
    assert_eq!(fixture.get("/commands/lsnp").json()["zxid"], "0");
    let before = fixture.get("/commands/mntr").json()["znode_count"].as_i64().unwrap();
    fixture.create("/a", b"");
    assert_eq!(fixture.get("/commands/mntr").json()["znode_count"].as_i64().unwrap(), before + 1);
}

#[test]
fn methods_and_paths() {
    let fixture = Fixture::start("admin.commandURL=/zk/admin/");
    let status = |method: &str, path: &str| ask(fixture.admin, method, path, &[("Authorization", "ip")], &[]).status;
    for (method, path, expected) in [
        ("GET", "/zk/admin/ruok", 200),
        ("HEAD", "/zk/admin/ruok", 200),
        ("GET", "/zk/admin?x=1", 200),
        ("GET", "/zk/administrator", 404),
        ("GET", "/commands/ruok", 404),
        ("GET", "/nothing", 404),
        ("PUT", "/zk/admin/ruok", 405),
        ("DELETE", "/zk/admin/ruok", 405),
        ("POST", "/zk/admin/ruok", 405),
        ("POST", "/zk/admin/", 200),
        ("POST", "/zk/admin/nope", 200),
        ("GET", "/zk/admin/restore", 405),
        ("TRACE", "/zk/admin/ruok", 403),
        ("TRACE", "/nothing", 403),
        ("OPTIONS", "/zk/admin/ruok", 200),
        ("POST", "/livez", 405),
    ] {
        assert_eq!(status(method, path), expected, "{method} {path}");
    }
    assert!(fixture.get("/zk/admin").text().starts_with("<a href=\"/zk/admin/configuration\">"));
    assert!(ask(fixture.admin, "HEAD", "/zk/admin/ruok", &[], &[]).body.is_empty());
}

#[test]
fn snapshot_and_restore_ask_who_it_is() {
    let fixture = Fixture::start(&super_digest());
    let ask = |headers: &[(&str, &str)]| {
        let answer = ask(fixture.admin, "GET", "/commands/snapshot?streaming=false", headers, &[]);
        let error = answer.json()["error"].as_str().map(str::to_owned);
        (answer.status, error)
    };
    let not_authenticated = (401, Some("Not authenticated".to_owned()));
    assert_eq!(ask(&[]), (401, Some("Auth info is missing for the command".into())));
    for wrong in ["world anyone", "nope x", "digest", "digest a b", "digest  a", "x509", "sasl x", ""] {
        assert_eq!(ask(&[("Authorization", wrong)]), not_authenticated, "{wrong}");
    }
    // An open root is open to whoever says who he is.
    assert_eq!(ask(&[("Authorization", "digest any:body")]), (200, None));
    assert_eq!(ask(&[("Authorization", "ip")]), (200, None));
    // Each permission counts.
    let own = crate::auth::Algorithm::parse("SHA1").unwrap().identity("me:pw");
    let list = [Acl::new(1, "world", "anyone"), Acl::new(31, "digest", &own), Acl::new(31, "ip", "10.9.8.7")];
    fixture.client(async |client| client.set_acl("/", &list, -1).await.unwrap());
    let not_authorized = (403, Some("Not authorized".to_owned()));
    assert_eq!(ask(&[("Authorization", "digest any:body")]), not_authorized);
    assert_eq!(ask(&[("Authorization", "digest me:pw")]), (200, None));
    assert_eq!(ask(&[("Authorization", SUPER)]), (200, None));
    assert_eq!(ask(&[("Authorization", "ip")]), not_authorized);
    let forged = [("Authorization", "ip"), ("X-Forwarded-For", "10.9.8.7"), ("Forwarded", "for=10.9.8.7")];
    assert_eq!(ask(&forged), not_authorized, "a header says nothing of who calls");
    let body = [0u8; 1000];
    let restore = super::tests::ask(fixture.admin, "POST", "/commands/restore", &[("Authorization", "ip")], &body);
    assert_eq!(restore.status, 403);
}

fn snapshot_of(fixture: &Fixture) -> Answer {
    ask(fixture.admin, "GET", "/commands/snapshot", &[("Authorization", "ip")], &[])
}

fn restore_into(fixture: &Fixture, bytes: &[u8]) -> Answer {
    ask(fixture.admin, "POST", "/commands/restore", &[("Authorization", "ip")], bytes)
}

#[test]
fn a_snapshot_goes_from_one_server_to_another_and_lasts() {
    for compression in ["", "gz", "snappy"] {
        let one = Fixture::start(&format!("snapshot.compression.method={compression}"));
        for number in 0..300 {
            one.create(&format!("/n{number}"), &[7; 1000]);
        }
        let sent = snapshot_of(&one);
        assert_eq!((sent.status, sent.header("content-type")), (200, Some("application/octet-stream")));
        assert_eq!(sent.header("last_zxid"), Some(format!("0x{:x}", one.zxid()).as_str()));
        assert_eq!(sent.header("snapshot_size"), Some(sent.body.len().to_string().as_str()));

        let mut two = Fixture::start("");
        two.create("/other", b"goes");
        let restored = restore_into(&two, &sent.body);
        assert_eq!(restored.status, 200, "{}", restored.text());
        let expected =
            format!("{{\n  \"last_zxid\" : {},\n  \"command\" : \"restore\",\n  \"error\" : null\n}}", one.zxid());
        assert_eq!(restored.text(), expected);
        for _ in 0..2 {
            assert_eq!(two.data("/n299"), Some(vec![7; 1000]));
            assert_eq!(two.data("/other"), None);
            two.create(&format!("/after{}", two.zxid()), b"");
            two.restart();
        }
    }
}

/// Numbers never go back: the log on disk already has them.
#[test]
fn an_older_snapshot_gets_a_newer_number() {
    let mut fixture = Fixture::start("");
    fixture.create("/a", b"old");
    let sent = snapshot_of(&fixture);
    fixture.client(async |client| client.set_data("/a", b"new", -1).await.unwrap());
    fixture.create("/b", b"");
    let before = fixture.zxid();
    let restored = restore_into(&fixture, &sent.body);
    let zxid = restored.json()["last_zxid"].as_i64().unwrap();
    assert!(zxid > before, "{zxid} after {before}");
    fixture.create("/c", b"");
    for _ in 0..2 {
        assert_eq!(fixture.data("/a"), Some(b"old".to_vec()));
        assert_eq!((fixture.data("/b"), fixture.data("/c")), (None, Some(Vec::new())));
        fixture.restart();
    }
}

#[test]
fn sessions_are_those_of_the_snapshot() {
    let fixture = Fixture::start("");
    let address = fixture.server.as_ref().unwrap().address();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let admin = fixture.admin;
    runtime.block_on(async {
        let (old, _events) = Client::connect(&[address], &Options::default()).await.unwrap();
        old.create("/e", Some(b""), &open(), CreateMode::Ephemeral).await.unwrap();
        let sent =
            tokio::task::spawn_blocking(move || ask(admin, "GET", "/commands/snap", &[("Authorization", "ip")], &[]));
        let sent = sent.await.unwrap();
        let (new, _events) = Client::connect(&[address], &Options::default()).await.unwrap();
        let (kept, lost) = (*old.session(), *new.session());
        let restored = tokio::task::spawn_blocking(move || {
            ask(admin, "POST", "/commands/rest", &[("Authorization", "ip")], &sent.body)
        });
        assert_eq!(restored.await.unwrap().status, 200);
        assert!(old.exists("/e", false).await.is_err(), "every connection is ended");
        let again = Client::connect(&[address], &Options { resume: Some(kept), ..Options::default() }).await;
        let (again, _events) = again.unwrap();
        assert!(again.exists("/e", false).await.unwrap().is_some());
        again.close().await.unwrap();
        let gone = Client::connect(&[address], &Options { resume: Some(lost), ..Options::default() }).await;
        assert!(gone.is_err(), "its session is not in the snapshot");
    });
    assert_eq!(fixture.data("/e"), None, "closed after it came back");
}

#[test]
fn wrong_data_is_refused_and_nothing_changes() {
    let fixture = Fixture::start("");
    fixture.create("/a", b"kept");
    let good = snapshot_of(&fixture).body;
    let before = fixture.zxid();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let cuts = [0, 1, 16, 100, good.len() / 2, good.len() - 30, good.len() - 1];
    let cut = cuts.iter().map(|length| good[..*length].to_vec());
    let longer = [&good[..], b"more"].concat();
    for wrong in cut.chain([flipped, longer, b"no snapshot at all".to_vec(), vec![0; 100_000]]) {
        let answer = restore_into(&fixture, &wrong);
        assert_eq!(answer.status, 500, "{} bytes: {}", wrong.len(), answer.text());
        assert_eq!((fixture.data("/a"), fixture.zxid()), (Some(b"kept".to_vec()), fixture.zxid()));
    }
    // A caller that hangs up in the middle.
    let mut socket = TcpStream::connect(fixture.admin).unwrap();
    let head = format!(
        "POST /commands/rest HTTP/1.1\r\nHost: a\r\nAuthorization: ip\r\nContent-Length: {}\r\n\r\n",
        good.len()
    );
    socket.write_all(&[head.as_bytes(), &good[..good.len() - 5]].concat()).unwrap();
    drop(socket);
    assert_eq!(fixture.data("/a"), Some(b"kept".to_vec()));
    assert!(fixture.zxid() >= before);
    assert_eq!(restore_into(&fixture, &good).status, 200);
}

#[test]
fn more_than_memory_allows_is_refused_while_it_comes() {
    let fixture = Fixture::start("");
    let good = snapshot_of(&fixture).body;
    let owners = OwnerRules { extended_types: false, emulate_353: false };
    let read = |limit: usize| restore::read(&good[..], limit as u64, owners, true);
    assert!(read(good.len()).is_ok());
    let error = read(good.len() - 1).unwrap_err().to_string();
    assert!(error.contains("larger than memory allows"), "{error}");
}

#[test]
fn calls_are_limited_and_can_be_switched_off() {
    let fixture = Fixture::start("admin.rateLimiterIntervalInMS=100000000");
    let good = snapshot_of(&fixture);
    assert_eq!(good.status, 200);
    assert_eq!(restore_into(&fixture, b"x").status, 500);
    assert_eq!(restore_into(&fixture, &good.body).status, 200, "what came to nothing does not count");
    let limited = restore_into(&fixture, &good.body);
    assert_eq!((limited.status, limited.header("retry-after")), (429, Some("100000")));
    assert!(limited.text().contains("the next in 100000 s"), "{}", limited.text());
    assert_eq!(snapshot_of(&fixture).status, 429);
    let readings = fixture.get("/commands/mntr").json();
    assert_eq!(
        (&readings["restore_rate_limited_count"], &readings["snapshot_rate_limited_count"]),
        (&1.into(), &1.into())
    );

    let off = Fixture::start("admin.snapshot.enabled=false\nadmin.restore.enabled=false");
    assert_eq!((snapshot_of(&off).status, restore_into(&off, &good.body).status), (503, 503));
    let off = Fixture::start("serializeLastProcessedZxid.enabled=false");
    assert_eq!((snapshot_of(&off).status, restore_into(&off, &good.body).status), (500, 500));
}

#[test]
fn hostile_requests_are_refused_and_bounded() {
    let fixture = Fixture::start("admin.idleTimeout=300");
    let large = format!("GET /commands/ruok HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(1 << 20));
    let many = format!("GET /commands/ruok HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1000));
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1 << 20));
    for request in [large, many, long] {
        let answer = exchange(fixture.admin, request.as_bytes());
        let head = String::from_utf8_lossy(&answer);
        assert!(head.is_empty() || head.starts_with("HTTP/1.1 4"), "{head}");
    }
    for garbage in [&b"\0\0\0\x2c\0\0\0\0"[..], b"\x16\x03\x01\x02\x00", b"ruok", b"GET / HTTP/9.9\r\n\r\n"] {
        let answer = exchange(fixture.admin, garbage);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    }
    // Each of these would wait for ever without the idle timeout: half a head, no request, half a body.
    let half = "GET /commands/ruok HTT";
    let body = "POST /commands/ruok HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\nx";
    for slow in [half, "", body] {
        let answer = exchange(fixture.admin, slow.as_bytes());
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    }
    let two = b"GET /commands/ruok HTTP/1.1\r\nHost: a\r\n\r\nGET /commands/nope HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let both = exchange(fixture.admin, two);
    assert_eq!(both.windows(12).filter(|window| *window == b"HTTP/1.1 200").count(), 2);
}

#[test]
fn no_more_connections_than_allowed() {
    let fixture = Fixture::start("");
    let held: Vec<TcpStream> =
        (0..super::CONNECTIONS_OF_ADDRESS_MAX).map(|_| TcpStream::connect(fixture.admin).unwrap()).collect();
    // The accepting thread is not the one that connects: the last of these may still be on its way.
    let mut refused = 0;
    while refused < 3 {
        let mut socket = TcpStream::connect(fixture.admin).unwrap();
        let _ = socket.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        refused += usize::from(answer.is_empty());
    }
    drop(held);
    while exchange(fixture.admin, b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn before_the_data_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "");
    let mask = Arc::new(AtomicI64::new(306));
    let admin = AdminServer::start(&config, Arc::new(Policy::default()), mask).unwrap().unwrap();
    let get = |path: &str| ask(admin.address(), "GET", path, &[], &[]);
    for name in ["ruok", "stat", "conf", "isro", "icfg", "snapshot", "restore"] {
        let answer = get(&format!("/commands/{name}"));
        // A snapshot that is none is no success.
        assert_eq!(answer.status, if ["snapshot", "restore"].contains(&name) { 503 } else { 200 });
        let expected = format!("{{\n  \"command\" : \"{name}\",\n  \"error\" : \"{NOT_SERVING}\"\n}}");
        assert_eq!(answer.text(), expected);
    }
    assert_eq!(get("/commands/gtmk").json()["tracemask"], 306);
    assert_eq!(get("/commands/stmk?traceMask=1").json()["tracemask"], 1);
    assert_eq!(get("/commands/env").json()["java.compiler"], "<NA>");
    assert_eq!(get("/commands/sysp").json()["zookeeper.admin.serverPort"], "0");
    assert_eq!(get("/commands/zabstate").json()["zabstate"], "");
    assert_eq!(get("/commands/mntr").status, 500);
    assert_eq!((get("/livez").status, get("/readyz").status, get("/metrics").status), (200, 503, 503));
}

#[test]
fn a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let refused = Server::start(&config(folder.path(), &format!("admin.serverPort={port}"))).err().unwrap();
    assert_eq!(refused.exit_code(), 4);
    assert!(matches!(refused, ServerError::Admin(_)));
    assert!(refused.to_string().ends_with("Unable to start AdminServer, exiting abnormally"), "{refused}");

    // Who has said nothing gets a server without it; who has said the port, a refusal.
    let mut embedded = Config::embedded_default();
    (embedded.admin_server_port, embedded.client_port) = (port, Some(0));
    (embedded.data_dir, embedded.data_log_dir) = (folder.path().into(), folder.path().into());
    let server = Server::start(&embedded).unwrap();
    assert_eq!(server.admin_address(), None);
    server.stop().unwrap();
    let property = port.to_string();
    let system = SystemProperties::of([("zookeeper.admin.serverPort", property.as_str())]);
    let mut said = Config::embedded(&system).unwrap();
    (said.data_dir, said.data_log_dir) = (folder.path().into(), folder.path().into());
    said.client_port = Some(0);
    assert_eq!(Server::start(&said).err().unwrap().exit_code(), 4);
}

#[test]
fn off_when_it_is_switched_off_or_would_have_to_speak_in_the_clear() {
    for more in ["admin.enableServer=false", "admin.forceHttps=true"] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&config(folder.path(), more)).unwrap();
        assert_eq!(server.admin_address(), None, "{more}");
        server.stop().unwrap();
    }
}

#[test]
fn the_page_is_whole_and_loads_nothing_from_elsewhere() {
    let fixture = Fixture::start("admin.commandURL=/zk\"<");
    let page = fixture.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("content=\"/zk&quot;&lt;\""), "the address of the commands is told and is no markup");
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    let mut files = 0;
    for part in page.text().split(['"', '\'']).filter(|part| part.ends_with(".js") || part.ends_with(".css")) {
        assert_eq!(fixture.get(&format!("/{part}")).status, 200, "{part}");
        files += 1;
    }
    assert_eq!(files, 2);
    let script = fixture.get("/page.js");
    for part in script.text().split('"').filter(|part| part.starts_with("./")) {
        assert_eq!(fixture.get(&part[1..]).status, 200, "{part}");
    }
    for address in ["/", "/page.js", "/page.css", "/chart.js", "/parts.js", "/tree.js"] {
        let text = fixture.get(address).text().replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("http:") && !text.contains("https:") && !text.contains("//cdn"), "{address}");
    }
    let off = Fixture::start("admin.page.enabled=false");
    assert_eq!((off.get("/").status, off.get("/api/node").status, off.get("/commands").status), (404, 404, 200));
    let root = Fixture::start("admin.commandURL=/");
    assert!(root.get("/").text().starts_with("<a href=\"/configuration\">"), "commands at the root leave no room");
}

#[test]
fn the_overview_tells_what_was_before() {
    let fixture = Fixture::start("");
    fixture.create("/a", b"");
    let read = |since: i64| fixture.get(&format!("/api/overview?since={since}")).json();
    // A row each second: the one after the create shows its packets and its sync.
    let seen = |overview: &serde_json::Value, column: usize| {
        let rows = overview["history"]["rows"].as_array().unwrap();
        rows.last().map_or(0, |row| row[column].as_i64().unwrap())
    };
    let mut overview = read(0);
    assert_eq!(overview["observers"]["observers"], serde_json::json!([]), "the page goes through them");
    while seen(&overview, 1) < 2 || seen(&overview, 6) < 1 {
        std::thread::sleep(Duration::from_millis(50));
        overview = read(0);
    }
    assert_eq!((&overview["serving"], &overview["zxid"]), (&true.into(), &format!("0x{:x}", fixture.zxid()).into()));
    assert_eq!(overview["server_stats"]["server_stats"]["server_state"], "standalone");
    assert!(overview["disk"]["total"].as_u64() >= overview["disk"]["free"].as_u64());
    assert_eq!(overview["last_snapshot"]["zxid"], "0");
    let later = seen(&overview, 0);
    assert!(read(later)["history"]["rows"].as_array().unwrap().iter().all(|row| row[0].as_i64().unwrap() > later));
    assert_eq!(fixture.get("/api/connections").json()["connections"], serde_json::json!([]));
    assert_eq!(fixture.get("/api/watches").json()["num_total_watches"], 0);
}

/// A visitor of the page sees what a client with the same identity would get.
#[test]
fn the_tree_obeys_access_lists() {
    let fixture = Fixture::start(&super_digest());
    let own = crate::auth::Algorithm::parse("SHA1").unwrap().identity("me:pw");
    fixture.client(async |client| {
        let mine = [Acl::new(31, "digest", &own)];
        client.create("/mine", Some(b"secret"), &mine, CreateMode::Persistent).await.unwrap();
        client.create("/mine/child", Some(b""), &open(), CreateMode::Persistent).await.unwrap_err();
        let half = [Acl::new(1, "world", "anyone"), Acl::new(31, "digest", &own)];
        client.create("/half", Some(b"readable"), &half, CreateMode::Persistent).await.unwrap();
        let here = [Acl::new(1, "ip", "127.0.0.1")];
        client.create("/here", Some(b"local"), &here, CreateMode::Persistent).await.unwrap();
        let there = [Acl::new(1, "ip", "10.1.1.1")];
        client.create("/there", Some(b"remote"), &there, CreateMode::Persistent).await.unwrap();
        client.create("/null", None, &open(), CreateMode::Persistent).await.unwrap();
        client.create("/big", Some(&vec![1; 100_000]), &open(), CreateMode::Persistent).await.unwrap();
    });
    let node = |path: &str, headers: &[(&str, &str)]| {
        ask(fixture.admin, "GET", &format!("/api/node?path={path}"), headers, &[])
    };
    let json = |path: &str, headers: &[(&str, &str)]| node(path, headers).json();

    let hidden = json("/mine", &[]);
    assert_eq!((&hidden["readable"], &hidden["stat"]["data_length"]), (&false.into(), &6.into()));
    for field in ["data", "children", "acl"] {
        assert!(hidden[field].is_null(), "{field}: {hidden}");
    }
    let forged = [("X-Forwarded-For", "10.1.1.1"), ("Forwarded", "for=10.1.1.1")];
    assert_eq!(json("/there", &forged)["readable"], false);
    assert_eq!(json("/here", &[])["data"], "bG9jYWw=");
    assert_eq!(json("/half", &[])["acl"][1]["id"], "me:x", "no digests for who does not administrate");
    let me = [("Authorization", "digest me:pw")];
    assert_eq!(json("/mine", &me)["data"], "c2VjcmV0");
    assert_eq!(json("/half", &me)["acl"][1]["id"], own.as_str());
    assert_eq!(json("/mine", &[("Authorization", "digest me:wrong")])["readable"], false);
    assert_eq!(json("/mine", &[("Authorization", SUPER)])["readable"], true);
    assert_eq!(node("/mine", &[("Authorization", "nope x")]).status, 401);
    assert_eq!(node("/nowhere", &[]).status, 404);
    assert_eq!(node("nowhere", &[]).status, 404);
    assert_eq!(ask(fixture.admin, "POST", "/api/node?path=/", &[], &[]).status, 405);
    assert!(json("/null", &[])["data"].is_null());
    let big = json("/big", &[]);
    assert_eq!((&big["data_truncated"], &big["stat"]["data_length"]), (&true.into(), &100_000.into()));

    let strict = Fixture::start("enforce.auth.enabled=true\nenforce.auth.schemes=digest");
    let root = |headers: &[(&str, &str)]| ask(strict.admin, "GET", "/api/node?path=/", headers, &[]).status;
    assert_eq!((root(&[]), root(&me)), (403, 200), "a server that asks its clients asks here too");
}

#[test]
fn children_come_in_pages() {
    let fixture = Fixture::start("");
    fixture.client(async |client| {
        client.create("/many", Some(b""), &open(), CreateMode::Persistent).await.unwrap();
        for number in 0..450 {
            let path = format!("/many/n{number:03}");
            client.send_create(&path, Some(b""), &open(), CreateMode::Persistent).await.unwrap();
        }
        assert_eq!(client.all_children_number("/many").await.unwrap(), 450);
    });
    let page = |offset: usize| fixture.get(&format!("/api/node?path=/many&offset={offset}")).json();
    let names = |page: &serde_json::Value| -> Vec<String> {
        page["children"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let all: Vec<String> = [0, 200, 400, 600].into_iter().flat_map(|offset| names(&page(offset))).collect();
    let expected: Vec<String> = (0..450).map(|number| format!("n{number:03}")).collect();
    assert_eq!(all, expected);
    assert_eq!(page(0)["children_total"], 450);
}
