//! The configurations a member knows, and the files that keep them: the active one in `zoo.cfg.dynamic.<version>`, the one
//! proposed last in `zoo.cfg.dynamic.next`, zoo.cfg without members' lines. After a crash between any two writes the next
//! start finds the old configuration or the new one, and never less than it had promised (QuorumPeer.setQuorumVerifier,
//! setLastSeenQuorumVerifier). What a configuration means for the votes is `quorum`'s business.

use crate::config::dynamic::{self, NEXT};
use crate::config::{ClientAddress, Config, Ensemble, Flaw, PeerType};
use crate::store::{Disk, StoreError, read_small, replace_small};
use crate::zab::{self, Pending, ServerId, Voters};
use std::path::{Path, PathBuf};

/// Longest zoo.cfg.
const CONFIG_BYTES_MAX: usize = 16 << 20;

/// Both configurations of a member.
#[derive(Debug)]
pub struct Membership<D> {
    disk: D,
    me: ServerId,
    /// zoo.cfg, when there is one.
    file: Option<PathBuf>,
    enabled: bool,
    active: Ensemble,
    last_seen: Ensemble,
}

/// What a new configuration changes for the server that activates it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activated {
    /// The members differ, and not the version alone.
    pub differs: bool,
    /// This server is something else now.
    pub role_changed: bool,
    /// Clients are to be served here, and elsewhere before.
    pub client: Option<ClientAddress>,
    /// The leader before is no voter any more, or has another address.
    pub leader_gone: bool,
}

/// What an activated configuration makes of a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// It goes on.
    Nothing,
    /// It is over.
    Ends,
    /// It is over once the learners have heard who leads on.
    EndsBehindLearners,
}

impl Activated {
    /// Nothing at all.
    pub const NOTHING: Activated = Activated { differs: false, role_changed: false, client: None, leader_gone: false };

    /// What becomes of the term of this server, that leads or learns from `leader`, when that has said who leads on
    /// (`QuorumPeer.processReconfig`).
    pub fn consequence(&self, leads: bool, leader: ServerId, designated: Option<ServerId>) -> Consequence {
        let handed_over = designated.is_some_and(|designated| designated != leader);
        let ends = match designated {
            Some(_) => self.role_changed || handed_over,
            None => self.role_changed || self.leader_gone,
        };
        match self.differs && ends {
            false => Consequence::Nothing,
            // A leader goes when its learners have heard.
            true if leads && (handed_over || !self.role_changed) => Consequence::EndsBehindLearners,
            true => Consequence::Ends,
        }
    }
}

impl<D: Disk> Membership<D> {
    /// What a configuration lists; reads the proposed one if there is one.
    pub fn new(disk: D, config: &Config, me: ServerId) -> Self {
        let active = config.more.ensemble.clone();
        let last_seen = match &config.more.next_ensemble {
            Some(next) if config.reconfig_enabled => next.clone(),
            _ => active.clone(),
        };
        Membership { disk, me, file: config.more.file.clone(), enabled: config.reconfig_enabled, active, last_seen }
    }

    /// Of a server whose configurations were read elsewhere, with membership changes enabled or not.
    pub fn of(disk: D, file: PathBuf, me: ServerId, enabled: bool, active: Ensemble, last_seen: Ensemble) -> Self {
        Membership { disk, me, file: Some(file), enabled, active, last_seen }
    }

    /// Keeps zoo.cfg as the operator wrote it, before the first rewrite takes the members out of it.
    pub fn back_up(&self) -> Result<(), StoreError> {
        let Some(file) = self.file.as_deref().filter(|_| self.enabled) else { return Ok(()) };
        let text =
            read_small(&self.disk, file, CONFIG_BYTES_MAX).map_err(StoreError::io(file, "read the configuration"))?;
        let backup = beside(file, ".bak");
        replace_small(&self.disk, &backup, &text).map_err(StoreError::io(&backup, "keep a copy of the configuration"))
    }

    /// In force.
    pub fn active(&self) -> &Ensemble {
        &self.active
    }

    /// Proposed last; the active one when nothing is pending.
    pub fn last_seen(&self) -> &Ensemble {
        &self.last_seen
    }

    /// Whether a proposed configuration waits for its commit: until then quorums of both are needed.
    pub fn is_pending(&self) -> bool {
        self.last_seen.version > self.active.version
    }

    /// Whether this server has no vote by the will of the active configuration, nor will have one by that of the proposed:
    /// that can come into force only if those who get a vote acknowledge it.
    pub fn observes(&self) -> bool {
        let observes = |ensemble: &Ensemble| ensemble.role(self.me) == PeerType::Observer;
        observes(&self.active) && (!self.is_pending() || observes(&self.last_seen))
    }

    /// What a term as leader begins with.
    pub fn term(&self) -> (zab::Membership, Pending) {
        let pending = if self.is_pending() {
            Pending::Proposed(self.told(&self.last_seen))
        } else if self.enabled && self.active.version == 0 {
            Pending::Unversioned
        } else {
            Pending::Nothing
        };
        (self.told(&self.active), pending)
    }

    /// The configuration that was proposed last, as Zab wants it.
    pub fn proposed(&self) -> zab::Membership {
        self.told(&self.last_seen)
    }

    /// A configuration as Zab wants it, when this server leads in the active one.
    fn told(&self, ensemble: &Ensemble) -> zab::Membership {
        let address = |ensemble: &Ensemble| {
            let member = ensemble.members.get(&self.me).filter(|member| member.role == PeerType::Participant)?;
            Some(member.addresses.iter().map(|at| (at.host.clone(), at.quorum_port)).collect::<Vec<_>>())
        };
        let leads_on = address(ensemble).is_some() && address(ensemble) == address(&self.active);
        let text = ensemble.to_string().into();
        zab::Membership { voters: Voters::of(ensemble), text, version: ensemble.version, leads_on }
    }

    /// A configuration is proposed. Durable when this returns, so that it may be acknowledged. Without
    /// `reconfigEnabled` nothing happens.
    pub fn propose(&mut self, next: Ensemble) -> Result<(), StoreError> {
        if !self.enabled || self.last_seen.version == next.version {
            return Ok(());
        }
        if let Some(file) = &self.file {
            let path = beside(file, NEXT);
            replace_small(&self.disk, &path, dynamic::dynamic_text(&next, true).as_bytes())
                .map_err(StoreError::io(&path, "keep the proposed configuration"))?;
        }
        self.last_seen = next;
        Ok(())
    }

    /// A configuration is in force from here on; an older one than the active changes nothing. `leader` is whom this
    /// server follows, or itself.
    pub fn activate(&mut self, next: Ensemble, leader: Option<ServerId>) -> Result<Activated, StoreError> {
        if !self.enabled || next.version <= self.active.version {
            return Ok(Activated::NOTHING);
        }
        if let Some(file) = self.file.clone() {
            self.write(&file, &next)?;
        }
        let observed = self.observes();
        if next.version > self.last_seen.version {
            self.last_seen = next.clone();
        }
        let before = std::mem::replace(&mut self.active, next);
        self.settle()?;
        if before.is_same(&self.active) {
            return Ok(Activated::NOTHING);
        }
        let client = |ensemble: &Ensemble| ensemble.members.get(&self.me).and_then(|member| member.client.clone());
        let voter = |ensemble: &Ensemble, id| {
            let member = ensemble.members.get(&id).filter(|member| member.role == PeerType::Participant)?;
            Some(member.addresses.iter().map(|at| (at.host.clone(), at.quorum_port)).collect::<Vec<_>>())
        };
        let (old, new) = leader.map_or((None, None), |id| (voter(&before, id), voter(&self.active, id)));
        Ok(Activated {
            differs: true,
            role_changed: observed != self.observes(),
            client: client(&self.active).filter(|address| Some(address) != client(&before).as_ref()),
            leader_gone: old.is_none() || old != new,
        })
    }

    /// Nothing is proposed: the file that says otherwise goes. A crash right behind the rewrite of zoo.cfg leaves one.
    pub fn settle(&self) -> Result<(), StoreError> {
        let Some(file) = self.file.as_ref().filter(|_| self.enabled && !self.is_pending()) else { return Ok(()) };
        let path = beside(file, NEXT);
        if self.disk.is_file(&path) {
            let removed = self.disk.remove(&path).and_then(|()| self.disk.sync_dir(folder(&path)));
            removed.map_err(StoreError::io(&path, "remove the proposed configuration"))?;
        }
        Ok(())
    }

    /// The dynamic file first: zoo.cfg must never name one that is not there.
    fn write(&self, file: &Path, next: &Ensemble) -> Result<(), StoreError> {
        let path = beside(file, &dynamic::dynamic_ending(next.version));
        replace_small(&self.disk, &path, dynamic::dynamic_text(next, false).as_bytes())
            .map_err(StoreError::io(&path, "write the configuration"))?;
        let broken = StoreError::io(file, "rewrite the configuration");
        let before = match read_small(&self.disk, file, CONFIG_BYTES_MAX) {
            Ok(before) => before,
            Err(error) => return Err(broken(error)),
        };
        let erase = next.members.get(&self.me).is_some_and(|member| member.client.is_some());
        // It was read at the start; who breaks it afterwards hears of it at the next start.
        let absolute = std::path::absolute(&path).unwrap_or(path);
        match dynamic::static_text(&before, &absolute, erase) {
            Ok(text) if text.as_bytes() == before => Ok(()),
            Ok(text) => replace_small(&self.disk, file, text.as_bytes()).map_err(broken),
            Err(error) => {
                tracing::error!(file = %file.display(), %error, "the configuration is not rewritten: mend it, and let it name {}", absolute.display());
                Ok(())
            }
        }
    }
}

/// A configuration that another server has accepted already.
pub fn parse(text: &[u8]) -> Result<Ensemble, Flaw> {
    let text = std::str::from_utf8(text).map_err(|_| Flaw::Unreadable("it is no text".into()))?;
    Ensemble::parse_text(text, false, true)
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SystemProperties;
    use crate::store::{DiskFile, RealDisk, SimDisk};
    use std::collections::BTreeMap;

    /// The files of a folder, with what belongs to the machine written as in the test data.
    fn files(folder: &Path) -> BTreeMap<String, String> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let files = entries.filter(|entry| entry.path().is_file());
        let text = |path: PathBuf| std::fs::read_to_string(path).unwrap().replace(folder.to_str().unwrap(), "/zk/1");
        files.map(|entry| (entry.file_name().into_string().unwrap(), text(entry.path()))).collect()
    }

    fn recorded(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/membership/testdata/reconfig").join(name)
    }

    fn parsed(text: &str) -> Ensemble {
        Ensemble::parse_text(text, true, false).unwrap()
    }

    fn load(file: &Path) -> Config {
        Config::load(file, &SystemProperties::default()).unwrap()
    }

    /// The same sequence as the original was led through, and file by file what it left.
    #[test]
    fn files_are_as_the_original_leaves_them() {
        for name in ["in-line", "static"] {
            let home = tempfile::tempdir().unwrap();
            let folder = home.path().canonicalize().unwrap();
            std::fs::create_dir(folder.join("data")).unwrap();
            std::fs::write(folder.join("data/myid"), "1\n").unwrap();
            let file = folder.join("zoo.cfg");
            let before = std::fs::read_to_string(recorded(name).join("0-before/1/zoo.cfg")).unwrap();
            std::fs::write(&file, before.replace("/zk/1", folder.to_str().unwrap())).unwrap();
            let mut membership = Membership::new(RealDisk, &load(&file), 1);
            membership.back_up().unwrap();
            // The first leader gives the configuration the version of its epoch.
            let first = Ensemble { version: 1 << 32, ..membership.active().clone() };
            membership.propose(first.clone()).unwrap();
            membership.activate(first, Some(3)).unwrap();
            assert_eq!(files(&folder), files(&recorded(name).join("1-started/1")), "{name}");
            let steps = std::fs::read_to_string(recorded(name).join("steps.txt")).unwrap();
            for step in steps.trim().split("\n\n") {
                let (step, text) = step.split_once('\n').unwrap();
                membership.propose(parsed(text)).unwrap();
                assert!(membership.is_pending() && folder.join("zoo.cfg.dynamic.next").is_file());
                membership.activate(parsed(text), Some(3)).unwrap();
                assert!(!membership.is_pending());
                // As a crash in the middle leaves it.
                std::fs::write(folder.join("zoo.cfg.dynamic.next"), "version=1\n").unwrap();
                membership.settle().unwrap();
                assert_eq!(files(&folder), files(&recorded(name).join(step).join("1")), "{name} {step}");
                let found = load(&file);
                assert!(found.more.ensemble.is_same(membership.active()), "{name} {step}");
                assert_eq!(found.more.ensemble.version, membership.active().version);
            }
        }
    }

    const TWO: &str =
        "server.1=h1:2888:3888:participant;0.0.0.0:2181\nserver.2=h2:2888:3888:participant;0.0.0.0:2181\n";

    fn simulated(disk: &SimDisk, enabled: bool) -> Membership<SimDisk> {
        let active = parsed(&format!("{TWO}version=5"));
        let file = Some(PathBuf::from("/etc/zoo.cfg"));
        Membership { disk: disk.clone(), me: 1, file, enabled, last_seen: active.clone(), active }
    }

    #[test]
    fn what_a_configuration_changes_for_a_server() {
        let disk = SimDisk::new(1);
        disk.create_dir(Path::new("/etc")).unwrap();
        replace_small(&disk, Path::new("/etc/zoo.cfg"), b"dataDir=/d\n").unwrap();
        let activated = |text: String, leader| {
            let mut membership = simulated(&disk, true);
            membership.activate(parsed(&text), Some(leader)).unwrap()
        };
        let seven = |from: &str, to: &str| format!("{TWO}version=7").replacen(from, to, 1);
        assert_eq!(activated(seven("", ""), 2), Activated::NOTHING, "a version alone");
        let moved = Activated { differs: true, ..Activated::NOTHING };
        assert_eq!(activated(seven("h1:2888", "h1:2889"), 2), moved);
        assert_eq!(activated(seven("h1:2888", "h1:2889"), 1), Activated { leader_gone: true, ..moved.clone() });
        assert_eq!(activated(seven("2181", "2182"), 2).client.map(|address| address.port), Some(2182));
        assert!(!activated(seven("2181", "2182"), 2).leader_gone);
        let observer = format!(
            "server.3=h3:2888:3888:participant\n{}",
            seven("1=h1:2888:3888:participant", "1=h1:2888:3888:observer")
        );
        assert!(activated(observer, 2).role_changed);
        let gone = format!("{}\nserver.3=h3:1:2\nversion=7", TWO.lines().nth(1).unwrap());
        assert!(!activated(gone.clone(), 2).role_changed, "who is not listed is no observer");
        assert!(activated(gone, 1).leader_gone);
        assert_eq!(activated(seven("version=7", "version=4"), 2), Activated::NOTHING, "an old one");
        let mut disabled = simulated(&disk, false);
        disabled.propose(parsed(&seven("2181", "2182"))).unwrap();
        assert_eq!(disabled.activate(parsed(&seven("2181", "2182")), Some(2)).unwrap(), Activated::NOTHING);
        assert_eq!((disabled.active().version, disabled.is_pending()), (5, false));
    }

    /// The simulator's seed 1950: the reconfiguration waited for a vote that an observer cannot give.
    #[test]
    fn who_is_to_get_a_vote_observes_no_more() {
        let disk = SimDisk::new(1);
        disk.create_dir(Path::new("/etc")).unwrap();
        let observing = format!("server.3=h3:2888:3888\n{}", TWO.replacen("participant", "observer", 1));
        let active = parsed(&format!("{observing}version=5"));
        let file = PathBuf::from("/etc/zoo.cfg");
        let mut membership = Membership::of(disk, file, 1, true, active.clone(), active);
        assert!(membership.observes());
        membership.propose(parsed(&format!("{TWO}server.3=h3:2888:3888\nversion=7"))).unwrap();
        assert!(!membership.observes());
    }

    /// DURABLE: what was proposed is known after any crash, and zoo.cfg always names a dynamic file that is whole.
    #[test]
    fn a_power_cut_leaves_the_old_configuration_or_the_new() {
        let zoo_cfg = Path::new("/etc/zoo.cfg");
        let next = parsed(&format!("{TWO}server.3=h3:2888:3888:participant;0.0.0.0:2181\nversion=9"));
        let mut seen = [0; 2];
        for seed in 0..400 {
            let disk = SimDisk::new(seed);
            disk.create_dir(Path::new("/etc")).unwrap();
            disk.sync_dir(Path::new("/")).unwrap();
            replace_small(&disk, zoo_cfg, b"tickTime=5\nserver.1=h1:2888:3888\n").unwrap();
            let mut membership = simulated(&disk, true);
            membership.activate(parsed(&format!("{TWO}version=6")), Some(1)).unwrap();
            disk.burn_fuse(seed % 24);
            let proposed = membership.propose(next.clone()).is_ok();
            let activated = proposed && membership.activate(next.clone(), Some(1)).is_ok();
            disk.power_cut();
            let read = |path: &Path| {
                let file = disk.open(path).unwrap();
                let mut bytes = vec![0; file.len().unwrap() as usize];
                file.read_full_at(&mut bytes, 0).unwrap();
                String::from_utf8(bytes).unwrap()
            };
            let text = read(zoo_cfg);
            let named = text.lines().find_map(|line| line.strip_prefix("dynamicConfigFile=")).unwrap();
            assert!(text.contains("tickTime=5"), "seed {seed}: {text}");
            let is_new = named.ends_with(".9");
            let expected = if is_new { dynamic::dynamic_text(&next, false) } else { TWO.trim_end().to_owned() };
            assert_eq!(read(Path::new(named)), expected, "seed {seed}");
            let pending = Path::new("/etc/zoo.cfg.dynamic.next");
            let waits = disk.is_file(pending) && read(pending) == dynamic::dynamic_text(&next, true);
            assert!(is_new || waits || !proposed, "seed {seed}: a proposed configuration is forgotten");
            assert!(is_new || !activated, "seed {seed}");
            seen[usize::from(is_new)] += 1;
        }
        assert!(seen[0] > 50 && seen[1] > 50, "{seen:?}");
    }
}
