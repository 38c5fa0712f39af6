//! `/v1/refunds`.

use super::super::error::ApiError;
use super::super::expansion::REFUND;
use super::super::fields::Fields;
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

/// Florin's own test value: a payer who has to say first where the money shall go. Cards need no such thing, but the
/// operations that hang on it can be tried.
fn asks_payer(email: &str) -> bool {
    email.split('@').next().is_some_and(|name| name.contains("requires_action"))
}

/// Refunds of a customer's cash balance: there are none.
fn no_cash_balance(fields: &Fields<'_>) -> Result<(), ApiError> {
    if fields.one_of("origin", &[("customer_balance", ())])?.is_some() {
        let message = "Florin keeps no cash balances of customers: refund a charge, by `charge` or `payment_intent`.";
        return Err(ApiError::invalid("origin", message));
    }
    for name in ["currency", "customer"] {
        if fields.text(name)?.is_some() {
            let message = format!(
                "`{name}` goes with `origin=customer_balance` only. The refund of a charge has the charge's: leave it out."
            );
            return Err(ApiError::invalid(name, message));
        }
    }
    Ok(())
}

fn id(call: &Call) -> Result<ObjectId, ApiError> {
    call.path_id(0, &[ObjectKind::Refund, ObjectKind::PaymentRefund], "refund", "refund")
}

/// Refunds a charge that the path names, or one that a parameter does.
pub async fn of(call: &Call, charge: Option<ObjectId>) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &REFUND)?;
    no_cash_balance(&fields)?;
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
    texts.email(&fields, "instructions_email")?;
    let asks_payer = fields.text("instructions_email")?.is_some_and(asks_payer);
    let command = Command::CreateRefund {
        target,
        amount: amount(&fields, "amount")?,
        reason: fields.one_of("reason", &REASONS)?,
        reverse_transfer: fields.boolean("reverse_transfer")?.unwrap_or(false),
        refund_application_fee: fields.boolean("refund_application_fee")?.unwrap_or(false),
        asks_payer: asks_payer.then_some(true),
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

async fn end(call: Call, command: Command) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &REFUND)?;
    fields.finish()?;
    respond::submit(&call, command, Texts::default().into_patch(), &expand).await
}

/// POST /v1/refunds/{refund}/cancel
pub async fn cancel(call: Call) -> Answered {
    let refund = id(&call)?;
    end(call, Command::CancelRefund { refund }).await
}

/// POST /v1/test_helpers/refunds/{refund}/expire
pub async fn expire(call: Call) -> Answered {
    let refund = id(&call)?;
    end(call, Command::ExpireRefund { refund }).await
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
