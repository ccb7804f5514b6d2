//! Dialling another member: its names are looked up anew each time, its addresses tried side by side, and the first that
//! answers is greeted (`QuorumCnxManager.initiateConnection`).

use super::super::thread;
use super::{HostPort, Shared, bad, locked};
use crate::quorum::Greeting;
use crate::zab::ServerId;
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

/// Addresses of one member that are tried.
const ADDRESSES_MAX: usize = 8;
/// How much earlier an address is tried than the next one.
const HEAD_START: Duration = Duration::from_millis(250);

impl Shared {
    /// Dials a peer unless there is a connection or somebody is at it. `extra`: where else it may be.
    pub(super) fn dial(self: &Arc<Self>, peer: ServerId, extra: Vec<HostPort>) {
        self.dial_if(peer, extra, false);
    }

    /// A smaller id has asked to be dialled, and said where it is.
    pub(super) fn dial_back(self: &Arc<Self>, peer: ServerId, says: Vec<HostPort>) {
        self.dial_if(peer, says, true);
    }

    fn dial_if(self: &Arc<Self>, peer: ServerId, extra: Vec<HostPort>, asked: bool) {
        let known = self.knows(peer);
        if self.ended() || !self.peers.begin_dial(peer, known, asked) {
            return;
        }
        let shared = self.clone();
        let dialing = thread("election-dial".into(), move || {
            let socket = shared.greet(peer, &extra);
            let again = shared.peers.end_dial(peer, matches!(socket, Ok(None)));
            match socket {
                Ok(Some(socket)) => return shared.converse(peer, socket),
                Ok(None) => {}
                Err(error) => tracing::debug!(peer, %error, "a peer cannot be reached"),
            }
            if again {
                shared.dial(peer, extra);
            }
        });
        if dialing.is_err() {
            self.peers.end_dial(peer, false);
        }
    }

    /// Dials; `None` when the other side will dial back.
    fn greet(&self, peer: ServerId, extra: &[HostPort]) -> io::Result<Option<TcpStream>> {
        let mut names = locked(&self.book).of(peer);
        names.extend(extra.iter().cloned());
        let mut found: Vec<SocketAddr> = Vec::new();
        for name in names {
            for address in look_up(&name) {
                if !found.contains(&address) && found.len() < ADDRESSES_MAX {
                    found.push(address);
                }
            }
        }
        let mut socket = connect_to_any(found, self.options.connect)?;
        self.prepare(&socket, Some(peer))?;
        let mut addresses = locked(&self.own_addresses).clone();
        if !self.options.tell_all_addresses {
            addresses.truncate(1);
        }
        // In one piece, or the original does not read it.
        socket.write_all(&Greeting { server: self.me, addresses }.encode())?;
        Ok((peer < self.me).then_some(socket))
    }

    /// Sets what every connection of the election needs; for a peer that is known, also how long it may leave bytes
    /// unacknowledged. Then it is dialled again, maybe by another way.
    pub(super) fn prepare(&self, socket: &TcpStream, peer: Option<ServerId>) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let Some(peer) = peer else { return Ok(()) };
        socket.set_read_timeout(None)?;
        let raw = SockRef::from(socket);
        raw.set_keepalive(self.options.keep_alive)?;
        let has_others = locked(&self.book).of(peer).len() > 1;
        let patience = self.options.detour.filter(|_| has_others).unwrap_or(self.options.handshake);
        #[cfg(target_os = "linux")]
        raw.set_tcp_user_timeout(Some(patience))?;
        if self.options.keep_alive {
            raw.set_tcp_keepalive(&TcpKeepalive::new().with_time(patience.max(Duration::from_secs(1))))?;
        }
        Ok(())
    }
}

/// The addresses a name has now, IPv4 before IPv6, as the original prefers them: of `localhost` both sides mean the same.
pub(super) fn look_up((host, port): &HostPort) -> Vec<SocketAddr> {
    let mut found: Vec<_> = (host.as_str(), *port).to_socket_addrs().into_iter().flatten().collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    found
}

/// The first address that takes the connection.
fn connect_to_any(found: Vec<SocketAddr>, timeout: Duration) -> io::Result<TcpStream> {
    if let [only] = found[..] {
        return TcpStream::connect_timeout(&only, timeout);
    }
    let mut error = bad("its address is not known");
    let (to, outcomes) = channel();
    let mut tried = 0;
    let mut waiting = found.into_iter();
    loop {
        match waiting.next() {
            Some(address) => {
                let to = to.clone();
                let dialing = thread("election-dial".into(), move || {
                    // Nobody waits any more: another was faster.
                    let _ = to.send(TcpStream::connect_timeout(&address, timeout));
                });
                tried += usize::from(dialing.is_ok());
            }
            None if tried == 0 => return Err(error),
            None => {}
        }
        let pause = if waiting.len() > 0 { HEAD_START } else { timeout + HEAD_START };
        match outcomes.recv_timeout(pause) {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(refused)) => {
                tried -= 1;
                error = refused;
            }
            Err(_) if waiting.len() == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn of_several_addresses_one_that_answers_is_enough() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let there = listener.local_addr().unwrap();
        // 192.0.2.1 is nobody's; it is refused, or never answers.
        let nobody = "192.0.2.1:9".parse().unwrap();
        for found in [vec![nobody, free, there], vec![there, nobody], vec![free, there], vec![there]] {
            let socket = connect_to_any(found, Duration::from_secs(5)).unwrap();
            assert_eq!(socket.peer_addr().unwrap(), there);
        }
        assert!(connect_to_any(vec![free, free], Duration::from_secs(5)).is_err());
        assert!(connect_to_any(Vec::new(), Duration::from_secs(5)).is_err());
    }
}
