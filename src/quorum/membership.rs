//! Whose votes count, and the text of the configuration that travels with each vote (`QuorumVerifier`). While members are
//! being changed, two configurations count at once: a quorum is one of both.

use crate::config::{Ensemble, Flaw};
use crate::zab::ServerId;
use crate::zab::Voters;
use std::collections::BTreeSet;

/// The longest text of a configuration that is looked into; those of real ensembles have a few kilobytes.
const TEXT_MAX: usize = 64 << 10;

/// The configuration of a server: the active one, and the proposed one while there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    active: Ensemble,
    voters: Voters,
    next: Option<Voters>,
    text: String,
}

/// What another server's configuration is to this server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// It says the same, or is an older one.
    Known,
    /// It is a later one, which this server has yet to take up.
    Newer(Box<Ensemble>),
    /// It has the same version, and says something else; or it cannot be read.
    Differs(String),
}

impl Membership {
    /// The active configuration, and the one that was proposed last, which counts if it is newer.
    pub fn new(active: Ensemble, last_seen: Option<&Ensemble>) -> Self {
        let next = last_seen.filter(|next| next.version > active.version).map(Voters::of);
        Membership { voters: Voters::of(&active), next, text: active.to_string(), active }
    }

    /// The configuration that a canonical text describes.
    pub fn parse(text: &[u8]) -> Result<Self, Flaw> {
        Ok(Self::new(parse(text)?, None))
    }

    /// The active configuration.
    pub fn active(&self) -> &Ensemble {
        &self.active
    }

    /// The text of the active configuration.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the votes of this server count, in either configuration.
    pub fn is_voter(&self, id: ServerId) -> bool {
        self.voters.contains(id) || self.next.as_ref().is_some_and(|next| next.contains(id))
    }

    /// The voters of both configurations, ascending.
    pub fn voters(&self) -> BTreeSet<ServerId> {
        self.voters.ids().chain(self.next.iter().flat_map(Voters::ids)).collect()
    }

    /// Whether these servers are a quorum in both configurations.
    pub fn is_quorum(&self, is_in: impl Fn(ServerId) -> bool) -> bool {
        self.voters.is_quorum(&is_in) && self.next.as_ref().is_none_or(|next| next.is_quorum(&is_in))
    }

    /// Whether these servers are a quorum in the active configuration.
    pub fn is_quorum_by_now(&self, is_in: impl Fn(ServerId) -> bool) -> bool {
        self.voters.is_quorum(&is_in)
    }

    /// Whether this server may lead: those whose vote weighs nothing never do.
    pub fn may_lead(&self, id: ServerId) -> bool {
        self.voters.weight(id) > 0
    }

    /// Whether an oracle is asked at all: of two voters none is a quorum without the other.
    pub fn is_pair(&self) -> bool {
        self.next.is_none() && self.voters.ids().count() == 2
    }

    /// Looks at the configuration that came with a vote. Addresses are not compared: a member may know itself by others.
    pub fn compare(&self, text: &[u8]) -> Compared {
        // Before 3.5 there is none.
        if text.is_empty() || text == self.text.as_bytes() {
            return Compared::Known;
        }
        if text.len() > TEXT_MAX {
            return Compared::Differs(format!("its configuration is a text of {} bytes", text.len()));
        }
        match parse(text) {
            Err(error) => Compared::Differs(format!("its configuration cannot be read: {error}")),
            Ok(theirs) if theirs.version > self.active.version => Compared::Newer(Box::new(theirs)),
            Ok(theirs) if theirs.version < self.active.version => Compared::Known,
            Ok(theirs) => self.difference(&theirs).map_or(Compared::Known, Compared::Differs),
        }
    }

    fn difference(&self, theirs: &Ensemble) -> Option<String> {
        let ours = &self.active;
        let listed = |ids: BTreeSet<ServerId>| ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
        let voters = |of: &Ensemble| of.voters().map(|member| member.id).collect::<BTreeSet<_>>();
        let observers = |of: &Ensemble| of.observers().map(|member| member.id).collect::<BTreeSet<_>>();
        let rows = [("voters", voters(theirs), voters(ours)), ("observers", observers(theirs), observers(ours))];
        for (what, there, here) in rows {
            if there != here {
                return Some(format!("its {what} are {}, and here they are {}", listed(there), listed(here)));
            }
        }
        let weights = |of: &Ensemble| of.members.keys().map(|id| of.weight(*id)).collect::<Vec<_>>();
        let groups = |of: &Ensemble| of.groups.iter().map(|(id, members)| (*id, members.clone())).collect::<Vec<_>>();
        (weights(theirs) != weights(ours) || groups(theirs) != groups(ours))
            .then(|| "its groups and weights are others than here".to_owned())
    }
}

/// Reads a text as it travels between servers. Without a participant it is none: a Java server that is told such a text
/// never elects again.
fn parse(text: &[u8]) -> Result<Ensemble, Flaw> {
    let text = std::str::from_utf8(text).map_err(|_| Flaw::Unreadable("it is no text".into()))?;
    Ensemble::parse_text(text, false, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ensemble(text: &str) -> Ensemble {
        parse(text.as_bytes()).unwrap()
    }

    const THREE: &str = "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:participant\nversion=0";

    #[test]
    fn other_members_under_the_same_version_are_told_apart_and_other_addresses_are_not() {
        let here = Membership::new(ensemble(THREE), None);
        assert_eq!(here.compare(here.text().as_bytes()), Compared::Known);
        assert_eq!(here.compare(THREE.replace("=b:", "=0.0.0.0:").as_bytes()), Compared::Known);
        assert_eq!(here.compare(b""), Compared::Known);
        let five = format!("server.4=d:1:2\nserver.5=e:1:2\n{THREE}");
        let Compared::Differs(why) = here.compare(five.as_bytes()) else { panic!("taken for the same") };
        assert_eq!(why, "its voters are 1, 2, 3, 4, 5, and here they are 1, 2, 3");
        let observer = THREE.replace("c:1:2:participant", "c:1:2:observer");
        assert!(
            matches!(here.compare(observer.as_bytes()), Compared::Differs(why) if why.contains("voters are 1, 2,"))
        );
        let grouped = THREE.replace("version", "group.1=1:2:3\nweight.1=1\nweight.2=0\nweight.3=1\nversion");
        assert!(matches!(here.compare(grouped.as_bytes()), Compared::Differs(why) if why.contains("weights")));
    }

    #[test]
    fn a_later_configuration_is_handed_over_and_an_earlier_one_is_not() {
        let here = Membership::new(ensemble(&THREE.replace("version=0", "version=100000002")), None);
        let later = THREE.replace("version=0", "version=200000001");
        assert_eq!(here.compare(later.as_bytes()), Compared::Newer(Box::new(ensemble(&later))));
        assert_eq!(here.compare(THREE.as_bytes()), Compared::Known);
    }

    #[test]
    fn any_text_is_survived() {
        let here = Membership::new(ensemble(THREE), None);
        let long = vec![b'x'; TEXT_MAX + 1];
        let texts: [&[u8]; 6] = [b"version=0", b"\xff\xfe\0", b"server.1=", b"version=zz", b"\\u00", &long];
        for text in texts {
            assert!(matches!(here.compare(text), Compared::Differs(_)), "{text:?}");
        }
    }

    #[test]
    fn while_members_change_a_quorum_is_one_of_both_configurations() {
        let next = ensemble("server.3=c:1:2\nserver.4=d:1:2\nserver.5=e:1:2\nversion=1");
        let both = Membership::new(ensemble(THREE), Some(&next));
        assert_eq!(both.voters(), BTreeSet::from([1, 2, 3, 4, 5]));
        assert!(!both.is_quorum(|id| id <= 3) && !both.is_quorum(|id| id >= 3));
        assert!(both.is_quorum(|id| [1, 3, 4].contains(&id)));
        assert!(both.is_quorum_by_now(|id| id <= 2) && !both.is_quorum_by_now(|id| id >= 3));
        let older = Membership::new(next.clone(), Some(&ensemble(THREE)));
        assert!(older.is_quorum(|id| id >= 4), "an older proposal counts no more");
    }
}
