//! Refunds, reversals and fee refunds in any order: they never give back more than was taken, whatever becomes of them
//! later, and add up exactly when all of a charge goes back.

use std::collections::BTreeMap;

use florin::domain::command::{Command, MethodInput};
use florin::domain::decide::Reply;
use florin::domain::event::EventKind;
use florin::domain::record::{
    FeeRefundPart, Recipe, Record, RecordKey, RefundFailure, RefundRecord, RefundStatus, ReversalPart, RowKind, Slot,
};
use florin::domain::tables::{FixedRate, Tables};
use florin::engine::entry::{JournalEntry, decode_record};
use florin::engine::plain::Told;
use florin::engine::recovery::Replayed;
use florin::engine::snapshot::PlatformState;
use florin::ledger::AccountNo;
use florin::primitives::id::{ObjectId, ObjectKind};
use florin::primitives::{Country, Currency};
use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::town::{Done, Town, card, charge_id, intent, refund};

const USD: Currency = Currency::USD;
const EUR: Currency = Currency::EUR;
const P: AccountNo = AccountNo::PLATFORM;

fn town(allow_negative: bool) -> Town {
    let rate = |from, to, text: &str| FixedRate { from, to, rate: text.parse().expect("a rate") };
    let fixed_rates = vec![rate(USD, EUR, "0.9137"), rate(EUR, USD, "1.0849")];
    Town::with(Tables { allow_negative, fixed_rates, ..Tables::default() }, Country::US, USD)
}

fn paid_by(town: &mut Town, amount: i64, recipe: Recipe) -> u64 {
    town.charge(amount, USD, |input| input.method = Some(MethodInput::Inline(card(recipe)))).seq
}

fn refund_of(done: &Done) -> ObjectId {
    match done.reply {
        Reply::Object(id) => id,
        ref other => panic!("{other:?}"),
    }
}

fn the_refund(town: &Town, id: ObjectId) -> RefundRecord {
    match &*town.record(RecordKey::of(&id)) {
        Record::Refund(refund) => refund.clone(),
        other => panic!("no refund: {other:?}"),
    }
}

fn asking_payer(birth: u64, amount: Option<i64>) -> Command {
    let (reverse_transfer, refund_application_fee) = (false, false);
    let (target, reason, asks_payer) = (charge_id(birth), None, Some(true));
    Command::CreateRefund { target, amount, reason, reverse_transfer, refund_application_fee, asks_payer }
}

/// Events of the newest entry.
fn told(town: &Town) -> Vec<EventKind> {
    let bytes = town.plain.entries.last().expect("an entry");
    JournalEntry::from_bytes(bytes).expect("it reads back").events.iter().map(|event| event.kind).collect()
}

fn wait_seconds(town: &mut Town, seconds: i64) {
    let to = town.now.plus_seconds(seconds).expect("in range");
    town.done(Command::AdvanceClock { to });
    town.now = to;
}

#[test]
fn what_becomes_of_a_refund_later_is_told() {
    use EventKind::{ChargeRefundUpdated, ChargeRefunded, RefundCreated, RefundFailed, RefundUpdated};
    let mut town = town(true);
    // card, asks the payer, status at first, status after ten seconds, what is told then
    type Later = (RefundStatus, &'static [EventKind]);
    let table: [(Recipe, bool, RefundStatus, Option<Later>); 4] = [
        (Recipe::Succeed, false, RefundStatus::Succeeded, None),
        (
            Recipe::RefundPending,
            false,
            RefundStatus::Pending,
            Some((RefundStatus::Succeeded, &[RefundUpdated, ChargeRefundUpdated])),
        ),
        (
            Recipe::RefundFails,
            false,
            RefundStatus::Succeeded,
            Some((RefundStatus::Failed, &[RefundUpdated, ChargeRefundUpdated, RefundFailed])),
        ),
        (Recipe::RefundFails, true, RefundStatus::RequiresAction, None),
    ];
    for (recipe, asks_payer, first, later) in table {
        let birth = paid_by(&mut town, 5_000, recipe);
        let done = town.done(if asks_payer { asking_payer(birth, None) } else { refund(birth, None, false, false) });
        assert_eq!(told(&town), [RefundCreated, ChargeRefunded], "{recipe:?}");
        let id = refund_of(&done);
        assert_eq!(the_refund(&town, id).status, first, "{recipe:?}");
        let entries = town.plain.entries.len();
        wait_seconds(&mut town, 10);
        match later {
            None => assert_eq!(town.plain.entries.len(), entries + 1, "{recipe:?}: only the clock moved"),
            Some((status, events)) => {
                assert_eq!((the_refund(&town, id).status, told(&town)), (status, events.to_vec()), "{recipe:?}");
            }
        }
        town.expect_books_closed();
    }
}

#[test]
fn a_payer_who_does_not_act_in_45_days_has_the_refund_fail() {
    let mut town = town(true);
    let birth = paid_by(&mut town, 5_000, Recipe::Succeed);
    let asked = town.done(asking_payer(birth, Some(2_000)));
    let canceled = town.done(asking_payer(birth, Some(1_000)));
    let id = refund_of(&canceled);
    town.done(Command::CancelRefund { refund: id });
    assert_eq!(told(&town), [EventKind::RefundUpdated, EventKind::ChargeRefundUpdated]);
    assert_eq!(town.flow(birth).charge.expect("a charge").amount_refunded, 2_000);
    town.advance_days(44);
    assert_eq!(the_refund(&town, refund_of(&asked)).status, RefundStatus::RequiresAction);
    town.advance_days(2);
    let expired = the_refund(&town, refund_of(&asked));
    assert_eq!((expired.status, expired.failure), (RefundStatus::Failed, Some(RefundFailure::Unknown)));
    assert_eq!(the_refund(&town, id).status, RefundStatus::Canceled);
    assert_eq!(town.flow(birth).charge.expect("a charge").amount_refunded, 0);
    assert_eq!(town.total(P, USD), 5_000 - 175);
    town.expect_books_closed();
}

#[test]
fn what_a_failed_refund_had_counted_can_be_refunded_again() {
    let mut town = town(true);
    let seller = town.seller(Country::US, USD);
    let birth = town
        .charge(10_000, USD, |input| {
            input.method = Some(MethodInput::Inline(card(Recipe::RefundFails)));
            input.destination = Some(seller);
            input.application_fee = Some(Some(1_000));
        })
        .seq;
    town.refund(birth, Some(4_000), true, true);
    assert_eq!(town.refused(refund(birth, Some(6_001), true, true)).param.as_deref(), Some("amount"));
    wait_seconds(&mut town, 10);
    // The seller's share of the failed one has been taken back already: the rest goes with what goes back now.
    town.refund(birth, None, true, true);
    assert_eq!(town.total(seller, USD), 0);
    assert_eq!(town.total(P, USD), -320);
    wait_seconds(&mut town, 10);
    assert_eq!(town.total(P, USD), 10_000 - 320);
    town.expect_books_closed();
}

#[test]
fn a_refund_that_waits_is_known_to_a_state_that_was_kept() {
    let mut town = town(false);
    let seller = town.seller(Country::US, USD);
    let acting = |command| florin::domain::command::Request { acting: seller, ..Town::request(command) };
    let at_once = |input: &mut florin::domain::command::IntentInput| {
        input.method = Some(MethodInput::Inline(card(Recipe::BypassPending)));
    };
    let birth = town.done_as(seller, intent(5_000, USD, at_once)).seq;
    let Told::Decided(done) = town.told(&acting(refund(birth, None, false, false))) else { panic!("it is decided") };
    let waiting = RecordKey::of(&refund_of(&done));
    let state = &town.plain.world.state;
    assert_eq!(state.waiting_refund(seller, USD), Some(waiting));
    assert_eq!((state.waiting_refund(seller, EUR), state.waiting_refund(P, USD)), (None, None));
    let kept = PlatformState::from_bytes(&PlatformState::of(state).to_bytes()).expect("it reads back");
    assert_eq!(kept.into_state().expect("in range").waiting_refund(seller, USD), Some(waiting));
    town.advance_days(46);
    assert_eq!(town.plain.world.state.waiting_refund(seller, USD), None);
}

// ---------------------------------------------------------------------------------------------------------------
// Laws

#[derive(Clone, Debug)]
enum Wish {
    Charge { amount: i64, eur: bool, seller: Option<bool>, fee: Option<i64>, part: Option<i64>, recipe: u8 },
    Refund { payment: u8, part: Option<i64>, reverse: bool, fee: bool, asks_payer: bool },
    Reverse { payment: u8, part: Option<i64>, fee: bool },
    RefundFee { payment: u8, part: Option<i64> },
    End { refund: u8, cancels: bool },
    Fund { amount: i64 },
    WaitSeconds { seconds: i64 },
    WaitDays { days: i32 },
}

fn wish() -> impl Strategy<Value = Wish> {
    let part = || proptest::option::of(1..9_000_i64);
    prop_oneof![
        4 => (50..12_000_i64, any::<bool>(), proptest::option::of(any::<bool>()), proptest::option::of(1..2_000_i64), part(), 0..6_u8)
            .prop_map(|(amount, eur, seller, fee, part, recipe)| Wish::Charge { amount, eur, seller, fee, part, recipe }),
        8 => (any::<u8>(), part(), any::<bool>(), any::<bool>(), proptest::bool::weighted(0.1))
            .prop_map(|(payment, part, reverse, fee, asks_payer)| Wish::Refund { payment, part, reverse, fee, asks_payer }),
        2 => (any::<u8>(), part(), any::<bool>()).prop_map(|(payment, part, fee)| Wish::Reverse { payment, part, fee }),
        2 => (any::<u8>(), part()).prop_map(|(payment, part)| Wish::RefundFee { payment, part }),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(refund, cancels)| Wish::End { refund, cancels }),
        1 => (1_000..15_000_i64).prop_map(|amount| Wish::Fund { amount }),
        2 => (1..12_i64).prop_map(|seconds| Wish::WaitSeconds { seconds }),
        1 => (1..20_i32).prop_map(|days| Wish::WaitDays { days }),
    ]
}

/// A town with a seller in its own currency and one in another.
struct Play {
    town: Town,
    sellers: [AccountNo; 2],
    payments: Vec<u64>,
    refunds: Vec<ObjectId>,
}

impl Play {
    fn new(allow_negative: bool) -> Play {
        let mut town = town(allow_negative);
        let sellers = [town.seller(Country::US, USD), town.seller(Country::DE, EUR)];
        Play { town, sellers, payments: Vec::new(), refunds: Vec::new() }
    }

    fn ask(&mut self, command: Command) -> Option<Done> {
        match self.town.told(&Town::request(command)) {
            Told::Decided(done) => Some(*done),
            Told::Refused(_) => None,
            other => panic!("{other:?}"),
        }
    }

    fn payment(&self, number: u8) -> u64 {
        self.payments.get(usize::from(number) % self.payments.len().max(1)).copied().unwrap_or(2)
    }

    fn grant(&mut self, wish: &Wish) {
        match *wish {
            Wish::Charge { amount, eur, seller, fee, part, recipe } => {
                let recipe = match recipe {
                    0 => Recipe::BypassPending,
                    1 => Recipe::RefundPending,
                    2 => Recipe::RefundFails,
                    _ => Recipe::Succeed,
                };
                let to = seller.map(|other| self.sellers[usize::from(other)]);
                let done = self.ask(intent(amount, if eur { EUR } else { USD }, |input| {
                    input.method = Some(MethodInput::Inline(card(recipe)));
                    input.destination = to;
                    match (to, fee) {
                        (Some(_), Some(fee)) => input.application_fee = Some(Some(fee)),
                        (Some(_), None) => input.transfer_amount = part,
                        (None, _) => {}
                    }
                }));
                self.payments.extend(done.map(|done| done.seq));
            }
            Wish::Refund { payment, part, reverse, fee, asks_payer } => {
                let birth = self.payment(payment);
                let mut command = refund(birth, part, reverse, fee);
                if let Command::CreateRefund { asks_payer: asks, .. } = &mut command {
                    *asks = asks_payer.then_some(true);
                }
                let done = self.ask(command);
                self.refunds.extend(done.as_ref().map(refund_of));
            }
            Wish::Reverse { payment, part, fee } => {
                let transfer = RecordKey::head(self.payment(payment)).id(ObjectKind::Transfer, Slot::MAIN);
                self.ask(Command::ReverseTransfer { transfer, amount: part, refund_application_fee: fee });
            }
            Wish::RefundFee { payment, part } => {
                let fee = RecordKey::head(self.payment(payment)).id(ObjectKind::ApplicationFee, Slot::MAIN);
                self.ask(Command::RefundFee { fee, amount: part });
            }
            Wish::End { refund, cancels } => {
                if let Some(&refund) = self.refunds.get(usize::from(refund) % self.refunds.len().max(1)) {
                    self.ask(if cancels { Command::CancelRefund { refund } } else { Command::ExpireRefund { refund } });
                }
            }
            Wish::Fund { amount } => {
                paid_by(&mut self.town, amount, Recipe::BypassPending);
            }
            Wish::WaitSeconds { seconds } => {
                wait_seconds(&mut self.town, seconds);
            }
            Wish::WaitDays { days } => self.town.advance_days(days),
        }
    }

    /// Of the refunds that wait, the oldest one takes nothing along: then its amount is more than there is.
    fn expect_nobody_waits_for_money_that_is_there(&self) {
        let Some(at) = self.town.plain.world.state.waiting_refund(P, USD) else { return };
        let Record::Refund(refund) = &*self.town.record(at) else { panic!("{at:?} is no refund") };
        let terms = refund.waits.expect("it waits");
        if refund.currency == USD && !terms.reverse_transfer && !terms.refund_application_fee {
            assert!(self.town.balance(P, USD).0 < i128::from(refund.amount), "{refund:?}");
        }
    }

    /// All refunds, reversals and fee refunds of each flow.
    fn children(&self) -> BTreeMap<u64, Children> {
        let mut all: BTreeMap<u64, Children> = BTreeMap::new();
        for (key, bytes) in &self.town.plain.world.records {
            let of = all.entry(key.birth).or_default();
            match &*decode_record(bytes).expect("it reads back") {
                Record::Refund(refund) => {
                    of.reversals.extend(refund.reversals.iter().cloned());
                    of.fee_refunds.extend(refund.fee_refunds.iter().cloned());
                    of.refunds.push(refund.clone());
                }
                Record::Reversal(reversal) => {
                    of.reversals.push(reversal.part.clone());
                    of.fee_refunds.extend(reversal.fee_refund.clone());
                }
                Record::FeeRefund(refund) => of.fee_refunds.push(refund.part.clone()),
                _ => {}
            }
        }
        all
    }

    /// What records of flows count is what their refunds, reversals and fee refunds say, and never more than was taken.
    fn expect_laws(&self) {
        let children = self.children();
        for &birth in &self.payments {
            let (flow, of) = (self.town.flow(birth), &children[&birth]);
            let charge = flow.charge.as_ref().expect("a charge");
            let sum = |pick: fn(&RefundRecord) -> bool| -> i64 {
                of.refunds.iter().filter(|refund| pick(refund)).map(|refund| refund.amount).sum()
            };
            assert_eq!(charge.amount_refunded, sum(RefundRecord::counts), "{of:?}");
            assert_eq!(charge.waiting, sum(|refund| refund.waits.is_some()), "{of:?}");
            assert!(charge.amount_refunded <= charge.amount_captured, "{charge:?}");
            for refund in &of.refunds {
                expect_rows_of(refund);
            }
            for (slot, transfer) in (0_u16..).zip(&flow.transfers) {
                let reversals = of.reversals.iter().filter(|part| part.transfer == slot);
                assert_eq!(transfer.amount_reversed, reversals.map(|part| part.amount).sum::<i64>(), "{of:?}");
                assert!(transfer.amount_reversed <= transfer.amount, "{transfer:?}");
                let Some(fee) = &transfer.fee else { continue };
                let given = of.fee_refunds.iter().filter(|part| part.transfer == slot);
                let given = given.fold((0, 0), |sum, part| (sum.0 + part.amount, sum.1 + part.returned));
                assert_eq!((fee.amount_refunded, fee.charged_refunded), given, "{of:?}");
                assert!(fee.amount_refunded <= fee.amount && fee.charged_refunded <= fee.charged, "{fee:?}");
            }
        }
        self.town.expect_books_closed();
    }

    /// Gives everything back that can still be given back: then nobody keeps anything of any payment but what the
    /// platform paid for processing, and for exchanging.
    fn expect_completion_to_add_up(&mut self) {
        self.town.advance_days(46);
        let tables = self.town.plain.world.state.tables.clone();
        self.ask(Command::PutTables(Box::new(Tables { allow_negative: true, ..tables })));
        for birth in self.payments.clone() {
            self.ask(refund(birth, None, true, true)).or_else(|| self.ask(refund(birth, None, false, false)));
            let flow = self.town.flow(birth);
            assert_eq!(flow.charge.as_ref().expect("a charge").refundable(), 0);
            for slot in (0_u16..).zip(&flow.transfers).map(|(slot, _)| slot) {
                let (transfer, fee) = (ObjectKind::Transfer, ObjectKind::ApplicationFee);
                let id = |kind| RecordKey::head(birth).id(kind, slot);
                self.ask(Command::ReverseTransfer {
                    transfer: id(transfer),
                    amount: None,
                    refund_application_fee: false,
                });
                self.ask(Command::RefundFee { fee: id(fee), amount: None });
            }
            for transfer in &self.town.flow(birth).transfers {
                assert_eq!(transfer.amount_reversed, transfer.amount);
                assert!(transfer.fee.as_ref().is_none_or(|fee| fee.amount_refunded == fee.amount), "{transfer:?}");
            }
        }
        self.expect_laws();
        // Of the seller in dollars nothing was converted but what the payer paid in euro, before it came to the seller.
        let converted = self.payments.iter().any(|&birth| {
            self.town.flow(birth).rows.iter().any(|row| row.kind == RowKind::Charge && row.conversion.is_some())
        });
        if !converted {
            assert_eq!(self.town.total(self.sellers[0], USD), 0);
        }
    }
}

#[derive(Debug, Default)]
struct Children {
    refunds: Vec<RefundRecord>,
    reversals: Vec<ReversalPart>,
    fee_refunds: Vec<FeeRefundPart>,
}

/// A refund that waits or waited in vain has moved nothing; one that came back has moved as much twice.
fn expect_rows_of(refund: &RefundRecord) {
    let net = |kind| refund.rows.iter().filter(|row| row.kind == kind).map(|row| row.net()).sum::<i64>();
    let (out, back) = (net(RowKind::Refund), net(RowKind::RefundFailure));
    let waited_in_vain = refund.failure == Some(RefundFailure::InsufficientFunds);
    if refund.waits.is_some() || waited_in_vain {
        assert!(refund.rows.is_empty() && refund.reversals.is_empty() && refund.fee_refunds.is_empty(), "{refund:?}");
    } else if refund.counts() {
        assert!(out < 0 && back == 0, "{refund:?}");
    } else {
        assert_eq!(out + back, 0, "{refund:?}");
    }
}

fn cases(few: u32) -> Config {
    let cases = std::env::var("FLORIN_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(few);
    Config { cases, failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn nothing_is_given_back_twice_and_all_adds_up_in_the_end(
        allow_negative in any::<bool>(),
        wishes in proptest::collection::vec(wish(), 1..40),
    ) {
        let mut play = Play::new(allow_negative);
        for wish in &wishes {
            play.grant(wish);
            play.expect_laws();
            play.expect_nobody_waits_for_money_that_is_there();
        }
        play.expect_completion_to_add_up();

        let mut replayed = Replayed::new(true);
        for bytes in &play.town.plain.entries {
            replayed.read(bytes).expect("an entry reads back");
        }
        prop_assert_eq!(replayed.digest(), play.town.plain.digest());
    }
}
