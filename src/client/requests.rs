//! The operations as methods: a request record out, the part of the reply that people want back.

use super::{Client, Error, Pending, Reply};
use crate::jute::{Decode, DecodeError, Encode, List, Reader, Text};
use crate::proto::acl::{Acl, AclEntry};
use crate::proto::records::*;
use crate::proto::{ErrorCode, OpCode};
use std::borrow::Cow;

/// How a node is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateMode {
    /// Until deleted.
    Persistent,
    /// Until the session ends.
    Ephemeral,
    /// Until deleted, with a number appended to its name.
    PersistentSequential,
    /// Until the session ends, with a number appended to its name.
    EphemeralSequential,
    /// Until its last child is gone.
    Container,
    /// Until so many ms have passed without change.
    PersistentTtl(i64),
    /// The same, with a number appended to its name.
    PersistentSequentialTtl(i64),
}

impl CreateMode {
    /// The number on the wire.
    pub fn flags(self) -> i32 {
        match self {
            CreateMode::Persistent => 0,
            CreateMode::Ephemeral => 1,
            CreateMode::PersistentSequential => 2,
            CreateMode::EphemeralSequential => 3,
            CreateMode::Container => 4,
            CreateMode::PersistentTtl(_) => 5,
            CreateMode::PersistentSequentialTtl(_) => 6,
        }
    }
}

/// Which watch addWatch leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchMode {
    /// On the node and its list of children, until removed.
    Persistent,
    /// On the node and everything below it, until removed.
    PersistentRecursive,
}

/// One part of a multi.
#[derive(Debug, Clone)]
pub enum Op<'a> {
    /// Creates a node.
    Create {
        /// Path.
        path: &'a str,
        /// Data; none is null.
        data: Option<&'a [u8]>,
        /// Access.
        acl: &'a [Acl],
        /// Kind; not one with a lifetime.
        mode: CreateMode,
    },
    /// Deletes a node.
    Delete {
        /// Path.
        path: &'a str,
        /// Expected version, -1 for any.
        version: i32,
    },
    /// Sets a node's data.
    Set {
        /// Path.
        path: &'a str,
        /// Data.
        data: &'a [u8],
        /// Expected version, -1 for any.
        version: i32,
    },
    /// Checks a node's version.
    Check {
        /// Path.
        path: &'a str,
        /// Expected version, -1 for existence alone.
        version: i32,
    },
}

/// What became of one part of a multi.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpResult {
    /// The path that was created.
    Created(String),
    /// A node was deleted, or checked.
    Done,
    /// The bookkeeping of a node that was set.
    Set(Stat),
    /// The part failed, or its neighbours did (RuntimeInconsistency; Ok for those before the failure).
    Failed(ErrorCode),
}

/// Paths with watches, by kind.
#[derive(Debug, Clone, Default)]
pub struct Watches<'a> {
    /// getData, and exists on a node that was there.
    pub data: Vec<&'a str>,
    /// exists on a node that was not there.
    pub exist: Vec<&'a str>,
    /// getChildren.
    pub child: Vec<&'a str>,
    /// addWatch, persistent.
    pub persistent: Vec<&'a str>,
    /// addWatch, persistent recursive.
    pub persistent_recursive: Vec<&'a str>,
}

fn text(value: &str) -> Text<'_> {
    Some(Cow::Borrowed(value))
}

fn entries(acl: &[Acl]) -> List<AclEntry<'_>> {
    fn entry(acl: &Acl) -> AclEntry<'_> {
        AclEntry { perms: acl.perms, scheme: text(&acl.id.scheme), id: text(&acl.id.id) }
    }
    Some(acl.iter().map(entry).collect())
}

fn names(list: List<Text<'_>>) -> Vec<String> {
    list.unwrap_or_default().into_iter().map(|name| name.unwrap_or_default().into_owned()).collect()
}

impl Op<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        let header = |op: OpCode| MultiHeader { op: op.0, done: false, err: -1 };
        match *self {
            Op::Create { path, data, acl, mode } => {
                let op = if mode == CreateMode::Container { OpCode::CREATE_CONTAINER } else { OpCode::CREATE };
                header(op).encode(out);
                CreateRequest { path: text(path), data, acl: entries(acl), flags: mode.flags() }.encode(out);
            }
            Op::Delete { path, version } => {
                header(OpCode::DELETE).encode(out);
                PathVersionRequest { path: text(path), version }.encode(out);
            }
            Op::Set { path, data, version } => {
                header(OpCode::SET_DATA).encode(out);
                SetDataRequest { path: text(path), data: Some(data), version }.encode(out);
            }
            Op::Check { path, version } => {
                header(OpCode::CHECK).encode(out);
                PathVersionRequest { path: text(path), version }.encode(out);
            }
        }
    }
}

/// What became of each part of a multi, from the reply to it.
pub fn multi_results(reply: &Reply) -> Result<Vec<OpResult>, Error> {
    let mut reader = Reader::unlimited(&reply.body);
    let mut results = Vec::new();
    loop {
        let header = MultiHeader::decode(&mut reader)?;
        if header.done {
            return Ok(results);
        }
        results.push(match OpCode(header.op) {
            OpCode::CREATE => OpResult::Created(reader.text()?.unwrap_or_default().into_owned()),
            OpCode::CREATE2 => {
                let response = Create2Response::decode(&mut reader)?;
                OpResult::Created(response.path.unwrap_or_default().into_owned())
            }
            OpCode::SET_DATA => OpResult::Set(Stat::decode(&mut reader)?),
            OpCode::DELETE | OpCode::CHECK => OpResult::Done,
            OpCode::ERROR => OpResult::Failed(ErrorCode(reader.int()?)),
            other => return Err(DecodeError::Type(other.0).into()),
        });
    }
}

impl Client {
    /// Creates a node and returns the path it got. Without data the node's data is null.
    pub async fn create(
        &self,
        path: &str,
        data: Option<&[u8]>,
        acl: &[Acl],
        mode: CreateMode,
    ) -> Result<(String, Stat), Error> {
        let reply = self.send_create(path, data, acl, mode).await?.reply().await?;
        let response: Create2Response = reply.decode()?;
        Ok((response.path.unwrap_or_default().into_owned(), response.stat))
    }

    /// Hands the creation of a node to the connection and returns before its reply.
    pub async fn send_create(
        &self,
        path: &str,
        data: Option<&[u8]>,
        acl: &[Acl],
        mode: CreateMode,
    ) -> Result<Pending, Error> {
        let (path, acl, flags) = (text(path), entries(acl), mode.flags());
        let (op, body) = match mode {
            CreateMode::PersistentTtl(ttl_ms) | CreateMode::PersistentSequentialTtl(ttl_ms) => {
                (OpCode::CREATE_TTL, CreateTtlRequest { path, data, acl, flags, ttl_ms }.to_bytes())
            }
            CreateMode::Container => (OpCode::CREATE_CONTAINER, CreateRequest { path, data, acl, flags }.to_bytes()),
            _ => (OpCode::CREATE2, CreateRequest { path, data, acl, flags }.to_bytes()),
        };
        self.send(op, body).await
    }

    /// Deletes a node.
    pub async fn delete(&self, path: &str, version: i32) -> Result<(), Error> {
        self.call(OpCode::DELETE, &PathVersionRequest { path: text(path), version }).await.map(drop)
    }

    /// The node's bookkeeping, or `None` when there is no such node.
    pub async fn exists(&self, path: &str, watch: bool) -> Result<Option<Stat>, Error> {
        match self.call(OpCode::EXISTS, &PathWatchRequest { path: text(path), watch }).await {
            Ok(reply) => Ok(Some(reply.decode()?)),
            Err(Error::Server(ErrorCode::NO_NODE)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A node's data, which may be null, and its bookkeeping.
    pub async fn get_data(&self, path: &str, watch: bool) -> Result<(Option<Vec<u8>>, Stat), Error> {
        let reply = self.call(OpCode::GET_DATA, &PathWatchRequest { path: text(path), watch }).await?;
        let response: GetDataResponse = reply.decode()?;
        Ok((response.data.map(<[u8]>::to_vec), response.stat))
    }

    /// Sets a node's data.
    pub async fn set_data(&self, path: &str, data: &[u8], version: i32) -> Result<Stat, Error> {
        self.send_set_data(path, Some(data), version).await?.reply().await?.decode()
    }

    /// Hands new data of a node to the connection and returns before its reply.
    pub async fn send_set_data(&self, path: &str, data: Option<&[u8]>, version: i32) -> Result<Pending, Error> {
        self.send(OpCode::SET_DATA, SetDataRequest { path: text(path), data, version }.to_bytes()).await
    }

    /// The names of a node's children, in the server's order, and its bookkeeping.
    pub async fn children(&self, path: &str, watch: bool) -> Result<(Vec<String>, Stat), Error> {
        let reply = self.call(OpCode::GET_CHILDREN2, &PathWatchRequest { path: text(path), watch }).await?;
        let mut reader = Reader::unlimited(&reply.body);
        Ok((names(reader.list()?), Stat::decode(&mut reader)?))
    }

    /// The number of nodes below a node.
    pub async fn all_children_number(&self, path: &str) -> Result<i32, Error> {
        self.call(OpCode::GET_ALL_CHILDREN_NUMBER, &PathRequest { path: text(path) }).await?.decode()
    }

    /// What the owner field of a node holds, also of containers and TTL nodes. Oxkeeper's own operation: a server of the
    /// original closes the session of who asks it.
    pub async fn owner(&self, path: &str) -> Result<i64, Error> {
        self.call(OpCode::GET_OWNER, &PathRequest { path: text(path) }).await?.decode()
    }

    /// The session's ephemeral nodes whose paths begin with `prefix`.
    pub async fn ephemerals(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let reply = self.call(OpCode::GET_EPHEMERALS, &PathRequest { path: text(prefix) }).await?;
        Ok(names(reply.decode::<List<Text>>()?))
    }

    /// A node's access list.
    pub async fn acl(&self, path: &str) -> Result<(Vec<Acl>, Stat), Error> {
        let reply = self.call(OpCode::GET_ACL, &PathRequest { path: text(path) }).await?;
        let response: GetAclResponse = reply.decode()?;
        Ok((response.acl.unwrap_or_default(), response.stat))
    }

    /// Sets a node's access list.
    pub async fn set_acl(&self, path: &str, acl: &[Acl], version: i32) -> Result<Stat, Error> {
        let request = SetAclRequest { path: text(path), acl: entries(acl), version };
        self.call(OpCode::SET_ACL, &request).await?.decode()
    }

    /// Waits until this server has everything that was committed before.
    pub async fn sync(&self, path: &str) -> Result<(), Error> {
        self.call(OpCode::SYNC, &PathRequest { path: text(path) }).await.map(drop)
    }

    /// All parts or none. The outer result is the server's; the parts say what became of each.
    pub async fn multi(&self, ops: &[Op<'_>]) -> Result<Vec<OpResult>, Error> {
        multi_results(&self.send_multi(ops).await?.reply().await?)
    }

    /// Hands a multi to the connection and returns before its reply, which [`multi_results`] reads.
    pub async fn send_multi(&self, ops: &[Op<'_>]) -> Result<Pending, Error> {
        let mut body = Vec::new();
        ops.iter().for_each(|op| op.encode(&mut body));
        MULTI_END.encode(&mut body);
        self.send(OpCode::MULTI, body).await
    }

    /// Hands an identity to the connection and returns before the server has judged it.
    pub async fn send_auth(&self, scheme: &str, auth: Option<&[u8]>) -> Result<Pending, Error> {
        let packet = AuthPacket { kind: 0, scheme: text(scheme), auth };
        self.send(OpCode::AUTH, packet.to_bytes()).await
    }

    /// Adds an identity to the connection.
    pub async fn add_auth(&self, scheme: &str, auth: &[u8]) -> Result<(), Error> {
        self.send_auth(scheme, Some(auth)).await?.reply().await.map(drop)
    }

    /// Leaves the watches of an earlier connection anew; what changed after `relative_zxid` is told as events at once.
    pub async fn set_watches(&self, relative_zxid: i64, watches: &Watches<'_>) -> Result<(), Error> {
        fn list<'a>(paths: &[&'a str]) -> List<Text<'a>> {
            Some(paths.iter().map(|path| text(path)).collect())
        }
        let mut body = SetWatches {
            relative_zxid,
            data_watches: list(&watches.data),
            exist_watches: list(&watches.exist),
            child_watches: list(&watches.child),
        }
        .to_bytes();
        let persistent = SetPersistentWatches {
            persistent_watches: list(&watches.persistent),
            persistent_recursive_watches: list(&watches.persistent_recursive),
        };
        persistent.encode(&mut body);
        self.send(OpCode::SET_WATCHES2, body).await?.reply().await.map(drop)
    }

    /// The identities of the connection: scheme and user.
    pub async fn who_am_i(&self) -> Result<Vec<(String, String)>, Error> {
        let reply = self.send(OpCode::WHO_AM_I, Vec::new()).await?.reply().await?;
        let infos = reply.decode::<List<ClientInfo>>()?.unwrap_or_default();
        let owned = |text: Text<'_>| text.unwrap_or_default().into_owned();
        Ok(infos.into_iter().map(|info| (owned(info.auth_scheme), owned(info.user))).collect())
    }

    /// Leaves a watch that stays.
    pub async fn add_watch(&self, path: &str, mode: WatchMode) -> Result<(), Error> {
        let mode = i32::from(mode == WatchMode::PersistentRecursive);
        self.call(OpCode::ADD_WATCH, &PathModeRequest { path: text(path), mode }).await.map(drop)
    }

    /// Removes watches; `kind` is ZooKeeper's: 1 children, 2 data, 3 any, 4 persistent, 5 persistent recursive.
    pub async fn remove_watches(&self, path: &str, kind: i32) -> Result<(), Error> {
        self.call(OpCode::REMOVE_WATCHES, &PathModeRequest { path: text(path), mode: kind }).await.map(drop)
    }

    /// Changes the membership of the ensemble and returns the new configuration.
    pub async fn reconfig(
        &self,
        joining: Option<&str>,
        leaving: Option<&str>,
        members: Option<&str>,
        version: i64,
    ) -> Result<(Vec<u8>, Stat), Error> {
        let request = ReconfigRequest {
            joining_servers: joining.map(Cow::Borrowed),
            leaving_servers: leaving.map(Cow::Borrowed),
            new_members: members.map(Cow::Borrowed),
            cur_config_id: version,
        };
        let reply = self.call(OpCode::RECONFIG, &request).await?;
        let response: GetDataResponse = reply.decode()?;
        Ok((response.data.unwrap_or_default().to_vec(), response.stat))
    }
}
