//! Which sets of servers are a quorum (`QuorumMaj`, `QuorumHierarchical`).

use super::ServerId;
use crate::config::{Ensemble, PeerType};
use std::collections::{BTreeMap, BTreeSet};

/// The voting members of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voters {
    ids: BTreeSet<ServerId>,
    /// Of a hierarchical system: each voter's group and weight.
    groups: Option<BTreeMap<ServerId, (i64, i64)>>,
}

impl Voters {
    /// The voters of a configuration, with its groups and weights.
    pub fn of(ensemble: &Ensemble) -> Self {
        let ids: BTreeSet<ServerId> = ensemble
            .members
            .values()
            .filter(|member| member.role == PeerType::Participant)
            .map(|member| member.id)
            .collect();
        let groups = ensemble.is_hierarchical().then(|| {
            let of_group = |(group, members): (&i64, &Vec<i64>)| {
                members.iter().map(|id| (*id, (*group, ensemble.weight(*id)))).collect::<Vec<_>>()
            };
            ensemble.groups.iter().flat_map(of_group).filter(|(id, _)| ids.contains(id)).collect()
        });
        Voters { ids, groups }
    }

    /// Voters of equal weight.
    pub fn majority(ids: impl IntoIterator<Item = ServerId>) -> Self {
        Voters { ids: ids.into_iter().collect(), groups: None }
    }

    /// The ids of the voters, ascending.
    pub fn ids(&self) -> impl Iterator<Item = ServerId> + '_ {
        self.ids.iter().copied()
    }

    /// Whether this server votes.
    pub fn contains(&self, id: ServerId) -> bool {
        self.ids.contains(&id)
    }

    /// What the vote of this server weighs; a candidate of weight 0 never leads.
    pub fn weight(&self, id: ServerId) -> i64 {
        match &self.groups {
            None => i64::from(self.ids.contains(&id)),
            Some(groups) => groups.get(&id).map_or(0, |(_, weight)| *weight),
        }
    }

    /// Whether these servers are a quorum. Those that do not vote do not count.
    pub fn is_quorum(&self, is_in: impl Fn(ServerId) -> bool) -> bool {
        let Some(groups) = &self.groups else {
            return 2 * self.ids.iter().filter(|id| is_in(**id)).count() > self.ids.len();
        };
        // For each group its weight, and the weight of those that are in.
        let mut sums: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        for (id, (group, weight)) in groups {
            let sum = sums.entry(*group).or_default();
            sum.0 += weight;
            sum.1 += if is_in(*id) { *weight } else { 0 };
        }
        sums.retain(|_, (total, _)| *total > 0);
        2 * sums.values().filter(|(total, have)| *have > total / 2).count() > sums.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_is_more_than_half_of_the_voters() {
        let voters = Voters::majority([1, 2, 3, 4]);
        assert!(!voters.is_quorum(|id| id <= 2));
        assert!(voters.is_quorum(|id| id <= 3));
        assert!(!voters.is_quorum(|id| id > 3), "strangers have no voice");
    }

    #[test]
    fn groups_win_by_weight_and_weightless_groups_do_not_count() {
        let rows = [(1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 2, 1), (5, 2, 1), (6, 2, 1), (7, 3, 0)];
        let voters = Voters {
            ids: rows.iter().map(|row| row.0).collect(),
            groups: Some(rows.iter().map(|(id, group, weight)| (*id, (*group, *weight))).collect()),
        };
        assert!(voters.is_quorum(|id| [1, 2, 4, 5].contains(&id)));
        assert!(!voters.is_quorum(|id| [1, 2, 3, 4, 7].contains(&id)), "one group of the two that count");
        assert_eq!((voters.weight(7), voters.weight(1), voters.weight(9)), (0, 1, 0));
    }
}
