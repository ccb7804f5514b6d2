//! Paths of znodes: syntax (`org.apache.zookeeper.common.PathUtils`) and the few nodes with a meaning of their own.

/// The system subtree.
pub const ZOOKEEPER: &str = "/zookeeper";
/// Limits and statistics of quotas live below.
pub const QUOTA: &str = "/zookeeper/quota";
/// The ensemble's configuration.
pub const CONFIG: &str = "/zookeeper/config";
/// Last component of the node that holds the limits of a quota.
pub const QUOTA_LIMITS: &str = "zookeeper_limits";
/// Last component of the node that holds the statistics of a quota.
pub const QUOTA_STATS: &str = "zookeeper_stats";

/// True for a path a client may create: absolute, no empty, `.` or `..` component, no control, surrogate or
/// private-use character.
pub fn is_valid(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    if rest.is_empty() {
        return true;
    }
    let fine = |c: char| {
        !matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}')
            && (c as u32) < 0x1_0000
    };
    let plain = rest.bytes().all(|b| (0x20..0x7f).contains(&b));
    (plain || rest.chars().all(fine)) && rest.split('/').all(|name| !matches!(name, "" | "." | ".."))
}

/// The parent of an absolute path and the last component. The parent of a top-level path is the empty string, which
/// is how the tree names its root. `None` without any `/`.
pub fn split(path: &str) -> Option<(&str, &str)> {
    path.rsplit_once('/')
}

/// The top-level component of a path, for statistics by namespace.
pub fn namespace(path: &str) -> &str {
    path.trim_start_matches('/').split('/').next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_follows_the_table() {
        for good in ["/", "/a", "/a/b", "/...", "/a.b", "/é", "/\u{d7ff}", "/a b", "/\u{f900}"] {
            assert!(is_valid(good), "{good:?}");
        }
        for bad in [
            "",
            "a",
            "/a/",
            "//",
            "/a//b",
            "/.",
            "/a/..",
            "/a/./b",
            "/\0",
            "/a\u{1f}",
            "/\u{7f}",
            "/\u{9f}",
            "/\u{e000}",
            "/\u{fff0}",
            "/\u{fffd}",
            "/😀",
        ] {
            assert!(!is_valid(bad), "{bad:?}");
        }
    }
}
