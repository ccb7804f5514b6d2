//! System properties: `-Dkey=value` words of the command line and of the variables that zkServer.sh users set.
//! Knows no key; flags that only a Java virtual machine understands are left out with a remark. Next room: `load.rs`.
//! The caller brings the words: nothing here looks at the process.

use std::collections::BTreeMap;

use super::error::{Loudness, Note};

/// A system property and where it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemProperty {
    /// Its value.
    pub value: String,
    /// Where it was said, for messages.
    pub origin: &'static str,
}

/// The system properties of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemProperties {
    properties: BTreeMap<String, SystemProperty>,
    /// Remarks about words that were left out.
    pub notes: Vec<Note>,
}

impl SystemProperties {
    /// Collects the properties of SERVER_JVMFLAGS, JVMFLAGS and the command line, the later the stronger,
    /// and gives back the words of the command line that are something else.
    pub fn collect(
        arguments: impl IntoIterator<Item = String>,
        server_jvmflags: Option<&str>,
        jvmflags: Option<&str>,
    ) -> (Self, Vec<String>) {
        let mut found = Self::default();
        for (variable, text) in [("SERVER_JVMFLAGS", server_jvmflags), ("JVMFLAGS", jvmflags)] {
            for word in text.map(words).unwrap_or_default() {
                if !found.define(&word, variable) {
                    found.ignore(&word, variable);
                }
            }
        }
        let mut rest = Vec::new();
        for word in arguments {
            if found.define(&word, "the command line") {
                continue;
            }
            if is_jvm_flag(&word) { found.ignore(&word, "the command line") } else { rest.push(word) }
        }
        (found, rest)
    }

    /// Properties given one by one.
    pub fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut found = Self::default();
        for (key, value) in pairs {
            found.set(key, value, "the command line");
        }
        found
    }

    /// The value of a property.
    pub fn get(&self, key: &str) -> Option<&SystemProperty> {
        self.properties.get(key)
    }

    /// All of them, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SystemProperty)> {
        self.properties.iter().map(|(key, property)| (key.as_str(), property))
    }

    fn set(&mut self, key: &str, value: &str, origin: &'static str) {
        self.properties.insert(key.to_owned(), SystemProperty { value: value.to_owned(), origin });
    }

    fn define(&mut self, word: &str, origin: &'static str) -> bool {
        let Some(definition) = word.strip_prefix("-D").filter(|definition| !definition.is_empty()) else {
            return false;
        };
        let (key, value) = definition.split_once('=').unwrap_or((definition, ""));
        self.set(key, value, origin);
        true
    }

    fn ignore(&mut self, word: &str, origin: &str) {
        self.notes.push(Note::general(
            Loudness::Debug,
            format!("{word:?} in {origin} is for a Java virtual machine; left out"),
        ));
    }
}

/// Flags of the `java` command that may stand before its main class and mean nothing here.
fn is_jvm_flag(word: &str) -> bool {
    const PREFIXES: [&str; 9] =
        ["-X", "-javaagent:", "-agentlib:", "-agentpath:", "-ea", "-esa", "--add-opens", "--add-exports", "-verbose:"];
    word == "-server" || PREFIXES.iter().any(|prefix| word.starts_with(prefix))
}

/// Words as a shell would make them: quotes keep blanks, and a backslash keeps a blank, a quote or itself.
/// Any other backslash stays, because zkServer.sh expands these variables without another look at them
/// and Kerberos name rules are full of them.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                let keeps = |next: &char| {
                    matches!(next, '"' | '\\') || quote.is_none() && (*next == '\'' || next.is_whitespace())
                };
                let kept = characters.next_if(keeps).unwrap_or('\\');
                word.get_or_insert_default().push(kept);
            }
            (_, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (_, None) if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
