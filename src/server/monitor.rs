//! Gathers what all threads have counted, and what stands at this moment, into one set of readings: for `mntr`, for the page of
//! metrics, and for the admin server. Each thread's readings are asked of that thread, or lie behind a lock that is taken for
//! batches; nothing is shared on the way of a request.

use super::known::Known;
use super::measures::Measures;
use super::member::Role;
use super::pipeline::Pipeline;
use crate::admin::process::{Process, open_fds};
use crate::admin::prometheus;
use crate::config::Config;
use crate::metrics::{self, Provider, Readings};
use crate::reactor::{Reactor, ReactorStats};
use crate::tree::Tree;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::oneshot;

/// Quotas that are looked at for one scrape: the writer waits meanwhile.
const QUOTAS_MAX: usize = 10_000;

/// Loading of the data at the start.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoadTimes {
    /// Reading the snapshot, ms.
    pub snapshot_ms: i64,
    /// Replaying the logs, ms, and the transactions replayed; nothing if there were no files.
    pub replay: Option<(i64, i64)>,
    /// Transactions after which the tree's digest was not the one in the log.
    pub digest_mismatches: i64,
}

/// Whoever gathers readings.
pub struct Monitor {
    provider: Provider,
    /// `metricsProvider.exportJvmInfo`.
    shows_process: bool,
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) measures: Arc<Measures>,
    loaded: LoadTimes,
    pub(super) known: Option<Arc<Known>>,
}

/// What one reactor tells.
struct Told {
    stats: ReactorStats,
    readings: Readings,
    watches: usize,
    waiting: usize,
}

impl Monitor {
    /// For a server with this configuration.
    pub fn new(
        config: &Config,
        pipeline: Arc<Pipeline>,
        measures: Arc<Measures>,
        loaded: LoadTimes,
        known: Option<Arc<Known>>,
    ) -> Arc<Self> {
        Arc::new(Monitor {
            provider: provider_of(config),
            shows_process: config.metrics_export_jvm_info,
            pipeline,
            measures,
            loaded,
            known,
        })
    }

    /// The text of a scrape; only samples with these names, unless there are none.
    pub async fn scrape(&self, names: &HashSet<String>) -> String {
        let started = Instant::now();
        let process = Process::this();
        let mut readings = self.readings().await;
        for (state, bytes) in [("allocated", process.heap_used), ("active", process.heap_committed)] {
            readings.set_own(metrics::HEAP_BYTES, state, bytes as f64);
        }
        readings.set_own(metrics::THREADS, "", process.threads as f64);
        readings.set_own(metrics::SCRAPE_SECONDS, "", started.elapsed().as_secs_f64());
        prometheus::filtered(prometheus::text(&readings, self.shows_process.then_some(&process)), names)
    }

    /// Readings of all threads, and gauges as of now.
    pub async fn readings(&self) -> Readings {
        let mut readings = Readings::new(self.provider);
        let (mut stats, mut watches, mut waiting) = (ReactorStats::default(), 0, 0);
        for told in self.told().await {
            stats.merge(&told.stats);
            readings.merge(&told.readings);
            watches += told.watches;
            waiting += told.waiting;
        }
        readings.add(metrics::BYTES_RECEIVED_COUNT, stats.bytes_received as i64);
        self.measures.with(|theirs| {
            theirs.turn(self.pipeline.clock.now_ms());
            readings.merge(theirs);
        });
        self.pipeline.readings_into(&mut readings);
        self.put_connections(&stats, watches, &mut readings);
        self.put_tree(&mut readings);
        self.put_member(&mut readings);
        self.put_start(&mut readings);
        readings.set_own(metrics::QUEUE_LENGTH, "lanes", waiting as f64);
        readings
    }

    async fn told(&self) -> Vec<Told> {
        let tell = |reactor: &mut Reactor| Told {
            stats: reactor.stats,
            readings: reactor.readings.clone(),
            watches: reactor.watches().count(),
            waiting: reactor.waiting(),
        };
        let mut asked = Vec::new();
        for mailbox in &self.pipeline.mailboxes {
            let (to, from) = oneshot::channel();
            mailbox.ask(Box::new(move |reactor| drop(to.send(tell(reactor)))));
            asked.push(from);
        }
        let mut all = Vec::new();
        for from in asked {
            all.extend(from.await);
        }
        all
    }

    fn put_connections(&self, stats: &ReactorStats, watches: usize, readings: &mut Readings) {
        let mailboxes = &self.pipeline.mailboxes;
        let connections: usize = mailboxes.iter().map(|mailbox| mailbox.connections.load(Ordering::Relaxed)).sum();
        let mean =
            if stats.latency_count == 0 { 0.0 } else { stats.latency_sum_ms as f64 / stats.latency_count as f64 };
        readings.set(metrics::AVG_LATENCY, mean);
        let [last, least, greatest] = stats.responses.shown();
        let budget = stats.refused - stats.refused_for_rate;
        for (limit, refused) in [("budget", budget), ("rate", stats.refused_for_rate)] {
            readings.set_own(metrics::REFUSED_TOTAL, limit, refused as f64);
        }
        for (gauge, value) in [
            (metrics::MIN_LATENCY, stats.min_latency_ms.unwrap_or(0)),
            (metrics::MAX_LATENCY, stats.max_latency_ms),
            (metrics::PACKETS_RECEIVED, stats.received as i64),
            (metrics::PACKETS_SENT, stats.sent as i64),
            (metrics::NUM_ALIVE_CONNECTIONS, connections as i64),
            (metrics::OUTSTANDING_REQUESTS, self.pipeline.outstanding() as i64),
            (metrics::WATCH_COUNT, watches as i64),
            (metrics::AUTH_FAILED_COUNT, stats.auth_failed as i64),
            (metrics::OPEN_FILE_DESCRIPTOR_COUNT, open_fds() as i64),
            (metrics::MAX_FILE_DESCRIPTOR_COUNT, file_descriptors_max()),
            (metrics::UPTIME, self.pipeline.clock.now_ms()),
            (metrics::LAST_CLIENT_RESPONSE_SIZE, last),
            (metrics::MIN_CLIENT_RESPONSE_SIZE, least),
            (metrics::MAX_CLIENT_RESPONSE_SIZE, greatest),
            // There is no TLS yet.
            (metrics::OUTSTANDING_TLS_HANDSHAKE, 0),
            (metrics::NON_MTLS_LOCAL_CONN_COUNT, 0),
            (metrics::NON_MTLS_REMOTE_CONN_COUNT, 0),
        ] {
            readings.set(gauge, value);
        }
    }

    fn put_tree(&self, readings: &mut Readings) {
        let (nodes, ephemerals, bytes, sessions, quotas) = self.pipeline.gate.read(|tree| {
            let quotas = quotas(tree);
            (tree.node_count(), tree.ephemeral_count(), tree.approximate_data_size(), tree.sessions().len(), quotas)
        });
        for (namespace, [count_limit, bytes_limit, count, bytes]) in quotas {
            readings.set_for(metrics::QUOTA_COUNT_LIMIT_PER_NAMESPACE, &namespace, count_limit);
            readings.set_for(metrics::QUOTA_BYTES_LIMIT_PER_NAMESPACE, &namespace, bytes_limit);
            readings.set_for(metrics::QUOTA_COUNT_USAGE_PER_NAMESPACE, &namespace, count);
            readings.set_for(metrics::QUOTA_BYTES_USAGE_PER_NAMESPACE, &namespace, bytes);
        }
        let local_sessions = self.pipeline.engine(|engine| engine.local_sessions.len());
        for (gauge, value) in [
            (metrics::ZNODE_COUNT, nodes as i64),
            (metrics::EPHEMERALS_COUNT, ephemerals as i64),
            (metrics::APPROXIMATE_DATA_SIZE, bytes as i64),
            (metrics::GLOBAL_SESSIONS, sessions as i64),
            (metrics::LOCAL_SESSIONS, local_sessions as i64),
        ] {
            readings.set(gauge, value);
        }
    }

    fn put_member(&self, readings: &mut Readings) {
        let role = self.pipeline.role();
        if role == Role::Leading {
            let (followers, observers) = self.pipeline.learners();
            for (gauge, value) in [
                (metrics::LEARNERS, followers + observers),
                (metrics::SYNCED_FOLLOWERS, followers),
                (metrics::SYNCED_NON_VOTING_FOLLOWERS, 0),
                (metrics::SYNCED_OBSERVERS, observers),
            ] {
                readings.set(gauge, value as i64);
            }
        }
        if let Some(known) = &self.known {
            readings.set(metrics::QUORUM_SIZE, known.active().voters().count() as i64);
        }
        if role.learns() {
            readings.set(metrics::SYNCED_OBSERVERS, self.pipeline.learners().1 as i64);
        }
        let led = self.pipeline.leader_counts();
        readings.add(metrics::PROPOSAL_COUNT, led.proposals);
        readings.add(metrics::COMMIT_COUNT, led.commits);
        readings.add(metrics::SNAP_COUNT, led.snaps);
        readings.add(metrics::DIFF_COUNT, led.diffs);
    }

    fn put_start(&self, readings: &mut Readings) {
        let LoadTimes { snapshot_ms, replay, digest_mismatches } = self.loaded;
        readings.record(metrics::STARTUP_SNAP_LOAD_TIME, snapshot_ms);
        if let Some((replay_ms, replayed)) = replay {
            readings.record(metrics::STARTUP_TXNS_LOAD_TIME, replay_ms);
            readings.record(metrics::STARTUP_TXNS_LOADED, replayed);
        }
        readings.record(metrics::DBINITTIME, snapshot_ms + replay.map_or(0, |(ms, _)| ms));
        readings.add(metrics::DIGEST_MISMATCHES_COUNT, digest_mismatches);
    }
}

/// Limits and usage of each namespace that has quotas, summed: nodes allowed, bytes allowed, nodes, bytes. A hard limit
/// counts before a soft one (`QuotaMetricsUtils`).
fn quotas(tree: &Tree) -> BTreeMap<String, [i64; 4]> {
    let mut all = BTreeMap::<String, [i64; 4]>::new();
    for (prefix, limit, usage) in tree.quotas().take(QUOTAS_MAX) {
        let Some(namespace) = metrics::namespace_of(prefix) else { continue };
        if all.len() >= metrics::KEYS_MAX && !all.contains_key(namespace) {
            continue;
        }
        let hard_first = |hard: i64, soft: i64| if hard > -1 { hard } else { soft };
        let sums = all.entry(namespace.to_owned()).or_default();
        sums[0] += hard_first(limit.count_hard_limit, limit.count);
        sums[1] += hard_first(limit.byte_hard_limit, limit.bytes);
        sums[2] += usage.count;
        sums[3] += usage.bytes;
    }
    all
}

/// The provider of metrics that a configuration names (`metricsProvider.className`).
pub fn provider_of(config: &Config) -> Provider {
    match config.metrics_provider_class.rsplit('.').next() {
        Some("PrometheusMetricsProvider") => Provider::Prometheus,
        Some("NullMetricsProvider") => Provider::None,
        _ => Provider::Default,
    }
}

fn file_descriptors_max() -> i64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile)
        .current
        .map_or(-1, |soft| i64::try_from(soft).unwrap_or(i64::MAX))
}
