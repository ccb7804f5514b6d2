//! Random values for the fields of requests: paths, data, ACLs, flags, versions. Most are plausible, so that they meet
//! nodes that exist; some are as odd as the wire allows. Whole requests are put together in `generate`.

use crate::rng::Rng;
use oxkeeper::jute::Text;
use oxkeeper::proto::acl::AclEntry;

/// Where in a run a value is made: the top of the tree moves on, so that lists stay short.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Number of the current top.
    pub top: u64,
}

/// Name and password of the super user, whose digest stands in the configuration.
pub const SUPER: &str = "super:secret";
/// The digest of [`SUPER`], as the configuration wants it.
pub const SUPER_DIGEST: &str = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";
/// Users that authenticate, and what ACLs call them.
const USERS: &[(&str, &str)] =
    &[("bob:pw", "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="), ("ann:x", "ann:1ltHajLHR9hXAbt3n15FtKsvSvI=")];

const NAMES: &[&str] = &["a", "b", "c", "d"];
const RARE_NAMES: &[&str] = &["é", "日本", "x y", "...", ".x", "x.", "zookeeper", "0000000003", "\u{d7ff}", "\u{f900}"];
const ODD_PATHS: &[&str] = &[
    "",
    "/",
    "//",
    "///",
    "/a/",
    "/a//b",
    "/.",
    "/..",
    "/./a",
    "/a/.",
    "/a/..",
    "/a/./b",
    "/a/../b",
    "/...",
    "a",
    "a/b",
    ".",
    "..",
    "\0",
    "/\0",
    "a\0b",
    "/a\0b",
    "/a/\0",
    "/a\u{1}",
    "/a\u{1f}",
    "/a ",
    "/\u{7f}",
    "/a\u{80}",
    "/\u{9f}",
    "/\u{a0}",
    "/\u{d7ff}",
    "/\u{e000}",
    "/a\u{f8ff}",
    "/\u{f900}",
    "/\u{ffef}",
    "/\u{fff0}",
    "/\u{fffd}",
    "/\u{ffff}",
    "/\\",
    "/a\tb",
    "/zookeeper",
    "/zookeeper/",
    "/zookeeper/quota",
    "/zookeeper/config",
    "/zookeeper/quota/",
    "/zookeeper/x",
    "/zookeeper/config/x",
    "nope",
    " ",
    "/a/b/c/d/e/f/g",
    "/zookeeperx",
];

/// A path as a string.
pub fn plain_path(rng: &mut Rng, place: Place) -> String {
    let top = rng.weighted(&[(75, 0), (15, 1), (10, 2)]);
    let mut path = match top {
        0 => format!("/r{}", place.top),
        1 => "/a".to_owned(),
        _ => "/b".to_owned(),
    };
    let depth = rng.weighted(&[(12, 0), (38, 1), (35, 2), (15, 3)]);
    for _ in 0..depth {
        path.push('/');
        if rng.permille(15) {
            path.push_str(rng.pick(RARE_NAMES));
        } else if rng.percent(8) {
            path.push_str(rng.pick(&["", "s-", "a"]));
            path.push_str(&format!("{:010}", rng.below(24)));
        } else {
            path.push_str(rng.pick(NAMES));
        }
    }
    path
}

/// A path below the quota node, or of the subtree one of them speaks of.
fn quota_path(rng: &mut Rng, place: Place) -> String {
    let mut path = "/zookeeper/quota".to_owned();
    let subject = match rng.below(4) {
        0 => "/a".to_owned(),
        1 => format!("/r{}", place.top),
        2 => format!("/r{}/a", place.top),
        _ => format!("/r{}/a/b", place.top),
    };
    path.push_str(&subject);
    path.push_str(rng.weighted(&[(30, ""), (35, "/zookeeper_limits"), (30, "/zookeeper_stats"), (5, "/x")]));
    path
}

/// Any path; `None` is null.
pub fn path(rng: &mut Rng, place: Place) -> Option<String> {
    match rng.below(1000) {
        0..880 => Some(plain_path(rng, place)),
        880..925 => Some(quota_path(rng, place)),
        925..985 => Some(rng.pick(ODD_PATHS).to_owned()),
        985..992 => {
            let odd = rng.pick(ODD_PATHS);
            Some(plain_path(rng, place) + odd)
        }
        992..996 => Some(format!("/{}", "x".repeat(rng.between(200, 3000)))),
        _ => None,
    }
}

/// A name as jute text.
pub fn text(value: &Option<String>) -> Text<'_> {
    value.as_deref().map(std::borrow::Cow::Borrowed)
}

/// Data of a node; at a quota's limits and statistics something the servers can read.
pub fn data(rng: &mut Rng, path: Option<&str>) -> Option<Vec<u8>> {
    if path.is_some_and(|path| path.ends_with("_limits") || path.ends_with("_stats")) {
        return Some(quota(rng).into_bytes());
    }
    match rng.below(100) {
        0..5 => None,
        5..15 => Some(vec![]),
        15..95 => Some((0..rng.between(1, 24)).map(|_| rng.next() as u8).collect()),
        95..99 => Some(vec![rng.next() as u8; rng.between(100, 600)]),
        _ => Some(vec![rng.next() as u8; rng.between(1000, 4000)]),
    }
}

fn quota(rng: &mut Rng) -> String {
    let count = rng.pick(&["-1", "0", "1", "3", "6", "1000"]);
    let bytes = rng.pick(&["-1", "0", "10", "100", "1000000"]);
    match rng.below(10) {
        0..4 => format!("count={count},bytes={bytes}"),
        4..6 => format!("count={count},bytes={bytes}=;byteHardLimit={bytes};countHardLimit={count}"),
        6 => format!("count={count},bytes={bytes}=;byteHardLimit=-1;countHardLimit={count}"),
        7 => format!("count={count},bytes={bytes}=;byteHardLimit={bytes};countHardLimit=-1"),
        8 => format!("countHardLimit={count}"),
        _ => format!("count={count},bytes={bytes};byteHardLimit={bytes}"),
    }
}

/// A list of ACL entries, owned; `None` is null.
pub type AclWords = Option<Vec<(i32, Option<&'static str>, Option<&'static str>)>>;

/// An ACL for create and setACL: mostly one that leaves the node usable.
pub fn acl(rng: &mut Rng) -> AclWords {
    const WORLD: (i32, Option<&str>, Option<&str>) = (31, Some("world"), Some("anyone"));
    match rng.below(100) {
        0..78 => Some(vec![WORLD]),
        78..84 => Some(vec![WORLD, entry(rng)]),
        84..94 => Some(vec![entry(rng)]),
        94..97 => Some(vec![entry(rng), entry(rng), entry(rng)]),
        97 => Some(vec![WORLD, WORLD]),
        98 => Some(vec![]),
        _ => None,
    }
}

fn entry(rng: &mut Rng) -> (i32, Option<&'static str>, Option<&'static str>) {
    let perms = rng.pick(&[31, 31, 31, 1, 2, 4, 8, 16, 5, 17, 30, 0, 64, -1]);
    let (scheme, id) = rng.pick(&[
        (Some("world"), Some("anyone")),
        (Some("world"), Some("anyone")),
        (Some("auth"), Some("")),
        (Some("auth"), Some("ignored")),
        (Some("auth"), None),
        (Some("digest"), Some(USERS[0].1)),
        (Some("digest"), Some(USERS[0].1)),
        (Some("digest"), Some(USERS[1].1)),
        (Some("digest"), Some("a:b")),
        (Some("digest"), Some(":b")),
        (Some("digest"), Some(":")),
        (Some("digest"), Some("a:b:")),
        (Some("digest"), Some("a")),
        (Some("digest"), Some("a:")),
        (Some("digest"), Some("a:b:c")),
        (Some("digest"), Some("")),
        (Some("digest"), None),
        (Some("ip"), Some("127.0.0.1")),
        (Some("ip"), Some("127.0.0.0/8")),
        (Some("ip"), Some("127.0.0.1/0")),
        (Some("ip"), Some("10.0.0.0/8")),
        (Some("ip"), Some("127.0.0.1/33")),
        (Some("ip"), Some("127.0.0.1/-1")),
        (Some("ip"), Some("127.0.0.1/x")),
        (Some("ip"), Some("127.0.0.1/")),
        (Some("ip"), Some("300.1.1.1")),
        (Some("ip"), Some("127.1")),
        (Some("ip"), Some("::1")),
        (Some("ip"), Some("fe80::/10")),
        (Some("ip"), Some("1:2:3:4:5:6:7:8/128")),
        (Some("ip"), Some("1:2:3:4:5:6:7:8/129")),
        (Some("ip"), Some("localhost")),
        (Some("ip"), Some("")),
        (Some("ip"), None),
        (Some("super"), Some("")),
        (Some("super"), Some("x")),
        (Some("world"), Some("other")),
        (Some("world"), None),
        (Some("sasl"), Some("bob")),
        (Some("x509"), Some("CN=x")),
        (Some("nope"), Some("x")),
        (Some(""), Some("")),
        (None, Some("anyone")),
        (None, None),
    ]);
    (perms, scheme, id)
}

/// The entries as records.
pub fn entries(words: &AclWords) -> Option<Vec<AclEntry<'_>>> {
    let record = |(perms, scheme, id): &(i32, Option<&'static str>, Option<&'static str>)| AclEntry {
        perms: *perms,
        scheme: scheme.map(Into::into),
        id: id.map(Into::into),
    };
    words.as_ref().map(|words| words.iter().map(record).collect())
}

/// Create flags.
pub fn flags(rng: &mut Rng, op: i32) -> i32 {
    match (op, rng.below(100)) {
        (_, 95..) => rng.pick(&[-2, -1, 4, 7, 8, i32::MAX, i32::MIN]),
        (21, 0..85) => rng.pick(&[5, 6]),
        (19, 0..70) => 4,
        _ => rng.pick(&[0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6]),
    }
}

/// Time to live of a TTL node. The reaper never runs in these runs, so the value only has to be judged and kept.
pub fn ttl(rng: &mut Rng) -> i64 {
    rng.pick(&[1, 1000, 60_000, 60_000, 60_000, (1 << 40) - 1, 1 << 40, 0, -1, i64::MIN, i64::MAX])
}

/// An expected version.
pub fn version(rng: &mut Rng) -> i32 {
    match rng.below(100) {
        0..55 => -1,
        55..90 => rng.below(4) as i32,
        _ => rng.pick(&[-2, 4, 5, 9, 100, i32::MIN, i32::MAX]),
    }
}

/// What an auth packet says; the second part is whether the server accepts it.
pub fn auth(rng: &mut Rng) -> (Option<&'static str>, Option<&'static [u8]>, bool) {
    rng.pick(&[
        (Some("digest"), Some(&b"bob:pw"[..]), true),
        (Some("digest"), Some(b"bob:pw"), true),
        (Some("digest"), Some(b"ann:x"), true),
        (Some("digest"), Some(SUPER.as_bytes()), true),
        (Some("digest"), Some(SUPER.as_bytes()), true),
        (Some("digest"), Some(b"super:wrong"), true),
        (Some("digest"), Some(b"justuser"), true),
        (Some("digest"), Some(b":"), true),
        (Some("digest"), Some(b""), true),
        (Some("digest"), Some(b"a:b:c"), true),
        (Some("digest"), Some(b"\xff\xfe:\xc3\xa9"), true),
        (Some("digest"), None, false),
        (Some("ip"), Some(b""), true),
        (Some("ip"), Some(b"10.0.0.1"), true),
        (Some("ip"), None, true),
        (Some("world"), Some(b"anyone"), false),
        (Some("auth"), Some(b""), false),
        (Some("super"), Some(b""), false),
        (Some("sasl"), Some(b"bob"), false),
        (Some("x509"), Some(b"x"), false),
        (Some("nope"), Some(b"x"), false),
        (Some(""), Some(b""), false),
        (None, Some(b"x"), false),
    ])
}
