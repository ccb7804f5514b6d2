//! The fields of the admin server's answers. Knows only views; the names and their order are what Jackson makes of the
//! original's objects. How a document is written is in [`super::jackson`].

use super::commands::{Command, Effect, NOT_SERVING};
use super::java_text::{host_and_port, mean};
use super::version;
use super::view::{Connection, Endpoints, Extent, Latency, Mode, Sessions, View};
use crate::metrics::{self, Gauge, Number};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The fields of an answer, in order.
pub type Fields = Map<String, Value>;

/// What the digests of the tree are made by (`DigestCalculator.DIGEST_VERSION`).
const DIGEST_VERSION: i32 = 2;

macro_rules! put {
    ($out:expr, $($name:literal: $value:expr),+ $(,)?) => {
        $($out.insert($name.into(), json!($value));)+
    };
}

impl Command {
    /// What the admin server changes for a query. An error is the text to answer instead.
    pub fn effect_of_query(&self, serving: bool, query: &BTreeMap<String, String>) -> Result<Option<Effect>, String> {
        if self.name != "set_trace_mask" {
            return Ok(self.effect.filter(|_| serving));
        }
        const WANTED: &str = "setTraceMask requires long traceMask argument";
        let Some(mask) = query.get("traceMask") else { return Err(WANTED.into()) };
        // Java's parseLong: a sign may be there, blanks may not.
        mask.parse().map(|mask| Some(Effect::SetTraceMask(mask))).map_err(|_| format!("{WANTED}, got {mask}"))
    }

    /// The answer to the admin server's caller.
    pub fn answer(&self, view: &View) -> Fields {
        let mut fields = Fields::new();
        (self.json)(view, &mut fields);
        closed(fields, self.name, None)
    }
}

/// An answer that is an error alone, said before the command ran: the command is called as the caller called it.
pub fn refusal(called: &str, error: &str) -> Fields {
    closed(Fields::new(), called, Some(error))
}

/// The answer while nobody is served.
pub fn not_serving(called: &str) -> Fields {
    refusal(called, NOT_SERVING)
}

/// An error that the command itself found: it stands before the name (`CommandResponse.toMap`).
pub fn failure(command: &Command, error: &str) -> Fields {
    let mut fields = Fields::new();
    put!(fields, "error": error);
    closed(fields, command.name, None)
}

/// Command and error come last, unless the fields hold an error of their own.
fn closed(mut fields: Fields, command: &str, error: Option<&str>) -> Fields {
    fields.insert("command".into(), command.into());
    if !fields.contains_key("error") {
        fields.insert("error".into(), error.into());
    }
    fields
}

pub(super) fn nothing(_: &View, _: &mut Fields) {}

pub(super) fn configuration(view: &View, out: &mut Fields) {
    let settings = &view.settings;
    put!(out,
        "client_port": settings.client_port,
        "data_dir": settings.data_dir,
        "data_log_dir": settings.data_log_dir,
        "tick_time": settings.tick_time_ms,
        "max_client_cnxns": settings.max_client_cnxns,
        "min_session_timeout": settings.min_session_timeout_ms,
        "max_session_timeout": settings.max_session_timeout_ms,
        "server_id": settings.server_id,
        "client_port_listen_backlog": settings.client_port_listen_backlog,
    );
}

pub(super) fn initial_configuration(view: &View, out: &mut Fields) {
    put!(out, "initial_configuration": view.settings.text);
}

pub(super) fn connections(view: &View, out: &mut Fields) {
    let shown: Vec<Fields> = view.connections.iter().map(whole).collect();
    put!(out, "connections": shown, "secure_connections": Vec::<Value>::new());
}

fn brief(connection: &Connection) -> Fields {
    let mut out = Fields::new();
    put!(out,
        "remote_socket_address": host_and_port(connection.remote),
        "interest_ops": u8::from(connection.reads) | u8::from(connection.writes) << 2,
        "outstanding_requests": connection.queued,
        "packets_received": connection.received,
        "packets_sent": connection.sent,
    );
    out
}

fn whole(connection: &Connection) -> Fields {
    let mut out = brief(connection);
    let session = connection.session.as_ref();
    let latency = session.map_or(Latency::default(), |session| session.latency);
    let operation = session.and_then(|session| session.last_operation);
    put!(out,
        "session_id": session.map_or(0, |session| session.id),
        "last_operation": operation.map_or("NA", |operation| operation.short_name()),
        "established": connection.established_ms,
        "session_timeout": session.map_or(0, |session| session.timeout_ms),
        "last_cxid": session.map_or(-1, |session| session.last_cxid),
        "last_zxid": session.map_or(-1, |session| session.last_zxid),
        "last_response_time": session.map_or(0, |session| session.last_response_ms),
        "last_latency": session.map_or(0, |session| session.last_latency_ms),
        "min_latency": latency.min,
        "avg_latency": latency.sum.checked_div(latency.count as i64).unwrap_or(0),
        "max_latency": latency.max,
    );
    out
}

pub(super) fn dirs(view: &View, out: &mut Fields) {
    put!(out, "datadir_size": view.sizes.data_dir, "logdir_size": view.sizes.log_dir);
}

pub(super) fn dump(view: &View, out: &mut Fields) {
    let mut expiries = Fields::new();
    let (Sessions::Tracked { local, .. } | Sessions::Learned { local, .. }) = &view.sessions;
    let global = match &view.sessions {
        Sessions::Tracked { global, .. } => global.as_slice(),
        Sessions::Learned { .. } => &[],
    };
    for (at, sessions) in local.iter().flatten().chain(global) {
        expiries.insert(at.to_string(), json!(sessions));
    }
    let ephemerals: Fields =
        view.ephemerals.iter().map(|(session, paths)| (session.to_string(), json!(paths))).collect();
    put!(out, "expiry_time_to_session_ids": expiries, "session_id_to_ephemeral_paths": ephemerals);
}

pub(super) fn environment(view: &View, out: &mut Fields) {
    for (key, value) in &view.environment.entries {
        out.insert((*key).into(), value.as_str().into());
    }
}

pub(super) fn system_properties(view: &View, out: &mut Fields) {
    for (key, value) in &view.properties {
        out.insert(key.clone(), value.as_str().into());
    }
}

pub(super) fn trace_mask(view: &View, out: &mut Fields) {
    put!(out, "tracemask": view.trace_mask);
}

pub(super) fn digests(view: &View, out: &mut Fields) {
    let digests = view.digests.iter();
    let digests: Vec<Value> = digests
        .map(|(zxid, digest)| json!({"zxid": zxid.0, "digest": digest, "digest_version": DIGEST_VERSION}))
        .collect();
    put!(out, "digests": digests);
}

pub(super) fn is_read_only(view: &View, out: &mut Fields) {
    put!(out, "read_only": view.read_only);
}

pub(super) fn last_snapshot(view: &View, out: &mut Fields) {
    let (zxid, seconds) = view.snapshot.map_or((-1, -1), |(zxid, seconds)| (zxid.0, seconds));
    put!(out, "zxid": format!("{zxid:x}"), "timestamp": seconds);
}

fn gauge(view: &View, wanted: Gauge) -> Option<i64> {
    let mut found = view.metrics.gauges().filter(|(gauge, ..)| *gauge == wanted);
    match found.next() {
        Some((_, _, Number::Integer(value))) => Some(value),
        _ => None,
    }
}

fn buffer_stats(Extent { last, min, max }: Extent) -> Value {
    json!({"last_buffer_size": last, "min_buffer_size": min, "max_buffer_size": max})
}

pub(super) fn server_stats(view: &View, out: &mut Fields) {
    let statistics = &view.statistics;
    let size = |of| gauge(view, of).unwrap_or(-1);
    let responses = buffer_stats(Extent {
        last: size(metrics::LAST_CLIENT_RESPONSE_SIZE),
        min: size(metrics::MIN_CLIENT_RESPONSE_SIZE),
        max: size(metrics::MAX_CLIENT_RESPONSE_SIZE),
    });
    let mut stats = Fields::new();
    put!(stats,
        "packets_sent": statistics.sent,
        "packets_received": statistics.received,
        "fsync_threshold_exceed_count": statistics.slow_syncs,
        "client_response_stats": responses,
        "provider_null": false,
        "server_state": statistics.mode.name(),
        "uptime": statistics.uptime_ms,
        "outstanding_requests": statistics.outstanding,
        "min_latency": statistics.latency.min,
        "avg_latency": mean(statistics.latency.sum, statistics.latency.count),
        "max_latency": statistics.latency.max,
        "data_dir_size": view.sizes.data_dir,
        "log_dir_size": view.sizes.log_dir,
        "last_processed_zxid": statistics.zxid.0,
        "num_alive_client_connections": statistics.connections,
        "auth_failed_count": statistics.auth_failed,
        "non_mtlsremote_conn_count": size(metrics::NON_MTLS_REMOTE_CONN_COUNT).max(0),
        "non_mtlslocal_conn_count": size(metrics::NON_MTLS_LOCAL_CONN_COUNT).max(0),
    );
    put!(out,
        "version": version::FULL,
        "read_only": view.read_only,
        "server_stats": stats,
        "client_response": responses,
    );
    if statistics.mode == Mode::Leader {
        let proposals = statistics.proposals.unwrap_or(Extent {
            last: size(metrics::LAST_PROPOSAL_SIZE),
            min: size(metrics::MIN_PROPOSAL_SIZE),
            max: size(metrics::MAX_PROPOSAL_SIZE),
        });
        put!(out, "proposal_stats": buffer_stats(proposals));
    }
    put!(out, "node_count": statistics.nodes);
}

pub(super) fn stats(view: &View, out: &mut Fields) {
    server_stats(view, out);
    let shown: Vec<Fields> = view.connections.iter().map(brief).collect();
    put!(out, "connections": shown, "secure_connections": Vec::<Value>::new());
}

pub(super) fn watch_summary(view: &View, out: &mut Fields) {
    let summary = view.watch_summary;
    put!(out,
        "num_connections": summary.connections,
        "num_paths": summary.paths,
        "num_total_watches": summary.total,
    );
}

pub(super) fn watches(view: &View, out: &mut Fields) {
    let watches: Fields = view.watches.iter().map(|(session, paths)| (session.to_string(), json!(paths))).collect();
    put!(out, "session_id_to_watched_paths": watches);
}

pub(super) fn watches_by_path(view: &View, out: &mut Fields) {
    let mut paths: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (session, watched) in &view.watches {
        watched.iter().for_each(|path| paths.entry(path).or_default().push(*session));
    }
    put!(out, "path_to_session_ids": paths);
}

/// Only members that serve are one of an ensemble here, as in the original.
fn member(view: &View) -> Option<&super::view::Ensemble> {
    view.ensemble.as_ref().filter(|_| view.serving && !view.read_only)
}

pub(super) fn leader(view: &View, out: &mut Fields) {
    match member(view) {
        Some(ensemble) => {
            put!(out,
                "is_leader": view.statistics.mode == Mode::Leader,
                "leader_id": ensemble.leader.as_ref().map_or(-1, |leader| leader.0),
                "leader_ip": ensemble.leader.as_ref().map_or("", |leader| leader.1.as_str()),
            );
        }
        None => {
            put!(out, "error": "server is not initialized");
        }
    }
}

pub(super) fn observers(view: &View, out: &mut Fields) {
    let observers = member(view).map_or(&[][..], |ensemble| &ensemble.observers);
    let shown: Vec<Value> = observers
        .iter()
        .map(|observer| {
            json!({
                "remote_socket_address": host_and_port(observer.remote),
                "sid": observer.id,
                "queued_packets_size": observer.queued_bytes,
            })
        })
        .collect();
    put!(out, "synced_observers": observers.len(), "observers": shown);
}

pub(super) fn voting_view(view: &View, out: &mut Fields) {
    let mut config = Fields::new();
    for voter in member(view).map_or(&[][..], |ensemble| &ensemble.voters) {
        let shown = json!({
            "server_addresses": voter.quorum.shown(),
            "election_addresses": voter.election.shown(),
            "client_address": voter.client.as_deref().unwrap_or_default(),
            "learner_type": "participant",
        });
        config.insert(voter.id.to_string(), shown);
    }
    put!(out, "current_config": config);
}

pub(super) fn zab_state(view: &View, out: &mut Fields) {
    let Some(ensemble) = member(view) else {
        put!(out, "voting": false, "zabstate": "");
        return;
    };
    let own = ensemble.voters.iter().find(|voter| voter.id == ensemble.my_id);
    let zxid = view.statistics.zxid;
    put!(out,
        "myid": ensemble.my_id,
        "is_leader": view.statistics.mode == Mode::Leader,
        "quorum_address": ensemble.own_quorum.whole(),
        "election_address": ensemble.own_election.whole(),
        "client_address": ensemble.own_client,
        "voting": own.is_some(),
        "last_zxid": format!("0x{:x}", zxid.0),
        "zab_epoch": zxid.0 >> 32,
        "zab_counter": zxid.0 & 0xffff_ffff,
        "zabstate": "broadcast",
    );
}

impl Endpoints {
    fn shown(&self) -> Vec<String> {
        self.0.iter().map(|(host, port)| format!("{host}:{port}")).collect()
    }

    /// As Jackson shows a `MultipleAddresses`. Whether an address can be reached is not tried: all are named.
    fn whole(&self) -> Value {
        let all = self.shown();
        let one = all.first().cloned();
        let wildcards: Vec<String> = self.0.iter().map(|(_, port)| format!("0.0.0.0:{port}")).collect();
        let ports: Vec<u16> = self.0.iter().map(|(_, port)| *port).collect();
        let hosts: Vec<&str> = self.0.iter().map(|(host, _)| host.as_str()).collect();
        json!({
            "empty": all.is_empty(),
            "all_addresses": all,
            "wildcard_addresses": wildcards,
            "all_ports": ports,
            "all_host_strings": hosts,
            "reachable_address": one,
            "all_reachable_addresses": all,
            "all_reachable_addresses_or_all": all,
            "reachable_or_one": one,
            "one": one,
        })
    }
}
