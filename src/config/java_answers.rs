//! Tests: what the original makes of configurations, written down in `testdata`, against what is made of them here.
//! Each difference that is meant stands in a list with its reason.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;

use super::*;

/// Cases in which a difference is meant, and why.
const DIFFERENT: &[(&str, &str)] = &[
    ("multiok", "multiAddress.enabled in zoo.cfg counts here; there only the system property does"),
    ("dataquestion", "an empty dataLogDir is the default here; there it ends in an exception"),
];

const DIFFERENT_LINES: &[(&str, &str)] = &[
    ("[::1]2888:3888", "a missing colon is refused here; there a digit of the port is lost"),
    ("1:2:3", "a number is a host name here; there it is 0.0.0.1"),
    ("h:5:1|h:1:5", "addresses keep their pairs of ports here; there both kinds of ports are sorted apart"),
    ("h:10:1|h:9:2", "the same"),
    ("h:10:1|h:9:1", "the same: there, two equal ports of a kind are one"),
];

struct Case<'a> {
    name: &'a str,
    text: &'a str,
    answer: &'a str,
}

fn cases() -> Vec<Case<'static>> {
    let all = include_str!("testdata/java-answers.txt").split("=== ").skip(1);
    all.map(|case| {
        let (name, rest) = case.split_once('\n').unwrap();
        let (text, answer) = rest.split_once("---\n").unwrap();
        Case { name, text, answer: answer.trim_end() }
    })
    .collect()
}

fn load(case: &Case, folder: &Path) -> Result<Config, ConfigError> {
    let data = folder.join("data");
    std::fs::create_dir_all(&data).unwrap();
    let at = folder.to_str().unwrap();
    let (mut lines, mut system) = (String::new(), Vec::new());
    for line in case.text.lines() {
        if let Some(text) = line.strip_prefix("@myid ") {
            std::fs::write(data.join("myid"), text.replace("\\n", "\n") + "\n").unwrap();
        } else if let Some(text) = line.strip_prefix("@dyn ") {
            std::fs::write(folder.join("dyn"), text.replace("\\n", "\n")).unwrap();
        } else if let Some(text) = line.strip_prefix("@D ") {
            system.extend(text.split_once('='));
        } else {
            writeln!(lines, "{}", line.replace("$D", at)).unwrap();
        }
    }
    let file = folder.join("zoo.cfg");
    std::fs::write(&file, lines).unwrap();
    Config::load(&file, &SystemProperties::of(system))
}

fn listener(address: Option<IpAddr>, port: Option<u16>) -> String {
    match (address, port) {
        (_, None) => "none".into(),
        (Some(address), Some(port)) if !address.is_unspecified() => format!("{} {port}", java_address(address)),
        (_, Some(port)) => format!("any {port}"),
    }
}

fn summary(config: &Config, folder: &Path) -> String {
    let peer = match config.peer_type {
        PeerType::Participant => "participant",
        PeerType::Observer => "observer",
    };
    let my_id = config.more.my_id.map_or("none".into(), |id| id.to_string());
    let text = format!(
        "client={} secure={}\n\
        tick={} session={}..{} perAddress={} backlog={} limits={},{} purge={},{}\n\
        dirs={} {}\n\
        quorum={} myid={my_id} peer={peer}\n\
        members={}\n",
        listener(config.client_port_address, config.client_port),
        listener(config.secure_client_port_address, config.secure_client_port),
        config.tick_time_ms,
        config.min_session_timeout_ms,
        config.max_session_timeout_ms,
        config.max_client_cnxns,
        config.client_port_listen_backlog,
        config.init_limit_ticks,
        config.sync_limit_ticks,
        config.autopurge_snap_retain_count,
        config.autopurge_purge_interval_hours,
        config.data_dir.display(),
        config.data_log_dir.display(),
        config.is_quorum(),
        config.more.ensemble.to_string().replace('\n', " "),
    );
    text.replace(folder.to_str().unwrap(), "$D")
}

/// The system properties that the original makes of keys it does not know, without those that are known here.
fn unknown(answer: &str) -> BTreeMap<String, String> {
    let all = answer.lines().find_map(|line| line.strip_prefix("properties={")).unwrap().trim_end_matches('}');
    let all = all.strip_prefix("zookeeper.").unwrap_or_default().split(", zookeeper.");
    let pairs = all.filter_map(|pair| pair.split_once('=')).map(|(key, value)| (key.to_owned(), value.to_owned()));
    let is_known =
        |key: &str| Entry::find(key).is_some() || FAMILIES.iter().any(|family| key.starts_with(family.prefix));
    pairs.filter(|(key, _)| !is_known(key) && key != "version").collect()
}

#[test]
fn zoo_cfg_is_understood_as_the_original_does() {
    let mut surprises = String::new();
    for case in cases() {
        let folder = tempfile::tempdir().unwrap();
        let found = load(&case, folder.path());
        let (expected, got) = match &found {
            Err(error) => (case.answer.to_owned(), format!("refused: {error}")),
            Ok(_) if case.answer == "refused" => (case.answer.to_owned(), "accepted".into()),
            Ok(config) => {
                let summary = summary(config, folder.path());
                let expected = case.answer.split_once("properties=").unwrap().0.to_owned();
                let extra: BTreeMap<_, _> = config
                    .more
                    .unknown
                    .iter()
                    .map(|(key, value)| (key.clone(), value.replace(folder.path().to_str().unwrap(), "$D")))
                    .collect();
                (format!("{expected}{:?}", unknown(case.answer)), format!("{summary}{extra:?}"))
            }
        };
        let same = expected == got || expected == "refused" && got.starts_with("refused: ");
        let meant = DIFFERENT.iter().any(|(name, _)| *name == case.name);
        if same == meant {
            writeln!(surprises, "=== {}\n{}--- expected\n{expected}\n--- got\n{got}", case.name, case.text).unwrap();
        }
        if let Err(error) = found {
            assert_eq!(error.exit_code(), 2, "{}: {error}", case.name);
        }
    }
    assert!(surprises.is_empty(), "\n{surprises}");
}

#[test]
fn server_lines_are_understood_as_the_original_does() {
    let mut surprises = String::new();
    let lines = include_str!("testdata/server-lines.txt").lines().filter(|line| !line.starts_with('#'));
    for (line, expected) in lines.map(|line| line.split_once(" => ").unwrap()) {
        let got = Member::parse(1, line).map_or("refused".into(), |member| member.to_string());
        let meant = DIFFERENT_LINES.iter().any(|(different, _)| *different == line);
        if (got == expected) == meant {
            writeln!(surprises, "{line}: expected {expected}, got {got}").unwrap();
        }
    }
    assert!(surprises.is_empty(), "\n{surprises}");
}
