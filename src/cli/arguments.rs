//! The command line of `oxkeeper cli`, which is that of zkCli.sh (`ZooKeeperMain.MyCommandOptions`), connect strings and
//! the file of -client-configuration. Opens nothing but that file.

use super::console::Format;
use super::path::check;
use super::session::Settings;
use crate::config::{Properties, SystemProperties};
use std::time::Duration;

/// What is shown for --help.
pub const HELP: &str = "\
Usage: oxkeeper cli [-server host:port[,host:port...][/chroot]] [-timeout ms] [-r] [-waitforconnection]
                    [-client-configuration file] [--format text|json] [-q] [command [arguments]]

ZooKeeper's shell: with a command it runs that one and ends, without it asks for commands (try `help`).

  -server                where to connect (default localhost:2181); a path behind it is taken for the root
  -timeout               session timeout to ask for, ms (default 30000)
  -r                     a server that only reads will do
  -waitforconnection     wait until connected before the command runs, at most for the timeout
  -client-configuration  a properties file; zookeeper.request.timeout is understood
  --format json          results as JSON, one object a line, errors as JSON on standard error
  -q                     no news of the connection

Exit codes of one command: 0 done, 1 failed, 2 wrong configuration, 127 no such command.
";

/// The server that zkCli.sh takes without a word.
const SERVER: &str = "localhost:2181";
/// The session timeout that zkCli.sh takes without a word, ms.
const TIMEOUT: &str = "30000";

/// A command line.
#[derive(Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The connect string.
    pub server: String,
    /// Session timeout as written.
    timeout: String,
    /// Whether a server that only reads will do.
    read_only: bool,
    /// Whether to wait until connected.
    pub wait: bool,
    /// A properties file.
    configuration: Option<String>,
    /// How results are printed.
    pub format: Format,
    /// No news of the connection.
    pub quiet: bool,
    /// Only the help is wanted.
    pub help: bool,
    /// The command, if one is given.
    pub command: Vec<String>,
    /// What is wrong with the line; the rest counts all the same, as in the original.
    pub mistake: Option<String>,
}

impl Arguments {
    /// Reads a command line. As in the original, options that nobody knows are skipped.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Self {
        let mut found = Arguments {
            server: SERVER.into(),
            timeout: TIMEOUT.into(),
            read_only: false,
            wait: false,
            configuration: None,
            format: Format::Text,
            quiet: false,
            help: false,
            command: Vec::new(),
            mistake: None,
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--format=").map_or(word.as_str(), |_| "--format");
            let value = match name {
                "-server" | "-timeout" | "-client-configuration" => words.next(),
                "--format" => word.strip_prefix("--format=").map(str::to_owned).or_else(|| words.next()),
                _ => Some(String::new()),
            };
            let Some(value) = value else {
                found.mistake = Some(format!("Error: no argument found for option {word}"));
                return found;
            };
            match name {
                "-server" => found.server = value,
                "-timeout" => found.timeout = value,
                "-client-configuration" => found.configuration = Some(value),
                "--format" if value == "json" => found.format = Format::Json,
                "--format" if value == "text" => found.format = Format::Text,
                "--format" => found.mistake = Some(format!("Error: --format is text or json, not {value}")),
                "-r" => found.read_only = true,
                "-waitforconnection" => found.wait = true,
                "-q" => found.quiet = true,
                "--help" => found.help = true,
                _ if word.starts_with('-') => {}
                _ => {
                    found.command = std::iter::once(word).chain(words).collect();
                    return found;
                }
            }
        }
        found
    }

    /// How long a session may be silent.
    pub fn timeout(&self) -> Result<Duration, String> {
        let number = self.timeout.parse::<i32>().map_err(|_| format!("For input string: \"{}\"", self.timeout))?;
        u64::try_from(number)
            .map(Duration::from_millis)
            .map_err(|_| format!("sessionTimeout {number} is not valid, zero or positive value is required"))
    }
}

/// What the file of -client-configuration and the system properties say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Configuration {
    request_timeout: Option<Duration>,
}

impl Configuration {
    /// Reads the file, and `-D` words of CLIENT_JVMFLAGS and JVMFLAGS, which the file overrules.
    pub fn load(arguments: &Arguments, client_flags: Option<&str>, flags: Option<&str>) -> Result<Self, String> {
        let (system, _) = SystemProperties::collect([], client_flags, flags);
        let file = match &arguments.configuration {
            Some(file) => {
                let wrong = |why: String| format!("Error while processing {file}: {why}");
                let bytes = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
                Properties::parse(&bytes).map_err(|error| wrong(error.to_string()))?
            }
            None => Properties::default(),
        };
        let value = |key: &str| {
            let said = || system.get(key).map(|property| property.value.as_str());
            file.get(key).map(|property| property.value.as_str()).or_else(said)
        };
        if value("zookeeper.client.secure").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Err(
                "zookeeper.client.secure=true: this client has no TLS yet, and does not fall back to plain text".into(),
            );
        }
        let request_timeout = match value("zookeeper.request.timeout") {
            Some(text) => {
                let number: i64 =
                    text.trim().parse().map_err(|_| format!("zookeeper.request.timeout={text} is no number"))?;
                u64::try_from(number).ok().filter(|ms| *ms > 0).map(Duration::from_millis)
            }
            None => None,
        };
        Ok(Configuration { request_timeout })
    }

    /// What a session to `server`, a connect string, is opened with (`ConnectStringParser`).
    pub fn settings(&self, arguments: &Arguments, server: &str) -> Result<Settings, String> {
        let (hosts, chroot) = server.split_at(server.find('/').unwrap_or(server.len()));
        let chroot = if chroot == "/" { "" } else { chroot };
        if !chroot.is_empty() {
            check(chroot, false)?;
        }
        let servers: Vec<_> =
            hosts.split(',').map(str::trim).filter(|host| !host.is_empty()).map(str::to_owned).collect();
        if servers.is_empty() {
            return Err("A HostProvider may not be empty!".into());
        }
        Ok(Settings {
            servers,
            chroot: chroot.to_owned(),
            timeout: arguments.timeout()?,
            read_only: arguments.read_only,
            request_timeout: self.request_timeout,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Arguments {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_end_where_the_command_begins() {
        let found = parse("-server h:1/c -timeout 5 -r -waitforconnection -odd ls -s /");
        assert_eq!((found.server.as_str(), found.timeout.as_str()), ("h:1/c", "5"));
        assert!(found.read_only && found.wait && !found.quiet);
        assert_eq!(found.command, ["ls", "-s", "/"]);
        assert_eq!(parse("").server, "localhost:2181");
        assert_eq!(parse("--format json get /").format, Format::Json);
        assert_eq!(parse("--format=json get /").command, ["get", "/"]);
        assert!(parse("--format=xml get /").mistake.is_some());
    }

    #[test]
    fn an_option_without_its_value_is_said_and_the_rest_counts() {
        let found = parse("-r -server");
        assert_eq!(found.mistake.as_deref(), Some("Error: no argument found for option -server"));
        assert!(found.read_only && found.server == "localhost:2181");
    }

    #[test]
    fn a_connect_string_is_servers_and_a_chroot() {
        let settings = |server: &str| Configuration::default().settings(&parse(""), server);
        let found = settings("a:1, b,[::1]:3/x/y").unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(
            (found.servers.as_slice(), found.chroot.as_str()),
            (&["a:1", "b", "[::1]:3"].map(String::from)[..], "/x/y")
        );
        assert_eq!(settings("a/").map(|found| found.chroot), Ok(String::new()));
        assert_eq!(settings("/x").err().as_deref(), Some("A HostProvider may not be empty!"));
        assert_eq!(settings("a/x/").err().as_deref(), Some("Path must not end with / character"));
        assert_eq!(parse("-timeout x").timeout(), Err("For input string: \"x\"".into()));
        assert!(parse("-timeout -1").timeout().is_err());
    }

    #[test]
    fn flags_and_file_say_how_to_connect() {
        let load = |flags| Configuration::load(&parse(""), Some(flags), None);
        assert_eq!(
            load("-Xmx256m -Dzookeeper.request.timeout=1500"),
            Ok(Configuration { request_timeout: Some(Duration::from_millis(1500)) })
        );
        assert!(load("-Dzookeeper.client.secure=true").is_err());
        assert!(Configuration::load(&parse("-client-configuration /no/such/file"), None, None).is_err());
    }
}
