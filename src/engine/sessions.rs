//! Sessions: ids, timeouts, expiry in ticks (`org.apache.zookeeper.server.SessionTrackerImpl`). Every received request
//! touches its session; that must not cost a lock, so the touch is one relaxed store to a shared number, and the table
//! looks at it when the session's bucket is due.

use crate::proto::session::{self, SessionId};
use hashbrown::{HashMap, HashSet};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Names a connection of this server: which reactor, and its number there, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionKey {
    /// Reactor.
    pub reactor: u16,
    /// Number in the reactor.
    pub number: u64,
}

/// The part of a session that its connection shares with the table.
#[derive(Debug)]
pub struct Touch {
    /// When the client was last heard, ms of the monotonic clock. Ordered with nothing: a late value only expires later.
    last_ms: AtomicI64,
    closing: AtomicBool,
}

impl Touch {
    /// The client was heard.
    pub fn touch(&self, now_ms: i64) {
        self.last_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Nothing this session asks for is answered any more.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Session {
    timeout_ms: i32,
    due_ms: i64,
    connection: Option<ConnectionKey>,
    /// On a leader: through which member the client talks, 0 for this one; `None` until it does.
    owner: Option<u64>,
    touch: Arc<Touch>,
}

/// What the table says of a session that asks for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It lives.
    Alive,
    /// It is being closed.
    Closing,
    /// There is no such session.
    Unknown,
}

/// A connection took a session over.
#[derive(Debug)]
pub struct Attached {
    /// What to touch.
    pub touch: Arc<Touch>,
}

/// All sessions.
#[derive(Debug)]
pub struct SessionTable {
    tick_ms: i64,
    next_id: SessionId,
    sessions: HashMap<SessionId, Session>,
    due: BTreeMap<i64, HashSet<SessionId>>,
}

impl SessionTable {
    /// An empty table that gives out ids from `first_id`.
    pub fn new(tick_ms: i64, first_id: SessionId) -> Self {
        SessionTable { tick_ms, next_id: first_id, sessions: HashMap::new(), due: BTreeMap::new() }
    }

    /// How finely it expires.
    pub fn tick_ms(&self) -> i64 {
        self.tick_ms
    }

    /// A fresh id.
    pub fn next_id(&mut self) -> SessionId {
        loop {
            let id = self.next_id;
            self.next_id = self.next_id.wrapping_add(1);
            if id != 0 && !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }

    /// Follows a session from now on: a new one, or one found on disk, which gets its full timeout again.
    pub fn track(&mut self, id: SessionId, timeout_ms: i32, now_ms: i64) -> Arc<Touch> {
        if let Some(session) = self.sessions.get(&id) {
            session.touch.touch(now_ms);
            return session.touch.clone();
        }
        let touch = Arc::new(Touch { last_ms: AtomicI64::new(now_ms), closing: AtomicBool::new(false) });
        let due_ms = self.due_after(now_ms, timeout_ms);
        self.sessions.insert(id, Session { timeout_ms, due_ms, connection: None, owner: None, touch: touch.clone() });
        self.due.entry(due_ms).or_default().insert(id);
        touch
    }

    /// Binds a session to its connection.
    pub fn bind(&mut self, id: SessionId, connection: ConnectionKey) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.connection = Some(connection);
        }
    }

    /// Whether a request of the session may come through this member. The first that does owns it.
    pub fn own(&mut self, id: SessionId, member: u64) -> bool {
        self.sessions.get_mut(&id).is_none_or(|session| *session.owner.get_or_insert(member) == member)
    }

    /// The client of the session talks through this member from now on.
    pub fn set_owner(&mut self, id: SessionId, member: u64) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.owner = Some(member);
        }
    }

    /// A member has heard the client. False when the session is not alive.
    pub fn touch(&self, id: SessionId, now_ms: i64) -> bool {
        let session = self.sessions.get(&id).filter(|session| !session.touch.is_closing());
        session.inspect(|session| session.touch.touch(now_ms)).is_some()
    }

    /// Sessions with a connection here that were heard since `since_ms`, with their timeouts.
    pub fn heard_since(&self, since_ms: i64) -> Vec<(SessionId, i32)> {
        let here = self.sessions.iter().filter(|(_, session)| session.connection.is_some());
        let heard = here.filter(|(_, session)| session.touch.last_ms.load(Ordering::Relaxed) >= since_ms);
        heard.map(|(id, session)| (*id, session.timeout_ms)).collect()
    }

    /// The connection is gone; the session stays.
    pub fn unbind(&mut self, id: SessionId, connection: ConnectionKey) {
        if let Some(session) = self.sessions.get_mut(&id)
            && session.connection == Some(connection)
        {
            session.connection = None;
        }
    }

    /// A local session becomes one of this table, with its connection and all. Returns its timeout.
    pub fn upgrade(&mut self, id: SessionId, local: &mut SessionTable) -> Option<i32> {
        let session = local.sessions.get(&id).filter(|session| !session.touch.is_closing())?;
        let (timeout_ms, due_ms) = (session.timeout_ms, session.due_ms);
        local.leave_bucket(id, due_ms);
        let session = local.sessions.remove(&id)?;
        self.due.entry(due_ms).or_default().insert(id);
        self.sessions.insert(id, session);
        Some(timeout_ms)
    }

    /// The connection that has a session now.
    pub fn connection(&self, id: SessionId) -> Option<ConnectionKey> {
        self.sessions.get(&id).and_then(|session| session.connection)
    }

    /// A client wants its session back. The caller has closed the old connection already, as the original does even
    /// before it looks at the password.
    pub fn attach(
        &mut self,
        id: SessionId,
        password: Option<&[u8]>,
        timeout_ms: i32,
        connection: ConnectionKey,
        now_ms: i64,
    ) -> Option<Attached> {
        if id == 0 || password != Some(&session::password(id)[..]) {
            return None;
        }
        let session = self.sessions.get_mut(&id).filter(|session| !session.touch.is_closing())?;
        session.timeout_ms = timeout_ms;
        session.connection = Some(connection);
        session.touch.touch(now_ms);
        let touch = session.touch.clone();
        self.renew(id);
        Some(Attached { touch })
    }

    /// May this session still ask for something?
    pub fn standing(&self, id: SessionId) -> Standing {
        match self.sessions.get(&id) {
            None => Standing::Unknown,
            Some(session) if session.touch.is_closing() => Standing::Closing,
            Some(_) => Standing::Alive,
        }
    }

    /// The session ends soon: its closeSession is on its way.
    pub fn set_closing(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.touch.closing.store(true, Ordering::Relaxed);
            let due_ms = session.due_ms;
            self.leave_bucket(id, due_ms);
        }
    }

    /// The session has ended. Returns the connection it had.
    pub fn remove(&mut self, id: SessionId) -> Option<ConnectionKey> {
        let session = self.sessions.remove(&id)?;
        session.touch.closing.store(true, Ordering::Relaxed);
        self.leave_bucket(id, session.due_ms);
        session.connection
    }

    /// Sessions that were not heard in time, marked as closing. Buckets expire whole, in order.
    pub fn expire(&mut self, now_ms: i64) -> Vec<SessionId> {
        let mut expired = Vec::new();
        while let Some(bucket) = self.due.first_entry().filter(|bucket| *bucket.key() <= now_ms) {
            let mut ids: Vec<_> = bucket.remove().into_iter().collect();
            ids.sort_unstable();
            for id in ids {
                self.renew(id);
                if self.sessions[&id].due_ms <= now_ms {
                    self.set_closing(id);
                    expired.push(id);
                }
            }
        }
        expired
    }

    /// When the next bucket is due.
    pub fn next_due_ms(&self) -> Option<i64> {
        self.due.first_key_value().map(|(due, _)| *due)
    }

    /// Sessions by the instant at which they expire if they are not heard, in order.
    pub fn by_expiry(&self) -> BTreeMap<i64, Vec<SessionId>> {
        let mut buckets: BTreeMap<i64, Vec<SessionId>> = BTreeMap::new();
        for (id, session) in self.sessions.iter().filter(|(_, session)| !session.touch.is_closing()) {
            let due = self.due_after(session.touch.last_ms.load(Ordering::Relaxed), session.timeout_ms);
            buckets.entry(due).or_default().push(*id);
        }
        buckets.values_mut().for_each(|ids| ids.sort_unstable());
        buckets
    }

    /// Sessions known.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// No session at all.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The first tick that lies wholly behind the timeout: a session lives between timeout and timeout + tick.
    fn due_after(&self, touched_ms: i64, timeout_ms: i32) -> i64 {
        ((touched_ms + i64::from(timeout_ms)).div_euclid(self.tick_ms) + 1) * self.tick_ms
    }

    fn renew(&mut self, id: SessionId) {
        let session = &self.sessions[&id];
        let before = session.due_ms;
        let due_ms = self.due_after(session.touch.last_ms.load(Ordering::Relaxed), session.timeout_ms);
        self.leave_bucket(id, before);
        self.due.entry(due_ms).or_default().insert(id);
        self.sessions.get_mut(&id).expect("just read").due_ms = due_ms;
    }

    fn leave_bucket(&mut self, id: SessionId, due_ms: i64) {
        if let Some(bucket) = self.due.get_mut(&due_ms) {
            bucket.remove(&id);
            if bucket.is_empty() {
                self.due.remove(&due_ms);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECTION: ConnectionKey = ConnectionKey { reactor: 0, number: 1 };

    #[test]
    fn a_session_dies_between_its_timeout_and_a_tick_later() {
        let mut table = SessionTable::new(500, 1);
        table.track(9, 1000, 100);
        assert_eq!(table.next_due_ms(), Some(1500));
        assert!(table.expire(1499).is_empty());
        assert_eq!(table.expire(1500), [9]);
        assert_eq!(table.standing(9), Standing::Closing);
        assert!(table.expire(9999).is_empty(), "it expires once");
    }

    #[test]
    fn a_touch_postpones_without_the_table_being_told() {
        let mut table = SessionTable::new(500, 1);
        let touch = table.track(9, 1000, 0);
        touch.touch(1400);
        assert!(table.expire(1500).is_empty());
        assert!(table.expire(2000).is_empty());
        assert_eq!(table.expire(2500), [9]);
    }

    #[test]
    fn only_the_right_password_brings_a_session_back_and_its_timeout_counts() {
        let mut table = SessionTable::new(500, 1);
        table.track(9, 1000, 0);
        assert!(table.attach(9, Some(&[0; 16]), 4000, CONNECTION, 100).is_none());
        assert!(table.attach(9, None, 4000, CONNECTION, 100).is_none());
        assert!(table.attach(9, Some(&session::password(9)), 4000, CONNECTION, 100).is_some());
        assert_eq!(table.next_due_ms(), Some(4500));
        assert_eq!(table.connection(9), Some(CONNECTION));
        table.set_closing(9);
        assert!(table.attach(9, Some(&session::password(9)), 4000, CONNECTION, 100).is_none());
    }

    #[test]
    fn an_upgraded_session_keeps_its_connection_and_what_its_client_touches() {
        let (mut global, mut local) = (SessionTable::new(500, 1), SessionTable::new(500, 1));
        let touch = local.track(9, 1000, 0);
        local.bind(9, CONNECTION);
        assert_eq!(global.upgrade(9, &mut local), Some(1000));
        assert_eq!((local.standing(9), global.standing(9)), (Standing::Unknown, Standing::Alive));
        assert_eq!(global.connection(9), Some(CONNECTION));
        touch.touch(1400);
        assert!(local.expire(9999).is_empty() && global.expire(2000).is_empty());
        assert_eq!(global.expire(2500), [9]);
        assert_eq!(global.upgrade(9, &mut local), None, "once");
        local.track(8, 1000, 0);
        local.set_closing(8);
        assert_eq!(global.upgrade(8, &mut local), None, "it is about to end");
    }

    #[test]
    fn ids_of_living_sessions_are_not_given_again() {
        let mut table = SessionTable::new(500, 5);
        table.track(5, 1000, 0);
        assert_eq!(table.next_id(), 6);
    }
}
