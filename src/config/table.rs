//! The one table of every key: a row is a field of `Config` and all that is known of its key.
//! The only place where the name of a key is written. What the words of a row mean is in `keys.rs` and `value.rs`.
//! Adding a key is adding a row; `conf/zoo_sample.cfg` is then generated again (see `sample.rs`).

use std::net::IpAddr;
use std::path::PathBuf;

use super::keys::Applies::{ClientOnly, Ensemble, JvmOnly, Now, Operations, Security};
use super::keys::Bound::{AtLeast, Only, RaisedTo};
use super::keys::Unit::{Bytes, Hours, Kilobytes, Milliseconds, Minutes, Seconds, Ticks};
use super::keys::{Family, Key, config_keys};
use super::value::Reading::*;
use super::value::{AuditFormat, ClientAuth, PeerType, Secret as SecretText, SnapshotCompression, StoreType};

type Millis = i32;

const CNXN_FACTORIES: &[&str] =
    &["org.apache.zookeeper.server.NIOServerCnxnFactory", "org.apache.zookeeper.server.NettyServerCnxnFactory"];
const WATCH_MANAGERS: &[&str] =
    &["org.apache.zookeeper.server.watch.WatchManager", "org.apache.zookeeper.server.watch.WatchManagerOptimized"];
const METRICS_PROVIDERS: &[&str] = &[
    "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
    "org.apache.zookeeper.metrics.impl.NullMetricsProvider",
    "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider",
];

/// `authProvider.<name>`.
pub(super) const AUTH_PROVIDER: Family = Family {
    prefix: "authProvider.",
    example: "authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
    topic: "Access control",
    applies: Security,
    doc: "A further scheme, by the original's class name; the part after the dot is free.",
};
/// `superUser`, `superUser.<name>`.
pub(super) const SUPER_USER: Family = Family {
    prefix: "superUser",
    example: "superUser.ops=admin@EXAMPLE.COM",
    topic: "SASL and Kerberos",
    applies: Security,
    doc: "A SASL id that is never refused; superUser.<anything> names further ones.",
};
/// `metricsProvider.<name>`.
pub(super) const METRICS: Family = Family {
    prefix: "metricsProvider.",
    example: "metricsProvider.<name>=<value>",
    topic: "Commands, metrics and audit",
    applies: Operations,
    doc: "Anything else that a metrics provider is told.",
};
/// `server.<id>`.
pub(super) const SERVER: Family = Family {
    prefix: "server.",
    example: "server.1=zk1.example.com:2888:3888:participant;2181",
    topic: "Ensemble",
    applies: Ensemble,
    doc: "A member: host, port for followers, port for the election, role, and after the semicolon its client address.",
};
/// `group.<id>`.
pub(super) const GROUP: Family = Family {
    prefix: "group",
    example: "group.1=1:2:3",
    topic: "Ensemble",
    applies: Ensemble,
    doc: "Members of a group; with groups, a quorum is a majority of groups.",
};
/// `weight.<id>`.
pub(super) const WEIGHT: Family = Family {
    prefix: "weight",
    example: "weight.1=2",
    topic: "Ensemble",
    applies: Ensemble,
    doc: "What a member's vote weighs in its group; 1 when not said.",
};

/// Every family.
pub static FAMILIES: &[Family] = &[AUTH_PROVIDER, METRICS, SUPER_USER, SERVER, GROUP, WEIGHT];

config_keys! {
"Folders" {
    data_dir: PathBuf = Key::cfg("dataDir", Path, "", Now).otherwise("it must be set"),
        "Folder of the snapshots, of myid and of initialize; files lie in its folder version-2.";
    data_log_dir: PathBuf = Key::cfg("dataLogDir", Path, "", Now).otherwise("the same as dataDir"),
        "Folder of the transaction log; a disk of its own keeps writes fast.";
    datadir_autocreate: bool = Key::prop("datadir.autocreate", Truth, "true", Now),
        "Whether missing folders are made; false refuses to start without them.";
    db_autocreate: bool = Key::prop("db.autocreate", Truth, "true", Now),
        "Whether an empty folder is a valid database; false trusts it only beside a file named initialize.";
}
"Listeners" {
    client_port: Option<u16> = Key::cfg("clientPort", Int, "", Now).otherwise("no plain listener"),
        "Port for clients without TLS; 0 takes any free port.";
    client_port_address: Option<IpAddr> = Key::cfg("clientPortAddress", Address, "", Now).otherwise("all addresses"),
        "Address that clientPort listens on; needs clientPort.";
    client_port_listen_backlog: i32 =
        Key::cfg("clientPortListenBacklog", Int, "-1", Now).otherwise("-1: the system's own"),
        "Connections that may wait to be accepted.";
    secure_client_port: Option<u16> =
        Key::cfg("secureClientPort", Int, "", Security).otherwise("no TLS listener"),
        "Port for clients with TLS.";
    secure_client_port_address: Option<IpAddr> =
        Key::cfg("secureClientPortAddress", Address, "", Security).otherwise("all addresses"),
        "Address that secureClientPort listens on; needs secureClientPort.";
    client_port_unification: bool = Key::prop("client.portUnification", Truth, "false", Security),
        "Whether clientPort also takes TLS, told apart by the first byte.";
    client_tcp_keep_alive: bool = Key::prop("clientTcpKeepAlive", Truth, "false", Now),
        "Whether the system probes idle client connections.";
    server_cnxn_factory: String = Key::prop("serverCnxnFactory", Choice(CNXN_FACTORIES), CNXN_FACTORIES[0], Now),
        "Accepted for the sake of old files: both of the original's factories mean the one listener here.";
}
"Time and sessions" {
    tick_time_ms: Millis = Key::cfg("tickTime", Int, "3000", Now).unit(Milliseconds).bound(AtLeast(1)),
        "Length of a tick, the unit of session expiry.";
    min_session_timeout_ms: Millis = Key::cfg("minSessionTimeout", Int, "-1", Now).unit(Milliseconds)
        .otherwise("-1: two ticks"),
        "Shortest session timeout a client is given.";
    max_session_timeout_ms: Millis = Key::cfg("maxSessionTimeout", Int, "-1", Now).unit(Milliseconds)
        .otherwise("-1: twenty ticks"),
        "Longest session timeout a client is given.";
    local_sessions_enabled: bool = Key::cfg("localSessionsEnabled", Bool, "false", Now),
        "Whether sessions of an ensemble start local to their server, without a transaction.";
    local_sessions_upgrading_enabled: bool = Key::cfg("localSessionsUpgradingEnabled", Bool, "false", Now),
        "Whether a local session becomes global at its first ephemeral node.";
    sessionless_cnxn_timeout_ms: Millis = Key::prop("nio.sessionlessCnxnTimeout", IntOrDefault, "10000", Now)
        .unit(Milliseconds),
        "How long a connection may stay without a session.";
    close_session_txn_enabled: bool = Key::prop("closeSessionTxn.enabled", Truth, "true", Now),
        "Whether the transaction that closes a session lists the ephemeral nodes it removes.";
    read_only_mode: bool = Key::system("readonlymode.enabled", Truth, "false", Now),
        "Whether a server without a quorum serves read-only clients; also allows the command isro.";
}
"Limits" {
    max_client_cnxns: i32 = Key::cfg("maxClientCnxns", Int, "60", Now),
        "Connections from one address; 0 sets no limit.";
    max_cnxns: i32 = Key::prop("maxCnxns", IntOrDefault, "0", Now),
        "Connections on one listener; 0 sets no limit.";
    global_outstanding_limit: i32 = Key::prop("globalOutstandingLimit", IntOrDefault, "1000", Now),
        "Requests in work above which busy connections are not read.";
    jute_max_buffer: i32 = Key::system("jute.maxbuffer", IntOrDefault, "1048575", Now).unit(Bytes),
        "Longest request, and longest field in one.";
    jute_extra_size: i32 = Key::prop("jute.maxbuffer.extrasize", IntOrDefault, "-1", Now).unit(Bytes)
        .otherwise("-1: the same as jute.maxbuffer").bound(RaisedTo(1024)),
        "Allowance above jute.maxbuffer for records read from disk or from other servers.";
    large_request_threshold: i32 = Key::prop("largeRequestThreshold", IntOrDefault, "-1", Now).unit(Bytes),
        "Length from which a request counts as large; -1 counts none.";
    large_request_max_bytes: i32 = Key::prop("largeRequestMaxBytes", IntOrDefault, "104857600", Now).unit(Bytes),
        "Bytes of large requests in work above which the next one closes its connection.";
    enforce_quota: bool = Key::prop("enforceQuota", Truth, "false", Now),
        "Whether hard quotas refuse writes.";
    memory_budget_mb: i64 = Key::prop("memoryBudgetInMb", IntOrDefault, "0", Now),
        "Memory of the process, in megabytes, above which writes that add something are refused; 0 sets no limit.";
    disk_budget_mb: i64 = Key::prop("diskBudgetInMb", IntOrDefault, "0", Now),
        "Size of snapshots and logs, in megabytes, above which writes that add something are refused; 0 sets no limit.";
    disk_reserve_mb: i64 = Key::prop("diskReserveInMb", IntOrDefault, "0", Now),
        "Free disk space, in megabytes, below which writes that add something are refused; 0 keeps none.";
    request_rate_per_identity: i32 = Key::prop("requestRate.perIdentity", IntOrDefault, "0", Now),
        "Requests each second of each identity, or address without one, beyond which they are refused; 0 sets no limit.";
    request_rate_identities: Vec<String> = Key::prop("requestRate.identities", List, "", Now).otherwise("none"),
        "Rates of single identities, such as digest:bob=100 or ip:10.0.0.1=50, in the place of the former.";
    request_rate_prefixes: Vec<String> = Key::prop("requestRate.prefixes", List, "", Now).otherwise("none"),
        "Rates of parts of the tree, such as /app=1000; a request counts for the longest path it is below.";
}
"Throttling" {
    request_throttle_max_requests: i32 = Key::prop("request_throttle_max_requests", IntOrDefault, "0", Now),
        "Requests in work above which further ones wait at the entry; 0 sets no limit.";
    request_throttle_stall_time_ms: Millis = Key::prop("request_throttle_stall_time", IntOrDefault, "100", Now)
        .unit(Milliseconds),
        "How long the entry waits before it looks again.";
    request_throttle_drop_stale: bool = Key::prop("request_throttle_drop_stale", Truth, "true", Now),
        "Whether requests that nobody waits for any more are dropped at the entry.";
    request_throttler_shutdown_timeout_ms: Millis =
        Key::prop("request_throttler.shutdownTimeout", IntOrDefault, "10000", Now)
        .unit(Milliseconds),
        "How long requests at the entry are waited for when the server stops.";
    request_stale_connection_check: bool = Key::prop("request_stale_connection_check", Truth, "true", Now),
        "Whether a request is stale once its connection is gone.";
    request_stale_latency_check: bool = Key::prop("request_stale_latency_check", Truth, "false", Now),
        "Whether a request is stale once it has waited longer than its session timeout.";
    throttled_op_wait_time_ms: Millis = Key::prop("throttled_op_wait_time", IntOrDefault, "0", Now).unit(Milliseconds),
        "Waiting time after which a request is answered with a throttling error; 0 never does.";
    connection_throttle_tokens: i32 = Key::prop("connection_throttle_tokens", IntOrDefault, "0", Now),
        "Size of the bucket that each new session takes a token from; 0 sets no limit.";
    connection_throttle_fill_time_ms: Millis = Key::prop("connection_throttle_fill_time", IntOrDefault, "1", Now)
        .unit(Milliseconds),
        "Interval at which tokens come back.";
    connection_throttle_fill_count: i32 = Key::prop("connection_throttle_fill_count", IntOrDefault, "1", Now),
        "Tokens that come back in an interval.";
    connection_throttle_freeze_time_ms: Millis = Key::prop("connection_throttle_freeze_time", IntOrDefault, "-1", Now)
        .unit(Milliseconds),
        "Interval at which the dropping probability moves; -1 never drops early.";
    connection_throttle_drop_increase: f64 = Key::prop("connection_throttle_drop_increase", Real, "0.02", Now),
        "Step by which the dropping probability grows while tokens are short.";
    connection_throttle_drop_decrease: f64 = Key::prop("connection_throttle_drop_decrease", Real, "0.002", Now),
        "Step by which the dropping probability shrinks while tokens are plenty.";
    connection_throttle_decrease_ratio: f64 = Key::prop("connection_throttle_decrease_ratio", Real, "0", Now),
        "Share of tokens above which the dropping probability shrinks.";
    connection_throttle_weight_enabled: bool = Key::prop("connection_throttle_weight_enabled", Truth, "false", Now),
        "Whether kinds of sessions cost different numbers of tokens.";
    connection_throttle_global_session_weight: i32 =
        Key::prop("connection_throttle_global_session_weight", IntOrDefault, "3", Now),
        "Tokens for a new global session.";
    connection_throttle_local_session_weight: i32 =
        Key::prop("connection_throttle_local_session_weight", IntOrDefault, "1", Now),
        "Tokens for a new local session.";
    connection_throttle_renew_session_weight: i32 =
        Key::prop("connection_throttle_renew_session_weight", IntOrDefault, "2", Now),
        "Tokens for resuming a session.";
}
"Transaction log and snapshots" {
    snap_count: i32 = Key::prop("snapCount", IntOrDefault, "100000", Now).bound(RaisedTo(2)),
        "Transactions after which a snapshot is taken; the number used is random between half of it and all of it.";
    snap_size_limit_kb: i64 = Key::prop("snapSizeLimitInKb", IntOrDefault, "4194304", Now).unit(Kilobytes),
        "Size of the log after which a snapshot is taken, random likewise; 0 or less sets no limit.";
    prealloc_size_kb: i64 = Key::prop("preAllocSize", DecimalOrDefault, "65536", Now).unit(Kilobytes),
        "Piece by which a log file is allocated ahead.";
    txn_log_size_limit_kb: i64 = Key::prop("txnLogSizeLimitInKb", IntOrDefault, "-1", Now).unit(Kilobytes),
        "Size at which a new log file is begun; -1 sets no limit.";
    force_sync: bool = Key::prop("forceSync", UnlessNo, "yes", Now),
        "Whether a write is on disk before it is acknowledged; no risks acknowledged writes in a power cut.";
    fsync_warning_threshold_ms: i64 =
        Key::prop("fsync.warningthresholdms", IntOrDefault, "1000", Now).unit(Milliseconds)
        .alias("fsync.warningthresholdms"),
        "Duration of a disk sync from which a warning is logged.";
    flush_delay_ms: i64 = Key::prop("flushDelay", IntOrDefault, "0", Now).unit(Milliseconds),
        "How long a batch of writes may wait for company before it is synced; 0 does not wait.";
    max_write_queue_poll_time_ms: i64 = Key::prop("maxWriteQueuePollTime", IntOrDefault, "-1", Now).unit(Milliseconds)
        .otherwise("-1: a third of flushDelay"),
        "How long the log waits for the next write before it syncs; used with flushDelay.";
    max_batch_size: i32 = Key::prop("maxBatchSize", IntOrDefault, "1000", Now),
        "Most transactions synced at once; 0 sets no limit.";
    snapshot_compression: SnapshotCompression = Key::prop("snapshot.compression.method",
        ChoiceOrDefault(SnapshotCompression::WORDS), "", Now).otherwise("none"),
        "How snapshots are compressed.";
    snapshot_trust_empty: bool = Key::prop("snapshot.trust.empty", Truth, "false", Now),
        "Whether logs without any snapshot are trusted; for folders of very old versions only.";
    accept_damage: bool = Key::prop("txnLog.acceptDamage", Truth, "false", Now),
        "Whether to start although records behind a damaged one in a log are lost; for one start, after a backup.";
    digest_enabled: bool = Key::prop("digest.enabled", Truth, "true", Now),
        "Whether a digest of the tree is kept and compared.";
    serialize_last_processed_zxid_enabled: bool = Key::prop("serializeLastProcessedZxid.enabled", Truth, "true", Now),
        "Whether snapshots end with the last zxid they hold.";
    extended_types_enabled: bool = Key::prop("extendedTypesEnabled", Truth, "false", Now),
        "Whether TTL nodes may be made; myid must then be at most 254.";
    emulate_353_ttl_nodes: bool = Key::prop("emulate353TTLNodes", Truth, "false", Now),
        "Whether TTL nodes in files of version 3.5.3 are read as that version wrote them.";
    commit_log_count: i32 = Key::prop("commitLogCount", DecimalOrDefault, "500", Now).bound(RaisedTo(500)),
        "Latest transactions kept in memory for followers that are a little behind, and for digests.";
    autopurge_snap_retain_count: i32 = Key::cfg("autopurge.snapRetainCount", Int, "3", Now).bound(RaisedTo(3)),
        "Snapshots that purging keeps, with the logs they need.";
    autopurge_purge_interval_hours: i32 = Key::cfg("autopurge.purgeInterval", Int, "0", Now).unit(Hours),
        "Interval of purging old snapshots and logs; 0 or less never purges.";
}
"Containers and TTL nodes" {
    container_check_interval_ms: Millis = Key::system("znode.container.checkIntervalMs", IntOrDefault, "60000", Now)
        .unit(Milliseconds),
        "Interval of looking for empty containers and expired TTL nodes.";
    container_max_per_minute: i32 = Key::system("znode.container.maxPerMinute", IntOrDefault, "10000", Now),
        "Containers and TTL nodes removed in a minute at most.";
    container_max_never_used_interval_ms: i64 =
        Key::system("znode.container.maxNeverUsedIntervalMs", IntOrDefault, "0", Now).unit(Milliseconds),
        "Age at which a container that never had a child is removed; 0 keeps it.";
}
"Access control" {
    skip_acl: bool = Key::prop("skipACL", OnlyYes, "no", Now),
        "Whether ACLs are not checked at all.";
    enable_eager_acl_check: bool = Key::prop("enableEagerACLCheck", Truth, "false", Ensemble),
        "Whether a member of an ensemble checks ACLs before it asks the leader.";
    digest_auth_enabled: bool = Key::prop("DigestAuthenticationProvider.enabled", Truth, "true", Now),
        "Whether the scheme digest exists.";
    digest_auth_algorithm: String = Key::prop("DigestAuthenticationProvider.digestAlg", Text, "SHA1", Now),
        "Hash of the scheme digest.";
    super_digest: Option<SecretText> = Key::prop("DigestAuthenticationProvider.superDigest", Secret, "", Now)
        .otherwise("no super user"),
        "user:hash of the super user of the scheme digest, who is never refused.";
    enforce_auth_enabled: bool = Key::prop("enforce.auth.enabled", Truth, "false", Now),
        "Whether clients must authenticate with one of enforce.auth.schemes before any request.";
    enforce_auth_schemes: Vec<String> = Key::prop("enforce.auth.schemes", List, "", Now).otherwise("none"),
        "Schemes that enforce.auth.enabled accepts.";
    session_require_sasl: bool = Key::prop("sessionRequireClientSASLAuth", Truth, "false", Now),
        "Whether clients must authenticate with SASL before any request.";
    allow_sasl_failed_clients: bool = Key::prop("allowSaslFailedClients", Truth, "false", Security),
        "Whether a client whose SASL authentication failed keeps its connection.";
    ip_auth_use_x_forwarded_for: bool =
        Key::prop("IPAuthenticationProvider.usexforwardedfor", Truth, "false", Operations),
        "Whether the admin server takes a client's address from X-Forwarded-For; here it never does.";
    ensemble_auth_names: Vec<String> = Key::prop("ensembleAuthName", List, "", Security).otherwise("none"),
        "Names of this ensemble that clients of the scheme ensemble may expect.";
}
"Commands, metrics and audit" {
    four_letter_word_whitelist: Vec<String> = Key::prop("4lw.commands.whitelist", List, "srvr", Now),
        "Four-letter words that are answered; * answers all.";
    slow_request_threshold_ms: i64 = Key::prop("slowRequest.threshold", IntOrDefault, "0", Now).unit(Milliseconds),
        "Duration of a request from which a warning is logged, a few each second at most; 0 logs none.";
    top_talkers_enabled: bool = Key::prop("topTalkers.enabled", Truth, "true", Now),
        "Whether it is counted who loads the server, by session, address, identity, path and operation.";
    top_talkers_half_life_ms: Millis = Key::prop("topTalkers.halfLife", IntOrDefault, "60000", Now)
        .unit(Milliseconds).bound(RaisedTo(1000)),
        "Time after which what a client did counts half.";
    top_talkers_prefix_depth: i32 = Key::prop("topTalkers.prefixDepth", IntOrDefault, "2", Now).bound(RaisedTo(1)),
        "How many names of a path are counted as one place.";
    metrics_provider_class: String =
        Key::cfg("metricsProvider.className", Choice(METRICS_PROVIDERS), METRICS_PROVIDERS[0], Now),
        "How metrics are shown: the original's names of its default, null and Prometheus providers.";
    metrics_http_host: String = Key::cfg("metricsProvider.httpHost", Host, "0.0.0.0", Now),
        "Address of the Prometheus page.";
    metrics_http_port: u16 = Key::cfg("metricsProvider.httpPort", DecimalOrDefault, "7000", Now),
        "Port of the Prometheus page.";
    metrics_export_jvm_info: bool = Key::cfg("metricsProvider.exportJvmInfo", Truth, "true", Now),
        "Whether the Prometheus page shows the process as well.";
    audit_enable: bool = Key::prop("audit.enable", Truth, "false", Now),
        "Whether changes are written to the audit log.";
    audit_file: Option<PathBuf> = Key::prop("audit.file", Path, "", Now).otherwise("among the server's own log lines"),
        "File of the audit log.";
    audit_format: AuditFormat = Key::prop("audit.format", Choice(AuditFormat::WORDS), "text", Now),
        "Lines of the audit log: text has the original's keys and values, json an object with the same.";
    audit_file_size_kb: i64 = Key::prop("audit.fileSizeInKb", IntOrDefault, "10240", Now).unit(Kilobytes)
        .bound(RaisedTo(1)),
        "Size at which audit.file is renamed to audit.file.1, and that to audit.file.2.";
    audit_file_count: i32 = Key::prop("audit.fileCount", IntOrDefault, "10", Now).bound(RaisedTo(1)),
        "Renamed audit files that are kept.";
    admin_enable_server: bool = Key::prop("admin.enableServer", UnlessFalse, "true", Now),
        "Whether the admin server runs.";
    admin_server_address: String = Key::prop("admin.serverAddress", Host, "0.0.0.0", Now),
        "Address of the admin server.";
    admin_server_port: u16 = Key::prop("admin.serverPort", IntOrDefault, "8080", Now),
        "Port of the admin server.";
    admin_idle_timeout_ms: Millis =
        Key::prop("admin.idleTimeout", IntOrDefault, "30000", Now).unit(Milliseconds),
        "How long a connection to the admin server may be idle.";
    admin_command_url: String = Key::prop("admin.commandURL", Text, "/commands", Now),
        "Path of the admin server's commands.";
    admin_http_version: i32 = Key::prop("admin.httpVersion", IntOrDefault, "11", Security),
        "HTTP version of the admin server, 11 or 20.";
    admin_port_unification: bool = Key::prop("admin.portUnification", Truth, "false", Security),
        "Whether the admin server takes HTTP and HTTPS on its port.";
    admin_force_https: bool = Key::prop("admin.forceHttps", Truth, "false", Security),
        "Whether the admin server takes HTTPS only; it stays off until there is TLS.";
    admin_need_client_auth: bool = Key::prop("admin.needClientAuth", Truth, "false", Security),
        "Whether the admin server asks for a client certificate.";
    admin_rate_limiter_interval_ms: Millis = Key::prop("admin.rateLimiterIntervalInMS", Int, "300000", Now)
        .unit(Milliseconds),
        "Interval in which restore is done once at most, and snapshot 1,000 times.";
    admin_snapshot_enabled: bool = Key::prop("admin.snapshot.enabled", Truth, "true", Now),
        "Whether the admin server takes snapshots.";
    admin_restore_enabled: bool = Key::prop("admin.restore.enabled", Truth, "true", Now),
        "Whether the admin server restores snapshots.";
    admin_page_enabled: bool = Key::prop("admin.page.enabled", UnlessFalse, "true", Now),
        "Whether the admin server has a web page at its root, with a tree that shows what its visitor may read.";
}
"TLS for clients" {
    client_cert_reload: bool = Key::prop("client.certReload", Truth, "false", Security),
        "Whether changed key and trust stores are taken up while running.";
    fips_mode: bool = Key::prop("fips-mode", Truth, "true", Security),
        "Whether host names are checked by the standard rules only.";
    ssl_key_store_location: Option<PathBuf> = Key::prop("ssl.keyStore.location", Path, "", Security),
        "File with the server's key and certificates.";
    ssl_key_store_password: Option<SecretText> = Key::prop("ssl.keyStore.password", Secret, "", Security),
        "Password of the key store.";
    ssl_key_store_password_path: Option<PathBuf> = Key::prop("ssl.keyStore.passwordPath", Path, "", Security),
        "File that holds the password of the key store.";
    ssl_key_store_type: Option<StoreType> = Key::prop("ssl.keyStore.type", Choice(StoreType::WORDS), "", Security)
        .otherwise("by the ending of the file's name"),
        "Kind of the key store.";
    ssl_trust_store_location: Option<PathBuf> = Key::prop("ssl.trustStore.location", Path, "", Security),
        "File with the certificates that are trusted.";
    ssl_trust_store_password: Option<SecretText> = Key::prop("ssl.trustStore.password", Secret, "", Security),
        "Password of the trust store.";
    ssl_trust_store_password_path: Option<PathBuf> = Key::prop("ssl.trustStore.passwordPath", Path, "", Security),
        "File that holds the password of the trust store.";
    ssl_trust_store_type: Option<StoreType> = Key::prop("ssl.trustStore.type", Choice(StoreType::WORDS), "", Security)
        .otherwise("by the ending of the file's name"),
        "Kind of the trust store.";
    ssl_protocol: String = Key::prop("ssl.protocol", Text, "TLSv1.3", Security),
        "TLS version.";
    ssl_enabled_protocols: Vec<String> =
        Key::prop("ssl.enabledProtocols", List, "", Security).otherwise("ssl.protocol alone"),
        "TLS versions that are accepted.";
    ssl_cipher_suites: Vec<String> = Key::prop("ssl.ciphersuites", List, "", Security).otherwise("a built-in list"),
        "Cipher suites, by their Java names.";
    ssl_context_supplier_class: Option<String> = Key::prop("ssl.context.supplier.class", Class, "", JvmOnly),
        "Java class that makes the TLS context.";
    ssl_hostname_verification: bool = Key::prop("ssl.hostnameVerification", Truth, "true", Security),
        "Whether the names in certificates are checked at all.";
    ssl_client_hostname_verification: bool = Key::prop("ssl.clientHostnameVerification", Truth, "false", Security),
        "Whether the host of a client must be named in its certificate.";
    ssl_allow_reverse_dns_lookup: bool = Key::prop("ssl.allowReverseDnsLookup", Truth, "false", Security),
        "Whether an address that is not in a certificate is looked up to find a name that is.";
    ssl_crl: bool = Key::prop("ssl.crl", Truth, "false", Security),
        "Whether revocation lists are asked.";
    ssl_ocsp: bool = Key::prop("ssl.ocsp", Truth, "false", Security),
        "Whether revocation is asked by OCSP.";
    ssl_client_auth: ClientAuth = Key::prop("ssl.clientAuth", Choice(ClientAuth::WORDS), "need", Security),
        "Whether clients must show a certificate.";
    ssl_handshake_detection_timeout_ms: Millis =
        Key::prop("ssl.handshakeDetectionTimeoutMillis", IntOrDefault, "5000", Security)
        .unit(Milliseconds),
        "How long the first bytes are waited for when plain and TLS share a port.";
    ssl_provider: String = Key::prop("ssl.sslProvider", Choice(&["JDK", "OPENSSL", "OPENSSL_REFCNT"]), "JDK", JvmOnly),
        "TLS implementation of the original.";
    netty_outstanding_handshake_limit: i32 =
        Key::prop("netty.server.outstandingHandshake.limit", IntOrDefault, "-1", Security),
        "TLS handshakes at once; -1 sets no limit.";
    netty_early_drop_secure_connection_handshakes: bool =
        Key::prop("netty.server.earlyDropSecureConnectionHandshakes", Truth, "false", Security),
        "Whether TLS connections are dropped before the handshake while the server is not serving.";
    ssl_auth_provider: String = Key::prop("ssl.authProvider", Text, "x509", Security),
        "Scheme that turns a client's certificate into its ids.";
    x509_super_user: Option<String> = Key::prop("X509AuthenticationProvider.superUser", Text, "", Security),
        "Name of the super user of the scheme x509.";
}
"SASL and Kerberos" {
    jaas_config_file: Option<PathBuf> = Key::system("java.security.auth.login.config", Path, "", Security),
        "JAAS file with the logins of the server.";
    sasl_server_config: String = Key::prop("sasl.serverconfig", Text, "Server", Security),
        "Section of the JAAS file for client connections.";
    sasl_super_password: Option<SecretText> =
        Key::prop("SASLAuthenticationProvider.superPassword", Secret, "", Security),
        "Password of the SASL user super.";
    let_any_sasl_user_do_x: Option<String> = Key::prop("letAnySaslUserDoX", Text, "", Security),
        "An ACL id of the scheme sasl that fits every SASL user.";
    kerberos_remove_host: bool = Key::prop("kerberos.removeHostFromPrincipal", Truth, "false", Security),
        "Whether the host is cut from a Kerberos name.";
    kerberos_remove_realm: bool = Key::prop("kerberos.removeRealmFromPrincipal", Truth, "false", Security),
        "Whether the realm is cut from a Kerberos name.";
    kerberos_canonicalize_host_names: bool = Key::prop("kerberos.canonicalizeHostNames", Truth, "false", Security),
        "Whether the hosts of members are looked up for their canonical names.";
    kerberos_auth_to_local: String = Key::prop("security.auth_to_local", Text, "DEFAULT", Security),
        "Rules that make short names of Kerberos names.";
    require_kerberos_config: bool = Key::prop("requireKerberosConfig", ExactTrue, "false", Security),
        "Whether a missing Kerberos configuration refuses to start.";
    server_realm: Option<String> = Key::prop("server.realm", Text, "", Security).otherwise("that of the server's name"),
        "Realm of the server's Kerberos name.";
}
"Ensemble" {
    init_limit_ticks: i32 =
        Key::cfg("initLimit", Int, "0", Now).unit(Ticks).otherwise("0: must be set in an ensemble"),
        "Time a follower has to connect and catch up.";
    sync_limit_ticks: i32 =
        Key::cfg("syncLimit", Int, "0", Now).unit(Ticks).otherwise("0: must be set in an ensemble"),
        "Time a follower may be silent.";
    connect_to_learner_master_limit_ticks: i32 = Key::cfg("connectToLearnerMasterLimit", Int, "0", Ensemble).unit(Ticks)
        .otherwise("0: initLimit"),
        "Time a learner has to connect to the leader.";
    peer_type: PeerType = Key::cfg("peerType", Choice(PeerType::WORDS), "participant", Now),
        "Whether this member votes; the list of servers wins.";
    election_alg: i32 = Key::cfg("electionAlg", Int, "3", Ensemble).bound(Only(3)),
        "Algorithm of the election; 3 is the only one.";
    standalone_enabled: bool = Key::cfg("standaloneEnabled", Bool, "true", Now),
        "Whether a single listed server runs standalone; false makes it an ensemble of one.";
    reconfig_enabled: bool = Key::cfg("reconfigEnabled", Bool, "false", Now),
        "Whether members may be changed while running.";
    dynamic_config_file: Option<PathBuf> = Key::cfg("dynamicConfigFile", Path, "", Now),
        "File with the server, group and weight lines, which then must not stand in zoo.cfg.";
    leader_serves: bool = Key::prop("leaderServes", UnlessNo, "yes", Ensemble),
        "Whether the leader serves clients.";
    quorum_listen_on_all_ips: bool = Key::cfg("quorumListenOnAllIPs", Bool, "false", Now),
        "Whether the ports for other members listen on all addresses.";
    sync_enabled: bool = Key::cfg("syncEnabled", Bool, "true", Ensemble),
        "Whether observers write the transaction log and snapshots.";
    observer_sync_enabled: Option<bool> =
        Key::prop("observer.syncEnabled", Truth, "", Ensemble).otherwise("syncEnabled"),
        "The same as syncEnabled, and stronger.";
    observer_master_port: i32 = Key::cfg("observerMasterPort", Int, "0", Now),
        "Port on which a follower serves observers, and on which observers look for one; 0: observers follow the leader.";
    multi_address_enabled: bool = Key::both("multiAddress.enabled", Bool, "false", Ensemble),
        "Whether a member may have several addresses, separated by a vertical bar.";
    multi_address_reachability_check_enabled: bool =
        Key::both("multiAddress.reachabilityCheckEnabled", Bool, "true", Ensemble),
        "Whether the addresses of a member are tried before one is chosen.";
    multi_address_reachability_check_timeout_ms: Millis =
        Key::both("multiAddress.reachabilityCheckTimeoutMs", Int, "1000", Ensemble).unit(Milliseconds),
        "How long that trial may take.";
    oracle_path: Option<PathBuf> = Key::cfg("oraclePath", Path, "", Ensemble),
        "File of the oracle that decides for an ensemble of two.";
    ssl_quorum: bool = Key::cfg("sslQuorum", Bool, "false", Security),
        "Whether members talk to each other in TLS.";
    port_unification: bool = Key::cfg("portUnification", Bool, "false", Security),
        "Whether members take both plain and TLS from each other, to change over.";
    ssl_quorum_reload_cert_files: bool = Key::cfg("sslQuorumReloadCertFiles", Bool, "false", Security),
        "Whether changed stores of the members' TLS are taken up while running.";
    quorum_auth_enable_sasl: bool = Key::cfg("quorum.auth.enableSasl", Bool, "false", Security),
        "Whether members authenticate to each other.";
    quorum_auth_learner_require_sasl: bool = Key::cfg("quorum.auth.learnerRequireSasl", Bool, "false", Security),
        "Whether a learner insists on it; needs quorum.auth.enableSasl.";
    quorum_auth_server_require_sasl: bool = Key::cfg("quorum.auth.serverRequireSasl", Bool, "false", Security),
        "Whether a server insists on it; needs quorum.auth.learnerRequireSasl.";
    quorum_auth_learner_login_context: String =
        Key::cfg("quorum.auth.learner.saslLoginContext", Text, "QuorumLearner", Security),
        "Section of the JAAS file for a learner.";
    quorum_auth_server_login_context: String =
        Key::cfg("quorum.auth.server.saslLoginContext", Text, "QuorumServer", Security),
        "Section of the JAAS file for a server.";
    quorum_auth_kerberos_service_principal: String =
        Key::cfg("quorum.auth.kerberos.servicePrincipal", Text, "zkquorum/localhost", Security),
        "Kerberos name that members use.";
    quorum_cnxn_threads_size: i32 = Key::cfg("quorum.cnxn.threads.size", Int, "20", Ensemble),
        "Members that are connected to at once.";
}
"Ensemble, fine tuning" {
    tcp_keep_alive: bool = Key::prop("tcpKeepAlive", Truth, "false", Now),
        "Whether the system probes idle election connections.";
    follower_nodelay: bool = Key::system("follower.nodelay", ExactTrue, "true", Ensemble),
        "Whether a follower sends without waiting for full packets.";
    leader_nodelay: bool = Key::system("leader.nodelay", ExactTrue, "true", Ensemble),
        "Whether a leader sends without waiting for full packets.";
    cnx_timeout_ms: Millis = Key::prop("cnxTimeout", Int, "5000", Now).unit(Milliseconds),
        "How long an election connection may take to open.";
    quorum_cnxn_timeout_ms: Millis = Key::prop("quorumCnxnTimeoutMs", IntOrDefault, "-1", Now).unit(Milliseconds),
        "How long a read from another member may take; -1 is syncLimit.";
    election_port_bind_retry: i32 = Key::prop("electionPortBindRetry", IntOrDefault, "3", Now),
        "Attempts at listening on the election port; 0 never gives up.";
    fastleader_min_notification_interval_ms: Millis =
        Key::prop("fastleader.minNotificationInterval", IntOrDefault, "200", Now).unit(Milliseconds),
        "First wait for votes in an election.";
    fastleader_max_notification_interval_ms: Millis =
        Key::prop("fastleader.maxNotificationInterval", IntOrDefault, "60000", Now).unit(Milliseconds),
        "Longest wait for votes in an election.";
    leader_max_concurrent_snap_syncs: i32 = Key::prop("leader.maxConcurrentSnapSyncs", IntOrDefault, "10", Ensemble),
        "Followers that are sent a snapshot at once.";
    leader_max_concurrent_diff_syncs: i32 = Key::prop("leader.maxConcurrentDiffSyncs", IntOrDefault, "100", Ensemble),
        "Followers that are sent missing transactions at once.";
    leader_max_time_to_wait_for_epoch_ms: Millis =
        Key::prop("leader.maxTimeToWaitForEpoch", IntOrDefault, "-1", Now)
        .unit(Milliseconds),
        "How long a new leader waits for the epoch; -1 is initLimit.";
    leader_ack_logging_frequency: i32 = Key::prop("leader.ackLoggingFrequency", IntOrDefault, "1000", Now),
        "Acknowledgements of which one is measured.";
    leader_close_socket_async: bool = Key::prop("leader.closeSocketAsync", Truth, "false", Ensemble),
        "Whether the leader closes connections in the background.";
    learner_async_sending: bool = Key::prop("learner.asyncSending", Truth, "false", Ensemble),
        "Whether a learner sends in the background.";
    learner_close_socket_async: bool = Key::prop("learner.closeSocketAsync", Truth, "false", Ensemble),
        "Whether a learner closes its connection in the background.";
    leader_connect_delay_during_retry_ms: Millis =
        Key::prop("leaderConnectDelayDuringRetryMs", IntOrDefault, "100", Ensemble).unit(Milliseconds),
        "Pause between attempts to connect to the leader.";
    observer_reconnect_delay_ms: i64 =
        Key::prop("observer.reconnectDelayMs", IntOrDefault, "0", Ensemble).unit(Milliseconds),
        "Pause before an observer connects again.";
    observer_election_delay_ms: i64 = Key::prop("observer.election.DelayMs", IntOrDefault, "200", Ensemble)
        .unit(Milliseconds),
        "Pause before an observer looks for the leader again.";
    observer_master_size_limit: i32 =
        Key::prop("observerMaster.sizeLimit", IntOrDefault, "33554432", Ensemble).unit(Bytes),
        "Bytes of recent transactions a follower keeps for its observers.";
    force_snapshot_sync: bool = Key::prop("forceSnapshotSync", Truth, "false", Ensemble),
        "Whether followers are always sent a whole snapshot; for tests.";
    snapshot_size_factor: f64 = Key::prop("snapshotSizeFactor", RealOrDefault, "0.33", Ensemble),
        "Share of a snapshot's size up to which missing transactions are sent from the log instead.";
    follower_skip_learner_request: bool =
        Key::prop("follower.skipLearnerRequestToNextProcessor", Truth, "false", Ensemble),
        "Whether a follower keeps its observers' requests out of its own queue.";
    forward_learner_requests_disabled: bool =
        Key::prop("forward_learner_requests_to_commit_processor_disabled", Truth, "false", Ensemble),
        "Whether a leader keeps its learners' requests out of its own queue.";
    commit_processor_num_worker_threads: Option<i32> =
        Key::prop("commitProcessor.numWorkerThreads", IntOrDefault, "", JvmOnly).otherwise("the number of cores"),
        "Threads of the original that answer reads.";
    commit_processor_max_read_batch_size: i32 =
        Key::prop("commitProcessor.maxReadBatchSize", IntOrDefault, "-1", JvmOnly),
        "Reads the original answers before it looks for commits.";
    commit_processor_max_commit_batch_size: i32 =
        Key::prop("commitProcessor.maxCommitBatchSize", IntOrDefault, "1", JvmOnly),
        "Commits the original does before it looks for reads.";
    commit_processor_shutdown_timeout_ms: i64 =
        Key::prop("commitProcessor.shutdownTimeout", IntOrDefault, "5000", JvmOnly).unit(Milliseconds),
        "How long the original waits for these threads at its end.";
}
"TLS between members" {
    ssl_quorum_key_store_location: Option<PathBuf> = Key::prop("ssl.quorum.keyStore.location", Path, "", Security),
        "File with the member's key and certificates.";
    ssl_quorum_key_store_password: Option<SecretText> = Key::prop("ssl.quorum.keyStore.password", Secret, "", Security),
        "Password of the key store.";
    ssl_quorum_key_store_password_path: Option<PathBuf> =
        Key::prop("ssl.quorum.keyStore.passwordPath", Path, "", Security),
        "File that holds the password of the key store.";
    ssl_quorum_key_store_type: Option<StoreType> =
        Key::prop("ssl.quorum.keyStore.type", Choice(StoreType::WORDS), "", Security)
        .otherwise("by the ending of the file's name"),
        "Kind of the key store.";
    ssl_quorum_trust_store_location: Option<PathBuf> = Key::prop("ssl.quorum.trustStore.location", Path, "", Security),
        "File with the certificates that are trusted.";
    ssl_quorum_trust_store_password: Option<SecretText> =
        Key::prop("ssl.quorum.trustStore.password", Secret, "", Security),
        "Password of the trust store.";
    ssl_quorum_trust_store_password_path: Option<PathBuf> =
        Key::prop("ssl.quorum.trustStore.passwordPath", Path, "", Security),
        "File that holds the password of the trust store.";
    ssl_quorum_trust_store_type: Option<StoreType> =
        Key::prop("ssl.quorum.trustStore.type", Choice(StoreType::WORDS), "", Security)
        .otherwise("by the ending of the file's name"),
        "Kind of the trust store.";
    ssl_quorum_protocol: String = Key::prop("ssl.quorum.protocol", Text, "TLSv1.3", Security),
        "TLS version.";
    ssl_quorum_enabled_protocols: Vec<String> = Key::prop("ssl.quorum.enabledProtocols", List, "", Security)
        .otherwise("the versions of the TLS library"),
        "TLS versions that are accepted.";
    ssl_quorum_cipher_suites: Vec<String> = Key::prop("ssl.quorum.ciphersuites", List, "", Security)
        .otherwise("a built-in list"),
        "Cipher suites, by their Java names.";
    ssl_quorum_context_supplier_class: Option<String> =
        Key::prop("ssl.quorum.context.supplier.class", Class, "", JvmOnly),
        "Java class that makes the TLS context.";
    ssl_quorum_hostname_verification: bool = Key::prop("ssl.quorum.hostnameVerification", Truth, "true", Security),
        "Whether the names in certificates are checked at all.";
    ssl_quorum_client_hostname_verification: bool =
        Key::prop("ssl.quorum.clientHostnameVerification", Truth, "true", Security),
        "Whether the host of a connecting member must be named in its certificate.";
    ssl_quorum_allow_reverse_dns_lookup: bool = Key::prop("ssl.quorum.allowReverseDnsLookup", Truth, "true", Security),
        "Whether an address that is not in a certificate is looked up to find a name that is.";
    ssl_quorum_crl: bool = Key::prop("ssl.quorum.crl", Truth, "false", Security),
        "Whether revocation lists are asked.";
    ssl_quorum_ocsp: bool = Key::prop("ssl.quorum.ocsp", Truth, "false", Security),
        "Whether revocation is asked by OCSP.";
    ssl_quorum_client_auth: ClientAuth =
        Key::prop("ssl.quorum.clientAuth", Choice(ClientAuth::WORDS), "need", Security),
        "Whether connecting members must show a certificate.";
    ssl_quorum_handshake_detection_timeout_ms: Millis =
        Key::prop("ssl.quorum.handshakeDetectionTimeoutMillis", IntOrDefault, "5000", Security).unit(Milliseconds),
        "How long the first bytes are waited for when plain and TLS share a port.";
}
"Accepted, for Java only" {
    watch_manager_name: String = Key::prop("watchManagerName", Choice(WATCH_MANAGERS), WATCH_MANAGERS[0], Now),
        "Accepted for the sake of old files: both of the original's watch managers mean the one table here.";
    watcher_clean_threshold: i32 = Key::prop("watcherCleanThreshold", IntOrDefault, "1000", JvmOnly),
        "Closed watchers that start a cleaning of the original's optimized watch manager.";
    watcher_clean_interval_s: i32 =
        Key::prop("watcherCleanIntervalInSeconds", IntOrDefault, "600", JvmOnly).unit(Seconds),
        "Interval of cleaning it.";
    watcher_clean_threads_num: i32 = Key::prop("watcherCleanThreadsNum", IntOrDefault, "2", JvmOnly),
        "Threads that clean it.";
    max_in_processing_dead_watchers: i32 = Key::prop("maxInProcessingDeadWatchers", IntOrDefault, "-1", JvmOnly),
        "Closed watchers above which it makes closing wait.";
    bit_hash_cache_size: i32 = Key::prop("bitHashCacheSize", IntOrDefault, "10", JvmOnly),
        "Entries of a cache in it.";
    jvm_pause_monitor: bool = Key::cfg("jvm.pause.monitor", Bool, "false", JvmOnly),
        "Whether pauses of the virtual machine are measured.";
    jvm_pause_warn_threshold_ms: i64 =
        Key::cfg("jvm.pause.warn-threshold.ms", Int, "10000", JvmOnly).unit(Milliseconds),
        "Pause from which a warning is logged.";
    jvm_pause_info_threshold_ms: i64 = Key::cfg("jvm.pause.info-threshold.ms", Int, "1000", JvmOnly).unit(Milliseconds),
        "Pause from which a line is logged.";
    jvm_pause_sleep_time_ms: i64 = Key::cfg("jvm.pause.sleep.time.ms", Int, "500", JvmOnly).unit(Milliseconds),
        "Interval of measuring.";
    nio_num_selector_threads: Option<i32> = Key::prop("nio.numSelectorThreads", IntOrDefault, "", JvmOnly)
        .otherwise("the root of half the cores"),
        "Threads that watch sockets.";
    nio_num_worker_threads: Option<i32> = Key::prop("nio.numWorkerThreads", IntOrDefault, "", JvmOnly)
        .otherwise("twice the cores"),
        "Threads that read and write sockets.";
    nio_direct_buffer_bytes: i32 = Key::prop("nio.directBufferBytes", IntOrDefault, "65536", JvmOnly).unit(Bytes),
        "Size of a write buffer.";
    nio_shutdown_timeout_ms: i64 = Key::prop("nio.shutdownTimeout", IntOrDefault, "5000", JvmOnly).unit(Milliseconds),
        "How long socket threads are waited for at the end.";
    netty_advanced_flow_control_enabled: bool = Key::prop("netty.advancedFlowControl.enabled", Truth, "false", JvmOnly),
        "Another way of slowing connections down.";
    max_response_cache_size: i32 = Key::prop("maxResponseCacheSize", IntOrDefault, "400", JvmOnly),
        "Encoded nodes that are kept.";
    max_get_children_response_cache_size: i32 =
        Key::prop("maxGetChildrenResponseCacheSize", IntOrDefault, "400", JvmOnly),
        "Encoded child lists that are kept.";
    int_buffer_starting_size_bytes: i32 = Key::prop("intBufferStartingSizeBytes", IntOrDefault, "1024", JvmOnly)
        .unit(Bytes).bound(AtLeast(32)),
        "First size of a buffer; at least 32.";
    audit_impl_class: Option<String> =
        Key::prop("audit.impl.class", Class, "", JvmOnly).otherwise("the one to the log"),
        "Java class that writes the audit log.";
    message_tracker_buffer_size: i32 = Key::prop("messageTracker.BufferSize", IntOrDefault, "10", JvmOnly),
        "Packets between members that are kept for debugging.";
    message_tracker_enabled: bool = Key::prop("messageTracker.Enabled", Truth, "false", JvmOnly),
        "Whether packets between members are kept for debugging.";
    path_stats_enabled: bool = Key::prop("pathStats.enabled", Truth, "false", JvmOnly),
        "Whether the most used paths are logged.";
    path_stats_slot_capacity: i32 = Key::prop("pathStats.slotCapacity", IntOrDefault, "60", JvmOnly),
        "Slots of these statistics.";
    path_stats_slot_duration_s: i32 = Key::prop("pathStats.slotDuration", IntOrDefault, "15", JvmOnly).unit(Seconds),
        "Length of a slot.";
    path_stats_max_depth: i32 = Key::prop("pathStats.maxDepth", IntOrDefault, "6", JvmOnly),
        "Depth to which paths are told apart.";
    path_stats_initial_delay_min: i64 = Key::prop("pathStats.initialDelay", IntOrDefault, "5", JvmOnly).unit(Minutes),
        "Pause before the first line.";
    path_stats_delay_min: i64 = Key::prop("pathStats.delay", IntOrDefault, "5", JvmOnly).unit(Minutes),
        "Pause between lines.";
    path_stats_top_path_max: i32 = Key::prop("pathStats.topPathMax", IntOrDefault, "20", JvmOnly),
        "Paths in a line.";
    path_stats_sample_rate: f64 = Key::prop("pathStats.sampleRate", Real, "0.1", JvmOnly),
        "Share of requests that is looked at.";
    jmx_log4j_disable: bool = Key::prop("jmx.log4j.disable", Truth, "false", JvmOnly),
        "Whether the log is kept out of JMX.";
    jmx_log4j_mbean: String = Key::prop("jmx.log4j.mbean", Text, "log4j:hierarchy=default", JvmOnly),
        "Name of the log in JMX.";
    kinit: Option<PathBuf> = Key::prop("kinit", Path, "", JvmOnly).otherwise("the system's own"),
        "Program that renews a Kerberos ticket.";
    kerberos_min_re_login_time_ms: i64 = Key::prop("kerberos.minReLoginTimeMs", IntOrDefault, "60000", JvmOnly)
        .unit(Milliseconds),
        "Shortest pause between Kerberos logins.";
    sun_security_jgss_native: bool = Key::system("sun.security.jgss.native", Truth, "false", JvmOnly),
        "Whether the system's Kerberos library is used.";
    controller_port: Option<u16> = Key::prop("controllerPort", Int, "", JvmOnly),
        "Port of the original's test controller.";
    test_allow_discontinuous_proposals: bool = Key::prop("test.allowDiscontinuousProposals", Truth, "false", JvmOnly),
        "For the original's own tests.";
    testing_initial_zxid: Option<i64> = Key::prop("testingonly.initialZxid", IntOrDefault, "", JvmOnly),
        "For the original's own tests.";
    metrics_num_worker_threads: i32 = Key::cfg("metricsProvider.numWorkerThreads", DecimalOrDefault, "1", JvmOnly),
        "Threads that feed the Prometheus page.";
    metrics_max_queue_size: i32 = Key::cfg("metricsProvider.maxQueueSize", DecimalOrDefault, "1000000", JvmOnly),
        "Updates that may wait for these threads.";
    metrics_worker_shutdown_timeout_ms: i64 =
        Key::cfg("metricsProvider.workerShutdownTimeoutMs", DecimalOrDefault, "1000", JvmOnly)
        .unit(Milliseconds),
        "How long these threads are waited for at the end.";
}
"Accepted, for clients only" {
    client_secure: bool = Key::prop("client.secure", Truth, "false", ClientOnly),
        "Whether a client connects with TLS.";
    client_cnxn_socket: String = Key::prop("clientCnxnSocket", Class, "ClientCnxnSocketNIO", ClientOnly),
        "Socket class of a client.";
    client_request_timeout_ms: i64 = Key::prop("request.timeout", IntOrDefault, "0", ClientOnly).unit(Milliseconds),
        "How long a client waits for an answer; 0 waits on.";
    disable_auto_watch_reset: bool = Key::prop("disableAutoWatchReset", Truth, "false", ClientOnly),
        "Whether a client does not set its watches again after it reconnects.";
    sasl_client: bool = Key::prop("sasl.client", Truth, "true", ClientOnly),
        "Whether a client tries SASL.";
    sasl_client_config: String = Key::prop("sasl.clientconfig", Text, "Client", ClientOnly),
        "Section of the JAAS file for a client.";
    sasl_client_username: String = Key::prop("sasl.client.username", Text, "zookeeper", ClientOnly),
        "First part of the server's Kerberos name, as clients expect it.";
    sasl_client_canonicalize_hostname: bool = Key::prop("sasl.client.canonicalize.hostname", Truth, "true", ClientOnly),
        "Whether a client looks the server's canonical name up.";
    server_principal: Option<String> = Key::prop("server.principal", Text, "", ClientOnly),
        "The server's Kerberos name, as clients expect it.";
}
}
