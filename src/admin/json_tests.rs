//! The admin server's documents against those of the original, byte for byte but for its build: each captured document is
//! read back into the view it may have come from, and rendered again.

use super::commands::{COMMANDS, named};
use super::json::{Fields, failure, not_serving, refusal};
use super::view::*;
use super::*;
use crate::metrics::{self, Gauge, Provider, Readings};
use crate::proto::{OpCode, Zxid};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

const ROLES: [(&str, Mode); 3] =
    [("standalone", Mode::Standalone), ("leader", Mode::Leader), ("follower", Mode::Follower)];

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "src/admin/testdata/admin"].iter().collect()
}

/// A captured document; the original's build is not ours.
fn golden(role: &str, name: &str) -> String {
    let text = std::fs::read_to_string(folder().join(format!("{role}.{name}.json"))).unwrap();
    text.replace("3.9.5-293c895a8d966a3ecb92872be4a1daf87d725da2, built on 2026-02-11 20:18 UTC", version::FULL)
}

fn shown(name: &str, view: &View) -> String {
    jackson::document(&named(name).unwrap().answer(view))
}

fn int(value: &Value, name: &str) -> i64 {
    value[name].as_i64().unwrap_or_else(|| panic!("{name} in {value}"))
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
}

fn list<T>(value: &Value, item: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().unwrap().iter().map(item).collect()
}

fn map<T>(value: &Value, item: impl Fn(&Value) -> T) -> Vec<(i64, Vec<T>)> {
    value.as_object().unwrap().iter().map(|(key, value)| (key.parse().unwrap(), list(value, &item))).collect()
}

fn connection(value: &Value) -> Connection {
    let operation = |name: &str| (0..200).map(OpCode).find(|op| op.short_name() == name);
    let latency = Latency {
        min: value["min_latency"].as_i64().unwrap_or(0),
        max: value["max_latency"].as_i64().unwrap_or(0),
        ..Latency::default()
    };
    let session = value["session_id"].as_i64().map(|id| ConnectedSession {
        id,
        last_operation: operation(&text(value, "last_operation")),
        timeout_ms: int(value, "session_timeout") as i32,
        last_cxid: int(value, "last_cxid"),
        last_zxid: int(value, "last_zxid"),
        last_response_ms: int(value, "last_response_time"),
        last_latency_ms: int(value, "last_latency"),
        latency,
    });
    Connection {
        remote: text(value, "remote_socket_address").parse().unwrap(),
        reads: int(value, "interest_ops") & 1 != 0,
        writes: int(value, "interest_ops") & 4 != 0,
        queued: int(value, "outstanding_requests") as usize,
        received: int(value, "packets_received") as u64,
        sent: int(value, "packets_sent") as u64,
        established_ms: value["established"].as_i64().unwrap_or(0),
        session,
        expires_ms: 0,
    }
}

/// What `server_stats` and `stats` were made from.
fn statistics(document: &Value, view: &mut View) {
    let stats = &document["server_stats"];
    view.read_only = document["read_only"].as_bool().unwrap();
    view.sizes = Sizes { data_dir: int(stats, "data_dir_size") as u64, log_dir: int(stats, "log_dir_size") as u64 };
    view.statistics = Statistics {
        // A mean of tenths is all that was captured.
        latency: Latency {
            min: int(stats, "min_latency"),
            max: int(stats, "max_latency"),
            sum: (stats["avg_latency"].as_f64().unwrap() * 10.0) as i64,
            count: 10,
        },
        received: int(stats, "packets_received") as u64,
        sent: int(stats, "packets_sent") as u64,
        connections: int(stats, "num_alive_client_connections") as usize,
        outstanding: int(stats, "outstanding_requests") as usize,
        zxid: Zxid(int(stats, "last_processed_zxid")),
        nodes: int(document, "node_count") as usize,
        uptime_ms: int(stats, "uptime"),
        auth_failed: int(stats, "auth_failed_count"),
        slow_syncs: int(stats, "fsync_threshold_exceed_count") as u64,
        ..view.statistics.clone()
    };
    let sizes = &document["client_response"];
    for (gauge, name) in [
        (metrics::LAST_CLIENT_RESPONSE_SIZE, "last_buffer_size"),
        (metrics::MIN_CLIENT_RESPONSE_SIZE, "min_buffer_size"),
        (metrics::MAX_CLIENT_RESPONSE_SIZE, "max_buffer_size"),
    ] {
        view.metrics.set(gauge, int(sizes, name));
    }
}

fn endpoints(value: &Value) -> Endpoints {
    Endpoints(list(value, |at| {
        let (host, port) = at.as_str().unwrap().rsplit_once(':').unwrap();
        (host.to_owned(), port.parse().unwrap())
    }))
}

/// The view that a captured document of this command may have come from.
fn view_of(name: &str, mode: Mode, document: &Value) -> View {
    let mut view = View { serving: true, ..View::not_serving() };
    view.statistics.mode = mode;
    view.metrics = Readings::new(Provider::Default);
    view.ensemble = (mode != Mode::Standalone).then(Ensemble::default);
    match name {
        "configuration" => {
            view.settings = Settings {
                client_port: int(document, "client_port") as i32,
                secure_client_port: -1,
                data_dir: text(document, "data_dir"),
                data_log_dir: text(document, "data_log_dir"),
                tick_time_ms: int(document, "tick_time") as i32,
                max_client_cnxns: int(document, "max_client_cnxns") as i32,
                min_session_timeout_ms: int(document, "min_session_timeout") as i32,
                max_session_timeout_ms: int(document, "max_session_timeout") as i32,
                client_port_listen_backlog: int(document, "client_port_listen_backlog") as i32,
                server_id: int(document, "server_id"),
                ..Settings::default()
            }
        }
        "initial_configuration" => {
            view.settings.text = document["initial_configuration"].as_str().map(str::to_owned);
        }
        "connections" => view.connections = list(&document["connections"], connection),
        "server_stats" => statistics(document, &mut view),
        "stats" => {
            statistics(document, &mut view);
            view.connections = list(&document["connections"], connection);
        }
        "dirs" => {
            let (data_dir, log_dir) = (int(document, "datadir_size") as u64, int(document, "logdir_size") as u64);
            view.sizes = Sizes { data_dir, log_dir };
        }
        "dump" => {
            let global = map(&document["expiry_time_to_session_ids"], |id| id.as_i64().unwrap());
            view.sessions = match mode {
                Mode::Follower => Sessions::Learned { local: None, global: vec![(1, 2)] },
                _ => Sessions::Tracked { local: None, global },
            };
            view.ephemerals = map(&document["session_id_to_ephemeral_paths"], |path| path.as_str().unwrap().to_owned());
        }
        "get_trace_mask" => view.trace_mask = int(document, "tracemask"),
        "hash" => {
            view.digests = list(&document["digests"], |digest| (Zxid(int(digest, "zxid")), int(digest, "digest")));
        }
        "is_read_only" => view.read_only = document["read_only"].as_bool().unwrap(),
        "last_snapshot" => {
            let zxid = i64::from_str_radix(&text(document, "zxid"), 16).unwrap();
            view.snapshot = Some((Zxid(zxid), int(document, "timestamp")));
        }
        "leader" if mode != Mode::Standalone => {
            view.ensemble.as_mut().unwrap().leader = Some((int(document, "leader_id"), text(document, "leader_ip")));
        }
        "voting_view" => {
            if let Some(ensemble) = &mut view.ensemble {
                let voters = document["current_config"].as_object().unwrap().iter();
                ensemble.voters = voters
                    .map(|(id, voter)| Voter {
                        id: id.parse().unwrap(),
                        quorum: endpoints(&voter["server_addresses"]),
                        election: endpoints(&voter["election_addresses"]),
                        client: None,
                    })
                    .collect();
            }
        }
        "zabstate" if mode != Mode::Standalone => {
            let my_id = int(document, "myid");
            let quorum = endpoints(&document["quorum_address"]["all_addresses"]);
            let election = endpoints(&document["election_address"]["all_addresses"]);
            let voter = Voter { id: my_id, quorum: quorum.clone(), election: election.clone(), client: None };
            let zxid = i64::from_str_radix(text(document, "last_zxid").strip_prefix("0x").unwrap(), 16).unwrap();
            view.statistics.zxid = Zxid(zxid);
            view.ensemble = Some(Ensemble {
                my_id,
                own_quorum: quorum,
                own_election: election,
                voters: vec![voter],
                ..Ensemble::default()
            });
        }
        "watch_summary" => {
            let [connections, paths, total] =
                ["num_connections", "num_paths", "num_total_watches"].map(|name| int(document, name) as usize);
            view.watch_summary = WatchSummary { connections, paths, total };
        }
        "watches" => {
            view.watches = map(&document["session_id_to_watched_paths"], |path| path.as_str().unwrap().to_owned());
        }
        "watches_by_path" => {
            let mut watches: Vec<(i64, Vec<String>)> = Vec::new();
            for (path, sessions) in document["path_to_session_ids"].as_object().unwrap() {
                for session in list(sessions, |id| id.as_i64().unwrap()) {
                    match watches.iter_mut().find(|(id, _)| *id == session) {
                        Some((_, paths)) => paths.push(path.clone()),
                        None => watches.push((session, vec![path.clone()])),
                    }
                }
            }
            view.watches = watches;
        }
        "system_properties" => {
            let entries =
                document.as_object().unwrap().iter().filter(|(name, _)| *name != "command" && *name != "error");
            view.properties = entries.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
        }
        _ => {}
    }
    view
}

#[test]
fn every_captured_document_is_rendered_byte_for_byte() {
    let mut compared = 0;
    for (role, mode) in ROLES {
        for command in COMMANDS {
            // A Java machine's environment and readings are compared by their shape below.
            if ["environment", "monitor", "set_trace_mask", "snapshot", "restore"].contains(&command.name) {
                continue;
            }
            let expected = golden(role, command.name);
            let document: Value = serde_json::from_str(&expected).unwrap();
            let ours = shown(command.name, &view_of(command.name, mode, &document));
            // The order of the fields of this one object is what reflection gave a run; we take that of the members.
            if role == "standalone" && ["server_stats", "stats"].contains(&command.name) {
                assert_eq!(serde_json::from_str::<Value>(&ours).unwrap(), document);
            } else {
                assert_eq!(ours, expected, "{role} {}", command.name);
            }
            compared += 1;
        }
    }
    assert_eq!(compared, ROLES.len() * (COMMANDS.len() - 5));
}

#[test]
fn a_read_only_server() {
    for (file, name) in
        [("isro", "is_read_only"), ("leader", "leader"), ("voting_view", "voting_view"), ("zabstate", "zabstate")]
    {
        let mut view = view_of("", Mode::ReadOnly, &Value::Null);
        view.read_only = true;
        assert_eq!(shown(name, &view), golden("readonly", file));
    }
    let expected: Value = serde_json::from_str(&golden("readonly", "srvr")).unwrap();
    let view = view_of("server_stats", Mode::ReadOnly, &expected);
    assert_eq!(serde_json::from_str::<Value>(&shown("server_stats", &view)).unwrap(), expected);
}

#[test]
fn the_environment_has_the_keys_of_the_original_in_its_order() {
    let golden: Value = serde_json::from_str(&golden("standalone", "environment")).unwrap();
    let environment = environment::Environment::of_this_process();
    let ours = named("environment").unwrap().answer(&View { environment, ..View::not_serving() });
    let ours: Vec<&String> = ours.keys().filter(|key| *key != "oxkeeper.version").collect();
    assert_eq!(ours, golden.as_object().unwrap().keys().collect::<Vec<_>>());
}

/// Every reading of the original has the same name and kind here; the text of `mntr` is the same datum.
#[test]
fn monitor_has_the_readings_of_the_original() {
    for (role, mode) in [("standalone-defaultprovider", Mode::Standalone), ("leader-defaultprovider", Mode::Leader)] {
        let golden: Value = serde_json::from_str(&golden(role, "monitor")).unwrap();
        let golden = golden.as_object().unwrap();
        let mut readings = Readings::new(Provider::Default);
        for gauge in Gauge::all() {
            match golden.get(gauge.name()) {
                Some(value) if value.is_f64() => readings.set(gauge, value.as_f64().unwrap()),
                Some(value) => readings.set(gauge, value.as_i64().unwrap()),
                None => {}
            }
        }
        let peer_state = golden.get("peer_state").map(|state| state.as_str().unwrap().to_owned());
        let statistics = Statistics { mode, peer_state, ..Statistics::default() };
        let view = View { serving: true, statistics, metrics: readings, ..View::not_serving() };
        let ours = named("monitor").unwrap().answer(&view);
        for (key, value) in golden {
            // Readings of a key (a namespace, a member) are there once it was used.
            if ["_ns_", "_zookeeper_", "_1_", "_2_", "_3_"].iter().any(|part| key.contains(part)) {
                continue;
            }
            let found = ours.get(key).unwrap_or_else(|| panic!("{role}: {key} is missing"));
            let kind = |value: &Value| (value.is_f64(), value.is_i64() || value.is_u64(), value.is_string());
            assert_eq!(kind(found), kind(value), "{role}: {key}");
        }
        let text = four_letter::command(*b"mntr").unwrap().text(&view);
        let in_text: BTreeSet<&str> =
            text.lines().map(|line| line.strip_prefix("zk_").unwrap().split('\t').next().unwrap()).collect();
        let in_json: BTreeSet<&str> =
            ours.keys().map(String::as_str).filter(|key| !["command", "error"].contains(key)).collect();
        assert_eq!(in_text, in_json);
    }
}

#[test]
fn what_is_no_number_is_text() {
    let view = View { metrics: Readings::new(Provider::Prometheus), ..View::not_serving() };
    let document = jackson::document(&named("mntr").unwrap().answer(&view));
    assert!(document.contains("  \"fsynctime{quantile=\\\"0.5\\\"}\" : \"NaN\",\n"), "{document}");
    assert!(document.contains("  \"fsynctime_count\" : 0.0,\n"), "{document}");
}

#[test]
fn refusals_are_those_of_the_original() {
    let rows: [(Fields, &str); 5] = [
        (
            refusal("nope", "Unknown command: nope"),
            "{\n  \"command\" : \"nope\",\n  \"error\" : \"Unknown command: nope\"\n}",
        ),
        (
            not_serving("stat"),
            "{\n  \"command\" : \"stat\",\n  \"error\" : \"This ZooKeeper instance is not currently serving requests\"\n}",
        ),
        (
            refusal("snapshot", "Auth info is missing for the command"),
            "{\n  \"command\" : \"snapshot\",\n  \"error\" : \"Auth info is missing for the command\"\n}",
        ),
        (
            failure(named("stmk").unwrap(), "setTraceMask requires long traceMask argument"),
            "{\n  \"error\" : \"setTraceMask requires long traceMask argument\",\n  \"command\" : \"set_trace_mask\"\n}",
        ),
        (
            named("restore").unwrap().answer(&View::not_serving()),
            "{\n  \"command\" : \"restore\",\n  \"error\" : null\n}",
        ),
    ];
    for (fields, expected) in rows {
        assert_eq!(jackson::document(&fields), expected);
    }
}

#[test]
fn the_trace_mask_wants_a_number() {
    let command = named("set_trace_mask").unwrap();
    let ask = |mask: Option<&str>| {
        let query: BTreeMap<String, String> = mask.iter().map(|mask| ("traceMask".into(), (*mask).into())).collect();
        command.effect_of_query(false, &query)
    };
    assert_eq!(ask(Some("17")), Ok(Some(Effect::SetTraceMask(17))));
    assert_eq!(ask(Some("-1")), Ok(Some(Effect::SetTraceMask(-1))));
    assert_eq!(ask(None), Err("setTraceMask requires long traceMask argument".into()));
    for bad in ["", " 1", "0x1", "1.0", "99999999999999999999"] {
        assert_eq!(ask(Some(bad)), Err(format!("setTraceMask requires long traceMask argument, got {bad}")));
    }
    let view = View { trace_mask: 17, ..View::not_serving() };
    let expected = "{\n  \"tracemask\" : 17,\n  \"command\" : \"set_trace_mask\",\n  \"error\" : null\n}";
    assert_eq!(jackson::document(&command.answer(&view)), expected);
    assert_eq!(named("srst").unwrap().effect_of_query(false, &BTreeMap::new()), Ok(None));
    assert_eq!(named("srst").unwrap().effect_of_query(true, &BTreeMap::new()), Ok(Some(Effect::ResetStatistics)));
}

/// The names of the index, and the aliases of the original's classes.
#[test]
fn names_and_aliases() {
    let index = std::fs::read_to_string(folder().join("standalone.index.html")).unwrap();
    let names: Vec<String> =
        COMMANDS.iter().map(|command| format!("<a href=\"/commands/{0}\">{0}</a>\n<br/>\n", command.name)).collect();
    assert_eq!(names.concat(), index);
    let aliases = [
        ("conf", "configuration"),
        ("config", "configuration"),
        ("crst", "connection_stat_reset"),
        ("cons", "connections"),
        ("env", "environment"),
        ("envi", "environment"),
        ("gtmk", "get_trace_mask"),
        ("icfg", "initial_configuration"),
        ("isro", "is_read_only"),
        ("lsnp", "last_snapshot"),
        ("lead", "leader"),
        ("mntr", "monitor"),
        ("orst", "observer_connection_stat_reset"),
        ("obsr", "observers"),
        ("rest", "restore"),
        ("stmk", "set_trace_mask"),
        ("srvr", "server_stats"),
        ("snap", "snapshot"),
        ("stat", "stats"),
        ("srst", "stat_reset"),
        ("sysp", "system_properties"),
        ("wchs", "watch_summary"),
        ("wchc", "watches"),
        ("wchp", "watches_by_path"),
    ];
    for (alias, name) in aliases {
        assert_eq!(named(alias).map(|command| command.name), Some(name), "{alias}");
    }
    for name in ["", "nope", "Ruok", "ruok/"] {
        assert!(named(name).is_none(), "{name}");
    }
}

#[test]
fn a_connection_without_a_session() {
    let remote: SocketAddr = "[2001:db8::1]:2181".parse().unwrap();
    let bare = Connection {
        remote,
        reads: true,
        writes: true,
        queued: 3,
        received: 1,
        sent: 0,
        established_ms: 5,
        session: None,
        expires_ms: 0,
    };
    let view = View { connections: vec![bare], ..View::not_serving() };
    let expected = "{\n  \"connections\" : [ {\n    \"remote_socket_address\" : \"[2001:db8:0:0:0:0:0:1]:2181\",\n    \
                    \"interest_ops\" : 5,\n    \"outstanding_requests\" : 3,\n    \"packets_received\" : 1,\n    \
                    \"packets_sent\" : 0,\n    \"session_id\" : 0,\n    \"last_operation\" : \"NA\",\n    \
                    \"established\" : 5,\n    \"session_timeout\" : 0,\n    \"last_cxid\" : -1,\n    \
                    \"last_zxid\" : -1,\n    \"last_response_time\" : 0,\n    \"last_latency\" : 0,\n    \
                    \"min_latency\" : 0,\n    \"avg_latency\" : 0,\n    \"max_latency\" : 0\n  } ],\n  \
                    \"secure_connections\" : [ ],\n  \"command\" : \"connections\",\n  \"error\" : null\n}";
    assert_eq!(shown("cons", &view), expected);
}
