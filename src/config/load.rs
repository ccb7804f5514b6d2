//! How zoo.cfg and the system properties become one `Config`, or a refusal: each line finds its row of the table.
//! The rules that tie several keys together are in the next room, `rules.rs`; what a key means is in `table.rs`.
//! Opens no socket, creates nothing, logs nothing: remarks are kept for the caller.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, ExitCode, Loudness, Note};
use super::keys::{Applies, Bound, Entry, Key, Source};
use super::properties::{Properties, Property, decode};
use super::servers::Ensemble;
use super::system::SystemProperties;
use super::table::{AUTH_PROVIDER, Config, ENTRIES, METRICS, SUPER_USER, name};
use super::value::{Reading, Secret, Value, shown};

/// Where the value of a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of zoo.cfg.
    Line(usize),
    /// A system property, and where that was said.
    System(&'static str),
    /// An argument of its own on the command line.
    Argument,
}

impl Origin {
    fn line(self) -> Option<usize> {
        match self {
            Self::Line(line) => Some(line),
            Self::System(_) | Self::Argument => None,
        }
    }
}

/// What is configured without a row of its own in the table.
#[derive(Clone, Debug, Default)]
pub struct More {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// Its text, as found at the start, passwords and all.
    pub text: Option<Secret>,
    /// The members of the ensemble, if any are listed.
    pub ensemble: Ensemble,
    /// The configuration that was proposed last and not yet active when the server ended, if there is one.
    pub next_ensemble: Option<Ensemble>,
    /// The content of the file myid, if it is there.
    pub my_id: Option<i64>,
    /// `authProvider.<name>`: classes of authentication schemes.
    pub auth_providers: BTreeMap<String, String>,
    /// `superUser` and `superUser.<name>`: SASL ids that are never refused.
    pub super_users: BTreeMap<String, String>,
    /// `metricsProvider.<name>`, other than those of the table.
    pub metrics_properties: BTreeMap<String, String>,
    /// Keys that nobody knows; in the original they would be system properties `zookeeper.<key>`.
    pub unknown: BTreeMap<String, String>,
    /// Where the values that are not defaults come from, by the key's name.
    pub origins: BTreeMap<&'static str, Origin>,
    /// Remarks for the log, in the order they came up.
    pub notes: Vec<Note>,
    /// The server was told nothing at its start, neither a file nor a port.
    pub embedded: bool,
}

/// The value of one key as it is in force.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The key.
    pub key: &'static Key,
    /// Its value as text; a secret is not shown.
    pub text: String,
    /// Where it comes from; `None` is the default.
    pub origin: Option<Origin>,
}

/// What a server runs with when it is given no file.
///
/// tickTime is 2000 and not the default 3000: nearly every zoo.cfg in use says so, and clients are tuned to the session
/// timeouts of 4 to 40 seconds that come of it. Purging is on, because nobody watches the folder of a first try.
const EMBEDDED: &str = "\
dataDir=./data
clientPort=2181
clientPortAddress=127.0.0.1
admin.serverAddress=127.0.0.1
tickTime=2000
autopurge.purgeInterval=1
4lw.commands.whitelist=srvr,ruok,stat,mntr,conf,cons,dump,envi,isro,wchs,otop,wcnt
";

/// Longest file of a configuration that is read.
const FILE_BYTES_MAX: u64 = 16 << 20;

const USAGE: &str = "give a configuration file, or: port dataDir [tickTime] [maxClientCnxns]";

impl Config {
    /// Reads a zoo.cfg and what it names (myid, the dynamic file), with the system properties below it.
    pub fn load(path: &Path, system: &SystemProperties) -> Result<Self, ConfigError> {
        Self::parse(&read_file(path)?, path, system).map_err(|error| error.in_file(path))
    }

    /// The same, for a file that is read already.
    pub fn parse(bytes: &[u8], path: &Path, system: &SystemProperties) -> Result<Self, ConfigError> {
        let properties = Properties::parse(bytes)?;
        let mut config = Self::default();
        config.more.file = Some(path.to_owned());
        config.more.text = Some(Secret::new(decode(bytes)));
        config.take_system(system)?;
        config.take_lines(&properties)?;
        config.take_ensemble(&properties)?;
        config.finish()?;
        Ok(config)
    }

    /// What `oxkeeper` without a file runs with: a standalone server for this machine alone.
    pub fn embedded_default() -> Self {
        match Self::embedded(&SystemProperties::default()) {
            Ok(config) => config,
            Err(error) => panic!("the embedded configuration is wrong: {error}"),
        }
    }

    /// The same, with system properties above it.
    pub fn embedded(system: &SystemProperties) -> Result<Self, ConfigError> {
        let properties = Properties::parse(EMBEDDED.as_bytes())?;
        let mut config = Self::default();
        config.take_lines(&properties)?;
        config.more.origins.clear();
        config.more.embedded = true;
        config.take_system(system)?;
        config.finish()?;
        Ok(config)
    }

    /// The two forms of the original's command line: a file, or `port dataDir [tickTime] [maxClientCnxns]`.
    pub fn from_arguments(words: &[String], system: &SystemProperties) -> Result<Self, ConfigError> {
        const NAMES: [&str; 4] = [name::client_port, name::data_dir, name::tick_time_ms, name::max_client_cnxns];
        match words.len() {
            1 => Self::load(Path::new(&words[0]), system),
            2..=4 => {
                let mut config = Self::default();
                config.take_system(system)?;
                for (name, word) in NAMES.into_iter().zip(words) {
                    let entry = Entry::find(name).expect("these names come from the table");
                    config.set(entry, word, Origin::Argument)?;
                }
                config.finish()?;
                Ok(config)
            }
            0 => Err(ConfigError::new(format!("no configuration: {USAGE}"))),
            _ => Err(ConfigError::new(format!("too many arguments: {USAGE}"))),
        }
    }

    /// Every key with the value in force, in the order of the table.
    pub fn effective(&self) -> impl Iterator<Item = Setting> {
        ENTRIES.iter().map(|entry| Setting {
            key: &entry.key,
            text: (entry.text)(self),
            origin: self.more.origins.get(entry.key.name).copied(),
        })
    }

    /// Says every remark through the process's log.
    pub fn log_notes(&self) {
        self.more.notes.iter().for_each(Note::log);
    }

    pub(super) fn note(&mut self, loudness: Loudness, key: &str, line: Option<usize>, text: impl Into<String>) {
        self.more.notes.push(Note::new(loudness, key, line, text));
    }

    /// Whether the operator has said this key.
    pub fn is_said(&self, name: &str) -> bool {
        self.more.origins.contains_key(name)
    }

    fn take_system(&mut self, system: &SystemProperties) -> Result<(), ConfigError> {
        self.more.notes.extend(system.notes.iter().cloned());
        for entry in ENTRIES {
            let names = [entry.key.alias.map(Into::into), entry.key.system_property()];
            // The alias first, so that the name proper overrides it.
            for name in names.into_iter().flatten() {
                if let Some(property) = system.get(&name) {
                    self.set(entry, &property.value, Origin::System(property.origin)).map_err(|error| ConfigError {
                        key: Some(format!("-D{name}, from {}", property.origin)),
                        ..error
                    })?;
                }
            }
        }
        for (name, property) in system.iter() {
            self.take_other_property(name, &property.value);
        }
        Ok(())
    }

    /// System properties without a row: families, and the ones that look like a mistake.
    fn take_other_property(&mut self, name: &str, value: &str) {
        if ENTRIES.iter().any(|entry| {
            entry.key.alias == Some(name) || entry.key.source == Source::SystemOnly && entry.key.name == name
        }) {
            return;
        }
        let shown_name = format!("-D{name}");
        let Some(short) = name.strip_prefix("zookeeper.") else {
            if Entry::find(name).is_some_and(|entry| entry.key.source == Source::Property) {
                let text = format!("has no effect; the property is called zookeeper.{name}");
                self.note(Loudness::Warn, &shown_name, None, text);
            }
            return;
        };
        match Entry::find(short).map(|entry| entry.key.source) {
            Some(Source::Property | Source::Both) => {}
            Some(Source::ZooCfg) => {
                self.note(
                    Loudness::Warn,
                    &shown_name,
                    None,
                    format!("has no effect; {short} can be said in zoo.cfg only"),
                );
            }
            Some(Source::SystemOnly) => {
                self.note(Loudness::Warn, &shown_name, None, format!("has no effect; the property is called {short}"));
            }
            None if self.take_family(short, value, None) || is_log_setting(short) => {}
            None => {
                self.more.unknown.insert(short.to_owned(), value.to_owned());
                self.note(Loudness::Warn, &shown_name, None, "is not known and has no effect");
            }
        }
    }

    fn take_lines(&mut self, properties: &Properties) -> Result<(), ConfigError> {
        for line in &properties.replaced {
            let last = properties.get(&line.key).map_or(0, |last| last.line);
            self.note(Loudness::Warn, &line.key, Some(line.line), format!("given again on line {last}, which counts"));
        }
        for line in &properties.entries {
            match Entry::find(&line.key) {
                Some(entry) if entry.key.source == Source::SystemOnly => {
                    let text = format!("has no effect here; give it to the process as -D{}={}", line.key, line.value);
                    self.note(Loudness::Warn, &line.key, Some(line.line), text);
                }
                Some(entry) => self
                    .set(entry, &line.value, Origin::Line(line.line))
                    .map_err(|error| error.at_line(Some(line.line)))?,
                None if Ensemble::owns(&line.key) || line.key == "version" => {}
                None if self.take_family(&line.key, &line.value, Some(line.line)) => {}
                None => self.take_unknown(line),
            }
        }
        Ok(())
    }

    /// Keys whose last part is free.
    fn take_family(&mut self, key: &str, value: &str, line: Option<usize>) -> bool {
        let value = value.to_owned();
        if let Some(name) = key.strip_prefix(AUTH_PROVIDER.prefix) {
            match super::rules::scheme_of_class(&value) {
                Some("digest" | "ip") => {}
                Some(_) => self.no_effect_yet(AUTH_PROVIDER.applies, key, line),
                None => {
                    let text =
                        format!("{} is not built in, and classes cannot be loaded; it adds no scheme", shown(&value));
                    self.note(Loudness::Warn, key, line, text);
                }
            }
            self.more.auth_providers.insert(name.to_owned(), value);
        } else if key.starts_with(SUPER_USER.prefix) {
            self.no_effect_yet(SUPER_USER.applies, key, line);
            self.more.super_users.insert(key.to_owned(), value);
        } else if let (Some(name), Some(_)) = (key.strip_prefix(METRICS.prefix), line) {
            self.no_effect_yet(METRICS.applies, key, line);
            self.more.metrics_properties.insert(name.to_owned(), value);
        } else {
            return false;
        }
        true
    }

    fn take_unknown(&mut self, line: &Property) {
        let meant = line.key.strip_prefix("zookeeper.").unwrap_or(&line.key);
        let known = ENTRIES.iter().find(|entry| entry.key.name.eq_ignore_ascii_case(meant));
        let text = match known {
            Some(entry) if entry.key.source != Source::SystemOnly => {
                format!("is not known and has no effect; did you mean {}?", entry.key.name)
            }
            _ => "is not known and has no effect".to_owned(),
        };
        self.note(Loudness::Warn, &line.key, Some(line.line), text);
        self.more.unknown.insert(line.key.clone(), line.value.clone());
    }

    /// Gives a key its value, or its default where the original falls back to that.
    fn set(&mut self, entry: &'static Entry, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let key = &entry.key;
        let line = origin.line();
        let reading = match (key.source, key.reading, line) {
            (Source::Both, Reading::Bool, None) => Reading::Truth,
            (_, reading, _) => reading,
        };
        let set = |config: &mut Self, value| (entry.set)(config, value);
        match reading.read(text).and_then(|value| set(self, value.clone()).map(|()| value)) {
            Ok(value) if text != key.default => self.keep_in_bounds(entry, value, line)?,
            Ok(_) => {}
            Err(why) if reading.falls_back() => {
                key.default_value()
                    .and_then(|value| set(self, value))
                    .map_err(|why| ConfigError::key(key.name, why))?;
                self.note(Loudness::Warn, key.name, line, format!("{why}; the default is used"));
            }
            Err(why) => return Err(refusal(key, line, why)),
        }
        if let Some(meaning) = reading.odd_switch(text) {
            self.note(Loudness::Warn, key.name, line, format!("{} means {meaning} here", shown(text)));
        }
        if text != key.default {
            self.no_effect_yet(key.applies, key.name, line);
        }
        self.more.origins.insert(key.name, origin);
        Ok(())
    }

    fn keep_in_bounds(&mut self, entry: &Entry, value: Value, line: Option<usize>) -> Result<(), ConfigError> {
        let (key, Value::Int(number)) = (&entry.key, value) else { return Ok(()) };
        let why = match key.bound {
            Bound::AtLeast(least) if number < least => format!("{number} is too small; it must be at least {least}"),
            Bound::Only(only) if number != only => format!("{number} is not supported; only {only} is"),
            Bound::RaisedTo(least) if number < least => {
                self.note(Loudness::Warn, key.name, line, format!("{number} is too small; {least} is used"));
                return (entry.set)(self, Value::Int(least)).map_err(|why| refusal(key, line, why));
            }
            _ => return Ok(()),
        };
        Err(refusal(key, line, why))
    }

    fn no_effect_yet(&mut self, applies: Applies, key: &str, line: Option<usize>) {
        let Some(text) = applies.no_effect() else { return };
        let loudness = match applies {
            Applies::Operations | Applies::Security => Loudness::Warn,
            _ => Loudness::Info,
        };
        self.note(loudness, key, line, text);
    }
}

/// The whole of a file, unless it is no configuration by its size: a device, or a log by mistake.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    match read {
        Ok(length) if length as u64 > FILE_BYTES_MAX => {
            Err(ConfigError::new(format!("is longer than {FILE_BYTES_MAX} bytes")))
        }
        Ok(_) => Ok(bytes),
        Err(error) => Err(ConfigError::new(format!("cannot be read: {error}"))),
    }
    .map_err(|error| error.in_file(path))
}

/// The original meets a wrong zoo.cfg key while it reads the file, and a wrong property in the class that uses it:
/// the first ends with the code for configurations, the second with the one for the unexpected.
fn refusal(key: &Key, line: Option<usize>, why: String) -> ConfigError {
    let exit = match key.source {
        Source::ZooCfg => ExitCode::Config,
        Source::Both if line.is_some() => ExitCode::Config,
        Source::Property | Source::Both | Source::SystemOnly => ExitCode::Unexpected,
    };
    ConfigError::key(key.name, why).exit_with(exit)
}

/// What zkServer.sh and its like tell the original's log; the log here is told otherwise.
fn is_log_setting(name: &str) -> bool {
    ["log.", "console.", "root.", "auditlog.", "tracelog."].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_can_be_read() {
        let config = Config::default();
        for setting in config.effective() {
            assert!(setting.origin.is_none(), "{} has a value before anything was said", setting.key.name);
        }
        assert_eq!(config.tick_time_ms, 3000);
    }

    #[test]
    fn without_a_file_the_server_is_for_this_machine_alone() {
        let config = Config::embedded_default();
        assert_eq!((config.client_port, config.client_port_address), (Some(2181), Some([127, 0, 0, 1].into())));
        assert_eq!(
            (config.tick_time_ms, config.min_session_timeout_ms, config.max_session_timeout_ms),
            (2000, 4000, 40000)
        );
        assert_eq!(config.data_dir, Path::new("./data"));
        assert_eq!(config.data_log_dir, config.data_dir);
        assert!(config.four_letter_word_allowed("ruok") && !config.four_letter_word_allowed("wchp"));
        assert!(!config.is_quorum());
        assert_eq!(config.more.notes, []);
    }
}
