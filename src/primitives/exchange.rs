//! Exchange rates and conversions: exact decimals, rounded once, by a named rule.
//!
//! **Rates.** A [`Rate`] is market mid, in major units of `to` for one major unit of `from`. It comes from the euro
//! reference rates of the ECB ([`MarketRates`](super::market::MarketRates)) or from the configuration. A cross rate is
//! `rate(to) / rate(from)`, both per euro, and is rounded once, half-up, to [`CROSS_RATE_DIGITS`] significant digits;
//! nothing else about a rate is ever rounded.
//!
//! **Conversions.** [`convert`] multiplies in integers and rounds once, half-up, at the target's
//! [`charge_multiple`](Currency::charge_multiple). A product that would not fit without losing digits is an error.
//!
//! **What is lost is named.** With `exact = amount × base`, in minor units of the target:
//!
//! ```text
//! at_base        = exact rounded at the charge_multiple     what the account would get without a fee
//! target         = amount × base × (1 − mark-up), so rounded what the account gets
//! markup()       = at_base − target                         income of whoever converts
//! rounding_units = exact rounded at 1 unit − at_base        whole units lost (or won) to the multiple
//! residue_nano   = exact − exact rounded at 1 unit          below a unit, in 10^-9 units: a memo, never posted
//! ```
//!
//! So the books take `target + markup + rounding_units` from the target's clearing account, and `residue_nano` is all
//! that is left between it and the exact value.

use minicbor::{Decode, Decoder, Encode, Encoder};

pub use rust_decimal::Decimal;

use super::currency::Currency;
use super::money::Money;
use super::share::divide_half_up;
use super::time::Day;

/// Significant digits of a cross rate. More than twice what the ECB publishes, and few enough that the product with an
/// amount and a mark-up stays exact in 128 bits: any mark-up up to 1.7 × 10^14 minor units, one of at most five
/// significant digits (1 %, 2.07 %) up to [`MAX_MINOR`](super::money::MAX_MINOR).
pub const CROSS_RATE_DIGITS: u32 = 18;

/// How a number becomes a whole one. The only rule that Florin has; it has a name so that each use says so.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Rounding {
    /// To the nearest; ties away from zero.
    HalfUp,
}

impl Rounding {
    /// `dividend / divisor` as a whole number. The divisor must not be zero.
    fn divide(self, dividend: i128, divisor: i128) -> i128 {
        match self {
            Rounding::HalfUp => divide_half_up(dividend, divisor),
        }
    }
}

/// Where a rate comes from.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Encode, Decode)]
#[cbor(index_only)]
pub enum RateSource {
    /// Euro reference rates of the European Central Bank.
    #[n(0)]
    Ecb,
    /// The operator's configuration; a fee, if any, is already inside, so no mark-up is taken.
    #[n(1)]
    Fixed,
    /// Both currencies are the same: 1, without mark-up.
    #[n(2)]
    Identity,
}

/// The market rate between two currencies, with its origin.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Encode, Decode)]
pub struct Rate {
    /// Currency of the amount to convert.
    #[n(0)]
    pub from: Currency,
    /// Currency it becomes.
    #[n(1)]
    pub to: Currency,
    /// Major units of `to` for one major unit of `from`, without any fee. Above zero.
    #[n(2)]
    #[cbor(with = "decimal_cbor")]
    pub base: Decimal,
    /// The day of its publication (ECB), or the day it was asked for.
    #[n(3)]
    pub date: Day,
    /// Its origin.
    #[n(4)]
    pub source: RateSource,
    /// Whether it is older than the calendar explains: see [`MarketRates::lookup`](super::market::MarketRates::lookup).
    #[n(5)]
    pub stale: bool,
}

impl Rate {
    /// One to one.
    pub fn identity(currency: Currency, on: Day) -> Rate {
        let (base, source) = (Decimal::ONE, RateSource::Identity);
        Rate { from: currency, to: currency, base, date: on, source, stale: false }
    }
}

/// Why an amount cannot be converted.
#[derive(Copy, Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ExchangeError {
    /// The rate converts another currency.
    #[error("cannot convert {money} with a rate from {from}")]
    WrongRate {
        /// The currency of the amount.
        money: Currency,
        /// The currency that the rate converts.
        from: Currency,
    },
    /// A rate must be above zero.
    #[error("exchange rate {rate} is not above zero")]
    RateNotPositive {
        /// The rate.
        rate: Decimal,
    },
    /// A mark-up above 100 %.
    #[error("mark-up of {markup_ppm} ppm is above 1000000 (all of it)")]
    MarkupTooHigh {
        /// The mark-up.
        markup_ppm: u32,
    },
    /// The product has more digits than can be held exactly; Florin does not round it unseen.
    #[error(
        "converting {minor} {from} at {rate} would lose digits: use a rate with fewer decimals or a smaller amount"
    )]
    LosesDigits {
        /// The amount in minor units.
        minor: i64,
        /// Its currency.
        from: Currency,
        /// The rate.
        rate: Decimal,
    },
    /// The result has no room in an i64 of minor units.
    #[error("{minor} {from} are more {to} than an amount can hold")]
    Overflow {
        /// The amount in minor units.
        minor: i64,
        /// Its currency.
        from: Currency,
        /// The currency of the result.
        to: Currency,
    },
}

/// What became of an amount in another currency. All figures are kept: postings use the amounts, the wire shows the
/// rate, audits use the rest. The module's text draws the sum.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Encode, Decode)]
pub struct Conversion {
    /// The amount before.
    #[n(0)]
    pub source: Money,
    /// What the account gets: amount × exchange rate, rounded half-up at the charge multiple.
    #[n(1)]
    pub target: Money,
    /// The same at the base rate; [`Conversion::markup`] is the difference.
    #[n(2)]
    pub at_base: Money,
    /// The rate that was applied, fee included, between **minor** units, not rounded: amount in minor units × this =
    /// result in minor units. [`shown_rate`] makes of it what the wire shows as `exchange_rate`.
    #[n(3)]
    #[cbor(with = "decimal_cbor")]
    pub exchange_rate_minor: Decimal,
    /// 10^-9 minor units of the target: the exact value at the **base** rate minus its nearest whole unit, between
    /// -500000000 and 500000000; itself rounded half-up at 10^-9.
    #[n(4)]
    pub residue_nano: i64,
    /// Whole minor units of the target: the nearest unit to the exact value at the base rate minus `at_base`. Zero unless
    /// the target has a charge multiple.
    #[n(5)]
    pub rounding_units: i64,
}

impl Conversion {
    /// What the mark-up is worth: `at_base - target`, in the target's currency; never negative for a positive amount.
    pub fn markup(&self) -> Money {
        // Both come from one product with factors between 0 and 1, so the difference has room.
        Money::new(self.at_base.minor() - self.target.minor(), self.target.currency())
    }
}

/// Converts an amount at a rate less a mark-up, in parts per million of the rate: `exchange_rate = base × (1 − mark-up)`.
///
/// A rate that is [`Fixed`](RateSource::Fixed) or [`Identity`](RateSource::Identity) takes no mark-up, whatever is asked.
/// Negative amounts convert as their positive twins.
///
/// # Errors
/// [`ExchangeError`]; nothing is ever rounded to make it fit.
pub fn convert(money: Money, rate: &Rate, markup_ppm: u32) -> Result<Conversion, ExchangeError> {
    let (from, to) = (rate.from, rate.to);
    if money.currency() != from {
        return Err(ExchangeError::WrongRate { money: money.currency(), from });
    }
    if rate.base <= Decimal::ZERO {
        return Err(ExchangeError::RateNotPositive { rate: rate.base });
    }
    if markup_ppm > 1_000_000 {
        return Err(ExchangeError::MarkupTooHigh { markup_ppm });
    }
    let markup_ppm = match rate.source {
        RateSource::Ecb => markup_ppm,
        RateSource::Fixed | RateSource::Identity => 0,
    };
    let loses_digits = ExchangeError::LosesDigits { minor: money.minor(), from, rate: rate.base };
    let overflow = ExchangeError::Overflow { minor: money.minor(), from, to };

    let base = Exact::of(rate.base).shifted(i64::from(to.exponent()) - i64::from(from.exponent()));
    let kept = Exact { mantissa: 1_000_000 - i128::from(markup_ppm), scale: 6 }.normalized();
    let with_fee = base.times(kept).ok_or(loses_digits)?.normalized();
    let exchange_rate_minor = with_fee.to_decimal().ok_or(loses_digits)?;

    let amount = Exact { mantissa: i128::from(money.minor()), scale: 0 };
    let exact_target = amount.times(with_fee).ok_or(loses_digits)?;
    let exact_base = amount.times(base).ok_or(loses_digits)?;

    let multiple = to.charge_multiple();
    let target = exact_target.rounded_to_multiple(multiple, Rounding::HalfUp).ok_or(overflow)?;
    let at_base = exact_base.rounded_to_multiple(multiple, Rounding::HalfUp).ok_or(overflow)?;
    let nearest_unit = exact_base.rounded_to_multiple(1, Rounding::HalfUp).ok_or(overflow)?;
    Ok(Conversion {
        source: money,
        target: Money::new(target, to),
        at_base: Money::new(at_base, to),
        exchange_rate_minor,
        residue_nano: exact_base.nano_above(nearest_unit).ok_or(loses_digits)?,
        rounding_units: nearest_unit - at_base,
    })
}

/// A rate as the wire shows it: 6 significant digits, half-up, no trailing zeros (13.2136, 0.49334, 0.9).
///
/// For showing only; the rate that converts is never rounded.
pub fn shown_rate(rate: Decimal) -> Decimal {
    const SHOWN_DIGITS: u32 = 6;
    let exact = Exact::of(rate);
    let digits = exact.mantissa.unsigned_abs().checked_ilog10().map_or(0, |log| log + 1);
    let surplus = digits.saturating_sub(SHOWN_DIGITS);
    let mantissa = Rounding::HalfUp.divide(exact.mantissa, 10_i128.pow(surplus));
    // Fewer digits than before always fit.
    Exact { mantissa, scale: exact.scale - i64::from(surplus) }.normalized().to_decimal().unwrap_or(rate)
}

/// `mantissa × 10^-scale`, exactly. The scale may be negative.
#[derive(Copy, Clone)]
pub(super) struct Exact {
    pub(super) mantissa: i128,
    pub(super) scale: i64,
}

impl Exact {
    pub(super) fn of(decimal: Decimal) -> Exact {
        Exact { mantissa: decimal.mantissa(), scale: i64::from(decimal.scale()) }.normalized()
    }

    /// Without trailing zeros, so that products have room.
    fn normalized(mut self) -> Exact {
        if self.mantissa == 0 {
            return Exact { mantissa: 0, scale: 0 };
        }
        while self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.scale -= 1;
        }
        self
    }

    /// Times 10^places.
    fn shifted(self, places: i64) -> Exact {
        Exact { mantissa: self.mantissa, scale: self.scale - places }
    }

    /// None when the product has no room.
    fn times(self, other: Exact) -> Option<Exact> {
        Some(Exact { mantissa: self.mantissa.checked_mul(other.mantissa)?, scale: self.scale + other.scale })
    }

    /// None when it has more digits or decimals than a Decimal holds.
    fn to_decimal(self) -> Option<Decimal> {
        let (mantissa, scale) = match u32::try_from(self.scale) {
            Ok(scale) => (self.mantissa, scale),
            Err(_) => (self.mantissa.checked_mul(power_of_ten(-self.scale)?)?, 0),
        };
        Decimal::try_from_i128_with_scale(mantissa, scale).ok()
    }

    /// The nearest multiple; none when it has no room in an i64.
    fn rounded_to_multiple(self, multiple: i64, rounding: Rounding) -> Option<i64> {
        let multiple = i128::from(multiple);
        let steps = if self.scale <= 0 {
            let whole = self.mantissa.checked_mul(power_of_ten(-self.scale)?)?;
            rounding.divide(whole, multiple)
        } else {
            match power_of_ten(self.scale).and_then(|unit| unit.checked_mul(multiple)) {
                Some(step) => rounding.divide(self.mantissa, step),
                // The divisor is beyond 10^38 and more than twice the mantissa: less than half a step.
                None => 0,
            }
        };
        i64::try_from(steps * multiple).ok()
    }

    /// What is above a whole number near it, in 10^-9; none when that has no room.
    fn nano_above(self, whole: i64) -> Option<i64> {
        if self.scale <= 0 {
            return Some(0);
        }
        let unit = power_of_ten(self.scale)?;
        let above = self.mantissa.checked_sub(i128::from(whole).checked_mul(unit)?)?;
        let nano = if self.scale <= 9 {
            above.checked_mul(power_of_ten(9 - self.scale)?)?
        } else {
            Rounding::HalfUp.divide(above, power_of_ten(self.scale - 9)?)
        };
        i64::try_from(nano).ok()
    }
}

pub(super) fn power_of_ten(exponent: i64) -> Option<i128> {
    10_i128.checked_pow(u32::try_from(exponent).ok()?)
}

/// `numerator / denominator` with [`CROSS_RATE_DIGITS`] significant digits, rounded once, half-up. Both above zero, and
/// small: ECB rates have at most ten digits.
pub(super) fn cross_rate(numerator: u32, denominator: u32, scale: i64) -> Option<Decimal> {
    let (numerator, denominator) = (i128::from(numerator), i128::from(denominator));
    let floor = 10_i128.pow(CROSS_RATE_DIGITS - 1);
    let mut shift = 0;
    // Room: the quotient stays below 10^18 and the denominator below 2^32.
    let mut shifted = numerator;
    while shifted / denominator < floor {
        shifted *= 10;
        shift += 1;
    }
    let mantissa = Rounding::HalfUp.divide(shifted, denominator);
    Exact { mantissa, scale: scale + shift }.normalized().to_decimal()
}

/// A [`Decimal`] in CBOR, for `#[cbor(with = "…")]`: a decimal fraction of RFC 8949 (tag 4: exponent and mantissa), the
/// mantissa a bignum where it does not fit in 64 bits. Exact, and independent of this crate's and the decimal crate's
/// memory layout.
pub mod decimal_cbor {
    use super::{Decimal, Decode, Decoder, Encode, Encoder};
    use minicbor::data::{Int, Tag, Type};

    const DECIMAL: u64 = 4;
    const BIGNUM: u64 = 2;
    const NEGATIVE_BIGNUM: u64 = 3;

    /// Writes a decimal.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn encode<C, W: minicbor::encode::Write>(
        decimal: &Decimal,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let mantissa = decimal.mantissa();
        e.tag(Tag::new(DECIMAL))?.array(2)?.i64(-i64::from(decimal.scale()))?;
        match Int::try_from(mantissa) {
            Ok(small) => small.encode(e, ctx),
            Err(_) => {
                // RFC 8949: a negative bignum holds -1 - n.
                let (tag, size) = if mantissa < 0 { (NEGATIVE_BIGNUM, !mantissa) } else { (BIGNUM, mantissa) };
                let bytes = size.to_be_bytes();
                let start = bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len());
                e.tag(Tag::new(tag))?.bytes(&bytes[start..])?.ok()
            }
        }
    }

    /// Reads a decimal.
    ///
    /// # Errors
    /// When it is not one, or has more digits than a Decimal holds.
    pub fn decode<'b, C>(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Decimal, minicbor::decode::Error> {
        let position = d.position();
        let bad = |what: &'static str| minicbor::decode::Error::message(what).at(position);
        if d.tag()? != Tag::new(DECIMAL) || d.array()? != Some(2) {
            return Err(bad("not a decimal fraction"));
        }
        let scale = u32::try_from(-i128::from(d.i64()?)).map_err(|_| bad("a decimal's exponent is above zero"))?;
        let mantissa = match d.datatype()? {
            Type::Tag => {
                let tag = d.tag()?;
                let digits = d.bytes()?;
                if digits.len() > 15 {
                    return Err(bad("a decimal has too many digits"));
                }
                let size = digits.iter().fold(0_i128, |size, &byte| size << 8 | i128::from(byte));
                match tag.as_u64() {
                    BIGNUM => size,
                    NEGATIVE_BIGNUM => !size,
                    _ => return Err(bad("a decimal's mantissa is no number")),
                }
            }
            _ => i128::from(Int::decode(d, ctx)?),
        };
        Decimal::try_from_i128_with_scale(mantissa, scale).map_err(|_| bad("a decimal has too many digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::market::MarketRates;
    use crate::primitives::money::MAX_MINOR;
    use proptest::prelude::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    fn money(minor: i64, code: &str) -> Money {
        Money::new(minor, currency(code))
    }

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn decimal(text: &str) -> Decimal {
        Decimal::from_str_exact(text).unwrap()
    }

    /// A market rate in major units, as if the ECB had published it.
    fn market(from: &str, to: &str, base: &str) -> Rate {
        let (from, to, base) = (currency(from), currency(to), decimal(base));
        Rate { from, to, base, date: Day(0), source: RateSource::Ecb, stale: false }
    }

    #[test]
    fn worked_conversions_of_the_reference() {
        // amount, from, to, base in major units, mark-up, target, minor rate as shown
        for (amount, from, to, base, markup_ppm, target, shown) in [
            (10_000, "usd", "eur", "0.90", 0, 9000, "0.9"),
            (1000, "eur", "usd", "1.234", 0, 1234, "1.234"),
            (10_000, "eur", "usd", "1.12", 0, 11_200, "1.12"),
            (5000, "jpy", "usd", "0.0068", 10_000, 3366, "0.6732"),
            (5000, "usd", "gbp", "0.78", 0, 3900, "0.78"),
            (2000, "usd", "gbp", "0.80", 0, 1600, "0.8"),
            (10_000, "eur", "usd", "1.10", 25_000, 10_725, "1.0725"),
            (-1000, "usd", "cad", "1.38343", 0, -1383, "1.38343"),
        ] {
            let conversion = convert(money(amount, from), &market(from, to, base), markup_ppm).unwrap();
            assert_eq!(conversion.target, money(target, to), "{amount} {from} at {base}");
            assert_eq!(shown_rate(conversion.exchange_rate_minor), decimal(shown));
        }
        // The quote of the reference: 1.12415 × 0.98 = 1.10167.
        let quote = convert(money(100, "eur"), &market("eur", "usd", "1.12415"), 20_000).unwrap();
        assert_eq!(shown_rate(quote.exchange_rate_minor), decimal("1.10167"));
    }

    #[test]
    fn recorded_rates_hold_two_percent_on_the_way_in() {
        // The rate of a refund is the base rate, that of the charge is 2 % below it, both as shown to the account.
        for (to, charge, refund) in [
            ("cad", "1.35576", "1.38343"),
            ("cad", "1.35883", "1.38656"),
            ("eur", "0.92594", "0.94484"),
            ("krw", "13.2136", "13.4833"),
            ("sgd", "1.29726", "1.32373"),
            ("sgd", "1.3389", "1.36622"),
        ] {
            // Recorded between minor units; usd -> krw drops two decimals.
            let places = 2 - i64::from(currency(to).exponent());
            let base = Exact::of(decimal(refund)).shifted(places).to_decimal().unwrap();
            let rate = market("usd", to, &base.to_string());
            let incoming = convert(money(1000, "usd"), &rate, 20_000).unwrap();
            // To as many decimals as were recorded: usd-eur has five, where six significant digits would show 0.925943.
            let half_up = rust_decimal::RoundingStrategy::MidpointAwayFromZero;
            let recorded = decimal(charge);
            let shown = shown_rate(incoming.exchange_rate_minor).round_dp_with_strategy(recorded.scale(), half_up);
            assert_eq!(shown, recorded, "usd-{to}");
            assert_eq!(shown_rate(convert(money(1000, "usd"), &rate, 0).unwrap().exchange_rate_minor), decimal(refund));
        }
    }

    #[test]
    fn recorded_transfers_convert_to_the_unit() {
        // The rate as shown between minor units, so the result may miss by one unit per six digits.
        for (amount, from, to, shown, recorded, off) in [
            (200, "usd", "eur", "0.92594", 185, 0),
            (-200, "usd", "eur", "0.94484", -189, 0),
            (200, "usd", "krw", "13.2136", 2643, 0),
            (-200, "usd", "krw", "13.4833", -2697, 0),
            (30_000, "usd", "krw", "13.2136", 396_409, 1),
            (4820, "jpy", "chf", "0.49334", 2378, 0),
            (4983, "eur", "chf", "0.893356", 4452, 0),
            (4825, "eur", "chf", "0.893356", 4310, 0),
            (1000, "usd", "cad", "1.35576", 1356, 0),
            (30, "usd", "cad", "1.35576", 41, 0),
            (100, "usd", "sgd", "1.29726", 130, 0),
            (-100, "usd", "sgd", "1.32373", -132, 0),
        ] {
            let places = i64::from(currency(from).exponent()) - i64::from(currency(to).exponent());
            let base = Exact::of(decimal(shown)).shifted(places).to_decimal().unwrap();
            let conversion = convert(money(amount, from), &market(from, to, &base.to_string()), 0).unwrap();
            assert_eq!(shown_rate(conversion.exchange_rate_minor), decimal(shown));
            assert!((conversion.target.minor() - recorded).abs() <= off, "{conversion:?} is not {recorded}");
        }
    }

    #[test]
    fn what_a_multiple_takes_is_named() {
        // 1 usd = 121.7334 isk, whose amounts are whole hundreds: 12.34 usd are 1502.190156 isk = 150219.0156 units.
        let conversion = convert(money(1234, "usd"), &market("usd", "isk", "121.7334"), 20_000).unwrap();
        assert_eq!(conversion.at_base, money(150_200, "isk"));
        assert_eq!(conversion.rounding_units, 19);
        assert_eq!(conversion.residue_nano, 15_600_000);
        // × 0.98 = 147214.635288
        assert_eq!(conversion.target, money(147_200, "isk"));
        assert_eq!(conversion.markup(), money(3000, "isk"));
        // Rounded once, from the exact value: 1234.6 goes to 1230, not over 1235 to 1240.
        let once = convert(money(12_346, "usd"), &market("usd", "kwd", "0.01"), 0).unwrap();
        assert_eq!((once.at_base, once.rounding_units), (money(1230, "kwd"), 5));
        assert_eq!(once.residue_nano, -400_000_000);
        // Halves go away from zero, and have a residue of half a unit.
        let half = convert(money(1, "usd"), &market("usd", "eur", "0.5"), 0).unwrap();
        assert_eq!((half.target.minor(), half.residue_nano), (1, -500_000_000));
        let half = convert(money(-1, "usd"), &market("usd", "eur", "0.5"), 0).unwrap();
        assert_eq!((half.target.minor(), half.residue_nano), (-1, 500_000_000));
    }

    #[test]
    fn conversions_that_cannot_be_exact_are_refused() {
        let rate = market("usd", "eur", "0.9");
        assert_eq!(
            convert(money(1, "gbp"), &rate, 0),
            Err(ExchangeError::WrongRate { money: Currency::GBP, from: Currency::USD })
        );
        assert_eq!(
            convert(money(1, "usd"), &rate, 1_000_001),
            Err(ExchangeError::MarkupTooHigh { markup_ppm: 1_000_001 })
        );
        let zero = market("usd", "eur", "0");
        assert!(matches!(convert(money(1, "usd"), &zero, 0), Err(ExchangeError::RateNotPositive { .. })));
        let fine = market("usd", "eur", "0.9999999999999999999999999999");
        assert!(matches!(convert(money(MAX_MINOR, "usd"), &fine, 1), Err(ExchangeError::LosesDigits { .. })));
        assert!(matches!(convert(money(1, "usd"), &fine, 1), Err(ExchangeError::LosesDigits { .. })));
        let steep = market("usd", "idr", "20000");
        assert!(matches!(convert(money(MAX_MINOR, "usd"), &steep, 0), Err(ExchangeError::Overflow { .. })));
        let all_of_it = convert(money(100, "usd"), &rate, 1_000_000).unwrap();
        assert_eq!((all_of_it.target.minor(), all_of_it.markup().minor()), (0, 90));
    }

    #[test]
    fn shown_rates_have_six_significant_digits() {
        for (rate, shown) in [
            ("13.213634", "13.2136"),
            ("0.49334", "0.49334"),
            ("0.900", "0.9"),
            ("1.3557614", "1.35576"),
            ("0.00001234567", "0.0000123457"),
            ("16851351.5", "16851400"),
            ("9.9999995", "10"),
            ("1", "1"),
            ("0", "0"),
        ] {
            assert_eq!(shown_rate(decimal(rate)).to_string(), shown, "{rate}");
        }
    }

    #[test]
    fn every_pair_converts_up_to_the_bound_of_amounts() {
        let table = MarketRates::built_in();
        let all: Vec<Currency> = table.currencies().chain([Currency::EUR]).filter(|c| c.code() != "bgn").collect();
        for on in [table.first_day(), table.last_day()] {
            for &from in &all {
                for &to in &all {
                    let rate = table.lookup(from, to, on).unwrap();
                    for (minor, markup_ppm) in [(MAX_MINOR, 10_000), (MAX_MINOR, 20_700), (170_000_000_000_000, 12_345)]
                    {
                        match convert(Money::new(minor, from), &rate, markup_ppm) {
                            Ok(conversion) => assert!(conversion.target.minor() > 0),
                            Err(error) => assert!(matches!(error, ExchangeError::Overflow { .. }), "{error}"),
                        }
                    }
                }
            }
        }
    }

    fn quoted_pair() -> impl Strategy<Value = Rate> {
        let table = MarketRates::built_in();
        let all: Vec<Currency> = table.currencies().chain([Currency::EUR]).collect();
        let on = table.first_day().0..day("2026-01-01").0;
        (prop::sample::select(all.clone()), prop::sample::select(all), on)
            .prop_map(|(from, to, on)| MarketRates::built_in().lookup(from, to, Day(on)).unwrap())
    }

    proptest! {
        /// The sums of the module's text, against exact integers.
        #[test]
        fn nothing_is_lost_in_a_conversion(
            rate in quoted_pair(),
            minor in -1_000_000_000_000..1_000_000_000_000_i64,
            markup_ppm in 0..=100_000_u32,
        ) {
            let c = convert(Money::new(minor, rate.from), &rate, markup_ppm).unwrap();
            let multiple = i128::from(rate.to.charge_multiple());
            let unit = 10_i128.pow(rate.base.scale());
            let (up, down) = (10_i128.pow(rate.to.exponent()), 10_i128.pow(rate.from.exponent()));
            // exact × unit × down = amount × mantissa × up
            let (exact, unit) = (i128::from(minor) * rate.base.mantissa() * up, unit * down);
            let units = i128::from(c.at_base.minor()) + i128::from(c.rounding_units);
            prop_assert!((exact - i128::from(c.at_base.minor()) * unit).abs() * 2 <= multiple * unit);
            prop_assert!((exact - units * unit).abs() * 2 <= unit);
            let miss_nano = (exact - units * unit) * 1_000_000_000 - i128::from(c.residue_nano) * unit;
            prop_assert!(miss_nano.abs() * 2 <= unit);

            prop_assert_eq!(i128::from(c.target.minor()) % multiple, 0);
            prop_assert_eq!(c.target.checked_add(c.markup()), Ok(c.at_base));
            prop_assert!(c.markup().minor() * minor.signum() >= 0);
            prop_assert!(c.residue_nano.abs() <= 500_000_000);
            let mirrored = convert(Money::new(-minor, rate.from), &rate, markup_ppm).unwrap();
            prop_assert_eq!(mirrored.target.minor(), -c.target.minor());
            prop_assert_eq!(mirrored.residue_nano, -c.residue_nano);
        }

        #[test]
        fn rates_and_conversions_survive_the_journal(rate in quoted_pair(), minor in 0..1_000_000_000_i64) {
            let bytes = minicbor::to_vec(rate).unwrap();
            prop_assert_eq!(minicbor::decode::<Rate>(&bytes).unwrap(), rate);
            let conversion = convert(Money::new(minor, rate.from), &rate, 20_000).unwrap();
            let bytes = minicbor::to_vec(conversion).unwrap();
            prop_assert_eq!(minicbor::decode::<Conversion>(&bytes).unwrap(), conversion);
        }

        #[test]
        fn any_decimal_survives_the_journal(low: u32, middle: u32, high: u32, negative: bool, scale in 0..=28_u32) {
            let number = Decimal::from_parts(low, middle, high, negative, scale);
            let mut bytes = Vec::new();
            decimal_cbor::encode(&number, &mut Encoder::new(&mut bytes), &mut ()).unwrap();
            prop_assert_eq!(decimal_cbor::decode(&mut Decoder::new(&bytes), &mut ()).unwrap(), number);
        }

        #[test]
        fn no_bytes_make_the_decimal_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            let _ = decimal_cbor::decode(&mut Decoder::new(&bytes), &mut ());
            let tagged = [&[0xc4, 0x82], bytes.as_slice()].concat();
            let _ = decimal_cbor::decode(&mut Decoder::new(&tagged), &mut ());
        }

        #[test]
        fn conversion_never_panics(minor: i64, base in 1..i64::MAX, scale in 0..=28_u32, markup_ppm: u32, place in 0..139_usize) {
            let to = Currency::all().nth(place).unwrap();
            let base = Decimal::new(base, scale);
            let rate = Rate { base, to, ..market("usd", "usd", "1") };
            let _ = convert(money(minor, "usd"), &rate, markup_ppm);
            let _ = shown_rate(base);
        }
    }
}
