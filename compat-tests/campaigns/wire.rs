//! One connection with its session, blocking: frames out, frames in. Knows requests as bytes only; what they mean is in
//! `model`, who sends them in `load`.

use oxkeeper::client::{Options, Session, connect_request, session_of};
use oxkeeper::jute::{Decode, Encode, Reader};
use oxkeeper::proto::OpCode;
use oxkeeper::proto::records::{PathRequest, PathWatchRequest, ReplyHeader};
use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A living server answers within this, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Session timeout asked for: a session outlives a restart of either server.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(60);

/// Why there is no session.
#[derive(Debug)]
pub enum Refusal {
    /// Nobody listens, or the connection broke: perhaps later.
    Unreachable(String),
    /// The server does not know the session any more.
    Session,
}

/// A connection.
pub struct Wire {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    pub session: Session,
}

/// A reply: header and body.
pub struct Answer {
    pub header: ReplyHeader,
    pub body: Vec<u8>,
}

impl Wire {
    /// Opens a session, or resumes one.
    pub fn open(address: SocketAddr, resume: Option<Session>, last_zxid: i64) -> Result<Wire, Refusal> {
        let broken = |error: io::Error| Refusal::Unreachable(error.to_string());
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(broken)?;
        stream.set_nodelay(true).map_err(broken)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(broken)?;
        let options = Options { session_timeout: SESSION_TIMEOUT, resume, last_zxid, ..Options::default() };
        stream.write_all(&connect_request(&options)).map_err(broken)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length).map_err(broken)?;
        let mut body = vec![0; u32::from_be_bytes(length) as usize % 4096];
        stream.read_exact(&mut body).map_err(broken)?;
        let (session, _) = session_of(&body).map_err(|_| Refusal::Session)?;
        Ok(Wire { stream, input: Vec::new(), output: Vec::new(), session })
    }

    /// Opens a session as soon as the server serves; `alive` tells when to give up.
    pub fn open_soon(
        address: SocketAddr,
        resume: Option<Session>,
        last_zxid: i64,
        mut alive: impl FnMut() -> Result<(), String>,
    ) -> Result<Wire, String> {
        let started = Instant::now();
        loop {
            match Self::open(address, resume, last_zxid) {
                Ok(wire) => return Ok(wire),
                Err(Refusal::Session) => return Err("the server refused the session".into()),
                Err(Refusal::Unreachable(why)) if started.elapsed() > PATIENCE => return Err(why),
                Err(Refusal::Unreachable(_)) => {
                    alive()?;
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
    }

    /// Puts a request behind those that wait to be sent.
    pub fn put(&mut self, xid: i32, op: OpCode, body: &[u8]) {
        self.output.extend_from_slice(&(8 + body.len() as u32).to_be_bytes());
        xid.encode(&mut self.output);
        op.0.encode(&mut self.output);
        self.output.extend_from_slice(body);
    }

    /// Sends what waits.
    pub fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.output)?;
        self.output.clear();
        Ok(())
    }

    /// The next frame, be it a reply or an event.
    pub fn take(&mut self) -> io::Result<Answer> {
        loop {
            if let Some((head, rest)) = self.input.split_first_chunk::<4>()
                && let Some(frame) = rest.get(..u32::from_be_bytes(*head) as usize)
            {
                let mut reader = Reader::unlimited(frame);
                let header = ReplyHeader::decode(&mut reader).map_err(io::Error::other)?;
                let (body, length) = (reader.rest().to_vec(), 4 + frame.len());
                self.input.drain(..length);
                return Ok(Answer { header, body });
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.input.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// One request and its reply.
    pub fn call(&mut self, op: OpCode, body: &[u8]) -> io::Result<Answer> {
        self.put(1, op, body);
        self.flush()?;
        self.take()
    }

    /// Closes the session; the reply says that the server has logged it.
    pub fn close(mut self) -> io::Result<()> {
        self.call(OpCode::CLOSE_SESSION, &[]).map(drop)
    }
}

/// A four-letter word and its answer.
pub fn word(address: SocketAddr, word: &str, patience: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The body of a request that is a path.
pub fn path_body(path: &str) -> Vec<u8> {
    PathRequest { path: Some(Cow::Borrowed(path)) }.to_bytes()
}

/// The body of a read without a watch.
pub fn read_body(path: &str) -> Vec<u8> {
    PathWatchRequest { path: Some(Cow::Borrowed(path)), watch: false }.to_bytes()
}
