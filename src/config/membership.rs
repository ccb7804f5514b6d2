//! Membership that changes while servers run: configurations as text, increments to them, and what makes two of them
//! the same. Pure; who may change them, and when, is the business of `crate::engine`, what a change means for a server
//! that of `crate::server`. Rules read from QuorumPeerConfig, QuorumMaj and PrepRequestProcessor.

use super::properties::Properties;
use super::servers::{Ensemble, Flaw, Member, MemberAddress};
use super::value::{PeerType, shown};

impl Ensemble {
    /// Reads a configuration as it travels between servers and stands in a request, checked as one by itself
    /// (`QuorumPeerConfig.parseDynamicConfig`). `standalone` is `standaloneEnabled`.
    pub fn parse_text(text: &str, standalone: bool, multi_address: bool) -> Result<Self, Flaw> {
        let lines = Properties::parse_exact(text.as_bytes()).map_err(|error| Flaw::Unreadable(error.why))?.entries;
        let known =
            |key: &str| key == "version" || ["server.", "group", "weight"].iter().any(|prefix| key.starts_with(prefix));
        if let Some(line) = lines.iter().find(|line| !known(&line.key)) {
            return Err(Flaw::Refused(format!("{} does not belong here", shown(&line.key))));
        }
        let mut ensemble = Ensemble::default();
        lines.iter().try_for_each(|line| ensemble.add(line))?;
        if let Some(member) = ensemble.members.values().find(|member| member.addresses.len() > 1 && !multi_address) {
            return Err(Flaw::Refused(format!("server {} has several addresses", member.id)));
        }
        ensemble.check_groups().map_err(|(_, flaw)| flaw)?;
        let (voters, observers) = (ensemble.voters().count(), ensemble.observers().count());
        match voters {
            0 if !standalone => Err(Flaw::Unreadable("there is no participant".into())),
            0 | 1 if observers > 0 && standalone => {
                Err(Flaw::Unreadable("observers need at least two participants".into()))
            }
            _ => Ok(ensemble),
        }
    }

    /// Without those who leave (a list of ids) and with those who join (a list of `server.N=...`), in this order.
    pub fn changed(&self, leaving: Option<&str>, joining: Option<&str>, multi_address: bool) -> Result<Self, Flaw> {
        let mut next = Ensemble { version: self.version, members: self.members.clone(), ..Ensemble::default() };
        for id in pieces(leaving.unwrap_or_default(), ',') {
            next.members.remove(&super::servers::number(id)?);
        }
        for joiner in pieces(joining.unwrap_or_default(), ',') {
            let [key, value] = pieces(joiner, '=').collect::<Vec<_>>()[..] else {
                return Err(Flaw::Refused(format!("{} is not of the form server.N=...", shown(joiner))));
            };
            let id = super::servers::number(key.rsplit_once('.').map_or(key, |(_, id)| id))?;
            let member = Member::parse(id, value)?;
            if member.addresses.len() > 1 && !multi_address {
                return Err(Flaw::Refused(format!("server {id} has several addresses")));
            }
            if member.client.is_none() {
                return Err(Flaw::Refused(format!("server {id} must say its client address")));
            }
            if let Some(other) = next.members.values().find(|other| other.id != id && clash(&member, other)) {
                return Err(Flaw::Refused(format!("server {id} and server {} have an address in common", other.id)));
            }
            next.members.insert(id, member);
        }
        Ok(next)
    }

    /// Whether both have the same members with the same roles, addresses, groups and weights, or the same version.
    pub fn is_same(&self, other: &Ensemble) -> bool {
        let by_address = |member: &Member| {
            let mut member = member.clone();
            member.addresses.sort_by_key(MemberAddress::to_string);
            member
        };
        let members = |ensemble: &Ensemble| ensemble.members.values().map(by_address).collect::<Vec<_>>();
        let groups = |ensemble: &Ensemble| {
            ensemble.is_hierarchical().then(|| {
                let sorted = ensemble.groups.iter().map(|(group, ids)| {
                    let mut ids = ids.clone();
                    ids.sort_unstable();
                    (*group, ids)
                });
                let weights = ensemble.members.keys().map(|id| ensemble.weight(*id));
                (sorted.collect::<Vec<_>>(), weights.collect::<Vec<_>>())
            })
        };
        self.version == other.version || (members(self) == members(other) && groups(self) == groups(other))
    }

    /// What this server is in it; a server that is not listed counts as a participant without a vote.
    pub fn role(&self, id: i64) -> PeerType {
        self.members.get(&id).map_or(PeerType::Participant, |member| member.role)
    }
}

/// The pieces between separators, trimmed; empty ones do not count (`StringUtils.split`).
fn pieces(text: &str, separator: char) -> impl Iterator<Item = &str> {
    text.split(separator).map(|piece| piece.trim_matches(|c: char| c <= ' ')).filter(|piece| !piece.is_empty())
}

/// Whether two members share an address. Loopback and "any" addresses are each machine's own, and do not count. Names
/// are compared as text: looking them up here would make the outcome depend on a name server.
fn clash(one: &Member, other: &Member) -> bool {
    let addresses = |member: &Member| {
        let client = member.client.iter().map(|client| (client.host.clone(), client.port));
        let ports = member
            .addresses
            .iter()
            .flat_map(|at| [(at.host.clone(), at.quorum_port), (at.host.clone(), at.election_port)]);
        let all = ports.chain(client).filter(|(host, _)| !host.is_any() && !host.is_loopback());
        all.collect::<Vec<_>>()
    };
    let others = addresses(other);
    addresses(one).iter().any(|address| others.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "server.1=h1:2888:3888:participant;0.0.0.0:2181\n\
                        server.2=h2:2888:3888:participant;0.0.0.0:2181\n\
                        server.3=h3:2888:3888:observer\nversion=1000000af";

    fn parsed(text: &str) -> Ensemble {
        Ensemble::parse_text(text, true, false).unwrap()
    }

    #[test]
    fn text_comes_back_as_it_was() {
        assert_eq!(parsed(TEXT).to_string(), TEXT);
        assert_eq!(parsed(TEXT).version, 0x1_0000_00af);
    }

    #[test]
    fn a_new_version_does_not_make_it_another_but_a_new_port_does() {
        let (one, two) = (parsed(TEXT), parsed(&TEXT.replace("af", "b0")));
        assert!(one.is_same(&two) && one != two);
        for (from, to) in [("h1:2888", "h1:2889"), (";0.0.0.0:2181", ";0.0.0.0:2182"), ("observer", "participant")] {
            assert!(!one.is_same(&parsed(&TEXT.replacen(from, to, 1).replace("af", "b0"))), "{from}");
        }
        let less = two.changed(Some("3"), None, false).unwrap();
        assert!(!one.is_same(&Ensemble { version: 7, ..less }));
    }

    #[test]
    fn any_text_ends_in_an_answer() {
        for text in ["", "version=", "server.", "server.1", "group.1=", "weight.=", "\\u1", "server.1=[", "a=b"] {
            assert!(Ensemble::parse_text(text, false, false).is_err(), "{text:?}");
        }
    }
}
