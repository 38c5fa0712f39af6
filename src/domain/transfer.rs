//! Transfers without a charge of their own, and their reversals (sections 5.6 and 7.5).

use std::sync::Arc;

use super::account;
use super::command::Request;
use super::decide::{Change, Context, Facts, Halt, Outcome, Refusal, Reply};
use super::draft::{Draft, out_of_range};
use super::event::EventKind;
use super::payment::text_key;
use super::record::{FlowRecord, Record, RecordKey, ReversalRecord, RowKind, Shared, Slot, TransferSource};
use super::refund::{flow_key, next_child, no_such, push_recent, refund_fee, reverse, tell_parts};
use super::seal::{Sealed, Texts};
use super::settle;
use crate::ledger::{AccountNo, SourceType};
use crate::primitives::currency::Currency;
use crate::primitives::id::{ObjectId, ObjectKind};
use crate::primitives::money::Money;
use crate::primitives::time::Day;

/// What a caller asks of a transfer.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Minor units; optional with a source transaction.
    pub amount: Option<i64>,
    /// What leaves the caller.
    pub currency: Currency,
    /// Who gets it.
    pub destination: AccountNo,
    /// The charge that it comes from.
    pub source_transaction: Option<ObjectId>,
    /// Which kind of money it draws on.
    pub source_type: SourceType,
}

/// Sends money of the platform to a connected account; or, acting for one, its own to the platform.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn create(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, asked: Asked) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let key = RecordKey::head(ctx.seq);
    let id = key.id(ObjectKind::Transfer, Slot::MAIN);
    if !request.acting.is_platform() {
        if !asked.destination.is_platform() || asked.source_transaction.is_some() {
            let message = "A connected account transfers to its platform only, and out of its balance: give the \
                           platform's own account as `destination`, and no `source_transaction`. To move money to another \
                           account leave the Stripe-Account header out.";
            return Err(Refusal::new(message).code("transfers_not_allowed").into());
        }
        let amount = positive(asked.amount.ok_or_else(|| missing("amount"))?)?;
        let flow = to_platform(&mut draft, request.acting, amount, asked.currency, "destination")?;
        return close(draft, flow, request, "tr0.", id);
    }
    account::receives(facts, ctx, asked.destination, "destination")?;
    let mut flow = blank(&draft, request.acting);
    let (amount, from, on) = match asked.source_transaction {
        Some(charge) => from_charge(&mut draft, &asked, charge, request.texts.get("transfer_group"))?,
        None => {
            let amount = positive(asked.amount.ok_or_else(|| missing("amount"))?)?;
            check_available(&draft, request.acting, asked.currency, asked.source_type, amount)?;
            (amount, TransferSource::Balance, draft.today())
        }
    };
    let sent = Money::new(amount, asked.currency);
    let transfer = settle::transfer(&mut draft, &mut flow, key, asked.destination, sent, from, on)?;
    flow.transfers.push(transfer);
    draft.event(flow.owner, EventKind::TransferCreated, id);
    draft.event(asked.destination, EventKind::PaymentCreated, key.id(ObjectKind::Payment, Slot::MAIN));
    close(draft, flow, request, "tr0.", id)
}

/// A flow without a payment.
fn blank(draft: &Draft<'_>, owner: AccountNo) -> FlowRecord {
    FlowRecord {
        owner,
        made: draft.made(),
        intent: None,
        charge: None,
        transfers: Vec::new(),
        rows: Vec::new(),
        children: 0,
        recent_refunds: Vec::new(),
        inline_method: None,
        private: Sealed::default(),
        charge_text_split: false,
        direct_fee: None,
    }
}

/// Seals the words of a new transfer under `prefix` and answers with `id`.
///
/// # Errors
/// Too many keys in the metadata, or a missing fact.
pub(super) fn close(
    mut draft: Draft<'_>,
    mut flow: FlowRecord,
    request: &Request,
    prefix: &str,
    id: ObjectId,
) -> Result<Outcome, Halt> {
    let key_no = text_key(draft.facts, &flow)?;
    let mut texts = Texts::default();
    texts.apply(prefix, &request.texts);
    flow.private = draft.seal(key_no, &texts)?;
    draft.change(Change::of(RecordKey::head(draft.ctx.seq), Record::Flow(Box::new(flow))));
    let mut outcome = draft.finish(Reply::Object(id));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// Takes money of a connected account's balance for the platform (an account debit).
///
/// # Errors
/// 400 where the platform does not bear the account's losses, in another region, in another currency than the account's
/// default one, and beyond its available balance; a missing fact.
pub(super) fn to_platform(
    draft: &mut Draft<'_>,
    account: AccountNo,
    amount: i64,
    currency: Currency,
    param: &str,
) -> Result<FlowRecord, Halt> {
    let record = draft.account_record(account)?;
    let owner = account::of(&record)?;
    let platform = draft.account_record(AccountNo::PLATFORM)?;
    let refuse = |message: String, param: &str| Err(Refusal::new(message).param(param).into());
    if !owner.controller.losses_application {
        let message = "Only an account whose losses the platform bears (`controller[losses][payments]` = application) \
                       can be debited.";
        return refuse(message.to_owned(), param);
    }
    if !owner.country.is_near(account::of(&platform)?.country) {
        let message =
            format!("The account is in {}, outside the platform's region: it cannot be debited.", owner.country);
        return refuse(message, param);
    }
    if currency != owner.default_currency {
        let message =
            format!("An account is debited in its default currency ({}), not in {currency}.", owner.default_currency);
        return refuse(message, "currency");
    }
    let amount = positive(amount)?;
    check_available(draft, account, currency, SourceType::Card, amount)?;
    let key = RecordKey::head(draft.ctx.seq);
    let mut flow = blank(draft, account);
    let (sent, today) = (Money::new(amount, currency), draft.today());
    let transfer = settle::transfer(draft, &mut flow, key, AccountNo::PLATFORM, sent, TransferSource::Balance, today)?;
    flow.transfers.push(transfer);
    draft.event(account, EventKind::TransferCreated, key.id(ObjectKind::Transfer, Slot::MAIN));
    draft.event(AccountNo::PLATFORM, EventKind::PaymentCreated, key.id(ObjectKind::Payment, Slot::MAIN));
    Ok(flow)
}

/// A transfer out of a charge: allowed beyond the available balance, limited by the charge, available with it.
fn from_charge(
    draft: &mut Draft<'_>,
    asked: &Asked,
    charge_id: ObjectId,
    group: Option<&str>,
) -> Result<(i64, TransferSource, Day), Halt> {
    let key = RecordKey::head(charge_id.birth);
    let record = draft.facts.record(key)?;
    let flow = match record.as_deref() {
        Some(Record::Flow(flow)) if flow.owner.is_platform() && charge_id.kind == ObjectKind::Charge => flow,
        _ => return Err(no_charge(draft.ctx, &charge_id)),
    };
    let mut flow = flow.as_ref().clone();
    check_group(draft.ctx, &flow, group)?;
    let row = flow.rows.iter().find(|row| row.kind == RowKind::Charge).cloned();
    let (Some(charge), Some(row)) = (flow.charge.as_mut(), row) else {
        let message = "The source_transaction is not a captured charge: a transfer needs one that brought money.";
        return Err(Refusal::new(message).param("source_transaction").into());
    };
    if charge.attempt != charge_id.slot {
        return Err(no_charge(draft.ctx, &charge_id));
    }
    let currency = row.currency;
    if currency != asked.currency {
        let message = format!(
            "The currency of source_transaction's balance transaction ({currency}) must be the same as the transfer \
             currency ({})",
            asked.currency
        );
        return Err(Refusal::new(message).param("currency").into());
    }
    // The row of a partial capture shows what was authorized.
    let settled = match &row.conversion {
        _ if charge.amount_captured == charge.amount => row.amount,
        None => charge.amount_captured,
        Some(conversion) => settle::scale(charge.amount_captured, conversion.rate)?,
    };
    let left = settled - charge.transferred;
    let amount = positive(asked.amount.unwrap_or(left))?;
    if amount > left {
        let message = format!(
            "The transfers of source_transaction may not exceed what it brought: {} is left of {}.",
            Money::new(left, currency).display_major(),
            Money::new(settled, currency).display_major()
        );
        return Err(Refusal::new(message).param("amount").into());
    }
    charge.transferred = charge.transferred.checked_add(amount).ok_or_else(out_of_range)?;
    let on = charge.available_on.unwrap_or(draft.today());
    draft.change(Change::of(key, Record::Flow(Box::new(flow))));
    Ok((amount, TransferSource::Charge { birth: charge_id.birth, attempt: charge_id.slot }, on))
}

/// A transfer belongs to the group of the charge that it comes from.
fn check_group(ctx: &Context<'_>, flow: &FlowRecord, group: Option<&str>) -> Result<(), Halt> {
    let Some(group) = group else { return Ok(()) };
    match ctx.open(&flow.private).get(&format!("{}transfer_group", flow.charge_texts())) {
        Some(have) if have != group => {
            let message = format!(
                "The transfer_group of the transfer ('{group}') must be that of its source_transaction ('{have}'): leave \
                 it out to take that."
            );
            Err(Refusal::new(message).param("transfer_group").into())
        }
        Some(_) | None => Ok(()),
    }
}

fn no_charge(ctx: &Context<'_>, id: &ObjectId) -> Halt {
    let message = format!("No such charge: '{}'", ctx.ids.encode(id));
    Refusal::new(message).code("resource_missing").param("source_transaction").into()
}

/// Money that leaves a balance must be available in it.
///
/// # Errors
/// 400 `balance_insufficient`, or missing books.
pub fn check_available(
    draft: &Draft<'_>,
    account: AccountNo,
    currency: Currency,
    source_type: SourceType,
    minor: i64,
) -> Result<(), Halt> {
    let have = draft.facts.books(account)?.available_from(currency, source_type, draft.today());
    if have >= i128::from(minor) {
        return Ok(());
    }
    let message = format!(
        "You have insufficient available funds in your {currency} balance for this: {} is available. Money of a test \
         charge with the card 4000 0000 0000 0077 (pm_card_bypassPending) is available at once.",
        i64::try_from(have).map_or_else(|_| have.to_string(), |have| Money::new(have, currency).display_major())
    );
    Err(Refusal::new(message).code("balance_insufficient").into())
}

/// Gives a payment that the platform got from an account's balance back to it, in full or in part.
///
/// # Errors
/// A refusal, or a missing fact.
pub(super) fn give_back(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    asked: super::refund::Asked,
) -> Result<Outcome, Halt> {
    let id = asked.target;
    let mut flow = match facts.record(RecordKey::head(id.birth))?.as_deref() {
        Some(Record::Flow(flow)) => flow.as_ref().clone(),
        _ => return Err(not_a_payment(ctx, &id)),
    };
    let slot = usize::from(id.slot);
    let (destination, total, left, currency) = match flow.transfers.get(slot) {
        Some(t) => (t.destination, t.amount, t.amount - t.amount_reversed, t.currency),
        None => return Err(not_a_payment(ctx, &id)),
    };
    if destination != request.acting {
        return Err(not_a_payment(ctx, &id));
    }
    if !destination.is_platform() {
        let message = "This payment came by a transfer. The platform that sent it takes it back by reversing the \
                       transfer.";
        return Err(Refusal::new(message).param("charge").into());
    }
    if left == 0 {
        let message = format!("Charge {} has already been refunded.", ctx.ids.encode(&id));
        return Err(Refusal::new(message).code("charge_already_refunded").into());
    }
    let minor = positive(asked.amount.unwrap_or(left))?;
    if minor > left {
        let what = if left == total { "charge amount" } else { "unrefunded amount on charge" };
        let message = format!(
            "Refund amount ({}) is greater than {what} ({})",
            Money::new(minor, currency).display_major(),
            Money::new(left, currency).display_major()
        );
        return Err(Refusal::new(message).param("amount").into());
    }
    let mut draft = Draft::new(facts, ctx);
    let key = RecordKey::head(id.birth);
    let child = next_child(&mut flow)?;
    let at = RecordKey { birth: key.birth, child };
    let mut rows = Vec::new();
    let part = reverse(&mut draft, &mut flow, slot, at, minor, &mut rows)?;
    push_recent(&mut flow.transfers[slot].recent_reversals, child);
    tell_parts(&mut draft, flow.owner, key, at, std::slice::from_ref(&part), &[]);
    let key_no = text_key(facts, &flow)?;
    let mut texts = Texts::default();
    texts.apply("pyr.", &request.texts);
    let private = draft.seal(key_no, &texts)?;
    let record = ReversalRecord { owner: flow.owner, made: draft.made(), part, fee_refund: None, rows, private };
    draft.change(Change::of(at, Record::Reversal(record)));
    draft.change(Change::of(key, Record::Flow(Box::new(flow))));
    let mut outcome = draft.finish(Reply::Object(at.id(ObjectKind::PaymentRefund, id.slot)));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

fn not_a_payment(ctx: &Context<'_>, id: &ObjectId) -> Halt {
    let message = format!("No such charge: '{}'", ctx.ids.encode(id));
    Refusal::new(message).code("resource_missing").param("charge").into()
}

/// Changes a transfer's description and metadata.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn update(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, id: ObjectId) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let (before, mut flow) = load(facts, ctx, request.acting, &id)?;
    let key_no = text_key(facts, &flow)?;
    let mut texts = ctx.open(&flow.private);
    texts.apply(&format!("tr{}.", id.slot), &request.texts);
    flow.private = draft.seal(key_no, &texts)?;
    draft.event(flow.owner, EventKind::TransferUpdated, id);
    draft.change(Change::of(RecordKey::of(&id), Record::Flow(Box::new(flow))).from(&before));
    let mut outcome = draft.finish(Reply::Object(id));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// Reverses a transfer, in full or in part.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn reverse_transfer(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    id: ObjectId,
    amount: Option<i64>,
    with_fee: bool,
) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let (_, mut flow) = load(facts, ctx, request.acting, &id)?;
    let key = RecordKey::of(&id);
    let slot = usize::from(id.slot);
    let (left, total, currency) = {
        let transfer = flow.transfers.get(slot).ok_or_else(|| no_such(ctx, "transfer", &id, "transfer"))?;
        (transfer.amount - transfer.amount_reversed, transfer.amount, transfer.currency)
    };
    if left == 0 {
        return Err(Refusal::new(format!("Transfer {} is already fully reversed.", ctx.ids.encode(&id))).into());
    }
    let minor = positive(amount.unwrap_or(left))?;
    if minor > left {
        let message = format!(
            "The reversal ({}) is greater than what is left of the transfer ({}).",
            Money::new(minor, currency).display_major(),
            Money::new(left, currency).display_major()
        );
        return Err(Refusal::new(message).param("amount").into());
    }
    let child = next_child(&mut flow)?;
    let at = RecordKey { birth: key.birth, child };
    let mut rows = Vec::new();
    let part = reverse(&mut draft, &mut flow, slot, at, minor, &mut rows)?;
    let fee_refund = match flow.transfers[slot].fee.as_ref().filter(|_| with_fee) {
        None => None,
        Some(fee) => {
            let portion = super::refund::Portion { part: minor, whole: total, complete: minor == left };
            let minor = portion.of(fee.amount, fee.amount - fee.amount_refunded);
            if minor == 0 { None } else { Some(refund_fee(&mut draft, &mut flow, id.slot, minor, &mut rows)?) }
        }
    };
    push_recent(&mut flow.transfers[slot].recent_reversals, child);
    tell_parts(&mut draft, flow.owner, key, at, std::slice::from_ref(&part), fee_refund.as_slice());
    let key_no = text_key(facts, &flow)?;
    let mut texts = Texts::default();
    texts.apply("", &request.texts);
    let private = draft.seal(key_no, &texts)?;
    let record = ReversalRecord { owner: flow.owner, made: draft.made(), part, fee_refund, rows, private };
    draft.change(Change::of(at, Record::Reversal(record)));
    draft.change(Change::of(key, Record::Flow(Box::new(flow))));
    let mut outcome = draft.finish(Reply::Object(at.id(ObjectKind::TransferReversal, id.slot)));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// Changes a reversal's metadata: also of one that a refund made.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn update_reversal(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, id: ObjectId) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let at = RecordKey::of(&id);
    let before = facts.record(at)?.ok_or_else(|| no_such(ctx, "transfer_reversal", &id, "id"))?;
    let key_no = flow_key(facts, id.birth)?;
    let prefix = if matches!(&*before, Record::Refund(_)) { format!("trr{}.", id.slot) } else { String::new() };
    let after = match before.as_ref().clone() {
        Record::Reversal(mut record) if record.owner == request.acting => {
            let mut texts = ctx.open(&record.private);
            texts.apply(&prefix, &request.texts);
            record.private = draft.seal(key_no, &texts)?;
            Record::Reversal(record)
        }
        Record::Refund(mut record) if record.owner == request.acting => {
            let mut texts = ctx.open(&record.private);
            texts.apply(&prefix, &request.texts);
            record.private = draft.seal(key_no, &texts)?;
            Record::Refund(record)
        }
        _ => return Err(no_such(ctx, "transfer_reversal", &id, "id")),
    };
    draft.change(Change::of(at, after));
    let mut outcome = draft.finish(Reply::Object(id));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// A transfer's flow, as it is and as a copy to change.
pub fn load(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    acting: AccountNo,
    id: &ObjectId,
) -> Result<(Shared, FlowRecord), Halt> {
    if let Some(record) = facts.record(RecordKey::of(id))?
        && let Record::Flow(flow) = &*record
        && flow.owner == acting
        && flow.transfers.len() > usize::from(id.slot)
    {
        let flow = flow.as_ref().clone();
        return Ok((Arc::clone(&record), flow));
    }
    Err(no_such(ctx, "transfer", id, "transfer"))
}

fn positive(minor: i64) -> Result<i64, Halt> {
    if minor >= 1 {
        return Ok(minor);
    }
    let message = "This value must be greater than or equal to 1.";
    Err(Refusal::new(message).code("parameter_invalid_integer").param("amount").into())
}

fn missing(param: &str) -> Halt {
    Refusal::new(format!("Missing required param: {param}.")).code("parameter_missing").param(param).into()
}
