//! `/v1/refunds`.

use super::super::error::ApiError;
use super::super::expansion::REFUND;
use super::super::list::{self, REFUNDS};
use super::super::paging::Range;
use super::super::request::{Call, nowhere};
use super::super::respond;
use super::super::texts::Texts;
use super::super::view::Stage;
use super::{Answered, amount, expansion, paging, retrieve as read};
use crate::domain::command::Command;
use crate::domain::record::{Record, RefundReason, Slot};
use crate::primitives::id::{ObjectId, ObjectKind};

use super::charges::KINDS as CHARGES;

const REASONS: [(&str, RefundReason); 3] = [
    ("duplicate", RefundReason::Duplicate),
    ("fraudulent", RefundReason::Fraudulent),
    ("requested_by_customer", RefundReason::RequestedByCustomer),
];

fn id(call: &Call) -> Result<ObjectId, ApiError> {
    call.path_id(0, &[ObjectKind::Refund, ObjectKind::PaymentRefund], "refund", "refund")
}

/// Refunds a charge that the path names, or one that a parameter does.
pub async fn of(call: &Call, charge: Option<ObjectId>) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &REFUND)?;
    let target = match charge {
        Some(charge) => charge,
        None => {
            fields.at_most_one(&["charge", "payment_intent"])?;
            match (fields.text("charge")?, fields.text("payment_intent")?) {
                (Some(text), _) => call.body_id(text, CHARGES, "charge", "charge"),
                (None, Some(text)) => {
                    call.body_id(text, &[ObjectKind::PaymentIntent], "payment_intent", "payment_intent")
                }
                (None, None) => {
                    let message =
                        "One of the following params should be provided for this request: payment_intent or charge.";
                    let error = ApiError::invalid("charge", message).with_code("parameter_missing");
                    fields.defer(error, nowhere(ObjectKind::Charge))
                }
            }
        }
    };
    let mut texts = Texts::default();
    texts.metadata(&fields)?;
    fields.ignore("instructions_email");
    let command = Command::CreateRefund {
        target,
        amount: amount(&fields, "amount")?,
        reason: fields.one_of("reason", &REASONS)?,
        reverse_transfer: fields.boolean("reverse_transfer")?.unwrap_or(false),
        refund_application_fee: fields.boolean("refund_application_fee")?.unwrap_or(false),
    };
    fields.finish()?;
    respond::submit(call, command, texts.into_patch(), &expand).await
}

/// POST /v1/refunds
pub async fn create(call: Call) -> Answered {
    of(&call, None).await
}

/// GET /v1/refunds/{refund}
pub async fn retrieve(call: Call) -> Answered {
    read(&call, id(&call)?, &REFUND, "refund", "refund").await
}

/// POST /v1/refunds/{refund}
pub async fn update(call: Call) -> Answered {
    let refund = id(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &REFUND)?;
    let mut texts = Texts::default();
    texts.metadata(&fields)?;
    fields.finish()?;
    respond::submit(&call, Command::UpdateRefund { refund }, texts.into_patch(), &expand).await
}

/// The refunds of a charge, newest first.
pub async fn of_charge(call: &Call, stage: &mut Stage, charge: ObjectId) -> Result<Vec<ObjectId>, ApiError> {
    list::children(call, charge.birth, stage, |key, record| match (charge.kind, record) {
        (ObjectKind::Charge, Record::Refund(refund)) => {
            (refund.charge_attempt == charge.slot).then(|| key.id(ObjectKind::Refund, Slot::MAIN))
        }
        (ObjectKind::Payment, Record::Refund(refund)) => {
            let hit = refund.reversals.iter().any(|part| part.transfer == charge.slot);
            hit.then(|| key.id(ObjectKind::PaymentRefund, charge.slot))
        }
        (ObjectKind::Payment, Record::Reversal(reversal)) => {
            (reversal.part.transfer == charge.slot).then(|| key.id(ObjectKind::PaymentRefund, charge.slot))
        }
        (ObjectKind::PaymentIntent, Record::Refund(_)) => Some(key.id(ObjectKind::Refund, Slot::MAIN)),
        _ => None,
    })
    .await
}

/// GET /v1/refunds
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &REFUND)?;
    let created = Range::parse(&fields, "created")?;
    fields.at_most_one(&["charge", "payment_intent"])?;
    let of = match (fields.text("charge")?, fields.text("payment_intent")?) {
        (Some(text), _) => Some(call.body_id(text, CHARGES, "charge", "charge")),
        (None, Some(text)) => {
            Some(call.body_id(text, &[ObjectKind::PaymentIntent], "payment_intent", "payment_intent"))
        }
        (None, None) => None,
    };
    fields.finish()?;
    let mut stage = Stage::default();
    let ids = match of {
        None => list::walk(&call, REFUNDS, &page, &created, &mut stage, |_, _| Ok(true)).await?,
        Some(of) => {
            let acting = call.acting;
            let own = super::super::view::render(call.platform(), call.secrets(), &mut stage, |view| {
                super::owned(view, acting, &of)
            });
            let all = match own.await? {
                Some(()) => of_charge(&call, &mut stage, of).await?,
                None => Vec::new(),
            };
            let all = list::made_within(&call, &mut stage, all, &created).await?;
            list::cut(call.platform().ids(), REFUNDS, &page, all)?
        }
    };
    list::respond(&call, ids, &mut stage, &expand, "/v1/refunds").await
}
