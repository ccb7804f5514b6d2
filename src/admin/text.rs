//! The texts of the four-letter words. Knows only views; numbers and dates are written as Java writes them.

use super::java_text::{date, double, mean, socket_address};
use super::version;
use super::view::{Connection, ExpiryBuckets, Extent, Sessions, Statistics, View};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Writes to a string, which does not fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => {
        write!($out, $($arg)*).expect("a string takes everything")
    };
}

macro_rules! line {
    ($out:expr, $($arg:tt)*) => {
        writeln!($out, $($arg)*).expect("a string takes everything")
    };
}

pub(super) fn nothing(_: &View, _: &mut String) {}

pub(super) fn imok(_: &View, out: &mut String) {
    out.push_str("imok");
}

pub(super) fn is_read_only(view: &View, out: &mut String) {
    out.push_str(if view.read_only { "ro" } else { "rw" });
}

pub(super) fn trace_mask(view: &View, out: &mut String) {
    put!(out, "{}", view.trace_mask);
}

pub(super) fn statistics_reset(_: &View, out: &mut String) {
    out.push_str("Server stats reset.\n");
}

pub(super) fn connections_reset(_: &View, out: &mut String) {
    out.push_str("Connection stats reset.\n");
}

pub(super) fn server_stats(view: &View, out: &mut String) {
    head(view, out);
    statistics(&view.statistics, out);
}

pub(super) fn stats(view: &View, out: &mut String) {
    head(view, out);
    out.push_str("Clients:\n");
    for connection in &view.connections {
        put_brief(connection, out);
        out.push_str(")\n");
    }
    out.push('\n');
    statistics(&view.statistics, out);
}

fn head(view: &View, out: &mut String) {
    line!(out, "Zookeeper version: {}", version::FULL);
    if view.read_only {
        out.push_str("READ-ONLY mode; serving only read-only clients\n");
    }
}

fn statistics(statistics: &Statistics, out: &mut String) {
    let latency = statistics.latency;
    line!(out, "Latency min/avg/max: {}/{}/{}", latency.min, double(mean(latency.sum, latency.count)), latency.max);
    line!(out, "Received: {}", statistics.received);
    line!(out, "Sent: {}", statistics.sent);
    line!(out, "Connections: {}", statistics.connections);
    line!(out, "Outstanding: {}", statistics.outstanding);
    line!(out, "Zxid: 0x{:x}", statistics.zxid.0);
    line!(out, "Mode: {}", statistics.mode.name());
    line!(out, "Node count: {}", statistics.nodes);
    if let Some(Extent { last, min, max }) = statistics.proposals {
        line!(out, "Proposal sizes last/min/max: {last}/{min}/{max}");
    }
}

pub(super) fn connections(view: &View, out: &mut String) {
    for connection in &view.connections {
        put_brief(connection, out);
        put_session(connection, out);
        out.push_str(")\n");
    }
    out.push('\n');
}

fn put_brief(connection: &Connection, out: &mut String) {
    let remote = socket_address(connection.remote);
    let interest = u8::from(connection.reads) | u8::from(connection.writes) << 2;
    let Connection { queued, received, sent, .. } = connection;
    put!(out, " {remote}[{interest:x}](queued={queued},recved={received},sent={sent}");
}

fn put_session(connection: &Connection, out: &mut String) {
    let Some(session) = &connection.session else { return };
    let last_operation = session.last_operation.map_or("NA", |op| op.short_name());
    put!(out, ",sid=0x{:x},lop={last_operation}", session.id);
    put!(out, ",est={},to={}", connection.established_ms, session.timeout_ms);
    if session.last_cxid >= 0 {
        put!(out, ",lcxid=0x{:x}", session.last_cxid);
    }
    put!(out, ",lzxid=0x{:x},lresp={}", session.last_zxid, session.last_response_ms);
    let latency = session.latency;
    let average = latency.sum.checked_div(i64::try_from(latency.count).unwrap_or(i64::MAX)).unwrap_or(0);
    put!(out, ",llat={},minlat={},avglat={average},maxlat={}", session.last_latency_ms, latency.min, latency.max);
}

pub(super) fn configuration(view: &View, out: &mut String) {
    let (settings, sizes) = (&view.settings, view.sizes);
    line!(out, "clientPort={}", settings.client_port);
    line!(out, "secureClientPort={}", settings.secure_client_port);
    line!(out, "dataDir={}", settings.data_dir);
    line!(out, "dataDirSize={}", sizes.data_dir);
    line!(out, "dataLogDir={}", settings.data_log_dir);
    line!(out, "dataLogSize={}", sizes.log_dir);
    line!(out, "tickTime={}", settings.tick_time_ms);
    line!(out, "maxClientCnxns={}", settings.max_client_cnxns);
    line!(out, "minSessionTimeout={}", settings.min_session_timeout_ms);
    line!(out, "maxSessionTimeout={}", settings.max_session_timeout_ms);
    line!(out, "clientPortListenBacklog={}", settings.client_port_listen_backlog);
    line!(out, "serverId={}", settings.server_id);
    let Some(member) = &settings.member else { return };
    let ports = |ports: &[u16]| ports.iter().map(u16::to_string).collect::<Vec<_>>().join("|");
    line!(out, "initLimit={}", member.init_limit);
    line!(out, "syncLimit={}", member.sync_limit);
    line!(out, "electionAlg={}", member.election_alg);
    line!(out, "electionPort={}", ports(&member.election_ports));
    line!(out, "quorumPort={}", ports(&member.quorum_ports));
    line!(out, "peerType={}", u8::from(member.observer));
    if let Some(membership) = &member.membership {
        put!(out, "membership: \n{membership}");
    }
}

pub(super) fn dirs(view: &View, out: &mut String) {
    line!(out, "datadir_size: {}", view.sizes.data_dir);
    line!(out, "logdir_size: {}", view.sizes.log_dir);
}

pub(super) fn environment(view: &View, out: &mut String) {
    out.push_str("Environment:\n");
    for (key, value) in &view.environment.entries {
        line!(out, "{key}={value}");
    }
}

pub(super) fn dump(view: &View, out: &mut String) {
    out.push_str("SessionTracker dump:\n");
    put_sessions(&view.sessions, out);
    out.push_str("ephemeral nodes dump:\n");
    line!(out, "Sessions with Ephemerals ({}):", view.ephemerals.len());
    for (session, paths) in &view.ephemerals {
        line!(out, "0x{session:x}:");
        for path in paths {
            line!(out, "\t{path}");
        }
    }
    out.push_str("Connections dump:\n");
    put_connection_buckets(&view.connections, out);
}

fn put_sessions(sessions: &Sessions, out: &mut String) {
    let (Sessions::Tracked { local, .. } | Sessions::Learned { local, .. }) = sessions;
    if let Some(local) = local {
        out.push_str("Local ");
        put_session_buckets(local, out);
    }
    match sessions {
        Sessions::Tracked { global, .. } => {
            out.push_str(if local.is_some() { "Global " } else { "" });
            put_session_buckets(global, out);
        }
        Sessions::Learned { global, .. } => {
            let mut global = global.clone();
            global.sort_unstable();
            line!(out, "Global Sessions({}):", global.len());
            for (session, timeout_ms) in global {
                line!(out, "0x{session:x}\t{timeout_ms}ms");
            }
        }
    }
}

fn put_session_buckets(buckets: &ExpiryBuckets, out: &mut String) {
    let lines =
        buckets.iter().map(|(at, sessions)| (*at, sessions.iter().map(|session| format!("0x{session:x}")).collect()));
    put_buckets("Session", lines.collect(), out);
}

fn put_connection_buckets(connections: &[Connection], out: &mut String) {
    let mut buckets: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for connection in connections {
        let session = connection.session.as_ref().map_or(0, |session| session.id);
        let shown = format!("ip: {} sessionId: 0x{session:x}", socket_address(connection.remote));
        buckets.entry(connection.expires_ms).or_default().push(shown);
    }
    put_buckets("Connections", buckets, out);
}

/// What expires when (`ExpiryQueue.dump`).
fn put_buckets(what: &str, buckets: BTreeMap<i64, Vec<String>>, out: &mut String) {
    let total: usize = buckets.values().map(Vec::len).sum();
    line!(out, "{what} Sets ({})/({total}):", buckets.len());
    for (at, lines) in buckets {
        line!(out, "{} expire at {}:", lines.len(), date(at));
        for shown in lines {
            line!(out, "\t{shown}");
        }
    }
}

pub(super) fn watch_summary(view: &View, out: &mut String) {
    let summary = view.watch_summary;
    line!(out, "{} connections watching {} paths", summary.connections, summary.paths);
    line!(out, "Total watches:{}", summary.total);
}

pub(super) fn watches(view: &View, out: &mut String) {
    for (session, paths) in &view.watches {
        line!(out, "0x{session:x}");
        for path in paths {
            line!(out, "\t{path}");
        }
    }
    out.push('\n');
}

pub(super) fn watches_by_path(view: &View, out: &mut String) {
    let mut paths: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (session, watched) in &view.watches {
        for path in watched {
            paths.entry(path).or_default().push(*session);
        }
    }
    for (path, sessions) in paths {
        line!(out, "{path}");
        for session in sessions {
            line!(out, "\t0x{session:x}");
        }
    }
    out.push('\n');
}

pub(super) fn digests(view: &View, out: &mut String) {
    for (zxid, digest) in &view.digests {
        line!(out, "{:x}: {digest}", zxid.0);
    }
}
