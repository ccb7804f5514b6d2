//! One request becomes one transaction, or an error transaction: a failed write takes a zxid too, as in the original, and
//! mixed ensembles depend on it. Only a body that cannot be decoded takes none
//! (`org.apache.zookeeper.server.PrepRequestProcessor`). The operations stand in one file for each family.

mod create;
mod delete;
mod multi;
mod reconfig;
mod session;
mod set;

pub(crate) use create::makes_ephemerals;
pub(crate) use multi::is_multi_of_writes;
pub use reconfig::Configurations;

use super::outstanding::{AclOf, NodeView};
use super::{Engine, Standing};
use crate::jute::{Decode, DecodeError, Encode, Reader};
use crate::proto::acl::Id;
use crate::proto::records::{PathRequest, ReconfigRequest, StatPersisted};
use crate::proto::session::SessionId;
use crate::proto::txn::{DIGEST_VERSION, Txn, TxnDigest, TxnHeader};
use crate::proto::{ErrorCode, OpCode, Zxid};
use crate::tree::{Tree, digest};

/// A write as it comes from a connection, or from the server itself (session 0).
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Session.
    pub session: SessionId,
    /// The client's number.
    pub xid: i32,
    /// Operation.
    pub op: OpCode,
    /// Encoded record of the operation.
    pub body: &'a [u8],
    /// Identities of the connection.
    pub identities: &'a [Id],
    /// Wall clock, ms.
    pub time_ms: i64,
    /// Longest string or buffer.
    pub field_max: usize,
}

impl<'a> Request<'a> {
    fn decode<T: Decode<'a>>(&self) -> Result<T, DecodeError> {
        T::decode(&mut Reader::new(self.body, self.field_max))
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepared {
    /// A transaction was appended; its outcome, good or bad, is told when it commits.
    Logged(Zxid),
    /// The body is no record of its operation: answered with MarshallingError, nothing logged.
    Undecodable,
}

/// A write that cannot be.
type Refusal = ErrorCode;

impl From<DecodeError> for Undecodable {
    fn from(_: DecodeError) -> Self {
        Undecodable
    }
}

struct Undecodable;

/// What is the same for all changes of one transaction.
struct Txnal<'a> {
    tree: &'a Tree,
    request: Request<'a>,
    zxid: Zxid,
}

impl Engine {
    /// Turns a request into a transaction and appends its record (header, body, digest) to `out`.
    pub fn prepare(&mut self, tree: &Tree, request: &Request<'_>, out: &mut Vec<u8>) -> Prepared {
        let at = Txnal { tree, request: *request, zxid: self.zxid.next() };
        let start = out.len();
        let header = |op: OpCode| TxnHeader {
            client_id: request.session,
            cxid: request.xid,
            zxid: at.zxid.0,
            time_ms: request.time_ms,
            op: op.0,
        };
        header(request.op).encode(out);
        let judged = match self.judge(&at, out) {
            Ok(judged) => judged,
            Err(Undecodable) => {
                out.truncate(start);
                return Prepared::Undecodable;
            }
        };
        self.zxid = at.zxid;
        match judged {
            Ok(()) => {
                if self.rules.digest {
                    TxnDigest { version: DIGEST_VERSION, tree_digest: self.digest as i64 }.encode(out);
                }
            }
            Err(refusal) => {
                out.truncate(start);
                header(OpCode::ERROR).encode(out);
                Txn::Error { err: refusal.0 }.encode(OpCode::ERROR, out);
            }
        }
        Prepared::Logged(at.zxid)
    }

    /// Turns a request into an error transaction without looking at it: its session has moved to another server.
    pub fn refuse(&mut self, request: &Request<'_>, error: ErrorCode, out: &mut Vec<u8>) -> Zxid {
        self.zxid = self.zxid.next();
        let Request { session: client_id, xid: cxid, time_ms, .. } = *request;
        TxnHeader { client_id, cxid, zxid: self.zxid.0, time_ms, op: OpCode::ERROR.0 }.encode(out);
        Txn::Error { err: error.0 }.encode(OpCode::ERROR, out);
        self.zxid
    }

    /// Decodes and validates; on success the body is appended and the overlay knows the change.
    fn judge(&mut self, at: &Txnal<'_>, out: &mut Vec<u8>) -> Result<Result<(), Refusal>, Undecodable> {
        let request = &at.request;
        Ok(match request.op {
            OpCode::CREATE | OpCode::CREATE2 | OpCode::CREATE_CONTAINER | OpCode::CREATE_TTL => {
                let create = create::Create::decode(request)?;
                self.create(at, &create, out)
            }
            OpCode::DELETE => {
                let delete = request.decode()?;
                self.delete(at, &delete, out)
            }
            OpCode::DELETE_CONTAINER => {
                let PathRequest { path } = request.decode()?;
                self.delete_container(at, path.as_deref(), out)
            }
            OpCode::SET_DATA => {
                let set = request.decode()?;
                self.set_data(at, &set, out)
            }
            OpCode::SET_ACL => {
                let set = request.decode()?;
                self.set_acl(at, &set, out)
            }
            OpCode::MULTI => self.multi(at, out)?,
            OpCode::CREATE_SESSION => self.create_session(at, out)?,
            OpCode::CLOSE_SESSION => self.close_session(at, out),
            OpCode::RECONFIG => {
                let reconfig: ReconfigRequest<'_> = request.decode()?;
                self.reconfig(at, &reconfig, out)
            }
            op => unreachable!("{op} is not a write, the opcode table says so"),
        })
    }

    fn alive(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let session = request.session;
        match self.sessions.standing(session) {
            Standing::Alive => Ok(()),
            // The server itself: the reaper.
            _ if session == 0 => Ok(()),
            Standing::Closing => Err(ErrorCode::SESSION_EXPIRED),
            Standing::Unknown => match self.rules.member {
                None => Err(ErrorCode::UNKNOWN_SESSION),
                Some(member) if member.local_sessions => match self.local_sessions.standing(session) {
                    Standing::Alive => Ok(()),
                    // A local one of another server: it would not ask if it were not alive there.
                    Standing::Unknown if (session >> 56) as u8 != member.me => Ok(()),
                    _ => Err(ErrorCode::SESSION_EXPIRED),
                },
                Some(_) => Err(ErrorCode::SESSION_EXPIRED),
            },
        }
    }

    /// Only a session that all servers know may own nodes.
    fn alive_everywhere(&self, request: &Request<'_>) -> Result<(), Refusal> {
        match self.sessions.standing(request.session) {
            Standing::Alive => Ok(()),
            Standing::Unknown if self.is_local(request.session) => Err(ErrorCode::EPHEMERAL_ON_LOCAL_SESSION),
            _ => Err(ErrorCode::SESSION_EXPIRED),
        }
    }

    fn node(&self, at: &Txnal<'_>, path: &str) -> Result<NodeView, Refusal> {
        self.outstanding.node(at.tree, path).ok_or(ErrorCode::NO_NODE)
    }

    fn permit(&self, at: &Txnal<'_>, node: &NodeView, permission: i32) -> Result<(), Refusal> {
        let permitted = match &node.acl {
            AclOf::Stored(id) if at.tree.world_permissions(*id) & permission != 0 => true,
            AclOf::Stored(id) => {
                self.rules.policy.permits(at.tree.acl(*id).map(|list| &**list), permission, at.request.identities)
            }
            AclOf::Pending(list) => self.rules.policy.permits(Some(list), permission, at.request.identities),
        };
        if permitted { Ok(()) } else { Err(ErrorCode::NO_AUTH) }
    }

    /// Hard quotas, judged on what is applied, as the original does.
    fn within_quota(&mut self, at: &Txnal<'_>, path: &str, count: i64, bytes: i64) -> Result<(), Refusal> {
        if !self.rules.enforce_quota || !at.tree.has_quotas() {
            return Ok(());
        }
        match at.tree.exceeds_quota(path, count, bytes) {
            Some(over) if over.hard => {
                self.count_over_quota(path);
                Err(ErrorCode::QUOTA_EXCEEDED)
            }
            Some(over) => {
                tracing::warn!(
                    path,
                    prefix = over.prefix,
                    limit = over.limit,
                    value = over.value,
                    "soft {} quota exceeded",
                    over.what
                );
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn count_over_quota(&mut self, path: &str) {
        let Some(namespace) = crate::metrics::namespace_of(path) else { return };
        if self.over_quota.len() < crate::metrics::KEYS_MAX || self.over_quota.contains_key(namespace) {
            *self.over_quota.entry(namespace.to_owned()).or_default() += 1;
        }
    }

    /// Records a node's state after this transaction, and moves the digest along.
    fn put(&mut self, at: &Txnal<'_>, path: &str, before: Option<&NodeView>, after: Option<NodeView>) {
        if self.rules.digest && digest::counts(path) {
            if let Some(before) = before {
                self.digest = self.digest.wrapping_sub(digest::node_digest(before.content_crc, &before.stat));
            }
            if let Some(after) = &after {
                self.digest = self.digest.wrapping_add(digest::node_digest(after.content_crc, &after.stat));
            }
        }
        self.outstanding.put(at.zxid, path, after);
    }

    fn content_crc(&self, path: &str, data: Option<&[u8]>) -> u32 {
        if self.rules.digest { digest::content_crc(path, data) } else { 0 }
    }
}

/// Only -1 is a wildcard.
fn next_version(current: i32, expected: i32) -> Result<i32, Refusal> {
    if expected != -1 && expected != current {
        return Err(ErrorCode::BAD_VERSION);
    }
    // -1 would read as "any" in a later request.
    Ok(match current.wrapping_add(1) {
        -1 => 0,
        next => next,
    })
}

fn new_stat(at: &Txnal<'_>, ephemeral_owner: i64) -> StatPersisted {
    StatPersisted {
        czxid: at.zxid.0,
        mzxid: at.zxid.0,
        pzxid: at.zxid.0,
        ctime: at.request.time_ms,
        mtime: at.request.time_ms,
        ephemeral_owner,
        ..StatPersisted::default()
    }
}

#[cfg(test)]
mod reconfig_tests;
#[cfg(test)]
mod tests;
