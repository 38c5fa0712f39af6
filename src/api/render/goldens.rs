//! Renderings of the worked destination charge (100.00 with a fee of 10.00), object by object.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::secrets::Secrets;
use super::super::view::{Stage, Stop, View};
use super::{ToBytes, ToTree, object, owner};
use crate::domain::record::*;
use crate::domain::seal::{Nonce, Sealed, Texts, Vault};
use crate::ledger::{AccountNo, Rail, SourceType};
use crate::primitives::country::Country;
use crate::primitives::currency::Currency;
use crate::primitives::id::{IdCipher, ObjectKind};
use crate::primitives::time::{Day, Timestamp};

const NOW: i64 = 1_795_000_000;
const BIRTH: u64 = 40;
const SELLER: AccountNo = AccountNo(3);

/// Seals nothing: what was written is what is read.
struct Open;

impl Vault for Open {
    fn seal(&self, _: u32, _: Nonce, plain: &[u8]) -> Vec<u8> {
        plain.to_vec()
    }

    fn open(&self, sealed: &Sealed) -> Option<Vec<u8>> {
        Some(sealed.bytes.clone())
    }
}

fn sealed(texts: &[(&str, &str)]) -> Sealed {
    let texts = Texts(texts.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect());
    Sealed { bytes: texts.to_bytes(), ..Sealed::default() }
}

fn made() -> Made {
    Made { seq: BIRTH, at: Timestamp::from_seconds(NOW) }
}

fn key() -> RecordKey {
    RecordKey::head(BIRTH)
}

fn row(account: AccountNo, kind: RowKind, amount: i64, fee: i64, application_fee: i64, source: ObjectKind) -> Row {
    Row {
        account,
        kind,
        currency: Currency::USD,
        amount,
        fee,
        application_fee,
        source: RowSource { kind: source, key: key(), slot: 0 },
        available_on: Day(20_777),
        made: made(),
        conversion: None,
        source_type: None,
    }
}

fn flow() -> FlowRecord {
    let card = Card {
        brand: Brand::Visa,
        funding: Funding::Credit,
        country: Country::US,
        last4: 42,
        exp_month: 12,
        exp_year: 2034,
        fingerprint: [0xab; 8],
        recipe: Recipe::Succeed,
        cvc_check: Check::Pass,
    };
    let method = MethodRef { key: key(), slot: Slot::INLINE_METHOD };
    FlowRecord {
        owner: AccountNo::PLATFORM,
        made: made(),
        intent: Some(Intent {
            amount: 10_000,
            currency: Currency::USD,
            status: IntentStatus::Succeeded,
            capture_method: CaptureMethod::AutomaticAsync,
            confirmation_manual: false,
            customer: None,
            method: Some(method),
            split: Split::Destination { account: SELLER, application_fee: Some(1_000) },
            amount_capturable: 0,
            amount_received: 10_000,
            canceled_at: None,
            cancellation_reason: None,
            last_error: None,
            attempts: 1,
            automatic_methods: Some(false),
            method_types: Vec::new(),
            setup_future_usage: None,
            capture_before: None,
            on_behalf_of: None,
            without_object: false,
            options: None,
            authentication: None,
            failed_method: None,
        }),
        charge: Some(Charge {
            made: made(),
            attempt: 0,
            amount: 10_000,
            amount_captured: 10_000,
            amount_refunded: 0,
            currency: Currency::USD,
            captured: true,
            failure: None,
            rail: Rail::Card,
            card,
            method,
            available_on: Some(Day(20_777)),
            uncaptured_rest: 0,
            transferred: 10_000,
            three_d_secure: None,
            disputes: None,
            waiting: 0,
        }),
        transfers: vec![Transfer {
            made: made(),
            destination: SELLER,
            amount: 10_000,
            currency: Currency::USD,
            amount_reversed: 0,
            source: TransferSource::OwnCharge,
            payment_amount: 10_000,
            payment_currency: Currency::USD,
            payment_refunded: 0,
            fee: Some(ApplicationFee {
                amount: 1_000,
                currency: Currency::USD,
                amount_refunded: 0,
                charged: 1_000,
                charged_currency: Currency::USD,
                charged_refunded: 0,
                recent_refunds: Vec::new(),
                earned_currency: None,
            }),
            source_type: SourceType::Card,
            recent_reversals: Vec::new(),
            available_on: Day(20_777),
        }],
        rows: vec![
            row(AccountNo::PLATFORM, RowKind::Charge, 10_000, 320, 0, ObjectKind::Charge),
            row(AccountNo::PLATFORM, RowKind::Transfer, -10_000, 0, 0, ObjectKind::Transfer),
            row(SELLER, RowKind::Payment, 10_000, 1_000, 1_000, ObjectKind::Payment),
            row(AccountNo::PLATFORM, RowKind::ApplicationFee, 1_000, 0, 0, ObjectKind::ApplicationFee),
        ],
        children: 0,
        recent_refunds: Vec::new(),
        inline_method: Some(InlineMethod { card, made: made(), slot: Slot::INLINE_METHOD }),
        private: sealed(&[
            ("pi.description", "Order 7"),
            ("pi.metadata[order]", "7"),
            ("pi.payment_method_data[billing_details][name]", "Jenny"),
            ("pi.shipping[address][city]", "Delft"),
        ]),
        charge_text_split: false,
        direct_fee: None,
    }
}

struct World {
    ids: IdCipher,
    secrets: Secrets,
    stage: Stage,
}

fn world(flow: FlowRecord) -> World {
    let mut stage = Stage::at(Timestamp::from_seconds(NOW));
    stage.put(key(), Some(Arc::new(Record::Flow(Box::new(flow)))));
    World { ids: IdCipher::new([7; 16]), secrets: Secrets::new([1; 32], [2; 32], [3; 32]), stage }
}

impl World {
    fn view(&self) -> View<'_> {
        View::with(&self.stage, &self.ids, &Open, &self.secrets)
    }

    fn shown(&self, kind: ObjectKind, slot: u16) -> Value {
        object(&self.view(), &key().id(kind, slot), ToTree).unwrap()
    }

    fn id(&self, kind: ObjectKind, slot: u16) -> String {
        self.ids.encode(&key().id(kind, slot))
    }
}

/// Every field of `want` is in `have` with that value.
fn holds(have: &Value, want: &Value) {
    for (name, value) in want.as_object().unwrap() {
        assert_eq!(&have[name], value, "{name} of {}", have["object"]);
    }
}

#[test]
fn the_destination_charge_of_the_reference_shows_its_objects() {
    let world = world(flow());
    let id = |kind| world.id(kind, 0);
    let group = format!("group_{}", id(ObjectKind::PaymentIntent));
    let seller = world.ids.encode(&RecordKey::head(SELLER.0).id(ObjectKind::Account, 0));
    let intent = world.shown(ObjectKind::PaymentIntent, 0);
    holds(
        &intent,
        &json!({
            "id": id(ObjectKind::PaymentIntent), "object": "payment_intent", "amount": 10_000, "amount_received": 10_000,
            "application_fee_amount": 1_000, "status": "succeeded", "description": "Order 7",
            "metadata": { "order": "7" }, "latest_charge": id(ObjectKind::Charge),
            "payment_method": world.id(ObjectKind::PaymentMethod, 1), "transfer_data": { "destination": seller },
            "transfer_group": group, "last_payment_error": null, "created": NOW, "payment_method_types": ["card"],
            "automatic_payment_methods": { "allow_redirects": "never", "enabled": true },
        }),
    );
    assert_eq!(intent["shipping"]["address"]["city"], "Delft");
    let secret = intent["client_secret"].as_str().unwrap();
    assert!(secret.starts_with(&format!("{}_secret_", id(ObjectKind::PaymentIntent))) && secret.len() == 25 + 33);
    holds(
        &world.shown(ObjectKind::Charge, 0),
        &json!({
            "id": id(ObjectKind::Charge), "amount_captured": 10_000, "refunded": false, "paid": true, "captured": true,
            "application_fee": id(ObjectKind::ApplicationFee), "application_fee_amount": 1_000,
            "balance_transaction": world.id(ObjectKind::BalanceTransaction, 0), "transfer": id(ObjectKind::Transfer),
            "transfer_group": group, "transfer_data": { "amount": null, "destination": seller }, "destination": seller,
            "description": "Order 7", "status": "succeeded", "payment_intent": id(ObjectKind::PaymentIntent),
        }),
    );
    let charge = world.shown(ObjectKind::Charge, 0);
    assert_eq!(charge["billing_details"]["name"], "Jenny");
    assert_eq!(charge["payment_method_details"]["card"]["last4"], "0042");
    assert_eq!(charge["payment_method_details"]["card"]["fingerprint"], "abababababababab");
    assert!(charge.get("refunds").is_none(), "refunds only come when asked for");
    holds(
        &world.shown(ObjectKind::Transfer, 0),
        &json!({
            "amount": 10_000, "destination": seller, "destination_payment": id(ObjectKind::Payment), "reversed": false,
            "source_transaction": id(ObjectKind::Charge), "transfer_group": group, "description": null,
            "balance_transaction": world.id(ObjectKind::BalanceTransaction, 1), "source_type": "card",
        }),
    );
    holds(
        &world.shown(ObjectKind::Payment, 0),
        &json!({
            "object": "charge", "amount": 10_000, "application_fee": id(ObjectKind::ApplicationFee),
            "application_fee_amount": 1_000, "source_transfer": id(ObjectKind::Transfer), "transfer_group": null,
            "balance_transaction": world.id(ObjectKind::BalanceTransaction, 2), "payment_intent": null,
        }),
    );
    holds(
        &world.shown(ObjectKind::ApplicationFee, 0),
        &json!({
            "account": seller, "amount": 1_000, "charge": id(ObjectKind::Payment), "refunded": false,
            "originating_transaction": id(ObjectKind::Charge),
            "balance_transaction": world.id(ObjectKind::BalanceTransaction, 3),
        }),
    );
}

#[test]
fn the_rows_of_the_reference_show_net_fee_and_state() {
    let world = world(flow());
    let rows: Vec<Value> = (0..4).map(|slot| world.shown(ObjectKind::BalanceTransaction, slot)).collect();
    let figures = |row: &Value| {
        let number = |name: &str| row[name].as_i64().unwrap();
        (row["type"].as_str().unwrap().to_owned(), number("amount"), number("fee"), number("net"))
    };
    assert_eq!(figures(&rows[0]), ("charge".to_owned(), 10_000, 320, 9_680));
    assert_eq!(figures(&rows[1]), ("transfer".to_owned(), -10_000, 0, -10_000));
    assert_eq!(figures(&rows[2]), ("payment".to_owned(), 10_000, 1_000, 9_000));
    assert_eq!(figures(&rows[3]), ("application_fee".to_owned(), 1_000, 0, 1_000));
    holds(
        &rows[0],
        &json!({
            "source": world.id(ObjectKind::Charge, 0), "status": "pending", "description": "Order 7",
            "available_on": Day(20_777).midnight().seconds(), "exchange_rate": null, "reporting_category": "charge",
        }),
    );
    assert_eq!(rows[0]["fee_details"][0]["type"], "stripe_fee");
    assert_eq!(rows[2]["fee_details"][0]["type"], "application_fee");
    assert_eq!(owner(&world.view(), &key().id(ObjectKind::BalanceTransaction, 2)).unwrap(), SELLER);
    assert_eq!(owner(&world.view(), &key().id(ObjectKind::Payment, 0)).unwrap(), SELLER);
    assert_eq!(owner(&world.view(), &key().id(ObjectKind::Transfer, 0)).unwrap(), AccountNo::PLATFORM);
}

#[test]
fn a_decline_shows_in_intent_and_charge() {
    let mut flow = flow();
    flow.transfers.clear();
    flow.rows.clear();
    let failure = Some(Decline { recipe: Recipe::InsufficientFunds });
    let charge = flow.charge.as_mut().unwrap();
    (charge.failure, charge.captured, charge.amount_captured, charge.transferred) = (failure, false, 0, 0);
    let intent = flow.intent.as_mut().unwrap();
    (intent.status, intent.last_error, intent.method) = (IntentStatus::RequiresPaymentMethod, failure, None);
    let world = world(flow);
    let intent = world.shown(ObjectKind::PaymentIntent, 0);
    holds(
        &intent["last_payment_error"],
        &json!({
            "code": "card_declined", "decline_code": "insufficient_funds", "charge": world.id(ObjectKind::Charge, 0),
            "network_decline_code": "51", "advice_code": "try_again_later", "type": "card_error",
        }),
    );
    assert_eq!(intent["last_payment_error"]["payment_method"]["id"], world.id(ObjectKind::PaymentMethod, 1));
    assert_eq!(intent["transfer_group"], Value::Null);
    let charge = world.shown(ObjectKind::Charge, 0);
    holds(
        &charge,
        &json!({
            "status": "failed", "paid": false, "captured": false, "failure_code": "card_declined",
            "balance_transaction": null, "refunded": false,
        }),
    );
    assert_eq!(charge["outcome"]["type"], "issuer_declined");
}

#[test]
fn what_is_not_there_is_gone_and_what_is_not_at_hand_is_noted() {
    let world = world(flow());
    let gone = |kind, slot| object(&world.view(), &key().id(kind, slot), ToBytes);
    assert!(matches!(gone(ObjectKind::Transfer, 1), Err(Stop::Gone)));
    assert!(matches!(gone(ObjectKind::Customer, 0), Err(Stop::Gone)));
    let view = world.view();
    let elsewhere = RecordKey::head(41).id(ObjectKind::Customer, 0);
    assert!(matches!(object(&view, &elsewhere, ToBytes), Err(Stop::Missing)));
    assert!(!view.missing().is_empty());
}

#[test]
fn bytes_and_tree_are_the_same_object() {
    let world = world(flow());
    for kind in [ObjectKind::PaymentIntent, ObjectKind::Charge, ObjectKind::Transfer, ObjectKind::ApplicationFee] {
        let bytes = object(&world.view(), &key().id(kind, 0), ToBytes).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), world.shown(kind, 0));
    }
}

/// How long an intent takes: `cargo test --release goldens -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn an_intent_is_rendered_in_microseconds() {
    let world = world(flow());
    let id = key().id(ObjectKind::PaymentIntent, 0);
    let started = std::time::Instant::now();
    let rounds: u32 = 100_000;
    for _ in 0..rounds {
        std::hint::black_box(object(&world.view(), &id, ToBytes).unwrap());
    }
    println!("{:?} for an intent", started.elapsed() / rounds);
}
