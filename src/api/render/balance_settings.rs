//! `balance_settings`: how an account is paid out. The same settings as its `settings.payouts`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::view::View;
use super::{Rendered, Sink, schedule};
use crate::domain::record::AccountRecord;
use crate::ledger::AccountNo;

#[derive(Serialize)]
struct BalanceSettings<'a> {
    object: &'static str,
    payments: Payments<'a>,
}

#[derive(Serialize)]
struct Payments<'a> {
    debit_negative_balances: bool,
    payouts: Payouts<'a>,
    settlement_timing: SettlementTiming,
}

#[derive(Serialize)]
struct Payouts<'a> {
    automatic_transfer_rules_by_currency: super::Empty,
    minimum_balance_by_currency: Option<BTreeMap<&'static str, i64>>,
    schedule: Schedule,
    statement_descriptor: Option<&'a str>,
    status: &'static str,
}

#[derive(Serialize)]
struct Schedule {
    interval: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    monthly_payout_days: Option<Vec<u8>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weekly_payout_days: Option<Vec<&'static str>>,
}

#[derive(Serialize)]
struct SettlementTiming {
    delay_days: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_days_override: Option<u8>,
    start_of_day: Option<()>,
}

fn minimums(account: &AccountRecord) -> Option<BTreeMap<&'static str, i64>> {
    let minimums = account.paying.as_ref()?.minimum_balances.as_ref()?;
    Some(minimums.iter().map(|&(currency, minor)| (currency.code(), minor)).collect())
}

/// The balance settings of an account.
///
/// # Errors
/// [`Stop`](super::Stop).
pub fn render<S: Sink>(view: &View<'_>, account: AccountNo, sink: S) -> Rendered<S::Out> {
    let record = view.account(account)?;
    let texts = view.texts(&record.private);
    let days = schedule::days(record);
    let minimum = record.country.delay_days();
    sink.put(&BalanceSettings {
        object: "balance_settings",
        payments: Payments {
            debit_negative_balances: record.debit_negative_balances,
            payouts: Payouts {
                // Empty and not null: the official SDKs read its values without asking whether there are any.
                automatic_transfer_rules_by_currency: super::Empty {},
                minimum_balance_by_currency: minimums(record),
                schedule: Schedule {
                    interval: schedule::interval(record.payout_interval),
                    monthly_payout_days: days.monthly_payout_days,
                    weekly_payout_days: days.weekly_payout_days,
                },
                statement_descriptor: texts.get("settings[payouts][statement_descriptor]"),
                status: if record.payouts_enabled { "enabled" } else { "disabled" },
            },
            settlement_timing: SettlementTiming {
                delay_days: record.delay_days,
                delay_days_override: (record.delay_days != minimum).then_some(record.delay_days),
                start_of_day: None,
            },
        },
    })
}
