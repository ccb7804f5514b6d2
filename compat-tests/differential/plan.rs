//! What a run is made of. A plan is data: it is generated from a seed, executed on both servers, and cut smaller when
//! they differ. Ids that a server gives out do not stand in it; they are filled in when a step is executed.

/// One request of a client.
#[derive(Debug, Clone)]
pub struct Request {
    /// The client's number; echoed.
    pub xid: i32,
    /// Operation.
    pub op: i32,
    /// Body behind the header.
    pub body: Vec<u8>,
    /// The first eight bytes of the body are the last zxid seen less this number.
    pub relative_zxid: Option<i64>,
    /// Sent when everything before is answered, since its reply may overtake others.
    pub alone: bool,
    /// The server is expected to close the connection behind the reply.
    pub closes: bool,
}

/// A wrong or right way to come back to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Password {
    /// The session's own.
    Right,
    /// Sixteen bytes that are not it.
    Wrong,
    /// Null.
    Null,
    /// Three bytes.
    Short,
}

/// What a connect request says.
#[derive(Debug, Clone)]
pub struct Connect {
    /// Ignored by servers.
    pub protocol_version: i32,
    /// Added to the last zxid seen when `relative`, else as it stands.
    pub last_zxid: i64,
    /// See `last_zxid`.
    pub relative: bool,
    /// Wanted timeout.
    pub timeout_ms: i32,
    /// The byte behind the record, which old clients do not send.
    pub read_only: Option<u8>,
    /// Bytes nobody asked for.
    pub trailing: Vec<u8>,
}

/// One step of a plan. Steps are executed one after the other, on both servers at once.
#[derive(Debug, Clone)]
pub enum Step {
    /// One client sends a burst; it alone may use up zxids.
    Write {
        /// Who.
        client: usize,
        /// What, pipelined.
        requests: Vec<Request>,
    },
    /// Several clients send bursts at the same time; none uses a zxid.
    Read {
        /// Who and what.
        bursts: Vec<(usize, Vec<Request>)>,
    },
    /// Bytes that are no request; the server closes.
    Garbage {
        /// Who.
        client: usize,
        /// Bytes, length prefix included.
        bytes: Vec<u8>,
    },
    /// The client's socket goes away without a word; the session stays.
    Drop {
        /// Who.
        client: usize,
    },
    /// A second connection asks for the client's session, while the first is still open.
    Resume {
        /// Whose session.
        client: usize,
        /// With which password.
        password: Password,
        /// The rest of the request.
        connect: Connect,
        /// Pipelined behind it.
        requests: Vec<Request>,
    },
    /// A connection of its own: connect, a few requests pipelined behind, the last of which closes.
    Probe {
        /// The connect request.
        connect: Connect,
        /// A session id and a password of nobody, or a new session.
        stranger: Option<(i64, Vec<u8>)>,
        /// Pipelined behind it.
        requests: Vec<Request>,
    },
    /// A session with ephemeral nodes whose client falls silent; the step ends when the server has expired it.
    Expire {
        /// What the session does before.
        requests: Vec<Request>,
        /// Whether the socket is closed, or stays open without a word.
        drop: bool,
    },
    /// A four-letter word, or something like it.
    Word {
        /// The bytes.
        word: Vec<u8>,
    },
    /// Both servers are ended and started again on their directories.
    Restart {
        /// Each continues on the other's directory.
        swap: bool,
    },
}

impl Step {
    /// The requests of the step, all clients together.
    pub fn requests(&self) -> usize {
        match self {
            Step::Write { requests, .. }
            | Step::Resume { requests, .. }
            | Step::Probe { requests, .. }
            | Step::Expire { requests, .. } => requests.len(),
            Step::Read { bursts } => bursts.iter().map(|(_, requests)| requests.len()).sum(),
            Step::Garbage { .. } | Step::Drop { .. } | Step::Word { .. } | Step::Restart { .. } => 0,
        }
    }

    /// The lists of requests, for the shrinker.
    pub fn lists(&mut self) -> Vec<&mut Vec<Request>> {
        match self {
            Step::Write { requests, .. }
            | Step::Resume { requests, .. }
            | Step::Probe { requests, .. }
            | Step::Expire { requests, .. } => vec![requests],
            Step::Read { bursts } => bursts.iter_mut().map(|(_, requests)| requests).collect(),
            Step::Garbage { .. } | Step::Drop { .. } | Step::Word { .. } | Step::Restart { .. } => vec![],
        }
    }
}

/// What the servers are started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Shown in reports.
    pub name: &'static str,
    /// Lines of zoo.cfg beside the usual ones.
    pub config: &'static [&'static str],
    /// Words of SERVER_JVMFLAGS.
    pub flags: &'static [&'static str],
    /// Writes are never pipelined: the servers judge hard quotas by what is already applied.
    pub one_by_one: bool,
    /// `jute.maxbuffer`.
    pub frame_max: usize,
}

/// The profiles, taken in turn by the episodes of a run.
pub const PROFILES: &[Profile] = &[
    Profile { name: "plain", config: &[], flags: &[], one_by_one: false, frame_max: 0xf_ffff },
    Profile { name: "quota", config: &["enforceQuota=true"], flags: &[], one_by_one: true, frame_max: 0xf_ffff },
    Profile {
        name: "small-frames",
        config: &["reconfigEnabled=true"],
        flags: &["-Djute.maxbuffer=4096"],
        one_by_one: false,
        frame_max: 4096,
    },
];
