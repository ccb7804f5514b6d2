//! Sessions that come and go, and sessions that only stay: connect, open, close as fast as the server allows, or open
//! many and hold them with pings. Has a loop of its own, since its connections do not outlive a request or two.

use super::engine::Plan;
use super::stats::{Class, Outcome};
use crate::client::{Options, connect_request, session_of};
use crate::proto::OpCode;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Classes of a storm.
pub const CYCLE_CLASSES: &[Class] = &[Class::new("session"), Class::aside("open"), Class::aside("close")];
/// Classes of held sessions.
pub const HOLD_CLASSES: &[Class] = &[Class::new("open")];
const OPEN_OF_CYCLE: usize = 1;
const CLOSE_OF_CYCLE: usize = 2;

/// How long sessions that are on their way may take after the end.
const DRAIN: Duration = Duration::from_secs(10);
/// No frame that is expected here is longer.
const FRAME_MAX: usize = 1024;
const EVENTS: usize = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No connection.
    Free,
    /// The connection is on its way.
    Connecting,
    /// The session is asked for.
    Opening,
    /// The session is there and idle.
    Held,
    /// The session's end is asked for.
    Closing,
    /// The session is over; the server will close the connection.
    Ended,
}

#[derive(Debug)]
struct Slot {
    state: State,
    socket: Option<TcpStream>,
    input: Vec<u8>,
    /// When the connection was begun, ns.
    begun_ns: u64,
    /// When the last request was sent, ns.
    asked_ns: u64,
    timeout_ms: i32,
}

/// Opens and closes sessions, or opens and holds them.
pub struct Storm<'a> {
    addresses: &'a [SocketAddr],
    request: Vec<u8>,
    hold: bool,
    plan: &'a Plan,
    poll: Poll,
    slots: Vec<Slot>,
    outcome: Outcome,
    now_ns: u64,
    /// Connections begun.
    begun: u64,
    /// Slots between [`State::Free`] and the end of what they do.
    busy: usize,
}

impl<'a> Storm<'a> {
    /// `slots` sessions at a time; with `hold`, they stay.
    pub fn new(
        addresses: &'a [SocketAddr],
        options: &Options,
        slots: usize,
        hold: bool,
        plan: &'a Plan,
    ) -> io::Result<Self> {
        let slot =
            || Slot { state: State::Free, socket: None, input: Vec::new(), begun_ns: 0, asked_ns: 0, timeout_ms: 0 };
        let classes = if hold { HOLD_CLASSES } else { CYCLE_CLASSES };
        Ok(Storm {
            addresses,
            request: connect_request(options),
            hold,
            plan,
            poll: Poll::new()?,
            slots: (0..slots).map(|_| slot()).collect(),
            outcome: Outcome::new(classes.len()),
            now_ns: 0,
            begun: 0,
            busy: 0,
        })
    }

    /// Opens and closes sessions to the plan's end.
    pub fn cycle(mut self) -> Outcome {
        (0..self.slots.len()).for_each(|index| self.begin(index));
        let end_ns = self.plan.end_ns();
        let give_up_ns = end_ns.saturating_add(DRAIN.as_nanos() as u64);
        while self.busy > 0 && self.now_ns < give_up_ns {
            self.turn(Duration::from_millis(100));
        }
        if self.busy > 0 {
            self.outcome.lose(format!("{} sessions were never answered", self.busy));
        }
        self.outcome.latencies.iter_mut().for_each(super::stats::Latencies::settle);
        self.outcome
    }

    /// Opens all sessions, `depth` at a time, holds them for the plan's duration, calls `held`, and closes them.
    pub fn hold<T>(mut self, duration: Duration, held: impl FnOnce() -> T) -> (Outcome, T) {
        let mut next = 0;
        let mut until: Option<Instant> = None;
        while until.is_none_or(|until| Instant::now() < until) {
            while next < self.slots.len() && self.busy < self.plan.depth {
                self.begin(next);
                next += 1;
            }
            if until.is_none() && next == self.slots.len() && self.busy == 0 {
                until = Some(Instant::now() + duration);
            }
            self.turn(Duration::from_millis(100));
            self.ping();
        }
        let result = held();
        self.close_all();
        self.outcome.latencies.iter_mut().for_each(super::stats::Latencies::settle);
        (self.outcome, result)
    }

    fn may_begin(&self) -> bool {
        self.hold || (self.now_ns < self.plan.end_ns() && self.plan.requests.is_none_or(|most| self.begun < most))
    }

    fn begin(&mut self, index: usize) {
        self.now_ns = self.plan.now_ns();
        if !self.may_begin() {
            return;
        }
        let address = self.addresses[self.begun as usize % self.addresses.len()];
        self.begun += 1;
        let connecting = TcpStream::connect(address).and_then(|mut socket| {
            self.poll.registry().register(&mut socket, Token(index), Interest::READABLE | Interest::WRITABLE)?;
            Ok(socket)
        });
        match connecting {
            Ok(socket) => {
                let slot = &mut self.slots[index];
                slot.socket = Some(socket);
                slot.input.clear();
                slot.state = State::Connecting;
                slot.begun_ns = self.now_ns;
                self.busy += 1;
            }
            Err(error) => self.outcome.lose(format!("{address}: {error}")),
        }
    }

    fn turn(&mut self, patience: Duration) {
        let mut events = Events::with_capacity(EVENTS);
        if let Err(error) = self.poll.poll(&mut events, Some(patience))
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.outcome.lose(format!("poll: {error}"));
        }
        self.now_ns = self.plan.now_ns();
        for event in &events {
            let index = event.token().0;
            if let Err(error) = self.ready(index) {
                self.lose(index, &error);
            }
        }
    }

    fn lose(&mut self, index: usize, error: &io::Error) {
        let state = self.slots[index].state;
        self.slots[index].socket = None;
        self.slots[index].state = State::Free;
        match state {
            // As it should be.
            State::Ended => {}
            State::Held => return self.outcome.lose(error),
            _ => self.outcome.lose(error),
        }
        self.busy -= 1;
        // A server that refuses everything is not asked for ever: a lost session has no successor.
        if state == State::Ended {
            self.begin(index);
        }
    }

    fn ready(&mut self, index: usize) -> io::Result<()> {
        let now_ns = self.plan.now_ns();
        let slot = &mut self.slots[index];
        let Some(socket) = &mut slot.socket else { return Ok(()) };
        if slot.state == State::Connecting {
            if let Some(error) = socket.take_error()? {
                return Err(error);
            }
            // Not connected yet: the poller tells again.
            if socket.peer_addr().is_err() {
                return Ok(());
            }
            socket.set_nodelay(true)?;
            // A fresh socket has room for these few bytes.
            socket.write_all(&self.request)?;
            slot.state = State::Opening;
            slot.asked_ns = now_ns;
        }
        let mut scratch = [0; FRAME_MAX];
        // The last answer and the end of the connection may come together: the answer counts first.
        let mut gone = false;
        loop {
            match socket.read(&mut scratch) {
                Ok(0) => {
                    gone = true;
                    break;
                }
                Ok(count) => slot.input.extend_from_slice(&scratch[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.now_ns = now_ns;
        while let Some(frame) = take_frame(&mut self.slots[index].input)? {
            self.frame(index, &frame)?;
        }
        if gone { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn frame(&mut self, index: usize, frame: &[u8]) -> io::Result<()> {
        let now_ns = self.now_ns;
        let slot = &mut self.slots[index];
        match slot.state {
            State::Opening => {
                let opened = session_of(frame).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                slot.timeout_ms = opened.0.timeout_ms;
                let took = now_ns - slot.begun_ns;
                if self.hold {
                    slot.state = State::Held;
                    slot.asked_ns = now_ns;
                    self.busy -= 1;
                    self.count(0, took);
                } else {
                    send(slot, 1, OpCode::CLOSE_SESSION)?;
                    slot.state = State::Closing;
                    slot.asked_ns = now_ns;
                    self.count(OPEN_OF_CYCLE, took);
                }
            }
            State::Closing => {
                let (whole, closing) = (now_ns - slot.begun_ns, now_ns - slot.asked_ns);
                slot.state = State::Ended;
                if !self.hold {
                    self.count(0, whole);
                    self.count(CLOSE_OF_CYCLE, closing);
                    self.plan.progress.fetch_add(1, Ordering::Relaxed);
                }
            }
            // Answers to pings.
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, class: usize, ns: u64) {
        let warm = self.now_ns >= self.plan.warmup.as_nanos() as u64;
        if self.hold || (warm && self.now_ns < self.plan.end_ns()) {
            self.outcome.latencies[class].record(ns);
            self.outcome.last_ns = self.now_ns;
            if self.hold {
                self.plan.progress.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn ping(&mut self) {
        self.now_ns = self.plan.now_ns();
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            let quiet_ms = (self.now_ns.saturating_sub(slot.asked_ns) / 1_000_000) as i64;
            if slot.state == State::Held && quiet_ms * 3 > i64::from(slot.timeout_ms) {
                slot.asked_ns = self.now_ns;
                if let Err(error) = send(slot, -2, OpCode::PING) {
                    self.lose(index, &error);
                }
            }
        }
    }

    fn close_all(&mut self) {
        for index in 0..self.slots.len() {
            if self.slots[index].state == State::Held && send(&mut self.slots[index], 1, OpCode::CLOSE_SESSION).is_ok()
            {
                self.slots[index].state = State::Closing;
                self.busy += 1;
            }
        }
        let until = Instant::now() + DRAIN;
        // `begin` would open new ones: the held come to their end here.
        self.slots.iter_mut().for_each(|slot| slot.input.clear());
        while self.busy > 0 && Instant::now() < until {
            let mut events = Events::with_capacity(EVENTS);
            if self.poll.poll(&mut events, Some(Duration::from_millis(100))).is_err() {
                return;
            }
            for event in &events {
                let index = event.token().0;
                if self.ready(index).is_err() && self.slots[index].socket.take().is_some() {
                    self.busy -= 1;
                }
            }
        }
    }
}

fn send(slot: &mut Slot, xid: i32, op: OpCode) -> io::Result<()> {
    let mut frame = [0; 12];
    frame[..4].copy_from_slice(&8i32.to_be_bytes());
    frame[4..8].copy_from_slice(&xid.to_be_bytes());
    frame[8..].copy_from_slice(&op.0.to_be_bytes());
    let socket = slot.socket.as_mut().ok_or(io::ErrorKind::NotConnected)?;
    socket.write_all(&frame)
}

/// The first whole frame, taken out.
fn take_frame(input: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let Some((head, rest)) = input.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*head) as usize;
    if length > FRAME_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("answer of {length} bytes")));
    }
    let Some(frame) = rest.get(..length).map(<[u8]>::to_vec) else { return Ok(None) };
    input.drain(..4 + length);
    Ok(Some(frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_whole() {
        let mut input = vec![0, 0, 0, 2, 7, 8, 0, 0];
        assert_eq!(take_frame(&mut input).unwrap(), Some(vec![7, 8]));
        assert_eq!(take_frame(&mut input).unwrap(), None);
        assert_eq!(input, [0, 0]);
        assert!(take_frame(&mut vec![1, 0, 0, 0]).is_err());
    }
}
