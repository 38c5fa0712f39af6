//! Currencies: which exist, how many decimals their minor unit has on the wire, and what their amounts must divide by.
//!
//! The facts stand in `fixtures/currencies.csv`, which names its sources, and are read **at compile time**: a row that
//! cannot be read stops the build, and a look-up at run time is an array access. A test compares every row with the
//! crate `iso_currency` (ISO 4217) and lists the three places where the API differs from the standard.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Decoder, Encode, Encoder};

/// A currency that the wire API knows. One byte, compares and sorts by code.
///
/// In the journal it is its ISO 4217 number, so the order of the table may change and old entries still read.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Currency(u8);

/// No currency has this code or number.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unknown currency {asked:?}: expected a three-letter ISO 4217 code such as usd")]
pub struct UnknownCurrency {
    /// What was asked for, cut after 16 characters.
    pub asked: String,
}

impl Currency {
    /// US dollar.
    pub const USD: Currency = Currency::of_table("usd");
    /// Euro.
    pub const EUR: Currency = Currency::of_table("eur");
    /// Pound sterling.
    pub const GBP: Currency = Currency::of_table("gbp");
    /// Japanese yen: no decimals.
    pub const JPY: Currency = Currency::of_table("jpy");
    /// Swiss franc.
    pub const CHF: Currency = Currency::of_table("chf");
    /// Canadian dollar.
    pub const CAD: Currency = Currency::of_table("cad");

    /// A currency named in source code. In a `const` an unknown code stops the build, so prefer that over calling it at
    /// run time.
    ///
    /// # Panics
    /// When the table has no such code (lower case).
    pub const fn of_table(code: &str) -> Currency {
        match find_code(code.as_bytes()) {
            Some(index) => Currency(index),
            None => panic!("fixtures/currencies.csv has no such code"),
        }
    }

    /// The currency with this ISO 4217 number, e.g. 840 for the US dollar.
    pub fn from_numeric(numeric: u16) -> Option<Currency> {
        match BY_NUMERIC.get(usize::from(numeric)) {
            Some(&NONE) | None => None,
            Some(&index) => Some(Currency(index)),
        }
    }

    /// Every currency, in the order of their codes.
    pub fn all() -> impl ExactSizeIterator<Item = Currency> {
        // COUNT fits: the table is checked to have fewer than NONE rows when it is built.
        (0..COUNT as u8).map(Currency)
    }

    /// The code in lower case, as on the wire: `usd`.
    pub fn code(self) -> &'static str {
        self.row().code
    }

    /// The ISO 4217 number, as in the journal.
    pub fn numeric(self) -> u16 {
        self.row().numeric
    }

    /// Decimals of the minor unit on the wire: 2 for usd, 0 for jpy, 3 for kwd; 2 for isk and ugx, 0 for mga, where ISO
    /// says otherwise.
    pub fn exponent(self) -> u32 {
        u32::from(self.row().exponent)
    }

    /// Amounts of charges, refunds and conversions are multiples of this many minor units (1, 10 or 100).
    pub fn charge_multiple(self) -> i64 {
        i64::from(self.row().charge_multiple)
    }

    /// Amounts of payouts are multiples of this many minor units: 100 for huf, twd, isk and ugx.
    pub fn payout_multiple(self) -> i64 {
        i64::from(self.row().payout_multiple)
    }

    /// The smallest charge that may settle in this currency, in minor units; none where none is published.
    pub fn min_charge(self) -> Option<i64> {
        match self.row().min_charge_minor {
            0 => None,
            minor => Some(i64::from(minor)),
        }
    }

    /// The longest amount of a charge, in digits: 8 (99999999), but 12 for idr, 10 for cop and 9 for inr.
    pub fn max_charge_digits(self) -> u32 {
        u32::from(self.row().max_digits)
    }

    /// The sign that stands before amounts in texts; only for those that no other currency shares in this API.
    pub fn symbol(self) -> Option<&'static str> {
        match self {
            Currency::USD => Some("$"),
            Currency::EUR => Some("€"),
            Currency::GBP => Some("£"),
            _ => None,
        }
    }

    /// The same currency as the crate `iso_currency` knows it: for names and countries, never for [`exponent`], which
    /// is the API's and not ISO's.
    ///
    /// [`exponent`]: Currency::exponent
    pub fn iso(self) -> Option<iso_currency::Currency> {
        iso_currency::Currency::from_numeric(self.numeric())
    }

    fn row(self) -> &'static Row {
        &TABLE[usize::from(self.0)]
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    /// Accepts any case, as the API does; no spaces.
    fn from_str(text: &str) -> Result<Currency, UnknownCurrency> {
        match letters_slot(text.as_bytes()).map(|slot| BY_CODE[slot]) {
            Some(NONE) | None => Err(UnknownCurrency { asked: text.chars().take(16).collect() }),
            Some(index) => Ok(Currency(index)),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl<C> Encode<C> for Currency {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.u16(self.numeric())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Currency {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Currency, minicbor::decode::Error> {
        let position = d.position();
        let numeric = d.u16()?;
        Currency::from_numeric(numeric)
            .ok_or_else(|| minicbor::decode::Error::message("no currency has this ISO 4217 number").at(position))
    }
}

// The table and its two indexes, all made at compile time.

/// One row of the fixture, after parsing.
#[derive(Copy, Clone)]
struct Row {
    code: &'static str,
    numeric: u16,
    exponent: u8,
    charge_multiple: u8,
    payout_multiple: u8,
    /// 0: none published.
    min_charge_minor: u32,
    max_digits: u8,
}

const FIXTURE: &str = include_str!("../../fixtures/currencies.csv");
const HEADER: &[u8] = b"code,numeric,api_exponent,charge_multiple,payout_multiple,min_charge_minor,max_digits";
/// Marks a free place in an index.
const NONE: u8 = u8::MAX;
const COUNT: usize = count_rows(FIXTURE.as_bytes());
const ROWS: [Row; COUNT] = parse(FIXTURE.as_bytes());
static TABLE: [Row; COUNT] = ROWS;
/// Place in the table by the three letters of a code, read as a number in base 26.
static BY_CODE: [u8; 26 * 26 * 26] = {
    let mut places = [NONE; 26 * 26 * 26];
    let mut i = 0;
    while i < COUNT {
        match letters_slot(ROWS[i].code.as_bytes()) {
            Some(slot) => places[slot] = i as u8,
            None => panic!("a code is not three letters"),
        }
        i += 1;
    }
    places
};
/// Place in the table by ISO number.
static BY_NUMERIC: [u8; 1000] = {
    let mut places = [NONE; 1000];
    let mut i = 0;
    while i < COUNT {
        let slot = ROWS[i].numeric as usize;
        assert!(places[slot] == NONE, "two rows with the same ISO number");
        places[slot] = i as u8;
        i += 1;
    }
    places
};

const fn letters_slot(code: &[u8]) -> Option<usize> {
    if code.len() != 3 {
        return None;
    }
    let mut slot = 0;
    let mut i = 0;
    while i < 3 {
        let letter = code[i].to_ascii_lowercase();
        if !letter.is_ascii_lowercase() {
            return None;
        }
        slot = slot * 26 + (letter - b'a') as usize;
        i += 1;
    }
    Some(slot)
}

const fn find_code(code: &[u8]) -> Option<u8> {
    let mut i = 0;
    while i < COUNT {
        let row = ROWS[i].code.as_bytes();
        if code.len() == 3 && row[0] == code[0] && row[1] == code[1] && row[2] == code[2] {
            return Some(i as u8);
        }
        i += 1;
    }
    None
}

const fn line_end(text: &[u8], start: usize) -> usize {
    let mut end = start;
    while end < text.len() && text[end] != b'\n' {
        end += 1;
    }
    end
}

/// A row is a line that is neither a comment, nor empty, nor the header (the only one that starts with `code,`).
const fn is_row(text: &[u8], start: usize, end: usize) -> bool {
    end > start && text[start] != b'#' && text[start + 3] == b','
}

const fn count_rows(text: &[u8]) -> usize {
    let (mut rows, mut at) = (0, 0);
    while at < text.len() {
        let end = line_end(text, at);
        if is_row(text, at, end) {
            rows += 1;
        }
        at = end + 1;
    }
    assert!(rows > 0 && rows < NONE as usize);
    rows
}

const fn parse(text: &'static [u8]) -> [Row; COUNT] {
    let blank = Row {
        code: "",
        numeric: 0,
        exponent: 0,
        charge_multiple: 0,
        payout_multiple: 0,
        min_charge_minor: 0,
        max_digits: 0,
    };
    let mut rows = [blank; COUNT];
    let (mut row, mut at, mut last_slot) = (0, 0, 0);
    while at < text.len() {
        let end = line_end(text, at);
        if is_row(text, at, end) {
            rows[row] = parse_row(text.split_at(end).0.split_at(at).1);
            // Ordered by code, so that comparing indexes is comparing codes.
            match letters_slot(rows[row].code.as_bytes()) {
                Some(slot) => {
                    assert!(row == 0 || slot > last_slot, "rows must be ordered by code");
                    last_slot = slot;
                }
                None => panic!("a code is not three letters"),
            }
            row += 1;
        } else if end > at && text[at] != b'#' {
            let header = text.split_at(end).0.split_at(at).1;
            assert!(header.len() == HEADER.len(), "unknown columns");
            let mut i = 0;
            while i < header.len() {
                assert!(header[i] == HEADER[i], "unknown columns");
                i += 1;
            }
        }
        at = end + 1;
    }
    assert!(row == COUNT);
    rows
}

const fn parse_row(line: &'static [u8]) -> Row {
    let (code, rest) = line.split_at(3);
    let code = match std::str::from_utf8(code) {
        Ok(code) => code,
        Err(_) => panic!("a code is not text"),
    };
    // Six number fields follow, each after a comma; empty reads as 0.
    let mut fields = [0_u32; 6];
    let (mut field, mut i) = (0, 1);
    while i < rest.len() {
        if rest[i] == b',' {
            field += 1;
        } else {
            assert!(rest[i].is_ascii_digit(), "a field is not a number");
            fields[field] = fields[field] * 10 + (rest[i] - b'0') as u32;
        }
        i += 1;
    }
    assert!(field == 5, "a row has not seven fields");
    let [numeric, exponent, charge_multiple, payout_multiple, min_charge_minor, max_digits] = fields;
    assert!(numeric > 0 && numeric < 1000 && exponent <= 3, "number or exponent out of range");
    assert!(charge_multiple > 0 && charge_multiple <= 100 && payout_multiple > 0 && payout_multiple <= 100);
    assert!(max_digits >= 8 && max_digits <= 12);
    Row {
        code,
        numeric: numeric as u16,
        exponent: exponent as u8,
        charge_multiple: charge_multiple as u8,
        payout_multiple: payout_multiple as u8,
        min_charge_minor,
        max_digits: max_digits as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Where the API's decimals differ from ISO 4217: (code, ISO, API).
    const DIFFERENCES: [(&str, u32, u32); 3] = [("isk", 0, 2), ("mga", 2, 0), ("ugx", 0, 2)];

    #[test]
    fn every_row_agrees_with_iso_4217_but_for_the_documented_three() {
        let mut differences = Vec::new();
        for currency in Currency::all() {
            let iso = currency.iso().unwrap_or_else(|| panic!("{currency} has no ISO twin"));
            assert_eq!(iso.code().to_ascii_lowercase(), currency.code());
            assert_eq!(iso.numeric(), currency.numeric());
            let iso_exponent = u32::from(iso.exponent().unwrap());
            if iso_exponent != currency.exponent() {
                differences.push((currency.code(), iso_exponent, currency.exponent()));
            }
        }
        assert_eq!(differences, DIFFERENCES);
        assert_eq!(Currency::all().len(), 139);
    }

    #[test]
    fn special_cases_are_those_of_the_api() {
        let charged_in_steps: Vec<_> =
            Currency::all().filter(|c| c.charge_multiple() != 1).map(|c| (c.code(), c.charge_multiple())).collect();
        assert_eq!(
            charged_in_steps,
            [("bhd", 10), ("isk", 100), ("jod", 10), ("kwd", 10), ("omr", 10), ("tnd", 10), ("ugx", 100)]
        );
        let paid_in_hundreds: Vec<_> =
            Currency::all().filter(|c| c.payout_multiple() == 100).map(Currency::code).collect();
        assert_eq!(paid_in_hundreds, ["huf", "isk", "twd", "ugx"]);
        let zero: Vec<_> = Currency::all().filter(|c| c.exponent() == 0).map(Currency::code).collect();
        assert_eq!(
            zero.join(" "),
            "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf",
            "the zero-decimal list, without ugx"
        );
        let longer: Vec<_> =
            Currency::all().filter(|c| c.max_charge_digits() != 8).map(|c| (c.code(), c.max_charge_digits())).collect();
        assert_eq!(longer, [("cop", 10), ("idr", 12), ("inr", 9)]);
    }

    #[test]
    fn minimum_charges_are_the_published_ones() {
        let published = "usd 50 aed 200 aud 50 bgn 100 brl 50 cad 50 chf 50 czk 1500 dkk 250 eur 50 gbp 30 hkd 400 \
                         huf 17500 inr 50 jpy 50 mxn 1000 myr 200 nok 300 nzd 50 pln 200 ron 200 sek 300 sgd 50 thb 1000";
        let words: Vec<&str> = published.split_whitespace().collect();
        for pair in words.chunks(2) {
            let currency: Currency = pair[0].parse().unwrap();
            assert_eq!(currency.min_charge(), Some(pair[1].parse().unwrap()), "{currency}");
        }
        assert_eq!("isk".parse::<Currency>().unwrap().min_charge(), None);
    }

    #[test]
    fn codes_are_read_in_any_case_and_shown_in_lower_case() {
        for text in ["usd", "USD", "uSd"] {
            assert_eq!(text.parse(), Ok(Currency::USD));
        }
        assert_eq!(Currency::JPY.to_string(), "jpy");
        assert_eq!(Currency::from_numeric(756), Some(Currency::CHF));
        assert!(Currency::CAD < Currency::CHF && Currency::EUR < Currency::USD);
        assert_eq!(std::mem::size_of::<Currency>(), 1);
        for text in ["", "us", "usdd", "xxx", "u$d", " usd", "ÜSD", "€"] {
            let refused = text.parse::<Currency>().unwrap_err();
            assert_eq!(refused.asked, text);
        }
        assert_eq!(Currency::from_numeric(0), None);
        assert_eq!(Currency::from_numeric(u16::MAX), None);
    }

    #[test]
    fn the_journal_holds_the_iso_number() {
        for currency in Currency::all() {
            let bytes = minicbor::to_vec(currency).unwrap();
            assert_eq!(minicbor::decode::<u16>(&bytes).unwrap(), currency.numeric());
            assert_eq!(minicbor::decode::<Currency>(&bytes).unwrap(), currency);
        }
        assert!(minicbor::decode::<Currency>(&minicbor::to_vec(999_u16).unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,8}") {
            if let Ok(currency) = text.parse::<Currency>() {
                prop_assert_eq!(currency.code(), text.to_ascii_lowercase());
            }
        }
    }
}
