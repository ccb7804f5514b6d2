//! Elections as the original holds them (`FastLeaderElection` over `QuorumCnxManager`): votes travel between all voters,
//! each adopts the best it hears of, and a quorum for one decides. Whoever knows a leader tells those who look.

use super::quorum::{Decision, Electing};
use super::{ServerError, thread};
use crate::config::{Config, Ensemble};
use crate::jute::{Encode, Reader};
use crate::proto::Zxid;
use crate::zab::ServerId;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const PROTOCOL: i64 = -65536;
const PROTOCOL_WITH_MANY: i64 = -65535;
const LOOKING: i32 = 0;
const FOLLOWING: i32 = 1;
const LEADING: i32 = 2;
/// How long to wait for a better vote once there is a quorum, and for the first message.
const FINALIZE: Duration = Duration::from_millis(200);
const PATIENCE_MAX: Duration = Duration::from_secs(60);
const DIAL: Duration = Duration::from_secs(5);
const FRAME_MAX: usize = 524_288;
const ADDRESS_MAX: usize = 2048;

/// For whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Vote {
    leader: ServerId,
    zxid: i64,
    round: i64,
    epoch: i64,
}

impl Vote {
    fn beats(&self, other: &Vote) -> bool {
        (self.epoch, self.zxid, self.leader) > (other.epoch, other.zxid, other.leader)
    }
}

/// What a peer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Notification {
    sender: ServerId,
    state: i32,
    vote: Vote,
}

impl Notification {
    fn parse(sender: ServerId, frame: &[u8]) -> Option<Self> {
        let mut reader = Reader::unlimited(frame);
        let (state, leader) = (reader.int().ok()?, reader.long().ok()?);
        let (zxid, round) = (reader.long().ok()?, reader.long().ok()?);
        let epoch = reader.long().unwrap_or(zxid >> 32);
        (0..=3).contains(&state).then_some(Notification { sender, state, vote: Vote { leader, zxid, round, epoch } })
    }
}

struct Current {
    state: i32,
    vote: Vote,
    round: i64,
}

/// The connection to a peer, and what waits for it: the newest message only.
#[derive(Default)]
struct Peer {
    slot: Option<Vec<u8>>,
    last: Option<Vec<u8>>,
    socket: Option<Arc<TcpStream>>,
    dialing: bool,
}

struct Shared {
    me: ServerId,
    own_address: String,
    text: String,
    voters: Vec<ServerId>,
    addresses: BTreeMap<ServerId, Vec<(String, u16)>>,
    handshake: Duration,
    peers: Mutex<BTreeMap<ServerId, Peer>>,
    filled: Condvar,
    current: Mutex<Current>,
    inbox: Mutex<Sender<Notification>>,
    ended: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The elections of one member.
pub struct Election {
    shared: Arc<Shared>,
    inbox: Receiver<Notification>,
}

impl Election {
    /// Listens on the election port.
    pub fn start(config: &Config, me: ServerId) -> Result<Election, ServerError> {
        let ensemble: &Ensemble = &config.more.ensemble;
        let unknown = || ServerError::Unsupported(format!("there is no line server.{me}, and myid says {me}"));
        let addresses: BTreeMap<_, Vec<_>> = ensemble
            .members
            .values()
            .map(|member| {
                let all = member.addresses.iter().map(|at| (at.host.as_str().to_owned(), at.election_port));
                (member.id, all.collect())
            })
            .collect();
        let (host, port) = addresses.get(&me).and_then(|all| all.first()).cloned().ok_or_else(unknown)?;
        let bracketed = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let tick = Duration::from_millis(u64::try_from(config.tick_time_ms).unwrap_or(2000));
        let (to, from) = channel();
        let shared = Arc::new(Shared {
            me,
            own_address: bracketed,
            text: ensemble.to_string(),
            voters: ensemble.voters().map(|member| member.id).collect(),
            addresses,
            handshake: tick * u32::try_from(config.sync_limit_ticks).unwrap_or(1).max(1),
            peers: Mutex::new(BTreeMap::new()),
            filled: Condvar::new(),
            current: Mutex::new(Current {
                state: LOOKING,
                vote: Vote { leader: me, zxid: -1, round: 0, epoch: -1 },
                round: 0,
            }),
            inbox: Mutex::new(to),
            ended: AtomicBool::new(false),
        });
        let mut found = (host.as_str(), port).to_socket_addrs().into_iter().flatten();
        let mut address = found.next().ok_or_else(|| {
            ServerError::Unsupported(format!("the address of this server's own line, {host}, is not known"))
        })?;
        if config.quorum_listen_on_all_ips {
            address.set_ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        }
        let listener = bind(address).map_err(|error| ServerError::Listen { address, error })?;
        let accepting = shared.clone();
        thread("election".into(), move || accept(&accepting, &listener))?;
        Ok(Election { shared, inbox: from })
    }

    /// What to call once a term's epoch is settled: the vote then says so to whoever comes later.
    pub fn settle(&self) -> Box<dyn Fn(i64) + Send + Sync> {
        let shared = self.shared.clone();
        Box::new(move |epoch| locked(&shared.current).vote.epoch = epoch)
    }

    fn is_quorum(&self, members: usize) -> bool {
        2 * members > self.shared.voters.len()
    }

    fn quorum_for(&self, votes: &BTreeMap<ServerId, Notification>, wanted: impl Fn(&Notification) -> bool) -> bool {
        self.is_quorum(votes.values().filter(|vote| wanted(vote)).count())
    }

    /// A candidate counts as leader once it says so itself, or is this server in this very round.
    fn leads(&self, votes: &BTreeMap<ServerId, Notification>, leader: ServerId, round: i64, own_round: i64) -> bool {
        match leader == self.shared.me {
            true => round == own_round,
            false => votes.get(&leader).is_some_and(|vote| vote.state == LEADING),
        }
    }

    fn decide(&self, vote: Vote, round: i64) -> Decision {
        let leads = vote.leader == self.shared.me;
        let state = if leads { LEADING } else { FOLLOWING };
        *locked(&self.shared.current) = Current { state, vote, round };
        while self.inbox.try_recv().is_ok() {}
        if leads { Decision::Lead } else { Decision::Follow(vote.leader) }
    }

    fn propose(&self, vote: Vote) {
        {
            let mut current = locked(&self.shared.current);
            (current.vote, current.round) = (vote, vote.round);
        }
        let message = self.shared.message(LOOKING, &vote);
        for peer in self.shared.voters.iter().filter(|peer| **peer != self.shared.me) {
            self.shared.send(*peer, message.clone());
        }
    }
}

impl Electing for Election {
    fn elect(&mut self, last: Zxid, epoch: i64) -> Decision {
        let me = self.shared.me;
        let mut round = {
            let mut current = locked(&self.shared.current);
            current.state = LOOKING;
            current.round += 1;
            current.round
        };
        while self.inbox.try_recv().is_ok() {}
        let own = Vote { leader: me, zxid: last.0, round, epoch };
        let mut proposal = own;
        let mut received: BTreeMap<ServerId, Notification> = BTreeMap::new();
        let mut outside: BTreeMap<ServerId, Notification> = BTreeMap::new();
        let mut patience = FINALIZE;
        let mut again: Option<Notification> = None;
        self.propose(proposal);
        received.insert(me, Notification { sender: me, state: LOOKING, vote: proposal });
        if last.0 != -1 && self.is_quorum(1) {
            return self.decide(proposal, round);
        }
        loop {
            let heard = match again.take() {
                Some(heard) => Ok(heard),
                None => self.inbox.recv_timeout(patience),
            };
            let heard = match heard {
                Ok(heard) => heard,
                Err(RecvTimeoutError::Timeout) => {
                    self.propose(proposal);
                    patience = (patience * 2).min(PATIENCE_MAX);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    tracing::error!("the election has no messages any more");
                    std::process::exit(1);
                }
            };
            let is_voter = |id: &ServerId| self.shared.voters.contains(id);
            if !is_voter(&heard.sender) || !is_voter(&heard.vote.leader) {
                continue;
            }
            match heard.state {
                LOOKING => {
                    if last.0 == -1 || heard.vote.zxid == -1 || heard.vote.round < round {
                        continue;
                    }
                    let mut changed = false;
                    if heard.vote.round > round {
                        round = heard.vote.round;
                        received.clear();
                        proposal = if heard.vote.beats(&own) { heard.vote } else { Vote { round, ..own } };
                        changed = true;
                    } else if heard.vote.beats(&proposal) {
                        proposal = heard.vote;
                        changed = true;
                    }
                    if changed {
                        self.propose(proposal);
                        received.insert(me, Notification { sender: me, state: LOOKING, vote: proposal });
                    }
                    received.insert(heard.sender, heard);
                    if self.quorum_for(&received, |vote| vote.vote == proposal) {
                        loop {
                            match self.inbox.recv_timeout(FINALIZE) {
                                Ok(late) if late.vote.beats(&proposal) => {
                                    again = Some(late);
                                    break;
                                }
                                Ok(_) => {}
                                Err(_) => return self.decide(proposal, round),
                            }
                        }
                    }
                }
                FOLLOWING | LEADING => {
                    let same = |vote: &Notification| {
                        vote.vote.leader == heard.vote.leader && vote.vote.epoch == heard.vote.epoch
                    };
                    let led = |votes: &BTreeMap<ServerId, Notification>| {
                        self.quorum_for(votes, |vote| match vote.state == LOOKING {
                            true => vote.vote == heard.vote,
                            false => same(vote),
                        }) && self.leads(votes, heard.vote.leader, heard.vote.round, round)
                    };
                    if heard.vote.round == round {
                        received.insert(heard.sender, heard);
                        if led(&received) {
                            return self.decide(heard.vote, round);
                        }
                    }
                    outside.insert(heard.sender, heard);
                    if led(&outside) {
                        return self.decide(heard.vote, heard.vote.round);
                    }
                }
                _ => {}
            }
        }
    }
}

impl Drop for Election {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    Ok(socket.into())
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    loop {
        let Ok((socket, peer)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(100));
            continue;
        };
        if shared.ended.load(Ordering::Relaxed) {
            return;
        }
        let shared = shared.clone();
        let greeted = thread("election-peer".into(), move || {
            if let Err(error) = shared.greeted(socket) {
                tracing::debug!(%peer, %error, "a connection to the election port ends");
            }
        });
        if let Err(error) = greeted {
            tracing::warn!(%error, "a connection to the election port is not served");
        }
    }
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl Shared {
    fn message(&self, state: i32, vote: &Vote) -> Vec<u8> {
        let mut body = state.to_bytes();
        vote.leader.encode(&mut body);
        vote.zxid.encode(&mut body);
        vote.round.encode(&mut body);
        vote.epoch.encode(&mut body);
        2i32.encode(&mut body);
        (self.text.len() as i32).encode(&mut body);
        body.extend_from_slice(self.text.as_bytes());
        let mut frame = (body.len() as i32).to_bytes();
        frame.extend_from_slice(&body);
        frame
    }

    /// Somebody dialled. The larger id keeps the connection it dialled; to a smaller one this server dials back.
    fn greeted(self: &Arc<Self>, mut socket: TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(self.handshake))?;
        let mut head = [0; 20];
        socket.read_exact(&mut head)?;
        let mut reader = Reader::unlimited(&head);
        let short = |_| bad("a short greeting");
        let (protocol, peer) = (reader.long().map_err(short)?, reader.long().map_err(short)?);
        if protocol != PROTOCOL && protocol != PROTOCOL_WITH_MANY {
            return Err(bad("another protocol"));
        }
        let length = usize::try_from(reader.int().map_err(short)?).unwrap_or(usize::MAX);
        if length == 0 || length > ADDRESS_MAX {
            return Err(bad("an address of an unreasonable length"));
        }
        socket.read_exact(&mut vec![0; length])?;
        if peer == self.me {
            tracing::error!(peer, "another server says it has the id of this one: see the file myid of both");
            return Ok(());
        }
        if !self.addresses.contains_key(&peer) {
            return Err(bad("a server that is not in the configuration"));
        }
        if peer < self.me {
            if let Some(old) = locked(&self.peers).entry(peer).or_default().socket.take() {
                let _ = old.shutdown(Shutdown::Both);
            }
            self.filled.notify_all();
            drop(socket);
            self.dial(peer);
            return Ok(());
        }
        socket.set_read_timeout(None)?;
        self.converse(peer, socket);
        Ok(())
    }

    fn dial(self: &Arc<Self>, peer: ServerId) {
        {
            let mut peers = locked(&self.peers);
            let state = peers.entry(peer).or_default();
            if state.dialing || state.socket.is_some() {
                return;
            }
            state.dialing = true;
        }
        let shared = self.clone();
        let dialing = thread("election-dial".into(), move || {
            let socket = shared.greet(peer);
            locked(&shared.peers).entry(peer).or_default().dialing = false;
            match socket {
                Ok(Some(socket)) => shared.converse(peer, socket),
                Ok(None) => {}
                Err(error) => tracing::debug!(peer, %error, "a peer cannot be reached"),
            }
        });
        if dialing.is_err() {
            locked(&self.peers).entry(peer).or_default().dialing = false;
        }
    }

    /// Dials; `None` when the other side will dial back.
    fn greet(&self, peer: ServerId) -> io::Result<Option<TcpStream>> {
        let all = self.addresses.get(&peer).map(Vec::as_slice).unwrap_or_default();
        let found = all.iter().filter_map(|(host, port)| (host.as_str(), *port).to_socket_addrs().ok()).flatten();
        let mut error = bad("its address is not known");
        for address in found {
            match TcpStream::connect_timeout(&address, DIAL) {
                Ok(mut socket) => {
                    socket.set_nodelay(true)?;
                    let mut greeting = PROTOCOL.to_bytes();
                    self.me.encode(&mut greeting);
                    (self.own_address.len() as i32).encode(&mut greeting);
                    greeting.extend_from_slice(self.own_address.as_bytes());
                    // In one piece, or the original does not read it.
                    socket.write_all(&greeting)?;
                    return Ok((peer < self.me).then_some(socket));
                }
                Err(refused) => error = refused,
            }
        }
        Err(error)
    }

    /// Reads what the peer says, and sends what there is, until the connection ends or another takes its place.
    fn converse(self: &Arc<Self>, peer: ServerId, mut socket: TcpStream) {
        let Ok(writing) = socket.try_clone().map(Arc::new) else { return };
        {
            let mut peers = locked(&self.peers);
            let state = peers.entry(peer).or_default();
            if let Some(old) = state.socket.replace(writing.clone()) {
                let _ = old.shutdown(Shutdown::Both);
            }
            if state.slot.is_none() {
                state.slot = state.last.clone();
            }
        }
        self.filled.notify_all();
        let (shared, mine) = (self.clone(), writing.clone());
        if thread("election-send".into(), move || shared.write(peer, &mine)).is_err() {
            return;
        }
        while let Ok(frame) = read_frame(&mut socket) {
            if let Some(notification) = Notification::parse(peer, &frame) {
                self.heard(notification);
            }
        }
        let _ = writing.shutdown(Shutdown::Both);
        let mut peers = locked(&self.peers);
        let state = peers.entry(peer).or_default();
        if state.socket.as_ref().is_some_and(|socket| Arc::ptr_eq(socket, &writing)) {
            state.socket = None;
        }
        drop(peers);
        self.filled.notify_all();
    }

    fn write(&self, peer: ServerId, socket: &Arc<TcpStream>) {
        let mut peers = locked(&self.peers);
        loop {
            let state = peers.entry(peer).or_default();
            if !state.socket.as_ref().is_some_and(|current| Arc::ptr_eq(current, socket)) {
                return;
            }
            match state.slot.take() {
                Some(message) => {
                    drop(peers);
                    if (&**socket).write_all(&message).is_err() {
                        let _ = socket.shutdown(Shutdown::Both);
                        return;
                    }
                    peers = locked(&self.peers);
                }
                None => peers = self.filled.wait(peers).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn send(self: &Arc<Self>, peer: ServerId, message: Vec<u8>) {
        {
            let mut peers = locked(&self.peers);
            let state = peers.entry(peer).or_default();
            state.last = Some(message.clone());
            state.slot = Some(message);
        }
        self.filled.notify_all();
        self.dial(peer);
    }

    /// In every state: whoever looks is told what is known here.
    fn heard(self: &Arc<Self>, notification: Notification) {
        let (state, vote, round) = {
            let current = locked(&self.current);
            (current.state, current.vote, current.round)
        };
        let sender = notification.sender;
        if !self.voters.contains(&sender) {
            return self.send(sender, self.message(state, &vote));
        }
        if state == LOOKING {
            // Nobody listens: the process ends.
            let _ = locked(&self.inbox).send(notification);
            if notification.state == LOOKING && notification.vote.round < round {
                self.send(sender, self.message(LOOKING, &vote));
            }
        } else if notification.state == LOOKING {
            self.send(sender, self.message(state, &vote));
        }
    }
}

fn read_frame(socket: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(0);
    if length == 0 || length > FRAME_MAX {
        return Err(bad("a message of an unreasonable length"));
    }
    let mut frame = Vec::new();
    socket.take(length as u64).read_to_end(&mut frame)?;
    if frame.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(frame) }
}
