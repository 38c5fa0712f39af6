//! `/v1/transfers` and their reversals.

use super::super::error::ApiError;
use super::super::expansion::{REVERSAL, TRANSFER};
use super::super::list::{self, Listed, TRANSFERS};
use super::super::paging::Range;
use super::super::render::{Rendered, Words, payment_intent};
use super::super::request::Call;
use super::super::respond;
use super::super::texts::Texts;
use super::super::view::{Stage, Stop, View};
use super::{Answered, amount, charges, expansion, must_own, paging, required_currency, retrieve as read, source_type};
use crate::domain::command::Command;
use crate::domain::decide::{Class, Kinds};
use crate::domain::record::{Record, TransferSource};
use crate::primitives::id::{ObjectId, ObjectKind};

const REVERSALS: Listed = Listed { classes: &[Class::Refund], bit: Kinds::REVERSAL, noun: "transfer_reversal" };

fn id(call: &Call) -> Result<ObjectId, ApiError> {
    call.path_id(0, &[ObjectKind::Transfer], "transfer", "transfer")
}

/// The reversal that the path names: it must hang on the transfer before it.
fn reversal_id(call: &Call) -> Result<ObjectId, ApiError> {
    let transfer = id(call)?;
    let reversal = call.path_id(1, &[ObjectKind::TransferReversal], "transfer_reversal", "id")?;
    if reversal.birth == transfer.birth && reversal.slot == transfer.slot {
        return Ok(reversal);
    }
    Err(ApiError::no_such("transfer_reversal", call.path_text(1), "id", super::Place::Path))
}

/// POST /v1/transfers
pub async fn create(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &TRANSFER)?;
    let currency = required_currency(&fields, "currency")?;
    let destination = call.body_account(
        fields.or_defer("destination", fields.text("destination")?, ""),
        "destination",
        "destination",
    );
    let source_transaction = fields
        .text("source_transaction")?
        .map(|text| call.body_id(text, charges::KINDS, "charge", "source_transaction"));
    let mut texts = Texts::default();
    texts.texts(&fields, &["description", "transfer_group"])?;
    texts.metadata(&fields)?;
    let command = Command::CreateTransfer {
        amount: amount(&fields, "amount")?,
        currency,
        destination,
        source_transaction,
        source_type: source_type(&fields)?,
    };
    fields.finish()?;
    respond::submit(&call, command, texts.into_patch(), &expand).await
}

/// GET /v1/transfers/{transfer}
pub async fn retrieve(call: Call) -> Answered {
    read(&call, id(&call)?, &TRANSFER, "transfer", "transfer").await
}

/// POST /v1/transfers/{transfer}
pub async fn update(call: Call) -> Answered {
    let transfer = id(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &TRANSFER)?;
    let mut texts = Texts::default();
    texts.text(&fields, "description")?;
    texts.metadata(&fields)?;
    fields.finish()?;
    respond::submit(&call, Command::UpdateTransfer { transfer }, texts.into_patch(), &expand).await
}

fn in_group(view: &View<'_>, id: &ObjectId, group: &str) -> Rendered<bool> {
    let flow = view.flow(id.birth)?;
    let transfer = flow.transfers.get(usize::from(id.slot)).ok_or(Stop::Gone)?;
    let texts = view.texts(&flow.private);
    if let Some(own) = Words::new(&texts, &format!("tr{}.", id.slot)).get("transfer_group") {
        return Ok(own == group);
    }
    let (birth, of) = match transfer.source {
        TransferSource::Balance => return Ok(false),
        TransferSource::OwnCharge => (id.birth, flow),
        TransferSource::Charge { birth, .. } => (birth, view.flow(birth)?),
    };
    let texts = view.texts(&of.private);
    Ok(payment_intent::group(view, birth, of, Words::new(&texts, of.charge_texts())).is_some_and(|own| own.is(group)))
}

/// GET /v1/transfers
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &TRANSFER)?;
    let created = Range::parse(&fields, "created")?;
    let destination = fields.text("destination")?.map(|text| call.body_account(text, "destination", "destination"));
    let group = fields.text("transfer_group")?;
    fields.finish()?;
    let mut stage = Stage::default();
    let ids = list::walk(&call, TRANSFERS, &page, &created, &mut stage, |view, id| {
        let flow = view.flow(id.birth)?;
        let transfer = flow.transfers.get(usize::from(id.slot)).ok_or(Stop::Gone)?;
        if destination.is_some_and(|account| account != transfer.destination) {
            return Ok(false);
        }
        group.map_or(Ok(true), |group| in_group(view, id, group))
    })
    .await?;
    list::respond(&call, ids, &mut stage, &expand, "/v1/transfers").await
}

/// POST /v1/transfers/{transfer}/reversals
pub async fn reverse(call: Call) -> Answered {
    let transfer = id(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &REVERSAL)?;
    let mut texts = Texts::default();
    texts.text(&fields, "description")?;
    texts.metadata(&fields)?;
    let command = Command::ReverseTransfer {
        transfer,
        amount: amount(&fields, "amount")?,
        refund_application_fee: fields.boolean("refund_application_fee")?.unwrap_or(false),
    };
    fields.finish()?;
    respond::submit(&call, command, texts.into_patch(), &expand).await
}

/// GET /v1/transfers/{transfer}/reversals/{reversal}
pub async fn reversal(call: Call) -> Answered {
    read(&call, reversal_id(&call)?, &REVERSAL, "transfer_reversal", "id").await
}

/// POST /v1/transfers/{transfer}/reversals/{reversal}
pub async fn update_reversal(call: Call) -> Answered {
    let reversal = reversal_id(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &REVERSAL)?;
    let mut texts = Texts::default();
    texts.metadata(&fields)?;
    fields.finish()?;
    respond::submit(&call, Command::UpdateReversal { reversal }, texts.into_patch(), &expand).await
}

/// GET /v1/transfers/{transfer}/reversals
pub async fn reversals(call: Call) -> Answered {
    let transfer = id(&call)?;
    let fields = call.fields();
    let (page, expand) = paging(&fields, &REVERSAL)?;
    fields.finish()?;
    let mut stage = Stage::default();
    must_own(&call, &mut stage, &transfer, "transfer", "transfer").await?;
    let all = list::children(&call, transfer.birth, &mut stage, |key, record| {
        let hit = match record {
            Record::Refund(refund) => refund.reversals.iter().any(|part| part.transfer == transfer.slot),
            Record::Reversal(reversal) => reversal.part.transfer == transfer.slot,
            _ => false,
        };
        hit.then(|| key.id(ObjectKind::TransferReversal, transfer.slot))
    })
    .await?;
    let ids = list::cut(call.platform().ids(), REVERSALS, &page, all)?;
    list::respond(&call, ids, &mut stage, &expand, &call.path).await
}
