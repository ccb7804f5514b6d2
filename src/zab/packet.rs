//! Packets of the quorum port (`QuorumPacket`): records that follow each other without a frame. Decoding is told how long
//! a packet may be, and believes no length before the bytes are there.

use super::{LinkId, Output, ServerId, Violation};
use crate::jute::{Encode, Reader, put_text};
use crate::proto::Zxid;
use crate::proto::acl::Id;
use bytes::{Bytes, BytesMut};

/// Types of packets (`Leader`).
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
    pub const COMMITANDACTIVATE: i32 = 9;
    pub const NEWLEADER: i32 = 10;
    pub const FOLLOWERINFO: i32 = 11;
    pub const UPTODATE: i32 = 12;
    pub const DIFF: i32 = 13;
    pub const TRUNC: i32 = 14;
    pub const SNAP: i32 = 15;
    pub const OBSERVERINFO: i32 = 16;
    pub const LEADERINFO: i32 = 17;
    pub const ACKEPOCH: i32 = 18;
    pub const INFORMANDACTIVATE: i32 = 19;
}

/// What is spoken (`LearnerInfo.protocolVersion`).
pub const PROTOCOL: i32 = 0x10000;
/// Identities in a packet.
const IDS_MAX: i32 = 4096;
/// Bytes of a name in an identity.
const ID_MAX: usize = 64 << 10;

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Type, one of [`kind`].
    pub kind: i32,
    /// Transaction id, or what the type makes of it.
    pub zxid: Zxid,
    /// Data; absent is not empty.
    pub data: Option<Bytes>,
    /// Identities of a client.
    pub ids: Option<Vec<Id>>,
}

impl Packet {
    /// A packet without data.
    pub fn bare(kind: i32, zxid: Zxid) -> Self {
        Packet { kind, zxid, data: None, ids: None }
    }

    /// A packet with data.
    pub fn with(kind: i32, zxid: Zxid, data: impl Into<Bytes>) -> Self {
        Packet { kind, zxid, data: Some(data.into()), ids: None }
    }

    /// The bytes on the wire.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(20 + self.data.as_ref().map_or(0, Bytes::len));
        self.kind.encode(&mut out);
        self.zxid.0.encode(&mut out);
        self.data.as_deref().encode(&mut out);
        match &self.ids {
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

    /// Takes a packet with at most `max` bytes of data off the front; `None` while it is not whole.
    pub fn decode(buffer: &mut BytesMut, max: usize) -> Result<Option<Packet>, Violation> {
        let mut look = Look { bytes: buffer, at: 0 };
        let Some((kind, zxid, data, ids)) = look.packet(max)? else { return Ok(None) };
        let bytes = buffer.split_to(look.at).freeze();
        Ok(Some(Packet { kind, zxid, data: data.map(|range| bytes.slice(range)), ids }))
    }
}

type Parts = (i32, Zxid, Option<std::ops::Range<usize>>, Option<Vec<Id>>);

struct Look<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Look<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let array = self.bytes.get(self.at..)?.first_chunk()?;
        self.at += N;
        Some(*array)
    }

    fn int(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// `Ok(None)`: not there yet; `Ok(Some(None))`: absent.
    #[allow(clippy::option_option)]
    fn buffer(&mut self, max: usize) -> Result<Option<Option<std::ops::Range<usize>>>, Violation> {
        let Some(length) = self.int() else { return Ok(None) };
        if length == -1 {
            return Ok(Some(None));
        }
        let length = usize::try_from(length).ok().filter(|length| *length <= max);
        let length = length.ok_or_else(|| Violation::new("a packet of an unreasonable length"))?;
        let range = self.at..self.at + length;
        if range.end > self.bytes.len() {
            return Ok(None);
        }
        self.at = range.end;
        Ok(Some(Some(range)))
    }

    fn packet(&mut self, max: usize) -> Result<Option<Parts>, Violation> {
        let Some(kind) = self.int() else { return Ok(None) };
        let Some(zxid) = self.array().map(i64::from_be_bytes) else { return Ok(None) };
        let Some(data) = self.buffer(max)? else { return Ok(None) };
        let Some(count) = self.int() else { return Ok(None) };
        if count > IDS_MAX {
            return Err(Violation::new("more identities than any client has"));
        }
        let mut ids = (count >= 0).then(Vec::new);
        for _ in 0..count {
            let Some(scheme) = self.buffer(ID_MAX)? else { return Ok(None) };
            let Some(id) = self.buffer(ID_MAX)? else { return Ok(None) };
            let text = |range: Option<std::ops::Range<usize>>| {
                let bytes = range.map_or(&[][..], |range| &self.bytes[range]);
                std::str::from_utf8(bytes).map_err(|_| Violation::new("an identity that is no text"))
            };
            let id = Id::new(text(scheme)?, text(id)?);
            ids.get_or_insert_default().push(id);
        }
        Ok(Some((kind, Zxid(zxid), data, ids)))
    }
}

/// Who greets with FOLLOWERINFO or OBSERVERINFO, if that may be: `me` is greeted, whose active configuration has this
/// version.
pub(super) fn greeting(packet: &Packet, me: ServerId, version: i64) -> Result<ServerId, Violation> {
    let info = packet.data.as_deref().unwrap_or_default();
    let member = long_of(info).ok_or_else(|| Violation::new("a member that does not say who it is"))?;
    if info.len() < 12 {
        return Err(Violation::new("a member older than this protocol"));
    }
    if info.get(12..).and_then(long_of).is_some_and(|newer| newer > version) {
        return Err(Violation::new("a member with a newer configuration than this server's"));
    }
    if member == me {
        return Err(Violation(format!("a member with the id of this server, {member}: see its myid")));
    }
    Ok(member)
}

/// A transaction of history for a learner that gets in step: proposed and committed.
pub(super) fn put_history(link: LinkId, zxid: Zxid, record: &Bytes, out: &mut Vec<Output>) {
    let proposal = Packet::with(kind::PROPOSAL, zxid, record.clone());
    out.push(Output::Send { link, packet: proposal.encode() });
    out.push(Output::Send { link, packet: Packet::bare(kind::COMMIT, zxid).encode() });
}

/// The number in the first eight bytes.
pub(super) fn long_of(data: &[u8]) -> Option<i64> {
    Reader::unlimited(data).long().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// Every different packet of the quorum port that was captured between real servers of 3.8 and 3.9. A line is:
    /// capture, bytes.
    #[test]
    fn captured_packets_are_read_and_written_byte_for_byte() {
        let mut kinds = std::collections::BTreeSet::new();
        for line in include_str!("testdata/packets.txt").lines() {
            let bytes = hex(line.split(' ').nth(1).unwrap());
            let mut buffer = BytesMut::from(&bytes[..]);
            let packet = Packet::decode(&mut buffer, 1 << 20).unwrap().expect(line);
            assert!(buffer.is_empty(), "{line}");
            assert_eq!(packet.encode(), bytes, "{line}");
            kinds.insert(packet.kind);
        }
        assert_eq!(kinds, (1..=19).collect(), "each type was captured");
    }

    #[test]
    fn a_packet_comes_in_pieces_and_nothing_hostile_takes_memory() {
        let ids = vec![Id::new("digest", "me:x"), Id::new("ip", "127.0.0.1")];
        let mut packet = Packet::with(kind::REQUEST, Zxid(-1), &b"body"[..]);
        packet.ids = Some(ids);
        let bytes = packet.encode();
        assert_eq!(Packet::decode(&mut BytesMut::from(&bytes[..]), 4), Ok(Some(packet)));
        assert!(Packet::decode(&mut BytesMut::from(&bytes[..]), 3).is_err(), "more data than allowed");
        for cut in 0..bytes.len() {
            let mut part = BytesMut::from(&bytes[..cut]);
            assert_eq!(Packet::decode(&mut part, 4), Ok(None), "{cut} bytes");
            assert_eq!(part.len(), cut, "nothing is taken");
        }
        for (at, value) in [(12, i32::MAX), (12, -2), (20, i32::MAX), (24, i32::MAX)] {
            let mut hostile = bytes.to_vec();
            hostile[at..at + 4].copy_from_slice(&value.to_be_bytes());
            assert!(Packet::decode(&mut BytesMut::from(&hostile[..]), 1 << 20).is_err(), "{value} at {at}");
        }
    }
}
