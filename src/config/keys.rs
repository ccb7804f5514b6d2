//! What is known of each key: name, reading, default, unit, bound, where it applies, one line for the operator.
//! Holds the macro that makes the typed `Config` from the one table; the rows themselves are in `table.rs`.
//! Must not know files or the order of loading: that is `load.rs`.

use std::borrow::Cow;

use super::table::Config;
use super::value::{Field, Reading, Value};

/// Where a key may be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Only in zoo.cfg, under its name.
    ZooCfg,
    /// As `-Dzookeeper.<name>`, or in zoo.cfg under its name, which wins.
    Property,
    /// The same, but read from zoo.cfg as strictly as the keys that only zoo.cfg knows.
    Both,
    /// Only as `-D<name>`: the original gives zoo.cfg no way to say it.
    SystemOnly,
}

/// Which part of the server a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// A standalone server obeys it.
    Now,
    /// Ensembles: accepted, no effect yet.
    Ensemble,
    /// Admin server, metrics, audit and other help for operators: accepted, no effect yet.
    Operations,
    /// TLS, SASL and Kerberos: accepted, no effect yet.
    Security,
    /// Tunes the Java implementation; accepted, never has an effect here.
    JvmOnly,
    /// Read by the client library; accepted, never has an effect in a server.
    ClientOnly,
}

impl Applies {
    /// Why a key of this kind does nothing here, or `None` if it does something.
    pub fn no_effect(self) -> Option<&'static str> {
        match self {
            Self::Now => None,
            Self::Ensemble => Some("accepted, no effect yet: needs the ensemble part"),
            Self::Operations => Some("accepted, no effect yet: needs the operations part"),
            Self::Security => Some("accepted, no effect yet: needs the TLS and SASL part"),
            Self::JvmOnly => Some("accepted, never has an effect: it tunes the Java implementation"),
            Self::ClientOnly => Some("accepted, never has an effect: it is read by clients, not by servers"),
        }
    }
}

/// The unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain number, or no number.
    None,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Multiples of tickTime.
    Ticks,
    /// Bytes.
    Bytes,
    /// Kilobytes of 1024 bytes.
    Kilobytes,
}

impl Unit {
    /// The unit in words, or nothing.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Milliseconds => "milliseconds",
            Self::Seconds => "seconds",
            Self::Minutes => "minutes",
            Self::Hours => "hours",
            Self::Ticks => "ticks",
            Self::Bytes => "bytes",
            Self::Kilobytes => "kilobytes",
        }
    }
}

/// What happens to a number that is too small or too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Every number of the field's type is fine.
    None,
    /// Below it, the server refuses to start.
    AtLeast(i64),
    /// Below it, it is used instead, with a warning.
    RaisedTo(i64),
    /// Any other number refuses to start.
    Only(i64),
}

/// Everything known of one key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The name in zoo.cfg; for [`Source::SystemOnly`] the name of the system property.
    pub name: &'static str,
    /// Where it may be said.
    pub source: Source,
    /// A second system property that says the same, weaker than the first.
    pub alias: Option<&'static str>,
    /// How its text is read.
    pub reading: Reading,
    /// The text of the default; empty when there is none.
    pub default: &'static str,
    /// What the default amounts to when it is computed from other keys.
    pub default_note: &'static str,
    /// The unit.
    pub unit: Unit,
    /// The bound.
    pub bound: Bound,
    /// The part it belongs to.
    pub applies: Applies,
    /// The heading it stands under in the sample file.
    pub topic: &'static str,
    /// One line for the operator.
    pub doc: &'static str,
}

impl Key {
    const fn new(
        name: &'static str,
        source: Source,
        reading: Reading,
        default: &'static str,
        applies: Applies,
    ) -> Self {
        Self {
            name,
            source,
            alias: None,
            reading,
            default,
            default_note: "",
            unit: Unit::None,
            bound: Bound::None,
            applies,
            topic: "",
            doc: "",
        }
    }

    /// A key that only zoo.cfg knows.
    pub(super) const fn cfg(name: &'static str, reading: Reading, default: &'static str, applies: Applies) -> Self {
        Self::new(name, Source::ZooCfg, reading, default, applies)
    }

    /// A key that is also the system property `zookeeper.<name>`.
    pub(super) const fn prop(name: &'static str, reading: Reading, default: &'static str, applies: Applies) -> Self {
        Self::new(name, Source::Property, reading, default, applies)
    }

    /// A key of zoo.cfg that is also the system property `zookeeper.<name>`.
    pub(super) const fn both(name: &'static str, reading: Reading, default: &'static str, applies: Applies) -> Self {
        Self::new(name, Source::Both, reading, default, applies)
    }

    /// A system property that zoo.cfg cannot say.
    pub(super) const fn system(name: &'static str, reading: Reading, default: &'static str, applies: Applies) -> Self {
        Self::new(name, Source::SystemOnly, reading, default, applies)
    }

    pub(super) const fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    pub(super) const fn bound(mut self, bound: Bound) -> Self {
        self.bound = bound;
        self
    }

    pub(super) const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    pub(super) const fn otherwise(mut self, note: &'static str) -> Self {
        self.default_note = note;
        self
    }

    pub(super) const fn described(mut self, topic: &'static str, doc: &'static str) -> Self {
        self.topic = topic;
        self.doc = doc;
        self
    }

    /// The system property that says the same, if there is one.
    pub fn system_property(&self) -> Option<Cow<'static, str>> {
        match self.source {
            Source::ZooCfg => None,
            Source::Property | Source::Both => Some(format!("zookeeper.{}", self.name).into()),
            Source::SystemOnly => Some(self.name.into()),
        }
    }

    /// The default as a value.
    pub(super) fn default_value(&self) -> Result<Value, String> {
        match self.reading {
            Reading::List => self.reading.read(self.default),
            Reading::Choice(_) | Reading::ChoiceOrDefault(_) if self.default.is_empty() => {
                Ok(Value::Text(String::new()))
            }
            _ if self.default.is_empty() => Ok(Value::Text(String::new())),
            _ => self.reading.read(self.default),
        }
    }
}

/// A key and its field.
pub struct Entry {
    /// What is known of the key.
    pub key: Key,
    pub(super) set: fn(&mut Config, Value) -> Result<(), String>,
    pub(super) text: fn(&Config) -> String,
}

impl Entry {
    /// The entry of a zoo.cfg key (or, for [`super::keys::Source::SystemOnly`], of a property).
    pub fn find(name: &str) -> Option<&'static Entry> {
        super::table::ENTRIES.iter().find(|entry| entry.key.name == name)
    }
}

/// The default of a field; a test reads each once.
pub(super) fn default_of<T: Field>(key: &Key) -> T {
    match key.default_value().and_then(T::from_value) {
        Ok(value) => value,
        Err(why) => panic!("the default of {} in the table of keys: {why}", key.name),
    }
}

/// Keys whose last part is free.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// What such a key begins with.
    pub prefix: &'static str,
    /// A line as it may stand in zoo.cfg.
    pub example: &'static str,
    /// The heading it stands under in the sample file.
    pub topic: &'static str,
    /// The part it belongs to.
    pub applies: Applies,
    /// One line for the operator.
    pub doc: &'static str,
}

/// Makes the typed `Config`, its defaults, the table and the names from one list of rows.
macro_rules! config_keys {
    ($( $topic:literal { $( $field:ident : $type:ty = $key:expr, $doc:literal; )* } )*) => {
        /// Everything a server is told by its operator, typed, with defaults filled in. Made from the table of keys.
        ///
        /// `Config::default()` is the bare table: values that depend on others are not derived yet, and there is no
        /// dataDir. `load`, `embedded` and `from_arguments` give one that a server may run with.
        #[derive(Clone, Debug)]
        pub struct Config {
            $($( #[doc = $doc] pub $field: $type, )*)*
            /// What does not come from a row of the table.
            pub more: super::load::More,
        }

        impl Default for Config {
            fn default() -> Self {
                Self {
                    $($( $field: super::keys::default_of(&$key.described($topic, $doc)), )*)*
                    more: super::load::More::default(),
                }
            }
        }

        /// The names of the keys, each called like its field.
        #[allow(non_upper_case_globals)]
        pub(super) mod name {
            use super::*;
            $($( #[doc = $doc] #[allow(dead_code)] pub const $field: &str = $key.name; )*)*
        }

        /// The table.
        pub static ENTRIES: &[super::keys::Entry] = &[
            $($(
                super::keys::Entry {
                    key: $key.described($topic, $doc),
                    set: |config, value| {
                        config.$field = super::value::Field::from_value(value)?;
                        Ok(())
                    },
                    text: |config| super::value::Field::text(&config.$field),
                },
            )*)*
        ];
    };
}
pub(super) use config_keys;
