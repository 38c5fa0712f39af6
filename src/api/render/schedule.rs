//! A payout schedule, as accounts and balance settings show it.

use serde::Serialize;

use crate::domain::record::{AccountRecord, PayoutInterval};

/// Weekdays by their bits. Payouts fall on working days, so the newer list knows no weekend.
pub const WEEKDAYS: [(&str, u8); 7] =
    [("monday", 0), ("tuesday", 1), ("wednesday", 2), ("thursday", 3), ("friday", 4), ("saturday", 5), ("sunday", 6)];

/// Days of an account's schedule; only those of its interval.
#[derive(Serialize)]
pub struct Days {
    #[serde(skip_serializing_if = "Option::is_none")]
    monthly_anchor: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly_payout_days: Option<Vec<u8>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weekly_anchor: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weekly_payout_days: Option<Vec<&'static str>>,
}

/// The days of an account's schedule.
pub fn days(account: &AccountRecord) -> Days {
    let mut days =
        Days { monthly_anchor: None, monthly_payout_days: None, weekly_anchor: None, weekly_payout_days: None };
    match account.payout_interval {
        PayoutInterval::Manual | PayoutInterval::Daily => {}
        PayoutInterval::Weekly => {
            let named = |&&(_, bit): &&(&str, u8)| account.weekly_days() >> bit & 1 == 1;
            let names = |of: &'static [(&'static str, u8)]| of.iter().filter(named).map(|&(name, _)| name);
            days.weekly_anchor = names(&WEEKDAYS).next();
            days.weekly_payout_days = Some(names(&WEEKDAYS[..5]).collect());
        }
        PayoutInterval::Monthly => {
            let named: Vec<u8> = (1..=31).filter(|date| account.monthly_days() >> (date - 1) & 1 == 1).collect();
            days.monthly_anchor = named.first().copied();
            days.monthly_payout_days = Some(named);
        }
    }
    days
}

/// An interval's word.
pub fn interval(interval: PayoutInterval) -> &'static str {
    match interval {
        PayoutInterval::Manual => "manual",
        PayoutInterval::Daily => "daily",
        PayoutInterval::Weekly => "weekly",
        PayoutInterval::Monthly => "monthly",
    }
}
