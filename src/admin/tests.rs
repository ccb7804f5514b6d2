//! The words' texts against those of the original, byte for byte but for its build.

use super::four_letter::{TELNET_CLOSE, argument_len, command, is_word, not_whitelisted};
use super::view::*;
use super::*;
use crate::metrics::{Counter, Gauge, Number, Provider, Readings, Summary};
use crate::proto::{OpCode, Zxid};
use std::collections::BTreeSet;

macro_rules! golden {
    ($name:literal) => {
        masked(include_str!(concat!("testdata/", $name, ".txt")))
    };
}

/// The original's build is not ours.
fn masked(golden: &str) -> String {
    golden.replace("3.9.5-293c895a8d966a3ecb92872be4a1daf87d725da2, built on 2026-02-11 20:18 UTC", version::FULL)
}

fn words() -> impl Iterator<Item = &'static Command> {
    commands::COMMANDS.iter().filter(|command| !command.word.is_empty())
}

fn word(word: &str) -> &'static Command {
    command(word.as_bytes().try_into().unwrap()).unwrap()
}

fn connection(port: u16, reads: bool, (received, sent): (u64, u64), session: Option<ConnectedSession>) -> Connection {
    Connection {
        remote: ([127, 0, 0, 1], port).into(),
        reads,
        writes: false,
        queued: 0,
        received,
        sent,
        established_ms: 1_795_336_768_686,
        session,
        expires_ms: 1_795_336_779_000,
    }
}

fn session(id: i64, last_operation: Option<OpCode>, latency: Latency) -> ConnectedSession {
    ConnectedSession {
        id,
        last_operation,
        timeout_ms: 10_000,
        last_cxid: 5,
        last_zxid: 0x113,
        last_response_ms: 1_128_979,
        last_latency_ms: 0,
        latency,
    }
}

fn standalone() -> View {
    View {
        serving: true,
        statistics: Statistics {
            latency: Latency { min: 0, max: 12, sum: 11_215, count: 10_000 },
            received: 525,
            sent: 574,
            connections: 3,
            zxid: Zxid(0x114),
            nodes: 44,
            ..Statistics::default()
        },
        sizes: Sizes { data_dir: 67_109_358, log_dir: 67_109_358 },
        ..View::not_serving()
    }
}

const ONE: i64 = 0x0100_000d_ad20_0027;
const TWO: i64 = 0x0100_000d_ad20_0028;

#[test]
fn a_word_is_four_known_bytes() {
    for command in words() {
        assert!(is_word(command.word.as_bytes().try_into().unwrap()), "{}", command.word);
    }
    assert!(is_word(TELNET_CLOSE));
    for other in [*b"RUOK", *b"GET ", *b"help", [0, 0, 0, 44], [0xff; 4]] {
        assert!(!is_word(other), "{other:?}");
    }
    assert!(command(TELNET_CLOSE).is_none());
    assert_eq!((argument_len(*b"stmk"), argument_len(*b"ruok")), (8, 0));
}

#[test]
fn names_and_words_are_unique() {
    let names: BTreeSet<_> = commands::COMMANDS.iter().map(|command| command.name).collect();
    let distinct: BTreeSet<_> = words().map(|command| command.word).collect();
    assert_eq!((names.len(), distinct.len()), (commands::COMMANDS.len(), words().count()));
}

#[test]
fn a_word_that_is_not_whitelisted() {
    assert_eq!(not_whitelisted(word("conf")), "conf is not executed because it is not in the whitelist.\n");
}

#[test]
fn words_of_a_server_that_does_not_serve() {
    let view = View { trace_mask: 306, ..View::not_serving() };
    for command in words() {
        let text = command.text(&view);
        let sentence = "This ZooKeeper instance is not currently serving requests";
        match command.word {
            "ruok" => assert_eq!(text, "imok"),
            "gtmk" | "stmk" => assert_eq!(text, "306"),
            "envi" => assert_eq!(text, "Environment:\n"),
            "isro" => assert_eq!(text, "null"),
            "hash" => assert_eq!(text, sentence),
            _ => assert_eq!(text, format!("{sentence}\n"), "{}", command.word),
        }
        assert_eq!(command.effect(false, &[]), None, "{}", command.word);
    }
}

#[test]
fn words_that_change_something() {
    assert_eq!(word("srst").effect(true, &[]), Some(Effect::ResetStatistics));
    assert_eq!(word("crst").effect(true, &[]), Some(Effect::ResetConnections));
    assert_eq!(word("stmk").effect(false, &[0, 0, 0, 0, 0, 0, 1, 0x32]), Some(Effect::SetTraceMask(306)));
    assert_eq!(word("stmk").effect(true, &[0; 7]), None);
    assert_eq!(word("ruok").effect(true, &[]), None);
}

#[test]
fn short_words() {
    let view = View { trace_mask: 178, ..standalone() };
    assert_eq!(word("ruok").text(&view), golden!("standalone.ruok"));
    assert_eq!(word("isro").text(&view), golden!("standalone.isro"));
    assert_eq!(word("isro").text(&View { read_only: true, ..standalone() }), "ro");
    assert_eq!(word("gtmk").text(&view), golden!("standalone.gtmk"));
    assert_eq!(word("stmk").text(&view), golden!("standalone.stmk"));
    assert_eq!(word("srst").text(&view), golden!("standalone.srst"));
    assert_eq!(word("crst").text(&view), golden!("standalone.crst"));
    assert_eq!(word("dirs").text(&view), golden!("standalone.dirs"));
}

#[test]
fn srvr_and_stat() {
    let mut view = standalone();
    assert_eq!(word("srvr").text(&view), golden!("standalone.srvr"));
    view.statistics = Statistics { received: 526, sent: 575, ..view.statistics };
    let details = session(ONE, None, Latency::default());
    view.connections = vec![
        connection(45078, true, (7, 7), Some(details.clone())),
        connection(45178, false, (1, 0), None),
        connection(45086, true, (4, 4), Some(details)),
    ];
    assert_eq!(word("stat").text(&view), golden!("standalone.stat"));
}

#[test]
fn srvr_and_stat_without_a_quorum() {
    let mut view = View {
        serving: true,
        read_only: true,
        statistics: Statistics {
            received: 2,
            sent: 1,
            connections: 1,
            zxid: Zxid(0x1_0000_0027),
            mode: Mode::ReadOnly,
            nodes: 9,
            ..Statistics::default()
        },
        connections: vec![connection(52996, false, (1, 0), None)],
        ..View::not_serving()
    };
    assert_eq!(word("srvr").text(&view), golden!("read-only.srvr"));
    view.statistics = Statistics { received: 3, sent: 2, ..view.statistics };
    assert_eq!(word("stat").text(&view), golden!("read-only.stat"));
}

#[test]
fn a_leader_shows_its_proposals() {
    let mut proposals = Extent::default();
    assert_eq!(proposals, Extent { last: -1, min: -1, max: -1 });
    for size in [104, 50, 36] {
        proposals.record(size);
    }
    let view = View {
        serving: true,
        statistics: Statistics {
            latency: Latency { min: 1, max: 9, sum: 43, count: 10 },
            received: 24,
            sent: 24,
            connections: 3,
            zxid: Zxid(0x1_0000_000c),
            mode: Mode::Leader,
            nodes: 9,
            proposals: Some(proposals),
            ..Statistics::default()
        },
        connections: vec![
            connection(53024, false, (1, 0), None),
            connection(52910, true, (4, 4), None),
            connection(52902, true, (7, 7), None),
        ],
        ..View::not_serving()
    };
    assert_eq!(word("stat").text(&view), golden!("leader.stat"));
}

#[test]
fn cons() {
    let one = session(ONE, Some(OpCode::GET_DATA), Latency { min: 0, max: 1, sum: 1, count: 7 });
    let two = ConnectedSession {
        last_cxid: 3,
        last_zxid: 0x114,
        last_response_ms: 1_128_980,
        last_latency_ms: 1,
        ..session(TWO, None, Latency { min: 0, max: 1, sum: 1, count: 4 })
    };
    let mut view = standalone();
    view.connections = vec![
        connection(45078, true, (7, 7), Some(one)),
        connection(45108, false, (1, 0), None),
        Connection { established_ms: 1_795_336_768_688, ..connection(45086, true, (4, 4), Some(two)) },
    ];
    assert_eq!(word("cons").text(&view), golden!("standalone.cons"));
}

#[test]
fn cons_of_a_busy_connection_after_a_reset() {
    let reset =
        ConnectedSession { last_cxid: -1, last_zxid: -1, last_response_ms: 0, ..session(1, None, Latency::default()) };
    let mut view = standalone();
    view.connections =
        vec![Connection { writes: true, queued: 9, established_ms: 5, ..connection(1, true, (0, 0), Some(reset)) }];
    let expected = " /127.0.0.1:1[5](queued=9,recved=0,sent=0,sid=0x1,lop=NA,est=5,to=10000,lzxid=0xffffffffffffffff,\
                    lresp=0,llat=0,minlat=0,avglat=0,maxlat=0)\n\n";
    assert_eq!(word("cons").text(&view), expected);
}

fn settings(port: i32, folder: &str, server_id: i64) -> Settings {
    Settings {
        client_port: port,
        secure_client_port: -1,
        data_dir: format!("{folder}/data/version-2"),
        data_log_dir: format!("{folder}/data/version-2"),
        tick_time_ms: 2000,
        max_client_cnxns: 60,
        min_session_timeout_ms: 4000,
        max_session_timeout_ms: 40000,
        client_port_listen_backlog: -1,
        server_id,
        member: None,
        text: None,
    }
}

#[test]
fn conf() {
    let mut view = View { settings: settings(11100, "/zk/sa", 0), ..standalone() };
    assert_eq!(word("conf").text(&view), golden!("standalone.conf"));
    let members = "server.1=127.0.0.1:11211:11221:participant\nserver.2=127.0.0.1:11212:11222:participant\n\
                   server.3=127.0.0.1:11213:11223:participant\nversion=100000000";
    let member = MemberSettings {
        init_limit: 10,
        sync_limit: 5,
        election_alg: 3,
        election_ports: vec![11221],
        quorum_ports: vec![11211],
        observer: false,
        membership: Some(members.into()),
    };
    view.sizes = Sizes { data_dir: 67_109_498, log_dir: 67_109_498 };
    view.settings = Settings { member: Some(member.clone()), ..settings(11201, "/zk/e1", 1) };
    assert_eq!(word("conf").text(&view), golden!("follower.conf"));
    view.settings.member = Some(MemberSettings { membership: None, ..member.clone() });
    assert_eq!(word("conf").text(&view), golden!("read-only.conf"));
    let several = MemberSettings { election_ports: vec![1, 2], quorum_ports: vec![3, 4], observer: true, ..member };
    view.settings.member = Some(several);
    let text = word("conf").text(&view);
    assert!(text.contains("electionPort=1|2\nquorumPort=3|4\npeerType=1\n"), "{text}");
}

#[test]
fn envi_has_the_keys_of_the_original_and_one_more() {
    let mut view = View::not_serving();
    view.environment =
        environment::Environment::new(environment::Facts { memory_free: 215 << 20, ..Default::default() });
    let keys = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split('=').next().unwrap_or_default().to_owned()).collect()
    };
    let text = word("envi").text(&view);
    let mut expected = keys(&golden!("standalone.envi"));
    expected.push("oxkeeper.version".into());
    assert_eq!(keys(&text), expected);
    assert!(text.contains("\nos.memory.free=215MB\n") && text.contains("\nhost.name=<NA>\n"), "{text}");
}

#[test]
fn dump() {
    let session_of = |id| Some(session(id, None, Latency::default()));
    let mut view = standalone();
    let ids = [0x16, 0x18, 0x17, 0x15].map(|id| 0x0100_000d_ad20_0000 + id);
    view.sessions = Sessions::Tracked {
        local: None,
        global: vec![(1_795_336_775_000, ids.to_vec()), (1_795_336_779_000, vec![TWO, ONE])],
    };
    view.ephemerals = vec![(TWO, vec!["/cap/eph2-0000000001".into()]), (ONE, vec!["/cap/eph".into()])];
    view.connections = vec![
        connection(45078, true, (0, 0), session_of(ONE)),
        connection(45118, true, (0, 0), None),
        connection(45086, true, (0, 0), session_of(TWO)),
    ];
    assert_eq!(word("dump").text(&view), golden!("standalone.dump"));
}

#[test]
fn dump_of_a_follower() {
    let (one, two) = (0x0100_000f_1465_0000, 0x0100_000f_1465_0001);
    let session_of = |id| Some(session(id, None, Latency::default()));
    let mut view = standalone();
    view.sessions = Sessions::Learned { local: None, global: vec![(two, 10_000), (one, 10_000)] };
    view.ephemerals = vec![(one, vec!["/cap/eph".into()]), (two, vec!["/cap/eph2-0000000001".into()])];
    view.connections = vec![
        connection(40798, true, (0, 0), session_of(two)),
        connection(40788, true, (0, 0), session_of(one)),
        connection(40840, true, (0, 0), None),
    ];
    assert_eq!(word("dump").text(&view), golden!("follower.dump"));
}

#[test]
fn dump_with_local_sessions() {
    let mut view = standalone();
    let local = Some(vec![(0, vec![1])]);
    view.sessions = Sessions::Tracked { local: local.clone(), global: Vec::new() };
    let text = word("dump").text(&view);
    let head = "SessionTracker dump:\nLocal Session Sets (1)/(1):\n1 expire at Thu Jan 01 00:00:00 UTC 1970:\n\t0x1\n";
    assert!(text.starts_with(&format!("{head}Global Session Sets (0)/(0):\nephemeral")), "{text}");
    view.sessions = Sessions::Learned { local, global: Vec::new() };
    let text = word("dump").text(&view);
    assert!(text.starts_with(&format!("{head}Global Sessions(0):\nephemeral")), "{text}");
}

#[test]
fn watches() {
    let mut view = standalone();
    view.watch_summary = WatchSummary { connections: 2, paths: 2, total: 3 };
    view.watches = vec![(ONE, vec!["/cap".into(), "/cap/eph".into()]), (TWO, vec!["/cap".into()])];
    assert_eq!(word("wchs").text(&view), golden!("standalone.wchs"));
    assert_eq!(word("wchc").text(&view), golden!("standalone.wchc"));
    assert_eq!(word("wchp").text(&view), golden!("standalone.wchp"));
}

#[test]
fn hash() {
    let mut view = standalone();
    view.digests = vec![(Zxid(0x80), 38_416_406_710), (Zxid(0x100), 84_193_601_894)];
    assert_eq!(word("hash").text(&view), golden!("standalone.hash"));
}

/// Lines of `mntr` as key and value.
fn lines(text: &str) -> Vec<(&str, &str)> {
    text.lines().map(|line| line.strip_prefix("zk_").unwrap().split_once('\t').unwrap()).collect()
}

/// Puts a summary together that has these figures.
fn record(readings: &mut Readings, summary: Summary, key: &str, [min, max, count, sum]: [i64; 4]) {
    let mut take = |value| match key {
        "" => readings.record(summary, value),
        key => readings.record_for(summary, key, value),
    };
    if count > 0 {
        take(min);
    }
    if count > 1 {
        take(max);
    }
    let (mut left, mut rest) = (count - 2, sum - min - max);
    while left > 0 {
        let value = rest / left;
        take(value);
        (left, rest) = (left - 1, rest - value);
    }
}

/// Reads a text of the default provider back into readings, then renders them.
fn again(golden: &str, mode: Mode, peer_state: Option<&str>) -> String {
    let values = lines(golden);
    let number =
        |key: &str| values.iter().find(|(name, _)| *name == key).map(|(_, value)| value.parse::<i64>().unwrap());
    let mut readings = Readings::new(Provider::Default);
    for gauge in Gauge::all() {
        match values.iter().find(|(name, _)| *name == gauge.name()) {
            Some((_, value)) if value.contains('.') => readings.set(gauge, value.parse::<f64>().unwrap()),
            Some((_, value)) => readings.set(gauge, value.parse::<i64>().unwrap()),
            None => {}
        }
    }
    for counter in Counter::all().filter(|counter| !counter.form().is_keyed()) {
        readings.add(counter, number(counter.name()).unwrap());
    }
    for summary in Summary::all() {
        let plain: &[&str] = &[""];
        for key in if summary.form().is_keyed() { &["ns", "zookeeper", "1", "2", "3"] } else { plain } {
            let name = if key.is_empty() { summary.name().to_owned() } else { format!("{key}_{}", summary.name()) };
            let figures = ["min", "max", "cnt", "sum"].map(|figure| number(&format!("{figure}_{name}")));
            if let [Some(min), Some(max), Some(count), Some(sum)] = figures {
                record(&mut readings, summary, key, [min, max, count, sum]);
            }
        }
    }
    let statistics = Statistics { mode, peer_state: peer_state.map(str::to_owned), ..Statistics::default() };
    word("mntr").text(&View { serving: true, statistics, metrics: readings, ..View::not_serving() })
}

/// The lines without order (the original has none); percentiles cannot be read back and are masked.
fn comparable(text: &str) -> BTreeSet<String> {
    let percentile = |key: &str| ["p50_", "p95_", "p99_", "p999_"].iter().any(|start| key.starts_with(start));
    lines(text).iter().map(|(key, value)| format!("{key} {}", if percentile(key) { "*" } else { value })).collect()
}

#[test]
fn mntr_under_the_default_provider() {
    let rows = [
        (golden!("standalone.default-provider.mntr"), Mode::Standalone, None),
        (golden!("leader.default-provider.mntr"), Mode::Leader, Some("leading - broadcast")),
        (golden!("follower.default-provider.mntr"), Mode::Follower, Some("following - broadcast")),
    ];
    for (golden, mode, peer_state) in rows {
        let text = again(&golden, mode, peer_state);
        let (ours, theirs) = (comparable(&text), comparable(&golden));
        assert_eq!(ours.symmetric_difference(&theirs).collect::<Vec<_>>(), [""; 0], "{}", mode.name());
        assert_eq!(text.lines().count(), golden.lines().count(), "{}", mode.name());
        assert_eq!(text.lines().take(2).collect::<Vec<_>>(), golden.lines().take(2).collect::<Vec<_>>());
    }
}

#[test]
fn mntr_shows_percentiles() {
    let mut readings = Readings::new(Provider::Default);
    for latency in [1, 1, 1, 3, 3, 4, 6, 19, 25] {
        readings.record(crate::metrics::UPDATELATENCY, latency);
    }
    let text = word("mntr").text(&View { serving: true, metrics: readings, ..View::not_serving() });
    let shown: Vec<_> = lines(&text).into_iter().filter(|(key, _)| key.ends_with("_updatelatency")).collect();
    let expected = [
        ("avg_updatelatency", "7.0"),
        ("min_updatelatency", "1"),
        ("max_updatelatency", "25"),
        ("cnt_updatelatency", "9"),
        ("sum_updatelatency", "63"),
        ("p50_updatelatency", "3"),
        ("p95_updatelatency", "25"),
        ("p99_updatelatency", "25"),
        ("p999_updatelatency", "25"),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn mntr_under_the_prometheus_provider() {
    let golden = golden!("standalone.prometheus-provider.mntr");
    let values = lines(&golden);
    let number = |key: &str| {
        let found = values.iter().find(|(name, _)| *name == key).map(|(_, value)| value.parse::<f64>().unwrap());
        found.unwrap_or_else(|| panic!("the original has {key}"))
    };
    let mut readings = Readings::new(Provider::Prometheus);
    for gauge in Gauge::all() {
        match values.iter().find(|(name, _)| *name == gauge.name()) {
            Some((_, value)) => readings.set(gauge, Number::Integer(value.parse::<f64>().unwrap() as i64)),
            None if gauge.form().is_keyed() => {
                let value = number(&format!("{}{{key=\"ns\"}}", gauge.name()));
                readings.set_for(gauge, "ns", value);
            }
            None => {}
        }
    }
    readings.set(crate::metrics::AVG_LATENCY, number("avg_latency"));
    for counter in Counter::all().filter(|counter| !counter.form().is_keyed()) {
        readings.add(counter, number(counter.name()) as i64);
    }
    for summary in Summary::all() {
        let keys = ["", "ns", "zookeeper"];
        for key in keys.into_iter().filter(|key| key.is_empty() != summary.form().is_keyed()) {
            let label = if key.is_empty() { String::new() } else { format!("{{key=\"{key}\"}}") };
            let figure = |figure: &str| {
                let wanted = format!("{}{figure}{label}", summary.name());
                values.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.parse::<f64>().unwrap() as i64)
            };
            if let (Some(count), Some(sum)) = (figure("_count"), figure("_sum")) {
                record(&mut readings, summary, key, [if count == 1 { sum } else { 0 }, sum, count, sum]);
            }
        }
    }
    let text = word("mntr").text(&View { serving: true, metrics: readings, ..View::not_serving() });
    let comparable = |text: &str| -> BTreeSet<String> {
        let shown = |(key, value): &(&str, &str)| match (key.contains("quantile"), *value) {
            (true, value) if value != "NaN" => format!("{key} *"),
            (_, value) => format!("{key} {value}"),
        };
        lines(text).iter().map(shown).collect()
    };
    let (ours, theirs) = (comparable(&text), comparable(&golden));
    assert_eq!(ours.symmetric_difference(&theirs).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn mntr_without_a_provider_says_who_it_is() {
    let text = word("mntr").text(&standalone());
    assert_eq!(text, format!("zk_version\t{}\nzk_server_state\tstandalone\n", version::FULL));
}

#[test]
fn the_version_has_the_shape_that_tools_parse() {
    let (number, rest) = version::FULL.split_once('-').unwrap();
    assert_eq!(number, version::REFERENCE);
    let (revision, date) = rest.split_once(", built on ").unwrap();
    assert!(!revision.is_empty() && !revision.contains([' ', ',']), "{revision}");
    let shape: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00 00:00 UTC");
}
