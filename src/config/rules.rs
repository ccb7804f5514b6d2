//! The rules that tie several keys together, and the files that zoo.cfg implies: myid and the dynamic file.
//! Runs after every key has its value (`load.rs`); the members' lines themselves are read in `servers.rs`.
//! Rules read from QuorumPeerConfig and AuthenticationHelper, by asking them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use super::dynamic::NEXT;
use super::error::{ConfigError, Loudness, Note};
use super::load::read_file;
use super::properties::{Properties, decode};
use super::servers::{ClientAddress, Ensemble};
use super::table::{AUTH_PROVIDER, Config, SERVER, name};
use super::value::{PeerType, resolve, shown, whole_number};

const X509_PROVIDER: &str = "org.apache.zookeeper.server.auth.X509AuthenticationProvider";

/// The highest server id while TTL nodes are on: their ephemeralOwner needs the byte above (EphemeralType).
const EXTENDED_TYPES_MY_ID_MAX: i64 = 254;

/// The built-in scheme that stands for one of the original's classes.
pub fn scheme_of_class(class: &str) -> Option<&'static str> {
    match class.strip_prefix("org.apache.zookeeper.server.auth.")? {
        "DigestAuthenticationProvider" => Some("digest"),
        "IPAuthenticationProvider" => Some("ip"),
        "SASLAuthenticationProvider" => Some("sasl"),
        "X509AuthenticationProvider" => Some("x509"),
        "EnsembleAuthenticationProvider" => Some("ensemble"),
        "KeyAuthenticationProvider" => Some("key"),
        _ => None,
    }
}

/// `name=requests each second`; a name may hold further equals signs.
fn rate(entry: &str) -> Option<(String, u32)> {
    let (name, rate) = entry.rsplit_once('=')?;
    let rate = rate.trim().parse().ok().filter(|rate| *rate > 0)?;
    Some((name.trim().to_owned(), rate))
}

impl Config {
    /// Whether this server is a member of an ensemble, also of one member.
    pub fn is_quorum(&self) -> bool {
        let voters = self.more.ensemble.voters().count();
        voters > 1 || voters > 0 && !self.standalone_enabled
    }

    /// The authentication schemes that exist.
    pub fn auth_schemes(&self) -> BTreeSet<&'static str> {
        let configured = self.more.auth_providers.values().filter_map(|class| scheme_of_class(class));
        let digest = self.digest_auth_enabled.then_some("digest");
        configured.chain(digest).chain(["ip"]).collect()
    }

    /// Whether a four-letter word is answered.
    pub fn four_letter_word_allowed(&self, word: &str) -> bool {
        word == "srvr"
            || word == "isro" && self.read_only_mode
            || self.four_letter_word_whitelist.iter().any(|allowed| allowed == "*" || allowed == word)
    }

    pub(super) fn take_ensemble(&mut self, properties: &Properties) -> Result<(), ConfigError> {
        let owned = || properties.entries.iter().filter(|line| Ensemble::owns(&line.key));
        if let Some(path) = self.dynamic_config_file.clone() {
            if let Some(line) = owned().next() {
                let why = format!("must be in the dynamic file {} and not here", path.display());
                return Err(ConfigError::key(&line.key, why).at_line(Some(line.line)));
            }
            self.more.ensemble = dynamic_file(&path).map_err(|error| error.in_file(&path))?;
            self.more.next_ensemble = self.more.file.as_deref().map(next_file).transpose()?.flatten();
        } else {
            let version = properties.get("version");
            self.more.ensemble = Ensemble::parse(owned().chain(version))?;
        }
        self.check_members()
    }

    fn check_members(&mut self) -> Result<(), ConfigError> {
        let ensemble = &self.more.ensemble;
        if let Some(member) = ensemble.members.values().find(|member| member.addresses.len() > 1)
            && !self.multi_address_enabled
        {
            let why = format!("has several addresses; that needs {}=true", name::multi_address_enabled);
            return Err(ConfigError::key(format!("{}{}", SERVER.prefix, member.id), why));
        }
        let (voters, observers) = (ensemble.voters().count(), ensemble.observers().count());
        let hierarchical = ensemble.is_hierarchical();
        let mut note = |loudness, text: &str| self.more.notes.push(Note::general(loudness, text));
        match voters {
            0 if observers > 0 => return Err(ConfigError::new("observers are listed without a participant")),
            0 if !self.standalone_enabled => {
                return Err(ConfigError::key(
                    "standaloneEnabled",
                    "false needs at least one participant among the server lines",
                ));
            }
            1 if self.standalone_enabled && observers > 0 => {
                let why = format!(
                    "observers need an ensemble: list more participants, or say {}=false",
                    name::standalone_enabled
                );
                return Err(ConfigError::new(why));
            }
            1 if self.standalone_enabled => {
                note(
                    Loudness::Error,
                    "only one server is listed; its line is ignored, and this server runs standalone",
                );
            }
            1 | 2 if !hierarchical => note(Loudness::Warn, "no failure of a server can be survived; that takes three"),
            n if n > 0 && n % 2 == 0 && !hierarchical => {
                note(Loudness::Warn, "an even number of participants survives no more failures than one less");
            }
            _ => {}
        }
        Ok(())
    }

    /// What depends on several keys: derived values, and contradictions.
    pub(super) fn finish(&mut self) -> Result<(), ConfigError> {
        self.check_folders_and_ports()?;
        self.derive_times()?;
        self.check_auth()?;
        self.check_rates()?;
        self.more.my_id = read_my_id(&self.data_dir)?;
        self.settle_client_address()?;
        self.settle_peer_type();
        self.check_quorum()
    }

    /// A refusal that names the line the key is on.
    fn blame(&self, key: &str, why: impl Into<String>) -> ConfigError {
        let line = match self.more.origins.get(key) {
            Some(super::load::Origin::Line(line)) => Some(*line),
            _ => None,
        };
        ConfigError::key(key, why).at_line(line)
    }

    fn check_rates(&self) -> Result<(), ConfigError> {
        let keys = [
            (name::request_rate_identities, &self.request_rate_identities),
            (name::request_rate_prefixes, &self.request_rate_prefixes),
        ];
        for (key, entries) in keys {
            for entry in entries {
                rate(entry).ok_or_else(|| {
                    self.blame(key, format!("{entry:?} is not of the form name=requests each second"))
                })?;
            }
        }
        match self.request_rate_prefixes.iter().find(|entry| !entry.starts_with('/')) {
            Some(entry) => {
                Err(self.blame(name::request_rate_prefixes, format!("{entry:?} does not begin with a path")))
            }
            None => Ok(()),
        }
    }

    /// Requests each second of single identities.
    pub fn identity_rates(&self) -> impl Iterator<Item = (String, u32)> {
        self.request_rate_identities.iter().filter_map(|entry| rate(entry))
    }

    /// Requests each second of parts of the tree.
    pub fn prefix_rates(&self) -> impl Iterator<Item = (String, u32)> {
        self.request_rate_prefixes.iter().filter_map(|entry| rate(entry))
    }

    fn check_folders_and_ports(&mut self) -> Result<(), ConfigError> {
        if self.data_dir.as_os_str().is_empty() {
            return Err(self.blame(name::data_dir, "is not set; say the folder that holds the data"));
        }
        if self.data_log_dir.as_os_str().is_empty() {
            self.data_log_dir = self.data_dir.clone();
        }
        if self.client_port_address.is_some() && self.client_port.is_none() {
            return Err(self.blame(name::client_port_address, format!("is set, but {} is not", name::client_port)));
        }
        if self.secure_client_port_address.is_some() && self.secure_client_port.is_none() {
            return Err(self
                .blame(name::secure_client_port_address, format!("is set, but {} is not", name::secure_client_port)));
        }
        Ok(())
    }

    fn derive_times(&mut self) -> Result<(), ConfigError> {
        let ticks = |number: i32| {
            let too_long = || {
                self.blame(name::tick_time_ms, format!("{} is too long: {number} ticks overflow", self.tick_time_ms))
            };
            self.tick_time_ms.checked_mul(number).ok_or_else(too_long)
        };
        let min = if self.min_session_timeout_ms == -1 { ticks(2)? } else { self.min_session_timeout_ms };
        let max = if self.max_session_timeout_ms == -1 { ticks(20)? } else { self.max_session_timeout_ms };
        if min > max {
            let key = match self.is_said(name::min_session_timeout_ms) {
                true => name::min_session_timeout_ms,
                false => name::max_session_timeout_ms,
            };
            let why = format!(
                "the shortest session timeout, {min}, is above the longest, {max}; unset they are 2 and 20 ticks"
            );
            return Err(self.blame(key, why));
        }
        (self.min_session_timeout_ms, self.max_session_timeout_ms) = (min, max);
        if self.max_write_queue_poll_time_ms == -1 {
            self.max_write_queue_poll_time_ms = self.flush_delay_ms / 3;
        }
        if self.jute_extra_size == -1 {
            self.jute_extra_size = self.jute_max_buffer;
        }
        Ok(())
    }

    fn check_auth(&mut self) -> Result<(), ConfigError> {
        let (enable, learner) = (self.quorum_auth_enable_sasl, self.quorum_auth_learner_require_sasl);
        let contradictions = [
            (name::quorum_auth_learner_require_sasl, learner && !enable, name::quorum_auth_enable_sasl),
            (
                name::quorum_auth_server_require_sasl,
                self.quorum_auth_server_require_sasl && !enable,
                name::quorum_auth_enable_sasl,
            ),
            (
                name::quorum_auth_server_require_sasl,
                self.quorum_auth_server_require_sasl && !learner,
                name::quorum_auth_learner_require_sasl,
            ),
        ];
        if let Some((key, _, needed)) = contradictions.into_iter().find(|(_, contradicts, _)| *contradicts) {
            return Err(self.blame(key, format!("needs {needed}=true")));
        }
        if self.secure_client_port.is_some() && !self.more.auth_providers.contains_key(&self.ssl_auth_provider) {
            if self.ssl_auth_provider != "x509" {
                let why = format!(
                    "{} is not configured; say {}{}",
                    shown(&self.ssl_auth_provider),
                    AUTH_PROVIDER.prefix,
                    self.ssl_auth_provider
                );
                return Err(self.blame(name::ssl_auth_provider, why));
            }
            self.more.auth_providers.insert("x509".into(), X509_PROVIDER.into());
        }
        self.check_enforced_auth()
    }

    /// The schemes of which a client must have one before any request is answered; none means that nothing is enforced.
    pub fn enforced_auth_schemes(&self) -> Vec<&str> {
        let listed = self.enforce_auth_schemes.iter().map(String::as_str).filter(|_| self.enforce_auth_enabled);
        listed.chain(self.session_require_sasl.then_some("sasl")).collect()
    }

    fn check_enforced_auth(&self) -> Result<(), ConfigError> {
        if self.enforce_auth_enabled && self.enforce_auth_schemes.is_empty() {
            let why = format!("needs {}, the schemes that are accepted", name::enforce_auth_schemes);
            return Err(self.blame(name::enforce_auth_enabled, why));
        }
        let existing = self.auth_schemes();
        let Some(stranger) = self.enforced_auth_schemes().into_iter().find(|scheme| !existing.contains(scheme)) else {
            return Ok(());
        };
        let key = if self.enforce_auth_enabled { name::enforce_auth_schemes } else { name::session_require_sasl };
        let existing = Vec::from_iter(existing).join(", ");
        let why = format!(
            "the scheme {} does not exist; there are {existing}, and {}<name> adds one",
            shown(stranger),
            AUTH_PROVIDER.prefix
        );
        Err(self.blame(key, why))
    }

    /// The client address may be said twice, in zoo.cfg and in the member's line; they must not differ.
    fn settle_client_address(&mut self) -> Result<(), ConfigError> {
        let Some(id) = self.more.my_id else { return Ok(()) };
        let Some(line) = self.more.ensemble.members.get(&id).and_then(|member| member.client.clone()) else {
            return Ok(());
        };
        if let Some(port) = self.client_port {
            let same = match self.client_port_address {
                Some(address) if !address.is_unspecified() => {
                    port == line.port && resolve(line.host.as_str()) == Ok(address)
                }
                _ => port == line.port,
            };
            if !same {
                let why = format!("the line {}{id} says another client address, {line}", SERVER.prefix);
                return Err(self.blame(name::client_port, why));
            }
        }
        self.client_port = Some(line.port);
        self.client_port_address =
            listen_address(&line).map_err(|why| ConfigError::key(format!("{}{id}", SERVER.prefix), why))?;
        Ok(())
    }

    fn settle_peer_type(&mut self) {
        let listed = self.more.my_id.and_then(|id| self.more.ensemble.members.get(&id));
        let role = listed.map_or(PeerType::Participant, |member| member.role);
        if role != self.peer_type {
            self.note(Loudness::Warn, name::peer_type, None, "differs from the list of servers, which counts");
            self.peer_type = role;
        }
    }

    fn check_quorum(&self) -> Result<(), ConfigError> {
        if !self.is_quorum() {
            return Ok(());
        }
        for (key, ticks) in
            [(name::init_limit_ticks, self.init_limit_ticks), (name::sync_limit_ticks, self.sync_limit_ticks)]
        {
            if ticks == 0 {
                return Err(self.blame(key, "is not set; an ensemble needs it, in ticks"));
            }
        }
        let Some(id) = self.more.my_id else {
            let why = "is missing; in an ensemble it holds the id of this server, the N of its line server.N";
            return Err(ConfigError::new(why).in_file(self.data_dir.join("myid")));
        };
        if self.extended_types_enabled && id > EXTENDED_TYPES_MY_ID_MAX {
            let why = format!("needs a myid of at most {EXTENDED_TYPES_MY_ID_MAX}, and it is {id}");
            return Err(self.blame(name::extended_types_enabled, why));
        }
        Ok(())
    }
}

fn listen_address(line: &ClientAddress) -> Result<Option<IpAddr>, String> {
    if line.host.is_any() { Ok(None) } else { resolve(line.host.as_str()).map(Some) }
}

fn dynamic_file(path: &Path) -> Result<Ensemble, ConfigError> {
    let properties = Properties::parse(&read_file(path)?)?;
    if let Some(line) = properties.entries.iter().find(|line| !Ensemble::owns(&line.key)) {
        let why = match line.key.as_str() {
            "version" => "must not be in a dynamic file; the version is the ending of its name",
            _ => "is not known in a dynamic file; it holds server, group and weight lines only",
        };
        return Err(ConfigError::key(&line.key, why).at_line(Some(line.line)));
    }
    let mut ensemble = Ensemble::parse(&properties.entries)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ending = name.rsplit_once('.').and_then(|(_, ending)| i64::from_str_radix(ending, 16).ok());
    ensemble.version = ending.unwrap_or(0);
    Ok(ensemble)
}

/// The configuration that was proposed last; the file names its version within.
fn next_file(zoo_cfg: &Path) -> Result<Option<Ensemble>, ConfigError> {
    let mut path = zoo_cfg.as_os_str().to_owned();
    path.push(NEXT);
    let path = Path::new(&path);
    if !path.is_file() {
        return Ok(None);
    }
    let lines = Properties::parse(&read_file(path)?).map_err(|error| error.in_file(path))?;
    let lines = lines.entries.iter().filter(|line| Ensemble::owns(&line.key) || line.key == "version");
    Ensemble::parse(lines).map(Some).map_err(|error| error.in_file(path))
}

/// The first line of the file myid, if there is one.
fn read_my_id(data_dir: &Path) -> Result<Option<i64>, ConfigError> {
    let path = data_dir.join("myid");
    if !path.is_file() {
        return Ok(None);
    }
    let text = decode(&read_file(&path)?);
    let first = text.lines().next().unwrap_or_default();
    match whole_number(first) {
        Ok(id) => Ok(Some(id)),
        Err(why) => {
            Err(ConfigError::new(format!("{why}; it holds the id of this server and nothing else")).in_file(&path))
        }
    }
}
