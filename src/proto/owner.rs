//! The field `ephemeralOwner` of a node: a session, or the mark of a container or of a TTL node
//! (`org.apache.zookeeper.server.EphemeralType`).

/// Marks a container.
pub const CONTAINER_OWNER: i64 = i64::MIN;
/// Marks a TTL node; the low 40 bits are the lifetime in ms, those between are reserved.
pub const TTL_OWNER: i64 = 0xff00_0000_0000_0000_u64 as i64;
/// The longest lifetime of a TTL node, in ms: some 34 years.
pub const TTL_MAX_MS: i64 = (1 << 40) - 1;
