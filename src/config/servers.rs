//! The members of an ensemble: `server.N`, `group.N` and `weight.N` lines as typed values, and their canonical text.
//! Knows neither files nor the rest of zoo.cfg; looks no host up. Next room: `load.rs`, which brings lines here.
//! Rules read from QuorumPeer.QuorumServer, QuorumMaj and QuorumHierarchical, by asking them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::error::ConfigError;
use super::keys::Entry;
use super::properties::Property;
use super::table::{GROUP, SERVER, WEIGHT};
use super::value::{PeerType, shown, whole_number};

/// What is wrong with a line of members.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The original refuses it (`ConfigException`).
    #[error("{0}")]
    Refused(String),
    /// The original trips over it: a number that is none, a port out of range.
    #[error("{0}")]
    Unreadable(String),
}

impl From<String> for Flaw {
    fn from(why: String) -> Self {
        Flaw::Refused(why)
    }
}

pub(super) fn number(text: &str) -> Result<i64, Flaw> {
    whole_number(text).map_err(Flaw::Unreadable)
}

/// A host as written; an IPv6 address without its brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    fn parse(text: &str) -> Self {
        match text.parse::<IpAddr>() {
            Ok(address) => Self(java_address(address)),
            Err(_) if text.is_empty() => Self("localhost".into()),
            Err(_) => Self(text.to_owned()),
        }
    }

    /// The name or address, without brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is written as an address that means every address of the machine.
    pub fn is_any(&self) -> bool {
        self.0.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
    }

    /// Whether it is this machine for whoever reads it.
    pub fn is_loopback(&self) -> bool {
        self.0.eq_ignore_ascii_case("localhost") || self.0.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(out, "[{}]", self.0) } else { out.write_str(&self.0) }
    }
}

/// Java's text of an address: of IPv6 eight groups, none left out, unless it stands for an IPv4 address.
pub fn java_address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.segments().map(|group| format!("{group:x}")).join(":"),
    }
}

/// Where other members reach a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAddress {
    /// Name or address.
    pub host: Host,
    /// Port that followers connect to.
    pub quorum_port: u16,
    /// Port of the election.
    pub election_port: u16,
}

impl fmt::Display for MemberAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}", self.host, self.quorum_port, self.election_port)
    }
}

/// Where clients reach a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// Name or address to listen on.
    pub host: Host,
    /// Port; 0 takes any.
    pub port: u16,
}

impl ClientAddress {
    /// Where to listen; looks the name up.
    pub fn resolve(&self) -> Result<SocketAddr, String> {
        let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let address = if self.host.is_any() { any } else { super::value::resolve(self.host.as_str())? };
        Ok(SocketAddr::new(address, self.port))
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.host, self.port)
    }
}

/// One `server.N` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// N.
    pub id: i64,
    /// One address, or several when multiAddress.enabled.
    pub addresses: Vec<MemberAddress>,
    /// Voter or observer.
    pub role: PeerType,
    /// The client address, if the line carries one.
    pub client: Option<ClientAddress>,
}

impl Member {
    /// Reads the value of a `server.N` line: `host:port:port[:role][|...][;[host:]port]`.
    pub fn parse(id: i64, text: &str) -> Result<Self, Flaw> {
        let form = || {
            format!(
                "{} is not of the form host:quorumPort:electionPort[:participant|observer][;[clientHost:]clientPort]",
                shown(text)
            )
        };
        // As Java splits: empty pieces at the end do not count.
        let mut halves = text.trim_end_matches(';').split(';');
        let servers = halves.next().unwrap_or_default();
        let client = halves.next();
        if halves.next().is_some() {
            return Err(form().into());
        }
        let client = client.map(|client| client_address(client).ok_or_else(form)?).transpose()?;
        let mut role = None;
        let mut addresses = Vec::new();
        for piece in servers.trim_end_matches('|').split('|') {
            let parts = host_and_parts(piece).filter(|(_, parts)| matches!(parts.len(), 2 | 3)).ok_or_else(form)?;
            let (host, ports) = parts;
            let address = MemberAddress { host, quorum_port: port(ports[0])?, election_port: port(ports[1])? };
            if address.quorum_port == address.election_port {
                let why = format!("quorum port and election port are both {}; they must differ", address.quorum_port);
                return Err(why.into());
            }
            if let Some(word) = ports.get(2) {
                let said = parse_role(word)?;
                if role.is_some_and(|role| role != said) {
                    return Err("its addresses have different roles".to_owned().into());
                }
                role = Some(said);
            }
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(Self { id, addresses, role: role.unwrap_or(PeerType::Participant), client })
    }
}

impl fmt::Display for Member {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The original keeps the addresses of a member as a set, and writes them in order.
        let mut addresses: Vec<_> = self.addresses.iter().collect();
        addresses.sort_by_key(|address| (address.host.as_str(), address.quorum_port));
        for (at, address) in addresses.into_iter().enumerate() {
            let bar = if at > 0 { "|" } else { "" };
            write!(out, "{bar}{address}")?;
        }
        match self.role {
            PeerType::Participant => out.write_str(":participant")?,
            PeerType::Observer => out.write_str(":observer")?,
        }
        self.client.iter().try_for_each(|client| write!(out, ";{client}"))
    }
}

fn parse_role(word: &str) -> Result<PeerType, String> {
    match word.trim().to_lowercase().as_str() {
        "participant" => Ok(PeerType::Participant),
        "observer" => Ok(PeerType::Observer),
        _ => Err(format!("{} is neither participant nor observer", shown(word))),
    }
}

fn port(text: &str) -> Result<u16, Flaw> {
    let number =
        whole_number(text).and_then(|number| i32::try_from(number).map_err(|_| format!("{number} is no port")))?;
    u16::try_from(number).map_err(|_| Flaw::Unreadable(format!("{number} is not a port; ports go from 0 to 65535")))
}

/// `None` when the shape is wrong, `Some(Err)` when the shape is right and a number is not.
fn client_address(text: &str) -> Option<Result<ClientAddress, Flaw>> {
    let (host, parts) = match text.contains(':') {
        true => host_and_parts(text)?,
        false => (Host::parse("0.0.0.0"), vec![text]),
    };
    let [number] = parts[..] else { return None };
    Some(port(number).map(|port| ClientAddress { host, port }))
}

/// A host, in brackets or not, and what follows it between colons; empty pieces at the end do not count.
fn host_and_parts(text: &str) -> Option<(Host, Vec<&str>)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once("]:")?;
            if !host.is_empty() {
                host.parse::<IpAddr>().ok()?;
            }
            (host, rest)
        }
        None => text.split_once(':')?,
    };
    Some((Host::parse(host), rest.trim_end_matches(':').split(':').collect()))
}

/// All members, with groups and weights if the quorum is hierarchical.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ensemble {
    /// The `server.N` lines.
    pub members: BTreeMap<i64, Member>,
    /// The `group.N` lines.
    pub groups: BTreeMap<i64, Vec<i64>>,
    /// The `weight.N` lines; a member without one weighs 1.
    pub weights: BTreeMap<i64, i64>,
    /// The version of the configuration.
    pub version: i64,
}

impl Ensemble {
    /// Whether a line of zoo.cfg belongs here.
    pub fn owns(key: &str) -> bool {
        let is_row = || Entry::find(key).is_some();
        key.starts_with(SERVER.prefix) && !is_row() || key.starts_with(GROUP.prefix) || key.starts_with(WEIGHT.prefix)
    }

    /// Reads the lines, each of which [`Ensemble::owns`] or is `version`, and checks that they fit together.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a Property>) -> Result<Self, ConfigError> {
        let mut ensemble = Self::default();
        for line in lines {
            let flawed = |flaw: Flaw| ConfigError::key(&line.key, flaw.to_string()).at_line(Some(line.line));
            ensemble.add(line).map_err(flawed)?;
        }
        ensemble.check_groups().map_err(|(key, flaw)| ConfigError::key(key, flaw.to_string()))?;
        Ok(ensemble)
    }

    pub(super) fn add(&mut self, line: &Property) -> Result<(), Flaw> {
        let (key, value) = (line.key.as_str(), line.value.as_str());
        if key == "version" {
            self.version = i64::from_str_radix(value, 16)
                .map_err(|_| Flaw::Unreadable(format!("{} is not hexadecimal", shown(value))))?;
            return Ok(());
        }
        let id = number(key.split_once('.').map_or(key, |(_, id)| id))
            .map_err(|_| Flaw::Unreadable("the part after the dot must be a whole number, the id".to_owned()))?;
        if key.starts_with(SERVER.prefix) {
            if self.members.contains_key(&id) {
                return Err(format!("server {id} is given twice").into());
            }
            self.members.insert(id, Member::parse(id, value)?);
        } else if key.starts_with(GROUP.prefix) {
            let ids = value.split(':').map(number).collect::<Result<Vec<_>, _>>()?;
            if let Some(twice) = ids.iter().find(|id| self.groups.values().any(|group| group.contains(id))) {
                return Err(format!("server {twice} is in another group already").into());
            }
            self.groups.insert(id, ids);
        } else {
            self.weights.insert(id, number(value)?);
        }
        Ok(())
    }

    /// Names the key to blame.
    pub(super) fn check_groups(&self) -> Result<(), (String, Flaw)> {
        if !self.is_hierarchical() {
            return Ok(());
        }
        for voter in self.voters() {
            if !self.groups.values().any(|group| group.contains(&voter.id)) {
                let why = "is in no group; with group or weight lines every participant must be in exactly one";
                return Err((format!("server.{}", voter.id), Flaw::Refused(why.into())));
            }
        }
        for (group, ids) in &self.groups {
            // The original gives a weight to voters and to whom a line gives one, and needs that of everybody in a group.
            let votes = |id: &i64| self.members.get(id).is_some_and(|member| member.role == PeerType::Participant);
            if let Some(stranger) = ids.iter().find(|id| !votes(id) && !self.weights.contains_key(id)) {
                let why = Flaw::Unreadable(format!("there is no participant {stranger}"));
                return Err((format!("group.{group}"), why));
            }
        }
        Ok(())
    }

    /// Whether groups and weights decide instead of the plain majority.
    pub fn is_hierarchical(&self) -> bool {
        !self.groups.is_empty() || !self.weights.is_empty()
    }

    /// The members that vote.
    pub fn voters(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| member.role == PeerType::Participant)
    }

    /// The members that do not vote.
    pub fn observers(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| member.role == PeerType::Observer)
    }

    /// What a member weighs.
    pub fn weight(&self, id: i64) -> i64 {
        self.weights.get(&id).copied().unwrap_or(1)
    }
}

impl fmt::Display for Ensemble {
    /// The canonical text: of getConfig, of the command conf and of `/zookeeper/config`; no end of line at the end.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for id in map_order(self.members.keys().copied()) {
            writeln!(out, "server.{id}={}", self.members[&id])?;
        }
        if self.is_hierarchical() {
            // Members of a group in the order of the one map that the original keeps for all groups.
            let in_order = map_order(self.groups.values().flatten().copied());
            for id in map_order(self.groups.keys().copied()) {
                let members = in_order.iter().filter(|member| self.groups[&id].contains(member));
                let members: Vec<_> = members.map(i64::to_string).collect();
                writeln!(out, "group.{id}={}", members.join(":"))?;
            }
            let weighed: BTreeSet<i64> =
                self.voters().map(|member| member.id).chain(self.weights.keys().copied()).collect();
            for id in map_order(weighed) {
                writeln!(out, "weight.{id}={}", self.weight(id))?;
            }
        }
        write!(out, "version={:x}", self.version)
    }
}

/// The order in which the original's hash map lists ids: that of its buckets, whose number grows with the entries.
/// Ids that share a bucket come in ascending order here; there, in the order they were put in.
fn map_order(ids: impl IntoIterator<Item = i64>) -> Vec<i64> {
    const BUCKETS_MIN: u64 = 16;
    let mut ids: Vec<i64> = ids.into_iter().collect();
    let buckets = (ids.len() as u64 * 4).div_ceil(3).next_power_of_two().max(BUCKETS_MIN);
    let bucket = |id: i64| {
        let hash = (id ^ (id as u64 >> 32) as i64) as u32;
        u64::from(hash ^ (hash >> 16)) & (buckets - 1)
    };
    ids.sort_by_key(|&id| (bucket(id), id));
    ids
}
