//! Market rates: euro reference rates of the ECB, as tables that are named by what is in them.
//!
//! A table of [`MarketRates`] is a CSV file, and its name is the BLAKE3 of the file's bytes ([`RatesDigest`]). Entries of
//! a journal put a table in force by that name, so a conversion is decided alike for ever, whatever is published later
//! and whichever table is built into the binary. One table is built in (`fixtures/ecb_rates.csv`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use minicbor::{Decode, Encode};

use super::currency::Currency;
use super::exchange::{Decimal, Exact, Rate, RateSource, cross_rate, power_of_ten};
use super::time::{Day, Timestamp};

/// Names a table of market rates: the BLAKE3 of its bytes. Shown in lower-case hexadecimal.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Encode, Decode)]
#[cbor(transparent)]
pub struct RatesDigest(#[cbor(n(0), with = "minicbor::bytes")] [u8; 32]);

impl RatesDigest {
    /// Names no table: only currencies whose rate the operator fixed can be converted.
    pub const NONE: RatesDigest = RatesDigest([0; 32]);

    /// The name of a table with these bytes.
    pub fn of(csv: &[u8]) -> RatesDigest {
        RatesDigest(*blake3::hash(csv).as_bytes())
    }
}

impl fmt::Display for RatesDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RatesDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why there is no rate.
#[derive(Copy, Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoRate {
    /// The ECB quotes no such currency, and the configuration fixes no rate.
    #[error("no exchange rate for {currency}: the ECB does not quote it; fix one under [fx.fixed]")]
    NotQuoted {
        /// The currency.
        currency: Currency,
    },
    /// The day lies before the first rate.
    #[error("no exchange rate for {currency} on {on}: the rates begin on {first}")]
    BeforeFirst {
        /// The currency.
        currency: Currency,
        /// The day asked for.
        on: Day,
        /// The day of its first rate.
        first: Day,
    },
    /// The currency has been retired since.
    #[error("no exchange rate for {currency} on {on}: its last rate is of {last}, it is no longer quoted")]
    Ended {
        /// The currency.
        currency: Currency,
        /// The day asked for.
        on: Day,
        /// The day of its last rate.
        last: Day,
    },
    /// Both are quoted, but never on the same day, or so far apart that the cross rate has more than 28 decimals. Does not
    /// happen with the rates that are built in.
    #[error("no exchange rate from {from} to {to} on {on}: no day quotes both so that they can be divided")]
    NotComparable {
        /// The currency to convert.
        from: Currency,
        /// The currency it should become.
        to: Currency,
        /// The day asked for.
        on: Day,
    },
}

/// A table of market rates, in memory (some 90 kB for three years, and the file as it was read).
pub struct MarketRates {
    digest: RatesDigest,
    csv: Cow<'static, [u8]>,
    days: Vec<Day>,
    columns: Vec<Column>,
    /// Place in `columns`, by currency.
    places: BTreeMap<Currency, usize>,
}

/// One currency's rates per euro, one for each day: whole numbers of 10^-scale, zero where there is none.
struct Column {
    scale: i64,
    per_euro: Vec<u32>,
    first: usize,
    last: usize,
}

impl fmt::Debug for MarketRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MarketRates").field(&self.digest).finish()
    }
}

/// A file is not a table of market rates.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct BadRates {
    /// Line number, from 1, comments included.
    pub line: usize,
    /// What is wrong there.
    pub problem: String,
}

/// Longest gap, in days, between two publications that weekends and holidays explain: over Easter and Christmas the last
/// rate of a Thursday holds for Friday to Monday.
const ORDINARY_GAP_DAYS: i64 = 4;

impl MarketRates {
    /// The table that is built into Florin, read at first use.
    pub fn built_in() -> Arc<MarketRates> {
        static TABLE: LazyLock<Arc<MarketRates>> = LazyLock::new(|| {
            match MarketRates::from_csv(include_bytes!("../../fixtures/ecb_rates.csv").as_slice()) {
                Ok(table) => Arc::new(table),
                // A test reads the same bytes, so this is not reached in anything that was built and tested.
                Err(problem) => panic!("fixtures/ecb_rates.csv: {problem}"),
            }
        });
        Arc::clone(&TABLE)
    }

    /// No rates at all: what [`RatesDigest::NONE`] names.
    pub fn none() -> Arc<MarketRates> {
        Arc::new(MarketRates {
            digest: RatesDigest::NONE,
            csv: Cow::Borrowed(&[]),
            days: Vec::new(),
            columns: Vec::new(),
            places: BTreeMap::new(),
        })
    }

    /// Reads a table: lines of `#` are comments; then `date,AUD,BGN,…`; then one row a date, oldest first, with units of
    /// the currency per euro as decimals, empty where there is none.
    ///
    /// # Errors
    /// [`BadRates`] with the line.
    pub fn from_csv(csv: impl Into<Cow<'static, [u8]>>) -> Result<MarketRates, BadRates> {
        let csv = csv.into();
        let text = std::str::from_utf8(&csv).map_err(|error| {
            let before = &csv[..error.valid_up_to()];
            bad(1 + before.iter().filter(|&&byte| byte == b'\n').count(), "it is not UTF-8 text")
        })?;
        let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#'));
        let (header, names) = lines.next().ok_or_else(|| bad(1, "there is no header like date,USD,GBP"))?;
        let names = names
            .strip_prefix("date,")
            .ok_or_else(|| bad(header, format!("{} is no header like date,USD,GBP", shown(names))))?;
        let names: Vec<&str> = names.split(',').collect();
        let places = places(&names).map_err(|problem| bad(header, problem))?;

        let (mut days, mut rows): (Vec<Day>, Vec<usize>) = (Vec::new(), Vec::new());
        let mut quotes: Vec<Vec<Option<Exact>>> = vec![Vec::new(); names.len()];
        for (line, row) in lines {
            let mut fields = row.split(',');
            let day: Day = fields.next().unwrap_or_default().parse().map_err(|error| bad(line, format!("{error}")))?;
            if let Some(&last) = days.last()
                && last >= day
            {
                return Err(bad(
                    line,
                    format!("{day} stands behind {last}: the oldest date is first, each is there once"),
                ));
            }
            let fields: Vec<&str> = fields.collect();
            if fields.len() != names.len() {
                let (has, wanted) = (fields.len(), names.len());
                return Err(bad(line, format!("{has} rates, and the header has {wanted} currencies")));
            }
            for ((column, name), field) in quotes.iter_mut().zip(&names).zip(fields) {
                column.push(quote(field).map_err(|problem| bad(line, format!("{name}: {problem}")))?);
            }
            days.push(day);
            rows.push(line);
        }
        let columns = quotes
            .iter()
            .zip(&names)
            .map(|(quotes, name)| Column::new(name, quotes, header, &rows))
            .collect::<Result<_, _>>()?;
        Ok(MarketRates { digest: RatesDigest::of(&csv), csv, days, columns, places })
    }

    /// Its name.
    pub fn digest(&self) -> RatesDigest {
        self.digest
    }

    /// The file that it was read from, to the byte.
    pub fn csv(&self) -> &[u8] {
        &self.csv
    }

    /// The rate in force on a day: the last one published on or before it.
    ///
    /// It is `stale` when it is more than four days older than the day asked for, which no weekend or holiday explains,
    /// or when the day lies beyond the end of the table.
    ///
    /// # Errors
    /// [`NoRate`] when a currency is not quoted, not yet quoted, or no longer quoted (bgn after 2025-12-31).
    pub fn lookup(&self, from: Currency, to: Currency, on: Day) -> Result<Rate, NoRate> {
        if from == to {
            return Ok(Rate::identity(from, on));
        }
        let (numerator, denominator) = (self.column(to, on)?, self.column(from, on)?);
        // The last row on or before the day, then back to one where both are quoted.
        let upper = self.days.partition_point(|&day| day <= on);
        let not_comparable = NoRate::NotComparable { from, to, on };
        let both_quoted = |row: &usize| is_quoted(numerator, *row) && is_quoted(denominator, *row);
        let row = (0..upper).rev().find(both_quoted).ok_or(not_comparable)?;

        let (top, top_scale) = per_euro(numerator, row);
        let (bottom, bottom_scale) = per_euro(denominator, row);
        let base = cross_rate(top, bottom, top_scale - bottom_scale).ok_or(not_comparable)?;
        let date = self.days[row];
        let stale = on.days_since(date) > ORDINARY_GAP_DAYS || on > self.last_day();
        Ok(Rate { from, to, base, date, source: RateSource::Ecb, stale })
    }

    /// The first day with rates.
    pub fn first_day(&self) -> Day {
        self.days.first().copied().unwrap_or_default()
    }

    /// The last day with rates.
    pub fn last_day(&self) -> Day {
        self.days.last().copied().unwrap_or_default()
    }

    /// The currencies that have been quoted, the euro aside, in the order of their codes.
    pub fn currencies(&self) -> impl Iterator<Item = Currency> + '_ {
        self.places.keys().copied()
    }

    /// None for the euro itself.
    fn column(&self, currency: Currency, on: Day) -> Result<Option<&Column>, NoRate> {
        let column = match self.places.get(&currency) {
            Some(&place) => &self.columns[place],
            None if currency == Currency::EUR => return Ok(None),
            None => return Err(NoRate::NotQuoted { currency }),
        };
        let (first, last) = (self.days[column.first], self.days[column.last]);
        if on < first {
            return Err(NoRate::BeforeFirst { currency, on, first });
        }
        if on > last && last < self.last_day() {
            return Err(NoRate::Ended { currency, on, last });
        }
        Ok(Some(column))
    }
}

impl Column {
    /// `rows`: the line of each quote.
    fn new(name: &str, quotes: &[Option<Exact>], header: usize, rows: &[usize]) -> Result<Column, BadRates> {
        let scale = quotes.iter().flatten().map(|quote| quote.scale).max().unwrap_or(0).max(0);
        let mut per_euro = Vec::with_capacity(quotes.len());
        for (quote, &line) in quotes.iter().zip(rows) {
            let held = quote.map_or(Some(0), |quote| whole(quote, scale));
            let problem =
                || format!("{name}: with the {scale} decimals of its column the rate is longer than 4294967295");
            per_euro.push(held.ok_or_else(|| bad(line, problem()))?);
        }
        let empty = || bad(header, format!("{name}: no date has a rate of it: leave the column out"));
        let first = per_euro.iter().position(|&rate| rate != 0).ok_or_else(empty)?;
        let last = per_euro.iter().rposition(|&rate| rate != 0).ok_or_else(empty)?;
        Ok(Column { scale, per_euro, first, last })
    }
}

/// Place of each currency among the columns.
fn places(names: &[&str]) -> Result<BTreeMap<Currency, usize>, String> {
    let mut places = BTreeMap::new();
    for (place, name) in names.iter().enumerate() {
        let currency: Currency = name.parse().map_err(|error| format!("{error}"))?;
        if currency == Currency::EUR {
            return Err("EUR: rates are units per euro, so the euro has no column".to_owned());
        }
        if places.insert(currency, place).is_some() {
            return Err(format!("{name} has two columns"));
        }
    }
    Ok(places)
}

/// A rate as it stands in a row.
fn quote(text: &str) -> Result<Option<Exact>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let decimal = Decimal::from_str_exact(text).map_err(|_| format!("{} is no decimal number", shown(text)))?;
    if decimal <= Decimal::ZERO {
        return Err(format!("{} is not above zero", shown(text)));
    }
    Ok(Some(Exact::of(decimal)))
}

/// In units of 10^-scale, where those fit.
fn whole(quote: Exact, scale: i64) -> Option<u32> {
    u32::try_from(quote.mantissa.checked_mul(power_of_ten(scale - quote.scale)?)?).ok()
}

fn bad(line: usize, problem: impl Into<String>) -> BadRates {
    BadRates { line, problem: problem.into() }
}

/// A piece of the file, cut where it would be too long for a message.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(32).collect::<String>())
}

fn is_quoted(column: Option<&Column>, row: usize) -> bool {
    column.is_none_or(|column| column.per_euro[row] != 0)
}

fn per_euro(column: Option<&Column>, row: usize) -> (u32, i64) {
    column.map_or((1, 0), |column| (column.per_euro[row], column.scale))
}

/// The day whose ECB rates are in force at an instant: they are published around 16:00 Central European time, so from
/// 15:00 UTC (16:00 in winter, 17:00 in summer) those of the same day, before it those of the day before.
pub fn ecb_day_in_force(at: Timestamp) -> Day {
    const PUBLISHED_MS: i64 = 15 * 3_600_000;
    let day = at.day();
    if at.millis_of_day() >= PUBLISHED_MS { day } else { day.plus_days(-1).unwrap_or(day) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn decimal(text: &str) -> Decimal {
        Decimal::from_str_exact(text).unwrap()
    }

    fn lookup(from: &str, to: &str, on: &str) -> Result<Rate, NoRate> {
        MarketRates::built_in().lookup(currency(from), currency(to), day(on))
    }

    #[test]
    fn the_table_is_the_one_of_the_ecb() {
        let table = MarketRates::built_in();
        assert_eq!((table.first_day(), table.last_day()), (day("2023-10-30"), day("2026-10-30")));
        assert_eq!((table.days.len(), table.currencies().count()), (767, 30));
        let quotes: usize = table.columns.iter().map(|c| c.per_euro.iter().filter(|&&rate| rate != 0).count()).sum();
        assert_eq!(quotes, 22_797);
        assert_eq!(lookup("eur", "usd", "2026-10-30").unwrap().base, decimal("1.1172"));
        assert_eq!(lookup("eur", "gbp", "2023-10-30").unwrap().base, decimal("0.87345"));
        assert_eq!(lookup("eur", "idr", "2023-10-30").unwrap().base, decimal("16851.35"));
    }

    #[test]
    fn the_last_published_rate_holds() {
        let friday = lookup("eur", "usd", "2023-11-03").unwrap();
        for weekend in ["2023-11-04", "2023-11-05"] {
            assert_eq!(lookup("eur", "usd", weekend).unwrap(), friday);
        }
        // Easter and Christmas: the longest ordinary gaps.
        for (on, date) in [("2024-04-01", "2024-03-28"), ("2023-12-26", "2023-12-22"), ("2025-12-28", "2025-12-24")] {
            let rate = lookup("eur", "usd", on).unwrap();
            assert_eq!((rate.date, rate.stale), (day(date), false), "{on}");
        }
        for beyond in ["2026-10-31", "2026-11-23", "2031-01-01"] {
            let rate = lookup("usd", "gbp", beyond).unwrap();
            assert_eq!((rate.date, rate.stale), (day("2026-10-30"), true), "{beyond}");
        }
        let gap = MarketRates::from_csv(b"date,USD\n2024-01-01,1.1\n2024-01-20,1.2\n").unwrap();
        assert!(!gap.lookup(Currency::EUR, Currency::USD, day("2024-01-05")).unwrap().stale);
        assert!(gap.lookup(Currency::EUR, Currency::USD, day("2024-01-06")).unwrap().stale);
    }

    #[test]
    fn rates_that_do_not_exist_say_why() {
        for (from, to, on, text) in [
            ("usd", "eur", "2023-10-29", "no exchange rate for usd on 2023-10-29: the rates begin on 2023-10-30"),
            ("eur", "jpy", "2020-01-01", "no exchange rate for jpy on 2020-01-01: the rates begin on 2023-10-30"),
            (
                "bgn",
                "usd",
                "2026-01-01",
                "no exchange rate for bgn on 2026-01-01: its last rate is of 2025-12-31, it is no longer quoted",
            ),
            (
                "usd",
                "kwd",
                "2026-01-05",
                "no exchange rate for kwd: the ECB does not quote it; fix one under [fx.fixed]",
            ),
        ] {
            assert_eq!(lookup(from, to, on).unwrap_err().to_string(), text);
        }
        assert_eq!(lookup("eur", "bgn", "2025-12-31").unwrap().base, decimal("1.9558"));
        let same = lookup("kwd", "kwd", "1999-01-01").unwrap();
        assert_eq!((same.base, same.source), (Decimal::ONE, RateSource::Identity));
    }

    #[test]
    fn cross_rates_are_rounded_once_to_eighteen_digits() {
        // 0.8338 / 1.1172 = 0.74633011099176512710…
        assert_eq!(lookup("usd", "gbp", "2026-10-30").unwrap().base, decimal("0.746330110991765127"));
        // 20275.17 / 1.1172 = 18148.20085929108485499…
        let idr = lookup("usd", "idr", "2026-10-30").unwrap().base;
        assert_eq!(idr, decimal("18148.2008592910849"));
        assert_eq!(cross_rate(2, 3, 0), Some(decimal("0.666666666666666667")));
        assert_eq!(cross_rate(1, 8, 0), Some(decimal("0.125")));
        assert_eq!(cross_rate(1, 1, 30), None);
    }

    #[test]
    fn rates_are_in_force_from_their_publication() {
        let noon = day("2026-10-29").midnight().plus_seconds(12 * 3600).unwrap();
        assert_eq!(ecb_day_in_force(noon), day("2026-10-28"));
        assert_eq!(ecb_day_in_force(noon.plus_seconds(3 * 3600).unwrap()), day("2026-10-29"));
    }

    #[test]
    fn broken_tables_are_refused_with_their_line_and_what_is_wrong_there() {
        for (text, problem) in [
            (&b""[..], "line 1: there is no header like date,USD,GBP"),
            (b"# x\nday,USD\n", "line 2: \"day,USD\" is no header like date,USD,GBP"),
            (b"date,USX\n", "line 1: unknown currency \"USX\": expected a three-letter ISO 4217 code such as usd"),
            (b"date,USD,GBP,USD\n", "line 1: USD has two columns"),
            (b"date,USD,EUR\n", "line 1: EUR: rates are units per euro, so the euro has no column"),
            (b"date,USD\n2/1/24,1\n", "line 2: not a day: \"2/1/24\": expected year-month-day such as 2026-10-30"),
            (b"date,USD\n\n2024-01-02,1\n", "line 2: not a day: \"\": expected year-month-day such as 2026-10-30"),
            (
                b"date,USD\n2024-01-02,1\n2024-01-02,1\n",
                "line 3: 2024-01-02 stands behind 2024-01-02: the oldest date is first, each is there once",
            ),
            (b"date,USD\n# x\n2024-01-02,1,2\n", "line 3: 2 rates, and the header has 1 currencies"),
            (b"date,USD\r\n2024-01-02\r\n", "line 2: 0 rates, and the header has 1 currencies"),
            (b"date,USD\n2024-01-02,N/A\n", "line 2: USD: \"N/A\" is no decimal number"),
            (b"date,USD\n2024-01-02,1e5\n", "line 2: USD: \"1e5\" is no decimal number"),
            (b"date,USD\n2024-01-02,0.0\n", "line 2: USD: \"0.0\" is not above zero"),
            (b"date,USD\n2024-01-02,-1\n", "line 2: USD: \"-1\" is not above zero"),
            (
                b"date,GBP,USD\n2024-01-02,1,1.2345678901\n",
                "line 2: USD: with the 10 decimals of its column the rate is longer than 4294967295",
            ),
            (b"date,USD,GBP\n2024-01-02,1,\n", "line 1: GBP: no date has a rate of it: leave the column out"),
            (b"date,USD\n", "line 1: USD: no date has a rate of it: leave the column out"),
            (b"date,USD\n2024-01-02,1\n2024-01-03,\xff\n", "line 3: it is not UTF-8 text"),
        ] {
            assert_eq!(MarketRates::from_csv(text).unwrap_err().to_string(), problem);
        }
    }

    #[test]
    fn a_table_is_named_by_its_bytes() {
        let (rates, more) = (b"date,USD\n2024-01-02,1.5\n", b"# more\ndate,USD\n2024-01-02,1.5\n");
        let table = MarketRates::from_csv(rates.as_slice()).unwrap();
        assert_eq!((table.digest(), table.csv()), (RatesDigest::of(rates), &rates[..]));
        assert_ne!(MarketRates::from_csv(more.as_slice()).unwrap().digest(), table.digest());
        assert_eq!(table.digest().to_string(), blake3::hash(rates).to_hex().to_string());
        // As entries have always had it: 32 bytes.
        let bytes = minicbor::to_vec(table.digest()).unwrap();
        assert_eq!((&bytes[..2], &bytes[2..]), (&[0x58, 32][..], &blake3::hash(rates).as_bytes()[..]));
        assert_eq!(minicbor::decode::<RatesDigest>(&bytes).unwrap(), table.digest());
    }

    #[test]
    fn without_a_table_there_are_no_rates() {
        let none = MarketRates::none();
        let usd = NoRate::NotQuoted { currency: Currency::USD };
        assert_eq!(none.lookup(Currency::EUR, Currency::USD, day("2026-10-30")), Err(usd));
        assert_eq!(none.lookup(Currency::USD, Currency::USD, day("2026-10-30")).unwrap().base, Decimal::ONE);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
            text in "date,(USD|GBP|,){1,3}\n([0-9-]{10}(,[0-9.]{0,30}){1,2}\n){0,4}",
        ) {
            let _ = MarketRates::from_csv(bytes);
            if let Ok(table) = MarketRates::from_csv(text.into_bytes()) {
                let _ = table.lookup(Currency::USD, Currency::GBP, table.last_day());
            }
        }
    }
}
