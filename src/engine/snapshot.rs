//! Snapshots: a platform's state as it was at a sequence, so that a start need not replay everything.
//!
//! **Owns** the folder `snapshots/` with two halves, `a` and `b`, written in turn (sled), and what each of them still
//! lacks of the accounts that changed.
//! **Never** trusted: a snapshot is a cache. Whatever is off with one, it is moved aside with a warning, the other half
//! is used, then the journal.
//! **Why a process of its own for sled:** the version that survives power cuts is an alpha. On damaged metadata it was
//! seen to spin for ever, and it aborts the process when a flush fails. So nobody but a killable child ever opens it:
//! the daemon's own binary with a hidden subcommand, a time limit, and checksummed streams over pipes.
//!
//! # Life of a half
//! 1. Its manifest is removed: from now on it counts for nothing.
//! 2. A child writes what changed since this half was last whole, flushes, and says what the half must now hold.
//! 3. Another child opens it afresh and reads every record: count, sum and checksums must be as said.
//! 4. When the journal is durable up to the snapshot's sequences, the manifest is written beside it, synced, renamed.
//!
//! The sum is of BLAKE3 over each record, lane by lane: it does not depend on the order, so a changed record changes it
//! by what it was and what it is, and the whole need not be hashed to know what it must be.
//!
//! # Rows in sled
//! | key                                   | value                                              |
//! |---------------------------------------|----------------------------------------------------|
//! | platform u32, 0                       | CRC-32C of key and rest; seq u64, hash 32, header   |
//! | platform u32, 1, account u64          | CRC-32C of key and rest; books                      |

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use minicbor::{Decode, Encode};

use super::journal::{Position, ReadFrom, Reader};
use super::state::{Clock, State, Totals};
use super::store::{Store, StoreError};
use crate::domain::due::DueItem;
use crate::domain::tables::Tables;
use crate::ledger::{AccountNo, Books, House};
use crate::primitives::currency::Currency;
use crate::primitives::market::RatesDigest;
use crate::primitives::time::{Day, Timestamp};

const MANIFEST: &str = "manifest";
const MANIFEST_DRAFT: &str = "manifest.new";
const ENGINE: &str = "sled";
const MANIFEST_VERSION: u32 = 1;
/// Damaged halves that are kept for whoever wants to look into them; older ones are removed.
const KEPT_ASIDE: usize = 2;

// ---------------------------------------------------------------------------------------------------------------
// What is kept

/// The router's share of a platform's state as it is kept: everything but the accounts' books, and but the idempotency
/// keys, which the store has.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct PlatformState {
    /// Sequence of the newest entry in it.
    #[n(0)]
    pub seq: u64,
    /// The platform's time at the newest entry.
    #[n(1)]
    pub now: Timestamp,
    /// Real or virtual time.
    #[n(2)]
    pub clock: Clock,
    /// An advance that is not finished.
    #[n(3)]
    pub target: Option<Timestamp>,
    /// Next free key of the vault.
    #[n(4)]
    pub next_key_no: u32,
    /// Tables in force.
    #[n(5)]
    pub tables: Tables,
    /// What is due, in order.
    #[n(6)]
    pub due: Vec<DueItem>,
    /// Accounts and days whose maturing is in the queue.
    #[n(7)]
    pub maturing: BTreeSet<(AccountNo, Day)>,
    /// Split rules by name.
    #[n(8)]
    pub rules: BTreeMap<String, u64>,
    /// Totals of the house.
    #[n(9)]
    pub house: Vec<HouseTotal>,
    /// Sums of the accounts, per currency.
    #[n(10)]
    pub totals: BTreeMap<Currency, Totals>,
    /// Every table of market rates that was ever in force.
    #[n(11)]
    pub rates_named: BTreeSet<RatesDigest>,
}

/// What a ledger account of the house holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HouseTotal {
    /// Which.
    #[n(0)]
    pub house: House,
    /// In which currency.
    #[n(1)]
    pub currency: Currency,
    /// Minor units; credits positive.
    #[cbor(n(2), with = "crate::primitives::wide")]
    pub minor: i128,
}

impl PlatformState {
    /// What is kept of a state.
    pub fn of(state: &State) -> PlatformState {
        let house = state.house.iter().map(|(house, currency, minor)| HouseTotal { house, currency, minor });
        PlatformState {
            seq: state.seq,
            now: state.now,
            clock: state.clock,
            target: state.target,
            next_key_no: state.next_key_no,
            tables: state.tables.clone(),
            due: state.due.iter().map(|(&key, &kind)| DueItem { key, kind }).collect(),
            maturing: state.maturing.clone(),
            rules: state.rules.clone(),
            house: house.collect(),
            totals: state.totals.clone(),
            rates_named: state.rates_named.clone(),
        }
    }

    /// The state again; for idempotency keys it asks the store. `None` where a total would leave 128 bits.
    pub fn into_state(self) -> Option<State> {
        let mut state = State::new(self.tables, self.clock, self.now);
        state.seq = self.seq;
        state.target = self.target;
        state.next_key_no = self.next_key_no;
        self.due.into_iter().for_each(|item| state.queue(item));
        state.maturing = self.maturing;
        state.rules = self.rules;
        for HouseTotal { house, currency, minor } in self.house {
            state.house.post(house, currency, minor)?;
        }
        state.totals = self.totals;
        state.rates_named = self.rates_named;
        state.idempotency.ask_store();
        Some(state)
    }

    /// Encoded for a [`Snapshot`].
    pub fn to_bytes(&self) -> Vec<u8> {
        // Writing to a Vec cannot fail.
        minicbor::to_vec(self).unwrap_or_default()
    }

    /// Reads [`PlatformState::to_bytes`] back.
    ///
    /// # Errors
    /// Bytes that are no state.
    pub fn from_bytes(bytes: &[u8]) -> Result<PlatformState, minicbor::decode::Error> {
        minicbor::decode(bytes)
    }
}

/// A copy of a platform's state between two batches.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Which platform.
    pub platform: u32,
    /// Sequence of the newest entry in it.
    pub seq: u64,
    /// The platform's chain there.
    pub hash: [u8; 32],
    /// Encoded [`PlatformState`].
    pub header: Vec<u8>,
    /// Encoded books of the accounts that changed since the platform's last snapshot, or of all of them.
    pub accounts: Vec<(AccountNo, Vec<u8>)>,
}

/// Copies that are written together.
#[derive(Clone, Debug)]
pub struct Round {
    /// Whether they are complete: every platform with every account. Otherwise they hold what changed since the last
    /// round, or since the state that was loaded.
    pub everything: bool,
    /// By platform; those without changes may be left out.
    pub platforms: Vec<Snapshot>,
}

/// A platform as loaded.
#[derive(Debug)]
pub struct LoadedPlatform {
    /// Sequence that it stands at.
    pub seq: u64,
    /// The platform's chain there.
    pub hash: [u8; 32],
    /// Encoded [`PlatformState`].
    pub header: Vec<u8>,
    /// Books in the order of account numbers.
    pub accounts: Vec<(AccountNo, Books)>,
}

/// What was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// By number.
    pub platforms: BTreeMap<u32, LoadedPlatform>,
    half: Half,
    manifest: Manifest,
}

/// Whether an entry stands in the journal with this hash: what [`load`] asks before it believes a snapshot. The store
/// must have caught up.
pub fn in_journal<'a>(store: &'a Store, reader: &'a Reader) -> impl Fn(u32, u64, &[u8; 32]) -> bool + 'a {
    move |platform, seq, hash| {
        if seq == 0 {
            return true;
        }
        let Ok(Some(position)) = store.position(platform, seq) else { return false };
        let frame = reader.read_at(position);
        frame.is_ok_and(|frame| (frame.platform, frame.seq, frame.hash()) == (platform, seq, *hash))
    }
}

impl Loaded {
    /// Where in the journal the first entry lies that is not in the snapshot; `None`: there is none. Entries behind it
    /// that are in the snapshot are to be left out. The store must have caught up.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn replay_from(&self, store: &Store) -> Result<Option<ReadFrom>, StoreError> {
        let mut first = None;
        for platform in store.marks().into_keys() {
            let seq = self.platforms.get(&platform).map_or(0, |loaded| loaded.seq);
            if let Some(next) = store.position(platform, seq + 1)? {
                first = Some(first.map_or(next, |first: Position| first.min(next)));
            }
        }
        Ok(first.map(ReadFrom::Frame))
    }

    /// What a [`SnapshotWriter`] goes on from.
    pub fn ground(&self) -> Ground {
        Ground { half: self.half, manifest: self.manifest.clone() }
    }
}

/// The half that a state was loaded from: the writer goes on with the other one.
#[derive(Clone, Debug)]
pub struct Ground {
    half: Half,
    manifest: Manifest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    A,
    B,
}

impl Half {
    const BOTH: [Half; 2] = [Half::A, Half::B];

    fn name(self) -> &'static str {
        match self {
            Half::A => "a",
            Half::B => "b",
        }
    }

    fn other(self) -> Half {
        match self {
            Half::A => Half::B,
            Half::B => Half::A,
        }
    }

    fn index(self) -> usize {
        match self {
            Half::A => 0,
            Half::B => 1,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Manifest {
    #[n(0)]
    version: u32,
    /// Counts up with every manifest of either half: the higher one is the newer.
    #[n(1)]
    round: u64,
    #[n(2)]
    content: Content,
    #[n(3)]
    platforms: BTreeMap<u32, Stand>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct Stand {
    #[n(0)]
    seq: u64,
    #[cbor(n(1), with = "minicbor::bytes")]
    hash: [u8; 32],
}

/// What a half holds: how many records, and the sum of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
struct Content {
    #[n(0)]
    count: u64,
    #[n(1)]
    sum: [u64; 4],
}

impl Content {
    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.count = self.count.wrapping_add(1);
        for (lane, hash) in self.sum.iter_mut().zip(lanes(key, value)) {
            *lane = lane.wrapping_add(hash);
        }
    }

    fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.count = self.count.wrapping_sub(1);
        for (lane, hash) in self.sum.iter_mut().zip(lanes(key, value)) {
            *lane = lane.wrapping_sub(hash);
        }
    }
}

fn lanes(key: &[u8], value: &[u8]) -> [u64; 4] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(value);
    let hash = hasher.finalize();
    let (words, _) = hash.as_bytes().as_chunks::<8>();
    std::array::from_fn(|lane| u64::from_le_bytes(words[lane]))
}

// ---------------------------------------------------------------------------------------------------------------
// Rows

const HEADER_ROW: u8 = 0;
const ACCOUNT_ROW: u8 = 1;

type Row = (Vec<u8>, Arc<[u8]>);

fn header_row(snapshot: &Snapshot) -> Row {
    let mut key = snapshot.platform.to_be_bytes().to_vec();
    key.push(HEADER_ROW);
    let value = sealed_value(&key, &[&snapshot.seq.to_be_bytes(), &snapshot.hash, &snapshot.header]);
    (key, value)
}

fn account_row(platform: u32, account: AccountNo, books: &[u8]) -> Row {
    let mut key = platform.to_be_bytes().to_vec();
    key.push(ACCOUNT_ROW);
    key.extend_from_slice(&account.0.to_be_bytes());
    let value = sealed_value(&key, &[books]);
    (key, value)
}

fn sealed_value(key: &[u8], parts: &[&[u8]]) -> Arc<[u8]> {
    let mut crc = crc32c::crc32c(key);
    let mut value = vec![0; 4];
    for part in parts {
        crc = crc32c::crc32c_append(crc, part);
        value.extend_from_slice(part);
    }
    value[..4].copy_from_slice(&crc.to_le_bytes());
    value.into()
}

/// The value without its checksum, if that fits.
fn opened_value<'a>(key: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
    let (crc, rest) = value.split_first_chunk::<4>()?;
    (crc32c::crc32c_append(crc32c::crc32c(key), rest) == u32::from_le_bytes(*crc)).then_some(rest)
}

// ---------------------------------------------------------------------------------------------------------------
// Errors

/// Why a half cannot be used, or not be written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The folder could not be handled.
    #[error("snapshots: cannot {doing} {}: {source}; check the disk (space, health, permissions)", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The child took too long and was killed.
    #[error("snapshots: {doing} {} took too long (limit {limit:?}) and was stopped", .path.display())]
    TimedOut {
        /// What it was doing.
        doing: &'static str,
        /// In which half.
        path: PathBuf,
        /// The limit.
        limit: Duration,
    },
    /// What is there is not what was written.
    #[error("snapshots: {} is unsound: {what}", .path.display())]
    Unsound {
        /// Which half.
        path: PathBuf,
        /// What is off.
        what: String,
    },
}

impl SnapshotError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SnapshotError {
        let path = path.to_owned();
        move |source| SnapshotError::Io { doing, path, source }
    }

    fn unsound(path: &Path, what: impl Into<String>) -> SnapshotError {
        SnapshotError::Unsound { path: path.to_owned(), what: what.into() }
    }
}

// ---------------------------------------------------------------------------------------------------------------
// The engine behind a small trait

/// Looks at a record; its error ends the reading.
type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> io::Result<()>;

/// A map on disk that keeps one half. Only children open one.
trait RecordFile {
    /// Puts a record, and gives back what was there.
    fn put(&self, key: &[u8], value: &[u8]) -> io::Result<Option<Vec<u8>>>;
    /// Every record, in the order of the keys.
    fn each(&self, visit: Visit<'_>) -> io::Result<()>;
    /// Returns when everything put is on disk.
    fn flush(&self) -> io::Result<()>;
}

struct Sled(sled::Db<1024>);

impl Sled {
    fn open(half: &Path) -> io::Result<Sled> {
        let config = sled::Config::new()
            .path(half.join(ENGINE))
            .cache_capacity_bytes(64 << 20)
            // Its own flusher aborts the process when it fails, and nothing is wanted before the end.
            .flush_every_ms(None)
            .zstd_compression_level(1);
        config.open().map(Sled)
    }
}

impl RecordFile for Sled {
    fn put(&self, key: &[u8], value: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.insert(key, value)?.map(|old| old.to_vec()))
    }

    fn each(&self, visit: Visit<'_>) -> io::Result<()> {
        for row in self.0.iter() {
            let (key, value) = row?;
            visit(&key, &value)?;
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush().map(|_| ())
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Streams between daemon and child

const STREAM_MAGIC: [u8; 8] = *b"FLORSNAP";
const FRAME_BYTES: usize = 64 << 10;
const FRAME_BYTES_MAX: usize = 64 << 20;
/// What may come before the magic: a line that some wrapper printed.
const NOISE_BYTES_MAX: usize = 64 << 10;

const RECORDS_FRAME: u8 = 1;
const END_FRAME: u8 = 2;

struct StreamWriter<W: Write> {
    out: W,
    frame: Vec<u8>,
}

impl<W: Write> StreamWriter<W> {
    fn begin(mut out: W) -> io::Result<StreamWriter<W>> {
        out.write_all(&STREAM_MAGIC)?;
        Ok(StreamWriter { out, frame: vec![RECORDS_FRAME] })
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let too_long = |_| io::Error::new(io::ErrorKind::InvalidData, "a record is too long for the stream");
        self.frame.extend_from_slice(&u16::try_from(key.len()).map_err(too_long)?.to_le_bytes());
        self.frame.extend_from_slice(&u32::try_from(value.len()).map_err(too_long)?.to_le_bytes());
        self.frame.extend_from_slice(key);
        self.frame.extend_from_slice(value);
        if self.frame.len() >= FRAME_BYTES {
            self.send()?;
        }
        Ok(())
    }

    /// Says what it all comes to.
    fn end(mut self, content: Content) -> io::Result<()> {
        if self.frame.len() > 1 {
            self.send()?;
        }
        self.frame = vec![END_FRAME];
        self.frame.extend_from_slice(&content.count.to_le_bytes());
        for lane in content.sum {
            self.frame.extend_from_slice(&lane.to_le_bytes());
        }
        self.send()?;
        self.out.flush()
    }

    fn send(&mut self) -> io::Result<()> {
        let length = u32::try_from(self.frame.len()).unwrap_or(u32::MAX);
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&crc32c::crc32c(&self.frame).to_le_bytes())?;
        self.out.write_all(&self.frame)?;
        self.frame.clear();
        self.frame.push(RECORDS_FRAME);
        Ok(())
    }
}

/// Reads a stream to its end, which it must have.
fn read_stream(input: impl Read, mut visit: impl FnMut(&[u8], &[u8]) -> io::Result<()>) -> io::Result<Content> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut input = BufReader::with_capacity(FRAME_BYTES, input);
    let mut seen = [0; STREAM_MAGIC.len()];
    input.read_exact(&mut seen)?;
    let mut noise = 0;
    while seen != STREAM_MAGIC {
        noise += 1;
        if noise > NOISE_BYTES_MAX {
            return Err(bad("the stream does not begin"));
        }
        seen.rotate_left(1);
        input.read_exact(&mut seen[STREAM_MAGIC.len() - 1..])?;
    }
    let mut frame = Vec::new();
    loop {
        let mut head = [0; 8];
        input.read_exact(&mut head)?;
        let (length, crc) = (le_u32(&head, 0) as usize, le_u32(&head, 4));
        if length == 0 || length > FRAME_BYTES_MAX {
            return Err(bad("a frame has an impossible length"));
        }
        frame.resize(length, 0);
        input.read_exact(&mut frame)?;
        if crc32c::crc32c(&frame) != crc {
            return Err(bad("a frame does not fit its checksum"));
        }
        let mut rest = &frame[1..];
        match frame[0] {
            RECORDS_FRAME => {
                while !rest.is_empty() {
                    let (key, value) = take_record(&mut rest).ok_or_else(|| bad("a record is cut short"))?;
                    visit(key, value)?;
                }
            }
            END_FRAME => {
                let (words, _) = rest.as_chunks::<8>();
                let word = |at: usize| words.get(at).map(|word| u64::from_le_bytes(*word));
                let content = || Some(Content { count: word(0)?, sum: [word(1)?, word(2)?, word(3)?, word(4)?] });
                return content().ok_or_else(|| bad("the end is cut short"));
            }
            _ => return Err(bad("a frame is of no known kind")),
        }
    }
}

fn take_record<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (key_len, after) = rest.split_first_chunk::<2>()?;
    let (value_len, after) = after.split_first_chunk::<4>()?;
    let (key, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*key_len)))?;
    let (value, after) = after.split_at_checked(u32::from_le_bytes(*value_len) as usize)?;
    *rest = after;
    Some((key, value))
}

fn le_u32(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

// ---------------------------------------------------------------------------------------------------------------
// The child

/// What a child does. The text is its hidden subcommand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildTask {
    /// `snapshot-read`: writes every record to its standard output.
    Read,
    /// `snapshot-check`: reads every record and writes what they come to.
    Check,
    /// `snapshot-write`: puts the records of its standard input, and writes what the half must hold then.
    Write,
}

impl ChildTask {
    /// The hidden subcommand.
    pub fn name(self) -> &'static str {
        match self {
            ChildTask::Read => "snapshot-read",
            ChildTask::Check => "snapshot-check",
            ChildTask::Write => "snapshot-write",
        }
    }

    /// The task of a hidden subcommand.
    pub fn named(name: &str) -> Option<ChildTask> {
        [ChildTask::Read, ChildTask::Check, ChildTask::Write].into_iter().find(|task| task.name() == name)
    }

    fn doing(self) -> &'static str {
        match self {
            ChildTask::Read => "reading",
            ChildTask::Check => "checking",
            ChildTask::Write => "writing",
        }
    }
}

/// Runs a child's task. Ends the process after `limit`, so that it outlives its daemon by no more than that.
pub fn run_child(task: ChildTask, half: &Path, limit: Duration) -> ExitCode {
    match child_work(task, half, limit) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{} {}: {error}", task.doing(), half.display());
            ExitCode::FAILURE
        }
    }
}

fn child_work(task: ChildTask, half: &Path, limit: Duration) -> io::Result<()> {
    thread::Builder::new().name("limit".to_owned()).spawn(move || {
        thread::sleep(limit);
        std::process::exit(3);
    })?;
    match task {
        ChildTask::Read => child_read(half, true),
        ChildTask::Check => child_read(half, false),
        ChildTask::Write => child_write(half),
    }
}

/// Runs the child's task if this process was started as one: `snapshot-read HALF LIMIT_MS` and its like. To be called
/// before anything else in `main`.
pub fn child_of_args(mut args: impl Iterator<Item = std::ffi::OsString>) -> Option<ExitCode> {
    let task = ChildTask::named(args.nth(1)?.to_str()?)?;
    let half = PathBuf::from(args.next()?);
    let limit_ms = args.next()?.to_str()?.parse().ok()?;
    Some(run_child(task, &half, Duration::from_millis(limit_ms)))
}

fn child_read(half: &Path, with_records: bool) -> io::Result<()> {
    let file = Sled::open(half)?;
    let mut out = StreamWriter::begin(BufWriter::with_capacity(FRAME_BYTES, io::stdout().lock()))?;
    let mut content = Content::default();
    file.each(&mut |key, value| {
        if with_records {
            // The daemon sums up what it got.
            content.count += 1;
            return out.record(key, value);
        }
        if opened_value(key, value).is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("record {key:02x?} is damaged")));
        }
        content.add(key, value);
        Ok(())
    })?;
    out.end(content)?;
    // Not dropped: closing would write, and may hang.
    std::mem::forget(file);
    Ok(())
}

fn child_write(half: &Path) -> io::Result<()> {
    let file = Sled::open(half)?;
    // What the half held before came in front of the records.
    let mut content = None;
    let end = read_stream(io::stdin().lock(), |key, value| {
        let Some(content) = &mut content else {
            content = minicbor::decode(value).ok();
            return Ok(());
        };
        let content: &mut Content = content;
        if opened_value(key, value).is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a record was damaged on its way here"));
        }
        if let Some(old) = file.put(key, value)? {
            content.remove(key, &old);
        }
        content.add(key, value);
        Ok(())
    })?;
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let content = content.ok_or_else(|| bad("nothing said what the half held before"))?;
    if end.count == 0 {
        return Err(bad("nothing came"));
    }
    file.flush()?;
    StreamWriter::begin(io::stdout().lock())?.end(content)?;
    std::mem::forget(file);
    Ok(())
}

type MakeCommand = dyn Fn(ChildTask, &Path, Duration) -> Command + Send + Sync;
/// Writes to a child's standard input.
type Feed<'a> = &'a mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

/// How children are started and how long they may take.
#[derive(Clone)]
pub struct Guard {
    command: Arc<MakeCommand>,
    limit: Duration,
    /// Set when nobody waits for the children any longer.
    stopping: Arc<AtomicBool>,
}

/// How long a child may go on when the daemon stops: a small round is finished, a large one is not waited for.
const GRACE: Duration = Duration::from_secs(3);

impl Guard {
    /// Children of this binary, whose `main` must call [`child_of_args`].
    ///
    /// # Errors
    /// The system does not tell where the binary is.
    pub fn this_binary(limit: Duration) -> io::Result<Guard> {
        let program = std::env::current_exe()?;
        Ok(Guard::new(limit, move |task, half, limit| {
            let mut command = Command::new(&program);
            command.arg(task.name()).arg(half).arg(limit.as_millis().to_string());
            command
        }))
    }

    /// Children of a kind of one's own.
    pub fn new(
        limit: Duration,
        command: impl Fn(ChildTask, &Path, Duration) -> Command + Send + Sync + 'static,
    ) -> Guard {
        Guard { command: Arc::new(command), limit, stopping: Arc::default() }
    }

    /// Runs a child, gives it `input`, and reads what it writes. Whatever it does, this ends by the limit.
    fn run(
        &self,
        task: ChildTask,
        half: &Path,
        input: Option<Feed<'_>>,
        visit: impl FnMut(&[u8], &[u8]) -> io::Result<()>,
    ) -> Result<Content, SnapshotError> {
        let mut command = (self.command)(task, half, self.limit);
        let spawned = command
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.map_err(SnapshotError::io("start a child for", half))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let child = Arc::new(Mutex::new(child));
        let killed = Arc::new(AtomicBool::new(false));
        let (finished, watch) = channel::<()>();
        let watchdog = {
            let (child, killed, stopping) = (Arc::clone(&child), Arc::clone(&killed), Arc::clone(&self.stopping));
            let mut left = self.limit;
            thread::Builder::new().name("snapshot-limit".to_owned()).spawn(move || {
                let step = Duration::from_millis(50);
                while watch.recv_timeout(left.min(step)) == Err(RecvTimeoutError::Timeout) {
                    left = left.saturating_sub(step);
                    if stopping.load(Ordering::Acquire) {
                        left = left.min(GRACE);
                    }
                    if left.is_zero() {
                        killed.store(true, Ordering::Release);
                        let _ = child.lock().unwrap_or_else(PoisonError::into_inner).kill();
                        return;
                    }
                }
            })
        };
        let outcome = watchdog.and_then(|watchdog| {
            let complaints = thread::Builder::new().name("snapshot-stderr".to_owned()).spawn(move || {
                let mut text = Vec::new();
                let _ = stderr.map(|stderr| stderr.take(4_096).read_to_end(&mut text));
                String::from_utf8_lossy(&text).trim().to_owned()
            })?;
            let fed = match (input, stdin) {
                // It answers only when it has read everything, so writing first cannot lock up.
                (Some(input), Some(stdin)) => input(&mut BufWriter::with_capacity(FRAME_BYTES, stdin)),
                _ => Ok(()),
            };
            let read = match stdout {
                Some(stdout) => read_stream(stdout, visit),
                None => Err(io::Error::other("it has no output")),
            };
            if read.is_err() || fed.is_err() {
                let _ = child.lock().unwrap_or_else(PoisonError::into_inner).kill();
            }
            let _ = finished.send(());
            let _ = watchdog.join();
            let status = wait_or_kill(&child);
            let complaints = complaints.join().unwrap_or_default();
            Ok((fed, read, status, complaints))
        });
        let (fed, read, status, complaints) = outcome.map_err(SnapshotError::io("watch the child for", half))?;
        if killed.load(Ordering::Acquire) {
            return Err(SnapshotError::TimedOut { doing: task.doing(), path: half.to_owned(), limit: self.limit });
        }
        match (fed, read) {
            (Ok(()), Ok(content)) => Ok(content),
            (Err(error), _) | (_, Err(error)) => {
                let what = format!("{} failed: {error}; the child ended with {status} {complaints}", task.doing());
                Err(SnapshotError::unsound(half, what))
            }
        }
    }
}

/// How a child ended; one that does not end by itself within a second is killed.
fn wait_or_kill(child: &Mutex<Child>) -> String {
    let began = Instant::now();
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    while began.elapsed() < Duration::from_secs(1) {
        match child.try_wait() {
            Ok(Some(status)) => return status.to_string(),
            Ok(None) => thread::sleep(Duration::from_millis(1)),
            Err(error) => return error.to_string(),
        }
    }
    let _ = child.kill();
    child.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
}

// ---------------------------------------------------------------------------------------------------------------
// Loading

/// Loads the newest sound snapshot that `agrees` with the journal (platform, sequence, hash). What is unsound is moved
/// aside with a warning. `None`: replay the journal from its beginning.
///
/// # Errors
/// [`SnapshotError::Io`] when a half cannot be moved aside.
pub fn load(
    folder: &Path,
    guard: &Guard,
    agrees: impl Fn(u32, u64, &[u8; 32]) -> bool,
) -> Result<Option<Loaded>, SnapshotError> {
    let mut candidates = Vec::new();
    for half in Half::BOTH {
        let path = folder.join(half.name());
        if !path.exists() {
            continue;
        }
        match read_manifest(&path) {
            Ok(manifest) => candidates.push((manifest, half, path)),
            Err(error) => {
                tracing::warn!(%error, "a snapshot is moved aside");
                move_aside(folder, half)?;
            }
        }
    }
    candidates.sort_by_key(|(manifest, _, _)| std::cmp::Reverse(manifest.round));
    for (manifest, half, path) in candidates {
        let began = Instant::now();
        let stranger = manifest.platforms.iter().find(|(platform, at)| !agrees(**platform, at.seq, &at.hash));
        let loaded = match stranger {
            Some((platform, at)) => {
                let what = format!("platform {platform} at sequence {} is not in this journal", at.seq);
                Err(SnapshotError::unsound(&path, what))
            }
            None => read_half(&path, guard, &manifest),
        };
        match loaded {
            Ok(platforms) => {
                tracing::info!(records = manifest.content.count, took = ?began.elapsed(), "snapshot loaded");
                return Ok(Some(Loaded { platforms, half, manifest }));
            }
            Err(error) => {
                tracing::warn!(%error, "a snapshot is moved aside");
                move_aside(folder, half)?;
            }
        }
    }
    Ok(None)
}

/// The newest entries that the snapshots in a folder stand for, by platform, as their manifests say: all of them were
/// durable when a manifest was written.
pub fn seen(folder: &Path) -> BTreeMap<u32, u64> {
    let mut seen: BTreeMap<u32, u64> = BTreeMap::new();
    for manifest in Half::BOTH.iter().filter_map(|half| read_manifest(&folder.join(half.name())).ok()) {
        for (platform, at) in manifest.platforms {
            let newest = seen.entry(platform).or_default();
            *newest = at.seq.max(*newest);
        }
    }
    seen
}

fn read_half(path: &Path, guard: &Guard, manifest: &Manifest) -> Result<BTreeMap<u32, LoadedPlatform>, SnapshotError> {
    let bad = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut platforms: BTreeMap<u32, LoadedPlatform> = BTreeMap::new();
    let mut content = Content::default();
    let said = guard.run(ChildTask::Read, path, None, |key, value| {
        content.add(key, value);
        let rest = opened_value(key, value).ok_or_else(|| bad(format!("record {key:02x?} is damaged")))?;
        let no_row = || bad(format!("record {key:02x?} is none of ours"));
        let (platform, place) = key.split_first_chunk::<4>().ok_or_else(no_row)?;
        let platform = u32::from_be_bytes(*platform);
        match place.split_first().ok_or_else(no_row)? {
            (&HEADER_ROW, []) => {
                let (seq, rest) = rest.split_first_chunk::<8>().ok_or_else(no_row)?;
                let (hash, header) = rest.split_first_chunk::<32>().ok_or_else(no_row)?;
                let loaded = LoadedPlatform {
                    seq: u64::from_be_bytes(*seq),
                    hash: *hash,
                    header: header.to_vec(),
                    accounts: Vec::new(),
                };
                platforms.insert(platform, loaded);
            }
            (&ACCOUNT_ROW, account) => {
                let account = account.try_into().map(u64::from_be_bytes).map_err(|_| no_row())?;
                let books = minicbor::decode(rest).map_err(|error| bad(format!("books of {account}: {error}")))?;
                let platform = platforms.get_mut(&platform).ok_or_else(no_row)?;
                platform.accounts.push((AccountNo(account), books));
            }
            _ => return Err(no_row()),
        }
        Ok(())
    })?;
    if content != manifest.content || said.count != content.count {
        let what = format!("it holds {} records of {}, or other ones", content.count, manifest.content.count);
        return Err(SnapshotError::unsound(path, what));
    }
    let stands: BTreeMap<u32, Stand> =
        platforms.iter().map(|(platform, at)| (*platform, Stand { seq: at.seq, hash: at.hash })).collect();
    if stands != manifest.platforms {
        return Err(SnapshotError::unsound(path, "its platforms stand elsewhere than its manifest says"));
    }
    Ok(platforms)
}

fn read_manifest(path: &Path) -> Result<Manifest, SnapshotError> {
    let bytes = match fs::read(path.join(MANIFEST)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(SnapshotError::unsound(path, "it was not finished"));
        }
        Err(error) => return Err(SnapshotError::io("read the manifest of", path)(error)),
    };
    let damaged = || SnapshotError::unsound(path, "its manifest is damaged");
    let (body, crc) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
        return Err(damaged());
    }
    let manifest: Manifest = minicbor::decode(body).map_err(|_| damaged())?;
    if manifest.version != MANIFEST_VERSION {
        return Err(SnapshotError::unsound(path, format!("its manifest has version {}", manifest.version)));
    }
    Ok(manifest)
}

fn write_manifest(path: &Path, manifest: &Manifest) -> io::Result<()> {
    // Writing to a Vec cannot fail.
    let mut bytes = minicbor::to_vec(manifest).unwrap_or_default();
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    let draft = path.join(MANIFEST_DRAFT);
    let mut file = File::create(&draft)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(draft, path.join(MANIFEST))?;
    sync_folder(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Renames a half to `a.damaged-<n>`, and removes what was set aside long before.
fn move_aside(folder: &Path, half: Half) -> Result<(), SnapshotError> {
    let path = folder.join(half.name());
    let failed = |doing| SnapshotError::io(doing, &path);
    let prefix = format!("{}.damaged-", half.name());
    let mut numbers = BTreeSet::new();
    for item in fs::read_dir(folder).map_err(failed("look around"))? {
        let name = item.map_err(failed("look around"))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(&prefix)).and_then(|n| n.parse::<u64>().ok());
        numbers.extend(number);
    }
    let next = numbers.last().map_or(1, |newest| newest + 1);
    fs::rename(&path, folder.join(format!("{prefix}{next}"))).map_err(failed("move aside"))?;
    numbers.insert(next);
    for old in numbers.iter().take(numbers.len().saturating_sub(KEPT_ASIDE)) {
        // Only room is lost if it stays.
        let _ = fs::remove_dir_all(folder.join(format!("{prefix}{old}")));
    }
    sync_folder(folder).map_err(failed("sync the folder of"))
}

// ---------------------------------------------------------------------------------------------------------------
// Writing

/// Tells how far a platform's journal is durable.
pub type DurableSeq = Arc<dyn Fn(u32) -> u64 + Send + Sync>;

/// What the writer can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// It is still busy with a round.
    Nothing,
    /// What changed since the last round.
    Changes,
    /// Every account: there is no half to go on from.
    Everything,
}

/// The last snapshot that is whole, and how it went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Snapshots finished since the start.
    pub finished: u64,
    /// Tries that failed since the start.
    pub failed: u64,
    /// Sequences of the newest whole snapshot.
    pub newest: BTreeMap<u32, u64>,
    /// Sequences of the older whole snapshot: segments of the journal behind these are needed by nobody's start.
    pub older: BTreeMap<u32, u64>,
    /// Records in the newest one.
    pub records: u64,
    /// How long the last round took, without waiting for the journal.
    pub took: Duration,
    /// Why the last try failed, if it did.
    pub error: Option<String>,
}

/// Writes snapshots in a thread of its own.
pub struct SnapshotWriter {
    rounds: Option<Sender<Round>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    wants: AtomicU8,
    stopping: Arc<AtomicBool>,
    status: Mutex<Status>,
}

impl SnapshotWriter {
    /// Starts the writer. `ground` is what was loaded; without it the first round must hold everything.
    ///
    /// # Errors
    /// [`SnapshotError::Io`].
    pub fn start(
        folder: &Path,
        mut guard: Guard,
        ground: Option<Ground>,
        durable: DurableSeq,
    ) -> Result<SnapshotWriter, SnapshotError> {
        let stopping: Arc<AtomicBool> = Arc::default();
        guard.stopping = Arc::clone(&stopping);
        fs::create_dir_all(folder).map_err(SnapshotError::io("create", folder))?;
        let shared = Arc::new(Shared { wants: AtomicU8::new(0), stopping, status: Mutex::new(Status::default()) });
        let mut work = Work {
            folder: folder.to_owned(),
            guard,
            durable,
            shared: Arc::clone(&shared),
            halves: [HalfState::default(), HalfState::default()],
            newest: None,
            round: 0,
        };
        if let Some(ground) = ground {
            work.round = ground.manifest.round;
            work.newest = Some(ground.half);
            work.halves[ground.half.index()].standing = Standing::Whole(ground.manifest);
        }
        work.tell();
        let (rounds, inbox) = channel();
        let thread = thread::Builder::new()
            .name("snapshots".to_owned())
            .spawn(move || work.run(&inbox))
            .map_err(SnapshotError::io("start a thread for", folder))?;
        Ok(SnapshotWriter { rounds: Some(rounds), shared, thread: Some(thread) })
    }

    /// What it can use now.
    pub fn wants(&self) -> Wants {
        Wants::of(self.shared.wants.load(Ordering::Acquire))
    }

    /// Hands over copies; never waits. Copies that are sent while it is busy are written with the next round.
    pub fn send(&self, round: Round) {
        self.shared.wants.store(Wants::Nothing.number(), Ordering::Release);
        if let Some(rounds) = &self.rounds {
            // Refused only when the thread is gone: then there are no snapshots, and the journal grows longer.
            let _ = rounds.send(round);
        }
    }

    /// How it goes.
    pub fn status(&self) -> Status {
        self.shared.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the thread, and the round that it is writing unless that is done within some seconds.
    pub fn stop(mut self) {
        self.close();
    }

    fn close(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.rounds = None;
        if let Some(thread) = self.thread.take() {
            // Its panics are caught.
            let _ = thread.join();
        }
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        self.close();
    }
}

impl Wants {
    fn number(self) -> u8 {
        match self {
            Wants::Nothing => 0,
            Wants::Changes => 1,
            Wants::Everything => 2,
        }
    }

    fn of(number: u8) -> Wants {
        match number {
            1 => Wants::Changes,
            2 => Wants::Everything,
            _ => Wants::Nothing,
        }
    }
}

/// What is known of a half on disk.
#[derive(Clone, Debug, Default)]
enum Standing {
    /// Nothing that could be gone on from.
    #[default]
    Unknown,
    /// Nothing, but what it lacks is everything.
    Fresh,
    /// It was verified, and has this manifest.
    Whole(Manifest),
}

#[derive(Clone, Default)]
struct HalfState {
    standing: Standing,
    /// Rows that changed since it was whole.
    lacks: BTreeMap<Vec<u8>, Arc<[u8]>>,
    /// Where the platforms stand when they are written.
    stands: BTreeMap<u32, Stand>,
}

struct Work {
    folder: PathBuf,
    guard: Guard,
    durable: DurableSeq,
    shared: Arc<Shared>,
    halves: [HalfState; 2],
    newest: Option<Half>,
    round: u64,
}

/// The writer is to stop: what is not finished counts for nothing.
struct Stopped;

impl Work {
    fn run(mut self, inbox: &Receiver<Round>) {
        while let Ok(round) = inbox.recv() {
            self.take(round);
            for round in inbox.try_iter() {
                self.take(round);
            }
            if self.shared.stopping.load(Ordering::Acquire) {
                return;
            }
            let half = self.newest.map_or(Half::A, Half::other);
            let outcome = catch_unwind(AssertUnwindSafe(|| self.write(half)))
                .unwrap_or_else(|panic| Err(SnapshotError::unsound(&self.path(half), panic_text(&*panic))));
            match outcome {
                Ok(Some(Stopped)) => return,
                Ok(None) => self.newest = Some(half),
                // It was stopped with us. It has no manifest, so it counts for nothing.
                Err(_) if self.shared.stopping.load(Ordering::Acquire) => return,
                Err(error) => self.give_up(half, &error),
            }
            self.tell();
        }
    }

    fn path(&self, half: Half) -> PathBuf {
        self.folder.join(half.name())
    }

    /// Notes what both halves lack now.
    fn take(&mut self, round: Round) {
        for half in &mut self.halves {
            if round.everything {
                *half = HalfState { standing: Standing::Fresh, ..HalfState::default() };
            }
            if let (Standing::Whole(manifest), true) = (&half.standing, half.stands.is_empty()) {
                half.stands.clone_from(&manifest.platforms);
            }
        }
        for snapshot in round.platforms {
            let (key, value) = header_row(&snapshot);
            let stand = Stand { seq: snapshot.seq, hash: snapshot.hash };
            for half in &mut self.halves {
                half.lacks.insert(key.clone(), Arc::clone(&value));
                half.stands.insert(snapshot.platform, stand);
            }
            for (account, books) in &snapshot.accounts {
                let (key, value) = account_row(snapshot.platform, *account, books);
                for half in &mut self.halves {
                    half.lacks.insert(key.clone(), Arc::clone(&value));
                }
            }
        }
    }

    fn write(&mut self, half: Half) -> Result<Option<Stopped>, SnapshotError> {
        let began = Instant::now();
        let path = self.path(half);
        let failed = |doing| SnapshotError::io(doing, &path);
        let before = match (&self.halves[half.index()].standing, &self.halves[half.other().index()]) {
            (Standing::Whole(manifest), _) => {
                fs::remove_file(path.join(MANIFEST)).map_err(failed("remove the manifest of"))?;
                sync_folder(&path).map_err(failed("sync"))?;
                manifest.content
            }
            (Standing::Fresh, _) => {
                make_empty(&path).map_err(failed("clear"))?;
                Content::default()
            }
            (Standing::Unknown, HalfState { standing: Standing::Whole(manifest), lacks, stands }) => {
                // The other half is whole: this one becomes its copy, and lacks what that one lacks.
                let (content, copy) = (manifest.content, (lacks.clone(), stands.clone()));
                make_empty(&path).map_err(failed("clear"))?;
                copy_folder(&self.path(half.other()).join(ENGINE), &path.join(ENGINE)).map_err(failed("copy to"))?;
                let state = &mut self.halves[half.index()];
                (state.lacks, state.stands) = copy;
                content
            }
            (Standing::Unknown, _) => {
                return Err(SnapshotError::unsound(&path, "there is nothing to go on from yet"));
            }
        };
        self.halves[half.index()].standing = match self.halves[half.index()].standing {
            Standing::Fresh => Standing::Fresh,
            Standing::Unknown | Standing::Whole(_) => Standing::Unknown,
        };
        let state = &self.halves[half.index()];
        let mut feed = |out: &mut dyn Write| {
            let mut stream = StreamWriter::begin(out)?;
            stream.record(&[], &minicbor::to_vec(before).unwrap_or_default())?;
            for (key, value) in &state.lacks {
                stream.record(key, value)?;
            }
            stream.end(Content { count: state.lacks.len() as u64 + 1, sum: [0; 4] })
        };
        let expected = self.guard.run(ChildTask::Write, &path, Some(&mut feed), |_, _| Ok(()))?;
        let found = self.guard.run(ChildTask::Check, &path, None, |_, _| Ok(()))?;
        if found != expected {
            let what = format!("{} records were written and {} are there, or other ones", expected.count, found.count);
            return Err(SnapshotError::unsound(&path, what));
        }
        let took = began.elapsed();
        let manifest = Manifest {
            version: MANIFEST_VERSION,
            round: self.round + 1,
            content: found,
            platforms: self.halves[half.index()].stands.clone(),
        };
        // What is not durable yet must never be loaded.
        while manifest.platforms.iter().any(|(platform, at)| (self.durable)(*platform) < at.seq) {
            if self.shared.stopping.load(Ordering::Acquire) {
                return Ok(Some(Stopped));
            }
            thread::sleep(Duration::from_millis(2));
        }
        write_manifest(&path, &manifest).map_err(failed("write the manifest of"))?;
        sync_folder(&self.folder).map_err(failed("sync the folder of"))?;
        self.round += 1;
        let mut status = self.shared.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.finished += 1;
        status.records = found.count;
        status.took = took;
        status.error = None;
        drop(status);
        self.halves[half.index()] = HalfState { standing: Standing::Whole(manifest), ..HalfState::default() };
        let other = &mut self.halves[half.other().index()];
        if matches!(other.standing, Standing::Fresh) {
            // A copy of this half will do: no need to hold every account in memory until its turn.
            *other = HalfState::default();
        }
        Ok(None)
    }

    /// A try failed: the half is set aside, and the next round goes on from the other one, if that is sound.
    fn give_up(&mut self, half: Half, error: &SnapshotError) {
        tracing::warn!(%error, "a snapshot could not be written; the journal is not touched by it");
        {
            let mut status = self.shared.status.lock().unwrap_or_else(PoisonError::into_inner);
            status.failed += 1;
            status.error = Some(error.to_string());
        }
        self.set_aside(half);
        let other = half.other();
        if let Standing::Whole(manifest) = &self.halves[other.index()].standing {
            let found = self.guard.run(ChildTask::Check, &self.path(other), None, |_, _| Ok(()));
            if found.is_ok_and(|content| content == manifest.content) {
                self.newest = Some(other);
            } else {
                tracing::warn!(half = other.name(), "the other snapshot is unsound as well");
                self.set_aside(other);
            }
        }
    }

    fn set_aside(&mut self, half: Half) {
        if self.path(half).exists()
            && let Err(error) = move_aside(&self.folder, half)
        {
            tracing::warn!(%error, "an unsound snapshot could not be moved aside");
        }
        let state = &mut self.halves[half.index()];
        if !matches!(state.standing, Standing::Fresh) {
            *state = HalfState::default();
        }
    }

    /// Says what can be used next.
    fn tell(&self) {
        let can_go_on = self.halves.iter().any(|half| !matches!(half.standing, Standing::Unknown));
        let wants = if can_go_on { Wants::Changes } else { Wants::Everything };
        let seqs = |half: Option<Half>| match half.map(|half| &self.halves[half.index()].standing) {
            Some(Standing::Whole(manifest)) => manifest.platforms.iter().map(|(p, at)| (*p, at.seq)).collect(),
            _ => BTreeMap::new(),
        };
        let mut status = self.shared.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.newest = seqs(self.newest);
        status.older = seqs(self.newest.map(Half::other));
        drop(status);
        self.shared.wants.store(wants.number(), Ordering::Release);
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    format!("the writer panicked: {text}")
}

fn make_empty(path: &Path) -> io::Result<()> {
    // The manifest first: half of a half must never look whole.
    for gone in [fs::remove_file(path.join(MANIFEST)), fs::remove_dir_all(path)] {
        match gone {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::create_dir_all(path.join(ENGINE))
}

/// Copies files and brings them to the disk.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for item in fs::read_dir(from)? {
        let item = item?;
        let target = to.join(item.file_name());
        if item.file_type()?.is_dir() {
            copy_folder(&item.path(), &target)?;
        } else {
            fs::copy(item.path(), &target)?;
            File::open(&target)?.sync_all()?;
        }
    }
    sync_folder(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::due::{DueKey, DueKind};
    use crate::ledger::{Bucket, SourceType};
    use crate::primitives::money::Money;

    const LIMIT: Duration = Duration::from_secs(30);

    /// What the children of these tests run.
    #[test]
    #[ignore = "a child of the other tests"]
    fn child_process() {
        let (Ok(task), Ok(half)) = (std::env::var("SNAPSHOT_TASK"), std::env::var("SNAPSHOT_HALF")) else { return };
        if task == "hang" {
            thread::sleep(Duration::from_secs(600));
        }
        let done = child_work(ChildTask::named(&task).unwrap(), Path::new(&half), LIMIT);
        if let Err(error) = &done {
            eprintln!("{error}");
        }
        std::process::exit(i32::from(done.is_err()));
    }

    fn child(task: &str, half: &Path) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "engine::snapshot::tests::child_process", "--ignored", "--nocapture"])
            .env("SNAPSHOT_TASK", task)
            .env("SNAPSHOT_HALF", half);
        command
    }

    fn guard() -> Guard {
        Guard::new(LIMIT, |task, half, _| child(task.name(), half))
    }

    /// A guard whose children of one task and half hang.
    fn hanging(task: ChildTask, half: &'static str) -> Guard {
        Guard::new(Duration::from_secs(4), move |asked, at, _| {
            let hangs = asked == task && at.ends_with(half);
            child(if hangs { "hang" } else { asked.name() }, at)
        })
    }

    fn books(minor: i64) -> Books {
        let mut books = Books::default();
        books.post(SourceType::Card, Bucket::Available, Money::new(minor, Currency::USD)).unwrap();
        books.post(SourceType::Card, Bucket::Pending(Day(20_000)), Money::new(1, Currency::EUR)).unwrap();
        books
    }

    fn header(seq: u64) -> PlatformState {
        PlatformState {
            seq,
            now: Timestamp(seq as i64),
            clock: Clock::Virtual,
            target: Some(Timestamp(99)),
            next_key_no: 9,
            tables: Tables::default(),
            due: vec![DueItem {
                key: DueKey { at: Timestamp(5), birth: 3, ordinal: 1 },
                kind: DueKind::Mature { account: AccountNo(3), day: Day(20_000) },
            }],
            maturing: BTreeSet::from([(AccountNo(3), Day(20_000))]),
            rules: BTreeMap::from([("cart".to_owned(), 12)]),
            house: vec![HouseTotal { house: House::Bank, currency: Currency::USD, minor: -(1i128 << 90) }],
            totals: BTreeMap::from([(Currency::USD, Totals { platform: -4, connected: 1i128 << 90 })]),
            rates_named: BTreeSet::from([RatesDigest::of(b"older"), Tables::default().rates_digest]),
        }
    }

    fn hash(seq: u64) -> [u8; 32] {
        *blake3::hash(&seq.to_le_bytes()).as_bytes()
    }

    fn snapshot(platform: u32, seq: u64, accounts: impl IntoIterator<Item = (u64, i64)>) -> Snapshot {
        let accounts = accounts
            .into_iter()
            .map(|(account, minor)| (AccountNo(account), minicbor::to_vec(books(minor)).unwrap()))
            .collect();
        Snapshot { platform, seq, hash: hash(seq), header: header(seq).to_bytes(), accounts }
    }

    struct Place {
        folder: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Place {
            Place { folder: tempfile::tempdir().unwrap() }
        }

        fn path(&self) -> &Path {
            self.folder.path()
        }

        fn writer(&self, guard: Guard, ground: Option<Ground>) -> SnapshotWriter {
            SnapshotWriter::start(self.path(), guard, ground, Arc::new(|_| u64::MAX)).unwrap()
        }

        fn load(&self) -> Option<Loaded> {
            load(self.path(), &guard(), |_, _, _| true).unwrap()
        }

        fn names(&self) -> Vec<String> {
            let items = fs::read_dir(self.path()).unwrap();
            let mut names: Vec<String> = items.map(|item| item.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }

        /// Two halves: `a` at sequence 10, `b` at 20.
        fn with_two_halves() -> Place {
            let place = Place::new();
            let writer = place.writer(guard(), None);
            everything(&writer, vec![snapshot(1, 10, (1..=50).map(|account| (account, 100)))]);
            changes(&writer, vec![snapshot(1, 20, [(7, 700)])]);
            assert_eq!(writer.status().failed, 0, "{:?}", writer.status());
            place
        }
    }

    fn send(writer: &SnapshotWriter, everything: bool, platforms: Vec<Snapshot>) {
        writer.send(Round { everything, platforms });
        let began = Instant::now();
        while writer.wants() == Wants::Nothing {
            assert!(began.elapsed() < LIMIT, "waited too long");
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn everything(writer: &SnapshotWriter, platforms: Vec<Snapshot>) {
        send(writer, true, platforms);
    }

    fn changes(writer: &SnapshotWriter, platforms: Vec<Snapshot>) {
        send(writer, false, platforms);
    }

    fn available(loaded: &Loaded, platform: u32) -> BTreeMap<u64, i128> {
        let accounts = &loaded.platforms[&platform].accounts;
        accounts.iter().map(|(account, books)| (account.0, books.available(Currency::USD, Day(1)))).collect()
    }

    #[test]
    fn what_was_written_is_loaded_with_its_sequence_hash_header_and_books() {
        let place = Place::new();
        assert!(place.load().is_none(), "nothing yet");
        let writer = place.writer(guard(), None);
        assert_eq!(writer.wants(), Wants::Everything);
        everything(&writer, vec![snapshot(1, 10, [(1, 100), (2, -200), (300, 5)]), snapshot(2, 4, [(0, 1)])]);
        assert_eq!(writer.wants(), Wants::Changes);
        assert_eq!(writer.status().newest, BTreeMap::from([(1, 10), (2, 4)]));
        writer.stop();
        let loaded = place.load().unwrap();
        assert_eq!(available(&loaded, 1), BTreeMap::from([(1, 100), (2, -200), (300, 5)]));
        assert_eq!(available(&loaded, 2), BTreeMap::from([(0, 1)]));
        let platform = &loaded.platforms[&1];
        assert_eq!((platform.seq, platform.hash), (10, hash(10)));
        let kept = PlatformState::from_bytes(&platform.header).unwrap();
        assert_eq!(kept, header(10));
        assert_eq!(PlatformState::of(&kept.into_state().unwrap()), header(10));
        assert_eq!(place.names(), ["a"]);
    }

    #[test]
    fn the_halves_are_written_in_turn_and_each_is_complete() {
        let place = Place::new();
        let writer = place.writer(guard(), None);
        let mut truth: BTreeMap<u64, i128> = (1..=40).map(|account| (account, 0)).collect();
        everything(&writer, vec![snapshot(1, 1, (1..=40).map(|account| (account, 0)))]);
        for turn in 2..=7u64 {
            // Each account changes in some turns only: a half must not miss what the other one was given.
            let changed: Vec<(u64, i64)> =
                (1..=40).filter(|account| account % 7 == turn % 7).map(|account| (account, turn as i64)).collect();
            truth.extend(changed.iter().map(|(account, minor)| (*account, i128::from(*minor))));
            changes(&writer, vec![snapshot(1, turn, changed)]);
            assert_eq!(writer.status().error, None);
            let loaded = place.load().unwrap();
            assert_eq!((loaded.platforms[&1].seq, available(&loaded, 1)), (turn, truth.clone()));
            assert_eq!(writer.status().older, BTreeMap::from([(1, turn - 1)]));
            let newer = if turn % 2 == 0 { "b" } else { "a" };
            // Without the newer half the older one is there, whole, one turn behind.
            let hidden = place.path().join("hidden");
            fs::rename(place.path().join(newer), &hidden).unwrap();
            assert_eq!(place.load().unwrap().platforms[&1].seq, turn - 1);
            fs::rename(hidden, place.path().join(newer)).unwrap();
        }
        assert_eq!(place.names(), ["a", "b"]);
    }

    #[test]
    fn after_a_restart_the_writer_goes_on_with_the_other_half() {
        let place = Place::with_two_halves();
        let loaded = place.load().unwrap();
        let writer = place.writer(guard(), Some(loaded.ground()));
        assert_eq!(writer.wants(), Wants::Changes);
        changes(&writer, vec![snapshot(1, 30, [(9, 900)])]);
        changes(&writer, vec![snapshot(1, 40, [(10, 1_000)])]);
        assert_eq!(writer.status().error, None);
        writer.stop();
        for (half, seq) in [("b", 40), ("a", 30)] {
            let loaded = place.load().unwrap();
            assert_eq!(loaded.platforms[&1].seq, seq);
            let books = available(&loaded, 1);
            assert_eq!((books.len(), books[&7], books[&9]), (50, 700, 900));
            assert_eq!(books[&10], if seq == 40 { 1_000 } else { 100 });
            fs::remove_dir_all(place.path().join(half)).unwrap();
        }
        assert!(place.load().is_none());
    }

    #[test]
    fn a_damaged_half_is_moved_aside_and_the_other_one_is_used() {
        // Every file of the newer half, damaged in three ways each.
        let intact = Place::with_two_halves();
        let mut files = Vec::new();
        list_files(&intact.path().join("b"), &mut files);
        assert!(files.len() > 2);
        let mut moved = 0;
        for file in &files {
            let bytes = fs::read(file).unwrap();
            let Some(written) = bytes.iter().rposition(|byte| *byte != 0) else { continue };
            let mut versions: Vec<Vec<u8>> = vec![bytes[..bytes.len() / 2].to_vec()];
            for at in [written / 2, written] {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0xff;
                versions.push(damaged);
            }
            for damaged in versions {
                let place = Place::new();
                copy_unsynced(intact.path(), place.path());
                fs::write(place.path().join(file.strip_prefix(intact.path()).unwrap()), damaged).unwrap();
                let loaded = load(place.path(), &Guard { limit: Duration::from_secs(5), ..guard() }, |_, _, _| true)
                    .unwrap()
                    .unwrap();
                let seq = loaded.platforms[&1].seq;
                // Some bytes do not matter to the engine: then it is read right.
                let books = available(&loaded, 1);
                assert_eq!((books.len(), books[&7]), (50, if seq == 20 { 700 } else { 100 }), "{}", file.display());
                if seq == 10 {
                    assert_eq!(place.names(), ["a", "b.damaged-1"]);
                    moved += 1;
                }
            }
        }
        assert!(moved >= 4, "{moved} damages were noticed in {} files", files.len());
    }

    #[test]
    fn a_half_that_was_not_finished_or_has_a_torn_manifest_is_moved_aside() {
        let place = Place::with_two_halves();
        fs::remove_file(place.path().join("b").join(MANIFEST)).unwrap();
        assert_eq!(place.load().unwrap().platforms[&1].seq, 10);
        assert_eq!(place.names(), ["a", "b.damaged-1"]);

        let place = Place::with_two_halves();
        let manifest = place.path().join("b").join(MANIFEST);
        let bytes = fs::read(&manifest).unwrap();
        fs::write(&manifest, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(place.load().unwrap().platforms[&1].seq, 10);
        assert_eq!(place.names(), ["a", "b.damaged-1"]);
    }

    #[test]
    fn a_half_that_hangs_is_killed_in_time_and_the_other_one_is_used() {
        let place = Place::with_two_halves();
        let began = Instant::now();
        let loaded = load(place.path(), &hanging(ChildTask::Read, "b"), |_, _, _| true).unwrap().unwrap();
        assert_eq!(loaded.platforms[&1].seq, 10);
        assert!(began.elapsed() < Duration::from_secs(20));
        assert_eq!(place.names(), ["a", "b.damaged-1"]);
    }

    #[test]
    fn a_half_of_another_journal_is_moved_aside_without_being_read() {
        let place = Place::with_two_halves();
        let never = Guard::new(LIMIT, |_, half, _| panic!("{} was opened", half.display()));
        assert!(load(place.path(), &never, |_, _, _| false).unwrap().is_none());
        assert_eq!(place.names(), ["a.damaged-1", "b.damaged-1"]);
        let place = Place::with_two_halves();
        let loaded = load(place.path(), &guard(), |_, seq, hash_there| seq == 10 && *hash_there == hash(10));
        assert_eq!(loaded.unwrap().unwrap().platforms[&1].seq, 10);
    }

    #[test]
    fn the_journal_is_replayed_from_the_first_entry_that_the_snapshot_lacks() {
        use super::super::journal::sim::SimStorage;
        use super::super::journal::{Append, Check, Journal, Options, ScanFrom, Storage, start};
        use super::super::projector::{Vaults, catch_up};
        use super::super::store::{StoreOptions, testing::plain};
        let disk = SimStorage::new();
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        let options = Options { segment_bytes: 64 << 10, ..Options::default() };
        let opened = Journal::open(Arc::clone(&storage), options, ScanFrom::Beginning).unwrap();
        let journal = start(opened, Box::new(|_| {}), Box::new(|error| panic!("{error}"))).unwrap();
        for seq in 1..=40 {
            for platform in [1, 2] {
                let payload = plain(platform, seq).payload;
                journal.append(vec![Append { platform, seq, payload }]).unwrap();
            }
        }
        journal.stop().unwrap();
        let reader = Reader::offline(storage);
        let place = Place::new();
        let store = Store::open(&place.path().join("objects"), StoreOptions::default(), Timestamp(0)).unwrap();
        catch_up(&store, &Vaults::new(), &reader, Timestamp(0), |_| {}).unwrap();
        let marks = store.marks();
        assert!(in_journal(&store, &reader)(1, 40, &marks[&1].hash));
        assert!(!in_journal(&store, &reader)(1, 41, &marks[&1].hash), "beyond its end");
        assert!(!in_journal(&store, &reader)(1, 39, &marks[&1].hash), "another hash");
        assert!(!in_journal(&store, &reader)(2, 40, &marks[&1].hash), "another platform");

        let first = |stands: &[(u32, u64)]| {
            let loaded = Loaded {
                platforms: stands
                    .iter()
                    .map(|(platform, seq)| {
                        let (seq, hash) = (*seq, [0; 32]);
                        (*platform, LoadedPlatform { seq, hash, header: Vec::new(), accounts: Vec::new() })
                    })
                    .collect(),
                half: Half::A,
                manifest: Manifest {
                    version: MANIFEST_VERSION,
                    round: 1,
                    content: Content::default(),
                    platforms: BTreeMap::new(),
                },
            };
            let from = loaded.replay_from(&store).unwrap()?;
            let frame = reader.frames_from(from, Check::Checksums).unwrap().next().unwrap().unwrap();
            Some((frame.platform, frame.seq))
        };
        assert_eq!(first(&[(1, 30), (2, 35)]), Some((1, 31)));
        assert_eq!(first(&[(1, 40), (2, 35)]), Some((2, 36)));
        assert_eq!(first(&[(1, 40)]), Some((2, 1)), "a platform that the snapshot does not know");
        assert_eq!(first(&[(1, 40), (2, 40)]), None);
    }

    #[test]
    fn records_that_were_swapped_for_older_ones_are_noticed() {
        let place = Place::with_two_halves();
        // The older half's files under the newer one's manifest: every record is sound, and together they are wrong.
        let (old, new) = (place.path().join("a").join(ENGINE), place.path().join("b").join(ENGINE));
        fs::remove_dir_all(&new).unwrap();
        copy_folder(&old, &new).unwrap();
        assert_eq!(place.load().unwrap().platforms[&1].seq, 10);
        assert_eq!(place.names(), ["a", "b.damaged-1"]);
    }

    #[test]
    fn only_the_last_damaged_halves_are_kept() {
        let place = Place::new();
        for _ in 0..5 {
            fs::create_dir_all(place.path().join("a")).unwrap();
            assert!(place.load().is_none());
        }
        assert_eq!(place.names(), ["a.damaged-4", "a.damaged-5"]);
    }

    #[test]
    fn a_snapshot_counts_only_when_the_journal_is_durable_up_to_it() {
        let place = Place::new();
        let mark = Arc::new(std::sync::atomic::AtomicU64::new(9));
        let durable: DurableSeq = {
            let mark = Arc::clone(&mark);
            Arc::new(move |_| mark.load(Ordering::Acquire))
        };
        let writer = SnapshotWriter::start(place.path(), guard(), None, durable).unwrap();
        writer.send(Round { everything: true, platforms: vec![snapshot(1, 10, [(1, 1)])] });
        let written = || place.path().join("a").join(ENGINE).exists();
        let began = Instant::now();
        while !written() && began.elapsed() < LIMIT {
            thread::sleep(Duration::from_millis(5));
        }
        thread::sleep(Duration::from_millis(600));
        assert_eq!(writer.wants(), Wants::Nothing);
        assert!(!place.path().join("a").join(MANIFEST).exists());
        mark.store(10, Ordering::Release);
        let began = Instant::now();
        while writer.wants() == Wants::Nothing {
            assert!(began.elapsed() < LIMIT);
            thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(place.load().unwrap().platforms[&1].seq, 10);

        mark.store(0, Ordering::Release);
        writer.send(Round { everything: false, platforms: vec![snapshot(1, 20, [(1, 2)])] });
        thread::sleep(Duration::from_millis(600));
        writer.stop();
        assert_eq!(place.load().unwrap().platforms[&1].seq, 10, "what was never durable is never loaded");
    }

    #[test]
    fn a_writer_that_hangs_or_crashes_is_given_up_and_the_next_round_goes_on() {
        let place = Place::with_two_halves();
        let ground = place.load().unwrap().ground();
        let writer = place.writer(hanging(ChildTask::Write, "a"), Some(ground.clone()));
        changes(&writer, vec![snapshot(1, 30, [(9, 900)])]);
        let status = writer.status();
        assert_eq!((status.failed, status.finished), (1, 0));
        assert!(status.error.unwrap().contains("took too long"));
        assert_eq!(writer.wants(), Wants::Changes, "the other half is sound");
        writer.stop();
        assert_eq!(place.load().unwrap().platforms[&1].seq, 20);

        let crashing = Guard::new(LIMIT, |task, half, _| match task {
            ChildTask::Write => Command::new("false"),
            ChildTask::Read | ChildTask::Check => child(task.name(), half),
        });
        let writer = place.writer(crashing, Some(ground.clone()));
        changes(&writer, vec![snapshot(1, 30, [(9, 900)])]);
        assert_eq!((writer.status().failed, writer.wants()), (1, Wants::Changes));
        writer.stop();

        // With children that work it goes on, and what changed meanwhile is all there.
        let writer = place.writer(guard(), Some(ground));
        changes(&writer, vec![snapshot(1, 30, [(9, 900)])]);
        assert_eq!(writer.status().error, None);
        let loaded = place.load().unwrap();
        let books = available(&loaded, 1);
        assert_eq!((loaded.platforms[&1].seq, books[&7], books[&9], books.len()), (30, 700, 900, 50));
    }

    #[test]
    fn stopping_does_not_wait_for_a_child_that_hangs() {
        let place = Place::with_two_halves();
        let ground = place.load().unwrap().ground();
        let hanging = Guard { limit: Duration::from_secs(300), ..hanging(ChildTask::Write, "a") };
        let writer = place.writer(hanging, Some(ground));
        writer.send(Round { everything: false, platforms: vec![snapshot(1, 30, [(9, 900)])] });
        thread::sleep(Duration::from_millis(300));
        let began = Instant::now();
        writer.stop();
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        assert_eq!(place.load().unwrap().platforms[&1].seq, 20);
    }

    #[test]
    fn a_half_that_was_damaged_between_rounds_is_noticed_and_made_anew() {
        let place = Place::new();
        let writer = place.writer(guard(), None);
        everything(&writer, vec![snapshot(1, 10, (1..=50).map(|account| (account, 100)))]);
        changes(&writer, vec![snapshot(1, 20, [(7, 700)])]);
        // `a` is next; its files are gone.
        fs::remove_dir_all(place.path().join("a").join(ENGINE)).unwrap();
        changes(&writer, vec![snapshot(1, 30, [(8, 800)])]);
        assert_eq!(writer.status().failed, 1);
        changes(&writer, vec![snapshot(1, 40, [(9, 900)])]);
        assert_eq!(writer.status().finished, 3);
        let loaded = place.load().unwrap();
        let books = available(&loaded, 1);
        assert_eq!(loaded.platforms[&1].seq, 40);
        assert_eq!((books.len(), books[&7], books[&8], books[&9]), (50, 700, 800, 900));
        assert_eq!(place.names(), ["a", "a.damaged-1", "b"]);
    }

    #[test]
    fn with_both_halves_gone_everything_is_asked_for() {
        let place = Place::new();
        let writer = place.writer(guard(), None);
        everything(&writer, vec![snapshot(1, 10, [(1, 1)])]);
        changes(&writer, vec![snapshot(1, 20, [(1, 2)])]);
        for half in ["a", "b"] {
            fs::remove_dir_all(place.path().join(half).join(ENGINE)).unwrap();
        }
        changes(&writer, vec![snapshot(1, 30, [(1, 3)])]);
        assert_eq!(writer.wants(), Wants::Everything);
        everything(&writer, vec![snapshot(1, 40, [(1, 4), (2, 2)])]);
        assert_eq!(writer.wants(), Wants::Changes);
        let loaded = place.load().unwrap();
        assert_eq!(available(&loaded, 1), BTreeMap::from([(1, 4), (2, 2)]));
    }

    #[test]
    fn a_stream_that_is_cut_or_changed_anywhere_is_refused() {
        let mut stream = Vec::new();
        let mut writer = StreamWriter::begin(&mut stream).unwrap();
        for number in 0..20u8 {
            writer.record(&[number], &[number; 30]).unwrap();
        }
        writer.end(Content { count: 20, sum: [1, 2, 3, 4] }).unwrap();
        let mut noisy = b"running 1 test\nFLORSNA".to_vec();
        noisy.extend_from_slice(&stream);
        let mut count = 0;
        let end = read_stream(&noisy[..], |_, _| {
            count += 1;
            Ok(())
        });
        assert_eq!((end.unwrap().sum, count), ([1, 2, 3, 4], 20));
        for cut in 0..stream.len() {
            assert!(read_stream(&stream[..cut], |_, _| Ok(())).is_err(), "cut at {cut}");
            let mut changed = stream.clone();
            changed[cut] ^= 0x40;
            assert!(read_stream(&changed[..], |_, _| Ok(())).is_err(), "changed at {cut}");
        }
    }

    fn copy_unsynced(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for item in fs::read_dir(from).unwrap() {
            let item = item.unwrap();
            let target = to.join(item.file_name());
            if item.path().is_dir() {
                copy_unsynced(&item.path(), &target);
            } else {
                fs::copy(item.path(), target).unwrap();
            }
        }
    }

    fn list_files(folder: &Path, files: &mut Vec<PathBuf>) {
        for item in fs::read_dir(folder).unwrap() {
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
    #[ignore = "a measurement: cargo test --release -- --ignored a_million_accounts --nocapture"]
    fn a_million_accounts() {
        let place = Place::new();
        let guard = Guard { limit: Duration::from_secs(120), ..guard() };
        let count: u64 = std::env::var("ACCOUNTS").map_or(1_000_000, |n| n.parse().unwrap());
        let writer = place.writer(guard.clone(), None);
        everything(&writer, vec![snapshot(1, 1, (1..=count).map(|account| (account, account as i64)))]);
        println!("everything: {:?}", writer.status());
        for turn in 2..=4u64 {
            let changed = (0..20_000u64).map(|n| (1 + (n * 0x9e37_79b9 * turn) % count, turn as i64));
            changes(&writer, vec![snapshot(1, turn, changed)]);
            println!("20,000 changes: {:?}", writer.status().took);
        }
        writer.stop();
        for _ in 0..3 {
            let began = Instant::now();
            let loaded = load(place.path(), &guard, |_, _, _| true).unwrap().unwrap();
            println!("loaded {} accounts in {:?}", loaded.platforms[&1].accounts.len(), began.elapsed());
        }
    }
}
