//! `fee_refund`: what a connected account got back of an application fee, in its own currency.

use serde::Serialize;

use super::super::view::{Id, Stop, View};
use super::reversal::{Metadata, row};
use super::{Rendered, Sink};
use crate::domain::record::{FeeRefundPart, Made, Record, RecordKey, Row, RowKind};
use crate::domain::seal::Sealed;
use crate::primitives::id::{ObjectId, ObjectKind};

/// `fee_refund`.
#[derive(Serialize)]
pub struct FeeRefund {
    id: Id,
    object: &'static str,
    amount: i64,
    balance_transaction: Option<Id>,
    created: i64,
    currency: &'static str,
    fee: Id,
    metadata: Metadata,
    /// In the fee's own currency.
    #[serde(skip)]
    of_fee: i64,
}

impl FeeRefund {
    /// How much of the fee, in the fee's own currency.
    pub fn of_fee(&self) -> i64 {
        self.of_fee
    }
}

struct Found<'a> {
    made: Made,
    part: &'a FeeRefundPart,
    rows: &'a [Row],
    private: &'a Sealed,
    prefix: String,
}

fn find<'a>(view: &View<'a>, id: &ObjectId) -> Rendered<Found<'a>> {
    let inside = format!("fr{}.", id.slot);
    match view.record(RecordKey::of(id))? {
        Record::Refund(refund) => {
            let part = refund.fee_refunds.iter().find(|part| part.transfer == id.slot).ok_or(Stop::Gone)?;
            Ok(Found { made: refund.moved(), part, rows: &refund.rows, private: &refund.private, prefix: inside })
        }
        Record::Reversal(reversal) => {
            let part = reversal.fee_refund.as_ref().filter(|part| part.transfer == id.slot).ok_or(Stop::Gone)?;
            Ok(Found { made: reversal.made, part, rows: &reversal.rows, private: &reversal.private, prefix: inside })
        }
        Record::FeeRefund(record) if record.part.transfer == id.slot => {
            let (part, rows, private) = (&record.part, record.rows.as_slice(), &record.private);
            Ok(Found { made: record.made, part, rows, private, prefix: String::new() })
        }
        _ => Err(Stop::Gone),
    }
}

/// The fee refund of transfer `slot` in the record of `key`, as an object.
///
/// # Errors
/// [`Stop`].
pub fn of(view: &View<'_>, key: &RecordKey, slot: u16) -> Rendered<FeeRefund> {
    let id = key.id(ObjectKind::FeeRefund, slot);
    let found = find(view, &id)?;
    Ok(FeeRefund {
        id: view.id(&id),
        object: "fee_refund",
        amount: found.part.returned,
        balance_transaction: row(view, *key, found.rows, RowKind::ApplicationFeeRefund, slot),
        created: found.made.at.seconds(),
        currency: found.part.returned_currency.code(),
        fee: view.id(&RecordKey::head(key.birth).id(ObjectKind::ApplicationFee, slot)),
        metadata: Metadata(view.texts(found.private), found.prefix),
        of_fee: found.part.amount,
    })
}

/// The fee refund of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    sink.put(&of(view, &RecordKey::of(id), id.slot)?)
}
