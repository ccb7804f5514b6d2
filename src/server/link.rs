//! Connections between members: packets read from a socket, and a link that sends them. Who queued packets gives the
//! socket what it takes at once; only what it does not take, and bulk work, is left to the thread of the link.

use crate::proto::Zxid;
use crate::zab::{LinkId, Packet, ServerId};
use bytes::BytesMut;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that may wait for one member that reads slowly; above, it is cut off and starts over.
const QUEUE_MAX: usize = 256 << 20;
/// Bytes that may wait for all of them together.
const QUEUES_MAX: usize = 512 << 20;
/// Bytes read and written at a time.
const CHUNK: usize = 64 << 10;
/// Who gives packets to the socket does it so often for others who queued more meanwhile; then the thread goes on.
const FLUSHES_MAX: usize = 4;

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

    /// The next packet, if it has been read already.
    pub fn read_packet(&mut self) -> io::Result<Option<Packet>> {
        let invalid = |violation| io::Error::new(io::ErrorKind::InvalidData, violation);
        Packet::decode(&mut self.buffer, self.max).map_err(invalid)
    }

    /// The next packet; `None` when the socket's patience has ended without one.
    pub fn next_packet(&mut self) -> io::Result<Option<Packet>> {
        loop {
            if let Some(packet) = self.read_packet()? {
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

/// What is to be sent, in order.
#[derive(Debug)]
enum Item {
    /// Packets, at most a little more than [`CHUNK`] unless one of them is longer.
    Packets(Vec<u8>),
    /// Bring the learner up to date.
    Join { member: ServerId, peer: Zxid },
}

/// The sending half of a connection to another member. It lives until [`Link::close`].
#[derive(Debug, Clone)]
pub struct Link {
    /// Never used again in this process.
    pub id: LinkId,
    /// The other end.
    pub peer: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    socket: TcpStream,
    queue: Mutex<Queue>,
    /// There is something for the thread.
    handed_over: Condvar,
    /// Bytes that wait for all links of this server.
    all: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    /// Bytes of packets in it.
    waiting: usize,
    /// Somebody uses the socket, outside the lock.
    busy: bool,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These bytes wait no longer.
    fn left(&self, queue: &mut Queue, bytes: usize) {
        queue.waiting -= bytes;
        self.all.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn close(&self, queue: &mut Queue) {
        queue.closed = true;
        queue.items = VecDeque::new();
        self.left(queue, queue.waiting);
        let _ = self.socket.shutdown(Shutdown::Both);
        self.handed_over.notify_one();
    }
}

/// What the thread of a link does.
pub struct Outgoing(Arc<Shared>);

impl Link {
    /// A link over a socket; somebody must run the other half. `all` counts what waits for all links of a server.
    pub fn new(id: LinkId, socket: TcpStream, all: Arc<AtomicUsize>) -> io::Result<(Link, Outgoing)> {
        let peer = socket.peer_addr()?;
        let shared = Arc::new(Shared { socket, queue: Mutex::default(), handed_over: Condvar::new(), all });
        Ok((Link { id, peer, shared: shared.clone() }, Outgoing(shared)))
    }

    /// Queues a packet; it leaves with the next [`Link::flush`], by which more may have come.
    pub fn send(&self, packet: &[u8]) {
        let mut queue = self.shared.lock();
        if queue.closed {
            return;
        }
        queue.waiting += packet.len();
        let all = self.shared.all.fetch_add(packet.len(), Ordering::Relaxed) + packet.len();
        if queue.waiting > QUEUE_MAX || all > QUEUES_MAX {
            tracing::warn!(peer = %self.peer, waiting = queue.waiting, "a member reads too slowly and is cut off");
            return self.shared.close(&mut queue);
        }
        match queue.items.back_mut() {
            Some(Item::Packets(last)) if last.len() < CHUNK => last.extend_from_slice(packet),
            _ => queue.items.push_back(Item::Packets(packet.to_vec())),
        }
    }

    /// Lets the link's thread bring the learner up to date; what is queued later waits for that.
    pub fn join(&self, member: ServerId, peer: Zxid) {
        let mut queue = self.shared.lock();
        if !queue.closed {
            queue.items.push_back(Item::Join { member, peer });
        }
    }

    /// Gives the socket what it takes now, and never waits for it. Not under the lock of the pipeline: it takes time.
    pub fn flush(&self) {
        let shared = &*self.shared;
        let mut queue = shared.lock();
        for _ in 0..FLUSHES_MAX {
            if queue.busy {
                // Whoever is at it looks again afterwards.
                return;
            }
            let mut packets = match queue.items.pop_front() {
                None => return,
                Some(Item::Packets(packets)) => packets,
                Some(join) => {
                    queue.items.push_front(join);
                    break;
                }
            };
            queue.busy = true;
            drop(queue);
            let sent = send_now(&shared.socket, &packets);
            queue = shared.lock();
            queue.busy = false;
            match sent {
                _ if queue.closed => return,
                Err(error) => {
                    tracing::debug!(%error, peer = %self.peer, "the sending half of a link ends");
                    return shared.close(&mut queue);
                }
                Ok(count) => {
                    shared.left(&mut queue, count);
                    if count < packets.len() {
                        packets.drain(..count);
                        queue.items.push_front(Item::Packets(packets));
                        break;
                    }
                }
            }
        }
        if !queue.items.is_empty() {
            shared.handed_over.notify_one();
        }
    }

    /// Bytes that wait to be sent.
    pub fn waiting(&self) -> usize {
        self.shared.lock().waiting
    }

    /// Ends the connection in both directions; what waits is dropped.
    pub fn close(&self) {
        self.shared.close(&mut self.shared.lock());
    }
}

/// What the socket takes without waiting.
fn send_now(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let socket = socket2::SockRef::from(socket);
    let mut sent = 0;
    while sent < bytes.len() {
        match socket.send_with_flags(&bytes[sent..], libc::MSG_DONTWAIT) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

impl Outgoing {
    /// Does what others leave to it until the link is closed. `join` brings the learner up to date, and writes to the
    /// socket itself.
    pub fn run(self, join: impl Fn(ServerId, Zxid, &TcpStream) -> io::Result<()>) {
        let shared = &*self.0;
        let mut queue = shared.lock();
        while !queue.closed {
            let next = if queue.busy { None } else { queue.items.pop_front() };
            let Some(item) = next else {
                queue = shared.handed_over.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            queue.busy = true;
            drop(queue);
            let (bytes, done) = match item {
                Item::Packets(packets) => (packets.len(), (&shared.socket).write_all(&packets)),
                Item::Join { member, peer } => (0, join(member, peer, &shared.socket)),
            };
            queue = shared.lock();
            queue.busy = false;
            if let Err(error) = done {
                tracing::debug!(%error, "the sending half of a link ends");
                shared.close(&mut queue);
            } else if !queue.closed {
                shared.left(&mut queue, bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zab::kind;
    use std::net::TcpListener;

    /// Both ends of a connection; the sending one holds little.
    fn sockets() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        socket2::SockRef::from(&near).set_send_buffer_size(8 << 10).unwrap();
        (near, listener.accept().unwrap().0)
    }

    fn packet(number: i64, size: usize) -> Packet {
        Packet::with(kind::PROPOSAL, Zxid(number), vec![7; size])
    }

    #[test]
    fn packets_arrive_in_order_around_a_join_whoever_sends_them() {
        let (near, far) = sockets();
        let (link, outgoing) = Link::new(1, near, Arc::default()).unwrap();
        let thread = std::thread::spawn(move || {
            outgoing.run(|member, peer, mut socket| {
                assert_eq!((member, peer), (3, Zxid(9)));
                socket.write_all(&packet(1, 100_000).encode())
            });
        });
        link.send(&packet(0, 10).encode());
        link.join(3, Zxid(9));
        // More than the socket holds: what it does not take is the thread's.
        (2..100).for_each(|number| link.send(&packet(number, 10_000).encode()));
        link.flush();
        let mut reader = PacketReader::new(far, 1 << 20);
        for number in 0..100 {
            assert_eq!(reader.next_packet().unwrap().unwrap().zxid, Zxid(number));
        }
        for number in 100..200 {
            link.send(&packet(number, 10).encode());
            link.flush();
            assert_eq!(reader.next_packet().unwrap().unwrap().zxid, Zxid(number));
        }
        link.close();
        thread.join().unwrap();
    }

    /// BOUNDED: what waits for a member that does not read has an end, and is gone with it.
    #[test]
    fn bounded_a_member_that_does_not_read_is_cut_off_and_leaves_nothing() {
        let (near, far) = sockets();
        let all = Arc::new(AtomicUsize::new(0));
        let (link, outgoing) = Link::new(1, near, all.clone()).unwrap();
        let thread = std::thread::spawn(move || outgoing.run(|_, _, _| Ok(())));
        let large = packet(0, 1 << 20).encode();
        let mut most = 0;
        for _ in 0..QUEUE_MAX / large.len() + 20 {
            link.send(&large);
            link.flush();
            most = most.max(all.load(Ordering::Relaxed));
        }
        assert!((QUEUE_MAX / 2..=QUEUE_MAX).contains(&most), "{most}");
        assert_eq!((link.waiting(), all.load(Ordering::Relaxed)), (0, 0));
        thread.join().unwrap();
        let mut reader = PacketReader::new(far, 2 << 20);
        while reader.next_packet().is_ok() {}
    }

    #[test]
    fn small_packets_take_no_more_memory_than_their_bytes() {
        let (near, _far) = sockets();
        let (link, _outgoing) = Link::new(1, near, Arc::default()).unwrap();
        link.join(3, Zxid(9));
        let commit = Packet::bare(kind::COMMIT, Zxid(1)).encode();
        (0..100_000).for_each(|_| link.send(&commit));
        let queue = link.shared.lock();
        let held = queue.items.iter().map(|item| match item {
            Item::Packets(packets) => packets.capacity(),
            Item::Join { .. } => 0,
        });
        assert!(held.sum::<usize>() <= 2 * queue.waiting + CHUNK);
    }

    /// Two threads queue and flush; each finds its packets in order at the other end.
    #[test]
    fn nothing_stays_behind_when_several_flush() {
        let (near, far) = sockets();
        let (link, outgoing) = Link::new(1, near, Arc::default()).unwrap();
        let thread = std::thread::spawn(move || outgoing.run(|_, _, _| Ok(())));
        let senders = [0, 1].map(|sender| {
            let link = link.clone();
            std::thread::spawn(move || {
                for number in 0..5_000 {
                    link.send(&packet(number * 2 + sender, 50).encode());
                    link.flush();
                }
            })
        });
        let (mut reader, mut next) = (PacketReader::new(far, 1 << 20), [0, 1]);
        for _ in 0..10_000 {
            let Zxid(number) = reader.next_packet().unwrap().unwrap().zxid;
            let next = &mut next[(number % 2) as usize];
            assert_eq!(number, *next);
            *next += 2;
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        link.close();
        thread.join().unwrap();
    }
}
