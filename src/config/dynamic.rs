//! What a server writes when its membership changes: the dynamic file, and zoo.cfg without the members' lines. Texts in,
//! texts out; which files they go to is `server/membership`'s business (QuorumPeerConfig.writeDynamicConfig,
//! editStaticConfig).
//!
//! The original rewrites zoo.cfg from a hash map, so comments vanish and lines change places; here too, in the same order,
//! so that both servers leave the same file. Different on purpose: what needs an escape keeps it, where the original
//! writes a value that means something else when it is read again; and clientPortListenBacklog stays.

use super::properties::Properties;
use super::servers::Ensemble;
use super::table::{GROUP, SERVER, WEIGHT, name};
use super::{ConfigError, Property};
use std::path::Path;

/// Ending of the file that holds a configuration that is proposed and not yet active.
pub const NEXT: &str = ".dynamic.next";

/// The ending of the dynamic file of a version.
pub fn dynamic_ending(version: i64) -> String {
    format!(".dynamic.{version:x}")
}

/// The text of a dynamic file: sorted lines, no end of line at the end. Only the proposed one names its version within.
pub fn dynamic_text(ensemble: &Ensemble, with_version: bool) -> String {
    let text = ensemble.to_string();
    let mut lines: Vec<&str> = text.lines().filter(|line| with_version || !line.starts_with("version")).collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// The text of zoo.cfg once the members are in a dynamic file. `erase_client` when their lines say the client address of
/// this server.
pub fn static_text(before: &[u8], dynamic: &Path, erase_client: bool) -> Result<String, ConfigError> {
    let moves = |key: &str| {
        [SERVER.prefix, GROUP.prefix, WEIGHT.prefix, name::dynamic_config_file, name::peer_type]
            .iter()
            .any(|prefix| key.starts_with(prefix))
            || erase_client && (key == name::client_port || key == name::client_port_address)
    };
    let mut text = String::new();
    for Property { key, value, .. } in table_order(Properties::parse(before)?.entries) {
        if !moves(&key) {
            escape(&key, true, &mut text);
            text.push('=');
            escape(&value, false, &mut text);
            text.push('\n');
        }
    }
    text.push_str(name::dynamic_config_file);
    text.push('=');
    escape(&dynamic.to_string_lossy(), false, &mut text);
    text.push('\n');
    Ok(text)
}

/// Writes a key or a value so that it reads back as it is, to this server (UTF-8) and to the original (ISO-8859-1).
fn escape(text: &str, is_key: bool, out: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            ' ' | '\t' | '=' | ':' if is_key => out.extend(['\\', c]),
            '#' | '!' if is_key && (out.is_empty() || out.ends_with('\n')) => out.extend(['\\', c]),
            ' '..='~' | '\t' => out.push(c),
            c => {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
            }
        }
    }
}

/// The order in which the original's table of properties (`java.util.Properties` over a `ConcurrentHashMap`) lists what was
/// put into it in this order.
fn table_order(entries: Vec<Property>) -> Vec<Property> {
    const BINS_FIRST: usize = 16;
    let mut bins: Vec<Vec<(u32, Property)>> = (0..BINS_FIRST).map(|_| Vec::new()).collect();
    for (count, entry) in (1..).zip(entries) {
        let hash = hash_of(&entry.key);
        let at = hash as usize & (bins.len() - 1);
        bins[at].push((hash, entry));
        // Three quarters full: twice as many bins.
        if count >= bins.len() - bins.len() / 4 {
            bins = twice(bins);
        }
    }
    bins.into_iter().flatten().map(|(_, entry)| entry).collect()
}

/// A bin becomes two. The longest end of its list whose entries all stay together keeps its order; what stands before it
/// is put in front, one by one.
fn twice(bins: Vec<Vec<(u32, Property)>>) -> Vec<Vec<(u32, Property)>> {
    let bit = bins.len() as u32;
    let (mut low, mut high) = (Vec::new(), Vec::new());
    for mut bin in bins {
        let last = bin.last().map(|(hash, _)| hash & bit);
        let end = bin.iter().rposition(|(hash, _)| Some(hash & bit) != last).map_or(0, |at| at + 1);
        let tail = bin.split_off(end);
        let (mut stays, mut moves): (Vec<_>, Vec<_>) = (Vec::new(), Vec::new());
        *(if last == Some(0) { &mut stays } else { &mut moves }) = tail;
        for entry in bin {
            let half = if entry.0 & bit == 0 { &mut stays } else { &mut moves };
            half.insert(0, entry);
        }
        low.push(stays);
        high.push(moves);
    }
    low.append(&mut high);
    low
}

/// `String.hashCode`, spread as the table spreads it.
fn hash_of(key: &str) -> u32 {
    let hash = key.encode_utf16().fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
    (hash ^ (hash >> 16)) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let before = "dataDir=C:\\\\zk\nodd\\ key\\:=a b\\nc\nname=Z\u{fc}rich\nserver.1=h:1:2\nclientPort=1\n\
                      clientPortListenBacklog=9\n";
        let text = static_text(before.as_bytes(), Path::new("/etc/zoo.cfg.dynamic.0"), true).unwrap();
        assert!(text.is_ascii());
        let read = Properties::parse(text.as_bytes()).unwrap();
        let value = |key| read.get(key).map(|line| line.value.as_str());
        assert_eq!(value("dataDir"), Some("C:\\zk"));
        assert_eq!(value("odd key:"), Some("a b\nc"));
        assert_eq!(value("name"), Some("Z\u{fc}rich"));
        assert_eq!(value("clientPortListenBacklog"), Some("9"));
        assert_eq!((value("server.1"), value("clientPort")), (None, None));
        assert_eq!(value("dynamicConfigFile"), Some("/etc/zoo.cfg.dynamic.0"));
    }

    #[test]
    fn a_second_rewrite_changes_the_name_of_the_dynamic_file_alone() {
        let keys: String = (0..60).map(|at| format!("some.key.{at}=x\n")).collect();
        let once = static_text(keys.as_bytes(), Path::new("/a.dynamic.1"), false).unwrap();
        let again = static_text(once.as_bytes(), Path::new("/a.dynamic.2"), false).unwrap();
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&again), sorted(&once.replace("dynamic.1", "dynamic.2")));
    }
}
