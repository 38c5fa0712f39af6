//! A small marketplace in memory, for stories: accounts, charges, refunds, time; and checks in the domain's words.

use std::collections::BTreeMap;
use std::sync::Arc;

use florin::domain::command::{AccountInput, Command, IntentInput, MethodInput, Request, TextPatch};
use florin::domain::decide::{Refusal, Reply};
use florin::domain::facts::active_individual;
use florin::domain::record::{
    AccountKind, BankOutcome, BankStatus, Brand, BusinessType, Card, Check, ExternalAccount, FlowRecord, Funding, Made,
    PayoutInterval, Recipe, Record, RecordKey, Row, Slot,
};
use florin::domain::tables::{FixedRate, Tables};
use florin::engine::entry::decode_record;
use florin::engine::plain::{Plain, Told};
use florin::engine::vault::{KeyVault, Root};
use florin::ledger::{AccountNo, ReserveKind};
use florin::primitives::id::{IdCipher, ObjectId, ObjectKind};
use florin::primitives::time::Timestamp;
use florin::primitives::{Country, Currency};

/// A weekday noon in 2026.
pub const NOON: Timestamp = Timestamp(1_772_452_800_000);

/// A marketplace in memory.
pub struct Town {
    pub plain: Plain,
    pub now: Timestamp,
}

/// What a request came to, for stories that expect it to succeed.
pub type Done = florin::engine::machine::Decided;

impl Town {
    /// A platform in the US with the standard price list.
    pub fn new() -> Town {
        Town::with(Tables::default(), Country::US, Currency::USD)
    }

    /// A platform with fixed rates.
    pub fn with_rates(rates: &[(Currency, Currency, &str)]) -> Town {
        let fixed_rates =
            rates.iter().map(|&(from, to, rate)| FixedRate { from, to, rate: rate.parse().expect("a rate") }).collect();
        Town::with(Tables { fixed_rates, ..Tables::default() }, Country::US, Currency::USD)
    }

    pub fn with(tables: Tables, country: Country, currency: Currency) -> Town {
        let ids = Arc::new(IdCipher::new(Root::seeded(7).platform(1).ids));
        let mut town = Town { plain: Plain::new(ids, Arc::new(KeyVault::seeded(7, 1)), true), now: NOON };
        town.done(Command::PutTables(Box::new(tables)));
        town.done(Command::FoundPlatform { country, currency, virtual_clock: true });
        town
    }

    pub fn request(command: Command) -> Request {
        Request {
            acting: AccountNo::PLATFORM,
            command,
            texts: TextPatch::default(),
            idempotency: None,
            request_id: String::new(),
        }
    }

    pub fn told(&mut self, request: &Request) -> Told {
        self.plain.submit(request, self.now)
    }

    pub fn done(&mut self, command: Command) -> Done {
        self.done_as(AccountNo::PLATFORM, command)
    }

    pub fn done_as(&mut self, acting: AccountNo, command: Command) -> Done {
        let request = Request { acting, ..Town::request(command) };
        match self.told(&request) {
            Told::Decided(done) => *done,
            other => panic!("expected a decision, got {other:?}"),
        }
    }

    pub fn refused(&mut self, command: Command) -> Refusal {
        let before = (self.plain.world.state.seq, self.plain.digest());
        match self.told(&Town::request(command)) {
            Told::Refused(refusal) => {
                let after = (self.plain.world.state.seq, self.plain.digest());
                assert_eq!(before, after, "a refusal changes nothing");
                *refusal
            }
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    /// A seller that is active at once.
    pub fn seller(&mut self, country: Country, currency: Currency) -> AccountNo {
        AccountNo(self.done(Command::CreateAccount(Box::new(seller(country, currency)))).seq)
    }

    pub fn charge(&mut self, amount: i64, currency: Currency, with: impl FnOnce(&mut IntentInput)) -> Done {
        self.done(intent(amount, currency, with))
    }

    /// Refunds a payment, by its birth.
    pub fn refund(&mut self, birth: u64, amount: Option<i64>, reverse: bool, fee: bool) -> Done {
        self.done(refund(birth, amount, reverse, fee))
    }

    /// Moves the clock.
    pub fn advance_days(&mut self, days: i32) {
        let to = self.now.plus_days(days).expect("in range");
        self.done(Command::AdvanceClock { to });
        self.now = to;
    }

    /// Available and pending, now.
    pub fn balance(&self, account: AccountNo, currency: Currency) -> (i128, i128) {
        let books = self.plain.world.books.get(&account).cloned().unwrap_or_default();
        let today = self.now.day();
        (books.available(currency, today), books.pending(currency, today))
    }

    /// Everything an account has in a currency.
    pub fn total(&self, account: AccountNo, currency: Currency) -> i128 {
        self.plain.world.books.get(&account).map_or(0, |books| books.total(currency))
    }

    pub fn record(&self, key: RecordKey) -> Arc<Record> {
        decode_record(self.plain.world.records.get(&key).expect("a record")).expect("it reads back")
    }

    pub fn flow(&self, birth: u64) -> FlowRecord {
        match &*self.record(RecordKey::head(birth)) {
            Record::Flow(flow) => flow.as_ref().clone(),
            other => panic!("no flow: {other:?}"),
        }
    }

    /// Every balance transaction of the town, in order of entries.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self
            .plain
            .world
            .records
            .values()
            .flat_map(|bytes| decode_record(bytes).expect("it reads back").rows().to_vec())
            .collect();
        rows.sort_by_key(|row| row.made.seq);
        rows
    }

    /// (account, type, amount, fee, net, currency) of the rows that one entry made.
    pub fn rows_of(&self, seq: u64) -> Vec<(AccountNo, String, i64, i64, i64, String)> {
        self.rows()
            .into_iter()
            .filter(|row| row.made.seq == seq)
            .map(|row| {
                (row.account, format!("{:?}", row.kind), row.amount, row.fee, row.net(), row.currency.to_string())
            })
            .collect()
    }

    /// The laws that hold after every entry: books close, running totals equal the sums, balances equal the rows.
    pub fn expect_books_closed(&self) {
        let world = &self.plain.world;
        assert!(world.trial_balance().is_zero(), "{:?}", world.trial_balance());
        assert_eq!(world.trial_balance(), world.state.trial_balance(), "sums and running totals");
        let mut of_rows: BTreeMap<(AccountNo, Currency), i128> = BTreeMap::new();
        for row in self.rows() {
            *of_rows.entry((row.account, row.currency)).or_default() += i128::from(row.net());
        }
        for (&(account, currency), &net) in &of_rows {
            let reserved = world.books.get(&account).map_or(0, |books| books.reserved(currency, ReserveKind::Connect));
            let total = self.total(account, currency) - reserved;
            assert_eq!(total, net, "balance of {account:?} in {currency} equals its rows");
        }
        for (account, books) in &world.books {
            for holding in books.holdings() {
                assert!(of_rows.contains_key(&(*account, holding.currency)), "{account:?} holds what no row tells of");
            }
        }
    }
}

pub fn intent(amount: i64, currency: Currency, with: impl FnOnce(&mut IntentInput)) -> Command {
    let mut input = IntentInput {
        amount: Some(amount),
        currency: Some(currency),
        confirm: true,
        method: Some(MethodInput::Inline(card(Recipe::Succeed))),
        ..IntentInput::default()
    };
    with(&mut input);
    Command::CreateIntent(Box::new(input))
}

pub fn refund(birth: u64, amount: Option<i64>, reverse: bool, fee: bool) -> Command {
    Command::CreateRefund {
        target: intent_id(birth),
        amount,
        reason: None,
        reverse_transfer: reverse,
        refund_application_fee: fee,
        asks_payer: None,
    }
}

pub fn intent_id(birth: u64) -> ObjectId {
    RecordKey::head(birth).id(ObjectKind::PaymentIntent, Slot::MAIN)
}

pub fn charge_id(birth: u64) -> ObjectId {
    RecordKey::head(birth).id(ObjectKind::Charge, 0)
}

/// The first dispute of a payment without refunds.
pub fn dispute_id(birth: u64) -> ObjectId {
    RecordKey { birth, child: 1 }.id(ObjectKind::Dispute, Slot::MAIN)
}

pub fn is_object(done: &Done) -> bool {
    matches!(done.reply, Reply::Object(_))
}

pub fn card(recipe: Recipe) -> Card {
    Card {
        brand: Brand::Visa,
        funding: Funding::Credit,
        country: Country::US,
        last4: 4_242,
        exp_month: 12,
        exp_year: 2_034,
        fingerprint: *b"a  visa.",
        recipe,
        cvc_check: Check::Pass,
    }
}

/// The recipe of section 3.9 for an account that is active at once.
pub fn seller(country: Country, currency: Currency) -> AccountInput {
    AccountInput {
        country: Some(country),
        kind: Some(AccountKind::Custom),
        business_type: Some(BusinessType::Individual),
        capabilities: vec![("card_payments".to_owned(), true), ("transfers".to_owned(), true)],
        facts: active_individual(),
        external_account: Some(Box::new(bank(country, currency, BankOutcome::Paid))),
        tos_accepted_at: Some(NOON),
        payout_interval: Some(PayoutInterval::Manual),
        ..AccountInput::default()
    }
}

pub fn bank(country: Country, currency: Currency, outcome: BankOutcome) -> ExternalAccount {
    ExternalAccount {
        made: Made { seq: 0, at: NOON },
        country,
        currency,
        routing_number: Some("110000000".to_owned()),
        last4: "6789".to_owned(),
        fingerprint: "bank".to_owned(),
        default_for_currency: true,
        outcome,
        status: BankStatus::New,
        holder_type: None,
        deleted: false,
        card: None,
        check: None,
        instant: None,
    }
}
