//! The task that owns the socket: gathers requests, keeps the order of replies, pings when idle, hands out events.
//! Knows frames and headers, not what the requests mean.

use super::{Error, Event, Options, Reply, Session, connect_request, session_of};
use crate::jute::{Decode, Reader};
use crate::proto::records::{ReplyHeader, WatcherEvent};
use crate::proto::{ErrorCode, OpCode};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// Requests taken from the queue in one go.
const BATCH_MAX: usize = 256;
/// The longest answer that is believed; the server's own limit is on requests, a listing may be far longer.
const FRAME_MAX: usize = 1 << 30;
/// Free space asked for before each read.
const READ_BYTES: usize = 64 * 1024;

const XID_NOTIFICATION: i32 = -1;
const XID_PING: i32 = -2;
const XID_AUTH: i32 = -4;
const XID_SET_WATCHES: i32 = -8;

/// A request on its way to the socket.
#[derive(Debug)]
pub struct Request {
    pub op: OpCode,
    pub body: Vec<u8>,
    pub reply: oneshot::Sender<Result<Reply, Error>>,
}

/// A connection with its session.
pub struct Opened {
    stream: TcpStream,
    pub session: Session,
    pub read_only: bool,
    pub address: SocketAddr,
}

/// Connects and shakes hands.
pub async fn open(address: SocketAddr, options: &Options) -> Result<Opened, Error> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&connect_request(options)).await?;
    let length = stream.read_u32().await? as usize;
    if length > FRAME_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "this is not a ZooKeeper server").into());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let (session, read_only) = session_of(&body)?;
    Ok(Opened { stream, session, read_only, address })
}

/// Serves the connection until it ends; whoever still waits then gets an error.
pub async fn run(
    opened: Opened,
    mut inbox: mpsc::Receiver<Request>,
    events: mpsc::Sender<Event>,
    last_zxid: Arc<AtomicI64>,
) {
    let ping_after = Duration::from_millis(opened.session.timeout_ms as u64 / 3);
    let mut link = Link { waiting: VecDeque::new(), events, xid: 0, out: Vec::new(), last_zxid };
    let error = match serve(opened.stream, &mut link, &mut inbox, ping_after).await {
        Ok(()) => Error::Closed,
        Err(error) => error,
    };
    // The first in line learns the reason, the others that it is over.
    let mut reason = Some(error);
    for (_, reply) in link.waiting.drain(..) {
        let _ = reply.send(Err(reason.take().unwrap_or(Error::Closed)));
    }
    inbox.close();
    while let Ok(request) = inbox.try_recv() {
        let _ = request.reply.send(Err(Error::Closed));
    }
}

async fn serve(
    mut stream: TcpStream,
    link: &mut Link,
    inbox: &mut mpsc::Receiver<Request>,
    ping_after: Duration,
) -> Result<(), Error> {
    let (mut reader, mut writer) = stream.split();
    let mut input = Vec::with_capacity(READ_BYTES);
    let mut batch = Vec::new();
    let mut written = 0;
    let mut ping_at = Instant::now() + ping_after;
    // Two pings without an answer: the server is gone, though nobody said so.
    let silence_max = 2 * ping_after;
    let mut silent_until = Instant::now() + silence_max;
    let mut open = true;
    loop {
        tokio::select! {
            count = inbox.recv_many(&mut batch, BATCH_MAX), if open && link.out.is_empty() => {
                // Every handle is gone: what is under way is still answered, then the connection ends.
                open = count > 0;
                batch.drain(..).for_each(|request| link.put(request));
            }
            count = writer.write(&link.out[written..]), if !link.out.is_empty() => {
                written += count?;
                if written == link.out.len() {
                    link.out.clear();
                    written = 0;
                }
                ping_at = Instant::now() + ping_after;
            }
            count = reader.read_buf(&mut input) => {
                if count? == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
                link.take(&mut input)?;
                input.reserve(READ_BYTES);
                silent_until = Instant::now() + silence_max;
            }
            () = sleep_until(silent_until) => {
                let text = format!("nothing was heard from the server for {silence_max:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, text).into());
            }
            () = sleep_until(ping_at), if link.out.is_empty() => link.ping(),
        }
        if !open && link.waiting.is_empty() && link.out.is_empty() {
            return Ok(());
        }
    }
}

struct Link {
    waiting: VecDeque<(i32, oneshot::Sender<Result<Reply, Error>>)>,
    events: mpsc::Sender<Event>,
    xid: i32,
    out: Vec<u8>,
    last_zxid: Arc<AtomicI64>,
}

impl Link {
    fn put(&mut self, request: Request) {
        let xid = match request.op {
            OpCode::AUTH => XID_AUTH,
            OpCode::SET_WATCHES | OpCode::SET_WATCHES2 => XID_SET_WATCHES,
            _ => {
                self.xid = self.xid.checked_add(1).unwrap_or(1);
                self.xid
            }
        };
        self.frame(xid, request.op, &request.body);
        self.waiting.push_back((xid, request.reply));
    }

    fn ping(&mut self) {
        self.frame(XID_PING, OpCode::PING, &[]);
    }

    fn frame(&mut self, xid: i32, op: OpCode, body: &[u8]) {
        self.out.extend_from_slice(&(8 + body.len() as u32).to_be_bytes());
        self.out.extend_from_slice(&xid.to_be_bytes());
        self.out.extend_from_slice(&op.0.to_be_bytes());
        self.out.extend_from_slice(body);
    }

    /// Works off the whole frames of `input` and leaves the rest.
    fn take(&mut self, input: &mut Vec<u8>) -> Result<(), Error> {
        let mut done = 0;
        while let Some((head, rest)) = input[done..].split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*head) as usize;
            if length > FRAME_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("answer of {length} bytes")).into());
            }
            let Some(frame) = rest.get(..length) else { break };
            self.answer(frame)?;
            done += 4 + length;
        }
        input.drain(..done);
        Ok(())
    }

    fn answer(&mut self, frame: &[u8]) -> Result<(), Error> {
        let mut reader = Reader::unlimited(frame);
        let header = ReplyHeader::decode(&mut reader)?;
        match header.xid {
            XID_PING => return Ok(()),
            XID_NOTIFICATION => {
                let event = WatcherEvent::decode(&mut reader)?;
                let path = event.path.unwrap_or_default().into_owned();
                return match self.events.try_send(Event { kind: event.kind, zxid: header.zxid, path }) {
                    Err(mpsc::error::TrySendError::Full(_)) => {
                        Err(io::Error::other("watch events are not being read").into())
                    }
                    // Whoever dropped the stream does not want events.
                    _ => Ok(()),
                };
            }
            _ => {}
        }
        if header.zxid > 0 {
            self.last_zxid.store(header.zxid, Ordering::Release);
        }
        // Auth replies may overtake; all others come in the order of their requests.
        let position = self.waiting.iter().position(|(xid, _)| *xid == header.xid);
        let Some((_, reply)) = position.and_then(|at| self.waiting.remove(at)) else {
            let text = format!("answer to request {}, which was not asked", header.xid);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text).into());
        };
        let _ = reply.send(match header.err {
            0 => Ok(Reply { zxid: header.zxid, body: reader.rest().to_vec() }),
            code => Err(Error::Server(ErrorCode(code))),
        });
        Ok(())
    }
}
