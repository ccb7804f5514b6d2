//! The quorum port: packets of strangers, and a leader and a learner that hear whatever they say. The rest of a server is
//! played honestly: what is appended gets to disk, files are changed as asked.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use oxkeeper::proto::Zxid;
use oxkeeper::store::{EpochFile, Epochs};
use oxkeeper::zab::{History, Leader, Learner, Membership, Output, Packet, Pending, Times, Voters, kind};

const TIMES: Times = Times { tick_ms: 500, init_ms: 5000, sync_ms: 2500 };
const DATA_MAX: usize = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    let Some((what, bytes)) = bytes.split_first() else { return };
    match what % 3 {
        0 => packets(bytes),
        1 => leader(bytes),
        _ => learner(bytes),
    }
});

fn packets(bytes: &[u8]) {
    let mut buffer = BytesMut::from(bytes);
    while let Ok(Some(packet)) = Packet::decode(&mut buffer, DATA_MAX) {
        let mut again = BytesMut::from(&packet.encode()[..]);
        assert_eq!(Packet::decode(&mut again, DATA_MAX), Ok(Some(packet)));
        assert!(again.is_empty());
    }
}

/// Bytes that are taken one by one; behind the last come zeros.
struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn zxid(&mut self) -> Zxid {
        match self.byte() {
            small @ 0..=240 => Zxid((i64::from(small / 16) << 32) | i64::from(small % 16)),
            _ => Zxid(i64::from_le_bytes(std::array::from_fn(|_| self.byte()))),
        }
    }

    fn piece(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        piece
    }

    fn packet(&mut self) -> Packet {
        let kind = i32::from(self.byte() % 24);
        let zxid = self.zxid();
        let data = match self.byte() % 8 {
            0 => None,
            // A good greeting of a member, or of a stranger.
            1 | 2 => Some([&i64::from(self.byte() % 6).to_be_bytes()[..], &0x10000i32.to_be_bytes(), &[0; 8]].concat().into()),
            // An epoch, a session, a leader.
            3 => Some(Bytes::copy_from_slice(&i32::from(self.byte()).to_be_bytes())),
            4 => Some(Bytes::copy_from_slice(&i64::from(self.byte()).to_be_bytes())),
            // A transaction: header, and createSession.
            5 => {
                let session = i64::from(self.byte()).to_be_bytes();
                Some([&session[..], &1i32.to_be_bytes(), &zxid.0.to_be_bytes(), &[0; 8], &(-10i32).to_be_bytes(), &[0; 4]].concat().into())
            }
            _ => Some(Bytes::copy_from_slice(self.piece())),
        };
        Packet { kind, zxid, data, ids: None }
    }
}

fn history(source: &mut Source) -> History {
    History::new(Zxid((i64::from(source.byte() % 4) << 32) | i64::from(source.byte() % 8)), 4)
}

fn check_packets(out: &[Output]) {
    for output in out {
        if let Output::Send { packet, .. } = output {
            let mut bytes = BytesMut::from(&packet[..]);
            assert!(matches!(Packet::decode(&mut bytes, 1 << 20), Ok(Some(_))) && bytes.is_empty());
        }
    }
}

fn membership(voters: &[i64], version: i64) -> Membership {
    Membership {
        voters: Voters::majority(voters.iter().copied()),
        text: Bytes::from(format!("version={version:x}")),
        version,
        leads_on: voters.contains(&1),
    }
}

/// What comes after the three: others, with and without the leader.
fn next(source: &mut Source<'_>, version: i64) -> Membership {
    membership([&[1, 2, 3, 4, 5][..], &[2, 3], &[1], &[4, 5, 6]][usize::from(source.byte() % 4)], version)
}

fn leader(bytes: &[u8]) {
    let mut source = Source(bytes);
    let history = history(&mut source);
    let epoch = i64::from(history.last().epoch());
    let epochs = Epochs { accepted: epoch + i64::from(source.byte() % 3), current: epoch };
    let active = membership(&[1, 2, 3], 0);
    let pending = match source.byte() % 3 {
        0 => Pending::Nothing,
        1 => Pending::Unversioned,
        _ => Pending::Proposed(next(&mut source, 1)),
    };
    let (mut now, mut out) = (0, Vec::new());
    let mut leader = Leader::new(1, active, pending, history, epochs, TIMES, now, &mut out);
    let (mut next_link, mut waiting, mut ended) = (1, Vec::new(), false);
    while !source.0.is_empty() && !ended {
        match source.byte() % 8 {
            0 => {
                leader.opened(next_link, now);
                next_link += 1;
            }
            1 => leader.closed(u64::from(source.byte()) % next_link),
            2 => {
                now += i64::from(source.byte()) * 10;
                leader.tick(now, &mut out);
            }
            3 if leader.serves() => {
                let last = leader.history().last();
                let reconfigures = source.byte().is_multiple_of(8).then(|| next(&mut source, last.0 + 1));
                leader.propose(Zxid(last.0 + 1), Bytes::from_static(b"transaction"), reconfigures, now, &mut out);
            }
            4 => leader.logged(leader.history().last(), &mut out),
            5 => {
                if let Some((link, peer)) = waiting.pop() {
                    leader.join(link, peer, &mut out);
                }
            }
            _ => {
                let link = u64::from(source.byte()) % next_link;
                leader.receive(link, source.packet(), now, &mut out);
            }
        }
        check_packets(&out);
        for output in out.drain(..) {
            match output {
                Output::Join { link, peer, .. } => waiting.push((link, peer)),
                Output::WriteEpoch(_, epoch) => assert!(epoch > epochs.current),
                Output::Apply(zxid) => assert!(zxid <= leader.history().logged()),
                Output::End(why) => {
                    assert!(!why.is_empty());
                    ended = true;
                }
                Output::Close { link, .. } => leader.closed(link),
                _ => {}
            }
        }
    }
}

fn learner(bytes: &[u8]) {
    let mut source = Source(bytes);
    let history = history(&mut source);
    let epoch = i64::from(history.last().epoch());
    let epochs = Epochs { accepted: epoch + i64::from(source.byte() % 3), current: epoch };
    let (mut now, mut out) = (0, Vec::new());
    let mut learner = Learner::new(2, source.byte().is_multiple_of(4), 0, history, epochs, TIMES, now, &mut out);
    let mut appended = learner.history().last();
    let mut logged = appended;
    while !source.0.is_empty() {
        let heard = match source.byte() % 8 {
            0 => {
                now += i64::from(source.byte()) * 10;
                learner.tick(now, &mut out);
                Ok(())
            }
            1 | 2 => {
                logged = appended;
                learner.logged(appended, now, &mut out);
                Ok(())
            }
            _ => learner.receive(source.packet(), now, &mut out),
        };
        if heard.is_err() {
            return;
        }
        check_packets(&out);
        let mut ended = false;
        for output in std::mem::take(&mut out) {
            match output {
                Output::Append { zxid, .. } => {
                    assert!(zxid > appended);
                    appended = zxid;
                }
                Output::Truncate(zxid) | Output::Install(zxid) => {
                    learner.installed(zxid, now);
                    (appended, logged) = (zxid, zxid);
                }
                // Nothing is acknowledged before it is on disk; the epoch comes behind the history.
                Output::WriteEpoch(EpochFile::Current, _) => assert_eq!(logged, appended),
                Output::Send { packet, .. } => {
                    let packet = Packet::decode(&mut BytesMut::from(&packet[..]), 1 << 20).unwrap().unwrap();
                    assert!(packet.kind != kind::ACK || packet.zxid.counter() == 0 || packet.zxid <= logged);
                }
                Output::Apply(zxid) => assert!(zxid <= logged),
                Output::End(_) => ended = true,
                _ => {}
            }
        }
        if ended {
            return;
        }
    }
}
