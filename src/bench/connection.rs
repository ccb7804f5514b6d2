//! One session of the load generator: a non-blocking socket, the requests under way in their order, frames parsed where
//! they were read. Knows no workload; the loop that drives it is `engine`.

use crate::client::{Options, Session, connect_request, session_of};
use crate::proto::OpCode;
use mio::net::TcpStream;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

/// The longest answer that is believed.
const FRAME_MAX: usize = 1 << 30;
/// Bytes of length, xid, zxid and error code in front of a reply's record.
const REPLY_HEAD: usize = 20;
const XID_NOTIFICATION: i32 = -1;
const XID_PING: i32 = -2;

/// What a workload writes on a request to know its reply by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// Index into the workload's classes.
    pub class: u8,
    /// The workload's own number.
    pub number: u32,
}

/// A request that is under way.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Its tag.
    pub tag: Tag,
    /// When it was due, ns since the run's beginning.
    pub start_ns: u64,
}

/// A frame from the server.
#[derive(Debug)]
pub enum Frame<'a> {
    /// The reply to a request.
    Reply {
        /// The request.
        request: Request,
        /// The error code.
        err: i32,
        /// The record.
        body: &'a [u8],
    },
    /// A watch event: the path.
    Event(&'a [u8]),
}

/// A session and its socket.
#[derive(Debug)]
pub struct Connection {
    /// The socket, registered with the engine's poller.
    pub socket: TcpStream,
    /// The session.
    pub session: Session,
    /// Requests under way, oldest first.
    pub pending: VecDeque<Request>,
    /// When something was sent last, ns.
    pub sent_ns: u64,
    /// False once the server or the network ended it.
    pub alive: bool,
    out: Vec<u8>,
    written: usize,
    partial: Vec<u8>,
    xid_sent: i32,
    xid_answered: i32,
}

fn next_xid(xid: i32) -> i32 {
    xid.checked_add(1).unwrap_or(1)
}

fn int(bytes: &[u8]) -> i32 {
    i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl Connection {
    /// Connects, shakes hands and leaves the socket non-blocking.
    pub fn open(address: SocketAddr, options: &Options) -> io::Result<Self> {
        let mut socket = std::net::TcpStream::connect_timeout(&address, options.connect_timeout)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(options.connect_timeout))?;
        socket.write_all(&connect_request(options))?;
        let mut head = [0; 4];
        socket.read_exact(&mut head)?;
        let length = u32::from_be_bytes(head) as usize;
        if length > 1024 {
            return Err(invalid(format!("{address}: this is not a ZooKeeper server")));
        }
        let mut body = vec![0; length];
        socket.read_exact(&mut body)?;
        let (session, _) = session_of(&body).map_err(|error| invalid(format!("{address}: {error}")))?;
        socket.set_nonblocking(true)?;
        Ok(Connection {
            socket: TcpStream::from_std(socket),
            session,
            pending: VecDeque::new(),
            sent_ns: 0,
            alive: true,
            out: Vec::new(),
            written: 0,
            partial: Vec::new(),
            xid_sent: 0,
            xid_answered: 0,
        })
    }

    /// Appends a request that `encode` writes (opcode and record), or nothing when it has none.
    pub fn put(&mut self, start_ns: u64, encode: impl FnOnce(&mut Vec<u8>) -> Option<Tag>) -> bool {
        let start = self.out.len();
        let xid = next_xid(self.xid_sent);
        self.out.extend_from_slice(&[0; 4]);
        self.out.extend_from_slice(&xid.to_be_bytes());
        match encode(&mut self.out) {
            Some(tag) => {
                let length = (self.out.len() - start - 4) as u32;
                self.out[start..start + 4].copy_from_slice(&length.to_be_bytes());
                self.xid_sent = xid;
                self.pending.push_back(Request { tag, start_ns });
                true
            }
            None => {
                self.out.truncate(start);
                false
            }
        }
    }

    /// Appends a ping.
    pub fn put_ping(&mut self) {
        self.put_bare(XID_PING, OpCode::PING);
    }

    /// Appends the request that ends the session.
    pub fn put_close(&mut self) {
        let xid = next_xid(self.xid_sent);
        self.put_bare(xid, OpCode::CLOSE_SESSION);
    }

    fn put_bare(&mut self, xid: i32, op: OpCode) {
        self.out.extend_from_slice(&8u32.to_be_bytes());
        self.out.extend_from_slice(&xid.to_be_bytes());
        self.out.extend_from_slice(&op.0.to_be_bytes());
    }

    /// Writes what the socket takes.
    pub fn flush(&mut self, now_ns: u64) -> io::Result<()> {
        while self.written < self.out.len() {
            match self.socket.write(&self.out[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.written += count;
                    self.sent_ns = now_ns;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads once into `scratch` and hands each whole frame to `each`. True when the socket may hold more.
    pub fn read(&mut self, scratch: &mut Vec<u8>, mut each: impl FnMut(Frame<'_>)) -> io::Result<bool> {
        let kept = self.partial.len();
        if scratch.len() < kept * 2 {
            scratch.resize(kept * 2, 0);
        }
        scratch[..kept].copy_from_slice(&self.partial);
        let room = scratch.len() - kept;
        let count = match self.socket.read(&mut scratch[kept..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        };
        let done = self.frames(&scratch[..kept + count], &mut each)?;
        self.partial.clear();
        self.partial.extend_from_slice(&scratch[done..kept + count]);
        // A short read has emptied a stream socket (epoll(7)); the poller tells about what comes later.
        Ok(count == room)
    }

    fn frames(&mut self, bytes: &[u8], each: &mut impl FnMut(Frame<'_>)) -> io::Result<usize> {
        let mut done = 0;
        while bytes.len() - done >= 4 {
            let frame = &bytes[done..];
            let length = int(frame) as u32 as usize;
            if !(REPLY_HEAD - 4..=FRAME_MAX).contains(&length) {
                return Err(invalid(format!("answer of {length} bytes")));
            }
            if frame.len() < 4 + length {
                break;
            }
            self.frame(&frame[4..4 + length], each)?;
            done += 4 + length;
        }
        Ok(done)
    }

    fn frame(&mut self, frame: &[u8], each: &mut impl FnMut(Frame<'_>)) -> io::Result<()> {
        match int(frame) {
            XID_PING => Ok(()),
            // type, state and the length of the path
            XID_NOTIFICATION if frame.len() >= REPLY_HEAD - 4 + 12 => {
                each(Frame::Event(&frame[REPLY_HEAD - 4 + 12..]));
                Ok(())
            }
            xid => {
                let expected = next_xid(self.xid_answered);
                let request = self.pending.pop_front();
                let (Some(request), true) = (request, xid == expected) else {
                    return Err(invalid(format!("the reply to request {xid} came where {expected} was next")));
                };
                self.xid_answered = xid;
                each(Frame::Reply { request, err: int(&frame[12..]), body: &frame[REPLY_HEAD - 4..] });
                Ok(())
            }
        }
    }

    /// Bytes that wait for the socket.
    pub fn unsent(&self) -> usize {
        self.out.len() - self.written
    }

    /// True when the server must hear something soon or will drop the session.
    pub fn wants_ping(&self, now_ns: u64) -> bool {
        let quiet = Duration::from_nanos(now_ns.saturating_sub(self.sent_ns));
        quiet.as_millis() as i64 * 3 > i64::from(self.session.timeout_ms)
    }
}
