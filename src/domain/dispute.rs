//! Disputes (section 8): inquiries, which move nothing, and chargebacks, which take the money while they run.
//!
//! Who owns the charge answers and is debited: the connected account of a direct charge, else the platform. What a
//! chargeback took lies in the house's `disputes` until it is decided: won, it goes back to the owner; lost, it goes
//! to the card networks. What the platform takes back from its sellers for it is the platform's own affair.

use std::sync::Arc;

use super::account;
use super::command::{Request, Verdict};
use super::decide::{Change, Context, Facts, Halt, Outcome, Refusal, Reply};
use super::draft::{Draft, RowSpec, out_of_range, source};
use super::due::{DueKey, DueKind};
use super::event::EventKind;
use super::record::{
    Brand, Charge, DisputeCase, DisputeReason, DisputeRecord, DisputeStatus, Disputes, Enhanced, EvidenceWords,
    FeesPayer, FlowRecord, Recipe, Record, RecordKey, Row, RowKind, Shared, Slot, Taken,
};
use super::refund::{flow_key, negative, next_child, no_such};
use super::seal::{Sealed, Texts};
use super::settle::{scale, settlement_currency};
use crate::ledger::{AccountNo, FeeKind, House, SourceType};
use crate::primitives::currency::Currency;
use crate::primitives::id::{ObjectId, ObjectKind};
use crate::primitives::money::Money;
use crate::primitives::time::Timestamp;

/// Days to answer a dispute: until the last second of that day.
pub const ANSWER_DAYS: i32 = 9;
/// Days after which an inquiry that did not become a chargeback is closed.
pub const INQUIRY_DAYS: i32 = 120;
/// Characters of all evidence together.
pub const EVIDENCE_CHARS_MAX: usize = 150_000;

/// What an update gives.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    /// Whether to submit; `None`: if there is evidence in the call.
    pub submit: Option<bool>,
    /// Whether there is.
    pub evidence: bool,
    /// What its test words ask for.
    pub words: Option<EvidenceWords>,
}

/// What a payer claims of a charge.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Minor units of the presentment currency; `None`: all that is left.
    pub amount: Option<i64>,
    /// Why.
    pub reason: DisputeReason,
    /// Only an inquiry.
    pub inquiry: bool,
}

// ---------------------------------------------------------------------------------------------------------------
// Opening

/// The disputes that a test card's charge of `amount` runs into: amount, reason, case, special evidence.
fn claims_of(card: Recipe, amount: i64, multiple: i64) -> Vec<(i64, DisputeReason, DisputeCase, Option<Enhanced>)> {
    use DisputeCase::{Chargeback, Compliance, Inquiry};
    use DisputeReason::{Fraudulent, Noncompliant, ProductNotReceived};
    let claims = match card {
        Recipe::Dispute => vec![(amount, Fraudulent, Chargeback, None)],
        Recipe::DisputeNotReceived => vec![(amount, ProductNotReceived, Chargeback, None)],
        Recipe::DisputeInquiry => vec![(amount, Fraudulent, Inquiry, None)],
        Recipe::DisputeCe3 => vec![(amount, Fraudulent, Chargeback, Some(Enhanced::VisaCe3))],
        Recipe::DisputeCompliance => vec![(amount, Noncompliant, Compliance, None)],
        Recipe::DisputeTwice => {
            // Two halves; an odd unit is with the later one.
            let half = amount / multiple / 2 * multiple;
            vec![(half, Fraudulent, Chargeback, None), (amount - half, Fraudulent, Chargeback, None)]
        }
        _ => Vec::new(),
    };
    claims.into_iter().filter(|&(amount, ..)| amount > 0).collect()
}

/// A captured charge of a test card that disputes makes the due item of its dispute.
///
/// # Errors
/// A time out of range.
pub fn expect(draft: &mut Draft<'_>, card: Recipe, key: RecordKey) -> Result<(), Halt> {
    if claims_of(card, 1, 1).is_empty() {
        return Ok(());
    }
    let at = delayed(draft)?;
    draft.schedule(at, DueKind::DisputeOpens(key.birth));
    Ok(())
}

/// What a test's outside world needs to react.
fn delayed(draft: &Draft<'_>) -> Result<Timestamp, Halt> {
    let seconds = draft.ctx.tables.dispute_delay_s.unwrap_or(0);
    draft.ctx.now.plus_seconds(i64::from(seconds)).ok_or_else(out_of_range)
}

/// The payer of a test card disputes, if anything is left to dispute.
///
/// # Errors
/// Missing facts.
pub fn open_by_card(facts: &dyn Facts, ctx: &Context<'_>, birth: u64) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let key = RecordKey::head(birth);
    let Some(record) = facts.record(key)? else { return Ok(Outcome::answer(Reply::Done)) };
    let Record::Flow(flow) = &*record else { return Ok(Outcome::answer(Reply::Done)) };
    let mut flow = flow.as_ref().clone();
    let claims = match &flow.charge {
        Some(charge) if charge.captured && charge.disputes.is_none() => {
            claims_of(charge.card.recipe, charge.disputable(), charge.currency.charge_multiple())
        }
        _ => Vec::new(),
    };
    if claims.is_empty() {
        return Ok(Outcome::answer(Reply::Done));
    }
    for (amount, reason, case, enhanced) in claims {
        let enhanced = if case == DisputeCase::Compliance { compliance(&flow) } else { enhanced };
        open_one(&mut draft, &mut flow, key, (amount, reason, case, enhanced))?;
    }
    draft.change(Change::of(key, Record::Flow(Box::new(flow))));
    Ok(draft.finish(Reply::Done))
}

fn compliance(flow: &FlowRecord) -> Option<Enhanced> {
    match flow.charge.as_ref().map(|charge| charge.card.brand) {
        Some(Brand::Mastercard) => Some(Enhanced::MastercardCompliance),
        _ => Some(Enhanced::VisaCompliance),
    }
}

/// Opens a dispute on demand.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn open(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    id: ObjectId,
    claim: Claim,
) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let key = RecordKey::head(id.birth);
    let found = facts.record(key)?;
    let mut flow = match found.as_deref() {
        Some(Record::Flow(flow))
            if flow.owner == request.acting && flow.charge.as_ref().is_some_and(|c| c.attempt == id.slot) =>
        {
            flow.as_ref().clone()
        }
        _ => return Err(no_such(ctx, "charge", &id, "charge")),
    };
    let charge = flow.charge.as_ref().ok_or_else(out_of_range)?;
    if !charge.captured {
        let message = "Only a captured charge can be disputed: this one took no money.";
        return Err(Refusal::new(message).param("charge").into());
    }
    if charge.disputes.as_ref().is_some_and(|disputes| disputes.inquiry.is_some()) {
        let message = "An inquiry about this charge is open: escalate it, or wait until it is closed.";
        return Err(Refusal::new(message).param("charge").into());
    }
    let left = charge.disputable();
    let amount = claim.amount.unwrap_or(left);
    if amount < 1 || amount > left || amount % charge.currency.charge_multiple() != 0 {
        let message = format!(
            "A dispute of {} cannot be: {} of this charge are neither refunded nor charged back.",
            Money::new(amount, charge.currency).display_major(),
            Money::new(left, charge.currency).display_major()
        );
        return Err(Refusal::new(message).param("amount").into());
    }
    let (case, enhanced) = match (claim.inquiry, claim.reason) {
        (true, _) => (DisputeCase::Inquiry, None),
        (false, DisputeReason::Noncompliant) => (DisputeCase::Compliance, compliance(&flow)),
        (false, _) => (DisputeCase::Chargeback, None),
    };
    let at = open_one(&mut draft, &mut flow, key, (amount, claim.reason, case, enhanced))?;
    draft.change(Change::of(key, Record::Flow(Box::new(flow))));
    Ok(draft.finish(Reply::Object(dispute_id(at))))
}

fn open_one(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    key: RecordKey,
    (amount, reason, case, enhanced): (i64, DisputeReason, DisputeCase, Option<Enhanced>),
) -> Result<RecordKey, Halt> {
    let at = RecordKey { birth: key.birth, child: next_child(flow)? };
    let (attempt, currency) = {
        let charge = flow.charge.as_mut().ok_or_else(out_of_range)?;
        let disputes =
            charge.disputes.get_or_insert_with(|| Box::new(Disputes { latest: 0, charged_back: 0, inquiry: None }));
        disputes.latest = at.child;
        if case == DisputeCase::Inquiry {
            disputes.inquiry = Some(at.child);
        }
        (charge.attempt, charge.currency)
    };
    let mut dispute = DisputeRecord {
        owner: flow.owner,
        made: draft.made(),
        charge_attempt: attempt,
        amount,
        currency,
        reason,
        case,
        status: DisputeStatus::WarningNeedsResponse,
        due_by: answer_until(draft.ctx.now)?,
        deadline: None,
        review: None,
        has_evidence: false,
        submissions: 0,
        words: EvidenceWords::None,
        taken: None,
        enhanced,
        rows: Vec::new(),
        private: Sealed::default(),
    };
    draft.event(flow.owner, EventKind::DisputeCreated, dispute_id(at));
    if case == DisputeCase::Inquiry {
        let end = draft.ctx.now.plus_days(INQUIRY_DAYS).ok_or_else(out_of_range)?;
        dispute.deadline = Some(draft.schedule(end, DueKind::DisputeEnds(at)));
    } else {
        charge_back(draft, flow, &mut dispute, at)?;
    }
    draft.change(Change::of(at, Record::Dispute(dispute)));
    Ok(at)
}

/// The last second of the last day to answer.
fn answer_until(now: Timestamp) -> Result<Timestamp, Halt> {
    let after = now.day().plus_days(ANSWER_DAYS + 1).ok_or_else(out_of_range)?;
    after.midnight().plus_seconds(-1).ok_or_else(out_of_range)
}

// ---------------------------------------------------------------------------------------------------------------
// Answering

/// Gives evidence or metadata; evidence is submitted at once or staged.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn update(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    id: ObjectId,
    given: Given,
) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let at = RecordKey::of(&id);
    let (before, mut dispute) = load(facts, ctx, request.acting, &id)?;
    let submits = given.submit.unwrap_or(given.evidence);
    if (given.evidence || submits) && !awaits_answer(dispute.status) {
        let message = format!(
            "This dispute takes no evidence: its status is {}. Evidence is given while it is needs_response or \
             warning_needs_response, and submitted once.",
            dispute.status.wire()
        );
        return Err(Refusal::new(message).param("evidence").into());
    }
    let key_no = flow_key(facts, id.birth)?;
    let mut texts = ctx.open(&dispute.private);
    texts.apply("", &request.texts);
    if given.evidence {
        check_evidence(&texts)?;
        dispute.has_evidence = texts.under("evidence[").next().is_some();
        dispute.words = given.words.unwrap_or(dispute.words);
    }
    if submits {
        submit(&mut draft, &mut dispute, at, &texts)?;
    }
    dispute.private = draft.seal(key_no, &texts)?;
    draft.event(dispute.owner, EventKind::DisputeUpdated, id);
    draft.change(Change::of(at, Record::Dispute(dispute)).from(&before));
    let mut outcome = draft.finish(Reply::Object(id));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

fn check_evidence(texts: &Texts) -> Result<(), Halt> {
    let chars: usize = texts.under("evidence[").map(|(_, text)| text.chars().count()).sum();
    if chars <= EVIDENCE_CHARS_MAX {
        return Ok(());
    }
    let message = format!(
        "The evidence has {chars} characters in all, of which at most {EVIDENCE_CHARS_MAX} are taken. Shorten its texts."
    );
    Err(Refusal::new(message).param("evidence").into())
}

/// Evidence goes to the issuer, once. Test words let it decide; without them the case stays under review.
fn submit(draft: &mut Draft<'_>, dispute: &mut DisputeRecord, at: RecordKey, texts: &Texts) -> Result<(), Halt> {
    if !dispute.has_evidence {
        let message = "There is no evidence to submit. Give `evidence`, or close the dispute to accept its loss.";
        return Err(Refusal::new(message).param("submit").into());
    }
    if let Some(network) = dispute.enhanced.and_then(acknowledged_by)
        && texts.get(&format!("evidence[enhanced_evidence][{network}][fee_acknowledged]")) != Some("true")
    {
        let param = format!("evidence[enhanced_evidence][{network}][fee_acknowledged]");
        let message = format!(
            "Answering this dispute costs the network's fee when it is lost. Acknowledge that with {param}=true, or \
             close the dispute."
        );
        return Err(Refusal::new(message).param(&param).into());
    }
    dispute.submissions = dispute.submissions.saturating_add(1);
    if dispute.case == DisputeCase::Inquiry {
        dispute.status = DisputeStatus::WarningUnderReview;
    } else {
        dispute.status = DisputeStatus::UnderReview;
        forget(draft, &mut dispute.deadline);
        counter(draft, dispute, at)?;
    }
    let decides = match dispute.words {
        EvidenceWords::Winning | EvidenceWords::Losing => true,
        EvidenceWords::Escalating => dispute.case == DisputeCase::Inquiry,
        EvidenceWords::None => false,
    };
    if decides {
        let then = delayed(draft)?;
        dispute.review = Some(draft.schedule(then, DueKind::DisputeDecided(at)));
    }
    Ok(())
}

/// Where a network's fee for compliance cases is acknowledged.
fn acknowledged_by(enhanced: Enhanced) -> Option<&'static str> {
    match enhanced {
        Enhanced::VisaCe3 => None,
        Enhanced::VisaCompliance => Some("visa_compliance"),
        Enhanced::MastercardCompliance => Some("mastercard_compliance"),
    }
}

/// Accepts the loss of a chargeback.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn close(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, id: ObjectId) -> Result<Outcome, Halt> {
    let (_, dispute) = load(facts, ctx, request.acting, &id)?;
    if dispute.status != DisputeStatus::NeedsResponse {
        let message = format!(
            "Only a dispute with the status needs_response can be closed; this one is {}.",
            dispute.status.wire()
        );
        return Err(Refusal::new(message).into());
    }
    settle(facts, ctx, &id, dispute, Verdict::Lost, None, Reply::Object(id))
}

// ---------------------------------------------------------------------------------------------------------------
// Ending

/// Nobody answered in time, or an inquiry came to nothing.
///
/// # Errors
/// A missing fact.
pub fn end(facts: &dyn Facts, ctx: &Context<'_>, at: RecordKey) -> Result<Outcome, Halt> {
    let Some(Record::Dispute(dispute)) = facts.record(at)?.as_deref().cloned() else {
        return Ok(Outcome::answer(Reply::Done));
    };
    if !is_open(dispute.status) {
        return Ok(Outcome::answer(Reply::Done));
    }
    let dispute = DisputeRecord { deadline: None, ..dispute };
    settle(facts, ctx, &dispute_id(at), dispute, Verdict::Lost, None, Reply::Done)
}

/// The issuer has read the evidence.
///
/// # Errors
/// A missing fact.
pub fn decided(facts: &dyn Facts, ctx: &Context<'_>, at: RecordKey) -> Result<Outcome, Halt> {
    let Some(before) = facts.record(at)? else { return Ok(Outcome::answer(Reply::Done)) };
    let Record::Dispute(dispute) = &*before else { return Ok(Outcome::answer(Reply::Done)) };
    let verdict = match dispute.words {
        EvidenceWords::Winning => Verdict::Won,
        EvidenceWords::Losing => Verdict::Lost,
        EvidenceWords::Escalating => Verdict::Escalated,
        EvidenceWords::None => return Ok(Outcome::answer(Reply::Done)),
    };
    if !is_open(dispute.status) {
        return Ok(Outcome::answer(Reply::Done));
    }
    let dispute = DisputeRecord { review: None, ..dispute.clone() };
    settle(facts, ctx, &dispute_id(at), dispute, verdict, Some(before), Reply::Done)
}

/// Decides a dispute on demand.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn decide(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    id: ObjectId,
    verdict: Verdict,
) -> Result<Outcome, Halt> {
    let (before, dispute) = load(facts, ctx, request.acting, &id)?;
    if !is_open(dispute.status) {
        let message = format!("This dispute has been decided: it is {}.", dispute.status.wire());
        return Err(Refusal::new(message).into());
    }
    if verdict == Verdict::Escalated && dispute.case != DisputeCase::Inquiry {
        return Err(Refusal::new("Only an inquiry can be escalated; this dispute is a chargeback already.").into());
    }
    settle(facts, ctx, &id, dispute, verdict, Some(before), Reply::Object(id))
}

/// Applies a verdict to an open dispute and its charge.
fn settle(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    id: &ObjectId,
    mut dispute: DisputeRecord,
    verdict: Verdict,
    before: Option<Shared>,
    reply: Reply,
) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let (at, key) = (RecordKey::of(id), RecordKey::head(id.birth));
    let Some(Record::Flow(flow)) = facts.record(key)?.as_deref().cloned() else {
        return Err(no_such(ctx, "dispute", id, "dispute"));
    };
    let mut flow = *flow;
    let owner = dispute.owner;
    forget(&mut draft, &mut dispute.deadline);
    forget(&mut draft, &mut dispute.review);
    let mut change_before = None;
    match (dispute.case, verdict) {
        (DisputeCase::Inquiry, Verdict::Escalated) => {
            close_inquiry(&mut flow);
            dispute.case = DisputeCase::Chargeback;
            dispute.words = EvidenceWords::None;
            dispute.due_by = answer_until(ctx.now)?;
            draft.event(owner, EventKind::DisputeUpdated, *id);
            charge_back(&mut draft, &mut flow, &mut dispute, at)?;
            change_before = before;
        }
        (DisputeCase::Inquiry, Verdict::Won | Verdict::Lost) => {
            close_inquiry(&mut flow);
            dispute.status = DisputeStatus::WarningClosed;
            draft.event(owner, EventKind::DisputeClosed, *id);
        }
        (DisputeCase::Chargeback | DisputeCase::Compliance, Verdict::Won) => {
            dispute.status = DisputeStatus::Won;
            give_back(&mut draft, &mut flow, &mut dispute, at)?;
            draft.event(owner, EventKind::DisputeClosed, *id);
            draft.event(owner, EventKind::DisputeFundsReinstated, *id);
        }
        (DisputeCase::Chargeback | DisputeCase::Compliance, Verdict::Lost | Verdict::Escalated) => {
            dispute.status = DisputeStatus::Lost;
            pay_out(&mut draft, &flow, &dispute)?;
            draft.event(owner, EventKind::DisputeClosed, *id);
        }
    }
    let change = Change::of(at, Record::Dispute(dispute));
    draft.change(match &change_before {
        Some(before) => change.from(before),
        None => change,
    });
    draft.change(Change::of(key, Record::Flow(Box::new(flow))));
    Ok(draft.finish(reply))
}

fn close_inquiry(flow: &mut FlowRecord) {
    if let Some(disputes) = flow.charge.as_mut().and_then(|charge| charge.disputes.as_mut()) {
        disputes.inquiry = None;
    }
}

fn forget(draft: &mut Draft<'_>, due: &mut Option<DueKey>) {
    if let Some(key) = due.take() {
        draft.unschedule(key);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Refunds

/// No refund of a charge under a chargeback that is open or lost: the payer has the money already.
///
/// # Errors
/// 400 `charge_disputed`.
pub fn refuse_refund(ctx: &Context<'_>, flow: &FlowRecord, key: RecordKey) -> Result<(), Halt> {
    match flow.charge.as_ref().filter(|charge| charge.charged_back() > 0) {
        None => Ok(()),
        Some(charge) => {
            let id = ctx.ids.encode(&key.id(ObjectKind::Charge, charge.attempt));
            let message = format!("Charge {id} has been charged back; cannot issue a refund.");
            Err(Refusal::new(message).code("charge_disputed").into())
        }
    }
}

/// A full refund answers an inquiry for good.
///
/// # Errors
/// A missing fact.
pub fn close_refunded(draft: &mut Draft<'_>, flow: &mut FlowRecord, key: RecordKey) -> Result<(), Halt> {
    let Some(charge) = flow.charge.as_ref().filter(|charge| charge.refundable() == 0) else { return Ok(()) };
    let Some(child) = charge.disputes.as_ref().and_then(|disputes| disputes.inquiry) else { return Ok(()) };
    let at = RecordKey { birth: key.birth, child };
    if let Some(Record::Dispute(mut dispute)) = draft.facts.record(at)?.as_deref().cloned() {
        forget(draft, &mut dispute.deadline);
        forget(draft, &mut dispute.review);
        dispute.status = DisputeStatus::WarningClosed;
        draft.event(dispute.owner, EventKind::DisputeClosed, dispute_id(at));
        draft.change(Change::of(at, Record::Dispute(dispute)));
    }
    close_inquiry(flow);
    Ok(())
}

// ---------------------------------------------------------------------------------------------------------------
// Money

/// The chargeback takes its amount from the owner and its fee from who pays fees; an answer is due.
fn charge_back(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    dispute: &mut DisputeRecord,
    at: RecordKey,
) -> Result<(), Halt> {
    dispute.status = DisputeStatus::NeedsResponse;
    let end = dispute.due_by.plus_seconds(1).ok_or_else(out_of_range)?;
    dispute.deadline = Some(draft.schedule(end, DueKind::DisputeEnds(at)));
    let (settled, on) = {
        let charge = flow.charge.as_ref().ok_or_else(out_of_range)?;
        // What was refunded while it was an inquiry is the payer's already.
        dispute.amount = dispute.amount.min(charge.disputable());
        (settled_part(flow, charge, dispute.amount)?, charge.available_on.unwrap_or(draft.today()).max(draft.today()))
    };
    let (payer, fee_currency) = fee_payer(draft, dispute.owner, settled.currency())?;
    let fee = draft.ctx.tables.dispute_fee(fee_currency);
    let own_fee = payer == dispute.owner;
    draft.house(House::Disputes, settled);
    dispute.rows.push(draft.row(RowSpec {
        account: dispute.owner,
        kind: RowKind::Dispute,
        gross: negative(settled)?,
        processing_fee: if own_fee { fee } else { 0 },
        application_fee: 0,
        source: source(ObjectKind::Dispute, at, Slot::MAIN),
        available_on: on,
        source_type: SourceType::Card,
        conversion: None,
    })?);
    let (amount, currency) = (settled.minor(), settled.currency());
    let taken = Taken { amount, currency, payer, fee, counter_fee: 0, fee_currency };
    if !own_fee {
        fee_row(draft, dispute, &taken, at, RowKind::DisputeFee, fee)?;
    }
    dispute.taken = Some(taken);
    if let Some(disputes) = flow.charge.as_mut().and_then(|charge| charge.disputes.as_mut()) {
        disputes.charged_back = disputes.charged_back.checked_add(dispute.amount).ok_or_else(out_of_range)?;
    }
    draft.event(dispute.owner, EventKind::DisputeFundsWithdrawn, dispute_id(at));
    Ok(())
}

/// Won: the owner gets back exactly what was taken.
fn give_back(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    dispute: &mut DisputeRecord,
    at: RecordKey,
) -> Result<(), Halt> {
    let taken = dispute.taken.ok_or_else(out_of_range)?;
    let settled = Money::new(taken.amount, taken.currency);
    let fee_back = if draft.ctx.tables.dispute_fee_returned == Some(true) { taken.fee } else { 0 };
    let own_fee = taken.payer == dispute.owner;
    let on = flow.charge.as_ref().and_then(|charge| charge.available_on).unwrap_or(draft.today()).max(draft.today());
    draft.house(House::Disputes, negative(settled)?);
    dispute.rows.push(draft.row(RowSpec {
        account: dispute.owner,
        kind: RowKind::DisputeReversal,
        gross: settled,
        processing_fee: if own_fee { -fee_back } else { 0 },
        application_fee: 0,
        source: source(ObjectKind::Dispute, at, Slot::MAIN),
        available_on: on,
        source_type: SourceType::Card,
        conversion: None,
    })?);
    if !own_fee && fee_back > 0 {
        fee_row(draft, dispute, &taken, at, RowKind::DisputeFee, -fee_back)?;
    }
    if taken.counter_fee > 0 {
        fee_row(draft, dispute, &taken, at, RowKind::DisputeCounterFee, -taken.counter_fee)?;
    }
    if let Some(disputes) = flow.charge.as_mut().and_then(|charge| charge.disputes.as_mut()) {
        disputes.charged_back -= dispute.amount;
    }
    Ok(())
}

/// Lost: what was held goes to the card networks, in the currency that the payer had paid in.
fn pay_out(draft: &mut Draft<'_>, flow: &FlowRecord, dispute: &DisputeRecord) -> Result<(), Halt> {
    let taken = dispute.taken.ok_or_else(out_of_range)?;
    let (held, paid) = (Money::new(taken.amount, taken.currency), Money::new(dispute.amount, dispute.currency));
    let rail = flow.charge.as_ref().ok_or_else(out_of_range)?.rail;
    draft.house(House::Disputes, negative(held)?);
    draft.house(House::Clearing(rail), paid);
    if held.currency() != paid.currency() {
        draft.house(House::Fx, held);
        draft.house(House::Fx, negative(paid)?);
    }
    Ok(())
}

/// What answering a chargeback costs, where anything; not in Mexico and Japan.
fn counter(draft: &mut Draft<'_>, dispute: &mut DisputeRecord, at: RecordKey) -> Result<(), Halt> {
    let Some(taken) = dispute.taken else { return Ok(()) };
    let fee = draft.ctx.tables.dispute_counter_fee(taken.fee_currency);
    let owner_record = draft.account_record(dispute.owner)?;
    if fee == 0 || matches!(account::of(&owner_record)?.country.code(), "MX" | "JP") {
        return Ok(());
    }
    fee_row(draft, dispute, &taken, at, RowKind::DisputeCounterFee, fee)?;
    dispute.taken = Some(Taken { counter_fee: fee, ..taken });
    Ok(())
}

/// A fee in a row of its own, or (negative) its return.
fn fee_row(
    draft: &mut Draft<'_>,
    dispute: &mut DisputeRecord,
    taken: &Taken,
    at: RecordKey,
    kind: RowKind,
    fee: i64,
) -> Result<(), Halt> {
    let fee = Money::new(fee, taken.fee_currency);
    draft.house(House::Fees(FeeKind::Dispute), fee);
    let row: Row = draft.row(RowSpec {
        account: taken.payer,
        kind,
        gross: negative(fee)?,
        processing_fee: 0,
        application_fee: 0,
        source: source(ObjectKind::Dispute, at, Slot::MAIN),
        available_on: draft.today(),
        source_type: SourceType::Card,
        conversion: None,
    })?;
    dispute.rows.push(row);
    Ok(())
}

/// Who pays the dispute fee, and in which currency: the owner, in the currency that the charge settled in; for an
/// account whose fees the platform pays, the platform, in that currency if it settles it.
fn fee_payer(draft: &Draft<'_>, owner: AccountNo, settled_in: Currency) -> Result<(AccountNo, Currency), Halt> {
    if owner.is_platform() {
        return Ok((owner, settled_in));
    }
    let record = draft.account_record(owner)?;
    if account::of(&record)?.controller.fees != FeesPayer::Application {
        return Ok((owner, settled_in));
    }
    let platform = draft.account_record(AccountNo::PLATFORM)?;
    Ok((AccountNo::PLATFORM, settlement_currency(account::of(&platform)?, settled_in)))
}

/// What `minor` of a charge brought, in the currency that it settled in: the whole charge exactly its row's amount, a
/// part in proportion. Parts that add up to the whole settle to the whole.
fn settled_part(flow: &FlowRecord, charge: &Charge, minor: i64) -> Result<Money, Halt> {
    let Some(row) = flow.rows.iter().find(|row| row.kind == RowKind::Charge) else {
        return Ok(Money::new(minor, charge.currency));
    };
    let upto = |minor: i64| -> Result<i64, Halt> {
        match &row.conversion {
            None => Ok(minor),
            Some(_) if minor == charge.amount => Ok(row.amount),
            Some(conversion) => {
                let multiple = row.currency.charge_multiple();
                let exact = scale(minor, conversion.rate)?;
                Ok((exact + multiple / 2) / multiple * multiple)
            }
        }
    };
    let before = charge.charged_back();
    let through = before.checked_add(minor).ok_or_else(out_of_range)?;
    Ok(Money::new(upto(through)?.checked_sub(upto(before)?).ok_or_else(out_of_range)?, row.currency))
}

// ---------------------------------------------------------------------------------------------------------------
// Reading

fn dispute_id(at: RecordKey) -> ObjectId {
    at.id(ObjectKind::Dispute, Slot::MAIN)
}

fn load(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    acting: AccountNo,
    id: &ObjectId,
) -> Result<(Shared, DisputeRecord), Halt> {
    if let Some(record) = facts.record(RecordKey::of(id))?
        && let Record::Dispute(dispute) = &*record
        && dispute.owner == acting
    {
        let dispute = dispute.clone();
        return Ok((Arc::clone(&record), dispute));
    }
    Err(no_such(ctx, "dispute", id, "dispute"))
}

fn awaits_answer(status: DisputeStatus) -> bool {
    matches!(status, DisputeStatus::NeedsResponse | DisputeStatus::WarningNeedsResponse)
}

fn is_open(status: DisputeStatus) -> bool {
    match status {
        DisputeStatus::WarningNeedsResponse
        | DisputeStatus::WarningUnderReview
        | DisputeStatus::NeedsResponse
        | DisputeStatus::UnderReview => true,
        DisputeStatus::WarningClosed | DisputeStatus::Won | DisputeStatus::Lost => false,
    }
}

impl DisputeRecord {
    /// Whether the disputed charge can be refunded as far as this dispute goes.
    pub fn leaves_refundable(&self) -> bool {
        match self.status {
            DisputeStatus::WarningNeedsResponse
            | DisputeStatus::WarningUnderReview
            | DisputeStatus::WarningClosed
            | DisputeStatus::Won => true,
            DisputeStatus::NeedsResponse | DisputeStatus::UnderReview | DisputeStatus::Lost => false,
        }
    }
}

impl DisputeStatus {
    /// The status on the wire.
    pub fn wire(self) -> &'static str {
        match self {
            DisputeStatus::WarningNeedsResponse => "warning_needs_response",
            DisputeStatus::WarningUnderReview => "warning_under_review",
            DisputeStatus::WarningClosed => "warning_closed",
            DisputeStatus::NeedsResponse => "needs_response",
            DisputeStatus::UnderReview => "under_review",
            DisputeStatus::Won => "won",
            DisputeStatus::Lost => "lost",
        }
    }
}
