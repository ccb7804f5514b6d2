//! The server: threads, sockets and files around the pure core. The way of a request through these rooms is drawn in
//! `src/ARCHITECTURE.md`.

mod audit_log;
mod batch;
mod budgets;
mod counts;
mod election;
mod gate;
mod give_up;
mod http;
mod known;
mod leader;
mod learner;
mod limits;
mod link;
mod local;
mod log_thread;
mod mailbox;
mod measures;
mod member;
mod monitor;
mod pipeline;
mod quorum;
mod reactor_thread;
mod scrape;
mod snapshots;
mod strangers;
mod words;

#[cfg(test)]
mod promises;

pub use give_up::{DISK_WAS_FULL, start_over};

use crate::audit::{Operation, Result as AuditResult};
use crate::auth::Policy;
use crate::clock::Clock;
use crate::config::{ClientAddress, Config, SnapshotCompression};
use crate::engine::{Engine, MemberRules, Reaper, ReaperRules, Replay, Rules, SessionTable};
use crate::guard::PrefixRates;
use crate::jute::Encode;
use crate::metrics;
use crate::proto::records::PathRequest;
use crate::proto::{OpCode, Zxid, session};
use crate::reactor::Settings;
use crate::store::{self, Compression, Dirs, FolderLock, Fresh, LogOptions, LogWriter, RealDisk, StoreError};
use crate::talkers;
use crate::throttle::{ConnectionThrottle, ConnectionThrottleSettings, LargeRequests, RequestThrottle, SessionWeights};
use crate::tree::{OwnerRules, Tree};
use audit_log::AuditLog;
pub use http::AdminRefused;
use http::AdminServer;
use limits::Connections;
use log_thread::Log;
use measures::Measures;
use monitor::{LoadTimes, Monitor};
use pipeline::Pipeline;
use reactor_thread::ReactorShared;
use snapshots::{SnapshotOptions, Snapshotter};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::{Duration, Instant};
use words::Words;

/// Why a server cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The files.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The listener.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Address and port.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// A thread or a runtime.
    #[error("the operating system gives no {what}: {error}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// The port of the admin server.
    #[error("{0}\nUnable to start AdminServer, exiting abnormally")]
    Admin(AdminRefused),
    /// The audit log.
    #[error("cannot write the audit log {}: {error} (audit.file)", .path.display())]
    AuditLog {
        /// Its file.
        path: std::path::PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Something that this server cannot do yet.
    #[error("{0}")]
    Unsupported(String),
}

impl ServerError {
    /// The exit code of the original for this kind of failure.
    pub fn exit_code(&self) -> i32 {
        match self {
            ServerError::Store(error) => error.exit_code(),
            ServerError::Unsupported(_) => 2,
            ServerError::Admin(_) => 4,
            ServerError::Listen { .. } | ServerError::System { .. } | ServerError::AuditLog { .. } => 1,
        }
    }
}

/// Entries of each sketch of top talkers: who causes more than 1/256 of the load is never missed, and everybody's
/// figure is right to that.
const TALKERS_MAX: usize = 256;

/// A server that runs.
pub struct Server {
    pipeline: Arc<Pipeline>,
    address: SocketAddr,
    log_thread: std::thread::JoinHandle<Result<(), StoreError>>,
    admin: Option<AdminServer>,
    metrics: Option<SocketAddr>,
    /// How long what was accepted may take to be committed once the server ends.
    patience: Duration,
    /// Keeps other servers and tools away from the folders.
    _lock: FolderLock,
}

/// Refuses a configuration that [`Server::start`] would refuse; touches nothing.
pub fn check(config: &Config) -> Result<(), ServerError> {
    if config.is_quorum() {
        election::has_line(config)?;
        quorum::supported(config)?;
    }
    Ok(())
}

impl Server {
    /// Loads the data, listens and serves. Returns once clients can connect.
    pub fn start(config: &Config) -> Result<Server, ServerError> {
        let clock = Clock::default();
        check(config)?;
        let audit = AuditLog::open(config, clock)?.map(Arc::new);
        let server = Self::start_audited(config, clock, audit.clone());
        if let Some(audit) = audit {
            let result = if server.is_ok() { AuditResult::Success } else { AuditResult::Failure };
            audit.server(Operation::ServerStart, result);
            audit.flush();
        }
        server
    }

    fn start_audited(config: &Config, clock: Clock, audit: Option<Arc<AuditLog>>) -> Result<Server, ServerError> {
        let started = Instant::now();
        let policy = Arc::new(policy_of(config)?);
        let owners =
            OwnerRules { extended_types: config.extended_types_enabled, emulate_353: config.emulate_353_ttl_nodes };
        let dirs = Dirs::new(&config.data_dir, Some(&config.data_log_dir));
        let frame_max = usize::try_from(config.jute_max_buffer).unwrap_or(0);
        let field_max = frame_max.saturating_add(usize::try_from(config.jute_extra_size).unwrap_or(0));
        dirs.open(&RealDisk, config.datadir_autocreate)?;
        let lock = FolderLock::take(&dirs)?;
        let metrics_page = scrape::listen(config)?;
        let trace_mask = Arc::new(AtomicI64::new(words::TRACE_MASK));
        let admin = AdminServer::start(config, policy.clone(), trace_mask.clone())?;
        let (mut tree, fresh, loaded) = load(config, &dirs, owners, field_max)?;

        // A member leaves them to the leader's history.
        for session in if config.is_quorum() { Vec::new() } else { tree.orphaned_sessions() } {
            tracing::info!(
                session = format_args!("0x{session:x}"),
                "removing ephemerals of a session that no longer exists"
            );
            tree.drop_ephemerals(session);
        }
        // Session ids of a standalone server carry server id 1, as the original's do.
        let my_id = config.is_quorum().then_some(config.more.my_id).flatten();
        let first_id = session::first_id(my_id.unwrap_or(1) as u8, clock.wall_ms() as u64);
        let known = my_id.map(|me| known::Known::new(config, me).map(Arc::new)).transpose()?;
        if let Some(known) = &known {
            known.put_into(&mut tree, clock.wall_ms());
        }
        let mut sessions = SessionTable::new(i64::from(config.tick_time_ms), first_id);
        for (id, timeout_ms) in tree.sessions() {
            sessions.track(*id, *timeout_ms, clock.now_ms());
        }
        let rules = Rules {
            policy: policy.clone(),
            owners,
            enforce_quota: config.enforce_quota,
            digest: config.digest_enabled,
            close_session_paths: config.close_session_txn_enabled,
            reconfig: config.reconfig_enabled,
            member: my_id.map(|me| MemberRules {
                me: me as u8,
                local_sessions: config.local_sessions_enabled,
                upgrading: config.local_sessions_upgrading_enabled,
            }),
        };
        let zxid = tree.zxid();
        let engine = Engine::new(rules, sessions, &tree);
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        // One core is left to the log and what else runs beside the reactors.
        let reactors = cores.saturating_sub(1).clamp(1, pipeline::REACTORS_MAX);
        let throttle = ConnectionThrottle::new(connection_throttle(config), clock.now_ms());
        let mut pipeline = Pipeline::new(
            tree,
            engine,
            reactors,
            field_max,
            throttle,
            clock,
            my_id,
            usize::try_from(config.commit_log_count).unwrap_or(500),
        );
        pipeline.audit.clone_from(&audit);
        let pipeline = Arc::new(pipeline);

        pipeline.set_provider(monitor::provider_of(config));
        pipeline.set_ack_logging_frequency(i64::from(config.leader_ack_logging_frequency));
        let snapshot_options = SnapshotOptions {
            compression: match config.snapshot_compression {
                SnapshotCompression::None => Compression::None,
                SnapshotCompression::Gz => Compression::Gz,
                SnapshotCompression::Snappy => Compression::Snappy,
            },
            digest: config.digest_enabled,
            last_zxid: config.serialize_last_processed_zxid_enabled,
        };
        let measures = Arc::new(Measures::new(monitor::provider_of(config)));
        let snapshotter = Snapshotter::new(pipeline.clone(), dirs.clone(), snapshot_options, measures.clone());
        match fresh {
            // Without it a Java server would not trust the logs that follow.
            Fresh::Initialize => {
                snapshotter.take()?;
                store::initialize_done(&RealDisk, &dirs)?;
            }
            Fresh::No => {
                // A marker that stays would let a folder that is lost later pass for a new one.
                store::initialize_done(&RealDisk, &dirs)?;
                // The next start then has no log to replay. Nothing replayed: nothing new to write.
                if loaded.replay.is_some_and(|(_, replayed)| replayed > 0) {
                    snapshotter.start();
                }
            }
            Fresh::Uninitialized => {}
        }

        let (taking, digest) = (snapshotter.clone(), config.digest_enabled);
        let listener = listen(config)?;
        let address = listener.local_addr().map_err(|error| ServerError::System { what: "address", error })?;
        let log = Arc::new(open_log(config, &pipeline, &dirs, &measures, &snapshotter));
        let (writing, lone) = (log.clone(), log.clone());
        let log_thread = thread("log".into(), move || writing.run())?;
        let monitor = Monitor::new(config, pipeline.clone(), measures.clone(), loaded, known.clone());
        let words = Words::new(config, address.port(), dirs.clone(), monitor.clone(), trace_mask);
        let words = Arc::new(words);
        let shared = Arc::new(ReactorShared {
            pipeline: pipeline.clone(),
            log,
            limits: Connections::new(
                usize::try_from(config.max_client_cnxns).unwrap_or(0),
                usize::try_from(config.max_cnxns).unwrap_or(0),
            ),
            words: words.clone(),
            keep_alive: config.client_tcp_keep_alive,
        });
        let budget = budgets::start(config, &dirs)?;
        let settings = Arc::new(Settings {
            policy,
            frame_max,
            field_max,
            min_session_timeout_ms: config.min_session_timeout_ms,
            max_session_timeout_ms: config.max_session_timeout_ms,
            sessionless_timeout_ms: i64::from(config.sessionless_cnxn_timeout_ms),
            ensemble: config.is_quorum(),
            outstanding_max: config.global_outstanding_limit,
            throttle: RequestThrottle {
                max_requests: config.request_throttle_max_requests,
                stall_time_ms: i64::from(config.request_throttle_stall_time_ms),
                drop_stale: config.request_throttle_drop_stale,
                stale_connection_check: config.request_stale_connection_check,
                stale_latency_check: config.request_stale_latency_check,
                throttled_op_wait_ms: i64::from(config.throttled_op_wait_time_ms),
            },
            large: Arc::new(LargeRequests::new(config.large_request_threshold, config.large_request_max_bytes)),
            provider: monitor::provider_of(config),
            talkers: config.top_talkers_enabled.then(|| talkers::Settings {
                half_life_ms: i64::from(config.top_talkers_half_life_ms),
                prefix_depth: usize::try_from(config.top_talkers_prefix_depth).unwrap_or(1),
                capacity: TALKERS_MAX,
            }),
            audit: audit.is_some(),
            budget,
            rates: budgets::rates(config, clock),
            prefix_rates: Arc::new(PrefixRates::new(config.prefix_rates())),
            slow_request_ms: config.slow_request_threshold_ms.max(0),
            is_word: crate::admin::four_letter::is_word,
        });
        let (rebind, mut listeners) = {
            let (to, from) = tokio::sync::mpsc::unbounded_channel();
            (to, Some(from))
        };
        // Sent before anybody can take it: it waits.
        drop(rebind.send(listener));
        if let Some(known) = &known {
            let (shared, backlog) = (shared.clone(), config.client_port_listen_backlog);
            let keep_alive = config.client_tcp_keep_alive;
            known.listen(Box::new(move |_, _, activated| {
                let Some(client) = activated.client.clone() else { return };
                let (shared, rebind) = (shared.clone(), rebind.clone());
                // A name server may take its time.
                let moving = move || move_clients(&shared, &client, backlog, keep_alive, &rebind);
                if let Err(error) = thread("client-port".into(), moving) {
                    tracing::error!(%error, "clients cannot be served where the configuration says");
                }
            }));
        }
        for id in 0..reactors {
            let (shared, settings, listeners) = (shared.clone(), settings.clone(), listeners.take());
            thread(format!("reactor-{id}"), move || {
                if let Err(error) = reactor_thread::run(id, shared, settings, listeners) {
                    tracing::error!(%error, "a reactor cannot run");
                    std::process::exit(1);
                }
            })?;
        }
        if let (Some(me), Some(known)) = (my_id, known) {
            let mut election = Box::new(election::Election::start(config, me)?);
            let (again, reloading, configured) = (config.clone(), dirs.clone(), known.clone());
            let (handle, newer) = (election.handle(), known.clone());
            known.listen(Box::new(move |active, proposed, _| handle.install(active, proposed)));
            // Nobody leads while this server looks for a leader.
            election.take_newer(Box::new(move |ensemble| {
                if let Err(error) = newer.take_up(ensemble, -1) {
                    tracing::error!(%error, "the configuration cannot be written: this member cannot go on");
                    give_up::give_up(&error.into());
                }
            }));
            let setup = quorum::Setup::new(
                config,
                known.clone(),
                dirs.clone(),
                pipeline.clone(),
                lone,
                taking,
                quorum::Trees {
                    reload: Box::new(move || {
                        let mut tree = load(&again, &reloading, owners, field_max)?.0;
                        configured.put_into(&mut tree, clock.wall_ms());
                        Ok(tree)
                    }),
                    empty: Box::new(move || Tree::new(owners, digest)),
                },
            );
            pipeline.set_duties(quorum::duties(dirs.clone(), known, election.settle()));
            let patience_ms = i64::from(config.leader_max_time_to_wait_for_epoch_ms);
            if patience_ms >= 0 {
                let pipeline = pipeline.clone();
                election.on_desertion(Box::new(move || pipeline.deserted(patience_ms)));
            }
            quorum::start(Arc::new(setup), election)?;
        }
        let metrics = metrics_page.map(|page| scrape::start(page, monitor.clone())).transpose()?;
        if let Some(admin) = &admin {
            admin.set_running(http::Running {
                words,
                pipeline: pipeline.clone(),
                snapshotter,
                monitor,
                measures: measures.clone(),
                owners,
                digest,
                ensemble: config.is_quorum(),
            });
        }
        start_ticking(config, pipeline.clone(), measures)?;
        start_purging(config, dirs)?;
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            %address,
            data_dir = %config.data_dir.display(),
            %zxid,
            ms = started.elapsed().as_millis() as u64,
            "ready"
        );
        let patience = Duration::from_millis(u64::try_from(config.tick_time_ms).unwrap_or(0));
        Ok(Server { pipeline, address, log_thread, admin, metrics, patience, _lock: lock })
    }

    /// Where the admin server listens, if there is one.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(AdminServer::address)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics are shown, if they are.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Takes no more writes, and returns when everything that was accepted is on disk and, within one tick, committed.
    pub fn stop(self) -> Result<(), ServerError> {
        self.pipeline.close();
        self.wait()
    }

    /// Waits until the log ends, by [`Pipeline::close`] or by a failure.
    pub fn wait(self) -> Result<(), ServerError> {
        let ended = self.log_thread.join();
        if matches!(ended, Ok(Ok(()))) {
            self.pipeline.settle(self.patience);
        }
        if let Some(audit) = &self.pipeline.audit {
            audit.server(Operation::ServerStop, AuditResult::Invoked);
            audit.flush();
        }
        match ended {
            Ok(result) => Ok(result?),
            Err(_) => std::process::abort(),
        }
    }

    /// A handle that closes the server from another thread, a signal's.
    pub fn closer(&self) -> impl Fn() + Send + Sync + 'static {
        let pipeline = self.pipeline.clone();
        move || pipeline.close()
    }
}

fn connection_throttle(config: &Config) -> ConnectionThrottleSettings {
    ConnectionThrottleSettings {
        tokens: config.connection_throttle_tokens,
        fill_time_ms: config.connection_throttle_fill_time_ms,
        fill_count: config.connection_throttle_fill_count,
        freeze_time_ms: config.connection_throttle_freeze_time_ms,
        drop_increase: config.connection_throttle_drop_increase,
        drop_decrease: config.connection_throttle_drop_decrease,
        decrease_ratio: config.connection_throttle_decrease_ratio,
        weights: config.connection_throttle_weight_enabled.then(|| {
            SessionWeights::new(
                config.connection_throttle_global_session_weight,
                config.connection_throttle_local_session_weight,
                config.connection_throttle_renew_session_weight,
            )
        }),
    }
}

fn policy_of(config: &Config) -> Result<Policy, ServerError> {
    let schemes = config.auth_schemes();
    let enforced = if config.session_require_sasl {
        Some(vec!["sasl".to_owned()])
    } else {
        config.enforce_auth_enabled.then(|| config.enforce_auth_schemes.clone())
    };
    let policy = Policy {
        skip_acl: config.skip_acl,
        digest_enabled: config.digest_auth_enabled,
        digest_algorithm: crate::auth::Algorithm::parse(&config.digest_auth_algorithm)
            .map_err(|error| ServerError::Unsupported(error.to_string()))?,
        super_digest: config.super_digest.as_ref().map(|digest| digest.expose().to_owned()),
        sasl: schemes.contains("sasl"),
        let_any_sasl_user: config.let_any_sasl_user_do_x.clone(),
        sasl_super_users: Vec::new(),
        x509: schemes.contains("x509"),
        x509_super_user: config.x509_super_user.clone(),
        ensemble: schemes.contains("ensemble"),
        ensemble_names: (!config.ensemble_auth_names.is_empty()).then(|| config.ensemble_auth_names.clone()),
        enforced_schemes: enforced,
    };
    policy.validate().map_err(|error| ServerError::Unsupported(error.to_string()))?;
    Ok(policy)
}

fn load(
    config: &Config,
    dirs: &Dirs,
    owners: OwnerRules,
    field_max: usize,
) -> Result<(Tree, Fresh, LoadTimes), ServerError> {
    let options = store::RecoverOptions {
        autocreate_dirs: config.datadir_autocreate,
        autocreate_db: config.db_autocreate,
        trust_empty: config.snapshot_trust_empty,
        read: store::ReadOptions { body_max: field_max, accept_damage: config.accept_damage },
    };
    let mut replay = Replay::new(Tree::new(owners, config.digest_enabled));
    let recovered = store::recover(&RealDisk, dirs, &options, &mut replay)?;
    for (file, why) in &recovered.skipped {
        tracing::error!(file, why, "snapshot skipped: an older one and the logs since are used");
    }
    for end in &recovered.ends {
        tracing::warn!(?end, "a log ends early");
    }
    if replay.digest_mismatches > 0 {
        tracing::warn!(
            count = replay.digest_mismatches,
            first = %replay.first_mismatch.unwrap_or_default(),
            "the tree's digest differs from the one in the log: compare this server's data with another's"
        );
    }
    let mut tree = replay.tree;
    for path in tree.restore_done() {
        tracing::error!(path, "the access list of this node is lost: only a super user may use it");
    }
    // An uninitialized database has seen less than any client: it refuses them all.
    tree.set_zxid(recovered.last_zxid.max(tree.zxid()));
    if recovered.fresh == Fresh::Uninitialized {
        tree.set_zxid(Zxid(-1));
    }
    tracing::info!(
        nodes = tree.node_count(),
        sessions = tree.sessions().len(),
        zxid = %tree.zxid(),
        replayed = recovered.replayed,
        snapshot_ms = recovered.snapshot_time.as_millis() as u64,
        replay_ms = recovered.replay_time.as_millis() as u64,
        "data loaded"
    );
    let ms = |time: Duration| time.as_millis() as i64;
    let loaded = LoadTimes {
        snapshot_ms: ms(recovered.snapshot_time),
        replay: (recovered.snapshot.is_some() || recovered.replayed > 0)
            .then_some((ms(recovered.replay_time), recovered.replayed as i64)),
        digest_mismatches: replay.digest_mismatches as i64,
    };
    Ok((tree, recovered.fresh, loaded))
}

fn listen(config: &Config) -> Result<TcpListener, ServerError> {
    let port = config.client_port.ok_or_else(|| {
        ServerError::Unsupported("no clientPort is set: set one, TLS-only servers come with a later version".into())
    })?;
    let address = match config.client_port_address {
        Some(address) => SocketAddr::new(address, port),
        None => SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port),
    };
    let open = |address| listen_on(address, config.client_port_listen_backlog, config.client_tcp_keep_alive);
    let fallback = SocketAddr::new(IpAddr::from([0, 0, 0, 0]), port);
    open(address)
        // A system without IPv6.
        .or_else(|error| if config.client_port_address.is_none() { open(fallback) } else { Err(error) })
        .map_err(|error| ServerError::Listen { address, error })
}

fn listen_on(address: SocketAddr, backlog: i32, keep_alive: bool) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    // On Linux, what is accepted inherits these: two system calls less for each connection.
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(keep_alive)?;
    socket.bind(&address.into())?;
    // The original's -1 is Java's 50; a restart with thousands of clients wants more, and the system caps it.
    socket.listen(if backlog > 0 { backlog } else { 4096 })?;
    Ok(socket.into())
}

/// Listens for clients where a new configuration says.
fn move_clients(
    shared: &ReactorShared,
    client: &ClientAddress,
    backlog: i32,
    keep_alive: bool,
    rebind: &tokio::sync::mpsc::UnboundedSender<TcpListener>,
) {
    if shared.words.client_port() == client.port {
        tracing::warn!(%client, "the port is the same: another address for clients comes with a restart");
        return;
    }
    match client.resolve().map_err(io::Error::other).and_then(|to| listen_on(to, backlog, keep_alive)) {
        Ok(listener) => {
            tracing::info!(%client, "clients are served at another address");
            shared.words.set_client_port(client.port);
            drop(rebind.send(listener));
        }
        Err(error) => tracing::error!(%client, %error, "clients cannot be served where the configuration says"),
    }
}

fn open_log(
    config: &Config,
    pipeline: &Arc<Pipeline>,
    dirs: &Dirs,
    measures: &Arc<Measures>,
    snapshotter: &Arc<Snapshotter>,
) -> Log {
    let kilobytes = |kb: i64| u64::try_from(kb).ok().filter(|kb| *kb > 0).map(|kb| kb.saturating_mul(1024));
    let options = LogOptions {
        preallocate: kilobytes(config.prealloc_size_kb).unwrap_or(0),
        size_limit: kilobytes(config.txn_log_size_limit_kb),
        force_sync: config.force_sync,
        sync_warning: Duration::from_millis(u64::try_from(config.fsync_warning_threshold_ms).unwrap_or(0)),
        ..LogOptions::default()
    };
    let writer = LogWriter::new(&RealDisk, dirs, options);
    let (count, size_kb) = (u64::try_from(config.snap_count).unwrap_or(2), config.snap_size_limit_kb);
    Log::new(pipeline.clone(), measures.clone(), snapshotter.clone(), writer, count, size_kb)
}

/// Expires sessions at each tick, and looks for containers and TTL nodes that are done.
fn start_ticking(config: &Config, pipeline: Arc<Pipeline>, measures: Arc<Measures>) -> Result<(), ServerError> {
    let tick_ms = i64::from(config.tick_time_ms);
    let rules = ReaperRules {
        interval_ms: u64::try_from(config.container_check_interval_ms).unwrap_or(0).max(1),
        max_per_minute: u32::try_from(config.container_max_per_minute).unwrap_or(0).max(1),
        never_used_ms: config.container_max_never_used_interval_ms,
    };
    let reaping = pipeline.clone();
    thread("sessions".into(), move || {
        loop {
            let now_ms = pipeline.clock.now_ms();
            std::thread::sleep(pipeline.clock.until((now_ms / tick_ms + 1) * tick_ms));
            pipeline.expire_local_sessions();
            if !pipeline.judges() {
                continue;
            }
            let expired = pipeline.engine(|engine| engine.sessions.expire(pipeline.clock.now_ms()));
            let closes: Vec<_> = expired
                .into_iter()
                .inspect(|session| tracing::info!(session = format_args!("0x{session:x}"), "session expired"))
                .map(|session| (session, OpCode::CLOSE_SESSION, Vec::new()))
                .collect();
            measures.with(|readings| {
                readings.add(metrics::STALE_SESSIONS_EXPIRED, closes.len() as i64);
                // They go through the throttle as any request.
                readings.record_many(metrics::REQUEST_THROTTLE_QUEUE_TIME_MS, 0, closes.len() as u32);
            });
            pipeline.submit_own(&closes);
        }
    })?;
    thread("containers".into(), move || {
        let pause = Duration::from_millis(60_000 / u64::from(rules.max_per_minute));
        loop {
            std::thread::sleep(Duration::from_millis(rules.interval_ms));
            if !reaping.judges() {
                continue;
            }
            let now_ms = reaping.clock.wall_ms();
            for path in reaping.gate.read(|tree| Reaper::candidates(tree, &rules, now_ms)) {
                tracing::debug!(path, "deleting a container or TTL node that is done");
                let body = PathRequest { path: Some(path.into()) }.to_bytes();
                reaping.submit_own(&[(0, OpCode::DELETE_CONTAINER, body)]);
                std::thread::sleep(pause);
            }
        }
    })
    .map(drop)
}

fn start_purging(config: &Config, dirs: Dirs) -> Result<(), ServerError> {
    let Some(hours) = u64::try_from(config.autopurge_purge_interval_hours).ok().filter(|hours| *hours > 0) else {
        return Ok(());
    };
    let keep = usize::try_from(config.autopurge_snap_retain_count).unwrap_or(3);
    thread("purge".into(), move || {
        loop {
            match store::purge(&RealDisk, &dirs, keep) {
                Ok(purged) => tracing::info!(?purged, "old snapshots and logs purged"),
                Err(error) => tracing::error!(%error, "purge failed"),
            }
            std::thread::sleep(Duration::from_secs(hours * 3600));
        }
    })
    .map(drop)
}

fn thread<R: Send + 'static>(
    name: String,
    run: impl FnOnce() -> R + Send + 'static,
) -> Result<std::thread::JoinHandle<R>, ServerError> {
    std::thread::Builder::new().name(name).spawn(run).map_err(|error| ServerError::System { what: "thread", error })
}

/// Free bytes in each folder that a server wants before it starts again after a full disk.
pub const SPACE_TO_RESTART: u64 = 16 << 20;

/// Whether there is room to go on after a full disk.
pub fn has_space(config: &Config) -> bool {
    use crate::store::Disk;
    let dirs = Dirs::new(&config.data_dir, Some(&config.data_log_dir));
    [&dirs.snapshots, &dirs.logs]
        .into_iter()
        .all(|dir| RealDisk.free_space(dir).is_ok_and(|free| free >= SPACE_TO_RESTART))
}

impl ServerError {
    /// No room was left on the disk: nothing acknowledged is lost, and a later start goes on.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, ServerError::Store(StoreError::DiskFull { .. }))
    }
}
