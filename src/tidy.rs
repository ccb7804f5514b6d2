//! House rules as a test: who may know whom, and what the pure rooms may not touch (see ARCHITECTURE.md).

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms and the rooms they may name. `tests.rs` and `#[cfg(test)]` parts may name more.
const ROOMS: &[(&str, &[&str])] = &[
    ("jute", &[]),
    ("proto", &["jute"]),
    ("tree", &["jute", "proto"]),
    ("auth", &["jute", "proto"]),
    ("throttle", &["proto"]),
    ("talkers", &["jute", "proto"]),
    ("audit", &["jute", "proto"]),
    ("guard", &["jute", "proto"]),
    ("engine", &["jute", "proto", "tree", "auth", "store", "config", "quorum", "zab", "metrics"]),
    ("zab", &["mutant", "jute", "proto", "store", "config"]),
    ("reactor", &["jute", "proto", "tree", "auth", "engine", "throttle", "talkers", "audit", "guard", "metrics"]),
    ("store", &["mutant", "jute", "proto"]),
    ("config", &[]),
    ("quorum", &["mutant", "jute", "proto", "zab", "config"]),
    ("membership", &["config", "store", "zab"]),
    ("metrics", &["proto"]),
    ("admin", &["proto", "metrics", "auth", "talkers"]),
    ("client", &["jute", "proto"]),
    ("cli", &["client", "proto", "config", "admin", "clock"]),
    ("dev", &["cli", "config", "server", "signals"]),
    ("top", &["admin", "talkers", "cli"]),
    ("tools", &["jute", "proto", "store", "tree", "engine", "admin"]),
];

/// Rooms that run unchanged in a simulator.
const PURE: &[&str] = &[
    "jute", "proto", "tree", "auth", "throttle", "talkers", "audit", "guard", "engine", "zab", "reactor", "quorum",
    "metrics",
];

/// What a pure room must not say. Shared counters are allowed; clocks, threads, locks, files, sockets and chance are not.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::io",
    "std::thread",
    "std::time",
    "std::process",
    "std::env",
    "Mutex",
    "RwLock",
    "Condvar",
    "tokio",
    "rand::",
    "SystemTime",
    "Instant",
    "TcpStream",
];

fn files(room: &str) -> Vec<PathBuf> {
    fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                out.push(path);
            }
        }
    }
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut out = Vec::new();
    match src.join(room).is_dir() {
        true => walk(&src.join(room), &mut out),
        false => out.push(src.join(format!("{room}.rs"))),
    }
    out
}

/// The lines of a file in front of its tests, comments left out.
fn code(path: &Path) -> Vec<String> {
    let name = path.file_name().unwrap().to_string_lossy();
    if name.contains("test") || path.components().any(|part| part.as_os_str() == "tests") {
        return Vec::new();
    }
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    lines.filter(|line| !line.trim_start().starts_with("//")).map(str::to_owned).collect()
}

#[test]
fn rooms_know_only_whom_they_may() {
    for (room, allowed) in ROOMS {
        for file in files(room) {
            for line in code(&file) {
                for (at, _) in line.match_indices("crate::") {
                    let rest = &line[at + "crate::".len()..];
                    let named: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                    let fine = named.is_empty() || named == *room || allowed.contains(&named.as_str());
                    let macro_of_jute = named == "jute" && rest.starts_with("jute!");
                    assert!(fine || macro_of_jute, "{} names crate::{named}:\n{line}", file.display());
                }
            }
        }
    }
}

#[test]
fn pure_rooms_touch_no_clock_file_socket_thread_or_chance() {
    for room in PURE {
        for file in files(room) {
            for line in code(&file) {
                for word in IMPURE {
                    assert!(!line.contains(word), "{} says {word}:\n{line}", file.display());
                }
            }
        }
    }
}

#[test]
fn no_file_outgrows_a_head() {
    for file in files("") {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 800, "{} has {lines} lines: split it", file.display());
    }
}
