//! Where the reactor asks whether a request is served: budgets and rates. The decisions are in `guard`.

use super::{Number, Reactor};
use crate::guard::Rate;
use crate::proto::acl::Id;
use crate::proto::{Class, ErrorCode, OpCode};
use crate::talkers::path_of;
use std::sync::Arc;

impl Reactor {
    /// Why a request is refused, if it is. What keeps a session alive, gets it back or ends it is always served.
    pub(super) fn refusal(&mut self, number: Number, op: OpCode, body: &[u8], now_ms: i64) -> Option<ErrorCode> {
        let settings = &self.settings;
        let restores = matches!(op, OpCode::SET_WATCHES | OpCode::SET_WATCHES2);
        if !matches!(op.class(), Some(Class::Read | Class::Write)) || restores {
            return None;
        }
        let refusal = if settings.budget.refuses(op, body, settings.field_max) {
            ErrorCode::QUOTA_EXCEEDED
        } else {
            let rate = self.connections.get(&number).and_then(|connection| connection.rate.as_ref());
            let identity = rate.is_none_or(|rate| rate.admits(now_ms));
            let place = || {
                settings.prefix_rates.is_empty()
                    || path_of(op, body).is_none_or(|path| settings.prefix_rates.admit(path, now_ms))
            };
            if identity && place() {
                return None;
            }
            self.stats.refused_for_rate += 1;
            ErrorCode::THROTTLED_OP
        };
        self.stats.refused += 1;
        Some(refusal)
    }

    /// The rate of what a connection has proven; of its address when that is nothing.
    pub(super) fn rate_of(&self, identities: &[Id]) -> Option<Arc<Rate>> {
        let rates = self.settings.rates.as_ref()?;
        let name = self.name_of(identities);
        if *name != *super::talking::ANYONE {
            return rates.of(&name);
        }
        rates.of(&identities.iter().find(|id| id.scheme == "ip").map(|id| format!("ip:{}", id.id))?)
    }
}
