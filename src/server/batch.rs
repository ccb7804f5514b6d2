//! Writes that are prepared together.

use super::pipeline::{InFlight, RECORD_FRAME};
use crate::engine::{ConnectionKey, Engine, Prepared, Request, Touch};
use crate::proto::acl::Id;
use crate::proto::{ErrorCode, OpCode};
use crate::reactor::{Submission, WaitingRead, Wanted};
use crate::tree::Tree;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Instant;

/// Writes prepared together; their records share one buffer.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) records: Vec<u8>,
    pub(super) writes: Vec<(InFlight, std::ops::Range<usize>)>,
    /// When the requests were taken, µs.
    pub(super) since_us: i64,
    /// Preparing the ends of sessions took so long, ms.
    pub(super) closes_ms: Vec<i64>,
}

impl Batch {
    /// A batch of requests that were taken then, µs of the monotonic clock.
    pub(super) fn taken_at(since_us: i64) -> Self {
        Batch { since_us, ..Batch::default() }
    }

    /// For requests that were taken then, µs of the monotonic clock, with room for what such become as a rule.
    pub(super) fn with_room_for(submissions: &[Submission], since_us: i64) -> Self {
        let size = |submission: &Submission| match &submission.what {
            Wanted::Write { body, .. } => body.len() + RECORD_FRAME,
            _ => RECORD_FRAME,
        };
        let records = Vec::with_capacity(submissions.iter().map(size).sum());
        Batch { records, writes: Vec::with_capacity(submissions.len()), ..Batch::taken_at(since_us) }
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn prepare(
        &mut self,
        engine: &mut Engine,
        tree: &Tree,
        request: &Request<'_>,
        moved: bool,
        connection: Option<ConnectionKey>,
        identities: Arc<[Id]>,
        reads: Vec<WaitingRead>,
        opened: Option<(i32, Arc<Touch>)>,
    ) {
        let start = self.records.len();
        let ends_locally = request.op == OpCode::CLOSE_SESSION && engine.is_local(request.session);
        if ends_locally {
            engine.local_sessions.set_closing(request.session);
        }
        if request.op == OpCode::SYNC || ends_locally {
            // Takes its turn behind everything that has a zxid by now.
            let (zxid, record, body) = (engine.zxid(), Bytes::new(), Bytes::copy_from_slice(request.body));
            let (op, xid, session) = (request.op, request.xid, request.session);
            let (since_us, refused) = (self.since_us, None);
            let write = InFlight {
                zxid,
                record,
                body,
                op,
                xid,
                session,
                connection,
                identities,
                reads,
                opened,
                since_us,
                refused,
            };
            return self.writes.push((write, start..start));
        }
        let closing = (request.op == OpCode::CLOSE_SESSION).then(Instant::now);
        let prepared = match moved {
            true => Prepared::Logged(engine.refuse(request, ErrorCode::SESSION_MOVED, &mut self.records)),
            false => engine.prepare(tree, request, &mut self.records),
        };
        self.closes_ms.extend(closing.map(|started| started.elapsed().as_millis() as i64));
        let zxid = match prepared {
            Prepared::Logged(zxid) => zxid,
            // Another member hears of it by a transaction, or its client would wait for ever.
            Prepared::Undecodable if connection.is_none() => {
                engine.refuse(request, ErrorCode::MARSHALLING_ERROR, &mut self.records)
            }
            Prepared::Undecodable => engine.zxid(),
        };
        let write = InFlight {
            zxid,
            record: Bytes::new(),
            body: Bytes::new(),
            op: request.op,
            xid: request.xid,
            session: request.session,
            connection,
            identities,
            reads,
            opened,
            since_us: self.since_us,
            refused: None,
        };
        self.writes.push((write, start..self.records.len()));
    }
}
