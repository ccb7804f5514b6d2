//! Answers four-letter words: gathers what the command's table entry says it needs from the rooms that know it, and
//! lets `admin` make the text. The numbers of connections are asked of each reactor in its own thread.

use super::http::Row;
use super::known::Known;
use super::measures::Measures;
use super::member::Role;
use super::monitor::Monitor;
use super::pipeline::Pipeline;
use crate::admin::top::{TALKERS_SHOWN, Talk};
use crate::admin::view::{
    ConnectedSession, Connection, Endpoints, Ensemble, Latency, MemberSettings, Mode, Observer, Sessions, Settings,
    Sizes, Statistics, Voter, WatchSummary,
};
use crate::admin::{Effect, Part, View, environment::Environment, four_letter};
use crate::config::{self, Config, PeerType};
use crate::engine::SessionTable;
use crate::metrics::Readings;
use crate::reactor::{Reactor, ReactorStats};
use crate::store::{Dirs, RealDisk};
use crate::talkers::{Ledger, Summary};
use crate::zab::ServerId;
use std::collections::HashSet;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};
use tokio::sync::oneshot;

/// The default of ZooTrace's mask.
pub const TRACE_MASK: i64 = 306;

/// The operator's four-letter words.
pub struct Words {
    allowed: Vec<&'static str>,
    settings: Settings,
    dirs: Dirs,
    trace_mask: Arc<AtomicI64>,
    pipeline: Arc<Pipeline>,
    measures: Arc<Measures>,
    monitor: Arc<Monitor>,
    /// What a member knows of its ensemble.
    known: Option<Arc<Known>>,
    client_port: AtomicI32,
}

/// What one reactor tells of itself.
#[derive(Default)]
struct Told {
    stats: ReactorStats,
    connections: Vec<Connection>,
    watches: Vec<(i64, Vec<String>)>,
    summary: WatchSummary,
    /// Hashes of the watched paths: reactors may watch the same.
    watched: HashSet<u64>,
}

impl Words {
    /// For a server with this configuration.
    pub fn new(config: &Config, port: u16, dirs: Dirs, monitor: Arc<Monitor>, trace_mask: Arc<AtomicI64>) -> Self {
        let allowed = crate::admin::commands::all().map(|command| command.word);
        let allowed = allowed.filter(|word| !word.is_empty());
        Words {
            allowed: allowed.filter(|word| config.four_letter_word_allowed(word)).collect(),
            settings: Settings {
                client_port: i32::from(port),
                secure_client_port: config.secure_client_port.map_or(-1, i32::from),
                data_dir: absolute(&dirs.snapshots),
                data_log_dir: absolute(&dirs.logs),
                tick_time_ms: config.tick_time_ms,
                max_client_cnxns: config.max_client_cnxns,
                min_session_timeout_ms: config.min_session_timeout_ms,
                max_session_timeout_ms: config.max_session_timeout_ms,
                client_port_listen_backlog: config.client_port_listen_backlog,
                server_id: config.more.my_id.filter(|_| config.is_quorum()).unwrap_or(0),
                member: config.is_quorum().then(|| member_settings(config, &config.more.ensemble)),
                text: config.shown_text().filter(|_| !config.is_quorum()),
            },
            dirs,
            trace_mask,
            pipeline: monitor.pipeline.clone(),
            measures: monitor.measures.clone(),
            known: monitor.known.clone(),
            monitor,
            client_port: AtomicI32::new(i32::from(port)),
        }
    }

    /// Clients are served at another port.
    pub fn set_client_port(&self, port: u16) {
        self.client_port.store(i32::from(port), Ordering::Relaxed);
    }

    /// Where clients are served.
    pub fn client_port(&self) -> u16 {
        self.client_port.load(Ordering::Relaxed) as u16
    }

    /// What `conf` shows, as it is now.
    fn settings(&self) -> Settings {
        let mut settings = self.settings.clone();
        settings.client_port = self.client_port.load(Ordering::Relaxed);
        if let (Some(member), Some(known)) = (&mut settings.member, &self.known) {
            let (init_limit, sync_limit) = (member.init_limit, member.sync_limit);
            *member = MemberSettings { init_limit, sync_limit, ..settings_of(&known.active(), settings.server_id) };
        }
        settings
    }

    /// The text of a word; the connection is closed behind it.
    pub async fn answer(&self, word: [u8; 4], argument: &[u8]) -> String {
        // What a telnet client says when it hangs up is known and answered by nothing.
        let Some(command) = four_letter::command(word) else { return String::new() };
        if !self.allowed.contains(&command.word) {
            return four_letter::not_whitelisted(command);
        }
        if let Some(effect) = command.effect(self.is_serving(), argument) {
            self.perform(effect).await;
        }
        command.text(&self.view(command.parts).await)
    }

    /// Whether clients are served.
    pub fn is_serving(&self) -> bool {
        self.pipeline.is_serving()
    }

    /// Changes what a command changes.
    pub async fn perform(&self, effect: Effect) {
        match effect {
            Effect::SetTraceMask(mask) => self.trace_mask.store(mask, Ordering::Relaxed),
            Effect::ResetStatistics => {
                self.measures.with(Readings::reset);
                self.pipeline.reset_readings();
                drop(self.ask(|reactor, _| reactor.reset_statistics()).await);
            }
            Effect::ResetConnections => drop(self.ask(|reactor, _| reactor.reset_connections()).await),
        }
    }

    /// A row of the admin server's history: cheap enough to be taken each second.
    pub async fn pulse(&self) -> Row {
        let mut sum = ReactorStats::default();
        for stats in self.ask(|reactor, _| reactor.stats).await {
            sum.received += stats.received;
            sum.sent += stats.sent;
            sum.bytes_received += stats.bytes_received;
            sum.latency_sum_ms += stats.latency_sum_ms;
            sum.latency_count += stats.latency_count;
        }
        let (syncs, sync_us) = self.measures.syncs();
        let of = |number: u64| number as i64;
        [
            self.pipeline.clock.wall_ms(),
            of(sum.received),
            of(sum.sent),
            of(sum.bytes_received),
            sum.latency_sum_ms,
            sum.latency_count,
            of(syncs),
            of(sync_us),
            self.connections() as i64,
            self.pipeline.outstanding() as i64,
        ]
    }

    async fn ask<R: Send + 'static>(
        &self,
        question: impl Fn(&mut Reactor, &Pipeline) -> R + Clone + Send + 'static,
    ) -> Vec<R> {
        let mut answers = Vec::new();
        for mailbox in &self.pipeline.mailboxes {
            let (to, from) = oneshot::channel();
            let (question, pipeline) = (question.clone(), self.pipeline.clone());
            mailbox.ask(Box::new(move |reactor| drop(to.send(question(reactor, &pipeline)))));
            answers.extend(from.await);
        }
        answers
    }

    /// The parts that a command needs.
    pub async fn view(&self, parts: &[Part]) -> View {
        // What is said of the ensemble says also what this server is.
        let wants = |part: Part| parts.contains(&part) || part == Part::Statistics && parts.contains(&Part::Ensemble);
        let role = self.pipeline.role();
        let mut view = View {
            serving: self.is_serving(),
            read_only: role == Role::ReadOnly,
            trace_mask: self.trace_mask.load(Ordering::Relaxed),
            ..View::not_serving()
        };
        let (listing, watching) = (wants(Part::Connections), wants(Part::Watches));
        let mut all = Told::default();
        if listing || watching || wants(Part::Statistics) || wants(Part::WatchSummary) {
            for told in self.ask(move |reactor, pipeline| tell(reactor, pipeline, listing, watching)).await {
                all.add(told);
            }
        }
        view.connections = all.connections;
        view.watches = all.watches;
        view.watch_summary = all.summary;
        let latency = Latency {
            min: all.stats.min_latency_ms.unwrap_or(0),
            max: all.stats.max_latency_ms,
            sum: all.stats.latency_sum_ms,
            count: all.stats.latency_count as u64,
        };
        if wants(Part::Statistics) {
            let (zxid, nodes) = self.pipeline.gate.read(|tree| (tree.zxid(), tree.node_count()));
            view.statistics = Statistics {
                latency,
                received: all.stats.received,
                sent: all.stats.sent,
                connections: self.connections(),
                outstanding: self.pipeline.outstanding(),
                zxid,
                mode: match role {
                    Role::Leading => Mode::Leader,
                    Role::ReadOnly => Mode::ReadOnly,
                    Role::Following => Mode::Follower,
                    Role::Observing => Mode::Observer,
                    _ => Mode::Standalone,
                },
                peer_state: match role {
                    Role::Leading => Some("leading - broadcast".into()),
                    Role::Following => Some("following - broadcast".into()),
                    Role::Observing => Some("observing - broadcast".into()),
                    _ => None,
                },
                nodes,
                uptime_ms: self.pipeline.clock.now_ms(),
                auth_failed: all.stats.auth_failed as i64,
                slow_syncs: self.measures.slow_syncs(),
                ..Statistics::default()
            };
        }
        if wants(Part::Sessions) {
            let offset = self.pipeline.clock.wall_ms() - self.pipeline.clock.now_ms();
            let shown = |sessions: &SessionTable| -> Vec<_> {
                sessions.by_expiry().into_iter().map(|(due, ids)| (due + offset, ids)).collect()
            };
            let (local, global) = self.pipeline.engine(|engine| {
                (engine.opens_local_sessions().then(|| shown(&engine.local_sessions)), shown(&engine.sessions))
            });
            view.sessions = if role.learns() {
                let mut global: Vec<_> = self
                    .pipeline
                    .gate
                    .read(|tree| tree.sessions().iter().map(|(id, timeout_ms)| (*id, *timeout_ms)).collect());
                global.sort_unstable();
                Sessions::Learned { local, global }
            } else {
                Sessions::Tracked { local, global }
            };
            view.ephemerals = self.pipeline.gate.read(|tree| {
                let mut owners: Vec<_> = tree.ephemeral_owners().collect();
                owners.sort_unstable();
                let paths = |owner| {
                    let mut paths: Vec<_> = tree.ephemerals(owner).map(|id| tree.path(id)).collect();
                    paths.sort_unstable();
                    paths
                };
                owners.into_iter().map(|owner| (owner, paths(owner))).collect()
            });
        }
        if wants(Part::Sizes) {
            let sizes = self.dirs.sizes(&RealDisk).unwrap_or_default();
            view.sizes = Sizes { data_dir: sizes.snapshots, log_dir: sizes.logs };
        }
        if wants(Part::Settings) {
            view.settings = self.settings();
        }
        if wants(Part::Digests) {
            view.digests = self.pipeline.digests();
        }
        if wants(Part::Snapshot) {
            view.snapshot = self.dirs.newest_snapshot();
        }
        if wants(Part::Ensemble) {
            let ensemble = self.known.as_ref().map(|known| ensemble_of(self.settings.server_id, &known.active()));
            view.ensemble = ensemble.map(|ensemble| self.ensemble_now(ensemble));
        }
        if wants(Part::Environment) {
            view.environment = Environment::of_this_process();
        }
        if wants(Part::Talk) {
            view.talk = self.talk(&all.stats).await;
        }
        if wants(Part::Metrics) {
            view.metrics = self.monitor.readings().await;
        }
        view
    }

    fn ensemble_now(&self, mut ensemble: Ensemble) -> Ensemble {
        ensemble.leader = self.pipeline.elected().map(|leader| {
            let hosts = ensemble.voters.iter().find(|voter| voter.id == leader).map(|voter| &voter.quorum);
            let hosts: Vec<_> =
                hosts.into_iter().flat_map(|hosts| hosts.0.iter().map(|(host, _)| host.clone())).collect();
            (leader, hosts.join("|"))
        });
        let observers = self.pipeline.observers().into_iter();
        ensemble.observers =
            observers.map(|(id, remote, queued_bytes)| Observer { id, remote, queued_bytes }).collect();
        ensemble
    }

    async fn talk(&self, stats: &ReactorStats) -> Talk {
        let mut talk = Talk {
            sessions: self.pipeline.gate.read(|tree| tree.sessions().len()),
            uptime_ms: self.pipeline.clock.now_ms(),
            now_ms: self.pipeline.clock.wall_ms(),
            bytes_received: stats.bytes_received,
            refused: stats.refused,
            ..Talk::default()
        };
        let mut ledgers = Vec::new();
        for (ledger, clients, watches) in self.ask(tell_talk).await {
            ledgers.extend(ledger);
            talk.clients.extend(clients);
            talk.watches.extend(watches);
        }
        talk.talkers = Summary::of(&ledgers, TALKERS_SHOWN);
        talk
    }

    fn connections(&self) -> usize {
        self.pipeline.mailboxes.iter().map(|mailbox| mailbox.connections.load(Ordering::Relaxed)).sum()
    }
}

impl Told {
    fn add(&mut self, other: Told) {
        self.stats.merge(&other.stats);
        self.connections.extend(other.connections);
        self.watches.extend(other.watches);
        self.summary.connections += other.summary.connections;
        self.watched.extend(other.watched);
        self.summary.paths = self.watched.len();
        self.summary.total += other.summary.total;
    }
}

/// The ledger, the clients and the numbers of watches of one reactor.
type ToldTalk = (Option<Ledger>, Vec<(i64, std::net::SocketAddr)>, Vec<(i64, usize)>);

fn tell_talk(reactor: &mut Reactor, pipeline: &Pipeline) -> ToldTalk {
    // Up to this moment, not to the last second.
    reactor.count_talkers(pipeline.clock.now_ms());
    let clients =
        reactor.connections().filter_map(|(_, connection)| Some((connection.session()?, connection.remote())));
    let session = |number| reactor.connection(number).and_then(|connection| connection.session());
    let watches = reactor.watches().paths_by_connection();
    let watches = watches.filter_map(|(number, paths)| Some((session(number)?, paths)).filter(|_| paths > 0));
    (reactor.ledger().cloned(), clients.collect(), watches.collect())
}

fn tell(reactor: &Reactor, pipeline: &Pipeline, listing: bool, watching: bool) -> Told {
    let offset = pipeline.clock.wall_ms() - pipeline.clock.now_ms();
    let mut told = Told { stats: reactor.stats, ..Told::default() };
    if listing {
        told.connections = reactor.connections().map(|(_, connection)| shown(connection, offset)).collect();
    }
    let mut by_session = std::collections::BTreeMap::<i64, Vec<String>>::new();
    let session = |number| reactor.connection(number).and_then(|connection| connection.session());
    for number in reactor.watches().data_connections() {
        told.summary.connections += 1;
        if watching && let Some(session) = session(number) {
            by_session.entry(session).or_default();
        }
    }
    for (path, numbers) in reactor.watches().data_watches() {
        told.watched.insert(foldhash::fast::FixedState::default().hash_one(path));
        for number in numbers {
            told.summary.total += 1;
            if watching && let Some(session) = session(number) {
                by_session.entry(session).or_default().push(path.to_owned());
            }
        }
    }
    told.summary.paths = told.watched.len();
    told.watches = by_session.into_iter().collect();
    told
}

fn shown(connection: &crate::reactor::Connection, offset: i64) -> Connection {
    let stats = connection.stats();
    Connection {
        remote: connection.remote(),
        reads: true,
        writes: connection.has_output(),
        queued: connection.queued(),
        received: stats.received,
        sent: stats.sent,
        established_ms: stats.established_ms + offset,
        session: connection.session().map(|id| ConnectedSession {
            id,
            last_operation: stats.last_op,
            timeout_ms: connection.timeout_ms(),
            last_cxid: stats.last_cxid,
            last_zxid: stats.last_zxid,
            last_response_ms: stats.last_response_ms,
            last_latency_ms: stats.last_latency_ms,
            latency: Latency {
                min: stats.min_latency_ms.unwrap_or(0),
                max: stats.max_latency_ms,
                sum: stats.latency_sum_ms,
                count: stats.latency_count as u64,
            },
        }),
        expires_ms: connection.heard_ms() + i64::from(connection.timeout_ms()) + offset,
    }
}

fn member_settings(config: &Config, ensemble: &config::Ensemble) -> MemberSettings {
    let id = config.more.my_id.unwrap_or_default();
    MemberSettings {
        init_limit: config.init_limit_ticks,
        sync_limit: config.sync_limit_ticks,
        ..settings_of(ensemble, id)
    }
}

/// What a configuration says of a member.
fn settings_of(ensemble: &config::Ensemble, id: ServerId) -> MemberSettings {
    let addresses = ensemble.members.get(&id).map(|member| member.addresses.as_slice()).unwrap_or_default();
    MemberSettings {
        init_limit: 0,
        sync_limit: 0,
        election_alg: 3,
        election_ports: addresses.iter().map(|address| address.election_port).collect(),
        quorum_ports: addresses.iter().map(|address| address.quorum_port).collect(),
        observer: ensemble.role(id) == PeerType::Observer,
        membership: Some(ensemble.to_string()),
    }
}

fn ensemble_of(my_id: ServerId, ensemble: &config::Ensemble) -> Ensemble {
    let shown = |host: &config::Host| host.to_string();
    let told = |member: &config::Member| Voter {
        id: member.id,
        quorum: Endpoints(member.addresses.iter().map(|at| (shown(&at.host), at.quorum_port)).collect()),
        election: Endpoints(member.addresses.iter().map(|at| (shown(&at.host), at.election_port)).collect()),
        client: member.client.as_ref().map(ToString::to_string),
    };
    let own = ensemble.members.get(&my_id).map(told);
    Ensemble {
        my_id,
        own_quorum: own.as_ref().map(|own| own.quorum.clone()).unwrap_or_default(),
        own_election: own.as_ref().map(|own| own.election.clone()).unwrap_or_default(),
        own_client: own.and_then(|own| own.client),
        leader: None,
        voters: ensemble.voters().map(told).collect(),
        observers: Vec::new(),
    }
}

fn absolute(path: &std::path::Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
