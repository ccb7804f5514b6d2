//! Clients: each has one session at a time, writes, syncs and reads through any server, loses its connection, and comes back
//! to another one with its session.

use super::check::Wish;
use super::reconfigurations::members;
use super::world::{Event, World};
use crate::jute::Encode;
use crate::proto::acl::Acl;
use crate::proto::records::{
    CreateRequest, MultiHeader, PathVersionRequest, ReconfigRequest, SetAclRequest, SetDataRequest,
};
use crate::proto::{OpCode, Zxid};
use bytes::Bytes;
use std::collections::VecDeque;

/// What a client says.
#[derive(Debug, Clone)]
pub enum ToServer {
    Connect { session: i64, last_seen: Zxid, timeout_ms: i32 },
    Write { xid: i32, op: OpCode, body: Vec<u8> },
    Sync { xid: i32 },
    Read { xid: i32, path: String },
    Ping,
    Bye,
}

/// What a client hears.
#[derive(Debug, Clone)]
pub enum ToClient {
    Opened {
        session: i64,
    },
    Expired {
        session: i64,
    },
    /// For a sync with the epoch of the server's term.
    Done {
        xid: i32,
        zxid: Zxid,
        error: i32,
        sync: Option<i64>,
    },
    Value {
        xid: i32,
        zxid: Zxid,
        path: String,
        found: Option<Bytes>,
    },
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Write,
    Sync,
    Read,
    Close,
}

/// Something a client waits for.
#[derive(Debug, Clone, Copy)]
struct Asked {
    xid: i32,
    what: What,
    at: i64,
    /// What had been acknowledged to anybody by then.
    told: Zxid,
}

/// A client.
#[derive(Debug, Default)]
pub struct Client {
    /// The server it talks to, that server's life, and the number of the connection.
    pub connected: Option<(usize, u64, u64)>,
    pub ready: bool,
    pub session: i64,
    pub timeout_ms: i32,
    pub last_seen: Zxid,
    xid: i32,
    asked: VecDeque<Asked>,
    /// What a sync that was answered has promised.
    promised: Option<Zxid>,
    since: i64,
    last_at: i64,
    pub done: u64,
    counter: u64,
    pub stopped: bool,
}

/// Nodes that clients fight for.
const PATHS: i64 = 6;

fn acl(which: i32) -> Vec<Acl> {
    let mut list = Acl::open_unsafe();
    if which > 0 {
        list.push(Acl::new(which, "ip", "127.0.0.1"));
    }
    list
}

/// A wish as a request.
pub fn encode(wish: &Wish) -> (OpCode, Vec<u8>) {
    let mut body = Vec::new();
    let list = |which| {
        acl(which)
            .into_iter()
            .map(|acl| crate::proto::acl::AclEntry {
                perms: acl.perms,
                scheme: Some(acl.id.scheme.clone().into()),
                id: Some(acl.id.id.clone().into()),
            })
            .collect::<Vec<_>>()
    };
    let create = |path: &str, data: &[u8], flags: i32, body: &mut Vec<u8>| {
        CreateRequest { path: Some(path.to_owned().into()), data: Some(data), acl: Some(list(0)), flags }.encode(body);
    };
    let op = match wish {
        Wish::Create { path, data, ephemeral } => {
            create(path, data, i32::from(*ephemeral), &mut body);
            OpCode::CREATE
        }
        Wish::Set { path, data, version } => {
            SetDataRequest { path: Some(path.as_str().into()), data: Some(data), version: *version }.encode(&mut body);
            OpCode::SET_DATA
        }
        Wish::Delete { path, version } => {
            PathVersionRequest { path: Some(path.as_str().into()), version: *version }.encode(&mut body);
            OpCode::DELETE
        }
        Wish::SetAcl { path, acl } => {
            SetAclRequest { path: Some(path.as_str().into()), acl: Some(list(*acl)), version: -1 }.encode(&mut body);
            OpCode::SET_ACL
        }
        Wish::Multi { set, data, create: made } => {
            MultiHeader { op: OpCode::SET_DATA.0, done: false, err: -1 }.encode(&mut body);
            SetDataRequest { path: Some(set.as_str().into()), data: Some(data), version: -1 }.encode(&mut body);
            MultiHeader { op: OpCode::CREATE.0, done: false, err: -1 }.encode(&mut body);
            create(made, data, 0, &mut body);
            MultiHeader { op: -1, done: true, err: -1 }.encode(&mut body);
            OpCode::MULTI
        }
        Wish::Reconfigure { members } => {
            let new_members = Some(members.as_str().into());
            ReconfigRequest { joining_servers: None, leaving_servers: None, new_members, cur_config_id: -1 }
                .encode(&mut body);
            OpCode::RECONFIG
        }
        Wish::CloseSession => OpCode::CLOSE_SESSION,
    };
    (op, body)
}

impl Client {
    /// One that has done nothing yet.
    pub fn new(timeout_ms: i32) -> Self {
        Client { timeout_ms, ..Client::default() }
    }
}

impl World {
    /// A client does something.
    pub fn client_acts(&mut self, c: usize) {
        let again = self.now + self.range(1, self.plan.client_pause);
        self.at(again, Event::Client(c));
        let now = self.now;
        if self.clients[c].stopped {
            return;
        }
        if self.clients[c].connected.is_none() {
            return self.connect(c);
        }
        let client = &self.clients[c];
        let oldest = client.asked.front().map_or(now, |asked| asked.at);
        if (!client.ready && now - client.since > 2500) || now - oldest > 2500 {
            return self.leave(c);
        }
        if !client.ready {
            return;
        }
        if self.chance(0.004) {
            // A client that moves keeps its session.
            return self.leave(c);
        }
        if self.clients[c].asked.len() >= 3 || self.clients[c].asked.iter().any(|asked| asked.what != What::Write) {
            return;
        }
        if self.chance(0.25) {
            return self.says(c, ToServer::Ping);
        }
        if self.plan.reconfigures && self.chance(0.03) {
            let wish = self.another_membership();
            return self.writes(c, What::Write, wish);
        }
        let roll = self.range(0, 100);
        let path = format!("/n{}", self.range(0, PATHS));
        self.clients[c].counter += 1;
        let data = Bytes::from(format!("{c}.{}", self.clients[c].counter));
        let idle = self.clients[c].asked.is_empty();
        let wish = match roll {
            0..25 if idle => return self.ask_for(c, What::Read, |xid| ToServer::Read { xid, path: path.clone() }),
            25..32 => return self.ask_for(c, What::Sync, |xid| ToServer::Sync { xid }),
            0..50 => Wish::Set { path, data, version: if roll % 3 == 0 { roll as i32 % 4 } else { -1 } },
            50..66 => Wish::Create { path, data, ephemeral: false },
            66..76 => Wish::Delete { path, version: -1 },
            76..86 => Wish::Create { path: format!("/e{}", self.range(0, PATHS)), data, ephemeral: true },
            86..90 => Wish::Delete { path: format!("/e{}", self.range(0, PATHS)), version: -1 },
            90..93 => Wish::SetAcl { path, acl: self.range(0, 31) as i32 },
            93..98 => Wish::Multi { set: path, data, create: format!("/n{}", self.range(0, PATHS)) },
            _ if roll == 98 && idle => Wish::CloseSession,
            _ => Wish::Set { path, data, version: -1 },
        };
        let what = if wish == Wish::CloseSession { What::Close } else { What::Write };
        self.writes(c, what, wish);
    }

    /// Who votes, drawn anew.
    fn another_membership(&mut self) -> Wish {
        let count = self.nodes.len();
        let mut votes: Vec<bool> = (0..count).map(|_| self.chance(0.6)).collect();
        while votes.iter().filter(|votes| **votes).count() < 2 {
            let n = self.range(0, count as i64) as usize;
            votes[n] = true;
        }
        Wish::Reconfigure { members: members(count, |n| votes[n]) }
    }

    fn writes(&mut self, c: usize, what: What, wish: Wish) {
        let (op, body) = encode(&wish);
        let session = self.clients[c].session;
        let xid = self.clients[c].xid + 1;
        self.check.wishes(session, xid, wish);
        self.ask_for(c, what, |xid| ToServer::Write { xid, op, body });
    }

    fn ask_for(&mut self, c: usize, what: What, message: impl FnOnce(i32) -> ToServer) {
        let told = self.check.told;
        let client = &mut self.clients[c];
        client.xid += 1;
        client.asked.push_back(Asked { xid: client.xid, what, at: self.now, told });
        let message = message(client.xid);
        self.says(c, message);
    }

    fn connect(&mut self, c: usize) {
        let n = self.range(0, self.nodes.len() as i64) as usize;
        self.connections += 1;
        let connection = self.connections;
        let incarnation = self.nodes[n].incarnation;
        let client = &mut self.clients[c];
        client.connected = Some((n, incarnation, connection));
        (client.ready, client.since, client.last_at) = (false, self.now, self.now);
        let (session, last_seen, timeout_ms) = (client.session, client.last_seen, client.timeout_ms);
        self.says(c, ToServer::Connect { session, last_seen, timeout_ms });
    }

    /// The client leaves its connection.
    pub fn leave(&mut self, c: usize) {
        if self.clients[c].connected.is_some() {
            self.says(c, ToServer::Bye);
        }
        let client = &mut self.clients[c];
        client.connected = None;
        client.ready = false;
        client.promised = None;
        client.asked.clear();
    }

    fn says(&mut self, c: usize, message: ToServer) {
        let Some((n, incarnation, connection)) = self.clients[c].connected else { return };
        if self.verbose {
            eprintln!("{:>6} client {c} to server {} by {connection}: {message:?}", self.now, n + 1);
        }
        let at = (self.now + self.range(1, 4)).max(self.clients[c].last_at);
        self.clients[c].last_at = at;
        self.at(at, Event::ToServer { node: n, incarnation, connection, client: c, message: Box::new(message) });
    }

    /// A server tells a client something; returns when it arrives.
    pub fn tell_client_at(&mut self, c: usize, connection: u64, after: i64, message: ToClient) -> i64 {
        let at = (self.now + self.range(1, 4)).max(after);
        self.at(at, Event::ToClient { client: c, connection, message: Box::new(message) });
        at
    }

    pub fn tell_client(&mut self, c: usize, connection: u64, after: i64, message: ToClient) {
        self.tell_client_at(c, connection, after, message);
    }

    /// A client hears something.
    pub fn client_hears(&mut self, c: usize, connection: u64, message: ToClient) {
        let client = &mut self.clients[c];
        if client.connected.is_none_or(|(_, _, of)| of != connection) {
            return;
        }
        if self.verbose {
            eprintln!("{:>6} client {c} hears by {connection}: {message:?}", self.now);
        }
        match message {
            ToClient::Closed => {
                client.connected = None;
                client.ready = false;
                client.promised = None;
                client.asked.clear();
            }
            ToClient::Opened { session } => {
                client.ready = true;
                client.session = session;
            }
            ToClient::Expired { session } => {
                if client.session == session {
                    (client.session, client.xid, client.last_seen) = (0, 0, Zxid::ZERO);
                }
                client.connected = None;
                self.expired += 1;
            }
            ToClient::Done { xid, zxid, error, sync } => {
                let Some(asked) = client.asked.pop_front() else { return };
                if asked.xid != xid {
                    return self.check.fail(format!("ORDER-2: client {c} waits for {} and hears of {xid}", asked.xid));
                }
                if zxid < client.last_seen {
                    let last = client.last_seen;
                    return self.check.fail(format!("D14: client {c} hears of {zxid} after {last}"));
                }
                client.last_seen = zxid;
                client.done += 1;
                if let Some(epoch) = sync {
                    // As in the original, a leader that does not know yet that it was replaced answers, too.
                    match self.check.newest_epoch() == epoch {
                        true => client.promised = Some(asked.told),
                        false => self.stale_syncs += 1,
                    }
                    return;
                }
                let session = client.session;
                if asked.what == What::Close && error == 0 {
                    (client.session, client.xid, client.last_seen) = (0, 0, Zxid::ZERO);
                    client.connected = None;
                    client.ready = false;
                }
                self.check.acknowledged(session, xid, zxid, asked.told);
            }
            ToClient::Value { xid, zxid, path, found } => {
                let Some(asked) = client.asked.pop_front() else { return };
                if asked.xid != xid {
                    return self.check.fail(format!("ORDER-2: client {c} waits for {} and reads {xid}", asked.xid));
                }
                let promised = client.promised.take();
                let at_least = promised.unwrap_or_default().max(client.last_seen);
                client.last_seen = client.last_seen.max(zxid);
                client.done += 1;
                self.check.read(&path, found.as_ref(), zxid, at_least, promised.is_some());
            }
        }
    }
}
