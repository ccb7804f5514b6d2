//! What the store asks of a file system, as a trait: the server runs on [`RealDisk`](super::RealDisk), the crash tests
//! and the simulator on [`SimDisk`](super::SimDisk), with the same code above. No format is known here.
//!
//! Nothing is durable before it was asked for: [`DiskFile::sync_data`] makes the bytes of a file durable, never its name;
//! [`Disk::sync_dir`] makes names durable. After a failed sync the bytes it was to save may be gone, and a later sync of
//! the same file says nothing about them.

use std::io;
use std::path::Path;
use std::sync::Arc;

/// A file system.
pub trait Disk: Clone + Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;

    /// Creates a file to read and write, or empties the one of that name.
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// Opens a file to read.
    fn open(&self, path: &Path) -> io::Result<Self::File>;
    /// Opens a file that is there to read and write. Sync errors are reported to each opening of a file by itself.
    fn open_write(&self, path: &Path) -> io::Result<Self::File>;
    /// Gives a file another name, replacing whoever had it. Durable after [`Disk::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file. Durable after [`Disk::sync_dir`].
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Names of the files of a directory, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// True for a directory that is there.
    fn is_dir(&self, dir: &Path) -> bool;
    /// True for a file that is there.
    fn is_file(&self, path: &Path) -> bool;
    /// Creates one directory in a parent that is there.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// True when files can be made in the directory.
    fn is_writable(&self, dir: &Path) -> bool;
    /// Makes the names of a directory durable: creations, renames and removals.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that can still be written.
    fn free_space(&self, dir: &Path) -> io::Result<u64>;
}

/// An open file. Positions are explicit, so that several threads may use one file.
pub trait DiskFile: Send + Sync + 'static {
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Reads at `offset`; fewer bytes than asked for may come, none at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at `offset`; fewer bytes than given may be taken.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Cuts the file, or extends it by zeros.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// Makes content and length durable.
    fn sync_data(&self) -> io::Result<()>;
    /// The first position from `offset` on that may hold anything but zeros, or `None` up to the end.
    fn next_data(&self, offset: u64) -> io::Result<Option<u64>>;

    /// True for a file without bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Writes all of `bytes`, however many steps it takes.
    fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    bytes = &bytes[count..];
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Fills `buffer` from `offset` on as far as the file reaches, and says how far that was.
    fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

/// A file as a stream from its beginning.
pub struct FileStream<F> {
    file: Arc<F>,
    offset: u64,
}

impl<F: DiskFile> FileStream<F> {
    /// Streams `file` from `offset` on.
    pub fn new(file: Arc<F>, offset: u64) -> Self {
        FileStream { file, offset }
    }
}

impl<F: DiskFile> io::Read for FileStream<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

/// A whole file that is known to be small.
pub fn read_small<D: Disk>(disk: &D, path: &Path, max: usize) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(max).min(max)];
    let count = file.read_full_at(&mut bytes, 0)?;
    bytes.truncate(count);
    Ok(bytes)
}

/// Writes a small file so that a crash leaves the old one or the new one: temporary name, sync, rename, sync of the
/// directory.
pub fn replace_small<D: Disk>(disk: &D, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = Path::new(&temporary);
    let file = disk.create(temporary)?;
    file.write_all_at(bytes, 0)?;
    file.sync_data()?;
    disk.rename(temporary, path)?;
    match path.parent() {
        Some(dir) if dir.as_os_str().is_empty() => disk.sync_dir(Path::new(".")),
        Some(dir) => disk.sync_dir(dir),
        None => Ok(()),
    }
}

/// True for the errors that mean "no room", as opposed to a broken disk.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
