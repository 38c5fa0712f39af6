//! Payouts by schedule and by request, debts and how they are covered, top-ups: what becomes of a balance.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use florin::domain::command::{AccountInput, Command, TopupInput};
use florin::domain::record::{
    AccountKind, BankOutcome, BankStatus, PayoutInterval, PayoutRecord, PayoutStatus, Recipe, Record, RecordKey, Row,
    RowKind, TopupRecord, TopupStatus,
};
use florin::engine::entry::{JournalEntry, decode_record};
use florin::engine::snapshot::PlatformState;
use florin::ledger::{AccountNo, ReserveKind, SourceType};
use florin::primitives::time::{Day, Timestamp};
use florin::primitives::{Country, Currency};
use proptest::prelude::*;
use serde_json::Value;

use crate::daemon::{Client, Daemon, text};
use crate::story::{decide_again, fresh};
use crate::town::{Town, bank, card, intent, refund, seller};

const USD: Currency = Currency::USD;
const P: AccountNo = AccountNo::PLATFORM;

// ---------------------------------------------------------------------------------------------------------------
// In the town's words. Its clock starts on Monday, 2 March 2026, at noon.

fn schedule(interval: PayoutInterval) -> AccountInput {
    AccountInput { payout_interval: Some(interval), ..AccountInput::default() }
}

fn daily(country: Country, currency: Currency) -> AccountInput {
    AccountInput { payout_interval: Some(PayoutInterval::Daily), ..seller(country, currency) }
}

/// A seller whose payouts are daily and whose bank account is debited for its debts.
fn debited() -> AccountInput {
    AccountInput { kind: Some(AccountKind::Express), ..daily(Country::US, USD) }
}

trait Payouts {
    fn opens(&mut self, input: AccountInput) -> AccountNo;
    fn sells(&mut self, account: AccountNo, amount: i64, currency: Currency) -> u64;
    fn sells_at_once(&mut self, account: AccountNo, amount: i64) -> u64;
    fn settings(&mut self, account: AccountNo, input: AccountInput);
    fn payouts(&self, account: AccountNo) -> Vec<(u64, PayoutRecord)>;
    fn paid_amounts(&self, account: AccountNo) -> Vec<i64>;
    fn kinds_of(&self, account: AccountNo) -> Vec<(RowKind, i64)>;
    fn reserved(&self) -> i128;
    fn expect_payouts_own_their_rows(&self, account: AccountNo);
    fn expect_decided_again(&self);
    fn events(&self, account: AccountNo) -> Vec<&'static str>;
    fn topup(&self, birth: u64) -> TopupRecord;
}

impl Payouts for Town {
    fn opens(&mut self, input: AccountInput) -> AccountNo {
        AccountNo(self.done(Command::CreateAccount(Box::new(input))).seq)
    }

    /// A direct charge, available after the account's delay.
    fn sells(&mut self, account: AccountNo, amount: i64, currency: Currency) -> u64 {
        self.done_as(account, intent(amount, currency, |_| {})).seq
    }

    fn sells_at_once(&mut self, account: AccountNo, amount: i64) -> u64 {
        let at_once = |input: &mut florin::domain::command::IntentInput| {
            input.method = Some(florin::domain::command::MethodInput::Inline(card(Recipe::BypassPending)));
        };
        self.done_as(account, intent(amount, USD, at_once)).seq
    }

    fn settings(&mut self, account: AccountNo, input: AccountInput) {
        self.done_as(account, Command::UpdateBalanceSettings(Box::new(input)));
    }

    fn payouts(&self, account: AccountNo) -> Vec<(u64, PayoutRecord)> {
        let records = self.plain.world.records.iter();
        let payouts = records.filter_map(|(key, bytes)| match &*decode_record(bytes).expect("it reads back") {
            Record::Payout(payout) if payout.owner == account => Some((key.birth, payout.clone())),
            _ => None,
        });
        payouts.collect()
    }

    fn paid_amounts(&self, account: AccountNo) -> Vec<i64> {
        self.payouts(account).iter().map(|(_, payout)| payout.amount).collect()
    }

    fn kinds_of(&self, account: AccountNo) -> Vec<(RowKind, i64)> {
        self.rows().iter().filter(|row| row.account == account).map(|row| (row.kind, row.net())).collect()
    }

    fn reserved(&self) -> i128 {
        self.plain.world.books.get(&P).map_or(0, |books| books.reserved(USD, ReserveKind::Connect))
    }

    /// The law of reconciliation: what an automatic payout owns beside its own row adds up to it, and nothing is owned
    /// twice.
    fn expect_payouts_own_their_rows(&self, account: AccountNo) {
        let rows: Vec<Row> = self.rows();
        let mut owned = BTreeSet::new();
        for (birth, payout) in self.payouts(account) {
            let Some(window) = &payout.automatic else { continue };
            let mut sum = 0;
            for (place, row) in rows.iter().enumerate().filter(|(_, row)| payout.owns(row)) {
                assert!(owned.insert(place), "payout {birth} owns a row that another one owns: {row:?}");
                assert!(row.made.seq >= window.since && row.made.seq <= birth, "{row:?} lies outside of {window:?}");
                let is_own = row.kind == RowKind::Payout && row.source.key == RecordKey::head(birth);
                sum += if is_own { 0 } else { row.net() };
            }
            assert_eq!(sum, payout.amount, "payout {birth}");
        }
    }

    fn expect_decided_again(&self) {
        let (mut plain, vault) = fresh();
        for payload in &self.plain.entries {
            decide_again(&mut plain, &vault, payload);
        }
        assert_eq!(plain.digest(), self.plain.digest());
    }

    fn events(&self, account: AccountNo) -> Vec<&'static str> {
        let entries = self.plain.entries.iter().map(|bytes| JournalEntry::from_bytes(bytes).expect("an entry"));
        let events = entries.flat_map(|entry| entry.events);
        events.filter(|event| event.account == account).map(|event| event.kind.wire()).collect()
    }

    fn topup(&self, birth: u64) -> TopupRecord {
        match &*self.record(RecordKey::head(birth)) {
            Record::Topup(topup) => topup.as_ref().clone(),
            other => panic!("{other:?}"),
        }
    }
}

fn payout(amount: i64) -> Command {
    Command::CreatePayout { amount, currency: USD, destination: None, source_type: SourceType::Card }
}

fn instantly(amount: i64) -> Command {
    Command::CreateInstantPayout { amount, currency: USD, destination: None, source_type: SourceType::Card }
}

#[test]
fn a_daily_schedule_pays_what_is_available_and_owns_its_rows() {
    let mut town = Town::new();
    let shop = town.opens(daily(Country::US, USD));
    town.sells(shop, 10_000, USD);
    town.advance_days(1);
    town.sells(shop, 5_000, USD);
    assert_eq!(town.balance(shop, USD), (0, 14_505));
    town.advance_days(1);
    assert_eq!((town.paid_amounts(shop), town.balance(shop, USD)), (vec![9_680], (0, 4_825)));
    town.advance_days(1);
    assert_eq!(town.paid_amounts(shop), [9_680, 4_825]);
    town.advance_days(30);
    assert_eq!(town.paid_amounts(shop).len(), 2, "a quiet account is left alone");
    let (_, last) = town.payouts(shop).pop().expect("a payout");
    assert_eq!((last.status, last.reconciled), (PayoutStatus::Paid, Some(true)));
    let told = town.events(shop);
    let told: Vec<&str> = told.into_iter().filter(|kind| !kind.starts_with("charge") && kind.contains('.')).collect();
    assert!(told.ends_with(&["balance.available", "payout.created", "payout.paid", "payout.reconciliation_completed"]));
    town.expect_payouts_own_their_rows(shop);
    town.expect_books_closed();
    town.expect_decided_again();
}

#[test]
fn money_that_is_available_at_once_waits_for_the_next_payout_day() {
    let mut town = Town::new();
    let shop = town.opens(daily(Country::US, USD));
    town.advance_days(4); // Friday noon
    town.sells_at_once(shop, 10_000);
    town.advance_days(1);
    assert_eq!(town.paid_amounts(shop), [0_i64; 0]);
    town.advance_days(2);
    assert_eq!(town.paid_amounts(shop), [9_680], "Monday");
    town.expect_payouts_own_their_rows(shop);
}

#[test]
fn schedules_gather_until_their_day() {
    let weekly = AccountInput { weekly_days: Some(1 << 4), ..schedule(PayoutInterval::Weekly) };
    let monthly = AccountInput { monthly_days: Some(1 << 14), ..schedule(PayoutInterval::Monthly) };
    // Sales of 50.00 (48.25 net) on Monday 2, Wednesday 4 and Friday 6 March; a look on Sunday 8, on Saturday 14 and on
    // Wednesday 18 (Sunday the 15th is paid on Monday).
    let table = [
        (schedule(PayoutInterval::Daily), [2, 3, 3]),
        (weekly, [1, 2, 2]),
        (monthly, [0, 0, 1]),
        (schedule(PayoutInterval::Manual), [0, 0, 0]),
    ];
    for (input, expected) in table {
        let mut town = Town::new();
        let shop = town.opens(seller(Country::US, USD));
        town.settings(shop, input.clone());
        for _ in 0..3 {
            town.sells(shop, 5_000, USD);
            town.advance_days(2);
        }
        let mut seen = vec![town.payouts(shop).len()];
        for days in [6, 4] {
            town.advance_days(days);
            seen.push(town.payouts(shop).len());
        }
        assert_eq!(seen, expected, "{:?}", input.payout_interval);
        let manual = input.payout_interval == Some(PayoutInterval::Manual);
        assert_eq!(town.paid_amounts(shop).iter().sum::<i64>(), if manual { 0 } else { 3 * 4_825 });
        town.expect_payouts_own_their_rows(shop);
        town.expect_decided_again();
    }
}

#[test]
fn another_schedule_finds_the_money_that_waits() {
    let mut town = Town::new();
    let shop = town.opens(seller(Country::US, USD));
    town.sells(shop, 5_000, USD);
    town.advance_days(3);
    assert_eq!(town.balance(shop, USD), (4_825, 0));
    town.settings(shop, schedule(PayoutInterval::Daily));
    town.advance_days(1);
    assert_eq!(town.paid_amounts(shop), [4_825]);
    town.settings(shop, schedule(PayoutInterval::Manual));
    town.sells_at_once(shop, 5_000);
    town.advance_days(3);
    assert_eq!(town.paid_amounts(shop).len(), 1);
}

#[test]
fn a_minimum_balance_stays_and_every_payout_still_adds_up() {
    let mut town = Town::new();
    let shop = town.opens(daily(Country::US, USD));
    town.settings(shop, AccountInput { minimum_balances: Some(vec![(USD, Some(1_000))]), ..AccountInput::default() });
    for _ in 0..3 {
        town.sells(shop, 5_000, USD);
        town.advance_days(1);
    }
    town.advance_days(5);
    assert_eq!(town.paid_amounts(shop), [3_825, 4_825, 4_825]);
    assert_eq!(town.balance(shop, USD), (1_000, 0));
    town.settings(shop, AccountInput { clear_minimum_balances: Some(true), ..AccountInput::default() });
    town.advance_days(1);
    assert_eq!((town.paid_amounts(shop).pop(), town.balance(shop, USD)), (Some(1_000), (0, 0)));
    town.expect_payouts_own_their_rows(shop);
    town.expect_books_closed();
    town.expect_decided_again();
}

#[test]
fn payouts_in_forint_are_whole_and_the_rest_waits() {
    let huf: Currency = "huf".parse().expect("a currency");
    let hungary: Country = "HU".parse().expect("a country");
    let mut town = Town::new();
    let shop = town.opens(daily(hungary, huf));
    town.sells(shop, 1_234_567, huf);
    let net = town.total(shop, huf);
    town.advance_days(12);
    let paid = town.paid_amounts(shop);
    assert_eq!(i128::from(paid[0]), net - net % 100);
    assert_eq!(town.balance(shop, huf), (net % 100, 0));
    town.expect_payouts_own_their_rows(shop);
}

#[test]
fn a_failed_payout_comes_back_and_the_bank_account_is_used_no_more() {
    let mut town = Town::new();
    let closed = Some(Box::new(bank(Country::US, USD, BankOutcome::AccountClosed)));
    let shop = town.opens(AccountInput { external_account: closed, ..daily(Country::US, USD) });
    town.sells(shop, 5_000, USD);
    town.advance_days(2);
    let (_, failed) = town.payouts(shop).pop().expect("a payout");
    assert_eq!((failed.status, failed.failure), (PayoutStatus::Failed, Some(BankOutcome::AccountClosed)));
    assert_eq!(
        town.kinds_of(shop),
        [(RowKind::Charge, 4_825), (RowKind::Payout, -4_825), (RowKind::PayoutFailure, 4_825)]
    );
    let told = town.events(shop);
    let after = told.iter().position(|kind| *kind == "payout.paid").expect("it was paid first");
    assert!(told[after..].contains(&"payout.failed"));
    assert!(told[after..].contains(&"account.external_account.updated"));
    assert!(told[after..].contains(&"account.updated"));

    town.sells(shop, 5_000, USD);
    town.advance_days(5);
    assert_eq!(town.payouts(shop).len(), 1, "nothing more goes there");
    match &*town.record(RecordKey::head(shop.0)) {
        Record::Account(account) => {
            assert!(!account.payouts_enabled && account.external_accounts[0].status == BankStatus::Errored);
        }
        other => panic!("{other:?}"),
    }
    let input = AccountInput {
        external_account: Some(Box::new(bank(Country::US, USD, BankOutcome::Paid))),
        ..AccountInput::default()
    };
    town.done(Command::UpdateAccount { account: shop, input: Box::new(input) });
    town.advance_days(1);
    assert_eq!(town.paid_amounts(shop), [4_825, 2 * 4_825]);
    town.expect_payouts_own_their_rows(shop);
    town.expect_books_closed();
    town.expect_decided_again();
}

#[test]
fn what_a_payout_may_not_be_is_refused() {
    let mut town = Town::new();
    let shop = town.opens(seller(Country::US, USD));
    town.sells_at_once(shop, 5_000);
    let own = town.opens(AccountInput { kind: Some(AccountKind::Standard), ..seller(Country::US, USD) });
    let eur = |amount| Command::CreatePayout {
        amount,
        currency: Currency::EUR,
        destination: None,
        source_type: SourceType::Card,
    };
    let bare = town.opens(AccountInput { external_account: None, ..seller(Country::US, USD) });
    let table = [
        (shop, payout(0), "parameter_invalid_integer"),
        (shop, payout(4_826), "balance_insufficient"),
        (shop, eur(99), "amount_too_small"),
        (shop, eur(100), ""),
        (own, payout(1), "not_allowed_on_standard_account"),
        (bare, payout(1), "payouts_not_allowed"),
        (shop, instantly(4_826), "balance_insufficient"),
        (shop, instantly(1_000_000), ""),
    ];
    for (acting, command, code) in table {
        let request = florin::domain::command::Request { acting, ..Town::request(command.clone()) };
        match town.told(&request) {
            florin::engine::plain::Told::Refused(refusal) => {
                assert_eq!(refusal.code.clone().unwrap_or_default(), code, "{command:?}: {refusal:?}");
            }
            other => panic!("{command:?} came to {other:?}"),
        }
    }
    assert_eq!(town.balance(shop, USD), (4_825, 0));
}

#[test]
fn only_a_pending_manual_payout_is_canceled() {
    let mut town = Town::new();
    let shop = town.opens(daily(Country::US, USD));
    town.sells_at_once(shop, 5_000);
    let made = town.done_as(shop, payout(1_000)).seq;
    town.done_as(shop, Command::CancelPayout { payout: made });
    assert_eq!(town.balance(shop, USD), (4_825, 0));
    // Midnight of the next payout day has passed, its arrival has not.
    let midnight = town.now.day().plus_days(1).expect("in range").midnight();
    town.done(Command::AdvanceClock { to: midnight });
    town.now = midnight;
    let (birth, automatic) = town.payouts(shop).pop().expect("an automatic payout");
    assert!(automatic.automatic.is_some() && automatic.status == PayoutStatus::Pending);
    let request =
        florin::domain::command::Request { acting: shop, ..Town::request(Command::CancelPayout { payout: birth }) };
    assert!(matches!(town.told(&request), florin::engine::plain::Told::Refused(_)));
    town.expect_payouts_own_their_rows(shop);
}

#[test]
fn a_paid_payout_is_taken_back_once() {
    let mut town = Town::new();
    let shop = town.opens(seller(Country::US, USD));
    town.sells_at_once(shop, 5_000);
    let made = town.done_as(shop, payout(4_000)).seq;
    let reverse = Command::ReversePayout { payout: made };
    let refused = |town: &mut Town| {
        let request = florin::domain::command::Request { acting: shop, ..Town::request(reverse.clone()) };
        matches!(town.told(&request), florin::engine::plain::Told::Refused(_))
    };
    assert!(refused(&mut town), "it is still pending");
    town.advance_days(1);
    let taken = town.done_as(shop, reverse.clone()).seq;
    assert_eq!(town.balance(shop, USD), (4_825, 0));
    assert!(refused(&mut town), "it was reversed");
    town.advance_days(1);
    let payouts: BTreeMap<u64, PayoutRecord> = town.payouts(shop).into_iter().collect();
    assert_eq!(payouts[&made].reversed_by, Some(taken));
    let reversal = &payouts[&taken];
    assert_eq!((reversal.amount, reversal.original, reversal.status), (-4_000, Some(made), PayoutStatus::Paid));
    town.expect_books_closed();
    town.expect_decided_again();
}

#[test]
fn a_balance_without_a_bank_account_of_its_currency_is_converted() {
    let mut town = Town::with_rates(&[(Currency::EUR, USD, "1.10")]);
    let shop = town.opens(seller(Country::US, USD));
    let eur = AccountInput {
        external_account: Some(Box::new(bank(Country::US, Currency::EUR, BankOutcome::Paid))),
        ..AccountInput::default()
    };
    town.done(Command::UpdateAccount { account: shop, input: Box::new(eur) });
    town.sells(shop, 10_000, Currency::EUR);
    town.advance_days(3);
    let have = i64::try_from(town.balance(shop, Currency::EUR).0).expect("in range");
    // The bank account in euro is gone, its balance is not: nothing deletes one alone yet, so the record is made to.
    let Record::Account(account) = (*town.record(RecordKey::head(shop.0))).clone() else { panic!("no account") };
    let mut gone = *account;
    gone.external_accounts[1].deleted = true;
    let bytes = florin::engine::entry::encode_record(&Record::Account(Box::new(gone)));
    let key = RecordKey::head(shop.0);
    town.plain.machine.give_record(key, Some(decode_record(&bytes).expect("it reads back")));
    let pay = Command::CreatePayout {
        amount: have,
        currency: Currency::EUR,
        destination: None,
        source_type: SourceType::Card,
    };
    let made = town.done_as(shop, pay).seq;
    town.advance_days(1);
    let (_, paid) = town.payouts(shop).into_iter().find(|(birth, _)| *birth == made).expect("the payout");
    let (minor, currency) = paid.arrived.expect("it was converted");
    assert_eq!((paid.status, currency), (PayoutStatus::Paid, USD));
    assert!(minor > have && minor < have * 110 / 100 + 1, "{minor} for {have}");
    assert!(town.plain.world.trial_balance().is_zero());
}

#[test]
fn the_platform_may_be_paid_out_by_a_schedule_too() {
    let mut town = Town::new();
    town.sells(P, 10_000, USD);
    town.settings(P, schedule(PayoutInterval::Daily));
    town.advance_days(3);
    assert_eq!((town.paid_amounts(P), town.balance(P, USD)), (vec![9_680], (0, 0)));
    town.expect_payouts_own_their_rows(P);
    town.expect_decided_again();
}

#[test]
fn an_account_without_money_or_debts_leaves_nothing_in_the_queue() {
    let mut town = Town::new();
    for _ in 0..20 {
        town.opens(debited());
    }
    assert!(town.plain.world.state.due.is_empty());
    let shop = town.opens(debited());
    for amount in [1_000, 2_000, 3_000] {
        town.sells(shop, amount, USD);
        town.sells_at_once(shop, amount);
    }
    assert_eq!(town.plain.world.state.due.len(), 2, "one day that matures, one payout");
    town.advance_days(10);
    assert!(town.plain.world.state.due.is_empty(), "{:?}", town.plain.world.state.due);
}

// ---------------------------------------------------------------------------------------------------------------
// Instant payouts

#[test]
fn an_instant_payout_advances_pending_money_and_costs_one_percent() {
    let mut town = Town::new();
    let shop = town.opens(seller(Country::US, USD));
    town.sells(P, 50_000, USD);
    town.sells_at_once(shop, 1_000); // 941 net
    town.sells(shop, 10_000, USD); // 9,680 pending until Wednesday
    town.advance_days(1);
    town.sells(shop, 1_000, USD); // 941 pending until Thursday
    let made = town.done_as(shop, instantly(11_000)).seq;
    let rows: Vec<(RowKind, AccountNo, i64)> =
        town.rows().iter().filter(|row| row.made.seq == made).map(|row| (row.kind, row.account, row.net())).collect();
    assert_eq!(
        rows,
        [
            (RowKind::Payout, shop, -11_000),
            (RowKind::Advance, shop, 10_059),
            (RowKind::AdvanceFunding, shop, -9_680),
            (RowKind::AdvanceFunding, shop, -379),
            (RowKind::Fee, P, -110),
        ]
    );
    assert_eq!(town.balance(shop, USD), (0, 562));
    town.advance_days(5);
    assert_eq!(town.balance(shop, USD), (562, 0));
    town.expect_books_closed();
    town.expect_decided_again();
}

#[test]
fn whoever_pays_its_own_fees_pays_for_an_instant_payout_too() {
    let mut town = Town::new();
    town.done_as(
        P,
        intent(10_000, USD, |input| {
            input.method = Some(florin::domain::command::MethodInput::Inline(card(Recipe::BypassPending)));
        }),
    );
    let request = Town::request(instantly(9_600));
    assert!(matches!(town.told(&request), florin::engine::plain::Told::Refused(_)), "its fee is not there");
    town.done(instantly(9_584));
    assert_eq!(town.balance(P, USD), (0, 0));
}

#[test]
fn a_bank_account_that_instant_payouts_do_not_reach_is_refused() {
    let mut town = Town::new();
    let slow =
        florin::domain::record::ExternalAccount { instant: Some(false), ..bank(Country::US, USD, BankOutcome::Paid) };
    let shop = town.opens(AccountInput { external_account: Some(Box::new(slow)), ..seller(Country::US, USD) });
    town.sells_at_once(shop, 5_000);
    let request = florin::domain::command::Request { acting: shop, ..Town::request(instantly(1_000)) };
    match town.told(&request) {
        florin::engine::plain::Told::Refused(refusal) => {
            assert_eq!(refusal.code.as_deref(), Some("instant_payouts_unsupported"));
        }
        other => panic!("{other:?}"),
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Below zero

/// A seller that owes 100.00 less what its sale left: it was paid out, then refunded in full.
fn indebted(town: &mut Town, input: AccountInput) -> AccountNo {
    let shop = town.opens(input);
    let charge = town.sells(shop, 10_000, USD);
    town.advance_days(3);
    if town.balance(shop, USD).0 > 0 {
        town.done_as(shop, payout(9_680));
    }
    town.done_as(shop, refund(charge, None, false, false));
    assert_eq!(town.balance(shop, USD), (-10_000, 0));
    shop
}

#[test]
fn later_sales_fill_a_balance_below_zero_first() {
    let mut town = Town::new();
    let shop = indebted(&mut town, daily(Country::US, USD));
    town.sells(shop, 15_000, USD); // 14,535 net
    town.advance_days(4);
    assert_eq!(town.paid_amounts(shop), [9_680, 4_535], "only what is above zero is paid out");
    town.expect_payouts_own_their_rows(shop);
    town.expect_books_closed();
}

#[test]
fn the_platform_sets_aside_what_its_accounts_owe_and_gets_it_back() {
    let mut town = Town::new();
    town.sells_at_once(P, 50_000);
    let before = town.balance(P, USD).0;
    let shop = indebted(&mut town, seller(Country::US, USD));
    assert_eq!((town.reserved(), town.balance(P, USD).0), (0, before), "not before the evening");
    town.advance_days(1);
    assert_eq!((town.reserved(), town.balance(P, USD).0), (10_000, before - 10_000));
    town.sells_at_once(shop, 5_000); // 4,825 net
    town.advance_days(1);
    assert_eq!((town.reserved(), town.balance(P, USD).0), (5_175, before - 5_175));
    town.sells(shop, 10_000, USD);
    town.advance_days(1);
    assert_eq!((town.reserved(), town.balance(P, USD).0), (0, before), "pending sales cover it as well");
    let reserves = town.kinds_of(P).into_iter().filter(|(kind, _)| *kind == RowKind::ReserveTransaction);
    assert_eq!(reserves.map(|(_, net)| net).collect::<Vec<_>>(), [-10_000, 4_825, 5_175]);
    town.advance_days(200);
    assert!(!town.kinds_of(P).iter().any(|(kind, _)| *kind == RowKind::CollectionTransfer), "nothing is owed any more");
    town.expect_books_closed();
    town.expect_decided_again();
}

#[test]
fn after_180_days_the_platform_pays() {
    let mut town = Town::new();
    town.sells_at_once(P, 50_000);
    let before = town.balance(P, USD).0;
    let shop = indebted(&mut town, seller(Country::US, USD));
    town.advance_days(100);
    town.sells_at_once(shop, 1_000); // 941 net: the days count on
    town.advance_days(79);
    assert_eq!((town.balance(shop, USD).0, town.reserved()), (-9_059, 9_059));
    let state = &town.plain.world.state;
    let snapshot = PlatformState::from_bytes(&PlatformState::of(state).to_bytes()).expect("it reads back");
    assert_eq!(snapshot.into_state().expect("in range").owing, state.owing, "a snapshot keeps what is owed");
    town.advance_days(3);
    assert_eq!((town.balance(shop, USD).0, town.reserved(), town.balance(P, USD).0), (0, 0, before - 9_059));
    assert!(town.kinds_of(shop).contains(&(RowKind::CollectionTransfer, 9_059)));
    assert!(town.kinds_of(P).contains(&(RowKind::CollectionTransfer, -9_059)));
    assert!(town.plain.world.state.owing.is_empty());
    town.expect_books_closed();
    town.expect_decided_again();
}

#[test]
fn no_reserve_is_held_for_accounts_whose_losses_are_not_the_platforms() {
    let mut town = Town::new();
    let standard = AccountInput {
        kind: Some(AccountKind::Standard),
        debit_negative_balances: Some(false),
        ..daily(Country::US, USD)
    };
    let shop = indebted(&mut town, standard);
    town.advance_days(200);
    assert_eq!((town.reserved(), town.balance(shop, USD).0), (0, -10_000));
}

#[test]
fn a_debt_is_collected_from_the_bank_account_on_the_next_working_day() {
    let mut town = Town::new();
    let shop = indebted(&mut town, debited()); // on Thursday
    town.advance_days(1);
    let (_, debit) = town.payouts(shop).pop().expect("a debit");
    assert_eq!((debit.amount, debit.status, debit.automatic.is_some()), (-10_000, PayoutStatus::Paid, true));
    assert_eq!(town.balance(shop, USD), (0, 0));
    town.advance_days(1);
    assert_eq!(town.reserved(), 0);
    town.expect_payouts_own_their_rows(shop);
    town.expect_books_closed();
    town.expect_decided_again();
}

#[test]
fn a_debit_that_fails_leaves_the_debt() {
    let mut town = Town::new();
    let empty = Some(Box::new(bank(Country::US, USD, BankOutcome::InsufficientFunds)));
    let shop = town.opens(AccountInput { external_account: empty, ..debited() });
    town.settings(shop, schedule(PayoutInterval::Manual));
    let charge = town.sells_at_once(shop, 10_000);
    town.done_as(shop, refund(charge, None, false, false));
    assert_eq!(town.balance(shop, USD), (-320, 0));
    town.advance_days(4);
    let (_, debit) = town.payouts(shop).pop().expect("a debit");
    assert_eq!((debit.amount, debit.status), (-320, PayoutStatus::Failed));
    assert_eq!(town.balance(shop, USD), (-320, 0));
    assert_eq!(town.payouts(shop).len(), 1, "the bank account is not tried again");
    town.expect_payouts_own_their_rows(shop);
    town.expect_books_closed();
}

// ---------------------------------------------------------------------------------------------------------------
// Top-ups

fn topup(amount: i64, outcome: BankOutcome, returns: Option<bool>) -> Command {
    let bank = Some(Box::new(bank(Country::US, USD, outcome)));
    Command::CreateTopup(Box::new(TopupInput { amount, currency: USD, bank, token: None, returns }))
}

#[test]
fn a_topup_moves_money_only_when_it_arrives() {
    // (outcome, comes back, status, balance)
    let table = [
        (BankOutcome::Paid, None, TopupStatus::Succeeded, 20_000),
        (BankOutcome::Paid, Some(true), TopupStatus::Reversed, 0),
        (BankOutcome::NoAccount, None, TopupStatus::Failed, 0),
        (BankOutcome::InsufficientFunds, None, TopupStatus::Failed, 0),
    ];
    for (outcome, returns, status, balance) in table {
        let mut town = Town::new();
        let made = town.done(topup(20_000, outcome, returns)).seq;
        assert_eq!((town.topup(made).status, town.balance(P, USD)), (TopupStatus::Pending, (0, 0)));
        town.advance_days(1);
        let topup = town.topup(made);
        assert_eq!((topup.status, town.balance(P, USD).0), (status, balance), "{outcome:?}");
        assert_eq!(topup.failure, (status == TopupStatus::Failed).then_some(outcome));
        town.expect_books_closed();
        town.expect_decided_again();
    }
}

#[test]
fn a_pending_topup_can_be_canceled_and_no_other() {
    let mut town = Town::new();
    let made = town.done(topup(20_000, BankOutcome::Paid, None)).seq;
    town.done(Command::CancelTopup { topup: made });
    town.advance_days(1);
    assert_eq!((town.topup(made).status, town.balance(P, USD)), (TopupStatus::Canceled, (0, 0)));
    town.refused(Command::CancelTopup { topup: made });
    let shop = town.opens(seller(Country::US, USD));
    let request =
        florin::domain::command::Request { acting: shop, ..Town::request(topup(100, BankOutcome::Paid, None)) };
    assert!(matches!(town.told(&request), florin::engine::plain::Told::Refused(_)), "only the platform tops up");
}

// ---------------------------------------------------------------------------------------------------------------
// The law of reconciliation, for every life

#[derive(Clone, Debug)]
enum Happens {
    Sale { amount: i64, at_once: bool },
    Refund { sale: u8, part: i64 },
    Manual { amount: i64 },
    Instant { amount: i64 },
    Settings { interval: u8, minimum: i64, debit: bool },
    Wait { hours: u8 },
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        5 => (60..9_000_i64, any::<bool>()).prop_map(|(amount, at_once)| Happens::Sale { amount, at_once }),
        3 => (any::<u8>(), 1..5_000_i64).prop_map(|(sale, part)| Happens::Refund { sale, part }),
        1 => (1..3_000_i64).prop_map(|amount| Happens::Manual { amount }),
        1 => (1..3_000_i64).prop_map(|amount| Happens::Instant { amount }),
        1 => (0..4_u8, prop_oneof![Just(0), 1..2_000_i64], any::<bool>())
            .prop_map(|(interval, minimum, debit)| Happens::Settings { interval, minimum, debit }),
        5 => (1..60_u8).prop_map(|hours| Happens::Wait { hours }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_automatic_payout_is_the_sum_of_what_it_owns(life in proptest::collection::vec(happens(), 5..60)) {
        let mut town = Town::new();
        town.sells_at_once(P, 500_000);
        let shop = town.opens(daily(Country::US, USD));
        let mut sales = Vec::new();
        for step in &life {
            let ask = |town: &mut Town, command: Command| {
                town.told(&florin::domain::command::Request { acting: shop, ..Town::request(command) });
            };
            match *step {
                Happens::Sale { amount, at_once: true } => sales.push(town.sells_at_once(shop, amount)),
                Happens::Sale { amount, at_once: false } => sales.push(town.sells(shop, amount, USD)),
                Happens::Refund { sale, part } => {
                    if let Some(&charge) = sales.get(usize::from(sale) % sales.len().max(1)) {
                        ask(&mut town, refund(charge, Some(part), false, false));
                    }
                }
                Happens::Manual { amount } => ask(&mut town, payout(amount)),
                Happens::Instant { amount } => ask(&mut town, instantly(amount)),
                Happens::Settings { interval, minimum, debit } => {
                    let (interval, weekly_days, monthly_days) = match interval {
                        0 => (PayoutInterval::Manual, None, None),
                        1 => (PayoutInterval::Weekly, Some(0b10010), None),
                        2 => (PayoutInterval::Monthly, None, Some(1 << 3 | 1 << 17)),
                        _ => (PayoutInterval::Daily, None, None),
                    };
                    town.settings(shop, AccountInput {
                        payout_interval: Some(interval),
                        weekly_days,
                        monthly_days,
                        minimum_balances: Some(vec![(USD, Some(minimum))]),
                        debit_negative_balances: Some(debit),
                        ..AccountInput::default()
                    });
                }
                Happens::Wait { hours } => {
                    let to = town.now.plus_seconds(i64::from(hours) * 3_600).expect("in range");
                    town.done(Command::AdvanceClock { to });
                    town.now = to;
                }
            }
        }
        town.expect_payouts_own_their_rows(shop);
        town.expect_books_closed();
        town.expect_decided_again();
    }
}

// ---------------------------------------------------------------------------------------------------------------
// The worked tables, over HTTP

#[derive(serde::Deserialize)]
struct Tables {
    table: Vec<Table>,
}

#[derive(serde::Deserialize)]
struct Table {
    name: String,
    row: Vec<Line>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    on: String,
    name: Option<String>,
    charge: Option<i64>,
    refund: Option<(String, i64)>,
    adjust: Option<i64>,
    until: Option<String>,
    rows: Vec<(String, i64)>,
    available: i64,
    pending: i64,
    reserved: Option<i64>,
    payout: Option<Vec<(String, i64)>>,
}

fn moment(text: &str) -> Timestamp {
    let (day, time) = text.split_once('T').expect("a day and a time");
    let (hours, minutes) = time.split_once(':').expect("hours and minutes");
    let seconds = hours.parse::<i64>().expect("hours") * 3_600 + minutes.parse::<i64>().expect("minutes") * 60;
    day.parse::<Day>().expect("a day").midnight().plus_seconds(seconds).expect("in range")
}

fn amount_in(balance: &Value, part: &str) -> i64 {
    let all = balance[part].as_array().expect("amounts");
    all.iter()
        .filter(|amount| amount["currency"] == "usd")
        .map(|amount| amount["amount"].as_i64().expect("an amount"))
        .sum()
}

/// An account that is paid out daily and debited for its debts, for whose losses the platform stands in.
fn open_account(client: &mut Client) -> String {
    let account = crate::daemon::seller(client, "US", "Week");
    let headers = [("Stripe-Account", account.as_str())];
    let settings = "payments[payouts][schedule][interval]=daily&payments[debit_negative_balances]=true";
    client.send("POST", "/v1/balance_settings", &headers, settings).expect("an answer").ok();
    account
}

fn shapes(transactions: &[Value]) -> Vec<(String, i64)> {
    let shape = |row: &Value| (text(&row["type"]).to_owned(), row["net"].as_i64().expect("a net"));
    transactions.iter().rev().map(shape).collect()
}

fn play(client: &mut Client, table: &Table) {
    let advance = |client: &mut Client, to: Timestamp| {
        client.post("/florin/clock/advance", &[("to", &to.seconds().to_string())]).ok();
    };
    advance(client, moment(&table.row[0].on));
    let account = open_account(client);
    let acting = [("Stripe-Account", account.as_str())];
    let held_before = amount_in(&client.get("/v1/balance").ok(), "connect_reserved");
    let (mut charges, mut seen) = (BTreeMap::new(), 0);
    for line in &table.row {
        let at = format!("{}, {}", table.name, line.on);
        advance(client, moment(&line.on));
        if let Some(amount) = line.charge {
            let body = format!(
                "amount={amount}&currency=usd&payment_method=pm_card_visa&confirm=true\
                 &automatic_payment_methods[enabled]=true&automatic_payment_methods[allow_redirects]=never"
            );
            let paid = client.send("POST", "/v1/payment_intents", &acting, &body).expect("an answer").ok();
            charges.insert(line.name.clone().expect("a name"), text(&paid["latest_charge"]).to_owned());
        }
        if let Some((name, amount)) = &line.refund {
            let body = format!("charge={}&amount={amount}", charges[name]);
            client.send("POST", "/v1/refunds", &acting, &body).expect("an answer").ok();
        }
        if let Some(amount) = line.adjust {
            let bucket = line.until.as_ref().map_or("available".to_owned(), |day| format!("pending:{day}"));
            let (minor, back) = (amount.to_string(), (-amount).to_string());
            client
                .post(
                    "/florin/adjustments",
                    &[
                        ("repairs", "1"),
                        ("reason", "as in the table"),
                        ("author", "the runner"),
                        ("postings[0][account]", &account),
                        ("postings[0][amount]", &minor),
                        ("postings[0][currency]", "usd"),
                        ("postings[0][bucket]", &bucket),
                        ("postings[1][account]", "clearing:card"),
                        ("postings[1][amount]", &back),
                        ("postings[1][currency]", "usd"),
                    ],
                )
                .ok();
        }
        let all = client.list(Some(&account), "/v1/balance_transactions");
        assert_eq!(shapes(&all[..all.len() - seen]), line.rows, "{at}: new balance transactions");
        seen = all.len();
        let balance = client.get_as(Some(&account), "/v1/balance").ok();
        let found = (amount_in(&balance, "available"), amount_in(&balance, "pending"));
        assert_eq!(found, (line.available, line.pending), "{at}: available and pending");
        if let Some(reserved) = line.reserved {
            let held = amount_in(&client.get("/v1/balance").ok(), "connect_reserved");
            assert_eq!(held - held_before, reserved, "{at}: the platform's reserve");
        }
        if let Some(expected) = &line.payout {
            let payouts = client.list(Some(&account), "/v1/payouts");
            let payout = payouts.iter().find(|payout| payout["automatic"] == true).expect("an automatic payout");
            let path = format!("/v1/balance_transactions?payout={}", text(&payout["id"]));
            let owned = client.list(Some(&account), &path);
            assert_eq!(&shapes(&owned), expected, "{at}: what the payout owns");
            let others = owned.iter().filter(|row| row["source"] != payout["id"]);
            let sum: i64 = others.map(|row| row["net"].as_i64().expect("a net")).sum();
            assert_eq!(payout["amount"], sum, "{at}: the payout is the sum of the others");
            assert_eq!(payout["reconciliation_status"], "completed", "{at}");
        }
    }
}

#[test]
fn the_worked_tables_of_payouts_come_out_over_http() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tables/payouts.toml");
    let tables: Tables = toml::from_str(&std::fs::read_to_string(file).expect("the tables")).expect("TOML");
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(folder.path());
    let mut client = daemon.client();
    for table in &tables.table {
        play(&mut client, table);
    }
    let trial = client.get("/florin/trial_balance").ok();
    assert_eq!(trial["balanced"], true);
    assert!(daemon.stop().status.success());
}
