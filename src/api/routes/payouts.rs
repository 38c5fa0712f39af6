//! `/v1/payouts`.

use super::super::error::ApiError;
use super::super::expansion::PAYOUT;
use super::super::list::{self, PAYOUTS};
use super::super::paging::Range;
use super::super::render::payout;
use super::super::request::Call;
use super::super::respond;
use super::super::texts::Texts;
use super::super::view::{Stage, Stop};
use super::{Answered, expansion, paging, required_currency, retrieve as read, source_type};
use crate::domain::command::Command;
use crate::domain::record::{PayoutStatus, Record, RecordKey};
use crate::primitives::id::{ObjectId, ObjectKind};

fn id(call: &Call) -> Result<ObjectId, ApiError> {
    call.path_id(0, &[ObjectKind::Payout], "payout", "payout")
}

/// POST /v1/payouts
pub async fn create(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &PAYOUT)?;
    let amount = fields.or_defer("amount", super::amount(&fields, "amount")?, 0);
    let currency = required_currency(&fields, "currency")?;
    let destination = fields
        .text("destination")?
        .map(|text| call.body_id(text, &[ObjectKind::BankAccount], "external account", "destination"));
    let instant = fields.one_of("method", &[("standard", false), ("instant", true)])?.unwrap_or(false);
    fields.ignore("payout_method");
    let mut texts = Texts::default();
    texts.text(&fields, "description")?;
    texts.descriptor(&fields, "statement_descriptor")?;
    texts.metadata(&fields)?;
    let source_type = source_type(&fields)?;
    let command = match instant {
        true => Command::CreateInstantPayout { amount, currency, destination, source_type },
        false => Command::CreatePayout { amount, currency, destination, source_type },
    };
    fields.finish()?;
    respond::submit(&call, command, texts.into_patch(), &expand).await
}

/// GET /v1/payouts/{payout}
pub async fn retrieve(call: Call) -> Answered {
    read(&call, id(&call)?, &PAYOUT, "payout", "payout").await
}

/// POST /v1/payouts/{payout}
pub async fn update(call: Call) -> Answered {
    let payout = id(&call)?.birth;
    let fields = call.fields();
    let expand = expansion(&fields, &PAYOUT)?;
    let mut texts = Texts::default();
    texts.metadata(&fields)?;
    fields.finish()?;
    respond::submit(&call, Command::UpdatePayout { payout }, texts.into_patch(), &expand).await
}

/// POST /v1/payouts/{payout}/cancel
pub async fn cancel(call: Call) -> Answered {
    let payout = id(&call)?.birth;
    let fields = call.fields();
    let expand = expansion(&fields, &PAYOUT)?;
    fields.finish()?;
    respond::submit(&call, Command::CancelPayout { payout }, Default::default(), &expand).await
}

/// POST /v1/payouts/{payout}/reverse
pub async fn reverse(call: Call) -> Answered {
    let payout = id(&call)?.birth;
    let fields = call.fields();
    let expand = expansion(&fields, &PAYOUT)?;
    let mut texts = Texts::default();
    texts.metadata(&fields)?;
    fields.finish()?;
    respond::submit(&call, Command::ReversePayout { payout }, texts.into_patch(), &expand).await
}

/// GET /v1/payouts
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &PAYOUT)?;
    let created = Range::parse(&fields, "created")?;
    let arrival = Range::parse(&fields, "arrival_date")?;
    let statuses = [
        PayoutStatus::Pending,
        PayoutStatus::InTransit,
        PayoutStatus::Paid,
        PayoutStatus::Canceled,
        PayoutStatus::Failed,
    ];
    let status = fields.one_of("status", &statuses.map(|status| (payout::status(status), status)))?;
    let destination = fields
        .text("destination")?
        .map(|text| call.body_id(text, &[ObjectKind::BankAccount], "external account", "destination"));
    fields.finish()?;
    let mut stage = Stage::default();
    let ids = list::walk(&call, PAYOUTS, &page, &created, &mut stage, |view, id| {
        let Record::Payout(payout) = view.record(RecordKey::of(id))? else { return Err(Stop::Gone) };
        Ok(status.is_none_or(|status| status == payout.status)
            && arrival.as_ref().is_none_or(|range| range.contains(payout.arrival_on.midnight().seconds()))
            && destination.is_none_or(|bank| bank.slot == payout.bank.saturating_add(1)))
    })
    .await?;
    list::respond(&call, ids, &mut stage, &expand, "/v1/payouts").await
}
