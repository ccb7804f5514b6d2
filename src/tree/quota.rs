//! Quotas: the text of limits and statistics, and which prefix a path counts for
//! (`org.apache.zookeeper.StatsTrack`, `org.apache.zookeeper.common.PathTrie`).

use hashbrown::HashMap;
use std::fmt::Write;

/// Limits, or statistics, of a subtree; -1 is unset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Nodes, the top one included.
    pub count: i64,
    /// Bytes of data.
    pub bytes: i64,
    /// Nodes that may never be exceeded.
    pub count_hard_limit: i64,
    /// Bytes that may never be exceeded.
    pub byte_hard_limit: i64,
}

impl Quota {
    /// Nothing limited.
    pub const UNSET: Quota = Quota { count: -1, bytes: -1, count_hard_limit: -1, byte_hard_limit: -1 };

    /// Reads `count=N,bytes=M=;byteHardLimit=X;countHardLimit=Y`; what is missing or malformed is unset.
    pub fn parse(text: &[u8]) -> Quota {
        let mut quota = Quota::UNSET;
        for word in String::from_utf8_lossy(text).split([',', ';']) {
            let mut parts = word.split('=');
            let (Some(key), Some(value)) = (parts.next(), parts.next()) else { continue };
            let Ok(value) = value.trim().parse() else { continue };
            match key {
                "count" => quota.count = value,
                "bytes" => quota.bytes = value,
                "countHardLimit" => quota.count_hard_limit = value,
                "byteHardLimit" => quota.byte_hard_limit = value,
                _ => {}
            }
        }
        quota
    }

    /// The text of the original, its stray `=` included.
    pub fn text(&self) -> String {
        let mut text = format!("count={},bytes={}", self.count, self.bytes);
        if self.byte_hard_limit > -1 || self.count_hard_limit > -1 {
            let _ = write!(text, "=;byteHardLimit={};countHardLimit={}", self.byte_hard_limit, self.count_hard_limit);
        }
        text
    }
}

/// The text of statistics after a change of so many nodes and bytes. The original keeps whatever else the text holds,
/// in its order.
pub(super) fn counted(text: &[u8], count: i64, bytes: i64) -> String {
    let usage = Quota::parse(text);
    let mut counted = format!("count={},bytes={}", usage.count + count, usage.bytes + bytes);
    let text = String::from_utf8_lossy(text);
    let rest = text.split([',', ';']).filter_map(|word| {
        let mut parts = word.split('=');
        let (key, value) = (parts.next()?, parts.next()?.trim().parse::<i64>().ok()?);
        (!matches!(key, "count" | "bytes")).then_some((key, value))
    });
    let mut separator = "=;";
    for (key, value) in rest {
        let _ = write!(counted, "{separator}{key}={value}");
        separator = ";";
    }
    counted
}

/// The limit that a change would break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    /// Subtree with the quota.
    pub prefix: String,
    /// `count` or `bytes`.
    pub what: &'static str,
    /// True when the change must be refused, false when it is only worth a warning.
    pub hard: bool,
    /// What there would be.
    pub value: i64,
    /// What is allowed.
    pub limit: i64,
}

/// Subtrees with a quota and what they hold.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    prefixes: HashMap<Box<str>, ()>,
}

impl Quotas {
    pub(super) fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    pub(super) fn register(&mut self, prefix: &str) {
        if !prefix.is_empty() && prefix != "/" {
            self.prefixes.insert(prefix.into(), ());
        }
    }

    pub(super) fn unregister(&mut self, prefix: &str) {
        self.prefixes.remove(prefix);
    }

    /// The longest registered prefix of `path`, itself included.
    pub(super) fn prefix_of<'p>(&self, path: &'p str) -> Option<&'p str> {
        let mut prefix = path;
        while !prefix.is_empty() && !self.prefixes.is_empty() {
            if self.prefixes.contains_key(prefix) {
                return Some(prefix);
            }
            prefix = &prefix[..prefix.rfind('/')?];
        }
        None
    }

    pub(super) fn prefixes(&self) -> impl Iterator<Item = &str> {
        self.prefixes.keys().map(|prefix| &**prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back_with_the_stray_equals_sign() {
        let quota = Quota { count: 3, bytes: 5, count_hard_limit: 10, byte_hard_limit: -1 };
        assert_eq!(quota.text(), "count=3,bytes=5=;byteHardLimit=-1;countHardLimit=10");
        assert_eq!(Quota::parse(quota.text().as_bytes()), quota);
        assert_eq!(Quota { count_hard_limit: -1, ..quota }.text(), "count=3,bytes=5");
    }

    #[test]
    fn statistics_keep_what_else_their_text_holds() {
        assert_eq!(counted(b"count=3,bytes=5", 1, 2), "count=4,bytes=7");
        assert_eq!(counted(b"countHardLimit=3", 1, 2), "count=0,bytes=1=;countHardLimit=3");
        assert_eq!(
            counted(b"count=3,bytes=5=;byteHardLimit=-1;countHardLimit=-1", 0, 1),
            "count=3,bytes=6=;byteHardLimit=-1;countHardLimit=-1"
        );
        assert_eq!(counted(b" count=3,bytes=5,x=7", 1, 2), "count=0,bytes=7=; count=3;x=7");
    }

    #[test]
    fn the_longest_prefix_counts_by_component() {
        let mut quotas = Quotas::default();
        quotas.register("/a");
        quotas.register("/a/b");
        assert_eq!(quotas.prefix_of("/a/b/c"), Some("/a/b"));
        assert_eq!(quotas.prefix_of("/a/bc"), Some("/a"));
        assert_eq!(quotas.prefix_of("/ab"), None);
    }
}
