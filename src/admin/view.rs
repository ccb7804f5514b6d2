//! What a command needs to know of the server, as plain data. The server fills the parts that the command names in the
//! table (see [`super::Part`]); the others stay at their defaults.

use super::environment::Environment;
use super::top::Talk;
use crate::metrics::{Provider, Readings};
use crate::proto::session::SessionId;
use crate::proto::{OpCode, Zxid};
use std::net::SocketAddr;

/// A server at one moment.
#[derive(Debug, Clone)]
pub struct View {
    /// False while there is no leader, during start and stop: most commands then say so and no more.
    pub serving: bool,
    /// The server serves read-only clients without a quorum.
    pub read_only: bool,
    /// [`super::Part::Statistics`].
    pub statistics: Statistics,
    /// [`super::Part::Connections`]: those of the listener the word came in on.
    pub connections: Vec<Connection>,
    /// [`super::Part::Sessions`].
    pub sessions: Sessions,
    /// [`super::Part::Sessions`]: sessions that own ephemeral nodes, with the paths.
    pub ephemerals: Vec<(SessionId, Vec<String>)>,
    /// [`super::Part::WatchSummary`].
    pub watch_summary: WatchSummary,
    /// [`super::Part::Watches`]: data watches (exists and persistent ones included) of each connection, by its session.
    pub watches: Vec<(SessionId, Vec<String>)>,
    /// [`super::Part::Sizes`].
    pub sizes: Sizes,
    /// [`super::Part::Settings`].
    pub settings: Settings,
    /// [`super::Part::Digests`]: the kept digests of the tree, by zxid.
    pub digests: Vec<(Zxid, i64)>,
    /// [`super::Part::Metrics`].
    pub metrics: Readings,
    /// [`super::Part::Environment`].
    pub environment: Environment,
    /// Which kinds of trace messages are written.
    pub trace_mask: i64,
    /// [`super::Part::Properties`]: what would be Java's system properties, sorted; secrets are not shown.
    pub properties: Vec<(String, String)>,
    /// [`super::Part::Snapshot`]: the newest snapshot on disk and when it was written, seconds since the Unix epoch.
    pub snapshot: Option<(Zxid, i64)>,
    /// [`super::Part::Ensemble`], of a member.
    pub ensemble: Option<Ensemble>,
    /// [`super::Part::Talk`].
    pub talk: Talk,
}

impl View {
    /// A view of a server that does not serve, without anything in it.
    pub fn not_serving() -> Self {
        View {
            serving: false,
            read_only: false,
            statistics: Statistics::default(),
            connections: Vec::new(),
            sessions: Sessions::default(),
            ephemerals: Vec::new(),
            watch_summary: WatchSummary::default(),
            watches: Vec::new(),
            sizes: Sizes::default(),
            settings: Settings::default(),
            digests: Vec::new(),
            metrics: Readings::new(Provider::None),
            environment: Environment::default(),
            trace_mask: 0,
            properties: Vec::new(),
            snapshot: None,
            ensemble: None,
            talk: Talk::default(),
        }
    }
}

/// What the server is in its ensemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Alone.
    #[default]
    Standalone,
    /// Leads.
    Leader,
    /// Follows and votes.
    Follower,
    /// Follows and does not vote.
    Observer,
    /// Has no quorum and serves readers.
    ReadOnly,
}

impl Mode {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Standalone => "standalone",
            Mode::Leader => "leader",
            Mode::Follower => "follower",
            Mode::Observer => "observer",
            Mode::ReadOnly => "read-only",
        }
    }
}

/// The block of numbers in `srvr` and `stat`.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    /// Latencies of requests, ms.
    pub latency: Latency,
    /// Packets received. A four-letter word is one.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// Connections of all listeners.
    pub connections: usize,
    /// Requests in work.
    pub outstanding: usize,
    /// Last zxid applied.
    pub zxid: Zxid,
    /// Role.
    pub mode: Mode,
    /// For `mntr` on members of an ensemble: `leading - broadcast` and the like.
    pub peer_state: Option<String>,
    /// Znodes.
    pub nodes: usize,
    /// Sizes of proposals, on a leader.
    pub proposals: Option<Extent>,
    /// Since the start, ms.
    pub uptime_ms: i64,
    /// Credentials refused.
    pub auth_failed: i64,
    /// Syncs of the log above the warning threshold.
    pub slow_syncs: u64,
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// Least; 0 before the first.
    pub min: i64,
    /// Greatest.
    pub max: i64,
    /// Sum.
    pub sum: i64,
    /// Number.
    pub count: u64,
}

/// Sizes of messages in bytes; -1 before the first (`BufferStats`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The last.
    pub last: i64,
    /// The least.
    pub min: i64,
    /// The greatest.
    pub max: i64,
}

impl Default for Extent {
    fn default() -> Self {
        Extent { last: -1, min: -1, max: -1 }
    }
}

impl Extent {
    /// Takes one more size.
    pub fn record(&mut self, size: i64) {
        self.last = size;
        self.min = if self.min == -1 { size } else { self.min.min(size) };
        self.max = self.max.max(size);
    }
}

/// A connection in `cons`, `stat` and `dump`.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The client's address.
    pub remote: SocketAddr,
    /// The socket is read.
    pub reads: bool,
    /// Output waits for the socket.
    pub writes: bool,
    /// Requests in work.
    pub queued: usize,
    /// Packets received.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// When it came, ms since the Unix epoch.
    pub established_ms: i64,
    /// The session, once there is one.
    pub session: Option<ConnectedSession>,
    /// When the connection is closed if nothing comes, ms since the Unix epoch.
    pub expires_ms: i64,
}

/// The session of a connection, and its latest request.
#[derive(Debug, Clone)]
pub struct ConnectedSession {
    /// Id.
    pub id: SessionId,
    /// Last operation answered; none yet, or none since a reset, is `NA`.
    pub last_operation: Option<OpCode>,
    /// Negotiated timeout.
    pub timeout_ms: i32,
    /// Xid of the last request, -1 without one.
    pub last_cxid: i64,
    /// Zxid of the last reply, -1 without one.
    pub last_zxid: i64,
    /// When the last reply was made, ms of the monotonic clock.
    pub last_response_ms: i64,
    /// Latency of the last request.
    pub last_latency_ms: i64,
    /// Latencies of all.
    pub latency: Latency,
}

/// Sessions by the time they expire: ms since the Unix epoch, and ids.
pub type ExpiryBuckets = Vec<(i64, Vec<SessionId>)>;

/// The sessions a server knows.
#[derive(Debug, Clone)]
pub enum Sessions {
    /// It expires them itself: standalone, leader, read-only.
    Tracked {
        /// Sessions known here alone, where such are allowed.
        local: Option<ExpiryBuckets>,
        /// All others.
        global: ExpiryBuckets,
    },
    /// A follower or observer: the leader expires them.
    Learned {
        /// Sessions known here alone, where such are allowed.
        local: Option<ExpiryBuckets>,
        /// All others with their timeouts, ms.
        global: Vec<(SessionId, i32)>,
    },
}

impl Default for Sessions {
    fn default() -> Self {
        Sessions::Tracked { local: None, global: Vec::new() }
    }
}

/// Numbers of data watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WatchSummary {
    /// Connections that have any, or whose have all fired.
    pub connections: usize,
    /// Distinct paths.
    pub paths: usize,
    /// Pairs of both.
    pub total: usize,
}

/// Bytes on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Files beside the snapshots.
    pub data_dir: u64,
    /// Files beside the logs.
    pub log_dir: u64,
}

/// What `conf` shows.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Port for clients, -1 without one.
    pub client_port: i32,
    /// Port for TLS clients, -1 without one.
    pub secure_client_port: i32,
    /// Folder of the snapshots, `version-2` included.
    pub data_dir: String,
    /// Folder of the logs, `version-2` included.
    pub data_log_dir: String,
    /// Tick.
    pub tick_time_ms: i32,
    /// Connections from one address.
    pub max_client_cnxns: i32,
    /// Least session timeout.
    pub min_session_timeout_ms: i32,
    /// Greatest session timeout.
    pub max_session_timeout_ms: i32,
    /// As configured.
    pub client_port_listen_backlog: i32,
    /// Id in the ensemble, 0 standalone.
    pub server_id: i64,
    /// Members of an ensemble say more.
    pub member: Option<MemberSettings>,
    /// The text of zoo.cfg as found at the start, without its secrets; not shown by members of an ensemble.
    pub text: Option<String>,
}

/// What `conf` shows of a member of an ensemble.
#[derive(Debug, Clone, Default)]
pub struct MemberSettings {
    /// Ticks to connect and sync.
    pub init_limit: i32,
    /// Ticks to be behind.
    pub sync_limit: i32,
    /// Always 3.
    pub election_alg: i32,
    /// Ports of this server for elections.
    pub election_ports: Vec<u16>,
    /// Ports of this server for the quorum.
    pub quorum_ports: Vec<u16>,
    /// Does not vote.
    pub observer: bool,
    /// The configuration as text, without a newline at its end; not shown by a read-only server.
    pub membership: Option<String>,
}

/// An ensemble as one of its members sees it.
#[derive(Debug, Clone, Default)]
pub struct Ensemble {
    /// This member.
    pub my_id: i64,
    /// Where others reach it.
    pub own_quorum: Endpoints,
    /// Where its elections are.
    pub own_election: Endpoints,
    /// Its client address, if its server line has one.
    pub own_client: Option<String>,
    /// Who leads, and its hosts.
    pub leader: Option<(i64, String)>,
    /// Who votes, by id.
    pub voters: Vec<Voter>,
    /// Observers that follow this server.
    pub observers: Vec<Observer>,
}

/// Hosts and ports, as configured.
#[derive(Debug, Clone, Default)]
pub struct Endpoints(pub Vec<(String, u16)>);

/// A member that votes.
#[derive(Debug, Clone)]
pub struct Voter {
    /// Its id.
    pub id: i64,
    /// Where followers connect to.
    pub quorum: Endpoints,
    /// Where elections are.
    pub election: Endpoints,
    /// Where clients connect to, if the configuration says it.
    pub client: Option<String>,
}

/// An observer that follows this server.
#[derive(Debug, Clone)]
pub struct Observer {
    /// Its id.
    pub id: i64,
    /// Its address.
    pub remote: SocketAddr,
    /// Bytes that wait to be sent.
    pub queued_bytes: usize,
}
