//! Market rates are data: what was converted at one table stays so when another comes, and a journal is of use only with
//! the tables that it names.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use florin::domain::command::{Command, IntentInput};
use florin::domain::tables::Tables;
use florin::engine::entry::JournalEntry;
use florin::engine::plain::Told;
use florin::ledger::AccountNo;
use florin::primitives::money::Money;
use florin::primitives::time::Timestamp;
use florin::primitives::{Country, Currency, MarketRates, RatesDigest, convert, ecb_day_in_force};
use serde_json::Value;

use crate::daemon::{Client, Daemon, Ended, files, run, text};
use crate::story::{decide_again, fresh};
use crate::town::{Done, Town, refund};

const P: AccountNo = AccountNo::PLATFORM;

/// Rates that no market ever had: 1 franc is 4 dollars, 1 dollar is half a euro.
const SYNTHETIC: &[u8] = b"# made up\ndate,CHF,USD\n2024-01-02,0.25,1\n2024-01-03,0.5,2\n";

fn synthetic() -> Arc<MarketRates> {
    Arc::new(MarketRates::from_csv(SYNTHETIC).expect("a table"))
}

fn chf() -> Currency {
    "chf".parse().expect("a currency")
}

/// What 100.00 CHF are for a platform in the US at the rates that are built in, conversion fee taken.
fn francs_at_built_in_rates(at: Timestamp) -> i64 {
    let rate = MarketRates::built_in().lookup(chf(), Currency::USD, ecb_day_in_force(at)).expect("a rate");
    convert(Money::new(10_000, chf()), &rate, 10_000).expect("an amount").target.minor()
}

fn naming(rates_digest: RatesDigest) -> Command {
    Command::PutTables(Box::new(Tables { rates_digest, ..Tables::default() }))
}

/// What the rows of one entry brought an account.
fn amounts(town: &Town, done: &Done, of: AccountNo) -> Vec<i64> {
    town.rows_of(done.seq).into_iter().filter(|row| row.0 == of).map(|row| row.2).collect()
}

#[test]
fn conversions_take_the_rates_in_force_and_never_others() {
    let mut town = Town::new();
    let de = town.seller(Country::DE, Currency::EUR);
    let before = francs_at_built_in_rates(town.now);
    let early = town.charge(10_000, chf(), |_| {});
    assert_eq!(amounts(&town, &early, P), [before]);

    let refusal = town.refused(naming(synthetic().digest()));
    assert!(refusal.message.contains(&synthetic().digest().to_string()), "{}", refusal.message);
    town.plain.machine.offer_rates(synthetic());
    let still_early = town.charge(10_000, chf(), |_| {});
    assert_eq!(amounts(&town, &still_early, P), [before], "offered is not in force");

    let put = town.done(naming(synthetic().digest())).seq;
    let late = town.charge(10_000, chf(), |_| {});
    assert_eq!(amounts(&town, &late, P), [39_600], "4 dollars a franc, less 1 %");
    let to_de = |input: &mut IntentInput| input.destination = Some(de);
    let paid = town.charge(10_000, Currency::USD, to_de);
    assert_eq!(amounts(&town, &paid, de), [4_900], "half a euro a dollar, less 2 %");
    // Refunds convert at the base rate of their own day, whenever the charge was made.
    for charge in [&early, &late] {
        let refunded = town.done(refund(charge.seq, None, false, false));
        assert_eq!(amounts(&town, &refunded, P), [-40_000]);
    }

    town.done(naming(RatesDigest::NONE));
    let refusal = town.refused(crate::town::intent(10_000, chf(), |_| {}));
    assert!(refusal.message.contains("No exchange rate"), "{}", refusal.message);
    town.charge(10_000, Currency::USD, |_| {});
    town.expect_books_closed();

    let named = [MarketRates::built_in().digest(), synthetic().digest(), RatesDigest::NONE];
    assert_eq!(town.plain.world.state.rates_named, named.into());
    let (mut again, vault) = fresh();
    for payload in &town.plain.entries {
        let entry = JournalEntry::from_bytes(payload).expect("an entry");
        if again.world.state.seq + 1 == put {
            let told = again.decide(&entry.request(&vault), entry.now);
            assert!(matches!(told, Told::Refused(_)), "without its rates an entry is not decided again: {told:?}");
            again.machine.offer_rates(synthetic());
        }
        decide_again(&mut again, &vault, payload);
    }
    assert_eq!(again.digest(), town.plain.digest());
}

/// A daemon's data folder, its configuration, and the operator's file of rates.
struct House {
    folder: tempfile::TempDir,
}

impl House {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Where the copy of the synthetic rates lies.
    fn copy(&self) -> PathBuf {
        self.data().join("tables").join(format!("{}.csv", synthetic().digest()))
    }

    /// Starts with a configuration of its own.
    fn start(&self, config: &str) -> Result<Daemon, Ended> {
        let file = self.path("config.toml");
        std::fs::write(&file, config).expect("a configuration");
        Daemon::try_start(&self.data(), |command| {
            command.arg("--config").arg(&file);
        })
    }

    fn started(&self, config: &str) -> Daemon {
        self.start(config).unwrap_or_else(|ended| panic!("it does not start, {}:\n{}", ended.status, ended.log))
    }

    /// Starts in vain: nothing in journal and tables changes.
    fn refused(&self, config: &str, code: i32) -> String {
        let lasting = || [files(&self.data().join("journal")), files(&self.data().join("tables"))];
        let before = lasting();
        let Err(ended) = self.start(config) else { panic!("it starts") };
        assert_eq!(ended.status.code(), Some(code), "{}", ended.log);
        assert!(lasting() == before, "a refused start changes nothing");
        ended.log
    }

    /// Runs `florin replay` or `verify`: the digest, or what it complains of.
    fn look(&self, command: &str) -> (Result<Value, String>, String) {
        let done = run(&[command, self.data().to_str().expect("a path"), "--json"]);
        let log = String::from_utf8_lossy(&done.stderr).into_owned();
        match done.status.code() {
            Some(0) => {
                let report: Value = serde_json::from_slice(&done.stdout).expect("JSON");
                (Ok(report["platforms"][0]["digest"].clone()), log)
            }
            code => (Err(format!("{code:?}: {log}")), log),
        }
    }

    /// Replay and verification agree.
    fn expect_sound(&self) -> Value {
        let digest = self.look("verify").0.expect("it verifies");
        assert_eq!(self.look("replay"), (Ok(digest.clone()), String::new()));
        digest
    }
}

/// Charges 100.00 CHF: the payment, and the amount and rate of its balance transaction.
fn charge(client: &mut Client) -> (Value, i64, f64) {
    let paid = client
        .post(
            "/v1/payment_intents",
            &[
                ("amount", "10000"),
                ("currency", "chf"),
                ("confirm", "true"),
                ("payment_method", "pm_card_visa"),
                ("payment_method_types[]", "card"),
                ("expand[]", "latest_charge.balance_transaction"),
            ],
        )
        .ok();
    let row = paid["latest_charge"]["balance_transaction"].clone();
    (paid, row["amount"].as_i64().expect("an amount"), row["exchange_rate"].as_f64().expect("a rate"))
}

fn created(payment: &Value) -> Timestamp {
    Timestamp::from_seconds(payment["created"].as_i64().expect("a time"))
}

fn wait_for(file: &Path) {
    let until = Instant::now() + Duration::from_secs(30);
    while !file.exists() {
        assert!(Instant::now() < until, "{} does not come", file.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_journal_outlives_its_rates_and_wants_them_all() {
    let house = House { folder: tempfile::tempdir().expect("a folder") };
    std::fs::write(house.path("rates.csv"), SYNTHETIC).expect("a file");
    let newer = format!("snapshot_seconds = 1\n[fx]\nrates_file = {:?}\n", house.path("rates.csv"));

    // The first life converts at what is built in.
    let daemon = house.started("");
    let (early, amount, _) = charge(&mut daemon.client());
    assert_eq!(amount, francs_at_built_in_rates(created(&early)));
    daemon.stop();
    let before = house.expect_sound();

    // The second at the operator's file, for the refund of an old charge as well.
    let daemon = house.started(&newer);
    let client = &mut daemon.client();
    let (_, amount, rate) = charge(client);
    assert_eq!((amount, rate), (39_600, 3.96));
    let refunded =
        client.post("/v1/refunds", &[("payment_intent", text(&early["id"])), ("expand[]", "balance_transaction")]).ok();
    assert_eq!(refunded["balance_transaction"]["amount"], -40_000);
    wait_for(&house.data().join("snapshots/a/manifest"));
    daemon.stop();
    assert_ne!(house.expect_sound(), before);
    let copies: Vec<PathBuf> = files(&house.data().join("tables")).into_iter().map(|(path, _)| path).collect();
    let named = [MarketRates::built_in().digest(), synthetic().digest()];
    let mut wanted = named.map(|digest| house.data().join("tables").join(format!("{digest}.csv")));
    wanted.sort();
    assert_eq!(copies, wanted);

    // The third at what is built in again. What the second did still rests on its own rates.
    let daemon = house.started("");
    let (late, amount, _) = charge(&mut daemon.client());
    assert_eq!(amount, francs_at_built_in_rates(created(&late)));
    daemon.stop();
    let whole = house.expect_sound();
    let name = synthetic().digest().to_string();

    // Without them: no start, though the state comes from a snapshot, and no verification; a replay decides nothing.
    std::fs::remove_file(house.copy()).expect("it was there");
    let log = house.refused("", 3);
    assert!(log.contains("snapshot loaded"), "{log}");
    assert!(log.contains("missing") && log.contains("Restore it"), "{log}");
    assert!(log.contains(&house.copy().display().to_string()), "{log}");
    let complaint = house.look("verify").0.expect_err("it cannot decide");
    assert!(complaint.starts_with("Some(3)") && complaint.contains(&name), "{complaint}");
    let (replayed, warning) = house.look("replay");
    assert_eq!(replayed.as_ref(), Ok(&whole));
    assert!(warning.contains("warning") && warning.contains(&name), "{warning}");

    // Damaged: the same, and the file is left as it is, whoever has a sound one.
    let mut damaged = SYNTHETIC.to_vec();
    damaged[30] ^= 1;
    std::fs::write(house.copy(), &damaged).expect("a file");
    for config in ["", &newer] {
        let log = house.refused(config, 3);
        assert!(log.contains("damaged") && log.contains(&name) && log.contains("Restore it"), "{log}");
    }
    assert!(house.look("verify").0.expect_err("it cannot decide").contains("damaged"));

    // Put back: as if nothing had been.
    std::fs::write(house.copy(), SYNTHETIC).expect("a file");
    assert_eq!(house.expect_sound(), whole);
    house.started("").stop();
    assert_eq!(house.expect_sound(), whole, "rates in force are not put in force again");

    // Missing, but the operator's file has them: they are written again.
    std::fs::remove_file(house.copy()).expect("it was there");
    let ended = house.started(&newer).stop();
    assert!(ended.log.contains("written again"), "{}", ended.log);
    assert_eq!(std::fs::read(house.copy()).expect("the copy"), SYNTHETIC);
    house.expect_sound();
}

#[test]
fn a_file_of_rates_that_is_none_is_refused_with_its_line() {
    let house = House { folder: tempfile::tempdir().expect("a folder") };
    let file = house.path("rates.csv");
    let config = format!("[fx]\nrates_file = {file:?}\n");
    let expect_refused = |problem: &str| {
        let Err(ended) = house.start(&config) else { panic!("it starts") };
        let line = format!("florin: fx.rates_file = {file:?}: {problem}");
        assert!(ended.status.code() == Some(2) && ended.log.contains(&line), "{}: {}", ended.status, ended.log);
        assert!(!house.data().exists(), "nothing was made");
    };
    expect_refused("No such file or directory");
    for (text, problem) in [
        ("", "line 1: there is no header like date,USD,GBP"),
        ("date,USD\n2026-11-20,1.2\n2026-11-19,1.1\n", "line 3: 2026-11-19 stands behind 2026-11-20"),
        ("# ECB\ndate,USD,CHF\n2026-11-20,1.1,0,9\n", "line 3: 3 rates, and the header has 2 currencies"),
    ] {
        std::fs::write(&file, text).expect("a file");
        expect_refused(problem);
    }
}
