//! Tables that decide: prices, mark-ups, fixed rates, switches, and the name of the market rates. They are data, put in
//! force by an entry, so that a replay decides as the first life did.

use minicbor::{Decode, Encode};
use rust_decimal::Decimal;

use crate::primitives::currency::Currency;
use crate::primitives::exchange::{Rate, RateSource};
use crate::primitives::market::{MarketRates, NoRate, RatesDigest, ecb_day_in_force};
use crate::primitives::time::Timestamp;

/// The tables in force for one platform.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Tables {
    /// Percentage part of the processing fee, millionths (29,000 = 2.9 %).
    #[n(0)]
    pub processing_ppm: u32,
    /// Fixed part, by settlement currency, minor units.
    #[n(1)]
    pub processing_fixed: Vec<(Currency, i64)>,
    /// Fee for a dispute, by settlement currency, minor units.
    #[n(2)]
    pub dispute_fee: Vec<(Currency, i64)>,
    /// Mark-up on conversions into the balance of an account in the US, millionths.
    #[n(3)]
    pub conversion_us_ppm: u32,
    /// … elsewhere.
    #[n(4)]
    pub conversion_other_ppm: u32,
    /// Pairs whose rate is fixed, fee included: (from, to, target major units per source major unit).
    #[n(5)]
    pub fixed_rates: Vec<FixedRate>,
    /// The market rates in force, by name.
    #[n(6)]
    pub rates_digest: RatesDigest,
    /// Whether an account's balance may go below zero by a refund or reversal.
    #[n(7)]
    pub allow_negative: bool,
    /// Days until an authorization that is not captured ends.
    #[n(8)]
    pub authorization_days: u8,
    /// Seconds from a test payout's creation to its arrival.
    #[n(9)]
    pub payout_arrival_s: u32,
    /// Seconds from a test card's charge to its dispute, and from an answer to the issuer's decision; `None`: at once.
    #[n(18)]
    pub dispute_delay_s: Option<u32>,
    /// Whether the fee of a dispute comes back when it is won; `None`: it is kept.
    #[n(19)]
    pub dispute_fee_returned: Option<bool>,
    /// What answering a chargeback costs, by settlement currency, minor units; it comes back when it is won. `None`:
    /// nothing.
    #[n(20)]
    pub dispute_counter_fee: Option<Vec<(Currency, i64)>>,
    /// Fee for an instant payout, millionths; `None`: [`INSTANT_PPM`].
    #[n(21)]
    pub instant_ppm: Option<u32>,
}

/// What an instant payout costs where no price is set: 1 %.
pub const INSTANT_PPM: u32 = 10_000;

/// One fixed pair.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct FixedRate {
    #[n(0)]
    pub from: Currency,
    #[n(1)]
    pub to: Currency,
    #[cbor(n(2), with = "crate::primitives::exchange::decimal_cbor")]
    pub rate: Decimal,
}

impl Tables {
    /// The rate at a time: the fixed pair, else the last one of the market rates that these tables name.
    ///
    /// # Errors
    /// Where no rate is known.
    pub fn rate(&self, market: &MarketRates, from: Currency, to: Currency, at: Timestamp) -> Result<Rate, NoRate> {
        if let Some(fixed) = self.fixed_rates.iter().find(|fixed| (fixed.from, fixed.to) == (from, to)) {
            return Ok(Rate { from, to, base: fixed.rate, date: at.day(), source: RateSource::Fixed, stale: false });
        }
        market.lookup(from, to, ecb_day_in_force(at))
    }
}

impl Default for Tables {
    /// The price list that Florin starts with (section 4.3 of the reference), and the market rates that are built in.
    fn default() -> Tables {
        Tables {
            processing_ppm: 29_000,
            processing_fixed: vec![(Currency::USD, 30), (Currency::EUR, 30), (Currency::GBP, 30), (Currency::JPY, 30)],
            dispute_fee: vec![(Currency::USD, 1_500), (Currency::EUR, 2_000), (Currency::GBP, 2_000)],
            conversion_us_ppm: 10_000,
            conversion_other_ppm: 20_000,
            fixed_rates: Vec::new(),
            rates_digest: MarketRates::built_in().digest(),
            allow_negative: true,
            authorization_days: 7,
            payout_arrival_s: 60,
            dispute_delay_s: None,
            dispute_fee_returned: None,
            dispute_counter_fee: None,
            instant_ppm: None,
        }
    }
}

impl Tables {
    /// Fixed part of the processing fee in `currency`: its own figure, else the same count of minor units as in the
    /// table's first currency.
    pub fn fixed_fee(&self, currency: Currency) -> i64 {
        figure(&self.processing_fixed, currency)
    }

    /// Fee for an instant payout, millionths.
    pub fn instant_ppm(&self) -> u32 {
        self.instant_ppm.unwrap_or(INSTANT_PPM)
    }

    /// The dispute fee in `currency`: likewise.
    pub fn dispute_fee(&self, currency: Currency) -> i64 {
        figure(&self.dispute_fee, currency)
    }

    /// What answering a chargeback costs in `currency`: likewise.
    pub fn dispute_counter_fee(&self, currency: Currency) -> i64 {
        self.dispute_counter_fee.as_deref().map_or(0, |table| figure(table, currency))
    }
}

fn figure(table: &[(Currency, i64)], currency: Currency) -> i64 {
    table.iter().find(|(have, _)| *have == currency).or(table.first()).map_or(0, |&(_, minor)| minor)
}
