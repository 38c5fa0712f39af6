//! The trial balance: all sides summed, per currency.

use std::collections::BTreeMap;

use super::chart::House;
use crate::primitives::currency::Currency;

/// Totals of the house's ledger accounts, per currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HouseBooks {
    totals: BTreeMap<(House, Currency), i128>,
}

impl HouseBooks {
    /// Posts signed minor units. `None` where a total would leave 128 bits.
    #[must_use]
    pub fn post(&mut self, house: House, currency: Currency, minor: i128) -> Option<()> {
        let total = self.totals.entry((house, currency)).or_default();
        *total = total.checked_add(minor)?;
        if *total == 0 {
            self.totals.remove(&(house, currency));
        }
        Some(())
    }

    /// The totals that are not zero, in the order of the chart.
    pub fn iter(&self) -> impl Iterator<Item = (House, Currency, i128)> + '_ {
        self.totals.iter().map(|(&(house, currency), &minor)| (house, currency, minor))
    }
}

/// What every class of ledger account holds, and whether it adds up to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrialBalance {
    rows: BTreeMap<(String, Currency), i128>,
}

impl TrialBalance {
    /// Adds to a row; credits positive.
    pub fn add(&mut self, row: &str, currency: Currency, minor: i128) {
        let key = (row.to_owned(), currency);
        let total = self.rows.entry(key.clone()).or_default();
        *total += minor;
        if *total == 0 {
            self.rows.remove(&key);
        }
    }

    /// Rows that are not zero: name, currency, signed total.
    pub fn rows(&self) -> impl Iterator<Item = (&str, Currency, i128)> {
        self.rows.iter().map(|((row, currency), &minor)| (row.as_str(), *currency, minor))
    }

    /// Sum per currency. Books that balance give only zeros.
    pub fn sums(&self) -> BTreeMap<Currency, i128> {
        let mut sums = BTreeMap::new();
        for ((_, currency), minor) in &self.rows {
            *sums.entry(*currency).or_default() += minor;
        }
        sums
    }

    /// Whether every currency closes.
    pub fn is_zero(&self) -> bool {
        self.sums().values().all(|&sum| sum == 0)
    }
}
