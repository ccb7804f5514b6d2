//! Makes a plan smaller while it still shows the same kind of difference: first without later steps, then without
//! whole steps, then without single requests. Each trial runs on fresh servers.

use crate::execute::Difference;
use crate::plan::Step;
use std::time::{Duration, Instant};

/// Tries smaller and smaller plans for as long as `budget`; gives the smallest that still differs, and how.
pub fn shrink(
    steps: Vec<Step>,
    found: Difference,
    budget: Duration,
    mut trial: impl FnMut(&[Step]) -> Option<Difference>,
) -> (Vec<Step>, Difference) {
    let deadline = Instant::now() + budget;
    let mut best = (steps, found);
    let mut attempt = |candidate: Vec<Step>, best: &mut (Vec<Step>, Difference)| -> bool {
        match trial(&candidate) {
            Some(difference) if difference.signature == best.1.signature => {
                *best = (candidate, difference);
                true
            }
            _ => false,
        }
    };
    // Steps: chunks of half the plan, then smaller ones. The last step is where the difference shows.
    let mut chunk = best.0.len() / 2;
    while chunk > 0 && Instant::now() < deadline {
        let mut start = 0;
        while start + 1 < best.0.len() && Instant::now() < deadline {
            let end = (start + chunk).min(best.0.len() - 1);
            let mut candidate = best.0.clone();
            candidate.drain(start..end);
            if !attempt(candidate, &mut best) {
                start = end;
            }
        }
        chunk /= 2;
    }
    // Requests, from the end: what follows the difference goes first.
    for step in (0..best.0.len()).rev() {
        let lists = best.0[step].clone().lists().len();
        for list in 0..lists {
            let length = |plan: &mut Vec<Step>| plan[step].lists()[list].len();
            let mut chunk = length(&mut best.0).div_ceil(2);
            while chunk > 0 && Instant::now() < deadline {
                let mut start = 0;
                while start < length(&mut best.0) && Instant::now() < deadline {
                    let mut candidate = best.0.clone();
                    let end = (start + chunk).min(length(&mut candidate));
                    candidate[step].lists()[list].drain(start..end);
                    if !attempt(candidate, &mut best) {
                        start = end;
                    }
                }
                chunk /= 2;
            }
        }
    }
    best
}
