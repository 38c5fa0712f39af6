//! Starting and stopping: journal, recovery, store, routers.
//!
//! Order matters. The journal is checked first, then the state is rebuilt from it (or from a snapshot and the rest of
//! it), the store catches up, and only then does a router take requests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::{Actor, Arbiter, ArbiterHandle};
use tokio::sync::mpsc;

use super::clock;
use super::journal::{
    Check, Durable, FileStorage, Journal, JournalError, Opened, Options, ReadFrom, Reader, ScanFrom, Storage, Writer,
};
use super::machine::Machine;
use super::platform::{Core, Platform, SubmitError};
use super::projector::{Feed, Projector, Vaults, catch_up};
use super::rates::{RatesError, RatesFolder};
use super::read_ahead::read_ahead;
use super::recovery::{ReplayError, Replayed};
use super::router::RouterActor;
use super::snapshot::{
    self, DurableSeq, Ground, Guard, Loaded, PlatformState, Round, SnapshotError, SnapshotWriter, Wants,
};
use super::state::{Clock, State};
use super::store::{Store, StoreError, StoreOptions};
use super::vault::{Absent, KeyVault, Root, VaultError, private_folder};
use crate::domain::command::{Command, Request, TextPatch};
use crate::domain::tables::Tables;
use crate::ledger::AccountNo;
use crate::primitives::market::{MarketRates, RatesDigest};
use crate::primitives::time::Timestamp;
use crate::primitives::{Country, Currency};

/// What an engine is started with.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The data folder.
    pub data: PathBuf,
    /// Platforms to found where the journal does not know them; numbers 1, 2, ….
    pub platforms: Vec<Founding>,
    /// Tables to put in force.
    pub tables: Tables,
    /// Market rates that they may name although the data folder does not have them yet.
    pub rates: Arc<MarketRates>,
    /// Threads with routers; the caller's is the first.
    pub cells: usize,
    /// Real-time priority for the journal's thread.
    pub realtime: bool,
    /// Derive keys from this seed and not from random bytes: simulations, so that two runs write the same journal.
    pub seed: Option<u64>,
    /// Most entries of one batch.
    pub batch_limit: usize,
    /// How often to write snapshots, and with whose help; `None`: never, and none is read.
    pub snapshots: Option<Snapshots>,
    /// Faults to inject; none outside tests.
    pub hooks: TestHooks,
}

/// What tests do to an engine from inside. No flag, file or environment variable leads here: only who links the library
/// and sets it in [`EngineOptions`] gets it.
#[derive(Clone, Default)]
pub struct TestHooks {
    /// The disk under the journal, in place of the data folder's.
    pub journal_disk: Option<Arc<dyn Storage>>,
    /// Requests whose decision panics: [`Machine::planted_panic`].
    pub planted_panic: Option<fn(&Request) -> bool>,
}

impl std::fmt::Debug for TestHooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let TestHooks { journal_disk, planted_panic } = self;
        let journal_disk = journal_disk.as_ref().map(|disk| disk.place());
        f.debug_struct("TestHooks")
            .field("journal_disk", &journal_disk)
            .field("planted_panic", &planted_panic.is_some())
            .finish()
    }
}

/// How snapshots are written.
#[derive(Clone)]
pub struct Snapshots {
    /// Pause between two.
    pub every: Duration,
    /// Who opens sled.
    pub guard: Guard,
}

impl std::fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshots").field("every", &self.every).finish_non_exhaustive()
    }
}

/// A platform to found.
#[derive(Clone, Copy, Debug)]
pub struct Founding {
    /// Where it sits.
    pub country: Country,
    /// Its default currency.
    pub currency: Currency,
    /// Its virtual clock's start; `None`: the wall clock.
    pub clock: Option<Timestamp>,
}

impl EngineOptions {
    /// One platform in the US on the wall clock.
    pub fn new(data: impl Into<PathBuf>) -> EngineOptions {
        EngineOptions {
            data: data.into(),
            platforms: vec![Founding { country: Country::US, currency: Currency::USD, clock: None }],
            tables: Tables::default(),
            rates: MarketRates::built_in(),
            cells: 1,
            realtime: false,
            seed: None,
            batch_limit: 1_024,
            snapshots: None,
            hooks: TestHooks::default(),
        }
    }
}

/// Why an engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal is damaged, in use, or cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// An entry does not belong where it stands.
    #[error("platform {platform}: {error}")]
    Replay {
        /// Whose.
        platform: u32,
        /// What.
        error: ReplayError,
    },
    /// Keys are missing or damaged.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Market rates that entries name are missing or damaged.
    #[error(transparent)]
    Rates(#[from] RatesError),
    /// The object store cannot be used, even built anew.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A half of the snapshots cannot be moved aside.
    #[error(transparent)]
    Snapshots(#[from] SnapshotError),
    /// A snapshot that read well holds what cannot be.
    #[error("platform {platform}: the state does not add up: {what}. Delete the `snapshots` folder and start again")]
    Snapshot {
        /// Whose.
        platform: u32,
        /// What.
        what: String,
    },
    /// A file cannot be made or read.
    #[error("{what}: {error}")]
    Io {
        /// Doing what.
        what: String,
        /// Why not.
        error: std::io::Error,
    },
    /// A platform could not be founded.
    #[error("a platform could not be founded: {0:?}")]
    Founding(SubmitError),
}

/// The root secret and a platform's keys in a folder of keys; seeded ones where the folder says so.
///
/// # Errors
/// [`VaultError`].
pub fn secrets(keys: &Path, platform: u32, absent: Absent) -> Result<(Root, KeyVault), VaultError> {
    if let Some(seed) = read_seed(keys) {
        return Ok((Root::seeded(seed), KeyVault::seeded(seed, platform)));
    }
    let storage: Arc<dyn Storage> = Arc::new(private_folder(keys).map_err(|source| VaultError::Io {
        doing: "make the folder of keys".to_owned(),
        place: keys.display().to_string(),
        source,
    })?);
    let root = Root::open(&*storage, absent)?;
    Ok((root, KeyVault::open(storage, platform, absent)?))
}

const SEED_FILE: &str = "seed";

fn read_seed(keys: &Path) -> Option<u64> {
    std::fs::read_to_string(keys.join(SEED_FILE)).ok()?.trim().parse().ok()
}

/// A running engine.
pub struct Engine {
    platforms: Vec<Platform>,
    root: Root,
    writer: Arc<Writer>,
    projector: Projector,
    cells: Vec<Arbiter>,
    snapshots: Option<(Rc<SnapshotWriter>, tokio::task::JoinHandle<()>)>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("platforms", &self.platforms.len()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts inside an actix system. `progress` is told how many entries were replayed.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(options: EngineOptions, progress: &dyn Fn(u64)) -> Result<Engine, StartError> {
        let io = |what: &'static str| move |error| StartError::Io { what: what.to_owned(), error };
        let data = &options.data;
        let data_folder = options.data.clone();
        let storage: Arc<dyn Storage> = match &options.hooks.journal_disk {
            Some(disk) => Arc::clone(disk),
            None => Arc::new(FileStorage::create(data.join("journal")).map_err(io("make the journal's folder"))?),
        };
        // First of all: what follows changes files, and nobody else may have them.
        let locked = Journal::lock(Arc::clone(&storage))?;
        let keys = data.join("keys");
        if let Some(seed) = options.seed
            && read_seed(&keys) != Some(seed)
        {
            std::fs::create_dir_all(&keys).map_err(io("make the folder of keys"))?;
            std::fs::write(keys.join(SEED_FILE), seed.to_string()).map_err(io("write the seed"))?;
        }
        let objects = data.join("objects");
        let (store, _) = Store::open_or_wipe(&objects, StoreOptions::default(), clock::wall())?;
        // The journal first: opening it writes and syncs its last group again. Until then the store must not learn of
        // it, or a power cut could leave the store ahead of the journal. What the store has seen was checked by an
        // earlier start; the rest of the chain is checked where it is replayed.
        let scan = store.reached().map_or(ScanFrom::Beginning, |at| ScanFrom::Segment(at.segment));
        let journal_options = Options { realtime: options.realtime, ..Options::default() };
        let reader = Reader::offline(Arc::clone(&storage));
        let opened = locked.open(journal_options, scan, &seen(&store, &data.join("snapshots")))?;
        let count = u32::try_from(options.platforms.len())
            .unwrap_or(u32::MAX)
            .max(opened.heads.keys().copied().max().unwrap_or(0));
        let absent = if opened.heads.is_empty() { Absent::Create } else { Absent::Refuse };
        let mut vaults = Vaults::new();
        let mut root = None;
        for number in 1..=count {
            let (root_secret, vault) = secrets(&keys, number, absent)?;
            vaults.insert(number, vault);
            root = Some(root_secret);
        }
        let root = match root {
            Some(root) => root,
            None => secrets_root(&keys, absent)?,
        };
        let store = bring_up(store, &objects, &vaults, &reader, progress)?;
        let loaded = match &options.snapshots {
            None => None,
            Some(snapshots) => {
                snapshot::load(&data.join("snapshots"), &snapshots.guard, snapshot::in_journal(&store, &reader))?
            }
        };
        let from = match &loaded {
            None => Some(ReadFrom::Beginning),
            Some(loaded) => loaded.replay_from(&store)?,
        };
        let ground = loaded.as_ref().map(Loaded::ground);
        let mut replayed = match replay(reader, loaded, from, progress) {
            // It read well and does not add up: the journal knows better.
            Err(error @ StartError::Snapshot { .. }) if ground.is_some() => {
                tracing::warn!(%error, "the snapshots are moved aside, and the state is rebuilt from the journal");
                drop((opened, store, vaults));
                let folder = data.join("snapshots");
                let _ = std::fs::remove_dir_all(data.join("snapshots.doubtful"));
                std::fs::rename(&folder, data.join("snapshots.doubtful")).map_err(io("move the snapshots aside"))?;
                return Box::pin(Engine::start(options, progress)).await;
            }
            replayed => replayed?,
        };
        let tables = FileStorage::create(data.join("tables")).map_err(io("make the folder of tables"))?;
        let mut rates = RatesFolder::new(Arc::new(tables)).with(Arc::clone(&options.rates));
        keep_rates(&rates, &replayed, options.tables.rates_digest)?;

        let mut recovered = Vec::new();
        for number in 1..=count {
            let platform = replayed.remove(&number).unwrap_or_else(|| fresh(&options, number));
            let in_force = rates.load(platform.state.tables.rates_digest)?;
            recovered.push((platform, in_force));
        }
        let offered = rates.load(options.tables.rates_digest)?;
        let doubtful = store.clone();
        let failed = move |error: StoreError| {
            doubtful.condemn(&error.to_string());
            tracing::error!(%error, "the object store failed: stopping; the next start builds it anew from the journal");
            std::process::abort();
        };
        let projector = Projector::start(store.clone(), vaults.clone(), Box::new(clock::wall), Box::new(failed))?;
        let mut starting = Vec::new();
        let mut marks = BTreeMap::new();
        for (number, vault) in vaults {
            let (acks, receiver) = mpsc::unbounded_channel();
            let durable = Arc::new(AtomicU64::new(opened.heads.get(&number).map_or(0, |head| head.seq)));
            marks.insert(number, Mark { durable: Arc::clone(&durable), acks });
            starting.push((number, vault, root.platform(number), receiver, durable));
        }
        let writer = Arc::new(start_writer(opened, marks, projector.feed())?);
        let mut cells: Vec<Arbiter> = Vec::new();
        for _ in 1..options.cells.max(1) {
            cells.push(Arbiter::new());
        }
        let mut platforms = Vec::new();
        let starting = starting.into_iter().zip(recovered).enumerate();
        for (index, ((number, vault, secrets, acks, durable), (recovered, in_force))) in starting {
            let caches = (store.clone(), projector.progress(), writer.reader());
            let core = Arc::new(Core::new(number, vault.clone(), secrets, durable, caches));
            let mut machine = Machine::new(recovered.state, in_force, Arc::clone(&core.ids), Arc::new(vault));
            machine.offer_rates(Arc::clone(&offered));
            machine.planted_panic = options.hooks.planted_panic;
            let books = (recovered.books, recovered.changed.unwrap_or_default());
            let (writer, limit) = (Arc::clone(&writer), options.batch_limit);
            let make = {
                let core = Arc::clone(&core);
                move || RouterActor::new(machine, books, core, writer, acks, limit)
            };
            let cell: Option<ArbiterHandle> =
                (index % options.cells.max(1)).checked_sub(1).and_then(|i| cells.get(i)).map(Arbiter::handle);
            let router = match cell {
                None => make().start(),
                Some(cell) => RouterActor::start_in_arbiter(&cell, move |_| make()),
            };
            platforms.push(Platform::new(core, router));
        }
        let mut engine = Engine { platforms, root, writer, projector, cells, snapshots: None };
        if let Err(error) = engine.found(&options).await {
            // Dropped with its threads at work, it would wait for them for ever.
            engine.stop().await;
            return Err(error);
        }
        if let Some(snapshots) = options.snapshots
            && let Err(error) = engine.start_snapshots(data_folder.join("snapshots"), snapshots, ground)
        {
            tracing::warn!(%error, "no snapshots are written: the next start reads the whole journal");
        }
        Ok(engine)
    }

    /// Writes snapshots now and then, from copies, in a thread of their own.
    fn start_snapshots(
        &mut self,
        folder: PathBuf,
        Snapshots { every, guard }: Snapshots,
        ground: Option<Ground>,
    ) -> Result<(), StartError> {
        let marks: BTreeMap<u32, Platform> =
            self.platforms.iter().map(|platform| (platform.number(), platform.clone())).collect();
        let durable: DurableSeq = Arc::new(move |platform| marks.get(&platform).map_or(0, Platform::durable_seq));
        let writer = Rc::new(SnapshotWriter::start(&folder, guard, ground, durable)?);
        let (platforms, hand) = (self.platforms.clone(), Rc::clone(&writer));
        let task = actix::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let everything = match hand.wants() {
                    Wants::Nothing => continue,
                    Wants::Changes => false,
                    Wants::Everything => true,
                };
                let mut round = Round { everything, platforms: Vec::new() };
                for platform in &platforms {
                    match platform.snapshot(everything).await {
                        Some(copy) => round.platforms.push(copy),
                        None => return,
                    }
                }
                hand.send(round);
            }
        });
        self.snapshots = Some((writer, task));
        Ok(())
    }

    /// The platforms, in order of their numbers.
    pub fn platforms(&self) -> &[Platform] {
        &self.platforms
    }

    /// The root secret.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The journal's figures.
    pub fn journal_metrics(&self) -> Arc<super::journal::Metrics> {
        self.writer.metrics()
    }

    /// The projector's figures.
    pub fn progress(&self) -> super::projector::Progress {
        self.projector.progress()
    }

    /// Founds platforms whose journals are empty, and puts changed tables in force.
    async fn found(&self, options: &EngineOptions) -> Result<(), StartError> {
        for (platform, founding) in self.platforms.iter().zip(&options.platforms) {
            let Some(image) = platform.image().await else { continue };
            let at = founding.clock.filter(|_| image.state.clock == Clock::Virtual);
            let mut commands = Vec::new();
            if image.state.seq == 0 || image.state.tables != options.tables {
                commands.push(Command::PutTables(Box::new(options.tables.clone())));
            }
            if image.state.seq == 0 {
                commands.push(Command::FoundPlatform {
                    country: founding.country,
                    currency: founding.currency,
                    virtual_clock: founding.clock.is_some(),
                });
            }
            for command in commands {
                let request = Request {
                    acting: AccountNo::PLATFORM,
                    command,
                    texts: TextPatch::default(),
                    idempotency: None,
                    request_id: String::new(),
                };
                platform.submit_at(request, at.filter(|_| image.state.seq == 0)).await.map_err(StartError::Founding)?;
            }
        }
        Ok(())
    }

    /// Stops: routers finish what they took, then the journal is drained, then the store.
    pub async fn stop(self) {
        if let Some((writer, task)) = self.snapshots {
            task.abort();
            let _ = task.await;
            if let Ok(writer) = Rc::try_unwrap(writer) {
                writer.stop();
            }
        }
        for platform in &self.platforms {
            platform.halt().await;
        }
        for cell in self.cells {
            cell.stop();
            let _ = cell.join();
        }
        drop(self.platforms);
        match Arc::try_unwrap(self.writer) {
            Ok(writer) => {
                if let Err(error) = writer.stop() {
                    tracing::error!(%error, "the journal did not stop cleanly");
                }
                self.projector.stop();
            }
            // A router still holds it: everything it took is durable all the same.
            Err(_) => tracing::warn!("the journal's thread ends with the process"),
        }
    }
}

fn secrets_root(keys: &Path, absent: Absent) -> Result<Root, StartError> {
    Ok(secrets(keys, 1, absent)?.0)
}

fn fresh(options: &EngineOptions, number: u32) -> Replayed {
    let founding = options.platforms.get(number as usize - 1);
    let clock = founding.and_then(|founding| founding.clock);
    let state = State::new(
        Tables::default(),
        if clock.is_some() { Clock::Virtual } else { Clock::Real },
        clock.unwrap_or(Timestamp(0)),
    );
    Replayed::from_snapshot(state, BTreeMap::new())
}

/// Who is told of a platform's durable mark.
struct Mark {
    durable: Arc<AtomicU64>,
    acks: mpsc::UnboundedSender<u64>,
}

/// Starts the journal's thread: after each group the durable marks move, every router gets one message, and the
/// entries go on to the projector.
fn start_writer(opened: Opened, marks: BTreeMap<u32, Mark>, feed: Feed) -> Result<Writer, JournalError> {
    let on_durable = move |entries: Vec<Durable>| {
        let mut last: BTreeMap<u32, u64> = BTreeMap::new();
        for entry in &entries {
            last.insert(entry.platform, entry.seq);
        }
        for (platform, seq) in last {
            if let Some(mark) = marks.get(&platform) {
                mark.durable.fetch_max(seq, Ordering::AcqRel);
                // A router that is gone needs no word.
                let _ = mark.acks.send(seq);
            }
        }
        feed.send(entries);
    };
    let on_failure = |error: JournalError| {
        // After a failed write or sync nobody knows what the disk holds: nothing more is acknowledged.
        tracing::error!(%error, "the journal failed: stopping at once. What was acknowledged is on disk; start again");
        std::process::abort();
    };
    super::journal::start(opened, Box::new(on_durable), Box::new(on_failure))
}

/// Makes sure that all market rates that entries have put in force are in the data folder and sound, and that those
/// which the next one may put in force are on disk before it.
fn keep_rates(folder: &RatesFolder, replayed: &BTreeMap<u32, Replayed>, next: RatesDigest) -> Result<(), RatesError> {
    let named: BTreeSet<RatesDigest> =
        replayed.values().flat_map(|platform| &platform.state.rates_named).copied().collect();
    for &digest in &named {
        if folder.keep(digest)? {
            tracing::warn!(%digest, "market rates were missing in `tables`: written again from those at hand");
        }
    }
    folder.keep(next)?;
    Ok(())
}

/// The newest entries that the caches have seen, all of them durable once: a journal that ends before them has lost
/// acknowledged entries.
fn seen(store: &Store, snapshots: &Path) -> BTreeMap<u32, u64> {
    let mut seen = snapshot::seen(snapshots);
    for (platform, mark) in store.marks() {
        let newest = seen.entry(platform).or_default();
        *newest = mark.seq.max(*newest);
    }
    seen
}

/// Brings the store up to the journal; one that is doubtful is built again.
fn bring_up(
    store: Store,
    objects: &Path,
    vaults: &Vaults,
    reader: &Reader,
    progress: &dyn Fn(u64),
) -> Result<Store, StartError> {
    match catch_up(&store, vaults, reader, clock::wall(), |at| progress(at.entries)) {
        Ok(_) => Ok(store),
        Err(StoreError::Journal(error)) => Err(error.into()),
        Err(StoreError::Keys(error)) => Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "the object store is built again from the journal");
            drop(store);
            Store::wipe(objects)?;
            let store = Store::open(objects, StoreOptions::default(), clock::wall())?;
            catch_up(&store, vaults, reader, clock::wall(), |at| progress(at.entries))?;
            Ok(store)
        }
    }
}

/// Rebuilds every platform's state: from a snapshot and the journal behind it, or from the whole journal.
fn replay(
    reader: Reader,
    loaded: Option<Loaded>,
    from: Option<ReadFrom>,
    progress: &dyn Fn(u64),
) -> Result<BTreeMap<u32, Replayed>, StartError> {
    let mut platforms: BTreeMap<u32, Replayed> = BTreeMap::new();
    for (number, platform) in loaded.into_iter().flat_map(|loaded| loaded.platforms) {
        let damaged = |what: String| StartError::Snapshot { platform: number, what };
        let state = PlatformState::from_bytes(&platform.header).map_err(|error| damaged(error.to_string()))?;
        let state = state.into_state().ok_or_else(|| damaged("totals out of range".to_owned()))?;
        platforms.insert(number, Replayed::from_snapshot(state, platform.accounts.into_iter().collect()));
    }
    let mut entries = 0;
    if let Some(from) = from {
        for frame in read_ahead(reader, from, Check::Chain)? {
            let frame = frame?;
            let platform = platforms.entry(frame.platform).or_insert_with(|| Replayed::new(false));
            if frame.seq <= platform.state.seq {
                continue;
            }
            platform.read(&frame.payload).map_err(|error| StartError::Replay { platform: frame.platform, error })?;
            entries += 1;
            if entries % 4_096 == 0 {
                progress(entries);
            }
        }
    }
    for (number, platform) in &mut platforms {
        if platform.trial_balance() != platform.state.trial_balance() {
            let what = "accounts' books and running totals differ".to_owned();
            return Err(StartError::Snapshot { platform: *number, what });
        }
        platform.state.settle_clock();
        platform.state.idempotency.ask_store();
    }
    Ok(platforms)
}
