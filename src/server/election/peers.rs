//! The connections to the other members, one each, and what waits for each: the newest message only. A new connection
//! begins with the last message sent by the old one, which may never have arrived (`QuorumCnxManager.SendWorker`).

use super::locked;
use crate::zab::ServerId;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Servers that are not in the configuration and have a connection all the same: those that are about to join.
const UNKNOWN_MAX: usize = 32;
/// How long a larger id, once greeted, has to dial back before it is greeted again: greeted twice it would drop the
/// connection it has just made.
const DIAL_BACK: Duration = Duration::from_millis(400);
/// This often in a minute the dialler's address must change before two servers are suspected to share an id.
const MOVES_SUSPECT: u32 = 3;

#[derive(Default)]
struct Peer {
    known: bool,
    slot: Option<Vec<u8>>,
    last: Option<Vec<u8>>,
    socket: Option<Arc<TcpStream>>,
    dialing: bool,
    /// It asked to be dialled while it was being dialled already.
    again: bool,
    greeted: Option<Instant>,
    dialler: Option<IpAddr>,
    moves: u32,
    moved_since: Option<Instant>,
}

#[derive(Default)]
pub(super) struct Peers {
    peers: Mutex<BTreeMap<ServerId, Peer>>,
    filled: Condvar,
}

impl Peers {
    /// The entry of a peer; `None` when there are too many that nobody knows.
    fn entry(peers: &mut BTreeMap<ServerId, Peer>, id: ServerId, known: bool) -> Option<&mut Peer> {
        if !known && !peers.contains_key(&id) && peers.values().filter(|peer| !peer.known).count() >= UNKNOWN_MAX {
            return None;
        }
        let peer = peers.entry(id).or_default();
        peer.known = known;
        Some(peer)
    }

    /// Leaves a message for a peer. Returns whether it has to be dialled.
    pub fn offer(&self, id: ServerId, message: Vec<u8>, known: bool) -> bool {
        let mut peers = locked(&self.peers);
        let Some(peer) = Self::entry(&mut peers, id, known) else { return false };
        peer.last = Some(message.clone());
        peer.slot = Some(message);
        let dial = peer.socket.is_none() && peer.greeted.is_none_or(|at| at.elapsed() >= DIAL_BACK);
        drop(peers);
        self.filled.notify_all();
        dial
    }

    /// Whether the caller is now the one who dials. `asked`: the peer itself wants to be dialled.
    pub fn begin_dial(&self, id: ServerId, known: bool, asked: bool) -> bool {
        let mut peers = locked(&self.peers);
        let Some(peer) = Self::entry(&mut peers, id, known) else { return false };
        if peer.dialing {
            peer.again |= asked;
            return false;
        }
        if peer.socket.is_some() {
            return false;
        }
        peer.dialing = true;
        true
    }

    /// The dialling is over. Returns whether it is to be done again.
    pub fn end_dial(&self, id: ServerId, greeted: bool) -> bool {
        let mut peers = locked(&self.peers);
        let Some(peer) = peers.get_mut(&id) else { return false };
        peer.dialing = false;
        peer.greeted = greeted.then(Instant::now);
        let again = std::mem::take(&mut peer.again) && peer.socket.is_none();
        if !peer.known && peer.socket.is_none() && !again && !greeted {
            peers.remove(&id);
        }
        again
    }

    /// A smaller id has dialled: its old connection is worth nothing.
    pub fn drop_old(&self, id: ServerId) {
        if let Some(old) = locked(&self.peers).get_mut(&id).and_then(|peer| peer.socket.take()) {
            let _ = old.shutdown(Shutdown::Both);
        }
        self.filled.notify_all();
    }

    /// Somebody dialled under this id. Returns whether the addresses it comes from change too often for one server.
    pub fn dialled_from(&self, id: ServerId, from: IpAddr) -> bool {
        let mut peers = locked(&self.peers);
        let Some(peer) = peers.get_mut(&id) else { return false };
        if peer.dialler.replace(from).is_none_or(|before| before == from) {
            return false;
        }
        if peer.moved_since.is_none_or(|since| since.elapsed() > Duration::from_secs(60)) {
            (peer.moved_since, peer.moves) = (Some(Instant::now()), 0);
        }
        peer.moves += 1;
        peer.moves == MOVES_SUSPECT
    }

    /// A connection takes the place of the one before. `false` when it is one too many.
    pub fn connect(&self, id: ServerId, socket: Arc<TcpStream>, known: bool) -> bool {
        let mut peers = locked(&self.peers);
        let Some(peer) = Self::entry(&mut peers, id, known) else { return false };
        peer.greeted = None;
        if let Some(old) = peer.socket.replace(socket) {
            let _ = old.shutdown(Shutdown::Both);
        }
        if peer.slot.is_none() {
            peer.slot = peer.last.clone();
        }
        drop(peers);
        self.filled.notify_all();
        true
    }

    /// A connection has ended; that of a server that nobody knows leaves nothing behind.
    pub fn disconnect(&self, id: ServerId, socket: &Arc<TcpStream>, known: bool) {
        let mut peers = locked(&self.peers);
        if let Some(peer) = peers.get_mut(&id)
            && peer.socket.as_ref().is_some_and(|current| Arc::ptr_eq(current, socket))
        {
            peer.socket = None;
            if !known && !peer.dialing {
                peers.remove(&id);
            }
        }
        drop(peers);
        self.filled.notify_all();
    }

    /// Sends what there is until the connection ends or another takes its place.
    pub fn write(&self, id: ServerId, socket: &Arc<TcpStream>) {
        let mut peers = locked(&self.peers);
        loop {
            let Some(peer) = peers.get_mut(&id) else { return };
            if !peer.socket.as_ref().is_some_and(|current| Arc::ptr_eq(current, socket)) {
                return;
            }
            match peer.slot.take() {
                Some(message) => {
                    drop(peers);
                    if (&**socket).write_all(&message).is_err() {
                        let _ = socket.shutdown(Shutdown::Both);
                        return;
                    }
                    peers = locked(&self.peers);
                }
                None => peers = self.filled.wait(peers).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    pub fn close_all(&self) {
        for peer in locked(&self.peers).values_mut() {
            if let Some(socket) = peer.socket.take() {
                let _ = socket.shutdown(Shutdown::Both);
            }
        }
        self.filled.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    fn pair() -> (Arc<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Arc::new(near), listener.accept().unwrap().0)
    }

    #[test]
    fn only_the_newest_message_waits_and_the_last_one_is_said_again() {
        let peers = Arc::new(Peers::default());
        assert!(peers.offer(2, b"old.".to_vec(), true));
        assert!(peers.offer(2, b"new.".to_vec(), true));
        for _ in 0..2 {
            let (near, mut far) = pair();
            assert!(peers.connect(2, near.clone(), true));
            let writer = {
                let (peers, near) = (peers.clone(), near.clone());
                std::thread::spawn(move || peers.write(2, &near))
            };
            let mut said = [0; 4];
            far.read_exact(&mut said).unwrap();
            assert_eq!(&said, b"new.");
            peers.disconnect(2, &near, true);
            writer.join().unwrap();
        }
    }

    #[test]
    fn one_dials_at_a_time_and_a_wish_meanwhile_is_kept() {
        let peers = Peers::default();
        assert!(peers.begin_dial(2, true, false));
        assert!(!peers.begin_dial(2, true, false));
        assert!(!peers.end_dial(2, false));
        assert!(peers.begin_dial(2, true, false));
        assert!(!peers.begin_dial(2, true, true), "it is being dialled");
        assert!(peers.end_dial(2, false), "and will be again");
        assert!(peers.begin_dial(2, true, false) && !peers.end_dial(2, true));
        assert!(!peers.offer(2, Vec::new(), true), "it was greeted, and has a moment to dial back");
    }

    #[test]
    fn servers_that_nobody_knows_are_few_and_leave_nothing() {
        let peers = Peers::default();
        let mut sockets = Vec::new();
        for id in 100..100 + UNKNOWN_MAX as i64 {
            sockets.push(pair());
            assert!(peers.connect(id, sockets[sockets.len() - 1].0.clone(), false));
        }
        let (one_more, _far) = pair();
        assert!(!peers.connect(7, one_more.clone(), false));
        assert!(peers.connect(7, one_more.clone(), true), "a member always has a place");
        peers.disconnect(100, &sockets[0].0, false);
        assert!(peers.connect(8, one_more, false));
        assert_eq!(locked(&peers.peers).len(), UNKNOWN_MAX + 1);
    }

    #[test]
    fn an_id_that_comes_from_two_addresses_in_turns_is_suspect() {
        let peers = Peers::default();
        peers.offer(2, Vec::new(), true);
        let [one, two] = ["10.0.0.1", "10.0.0.2"].map(|ip| ip.parse().unwrap());
        let said: Vec<bool> = [one, one, two, one, two, one].map(|from| peers.dialled_from(2, from)).to_vec();
        assert_eq!(said, [false, false, false, false, true, false]);
    }
}
