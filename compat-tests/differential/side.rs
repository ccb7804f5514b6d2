//! One of the two servers with the clients that talk to it. Sends frames, collects what comes back, masks it. Which
//! frames, and whether the two sides agree, is decided in `execute`.

use crate::generate::CLIENTS;
use crate::normalize::{Memory, NOTIFICATION, int};
use crate::plan::{Connect, Password, Request};
use crate::server::Server;
use oxkeeper::jute::{Encode, put_bytes};
use oxkeeper::proto::records::ConnectRequest;
use oxkeeper::proto::session::{SessionId, password};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a client hears. Equal items are equal bytes after masking.
#[derive(Debug, Clone)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// The frame as it came.
    pub raw: Vec<u8>,
    /// The frame after masking.
    pub masked: Vec<u8>,
    /// What is wrong with it already without the other side.
    pub complaint: Option<String>,
}

/// The kinds of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The answer to a connect request.
    Connected,
    /// The reply to the request with this number in the burst.
    Reply(usize),
    /// A watch event.
    Event,
    /// The server has closed the connection.
    Closed,
    /// Nothing came for a long time.
    Silent,
    /// Bytes that are no frame.
    Garbled,
}

impl PartialEq for Item {
    fn eq(&self, other: &Item) -> bool {
        self.kind == other.kind && self.masked == other.masked && self.complaint == other.complaint
    }
}

impl Item {
    fn bare(kind: Kind) -> Item {
        Item { kind, raw: vec![], masked: vec![], complaint: None }
    }
}

/// A connection and what has arrived on it.
pub struct Socket {
    stream: TcpStream,
    arrived: Vec<u8>,
    start: usize,
}

impl Socket {
    /// Connects.
    pub fn open(address: SocketAddr) -> std::io::Result<Socket> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Socket { stream, arrived: Vec::new(), start: 0 })
    }

    /// Sends; a closed connection is noticed when reading.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next frame without its length.
    pub fn frame(&mut self) -> Result<Vec<u8>, Kind> {
        loop {
            let there = &self.arrived[self.start..];
            if there.len() >= 4 {
                let length = usize::try_from(int(there, 0)).map_err(|_| Kind::Garbled)?;
                if there.len() >= 4 + length {
                    let frame = there[4..4 + length].to_vec();
                    self.start += 4 + length;
                    return Ok(frame);
                }
            }
            if self.start > 0 {
                self.arrived.drain(..self.start);
                self.start = 0;
            }
            let mut chunk = [0; 65536];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Kind::Closed),
                Ok(count) => self.arrived.extend_from_slice(&chunk[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(Kind::Silent);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Kind::Closed),
            }
        }
    }
}

/// A client: its socket, while it has one, and its session, while it has one.
#[derive(Default)]
pub struct Client {
    /// Connection.
    pub socket: Option<Socket>,
    /// Session.
    pub session: Option<SessionId>,
}

/// A server and its clients.
pub struct Side {
    /// For reports.
    pub name: &'static str,
    /// Process.
    pub server: Server,
    /// Clients.
    pub clients: Vec<Client>,
    /// What the server has told.
    pub memory: Memory,
}

impl Side {
    /// Nobody is connected yet.
    pub fn new(name: &'static str, server: Server) -> Side {
        Side { name, server, clients: (0..CLIENTS).map(|_| Client::default()).collect(), memory: Memory::default() }
    }

    /// The bytes of a connect request for a session (0 for a new one).
    pub fn connect_frame(connect: &Connect, last_zxid: i64, session: SessionId, secret: Option<&[u8]>) -> Vec<u8> {
        let last_zxid_seen =
            if connect.relative { last_zxid.wrapping_add(connect.last_zxid) } else { connect.last_zxid };
        let record = ConnectRequest {
            protocol_version: connect.protocol_version,
            last_zxid_seen,
            timeout_ms: connect.timeout_ms,
            session_id: session,
            password: secret,
        };
        let mut body = record.to_bytes();
        body.extend(connect.read_only);
        body.extend_from_slice(&connect.trailing);
        let mut frame = vec![];
        put_bytes(&mut frame, &body);
        frame
    }

    /// The connect request that asks for the session of `client`.
    pub fn resume_frame(&self, client: usize, connect: &Connect, which: Password, last_zxid: i64) -> Vec<u8> {
        let session = self.clients[client].session.unwrap_or(0);
        let right = password(session);
        let secret: Option<&[u8]> = match which {
            Password::Right => Some(&right),
            Password::Wrong => Some(&[7; 16]),
            Password::Null => None,
            Password::Short => Some(&right[..3]),
        };
        Side::connect_frame(connect, last_zxid, session, secret)
    }

    /// Reads the answer to a connect request.
    pub fn connected(&mut self, socket: &mut Socket) -> (Item, Option<SessionId>) {
        match socket.frame() {
            Err(kind) => (Item::bare(kind), None),
            Ok(raw) => {
                let mut masked = raw.clone();
                let session = self.memory.connect_response(&mut masked).map(|(id, _)| id);
                (Item { kind: Kind::Connected, raw, masked, complaint: None }, session)
            }
        }
    }

    /// Reads until the requests are answered, and, where one closes, to the end of the connection.
    pub fn answers(&mut self, socket: &mut Socket, first: usize, requests: &[Request], out: &mut Vec<Item>) -> bool {
        let mut answered = 0;
        let closes = requests.last().is_some_and(|request| request.closes);
        while answered < requests.len() || closes {
            match socket.frame() {
                Err(kind) => {
                    out.push(Item::bare(kind));
                    return false;
                }
                Ok(raw) => {
                    let event = int(&raw, 0) == NOTIFICATION && raw.len() > 16;
                    let Some(request) = requests.get(answered).filter(|_| !event) else {
                        let item = self.masked(Kind::Event, 0, raw);
                        out.push(item);
                        continue;
                    };
                    let item = self.masked(Kind::Reply(first + answered), request.op, raw);
                    out.push(item);
                    answered += 1;
                }
            }
        }
        true
    }

    fn masked(&mut self, kind: Kind, op: i32, raw: Vec<u8>) -> Item {
        let mut masked = raw.clone();
        let complaint = self.memory.reply(op, &mut masked).err();
        Item { kind, raw, masked, complaint }
    }

    /// Reads until the server closes.
    pub fn end(&mut self, socket: &mut Socket, out: &mut Vec<Item>) {
        self.answers(socket, 0, &[], out);
        loop {
            match socket.frame() {
                Err(kind) => return out.push(Item::bare(kind)),
                Ok(raw) => {
                    let item = self.masked(Kind::Event, 0, raw);
                    out.push(item);
                }
            }
        }
    }
}

/// The bytes of requests, pipelined.
pub fn encode(requests: &[Request], last_zxid: i64, out: &mut Vec<u8>) {
    for request in requests {
        let length = (8 + request.body.len()) as i32;
        length.encode(out);
        request.xid.encode(out);
        request.op.encode(out);
        let at = out.len();
        out.extend_from_slice(&request.body);
        if let (Some(back), Some(field)) = (request.relative_zxid, out.get_mut(at..at + 8)) {
            field.copy_from_slice(&last_zxid.wrapping_sub(back).to_be_bytes());
        }
    }
}
