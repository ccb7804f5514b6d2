//! Connections between members: packets read from a socket, and a link that sends them, a queue with a thread behind it.

use crate::proto::Zxid;
use crate::zab::{LinkId, Packet, ServerId};
use bytes::{Bytes, BytesMut};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Bytes that may wait for one member that reads slowly; above, it is cut off and starts over.
const QUEUE_MAX: usize = 256 << 20;
/// Bytes that may wait for all of them together.
const QUEUES_MAX: usize = 512 << 20;
/// Bytes read at a time.
const CHUNK: usize = 64 << 10;

/// Reads packets off a socket.
pub struct PacketReader {
    socket: TcpStream,
    buffer: BytesMut,
    max: usize,
}

impl PacketReader {
    /// Of packets with at most `max` bytes of data.
    pub fn new(socket: TcpStream, max: usize) -> Self {
        PacketReader { socket, buffer: BytesMut::new(), max }
    }

    /// The socket.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// The next packet; `None` when the socket's patience has ended without one.
    pub fn next_packet(&mut self) -> io::Result<Option<Packet>> {
        loop {
            let invalid = |violation| io::Error::new(io::ErrorKind::InvalidData, violation);
            if let Some(packet) = Packet::decode(&mut self.buffer, self.max).map_err(invalid)? {
                return Ok(Some(packet));
            }
            let used = self.buffer.len();
            self.buffer.resize(used + CHUNK, 0);
            let read = self.socket.read(&mut self.buffer[used..]);
            self.buffer.truncate(used + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Puts back what was read too far.
    pub fn put_back(&mut self, bytes: &[u8]) {
        let rest = std::mem::replace(&mut self.buffer, bytes.into());
        self.buffer.extend_from_slice(&rest);
    }
}

/// The bytes behind the last packet.
impl Read for PacketReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.buffer.is_empty() {
            return self.socket.read(out);
        }
        let count = out.len().min(self.buffer.len());
        out[..count].copy_from_slice(&self.buffer.split_to(count));
        Ok(count)
    }
}

/// What a link's thread does next.
enum Item {
    Packet(Bytes),
    /// Bring the learner up to date.
    Join {
        member: ServerId,
        peer: Zxid,
    },
}

/// The sending half of a connection to another member.
#[derive(Debug, Clone)]
pub struct Link {
    /// Never used again in this process.
    pub id: LinkId,
    /// The other end.
    pub peer: SocketAddr,
    queue: Sender<Item>,
    waiting: Waiting,
    socket: Arc<TcpStream>,
}

/// Bytes that wait: for this link, and for all of this server.
#[derive(Debug, Clone)]
struct Waiting {
    own: Arc<AtomicUsize>,
    all: Arc<AtomicUsize>,
}

impl Waiting {
    fn add(&self, bytes: usize) -> bool {
        let all = self.all.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.own.fetch_add(bytes, Ordering::Relaxed) + bytes <= QUEUE_MAX && all <= QUEUES_MAX
    }

    fn remove(&self, bytes: usize) {
        self.all.fetch_sub(bytes, Ordering::Relaxed);
        self.own.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What a link sends.
pub struct Outgoing {
    queue: Receiver<Item>,
    waiting: Waiting,
    socket: Arc<TcpStream>,
}

impl Link {
    /// A link over a socket; somebody must run the other half. `all` counts what waits for all links of a server.
    pub fn new(id: LinkId, socket: TcpStream, all: Arc<AtomicUsize>) -> io::Result<(Link, Outgoing)> {
        let (to, from) = channel();
        let (peer, socket) = (socket.peer_addr()?, Arc::new(socket));
        let waiting = Waiting { own: Arc::default(), all };
        let outgoing = Outgoing { queue: from, waiting: waiting.clone(), socket: socket.clone() };
        Ok((Link { id, peer, queue: to, waiting, socket }, outgoing))
    }

    /// Queues a packet.
    pub fn send(&self, packet: Bytes) {
        if !self.waiting.add(packet.len()) {
            tracing::warn!(peer = %self.peer, "a member reads too slowly and is cut off");
            self.close();
        }
        let bytes = packet.len();
        // Nobody sends any more: the reading half finds that out.
        if self.queue.send(Item::Packet(packet)).is_err() {
            self.waiting.remove(bytes);
        }
    }

    /// Lets the link's thread bring the learner up to date.
    pub fn join(&self, member: ServerId, peer: Zxid) {
        let _ = self.queue.send(Item::Join { member, peer });
    }

    /// Bytes that wait to be sent.
    pub fn waiting(&self) -> usize {
        self.waiting.own.load(Ordering::Relaxed)
    }

    /// Ends the connection in both directions.
    pub fn close(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

impl Outgoing {
    /// Sends until the connection ends. `join` brings the learner up to date, and writes to the socket itself.
    pub fn run(self, join: impl Fn(ServerId, Zxid, &TcpStream) -> io::Result<()>) {
        let mut out = Vec::new();
        let sent = self.send(&mut out, join);
        if let Err(error) = &sent {
            tracing::debug!(%error, "the sending half of a link ends");
        }
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    fn send(&self, out: &mut Vec<u8>, join: impl Fn(ServerId, Zxid, &TcpStream) -> io::Result<()>) -> io::Result<()> {
        let mut next = self.queue.recv().ok();
        while let Some(item) = next.take() {
            out.clear();
            match item {
                Item::Packet(packet) => out.extend_from_slice(&packet),
                Item::Join { member, peer } => join(member, peer, &self.socket)?,
            }
            while out.len() < CHUNK {
                match self.queue.try_recv() {
                    Ok(Item::Packet(packet)) => out.extend_from_slice(&packet),
                    Ok(join) => {
                        next = Some(join);
                        break;
                    }
                    Err(_) => break,
                }
            }
            self.waiting.remove(out.len());
            (&*self.socket).write_all(out)?;
            if next.is_none() {
                next = self.queue.recv().ok();
            }
        }
        Ok(())
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        let left = self.queue.try_iter().map(|item| match item {
            Item::Packet(packet) => packet.len(),
            Item::Join { .. } => 0,
        });
        self.waiting.remove(left.sum());
    }
}
