//! The shell of a reactor: one thread with a runtime of its own moves bytes between sockets and the pure
//! [`Reactor`]. A connection is one small task that waits for its socket; bytes are read into one buffer of the thread,
//! so that an idle connection owns none.

use super::limits::Connections;
use super::log_thread::Log;
use super::pipeline::Pipeline;
use super::words::Words;
use crate::metrics;
use crate::reactor::{Number, Reactor, Settings, Turn};
use hashbrown::HashMap;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{LocalSet, spawn_local};

/// Bytes read from a socket at once.
const READ_MAX: usize = 64 << 10;
/// Requests for the engine that gather, while other sockets are read, before they are submitted at the latest.
const SUBMISSIONS_MAX: usize = 256;
/// A client that has been the only one for so long is taken to be alone: its reactor may wait for the disk.
const LONE_MS: i64 = 100;
/// Output capacity that a connection keeps between replies.
const OUTPUT_KEEP: usize = 512;
/// Pause after a failed accept: there are no file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// How long a connection that ends may take to accept its last bytes.
const LINGER: Duration = Duration::from_secs(5);

/// What all reactor threads share.
pub struct ReactorShared {
    /// The write path.
    pub pipeline: Arc<Pipeline>,
    /// Where writes end up.
    pub log: Arc<Log>,
    /// Limits of connections.
    pub limits: Connections,
    /// Four-letter words.
    pub words: Arc<Words>,
    /// `clientTcpKeepAlive`.
    pub keep_alive: bool,
}

struct Slot {
    stream: TcpStream,
    waker: RefCell<Option<Waker>>,
    /// Output is left that the socket did not take.
    blocked: Cell<bool>,
    /// End once the output is sent.
    closing: Cell<bool>,
}

struct Shell {
    id: usize,
    shared: Arc<ReactorShared>,
    reactor: RefCell<Reactor>,
    slots: RefCell<HashMap<Number, Rc<Slot>>>,
    turn: RefCell<Turn>,
    /// Wakes [`Shell::submit_gathered`].
    gathered: Notify,
    /// The connection that sent something last, and since when it has been the only one, ms.
    talker: Cell<(Number, i64)>,
    buffer: RefCell<Box<[u8]>>,
}

/// Runs a reactor on this thread for ever.
/// The first one also accepts connections and deals them out; a new listener takes the place of the one before.
pub fn run(
    id: usize,
    shared: Arc<ReactorShared>,
    settings: Arc<Settings>,
    listeners: Option<UnboundedReceiver<TcpListener>>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let throttle = settings.throttle;
    let shell = Rc::new(Shell {
        id,
        shared,
        reactor: RefCell::new(Reactor::new(id as u16, settings)),
        slots: RefCell::new(HashMap::new()),
        turn: RefCell::new(Turn::default()),
        gathered: Notify::new(),
        talker: Cell::new((0, 0)),
        buffer: RefCell::new(vec![0; READ_MAX].into_boxed_slice()),
    });
    LocalSet::new().block_on(&runtime, async move {
        spawn_local(shell.clone().sweep());
        spawn_local(shell.clone().submit_gathered());
        if let Some(listeners) = listeners {
            spawn_local(shell.clone().listen(listeners));
        }
        if throttle.max_requests > 0 {
            let stall = Duration::from_millis(u64::try_from(throttle.stall_time_ms).unwrap_or(1).max(1));
            spawn_local(shell.clone().unstall(stall));
        }
        shell.serve_mailbox().await;
    });
    Ok(())
}

impl Shell {
    async fn serve_mailbox(self: Rc<Self>) {
        let pipeline = self.shared.pipeline.clone();
        let mailbox = &pipeline.mailboxes[self.id];
        loop {
            mailbox.woken().await;
            let (arrivals, questions) = mailbox.others();
            for (socket, peer) in arrivals {
                match socket.set_nonblocking(true).and_then(|()| TcpStream::from_std(socket)) {
                    Ok(stream) => drop(spawn_local(self.clone().serve(stream, peer))),
                    Err(error) => self.turn_away(self.id, peer, &error),
                }
            }
            self.turn(None);
            questions.into_iter().for_each(|question| question(&mut self.reactor.borrow_mut()));
        }
    }

    /// Accepts at the last address that was said.
    async fn listen(self: Rc<Self>, mut listeners: UnboundedReceiver<TcpListener>) {
        let mut accepting: Option<tokio::task::JoinHandle<()>> = None;
        while let Some(listener) = listeners.recv().await {
            match listener.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(listener)) {
                Ok(listener) => {
                    let before = accepting.replace(spawn_local(self.clone().accept(listener)));
                    before.inspect(|before| before.abort());
                }
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections");
                    std::process::exit(1);
                }
            }
        }
    }

    /// Takes new connections, within the limits, and gives each to the reactor with the fewest.
    async fn accept(self: Rc<Self>, listener: tokio::net::TcpListener) {
        let mailboxes = &self.shared.pipeline.mailboxes;
        loop {
            let (socket, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // IPv4 clients of a dual-stack socket are IPv4 clients.
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            if !self.shared.limits.admit(peer.ip()) {
                tracing::warn!(%peer, "closing: too many connections (maxClientCnxns, maxCnxns)");
                self.reactor.borrow_mut().readings.add(metrics::CONNECTION_REJECTED, 1);
                let _ = socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO));
                continue;
            }
            let fewest = |id: &usize| mailboxes[*id].connections.load(Ordering::Relaxed);
            let least = (0..mailboxes.len()).min_by_key(fewest).unwrap_or(self.id);
            mailboxes[least].connections.fetch_add(1, Ordering::Relaxed);
            if least == self.id {
                spawn_local(self.clone().serve(socket, peer));
                continue;
            }
            match socket.into_std() {
                Ok(socket) => mailboxes[least].arrive(socket, peer),
                Err(error) => self.turn_away(least, peer, &error),
            }
        }
    }

    /// Gives back the place of a connection that was admitted to a reactor and cannot be served.
    fn turn_away(&self, reactor: usize, peer: SocketAddr, error: &io::Error) {
        tracing::warn!(%peer, %error, "closing: the socket cannot be served");
        drop(self.shared.limits.guard(peer.ip()));
        self.shared.pipeline.mailboxes[reactor].connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Lets requests enter that had to wait, once there is room (`request_throttle_stall_time`).
    async fn unstall(self: Rc<Self>, stall: Duration) {
        loop {
            tokio::time::sleep(stall).await;
            let stalled = self.reactor.borrow().stalled();
            for number in stalled {
                self.turn(Some((number, &[])));
            }
        }
    }

    /// Closes connections that say nothing.
    async fn sweep(self: Rc<Self>) {
        let mut interval = tokio::time::interval(Duration::from_secs(1));
        let mut silent = Vec::new();
        loop {
            interval.tick().await;
            let now_ms = self.shared.pipeline.clock.now_ms();
            {
                let mut reactor = self.reactor.borrow_mut();
                reactor.silent(now_ms, &mut silent);
                reactor.count_talkers(now_ms);
                reactor.readings.turn(now_ms);
                reactor.readings.add(metrics::SESSIONLESS_CONNECTIONS_EXPIRED, silent.len() as i64);
            }
            for number in silent.drain(..) {
                tracing::debug!(number, "closing: the client is silent");
                self.close(number);
            }
        }
    }

    /// One turn of the reactor: everything delivered, then these bytes; then out with what came of it.
    fn turn(self: &Rc<Self>, input: Option<(Number, &[u8])>) {
        let pipeline = &self.shared.pipeline;
        let mailbox = &pipeline.mailboxes[self.id];
        let mut turn = self.turn.take();
        let (now_ms, load) = (pipeline.clock.now_ms(), pipeline.outstanding());
        if let Some((number, _)) = input.filter(|(number, _)| *number != self.talker.get().0) {
            self.talker.set((number, now_ms));
        }
        {
            let mut reactor = self.reactor.borrow_mut();
            reactor.set_read_only(pipeline.is_read_only());
            let ((), waited_us) = pipeline.gate.read_waited(|tree| {
                let began_us = pipeline.clock.now_us();
                let now_ms = began_us / 1_000;
                for delivery in mailbox.deliveries() {
                    reactor.deliver(tree, delivery, load, now_ms, &mut turn);
                }
                if let Some((number, bytes)) = input {
                    reactor.receive(tree, number, bytes, load, now_ms, &mut turn);
                }
                mailbox.set_watching(!reactor.watches().is_empty());
                if reactor.wants_time() {
                    let spent_us = u64::try_from(pipeline.clock.now_us() - began_us).unwrap_or(0);
                    reactor.settle(spent_us, now_ms);
                }
            });
            reactor.readings.observe(metrics::GATE_WAIT_SECONDS, "readers", waited_us, 1);
            reactor.count_reads(|| pipeline.clock.now_ms() - now_ms);
        }
        if let Some(audit) = &pipeline.audit
            && !turn.audited.is_empty()
        {
            audit.write(std::mem::take(&mut turn.audited));
        }
        if turn.submissions.len() >= SUBMISSIONS_MAX {
            pipeline.submit(&mut turn.submissions, None);
        } else if !turn.submissions.is_empty() {
            self.gathered.notify_one();
        }
        for (number, word, argument) in turn.words.drain(..) {
            spawn_local(self.clone().answer_word(number, word, argument));
        }
        turn.flush.sort_unstable();
        turn.flush.dedup();
        for number in turn.flush.drain(..) {
            let slot = self.slots.borrow().get(&number).cloned();
            if let Some(slot) = slot {
                self.flush(number, &slot);
                wake(&slot);
            }
        }
        for number in turn.close.drain(..) {
            self.close(number);
        }
        self.turn.replace(turn);
    }

    /// Submits what the turns want of the engine. Its turn comes after the sockets that are readable by now: what they
    /// bring is synced as one group, and the log thread is woken once.
    async fn submit_gathered(self: Rc<Self>) {
        loop {
            self.gathered.notified().await;
            let mut turn = self.turn.borrow_mut();
            if !turn.submissions.is_empty() {
                let lone = self.shared.pipeline.clock.now_ms() - self.talker.get().1 >= LONE_MS;
                self.shared.pipeline.submit(&mut turn.submissions, lone.then_some(&*self.shared.log));
            }
        }
    }

    /// Gives the socket what it takes.
    fn flush(&self, number: Number, slot: &Slot) {
        let mut reactor = self.reactor.borrow_mut();
        let Some(output) = reactor.output(number) else { return };
        let mut sent = 0;
        while sent < output.len() {
            match slot.stream.try_write(&output[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    // The client is gone; its task will see it.
                    sent = output.len();
                    slot.closing.set(true);
                }
            }
        }
        output.drain(..sent);
        slot.blocked.set(!output.is_empty());
        if output.is_empty() && output.capacity() > OUTPUT_KEEP {
            *output = Vec::new();
        }
    }

    fn close(&self, number: Number) {
        if let Some(slot) = self.slots.borrow().get(&number) {
            slot.closing.set(true);
            wake(slot);
        }
    }

    async fn serve(self: Rc<Self>, stream: TcpStream, peer: SocketAddr) {
        let _admitted = self.shared.limits.guard(peer.ip());
        let mailbox = &self.shared.pipeline.mailboxes[self.id];
        if !cfg!(target_os = "linux") {
            // A socket that takes no option is closing already, and is seen to be when it is read.
            let _ = stream.set_nodelay(true);
            let _ = socket2::SockRef::from(&stream).set_keepalive(self.shared.keep_alive);
        }
        let number = self.reactor.borrow_mut().open(peer, self.shared.pipeline.clock.now_ms());
        let slot =
            Rc::new(Slot { stream, waker: RefCell::new(None), blocked: Cell::new(false), closing: Cell::new(false) });
        self.slots.borrow_mut().insert(number, slot.clone());
        self.converse(number, &slot).await;
        self.slots.borrow_mut().remove(&number);
        let _ = socket2::SockRef::from(&slot.stream).shutdown(std::net::Shutdown::Write);
        let mut reactor = self.reactor.borrow_mut();
        let key = reactor.key(number);
        if let Some(session) = reactor.closed(number) {
            self.shared.pipeline.unbind(session, key);
        }
        mailbox.connections.fetch_sub(1, Ordering::Relaxed);
    }

    async fn converse(self: &Rc<Self>, number: Number, slot: &Rc<Slot>) {
        loop {
            let ready = poll_fn(|context| {
                let mut waker = slot.waker.borrow_mut();
                if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
                    *waker = Some(context.waker().clone());
                }
                if slot.closing.get() {
                    return Poll::Ready(Ready::Close);
                }
                if slot.blocked.get() && slot.stream.poll_write_ready(context).is_ready() {
                    return Poll::Ready(Ready::Write);
                }
                let load = self.shared.pipeline.outstanding();
                if !slot.blocked.get() && self.reactor.borrow().can_resume(number, load) {
                    return Poll::Ready(Ready::Resume);
                }
                let wants = self.reactor.borrow().wants_input(number, load);
                if wants && slot.stream.poll_read_ready(context).is_ready() {
                    return Poll::Ready(Ready::Read);
                }
                Poll::Pending
            });
            match ready.await {
                Ready::Close => break,
                Ready::Write => self.flush(number, slot),
                // The output has drained, and requests were waiting for that.
                Ready::Resume => self.turn(Some((number, &[]))),
                Ready::Read => {
                    let mut buffer = self.buffer.take();
                    let end = match read(&slot.stream, &mut buffer) {
                        Ok(0) => true,
                        Ok(count) => {
                            self.turn(Some((number, &buffer[..count])));
                            false
                        }
                        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
                    };
                    self.buffer.replace(buffer);
                    if end {
                        self.reactor.borrow_mut().readings.add(metrics::CONNECTION_DROP_COUNT, 1);
                        return;
                    }
                }
            }
        }
        // Last words are sent, but not waited for without end.
        let _ = tokio::time::timeout(LINGER, async {
            while slot.blocked.get() && slot.stream.writable().await.is_ok() {
                self.flush(number, slot);
            }
        })
        .await;
    }

    async fn answer_word(self: Rc<Self>, number: Number, word: [u8; 4], argument: Vec<u8>) {
        let answer = self.shared.words.answer(word, &argument).await;
        if let Some(output) = self.reactor.borrow_mut().output(number) {
            output.extend_from_slice(answer.as_bytes());
        }
        let slot = self.slots.borrow().get(&number).cloned();
        if let Some(slot) = slot {
            self.flush(number, &slot);
        }
        self.close(number);
    }
}

/// What the socket has, up to the size of the buffer. Where that is less, the socket is empty, and is not asked again
/// before it says so.
fn read(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    let tried = stream.try_io(Interest::READABLE, || {
        count = (&*socket2::SockRef::from(stream)).read(buffer)?;
        if (1..buffer.len()).contains(&count) { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match tried {
        Err(_) if count > 0 => Ok(count),
        tried => tried.map(|()| count),
    }
}

enum Ready {
    Read,
    Resume,
    Write,
    Close,
}

fn wake(slot: &Slot) {
    if let Some(waker) = &*slot.waker.borrow() {
        waker.wake_by_ref();
    }
}
