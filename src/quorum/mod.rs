//! Who leads: votes, what they weigh, and Fast Leader Election as a pure state machine (`FastLeaderElection`,
//! `QuorumMaj`, `QuorumHierarchical`). Knows neither sockets nor clocks; time comes in. Next room: `crate::server`,
//! which carries notifications between servers.

mod ballot;
mod election;
#[cfg(test)]
mod election_tests;
#[cfg(test)]
mod golden_tests;
mod handshake;
mod membership;
mod notification;

pub use crate::zab::Voters;
pub use election::{Election, Output, Pauses};
pub use handshake::{Greeting, HANDSHAKE_ADDRESS_MAX};
pub use membership::{Compared, Membership};
pub use notification::{NOTIFICATION_MAX, Notification, PeerState, Vote};
