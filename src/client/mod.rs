//! A small asynchronous ZooKeeper client: one session on one connection, pipelined requests, watch events as a stream.
//! Knows nothing of the server's rooms, and does not reconnect: a lost connection ends the client with an error.
//! The bytes of the handshake are in `handshake`, the task that owns the socket in `driver`; `oxkeeper bench` and the
//! command line client are its users, and the latter's `session` reconnects.

mod address;
mod driver;
mod handshake;
mod requests;

pub use address::{DEFAULT_PORT, addresses};
pub use handshake::{Session, connect_request, session_of};
pub use requests::{CreateMode, Op, OpResult, WatchMode, Watches, multi_results};

use crate::jute::{Decode, DecodeError, Encode, Reader};
use crate::proto::{ErrorCode, OpCode};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait between the callers and the socket; beyond it, `send` waits.
const REQUESTS_MAX: usize = 1024;
/// Events that may wait for their reader; beyond it the connection ends, since a dropped event would be a lie.
const EVENTS_MAX: usize = 65_536;

/// Why a client call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server answered with an error code.
    #[error("{0}")]
    Server(ErrorCode),
    /// The server does not know the session that was to be resumed, or the password is wrong.
    #[error("the server refused the session: it is unknown there or has expired")]
    SessionRefused,
    /// The connection could not be made or was lost.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The server's bytes are not what the protocol says.
    #[error("malformed answer from the server: {0}")]
    Malformed(#[from] DecodeError),
    /// The client was closed, or its connection was lost earlier.
    #[error("the connection is closed")]
    Closed,
}

impl Error {
    /// The server's code, where there is one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Server(code) => Some(*code),
            _ => None,
        }
    }
}

/// What a new client wants of its session.
#[derive(Debug, Clone)]
pub struct Options {
    /// Session timeout to ask for; the server may clamp it.
    pub session_timeout: Duration,
    /// How long connecting and the handshake may take.
    pub connect_timeout: Duration,
    /// A session to resume.
    pub resume: Option<Session>,
    /// Highest zxid seen before, for a resumed session.
    pub last_zxid: i64,
    /// Whether a read-only server will do.
    pub read_only: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            session_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            resume: None,
            last_zxid: 0,
            read_only: false,
        }
    }
}

/// A reply whose error code is 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The last transaction the server had applied.
    pub zxid: i64,
    /// The record after the header.
    pub body: Vec<u8>,
}

impl Reply {
    /// Reads the body as a record.
    pub fn decode<'a, T: Decode<'a>>(&'a self) -> Result<T, Error> {
        Ok(T::decode(&mut Reader::unlimited(&self.body))?)
    }
}

/// A watch event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// 1 created, 2 deleted, 3 data changed, 4 children changed.
    pub kind: i32,
    /// The transaction that fired it; -1 for one replayed by setWatches.
    pub zxid: i64,
    /// The znode.
    pub path: String,
}

/// The stream of a client's watch events; ends with the connection.
pub type Events = mpsc::Receiver<Event>;

/// One session. Clones share it.
#[derive(Debug, Clone)]
pub struct Client {
    requests: mpsc::Sender<driver::Request>,
    session: Session,
    read_only: bool,
    address: SocketAddr,
    last_zxid: Arc<AtomicI64>,
}

/// A request that is under way.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Result<Reply, Error>>);

impl Pending {
    /// Waits for the reply.
    pub async fn reply(self) -> Result<Reply, Error> {
        self.0.await.unwrap_or(Err(Error::Closed))
    }
}

impl Client {
    /// Connects to the first address that answers and opens, or resumes, a session.
    pub async fn connect(addresses: &[SocketAddr], options: &Options) -> Result<(Client, Events), Error> {
        let mut last = Error::Io(io::Error::new(io::ErrorKind::InvalidInput, "no server address was given"));
        for &address in addresses {
            let attempt = driver::open(address, options);
            match tokio::time::timeout(options.connect_timeout, attempt).await {
                Ok(Ok(opened)) => return Ok(Self::start(opened)),
                Ok(Err(Error::SessionRefused)) => return Err(Error::SessionRefused),
                Ok(Err(Error::Io(error))) => {
                    last = Error::Io(io::Error::new(error.kind(), format!("{address}: {error}")));
                }
                Ok(Err(error)) => last = error,
                Err(_) => {
                    let text = format!("{address}: no session within {:?}", options.connect_timeout);
                    last = Error::Io(io::Error::new(io::ErrorKind::TimedOut, text));
                }
            }
        }
        Err(last)
    }

    fn start(opened: driver::Opened) -> (Client, Events) {
        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        let (events, stream) = mpsc::channel(EVENTS_MAX);
        let (session, read_only, address) = (opened.session, opened.read_only, opened.address);
        let last_zxid = Arc::new(AtomicI64::new(0));
        tokio::spawn(driver::run(opened, inbox, events, last_zxid.clone()));
        (Client { requests, session, read_only, address, last_zxid }, stream)
    }

    /// The session, with which it can be resumed.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Whether the server serves reads only.
    pub fn read_only(&self) -> bool {
        self.read_only
    }

    /// The server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The highest zxid that a reply of this connection carried, 0 before the first: with it a session is resumed.
    pub fn last_zxid(&self) -> i64 {
        // A number on its own: who resumes has seen the connection end, and with it the driver's last store.
        self.last_zxid.load(Ordering::Acquire)
    }

    /// Hands a request to the connection and returns before its reply: the way to pipeline.
    pub async fn send(&self, op: OpCode, body: Vec<u8>) -> Result<Pending, Error> {
        let (reply, pending) = oneshot::channel();
        self.requests.send(driver::Request { op, body, reply }).await.map_err(|_| Error::Closed)?;
        Ok(Pending(pending))
    }

    /// Sends a request and waits for its reply.
    pub async fn call(&self, op: OpCode, request: &impl Encode) -> Result<Reply, Error> {
        self.send(op, request.to_bytes()).await?.reply().await
    }

    /// Closes the session: its ephemeral nodes go with it.
    pub async fn close(self) -> Result<(), Error> {
        self.send(OpCode::CLOSE_SESSION, Vec::new()).await?.reply().await.map(drop)
    }
}
