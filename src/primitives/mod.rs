//! The bottom room: values that mean the same everywhere.
//!
//! **Owns** what a currency, an amount, a rate, a share, an instant and an id are, with the arithmetic on them and the
//! fixtures behind them (`fixtures/currencies.csv`, `fixtures/ecb_rates.csv`, embedded at compile time).
//!
//! **Never** reads a clock, draws a random number, touches a file or a socket, or iterates in an order that could
//! differ between two runs: time, entropy and keys come in as arguments. Never rounds without a named rule, never
//! wraps, never lets a float near money. Imports no other room of Florin.
//!
//! **Why** here: a journal entry of today must mean the same in ten years and on every machine. What is stored
//! (ISO numbers, milliseconds, exact decimals, kind numbers) is fixed in this room, and nowhere else.
//!
//! Where a comment says *the reference*, it means the functional description of the Connect wire API that Florin follows,
//! by section; `[rec]` there marks what was seen in recorded API answers.
//!
//! Reading order: [`currency`], [`country`], [`money`], [`exchange`], [`market`], [`share`], [`time`], [`id`].

pub mod calendar;
pub mod country;
pub mod currency;
pub mod exchange;
pub mod id;
pub mod market;
pub mod money;
pub mod share;
pub mod time;
pub mod wide;

pub use country::{Country, UnknownCountry};
pub use currency::{Currency, UnknownCurrency};
pub use exchange::{Conversion, Decimal, ExchangeError, Rate, RateSource, Rounding, convert, shown_rate};
pub use id::{BadId, IdCipher, IdText, ObjectId, ObjectKind};
pub use market::{BadRates, MarketRates, NoRate, RatesDigest, ecb_day_in_force};
pub use money::{MAX_MINOR, Money, MoneyError};
pub use share::{largest_remainder, percent_half_up, proportional_half_up};
pub use time::{BadDay, Day, Timestamp, available_on, is_business_day, is_us_bank_holiday};
