//! The invariants of the protocol over a trace, as the TLA+ specification of ZooKeeper states them (`Zab.tla`, I1 to I9),
//! evaluated from nothing but the steps: independent of what [`super::check`] thinks during a run.

use crate::proto::Zxid;
use std::collections::{BTreeMap, BTreeSet};

/// A step of the protocol that a trace shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A leader has written its epoch: it is in SYNCHRONIZATION.
    Leads { node: usize, epoch: i64 },
    /// A quorum has its history: it is in BROADCAST, and has delivered this.
    Established { node: usize, epoch: i64, history: Vec<Zxid> },
    /// A learner has got UPTODATE, and has delivered this.
    Joined { node: usize, epoch: i64, history: Vec<Zxid> },
    /// A leader proposes.
    Propose { node: usize, epoch: i64, zxid: Zxid },
    /// A server in BROADCAST delivers one more.
    Deliver { node: usize, zxid: Zxid },
}

/// What the evaluation has seen.
#[derive(Debug, Default)]
pub struct Summary {
    pub steps: usize,
    pub epochs: usize,
    pub delivered: usize,
}

/// Evaluates a trace; an error names the invariant.
pub fn evaluate(trace: &[Step]) -> Result<Summary, String> {
    let mut leaders: BTreeMap<i64, usize> = BTreeMap::new();
    let mut established: BTreeMap<i64, usize> = BTreeMap::new();
    let mut proposals: BTreeMap<Zxid, i64> = BTreeMap::new();
    // Of each leader of an epoch: what it had delivered when it first proposed, and the last it proposed.
    let mut before: BTreeMap<i64, BTreeSet<Zxid>> = BTreeMap::new();
    let mut last_proposed: BTreeMap<i64, Zxid> = BTreeMap::new();
    let mut delivered: BTreeMap<usize, Vec<Zxid>> = BTreeMap::new();
    let mut longest: Vec<Zxid> = Vec::new();

    for step in trace {
        match step {
            // Leadership1: one leader for an epoch.
            Step::Leads { node, epoch } => {
                let other = *leaders.entry(*epoch).or_insert(*node);
                if other != *node {
                    return Err(format!("Leadership1: {node} and {other} lead epoch {epoch}"));
                }
            }
            Step::Established { node, epoch, history } => {
                // Leadership2: one server ever establishes an epoch.
                let other = *established.entry(*epoch).or_insert(*node);
                if other != *node {
                    return Err(format!("Leadership2: {node} and {other} establish epoch {epoch}"));
                }
                before.insert(*epoch, history.iter().copied().collect());
                delivered.insert(*node, history.clone());
                if established.keys().next_back() == Some(epoch) {
                    prefix(&mut longest, history)?;
                }
            }
            Step::Joined { node, history, .. } => {
                delivered.insert(*node, history.clone());
                prefix(&mut longest, history)?;
            }
            Step::Propose { node, epoch, zxid } => {
                if established.get(epoch) != Some(node) || i64::from(zxid.epoch()) != *epoch {
                    return Err(format!(
                        "PrimaryIntegrity: {node} proposes {zxid} in epoch {epoch}, which is not its own"
                    ));
                }
                // LocalPrimaryOrder: without a gap.
                let last = last_proposed.insert(*epoch, *zxid).unwrap_or(Zxid::new(zxid.epoch(), 0));
                if *zxid != last.next() {
                    return Err(format!("LocalPrimaryOrder: {zxid} is proposed after {last}"));
                }
                proposals.insert(*zxid, *epoch);
            }
            Step::Deliver { node, zxid } => {
                let history = delivered.entry(*node).or_default();
                // GlobalPrimaryOrder and TotalOrder: what is delivered is later than all before.
                if history.last().is_some_and(|last| last >= zxid) {
                    return Err(format!("GlobalPrimaryOrder: {node} delivers {zxid} after {:?}", history.last()));
                }
                history.push(*zxid);
                // PrefixConsistency, Agreement, TotalOrder: any two histories agree as far as both reach.
                let at = history.len() - 1;
                match longest.get(at) {
                    Some(known) if known != zxid => {
                        return Err(format!("PrefixConsistency: {node} delivers {zxid} where {known} was delivered"));
                    }
                    Some(_) => {}
                    None if at == longest.len() => longest.push(*zxid),
                    None => return Err(format!("Agreement: {node} delivers {zxid} behind what others know")),
                }
            }
        }
    }
    let mut last_of: BTreeMap<u32, u32> = BTreeMap::new();
    for zxid in &longest {
        // Integrity: somebody proposed it.
        if !proposals.contains_key(zxid) {
            return Err(format!("Integrity: nobody proposed {zxid}"));
        }
        // LocalPrimaryOrder: of an epoch, everything before is delivered too.
        let last = last_of.insert(zxid.epoch(), zxid.counter()).unwrap_or(0);
        if zxid.counter() != last + 1 {
            return Err(format!("LocalPrimaryOrder: {zxid} is delivered after counter {last}"));
        }
    }
    // PrimaryIntegrity: a leader that proposes has delivered everything of smaller epochs that is ever delivered.
    for (epoch, history) in &before {
        if !last_proposed.contains_key(epoch) {
            continue;
        }
        if let Some(missing) = longest.iter().find(|zxid| i64::from(zxid.epoch()) < *epoch && !history.contains(*zxid))
        {
            return Err(format!("PrimaryIntegrity: the leader of {epoch} proposes without having delivered {missing}"));
        }
    }
    Ok(Summary { steps: trace.len(), epochs: established.len(), delivered: longest.len() })
}

fn prefix(longest: &mut Vec<Zxid>, history: &[Zxid]) -> Result<(), String> {
    for (at, zxid) in history.iter().enumerate() {
        match longest.get(at) {
            Some(known) if known != zxid => {
                return Err(format!("PrefixConsistency: {zxid} where {known} was delivered"));
            }
            Some(_) => {}
            None => longest.push(*zxid),
        }
    }
    Ok(())
}
