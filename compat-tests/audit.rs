//! The audit log against the one of Apache's server, line by line: the same changes, good and refused, as
//! `compat-tests/audit/Drive.java` made there.

// Helpers of tests are tests, which clippy does not know.
#![allow(clippy::unwrap_used)]

use oxkeeper::client::{Client, CreateMode, Op, Options};
use oxkeeper::config::{Config, SystemProperties};
use oxkeeper::jute::Encode;
use oxkeeper::proto::OpCode;
use oxkeeper::proto::acl::{Acl, AclEntry};
use oxkeeper::proto::records::{
    CreateRequest, CreateTtlRequest, MULTI_END, MultiHeader, PathVersionRequest, SetDataRequest,
};
use oxkeeper::server::Server;
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

fn start(folder: &Path, more: &str) -> Server {
    let text = format!(
        "tickTime=500\nadmin.enableServer=false\ndataDir={}/data\nclientPort=0\nclientPortAddress=127.0.0.1\nextendedTypesEnabled=true\n\
         enforceQuota=true\naudit.enable=true\naudit.file={}/audit.log\n{more}",
        folder.display(),
        folder.display()
    );
    let config = Config::parse(text.as_bytes(), Path::new("zoo.cfg"), &SystemProperties::default()).unwrap();
    Server::start(&config).unwrap()
}

/// The changes that were made to Apache's server; what comes back is not looked at here.
async fn drive(client: &Client) {
    let open = Acl::open_unsafe();
    let create = async |path: &str, mode: CreateMode| drop(client.create(path, Some(b"x"), &open, mode).await);
    let modes = [
        ("PERSISTENT", CreateMode::Persistent),
        ("PERSISTENT_SEQUENTIAL", CreateMode::PersistentSequential),
        ("EPHEMERAL", CreateMode::Ephemeral),
        ("EPHEMERAL_SEQUENTIAL", CreateMode::EphemeralSequential),
        ("CONTAINER", CreateMode::Container),
        ("PERSISTENT_WITH_TTL", CreateMode::PersistentTtl(100_000)),
        ("PERSISTENT_SEQUENTIAL_WITH_TTL", CreateMode::PersistentSequentialTtl(100_000)),
    ];
    for (name, mode) in modes {
        create(&format!("/a-{name}"), mode).await;
        if !name.ends_with("TTL") {
            create(&format!("/b-{name}"), mode).await;
        }
    }
    create("/a-PERSISTENT", CreateMode::Persistent).await;
    create("/a-PERSISTENT", CreateMode::Ephemeral).await;
    create("/none/x-", CreateMode::PersistentSequential).await;
    let nobody = [Acl::new(31, "nope", "x")];
    client.create("/badacl", Some(b"x"), &nobody, CreateMode::Persistent).await.unwrap_err();
    client.set_data("/a-PERSISTENT", b"x", -1).await.unwrap();
    client.set_data("/a-PERSISTENT", b"x", 77).await.unwrap_err();
    client.set_data("/none", b"x", -1).await.unwrap_err();
    client.set_acl("/a-PERSISTENT", &open, -1).await.unwrap();
    client.add_auth("digest", b"bob:secret").await.unwrap();
    client.add_auth("digest", b"al:pw").await.unwrap();
    let three = [Acl::new(31, "world", "anyone"), Acl::new(5, "auth", ""), Acl::new(3, "ip", "10.0.0.0/8")];
    client.set_acl("/a-PERSISTENT", &three, -1).await.unwrap();
    client.set_acl("/none", &open, -1).await.unwrap_err();
    client.set_acl("/a-PERSISTENT", &nobody, -1).await.unwrap_err();
    client.set_acl("/a-PERSISTENT", &open, 99).await.unwrap_err();
    let locked = [Acl::new(1, "world", "anyone")];
    client.create("/locked", Some(b"x"), &locked, CreateMode::Persistent).await.unwrap();
    client.set_data("/locked", b"x", -1).await.unwrap_err();
    create("/locked/x", CreateMode::Persistent).await;
    client.set_acl("/locked", &open, -1).await.unwrap_err();
    client.delete("/a-PERSISTENT", -1).await.unwrap();
    client.delete("/none", -1).await.unwrap_err();
    create("/p", CreateMode::Persistent).await;
    create("/p/c", CreateMode::Persistent).await;
    client.delete("/p", -1).await.unwrap_err();
    client.send(OpCode::MULTI, multi()).await.unwrap().reply().await.unwrap();
    let made = Op::Create { path: "/n", data: None, acl: &open, mode: CreateMode::Persistent };
    let _ = client.multi(&[made, Op::Delete { path: "/none", version: -1 }]).await;
    let _ = client.multi(&[Op::Check { path: "/m", version: 7 }]).await;
    create("/ünï中", CreateMode::Persistent).await;
    create("/zookeeper/quota/p", CreateMode::Persistent).await;
    let limits = b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=3";
    for (path, data) in [("limits", &limits[..]), ("stats", b"count=0,bytes=0")] {
        let path = format!("/zookeeper/quota/p/zookeeper_{path}");
        client.create(&path, Some(data), &open, CreateMode::Persistent).await.unwrap();
    }
    for path in ["/p/q1", "/p/q2", "/p/q3"] {
        create(path, CreateMode::Persistent).await;
    }
}

/// Parts of every kind, all good.
fn multi() -> Vec<u8> {
    fn acl() -> Option<Vec<AclEntry<'static>>> {
        Some(vec![AclEntry { perms: 31, scheme: Some("world".into()), id: Some("anyone".into()) }])
    }
    let mut out = Vec::new();
    let part = |out: &mut Vec<u8>, op: OpCode, record: &dyn Fn(&mut Vec<u8>)| {
        MultiHeader { op: op.0, done: false, err: -1 }.encode(out);
        record(out);
    };
    let create = |out: &mut Vec<u8>, op: OpCode, path: &'static str, flags: i32| {
        part(out, op, &|out| {
            CreateRequest { path: Some(path.into()), data: Some(b"x"), acl: acl(), flags }.encode(out);
        });
    };
    let at = |path: &'static str, version: i32| PathVersionRequest { path: Some(path.into()), version };
    create(&mut out, OpCode::CREATE, "/m", 0);
    part(&mut out, OpCode::CHECK, &|out| at("/m", 0).encode(out));
    part(&mut out, OpCode::SET_DATA, &|out| {
        SetDataRequest { path: Some("/m".into()), data: Some(b"x"), version: 0 }.encode(out);
    });
    create(&mut out, OpCode::CREATE, "/m/e-", 3);
    create(&mut out, OpCode::CREATE_CONTAINER, "/m2", 4);
    part(&mut out, OpCode::CREATE_TTL, &|out| {
        let path = Some("/m3".into());
        CreateTtlRequest { path, data: Some(b"x"), acl: acl(), flags: 5, ttl_ms: 100_000 }.encode(out);
    });
    part(&mut out, OpCode::DELETE, &|out| at("/m3", -1).encode(out));
    MULTI_END.encode(&mut out);
    out
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn lines(folder: &Path) -> Vec<String> {
    std::fs::read_to_string(folder.join("audit.log")).unwrap().lines().map(str::to_owned).collect()
}

/// Until the log has a line that ends like this.
fn wait_for(folder: &Path, end: &str) {
    let patience = Instant::now() + Duration::from_secs(30);
    while !lines(folder).iter().any(|line| line.ends_with(end)) {
        assert!(Instant::now() < patience, "no line ends with {end}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Without time and logger, with sessions by their order, the server's account as `<server>`, users sorted.
fn masked(lines: &[String]) -> Vec<String> {
    let mut sessions = HashMap::new();
    let account = lines[0].split_once("user=").unwrap().1.split('\t').next().unwrap().to_owned();
    let mut field = |field: &str| match field.split_once('=') {
        Some(("session", id)) => {
            let next = sessions.len() + 1;
            format!("session={}", sessions.entry(id.to_owned()).or_insert(next))
        }
        Some(("user", user)) if user == account => "user=<server>".to_owned(),
        Some(("user", users)) => {
            let mut users: Vec<_> = users.split(',').collect();
            users.sort_unstable();
            format!("user={}", users.join(","))
        }
        _ => field.to_owned(),
    };
    let mut mask = |line: &String| {
        let (head, rest) = line.split_once(" o.a.z.a.Slf4jAuditLogger: ").unwrap();
        let (time, level) = head.rsplit_once(' ').unwrap();
        assert_eq!(time.len(), "2026-11-30 19:19:50,264".len(), "{line}");
        format!("{level} {}", rest.split('\t').map(&mut field).collect::<Vec<_>>().join("\t"))
    };
    lines.iter().map(&mut mask).collect()
}

#[test]
fn the_log_is_that_of_the_original_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), "");
    let address = [server.address()];
    runtime().block_on(async {
        let (client, _events) = Client::connect(&address, &Options::default()).await.unwrap();
        drive(&client).await;
        let (other, _events) = Client::connect(&address, &Options::default()).await.unwrap();
        let reconfig = other.reconfig(None, None, Some("server.1=127.0.0.1:1:2;3"), -1).await;
        reconfig.unwrap_err();
        client.close().await.unwrap();
        let options = Options { session_timeout: Duration::from_secs(1), ..Options::default() };
        let (third, _events) = Client::connect(&address, &options).await.unwrap();
        third.create("/eph2", Some(b"x"), &Acl::open_unsafe(), CreateMode::Ephemeral).await.unwrap();
    });
    wait_for(folder.path(), "OnSessionCloseOrExpire\tznode=/eph2\tresult=success");
    server.stop().unwrap();
    let golden = include_str!("audit/java-3.9.5.txt").lines().map(str::to_owned).collect();
    // Which ephemeral node of a session goes first is the order of a hash set there.
    let sorted = |mut lines: Vec<String>| {
        let of_close = |line: &String| line.contains("OnSession") && line.contains("session=1\t");
        let first = lines.iter().position(of_close).unwrap();
        let count = lines.iter().filter(|line| of_close(line)).count();
        lines[first..first + count].sort();
        lines
    };
    assert_eq!(sorted(masked(&lines(folder.path()))), sorted(golden));
}

#[test]
fn json_lines_have_the_same_keys_and_files_are_rolled() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), "audit.format=json\naudit.fileSizeInKb=1\naudit.fileCount=2\n");
    let address = [server.address()];
    runtime().block_on(async {
        let (client, _events) = Client::connect(&address, &Options::default()).await.unwrap();
        for number in 0..40 {
            let path = format!("/node-{number}");
            client.create(&path, None, &Acl::open_unsafe(), CreateMode::Persistent).await.unwrap();
        }
    });
    server.stop().unwrap();
    let parsed: Vec<serde_json::Map<String, serde_json::Value>> =
        lines(folder.path()).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(parsed.last().unwrap()["operation"], "serverStop");
    let keys: Vec<_> = parsed[0].keys().map(String::as_str).collect();
    assert_eq!(keys, ["time", "level", "session", "user", "ip", "operation", "znode", "znode_type", "result"]);
    let mut files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["audit.log", "audit.log.1", "audit.log.2", "data"]);
    for file in &files[..3] {
        assert!(folder.path().join(file).metadata().unwrap().len() <= 1024, "{file}");
    }
}

#[test]
fn what_a_client_asked_for_before_it_went_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), "");
    let address = [server.address()];
    runtime().block_on(async {
        let (client, _events) = Client::connect(&address, &Options::default()).await.unwrap();
        for number in 0..200 {
            let path = format!("/{number}");
            drop(client.send_create(&path, None, &Acl::open_unsafe(), CreateMode::Persistent).await.unwrap());
        }
        client.exists("/", false).await.unwrap();
        for number in 200..400 {
            let path = format!("/{number}");
            drop(client.send_create(&path, None, &Acl::open_unsafe(), CreateMode::Persistent).await.unwrap());
        }
        // Gone without waiting for the answers.
    });
    wait_for(folder.path(), "znode=/199\tznode_type=persistent\tresult=success");
    let made = runtime().block_on(async {
        let (client, _events) = Client::connect(&address, &Options::default()).await.unwrap();
        // Behind everything that was accepted.
        client.create("/last", None, &Acl::open_unsafe(), CreateMode::Persistent).await.unwrap();
        client.children("/", false).await.unwrap().0
    });
    server.stop().unwrap();
    let lines = lines(folder.path());
    for name in made.iter().filter(|name| *name != "zookeeper") {
        let told = format!("znode=/{name}\t");
        assert!(lines.iter().any(|line| line.contains(&told)), "/{name} was made, and is not in the log");
    }
}
