//! Elections as the original holds them (`FastLeaderElection` over `QuorumCnxManager`): votes travel between all voters,
//! each adopts the best it hears of, and a quorum for one decides. Whoever knows a leader tells those who look.

use super::quorum::{Decision, Electing};
use super::{ServerError, thread};
use crate::config::{Config, Ensemble};
use crate::proto::Zxid;
use crate::quorum::{self, Greeting, NOTIFICATION_MAX, Notification, Output, PeerState, Voters};
use crate::zab::ServerId;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const DIAL: Duration = Duration::from_secs(5);
/// When there is nothing to wait for.
const LONG: Duration = Duration::from_secs(1);

/// The connection to a peer, and what waits for it: the newest message only.
#[derive(Default)]
struct Peer {
    slot: Option<Vec<u8>>,
    last: Option<Vec<u8>>,
    socket: Option<Arc<TcpStream>>,
    dialing: bool,
}

/// What the thread that waits for a leader is woken for.
enum News {
    Decided(Decision),
    /// A message made the next deadline an earlier one.
    Sooner,
}

struct Shared {
    me: ServerId,
    own_address: String,
    addresses: BTreeMap<ServerId, Vec<(String, u16)>>,
    handshake: Duration,
    peers: Mutex<BTreeMap<ServerId, Peer>>,
    filled: Condvar,
    core: Mutex<quorum::Election>,
    news: Mutex<Sender<News>>,
    started: Instant,
    ended: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The elections of one member.
pub struct Election {
    shared: Arc<Shared>,
    news: Receiver<News>,
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
            addresses,
            handshake: tick * u32::try_from(config.sync_limit_ticks).unwrap_or(1).max(1),
            peers: Mutex::new(BTreeMap::new()),
            filled: Condvar::new(),
            core: Mutex::new(quorum::Election::new(me, Voters::of(ensemble), ensemble.to_string())),
            news: Mutex::new(to),
            started: Instant::now(),
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
        Ok(Election { shared, news: from })
    }

    /// What to call once a term's epoch is settled: the vote then says so to whoever comes later.
    pub fn settle(&self) -> Box<dyn Fn(i64) + Send + Sync> {
        let shared = self.shared.clone();
        Box::new(move |epoch| locked(&shared.core).set_epoch(epoch))
    }
}

impl Electing for Election {
    fn elect(&mut self, last: Zxid, epoch: i64) -> Decision {
        self.shared.step(|core, now_ms, out| core.look(last, epoch, now_ms, out));
        loop {
            let deadline = locked(&self.shared.core).deadline_ms();
            let wait = deadline
                .map_or(LONG, |at| Duration::from_millis(u64::try_from(at - self.shared.now_ms()).unwrap_or(0)));
            match self.news.recv_timeout(wait) {
                Ok(News::Decided(decision)) => return decision,
                Ok(News::Sooner) => {}
                Err(_) => self.shared.step(|core, now_ms, out| core.tick(now_ms, out)),
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
        let greeted = thread("election-peer".into(), move || match shared.greeted(socket) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(%peer, %error, "what came to the election port was no member's; closed");
            }
            Err(error) => tracing::debug!(%peer, %error, "a connection to the election port ends"),
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
    fn now_ms(&self) -> i64 {
        self.started.elapsed().as_millis() as i64
    }

    /// One step of the election, and what comes of it.
    fn step(self: &Arc<Self>, step: impl FnOnce(&mut quorum::Election, i64, &mut Vec<Output>)) {
        let mut out = Vec::new();
        // Under the lock, so that messages leave in the order in which they were made.
        let mut core = locked(&self.core);
        let before = core.deadline_ms();
        step(&mut core, self.now_ms(), &mut out);
        // Alone, a server waits for up to a minute; when company comes, the end is a moment away.
        if core.deadline_ms().is_some_and(|after| before.is_none_or(|before| after < before)) {
            // Nobody waits: the process ends.
            let _ = locked(&self.news).send(News::Sooner);
        }
        for output in out {
            match output {
                Output::Send(peer, told) => {
                    let body = told.encode();
                    let mut frame = (body.len() as i32).to_be_bytes().to_vec();
                    frame.extend_from_slice(&body);
                    self.send(peer, frame);
                }
                Output::Decided(state, vote) => {
                    let leads = state == PeerState::Leading;
                    let decision = if leads { Decision::Lead } else { Decision::Follow(vote.leader) };
                    // Nobody waits: the process ends.
                    let _ = locked(&self.news).send(News::Decided(decision));
                }
            }
        }
    }

    /// Somebody dialled. The larger id keeps the connection it dialled; to a smaller one this server dials back.
    fn greeted(self: &Arc<Self>, mut socket: TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(self.handshake))?;
        let mut greeting = Vec::new();
        let broken = |error: crate::jute::DecodeError| bad(&error.to_string());
        loop {
            match Greeting::wanted(&greeting).map_err(broken)? {
                0 => break,
                wanted => {
                    let start = greeting.len();
                    greeting.resize(start + wanted, 0);
                    socket.read_exact(&mut greeting[start..])?;
                }
            }
        }
        let peer = Greeting::decode(&greeting).map_err(broken)?.server;
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
                    let greeting = Greeting { server: self.me, addresses: vec![self.own_address.clone()] }.encode();
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
        let read = |socket: &mut TcpStream| {
            let frame = read_frame(socket)?;
            Notification::decode(&frame).map_err(|error| bad(&format!("a vote that cannot be read: {error}")))
        };
        loop {
            match read(&mut socket) {
                Ok(told) => self.step(|core, now_ms, out| core.receive(peer, &told, now_ms, out)),
                Err(error) => {
                    if error.kind() == io::ErrorKind::InvalidData {
                        tracing::warn!(peer, %error, "the connection of the election to this member is closed");
                    }
                    break;
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SystemProperties;
    use crate::quorum::Vote;

    /// Member 1 of two, and the listener of member 2, which the test plays.
    struct Pair {
        election: Election,
        port: u16,
        peer: TcpListener,
        _folder: tempfile::TempDir,
    }

    fn pair() -> Pair {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("myid"), "1\n").unwrap();
        let peer = TcpListener::bind("127.0.0.1:0").unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, other) = (free.local_addr().unwrap().port(), peer.local_addr().unwrap().port());
        drop(free);
        let text = format!(
            "dataDir={}\nclientPort=0\ntickTime=500\ninitLimit=20\nsyncLimit=6\n\
             server.1=127.0.0.1:1:{port}\nserver.2=127.0.0.1:2:{other}\n",
            folder.path().display()
        );
        let file = folder.path().join("zoo.cfg");
        let config = Config::parse(text.as_bytes(), &file, &SystemProperties::default()).unwrap();
        Pair { election: Election::start(&config, 1).unwrap(), port, peer, _folder: folder }
    }

    fn framed(told: &Notification) -> Vec<u8> {
        let body = told.encode();
        [&(body.len() as i32).to_be_bytes()[..], &body].concat()
    }

    fn greet(port: u16, peer: ServerId) -> TcpStream {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.write_all(&Greeting { server: peer, addresses: vec!["127.0.0.1:2".into()] }.encode()).unwrap();
        socket
    }

    fn looking(round: i64) -> Notification {
        let vote = Vote { leader: 2, zxid: Zxid(0), round, epoch: 0 };
        Notification::new(PeerState::Looking, vote, "server.2=127.0.0.1:2:3:participant\nversion=0")
    }

    #[test]
    fn who_waited_alone_decides_as_soon_as_there_is_company() {
        let Pair { mut election, port, peer, _folder } = pair();
        let (to, decision) = channel();
        std::thread::spawn(move || to.send(election.elect(Zxid(0), 0)));
        // It dials at 0, 200, 600, 1400 and 3000 ms; after the fifth it would sleep for 3200.
        for _ in 0..5 {
            let mut greeting = Vec::new();
            peer.accept().unwrap().0.read_to_end(&mut greeting).unwrap();
            assert_eq!(Greeting::decode(&greeting).unwrap().server, 1);
        }
        let mut socket = greet(port, 2);
        socket.write_all(&framed(&looking(1))).unwrap();
        let met = Instant::now();
        assert_eq!(decision.recv_timeout(Duration::from_secs(10)), Ok(Decision::Follow(2)));
        let took = met.elapsed();
        assert!(took < Duration::from_millis(2500), "decided after {took:?}, when the pause between votes was over");
    }

    #[test]
    fn strangers_and_votes_that_cannot_be_read_lose_their_connection() {
        let Pair { election, port, peer: _peer, _folder } = pair();
        let hostile: [&[u8]; 4] = [b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x04\0\0\0\x09"];
        for bytes in hostile {
            let mut socket = greet(port, 2);
            socket.write_all(bytes).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            // Closed, with or without a reset; an open connection would time out.
            let end = socket.read_to_end(&mut Vec::new());
            assert!(
                end.as_ref().is_ok_and(|read| *read == 0)
                    || end.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionReset)
            );
        }
        let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let end = socket.read_to_end(&mut Vec::new());
        assert!(
            end.as_ref().is_ok_and(|read| *read == 0) || end.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionReset)
        );
        drop(election);
    }
}
