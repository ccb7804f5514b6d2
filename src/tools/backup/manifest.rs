//! The file that makes a folder a backup: `backup.json`, replaced as a whole after every step.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::proto::Zxid;
use crate::store::disk::{read_small, replace_small};
use crate::store::{Dirs, RealDisk};
use crate::tools::output::Failure;

/// The form of the file.
const FORMAT: u32 = 1;
const NAME: &str = "backup.json";
/// Longer files are not ours.
const LENGTH_MAX: usize = 64 << 10;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The form of this file.
    pub format: u32,
    /// The last transaction.
    pub zxid: String,
    /// Digest of the tree after it.
    pub digest: String,
    /// True when the server logged the same digest for the last transaction, and no other differed.
    pub digest_proven: bool,
    /// When the last transaction was made, ms since the Unix epoch; absent without logs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_time_ms: Option<i64>,
    /// The snapshot it begins with.
    pub snapshot: String,
    /// Nodes.
    pub nodes: u64,
    /// acceptedEpoch of the member it was taken from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accepted_epoch: Option<i64>,
    /// currentEpoch of the member it was taken from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub current_epoch: Option<i64>,
}

impl Manifest {
    /// For a state.
    pub fn new(zxid: Zxid, digest: u64, digest_proven: bool, snapshot: String, nodes: u64) -> Self {
        Manifest {
            format: FORMAT,
            zxid: zxid.to_string(),
            digest: format!("{digest:#x}"),
            digest_proven,
            last_time_ms: None,
            snapshot,
            nodes,
            accepted_epoch: None,
            current_epoch: None,
        }
    }

    /// The last transaction.
    pub fn zxid(&self) -> Result<Zxid, Failure> {
        crate::tools::parse_zxid(&self.zxid).map_err(Failure::new)
    }

    /// Reads the one of a folder; `None` when it is no backup.
    pub fn read(dir: &Path) -> Result<Option<Self>, Failure> {
        let path = path_in(dir);
        let bytes = match read_small(&RealDisk, &path, LENGTH_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::new(format!("{}: cannot read: {error}", path.display()))),
        };
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::new(format!("{}: not the file of a backup: {error}", path.display())))?;
        if manifest.format != FORMAT {
            let why = "it was written by another version";
            return Err(Failure::new(format!("{}: form {}: {why}", path.display(), manifest.format)));
        }
        manifest.zxid()?;
        Ok(Some(manifest))
    }

    /// Replaces the one of a folder.
    pub fn write(&self, dir: &Path) -> Result<(), Failure> {
        let path = path_in(dir);
        let text = serde_json::to_string_pretty(self).expect("a manifest is plain data") + "\n";
        replace_small(&RealDisk, &path, text.as_bytes())
            .map_err(|error| Failure::new(format!("{}: cannot write: {error}", path.display())))
    }
}

fn path_in(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// The folders of a backup.
pub fn dirs_of(dir: &Path) -> Dirs {
    Dirs::new(dir, None)
}
