//! Learning from a leader, Java's or our own: the connection, and what is done to the files. What is said, and when, is
//! decided by `zab::Learner`. Runs on the member's thread; the sending half has a thread of its own.

use super::leader;
use super::link::{Link, PacketReader};
use super::member::Work;
use super::quorum::Setup;
use super::{ServerError, thread};
use crate::engine::Replay;
use crate::metrics;
use crate::proto::Zxid;
use crate::store::{self, Epochs, ReadOptions, RealDisk, StoreError};
use crate::zab::{LEADER, ServerId, Violation};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How often the leader is dialled, and the pause between. The first is short: both have just been told of the election, and
/// a leader may open its port a moment later.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes that may wait for this server's log while it gets in step; above, the leader is read no further.
const BACKLOG_MAX: usize = 64 << 20;

/// Why a term as learner is over.
pub enum Ended {
    /// The leader is gone, or said what cannot be: a new election.
    Connection(String),
    /// The files of this server: it cannot go on.
    Files(ServerError),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Ended::Connection(error.to_string())
    }
}

impl From<Violation> for Ended {
    fn from(violation: Violation) -> Self {
        Ended::Connection(violation.0)
    }
}

impl From<ServerError> for Ended {
    fn from(error: ServerError) -> Self {
        Ended::Files(error)
    }
}

impl From<store::StoreError> for Ended {
    fn from(error: store::StoreError) -> Self {
        Ended::Files(error.into())
    }
}

/// Learns until it ends.
pub fn follow(setup: &Arc<Setup>, leader: ServerId, epochs: Epochs) -> Ended {
    let Err(ended) = term(setup, leader, epochs);
    ended
}

/// What never is: a term ends with a reason.
enum Never {}

fn violation<T>(why: impl Into<String>) -> Result<T, Ended> {
    Err(Ended::Connection(why.into()))
}

fn connect(setup: &Setup, leader: ServerId) -> Result<TcpStream, Ended> {
    let deadline = Instant::now() + setup.init;
    let mut error = io::Error::other("its address is not known");
    for tried in 0..TRIES {
        match tried {
            0 => {}
            1 => std::thread::sleep(FIRST_PAUSE),
            _ => std::thread::sleep(PAUSE),
        }
        let left = deadline.saturating_duration_since(Instant::now()).max(PAUSE);
        match dial(setup.resolve(leader), left) {
            Ok(socket) => return Ok(socket),
            Err(refused) => error = refused,
        }
    }
    violation(format!("the leader cannot be reached: {error}"))
}

/// As observer: to a follower that serves observers, if they are to do that (`Observer.findLearnerMaster`). The original does
/// not go to the leader when no follower can be reached.
fn connect_observer(setup: &Setup, leader: ServerId) -> Result<TcpStream, Ended> {
    let ports = setup.observer_ports();
    let patience = setup.init / u32::try_from(ports.len().max(1)).unwrap_or(u32::MAX);
    for port in ports {
        if let Ok(socket) = TcpStream::connect_timeout(&port, patience) {
            tracing::info!(master = %port, "observing by way of a follower");
            return Ok(socket);
        }
    }
    connect(setup, leader)
}

/// Connects to the first of these addresses that answers; a path that is dead must not keep the others waiting
/// (`Learner.connectToLeader`).
fn dial(addresses: Vec<SocketAddr>, patience: Duration) -> io::Result<TcpStream> {
    if let [address] = addresses[..] {
        return TcpStream::connect_timeout(&address, patience);
    }
    let (to, from) = mpsc::channel();
    for address in addresses {
        let to = to.clone();
        thread("dial-leader".into(), move || {
            // Nobody takes it when another was quicker: it is closed.
            let _ = to.send(TcpStream::connect_timeout(&address, patience));
        })
        .map_err(io::Error::other)?;
    }
    drop(to);
    let mut error = io::Error::other("its address is not known");
    for answer in from {
        match answer {
            Ok(socket) => return Ok(socket),
            Err(refused) => error = refused,
        }
    }
    Err(error)
}

fn term(setup: &Arc<Setup>, leader: ServerId, epochs: Epochs) -> Result<Never, Ended> {
    let observes = setup.known.observes();
    let socket = if observes { connect_observer(setup, leader)? } else { connect(setup, leader)? };
    let _ = socket.set_nodelay(true);
    // Between packets the machine is asked whether the leader is still heard.
    socket.set_read_timeout(Some(setup.look))?;
    socket.set_write_timeout(Some(setup.init))?;
    let mut reader = PacketReader::new(socket.try_clone()?, setup.packet_max);
    let (link, outgoing) = Link::new(LEADER, socket, setup.queued.clone())?;
    thread("to-leader".into(), move || outgoing.run(|_, _, _| Err(io::Error::other("nobody learns from a learner"))))?;
    let version = setup.known.version();
    let wants_copy = setup.wants_copy.swap(false, Ordering::Relaxed);
    setup.pipeline.begin_learning(leader, link.clone(), observes, version, wants_copy, epochs, setup.times());
    let observers = if observes { None } else { leader::serve_observers(setup) };
    let ended = converse(setup, &mut reader);
    drop(observers);
    let closing = Instant::now();
    link.close();
    setup.pipeline.count_time(metrics::SOCKET_CLOSING_TIME, closing.elapsed());
    ended
}

fn converse(setup: &Setup, reader: &mut PacketReader) -> Result<Never, Ended> {
    let pipeline = &setup.pipeline;
    loop {
        let Some(packet) = reader.next_packet()? else {
            pipeline.tick();
            match pipeline.ended(Duration::ZERO) {
                Some(why) => return violation(why),
                None => continue,
            }
        };
        let more = || reader.read_packet().map_err(Ended::from);
        let received = pipeline.receive(packet, more, &setup.log)?;
        match received.work {
            None => {}
            Some(Work::Truncate(zxid)) => truncate(setup, zxid)?,
            Some(Work::Install(zxid)) => install(setup, reader, zxid)?,
        }
        if let Some(why) = received.ended {
            return violation(why);
        }
        if received.backlog > BACKLOG_MAX {
            while pipeline.log_backlog() > BACKLOG_MAX {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// Takes back what never became history, and reads the files anew. When that cannot be, nothing has changed, and the leader
/// is asked for everything.
fn truncate(setup: &Setup, zxid: Zxid) -> Result<(), Ended> {
    tracing::warn!(%zxid, "getting in step: what comes after is taken back");
    setup.snapshotter.wait();
    let options = ReadOptions { body_max: setup.packet_max, accept_damage: false };
    match store::truncate(&RealDisk, &setup.dirs, zxid, options) {
        Ok(_) => {}
        Err(error @ StoreError::CannotTruncate { .. }) => {
            setup.wants_copy.store(true, Ordering::Relaxed);
            // An election would take it to others who hope to lead, each with an epoch that it has to tell the truth in.
            setup.pipeline.learn_again();
            return violation(format!("{error}; the leader is asked for a copy of everything"));
        }
        Err(error) => return Err(error.into()),
    }
    let tree = (setup.trees.reload)()?;
    let found = tree.zxid();
    if found != zxid {
        return Err(Ended::Files(ServerError::Unsupported(format!("the files end at {found} after a cut at {zxid}"))));
    }
    setup.pipeline.replace_tree(tree);
    Ok(())
}

/// Takes everything from the leader.
fn install(setup: &Setup, reader: &mut PacketReader, zxid: Zxid) -> Result<(), Ended> {
    tracing::info!(%zxid, "getting in step: everything is copied from the leader");
    let mut replay = Replay::new((setup.trees.empty)());
    reader.socket().set_read_timeout(Some(setup.init))?;
    let ahead = store::read_stream(&mut *reader, zxid, &mut replay);
    let ahead = ahead.map_err(|error| Ended::Connection(error.to_string()))?;
    reader.put_back(&ahead);
    reader.socket().set_read_timeout(Some(setup.look))?;
    setup.snapshotter.wait();
    let mut tree = replay.tree;
    for path in tree.restore_done() {
        tracing::warn!(path, "the access list of this node has not come yet");
    }
    tree.set_zxid(zxid);
    if !setup.known.reconfigures() {
        setup.known.put_into(&mut tree, setup.pipeline.clock.wall_ms());
    }
    setup.pipeline.replace_tree(tree);
    setup.snapshotter.take()?;
    // What the leader's history does not have was never committed.
    store::supersede(&RealDisk, &setup.dirs, zxid)?;
    Ok(())
}
