//! `transfer_reversal`: made by itself, or by a refund.

use serde::Serialize;

use super::super::view::{Id, Stop, View};
use super::{Rendered, Sink};
use crate::domain::record::{Made, Record, RecordKey, ReversalPart, Row, RowKind, Slot};
use crate::domain::seal::Sealed;
use crate::primitives::id::{ObjectId, ObjectKind};

/// `transfer_reversal`.
#[derive(Serialize)]
pub struct Reversal {
    id: Id,
    object: &'static str,
    amount: i64,
    balance_transaction: Option<Id>,
    created: i64,
    currency: &'static str,
    destination_payment_refund: Id,
    metadata: Metadata,
    source_refund: Option<Id>,
    transfer: Id,
}

/// Metadata with its texts, and the prefix of their paths.
pub struct Metadata(pub crate::domain::seal::Texts, pub String);

impl Serialize for Metadata {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        super::Words::new(&self.0, &self.1).metadata().serialize(serializer)
    }
}

impl Reversal {
    /// How much.
    pub fn amount(&self) -> i64 {
        self.amount
    }
}

/// A reversal where it lies.
pub struct Found<'a> {
    /// When it was made.
    pub made: Made,
    /// What it moved.
    pub part: &'a ReversalPart,
    /// Rows of its record.
    pub rows: &'a [Row],
    /// Its texts…
    pub private: &'a Sealed,
    /// … and where they lie among those of its record.
    pub prefix: String,
    /// A refund made it.
    pub by_refund: bool,
}

/// The reversal of transfer `slot` in a record.
///
/// # Errors
/// [`Stop`].
pub fn find<'a>(view: &View<'a>, id: &ObjectId) -> Rendered<Found<'a>> {
    match view.record(RecordKey::of(id))? {
        Record::Refund(refund) => {
            let part = refund.reversals.iter().find(|part| part.transfer == id.slot).ok_or(Stop::Gone)?;
            Ok(Found {
                made: refund.moved(),
                part,
                rows: &refund.rows,
                private: &refund.private,
                prefix: format!("trr{}.", id.slot),
                by_refund: true,
            })
        }
        Record::Reversal(reversal) if reversal.part.transfer == id.slot => Ok(Found {
            made: reversal.made,
            part: &reversal.part,
            rows: &reversal.rows,
            private: &reversal.private,
            prefix: String::new(),
            by_refund: false,
        }),
        _ => Err(Stop::Gone),
    }
}

/// The row of a kind whose source lies in slot `slot`.
pub fn row(view: &View<'_>, key: RecordKey, rows: &[Row], kind: RowKind, slot: u16) -> Option<Id> {
    let place = rows.iter().position(|row| row.kind == kind && row.source.slot == slot)?;
    Some(view.id(&key.id(ObjectKind::BalanceTransaction, u16::try_from(place).ok()?)))
}

/// The reversal of transfer `slot` in the record of `key`, as an object.
///
/// # Errors
/// [`Stop`].
pub fn of(view: &View<'_>, key: &RecordKey, slot: u16) -> Rendered<Reversal> {
    let id = key.id(ObjectKind::TransferReversal, slot);
    let found = find(view, &id)?;
    Ok(Reversal {
        id: view.id(&id),
        object: "transfer_reversal",
        amount: found.part.amount,
        balance_transaction: row(view, *key, found.rows, RowKind::TransferRefund, slot),
        created: found.made.at.seconds(),
        currency: found.part.currency.code(),
        destination_payment_refund: view.id(&key.id(ObjectKind::PaymentRefund, slot)),
        metadata: Metadata(view.texts(found.private), found.prefix),
        source_refund: found.by_refund.then(|| view.id(&key.id(ObjectKind::Refund, Slot::MAIN))),
        transfer: view.id(&RecordKey::head(key.birth).id(ObjectKind::Transfer, slot)),
    })
}

/// The reversal of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    sink.put(&of(view, &RecordKey::of(id), id.slot)?)
}
