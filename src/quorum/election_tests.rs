//! Whole elections, message by message.

use super::election::{Election, Output, Pauses};
use super::membership::Membership;
use super::notification::{Notification, PeerState, Vote};
use crate::proto::Zxid;
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

fn membership(text: &str) -> Membership {
    Membership::parse(text.as_bytes()).unwrap()
}

fn election(me: i64, voters: &[i64]) -> Election {
    let lines: Vec<String> = voters.iter().map(|id| format!("server.{id}=a:1:2")).collect();
    Election::new(me, membership(&lines.join("\n")), Pauses::default())
}

fn told(state: PeerState, leader: i64, zxid: i64, round: i64, epoch: i64) -> Notification {
    Notification::new(state, Vote { leader, zxid: Zxid(zxid), round, epoch }, "")
}

fn decided(out: &[Output]) -> Option<(PeerState, i64)> {
    out.iter().find_map(|output| match output {
        Output::Decided(state, vote) => Some((*state, vote.leader)),
        _ => None,
    })
}

fn sent(out: &[Output]) -> Vec<(i64, PeerState, i64)> {
    let one = |output: &Output| match output {
        Output::Send(to, told) => Some((*to, told.state, told.vote.leader)),
        _ => None,
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

/// The simulator's seed 4104: the reconfiguration waited for this server, and it could not come back because of that.
#[test]
fn a_proposed_configuration_keeps_nobody_away_from_a_leader() {
    let lines = |ids: &[i64]| ids.iter().map(|id| format!("server.{id}=a:1:2\n")).collect::<String>();
    let ensemble = |text: String| crate::config::Ensemble::parse_text(&text, false, false).unwrap();
    let next = ensemble(lines(&[1, 4, 5]) + "version=9");
    let membership = Membership::new(ensemble(lines(&[1, 2, 3])), Some(&next));
    let (mut one, mut out) = (Election::new(1, membership, Pauses::default()), Vec::new());
    one.look(Zxid(7), 1, 0, &mut out);
    one.receive(2, &told(PeerState::Following, 3, 7, 4, 1), 1, &mut out);
    one.receive(3, &told(PeerState::Leading, 3, 7, 4, 1), 2, &mut out);
    assert_eq!(decided(&out), Some((PeerState::Following, 3)));
    // Nobody becomes the leader without quorums of both.
    let membership = Membership::new(ensemble(lines(&[1, 2, 3])), Some(&next));
    let (mut three, mut out) = (Election::new(3, membership, Pauses::default()), Vec::new());
    three.look(Zxid(9), 1, 0, &mut out);
    three.receive(1, &told(PeerState::Looking, 3, 9, 1, 1), 1, &mut out);
    three.receive(2, &told(PeerState::Looking, 3, 9, 1, 1), 2, &mut out);
    assert_eq!(three.deadline_ms().map(|at| at > 205), Some(false), "a repetition, no decision");
    three.tick(1000, &mut out);
    assert_eq!(decided(&out), None);
}

/// After the leader's death the better of two followers looked first, was not heard, and was asked again 200 ms later.
#[test]
fn who_begins_to_look_is_told_of_a_better_vote_at_once() {
    let (mut two, mut out) = (election(2, &[1, 2, 3]), Vec::new());
    two.look(Zxid(7), 1, 0, &mut out);
    two.receive(1, &told(PeerState::Following, 3, 6, 1, 1), 1, &mut out);
    out.clear();
    two.receive(1, &told(PeerState::Looking, 1, 7, 1, 1), 5, &mut out);
    assert_eq!(sent(&out), [(1, PeerState::Looking, 2)]);
    out.clear();
    two.receive(1, &told(PeerState::Looking, 1, 7, 1, 1), 6, &mut out);
    assert_eq!(sent(&out), [], "once is enough");
    two.receive(1, &told(PeerState::Looking, 2, 7, 1, 1), 7, &mut out);
    assert_eq!(sent(&out), [], "it agrees");
    two.tick(207, &mut out);
    assert_eq!(decided(&out), Some((PeerState::Leading, 2)));
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
                    other => panic!("{other:?}"),
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

fn grouped() -> &'static str {
    // Two groups that count, and server 7, which weighs nothing.
    "server.1=a:1:2\nserver.2=a:1:2\nserver.3=a:1:2\nserver.4=a:1:2\nserver.5=a:1:2\nserver.6=a:1:2\nserver.7=a:1:2\n\
     group.1=1:2:3\ngroup.2=4:5:6\ngroup.3=7\nweight.7=0"
}

#[test]
fn a_server_that_weighs_nothing_is_never_the_better_candidate_and_never_leads() {
    let (mut one, mut out) = (Election::new(1, membership(grouped()), Pauses::default()), Vec::new());
    one.look(Zxid(7), 1, 0, &mut out);
    one.receive(7, &told(PeerState::Looking, 7, 99, 1, 1), 1, &mut out);
    assert_eq!(one.vote().leader, 1);
    let (mut seven, mut out) = (Election::new(7, membership(grouped()), Pauses::default()), Vec::new());
    seven.look(Zxid(99), 1, 0, &mut out);
    for id in 1..=6 {
        seven.receive(id, &told(PeerState::Looking, 7, 99, 1, 1), 1, &mut out);
    }
    seven.tick(500, &mut out);
    assert_eq!(decided(&out), None);
}

#[test]
fn a_quorum_of_groups_is_one_of_most_groups() {
    let (mut one, mut out) = (Election::new(1, membership(grouped()), Pauses::default()), Vec::new());
    one.look(Zxid(7), 1, 0, &mut out);
    for id in [2, 3, 5, 7] {
        one.receive(id, &told(PeerState::Looking, 1, 7, 1, 1), 1, &mut out);
    }
    one.tick(201, &mut out);
    assert_eq!(decided(&out), None, "of the second group only one");
    one.receive(6, &told(PeerState::Looking, 1, 7, 1, 1), 210, &mut out);
    one.tick(410, &mut out);
    assert_eq!(decided(&out), Some((PeerState::Leading, 1)));
}

#[test]
fn who_asks_while_there_is_no_leader_is_told_as_soon_as_there_is_one() {
    let (mut one, mut out) = (election(1, &[1, 2, 3]), Vec::new());
    one.look(Zxid(7), 1, 0, &mut out);
    out.clear();
    let asks = told(PeerState::Looking, i64::MIN, i64::MIN, 9, i64::MIN);
    one.receive(9, &asks, 1, &mut out);
    assert_eq!(sent(&out), [], "an answer that helps nobody would be answered");
    one.receive(2, &told(PeerState::Looking, 1, 7, 1, 1), 2, &mut out);
    one.tick(202, &mut out);
    assert_eq!(sent(&out), [(9, PeerState::Leading, 1)]);
    // An observer says nothing to voters that are behind it.
    let (mut nine, mut out) = (election(9, &[1, 2, 3]), Vec::new());
    nine.look(Zxid(7), 1, 0, &mut out);
    nine.look(Zxid(7), 1, 0, &mut out);
    out.clear();
    nine.receive(1, &told(PeerState::Looking, 1, 7, 1, 1), 1, &mut out);
    assert_eq!(out, []);
}

#[test]
fn an_observer_may_decide_from_the_votes_of_those_that_look() {
    let (mut nine, mut out) = (election(9, &[1, 2, 3]), Vec::new());
    nine.look(Zxid(7), 1, 0, &mut out);
    nine.receive(1, &told(PeerState::Looking, 2, 7, 1, 1), 1, &mut out);
    nine.receive(2, &told(PeerState::Looking, 2, 7, 1, 1), 2, &mut out);
    nine.tick(202, &mut out);
    assert_eq!(decided(&out), Some((PeerState::Observing, 2)));
}

fn oracled(says: bool) -> (Election, Vec<Output>) {
    let (mut one, mut out) = (election(1, &[1, 2]), Vec::new());
    one.set_oracle(Some(says));
    one.look(Zxid(7), 1, 0, &mut out);
    (one, out)
}

#[test]
fn of_two_voters_the_one_the_oracle_names_leads_alone_and_the_other_follows() {
    let (mut one, mut out) = oracled(true);
    one.tick(199, &mut out);
    assert_eq!(decided(&out), None, "the other may still speak");
    one.tick(200, &mut out);
    assert_eq!(decided(&out), Some((PeerState::Leading, 1)));
    let (mut one, mut out) = oracled(false);
    one.tick(200, &mut out);
    assert_eq!(decided(&out), None);
    one.receive(2, &told(PeerState::Leading, 2, 9, 4, 3), 300, &mut out);
    assert_eq!(decided(&out), Some((PeerState::Following, 2)));
}

#[test]
fn the_oracle_is_not_asked_when_the_other_is_heard_or_more_than_two_vote() {
    let (mut one, mut out) = oracled(true);
    one.receive(2, &told(PeerState::Looking, 2, 9, 1, 1), 100, &mut out);
    one.tick(200, &mut out);
    assert_eq!(decided(&out), None, "the other has more");
    let (mut one, mut out) = (election(1, &[1, 2, 3]), Vec::new());
    one.set_oracle(Some(true));
    one.look(Zxid(7), 1, 0, &mut out);
    one.tick(200, &mut out);
    one.tick(600, &mut out);
    assert_eq!(decided(&out), None);
}

#[test]
fn a_later_configuration_is_handed_out_once_and_taking_it_up_begins_anew() {
    let (mut one, mut out) = (election(1, &[1, 2, 3]), Vec::new());
    one.look(Zxid(7), 1, 0, &mut out);
    out.clear();
    let text = "server.1=a:1:2:participant\nserver.2=a:1:2:participant\nversion=100000005";
    let later = Notification::new(PeerState::Looking, one.vote(), text);
    let newer = |out: &[Output]| out.iter().filter(|output| matches!(output, Output::Newer(2, _))).count();
    one.receive(2, &later, 1, &mut out);
    one.receive(2, &later, 2, &mut out);
    assert_eq!(newer(&out), 1);
    out.clear();
    one.install(membership(text), Zxid(7), 1, 3, &mut out);
    assert_eq!((sent(&out), one.vote().round), (vec![(2, PeerState::Looking, 1)], 2));
    // With a leader it is for the leader to say.
    let (mut one, mut out) = (election(1, &[1]), Vec::new());
    one.look(Zxid(7), 1, 0, &mut out);
    one.tick(200, &mut out);
    one.receive(2, &later, 300, &mut out);
    assert_eq!(newer(&out), 0);
}

#[test]
fn a_member_that_disagrees_about_the_members_is_pointed_out_once_and_heard() {
    let (mut one, mut out) = (election(1, &[1, 2, 3]), Vec::new());
    one.look(Zxid(7), 1, 0, &mut out);
    let text = "server.1=a:1:2\nserver.2=a:1:2\nversion=0";
    for _ in 0..2 {
        one.receive(2, &Notification::new(PeerState::Looking, one.vote(), text), 1, &mut out);
        one.receive(3, &Notification::new(PeerState::Looking, one.vote(), "\0nonsense"), 1, &mut out);
    }
    let differs: Vec<_> = out.iter().filter(|output| matches!(output, Output::Differs(..))).collect();
    assert_eq!(differs.len(), 2, "{differs:?}");
    one.tick(201, &mut out);
    assert_eq!(decided(&out), Some((PeerState::Leading, 1)));
}

#[test]
fn a_leader_is_told_that_one_of_its_voters_looks_again() {
    let (mut one, mut out) = (election(1, &[1, 2, 3]), Vec::new());
    one.look(Zxid(7), 1, 0, &mut out);
    one.receive(2, &told(PeerState::Looking, 1, 7, 1, 1), 1, &mut out);
    one.tick(201, &mut out);
    out.clear();
    one.receive(3, &told(PeerState::Looking, 3, 7, 2, 1), 300, &mut out);
    assert!(!out.contains(&Output::Deserted(3)), "it never voted for this leader");
    one.receive(2, &told(PeerState::Looking, 2, 7, 2, 1), 300, &mut out);
    assert!(out.contains(&Output::Deserted(2)));
}

#[test]
fn a_round_that_nobody_can_have_come_to_is_ignored() {
    let (mut one, mut out) = (election(1, &[1, 2, 3]), Vec::new());
    one.look(Zxid(7), 1, 0, &mut out);
    for state in [PeerState::Looking, PeerState::Following, PeerState::Leading] {
        for round in [i64::MAX, i64::MAX / 2, i64::MIN] {
            one.receive(2, &told(state, 2, 7, round, 1), 1, &mut out);
            one.receive(3, &told(state, 2, 7, round, 1), 1, &mut out);
        }
    }
    one.look(Zxid(7), 1, 2, &mut out);
    assert_eq!((one.vote().round, decided(&out)), (2, None));
}

#[test]
fn a_role_that_is_handed_on_needs_no_election() {
    let mut one = election(1, &[1, 2, 3]);
    one.look(Zxid(7), 1, 0, &mut Vec::new());
    assert_eq!(one.hand_over(2), PeerState::Following);
    assert_eq!((one.deadline_ms(), one.vote().leader), (None, 2));
    assert_eq!(one.hand_over(1), PeerState::Leading);
    assert_eq!(election(9, &[1, 2, 3]).hand_over(1), PeerState::Observing);
}

proptest! {
    /// Of each pair only the newest message waits, as on the real connections, some are said twice, and some are lost
    /// with the connection, which begins again with the last one. Groups, weights and an observer: all decide for the
    /// same leader, the best of those that weigh something.
    #[test]
    fn all_decide_though_messages_are_replaced_lost_and_repeated(
        logs in prop::collection::vec((0i64..3, 0i64..4), 7),
        picks in prop::collection::vec(any::<u16>(), 200..600),
    ) {
        let ids: Vec<i64> = (1..=8).collect();
        let make = |id: &i64| Election::new(*id, membership(grouped()), Pauses::default());
        let mut servers: Vec<Election> = ids.iter().map(make).collect();
        let mut slots: BTreeMap<(i64, i64), Notification> = BTreeMap::new();
        let mut last: BTreeMap<(i64, i64), Notification> = BTreeMap::new();
        let mut decisions: BTreeMap<i64, (PeerState, i64)> = BTreeMap::new();
        let mut now = 0;
        let mut deliver = |from: i64, out: Vec<Output>, slots: &mut BTreeMap<_, _>, last: &mut BTreeMap<_, _>| {
            for output in out {
                match output {
                    Output::Send(to, told) => {
                        slots.insert((from, to), told.clone());
                        last.insert((from, to), told);
                    }
                    Output::Decided(state, vote) => drop(decisions.insert(from, (state, vote.leader))),
                    other => panic!("{other:?}"),
                }
            }
        };
        for id in &ids {
            let (epoch, counter) = logs.get(*id as usize - 1).copied().unwrap_or_default();
            let mut out = Vec::new();
            servers[*id as usize - 1].look(Zxid((epoch << 32) | counter), epoch, 0, &mut out);
            deliver(*id, out, &mut slots, &mut last);
        }
        for step in 0..20_000 {
            let pick = picks.get(step).copied();
            let mut out = Vec::new();
            let (id, told) = if let Some((at, _)) = (!slots.is_empty()).then(|| {
                let nth = pick.map_or(step, usize::from) % slots.len();
                slots.iter().nth(nth).map(|(at, told)| (*at, told.clone())).unwrap()
            }) {
                let told = slots.remove(&at).unwrap();
                match pick.map(|pick| pick % 11) {
                    // Lost with its connection; the next one begins with it, or with what was said since.
                    Some(0) => { slots.insert(at, last[&at].clone()); continue }
                    Some(1) => drop(slots.insert(at, told.clone())),
                    _ => {}
                }
                (at, Some(told))
            } else {
                let due = |at: &usize| servers[*at].deadline_ms();
                let Some(at) = (0..servers.len()).filter(|at| due(at).is_some()).min_by_key(due) else { break };
                now = now.max(due(&at).unwrap());
                ((0, at as i64 + 1), None)
            };
            let (from, to) = id;
            let server = &mut servers[to as usize - 1];
            match told {
                Some(told) => server.receive(from, &told, now, &mut out),
                None => server.tick(now, &mut out),
            }
            deliver(to, out, &mut slots, &mut last);
        }
        let rank = |id: i64| (logs[id as usize - 1], id);
        let leaders: std::collections::BTreeSet<i64> = decisions.values().map(|(_, leader)| *leader).collect();
        prop_assert_eq!(decisions.len(), ids.len(), "{:?}", decisions);
        prop_assert_eq!(leaders.len(), 1, "{:?} of {:?}", decisions, logs);
        let leader = *leaders.first().unwrap();
        prop_assert!(leader <= 6, "{} weighs nothing", leader);
        // A quorum of groups may be settled before the best has spoken, if its vote came late: but never for one that
        // is behind everybody in a quorum.
        let behind: Vec<i64> = (1..=6).filter(|id| rank(*id) < rank(leader)).collect();
        let have = |group: std::ops::RangeInclusive<i64>| group.filter(|id| behind.contains(id) || *id == leader).count() >= 2;
        prop_assert!(have(1..=3) && have(4..=6), "{} of {:?}", leader, logs);
        prop_assert_eq!(decisions[&leader].0, PeerState::Leading);
        prop_assert_eq!(decisions[&8].0, PeerState::Observing);
    }
}

/// Otherwise a third server would never see that a quorum follows the leader.
#[test]
fn who_gets_a_vote_while_it_follows_says_that_it_follows() {
    let (mut two, mut out) = (election(2, &[1]), Vec::new());
    two.look(Zxid(7), 1, 0, &mut out);
    two.receive(1, &told(PeerState::Leading, 1, 7, 1, 1), 1, &mut out);
    assert_eq!(decided(&out), Some((PeerState::Observing, 1)));
    out.clear();
    two.install(membership("server.1=a:1:2\nserver.2=a:1:2"), Zxid(7), 1, 2, &mut out);
    two.receive(3, &told(PeerState::Looking, 3, 0, 1, 0), 3, &mut out);
    assert_eq!(sent(&out), [(3, PeerState::Following, 1)]);
}
