//! Disputes: the worked tables through HTTP, and stories of what payers, sellers and issuers do to one charge.

use std::process::Command as Process;

use florin::domain::command::{Command, Verdict};
use florin::domain::record::{
    DisputeReason, DisputeRecord, DisputeStatus, EvidenceWords, FeesPayer, Recipe, Record, RecordKey,
};
use florin::domain::tables::Tables;
use florin::ledger::{AccountNo, House};
use florin::primitives::id::ObjectId;
use florin::primitives::{Country, Currency};
use serde::Deserialize;
use serde_json::Value;

use crate::daemon::{Client, Daemon, form, text};
use crate::town::{Town, card, charge_id, dispute_id, refund};

// ---------------------------------------------------------------------------------------------------------------
// The worked tables

#[derive(Deserialize)]
struct Table {
    case: Vec<Case>,
}

/// Whose, type, amount, fee, net, currency, category, description.
type RowText = (String, String, i64, i64, i64, String, String, String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    model: String,
    #[serde(default = "us")]
    seller: String,
    card: String,
    #[serde(default = "hundred")]
    amount: i64,
    #[serde(default = "usd")]
    currency: String,
    #[serde(default)]
    steps: Vec<String>,
    status: String,
    #[serde(default)]
    rows: Vec<RowText>,
    events: Vec<String>,
    #[serde(default)]
    held: i128,
}

fn us() -> String {
    "US".to_owned()
}

fn hundred() -> i64 {
    10_000
}

fn usd() -> String {
    "usd".to_owned()
}

/// Fixed rates and fees, so that amounts can be told to the minor unit.
const CONFIG: &str = r#"
[prices.dispute]
usd = 1500
gbp = 1500

[fx.fixed]
"usd/cad" = "1.356"
"#;

/// A seller, by country, and by who pays the fees of its charges.
fn seller(client: &mut Client, country: &str, platform_pays: bool) -> String {
    let (currency, routing, number, state, code) = match country {
        "US" => ("usd", "110000000", "000123456789", "NY", "10001"),
        "GB" => ("gbp", "108800", "00012345", "", "SW1A 1AA"),
        "CA" => ("cad", "11000000", "000123456789", "ON", "M5V 2T6"),
        other => panic!("no recipe for {other}"),
    };
    let mut parameters = vec![
        ("country", country),
        ("business_type", "individual"),
        ("capabilities[card_payments][requested]", "true"),
        ("capabilities[transfers][requested]", "true"),
        ("individual[first_name]", "Ada"),
        ("individual[last_name]", "Seller"),
        ("individual[email]", "seller@example.com"),
        ("individual[phone]", "+12125550100"),
        ("individual[dob][day]", "1"),
        ("individual[dob][month]", "1"),
        ("individual[dob][year]", "1902"),
        ("individual[address][line1]", "address_full_match"),
        ("individual[address][city]", "Somewhere"),
        ("individual[address][state]", state),
        ("individual[address][postal_code]", code),
        ("individual[address][country]", country),
        ("individual[id_number]", "222222222"),
        ("business_profile[mcc]", "5734"),
        ("business_profile[url]", "https://seller.example.com"),
        ("tos_acceptance[date]", "1700000000"),
        ("tos_acceptance[ip]", "127.0.0.1"),
        ("external_account[object]", "bank_account"),
        ("external_account[country]", country),
        ("external_account[currency]", currency),
        ("external_account[routing_number]", routing),
        ("external_account[account_number]", number),
        ("settings[payouts][schedule][interval]", "manual"),
    ];
    if country == "US" {
        parameters.push(("individual[ssn_last_4]", "0000"));
    }
    if platform_pays {
        parameters.extend([
            ("controller[fees][payer]", "application"),
            ("controller[losses][payments]", "application"),
            ("controller[requirement_collection]", "application"),
            ("controller[stripe_dashboard][type]", "none"),
        ]);
    } else {
        parameters.push(("type", "custom"));
    }
    let parameters: Vec<(&str, &str)> = parameters.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let account = client.post("/v1/accounts", &parameters).ok();
    assert_eq!(account["charges_enabled"], Value::Bool(true), "{account:#}");
    text(&account["id"]).to_owned()
}

/// One case under way.
struct Run<'a> {
    client: &'a mut Client,
    owner: Option<String>,
    charge: String,
    dispute: String,
}

impl Run<'_> {
    fn post(&mut self, path: &str, parameters: &[(&str, &str)]) -> crate::daemon::Reply {
        let headers: Vec<(&str, &str)> = self.owner.iter().map(|owner| ("Stripe-Account", owner.as_str())).collect();
        self.client.send("POST", path, &headers, &form(parameters)).expect("an answer")
    }

    fn dispute(&mut self) -> Value {
        let path = format!("/v1/disputes/{}", self.dispute);
        self.client.get_as(self.owner.as_deref(), &path).ok()
    }

    fn answer(&mut self, words: &str) {
        let path = format!("/v1/disputes/{}", self.dispute);
        let answered = self.post(&path, &[("evidence[uncategorized_text]", words)]).ok();
        let status = text(&answered["status"]);
        assert!(status.ends_with("under_review"), "what was submitted is under review first: {status}");
        assert_eq!(answered["evidence"]["uncategorized_text"], words);
    }

    fn step(&mut self, step: &str) {
        let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
        match word {
            "win" => self.answer("winning_evidence"),
            "lose" => self.answer("losing_evidence"),
            "escalate" => self.answer("escalate_inquiry_evidence"),
            "answer" => self.answer("It was delivered on Tuesday."),
            "accept" => {
                let path = format!("/v1/disputes/{}/close", self.dispute);
                assert_eq!(self.post(&path, &[]).ok()["status"], "lost");
            }
            "wait" => {
                let days: i64 = rest.parse().expect("days");
                self.client.post("/florin/clock/advance", &[("seconds", &(days * 86_400).to_string())]).ok();
            }
            "is" => assert_eq!(self.dispute()["status"], rest),
            "refund" => {
                let charge = self.charge.clone();
                self.post("/v1/refunds", &[("charge", &charge), ("amount", rest)]).ok();
            }
            "no" => {
                let charge = self.charge.clone();
                let refused = self.post("/v1/refunds", &[("charge", &charge)]);
                assert_eq!(refused.status, 400);
                let error = refused.json();
                assert_eq!(error["error"]["code"], "charge_disputed", "{error:#}");
                assert!(text(&error["error"]["message"]).contains(&charge), "{error:#}");
            }
            other => panic!("no such step: {other}"),
        }
    }
}

/// What a ledger account holds in a currency.
fn held(client: &mut Client, account: &str, currency: &str) -> i128 {
    let balance = client.get("/florin/trial_balance").ok();
    assert_eq!(balance["balanced"], Value::Bool(true), "{balance:#}");
    let rows = balance["rows"].as_array().expect("rows").clone();
    let of = |row: &&Value| row["account"] == account && row["currency"] == currency;
    rows.iter().filter(of).map(|row| i128::from(row["amount"].as_i64().expect("an amount"))).sum()
}

/// Adjustments and fees of an account, oldest first.
fn rows(client: &mut Client, account: Option<&str>, whose: &str) -> Vec<(String, RowText)> {
    let mut all = client.list(account, "/v1/balance_transactions");
    all.reverse();
    all.iter()
        .filter(|row| matches!(text(&row["type"]), "adjustment" | "stripe_fee"))
        .map(|row| {
            let number = |name: &str| row[name].as_i64().expect("a number");
            let word = |name: &str| text(&row[name]).to_owned();
            let (amount, fee, net) = (number("amount"), number("fee"), number("net"));
            let details = row["fee_details"].as_array().expect("details");
            assert_eq!(details.iter().map(|detail| detail["amount"].as_i64().expect("one")).sum::<i64>(), fee);
            assert!(details.iter().all(|detail| detail["description"] == "Dispute fee"), "{row:#}");
            let seen = (
                whose.to_owned(),
                word("type"),
                amount,
                fee,
                net,
                word("currency"),
                word("reporting_category"),
                word("description"),
            );
            (word("id"), seen)
        })
        .collect()
}

/// Charges by the case's model: the owner (the platform, or a seller) and the payment's answer.
fn charge(client: &mut Client, case: &Case) -> (Option<String>, Value) {
    let amount = case.amount.to_string();
    let method = format!("pm_card_{}", case.card);
    let mut parameters = vec![
        ("amount", amount.as_str()),
        ("currency", &case.currency),
        ("payment_method", &method),
        ("confirm", "true"),
        ("automatic_payment_methods[enabled]", "true"),
        ("automatic_payment_methods[allow_redirects]", "never"),
    ];
    let paid = |client: &mut Client, parameters: &[(&str, &str)], acting: Option<&str>| {
        let headers: Vec<(&str, &str)> = acting.map(|account| ("Stripe-Account", account)).into_iter().collect();
        client.send("POST", "/v1/payment_intents", &headers, &form(parameters)).expect("an answer").ok()
    };
    match case.model.as_str() {
        "platform" => (None, paid(client, &parameters, None)),
        "destination" => {
            let seller = seller(client, &case.seller, false);
            parameters.extend([("transfer_data[destination]", seller.as_str()), ("application_fee_amount", "1000")]);
            (None, paid(client, &parameters, None))
        }
        "separate" => {
            let seller = seller(client, &case.seller, false);
            let intent = paid(client, &parameters, None);
            let charge = text(&intent["latest_charge"]);
            let transfer = [
                ("amount", "7000"),
                ("currency", "usd"),
                ("destination", seller.as_str()),
                ("source_transaction", charge),
            ];
            client.post("/v1/transfers", &transfer).ok();
            (None, intent)
        }
        "direct" | "direct, platform pays fees" => {
            let seller = seller(client, &case.seller, case.model != "direct");
            let intent = paid(client, &parameters, Some(&seller));
            (Some(seller), intent)
        }
        other => panic!("no such model: {other}"),
    }
}

#[test]
fn the_worked_tables_hold_to_the_minor_unit() {
    let table = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/tables/disputes.toml");
    let table: Table = toml::from_str(&std::fs::read_to_string(table).expect("the table")).expect("a table");
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("florin.toml");
    std::fs::write(&config, CONFIG).expect("the configuration");
    let with = |command: &mut Process| {
        command.env("FLORIN_CONFIG", &config);
    };
    let daemon = match Daemon::try_start(&folder.path().join("data"), with) {
        Ok(daemon) => daemon,
        Err(ended) => panic!("{}", ended.log),
    };
    let mut client = daemon.client();
    client.post("/florin/clock/advance", &[("seconds", "60")]).ok();

    for case in &table.case {
        let name = &case.name;
        let platform_before: Vec<String> = rows(&mut client, None, "").into_iter().map(|(id, _)| id).collect();
        let before: Vec<i128> = ["usd", "gbp", "cad"].map(|of| held(&mut client, "disputes", of)).to_vec();
        let (owner, intent) = charge(&mut client, case);
        assert_eq!(intent["status"], "succeeded", "{name}: the payment succeeds first");
        let charge = text(&intent["latest_charge"]).to_owned();

        let seen = client.get_as(owner.as_deref(), &format!("/v1/charges/{charge}?expand[]=dispute")).ok();
        assert_eq!(seen["disputed"], Value::Bool(true), "{name}");
        assert_eq!(seen["dispute"]["amount"], case.amount, "{name}: the charge leads to its dispute");
        let dispute = text(&seen["dispute"]["id"]).to_owned();
        let mut run = Run { client: &mut client, owner: owner.clone(), charge: charge.clone(), dispute };
        for step in &case.steps {
            run.step(step);
        }

        let dispute = run.dispute();
        assert_eq!(dispute["status"], case.status.as_str(), "{name}");
        assert_eq!((&dispute["charge"], &dispute["payment_intent"]), (&seen["id"], &intent["id"]), "{name}");
        let mut moved = rows(run.client, owner.as_deref(), "owner");
        if owner.is_some() {
            moved.extend(rows(run.client, None, "platform"));
        }
        let new = moved.into_iter().filter(|(id, _)| !platform_before.contains(id)).map(|(_, row)| row);
        let expected: Vec<RowText> = case
            .rows
            .iter()
            .map(|row| {
                let mut row = row.clone();
                row.7 = row.7.replace("{charge}", &charge);
                row
            })
            .collect();
        assert_eq!(new.collect::<Vec<_>>(), expected, "{name}");
        let shown = dispute["balance_transactions"].as_array().expect("rows").len();
        assert_eq!(shown, case.rows.iter().filter(|row| row.1 == "adjustment").count(), "{name}");

        let mut events = run.client.list(owner.as_deref(), "/v1/events?type=charge.dispute.*");
        events.reverse();
        let told: Vec<&str> = events
            .iter()
            .filter(|event| event["data"]["object"]["id"] == dispute["id"])
            .map(|event| {
                assert_eq!(event["account"].as_str(), owner.as_deref(), "{name}");
                text(&event["type"]).strip_prefix("charge.dispute.").expect("of disputes")
            })
            .collect();
        assert_eq!(told, case.events, "{name}");

        let after: Vec<i128> = ["usd", "gbp", "cad"].map(|of| held(run.client, "disputes", of)).to_vec();
        let grown: i128 = after.iter().sum::<i128>() - before.iter().sum::<i128>();
        assert_eq!(grown, case.held, "{name}: held while it runs, and no longer");
        // What is still open would run out in a later case.
        if case.status == "needs_response" {
            run.step("accept");
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Stories

const USD: Currency = Currency::USD;
const EUR: Currency = Currency::EUR;
const P: AccountNo = AccountNo::PLATFORM;

fn paid_by(town: &mut Town, recipe: Recipe, amount: i64, currency: Currency) -> u64 {
    let done = town.charge(amount, currency, |input| {
        input.method = Some(florin::domain::command::MethodInput::Inline(card(recipe)));
    });
    done.seq
}

fn of(town: &Town, id: &ObjectId) -> DisputeRecord {
    match &*town.record(RecordKey::of(id)) {
        Record::Dispute(dispute) => dispute.clone(),
        other => panic!("no dispute: {other:?}"),
    }
}

fn claim(birth: u64, amount: Option<i64>) -> Command {
    Command::OpenDispute { charge: charge_id(birth), amount, reason: DisputeReason::Duplicate, inquiry: false }
}

fn answer(dispute: ObjectId, words: EvidenceWords) -> Command {
    Command::UpdateDispute { dispute, submit: None, evidence: true, words: Some(words) }
}

/// Evidence rides as text beside its command.
fn give(town: &mut Town, command: Command) {
    let mut request = Town::request(command);
    request.texts.set("evidence[uncategorized_text]", "words");
    assert!(matches!(town.told(&request), florin::engine::plain::Told::Decided(_)));
}

fn disputes_hold(town: &Town, currency: Currency) -> i128 {
    let balance = town.plain.world.state.trial_balance();
    let name = House::Disputes.to_string();
    balance.rows().filter(|(account, of, _)| *account == name && *of == currency).map(|(_, _, minor)| minor).sum()
}

#[test]
fn a_dispute_after_the_payout_leaves_the_seller_owing() {
    let mut town = Town::new();
    let seller = town.seller(Country::US, USD);
    let sale = crate::town::intent(10_000, USD, |input| {
        input.method = Some(florin::domain::command::MethodInput::Inline(card(Recipe::BypassPending)));
    });
    let birth = town.done_as(seller, sale).seq;
    let payout = Command::CreatePayout {
        amount: 9_680,
        currency: USD,
        destination: None,
        source_type: florin::ledger::SourceType::Card,
    };
    town.done_as(seller, payout);
    assert_eq!(town.balance(seller, USD), (0, 0));
    town.done_as(seller, claim(birth, None));
    assert_eq!(town.balance(seller, USD), (-11_500, 0));
    town.expect_books_closed();
}

#[test]
fn a_dispute_of_pending_money_is_pending_with_it() {
    let mut town = Town::new();
    paid_by(&mut town, Recipe::Dispute, 10_000, USD);
    assert_eq!(town.balance(P, USD), (0, 9_680 - 11_500));
    town.advance_days(5);
    assert_eq!(town.balance(P, USD), (9_680 - 11_500, 0));
    town.expect_books_closed();
}

#[test]
fn refunds_and_chargebacks_together_never_exceed_what_was_captured() {
    let mut town = Town::new();
    let birth = paid_by(&mut town, Recipe::Succeed, 10_000, USD);
    town.refund(birth, Some(4_000), false, false);
    assert_eq!(town.refused(claim(birth, Some(6_001))).param.as_deref(), Some("amount"));
    let first = town.done(claim(birth, Some(2_500)));
    assert_eq!(town.refused(refund(birth, Some(1), false, false)).code.as_deref(), Some("charge_disputed"));
    // Without an amount: all that is left.
    let rest = town.done(claim(birth, None));
    assert_eq!(town.rows_of(first.seq)[0].2, -2_500);
    assert_eq!(town.rows_of(rest.seq)[0].2, -3_500);
    assert_eq!(town.refused(claim(birth, Some(1))).param.as_deref(), Some("amount"));
    assert_eq!(disputes_hold(&town, USD), 6_000);
    town.expect_books_closed();
}

#[test]
fn a_refund_before_the_dispute_ends_the_exposure() {
    let mut town = Town::with(Tables { dispute_delay_s: Some(3_600), ..Tables::default() }, Country::US, USD);
    let birth = paid_by(&mut town, Recipe::Dispute, 10_000, USD);
    town.refund(birth, None, false, false);
    town.advance_days(1);
    assert!(town.flow(birth).charge.is_some_and(|charge| charge.disputes.is_none()));
    // Refunded in part, it is disputed for the rest.
    let birth = paid_by(&mut town, Recipe::Dispute, 10_000, USD);
    town.refund(birth, Some(2_000), false, false);
    town.advance_days(1);
    let dispute = of(&town, &RecordKey { birth, child: 2 }.id(florin::primitives::id::ObjectKind::Dispute, 0));
    assert_eq!(dispute.amount, 8_000);
    town.expect_books_closed();
}

#[test]
fn a_charge_may_be_disputed_in_parts_that_settle_to_the_whole() {
    let mut town = Town::with_rates(&[(EUR, USD, "1.0849")]);
    let birth = paid_by(&mut town, Recipe::DisputeTwice, 3_333, EUR);
    let settled = town.flow(birth).rows[0].amount;
    let parts: Vec<(i64, i64)> = [1, 2]
        .map(|child| of(&town, &RecordKey { birth, child }.id(florin::primitives::id::ObjectKind::Dispute, 0)))
        .iter()
        .map(|dispute| (dispute.amount, dispute.rows[0].amount))
        .collect();
    assert_eq!(parts.iter().map(|(amount, _)| amount).collect::<Vec<_>>(), [&1_666, &1_667]);
    assert_eq!(parts.iter().map(|(_, row)| row).sum::<i64>(), -settled);
    assert_eq!(disputes_hold(&town, USD), i128::from(settled));
    town.advance_days(10);
    assert_eq!((disputes_hold(&town, USD), disputes_hold(&town, EUR)), (0, 0), "both were lost");
    town.expect_books_closed();
}

#[test]
fn a_partial_capture_is_disputed_for_what_was_captured() {
    let mut town = Town::with_rates(&[(EUR, USD, "1.10")]);
    let held = town.charge(10_000, EUR, |input| {
        input.method = Some(florin::domain::command::MethodInput::Inline(card(Recipe::Dispute)));
        input.capture_method = Some(florin::domain::record::CaptureMethod::Manual);
    });
    assert!(town.flow(held.seq).charge.is_some_and(|charge| charge.disputes.is_none()), "nothing was taken yet");
    town.done(Command::CaptureIntent {
        intent: held.seq,
        amount: Some(6_000),
        application_fee: None,
        transfer_amount: None,
    });
    let id = RecordKey { birth: held.seq, child: 2 }.id(florin::primitives::id::ObjectKind::Dispute, 0);
    let dispute = of(&town, &id);
    assert_eq!((dispute.amount, dispute.rows[0].amount), (6_000, -6_600));
    town.done(Command::CloseDispute { dispute: id });
    town.expect_books_closed();
}

#[test]
fn the_fee_comes_back_where_the_table_says_so() {
    let tables = Tables { dispute_fee_returned: Some(true), ..Tables::default() };
    let mut town = Town::with(tables, Country::US, USD);
    let birth = paid_by(&mut town, Recipe::Dispute, 10_000, USD);
    let done = town.done(Command::DecideDispute { dispute: dispute_id(birth), verdict: Verdict::Won });
    let (_, kind, amount, fee, net, _) = town.rows_of(done.seq).remove(0);
    assert_eq!((kind.as_str(), amount, fee, net), ("DisputeReversal", 10_000, -1_500, 11_500));
    assert_eq!(town.total(P, USD), 9_680);
    town.expect_books_closed();
}

#[test]
fn answering_costs_where_the_table_says_so_and_is_free_when_it_wins() {
    let fee = Some(vec![(USD, 1_500)]);
    let mut town = Town::with(Tables { dispute_counter_fee: fee, ..Tables::default() }, Country::US, USD);
    for (words, change) in [(EvidenceWords::Losing, -13_000), (EvidenceWords::Winning, -1_500)] {
        let before = town.total(P, USD) + 9_680;
        let birth = paid_by(&mut town, Recipe::Dispute, 10_000, USD);
        give(&mut town, answer(dispute_id(birth), words));
        assert_eq!(town.total(P, USD) - before, change, "{words:?}");
    }
    // An inquiry costs nothing to answer.
    let before = town.total(P, USD) + 9_680;
    let birth = paid_by(&mut town, Recipe::DisputeInquiry, 10_000, USD);
    give(&mut town, answer(dispute_id(birth), EvidenceWords::Losing));
    assert_eq!(town.total(P, USD), before);
    town.expect_books_closed();
}

#[test]
fn the_platform_pays_the_fee_of_a_seller_whose_fees_it_pays_and_gets_it_back() {
    let tables = Tables { dispute_fee_returned: Some(true), ..Tables::default() };
    let mut town = Town::with(tables, Country::US, USD);
    let mut input = crate::town::seller(Country::US, USD);
    input.kind = None;
    input.controller = Some(florin::domain::record::Controller {
        losses_application: true,
        fees: FeesPayer::Application,
        dashboard: florin::domain::record::Dashboard::None,
        requirements_application: true,
    });
    let seller = AccountNo(town.done(Command::CreateAccount(Box::new(input))).seq);
    let sale = town.done_as(seller, crate::town::intent(10_000, USD, |_| {})).seq;
    let before = (town.total(P, USD), town.total(seller, USD));
    town.done_as(seller, claim(sale, None));
    let during = (town.total(P, USD) - before.0, town.total(seller, USD) - before.1);
    assert_eq!(during, (-1_500, -10_000));
    town.done_as(seller, Command::DecideDispute { dispute: dispute_id(sale), verdict: Verdict::Won });
    assert_eq!((town.total(P, USD), town.total(seller, USD)), before);
    town.expect_books_closed();
}

#[test]
fn a_dispute_is_answered_once_and_decided_once() {
    let mut town = Town::new();
    let birth = paid_by(&mut town, Recipe::Dispute, 10_000, USD);
    let id = dispute_id(birth);
    let again = "takes no evidence";
    give(&mut town, answer(id, EvidenceWords::None));
    assert_eq!(of(&town, &id).status, DisputeStatus::UnderReview);
    assert!(town.refused(answer(id, EvidenceWords::Winning)).message.contains(again));
    assert!(town.refused(Command::CloseDispute { dispute: id }).message.contains("under_review"));
    let escalates = Command::DecideDispute { dispute: id, verdict: Verdict::Escalated };
    assert!(town.refused(escalates).message.contains("already"));
    town.done(Command::DecideDispute { dispute: id, verdict: Verdict::Lost });
    assert!(town.refused(Command::DecideDispute { dispute: id, verdict: Verdict::Won }).message.contains("lost"));
    town.advance_days(365);
    assert_eq!(of(&town, &id).status, DisputeStatus::Lost);
    // Its metadata may still change.
    town.done(Command::UpdateDispute { dispute: id, submit: None, evidence: false, words: None });
    town.expect_books_closed();
}

#[test]
fn staged_evidence_waits_for_its_submission() {
    let mut town = Town::new();
    let birth = paid_by(&mut town, Recipe::Dispute, 10_000, USD);
    let id = dispute_id(birth);
    let submits = Command::UpdateDispute { dispute: id, submit: Some(true), evidence: false, words: None };
    assert_eq!(town.refused(submits.clone()).param.as_deref(), Some("submit"), "there is none yet");
    let staged = Command::UpdateDispute {
        dispute: id,
        submit: Some(false),
        evidence: true,
        words: Some(EvidenceWords::Winning),
    };
    give(&mut town, staged);
    let dispute = of(&town, &id);
    assert_eq!((dispute.status, dispute.has_evidence, dispute.submissions), (DisputeStatus::NeedsResponse, true, 0));
    town.done(submits);
    assert_eq!(of(&town, &id).status, DisputeStatus::Won, "what was staged decides");
}

#[test]
fn what_nobody_submitted_in_time_is_lost_even_if_it_was_staged() {
    let mut town = Town::new();
    let birth = paid_by(&mut town, Recipe::Dispute, 10_000, USD);
    let id = dispute_id(birth);
    let staged = Command::UpdateDispute {
        dispute: id,
        submit: Some(false),
        evidence: true,
        words: Some(EvidenceWords::Winning),
    };
    give(&mut town, staged);
    town.advance_days(10);
    assert_eq!(of(&town, &id).status, DisputeStatus::Lost);
}

#[test]
fn only_what_can_be_disputed_is() {
    let mut town = Town::new();
    let seller = town.seller(Country::US, USD);
    let declined = paid_by(&mut town, Recipe::GenericDecline, 10_000, USD);
    assert!(town.refused(claim(declined, None)).message.contains("captured"));
    assert_eq!(town.refused(claim(2, None)).code.as_deref(), Some("resource_missing"));
    let direct = town.done_as(seller, crate::town::intent(10_000, USD, |_| {})).seq;
    assert_eq!(town.refused(claim(direct, None)).code.as_deref(), Some("resource_missing"), "it is the seller's");
    let asked = paid_by(&mut town, Recipe::DisputeInquiry, 10_000, USD);
    assert!(town.refused(claim(asked, None)).message.contains("inquiry"));
}
