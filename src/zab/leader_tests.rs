use super::*;
use crate::jute::Encode;
use crate::store::Epochs;

const TIMES: Times = Times { tick_ms: 100, init_ms: 1000, sync_ms: 500 };

fn z(epoch: u32, counter: u32) -> Zxid {
    Zxid::new(epoch, counter)
}

fn history(zxids: &[Zxid]) -> History {
    let mut history = History::new(Zxid::ZERO, 500);
    for zxid in zxids {
        history.append(*zxid, Bytes::new()).unwrap();
        history.synced(*zxid);
    }
    history.fast_forward();
    history
}

/// A leader of voters 1 to 3, with what it put out.
struct Led {
    leader: Leader,
    out: Vec<Output>,
}

impl Led {
    fn new(history: History) -> Led {
        let active = Membership {
            voters: Voters::majority([1, 2, 3]),
            text: Bytes::from_static(b"config"),
            version: 0,
            leads_on: true,
        };
        let mut out = Vec::new();
        let epochs = Epochs { accepted: 1, current: 1 };
        let leader = Leader::new(3, active, Pending::Nothing, history, epochs, TIMES, 0, &mut out);
        Led { leader, out }
    }

    fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }

    fn receive(&mut self, link: LinkId, packet: Packet) {
        self.leader.receive(link, packet, 0, &mut self.out);
    }

    fn greets(&mut self, link: LinkId, member: ServerId, accepted: i64) {
        let mut info = member.to_bytes();
        PROTOCOL.encode(&mut info);
        0i64.encode(&mut info);
        self.leader.opened(link, 0);
        self.receive(link, Packet::with(kind::FOLLOWERINFO, Zxid(accepted << 32), info));
    }

    fn accepts(&mut self, link: LinkId, current: i32, last: Zxid) {
        self.receive(link, Packet::with(kind::ACKEPOCH, last, current.to_bytes()));
    }

    fn ack(&mut self, link: LinkId, zxid: Zxid) {
        self.receive(link, Packet::bare(kind::ACK, zxid));
    }

    fn propose(&mut self, zxid: Zxid) {
        self.leader.propose(zxid, Bytes::from_static(b"record"), None, 0, &mut self.out);
    }

    fn packets(&mut self, link: LinkId) -> Vec<(i32, Zxid)> {
        let of_link = |output| match output {
            Output::Send { link: to, packet } if to == link => {
                let packet = Packet::decode(&mut (&packet[..]).into(), 1 << 20).unwrap().unwrap();
                Some((packet.kind, packet.zxid))
            }
            _ => None,
        };
        self.take().into_iter().filter_map(of_link).collect()
    }

    /// Member 2 follows by link 7, in step.
    fn serving(history: History, last: Zxid) -> Led {
        let mut led = Led::new(history);
        led.greets(7, 2, 1);
        led.accepts(7, 1, last);
        assert!(led.leader.join(7, last, &mut led.out).is_some());
        led.ack(7, z(2, 0));
        assert!(led.leader.serves());
        led.take();
        led
    }
}

#[test]
fn a_term_begins_step_by_step_and_each_epoch_is_on_disk_before_anybody_hears_of_it() {
    let mut led = Led::new(history(&[z(1, 1), z(1, 2)]));
    assert_eq!(led.take(), [], "one of three is no quorum");
    led.greets(7, 2, 5);
    let told = led.take();
    assert_eq!(told[0], Output::WriteEpoch(EpochFile::Accepted, 6), "one more than anybody has accepted");
    assert!(matches!(&told[..], [_, Output::Send { link: 7, .. }]), "{told:?}");
    led.accepts(7, 1, z(1, 1));
    let agreed = led.take();
    assert_eq!(agreed[0], Output::WriteEpoch(EpochFile::Current, 6));
    assert_eq!(agreed[1..], [Output::Join { link: 7, member: 2, peer: z(1, 1) }]);
    let plan = led.leader.join(7, z(1, 1), &mut led.out);
    assert_eq!(plan, Some(Plan::Diff { from: z(1, 1), to: z(1, 2) }));
    assert_eq!(led.packets(7), [(2, z(1, 2)), (4, z(1, 2)), (10, z(6, 0))]);
    assert!(!led.leader.serves());
    led.ack(7, z(6, 0));
    assert_eq!(led.out[0], Output::Serve { epoch: 6 });
    assert_eq!(led.packets(7), [(kind::UPTODATE, Zxid(-1))]);
}

#[test]
fn a_member_with_more_history_is_refused_while_history_is_decided_and_cut_afterwards() {
    let mut led = Led::new(history(&[z(1, 1)]));
    led.greets(7, 2, 1);
    led.accepts(7, 1, z(1, 2));
    assert!(matches!(led.take().last(), Some(Output::Close { link: 7, .. })));
    let mut led = Led::serving(history(&[z(1, 1)]), z(1, 1));
    led.greets(8, 1, 1);
    led.accepts(8, 1, z(1, 2));
    assert_eq!(led.leader.join(8, z(1, 2), &mut led.out), Some(Plan::Trunc(z(1, 1))));
}

#[test]
fn a_server_that_accepted_the_epoch_before_or_lost_its_disk_does_not_decide() {
    for (current, last) in [(-1, z(1, 1)), (0, Zxid(-1))] {
        let mut led = Led::new(history(&[z(1, 1)]));
        led.greets(7, 2, 1);
        led.accepts(7, current, last);
        assert!(!led.take().iter().any(|output| matches!(output, Output::Join { .. })), "{current}");
    }
}

#[test]
fn what_others_had_while_this_disk_lagged_behind_counts_only_as_long_as_they_have_it() {
    let mut led = Led::serving(history(&[z(1, 1)]), z(1, 1));
    led.greets(8, 1, 1);
    led.accepts(8, 1, z(1, 1));
    assert!(led.leader.join(8, z(1, 1), &mut led.out).is_some());
    led.ack(8, z(2, 0));
    led.propose(z(2, 1));
    led.ack(7, z(2, 1));
    led.ack(8, z(2, 1));
    for (link, member) in [(9, 2), (10, 1)] {
        led.greets(link, member, 2);
        led.accepts(link, -1, z(2, 1));
        assert_eq!(led.leader.join(link, z(2, 1), &mut led.out), Some(Plan::Trunc(z(1, 1))));
    }
    led.take();
    led.leader.logged(z(2, 1), &mut led.out);
    assert_eq!(led.take(), [], "both were told to take it back");
}

#[test]
fn a_term_ends_for_a_voter_that_has_accepted_a_later_one() {
    let mut led = Led::serving(history(&[z(1, 1)]), z(1, 1));
    led.greets(8, 9, 3);
    assert!(!led.take().iter().any(|output| matches!(output, Output::End(_))), "it does not vote");
    led.greets(8, 1, 3);
    assert!(matches!(led.take().last(), Some(Output::End(_))));
}

#[test]
fn commits_need_this_disk_and_a_quorum_and_keep_their_order() {
    let mut led = Led::serving(history(&[z(1, 1)]), z(1, 1));
    led.propose(z(2, 1));
    led.propose(z(2, 2));
    assert_eq!(led.packets(7), [(2, z(2, 1)), (2, z(2, 2))]);
    led.ack(7, z(2, 2));
    assert_eq!(led.take(), [], "a quorum has it, with this server's log only");
    led.leader.logged(z(2, 1), &mut led.out);
    assert_eq!(led.out.last(), Some(&Output::Apply(z(2, 1))));
    assert_eq!(led.packets(7), [(4, z(2, 1))]);
    led.leader.logged(z(2, 2), &mut led.out);
    assert_eq!(led.packets(7), [(4, z(2, 2))]);
}

#[test]
fn what_a_member_acknowledged_by_an_older_connection_counts_no_more() {
    let mut led = Led::serving(history(&[z(1, 1)]), z(1, 1));
    led.propose(z(2, 1));
    led.ack(7, z(2, 1));
    // It lost its disk, and comes again.
    led.greets(8, 2, 2);
    assert!(led.take().contains(&Output::Close { link: 7, why: "member 2 has connected again".into() }));
    led.leader.logged(z(2, 1), &mut led.out);
    assert_eq!(led.take(), []);
    led.accepts(8, -1, z(1, 1));
    led.leader.join(8, z(1, 1), &mut led.out).unwrap();
    assert_eq!(led.packets(8).last(), Some(&(10, z(2, 0))));
    led.ack(8, z(2, 0));
    assert_eq!(led.packets(8), [(kind::UPTODATE, Zxid(-1))], "in step, and the proposal is not on its disk yet");
    led.ack(8, z(2, 1));
    assert_eq!(led.packets(8), [(4, z(2, 1))]);
}

#[test]
fn the_last_epoch_of_all_is_not_believed() {
    let mut led = Led::new(history(&[z(1, 1)]));
    led.greets(7, 2, i64::from(i32::MAX));
    assert!(matches!(led.take()[..], [Output::Close { link: 7, .. }]), "and no epoch is written");
}

#[test]
fn an_acknowledgement_of_what_was_never_proposed_ends_the_link() {
    let mut led = Led::serving(history(&[z(1, 1)]), z(1, 1));
    led.propose(z(2, 1));
    led.ack(7, z(2, 2));
    assert!(matches!(led.take().last(), Some(Output::Close { link: 7, .. })));
}

#[test]
fn a_leader_without_followers_steps_down_and_a_silent_follower_is_cut_off() {
    let mut led = Led::serving(history(&[z(1, 1)]), z(1, 1));
    led.leader.tick(499, &mut led.out);
    assert!(!led.take().iter().any(|output| matches!(output, Output::Close { .. } | Output::End(_))));
    led.leader.tick(500, &mut led.out);
    assert!(led.out.iter().any(|output| matches!(output, Output::Close { link: 7, .. })), "{:?}", led.out);
    led.leader.tick(600, &mut led.out);
    assert!(matches!(led.out.last(), Some(Output::End(_))), "{:?}", led.out);
}

#[test]
fn a_reconfiguration_needs_a_quorum_of_both_and_names_who_leads_on() {
    let mut led = Led::serving(history(&[z(1, 1)]), z(1, 1));
    let next = Membership {
        voters: Voters::majority([1, 2]),
        text: Bytes::from_static(b"next"),
        version: z(2, 1).0,
        leads_on: false,
    };
    led.leader.propose(z(2, 1), Bytes::from_static(b"reconfig"), Some(next), 0, &mut led.out);
    led.leader.logged(z(2, 1), &mut led.out);
    led.ack(7, z(2, 1));
    assert_eq!(led.packets(7), [(2, z(2, 1))], "a quorum of the old ones, one of the two new ones");
    led.greets(8, 1, 1);
    led.accepts(8, 1, z(1, 1));
    led.leader.join(8, z(1, 1), &mut led.out).unwrap();
    led.ack(8, z(2, 0));
    led.take();
    led.ack(8, z(2, 1));
    let activate = Output::Activate { text: Some(Bytes::from_static(b"next")), leader: Some(2) };
    assert!(led.out.contains(&activate), "{:?}", led.out);
    assert_eq!(led.packets(7), [(kind::COMMITANDACTIVATE, z(2, 1))]);
    // From here on another commits; the learners hear of it before this one goes.
    led.propose(z(2, 2));
    led.leader.logged(z(2, 2), &mut led.out);
    led.ack(7, z(2, 2));
    led.ack(8, z(2, 2));
    assert_eq!(led.packets(7), [(kind::PROPOSAL, z(2, 2))], "nothing is committed any more");
    led.leader.tick(1, &mut led.out);
    assert!(!led.take().iter().any(|output| matches!(output, Output::End(_))));
    led.leader.closed(7);
    led.leader.closed(8);
    led.leader.tick(2, &mut led.out);
    assert_eq!(led.out.pop(), Some(Output::End("another leads on".into())));
}

const MEMBERS: &str = "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:participant\n";

#[test]
fn the_first_leader_gives_the_configuration_the_version_of_its_epoch() {
    let text = |version: &str| Bytes::from(format!("{MEMBERS}version={version}"));
    let active = Membership { voters: Voters::majority([1, 2, 3]), text: text("0"), version: 0, leads_on: true };
    let mut out = Vec::new();
    let epochs = Epochs { accepted: 1, current: 1 };
    let leader = Leader::new(3, active, Pending::Unversioned, history(&[z(1, 1)]), epochs, TIMES, 0, &mut out);
    let mut led = Led { leader, out };
    led.greets(7, 2, 1);
    assert!(led.take().contains(&Output::Seen(text("200000000"))));
    led.accepts(7, 1, z(1, 1));
    led.leader.join(7, z(1, 1), &mut led.out).unwrap();
    let told = Packet::with(kind::NEWLEADER, z(2, 0), text("200000000")).encode();
    assert!(led.take().contains(&Output::Send { link: 7, packet: told }));
    led.ack(7, z(2, 0));
    let activate = Output::Activate { text: Some(text("200000000")), leader: Some(3) };
    let order: Vec<_> = led.out.iter().filter(|output| !matches!(output, Output::Send { .. })).collect();
    assert_eq!(order, [&activate, &Output::Serve { epoch: 2 }]);
    assert!(!led.leader.reconfigures());
}

#[test]
fn what_an_earlier_leader_proposed_becomes_active_with_a_quorum_of_both() {
    let active = Membership {
        voters: Voters::majority([1, 2, 3]),
        text: Bytes::from_static(b"config"),
        version: 1,
        leads_on: true,
    };
    let next = Membership {
        voters: Voters::majority([3, 4, 5]),
        text: Bytes::from_static(b"next"),
        version: 2,
        leads_on: true,
    };
    let mut out = Vec::new();
    let epochs = Epochs { accepted: 1, current: 1 };
    let leader = Leader::new(3, active, Pending::Proposed(next), history(&[z(1, 1)]), epochs, TIMES, 0, &mut out);
    let mut led = Led { leader, out };
    for (link, member) in [(7, 2), (8, 4)] {
        led.greets(link, member, 1);
        led.accepts(link, 1, z(1, 1));
        led.leader.join(link, z(1, 1), &mut led.out).unwrap();
        assert!(!led.leader.serves());
        led.ack(link, z(2, 0));
    }
    assert!(led.leader.serves());
    assert!(led.out.contains(&Output::Activate { text: Some(Bytes::from_static(b"next")), leader: Some(3) }));
}

#[test]
fn an_observer_is_informed_and_never_counts() {
    let mut led = Led::new(history(&[z(1, 1)]));
    let mut info = 9i64.to_bytes();
    PROTOCOL.encode(&mut info);
    0i64.encode(&mut info);
    led.leader.opened(9, 0);
    led.receive(9, Packet::with(kind::OBSERVERINFO, Zxid::ZERO, info));
    assert_eq!(led.take(), [], "an observer makes no quorum");
    led.greets(7, 2, 1);
    led.accepts(7, 1, z(1, 1));
    led.accepts(9, 0, z(1, 1));
    led.leader.join(7, z(1, 1), &mut led.out).unwrap();
    led.leader.join(9, z(1, 1), &mut led.out).unwrap();
    led.ack(9, z(2, 0));
    assert!(!led.leader.serves());
    led.ack(7, z(2, 0));
    assert!(led.leader.serves());
    assert_eq!(led.leader.in_step().collect::<Vec<_>>(), [3, 2], "a configuration cannot be built on an observer");
    led.take();
    led.propose(z(2, 1));
    led.leader.logged(z(2, 1), &mut led.out);
    led.ack(7, z(2, 1));
    assert_eq!(led.packets(9), [(kind::INFORM, z(2, 1))]);
}

#[test]
fn a_sync_is_answered_behind_what_was_proposed_before_it() {
    let mut led = Led::serving(history(&[z(1, 1)]), z(1, 1));
    let mut request = 5i64.to_bytes();
    1i32.encode(&mut request);
    crate::proto::OpCode::SYNC.0.encode(&mut request);
    led.propose(z(2, 1));
    led.receive(7, Packet::with(kind::REQUEST, Zxid(-1), request.clone()));
    assert_eq!(led.packets(7), [(2, z(2, 1))]);
    led.ack(7, z(2, 1));
    led.leader.logged(z(2, 1), &mut led.out);
    assert_eq!(led.packets(7), [(4, z(2, 1)), (kind::SYNC, Zxid(0))]);
    led.receive(7, Packet::with(kind::REQUEST, Zxid(-1), request));
    assert_eq!(led.packets(7), [(kind::SYNC, Zxid(0))]);
}

#[test]
fn alone_a_leader_commits_what_it_has_on_disk() {
    let mut out = Vec::new();
    let mut leader = Leader::alone(1, Zxid(5));
    leader.propose(Zxid(6), Bytes::new(), None, 0, &mut out);
    leader.propose(Zxid(7), Bytes::new(), None, 0, &mut out);
    leader.logged(Zxid(6), &mut out);
    assert_eq!(out, [Output::Apply(Zxid(6))]);
    assert_eq!(leader.history().pending().len(), 1);
}

#[test]
fn a_leader_without_an_epoch_gives_up_when_a_voter_looks_for_another_and_one_with_an_epoch_does_not() {
    let mut led = Led::new(history(&[z(1, 1)]));
    led.leader.deserted(300, 300, &mut led.out);
    assert!(!led.take().iter().any(|output| matches!(output, Output::End(_))), "not yet");
    led.leader.deserted(300, 301, &mut led.out);
    assert!(led.take().iter().any(|output| matches!(output, Output::End(_))));
    let mut led = Led::serving(history(&[z(1, 1)]), z(1, 1));
    led.leader.deserted(300, 900, &mut led.out);
    assert!(!led.take().iter().any(|output| matches!(output, Output::End(_))));
}
