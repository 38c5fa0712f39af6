//! `config.toml`: what the operator may set. The file in the repository is the built-in default, so it cannot drift.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Deserialize;

use super::{Failure, ServeArgs};
use crate::api::limits::Rates;
use crate::api::permissions::{Level, Permissions, Resource};
use crate::domain::tables::{FixedRate, INSTANT_PPM, Tables};
use crate::primitives::{Country, Currency, MarketRates};

const DEFAULT: &str = include_str!("../../config.toml");

/// The configuration, resolved: flags over environment over file over default.
#[derive(Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: std::net::SocketAddr,
    /// The data folder.
    pub data: PathBuf,
    /// Threads with routers and connections.
    pub cells: usize,
    /// Real-time priority for the journal's thread.
    pub realtime: bool,
    /// Seconds between snapshots; 0: none.
    pub snapshot_seconds: u64,
    /// The first platform's secret test key, if fixed.
    pub test_key: Option<String>,
    /// The first platform's country.
    pub country: Country,
    /// Its default currency.
    pub currency: Currency,
    /// The first platform's restricted keys that are fixed.
    pub keys: Vec<(String, Permissions)>,
    /// Limits of requests per second, where there are any.
    pub limits: Option<Rates>,
    /// Tables that decide.
    pub tables: Tables,
    /// The market rates that they name.
    pub rates: Arc<MarketRates>,
    /// Where payers and clients reach the daemon, if not where it listens.
    public_url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    listen: Option<std::net::SocketAddr>,
    data: Option<PathBuf>,
    cells: Option<usize>,
    realtime: Option<bool>,
    snapshot_seconds: Option<u64>,
    platform: PlatformFile,
    prices: PricesFile,
    fx: FxFile,
    refunds: RefundsFile,
    http: HttpFile,
    rate_limit: RateLimitFile,
    payouts: PayoutsFile,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HttpFile {
    public_url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RateLimitFile {
    profile: Option<String>,
    read_per_second: Option<u32>,
    write_per_second: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    key: String,
    permissions: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PlatformFile {
    country: Option<String>,
    default_currency: Option<String>,
    test_key: Option<String>,
    keys: Vec<KeyFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PricesFile {
    processing_percent: Option<String>,
    authorization_days: Option<u8>,
    payout_arrival_seconds: Option<u32>,
    processing_fixed: Option<BTreeMap<String, i64>>,
    dispute: Option<BTreeMap<String, i64>>,
    dispute_counter: Option<BTreeMap<String, i64>>,
    dispute_fee_returned: Option<bool>,
    dispute_delay_seconds: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FxFile {
    markup_percent_us: Option<String>,
    markup_percent: Option<String>,
    rates_file: Option<PathBuf>,
    fixed: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RefundsFile {
    allow_negative: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PayoutsFile {
    instant_fee_percent: Option<String>,
}

impl Config {
    /// Reads and resolves the configuration.
    ///
    /// # Errors
    /// A file that cannot be read or says what cannot be.
    pub fn resolve(args: &ServeArgs) -> Result<Config, Failure> {
        let own = Path::new("config.toml");
        let file = match &args.config {
            Some(path) => read(path)?,
            None if own.is_file() => read(own)?,
            None => File::default(),
        };
        let default = parse(DEFAULT, "the built-in configuration")?;
        let rates = market_rates(file.fx.rates_file.as_deref())?;
        let config = Config {
            listen: args.listen.or(file.listen).or(default.listen).unwrap_or_else(|| ([127, 0, 0, 1], 4242).into()),
            data: args.data.clone().or(file.data).or(default.data).unwrap_or_else(|| PathBuf::from("data")),
            cells: args.cells.or(file.cells).or(default.cells).unwrap_or(1).clamp(1, 64),
            realtime: file.realtime.or(default.realtime).unwrap_or(true),
            snapshot_seconds: file.snapshot_seconds.or(default.snapshot_seconds).unwrap_or(60),
            test_key: args.test_key.clone().or(file.platform.test_key),
            country: parsed("platform.country", file.platform.country.or(default.platform.country))?,
            currency: parsed(
                "platform.default_currency",
                file.platform.default_currency.or(default.platform.default_currency),
            )?,
            keys: file.platform.keys.iter().map(restricted).collect::<Result<_, _>>()?,
            limits: limits(&file.rate_limit)?,
            tables: Tables {
                rates_digest: rates.digest(),
                instant_ppm: instant_ppm(file.payouts.instant_fee_percent.or(default.payouts.instant_fee_percent))?,
                ..tables(file.prices, file.fx, &file.refunds, default.prices, default.fx)?
            },
            rates,
            public_url: file.http.public_url.map(public_url).transpose()?,
        };
        if let Some(key) = &config.test_key
            && !(key.starts_with("sk_test_")
                && key.len() >= 12
                && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
        {
            return Err(Failure::usage(
                "the test key must look like sk_test_ and at least four letters or digits".to_owned(),
            ));
        }
        Ok(config)
    }
}

impl Config {
    /// What links in answers begin with: as configured, else the address of the listener.
    pub fn public_url(&self, listener: std::net::SocketAddr) -> String {
        self.public_url.clone().unwrap_or_else(|| {
            let mut address = listener;
            if address.ip().is_unspecified() {
                // It listens everywhere; only this machine is a safe guess.
                address.set_ip(match listener {
                    std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                    std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
                });
            }
            format!("http://{address}")
        })
    }
}

/// An address to begin links with: `https://`, a host, perhaps a path.
fn public_url(text: String) -> Result<String, Failure> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    if rest.is_empty() || rest.contains(['?', '#']) || !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::usage(format!(
            "http.public_url = \"{text}\": give an address like https://pay.example.com, without a query"
        )));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A restricted key and what it opens.
fn restricted(file: &KeyFile) -> Result<(String, Permissions), Failure> {
    let mut pairs = Vec::with_capacity(file.permissions.len());
    for (word, level) in &file.permissions {
        let refuse = |why: String| Failure::usage(format!("platform.keys.permissions.{word} = \"{level}\": {why}"));
        let resource = Resource::from_word(word).ok_or_else(|| {
            let known: Vec<&str> = Resource::ALL.iter().map(|resource| resource.word()).collect();
            refuse(format!("there are permissions for {}", known.join(", ")))
        })?;
        match level.as_str() {
            "none" => {}
            "read" => pairs.push((resource, Level::Read)),
            "write" => pairs.push((resource, Level::Write)),
            _ => return Err(refuse("give none, read or write".to_owned())),
        }
    }
    if !file.key.starts_with("rk_test_") || file.key.len() < 16 {
        return Err(Failure::usage(
            "platform.keys.key: it begins with rk_test_ and has eight characters more".to_owned(),
        ));
    }
    Ok((file.key.clone(), Permissions::new(pairs)))
}

/// Limits of requests per second: a profile, and figures that stand above it.
fn limits(file: &RateLimitFile) -> Result<Option<Rates>, Failure> {
    let (base, on) = match file.profile.as_deref() {
        Some("public") => (Rates::PUBLIC, true),
        None | Some("off") => {
            (Rates { endpoints: false, ..Rates::PUBLIC }, file.read_per_second.or(file.write_per_second).is_some())
        }
        Some(other) => {
            return Err(Failure::usage(format!("rate_limit.profile = \"{other}\": give off or public")));
        }
    };
    let rates = Rates {
        read: file.read_per_second.unwrap_or(base.read),
        write: file.write_per_second.unwrap_or(base.write),
        ..base
    };
    if rates.read == 0 || rates.write == 0 {
        return Err(Failure::usage("rate_limit: a rate is at least 1 per second".to_owned()));
    }
    Ok(on.then_some(rates))
}

fn read(path: &Path) -> Result<File, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    parse(&text, &path.display().to_string())
}

fn parse(text: &str, name: &str) -> Result<File, Failure> {
    toml::from_str(text).map_err(|error| Failure::usage(format!("{name}: {error}")))
}

fn parsed<T: std::str::FromStr>(key: &str, text: Option<String>) -> Result<T, Failure>
where
    T::Err: std::fmt::Display,
{
    let text = text.unwrap_or_default();
    text.parse().map_err(|error| Failure::usage(format!("{key} = \"{text}\": {error}")))
}

/// The operator's market rates, else those that are built in.
fn market_rates(file: Option<&Path>) -> Result<Arc<MarketRates>, Failure> {
    let Some(path) = file else { return Ok(MarketRates::built_in()) };
    let unusable = |problem: String| Failure::usage(format!("fx.rates_file = \"{}\": {problem}", path.display()));
    let csv = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    Ok(Arc::new(MarketRates::from_csv(csv).map_err(|error| unusable(error.to_string()))?))
}

fn tables(
    prices: PricesFile,
    fx: FxFile,
    refunds: &RefundsFile,
    default_prices: PricesFile,
    default_fx: FxFile,
) -> Result<Tables, Failure> {
    let base = Tables::default();
    let per_currency = |key: &str, file: Option<BTreeMap<String, i64>>, default: Option<BTreeMap<String, i64>>| {
        let table = file.or(default).unwrap_or_default();
        let mut rows = Vec::new();
        for (code, minor) in table {
            if minor < 0 {
                return Err(Failure::usage(format!("{key}.{code} = {minor}: a fee is not negative")));
            }
            rows.push((parsed::<Currency>(&format!("{key}.{code}"), Some(code))?, minor));
        }
        // The dollar first: its count of minor units stands for currencies that are not listed.
        rows.sort_by_key(|&(currency, _)| (currency != Currency::USD, currency));
        Ok(rows)
    };
    let mut fixed_rates = Vec::new();
    for (pair, text) in &fx.fixed {
        let key = format!("fx.fixed.\"{pair}\"");
        let (from, to) =
            pair.split_once('/').ok_or_else(|| Failure::usage(format!("{key}: name the pair like \"usd/eur\"")))?;
        let rate: Decimal = parsed(&key, Some(text.clone()))?;
        if rate <= Decimal::ZERO {
            return Err(Failure::usage(format!("{key} = \"{text}\": a rate is above zero")));
        }
        let (from, to) = (parsed(&key, Some(from.to_owned()))?, parsed(&key, Some(to.to_owned()))?);
        fixed_rates.push(FixedRate { from, to, rate });
    }
    Ok(Tables {
        processing_ppm: ppm(
            "prices.processing_percent",
            prices.processing_percent.or(default_prices.processing_percent),
        )?,
        processing_fixed: per_currency(
            "prices.processing_fixed",
            prices.processing_fixed,
            default_prices.processing_fixed,
        )?,
        dispute_fee: per_currency("prices.dispute", prices.dispute, default_prices.dispute)?,
        conversion_us_ppm: ppm("fx.markup_percent_us", fx.markup_percent_us.or(default_fx.markup_percent_us))?,
        conversion_other_ppm: ppm("fx.markup_percent", fx.markup_percent.or(default_fx.markup_percent))?,
        fixed_rates,
        rates_digest: base.rates_digest,
        allow_negative: refunds.allow_negative.unwrap_or(base.allow_negative),
        authorization_days: prices
            .authorization_days
            .or(default_prices.authorization_days)
            .unwrap_or(base.authorization_days),
        payout_arrival_s: prices
            .payout_arrival_seconds
            .or(default_prices.payout_arrival_seconds)
            .unwrap_or(base.payout_arrival_s),
        // What is off is absent: a data folder of before needs no new table for it.
        dispute_delay_s: prices
            .dispute_delay_seconds
            .or(default_prices.dispute_delay_seconds)
            .filter(|&seconds| seconds > 0),
        dispute_fee_returned: prices
            .dispute_fee_returned
            .or(default_prices.dispute_fee_returned)
            .filter(|&returned| returned),
        dispute_counter_fee: Some(per_currency(
            "prices.dispute_counter",
            prices.dispute_counter,
            default_prices.dispute_counter,
        )?)
        .filter(|table| !table.is_empty()),
        instant_ppm: base.instant_ppm,
    })
}

/// The fee of instant payouts; the price that holds without one is left unsaid.
fn instant_ppm(text: Option<String>) -> Result<Option<u32>, Failure> {
    let ppm = ppm("payouts.instant_fee_percent", text)?;
    Ok((ppm != INSTANT_PPM).then_some(ppm))
}

/// A percentage as millionths, exactly.
fn ppm(key: &str, text: Option<String>) -> Result<u32, Failure> {
    let percent: Decimal = parsed(key, text)?;
    let ppm = percent * Decimal::from(10_000);
    let whole = (ppm.fract().is_zero() && !ppm.is_sign_negative()).then(|| ppm.to_u32()).flatten();
    whole
        .filter(|&ppm| ppm <= 1_000_000)
        .ok_or_else(|| Failure::usage(format!("{key} = \"{percent}\": give 0 to 100 with at most four decimals")))
}
