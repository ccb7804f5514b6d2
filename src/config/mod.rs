//! What the operator says: zoo.cfg, system properties and arguments become one typed `Config`, or a clear refusal.
//! Knows nothing of the server; nobody else knows the name of a key. The table of all keys is in `table.rs`.
//! The way of a file: `properties.rs` (syntax) → `load.rs` (line by line) → `servers.rs` (members) → `rules.rs`.

pub mod dynamic;
mod error;
mod keys;
mod load;
mod membership;
mod properties;
mod rules;
mod sample;
mod servers;
mod shown;
mod system;
mod table;
mod value;

#[cfg(test)]
mod java_answers;
#[cfg(test)]
mod tests;

pub use error::{ConfigError, ExitCode, Loudness, Note};
pub use keys::{Applies, Bound, Entry, Family, Key, Source, Unit};
pub use load::{More, Origin, Setting};
pub use properties::{Properties, Property};
pub use rules::scheme_of_class;
pub use sample::sample;
pub use servers::{ClientAddress, Ensemble, Flaw, Host, Member, MemberAddress, java_address};
pub use system::{SystemProperties, SystemProperty};
pub use table::{Config, ENTRIES, FAMILIES};
pub use value::{AuditFormat, ClientAuth, PeerType, Reading, Secret, SnapshotCompression, StoreType};
