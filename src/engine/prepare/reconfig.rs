//! reconfig: another membership, as a whole or by increments. It becomes a setData of `/zookeeper/config` whose version is
//! its own zxid; from then on, and until it is active, another is refused.

use super::{Engine, Refusal, Txnal};
use crate::config::{Ensemble, Flaw, PeerType};
use crate::proto::records::ReconfigRequest;
use crate::proto::txn::Txn;
use crate::proto::{ErrorCode, OpCode, acl, path};
use crate::quorum::Voters;
use crate::zab::ServerId;
use std::collections::BTreeSet;

/// What a leader knows of its ensemble.
#[derive(Debug, Clone)]
pub struct Configurations {
    /// In force.
    pub active: Ensemble,
    /// Proposed last; the active one once it is in force.
    pub last_seen: Ensemble,
    /// Members that follow and are in step, this server among them.
    pub synced: BTreeSet<ServerId>,
    /// `standaloneEnabled`: an ensemble of one is no ensemble.
    pub standalone: bool,
    /// `multiAddress.enabled`.
    pub multi_address: bool,
}

impl From<Flaw> for Refusal {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Refused(_) => ErrorCode::BAD_ARGUMENTS,
            // The original trips over these in its own code.
            Flaw::Unreadable(_) => ErrorCode::MARSHALLING_ERROR,
        }
    }
}

impl Engine {
    /// The order of these checks is part of the protocol: who may not, hears of everything else first.
    pub(super) fn reconfig(
        &mut self,
        at: &Txnal<'_>,
        request: &ReconfigRequest<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        if !self.rules.reconfig {
            return Err(ErrorCode::RECONFIG_DISABLED);
        }
        self.alive(&at.request)?;
        // A server without an ensemble has no membership to change.
        let known = self.configurations.as_ref().ok_or(ErrorCode::UNIMPLEMENTED)?;
        if known.last_seen.version != known.active.version {
            return Err(ErrorCode::RECONFIG_IN_PROGRESS);
        }
        if request.cur_config_id != -1 && request.cur_config_id != known.last_seen.version {
            return Err(ErrorCode::BAD_VERSION);
        }
        let next = known.wanted(request)?;
        let least = if known.standalone { 2 } else { 1 };
        if next.voters().count() < least {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        // Who observes since a moment ago may not have heard of it yet, and goes when it does.
        let acknowledges = |id| known.synced.contains(&id) && known.active.role(id) != PeerType::Observer;
        if !Voters::of(&next).is_quorum(acknowledges) {
            return Err(ErrorCode::NEW_CONFIG_NO_QUORUM);
        }
        let node = self.node(at, path::CONFIG)?;
        self.permit(at, &node, acl::WRITE)?;
        let next = Ensemble { version: at.zxid.0, ..next };
        let text = next.to_string();
        let mut after = node.clone();
        after.stat.version = -1;
        after.stat.mzxid = at.zxid.0;
        after.stat.mtime = at.request.time_ms;
        after.data_len = text.len();
        self.put(at, path::CONFIG, Some(&node), Some(after));
        Txn::SetData { path: Some(path::CONFIG.into()), data: Some(text.as_bytes()), version: -1 }
            .encode(OpCode::RECONFIG, out);
        self.configurations.as_mut().expect("looked at above").last_seen = next;
        Ok(())
    }
}

impl Configurations {
    fn wanted(&self, request: &ReconfigRequest<'_>) -> Result<Ensemble, Refusal> {
        if let Some(members) = &request.new_members {
            // Commas and ends of line both separate.
            return Ok(Ensemble::parse_text(&members.replace(',', "\n"), self.standalone, self.multi_address)?);
        }
        if self.last_seen.is_hierarchical() {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        let (leaving, joining) = (request.leaving_servers.as_deref(), request.joining_servers.as_deref());
        Ok(self.last_seen.changed(leaving, joining, self.multi_address)?)
    }
}
