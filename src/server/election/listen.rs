//! The own election addresses: a listener each, on a thread that looks the name up, binds, and takes connections
//! (`QuorumCnxManager.Listener`). An accepted connection says first whose it is.

use super::super::{ServerError, thread};
use super::dial::look_up;
use super::{HostPort, Shared, bad, bracketed, locked};
use crate::quorum::Greeting;
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{self, Read};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Attempts at binding unless `electionPortBindRetry` says otherwise.
pub(super) const BIND_ATTEMPTS: u32 = 3;
/// The exit code of the original when it cannot listen for other members (`ExitCode.UNABLE_TO_BIND_QUORUM_PORT`).
const UNABLE_TO_BIND: i32 = 14;
const PAUSE: Duration = Duration::from_secs(1);

/// The listeners of this server.
#[derive(Default)]
pub(super) struct Listeners(Mutex<Vec<Arc<One>>>);

/// One of them; its socket once it is bound.
#[derive(Default)]
struct One {
    closed: AtomicBool,
    socket: Mutex<Option<Arc<TcpListener>>>,
}

impl Listeners {
    /// Closes those there are and listens on these addresses.
    pub fn replace(&self, shared: &Arc<Shared>, own: &[HostPort]) -> Result<(), ServerError> {
        self.close();
        let mut addresses = own.to_vec();
        if shared.options.listen_on_all {
            addresses.iter_mut().for_each(|(host, _)| host.clear());
            addresses.sort();
            addresses.dedup();
        }
        let alive = Arc::new(AtomicUsize::new(addresses.len()));
        for address in addresses {
            let one = Arc::new(One::default());
            locked(&self.0).push(one.clone());
            let (shared, alive) = (shared.clone(), alive.clone());
            thread("election".into(), move || {
                let Some(error) = one.run(&shared, &address) else { return };
                let (address, me) = (bracketed(&address), shared.me);
                tracing::error!(
                    address,
                    %error,
                    "cannot listen on the election address of the line server.{me}: is this host that server, is the \
                     file myid right, is another server running on that port?"
                );
                if alive.fetch_sub(1, Ordering::Relaxed) == 1 {
                    std::process::exit(UNABLE_TO_BIND);
                }
            })?;
        }
        Ok(())
    }

    pub fn close(&self) {
        for one in locked(&self.0).drain(..) {
            one.closed.store(true, Ordering::Relaxed);
            if let Some(socket) = &*locked(&one.socket) {
                // Wakes the thread that accepts.
                let _ = SockRef::from(&**socket).shutdown(Shutdown::Both);
            }
        }
    }
}

impl One {
    fn closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Returns why there is no listening, unless it was told to end.
    fn run(&self, shared: &Arc<Shared>, address: &HostPort) -> Option<io::Error> {
        let listener = match bind_patiently(address, shared.options.bind_attempts, || self.closed()) {
            Ok(Some(listener)) => Arc::new(listener),
            Ok(None) => return None,
            Err(error) => return Some(error),
        };
        *locked(&self.socket) = Some(listener.clone());
        while !self.closed() {
            let Ok((socket, from)) = listener.accept() else {
                if !self.closed() {
                    std::thread::sleep(Duration::from_millis(100));
                }
                continue;
            };
            if self.closed() {
                return None;
            }
            shared.welcome(socket, from);
        }
        None
    }
}

/// Binds, with so many attempts a second apart; 0 never gives up. A name that nobody knows yet costs none: it says nothing
/// about the port. `None` when it was told to end.
fn bind_patiently(address: &HostPort, attempts: u32, closed: impl Fn() -> bool) -> io::Result<Option<TcpListener>> {
    let (host, port) = address;
    let mut failed = 0;
    let mut unknown = false;
    while !closed() {
        let found = match host.as_str() {
            "" => vec![(Ipv6Addr::UNSPECIFIED, *port).into(), (Ipv4Addr::UNSPECIFIED, *port).into()],
            _ => look_up(address),
        };
        let mut outcome = Err(io::ErrorKind::NotFound.into());
        for candidate in &found {
            outcome = bind(*candidate);
            if outcome.is_ok() {
                break;
            }
        }
        match outcome {
            Ok(listener) => return Ok(Some(listener)),
            Err(_) if found.is_empty() => {
                if !std::mem::replace(&mut unknown, true) {
                    tracing::warn!(host, "the name of this server's own line is not known yet; trying until it is");
                }
            }
            Err(error) => {
                failed += 1;
                if failed == attempts {
                    return Err(error);
                }
                tracing::warn!(address = bracketed(address), %error, "cannot listen for elections yet");
            }
        }
        std::thread::sleep(PAUSE);
    }
    Ok(None)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(128)?;
    Ok(socket.into())
}

impl Shared {
    /// Hears out a connection on a thread of its own.
    fn welcome(self: &Arc<Self>, socket: TcpStream, from: SocketAddr) {
        let shared = self.clone();
        let greeted = thread("election-peer".into(), move || {
            if let Err(error) = shared.greeted(socket, from) {
                if error.kind() == io::ErrorKind::InvalidData && shared.strangers.may_remark(Some(from.ip())) {
                    tracing::warn!(%from, %error, "what came to the election port was no member's; closed");
                } else {
                    tracing::debug!(%from, %error, "a connection to the election port ends");
                }
            }
        });
        if let Err(error) = greeted {
            tracing::debug!(%error, "a connection to the election port is not served");
        }
    }

    /// Somebody dialled. The larger id keeps the connection it dialled; to a smaller one this server dials back.
    fn greeted(self: &Arc<Self>, mut socket: TcpStream, from: SocketAddr) -> io::Result<()> {
        self.prepare(&socket, None)?;
        let greeting = {
            let _place = self.strangers.admit(Arc::new(socket.try_clone()?));
            read_greeting(&mut socket, self.options.handshake)?
        };
        let broken = |error: crate::jute::DecodeError| bad(error.to_string());
        let addresses = greeting.dialable().map_err(broken)?;
        let peer = greeting.server;
        if peer == self.me {
            if self.strangers.may_remark(Some(from.ip())) {
                tracing::error!(
                    %from,
                    says = greeting.addresses.join("|"),
                    "another server says it is server {peer}, as this one: the file myid of one of them is wrong, or a \
                     server line has this server's address under another id. Refused"
                );
            }
            return Ok(());
        }
        // An observer without an id of its own (`QuorumPeer.OBSERVER_ID`) cannot be dialled; so says the original, too.
        if !(0..i64::MAX).contains(&peer) {
            return Err(bad(format!("a server says its id is {peer}; give it a file myid")));
        }
        if self.peers.dialled_from(peer, from.ip()) {
            tracing::error!(
                peer,
                %from,
                "this id is used from several addresses in turns: two servers share it; see the file myid of both"
            );
        }
        if peer < self.me {
            self.peers.drop_old(peer);
            drop(socket);
            self.dial_back(peer, addresses);
            return Ok(());
        }
        self.prepare(&socket, Some(peer))?;
        self.converse(peer, socket);
        Ok(())
    }
}

/// Reads a greeting, which must be whole in so much time, however slowly it comes.
fn read_greeting(socket: &mut TcpStream, patience: Duration) -> io::Result<Greeting> {
    let broken = |error: crate::jute::DecodeError| bad(error.to_string());
    let deadline = Instant::now() + patience;
    let mut bytes = Vec::new();
    loop {
        let wanted = Greeting::wanted(&bytes).map_err(broken)?;
        if wanted == 0 {
            return Greeting::decode(&bytes).map_err(broken);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let start = bytes.len();
        bytes.resize(start + wanted, 0);
        let read = socket.read(&mut bytes[start..])?;
        bytes.truncate(start + read);
        if read == 0 {
            // Who says nothing at all asks whether the port is open.
            return Err(if start == 0 { io::ErrorKind::UnexpectedEof.into() } else { bad("half a greeting") });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_others_have_is_asked_for_as_often_as_told() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = ("127.0.0.1".to_owned(), taken.local_addr().unwrap().port());
        let error = bind_patiently(&address, 1, || false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let held = std::thread::spawn({
            let address = address.clone();
            move || bind_patiently(&address, 0, || false)
        });
        drop(taken);
        assert_eq!(held.join().unwrap().unwrap().unwrap().local_addr().unwrap().port(), address.1);
    }

    #[test]
    fn a_name_that_nobody_knows_costs_no_attempt() {
        let asked = AtomicUsize::new(0);
        let closed = || asked.fetch_add(1, Ordering::Relaxed) == 2;
        assert!(bind_patiently(&("no-such-host.invalid".into(), 1), 1, closed).unwrap().is_none());
    }

    #[test]
    fn all_interfaces_of_both_kinds_are_listened_on() {
        let listener = bind_patiently(&(String::new(), 0), 1, || false).unwrap().unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(("127.0.0.1", port)).unwrap();
    }
}
