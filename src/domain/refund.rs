//! Refunds, with the transfer reversals and application fee refunds that go with them (section 7).

use std::sync::Arc;

use rust_decimal::Decimal;

use super::account;
use super::command::Request;
use super::decide::{Change, Context, Facts, Halt, Outcome, Refusal, Reply};
use super::draft::{Draft, RowSpec, out_of_range, source};
use super::event::EventKind;
use super::payment::text_key;
use super::record::{
    FeeOf, FeeRefundPart, FlowRecord, IntentStatus, Record, RecordKey, RefundReason, RefundRecord, RefundStatus,
    RefundTerms, ReversalPart, Row, RowConversion, RowKind, Shared, Slot,
};
use super::refund_life;
use super::seal::{Sealed, Texts};
use super::settle::{scale, slot_of};
use crate::ledger::{AccountNo, House, SourceType};
use crate::primitives::currency::Currency;
use crate::primitives::id::{ObjectId, ObjectKind};
use crate::primitives::money::Money;
use crate::primitives::share::proportional_half_up;
use crate::primitives::time::Day;

/// What a caller asks of a refund.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The charge or the intent.
    pub target: ObjectId,
    /// Minor units of the presentment currency; `None`: all that is left.
    pub amount: Option<i64>,
    /// Why.
    pub reason: Option<RefundReason>,
    /// What goes with it, and how.
    pub terms: RefundTerms,
}

/// Refunds a charge, in full or in part.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn create(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, asked: Asked) -> Result<Outcome, Halt> {
    if asked.target.kind == ObjectKind::Payment {
        return super::transfer::give_back(facts, ctx, request, asked);
    }
    let mut draft = Draft::new(facts, ctx);
    let key = RecordKey::head(asked.target.birth);
    let mut flow = refundable_flow(facts, ctx, request.acting, &asked.target)?;
    if flow.intent.as_ref().is_some_and(|i| i.without_object && i.status == IntentStatus::RequiresCapture) {
        return super::charge::refund_authorization(facts, ctx, request, flow, asked);
    }
    let (amount, attempt) = check(&flow, &asked)?;
    super::dispute::refuse_refund(ctx, &flow, key)?;

    let charge = flow.charge.as_mut().ok_or_else(out_of_range)?;
    charge.amount_refunded = charge.amount_refunded.checked_add(amount).ok_or_else(out_of_range)?;
    let currency = charge.currency;

    let child = next_child(&mut flow)?;
    let at = RecordKey { birth: key.birth, child };
    let mut refund = RefundRecord { reason: asked.reason, ..blank(&draft, flow.owner, attempt, amount, currency) };
    if asked.terms.reverse_transfer {
        if flow.transfers.is_empty() {
            let message = "This charge has no transfer to reverse. Leave `reverse_transfer` out, or reverse the \
                           transfers that you made from it one by one.";
            return Err(Refusal::new(message).param("reverse_transfer").into());
        }
        if flow.transfers.iter().all(|t| t.amount_reversed == t.amount) {
            return Err(Refusal::new("The transfer of this charge is already fully reversed.").into());
        }
    }
    refund_life::begin(&mut draft, &mut flow, at, &mut refund, asked.terms)?;
    push_recent(&mut flow.recent_refunds, child);

    draft.event(flow.owner, EventKind::RefundCreated, at.id(ObjectKind::Refund, Slot::MAIN));
    draft.event(flow.owner, EventKind::ChargeRefunded, key.id(ObjectKind::Charge, attempt));
    tell_parts(&mut draft, flow.owner, key, at, &refund.reversals, &refund.fee_refunds);
    super::dispute::close_refunded(&mut draft, &mut flow, key)?;

    let key_no = text_key(facts, &flow)?;
    let mut texts = Texts::default();
    texts.apply("", &request.texts);
    refund.private = draft.seal(key_no, &texts)?;
    draft.change(Change::of(at, Record::Refund(refund)));
    draft.change(Change::of(key, Record::Flow(Box::new(flow))));
    let mut outcome = draft.finish(Reply::Object(at.id(ObjectKind::Refund, Slot::MAIN)));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// A refund that nothing has moved for.
pub fn blank(draft: &Draft<'_>, owner: AccountNo, attempt: u16, amount: i64, currency: Currency) -> RefundRecord {
    RefundRecord {
        owner,
        made: draft.made(),
        charge_attempt: attempt,
        amount,
        currency,
        reason: None,
        reversals: Vec::new(),
        fee_refunds: Vec::new(),
        rows: Vec::new(),
        uncaptured_rest: false,
        private: Sealed::default(),
        status: RefundStatus::Succeeded,
        failure: None,
        waits: None,
        moved_later: None,
    }
}

/// Moves a refund's money: its own row, then the reversals and fee refunds that it takes along. The charge counts the
/// refund already; refunds that still wait count, but have taken nothing along.
///
/// # Errors
/// No exchange rate, a destination without the money, or amounts out of range.
pub fn move_money(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    at: RecordKey,
    refund: &mut RefundRecord,
    terms: RefundTerms,
) -> Result<(), Halt> {
    let charge = flow.charge.as_ref().ok_or_else(out_of_range)?;
    let complete = charge.refundable() == 0 && charge.waiting == 0;
    let portion = Portion { part: refund.amount, whole: charge.amount_captured, complete };
    refund.rows.push(refund_row(draft, flow, at, refund.amount, RowKind::Refund)?);
    if terms.reverse_transfer {
        for slot in 0..flow.transfers.len() {
            if let Some(part) = reverse_share(draft, flow, slot, at, portion, &mut refund.rows)? {
                refund.reversals.push(part);
            }
        }
    }
    if terms.refund_application_fee {
        for slot in flow.fee_slots() {
            if let Some(part) = fee_share(draft, flow, slot, portion, &mut refund.rows)? {
                refund.fee_refunds.push(part);
            }
        }
    }
    Ok(())
}

/// The uncaptured rest of a partial capture leaves by a refund of its own (section 6.3): it counts as refunded on the
/// charge, takes no fee along, and does not lessen what can be refunded.
///
/// # Errors
/// Amounts out of range.
pub fn uncaptured_rest(draft: &mut Draft<'_>, flow: &mut FlowRecord, key: RecordKey, rest: i64) -> Result<(), Halt> {
    let child = next_child(flow)?;
    let at = RecordKey { birth: key.birth, child };
    let (attempt, currency) = {
        let charge = flow.charge.as_mut().ok_or_else(out_of_range)?;
        charge.amount_refunded = charge.amount_refunded.checked_add(rest).ok_or_else(out_of_range)?;
        charge.uncaptured_rest = rest;
        (charge.attempt, charge.currency)
    };
    let row = rest_row(draft, flow, at, rest)?;
    push_recent(&mut flow.recent_refunds, child);
    draft.event(flow.owner, EventKind::RefundCreated, at.id(ObjectKind::Refund, Slot::MAIN));
    let blank = blank(draft, flow.owner, attempt, rest, currency);
    let record = RefundRecord { rows: vec![row], uncaptured_rest: true, ..blank };
    draft.change(Change::of(at, Record::Refund(record)));
    Ok(())
}

/// Changes a refund's metadata.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn update(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, id: ObjectId) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let at = RecordKey::of(&id);
    let (before, refund) = load(facts, ctx, request.acting, &id)?;
    let key_no = flow_key(facts, id.birth)?;
    let mut texts = ctx.open(&refund.private);
    texts.apply("", &request.texts);
    let private = draft.seal(key_no, &texts)?;
    draft.event(refund.owner, EventKind::RefundUpdated, id);
    draft.event(refund.owner, EventKind::ChargeRefundUpdated, id);
    draft.change(Change::of(at, Record::Refund(RefundRecord { private, ..refund })).from(&before));
    let mut outcome = draft.finish(Reply::Object(id));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// A caller's refund, as it is and as a copy to change.
pub fn load(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    acting: AccountNo,
    id: &ObjectId,
) -> Result<(Shared, RefundRecord), Halt> {
    if id.kind == ObjectKind::Refund
        && let Some(record) = facts.record(RecordKey::of(id))?
        && let Record::Refund(refund) = &*record
        && refund.owner == acting
    {
        let refund = refund.clone();
        return Ok((Arc::clone(&record), refund));
    }
    Err(no_such(ctx, "refund", id, "id"))
}

// ---------------------------------------------------------------------------------------------------------------
// Parts, shared with transfer reversals and application fee refunds

/// Which part of the whole goes back; with the last part everything that is left goes.
#[derive(Clone, Copy, Debug)]
pub struct Portion {
    /// Goes back now.
    pub part: i64,
    /// Of how much.
    pub whole: i64,
    /// Nothing is left after it.
    pub complete: bool,
}

impl Portion {
    /// This portion of `total`, of which `left` is left: half-up, capped, remainder at completion (section 7.3).
    pub fn of(&self, total: i64, left: i64) -> i64 {
        if self.complete { left } else { proportional_half_up(total, self.part, self.whole).min(left) }
    }
}

/// The proportional reversal of one transfer.
fn reverse_share(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    slot: usize,
    at: RecordKey,
    portion: Portion,
    rows: &mut Vec<Row>,
) -> Result<Option<ReversalPart>, Halt> {
    let transfer = &flow.transfers[slot];
    let minor = portion.of(transfer.amount, transfer.amount - transfer.amount_reversed);
    if minor == 0 {
        return Ok(None);
    }
    reverse(draft, flow, slot, at, minor, rows).map(Some)
}

/// Reverses `minor` of a transfer: the owner gets it back, the destination loses it in its own currency, at the base
/// rate of the day where it had been converted.
///
/// # Errors
/// No exchange rate, a destination without the money, or amounts out of range.
pub fn reverse(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    slot: usize,
    at: RecordKey,
    minor: i64,
    rows: &mut Vec<Row>,
) -> Result<ReversalPart, Halt> {
    let key = RecordKey::head(at.birth);
    let number = slot_of(slot)?;
    let owner = flow.owner;
    let transfer = flow.transfers.get_mut(slot).ok_or_else(out_of_range)?;
    let money = Money::new(minor, transfer.currency);
    let on = still_pending(draft, transfer.available_on);
    let (lost, conversion) = if transfer.payment_currency == transfer.currency {
        (money, None)
    } else {
        let back = draft.convert_back(negative(money)?, transfer.payment_currency)?;
        (negative(back.target)?, Some(back.row))
    };
    if lost.is_zero() {
        let message = "This reversal would be nothing in the destination's currency: reverse more.";
        return Err(Refusal::new(message).param("amount").into());
    }
    check_covered(draft, transfer.destination, lost, on)?;
    transfer.amount_reversed = transfer.amount_reversed.checked_add(minor).ok_or_else(out_of_range)?;
    transfer.payment_refunded =
        transfer.payment_refunded.checked_add(lost.minor()).ok_or_else(out_of_range)?.min(transfer.payment_amount);
    let destination = transfer.destination;
    rows.push(draft.row(RowSpec {
        account: destination,
        kind: RowKind::PaymentRefund,
        gross: negative(lost)?,
        processing_fee: 0,
        application_fee: 0,
        source: source(ObjectKind::PaymentRefund, at, number),
        available_on: on,
        source_type: SourceType::Card,
        conversion,
    })?);
    rows.push(draft.row(RowSpec {
        account: owner,
        kind: RowKind::TransferRefund,
        gross: money,
        processing_fee: 0,
        application_fee: 0,
        source: source(ObjectKind::Transfer, key, number),
        available_on: on,
        source_type: SourceType::Card,
        conversion: None,
    })?);
    Ok(ReversalPart {
        transfer: number,
        destination,
        amount: minor,
        currency: money.currency(),
        payment_amount: lost.minor(),
        payment_currency: lost.currency(),
    })
}

/// Who gives something back may go below zero by it only where the tables allow it.
pub fn check_covered(draft: &Draft<'_>, account: AccountNo, lost: Money, on: Day) -> Result<(), Halt> {
    if draft.ctx.tables.allow_negative || on > draft.today() {
        return Ok(());
    }
    let have = draft.facts.books(account)?.available(lost.currency(), draft.today());
    if have >= i128::from(lost.minor()) {
        return Ok(());
    }
    let (whose, what) =
        if account.is_platform() { ("Your", "refund of the fee") } else { ("The connected account's", "reversal") };
    let message = format!(
        "{whose} available balance ({}) does not cover this {what} ({}).",
        i64::try_from(have).map_or_else(|_| have.to_string(), |have| Money::new(have, lost.currency()).display_major()),
        lost.display_major()
    );
    Err(Refusal::new(message).code("balance_insufficient").into())
}

/// The proportional refund of one application fee.
fn fee_share(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    slot: u16,
    portion: Portion,
    rows: &mut Vec<Row>,
) -> Result<Option<FeeRefundPart>, Halt> {
    let Some(FeeOf { fee, .. }) = flow.fee(slot) else { return Ok(None) };
    let minor = portion.of(fee.amount, fee.amount - fee.amount_refunded);
    if minor == 0 {
        return Ok(None);
    }
    refund_fee(draft, flow, slot, minor, rows).map(Some)
}

/// Gives `minor` of an application fee back: out of the platform's balance, in the currency that it came in. What it
/// came in after a conversion goes back at the base rate of the day.
///
/// # Errors
/// No exchange rate, or amounts out of range.
pub fn refund_fee(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    slot: u16,
    minor: i64,
    rows: &mut Vec<Row>,
) -> Result<FeeRefundPart, Halt> {
    let rate = fee_rate(flow, slot);
    let birth = flow.made.seq;
    let FeeOf { payer, available_on, .. } = flow.fee(slot).ok_or_else(out_of_range)?;
    let on = still_pending(draft, available_on);
    let fee = flow.fee_mut(slot).ok_or_else(out_of_range)?;
    let left = fee.charged - fee.charged_refunded;
    let complete = fee.amount_refunded.checked_add(minor).ok_or_else(out_of_range)? == fee.amount;
    let returned = match rate {
        // Converted: at the rate that it was taken at; recorded responses leave the odd unit with the platform.
        Some(rate) => scale(minor, rate)?.min(left),
        None => Portion { part: minor, whole: fee.amount, complete }.of(fee.charged, left),
    };
    fee.amount_refunded += minor;
    fee.charged_refunded = fee.charged_refunded.checked_add(returned).ok_or_else(out_of_range)?;
    let back = Money::new(returned, fee.charged_currency);
    let (taken, conversion) = match fee.earned_currency {
        None => (negative(back)?, None),
        Some(earned) => take_presented(draft, Money::new(minor, fee.currency), earned, back)?,
    };
    let part = FeeRefundPart {
        transfer: slot,
        account: payer,
        amount: minor,
        currency: fee.currency,
        returned,
        returned_currency: back.currency(),
    };
    // The source of these rows is the fee itself, not its refund [rec, section 4.2].
    let of_fee = source(ObjectKind::ApplicationFee, RecordKey::head(birth), slot);
    rows.push(draft.row(RowSpec {
        account: AccountNo::PLATFORM,
        kind: RowKind::ApplicationFeeRefund,
        gross: taken,
        processing_fee: 0,
        application_fee: 0,
        source: of_fee,
        available_on: on,
        source_type: SourceType::Card,
        conversion,
    })?);
    rows.push(draft.row(RowSpec {
        account: payer,
        kind: RowKind::FeeAdjustment,
        gross: back,
        processing_fee: 0,
        application_fee: 0,
        source: of_fee,
        available_on: on,
        source_type: SourceType::Card,
        conversion: None,
    })?);
    Ok(part)
}

/// What the platform loses of a fee that it earned in presentment currency, and the exchange to what its payer gets
/// back. Its row shows the base rate of the day between the two, also where it itself exchanges nothing.
fn take_presented(
    draft: &mut Draft<'_>,
    part: Money,
    earned: Currency,
    back: Money,
) -> Result<(Money, Option<RowConversion>), Halt> {
    if back.currency() != part.currency() {
        draft.house(House::Fx, part);
        draft.house(House::Fx, negative(back)?);
    }
    let lost = negative(part)?;
    if earned != part.currency() {
        let converted = draft.convert_back(lost, earned)?;
        return Ok((converted.target, Some(converted.row)));
    }
    let shown = if back.currency() == part.currency() { None } else { Some(draft.shown(lost, back.currency())?) };
    Ok((lost, shown))
}

/// The rate at which an application fee was taken, where it was converted.
fn fee_rate(flow: &FlowRecord, slot: u16) -> Option<Decimal> {
    let rate_of = |kind: RowKind, matches_slot: bool| {
        flow.rows
            .iter()
            .find(|row| row.kind == kind && (!matches_slot || row.source.slot == slot))
            .and_then(|row| row.conversion.as_ref())
            .map(|conversion| conversion.rate)
    };
    match (rate_of(RowKind::Charge, false), rate_of(RowKind::Payment, true)) {
        (None, None) => None,
        (a, b) => a.unwrap_or(Decimal::ONE).checked_mul(b.unwrap_or(Decimal::ONE)),
    }
}

/// Events of reversals and fee refunds.
pub fn tell_parts(
    draft: &mut Draft<'_>,
    owner: AccountNo,
    flow: RecordKey,
    at: RecordKey,
    reversals: &[ReversalPart],
    fee_refunds: &[FeeRefundPart],
) {
    for part in reversals {
        draft.event(owner, EventKind::TransferReversed, flow.id(ObjectKind::Transfer, part.transfer));
        draft.event(part.destination, EventKind::ChargeRefunded, flow.id(ObjectKind::Payment, part.transfer));
        draft.event(part.destination, EventKind::RefundCreated, at.id(ObjectKind::PaymentRefund, part.transfer));
    }
    for part in fee_refunds {
        draft.event(
            AccountNo::PLATFORM,
            EventKind::ApplicationFeeRefunded,
            flow.id(ObjectKind::ApplicationFee, part.transfer),
        );
    }
}

/// Money of a charge that is still pending goes back from the same pending day.
pub fn still_pending(draft: &Draft<'_>, on: Day) -> Day {
    on.max(draft.today())
}

fn refund_row(draft: &mut Draft<'_>, flow: &FlowRecord, at: RecordKey, minor: i64, kind: RowKind) -> Result<Row, Halt> {
    let charge = flow.charge.as_ref().ok_or_else(out_of_range)?;
    let money = Money::new(minor, charge.currency);
    let on = still_pending(draft, charge.available_on.unwrap_or(draft.today()));
    draft.house(House::Clearing(charge.rail), money);
    let settled_in = settled_in(flow).unwrap_or(charge.currency);
    let (gross, conversion) = if settled_in == charge.currency {
        (negative(money)?, None)
    } else {
        let back = draft.convert_back(negative(money)?, settled_in)?;
        (back.target, Some(back.row))
    };
    draft.row(RowSpec {
        account: flow.owner,
        kind,
        gross,
        processing_fee: 0,
        application_fee: 0,
        source: source(ObjectKind::Refund, at, Slot::MAIN),
        available_on: on,
        source_type: SourceType::Card,
        conversion,
    })
}

/// The currency of the balance that a captured charge went to.
pub fn settled_in(flow: &FlowRecord) -> Option<Currency> {
    flow.rows.iter().find(|row| row.kind == RowKind::Charge).map(|row| row.currency)
}

/// The uncaptured rest leaves at the rate that it came in at, so that charge and rest cancel out.
fn rest_row(draft: &mut Draft<'_>, flow: &FlowRecord, at: RecordKey, rest: i64) -> Result<Row, Halt> {
    let charge = flow.charge.as_ref().ok_or_else(out_of_range)?;
    let Some(row) = flow.rows.iter().find(|row| row.kind == RowKind::Charge && row.conversion.is_some()) else {
        return refund_row(draft, flow, at, rest, RowKind::PartialCaptureReversal);
    };
    let conversion = row.conversion.clone().ok_or_else(out_of_range)?;
    let kept = scale(charge.amount_captured, conversion.rate)?;
    let back = row.amount.checked_sub(kept).ok_or_else(out_of_range)?;
    let money = Money::new(rest, charge.currency);
    draft.house(House::Clearing(charge.rail), money);
    draft.house(House::Fx, negative(money)?);
    draft.house(House::Fx, Money::new(back, row.currency));
    let (account, currency) = (flow.owner, row.currency);
    let on = still_pending(draft, charge.available_on.unwrap_or(draft.today()));
    draft.row(RowSpec {
        account,
        kind: RowKind::PartialCaptureReversal,
        gross: Money::new(back.checked_neg().ok_or_else(out_of_range)?, currency),
        processing_fee: 0,
        application_fee: 0,
        source: source(ObjectKind::Refund, at, Slot::MAIN),
        available_on: on,
        source_type: SourceType::Card,
        conversion: Some(super::record::RowConversion { from_minor: -rest, residue_nano: 0, ..conversion }),
    })
}

fn refundable_flow(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    acting: AccountNo,
    target: &ObjectId,
) -> Result<FlowRecord, Halt> {
    let record = facts.record(RecordKey::head(target.birth))?;
    let (word, param) = match target.kind {
        ObjectKind::PaymentIntent => ("payment_intent", "payment_intent"),
        _ => ("charge", "charge"),
    };
    if let Some(record) = record
        && let Record::Flow(flow) = &*record
        && flow.owner == acting
        && flow.intent.is_some()
    {
        let named = target.kind == ObjectKind::PaymentIntent
            || flow.charge.as_ref().is_some_and(|charge| charge.attempt == target.slot);
        if named {
            return Ok(flow.as_ref().clone());
        }
        if target.kind == ObjectKind::Charge && flow.charge.as_ref().is_some_and(|c| target.slot < c.attempt) {
            return Err(Refusal::new("This charge failed: there is nothing to refund.").param(param).into());
        }
    }
    let message = format!("No such {word}: '{}'", ctx.ids.encode(target));
    Err(Refusal::new(message).code("resource_missing").param(param).into())
}

fn check(flow: &FlowRecord, asked: &Asked) -> Result<(i64, u16), Halt> {
    let param = if asked.target.kind == ObjectKind::PaymentIntent { "payment_intent" } else { "charge" };
    let Some(charge) = &flow.charge else {
        let message = "This PaymentIntent does not have a successful charge to refund.";
        return Err(Refusal::new(message).param(param).into());
    };
    if charge.failure.is_some() {
        return Err(Refusal::new("This charge failed: there is nothing to refund.").param(param).into());
    }
    if !charge.captured {
        let canceled = flow.intent.as_ref().is_some_and(|intent| intent.status == IntentStatus::Canceled);
        let message = if canceled {
            "This charge was never captured, and its authorization has been released: there is nothing to refund."
        } else {
            "This charge has not been captured. Cancel its PaymentIntent to release the authorization."
        };
        return Err(Refusal::new(message).code("charge_not_refundable").param(param).into());
    }
    if asked.terms.refund_application_fee
        && !asked.terms.reverse_transfer
        && flow.transfers.iter().any(|t| t.fee.is_some())
    {
        let message = "The application fee of a destination charge can be refunded only together with its transfer: \
                       give `reverse_transfer=true` too.";
        return Err(Refusal::new(message).param("refund_application_fee").into());
    }
    let left = charge.refundable();
    if left == 0 {
        let message = "This charge has already been refunded.";
        return Err(Refusal::new(message).code("charge_already_refunded").into());
    }
    let amount = asked.amount.unwrap_or(left);
    if amount < 1 {
        let message = "This value must be greater than or equal to 1.";
        return Err(Refusal::new(message).code("parameter_invalid_integer").param("amount").into());
    }
    if amount % charge.currency.charge_multiple() != 0 {
        let message = format!(
            "Invalid amount: amounts in {} must be divisible by {}.",
            charge.currency,
            charge.currency.charge_multiple()
        );
        return Err(Refusal::new(message).code("parameter_invalid_integer").param("amount").into());
    }
    if amount > left {
        let what = if left == charge.amount_captured { "charge amount" } else { "unrefunded amount on charge" };
        let message = format!(
            "Refund amount ({}) is greater than {what} ({})",
            Money::new(amount, charge.currency).display_major(),
            Money::new(left, charge.currency).display_major()
        );
        return Err(Refusal::new(message).param("amount").into());
    }
    Ok((amount, charge.attempt))
}

/// The number of the flow's next child record.
pub fn next_child(flow: &mut FlowRecord) -> Result<u32, Halt> {
    flow.children =
        flow.children.checked_add(1).filter(|&n| n < super::record::ATTEMPT_CHILDREN).ok_or_else(out_of_range)?;
    Ok(flow.children)
}

/// Keeps the newest ten.
pub fn push_recent(recent: &mut Vec<u32>, child: u32) {
    recent.push(child);
    if recent.len() > 10 {
        recent.remove(0);
    }
}

/// The key that seals the texts of a flow's children.
pub fn flow_key(facts: &dyn Facts, birth: u64) -> Result<u32, Halt> {
    match facts.record(RecordKey::head(birth))?.as_deref() {
        Some(Record::Flow(flow)) => text_key(facts, flow),
        _ => Ok(account::of(&*account::load(facts, AccountNo::PLATFORM)?)?.key_no),
    }
}

/// 404 for an id in the path.
pub fn no_such(ctx: &Context<'_>, word: &str, id: &ObjectId, param: &str) -> Halt {
    let message = format!("No such {word}: '{}'", ctx.ids.encode(id));
    Refusal { status: 404, ..Refusal::new(message) }.code("resource_missing").param(param).into()
}

/// Turned around.
pub fn negative(money: Money) -> Result<Money, Halt> {
    money.checked_neg().map_err(|_| out_of_range())
}
