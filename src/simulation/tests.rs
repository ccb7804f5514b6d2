//! A short run with every test run; `scripts/simulate` for more.

use super::*;

#[test]
fn seeds_of_the_short_run_hold() {
    // 40304: a crash while a copy took the place of older files, whose logs were then told to another member.
    for seed in (0..40).chain([40304]) {
        if let Err(failure) = run(seed, Options { traced: true, ..Options::default() }) {
            panic!("scripts/simulate --model --seed {seed}: {}\n{}", failure.what, failure.story.join("\n"));
        }
    }
}

#[test]
fn bugs_that_are_put_back_are_found() {
    for mutant in [
        Mutant::AckBeforeSync,
        Mutant::NewLeaderAckBeforeLog,
        Mutant::ForwardingLate,
        Mutant::TruncKeepsSnapshots,
        Mutant::LogNameNotSynced,
        Mutant::UncommittedTreeKept,
    ] {
        let found = (0..100).any(|seed| run(seed, Options { mutant: Some(mutant), ..Options::default() }).is_err());
        assert!(found, "scripts/simulate --mutant {mutant:?} --seeds 100 holds: {}", mutant.text());
    }
}

#[test]
fn a_seed_is_a_whole_story() {
    for seed in 1000..1003 {
        let (one, two) = (run(seed, Options::default()), run(seed, Options::default()));
        assert_eq!(one.map(|r| r.fingerprint).ok(), two.map(|r| r.fingerprint).ok());
    }
}
