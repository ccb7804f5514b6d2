//! Elections as the original holds them (`FastLeaderElection` over `QuorumCnxManager`): votes travel between all voters,
//! each adopts the best it hears of, and a quorum for one decides. Whoever knows a leader tells those who look. The
//! thinking is done in `crate::quorum`; here are sockets (`peers`, `dial`, `listen`), their limits (`super::strangers`) and time.

mod dial;
mod listen;
mod peers;
#[cfg(test)]
mod tests;

use super::ServerError;
use super::quorum::{Decision, Electing};
use super::strangers::Strangers;
use crate::config::{Config, Ensemble};
use crate::proto::Zxid;
use crate::quorum::{self, Membership, NOTIFICATION_MAX, Notification, Output, Pauses, PeerState};
use crate::zab::ServerId;
use listen::Listeners;
use peers::Peers;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// When there is nothing to wait for.
const LONG: Duration = Duration::from_secs(1);

/// A name or an address, and a port.
type HostPort = (String, u16);

/// What the thread that waits for a leader is woken for.
enum News {
    Decided(Decision),
    /// A message made the next deadline an earlier one.
    Sooner,
    /// Another member has a later configuration.
    Newer(Box<Ensemble>),
}

/// What the configuration file says about connections of the election.
struct Options {
    /// Longest wait for a connection to open (`cnxTimeout`).
    connect: Duration,
    /// Longest silence of a stranger (`quorumCnxnTimeoutMs`), and of a member that owes an acknowledgement.
    handshake: Duration,
    /// The same where a member has other addresses to go to.
    detour: Option<Duration>,
    /// `multiAddress.enabled`: the handshake tells all addresses.
    tell_all_addresses: bool,
    /// `tcpKeepAlive`.
    keep_alive: bool,
    /// `quorumListenOnAllIPs`.
    listen_on_all: bool,
    /// Attempts at listening; 0 never gives up.
    bind_attempts: u32,
    /// `reconfigEnabled`.
    reconfig: bool,
    /// `oraclePath`.
    oracle: Option<PathBuf>,
}

impl Options {
    fn of(config: &Config) -> Self {
        let millis = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0).max(1));
        let silence = if config.quorum_cnxn_timeout_ms > 0 {
            i64::from(config.quorum_cnxn_timeout_ms)
        } else {
            i64::from(config.tick_time_ms) * i64::from(config.sync_limit_ticks.max(1))
        };
        let detour = millis(config.multi_address_reachability_check_timeout_ms.into());
        let checks = config.multi_address_enabled && config.multi_address_reachability_check_enabled;
        Options {
            connect: millis(config.cnx_timeout_ms.into()),
            handshake: millis(silence),
            detour: checks.then_some(detour),
            tell_all_addresses: config.multi_address_enabled,
            keep_alive: config.tcp_keep_alive,
            listen_on_all: config.quorum_listen_on_all_ips,
            bind_attempts: u32::try_from(config.election_port_bind_retry).unwrap_or(listen::BIND_ATTEMPTS),
            reconfig: config.reconfig_enabled,
            oracle: config.oracle_path.clone(),
        }
    }
}

/// The election ports of the members, of the active configuration and of the proposed one.
#[derive(Default)]
struct AddressBook(BTreeMap<ServerId, Vec<HostPort>>);

impl AddressBook {
    fn new(active: &Ensemble, proposed: Option<&Ensemble>) -> Self {
        let mut book = AddressBook::default();
        for member in [Some(active), proposed].into_iter().flatten().flat_map(|ensemble| ensemble.members.values()) {
            let known = book.0.entry(member.id).or_default();
            for at in &member.addresses {
                let address = (at.host.as_str().to_owned(), at.election_port);
                if !known.contains(&address) {
                    known.push(address);
                }
            }
        }
        book
    }

    fn of(&self, id: ServerId) -> Vec<HostPort> {
        self.0.get(&id).cloned().unwrap_or_default()
    }
}

struct Shared {
    me: ServerId,
    options: Options,
    book: Mutex<AddressBook>,
    /// As the handshake tells them.
    own_addresses: Mutex<Vec<String>>,
    peers: Peers,
    strangers: Strangers,
    core: Mutex<quorum::Election>,
    news: Mutex<Sender<News>>,
    /// What to do when a voter of this leader looks for another.
    deserted: OnceLock<Box<dyn Fn() + Send + Sync>>,
    started: Instant,
    ended: AtomicBool,
    /// The last transaction and the epoch of the search under way, or the last one.
    standing: Mutex<(Zxid, i64)>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bad(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

fn own_addresses(active: &Ensemble, me: ServerId) -> Option<Vec<HostPort>> {
    let own = AddressBook::new(active, None).of(me);
    (!own.is_empty()).then_some(own)
}

fn bracketed((host, port): &HostPort) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn no_line(ensemble: &Ensemble, me: ServerId) -> ServerError {
    let ids = ensemble.members.keys().map(i64::to_string).collect::<Vec<_>>().join(", ");
    ServerError::Unsupported(format!(
        "myid says {me}, and there is no line server.{me}: the lines are for {ids}; one of both is wrong"
    ))
}

/// Refuses a server that no line is for: before anything else is said about it.
pub fn has_line(config: &Config) -> Result<(), ServerError> {
    let ensemble = &config.more.ensemble;
    match config.more.my_id {
        Some(me) if !ensemble.members.contains_key(&me) => Err(no_line(ensemble, me)),
        _ => Ok(()),
    }
}

/// The elections of one member.
pub struct Election {
    handle: Handle,
    news: Receiver<News>,
    newer: Option<Box<dyn Fn(Ensemble) + Send>>,
}

/// The part of an election that other threads may hold.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    listeners: Arc<Listeners>,
}

impl Election {
    /// Listens on the election ports. Names are looked up and ports are bound by threads of their own, which end the
    /// process with exit code 14 when no address can be had: the others dial this server, and none would reach it.
    pub fn start(config: &Config, me: ServerId) -> Result<Election, ServerError> {
        let ensemble: &Ensemble = &config.more.ensemble;
        let own = own_addresses(ensemble, me).ok_or_else(|| no_line(ensemble, me))?;
        let (to, from) = channel();
        let pauses = Pauses {
            min_ms: i64::from(config.fastleader_min_notification_interval_ms),
            max_ms: i64::from(config.fastleader_max_notification_interval_ms),
        };
        let next = config
            .more
            .next_ensemble
            .as_ref()
            .filter(|next| config.reconfig_enabled && next.version > ensemble.version);
        let shared = Arc::new(Shared {
            me,
            options: Options::of(config),
            book: Mutex::new(AddressBook::new(ensemble, next)),
            own_addresses: Mutex::new(own.iter().map(bracketed).collect()),
            peers: Peers::default(),
            strangers: Strangers::default(),
            core: Mutex::new(quorum::Election::new(me, Membership::new(ensemble.clone(), next), pauses)),
            news: Mutex::new(to),
            deserted: OnceLock::new(),
            started: Instant::now(),
            ended: AtomicBool::new(false),
            standing: Mutex::new((Zxid::ZERO, 0)),
        });
        let listeners = Arc::new(Listeners::default());
        listeners.replace(&shared, &own)?;
        Ok(Election { handle: Handle { shared, listeners }, news: from, newer: None })
    }

    /// A way to install other configurations from other threads.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Who takes up a later configuration that a vote has brought, and has it installed; without anybody, it is installed
    /// at once.
    pub fn take_newer(&mut self, newer: Box<dyn Fn(Ensemble) + Send>) {
        self.newer = Some(newer);
    }

    /// What to call once a term's epoch is settled: the vote then says so to whoever comes later.
    pub fn settle(&self) -> Box<dyn Fn(i64) + Send + Sync> {
        let shared = self.handle.shared.clone();
        Box::new(move |epoch| locked(&shared.core).set_epoch(epoch))
    }

    /// What to do when a voter that made this server the leader looks for another; set once.
    pub fn on_desertion(&self, act: Box<dyn Fn() + Send + Sync>) {
        let set = self.handle.shared.deserted.set(act);
        debug_assert!(set.is_ok(), "set once");
    }
}

impl Handle {
    /// Goes on with another configuration, and with the one proposed beside it: all connections begin anew, this server
    /// listens where its new line says, and an election that is under way starts over.
    pub fn install(&self, active: &Ensemble, proposed: Option<&Ensemble>) {
        let shared = &self.shared;
        let before = locked(&shared.book).of(shared.me);
        *locked(&shared.book) = AddressBook::new(active, proposed);
        // A server that has no line any more stays where it is, and follows without a vote.
        let own = own_addresses(active, shared.me).unwrap_or(before.clone());
        if own != before {
            *locked(&shared.own_addresses) = own.iter().map(bracketed).collect();
            if let Err(error) = self.listeners.replace(shared, &own) {
                tracing::error!(%error, "cannot listen where the new configuration says");
            }
        }
        shared.peers.close_all();
        let membership = Membership::new(active.clone(), proposed);
        let (last, epoch) = *locked(&shared.standing);
        shared.step(|core, now_ms, out| core.install(membership, last, epoch, now_ms, out));
    }
}

impl Electing for Election {
    fn elect(&mut self, last: Zxid, epoch: i64) -> Decision {
        let shared = &self.handle.shared;
        *locked(&shared.standing) = (last, epoch);
        shared.step(|core, now_ms, out| core.look(last, epoch, now_ms, out));
        loop {
            let deadline = locked(&shared.core).deadline_ms();
            let wait =
                deadline.map_or(LONG, |at| Duration::from_millis(u64::try_from(at - shared.now_ms()).unwrap_or(0)));
            match self.news.recv_timeout(wait) {
                Ok(News::Decided(decision)) => return decision,
                Ok(News::Sooner) => {}
                Ok(News::Newer(ensemble)) => match &self.newer {
                    Some(newer) => newer(*ensemble),
                    None => self.handle.install(&ensemble, None),
                },
                Err(_) => shared.step(|core, now_ms, out| core.tick(now_ms, out)),
            }
        }
    }

    fn appoint(&mut self, leader: ServerId) {
        locked(&self.handle.shared.core).hand_over(leader);
    }
}

impl Drop for Election {
    fn drop(&mut self) {
        self.handle.shared.ended.store(true, Ordering::Relaxed);
        self.handle.listeners.close();
        self.handle.shared.peers.close_all();
    }
}

impl Shared {
    fn now_ms(&self) -> i64 {
        self.started.elapsed().as_millis() as i64
    }

    fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// One step of the election, and what comes of it.
    fn step(self: &Arc<Self>, step: impl FnOnce(&mut quorum::Election, i64, &mut Vec<Output>)) {
        let oracle = self.options.oracle.as_ref().map(|path| oracle_says(path));
        let mut out = Vec::new();
        // Under the lock, so that messages leave in the order in which they were made.
        let mut core = locked(&self.core);
        core.set_oracle(oracle);
        let before = core.deadline_ms();
        step(&mut core, self.now_ms(), &mut out);
        // Alone, a server waits for up to a minute; when company comes, the end is a moment away.
        if core.deadline_ms().is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.tell(News::Sooner);
        }
        let mut deserted = false;
        for output in out {
            match output {
                Output::Send(peer, told) => self.send(peer, &told),
                Output::Decided(state, vote) => {
                    let leads = state == PeerState::Leading;
                    self.tell(News::Decided(if leads { Decision::Lead } else { Decision::Follow(vote.leader) }));
                }
                Output::Newer(peer, ensemble) => {
                    let version = format!("{:x}", ensemble.version);
                    if self.options.reconfig {
                        tracing::info!(peer, version, "a member has a later configuration, which is taken up");
                        self.tell(News::Newer(ensemble));
                    } else {
                        tracing::warn!(
                            peer,
                            version,
                            "a member has a later configuration; this server keeps its own, because reconfigEnabled is not \
                             set here, and must be on all members or on none"
                        );
                    }
                }
                Output::Differs(peer, why) => tracing::warn!(
                    peer,
                    why,
                    "a member disagrees about who the members are: until the server lines are the same everywhere, \
                     the ensemble may have no leader, or two"
                ),
                Output::Deserted(_) => deserted = true,
            }
        }
        // The write path locks itself, and calls here while it does.
        drop(core);
        if let Some(act) = self.deserted.get().filter(|_| deserted) {
            act();
        }
    }

    fn tell(&self, news: News) {
        // Nobody waits: the process ends.
        let _ = locked(&self.news).send(news);
    }

    fn send(self: &Arc<Self>, peer: ServerId, told: &Notification) {
        let body = told.encode();
        let mut frame = (body.len() as i32).to_be_bytes().to_vec();
        frame.extend_from_slice(&body);
        if self.peers.offer(peer, frame, self.knows(peer)) {
            self.dial(peer, Vec::new());
        }
    }

    /// Whether a server is in the configuration.
    fn knows(&self, peer: ServerId) -> bool {
        locked(&self.book).0.contains_key(&peer)
    }

    /// Reads what the peer says, and sends what there is, until the connection ends or another takes its place.
    fn converse(self: &Arc<Self>, peer: ServerId, mut socket: TcpStream) {
        let known = self.knows(peer);
        let Ok(writing) = socket.try_clone().map(Arc::new) else { return };
        if self.ended() || !self.peers.connect(peer, writing.clone(), known) {
            return;
        }
        let (shared, mine) = (self.clone(), writing.clone());
        if super::thread("election-send".into(), move || shared.peers.write(peer, &mine)).is_err() {
            return self.peers.disconnect(peer, &writing, known);
        }
        let read = |socket: &mut TcpStream| {
            let frame = read_frame(socket)?;
            Notification::decode(&frame).map_err(|error| bad(format!("a vote that cannot be read: {error}")))
        };
        loop {
            match read(&mut socket) {
                Ok(told) => self.step(|core, now_ms, out| core.receive(peer, &told, now_ms, out)),
                Err(error) => {
                    let from = socket.peer_addr().map(|from| from.ip()).ok();
                    if error.kind() == io::ErrorKind::InvalidData && self.strangers.may_remark(from) {
                        tracing::warn!(peer, ?from, %error, "the connection of the election to this member is closed");
                    }
                    break;
                }
            }
        }
        let _ = writing.shutdown(Shutdown::Both);
        self.peers.disconnect(peer, &writing, known);
    }
}

/// `1` grants the quorum to this server; anything else, and a file that cannot be read, denies it.
fn oracle_says(path: &std::path::Path) -> bool {
    let mut first = [0];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == *b"1"
}

fn read_frame(socket: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(0);
    if length == 0 || length > NOTIFICATION_MAX {
        return Err(bad("a message of an unreasonable length"));
    }
    let mut frame = Vec::new();
    socket.take(length as u64).read_to_end(&mut frame)?;
    if frame.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(frame) }
}
