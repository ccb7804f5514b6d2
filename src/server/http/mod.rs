//! The admin server: HTTP over the table of commands. A thread and a runtime of its own: what it does must not hold up the
//! reactors, and what it gathers from them it asks for as a four-letter word does. It answers from before the data is
//! loaded, and goes on while the server serves nobody.

mod address;
mod commands;
mod connection;
mod history;
mod page;
mod query;
mod restore;
mod routes;
mod snapshot;

#[cfg(test)]
mod tests;

pub use address::Refused as AdminRefused;
pub use history::Row;

use super::limits::Connections;
use super::measures::Measures;
use super::monitor::Monitor;
use super::pipeline::Pipeline;
use super::snapshots::Snapshotter;
use super::words::Words;
use super::{ServerError, thread};
use crate::admin::View;
use crate::admin::environment::Environment;
use crate::auth::Policy;
use crate::config::Config;
use crate::tree::OwnerRules;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Notify;

/// Connections to the admin server at a time.
const CONNECTIONS_MAX: usize = 256;
/// Of these, from one address.
const CONNECTIONS_OF_ADDRESS_MAX: usize = 64;

/// What the operator decides about the admin server.
pub struct Settings {
    policy: Arc<Policy>,
    command_url: String,
    /// `admin.page.enabled`.
    page: bool,
    idle: Option<Duration>,
    /// `admin.snapshot.enabled`.
    snapshot_enabled: bool,
    /// `admin.restore.enabled`.
    restore_enabled: bool,
    /// `serializeLastProcessedZxid.enabled`: without it the original takes no snapshots here.
    last_zxid: bool,
    snapshots: restore::Rate,
    restores: restore::Rate,
    properties: Vec<(String, String)>,
}

/// A server once it is loaded.
pub struct Running {
    /// Gathers what commands show.
    pub words: Arc<Words>,
    /// The write path.
    pub pipeline: Arc<Pipeline>,
    /// Takes snapshots.
    pub snapshotter: Arc<Snapshotter>,
    /// Gathers readings.
    pub monitor: Arc<Monitor>,
    /// Counts.
    pub measures: Arc<Measures>,
    /// For trees that are restored.
    pub owners: OwnerRules,
    /// `digest.enabled`.
    pub digest: bool,
    /// A member of an ensemble takes no foreign data.
    pub ensemble: bool,
}

/// What the handlers share.
struct Shared {
    settings: Settings,
    trace_mask: Arc<AtomicI64>,
    running: OnceLock<Running>,
    history: history::History,
}

impl Shared {
    /// The server, if it serves.
    fn serving(&self) -> Option<&Running> {
        self.running.get().filter(|running| running.words.is_serving())
    }

    /// What there is to see of a server that is not loaded yet.
    fn unloaded(&self) -> View {
        View {
            trace_mask: self.trace_mask.load(Ordering::Relaxed),
            environment: Environment::of_this_process(),
            ..View::not_serving()
        }
    }
}

/// A running admin server; it ends when this is dropped.
pub struct AdminServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    end: Arc<Notify>,
}

impl AdminServer {
    /// Listens and answers, if the configuration wants it. A port that is taken ends the start of a standalone server,
    /// as in the original; a member of an ensemble, and a server that was told nothing, go on without.
    pub fn start(
        config: &Config,
        policy: Arc<Policy>,
        trace_mask: Arc<AtomicI64>,
    ) -> Result<Option<AdminServer>, ServerError> {
        if !config.admin_enable_server {
            return Ok(None);
        }
        if config.admin_force_https {
            tracing::error!(
                "admin.forceHttps is set, and TLS comes with a later version: the admin server stays off rather than \
                 answer in the clear"
            );
            return Ok(None);
        }
        if config.admin_port_unification {
            tracing::warn!("admin.portUnification is set, and TLS comes with a later version: only HTTP is answered");
        }
        let bound = address::bind(&config.admin_server_address, config.admin_server_port);
        let (listener, address) = match bound {
            Ok(bound) => bound,
            Err(error) if config.is_quorum() || config.is_embedded_admin_port() => {
                tracing::warn!(%error, "the admin server is off");
                return Ok(None);
            }
            Err(error) => return Err(ServerError::Admin(error)),
        };
        let shared = Arc::new(Shared {
            settings: Settings::new(config, policy),
            trace_mask,
            running: OnceLock::new(),
            history: history::History::default(),
        });
        let end = Arc::new(Notify::new());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ServerError::System { what: "runtime", error })?;
        let (serving, ending) = (shared.clone(), end.clone());
        let limits = Connections::new(CONNECTIONS_OF_ADDRESS_MAX, CONNECTIONS_MAX);
        thread("admin".into(), move || {
            let idle = serving.settings.idle;
            let routes = routes::router(serving.clone());
            runtime.block_on(async {
                tokio::select! {
                    () = connection::accept(listener, limits, idle, routes) => {}
                    () = history::record(serving) => {}
                    () = ending.notified() => {}
                }
            });
            runtime.shutdown_background();
        })?;
        tracing::info!(%address, url = config.admin_command_url, "admin server");
        Ok(Some(AdminServer { shared, address, end }))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From here on commands are answered for this server.
    pub fn set_running(&self, running: Running) {
        assert!(self.shared.running.set(running).is_ok(), "a process loads its server once");
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.end.notify_one();
    }
}

impl Settings {
    fn new(config: &Config, policy: Arc<Policy>) -> Self {
        let millis = |ms: i32| u64::try_from(ms).unwrap_or(0);
        let interval = Duration::from_millis(millis(config.admin_rate_limiter_interval_ms));
        let mut properties = config.shown_properties();
        properties.extend(query::process_properties());
        properties.sort();
        let url = config.admin_command_url.trim_end_matches('/');
        Settings {
            policy,
            command_url: if url.starts_with('/') || url.is_empty() { url.to_owned() } else { format!("/{url}") },
            page: config.admin_page_enabled,
            idle: Some(Duration::from_millis(millis(config.admin_idle_timeout_ms))).filter(|idle| !idle.is_zero()),
            snapshot_enabled: config.admin_snapshot_enabled,
            restore_enabled: config.admin_restore_enabled,
            last_zxid: config.serialize_last_processed_zxid_enabled,
            // The original takes these for microseconds: tools rely on snapshots more often than each five minutes.
            snapshots: restore::Rate::new(interval / 1_000),
            restores: restore::Rate::new(interval),
            properties,
        }
    }
}

/// The listener of the admin server as a standard one, so that the port is held before the thread runs.
type Bound = (TcpListener, SocketAddr);
