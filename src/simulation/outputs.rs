//! Carries out what the machines put out, one by one and in order, as the server's shell does; between any two of them the
//! process may die.

use super::check::empty_tree;
use super::network::{CopyEnd, Message};
use super::process::{
    Death, Input, Process, Role, Stream, Write, begin_snapshot, finish_snapshot, load, step_snapshot, write_snapshot,
};
use super::world::{Event, Fault, World};
use crate::engine::Replay;
use crate::jute::{Encode, Reader};
use crate::membership::parse;
use crate::mutant::{self, Mutant};
use crate::proto::txn::TxnRecord;
use crate::proto::{OpCode, Zxid};
use crate::quorum::{self, PeerState};
use crate::store::{self, LogReader, ReadOptions, STREAM_END, StoreError, encode_node};
use crate::zab::{History, LEADER, Leader, Learner, LinkId, Output, Packet, Plan, follows, kind};
use bytes::{Bytes, BytesMut};

impl World {
    /// Runs a process until it waits for something.
    pub fn pump(&mut self, n: usize) {
        let Some(mut p) = self.nodes[n].process.take() else { return };
        match self.work(n, &mut p) {
            Ok(()) if !self.nodes[n].disk.is_dead() => self.nodes[n].process = Some(p),
            Ok(()) => self.died(n, p, Death::Power),
            Err(death) => self.died(n, p, death),
        }
    }

    fn work(&mut self, n: usize, p: &mut Process) -> Result<(), Death> {
        while self.check.violation.is_none() {
            if self.now < p.blocked_until {
                break;
            }
            if let Some(output) = p.outputs.pop_front() {
                if let Some((left, death)) = &mut self.nodes[n].dies_in {
                    if *left == 0 {
                        let death = *death;
                        self.nodes[n].dies_in = None;
                        self.count(Fault::DiesBetweenOutputs);
                        return Err(death);
                    }
                    *left -= 1;
                }
                self.carry(n, p, output)?;
            } else if let Some(input) = p.inbox.pop_front() {
                self.input(n, p, input)?;
            } else {
                break;
            }
            if self.nodes[n].disk.is_dead() {
                return Err(Death::Power);
            }
        }
        self.try_to_look(n, p)?;
        self.kick_log(n, p);
        if p.blocked_until > self.now {
            let incarnation = self.nodes[n].incarnation;
            self.at(p.blocked_until, Event::Pump(n, incarnation));
        }
        Ok(())
    }

    /// The process has ended: connections break, and it starts again some time later.
    pub fn died(&mut self, n: usize, mut p: Box<Process>, death: Death) {
        let death = if self.nodes[n].disk.is_dead() { Death::Power } else { death };
        self.note(
            n,
            match death {
                Death::Kill => "killed",
                Death::Power => "power",
                Death::Exit => "exits",
            },
            0,
            0,
        );
        self.count(match death {
            Death::Kill => Fault::Kill,
            Death::Power => Fault::PowerCut,
            Death::Exit => Fault::DiskFailure,
        });
        self.nodes[n].dies_in = None;
        match death {
            Death::Power => self.nodes[n].disk.power_cut(),
            Death::Kill | Death::Exit => self.nodes[n].disk.orphan_files(),
        }
        // A machine without power says no good-bye.
        let silent = death == Death::Power && self.chance(0.5);
        for wire in std::mem::take(&mut p.wires).into_values() {
            match silent {
                true => self.abandon(wire, n),
                false => self.hang_up(wire, n),
            }
        }
        for (connection, of) in std::mem::take(&mut p.connections) {
            self.tell_client(of.client, connection, of.last_at, super::clients::ToClient::Closed);
        }
        drop(p);
        self.nodes[n].mail.clear();
        let at = self.now + if self.chance(0.3) { self.range(1000, 4000) } else { self.range(20, 600) };
        self.at(at, Event::Boot(n));
    }

    fn input(&mut self, n: usize, p: &mut Process, input: Input) -> Result<(), Death> {
        let now = self.clock(n);
        let mut out = Vec::new();
        match input {
            Input::Tick => {
                let mut elected = Vec::new();
                p.election.tick(now, &mut elected);
                self.elections(n, p, elected);
                match &mut p.role {
                    Role::Leading(leader) => leader.tick(now, &mut out),
                    Role::Learning(learner) => learner.tick(now, &mut out),
                    _ => {}
                }
                p.outputs.extend(out);
                if p.copy.is_some() && now - p.copied_ms > self.plan.times.init_ms {
                    self.stand_down(n, p, "the copy does not go on");
                }
                if p.serving && matches!(p.role, Role::Leading(_)) {
                    for session in p.engine.sessions.expire(now) {
                        self.expiries += 1;
                        self.submit(n, p, session, 0, OpCode::CLOSE_SESSION, &[], 0, None)?;
                    }
                }
            }
            Input::Notification(from, notification) => {
                let mut elected = Vec::new();
                p.election.receive(from as i64 + 1, &notification, now, &mut elected);
                self.elections(n, p, elected);
            }
            Input::Connected(wire) => {
                let Role::Dialing { .. } = p.role else {
                    self.hang_up(wire, n);
                    return Ok(());
                };
                let Role::Dialing { history, .. } =
                    std::mem::replace(&mut p.role, Role::Looking(History::new(Zxid::ZERO, 0)))
                else {
                    unreachable!("looked at above")
                };
                p.wires.insert(LEADER, wire);
                let (observer, version) = (p.membership.observes(), p.membership.active().version);
                let mut learner =
                    Learner::new(n as i64 + 1, observer, version, history, p.epochs, self.plan.times, now, &mut out);
                if std::mem::take(&mut p.wants_copy) {
                    learner.want_copy();
                }
                p.role = Role::Learning(Box::new(learner));
                p.outputs.extend(out);
            }
            Input::Newer(next) => self.take_up(n, p, *next)?,
            Input::Chance(leader) => {
                if matches!(p.role, Role::Looking(_)) && !self.is_calm() {
                    self.count(Fault::FalseElection);
                    self.note(n, "decided by chance", leader as i64 + 1, 0);
                    p.election.hand_over(leader as i64 + 1);
                    self.decided(n, p, leader == n, leader);
                }
            }
            Input::Refused => {
                if let Role::Dialing { leader, tries, .. } = &mut p.role {
                    *tries += 1;
                    let (leader, tries) = (*leader, *tries);
                    if tries >= 5 {
                        self.stand_down(n, p, "the leader cannot be reached");
                    } else {
                        let incarnation = self.nodes[n].incarnation;
                        self.at(self.now + 100, Event::Dial { from: n, incarnation, to: leader });
                    }
                }
            }
            Input::Opened(link) => {
                if let Role::Leading(leader) = &mut p.role {
                    leader.opened(link, now);
                }
            }
            Input::Packet(link, packet) => match &mut p.role {
                Role::Leading(leader) if p.wires.contains_key(&link) => {
                    if packet.kind == kind::FOLLOWERINFO && leader.epoch().is_none() {
                        p.heard_epoch = p.heard_epoch.max(packet.zxid.0 >> 32);
                    }
                    leader.receive(link, packet, now, &mut out);
                    p.outputs.extend(out);
                }
                Role::Learning(learner) if p.wires.contains_key(&link) => {
                    match packet.kind {
                        kind::LEADERINFO => p.told_epoch = packet.zxid.0 >> 32,
                        kind::NEWLEADER => p.in_sync_stream = false,
                        kind::COMMIT | kind::INFORM | kind::TRUNC | kind::SNAP if p.in_sync_stream => {
                            p.told_history = packet.zxid;
                        }
                        _ => {}
                    }
                    let received = learner.receive(packet, now, &mut out);
                    p.outputs.extend(out);
                    if let Err(violation) = received {
                        // An old leader is possible; that a leader says what cannot be is a bug.
                        if !violation.0.contains("is older than") {
                            self.check.fail(format!("C2/C3: server {} hears: {violation}", n + 1));
                        }
                        self.stand_down(n, p, &violation.0);
                    }
                }
                _ => {}
            },
            Input::Copy(bytes, end) => self.receive_copy(n, p, &bytes, end)?,
            Input::Closed(link) => {
                if p.wires.remove(&link).is_some() {
                    match &mut p.role {
                        Role::Leading(leader) => {
                            leader.closed(link);
                            p.streams.remove(&link);
                        }
                        Role::Learning(_) => self.stand_down(n, p, "the connection to the leader is gone"),
                        _ => {}
                    }
                }
            }
            Input::Bring(link, peer) => self.bring_up_to_date(n, p, link, peer)?,
            Input::Stream(link) => self.stream(n, p, link),
            Input::LogWrite => self.write_log(n, p)?,
            Input::LogDone(zxid) => {
                p.log_busy = false;
                match &mut p.role {
                    Role::Leading(leader) => leader.logged(zxid, &mut out),
                    Role::Learning(learner) => learner.logged(zxid, now, &mut out),
                    Role::StandingDown(history) | Role::Looking(history) | Role::Dialing { history, .. } => {
                        history.synced(zxid.min(history.last()));
                    }
                }
                p.outputs.extend(out);
            }
            Input::Snapshot => {
                if p.job.is_none() && !p.log_busy {
                    let (disk, dirs) = (self.nodes[n].disk.clone(), self.nodes[n].dirs.clone());
                    if p.log.roll().is_err() {
                        return Err(Death::Exit);
                    }
                    p.job = begin_snapshot(&disk, &dirs, &p.tree).ok();
                    self.snapshot_later(n, p);
                } else {
                    p.wants_roll = true;
                }
            }
            Input::SnapshotStep => {
                let Some(mut job) = p.job.take() else { return Ok(()) };
                let count = self.range(1, 6) as usize;
                match step_snapshot(&mut job, &p.tree, count) {
                    Ok(false) => {
                        p.job = Some(job);
                        self.snapshot_later(n, p);
                    }
                    Ok(true) => self.finish_job(n, p, job),
                    // The logs still hold everything.
                    Err(_) => {}
                }
            }
            Input::Client { connection, client, message } => {
                self.client_says(n, p, connection, client, message)?;
            }
        }
        Ok(())
    }

    fn finish_job(&mut self, n: usize, p: &mut Process, job: super::process::Job) {
        let (disk, dirs) = (self.nodes[n].disk.clone(), self.nodes[n].dirs.clone());
        if finish_snapshot(&disk, &dirs, job, &p.tree).is_ok() {
            self.snapshots += 1;
            if self.chance(0.3) {
                let _ = store::purge(&disk, &dirs, 3);
            }
        }
    }

    fn snapshot_later(&mut self, n: usize, p: &Process) {
        if p.job.is_some() {
            let incarnation = self.nodes[n].incarnation;
            let at = self.now + self.range(1, 40);
            self.at(at, Event::Input(n, incarnation, Box::new(Input::SnapshotStep)));
        }
    }

    /// What an election puts out.
    pub fn elections(&mut self, n: usize, p: &mut Process, out: Vec<quorum::Output>) {
        for output in out {
            match output {
                quorum::Output::Send(to, notification) => self.send_vote(n, to as usize - 1, notification),
                quorum::Output::Newer(_, next) => p.inbox.push_back(Input::Newer(next)),
                quorum::Output::Differs(..) | quorum::Output::Deserted(_) => {}
                quorum::Output::Decided(state, vote) => {
                    self.note(n, "decided", vote.leader, vote.zxid.0);
                    self.decided(n, p, state == PeerState::Leading, vote.leader as usize - 1);
                }
            }
        }
    }

    /// The election is over, or chance says so.
    pub fn decided(&mut self, n: usize, p: &mut Process, leads: bool, leader: usize) {
        let Role::Looking(_) = p.role else { return };
        let Role::Looking(history) = std::mem::replace(&mut p.role, Role::Looking(History::new(Zxid::ZERO, 0))) else {
            unreachable!("looked at above")
        };
        p.term += 1;
        (p.leader, p.heard_epoch) = (leader, 0);
        (p.told_epoch, p.told_history, p.in_sync_stream) = (0, Zxid::ZERO, true);
        if leads {
            let (now, mut out) = (self.clock(n), Vec::new());
            let ((active, pending), times) = (p.membership.term(), self.plan.times);
            let leader = Leader::new(n as i64 + 1, active, pending, history, p.epochs, times, now, &mut out);
            p.role = Role::Leading(Box::new(leader));
            p.outputs.extend(out);
        } else {
            p.role = Role::Dialing { history, leader, tries: 0 };
            let incarnation = self.nodes[n].incarnation;
            let at = self.now + self.range(1, 5);
            self.at(at, Event::Dial { from: n, incarnation, to: leader });
        }
    }

    fn carry(&mut self, n: usize, p: &mut Process, output: Output) -> Result<(), Death> {
        match output {
            Output::Send { link, packet } => {
                if let Some(stream) = p.streams.get_mut(&link) {
                    stream.held.push(packet);
                } else {
                    self.send(n, p, link, packet);
                }
            }
            Output::Close { link, why } => {
                if self.verbose {
                    self.say(n, &format!("closes link {link}: {why}"));
                }
                // C4, C5: no member of this house ever says what cannot be.
                if why.starts_with("an ACK") || why.starts_with("packet") {
                    self.check.fail(format!("C4/C5: server {} closes a link: {why}", n + 1));
                }
                p.streams.remove(&link);
                if let Some(wire) = p.wires.remove(&link) {
                    self.hang_up(wire, n);
                }
            }
            Output::WriteEpoch(which, epoch) => self.write_epoch(n, p, which, epoch)?,
            Output::Append { zxid, record } => {
                let header = TxnRecord::decode(&record).expect("the machine has read it").header;
                p.to_log.push((zxid, record.clone()));
                let (op, xid, session) = (OpCode(header.op), header.cxid, header.client_id);
                p.unapplied.push_back(Write { zxid, record, op, xid, session, connection: None, sync: false });
            }
            Output::Flush => {}
            Output::Apply(zxid) => self.apply(n, p, zxid),
            Output::Join { link, peer, .. } => {
                let incarnation = self.nodes[n].incarnation;
                let at = self.now + self.range(0, 20);
                self.at(at, Event::Input(n, incarnation, Box::new(Input::Bring(link, peer))));
            }
            Output::Truncate(zxid) => self.truncate(n, p, zxid)?,
            Output::Install(zxid) => {
                p.copy = Some((zxid, Vec::new()));
                p.copied_ms = self.clock(n);
            }
            Output::Serve { epoch } => self.serve(n, p, epoch),
            Output::Request { link, data, .. } => {
                let mut reader = Reader::unlimited(&data);
                let (Ok(session), Ok(xid), Ok(op)) = (reader.long(), reader.int(), reader.int()) else { return Ok(()) };
                let (op, body) = (OpCode(op), reader.rest());
                if op == OpCode::CREATE_SESSION {
                    let (timeout_ms, now) = (Reader::unlimited(body).int().unwrap_or(1000), self.clock(n));
                    p.engine.sessions.track(session, timeout_ms, now);
                    p.engine.sessions.set_owner(session, link);
                }
                self.submit(n, p, session, xid, op, body, link, None)?;
            }
            Output::Revalidate { link, data } => {
                let session = Reader::unlimited(&data).long().unwrap_or(0);
                let alive = p.engine.sessions.touch(session, self.clock(n));
                if alive {
                    p.engine.sessions.set_owner(session, link);
                }
                let mut answer = session.to_bytes();
                alive.encode(&mut answer);
                self.send(n, p, link, Packet::with(kind::REVALIDATE, Zxid(-1), answer).encode());
            }
            Output::Touched(data) => {
                let now = self.clock(n);
                for pair in data.chunks_exact(12) {
                    if let Ok(session) = Reader::unlimited(pair).long() {
                        p.engine.sessions.touch(session, now);
                    }
                }
            }
            Output::Pong(zxid) => {
                let since_ms = std::mem::replace(&mut p.touched_ms, self.clock(n));
                let mut heard = p.engine.sessions.heard_since(since_ms);
                heard.sort_unstable();
                let mut data = Vec::new();
                for (session, timeout_ms) in heard {
                    session.encode(&mut data);
                    timeout_ms.encode(&mut data);
                }
                self.send(n, p, LEADER, Packet::with(kind::PING, zxid, data).encode());
            }
            Output::Synced => self.synced(n, p),
            Output::SyncOf(_) => unreachable!("observers learn from the leader here"),
            Output::Revalidated(data) => self.revalidated(n, p, &data),
            Output::Seen(text) => {
                let next = parse(&text).expect("a leader has judged it");
                self.proposed(n, p, next)?;
            }
            Output::Activate { text: Some(text), leader } => {
                let next = parse(&text).expect("a leader has judged it");
                self.activated(n, p, next, leader)?;
            }
            Output::Activate { text: None, .. } => {}
            Output::End(why) => self.stand_down(n, p, &why),
        }
        Ok(())
    }

    /// A packet leaves; what it promises must be on disk (D2 to D4).
    fn send(&mut self, n: usize, p: &Process, link: LinkId, packet: Bytes) {
        let Some(wire) = p.wires.get(&link).copied() else { return };
        let what = i32::from_be_bytes([packet[0], packet[1], packet[2], packet[3]]);
        let node = &self.nodes[n];
        let zxid = Zxid(i64::from_be_bytes(packet[4..12].try_into().expect("a packet has 20 bytes at least")));
        let broken = match (what, &p.role) {
            (kind::ACK, Role::Learning(_)) if zxid.counter() == 0 => {
                // The same leaves once more at UPTODATE, when newer proposals may be on their way to the log.
                let history = p.told_history;
                (node.current != zxid.0 >> 32 || history.counter() != 0 && history > node.durable).then(|| {
                    let (current, durable) = (node.current, node.durable);
                    format!("D3: ACK of NEWLEADER {zxid} with epoch {current} and {durable} of {history} on disk")
                })
            }
            (kind::ACK, _) => (zxid > node.durable).then(|| format!("D2: ACK of {zxid}, on disk is {}", node.durable)),
            (kind::ACKEPOCH, _) => {
                (node.accepted != p.told_epoch).then(|| format!("D4: accepted is {}", node.accepted))
            }
            (kind::LEADERINFO, _) if zxid.0 >> 32 <= p.heard_epoch => {
                Some(format!("I1: LEADERINFO of {zxid} to one that has accepted {}", p.heard_epoch))
            }
            (kind::LEADERINFO, _) => {
                (node.accepted != zxid.0 >> 32).then(|| format!("D4: LEADERINFO of {zxid}, on disk {}", node.accepted))
            }
            _ => None,
        };
        if let Some(why) = broken
            && self.promises_checked
        {
            self.check.fail(format!("server {}: {why}", n + 1));
        }
        self.transmit(wire, n, Message::Packet(packet));
    }

    /// Clients are served from here on.
    fn serve(&mut self, n: usize, p: &mut Process, epoch: i64) {
        p.epoch = epoch;
        p.serving = true;
        p.election.set_epoch(epoch);
        let leads = matches!(p.role, Role::Leading(_));
        self.note(n, if leads { "leads" } else { "follows" }, epoch, p.tree.zxid().0);
        let ghost = std::mem::take(&mut self.nodes[n].ghost);
        if leads {
            self.terms += 1;
            let incarnation = self.nodes[n].incarnation;
            self.model(super::model::Step::Established {
                node: n,
                epoch,
                history: ghost.iter().map(|(zxid, _)| *zxid).collect(),
            });
            self.check.established(epoch, n, incarnation << 16 | p.term, &ghost);
            p.tree.set_zxid(Zxid(epoch << 32));
        } else {
            self.model(super::model::Step::Joined {
                node: n,
                epoch,
                history: ghost.iter().map(|(zxid, _)| *zxid).collect(),
            });
            for (at, (zxid, record)) in ghost.iter().enumerate() {
                self.check.commit(at, *zxid, record, n, Some(epoch));
            }
        }
        let count = ghost.len();
        self.nodes[n].ghost = ghost;
        if self.nodes[n].ghost.last().is_none_or(|(zxid, _)| *zxid >= self.nodes[n].fuzzy_until) {
            self.check.digest(n, count, p.tree.digest());
        }
        p.engine = self.fresh_engine(n, &p.tree);
        p.touched_ms = self.clock(n);
        let orphans = super::check::orphans(&p.tree);
        if !orphans.is_empty() && self.nodes[n].ghost.last().is_none_or(|(zxid, _)| *zxid >= self.nodes[n].fuzzy_until)
        {
            self.check.fail(format!("D13: server {} has ephemerals of {orphans:x?}, which live no more", n + 1));
        }
    }

    /// Takes back what never became history, and reads the files anew.
    fn truncate(&mut self, n: usize, p: &mut Process, zxid: Zxid) -> Result<(), Death> {
        self.truncations += 1;
        self.note(n, "truncates", zxid.0, 0);
        self.cut_files(n, p, zxid)?;
        if !matches!(p.role, Role::Learning(_)) {
            return Ok(());
        }
        let (disk, dirs) = (self.nodes[n].disk.clone(), self.nodes[n].dirs.clone());
        let loaded = load(&disk, &dirs).map_err(|_| if disk.is_dead() { Death::Power } else { Death::Exit })?;
        if loaded.last != zxid {
            self.check.fail(format!("D10: the files of server {} end at {} after a cut at {zxid}", n + 1, loaded.last));
            return Err(Death::Exit);
        }
        let node = &mut self.nodes[n];
        node.ghost.retain(|(zxid, _)| *zxid <= loaded.base);
        node.ghost.extend(loaded.records);
        node.fuzzy_until = node.fuzzy_until.min(zxid);
        if !mutant::is(Mutant::UncommittedTreeKept) {
            p.tree = loaded.tree;
            self.put_configuration(n, p);
        }
        self.replaced(n, p, zxid);
        Ok(())
    }

    /// A snapshot that is being written is of the tree before.
    fn wait_for_snapshot(&mut self, n: usize, p: &mut Process) {
        if let Some(mut job) = p.job.take()
            && step_snapshot(&mut job, &p.tree, usize::MAX).is_ok()
        {
            self.finish_job(n, p, job);
        }
    }

    /// Cuts the files behind `zxid`.
    fn cut_files(&mut self, n: usize, p: &mut Process, zxid: Zxid) -> Result<(), Death> {
        let (disk, dirs) = (self.nodes[n].disk.clone(), self.nodes[n].dirs.clone());
        self.wait_for_snapshot(n, p);
        if p.log.roll().is_err() {
            return Err(Death::Exit);
        }
        // What was durable may be gone from here on, also if the cut is not finished.
        let durable = self.nodes[n].durable;
        self.nodes[n].durable = durable.min(zxid);
        match store::truncate(&disk, &dirs, zxid, ReadOptions::default()) {
            Ok(_) => Ok(()),
            Err(_) if disk.is_dead() => Err(Death::Power),
            Err(StoreError::CannotTruncate { why, .. }) => {
                self.nodes[n].durable = durable;
                self.stuck += 1;
                (p.wants_copy, p.learn_again) = (true, Some(p.leader));
                self.note(n, "cannot truncate", zxid.0, 0);
                self.stand_down(n, p, &why);
                Ok(())
            }
            Err(_) => Err(Death::Exit),
        }
    }

    fn replaced(&mut self, n: usize, p: &mut Process, zxid: Zxid) {
        p.unapplied.clear();
        p.engine = self.fresh_engine(n, &p.tree);
        self.nodes[n].durable = zxid;
        let now = self.clock(n);
        if let Role::Learning(learner) = &mut p.role {
            learner.installed(zxid, now);
        }
    }

    /// Takes everything from the leader.
    fn receive_copy(&mut self, n: usize, p: &mut Process, bytes: &[u8], end: Option<CopyEnd>) -> Result<(), Death> {
        let Some((zxid, buffer)) = &mut p.copy else { return Ok(()) };
        buffer.extend_from_slice(bytes);
        p.copied_ms = self.nodes[n].jump_ms + self.now;
        let Some(end) = end else { return Ok(()) };
        let zxid = *zxid;
        let mut replay = Replay::new(empty_tree());
        if let Err(bad) = store::read_stream(&buffer[..], zxid, &mut replay) {
            self.check.fail(format!("server {} cannot read a copy: {bad}", n + 1));
            return Ok(());
        }
        p.copy = None;
        self.copies += 1;
        self.note(n, "installs", zxid.0, end.fuzzy_until.0);
        self.wait_for_snapshot(n, p);
        if p.log.roll().is_err() {
            return Err(Death::Exit);
        }
        if !matches!(p.role, Role::Learning(_)) {
            return Ok(());
        }
        let mut tree = replay.tree;
        tree.restore_done();
        tree.set_zxid(zxid);
        p.tree = tree;
        self.put_configuration(n, p);
        let (disk, dirs) = (self.nodes[n].disk.clone(), self.nodes[n].dirs.clone());
        let mut end = end;
        end.history.retain(|(at, _)| *at <= zxid);
        self.nodes[n].installing = Some((zxid, end));
        // From here on the copy may be what a start finds, or what was there before.
        if write_snapshot(&disk, &dirs, &p.tree).is_err() {
            return Err(if disk.is_dead() { Death::Power } else { Death::Exit });
        }
        self.nodes[n].durable = self.nodes[n].durable.min(zxid);
        if store::supersede(&disk, &dirs, zxid).is_err() {
            return Err(if disk.is_dead() { Death::Power } else { Death::Exit });
        }
        let (_, end) = self.nodes[n].installing.take().expect("just set");
        self.nodes[n].fuzzy_until = end.fuzzy_until;
        self.nodes[n].ghost = end.history;
        self.replaced(n, p, zxid);
        Ok(())
    }

    /// As leader: says how a learner gets in step, and sends what does not come from memory.
    fn bring_up_to_date(&mut self, n: usize, p: &mut Process, link: LinkId, peer: Zxid) -> Result<(), Death> {
        if !p.wires.contains_key(&link) {
            return Ok(());
        }
        let Role::Leading(leader) = &mut p.role else { return Ok(()) };
        let (mut reached, mut files) = (peer, Vec::new());
        if self.plan.from_files
            && let Some(min) = leader.history().missing_from_memory(peer)
            && let Some(found) = from_files(&self.nodes[n].disk, &self.nodes[n].dirs, peer, min)
        {
            (reached, files) = (min, found);
            self.from_files += 1;
        }
        let mut out = Vec::new();
        let Some(plan) = leader.join(link, reached, &mut out) else { return Ok(()) };
        self.note(
            n,
            "plan",
            match plan {
                Plan::Diff { .. } => 0,
                Plan::Trunc(_) => 1,
                Plan::Snap => 2,
            },
            peer.0,
        );
        let head = match plan {
            Plan::Diff { .. } if !files.is_empty() => Packet::bare(kind::DIFF, reached),
            _ if !files.is_empty() => {
                // From files, and then something else: the link ends.
                leader.closed(link);
                if let Some(wire) = p.wires.remove(&link) {
                    self.hang_up(wire, n);
                }
                return Ok(());
            }
            Plan::Diff { to, .. } => Packet::bare(kind::DIFF, to),
            Plan::Trunc(zxid) => Packet::bare(kind::TRUNC, zxid),
            Plan::Snap => {
                p.streams.insert(link, Stream { walk: Default::default(), begun: false, held: Vec::new() });
                out.into_iter().rev().for_each(|output| p.outputs.push_front(output));
                self.stream_later(n, link, 30);
                return Ok(());
            }
        };
        self.send(n, p, link, head.encode());
        for (zxid, record) in files {
            self.send(n, p, link, Packet::with(kind::PROPOSAL, zxid, record).encode());
            self.send(n, p, link, Packet::bare(kind::COMMIT, zxid).encode());
        }
        out.into_iter().rev().for_each(|output| p.outputs.push_front(output));
        Ok(())
    }

    fn stream_later(&mut self, n: usize, link: LinkId, within: i64) {
        let incarnation = self.nodes[n].incarnation;
        let at = self.now + self.range(0, within);
        self.at(at, Event::Input(n, incarnation, Box::new(Input::Stream(link))));
    }

    /// As leader: a part of a copy. The tree goes on while it is sent.
    fn stream(&mut self, n: usize, p: &mut Process, link: LinkId) {
        let Some(wire) = p.wires.get(&link).copied() else { return };
        let Some(mut stream) = p.streams.remove(&link) else { return };
        let mut encoded = Vec::new();
        if !stream.begun {
            stream.begun = true;
            self.send(n, p, link, Packet::bare(kind::SNAP, p.tree.zxid()).encode());
            let mut sessions: Vec<(i64, i32)> = p.tree.sessions().iter().map(|(id, timeout)| (*id, *timeout)).collect();
            sessions.sort_unstable();
            (sessions.len() as i32).encode(&mut encoded);
            for (id, timeout_ms) in sessions {
                id.encode(&mut encoded);
                timeout_ms.encode(&mut encoded);
            }
            let acls = p.tree.acls();
            (acls.len() as i32).encode(&mut encoded);
            for (key, list) in &acls {
                key.encode(&mut encoded);
                (list.len() as i32).encode(&mut encoded);
                list.iter().for_each(|entry| entry.encode(&mut encoded));
            }
        }
        let count = self.range(1, 12) as usize;
        let more = stream.walk.chunk(&p.tree, count, |path, node| {
            encode_node(&mut encoded, path, node.data(), node.acl().key(), &node.stat);
        });
        let mut last = None;
        if !more {
            encoded.extend_from_slice(&STREAM_END);
            let history = self.nodes[n].ghost.clone();
            let fuzzy_until = history.last().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
            last = Some(CopyEnd { fuzzy_until, history });
        }
        self.transmit(wire, n, Message::Copy { bytes: encoded.into(), last });
        if more {
            p.streams.insert(link, stream);
            self.stream_later(n, link, 25);
        } else {
            for packet in stream.held {
                self.send(n, p, link, packet);
            }
        }
    }
}

/// What the log files hold from `peer` to `until`, if that is whole.
fn from_files(disk: &store::SimDisk, dirs: &store::Dirs, peer: Zxid, until: Zxid) -> Option<Vec<(Zxid, Bytes)>> {
    let before = if peer.counter() == 0 { peer } else { Zxid(peer.0 - 1) };
    let mut reader = LogReader::open(disk, dirs, peer, Some(before), ReadOptions::default()).ok()?;
    let mut unseen = dirs.snapshots_within(disk, peer, until).ok()?;
    let (mut last, mut found) = (None, Vec::new());
    while let Some(record) = reader.next_record().ok()? {
        match last {
            None if record.zxid == peer => {}
            None if peer.counter() == 0 && record.zxid == peer.next() => {
                found.push((record.zxid, Bytes::copy_from_slice(record.body)));
            }
            Some(last) if follows(last, record.zxid) => found.push((record.zxid, Bytes::copy_from_slice(record.body))),
            _ => return None,
        }
        last = Some(record.zxid);
        unseen.retain(|zxid| *zxid != record.zxid);
        if record.zxid == until && unseen.is_empty() {
            return Some(found);
        }
    }
    None
}

/// A packet as it arrives.
pub fn decode(bytes: &Bytes) -> Packet {
    let mut buffer = BytesMut::from(&bytes[..]);
    Packet::decode(&mut buffer, 1 << 20).ok().flatten().expect("a machine has encoded it")
}
