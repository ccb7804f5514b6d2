//! The table of commands: name, four-letter word, what it needs to know, what it changes, its text.
//! One entry, many readers: the four-letter words use it now, the admin server's JSON is to render the same views.

use super::{monitor, text, view::View};

/// A part of the [`View`] that a command needs filled. Gathering some of them is work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Numbers of requests, packets, nodes; the role.
    Statistics,
    /// The listener's connections.
    Connections,
    /// Sessions by expiry, and their ephemeral nodes.
    Sessions,
    /// Numbers of watches.
    WatchSummary,
    /// Every watch.
    Watches,
    /// Sizes of the folders.
    Sizes,
    /// The effective settings.
    Settings,
    /// Digests of the tree.
    Digests,
    /// Readings of all threads.
    Metrics,
    /// Machine and account.
    Environment,
}

/// What a command changes in the server, done before its text is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Latencies, packets, sizes of responses and proposals, and [`crate::metrics::Readings::reset`].
    ResetStatistics,
    /// Numbers of each of the listener's connections: packets and latencies 0, last operation none, last zxid and
    /// cxid -1.
    ResetConnections,
    /// What is traced.
    SetTraceMask(i64),
}

/// A command.
#[derive(Debug)]
pub struct Command {
    /// The name at the admin server.
    pub name: &'static str,
    /// The four-letter word.
    pub word: &'static str,
    /// What it shows of a server that is not serving; `None` when that makes no difference to it.
    pub(super) not_serving: Option<&'static str>,
    /// What it needs.
    pub parts: &'static [Part],
    /// What it changes when it runs without an argument.
    pub(super) effect: Option<Effect>,
    pub(super) text: fn(&View, &mut String),
}

const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";
const NOT_SERVING_LINE: &str = "This ZooKeeper instance is not currently serving requests\n";

/// All commands that have a four-letter word.
pub static COMMANDS: &[Command] = &[
    needing_server("configuration", "conf", &[Part::Settings, Part::Sizes], text::configuration),
    needing_server("connections", "cons", &[Part::Connections], text::connections),
    needing_server("dirs", "dirs", &[Part::Sizes], text::dirs),
    needing_server("dump", "dump", &[Part::Sessions, Part::Connections], text::dump),
    Command { not_serving: None, ..needing_server("environment", "envi", &[Part::Environment], text::environment) },
    Command { not_serving: None, ..needing_server("get_trace_mask", "gtmk", &[], text::trace_mask) },
    Command { not_serving: None, ..needing_server("set_trace_mask", "stmk", &[], text::trace_mask) },
    Command { not_serving: Some(NOT_SERVING), ..needing_server("hash", "hash", &[Part::Digests], text::digests) },
    Command { not_serving: Some("null"), ..needing_server("is_read_only", "isro", &[], text::is_read_only) },
    needing_server("monitor", "mntr", &[Part::Statistics, Part::Metrics], monitor::text),
    Command { not_serving: None, ..needing_server("ruok", "ruok", &[], text::imok) },
    needing_server("server_stats", "srvr", &[Part::Statistics], text::server_stats),
    needing_server("stats", "stat", &[Part::Statistics, Part::Connections], text::stats),
    resetting("stat_reset", "srst", Effect::ResetStatistics, text::statistics_reset),
    resetting("connection_stat_reset", "crst", Effect::ResetConnections, text::connections_reset),
    needing_server("watch_summary", "wchs", &[Part::WatchSummary], text::watch_summary),
    needing_server("watches", "wchc", &[Part::Watches], text::watches),
    needing_server("watches_by_path", "wchp", &[Part::Watches], text::watches_by_path),
];

const fn needing_server(
    name: &'static str,
    word: &'static str,
    parts: &'static [Part],
    text: fn(&View, &mut String),
) -> Command {
    Command { name, word, not_serving: Some(NOT_SERVING_LINE), parts, effect: None, text }
}

const fn resetting(name: &'static str, word: &'static str, effect: Effect, text: fn(&View, &mut String)) -> Command {
    Command { effect: Some(effect), ..needing_server(name, word, &[], text) }
}
