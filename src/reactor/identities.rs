//! Who a connection is: the packets auth and sasl, which the reactor answers itself. What an identity may do is decided in
//! `auth`.

use super::read::{begin_reply, end_reply};
use super::{Number, Reactor, Turn};
use crate::auth::AuthOutcome;
use crate::jute::{Decode, Encode, Reader};
use crate::metrics;
use crate::proto::ErrorCode;
use crate::proto::records::{AuthPacket, SaslToken};

impl Reactor {
    pub(super) fn authenticate(&mut self, number: Number, xid: i32, body: &[u8], turn: &mut Turn) {
        let Some(connection) = self.connections.get(&number) else { return };
        let packet = AuthPacket::decode(&mut Reader::new(body, self.settings.field_max));
        let Ok(AuthPacket { scheme, auth, .. }) = packet else { return self.hang_up(number, turn) };
        let policy = &self.settings.policy;
        let outcome = policy.authenticate(scheme.as_deref(), auth, connection.remote.ip(), &connection.identities);
        if scheme.as_deref() == Some("ensemble") {
            // As `EnsembleAuthenticationProvider` does.
            let skips = auth.is_none_or(<[u8]>::is_empty) || policy.ensemble_names.is_none();
            match outcome {
                AuthOutcome::Accepted(_) if skips => self.readings.add(metrics::ENSEMBLE_AUTH_SKIP, 1),
                AuthOutcome::Accepted(_) => self.readings.add(metrics::ENSEMBLE_AUTH_SUCCESS, 1),
                AuthOutcome::WrongEnsemble => self.readings.add(metrics::ENSEMBLE_AUTH_FAIL, 1),
                AuthOutcome::Refused(_) => {}
            }
        }
        match outcome {
            AuthOutcome::Accepted(ids) => {
                let new: Vec<_> = ids.into_iter().filter(|id| !connection.identities.contains(id)).collect();
                if !new.is_empty() {
                    self.identify(number, new);
                }
                let Some(connection) = self.connections.get_mut(&number) else { return };
                let frame = begin_reply(&mut connection.output, xid, 0, ErrorCode::OK);
                end_reply(&mut connection.output, frame);
                connection.stats.sent += 1;
                self.stats.sent += 1;
                turn.flush.push(number);
            }
            AuthOutcome::Refused(why) => {
                self.stats.auth_failed += 1;
                tracing::warn!(peer = %connection.remote, scheme = scheme.as_deref().unwrap_or("null"), %why, "authentication failed");
                self.last_words(number, xid, 0, ErrorCode::AUTH_FAILED, turn);
            }
            AuthOutcome::WrongEnsemble => {
                self.stats.auth_failed += 1;
                tracing::warn!(peer = %connection.remote, "closing: the client looks for another ensemble");
                self.hang_up(number, turn);
            }
        }
    }

    /// Without a SASL configuration the original answers every token with none, and nothing is proven.
    pub(super) fn sasl(&mut self, number: Number, xid: i32, body: &[u8], turn: &mut Turn) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        // Java trips over a null token, and closes.
        let token = SaslToken::decode(&mut Reader::new(body, self.settings.field_max));
        if !token.is_ok_and(|packet| packet.token.is_some()) {
            return self.hang_up(number, turn);
        }
        let frame = begin_reply(&mut connection.output, xid, 0, ErrorCode::OK);
        SaslToken { token: None }.encode(&mut connection.output);
        end_reply(&mut connection.output, frame);
        connection.stats.sent += 1;
        self.stats.sent += 1;
        turn.flush.push(number);
    }
}
