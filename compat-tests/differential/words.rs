//! Four-letter words: which part of an answer must be equal on two servers.

use crate::normalize::Memory;

/// What of a `mntr` answer follows from the requests alone.
const MNTR: &[&str] = &[
    "zk_server_state",
    "zk_znode_count",
    "zk_watch_count",
    "zk_ephemerals_count",
    "zk_num_alive_connections",
    "zk_outstanding_requests",
    "zk_global_sessions",
];
/// What of `srvr` and `stat`.
const SRVR: &[&str] = &["Outstanding: ", "Zxid: ", "Mode: ", "Node count: "];

/// The zxid that `srvr` names.
pub fn zxid(answer: &str) -> Option<i64> {
    let line = answer.lines().find_map(|line| line.strip_prefix("Zxid: 0x"))?;
    i64::from_str_radix(line.trim(), 16).ok()
}

/// The comparable part of an answer.
pub fn masked(word: &[u8], answer: &str, memory: &Memory) -> String {
    // The order of the lines of mntr is that of a hash map.
    let starts = |list: &[&str]| -> String {
        list.iter()
            .flat_map(|start| answer.lines().filter(move |line| line.starts_with(start)))
            .map(|line| format!("{line}\n"))
            .collect()
    };
    match word.get(..4) {
        Some(b"srvr" | b"stat") => starts(SRVR),
        Some(b"mntr") => starts(MNTR),
        Some(b"conf") => answer
            .lines()
            .filter(|line| {
                !["clientPort=", "secureClientPort=", "dataDir", "dataLog"].iter().any(|key| line.starts_with(key))
            })
            .map(|line| format!("{line}\n"))
            .collect(),
        Some(b"dump") => ephemerals(answer, memory),
        _ => answer.to_owned(),
    }
}

/// The second half of `dump`, sorted: sessions with their ephemeral nodes.
fn ephemerals(answer: &str, memory: &Memory) -> String {
    let Some(at) = answer.find("Sessions with Ephemerals") else { return answer.to_owned() };
    let mut out: Vec<String> = vec![];
    let mut session = String::new();
    for line in answer[at..].lines() {
        if let Some(id) = line.strip_prefix("0x").and_then(|line| line.strip_suffix(':')) {
            let id = u64::from_str_radix(id, 16).map_or(-1, |id| memory.owner(id as i64));
            session = format!("session {id:x}");
            out.push(session.clone());
        } else if line.starts_with('\t') {
            out.push(format!("{session} {}", line.trim_start()));
        } else if line.starts_with("Connections") {
            break;
        } else {
            out.push(line.to_owned());
        }
    }
    out.sort();
    out.join("\n")
}
