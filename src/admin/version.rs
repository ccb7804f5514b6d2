//! The version that clients and tools are told: the original's number, since they decide by it what the server can do,
//! with this program's revision and date. This program's own number is shown where nobody parses: `envi`, the log.

/// The release of the original that this server does what it does.
pub const REFERENCE: &str = "3.9.5";

/// In `srvr`, `stat`, `mntr` and `envi`.
pub const FULL: &str = concat!("3.9.5-", env!("OXKEEPER_REVISION"), ", built on ", env!("OXKEEPER_BUILT_ON"));

/// This program's own version.
pub const OXKEEPER: &str = env!("CARGO_PKG_VERSION");

/// What `zkServer.sh version` prints: scripts look for the number in the original's line.
pub const BANNER: &str = concat!(
    "Apache ZooKeeper, version 3.9.5 ",
    env!("OXKEEPER_BUILT_ON"),
    " (oxkeeper ",
    env!("CARGO_PKG_VERSION"),
    ")\n"
);
