//! A disk in memory that behaves as badly as real ones may: what was not synced is lost or torn at a power cut, sector
//! by sector; names that were not synced come and go; syncs fail and take the bytes with them; room runs out; writes
//! come back short. Everything follows from a seed. The store's crash tests and the simulator run on it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::disk::{Disk, DiskFile};

const SECTOR: usize = 512;

/// What may go wrong, as chances between 0 and 1, and the size of the disk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Faults {
    /// A sync fails; the bytes it was to save stay readable, and may be gone after the next power cut.
    pub sync_error: f64,
    /// A write takes only a part of the bytes.
    pub short_write: f64,
    /// Bytes the disk has.
    pub capacity: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Faults { sync_error: 0.0, short_write: 0.0, capacity: u64::MAX }
    }
}

/// How often each thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FaultCounts {
    /// Syncs that failed.
    pub sync_errors: u64,
    /// Writes that took a part only.
    pub short_writes: u64,
    /// Writes refused because the disk was full.
    pub disk_full: u64,
    /// Power cuts.
    pub power_cuts: u64,
    /// Sectors that a power cut lost.
    pub sectors_lost: u64,
    /// Names that a power cut took back.
    pub names_lost: u64,
}

/// The disk; clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// An open file of a [`SimDisk`].
pub struct SimFile {
    state: Arc<Mutex<State>>,
    inode: InodeId,
    boot: u64,
    writable: bool,
    /// The failed syncs of the file that this opening has heard of.
    errors_seen: Mutex<u64>,
}

type InodeId = u64;

struct State {
    random: StdRng,
    faults: Faults,
    counts: FaultCounts,
    inodes: BTreeMap<InodeId, Inode>,
    next_inode: InodeId,
    names: BTreeMap<PathBuf, Entry>,
    durable_names: BTreeMap<PathBuf, Entry>,
    /// Changes of names that are not synced, oldest first.
    name_changes: Vec<NameChange>,
    /// Counts power cuts; files opened before the last are dead.
    boot: u64,
    /// Changing calls until the power goes; `None` for never.
    fuse: Option<u64>,
    dead: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Dir,
    File(InodeId),
}

struct NameChange {
    dir: PathBuf,
    /// Names and what they stand for afterwards; one rename is two of them, and atomic.
    after: Vec<(PathBuf, Option<Entry>)>,
}

#[derive(Default)]
struct Inode {
    /// What a reader sees.
    content: Vec<u8>,
    /// What a power cut leaves for sure.
    durable: Vec<u8>,
    /// Which sectors were changed since the last sync.
    dirty: Vec<bool>,
    failed_syncs: u64,
}

impl SimDisk {
    /// An empty disk without faults. The same seed gives the same faults later.
    pub fn new(seed: u64) -> Self {
        let mut names = BTreeMap::new();
        names.insert(PathBuf::from("/"), Entry::Dir);
        let state = State {
            random: StdRng::seed_from_u64(seed),
            faults: Faults::default(),
            counts: FaultCounts::default(),
            inodes: BTreeMap::new(),
            next_inode: 0,
            durable_names: names.clone(),
            names,
            name_changes: Vec::new(),
            boot: 0,
            fuse: None,
            dead: false,
        };
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// What goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// What went wrong so far.
    pub fn counts(&self) -> FaultCounts {
        self.lock().counts
    }

    /// The power goes after so many changing calls, each of which fails from then on until [`SimDisk::power_cut`].
    pub fn burn_fuse(&self, calls: u64) {
        self.lock().fuse = Some(calls);
    }

    /// True once the fuse has burnt down.
    pub fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// The power goes and comes back: what was not synced is lost in part or whole. Files opened before are dead.
    pub fn power_cut(&self) {
        let mut state = self.lock();
        let state = &mut *state;
        state.boot += 1;
        state.counts.power_cuts += 1;
        state.dead = false;
        state.fuse = None;
        state.lose_names();
        // Some cuts take nothing, some take all, most a part.
        let survives = *[0.0, 0.1, 0.5, 0.9, 1.0].get(state.random.random_range(0..5)).unwrap_or(&0.5);
        let kept: BTreeSet<InodeId> = state
            .names
            .values()
            .filter_map(|entry| if let Entry::File(id) = entry { Some(*id) } else { None })
            .collect();
        state.inodes.retain(|id, _| kept.contains(id));
        for inode in state.inodes.values_mut() {
            state.counts.sectors_lost += inode.power_cut(&mut state.random, survives);
        }
    }

    /// The process that had files open is gone: none of them works any more; what was written stays as it is.
    pub fn orphan_files(&self) {
        self.lock().boot += 1;
    }

    /// Another disk with the same content, for looking at what would be.
    pub fn fork(&self) -> SimDisk {
        let state = self.lock();
        let inodes = state.inodes.iter().map(|(id, inode)| {
            let copy = Inode {
                content: inode.content.clone(),
                durable: inode.durable.clone(),
                dirty: inode.dirty.clone(),
                failed_syncs: inode.failed_syncs,
            };
            (*id, copy)
        });
        let fork = State {
            random: StdRng::seed_from_u64(0),
            faults: Faults::default(),
            counts: FaultCounts::default(),
            inodes: inodes.collect(),
            next_inode: state.next_inode,
            names: state.names.clone(),
            durable_names: state.durable_names.clone(),
            name_changes: Vec::new(),
            boot: 0,
            fuse: None,
            dead: false,
        };
        SimDisk { state: Arc::new(Mutex::new(fork)) }
    }

    /// Puts a whole file on the disk, durable, with its folders. For tests that start from given data.
    pub fn install(&self, path: &Path, content: Vec<u8>) {
        let mut state = self.lock();
        let parents: Vec<_> = path.ancestors().skip(1).map(Path::to_owned).collect();
        for dir in parents {
            state.names.insert(dir.clone(), Entry::Dir);
            state.durable_names.insert(dir, Entry::Dir);
        }
        let id = state.new_inode(Inode { durable: content.clone(), content, ..Inode::default() });
        state.names.insert(path.to_owned(), Entry::File(id));
        state.durable_names.insert(path.to_owned(), Entry::File(id));
    }

    /// Bytes of all files together.
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    /// What a reader sees of a file.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.lock();
        match state.names.get(path) {
            Some(Entry::File(id)) => Some(state.inodes[id].content.clone()),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, inode: InodeId, writable: bool) -> SimFile {
        let state = self.lock();
        let errors_seen = Mutex::new(state.inodes[&inode].failed_syncs);
        SimFile { state: self.state.clone(), inode, boot: state.boot, writable, errors_seen }
    }

    fn file_id(&self, path: &Path) -> io::Result<InodeId> {
        let state = self.lock();
        state.alive()?;
        match state.names.get(path) {
            Some(Entry::File(id)) => Ok(*id),
            Some(Entry::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl State {
    fn alive(&self) -> io::Result<()> {
        if self.dead { Err(io::Error::other("the power is gone")) } else { Ok(()) }
    }

    /// One changing call: burns the fuse.
    fn change(&mut self) -> io::Result<()> {
        self.alive()?;
        if let Some(calls) = &mut self.fuse {
            if *calls == 0 {
                self.dead = true;
                return self.alive();
            }
            *calls -= 1;
        }
        Ok(())
    }

    fn new_inode(&mut self, inode: Inode) -> InodeId {
        self.next_inode += 1;
        self.inodes.insert(self.next_inode, inode);
        self.next_inode
    }

    fn change_names(&mut self, after: Vec<(PathBuf, Option<Entry>)>) {
        for (path, entry) in &after {
            match entry {
                Some(entry) => self.names.insert(path.clone(), *entry),
                None => self.names.remove(path),
            };
        }
        let dir = parent(&after[0].0);
        self.name_changes.push(NameChange { dir, after });
    }

    fn sync_names(&mut self, dir: &Path) {
        let (synced, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.name_changes).into_iter().partition(|change| change.dir == dir);
        self.name_changes = rest;
        synced.into_iter().for_each(|change| apply_names(&mut self.durable_names, change));
    }

    /// Changes of names reach the disk in order: a power cut keeps the first of them.
    fn lose_names(&mut self) {
        let kept = self.random.random_range(0..=self.name_changes.len());
        for (at, change) in std::mem::take(&mut self.name_changes).into_iter().enumerate() {
            if at < kept {
                apply_names(&mut self.durable_names, change);
            } else {
                self.counts.names_lost += 1;
            }
        }
        let names = self.durable_names.clone();
        let is_dir = |path: &Path| names.get(path) == Some(&Entry::Dir);
        self.durable_names.retain(|path, _| path.ancestors().skip(1).all(is_dir));
        self.names = self.durable_names.clone();
    }

    /// Bytes of the files that have a name.
    fn used(&self) -> u64 {
        let ids = self.names.values().filter_map(|entry| if let Entry::File(id) = entry { Some(id) } else { None });
        ids.filter_map(|id| self.inodes.get(id)).map(|inode| inode.content.len() as u64).sum()
    }
}

fn apply_names(names: &mut BTreeMap<PathBuf, Entry>, change: NameChange) {
    for (path, entry) in change.after {
        match entry {
            Some(entry) => names.insert(path, entry),
            None => names.remove(&path),
        };
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("/")).to_owned()
}

/// Appends zeros up to `length`, as a copy of memory also in tests without optimization.
fn grow(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend_from_slice(&vec![0; length.saturating_sub(bytes.len())]);
}

impl Inode {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if end > self.content.len() {
            let old = self.content.len();
            grow(&mut self.content, end);
            self.touch(old, end);
        }
        self.content[offset..end].copy_from_slice(bytes);
        self.touch(offset, end);
    }

    fn touch(&mut self, from: usize, to: usize) {
        let (from, to) = (from / SECTOR, to.div_ceil(SECTOR));
        if self.dirty.len() < to {
            self.dirty.extend_from_slice(&vec![false; to - self.dirty.len()]);
        }
        self.dirty[from..to].fill(true);
    }

    /// The changed sectors, which are so no longer.
    fn take_dirty(&mut self) -> Vec<usize> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty.iter().enumerate().filter(|(_, dirty)| **dirty).map(|(sector, _)| sector).collect()
    }

    /// Copies the sector to what is durable, as far as that reaches.
    fn save_sector(&mut self, sector: usize) {
        let from = sector * SECTOR;
        let to = (from + SECTOR).min(self.content.len()).min(self.durable.len());
        if from < to {
            self.durable[from..to].copy_from_slice(&self.content[from..to]);
        }
    }

    fn sync(&mut self) {
        grow(&mut self.durable, self.content.len());
        self.durable.truncate(self.content.len());
        for sector in self.take_dirty() {
            self.save_sector(sector);
        }
    }

    /// The sync fails: a part reached the disk, and no later sync tries again.
    fn fail_sync(&mut self, random: &mut StdRng) {
        self.failed_syncs += 1;
        for sector in self.take_dirty() {
            if random.random_bool(0.5) {
                self.save_sector(sector);
            }
        }
    }

    /// Back to what is durable, with some of the rest; says how many sectors were lost.
    fn power_cut(&mut self, random: &mut StdRng, survives: f64) -> u64 {
        if self.durable.len() != self.content.len() {
            let (low, high) = (self.durable.len().min(self.content.len()), self.durable.len().max(self.content.len()));
            let between = (random.random_range(low..=high) / SECTOR * SECTOR).max(low);
            let length = [self.durable.len(), self.content.len(), between][random.random_range(0..3)];
            self.durable.resize(length, 0);
        }
        let mut lost = 0;
        for sector in self.take_dirty() {
            if random.random_bool(survives) {
                self.save_sector(sector);
            } else {
                lost += 1;
            }
        }
        self.content = self.durable.clone();
        lost
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn create(&self, path: &Path) -> io::Result<SimFile> {
        let mut state = self.lock();
        state.change()?;
        if !matches!(state.names.get(&parent(path)), Some(Entry::Dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let id = match state.names.get(path) {
            Some(Entry::File(id)) => {
                let id = *id;
                let inode = state.inodes.get_mut(&id).ok_or(io::ErrorKind::NotFound)?;
                inode.content.clear();
                inode.dirty.clear();
                id
            }
            Some(Entry::Dir) => return Err(io::ErrorKind::IsADirectory.into()),
            None => {
                let id = state.new_inode(Inode::default());
                state.change_names(vec![(path.to_owned(), Some(Entry::File(id)))]);
                id
            }
        };
        drop(state);
        Ok(self.handle(id, true))
    }

    fn open(&self, path: &Path) -> io::Result<SimFile> {
        Ok(self.handle(self.file_id(path)?, false))
    }

    fn open_write(&self, path: &Path) -> io::Result<SimFile> {
        Ok(self.handle(self.file_id(path)?, true))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let id = self.file_id(from)?;
        let mut state = self.lock();
        state.change()?;
        state.change_names(vec![(to.to_owned(), Some(Entry::File(id))), (from.to_owned(), None)]);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.file_id(path)?;
        let mut state = self.lock();
        state.change()?;
        state.change_names(vec![(path.to_owned(), None)]);
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.lock();
        state.alive()?;
        if !matches!(state.names.get(dir), Some(Entry::Dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let files =
            state.names.iter().filter(|(path, entry)| matches!(entry, Entry::File(_)) && path.parent() == Some(dir));
        Ok(files.filter_map(|(path, _)| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn is_dir(&self, dir: &Path) -> bool {
        matches!(self.lock().names.get(dir), Some(Entry::Dir))
    }

    fn is_file(&self, path: &Path) -> bool {
        matches!(self.lock().names.get(path), Some(Entry::File(_)))
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.change()?;
        if state.names.contains_key(dir) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !matches!(state.names.get(&parent(dir)), Some(Entry::Dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_names(vec![(dir.to_owned(), Some(Entry::Dir))]);
        Ok(())
    }

    fn is_writable(&self, dir: &Path) -> bool {
        self.is_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.change()?;
        state.sync_names(dir);
        Ok(())
    }

    fn free_space(&self, _dir: &Path) -> io::Result<u64> {
        let state = self.lock();
        state.alive()?;
        Ok(state.faults.capacity.saturating_sub(state.used()))
    }
}

impl SimFile {
    fn with<T>(&self, work: impl FnOnce(&mut State, &mut Inode) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.boot != self.boot {
            return Err(io::Error::other("opened before the power was cut"));
        }
        state.alive()?;
        // A removed file lives on while it is open; it leaves the map only at the next power cut.
        let mut inode = state.inodes.remove(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        let result = work(&mut state, &mut inode);
        state.inodes.insert(self.inode, inode);
        result
    }

    fn refuse_reader(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.with(|_, inode| Ok(inode.content.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|_, inode| {
            let rest = inode.content.get(offset as usize..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.refuse_reader()?;
        self.with(|state, inode| {
            state.change()?;
            let mut count = bytes.len();
            // Files take whole sectors; a write ends early only at the end of one.
            let first_end = SECTOR - offset as usize % SECTOR;
            if count > first_end && state.faults.short_write > 0.0 && state.random.random_bool(state.faults.short_write)
            {
                count = first_end + state.random.random_range(0..count - first_end) / SECTOR * SECTOR;
                state.counts.short_writes += 1;
            }
            if state.faults.capacity != u64::MAX {
                // The inode itself is out of the map just now.
                let room = state.faults.capacity.saturating_sub(state.used());
                let room = room / SECTOR as u64 * SECTOR as u64;
                let room = room.max(inode.content.len() as u64).saturating_sub(offset) as usize;
                if room < count {
                    state.counts.disk_full += 1;
                    count = room;
                }
                if count == 0 && !bytes.is_empty() {
                    return Err(io::ErrorKind::StorageFull.into());
                }
            }
            inode.write(&bytes[..count], offset as usize);
            Ok(count)
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.refuse_reader()?;
        self.with(|state, inode| {
            state.change()?;
            let (old, new) = (inode.content.len(), length as usize);
            inode.content.resize(new, 0);
            inode.touch(old.min(new), old.max(new));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|state, inode| {
            state.change()?;
            if state.faults.sync_error > 0.0 && state.random.random_bool(state.faults.sync_error) {
                state.counts.sync_errors += 1;
                inode.fail_sync(&mut state.random);
            } else {
                inode.sync();
            }
            let mut seen = self.errors_seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen < inode.failed_syncs {
                *seen = inode.failed_syncs;
                return Err(io::Error::other("the disk did not take the bytes"));
            }
            Ok(())
        })
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        self.with(|_, inode| {
            let rest = inode.content.get(offset as usize..).unwrap_or_default();
            let zeros = [0; 4096];
            let chunk = rest.chunks(zeros.len()).position(|chunk| chunk != &zeros[..chunk.len()]);
            let start = chunk.map(|chunk| chunk * zeros.len());
            let at = start.and_then(|start| Some(start + rest[start..].iter().position(|byte| *byte != 0)?));
            Ok(at.map(|at| offset + at as u64))
        })
    }
}
