//! The sample file for operators, generated from the table: every key with its default and a line of explanation.
//! Knows the table and nothing else. A test keeps `conf/zoo_sample.cfg` equal to it; to write the file again:
//! `OXKEEPER_WRITE_SAMPLE=1 cargo test --lib sample_file`.

use std::fmt::Write;

use super::keys::{Applies, Family, Key, Source};
use super::table::{ENTRIES, FAMILIES, name};

const HEAD: &str = "\
# A sample configuration: copy it to zoo.cfg and change what you need.
#
# Every key a server understands is here, with its default. A line that begins with # has no effect: to change a
# value, remove the # and write the value. Keys marked \"property\" may also be given to the process as
# -Dzookeeper.<key>=<value>; this file is stronger. This file is generated from the server's table of keys.

# The values to look at first:

";

/// The keys at the top, with the values a first standalone server wants.
const FIRST: [(&str, &str); 5] = [
    (name::data_dir, "/var/lib/zookeeper"),
    (name::client_port, "2181"),
    (name::tick_time_ms, "2000"),
    (name::init_limit_ticks, "10"),
    (name::sync_limit_ticks, "5"),
];

const LINE_CHARS_MAX: usize = 100;

/// The text of the sample file.
pub fn sample() -> String {
    let mut out = HEAD.to_owned();
    for (name, value) in FIRST {
        let entries = ENTRIES.iter().filter(|entry| entry.key.name == name);
        entries.for_each(|entry| comment(&mut out, entry.key.doc));
        line(&mut out, format_args!("{name}={value}\n"));
    }
    let mut topic = "";
    for key in ENTRIES.iter().map(|entry| &entry.key) {
        if key.topic != topic {
            families_of(&mut out, topic);
            topic = key.topic;
            line(&mut out, format_args!("#\n# {topic}\n# {}\n", "=".repeat(topic.len())));
        }
        describe(&mut out, key);
    }
    families_of(&mut out, topic);
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn describe(out: &mut String, key: &Key) {
    comment(out, key.doc);
    let kind = [key.unit.name().to_owned(), key.reading.describe()].into_iter().find(|words| !words.is_empty());
    let default = match (key.default, key.default_note) {
        ("", "") => "unset by default".to_owned(),
        ("", note) => format!("unset: {note}"),
        (_, note) => note.to_owned(),
    };
    let property = matches!(key.source, Source::Property | Source::Both).then_some("property");
    let facts = [kind.as_deref(), Some(&default), property, no_effect(key.applies)];
    let facts: Vec<_> = facts.into_iter().flatten().filter(|fact| !fact.is_empty()).collect();
    comment(out, &format!("({})", facts.join("; ")));
    match key.source {
        Source::SystemOnly => line(out, format_args!("# not in this file, but: -D{}={}\n", key.name, key.default)),
        _ => line(out, format_args!("#{}={}\n", key.name, key.default)),
    }
}

fn families_of(out: &mut String, topic: &str) {
    for family in FAMILIES.iter().filter(|family| family.topic == topic) {
        let Family { example, doc, applies, .. } = family;
        comment(out, doc);
        no_effect(*applies).iter().for_each(|fact| comment(out, &format!("({fact})")));
        line(out, format_args!("# for example: {example}\n"));
    }
}

/// Keys of the original alone stand under a heading that says so.
fn no_effect(applies: Applies) -> Option<&'static str> {
    match applies {
        Applies::Ensemble | Applies::Operations | Applies::Security | Applies::JvmOnly => applies.no_effect(),
        Applies::Now | Applies::ClientOnly => None,
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("writing to a String cannot fail");
}

/// A comment, broken between words.
fn comment(out: &mut String, text: &str) {
    let mut width = 0;
    for word in text.split(' ') {
        if width == 0 || width + 1 + word.len() > LINE_CHARS_MAX {
            out.push_str(if width == 0 { "# " } else { "\n# " });
            width = 2;
        } else {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += word.len();
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, SystemProperties};

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/zoo_sample.cfg");

    fn load(text: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("zoo.cfg");
        std::fs::write(&file, text).unwrap();
        Config::load(&file, &SystemProperties::default()).unwrap()
    }

    #[test]
    fn the_sample_file_is_the_generated_one() {
        if std::env::var_os("OXKEEPER_WRITE_SAMPLE").is_some() {
            std::fs::write(FILE, sample()).unwrap();
        }
        let found = std::fs::read_to_string(FILE).unwrap_or_default();
        assert!(found == sample(), "{FILE} is not the generated text; see the head of this module");
    }

    #[test]
    fn the_sample_file_runs_a_standalone_server() {
        let config = load(&sample());
        assert_eq!((config.data_dir.as_path(), config.client_port), (Path::new("/var/lib/zookeeper"), Some(2181)));
        assert_eq!((config.tick_time_ms, config.init_limit_ticks, config.sync_limit_ticks), (2000, 10, 5));
        assert_eq!(config.more.origins.len(), FIRST.len());
        assert!(!config.is_quorum());
    }

    #[test]
    fn every_default_of_the_sample_file_reads_back_as_the_default() {
        let is_setting = |line: &&str| line.starts_with('#') && !line.starts_with("# ") && !line.ends_with('=');
        let defaults = sample().lines().filter(is_setting).map(|line| line[1..].to_owned()).collect::<Vec<_>>();
        let said: Vec<_> = defaults.iter().filter_map(|line| line.split_once('=')).map(|(key, _)| key).collect();
        for key in ENTRIES.iter().map(|entry| &entry.key) {
            let expected = key.source != Source::SystemOnly && !key.default.is_empty();
            assert_eq!(said.contains(&key.name), expected, "{}", key.name);
        }
        let (plain, config) = (load("dataDir=d"), load(&format!("dataDir=d\n{}", defaults.join("\n"))));
        for (setting, default) in config.effective().zip(plain.effective()) {
            assert_eq!((setting.key.name, setting.text), (default.key.name, default.text));
        }
        assert_eq!(config.more.notes, [], "a default says nothing that deserves a remark");
    }
}
