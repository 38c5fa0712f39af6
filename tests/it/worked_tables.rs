//! The worked tables of the API's money flows, to the minor unit: what each party's balance gets, and why.

use florin::domain::command::Command;
use florin::domain::record::{BankOutcome, PayoutStatus, Recipe, Record, RecordKey};
use florin::ledger::{AccountNo, SourceType};
use florin::primitives::id::ObjectKind;
use florin::primitives::{Country, Currency};

use crate::town::{Town, bank, card, charge_id, intent, is_object, refund, seller};

const USD: Currency = Currency::USD;
const EUR: Currency = Currency::EUR;
const P: AccountNo = AccountNo::PLATFORM;

type RowText = (AccountNo, String, i64, i64, i64, String);

fn row(account: AccountNo, kind: &str, amount: i64, fee: i64, net: i64, currency: Currency) -> RowText {
    (account, kind.to_owned(), amount, fee, net, currency.to_string())
}

#[test]
fn a_destination_charge_with_a_fee_is_three_rows_on_the_platform_and_one_on_the_seller() {
    let mut town = Town::new();
    let seller = town.seller(Country::US, USD);
    let charge = town.charge(10_000, USD, |input| {
        input.destination = Some(seller);
        input.application_fee = Some(Some(1_000));
    });
    assert_eq!(
        town.rows_of(charge.seq),
        [
            row(P, "Charge", 10_000, 320, 9_680, USD),
            row(P, "Transfer", -10_000, 0, -10_000, USD),
            row(seller, "Payment", 10_000, 1_000, 9_000, USD),
            row(P, "ApplicationFee", 1_000, 0, 1_000, USD),
        ]
    );
    assert_eq!(town.balance(P, USD), (0, 680));
    assert_eq!(town.balance(seller, USD), (0, 9_000));
    town.advance_days(5);
    assert_eq!(town.balance(P, USD), (680, 0));
    assert_eq!(town.balance(seller, USD), (9_000, 0));
    town.expect_books_closed();
}

#[test]
fn a_destination_charge_with_a_transfer_amount_has_no_fee_object() {
    let mut town = Town::new();
    let seller = town.seller(Country::US, USD);
    let charge = town.charge(10_000, USD, |input| {
        input.destination = Some(seller);
        input.transfer_amount = Some(8_770);
    });
    assert_eq!(
        town.rows_of(charge.seq),
        [
            row(P, "Charge", 10_000, 320, 9_680, USD),
            row(P, "Transfer", -8_770, 0, -8_770, USD),
            row(seller, "Payment", 8_770, 0, 8_770, USD),
        ]
    );
    assert_eq!(town.total(P, USD), 910);
    assert!(town.flow(charge.seq).transfers[0].fee.is_none());
}

#[test]
fn figures_of_the_documentation() {
    // (charge, fee, platform keeps, seller gets)
    for (amount, fee, platform, seller_gets) in
        [(1_000, 123, 64, 877), (10_000, 1_000, 680, 9_000), (2_050, 100, 11, 1_950)]
    {
        let mut town = Town::new();
        let seller = town.seller(Country::US, USD);
        town.charge(amount, USD, |input| {
            input.destination = Some(seller);
            input.application_fee = Some(Some(fee));
        });
        assert_eq!((town.total(P, USD), town.total(seller, USD)), (platform, seller_gets), "charge of {amount}");
    }
}

#[test]
fn who_bears_a_full_refund() {
    // (transfer amount, reverse_transfer, refund_application_fee, platform's change, seller's change)
    let table = [
        (None, false, false, -10_000, 0),
        (None, true, false, 0, -10_000),
        (None, true, true, -1_000, -9_000),
        (Some(8_770), true, false, -1_230, -8_770),
    ];
    for (transfer_amount, reverse, fee, platform, seller_change) in table {
        let mut town = Town::new();
        let seller = town.seller(Country::US, USD);
        let charge = town.charge(10_000, USD, |input| {
            input.destination = Some(seller);
            input.transfer_amount = transfer_amount;
            if transfer_amount.is_none() {
                input.application_fee = Some(Some(1_000));
            }
        });
        let before = (town.total(P, USD), town.total(seller, USD));
        town.refund(charge.seq, None, reverse, fee);
        let after = (town.total(P, USD), town.total(seller, USD));
        assert_eq!((after.0 - before.0, after.1 - before.1), (platform, seller_change), "{reverse} {fee}");
        town.expect_books_closed();
    }
}

#[test]
fn partial_refunds_round_to_the_nearest_unit_and_the_last_takes_the_rest() {
    // charge, fee, then (refund, reversal, fee refund) one after another
    type Steps = &'static [(i64, i64, i64)];
    let table: [(i64, i64, Steps); 2] = [
        (10_000, 1_000, &[(4_000, 4_000, 400), (6_000, 6_000, 600)]),
        (1_000, 123, &[(333, 333, 41), (333, 333, 41), (334, 334, 41)]),
    ];
    for (amount, fee, refunds) in table {
        let mut town = Town::new();
        let seller = town.seller(Country::US, USD);
        let charge = town.charge(amount, USD, |input| {
            input.destination = Some(seller);
            input.application_fee = Some(Some(fee));
        });
        for &(part, reversal, fee_back) in refunds {
            let before = (town.total(P, USD), town.total(seller, USD));
            town.refund(charge.seq, Some(part), true, true);
            let change = (town.total(P, USD) - before.0, town.total(seller, USD) - before.1);
            let expected = (i128::from(-part + reversal - fee_back), i128::from(-reversal + fee_back));
            assert_eq!(change, expected, "refund of {part} of {amount}");
        }
        let flow = town.flow(charge.seq);
        let fee_object = flow.transfers[0].fee.as_ref().expect("a fee");
        assert_eq!(fee_object.amount_refunded, fee);
        assert_eq!(flow.transfers[0].amount_reversed, amount);
        assert_eq!(town.refused(refund(charge.seq, None, true, true)).code.as_deref(), Some("charge_already_refunded"));
        town.expect_books_closed();
    }
}

#[test]
fn half_a_refund_of_a_partial_transfer_reverses_half_of_it() {
    let mut town = Town::new();
    let seller = town.seller(Country::US, USD);
    let charge = town.charge(10_000, USD, |input| {
        input.destination = Some(seller);
        input.transfer_amount = Some(8_770);
    });
    town.refund(charge.seq, Some(5_000), true, false);
    assert_eq!(town.total(seller, USD), 8_770 - 4_385);
}

#[test]
fn a_refund_of_the_fee_needs_the_transfer_reversed_too() {
    let mut town = Town::new();
    let seller = town.seller(Country::US, USD);
    let charge = town.charge(10_000, USD, |input| {
        input.destination = Some(seller);
        input.application_fee = Some(Some(1_000));
    });
    let refusal = town.refused(refund(charge.seq, None, false, true));
    assert_eq!(refusal.param.as_deref(), Some("refund_application_fee"));
    let too_much = town.refused(refund(charge.seq, Some(10_001), true, true));
    assert_eq!(too_much.message, "Refund amount ($100.01) is greater than charge amount ($100.00)");
    assert_eq!((too_much.code, too_much.param.as_deref()), (None, Some("amount")));
}

#[test]
fn a_seller_in_another_currency_gets_converted_money_and_pays_its_fee_in_it() {
    let mut town = Town::with_rates(&[(USD, EUR, "0.90")]);
    let seller = town.seller(Country::DE, EUR);
    let charge = town.charge(10_000, USD, |input| {
        input.destination = Some(seller);
        input.application_fee = Some(Some(1_000));
    });
    assert_eq!(
        town.rows_of(charge.seq),
        [
            row(P, "Charge", 10_000, 320, 9_680, USD),
            row(P, "Transfer", -10_000, 0, -10_000, USD),
            row(seller, "Payment", 9_000, 900, 8_100, EUR),
            row(P, "ApplicationFee", 900, 0, 900, EUR),
        ]
    );
    let fee = town.flow(charge.seq).transfers[0].fee.clone().expect("a fee");
    assert_eq!((fee.amount, fee.currency), (1_000, USD));

    let second = town.charge(10_000, USD, |input| {
        input.destination = Some(seller);
        input.transfer_amount = Some(9_000);
    });
    assert_eq!(
        town.rows_of(second.seq)[1..],
        [row(P, "Transfer", -9_000, 0, -9_000, USD), row(seller, "Payment", 8_100, 0, 8_100, EUR)]
    );
    town.expect_books_closed();
}

#[test]
fn a_charge_in_a_currency_that_the_platform_does_not_settle_is_converted() {
    let mut town = Town::with_rates(&[(EUR, USD, "1.10")]);
    let charge = town.charge(10_000, EUR, |_| {});
    assert_eq!(town.rows_of(charge.seq), [row(P, "Charge", 11_000, 349, 10_651, USD)]);
    town.expect_books_closed();

    // The yen has no decimals: 5,000 yen at 0.0068 less 1 %.
    let mut town = Town::with_rates(&[(Currency::JPY, USD, "0.006732")]);
    let charge = town.charge(5_000, Currency::JPY, |_| {});
    assert_eq!(town.rows_of(charge.seq), [row(P, "Charge", 3_366, 128, 3_238, USD)]);
    town.expect_books_closed();
}

#[test]
fn market_rates_take_their_mark_up_as_a_posting_of_its_own() {
    let mut town = Town::new();
    let charge = town.charge(10_000, EUR, |_| {});
    let conversion = town.flow(charge.seq).rows[0].conversion.clone().expect("converted");
    assert!(!conversion.stale);
    assert_eq!(conversion.rate, conversion.base * rust_decimal::Decimal::new(99, 2));
    let markup: i128 = town
        .plain
        .world
        .state
        .house
        .iter()
        .filter(|(house, ..)| house.to_string() == "fees:conversion")
        .map(|(_, _, minor)| minor)
        .sum();
    assert!(markup > 0, "the mark-up is the operator's");
    // Refunded within the day: at the base rate, so the mark-up stays with the operator.
    town.refund(charge.seq, None, false, false);
    town.expect_books_closed();
    assert!(town.total(P, USD) < 0);
}

#[test]
fn transfers_draw_on_available_money_or_on_a_charge() {
    let mut town = Town::new();
    let seller = town.seller(Country::US, USD);
    let transfer = |amount, source_transaction| Command::CreateTransfer {
        amount: Some(amount),
        currency: USD,
        destination: seller,
        source_transaction,
        source_type: SourceType::Card,
    };
    let charge = town.charge(10_000, USD, |_| {});
    assert_eq!(town.refused(transfer(7_000, None)).code.as_deref(), Some("balance_insufficient"));
    town.done(transfer(7_000, Some(charge_id(charge.seq))));
    let over = town.refused(transfer(3_001, Some(charge_id(charge.seq))));
    assert_eq!(over.param.as_deref(), Some("amount"));
    assert_eq!((town.balance(P, USD), town.balance(seller, USD)), ((0, 2_680), (0, 7_000)));

    town.charge(10_000, USD, |input| {
        input.method = Some(florin::domain::command::MethodInput::Inline(card(Recipe::BypassPending)));
    });
    let second = town.done(transfer(2_000, None));
    assert_eq!(town.balance(seller, USD), (2_000, 7_000));

    let id = RecordKey::head(second.seq).id(ObjectKind::Transfer, 0);
    let reverse = |amount| Command::ReverseTransfer { transfer: id, amount, refund_application_fee: false };
    town.done(reverse(Some(500)));
    town.done(reverse(None));
    assert!(town.refused(reverse(None)).message.contains("already fully reversed"));
    assert_eq!(town.balance(seller, USD), (0, 7_000));
    town.expect_books_closed();
}

#[test]
fn a_partial_capture_gives_the_rest_back_by_a_refund_of_its_own() {
    let mut town = Town::new();
    let seller = town.seller(Country::US, USD);
    let authorized = town.charge(10_000, USD, |input| {
        input.capture_method = Some(florin::domain::record::CaptureMethod::Manual);
        input.destination = Some(seller);
        input.application_fee = Some(Some(1_000));
    });
    assert!(town.rows_of(authorized.seq).is_empty(), "an authorization moves nothing");
    let capture = |amount| Command::CaptureIntent {
        intent: authorized.seq,
        amount,
        application_fee: None,
        transfer_amount: None,
    };
    assert_eq!(town.refused(capture(Some(10_001))).code.as_deref(), Some("amount_too_large"));
    let captured = town.done(capture(Some(6_000)));
    let mut rows = town.rows_of(captured.seq);
    rows.sort_by_key(|row| row.2);
    assert_eq!(
        rows,
        [
            row(P, "Transfer", -6_000, 0, -6_000, USD),
            row(P, "PartialCaptureReversal", -4_000, 0, -4_000, USD),
            row(P, "ApplicationFee", 1_000, 0, 1_000, USD),
            row(seller, "Payment", 6_000, 1_000, 5_000, USD),
            row(P, "Charge", 10_000, 204, 9_796, USD),
        ]
    );
    let charge = town.flow(authorized.seq).charge.expect("a charge");
    assert_eq!((charge.amount_captured, charge.amount_refunded, charge.refundable()), (6_000, 4_000, 6_000));
    assert_eq!(town.refused(capture(None)).code.as_deref(), Some("payment_intent_unexpected_state"));
    town.refund(authorized.seq, None, true, true);
    assert_eq!(town.total(seller, USD), 0);
    town.expect_books_closed();
}

#[test]
fn an_authorization_that_nobody_captures_ends_after_seven_days() {
    let mut town = Town::new();
    let authorized = town.charge(10_000, USD, |input| {
        input.capture_method = Some(florin::domain::record::CaptureMethod::Manual);
    });
    town.advance_days(8);
    let flow = town.flow(authorized.seq);
    let intent = flow.intent.expect("an intent");
    assert_eq!(intent.status, florin::domain::record::IntentStatus::Canceled);
    assert_eq!(town.total(P, USD), 0);
}

#[test]
fn a_decline_is_an_outcome_and_the_intent_takes_another_card() {
    let mut town = Town::new();
    let declined = town.charge(5_000, USD, |input| {
        input.method = Some(florin::domain::command::MethodInput::Inline(card(Recipe::InsufficientFunds)));
    });
    assert!(!is_object(&declined));
    assert_eq!(town.total(P, USD), 0);
    let retry = florin::domain::command::IntentInput {
        method: Some(florin::domain::command::MethodInput::Inline(card(Recipe::Succeed))),
        ..Default::default()
    };
    let confirmed = town.done(Command::ConfirmIntent { intent: declined.seq, input: Box::new(retry) });
    assert!(is_object(&confirmed));
    assert_eq!(town.flow(declined.seq).charge.expect("a charge").attempt, 1);
    town.expect_books_closed();
}

#[test]
fn a_payout_leaves_at_once_and_a_failed_one_comes_back_by_a_new_row() {
    let mut town = Town::new();
    let mut input = seller(Country::US, USD);
    input.external_account = Some(Box::new(bank(Country::US, USD, BankOutcome::AccountClosed)));
    let seller = AccountNo(town.done(Command::CreateAccount(Box::new(input))).seq);
    town.charge(10_000, USD, |input| {
        input.destination = Some(seller);
        input.method = Some(florin::domain::command::MethodInput::Inline(card(Recipe::BypassPending)));
    });
    let payout =
        |amount| Command::CreatePayout { amount, currency: USD, destination: None, source_type: SourceType::Card };
    let request = florin::domain::command::Request { acting: seller, ..Town::request(payout(10_001)) };
    assert!(
        matches!(town.told(&request), florin::engine::plain::Told::Refused(refusal) if refusal.code.as_deref() == Some("balance_insufficient"))
    );
    let paid = town.done_as(seller, payout(4_000));
    assert_eq!(town.balance(seller, USD), (6_000, 0));
    town.advance_days(1);
    assert_eq!(town.balance(seller, USD), (10_000, 0), "the bank sent it back");
    match &*town.record(RecordKey::head(paid.seq)) {
        Record::Payout(payout) => assert_eq!(payout.status, PayoutStatus::Failed),
        other => panic!("{other:?}"),
    }
    town.expect_books_closed();
}

#[test]
fn a_correction_balances_and_names_what_it_repairs() {
    let mut town = Town::new();
    let charge = town.charge(10_000, USD, |_| {});
    let posting = |leg, minor| florin::ledger::Posting::credit(leg, florin::primitives::Money::new(minor, USD));
    let available = florin::ledger::Leg::account(P, florin::ledger::Bucket::Available);
    let fees = florin::ledger::Leg::House(florin::ledger::House::Fees(florin::ledger::FeeKind::Processing));
    let adjust = |repairs, postings| Command::Adjust { repairs, postings };
    let lopsided = town.refused(adjust(charge.seq, vec![posting(available, 20), posting(fees, -19)]));
    assert_eq!(lopsided.param.as_deref(), Some("postings"));
    let future = town.refused(adjust(9_999, vec![posting(available, 20), posting(fees, -20)]));
    assert_eq!(future.param.as_deref(), Some("repairs"));
    town.done(adjust(charge.seq, vec![posting(available, 20), posting(fees, -20)]));
    assert_eq!(town.total(P, USD), 9_700);
    town.expect_books_closed();
}

#[test]
fn amounts_that_cannot_be_are_refused_by_name() {
    // amount, currency, code
    let table = [
        (49, USD, "amount_too_small"),
        (29, Currency::GBP, "amount_too_small"),
        (100_000_000, USD, "amount_too_large"),
        (-5, USD, "parameter_invalid_integer"),
        (5_124, "kwd".parse().expect("a currency"), "parameter_invalid_integer"),
        (550, "isk".parse().expect("a currency"), "parameter_invalid_integer"),
    ];
    let mut town = Town::new();
    for (amount, currency, code) in table {
        let refusal = town.refused(intent(amount, currency, |_| {}));
        assert_eq!(
            (refusal.code.as_deref(), refusal.param.as_deref()),
            (Some(code), Some("amount")),
            "{amount} {currency}"
        );
    }
}

#[test]
fn a_request_whose_entry_the_journal_could_not_take_is_refused_and_changes_nothing() {
    let mut town = Town::new();
    let before = town.plain.digest();
    let mut request = Town::request(Command::CreateCustomer { method: None, default: None });
    request.texts.set("description", "x".repeat(300 << 10));
    match town.told(&request) {
        florin::engine::plain::Told::Refused(refusal) => assert!(refusal.message.contains("256 KiB"), "{refusal:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(town.plain.digest(), before);
    request.texts = florin::domain::command::TextPatch::default();
    request.texts.set("description", "x".repeat(100 << 10));
    assert!(matches!(town.told(&request), florin::engine::plain::Told::Decided(_)));
}
