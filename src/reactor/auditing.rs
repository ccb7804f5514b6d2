//! What the reactor keeps of a write until its reply is there, so that the audit log can tell both. What is told, and
//! how, is in `audit`. Nothing here costs anything while `audit.enable` is false.

use super::connection::{Connection, Waiting};
use super::{Number, Reactor, Settings, Turn};
use crate::audit::{self, Event};
use crate::proto::OpCode;
use crate::proto::acl::Id;
use crate::proto::session::SessionId;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// A write that the audit log waits for.
#[derive(Debug, Clone)]
pub(super) struct Audited {
    session: SessionId,
    op: OpCode,
    body: Box<[u8]>,
}

impl Audited {
    pub(super) fn new(session: SessionId, op: OpCode, body: &[u8]) -> Box<Self> {
        Box::new(Audited { session, op, body: body.into() })
    }

    pub(super) fn tell(&self, settings: &Settings, reply: &[u8], identities: &[Id], turn: &mut Turn) {
        let Audited { session, op, ref body } = *self;
        let user = settings.policy.users(identities);
        let ip = identities.iter().find(|id| id.scheme == "ip").map(|id| id.id.as_str());
        let field_max = settings.field_max;
        let request = audit::Request { session, user: user.as_deref(), ip, op, body, field_max };
        let events: Vec<Event> = audit::events(&request, reply);
        turn.audited.extend(events);
    }
}

/// Writes of connections that are gone: they still happen, and are told. One place for each write in flight, in order;
/// empty for those that are of no interest.
pub(super) type Departed = HashMap<Number, (Arc<[Id]>, VecDeque<Option<Box<Audited>>>)>;

impl Reactor {
    pub(super) fn remember_departed(&mut self, number: Number, connection: &Connection) {
        if !self.settings.audit {
            return;
        }
        let writes = connection.lane.iter().filter_map(|waiting| match waiting {
            Waiting::Write { audited, .. } => Some(audited.clone()),
            _ => None,
        });
        let writes: VecDeque<_> = writes.collect();
        if !writes.is_empty() {
            self.departed.insert(number, (connection.identities.clone(), writes));
        }
    }

    /// The reply to a write whose connection is gone.
    pub(super) fn audit_departed(&mut self, number: Number, reply: &[u8], turn: &mut Turn) {
        let Some((identities, writes)) = self.departed.get_mut(&number) else { return };
        if let Some(Some(audited)) = writes.pop_front() {
            audited.tell(&self.settings, reply, identities, turn);
        }
        if writes.is_empty() {
            self.departed.remove(&number);
        }
    }
}
