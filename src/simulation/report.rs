//! Reports: what a run leaves behind, as JSON, as CSV, and as one page for people.
//!
//! The page is a single file without scripts or anything from elsewhere: `report.html` is its template, the charts are
//! SVG drawn by [`charts`](super::charts).

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};
use serde::{Deserialize, Serialize};

use super::charts;
use super::statistics::{Interval, Percentiles};
use super::traffic::Plan;
use crate::primitives::currency::Currency;

/// Problems that are told in words; the rest are only counted.
const PROBLEMS_TOLD: usize = 50;

/// A run and what came of it. Built step by step by a driver.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct RunReport {
    /// Version of Florin that wrote it.
    pub florin: String,
    /// In process or over HTTP.
    pub kind: RunKind,
    /// What was run.
    pub scenario: ScenarioFigures,
    /// Seed of the plan.
    pub seed: u64,
    /// Factor of all counts.
    pub scale: f64,
    /// When the run began, UTC.
    pub started_at: Option<String>,
    /// How long the traffic took.
    pub wall_s: f64,
    /// Requests a second, measured ones only.
    pub throughput: f64,
    /// What happened, counted.
    pub counts: RunCounts,
    /// Money by currency code.
    pub amounts: BTreeMap<String, CurrencyTotals>,
    /// From the intended start to the answer.
    pub latency: Option<Percentiles>,
    /// From the actual start to the answer.
    pub service: Option<Percentiles>,
    /// Second by second.
    pub series: Vec<Interval>,
    /// Balances of the most popular sellers.
    pub top_accounts: Vec<AccountBalance>,
    /// State digests by platform.
    pub digests: Vec<PlatformDigest>,
    /// The trial balance at the end.
    pub trial_balance: Option<TrialBalanceFigures>,
    /// Of a load run: how the traffic was sent.
    pub client: Option<ClientFigures>,
    /// Answers that were not what they should be.
    pub problem_count: u64,
    /// The first of them, in words.
    pub problems: Vec<String>,
}

/// How the traffic reached the machine.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// In process.
    #[default]
    Simulate,
    /// Over HTTP.
    Load,
}

/// What was run: the scenario's figures, after scaling.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ScenarioFigures {
    /// Its id.
    pub id: String,
    /// Its description.
    pub description: String,
    /// Platforms.
    pub platforms: u32,
    /// Sellers per platform.
    pub accounts: u32,
    /// Buyers per platform.
    pub customers: u32,
    /// Payments per platform.
    pub payments: u64,
    /// First moment, UTC.
    pub start: String,
    /// How long payments arrive.
    pub duration_s: u64,
    /// Zone of the buyers.
    pub tz: String,
}

/// What happened, counted.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct RunCounts {
    /// Requests of the traffic that were sent.
    pub attempted: u64,
    /// Charges that succeeded.
    pub succeeded: u64,
    /// Charges that the issuer declined.
    pub declined: u64,
    /// Refunds that were accepted.
    pub refunded: u64,
    /// Requests sent again under their key, and answered like the first time.
    pub repeated: u64,
    /// Requests that were refused or lost.
    pub errors: u64,
    /// Refunds that were not sent, as their charge had not succeeded.
    pub skipped: u64,
    /// Requests that were sent again because the first one under their key was still running.
    pub retried: u64,
    /// Requests that were due before the end but never sent.
    pub unsent: u64,
    /// Requests of the warm-up: counted above, but not measured.
    pub warmup: u64,
    /// Answers by HTTP status.
    pub by_status: BTreeMap<u16, u64>,
    /// Refusals and losses by error code.
    pub by_code: BTreeMap<String, u64>,
}

/// Money of one currency, minor units.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct CurrencyTotals {
    /// Decimals of the currency.
    pub exponent: u32,
    /// Charges that succeeded.
    pub charges: u64,
    /// Their amount.
    pub charged_minor: i128,
    /// Application fees that came with them (split rules not counted).
    pub application_fees_minor: i128,
    /// Refunds.
    pub refunds: u64,
    /// Their amount.
    pub refunded_minor: i128,
}

/// What a seller has.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct AccountBalance {
    /// Number of the platform, from 1.
    pub platform: u32,
    /// Rank of popularity, from 1.
    pub rank: u32,
    /// Id of the account.
    pub id: String,
    /// By currency.
    pub balances: Vec<BalanceLine>,
}

/// A balance in one currency, minor units.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct BalanceLine {
    /// Currency code.
    pub currency: String,
    /// Can be paid out.
    pub available_minor: i128,
    /// Will be available later.
    pub pending_minor: i128,
}

/// The state of a platform, as one number.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct PlatformDigest {
    /// Number of the platform, from 1.
    pub platform: u32,
    /// Sequence number it stands for.
    pub sequence: u64,
    /// BLAKE3, hexadecimal.
    pub digest: String,
}

/// Whether the books balance.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct TrialBalanceFigures {
    /// Whether every currency adds up to nothing.
    pub zero: bool,
    /// Sum by currency code, minor units.
    pub sums: BTreeMap<String, i128>,
    /// The ledger accounts.
    pub rows: Vec<TrialBalanceRow>,
}

/// One ledger account of the trial balance.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct TrialBalanceRow {
    /// Name of the ledger account.
    pub name: String,
    /// Currency code.
    pub currency: String,
    /// Total, credits positive.
    pub minor: i128,
}

/// How a load run sent its traffic.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ClientFigures {
    /// Open or closed loop, and how fast.
    pub pace: String,
    /// Keep-alive connections.
    pub connections: usize,
    /// Time that was not measured.
    pub warmup_s: f64,
    /// Part of every idempotency key.
    pub run_id: String,
    /// CPU seconds of the load generator during the traffic, all threads.
    pub cpu_s: Option<f64>,
    /// … per request.
    pub cpu_us_per_request: Option<f64>,
}

impl RunReport {
    /// A report of a plan, in which nothing has happened yet.
    pub fn of(kind: RunKind, plan: &Plan) -> RunReport {
        let (scenario, counts) = (plan.scenario(), plan.counts());
        RunReport {
            florin: env!("CARGO_PKG_VERSION").to_owned(),
            kind,
            scenario: ScenarioFigures {
                id: scenario.id.clone(),
                description: scenario.description.clone(),
                platforms: scenario.platforms,
                accounts: counts.accounts,
                customers: counts.customers,
                payments: counts.payments,
                start: scenario.start.to_string(),
                duration_s: scenario.duration_ms / 1_000,
                tz: scenario.tz_name.clone(),
            },
            seed: plan.seed(),
            scale: plan.scale(),
            ..RunReport::default()
        }
    }

    /// The totals of a currency, to add to.
    pub fn amounts_in(&mut self, currency: Currency) -> &mut CurrencyTotals {
        // A look-up by &str first: an entry would allocate on every payment.
        if !self.amounts.contains_key(currency.code()) {
            let totals = CurrencyTotals { exponent: currency.exponent(), ..CurrencyTotals::default() };
            self.amounts.insert(currency.code().to_owned(), totals);
        }
        self.amounts.entry(currency.code().to_owned()).or_default()
    }

    /// Notes that something was not as it should be.
    pub fn problem(&mut self, problem: String) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_TOLD {
            self.problems.push(problem);
        }
    }

    /// Writes `report.json`, `series.csv`, `latency.csv`, `amounts.csv`, `accounts.csv` and `index.html` into a folder,
    /// which is made if it is not there.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut json = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        json.push(b'\n');
        std::fs::write(folder.join("report.json"), json)?;
        std::fs::write(folder.join("index.html"), self.page().map_err(io::Error::other)?)?;
        let rows = self.series.iter().map(|s| [s.second, s.requests, s.errors, s.p50_us, s.p99_us, s.max_us]);
        csv(folder, "series", ["second", "requests", "errors", "p50_us", "p99_us", "max_us"], rows)?;
        let kinds = [("latency", &self.latency), ("service", &self.service)];
        let points = kinds.iter().filter_map(|(kind, times)| times.as_ref().map(|times| (kind, times)));
        let rows = points.flat_map(|(kind, times)| {
            times.spectrum.iter().map(move |(share, us)| [(*kind).to_owned(), share.to_string(), us.to_string()])
        });
        csv(folder, "latency", ["kind", "share", "within_us"], rows)?;
        let rows = self.amounts.iter().map(|(code, totals)| {
            let CurrencyTotals { charges, charged_minor, application_fees_minor, refunds, refunded_minor, .. } = totals;
            let figures = [
                charges.to_string(),
                charged_minor.to_string(),
                application_fees_minor.to_string(),
                refunds.to_string(),
                refunded_minor.to_string(),
            ];
            let [charges, charged, fees, refunds, refunded] = figures;
            [code.clone(), charges, charged, fees, refunds, refunded]
        });
        let columns = ["currency", "charges", "charged_minor", "application_fees_minor", "refunds", "refunded_minor"];
        csv(folder, "amounts", columns, rows)?;
        let rows = self.top_accounts.iter().flat_map(|account| {
            account.balances.iter().map(|line| {
                let (available, pending) = (line.available_minor.to_string(), line.pending_minor.to_string());
                let (platform, rank) = (account.platform.to_string(), account.rank.to_string());
                [platform, rank, account.id.clone(), line.currency.clone(), available, pending]
            })
        });
        csv(folder, "accounts", ["platform", "rank", "account", "currency", "available_minor", "pending_minor"], rows)
    }

    /// The page.
    ///
    /// # Errors
    /// The template fails, which a test excludes.
    pub fn page(&self) -> Result<String, minijinja::Error> {
        let mut environment = Environment::new();
        environment.add_filter("money", |minor: i128, exponent: u32| money(minor, exponent));
        environment.add_filter("count", |count: i128| grouped(count));
        environment.add_filter("time", |us: f64| duration(us));
        environment.add_filter("fixed", |value: f64, digits: usize| format!("{value:.digits$}"));
        environment.add_filter("decimals", |code: &str| code.parse::<Currency>().map_or(2, Currency::exponent));
        environment.add_template("index.html", include_str!("report.html"))?;
        environment.get_template("index.html")?.render(context! {
            report => Value::from(Serde(self)),
            throughput => charts::throughput(&self.series),
            latency => charts::latency(&self.series),
            spectrum => charts::spectrum(self.latency.as_ref(), self.service.as_ref()),
            money => charts::money(&self.amounts),
            sellers => charts::sellers(&self.top_accounts),
            passed => self.problem_count == 0
                && self.counts.errors == 0
                && self.trial_balance.as_ref().is_none_or(|balance| balance.zero),
        })
    }
}

impl TrialBalanceFigures {
    /// Figures of ledger accounts: name, currency, total with credits positive.
    pub fn of(rows: impl IntoIterator<Item = (String, Currency, i128)>) -> TrialBalanceFigures {
        let mut figures = TrialBalanceFigures::default();
        for (name, currency, minor) in rows {
            *figures.sums.entry(currency.code().to_owned()).or_default() += minor;
            figures.rows.push(TrialBalanceRow { name, currency: currency.code().to_owned(), minor });
        }
        figures.zero = figures.sums.values().all(|&sum| sum == 0);
        figures
    }

    /// Reads the answer of `GET /florin/trial_balance`: `rows` of account, amount and currency, and their `sums`. Where
    /// the sums are missing the rows are added up. `None` where it is neither.
    pub fn read(body: &serde_json::Value) -> Option<TrialBalanceFigures> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Line {
            account: String,
            amount: i128,
            currency: String,
        }
        #[derive(Deserialize)]
        struct Body {
            #[serde(default)]
            rows: Vec<Line>,
            sums: Option<Vec<Line>>,
        }
        // Through text, as a value keeps no 128-bit numbers apart.
        let body: Body = serde_json::from_str(&body.to_string()).ok()?;
        let mut sums: BTreeMap<String, i128> = BTreeMap::new();
        match &body.sums {
            Some(lines) => sums.extend(lines.iter().map(|line| (line.currency.clone(), line.amount))),
            None if body.rows.is_empty() => return None,
            None => body.rows.iter().for_each(|row| *sums.entry(row.currency.clone()).or_default() += row.amount),
        }
        let rows = body.rows.into_iter();
        let rows = rows.map(|row| TrialBalanceRow { name: row.account, currency: row.currency, minor: row.amount });
        Some(TrialBalanceFigures { zero: sums.values().all(|&sum| sum == 0), sums, rows: rows.collect() })
    }
}

impl BalanceLine {
    /// Reads a balance object.
    pub fn read(body: &serde_json::Value) -> Vec<BalanceLine> {
        let mut lines: BTreeMap<String, BalanceLine> = BTreeMap::new();
        for bucket in ["available", "pending"] {
            for entry in body.get(bucket).and_then(|list| list.as_array()).map_or(&[][..], Vec::as_slice) {
                let code = entry.get("currency").and_then(|code| code.as_str()).unwrap_or_default();
                let amount = entry.get("amount").and_then(serde_json::Value::as_i64).unwrap_or_default();
                let line = lines.entry(code.to_owned()).or_default();
                line.currency = code.to_owned();
                let total = if bucket == "available" { &mut line.available_minor } else { &mut line.pending_minor };
                *total += i128::from(amount);
            }
        }
        lines.into_values().collect()
    }
}

fn csv<const N: usize, T: ToString>(
    folder: &Path,
    name: &str,
    columns: [&str; N],
    rows: impl Iterator<Item = [T; N]>,
) -> io::Result<()> {
    let mut writer = csv::Writer::from_path(folder.join(format!("{name}.csv")))?;
    writer.write_record(columns)?;
    for row in rows {
        writer.write_record(row.map(|field| field.to_string()))?;
    }
    writer.flush()
}

/// Minor units in major ones: 1234567 with two decimals is 12,345.67.
pub fn money(minor: i128, exponent: u32) -> String {
    let unit = 10_u128.pow(exponent.min(9));
    let size = minor.unsigned_abs();
    let sign = if minor < 0 { "−" } else { "" };
    let whole = grouped((size / unit) as i128);
    match exponent {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{:0width$}", size % unit, width = exponent as usize),
    }
}

/// A whole number with its thousands apart.
pub fn grouped(number: i128) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("−{text}") } else { text }
}

/// Microseconds as people read them: 870 µs, 1.43 ms, 12.5 s.
pub fn duration(us: f64) -> String {
    let (value, unit) = match us {
        us if us < 1_000.0 => (us, "µs"),
        us if us < 1_000_000.0 => (us / 1_000.0, "ms"),
        us => (us / 1_000_000.0, "s"),
    };
    match value {
        value if unit == "µs" || value >= 100.0 => format!("{value:.0} {unit}"),
        value if value >= 10.0 => format!("{value:.1} {unit}"),
        value => format!("{value:.2} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::Scenario;
    use crate::simulation::statistics::Recorder;

    fn report() -> RunReport {
        let text = include_str!("../../simulations/smoke.toml");
        let plan = Plan::new(&Scenario::parse(text, "smoke.toml").unwrap(), 1, 1.0).unwrap();
        let mut report = RunReport::of(RunKind::Load, &plan);
        let mut recorder = Recorder::new();
        for i in 0..600_u64 {
            let time = std::time::Duration::from_micros(900 + (i * 7_919) % 5_000);
            recorder.record(std::time::Duration::from_millis(i * 17), time, time / 2, i % 100 == 0);
        }
        (report.latency, report.service) = (Some(recorder.latency()), Some(recorder.service()));
        report.series = recorder.into_series();
        (report.wall_s, report.throughput) = (10.2, 58.8);
        for (currency, charged) in [(Currency::EUR, 123_456_789), (Currency::JPY, 9_876)] {
            let totals = report.amounts_in(currency);
            (totals.charges, totals.charged_minor) = (3, charged);
            (totals.application_fees_minor, totals.refunded_minor) = (charged / 12, charged / 20);
        }
        report.counts.by_status.insert(200, 598);
        report.counts.by_code.insert("card_declined".to_owned(), 2);
        let line = BalanceLine { currency: "eur".to_owned(), available_minor: -5, pending_minor: 1_234_567 };
        report.top_accounts =
            vec![AccountBalance { platform: 0, rank: 1, id: "acct_1".to_owned(), balances: vec![line] }];
        let rows = [("bank".to_owned(), Currency::EUR, -12_i128), ("fees".to_owned(), Currency::EUR, 12)];
        report.trial_balance = Some(TrialBalanceFigures::of(rows));
        report.digests = vec![PlatformDigest { platform: 0, sequence: 9, digest: "ab".repeat(32) }];
        report.client = Some(ClientFigures { pace: "closed loop".to_owned(), cpu_s: Some(1.5), ..Default::default() });
        report
    }

    #[test]
    fn a_report_is_written_as_page_tables_and_json() {
        let folder = tempfile::tempdir().unwrap();
        report().write(&folder.path().join("new/run")).unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join("new/run").join(name)).unwrap();
        assert_eq!(serde_json::from_str::<RunReport>(&read("report.json")).unwrap(), report());
        assert!(read("series.csv").starts_with("second,requests,errors,p50_us,p99_us,max_us\n0,59,1,"));
        assert!(read("amounts.csv").contains("\neur,3,123456789,"));
        assert!(read("accounts.csv").ends_with("0,1,acct_1,eur,-5,1234567\n"));
        assert_eq!(read("latency.csv").lines().count(), 1 + 2 * 14);

        let page = read("index.html");
        assert_eq!(page.matches("<svg").count(), 3 + 2 + 1, "charts");
        for part in
            ["<h1>smoke</h1>", "1,234,567.89", "9,876", "card_declined", "the books balance", "−0.05", "12,345.67"]
        {
            assert!(page.contains(part), "{part}");
        }
        for foreign in ["http://", "https://", "<script", "url("] {
            let hits = page.matches(foreign).count()
                - page.matches("http://www.w3.org/2000/svg").count() * usize::from(foreign == "http://");
            assert_eq!(hits, 0, "{foreign}");
        }
    }

    #[test]
    fn a_report_of_nothing_is_a_page_too() {
        let page = RunReport::default().page().unwrap();
        assert!(page.contains("Every answer was as it should be") && !page.contains("<svg"), "{page}");
    }

    #[test]
    fn what_went_wrong_stands_on_the_page() {
        let mut report = report();
        for i in 0..60 {
            report.problem(format!("charge {i} <lost>"));
        }
        report.trial_balance = Some(TrialBalanceFigures::of([("bank".to_owned(), Currency::EUR, 1)]));
        let page = report.page().unwrap();
        assert!(page.contains("charge 0 &lt;lost&gt;") && page.contains("and 10 more"));
        assert!(page.contains("The books do not balance."));
    }

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!(
            [money(1_234_567, 2), money(-5, 2), money(500, 0), money(5_120, 3)],
            ["12,345.67", "−0.05", "500", "5.120"]
        );
        assert_eq!(
            [grouped(0), grouped(999), grouped(1_000), grouped(-1_234_567)],
            ["0", "999", "1,000", "−1,234,567"]
        );
        assert_eq!(
            [870.0, 1_430.0, 12_340.0, 123_400.0, 12_500_000.0].map(duration),
            ["870 µs", "1.43 ms", "12.3 ms", "123 ms", "12.5 s"]
        );
    }

    #[test]
    fn a_trial_balance_is_what_its_sums_say() {
        let read = |text: &str| TrialBalanceFigures::read(&serde_json::from_str(text).unwrap());
        let of = |text: &str| read(text).map(|figures| (figures.zero, figures.sums.into_iter().collect::<Vec<_>>()));
        let sums = |minor| vec![("eur".to_owned(), minor)];
        let rows = r#""rows":[{"account":"bank","currency":"eur","amount":7},{"account":"fees","currency":"eur","amount":-7}]"#;
        assert_eq!(of(&format!("{{{rows}}}")), Some((true, sums(0))));
        assert_eq!(of(&format!(r#"{{{rows},"sums":[{{"currency":"eur","amount":1}}]}}"#)), Some((false, sums(1))));
        assert_eq!(of(r#"{"sums":[]}"#), Some((true, vec![])));
        assert_eq!(of(r#"{"nothing":1}"#), None);
    }
}
