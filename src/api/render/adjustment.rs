//! `florin.adjustment`: Florin's own. A balanced correction that refers to the entry it repairs.

use serde::Serialize;

use super::super::view::{Id, Stop, View};
use super::{Rendered, Sink, Words};
use crate::domain::record::{Record, RecordKey};
use crate::primitives::id::{ObjectId, ObjectKind};

#[derive(Serialize)]
struct Adjustment<'a> {
    id: Id,
    object: &'static str,
    author: Option<&'a str>,
    balance_transactions: Vec<Id>,
    created: i64,
    livemode: bool,
    reason: Option<&'a str>,
    repairs: u64,
    sequence: u64,
}

/// The adjustment of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let key = RecordKey::of(id);
    let Record::Adjustment(adjustment) = view.record(key)? else { return Err(Stop::Gone) };
    let texts = view.texts(&adjustment.private);
    let words = Words::new(&texts, "");
    let rows = 0..u16::try_from(adjustment.rows.len()).unwrap_or(u16::MAX);
    sink.put(&Adjustment {
        id: view.id(id),
        object: "florin.adjustment",
        author: words.get("author"),
        balance_transactions: rows.map(|slot| view.id(&key.id(ObjectKind::BalanceTransaction, slot))).collect(),
        created: adjustment.made.at.seconds(),
        livemode: false,
        reason: words.get("reason"),
        repairs: adjustment.repairs,
        sequence: adjustment.made.seq,
    })
}
