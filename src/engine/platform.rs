//! The door to one platform: what the wire, the simulator and the reports ask of the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::Addr;
use tokio::sync::{Semaphore, oneshot};

use super::digest::{Digest, Digester};
use super::entry::{JournalEntry, decode_record};
use super::idempotency::{Known, Use};
use super::in_flight::InFlight;
use super::journal::Reader;
use super::projector::Progress;
use super::router::{
    AskBooks, AskKey, AskRates, AskRule, AskState, AskTables, AskTrialBalance, Halt, Image, Records, RouterActor,
    Settled, Submission, Submit, Which,
};
use super::snapshot::{PlatformState, Snapshot};
use super::store::{AsOf, Store};
use super::vault::{KeyVault, PlatformSecrets};
use crate::domain::command::{IdempotencyKey, Request};
use crate::domain::decide::{Class, Refusal, Reply};
use crate::domain::record::{RecordKey, Shared};
use crate::domain::seal::Vault;
use crate::domain::tables::Tables;
use crate::ledger::{AccountNo, Books, TrialBalance};
use crate::primitives::currency::Currency;
use crate::primitives::exchange::Decimal;
use crate::primitives::id::{IdCipher, ObjectKind};
use crate::primitives::market::MarketRates;
use crate::primitives::time::Timestamp;

/// How many requests may wait in front of a router before callers are told to come back.
const ADMITTED: usize = 8_192;
/// How long a request waits for another one under its idempotency key.
const KEY_PATIENCE: Duration = Duration::from_secs(2);

/// What a platform's router and its callers share.
pub struct Core {
    /// The platform's number.
    pub number: u32,
    /// Turns ids into text and back.
    pub ids: Arc<IdCipher>,
    /// Seals and opens texts.
    pub vault: KeyVault,
    /// Keys that derive from the root.
    pub secrets: PlatformSecrets,
    /// What is on disk of its journal.
    pub durable: Arc<AtomicU64>,
    pub(super) store: Store,
    pub(super) progress: Progress,
    pub(super) reader: Reader,
    admission: Semaphore,
    in_flight: InFlight,
}

impl Core {
    pub(super) fn new(
        number: u32,
        vault: KeyVault,
        secrets: PlatformSecrets,
        durable: Arc<AtomicU64>,
        (store, progress, reader): (Store, Progress, Reader),
    ) -> Core {
        let ids = Arc::new(IdCipher::new(secrets.ids));
        let admission = Semaphore::new(ADMITTED);
        let in_flight = InFlight::default();
        Core { number, ids, vault, secrets, durable, store, progress, reader, admission, in_flight }
    }

    /// How far the object store is.
    pub fn projected(&self) -> u64 {
        self.progress.projected(self.number)
    }

    /// A record as the store has it. The store is a cache of the journal: where it cannot answer, the process ends
    /// and the next start rebuilds it.
    pub(super) fn stored_record(&self, key: RecordKey) -> Option<Shared> {
        self.store.record(self.number, key).unwrap_or_else(|error| broken(&error))
    }

    /// A record as entry `seq` left it. The store has reached that entry.
    fn stored_record_at(&self, key: RecordKey, seq: u64) -> Option<Shared> {
        match self.store.record_at(self.number, key, seq).unwrap_or_else(|error| broken(&error)) {
            AsOf::Image(record) => record,
            AsOf::Entry(seq) => {
                let entry = self.stored_entry(seq)?;
                let change = entry.changes.iter().rev().find(|change| change.key == key)?;
                Some(change.record().unwrap_or_else(|error| broken(&error)))
            }
        }
    }

    /// An entry that the store has reached.
    fn stored_entry(&self, seq: u64) -> Option<JournalEntry> {
        let position = self.store.position(self.number, seq).unwrap_or_else(|error| broken(&error))?;
        let frame = self.reader.read_at(position).unwrap_or_else(|error| broken(&error));
        Some(JournalEntry::from_bytes(&frame.payload).unwrap_or_else(|error| broken(&error)))
    }

    pub(super) fn stored_key(&self, key: &[u8; 16], now: Timestamp) -> Option<Use> {
        let hit = self.store.idempotency(self.number, key, now).unwrap_or_else(|error| broken(&error))?;
        Some(Use { seq: hit.seq, at: hit.at, endpoint: hit.endpoint, parameters: hit.parameters })
    }
}

fn broken(error: &dyn std::fmt::Display) -> ! {
    tracing::error!(%error, "the object store cannot be read: stopping; delete the `objects` folder, it is rebuilt from the journal");
    std::process::abort()
}

/// A platform as its callers see it. Cheap to clone; may be used from any thread.
#[derive(Clone)]
pub struct Platform {
    core: Arc<Core>,
    router: Arc<Addr<RouterActor>>,
}

/// What a request came to, given only when all that it saw is durable.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What to answer.
    pub reply: Reply,
    /// Sequence of the state that was seen.
    pub seq: u64,
    /// The platform's time of the entry.
    pub now: Timestamp,
    /// After-images of the records that the entry changed (also for a replay: as they were then).
    pub images: Vec<(RecordKey, Shared)>,
    /// The request that first used the idempotency key, when this is its replay.
    pub replay_of: Option<String>,
}

/// Why a request got no answer of its own.
#[derive(Clone, Debug)]
pub enum SubmitError {
    /// Refused; no idempotency key kept it (with a key, see [`Reply::Refused`]).
    Refused(Box<Refusal>),
    /// The key was used before: with another endpoint, or with other parameters.
    KeyReused {
        /// Method or path differ; else the parameters do.
        other_endpoint: bool,
        /// The entry that used it.
        seq: u64,
    },
    /// The key is in use by a request that has been running for seconds. This one did nothing.
    KeyInFlight,
    /// Too much waits already: try again in some milliseconds.
    Overloaded,
    /// The daemon is stopping.
    Stopping,
    /// The decision panicked: nothing changed.
    Panicked,
}

/// What money is converted by at a moment.
#[derive(Clone, Debug)]
pub struct RatesInForce {
    /// Fixed pairs.
    pub tables: Tables,
    /// The market's.
    pub market: Arc<MarketRates>,
    /// The platform's time.
    pub now: Timestamp,
}

impl RatesInForce {
    /// Major units of `to` for one of `from`, before any fee of Florin's; `None` where no rate is known.
    pub fn from_to(&self, from: Currency, to: Currency) -> Option<Decimal> {
        self.tables.rate(&self.market, from, to, self.now).ok().map(|rate| rate.base)
    }

    /// Every currency that something is known of, in the order of codes.
    pub fn currencies(&self) -> Vec<Currency> {
        let fixed = self.tables.fixed_rates.iter().flat_map(|pair| [pair.from, pair.to]);
        let mut all: Vec<Currency> = self.market.currencies().chain([Currency::EUR]).chain(fixed).collect();
        all.sort_unstable_by_key(|currency| currency.code());
        all.dedup();
        all
    }
}

/// A place in a list index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexHit {
    /// Sequence of the entry that made the objects.
    pub seq: u64,
    /// Which row of that entry.
    pub ordinal: u16,
    /// What was made: bits of `Kinds`.
    pub kinds: u32,
    /// The record that holds them.
    pub key: RecordKey,
}

impl Platform {
    pub(super) fn new(core: Arc<Core>, router: Addr<RouterActor>) -> Platform {
        Platform { core, router: Arc::new(router) }
    }

    /// The platform's number.
    pub fn number(&self) -> u32 {
        self.core.number
    }

    /// What is on disk of its journal.
    pub fn durable_seq(&self) -> u64 {
        self.core.durable.load(Ordering::Acquire)
    }

    /// Turns ids into text and back.
    pub fn ids(&self) -> &IdCipher {
        &self.core.ids
    }

    /// Opens texts.
    pub fn vault(&self) -> &dyn Vault {
        &self.core.vault
    }

    /// Keys for fingerprints, idempotency and client secrets.
    pub fn secrets(&self) -> &PlatformSecrets {
        &self.core.secrets
    }

    /// Decides a request and waits until its entry (or the state that it saw) is durable. Behind another request under
    /// its idempotency key it waits for that one first.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit(&self, request: Request) -> Result<Answer, SubmitError> {
        self.submit_at(request, None).await
    }

    /// As [`Platform::submit`], at a time of a simulated clock.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit_at(&self, request: Request, at: Option<Timestamp>) -> Result<Answer, SubmitError> {
        let _turn = match &request.idempotency {
            Some(key) => Some(self.core.in_flight.enter(key.key, KEY_PATIENCE).await.ok_or(SubmitError::KeyInFlight)?),
            None => None,
        };
        let _admitted = self.core.admission.try_acquire().map_err(|_| SubmitError::Overloaded)?;
        match self.enqueue(request, at).await {
            Ok(Ok(Settled::Answer(answer))) => {
                // Who deletes a person is told so when its key is gone.
                if matches!(&answer.reply, Reply::Deleted(id) if id.kind == ObjectKind::Customer) {
                    self.reach(answer.seq).await;
                }
                Ok(answer)
            }
            Ok(Ok(Settled::Replay(seq))) => self.replay(seq).await,
            Ok(Err(error)) => Err(error),
            Err(_) => Err(SubmitError::Stopping),
        }
    }

    /// Puts a request into the router's queue at once; the receiver gets what it comes to. Without admission: for the
    /// simulator, which bounds itself.
    pub fn enqueue(&self, request: Request, at: Option<Timestamp>) -> oneshot::Receiver<Result<Settled, SubmitError>> {
        let (reply, receiver) = oneshot::channel();
        // A router that is gone drops the message, and with it the sender: the receiver sees it.
        self.router.do_send(Submit(Submission { request, at, reply }));
        receiver
    }

    /// What the same request came to when it used its idempotency key first, if it did.
    pub async fn earlier(&self, key: &IdempotencyKey) -> Option<Answer> {
        let seen = self.router.send(AskKey(key.key)).await.ok()?;
        self.durable(seen.seq).await;
        let used = match seen.value {
            Known::Fresh => None,
            Known::Used(used) => Some(used),
            Known::AskStore => self.core.stored_key(&key.key, seen.now),
        };
        let used = used.filter(|used| (used.endpoint, used.parameters) == (key.endpoint, key.parameters))?;
        self.replay(used.seq).await.ok()
    }

    async fn replay(&self, seq: u64) -> Result<Answer, SubmitError> {
        let entry = self.entry(seq).await.ok_or(SubmitError::Panicked)?;
        let mut images = Vec::with_capacity(entry.changes.len());
        for change in &entry.changes {
            images.push((change.key, decode_record(&change.after).map_err(|_| SubmitError::Panicked)?));
        }
        let replay_of = Some(entry.request_id.clone());
        Ok(Answer { reply: entry.reply.clone(), seq, now: entry.now, images, replay_of })
    }

    /// Records as the latest decided entry left them, durable before this returns. `None` where there is none.
    pub async fn records(&self, keys: &[RecordKey]) -> Vec<Option<Shared>> {
        let Ok(seen) = self.router.send(Records(keys.to_vec())).await else { return vec![None; keys.len()] };
        self.durable(seen.seq).await;
        seen.value
            .into_iter()
            .zip(keys)
            .map(|(at_hand, key)| at_hand.unwrap_or_else(|| self.core.stored_record(*key)))
            .collect()
    }

    /// Records as entry `seq`, which is durable, left them. `None` where there was none yet.
    pub async fn records_at(&self, keys: &[RecordKey], seq: u64) -> Vec<Option<Shared>> {
        self.reach(seq).await;
        keys.iter().map(|key| self.core.stored_record_at(*key, seq)).collect()
    }

    /// An account's books and the platform's time, durable before this returns.
    pub async fn books(&self, account: AccountNo) -> (Books, Timestamp) {
        let (to, books) = oneshot::channel();
        self.router.do_send(AskBooks(account, to));
        let seq = self.seen().await;
        self.durable(seq).await;
        books.await.unwrap_or_default()
    }

    /// The platform's time now.
    pub async fn now(&self) -> Timestamp {
        self.books(AccountNo::PLATFORM).await.1
    }

    async fn seen(&self) -> u64 {
        self.router.send(AskTrialBalance).await.map_or(0, |seen| seen.seq)
    }

    /// Waits for the store to reach an entry.
    async fn reach(&self, seq: u64) {
        if let Err(stopped) = self.core.progress.wait(self.core.number, seq).await {
            broken(&stopped);
        }
    }

    /// Waits for the durable mark.
    async fn durable(&self, seq: u64) {
        if self.core.durable.load(Ordering::Acquire) >= seq {
            return;
        }
        // The projector follows the durable mark: what it has is durable.
        self.reach(seq).await;
    }

    /// Up to `limit` places of an index, newest first (`descending`) or oldest first, strictly beyond `after` in the
    /// direction of travel. Waits until everything acknowledged so far is in the index.
    pub async fn index(
        &self,
        account: AccountNo,
        class: Class,
        after: Option<(u64, u16)>,
        descending: bool,
        limit: usize,
    ) -> Vec<IndexHit> {
        let seq = self.seen().await;
        self.reach(seq).await;
        self.core
            .store
            .index(self.core.number, account, class, after, descending, limit)
            .unwrap_or_else(|error| broken(&error))
    }

    /// An entry of the journal.
    pub async fn entry(&self, seq: u64) -> Option<Arc<JournalEntry>> {
        let last = self.seen().await;
        if seq == 0 || seq > last {
            return None;
        }
        self.reach(seq).await;
        self.core.stored_entry(seq).map(Arc::new)
    }

    /// The trial balance, and the sequence it stands at.
    pub async fn trial_balance(&self) -> (TrialBalance, u64) {
        match self.router.send(AskTrialBalance).await {
            Ok(seen) => {
                self.durable(seen.seq).await;
                (seen.value, seen.seq)
            }
            Err(_) => (TrialBalance::default(), 0),
        }
    }

    /// The tables in force; `None` when the daemon is stopping.
    pub async fn tables(&self) -> Option<Tables> {
        let seen = self.router.send(AskTables).await.ok()?;
        self.durable(seen.seq).await;
        Some(seen.value)
    }

    /// The birth of the split rule of this name.
    pub async fn split_rule(&self, name: &str) -> Option<u64> {
        let seen = self.router.send(AskRule(name.to_owned())).await.ok()?;
        self.durable(seen.seq).await;
        seen.value
    }

    /// What money is converted by now, durable before this returns.
    pub async fn rates(&self) -> Option<RatesInForce> {
        let seen = self.router.send(AskRates).await.ok()?;
        self.durable(seen.seq).await;
        Some(seen.value)
    }

    /// The whole state between two batches; `None` when the daemon is stopping.
    pub async fn image(&self) -> Option<Image> {
        self.ask_state(Which::All).await
    }

    async fn ask_state(&self, which: Which) -> Option<Image> {
        let (to, image) = oneshot::channel();
        self.router.do_send(AskState(which, to));
        image.await.ok()
    }

    /// A copy for a snapshot: of everything, or of what changed since the last copy. Waits until the entry that it
    /// stands at is durable and in the store.
    pub(super) async fn snapshot(&self, everything: bool) -> Option<Snapshot> {
        let which = if everything { Which::Everything } else { Which::Changed };
        let image = self.ask_state(which).await?;
        let seq = image.state.seq;
        self.reach(seq).await;
        let hash = match self.core.store.position(self.core.number, seq) {
            Ok(Some(position)) => self.core.reader.read_at(position).ok()?.hash(),
            Ok(None) => [0; 32],
            Err(error) => broken(&error),
        };
        let header = PlatformState::of(&image.state).to_bytes();
        let accounts = image
            .books
            .iter()
            .map(|(account, books)| (*account, minicbor::to_vec(books).unwrap_or_default()))
            .collect();
        Some(Snapshot { platform: self.core.number, seq, hash, header, accounts })
    }

    /// Ends the router, once everything that it took is durable and in the store. Requests that come later get
    /// [`SubmitError::Stopping`].
    pub(super) async fn halt(&self) {
        if let Some(image) = self.image().await {
            self.reach(image.state.seq).await;
        }
        let _ = self.router.send(Halt).await;
    }

    /// The digest of the platform's state: waits until the store has caught up. `None` while requests keep coming in,
    /// or when the daemon is stopping.
    pub async fn digest(&self) -> Option<(Digest, u64)> {
        let image = self.image().await?;
        let seq = image.state.seq;
        self.reach(seq).await;
        let mut digest = Digester::new(&image.state);
        for (account, books) in &image.books {
            digest.books(&image.state, *account, books);
        }
        self.core
            .store
            .records_in_order(self.core.number, |key, bytes| digest.record(key, bytes))
            .unwrap_or_else(|error| broken(&error));
        (self.core.projected() == seq && self.seen().await == seq).then(|| (digest.finish(), seq))
    }
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform").field("number", &self.core.number).finish_non_exhaustive()
    }
}
