//! What rendering looks at.
//!
//! A [`View`] holds the records at hand. Rendering is synchronous and pure: where a record is not at hand it notes the
//! key and stops; the driver ([`render`]) fetches what was noted and renders again. An answer to a command renders from
//! the command's own after-images and usually needs nothing else; what it does need is fetched as the command's entry
//! left it, so that the same request under its idempotency key gets the same bytes later.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::error::ApiError;
use super::secrets::Secrets;
use crate::domain::record::{AccountRecord, FlowRecord, MethodRef, Record, RecordKey, Shared, Slot};
use crate::domain::seal::{Sealed, Texts, Vault};
use crate::engine::platform::Platform;
use crate::ledger::AccountNo;
use crate::primitives::id::{IdCipher, IdText, ObjectId, ObjectKind};
use crate::primitives::time::Timestamp;

/// Rounds of fetching after which a rendering is given up: far above the deepest expansion.
const ROUNDS_MAX: u32 = 64;

/// Records at hand, across rounds of rendering, and the time, once something asked for it.
#[derive(Debug, Default)]
pub struct Stage {
    records: BTreeMap<RecordKey, Option<Shared>>,
    now: Option<Timestamp>,
    /// The entry after which everything is seen; `None`: as it is now.
    seq: Option<u64>,
}

impl Stage {
    /// What there was right after an entry, at its time, with the records that it changed at hand. So what is rendered
    /// is a function of the journal up to there: the same whenever it is asked for.
    pub fn after(seq: u64, now: Timestamp, images: Vec<(RecordKey, Shared)>) -> Stage {
        let records = images.into_iter().map(|(key, record)| (key, Some(record))).collect();
        Stage { records, now: Some(now), seq: Some(seq) }
    }

    /// Nothing but the time.
    pub fn at(now: Timestamp) -> Stage {
        Stage { now: Some(now), ..Stage::default() }
    }

    /// Puts a record on the stage.
    pub fn put(&mut self, key: RecordKey, record: Option<Shared>) {
        self.records.insert(key, record);
    }

    /// How many records are on it.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Forgets the records; what is needed again is fetched again.
    pub fn sweep(&mut self) {
        self.records.clear();
    }

    /// Fetches what is missing.
    pub async fn fetch(&mut self, platform: &Platform, missing: &Missing) {
        if missing.now {
            self.now = Some(platform.now().await);
        }
        if !missing.keys.is_empty() {
            let records = match self.seq {
                Some(seq) => platform.records_at(&missing.keys, seq).await,
                None => platform.records(&missing.keys).await,
            };
            for (key, record) in missing.keys.iter().zip(records) {
                self.records.insert(*key, record);
            }
        }
    }
}

/// What a rendering looked for and did not find at hand.
#[derive(Debug, Default)]
pub struct Missing {
    keys: Vec<RecordKey>,
    now: bool,
}

impl Missing {
    /// Nothing is.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && !self.now
    }
}

/// Why a rendering stopped.
#[derive(Debug)]
pub enum Stop {
    /// A record is not at hand; its key is noted.
    Missing,
    /// There is no such object.
    Gone,
    /// It cannot be done, for this reason.
    Error(Box<ApiError>),
}

impl From<ApiError> for Stop {
    fn from(error: ApiError) -> Stop {
        Stop::Error(Box::new(error))
    }
}

/// What rendering sees: records at hand, and what turns ids and texts into characters.
pub struct View<'a> {
    stage: &'a Stage,
    /// Ids to text.
    pub ids: &'a IdCipher,
    vault: &'a dyn Vault,
    /// Derives client secrets.
    pub secrets: &'a Secrets,
    missing: RefCell<Vec<RecordKey>>,
    wants_now: Cell<bool>,
}

impl<'a> View<'a> {
    /// A view of what is on the stage.
    pub fn new(stage: &'a Stage, platform: &'a Platform, secrets: &'a Secrets) -> Self {
        View::with(stage, platform.ids(), platform.vault(), secrets)
    }

    /// The same from its parts.
    pub fn with(stage: &'a Stage, ids: &'a IdCipher, vault: &'a dyn Vault, secrets: &'a Secrets) -> Self {
        View { stage, ids, vault, secrets, missing: RefCell::default(), wants_now: Cell::new(false) }
    }

    /// What was looked for in vain.
    pub fn missing(self) -> Missing {
        Missing { keys: self.missing.into_inner(), now: self.wants_now.get() }
    }

    /// The time of asking: decides what is available.
    ///
    /// # Errors
    /// [`Stop::Missing`] where nobody has asked for it yet.
    pub fn now(&self) -> Result<Timestamp, Stop> {
        self.stage.now.ok_or_else(|| {
            self.wants_now.set(true);
            Stop::Missing
        })
    }

    /// A record, if there is one.
    ///
    /// # Errors
    /// [`Stop::Missing`] where it is not at hand.
    pub fn find(&self, key: RecordKey) -> Result<Option<&'a Record>, Stop> {
        match self.stage.records.get(&key) {
            Some(found) => Ok(found.as_deref()),
            None => {
                let mut missing = self.missing.borrow_mut();
                if !missing.contains(&key) {
                    missing.push(key);
                }
                Err(Stop::Missing)
            }
        }
    }

    /// Notes all of these that are not at hand, so that they are fetched in one round.
    ///
    /// # Errors
    /// [`Stop::Missing`] where one is not at hand.
    pub fn want(&self, keys: impl IntoIterator<Item = RecordKey>) -> Result<(), Stop> {
        let mut all = Ok(());
        for key in keys {
            if self.find(key).is_err() {
                all = Err(Stop::Missing);
            }
        }
        all
    }

    /// A record that must be there.
    ///
    /// # Errors
    /// [`Stop::Missing`], or [`Stop::Gone`].
    pub fn record(&self, key: RecordKey) -> Result<&'a Record, Stop> {
        self.find(key)?.ok_or(Stop::Gone)
    }

    /// The head of a flow.
    ///
    /// # Errors
    /// As [`View::record`].
    pub fn flow(&self, birth: u64) -> Result<&'a FlowRecord, Stop> {
        match self.record(RecordKey::head(birth))? {
            Record::Flow(flow) => Ok(flow),
            _ => Err(Stop::Gone),
        }
    }

    /// An account.
    ///
    /// # Errors
    /// As [`View::record`].
    pub fn account(&self, account: AccountNo) -> Result<&'a AccountRecord, Stop> {
        match self.record(RecordKey::head(account.0))? {
            Record::Account(record) => Ok(record),
            _ => Err(Stop::Gone),
        }
    }

    /// A record's texts; erased ones are empty.
    pub fn texts(&self, sealed: &Sealed) -> Texts {
        if sealed.bytes.is_empty() {
            return Texts::default();
        }
        self.vault.open(sealed).and_then(|bytes| Texts::from_bytes(&bytes)).unwrap_or_default()
    }

    /// An id as text.
    pub fn id(&self, id: &ObjectId) -> Id {
        Id(self.ids.text(id))
    }

    /// The id of an account.
    pub fn account_id(&self, account: AccountNo) -> Id {
        self.id(&account_id(account))
    }

    /// The id of a customer.
    pub fn customer_id(&self, birth: u64) -> Id {
        self.id(&RecordKey::head(birth).id(ObjectKind::Customer, Slot::MAIN))
    }

    /// The id of a payment method.
    pub fn method_id(&self, method: &MethodRef) -> Id {
        self.id(&method.id())
    }

    /// The platform as its accounts see it: `ca_…`.
    pub fn application(&self) -> Id {
        self.id(&RecordKey::PLATFORM.id(ObjectKind::Application, Slot::MAIN))
    }
}

/// The id of an account.
pub fn account_id(account: AccountNo) -> ObjectId {
    RecordKey::head(account.0).id(ObjectKind::Account, Slot::MAIN)
}

/// An id on its way out.
#[derive(Clone, Copy)]
pub struct Id(pub IdText);

impl std::fmt::Debug for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Id {
    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl serde::Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

/// Renders until nothing is missing any more.
///
/// # Errors
/// What `paint` refuses; `Ok(None)` where the object does not exist.
pub async fn render<T>(
    platform: &Platform,
    secrets: &Secrets,
    stage: &mut Stage,
    mut paint: impl FnMut(&View<'_>) -> Result<T, Stop>,
) -> Result<Option<T>, ApiError> {
    for _ in 0..ROUNDS_MAX {
        let (painted, missing) = {
            let view = View::new(stage, platform, secrets);
            let painted = paint(&view);
            (painted, view.missing())
        };
        // What was noted on a side path (a list goes on past a gap) makes another round as well.
        if missing.is_empty() {
            return match painted {
                Ok(done) => Ok(Some(done)),
                Err(Stop::Gone | Stop::Missing) => Ok(None),
                Err(Stop::Error(error)) => Err(*error),
            };
        }
        stage.fetch(platform, &missing).await;
    }
    Err(ApiError::internal())
}
