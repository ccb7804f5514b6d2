//! Everything that is kept on disk: transaction logs, snapshots, epoch files, and how a server gets its state back from
//! them. Knows jute and the records of [`crate::proto`], but no tree: recovery fills whatever implements [`Restore`].
//! The bytes are those of the original (`org.apache.zookeeper.server.persistence`); [`disk`] is the only way to a file.

mod compress;
mod dirs;
pub mod disk;
mod epoch;
mod error;
mod folder_lock;
#[cfg(test)]
pub(crate) mod golden_tests;
mod log;
mod log_fill;
mod log_reader;
mod log_scan;
#[cfg(test)]
mod log_tests;
#[cfg(test)]
pub(crate) mod naive_tree;
mod policy;
mod purge;
mod real_disk;
mod recovery;
mod restore;
pub mod sim_disk;
mod snapshot;
#[cfg(test)]
mod snapshot_tests;
mod snapshot_writer;
mod supersede;
mod tear;
mod truncate;
mod window;

pub use compress::{Compression, Decompress};
pub use dirs::{Dirs, LogName, SnapshotName};
pub use disk::{Disk, DiskFile, read_small, replace_small};
pub use epoch::{EpochFile, Epochs, read_epoch, settle_epochs, write_epoch};
pub use error::StoreError;
pub use folder_lock::FolderLock;
pub use log::{LogOptions, LogStats, LogWriter};
pub use log_fill::Filling;
pub use log_reader::{LogEnd, LogReader, LogRecord, ReadOptions};
pub use log_scan::{Frame, HeaderFound, LogHeader, LogScan, ScanEnd};
pub use policy::SnapshotPolicy;
pub use purge::{Purged, RETAIN_MIN, purge};
pub use real_disk::RealDisk;
pub use recovery::{Fresh, RecoverOptions, Recovered, examine, initialize_done, looks_whole, recover};
pub use restore::{NodeRefused, Restore, SnapshotNode};
pub use sim_disk::SimDisk;
pub use snapshot::{BadSnapshot, STREAM_END, SnapshotSummary, read_snapshot, read_stream};
pub use snapshot_writer::{SnapshotWriter, encode_node};
pub use supersede::supersede;
pub use tear::Behind;
pub use truncate::{Truncated, base_snapshot, truncate};

/// The operator's word that records lost to damage may stay lost; [`RecoverOptions::accept_damage`] carries it.
pub const ACCEPT_DAMAGE: &str = "txnLog.acceptDamage";
