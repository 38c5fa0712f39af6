//! A disk in memory that behaves as badly as real ones do. For tests and the simulator.
//!
//! # Fault model
//! - What is written stays in a cache, per page of 4 KiB, until the file is synced. A power cut keeps any subset of
//!   the unsynced pages, in any order, and may tear one of them at 512 bytes.
//! - A file's length grows by what landed. Names (created, renamed, removed) stay only once the folder is synced; a
//!   cut keeps any number of the pending changes, in their order, as a journalling file system does.
//! - A write can fail outright or half-way. A failed sync leaves its pages in a limbo: readable, called clean by later
//!   syncs, and perhaps on disk (`fsync` on Linux).
//! - Not modelled: bits that rot (tests flip them themselves), a sector that tears inside.
//!
//! Every operation is recorded, so a test can stand at each moment of a run ([`SimStorage::history`]).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::storage::{Access, Storage, StorageFile, StorageLock};

pub const PAGE: usize = 4096;
pub const SECTOR: usize = 512;

/// A file, whatever its name is at the moment.
pub type FileId = u32;

/// A page of a file that was written and not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageId {
    pub file: FileId,
    pub page: usize,
}

/// One thing that was asked of the disk.
#[derive(Clone, Debug)]
pub enum Operation {
    Create { name: String, file: FileId },
    Write { file: FileId, offset: usize, bytes: Vec<u8> },
    Sync { file: FileId, fails: bool },
    Rename { from: String, to: String },
    Remove { name: String },
    SyncDirectory,
}

/// What a power cut leaves of the unsynced.
#[derive(Clone, Debug, Default)]
pub struct CutPlan {
    pub landed: BTreeSet<PageId>,
    /// A page of which only the first sectors landed.
    pub torn: Option<(PageId, usize)>,
    /// How many of the pending changes of names landed.
    pub name_changes: usize,
}

/// The state of a disk: what is read now, and what would be there after a cut.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    files: BTreeMap<FileId, Content>,
    names: BTreeMap<String, FileId>,
    durable_names: BTreeMap<String, FileId>,
    pending: Vec<NameChange>,
}

#[derive(Clone, Debug, Default)]
struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
    /// Written, their sync failed, called clean since.
    limbo: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Add(String, FileId),
    Rename(String, String),
    Remove(String),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, FileId>) {
        match self {
            NameChange::Add(name, file) => {
                names.insert(name.clone(), *file);
            }
            NameChange::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            NameChange::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl Content {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.live.len() < end {
            self.live.resize(end, 0);
        }
        self.live[offset..end].copy_from_slice(bytes);
        if !bytes.is_empty() {
            for page in offset / PAGE..=(end - 1) / PAGE {
                self.dirty.insert(page);
                self.limbo.remove(&page);
            }
        }
    }

    fn sync(&mut self) {
        for page in std::mem::take(&mut self.dirty) {
            self.land(page, PAGE);
        }
        // A sync makes the length durable too, as far as the data needs it.
        if self.limbo.is_empty() && self.durable.len() < self.live.len() {
            self.durable.resize(self.live.len(), 0);
        }
    }

    /// Brings the first `bytes` of a page to the disk.
    fn land(&mut self, page: usize, bytes: usize) {
        let start = page * PAGE;
        let end = (start + bytes).min(self.live.len());
        if end > start {
            if self.durable.len() < end {
                self.durable.resize(end, 0);
            }
            self.durable[start..end].copy_from_slice(&self.live[start..end]);
        }
    }
}

impl Disk {
    pub fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Create { name, file } => {
                self.files.insert(*file, Content::default());
                self.change_names(NameChange::Add(name.clone(), *file));
            }
            Operation::Write { file, offset, bytes } => {
                self.files.entry(*file).or_default().write(*offset, bytes);
            }
            Operation::Sync { file, fails: false } => self.files.entry(*file).or_default().sync(),
            Operation::Sync { file, fails: true } => {
                let content = self.files.entry(*file).or_default();
                let dirty = std::mem::take(&mut content.dirty);
                content.limbo.extend(dirty);
            }
            Operation::Rename { from, to } => self.change_names(NameChange::Rename(from.clone(), to.clone())),
            Operation::Remove { name } => self.change_names(NameChange::Remove(name.clone())),
            Operation::SyncDirectory => {
                self.durable_names = self.names.clone();
                self.pending.clear();
            }
        }
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }

    /// Pages whose fate a power cut now would decide.
    #[must_use]
    pub fn unsynced_pages(&self) -> Vec<PageId> {
        let of = |(file, content): (&FileId, &Content)| {
            let file = *file;
            content.dirty.union(&content.limbo).map(move |page| PageId { file, page: *page }).collect::<Vec<_>>()
        };
        self.files.iter().flat_map(of).collect()
    }

    /// Changes of names whose fate a power cut now would decide.
    #[must_use]
    pub fn pending_name_changes(&self) -> usize {
        self.pending.len()
    }

    /// The disk as the next start finds it.
    #[must_use]
    pub fn cut(&self, plan: &CutPlan) -> SimStorage {
        let mut names = self.durable_names.clone();
        for change in self.pending.iter().take(plan.name_changes) {
            change.apply(&mut names);
        }
        let mut files = BTreeMap::new();
        for file in names.values() {
            let mut content = self.files.get(file).cloned().unwrap_or_default();
            let unsynced: Vec<usize> = content.dirty.union(&content.limbo).copied().collect();
            for page in unsynced {
                let id = PageId { file: *file, page };
                match plan.torn {
                    Some((torn, sectors)) if torn == id => content.land(page, sectors * SECTOR),
                    _ if plan.landed.contains(&id) => content.land(page, PAGE),
                    _ => {}
                }
            }
            let durable = content.durable;
            files.insert(*file, Content { live: durable.clone(), durable, ..Content::default() });
        }
        SimStorage::from(Disk { files, names: names.clone(), durable_names: names, pending: Vec::new() })
    }
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct SimStorage {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Default)]
struct State {
    base: Disk,
    disk: Disk,
    operations: Vec<Operation>,
    next_file: FileId,
    locked: bool,
    faults: Faults,
}

#[derive(Default)]
struct Faults {
    /// Writes until one fails, and how many of its bytes get through.
    write: Option<(u64, usize)>,
    sync: Option<u64>,
    syncs_held: bool,
    syncs_waiting: u64,
}

/// A run of a disk, to be lived again step by step.
#[derive(Clone, Debug)]
pub struct History {
    pub base: Disk,
    pub operations: Vec<Operation>,
}

impl History {
    /// The disk after the first `count` operations.
    #[must_use]
    pub fn disk_after(&self, count: usize) -> Disk {
        let mut disk = self.base.clone();
        self.operations.iter().take(count).for_each(|operation| disk.apply(operation));
        disk
    }
}

impl From<Disk> for SimStorage {
    fn from(disk: Disk) -> SimStorage {
        let next_file = disk.files.keys().next_back().map_or(0, |file| file + 1);
        let state = State { base: disk.clone(), disk, next_file, ..State::default() };
        SimStorage { shared: Arc::new(Shared { state: Mutex::new(state), released: Condvar::new() }) }
    }
}

impl SimStorage {
    #[must_use]
    pub fn new() -> SimStorage {
        SimStorage::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that was asked of this disk so far.
    #[must_use]
    pub fn history(&self) -> History {
        let state = self.state();
        History { base: state.base.clone(), operations: state.operations.clone() }
    }

    #[must_use]
    pub fn operation_count(&self) -> usize {
        self.state().operations.len()
    }

    /// The power goes now. This disk stays as it is: the returned one is what the next start finds.
    #[must_use]
    pub fn cut(&self, plan: &CutPlan) -> SimStorage {
        self.state().disk.cut(plan)
    }

    /// The n-th write from now on (1 = the next) fails after `bytes` of it were written.
    pub fn fail_write(&self, n: u64, bytes: usize) {
        self.state().faults.write = Some((n, bytes));
    }

    /// The n-th sync from now on, of a file or of the folder, fails.
    pub fn fail_sync(&self, n: u64) {
        self.state().faults.sync = Some(n);
    }

    /// Syncs of files wait until [`release_syncs`](Self::release_syncs).
    pub fn hold_syncs(&self) {
        self.state().faults.syncs_held = true;
    }

    pub fn release_syncs(&self) {
        self.state().faults.syncs_held = false;
        self.shared.released.notify_all();
    }

    /// How many syncs are being held.
    #[must_use]
    pub fn syncs_waiting(&self) -> u64 {
        self.state().faults.syncs_waiting
    }

    /// A file's bytes as they are read now; empty when there is no such file.
    #[must_use]
    pub fn file(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        let content = state.disk.names.get(name).and_then(|file| state.disk.files.get(file));
        content.map_or_else(Vec::new, |content| content.live.clone())
    }

    /// Replaces a file's bytes, on the disk itself: for damage. Not part of the history.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let Some(file) = state.disk.names.get(name).copied() else { return };
        if let Some(content) = state.disk.files.get_mut(&file) {
            change(&mut content.live);
            content.durable.clone_from(&content.live);
            content.dirty.clear();
        }
    }
}

impl State {
    fn perform(&mut self, operation: Operation) {
        self.disk.apply(&operation);
        self.operations.push(operation);
    }

    fn file(&self, name: &str) -> io::Result<FileId> {
        self.disk.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_fails(&mut self) -> bool {
        let Some(left) = &mut self.faults.sync else { return false };
        *left -= 1;
        let fails = *left == 0;
        if fails {
            self.faults.sync = None;
        }
        fails
    }
}

fn failure(what: &str) -> io::Error {
    io::Error::other(format!("simulated {what} error"))
}

impl Storage for SimStorage {
    fn place(&self) -> String {
        "the simulated disk".into()
    }

    fn lock(&self) -> io::Result<Option<StorageLock>> {
        struct Held(SimStorage);
        impl Drop for Held {
            fn drop(&mut self) {
                self.0.state().locked = false;
            }
        }
        if std::mem::replace(&mut self.state().locked, true) {
            return Ok(None);
        }
        Ok(Some(StorageLock::new(Held(self.clone()))))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().disk.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let mut state = self.state();
        if state.disk.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = state.next_file;
        state.next_file += 1;
        state.perform(Operation::Create { name: name.into(), file });
        Ok(Arc::new(SimFile { storage: self.clone(), file, access: Access::ReadWrite }))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn StorageFile>> {
        let file = self.state().file(name)?;
        Ok(Arc::new(SimFile { storage: self.clone(), file, access }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.file(from)?;
        state.perform(Operation::Rename { from: from.into(), to: to.into() });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.file(name)?;
        state.perform(Operation::Remove { name: name.into() });
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.sync_fails() {
            return Err(failure("sync"));
        }
        state.perform(Operation::SyncDirectory);
        Ok(())
    }
}

struct SimFile {
    storage: SimStorage,
    file: FileId,
    access: Access,
}

impl StorageFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.storage.state();
        let bytes = state.disk.files.get(&self.file).map_or(&[][..], |content| &content.live[..]);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let count = buf.len().min(bytes.len() - start);
        buf[..count].copy_from_slice(&bytes[start..start + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.access == Access::Read {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut state = self.storage.state();
        let mut failing_after = None;
        if let Some((left, part)) = &mut state.faults.write {
            *left -= 1;
            if *left == 0 {
                failing_after = Some((*part).min(bytes.len()));
                state.faults.write = None;
            }
        }
        let through = failing_after.unwrap_or(bytes.len());
        let offset = usize::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        state.perform(Operation::Write { file: self.file, offset, bytes: bytes[..through].to_vec() });
        if failing_after.is_some() { Err(failure("write")) } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.storage.state();
        state.faults.syncs_waiting += 1;
        while state.faults.syncs_held {
            state = self.storage.shared.released.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.faults.syncs_waiting -= 1;
        let fails = state.sync_fails();
        state.perform(Operation::Sync { file: self.file, fails });
        if fails { Err(failure("sync")) } else { Ok(()) }
    }

    fn file_bytes(&self) -> io::Result<u64> {
        let state = self.storage.state();
        Ok(state.disk.files.get(&self.file).map_or(0, |content| content.live.len() as u64))
    }
}
