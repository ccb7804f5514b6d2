use super::*;
use crate::jute::Encode;
use crate::proto::OpCode;
use crate::proto::txn::{Txn, TxnHeader, TxnRecord};
use crate::store::Epochs;

const TIMES: Times = Times { tick_ms: 100, init_ms: 1000, sync_ms: 500 };

fn z(epoch: u32, counter: u32) -> Zxid {
    Zxid::new(epoch, counter)
}

fn record(zxid: Zxid) -> Bytes {
    let header = TxnHeader { client_id: 1, cxid: 0, zxid: zxid.0, time_ms: 0, op: OpCode::ERROR.0 };
    let record = TxnRecord { header, txn: Txn::Error { err: -101 }, digest: None };
    let mut out = Vec::new();
    record.encode(&mut out);
    out.into()
}

/// A follower whose log ends at 1:1, in the epoch 1.
struct Follower {
    learner: Learner,
    out: Vec<Output>,
}

impl Follower {
    fn new(observer: bool) -> Self {
        let mut history = History::new(z(1, 0), 500);
        history.append(z(1, 1), record(z(1, 1))).unwrap();
        history.synced(z(1, 1));
        history.fast_forward();
        let (epochs, mut out) = (Epochs { accepted: 1, current: 1 }, Vec::new());
        let learner = Learner::new(4, observer, 0, history, epochs, TIMES, 0, &mut out);
        Follower { learner, out }
    }

    fn receive(&mut self, what: i32, zxid: Zxid, data: Option<Bytes>) -> Result<(), Violation> {
        self.learner.receive(Packet { kind: what, zxid, data, ids: None }, 0, &mut self.out)
    }

    fn propose(&mut self, zxid: Zxid) -> Result<(), Violation> {
        self.receive(kind::PROPOSAL, zxid, Some(record(zxid)))
    }

    fn logged(&mut self, zxid: Zxid) {
        self.learner.logged(zxid, 0, &mut self.out);
    }

    /// What was put out, packets by type and zxid.
    fn take(&mut self) -> Vec<String> {
        let shown = |output| match output {
            Output::Send { link, packet } => {
                let packet = Packet::decode(&mut (&packet[..]).into(), 1 << 20).unwrap().unwrap();
                let to = if link == LEADER { String::new() } else { format!(" to {link}") };
                format!("send {} {}{to}", packet.kind, packet.zxid)
            }
            Output::Append { zxid, .. } => format!("append {zxid}"),
            other => format!("{other:?}"),
        };
        std::mem::take(&mut self.out).into_iter().map(shown).collect()
    }

    /// Observer 9 says something by connection 7.
    fn hear(&mut self, what: i32, zxid: Zxid, data: Option<Vec<u8>>) {
        let packet = Packet { kind: what, zxid, data: data.map(Bytes::from), ids: None };
        self.learner.receive_of(7, packet, 5, 0, &mut self.out);
    }

    fn greeting(member: ServerId, version: i64) -> Option<Vec<u8>> {
        Some([&member.to_bytes()[..], &PROTOCOL.to_bytes(), &version.to_bytes()].concat())
    }

    /// With an observer whose log ends at 1:1.
    fn observed() -> Self {
        let mut follower = Follower::serving();
        follower.learner.observer_opened(7, 0, &mut follower.out);
        follower.hear(kind::OBSERVERINFO, z(1, 0), Follower::greeting(9, 5));
        follower.hear(kind::ACKEPOCH, z(1, 1), Some(1i32.to_bytes()));
        follower.learner.join_observer(7, z(1, 1), Bytes::from_static(b"config"), &mut follower.out);
        follower.hear(kind::ACK, z(2, 0), None);
        follower.take();
        follower
    }

    fn synchronizing() -> Self {
        let mut follower = Follower::new(false);
        follower.receive(kind::LEADERINFO, z(2, 0), Some(PROTOCOL.to_bytes().into())).unwrap();
        follower.receive(kind::DIFF, z(1, 1), None).unwrap();
        follower.take();
        follower
    }

    fn serving() -> Self {
        let mut follower = Follower::synchronizing();
        follower.receive(kind::NEWLEADER, z(2, 0), None).unwrap();
        follower.receive(kind::UPTODATE, Zxid(-1), None).unwrap();
        follower.take();
        follower
    }
}

#[test]
fn the_epoch_is_promised_on_disk_before_the_answer_and_once_only() {
    let mut follower = Follower::new(false);
    assert_eq!(follower.take(), ["send 11 0x100000000"]);
    follower.receive(kind::LEADERINFO, z(2, 0), None).unwrap();
    assert_eq!(follower.take(), ["WriteEpoch(Accepted, 2)", "send 18 0x100000001"]);
    let mut again = Follower::new(true);
    assert_eq!(again.take(), ["send 16 0x100000000"]);
    again.receive(kind::LEADERINFO, z(1, 0), None).unwrap();
    let Some(Output::Send { packet, .. }) = again.out.first() else { panic!("{:?}", again.out) };
    assert_eq!(packet[16..20], (-1i32).to_be_bytes(), "it was accepted before");
    assert!(Follower::new(false).receive(kind::LEADERINFO, z(0, 0), None).is_err(), "an older epoch");
}

#[test]
fn at_newleader_the_log_comes_first_then_the_epoch_then_the_answer() {
    let mut follower = Follower::synchronizing();
    for zxid in [z(1, 2), z(1, 3), z(1, 4)] {
        follower.propose(zxid).unwrap();
    }
    follower.receive(kind::COMMIT, z(1, 2), None).unwrap();
    follower.receive(kind::COMMIT, z(1, 3), None).unwrap();
    follower.receive(kind::NEWLEADER, z(2, 0), None).unwrap();
    assert_eq!(follower.take(), ["append 0x100000002", "append 0x100000003", "Flush"]);
    follower.logged(z(1, 2));
    assert_eq!(follower.take(), ["Apply(Zxid(0x100000002))"]);
    follower.logged(z(1, 3));
    let order = ["Apply(Zxid(0x100000003))", "WriteEpoch(Current, 2)", "send 3 0x200000000"];
    assert_eq!(follower.take(), order, "and no ACK of a proposal");
    follower.receive(kind::COMMIT, z(1, 4), None).unwrap();
    assert_eq!(follower.take(), Vec::<String>::new(), "not before the others have it too");
    follower.receive(kind::UPTODATE, Zxid(-1), None).unwrap();
    // A copy may hold parts of what was committed meanwhile: clients see it once it is whole.
    assert_eq!(follower.take(), ["send 3 0x200000000", "append 0x100000004"]);
    follower.logged(z(1, 4));
    assert_eq!(follower.take(), ["send 3 0x100000004", "Apply(Zxid(0x100000004))", "Serve { epoch: 2 }"]);
}

#[test]
fn a_log_never_runs_ahead_of_its_epoch() {
    let mut follower = Follower::synchronizing();
    for zxid in [z(1, 2), z(2, 1)] {
        follower.propose(zxid).unwrap();
        follower.receive(kind::COMMIT, zxid, None).unwrap();
    }
    assert_eq!(follower.take(), ["append 0x100000002"]);
    follower.receive(kind::NEWLEADER, z(2, 0), None).unwrap();
    assert_eq!(follower.take(), ["append 0x200000001", "Flush"]);
}

#[test]
fn proposals_are_acknowledged_from_disk_and_applied_when_committed() {
    let mut follower = Follower::serving();
    for zxid in [z(2, 1), z(2, 2), z(2, 3)] {
        follower.propose(zxid).unwrap();
    }
    follower.receive(kind::COMMIT, z(2, 1), None).unwrap();
    assert_eq!(follower.take(), ["append 0x200000001", "append 0x200000002", "append 0x200000003"]);
    follower.logged(z(2, 2));
    assert_eq!(follower.take(), ["send 3 0x200000001", "send 3 0x200000002", "Apply(Zxid(0x200000001))"]);
    follower.receive(kind::COMMIT, z(2, 2), None).unwrap();
    assert_eq!(follower.take(), ["Apply(Zxid(0x200000002))"]);
    assert!(follower.receive(kind::COMMIT, z(2, 4), None).is_err(), "not the next");
}

#[test]
fn holes_and_lies_end_the_term_in_every_phase() {
    assert!(Follower::synchronizing().propose(z(1, 3)).is_err(), "a hole");
    assert!(Follower::synchronizing().propose(z(2, 2)).is_err(), "an epoch begins with 1");
    assert!(Follower::synchronizing().receive(kind::COMMIT, z(1, 2), None).is_err(), "nothing was proposed");
    assert!(Follower::synchronizing().receive(kind::UPTODATE, Zxid(-1), None).is_err(), "no NEWLEADER before");
    assert!(Follower::synchronizing().receive(kind::NEWLEADER, z(3, 0), None).is_err(), "another epoch");
    assert!(Follower::synchronizing().receive(kind::PROPOSAL, z(1, 2), Some(record(z(1, 3)))).is_err());
    assert!(Follower::serving().propose(z(2, 2)).is_err(), "a hole");
    assert!(Follower::serving().receive(kind::PROPOSAL, z(2, 1), Some(Bytes::from_static(b"x"))).is_err());
    assert!(Follower::new(false).receive(kind::DIFF, Zxid::ZERO, None).is_err(), "no epoch yet");
    for what in [kind::COMMITANDACTIVATE, kind::INFORMANDACTIVATE] {
        assert!(Follower::serving().receive(what, z(2, 1), Some(Bytes::from_static(b"short"))).is_err());
    }
}

#[test]
fn what_a_copy_holds_already_is_told_once_more() {
    let mut follower = Follower::new(false);
    follower.receive(kind::LEADERINFO, z(2, 0), None).unwrap();
    follower.receive(kind::SNAP, z(1, 8), None).unwrap();
    assert_eq!(follower.out.last(), Some(&Output::Install(z(1, 8))));
    assert!(follower.receive(kind::PROPOSAL, z(1, 9), None).is_err(), "the copy is not there");
    follower.learner.installed(z(1, 8), 0);
    follower.take();
    for zxid in [z(1, 7), z(1, 8), z(1, 9)] {
        follower.propose(zxid).unwrap();
        follower.receive(kind::COMMIT, zxid, None).unwrap();
    }
    assert_eq!(follower.take(), ["append 0x100000009"]);
}

/// What a reconfiguration leaves in the log.
fn reconfiguration(zxid: Zxid, text: &'static str) -> Bytes {
    let header = TxnHeader { client_id: 1, cxid: 0, zxid: zxid.0, time_ms: 0, op: OpCode::RECONFIG.0 };
    let data = Some(text.as_bytes());
    let txn = Txn::SetData { path: Some("/zookeeper/config".into()), data, version: -1 };
    let mut out = Vec::new();
    TxnRecord { header, txn, digest: None }.encode(&mut out);
    out.into()
}

/// The simulator's seed 16: a reconfiguration between the plan and the copy was in the copy and never in force.
#[test]
fn a_reconfiguration_in_a_copy_that_newleader_does_not_tell_of_comes_into_force() {
    for observer in [false, true] {
        let mut follower = Follower::new(observer);
        follower.receive(kind::LEADERINFO, z(2, 0), None).unwrap();
        follower.receive(kind::SNAP, z(2, 5), None).unwrap();
        follower.learner.installed(z(2, 5), 0);
        follower.receive(kind::NEWLEADER, z(2, 0), Some(Bytes::from_static(b"before"))).unwrap();
        let made = reconfiguration(z(2, 4), "in the copy");
        let to_lead = 3i64.to_bytes();
        if observer {
            let with_leader = [&to_lead[..], &made].concat();
            follower.receive(kind::INFORMANDACTIVATE, z(2, 4), Some(with_leader.into())).unwrap();
        } else {
            follower.receive(kind::PROPOSAL, z(2, 4), Some(made)).unwrap();
            follower.receive(kind::COMMITANDACTIVATE, z(2, 4), Some(to_lead.into())).unwrap();
        }
        follower.take();
        follower.receive(kind::UPTODATE, Zxid(-1), None).unwrap();
        let told = follower.take();
        let activated = Output::Activate { text: Some("in the copy".into()), leader: None };
        assert_eq!(told[1], format!("{activated:?}"), "{told:?}");
        // The next one has its own leader.
        let next = reconfiguration(z(2, 6), "next");
        let to_lead = 5i64.to_bytes();
        if observer {
            follower.receive(kind::INFORMANDACTIVATE, z(2, 6), Some([&to_lead[..], &next].concat().into())).unwrap();
        } else {
            follower.receive(kind::PROPOSAL, z(2, 6), Some(next)).unwrap();
            follower.receive(kind::COMMITANDACTIVATE, z(2, 6), Some(to_lead.into())).unwrap();
        }
        follower.logged(z(2, 6));
        let activated = Output::Activate { text: Some("next".into()), leader: Some(5) };
        assert!(follower.take().contains(&format!("{activated:?}")));
    }
}

/// The simulator's seed 866. A leader of the original tells of what is only proposed as if it were in force.
#[test]
fn what_is_only_proposed_comes_into_force_with_its_commit() {
    for (text, in_force) in [
        ("version=200000004", false),
        ("version=200000003", true),
        ("version=200000000", true),
        ("version=100000009", true),
    ] {
        let mut follower = Follower::new(false);
        follower.receive(kind::LEADERINFO, z(2, 0), None).unwrap();
        follower.receive(kind::SNAP, z(2, 3), None).unwrap();
        follower.learner.installed(z(2, 3), 0);
        follower.receive(kind::PROPOSAL, z(2, 4), Some(reconfiguration(z(2, 4), "version=200000004"))).unwrap();
        follower.receive(kind::NEWLEADER, z(2, 0), Some(Bytes::from_static(text.as_bytes()))).unwrap();
        follower.take();
        follower.receive(kind::UPTODATE, Zxid(-1), None).unwrap();
        assert_eq!(follower.take().iter().any(|told| told.starts_with("Activate")), in_force, "{text}");
        follower.logged(z(2, 4));
        follower.receive(kind::COMMITANDACTIVATE, z(2, 4), Some(3i64.to_bytes().into())).unwrap();
        let activated = Output::Activate { text: Some("version=200000004".into()), leader: Some(3) };
        assert_eq!(follower.take().last(), Some(&format!("{activated:?}")));
    }
}

#[test]
fn an_observer_logs_what_it_is_told_and_acknowledges_nothing() {
    let mut observer = Follower::new(true);
    observer.receive(kind::LEADERINFO, z(2, 0), None).unwrap();
    observer.receive(kind::DIFF, z(1, 1), None).unwrap();
    observer.receive(kind::NEWLEADER, z(2, 0), None).unwrap();
    observer.receive(kind::UPTODATE, Zxid(-1), None).unwrap();
    observer.take();
    observer.receive(kind::INFORM, z(2, 1), Some(record(z(2, 1)))).unwrap();
    assert_eq!(observer.take(), ["append 0x200000001"]);
    observer.logged(z(2, 1));
    assert_eq!(observer.take(), ["Apply(Zxid(0x200000001))"]);
}

#[test]
fn who_cannot_take_back_asks_the_same_leader_for_everything_and_a_later_one_for_what_it_lacks() {
    for (epoch, last) in [(1, Zxid(-1)), (2, z(1, 1))] {
        let mut follower = Follower::new(false);
        follower.learner.want_copy();
        follower.take();
        follower.receive(kind::LEADERINFO, z(epoch, 0), None).unwrap();
        let told = follower.take();
        assert_eq!(told.last(), Some(&format!("send {} {last}", kind::ACKEPOCH)));
        assert_eq!(follower.receive(kind::DIFF, z(1, 1), None).is_err(), epoch == 1);
    }
}

#[test]
fn a_silent_leader_is_left() {
    let mut follower = Follower::serving();
    follower.learner.tick(499, &mut follower.out);
    assert_eq!(follower.take(), Vec::<String>::new());
    follower.learner.tick(500, &mut follower.out);
    assert!(matches!(follower.out[..], [Output::End(_)]));
}

#[test]
fn an_observer_gets_in_step_with_a_follower_and_is_told_what_the_leader_has_committed() {
    let mut follower = Follower::serving();
    follower.propose(z(2, 1)).unwrap();
    follower.logged(z(2, 1));
    follower.receive(kind::COMMIT, z(2, 1), None).unwrap();
    for zxid in [z(2, 2), z(2, 3)] {
        follower.propose(zxid).unwrap();
    }
    follower.receive(kind::COMMIT, z(2, 2), None).unwrap();
    follower.take();
    follower.learner.observer_opened(7, 0, &mut follower.out);
    follower.hear(kind::OBSERVERINFO, z(1, 0), Follower::greeting(9, 5));
    assert_eq!(follower.take(), ["send 17 0x200000000 to 7"], "in the leader's epoch, without waiting for anybody");
    follower.hear(kind::ACKEPOCH, z(1, 1), Some(1i32.to_bytes()));
    assert_eq!(follower.take(), ["Join { link: 7, member: 9, peer: Zxid(0x100000001) }"]);
    let plan = follower.learner.join_observer(7, z(1, 1), Bytes::from_static(b"config"), &mut follower.out);
    assert_eq!(plan, Some(Plan::Diff { from: z(1, 1), to: z(2, 1) }));
    // The second is committed, and not on this disk yet; the third is not committed.
    let packets = ["2 0x200000001", "4 0x200000001", "2 0x200000002", "4 0x200000002", "10 0x200000000"];
    assert_eq!(follower.take(), packets.map(|packet| format!("send {packet} to 7")));
    follower.receive(kind::COMMIT, z(2, 3), None).unwrap();
    assert_eq!(follower.take(), ["send 8 0x200000003 to 7"], "behind NEWLEADER, before it has answered");
    follower.hear(kind::ACK, z(2, 0), None);
    assert_eq!(follower.take(), ["send 12 0xffffffffffffffff to 7"]);
    assert_eq!(follower.learner.observers().collect::<Vec<_>>(), [(7, 9)]);
    follower.propose(z(2, 4)).unwrap();
    follower.receive(kind::COMMITANDACTIVATE, z(2, 4), Some(3i64.to_bytes().into())).unwrap();
    let Some(Output::Send { link: 7, packet }) = follower.out.pop() else { panic!("{:?}", follower.out) };
    let packet = Packet::decode(&mut (&packet[..]).into(), 1 << 20).unwrap().unwrap();
    assert_eq!((packet.kind, packet.zxid), (kind::INFORMANDACTIVATE, z(2, 4)));
    assert_eq!(packet.data.unwrap(), [&3i64.to_bytes()[..], &record(z(2, 4))].concat());
}

#[test]
fn what_an_observer_asks_goes_to_the_leader_and_the_answers_come_back() {
    let mut follower = Follower::observed();
    let request = |op: OpCode| Some([&77i64.to_bytes()[..], &1i32.to_bytes(), &op.0.to_bytes(), b"body"].concat());
    follower.hear(kind::REQUEST, Zxid(-1), request(OpCode::CREATE));
    assert_eq!(follower.take(), ["send 1 0xffffffffffffffff"]);
    follower.hear(kind::REQUEST, Zxid(-1), request(OpCode::SYNC));
    assert_eq!(
        follower.take(),
        ["SyncOf(7)", "send 1 0xffffffffffffffff"],
        "it takes its place, then the leader is asked"
    );
    let answer = Bytes::from([&77i64.to_bytes()[..], &[1]].concat());
    follower.hear(kind::REVALIDATE, Zxid(-1), Some([&77i64.to_bytes()[..], &4000i32.to_bytes()].concat()));
    assert_eq!(follower.take(), ["send 6 0xffffffffffffffff"]);
    follower.receive(kind::REVALIDATE, Zxid(-1), Some(answer.clone())).unwrap();
    assert_eq!(follower.take(), ["send 6 0xffffffffffffffff to 7"]);
    follower.receive(kind::REVALIDATE, Zxid(-1), Some(answer)).unwrap();
    assert!(follower.take()[0].starts_with("Revalidated"), "the second is the answer to a client of this server");
    follower.hear(kind::PING, Zxid(0), Some(vec![0; 12]));
    assert!(follower.take()[0].starts_with("Touched"));
}

#[test]
fn strangers_and_silent_ones_are_sent_away_by_a_follower_and_the_term_goes_on() {
    let closed = |out: Vec<String>| out.len() == 1 && out[0].starts_with("Close { link: 7");
    let mut early = Follower::synchronizing();
    early.learner.observer_opened(7, 0, &mut early.out);
    assert!(closed(early.take()), "it does not follow yet");
    for (what, data) in [
        (kind::FOLLOWERINFO, Follower::greeting(9, 5)),
        (kind::OBSERVERINFO, Follower::greeting(9, 6)),
        (kind::OBSERVERINFO, Follower::greeting(4, 5)),
        (kind::OBSERVERINFO, Some(vec![0; 11])),
        (kind::OBSERVERINFO, None),
        (kind::ACKEPOCH, None),
        (kind::REQUEST, None),
    ] {
        let mut follower = Follower::serving();
        follower.learner.observer_opened(7, 0, &mut follower.out);
        follower.hear(what, z(1, 0), data);
        assert!(closed(follower.take()), "packet {what}");
        follower.hear(kind::OBSERVERINFO, z(1, 0), Follower::greeting(9, 5));
        assert!(follower.take().is_empty(), "what comes behind the end is not heard");
    }
    for data in [None, Some(vec![0; 15])] {
        let mut follower = Follower::observed();
        follower.hear(kind::REQUEST, Zxid(-1), data);
        assert!(closed(follower.take()));
        let mut follower = Follower::observed();
        follower.hear(kind::REVALIDATE, Zxid(-1), Some(vec![1; 7]));
        assert!(closed(follower.take()));
    }
    let mut follower = Follower::observed();
    follower.learner.tick(TIMES.sync_ms - 1, &mut follower.out);
    assert_eq!(follower.take(), ["send 5 0x100000001 to 7"], "a ping");
    follower.learner.observer_opened(8, 0, &mut follower.out);
    let again = Packet::with(kind::OBSERVERINFO, z(1, 0), Follower::greeting(9, 5).unwrap());
    follower.learner.receive_of(8, again, 5, 0, &mut follower.out);
    assert!(follower.take()[0].starts_with("Close { link: 7"), "the newest connection of a member is the one");
    follower.learner.tick(TIMES.init_ms, &mut follower.out);
    assert!(follower.take().iter().any(|output| output.starts_with("Close { link: 8")), "it never accepted the epoch");
}
