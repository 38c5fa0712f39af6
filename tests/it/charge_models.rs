//! The worked tables of the charge models, over HTTP: `fixtures/tables/charge_models.toml`, one loop.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::daemon::{Client, Daemon, form, text};

#[derive(Deserialize)]
struct Table {
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    #[serde(default)]
    accounts: Vec<String>,
    steps: Vec<String>,
    rows: Option<Vec<String>>,
    changes: Option<Vec<String>>,
}

/// Fixed rates of every case's start.
const RATES: [(&str, &str); 7] = [
    ("usd/eur", "0.90"),
    ("eur/usd", "1.10"),
    ("eur/gbp", "0.85"),
    ("usd/gbp", "0.78"),
    ("usd/cad", "1.35576"),
    ("usd/sgd", "1.29726"),
    ("jpy/usd", "0.006732"),
];

type Rates = BTreeMap<String, String>;

fn usual_rates() -> Rates {
    RATES.iter().map(|(pair, rate)| ((*pair).to_owned(), (*rate).to_owned())).collect()
}

/// A marketplace behind HTTP, whose rates change by a restart.
struct Market {
    folder: tempfile::TempDir,
    daemon: Option<Daemon>,
    client: Client,
    rates: Rates,
}

impl Market {
    fn open() -> Market {
        let folder = tempfile::tempdir().expect("a folder");
        let rates = usual_rates();
        let daemon = start(folder.path(), &rates);
        let client = daemon.client();
        Market { folder, daemon: Some(daemon), client, rates }
    }

    fn set_rates(&mut self, rates: Rates) {
        if rates == self.rates {
            return;
        }
        self.daemon.take().expect("it is running").stop();
        let daemon = start(self.folder.path(), &rates);
        self.client = daemon.client();
        self.daemon = Some(daemon);
        self.rates = rates;
    }
}

fn start(folder: &Path, rates: &Rates) -> Daemon {
    let config = folder.join("florin.toml");
    let lines: String = rates.iter().map(|(pair, rate)| format!("\"{pair}\" = \"{rate}\"\n")).collect();
    std::fs::write(&config, format!("[fx.fixed]\n{lines}")).expect("a file");
    match Daemon::try_start(&folder.join("data"), |command| {
        command.env("FLORIN_CONFIG", &config);
    }) {
        Ok(daemon) => daemon,
        Err(ended) => panic!("the daemon did not start:\n{}", ended.log),
    }
}

/// An account that is active at once, as far as it asks.
fn account(client: &mut Client, country: &str, particular: &str) -> String {
    let mut parameters: Vec<(&str, &str)> = vec![
        ("country", country),
        ("business_type", "individual"),
        ("individual[first_name]", "Jenny"),
        ("individual[last_name]", "Rosen"),
        ("individual[email]", "jenny@example.com"),
        ("individual[phone]", "0000000000"),
        ("individual[dob][day]", "1"),
        ("individual[dob][month]", "1"),
        ("individual[dob][year]", "1902"),
        ("individual[address][line1]", "address_full_match"),
        ("individual[address][city]", "Somewhere"),
        ("individual[address][state]", "NY"),
        ("individual[address][postal_code]", "10001"),
        ("individual[address][country]", country),
        ("individual[id_number]", "222222222"),
        ("business_profile[mcc]", "5734"),
        ("business_profile[url]", "https://seller.example.com"),
        ("tos_acceptance[date]", "1700000000"),
        ("tos_acceptance[ip]", "127.0.0.1"),
        ("settings[payouts][schedule][interval]", "manual"),
        ("external_account[object]", "bank_account"),
        ("external_account[country]", country),
    ];
    let (routing, number) = match country {
        "US" => (Some("110000000"), "000123456789"),
        "GB" => (Some("108800"), "00012345"),
        "DE" => (None, "DE89370400440532013000"),
        "SG" => (Some("1100000"), "000123456"),
        _ => (Some("11000000"), "000123456789"),
    };
    parameters.push(("external_account[account_number]", number));
    parameters.extend(routing.map(|routing| ("external_account[routing_number]", routing)));
    parameters.extend(match particular {
        "application" => vec![
            ("controller[fees][payer]", "application"),
            ("controller[losses][payments]", "application"),
            ("controller[stripe_dashboard][type]", "none"),
            ("controller[requirement_collection]", "application"),
        ],
        "standard" => vec![("type", "standard")],
        _ => vec![("type", "custom")],
    });
    if particular != "nothing" {
        parameters.push(("capabilities[transfers][requested]", "true"));
        if particular != "transfers" {
            parameters.push(("capabilities[card_payments][requested]", "true"));
        }
    }
    let made = client.post("/v1/accounts", &parameters).ok();
    assert_eq!(made["charges_enabled"], Value::Bool(particular != "nothing"), "{made:#}");
    text(&made["id"]).to_owned()
}

/// One case as it runs: who is who, and what was answered under which name.
struct Run<'a> {
    market: &'a mut Market,
    accounts: BTreeMap<String, String>,
    answers: BTreeMap<String, Value>,
}

impl Run<'_> {
    /// `{C}` and `{pi.latest_charge.id}` in their place.
    fn filled(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, tail) = after.split_once('}').expect("a closing brace");
            filled.push_str(before);
            let mut path = name.split('.');
            let head = path.next().unwrap_or_default();
            match self.accounts.get(head) {
                Some(id) => filled.push_str(id),
                None => {
                    let answer = self.answers.get(head).unwrap_or_else(|| panic!("nothing is called {head}"));
                    filled.push_str(crate::daemon::text(path.fold(answer, |value, field| &value[field])));
                }
            }
            rest = tail;
        }
        filled + rest
    }

    fn step(&mut self, step: &str) {
        if let Some(changes) = step.strip_prefix("rates ") {
            let mut rates = self.market.rates.clone();
            rates.extend(changes.split(' ').map(|change| {
                let (pair, rate) = change.split_once('=').expect("pair=rate");
                (pair.to_owned(), rate.to_owned())
            }));
            return self.market.set_rates(rates);
        }
        let (call, refusal) = match step.split_once(" => ") {
            Some((call, refusal)) => (call, Some(refusal)),
            None => (step, None),
        };
        let (call, parameters) = call.split_once(':').expect("a call, then parameters");
        let (name, call) = match call.split_once(" = ") {
            Some((name, call)) => (Some(name), call),
            None => (None, call),
        };
        let mut words = call.split(' ');
        let (verb, who) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut given: Vec<(String, String)> = Vec::new();
        if verb == "pay" {
            for (name, value) in [
                ("confirm", "true"),
                ("payment_method", "pm_card_visa"),
                ("automatic_payment_methods[enabled]", "true"),
                ("automatic_payment_methods[allow_redirects]", "never"),
            ] {
                given.push((name.to_owned(), value.to_owned()));
            }
        }
        for parameter in self.filled(parameters.trim()).split(' ').filter(|text| !text.is_empty()) {
            let (name, value) = parameter.split_once('=').expect("name=value");
            given.retain(|(have, _)| have != name);
            given.push((name.to_owned(), value.to_owned()));
        }
        let path = match verb {
            "pay" => "/v1/payment_intents".to_owned(),
            "post" => self.filled(words.next().expect("a path")),
            other => panic!("no step is called {other}"),
        };
        let account = self.accounts[who].clone();
        let headers: Vec<(&str, &str)> = if who == "P" { Vec::new() } else { vec![("Stripe-Account", &account)] };
        let given: Vec<(&str, &str)> = given.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let reply = self.market.client.send("POST", &path, &headers, &form(&given)).expect("an answer");
        match refusal {
            None => {
                let answer = reply.ok();
                if let Some(name) = name {
                    self.answers.insert(name.to_owned(), answer);
                }
            }
            Some(expected) => {
                let error = &reply.json()["error"];
                let word = |name: &str| error[name].as_str();
                let mut got = reply.status.to_string();
                got.extend(word("code").map(|code| format!(" {code}")));
                got.extend(word("param").map(|param| format!(" at {param}")));
                assert_eq!(got, expected, "{step}\n{error:#}");
                assert!(word("message").is_some_and(|message| message.len() > 10), "{step}\n{error:#}");
            }
        }
    }

    fn client(&mut self) -> &mut Client {
        &mut self.market.client
    }

    /// (available and pending together) by party and currency; the payer's is what the card networks owe.
    fn balances(&mut self) -> BTreeMap<(String, String), i64> {
        let mut all: BTreeMap<(String, String), i64> = BTreeMap::new();
        for (name, id) in self.accounts.clone() {
            let account = Some(id.as_str()).filter(|_| name != "P");
            let balance = self.client().get_as(account, "/v1/balance").ok();
            for part in ["available", "pending"] {
                for entry in balance[part].as_array().expect("a list") {
                    let key = (name.clone(), text(&entry["currency"]).to_owned());
                    *all.entry(key).or_default() += entry["amount"].as_i64().expect("an amount");
                }
            }
        }
        let trial = self.client().get("/florin/trial_balance").ok();
        assert_eq!(trial["balanced"], Value::Bool(true), "{trial:#}");
        for row in trial["rows"].as_array().expect("rows") {
            if row["account"] == "clearing:card" {
                let key = ("payer".to_owned(), text(&row["currency"]).to_owned());
                *all.entry(key).or_default() += row["amount"].as_i64().expect("an amount");
            }
        }
        all
    }

    /// Balance transactions of a party, oldest first, in the words of the table, with their fee details.
    fn rows(&mut self, name: &str, id: &str) -> Vec<(String, String)> {
        let account = Some(id).filter(|_| name != "P");
        let mut rows = self.client().list(account, "/v1/balance_transactions");
        rows.reverse();
        rows.iter().map(|row| in_words(name, row)).collect()
    }
}

/// A row as the table writes it, and its fee details.
fn in_words(name: &str, row: &Value) -> (String, String) {
    let number = |field: &str| row[field].as_i64().unwrap_or_else(|| panic!("{field} of {row:#}"));
    assert_eq!(number("net"), number("amount") - number("fee"), "{row:#}");
    let details: Vec<(&str, i64)> = row["fee_details"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|detail| (text(&detail["type"]), detail["amount"].as_i64().expect("an amount")))
        .collect();
    assert_eq!(details.iter().map(|(_, amount)| amount).sum::<i64>(), number("fee"), "{row:#}");
    let source = row["source"].as_str().and_then(|id| id.split('_').next()).unwrap_or("-");
    let rate = row["exchange_rate"].as_f64().map(|rate| format!(" @ {rate}")).unwrap_or_default();
    let words = format!(
        "{name} {} {} {} {} {} {source}{rate}",
        text(&row["type"]),
        number("amount"),
        number("fee"),
        number("net"),
        text(&row["currency"]),
    );
    let details: Vec<String> = details.iter().map(|(kind, amount)| format!("{kind} {amount}")).collect();
    (words, details.join(", "))
}

fn run(market: &mut Market, case: &Case) {
    market.set_rates(usual_rates());
    let platform = text(&market.client.get("/v1/account").ok()["id"]).to_owned();
    let mut accounts = BTreeMap::from([("P".to_owned(), platform.clone())]);
    for account_text in &case.accounts {
        let mut words = account_text.split(' ');
        let (name, country) = (words.next().expect("a name"), words.next().expect("a country"));
        let id = account(&mut market.client, country, words.next().unwrap_or_default());
        accounts.insert(name.to_owned(), id);
    }
    let mut run = Run { market, accounts: accounts.clone(), answers: BTreeMap::new() };
    let earlier = run.rows("P", &platform).len();

    let (last, first) = case.steps.split_last().expect("a step");
    for step in first {
        run.step(step);
    }
    let before = run.balances();
    run.step(last);
    let after = run.balances();

    if let Some(expected) = &case.rows {
        for (name, id) in &accounts {
            let mut rows = run.rows(name, id);
            if name == "P" {
                rows.drain(..earlier);
            }
            rows.sort();
            let of_party = expected.iter().filter(|row| row.split(' ').next() == Some(name));
            let mut wanted: Vec<(&str, Option<&str>)> = of_party
                .map(|row| row.split_once(" | ").map_or((row.as_str(), None), |(row, details)| (row, Some(details))))
                .collect();
            wanted.sort_unstable();
            let (got, bare): (Vec<&str>, Vec<&str>) =
                (rows.iter().map(|row| row.0.as_str()).collect(), wanted.iter().map(|row| row.0).collect());
            assert_eq!(got, bare, "rows of {name} in \"{}\"", case.name);
            for ((row, expected), (_, details)) in wanted.iter().zip(&rows) {
                if let Some(expected) = expected {
                    assert_eq!(details, expected, "fee details of \"{row}\" in \"{}\"", case.name);
                }
            }
        }
    }
    if let Some(expected) = &case.changes {
        let mut changes: BTreeMap<(String, String), i64> = BTreeMap::new();
        for (key, amount) in after {
            let change = amount - before.get(&key).copied().unwrap_or_default();
            if change != 0 {
                changes.insert(key, change);
            }
        }
        let wanted: BTreeMap<(String, String), i64> = expected
            .iter()
            .map(|change| {
                let words: Vec<&str> = change.split(' ').collect();
                let [name, amount, currency] = words[..] else { panic!("{change}") };
                ((name.to_owned(), currency.to_owned()), amount.parse().expect("an amount"))
            })
            .collect();
        assert_eq!(changes, wanted, "changes by the last step of \"{}\"", case.name);
    }
}

#[test]
fn the_worked_tables_of_the_charge_models_come_out_to_the_minor_unit() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tables/charge_models.toml");
    let table: Table = toml::from_str(&std::fs::read_to_string(path).expect("the table")).expect("cases");
    let mut market = Market::open();
    for case in &table.case {
        assert!(case.rows.is_some() || case.changes.is_some(), "\"{}\" expects nothing", case.name);
        let known = |row: &String| {
            let name = row.split(' ').next();
            name == Some("P") || case.accounts.iter().any(|account| account.split(' ').next() == name)
        };
        assert!(case.rows.iter().flatten().all(known), "\"{}\" expects rows of a stranger", case.name);
        run(&mut market, case);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// What no answer shows

mod books {
    use florin::domain::account::of as account_of;
    use florin::domain::charge_model::{Bearers, Losses, Model, model, settlement_merchant, who_bears};
    use florin::domain::command::IntentInput;
    use florin::domain::record::{AccountKind, Controller, Dashboard, FeesPayer, RecordKey};
    use florin::ledger::AccountNo;
    use florin::primitives::{Country, Currency};

    use crate::town::{Town, intent, refund, seller};

    const USD: Currency = Currency::USD;
    const EUR: Currency = Currency::EUR;
    const P: AccountNo = AccountNo::PLATFORM;

    fn controlled(town: &mut Town, country: Country, currency: Currency, fees: FeesPayer, losses: bool) -> AccountNo {
        let mut input = seller(country, currency);
        input.kind = None;
        let requirements = losses && fees == FeesPayer::Application;
        input.controller = Some(Controller {
            losses_application: losses,
            fees,
            dashboard: if requirements { Dashboard::None } else { Dashboard::Full },
            requirements_application: requirements,
        });
        AccountNo(town.done(florin::domain::command::Command::CreateAccount(Box::new(input))).seq)
    }

    fn with_fee(input: &mut IntentInput) {
        input.application_fee = Some(Some(1_000));
    }

    #[test]
    fn who_bears_what_of_each_model() {
        let mut town = Town::new();
        let standard = controlled(&mut town, Country::US, USD, FeesPayer::Account, false);
        let dear = controlled(&mut town, Country::US, USD, FeesPayer::Application, false);
        let custom = {
            let mut input = seller(Country::US, USD);
            input.kind = Some(AccountKind::Custom);
            AccountNo(town.done(florin::domain::command::Command::CreateAccount(Box::new(input))).seq)
        };
        let bears = |processing_fee, refund, losses| Bearers {
            processing_fee,
            refund,
            dispute: refund,
            dispute_fee: processing_fee,
            losses,
        };
        let to = |account: AccountNo| move |input: &mut IntentInput| input.destination = Some(account);
        let behalf = |account: AccountNo| move |input: &mut IntentInput| input.on_behalf_of = Some(account);
        type With<'a> = Box<dyn FnOnce(&mut IntentInput) + 'a>;
        // (acting, parameters, model, settlement merchant, who bears)
        let table: Vec<(AccountNo, With<'_>, Model, AccountNo, Bearers)> = vec![
            (standard, Box::new(with_fee), Model::Direct, standard, bears(standard, standard, Losses::Operator)),
            (dear, Box::new(with_fee), Model::Direct, dear, bears(P, dear, Losses::Operator)),
            (custom, Box::new(with_fee), Model::Direct, custom, bears(custom, custom, Losses::Platform)),
            (P, Box::new(to(standard)), Model::Destination, P, bears(P, P, Losses::Platform)),
            (P, Box::new(behalf(standard)), Model::Separate, standard, bears(P, P, Losses::Platform)),
            (P, Box::new(|_: &mut IntentInput| ()), Model::Separate, P, bears(P, P, Losses::Platform)),
        ];
        for (acting, with, expected, merchant, bearers) in table {
            let seq = town.done_as(acting, intent(10_000, USD, with)).seq;
            let flow = town.flow(seq);
            let owner = town.record(RecordKey::head(flow.owner.0));
            assert_eq!(model(&flow), expected);
            assert_eq!(settlement_merchant(&flow), merchant, "{expected:?}");
            assert_eq!(who_bears(&flow, account_of(&owner).expect("an account")), bearers, "{expected:?} {acting:?}");
        }
        town.expect_books_closed();
    }

    /// What the operator earned on conversions, in a currency.
    fn conversion_fees(town: &Town, wanted: Currency) -> i128 {
        let house = &town.plain.world.state.house;
        let earned =
            house.iter().filter(|(house, currency, _)| house.to_string() == "fees:conversion" && *currency == wanted);
        earned.map(|(_, _, minor)| minor).sum()
    }

    #[test]
    fn at_market_rates_the_platforms_part_of_a_direct_charge_bears_no_conversion_fee() {
        let mut town = Town::new();
        let seller = town.seller(Country::DE, EUR);
        let whole = town.done_as(seller, intent(100_000, USD, |_| {})).seq;
        let of_whole = conversion_fees(&town, EUR);
        let charge = town.flow(whole).rows[0].clone();
        let rate = charge.conversion.expect("converted");
        assert_eq!(rate.rate, rate.base * rust_decimal::Decimal::new(98, 2), "2 % outside the US");

        let split = town.done_as(seller, intent(100_000, USD, |input| input.application_fee = Some(Some(50_000)))).seq;
        let of_half = conversion_fees(&town, EUR) - of_whole;
        assert!((of_half * 2 - of_whole).abs() <= 2, "{of_half} is half of {of_whole}");
        let rows = town.flow(split).rows;
        assert_eq!((rows[0].amount, rows[1].amount, rows[1].currency), (charge.amount, 50_000, USD));
        town.expect_books_closed();
        town.done_as(seller, refund(split, None, false, true));
        town.expect_books_closed();
        assert_eq!(town.total(P, USD), 0, "the whole fee went back");
    }

    #[test]
    fn a_platform_that_pays_the_fees_pays_the_conversion_too() {
        let mut town = Town::new();
        let fees = FeesPayer::Application;
        let seller = controlled(&mut town, Country::DE, EUR, fees, true);
        let plain = town.seller(Country::DE, EUR);
        let paid = town.done_as(seller, intent(100_000, USD, with_fee)).seq;
        let row = town.flow(paid).rows[0].clone();
        let rate = row.conversion.clone().expect("converted");
        assert_eq!(rate.rate, rate.base, "no fee is inside");
        assert_eq!(row.fee, row.application_fee, "the account pays no processing");
        let before = conversion_fees(&town, EUR);
        town.done_as(plain, intent(100_000, USD, with_fee));
        let inside = conversion_fees(&town, EUR) - before;
        // The same share, once in the rate and once apart, in the currency of the platform's row.
        let worth = rust_decimal::Decimal::from(conversion_fees(&town, USD)) * rate.base;
        let inside = rust_decimal::Decimal::from(inside);
        assert!((worth - inside).abs() < rust_decimal::Decimal::from(25), "{worth} and {inside}");
        town.expect_books_closed();
    }
}
