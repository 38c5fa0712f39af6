//! The projector: one thread that follows the journal into the object store.
//!
//! **Owns** how far the store is, and tells it: to whoever waits for a list to be complete, and as lag. Erases the keys
//! that durable entries say are to go, before the store counts those entries: so a key is gone once its entry is in the
//! store, and a crash in between erases it again.
//! **Never** holds up the money path: the journal's writer only hands it a group and goes on.
//! **Why a thread of its own:** the store's worst batch stalls a second on compaction.
//!
//! When the store fails the projector stops, leaves a note that makes the next start build the store again, and tells
//! the daemon. Nothing acknowledged is touched by it.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::journal::{Check, Durable, Frame, Position, ReadFrom, Reader};
use super::store::{Projected, Store, StoreError};
use super::vault::KeyVault;
use crate::primitives::time::Timestamp;

/// Entries that one batch of the store takes at most: enough to make its fixed costs small, few enough that who waits
/// for an entry does not wait for a thousand others.
const BATCH_ENTRIES: usize = 1_024;
/// The same while catching up, where nobody waits.
const CATCH_UP_ENTRIES: usize = 4_096;
/// How often what was written is brought to the disk.
const SYNC_EVERY: Duration = Duration::from_secs(30);

/// The keys of every platform.
pub type Vaults = BTreeMap<u32, KeyVault>;
/// Tells the time on the wall.
pub type Wall = Box<dyn Fn() -> Timestamp + Send>;
/// Called on the projector's thread, at most once.
pub type OnFailure = Box<dyn FnOnce(StoreError) + Send>;

/// The running projector. Dropping it projects what is queued, then ends the thread.
pub struct Projector {
    feed: Option<Feed>,
    progress: Progress,
    thread: Option<JoinHandle<()>>,
}

/// Takes what became durable. Never waits.
#[derive(Clone)]
pub struct Feed {
    queue: Sender<Chunk>,
    shared: Arc<Shared>,
}

/// How far the store is. Cheap to clone; any thread.
#[derive(Clone)]
pub struct Progress {
    shared: Arc<Shared>,
}

/// The projector has ended: what was waited for will not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the object store no longer follows the journal; start the daemon again, it builds the store anew")]
pub struct ProjectorStopped;

/// How far the store is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Durable entries that are not in the store yet.
    pub entries: u64,
    /// Since when the oldest of them is durable.
    pub age: Duration,
}

/// Totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Entries projected.
    pub entries: u64,
    /// Batches written.
    pub batches: u64,
    /// Microseconds spent in decoding and writing.
    pub busy_us: u64,
}

struct Chunk {
    entries: Vec<Durable>,
    at: Instant,
}

struct Shared {
    began: Instant,
    platforms: RwLock<BTreeMap<u32, Arc<PlatformMark>>>,
    sent: AtomicU64,
    done: AtomicU64,
    batches: AtomicU64,
    busy_us: AtomicU64,
    /// Nanoseconds from `began` to when the oldest entry in the queue became durable, plus 1; 0: nothing is queued.
    oldest: AtomicU64,
    stopped: AtomicBool,
}

struct PlatformMark {
    seq: AtomicU64,
    moved: Notify,
}

impl Projector {
    /// Starts to follow. The store must stand at the end of the journal as it was opened ([`catch_up`]).
    ///
    /// # Errors
    /// [`StoreError::Io`] when the thread cannot be started.
    pub fn start(store: Store, vaults: Vaults, wall: Wall, on_failure: OnFailure) -> Result<Projector, StoreError> {
        let platforms = store.marks().into_iter().map(|(platform, mark)| (platform, PlatformMark::at(mark.seq)));
        let shared = Arc::new(Shared {
            began: Instant::now(),
            platforms: RwLock::new(platforms.collect()),
            sent: AtomicU64::new(0),
            done: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            busy_us: AtomicU64::new(0),
            oldest: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        });
        let (queue, inbox) = channel();
        let work = Work { store, vaults, wall, shared: Arc::clone(&shared), synced: Instant::now() };
        let folder = work.store.folder().to_owned();
        let thread = thread::Builder::new()
            .name("projector".to_owned())
            .spawn(move || work.run(&inbox, on_failure))
            .map_err(|source| StoreError::Io { doing: "start the projector for", path: folder, source })?;
        let feed = Feed { queue, shared: Arc::clone(&shared) };
        Ok(Projector { feed: Some(feed), progress: Progress { shared }, thread: Some(thread) })
    }

    /// For the journal's `on_durable`. The projector ends only when every feed is dropped.
    pub fn feed(&self) -> Feed {
        let feed = self.feed.as_ref().map(|feed| feed.queue.clone());
        // There is one until `stop`, which takes the projector itself.
        let queue = feed.unwrap_or_else(|| channel().0);
        Feed { queue, shared: Arc::clone(&self.progress.shared) }
    }

    /// Hands over what became durable, as [`Feed::send`].
    pub fn send(&self, entries: Vec<Durable>) {
        if let Some(feed) = &self.feed {
            feed.send(entries);
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Projects what is queued, brings it to the disk and ends. Waits for every [`Feed`] to be dropped.
    pub fn stop(mut self) {
        self.close();
    }

    fn close(&mut self) {
        self.feed = None;
        if let Some(thread) = self.thread.take() {
            // Its panics are caught and reported as a failure.
            let _ = thread.join();
        }
    }
}

impl Drop for Projector {
    fn drop(&mut self) {
        self.close();
    }
}

impl Feed {
    /// Queues entries that became durable, in the order of the journal.
    pub fn send(&self, entries: Vec<Durable>) {
        if entries.is_empty() {
            return;
        }
        let at = Instant::now();
        self.shared.sent.fetch_add(entries.len() as u64, Ordering::AcqRel);
        let _ = self.shared.oldest.compare_exchange(0, self.shared.stamp(at), Ordering::AcqRel, Ordering::Relaxed);
        // Refused only after a failure, which was reported.
        let _ = self.queue.send(Chunk { entries, at });
    }
}

impl Progress {
    /// Sequence of the newest entry of a platform that is in the store.
    pub fn projected(&self, platform: u32) -> u64 {
        let platforms = self.shared.platforms.read().unwrap_or_else(PoisonError::into_inner);
        platforms.get(&platform).map_or(0, |mark| mark.seq.load(Ordering::Acquire))
    }

    /// Waits until entry `seq` of a platform is in the store.
    ///
    /// # Errors
    /// [`ProjectorStopped`] when it will not come.
    pub async fn wait(&self, platform: u32, seq: u64) -> Result<(), ProjectorStopped> {
        let mark = self.shared.mark(platform);
        loop {
            // Made before the look: a step between look and await is not missed.
            let moved = mark.moved.notified();
            if mark.seq.load(Ordering::Acquire) >= seq {
                return Ok(());
            }
            if self.shared.stopped.load(Ordering::Acquire) {
                return Err(ProjectorStopped);
            }
            moved.await;
        }
    }

    /// How far the store is behind the journal.
    pub fn lag(&self) -> Lag {
        let done = self.shared.done.load(Ordering::Acquire);
        let entries = self.shared.sent.load(Ordering::Acquire).saturating_sub(done);
        let age = match self.shared.oldest.load(Ordering::Acquire) {
            0 => Duration::ZERO,
            stamp => self.shared.began.elapsed().saturating_sub(Duration::from_nanos(stamp - 1)),
        };
        Lag { entries, age: if entries == 0 { Duration::ZERO } else { age } }
    }

    /// What it has done.
    pub fn totals(&self) -> Totals {
        Totals {
            entries: self.shared.done.load(Ordering::Relaxed),
            batches: self.shared.batches.load(Ordering::Relaxed),
            busy_us: self.shared.busy_us.load(Ordering::Relaxed),
        }
    }

    /// Whether it ended, by a failure or because it was stopped.
    pub fn is_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::Acquire)
    }
}

impl PlatformMark {
    fn at(seq: u64) -> Arc<PlatformMark> {
        Arc::new(PlatformMark { seq: AtomicU64::new(seq), moved: Notify::new() })
    }
}

impl Shared {
    fn mark(&self, platform: u32) -> Arc<PlatformMark> {
        if let Some(mark) = self.platforms.read().unwrap_or_else(PoisonError::into_inner).get(&platform) {
            return Arc::clone(mark);
        }
        let mut platforms = self.platforms.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(platforms.entry(platform).or_insert_with(|| PlatformMark::at(0)))
    }

    fn stamp(&self, at: Instant) -> u64 {
        let nanos = at.saturating_duration_since(self.began).as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX - 1) + 1
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        for mark in self.platforms.read().unwrap_or_else(PoisonError::into_inner).values() {
            mark.moved.notify_waiters();
        }
    }
}

struct Work {
    store: Store,
    vaults: Vaults,
    wall: Wall,
    shared: Arc<Shared>,
    synced: Instant,
}

impl Work {
    fn run(mut self, inbox: &Receiver<Chunk>, on_failure: OnFailure) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.follow(inbox)))
            .unwrap_or_else(|panic| Err(StoreError::Doubt(format!("the projector panicked: {}", panic_text(&*panic)))));
        if let Err(error) = outcome {
            tracing::error!(%error, "object store no longer follows the journal");
            self.store.condemn(&error.to_string());
            self.shared.stop();
            on_failure(error);
        } else {
            self.shared.stop();
        }
    }

    fn follow(&mut self, inbox: &Receiver<Chunk>) -> Result<(), StoreError> {
        let mut queued = VecDeque::new();
        loop {
            queued.extend(inbox.try_iter());
            if queued.is_empty() {
                self.shared.oldest.store(0, Ordering::Release);
                match inbox.recv() {
                    Ok(chunk) => queued.push_back(chunk),
                    Err(_) => break,
                }
                continue;
            }
            let mut batch = Vec::new();
            let mut count = 0;
            while let Some(chunk) = queued.front() {
                if batch.is_empty() {
                    self.shared.oldest.store(self.shared.stamp(chunk.at), Ordering::Release);
                } else if count + chunk.entries.len() > BATCH_ENTRIES {
                    break;
                }
                count += chunk.entries.len();
                batch.extend(queued.pop_front().map(|chunk| chunk.entries));
            }
            self.write(&batch, count)?;
        }
        self.store.sync()
    }

    fn write(&mut self, chunks: &[Vec<Durable>], count: usize) -> Result<(), StoreError> {
        let began = Instant::now();
        self.store.roll((self.wall)())?;
        let mut reached = BTreeMap::new();
        let mut projected = Vec::with_capacity(count.min(2 * BATCH_ENTRIES));
        // A group may be larger than a batch: then it is written in parts.
        for entry in chunks.iter().flatten() {
            projected.push(Projected::of(entry)?);
            reached.insert(entry.platform, entry.seq);
            if projected.len() == 2 * BATCH_ENTRIES {
                project(&self.store, &self.vaults, &projected)?;
                projected.clear();
            }
        }
        project(&self.store, &self.vaults, &projected)?;
        self.shared.batches.fetch_add(1, Ordering::Relaxed);
        // Before anybody is told: who has waited sees no lag.
        self.shared.done.fetch_add(count as u64, Ordering::AcqRel);
        for (platform, seq) in reached {
            let mark = self.shared.mark(platform);
            mark.seq.fetch_max(seq, Ordering::AcqRel);
            mark.moved.notify_waiters();
        }
        if self.synced.elapsed() > SYNC_EVERY {
            self.store.sync()?;
            self.synced = Instant::now();
        }
        let busy = u64::try_from(began.elapsed().as_micros()).unwrap_or_default();
        self.shared.busy_us.fetch_add(busy, Ordering::Relaxed);
        Ok(())
    }
}

/// Erases the keys that go with these entries, then puts the entries into the store.
fn project(store: &Store, vaults: &Vaults, entries: &[Projected<'_>]) -> Result<(), StoreError> {
    let mut erased: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in entries {
        let keys = entry.erased_keys()?;
        if !keys.is_empty() {
            erased.entry(entry.platform).or_default().extend(keys);
        }
    }
    for (platform, keys) in erased {
        let vault = vaults.get(&platform);
        let unknown = || StoreError::Doubt(format!("platform {platform} has keys to erase, and no key file"));
        vault.ok_or_else(unknown)?.erase(&keys)?;
    }
    store.apply(entries)
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// Where catching up stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaughtUp {
    /// Entries projected so far.
    pub entries: u64,
    /// Place of the last one in the journal.
    pub position: Option<Position>,
}

/// Brings the store to the end of the journal, from where it stands (a wiped one: from the beginning). Checks first
/// that what it stands on is this journal's. `progress` is called after each batch.
///
/// # Errors
/// [`StoreError::Doubt`] when the store is not of this journal or ahead of it: wipe it and catch up again.
/// [`StoreError::Journal`] when the journal cannot be read.
pub fn catch_up(
    store: &Store,
    vaults: &Vaults,
    reader: &Reader,
    wall: Timestamp,
    mut progress: impl FnMut(CaughtUp),
) -> Result<CaughtUp, StoreError> {
    check_ground(store, reader)?;
    store.roll(wall)?;
    let from = store.reached().map_or(ReadFrom::Beginning, ReadFrom::After);
    let mut frames = reader.frames_from(from, Check::Checksums)?;
    let mut so_far = CaughtUp { entries: 0, position: store.reached() };
    loop {
        let mut batch: Vec<Frame> = Vec::with_capacity(CATCH_UP_ENTRIES);
        while batch.len() < CATCH_UP_ENTRIES {
            match frames.next() {
                Some(frame) => batch.push(frame?),
                None => break,
            }
        }
        let Some(last) = batch.last() else { break };
        so_far = CaughtUp { entries: so_far.entries + batch.len() as u64, position: Some(last.position) };
        let projected = batch.iter().map(Projected::of_frame).collect::<Result<Vec<_>, _>>()?;
        project(store, vaults, &projected)?;
        progress(so_far);
    }
    store.sync()?;
    Ok(so_far)
}

/// That the newest projected entry of every platform stands in this journal, where the store says, with the same hash.
fn check_ground(store: &Store, reader: &Reader) -> Result<(), StoreError> {
    for (platform, mark) in store.marks() {
        let doubt = |what: String| StoreError::Doubt(format!("entry {} of platform {platform} {what}", mark.seq));
        let Some(position) = store.position(platform, mark.seq)? else {
            return Err(doubt("is said to be in it and has no position".to_owned()));
        };
        let frame = reader.read_at(position).map_err(|error| doubt(format!("is not in the journal: {error}")))?;
        if (frame.platform, frame.seq, frame.hash()) != (platform, mark.seq, mark.hash) {
            return Err(doubt("is another one in the journal".to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::entry::JournalEntry;
    use super::super::journal::sim::SimStorage;
    use super::super::journal::{Append, Journal, Options, ScanFrom, Storage, Writer, start};
    use super::super::store::testing::{PLATFORM, contents, plain};
    use super::super::store::{StoreOptions, testing};
    use super::*;
    use crate::domain::record::{Record, RecordKey};

    const NOON: Timestamp = Timestamp(1_790_000_000_000);

    struct House {
        folder: tempfile::TempDir,
        disk: SimStorage,
    }

    impl House {
        fn new() -> House {
            House { folder: tempfile::tempdir().unwrap(), disk: SimStorage::new() }
        }

        fn store(&self) -> Store {
            Store::open(&self.folder.path().join("objects"), StoreOptions::default(), NOON).unwrap()
        }

        fn journal(&self, identity: u64, on_durable: impl FnMut(Vec<Durable>) + Send + 'static) -> Writer {
            let options = Options { segment_bytes: 64 << 10, identity: Some(identity), ..Options::default() };
            let storage: Arc<dyn Storage> = Arc::new(self.disk.clone());
            let opened = Journal::open(storage, options, ScanFrom::Beginning).unwrap();
            start(opened, Box::new(on_durable), Box::new(|error| panic!("{error}"))).unwrap()
        }
    }

    fn append(journal: &Writer, seqs: std::ops::RangeInclusive<u64>) {
        for seq in seqs {
            let payload = plain(PLATFORM, seq).payload;
            journal.append(vec![Append { platform: PLATFORM, seq, payload }]).unwrap();
        }
    }

    fn projector(store: &Store) -> Projector {
        Projector::start(store.clone(), Vaults::new(), Box::new(|| NOON), Box::new(|error| panic!("{error}"))).unwrap()
    }

    fn wait(progress: &Progress, seq: u64) -> Result<(), ProjectorStopped> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(20), progress.wait(PLATFORM, seq)).await })
            .expect("waited too long")
    }

    #[test]
    fn what_the_journal_made_durable_comes_to_the_store_and_who_waits_is_told() {
        let house = House::new();
        let store = house.store();
        let projector = projector(&store);
        let (feed, progress) = (projector.feed(), projector.progress());
        let journal = house.journal(1, move |entries| feed.send(entries));
        append(&journal, 1..=500);
        wait(&progress, 500).unwrap();
        assert_eq!((progress.projected(PLATFORM), store.projected(PLATFORM)), (500, 500));
        assert_eq!(wait(&progress, 3), Ok(()), "what is long there is not waited for");
        journal.stop().unwrap();
        projector.stop();
        assert_eq!((progress.totals().entries, progress.lag()), (500, Lag::default()));
        assert!(progress.is_stopped());
        assert_eq!(wait(&progress, 501), Err(ProjectorStopped), "what will not come is not waited for");
    }

    #[test]
    fn a_store_that_was_left_behind_catches_up_to_the_same_as_one_that_followed() {
        let house = House::new();
        let followed = {
            let store = house.store();
            let projector = projector(&store);
            let feed = projector.feed();
            let journal = house.journal(1, move |entries| feed.send(entries));
            append(&journal, 1..=300);
            journal.stop().unwrap();
            projector.stop();
            contents(&store, PLATFORM, 300)
        };
        let reader = Reader::offline(Arc::new(house.disk.clone()));
        let store = house.store();
        let none = catch_up(&store, &Vaults::new(), &reader, NOON, |_| panic!("nothing to do")).unwrap();
        assert_eq!(none.entries, 0);
        drop(store);

        let objects = house.folder.path().join("objects");
        Store::wipe(&objects).unwrap();
        let store = house.store();
        let mut calls = 0;
        let all = catch_up(&store, &Vaults::new(), &reader, NOON, |_| calls += 1).unwrap();
        assert_eq!((all.entries, calls), (300, 1));
        assert_eq!(contents(&store, PLATFORM, 300), followed);
        drop(store);

        // Behind by some: it goes on from where it stands.
        Store::wipe(&objects).unwrap();
        let store = house.store();
        let frames: Vec<Frame> =
            reader.frames_from(ReadFrom::Beginning, Check::Chain).unwrap().map(Result::unwrap).collect();
        let first: Vec<_> = frames[..120].iter().map(|frame| Projected::of_frame(frame).unwrap()).collect();
        store.apply(&first).unwrap();
        assert_eq!(catch_up(&store, &Vaults::new(), &reader, NOON, |_| {}).unwrap().entries, 180);
        assert_eq!(contents(&store, PLATFORM, 300), followed);
    }

    /// Entry `seq` deletes a customer by rules of `version`; `key_no` is the customer's key.
    fn deletion(seq: u64, version: u16, key_no: u32) -> Durable {
        let mut record = testing::image(testing::seller(1), seq, key_no);
        if let Record::Customer(customer) = &mut record {
            customer.deleted = true;
        }
        let change = testing::change(RecordKey::head(1), &record, Vec::new());
        let entry = JournalEntry { version, ..testing::entry(NOON, None, vec![change]) };
        testing::durable(PLATFORM, seq, &entry)
    }

    #[test]
    fn a_deleted_customers_key_is_gone_once_the_deletion_is_in_the_store_also_when_the_store_is_built_again() {
        let deletions = [deletion(2, 1, 10), deletion(3, 2, 11), deletion(4, 2, 12)];
        let expect_erased = |vault: &KeyVault| {
            // The first rules sealed a customer's payments under the same key.
            assert_eq!([9, 10, 11, 12, 13].map(|key| vault.is_erased(key)), [false, false, true, true, false]);
        };
        let house = House::new();
        let store = house.store();
        let vault = KeyVault::seeded(1, PLATFORM);
        let vaults = Vaults::from([(PLATFORM, vault.clone())]);
        let projector =
            Projector::start(store, vaults, Box::new(|| NOON), Box::new(|error| panic!("{error}"))).unwrap();
        let progress = projector.progress();
        projector.send(vec![plain(PLATFORM, 1)]);
        projector.send(deletions.to_vec());
        wait(&progress, 4).unwrap();
        expect_erased(&vault);
        projector.stop();

        // As after a crash between the journal's sync and the store.
        let house = House::new();
        let journal = house.journal(1, |_| {});
        append(&journal, 1..=1);
        for deletion in &deletions {
            let payload = deletion.payload.clone();
            journal.append(vec![Append { platform: PLATFORM, seq: deletion.seq, payload }]).unwrap();
        }
        journal.stop().unwrap();
        let reader = Reader::offline(Arc::new(house.disk.clone()));
        let vault = KeyVault::seeded(1, PLATFORM);
        let vaults = Vaults::from([(PLATFORM, vault.clone())]);
        let mut asked = 0;
        catch_up(&house.store(), &vaults, &reader, NOON, |_| {
            expect_erased(&vault);
            asked += 1;
        })
        .unwrap();
        assert_eq!(asked, 1);
        Store::wipe(&house.folder.path().join("objects")).unwrap();
        let none = catch_up(&house.store(), &Vaults::new(), &reader, NOON, |_| {}).unwrap_err();
        assert!(none.to_string().contains("no key file"), "keys that cannot be found are not passed over: {none}");
    }

    #[test]
    fn a_store_of_another_journal_or_ahead_of_its_own_is_doubted() {
        let house = House::new();
        let journal = house.journal(1, |_| {});
        append(&journal, 1..=20);
        journal.stop().unwrap();
        let store = house.store();
        catch_up(&store, &Vaults::new(), &Reader::offline(Arc::new(house.disk.clone())), NOON, |_| {}).unwrap();

        let other = House::new();
        let reader = Reader::offline(Arc::new(other.disk.clone()));
        let journal = other.journal(2, |_| {});
        append(&journal, 1..=3);
        journal.stop().unwrap();
        assert!(matches!(catch_up(&store, &Vaults::new(), &reader, NOON, |_| {}), Err(StoreError::Doubt(_))), "ahead");

        let journal = other.journal(2, |_| {});
        let payload = plain(PLATFORM, 999).payload;
        journal.append(vec![Append { platform: PLATFORM, seq: 4, payload }]).unwrap();
        append(&journal, 5..=20);
        journal.stop().unwrap();
        assert!(
            matches!(catch_up(&store, &Vaults::new(), &reader, NOON, |_| {}), Err(StoreError::Doubt(_))),
            "another history"
        );
    }

    #[test]
    fn a_store_that_fails_is_reported_once_and_the_next_start_builds_it_again() {
        let house = House::new();
        let store = house.store();
        let (tell, told) = mpsc::channel();
        let projector = Projector::start(
            store.clone(),
            Vaults::new(),
            Box::new(|| NOON),
            Box::new(move |error| tell.send(error.to_string()).unwrap()),
        )
        .unwrap();
        projector.send((1..=5).map(|seq| plain(PLATFORM, seq)).collect());
        wait(&projector.progress(), 5).unwrap();
        // An entry is missing: whatever the reason, the store can no longer be right.
        projector.send(vec![plain(PLATFORM, 7)]);
        let why = told.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(why.contains("entry 7 of platform 1 came after 5"), "{why}");
        assert_eq!(wait(&projector.progress(), 6), Err(ProjectorStopped));
        projector.send(vec![plain(PLATFORM, 8)]);
        drop(projector);
        drop(store);
        assert!(told.recv().is_err(), "reported once");
        let objects = house.folder.path().join("objects");
        let (_store, why) = Store::open_or_wipe(&objects, StoreOptions::default(), NOON).unwrap();
        assert!(why.unwrap().to_string().contains("came after 5"));
    }

    #[test]
    fn entries_that_cannot_be_read_stop_the_projector_and_not_the_daemon() {
        let house = House::new();
        let store = house.store();
        let (tell, told) = mpsc::channel();
        let projector = Projector::start(
            store,
            Vaults::new(),
            Box::new(|| NOON),
            Box::new(move |error| tell.send(error.to_string()).unwrap()),
        )
        .unwrap();
        let mut garbage = plain(PLATFORM, 1);
        garbage.payload = bytes::Bytes::from_static(b"no entry");
        projector.send(vec![garbage]);
        assert!(told.recv_timeout(Duration::from_secs(10)).unwrap().contains("cannot be read"));
    }

    #[test]
    fn lag_is_counted_from_when_the_oldest_entry_became_durable() {
        let house = House::new();
        let store = house.store();
        let (release, gate) = mpsc::channel::<()>();
        // The clock is asked before each batch: it serves as a gate here.
        let wall = move || {
            let _ = gate.recv_timeout(Duration::from_secs(10));
            NOON
        };
        let projector =
            Projector::start(store, Vaults::new(), Box::new(wall), Box::new(|error| panic!("{error}"))).unwrap();
        let progress = projector.progress();
        assert_eq!(progress.lag(), Lag::default());
        projector.send(vec![plain(PLATFORM, 1)]);
        thread::sleep(Duration::from_millis(30));
        projector.send(vec![plain(PLATFORM, 2), plain(PLATFORM, 3)]);
        let lag = progress.lag();
        assert_eq!(lag.entries, 3);
        assert!(lag.age >= Duration::from_millis(30), "{lag:?}");
        release.send(()).unwrap();
        wait(&progress, 1).unwrap();
        let lag = progress.lag();
        assert!(lag.entries == 2 && lag.age < Duration::from_secs(5), "{lag:?}");
        release.send(()).unwrap();
        wait(&progress, 3).unwrap();
        assert_eq!(progress.lag().entries, 0);
    }

    #[test]
    fn a_group_larger_than_a_batch_is_projected_whole() {
        let house = House::new();
        let store = house.store();
        let projector = projector(&store);
        let count = 2 * BATCH_ENTRIES as u64 + 100;
        projector.send((1..=count).map(|seq| plain(PLATFORM, seq)).collect());
        wait(&projector.progress(), count).unwrap();
        let hits = store.index(PLATFORM, testing::seller(1), crate::domain::decide::Class::Customer, None, true, 10);
        assert_eq!(hits.unwrap().len(), 10);
    }
}
