//! Packets of the quorum port, and a link that sends them: a queue with a thread behind it.

use crate::jute::{Encode, Reader, put_text};
use crate::proto::acl::Id;
use bytes::Bytes;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Types of packets.
pub mod kind {
    #![allow(missing_docs)]
    pub const REQUEST: i32 = 1;
    pub const PROPOSAL: i32 = 2;
    pub const ACK: i32 = 3;
    pub const COMMIT: i32 = 4;
    pub const PING: i32 = 5;
    pub const REVALIDATE: i32 = 6;
    pub const SYNC: i32 = 7;
    pub const INFORM: i32 = 8;
    pub const NEWLEADER: i32 = 10;
    pub const FOLLOWERINFO: i32 = 11;
    pub const UPTODATE: i32 = 12;
    pub const DIFF: i32 = 13;
    pub const TRUNC: i32 = 14;
    pub const SNAP: i32 = 15;
    pub const OBSERVERINFO: i32 = 16;
    pub const LEADERINFO: i32 = 17;
    pub const ACKEPOCH: i32 = 18;
}

/// What is spoken.
pub const PROTOCOL: i32 = 0x10000;
/// Identities in a packet.
const IDS_MAX: i32 = 4096;
/// Bytes that may wait for a member that reads slowly; above, it is cut off and starts over.
const QUEUE_MAX: usize = 256 << 20;

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Type.
    pub kind: i32,
    /// Transaction id, or what the type makes of it.
    pub zxid: i64,
    /// Data.
    pub data: Option<Vec<u8>>,
    /// Identities of a client.
    pub ids: Vec<Id>,
}

/// Encodes a packet.
pub fn packet(kind: i32, zxid: i64, data: Option<&[u8]>, ids: Option<&[Id]>) -> Bytes {
    let mut out = Vec::with_capacity(20 + data.map_or(0, <[u8]>::len));
    kind.encode(&mut out);
    zxid.encode(&mut out);
    data.encode(&mut out);
    match ids {
        None => (-1i32).encode(&mut out),
        Some(ids) => {
            (ids.len() as i32).encode(&mut out);
            for id in ids {
                put_text(&mut out, &id.scheme);
                put_text(&mut out, &id.id);
            }
        }
    }
    out.into()
}

fn bad(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

fn int(source: &mut impl Read) -> io::Result<i32> {
    let mut bytes = [0; 4];
    source.read_exact(&mut bytes)?;
    Ok(i32::from_be_bytes(bytes))
}

/// Memory grows only with bytes that were really there.
fn buffer(source: &mut impl Read, max: usize) -> io::Result<Option<Vec<u8>>> {
    let length = int(source)?;
    if length == -1 {
        return Ok(None);
    }
    let length = usize::try_from(length).ok().filter(|length| *length <= max);
    let length = length.ok_or_else(|| bad("a packet of an unreasonable length"))?;
    let mut bytes = Vec::new();
    source.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(Some(bytes)) }
}

/// Reads a packet with data of at most `max` bytes.
pub fn read_packet(source: &mut impl Read, max: usize) -> io::Result<Packet> {
    let kind = int(source)?;
    let mut zxid = [0; 8];
    source.read_exact(&mut zxid)?;
    let data = buffer(source, max)?;
    let count = int(source)?;
    if count > IDS_MAX {
        return Err(bad("more identities than any client has"));
    }
    let mut ids = Vec::new();
    for _ in 0..count {
        let mut text = || -> io::Result<String> {
            let bytes = buffer(source, 64 << 10)?.unwrap_or_default();
            String::from_utf8(bytes).map_err(|_| bad("an identity that is no text"))
        };
        ids.push(Id { scheme: text()?, id: text()? });
    }
    Ok(Packet { kind, zxid: i64::from_be_bytes(zxid), data, ids })
}

/// The number in the first eight bytes.
pub fn long_of(data: &[u8]) -> Option<i64> {
    Reader::unlimited(data).long().ok()
}

/// The sending half of a connection to another member.
#[derive(Debug, Clone)]
pub struct Link {
    /// Never used again in this process; not 0.
    pub id: u64,
    /// It votes nowhere.
    pub observer: bool,
    queue: Sender<Bytes>,
    waiting: Arc<AtomicUsize>,
    socket: Arc<TcpStream>,
}

/// What a link sends.
#[derive(Debug)]
pub struct Outgoing {
    queue: Receiver<Bytes>,
    waiting: Arc<AtomicUsize>,
    socket: Arc<TcpStream>,
}

impl Link {
    /// A link over a socket; somebody must run the other half.
    pub fn new(id: u64, observer: bool, socket: TcpStream) -> (Link, Outgoing) {
        let (to, from) = channel();
        let (waiting, socket) = (Arc::new(AtomicUsize::new(0)), Arc::new(socket));
        let outgoing = Outgoing { queue: from, waiting: waiting.clone(), socket: socket.clone() };
        (Link { id, observer, queue: to, waiting, socket }, outgoing)
    }

    /// Queues a packet.
    pub fn send(&self, packet: &Bytes) {
        if self.waiting.fetch_add(packet.len(), Ordering::Relaxed) > QUEUE_MAX {
            tracing::warn!("a member reads too slowly and is cut off");
            return self.close();
        }
        // Nobody sends any more: the reading half finds that out.
        let _ = self.queue.send(packet.clone());
    }

    /// Ends the connection in both directions.
    pub fn close(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

impl Outgoing {
    /// Sends until the connection ends.
    pub fn run(self) {
        let mut out = Vec::new();
        while let Ok(first) = self.queue.recv() {
            out.clear();
            out.extend_from_slice(&first);
            while out.len() < 64 << 10 {
                let Ok(more) = self.queue.try_recv() else { break };
                out.extend_from_slice(&more);
            }
            self.waiting.fetch_sub(out.len(), Ordering::Relaxed);
            if (&*self.socket).write_all(&out).is_err() {
                let _ = self.socket.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_original() {
        // Captured from 3.9.5: a first join.
        let mut info = 1i64.to_bytes();
        PROTOCOL.encode(&mut info);
        0i64.encode(&mut info);
        let bytes = packet(kind::FOLLOWERINFO, 0, Some(&info), None);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "0000000b0000000000000000000000140000000000000001000100000000000000000000ffffffff");
        let read = read_packet(&mut &bytes[..], 64).unwrap();
        assert_eq!((read.kind, read.zxid, read.data, read.ids.len()), (kind::FOLLOWERINFO, 0, Some(info), 0));
    }

    #[test]
    fn identities_travel_and_nothing_hostile_takes_memory() {
        let ids = [Id::new("digest", "me:x"), Id::new("ip", "127.0.0.1")];
        let bytes = packet(kind::REQUEST, -1, Some(b"body"), Some(&ids));
        assert_eq!(read_packet(&mut &bytes[..], 4).unwrap().ids, ids);
        assert!(read_packet(&mut &bytes[..], 3).is_err(), "more data than allowed");
        for cut in 0..bytes.len() {
            assert!(read_packet(&mut &bytes[..cut], 4).is_err(), "{cut} bytes");
        }
        for at in [12, 20] {
            let mut hostile = bytes.to_vec();
            hostile[at..at + 4].copy_from_slice(&i32::MAX.to_be_bytes());
            assert!(read_packet(&mut &hostile[..], usize::MAX).is_err());
        }
        let mut negative = bytes.to_vec();
        negative[12..16].copy_from_slice(&(-2i32).to_be_bytes());
        assert!(read_packet(&mut &negative[..], 64).is_err());
    }
}
