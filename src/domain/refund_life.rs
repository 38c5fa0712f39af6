//! What becomes of a refund beside succeeding at once (section 7.4): it waits for money, is on its way, asks the payer,
//! comes back, is canceled.
//!
//! A refund that waits has moved nothing, nor has anything that goes with it: all of it moves in one entry, when the
//! balance covers it, at the rates of that day. The refunds of a balance are made in the order in which they were asked
//! for. A refund that fails after its money left comes back by a row of its own, with what was taken for it; reversals
//! and fee refunds that went with it stay.

use super::command::Request;
use super::decide::{Change, Context, Facts, Halt, Outcome, Refusal, Reply};
use super::draft::{Draft, RowSpec, out_of_range, source};
use super::due::{DueKey, DueKind};
use super::event::EventKind;
use super::record::{
    FlowRecord, Made, Recipe, Record, RecordKey, RefundFailure, RefundRecord, RefundStatus, RefundTerms, RowConversion,
    RowKind, Shared, Slot,
};
use super::refund::{check_covered, load, move_money, negative, settled_in, still_pending, tell_parts};
use crate::ledger::{AccountNo, House, SourceType};
use crate::primitives::currency::Currency;
use crate::primitives::id::{ObjectId, ObjectKind};
use crate::primitives::money::Money;
use crate::primitives::time::Timestamp;

/// Seconds until a test card's refund arrives or comes back.
const SETTLES_S: i64 = 5;
/// Days that a refund waits for money, and that a payer has to say where it shall go.
const WAITS_DAYS: i32 = 45;
/// The place of a refund's due item among those of the entry that made it; it is the only one of that entry with it.
const LATER: u16 = u16::MAX;

/// Moves a new refund's money, or lets it wait, and says how it goes on.
///
/// # Errors
/// As [`move_money`].
pub fn begin(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    at: RecordKey,
    refund: &mut RefundRecord,
    terms: RefundTerms,
) -> Result<(), Halt> {
    if !is_covered(draft, flow, at, refund, terms)? {
        let charge = flow.charge.as_mut().ok_or_else(out_of_range)?;
        charge.waiting = charge.waiting.checked_add(refund.amount).ok_or_else(out_of_range)?;
        refund.status = RefundStatus::Pending;
        refund.waits = Some(terms);
        let currency = settled_in(flow).ok_or_else(out_of_range)?;
        let kind = DueKind::RefundExpires { account: flow.owner, currency, refund: at };
        draft.schedule_as(end_of_waiting(refund.made)?, refund.made.seq, LATER, kind);
        return Ok(());
    }
    move_money(draft, flow, at, refund, terms)?;
    set_out(draft, flow, at, refund, terms.asks_payer)
}

/// How a refund whose money has left goes on: the payer, or the card, decides.
fn set_out(
    draft: &mut Draft<'_>,
    flow: &FlowRecord,
    at: RecordKey,
    refund: &mut RefundRecord,
    asks_payer: bool,
) -> Result<(), Halt> {
    let recipe = flow.charge.as_ref().ok_or_else(out_of_range)?.card.recipe;
    let made = refund.moved();
    let until = if asks_payer {
        refund.status = RefundStatus::RequiresAction;
        end_of_waiting(made)?
    } else {
        match recipe {
            Recipe::RefundPending => refund.status = RefundStatus::Pending,
            Recipe::RefundFails => refund.status = RefundStatus::Succeeded,
            _ => {
                refund.status = RefundStatus::Succeeded;
                return Ok(());
            }
        }
        made.at.plus_seconds(SETTLES_S).ok_or_else(out_of_range)?
    };
    draft.schedule_as(until, made.seq, LATER, DueKind::RefundSettles(at));
    Ok(())
}

/// When a refund made then has waited long enough.
///
/// # Errors
/// Beyond the range of time.
pub fn end_of_waiting(made: Made) -> Result<Timestamp, Halt> {
    made.at.plus_days(WAITS_DAYS).ok_or_else(out_of_range)
}

/// Whether the owner's available balance covers a refund with all that goes with it, and no older refund waits for the
/// same balance. Money of a charge that is still pending goes back from there, whatever is available.
///
/// # Errors
/// As [`move_money`]; a platform that cannot give a connected account's fee back.
fn is_covered(
    draft: &Draft<'_>,
    flow: &FlowRecord,
    at: RecordKey,
    refund: &RefundRecord,
    terms: RefundTerms,
) -> Result<bool, Halt> {
    if draft.ctx.tables.allow_negative {
        return Ok(true);
    }
    let mut trial = Draft::new(draft.facts, draft.ctx);
    let (mut flow, mut refund) = (flow.clone(), refund.clone());
    move_money(&mut trial, &mut flow, at, &mut refund, terms)?;
    let (account, today) = (flow.owner, trial.today());
    let currency = settled_in(&flow).ok_or_else(out_of_range)?;
    if trial.facts.waiting_refund(account, currency).is_some_and(|first| first != at) {
        return Ok(false);
    }
    let mut needed = 0_i128;
    for row in refund.rows.iter().filter(|row| row.available_on <= today) {
        if row.account == account && row.currency == currency {
            needed -= i128::from(row.net());
        } else if row.kind == RowKind::ApplicationFeeRefund {
            check_covered(&trial, row.account, negative(Money::new(row.amount, row.currency))?, row.available_on)?;
        }
    }
    Ok(needed <= 0 || trial.facts.books(account)?.available(currency, today) >= needed)
}

/// An account got money: makes the oldest refund that waits for it, if it is covered now. The next one follows in an
/// entry of its own.
///
/// # Errors
/// A missing fact.
pub fn resume(facts: &dyn Facts, ctx: &Context<'_>, account: AccountNo, currency: Currency) -> Result<Outcome, Halt> {
    let nothing = Ok(Outcome::answer(Reply::Done));
    let Some(at) = facts.waiting_refund(account, currency) else { return nothing };
    let Some(Late { before, mut flow, mut refund }) = late(facts, at)? else { return nothing };
    let Some(terms) = refund.waits.take() else { return nothing };
    let mut draft = Draft::new(facts, ctx);
    stop_waiting(&mut flow, &refund)?;
    match is_covered(&draft, &flow, at, &refund, terms) {
        Ok(true) => {}
        // Also where a destination cannot give its share back, or no rate is known: it goes on waiting.
        Ok(false) | Err(Halt::Refused(_)) => return nothing,
        Err(missing) => return Err(missing),
    }
    draft.unschedule(DueKey { at: end_of_waiting(refund.made)?, birth: refund.made.seq, ordinal: LATER });
    refund.moved_later = Some(draft.made());
    move_money(&mut draft, &mut flow, at, &mut refund, terms)?;
    set_out(&mut draft, &flow, at, &mut refund, terms.asks_payer)?;
    let key = RecordKey::head(at.birth);
    tell_change(&mut draft, &refund, at);
    tell_parts(&mut draft, flow.owner, key, at, &refund.reversals, &refund.fee_refunds);
    draft.change(Change::of(at, Record::Refund(refund)).from(&before));
    draft.change(Change::of(key, Record::Flow(Box::new(flow))));
    draft.resume_refunds(account, currency);
    Ok(draft.finish(Reply::Done))
}

/// A refund has waited for money too long.
///
/// # Errors
/// A missing fact.
pub fn wait_ends(facts: &dyn Facts, ctx: &Context<'_>, at: RecordKey) -> Result<Outcome, Halt> {
    match late(facts, at)? {
        Some(late) if late.refund.waits.is_some() => {
            let mut draft = Draft::new(facts, ctx);
            end(&mut draft, at, late, RefundStatus::Failed, RefundFailure::InsufficientFunds)?;
            Ok(draft.finish(Reply::Done))
        }
        _ => Ok(Outcome::answer(Reply::Done)),
    }
}

/// What was to become of a refund after its answer has come: it arrives, it comes back, or the payer did not act.
///
/// # Errors
/// A missing fact.
pub fn settle(facts: &dyn Facts, ctx: &Context<'_>, at: RecordKey) -> Result<Outcome, Halt> {
    let Some(late) = late(facts, at)? else { return Ok(Outcome::answer(Reply::Done)) };
    let mut draft = Draft::new(facts, ctx);
    match late.refund.status {
        RefundStatus::Pending => {
            let refund = RefundRecord { status: RefundStatus::Succeeded, ..late.refund };
            tell_change(&mut draft, &refund, at);
            draft.change(Change::of(at, Record::Refund(refund)).from(&late.before));
        }
        RefundStatus::Succeeded => {
            end(&mut draft, at, late, RefundStatus::Failed, RefundFailure::ExpiredOrCanceledCard)?;
        }
        RefundStatus::RequiresAction => end(&mut draft, at, late, RefundStatus::Failed, RefundFailure::Unknown)?,
        RefundStatus::Failed | RefundStatus::Canceled => return Ok(Outcome::answer(Reply::Done)),
    }
    Ok(draft.finish(Reply::Done))
}

/// Takes a refund back that the payer has not acted on.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn cancel(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, id: ObjectId) -> Result<Outcome, Halt> {
    give_up(facts, ctx, request, id, "canceled", RefundStatus::Canceled, RefundFailure::MerchantRequest)
}

/// The payer's time to act is over, by a test helper.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn expire(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, id: ObjectId) -> Result<Outcome, Halt> {
    give_up(facts, ctx, request, id, "expired", RefundStatus::Failed, RefundFailure::Unknown)
}

fn give_up(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    id: ObjectId,
    word: &str,
    status: RefundStatus,
    failure: RefundFailure,
) -> Result<Outcome, Halt> {
    let (before, refund) = load(facts, ctx, request.acting, &id)?;
    if refund.status != RefundStatus::RequiresAction {
        let message = format!(
            "Only a refund that waits for its payer (status requires_action) can be {word}. This one's status is {}.",
            refund.status.wire()
        );
        return Err(Refusal::new(message).into());
    }
    let mut draft = Draft::new(facts, ctx);
    let made = refund.moved();
    draft.unschedule(DueKey { at: end_of_waiting(made)?, birth: made.seq, ordinal: LATER });
    let at = RecordKey::of(&id);
    let flow = flow_of(facts, at)?.ok_or_else(out_of_range)?;
    end(&mut draft, at, Late { before, flow, refund }, status, failure)?;
    Ok(draft.finish(Reply::Object(id)))
}

/// A refund with its flow, some time after it was made.
struct Late {
    before: Shared,
    flow: FlowRecord,
    refund: RefundRecord,
}

fn late(facts: &dyn Facts, at: RecordKey) -> Result<Option<Late>, Halt> {
    let (Some(before), Some(flow)) = (facts.record(at)?, flow_of(facts, at)?) else { return Ok(None) };
    let Record::Refund(refund) = &*before else { return Ok(None) };
    let refund = refund.clone();
    Ok(Some(Late { before, flow, refund }))
}

fn flow_of(facts: &dyn Facts, at: RecordKey) -> Result<Option<FlowRecord>, Halt> {
    Ok(match facts.record(RecordKey::head(at.birth))?.as_deref() {
        Some(Record::Flow(flow)) => Some(flow.as_ref().clone()),
        _ => None,
    })
}

/// A refund failed or was canceled: its money comes back, if it had left, and the charge counts it no more.
fn end(
    draft: &mut Draft<'_>,
    at: RecordKey,
    late: Late,
    status: RefundStatus,
    failure: RefundFailure,
) -> Result<(), Halt> {
    let Late { before, mut flow, mut refund } = late;
    if refund.waits.take().is_some() {
        stop_waiting(&mut flow, &refund)?;
    } else {
        come_back(draft, &flow, at, &mut refund)?;
    }
    let charge = flow.charge.as_mut().ok_or_else(out_of_range)?;
    charge.amount_refunded = charge.amount_refunded.checked_sub(refund.amount).ok_or_else(out_of_range)?;
    refund.status = status;
    refund.failure = Some(failure);
    tell_change(draft, &refund, at);
    if status == RefundStatus::Failed {
        draft.event(refund.owner, EventKind::RefundFailed, at.id(ObjectKind::Refund, Slot::MAIN));
    }
    draft.change(Change::of(at, Record::Refund(refund)).from(&before));
    draft.change(Change::of(RecordKey::head(at.birth), Record::Flow(Box::new(flow))));
    Ok(())
}

fn stop_waiting(flow: &mut FlowRecord, refund: &RefundRecord) -> Result<(), Halt> {
    let charge = flow.charge.as_mut().ok_or_else(out_of_range)?;
    charge.waiting = charge.waiting.checked_sub(refund.amount).ok_or_else(out_of_range)?;
    Ok(())
}

/// What was taken for a refund comes back to where it was taken from: as much, whatever its currencies are worth now.
fn come_back(draft: &mut Draft<'_>, flow: &FlowRecord, at: RecordKey, refund: &mut RefundRecord) -> Result<(), Halt> {
    let rail = flow.charge.as_ref().ok_or_else(out_of_range)?.rail;
    let taken = refund.rows.iter().find(|row| row.kind == RowKind::Refund).ok_or_else(out_of_range)?;
    let (account, gross) = (taken.account, negative(Money::new(taken.amount, taken.currency))?);
    let money = Money::new(refund.amount, refund.currency);
    let on = still_pending(draft, taken.available_on);
    let conversion = taken.conversion.clone();
    draft.house(House::Clearing(rail), negative(money)?);
    if conversion.is_some() {
        draft.house(House::Fx, money);
        draft.house(House::Fx, negative(gross)?);
    }
    let row = draft.row(RowSpec {
        account,
        kind: RowKind::RefundFailure,
        gross,
        processing_fee: 0,
        application_fee: 0,
        source: source(ObjectKind::Refund, at, Slot::MAIN),
        available_on: on,
        source_type: SourceType::Card,
        conversion: conversion.map(|c| RowConversion { from_minor: money.minor(), residue_nano: 0, ..c }),
    })?;
    refund.rows.push(row);
    Ok(())
}

fn tell_change(draft: &mut Draft<'_>, refund: &RefundRecord, at: RecordKey) {
    let id = at.id(ObjectKind::Refund, Slot::MAIN);
    draft.event(refund.owner, EventKind::RefundUpdated, id);
    draft.event(refund.owner, EventKind::ChargeRefundUpdated, id);
}

impl RefundStatus {
    /// The status on the wire.
    pub fn wire(self) -> &'static str {
        match self {
            RefundStatus::Succeeded => "succeeded",
            RefundStatus::Pending => "pending",
            RefundStatus::RequiresAction => "requires_action",
            RefundStatus::Failed => "failed",
            RefundStatus::Canceled => "canceled",
        }
    }
}

impl RefundFailure {
    /// The reason on the wire.
    pub fn wire(self) -> &'static str {
        match self {
            RefundFailure::ExpiredOrCanceledCard => "expired_or_canceled_card",
            RefundFailure::InsufficientFunds => "insufficient_funds",
            RefundFailure::MerchantRequest => "merchant_request",
            RefundFailure::Unknown => "unknown",
        }
    }
}
