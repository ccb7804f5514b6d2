//! Following a leader, Java's or our own: discovery, getting in step, broadcast (`spec`: the order at NEWLEADER is log,
//! disk, epoch, answer). Runs on the member's thread with a blocking socket; the sending half has a thread of its own.

use super::link::{Link, PROTOCOL, Packet, kind, packet, read_packet};
use super::member::Violation;
use super::quorum::Setup;
use super::{ServerError, thread};
use crate::engine::Replay;
use crate::jute::Encode;
use crate::proto::Zxid;
use crate::proto::txn::TxnRecord;
use crate::store::{self, EpochFile, Epochs, ReadOptions, RealDisk};
use crate::zab::ServerId;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::{self, BufReader, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How often the leader is dialled, and the pause between.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// Why a term as follower is over.
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

/// Follows until it ends.
pub fn follow(setup: &Setup, leader: ServerId, last: Zxid, epochs: Epochs) -> Ended {
    let Err(ended) = term(setup, leader, last, epochs);
    ended
}

/// The socket, with what was read too far behind a copy.
struct Source {
    ahead: Vec<u8>,
    socket: BufReader<TcpStream>,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            return self.socket.read(buffer);
        }
        let count = buffer.len().min(self.ahead.len());
        buffer[..count].copy_from_slice(&self.ahead[..count]);
        self.ahead.drain(..count);
        Ok(count)
    }
}

/// What never is: a term ends with a reason.
enum Never {}

fn violation<T>(why: impl Into<String>) -> Result<T, Ended> {
    Err(Ended::Connection(why.into()))
}

fn term(setup: &Setup, leader: ServerId, last: Zxid, epochs: Epochs) -> Result<Never, Ended> {
    let socket = connect(setup, leader)?;
    let _ = socket.set_nodelay(true);
    socket.set_read_timeout(Some(setup.init))?;
    socket.set_write_timeout(Some(setup.init))?;
    let mut source = Source { ahead: Vec::new(), socket: BufReader::with_capacity(64 << 10, socket.try_clone()?) };
    let (link, outgoing) = Link::new(setup.link_id(), false, socket);
    thread("to-leader".into(), move || outgoing.run())?;
    let ended = converse(setup, &mut source, &link, last, epochs);
    link.close();
    ended
}

fn connect(setup: &Setup, leader: ServerId) -> Result<TcpStream, Ended> {
    let deadline = Instant::now() + setup.init;
    let mut error = io::Error::other("its address is not known");
    for tried in 0..TRIES {
        if tried > 0 {
            std::thread::sleep(PAUSE);
        }
        for address in setup.resolve(leader) {
            let left = deadline.saturating_duration_since(Instant::now()).max(PAUSE);
            match TcpStream::connect_timeout(&address, left) {
                Ok(socket) => return Ok(socket),
                Err(refused) => error = refused,
            }
        }
    }
    violation(format!("the leader cannot be reached: {error}"))
}

fn converse(setup: &Setup, source: &mut Source, link: &Link, last: Zxid, epochs: Epochs) -> Result<Never, Ended> {
    let mut info = setup.me.to_bytes();
    PROTOCOL.encode(&mut info);
    0i64.encode(&mut info);
    link.send(&packet(kind::FOLLOWERINFO, epochs.accepted << 32, Some(&info), None));
    let first = read_packet(source, setup.packet_max)?;
    if first.kind != kind::LEADERINFO {
        return violation(format!("packet {} where the leader should say its epoch", first.kind));
    }
    let epoch = first.zxid >> 32;
    let mut current = epochs.current as i32;
    if epoch < epochs.accepted {
        return violation(format!("the leader's epoch {epoch} is older than {}", epochs.accepted));
    } else if epoch == epochs.accepted {
        current = -1;
    } else {
        setup.write_epoch(EpochFile::Accepted, epoch)?;
    }
    link.send(&packet(kind::ACKEPOCH, last.0, Some(&current.to_bytes()), None));

    let mut pending: VecDeque<(Zxid, Bytes)> = VecDeque::new();
    let mut committed: VecDeque<Zxid> = VecDeque::new();
    let head = read_packet(source, setup.packet_max)?;
    let mut at = last;
    match head.kind {
        kind::DIFF => tracing::info!(to = %Zxid(head.zxid), "getting in step: what is missing follows"),
        kind::TRUNC => at = truncate(setup, Zxid(head.zxid))?,
        kind::SNAP => at = snapshot(setup, source, Zxid(head.zxid), last)?,
        other => return violation(format!("packet {other} where the leader should say how to get in step")),
    }
    let mut in_step = false;
    loop {
        let Packet { kind: what, zxid, data, .. } = read_packet(source, setup.packet_max)?;
        let zxid = Zxid(zxid);
        match what {
            kind::PROPOSAL => {
                let record = Bytes::from(data.unwrap_or_default());
                let named = TxnRecord::decode(&record).map(|record| record.header.zxid());
                if named != Ok(zxid) {
                    return violation(format!("proposal {zxid} holds {named:?}"));
                }
                let before = pending.back().map_or(at, |(zxid, _)| *zxid);
                // Twice the same does no harm; a hole would.
                if zxid <= before {
                    continue;
                }
                if zxid.epoch() == before.epoch() && zxid != before.next() && before != Zxid::ZERO {
                    return violation(format!("proposal {zxid} after {before}: there is a hole"));
                }
                pending.push_back((zxid, record));
            }
            kind::COMMIT => {
                if zxid > at && committed.back().is_none_or(|last| zxid > *last) {
                    committed.push_back(zxid);
                }
            }
            kind::NEWLEADER if !in_step => {
                in_step = true;
                while let Some(next) = committed.front().copied() {
                    match pending.pop_front() {
                        Some((zxid, record)) if zxid == next => {
                            setup.pipeline.learn(record)?;
                            setup.pipeline.commit(zxid)?;
                            at = zxid;
                        }
                        found => return violation(format!("commit of {next} where {:?} is next", found.map(|f| f.0))),
                    }
                    committed.pop_front();
                }
                if !setup.pipeline.flush_log(setup.init.max(Duration::from_secs(60))) {
                    return Err(Ended::Files(ServerError::Unsupported("the log does not answer".into())));
                }
                setup.write_epoch(EpochFile::Current, epoch)?;
                source.socket.get_ref().set_read_timeout(Some(setup.sync))?;
                link.send(&packet(kind::ACK, epoch << 32, None, None));
            }
            kind::UPTODATE if in_step => break,
            kind::PING => {}
            other => tracing::debug!(other, "a packet without meaning while getting in step"),
        }
    }
    link.send(&packet(kind::ACK, epoch << 32, None, None));
    (setup.settled)(epoch);
    setup.pipeline.follow(link.clone());
    for (_, record) in pending {
        setup.pipeline.learn(record)?;
    }
    for zxid in committed {
        setup.pipeline.commit(zxid)?;
    }
    tracing::info!(epoch, "following: clients are served");
    broadcast(setup, source, link)
}

fn broadcast(setup: &Setup, source: &mut Source, link: &Link) -> Result<Never, Ended> {
    let pipeline = &setup.pipeline;
    loop {
        let Packet { kind: what, zxid, data, .. } = read_packet(source, setup.packet_max)?;
        match what {
            kind::PROPOSAL => pipeline.learn(data.unwrap_or_default().into())?,
            kind::COMMIT => pipeline.commit(Zxid(zxid))?,
            kind::PING => link.send(&pipeline.pong(zxid)),
            kind::SYNC => pipeline.synced(),
            kind::REVALIDATE => pipeline.revalidated(&data.unwrap_or_default())?,
            kind::UPTODATE | kind::NEWLEADER => {}
            other => tracing::warn!(other, "a packet without meaning for a follower"),
        }
    }
}

/// Takes back what never became history, and reads the files anew.
fn truncate(setup: &Setup, zxid: Zxid) -> Result<Zxid, Ended> {
    tracing::warn!(%zxid, "getting in step: what comes after is taken back");
    setup.snapshotter.wait();
    let options = ReadOptions { body_max: setup.packet_max, accept_damage: false };
    if let Err(error) = store::truncate(&RealDisk, &setup.dirs, zxid, options) {
        return violation(format!(
            "{error}; empty the data folder of this member (keep myid) and it copies everything from the leader"
        ));
    }
    let tree = (setup.reload)()?;
    let found = tree.zxid();
    setup.pipeline.replace_tree(tree);
    if found != zxid {
        return Err(Ended::Files(ServerError::Unsupported(format!("the files end at {found} after a cut at {zxid}"))));
    }
    Ok(zxid)
}

/// Takes everything from the leader.
fn snapshot(setup: &Setup, source: &mut Source, zxid: Zxid, last: Zxid) -> Result<Zxid, Ended> {
    tracing::info!(%zxid, "getting in step: everything is copied from the leader");
    if last > zxid {
        // A later start would read the newer files of another history.
        return violation(format!(
            "the leader's copy ends at {zxid}, and the files here at {last}; empty the data folder of this member (keep \
             myid) and it copies everything from the leader"
        ));
    }
    let mut replay = Replay::new((setup.empty)());
    let ahead = std::mem::take(&mut source.ahead);
    let rest = io::Cursor::new(ahead).chain(&mut source.socket);
    let ahead = store::read_stream(rest, zxid, &mut replay);
    source.ahead = ahead.map_err(|error| Ended::Connection(error.to_string()))?;
    setup.snapshotter.wait();
    let mut tree = replay.tree;
    tree.set_zxid(zxid);
    setup.pipeline.replace_tree(tree);
    setup.snapshotter.take()?;
    Ok(zxid)
}
