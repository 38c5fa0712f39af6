//! What a client meets on the wire: small promises, each over a daemon of its own.

use std::path::Path;

use serde_json::Value;

use crate::daemon::{Client, Daemon, Reply, form, seller, text};

fn start() -> (tempfile::TempDir, Daemon) {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(&folder.path().join("data"));
    (folder, daemon)
}

const CARD: (&str, &str) = ("payment_method", "pm_card_visa");
const CONFIRM: (&str, &str) = ("confirm", "true");

/// Creates a payment of 10.00 USD.
fn payment(client: &mut Client, with: &[&[(&str, &str)]]) -> Reply {
    client.post("/v1/payment_intents", &[&[("amount", "1000"), ("currency", "usd")], &with.concat()[..]].concat())
}

// ---------------------------------------------------------------------------------------------------------------
// Reading

/// Addresses that only take a POST.
const NOT_READ: [&str; 19] = [
    "/florin/keys/{key}/revoke",
    "/v1/accounts/{account}/reject",
    "/v1/accounts/{account}/unreject",
    "/v1/charges/{charge}/capture",
    "/v1/disputes/{dispute}/close",
    "/v1/payouts/{payout}/reverse",
    "/v1/setup_intents/{intent}/confirm",
    "/v1/setup_intents/{intent}/cancel",
    "/v1/topups/{topup}/cancel",
    "/florin/clock/advance",
    "/v1/payment_methods/{payment_method}/attach",
    "/v1/payment_methods/{payment_method}/detach",
    "/v1/tokens",
    "/v1/payment_intents/{intent}/confirm",
    "/v1/payment_intents/{intent}/capture",
    "/v1/payment_intents/{intent}/cancel",
    "/v1/payouts/{payout}/cancel",
    "/v1/refunds/{refund}/cancel",
    "/v1/test_helpers/refunds/{refund}/expire",
];

/// Every address of the router that can be read.
fn addresses() -> Vec<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/mod.rs");
    let source = std::fs::read_to_string(source).expect("the routes");
    let quoted = |route: &str| route.split('"').nth(1).expect("an address").to_owned();
    let all: Vec<String> = source.split(".route(").skip(1).map(quoted).collect();
    assert!(NOT_READ.iter().all(|address| all.iter().any(|have| have == address)));
    all.into_iter().filter(|address| !NOT_READ.contains(&&**address)).collect()
}

fn leads_to(path: &str, address: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let (mut steps, mut names) = (path.split('/'), address.split('/'));
    let all = steps.by_ref().zip(names.by_ref()).all(|(step, name)| name.starts_with('{') || step == name);
    all && path.split('/').count() == address.split('/').count()
}

/// A marketplace with one object of every kind, and where each of them is read.
fn one_of_everything(client: &mut Client) -> Vec<(Option<String>, String)> {
    let id = |object: &Value| text(&object["id"]).to_owned();
    let account = seller(client, "US", "Ada");
    let customer = id(&client.post("/v1/customers", &[("name", "Grace")]).ok());
    let attach = [("customer", customer.as_str())];
    let method = id(&client.post("/v1/payment_methods/pm_card_visa/attach", &attach).ok());
    let number = [("card[number]", "4242424242424242"), ("card[exp_month]", "12"), ("card[exp_year]", "2034")];
    let token = id(&client.post("/v1/tokens", &number).ok());
    let to_seller = [
        ("transfer_data[destination]", account.as_str()),
        ("application_fee_amount", "100"),
        ("payment_method", "pm_card_bypassPending"),
        ("payment_method_types[]", "card"),
    ];
    let intent = payment(client, &[&[CONFIRM], &to_seller]).ok();
    let charge = client.get(&format!("/v1/charges/{}", text(&intent["latest_charge"]))).ok();
    let give_back = [("charge", text(&charge["id"])), ("reverse_transfer", "true"), ("refund_application_fee", "true")];
    let refund = client.post("/v1/refunds", &[&give_back[..], &[("amount", "300")]].concat()).ok();
    let (fee, transfer) = (text(&charge["application_fee"]), text(&charge["transfer"]));
    let fee_refund = id(&client.get(&format!("/v1/application_fees/{fee}/refunds")).ok()["data"][0]);
    let reversal = id(&client.get(&format!("/v1/transfers/{transfer}/reversals")).ok()["data"][0]);
    let pay_out = form(&[("amount", "100"), ("currency", "usd")]);
    let payout = client.send("POST", "/v1/payouts", &[("Stripe-Account", &account)], &pay_out);
    let payout = id(&payout.expect("an answer").ok());
    let bank = id(&client.get(&format!("/v1/accounts/{account}/external_accounts")).ok()["data"][0]);
    let row = id(&client.get("/v1/balance_transactions").ok()["data"][0]);
    let event = id(&client.get("/v1/events").ok()["data"][0]);
    let shares = [("name", "half"), ("shares[0][account]", account.as_str()), ("shares[0][percent]", "50")];
    let rule = id(&client.post("/florin/split_rules", &shares).ok());
    let correction = [
        ("repairs", "3"),
        ("reason", "a test"),
        ("author", "Ada"),
        ("postings[0][account]", "platform"),
        ("postings[0][amount]", "5"),
        ("postings[0][currency]", "usd"),
        ("postings[1][account]", "bank"),
        ("postings[1][amount]", "-5"),
        ("postings[1][currency]", "usd"),
    ];
    let adjustment = id(&client.post("/florin/adjustments", &correction).ok());
    let (intent, charge, refund) = (id(&intent), id(&charge), id(&refund));
    let company = [("type", "custom"), ("country", "US"), ("business_type", "company")];
    let company = id(&client
        .post("/v1/accounts", &[&company[..], &[("capabilities[transfers][requested]", "true")]].concat())
        .ok());
    let person = id(&client.post(&format!("/v1/accounts/{company}/persons"), &[("first_name", "Jo")]).ok());
    let set_up = [("payment_method", "pm_card_visa"), ("payment_method_types[]", "card"), CONFIRM];
    let setup = id(&client.post("/v1/setup_intents", &set_up).ok());
    payment(client, &[&[CONFIRM, ("payment_method", "pm_card_createDispute"), ("payment_method_types[]", "card")]])
        .ok();
    let dispute = loop {
        match &client.get("/v1/disputes").ok()["data"][0] {
            Value::Null => std::thread::sleep(std::time::Duration::from_millis(20)),
            dispute => break id(dispute),
        }
    };
    let topup = [("amount", "500"), ("currency", "usd"), ("source", "btok_us_verified")];
    let topup = id(&client.post("/v1/topups", &topup).ok());
    let product = id(&client.post("/v1/products", &[("name", "Tea")]).ok());
    let price = [("product", product.as_str()), ("currency", "usd"), ("unit_amount", "500")];
    let price = id(&client.post("/v1/prices", &price).ok());
    let key = id(&client.post("/florin/keys", &[("permissions[charge]", "read")]).ok());
    let of_platform = [
        "/v1/account".to_owned(),
        "/v1/accounts".to_owned(),
        format!("/v1/accounts/{account}"),
        format!("/v1/accounts/{account}/capabilities"),
        format!("/v1/accounts/{account}/capabilities/transfers"),
        format!("/v1/accounts/{account}/external_accounts"),
        format!("/v1/accounts/{account}/external_accounts/{bank}"),
        "/v1/customers".to_owned(),
        format!("/v1/customers/{customer}"),
        format!("/v1/customers/{customer}/payment_methods"),
        format!("/v1/customers/{customer}/payment_methods/{method}"),
        format!("/v1/payment_methods?customer={customer}"),
        format!("/v1/payment_methods/{method}?expand[]=customer"),
        "/v1/payment_methods/pm_card_visa".to_owned(),
        "/v1/payment_methods/pm_card_chargeDeclined?expand[]=customer".to_owned(),
        format!("/v1/tokens/{token}"),
        "/v1/payment_intents".to_owned(),
        format!("/v1/payment_intents/{intent}?expand[]=latest_charge.balance_transaction"),
        "/v1/charges".to_owned(),
        format!("/v1/charges/{charge}"),
        format!("/v1/charges/{charge}/refunds"),
        "/v1/refunds".to_owned(),
        format!("/v1/refunds/{refund}"),
        "/v1/transfers".to_owned(),
        format!("/v1/transfers/{transfer}"),
        format!("/v1/transfers/{transfer}/reversals"),
        format!("/v1/transfers/{transfer}/reversals/{reversal}"),
        "/v1/application_fees".to_owned(),
        format!("/v1/application_fees/{fee}"),
        format!("/v1/application_fees/{fee}/refunds"),
        format!("/v1/application_fees/{fee}/refunds/{fee_refund}"),
        "/v1/balance".to_owned(),
        "/v1/balance_transactions".to_owned(),
        format!("/v1/balance_transactions/{row}"),
        "/v1/payouts".to_owned(),
        "/v1/events".to_owned(),
        format!("/v1/events/{event}"),
        format!("/v1/accounts/{company}/persons"),
        format!("/v1/accounts/{company}/persons/{person}"),
        "/v1/balance_settings".to_owned(),
        "/v1/charges/search?query=status:'succeeded'".to_owned(),
        "/v1/customers/search?query=name:'Grace'".to_owned(),
        "/v1/payment_intents/search?query=status:'succeeded'".to_owned(),
        "/v1/country_specs".to_owned(),
        "/v1/country_specs/NL".to_owned(),
        "/v1/disputes".to_owned(),
        format!("/v1/disputes/{dispute}?expand[]=charge"),
        "/v1/exchange_rates".to_owned(),
        "/v1/exchange_rates/usd".to_owned(),
        "/v1/prices".to_owned(),
        format!("/v1/prices/{price}"),
        "/v1/products".to_owned(),
        format!("/v1/products/{product}"),
        "/v1/setup_intents".to_owned(),
        format!("/v1/setup_intents/{setup}"),
        format!("/v1/setup_attempts?setup_intent={setup}"),
        "/v1/topups".to_owned(),
        format!("/v1/topups/{topup}"),
        "/florin/keys".to_owned(),
        format!("/florin/keys/{key}"),
        "/florin/openapi.json".to_owned(),
        "/florin/health".to_owned(),
        "/metrics".to_owned(),
        "/florin/trial_balance".to_owned(),
        "/florin/adjustments".to_owned(),
        format!("/florin/adjustments/{adjustment}"),
        "/florin/split_rules".to_owned(),
        format!("/florin/split_rules/{rule}"),
        "/florin/split_rules/half".to_owned(),
    ];
    let of_seller = ["/v1/balance".to_owned(), "/v1/charges".to_owned(), format!("/v1/payouts/{payout}")];
    let of_platform = of_platform.map(|path| (None, path));
    of_platform.into_iter().chain(of_seller.map(|path| (Some(account.clone()), path))).collect()
}

#[test]
fn looking_at_things_writes_nothing() {
    let (_folder, daemon) = start();
    let client = &mut daemon.client();
    let places = one_of_everything(client);
    for address in addresses() {
        assert!(places.iter().any(|(_, path)| leads_to(path, &address)), "{address} is not looked at here");
    }
    let entries = |client: &mut Client| client.get("/florin/trial_balance").ok()["sequence"].clone();
    let before = entries(client);
    for (account, path) in &places {
        let reply = client.get_as(account.as_deref(), path);
        assert_eq!(reply.status, 200, "{path}: {}", String::from_utf8_lossy(&reply.body));
        assert_eq!(entries(client), before, "GET {path}");
    }
}

#[test]
fn a_test_card_is_looked_at_under_its_name_and_used_by_it() {
    let (_folder, daemon) = start();
    let client = &mut daemon.client();
    for (name, brand, last4) in [
        ("pm_card_visa", "visa", "4242"),
        ("pm_card_mastercard", "mastercard", "4444"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "visa", "9995"),
    ] {
        let looked_at = client.get(&format!("/v1/payment_methods/{name}")).ok();
        assert_eq!((text(&looked_at["id"]), text(&looked_at["object"])), (name, "payment_method"));
        assert_eq!((text(&looked_at["card"]["brand"]), text(&looked_at["card"]["last4"])), (brand, last4));
        assert_eq!(looked_at["customer"], Value::Null);
        // What is made of it differs only in what makes it one of its own.
        let card = [("type", "card"), ("card[token]", &name.replacen("pm_card_", "tok_", 1))];
        let mut made = client.post("/v1/payment_methods", &card).ok();
        for own in ["id", "created"] {
            assert_ne!(made[own], Value::Null);
            made[own] = looked_at[own].clone();
        }
        assert_eq!(made, looked_at);
    }
    let looked_at = client.get("/v1/payment_methods/pm_card_visa").ok();
    let paid = payment(
        client,
        &[&[CONFIRM, ("payment_method_types[]", "card")], &[("payment_method", text(&looked_at["id"]))]],
    );
    assert_eq!(paid.ok()["status"], "succeeded");
    for name in ["pm_card_nobody", "tok_visa"] {
        let reply = client.get(&format!("/v1/payment_methods/{name}"));
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (404, &Value::from("resource_missing")), "{name}");
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Confirming

#[test]
fn a_payment_that_may_redirect_needs_a_return_url_however_it_is_confirmed() {
    let (_folder, daemon) = start();
    let client = &mut daemon.client();
    let back = ("return_url", "https://shop.example.com/paid");
    let automatic = ("automatic_payment_methods[enabled]", "true");
    let redirects = |allowed| ("automatic_payment_methods[allow_redirects]", allowed);
    let cards = ("payment_method_types[]", "card");
    let cases: [(&str, &[(&str, &str)], &[(&str, &str)], bool); 8] = [
        ("no word on methods", &[], &[], false),
        ("no word on methods, and an address", &[], &[back], true),
        ("automatic methods", &[automatic], &[], false),
        ("automatic methods, and an address", &[automatic], &[back], true),
        ("redirects allowed", &[automatic, redirects("always")], &[], false),
        ("no redirects", &[automatic, redirects("never")], &[], true),
        ("cards only", &[cards], &[], true),
        ("cards only, as the current name has it", &[("allowed_payment_method_types[]", "card")], &[], true),
    ];
    let expect = |case: &str, reply: &Reply, succeeds: bool| {
        let body = reply.json();
        if succeeds {
            assert_eq!((reply.status, &body["status"]), (200, &Value::from("succeeded")), "{case}: {body}");
            return;
        }
        assert_eq!((reply.status, &body["error"]["type"]), (400, &Value::from("invalid_request_error")), "{case}");
        assert!(text(&body["error"]["message"]).contains("`return_url`"), "{case}: {body}");
    };
    for (case, created, confirmed, succeeds) in cases {
        let reply = payment(client, &[created, confirmed, &[CARD, CONFIRM]]);
        expect(case, &reply, succeeds);
        if !succeeds {
            assert_eq!(reply.json()["error"]["payment_intent"], Value::Null, "{case}: it was not made");
        }

        let intent = payment(client, &[created]).ok();
        let path = format!("/v1/payment_intents/{}", text(&intent["id"]));
        let reply = client.post(&format!("{path}/confirm"), &[confirmed, &[CARD]].concat());
        expect(case, &reply, succeeds);
        if !succeeds {
            assert_eq!(reply.json()["error"]["payment_intent"], intent, "{case}");
            assert_eq!(client.get(&path).ok(), intent, "{case}: it is as it was");
            // Nor does it need one where the confirmation itself says cards only.
            expect(case, &client.post(&format!("{path}/confirm"), &[cards, CARD]), true);
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Attempts

#[test]
fn each_attempt_has_the_texts_that_the_payment_had_when_it_was_made() {
    const DESCRIBED: [(&str, &str); 2] = [("description", "first"), ("metadata[order]", "1")];
    const AGAIN: [(&str, &str); 2] = [("description", "second"), ("metadata[order]", "2")];
    let (_folder, daemon) = start();
    let client = &mut daemon.client();
    // How it is created; what then becomes of the payment, of the failed charge, and with the next confirmation;
    // descriptions of the failed charge and of the one that succeeds.
    type Change = &'static [(&'static str, &'static str)];
    let cases: [(Change, Change, Change, Change, Option<&str>, Option<&str>); 8] = [
        (&DESCRIBED, &[], &[], &[], Some("first"), Some("first")),
        (&DESCRIBED, &AGAIN, &[], &[], Some("first"), Some("second")),
        (&DESCRIBED, &[], &[("description", "it failed")], &[], Some("it failed"), Some("first")),
        (&DESCRIBED, &AGAIN, &[("description", "it failed")], &[], Some("it failed"), Some("second")),
        (&[], &AGAIN, &[], &[], None, Some("second")),
        (&DESCRIBED, &[("description", "")], &[], &[], Some("first"), None),
        (&DESCRIBED, &[], &[], &[("receipt_email", "ada@example.com")], Some("first"), Some("first")),
        (&DESCRIBED, &AGAIN, &[], &[("receipt_email", "ada@example.com")], Some("first"), Some("second")),
    ];
    for (created, updated, charge_updated, confirmed, failed_says, paid_says) in cases {
        let case = format!("{created:?}, {updated:?}, {charge_updated:?}, {confirmed:?}");
        let declined = [CONFIRM, ("payment_method", "pm_card_chargeDeclined"), ("payment_method_types[]", "card")];
        let reply = payment(client, &[created, &declined]);
        assert_eq!(reply.status, 402, "{case}");
        let error = reply.json()["error"].clone();
        let intent = format!("/v1/payment_intents/{}", text(&error["payment_intent"]["id"]));
        let failed = format!("/v1/charges/{}", text(&error["charge"]));
        if !updated.is_empty() {
            client.post(&intent, updated).ok();
        }
        if !charge_updated.is_empty() {
            client.post(&failed, charge_updated).ok();
        }
        // Another failure in between: that charge too has the texts of its time.
        let reply = client.post(&format!("{intent}/confirm"), &[("payment_method", "pm_card_chargeDeclined")]);
        assert_eq!(reply.status, 402, "{case}");
        let between = format!("/v1/charges/{}", text(&reply.json()["error"]["charge"]));
        let paid = client.post(&format!("{intent}/confirm"), &[confirmed, &[CARD]].concat()).ok();
        let paid_path = format!("/v1/charges/{}", text(&paid["latest_charge"]));

        let expect = |client: &mut Client, path: &str, says: Option<&str>| {
            let charge = client.get(path).ok();
            assert_eq!(charge["description"].as_str(), says, "{case}: {charge:#}");
            charge
        };
        let failed_charge = expect(client, &failed, failed_says);
        let order = (!created.is_empty()).then_some("1");
        assert_eq!(failed_charge["metadata"]["order"].as_str(), order, "{case}");
        expect(client, &between, paid_says);
        let charge = expect(client, &paid_path, paid_says);
        assert_eq!(charge["metadata"], paid["metadata"], "{case}");
        assert_eq!(charge["receipt_email"], paid["receipt_email"], "{case}");
        let row = client.get(&format!("/v1/balance_transactions/{}", text(&charge["balance_transaction"]))).ok();
        assert_eq!(row["description"].as_str(), paid_says, "{case}");

        // What changes on the payment from now on is not the charges' any more, and the other way round.
        client.post(&intent, &[("description", "later")]).ok();
        client.post(&paid_path, &[("metadata[shelf]", "7")]).ok();
        expect(client, &failed, failed_says);
        expect(client, &between, paid_says);
        expect(client, &paid_path, paid_says);
        let after = client.get(&intent).ok();
        assert_eq!((text(&after["description"]), &after["metadata"]["shelf"]), ("later", &Value::Null), "{case}");
    }
}
