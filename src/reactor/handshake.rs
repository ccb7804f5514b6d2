//! The handshake: a ConnectRequest asks for a new session or an old one back; the checks, in the order of the original
//! (`ZooKeeperServer.processConnectRequest`). A refusal before the session question is a close without a byte.

use super::connection::{Connection, State};
use super::{Number, Reactor, Submission, Turn, Wanted};
use crate::engine::{ConnectionKey, Touch};
use crate::jute::{Decode, Encode, Reader};
use crate::metrics;
use crate::proto::OpCode;
use crate::proto::records::{ConnectRequest, ConnectResponse};
use crate::proto::session::{PASSWORD_LEN, SessionId, password};
use crate::tree::Tree;
use std::sync::Arc;

impl Reactor {
    pub(super) fn connect(&mut self, tree: &Tree, number: Number, frame: &[u8], turn: &mut Turn) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let mut reader = Reader::new(frame, self.settings.field_max);
        let Ok(request) = ConnectRequest::decode(&mut reader) else {
            tracing::warn!(peer = %connection.remote, "closing: the first frame is no ConnectRequest");
            return self.hang_up(number, turn);
        };
        // An ancient client ends here; it gets no readOnly byte back either.
        let wants_read_only = reader.bool();
        connection.knows_read_only = wants_read_only.is_ok();
        connection.read_only = self.read_only;
        if self.read_only && wants_read_only != Ok(true) {
            tracing::info!(peer = %connection.remote, "closing: there is no leader, and the client wants to write");
            return self.hang_up(number, turn);
        }
        if request.last_zxid_seen > tree.zxid().0 {
            // Those that are let in count where they are.
            self.readings.add(metrics::CONNECTION_REQUEST_COUNT, 1);
            tracing::info!(
                peer = %connection.remote,
                seen = format_args!("0x{:x}", request.last_zxid_seen),
                ours = %tree.zxid(),
                "closing: the client has seen more than this server has; it must try another (MONOTONE)"
            );
            return self.hang_up(number, turn);
        }
        let timeout_ms =
            request.timeout_ms.clamp(self.settings.min_session_timeout_ms, self.settings.max_session_timeout_ms);
        let what = match request.session_id {
            0 => {
                self.readings.record(metrics::REQUEST_THROTTLE_QUEUE_TIME_MS, 0);
                Wanted::NewSession { timeout_ms }
            }
            session => Wanted::Resume { session, password: request.password.map(Into::into), timeout_ms },
        };
        connection.resumes = request.session_id != 0;
        connection.state = State::Connecting;
        turn.submissions.push(Submission { connection: ConnectionKey { reactor: self.id, number }, what });
    }

    /// True when the connection is still there.
    pub(super) fn session_opened(
        &mut self,
        number: Number,
        session: SessionId,
        timeout_ms: i32,
        touch: Arc<Touch>,
        now_ms: i64,
    ) -> bool {
        let Some(connection) = self.connections.get_mut(&number) else { return false };
        connection.timeout_ms = timeout_ms;
        connection.state = State::Open { session, touch };
        connection.put_connect_response(timeout_ms, session, password(session));
        let since_ms = connection.stats.established_ms;
        let latency = connection.replied(OpCode::CREATE_SESSION, -1, 0, since_ms, now_ms);
        self.stats.count(latency);
        if !connection.resumes {
            // Only a new one is a transaction.
            self.readings.record(metrics::UPDATELATENCY, latency);
        }
        true
    }
}

impl Connection {
    /// The answer that tells a client that its session has expired.
    pub(super) fn refuse_session(&mut self) {
        self.put_connect_response(0, 0, [0; PASSWORD_LEN]);
        self.state = State::Closing;
    }

    fn put_connect_response(&mut self, timeout_ms: i32, session_id: SessionId, password: [u8; PASSWORD_LEN]) {
        let out = &mut self.output;
        let frame = out.len();
        out.extend_from_slice(&[0; 4]);
        ConnectResponse { protocol_version: 0, timeout_ms, session_id, password: Some(&password) }.encode(out);
        if self.knows_read_only {
            self.read_only.encode(out);
        }
        super::end_reply(out, frame);
    }
}
