//! `/v1/topups`.

use super::super::cards;
use super::super::error::ApiError;
use super::super::expansion::TOPUP;
use super::super::list::{self, TOPUPS};
use super::super::paging::Range;
use super::super::request::Call;
use super::super::respond;
use super::super::texts::Texts;
use super::super::view::{Stage, Stop};
use super::{Answered, expansion, paging, required_currency, retrieve as read};
use crate::domain::command::{Command, TopupInput};
use crate::domain::record::{Record, RecordKey, TopupStatus};
use crate::primitives::id::{ObjectId, ObjectKind};

fn id(call: &Call) -> Result<ObjectId, ApiError> {
    call.path_id(0, &[ObjectKind::Topup], "topup", "topup")
}

/// POST /v1/topups
pub async fn create(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &TOPUP)?;
    let amount = fields.or_defer("amount", super::amount(&fields, "amount")?, 0);
    let currency = required_currency(&fields, "currency")?;
    let mut input = TopupInput { amount, currency, bank: None, token: None, returns: None };
    if let Some(text) = fields.text("source")? {
        match cards::named_bank(call.secrets(), text) {
            Some(bank) => {
                input.bank = Some(Box::new(bank));
                input.returns = cards::returns(text).then_some(true);
            }
            None => input.token = Some(call.body_id(text, &[ObjectKind::BankAccountToken], "source", "source").birth),
        }
    }
    for name in ["payment_method", "payment_method_options"] {
        if fields.is_given(name) {
            let message =
                format!("`{name}` is not supported: give the bank account as `source`, such as btok_us_verified.");
            return Err(ApiError::invalid(name, message));
        }
    }
    let mut texts = Texts::default();
    texts.texts(&fields, &["description", "transfer_group"])?;
    texts.descriptor(&fields, "statement_descriptor")?;
    texts.metadata(&fields)?;
    fields.finish()?;
    respond::submit(&call, Command::CreateTopup(Box::new(input)), texts.into_patch(), &expand).await
}

/// GET /v1/topups/{topup}
pub async fn retrieve(call: Call) -> Answered {
    read(&call, id(&call)?, &TOPUP, "topup", "topup").await
}

/// POST /v1/topups/{topup}
pub async fn update(call: Call) -> Answered {
    let topup = id(&call)?.birth;
    let fields = call.fields();
    let expand = expansion(&fields, &TOPUP)?;
    let mut texts = Texts::default();
    texts.text(&fields, "description")?;
    texts.metadata(&fields)?;
    fields.finish()?;
    respond::submit(&call, Command::UpdateTopup { topup }, texts.into_patch(), &expand).await
}

/// POST /v1/topups/{topup}/cancel
pub async fn cancel(call: Call) -> Answered {
    let topup = id(&call)?.birth;
    let fields = call.fields();
    let expand = expansion(&fields, &TOPUP)?;
    fields.finish()?;
    respond::submit(&call, Command::CancelTopup { topup }, Default::default(), &expand).await
}

/// GET /v1/topups
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &TOPUP)?;
    let created = Range::parse(&fields, "created")?;
    let amount = Range::parse(&fields, "amount")?;
    let statuses = [
        TopupStatus::Canceled,
        TopupStatus::Failed,
        TopupStatus::Pending,
        TopupStatus::Succeeded,
        TopupStatus::Reversed,
    ];
    let status = fields.one_of("status", &statuses.map(|status| (status.wire(), status)))?;
    fields.finish()?;
    let mut stage = Stage::default();
    let ids = list::walk(&call, TOPUPS, &page, &created, &mut stage, |view, id| {
        let Record::Topup(topup) = view.record(RecordKey::of(id))? else { return Err(Stop::Gone) };
        Ok(status.is_none_or(|status| status == topup.status)
            && amount.as_ref().is_none_or(|range| range.contains(topup.amount)))
    })
    .await?;
    list::respond(&call, ids, &mut stage, &expand, "/v1/topups").await
}
