//! A server that does nothing: it takes every session and answers every request at once, getData with a hundred bytes.
//! Shows what the generator and the machine's sockets can do at all; knows no trees and keeps no promises.

use crate::jute::{Encode, Reader, put_bytes};
use crate::proto::records::{ConnectRequest, ConnectResponse, ReplyHeader, RequestHeader, Stat};
use crate::proto::session::password;
use crate::proto::{ErrorCode, OpCode};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

const LISTENER: Token = Token(0);
const STOP: Token = Token(1);
/// Requests longer than this end the connection.
const FRAME_MAX: usize = 1 << 20;
/// Bytes of data in each getData's answer.
const DATA_BYTES: usize = 100;

/// A running null server; ends when it is dropped.
#[derive(Debug)]
pub struct NullServer {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Arc<Waker>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl NullServer {
    /// Starts one on a free port of the loopback.
    pub fn start() -> io::Result<Self> {
        let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = listener.local_addr()?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let stop = Arc::new(Waker::new(poll.registry(), STOP)?);
        let thread = std::thread::Builder::new().name("null-server".into()).spawn(move || serve(poll, &listener))?;
        Ok(NullServer { address, stop, thread: Some(thread) })
    }
}

impl Drop for NullServer {
    fn drop(&mut self) {
        // Waking fails only where the thread is gone already.
        let _ = self.stop.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Peer {
    socket: TcpStream,
    input: Vec<u8>,
    out: Vec<u8>,
    session: Option<i64>,
    closing: bool,
}

fn serve(mut poll: Poll, listener: &TcpListener) -> io::Result<()> {
    let mut events = Events::with_capacity(1024);
    let mut peers: HashMap<Token, Peer> = HashMap::new();
    let mut next = 2;
    let mut scratch = vec![0; 256 * 1024];
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        }
        for event in &events {
            match event.token() {
                STOP => return Ok(()),
                LISTENER => {
                    while let Ok((mut socket, _)) = listener.accept() {
                        let token = Token(next);
                        next += 1;
                        socket.set_nodelay(true)?;
                        poll.registry().register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
                        peers.insert(
                            token,
                            Peer { socket, input: Vec::new(), out: Vec::new(), session: None, closing: false },
                        );
                    }
                }
                token => {
                    if peers.get_mut(&token).is_some_and(|peer| peer.ready(token, &mut scratch).is_err()) {
                        peers.remove(&token);
                    }
                }
            }
        }
    }
}

impl Peer {
    fn ready(&mut self, token: Token, scratch: &mut [u8]) -> io::Result<()> {
        loop {
            let count = match self.socket.read(scratch) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            self.input.extend_from_slice(&scratch[..count]);
            self.answer(token)?;
            if count < scratch.len() {
                break;
            }
        }
        while !self.out.is_empty() {
            match self.socket.write(&self.out) {
                Ok(count) if count == self.out.len() => self.out.clear(),
                Ok(count) => drop(self.out.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if self.closing && self.out.is_empty() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    fn answer(&mut self, token: Token) -> io::Result<()> {
        let input = std::mem::take(&mut self.input);
        let mut rest = &input[..];
        while let Some((head, tail)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*head) as usize;
            if length > FRAME_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let Some((frame, after)) = tail.split_at_checked(length) else { break };
            let start = self.out.len();
            self.out.extend_from_slice(&[0; 4]);
            self.reply(token, frame).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
            let length = (self.out.len() - start - 4) as u32;
            self.out[start..start + 4].copy_from_slice(&length.to_be_bytes());
            rest = after;
        }
        self.input.extend_from_slice(rest);
        Ok(())
    }

    fn reply(&mut self, token: Token, frame: &[u8]) -> Result<(), crate::jute::DecodeError> {
        use crate::jute::Decode;
        let mut reader = Reader::unlimited(frame);
        if self.session.is_none() {
            let request = ConnectRequest::decode(&mut reader)?;
            let id = token.0 as i64;
            let password = password(id);
            let timeout_ms = request.timeout_ms;
            ConnectResponse { protocol_version: 0, timeout_ms, session_id: id, password: Some(&password) }
                .encode(&mut self.out);
            false.encode(&mut self.out);
            self.session = Some(id);
            return Ok(());
        }
        let RequestHeader { xid, op } = RequestHeader::decode(&mut reader)?;
        let op = OpCode(op);
        self.closing |= op == OpCode::CLOSE_SESSION;
        let known = op.class().is_some();
        let err = if known { ErrorCode::OK } else { ErrorCode::UNIMPLEMENTED };
        ReplyHeader { xid, zxid: 1, err: err.0 }.encode(&mut self.out);
        if op == OpCode::GET_DATA {
            put_bytes(&mut self.out, &[7; DATA_BYTES]);
            Stat::default().encode(&mut self.out);
        }
        Ok(())
    }
}
