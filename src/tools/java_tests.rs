//! The tools against the answers of Apache's, for every golden log and snapshot.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::testing::{contents, golden, text, tool};

/// File, tool, exit code, start of the SHA-256 of what it printed.
const ANSWERS: &str = include_str!("testdata/java.tsv");

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

/// A dump in an order that does not depend on the hash tables of Java: nodes sorted, sessions sorted.
fn sorted_dump(printed: &[u8]) -> Vec<u8> {
    let printed = String::from_utf8(printed.to_vec()).unwrap();
    let mut parts: Vec<String> = printed.split("----\n").map(str::to_owned).collect();
    let count = parts.len();
    let mut sessions: Vec<_> = parts[count - 2].split('\n').collect();
    sessions.sort_unstable();
    parts[count - 2] = sessions.join("\n");
    parts[1..count - 2].sort_unstable();
    parts.join("----\n").into_bytes()
}

fn sorted_lines(printed: &[u8]) -> Vec<u8> {
    let mut lines: Vec<_> = printed.split(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    lines.join(&b'\n')
}

#[test]
fn every_golden_file_is_shown_as_the_original_shows_it() {
    let mut by_case: BTreeMap<&str, Vec<[&str; 4]>> = BTreeMap::new();
    for line in ANSWERS.lines().filter(|line| !line.starts_with('#')) {
        let fields: [&str; 4] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        by_case.entry(fields[0].split('/').next().unwrap()).or_default().push(fields);
    }
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for (case, answers) in by_case {
        let folder = golden(case);
        let before = contents(folder.path());
        for [file, what, code, expected] in answers {
            let path = folder.path().join(file.split_once('/').unwrap().1);
            let path = path.to_str().unwrap();
            let copy = folder.path().join("mended");
            let copy = copy.to_str().unwrap();
            let (found, printed, complaint) = match what {
                "dump" => tool(&["txnlog", "dump", path]),
                "nodes" | "data" => {
                    let data = if what == "data" { Some("--data") } else { None };
                    let words: Vec<_> = ["snapshot", "dump"].into_iter().chain(data).chain([path]).collect();
                    let (code, printed, complaint) = tool(&words);
                    // The original shows damaged snapshots without a word.
                    let told = complaint.contains("damaged");
                    (if told { 0 } else { code }, sorted_dump(&printed), complaint)
                }
                "stats" => {
                    let (code, printed, complaint) = tool(&["snapshot", "stats", path, "/", "3"]);
                    if code == 1 && complaint.contains("offset") {
                        continue;
                    }
                    (code, sorted_lines(&printed), complaint)
                }
                "recover" | "fixed" => {
                    let (code, printed, complaint) = tool(&["txnlog", "recover", "-y", "-o", copy, path]);
                    let written = std::fs::read(copy).unwrap_or_default();
                    let _ = std::fs::remove_file(copy);
                    if what == "fixed" {
                        (code, trimmed(&written), complaint)
                    } else {
                        (code, String::from_utf8_lossy(&printed).replace(copy, "F").into_bytes(), complaint)
                    }
                }
                other => panic!("{other}"),
            };
            compared += 1;
            if (found.to_string().as_str(), sum(&printed).as_str()) != (code, expected) {
                wrong.push(format!("{what} {file}: exit code {found}, {} bytes, {complaint}", printed.len()));
            }
            if code != "0" {
                assert!(!complaint.is_empty(), "{what} {file} says why it fails");
            }
        }
        assert!(before == contents(folder.path()), "{case} was changed");
    }
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 600, "{compared}");
}

fn trimmed(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    bytes[..end].to_vec()
}

/// Odd transactions made with the original's classes, and what its toolkit prints: null and empty lists, dates before
/// 1970 and after 2099, negative numbers, malformed text, names with commas and line feeds.
#[test]
fn odd_transactions_are_shown_as_the_original_shows_them() {
    let log = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tools/testdata/craft.log");
    let (code, printed, _) = tool(&["txnlog", "dump", log]);
    assert_eq!((code, String::from_utf8(printed).unwrap()), (0, include_str!("testdata/craft.txt").to_owned()));
}

/// Asked of `SnapshotComparer` and kept without its times.
#[test]
fn two_snapshots_are_compared_as_the_original_compares_them() {
    let (left, right) = (golden("kinds"), golden("small"));
    let path = |folder: &tempfile::TempDir, name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (left, right) = (path(&left, "data/version-2/snapshot.5f"), path(&right, "data/version-2/snapshot.4a"));
    for (flags, expected) in
        [(&[][..], include_str!("testdata/compare.txt")), (&["-d"], include_str!("testdata/compare-debug.txt"))]
    {
        let words = ["snapshot", "compare", "-l", &left, "-r", &right, "-b", "5", "-n", "3"];
        let words: Vec<_> = words.into_iter().chain(flags.iter().copied()).collect();
        let (code, printed, _) = text(&words);
        let lines = printed
            .lines()
            .map(|line| if line.ends_with(" seconds") { line.rsplitn(4, ' ').last().unwrap() } else { line });
        assert_eq!((code, lines.collect::<Vec<_>>().join("\n")), (0, expected.trim_end().to_owned()));
    }
}
