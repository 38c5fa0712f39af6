//! `refund`: of a card charge (`re_`), and an account's side of a transfer reversal (`pyr_`).

use serde::Serialize;

use super::super::view::{Id, Stop, View};
use super::reversal::{self, row};
use super::{Hash, Rendered, Sink, Words, charge, payment_intent};
use crate::domain::record::{Record, RecordKey, RefundReason, RefundRecord, RowKind, Slot};
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
    metadata: Hash<'a>,
    payment_intent: Option<Id>,
    payment_method: Option<Id>,
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
    reference_status: &'static str,
    reference_type: &'static str,
    r#type: &'static str,
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
    let row = row(view, key, &refund.rows, RowKind::Refund, Slot::MAIN)
        .or_else(|| row(view, key, &refund.rows, RowKind::PartialCaptureReversal, Slot::MAIN));
    sink.put(&Refund {
        id: view.id(id),
        object: "refund",
        amount: refund.amount,
        balance_transaction: row,
        charge: Some(view.id(&RecordKey::head(id.birth).id(ObjectKind::Charge, refund.charge_attempt))),
        created: refund.made.at.seconds(),
        currency: refund.currency.code(),
        customer: of.customer.map(|birth| view.customer_id(birth)),
        customer_account: None,
        destination_details: Some(DestinationDetails {
            card: CardDestination {
                reference_status: "pending",
                reference_type: "acquirer_reference_number",
                r#type: if refund.uncaptured_rest { "reversal" } else { "refund" },
            },
            r#type: "card",
        }),
        metadata: Words::new(&texts, "").metadata(),
        payment_intent: of.flow.shown_intent().is_some().then(|| payment_intent::id_of(view, id.birth)),
        payment_method: Some(view.method_id(&of.charge.method)),
        reason: refund.reason.map(reason),
        receipt_number: None,
        source_transfer_reversal: None,
        status: "succeeded",
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
        metadata: Words::new(&texts, "pyr.").metadata(),
        payment_intent: None,
        payment_method: None,
        reason: None,
        receipt_number: None,
        source_transfer_reversal: Some(view.id(&key.id(ObjectKind::TransferReversal, id.slot))),
        status: "succeeded",
        transfer_reversal: None,
    })
}
