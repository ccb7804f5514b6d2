//! The names: the original's, as its default provider and its Prometheus exporter show them. Nothing else may type one.

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
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $kind(pub(super) u16);

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
}
