//! The disk as the journal sees it: a narrow door, so that tests can put a worse disk behind it ([`super::sim`]).

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder of files. A created or renamed file is sure to keep its name only after [`sync_dir`](Storage::sync_dir).
pub trait Storage: Send + Sync {
    /// For error texts.
    fn place(&self) -> String;
    /// Takes the sole right to write here, until the lock is dropped. `None` when another process has it.
    fn lock(&self) -> io::Result<Option<StorageLock>>;
    fn list(&self) -> io::Result<Vec<String>>;
    /// A new, empty file.
    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>>;
    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn StorageFile>>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    fn sync_dir(&self) -> io::Result<()>;
}

/// An open file. Nothing written is sure to stay before [`sync_data`](StorageFile::sync_data) has returned.
pub trait StorageFile: Send + Sync {
    /// Fills `buf` from `offset` on; fewer bytes only where the file ends.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// All of `bytes`, or an error after which any part of them may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    fn sync_data(&self) -> io::Result<()>;
    fn file_bytes(&self) -> io::Result<u64>;
}

/// What a file is opened for. A journal on a read-only disk can still be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    ReadWrite,
}

/// Given back when dropped.
pub struct StorageLock {
    _held: Box<dyn Send + Sync>,
}

impl StorageLock {
    pub fn new(held: impl Send + Sync + 'static) -> StorageLock {
        StorageLock { _held: Box::new(held) }
    }
}

impl fmt::Debug for StorageLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StorageLock")
    }
}

/// Makes a file that is there either whole or not at all, and durable when this returns.
pub fn create_whole(storage: &dyn Storage, name: &str, bytes: &[u8]) -> io::Result<()> {
    let draft = format!("{name}.new");
    // From a start that was cut short: nothing in it was ever used.
    match storage.remove(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = storage.create(&draft)?;
    file.write_at(bytes, 0)?;
    file.sync_data()?;
    storage.rename(&draft, name)?;
    storage.sync_dir()
}

const LOCK_FILE: &str = "journal.lock";

/// Real files in a real folder.
#[derive(Clone, Debug)]
pub struct FileStorage {
    folder: PathBuf,
}

impl FileStorage {
    /// A folder that is there already, to read from.
    pub fn at(folder: impl Into<PathBuf>) -> FileStorage {
        FileStorage { folder: folder.into() }
    }

    /// Makes the folder if it is not there yet, and every name on the way to it durable: losing a parent that was
    /// just made would lose the journal with it.
    pub fn create(folder: impl Into<PathBuf>) -> io::Result<FileStorage> {
        let folder = folder.into();
        let made: Vec<&Path> = folder.ancestors().take_while(|step| !step.exists()).collect();
        fs::create_dir_all(&folder)?;
        for step in made {
            let parent = step.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(parent)?.sync_all()?;
        }
        Ok(FileStorage { folder })
    }
}

impl Storage for FileStorage {
    fn place(&self) -> String {
        self.folder.display().to_string()
    }

    fn lock(&self) -> io::Result<Option<StorageLock>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.folder.join(LOCK_FILE))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(StorageLock::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(self.folder.join(name))?;
        Ok(Arc::new(file))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn StorageFile>> {
        let write = access == Access::ReadWrite;
        Ok(Arc::new(OpenOptions::new().read(true).write(write).open(self.folder.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.folder.join(from), self.folder.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.folder.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

impl StorageFile for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match FileExt::read_at(self, &mut buf[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn file_bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_may_write_in_a_folder_until_it_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let storage = FileStorage::create(folder.path().join("data/journal")).unwrap();
        let lock = storage.lock().unwrap();
        assert!(lock.is_some());
        assert!(storage.lock().unwrap().is_none(), "a second open of the same folder is refused");
        drop(lock);
        assert!(storage.lock().unwrap().is_some());
    }
}
