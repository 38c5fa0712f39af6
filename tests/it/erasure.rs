//! A person can be forgotten: deleting a customer erases the key that sealed what was said of it. Payments keep what
//! they say themselves, as they do elsewhere.

use std::path::Path;
use std::sync::Arc;

use florin::domain::record::Record;
use florin::domain::seal::{Sealed, Vault};
use florin::engine::boot::secrets;
use florin::engine::entry::{JournalEntry, decode_record};
use florin::engine::journal::{Check, FileStorage, ReadFrom, Reader};
use florin::engine::vault::Absent;
use serde_json::{Value, json};

use crate::daemon::{Client, Daemon, Reply, form, run, text};

/// What a record of this kind seals.
fn sealed(record: &Record) -> Option<&Sealed> {
    Some(match record {
        Record::Account(record) => &record.private,
        Record::Customer(record) => &record.private,
        Record::PaymentMethod(record) => &record.private,
        Record::Token(record) => &record.private,
        Record::Flow(record) => &record.private,
        Record::Attempt(record) => &record.private,
        Record::Refund(record) => &record.private,
        Record::Reversal(record) => &record.private,
        Record::FeeRefund(record) => &record.private,
        Record::Payout(record) => &record.private,
        Record::SplitRule(record) => &record.private,
        Record::Adjustment(record) => &record.private,
        Record::Setup(record) => &record.private,
        Record::Person(record) => &record.private,
        Record::Dispute(record) => &record.private,
        Record::Topup(record) => &record.private,
        Record::ApiKey(record) => &record.private,
        Record::Product(record) => &record.private,
        Record::Price(record) => &record.private,
        Record::SetupAttempt(_) | Record::Reserve(_) | Record::Collection(_) => return None,
    })
}

/// Every text that whoever holds the data folder, keys and all, can read out of its journal.
fn readable(data: &Path) -> String {
    let (_, vault) = secrets(&data.join("keys"), 1, Absent::Refuse).expect("the keys");
    let reader = Reader::offline(Arc::new(FileStorage::at(data.join("journal"))));
    let mut texts = String::new();
    let mut read = |sealed: Option<&Sealed>| {
        if let Some(plain) = sealed.filter(|sealed| !sealed.bytes.is_empty()).and_then(|sealed| vault.open(sealed)) {
            texts.push_str(&String::from_utf8_lossy(&plain));
            texts.push('\n');
        }
    };
    for frame in reader.frames_from(ReadFrom::Beginning, Check::Chain).expect("a journal") {
        let frame = frame.expect("a whole journal");
        let entry = JournalEntry::from_bytes(&frame.payload).expect("an entry");
        read(Some(&entry.texts));
        for change in &entry.changes {
            read(sealed(&change.record().expect("a record")));
            if let Some(before) = &change.before {
                read(sealed(&decode_record(before).expect("a record")));
            }
        }
    }
    texts
}

fn keyed(client: &mut Client, key: &str, path: &str, parameters: &[(&str, &str)]) -> Reply {
    client.send("POST", path, &[("Idempotency-Key", key)], &form(parameters)).expect("an answer")
}

fn delete(client: &mut Client, path: &str) -> Reply {
    client.send("DELETE", path, &[], "").expect("an answer")
}

fn verified(data: &Path) -> Value {
    let path = data.to_str().expect("a path");
    let done = run(&["verify", path, "--json"]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let report: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let replayed = run(&["replay", path, "--json"]);
    let replayed: Value = serde_json::from_slice(&replayed.stdout).expect("JSON");
    assert_eq!(report["platforms"][0]["digest"], replayed["platforms"][0]["digest"]);
    report["platforms"][0].clone()
}

/// What only the person's own objects say, in a word each.
const SECRETS: [&str; 8] =
    ["Lovelace", "ada@person", "Ockham", "+4420", "countess", "loyalty", "engine-club", "Marylebone"];
/// What the payments say.
const KEPT: [&str; 5] = ["Invoice 1843", "ada@receipts", "Dock Street", "order-notes", "Byron"];

const CUSTOMER: [(&str, &str); 7] = [
    ("name", "Ada Lovelace"),
    ("email", "ada@person.example"),
    ("phone", "+4420"),
    ("address[line1]", "Ockham Park"),
    ("description", "a countess"),
    ("metadata[loyalty]", "gold"),
    ("shipping[name]", "Ada Lovelace"),
];

struct Person {
    customer: String,
    method: String,
    intent: String,
    charge: String,
    failed: String,
}

/// A customer with a saved card, that has paid, and once could not.
fn person(client: &mut Client) -> Person {
    let customer = text(&keyed(client, "person", "/v1/customers", &CUSTOMER).ok()["id"]).to_owned();
    let attach = |client: &mut Client, card: &str| {
        let path = format!("/v1/payment_methods/{card}/attach");
        text(&client.post(&path, &[("customer", &customer)]).ok()["id"]).to_owned()
    };
    let (method, poor) = (attach(client, "pm_card_visa"), attach(client, "pm_card_chargeCustomerFail"));
    for card in [&method, &poor] {
        let billing = [
            ("billing_details[name]", "Lady Byron"),
            ("billing_details[address][city]", "Marylebone"),
            ("metadata[club]", "engine-club"),
        ];
        client.post(&format!("/v1/payment_methods/{card}"), &billing[..1]).ok();
        let pay = [
            ("amount", "1843"),
            ("currency", "usd"),
            ("confirm", "true"),
            ("customer", customer.as_str()),
            ("payment_method", card),
            ("payment_method_types[]", "card"),
            ("description", "Invoice 1843"),
            ("receipt_email", "ada@receipts.example"),
            ("shipping[name]", "A."),
            ("shipping[address][line1]", "1 Dock Street"),
            ("metadata[order-notes]", "fragile"),
        ];
        keyed(client, &format!("pay {card}"), "/v1/payment_intents", &pay);
        // Told after the payment: the charge does not say it, and the person's card does.
        client.post(&format!("/v1/payment_methods/{card}"), &billing[1..]).ok();
    }
    let paid = client.list(None, "/v1/payment_intents");
    let [failed, paid] = paid.as_slice() else { panic!("two payments: {paid:?}") };
    let id = |value: &Value| text(value).to_owned();
    Person { customer, method, intent: id(&paid["id"]), charge: id(&paid["latest_charge"]), failed: id(&failed["id"]) }
}

/// What the API still says of a person who is gone.
fn expect_forgotten(client: &mut Client, person: &Person) {
    let Person { customer, method, intent, charge, failed } = person;
    let stub = client.get(&format!("/v1/customers/{customer}")).ok();
    assert_eq!(stub, json!({ "id": customer, "object": "customer", "deleted": true }));
    let card = client.get(&format!("/v1/payment_methods/{method}")).ok();
    assert_eq!((&card["billing_details"]["name"], &card["metadata"]), (&Value::Null, &json!({})));

    for intent in [intent, failed] {
        let paid = client.get(&format!("/v1/payment_intents/{intent}?expand[]=latest_charge&expand[]=customer")).ok();
        assert_eq!(paid["customer"], stub);
        for object in [&paid, &paid["latest_charge"]] {
            assert_eq!(object["description"], "Invoice 1843");
            assert_eq!(object["receipt_email"], "ada@receipts.example");
            assert_eq!(object["shipping"]["address"]["line1"], "1 Dock Street");
            assert_eq!(object["metadata"], json!({ "order-notes": "fragile" }));
        }
        let billing = &paid["latest_charge"]["billing_details"];
        assert_eq!((&billing["name"], &billing["address"]["city"]), (&Value::from("Lady Byron"), &Value::Null));
    }
    let listed = client.get(&format!("/v1/charges?customer={customer}")).ok();
    let kept = listed["data"].as_array().expect("a list").iter().find(|have| have["id"] == charge.as_str());
    assert_eq!(kept.expect("it is listed")["billing_details"]["name"], "Lady Byron");

    // Events tell what happened, and no longer to whom.
    let events = client.list(None, "/v1/events");
    let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).collect::<Vec<_>>();
    for kind in ["customer.created", "customer.deleted"] {
        let told = of(kind);
        let object = told.iter().map(|event| &event["data"]["object"]).find(|object| object["id"] == customer.as_str());
        let object = object.expect("it happened");
        assert_eq!(object["object"], "customer", "as it was, and no stub");
        for gone in ["name", "email", "phone", "address", "description", "shipping"] {
            assert_eq!(object[gone], Value::Null, "{gone} in {kind}");
        }
        assert_eq!(object["metadata"], json!({}));
    }
    assert_eq!(of("charge.succeeded")[0]["data"]["object"]["billing_details"]["name"], "Lady Byron");

    // So does the answer that is kept under the key of its creation.
    let replay = keyed(client, "person", "/v1/customers", &CUSTOMER);
    assert!(replay.is_replay() && replay.status == 200);
    let replay = replay.json();
    assert_eq!((&replay["id"], &replay["email"]), (&Value::from(customer.clone()), &Value::Null));

    // It cannot be used, and its cards neither.
    let update = client.post(&format!("/v1/customers/{customer}"), &[("name", "Ada")]);
    assert_eq!((update.status, &update.json()["error"]["code"]), (404, &Value::from("resource_missing")));
    for verb in ["detach", "attach"] {
        let to = [("customer", customer.as_str())];
        let parameters = if verb == "attach" { &to[..] } else { &[] };
        assert_eq!(client.post(&format!("/v1/payment_methods/{method}/{verb}"), parameters).status, 400, "{verb}");
    }
}

#[test]
fn a_deleted_customers_texts_cannot_be_read_by_anybody_and_its_payments_keep_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let daemon = Daemon::start(&data);
    let client = &mut daemon.client();
    let gone = person(client);
    let other = text(&client.post("/v1/customers", &[("name", "Mary Somerville")]).ok()["id"]).to_owned();
    let before = readable(&data);
    for secret in SECRETS.iter().chain(&KEPT) {
        assert!(before.contains(secret), "{secret} can be read while the customer is there");
    }

    assert_eq!(delete(client, &format!("/v1/customers/{}", gone.customer)).status, 200);
    // At once: whoever kills the daemon now finds nothing either.
    daemon.kill();
    let after = readable(&data);
    for secret in SECRETS {
        assert!(!after.contains(secret), "{secret} can still be read");
    }
    for kept in KEPT.iter().chain(&["Mary Somerville"]) {
        assert!(after.contains(kept), "{kept} is the payments', or another's");
    }

    let verify = |data: &Path| {
        let report = verified(data);
        assert_eq!(report["checked_by_law"], 0);
        // The customer, its two cards twice changed and once charged, attached with and without texts.
        assert!(report["texts_erased"].as_u64().is_some_and(|erased| erased >= 7), "{report}");
    };
    verify(&data);
    let daemon = Daemon::start(&data);
    let client = &mut daemon.client();
    expect_forgotten(client, &gone);
    assert_eq!(client.get(&format!("/v1/customers/{other}")).ok()["name"], "Mary Somerville");

    // What comes later is decided as ever, and the caches are what the journal makes of it.
    client.post("/v1/refunds", &[("charge", &gone.charge), ("amount", "43"), ("metadata[why]", "late")]).ok();
    client.post(&format!("/v1/charges/{}", gone.charge), &[("metadata[checked]", "yes")]).ok();
    client.post(&format!("/v1/charges/{}", gone.charge), &[("metadata[checked]", "")]).ok();
    daemon.stop();
    for cache in ["objects", "snapshots"] {
        std::fs::remove_dir_all(data.join(cache)).expect("a cache");
    }
    let daemon = Daemon::start(&data);
    expect_forgotten(&mut daemon.client(), &gone);
    daemon.stop();
    verify(&data);
    assert!(!readable(&data).contains("Lovelace"));
}

/// What was begun for a customer who is gone comes to its end without it: nothing is saved to it or sealed for it.
#[test]
fn an_intent_of_a_deleted_customer_goes_on_and_keeps_its_card_to_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let daemon = Daemon::start(&data);
    let client = &mut daemon.client();
    let customer = text(&client.post("/v1/customers", &CUSTOMER).ok()["id"]).to_owned();
    let begun = [
        ("customer", customer.as_str()),
        ("payment_method_types[]", "card"),
        ("payment_method_data[type]", "card"),
        ("payment_method_data[card][number]", "4242424242424242"),
        ("payment_method_data[card][exp_month]", "1"),
        ("payment_method_data[card][exp_year]", "2040"),
        ("payment_method_data[billing_details][name]", "Lady Byron"),
        ("description", "Invoice 1843"),
    ];
    let pays = [("amount", "1843"), ("currency", "usd"), ("setup_future_usage", "off_session")];
    let payment = client.post("/v1/payment_intents", &[&begun[..], &pays].concat()).ok();
    let setup = client.post("/v1/setup_intents", &begun).ok();
    assert_eq!(delete(client, &format!("/v1/customers/{customer}")).status, 200);

    let (payment, setup) = (text(&payment["id"]), text(&setup["id"]));
    client.post(&format!("/v1/setup_intents/{setup}"), &[("metadata[tried]", "yes")]).ok();
    let expand = [("expand[]", "payment_method")];
    let setup = client.post(&format!("/v1/setup_intents/{setup}/confirm"), &expand).ok();
    let expand = [("expand[]", "payment_method"), ("expand[]", "latest_charge")];
    let paid = client.post(&format!("/v1/payment_intents/{payment}/confirm"), &expand).ok();
    for intent in [&setup, &paid] {
        assert_eq!((&intent["status"], &intent["description"]), (&json!("succeeded"), &json!("Invoice 1843")));
        let card = &intent["payment_method"];
        assert_eq!((&card["customer"], &card["billing_details"]["name"]), (&Value::Null, &json!("Lady Byron")));
    }
    assert_eq!(setup["metadata"], json!({ "tried": "yes" }));
    assert_eq!(paid["latest_charge"]["billing_details"]["name"], "Lady Byron");
    daemon.stop();
    // Only the customer's own making lies under the key that went.
    assert_eq!(verified(&data)["texts_erased"], 1);
}

#[test]
fn every_charge_of_a_payment_keeps_what_was_said_when_it_was_charged() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(&folder.path().join("data"));
    let client = &mut daemon.client();
    let card = |number: &'static str, name: &'static str| {
        [
            ("payment_method_data[type]", "card"),
            ("payment_method_data[card][number]", number),
            ("payment_method_data[card][exp_month]", "12"),
            ("payment_method_data[card][exp_year]", "2034"),
            ("payment_method_data[billing_details][name]", name),
        ]
    };
    let pay = [
        ("amount", "900"),
        ("currency", "usd"),
        ("confirm", "true"),
        ("payment_method_types[]", "card"),
        ("description", "first try"),
    ];
    let declined = client.post("/v1/payment_intents", &[&pay[..], &card("4000000000000002", "Ada")].concat());
    assert_eq!(declined.status, 402);
    let intent = text(&declined.json()["error"]["payment_intent"]["id"]).to_owned();
    client.post(&format!("/v1/payment_intents/{intent}"), &[("description", "second try")]).ok();
    let confirm = format!("/v1/payment_intents/{intent}/confirm");
    client.post(&confirm, &card("4242424242424242", "Grace")).ok();
    client.post(&format!("/v1/payment_intents/{intent}"), &[("description", "all is well")]).ok();

    let customer = text(&client.post("/v1/customers", &[]).ok()["id"]).to_owned();
    let attached = client.post("/v1/payment_methods/pm_card_visa/attach", &[("customer", &customer)]).ok();
    let method = text(&attached["id"]).to_owned();
    let saved = [("customer", customer.as_str()), ("payment_method", method.as_str())];
    client.post("/v1/payment_intents", &[&pay[..4], &saved].concat()).ok();
    // Its card had no name when it was charged, and it does not get one later.
    client.post(&format!("/v1/payment_methods/{method}"), &[("billing_details[name]", "Mary")]).ok();

    let charges = client.list(None, "/v1/charges");
    let said: Vec<(&Value, &Value, &Value)> = charges
        .iter()
        .map(|charge| (&charge["paid"], &charge["billing_details"]["name"], &charge["description"]))
        .collect();
    let (yes, no) = (&Value::Bool(true), &Value::Bool(false));
    let words = ["Grace", "second try", "Ada", "first try"].map(Value::from);
    let [grace, second, ada, first] = &words;
    assert_eq!(said, [(yes, &Value::Null, &Value::Null), (yes, grace, second), (no, ada, first)]);
}
