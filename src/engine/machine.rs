//! The machine of one platform: decides commands in order, one after another, against working copies.
//!
//! A plain struct without actors, threads or I/O. Actors carry it ([`super::router`]); tests, replay and the
//! reference run it bare ([`super::plain`]). A batch saves messages and never changes an answer: each command sees
//! what the one before it did.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use super::cache::RecordCache;
use super::entry::JournalEntry;
use super::idempotency::{Known, Use};
use super::state::{Prepared, State};
use crate::domain::command::{Command, IdempotencyKey, Request};
use crate::domain::decide::{Context, Facts, Halt, Need, Outcome, Refusal, Reply, decide};
use crate::domain::due::{DueKey, Owed};
use crate::domain::record::{RecordKey, Shared};
use crate::domain::seal::{TextPatch, Vault};
use crate::domain::tables::Tables;
use crate::ledger::{AccountNo, Books, Bucket, Leg, SourceType};
use crate::primitives::currency::Currency;
use crate::primitives::id::IdCipher;
use crate::primitives::market::{MarketRates, RatesDigest};
use crate::primitives::money::Money;
use crate::primitives::time::{Day, Timestamp};

/// How many accounts' books stay copied between batches.
const COPIES: usize = 20_000;

/// Largest entry that a request may make. The journal takes four times as much: an entry of what is due later holds
/// the images of what requests made, and must always fit.
const REQUEST_ENTRY_BYTES_MAX: usize = 256 << 10;

/// The machine of one platform.
pub struct Machine {
    /// The router's share of the state.
    pub state: State,
    /// Turns ids into text.
    pub ids: Arc<IdCipher>,
    vault: Arc<dyn Vault + Send + Sync>,
    /// The market rates that the tables in force name.
    rates: Arc<MarketRates>,
    /// Those that tables may name next.
    offered: Option<Arc<MarketRates>>,
    copies: BTreeMap<AccountNo, Books>,
    cache: RecordCache,
    /// Posts of the open batch, per account, in order: what the account actors are sent when it closes.
    posts: BTreeMap<AccountNo, Vec<Post>>,
    /// Answers of the store about keys that are not in memory, for the command at hand.
    stored_keys: BTreeMap<[u8; 16], Option<Use>>,
    /// Test hook: the decision of such a request panics.
    pub planted_panic: Option<fn(&Request) -> bool>,
}

/// What an account actor is told to do to its books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Post {
    /// Post signed money.
    Money(SourceType, Bucket, Money),
    /// Fold what matured by this day.
    Mature(Day),
}

/// What deciding a request came to.
#[derive(Debug)]
pub enum Step {
    /// Fetch this and decide again.
    Missing(Fetch),
    /// Decided; its entry is to be appended.
    Decided(Box<Decided>),
    /// Refused; nothing changed and nothing is kept.
    Refused(Box<Refusal>),
    /// The key was used: answer as that entry did.
    Replay(u64),
    /// The key was used by another request.
    KeyReused {
        /// Method or path differ; else the parameters do.
        other_endpoint: bool,
        /// The entry that used it.
        seq: u64,
    },
    /// The decision panicked; nothing changed.
    Panicked,
}

/// What has to be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// A fact.
    Fact(Need),
    /// What the store knows of an idempotency key.
    Key([u8; 16]),
}

/// A decision that nothing has come of yet.
#[derive(Debug)]
pub struct Proposal {
    outcome: Outcome,
    prepared: Prepared,
    /// Market rates that come into force by it.
    rates: Option<Arc<MarketRates>>,
    /// The entry that it makes.
    pub entry: JournalEntry,
    /// The entry, encoded.
    pub bytes: Bytes,
}

/// A decided command.
#[derive(Debug)]
pub struct Decided {
    /// Its sequence number.
    pub seq: u64,
    /// Time of the entry.
    pub now: Timestamp,
    /// What to answer.
    pub reply: Reply,
    /// Records that it changed, as they are now.
    pub images: Vec<(RecordKey, Shared)>,
    /// The entry, encoded.
    pub bytes: Bytes,
}

struct View<'a> {
    machine: &'a Machine,
}

impl Facts for View<'_> {
    fn record(&self, key: RecordKey) -> Result<Option<Shared>, Halt> {
        self.machine.cache.get(key).ok_or(Halt::Missing(Need::Record(key)))
    }

    fn books(&self, account: AccountNo) -> Result<&Books, Halt> {
        self.machine.copies.get(&account).ok_or(Halt::Missing(Need::Books(account)))
    }

    fn matures(&self, account: AccountNo, day: Day) -> bool {
        self.machine.state.maturing.contains(&(account, day))
    }

    fn is_due(&self, key: DueKey) -> bool {
        self.machine.state.due.contains_key(&key)
    }

    fn owes(&self, account: AccountNo, currency: Currency) -> Option<Owed> {
        self.machine.state.owing.get(&(account, currency)).copied()
    }

    fn waiting_refund(&self, account: AccountNo, currency: Currency) -> Option<RecordKey> {
        self.machine.state.waiting_refund(account, currency)
    }

    fn next_key_no(&self) -> u32 {
        self.machine.state.next_key_no
    }

    fn split_rule(&self, name: &str) -> Option<u64> {
        self.machine.state.rules.get(name).copied()
    }
}

impl Machine {
    /// A machine on a state, with the market rates that its tables name.
    pub fn new(
        state: State,
        rates: Arc<MarketRates>,
        ids: Arc<IdCipher>,
        vault: Arc<dyn Vault + Send + Sync>,
    ) -> Machine {
        debug_assert_eq!(rates.digest(), state.tables.rates_digest);
        Machine {
            state,
            ids,
            vault,
            rates,
            offered: None,
            copies: BTreeMap::new(),
            cache: RecordCache::default(),
            posts: BTreeMap::new(),
            stored_keys: BTreeMap::new(),
            planted_panic: None,
        }
    }

    /// Decides a request at `now` and applies it to the working copies. Nothing has happened unless the answer is
    /// [`Step::Decided`].
    pub fn decide(&mut self, request: &Request, now: Timestamp) -> Step {
        match self.propose(request, now) {
            Ok(proposal) => Step::Decided(Box::new(self.accept(proposal))),
            Err(step) => step,
        }
    }

    /// Decides a request at `now` and applies nothing.
    ///
    /// # Errors
    /// What there is instead of a decision.
    pub fn propose(&self, request: &Request, now: Timestamp) -> Result<Proposal, Step> {
        let now = now.max(self.state.now);
        let next_rates = match &request.command {
            Command::PutTables(tables) => match self.rates_of(tables) {
                None => return Err(Step::Refused(Box::new(unknown_rates(tables)))),
                known => known,
            },
            _ => None,
        };
        if let Some(key) = &request.idempotency {
            match self.used(key, now) {
                Ok(None) => {}
                Ok(Some(used)) => return Err(replay(key, &used)),
                Err(fetch) => return Err(Step::Missing(fetch)),
            }
        }
        let seq = self.state.seq + 1;
        // A panic in here is a bug of ours that must not cost the platform its service: nothing was posted, appended
        // or applied yet.
        let decided = catch_unwind(AssertUnwindSafe(|| {
            if self.planted_panic.is_some_and(|planted| planted(request)) {
                panic!("planted");
            }
            let (tables, rates) = (&self.state.tables, self.rates.as_ref());
            let ctx = Context { now, seq, tables, rates, ids: &self.ids, vault: self.vault.as_ref() };
            let outcome = match decide(&View { machine: self }, &ctx, request) {
                Ok(outcome) => outcome,
                Err(Halt::Refused(refusal)) if request.idempotency.is_some() && !refusal.is_validation() => {
                    Outcome::answer(Reply::Refused(refusal))
                }
                Err(halt) => return Err(halt),
            };
            let entry = JournalEntry::of(request, &outcome, &ctx);
            let bytes = Bytes::from(entry.to_bytes());
            if bytes.len() > REQUEST_ENTRY_BYTES_MAX && !matches!(request.command, Command::Due(_)) {
                return Err(too_much(bytes.len()).into());
            }
            let prepared = self.state.prepare(&entry.postings);
            Ok(prepared.map(|prepared| Proposal { outcome, prepared, rates: next_rates, entry, bytes }))
        }));
        let request_id = &request.request_id;
        match decided {
            Err(_) => {
                tracing::error!(seq, request_id, "a decision panicked: the request is answered 500, nothing changed");
                Err(Step::Panicked)
            }
            Ok(Err(Halt::Missing(need))) => Err(Step::Missing(Fetch::Fact(need))),
            Ok(Err(Halt::Refused(refusal))) => Err(Step::Refused(refusal)),
            Ok(Ok(None)) => {
                tracing::error!(seq, request_id, "totals would overflow: the request is answered 500, nothing changed");
                Err(Step::Panicked)
            }
            Ok(Ok(Some(proposal))) => Ok(proposal),
        }
    }

    /// Applies a decision that was just proposed.
    pub fn accept(&mut self, proposal: Proposal) -> Decided {
        let Proposal { outcome, prepared, rates, entry, bytes } = proposal;
        let images: Vec<(RecordKey, Shared)> =
            outcome.changes.into_iter().map(|change| (change.key, change.after)).collect();
        self.apply(&entry, prepared, rates, &images);
        Decided { seq: self.state.seq, now: entry.now, reply: outcome.reply, images, bytes }
    }

    /// Applies the next entry as it stands in a journal, whatever would be decided; the market rates that it names
    /// must be at hand. `None` where it cannot be applied: then nothing has happened.
    pub fn follow(&mut self, entry: &JournalEntry) -> Option<()> {
        let prepared = self.state.prepare(&entry.postings)?;
        let rates = match &entry.command {
            Command::PutTables(tables) => Some(self.rates_of(tables)?),
            _ => None,
        };
        let images: Result<Vec<(RecordKey, Shared)>, _> = entry
            .changes
            .iter()
            .map(|change| Ok::<_, minicbor::decode::Error>((change.key, change.record()?)))
            .collect();
        self.apply(entry, prepared, rates, &images.ok()?);
        Some(())
    }

    fn apply(
        &mut self,
        entry: &JournalEntry,
        prepared: Prepared,
        rates: Option<Arc<MarketRates>>,
        images: &[(RecordKey, Shared)],
    ) {
        self.state.apply(entry.effects(), prepared);
        if let Some(rates) = rates {
            self.rates = rates;
        }
        self.apply_to_copies(entry);
        for (key, record) in images {
            self.cache.put(*key, Some(Arc::clone(record)), self.state.seq);
        }
        self.stored_keys.clear();
    }

    fn used(&self, key: &IdempotencyKey, now: Timestamp) -> Result<Option<Use>, Fetch> {
        match self.state.idempotency.find(&key.key, now) {
            Known::Fresh => Ok(None),
            Known::Used(used) => Ok(Some(used)),
            Known::AskStore => self.stored_keys.get(&key.key).copied().ok_or(Fetch::Key(key.key)),
        }
    }

    fn apply_to_copies(&mut self, entry: &JournalEntry) {
        for posting in entry.postings.postings() {
            if let Leg::Account { account, source, bucket } = posting.leg() {
                self.post(account, Post::Money(source, bucket, posting.money()));
            }
        }
        if let Some(matured) = &entry.matured {
            self.post(matured.account, Post::Mature(matured.day));
        }
    }

    fn post(&mut self, account: AccountNo, post: Post) {
        if let Some(books) = self.copies.get_mut(&account) {
            post.apply(books);
        }
        self.posts.entry(account).or_default().push(post);
    }

    /// Hands over an account's books as its actor has them; posts of the open batch are added here.
    pub fn give_books(&mut self, account: AccountNo, mut books: Books) {
        for post in self.posts.get(&account).into_iter().flatten() {
            post.apply(&mut books);
        }
        self.copies.insert(account, books);
    }

    /// The market rates in force.
    pub fn rates(&self) -> &Arc<MarketRates> {
        &self.rates
    }

    /// Offers market rates: tables may name them from now on, beside those in force. Their file must be durable first.
    pub fn offer_rates(&mut self, rates: Arc<MarketRates>) {
        self.offered = Some(rates);
    }

    /// The market rates that tables name, if they are at hand.
    fn rates_of(&self, tables: &Tables) -> Option<Arc<MarketRates>> {
        if tables.rates_digest == RatesDigest::NONE {
            return Some(MarketRates::none());
        }
        let known = [Some(&self.rates), self.offered.as_ref()];
        known.into_iter().flatten().find(|rates| rates.digest() == tables.rates_digest).map(Arc::clone)
    }

    /// Hands over a record as the store has it.
    pub fn give_record(&mut self, key: RecordKey, record: Option<Shared>) {
        self.cache.put(key, record, 0);
    }

    /// Hands over what the store knows of an idempotency key.
    pub fn give_key(&mut self, key: [u8; 16], used: Option<Use>) {
        self.stored_keys.insert(key, used);
    }

    /// A record at hand: see [`RecordCache::get`].
    pub fn record(&mut self, key: RecordKey) -> Option<Option<Shared>> {
        self.cache.touch(key);
        self.cache.get(key)
    }

    /// Keeps a record that recovery read and that the store does not have yet.
    pub fn keep_record(&mut self, key: RecordKey, record: Shared, seq: u64) {
        self.cache.put(key, Some(record), seq);
    }

    /// The open batch's posts, per account; the batch is closed by taking them.
    pub fn take_posts(&mut self) -> BTreeMap<AccountNo, Vec<Post>> {
        std::mem::take(&mut self.posts)
    }

    /// The copy that an account's books must equal after its posts, if there is one.
    pub fn copy(&self, account: AccountNo) -> Option<&Books> {
        self.copies.get(&account)
    }

    /// Tidies between batches.
    pub fn sweep(&mut self, projected: u64) {
        self.cache.sweep(projected);
        if self.copies.len() > COPIES {
            self.copies.clear();
        }
    }

    /// The next due item at or before `until`, as a request.
    pub fn due_request(&self, until: Timestamp) -> Option<(Request, Timestamp)> {
        let item = self.state.next_due(until)?;
        let request = Request {
            acting: AccountNo::PLATFORM,
            command: Command::Due(item),
            texts: TextPatch::default(),
            idempotency: None,
            request_id: String::new(),
        };
        Some((request, item.key.at))
    }
}

/// Refused before anything is applied: an entry that the journal cannot take must not be decided.
fn too_much(bytes: usize) -> Refusal {
    Refusal::new(format!(
        "This request and the object that it changes hold too much text: {} KiB, at most {} KiB fit. Shorten \
         descriptions, addresses or metadata.",
        bytes >> 10,
        REQUEST_ENTRY_BYTES_MAX >> 10
    ))
}

fn unknown_rates(tables: &Tables) -> Refusal {
    let digest = tables.rates_digest;
    Refusal::new(format!("These tables name the market rates {digest}, which are not at hand: offer them first."))
}

fn replay(key: &IdempotencyKey, used: &Use) -> Step {
    if used.endpoint != key.endpoint {
        Step::KeyReused { other_endpoint: true, seq: used.seq }
    } else if used.parameters != key.parameters {
        Step::KeyReused { other_endpoint: false, seq: used.seq }
    } else {
        Step::Replay(used.seq)
    }
}

impl Post {
    /// Does it.
    pub fn apply(self, books: &mut Books) {
        match self {
            Post::Money(source, bucket, money) => {
                // `State::prepare` has checked the totals that this one is a part of.
                let posted = books.post(source, bucket, money);
                debug_assert!(posted.is_some());
            }
            Post::Mature(day) => books.mature(day),
        }
    }
}
