//! Refunds of application fees that no charge refund makes (section 7.6).

use super::command::Request;
use super::decide::{Change, Context, Facts, Halt, Outcome, Refusal, Reply};
use super::draft::Draft;
use super::payment::text_key;
use super::record::{FeeOf, FeeRefundRecord, Record, RecordKey, RowKind};
use super::refund::{check_covered, flow_key, negative, next_child, no_such, push_recent, refund_fee, tell_parts};
use super::seal::Texts;
use crate::primitives::id::{ObjectId, ObjectKind};
use crate::primitives::money::Money;

/// Gives an application fee back, in full or in part.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn refund(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    id: ObjectId,
    amount: Option<i64>,
) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let missing = || no_such(ctx, "application_fee", &id, "id");
    let key = RecordKey::of(&id);
    // Fees are the platform's, also those of charges that are an account's own.
    let mut flow = match facts.record(key)?.as_deref() {
        Some(Record::Flow(flow)) if request.acting.is_platform() => flow.as_ref().clone(),
        _ => return Err(missing()),
    };
    let slot = id.slot;
    let FeeOf { fee, .. } = flow.fee(slot).ok_or_else(missing)?;
    let left = fee.amount - fee.amount_refunded;
    if left == 0 {
        return Err(Refusal::new("This application fee has already been refunded.").param("id").into());
    }
    let minor = amount.unwrap_or(left);
    if minor < 1 {
        let message = "This value must be greater than or equal to 1.";
        return Err(Refusal::new(message).code("parameter_invalid_integer").param("amount").into());
    }
    if minor > left {
        let message = format!(
            "Refund amount ({}) is greater than what is left of the application fee ({}).",
            Money::new(minor, fee.currency).display_major(),
            Money::new(left, fee.currency).display_major()
        );
        return Err(Refusal::new(message).param("amount").into());
    }
    let child = next_child(&mut flow)?;
    let at = RecordKey { birth: key.birth, child };
    let mut rows = Vec::new();
    let part = refund_fee(&mut draft, &mut flow, slot, minor, &mut rows)?;
    for row in rows.iter().filter(|row| row.kind == RowKind::ApplicationFeeRefund) {
        check_covered(&draft, row.account, negative(Money::new(row.amount, row.currency))?, row.available_on)?;
    }
    if let Some(fee) = flow.fee_mut(slot) {
        push_recent(&mut fee.recent_refunds, child);
    }
    tell_parts(&mut draft, flow.owner, key, at, &[], std::slice::from_ref(&part));
    let key_no = text_key(facts, &flow)?;
    let mut texts = Texts::default();
    texts.apply("", &request.texts);
    let private = draft.seal(key_no, &texts)?;
    let record = FeeRefundRecord { owner: request.acting, made: draft.made(), part, rows, private };
    draft.change(Change::of(at, Record::FeeRefund(record)));
    draft.change(Change::of(key, Record::Flow(Box::new(flow))));
    let mut outcome = draft.finish(Reply::Object(at.id(ObjectKind::FeeRefund, id.slot)));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// Changes a fee refund's metadata: also of one that a refund or reversal made.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn update_refund(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, id: ObjectId) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let at = RecordKey::of(&id);
    let missing = || no_such(ctx, "fee_refund", &id, "id");
    let before = facts.record(at)?.ok_or_else(missing)?;
    let key_no = flow_key(facts, id.birth)?;
    let inside = format!("fr{}.", id.slot);
    let mut after = before.as_ref().clone();
    let (private, prefix) = match &mut after {
        Record::FeeRefund(record) => (&mut record.private, ""),
        Record::Refund(record) => (&mut record.private, inside.as_str()),
        Record::Reversal(record) => (&mut record.private, inside.as_str()),
        _ => return Err(missing()),
    };
    if !request.acting.is_platform() {
        return Err(missing());
    }
    let mut texts = ctx.open(private);
    texts.apply(prefix, &request.texts);
    *private = draft.seal(key_no, &texts)?;
    draft.event(request.acting, super::event::EventKind::ApplicationFeeRefundUpdated, id);
    draft.change(Change::of(at, after).from(&before));
    let mut outcome = draft.finish(Reply::Object(id));
    outcome.text_key_no = key_no;
    Ok(outcome)
}
