//! `/v1/application_fees` and their refunds.

use super::super::error::ApiError;
use super::super::expansion::{APPLICATION_FEE, FEE_REFUND};
use super::super::list::{self, FEES, Listed};
use super::super::paging::Range;
use super::super::request::Call;
use super::super::respond;
use super::super::texts::Texts;
use super::super::view::Stage;
use super::{Answered, amount, charges, expansion, must_own, paging, retrieve as read};
use crate::domain::command::Command;
use crate::domain::decide::{Class, Kinds};
use crate::domain::record::Record;
use crate::primitives::id::{ObjectId, ObjectKind};

const FEE_REFUNDS: Listed = Listed { classes: &[Class::Refund], bit: Kinds::FEE_REFUND, noun: "fee_refund" };

fn id(call: &Call) -> Result<ObjectId, ApiError> {
    call.path_id(0, &[ObjectKind::ApplicationFee], "application fee", "id")
}

/// The refund that the path names: it must hang on the fee before it.
fn refund_id(call: &Call) -> Result<ObjectId, ApiError> {
    let fee = id(call)?;
    let refund = call.path_id(1, &[ObjectKind::FeeRefund], "fee_refund", "id")?;
    if refund.birth == fee.birth && refund.slot == fee.slot {
        return Ok(refund);
    }
    Err(ApiError::no_such("fee_refund", call.path_text(1), "id", super::Place::Path))
}

/// GET /v1/application_fees/{fee}
pub async fn retrieve(call: Call) -> Answered {
    read(&call, id(&call)?, &APPLICATION_FEE, "application fee", "id").await
}

/// GET /v1/application_fees
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &APPLICATION_FEE)?;
    let created = Range::parse(&fields, "created")?;
    // A fee hangs on the payment of its account, and came from the charge of its flow.
    let charge = fields.text("charge")?.map(|text| call.body_id(text, charges::KINDS, "charge", "charge"));
    fields.finish()?;
    let mut stage = Stage::default();
    let ids = list::walk(&call, FEES, &page, &created, &mut stage, |_, id| {
        Ok(charge.is_none_or(|charge| {
            charge.birth == id.birth && (charge.kind == ObjectKind::Charge || charge.slot == id.slot)
        }))
    })
    .await?;
    list::respond(&call, ids, &mut stage, &expand, "/v1/application_fees").await
}

/// POST /v1/application_fees/{fee}/refunds
pub async fn refund(call: Call) -> Answered {
    let fee = id(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &FEE_REFUND)?;
    let mut texts = Texts::default();
    texts.metadata(&fields)?;
    let amount = amount(&fields, "amount")?;
    fields.finish()?;
    respond::submit(&call, Command::RefundFee { fee, amount }, texts.into_patch(), &expand).await
}

/// GET /v1/application_fees/{fee}/refunds/{refund}
pub async fn fee_refund(call: Call) -> Answered {
    read(&call, refund_id(&call)?, &FEE_REFUND, "fee_refund", "id").await
}

/// POST /v1/application_fees/{fee}/refunds/{refund}
pub async fn update_refund(call: Call) -> Answered {
    let fee_refund = refund_id(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &FEE_REFUND)?;
    let mut texts = Texts::default();
    texts.metadata(&fields)?;
    fields.finish()?;
    respond::submit(&call, Command::UpdateFeeRefund { fee_refund }, texts.into_patch(), &expand).await
}

/// GET /v1/application_fees/{fee}/refunds
pub async fn refunds(call: Call) -> Answered {
    let fee = id(&call)?;
    let fields = call.fields();
    let (page, expand) = paging(&fields, &FEE_REFUND)?;
    fields.finish()?;
    let mut stage = Stage::default();
    must_own(&call, &mut stage, &fee, "application fee", "id").await?;
    let all = list::children(&call, fee.birth, &mut stage, |key, record| {
        let hit = match record {
            Record::Refund(refund) => refund.fee_refunds.iter().any(|part| part.transfer == fee.slot),
            Record::Reversal(reversal) => reversal.fee_refund.as_ref().is_some_and(|part| part.transfer == fee.slot),
            Record::FeeRefund(refund) => refund.part.transfer == fee.slot,
            _ => false,
        };
        hit.then(|| key.id(ObjectKind::FeeRefund, fee.slot))
    })
    .await?;
    let ids = list::cut(call.platform().ids(), FEE_REFUNDS, &page, all)?;
    list::respond(&call, ids, &mut stage, &expand, &call.path).await
}
