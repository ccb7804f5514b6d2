//! What servers tell each other in an election (`FastLeaderElection.Notification`).

use crate::jute::{DecodeError, Reader};
use crate::proto::Zxid;
use crate::zab::ServerId;

/// The longest notification that is read (`QuorumCnxManager.PACKETMAXSIZE`).
pub const NOTIFICATION_MAX: usize = 512 << 10;

/// The form that is written: with the peer epoch and the configuration.
pub(super) const VERSION: i32 = 2;

/// What a server is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerState {
    /// Without a leader.
    Looking,
    /// Follows one.
    Following,
    /// Is one.
    Leading,
    /// Follows one without a vote.
    Observing,
}

impl PeerState {
    const ALL: [PeerState; 4] = [PeerState::Looking, PeerState::Following, PeerState::Leading, PeerState::Observing];
}

/// For whom, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// The candidate.
    pub leader: ServerId,
    /// The last transaction in the candidate's log, committed or not.
    pub zxid: Zxid,
    /// The round of the election (`electionEpoch`).
    pub round: i64,
    /// The candidate's current epoch (`peerEpoch`).
    pub epoch: i64,
}

/// A vote and what its sender is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The sender's state.
    pub state: PeerState,
    /// Its vote.
    pub vote: Vote,
    /// The form it was written in: 0 before 3.4.6, 1 without, 2 with the configuration.
    pub version: i32,
    /// The text of the sender's configuration; empty where the form has none.
    pub config: Vec<u8>,
}

impl Notification {
    /// In the newest form. The text must name a participant: a Java server that gets one without never elects again.
    pub fn new(state: PeerState, vote: Vote, config: &str) -> Self {
        Notification { state, vote, version: VERSION, config: config.as_bytes().to_vec() }
    }

    /// The payload, without the length in front.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(44 + self.config.len());
        out.extend_from_slice(&(self.state as i32).to_be_bytes());
        for long in [self.vote.leader, self.vote.zxid.0, self.vote.round, self.vote.epoch] {
            out.extend_from_slice(&long.to_be_bytes());
        }
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&(self.config.len() as i32).to_be_bytes());
        out.extend_from_slice(&self.config);
        out
    }

    /// Reads a payload of any form.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::unlimited(bytes);
        let state = reader.int()?;
        let state = usize::try_from(state)
            .ok()
            .and_then(|at| PeerState::ALL.get(at).copied())
            .ok_or(DecodeError::Value(i64::from(state)))?;
        let (leader, zxid, round) = (reader.long()?, Zxid(reader.long()?), reader.long()?);
        let mut told = Notification {
            state,
            vote: Vote { leader, zxid, round, epoch: i64::from(zxid.epoch()) },
            version: 0,
            config: Vec::new(),
        };
        if reader.is_empty() {
            return Ok(told);
        }
        told.vote.epoch = reader.long()?;
        // A payload of 40 bytes has room for a version, and the original takes it for one without.
        if bytes.len() != 40 {
            told.version = reader.int()?;
        }
        if told.version >= VERSION {
            let length = reader.int()?;
            let length = usize::try_from(length).map_err(|_| DecodeError::Length(length))?;
            told.config = reader.take(length)?.to_vec();
        }
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_original() {
        // Captured from 3.9.5, the text of the configuration shortened.
        let mut bytes = Vec::new();
        for hex in ["00000001", "0000000000000002", "0000000000000000", "0000000000000001", "0000000000000001"] {
            bytes.extend((0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()));
        }
        bytes.extend_from_slice(b"\x00\x00\x00\x02\x00\x00\x00\x09version=0");
        let told = Notification::decode(&bytes).unwrap();
        assert_eq!(told.state, PeerState::Following);
        assert_eq!(told.vote, Vote { leader: 2, zxid: Zxid(0), round: 1, epoch: 1 });
        assert_eq!(told.config, b"version=0");
        assert_eq!(told.encode(), bytes);
    }

    #[test]
    fn older_forms_are_read_and_broken_ones_refused() {
        let vote = Vote { leader: 3, zxid: Zxid(0x5_0000_0007), round: 4, epoch: 9 };
        let bytes = Notification::new(PeerState::Leading, vote, "x").encode();
        let oldest = Notification::decode(&bytes[..28]).unwrap();
        assert_eq!((oldest.vote.epoch, oldest.version), (5, 0));
        let old = Notification::decode(&bytes[..40]).unwrap();
        assert_eq!((old.vote.epoch, old.version), (9, 0));
        for cut in (0..28).chain(29..40).chain(41..45) {
            assert!(Notification::decode(&bytes[..cut]).is_err(), "{cut} bytes");
        }
        let mut negative = bytes.clone();
        negative[40] = 0xff;
        assert!(Notification::decode(&negative).is_err());
        let mut stranger = bytes;
        stranger[3] = 9;
        assert!(Notification::decode(&stranger).is_err());
    }
}
