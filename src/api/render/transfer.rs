//! `transfer`.

use serde::Serialize;

use super::super::view::{Id, Stop, View};
use super::list::Embedded;
use super::payment_intent::{self, Group};
use super::reversal::{self, Reversal};
use super::{Hash, Rendered, Sink, Words, newest_children, row_among};
use crate::domain::record::{FlowRecord, Record, RecordKey, RowSource, Transfer as TransferRecord, TransferSource};
use crate::domain::seal::Texts;
use crate::ledger::SourceType;
use crate::primitives::id::{ObjectId, ObjectKind};

#[derive(Serialize)]
struct Transfer<'a> {
    id: Id,
    object: &'static str,
    amount: i64,
    amount_reversed: i64,
    balance_transaction: Option<Id>,
    created: i64,
    currency: &'static str,
    description: Option<&'a str>,
    destination: Id,
    destination_payment: Id,
    livemode: bool,
    metadata: Hash<'a>,
    reversals: Embedded<Reversal>,
    reversed: bool,
    source_transaction: Option<Id>,
    source_type: &'static str,
    transfer_group: Option<Group<'a>>,
}

/// The charge that a transfer came from.
pub fn source_charge(birth: u64, flow: &FlowRecord, transfer: &TransferRecord) -> Option<ObjectId> {
    match transfer.source {
        TransferSource::Balance => None,
        TransferSource::OwnCharge => Some(RecordKey::head(birth).id(ObjectKind::Charge, flow.charge.as_ref()?.attempt)),
        TransferSource::Charge { birth, attempt } => Some(RecordKey::head(birth).id(ObjectKind::Charge, attempt)),
    }
}

/// A source type's word.
pub fn source_type(source: SourceType) -> &'static str {
    match source {
        SourceType::Card => "card",
        SourceType::BankAccount => "bank_account",
    }
}

/// Texts of the payment that a transfer came from, where its group stands.
enum GroupTexts<'a> {
    None,
    Own,
    Of(u64, &'a FlowRecord, Texts),
}

/// The transfer of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let flow = view.flow(id.birth)?;
    let transfer = flow.transfers.get(usize::from(id.slot)).ok_or(Stop::Gone)?;
    let key = RecordKey::head(id.birth);
    let texts = view.texts(&flow.private);
    let prefix = format!("tr{}.", id.slot);
    let words = Words::new(&texts, &prefix);
    let payment = Words::new(&texts, "pi.");
    let group_texts = match transfer.source {
        _ if words.get("transfer_group").is_some() => GroupTexts::None,
        TransferSource::Balance => GroupTexts::None,
        TransferSource::OwnCharge => GroupTexts::Own,
        TransferSource::Charge { birth, .. } => {
            let of = view.flow(birth)?;
            GroupTexts::Of(birth, of, view.texts(&of.private))
        }
    };
    let transfer_group = words.get("transfer_group").map(Group::Given).or_else(|| match &group_texts {
        GroupTexts::None => None,
        GroupTexts::Own => payment_intent::group(view, id.birth, flow, Words::new(&texts, flow.charge_texts())),
        GroupTexts::Of(birth, of, texts) => {
            payment_intent::group(view, *birth, of, Words::new(texts, of.charge_texts()))
        }
    });
    let newest = [transfer.recent_reversals.as_slice(), &flow.recent_refunds];
    let reversals = newest_children(view, id.birth, &newest, |key, record| {
        let hit = match record {
            Record::Reversal(reversal) => reversal.part.transfer == id.slot,
            Record::Refund(refund) => refund.reversals.iter().any(|part| part.transfer == id.slot),
            _ => false,
        };
        hit.then(|| reversal::of(view, key, id.slot))
    })?;
    let own_id = view.id(id);
    let source = RowSource { kind: ObjectKind::Transfer, key, slot: id.slot };
    let metadata = if !words.has("metadata") && transfer.source == TransferSource::OwnCharge {
        payment.hash("transfer_data[metadata]")
    } else {
        words.metadata()
    };
    let url = format!("/v1/transfers/{}/reversals", own_id.as_str());
    let shown: i64 = reversals.iter().map(Reversal::amount).sum();
    sink.put(&Transfer {
        id: own_id,
        object: "transfer",
        amount: transfer.amount,
        amount_reversed: transfer.amount_reversed,
        balance_transaction: row_among(view, key, &flow.rows, &source),
        created: transfer.made.at.seconds(),
        currency: transfer.currency.code(),
        description: words.get("description").or_else(|| match transfer.source {
            TransferSource::OwnCharge => payment.inside("transfer_data", "description"),
            TransferSource::Balance | TransferSource::Charge { .. } => None,
        }),
        destination: view.account_id(transfer.destination),
        destination_payment: view.id(&key.id(ObjectKind::Payment, id.slot)),
        livemode: false,
        metadata,
        reversals: Embedded::new(reversals, shown < transfer.amount_reversed, url),
        reversed: transfer.amount_reversed == transfer.amount,
        source_transaction: source_charge(id.birth, flow, transfer).map(|charge| view.id(&charge)),
        source_type: source_type(transfer.source_type),
        transfer_group,
    })
}
