//! How text becomes a value: Java's ways of reading numbers, switches and lists, one variant each.
//! Knows nothing of any key: which reading a key uses is said in the table (`table.rs`), next room `keys.rs`.
//! A `Field` is a Rust type that a value may land in.

use std::fmt;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;

/// How the original reads the text of a key, and what it does with a text it cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A decimal whole number (`Integer.parseInt`, `Long.parseLong`); anything else refuses to start.
    Int,
    /// A whole number, also hexadecimal or octal (`Integer.getInteger`, `Long.getLong`); anything else is the default.
    IntOrDefault,
    /// A decimal whole number that is caught when wrong; anything else is the default.
    DecimalOrDefault,
    /// A number with a fraction; anything else refuses to start.
    Real,
    /// A number with a fraction; anything else is the default.
    RealOrDefault,
    /// `true` or `false` in any case; anything else refuses to start.
    Bool,
    /// `true` in any case; anything else is false (`Boolean.parseBoolean`).
    Truth,
    /// Exactly `true`; anything else is false.
    ExactTrue,
    /// Anything but exactly `false`.
    UnlessFalse,
    /// Exactly `yes`; anything else is false.
    OnlyYes,
    /// Anything but exactly `no`.
    UnlessNo,
    /// Any text.
    Text,
    /// A text that must not be shown.
    Secret,
    /// A file or folder.
    Path,
    /// A host name or address, looked up when it is used.
    Host,
    /// A host name or address, looked up while reading: an unknown host refuses to start.
    Address,
    /// A Java class name.
    Class,
    /// Words between commas.
    List,
    /// One of these words, in any case; anything else refuses to start.
    Choice(&'static [&'static str]),
    /// One of these words, in any case; anything else is the default.
    ChoiceOrDefault(&'static [&'static str]),
}

/// A value between its text and its field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Real(f64),
    /// A switch.
    Bool(bool),
    /// A text.
    Text(String),
    /// Words.
    List(Vec<String>),
    /// A looked-up address.
    Address(IpAddr),
}

impl Reading {
    /// Reads `text`; `Err` says in words what was expected.
    pub fn read(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Int | Self::DecimalOrDefault => whole_number(text).map(Value::Int),
            Self::IntOrDefault => decoded_number(text).map(Value::Int),
            Self::Real | Self::RealOrDefault => real_number(text).map(Value::Real),
            Self::Bool => strict_bool(text).map(Value::Bool),
            Self::Truth => Ok(Value::Bool(text.eq_ignore_ascii_case("true"))),
            Self::ExactTrue => Ok(Value::Bool(text == "true")),
            Self::UnlessFalse => Ok(Value::Bool(text != "false")),
            Self::OnlyYes => Ok(Value::Bool(text == "yes")),
            Self::UnlessNo => Ok(Value::Bool(text != "no")),
            Self::Text | Self::Secret | Self::Path | Self::Host | Self::Class => Ok(Value::Text(text.to_owned())),
            Self::Address => resolve(text).map(Value::Address),
            Self::List => Ok(Value::List(words(text))),
            Self::Choice(choices) | Self::ChoiceOrDefault(choices) => choice(text, choices).map(Value::Text),
        }
    }

    /// Whether a text that cannot be read means the default (with a warning) instead of a refusal.
    pub fn falls_back(self) -> bool {
        matches!(self, Self::IntOrDefault | Self::DecimalOrDefault | Self::RealOrDefault | Self::ChoiceOrDefault(_))
    }

    /// The text that a switch would be written as, when `text` is not one of its two usual words.
    /// `None`: the text is unambiguous, or this is no switch.
    pub fn odd_switch(self, text: &str) -> Option<&'static str> {
        let (usual, meaning): (&[&str], _) = match self {
            Self::Truth | Self::ExactTrue => (&["true", "false"], "false"),
            Self::UnlessFalse => (&["true", "false"], "true"),
            Self::OnlyYes => (&["yes", "no"], "no"),
            Self::UnlessNo => (&["yes", "no"], "yes"),
            _ => return None,
        };
        let any_case = self == Self::Truth;
        let known = usual.iter().any(|word| if any_case { word.eq_ignore_ascii_case(text) } else { *word == text });
        (!known).then_some(meaning)
    }

    /// The words an operator may choose from, for the sample file.
    pub fn describe(self) -> String {
        match self {
            Self::Int | Self::IntOrDefault | Self::DecimalOrDefault => "a number".into(),
            Self::Real | Self::RealOrDefault => "a number with a fraction".into(),
            Self::Bool | Self::Truth | Self::ExactTrue | Self::UnlessFalse => "true or false".into(),
            Self::OnlyYes | Self::UnlessNo => "yes or no".into(),
            Self::Text => "text".into(),
            Self::Secret => "secret text".into(),
            Self::Path => "a path".into(),
            Self::Host | Self::Address => "a host name or address".into(),
            Self::Class => "a class name".into(),
            Self::List => "words between commas".into(),
            Self::Choice(choices) | Self::ChoiceOrDefault(choices) => {
                let words: Vec<_> = choices.iter().map(|c| if c.is_empty() { "nothing" } else { c }).collect();
                format!("one of: {}", words.join(", "))
            }
        }
    }
}

/// `Integer.parseInt` / `Long.parseLong`: decimal digits with an optional sign.
pub fn whole_number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("{} is not a whole number", shown(text)))
}

/// `Integer.decode`: like [`whole_number`], and `0x..`, `#..` hexadecimal, `0..` octal.
fn decoded_number(text: &str) -> Result<i64, String> {
    let wrong = || format!("{} is not a whole number", shown(text));
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = if let Some(hex) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        (16, hex)
    } else if let Some(hex) = rest.strip_prefix('#') {
        (16, hex)
    } else if rest.len() > 1 && rest.starts_with('0') {
        (8, &rest[1..])
    } else {
        (10, rest)
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(wrong());
    }
    let magnitude = i128::from_str_radix(digits, radix).map_err(|_| wrong())?;
    i64::try_from(if negative { -magnitude } else { magnitude }).map_err(|_| wrong())
}

fn real_number(text: &str) -> Result<f64, String> {
    // Java also reads a type suffix: 0.5d, 0.5f.
    let digits = text.trim().trim_end_matches(['d', 'D', 'f', 'F']);
    digits.parse().map_err(|_| format!("{} is not a number", shown(text)))
}

fn strict_bool(text: &str) -> Result<bool, String> {
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(format!("{} is neither true nor false", shown(text)))
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn choice(text: &str, choices: &[&'static str]) -> Result<String, String> {
    match choices.iter().find(|choice| choice.eq_ignore_ascii_case(text)) {
        Some(known) => Ok((*known).to_owned()),
        None => {
            let words: Vec<_> = choices.iter().filter(|word| !word.is_empty()).copied().collect();
            Err(format!("{} is not one of {}", shown(text), words.join(", ")))
        }
    }
}

/// Looks a host up; IPv4 is preferred, as in Java. An empty host is the loopback address.
pub fn resolve(host: &str) -> Result<IpAddr, String> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if bare.is_empty() {
        return Ok(IpAddr::from([127, 0, 0, 1]));
    }
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(address);
    }
    if bare.contains(':') {
        return Err(format!("{} is not an address", shown(host)));
    }
    let found: Vec<IpAddr> = (bare, 0)
        .to_socket_addrs()
        .map_err(|error| format!("host {} cannot be looked up ({error})", shown(host)))?
        .map(|address| address.ip())
        .collect();
    let first = found.iter().find(|address| address.is_ipv4()).or_else(|| found.first());
    first.copied().ok_or_else(|| format!("host {} has no address", shown(host)))
}

/// Text from outside as it may stand in a message: quoted, without control characters, not endless.
pub fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 120;
    let mut cut: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if cut.len() < text.len() {
        cut.push_str("...");
    }
    format!("{cut:?}")
}

/// A Rust type that the value of a key lands in.
pub trait Field: Sized {
    /// Takes the value; `Err` says why it does not fit.
    fn from_value(value: Value) -> Result<Self, String>;
    /// The text that reads back as this value.
    fn text(&self) -> String;
}

fn mismatch<T>() -> Result<T, String> {
    Err("the table of keys pairs this reading with a field of another kind".into())
}

macro_rules! whole_number_fields {
    ($($number:ty),*) => {$(
        impl Field for $number {
            fn from_value(value: Value) -> Result<Self, String> {
                match value {
                    Value::Int(number) => <$number>::try_from(number)
                        .map_err(|_| format!("{number} is not between {} and {}", <$number>::MIN, <$number>::MAX)),
                    _ => mismatch(),
                }
            }
            fn text(&self) -> String { self.to_string() }
        }
    )*};
}
whole_number_fields!(i32, i64, u16);

impl Field for f64 {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Real(number) => Ok(number),
            _ => mismatch(),
        }
    }
    fn text(&self) -> String {
        self.to_string()
    }
}

impl Field for bool {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Bool(switch) => Ok(switch),
            _ => mismatch(),
        }
    }
    fn text(&self) -> String {
        self.to_string()
    }
}

impl Field for String {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Text(text) => Ok(text),
            _ => mismatch(),
        }
    }
    fn text(&self) -> String {
        self.clone()
    }
}

impl Field for PathBuf {
    fn from_value(value: Value) -> Result<Self, String> {
        String::from_value(value).map(PathBuf::from)
    }
    fn text(&self) -> String {
        self.to_string_lossy().into_owned()
    }
}

impl Field for IpAddr {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Address(address) => Ok(address),
            _ => mismatch(),
        }
    }
    fn text(&self) -> String {
        self.to_string()
    }
}

impl Field for Vec<String> {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::List(words) => Ok(words),
            _ => mismatch(),
        }
    }
    fn text(&self) -> String {
        self.join(",")
    }
}

impl<T: Field> Field for Option<T> {
    fn from_value(value: Value) -> Result<Self, String> {
        match &value {
            Value::Text(text) if text.is_empty() => Ok(None),
            _ => T::from_value(value).map(Some),
        }
    }
    fn text(&self) -> String {
        self.as_ref().map(T::text).unwrap_or_default()
    }
}

/// A text that never shows itself in logs or listings.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one who checks it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

impl Field for Secret {
    fn from_value(value: Value) -> Result<Self, String> {
        String::from_value(value).map(Secret)
    }
    fn text(&self) -> String {
        "***".into()
    }
}

/// Declares an enumeration whose variants are the words of a [`Reading::Choice`].
macro_rules! words_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl $name {
            /// The words, in the order of the variants.
            pub const WORDS: &'static [&'static str] = &[$($word),*];
        }

        impl Field for $name {
            fn from_value(value: Value) -> Result<Self, String> {
                match value {
                    Value::Text(text) => match text.as_str() {
                        $($word => Ok(Self::$variant),)*
                        other => Err(format!("{other:?} is not one of {:?}", Self::WORDS)),
                    },
                    _ => mismatch(),
                }
            }
            fn text(&self) -> String {
                match self { $(Self::$variant => $word.to_owned()),* }
            }
        }
    };
}

words_enum! {
    /// How a line of the audit log is written.
    AuditFormat {
        /// The original's pairs of key and value.
        Text = "text",
        /// A JSON object.
        Json = "json",
    }
}

words_enum! {
    /// How snapshots are compressed on disk.
    SnapshotCompression {
        /// Plain files, `snapshot.<zxid>`.
        None = "",
        /// `snapshot.<zxid>.gz`.
        Gz = "gz",
        /// `snapshot.<zxid>.snappy`.
        Snappy = "snappy",
    }
}

words_enum! {
    /// Whether this member of an ensemble votes.
    PeerType {
        /// A voter.
        Participant = "participant",
        /// A learner without a vote.
        Observer = "observer",
    }
}

words_enum! {
    /// What a TLS listener asks of the other side.
    ClientAuth {
        /// No certificate is asked for.
        None = "none",
        /// A certificate is asked for, and may be missing.
        Want = "want",
        /// No certificate, no connection.
        Need = "need",
    }
}

words_enum! {
    /// The kind of file that keys or trusted certificates are in.
    StoreType {
        /// Java key store.
        Jks = "JKS",
        /// PEM text.
        Pem = "PEM",
        /// PKCS#12.
        Pkcs12 = "PKCS12",
        /// Bouncy Castle FIPS key store.
        Bcfks = "BCFKS",
    }
}
