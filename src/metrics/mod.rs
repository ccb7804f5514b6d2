//! The table of metrics: every name there is, and the readings that a thread keeps of them.
//! Plain fields, no clock and no sharing: each thread counts for itself, the server merges what it collects. Nothing else
//! may name a metric. How readings are shown is in `admin::monitor`.

mod distribution;

pub use distribution::Distribution;

use std::collections::BTreeMap;

/// Which metrics provider is configured: it decides what is kept of a summary and how readings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Provider {
    /// `NullMetricsProvider`: nothing is kept.
    None,
    /// `DefaultMetricsProvider`.
    #[default]
    Default,
    /// `PrometheusMetricsProvider`.
    Prometheus,
}

/// What sort of readings a metric has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One.
    Plain,
    /// One, with its upper percentiles.
    Percentiles,
    /// One for each key: a namespace or a server id.
    Keyed,
    /// One for each key, with its upper percentiles.
    KeyedPercentiles,
}

impl Form {
    /// Whether readings have a key.
    pub fn is_keyed(self) -> bool {
        matches!(self, Form::Keyed | Form::KeyedPercentiles)
    }

    /// Whether the upper percentiles are shown.
    pub fn has_percentiles(self) -> bool {
        matches!(self, Form::Percentiles | Form::KeyedPercentiles)
    }
}

macro_rules! kind {
    ($(#[$doc:meta])* $kind:ident: $($constant:ident = $name:literal, $form:ident;)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $kind(u16);

        impl $kind {
            const TABLE: &'static [(&'static str, Form)] = &[$(($name, Form::$form)),*];

            /// All of this kind, in the order of the table.
            pub fn all() -> impl Iterator<Item = Self> {
                (0..Self::TABLE.len() as u16).map(Self)
            }

            /// The original's name.
            pub fn name(self) -> &'static str {
                Self::TABLE[usize::from(self.0)].0
            }

            /// What sort of readings it has.
            pub fn form(self) -> Form {
                Self::TABLE[usize::from(self.0)].1
            }
        }

        constants!($kind, 0; $($constant)*);
    };
}

macro_rules! constants {
    ($kind:ident, $index:expr;) => {};
    ($kind:ident, $index:expr; $first:ident $($rest:ident)*) => {
        #[allow(missing_docs)]
        pub const $first: $kind = $kind($index);
        constants!($kind, $index + 1; $($rest)*);
    };
}

kind! {
    /// A value that goes up and down.
    Gauge:
    APPROXIMATE_DATA_SIZE = "approximate_data_size", Plain;
    AUTH_FAILED_COUNT = "auth_failed_count", Plain;
    AVG_LATENCY = "avg_latency", Plain;
    CONNECTION_DROP_PROBABILITY = "connection_drop_probability", Plain;
    EPHEMERALS_COUNT = "ephemerals_count", Plain;
    GLOBAL_SESSIONS = "global_sessions", Plain;
    LAST_CLIENT_RESPONSE_SIZE = "last_client_response_size", Plain;
    LAST_PROPOSAL_SIZE = "last_proposal_size", Plain;
    LEADER_UPTIME = "leader_uptime", Plain;
    LEARNERS = "learners", Plain;
    LOCAL_SESSIONS = "local_sessions", Plain;
    MAX_CLIENT_RESPONSE_SIZE = "max_client_response_size", Plain;
    MAX_FILE_DESCRIPTOR_COUNT = "max_file_descriptor_count", Plain;
    MAX_LATENCY = "max_latency", Plain;
    MAX_PROPOSAL_SIZE = "max_proposal_size", Plain;
    MIN_CLIENT_RESPONSE_SIZE = "min_client_response_size", Plain;
    MIN_LATENCY = "min_latency", Plain;
    MIN_PROPOSAL_SIZE = "min_proposal_size", Plain;
    NON_MTLS_LOCAL_CONN_COUNT = "non_mtls_local_conn_count", Plain;
    NON_MTLS_REMOTE_CONN_COUNT = "non_mtls_remote_conn_count", Plain;
    NUM_ALIVE_CONNECTIONS = "num_alive_connections", Plain;
    OPEN_FILE_DESCRIPTOR_COUNT = "open_file_descriptor_count", Plain;
    OUTSTANDING_REQUESTS = "outstanding_requests", Plain;
    OUTSTANDING_TLS_HANDSHAKE = "outstanding_tls_handshake", Plain;
    PACKETS_RECEIVED = "packets_received", Plain;
    PACKETS_SENT = "packets_sent", Plain;
    PENDING_SYNCS = "pending_syncs", Plain;
    QUORUM_SIZE = "quorum_size", Plain;
    SYNCED_FOLLOWERS = "synced_followers", Plain;
    SYNCED_NON_VOTING_FOLLOWERS = "synced_non_voting_followers", Plain;
    SYNCED_OBSERVERS = "synced_observers", Plain;
    UPTIME = "uptime", Plain;
    WATCH_COUNT = "watch_count", Plain;
    ZNODE_COUNT = "znode_count", Plain;
    QUOTA_BYTES_LIMIT_PER_NAMESPACE = "quota_bytes_limit_per_namespace", Keyed;
    QUOTA_BYTES_USAGE_PER_NAMESPACE = "quota_bytes_usage_per_namespace", Keyed;
    QUOTA_COUNT_LIMIT_PER_NAMESPACE = "quota_count_limit_per_namespace", Keyed;
    QUOTA_COUNT_USAGE_PER_NAMESPACE = "quota_count_usage_per_namespace", Keyed;
}

kind! {
    /// A count of events.
    Counter:
    ADD_DEAD_WATCHER_STALL_TIME = "add_dead_watcher_stall_time", Plain;
    BYTES_RECEIVED_COUNT = "bytes_received_count", Plain;
    CNXN_CLOSED_WITHOUT_ZK_SERVER_RUNNING = "cnxn_closed_without_zk_server_running", Plain;
    COMMIT_COUNT = "commit_count", Plain;
    CONNECTION_DROP_COUNT = "connection_drop_count", Plain;
    CONNECTION_REJECTED = "connection_rejected", Plain;
    CONNECTION_REQUEST_COUNT = "connection_request_count", Plain;
    CONNECTION_REVALIDATE_COUNT = "connection_revalidate_count", Plain;
    DEAD_WATCHERS_CLEARED = "dead_watchers_cleared", Plain;
    DEAD_WATCHERS_QUEUED = "dead_watchers_queued", Plain;
    DIFF_COUNT = "diff_count", Plain;
    DIGEST_MISMATCHES_COUNT = "digest_mismatches_count", Plain;
    ENSEMBLE_AUTH_FAIL = "ensemble_auth_fail", Plain;
    ENSEMBLE_AUTH_SKIP = "ensemble_auth_skip", Plain;
    ENSEMBLE_AUTH_SUCCESS = "ensemble_auth_success", Plain;
    INSECURE_ADMIN_COUNT = "insecure_admin_count", Plain;
    LARGE_REQUESTS_REJECTED = "large_requests_rejected", Plain;
    LEARNER_COMMIT_RECEIVED_COUNT = "learner_commit_received_count", Plain;
    LEARNER_PROPOSAL_RECEIVED_COUNT = "learner_proposal_received_count", Plain;
    LOOKING_COUNT = "looking_count", Plain;
    OUTSTANDING_CHANGES_QUEUED = "outstanding_changes_queued", Plain;
    OUTSTANDING_CHANGES_REMOVED = "outstanding_changes_removed", Plain;
    PREP_PROCESSOR_REQUEST_QUEUED = "prep_processor_request_queued", Plain;
    PROPOSAL_COUNT = "proposal_count", Plain;
    QUIT_LEADING_DUE_TO_DISLOYAL_VOTER = "quit_leading_due_to_disloyal_voter", Plain;
    REQUEST_COMMIT_QUEUED = "request_commit_queued", Plain;
    REQUEST_THROTTLE_WAIT_COUNT = "request_throttle_wait_count", Plain;
    REQUESTS_NOT_FORWARDED_TO_COMMIT_PROCESSOR = "requests_not_forwarded_to_commit_processor", Plain;
    RESPONSE_BYTES = "response_bytes", Plain;
    RESPONSE_PACKET_CACHE_HITS = "response_packet_cache_hits", Plain;
    RESPONSE_PACKET_CACHE_MISSES = "response_packet_cache_misses", Plain;
    RESPONSE_PACKET_GET_CHILDREN_CACHE_HITS = "response_packet_get_children_cache_hits", Plain;
    RESPONSE_PACKET_GET_CHILDREN_CACHE_MISSES = "response_packet_get_children_cache_misses", Plain;
    RESTORE_ERROR_COUNT = "restore_error_count", Plain;
    RESTORE_RATE_LIMITED_COUNT = "restore_rate_limited_count", Plain;
    REVALIDATE_COUNT = "revalidate_count", Plain;
    SESSIONLESS_CONNECTIONS_EXPIRED = "sessionless_connections_expired", Plain;
    SKIP_LEARNER_REQUEST_TO_NEXT_PROCESSOR_COUNT = "skip_learner_request_to_next_processor_count", Plain;
    SNAP_COUNT = "snap_count", Plain;
    SNAPSHOT_ERROR_COUNT = "snapshot_error_count", Plain;
    SNAPSHOT_RATE_LIMITED_COUNT = "snapshot_rate_limited_count", Plain;
    STALE_REPLIES = "stale_replies", Plain;
    STALE_REQUESTS = "stale_requests", Plain;
    STALE_REQUESTS_DROPPED = "stale_requests_dropped", Plain;
    STALE_SESSIONS_EXPIRED = "stale_sessions_expired", Plain;
    SYNC_PROCESSOR_REQUEST_QUEUED = "sync_processor_request_queued", Plain;
    THROTTLED_OPS = "throttled_ops", Plain;
    TLS_HANDSHAKE_EXCEEDED = "tls_handshake_exceeded", Plain;
    UNRECOVERABLE_ERROR_COUNT = "unrecoverable_error_count", Plain;
    UNSUCCESSFUL_HANDSHAKE = "unsuccessful_handshake", Plain;
    WATCH_BYTES = "watch_bytes", Plain;
    QUOTA_EXCEEDED_ERROR_PER_NAMESPACE = "quota_exceeded_error_per_namespace", Keyed;
}

kind! {
    /// A distribution of values.
    Summary:
    COMMIT_COMMIT_PROC_REQ_QUEUED = "commit_commit_proc_req_queued", Plain;
    COMMIT_PROCESS_TIME = "commit_process_time", Plain;
    CONCURRENT_REQUEST_PROCESSING_IN_COMMIT_PROCESSOR = "concurrent_request_processing_in_commit_processor", Plain;
    CONNECTION_TOKEN_DEFICIT = "connection_token_deficit", Plain;
    DBINITTIME = "dbinittime", Plain;
    ELECTION_TIME = "election_time", Plain;
    FOLLOWER_SYNC_TIME = "follower_sync_time", Plain;
    FSYNCTIME = "fsynctime", Plain;
    INFLIGHT_DIFF_COUNT = "inflight_diff_count", Plain;
    INFLIGHT_SNAP_COUNT = "inflight_snap_count", Plain;
    LEADER_UNAVAILABLE_TIME = "leader_unavailable_time", Plain;
    LEARNER_REQUEST_PROCESSOR_QUEUE_SIZE = "learner_request_processor_queue_size", Plain;
    NETTY_QUEUED_BUFFER_CAPACITY = "netty_queued_buffer_capacity", Plain;
    NODE_CHANGED_WATCH_COUNT = "node_changed_watch_count", Plain;
    NODE_CHILDREN_WATCH_COUNT = "node_children_watch_count", Plain;
    NODE_CREATED_WATCH_COUNT = "node_created_watch_count", Plain;
    NODE_DELETED_WATCH_COUNT = "node_deleted_watch_count", Plain;
    OBSERVER_SYNC_TIME = "observer_sync_time", Plain;
    PENDING_SESSION_QUEUE_SIZE = "pending_session_queue_size", Plain;
    PREP_PROCESS_TIME = "prep_process_time", Plain;
    PREP_PROCESSOR_QUEUE_SIZE = "prep_processor_queue_size", Plain;
    PROPOSAL_PROCESS_TIME = "proposal_process_time", Plain;
    READ_COMMIT_PROC_ISSUED = "read_commit_proc_issued", Plain;
    READ_COMMIT_PROC_REQ_QUEUED = "read_commit_proc_req_queued", Plain;
    READS_AFTER_WRITE_IN_SESSION_QUEUE = "reads_after_write_in_session_queue", Plain;
    READS_ISSUED_FROM_SESSION_QUEUE = "reads_issued_from_session_queue", Plain;
    REQUESTS_IN_SESSION_QUEUE = "requests_in_session_queue", Plain;
    RESTORE_TIME = "restore_time", Plain;
    SESSION_QUEUES_DRAINED = "session_queues_drained", Plain;
    SNAPSHOTTIME = "snapshottime", Plain;
    SOCKET_CLOSING_TIME = "socket_closing_time", Plain;
    STARTUP_SNAP_LOAD_TIME = "startup_snap_load_time", Plain;
    STARTUP_TXNS_LOAD_TIME = "startup_txns_load_time", Plain;
    STARTUP_TXNS_LOADED = "startup_txns_loaded", Plain;
    SYNC_PROCESS_TIME = "sync_process_time", Plain;
    SYNC_PROCESSOR_BATCH_SIZE = "sync_processor_batch_size", Plain;
    SYNC_PROCESSOR_QUEUE_SIZE = "sync_processor_queue_size", Plain;
    TIME_WAITING_EMPTY_POOL_IN_COMMIT_PROCESSOR_READ_MS = "time_waiting_empty_pool_in_commit_processor_read_ms", Plain;
    UNAVAILABLE_TIME = "unavailable_time", Plain;
    WRITE_BATCH_TIME_IN_COMMIT_PROCESSOR = "write_batch_time_in_commit_processor", Plain;
    WRITE_COMMIT_PROC_ISSUED = "write_commit_proc_issued", Plain;
    WRITE_COMMIT_PROC_REQ_QUEUED = "write_commit_proc_req_queued", Plain;
    CLOSE_SESSION_PREP_TIME = "close_session_prep_time", Percentiles;
    COMMIT_PROPAGATION_LATENCY = "commit_propagation_latency", Percentiles;
    DEAD_WATCHERS_CLEANER_LATENCY = "dead_watchers_cleaner_latency", Percentiles;
    JVM_PAUSE_TIME_MS = "jvm_pause_time_ms", Percentiles;
    LOCAL_WRITE_COMMITTED_TIME_MS = "local_write_committed_time_ms", Percentiles;
    OM_COMMIT_PROCESS_TIME_MS = "om_commit_process_time_ms", Percentiles;
    OM_PROPOSAL_PROCESS_TIME_MS = "om_proposal_process_time_ms", Percentiles;
    PREP_PROCESSOR_QUEUE_TIME_MS = "prep_processor_queue_time_ms", Percentiles;
    PROPAGATION_LATENCY = "propagation_latency", Percentiles;
    PROPOSAL_ACK_CREATION_LATENCY = "proposal_ack_creation_latency", Percentiles;
    PROPOSAL_LATENCY = "proposal_latency", Percentiles;
    QUORUM_ACK_LATENCY = "quorum_ack_latency", Percentiles;
    READ_COMMITPROC_TIME_MS = "read_commitproc_time_ms", Percentiles;
    READ_FINAL_PROC_TIME_MS = "read_final_proc_time_ms", Percentiles;
    READLATENCY = "readlatency", Percentiles;
    REQUEST_THROTTLE_QUEUE_TIME_MS = "request_throttle_queue_time_ms", Percentiles;
    SERVER_WRITE_COMMITTED_TIME_MS = "server_write_committed_time_ms", Percentiles;
    SYNC_PROCESSOR_QUEUE_AND_FLUSH_TIME_MS = "sync_processor_queue_and_flush_time_ms", Percentiles;
    SYNC_PROCESSOR_QUEUE_FLUSH_TIME_MS = "sync_processor_queue_flush_time_ms", Percentiles;
    SYNC_PROCESSOR_QUEUE_TIME_MS = "sync_processor_queue_time_ms", Percentiles;
    UPDATELATENCY = "updatelatency", Percentiles;
    WRITE_COMMITPROC_TIME_MS = "write_commitproc_time_ms", Percentiles;
    WRITE_FINAL_PROC_TIME_MS = "write_final_proc_time_ms", Percentiles;
    LEARNER_HANDLER_QP_SIZE = "learner_handler_qp_size", Keyed;
    READ_PER_NAMESPACE = "read_per_namespace", Keyed;
    WRITE_PER_NAMESPACE = "write_per_namespace", Keyed;
    ACK_LATENCY = "ack_latency", KeyedPercentiles;
    LEARNER_HANDLER_QP_TIME_MS = "learner_handler_qp_time_ms", KeyedPercentiles;
}

/// A gauge's value. The two kinds are shown differently: `5` and `5.0`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number.
    Integer(i64),
    /// A mean or a probability.
    Real(f64),
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Number::Integer(value)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Number::Real(value)
    }
}

/// Keys of one metric that are kept apart; readings beyond go to the key `other`. Namespaces are the clients' choice.
pub const KEYS_MAX: usize = 1_000;

/// Readings of one thread, or the merged ones of all.
#[derive(Debug, Clone)]
pub struct Readings {
    provider: Provider,
    gauges: BTreeMap<(Gauge, String), Number>,
    counters: Vec<i64>,
    keyed_counters: BTreeMap<Counter, BTreeMap<String, i64>>,
    summaries: Vec<Distribution>,
    keyed_summaries: BTreeMap<Summary, BTreeMap<String, Distribution>>,
}

impl Readings {
    /// No events yet.
    pub fn new(provider: Provider) -> Self {
        Readings {
            provider,
            gauges: BTreeMap::new(),
            counters: vec![0; Counter::TABLE.len()],
            keyed_counters: BTreeMap::new(),
            summaries: Summary::all().map(|summary| empty(provider, summary)).collect(),
            keyed_summaries: BTreeMap::new(),
        }
    }

    /// The provider the readings are for.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Sets a gauge. A gauge that nobody sets is not shown: followers have no proposal sizes.
    pub fn set(&mut self, gauge: Gauge, value: impl Into<Number>) {
        debug_assert!(!gauge.form().is_keyed(), "{} wants a key", gauge.name());
        self.gauges.insert((gauge, String::new()), value.into());
    }

    /// Sets a gauge of a key.
    pub fn set_for(&mut self, gauge: Gauge, key: &str, value: impl Into<Number>) {
        debug_assert!(gauge.form().is_keyed(), "{} has no keys", gauge.name());
        self.gauges.insert((gauge, key.to_owned()), value.into());
    }

    /// Counts events.
    pub fn add(&mut self, counter: Counter, events: i64) {
        debug_assert!(!counter.form().is_keyed(), "{} wants a key", counter.name());
        if self.provider != Provider::None {
            self.counters[usize::from(counter.0)] += events;
        }
    }

    /// Counts events of a key.
    pub fn add_for(&mut self, counter: Counter, key: &str, events: i64) {
        debug_assert!(counter.form().is_keyed(), "{} has no keys", counter.name());
        if self.provider != Provider::None {
            *keyed(self.keyed_counters.entry(counter).or_default(), key, || 0) += events;
        }
    }

    /// Takes a value into a summary.
    pub fn record(&mut self, summary: Summary, value: i64) {
        debug_assert!(!summary.form().is_keyed(), "{} wants a key", summary.name());
        if self.provider != Provider::None {
            self.summaries[usize::from(summary.0)].record(value);
        }
    }

    /// Takes a value into a summary of a key.
    pub fn record_for(&mut self, summary: Summary, key: &str, value: i64) {
        debug_assert!(summary.form().is_keyed(), "{} has no keys", summary.name());
        if self.provider != Provider::None {
            let empty = || empty(self.provider, summary);
            keyed(self.keyed_summaries.entry(summary).or_default(), key, empty).record(value);
        }
    }

    /// Adds another thread's readings; its gauges win.
    pub fn merge(&mut self, other: &Readings) {
        self.gauges.extend(other.gauges.iter().map(|(key, value)| (key.clone(), *value)));
        for (ours, theirs) in self.counters.iter_mut().zip(&other.counters) {
            *ours += theirs;
        }
        for (counter, keys) in &other.keyed_counters {
            for (key, events) in keys {
                *keyed(self.keyed_counters.entry(*counter).or_default(), key, || 0) += events;
            }
        }
        for (ours, theirs) in self.summaries.iter_mut().zip(&other.summaries) {
            ours.merge(theirs);
        }
        for (summary, keys) in &other.keyed_summaries {
            for (key, theirs) in keys {
                let empty = || empty(self.provider, *summary);
                keyed(self.keyed_summaries.entry(*summary).or_default(), key, empty).merge(theirs);
            }
        }
    }

    /// Forgets events (`srst`). Gauges stay, and readings for Prometheus: its counters never go back.
    pub fn reset(&mut self) {
        if self.provider != Provider::Prometheus {
            let gauges = std::mem::take(&mut self.gauges);
            *self = Readings { gauges, ..Readings::new(self.provider) };
        }
    }

    /// Gauges that were set, with their keys.
    pub fn gauges(&self) -> impl Iterator<Item = (Gauge, &str, Number)> {
        self.gauges.iter().map(|((gauge, key), value)| (*gauge, key.as_str(), *value))
    }

    /// All counters, and those with keys that have any.
    pub fn counters(&self) -> impl Iterator<Item = (Counter, &str, i64)> {
        let plain = Counter::all().filter(|counter| !counter.form().is_keyed());
        let plain = plain.map(|counter| (counter, "", self.counters[usize::from(counter.0)]));
        plain.chain(
            self.keyed_counters
                .iter()
                .flat_map(|(counter, keys)| keys.iter().map(|(key, events)| (*counter, key.as_str(), *events))),
        )
    }

    /// All summaries, and those with keys that have any.
    pub fn summaries(&self) -> impl Iterator<Item = (Summary, &str, &Distribution)> {
        let plain = Summary::all().filter(|summary| !summary.form().is_keyed());
        let plain = plain.map(|summary| (summary, "", &self.summaries[usize::from(summary.0)]));
        plain.chain(
            self.keyed_summaries.iter().flat_map(|(summary, keys)| {
                keys.iter().map(|(key, distribution)| (*summary, key.as_str(), distribution))
            }),
        )
    }
}

fn empty(provider: Provider, summary: Summary) -> Distribution {
    let quantiles = match provider {
        Provider::None => false,
        Provider::Default => summary.form().has_percentiles(),
        Provider::Prometheus => true,
    };
    Distribution::new(quantiles)
}

/// The value of a key, or of the key `other` once there are too many.
fn keyed<'a, T>(keys: &'a mut BTreeMap<String, T>, key: &str, empty: impl FnOnce() -> T) -> &'a mut T {
    let key = if keys.len() < KEYS_MAX || keys.contains_key(key) { key } else { "other" };
    if !keys.contains_key(key) {
        keys.insert(key.to_owned(), empty());
    }
    keys.get_mut(key).expect("just put in")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let gauges = Gauge::all().map(Gauge::name);
        let counters = Counter::all().map(Counter::name);
        let summaries = Summary::all().map(Summary::name);
        let mut names: Vec<_> = gauges.chain(counters).chain(summaries).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert_eq!(WATCH_COUNT.name(), "watch_count");
        assert_eq!(WATCH_BYTES.name(), "watch_bytes");
        assert!(READ_PER_NAMESPACE.form().is_keyed());
    }

    #[test]
    fn threads_are_merged() {
        let mut one = Readings::new(Provider::Default);
        let mut two = one.clone();
        for (readings, latency) in [(&mut one, 3), (&mut two, 5)] {
            readings.add(RESPONSE_BYTES, 10);
            readings.record(READLATENCY, latency);
            readings.record_for(READ_PER_NAMESPACE, "a", latency);
            readings.add_for(QUOTA_EXCEEDED_ERROR_PER_NAMESPACE, "a", 1);
        }
        two.set(UPTIME, 7);
        one.merge(&two);
        assert_eq!(one.counters().find(|(counter, ..)| *counter == RESPONSE_BYTES), Some((RESPONSE_BYTES, "", 20)));
        let quota = QUOTA_EXCEEDED_ERROR_PER_NAMESPACE;
        assert_eq!(one.counters().find(|(counter, ..)| *counter == quota), Some((quota, "a", 2)));
        for wanted in [READLATENCY, READ_PER_NAMESPACE] {
            let (_, _, values) = one.summaries().find(|(summary, ..)| *summary == wanted).unwrap();
            assert_eq!((values.min(), values.max(), values.sum, values.count), (3, 5, 8, 2));
        }
        assert_eq!(one.gauges().collect::<Vec<_>>(), [(UPTIME, "", Number::Integer(7))]);
    }

    #[test]
    fn a_reset_forgets_events_but_not_for_prometheus() {
        for (provider, left) in [(Provider::Default, 0), (Provider::Prometheus, 1)] {
            let mut readings = Readings::new(provider);
            readings.add(SNAP_COUNT, 1);
            readings.record(FSYNCTIME, 1);
            readings.set(UPTIME, 1);
            readings.reset();
            assert_eq!(readings.counters().map(|(.., events)| events).sum::<i64>(), left);
            assert_eq!(readings.summaries().map(|(.., values)| values.count).sum::<u64>(), left as u64);
            assert_eq!(readings.gauges().count(), 1);
        }
    }

    #[test]
    fn without_a_provider_nothing_is_kept() {
        let mut readings = Readings::new(Provider::None);
        readings.add(SNAP_COUNT, 1);
        readings.record(FSYNCTIME, 1);
        readings.record_for(READ_PER_NAMESPACE, "a", 1);
        readings.add_for(QUOTA_EXCEEDED_ERROR_PER_NAMESPACE, "a", 1);
        assert!(readings.counters().all(|(.., events)| events == 0));
        assert!(readings.summaries().all(|(.., values)| values.count == 0));
    }

    #[test]
    fn keys_are_bounded() {
        let mut readings = Readings::new(Provider::Default);
        for number in 0..KEYS_MAX + 10 {
            readings.record_for(WRITE_PER_NAMESPACE, &number.to_string(), 1);
        }
        let keys: Vec<_> = readings.summaries().filter(|(summary, ..)| *summary == WRITE_PER_NAMESPACE).collect();
        assert_eq!(keys.len(), KEYS_MAX + 1);
        assert!(keys.iter().any(|(_, key, values)| *key == "other" && values.count == 10));
    }
}
