//! Whole elections, message by message.

use super::election::{Election, Output};
use super::notification::{Notification, PeerState, Vote};
use super::voters::Voters;
use crate::proto::Zxid;
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

fn election(me: i64, voters: &[i64]) -> Election {
    Election::new(me, Voters::majority(voters.iter().copied()), "server.1=a:1:1:participant\nversion=0".into())
}

fn told(state: PeerState, leader: i64, zxid: i64, round: i64, epoch: i64) -> Notification {
    Notification::new(state, Vote { leader, zxid: Zxid(zxid), round, epoch }, "")
}

fn decided(out: &[Output]) -> Option<(PeerState, i64)> {
    out.iter().find_map(|output| match output {
        Output::Decided(state, vote) => Some((*state, vote.leader)),
        Output::Send(..) => None,
    })
}

fn sent(out: &[Output]) -> Vec<(i64, PeerState, i64)> {
    let one = |output: &Output| match output {
        Output::Send(to, told) => Some((*to, told.state, told.vote.leader)),
        Output::Decided(..) => None,
    };
    out.iter().filter_map(one).collect()
}

#[test]
fn the_only_voter_elects_itself() {
    let (mut one, mut out) = (election(1, &[1]), Vec::new());
    one.look(Zxid(7), 1, 0, &mut out);
    one.tick(one.deadline_ms().unwrap(), &mut out);
    assert_eq!(decided(&out), Some((PeerState::Leading, 1)));
}

#[test]
fn a_better_vote_is_adopted_told_and_decided_after_the_wait() {
    let (mut one, mut out) = (election(1, &[1, 2, 3]), Vec::new());
    one.look(Zxid(7), 1, 0, &mut out);
    assert_eq!(sent(&out), [(2, PeerState::Looking, 1), (3, PeerState::Looking, 1)]);
    out.clear();
    one.receive(2, &told(PeerState::Looking, 2, 7, 1, 1), 10, &mut out);
    assert_eq!(sent(&out), [(2, PeerState::Looking, 2), (3, PeerState::Looking, 2)]);
    out.clear();
    one.tick(209, &mut out);
    assert_eq!(decided(&out), None, "somebody better may still speak");
    one.receive(3, &told(PeerState::Looking, 3, 8, 1, 1), 205, &mut out);
    one.tick(405, &mut out);
    assert_eq!(decided(&out), Some((PeerState::Following, 3)));
}

#[test]
fn a_longer_log_beats_an_id_and_a_later_epoch_beats_both() {
    let rows = [((1, 9), (2, 8), 1), ((1, 9), (2, 9), 2), ((1, 0x1_0000_0000), (2, 0x9), 1)];
    for ((one_id, one_zxid), (two_id, two_zxid), leader) in rows {
        let (mut one, mut out) = (election(one_id, &[1, 2]), Vec::new());
        one.look(Zxid(one_zxid), one_zxid >> 32, 0, &mut out);
        one.receive(two_id, &told(PeerState::Looking, two_id, two_zxid, 1, two_zxid >> 32), 1, &mut out);
        one.receive(two_id, &told(PeerState::Looking, leader, one_zxid.max(two_zxid), 1, one_zxid >> 32), 1, &mut out);
        one.tick(201, &mut out);
        assert_eq!(decided(&out).map(|(_, leader)| leader), Some(leader));
    }
}

#[test]
fn who_is_behind_in_rounds_is_told_and_who_is_ahead_is_followed() {
    let (mut one, mut out) = (election(1, &[1, 2, 3]), Vec::new());
    one.look(Zxid(7), 1, 0, &mut out);
    one.look(Zxid(7), 1, 0, &mut out);
    out.clear();
    one.receive(2, &told(PeerState::Looking, 2, 7, 1, 1), 1, &mut out);
    assert_eq!(sent(&out), [(2, PeerState::Looking, 1)]);
    out.clear();
    one.receive(2, &told(PeerState::Looking, 1, 7, 5, 1), 2, &mut out);
    assert_eq!(one.vote().round, 5);
    one.tick(202, &mut out);
    assert_eq!(decided(&out), Some((PeerState::Leading, 1)));
}

#[test]
fn a_quorum_that_has_a_leader_is_joined_whatever_round_and_zxid_it_kept() {
    let (mut one, mut out) = (election(1, &[1, 2, 3]), Vec::new());
    one.look(Zxid(0x4_0000_0007), 4, 0, &mut out);
    one.receive(2, &told(PeerState::Following, 3, 0, 9, 4), 1, &mut out);
    assert_eq!(decided(&out), None);
    one.receive(3, &told(PeerState::Leading, 3, 5, 8, 4), 2, &mut out);
    assert_eq!(decided(&out), Some((PeerState::Following, 3)));
}

#[test]
fn ones_own_vote_counts_when_the_others_settled_on_it_first() {
    // Two of five are down; the vote of 5 itself, still looking, was lost on the way.
    let (mut one, mut out) = (election(1, &[1, 2, 3, 4, 5]), Vec::new());
    one.look(Zxid(7), 1, 0, &mut out);
    one.receive(2, &told(PeerState::Looking, 5, 7, 1, 1), 1, &mut out);
    one.receive(2, &told(PeerState::Following, 5, 7, 1, 1), 2, &mut out);
    assert_eq!(decided(&out), None, "5 has not said yet that it leads");
    one.receive(5, &told(PeerState::Leading, 5, 7, 1, 1), 3, &mut out);
    assert_eq!(decided(&out), Some((PeerState::Following, 5)));
    // In another round it does not count.
    let (mut one, mut out) = (election(1, &[1, 2, 3, 4, 5]), Vec::new());
    one.look(Zxid(7), 1, 0, &mut out);
    one.receive(2, &told(PeerState::Looking, 5, 7, 1, 1), 1, &mut out);
    one.receive(2, &told(PeerState::Following, 5, 7, 4, 1), 2, &mut out);
    one.receive(5, &told(PeerState::Leading, 5, 7, 4, 1), 3, &mut out);
    assert_eq!(decided(&out), None);
}

#[test]
fn company_after_a_long_wait_brings_the_deadline_forward() {
    let (mut one, mut out) = (election(1, &[1, 2, 3]), Vec::new());
    one.look(Zxid(7), 1, 0, &mut out);
    let mut now = 0;
    while one.deadline_ms().unwrap() - now < 60_000 {
        now = one.deadline_ms().unwrap();
        one.tick(now, &mut out);
    }
    one.receive(2, &told(PeerState::Looking, 2, 7, 1, 1), now + 5, &mut out);
    assert_eq!(one.deadline_ms(), Some(now + 205));
}

#[test]
fn followers_alone_do_not_make_a_leader_that_is_gone() {
    let (mut one, mut out) = (election(1, &[1, 2, 3, 4, 5]), Vec::new());
    one.look(Zxid(7), 1, 0, &mut out);
    for follower in [2, 3, 4] {
        one.receive(follower, &told(PeerState::Following, 5, 7, 1, 1), 1, &mut out);
    }
    assert_eq!(decided(&out), None);
}

#[test]
fn who_has_a_leader_says_so_to_those_that_look_and_to_observers() {
    let (mut one, mut out) = (election(1, &[1]), Vec::new());
    one.look(Zxid(7), 1, 0, &mut out);
    one.tick(200, &mut out);
    one.set_epoch(2);
    out.clear();
    one.receive(9, &told(PeerState::Looking, i64::MIN, i64::MIN, 1, i64::MIN), 300, &mut out);
    let Output::Send(9, answer) = &out[0] else { panic!("{out:?}") };
    assert_eq!((answer.state, answer.vote.epoch, answer.vote.leader), (PeerState::Leading, 2, 1));
}

#[test]
fn an_observer_follows_without_a_voice() {
    let (mut nine, mut out) = (election(9, &[1, 2, 3]), Vec::new());
    nine.look(Zxid(7), 1, 0, &mut out);
    assert_eq!(sent(&out).len(), 3);
    nine.receive(1, &told(PeerState::Following, 2, 0, 1, 1), 1, &mut out);
    nine.receive(2, &told(PeerState::Leading, 2, 0, 1, 1), 1, &mut out);
    assert_eq!(decided(&out), Some((PeerState::Observing, 2)));
}

#[test]
fn an_uninitialized_database_waits_for_those_that_know_something() {
    let (mut one, mut out) = (election(1, &[1, 2, 3]), Vec::new());
    one.look(Zxid(-1), 0, 0, &mut out);
    one.receive(2, &told(PeerState::Looking, 2, 5, 1, 0), 1, &mut out);
    one.receive(3, &told(PeerState::Looking, 2, 5, 1, 0), 1, &mut out);
    one.tick(500, &mut out);
    assert_eq!(decided(&out), None);
    one.receive(2, &told(PeerState::Leading, 2, 5, 1, 1), 600, &mut out);
    one.receive(3, &told(PeerState::Following, 2, 5, 1, 1), 600, &mut out);
    assert_eq!(decided(&out), Some((PeerState::Following, 2)));
}

proptest! {
    /// Messages arrive in any order between pairs that keep theirs: all decide, and for the best log.
    #[test]
    fn all_servers_decide_for_the_best(
        logs in prop::collection::vec((0i64..3, 0i64..4), 1..6),
        picks in prop::collection::vec(any::<usize>(), 400),
    ) {
        let ids: Vec<i64> = (1..=logs.len() as i64).collect();
        let mut servers: Vec<Election> = ids.iter().map(|id| election(*id, &ids)).collect();
        let mut wires: BTreeMap<(i64, i64), VecDeque<Notification>> = BTreeMap::new();
        let mut decisions = BTreeMap::new();
        let mut deliver = |from: i64, out: Vec<Output>, wires: &mut BTreeMap<_, VecDeque<_>>| {
            for output in out {
                match output {
                    Output::Send(to, told) => wires.entry((from, to)).or_default().push_back(told),
                    Output::Decided(_, vote) => { decisions.insert(from, vote.leader); }
                }
            }
        };
        for (id, (epoch, counter)) in ids.iter().zip(&logs) {
            let mut out = Vec::new();
            servers[*id as usize - 1].look(Zxid((epoch << 32) | counter), *epoch, 0, &mut out);
            deliver(*id, out, &mut wires);
        }
        let mut now = 0;
        let mut picks = picks.into_iter().cycle();
        for _ in 0..10_000 {
            wires.retain(|_, wire| !wire.is_empty());
            let mut out = Vec::new();
            let id = if wires.is_empty() {
                // Nothing on its way: time goes on, to the next deadline.
                let Some((at, next)) =
                    servers.iter().enumerate().filter_map(|(at, s)| Some((at, s.deadline_ms()?))).min_by_key(|d| d.1)
                else { break };
                now = next.max(now);
                servers[at].tick(now, &mut out);
                at as i64 + 1
            } else {
                let nth = picks.next().unwrap_or(0) % wires.len();
                let ((from, to), wire) = wires.iter_mut().nth(nth).unwrap();
                let told = wire.pop_front().unwrap();
                servers[*to as usize - 1].receive(*from, &told, now, &mut out);
                *to
            };
            deliver(id, out, &mut wires);
        }
        let best = ids.iter().zip(&logs).map(|(id, log)| (log, id)).max().map(|(_, id)| *id);
        prop_assert_eq!(decisions.len(), ids.len());
        prop_assert!(decisions.values().all(|leader| Some(*leader) == best), "{:?} of {:?}", decisions, logs);
    }
}
