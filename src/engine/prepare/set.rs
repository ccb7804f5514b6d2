//! setData, setACL, and check, which sets nothing and stands only inside a multi.

use super::{AclOf, Engine, NodeView, Refusal, Txnal, next_version};
use crate::proto::records::{PathVersionRequest, SetAclRequest, SetDataRequest};
use crate::proto::txn::Txn;
use crate::proto::{ErrorCode, OpCode, acl, path};

impl Engine {
    pub(super) fn set_data(
        &mut self,
        at: &Txnal<'_>,
        request: &SetDataRequest<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        self.alive(&at.request)?;
        let (full, node) = self.existing(at, request.path.as_deref())?;
        self.permit(at, &node, acl::WRITE)?;
        let data_len = request.data.map_or(0, <[u8]>::len);
        self.within_quota(at, full, 0, data_len as i64 - node.data_len as i64)?;
        let version = next_version(node.stat.version, request.version)?;
        let mut after = node.clone();
        after.stat.version = version;
        after.stat.mzxid = at.zxid.0;
        after.stat.mtime = at.request.time_ms;
        after.content_crc = self.content_crc(if full == "/" { "" } else { full }, request.data);
        after.data_len = data_len;
        self.put(at, full, Some(&node), Some(after));
        Txn::SetData { path: Some(full.into()), data: request.data, version }.encode(OpCode::SET_DATA, out);
        Ok(())
    }

    pub(super) fn set_acl(
        &mut self,
        at: &Txnal<'_>,
        request: &SetAclRequest<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        self.alive(&at.request)?;
        let full = valid(request.path.as_deref())?;
        let list = self.rules.policy.fix_acl(&request.acl, at.request.identities)?;
        let node = self.node(at, full)?;
        self.permit(at, &node, acl::ADMIN)?;
        let version = next_version(node.stat.aversion, request.version)?;
        let mut after = node.clone();
        after.stat.aversion = version;
        after.acl = AclOf::Pending(list.as_slice().into());
        self.put(at, full, Some(&node), Some(after));
        Txn::SetAcl { path: Some(full.into()), acl: Some(list), version }.encode(OpCode::SET_ACL, out);
        Ok(())
    }

    pub(super) fn check(
        &mut self,
        at: &Txnal<'_>,
        request: &PathVersionRequest<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        self.alive(&at.request)?;
        let (full, node) = self.existing(at, request.path.as_deref())?;
        self.permit(at, &node, acl::READ)?;
        let version = next_version(node.stat.version, request.version)?;
        Txn::Check { path: Some(full.into()), version }.encode(OpCode::CHECK, out);
        Ok(())
    }
}

impl Engine {
    /// A node and its path. One that is there has a valid path, but for the root, which an empty one finds, too.
    fn existing<'p>(&self, at: &Txnal<'_>, path: Option<&'p str>) -> Result<(&'p str, NodeView), Refusal> {
        let full = path.filter(|full| !full.is_empty()).ok_or(ErrorCode::BAD_ARGUMENTS)?;
        match self.node(at, full) {
            Ok(node) => Ok((full, node)),
            Err(missing) => valid(path).and(Err(missing)),
        }
    }
}

fn valid(full: Option<&str>) -> Result<&str, Refusal> {
    full.filter(|full| path::is_valid(full)).ok_or(ErrorCode::BAD_ARGUMENTS)
}
