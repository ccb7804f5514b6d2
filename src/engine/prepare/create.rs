//! create, create2, createContainer, createTTL. The operation decides between plain, container and TTL; the flags decide
//! ephemeral and sequential.

use super::{AclOf, Engine, NodeView, Refusal, Request, Txnal, Undecodable, new_stat};
use crate::jute::{Buffer, Decode, List, Reader, Text};
use crate::proto::acl::{self, AclEntry};
use crate::proto::records::{CreateRequest, CreateTtlRequest};
use crate::proto::txn::{CreateKind, CreateTxn, Txn};
use crate::proto::{ErrorCode, OpCode, path};
use crate::tree::{CONTAINER_OWNER, Owner, TTL_MAX_MS, TTL_OWNER};
use std::borrow::Cow;

/// A create of any kind, decoded.
#[derive(Debug)]
pub(super) struct Create<'a> {
    pub op: OpCode,
    pub path: Text<'a>,
    pub data: Buffer<'a>,
    pub acl: List<AclEntry<'a>>,
    pub flags: i32,
    /// -1 where the request has no lifetime.
    pub ttl_ms: i64,
}

/// `org.apache.zookeeper.CreateMode`, by its flag.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mode {
    pub ephemeral: bool,
    pub sequential: bool,
    pub container: bool,
    pub ttl: bool,
}

impl Mode {
    pub(super) fn from_flag(flag: i32) -> Option<Mode> {
        let mode = |ephemeral, sequential, container, ttl| Some(Mode { ephemeral, sequential, container, ttl });
        match flag {
            0 => mode(false, false, false, false),
            1 => mode(true, false, false, false),
            2 => mode(false, true, false, false),
            3 => mode(true, true, false, false),
            4 => mode(false, false, true, false),
            5 => mode(false, false, false, true),
            6 => mode(false, true, false, true),
            _ => None,
        }
    }
}

/// Whether a request makes ephemeral nodes, as far as it can be decoded (`QuorumZooKeeperServer.checkUpgradeSession`).
pub(crate) fn makes_ephemerals(op: OpCode, body: &[u8], field_max: usize) -> bool {
    let mut reader = Reader::new(body, field_max);
    match op {
        OpCode::CREATE | OpCode::CREATE2 => CreateRequest::decode(&mut reader)
            .is_ok_and(|create| Mode::from_flag(create.flags).is_some_and(|mode| mode.ephemeral)),
        OpCode::MULTI => super::multi::makes_ephemerals(&mut reader),
        _ => false,
    }
}

impl<'a> Create<'a> {
    pub(super) fn decode(request: &Request<'a>) -> Result<Self, Undecodable> {
        Ok(match request.op {
            OpCode::CREATE_TTL => {
                let CreateTtlRequest { path, data, acl, flags, ttl_ms } = request.decode()?;
                Create { op: request.op, path, data, acl, flags, ttl_ms }
            }
            op => {
                let CreateRequest { path, data, acl, flags } = request.decode()?;
                Create { op, path, data, acl, flags, ttl_ms: -1 }
            }
        })
    }
}

impl Engine {
    /// The order of these checks is part of the protocol: the first that fails decides the code.
    pub(super) fn create(&mut self, at: &Txnal<'_>, create: &Create<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let mode = Mode::from_flag(create.flags).ok_or(ErrorCode::BAD_ARGUMENTS)?;
        if mode.ttl && !self.rules.owners.extended_types {
            return Err(ErrorCode::UNIMPLEMENTED);
        }
        let ttl_fits = if mode.ttl {
            create.op == OpCode::CREATE_TTL && (1..=TTL_MAX_MS).contains(&create.ttl_ms)
        } else {
            // The original logs a negative lifetime here and dies of it; see the list of differences.
            create.op != OpCode::CREATE_TTL
        };
        if !ttl_fits {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        match mode.ephemeral {
            true => self.alive_everywhere(&at.request)?,
            false => self.alive(&at.request)?,
        }
        let wanted = create.path.as_deref().ok_or(ErrorCode::MARSHALLING_ERROR)?;
        let (parent_path, _) = path::split(wanted).ok_or(ErrorCode::BAD_ARGUMENTS)?;
        if wanted.contains('\0') {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        let acl = self.rules.policy.fix_acl(&create.acl, at.request.identities)?;
        let parent = self.node(at, parent_path)?;
        self.permit(at, &parent, acl::CREATE)?;
        let full = match mode.sequential {
            true => Cow::Owned(format!("{wanted}{:010}", parent.stat.cversion)),
            false => Cow::Borrowed(wanted),
        };
        if !path::is_valid(&full) {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        if self.node(at, &full).is_ok() {
            return Err(ErrorCode::NODE_EXISTS);
        }
        if matches!(self.rules.owners.owner(parent.stat.ephemeral_owner), Owner::Session(_)) {
            return Err(ErrorCode::NO_CHILDREN_FOR_EPHEMERALS);
        }
        let data_len = create.data.map_or(0, <[u8]>::len);
        self.within_quota(at, &full, 1, data_len as i64)?;

        let (kind, owner) = match create.op {
            OpCode::CREATE_CONTAINER => (CreateKind::Container, CONTAINER_OWNER),
            OpCode::CREATE_TTL => (CreateKind::Ttl(create.ttl_ms), TTL_OWNER | create.ttl_ms),
            _ if mode.ephemeral => (CreateKind::Ephemeral, at.request.session),
            _ => (CreateKind::Persistent, 0),
        };
        let parent_cversion = parent.stat.cversion.wrapping_add(1);
        let mut parent_after = parent.clone();
        parent_after.children += 1;
        // As in apply: the counter stops at its end, and the next sequential name clashes.
        if parent_cversion > parent.stat.cversion {
            parent_after.stat.cversion = parent_cversion;
            parent_after.stat.pzxid = at.zxid.0;
        }
        let node = NodeView {
            stat: new_stat(at, owner),
            children: 0,
            acl: AclOf::Pending(acl.as_slice().into()),
            content_crc: self.content_crc(&full, create.data),
            data_len,
        };
        self.put(at, parent_path, Some(&parent), Some(parent_after));
        self.put(at, &full, None, Some(node));
        let txn =
            CreateTxn { path: Some(Cow::Borrowed(&full)), data: create.data, acl: Some(acl), kind, parent_cversion };
        Txn::Create(txn).encode(create.op, out);
        Ok(())
    }
}
