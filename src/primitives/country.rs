//! Countries of accounts, and what a country decides about money: default currency, days until it is available, and
//! whether those days are business days.
//!
//! A country is any pair of letters, since addresses and cards come from everywhere; the table below holds those where
//! accounts live. Defaults of delay and currency are Stripe's published ones, `[rec]` = seen in recorded API answers;
//! the platform may override both per account.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Decoder, Encode, Encoder};

use super::currency::Currency;

/// An ISO 3166-1 alpha-2 country code, upper case.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Country([u8; 2]);

/// The text is not two ASCII letters.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unknown country {asked:?}: expected a two-letter ISO 3166 code such as US")]
pub struct UnknownCountry {
    /// What was asked for, cut after 16 characters.
    pub asked: String,
}

impl Country {
    /// United States.
    pub const US: Country = Country(*b"US");
    /// United Kingdom.
    pub const GB: Country = Country(*b"GB");
    /// Germany.
    pub const DE: Country = Country(*b"DE");
    /// Canada.
    pub const CA: Country = Country(*b"CA");
    /// Australia.
    pub const AU: Country = Country(*b"AU");
    /// Japan.
    pub const JP: Country = Country(*b"JP");

    /// The code in upper case: `US`.
    pub fn code(&self) -> &str {
        // Two ASCII letters by construction, so the fallback cannot be reached.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The currency that a fresh account of this country settles in; none where Florin opens no accounts by default.
    ///
    /// Bulgaria is in the euro since 2026-01-01, Croatia since 2023-01-01.
    pub fn default_currency(self) -> Option<Currency> {
        self.row().map(|row| row.currency)
    }

    /// The default `delay_days` of an account's payout schedule: days from a charge until its money is available.
    ///
    /// Recorded: US 2, CA, SG, CZ, DE and most of Europe 7, KR 0 (it only receives transfers). Published: AU 2, JP and
    /// NZ 4, BR 30. Every other country: 7.
    pub fn delay_days(self) -> u8 {
        match &self.0 {
            b"US" | b"AU" => 2,
            b"JP" | b"NZ" => 4,
            b"BR" => 30,
            b"KR" => 0,
            _ => 7,
        }
    }

    /// Whether the delay counts business days (AE, AU, IN, JP, MY, NZ, TH, US) or calendar days (all others).
    pub fn business_days(self) -> bool {
        matches!(&self.0, b"AE" | b"AU" | b"IN" | b"JP" | b"MY" | b"NZ" | b"TH" | b"US")
    }

    /// Whether two accounts are in one region: that of Europe (European Economic Area, United Kingdom, Switzerland, and
    /// Gibraltar), else the country itself.
    pub fn is_near(self, other: Country) -> bool {
        self == other || (self.is_in_europe() && other.is_in_europe())
    }

    fn is_in_europe(self) -> bool {
        #[rustfmt::skip]
        const EUROPE: [&[u8; 2]; 33] = [
            b"AT", b"BE", b"BG", b"CH", b"CY", b"CZ", b"DE", b"DK", b"EE", b"ES", b"FI", b"FR", b"GB", b"GI", b"GR",
            b"HR", b"HU", b"IE", b"IS", b"IT", b"LI", b"LT", b"LU", b"LV", b"MT", b"NL", b"NO", b"PL", b"PT", b"RO",
            b"SE", b"SI", b"SK",
        ];
        EUROPE.contains(&&self.0)
    }

    /// Every country with a default currency, in the order of the codes.
    pub fn with_accounts() -> impl ExactSizeIterator<Item = Country> {
        ROWS.iter().map(|row| row.country)
    }

    fn row(self) -> Option<&'static Row> {
        ROWS.binary_search_by_key(&self, |row| row.country).ok().map(|place| &ROWS[place])
    }
}

impl FromStr for Country {
    type Err = UnknownCountry;

    /// Accepts any case.
    fn from_str(text: &str) -> Result<Country, UnknownCountry> {
        match text.as_bytes() {
            &[a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Country([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => Err(UnknownCountry { asked: text.chars().take(16).collect() }),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl<C> Encode<C> for Country {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(self.code())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Country {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Country, minicbor::decode::Error> {
        let position = d.position();
        d.str()?.parse().map_err(|_| minicbor::decode::Error::message("not a country code").at(position))
    }
}

struct Row {
    country: Country,
    currency: Currency,
}

const fn row(country: &[u8; 2], currency: &str) -> Row {
    Row { country: Country(*country), currency: Currency::of_table(currency) }
}

/// Ordered by country, for the binary search.
static ROWS: [Row; 66] = [
    row(b"AE", "aed"),
    row(b"AR", "ars"),
    row(b"AT", "eur"),
    row(b"AU", "aud"),
    row(b"BE", "eur"),
    row(b"BG", "eur"),
    row(b"BR", "brl"),
    row(b"CA", "cad"),
    row(b"CH", "chf"),
    row(b"CI", "xof"),
    row(b"CL", "clp"),
    row(b"CO", "cop"),
    row(b"CR", "crc"),
    row(b"CY", "eur"),
    row(b"CZ", "czk"),
    row(b"DE", "eur"),
    row(b"DK", "dkk"),
    row(b"EE", "eur"),
    row(b"EG", "egp"),
    row(b"ES", "eur"),
    row(b"FI", "eur"),
    row(b"FR", "eur"),
    row(b"GB", "gbp"),
    row(b"GI", "gbp"),
    row(b"GR", "eur"),
    row(b"HK", "hkd"),
    row(b"HR", "eur"),
    row(b"HU", "huf"),
    row(b"ID", "idr"),
    row(b"IE", "eur"),
    row(b"IL", "ils"),
    row(b"IN", "inr"),
    row(b"IS", "isk"),
    row(b"IT", "eur"),
    row(b"JP", "jpy"),
    row(b"KE", "kes"),
    row(b"KR", "krw"),
    row(b"LI", "chf"),
    row(b"LT", "eur"),
    row(b"LU", "eur"),
    row(b"LV", "eur"),
    row(b"MA", "mad"),
    row(b"MC", "eur"),
    row(b"MT", "eur"),
    row(b"MX", "mxn"),
    row(b"MY", "myr"),
    row(b"NG", "ngn"),
    row(b"NL", "eur"),
    row(b"NO", "nok"),
    row(b"NZ", "nzd"),
    row(b"PE", "pen"),
    row(b"PH", "php"),
    row(b"PL", "pln"),
    row(b"PT", "eur"),
    row(b"RO", "ron"),
    row(b"SA", "sar"),
    row(b"SE", "sek"),
    row(b"SG", "sgd"),
    row(b"SI", "eur"),
    row(b"SK", "eur"),
    row(b"TH", "thb"),
    row(b"TR", "try"),
    row(b"TW", "twd"),
    row(b"US", "usd"),
    row(b"VN", "vnd"),
    row(b"ZA", "zar"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn country(code: &str) -> Country {
        code.parse().unwrap()
    }

    #[test]
    fn the_table_is_ordered_and_found() {
        assert!(ROWS.windows(2).all(|pair| pair[0].country < pair[1].country));
        for code in Country::with_accounts() {
            assert!(code.default_currency().is_some(), "{code}");
        }
        assert_eq!(country("us").default_currency(), Some(Currency::USD));
        assert_eq!(country("BG").default_currency(), Some(Currency::EUR));
        assert_eq!(country("LI").default_currency(), Some(Currency::CHF));
        assert_eq!(country("KP").default_currency(), None);
    }

    #[test]
    fn delays_are_the_recorded_ones() {
        for (code, days) in [("US", 2), ("DE", 7), ("CA", 7), ("SG", 7), ("CZ", 7), ("KR", 0), ("AU", 2), ("JP", 4)] {
            assert_eq!(country(code).delay_days(), days, "{code}");
        }
        let business: Vec<Country> = Country::with_accounts().filter(|c| c.business_days()).collect();
        assert_eq!(format!("{business:?}"), "[AE, AU, IN, JP, MY, NZ, TH, US]");
    }

    #[test]
    fn two_letters_are_a_country_and_nothing_else_is() {
        assert_eq!(country("de"), Country::DE);
        assert_eq!(country("gB").code(), "GB");
        for text in ["", "D", "DEU", "D1", "ß", "é"] {
            assert!(text.parse::<Country>().is_err(), "{text}");
        }
        let bytes = minicbor::to_vec(Country::GB).unwrap();
        assert_eq!(minicbor::decode::<Country>(&bytes).unwrap(), Country::GB);
    }
}
