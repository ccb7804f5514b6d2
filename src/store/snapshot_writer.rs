//! Writes snapshots: under a temporary name, synced, then renamed, so that a crash leaves a whole file or none. Takes
//! what the caller hands over, in the order of the file; the walk over the tree is the caller's. [`super::snapshot`]
//! reads what is written here.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use simd_adler32::Adler32;

use super::compress::{Compress, Compression};
use super::dirs::Dirs;
use super::disk::{Disk, DiskFile};
use super::error::StoreError;
use super::snapshot::{END, HEADER_REST, MAGIC};
use crate::jute::{Encode, put_bytes};
use crate::mutant::{self, Mutant};
use crate::proto::Zxid;
use crate::proto::acl::Acl;
use crate::proto::records::StatPersisted;
use crate::proto::txn::TxnDigest;

/// Encoded bytes that are gathered before they are summed and written.
const BUFFER: usize = 256 << 10;
/// The file is synced each time so many bytes were written: one sync of a large file at the end would hold up the syncs
/// of the log for seconds.
const SYNC_EVERY: u64 = 8 << 20;

/// Appends a node as snapshots hold it. Cheap enough to be called while the tree may not change.
pub fn encode_node(out: &mut Vec<u8>, path: &str, data: Option<&[u8]>, acl_key: i64, stat: &StatPersisted) {
    put_bytes(out, path.as_bytes());
    data.encode(out);
    acl_key.encode(out);
    stat.encode(out);
}

/// A finished snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where it stands.
    pub path: PathBuf,
    /// Bytes on disk.
    pub bytes: u64,
}

/// A snapshot being written. Dropped before [`SnapshotWriter::finish`], it leaves a temporary file that nobody reads
/// and the next purge removes.
pub struct SnapshotWriter<D: Disk> {
    disk: D,
    dir: PathBuf,
    path: PathBuf,
    temporary: PathBuf,
    target: Compress<Appender<D::File>>,
    buffer: Vec<u8>,
    checksum: Adler32,
}

impl<D: Disk> SnapshotWriter<D> {
    /// Begins the snapshot of `zxid`: everything up to it is in what follows, later changes may be. Sessions and ACL
    /// lists come first; a list made later may be left out, the log has it.
    pub fn begin<'a>(
        disk: &D,
        dirs: &Dirs,
        zxid: Zxid,
        compression: Compression,
        sessions: &[(i64, i32)],
        acls: impl ExactSizeIterator<Item = (i64, &'a [Acl])>,
    ) -> Result<Self, StoreError> {
        let path = dirs.snapshot_path(zxid, compression);
        let mut temporary = path.clone().into_os_string();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let file = disk.create(&temporary).map_err(StoreError::io(&temporary, "create the snapshot"))?;
        let target = Compress::new(Appender { file, written: 0, synced: 0 }, compression);
        let mut writer = SnapshotWriter {
            disk: disk.clone(),
            dir: dirs.snapshots.clone(),
            path,
            temporary,
            target,
            buffer: Vec::with_capacity(BUFFER + (64 << 10)),
            checksum: Adler32::new(),
        };
        writer.buffer.extend_from_slice(&MAGIC);
        writer.buffer.extend_from_slice(&HEADER_REST);
        count(&mut writer.buffer, sessions.len());
        for (id, timeout_ms) in sessions {
            id.encode(&mut writer.buffer);
            timeout_ms.encode(&mut writer.buffer);
        }
        count(&mut writer.buffer, acls.len());
        for (key, acl) in acls {
            key.encode(&mut writer.buffer);
            count(&mut writer.buffer, acl.len());
            acl.iter().for_each(|entry| entry.encode(&mut writer.buffer));
            writer.flush_full()?;
        }
        Ok(writer)
    }

    /// Appends a node; its parent must have come before.
    pub fn node(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl_key: i64,
        stat: &StatPersisted,
    ) -> Result<(), StoreError> {
        encode_node(&mut self.buffer, path, data, acl_key, stat);
        self.flush_full()
    }

    /// Appends nodes that `encode` encodes with [`encode_node`]; only afterwards is something written.
    pub fn nodes<R>(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> R) -> Result<R, StoreError> {
        let result = encode(&mut self.buffer);
        self.flush_full()?;
        Ok(result)
    }

    /// Ends the nodes, adds the sections that are switched on, and gives the file its name.
    pub fn finish(mut self, digest: Option<(Zxid, TxnDigest)>, last_zxid: Option<Zxid>) -> Result<Written, StoreError> {
        self.buffer.extend_from_slice(&END);
        self.seal()?;
        if let Some((zxid, digest)) = digest {
            zxid.0.encode(&mut self.buffer);
            digest.encode(&mut self.buffer);
            self.seal()?;
        }
        if let Some(zxid) = last_zxid {
            zxid.0.encode(&mut self.buffer);
            self.seal()?;
        }
        self.flush()?;
        let Self { disk, dir, path, temporary, target, .. } = self;
        let finish = || -> io::Result<u64> {
            let appender = target.finish()?;
            if !mutant::is(Mutant::SnapshotNotSynced) {
                appender.file.sync_data()?;
            }
            disk.rename(&temporary, &path)?;
            disk.sync_dir(&dir)?;
            Ok(appender.written)
        };
        match finish() {
            Ok(bytes) => Ok(Written { path, bytes }),
            Err(error) => Err(give_up(&disk, &temporary, error)),
        }
    }

    fn seal(&mut self) -> Result<(), StoreError> {
        self.flush()?;
        i64::from(self.checksum.finish()).encode(&mut self.buffer);
        self.buffer.extend_from_slice(&END);
        Ok(())
    }

    fn flush_full(&mut self) -> Result<(), StoreError> {
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.checksum.write(&self.buffer);
        let result = self.target.write(&self.buffer);
        self.buffer.clear();
        result.map_err(|error| give_up(&self.disk, &self.temporary, error))
    }
}

/// Removes the unfinished file, so that a full disk gets its room back.
fn give_up<D: Disk>(disk: &D, temporary: &Path, error: io::Error) -> StoreError {
    // Nobody reads the file under this name; when it cannot be removed now, the next purge does it.
    let _ = disk.remove(temporary);
    StoreError::io(temporary, "write the snapshot")(error)
}

fn count(out: &mut Vec<u8>, count: usize) {
    let count = i32::try_from(count).expect("sessions and ACL lists are kept in memory, far below 2^31");
    count.encode(out);
}

/// A file that is written from front to back.
struct Appender<F> {
    file: F,
    written: u64,
    synced: u64,
}

impl<F: DiskFile> Write for Appender<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write_at(bytes, self.written)?;
        self.written += count as u64;
        if self.written - self.synced >= SYNC_EVERY {
            self.file.sync_data()?;
            self.synced = self.written;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
