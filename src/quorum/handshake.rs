//! The first bytes on a connection of the election, sent by the server that dials (`QuorumCnxManager.InitialMessage`).

use crate::jute::{DecodeError, Reader, lossy};
use crate::zab::ServerId;
use std::net::IpAddr;

/// The longest list of addresses that is read.
pub const HANDSHAKE_ADDRESS_MAX: i32 = 2048;

/// One address follows.
const ONE_ADDRESS: i64 = -65536;
/// Addresses follow, separated by `|`.
const ADDRESSES: i64 = -65535;

/// Who dials, and where it can be dialled back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The dialler's id.
    pub server: ServerId,
    /// `host:port`, or several; empty from a server before 3.5.
    pub addresses: Vec<String>,
}

impl Greeting {
    /// The bytes. They must leave in one write: the original reads the address with a single call and hangs up when it
    /// gets less.
    pub fn encode(&self) -> Vec<u8> {
        let version = if self.addresses.len() > 1 { ADDRESSES } else { ONE_ADDRESS };
        let text = self.addresses.join("|");
        let mut out = Vec::with_capacity(20 + text.len());
        out.extend_from_slice(&version.to_be_bytes());
        out.extend_from_slice(&self.server.to_be_bytes());
        out.extend_from_slice(&(text.len() as i32).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
        out
    }

    /// How many more bytes a stranger's greeting has, given those that were read: first the version, then what it asks
    /// for; 0 when it is whole.
    pub fn wanted(bytes: &[u8]) -> Result<usize, DecodeError> {
        let mut reader = Reader::unlimited(bytes);
        if bytes.len() < 8 {
            return Ok(8 - bytes.len());
        }
        let version = reader.long()?;
        if version >= 0 {
            return Ok(0);
        }
        if !matches!(version, ONE_ADDRESS | ADDRESSES) {
            return Err(DecodeError::Value(version));
        }
        if bytes.len() < 20 {
            return Ok(20 - bytes.len());
        }
        let (_, length) = (reader.long()?, reader.int()?);
        if !(1..=HANDSHAKE_ADDRESS_MAX).contains(&length) {
            return Err(DecodeError::Length(length));
        }
        Ok((20 + length as usize).saturating_sub(bytes.len()))
    }

    /// Where the dialler can be dialled: its addresses without those that mean every interface of its own machine.
    pub fn dialable(&self) -> Result<Vec<(String, u16)>, DecodeError> {
        let parse = |text: &String| {
            let (host, port) = text.rsplit_once(':')?;
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            Some((host.to_owned(), port.parse::<u16>().ok()?)).filter(|(host, _)| !host.is_empty())
        };
        let all = self.addresses.iter().map(|text| parse(text).ok_or(DecodeError::Length(text.len() as i32)));
        let is_any = |host: &str| host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
        all.filter(|address| !address.as_ref().is_ok_and(|(host, _)| is_any(host))).collect()
    }

    /// Reads a whole greeting.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::unlimited(bytes);
        let version = reader.long()?;
        if version >= 0 {
            return Ok(Greeting { server: version, addresses: Vec::new() });
        }
        let server = reader.long()?;
        let text = lossy(reader.buffer()?.unwrap_or_default());
        Ok(Greeting { server, addresses: text.split('|').map(str::to_owned).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a connection reads it.
    fn read(mut source: &[u8]) -> Result<Greeting, DecodeError> {
        let mut bytes = Vec::new();
        loop {
            match Greeting::wanted(&bytes)? {
                0 => return Greeting::decode(&bytes),
                wanted => {
                    let (more, rest) = source.split_at_checked(wanted).ok_or(DecodeError::Value(0))?;
                    bytes.extend_from_slice(more);
                    source = rest;
                }
            }
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_original() {
        // Captured from 3.9.5.
        let one = b"\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x0f127.0.0.1:12212";
        let greeting = Greeting { server: 2, addresses: vec!["127.0.0.1:12212".into()] };
        assert_eq!(greeting.encode(), one);
        assert_eq!(read(one).unwrap(), greeting);
        let two =
            b"\xff\xff\xff\xff\xff\xff\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x1f127.0.0.2:12336|127.0.0.2:12312";
        let greeting = Greeting { server: 2, addresses: vec!["127.0.0.2:12336".into(), "127.0.0.2:12312".into()] };
        assert_eq!(greeting.encode(), two);
        assert_eq!(read(two).unwrap(), greeting);
    }

    #[test]
    fn addresses_that_mean_every_interface_cannot_be_dialled() {
        let greeting = |text: &str| Greeting { server: 2, addresses: text.split('|').map(str::to_owned).collect() };
        let all = greeting("0.0.0.0:1|zk2.example:2|[::]:3|[2001:db8::1]:4").dialable().unwrap();
        assert_eq!(all, [("zk2.example".to_owned(), 2), ("2001:db8::1".to_owned(), 4)]);
        for broken in ["zk2", "zk2:", "zk2:x", "zk2:65536", ":1", ""] {
            assert!(greeting(broken).dialable().is_err(), "{broken}");
        }
    }

    #[test]
    fn strangers_get_an_error() {
        for bytes in [
            &b"GET / H"[..],
            b"\xff\xff\xff\xff\xff\xff\x00\x07\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x01a",
            b"\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x7f\xff\xff\xffa",
            b"\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00",
        ] {
            assert!(read(bytes).is_err());
        }
        let old = 5i64.to_be_bytes();
        assert_eq!(read(&old).unwrap().server, 5);
    }
}
