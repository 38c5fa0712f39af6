//! Settlement of a captured charge: its balance transactions, conversions, transfers and fees, in one entry.
//!
//! Order of effects (section 15b): charge, transfer of the full amount, application fee out of the destination's
//! payment, fee credited to the platform.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::account;
use super::decide::{Halt, Refusal};
use super::draft::{Converted, Draft, RowSpec, out_of_range, source};
use super::event::EventKind;
use super::record::{
    AccountRecord, ApplicationFee, FlowRecord, Recipe, Record, RecordKey, RowKind, Split, Transfer, TransferSource,
};
use crate::ledger::{AccountNo, House, Rail, SourceType};
use crate::primitives::currency::Currency;
use crate::primitives::id::ObjectKind;
use crate::primitives::money::Money;
use crate::primitives::share::percent_half_up;
use crate::primitives::time::{Day, available_on};

/// How a captured charge is to be divided, with the parties looked up.
#[derive(Debug)]
pub enum Division {
    /// The owner keeps it.
    Keep,
    /// To one destination: all of it less a fee (presentment currency), or an amount (presentment currency).
    One {
        /// Who.
        account: AccountNo,
        /// `application_fee_amount`.
        fee: Option<i64>,
        /// `transfer_data[amount]`.
        amount: Option<i64>,
    },
    /// By a rule.
    Rule(u64),
}

impl Division {
    /// As a payment intent states it.
    pub fn of(split: &Split) -> Division {
        match *split {
            Split::Keep => Division::Keep,
            Split::Destination { account, application_fee } => {
                Division::One { account, fee: application_fee, amount: None }
            }
            Split::DestinationAmount { account, amount } => Division::One { account, fee: None, amount: Some(amount) },
            Split::Rule(rule) => Division::Rule(rule),
        }
    }
}

/// Settles the flow's charge, captured with `captured` of its amount (presentment, minor units). Adds rows and
/// transfers to the flow, postings and events to the draft.
///
/// # Errors
/// No exchange rate, a destination that cannot receive, or amounts out of range.
pub fn settle(draft: &mut Draft<'_>, flow: &mut FlowRecord, key: RecordKey, captured: i64) -> Result<(), Halt> {
    let owner_record = draft.account_record(flow.owner)?;
    let owner = account::of(&owner_record)?;
    let (amount, currency, attempt, recipe, rail) = {
        let charge = flow.charge.as_ref().ok_or_else(out_of_range)?;
        (charge.amount, charge.currency, charge.attempt, charge.card.recipe, charge.rail)
    };
    let division = flow.intent.as_ref().map_or(Division::Keep, |intent| Division::of(&intent.split));
    let on = availability(draft, owner, &division, recipe)?;

    // The charge row shows the whole amount; an uncaptured rest leaves by a row of its own (section 6.3). The fee is
    // that of what was captured.
    let settlement = settlement_currency(owner, currency);
    draft.house(House::Clearing(rail), Money::new(-amount, currency));
    let gross = arrive(draft, Money::new(amount, currency), settlement, owner)?;
    let settled = match &gross.converted {
        Some(c) if captured != amount => scale(captured, c.rate_minor)?,
        Some(_) => gross.money.minor(),
        None => captured,
    };
    let fee = processing_fee(draft, settled, settlement)?;
    let row = draft.row(RowSpec {
        account: flow.owner,
        kind: RowKind::Charge,
        gross: gross.money,
        processing_fee: fee,
        application_fee: 0,
        source: source(ObjectKind::Charge, key, attempt),
        available_on: on,
        source_type: SourceType::Card,
        conversion: gross.converted.as_ref().map(|c| c.row.clone()),
    })?;
    flow.rows.push(row);
    if let Some(charge) = flow.charge.as_mut() {
        charge.captured = true;
        charge.amount_captured = captured;
        charge.available_on = Some(on);
    }

    let settled = Money::new(settled, settlement);
    let charge_rate = gross.converted.as_ref().map(|c| c.rate_minor);
    match division {
        Division::Keep => Ok(()),
        Division::One { account, fee, amount } => {
            let sent = match amount {
                None => settled,
                Some(minor) => Money::new(charge_rate.map_or(Ok(minor), |rate| scale(minor, rate))?, settlement),
            };
            // What is collected is capped at what was captured.
            let fee = fee.map(|minor| minor.min(captured)).filter(|&minor| minor > 0);
            let fee = fee.map(|minor| (Money::new(minor, currency), charge_rate));
            send(draft, flow, key, account, sent, fee, on)
        }
        Division::Rule(birth) => by_rule(draft, flow, key, birth, settled, on),
    }
}

fn by_rule(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    key: RecordKey,
    birth: u64,
    settled: Money,
    on: Day,
) -> Result<(), Halt> {
    let record = draft.facts.record(RecordKey::head(birth))?;
    let Some(Record::SplitRule(rule)) = record.as_deref() else {
        return Err(Refusal::new("No such split rule.").param("split_rule").code("resource_missing").into());
    };
    let (amounts, _kept) = super::split::divide(settled.minor(), &rule.shares)?;
    for (share, minor) in rule.shares.iter().zip(amounts) {
        if minor > 0 && !share.account.is_platform() {
            send(draft, flow, key, share.account, Money::new(minor, settled.currency()), None, on)?;
        }
    }
    Ok(())
}

/// Transfers `sent` to a destination out of this flow's charge, with an application fee taken from its payment.
fn send(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    key: RecordKey,
    destination: AccountNo,
    sent: Money,
    fee: Option<(Money, Option<Decimal>)>,
    on: Day,
) -> Result<(), Halt> {
    let transfer = transfer(draft, flow, key, destination, sent, TransferSource::OwnCharge, on, fee)?;
    if let Some(charge) = flow.charge.as_mut() {
        charge.transferred = charge.transferred.checked_add(transfer.amount).ok_or_else(out_of_range)?;
    }
    let slot = slot_of(flow.transfers.len())?;
    draft.event(flow.owner, EventKind::TransferCreated, key.id(ObjectKind::Transfer, slot));
    if transfer.fee.is_some() {
        draft.event(flow.owner, EventKind::ApplicationFeeCreated, key.id(ObjectKind::ApplicationFee, slot));
    }
    draft.event(destination, EventKind::PaymentCreated, key.id(ObjectKind::Payment, slot));
    flow.transfers.push(transfer);
    Ok(())
}

/// A transfer number as a slot.
pub fn slot_of(index: usize) -> Result<u16, Halt> {
    u16::try_from(index).map_err(|_| out_of_range())
}

/// Moves money from the flow's owner to a destination: the owner's transfer row, the destination's payment row with
/// the application fee withheld, and the owner's fee row. Rows are added to the flow; the transfer is given back.
///
/// # Errors
/// No exchange rate, or amounts out of range.
#[expect(clippy::too_many_arguments, reason = "a transfer has this many sides; each is named at both call sites")]
pub fn transfer(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    key: RecordKey,
    destination: AccountNo,
    sent: Money,
    from: TransferSource,
    on: Day,
    fee: Option<(Money, Option<Decimal>)>,
) -> Result<Transfer, Halt> {
    let slot = slot_of(flow.transfers.len())?;
    let destination_record = draft.account_record(destination)?;
    let receiver = account::of(&destination_record)?;
    let out = draft.row(RowSpec {
        account: flow.owner,
        kind: RowKind::Transfer,
        gross: Money::new(sent.minor().checked_neg().ok_or_else(out_of_range)?, sent.currency()),
        processing_fee: 0,
        application_fee: 0,
        source: source(ObjectKind::Transfer, key, slot),
        available_on: on,
        source_type: SourceType::Card,
        conversion: None,
    })?;
    flow.rows.push(out);

    let arrived = arrive(draft, sent, settlement_currency(receiver, sent.currency()), receiver)?;
    let currency = arrived.money.currency();
    let charged = match fee {
        None => None,
        Some((asked, charge_rate)) => {
            let mut exact = Decimal::from(asked.minor());
            for rate in [charge_rate, arrived.converted.as_ref().map(|c| c.rate_minor)].into_iter().flatten() {
                exact = exact.checked_mul(rate).ok_or_else(out_of_range)?;
            }
            Some((asked, half_up(exact)?.min(arrived.money.minor())))
        }
    };
    let payment = draft.row(RowSpec {
        account: destination,
        kind: RowKind::Payment,
        gross: arrived.money,
        processing_fee: 0,
        application_fee: charged.map_or(0, |(_, minor)| minor),
        source: source(ObjectKind::Payment, key, slot),
        available_on: on,
        source_type: SourceType::Card,
        conversion: arrived.converted.map(|c| c.row),
    })?;
    flow.rows.push(payment);
    if let Some((_, minor)) = charged {
        let earned = draft.row(RowSpec {
            account: flow.owner,
            kind: RowKind::ApplicationFee,
            gross: Money::new(minor, currency),
            processing_fee: 0,
            application_fee: 0,
            source: source(ObjectKind::ApplicationFee, key, slot),
            available_on: on,
            source_type: SourceType::Card,
            conversion: None,
        })?;
        flow.rows.push(earned);
    }
    Ok(Transfer {
        made: draft.made(),
        destination,
        amount: sent.minor(),
        currency: sent.currency(),
        amount_reversed: 0,
        source: from,
        payment_amount: arrived.money.minor(),
        payment_currency: currency,
        payment_refunded: 0,
        fee: charged.map(|(asked, minor)| ApplicationFee {
            amount: asked.minor(),
            currency: asked.currency(),
            amount_refunded: 0,
            charged: minor,
            charged_currency: currency,
            charged_refunded: 0,
            recent_refunds: Vec::new(),
        }),
        source_type: SourceType::Card,
        recent_reversals: Vec::new(),
        available_on: on.max(draft.today()),
    })
}

/// Money as it arrives on an account.
#[derive(Debug)]
pub struct Arrived {
    /// In the account's currency.
    pub money: Money,
    /// How it was converted, if it was.
    pub converted: Option<Converted>,
}

/// Converts what comes in where the account does not settle its currency.
///
/// # Errors
/// No exchange rate, or an amount out of range.
pub fn arrive(draft: &mut Draft<'_>, money: Money, to: Currency, owner: &AccountRecord) -> Result<Arrived, Halt> {
    if money.currency() == to {
        return Ok(Arrived { money, converted: None });
    }
    let converted = draft.convert_in(money, to, owner)?;
    Ok(Arrived { money: converted.target, converted: Some(converted) })
}

/// The currency in which an account's balance takes money of `presentment`: itself where the account settles it,
/// else the account's default currency (section 10.2).
pub fn settlement_currency(owner: &AccountRecord, presentment: Currency) -> Currency {
    if account::settles(owner, presentment) { presentment } else { owner.default_currency }
}

/// From when a charge's money is available. A charge with a destination follows the destination's delay.
fn availability(draft: &Draft<'_>, owner: &AccountRecord, division: &Division, recipe: Recipe) -> Result<Day, Halt> {
    if recipe == Recipe::BypassPending {
        return Ok(draft.today());
    }
    match division {
        Division::One { account, .. } => {
            let record = draft.account_record(*account)?;
            let destination = account::of(&record)?;
            Ok(available_on(draft.ctx.now, destination.country, destination.delay_days))
        }
        Division::Keep | Division::Rule(_) => Ok(available_on(draft.ctx.now, owner.country, owner.delay_days)),
    }
}

/// Processing fee (section 4.3): the percentage rounded half-up, plus the fixed part.
fn processing_fee(draft: &Draft<'_>, settled: i64, currency: Currency) -> Result<i64, Halt> {
    let tables = draft.ctx.tables;
    percent_half_up(settled, tables.processing_ppm).checked_add(tables.fixed_fee(currency)).ok_or_else(out_of_range)
}

/// `minor × rate`, half-up.
pub fn scale(minor: i64, rate: Decimal) -> Result<i64, Halt> {
    half_up(Decimal::from(minor).checked_mul(rate).ok_or_else(out_of_range)?)
}

fn half_up(exact: Decimal) -> Result<i64, Halt> {
    exact
        .round_dp_with_strategy(0, rust_decimal::RoundingStrategy::MidpointAwayFromZero)
        .to_i64()
        .ok_or_else(out_of_range)
}

/// The rail of a charge made now.
pub const RAIL: Rail = Rail::Card;
