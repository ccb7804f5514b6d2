//! What the reactor tells its ledger of who loads the server, and when. The figures and their promises are in `talkers`.

use super::{HEADER, Number, Reactor};
use crate::proto::OpCode;
use crate::proto::acl::Id;
use crate::talkers::{Ledger, Tally, path_bytes};
use std::sync::Arc;

/// Who has proven nothing, as access lists call everybody.
pub(super) const ANYONE: &str = "world:anyone";

impl Reactor {
    /// What was counted so far, for whoever shows it.
    pub fn ledger(&self) -> Option<&Ledger> {
        self.ledger.as_deref()
    }

    /// To be called once a second: connections tell what they cost, and the past fades.
    pub fn count_talkers(&mut self, now_ms: i64) {
        let Some(ledger) = &mut self.ledger else { return };
        ledger.fade(now_ms);
        for connection in self.connections.values_mut() {
            connection.fold(ledger);
            connection.tally = Tally::default();
        }
    }

    /// To be called after a turn that took `spent_us`: its reads share that time.
    pub fn settle(&mut self, spent_us: u64, now_ms: i64) {
        self.tell_slow_turn(spent_us, now_ms);
        let Some(ledger) = &mut self.ledger else { return };
        let connections = &mut self.connections;
        ledger.settle(spent_us, |number, time_us| {
            if let Some(connection) = connections.get_mut(&number) {
                connection.tally.time_us += time_us;
            }
        });
    }

    /// A request that is not read from the tree at once has come.
    pub(super) fn count_request(&mut self, op: OpCode, body: &[u8], bytes: usize) {
        if let Some(ledger) = &mut self.ledger {
            ledger.came(op, path_bytes(op, body), HEADER + bytes);
        }
    }

    /// The identities of a connection under one name: what it proved beyond its address. Digests of passwords stay out.
    pub(super) fn name_of(&self, identities: &[Id]) -> Arc<str> {
        let proven = identities.iter().filter(|id| id.scheme != "ip");
        let names: Vec<_> = proven.map(|id| format!("{}:{}", id.scheme, self.settings.policy.user(id))).collect();
        if names.is_empty() { self.anyone.clone() } else { names.join(",").into() }
    }

    /// A connection has proven more.
    pub(super) fn identify(&mut self, number: Number, new: Vec<Id>) {
        let Some(connection) = self.connections.get(&number) else { return };
        let identities: Arc<[Id]> = connection.identities.iter().cloned().chain(new).collect();
        let (name, rate) = (self.name_of(&identities), self.rate_of(&identities));
        let Some(connection) = self.connections.get_mut(&number) else { return };
        // What it cost so far, it cost as who it was.
        if let Some(ledger) = &mut self.ledger {
            connection.fold(ledger);
            connection.tally = Tally::default();
        }
        (connection.identities, connection.name, connection.rate) = (identities, name, rate);
    }
}
