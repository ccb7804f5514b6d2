//! A member of an ensemble: election, then leading or following, then election again, until the process ends. Each term
//! begins with the log written out and the tree at its end, so that the vote speaks of what is on disk.

use super::give_up::give_up;
use super::known::Known;
use super::leader;
use super::learner::{self, Ended};
use super::log_thread::Log;
use super::member::Duties;
use super::pipeline::Pipeline;
use super::snapshots::Snapshotter;
use super::{ServerError, thread};
use crate::config::Config;
use crate::metrics;
use crate::proto::Zxid;
use crate::store::{self, Dirs, Epochs, RealDisk};
use crate::tree::Tree;
use crate::zab::{ServerId, Times};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Least time without a leader before clients may read (`QuorumPeer.run`).
const READ_ONLY_PATIENCE: Duration = Duration::from_secs(2);

/// What an election decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// This server leads.
    Lead,
    /// Another does.
    Follow(ServerId),
}

/// Elections as the member sees them: this server's last transaction and epoch in, a decision out.
pub trait Electing: Send {
    /// Takes part until a leader is found.
    fn elect(&mut self, last: Zxid, epoch: i64) -> Decision;
    /// The leader is known without an election; others who look are told so.
    fn appoint(&mut self, leader: ServerId);
}

/// Refuses what a member cannot do yet, rather than do it wrongly.
pub fn supported(config: &Config) -> Result<(), ServerError> {
    let cannot = [(config.ssl_quorum, "sslQuorum"), (config.quorum_auth_enable_sasl, "quorum.auth.enableSasl")];
    match cannot.iter().find(|(asked, _)| *asked) {
        None => Ok(()),
        Some((_, what)) => Err(ServerError::Unsupported(format!(
            "this version does not support, in an ensemble, {what}; or keep the Java server for this member"
        ))),
    }
}

/// What every term needs to know.
pub struct Setup {
    /// This server.
    pub me: ServerId,
    /// The configurations, active and proposed.
    pub known: Arc<Known>,
    /// Time to connect and to get in step.
    pub init: Duration,
    /// Time to be silent.
    pub sync: Duration,
    /// One tick.
    pub tick: Duration,
    /// How often the time is looked at.
    pub look: Duration,
    /// `snapshotSizeFactor`.
    pub snapshot_size_factor: f64,
    /// `forceSnapshotSync`.
    pub force_snapshot: bool,
    /// Bytes that wait for all links.
    pub queued: Arc<AtomicUsize>,
    /// Longest packet.
    pub packet_max: usize,
    /// `quorumListenOnAllIPs`.
    pub listen_on_all: bool,
    /// `observerMasterPort`: where followers serve observers.
    pub observer_port: Option<u16>,
    /// Files.
    pub dirs: Dirs,
    /// The write path.
    pub pipeline: Arc<Pipeline>,
    /// The log, for whoever has time to write it.
    pub log: Arc<Log>,
    /// Snapshots.
    pub snapshotter: Arc<Snapshotter>,
    /// Where trees come from.
    pub trees: Trees,
    /// `readonlymode.enabled`: how long there must be no leader before clients may read without one.
    pub read_only_after: Option<Duration>,
    /// Numbers of links.
    pub links: AtomicU64,
    /// What the last leader wanted to be taken back could not be: it is asked for a copy.
    pub wants_copy: AtomicBool,
}

/// Makes trees as this server keeps them.
pub struct Trees {
    /// Reads the files into a new tree.
    pub reload: Box<dyn Fn() -> Result<Tree, ServerError> + Send + Sync>,
    /// An empty tree to be filled.
    pub empty: Box<dyn Fn() -> Tree + Send + Sync>,
}

impl Setup {
    /// What a configuration says.
    pub fn new(
        config: &Config,
        known: Arc<Known>,
        dirs: Dirs,
        pipeline: Arc<Pipeline>,
        log: Arc<Log>,
        snapshotter: Arc<Snapshotter>,
        trees: Trees,
    ) -> Self {
        let tick = Duration::from_millis(u64::try_from(config.tick_time_ms).unwrap_or(2000));
        let ticks = |count: i32| tick * u32::try_from(count).unwrap_or(1).max(1);
        let frame = usize::try_from(config.jute_max_buffer).unwrap_or(0);
        let extra = usize::try_from(config.jute_extra_size).unwrap_or(0);
        Setup {
            me: pipeline.me,
            known,
            look: (tick / 4).clamp(Duration::from_millis(5), Duration::from_millis(500)),
            snapshot_size_factor: config.snapshot_size_factor,
            force_snapshot: config.force_snapshot_sync,
            queued: Arc::default(),
            init: ticks(config.init_limit_ticks),
            sync: ticks(config.sync_limit_ticks),
            tick,
            // A transaction carries what its request did, and a little more.
            packet_max: frame.saturating_mul(2).saturating_add(extra).saturating_add(1 << 20),
            listen_on_all: config.quorum_listen_on_all_ips,
            observer_port: u16::try_from(config.observer_master_port).ok().filter(|port| *port > 0),
            dirs,
            pipeline,
            log,
            snapshotter,
            trees,
            read_only_after: config.read_only_mode.then(|| tick.max(READ_ONLY_PATIENCE)),
            links: AtomicU64::new(1),
            wants_copy: AtomicBool::new(false),
        }
    }

    /// A number for a link.
    pub fn link_id(&self) -> u64 {
        self.links.fetch_add(1, Ordering::Relaxed)
    }

    /// Times, as Zab wants them.
    pub fn times(&self) -> Times {
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Times { tick_ms: ms(self.tick), init_ms: ms(self.init), sync_ms: ms(self.sync) }
    }

    /// Where a member's quorum port is now.
    pub fn resolve(&self, member: ServerId) -> Vec<SocketAddr> {
        let addresses = self.known.quorum_ports(member);
        addresses.iter().filter_map(|(host, port)| (host.as_str(), *port).to_socket_addrs().ok()).flatten().collect()
    }

    /// Where followers serve observers now, the voters in random order; the leader is among them, and does not.
    pub fn observer_ports(&self) -> Vec<SocketAddr> {
        let Some(port) = self.observer_port else { return Vec::new() };
        let mut voters: Vec<ServerId> = self.known.active().voters().map(|voter| voter.id).collect();
        voters.sort_by_cached_key(|_| rand::random::<u64>());
        let mut ports: Vec<SocketAddr> = voters.into_iter().flat_map(|voter| self.resolve(voter)).collect();
        ports.iter_mut().for_each(|address| address.set_port(port));
        ports
    }

    /// Both epochs on disk.
    pub fn epochs(&self, last: Zxid) -> Result<Epochs, ServerError> {
        Ok(store::settle_epochs(&RealDisk, &self.dirs, last)?)
    }
}

/// What the write path does for a member. What cannot be written ends the process: it was promised to others.
pub fn duties(dirs: Dirs, known: Arc<Known>, settled: Box<dyn Fn(i64) + Send + Sync>) -> Duties {
    let write_epoch = move |which, epoch| {
        if let Err(error) = store::write_epoch(&RealDisk, &dirs, which, epoch) {
            tracing::error!(%error, "the epoch cannot be written: this member cannot go on");
            give_up(&error.into());
        }
    };
    Duties { write_epoch: Box::new(write_epoch), known, settled }
}

/// Runs terms on a thread of its own. What cannot be gone on from ends the process: the others are a quorum without it.
pub fn start(setup: Arc<Setup>, mut electing: Box<dyn Electing>) -> Result<(), ServerError> {
    thread("member".into(), move || {
        loop {
            if let Err(error) = term(&setup, &mut *electing) {
                tracing::error!(%error, "this member cannot go on");
                give_up(&error);
            }
        }
    })
    .map(drop)
}

/// Without a leader for a while, clients may read.
fn offer_reading(setup: &Arc<Setup>) -> Result<(), ServerError> {
    let Some(after) = setup.read_only_after else { return Ok(()) };
    let (pipeline, term) = (setup.pipeline.clone(), setup.pipeline.term());
    thread("read-only".into(), move || {
        std::thread::sleep(after);
        pipeline.serve_read_only(term);
    })
    .map(drop)
}

fn term(setup: &Arc<Setup>, electing: &mut dyn Electing) -> Result<(), ServerError> {
    let stopped =
        || ServerError::Unsupported("the log has stopped; what it holds is read again at the next start".into());
    let last = setup.pipeline.stand_down().ok_or_else(stopped)?;
    let epochs = setup.epochs(last)?;
    tracing::info!(%last, epoch = epochs.current, "looking for a leader");
    setup.pipeline.count_event(|readings| readings.add(metrics::LOOKING_COUNT, 1));
    let looking = Instant::now();
    let decision = match setup.pipeline.take_successor() {
        // A reconfiguration has said who leads on, or there is unfinished business with the leader.
        Some(leader) => {
            let decision = if leader == setup.me { Decision::Lead } else { Decision::Follow(leader) };
            electing.appoint(leader);
            decision
        }
        None => {
            offer_reading(setup)?;
            electing.elect(last, epochs.current)
        }
    };
    setup.pipeline.count_time(metrics::ELECTION_TIME, looking.elapsed());
    debug_assert!(!setup.pipeline.role().serves() || setup.pipeline.is_read_only());
    setup.pipeline.set_elected(match decision {
        Decision::Lead => setup.me,
        Decision::Follow(leader) => leader,
    });
    match decision {
        Decision::Lead => {
            tracing::info!("leading");
            match leader::lead(setup, epochs) {
                Ok(why) => tracing::warn!(why, "leading has ended"),
                Err(ServerError::Store(error)) => return Err(error.into()),
                Err(error) => tracing::warn!(%error, "leading has ended"),
            }
        }
        Decision::Follow(leader) => {
            tracing::info!(leader, "following");
            match learner::follow(setup, leader, epochs) {
                Ended::Connection(why) => tracing::warn!(leader, why, "following has ended"),
                Ended::Files(error) => return Err(error),
            }
        }
    }
    Ok(())
}
