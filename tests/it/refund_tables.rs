//! The worked tables of refunds, over HTTP: `fixtures/tables/refunds.toml`, one loop.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::daemon::{Client, Daemon, form, seller, text};

#[derive(Deserialize)]
struct Table {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    accounts: Vec<String>,
    #[serde(default)]
    config: String,
    steps: Vec<String>,
    rows: Option<Vec<String>>,
    last: Option<Vec<String>>,
    #[serde(default)]
    shows: Vec<String>,
}

/// Fixed rates of every case's start.
const RATES: [(&str, &str); 2] = [("eur/usd", "1.10"), ("usd/gbp", "0.78")];

/// What `pay` gives beside what the step says.
const CARD: [(&str, &str); 4] = [
    ("confirm", "true"),
    ("payment_method", "pm_card_visa"),
    ("automatic_payment_methods[enabled]", "true"),
    ("automatic_payment_methods[allow_redirects]", "never"),
];

fn start(folder: &Path, config: &str, rates: &BTreeMap<String, String>) -> Daemon {
    let file: PathBuf = folder.join("florin.toml");
    let lines: String = rates.iter().map(|(pair, rate)| format!("\"{pair}\" = \"{rate}\"\n")).collect();
    std::fs::write(&file, format!("[fx.fixed]\n{lines}\n{config}\n")).expect("a file");
    match Daemon::try_start(&folder.join("data"), |command| {
        command.env("FLORIN_CONFIG", &file);
    }) {
        Ok(daemon) => daemon,
        Err(ended) => panic!("the daemon did not start:\n{}", ended.log),
    }
}

/// One case as it runs: who is who, and what was answered under which name.
struct Run<'a> {
    case: &'a Case,
    folder: tempfile::TempDir,
    daemon: Option<Daemon>,
    client: Client,
    rates: BTreeMap<String, String>,
    accounts: BTreeMap<String, String>,
    answers: BTreeMap<String, Value>,
}

impl<'a> Run<'a> {
    fn open(case: &'a Case) -> Run<'a> {
        let folder = tempfile::tempdir().expect("a folder");
        let rates = RATES.iter().map(|(pair, rate)| ((*pair).to_owned(), (*rate).to_owned())).collect();
        let daemon = start(folder.path(), &case.config, &rates);
        let mut client = daemon.client();
        let platform = text(&client.get("/v1/account").ok()["id"]).to_owned();
        let mut accounts = BTreeMap::from([("P".to_owned(), platform)]);
        for account in &case.accounts {
            let (name, country) = account.split_once(' ').expect("a name and a country");
            accounts.insert(name.to_owned(), seller(&mut client, country, name));
        }
        Run { case, folder, daemon: Some(daemon), client, rates, accounts, answers: BTreeMap::new() }
    }

    fn set_rates(&mut self, changes: &str) {
        self.rates.extend(changes.split(' ').map(|change| {
            let (pair, rate) = change.split_once('=').expect("pair=rate");
            (pair.to_owned(), rate.to_owned())
        }));
        self.daemon.take().expect("it is running").stop();
        let daemon = start(self.folder.path(), &self.case.config, &self.rates);
        self.client = daemon.client();
        self.daemon = Some(daemon);
    }

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

    /// The header's account: none for the platform.
    fn acting(&self, who: &str) -> Option<String> {
        Some(self.accounts[who].clone()).filter(|_| who != "P")
    }

    fn step(&mut self, step: &str) {
        if let Some(changes) = step.strip_prefix("rates ") {
            return self.set_rates(changes);
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
        let path = match verb {
            "pay" => "/v1/payment_intents".to_owned(),
            "post" => self.filled(words.next().expect("a path")),
            other => panic!("no step is called {other}"),
        };
        let mut given: Vec<(&str, &str)> = if verb == "pay" { CARD.to_vec() } else { Vec::new() };
        let parameters = self.filled(parameters.trim());
        for parameter in parameters.split(' ').filter(|text| !text.is_empty()) {
            let (name, value) = parameter.split_once('=').expect("name=value");
            given.retain(|(have, _)| *have != name);
            given.push((name, value));
        }
        let acting = self.acting(who);
        let headers: Vec<(&str, &str)> = acting.iter().map(|id| ("Stripe-Account", id.as_str())).collect();
        let reply = self.client.send("POST", &path, &headers, &form(&given)).expect("an answer");
        let Some(expected) = refusal else {
            assert_eq!(reply.status, 200, "{step}\n{:#}", reply.json());
            if let Some(name) = name {
                self.answers.insert(name.to_owned(), reply.json());
            }
            return;
        };
        let error = &reply.json()["error"];
        let word = |name: &str| error[name].as_str();
        let mut got = reply.status.to_string();
        got.extend(word("code").map(|code| format!(" {code}")));
        got.extend(word("param").map(|param| format!(" at {param}")));
        assert_eq!(got, expected, "{step}\n{error:#}");
        assert!(word("message").is_some_and(|message| message.len() > 10), "{step}\n{error:#}");
    }

    /// Balance transactions of all parties, in the words of the table, sorted. Books close after each look.
    fn rows(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        for name in self.accounts.keys().cloned().collect::<Vec<String>>() {
            let acting = self.acting(&name);
            let rows = self.client.list(acting.as_deref(), "/v1/balance_transactions");
            let balance = self.client.get_as(acting.as_deref(), "/v1/balance").ok();
            let mut totals: BTreeMap<&str, i64> = BTreeMap::new();
            for row in &rows {
                *totals.entry(text(&row["currency"])).or_default() += row["net"].as_i64().expect("a net");
            }
            for part in ["available", "pending"] {
                for entry in balance[part].as_array().expect("a list") {
                    *totals.entry(text(&entry["currency"])).or_default() -=
                        entry["amount"].as_i64().expect("an amount");
                }
            }
            assert!(totals.values().all(|left| *left == 0), "{name}'s balance is not the sum of its rows: {totals:?}");
            all.extend(rows.iter().map(|row| in_words(&name, row)));
        }
        let trial = self.client.get("/florin/trial_balance").ok();
        assert_eq!(trial["balanced"], Value::Bool(true), "{trial:#}");
        all.sort();
        all
    }

    fn expect_shown(&mut self, line: &str) {
        let filled = self.filled(line);
        let mut words = filled.split(' ');
        let (who, path) = (words.next().expect("who"), words.next().expect("a path"));
        let acting = self.acting(who);
        let object = self.client.get_as(acting.as_deref(), path).ok();
        for expected in words {
            let (field, value) = expected.split_once('=').expect("field=value");
            let shown = match &object[field] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(shown, value, "{field} after \"{}\"\n{object:#}", self.case.name);
        }
    }
}

/// A row as the table writes it.
fn in_words(name: &str, row: &Value) -> String {
    let number = |field: &str| row[field].as_i64().unwrap_or_else(|| panic!("{field} of {row:#}"));
    assert_eq!(number("net"), number("amount") - number("fee"), "{row:#}");
    let source = row["source"].as_str().and_then(|id| id.split('_').next()).unwrap_or("-");
    let rate = row["exchange_rate"].as_f64().map(|rate| format!(" @ {rate}")).unwrap_or_default();
    let (amount, fee, net) = (number("amount"), number("fee"), number("net"));
    format!("{name} {} {amount} {fee} {net} {} {source}{rate}", text(&row["type"]), text(&row["currency"]))
}

fn sorted(rows: &[String]) -> Vec<String> {
    let mut rows = rows.to_vec();
    rows.sort();
    rows
}

#[test]
fn the_worked_tables_of_refunds_come_out_to_the_minor_unit() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tables/refunds.toml");
    let table: Table = toml::from_str(&std::fs::read_to_string(path).expect("the table")).expect("cases");
    for case in &table.case {
        assert!(case.rows.is_some() || case.last.is_some(), "\"{}\" expects nothing", case.name);
        let mut run = Run::open(case);
        let (last, first) = case.steps.split_last().expect("a step");
        for step in first {
            run.step(step);
        }
        let before = run.rows();
        run.step(last);
        let mut after = run.rows();
        if let Some(rows) = &case.rows {
            assert_eq!(after, sorted(rows), "rows of \"{}\"", case.name);
        }
        if let Some(rows) = &case.last {
            for row in before {
                let place = after.iter().position(|have| *have == row);
                after.remove(place.unwrap_or_else(|| panic!("{row} of \"{}\" is gone", case.name)));
            }
            assert_eq!(after, sorted(rows), "rows of the last step of \"{}\"", case.name);
        }
        for line in &case.shows {
            run.expect_shown(line);
        }
    }
}
