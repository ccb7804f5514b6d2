//! Who loads the server, as one datum: the command `top` and its four-letter word `otop` write it as JSON, and
//! `oxkeeper top` reads it back. Not of the original. Figures since the start are for whoever asks twice; rates are those
//! of the fading window (see `talkers`).

use super::json::Fields;
use super::view::{View, WatchSummary};
use crate::proto::OpCode;
use crate::proto::session::SessionId;
use crate::talkers::{Measure, Ranking, Summary};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Talkers of each dimension and measure that are shown.
pub const TALKERS_SHOWN: usize = 20;

/// What only this command asks for.
#[derive(Debug, Clone, Default)]
pub struct Talk {
    /// Who talks.
    pub talkers: Summary,
    /// Clients of sessions, of those that are connected here.
    pub clients: BTreeMap<SessionId, SocketAddr>,
    /// Watched paths of each session that is connected here.
    pub watches: Vec<(SessionId, usize)>,
    /// Sessions that the server knows.
    pub sessions: usize,
    /// Since the server began, ms.
    pub uptime_ms: i64,
    /// Bytes received since then.
    pub bytes_received: u64,
    /// Requests refused for a budget or a rate.
    pub refused: u64,
    /// Wall clock, ms since the Unix epoch.
    pub now_ms: i64,
}

/// A server at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Top {
    /// Build.
    pub version: String,
    /// Role, as `srvr` calls it.
    pub mode: String,
    /// Wall clock, ms since the Unix epoch.
    pub now_ms: i64,
    /// Since the start, ms.
    pub uptime_ms: i64,
    /// Last zxid applied, `0x` and hexadecimal.
    pub zxid: String,
    /// Znodes.
    pub znodes: usize,
    /// Clients connected.
    pub connections: usize,
    /// Sessions known.
    pub sessions: usize,
    /// Requests in work.
    pub outstanding: usize,
    /// Packets received since the start, or since `srst`.
    pub packets_received: u64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Requests refused because a budget was used up, or because they came above their rate.
    pub refused: u64,
    /// Latencies.
    pub latency: Latencies,
    /// Watches.
    pub watches: WatchFigures,
    /// Who loads the server; nothing when `topTalkers.enabled` is false.
    pub talkers: Talkers,
}

/// Latencies of requests since the start, or since `srst`, ms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latencies {
    /// Least.
    pub min_ms: i64,
    /// Greatest.
    pub max_ms: i64,
    /// Sum.
    pub sum_ms: i64,
    /// Number.
    pub count: u64,
}

/// Numbers of watches, without a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WatchFigures {
    /// Connections with data watches.
    pub connections: usize,
    /// Paths with data watches.
    pub paths: usize,
    /// Data watches.
    pub total: usize,
    /// Sessions that watch most.
    pub sessions: Vec<Watching>,
}

/// A session that watches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Watching {
    /// `0x` and hexadecimal.
    pub session: String,
    /// Its client.
    pub client: Option<SocketAddr>,
    /// Paths that it watches in any way.
    pub paths: usize,
}

/// The heaviest of each dimension, each ranked by each measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Talkers {
    /// After so many ms what happened counts half.
    pub half_life_ms: i64,
    /// Sessions, `0x` and hexadecimal.
    pub sessions: Ranked,
    /// Client addresses.
    pub addresses: Ranked,
    /// What clients proved to be; `world:anyone` proved nothing.
    pub identities: Ranked,
    /// First names of the paths.
    pub prefixes: Ranked,
    /// Operations.
    pub operations: Ranked,
}

/// One dimension.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// By requests each second.
    pub by_requests: Vec<Row>,
    /// By bytes each second.
    pub by_bytes: Vec<Row>,
    /// By time.
    pub by_time: Vec<Row>,
}

impl Ranked {
    /// The rows by a measure.
    pub fn by(&self, measure: Measure) -> &[Row] {
        match measure {
            Measure::Requests => &self.by_requests,
            Measure::Bytes => &self.by_bytes,
            Measure::Time => &self.by_time,
        }
    }
}

/// A talker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Who.
    pub name: String,
    /// Of a session that is connected here: its client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<SocketAddr>,
    /// Requests each second.
    pub requests_per_s: f64,
    /// Bytes each second, received and sent.
    pub bytes_per_s: f64,
    /// Microseconds in work each second.
    pub time_us_per_s: f64,
    /// What the figure that it is ranked by may be too high by.
    pub error_per_s: f64,
}

impl Top {
    /// Of what the server told.
    pub fn of(view: &View) -> Top {
        let (statistics, talk, WatchSummary { connections, paths, total }) =
            (&view.statistics, &view.talk, view.watch_summary);
        let latency = statistics.latency;
        let client = |session: &SessionId| talk.clients.get(session).copied();
        let mut watching = talk.watches.clone();
        watching.sort_by_key(|(session, paths)| (std::cmp::Reverse(*paths), *session));
        watching.truncate(TALKERS_SHOWN);
        let watching = watching.into_iter().map(|(session, paths)| Watching {
            session: hexadecimal(session),
            client: client(&session),
            paths,
        });
        let talkers = &talk.talkers;
        Top {
            version: super::version::FULL.into(),
            mode: statistics.mode.name().into(),
            now_ms: talk.now_ms,
            uptime_ms: talk.uptime_ms,
            zxid: hexadecimal(statistics.zxid.0),
            znodes: statistics.nodes,
            connections: statistics.connections,
            sessions: talk.sessions,
            outstanding: statistics.outstanding,
            packets_received: statistics.received,
            packets_sent: statistics.sent,
            bytes_received: talk.bytes_received,
            refused: talk.refused,
            latency: Latencies { min_ms: latency.min, max_ms: latency.max, sum_ms: latency.sum, count: latency.count },
            watches: WatchFigures { connections, paths, total, sessions: watching.collect() },
            talkers: Talkers {
                half_life_ms: talkers.half_life_ms,
                sessions: ranked(&talkers.sessions, |session| hexadecimal(*session), client),
                addresses: ranked(&talkers.addresses, ToString::to_string, |_| None),
                identities: ranked(&talkers.identities, Clone::clone, |_| None),
                prefixes: ranked(&talkers.prefixes, Clone::clone, |_| None),
                operations: ranked(&talkers.operations, OpCode::to_string, |_| None),
            },
        }
    }
}

fn hexadecimal(id: i64) -> String {
    format!("0x{id:x}")
}

fn ranked<K>(ranking: &Ranking<K>, name: impl Fn(&K) -> String, client: impl Fn(&K) -> Option<SocketAddr>) -> Ranked {
    // Three decimals tell everything that the sketches know.
    let rounded = |value: f64| (value * 1e3).round() / 1e3;
    let rows = |measure: Measure| {
        let talkers = ranking.by[measure as usize].iter();
        let rows = talkers.map(|talker| Row {
            name: name(&talker.key),
            client: client(&talker.key),
            requests_per_s: rounded(talker.rate.requests),
            bytes_per_s: rounded(talker.rate.bytes),
            time_us_per_s: rounded(talker.rate.time_us),
            error_per_s: rounded(talker.error),
        });
        rows.filter(|row| row.requests_per_s + row.bytes_per_s + row.time_us_per_s > 0.0).collect()
    };
    Ranked { by_requests: rows(Measure::Requests), by_bytes: rows(Measure::Bytes), by_time: rows(Measure::Time) }
}

pub(super) fn text(view: &View, out: &mut String) {
    out.push_str(&serde_json::to_string_pretty(&Top::of(view)).expect("these types have only text keys"));
    out.push('\n');
}

/// The same as fields of the admin server's answer.
pub(super) fn json(view: &View, out: &mut Fields) {
    if let Ok(Value::Object(fields)) = serde_json::to_value(Top::of(view)) {
        out.extend(fields);
    }
}

/// `watch_counts` of the admin server: paths by session.
pub(super) fn watch_counts_json(view: &View, out: &mut Fields) {
    let counts = view.talk.watches.iter().map(|(session, paths)| (hexadecimal(*session), Value::from(*paths)));
    out.insert("session_id_to_watched_path_count".into(), Value::Object(counts.collect()));
}

/// `wcnt`: how many paths each session watches, the most first, without a path.
pub(super) fn watch_counts(view: &View, out: &mut String) {
    let mut watches = view.talk.watches.clone();
    watches.sort_by_key(|(session, paths)| (std::cmp::Reverse(*paths), *session));
    for (session, paths) in watches {
        out.push_str(&format!("0x{session:x}\t{paths}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::talkers::{Cost, Talker};

    fn view() -> View {
        let rate = Cost { requests: 2.0, bytes: 3.5, time_us: 0.0004 };
        let talker = Talker { key: 0x10, rate, error: 0.25 };
        let gone = Talker { key: 0x11, rate: Cost::default(), error: 0.0 };
        let sessions = Ranking { by: [vec![talker.clone(), gone], vec![talker], Vec::new()] };
        let mut view = View { serving: true, ..View::not_serving() };
        view.talk = Talk {
            talkers: Summary { half_life_ms: 60_000, sessions, ..Summary::default() },
            clients: [(0x10, ([10, 0, 0, 1], 4711).into())].into(),
            watches: vec![(0x12, 1), (0x10, 3), (0x11, 3)],
            ..Talk::default()
        };
        view
    }

    #[test]
    fn the_datum_is_what_its_json_says() {
        let mut out = String::new();
        text(&view(), &mut out);
        let top: Top = serde_json::from_str(&out).unwrap();
        assert_eq!(top, Top::of(&view()));
        assert_eq!(top.talkers.sessions.by_requests.len(), 1, "who is silent is no talker");
        let row = &top.talkers.sessions.by(Measure::Bytes)[0];
        assert_eq!((row.name.as_str(), row.client), ("0x10", Some(([10, 0, 0, 1], 4711).into())));
        assert_eq!((row.requests_per_s, row.bytes_per_s, row.time_us_per_s, row.error_per_s), (2.0, 3.5, 0.0, 0.25));
        let watching: Vec<_> = top.watches.sessions.iter().map(|one| (one.session.as_str(), one.paths)).collect();
        assert_eq!(watching, [("0x10", 3), ("0x11", 3), ("0x12", 1)]);
    }

    #[test]
    fn watches_are_counted_by_session_without_a_path() {
        let mut out = String::new();
        watch_counts(&view(), &mut out);
        assert_eq!(out, "0x10\t3\n0x11\t3\n0x12\t1\n");
    }
}
