//! `oxkeeper backup`, `restore` and `verify`. A backup is an ordinary data folder, a snapshot and the logs behind it up to
//! one transaction, with a file that says which and what the tree's digest is there. It is taken from the files of a
//! server while that runs: nothing is asked of it, and nothing of its folder is changed. Everything that was copied is
//! replayed, so that the digest in the file is computed, and compared with the one that the server logged.

mod command;
mod copy;
mod live_end;
mod manifest;
mod restore;
#[cfg(test)]
mod tests;
mod verify;

pub use command::{Backup, backup};
pub use restore::{RestoreArgs, restore};
pub use verify::{Verify, verify};

use crate::tree::OwnerRules;

/// Owners with all kinds of nodes: files do not say how their server is configured, and digests do not depend on it.
const OWNERS: OwnerRules = OwnerRules { extended_types: true, emulate_353: false };
