//! Top-ups (section 9.9): money from a bank account into the platform's own balance.

use std::sync::Arc;

use super::account;
use super::command::{Request, TopupInput};
use super::decide::{Change, Context, Facts, Halt, Outcome, Refusal, Reply};
use super::draft::{Draft, RowSpec, out_of_range, source};
use super::due::{DueKey, DueKind};
use super::event::EventKind;
use super::method;
use super::record::{
    AccountRecord, BankOutcome, BankStatus, ExternalAccount, Made, Record, RecordKey, RowKind, Shared, Slot,
    TopupRecord, TopupStatus,
};
use super::refund::{negative, no_such};
use super::seal::Texts;
use crate::ledger::{AccountNo, House, SourceType};
use crate::primitives::id::{ObjectId, ObjectKind};
use crate::primitives::money::Money;
use crate::primitives::time::Timestamp;

/// Arrivals have one place per top-up in the due queue, so that canceling finds it.
const ARRIVAL: u16 = u16::MAX;

fn topup_id(birth: u64) -> ObjectId {
    RecordKey::head(birth).id(ObjectKind::Topup, Slot::MAIN)
}

/// Asks a bank for money. Nothing moves before it arrives.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn create(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, input: &TopupInput) -> Result<Outcome, Halt> {
    if !request.acting.is_platform() {
        let message = "Top-ups go to the platform's own balance. Leave the Stripe-Account header out.";
        return Err(Refusal::new(message).code("platform_account_required").into());
    }
    let mut draft = Draft::new(facts, ctx);
    let owner_record = account::load(facts, request.acting)?;
    let owner = account::of(&owner_record)?;
    let currency = input.currency;
    if input.amount < 1 {
        let message = "This value must be greater than or equal to 1.";
        return Err(Refusal::new(message).code("parameter_invalid_integer").param("amount").into());
    }
    if !account::settles(owner, currency) {
        let message = format!(
            "The platform holds no balance in {currency}. Top up in {}, or add a bank account in {currency} first.",
            owner.default_currency
        );
        return Err(Refusal::new(message).param("currency").into());
    }
    let bank = bank(&mut draft, request, owner, input)?;
    let expected = arrival(ctx, ctx.now)?;
    let key = RecordKey::head(ctx.seq);
    let mut texts = Texts::default();
    texts.apply("", &request.texts);
    let private = draft.seal(owner.key_no, &texts)?;
    draft.schedule_as(expected, ctx.seq, ARRIVAL, DueKind::TopupArrives(ctx.seq));
    draft.event(request.acting, EventKind::TopupCreated, topup_id(ctx.seq));
    let record = TopupRecord {
        owner: request.acting,
        made: draft.made(),
        amount: input.amount,
        currency,
        status: TopupStatus::Pending,
        expected_on: expected.day(),
        bank,
        failure: None,
        rows: Vec::new(),
        private,
        returns: input.returns,
    };
    draft.change(Change::of(key, Record::Topup(Box::new(record))));
    let mut outcome = draft.finish(Reply::Object(topup_id(ctx.seq)));
    outcome.text_key_no = owner.key_no;
    Ok(outcome)
}

fn arrival(ctx: &Context<'_>, made: Timestamp) -> Result<Timestamp, Halt> {
    made.plus_seconds(i64::from(ctx.tables.payout_arrival_s)).ok_or_else(out_of_range)
}

fn bank(
    draft: &mut Draft<'_>,
    request: &Request,
    owner: &AccountRecord,
    input: &TopupInput,
) -> Result<ExternalAccount, Halt> {
    let made: Made = draft.made();
    if let Some(birth) = input.token {
        let (bank, _, used) = method::take_external_token(draft.facts, draft.ctx, request.acting, birth, "source")?;
        if bank.card.is_some() {
            let message = "This token holds a card; a token of a bank account is needed here.";
            return Err(Refusal::new(message).param("source").into());
        }
        draft.change(used);
        return check_currency(bank, input);
    }
    if let Some(bank) = &input.bank {
        return check_currency(ExternalAccount { made, ..(**bank).clone() }, input);
    }
    let fits = |bank: &&ExternalAccount| {
        !bank.deleted
            && bank.card.is_none()
            && bank.default_for_currency
            && bank.currency == input.currency
            && bank.status == BankStatus::New
    };
    owner.external_accounts.iter().find(fits).cloned().ok_or_else(|| {
        let message = format!("The platform has no bank account in {}: give a `source`.", input.currency);
        Refusal::new(message).code("parameter_missing").param("source").into()
    })
}

fn check_currency(bank: ExternalAccount, input: &TopupInput) -> Result<ExternalAccount, Halt> {
    if bank.currency == input.currency {
        return Ok(bank);
    }
    let message = format!("This bank account is in {}; the top-up is in {}.", bank.currency, input.currency);
    Err(Refusal::new(message).param("currency").into())
}

fn load(facts: &dyn Facts, ctx: &Context<'_>, acting: AccountNo, birth: u64) -> Result<(Shared, TopupRecord), Halt> {
    if let Some(record) = facts.record(RecordKey::head(birth))?
        && let Record::Topup(topup) = &*record
        && topup.owner == acting
    {
        let topup = topup.as_ref().clone();
        return Ok((Arc::clone(&record), topup));
    }
    Err(no_such(ctx, "topup", &topup_id(birth), "topup"))
}

/// Changes a top-up's description and metadata.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn update(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, birth: u64) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let (before, mut topup) = load(facts, ctx, request.acting, birth)?;
    let key_no = account::of(&*account::load(facts, request.acting)?)?.key_no;
    let mut texts = ctx.open(&topup.private);
    texts.apply("", &request.texts);
    topup.private = draft.seal(key_no, &texts)?;
    draft.change(Change::of(RecordKey::head(birth), Record::Topup(Box::new(topup))).from(&before));
    let mut outcome = draft.finish(Reply::Object(topup_id(birth)));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// Takes a top-up back before its money has arrived.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn cancel(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, birth: u64) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let (_, mut topup) = load(facts, ctx, request.acting, birth)?;
    if topup.status != TopupStatus::Pending {
        let message =
            format!("Top-ups can only be canceled while they are pending. This one is {}.", topup.status.wire());
        return Err(Refusal::new(message).param("topup").into());
    }
    topup.status = TopupStatus::Canceled;
    draft.unschedule(DueKey { at: arrival(ctx, topup.made.at)?, birth, ordinal: ARRIVAL });
    draft.event(topup.owner, EventKind::TopupCanceled, topup_id(birth));
    draft.change(Change::of(RecordKey::head(birth), Record::Topup(Box::new(topup))));
    Ok(draft.finish(Reply::Object(topup_id(birth))))
}

fn of_due(facts: &dyn Facts, birth: u64, status: TopupStatus) -> Result<Option<TopupRecord>, Halt> {
    let record = facts.record(RecordKey::head(birth))?;
    let Some(Record::Topup(topup)) = record.as_deref() else { return Ok(None) };
    Ok((topup.status == status).then(|| topup.as_ref().clone()))
}

/// The bank pays, or says why not.
///
/// # Errors
/// A missing fact.
pub fn arrive(facts: &dyn Facts, ctx: &Context<'_>, birth: u64) -> Result<Outcome, Halt> {
    let Some(mut topup) = of_due(facts, birth, TopupStatus::Pending)? else {
        return Ok(Outcome::answer(Reply::Done));
    };
    let mut draft = Draft::new(facts, ctx);
    if topup.bank.outcome == BankOutcome::Paid {
        let money = Money::new(topup.amount, topup.currency);
        post(&mut draft, &mut topup, birth, RowKind::Topup, money)?;
        topup.status = TopupStatus::Succeeded;
        draft.event(topup.owner, EventKind::TopupSucceeded, topup_id(birth));
        if topup.returns == Some(true) {
            draft.schedule_as(arrival(ctx, ctx.now)?, birth, ARRIVAL, DueKind::TopupReturns(birth));
        }
    } else {
        topup.status = TopupStatus::Failed;
        topup.failure = Some(topup.bank.outcome);
        draft.event(topup.owner, EventKind::TopupFailed, topup_id(birth));
    }
    draft.change(Change::of(RecordKey::head(birth), Record::Topup(Box::new(topup))));
    Ok(draft.finish(Reply::Done))
}

/// The bank takes back what it paid.
///
/// # Errors
/// A missing fact.
pub fn give_back(facts: &dyn Facts, ctx: &Context<'_>, birth: u64) -> Result<Outcome, Halt> {
    let Some(mut topup) = of_due(facts, birth, TopupStatus::Succeeded)? else {
        return Ok(Outcome::answer(Reply::Done));
    };
    let mut draft = Draft::new(facts, ctx);
    let money = negative(Money::new(topup.amount, topup.currency))?;
    post(&mut draft, &mut topup, birth, RowKind::TopupReversal, money)?;
    topup.status = TopupStatus::Reversed;
    draft.event(topup.owner, EventKind::TopupReversed, topup_id(birth));
    draft.change(Change::of(RecordKey::head(birth), Record::Topup(Box::new(topup))));
    Ok(draft.finish(Reply::Done))
}

/// Money comes from the bank; negative: goes back to it. It is card money, so that transfers find it without asking.
fn post(draft: &mut Draft<'_>, topup: &mut TopupRecord, birth: u64, kind: RowKind, money: Money) -> Result<(), Halt> {
    draft.house(House::Bank, negative(money)?);
    let row = draft.row(RowSpec {
        account: topup.owner,
        kind,
        gross: money,
        processing_fee: 0,
        application_fee: 0,
        source: source(ObjectKind::Topup, RecordKey::head(birth), Slot::MAIN),
        available_on: draft.today(),
        source_type: SourceType::Card,
        conversion: None,
    })?;
    topup.rows.push(row);
    Ok(())
}

impl TopupStatus {
    /// The status on the wire.
    pub fn wire(self) -> &'static str {
        match self {
            TopupStatus::Pending => "pending",
            TopupStatus::Succeeded => "succeeded",
            TopupStatus::Failed => "failed",
            TopupStatus::Canceled => "canceled",
            TopupStatus::Reversed => "reversed",
        }
    }
}
