//! Every golden data folder, written or damaged by real servers of 3.4 to 3.9, is recovered and compared with what the
//! original makes of it, node by node; where recovery differs, the table below says why.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::naive_tree::NaiveTree;
use super::*;
use crate::proto::Zxid;
use crate::proto::acl::Acl;
use crate::proto::records::StatPersisted;

/// Cases in which recovery does not what the original does.
const BY_DESIGN: &[(&str, Instead, &str)] = &[
    (
        "kinds-digest-off-default-reader",
        Instead::Loads,
        "the original reads the sections behind the nodes by its own switches and refuses a snapshot written with others; \
         here the number of bytes left tells which sections there are",
    ),
    (
        "log-torn-mid",
        Instead::Refuses("good records follow"),
        "the original ends the file at the torn record and loses the ten good ones behind it without a word",
    ),
    (
        "log-zero-mid",
        Instead::Refuses("good records follow"),
        "the same for a record overwritten with zeros, which is less than a sector and so no power cut",
    ),
    (
        "log-flip-len-small",
        Instead::Refuses("good records follow"),
        "the same for a wrong length, behind which no end mark is found",
    ),
    (
        "log-prefix-lost",
        Instead::Refuses("those between are missing"),
        "the original goes on over transactions that are missing behind the snapshot and only logs that digests differ",
    ),
    (
        "kinds-digest-off",
        Instead::LoadsButDigest,
        "the digest in the expectation is 0, because the feature was off in the server that was asked",
    ),
];

#[derive(Clone, Copy, PartialEq)]
enum Instead {
    Loads,
    LoadsButDigest,
    Refuses(&'static str),
}

fn golden_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/testdata/golden")
}

fn unzip(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

/// The names of all cases.
fn cases() -> Vec<String> {
    let names = std::fs::read_dir(golden_dir()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut cases: Vec<_> = names.filter_map(|name| Some(name.strip_suffix(".tar.gz")?.to_owned())).collect();
    cases.sort();
    cases
}

/// The folder of a case on a disk of its own, and what is expected of it.
pub(super) fn case(name: &str) -> (SimDisk, Dirs, RecoverOptions, Value) {
    let disk = SimDisk::new(0);
    let mut archive = tar::Archive::new(std::io::Cursor::new(unzip(&golden_dir().join(format!("{name}.tar.gz")))));
    let mut data_log_dir = None;
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = Path::new("/").join(entry.path().unwrap());
        if path.starts_with("/datalog") {
            data_log_dir = Some(Path::new("/datalog"));
        }
        if entry.header().entry_type().is_file() {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            disk.install(&path, content);
        }
    }
    let expected: Value = serde_json::from_slice(&unzip(&golden_dir().join(format!("{name}.json.gz")))).unwrap();
    let is = |key: &str, value: &str| expected["startProps"][format!("zookeeper.{key}")] == value;
    let options = RecoverOptions {
        autocreate_db: !is("db.autocreate", "false"),
        trust_empty: is("snapshot.trust.empty", "true"),
        ..RecoverOptions::default()
    };
    (disk, Dirs::new(Path::new("/data"), data_log_dir), options, expected)
}

fn hex(number: i64) -> String {
    format!("{number:#x}")
}

/// A znode as the expectations see it.
pub(crate) struct DumpNode {
    pub data: Option<Vec<u8>>,
    /// `None` where the list is not known.
    pub acl: Option<Vec<Acl>>,
    pub stat: StatPersisted,
    pub children: i32,
}

/// Whatever was restored, in the terms of the expectations.
pub(crate) struct Dump {
    /// By path; the root is the empty one.
    pub nodes: BTreeMap<String, DumpNode>,
    pub sessions: BTreeMap<i64, i32>,
    pub ephemerals: BTreeMap<i64, BTreeSet<String>>,
    pub containers: BTreeSet<String>,
    pub ttls: BTreeSet<String>,
    pub digest: u64,
    /// Digests of the files that did not agree, where they were compared.
    pub mismatches: Option<u64>,
}

impl Dump {
    /// In the words of the expectations.
    pub(crate) fn describe(&self) -> Value {
        let nodes = self.nodes.iter().map(|(path, node)| {
            let data = match &node.data {
                None => Value::Null,
                Some(data) if data.len() <= 4096 => json!(BASE64.encode(data)),
                Some(data) => {
                    let sum: String = Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect();
                    json!({"len": data.len(), "sha256": sum})
                }
            };
            let acl = node.acl.as_ref().unwrap_or_else(|| panic!("the ACL of {path} is not known"));
            let acl: Vec<_> = acl.iter().map(|acl| json!([acl.perms, acl.id.scheme, acl.id.id])).collect();
            let stat = &node.stat;
            let owner = stat.ephemeral_owner;
            let seen_owner = if self.containers.contains(path) || self.ttls.contains(path) { 0 } else { owner };
            let path = if path.is_empty() { "/" } else { path };
            json!({
                "path": path, "data": data, "acl": acl,
                "czxid": hex(stat.czxid), "mzxid": hex(stat.mzxid), "ctime": stat.ctime, "mtime": stat.mtime,
                "version": stat.version, "cversionRaw": stat.cversion,
                "cversion": stat.cversion.wrapping_mul(2).wrapping_sub(node.children), "aversion": stat.aversion,
                "ephemeralOwnerRaw": hex(owner), "ephemeralOwner": hex(seen_owner),
                "pzxid": hex(stat.pzxid), "numChildren": node.children,
            })
        });
        let nodes: BTreeMap<_, _> = nodes.map(|node| (node["path"].as_str().unwrap().to_owned(), node)).collect();
        let sessions: BTreeMap<_, _> = self.sessions.iter().map(|(id, timeout)| (hex(*id), json!(timeout))).collect();
        let ephemerals: BTreeMap<_, _> = self.ephemerals.iter().map(|(id, paths)| (hex(*id), json!(paths))).collect();
        json!({
            "nodes": nodes, "sessions": sessions, "ephemerals": ephemerals, "treeDigest": format!("{:#x}", self.digest),
            "containers": self.containers, "ttls": self.ttls,
        })
    }
}

/// The model, in these terms.
pub(crate) fn dump_naive(tree: &NaiveTree) -> Dump {
    let node = |(path, node): (&String, &naive_tree::Node)| {
        let children = tree.children[path].len() as i32;
        (path.clone(), DumpNode { data: node.data.clone(), acl: node.acl.clone(), stat: node.stat, children })
    };
    let owned = |wanted: &dyn Fn(i64) -> bool| -> BTreeSet<String> {
        tree.nodes.iter().filter(|(_, node)| wanted(node.stat.ephemeral_owner)).map(|(path, _)| path.clone()).collect()
    };
    Dump {
        nodes: tree.nodes.iter().map(node).collect(),
        sessions: tree.sessions.clone(),
        ephemerals: tree.ephemerals(),
        containers: owned(&|owner| owner == i64::MIN),
        ttls: owned(&|owner| tree.is_ttl(owner)),
        digest: tree.digest(),
        mismatches: (tree.compare_every == 1).then_some(tree.mismatches),
    }
}

/// The differences, in words.
fn differences(expected: &Value, dump: &Dump, recovered: &Recovered) -> Vec<String> {
    let found = dump.describe();
    let mut out = Vec::new();
    let mut compare = |what: &str, expected: &Value, found: &Value| {
        if expected != found {
            out.push(format!("{what}: expected {expected}, found {found}"));
        }
    };
    let nodes: BTreeMap<_, _> =
        expected["nodes"].as_array().unwrap().iter().map(|node| (node["path"].as_str().unwrap(), node)).collect();
    for (path, node) in &nodes {
        compare(path, node, &found["nodes"][path]);
    }
    for (path, node) in found["nodes"].as_object().unwrap() {
        if !nodes.contains_key(path.as_str()) {
            compare(path, &Value::Null, node);
        }
    }
    for what in ["sessions", "ephemerals", "containers", "ttls", "treeDigest"] {
        compare(what, &expected[what], &found[what]);
    }
    compare("last zxid", &expected["lastProcessedZxid"], &json!(hex(recovered.last_zxid.0)));
    // In a new database the original counts the snapshot that it writes at once.
    let used = match (&recovered.snapshot, recovered.fresh) {
        (Some((name, _)), _) => Some(name.zxid),
        (None, Fresh::Initialize) => Some(Zxid::ZERO),
        (None, _) => None,
    };
    compare("snapshot", &expected["snapshotZxidUsed"], &json!(used.map(|zxid| hex(zxid.0))));
    if let Some(mismatches) = dump.mismatches {
        compare("digest mismatches", &expected["digestMismatches"], &json!(mismatches));
    }
    out
}

/// Recovers every folder into a state that `empty` makes (told whether the case is a large one), and compares what
/// `dump` sees of it. Panics with the first differences of each case.
pub(crate) fn check_all<R: Restore>(
    empty: impl Fn(bool) -> R,
    dump: impl Fn(R) -> Dump,
    adjust: impl Fn(&str, &mut Value),
) {
    let mut wrong = Vec::new();
    let cases = cases();
    assert_eq!(cases.len(), 93);
    for name in &cases {
        let (disk, dirs, options, mut expected) = case(name);
        adjust(name, &mut expected);
        let by_design = BY_DESIGN.iter().find(|(case, _, _)| case == name).map(|(_, instead, _)| *instead);
        let large = expected["nodes"].as_array().is_some_and(|nodes| nodes.len() > 1500);
        let mut state = empty(large);
        let result = recover(&disk, &dirs, &options, &mut state);
        match (&result, by_design) {
            (Err(error), Some(Instead::Refuses(why))) => {
                assert_eq!(expected["loads"], true, "{name} is no difference any more");
                assert!(error.to_string().contains(why), "{name}: {error}");
            }
            (Err(_), None) if expected["loads"] == false => {}
            (Err(error), _) => wrong.push(format!("{name}: refused: {error}")),
            (Ok(_), Some(Instead::Loads)) => assert_eq!(expected["loads"], false),
            (Ok(_), _) if expected["loads"] == false => {
                wrong.push(format!("{name}: loaded, but the original refuses: {}", expected["refusal"]));
            }
            (Ok(recovered), _) => {
                let mut found = differences(&expected, &dump(state), recovered);
                if by_design == Some(Instead::LoadsButDigest) {
                    found.retain(|difference| !difference.starts_with("treeDigest"));
                }
                wrong.extend(found.into_iter().take(5).map(|difference| format!("{name}: {difference}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn golden_folders_load_as_the_original_loads_them() {
    check_all(|large| NaiveTree::new(if large { 200 } else { 1 }), |tree| dump_naive(&tree), |_, _| {});
}

#[test]
fn refusals_name_the_file_and_the_way_out() {
    let refusal = |name: &str| {
        let (disk, dirs, options, _) = case(name);
        recover(&disk, &dirs, &options, &mut NaiveTree::new(1)).unwrap_err()
    };
    for (name, code, words) in [
        ("swapped-datalogdir", 3, ["/datalog/version-2", "swapped"]),
        ("log-flip-body-mid", 1, ["log.4c: offset 1130", "checksum"]),
        ("log-len-minus1", 1, ["log.4c: offset 1130", "length -1"]),
        ("log-flip-magic", 1, ["log.4c", "not a transaction log"]),
        ("log-trunc-header8", 1, ["log.4c", "after 8 bytes"]),
        ("log-empty-middle", 1, ["log.25", "empty"]),
        ("log-missing-middle", 1, ["log.4c", "0x4c follows 0x24"]),
        ("log-torn-mid", 1, ["log.4c: offset 1130", ACCEPT_DAMAGE]),
        ("snap-all-bad", 1, ["snapshot.4a", "backup"]),
        ("snap-none", 1, ["from 0x1 on", "snapshot.trust.empty"]),
    ] {
        let error = refusal(name);
        assert_eq!(error.exit_code(), code, "{name}");
        for word in words {
            assert!(error.to_string().contains(word), "{name}: {error} lacks {word:?}");
        }
    }
}

#[test]
fn accepted_damage_loads_what_the_original_loads() {
    for name in ["log-torn-mid", "log-zero-mid", "log-flip-len-small", "log-prefix-lost"] {
        let (disk, dirs, mut options, expected) = case(name);
        options.read.accept_damage = true;
        let mut tree = NaiveTree::new(1);
        let recovered = recover(&disk, &dirs, &options, &mut tree).unwrap();
        assert_eq!(differences(&expected, &dump_naive(&tree), &recovered), Vec::<String>::new(), "{name}");
        assert_eq!(recovered.ends.len(), 1, "{name}: what was lost is told");
        assert!(!recovered.ends[0].unsynced, "{name}");
    }
}
