//! Session ids and passwords. Both are functions that every server of an ensemble computes alike, Java's included.

/// A session id; 0 is never a session.
pub type SessionId = i64;

/// The length of a session password, in bytes.
pub const PASSWORD_LEN: usize = 16;

const SECRET: i64 = 0xB341_5C00;
const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const MASK: u64 = (1 << 48) - 1;

/// The password of a session: sixteen bytes of `java.util.Random` seeded with the id
/// (`org.apache.zookeeper.server.ZooKeeperServer.generatePasswd`).
pub fn password(session: SessionId) -> [u8; PASSWORD_LEN] {
    let mut state = ((session ^ SECRET) as u64 ^ MULTIPLIER) & MASK;
    let mut out = [0; PASSWORD_LEN];
    for word in out.chunks_exact_mut(4) {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        word.copy_from_slice(&((state >> 16) as u32).to_le_bytes());
    }
    out
}

/// The first session id of a server that starts at `now_ms`; later ones count up
/// (`org.apache.zookeeper.server.SessionTrackerImpl.initializeNextSessionId`).
pub fn first_id(server_id: u8, now_ms: u64) -> SessionId {
    let id = ((now_ms << 24) >> 8) | (u64::from(server_id) << 56);
    match id as i64 {
        // The value that marks container nodes as ephemeral owner.
        i64::MIN => i64::MIN + 1,
        id => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn passwords_are_those_of_the_java_server() {
        assert_eq!(hex(&password(0x100_000d_ad20_0000)), "52b42cef77a4372480bc28e1188b55d3");
        assert_eq!(hex(&password(0x100_0024_b70d_0000)), "69e0cd0a4214a84cefb79c365b53f175");
    }

    #[test]
    fn the_server_id_is_the_top_byte() {
        assert_eq!(first_id(1, 0) as u64, 1 << 56);
        assert_eq!((first_id(5, 0x1234_5678_9abc) as u64) >> 56, 5);
    }
}
