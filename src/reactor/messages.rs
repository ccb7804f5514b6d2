//! What a reactor and its shell tell each other: submissions to the engine, deliveries of what was committed, and what a
//! turn asks for.

use super::{Number, WaitingRead, WatchAction};
use crate::audit;
use crate::engine::{ConnectionKey, Touch};
use crate::proto::acl::Id;
use crate::proto::session::SessionId;
use crate::proto::{OpCode, Zxid};
use crate::tree::Change;
use std::ops::Range;
use std::sync::Arc;

/// Something for the engine.
#[derive(Debug)]
pub struct Submission {
    /// Who asks.
    pub connection: ConnectionKey,
    /// What for.
    pub what: Wanted,
}

/// What a connection wants of the engine.
#[derive(Debug)]
pub enum Wanted {
    /// A new session.
    NewSession {
        /// Negotiated timeout.
        timeout_ms: i32,
    },
    /// An old session back.
    Resume {
        /// Which.
        session: SessionId,
        /// Proof.
        password: Option<Box<[u8]>>,
        /// Negotiated timeout.
        timeout_ms: i32,
    },
    /// A transaction.
    Write {
        /// Session.
        session: SessionId,
        /// The client's number.
        xid: i32,
        /// Operation.
        op: OpCode,
        /// Encoded record.
        body: Box<[u8]>,
        /// Who asks.
        identities: Arc<[Id]>,
        /// Reads of the same connection that must see the state right before this write.
        reads: Vec<WaitingRead>,
    },
}

/// What the committing side tells a reactor, in the order of application.
#[derive(Debug, Default)]
pub struct Delivery {
    /// In order.
    pub items: Vec<Item>,
    /// Reply frames that the items point into.
    pub bytes: Vec<u8>,
}

/// One thing that happened.
#[derive(Debug)]
pub enum Item {
    /// A node changed.
    Change(Arc<Change>),
    /// A write of a connection is done.
    Written {
        /// Connection.
        number: Number,
        /// Reply frame.
        bytes: Range<usize>,
        /// The client's number.
        xid: i32,
        /// The zxid of the reply.
        zxid: Zxid,
        /// It was the session's end: close after sending.
        close: bool,
    },
    /// A read in front of a write is done.
    Read {
        /// Connection.
        number: Number,
        /// Reply frame; empty when a watch table has to answer.
        bytes: Range<usize>,
        /// Operation.
        op: OpCode,
        /// The client's number.
        xid: i32,
        /// The zxid it read at.
        zxid: Zxid,
        /// When it was received, ms.
        since_ms: i64,
        /// What it asks of the watch tables.
        actions: Vec<WatchAction>,
    },
    /// The session is there.
    SessionOpened {
        /// Connection.
        number: Number,
        /// Session.
        session: SessionId,
        /// Negotiated timeout.
        timeout_ms: i32,
        /// What to touch.
        touch: Arc<Touch>,
    },
    /// There is no such session, or not for this client.
    SessionRefused {
        /// Connection.
        number: Number,
    },
    /// Sessions cannot be made while there is no leader.
    NotReadOnly {
        /// Connection.
        number: Number,
    },
    /// This server serves nobody any more.
    CloseAll,
    /// The session has ended or moved.
    Close {
        /// Connection.
        number: Number,
    },
}

/// What a turn asks of the shell. Kept and drained by the shell, so that nothing is allocated for each turn.
#[derive(Debug, Default)]
pub struct Turn {
    /// For the engine, in order.
    pub submissions: Vec<Submission>,
    /// Connections with output.
    pub flush: Vec<Number>,
    /// Connections to close once their output is sent.
    pub close: Vec<Number>,
    /// Connections that sent a four-letter word (and, for `stmk`, its argument).
    pub words: Vec<(Number, [u8; 4], Vec<u8>)>,
    /// For the audit log, in order.
    pub audited: Vec<audit::Event>,
}
