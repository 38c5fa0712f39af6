//! `/v1/charges`.

use super::super::error::ApiError;
use super::super::expansion::{CHARGE, REFUND};
use super::super::list::{self, CHARGES, REFUNDS};
use super::super::paging::Range;
use super::super::render::{self, Words, payment_intent};
use super::super::request::Call;
use super::super::respond;
use super::super::texts::Texts;
use super::super::view::Stage;
use super::refunds as refund_routes;
use super::{Answered, customer, expansion, must_own, paging, retrieve as read};
use crate::domain::command::Command;
use crate::primitives::id::{ObjectId, ObjectKind};

/// Card charges, and payments from transfers.
pub const KINDS: &[ObjectKind] = &[ObjectKind::Charge, ObjectKind::Payment];

fn id(call: &Call) -> Result<ObjectId, ApiError> {
    call.path_id(0, KINDS, "charge", "id")
}

/// GET /v1/charges/{charge}
pub async fn retrieve(call: Call) -> Answered {
    read(&call, id(&call)?, &CHARGE, "charge", "id").await
}

/// POST /v1/charges/{charge}
pub async fn update(call: Call) -> Answered {
    let charge = id(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &CHARGE)?;
    let mut texts = Texts::default();
    texts.texts(&fields, &["description", "transfer_group"])?;
    texts.email(&fields, "receipt_email")?;
    texts.shipping(&fields)?;
    texts.metadata(&fields)?;
    if let Some(fraud) = fields.hash("fraud_details")? {
        let report = fraud.required_one_of("user_report", &[("fraudulent", "fraudulent"), ("safe", "safe")])?;
        texts.set("fraud_details[user_report]", report);
    }
    fields.finish()?;
    respond::submit(&call, Command::UpdateCharge { charge }, texts.into_patch(), &expand).await
}

/// GET /v1/charges
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &CHARGE)?;
    let created = Range::parse(&fields, "created")?;
    let customer = customer(&call, &fields)?;
    let group = fields.text("transfer_group")?;
    let intent = match fields.text("payment_intent")? {
        Some(text) => {
            let kinds = &[ObjectKind::PaymentIntent];
            Some(call.body_id(text, kinds, "payment_intent", "payment_intent").birth)
        }
        None => None,
    };
    fields.finish()?;
    let mut stage = Stage::default();
    let ids = list::walk(&call, CHARGES, &page, &created, &mut stage, |view, id| {
        if intent.is_some_and(|birth| birth != id.birth || id.kind == ObjectKind::Payment) {
            return Ok(false);
        }
        if let Some(customer) = customer
            && (id.kind == ObjectKind::Payment
                || render::charge::find(view, id.birth, id.slot)?.customer != Some(customer))
        {
            return Ok(false);
        }
        let Some(group) = group else { return Ok(true) };
        if id.kind == ObjectKind::Payment {
            return Ok(false);
        }
        let flow = view.flow(id.birth)?;
        let texts = view.texts(&flow.private);
        let words = Words::new(&texts, if flow.charge_text_split { "ch." } else { "pi." });
        Ok(payment_intent::group(view, id.birth, flow, words).is_some_and(|own| own.is(group)))
    })
    .await?;
    list::respond(&call, ids, &mut stage, &expand, "/v1/charges").await
}

/// GET /v1/charges/{charge}/refunds
pub async fn refunds(call: Call) -> Answered {
    let charge = id(&call)?;
    let fields = call.fields();
    let (page, expand) = paging(&fields, &REFUND)?;
    fields.finish()?;
    let mut stage = Stage::default();
    must_own(&call, &mut stage, &charge, "charge", "id").await?;
    let all = refund_routes::of_charge(&call, &mut stage, charge).await?;
    let ids = list::cut(call.platform().ids(), REFUNDS, &page, all)?;
    list::respond(&call, ids, &mut stage, &expand, &call.path).await
}

/// POST /v1/charges/{charge}/refunds
pub async fn refund(call: Call) -> Answered {
    let charge = id(&call)?;
    refund_routes::of(&call, Some(charge)).await
}
