//! Scenarios: what `simulations/*.toml` may say, and what it means.
//!
//! [`Scenario::read`] and [`Scenario::parse`] turn text into meaning or into a [`ScenarioError`] that names file, line,
//! field and what is allowed. Shares become millionths and curves become whole numbers here, so that everything
//! behind this door is integer arithmetic (but for the shape of amounts and of the Zipf curve, see
//! [`draws`](super::draws)).
//!
//! `docs/simulations.md` is this format for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::Path;

use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

use crate::primitives::country::Country;
use crate::primitives::currency::Currency;
use crate::primitives::share::percent_half_up;
use crate::primitives::time::Timestamp;

/// The most that a cart's smaller sellers take together, in millionths of the charge; the main seller takes what is
/// left, so that a fixed application fee fits into small charges too.
pub const CART_SIDE_SHARE_PPM: u32 = 400_000;

const MILLION: u32 = 1_000_000;
const DAY_S: u64 = 86_400;

/// A scenario, checked. Counts are those of one platform, at scale 1.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Name of the scenario; part of the name of every draw.
    pub id: String,
    /// What it shows, for people.
    pub description: String,
    /// Virtual time of the first moment.
    pub start: Timestamp,
    /// How long payments arrive.
    pub duration_ms: u64,
    /// Time zone of the buyers: the arrival curve follows its hours.
    pub tz: TimeZone,
    /// The zone's name.
    pub tz_name: String,
    /// How many platforms run the scenario, each with its own draws.
    pub platforms: u32,
    /// Connected accounts (sellers).
    pub accounts: u32,
    /// Customers (buyers).
    pub customers: u32,
    /// Split rules that carts choose from.
    pub split_rules: u32,
    /// Exponent of the sellers' popularity: the seller of rank k gets k^-zipf of the first one's payments.
    pub zipf: f64,
    /// Country of the sellers.
    pub country: Country,
    /// Currency the sellers settle in.
    pub currency: Currency,
    /// Payments.
    pub payments: u64,
    /// Relative rate by local hour, in thousandths.
    pub curve: [u32; 24],
    /// Methods and currencies of the payments; shares add up to a million.
    pub mix: Vec<MixLine>,
    /// Amounts by currency; has every currency of the mix.
    pub amounts: BTreeMap<Currency, AmountTerms>,
    /// Millionths of the payments that are carts, divided by a split rule.
    pub split_ppm: u32,
    /// Fewest and most sellers of a cart.
    pub sellers_per_cart: (u32, u32),
    /// What the platform takes.
    pub application_fee: FeeTerms,
    /// What buyers send back.
    pub refund: RefundTerms,
    /// Millionths of the payments that the issuer declines.
    pub decline_ppm: u32,
    /// Millionths of the payments whose request is sent twice under one idempotency key.
    pub duplicate_ppm: u32,
}

/// A method with a currency, and how many payments use it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MixLine {
    /// Label of the method, `ideal`. Until payment methods come it is a label on a card payment.
    pub method: std::sync::Arc<str>,
    /// Currency of the payment.
    pub currency: Currency,
    /// Millionths of the payments.
    pub share_ppm: u32,
}

/// A log-normal amount in minor units: e^(mu + sigma·N(0,1)), clamped, then rounded to the currency's multiple.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AmountTerms {
    /// Logarithm of the median.
    pub mu: f64,
    /// Spread.
    pub sigma: f64,
    /// Smallest amount.
    pub min_minor: i64,
    /// Largest amount.
    pub max_minor: i64,
}

/// The platform's fee on a payment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FeeTerms {
    /// Basis points of the amount, rounded half-up.
    pub bps: u32,
    /// Minor units on top.
    pub fixed_minor: i64,
}

impl FeeTerms {
    /// The fee of an amount, cut to the currency's multiple.
    pub fn of(&self, amount_minor: i64, currency: Currency) -> i64 {
        let fee = percent_half_up(amount_minor, self.bps * 100).saturating_add(self.fixed_minor);
        fee - fee % currency.charge_multiple()
    }
}

/// Which payments come back, when, and how much of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RefundTerms {
    /// Millionths of the successful payments.
    pub share_ppm: u32,
    /// Half of them come back within this time.
    pub delay_p50_ms: u64,
    /// All of them come back within this time.
    pub within_ms: u64,
    /// Millionths of the refunds that are for a part of the amount only.
    pub partial_ppm: u32,
}

/// What is wrong with a scenario, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ScenarioError {
    /// The file could not be read.
    #[error("cannot read the scenario {file}: {cause}; give the path of a file like simulations/smoke.toml")]
    Unreadable {
        /// Path as given.
        file: String,
        /// The system's words.
        cause: String,
    },
    /// The file was read, but says something it may not.
    #[error("{file}:{line}: {}{problem}", Named(field))]
    Wrong {
        /// Path as given.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Path of the field, `amount.EUR.min`; empty where none can be named.
        field: String,
        /// What is wrong and what is allowed.
        problem: String,
    },
}

struct Named<'a>(&'a str);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "`{}`: ", self.0) }
    }
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// The file cannot be read, or [`Scenario::parse`] refuses it.
    pub fn read(path: &Path) -> Result<Scenario, ScenarioError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Scenario::parse(&text, &file),
            Err(error) => Err(ScenarioError::Unreadable { file, cause: error.to_string() }),
        }
    }

    /// Reads a scenario from text; `file` is the name used in errors.
    ///
    /// # Errors
    /// The first thing found that is not TOML, not a key of the format, or not a value that the key allows.
    pub fn parse(text: &str, file: &str) -> Result<Scenario, ScenarioError> {
        let at = |place: Option<Range<usize>>, field: String, problem: String| {
            let offset = place.map_or(0, |span| span.start.min(text.len()));
            let line = 1 + text.as_bytes()[..offset].iter().filter(|&&byte| byte == b'\n').count();
            ScenarioError::Wrong { file: file.to_owned(), line, field, problem }
        };
        let tree = DeTable::parse(text).map_err(|e| at(e.span(), String::new(), e.message().to_owned()))?;
        let file: ScenarioFile = toml::from_str(text).map_err(|e| {
            let field = e.span().map(|span| field_at(tree.get_ref(), &span)).unwrap_or_default();
            at(e.span(), field, e.message().replace('\n', " "))
        })?;
        file.check().map_err(|wrong| at(span_of(tree.get_ref(), &wrong.field), wrong.field, wrong.problem))
    }
}

// ---------------------------------------------------------------------------------------------------------------
// The file as it is written

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenarioFile {
    id: String,
    #[serde(default)]
    description: String,
    start: Datetime,
    duration_s: u64,
    tz: String,
    #[serde(default = "one")]
    platforms: u32,
    accounts: u32,
    customers: Option<u32>,
    split_rules: Option<u32>,
    zipf: f64,
    country: String,
    currency: Option<String>,
    payments: u64,
    arrival: ArrivalFile,
    mix: Vec<MixFile>,
    amount: BTreeMap<String, AmountFile>,
    #[serde(default)]
    charge_type: ChargeTypeFile,
    #[serde(default)]
    application_fee: FeeFile,
    #[serde(default)]
    refund: RefundFile,
    #[serde(default)]
    decline_share: f64,
    #[serde(default)]
    duplicate_request_share: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArrivalFile {
    #[serde(rename = "process")]
    _process: Process,
    curve: CurveFile,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Process {
    Nhpp,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected the name of a curve (retail, bills, flat) or 24 numbers, one per local hour")]
enum CurveFile {
    Named(String),
    Hours(Vec<f64>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MixFile {
    method: String,
    currency: String,
    share: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AmountFile {
    mu: f64,
    sigma: f64,
    min: i64,
    max: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChargeTypeFile {
    destination: f64,
    #[serde(default)]
    split: f64,
    sellers_per_cart: Option<[u32; 2]>,
}

impl Default for ChargeTypeFile {
    fn default() -> ChargeTypeFile {
        ChargeTypeFile { destination: 1.0, split: 0.0, sellers_per_cart: None }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FeeFile {
    #[serde(default)]
    bps: u32,
    #[serde(default)]
    fixed: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundFile {
    share: f64,
    delay_p50_s: u64,
    within_s: Option<u64>,
    #[serde(default)]
    partial_share: f64,
}

fn one() -> u32 {
    1
}

/// Relative rates by local hour with mean 1; `docs/simulations.md` says where they come from.
const CURVES: [(&str, [f64; 24]); 3] = [
    (
        "retail",
        [
            0.309, 0.175, 0.113, 0.082, 0.082, 0.144, 0.330, 0.639, 0.927, 1.154, 1.288, 1.360, 1.380, 1.318, 1.257,
            1.257, 1.318, 1.401, 1.545, 1.772, 1.978, 1.916, 1.463, 0.792,
        ],
    ),
    (
        "bills",
        [
            0.20, 0.10, 0.05, 0.05, 0.10, 0.40, 1.00, 1.60, 1.90, 1.90, 1.80, 1.60, 1.40, 1.40, 1.40, 1.30, 1.20, 1.10,
            1.10, 1.20, 1.20, 0.90, 0.70, 0.40,
        ],
    ),
    ("flat", [1.0; 24]),
];

// ---------------------------------------------------------------------------------------------------------------
// From the file to its meaning

struct Wrong {
    field: String,
    problem: String,
}

fn wrong<T>(field: impl Into<String>, problem: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { field: field.into(), problem: problem.into() })
}

impl ScenarioFile {
    fn check(self) -> Result<Scenario, Wrong> {
        let simple = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if self.id.is_empty() || self.id.len() > 48 || !self.id.chars().all(simple) {
            return wrong("id", format!("{:?} is no id: expected 1 to 48 of a-z, 0-9 and _", self.id));
        }
        let tz = TimeZone::get(&self.tz).or_else(|_| {
            let problem = format!("unknown time zone {:?}: expected a name such as Europe/Amsterdam or UTC", self.tz);
            wrong("tz", problem)
        })?;
        let start = instant(&self.start, &tz)?;
        in_range("duration_s", self.duration_s, 1, 366 * DAY_S)?;
        in_range("platforms", u64::from(self.platforms), 1, 1_000)?;
        in_range("accounts", u64::from(self.accounts), 1, 10_000_000)?;
        in_range("payments", self.payments, 1, 1_000_000_000)?;
        if !(0.0..=4.0).contains(&self.zipf) {
            return wrong("zipf", format!("{} is out of range: expected 0 (all sellers alike) to 4", self.zipf));
        }
        let country: Country = self.country.parse().or_else(|e| wrong("country", format!("{e}")))?;
        let Some(home) = country.default_currency() else {
            return wrong("country", format!("no accounts can be opened in {country}; for example NL, DE or US"));
        };
        let currency = match &self.currency {
            None => home,
            Some(code) => currency_of("currency", code)?,
        };
        let mix = mix_lines(&self.mix)?;
        let amounts = amount_terms(&self.amount, &mix)?;
        let application_fee = fee_terms(&self.application_fee, &amounts)?;
        let (split_ppm, sellers_per_cart) = self.charge_type.check(self.accounts)?;
        if split_ppm > 0 {
            fee_fits_carts(application_fee, &amounts)?;
        }
        let customers = self.customers.unwrap_or_else(|| u32::try_from(self.payments / 10).unwrap_or(u32::MAX));
        let customers = if self.customers.is_none() { customers.clamp(1, 10_000) } else { customers };
        in_range("customers", u64::from(customers), 1, 10_000_000)?;
        let split_rules = match (self.split_rules, split_ppm) {
            (Some(count), _) => count,
            (None, 0) => 0,
            (None, _) => (self.accounts / 5).clamp(1, 1_000),
        };
        if split_ppm > 0 {
            in_range("split_rules", u64::from(split_rules), 1, 1_000_000)?;
        }
        Ok(Scenario {
            curve: self.arrival.curve.check()?,
            refund: self.refund.check()?,
            decline_ppm: share_ppm("decline_share", self.decline_share)?,
            duplicate_ppm: share_ppm("duplicate_request_share", self.duplicate_request_share)?,
            duration_ms: self.duration_s * 1_000,
            id: self.id,
            description: self.description,
            start,
            tz,
            tz_name: self.tz,
            platforms: self.platforms,
            accounts: self.accounts,
            customers,
            split_rules,
            zipf: self.zipf,
            country,
            currency,
            payments: self.payments,
            mix,
            amounts,
            split_ppm,
            sellers_per_cart,
            application_fee,
        })
    }
}

/// The instant of a date and time with offset, or of a local one in the scenario's zone.
fn instant(written: &Datetime, tz: &TimeZone) -> Result<Timestamp, Wrong> {
    let expected = "expected a date and time without quotes: 2026-10-27T00:00:00 (in the scenario's zone) or \
                    2026-10-26T23:00:00Z";
    let text = written.to_string();
    let instant = match (written.date, written.time, written.offset) {
        (Some(_), Some(_), Some(_)) => text.parse::<jiff::Timestamp>().ok(),
        (Some(_), Some(_), None) => text
            .parse::<jiff::civil::DateTime>()
            .ok()
            .and_then(|local| tz.to_ambiguous_zoned_datetime(local).compatible().ok())
            .map(|zoned| zoned.timestamp()),
        _ => None,
    };
    let first = Timestamp::from_seconds(0);
    match instant.map(|at| Timestamp::from_millis(at.as_millisecond())) {
        Some(at) if at >= first => Ok(at),
        Some(_) => wrong("start", format!("{text} is before 1970: {expected}")),
        None => wrong("start", format!("{text} is no point in time: {expected}")),
    }
}

fn mix_lines(lines: &[MixFile]) -> Result<Vec<MixLine>, Wrong> {
    let mut checked = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let name = line.method.as_str();
        let simple = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || name.len() > 32 || !name.chars().all(simple) {
            let problem = format!("{name:?} is no method: expected a name such as card, ideal or bancontact");
            return wrong(format!("mix.{i}.method"), problem);
        }
        checked.push(MixLine {
            method: name.into(),
            currency: currency_of(&format!("mix.{i}.currency"), &line.currency)?,
            share_ppm: share_ppm(&format!("mix.{i}.share"), line.share)?,
        });
    }
    let total: u64 = checked.iter().map(|line| u64::from(line.share_ppm)).sum();
    if total != u64::from(MILLION) {
        let sum = total as f64 / f64::from(MILLION);
        return wrong("mix", format!("the shares add up to {sum}: expected 1"));
    }
    Ok(checked)
}

fn amount_terms(
    written: &BTreeMap<String, AmountFile>,
    mix: &[MixLine],
) -> Result<BTreeMap<Currency, AmountTerms>, Wrong> {
    let mut amounts = BTreeMap::new();
    for (code, amount) in written {
        let field = |name: &str| format!("amount.{code}.{name}");
        let currency = currency_of(&format!("amount.{code}"), code)?;
        let multiple = currency.charge_multiple();
        if !(0.0..=30.0).contains(&amount.mu) {
            return wrong(field("mu"), format!("{} is out of range: expected 0 to 30, ln of the median", amount.mu));
        }
        if !(0.0..=5.0).contains(&amount.sigma) {
            return wrong(field("sigma"), format!("{} is out of range: expected 0 to 5", amount.sigma));
        }
        if amount.min < 1 || amount.min % multiple != 0 {
            let problem = format!("{} is no amount in {currency}: expected a multiple of {multiple}", amount.min);
            return wrong(field("min"), problem);
        }
        if amount.max < amount.min || amount.max > 99_999_999 * 10_000 || amount.max % multiple != 0 {
            let least = amount.min;
            let problem =
                format!("{} is out of range: expected a multiple of {multiple}, at least min = {least}", amount.max);
            return wrong(field("max"), problem);
        }
        let terms = AmountTerms { mu: amount.mu, sigma: amount.sigma, min_minor: amount.min, max_minor: amount.max };
        amounts.insert(currency, terms);
    }
    for (i, line) in mix.iter().enumerate() {
        if !amounts.contains_key(&line.currency) {
            let code = line.currency.code().to_uppercase();
            let problem = format!("there is no `amount.{code}`: every currency of the mix needs one");
            return wrong(format!("mix.{i}.currency"), problem);
        }
    }
    Ok(amounts)
}

fn fee_terms(written: &FeeFile, amounts: &BTreeMap<Currency, AmountTerms>) -> Result<FeeTerms, Wrong> {
    if written.bps > 9_999 {
        return wrong("application_fee.bps", format!("{} is out of range: expected 0 to 9999", written.bps));
    }
    if !(0..=1_000_000_000).contains(&written.fixed) {
        return wrong("application_fee.fixed", format!("{} is out of range: expected 0 or more", written.fixed));
    }
    let terms = FeeTerms { bps: written.bps, fixed_minor: written.fixed };
    for (currency, amount) in amounts {
        let fee = terms.of(amount.min_minor, *currency);
        if fee >= amount.min_minor {
            let (code, min) = (currency.code().to_uppercase(), amount.min_minor);
            let problem =
                format!("a payment of {min} would have a fee of {fee}: raise `amount.{code}.min`, or lower it");
            return wrong("application_fee", problem);
        }
    }
    Ok(terms)
}

/// Under a split rule the fixed fee comes out of the main seller's part, which must have room for it.
fn fee_fits_carts(fee: FeeTerms, amounts: &BTreeMap<Currency, AmountTerms>) -> Result<(), Wrong> {
    for (currency, amount) in amounts {
        let main_ppm = MILLION.saturating_sub(CART_SIDE_SHARE_PPM + fee.bps * 100);
        let main_part = percent_half_up(amount.min_minor, main_ppm) - 1; // 1: largest remainder may round against it
        if main_part < fee.fixed_minor {
            let (code, min) = (currency.code().to_uppercase(), amount.min_minor);
            let problem = format!(
                "in a cart of {min} the main seller is left with {main_part}, less than the fixed fee: raise \
                 `amount.{code}.min`, or lower the fee"
            );
            return wrong("application_fee.fixed", problem);
        }
    }
    Ok(())
}

impl ChargeTypeFile {
    fn check(&self, accounts: u32) -> Result<(u32, (u32, u32)), Wrong> {
        let destination = share_ppm("charge_type.destination", self.destination)?;
        let split = share_ppm("charge_type.split", self.split)?;
        if destination + split != MILLION {
            return wrong("charge_type", "destination and split do not add up to 1");
        }
        let [least, most] = self.sellers_per_cart.unwrap_or([2, 4]);
        if split > 0 && !(2 <= least && least <= most && most <= 20) {
            let problem = format!("[{least}, {most}] is no range: expected fewest and most sellers, from 2 to 20");
            return wrong("charge_type.sellers_per_cart", problem);
        }
        if split > 0 && accounts < most {
            return wrong("accounts", format!("{accounts} accounts cannot fill a cart of {most} sellers"));
        }
        Ok((split, (least, most)))
    }
}

impl RefundFile {
    fn check(&self) -> Result<RefundTerms, Wrong> {
        in_range("refund.delay_p50_s", self.delay_p50_s, 0, 366 * DAY_S)?;
        let within = self.within_s.unwrap_or(2 * self.delay_p50_s);
        if within < self.delay_p50_s || within > 732 * DAY_S {
            let least = self.delay_p50_s;
            return wrong(
                "refund.within_s",
                format!("{within} is out of range: expected delay_p50_s = {least} or more"),
            );
        }
        Ok(RefundTerms {
            share_ppm: share_ppm("refund.share", self.share)?,
            partial_ppm: share_ppm("refund.partial_share", self.partial_share)?,
            delay_p50_ms: self.delay_p50_s * 1_000,
            within_ms: within * 1_000,
        })
    }
}

impl CurveFile {
    fn check(&self) -> Result<[u32; 24], Wrong> {
        let field = "arrival.curve";
        let hours: [f64; 24] = match self {
            CurveFile::Named(name) => match CURVES.iter().find(|(known, _)| known == name) {
                Some((_, hours)) => *hours,
                None => {
                    return wrong(
                        field,
                        format!("no curve is called {name:?}: expected retail, bills, flat or 24 numbers"),
                    );
                }
            },
            CurveFile::Hours(hours) => match <[f64; 24]>::try_from(hours.as_slice()) {
                Ok(hours) => hours,
                Err(_) => return wrong(field, format!("{} numbers: expected 24, one per local hour", hours.len())),
            },
        };
        if !hours.iter().all(|rate| (0.0..=1_000.0).contains(rate)) {
            return wrong(field, "a rate is out of range: expected 24 numbers from 0 to 1000");
        }
        let curve = hours.map(|rate| (rate * 1_000.0).round() as u32);
        if curve.iter().all(|&rate| rate == 0) {
            return wrong(field, "every rate is zero: expected at least one hour with payments");
        }
        Ok(curve)
    }
}

fn currency_of(field: &str, code: &str) -> Result<Currency, Wrong> {
    code.to_ascii_lowercase().parse().or_else(|e| wrong(field, format!("{e}")))
}

fn share_ppm(field: &str, share: f64) -> Result<u32, Wrong> {
    if !(0.0..=1.0).contains(&share) {
        return wrong(field, format!("{share} is no share: expected 0 to 1"));
    }
    Ok((share * f64::from(MILLION)).round() as u32)
}

fn in_range(field: &str, value: u64, least: u64, most: u64) -> Result<(), Wrong> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    wrong(field, format!("{value} is out of range: expected {least} to {most}"))
}

// ---------------------------------------------------------------------------------------------------------------
// Places in the file

/// Where a field stands; its nearest ancestor where it is not written (a default, a missing key).
fn span_of(tree: &DeTable<'_>, field: &str) -> Option<Range<usize>> {
    let mut place = None;
    let mut steps = field.split('.');
    let mut value = entry(tree, steps.next()?)?;
    loop {
        place = Some(value.span()).or(place);
        let Some(step) = steps.next() else { return place };
        let inner = match value.get_ref() {
            DeValue::Table(table) => entry(table, step),
            DeValue::Array(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        match inner {
            Some(inner) => value = inner,
            None => return place,
        }
    }
}

fn entry<'a, 'i>(table: &'a DeTable<'i>, name: &str) -> Option<&'a Spanned<DeValue<'i>>> {
    table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value)
}

/// The path of the innermost field whose key or value holds this place.
fn field_at(tree: &DeTable<'_>, place: &Range<usize>) -> String {
    let mut path = Vec::new();
    descend(tree, place, &mut path);
    path.join(".")
}

fn descend(table: &DeTable<'_>, place: &Range<usize>, path: &mut Vec<String>) {
    let holds = |span: Range<usize>| span.start <= place.start && place.end <= span.end;
    for (key, value) in table {
        if holds(key.span()) {
            path.push(key.get_ref().to_string());
            return;
        }
        if !holds(value.span()) {
            continue;
        }
        path.push(key.get_ref().to_string());
        match value.get_ref() {
            DeValue::Table(inner) => descend(inner, place, path),
            DeValue::Array(items) => {
                for (i, item) in items.iter().enumerate().filter(|(_, item)| holds(item.span())) {
                    path.push(i.to_string());
                    if let DeValue::Table(inner) = item.get_ref() {
                        descend(inner, place, path);
                    }
                }
            }
            _ => {}
        }
        return;
    }
}

impl Scenario {
    /// Every currency in which payments are made.
    pub fn payment_currencies(&self) -> BTreeSet<Currency> {
        self.mix.iter().map(|line| line.currency).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMOKE: &str = include_str!("../../simulations/smoke.toml");

    fn refusal(text: &str) -> String {
        Scenario::parse(text, "mine.toml").expect_err("a wrong scenario").to_string()
    }

    #[test]
    fn every_scenario_of_the_repository_reads() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("simulations");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let scenario = Scenario::read(&path).unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(Some(scenario.id.as_str()), path.file_stem().and_then(|stem| stem.to_str()));
                count += 1;
            }
        }
        assert!(count >= 3);
    }

    #[test]
    fn a_local_start_is_one_in_the_scenarios_zone() {
        let local = Scenario::parse(SMOKE, "smoke.toml").unwrap();
        let utc = SMOKE.replace("2026-10-27T12:00:00", "2026-10-27T11:00:00Z");
        assert_eq!(local.start, Scenario::parse(&utc, "smoke.toml").unwrap().start);
        assert_eq!(local.start.seconds(), 1_793_098_800);
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let text = r#"
            id = "least"
            start = 2026-10-27T12:00:00Z
            duration_s = 60
            tz = "UTC"
            accounts = 50
            zipf = 1.0
            country = "US"
            payments = 1000
            arrival = { process = "nhpp", curve = "flat" }
            mix = [{ method = "card", currency = "usd", share = 1.0 }]
            amount.USD = { mu = 8.0, sigma = 1.0, min = 50, max = 100000 }
        "#;
        let scenario = Scenario::parse(text, "least.toml").unwrap();
        assert_eq!((scenario.platforms, scenario.customers, scenario.split_rules), (1, 100, 0));
        assert_eq!((scenario.currency, scenario.split_ppm, scenario.refund.share_ppm), (Currency::USD, 0, 0));
    }

    /// What to write instead of what, and what comes back.
    const MISTAKES: &[(&str, &str, &str)] = &[
        ("zipf = 1.0", "zipff = 1.0", "mine.toml:12: `zipff`: unknown field `zipff`, expected one of `id`,"),
        ("zipf = 1.0", "", "mine.toml:1: missing field `zipf`"),
        ("zipf = 1.0", "zipf = 9.0", "mine.toml:12: `zipf`: 9 is out of range: expected 0 (all sellers alike) to 4"),
        ("zipf = 1.0", "zipf = \"x\"", "mine.toml:12: `zipf`: invalid type: string \"x\", expected f64"),
        ("accounts = 20", "accounts = 3", "mine.toml:9: `accounts`: 3 accounts cannot fill a cart of 4 sellers"),
        ("accounts = 20", "accounts = -1", "mine.toml:9: `accounts`: invalid value: integer `-1`, expected u32"),
        ("accounts = 20", "accounts = = 1", "mine.toml:9: "),
        ("country = \"NL\"", "country = \"NLD\"", "mine.toml:13: `country`: unknown country \"NLD\""),
        ("Europe/Amsterdam", "Europe/Amsterdm", "mine.toml:7: `tz`: unknown time zone \"Europe/Amsterdm\": expected a"),
        ("2026-10-27T12:00:00", "2026-10-27", "mine.toml:5: `start`: 2026-10-27 is no point in time: expected a date"),
        ("2026-10-27T12:00:00", "\"2026-10-27\"", "mine.toml:5: `start`: invalid type"),
        (
            "curve = \"flat\"",
            "curve = \"flt\"",
            "mine.toml:16: `arrival.curve`: no curve is called \"flt\": expected retail",
        ),
        ("curve = \"flat\"", "curve = [1.0]", "mine.toml:16: `arrival.curve`: 1 numbers: expected 24, one per local"),
        ("curve = \"flat\"", "curve = 1", "mine.toml:16: `arrival.curve`: expected the name of a curve"),
        ("\"nhpp\"", "\"bulk\"", "mine.toml:16: `arrival.process`: unknown variant `bulk`, expected `nhpp`"),
        ("share = 0.4 }", "share = 0.5 }", "mine.toml:17: `mix`: the shares add up to 1.1: expected 1"),
        ("share = 0.4 }", "share = 1.4 }", "mine.toml:19: `mix.1.share`: 1.4 is no share: expected 0 to 1"),
        ("\"card\"", "\"Card!\"", "mine.toml:19: `mix.1.method`: \"Card!\" is no method"),
        (
            "\"card\", currency = \"EUR\"",
            "\"card\", currency = \"USD\"",
            "mine.toml:19: `mix.1.currency`: there is no `amount.USD`",
        ),
        (
            "\"card\", currency = \"EUR\"",
            "\"card\", currency = \"EURO\"",
            "mine.toml:19: `mix.1.currency`: unknown currency",
        ),
        ("min = 50", "min = 0", "mine.toml:21: `amount.EUR.min`: 0 is no amount in eur: expected a multiple of 1"),
        (
            "min = 50",
            "min = 27",
            "mine.toml:23: `application_fee`: a payment of 27 would have a fee of 27: raise `amount.EUR.min`",
        ),
        (
            "min = 50",
            "min = 40",
            "mine.toml:23: `application_fee.fixed`: in a cart of 40 the main seller is left with 20",
        ),
        (
            "max = 1000000",
            "max = 49",
            "mine.toml:21: `amount.EUR.max`: 49 is out of range: expected a multiple of 1, at least",
        ),
        (
            "destination = 0.8",
            "destination = 0.7",
            "mine.toml:22: `charge_type`: destination and split do not add up to 1",
        ),
        ("[2, 4]", "[4, 2]", "mine.toml:22: `charge_type.sellers_per_cart`: [4, 2] is no range"),
        (
            "within_s = 300",
            "within_s = 30",
            "mine.toml:24: `refund.within_s`: 30 is out of range: expected delay_p50_s = 60",
        ),
        (
            "within_s = 300",
            "within = 300",
            "mine.toml:24: `refund.within`: unknown field `within`, expected one of `share`,",
        ),
        ("decline_share = 0.03", "decline_share = 3", "mine.toml:25: `decline_share`: 3 is no share: expected 0 to 1"),
        ("\"smoke\"", "\"My smoke\"", "mine.toml:2: `id`: \"My smoke\" is no id"),
    ];

    #[test]
    fn a_mistake_is_named_with_its_place_and_what_is_allowed() {
        let mut surprises = String::new();
        for (right, mistake, expected) in MISTAKES {
            assert!(SMOKE.contains(right), "{right}");
            let message = refusal(&SMOKE.replacen(right, mistake, 1));
            if !message.starts_with(expected) || message.contains('\n') {
                surprises += &format!("\n{mistake}\n  says     {message}\n  expected {expected}");
            }
        }
        assert!(surprises.is_empty(), "{surprises}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Scenario::read(Path::new("simulations/none.toml")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read the scenario simulations/none.toml: "), "{error}");
    }
}
