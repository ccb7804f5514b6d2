//! Reconfigurations: the configurations of a server on its disk, and what it does when another is proposed or in force. The
//! files and the decisions are the real ones (`membership`).

use super::process::{Death, Process, Role};
use super::world::{EPOCH_MS, World};
use crate::config::Ensemble;
use crate::engine::Configurations;
use crate::membership::{Consequence, Membership, parse};
use crate::proto::{Zxid, path};
use crate::quorum;
use crate::store::{Disk, SimDisk, StoreError, read_small, replace_small};
use crate::zab::{self, Output, ServerId};
use std::path::{Path, PathBuf};

const FILE: &str = "/conf/zoo.cfg";

/// The members' lines of a configuration in which these vote and the others observe.
pub fn members(count: usize, votes: impl Fn(usize) -> bool) -> String {
    let role = |n| if votes(n) { "participant" } else { "observer" };
    (0..count).map(|n| format!("server.{id}=10.0.0.{id}:2888:3888:{}\n", role(n), id = n + 1)).collect()
}

/// The configuration that every server begins with.
pub fn first(lines: &str) -> Ensemble {
    parse(format!("{lines}version=0").as_bytes()).expect("made by this simulator")
}

/// Writes the configuration that a server begins with, as its operator does.
pub fn configure(disk: &SimDisk, lines: &str) {
    let made = disk.create_dir(Path::new("/conf")).and_then(|()| disk.sync_dir(Path::new("/")));
    made.and_then(|()| replace_small(disk, Path::new(FILE), lines.as_bytes())).expect("a disk without faults");
}

/// Reads the configurations of a server, and tidies up what a crash has left.
pub fn read(disk: &SimDisk, me: ServerId) -> Result<Membership<SimDisk>, StoreError> {
    let text = |path: &Path| {
        let bytes = read_small(disk, path, 1 << 20).map_err(StoreError::io(path, "read the configuration"))?;
        Ok::<_, StoreError>(String::from_utf8(bytes).expect("written by this simulator"))
    };
    let file = PathBuf::from(FILE);
    let static_lines = text(&file)?;
    let active = match static_lines.lines().find_map(|line| line.strip_prefix("dynamicConfigFile=")) {
        Some(dynamic) => {
            let version = dynamic.rsplit('.').next().unwrap_or_default();
            parse(format!("{}\nversion={version}", text(Path::new(dynamic))?).as_bytes())
        }
        None => Ok(first(&static_lines)),
    };
    let active = active.expect("a configuration in force is whole");
    let next = Path::new("/conf/zoo.cfg.dynamic.next");
    let last_seen = match disk.is_file(next) {
        true => parse(text(next)?.as_bytes()).expect("a proposed configuration is whole"),
        false => active.clone(),
    };
    let membership = Membership::of(disk.clone(), file, me, true, active, last_seen);
    membership.settle()?;
    Ok(membership)
}

/// The configurations as elections want them.
pub fn votes(membership: &Membership<SimDisk>) -> quorum::Membership {
    let next = membership.is_pending().then(|| membership.last_seen());
    quorum::Membership::new(membership.active().clone(), next)
}

impl World {
    /// The configurations of a server that starts.
    pub fn read_membership(&self, n: usize) -> Result<Membership<SimDisk>, StoreError> {
        let me = n as ServerId + 1;
        if self.plan.reconfigures {
            return read(&self.nodes[n].disk, me);
        }
        let active = self.first.clone();
        Ok(Membership::of(self.nodes[n].disk.clone(), PathBuf::from(FILE), me, false, active.clone(), active))
    }

    fn kept<T>(&self, n: usize, kept: Result<T, StoreError>) -> Result<T, Death> {
        kept.map_err(|_| if self.nodes[n].disk.is_dead() { Death::Power } else { Death::Exit })
    }

    /// What a leader judges reconfigurations by, with who follows right now.
    pub fn configurations(&self, p: &Process) -> Option<Configurations> {
        let Role::Leading(leader) = &p.role else { return None };
        Some(Configurations {
            active: p.membership.active().clone(),
            last_seen: p.membership.last_seen().clone(),
            synced: leader.in_step().collect(),
            standalone: false,
            multi_address: false,
        })
    }

    /// As leader: what a transaction that was just judged makes of the ensemble. It is on disk before anybody hears of it.
    pub fn reconfiguration(&mut self, n: usize, p: &mut Process, zxid: Zxid) -> Result<Option<zab::Membership>, Death> {
        let next = p.engine.configurations.as_ref().map(|known| known.last_seen.clone());
        let Some(next) = next.filter(|next| next.version == zxid.0) else { return Ok(None) };
        self.note(n, "proposes a configuration", zxid.0, 0);
        self.proposed(n, p, next)?;
        Ok(Some(p.membership.proposed()))
    }

    /// Another configuration is proposed.
    pub fn proposed(&mut self, n: usize, p: &mut Process, next: Ensemble) -> Result<(), Death> {
        let before = p.membership.last_seen().version;
        let kept = p.membership.propose(next);
        self.kept(n, kept)?;
        if p.membership.last_seen().version != before {
            self.install(n, p);
        }
        if matches!(&p.role, Role::Learning(learner) if learner.observes()) && !p.membership.observes() {
            p.successor = Some(p.leader as ServerId + 1);
            let why = "a vote is to be given to this server: it comes back to acknowledge that";
            p.outputs.push_back(Output::End(why.into()));
        }
        Ok(())
    }

    fn install(&mut self, n: usize, p: &mut Process) {
        let last = match &p.role {
            Role::StandingDown(history) | Role::Looking(history) | Role::Dialing { history, .. } => history.last(),
            Role::Leading(leader) => leader.history().last(),
            Role::Learning(learner) => learner.history().last(),
        };
        self.nodes[n].observer = p.membership.observes();
        let (now, mut out) = (self.clock(n), Vec::new());
        p.election.install(votes(&p.membership), last, p.epochs.current, now, &mut out);
        self.elections(n, p, out);
    }

    /// Another configuration is in force; `designated` leads in it, if its leader has said so.
    pub fn activated(
        &mut self,
        n: usize,
        p: &mut Process,
        next: Ensemble,
        designated: Option<ServerId>,
    ) -> Result<(), Death> {
        let (leads, before) = (matches!(p.role, Role::Leading(_)), p.membership.active().version);
        let leader = if leads { n } else { p.leader } as ServerId + 1;
        let activated = p.membership.activate(next, Some(leader));
        let activated = self.kept(n, activated)?;
        self.put_configuration(n, p);
        if p.engine.configurations.is_some() {
            p.engine.configurations = self.configurations(p);
        }
        if let Role::Leading(leader) = &p.role {
            self.check.in_force(leader.epoch().unwrap_or(0), p.membership.active());
        }
        if p.membership.active().version > before {
            self.note(n, "another configuration is in force", p.membership.active().version, designated.unwrap_or(0));
            self.install(n, p);
        }
        match activated.consequence(leads, leader, designated) {
            Consequence::Nothing => return Ok(()),
            Consequence::EndsBehindLearners => {}
            // Behind what came with it.
            Consequence::Ends => {
                p.outputs.push_back(Output::End("the configuration gives this server another part".into()));
            }
        }
        p.successor = designated;
        if designated.is_some_and(|designated| designated != leader) {
            self.handovers += 1;
        }
        Ok(())
    }

    /// A vote was of a later configuration: this one is in force somewhere.
    pub fn take_up(&mut self, n: usize, p: &mut Process, next: Ensemble) -> Result<(), Death> {
        let activated = p.membership.activate(next, None);
        self.kept(n, activated)?;
        self.put_configuration(n, p);
        self.install(n, p);
        Ok(())
    }

    /// Writes the active configuration into its node, of a tree that has an older one.
    pub fn put_configuration(&self, n: usize, p: &mut Process) {
        let active = p.membership.active();
        if p.tree.get(path::CONFIG).is_some_and(|node| node.stat.mzxid < active.version) {
            p.tree.set_config(&active.to_string(), active.version, EPOCH_MS + self.now + self.nodes[n].wall_ms);
        }
    }
}
