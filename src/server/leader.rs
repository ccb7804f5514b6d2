//! Leading: the quorum port, a pair of threads for each learner, and the files that bring one up to date. What is said,
//! and when, is decided by `zab::Leader`. A follower serves observers in the same way, on a port of their own.

use super::link::{Link, PacketReader};
use super::quorum::Setup;
use super::strangers::Strangers;
use super::{ServerError, thread};
use crate::proto::Zxid;
use crate::store::{Epochs, LogReader, ReadOptions, RealDisk};
use crate::tree::Tree;
use crate::zab::{Packet, Plan, ServerId, follows, kind};
use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Pause between looks at the listener.
const LOOK: Duration = Duration::from_millis(20);
/// Connections to the quorum port at a time.
const CONNECTIONS_MAX: usize = 256;

/// A term as leader, or the part of a follower's in which observers learn from it.
struct Term {
    setup: Arc<Setup>,
    over: AtomicBool,
    connections: AtomicUsize,
    strangers: Strangers,
}

/// Leads until the term is over; returns why it is.
pub fn lead(setup: &Arc<Setup>, epochs: Epochs) -> Result<String, ServerError> {
    let listeners = listen(setup)?;
    let (active, pending) = setup.known.term();
    setup.pipeline.begin_leading(active, pending, epochs, setup.times());
    let _port = Port::open(setup, "quorum-port", listeners)?;
    let why = loop {
        if let Some(why) = setup.pipeline.ended(setup.look) {
            break why;
        }
        setup.pipeline.tick();
    };
    Ok(why)
}

/// `observerMasterPort`: as a follower, lets observers learn from this server until the port is dropped. Without it they
/// learn from others: a port that cannot be had is no reason to stop following.
pub fn serve_observers(setup: &Arc<Setup>) -> Option<Port> {
    let port = setup.observer_port?;
    let listeners = own_addresses(setup, Some(port)).and_then(|addresses| {
        let opened: io::Result<Vec<_>> = addresses.iter().map(|address| open(*address)).collect();
        opened.map_err(|error| ServerError::Listen { address: addresses[0], error })
    });
    match listeners.and_then(|listeners| Port::open(setup, "observer-port", listeners)) {
        Ok(port) => Some(port),
        Err(error) => {
            tracing::error!(%error, "observers cannot learn from this follower (observerMasterPort)");
            None
        }
    }
}

/// Where learners connect. Dropped, it takes no more of them, and its port is free for the next term.
pub struct Port {
    term: Arc<Term>,
    threads: Vec<JoinHandle<()>>,
}

impl Port {
    fn open(setup: &Arc<Setup>, name: &str, listeners: Vec<TcpListener>) -> Result<Port, ServerError> {
        let (over, connections, strangers) = (AtomicBool::new(false), AtomicUsize::new(0), Strangers::default());
        let term = Arc::new(Term { setup: setup.clone(), over, connections, strangers });
        let mut port = Port { term: term.clone(), threads: Vec::new() };
        for listener in listeners {
            let term = term.clone();
            port.threads.push(thread(name.into(), move || term.accept(&listener))?);
        }
        Ok(port)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.term.over.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// Addresses of this server's own line, on the quorum port or another; at least one.
fn own_addresses(setup: &Setup, port: Option<u16>) -> Result<Vec<SocketAddr>, ServerError> {
    let mut addresses = setup.resolve(setup.me);
    addresses.iter_mut().for_each(|address| address.set_port(port.unwrap_or(address.port())));
    if setup.listen_on_all {
        addresses.iter_mut().for_each(|address| address.set_ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
    }
    addresses.sort_unstable();
    addresses.dedup();
    match addresses.is_empty() {
        true => Err(ServerError::Unsupported("the address of this server's own server.N line is not known".into())),
        false => Ok(addresses),
    }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn listen(setup: &Setup) -> Result<Vec<TcpListener>, ServerError> {
    let addresses = own_addresses(setup, None)?;
    let deadline = Instant::now() + setup.init;
    loop {
        let opened: Vec<io::Result<TcpListener>> = addresses.iter().map(|address| open(*address)).collect();
        let (good, failed): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
        let good: Vec<TcpListener> = good.into_iter().flatten().collect();
        if !good.is_empty() {
            return Ok(good);
        }
        if Instant::now() > deadline {
            let error = failed.into_iter().find_map(Result::err).unwrap_or_else(|| io::Error::other("no address"));
            return Err(ServerError::Listen { address: addresses[0], error });
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

impl Term {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        while !self.over.load(Ordering::Relaxed) {
            let (socket, peer) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(_) => {
                    std::thread::sleep(LOOK);
                    continue;
                }
            };
            if self.connections.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
                self.connections.fetch_sub(1, Ordering::Relaxed);
                if self.strangers.may_remark(Some(peer.ip())) {
                    tracing::warn!(%peer, "too many connections of learners; closed");
                }
                continue;
            }
            let term = self.clone();
            let served = thread("learner".into(), move || {
                let mut greeted = false;
                match term.serve(socket, &mut greeted) {
                    // One line for a member; of strangers in crowds not one each.
                    Err(error) if greeted || term.strangers.may_remark(Some(peer.ip())) => {
                        tracing::warn!(%peer, %error, "the connection of a learner ends");
                    }
                    _ => {}
                }
                term.connections.fetch_sub(1, Ordering::Relaxed);
            });
            if let Err(error) = served {
                self.connections.fetch_sub(1, Ordering::Relaxed);
                tracing::error!(%error, "a learner cannot be served");
            }
        }
    }

    /// A learner, from its first word to its last. `greeted` tells whether it said who it is and accepted the epoch.
    fn serve(self: &Arc<Self>, socket: TcpStream, greeted: &mut bool) -> io::Result<()> {
        let pipeline = &self.setup.pipeline;
        socket.set_nonblocking(false)?;
        socket.set_nodelay(true)?;
        // How long a learner may be silent is the machine's business: it closes the link.
        socket.set_write_timeout(Some(self.setup.init))?;
        let id = self.setup.link_id();
        let mut place = Some(self.strangers.admit(Arc::new(socket.try_clone()?)));
        let mut packets = 0;
        let mut reader = PacketReader::new(socket.try_clone()?, self.setup.packet_max);
        let (link, outgoing) = Link::new(id, socket, self.setup.queued.clone())?;
        let setup = self.setup.clone();
        thread("to-learner".into(), move || {
            outgoing.run(|member, peer, socket| bring_up_to_date(&setup, id, member, peer, socket));
        })
        .map_err(io::Error::other)?;
        pipeline.opened(link.clone());
        let ended = loop {
            match reader.next_packet() {
                Ok(Some(packet)) => {
                    match pipeline.receive_from(id, packet, || reader.read_packet(), &self.setup.log) {
                        Ok(count) => packets += count,
                        Err(error) => break error,
                    }
                    // Who it is, and that it accepts the epoch: from here on it is a member.
                    if packets >= 2 && !*greeted {
                        place = None;
                        *greeted = true;
                    }
                }
                Ok(None) => {}
                Err(error) => break error,
            }
        };
        drop(place);
        pipeline.parted(id);
        link.close();
        match ended.kind() {
            io::ErrorKind::UnexpectedEof => Ok(()),
            _ => Err(ended),
        }
    }
}

/// Says how a learner gets in step, and sends what does not come from memory: transactions from log files, or a copy of
/// everything. The rest is queued behind.
fn bring_up_to_date(setup: &Setup, link: u64, member: ServerId, peer: Zxid, socket: &TcpStream) -> io::Result<()> {
    let pipeline = &setup.pipeline;
    let mut out = BufWriter::with_capacity(64 << 10, socket);
    let put = |packet: Packet, out: &mut BufWriter<&TcpStream>| out.write_all(&packet.encode());
    let (mut reached, mut headed) = (peer, false);
    while let Some(min) = pipeline.missing_from_memory(reached) {
        if !headed && !in_files(setup, reached, min) {
            break;
        }
        if !headed {
            put(Packet::bare(kind::DIFF, min), &mut out)?;
            headed = true;
        }
        tracing::info!(member, from = %reached, to = %min, "a member gets what it lacks from the log files");
        reached = from_files(setup, reached, min, |zxid, record| {
            put(Packet::with(kind::PROPOSAL, zxid, record.to_vec()), &mut out)?;
            put(Packet::bare(kind::COMMIT, zxid), &mut out)
        })?;
    }
    let Some(plan) = pipeline.join(link, reached) else { return Err(io::Error::other("the term is over")) };
    tracing::info!(member, %peer, ?plan, "a member gets in step");
    let _syncing = pipeline.syncing(matches!(plan, Plan::Snap));
    match plan {
        Plan::Diff { .. } if headed => {}
        _ if headed => return Err(io::Error::other(format!("from files up to {reached}, and then {plan:?}"))),
        Plan::Diff { to, .. } => put(Packet::bare(kind::DIFF, to), &mut out)?,
        Plan::Trunc(zxid) => put(Packet::bare(kind::TRUNC, zxid), &mut out)?,
        Plan::Snap => {
            let zxid = pipeline.gate.read(Tree::zxid);
            put(Packet::bare(kind::SNAP, zxid), &mut out)?;
            setup.snapshotter.stream(&mut out)?;
        }
    }
    out.flush()
}

/// Whether the log files hold everything from `peer` to `until`, and little enough of it (`snapshotSizeFactor`).
fn in_files(setup: &Setup, peer: Zxid, until: Zxid) -> bool {
    let factor = setup.snapshot_size_factor;
    if factor < 0.0 || setup.force_snapshot {
        return false;
    }
    if factor > 0.0 {
        let size = |path: std::path::PathBuf| path.metadata().map_or(0, |file| file.len());
        let snapshot = setup.dirs.list_snapshots(&RealDisk).ok().and_then(|mut all| all.drain(..1).next());
        let snapshot = snapshot.map_or(0, |snapshot| size(setup.dirs.snapshots.join(snapshot.name)));
        let Ok(logs) = setup.dirs.list_logs(&RealDisk) else { return false };
        // The first file does not count, as in the original.
        let first = logs.iter().rposition(|log| log.zxid <= peer).unwrap_or(0);
        let bytes: u64 = logs[first..].iter().skip(1).map(|log| size(setup.dirs.logs.join(&log.name))).sum();
        if bytes as f64 > factor * snapshot as f64 {
            return false;
        }
    }
    from_files(setup, peer, until, |_, _| Ok(())).is_ok()
}

/// Shows `each` transaction of the log files behind `peer` up to `until`; an error if one is not there.
fn from_files(
    setup: &Setup,
    peer: Zxid,
    until: Zxid,
    mut each: impl FnMut(Zxid, &[u8]) -> io::Result<()>,
) -> io::Result<Zxid> {
    let options = ReadOptions { body_max: setup.packet_max, accept_damage: false };
    let before = if peer.counter() == 0 { peer } else { Zxid(peer.0 - 1) };
    let mut reader = LogReader::open(&RealDisk, &setup.dirs, peer, Some(before), options).map_err(io::Error::other)?;
    let mut unseen = setup.dirs.snapshots_within(&RealDisk, peer, until).map_err(io::Error::other)?;
    let mut last = None;
    while let Some(record) = reader.next_record().map_err(io::Error::other)? {
        match last {
            // It must be the learner's last: otherwise that never became history here.
            None if record.zxid == peer => {}
            // The start of an epoch is nobody's transaction.
            None if peer.counter() == 0 && record.zxid == peer.next() => each(record.zxid, record.body)?,
            Some(last) if follows(last, record.zxid) => each(record.zxid, record.body)?,
            _ => break,
        }
        last = Some(record.zxid);
        unseen.retain(|zxid| *zxid != record.zxid);
        if record.zxid == until && unseen.is_empty() {
            return Ok(until);
        }
    }
    Err(io::Error::other(format!("the log files do not hold everything from {peer} to {until}")))
}
