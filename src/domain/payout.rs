//! Manual payouts (section 9.3): the balance drops when they are made, not when they arrive.

use std::sync::Arc;

use super::account;
use super::command::Request;
use super::decide::{Change, Context, Facts, Halt, Outcome, Refusal, Reply};
use super::draft::{Draft, RowSpec, out_of_range, source};
use super::due::{DueKey, DueKind};
use super::event::EventKind;
use super::record::{
    AccountRecord, BankOutcome, BankStatus, PayoutRecord, PayoutStatus, Record, RecordKey, RowKind, Shared, Slot,
};
use super::refund::{negative, no_such};
use super::seal::Texts;
use super::transfer::check_available;
use crate::ledger::{AccountNo, House, SourceType};
use crate::primitives::currency::Currency;
use crate::primitives::id::{ObjectId, ObjectKind};
use crate::primitives::money::Money;
use crate::primitives::time::Timestamp;

/// Arrivals have one place per payout in the due queue, so that canceling finds it.
const ARRIVAL: u16 = u16::MAX;

/// What a caller asks of a payout.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Minor units.
    pub amount: i64,
    /// In which currency.
    pub currency: Currency,
    /// To which external account; default: the currency's default one.
    pub destination: Option<ObjectId>,
    /// Which kind of money it draws on.
    pub source_type: SourceType,
}

/// Pays available money out to a bank account.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn create(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, asked: Asked) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let owner_record = account::load(facts, request.acting)?;
    let owner = account::of(&owner_record)?;
    let Asked { amount, currency, .. } = asked;
    if amount < 1 {
        let message = "This value must be greater than or equal to 1.";
        return Err(Refusal::new(message).code("parameter_invalid_integer").param("amount").into());
    }
    if amount % currency.payout_multiple() != 0 {
        let message = format!("Payouts in {currency} must be divisible by {}.", currency.payout_multiple());
        return Err(Refusal::new(message).code("parameter_invalid_integer").param("amount").into());
    }
    if !owner.payouts_enabled {
        let message = "Payouts are not enabled on this account: its `requirements` say what is missing.";
        return Err(Refusal::new(message).code("payouts_not_allowed").into());
    }
    let bank = bank(ctx, owner, request.acting, &asked)?;
    check_available(&draft, request.acting, currency, asked.source_type, amount)?;

    let key = RecordKey::head(ctx.seq);
    let money = Money::new(amount, currency);
    draft.house(House::Bank, money);
    let row = draft.row(RowSpec {
        account: request.acting,
        kind: RowKind::Payout,
        gross: negative(money)?,
        processing_fee: 0,
        application_fee: 0,
        source: source(ObjectKind::Payout, key, Slot::MAIN),
        available_on: draft.today(),
        source_type: asked.source_type,
        conversion: None,
    })?;
    let arrives = arrival(ctx, ctx.now)?;
    draft.schedule_as(arrives, ctx.seq, ARRIVAL, DueKind::PayoutArrives(ctx.seq));
    let id = key.id(ObjectKind::Payout, Slot::MAIN);
    draft.event(request.acting, EventKind::PayoutCreated, id);
    let mut texts = Texts::default();
    texts.apply("", &request.texts);
    let private = draft.seal(owner.key_no, &texts)?;
    let record = PayoutRecord {
        owner: request.acting,
        made: draft.made(),
        amount,
        currency,
        status: PayoutStatus::Pending,
        arrival_on: arrives.day(),
        bank,
        source_type: asked.source_type,
        failure: None,
        rows: vec![row],
        private,
    };
    draft.change(Change::of(key, Record::Payout(record)));
    let mut outcome = draft.finish(Reply::Object(id));
    outcome.text_key_no = owner.key_no;
    Ok(outcome)
}

fn arrival(ctx: &Context<'_>, made: Timestamp) -> Result<Timestamp, Halt> {
    made.plus_seconds(i64::from(ctx.tables.payout_arrival_s)).ok_or_else(out_of_range)
}

fn bank(ctx: &Context<'_>, owner: &AccountRecord, account: AccountNo, asked: &Asked) -> Result<u16, Halt> {
    let found = match asked.destination {
        Some(id) => {
            let index = usize::from(id.slot).checked_sub(1);
            let bank = index.and_then(|index| owner.external_accounts.get(index)).filter(|bank| !bank.deleted);
            if id.birth != account.0 || bank.is_none() {
                let message = format!("No such external account: '{}'", ctx.ids.encode(&id));
                return Err(Refusal::new(message).code("resource_missing").param("destination").into());
            }
            index
        }
        None => owner
            .external_accounts
            .iter()
            .position(|bank| bank.currency == asked.currency && bank.default_for_currency && !bank.deleted),
    };
    let usable = found.filter(|&index| owner.external_accounts[index].currency == asked.currency);
    usable.and_then(|index| u16::try_from(index).ok()).ok_or_else(|| {
        let message = format!("Sorry, you don't have any external accounts in that currency ({}).", asked.currency);
        Refusal::new(message).param("currency").into()
    })
}

/// Changes a payout's metadata.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn update(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, birth: u64) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let (before, mut payout) = load(facts, ctx, request.acting, birth)?;
    let key_no = account::of(&*account::load(facts, request.acting)?)?.key_no;
    let mut texts = ctx.open(&payout.private);
    texts.apply("", &request.texts);
    payout.private = draft.seal(key_no, &texts)?;
    let key = RecordKey::head(birth);
    let id = key.id(ObjectKind::Payout, Slot::MAIN);
    draft.event(payout.owner, EventKind::PayoutUpdated, id);
    draft.change(Change::of(key, Record::Payout(payout)).from(&before));
    let mut outcome = draft.finish(Reply::Object(id));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// Takes a payout back that has not been sent.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn cancel(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, birth: u64) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let (_, mut payout) = load(facts, ctx, request.acting, birth)?;
    if payout.status != PayoutStatus::Pending {
        let message = format!(
            "Payouts can only be canceled while they are pending. This one is {}.",
            payout.status.wire().replace('_', " ")
        );
        return Err(Refusal::new(message).into());
    }
    come_back(&mut draft, &mut payout, birth, RowKind::PayoutCancel)?;
    payout.status = PayoutStatus::Canceled;
    draft.unschedule(DueKey { at: arrival(ctx, payout.made.at)?, birth, ordinal: ARRIVAL });
    let key = RecordKey::head(birth);
    let id = key.id(ObjectKind::Payout, Slot::MAIN);
    draft.event(payout.owner, EventKind::PayoutCanceled, id);
    draft.change(Change::of(key, Record::Payout(payout)));
    Ok(draft.finish(Reply::Object(id)))
}

/// A payout reaches the bank, or the bank sends it back: the test number of the bank account decides (section 13.4).
///
/// # Errors
/// A missing fact.
pub fn arrive(facts: &dyn Facts, ctx: &Context<'_>, birth: u64) -> Result<Outcome, Halt> {
    let key = RecordKey::head(birth);
    let record = facts.record(key)?;
    let Some(Record::Payout(payout)) = record.as_deref() else { return Ok(Outcome::answer(Reply::Done)) };
    let mut payout = payout.clone();
    if payout.status != PayoutStatus::Pending {
        return Ok(Outcome::answer(Reply::Done));
    }
    let mut draft = Draft::new(facts, ctx);
    let owner_record = account::load(facts, payout.owner)?;
    let owner = account::of(&owner_record)?;
    let outcome = owner.external_accounts.get(usize::from(payout.bank)).map_or(BankOutcome::Paid, |bank| bank.outcome);
    let id = key.id(ObjectKind::Payout, Slot::MAIN);
    if outcome == BankOutcome::Paid {
        payout.status = PayoutStatus::Paid;
        draft.event(payout.owner, EventKind::PayoutPaid, id);
    } else {
        come_back(&mut draft, &mut payout, birth, RowKind::PayoutFailure)?;
        payout.status = PayoutStatus::Failed;
        payout.failure = Some(outcome);
        draft.event(payout.owner, EventKind::PayoutFailed, id);
        let mut after = owner.clone();
        if let Some(bank) = after.external_accounts.get_mut(usize::from(payout.bank)) {
            bank.status = BankStatus::Errored;
        }
        account::refresh(&mut after);
        let at = RecordKey::head(payout.owner.0);
        let bank_id = at.id(ObjectKind::BankAccount, payout.bank.saturating_add(1));
        draft.event(payout.owner, EventKind::ExternalAccountUpdated, bank_id);
        draft.change(Change::of(at, Record::Account(Box::new(after))).from(&owner_record));
    }
    draft.change(Change::of(key, Record::Payout(payout)));
    Ok(draft.finish(Reply::Done))
}

/// The money of a payout comes back to the balance, by a new row.
fn come_back(draft: &mut Draft<'_>, payout: &mut PayoutRecord, birth: u64, kind: RowKind) -> Result<(), Halt> {
    let money = Money::new(payout.amount, payout.currency);
    draft.house(House::Bank, negative(money)?);
    let row = draft.row(RowSpec {
        account: payout.owner,
        kind,
        gross: money,
        processing_fee: 0,
        application_fee: 0,
        source: source(ObjectKind::Payout, RecordKey::head(birth), Slot::MAIN),
        available_on: draft.today(),
        source_type: payout.source_type,
        conversion: None,
    })?;
    payout.rows.push(row);
    Ok(())
}

fn load(facts: &dyn Facts, ctx: &Context<'_>, acting: AccountNo, birth: u64) -> Result<(Shared, PayoutRecord), Halt> {
    let key = RecordKey::head(birth);
    if let Some(record) = facts.record(key)?
        && let Record::Payout(payout) = &*record
        && payout.owner == acting
    {
        let payout = payout.clone();
        return Ok((Arc::clone(&record), payout));
    }
    Err(no_such(ctx, "payout", &key.id(ObjectKind::Payout, Slot::MAIN), "payout"))
}

impl PayoutStatus {
    /// The status on the wire.
    pub fn wire(self) -> &'static str {
        match self {
            PayoutStatus::Pending => "pending",
            PayoutStatus::InTransit => "in_transit",
            PayoutStatus::Paid => "paid",
            PayoutStatus::Canceled => "canceled",
            PayoutStatus::Failed => "failed",
        }
    }
}
