//! The machine's own file system behind [`Disk`]. No rule of the store lives here, only system calls.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::disk::{Disk, DiskFile};

/// The machine's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    type File = File;

    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        File::open(path)
    }

    fn open_write(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            // Names of the store are ASCII; anything else is somebody else's file.
            if !entry.file_type()?.is_dir()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn is_dir(&self, dir: &Path) -> bool {
        dir.is_dir()
    }

    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir(dir)
    }

    fn is_writable(&self, dir: &Path) -> bool {
        rustix::fs::access(dir, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        let space = rustix::fs::statvfs(dir)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }
}

impl DiskFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        File::set_len(self, length)
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    #[cfg(target_os = "linux")]
    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        match rustix::fs::seek(self, rustix::fs::SeekFrom::Data(offset)) {
            Ok(position) => Ok(Some(position)),
            Err(rustix::io::Errno::NXIO) => Ok(None),
            // A file system that cannot tell holes from data.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => Ok(Some(offset)),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        Ok(Some(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_do_what_the_trait_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let file = RealDisk.create(&path).unwrap();
        DiskFile::write_all_at(&file, b"abc", 4096 * 300).unwrap();
        assert_eq!(DiskFile::len(&file).unwrap(), 4096 * 300 + 3);
        let data = file.next_data(0).unwrap().unwrap();
        assert!(data <= 4096 * 300, "{data}");
        file.sync_data().unwrap();
        let mut bytes = [1; 8];
        assert_eq!(RealDisk.open(&path).unwrap().read_full_at(&mut bytes, 4096 * 300 - 2).unwrap(), 5);
        assert_eq!(&bytes[..5], b"\0\0abc");
        DiskFile::set_len(&file, 8192).unwrap();
        assert_eq!(file.next_data(8192).unwrap(), None);
        RealDisk.rename(&path, &dir.path().join("other")).unwrap();
        RealDisk.create_dir(&dir.path().join("sub")).unwrap();
        assert!(RealDisk.is_dir(&dir.path().join("sub")) && !RealDisk.is_file(&path));
        assert_eq!(RealDisk.list(dir.path()).unwrap(), ["other"]);
        RealDisk.sync_dir(dir.path()).unwrap();
        assert!(RealDisk.is_writable(dir.path()));
        assert!(RealDisk.free_space(dir.path()).unwrap() > 0);
        RealDisk.remove(&dir.path().join("other")).unwrap();
        assert!(RealDisk.list(dir.path()).unwrap().is_empty());
    }
}
