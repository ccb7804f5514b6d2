//! delete and deleteContainer, the latter only for the server's own reaper.

use super::{Engine, Refusal, Txnal, next_version};
use crate::proto::records::PathVersionRequest;
use crate::proto::txn::Txn;
use crate::proto::{ErrorCode, OpCode, acl, path};
use crate::tree::Owner;

impl Engine {
    pub(super) fn delete(
        &mut self,
        at: &Txnal<'_>,
        request: &PathVersionRequest<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        self.alive(&at.request)?;
        let full = request.path.as_deref().ok_or(ErrorCode::MARSHALLING_ERROR)?;
        let (parent_path, _) = deletable(full)?;
        let parent = self.node(at, parent_path)?;
        self.permit(at, &parent, acl::DELETE)?;
        let node = self.node(at, full)?;
        next_version(node.stat.version, request.version)?;
        if node.children > 0 {
            return Err(ErrorCode::NOT_EMPTY);
        }
        self.put_deleted(at, full);
        Txn::Delete { path: Some(full.into()) }.encode(OpCode::DELETE, out);
        Ok(())
    }

    /// Judged again, since the reaper looked before this transaction's turn.
    pub(super) fn delete_container(
        &mut self,
        at: &Txnal<'_>,
        full: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let full = full.ok_or(ErrorCode::MARSHALLING_ERROR)?;
        deletable(full)?;
        let node = self.node(at, full)?;
        if node.children > 0 {
            return Err(ErrorCode::NOT_EMPTY);
        }
        if !matches!(self.rules.owners.owner(node.stat.ephemeral_owner), Owner::Container | Owner::Ttl(_)) {
            return Err(ErrorCode::BAD_VERSION);
        }
        self.put_deleted(at, full);
        Txn::Delete { path: Some(full.into()) }.encode(OpCode::DELETE_CONTAINER, out);
        Ok(())
    }

    /// The node goes, its parent has one child less.
    pub(super) fn put_deleted(&mut self, at: &Txnal<'_>, full: &str) {
        if let Some((parent_path, _)) = path::split(full)
            && let Ok(parent) = self.node(at, parent_path)
        {
            let mut after = parent.clone();
            after.children -= 1;
            after.stat.pzxid = at.zxid.0;
            self.put(at, parent_path, Some(&parent), Some(after));
        }
        let node = self.node(at, full).ok();
        self.put(at, full, node.as_ref(), None);
    }
}

/// No syntax check beyond this: a malformed path simply does not exist.
fn deletable(full: &str) -> Result<(&str, &str), Refusal> {
    let special = matches!(full, "/" | path::ZOOKEEPER | path::QUOTA | path::CONFIG);
    path::split(full).filter(|_| !special && !full.contains('\0')).ok_or(ErrorCode::BAD_ARGUMENTS)
}
