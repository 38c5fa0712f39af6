//! Charges made without a payment intent (`POST /v1/charges`): of a card, and of a connected account's balance.
//!
//! The machine is that of payment intents, with an intent that the API does not know: so a charge is authorized,
//! captured, released, refunded and settled by the same rules, whatever made it.

use super::account;
use super::command::{IntentInput, MethodInput, Request};
use super::customer;
use super::decide::{Change, Context, Facts, Halt, Outcome, Refusal, Reply};
use super::draft::{Draft, out_of_range};
use super::event::EventKind;
use super::payment;
use super::record::{FlowRecord, IntentStatus, Record, RecordKey, RefundRecord, Slot};
use super::refund::{self, next_child, no_such, push_recent};
use super::seal::Texts;
use super::transfer;
use crate::ledger::AccountNo;
use crate::primitives::currency::Currency;
use crate::primitives::id::{ObjectId, ObjectKind};
use crate::primitives::money::Money;

/// Charges a card, or the default one of a customer.
///
/// # Errors
/// A refusal, or a missing fact. A decline is no error.
pub fn create(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, input: &IntentInput) -> Result<Outcome, Halt> {
    let mut input = input.clone();
    if input.method.is_none() {
        input.method = Some(default_method(facts, ctx, request.acting, input.customer)?);
    }
    payment::make(facts, ctx, request, &input, true).map_err(|halt| match halt {
        // The words of payment intents for what has another name here.
        Halt::Refused(mut refusal) => {
            if refusal.param.as_deref().is_some_and(|param| param.starts_with("payment_method")) {
                refusal.param = Some("source".to_owned());
            }
            refusal.intent = None;
            Halt::Refused(refusal)
        }
        Halt::Missing(need) => Halt::Missing(need),
    })
}

fn default_method(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    owner: AccountNo,
    customer: Option<u64>,
) -> Result<MethodInput, Halt> {
    let Some(birth) = customer else {
        let message = "Must provide source or customer.";
        return Err(Refusal::new(message).code("parameter_missing").param("source").into());
    };
    let record = customer::live(facts, ctx, owner, birth, "customer")?;
    customer::of(&record)?.default_method.map(MethodInput::Saved).ok_or_else(|| {
        let message = "Cannot charge a customer that has no active card. Give `source`, or set the customer's \
                       `invoice_settings[default_payment_method]`.";
        Refusal { status: 402, ..Refusal::new(message) }.code("missing").param("card").into()
    })
}

/// Captures a charge that was authorized without a payment intent.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn capture(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    id: ObjectId,
    amount: Option<i64>,
    application_fee: Option<i64>,
    transfer_amount: Option<i64>,
) -> Result<Outcome, Halt> {
    let flow = load(facts, ctx, request.acting, &id)?;
    if flow.shown_intent().is_some() {
        let intent = RecordKey::head(id.birth).id(ObjectKind::PaymentIntent, Slot::MAIN);
        let message = format!(
            "This charge was made by a PaymentIntent: capture it with POST /v1/payment_intents/{}/capture.",
            ctx.ids.encode(&intent)
        );
        return Err(Refusal::new(message).param("charge").into());
    }
    let charge = flow.charge.as_ref().ok_or_else(|| missing(ctx, &id))?;
    let text = ctx.ids.encode(&id);
    let refuse = |code: &str, message: String| Err(Refusal::new(message).code(code).into());
    if charge.failure.is_some() {
        let message = format!("Charge {text} failed: there is nothing to capture.");
        return Err(Refusal::new(message).into());
    }
    if charge.captured {
        return refuse("charge_already_captured", format!("Charge {text} has already been captured."));
    }
    if flow.intent.as_ref().is_some_and(|intent| intent.status == IntentStatus::Canceled) {
        let message = format!(
            "Charge {text} cannot be captured any more: its authorization ran out or was released. Make a new charge."
        );
        return refuse("charge_expired_for_capture", message);
    }
    payment::capture_flow(facts, ctx, request, flow, (amount, "amount"), application_fee, transfer_amount)
}

/// The flow of a charge of `acting`, if it is the latest of its flow.
fn load(facts: &dyn Facts, ctx: &Context<'_>, acting: AccountNo, id: &ObjectId) -> Result<FlowRecord, Halt> {
    match facts.record(RecordKey::head(id.birth))?.as_deref() {
        Some(Record::Flow(flow))
            if id.kind == ObjectKind::Charge
                && flow.owner == acting
                && flow.charge.as_ref().is_some_and(|charge| charge.attempt == id.slot) =>
        {
            Ok(flow.as_ref().clone())
        }
        _ => Err(missing(ctx, id)),
    }
}

fn missing(ctx: &Context<'_>, id: &ObjectId) -> Halt {
    no_such(ctx, "charge", id, "charge")
}

/// A refund of a charge that was only authorized releases it: nothing moves, and it takes the whole of it.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn refund_authorization(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    mut flow: FlowRecord,
    asked: refund::Asked,
) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let birth = flow.made.seq;
    let (amount, currency, attempt) = {
        let charge = flow.charge.as_ref().ok_or_else(out_of_range)?;
        (charge.amount, charge.currency, charge.attempt)
    };
    if asked.amount.is_some_and(|asked| asked != amount) {
        let message = format!(
            "This charge has not been captured: only all of it ({}) can be refunded, which releases it. Capture the part \
             that you want to keep instead.",
            Money::new(amount, currency).display_major()
        );
        return Err(Refusal::new(message).param("amount").into());
    }
    payment::release(&mut draft, &mut flow, birth, None, false)?;
    let child = next_child(&mut flow)?;
    let at = RecordKey { birth, child };
    push_recent(&mut flow.recent_refunds, child);
    let id = at.id(ObjectKind::Refund, Slot::MAIN);
    draft.event(flow.owner, EventKind::RefundCreated, id);
    let key_no = payment::text_key(facts, &flow)?;
    let mut texts = Texts::default();
    texts.apply("", &request.texts);
    let record = RefundRecord {
        reason: asked.reason,
        uncaptured_rest: true,
        private: draft.seal(key_no, &texts)?,
        ..super::refund::blank(&draft, flow.owner, attempt, amount, currency)
    };
    draft.change(Change::of(at, Record::Refund(record)));
    payment::finish(draft, flow, RecordKey::head(birth), None, None, Reply::Object(id))
}

/// Charges a connected account's balance: a transfer from it to the platform, of which the caller gets the payment.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn debit(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    account: AccountNo,
    amount: i64,
    currency: Currency,
) -> Result<Outcome, Halt> {
    if !request.acting.is_platform() {
        let message = "Only the platform charges an account's balance: leave the Stripe-Account header out.";
        return Err(Refusal::new(message).code("platform_account_required").into());
    }
    account::connected(facts, ctx, account, "source")?;
    let mut draft = Draft::new(facts, ctx);
    let flow = transfer::to_platform(&mut draft, account, amount, currency, "source")?;
    let key = RecordKey::head(ctx.seq);
    let payment = key.id(ObjectKind::Payment, Slot::MAIN);
    draft.event(AccountNo::PLATFORM, EventKind::ChargeSucceeded, payment);
    transfer::close(draft, flow, request, "py0.", payment)
}
