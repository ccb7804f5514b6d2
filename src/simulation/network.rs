//! Connections that keep their order and break as a whole; messages of elections, of which the newest counts.

use crate::proto::Zxid;
use crate::zab::LinkId;
use bytes::Bytes;
use std::collections::VecDeque;

/// What travels on a connection between a learner and its leader.
#[derive(Debug, Clone)]
pub enum Message {
    Packet(Bytes),
    /// A part of a copy; the last says up to where its tree may have run ahead, and which transactions are in it.
    Copy {
        bytes: Bytes,
        last: Option<CopyEnd>,
    },
    /// The other side is gone.
    Fin,
}

/// What the simulator knows of a copy.
#[derive(Debug, Clone)]
pub struct CopyEnd {
    pub fuzzy_until: Zxid,
    pub history: Vec<(Zxid, Bytes)>,
}

/// One side of a connection.
#[derive(Debug, Clone, Copy)]
pub struct End {
    pub node: usize,
    pub incarnation: u64,
    pub link: LinkId,
    pub open: bool,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Direction {
    pub queue: VecDeque<Message>,
    /// When the last message in it arrives.
    pub last_at: i64,
    /// Messages whose time came while the way was cut.
    pub stalled: u32,
}

/// A connection: the learner is side 0, the leader side 1.
#[derive(Debug)]
pub struct Wire {
    pub ends: [End; 2],
    /// Towards side 0, towards side 1.
    pub to: [Direction; 2],
    pub broken: bool,
}

impl Wire {
    pub fn is_over(&self) -> bool {
        self.to.iter().all(|direction| direction.queue.is_empty()) && self.ends.iter().all(|end| !end.open)
    }
}
