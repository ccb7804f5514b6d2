//! Leading: a thread for each follower speaks with it from its first word to its last; the member's thread waits for
//! quorums, pings, and gives up when no quorum follows (`spec`: discovery, synchronization, broadcast).

use super::link::{Link, Packet, kind, long_of, packet, read_packet};
use super::member::Plan;
use super::quorum::Setup;
use super::{ServerError, thread};
use crate::jute::{Encode, Reader};
use crate::proto::Zxid;
use crate::store::{EpochFile, Epochs};
use crate::zab::ServerId;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Pause between looks at the listener.
const LOOK: Duration = Duration::from_millis(20);
/// Connections to the quorum port at a time.
const CONNECTIONS_MAX: usize = 256;

/// What has been agreed on in a term.
struct State {
    /// Who has told its accepted epoch.
    told: BTreeSet<ServerId>,
    /// Greatest epoch accepted by any of them, and one more.
    epoch: i64,
    epoch_is_set: bool,
    /// Who has accepted the epoch.
    accepted: BTreeSet<ServerId>,
    elected: bool,
    /// Who has this leader's history on disk.
    in_step: BTreeSet<ServerId>,
    serving: bool,
    ended: bool,
    /// When each follower that is in step was last heard.
    heard: BTreeMap<u64, (ServerId, Instant)>,
    connections: BTreeMap<u64, TcpStream>,
}

/// A term as leader.
pub struct Leader {
    setup: Arc<Setup>,
    last: Zxid,
    epochs: Epochs,
    state: Mutex<State>,
    changed: Condvar,
}

fn bad(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

impl Leader {
    /// Leads until no quorum follows.
    pub fn lead(setup: &Arc<Setup>, last: Zxid, epochs: Epochs) -> Result<(), ServerError> {
        let leader = Arc::new(Leader {
            setup: setup.clone(),
            last,
            epochs,
            state: Mutex::new(State {
                told: BTreeSet::new(),
                epoch: epochs.accepted + 1,
                epoch_is_set: false,
                accepted: BTreeSet::new(),
                elected: false,
                in_step: BTreeSet::new(),
                serving: false,
                ended: false,
                heard: BTreeMap::new(),
                connections: BTreeMap::new(),
            }),
            changed: Condvar::new(),
        });
        let listeners = leader.listen()?;
        let mut threads = Vec::new();
        for listener in listeners {
            let leader = leader.clone();
            threads.push(thread("quorum-port".into(), move || leader.accept(&listener))?);
        }
        let led = leader.term();
        {
            let mut state = leader.lock();
            state.ended = true;
            state.connections.values().for_each(|socket| drop(socket.shutdown(std::net::Shutdown::Both)));
        }
        leader.changed.notify_all();
        // The port must be free for the next term.
        threads.into_iter().for_each(|thread| drop(thread.join()));
        led
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self) -> Result<Vec<TcpListener>, ServerError> {
        let mut addresses = self.setup.resolve(self.setup.me);
        if self.setup.listen_on_all {
            addresses.iter_mut().for_each(|address| address.set_ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        }
        addresses.sort_unstable();
        addresses.dedup();
        let Some(first) = addresses.first().copied() else {
            return Err(ServerError::Unsupported("the address of this server's own server.N line is not known".into()));
        };
        let open = |address: SocketAddr| -> io::Result<TcpListener> {
            let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(128)?;
            socket.set_nonblocking(true)?;
            Ok(socket.into())
        };
        let deadline = Instant::now() + self.setup.init;
        loop {
            let opened: Vec<io::Result<TcpListener>> = addresses.iter().map(|address| open(*address)).collect();
            let (good, failed): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
            let good: Vec<TcpListener> = good.into_iter().flatten().collect();
            if !good.is_empty() {
                return Ok(good);
            }
            if Instant::now() > deadline {
                let error = failed.into_iter().find_map(Result::err).unwrap_or_else(|| bad("no address"));
                return Err(ServerError::Listen { address: first, error });
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        while !self.lock().ended {
            let (socket, peer) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(_) => {
                    std::thread::sleep(LOOK);
                    continue;
                }
            };
            let leader = self.clone();
            let served = thread("follower".into(), move || {
                let id = leader.setup.link_id();
                if let Err(error) = leader.serve(id, socket) {
                    tracing::warn!(%peer, %error, "the connection of a follower ends");
                }
                leader.setup.pipeline.part(id);
                let mut state = leader.lock();
                state.connections.remove(&id);
                state.heard.remove(&id);
            });
            if let Err(error) = served {
                tracing::error!(%error, "a follower cannot be served");
            }
        }
    }

    /// Waits until the state is as wanted; an error once the term or the patience ends.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        what: &str,
        done: impl Fn(&State) -> bool,
    ) -> io::Result<MutexGuard<'a, State>> {
        let deadline = Instant::now() + self.setup.init;
        loop {
            if state.ended {
                return Err(io::Error::other("the term is over"));
            }
            if done(&state) {
                return Ok(state);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no quorum {what} in time")));
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A member tells which epoch it has accepted; returns the epoch of this term once a quorum has.
    fn agree_on_epoch(&self, member: ServerId, accepted: i64) -> io::Result<i64> {
        let mut state = self.lock();
        if !state.epoch_is_set {
            state.epoch = state.epoch.max(accepted + 1);
            state.told.insert(member);
            if state.told.contains(&self.setup.me) && self.setup.is_quorum(&state.told) {
                // Before anybody hears of it.
                if let Err(error) = self.setup.write_epoch(EpochFile::Accepted, state.epoch) {
                    tracing::error!(%error, "the epoch cannot be written");
                    std::process::exit(error.exit_code());
                }
                state.epoch_is_set = true;
                self.changed.notify_all();
            }
        }
        Ok(self.wait(state, "told its epoch", |state| state.epoch_is_set)?.epoch)
    }

    /// A member has accepted the epoch.
    fn agree_on_leader(&self, member: ServerId, history: Option<(i64, Zxid)>) -> io::Result<()> {
        let mut state = self.lock();
        // What a latecomer has beyond a history that a quorum agreed on was never committed: it is cut
        // (`Leader.waitForEpochAck`).
        if state.elected {
            return Ok(());
        }
        if let Some((current, last)) = history {
            if (current, last) > (self.epochs.current, self.last) {
                return Err(bad(format!("it has more history, epoch {current} to {last}, than this leader")));
            }
            if last.0 != -1 {
                state.accepted.insert(member);
                self.changed.notify_all();
            }
        }
        self.wait(state, "accepted the epoch", |state| state.elected).map(drop)
    }

    fn term(&self) -> Result<(), ServerError> {
        let failed = |error: io::Error| ServerError::System { what: "quorum", error };
        let me = self.setup.me;
        let epoch = self.agree_on_epoch(me, self.epochs.accepted).map_err(failed)?;
        {
            let mut state = self.lock();
            state.accepted.insert(me);
            let mut state = self
                .wait(state, "accepted the epoch", |state| self.setup.is_quorum(&state.accepted))
                .map_err(failed)?;
            self.setup.write_epoch(EpochFile::Current, epoch)?;
            state.elected = true;
            state.in_step.insert(me);
            self.changed.notify_all();
            let mut state =
                self.wait(state, "got in step", |state| self.setup.is_quorum(&state.in_step)).map_err(failed)?;
            (self.setup.settled)(epoch);
            self.setup.pipeline.lead(epoch, &self.setup.voters);
            state.serving = true;
        }
        self.changed.notify_all();
        tracing::info!(epoch, "leading: clients are served");
        let mut healthy = Instant::now();
        loop {
            std::thread::sleep(self.setup.tick / 2);
            let ping = packet(kind::PING, self.setup.pipeline.gate.read(|tree| tree.zxid().0), None, None);
            self.setup.pipeline.tell_learners(&ping);
            let now = Instant::now();
            let mut following: BTreeSet<ServerId> = [me].into();
            {
                let mut state = self.lock();
                for (id, (member, heard)) in &state.heard {
                    if now - *heard < self.setup.sync {
                        following.insert(*member);
                    } else if let Some(socket) = state.connections.get(id) {
                        let _ = socket.shutdown(std::net::Shutdown::Both);
                    }
                }
                state.heard.retain(|_, (_, heard)| now - *heard < self.setup.sync);
            }
            if self.setup.is_quorum(&following) {
                healthy = now;
            } else if now - healthy >= self.setup.tick {
                return Ok(());
            }
            if self.setup.pipeline.zxids_run_out() {
                tracing::info!("the numbers of this epoch are used up: a new one begins");
                return Ok(());
            }
        }
    }

    /// A follower, from its first word to its last.
    fn serve(&self, id: u64, socket: TcpStream) -> io::Result<()> {
        {
            let mut state = self.lock();
            if state.connections.len() >= CONNECTIONS_MAX {
                return Err(bad("too many connections to the quorum port"));
            }
            state.connections.insert(id, socket.try_clone()?);
        }
        let (setup, pipeline) = (&self.setup, &self.setup.pipeline);
        socket.set_nonblocking(false)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(setup.init))?;
        socket.set_write_timeout(Some(setup.init))?;
        let mut source = BufReader::with_capacity(64 << 10, socket.try_clone()?);

        let hello = read_packet(&mut source, 4096)?;
        let observer = match hello.kind {
            kind::FOLLOWERINFO => false,
            kind::OBSERVERINFO => true,
            other => return Err(bad(format!("packet {other} where a member should say who it is"))),
        };
        let info = hello.data.unwrap_or_default();
        let member = long_of(&info).ok_or_else(|| bad("a member that does not say who it is"))?;
        if info.len() < 12 {
            return Err(bad("a member older than this protocol"));
        }
        let config_version = info.get(12..).and_then(long_of).unwrap_or(0);
        if config_version > 0 {
            return Err(bad("a member with a newer configuration"));
        }
        if member == setup.me {
            return Err(bad(format!("a member with the id of this server, {member}: see its myid")));
        }
        let accepted = hello.zxid >> 32;
        let epoch = self.agree_on_epoch(if observer { -1 } else { member }, accepted)?;
        let mut sending = socket.try_clone()?;
        sending.write_all(&packet(kind::LEADERINFO, epoch << 32, Some(&super::link::PROTOCOL.to_bytes()), None))?;
        let answer = read_packet(&mut source, 4096)?;
        let current = Reader::unlimited(answer.data.as_deref().unwrap_or_default()).int();
        let (kind::ACKEPOCH, Ok(current)) = (answer.kind, current) else {
            return Err(bad(format!("packet {} where a member should accept the epoch", answer.kind)));
        };
        let peer = Zxid(answer.zxid);
        let history = (current != -1).then_some((i64::from(current), peer));
        self.agree_on_leader(if observer { -1 } else { member }, history)?;

        let (link, outgoing) = Link::new(id, observer, socket.try_clone()?);
        let plan = pipeline.join(link.clone(), member, peer);
        tracing::info!(member, %peer, ?plan, "a member gets in step");
        link.send(&packet(kind::NEWLEADER, epoch << 32, Some(setup.text.as_bytes()), None));
        match plan {
            Plan::Diff(zxid) => sending.write_all(&packet(kind::DIFF, zxid.0, None, None))?,
            Plan::Trunc(zxid) => sending.write_all(&packet(kind::TRUNC, zxid.0, None, None))?,
            Plan::Snap(zxid) => {
                let mut out = io::BufWriter::with_capacity(64 << 10, &sending);
                out.write_all(&packet(kind::SNAP, zxid.0, None, None))?;
                setup.snapshotter.stream(&mut out)?;
                out.flush()?;
            }
        }
        thread("to-follower".into(), move || outgoing.run()).map_err(io::Error::other)?;
        let ack = read_packet(&mut source, setup.packet_max)?;
        if ack.kind != kind::ACK || ack.zxid != epoch << 32 {
            return Err(bad(format!("packet {} where a member should be in step", ack.kind)));
        }
        socket.set_read_timeout(Some(setup.sync))?;
        {
            let mut state = self.lock();
            if !observer {
                state.in_step.insert(member);
                state.heard.insert(id, (member, Instant::now()));
                self.changed.notify_all();
            }
            drop(self.wait(state, "got in step", |state| state.serving)?);
        }
        link.send(&packet(kind::UPTODATE, -1, None, None));
        loop {
            let Packet { kind: what, zxid, data, ids } = read_packet(&mut source, setup.packet_max)?;
            if let Some((_, heard)) = self.lock().heard.get_mut(&id) {
                *heard = Instant::now();
            }
            let data = data.unwrap_or_default();
            match what {
                kind::ACK if !observer => pipeline.acknowledged(id, member, Zxid(zxid)),
                kind::REQUEST => pipeline.submit_of(id, &data, &ids).map_err(io::Error::other)?,
                kind::PING => pipeline.touched(&data),
                kind::REVALIDATE => link.send(&pipeline.revalidate(id, &data).map_err(io::Error::other)?),
                other => tracing::warn!(member, other, "a packet without meaning for a leader"),
            }
        }
    }
}
