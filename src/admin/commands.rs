//! The table of commands: names, four-letter word, what it needs to know, what it changes, its text and its JSON.
//! One entry, many readers: the four-letter words and the admin server render the same views.

use super::json::{self, Fields};
use super::{monitor, text, top, view::View};

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
    /// What the process was told at its start.
    Properties,
    /// The newest snapshot on disk.
    Snapshot,
    /// Who votes and who leads, and which observers follow.
    Ensemble,
    /// Who loads the server, and who watches how much.
    Talk,
}

/// What a command changes in the server, done before its answer is made.
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

/// What the admin server has to do for a command beyond an answer of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Nothing.
    Answer,
    /// Take a snapshot and send it. Needs every permission on the root node.
    Snapshot,
    /// Put the body of a POST in the place of all data. Needs every permission on the root node.
    Restore,
}

/// A command.
#[derive(Debug)]
pub struct Command {
    /// The name at the admin server.
    pub name: &'static str,
    /// Other names there, beside the four-letter word.
    pub aliases: &'static [&'static str],
    /// The four-letter word; empty when only the admin server knows the command.
    pub word: &'static str,
    /// What the word shows of a server that is not serving; `None` when that makes no difference to it.
    pub(super) not_serving: Option<&'static str>,
    /// The admin server answers it only while the server serves. Not always what the word does.
    pub needs_server: bool,
    /// What it needs.
    pub parts: &'static [Part],
    /// What it changes when it runs without an argument.
    pub(super) effect: Option<Effect>,
    pub(super) text: fn(&View, &mut String),
    pub(super) json: fn(&View, &mut Fields),
    /// What else the admin server does for it.
    pub work: Work,
}

/// What a command says when nobody is served.
pub(super) const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";
const NOT_SERVING_LINE: &str = "This ZooKeeper instance is not currently serving requests\n";

/// The original's commands, by name.
pub static COMMANDS: &[Command] = &[
    Command {
        aliases: &["config"],
        ..both("configuration", "conf", &[Part::Settings, Part::Sizes], text::configuration, json::configuration)
    },
    resetting("connection_stat_reset", "crst", Effect::ResetConnections, text::connections_reset),
    both("connections", "cons", &[Part::Connections], text::connections, json::connections),
    both("dirs", "dirs", &[Part::Sizes], text::dirs, json::dirs),
    both("dump", "dump", &[Part::Sessions, Part::Connections], text::dump, json::dump),
    Command {
        aliases: &["env"],
        ..always("environment", "envi", &[Part::Environment], text::environment, json::environment)
    },
    always("get_trace_mask", "gtmk", &[], text::trace_mask, json::trace_mask),
    Command { not_serving: Some(NOT_SERVING), ..both("hash", "hash", &[Part::Digests], text::digests, json::digests) },
    only_admin("initial_configuration", &["icfg"], &[Part::Settings], json::initial_configuration),
    Command { not_serving: Some("null"), ..both("is_read_only", "isro", &[], text::is_read_only, json::is_read_only) },
    only_admin("last_snapshot", &["lsnp"], &[Part::Snapshot], json::last_snapshot),
    only_admin("leader", &["lead"], &[Part::Ensemble], json::leader),
    // The admin server fails where the word says that nobody is served.
    Command {
        needs_server: false,
        ..both("monitor", "mntr", &[Part::Statistics, Part::Metrics], monitor::text, monitor::json)
    },
    only_admin("observer_connection_stat_reset", &["orst"], &[], json::nothing),
    only_admin("observers", &["obsr"], &[Part::Ensemble], json::observers),
    Command { work: Work::Restore, ..only_admin("restore", &["rest"], &[], json::nothing) },
    Command { not_serving: None, ..both("ruok", "ruok", &[], text::imok, json::nothing) },
    both(
        "server_stats",
        "srvr",
        &[Part::Statistics, Part::Sizes, Part::Metrics],
        text::server_stats,
        json::server_stats,
    ),
    always("set_trace_mask", "stmk", &[], text::trace_mask, json::trace_mask),
    Command { work: Work::Snapshot, ..only_admin("snapshot", &["snap"], &[], json::nothing) },
    resetting("stat_reset", "srst", Effect::ResetStatistics, text::statistics_reset),
    both("stats", "stat", &[Part::Statistics, Part::Connections, Part::Sizes, Part::Metrics], text::stats, json::stats),
    Command {
        needs_server: false,
        ..only_admin("system_properties", &["sysp"], &[Part::Properties], json::system_properties)
    },
    only_admin("voting_view", &[], &[Part::Ensemble], json::voting_view),
    both("watch_summary", "wchs", &[Part::WatchSummary], text::watch_summary, json::watch_summary),
    both("watches", "wchc", &[Part::Watches], text::watches, json::watches),
    both("watches_by_path", "wchp", &[Part::Watches], text::watches_by_path, json::watches_by_path),
    Command { needs_server: false, ..only_admin("zabstate", &[], &[Part::Ensemble], json::zab_state) },
];

/// Commands that the original does not have. The admin server's index is that of the original, and leaves them out.
pub static OWN: &[Command] = &[
    both("top", "otop", &[Part::Talk, Part::Statistics, Part::WatchSummary], top::text, top::json),
    both("watch_counts", "wcnt", &[Part::Talk], top::watch_counts, top::watch_counts_json),
];

/// All commands: the original's, and those that only this server has.
pub fn all() -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter().chain(OWN)
}

/// The command of this name at the admin server.
pub fn named(name: &str) -> Option<&'static Command> {
    let is_it = |command: &&Command| {
        command.name == name || !name.is_empty() && command.word == name || command.aliases.contains(&name)
    };
    all().find(is_it)
}

const fn both(
    name: &'static str,
    word: &'static str,
    parts: &'static [Part],
    text: fn(&View, &mut String),
    json: fn(&View, &mut Fields),
) -> Command {
    let not_serving = Some(NOT_SERVING_LINE);
    let work = Work::Answer;
    Command { name, aliases: &[], word, not_serving, needs_server: true, parts, effect: None, text, json, work }
}

const fn always(
    name: &'static str,
    word: &'static str,
    parts: &'static [Part],
    text: fn(&View, &mut String),
    json: fn(&View, &mut Fields),
) -> Command {
    Command { not_serving: None, needs_server: false, ..both(name, word, parts, text, json) }
}

const fn only_admin(
    name: &'static str,
    aliases: &'static [&'static str],
    parts: &'static [Part],
    json: fn(&View, &mut Fields),
) -> Command {
    Command { aliases, ..both(name, "", parts, text::nothing, json) }
}

const fn resetting(name: &'static str, word: &'static str, effect: Effect, text: fn(&View, &mut String)) -> Command {
    Command { effect: Some(effect), ..both(name, word, &[], text, json::nothing) }
}
