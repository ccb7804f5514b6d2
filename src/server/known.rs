//! The configurations of an ensemble as the threads of a member share them: who votes, where members are, and what becomes
//! of this server when another configuration comes into force. The files are kept in `membership`.

use crate::config::Ensemble;
use crate::membership::{Activated, Membership, parse};
use crate::store::{RealDisk, StoreError};
use crate::tree::Tree;
use crate::zab::{self, Pending, ServerId};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is called when a configuration comes into force.
type Listening = Box<dyn Fn(&Ensemble, Option<&Ensemble>, &Activated) + Send + Sync>;

/// Both configurations, and who wants to hear of changes.
pub struct Known {
    me: ServerId,
    standalone: bool,
    multi_address: bool,
    reconfig: bool,
    membership: Mutex<Membership<RealDisk>>,
    listening: Mutex<Vec<Listening>>,
}

impl Known {
    /// As the configuration file has them.
    pub fn new(config: &crate::config::Config, me: ServerId) -> Result<Self, StoreError> {
        let membership = Membership::new(RealDisk, config, me);
        if config.dynamic_config_file.is_none() {
            membership.back_up()?;
        }
        membership.settle()?;
        Ok(Known {
            me,
            standalone: config.standalone_enabled,
            multi_address: config.multi_address_enabled,
            reconfig: config.reconfig_enabled,
            membership: Mutex::new(membership),
            listening: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Membership<RealDisk>> {
        self.membership.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has somebody called with the active configuration, the proposed one while there is one, and what has changed.
    pub fn listen(&self, listening: Listening) {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).push(listening);
    }

    fn tell(&self, activated: &Activated) {
        let (active, next) = {
            let membership = self.lock();
            (membership.active().clone(), membership.is_pending().then(|| membership.last_seen().clone()))
        };
        for listening in &*self.listening.lock().unwrap_or_else(PoisonError::into_inner) {
            listening(&active, next.as_ref(), activated);
        }
    }

    /// The active configuration.
    pub fn active(&self) -> Ensemble {
        self.lock().active().clone()
    }

    /// What a leader judges reconfigurations by.
    pub fn configurations(&self) -> crate::engine::Configurations {
        let membership = self.lock();
        crate::engine::Configurations {
            active: membership.active().clone(),
            last_seen: membership.last_seen().clone(),
            synced: [self.me].into(),
            standalone: self.standalone,
            multi_address: self.multi_address,
        }
    }

    /// Whether this server has no vote by the will of the configuration.
    pub fn observes(&self) -> bool {
        self.lock().observes()
    }

    /// Writes the active configuration into its node: of a tree that was read from files, or that another server has
    /// made and that knows its own.
    pub fn put_into(&self, tree: &mut Tree, wall_ms: i64) {
        let membership = self.lock();
        tree.set_config(&membership.active().to_string(), membership.active().version, wall_ms);
    }

    /// Whether members may be changed while running.
    pub fn reconfigures(&self) -> bool {
        self.reconfig
    }

    /// The version of the active configuration.
    pub fn version(&self) -> i64 {
        self.lock().active().version
    }

    /// Where the quorum ports of a member are, by either configuration.
    pub fn quorum_ports(&self, id: ServerId) -> Vec<(String, u16)> {
        let membership = self.lock();
        let mut ports = Vec::new();
        for member in
            [membership.active(), membership.last_seen()].into_iter().filter_map(|known| known.members.get(&id))
        {
            for at in &member.addresses {
                let port = (at.host.as_str().to_owned(), at.quorum_port);
                if !ports.contains(&port) {
                    ports.push(port);
                }
            }
        }
        ports
    }

    /// What a term as leader begins with.
    pub fn term(&self) -> (zab::Membership, Pending) {
        self.lock().term()
    }

    /// The proposed configuration as Zab wants it.
    pub fn proposed(&self) -> zab::Membership {
        self.lock().proposed()
    }

    /// A configuration is proposed: on disk when this returns.
    pub fn propose(&self, text: &[u8]) -> Result<(), StoreError> {
        if !self.reconfig {
            return Ok(());
        }
        match parse(text) {
            Ok(next) => {
                let before = self.lock().last_seen().version;
                let version = next.version;
                self.lock().propose(next)?;
                if version != before {
                    self.tell(&Activated::NOTHING);
                }
            }
            Err(flaw) => tracing::error!(%flaw, "the proposed configuration cannot be read; it is not kept"),
        }
        Ok(())
    }

    /// A configuration is in force: on disk when this returns. `leader` leads at the moment.
    pub fn activate(&self, text: &[u8], leader: ServerId) -> Result<Activated, StoreError> {
        let next = match parse(text) {
            Ok(next) => next,
            Err(flaw) => {
                tracing::error!(%flaw, "the configuration in force cannot be read; this server keeps its own");
                return Ok(Activated::NOTHING);
            }
        };
        self.take_up(next, leader)
    }

    /// The same, for one that is read already.
    pub fn take_up(&self, next: Ensemble, leader: ServerId) -> Result<Activated, StoreError> {
        let before = self.version();
        let activated = self.lock().activate(next, Some(leader))?;
        let version = self.version();
        if version > before {
            tracing::info!(version = format_args!("{version:x}"), ?activated, "a configuration is in force");
            self.tell(&activated);
        }
        Ok(activated)
    }
}
