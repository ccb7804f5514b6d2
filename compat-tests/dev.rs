//! `oxkeeper dev` as its user sees it: the ready line, a write through the connection string, a member that dies, the end.

// Helpers of tests are tests, which clippy does not know.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Nothing that is waited for takes so long.
const PATIENCE: Duration = Duration::from_secs(120);

/// A `dev` and the lines it has not been asked for yet.
struct Dev {
    process: Child,
    lines: Receiver<String>,
}

impl Dev {
    fn start(data: &Path, port: u16, words: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_oxkeeper"))
            .args(["dev", "--data", data.to_str().unwrap(), "--port", &port.to_string()])
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, lines) = channel();
        let out = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || out.lines().map_while(Result::ok).all(|line| tell.send(line).is_ok()));
        Dev { process, lines }
    }

    /// The next line with these words, and `more` lines behind it.
    fn until(&self, words: &str, more: usize) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no line with {words:?}:\n{}", seen.join("\n")));
            if line.starts_with("dev | ") && line.contains(words) {
                let behind = (0..more).map(|_| self.lines.recv_timeout(PATIENCE).unwrap());
                return std::iter::once(line).chain(behind).collect();
            }
            seen.push(line);
        }
    }

    /// By its number alone.
    fn signal(&self, signal: &str) {
        kill(signal, self.process.id());
    }

    /// The exit code.
    fn end(mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        self.until("all members have ended", 0);
        self.process.wait().unwrap().code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal("TERM");
            let _ = self.process.wait();
        }
    }
}

fn kill(signal: &str, process: u32) {
    assert!(Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status().unwrap().success());
}

/// Role and process of each member, from the lines of a table.
fn members(lines: &[String]) -> Vec<(String, u32)> {
    let member = |line: &String| {
        let words: Vec<_> = line.split_whitespace().collect();
        let process = words.iter().position(|word| *word == "process").map(|at| words[at + 1].parse().unwrap());
        (words[4].to_owned(), process.unwrap_or(0))
    };
    lines.iter().filter(|line| line.contains(" 127.0.0.1:") && line.starts_with("dev |   ")).map(member).collect()
}

fn cli(servers: &str, words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_oxkeeper"))
        .args(["cli", "-q", "-server", servers])
        .args(words)
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The first of many ports in a row, below those that the system gives away by itself.
fn ports() -> u16 {
    let from = 10_000 + (std::process::id() % 1_500) as u16 * 10;
    let free = |port: &u16| {
        let all = [0, 707, 1707, 5899].into_iter().flat_map(|offset| (0..8).map(move |at| port + offset + at));
        all.map(|port| TcpListener::bind(("127.0.0.1", port))).all(|listener| listener.is_ok())
    };
    (from..26_000).step_by(10).find(free).unwrap()
}

#[test]
fn an_ensemble_starts_serves_outlives_its_leader_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let port = ports();
    let dev = Dev::start(folder.path(), port, &["--servers", "3"]);
    let ready = dev.until("ready: ", 5);
    let servers = format!("127.0.0.1:{port},127.0.0.1:{},127.0.0.1:{}", port + 1, port + 2);
    assert!(
        ready[0].ends_with(&servers) && ready[4].ends_with(&format!("oxkeeper cli -server {servers}")),
        "{ready:?}"
    );
    let before = members(&ready);
    let mut roles: Vec<_> = before.iter().map(|(role, _)| role.as_str()).collect();
    roles.sort();
    assert_eq!(roles, ["follower", "follower", "leader"], "{ready:?}");
    cli(&servers, &["create", "/before", "x"]);

    let leader = before.iter().find(|(role, _)| role == "leader").unwrap().1;
    kill("KILL", leader);
    let died = dev.until("has ended", 0);
    assert!(died[0].contains("killed by SIGKILL; to start it again: oxkeeper server "), "{died:?}");
    let after = members(&dev.until("clients are served:", 3));
    assert_eq!(after.iter().filter(|(role, _)| role == "leader").count(), 1, "{after:?}");
    assert!(after.iter().all(|(_, process)| *process != leader), "{after:?}");
    cli(&servers, &["create", "/after", "y"]);
    assert_eq!(cli(&servers, &["get", "/before"]), "x\n");

    assert_eq!(dev.end("INT"), Some(130));
    for (_, process) in before {
        assert!(!Path::new(&format!("/proc/{process}")).exists(), "{process} was left");
    }
    // What was written is there again.
    let dev = Dev::start(folder.path(), port, &[]);
    dev.until("ready: ", 0);
    assert_eq!(cli(&servers, &["get", "/after"]), "y\n");
    assert_eq!(dev.end("TERM"), Some(143));
}

#[test]
fn a_member_is_started_again_and_nobody_outlives_a_dev_that_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    // Not the ports of the other test, which runs at the same time.
    let port = ports() + 5;
    let mut dev = Dev::start(folder.path(), port, &["--restart", "--set", "tickTime=500"]);
    let before = members(&dev.until("ready: ", 3));
    let (_, killed) = before.iter().find(|(role, _)| role == "follower").unwrap();
    kill("KILL", *killed);
    dev.until("it is started again", 0);
    let after = members(&dev.until("everybody serves again:", 3));
    assert_eq!(after.len(), 3, "{after:?}");
    dev.process.kill().unwrap();
    dev.process.wait().unwrap();
    // The system tells them; they end in order.
    let waited = (0..1_200).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        after.iter().all(|(_, process)| !Path::new(&format!("/proc/{process}")).exists())
    });
    assert!(waited, "members live on");
}

#[test]
fn what_cannot_be_started_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().min(60_000).to_string();
    let data = folder.path().to_str().unwrap();
    for (words, expected) in [(&["--port", &port][..], "port"), (&["--set", "sslQuorum=true"], "sslQuorum")] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_oxkeeper")).args(["dev", "--data", data]).args(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.contains(expected)), (Some(2), true), "{words:?}: {said}");
    }
}
