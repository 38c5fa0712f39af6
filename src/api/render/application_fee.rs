//! `application_fee`.

use serde::Serialize;

use super::super::view::{Id, Stop, View};
use super::fee_refund::{self, FeeRefund};
use super::list::Embedded;
use super::{Rendered, Sink, newest_children, row_among, transfer};
use crate::domain::record::{Record, RecordKey, RowSource};
use crate::primitives::id::{ObjectId, ObjectKind};

#[derive(Serialize)]
struct ApplicationFee {
    id: Id,
    object: &'static str,
    account: Id,
    amount: i64,
    amount_refunded: i64,
    application: Id,
    balance_transaction: Option<Id>,
    charge: Id,
    created: i64,
    currency: &'static str,
    fee_source: FeeSource,
    livemode: bool,
    originating_transaction: Option<Id>,
    refunded: bool,
    refunds: Embedded<FeeRefund>,
}

#[derive(Serialize)]
struct FeeSource {
    charge: Id,
    r#type: &'static str,
}

/// The fee of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let flow = view.flow(id.birth)?;
    let of = flow.fee(id.slot).ok_or(Stop::Gone)?;
    let fee = of.fee;
    let key = RecordKey::head(id.birth);
    // A destination's payment paid it, or the charge itself.
    let (paid_by, origin, reversals): (ObjectId, Option<ObjectId>, &[u32]) = match flow.direct_fee {
        Some(_) => {
            let attempt = flow.charge.as_ref().ok_or(Stop::Gone)?.attempt;
            (key.id(ObjectKind::Charge, attempt), None, &[])
        }
        None => {
            let from = flow.transfers.get(usize::from(id.slot)).ok_or(Stop::Gone)?;
            let origin = transfer::source_charge(id.birth, flow, from);
            (key.id(ObjectKind::Payment, id.slot), origin, &from.recent_reversals)
        }
    };
    let charge = view.id(&paid_by);
    let newest = [fee.recent_refunds.as_slice(), reversals, &flow.recent_refunds];
    let refunds = newest_children(view, id.birth, &newest, |key, record| {
        let hit = match record {
            Record::FeeRefund(refund) => refund.part.transfer == id.slot,
            Record::Reversal(reversal) => reversal.fee_refund.as_ref().is_some_and(|part| part.transfer == id.slot),
            Record::Refund(refund) => refund.fee_refunds.iter().any(|part| part.transfer == id.slot),
            _ => false,
        };
        hit.then(|| fee_refund::of(view, key, id.slot))
    })?;
    let shown: i64 = refunds.iter().map(FeeRefund::of_fee).sum();
    let own_id = view.id(id);
    let url = format!("/v1/application_fees/{}/refunds", own_id.as_str());
    let source = RowSource { kind: ObjectKind::ApplicationFee, key, slot: id.slot };
    sink.put(&ApplicationFee {
        id: own_id,
        object: "application_fee",
        account: view.account_id(of.payer),
        amount: fee.amount,
        amount_refunded: fee.amount_refunded,
        application: view.application(),
        balance_transaction: row_among(view, key, &flow.rows, &source),
        charge,
        created: of.made.at.seconds(),
        currency: fee.currency.code(),
        fee_source: FeeSource { charge, r#type: "charge" },
        livemode: false,
        originating_transaction: origin.map(|charge| view.id(&charge)),
        refunded: fee.amount_refunded == fee.amount,
        refunds: Embedded::new(refunds, shown < fee.amount_refunded, url),
    })
}
