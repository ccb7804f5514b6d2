//! From the committing side to one reactor: deliveries in the order of application, new connections, and questions of
//! the operator's commands. The reactor is woken once, however much there is.

use crate::reactor::{Delivery, Reactor};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A question that the reactor's own thread answers.
pub type Question = Box<dyn FnOnce(&mut Reactor) + Send>;

/// What waits for a reactor.
#[derive(Default)]
pub struct Mail {
    /// In order.
    pub deliveries: Vec<Delivery>,
    /// Accepted sockets.
    pub arrivals: Vec<(TcpStream, SocketAddr)>,
    /// Commands.
    pub questions: Vec<Question>,
}

/// The mailbox of a reactor.
#[derive(Default)]
pub struct Mailbox {
    mail: Mutex<Mail>,
    wake: Notify,
    /// Set under shared access to the tree when the first watch is registered, read under exclusive access before changes
    /// are told: the gate orders the two.
    watching: AtomicBool,
    /// Connections of this reactor, for placing new ones.
    pub connections: AtomicUsize,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what was committed; the caller has exclusive access to the tree.
    pub fn deliver(&self, delivery: Delivery) {
        self.lock().deliveries.push(delivery);
    }

    /// Hands an accepted socket over.
    pub fn arrive(&self, socket: TcpStream, peer: SocketAddr) {
        self.lock().arrivals.push((socket, peer));
        self.wake.notify_one();
    }

    /// Asks something.
    pub fn ask(&self, question: Question) {
        self.lock().questions.push(question);
        self.wake.notify_one();
    }

    /// Wakes the reactor.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Until somebody wakes the reactor.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Takes the deliveries; the caller has shared access to the tree.
    pub fn deliveries(&self) -> Vec<Delivery> {
        std::mem::take(&mut self.lock().deliveries)
    }

    /// Takes sockets and questions.
    pub fn others(&self) -> (Vec<(TcpStream, SocketAddr)>, Vec<Question>) {
        let mut mail = self.lock();
        (std::mem::take(&mut mail.arrivals), std::mem::take(&mut mail.questions))
    }

    /// Whether this reactor wants to hear of changes.
    pub fn is_watching(&self) -> bool {
        self.watching.load(Ordering::Relaxed)
    }

    /// Says whether this reactor wants to hear of changes; the caller has shared access to the tree.
    pub fn set_watching(&self, watching: bool) {
        if self.is_watching() != watching {
            self.watching.store(watching, Ordering::Relaxed);
        }
    }
}
