//! What a running server shows of its configuration: the text of zoo.cfg and what would be Java's system properties, both
//! without passwords. Knows no server and no socket.

use super::keys::Entry;
use super::properties::Properties;
use super::table::{Config, name};
use super::value::Reading;

/// Stands for a secret.
const HIDDEN: &str = "***";

impl Config {
    /// The text of zoo.cfg as found at the start, with the values of secret keys hidden; `None` without a file.
    pub fn shown_text(&self) -> Option<String> {
        let text = self.more.text.as_ref()?.expose();
        let properties = Properties::parse(text.as_bytes()).unwrap_or_default();
        let secret = |key: &str| Entry::find(key).is_some_and(|entry| matches!(entry.key.reading, Reading::Secret));
        let lines = properties.entries.iter().chain(&properties.replaced).filter(|line| secret(&line.key));
        let hidden: Vec<(usize, &str)> = lines.map(|line| (line.line, line.key.as_str())).collect();
        let (mut out, mut skipping) = (String::with_capacity(text.len()), false);
        for (at, line) in text.split_inclusive('\n').enumerate() {
            let content = line.trim_end_matches(['\n', '\r']);
            // An odd number of backslashes at the end: the value goes on in the next line.
            let goes_on = content.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1;
            let starts = hidden.iter().find(|(number, _)| *number == at + 1);
            if let Some((_, key)) = starts {
                out.push_str(&format!("{key}={HIDDEN}\n"));
                skipping = goes_on;
            } else if skipping {
                skipping = goes_on;
            } else {
                out.push_str(line);
            }
        }
        Some(out)
    }

    /// Keys that are system properties in the original and that somebody has said, with their values; secrets hidden.
    pub fn shown_properties(&self) -> Vec<(String, String)> {
        let said = self.effective().filter(|setting| setting.origin.is_some());
        let known = said.filter_map(|setting| {
            let name = setting.key.system_property()?.into_owned();
            let secret = matches!(setting.key.reading, Reading::Secret);
            Some((name, if secret { HIDDEN.to_owned() } else { setting.text }))
        });
        let named = |(key, value): (&String, &String)| (format!("zookeeper.{key}"), value.clone());
        let super_users = self.more.super_users.iter().map(named);
        // Nobody knows whether these are secrets.
        let unknown = self.more.unknown.keys().map(|key| (format!("zookeeper.{key}"), HIDDEN.to_owned()));
        known.chain(super_users).chain(unknown).collect()
    }

    /// Whether the port of the admin server was chosen by nobody: the server was told nothing at its start.
    pub fn is_embedded_admin_port(&self) -> bool {
        self.more.embedded && !self.is_said(name::admin_server_port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SystemProperties;
    use std::path::Path;

    fn parsed(text: &str) -> Config {
        Config::parse(text.as_bytes(), Path::new("zoo.cfg"), &SystemProperties::default()).unwrap()
    }

    #[test]
    fn secrets_are_hidden_however_they_are_written() {
        let text = "dataDir=/d\nssl.keyStore.password = hush\n# a remark\nssl.trustStore.password:one\\\n   two\\\n three\n\
                    DigestAuthenticationProvider.superDigest super:hash\nssl.keyStore.password=later\ntickTime=2000";
        let config = parsed(text);
        let shown = config.shown_text().unwrap();
        let expected = "dataDir=/d\nssl.keyStore.password=***\n# a remark\nssl.trustStore.password=***\n\
                        DigestAuthenticationProvider.superDigest=***\nssl.keyStore.password=***\ntickTime=2000";
        assert_eq!(shown, expected);
        assert_eq!(Config::default().shown_text(), None);
    }

    #[test]
    fn properties_are_those_that_were_said() {
        let config = parsed("dataDir=/d\nsnapCount=7\nssl.keyStore.password=hush\nfoo=bar");
        let shown = config.shown_properties();
        let value = |name: &str| shown.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        assert_eq!(value("zookeeper.snapCount"), Some("7"));
        assert_eq!(value("zookeeper.ssl.keyStore.password"), Some("***"));
        assert_eq!(value("zookeeper.foo"), Some("***"));
        assert_eq!(value("dataDir"), None, "no property in the original");
    }
}
