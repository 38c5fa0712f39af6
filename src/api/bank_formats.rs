//! How numbers of banks and bank accounts look, country by country: one table, a row for each shape.
//!
//! Where a country uses IBANs, the account number is one; elsewhere a routing number says which bank and branch.

use crate::primitives::country::Country;

/// How a country's bank accounts are written.
pub struct Format {
    country: &'static [u8; 2],
    /// Digits (or letters, for India) of the routing number, dashes and blanks left out; 0 for none.
    routing: usize,
    /// How it is written, for the error.
    pub shown: &'static str,
    /// Fewest and most digits of the account number.
    account: (usize, usize),
}

const fn format(country: &'static [u8; 2], routing: usize, shown: &'static str, account: (usize, usize)) -> Format {
    Format { country, routing, shown, account }
}

static FORMATS: &[Format] = &[
    format(b"AU", 6, "xxxxxx", (5, 9)),
    format(b"BR", 7, "xxx-xxxx", (4, 17)),
    format(b"CA", 8, "xxxxx-xxx", (4, 17)),
    format(b"GB", 6, "xx-xx-xx", (8, 8)),
    format(b"HK", 6, "xxx-xxx", (4, 12)),
    format(b"IN", 11, "XXXX0xxxxxx", (4, 18)),
    format(b"JP", 7, "xxxx-xxx", (4, 8)),
    format(b"MX", 0, "", (18, 18)),
    format(b"NZ", 6, "xx-xxxx", (4, 17)),
    format(b"SG", 7, "xxxx-xxx", (4, 17)),
    format(b"US", 9, "xxxxxxxxx", (4, 17)),
];

/// Countries whose accounts are IBANs, with their length.
#[rustfmt::skip]
static IBANS: &[(&[u8; 2], usize)] = &[
    (b"AE", 23), (b"AT", 20), (b"BE", 16), (b"BG", 22), (b"CH", 21), (b"CR", 22), (b"CY", 28), (b"CZ", 24),
    (b"DE", 22), (b"DK", 18), (b"EE", 20), (b"EG", 29), (b"ES", 24), (b"FI", 18), (b"FR", 27), (b"GB", 22),
    (b"GI", 23), (b"GR", 27), (b"HR", 21), (b"HU", 28), (b"IE", 22), (b"IL", 23), (b"IS", 26), (b"IT", 27),
    (b"LI", 21), (b"LT", 20), (b"LU", 20), (b"LV", 21), (b"MC", 27), (b"MT", 31), (b"NL", 18), (b"NO", 15),
    (b"PL", 28), (b"PT", 25), (b"RO", 24), (b"SA", 24), (b"SE", 24), (b"SI", 19), (b"SK", 24), (b"TR", 26),
];

/// How a country writes routing numbers, if it has any.
pub fn of(country: Country) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.country.as_slice() == country.code().as_bytes())
}

/// Whether a country's accounts are IBANs and nothing else.
pub fn wants_iban(country: Country) -> bool {
    of(country).is_none() && iban_length(country).is_some()
}

fn iban_length(country: Country) -> Option<usize> {
    IBANS.iter().find(|(code, _)| code.as_slice() == country.code().as_bytes()).map(|(_, length)| *length)
}

/// Whether an IBAN, right in itself, can be of this country. Countries that share a bank area take each other's.
pub fn iban_fits(country: Country, iban: &str) -> bool {
    let of = iban.get(..2).and_then(|code| code.parse::<Country>().ok());
    iban_length(country).is_some() && of.and_then(iban_length) == Some(iban.len())
}

impl Format {
    /// Whether this can be a routing number: the right length, digits, and where there is a check digit, the right one.
    pub fn takes_routing(&self, number: Option<&str>) -> bool {
        let Some(number) = number else { return self.routing == 0 };
        if self.routing == 0 {
            return true;
        }
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let is_right = match self.country {
            b"IN" => number.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            b"US" => digits && passes_aba(number),
            _ => digits,
        };
        number.len() == self.routing && is_right
    }

    /// Whether an account number has the right length.
    pub fn takes_account(&self, number: &str) -> bool {
        (self.account.0..=self.account.1).contains(&number.len())
    }
}

/// The check digit of a US routing number.
fn passes_aba(number: &str) -> bool {
    let weighted = number.bytes().zip([3_u32, 7, 1].into_iter().cycle());
    let sum: u32 = weighted.map(|(byte, weight)| u32::from(byte.wrapping_sub(b'0')) * weight).sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn country(code: &str) -> Country {
        code.parse().unwrap()
    }

    #[test]
    fn routing_numbers_look_as_their_country_writes_them() {
        for (code, number, fits) in [
            ("US", Some("110000000"), true),
            ("US", Some("110000001"), false),
            ("US", Some("11000000"), false),
            ("US", None, false),
            ("GB", Some("108800"), true),
            ("CA", Some("11000000"), true),
            ("JP", Some("1100000"), true),
            ("IN", Some("HDFC0004051"), true),
            ("IN", Some("HDFC000405"), false),
            ("MX", None, true),
        ] {
            assert_eq!(of(country(code)).unwrap().takes_routing(number), fits, "{code} {number:?}");
        }
        assert!(of(country("US")).unwrap().takes_account("000123456789"));
        assert!(!of(country("GB")).unwrap().takes_account("123"));
    }

    #[test]
    fn ibans_have_the_length_of_their_country() {
        assert!(wants_iban(Country::DE) && !wants_iban(Country::GB) && !wants_iban(Country::US));
        assert!(iban_fits(Country::DE, "DE89370400440532013000") && iban_fits(country("FR"), "DE89370400440532013000"));
        assert!(!iban_fits(Country::DE, "DE8937040044053201300") && !iban_fits(Country::US, "DE89370400440532013000"));
    }
}
