//! What somebody may cost who connects to a port between members and has not said yet who it is: few connections at once, and
//! one line in the log for each address and minute.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Handshakes at once. A member sends its own with the connection, so that the oldest is the likeliest to be no member's.
const HANDSHAKES_MAX: usize = 64;
/// Addresses that are remembered as spoken of.
const REMARKS_MAX: usize = 256;
const REMARK_PAUSE: Duration = Duration::from_secs(60);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Those of one port.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    pending: Mutex<VecDeque<Arc<TcpStream>>>,
    remarks: Mutex<HashMap<Option<IpAddr>, Instant>>,
}

/// The place of a stranger, free again when dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    strangers: &'a Strangers,
    socket: Arc<TcpStream>,
}

impl Strangers {
    /// A place for one more. If there is none left, the one that has taken longest loses its connection.
    pub fn admit(&self, socket: Arc<TcpStream>) -> Place<'_> {
        let mut pending = locked(&self.pending);
        if pending.len() >= HANDSHAKES_MAX
            && let Some(oldest) = pending.pop_front()
        {
            let _ = oldest.shutdown(Shutdown::Both);
        }
        pending.push_back(socket.clone());
        Place { strangers: self, socket }
    }

    /// How many there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        locked(&self.pending).len()
    }

    /// Whether a line in the log is due about this address.
    pub fn may_remark(&self, from: Option<IpAddr>) -> bool {
        let mut remarks = locked(&self.remarks);
        if remarks.get(&from).is_some_and(|at| at.elapsed() < REMARK_PAUSE) {
            return false;
        }
        if remarks.len() >= REMARKS_MAX {
            remarks.retain(|_, at| at.elapsed() < REMARK_PAUSE);
        }
        if remarks.len() >= REMARKS_MAX {
            return false;
        }
        remarks.insert(from, Instant::now());
        true
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        locked(&self.strangers.pending).retain(|socket| !Arc::ptr_eq(socket, &self.socket));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    #[test]
    fn the_oldest_stranger_makes_room_and_a_place_is_free_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let strangers = Strangers::default();
        let mut far = Vec::new();
        let mut places = Vec::new();
        for _ in 0..=HANDSHAKES_MAX {
            far.push(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
            places.push(strangers.admit(Arc::new(listener.accept().unwrap().0)));
        }
        assert_eq!(strangers.len(), HANDSHAKES_MAX);
        assert_eq!(far[0].read(&mut [0]).unwrap(), 0, "the first has lost its connection");
        places.clear();
        assert_eq!(strangers.len(), 0);
    }

    #[test]
    fn an_address_is_spoken_of_once_and_only_so_many_are() {
        let strangers = Strangers::default();
        let address = |n: usize| Some(IpAddr::from((n as u32).to_be_bytes()));
        assert!(strangers.may_remark(address(1)));
        assert!(!strangers.may_remark(address(1)));
        assert_eq!((2..1000).filter(|n| strangers.may_remark(address(*n))).count(), REMARKS_MAX - 1);
    }
}
