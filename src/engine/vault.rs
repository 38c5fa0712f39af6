//! Keys: what seals personal text, and the root secret that everything else unguessable is derived from.
//!
//! **Owns** the folder `keys/`: one file `root` (32 random bytes for the whole daemon) and one key file per platform.
//! **Never** writes a text, decides who is erased, or hands out a number: which key is next is state of the platform's
//! machine, so that a replay takes the same one.
//! **Why a file of its own:** the journal is never edited, so a person is erased by overwriting a key. For the same
//! reason nothing here can be rebuilt: whoever backs up the journal must back up `keys/` too.
//!
//! Every platform has a key file of its own, because a nonce is (sequence, ordinal) and sequences are per platform: one
//! pool for two platforms would use one key and one nonce for two texts.
//!
//! # Bytes of a key file (little endian)
//! ```text
//!    0  header slot 0   magic, version, platform, blocks in use, CRC-32C
//! 4096  header slot 1   the same; the sound slot with more blocks counts
//! 8192  block 0         4,096 keys of 32 bytes, each followed by the CRC-32C of (number, key); all zero: erased
//!       block 1 ...
//! ```
//! A block is written and synced, then the header that counts it is, and only then may its keys be used. A crash in
//! between leaves bytes that no header counts, and they are written again.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};

use super::journal::storage::{Access, FileStorage, Storage, StorageFile, create_whole};
use crate::domain::seal::{Nonce, Sealed, Vault};

/// Keys that one growth adds.
pub const BLOCK_KEYS: u32 = 4_096;
/// Grow ahead when fewer are left.
const LOW_WATER_KEYS: u32 = 1_024;

const KEY_BYTES: usize = 32;
const ROW_BYTES: usize = KEY_BYTES + 4;
const BLOCK_BYTES: usize = BLOCK_KEYS as usize * ROW_BYTES;
const SLOT_BYTES: u64 = 4_096;
const BLOCKS_AT: u64 = 2 * SLOT_BYTES;
const HEADER_BYTES: usize = 24;
const KEYS_MAGIC: [u8; 8] = *b"FLORKEYS";
const ROOT_MAGIC: [u8; 8] = *b"FLORROOT";
const VERSION: u32 = 1;
const ROOT_FILE: &str = "root";
const ROOT_BYTES: usize = 8 + 4 + KEY_BYTES + 4;

/// Two levels of this many blocks each: 4,294,967,296 keys, every number that a `u32` can name.
const FAN_OUT: usize = 1_024;

/// Why keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The disk said no.
    #[error("keys: cannot {doing} in {place}: {source}; check the disk (space, health, permissions), then start again")]
    Io {
        /// What was tried.
        doing: String,
        /// Where.
        place: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A journal without its keys: ids and sealed texts would change or be lost.
    #[error(
        "keys: {file} is missing in {place}, but the journal has entries that need it. Restore the folder from the \
         backup that belongs to this journal; with a new one every id and every personal text would be lost"
    )]
    Missing {
        /// Which file.
        file: String,
        /// Where.
        place: String,
    },
    /// The file is not what was written.
    #[error("keys: {file} in {place} is damaged: {what}. Nothing was changed. Restore it from a backup")]
    Damaged {
        /// Which file.
        file: String,
        /// Where.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// Written by a newer release.
    #[error("keys: {file} has format version {version}, this release reads up to {VERSION}: start the newer release")]
    Newer {
        /// Which file.
        file: String,
        /// Its version.
        version: u32,
    },
    /// The system's source of randomness failed.
    #[error("keys: the system gave no random bytes: {0}")]
    Random(String),
}

/// Whether what is not there may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// This data folder is new.
    Create,
    /// The journal has entries: refuse.
    Refuse,
}

/// The folder of keys, readable by its owner alone.
///
/// # Errors
/// Those of the file system.
pub fn private_folder(folder: &Path) -> io::Result<FileStorage> {
    use std::os::unix::fs::PermissionsExt;
    let storage = FileStorage::create(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    Ok(storage)
}

// ---------------------------------------------------------------------------------------------------------------
// The root secret

/// The secret from which ids, fingerprints and client secrets are derived. Never printed, never rendered.
#[derive(Clone)]
pub struct Root([u8; KEY_BYTES]);

/// What one platform derives from the root.
#[derive(Clone)]
pub struct PlatformSecrets {
    /// For `IdCipher`: the permutation that makes ids look random.
    pub ids: [u8; 16],
    /// Keys the fingerprints of cards and bank accounts.
    pub fingerprints: [u8; 32],
    /// Keys the hashes of idempotency keys and their parameters.
    pub idempotency: [u8; 32],
    /// Keys what `client_secret`s are derived from.
    pub client_secrets: [u8; 32],
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Root(secret)")
    }
}

impl std::fmt::Debug for PlatformSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PlatformSecrets(secret)")
    }
}

impl Root {
    /// The root of a simulation or a test.
    pub fn seeded(seed: u64) -> Root {
        Root(*blake3::keyed_hash(&[0; 32], &seed.to_le_bytes()).as_bytes())
    }

    /// Reads the root, or makes it where it may be made. It is on disk when this returns.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn open(storage: &dyn Storage, absent: Absent) -> Result<Root, VaultError> {
        let names = storage.list().map_err(io_error(storage, "list the folder"))?;
        if names.iter().any(|name| name == ROOT_FILE) {
            return Root::read(storage);
        }
        if absent == Absent::Refuse {
            return Err(VaultError::Missing { file: ROOT_FILE.to_owned(), place: storage.place() });
        }
        let mut secret = [0; KEY_BYTES];
        random(&mut secret)?;
        let mut bytes = Vec::with_capacity(ROOT_BYTES);
        bytes.extend_from_slice(&ROOT_MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&secret);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        create_whole(storage, ROOT_FILE, &bytes).map_err(io_error(storage, "make root"))?;
        Ok(Root(secret))
    }

    fn read(storage: &dyn Storage) -> Result<Root, VaultError> {
        let damaged = |what: &str| VaultError::Damaged {
            file: ROOT_FILE.to_owned(),
            place: storage.place(),
            what: what.to_owned(),
        };
        let file = storage.open(ROOT_FILE, Access::Read).map_err(io_error(storage, "open root"))?;
        let mut bytes = [0; ROOT_BYTES];
        let read = file.read_at(&mut bytes, 0).map_err(io_error(storage, "read root"))?;
        if read < ROOT_BYTES || bytes[..8] != ROOT_MAGIC {
            return Err(damaged("it is too short or no root file"));
        }
        let version = le_u32(&bytes, 8);
        if version != VERSION {
            return Err(VaultError::Newer { file: ROOT_FILE.to_owned(), version });
        }
        if le_u32(&bytes, ROOT_BYTES - 4) != crc32c::crc32c(&bytes[..ROOT_BYTES - 4]) {
            return Err(damaged("its checksum does not fit"));
        }
        let mut secret = [0; KEY_BYTES];
        secret.copy_from_slice(&bytes[12..12 + KEY_BYTES]);
        Ok(Root(secret))
    }

    /// The secrets of a platform.
    pub fn platform(&self, platform: u32) -> PlatformSecrets {
        let ids = self.derive("ids", platform);
        let mut short = [0; 16];
        short.copy_from_slice(&ids[..16]);
        PlatformSecrets {
            ids: short,
            fingerprints: self.derive("fingerprints", platform),
            idempotency: self.derive("idempotency", platform),
            client_secrets: self.derive("client secrets", platform),
        }
    }

    /// A key for one purpose of one platform. Purposes are fixed for ever.
    pub fn derive(&self, purpose: &str, platform: u32) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&platform.to_le_bytes());
        hasher.update(purpose.as_bytes());
        *hasher.finalize().as_bytes()
    }
}

// ---------------------------------------------------------------------------------------------------------------
// The vault

/// A platform's keys, and the AEAD that uses them. Cheap to clone.
#[derive(Clone)]
pub struct KeyVault {
    keys: Arc<Keys>,
}

enum Keys {
    File(KeyFile),
    Seeded { seed: [u8; KEY_BYTES], any_erased: AtomicBool, erased: RwLock<BTreeSet<u32>> },
}

impl std::fmt::Debug for KeyVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyVault(secret)")
    }
}

impl KeyVault {
    /// Keys that derive from a seed, without a file: the same in every run.
    pub fn seeded(seed: u64, platform: u32) -> KeyVault {
        let seed = Root::seeded(seed).derive("vault", platform);
        KeyVault {
            keys: Arc::new(Keys::Seeded {
                seed,
                any_erased: AtomicBool::new(false),
                erased: RwLock::new(BTreeSet::new()),
            }),
        }
    }

    /// Opens a platform's key file, or makes it where it may be made. Its first block is on disk when this returns.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn open(storage: Arc<dyn Storage>, platform: u32, absent: Absent) -> Result<KeyVault, VaultError> {
        Ok(KeyVault { keys: Arc::new(Keys::File(KeyFile::open(storage, platform, absent)?)) })
    }

    /// Makes sure that keys below `count` are there and on disk. Waits for the disk only when they are truly missing;
    /// starts to grow in the background when few are left.
    ///
    /// # Errors
    /// [`VaultError`]: the file could not be grown.
    pub fn ensure(&self, count: u32) -> Result<(), VaultError> {
        match &*self.keys {
            Keys::Seeded { .. } => Ok(()),
            Keys::File(file) => {
                if count > file.available() {
                    file.grow_to(count)?;
                }
                if file.available() - count < LOW_WATER_KEYS {
                    self.grow_ahead();
                }
                Ok(())
            }
        }
    }

    /// Keys that may be used now.
    pub fn available(&self) -> u32 {
        match &*self.keys {
            Keys::Seeded { .. } => u32::MAX,
            Keys::File(file) => file.available(),
        }
    }

    /// Numbers of keys whose bytes do not fit their checksum. Texts under them are lost; money is not touched.
    pub fn damaged(&self) -> &[u32] {
        match &*self.keys {
            Keys::Seeded { .. } => &[],
            Keys::File(file) => &file.damaged,
        }
    }

    /// Erases keys for ever: what they sealed opens to nothing. They are gone from disk when this returns.
    ///
    /// # Errors
    /// [`VaultError`]; then any of them may or may not be gone.
    pub fn erase(&self, key_nos: &[u32]) -> Result<(), VaultError> {
        match &*self.keys {
            Keys::Seeded { any_erased, erased, .. } => {
                erased.write().unwrap_or_else(PoisonError::into_inner).extend(key_nos);
                any_erased.store(true, Ordering::Release);
                Ok(())
            }
            Keys::File(file) => file.erase(key_nos),
        }
    }

    /// Whether a key was erased: it had been taken into use, and it is not damaged but gone.
    pub fn is_erased(&self, key_no: u32) -> bool {
        key_no < self.available() && self.key(key_no).is_none() && !self.damaged().contains(&key_no)
    }

    fn grow_ahead(&self) {
        let Keys::File(file) = &*self.keys else { return };
        if file.growing.swap(true, Ordering::AcqRel) {
            return;
        }
        let keys = Arc::clone(&self.keys);
        let spawned = std::thread::Builder::new().name("florin-keys".to_owned()).spawn(move || {
            if let Keys::File(file) = &*keys {
                let wanted = file.available().saturating_add(1);
                if let Err(error) = file.grow_to(wanted) {
                    // `ensure` tries again and tells its caller when the last key is gone.
                    tracing::warn!(%error, "could not grow the key file ahead of need");
                }
                file.growing.store(false, Ordering::Release);
            }
        });
        if spawned.is_err() {
            file.growing.store(false, Ordering::Release);
        }
    }

    fn key(&self, key_no: u32) -> Option<[u8; KEY_BYTES]> {
        match &*self.keys {
            Keys::File(file) => file.key(key_no),
            Keys::Seeded { seed, any_erased, erased } => {
                if any_erased.load(Ordering::Acquire)
                    && erased.read().unwrap_or_else(PoisonError::into_inner).contains(&key_no)
                {
                    return None;
                }
                Some(*blake3::keyed_hash(seed, &key_no.to_le_bytes()).as_bytes())
            }
        }
    }
}

impl Vault for KeyVault {
    /// Under an erased key nothing is kept: the result is empty, as for no text at all.
    ///
    /// # Panics
    /// Where the key is not there yet and the disk refuses to grow the file. The machine calls [`KeyVault::ensure`]
    /// before it decides, so this is a broken disk inside a decision, which is caught there and changes nothing.
    fn seal(&self, key_no: u32, nonce: Nonce, plain: &[u8]) -> Vec<u8> {
        if key_no >= self.available()
            && let Err(error) = self.ensure(key_no.saturating_add(1))
        {
            panic!("no key {key_no} to seal with: {error}");
        }
        let Some(key) = self.key(key_no) else { return Vec::new() };
        let payload = Payload { msg: plain, aad: &key_no.to_be_bytes() };
        // Fails only for texts of 256 GiB.
        ChaCha20Poly1305::new(&key.into()).encrypt(&nonce_bytes(nonce).into(), payload).unwrap_or_default()
    }

    fn open(&self, sealed: &Sealed) -> Option<Vec<u8>> {
        let key = self.key(sealed.key_no)?;
        let payload = Payload { msg: &sealed.bytes, aad: &sealed.key_no.to_be_bytes() };
        ChaCha20Poly1305::new(&key.into()).decrypt(&nonce_bytes(sealed.nonce).into(), payload).ok()
    }
}

fn nonce_bytes(nonce: Nonce) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&nonce.seq.to_be_bytes());
    bytes[8..].copy_from_slice(&nonce.ordinal.to_be_bytes());
    bytes
}

// ---------------------------------------------------------------------------------------------------------------
// The key file

/// Four words that can be read without a lock while another thread erases them. All zero: no key.
type Cell = [AtomicU64; 4];
type Block = Box<[Cell]>;
type Shelf = Box<[OnceLock<Block>]>;

struct KeyFile {
    file: Arc<dyn StorageFile>,
    name: String,
    place: String,
    platform: u32,
    /// Blocks on disk, counted by a synced header.
    blocks: AtomicU32,
    shelves: Box<[OnceLock<Shelf>]>,
    damaged: Vec<u32>,
    growing: AtomicBool,
    /// Held while the file is written.
    writing: Mutex<()>,
}

impl KeyFile {
    fn open(storage: Arc<dyn Storage>, platform: u32, absent: Absent) -> Result<KeyFile, VaultError> {
        let name = format!("{platform:010}.keys");
        let names = storage.list().map_err(io_error(&*storage, "list the folder"))?;
        if !names.contains(&name) {
            if absent == Absent::Refuse {
                return Err(VaultError::Missing { file: name, place: storage.place() });
            }
            let mut bytes = vec![0; usize::try_from(BLOCKS_AT).unwrap_or_default()];
            let slot = slot_at(1) as usize;
            bytes[slot..slot + HEADER_BYTES].copy_from_slice(&header(platform, 1));
            bytes.extend_from_slice(&random_block(0)?);
            create_whole(&*storage, &name, &bytes).map_err(io_error(&*storage, "make a key file"))?;
        }
        let file = storage.open(&name, Access::ReadWrite).map_err(io_error(&*storage, "open a key file"))?;
        let mut keys = KeyFile {
            file,
            name,
            place: storage.place(),
            platform,
            blocks: AtomicU32::new(0),
            shelves: (0..FAN_OUT).map(|_| OnceLock::new()).collect(),
            damaged: Vec::new(),
            growing: AtomicBool::new(false),
            writing: Mutex::new(()),
        };
        keys.load()?;
        Ok(keys)
    }

    fn load(&mut self) -> Result<(), VaultError> {
        let blocks = self.read_headers()?;
        // The header may be in the page cache only: whoever wrote it may have died before its sync, or of a failed one,
        // after which the cache calls clean what the disk never got. Writing it again makes it count.
        self.file.write_at(&header(self.platform, blocks), slot_at(blocks)).map_err(|e| self.io("count keys", e))?;
        self.file.sync_data().map_err(|e| self.io("sync the count of keys", e))?;
        let mut bytes = vec![0; BLOCK_BYTES];
        let mut damaged = Vec::new();
        for number in 0..blocks {
            let read = self.file.read_at(&mut bytes, block_at(number)).map_err(|e| self.io("read a key file", e))?;
            if read < BLOCK_BYTES {
                return Err(self.damage(format!("it ends within block {number} of {blocks}")));
            }
            self.shelve(number, &bytes, &mut damaged);
        }
        if !damaged.is_empty() {
            tracing::warn!(
                file = self.name, keys = ?damaged,
                "keys do not fit their checksums: texts under them cannot be read; restore the key file from a backup"
            );
        }
        self.damaged = damaged;
        self.blocks.store(blocks, Ordering::Release);
        Ok(())
    }

    fn read_headers(&self) -> Result<u32, VaultError> {
        let mut best = None;
        let mut newer = None;
        for slot in 0..2 {
            let mut bytes = [0; HEADER_BYTES];
            let read = self.file.read_at(&mut bytes, slot_at(slot)).map_err(|e| self.io("read a key file", e))?;
            if read < HEADER_BYTES
                || bytes[..8] != KEYS_MAGIC
                || le_u32(&bytes, HEADER_BYTES - 4) != crc32c::crc32c(&bytes[..HEADER_BYTES - 4])
            {
                continue;
            }
            match (le_u32(&bytes, 8), le_u32(&bytes, 12), le_u32(&bytes, 16)) {
                (VERSION, platform, blocks) if platform == self.platform => best = best.max(Some(blocks)),
                (VERSION, platform, _) => {
                    return Err(self.damage(format!("it belongs to platform {platform}")));
                }
                (version, _, _) => newer = Some(version),
            }
        }
        if let Some(version) = newer {
            return Err(VaultError::Newer { file: self.name.clone(), version });
        }
        best.filter(|&blocks| blocks > 0).ok_or_else(|| self.damage("it has no sound header".to_owned()))
    }

    /// Puts a block's rows into memory.
    fn shelve(&self, number: u32, bytes: &[u8], damaged: &mut Vec<u32>) {
        let mut no = number * BLOCK_KEYS;
        let mut cells = Vec::with_capacity(BLOCK_KEYS as usize);
        for row in bytes.chunks_exact(ROW_BYTES) {
            let sound = le_u32(row, KEY_BYTES) == row_crc(no, &row[..KEY_BYTES]);
            if !sound && row.iter().any(|&byte| byte != 0) {
                damaged.push(no);
            }
            cells.push(std::array::from_fn(|word| AtomicU64::new(if sound { le_u64(row, word * 8) } else { 0 })));
            no = no.wrapping_add(1);
        }
        let (shelf, place) = (number as usize / FAN_OUT, number as usize % FAN_OUT);
        let shelf = self.shelves[shelf].get_or_init(|| (0..FAN_OUT).map(|_| OnceLock::new()).collect());
        // A block that is there already is the same one.
        let _ = shelf[place].set(cells.into_boxed_slice());
    }

    fn cell(&self, key_no: u32) -> Option<&Cell> {
        let (block, row) = ((key_no / BLOCK_KEYS) as usize, (key_no % BLOCK_KEYS) as usize);
        self.shelves[block / FAN_OUT].get()?[block % FAN_OUT].get()?.get(row)
    }

    fn key(&self, key_no: u32) -> Option<[u8; KEY_BYTES]> {
        if key_no >= self.available() {
            return None;
        }
        let mut key = [0; KEY_BYTES];
        for (word, bytes) in self.cell(key_no)?.iter().zip(key.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        (key != [0; KEY_BYTES]).then_some(key)
    }

    fn available(&self) -> u32 {
        self.blocks.load(Ordering::Acquire).saturating_mul(BLOCK_KEYS)
    }

    fn grow_to(&self, count: u32) -> Result<(), VaultError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        while self.available() < count {
            let number = self.blocks.load(Ordering::Acquire);
            let bytes = random_block(number)?;
            self.file.write_at(&bytes, block_at(number)).map_err(|e| self.io("write new keys", e))?;
            self.file.sync_data().map_err(|e| self.io("sync new keys", e))?;
            self.file
                .write_at(&header(self.platform, number + 1), slot_at(number + 1))
                .map_err(|e| self.io("count new keys", e))?;
            self.file.sync_data().map_err(|e| self.io("sync the count of keys", e))?;
            self.shelve(number, &bytes, &mut Vec::new());
            self.blocks.store(number + 1, Ordering::Release);
        }
        Ok(())
    }

    fn erase(&self, key_nos: &[u32]) -> Result<(), VaultError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        for &key_no in key_nos {
            let Some(cell) = self.cell(key_no).filter(|_| key_no < self.available()) else { continue };
            for word in cell {
                word.store(0, Ordering::Relaxed);
            }
            // Also where memory has none: whoever erased it may have died before its sync.
            let at = block_at(key_no / BLOCK_KEYS) + u64::from(key_no % BLOCK_KEYS) * ROW_BYTES as u64;
            self.file.write_at(&[0; ROW_BYTES], at).map_err(|e| self.io("erase a key", e))?;
        }
        self.file.sync_data().map_err(|e| self.io("sync erased keys", e))
    }

    fn io(&self, doing: &str, source: io::Error) -> VaultError {
        VaultError::Io { doing: format!("{doing} ({})", self.name), place: self.place.clone(), source }
    }

    fn damage(&self, what: String) -> VaultError {
        VaultError::Damaged { file: self.name.clone(), place: self.place.clone(), what }
    }
}

fn header(platform: u32, blocks: u32) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&KEYS_MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&platform.to_le_bytes());
    bytes[16..20].copy_from_slice(&blocks.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..20]);
    bytes[20..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn slot_at(blocks: u32) -> u64 {
    u64::from(blocks % 2) * SLOT_BYTES
}

fn block_at(number: u32) -> u64 {
    BLOCKS_AT + u64::from(number) * BLOCK_BYTES as u64
}

fn row_crc(key_no: u32, key: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&key_no.to_le_bytes()), key)
}

fn random_block(number: u32) -> Result<Vec<u8>, VaultError> {
    let mut keys = vec![0; BLOCK_KEYS as usize * KEY_BYTES];
    random(&mut keys)?;
    let mut bytes = Vec::with_capacity(BLOCK_BYTES);
    for (key, no) in keys.chunks_exact(KEY_BYTES).zip(number * BLOCK_KEYS..) {
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(&row_crc(no, key).to_le_bytes());
    }
    Ok(bytes)
}

fn random(bytes: &mut [u8]) -> Result<(), VaultError> {
    getrandom::fill(bytes).map_err(|error| VaultError::Random(error.to_string()))
}

fn io_error<'a>(storage: &'a dyn Storage, doing: &'a str) -> impl FnOnce(io::Error) -> VaultError + 'a {
    move |source| VaultError::Io { doing: doing.to_owned(), place: storage.place(), source }
}

fn le_u32(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn le_u64(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const NONCE: Nonce = Nonce { seq: 7, ordinal: 1 };

    fn folder() -> (tempfile::TempDir, Arc<dyn Storage>) {
        let folder = tempfile::tempdir().unwrap();
        let storage = private_folder(&folder.path().join("keys")).unwrap();
        (folder, Arc::new(storage))
    }

    fn sealed(vault: &KeyVault, key_no: u32, text: &str) -> Sealed {
        Sealed { key_no, nonce: NONCE, bytes: vault.seal(key_no, NONCE, text.as_bytes()) }
    }

    fn opened(vault: &KeyVault, sealed: &Sealed) -> Option<String> {
        vault.open(sealed).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    fn wait_until(what: impl Fn() -> bool) {
        let began = Instant::now();
        while !what() {
            assert!(began.elapsed() < Duration::from_secs(10), "waited too long");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn keys_that_were_grown_survive_a_restart() {
        let (_folder, storage) = folder();
        let vault = KeyVault::open(Arc::clone(&storage), 1, Absent::Create).unwrap();
        assert_eq!(vault.available(), BLOCK_KEYS);
        vault.ensure(2 * BLOCK_KEYS + 1).unwrap();
        let first = sealed(&vault, 0, "Bakery Lane 1");
        let last = sealed(&vault, 2 * BLOCK_KEYS, "Mill Street 2");
        drop(vault);

        let vault = KeyVault::open(storage, 1, Absent::Refuse).unwrap();
        assert!(vault.available() >= 3 * BLOCK_KEYS);
        assert_eq!(opened(&vault, &first).as_deref(), Some("Bakery Lane 1"));
        assert_eq!(opened(&vault, &last).as_deref(), Some("Mill Street 2"));
        assert!(vault.damaged().is_empty());
    }

    #[test]
    fn the_pool_grows_ahead_before_the_last_thousand_keys_are_taken() {
        let (_folder, storage) = folder();
        let vault = KeyVault::open(storage, 1, Absent::Create).unwrap();
        vault.ensure(BLOCK_KEYS - LOW_WATER_KEYS).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(vault.available(), BLOCK_KEYS, "enough are left");
        vault.ensure(BLOCK_KEYS - LOW_WATER_KEYS + 1).unwrap();
        wait_until(|| vault.available() == 2 * BLOCK_KEYS);
    }

    #[test]
    fn an_erased_key_opens_to_nothing_also_after_a_restart_and_its_neighbours_still_open() {
        let (folder, storage) = folder();
        let vault = KeyVault::open(Arc::clone(&storage), 1, Absent::Create).unwrap();
        let (ada, bob) = (sealed(&vault, 10, "Ada"), sealed(&vault, 11, "Bob"));
        let before = std::fs::read(folder.path().join("keys/0000000001.keys")).unwrap();
        vault.erase(&[10]).unwrap();
        let after = std::fs::read(folder.path().join("keys/0000000001.keys")).unwrap();
        assert_eq!(before.iter().zip(&after).filter(|(b, a)| b != a && **a != 0).count(), 0);
        let row = usize::try_from(block_at(0)).unwrap() + 10 * ROW_BYTES;
        assert_eq!(after[row..row + ROW_BYTES], [0; ROW_BYTES], "gone from disk, not only from memory");

        for vault in [vault, KeyVault::open(storage, 1, Absent::Refuse).unwrap()] {
            assert_eq!(opened(&vault, &ada), None);
            assert_eq!(opened(&vault, &bob).as_deref(), Some("Bob"));
            assert_eq!((vault.is_erased(10), vault.is_erased(11), vault.is_erased(BLOCK_KEYS)), (true, false, false));
            assert!(vault.damaged().is_empty(), "erased is not damaged");
            assert!(vault.seal(10, NONCE, b"again").is_empty(), "nothing more is kept of who was erased");
        }
    }

    #[test]
    fn a_text_that_was_tampered_with_or_moved_to_another_key_is_refused() {
        let vault = KeyVault::seeded(1, 1);
        let honest = sealed(&vault, 3, "metadata");
        assert_eq!(opened(&vault, &honest).as_deref(), Some("metadata"));
        for at in 0..honest.bytes.len() {
            let mut forged = honest.clone();
            forged.bytes[at] ^= 1;
            assert_eq!(opened(&vault, &forged), None, "byte {at}");
        }
        let moved = Sealed { key_no: 4, ..honest.clone() };
        assert_eq!(opened(&vault, &moved), None);
        let replayed = Sealed { nonce: Nonce { seq: 8, ordinal: 1 }, ..honest };
        assert_eq!(opened(&vault, &replayed), None);
    }

    #[test]
    fn a_seed_gives_the_same_ciphertext_in_every_run_and_another_on_every_platform() {
        let once = sealed(&KeyVault::seeded(42, 1), 5, "same");
        assert_eq!(sealed(&KeyVault::seeded(42, 1), 5, "same"), once);
        assert_ne!(sealed(&KeyVault::seeded(42, 2), 5, "same"), once);
        assert_ne!(sealed(&KeyVault::seeded(43, 1), 5, "same"), once);
        let vault = KeyVault::seeded(42, 1);
        vault.erase(&[5]).unwrap();
        assert_eq!(opened(&vault, &once), None);
    }

    #[test]
    fn a_growth_that_was_cut_short_is_written_again_and_never_taken_for_erased_keys() {
        let (folder, storage) = folder();
        drop(KeyVault::open(Arc::clone(&storage), 1, Absent::Create).unwrap());
        let path = folder.path().join("keys/0000000001.keys");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(&[0; BLOCK_BYTES / 2]);
        // The header that would have counted the block is torn.
        bytes[..10].copy_from_slice(b"FLORKEYS\x01\x00");
        std::fs::write(&path, bytes).unwrap();

        let vault = KeyVault::open(Arc::clone(&storage), 1, Absent::Refuse).unwrap();
        assert_eq!(vault.available(), BLOCK_KEYS);
        let text = sealed(&vault, BLOCK_KEYS, "in the new block");
        drop(vault);
        let vault = KeyVault::open(storage, 1, Absent::Refuse).unwrap();
        assert_eq!(opened(&vault, &text).as_deref(), Some("in the new block"));
    }

    #[test]
    fn a_flipped_bit_is_reported_and_costs_one_key_only() {
        let (folder, storage) = folder();
        let vault = KeyVault::open(Arc::clone(&storage), 1, Absent::Create).unwrap();
        let (hit, spared) = (sealed(&vault, 1, "hit"), sealed(&vault, 2, "spared"));
        drop(vault);
        let path = folder.path().join("keys/0000000001.keys");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[usize::try_from(block_at(0)).unwrap() + ROW_BYTES] ^= 0x10;
        std::fs::write(&path, bytes).unwrap();
        let vault = KeyVault::open(storage, 1, Absent::Refuse).unwrap();
        assert_eq!(vault.damaged(), [1]);
        assert!(!vault.is_erased(1), "damaged is not erased");
        assert_eq!(opened(&vault, &hit), None);
        assert_eq!(opened(&vault, &spared).as_deref(), Some("spared"));
    }

    #[test]
    fn missing_damaged_and_foreign_key_files_are_refused_with_a_reason() {
        let (folder, storage) = folder();
        let missing = KeyVault::open(Arc::clone(&storage), 1, Absent::Refuse).unwrap_err();
        assert!(matches!(missing, VaultError::Missing { .. }), "{missing}");
        drop(KeyVault::open(Arc::clone(&storage), 1, Absent::Create).unwrap());
        let keys = folder.path().join("keys");
        std::fs::copy(keys.join("0000000001.keys"), keys.join("0000000002.keys")).unwrap();
        let foreign = KeyVault::open(Arc::clone(&storage), 2, Absent::Create).unwrap_err();
        assert!(foreign.to_string().contains("belongs to platform 1"), "{foreign}");
        std::fs::write(keys.join("0000000002.keys"), b"short").unwrap();
        let damaged = KeyVault::open(Arc::clone(&storage), 2, Absent::Create).unwrap_err();
        assert!(matches!(damaged, VaultError::Damaged { .. }), "{damaged}");
    }

    #[test]
    fn the_root_is_made_once_and_every_purpose_and_platform_has_its_own_secret() {
        let (folder, storage) = folder();
        assert!(matches!(Root::open(&*storage, Absent::Refuse), Err(VaultError::Missing { .. })));
        std::fs::write(folder.path().join("keys/root.new"), b"cut short").unwrap();
        let made = Root::open(&*storage, Absent::Create).unwrap().platform(1);
        let root = Root::open(&*storage, Absent::Refuse).unwrap();
        let again = root.platform(1);
        assert_eq!((made.ids, made.fingerprints), (again.ids, again.fingerprints));
        let all =
            BTreeSet::from([again.fingerprints, again.idempotency, again.client_secrets, root.platform(2).idempotency]);
        assert_eq!(all.len(), 4);
        assert_eq!(Root::seeded(1).platform(1).ids, Root::seeded(1).platform(1).ids);
        assert_ne!(Root::seeded(1).platform(1).ids, Root::seeded(2).platform(1).ids);

        let path = folder.path().join("keys/root");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(Root::open(&*storage, Absent::Create), Err(VaultError::Damaged { .. })));
    }

    #[test]
    fn only_the_owner_may_look_into_the_folder() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, _storage) = folder();
        let mode = std::fs::metadata(folder.path().join("keys")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_power_cut_at_any_moment_takes_no_key_that_was_promised_and_brings_none_back_that_was_erased() {
        use super::super::journal::sim::{CutPlan, SimStorage};
        let disk = SimStorage::new();
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        Root::open(&*storage, Absent::Create).unwrap();
        let root_at = disk.operation_count();
        let vault = KeyVault::open(Arc::clone(&storage), 1, Absent::Create).unwrap();
        let mut promises = Vec::new();
        promises.push((disk.operation_count(), sealed(&vault, 0, "first")));
        for block in 1..=3 {
            vault.ensure(block * BLOCK_KEYS + 1).unwrap();
            promises.push((disk.operation_count(), sealed(&vault, block * BLOCK_KEYS, "later")));
        }
        let erased = sealed(&vault, 77, "erased");
        vault.erase(&[77]).unwrap();
        let erased_at = disk.operation_count();
        drop(vault);
        // Opening writes too, and must not put anything at risk.
        KeyVault::open(storage, 1, Absent::Refuse).unwrap();

        let history = disk.history();
        let mut dice = blake3::Hasher::new().finalize_xof();
        let mut cuts = 0;
        for moment in 0..=history.operations.len() {
            let state = history.disk_after(moment);
            let pages = state.unsynced_pages();
            for throw in 0..8u8 {
                let mut roll = vec![0; pages.len() + 2];
                dice.fill(&mut roll);
                let landed = pages.iter().zip(&roll).filter(|(_, roll)| match throw {
                    0 => false,
                    1 => true,
                    _ => **roll & 1 == 1,
                });
                let torn = pages.first().filter(|_| throw > 4).map(|page| (*page, usize::from(roll[0] % 8)));
                let name_changes = usize::from(roll[pages.len()]) % (state.pending_name_changes() + 1);
                let plan = CutPlan { landed: landed.map(|(page, _)| *page).collect(), torn, name_changes };
                let after: Arc<dyn Storage> = Arc::new(state.cut(&plan));
                cuts += 1;
                if moment >= root_at {
                    Root::open(&*after, Absent::Refuse).unwrap();
                }
                let kept: Vec<_> = promises.iter().filter(|(at, _)| *at <= moment).collect();
                let absent = if kept.is_empty() { Absent::Create } else { Absent::Refuse };
                let vault = KeyVault::open(after, 1, absent).unwrap();
                for (_, sealed) in kept {
                    assert!(opened(&vault, sealed).is_some(), "key {} after a cut at {moment}", sealed.key_no);
                }
                if moment >= erased_at {
                    assert_eq!(opened(&vault, &erased), None, "after a cut at {moment}");
                    assert!(vault.damaged().is_empty());
                }
                vault.ensure(4 * BLOCK_KEYS).unwrap();
                assert!(!vault.seal(4 * BLOCK_KEYS - 1, NONCE, b"goes on").is_empty());
            }
        }
        assert!(cuts > 150, "{cuts}");
    }

    #[test]
    fn a_key_whose_sync_failed_is_not_handed_out() {
        use super::super::journal::sim::SimStorage;
        let disk = SimStorage::new();
        let vault = KeyVault::open(Arc::new(disk.clone()), 1, Absent::Create).unwrap();
        for sync in 1..=2 {
            disk.fail_sync(sync);
            assert!(matches!(vault.ensure(BLOCK_KEYS + 1), Err(VaultError::Io { .. })));
            assert_eq!(vault.available(), BLOCK_KEYS);
        }
        vault.ensure(BLOCK_KEYS + 1).unwrap();
        assert!(!vault.seal(BLOCK_KEYS, NONCE, b"now it is there").is_empty());
    }

    #[test]
    #[ignore = "a measurement: cargo test --release -- --ignored sealing_is_fast --nocapture"]
    fn sealing_is_fast() {
        let (_folder, storage) = folder();
        let vault = KeyVault::open(storage, 1, Absent::Create).unwrap();
        let text = [b'x'; 200];
        let began = Instant::now();
        for no in 0..1_000_000u32 {
            std::hint::black_box(vault.seal(no % BLOCK_KEYS, NONCE, &text));
        }
        println!("seal: {:?} each", began.elapsed() / 1_000_000);
        let sealed = Sealed { key_no: 3, nonce: NONCE, bytes: vault.seal(3, NONCE, &text) };
        let began = Instant::now();
        for _ in 0..1_000_000u32 {
            std::hint::black_box(vault.open(&sealed));
        }
        println!("open: {:?} each", began.elapsed() / 1_000_000);
    }
}
