//! Families that the original does not have, under a prefix of our own. Only the Prometheus exporter shows them: `mntr` has the
//! original's names and no more.

/// What a family of our own counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnKind {
    /// Goes up only; `_total` is part of its name.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A [`super::Histogram`] of durations, seconds.
    Histogram,
}

/// A family of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Own(u16);

struct Row {
    name: &'static str,
    kind: OwnKind,
    label: &'static str,
    help: &'static str,
}

macro_rules! own {
    ($($constant:ident = $name:literal, $kind:ident, $label:literal, $help:literal;)*) => {
        const TABLE: &[Row] = &[$(Row { name: $name, kind: OwnKind::$kind, label: $label, help: $help }),*];
        constants!(Own, 0; $($constant)*);
    };
}

own! {
    COMMIT_SECONDS = "oxkeeper_commit_seconds", Histogram, "",
        "Time from the moment a write of a client of this server gets its zxid (on a follower: is sent to the leader) until it is applied here";
    FSYNC_SECONDS = "oxkeeper_fsync_seconds", Histogram, "", "Time to append a group of transactions to the log and to sync it";
    GATE_WAIT_SECONDS = "oxkeeper_gate_wait_seconds", Histogram, "side",
        "Time that a visit of the tree waits: of readers for the writer, of the writer for readers";
    QUEUE_LENGTH = "oxkeeper_queue_length", Gauge, "queue",
        "What waits: writes for their commit, records for the log, deliveries for the reactors, requests in the lanes of connections";
    LOG_BYTES_TOTAL = "oxkeeper_log_bytes_total", Counter, "", "Bytes that were made durable in transaction logs";
    REFUSED_TOTAL = "oxkeeper_refused_total", Counter, "limit", "Requests refused: for a budget of memory or disk, or above a rate";
    ZXIDS_LEFT = "oxkeeper_zxids_left", Gauge, "",
        "Zxids left in this epoch; at none, a leader stands down for a new epoch, and clients wait for an election";
    SCRAPE_SECONDS = "oxkeeper_scrape_seconds", Gauge, "", "Time to gather these readings";
    HEAP_BYTES = "oxkeeper_heap_bytes", Gauge, "state", "Memory of the allocator: what it has handed out, and the pages in use for that";
    THREADS = "oxkeeper_threads", Gauge, "", "Threads of this process";
    BUILD_INFO = "oxkeeper_build_info", Gauge, "version", "Always 1; the label tells the version";
}

impl Own {
    /// All, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..TABLE.len() as u16).map(Self)
    }

    fn row(self) -> &'static Row {
        &TABLE[usize::from(self.0)]
    }

    /// Its name, prefix included.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What it counts.
    pub fn kind(self) -> OwnKind {
        self.row().kind
    }

    /// The name of its label; `None` when it has one reading only.
    pub fn label(self) -> Option<&'static str> {
        Some(self.row().label).filter(|label| !label.is_empty())
    }

    /// What it means.
    pub fn help(self) -> &'static str {
        self.row().help
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_counted() {
        for own in Own::all() {
            assert!(own.name().starts_with("oxkeeper_"), "{}", own.name());
            assert_eq!(own.name().ends_with("_total"), own.kind() == OwnKind::Counter, "{}", own.name());
            assert!(own.kind() != OwnKind::Histogram || own.name().ends_with("_seconds"), "{}", own.name());
        }
    }
}
