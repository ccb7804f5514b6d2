//! The operations of a session, with the checks and the path of the chroot that the Java client adds
//! (`org.apache.zookeeper.ZooKeeper`). Knows no command and prints nothing. Below: `session`.

use super::error::Failure;
use super::path::check;
use super::session::Session;
use super::watches::{Kind, Removal};
use crate::client::{Client, CreateMode, Error, WatchMode};
use crate::proto::ErrorCode;
use crate::proto::acl::Acl;
use crate::proto::path::CONFIG;
use crate::proto::records::Stat;

/// A path that may be asked about.
fn valid(path: &str) -> Result<(), Failure> {
    check(path, false).map_err(Failure::Said)
}

/// The Java client refuses an empty list itself, and then names no path.
fn some(acl: &[Acl]) -> Result<(), Failure> {
    if acl.is_empty() { Err(Failure::keeper(ErrorCode::INVALID_ACL, None)) } else { Ok(()) }
}

impl Session {
    /// Asks about a path, leaving a watch or not.
    fn ask_watching<T>(
        &self,
        path: &str,
        kind: Option<Kind>,
        question: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        // Remembered before it is left: its event may come before the reply is read.
        let fresh = kind.filter(|kind| self.watches().add(*kind, path));
        let answer = self.ask(Some(path), question);
        if let (Some(kind), Err(_)) = (fresh, &answer) {
            self.watches().forget(kind, path);
        }
        answer
    }

    /// Creates a node and returns the path it got.
    pub fn create(&self, path: &str, data: Option<&[u8]>, acl: &[Acl], mode: CreateMode) -> Result<String, Failure> {
        let sequential = matches!(
            mode,
            CreateMode::PersistentSequential | CreateMode::EphemeralSequential | CreateMode::PersistentSequentialTtl(_)
        );
        check(path, sequential).map_err(Failure::Said)?;
        some(acl)?;
        let server = self.server_path(path);
        let (created, _) = self.ask(Some(path), async |client| client.create(&server, data, acl, mode).await)?;
        Ok(self.own_path(&created))
    }

    /// Deletes a node.
    pub fn delete(&self, path: &str, version: i32) -> Result<(), Failure> {
        valid(path)?;
        // The root of a chroot is not ours to delete: asked for, the server says what it says of the root.
        let server = if path == "/" { path.to_owned() } else { self.server_path(path) };
        self.ask(Some(path), async |client| client.delete(&server, version).await)
    }

    /// The bookkeeping of a node, if it is there.
    pub fn exists(&self, path: &str, watch: bool) -> Result<Option<Stat>, Failure> {
        valid(path)?;
        let server = self.server_path(path);
        let kind = watch.then_some(Kind::Exist);
        let found = self.ask_watching(path, kind, async |client| client.exists(&server, watch).await)?;
        if watch && found.is_some() {
            self.watches().found(path);
        }
        Ok(found)
    }

    /// Data, which may be null, and bookkeeping.
    pub fn data(&self, path: &str, watch: bool) -> Result<(Option<Vec<u8>>, Stat), Failure> {
        valid(path)?;
        let (server, kind) = (self.server_path(path), watch.then_some(Kind::Data));
        self.ask_watching(path, kind, async |client| client.get_data(&server, watch).await)
    }

    /// Sets data.
    pub fn set_data(&self, path: &str, data: &[u8], version: i32) -> Result<Stat, Failure> {
        valid(path)?;
        let server = self.server_path(path);
        self.ask(Some(path), async |client| client.set_data(&server, data, version).await)
    }

    /// Names of children in the server's order, and bookkeeping.
    pub fn children(&self, path: &str, watch: bool) -> Result<(Vec<String>, Stat), Failure> {
        valid(path)?;
        let (server, kind) = (self.server_path(path), watch.then_some(Kind::Child));
        self.ask_watching(path, kind, async |client| client.children(&server, watch).await)
    }

    /// How many nodes are below a node.
    pub fn all_children_number(&self, path: &str) -> Result<i32, Failure> {
        valid(path)?;
        let server = self.server_path(path);
        self.ask(Some(path), async |client| client.all_children_number(&server).await)
    }

    /// The ephemeral nodes of this session. As in Java the chroot counts on neither side.
    pub fn ephemerals(&self, prefix: &str) -> Result<Vec<String>, Failure> {
        valid(prefix)?;
        self.ask(None, async |client| client.ephemerals(prefix).await)
    }

    /// The access list.
    pub fn acl(&self, path: &str) -> Result<(Vec<Acl>, Stat), Failure> {
        valid(path)?;
        let server = self.server_path(path);
        self.ask(Some(path), async |client| client.acl(&server).await)
    }

    /// Sets the access list.
    pub fn set_acl(&self, path: &str, acl: &[Acl], version: i32) -> Result<Stat, Failure> {
        valid(path)?;
        some(acl)?;
        let server = self.server_path(path);
        self.ask(Some(path), async |client| client.set_acl(&server, acl, version).await)
    }

    /// Waits until this server has what was committed before; 0, or the code of what went wrong.
    pub fn sync(&self, path: &str) -> Result<ErrorCode, Failure> {
        valid(path)?;
        let server = self.server_path(path);
        match self.ask(Some(path), async |client| client.sync(&server).await) {
            Ok(()) => Ok(ErrorCode::OK),
            Err(Failure::Keeper { code, .. }) => Ok(code),
            Err(other) => Err(other),
        }
    }

    /// Who we are.
    pub fn identities(&self) -> Result<Vec<(String, String)>, Failure> {
        self.ask(None, async |client| client.who_am_i().await)
    }

    /// Leaves a watch that stays.
    pub fn add_watch(&self, path: &str, mode: WatchMode) -> Result<(), Failure> {
        valid(path)?;
        let server = self.server_path(path);
        let kind = match mode {
            WatchMode::Persistent => Kind::Persistent,
            WatchMode::PersistentRecursive => Kind::Recursive,
        };
        self.ask_watching(path, Some(kind), async |client| client.add_watch(&server, mode).await)
    }

    /// Removes watches and tells of it; `local` also when the server cannot be asked.
    pub fn remove_watches(&self, path: &str, removal: Removal, local: bool) -> Result<(), Failure> {
        valid(path)?;
        let server = self.server_path(path);
        let answer = self.ask(Some(path), async |client| client.remove_watches(&server, removal as i32).await);
        if !self.watches().has(removal, path) {
            answer?;
            return Err(Failure::keeper(ErrorCode::NO_WATCHER, Some(path)));
        }
        if !local {
            answer?;
        }
        let told = self.watches().remove(removal, path);
        told.into_iter().for_each(|kind| self.tell(kind, path));
        Ok(())
    }

    /// The configuration of the ensemble, which no chroot hides.
    pub fn configuration(&self, watch: bool) -> Result<(Option<Vec<u8>>, Stat), Failure> {
        let kind = watch.then_some(Kind::Data);
        self.ask_watching(CONFIG, kind, async |client| client.get_data(CONFIG, watch).await)
    }

    /// Changes the configuration of the ensemble.
    pub fn reconfigure(
        &self,
        joining: Option<&str>,
        leaving: Option<&str>,
        members: Option<&str>,
        version: i64,
    ) -> Result<(Vec<u8>, Stat), Failure> {
        self.ask(Some(""), async |client| client.reconfig(joining, leaving, members, version).await)
    }
}
