//! What a server does for clients: as leader it prepares and proposes, as learner it forwards; replies go out when the
//! transaction is applied.

use super::clients::{ToClient, ToServer};
use super::process::{Connection, Death, Process, Role, Write};
use super::world::World;
use crate::engine::{ConnectionKey, Prepared, Request, Standing};
use crate::jute::{Encode, Reader};
use crate::mutant::{self, Mutant};
use crate::proto::acl::Id;
use crate::proto::session::{self, SessionId};
use crate::proto::{ErrorCode, JUTE_MAX_BUFFER, OpCode, Zxid};
use crate::zab::{LEADER, LinkId, Packet, kind};
use bytes::Bytes;

fn key(connection: u64) -> ConnectionKey {
    ConnectionKey { reactor: 0, number: connection }
}

impl World {
    /// As leader: a request becomes a transaction.
    #[allow(clippy::too_many_arguments)]
    pub fn submit(
        &mut self,
        n: usize,
        p: &mut Process,
        session: SessionId,
        xid: i32,
        op: OpCode,
        body: &[u8],
        link: LinkId,
        connection: Option<u64>,
    ) -> Result<(), Death> {
        if !p.serving {
            return Ok(());
        }
        if op == OpCode::RECONFIG {
            p.engine.configurations = self.configurations(p);
        }
        let administrator = [Id::new("super", "")];
        let request = Request {
            session,
            xid,
            op,
            body,
            identities: if op == OpCode::RECONFIG { &administrator } else { &[] },
            time_ms: super::world::EPOCH_MS + self.now + self.nodes[n].wall_ms,
            field_max: JUTE_MAX_BUFFER,
        };
        let moved = op != OpCode::CLOSE_SESSION && !p.engine.sessions.own(session, link);
        let mut record = Vec::new();
        let zxid = match moved {
            true => p.engine.refuse(&request, ErrorCode::SESSION_MOVED, &mut record),
            false => match p.engine.prepare(&p.tree, &request, &mut record) {
                Prepared::Logged(zxid) => zxid,
                Prepared::Undecodable => p.engine.refuse(&request, ErrorCode::MARSHALLING_ERROR, &mut record),
            },
        };
        let record = Bytes::from(record);
        let now = self.clock(n);
        self.check.proposes(zxid, &record);
        self.model(super::model::Step::Propose { node: n, epoch: p.epoch, zxid });
        let reconfiguration = self.reconfiguration(n, p, zxid)?;
        let Role::Leading(leader) = &mut p.role else { return Ok(()) };
        let mut out = Vec::new();
        leader.propose(zxid, record.clone(), reconfiguration, now, &mut out);
        p.outputs.extend(out);
        p.to_log.push((zxid, record.clone()));
        p.unapplied.push_back(Write { zxid, record, op, xid, session, connection, sync: false });
        Ok(())
    }

    /// A client's message.
    pub fn client_says(
        &mut self,
        n: usize,
        p: &mut Process,
        connection: u64,
        client: usize,
        message: ToServer,
    ) -> Result<(), Death> {
        if !p.serving {
            self.tell_client(client, connection, 0, ToClient::Closed);
            return Ok(());
        }
        let now = self.clock(n);
        let leads = matches!(p.role, Role::Leading(_));
        if let Some(of) = p.connections.get(&connection)
            && of.session != 0
        {
            p.engine.sessions.touch(of.session, now);
        }
        match message {
            ToServer::Connect { session, last_seen, timeout_ms } => {
                // MONOTONE: a server behind the client refuses it.
                if p.tree.zxid() < last_seen {
                    self.tell_client(client, connection, 0, ToClient::Closed);
                    return Ok(());
                }
                p.connections.insert(connection, Connection { client, session, last_at: 0 });
                if session == 0 {
                    let session = p.engine.sessions.next_id();
                    p.engine.sessions.track(session, timeout_ms, now);
                    p.engine.sessions.bind(session, key(connection));
                    self.ask(n, p, session, 0, OpCode::CREATE_SESSION, &timeout_ms.to_bytes(), connection)?;
                } else if leads {
                    let password = session::password(session);
                    let attached = p.engine.sessions.attach(session, Some(&password), timeout_ms, key(connection), now);
                    if attached.is_some() {
                        p.engine.sessions.set_owner(session, 0);
                    }
                    self.opened(p, connection, session, attached.is_some());
                } else {
                    let mut data = session.to_bytes();
                    timeout_ms.encode(&mut data);
                    self.tell_leader(n, p, Packet::with(kind::REVALIDATE, Zxid(-1), data));
                    p.resuming.push_back((session, connection, timeout_ms));
                }
            }
            ToServer::Write { xid, op, body } => {
                let Some(session) = p.connections.get(&connection).map(|of| of.session) else { return Ok(()) };
                self.ask(n, p, session, xid, op, &body, connection)?;
            }
            ToServer::Sync { xid } => {
                let Some(of) = p.connections.get(&connection) else { return Ok(()) };
                let session = of.session;
                if leads {
                    let zxid = p.engine.zxid();
                    let write = Write {
                        zxid,
                        record: Bytes::new(),
                        op: OpCode::SYNC,
                        xid,
                        session,
                        connection: Some(connection),
                        sync: true,
                    };
                    if mutant::is(Mutant::SyncAnsweredAtOnce) || p.unapplied.is_empty() {
                        self.answer(n, p, &write, None);
                    } else {
                        p.unapplied.push_back(write);
                    }
                } else {
                    p.syncs.push_back((xid, connection, session));
                    let mut data = session.to_bytes();
                    xid.encode(&mut data);
                    OpCode::SYNC.0.encode(&mut data);
                    data.extend_from_slice(&[0, 0, 0, 1, b'/']);
                    self.tell_leader(n, p, Packet::with(kind::REQUEST, Zxid(-1), data));
                }
            }
            ToServer::Read { xid, path } => {
                let found = p.tree.get(&path).map(|node| Bytes::copy_from_slice(node.data().unwrap_or_default()));
                // A copy shows parts of transactions that have not come yet; clients are not served before they have.
                let (zxid, fuzzy) = (p.tree.zxid(), self.nodes[n].fuzzy_until);
                if zxid < fuzzy && self.nodes[n].ghost.last().is_none_or(|(last, _)| *last < fuzzy) {
                    self.check
                        .fail(format!("ATOMIC: server {} serves a copy at {zxid} that is whole at {fuzzy}", n + 1));
                }
                self.reply(p, connection, ToClient::Value { xid, zxid, path, found });
            }
            ToServer::Ping => {}
            ToServer::Bye => {
                if let Some(of) = p.connections.remove(&connection) {
                    p.engine.sessions.unbind(of.session, key(connection));
                }
            }
        }
        Ok(())
    }

    /// A write of an own client: to the machine, or to the leader.
    #[allow(clippy::too_many_arguments)]
    fn ask(
        &mut self,
        n: usize,
        p: &mut Process,
        session: i64,
        xid: i32,
        op: OpCode,
        body: &[u8],
        connection: u64,
    ) -> Result<(), Death> {
        if matches!(p.role, Role::Leading(_)) {
            return self.submit(n, p, session, xid, op, body, 0, Some(connection));
        }
        let mut data = session.to_bytes();
        xid.encode(&mut data);
        op.0.encode(&mut data);
        data.extend_from_slice(body);
        p.waiting.entry(session).or_default().push_back((xid, op, connection));
        self.tell_leader(n, p, Packet::with(kind::REQUEST, Zxid(-1), data));
        Ok(())
    }

    fn tell_leader(&mut self, n: usize, p: &Process, packet: Packet) {
        if let Some(wire) = p.wires.get(&LEADER).copied() {
            self.transmit(wire, n, super::network::Message::Packet(packet.encode()));
        }
    }

    fn reply(&mut self, p: &mut Process, connection: u64, message: ToClient) {
        if let Some(of) = p.connections.get_mut(&connection) {
            let (client, last_at) = (of.client, of.last_at);
            of.last_at = self.tell_client_at(client, connection, last_at, message);
        }
    }

    /// The session of a connection is there, or is refused.
    fn opened(&mut self, p: &mut Process, connection: u64, session: i64, good: bool) {
        if let Some(of) = p.connections.get_mut(&connection) {
            of.session = if good { session } else { 0 };
        }
        let message = if good { ToClient::Opened { session } } else { ToClient::Expired { session } };
        self.reply(p, connection, message);
        if !good {
            p.connections.remove(&connection);
        }
    }

    /// A transaction was applied, or a sync has had its turn: its client is told. Returns the connection that asked for it.
    pub fn answer(&mut self, _n: usize, p: &mut Process, write: &Write, error: Option<i32>) -> Option<u64> {
        let mut connection = write.connection;
        if error.is_some()
            && connection.is_none()
            && let Some(queue) = p.waiting.get_mut(&write.session)
        {
            let is_its = queue
                .front()
                .is_some_and(|(xid, op, _)| *xid == write.xid && (*op == write.op || write.op == OpCode::ERROR));
            if is_its {
                connection = queue.pop_front().map(|(_, _, connection)| connection);
            }
            if queue.is_empty() || write.op == OpCode::CLOSE_SESSION {
                p.waiting.remove(&write.session);
            }
        }
        let asked_by = connection?;
        if write.op == OpCode::CREATE_SESSION && error == Some(0) {
            self.opened(p, asked_by, write.session, true);
            return connection;
        }
        let zxid = if write.sync { p.tree.zxid() } else { write.zxid };
        self.reply(
            p,
            asked_by,
            ToClient::Done { xid: write.xid, zxid, error: error.unwrap_or(0), sync: write.sync.then_some(p.epoch) },
        );
        connection
    }

    /// As learner: the oldest sync is answered, in its turn behind what is committed.
    pub fn synced(&mut self, n: usize, p: &mut Process) {
        let Role::Learning(learner) = &p.role else { return };
        let (committed, applied) = (learner.committed(), learner.history().applied());
        let Some((xid, connection, session)) = p.syncs.pop_front() else { return };
        let write = Write {
            zxid: committed,
            record: Bytes::new(),
            op: OpCode::SYNC,
            xid,
            session,
            connection: Some(connection),
            sync: true,
        };
        let at = p.unapplied.iter().position(|write| write.zxid > committed).unwrap_or(p.unapplied.len());
        p.unapplied.insert(at, write);
        self.apply(n, p, applied);
    }

    /// As learner: whether a session lives.
    pub fn revalidated(&mut self, n: usize, p: &mut Process, data: &[u8]) {
        let mut reader = Reader::unlimited(data);
        let (Ok(session), Ok(valid)) = (reader.long(), reader.bool()) else { return };
        let Some(at) = p.resuming.iter().position(|(id, _, _)| *id == session) else { return };
        let Some((_, connection, timeout_ms)) = p.resuming.remove(at) else { return };
        let now = self.clock(n);
        let sessions = &mut p.engine.sessions;
        let attached = valid && {
            if sessions.standing(session) == Standing::Unknown {
                sessions.track(session, timeout_ms, now);
            }
            sessions.attach(session, Some(&session::password(session)), timeout_ms, key(connection), now).is_some()
        };
        self.opened(p, connection, session, attached);
    }
}
