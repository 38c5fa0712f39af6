//! `/v1/balance_settings`, and what it shares with `settings.payouts` of accounts.

use super::super::error::ApiError;
use super::super::expansion::PLAIN;
use super::super::fields::{Fields, MetadataPatch};
use super::super::render::schedule::WEEKDAYS;
use super::super::render::{ToBytes, balance_settings};
use super::super::request::Call;
use super::super::respond::{self, Done};
use super::super::texts::Texts;
use super::super::view::{Stage, render as painted};
use super::{Answered, expansion};
use crate::domain::command::{AccountInput, Command};
use crate::domain::record::PayoutInterval;
use crate::primitives::currency::Currency;
use crate::primitives::money::MAX_MINOR;

/// Words of the intervals.
pub const INTERVALS: [(&str, PayoutInterval); 4] = [
    ("daily", PayoutInterval::Daily),
    ("manual", PayoutInterval::Manual),
    ("monthly", PayoutInterval::Monthly),
    ("weekly", PayoutInterval::Weekly),
];
/// The longest delay that a platform may ask for.
const DELAY_DAYS_MAX: i64 = 31;

/// The days of a schedule: one anchor, or a list.
///
/// # Errors
/// 400.
pub fn payout_days(schedule: &Fields<'_>, input: &mut AccountInput) -> Result<(), ApiError> {
    schedule.at_most_one(&["weekly_anchor", "weekly_payout_days"])?;
    schedule.at_most_one(&["monthly_anchor", "monthly_payout_days"])?;
    let anchor = schedule.one_of("weekly_anchor", &WEEKDAYS)?.map(|bit| vec![bit]);
    let days = schedule.all_of("weekly_payout_days", &WEEKDAYS[..5])?;
    input.weekly_days = anchor.or(days).map(|bits| bits.into_iter().fold(0, |mask, bit| mask | 1 << bit));
    let anchor = schedule.integer_within("monthly_anchor", 1, 31)?.map(|date| vec![date]);
    let days = dates(schedule)?;
    input.monthly_days = anchor.or(days).map(|dates| dates.into_iter().fold(0, |mask, date| mask | 1 << (date - 1)));
    Ok(())
}

fn dates(schedule: &Fields<'_>) -> Result<Option<Vec<i64>>, ApiError> {
    let name = "monthly_payout_days";
    let Some(texts) = schedule.texts(name)? else { return Ok(None) };
    let date = |text: &str| text.parse().ok().filter(|date| (1..=31).contains(date));
    let all: Option<Vec<i64>> = texts.into_iter().map(date).collect();
    let message = "Invalid days of the month: expected whole numbers from 1 to 31.";
    all.map(Some)
        .ok_or_else(|| ApiError::invalid(schedule.name_of(name), message).with_code("parameter_invalid_integer"))
}

fn minimums(payouts: &Fields<'_>, input: &mut AccountInput) -> Result<(), ApiError> {
    let name = "minimum_balance_by_currency";
    let changes = match payouts.metadata_named(name)? {
        None => return Ok(()),
        Some(MetadataPatch::ClearAll) => {
            input.clear_minimum_balances = Some(true);
            return Ok(());
        }
        Some(MetadataPatch::Change(changes)) => changes,
    };
    let mut minimums = Vec::with_capacity(changes.len());
    for (code, text) in changes {
        let param = format!("{}[{code}]", payouts.name_of(name));
        let currency: Currency = code.parse().map_err(|_| {
            ApiError::invalid(
                param.as_str(),
                format!("Invalid currency: {}. Give a three-letter ISO code.", super::super::error::echo(&code)),
            )
        })?;
        let minor = match text {
            None => None,
            Some(text) => match text.parse::<i64>() {
                Ok(minor) if (0..=MAX_MINOR).contains(&minor) => Some(minor),
                _ => return Err(ApiError::invalid_integer(param, &text)),
            },
        };
        minimums.push((currency, minor));
    }
    input.minimum_balances = Some(minimums);
    Ok(())
}

fn payouts(payments: &Fields<'_>, texts: &mut Texts, input: &mut AccountInput) -> Result<(), ApiError> {
    let Some(payouts) = payments.hash("payouts")? else { return Ok(()) };
    if let Some(schedule) = payouts.hash("schedule")? {
        input.payout_interval = schedule.one_of("interval", &INTERVALS)?;
        payout_days(&schedule, input)?;
    }
    minimums(&payouts, input)?;
    texts.descriptor(&payouts, "statement_descriptor")?;
    refuse_given(&payouts, "automatic_transfer_rules_by_currency", "money moves to bank accounts only")
}

/// A part of the API that Florin does not have: an empty value is what it has anyway.
fn refuse_given(fields: &Fields<'_>, name: &'static str, why: &str) -> Result<(), ApiError> {
    if fields.is_given(name) && !fields.is_unset(name) {
        let message = format!("`{}` is not supported: {why}. Leave it out.", fields.name_of(name));
        return Err(ApiError::invalid(fields.name_of(name), message));
    }
    fields.ignore(name);
    Ok(())
}

fn timing(payments: &Fields<'_>, input: &mut AccountInput) -> Result<(), ApiError> {
    let Some(timing) = payments.hash("settlement_timing")? else { return Ok(()) };
    // 0 stands for the country's minimum.
    input.delay_days = if timing.is_unset("delay_days_override") {
        timing.ignore("delay_days_override");
        Some(0)
    } else {
        timing.integer_within("delay_days_override", 0, DELAY_DAYS_MAX)?.and_then(|days| u8::try_from(days).ok())
    };
    refuse_given(&timing, "start_of_day", "days begin at midnight UTC")
}

/// GET /v1/balance_settings
pub async fn retrieve(call: Call) -> Answered {
    let fields = call.fields();
    expansion(&fields, &PLAIN)?;
    fields.finish()?;
    let acting = call.acting;
    let mut stage = Stage::default();
    let body =
        painted(call.platform(), call.secrets(), &mut stage, |view| balance_settings::render(view, acting, ToBytes));
    Ok(Done::json(body.await?.ok_or_else(ApiError::internal)?))
}

/// POST /v1/balance_settings
pub async fn update(call: Call) -> Answered {
    let fields = call.fields();
    expansion(&fields, &PLAIN)?;
    let (mut texts, mut input) = (Texts::default(), AccountInput::default());
    if let Some(payments) = fields.hash("payments")? {
        input.debit_negative_balances = payments.boolean("debit_negative_balances")?;
        payouts(&payments, &mut texts, &mut input)?;
        timing(&payments, &mut input)?;
    }
    fields.finish()?;
    let acting = call.acting;
    let command = Command::UpdateBalanceSettings(Box::new(input));
    // An account keeps the same text under the name of its own parameters.
    let mut patch = texts.into_patch();
    for (path, _) in &mut patch.0 {
        *path = path.replacen("payments[", "settings[", 1);
    }
    respond::submit_painted(&call, command, patch, |view| balance_settings::render(view, acting, ToBytes)).await
}
