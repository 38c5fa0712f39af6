//! The object store: records and list indexes as the API reads them. A cache of the journal, written by the projector.
//!
//! **Owns** the folder `objects/` (fjall): every record's latest image and which entries changed it, the list indexes,
//! where each entry lies in the journal, and which idempotency keys were used.
//! **Never** decides, never holds what the journal does not: on any doubt it is wiped and built again.
//! **Why a store beside the journal:** an id must lead to its record by one read, and a page of a list to its rows by
//! one scan, also when there are a hundred million of them.
//!
//! # What can go wrong, and how it is noticed
//! A batch of entries and how far it got are one atomic batch of fjall's, so a crash leaves a prefix. But fjall's own
//! journal, damaged in its middle, silently drops what follows, and a keyspace that was flushed before does not notice.
//! So every batch also names a *witness*: one row of each keyspace it wrote. A start looks them up; one that is not
//! there as it was written makes the store doubtful. What stands in the store ahead of `projected` does no harm: it is
//! durable in the journal, and applying it again writes the same rows.
//!
//! # Rows (big endian, so that they sort)
//! | keyspace        | key                                                        | value                              |
//! |-----------------|------------------------------------------------------------|------------------------------------|
//! | `records`       | platform u32, birth u64, child u32                         | encoded record                     |
//! | `changes`       | platform u32, birth u64, child u32, seq u64                | none; only where seq is not birth  |
//! | `index`         | platform u32, account u64, class u8, seq u64, ordinal u16  | varints: kinds, seq - birth, child |
//! | `entries`       | platform u32, seq u64                                      | position in the journal u64        |
//! | `idempotency_N` | platform u32, key hash 16                                  | endpoint 8, parameters 16, varints: seq, time |
//! | `meta`          | `format`; `reached`; `witness`; `p` platform u32           | see the code                       |

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use fjall::config::{
    BlockSizePolicy, BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry, HashRatioPolicy,
};
use fjall::{
    CompressionType, Database, Guard, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable,
};
use minicbor::Decode;

use super::entry::{decode_record, erased_key};
use super::journal::{Durable, Frame, Position};
use super::platform::IndexHit;
use crate::domain::decide::{Class, IndexRow};
use crate::domain::record::{RecordKey, Shared};
use crate::ledger::AccountNo;
use crate::primitives::time::Timestamp;

/// Version of the rows. Another version is wiped and built again.
const FORMAT: u32 = 2;

const RECORDS: &str = "records";
const CHANGES: &str = "changes";
const INDEX: &str = "index";
const ENTRIES: &str = "entries";
const META: &str = "meta";
const IDEMPOTENCY: &str = "idempotency_";

const FORMAT_ROW: &[u8] = b"format";
const REACHED_ROW: &[u8] = b"reached";
const WITNESS_ROW: &[u8] = b"witness";
const MARK_ROW: u8 = b'p';

/// A key is good for this long, by its platform's clock.
pub const IDEMPOTENCY_MS: i64 = 24 * 3_600_000;
/// Idempotency keys lie in keyspaces by the hours in which they were projected, dropped whole when none can still be
/// good. Twelve hours make three to look into; by the hour it would be twenty-five for every charge.
const GENERATION_MS: i64 = 12 * 3_600_000;
const GENERATIONS: u64 = 3;

/// Why the store cannot answer. It is a cache: whoever gets this may wipe it and build it again from the journal.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What is there does not fit together, or not to the journal.
    #[error("object store: {0}. It is a cache of the journal and will be built again")]
    Doubt(String),
    /// The engine refused or failed.
    #[error("object store: cannot {doing}: {source}. It is a cache of the journal and will be built again")]
    Engine {
        /// What was tried.
        doing: &'static str,
        /// The engine's answer.
        source: fjall::Error,
    },
    /// The folder could not be handled.
    #[error("object store: cannot {doing} {}: {source}; check the disk (space, health, permissions)", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The journal could not be read while the store was brought up to it.
    #[error(transparent)]
    Journal(#[from] super::journal::JournalError),
    /// Keys that the journal says are to go cannot be erased.
    #[error(transparent)]
    Keys(#[from] super::vault::VaultError),
}

impl StoreError {
    fn engine(doing: &'static str) -> impl FnOnce(fjall::Error) -> StoreError {
        move |source| StoreError::Engine { doing, source }
    }

    fn doubt(what: impl Into<String>) -> StoreError {
        StoreError::Doubt(what.into())
    }
}

/// How much the store may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Blocks read from disk that are kept, bytes.
    pub cache_bytes: u64,
    /// Rows of one keyspace that wait in memory to be written, bytes. Up to four times this may be in use while the
    /// disk is behind.
    pub memtable_bytes: u64,
    /// Threads that flush and compact. With more than one, the engine's first spins while another compacts, to be at
    /// hand for a flush: that cost 2.6 us of CPU per charge.
    pub worker_count: usize,
}

impl Default for StoreOptions {
    fn default() -> StoreOptions {
        StoreOptions { cache_bytes: 64 << 20, memtable_bytes: 16 << 20, worker_count: 1 }
    }
}

/// How far a platform is projected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Sequence of the newest entry that is in the store; 0 for none.
    pub seq: u64,
    /// The platform's chain there.
    pub hash: [u8; 32],
}

/// An entry to be projected.
#[derive(Clone, Debug)]
pub struct Projected<'a> {
    /// Of which platform.
    pub platform: u32,
    /// Its number.
    pub seq: u64,
    /// Where it lies in the journal.
    pub position: Position,
    /// The platform's chain up to and including it.
    pub hash: [u8; 32],
    /// What of it goes into the store.
    pub entry: EntryView<'a>,
}

impl<'a> Projected<'a> {
    /// Reads what is needed of an entry that became durable.
    ///
    /// # Errors
    /// [`StoreError::Doubt`] for bytes that are no entry.
    pub fn of(durable: &'a Durable) -> Result<Projected<'a>, StoreError> {
        let Durable { platform, seq, position, payload, hash } = durable;
        let entry = EntryView::from_bytes(payload).map_err(|error| unreadable(*platform, *seq, &error))?;
        Ok(Projected { platform: *platform, seq: *seq, position: *position, hash: *hash, entry })
    }

    /// The same of an entry that was read back.
    ///
    /// # Errors
    /// As [`Projected::of`].
    pub fn of_frame(frame: &'a Frame) -> Result<Projected<'a>, StoreError> {
        let entry = EntryView::from_bytes(&frame.payload).map_err(|e| unreadable(frame.platform, frame.seq, &e))?;
        let Frame { platform, seq, position, .. } = *frame;
        Ok(Projected { platform, seq, position, hash: frame.hash(), entry })
    }
}

impl Projected<'_> {
    /// Keys of the vault that go because of this entry.
    ///
    /// # Errors
    /// [`StoreError::Doubt`]: a record that cannot be read.
    pub fn erased_keys(&self) -> Result<Vec<u32>, StoreError> {
        let erased = |change: &ChangeView<'_>| erased_key(self.entry.version, change.after).transpose();
        let keys: Result<Vec<u32>, _> = self.entry.changes.iter().filter_map(erased).collect();
        keys.map_err(|error| unreadable(self.platform, self.seq, &error))
    }
}

fn unreadable(platform: u32, seq: u64, error: &minicbor::decode::Error) -> StoreError {
    StoreError::doubt(format!("entry {seq} of platform {platform} cannot be read: {error}"))
}

/// The part of a [`JournalEntry`](super::entry::JournalEntry) that the store keeps. The rest is skipped unread.
#[derive(Clone, Debug, PartialEq, Decode)]
#[cbor(map)]
pub struct EntryView<'a> {
    /// Rules that decided it.
    #[n(0)]
    pub version: u16,
    /// The platform's time.
    #[n(1)]
    pub now: Timestamp,
    /// Idempotency of the call.
    #[n(4)]
    pub idempotency: Option<KeyView>,
    /// Records that changed.
    #[b(8)]
    pub changes: Vec<ChangeView<'a>>,
}

/// The hashes of an [`IdempotencyKey`](crate::domain::command::IdempotencyKey).
#[derive(Clone, Debug, PartialEq, Eq, Decode)]
pub struct KeyView {
    /// Of (acting account, key).
    #[cbor(n(0), with = "minicbor::bytes")]
    pub key: [u8; 16],
    /// Of method and path.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub endpoint: [u8; 8],
    /// Of the parsed parameters.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub parameters: [u8; 16],
}

/// A [`StoredChange`](super::entry::StoredChange) without its image before.
#[derive(Clone, Debug, PartialEq, Decode)]
pub struct ChangeView<'a> {
    /// Which record.
    #[n(0)]
    pub key: RecordKey,
    /// Its bytes afterwards.
    #[cbor(b(1), with = "minicbor::bytes")]
    pub after: &'a [u8],
    /// List entries.
    #[n(3)]
    pub index: Vec<IndexRow>,
}

impl<'a> EntryView<'a> {
    /// Reads the part of an encoded entry.
    ///
    /// # Errors
    /// Bytes that are no entry.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<EntryView<'a>, minicbor::decode::Error> {
        minicbor::decode(bytes)
    }
}

/// The first use of an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencyHit {
    /// Its entry.
    pub seq: u64,
    /// Hash of method and path.
    pub endpoint: [u8; 8],
    /// Hash of the parameters.
    pub parameters: [u8; 16],
    /// The platform's time then, to the second.
    pub at: Timestamp,
}

/// Where a record's image as of an entry is to be found.
#[derive(Clone, Debug, PartialEq)]
pub enum AsOf {
    /// Here: it has not changed since. `None`: there was no such record.
    Image(Option<Shared>),
    /// In this entry of the journal: of those until then that changed it, the last. Where that entry did not change it,
    /// there was no such record.
    Entry(u64),
}

/// The store. Cheap to clone; any thread may read, one writes.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    options: StoreOptions,
    db: Database,
    records: Keyspace,
    changes: Keyspace,
    index: Keyspace,
    entries: Keyspace,
    meta: Keyspace,
    /// Keyspaces of idempotency keys by generation, newest last. There is always one.
    generations: RwLock<BTreeMap<u64, Keyspace>>,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    marks: BTreeMap<u32, Mark>,
    reached: Option<Position>,
    witness: BTreeMap<String, Witness>,
    /// Keys used before these times are dead and need no row.
    forgotten: BTreeMap<u32, Timestamp>,
}

/// A row that must be there.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
struct Witness {
    #[cbor(n(0), with = "minicbor::bytes")]
    key: Vec<u8>,
    /// CRC-32C of its value.
    #[n(1)]
    crc: u32,
}

impl Store {
    /// Opens the store in `folder`, or begins an empty one. `wall` is the time on the wall, for dropping idempotency
    /// keys that are a day old.
    ///
    /// # Errors
    /// [`StoreError`]; then [`Store::wipe`], open again, and bring it up from the beginning of the journal.
    pub fn open(folder: &Path, options: StoreOptions, wall: Timestamp) -> Result<Store, StoreError> {
        if let Ok(why) = fs::read_to_string(doubt_file(folder)) {
            return Err(StoreError::doubt(format!("the last run doubted it: {}", why.trim())));
        }
        // Files that lie to the engine make it panic in places; here that is one more reason to build it again.
        match catch_unwind(AssertUnwindSafe(|| Store::open_unguarded(folder, options, wall))) {
            Ok(opened) => opened,
            Err(_) => Err(StoreError::doubt("the engine panicked while it opened the files")),
        }
    }

    fn open_unguarded(folder: &Path, options: StoreOptions, wall: Timestamp) -> Result<Store, StoreError> {
        let io = |doing| move |source| StoreError::Io { doing, path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(io("create"))?;
        let db = Database::builder(folder)
            .cache_size(options.cache_bytes)
            .worker_threads(options.worker_count.max(1))
            // The least that fjall allows: its journal only has to bridge a memtable.
            .max_journaling_size(64 << 20)
            .manual_journal_persist(true)
            .open()
            .map_err(StoreError::engine("open the database"))?;
        let was_empty = db.keyspace_count() == 0;
        let open = |name: &str| {
            db.keyspace(name, || keyspace_options(name, options)).map_err(StoreError::engine("open a keyspace"))
        };
        let meta = open(META)?;
        let found = meta.get(FORMAT_ROW).map_err(StoreError::engine("read the format"))?;
        match found {
            None if was_empty => {
                meta.insert(FORMAT_ROW, FORMAT.to_be_bytes()).map_err(StoreError::engine("write the format"))?;
            }
            None => return Err(StoreError::doubt("it has rows but no format")),
            Some(bytes) if *bytes == FORMAT.to_be_bytes() => {}
            Some(bytes) => {
                return Err(StoreError::doubt(format!("its format is {:?}, this release has {FORMAT}", &*bytes)));
            }
        }
        let mut generations = BTreeMap::new();
        for name in db.list_keyspace_names() {
            if let Some(number) = name.strip_prefix(IDEMPOTENCY) {
                let number = number.parse().map_err(|_| StoreError::doubt(format!("keyspace {name} is not ours")))?;
                generations.insert(number, open(&name)?);
            }
        }
        let store = Store {
            inner: Arc::new(Inner {
                folder: folder.to_owned(),
                options,
                records: open(RECORDS)?,
                changes: open(CHANGES)?,
                index: open(INDEX)?,
                entries: open(ENTRIES)?,
                meta,
                db,
                generations: RwLock::new(generations),
                state: RwLock::new(State::default()),
            }),
        };
        store.load_state()?;
        store.roll(wall)?;
        Ok(store)
    }

    fn load_state(&self) -> Result<(), StoreError> {
        let inner = &*self.inner;
        let mut state = State::default();
        for row in inner.meta.prefix([MARK_ROW]) {
            let (key, value) = row.into_inner().map_err(StoreError::engine("read how far it got"))?;
            let platform = key.get(1..).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
            let (Some(platform), Some(mark)) = (platform, Mark::from_bytes(&value)) else {
                return Err(StoreError::doubt("how far it got cannot be read"));
            };
            state.marks.insert(platform, mark);
        }
        if let Some(bytes) = inner.meta.get(REACHED_ROW).map_err(StoreError::engine("read how far it got"))? {
            let packed = (*bytes).try_into().map_err(|_| StoreError::doubt("how far it got cannot be read"))?;
            state.reached = Some(Position::from_u64(u64::from_be_bytes(packed)));
        }
        if let Some(bytes) = inner.meta.get(WITNESS_ROW).map_err(StoreError::engine("read its witnesses"))? {
            state.witness = minicbor::decode(&bytes).map_err(|_| StoreError::doubt("its witnesses cannot be read"))?;
        }
        let (reached, any) = (state.reached.is_some(), !state.marks.is_empty());
        if reached != any || any == state.witness.is_empty() {
            return Err(StoreError::doubt("the rows of how far it got do not fit together"));
        }
        for (name, witness) in &state.witness {
            if !inner.db.keyspace_exists(name) {
                return Err(StoreError::doubt(format!("keyspace {name} is gone")));
            }
            let keyspace = inner
                .db
                .keyspace(name, || keyspace_options(name, inner.options))
                .map_err(StoreError::engine("open a keyspace"))?;
            let row = keyspace.get(&witness.key).map_err(StoreError::engine("look up a witness"))?;
            if row.map(|row| crc32c::crc32c(&row)) != Some(witness.crc) {
                return Err(StoreError::doubt(format!("keyspace {name} lost what had been written to it")));
            }
        }
        *self.inner.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        Ok(())
    }

    /// Removes the store in `folder`, and the doubt about it. Nobody may have it open.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn wipe(folder: &Path) -> Result<(), StoreError> {
        let io = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { doing, path, source }
        };
        // Renamed first: half a store must never carry the store's name.
        let trash = folder.with_extension("wiped");
        remove(&trash).map_err(io("remove", &trash))?;
        match fs::rename(folder, &trash) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io("rename", folder)(error)),
        }
        remove(&trash).map_err(io("remove", &trash))?;
        let doubt = doubt_file(folder);
        match fs::remove_file(&doubt) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io("remove", &doubt)(error)),
            _ => Ok(()),
        }
    }

    /// Leaves a note that makes the next [`Store::open`] refuse, for when a running store fails.
    pub fn condemn(&self, why: &str) {
        if let Err(error) = fs::write(doubt_file(&self.inner.folder), why) {
            tracing::warn!(%error, "could not leave a note that the object store is doubtful");
        }
    }

    /// Opens the store; where that fails, wipes it and begins an empty one. The reason comes along.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be begun anew either.
    pub fn open_or_wipe(
        folder: &Path,
        options: StoreOptions,
        wall: Timestamp,
    ) -> Result<(Store, Option<StoreError>), StoreError> {
        match Store::open(folder, options, wall) {
            Ok(store) => Ok((store, None)),
            Err(StoreError::Engine { doing, source: fjall::Error::Locked }) => {
                // Another process has it: that is no doubt about its content.
                Err(StoreError::Engine { doing, source: fjall::Error::Locked })
            }
            Err(doubt) => {
                tracing::warn!(%doubt, "object store is built again from the journal");
                Store::wipe(folder)?;
                Ok((Store::open(folder, options, wall)?, Some(doubt)))
            }
        }
    }

    // -----------------------------------------------------------------------------------------------------------
    // Writing

    /// Writes entries, in the order of the journal, and how far that got, in one atomic batch. Entries that are in
    /// the store already are left out.
    ///
    /// # Errors
    /// [`StoreError::Doubt`] where an entry is missing in between; [`StoreError::Engine`].
    pub fn apply(&self, entries: &[Projected<'_>]) -> Result<(), StoreError> {
        let inner = &*self.inner;
        let Some(last) = entries.last() else { return Ok(()) };
        let mut rows = Rows::default();
        let (mut marks, mut witness, forgotten) = {
            let state = inner.state.read().unwrap_or_else(PoisonError::into_inner);
            let platforms = entries.iter().map(|entry| entry.platform);
            let marks: BTreeMap<u32, Mark> =
                platforms.map(|p| (p, state.marks.get(&p).copied().unwrap_or_default())).collect();
            (marks, state.witness.clone(), state.forgotten.clone())
        };
        let mut any = false;
        for entry in entries {
            let mark = marks.entry(entry.platform).or_default();
            if entry.seq <= mark.seq {
                continue;
            }
            if entry.seq != mark.seq + 1 {
                return Err(StoreError::doubt(format!(
                    "entry {} of platform {} came after {}",
                    entry.seq, entry.platform, mark.seq
                )));
            }
            *mark = Mark { seq: entry.seq, hash: entry.hash };
            any = true;
            let keep_key = forgotten.get(&entry.platform).is_none_or(|before| entry.entry.now >= *before);
            rows.add(entry, keep_key);
        }
        if !any {
            return Ok(());
        }

        let generations = inner.generations.read().unwrap_or_else(PoisonError::into_inner);
        let Some((number, generation)) = generations.last_key_value() else {
            return Err(StoreError::doubt("it has no keyspace for idempotency keys"));
        };
        let mut batch = OwnedWriteBatch::with_capacity(inner.db.clone(), rows.len() + marks.len() + 2)
            // Into the page cache: a killed daemon finds it there. After a power cut the journal fills in.
            .durability(Some(PersistMode::Buffer));
        put(&mut batch, &inner.records, RECORDS, &rows.records, &mut witness);
        put(&mut batch, &inner.changes, CHANGES, &rows.changes, &mut witness);
        put(&mut batch, &inner.index, INDEX, &rows.index, &mut witness);
        put(&mut batch, &inner.entries, ENTRIES, &rows.entries, &mut witness);
        put(&mut batch, generation, &format!("{IDEMPOTENCY}{number}"), &rows.idempotency, &mut witness);
        for (platform, mark) in &marks {
            batch.insert(&inner.meta, mark_key(*platform), mark.to_bytes());
        }
        batch.insert(&inner.meta, REACHED_ROW, last.position.to_u64().to_be_bytes());
        // Writing to a Vec cannot fail.
        batch.insert(&inner.meta, WITNESS_ROW, minicbor::to_vec(&witness).unwrap_or_default());
        batch.commit().map_err(StoreError::engine("write a batch"))?;
        drop(generations);

        let mut state = inner.state.write().unwrap_or_else(PoisonError::into_inner);
        state.marks.extend(marks);
        state.reached = Some(last.position);
        state.witness = witness;
        Ok(())
    }

    /// Tells the time on the wall, so that idempotency keys of a day ago are dropped. Cheap when nothing is due.
    ///
    /// # Errors
    /// [`StoreError::Engine`].
    pub fn roll(&self, wall: Timestamp) -> Result<(), StoreError> {
        let inner = &*self.inner;
        let number = u64::try_from(wall.0.div_euclid(GENERATION_MS)).unwrap_or_default();
        {
            let generations = inner.generations.read().unwrap_or_else(PoisonError::into_inner);
            if generations.last_key_value().is_some_and(|(newest, _)| *newest >= number) {
                return Ok(());
            }
        }
        let name = format!("{IDEMPOTENCY}{number}");
        let keyspace = inner
            .db
            .keyspace(&name, || keyspace_options(&name, inner.options))
            .map_err(StoreError::engine("begin a keyspace for idempotency keys"))?;
        let mut generations = inner.generations.write().unwrap_or_else(PoisonError::into_inner);
        generations.insert(number, keyspace);
        let dead: Vec<u64> = generations.range(..(number + 1).saturating_sub(GENERATIONS)).map(|(n, _)| *n).collect();
        for number in dead {
            let Some(keyspace) = generations.remove(&number) else { continue };
            // Its witness goes first: a crash in between must not look like a loss.
            let witness = {
                let mut state = inner.state.write().unwrap_or_else(PoisonError::into_inner);
                state.witness.remove(&format!("{IDEMPOTENCY}{number}"));
                minicbor::to_vec(&state.witness).unwrap_or_default()
            };
            let mut batch = inner.db.batch().durability(Some(PersistMode::SyncData));
            batch.insert(&inner.meta, WITNESS_ROW, witness);
            batch.commit().map_err(StoreError::engine("let go of a witness"))?;
            inner.db.delete_keyspace(keyspace).map_err(StoreError::engine("drop old idempotency keys"))?;
        }
        Ok(())
    }

    /// Tells that a platform's clock stands at `now`: older keys than a day need no row when entries are projected
    /// again. Without it all are kept, which is right too and only takes more room for a day.
    pub fn forget_before(&self, platform: u32, now: Timestamp) {
        let before = Timestamp(now.0.saturating_sub(IDEMPOTENCY_MS));
        self.inner.state.write().unwrap_or_else(PoisonError::into_inner).forgotten.insert(platform, before);
    }

    /// Brings what was written to the disk. Not needed for correctness: it shortens the next start after a power cut.
    ///
    /// # Errors
    /// [`StoreError::Engine`].
    pub fn sync(&self) -> Result<(), StoreError> {
        self.inner.db.persist(PersistMode::SyncData).map_err(StoreError::engine("sync"))
    }

    // -----------------------------------------------------------------------------------------------------------
    // Reading

    /// Reads; what goes wrong leaves a note, so that the next start builds the store again.
    fn noting<T>(&self, read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        read().inspect_err(|error| self.condemn(&error.to_string()))
    }

    /// Sequence of the newest entry of a platform that is in the store; 0 for none.
    pub fn projected(&self, platform: u32) -> u64 {
        self.mark(platform).seq
    }

    /// How far a platform is in the store.
    pub fn mark(&self, platform: u32) -> Mark {
        let state = self.inner.state.read().unwrap_or_else(PoisonError::into_inner);
        state.marks.get(&platform).copied().unwrap_or_default()
    }

    /// How far every platform is.
    pub fn marks(&self) -> BTreeMap<u32, Mark> {
        self.inner.state.read().unwrap_or_else(PoisonError::into_inner).marks.clone()
    }

    /// Where in the journal the newest entry lies that is in the store: everything up to there is.
    pub fn reached(&self) -> Option<Position> {
        self.inner.state.read().unwrap_or_else(PoisonError::into_inner).reached
    }

    /// A record.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn record(&self, platform: u32, key: RecordKey) -> Result<Option<Shared>, StoreError> {
        self.noting(|| {
            let row = self.inner.records.get(record_key(platform, key)).map_err(StoreError::engine("read a record"))?;
            row.map(|bytes| decode_record(&bytes).map_err(|error| damaged(platform, key, &error))).transpose()
        })
    }

    /// A record as entry `seq` left it; the store must have reached that entry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn record_at(&self, platform: u32, key: RecordKey, seq: u64) -> Result<AsOf, StoreError> {
        // The image first: where no later change is known after it was read, it is none of a later one.
        let now = self.record(platform, key)?;
        self.noting(|| {
            let rows = |first, last| {
                let (first, last) = (change_key(platform, key, first), change_key(platform, key, last));
                self.inner.changes.range::<[u8; CHANGE_KEY], _>(first..=last)
            };
            let later = seq.checked_add(1).and_then(|next| rows(next, u64::MAX).next());
            if key.birth > seq {
                return Ok(AsOf::Image(None));
            }
            if later.is_none() {
                return Ok(AsOf::Image(now));
            }
            match rows(0, seq).next_back() {
                None => Ok(AsOf::Entry(key.birth)),
                Some(row) => {
                    let (row, _) = row.into_inner().map_err(StoreError::engine("read when a record changed"))?;
                    let seq = row.get(RECORD_KEY..).and_then(|mut seq| take_u64(&mut seq));
                    Ok(AsOf::Entry(seq.ok_or_else(|| StoreError::doubt("a key of a change is too short"))?))
                }
            }
        })
    }

    /// A page of a list index: up to `limit` places, newest first when `descending`, strictly beyond `after` in the
    /// direction of travel.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn index(
        &self,
        platform: u32,
        account: AccountNo,
        class: Class,
        after: Option<(u64, u16)>,
        descending: bool,
        limit: usize,
    ) -> Result<Vec<IndexHit>, StoreError> {
        self.noting(|| {
            let at = |seq, ordinal| index_key(platform, account, class, seq, ordinal);
            let (first, last) = (Bound::Included(at(0, 0)), Bound::Included(at(u64::MAX, u16::MAX)));
            let cursor = after.map(|(seq, ordinal)| Bound::Excluded(at(seq, ordinal)));
            if descending {
                let rows = self.inner.index.range::<[u8; INDEX_KEY], _>((first, cursor.unwrap_or(last)));
                rows.rev().take(limit).map(index_hit).collect()
            } else {
                let rows = self.inner.index.range::<[u8; INDEX_KEY], _>((cursor.unwrap_or(first), last));
                rows.take(limit).map(index_hit).collect()
            }
        })
    }

    /// Where an entry lies in the journal.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn position(&self, platform: u32, seq: u64) -> Result<Option<Position>, StoreError> {
        self.noting(|| {
            let row =
                self.inner.entries.get(entry_key(platform, seq)).map_err(StoreError::engine("read a position"))?;
            let Some(bytes) = row else { return Ok(None) };
            let packed = (*bytes).try_into().map_err(|_| StoreError::doubt("a position has eight bytes"))?;
            Ok(Some(Position::from_u64(u64::from_be_bytes(packed))))
        })
    }

    /// The use of an idempotency key within the last 24 hours of the platform's clock.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn idempotency(
        &self,
        platform: u32,
        key: &[u8; 16],
        now: Timestamp,
    ) -> Result<Option<IdempotencyHit>, StoreError> {
        let row_key = idempotency_key(platform, key);
        let generations = self.inner.generations.read().unwrap_or_else(PoisonError::into_inner);
        self.noting(|| {
            for keyspace in generations.values().rev() {
                let row = keyspace.get(row_key).map_err(StoreError::engine("look up an idempotency key"))?;
                if let Some(bytes) = row {
                    let hit = idempotency_hit(&bytes)
                        .ok_or_else(|| StoreError::doubt("a row of an idempotency key cannot be read"))?;
                    return Ok(Some(hit).filter(|hit| now.0.saturating_sub(hit.at.0) < IDEMPOTENCY_MS));
                }
            }
            Ok(None)
        })
    }

    /// Every record of a platform in canonical order (birth, child), and the sequence that they stand at.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn records_in_order(&self, platform: u32, mut visit: impl FnMut(RecordKey, &[u8])) -> Result<u64, StoreError> {
        let snapshot = self.inner.db.snapshot();
        let mark = snapshot.get(&self.inner.meta, mark_key(platform)).map_err(StoreError::engine("read a mark"))?;
        let mark = match mark {
            None => Mark::default(),
            Some(bytes) => Mark::from_bytes(&bytes).ok_or_else(|| StoreError::doubt("a mark cannot be read"))?,
        };
        for row in snapshot.prefix(&self.inner.records, platform.to_be_bytes()) {
            let (key, value) = row.into_inner().map_err(StoreError::engine("read a record"))?;
            let mut rest = key.get(4..).ok_or_else(|| StoreError::doubt("a key of a record is too short"))?;
            let (Some(birth), Some(child)) = (take_u64(&mut rest), take_u32(&mut rest)) else {
                return Err(StoreError::doubt("a key of a record is too short"));
            };
            visit(RecordKey { birth, child }, &value);
        }
        Ok(mark.seq)
    }

    /// The folder it lies in.
    pub fn folder(&self) -> &Path {
        &self.inner.folder
    }

    /// Bytes on disk.
    ///
    /// # Errors
    /// [`StoreError::Engine`].
    pub fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.inner.db.disk_space().map_err(StoreError::engine("measure itself"))
    }

    /// Bytes on disk by keyspace, without the engine's own journal.
    pub fn disk_bytes_by_keyspace(&self) -> BTreeMap<String, u64> {
        let inner = &*self.inner;
        let mut sizes: BTreeMap<String, u64> = [RECORDS, CHANGES, INDEX, ENTRIES, META]
            .into_iter()
            .zip([&inner.records, &inner.changes, &inner.index, &inner.entries, &inner.meta])
            .map(|(name, keyspace)| (name.to_owned(), keyspace.disk_space()))
            .collect();
        let generations = inner.generations.read().unwrap_or_else(PoisonError::into_inner);
        sizes.extend(
            generations.iter().map(|(number, keyspace)| (format!("{IDEMPOTENCY}{number}"), keyspace.disk_space())),
        );
        sizes
    }
}

/// Rows of a batch. Maps, because a batch of the engine's must not hold a key twice: the last image wins.
#[derive(Default)]
struct Rows<'a> {
    records: BTreeMap<[u8; RECORD_KEY], &'a [u8]>,
    changes: BTreeMap<[u8; CHANGE_KEY], [u8; 0]>,
    index: BTreeMap<[u8; INDEX_KEY], Vec<u8>>,
    entries: BTreeMap<[u8; ENTRY_KEY], [u8; 8]>,
    idempotency: BTreeMap<[u8; IDEMPOTENCY_KEY], Vec<u8>>,
}

impl<'a> Rows<'a> {
    fn len(&self) -> usize {
        self.records.len() + self.changes.len() + self.index.len() + self.entries.len() + self.idempotency.len()
    }

    fn add(&mut self, entry: &Projected<'a>, keep_key: bool) {
        let Projected { platform, seq, position, entry, .. } = entry;
        let mut ordinal: u16 = 0;
        for change in &entry.changes {
            self.records.insert(record_key(*platform, change.key), change.after);
            // What its birth made needs no row, and that is most of what there is.
            if change.key.birth != *seq {
                self.changes.insert(change_key(*platform, change.key, *seq), []);
            }
            for row in &change.index {
                let key = index_key(*platform, row.account, row.class, *seq, ordinal);
                // An entry is bounded at 1 MiB, so it has no 65,536 rows.
                ordinal = ordinal.saturating_add(1);
                let mut value = Vec::with_capacity(8);
                put_varint(&mut value, u64::from(row.kinds));
                put_varint(&mut value, seq.wrapping_sub(change.key.birth));
                put_varint(&mut value, u64::from(change.key.child));
                self.index.insert(key, value);
            }
        }
        self.entries.insert(entry_key(*platform, *seq), position.to_u64().to_be_bytes());
        if let Some(used) = entry.idempotency.as_ref().filter(|_| keep_key) {
            let mut value = Vec::with_capacity(36);
            value.extend_from_slice(&used.endpoint);
            value.extend_from_slice(&used.parameters);
            put_varint(&mut value, *seq);
            put_varint(&mut value, u64::try_from(entry.now.0.div_euclid(1000)).unwrap_or_default());
            self.idempotency.insert(idempotency_key(*platform, &used.key), value);
        }
    }
}

fn put<const N: usize, V: AsRef<[u8]>>(
    batch: &mut OwnedWriteBatch,
    keyspace: &Keyspace,
    name: &str,
    rows: &BTreeMap<[u8; N], V>,
    witness: &mut BTreeMap<String, Witness>,
) {
    for (key, value) in rows {
        batch.insert(keyspace, *key, value.as_ref());
    }
    if let Some((key, value)) = rows.last_key_value() {
        witness.insert(name.to_owned(), Witness { key: key.to_vec(), crc: crc32c::crc32c(value.as_ref()) });
    }
}

impl Mark {
    fn to_bytes(self) -> [u8; 40] {
        let mut bytes = [0; 40];
        bytes[..8].copy_from_slice(&self.seq.to_be_bytes());
        bytes[8..].copy_from_slice(&self.hash);
        bytes
    }

    fn from_bytes(mut bytes: &[u8]) -> Option<Mark> {
        let seq = take_u64(&mut bytes)?;
        Some(Mark { seq, hash: bytes.try_into().ok()? })
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Rows as bytes

const RECORD_KEY: usize = 4 + 8 + 4;
const CHANGE_KEY: usize = RECORD_KEY + 8;
const INDEX_KEY: usize = 4 + 8 + 1 + 8 + 2;
const ENTRY_KEY: usize = 4 + 8;
const IDEMPOTENCY_KEY: usize = 4 + 16;

fn record_key(platform: u32, key: RecordKey) -> [u8; RECORD_KEY] {
    let mut bytes = [0; RECORD_KEY];
    bytes[..4].copy_from_slice(&platform.to_be_bytes());
    bytes[4..12].copy_from_slice(&key.birth.to_be_bytes());
    bytes[12..].copy_from_slice(&key.child.to_be_bytes());
    bytes
}

fn change_key(platform: u32, key: RecordKey, seq: u64) -> [u8; CHANGE_KEY] {
    let mut bytes = [0; CHANGE_KEY];
    bytes[..RECORD_KEY].copy_from_slice(&record_key(platform, key));
    bytes[RECORD_KEY..].copy_from_slice(&seq.to_be_bytes());
    bytes
}

fn index_key(platform: u32, account: AccountNo, class: Class, seq: u64, ordinal: u16) -> [u8; INDEX_KEY] {
    let mut bytes = [0; INDEX_KEY];
    bytes[..4].copy_from_slice(&platform.to_be_bytes());
    bytes[4..12].copy_from_slice(&account.0.to_be_bytes());
    bytes[12] = class_byte(class);
    bytes[13..21].copy_from_slice(&seq.to_be_bytes());
    bytes[21..].copy_from_slice(&ordinal.to_be_bytes());
    bytes
}

fn class_byte(class: Class) -> u8 {
    match class {
        Class::Payment => 0,
        Class::Refund => 1,
        Class::Payout => 2,
        Class::Customer => 3,
        Class::Method => 4,
        Class::Account => 5,
        Class::Other => 6,
        Class::Setup => 7,
        Class::Dispute => 8,
        Class::Key => 12,
    }
}

fn entry_key(platform: u32, seq: u64) -> [u8; ENTRY_KEY] {
    let mut bytes = [0; ENTRY_KEY];
    bytes[..4].copy_from_slice(&platform.to_be_bytes());
    bytes[4..].copy_from_slice(&seq.to_be_bytes());
    bytes
}

fn idempotency_key(platform: u32, key: &[u8; 16]) -> [u8; IDEMPOTENCY_KEY] {
    let mut bytes = [0; IDEMPOTENCY_KEY];
    bytes[..4].copy_from_slice(&platform.to_be_bytes());
    bytes[4..].copy_from_slice(key);
    bytes
}

fn mark_key(platform: u32) -> [u8; 5] {
    let mut bytes = [MARK_ROW; 5];
    bytes[1..].copy_from_slice(&platform.to_be_bytes());
    bytes
}

fn index_hit(row: Guard) -> Result<IndexHit, StoreError> {
    let (key, value) = row.into_inner().map_err(StoreError::engine("read a list index"))?;
    read_index_row(&key, &value).ok_or_else(|| StoreError::doubt("a row of a list index cannot be read"))
}

fn read_index_row(key: &[u8], mut value: &[u8]) -> Option<IndexHit> {
    let mut place = key.get(13..)?;
    let seq = take_u64(&mut place)?;
    let ordinal = u16::from_be_bytes(place.try_into().ok()?);
    let kinds = u32::try_from(take_varint(&mut value)?).ok()?;
    let birth = seq.wrapping_sub(take_varint(&mut value)?);
    let child = u32::try_from(take_varint(&mut value)?).ok()?;
    Some(IndexHit { seq, ordinal, kinds, key: RecordKey { birth, child } })
}

fn idempotency_hit(mut value: &[u8]) -> Option<IdempotencyHit> {
    let endpoint = value.get(..8)?.try_into().ok()?;
    let parameters = value.get(8..24)?.try_into().ok()?;
    value = &value[24..];
    let seq = take_varint(&mut value)?;
    let at = Timestamp(i64::try_from(take_varint(&mut value)?).ok()?.checked_mul(1000)?);
    Some(IdempotencyHit { seq, endpoint, parameters, at })
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    *bytes = rest;
    Some(u64::from_be_bytes(*head))
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    Some(u32::from_be_bytes(*head))
}

/// Seven bits a byte, lowest first, the top bit set on all but the last.
fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

// ---------------------------------------------------------------------------------------------------------------

fn keyspace_options(name: &str, options: StoreOptions) -> KeyspaceCreateOptions {
    let bits = |bits| FilterPolicy::all(FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(bits)));
    let tuned = KeyspaceCreateOptions::default()
        .manual_journal_persist(true)
        // In every level: rows that come in the order of their keys are moved down without being written again.
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
        .data_block_hash_ratio_policy(HashRatioPolicy::all(0.0));
    match name {
        // Found in almost every case, so the last level needs no filter; larger blocks compress better.
        RECORDS => tuned
            .max_memtable_size(options.memtable_bytes)
            .data_block_size_policy(BlockSizePolicy::all(8 << 10))
            .expect_point_read_hits(true)
            .filter_policy(bits(10.0)),
        // Scanned, never looked up.
        INDEX | CHANGES => tuned
            .max_memtable_size(options.memtable_bytes)
            .data_block_size_policy(BlockSizePolicy::all(8 << 10))
            .filter_policy(FilterPolicy::all(FilterPolicyEntry::None)),
        ENTRIES => tuned
            .max_memtable_size(options.memtable_bytes / 4)
            .data_block_size_policy(BlockSizePolicy::all(4 << 10))
            .expect_point_read_hits(true)
            .filter_policy(FilterPolicy::all(FilterPolicyEntry::None)),
        META => tuned.max_memtable_size(1 << 20),
        // Idempotency keys: absent in almost every case, so the filters answer.
        _ => tuned.max_memtable_size(options.memtable_bytes / 2).filter_policy(bits(12.0)),
    }
}

fn damaged(platform: u32, key: RecordKey, error: &minicbor::decode::Error) -> StoreError {
    StoreError::doubt(format!("record {}/{} of platform {platform} cannot be read: {error}", key.birth, key.child))
}

fn doubt_file(folder: &Path) -> PathBuf {
    folder.with_extension("doubt")
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Something else that bears its name.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => fs::remove_file(folder),
        other => other,
    }
}

/// Entries for tests of the store and of what feeds it.
#[cfg(test)]
pub(crate) mod testing {
    use bytes::Bytes;

    use super::*;
    use crate::domain::command::{Command, IdempotencyKey};
    use crate::domain::decide::{Kinds, Reply};
    use crate::domain::record::{CustomerRecord, Made, Record};
    use crate::domain::seal::Sealed;
    use crate::engine::entry::{JournalEntry, StoredChange, encode_record};
    use crate::ledger::Entry;

    pub(crate) const PLATFORM: u32 = 1;

    pub(crate) fn seller(number: u64) -> AccountNo {
        AccountNo(number)
    }

    /// A record whose `key_no` tells which image it is.
    pub(crate) fn image(owner: AccountNo, seq: u64, version: u32) -> Record {
        Record::Customer(CustomerRecord {
            owner,
            made: Made { seq, at: Timestamp(0) },
            default_method: None,
            private: Sealed::default(),
            key_no: version,
            deleted: false,
        })
    }

    pub(crate) fn change(key: RecordKey, record: &Record, index: Vec<IndexRow>) -> StoredChange {
        StoredChange { key, after: encode_record(record), before: None, index }
    }

    pub(crate) fn listed(account: AccountNo, class: Class, kinds: u32) -> IndexRow {
        IndexRow { account, class, kinds }
    }

    pub(crate) fn entry(now: Timestamp, key: Option<[u8; 16]>, changes: Vec<StoredChange>) -> JournalEntry {
        JournalEntry {
            version: 1,
            now,
            acting: AccountNo::PLATFORM,
            request_id: "req_1".to_owned(),
            idempotency: key.map(|key| IdempotencyKey {
                key,
                endpoint: [7; 8],
                parameters: [8; 16],
                text: "caller's own".to_owned(),
                path: "POST /v1/customers".to_owned(),
            }),
            command: Command::AdvanceClock { to: now },
            texts: Sealed::default(),
            postings: Entry::default(),
            changes,
            events: Vec::new(),
            due: Vec::new(),
            undue: Vec::new(),
            matured: None,
            keys_taken: 0,
            reply: Reply::Done,
        }
    }

    pub(crate) fn durable(platform: u32, seq: u64, entry: &JournalEntry) -> Durable {
        Durable {
            platform,
            seq,
            position: Position { segment: 1, offset: u32::try_from(seq * 64).unwrap() },
            payload: Bytes::from(entry.to_bytes()),
            hash: *blake3::hash(&seq.to_le_bytes()).as_bytes(),
        }
    }

    /// A plain day: entry `seq` makes a customer of one of three sellers, with an idempotency key.
    pub(crate) fn plain(platform: u32, seq: u64) -> Durable {
        let owner = seller(1 + seq % 3);
        let mut key = [0; 16];
        key[..8].copy_from_slice(&seq.to_le_bytes());
        let made = change(
            RecordKey::head(seq),
            &image(owner, seq, 0),
            vec![
                listed(owner, Class::Customer, Kinds::CUSTOMER),
                listed(AccountNo::PLATFORM, Class::Other, Kinds::EVENT),
            ],
        );
        durable(platform, seq, &entry(Timestamp(i64::try_from(seq).unwrap() * 1000), Some(key), vec![made]))
    }

    pub(crate) fn apply(store: &Store, entries: &[Durable]) {
        let projected: Vec<_> = entries.iter().map(|entry| Projected::of(entry).unwrap()).collect();
        store.apply(&projected).unwrap();
    }

    /// Everything that a store says about a platform.
    pub(crate) fn contents(store: &Store, platform: u32, up_to: u64) -> Vec<String> {
        let mut lines = Vec::new();
        store.records_in_order(platform, |key, bytes| lines.push(format!("{key:?} {bytes:?}"))).unwrap();
        for account in 0..4 {
            for class in [Class::Customer, Class::Other] {
                let hits = store.index(platform, AccountNo(account), class, None, false, usize::MAX).unwrap();
                lines.extend(hits.iter().map(|hit| format!("{account} {class:?} {hit:?}")));
            }
        }
        for seq in 0..=up_to {
            lines.push(format!("{:?}", store.position(platform, seq).unwrap()));
        }
        lines.push(format!("{:?}", store.mark(platform)));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::testing::*;
    use super::*;
    use crate::domain::decide::Kinds;

    const NOON: Timestamp = Timestamp(1_790_000_000_000);

    fn open(folder: &tempfile::TempDir) -> Store {
        Store::open(&folder.path().join("objects"), StoreOptions::default(), NOON).unwrap()
    }

    fn version(store: &Store, key: RecordKey) -> Option<u32> {
        match store.record(PLATFORM, key).unwrap().as_deref() {
            Some(crate::domain::record::Record::Customer(customer)) => Some(customer.key_no),
            Some(other) => panic!("{other:?}"),
            None => None,
        }
    }

    #[test]
    fn what_was_projected_can_be_looked_up_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let entries: Vec<Durable> = (1..=30).map(|seq| plain(PLATFORM, seq)).collect();
        let before = {
            let store = open(&folder);
            assert_eq!((store.projected(PLATFORM), store.reached()), (0, None));
            apply(&store, &entries[..10]);
            apply(&store, &entries[10..]);
            contents(&store, PLATFORM, 31)
        };
        let store = open(&folder);
        assert_eq!(contents(&store, PLATFORM, 31), before);
        assert_eq!(store.mark(PLATFORM), Mark { seq: 30, hash: entries[29].hash });
        assert_eq!(store.reached(), Some(entries[29].position));
        assert_eq!(store.position(PLATFORM, 7).unwrap(), Some(entries[6].position));
        assert_eq!(version(&store, RecordKey::head(7)), Some(0));
        assert_eq!(version(&store, RecordKey::head(31)), None);
        assert_eq!(store.record(2, RecordKey::head(7)).unwrap(), None, "another platform sees nothing of it");
    }

    #[test]
    fn the_last_image_of_a_record_wins_within_a_batch_and_across_batches() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let key = RecordKey { birth: 1, child: 2 };
        let image = |seq, version| {
            durable(PLATFORM, seq, &entry(NOON, None, vec![change(key, &image(seller(1), 1, version), vec![])]))
        };
        apply(&store, &[image(1, 10), image(2, 20), image(3, 15)]);
        assert_eq!(version(&store, key), Some(15));
        apply(&store, &[image(4, 5)]);
        assert_eq!(version(&store, key), Some(5));
    }

    #[test]
    fn a_record_is_found_as_any_entry_left_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let head = RecordKey::head(2);
        let (twin, child, late) =
            (RecordKey { birth: 2, child: 1 }, RecordKey { birth: 2, child: 2 }, RecordKey::head(9));
        // What changes in entries 1 to 9; a record's version is the entry.
        let changes: [&[RecordKey]; 9] = [
            &[RecordKey::PLATFORM],
            &[head, twin],
            &[],
            &[head],
            &[child],
            &[head, child],
            &[],
            &[RecordKey::PLATFORM],
            &[late],
        ];
        for (seq, keys) in (1..).zip(changes) {
            let version = u32::try_from(seq).unwrap();
            let changes =
                keys.iter().map(|key| change(*key, &image(seller(1), key.birth, version), Vec::new())).collect();
            apply(&store, &[durable(PLATFORM, seq, &entry(NOON, None, changes))]);
        }
        // The same entries of another platform are another platform's.
        apply(&store, &[durable(2, 1, &entry(NOON, None, vec![change(head, &image(seller(1), 2, 0), Vec::new())]))]);
        // Written as the entry that an image is in, 0 for no such record, or with a question mark: look into the entry.
        for (key, as_of) in [
            (RecordKey::PLATFORM, ["1?", "1?", "1?", "1?", "1?", "1?", "1?", "8", "8"]),
            (head, ["0", "2?", "2?", "4?", "4?", "6", "6", "6", "6"]),
            (twin, ["0", "2", "2", "2", "2", "2", "2", "2", "2"]),
            (child, ["0", "2?", "2?", "2?", "5?", "6", "6", "6", "6"]),
            (late, ["0", "0", "0", "0", "0", "0", "0", "0", "9"]),
            (RecordKey::head(7), ["0"; 9]),
        ] {
            let found = (1..=9).map(|seq| match store.record_at(PLATFORM, key, seq).unwrap() {
                AsOf::Image(None) => "0".to_owned(),
                AsOf::Image(Some(record)) => match &*record {
                    crate::domain::record::Record::Customer(customer) => customer.key_no.to_string(),
                    other => panic!("{other:?}"),
                },
                AsOf::Entry(seq) => format!("{seq}?"),
            });
            assert_eq!(found.collect::<Vec<_>>(), as_of, "{key:?}");
        }
    }

    #[test]
    fn a_list_is_paged_in_both_directions_without_gaps_or_repeats() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let (mine, other) = (seller(5), seller(6));
        let make = |seq: u64| {
            let (mut rows, mut more) = (Vec::new(), Vec::new());
            rows.push(listed(mine, Class::Payment, Kinds::TRANSFER));
            rows.push(listed(mine, Class::Refund, Kinds::REFUND));
            rows.push(listed(other, Class::Payment, Kinds::CHARGE));
            if seq.is_multiple_of(2) {
                more.push(listed(mine, Class::Payment, Kinds::FEE | Kinds::EVENT));
            }
            let first = change(RecordKey::head(seq), &image(mine, seq, 0), rows);
            let second = change(RecordKey { birth: 1, child: 3 }, &image(mine, 1, 0), more);
            durable(PLATFORM, seq, &entry(NOON, None, vec![first, second]))
        };
        apply(&store, &(1..=9).map(make).collect::<Vec<_>>());

        let list =
            |after, descending, limit| store.index(PLATFORM, mine, Class::Payment, after, descending, limit).unwrap();
        let all = list(None, false, usize::MAX);
        assert_eq!(all.len(), 9 + 4);
        assert!(all.is_sorted_by(|a, b| (a.seq, a.ordinal) < (b.seq, b.ordinal)));
        assert_eq!(all[1], IndexHit { seq: 2, ordinal: 0, kinds: Kinds::TRANSFER, key: RecordKey::head(2) });
        let fee =
            IndexHit { seq: 2, ordinal: 3, kinds: Kinds::FEE | Kinds::EVENT, key: RecordKey { birth: 1, child: 3 } };
        assert_eq!(all[2], fee);

        for descending in [false, true] {
            let mut expected = all.clone();
            if descending {
                expected.reverse();
            }
            for limit in [1, 2, 5, 100] {
                let (mut seen, mut after) = (Vec::new(), None);
                loop {
                    let page = list(after, descending, limit);
                    let Some(last) = page.last() else { break };
                    after = Some((last.seq, last.ordinal));
                    seen.extend(page);
                }
                assert_eq!(seen, expected, "descending {descending}, {limit} a page");
            }
        }
        assert_eq!(list(Some((9, 0)), true, 1)[0].seq, 8, "a cursor is exclusive");
        assert!(list(Some((9, u16::MAX)), false, 10).is_empty());
        assert!(store.index(PLATFORM, mine, Class::Payout, None, true, 10).unwrap().is_empty());
        assert!(store.index(2, mine, Class::Payment, None, true, 10).unwrap().is_empty());
    }

    #[test]
    fn an_idempotency_key_is_good_for_a_day_of_its_platform_and_then_free_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let key = *b"0123456789abcdef";
        let used = |seq, now| durable(PLATFORM, seq, &entry(now, Some(key), vec![]));
        apply(&store, &[used(1, NOON)]);
        let hit = store.idempotency(PLATFORM, &key, NOON).unwrap();
        assert_eq!(hit, Some(IdempotencyHit { seq: 1, endpoint: [7; 8], parameters: [8; 16], at: NOON }));
        assert_eq!(store.idempotency(2, &key, NOON).unwrap(), None);
        let late = Timestamp(NOON.0 + IDEMPOTENCY_MS);
        assert_eq!(store.idempotency(PLATFORM, &key, Timestamp(late.0 - 1)).unwrap(), hit);
        assert_eq!(store.idempotency(PLATFORM, &key, late).unwrap(), None);
        apply(&store, &[used(2, late)]);
        assert_eq!(store.idempotency(PLATFORM, &key, late).unwrap().map(|hit| hit.seq), Some(2));
    }

    #[test]
    fn old_idempotency_keys_go_as_a_whole_but_never_within_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let key = |n: u8| [n; 16];
        let hours = |h: i64| Timestamp(NOON.0 + h * 3_600_000);
        // The platform's own clock stands still: only the wall's drops keys.
        let found = |store: &Store, n| store.idempotency(PLATFORM, &key(n), NOON).unwrap().is_some();
        for (n, hour) in [(1u8, 0i64), (2, 11), (3, 23), (4, 30)] {
            store.roll(hours(hour)).unwrap();
            apply(&store, &[durable(PLATFORM, u64::from(n), &entry(NOON, Some(key(n)), vec![]))]);
            for earlier in 1..=n {
                let age = hour - [0, 11, 23, 30][usize::from(earlier) - 1];
                assert!(age >= 24 || found(&store, earlier), "key {earlier} at hour {hour}");
            }
        }
        store.roll(hours(48)).unwrap();
        assert!(!found(&store, 1) && found(&store, 4));
        store.roll(hours(20)).unwrap();
        assert!(found(&store, 4), "a wall clock that goes back changes nothing");
        drop(store);
        let store = Store::open(&folder.path().join("objects"), StoreOptions::default(), hours(49)).unwrap();
        assert!(!found(&store, 1) && found(&store, 4));
        store.roll(hours(90)).unwrap();
        drop(store);
        let store = Store::open(&folder.path().join("objects"), StoreOptions::default(), hours(91)).unwrap();
        assert!(!found(&store, 4), "dropped keyspaces leave no doubt behind");
        assert_eq!(store.projected(PLATFORM), 4);
    }

    #[test]
    fn keys_that_are_known_to_be_dead_are_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        store.forget_before(PLATFORM, NOON);
        let at = |ms| Timestamp(NOON.0 - IDEMPOTENCY_MS + ms);
        apply(
            &store,
            &[
                durable(PLATFORM, 1, &entry(at(-1), Some([1; 16]), vec![])),
                durable(PLATFORM, 2, &entry(at(0), Some([2; 16]), vec![])),
            ],
        );
        assert!(store.idempotency(PLATFORM, &[1; 16], at(0)).unwrap().is_none());
        assert!(store.idempotency(PLATFORM, &[2; 16], at(0)).unwrap().is_some());
    }

    #[test]
    fn entries_that_come_again_change_nothing_and_a_gap_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let entries: Vec<Durable> = (1..=6).map(|seq| plain(PLATFORM, seq)).collect();
        apply(&store, &entries[..4]);
        let before = contents(&store, PLATFORM, 6);
        apply(&store, &entries[1..3]);
        assert_eq!(contents(&store, PLATFORM, 6), before);
        let gap = Projected::of(&entries[5]).unwrap();
        assert!(matches!(store.apply(&[gap]), Err(StoreError::Doubt(_))));
        apply(&store, &entries[2..]);
        assert_eq!(store.projected(PLATFORM), 6);
    }

    #[test]
    fn a_crash_between_batches_leaves_a_prefix_and_never_more_promised_than_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let objects = folder.path().join("objects");
        let store = open(&folder);
        let copies: Vec<_> = (0..4)
            .map(|copy| {
                let entries: Vec<Durable> = (1 + copy * 50..=50 + copy * 50).map(|seq| plain(PLATFORM, seq)).collect();
                apply(&store, &entries);
                // What a kill leaves: the files as they are at this moment.
                let at = folder.path().join(format!("copy{copy}"));
                copy_folder(&objects, &at);
                (at, 50 + copy * 50)
            })
            .collect();
        for (at, seq) in copies {
            let store = Store::open(&at, StoreOptions::default(), NOON).unwrap();
            assert_eq!(store.projected(PLATFORM), seq);
            for seq in 1..=seq {
                assert!(version(&store, RecordKey::head(seq)).is_some());
                assert!(store.position(PLATFORM, seq).unwrap().is_some());
            }
        }
        // A power cut tears the engine's journal anywhere: what opens is a prefix, or it is refused.
        drop(store);
        let jnl = std::fs::read_dir(&objects)
            .unwrap()
            .filter_map(|e| Some(e.ok()?.path()))
            .find(|p| p.extension().is_some_and(|x| x == "jnl"))
            .unwrap();
        let name = jnl.file_name().unwrap().to_owned();
        let length = std::fs::metadata(&jnl).unwrap().len();
        for cut in (0..=20).map(|part| length * part / 20) {
            let at = folder.path().join(format!("cut{cut}"));
            copy_folder(&objects, &at);
            let file = std::fs::OpenOptions::new().write(true).open(at.join(&name)).unwrap();
            file.set_len(cut).unwrap();
            drop(file);
            let Ok(store) = Store::open(&at, StoreOptions::default(), NOON) else { continue };
            let got = store.projected(PLATFORM);
            assert!(got <= 200 && got % 50 == 0, "{got} entries after a cut at {cut}");
            for seq in 1..=got {
                assert!(version(&store, RecordKey::head(seq)).is_some(), "record {seq} of {got}");
            }
            assert!(got == 200 || version(&store, RecordKey::head(got + 1)).is_none());
        }
    }

    #[test]
    fn a_keyspace_that_silently_lost_rows_is_doubted() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        apply(&store, &(1..=20).map(|seq| plain(PLATFORM, seq)).collect::<Vec<_>>());
        // As if the engine's journal had been dropped after only some keyspaces had reached the disk.
        store.inner.index.clear().unwrap();
        store.sync().unwrap();
        drop(store);
        let Err(doubt) = Store::open(&folder.path().join("objects"), StoreOptions::default(), NOON) else {
            panic!("not noticed")
        };
        assert!(doubt.to_string().contains("keyspace index lost"), "{doubt}");
    }

    #[test]
    fn a_doubtful_store_is_wiped_and_built_again_to_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let objects = folder.path().join("objects");
        let entries: Vec<Durable> = (1..=40).map(|seq| plain(PLATFORM, seq)).collect();
        let store = open(&folder);
        apply(&store, &entries);
        let before = contents(&store, PLATFORM, 40);
        store.condemn("a test says so");
        drop(store);
        assert!(matches!(Store::open(&objects, StoreOptions::default(), NOON), Err(StoreError::Doubt(_))));
        let (store, why) = Store::open_or_wipe(&objects, StoreOptions::default(), NOON).unwrap();
        assert!(why.unwrap().to_string().contains("a test says so"));
        assert_eq!(store.projected(PLATFORM), 0);
        for batch in entries.chunks(7) {
            apply(&store, batch);
        }
        assert_eq!(contents(&store, PLATFORM, 40), before);
        drop(store);
        let (store, why) = Store::open_or_wipe(&objects, StoreOptions::default(), NOON).unwrap();
        assert!(why.is_none() && contents(&store, PLATFORM, 40) == before);
    }

    #[test]
    fn damaged_files_are_refused_or_read_right_never_read_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let objects = folder.path().join("objects");
        let small = StoreOptions { memtable_bytes: 64 << 10, ..StoreOptions::default() };
        let store = Store::open(&objects, small, NOON).unwrap();
        for batch in (1..=4_000).map(|seq| plain(PLATFORM, seq)).collect::<Vec<_>>().chunks(250) {
            apply(&store, batch);
        }
        store.inner.records.rotate_memtable_and_wait().unwrap();
        let truth = contents(&store, PLATFORM, 4_000);
        drop(store);
        let mut files = Vec::new();
        list_files(&objects, &mut files);
        for (number, file) in files.iter().enumerate() {
            let bytes = std::fs::read(file).unwrap();
            // In the middle of what was written: the engine's journal ends in 64 MiB of nothing.
            let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else { continue };
            let at = folder.path().join(format!("damaged{number}"));
            copy_folder(&objects, &at);
            let mut bytes = bytes;
            let (middle, end) = (last / 2, (last / 2 + 16).min(bytes.len()));
            bytes[middle..end].iter_mut().for_each(|byte| *byte ^= 0xff);
            std::fs::write(at.join(file.strip_prefix(&objects).unwrap()), bytes).unwrap();
            let Ok(store) = Store::open(&at, small, NOON) else { continue };
            let seen = catch_unwind(AssertUnwindSafe(|| {
                let mut records = Vec::new();
                store
                    .records_in_order(PLATFORM, |key, bytes| records.push(format!("{key:?} {bytes:?}")))
                    .map(|seq| (seq, records))
            }));
            if let Ok(Ok((seq, records))) = seen {
                let seq = usize::try_from(seq).unwrap();
                assert!(records.len() >= seq, "{} records promised, {} there: {}", seq, records.len(), file.display());
                assert_eq!(records[..seq], truth[..seq], "{}", file.display());
            }
        }
    }

    fn copy_folder(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for item in std::fs::read_dir(from).unwrap() {
            let item = item.unwrap();
            let target = to.join(item.file_name());
            if item.file_type().unwrap().is_dir() {
                copy_folder(&item.path(), &target);
            } else {
                std::fs::copy(item.path(), target).unwrap();
            }
        }
    }

    fn list_files(folder: &Path, files: &mut Vec<PathBuf>) {
        for item in std::fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                list_files(&path, files);
            } else {
                files.push(path);
            }
        }
        files.sort();
    }

    #[test]
    #[ignore = "a measurement: cargo test --release -- --ignored a_million_charges --nocapture"]
    fn a_million_charges() {
        use std::time::Instant;
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let count: u64 = std::env::var("CHARGES").map_or(1_000_000, |n| n.parse().unwrap());
        let (mut decode, mut write) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
        let mut payload_bytes = 0;
        let began = Instant::now();
        let mut random = blake3::Hasher::new().finalize_xof();
        let mut seqs = 1..=count;
        loop {
            let entries: Vec<Durable> = seqs
                .by_ref()
                .take(1_000)
                .map(|seq| {
                    // 300 bytes that compress like numbers do, 250 that are ciphertext.
                    let (mut noise, mut key) = ([0; 250], [0; 16]);
                    random.fill(&mut noise);
                    random.fill(&mut key);
                    let mut after = Vec::new();
                    for word in 0..30u64 {
                        after.extend_from_slice(&[0x18, 0x1a, 0x82]);
                        after.extend_from_slice(&(seq + word * 7).to_be_bytes()[1..]);
                    }
                    after.extend_from_slice(&noise);
                    let owner = seller(1 + u64::from(noise[0]) * 40 + u64::from(noise[1]) % 40);
                    let made = crate::engine::entry::StoredChange {
                        key: RecordKey::head(seq),
                        after,
                        before: None,
                        index: vec![
                            listed(AccountNo::PLATFORM, Class::Payment, 0x401f),
                            listed(owner, Class::Payment, 0x4014),
                        ],
                    };
                    durable(
                        PLATFORM,
                        seq,
                        &entry(Timestamp(NOON.0 + 40 * i64::try_from(seq).unwrap()), Some(key), vec![made]),
                    )
                })
                .collect();
            if entries.is_empty() {
                break;
            }
            payload_bytes += entries.iter().map(|entry| entry.payload.len()).sum::<usize>();
            let start = Instant::now();
            let projected: Vec<_> = entries.iter().map(|entry| Projected::of(entry).unwrap()).collect();
            decode += start.elapsed();
            let start = Instant::now();
            store.apply(&projected).unwrap();
            write += start.elapsed();
        }
        println!("{count} charges in {:?}: decode {decode:?}, write {write:?}", began.elapsed());
        let report = |store: &Store| {
            println!("payload {} B each", payload_bytes as u64 / count);
            println!("disk {} B each", store.disk_bytes().unwrap() / count);
            for (name, bytes) in store.disk_bytes_by_keyspace() {
                println!("  {name}: {:.1} B each", bytes as f64 / count as f64);
            }
        };
        report(&store);
        for _ in 0..2 {
            let start = Instant::now();
            for n in 0..100_000u64 {
                let seq = 1 + n.wrapping_mul(0x9e37_79b9) % count;
                assert!(store.inner.records.get(record_key(PLATFORM, RecordKey::head(seq))).unwrap().is_some());
            }
            println!("read a record: {:?}", start.elapsed() / 100_000);
        }
        let start = Instant::now();
        for n in 0..100_000u64 {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
            assert!(store.idempotency(PLATFORM, &key, NOON).unwrap().is_none());
        }
        println!("miss an idempotency key: {:?}", start.elapsed() / 100_000);
        let start = Instant::now();
        for n in 0..20_000u64 {
            store.index(PLATFORM, seller(n % 10_000), Class::Payment, None, true, 10).unwrap();
        }
        println!("list ten of a seller: {:?}", start.elapsed() / 20_000);
        let start = Instant::now();
        for _ in 0..20_000u64 {
            store.index(PLATFORM, AccountNo::PLATFORM, Class::Payment, None, true, 10).unwrap();
        }
        println!("list ten of the platform: {:?}", start.elapsed() / 20_000);
        for keyspace in [&store.inner.records, &store.inner.index, &store.inner.entries] {
            keyspace.rotate_memtable_and_wait().unwrap();
            println!("  {} tables {}", &**keyspace.name(), keyspace.table_count());
        }
        report(&store);
    }

    #[test]
    fn an_entry_is_read_in_part_as_it_was_written_whole() {
        let whole = entry(
            NOON,
            Some([3; 16]),
            vec![
                change(
                    RecordKey { birth: 9, child: 1 },
                    &image(seller(2), 9, 4),
                    vec![listed(seller(2), Class::Refund, 5)],
                ),
                change(RecordKey::head(9), &image(seller(2), 9, 5), vec![]),
            ],
        );
        let bytes = whole.to_bytes();
        let view = EntryView::from_bytes(&bytes).unwrap();
        assert_eq!(view.now, whole.now);
        assert_eq!(view.idempotency.unwrap().key, [3; 16]);
        assert_eq!(view.changes.len(), 2);
        for (seen, change) in view.changes.iter().zip(&whole.changes) {
            assert_eq!((seen.key, seen.after, &seen.index), (change.key, &change.after[..], &change.index));
        }
        for cut in 0..bytes.len() {
            assert!(EntryView::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
