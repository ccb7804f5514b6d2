//! Limits and statistics of a quota as the Java client writes them (`org.apache.zookeeper.StatsTrack`): any keys, each
//! with a number. The server's own reading, which is more lenient, is `tree::quota`.

use std::collections::BTreeMap;
use std::fmt;

/// Nodes.
pub const COUNT: &str = "count";
/// Bytes.
pub const BYTES: &str = "bytes";
/// Nodes, enforced.
pub const COUNT_HARD: &str = "countHardLimit";
/// Bytes, enforced.
pub const BYTES_HARD: &str = "byteHardLimit";

/// Numbers by key; what is not there is -1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits(BTreeMap<String, i64>);

impl Limits {
    /// Reads `count=N,bytes=M=;byteHardLimit=X;countHardLimit=Y`; what is no number is left out.
    pub fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let pairs = text.split([',', ';']).filter_map(|pair| {
            let mut parts = pair.split('=');
            let (key, value) = (parts.next()?, parts.next()?);
            let value = if value.is_empty() { -1 } else { value.parse().ok()? };
            Some((key.to_owned(), value))
        });
        Limits(pairs.collect())
    }

    /// All four at -1.
    pub fn unset() -> Self {
        Limits([COUNT, BYTES, COUNT_HARD, BYTES_HARD].map(|key| (key.to_owned(), -1)).into())
    }

    /// A number, or -1.
    pub fn get(&self, key: &str) -> i64 {
        self.0.get(key).copied().unwrap_or(-1)
    }

    /// Sets a number.
    pub fn set(&mut self, key: &str, value: i64) {
        self.0.insert(key.to_owned(), value);
    }

    /// The numbers that are there.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|(key, value)| (key.as_str(), *value))
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{COUNT}={},{BYTES}={}", self.get(COUNT), self.get(BYTES))?;
        // The stray `=` keeps readers of old releases from what follows.
        let mut separator = "=;";
        for (key, value) in self.iter().filter(|(key, _)| ![COUNT, BYTES].contains(key)) {
            write!(out, "{separator}{key}={value}")?;
            separator = ";";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_the_original() {
        let mut limits = Limits::unset();
        limits.set(COUNT, 5);
        assert_eq!(limits.to_string(), "count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=-1");
        assert_eq!(Limits::parse(limits.to_string().as_bytes()), limits);
        assert_eq!(Limits::parse(b"count=2,bytes=6").to_string(), "count=2,bytes=6");
        assert_eq!(Limits::parse(b"count=,x,bytes=z").to_string(), "count=-1,bytes=-1");
    }
}
