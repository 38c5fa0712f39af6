//! A platform rebuilt from its journal: what recovery, replay and verification share.

use std::collections::{BTreeMap, BTreeSet};

use super::digest::{Digest, Digester};
use super::entry::{DECISION_VERSION, Effects, EffectsRef};
use super::machine::Post;
use super::state::{Clock, State};
use crate::domain::record::RecordKey;
use crate::domain::tables::Tables;
use crate::ledger::{AccountNo, Books, Leg, TrialBalance};
use crate::primitives::time::Timestamp;

/// A platform's state, its accounts' books and (where asked for) its records, as the journal makes them.
#[derive(Debug)]
pub struct Replayed {
    /// The router's share.
    pub state: State,
    /// Every account's books.
    pub books: BTreeMap<AccountNo, Books>,
    /// Every record as stored; empty when records are not kept (the store has them).
    pub records: BTreeMap<RecordKey, Vec<u8>>,
    keep_records: bool,
    /// Accounts whose books changed since a snapshot; `None` where there was none.
    pub changed: Option<BTreeSet<AccountNo>>,
}

/// Why an entry cannot belong where it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// Its bytes are no entry.
    #[error("entry {seq} cannot be read: {what}")]
    Unreadable {
        /// Which one.
        seq: u64,
        /// What the decoder says.
        what: String,
    },
    /// A newer Florin decided it.
    #[error(
        "entry {seq} was decided by rules of version {version}, and this Florin knows up to {known}: use a newer one"
    )]
    Newer {
        /// Which one.
        seq: u64,
        /// Its version.
        version: u16,
        /// Ours.
        known: u16,
    },
    /// A total left 128 bits.
    #[error("entry {seq} takes a total out of range")]
    OutOfRange {
        /// Which one.
        seq: u64,
    },
}

impl Replayed {
    /// Before the first entry.
    pub fn new(keep_records: bool) -> Replayed {
        let state = State::new(Tables::default(), Clock::Real, Timestamp(0));
        Replayed { state, books: BTreeMap::new(), records: BTreeMap::new(), keep_records, changed: None }
    }

    /// Continues from a snapshot; records stay with the store.
    pub fn from_snapshot(state: State, books: BTreeMap<AccountNo, Books>) -> Replayed {
        Replayed { state, books, records: BTreeMap::new(), keep_records: false, changed: Some(BTreeSet::new()) }
    }

    /// Reads and applies the next entry.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn read(&mut self, payload: &[u8]) -> Result<(), ReplayError> {
        let seq = self.state.seq + 1;
        let effects =
            Effects::from_bytes(payload).map_err(|error| ReplayError::Unreadable { seq, what: error.to_string() })?;
        self.apply(effects.view())?;
        if self.keep_records {
            for change in &effects.changes {
                self.records.insert(change.key, change.after.to_vec());
            }
        }
        Ok(())
    }

    /// Applies the next entry's effects on state and books.
    fn apply(&mut self, entry: EffectsRef<'_>) -> Result<(), ReplayError> {
        let seq = self.state.seq + 1;
        if entry.version > DECISION_VERSION {
            return Err(ReplayError::Newer { seq, version: entry.version, known: DECISION_VERSION });
        }
        let prepared = self.state.prepare(entry.postings).ok_or(ReplayError::OutOfRange { seq })?;
        self.state.apply(entry, prepared);
        for posting in entry.postings.postings() {
            if let Leg::Account { account, source, bucket } = posting.leg() {
                if let Some(changed) = &mut self.changed {
                    changed.insert(account);
                }
                let books = self.books.entry(account).or_default();
                Post::Money(source, bucket, posting.money()).apply(books);
            }
        }
        if let Some(matured) = entry.matured
            && let Some(books) = self.books.get_mut(&matured.account)
        {
            books.mature(matured.day);
            if let Some(changed) = &mut self.changed {
                changed.insert(matured.account);
            }
        }
        Ok(())
    }

    /// The trial balance, summed anew from every account's books.
    pub fn trial_balance(&self) -> TrialBalance {
        let mut balance = TrialBalance::default();
        for (account, books) in &self.books {
            let row = if account.is_platform() { "accounts:platform" } else { "accounts:connected" };
            for holding in books.holdings() {
                balance.add(row, holding.currency, holding.minor);
            }
        }
        for (house, currency, minor) in self.state.house.iter() {
            balance.add(&house.to_string(), currency, minor);
        }
        balance
    }

    /// The digest; of use only where records are kept.
    pub fn digest(&self) -> Digest {
        let mut state = self.state.clone();
        state.settle_clock();
        let mut digest = Digester::new(&state);
        for (account, books) in &self.books {
            digest.books(&state, *account, books);
        }
        for (key, bytes) in &self.records {
            digest.record(*key, bytes);
        }
        digest.finish()
    }
}
