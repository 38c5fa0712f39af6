//! A marketplace under load that knows what was acknowledged, and looks for all of it after whatever happened.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::daemon::{Client, form, run, seller, text};

/// Acknowledged requests that are sent once more after each failure.
const REPLAYS: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Charge,
    /// A charge that the issuer declines: an outcome, and as durable as any other.
    Decline,
    Refund,
    Transfer,
}

/// In which round, and its number.
pub type Connection = (u64, u64);

/// A request as it was sent: to be sent again, letter by letter.
#[derive(Clone, Debug)]
pub struct Order {
    number: u64,
    /// Which connection, in which round: what one connection got acknowledged is in that order everywhere.
    connection: Connection,
    kind: Kind,
    path: &'static str,
    form: String,
}

impl Order {
    fn name(&self) -> String {
        format!("order-{}", self.number)
    }

    fn send(&self, client: &mut Client) -> std::io::Result<Outcome> {
        let key = format!("key-{}", self.number);
        let reply = client.send("POST", self.path, &[("Idempotency-Key", &key)], &self.form)?;
        Ok(Outcome { status: reply.status, replayed: reply.is_replay(), body: reply.json(), bytes: reply.body })
    }
}

#[derive(Clone, Debug)]
pub struct Outcome {
    status: u16,
    replayed: bool,
    body: Value,
    /// The body as it came.
    bytes: Vec<u8>,
}

impl Outcome {
    /// The object that was made: also by a decline.
    fn id(&self) -> &str {
        if self.status == 200 { text(&self.body["id"]) } else { text(&self.body["error"]["payment_intent"]["id"]) }
    }
}

/// What a connection saw until the daemon died.
#[derive(Default)]
pub struct Seen {
    acknowledged: Vec<(Order, Outcome)>,
    unanswered: Option<Order>,
}

impl Seen {
    /// Every acknowledged object is there, with everything that hangs on it.
    pub fn expect_found(&self, client: &mut Client) {
        for (order, outcome) in &self.acknowledged {
            expect_found(client, order, outcome);
        }
    }
}

/// The marketplace that is charged.
pub struct Market {
    sellers: Vec<String>,
    customers: Vec<String>,
    orders: AtomicU64,
    /// Parameters that make every order heavier.
    ballast: String,
}

impl Market {
    pub fn open(client: &mut Client) -> Market {
        let mut sellers: Vec<String> = (0..6).map(|n| seller(client, "US", &format!("Seller {n}"))).collect();
        sellers.extend((6..8).map(|n| seller(client, "GB", &format!("Seller {n}"))));
        let customer = |n: usize| {
            let made = client.post("/v1/customers", &[("name", "Customer"), ("metadata[number]", &n.to_string())]).ok();
            text(&made["id"]).to_owned()
        };
        let customers = (0..20).map(customer).collect();
        // What transfers without a source are paid from.
        for _ in 0..3 {
            let funds = [
                ("amount", "99999999"),
                ("currency", "usd"),
                ("confirm", "true"),
                ("payment_method", "pm_card_bypassPending"),
                ("payment_method_types[]", "card"),
            ];
            client.post("/v1/payment_intents", &funds).ok();
        }
        Market { sellers, customers, orders: AtomicU64::new(0), ballast: String::new() }
    }

    /// Orders with so many metadata as an object may have, all as long as they may be: some 20 KiB each.
    pub fn with_heavy_orders(mut self) -> Market {
        let names = (0..40).map(|n| format!("metadata[ballast{n}]"));
        let long = "x".repeat(500);
        let heavy: Vec<(String, &str)> = names.map(|name| (name, long.as_str())).collect();
        let heavy: Vec<(&str, &str)> = heavy.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        self.ballast = format!("&{}", form(&heavy));
        self
    }

    /// Trades over so many connections, until each of them breaks.
    pub fn trade_all(
        self: &Arc<Market>,
        address: SocketAddr,
        round: u64,
        connections: u64,
        rng: &mut ChaCha8Rng,
    ) -> Vec<JoinHandle<Seen>> {
        (0..connections)
            .map(|connection| {
                let market = Arc::clone(self);
                let draws = ChaCha8Rng::seed_from_u64(rng.random());
                std::thread::spawn(move || market.trade(Client::to(address), draws, (round, connection)))
            })
            .collect()
    }

    /// An order over a connection of its own, where none may be acknowledged any more.
    pub fn expect_no_acknowledgement(&self, address: SocketAddr, connection: Connection, mut rng: ChaCha8Rng) -> Seen {
        let order = self.order(&mut rng, connection, &mut Vec::new());
        if let Ok(outcome) = order.send(&mut Client::to(address)) {
            assert!(outcome.status >= 500, "{order:?} was acknowledged after the failure: {}", outcome.body);
        }
        Seen { acknowledged: Vec::new(), unanswered: Some(order) }
    }

    fn order(&self, rng: &mut ChaCha8Rng, connection: Connection, charges: &mut Vec<(String, i64)>) -> Order {
        let number = self.orders.fetch_add(1, Ordering::Relaxed);
        let name = format!("order-{number}");
        let seller = &self.sellers[rng.random_range(0..self.sellers.len())];
        let customer = &self.customers[rng.random_range(0..self.customers.len())];
        let amount = rng.random_range(200..20_000_i64);
        let order = |kind, path, parameters: &[(&str, &str)]| {
            let form = form(&[&[("metadata[order]", name.as_str())], parameters].concat()) + &self.ballast;
            Order { number, connection, kind, path, form }
        };
        match rng.random_range(0..20) {
            0..4 if !charges.is_empty() => {
                let at = rng.random_range(0..charges.len());
                let (intent, left) = &mut charges[at];
                let part = rng.random_range(1..=(*left / 2).max(1));
                *left -= part;
                let (intent, left) = (intent.clone(), *left);
                if left < 2 {
                    charges.swap_remove(at);
                }
                order(
                    Kind::Refund,
                    "/v1/refunds",
                    &[
                        ("payment_intent", &intent),
                        ("amount", &part.to_string()),
                        ("reverse_transfer", "true"),
                        ("refund_application_fee", "true"),
                        // It goes on changing: by refunds that come later.
                        ("expand[]", "charge"),
                    ],
                )
            }
            4..7 => order(
                Kind::Transfer,
                "/v1/transfers",
                &[("amount", &(amount / 100).to_string()), ("currency", "usd"), ("destination", seller)],
            ),
            7 => order(
                Kind::Decline,
                "/v1/payment_intents",
                &[
                    ("amount", &amount.to_string()),
                    ("currency", "usd"),
                    ("confirm", "true"),
                    ("customer", customer),
                    ("payment_method", "pm_card_visa_chargeDeclined"),
                    ("payment_method_types[]", "card"),
                    ("transfer_data[destination]", seller),
                ],
            ),
            draw => order(
                Kind::Charge,
                "/v1/payment_intents",
                &[
                    ("amount", &amount.to_string()),
                    ("currency", if draw == 8 { "eur" } else { "usd" }),
                    ("confirm", "true"),
                    ("customer", customer),
                    ("payment_method", if draw % 2 == 0 { "pm_card_visa" } else { "pm_card_bypassPending" }),
                    ("payment_method_types[]", "card"),
                    ("transfer_data[destination]", seller),
                    ("application_fee_amount", &(amount / 10).to_string()),
                ],
            ),
        }
    }

    /// One connection's traffic, until it breaks.
    fn trade(&self, mut client: Client, mut rng: ChaCha8Rng, connection: Connection) -> Seen {
        let mut seen = Seen::default();
        let mut charges = Vec::new();
        loop {
            let order = self.order(&mut rng, connection, &mut charges);
            match order.send(&mut client) {
                Ok(outcome) => {
                    let expected = if order.kind == Kind::Decline { 402 } else { 200 };
                    assert_eq!(outcome.status, expected, "{order:?}: {}", outcome.body);
                    assert!(!outcome.replayed, "{order:?} is new");
                    if order.kind == Kind::Charge {
                        charges.push((outcome.id().to_owned(), outcome.body["amount"].as_i64().expect("an amount")));
                    }
                    seen.acknowledged.push((order, outcome));
                }
                Err(_) => {
                    seen.unanswered = Some(order);
                    return seen;
                }
            }
        }
    }
}

/// What is known to have happened, over all rounds.
#[derive(Default)]
pub struct Ledger {
    pub acknowledged: BTreeMap<u64, (Order, Outcome)>,
    /// Unanswered requests that had happened all the same, …
    pub effects_before_the_crash: u64,
    /// … and those that happened when they were sent again.
    pub effects_after_it: u64,
}

impl Ledger {
    /// After a new start: every acknowledged object is there, the books close, and what was not answered is sent again
    /// and has one effect. How many were acknowledged, and how many not answered.
    pub fn expect_nothing_lost(&mut self, client: &mut Client, seen: Vec<Seen>) -> (usize, usize) {
        expect_zero_trial_balance(client);
        let (mut acknowledged, mut unanswered) = (Vec::new(), Vec::new());
        for one in seen {
            one.expect_found(client);
            acknowledged.extend(one.acknowledged);
            unanswered.extend(one.unanswered);
        }
        for (order, outcome) in acknowledged.iter().rev().take(REPLAYS) {
            expect_replay(client, order, outcome);
        }
        let counts = (acknowledged.len(), unanswered.len());
        self.acknowledged.extend(acknowledged.into_iter().map(|(order, outcome)| (order.number, (order, outcome))));
        for order in unanswered {
            settle(client, self, order);
        }
        expect_zero_trial_balance(client);
        counts
    }
}

/// Every acknowledged object is found by its id, with everything that hangs on it.
fn expect_found(client: &mut Client, order: &Order, outcome: &Outcome) {
    let id = outcome.id();
    let found = client.get(&format!("{}/{id}", order.path)).ok();
    assert_eq!(found["metadata"]["order"], *order.name(), "{order:?}");
    if outcome.status == 200 {
        for field in ["id", "amount", "currency", "created", "status", "charge", "balance_transaction"] {
            let told = &outcome.body[field];
            assert_eq!(&found[field], told.get("id").unwrap_or(told), "{field} of {order:?}");
        }
    }
    let transaction = match order.kind {
        Kind::Charge | Kind::Decline => {
            let charge = client.get(&format!("/v1/charges/{}", text(&found["latest_charge"]))).ok();
            assert_eq!(charge["payment_intent"], *id, "{order:?}");
            assert_eq!(charge["paid"], Value::Bool(order.kind == Kind::Charge), "{order:?}");
            charge["balance_transaction"].clone()
        }
        Kind::Refund | Kind::Transfer => found["balance_transaction"].clone(),
    };
    if order.kind == Kind::Decline {
        assert_eq!(transaction, Value::Null);
        return;
    }
    let row = client.get(&format!("/v1/balance_transactions/{}", text(&transaction))).ok();
    let sign = if order.kind == Kind::Charge { 1 } else { -1 };
    assert!(row["amount"].as_i64().expect("an amount") * sign > 0, "{order:?}: {row}");
}

/// A request that got no answer before the crash gets one now, and the same one ever after.
fn settle(client: &mut Client, ledger: &mut Ledger, order: Order) {
    let outcome = order.send(client).expect("the daemon answers");
    let expected = if order.kind == Kind::Decline { 402 } else { 200 };
    assert_eq!(outcome.status, expected, "{order:?}: {}", outcome.body);
    if outcome.replayed {
        ledger.effects_before_the_crash += 1;
    } else {
        ledger.effects_after_it += 1;
    }
    expect_replay(client, &order, &outcome);
    expect_found(client, &order, &outcome);
    ledger.acknowledged.insert(order.number, (order, outcome));
}

fn expect_replay(client: &mut Client, order: &Order, first: &Outcome) {
    let again = order.send(client).expect("the daemon answers");
    assert!(again.replayed, "{order:?} is a replay");
    let body = |outcome: &Outcome| String::from_utf8_lossy(&outcome.bytes).into_owned();
    assert_eq!((again.status, body(&again)), (first.status, body(first)), "{order:?}");
}

/// The lists hold every acknowledged object exactly once and in order; balances are the sums of their rows.
pub fn expect_lists(client: &mut Client, market: &Market, ledger: &Ledger) {
    let mut rows: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for path in
        ["/v1/payment_intents", "/v1/charges", "/v1/refunds", "/v1/transfers", "/v1/balance_transactions", "/v1/events"]
    {
        let list = client.list(None, path);
        let ids: BTreeSet<&str> = list.iter().map(|object| text(&object["id"])).collect();
        assert_eq!(ids.len(), list.len(), "{path} repeats an object");
        let created: Vec<i64> = list.iter().map(|object| object["created"].as_i64().expect("a time")).collect();
        assert!(created.is_sorted_by(|newer, older| newer >= older), "{path} is not in order");
        rows.insert(path, list);
    }
    let place = |path: &str| -> BTreeMap<String, usize> {
        rows[path].iter().enumerate().map(|(n, object)| (text(&object["id"]).to_owned(), n)).collect()
    };
    let places: BTreeMap<&str, BTreeMap<String, usize>> = rows.keys().map(|path| (*path, place(path))).collect();
    // One effect per order: nothing was done twice, also not under another id.
    let mut orders: BTreeMap<&str, &str> = BTreeMap::new();
    for path in ["/v1/payment_intents", "/v1/refunds", "/v1/transfers"] {
        for object in &rows[path] {
            if let Some(order) = object["metadata"]["order"].as_str() {
                let id = text(&object["id"]);
                let other = orders.insert(order, id);
                assert_eq!(other, None, "{order} was done twice: {id} too");
            }
        }
    }
    let mut events: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for event in &rows["/v1/events"] {
        *events.entry((text(&event["type"]), text(&event["data"]["object"]["id"]))).or_default() += 1;
    }
    let transactions = &places["/v1/balance_transactions"];
    let mut last_of: BTreeMap<(Connection, &str), (u64, usize)> = BTreeMap::new();
    for (order, outcome) in ledger.acknowledged.values() {
        let id = outcome.id();
        assert_eq!(orders.get(&*order.name()), Some(&id), "{order:?}");
        let here = places[order.path][id];
        // One connection sent its orders one after the other: the later is the nearer to the list's start.
        if let Some((number, before)) = last_of.insert((order.connection, order.path), (order.number, here)) {
            assert!(here < before, "{order:?} comes after order {number}");
        }
        let happened = |kind: &str, id: &str| events.get(&(kind, id)).copied().unwrap_or_default();
        match order.kind {
            Kind::Charge => {
                let charge = text(&rows[order.path][here]["latest_charge"]);
                let charge = &rows["/v1/charges"][places["/v1/charges"][charge]];
                assert!(transactions.contains_key(text(&charge["balance_transaction"])), "{order:?}");
                assert_eq!(happened("payment_intent.succeeded", id), 1, "{order:?}");
                assert_eq!(happened("charge.succeeded", text(&charge["id"])), 1, "{order:?}");
            }
            Kind::Decline => assert_eq!(happened("payment_intent.payment_failed", id), 1, "{order:?}"),
            Kind::Refund => {
                assert!(transactions.contains_key(text(&outcome.body["balance_transaction"])), "{order:?}");
                assert_eq!(happened("refund.created", id), 1, "{order:?}");
            }
            Kind::Transfer => {
                assert!(transactions.contains_key(text(&outcome.body["balance_transaction"])), "{order:?}");
                assert_eq!(happened("transfer.created", id), 1, "{order:?}");
            }
        }
    }
    expect_balances(client, market);
}

/// Every account's balance is the sum of its listed balance transactions, and all of them are what the ledger says.
fn expect_balances(client: &mut Client, market: &Market) {
    let mut connected: BTreeMap<String, i64> = BTreeMap::new();
    let mut platform: BTreeMap<String, i64> = BTreeMap::new();
    for account in std::iter::once(None).chain(market.sellers.iter().map(|seller| Some(seller.as_str()))) {
        let sums = if account.is_some() { &mut connected } else { &mut platform };
        let mut of_rows: BTreeMap<String, i64> = BTreeMap::new();
        for row in client.list(account, "/v1/balance_transactions") {
            *of_rows.entry(text(&row["currency"]).to_owned()).or_default() += row["net"].as_i64().expect("a net");
        }
        let balance = client.get_as(account, "/v1/balance").ok();
        let mut of_balance: BTreeMap<String, i64> = BTreeMap::new();
        for state in ["available", "pending"] {
            for money in balance[state].as_array().expect("money") {
                let minor = money["amount"].as_i64().expect("an amount");
                *of_balance.entry(text(&money["currency"]).to_owned()).or_default() += minor;
            }
        }
        of_rows.retain(|_, minor| *minor != 0);
        of_balance.retain(|_, minor| *minor != 0);
        assert_eq!(of_balance, of_rows, "balance of {account:?}");
        for (currency, minor) in of_balance {
            *sums.entry(currency).or_default() += minor;
        }
    }
    let trial = client.get("/florin/trial_balance").ok();
    for (name, sums) in [("accounts:connected", connected), ("accounts:platform", platform)] {
        let mut booked: BTreeMap<String, i64> = BTreeMap::new();
        for row in trial["rows"].as_array().expect("rows").iter().filter(|row| row["account"] == *name) {
            booked.insert(text(&row["currency"]).to_owned(), row["amount"].as_i64().expect("an amount"));
        }
        booked.retain(|_, minor| *minor != 0);
        assert_eq!(booked, sums, "{name}");
    }
}

pub fn expect_zero_trial_balance(client: &mut Client) {
    let trial = client.get("/florin/trial_balance").ok();
    assert_eq!(trial["balanced"], Value::Bool(true), "{trial:#}");
    assert!(trial["sums"].as_array().expect("sums").iter().all(|sum| sum["amount"] == 0), "{trial:#}");
}

/// `florin verify` and `florin replay` of the same binary find nothing.
pub fn expect_sound_journal(data: &Path) {
    let data = data.to_str().expect("a path");
    for command in ["verify", "replay"] {
        let done = run(&[command, data, "--json"]);
        let log = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(0), "florin {command}: {log}");
        let report: Value = serde_json::from_slice(&done.stdout).expect("JSON");
        assert_eq!(report["platforms"][0]["balanced"], Value::Bool(true), "{report:#}");
        if command == "verify" {
            assert_eq!(report["platforms"][0]["decided_again"], report["entries"], "{report:#}");
        }
    }
}
