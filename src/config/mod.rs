//! What the operator says: zoo.cfg, system properties and arguments become one typed `Config`, or a clear refusal.
//! Knows nothing of the server; nobody else knows the name of a key. The table of all keys is in `table.rs`.
//! The way of a file: `properties.rs` (syntax) → `load.rs` (line by line) → `servers.rs` (members) → `rules.rs`.

mod error;
mod keys;
mod load;
mod properties;
mod rules;
mod servers;
mod system;
mod table;
mod value;

pub use error::{ConfigError, ExitCode, Loudness, Note};
pub use keys::{Applies, Bound, Entry, Key, Source, Unit};
pub use load::{More, Origin, Setting};
pub use properties::{Properties, Property};
pub use rules::scheme_of_class;
pub use servers::{ClientAddress, Ensemble, Host, Member, MemberAddress};
pub use system::{SystemProperties, SystemProperty};
pub use table::{Config, ENTRIES};
pub use value::{ClientAuth, PeerType, Reading, Secret, SnapshotCompression, StoreType};
