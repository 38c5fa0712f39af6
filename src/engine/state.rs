//! What a platform is, beside its accounts' books and its records: the router's share of the state.
//!
//! [`State::apply`] is the only way it changes, live and in recovery alike. It cannot refuse: [`State::prepare`] has
//! checked everything that could go wrong before an entry is written.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};

use super::entry::EffectsRef;
use super::idempotency::Idempotency;
use crate::domain::command::Command;
use crate::domain::due::{DueItem, DueKey, DueKind, Owed};
use crate::domain::record::RecordKey;
use crate::domain::tables::Tables;
use crate::ledger::{AccountNo, Entry, House, HouseBooks, Leg, TrialBalance};
use crate::primitives::currency::Currency;
use crate::primitives::market::RatesDigest;
use crate::primitives::time::{Day, Timestamp};

/// Which clock a platform runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Clock {
    /// The wall clock, never going back.
    #[n(0)]
    Real,
    /// Frozen; advanced by request.
    #[n(1)]
    Virtual,
}

/// The router's share of a platform's state.
#[derive(Clone, Debug)]
pub struct State {
    /// Sequence of the last entry; 0 before the first.
    pub seq: u64,
    /// Time of the last entry.
    pub now: Timestamp,
    /// Real or virtual.
    pub clock: Clock,
    /// An advance that is not finished: due items up to it fire first.
    pub target: Option<Timestamp>,
    /// Next free key of the vault.
    pub next_key_no: u32,
    /// Tables in force.
    pub tables: Tables,
    /// Every table of market rates that an entry has put in force: they decided what the journal holds, so they must be
    /// at hand to decide it again. Not part of the digest, which has the tables in force.
    pub rates_named: BTreeSet<RatesDigest>,
    /// What is due.
    pub due: BTreeMap<DueKey, DueKind>,
    /// Accounts and days whose maturing is in the queue.
    pub maturing: BTreeSet<(AccountNo, Day)>,
    /// Accounts below zero that the platform holds a reserve for. Made from the queue.
    pub owing: BTreeMap<(AccountNo, Currency), Owed>,
    /// Refunds that wait for money, in order of creation: those whose end of waiting is in the queue.
    waiting: BTreeSet<(AccountNo, Currency, u64, RecordKey)>,
    /// Split rules by name.
    pub rules: BTreeMap<String, u64>,
    /// The house's ledger accounts.
    pub house: HouseBooks,
    /// Sum of the platform's own account and of all connected accounts, per currency.
    pub totals: BTreeMap<Currency, Totals>,
    /// Keys of the last day.
    pub idempotency: Idempotency,
}

/// All accounts' balances in one currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Totals {
    /// The platform's own.
    #[cbor(n(0), with = "crate::primitives::wide")]
    pub platform: i128,
    /// Of all connected accounts.
    #[cbor(n(1), with = "crate::primitives::wide")]
    pub connected: i128,
}

/// What an entry's postings make of the house's books and the totals: computed before it is written.
#[derive(Debug)]
pub struct Prepared {
    house: Vec<(House, Currency, i128)>,
    totals: BTreeMap<Currency, Totals>,
}

impl State {
    /// A platform before its first entry.
    pub fn new(tables: Tables, clock: Clock, now: Timestamp) -> State {
        State {
            seq: 0,
            now,
            clock,
            target: None,
            next_key_no: 0,
            tables,
            rates_named: BTreeSet::new(),
            due: BTreeMap::new(),
            maturing: BTreeSet::new(),
            owing: BTreeMap::new(),
            waiting: BTreeSet::new(),
            rules: BTreeMap::new(),
            house: HouseBooks::default(),
            totals: BTreeMap::new(),
            idempotency: Idempotency::default(),
        }
    }

    /// Works out what an entry's postings do. `None` where a total would leave 128 bits.
    pub fn prepare(&self, entry: &Entry) -> Option<Prepared> {
        let mut house = Vec::with_capacity(4);
        let mut totals: BTreeMap<Currency, Totals> = BTreeMap::new();
        for posting in entry.postings() {
            let (currency, minor) = (posting.money().currency(), i128::from(posting.money().minor()));
            match posting.leg() {
                Leg::House(leg) => house.push((leg, currency, minor)),
                Leg::Account { account, .. } => {
                    let total = totals
                        .entry(currency)
                        .or_insert_with(|| self.totals.get(&currency).copied().unwrap_or_default());
                    let side = if account.is_platform() { &mut total.platform } else { &mut total.connected };
                    *side = side.checked_add(minor)?;
                }
            }
        }
        Some(Prepared { house, totals })
    }

    /// Applies an entry that was decided or read from the journal.
    pub fn apply(&mut self, entry: EffectsRef<'_>, prepared: Prepared) {
        self.seq += 1;
        self.now = entry.now.max(self.now);
        for (house, currency, minor) in prepared.house {
            // Each total is a sum of amounts of at most 10^15 over fewer than 2^64 entries: it fits in 128 bits.
            let posted = self.house.post(house, currency, minor);
            debug_assert!(posted.is_some());
        }
        self.totals.extend(prepared.totals);
        for key in entry.undue {
            self.drop_due(*key);
        }
        for item in entry.due {
            self.add_due(*item);
        }
        self.next_key_no += entry.keys_taken;
        match entry.command {
            Some(Command::Due(item)) => self.drop_due(item.key),
            Some(Command::AdvanceClock { to }) => {
                self.clock = Clock::Virtual;
                self.target = Some(*to);
            }
            Some(Command::FoundPlatform { virtual_clock: true, .. }) => self.clock = Clock::Virtual,
            Some(Command::PutTables(tables)) => {
                self.tables = tables.as_ref().clone();
                self.rates_named.insert(tables.rates_digest);
            }
            Some(Command::CreateSplitRule { name, .. }) => {
                self.rules.insert(name.clone(), self.seq);
            }
            _ => {}
        }
        if let Some(matured) = entry.matured {
            self.maturing.remove(&(matured.account, matured.day));
        }
        if let Some(key) = entry.idempotency {
            self.idempotency.insert(key, self.seq, entry.now);
        }
    }

    fn add_due(&mut self, item: DueItem) {
        if let DueKind::Mature { account, day } = item.kind {
            self.maturing.insert((account, day));
        }
        self.queue(item);
    }

    /// Puts an item into the queue, and only that: a state that was kept is made so again.
    pub fn queue(&mut self, item: DueItem) {
        match item.kind {
            DueKind::Collect { account, currency, held } => {
                self.owing.insert((account, currency), Owed { key: item.key, held });
            }
            DueKind::RefundExpires { account, currency, refund } => {
                self.waiting.insert((account, currency, item.key.birth, refund));
            }
            _ => {}
        }
        self.due.insert(item.key, item.kind);
    }

    fn drop_due(&mut self, key: DueKey) {
        match self.due.remove(&key) {
            Some(DueKind::Collect { account, currency, .. }) => {
                self.owing.remove(&(account, currency));
            }
            Some(DueKind::RefundExpires { account, currency, refund }) => {
                self.waiting.remove(&(account, currency, key.birth, refund));
            }
            _ => {}
        }
    }

    /// The oldest refund that waits for money of an account in a currency.
    pub fn waiting_refund(&self, account: AccountNo, currency: Currency) -> Option<RecordKey> {
        let least = (account, currency, 0, RecordKey::PLATFORM);
        let next = self.waiting.range(least..).next();
        next.filter(|&&(of, in_currency, ..)| (of, in_currency) == (account, currency)).map(|&(.., refund)| refund)
    }

    /// The first item due at or before `until`.
    pub fn next_due(&self, until: Timestamp) -> Option<DueItem> {
        let (&key, &kind) = self.due.first_key_value()?;
        (key.at <= until).then_some(DueItem { key, kind })
    }

    /// Ends an advance whose due items have all fired.
    pub fn settle_clock(&mut self) {
        if let Some(target) = self.target
            && self.next_due(target).is_none()
        {
            self.now = target.max(self.now);
            self.target = None;
        }
    }

    /// The trial balance: house, platform and connected accounts. Every currency closes at zero.
    pub fn trial_balance(&self) -> TrialBalance {
        let mut balance = TrialBalance::default();
        for (&currency, totals) in &self.totals {
            balance.add("accounts:platform", currency, totals.platform);
            balance.add("accounts:connected", currency, totals.connected);
        }
        for (house, currency, minor) in self.house.iter() {
            balance.add(&house.to_string(), currency, minor);
        }
        balance
    }
}
