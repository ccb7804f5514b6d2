//! createSession and closeSession.

use super::{Engine, Refusal, Txnal, Undecodable};
use crate::jute::Reader;
use crate::proto::OpCode;
use crate::proto::txn::Txn;
use std::collections::BTreeSet;

impl Engine {
    /// The body is the negotiated timeout.
    pub(super) fn create_session(
        &mut self,
        at: &Txnal<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Result<(), Refusal>, Undecodable> {
        let timeout_ms = Reader::unlimited(at.request.body).int()?;
        Txn::CreateSession { timeout_ms }.encode(OpCode::CREATE_SESSION, out);
        Ok(Ok(()))
    }

    /// Names every ephemeral the session will own by then: those in the tree, with what is in flight.
    pub(super) fn close_session(&mut self, at: &Txnal<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let session = at.request.session;
        let mut owned: BTreeSet<String> = at.tree.ephemerals(session).map(|id| at.tree.path(id)).collect();
        for (path, owner) in self.outstanding.owners() {
            // Deleted, or deleted and made anew by somebody else: not this session's any more.
            match owner == Some(session) {
                true => drop(owned.insert(path.to_owned())),
                false => drop(owned.remove(path)),
            }
        }
        owned.iter().for_each(|path| self.put_deleted(at, path));
        if self.rules.close_session_paths {
            let paths = owned.iter().map(|path| Some(path.as_str().into())).collect();
            Txn::CloseSession { paths: Some(paths) }.encode(OpCode::CLOSE_SESSION, out);
        }
        self.sessions.set_closing(session);
        Ok(())
    }
}
