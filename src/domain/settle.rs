//! Settlement of a captured charge: its balance transactions, conversions, transfers and fees, in one entry.
//!
//! Order of effects (section 15b): charge, transfer of the full amount, application fee out of the destination's
//! payment, fee credited to the platform.

use std::sync::Arc;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::account;
use super::charge_model::{earned_currency, settlement_merchant, who_bears};
use super::decide::{Halt, Refusal};
use super::draft::{Converted, Draft, RowSpec, out_of_range, source};
use super::event::EventKind;
use super::record::{
    AccountRecord, ApplicationFee, DirectFee, FlowRecord, Recipe, Record, RecordKey, Row, RowConversion, RowKind,
    RowSource, Slot, Split, Transfer, TransferSource,
};
use crate::ledger::{AccountNo, FeeKind, House, Rail, SourceType};
use crate::primitives::currency::Currency;
use crate::primitives::exchange::RateSource;
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
    /// The owner keeps it, and pays the platform this fee (presentment currency).
    Direct(i64),
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
            Split::Direct(fee) => Division::Direct(fee),
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
    let merchant_no = settlement_merchant(flow);
    let merchant_record =
        if merchant_no == flow.owner { Arc::clone(&owner_record) } else { draft.account_record(merchant_no)? };
    let merchant = account::of(&merchant_record)?;
    let (amount, currency, attempt, recipe, rail) = {
        let charge = flow.charge.as_ref().ok_or_else(out_of_range)?;
        (charge.amount, charge.currency, charge.attempt, charge.card.recipe, charge.rail)
    };
    let division = flow.intent.as_ref().map_or(Division::Keep, |intent| Division::of(&intent.split));
    let on = availability(draft, flow, merchant, &division, recipe)?;
    let platform_pays = who_bears(flow, owner).processing_fee != flow.owner;

    // The charge row shows the whole amount; an uncaptured rest leaves by a row of its own (section 6.3). The fee is
    // that of what was captured.
    let settlement = settlement_currency(merchant, currency);
    let way = Way { to: settlement, account: merchant, is_free: platform_pays };
    draft.house(House::Clearing(rail), Money::new(-amount, currency));
    let gross = way.take(draft, Money::new(amount, currency))?;
    let settled = match &gross.converted {
        Some(c) if captured != amount => scale(captured, c.rate_minor)?,
        Some(_) => gross.money.minor(),
        None => captured,
    };
    let processing = processing_fee(draft, settled, settlement)?;
    // What is collected is capped at what was captured.
    let asked = match division {
        Division::Direct(fee) => Some(Money::new(fee.min(captured), currency)).filter(|fee| fee.minor() > 0),
        Division::Keep | Division::One { .. } | Division::Rule(_) => None,
    };
    let withheld = match asked {
        None => 0,
        Some(fee) => take_back(draft, fee, &[way])?,
    };
    let row = draft.row(RowSpec {
        account: flow.owner,
        kind: RowKind::Charge,
        gross: gross.money,
        processing_fee: if platform_pays { 0 } else { processing },
        application_fee: withheld,
        source: source(ObjectKind::Charge, key, attempt),
        available_on: on,
        source_type: SourceType::Card,
        conversion: gross.converted.as_ref().map(|c| c.row.clone()),
    })?;
    if let Some(charge) = flow.charge.as_mut() {
        charge.captured = true;
        charge.amount_captured = captured;
        charge.available_on = Some(on);
    }
    super::dispute::expect(draft, recipe, key)?;

    let settled = Money::new(settled, settlement);
    let rate = row.conversion.clone();
    let costs = platform_pays.then(|| Costs { processing, conversion: conversion_cost(draft, &way, settled, &row) });
    let paid_by_platform = platform_side(draft, flow, key, &row, asked, costs)?;
    flow.rows.push(row);
    flow.rows.extend(paid_by_platform);
    let charge_rate = gross.converted.as_ref().map(|c| c.rate_minor);
    match division {
        Division::Keep | Division::Direct(_) => Ok(()),
        Division::One { account, fee, amount } => {
            let sent = match amount {
                None => settled,
                Some(minor) => Money::new(charge_rate.map_or(Ok(minor), |rate| scale(minor, rate))?, settlement),
            };
            let fee = fee.map(|minor| Money::new(minor.min(captured), currency)).filter(|fee| fee.minor() > 0);
            let fee = fee.map(|asked| FeeTerms {
                asked,
                charge_rate,
                presented: (merchant_no != flow.owner).then_some(Presented { way, rate }),
            });
            send(draft, flow, key, account, sent, fee, on)
        }
        Division::Rule(birth) => by_rule(draft, flow, key, birth, settled, on),
    }
}

/// How money of a payment comes into a balance.
#[derive(Clone, Copy)]
struct Way<'a> {
    /// The currency that it is held in.
    to: Currency,
    /// Whose country sets the conversion fee.
    account: &'a AccountRecord,
    /// No conversion fee is inside the rate: the platform pays it apart.
    is_free: bool,
}

impl Way<'_> {
    fn take(&self, draft: &mut Draft<'_>, money: Money) -> Result<Arrived, Halt> {
        if self.is_free && money.currency() != self.to {
            let converted = draft.convert_back(money, self.to)?;
            return Ok(Arrived { money: converted.target, converted: Some(converted) });
        }
        arrive(draft, money, self.to, self.account)
    }
}

/// An application fee leaves a payment in presentment currency: it goes back the ways that its money came, as if it
/// had never been converted. Gives what it takes of the payment at the end of these ways; the caller owes the fee.
fn take_back(draft: &mut Draft<'_>, fee: Money, ways: &[Way<'_>]) -> Result<i64, Halt> {
    let mut money = fee.checked_neg().map_err(|_| out_of_range())?;
    for way in ways {
        money = way.take(draft, money)?.money;
    }
    money.minor().checked_neg().ok_or_else(out_of_range)
}

/// What a charge costs the platform that pays for its account, in the currency that it settled in: processing, and the
/// conversion fee that its rate left out.
struct Costs {
    processing: i64,
    conversion: i64,
}

fn conversion_cost(draft: &Draft<'_>, way: &Way<'_>, settled: Money, charge: &Row) -> i64 {
    match &charge.conversion {
        Some(rate) if rate.rate_source == RateSource::Ecb => {
            percent_half_up(settled.minor(), draft.markup_ppm(way.account))
        }
        Some(_) | None => 0,
    }
}

/// The platform's side of a direct charge: it earns the application fee, and pays the costs where the account does not:
/// on the fee's own row where there is one, else by a row of their own.
fn platform_side(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    key: RecordKey,
    charge: &Row,
    asked: Option<Money>,
    costs: Option<Costs>,
) -> Result<Option<Row>, Halt> {
    if asked.is_none() && costs.is_none() {
        return Ok(None);
    }
    let record = draft.account_record(AccountNo::PLATFORM)?;
    let platform = account::of(&record)?;
    let currency = match asked {
        Some(fee) => earned_currency(flow, platform, fee.currency(), charge.currency),
        None => settlement_currency(platform, charge.currency),
    };
    // A cost is worked out in the charge's currency and taken in that of the row, at the base rate of the day.
    let worth = |minor: i64| draft.worth(Money::new(minor, charge.currency), currency).map(|money| money.minor());
    let (processing, conversion) = match costs {
        None => (0, 0),
        Some(costs) => (worth(costs.processing)?, worth(costs.conversion)?),
    };
    let cost = processing.checked_add(conversion).ok_or_else(out_of_range)?;
    draft.house(House::Fees(FeeKind::Processing), Money::new(-conversion, currency));
    draft.house(House::Fees(FeeKind::Conversion), Money::new(conversion, currency));
    let Some(asked) = asked else {
        draft.house(House::Fees(FeeKind::Processing), Money::new(cost, currency));
        return draft
            .row(RowSpec {
                account: AccountNo::PLATFORM,
                kind: RowKind::ProcessingFee,
                gross: Money::new(-cost, currency),
                processing_fee: 0,
                application_fee: 0,
                source: charge.source,
                available_on: charge.available_on,
                source_type: SourceType::Card,
                conversion: None,
            })
            .map(Some);
    };
    let of = source(ObjectKind::ApplicationFee, key, Slot::MAIN);
    let row = earn(draft, asked, currency, charge.conversion.as_ref(), cost, of, charge.available_on)?;
    let fee = ApplicationFee {
        amount: asked.minor(),
        currency: asked.currency(),
        amount_refunded: 0,
        charged: charge.application_fee,
        charged_currency: charge.currency,
        charged_refunded: 0,
        recent_refunds: Vec::new(),
        earned_currency: Some(currency),
    };
    flow.direct_fee = Some(DirectFee { made: draft.made(), fee, available_on: charge.available_on });
    draft.event(AccountNo::PLATFORM, EventKind::ApplicationFeeCreated, of.id());
    Ok(Some(row))
}

/// The platform's row of an application fee that comes in presentment currency: converted where its balance cannot hold
/// that, else with the rate of the charge, which the wire shows though nothing is exchanged (section 10.5).
fn earn(
    draft: &mut Draft<'_>,
    asked: Money,
    currency: Currency,
    rate: Option<&RowConversion>,
    cost: i64,
    of: RowSource,
    on: Day,
) -> Result<Row, Halt> {
    let record = draft.account_record(AccountNo::PLATFORM)?;
    let arrived = arrive(draft, asked, currency, account::of(&record)?)?;
    let shown = |rate: &RowConversion| RowConversion { from_minor: asked.minor(), residue_nano: 0, ..rate.clone() };
    draft.row(RowSpec {
        account: AccountNo::PLATFORM,
        kind: RowKind::ApplicationFee,
        gross: arrived.money,
        processing_fee: cost,
        application_fee: 0,
        source: of,
        available_on: on,
        source_type: SourceType::Card,
        conversion: arrived.converted.map(|c| c.row).or_else(|| rate.map(shown)),
    })
}

/// An application fee to take out of a transfer's payment.
struct FeeTerms<'a> {
    /// Presentment currency.
    asked: Money,
    /// How the charge was converted.
    charge_rate: Option<Decimal>,
    /// The platform gets it in presentment currency: the charge settled on behalf of another account. `None`: in the
    /// currency of the payment that pays it.
    presented: Option<Presented<'a>>,
}

/// How the money of a charge on behalf of an account came in.
struct Presented<'a> {
    way: Way<'a>,
    rate: Option<RowConversion>,
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
    fee: Option<FeeTerms<'_>>,
    on: Day,
) -> Result<(), Halt> {
    let transfer = transfer_with(draft, flow, key, destination, sent, TransferSource::OwnCharge, on, fee)?;
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

/// Moves money from the flow's owner to a destination: the owner's transfer row and the destination's payment row. Rows
/// are added to the flow; the transfer is given back.
///
/// # Errors
/// No exchange rate, or amounts out of range.
pub fn transfer(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    key: RecordKey,
    destination: AccountNo,
    sent: Money,
    from: TransferSource,
    on: Day,
) -> Result<Transfer, Halt> {
    transfer_with(draft, flow, key, destination, sent, from, on, None)
}

/// The same, with an application fee withheld from the payment and the row by which the platform gets it.
#[expect(clippy::too_many_arguments, reason = "a transfer has this many sides; each is named at both call sites")]
fn transfer_with(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    key: RecordKey,
    destination: AccountNo,
    sent: Money,
    from: TransferSource,
    on: Day,
    fee: Option<FeeTerms<'_>>,
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
    let withheld = match &fee {
        None => 0,
        Some(FeeTerms { asked, presented: Some(presented), .. }) => {
            let last = Way { to: currency, account: receiver, is_free: false };
            take_back(draft, *asked, &[presented.way, last])?
        }
        Some(FeeTerms { asked, charge_rate, presented: None }) => {
            let mut exact = Decimal::from(asked.minor());
            for rate in [*charge_rate, arrived.converted.as_ref().map(|c| c.rate_minor)].into_iter().flatten() {
                exact = exact.checked_mul(rate).ok_or_else(out_of_range)?;
            }
            half_up(exact)?.min(arrived.money.minor())
        }
    };
    let payment = draft.row(RowSpec {
        account: destination,
        kind: RowKind::Payment,
        gross: arrived.money,
        processing_fee: 0,
        application_fee: withheld,
        source: source(ObjectKind::Payment, key, slot),
        available_on: on,
        source_type: SourceType::Card,
        conversion: arrived.converted.map(|c| c.row),
    })?;
    flow.rows.push(payment);
    let fee = match fee {
        None => None,
        Some(terms) => {
            Some(collect(draft, flow, source(ObjectKind::ApplicationFee, key, slot), terms, (withheld, currency), on)?)
        }
    };
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
        fee,
        source_type: SourceType::Card,
        recent_reversals: Vec::new(),
        available_on: on.max(draft.today()),
    })
}

/// The platform's row of a fee that a destination's payment paid, and the fee itself.
fn collect(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    of: RowSource,
    terms: FeeTerms<'_>,
    (charged, charged_currency): (i64, Currency),
    on: Day,
) -> Result<ApplicationFee, Halt> {
    let asked = terms.asked;
    let (row, earned_currency) = match terms.presented {
        None => (earn(draft, Money::new(charged, charged_currency), charged_currency, None, 0, of, on)?, None),
        Some(Presented { way, rate }) => {
            let record = draft.account_record(AccountNo::PLATFORM)?;
            let currency = earned_currency(flow, account::of(&record)?, asked.currency(), way.to);
            (earn(draft, asked, currency, rate.as_ref(), 0, of, on)?, Some(currency))
        }
    };
    flow.rows.push(row);
    Ok(ApplicationFee {
        amount: asked.minor(),
        currency: asked.currency(),
        amount_refunded: 0,
        charged,
        charged_currency,
        charged_refunded: 0,
        recent_refunds: Vec::new(),
        earned_currency,
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

/// From when a charge's money is available: by the delay of the settlement merchant, or of the destination where the
/// platform itself is the merchant.
fn availability(
    draft: &Draft<'_>,
    flow: &FlowRecord,
    merchant: &AccountRecord,
    division: &Division,
    recipe: Recipe,
) -> Result<Day, Halt> {
    if recipe == Recipe::BypassPending {
        return Ok(draft.today());
    }
    match division {
        Division::One { account, .. } if settlement_merchant(flow) == flow.owner => {
            let record = draft.account_record(*account)?;
            let destination = account::of(&record)?;
            Ok(available_on(draft.ctx.now, destination.country, destination.delay_days))
        }
        Division::One { .. } | Division::Keep | Division::Rule(_) | Division::Direct(_) => {
            Ok(available_on(draft.ctx.now, merchant.country, merchant.delay_days))
        }
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
