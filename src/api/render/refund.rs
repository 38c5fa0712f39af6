//! `refund`: of a card charge (`re_`), and an account's side of a transfer reversal (`pyr_`).

use serde::Serialize;

use super::super::view::{Id, Stop, View};
use super::reversal::{self, row};
use super::{Hash, Rendered, Sink, Words, charge, payment_intent};
use crate::domain::record::{
    Record, RecordKey, RefundFailure, RefundReason, RefundRecord, RefundStatus, RowKind, Slot,
};
use crate::domain::refund_life::end_of_waiting;
use crate::domain::seal::Texts;
use crate::primitives::id::{ObjectId, ObjectKind};

#[derive(Serialize)]
struct Refund<'a> {
    id: Id,
    object: &'static str,
    amount: i64,
    balance_transaction: Option<Id>,
    charge: Option<Id>,
    created: i64,
    currency: &'static str,
    customer: Option<Id>,
    customer_account: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_details: Option<DestinationDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_balance_transaction: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions_email: Option<&'a str>,
    metadata: Hash<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_action: Option<NextAction<'a>>,
    payment_intent: Option<Id>,
    payment_method: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_reason: Option<&'static str>,
    reason: Option<&'static str>,
    receipt_number: Option<&'static str>,
    source_transfer_reversal: Option<Id>,
    status: &'static str,
    transfer_reversal: Option<Id>,
}

#[derive(Serialize)]
struct DestinationDetails {
    card: CardDestination,
    r#type: &'static str,
}

#[derive(Serialize)]
struct CardDestination {
    #[serde(skip_serializing_if = "Option::is_none")]
    reference_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference_type: Option<&'static str>,
    r#type: &'static str,
}

#[derive(Serialize)]
struct NextAction<'a> {
    display_details: DisplayDetails<'a>,
    r#type: &'static str,
}

#[derive(Serialize)]
struct DisplayDetails<'a> {
    email_sent: EmailSent<'a>,
    expires_at: i64,
}

#[derive(Serialize)]
struct EmailSent<'a> {
    email_sent_at: i64,
    email_sent_to: &'a str,
}

/// Where the money goes: known once it is on its way.
fn destination(refund: &RefundRecord) -> DestinationDetails {
    let (reference_status, r#type) = match refund.status {
        RefundStatus::Pending | RefundStatus::RequiresAction => (None, "pending"),
        RefundStatus::Succeeded if refund.uncaptured_rest => (Some("pending"), "reversal"),
        RefundStatus::Succeeded => (Some("pending"), "refund"),
        RefundStatus::Failed | RefundStatus::Canceled => (Some("unavailable"), "refund"),
    };
    let reference_type = reference_status.map(|_| "acquirer_reference_number");
    DestinationDetails { card: CardDestination { reference_status, reference_type, r#type }, r#type: "card" }
}

/// What the payer has to do.
fn next_action<'a>(refund: &RefundRecord, email: Option<&'a str>) -> Option<NextAction<'a>> {
    if refund.status != RefundStatus::RequiresAction {
        return None;
    }
    let made = refund.moved();
    Some(NextAction {
        display_details: DisplayDetails {
            email_sent: EmailSent { email_sent_at: made.at.seconds(), email_sent_to: email.unwrap_or_default() },
            expires_at: end_of_waiting(made).ok()?.seconds(),
        },
        r#type: "display_details",
    })
}

/// A reason's word.
pub fn reason(reason: RefundReason) -> &'static str {
    match reason {
        RefundReason::Duplicate => "duplicate",
        RefundReason::Fraudulent => "fraudulent",
        RefundReason::RequestedByCustomer => "requested_by_customer",
    }
}

/// The refund in a record.
///
/// # Errors
/// [`Stop`].
pub fn find<'a>(view: &View<'a>, key: RecordKey) -> Rendered<&'a RefundRecord> {
    match view.record(key)? {
        Record::Refund(refund) => Ok(refund),
        _ => Err(Stop::Gone),
    }
}

/// The refund of a `re_` id.
///
/// # Errors
/// [`Stop`].
pub fn render_card<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let key = RecordKey::of(id);
    view.want([key, RecordKey::head(id.birth)])?;
    let refund = find(view, key)?;
    let of = charge::find(view, id.birth, refund.charge_attempt)?;
    let texts = view.texts(&refund.private);
    let of_kind = |kind| row(view, key, &refund.rows, kind, Slot::MAIN);
    let email = texts.get("instructions_email");
    sink.put(&Refund {
        id: view.id(id),
        object: "refund",
        amount: refund.amount,
        balance_transaction: of_kind(RowKind::Refund).or_else(|| of_kind(RowKind::PartialCaptureReversal)),
        charge: Some(view.id(&RecordKey::head(id.birth).id(ObjectKind::Charge, refund.charge_attempt))),
        created: refund.made.at.seconds(),
        currency: refund.currency.code(),
        customer: of.customer.map(|birth| view.customer_id(birth)),
        customer_account: None,
        destination_details: Some(destination(refund)),
        failure_balance_transaction: of_kind(RowKind::RefundFailure),
        failure_reason: refund.failure.map(RefundFailure::wire),
        instructions_email: email,
        metadata: Words::new(&texts, "").metadata(),
        next_action: next_action(refund, email),
        payment_intent: of.flow.shown_intent().is_some().then(|| payment_intent::id_of(view, id.birth)),
        payment_method: Some(view.method_id(&of.charge.method)),
        pending_reason: match refund.status {
            RefundStatus::Pending if refund.waits.is_some() => Some("insufficient_funds"),
            RefundStatus::Pending => Some("processing"),
            _ => None,
        },
        reason: refund.reason.map(reason),
        receipt_number: None,
        source_transfer_reversal: None,
        status: refund.status.wire(),
        transfer_reversal: refund
            .reversals
            .first()
            .map(|part| view.id(&key.id(ObjectKind::TransferReversal, part.transfer))),
    })
}

/// The refund of a `pyr_` id: what the destination of a reversed transfer lost.
///
/// # Errors
/// [`Stop`].
pub fn render_payment<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let key = RecordKey::of(id);
    let found = reversal::find(view, id)?;
    // Only what a platform gives back itself can have words of its own.
    let texts = if found.by_refund { Texts::default() } else { view.texts(found.private) };
    sink.put(&Refund {
        id: view.id(id),
        object: "refund",
        amount: found.part.amount,
        balance_transaction: row(view, key, found.rows, RowKind::PaymentRefund, id.slot),
        charge: Some(view.id(&RecordKey::head(id.birth).id(ObjectKind::Payment, id.slot))),
        created: found.made.at.seconds(),
        currency: found.part.currency.code(),
        customer: None,
        customer_account: None,
        destination_details: None,
        failure_balance_transaction: None,
        failure_reason: None,
        instructions_email: None,
        metadata: Words::new(&texts, "pyr.").metadata(),
        next_action: None,
        payment_intent: None,
        payment_method: None,
        pending_reason: None,
        reason: None,
        receipt_number: None,
        source_transfer_reversal: Some(view.id(&key.id(ObjectKind::TransferReversal, id.slot))),
        status: "succeeded",
        transfer_reversal: None,
    })
}
