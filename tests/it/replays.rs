//! A request that is sent again under its idempotency key gets the same bytes, whatever became of the objects that its
//! answer shows: the answer is a function of the journal up to the entry that the first request made.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::daemon::{Client, Daemon, Reply, form, seller, text};

/// A request that was answered.
struct Asked {
    path: String,
    form: String,
    key: String,
    account: Option<String>,
    first: Reply,
}

/// A daemon, and all that it was asked under a key.
struct Counter {
    client: Client,
    asked: Vec<Asked>,
}

impl Counter {
    fn new(client: Client) -> Counter {
        Counter { client, asked: Vec::new() }
    }

    fn send(client: &mut Client, path: &str, form: &str, key: &str, account: Option<&str>) -> Reply {
        let mut headers = vec![("Idempotency-Key", key)];
        headers.extend(account.map(|account| ("Stripe-Account", account)));
        client.send("POST", path, &headers, form).unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// Sends a request under a key of its own and remembers the answer.
    fn ask(&mut self, path: &str, parameters: &[(&str, &str)]) -> &Reply {
        self.ask_as(None, path, parameters)
    }

    fn ask_as(&mut self, account: Option<&str>, path: &str, parameters: &[(&str, &str)]) -> &Reply {
        let (form, key) = (form(parameters), format!("key-{}", self.asked.len()));
        let first = Counter::send(&mut self.client, path, &form, &key, account);
        assert!(!first.is_replay(), "{path} is new");
        self.asked.push(Asked { path: path.to_owned(), form, key, account: account.map(str::to_owned), first });
        &self.asked[self.asked.len() - 1].first
    }

    /// Sends everything once more.
    fn expect_the_same(&mut self, after_what: &str) {
        for asked in &self.asked {
            let Asked { path, form, key, account, first } = asked;
            let again = Counter::send(&mut self.client, path, form, key, account.as_deref());
            let what = format!("POST {path} {form} after {after_what}");
            let body = |reply: &Reply| String::from_utf8_lossy(&reply.body).into_owned();
            assert_eq!((again.status, body(&again)), (first.status, body(first)), "{what}");
            assert!(again.is_replay(), "{what}");
            assert_eq!(again.header("original-request"), first.header("request-id"), "{what}");
            assert_eq!(first.header("original-request"), first.header("request-id"), "{what}");
            for name in ["content-type", "stripe-should-retry", "idempotency-key"] {
                assert_eq!(again.header(name), first.header(name), "{name} of {what}");
            }
        }
    }
}

fn id(reply: &Reply) -> String {
    text(&reply.ok()["id"]).to_owned()
}

/// A customer with a saved card that declines when it is charged, or one that does not.
fn customer_with(client: &mut Client, card: &str) -> (String, String) {
    let customer = id(&client.post("/v1/customers", &[("name", "Ada"), ("metadata[tier]", "1")]));
    let attach = format!("/v1/payment_methods/{card}/attach");
    let method = id(&client.post(&attach, &[("customer", &customer)]));
    let billing = [("billing_details[name]", "Ada L"), ("billing_details[address][city]", "Bath")];
    client.post(&format!("/v1/payment_methods/{method}"), &billing).ok();
    (customer, method)
}

#[test]
fn a_replay_gives_the_same_bytes_whatever_became_of_what_it_shows_also_after_a_crash_without_caches() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let daemon = Daemon::start(&data);
    let mut shop = Counter::new(daemon.client());
    let shop_seller = seller(&mut shop.client, "US", "Bea");
    let funds = [
        ("amount", "100000"),
        ("currency", "usd"),
        ("confirm", "true"),
        ("payment_method", "pm_card_bypassPending"),
        ("payment_method_types[]", "card"),
    ];
    shop.client.post("/v1/payment_intents", &funds).ok();
    let (customer, method) = customer_with(&mut shop.client, "pm_card_bypassPending");
    let (poor, poor_card) = customer_with(&mut shop.client, "pm_card_chargeCustomerFail");

    let charge = [
        ("amount", "5000"),
        ("currency", "usd"),
        ("confirm", "true"),
        ("customer", customer.as_str()),
        ("payment_method", method.as_str()),
        ("payment_method_types[]", "card"),
        ("transfer_data[destination]", shop_seller.as_str()),
        ("application_fee_amount", "500"),
        ("metadata[order]", "7"),
        ("expand[]", "customer"),
        ("expand[]", "payment_method.customer"),
        ("expand[]", "latest_charge.balance_transaction"),
        ("expand[]", "latest_charge.refunds"),
        ("expand[]", "latest_charge.transfer.destination_payment"),
        ("expand[]", "transfer_data.destination"),
    ];
    let paid = shop.ask("/v1/payment_intents", &charge).ok();
    assert_eq!(paid["customer"]["name"], "Ada");
    assert_eq!(paid["payment_method"]["customer"]["id"], customer.as_str());
    assert_eq!(paid["latest_charge"]["billing_details"]["name"], "Ada L");
    let (intent, refunded) = (text(&paid["id"]).to_owned(), text(&paid["latest_charge"]["id"]).to_owned());

    // Errors: a decline with the intent and the card inside, and a refusal that shows the intent as it was.
    let declined = [("customer", poor.as_str()), ("payment_method", poor_card.as_str()), ("expand[]", "customer")];
    let declined =
        shop.ask("/v1/payment_intents", &[&charge[..3], &declined, &[("payment_method_types[]", "card")]].concat());
    assert_eq!(declined.status, 402, "{}", declined.json());
    let failed = text(&declined.json()["error"]["payment_intent"]["id"]).to_owned();
    let refused = shop.ask(&format!("/v1/payment_intents/{intent}/cancel"), &[]);
    assert_eq!((refused.status, &refused.json()["error"]["payment_intent"]["id"]), (400, &Value::from(intent.clone())));
    assert_eq!(shop.ask("/v1/refunds", &[("charge", &refunded), ("amount", "999999")]).status, 400);

    // Answers that show more than their entry changed.
    let refund = [
        ("charge", refunded.as_str()),
        ("amount", "1000"),
        ("reverse_transfer", "true"),
        ("refund_application_fee", "true"),
        ("expand[]", "charge.customer"),
        ("expand[]", "charge.refunds"),
        ("expand[]", "payment_intent"),
        ("expand[]", "balance_transaction"),
    ];
    shop.ask("/v1/refunds", &refund).ok();
    let pay = [("amount", "300"), ("currency", "usd"), ("destination", &shop_seller), ("expand[]", "destination")];
    let transfer = id(shop.ask("/v1/transfers", &pay));
    let part = [("amount", "100"), ("expand[]", "transfer.reversals"), ("expand[]", "transfer.destination")];
    shop.ask(&format!("/v1/transfers/{transfer}/reversals"), &part).ok();
    shop.ask(
        &format!("/v1/customers/{customer}"),
        &[
            ("invoice_settings[default_payment_method]", &method),
            ("expand[]", "invoice_settings.default_payment_method"),
        ],
    )
    .ok();
    shop.ask(&format!("/v1/accounts/{shop_seller}"), &[("metadata[store]", "1")]).ok();
    shop.ask(&format!("/v1/accounts/{shop_seller}/capabilities/transfers"), &[("requested", "true")]).ok();
    shop.ask(&format!("/v1/accounts/{shop_seller}/external_accounts"), &[("external_account", "btok_us_verified")])
        .ok();
    let payout =
        [("amount", "50"), ("currency", "usd"), ("expand[]", "destination"), ("expand[]", "balance_transaction")];
    shop.ask("/v1/payouts", &payout);
    shop.expect_the_same("nothing");

    // Everything changes that was shown.
    let client = &mut shop.client;
    client.post(&format!("/v1/customers/{customer}"), &[("name", "Grace"), ("metadata[tier]", "2")]).ok();
    client.post(&format!("/v1/customers/{poor}"), &[("name", "Grace")]).ok();
    for card in [&method, &poor_card] {
        let card = format!("/v1/payment_methods/{card}");
        client.post(&card, &[("billing_details[name]", "Grace H"), ("card[exp_year]", "2040")]).ok();
    }
    client.post("/v1/refunds", &[("charge", &refunded), ("amount", "200"), ("reverse_transfer", "true")]).ok();
    client.post(&format!("/v1/charges/{refunded}"), &[("description", "later")]).ok();
    client.post(&format!("/v1/payment_intents/{intent}"), &[("metadata[order]", "8")]).ok();
    client.post(&format!("/v1/payment_intents/{failed}/cancel"), &[]).ok();
    client.post(&format!("/v1/transfers/{transfer}/reversals"), &[("amount", "50")]).ok();
    client.post(&format!("/v1/payment_methods/{method}/detach"), &[]).ok();
    client
        .post(&format!("/v1/accounts/{shop_seller}"), &[("metadata[store]", "2"), ("business_profile[name]", "B")])
        .ok();
    let charge = client.get(&format!("/v1/charges/{refunded}")).ok();
    assert_eq!(charge["billing_details"]["name"], "Ada L", "as it was charged");
    shop.expect_the_same("all of it changed");
    let gone = shop.client.send("DELETE", &format!("/v1/accounts/{shop_seller}"), &[], "").expect("an answer");
    assert_eq!(gone.status, 200);
    shop.expect_the_same("the seller is gone");

    daemon.kill();
    for cache in ["objects", "snapshots"] {
        std::fs::remove_dir_all(data.join(cache)).expect("a cache");
    }
    let daemon = Daemon::start(&data);
    shop.client = daemon.client();
    shop.expect_the_same("a crash and without caches");
    daemon.stop();
    let daemon = Daemon::start(&data);
    shop.client = daemon.client();
    shop.expect_the_same("a restart");
}

#[test]
fn a_replay_is_the_same_though_time_has_made_the_request_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(&folder.path().join("data"));
    let mut shop = Counter::new(daemon.client());
    // Ten in the evening of the last day of January 2030.
    shop.client.post("/florin/clock/advance", &[("to", "1896127200")]).ok();
    let card = [("card[number]", "4242424242424242"), ("card[exp_month]", "1"), ("card[exp_year]", "2030")];
    shop.ask("/v1/payment_methods", &[&[("type", "card")], &card[..]].concat()).ok();
    shop.ask("/v1/tokens", &card).ok();
    let advanced = shop.ask("/florin/clock/advance", &[("seconds", "60")]).ok();
    assert_eq!(advanced["now"], 1_896_127_260);
    shop.ask("/florin/clock/advance", &[("to", "1896127300")]).ok();
    // February.
    shop.client.post("/florin/clock/advance", &[("seconds", "14400")]).ok();
    shop.expect_the_same("the card expired and the clock went on");
    let expired = shop.client.post("/v1/tokens", &card);
    assert_eq!((expired.status, &expired.json()["error"]["code"]), (402, &Value::from("invalid_expiry_month")));
    // A day later the keys are free: what was right is wrong now.
    shop.client.post("/florin/clock/advance", &[("seconds", "86400")]).ok();
    let asked = &shop.asked[0];
    let again = Counter::send(&mut shop.client, &asked.path, &asked.form, &asked.key, None);
    assert_eq!((again.status, again.is_replay()), (402, false));
}

/// Says when it is over.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn the_first_answer_shows_what_its_entry_left_although_others_go_on_changing_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(&folder.path().join("data"));
    let mut shop = Counter::new(daemon.client());
    let (customer, method) = customer_with(&mut shop.client, "pm_card_visa");
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        // Also when something is not as it should be: the writers must come to their end.
        let _end = Ends(&done);
        for writer in 0..3 {
            let (mut client, done, path) = (daemon.client(), &done, format!("/v1/customers/{customer}"));
            threads.spawn(move || {
                let mut turn = 0;
                while !done.load(Ordering::Relaxed) {
                    turn += 1;
                    client.post(&path, &[("name", &format!("writer {writer}, {turn}"))]).ok();
                }
            });
        }
        let charge = [
            ("amount", "1000"),
            ("currency", "usd"),
            ("confirm", "true"),
            ("customer", &customer),
            ("payment_method", &method),
            ("payment_method_types[]", "card"),
            ("expand[]", "customer"),
        ];
        for _ in 0..100 {
            shop.ask("/v1/payment_intents", &charge).ok();
        }
        shop.expect_the_same("some of the changes");
    });
    let names = |shop: &Counter| {
        let mut names: Vec<String> =
            shop.asked.iter().map(|asked| text(&asked.first.json()["customer"]["name"]).to_owned()).collect();
        names.dedup();
        names.len()
    };
    assert!(names(&shop) > 10, "the customer changed in between: {}", names(&shop));
    shop.expect_the_same("all of the changes");
}
