//! A platform in memory, for the tests of accounts, customers and payment methods.

#![cfg(test)]

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::command::{Command, Request, TextPatch};
use crate::domain::decide::{Context, Facts, Halt, Outcome, Refusal, Reply, decide};
use crate::domain::due::{DueKey, Owed};
use crate::domain::event::EventKind;
use crate::domain::record::{
    AccountRecord, BankOutcome, BankStatus, Brand, Card, Check, ExternalAccount, Funding, Made, Recipe, Record,
    RecordKey, Shared,
};
use crate::domain::seal::{Nonce, Sealed, Texts, Vault};
use crate::domain::tables::Tables;
use crate::ledger::{AccountNo, Books};
use crate::primitives::country::Country;
use crate::primitives::currency::Currency;
use crate::primitives::id::{IdCipher, ObjectId};
use crate::primitives::market::MarketRates;
use crate::primitives::time::{Day, Timestamp};

/// Texts under another key or nonce come out as nothing, as with a real vault.
struct Plain;

impl Vault for Plain {
    fn seal(&self, key_no: u32, nonce: Nonce, plain: &[u8]) -> Vec<u8> {
        [&key_no.to_be_bytes()[..], &nonce.seq.to_be_bytes(), &nonce.ordinal.to_be_bytes(), plain].concat()
    }

    fn open(&self, sealed: &Sealed) -> Option<Vec<u8>> {
        let head = self.seal(sealed.key_no, sealed.nonce, &[]);
        sealed.bytes.strip_prefix(head.as_slice()).map(<[u8]>::to_vec)
    }
}

/// A platform whose entries are applied one after another.
pub struct World {
    records: BTreeMap<RecordKey, Shared>,
    books: Books,
    seq: u64,
    next_key_no: u32,
    tables: Tables,
    rates: Arc<MarketRates>,
    ids: IdCipher,
    /// The time of what comes next.
    pub clock: Timestamp,
    /// What the last entry did.
    pub last: Option<Outcome>,
}

impl Facts for World {
    fn record(&self, key: RecordKey) -> Result<Option<Shared>, Halt> {
        Ok(self.records.get(&key).cloned())
    }

    fn books(&self, _: AccountNo) -> Result<&Books, Halt> {
        Ok(&self.books)
    }

    fn matures(&self, _: AccountNo, _: Day) -> bool {
        false
    }

    fn is_due(&self, _: DueKey) -> bool {
        false
    }

    fn owes(&self, _: AccountNo, _: Currency) -> Option<Owed> {
        None
    }

    fn waiting_refund(&self, _: AccountNo, _: Currency) -> Option<RecordKey> {
        None
    }

    fn next_key_no(&self) -> u32 {
        self.next_key_no
    }

    fn split_rule(&self, _: &str) -> Option<u64> {
        None
    }
}

impl World {
    /// A platform in the US.
    pub fn new() -> World {
        let mut world = World {
            records: BTreeMap::new(),
            books: Books::default(),
            seq: 0,
            next_key_no: 0,
            tables: Tables::default(),
            rates: MarketRates::built_in(),
            ids: IdCipher::new([7; 16]),
            clock: World::now(),
            last: None,
        };
        let (country, currency) = (Country::US, Currency::USD);
        world.make(Command::FoundPlatform { country, currency, virtual_clock: true });
        world
    }

    pub fn now() -> Timestamp {
        Timestamp::from_seconds(1_790_000_000)
    }

    pub fn ctx(&self) -> Context<'_> {
        Context {
            now: self.clock,
            seq: self.seq + 1,
            tables: &self.tables,
            rates: &self.rates,
            ids: &self.ids,
            vault: &Plain,
        }
    }

    /// Decides as the platform.
    pub fn run(&mut self, command: Command) -> Result<Reply, Refusal> {
        self.run_as(AccountNo::PLATFORM, command, &[])
    }

    /// Decides, applies and answers.
    pub fn run_as(&mut self, acting: AccountNo, command: Command, texts: &[(&str, &str)]) -> Result<Reply, Refusal> {
        let mut patch = TextPatch::default();
        for (path, text) in texts {
            if text.is_empty() { patch.clear(*path) } else { patch.set(*path, *text) }
        }
        let request = Request { acting, command, texts: patch, idempotency: None, request_id: "req_test".to_owned() };
        let outcome = match decide(self, &self.ctx(), &request) {
            Ok(outcome) => outcome,
            Err(Halt::Refused(refusal)) => return Err(*refusal),
            Err(Halt::Missing(need)) => panic!("a world has all there is, and misses {need:?}"),
        };
        assert!(outcome.text_key_no < self.next_key_no + outcome.keys_taken, "texts under a key that is not there");
        for change in &outcome.changes {
            self.records.insert(change.key, Arc::clone(&change.after));
        }
        self.seq += 1;
        self.next_key_no += outcome.keys_taken;
        let reply = outcome.reply.clone();
        self.last = Some(outcome);
        Ok(reply)
    }

    /// The object that a command gives.
    pub fn make(&mut self, command: Command) -> ObjectId {
        self.make_as(AccountNo::PLATFORM, command, &[])
    }

    pub fn make_as(&mut self, acting: AccountNo, command: Command, texts: &[(&str, &str)]) -> ObjectId {
        match self.run_as(acting, command, texts).unwrap() {
            Reply::Object(id) => id,
            other => panic!("{other:?}"),
        }
    }

    pub fn get(&self, key: RecordKey) -> &Record {
        &self.records[&key]
    }

    pub fn account(&self, account: AccountNo) -> &AccountRecord {
        crate::domain::account::of(self.get(RecordKey::head(account.0))).unwrap()
    }

    pub fn texts(&self, sealed: &Sealed) -> Texts {
        self.ctx().open(sealed)
    }

    pub fn text(&self, id: &ObjectId) -> String {
        self.ids.encode(id)
    }

    /// Events of the last entry, with whose they are.
    pub fn events(&self) -> Vec<(AccountNo, EventKind)> {
        self.last.iter().flat_map(|outcome| &outcome.events).map(|event| (event.account, event.kind)).collect()
    }
}

pub fn card(recipe: Recipe) -> Card {
    Card {
        brand: Brand::Visa,
        funding: Funding::Credit,
        country: Country::US,
        last4: 4242,
        exp_month: 12,
        exp_year: 2030,
        fingerprint: [1; 8],
        recipe,
        cvc_check: Check::Unchecked,
    }
}

pub fn bank(currency: Currency) -> ExternalAccount {
    ExternalAccount {
        made: Made { seq: 0, at: Timestamp::from_seconds(0) },
        country: Country::US,
        currency,
        routing_number: Some("110000000".to_owned()),
        last4: "6789".to_owned(),
        fingerprint: "f".to_owned(),
        default_for_currency: false,
        outcome: BankOutcome::Paid,
        status: BankStatus::Errored,
        holder_type: None,
        deleted: true,
        card: None,
        check: None,
        instant: None,
    }
}
