//! Kinds of nodes, as the owner field of a node's bookkeeping tells them (`org.apache.zookeeper.server.EphemeralType`).
//! A server shows its clients that field of ephemeral nodes only. An Oxkeeper tells it all who ask for it; a server of
//! the original would close the session, so a session of its own finds out which server this is.

use crate::client::{Client, CreateMode, Error, Options};
use crate::proto::ErrorCode;
use crate::proto::owner::{CONTAINER_OWNER, TTL_MAX_MS, TTL_OWNER};
use crate::proto::records::Stat;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// How long a node lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Until deleted.
    Persistent,
    /// As long as this session.
    Ephemeral(i64),
    /// Until its last child is gone.
    Container,
    /// Until so many ms have passed without change.
    Ttl(i64),
}

impl Kind {
    /// The kind that an owner field tells. A session of server 255 looks like a time to live, here as in Java.
    pub fn of(owner: i64) -> Self {
        match owner {
            0 => Kind::Persistent,
            CONTAINER_OWNER => Kind::Container,
            _ if owner & !TTL_MAX_MS == TTL_OWNER => Kind::Ttl(owner & TTL_MAX_MS),
            _ => Kind::Ephemeral(owner),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Persistent => "persistent",
            Kind::Ephemeral(_) => "ephemeral",
            Kind::Container => "container",
            Kind::Ttl(_) => "ttl",
        }
    }

    /// How to create such a node; an ephemeral one is a matter of sessions.
    pub fn mode(self) -> Option<CreateMode> {
        match self {
            Kind::Persistent => Some(CreateMode::Persistent),
            Kind::Container => Some(CreateMode::Container),
            Kind::Ttl(ttl_ms) => Some(CreateMode::PersistentTtl(ttl_ms)),
            Kind::Ephemeral(_) => None,
        }
    }
}

/// How long finding out may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks for kinds, of servers that tell them.
#[derive(Debug, Clone, Default)]
pub struct Kinds {
    tell: Arc<Mutex<HashMap<SocketAddr, bool>>>,
    /// Read after all questions were answered.
    untold: Arc<AtomicBool>,
}

impl Kinds {
    /// Whether a server was asked that does not tell containers and TTL nodes from others.
    pub fn untold(&self) -> bool {
        self.untold.load(Ordering::Acquire)
    }

    /// The kind of a node whose bookkeeping is known.
    pub async fn of(&self, client: &Client, path: &str, stat: &Stat) -> Result<Kind, Error> {
        if stat.ephemeral_owner != 0 {
            return Ok(Kind::of(stat.ephemeral_owner));
        }
        if !self.are_told(client.address()).await {
            self.untold.store(true, Ordering::Release);
            return Ok(Kind::Persistent);
        }
        client.owner(path).await.map(Kind::of)
    }

    async fn are_told(&self, server: SocketAddr) -> bool {
        let mut tell = self.tell.lock().await;
        match tell.get(&server) {
            Some(told) => *told,
            None => {
                let told = tokio::time::timeout(PATIENCE, ask_in_a_session_of_its_own(server)).await.unwrap_or(false);
                tell.insert(server, told);
                told
            }
        }
    }
}

async fn ask_in_a_session_of_its_own(server: SocketAddr) -> bool {
    let Ok((client, _)) = Client::connect(&[server], &Options::default()).await else { return false };
    let told = match client.owner("/").await {
        Ok(_) => true,
        Err(Error::Server(code)) => code != ErrorCode::UNIMPLEMENTED,
        Err(_) => false,
    };
    let _ = client.close().await;
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_field_tells_the_kind() {
        assert_eq!(Kind::of(0), Kind::Persistent);
        assert_eq!(Kind::of(i64::MIN), Kind::Container);
        assert_eq!(Kind::of(0xff00_0000_0009_27c0_u64 as i64), Kind::Ttl(600_000));
        assert_eq!(Kind::of(0x0100_0013_c465_0001), Kind::Ephemeral(0x0100_0013_c465_0001));
        assert_eq!(Kind::of(0xff01_0000_0009_27c0_u64 as i64).name(), "ephemeral");
    }
}
