//! Amounts: whole minor units that never travel without their currency.

use std::fmt;
use std::fmt::Write as _;

use minicbor::{Decode, Encode};

use super::currency::Currency;

/// The largest amount, in minor units of any currency, that a command may name: 10^15, ten trillion dollars.
/// It leaves three digits of room below the end of an i64; totals over many rows belong in an i128 all the same.
pub const MAX_MINOR: i64 = 1_000_000_000_000_000;

/// An amount of one currency, signed, in minor units (10^-[`Currency::exponent`] of the major unit).
///
/// There is no `+`: adding can fail, by currency or by size, and the caller has to say what happens then.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Encode, Decode)]
pub struct Money {
    #[n(0)]
    minor: i64,
    #[n(1)]
    currency: Currency,
}

/// Why an operation on amounts has no result.
#[derive(Copy, Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MoneyError {
    /// Two currencies met where one was needed; a conversion would be the way.
    #[error("cannot combine {left} with {right}: convert one of them first")]
    CurrencyMismatch {
        /// Currency of the amount operated on.
        left: Currency,
        /// Currency of the other amount.
        right: Currency,
    },
    /// The result has no room in an i64.
    #[error("amount out of range")]
    Overflow,
}

impl Money {
    /// An amount of `minor` minor units. Any i64 is an amount; whether it may be charged is a question for the domain
    /// (see [`Money::is_within_bounds`]).
    pub const fn new(minor: i64, currency: Currency) -> Money {
        Money { minor, currency }
    }

    /// Nothing, in a currency.
    pub const fn zero(currency: Currency) -> Money {
        Money { minor: 0, currency }
    }

    /// Minor units, signed.
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether nothing is left.
    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// Whether the amount is below zero.
    pub const fn is_negative(self) -> bool {
        self.minor < 0
    }

    /// Whether the amount lies within ±[`MAX_MINOR`], the bound of every amount in a command.
    pub const fn is_within_bounds(self) -> bool {
        self.minor >= -MAX_MINOR && self.minor <= MAX_MINOR
    }

    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`], [`MoneyError::Overflow`].
    pub fn checked_add(self, other: Money) -> Result<Money, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Money { minor, ..self })
    }

    /// The difference, self minus other.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`], [`MoneyError::Overflow`].
    pub fn checked_sub(self, other: Money) -> Result<Money, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_sub(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Money { minor, ..self })
    }

    /// The same amount with the other sign.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] for the one i64 that has no counterpart.
    pub fn checked_neg(self) -> Result<Money, MoneyError> {
        let minor = self.minor.checked_neg().ok_or(MoneyError::Overflow)?;
        Ok(Money { minor, ..self })
    }

    /// The amount as people read it, for error texts: `$1,000.00`, `-€0.50`, `£3.00`; where the symbol would not
    /// tell which currency, by code: `500 jpy`, `1,234.500 kwd`.
    pub fn display_major(self) -> String {
        let (sign, digits) = (if self.minor < 0 { "-" } else { "" }, self.digits(true));
        match self.currency.symbol() {
            Some(symbol) => format!("{sign}{symbol}{digits}"),
            None => format!("{sign}{digits} {}", self.currency),
        }
    }

    /// Absolute value in major units, with or without thousands separators.
    fn digits(self, grouped: bool) -> String {
        let exponent = self.currency.exponent();
        let unit = 10_u64.pow(exponent);
        let (major, rest) = (self.minor.unsigned_abs() / unit, self.minor.unsigned_abs() % unit);
        let plain = major.to_string();
        let mut text = String::with_capacity(plain.len() + plain.len() / 3 + 4);
        for (i, digit) in plain.char_indices() {
            if grouped && i > 0 && (plain.len() - i).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        if exponent > 0 {
            // Writing to a String cannot fail.
            let _ = write!(text, ".{rest:0width$}", width = exponent as usize);
        }
        text
    }

    fn same_currency(self, other: Money) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            return Ok(());
        }
        Err(MoneyError::CurrencyMismatch { left: self.currency, right: other.currency })
    }
}

impl fmt::Display for Money {
    /// `-12.34 usd`: major units, then the code; for logs and test output.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minor < 0 { "-" } else { "" };
        f.pad(&format!("{sign}{} {}", self.digits(false), self.currency))
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd(minor: i64) -> Money {
        Money::new(minor, Currency::USD)
    }

    #[test]
    fn amounts_add_only_within_a_currency_and_within_range() {
        assert_eq!(usd(100).checked_add(usd(-30)), Ok(usd(70)));
        assert_eq!(usd(100).checked_sub(usd(130)), Ok(usd(-30)));
        assert_eq!(usd(100).checked_neg(), Ok(usd(-100)));
        let mismatch = usd(1).checked_add(Money::new(1, Currency::JPY)).unwrap_err();
        assert_eq!(mismatch, MoneyError::CurrencyMismatch { left: Currency::USD, right: Currency::JPY });
        assert_eq!(mismatch.to_string(), "cannot combine usd with jpy: convert one of them first");
        assert_eq!(usd(i64::MAX).checked_add(usd(1)), Err(MoneyError::Overflow));
        assert_eq!(usd(i64::MIN).checked_sub(usd(1)), Err(MoneyError::Overflow));
        assert_eq!(usd(i64::MIN).checked_neg(), Err(MoneyError::Overflow));
        assert!(usd(MAX_MINOR).is_within_bounds() && !usd(-MAX_MINOR - 1).is_within_bounds());
    }

    #[test]
    fn amounts_read_as_people_write_them() {
        let kwd: Currency = "kwd".parse().unwrap();
        for (money, plain, text) in [
            (usd(10_000), "100.00 usd", "$100.00"),
            (usd(-5), "-0.05 usd", "-$0.05"),
            (usd(99_999_999), "999999.99 usd", "$999,999.99"),
            (usd(100_000), "1000.00 usd", "$1,000.00"),
            (Money::new(50, Currency::EUR), "0.50 eur", "€0.50"),
            (Money::new(500, Currency::JPY), "500 jpy", "500 jpy"),
            (Money::new(1_234_500, kwd), "1234.500 kwd", "1,234.500 kwd"),
            (usd(i64::MIN), "-92233720368547758.08 usd", "-$92,233,720,368,547,758.08"),
        ] {
            assert_eq!(money.to_string(), plain);
            assert_eq!(money.display_major(), text);
        }
    }

    proptest! {
        #[test]
        fn money_survives_the_journal(minor: i64, place in 0..139_usize) {
            let money = Money::new(minor, Currency::all().nth(place).unwrap());
            let bytes = minicbor::to_vec(money).unwrap();
            prop_assert_eq!(minicbor::decode::<Money>(&bytes).unwrap(), money);
        }

        #[test]
        fn adding_and_taking_away_again_changes_nothing(a in -MAX_MINOR..=MAX_MINOR, b in -MAX_MINOR..=MAX_MINOR) {
            let there = usd(a).checked_add(usd(b)).unwrap();
            prop_assert_eq!(there.checked_sub(usd(b)), Ok(usd(a)));
        }
    }
}
