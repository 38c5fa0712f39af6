//! `/v1/balance_transactions`.

use super::super::error::{ApiError, Place};
use super::super::expansion::BALANCE_TRANSACTION;
use super::super::list::{self, ROWS};
use super::super::paging::Range;
use super::super::render::Rendered;
use super::super::render::balance_transaction::{has_source, kind};
use super::super::request::Call;
use super::super::view::{Stage, Stop, View, render as painted};
use super::{Answered, currency, paging, retrieve as read};
use crate::domain::record::{PayoutRecord, Record, RecordKey, Row};
use crate::ledger::AccountNo;
use crate::primitives::id::{ObjectId, ObjectKind};

/// GET /v1/balance_transactions/{id}
pub async fn retrieve(call: Call) -> Answered {
    let id = call.path_id(0, &[ObjectKind::BalanceTransaction], "balance_transaction", "id")?;
    read(&call, id, &BALANCE_TRANSACTION, "balance_transaction", "id").await
}

/// Rows that name a source lie in its flow: in the head or in a child.
fn rows_of(view: &View<'_>, account: AccountNo, source: &ObjectId) -> Rendered<Vec<ObjectId>> {
    let head = RecordKey::head(source.birth);
    let own = RecordKey::of(source);
    view.want([head, own])?;
    let children = match view.find(head)? {
        Some(Record::Flow(flow)) => flow.children,
        _ => 0,
    };
    let mut keys: Vec<RecordKey> = (1..=children).rev().map(|child| RecordKey { birth: source.birth, child }).collect();
    keys.push(head);
    if !keys.contains(&own) {
        keys.push(own);
    }
    view.want(keys.iter().copied())?;
    let mut ids = Vec::new();
    for key in keys {
        let Some(record) = view.find(key)? else { continue };
        for (place, row) in record.rows().iter().enumerate().rev() {
            if row.account == account && has_source(row, source) {
                let slot = u16::try_from(place).map_err(|_| Stop::Gone)?;
                ids.push(key.id(ObjectKind::BalanceTransaction, slot));
            }
        }
    }
    Ok(ids)
}

/// The automatic payout of an id.
async fn automatic(call: &Call, stage: &mut Stage, id: &ObjectId) -> Result<PayoutRecord, ApiError> {
    let acting = call.acting;
    let found = painted(call.platform(), call.secrets(), stage, |view| match view.record(RecordKey::of(id))? {
        Record::Payout(payout) if payout.owner == acting => Ok(payout.clone()),
        _ => Err(Stop::Gone),
    });
    let text = call.platform().ids().text(id);
    let payout = found.await?.ok_or_else(|| ApiError::no_such("payout", text.as_str(), "payout", Place::Parameter))?;
    if payout.automatic.is_none() {
        let message = "Balance transaction history can only be filtered on automatic transfers, not manual.";
        return Err(ApiError::invalid("payout", message));
    }
    Ok(payout)
}

fn row<'a>(view: &View<'a>, id: &ObjectId) -> Rendered<&'a Row> {
    view.record(RecordKey::of(id))?.rows().get(usize::from(id.slot)).ok_or(Stop::Gone)
}

/// GET /v1/balance_transactions
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &BALANCE_TRANSACTION)?;
    let created = Range::parse(&fields, "created")?;
    let wanted = fields.text("type")?;
    let currency = currency(&fields, "currency")?;
    let source = fields.text("source")?;
    let payout = fields.text("payout")?.map(|text| call.body_id(text, &[ObjectKind::Payout], "payout", "payout"));
    fields.finish()?;
    call.check_deferred()?;
    let mut stage = Stage::default();
    let payout = match payout {
        None => None,
        Some(id) => Some(automatic(&call, &mut stage, &id).await?),
    };
    let keep = |view: &View<'_>, id: &ObjectId| {
        let row = row(view, id)?;
        Ok(wanted.is_none_or(|wanted| kind(row.kind).0 == wanted)
            && currency.is_none_or(|want| want == row.currency)
            && payout.as_ref().is_none_or(|payout| payout.owns(row)))
    };
    // The rows of an automatic payout lie between the cut before it and its own.
    let span = payout.as_ref().and_then(|payout| Some((payout.automatic.as_ref()?.since, payout.made.seq)));
    let ids = match source {
        None => {
            list::walk_between(&call, ROWS, &page, &created, span.unwrap_or((0, u64::MAX)), &mut stage, keep).await?
        }
        Some(text) => {
            let source = call
                .platform()
                .ids()
                .decode(text)
                .map_err(|_| ApiError::no_such("source", text, "source", Place::Parameter))?;
            let acting = call.acting;
            let found = painted(call.platform(), call.secrets(), &mut stage, |view| {
                let mut rows = rows_of(view, acting, &source)?;
                let mut gone = Ok(());
                rows.retain(|id| {
                    keep(view, id).unwrap_or_else(|stop| {
                        gone = Err(stop);
                        false
                    })
                });
                gone.map(|()| rows)
            });
            let rows = found.await?.unwrap_or_default();
            let all = list::made_within(&call, &mut stage, rows, &created).await?;
            list::cut(call.platform().ids(), ROWS, &page, all)?
        }
    };
    list::respond(&call, ids, &mut stage, &expand, "/v1/balance_transactions").await
}
