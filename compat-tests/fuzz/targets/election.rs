//! The election port: greetings and votes of strangers, and an election that hears whatever they say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oxkeeper::proto::Zxid;
use oxkeeper::quorum::{Election, Greeting, Membership, Notification, Output, Pauses, PeerState, Vote};

const TEXTS: [&str; 4] = [
    "server.1=a:1:2\nserver.2=a:1:2\nserver.3=a:1:2\nversion=0",
    "server.1=a:1:2\nserver.2=a:1:2\nversion=100000000",
    "server.1=a:1:2\nserver.2=a:1:2\nserver.3=a:1:2\nserver.4=a:1:2\nserver.5=a:1:2\nserver.6=a:1:2:observer\n\
     group.1=1:2\ngroup.2=3:4\ngroup.3=5\nweight.5=0\nversion=0",
    "server.2=a:1:2\nserver.3=a:1:2\nserver.4=a:1:2\nversion=200000001",
];

fn membership(at: u8) -> Membership {
    let parsed = |at: u8| Membership::parse(TEXTS[usize::from(at) % TEXTS.len()].as_bytes()).expect("a configuration");
    Membership::new(parsed(at).active().clone(), (at >= 128).then(|| parsed(at / 4)).as_ref().map(Membership::active))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 4 {
        0 => greeting(bytes),
        1 => drop(vote(bytes)),
        _ => election(bytes),
    }
});

fn greeting(bytes: &[u8]) {
    let mut have = 0;
    let greeting = loop {
        match Greeting::wanted(&bytes[..have]) {
            Ok(0) => break Greeting::decode(&bytes[..have]).expect("it is whole"),
            Ok(wanted) if have + wanted <= bytes.len() => have += wanted,
            Ok(wanted) => return assert!(wanted <= 2048),
            Err(_) => return,
        }
    };
    if let Ok(addresses) = greeting.dialable() {
        assert!(addresses.iter().all(|(host, _)| !host.is_empty()));
        // What was sent before 3.5 has no addresses, and no form of today.
        if !greeting.addresses.is_empty() {
            let again = greeting.encode();
            assert_eq!(Greeting::decode(&again), Ok(greeting));
        }
    }
}

fn vote(bytes: &[u8]) -> Option<Notification> {
    let told = Notification::decode(bytes).ok()?;
    if told.version >= 2 {
        let again = told.encode();
        assert_eq!(&again[..], &bytes[..again.len()]);
    }
    Some(told)
}

/// Bytes that are taken one by one; behind the last come zeros.
struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// Small numbers often, others sometimes.
    fn number(&mut self) -> i64 {
        match self.byte() {
            small @ 0..=250 => i64::from(small) - 1,
            _ => i64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    fn piece(&mut self) -> &'a [u8] {
        let length = (usize::from(self.byte()) * 4).min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        piece
    }
}

fn election(bytes: &[u8]) {
    let mut source = Source(bytes);
    let me = i64::from(source.byte() % 7);
    let pauses = Pauses { min_ms: source.number(), max_ms: source.number() };
    let mut election = Election::new(me, membership(source.byte()), pauses);
    let mut now = 0i64;
    while !source.0.is_empty() {
        let mut out = Vec::new();
        let searching = election.deadline_ms().is_some();
        match source.byte() % 12 {
            0 | 1 => election.look(Zxid(source.number()), source.number(), now, &mut out),
            2..=4 => {
                now = now.max(election.deadline_ms().unwrap_or(now));
                election.tick(now, &mut out);
            }
            5 => election.set_epoch(source.number()),
            6 => election.set_oracle([None, Some(true), Some(false)][usize::from(source.byte() % 3)]),
            7 => election.install(membership(source.byte()), Zxid(source.number()), source.number(), now, &mut out),
            8 => {
                let (from, piece) = (source.number(), source.piece());
                if let Some(told) = vote(piece) {
                    election.receive(from, &told, now, &mut out);
                }
            }
            _ => {
                let states = [PeerState::Looking, PeerState::Following, PeerState::Leading, PeerState::Observing];
                let (from, state) = (source.number(), states[usize::from(source.byte() % 4)]);
                let vote = Vote {
                    leader: source.number(),
                    zxid: Zxid(source.number()),
                    round: source.number(),
                    epoch: source.number(),
                };
                let text = TEXTS[usize::from(source.byte()) % TEXTS.len()];
                election.receive(from, &Notification::new(state, vote, text), now, &mut out);
            }
        }
        assert!(out.len() <= 80, "{} outputs of one step", out.len());
        for output in &out {
            match output {
                Output::Send(to, told) => {
                    assert_ne!(*to, me);
                    assert!(told.encode().len() < 1000);
                }
                Output::Decided(state, vote) => {
                    assert!(searching || vote.leader == me, "decided twice");
                    assert!(election.membership().is_voter(vote.leader));
                    assert_eq!(*state, election.state());
                    assert_eq!(*state == PeerState::Leading, vote.leader == me);
                    assert!(election.deadline_ms().is_none());
                }
                Output::Newer(_, ensemble) => assert!(ensemble.voters().next().is_some()),
                Output::Differs(_, why) => assert!(!why.is_empty()),
                Output::Deserted(_) => assert_eq!(election.state(), PeerState::Leading),
            }
        }
    }
}
