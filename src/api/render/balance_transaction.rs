//! `balance_transaction`.

use serde::Serialize;

use super::super::view::{Id, Stop, View};
use super::{Rendered, Sink, Words, charge};
use crate::domain::record::{Record, RecordKey, Row, RowKind};
use crate::primitives::exchange::{Decimal, shown_rate};
use crate::primitives::id::{ObjectId, ObjectKind};

#[derive(Serialize)]
struct BalanceTransaction<'a> {
    id: Id,
    object: &'static str,
    amount: i64,
    available_on: i64,
    balance_type: &'static str,
    created: i64,
    currency: &'static str,
    description: Option<std::borrow::Cow<'a, str>>,
    exchange_rate: Option<f64>,
    fee: i64,
    fee_details: Vec<FeeDetail>,
    net: i64,
    reporting_category: &'static str,
    source: Option<Id>,
    status: &'static str,
    r#type: &'static str,
}

#[derive(Serialize)]
struct FeeDetail {
    amount: i64,
    application: Option<Id>,
    currency: &'static str,
    description: &'static str,
    r#type: &'static str,
}

/// `type` and `reporting_category` (table 4.2).
pub fn kind(kind: RowKind) -> (&'static str, &'static str) {
    match kind {
        RowKind::Charge => ("charge", "charge"),
        RowKind::Payment => ("payment", "charge"),
        RowKind::Transfer => ("transfer", "transfer"),
        RowKind::ApplicationFee => ("application_fee", "platform_earning"),
        RowKind::Refund => ("refund", "refund"),
        RowKind::PartialCaptureReversal => ("refund", "partial_capture_reversal"),
        RowKind::PaymentRefund => ("payment_refund", "refund"),
        RowKind::TransferRefund => ("transfer_refund", "transfer_reversal"),
        RowKind::ApplicationFeeRefund => ("application_fee_refund", "platform_earning_refund"),
        RowKind::FeeAdjustment => ("adjustment", "fee"),
        RowKind::Payout => ("payout", "payout"),
        RowKind::PayoutCancel => ("payout_cancel", "payout_reversal"),
        RowKind::PayoutFailure => ("payout_failure", "payout_reversal"),
        RowKind::Adjustment => ("adjustment", "other_adjustment"),
        RowKind::ProcessingFee => ("stripe_fee", "fee"),
        RowKind::Dispute => ("adjustment", "dispute"),
        RowKind::DisputeReversal => ("adjustment", "dispute_reversal"),
        RowKind::DisputeFee | RowKind::DisputeCounterFee => ("stripe_fee", "fee"),
        RowKind::Topup => ("topup", "topup"),
        RowKind::TopupReversal => ("topup_reversal", "topup_reversal"),
        RowKind::ReserveTransaction => ("reserve_transaction", "connect_reserved_funds"),
        RowKind::CollectionTransfer => ("connect_collection_transfer", "connect_collection_transfer"),
        RowKind::MinimumHold => ("payout_minimum_balance_hold", "payout_minimum_balance_hold"),
        RowKind::MinimumRelease => ("payout_minimum_balance_release", "payout_minimum_balance_release"),
        RowKind::Fee => ("stripe_fee", "fee"),
        RowKind::Advance => ("advance", "advance"),
        RowKind::AdvanceFunding => ("advance_funding", "advance_funding"),
        RowKind::RefundFailure => ("refund_failure", "refund_failure"),
    }
}

fn fee_details(view: &View<'_>, row: &Row) -> Vec<FeeDetail> {
    let mut details = Vec::with_capacity(2);
    if row.application_fee != 0 {
        details.push(FeeDetail {
            amount: row.application_fee,
            application: Some(view.application()),
            currency: row.currency.code(),
            description: "Application fee",
            r#type: "application_fee",
        });
    }
    let processing = row.fee - row.application_fee;
    if processing != 0 {
        details.push(FeeDetail {
            amount: processing,
            application: None,
            currency: row.currency.code(),
            description: match (row.kind, processing > 0) {
                (RowKind::Dispute, _) => "Dispute fee",
                (RowKind::DisputeReversal, _) => "Dispute fee refund",
                (_, true) => "Processing fees",
                (_, false) => "Processing fee refund",
            },
            r#type: "stripe_fee",
        });
    }
    details
}

/// The rate with the six digits that the wire shows. Six digits survive the way through a float and back.
fn shown_as_number(rate: Decimal) -> Option<f64> {
    shown_rate(rate).to_string().parse().ok()
}

/// What the row is about, in words. Only a charge has the caller's own.
fn description<'a>(view: &View<'a>, row: &Row) -> Rendered<Option<std::borrow::Cow<'a, str>>> {
    let fixed = match row.kind {
        RowKind::Charge => return Ok(charge_description(view, row)?.map(std::borrow::Cow::Owned)),
        RowKind::Refund | RowKind::PartialCaptureReversal | RowKind::RefundFailure => {
            let what = if row.kind == RowKind::RefundFailure { "REFUND FAILURE" } else { "REFUND FOR CHARGE" };
            let of = charge_description(view, row)?;
            return Ok(Some(match of {
                Some(text) => std::borrow::Cow::Owned(format!("{what} ({text})")),
                None => std::borrow::Cow::Borrowed(what),
            }));
        }
        RowKind::Adjustment => {
            let record = view.record(row.source.key)?;
            return Ok(match record {
                Record::Adjustment(record) => {
                    view.texts(&record.private).get("reason").map(|text| std::borrow::Cow::Owned(text.to_owned()))
                }
                _ => None,
            });
        }
        RowKind::ProcessingFee => {
            let charge = view.id(&row.source.id());
            return Ok(Some(std::borrow::Cow::Owned(format!("Processing fees for {}", charge.as_str()))));
        }
        RowKind::Payment | RowKind::Transfer => return Ok(None),
        RowKind::Dispute | RowKind::DisputeReversal => {
            let dispute = super::dispute::find(view, row.source.key)?;
            let charge = RecordKey::head(row.source.key.birth).id(ObjectKind::Charge, dispute.charge_attempt);
            let what = if row.kind == RowKind::Dispute { "withdrawal" } else { "reversal" };
            return Ok(Some(std::borrow::Cow::Owned(format!("Chargeback {what} for {:?}", view.id(&charge)))));
        }
        RowKind::DisputeFee => {
            if row.amount < 0 {
                "Dispute fee"
            } else {
                "Dispute fee refund"
            }
        }
        RowKind::DisputeCounterFee => {
            if row.amount < 0 {
                "Dispute countered fee"
            } else {
                "Dispute countered fee refund"
            }
        }
        RowKind::ApplicationFee => "Application fee",
        RowKind::PaymentRefund => "REFUND FOR PAYMENT",
        RowKind::TransferRefund => "REFUND FOR TRANSFER",
        RowKind::ApplicationFeeRefund => "REFUND FOR APPLICATION FEE",
        RowKind::FeeAdjustment => "Application fee refund",
        RowKind::Payout => "STRIPE PAYOUT",
        RowKind::PayoutCancel | RowKind::PayoutFailure => "REFUND FOR PAYOUT (STRIPE PAYOUT)",
        RowKind::Topup | RowKind::TopupReversal => {
            let Record::Topup(topup) = view.record(row.source.key)? else { return Ok(None) };
            return Ok(view
                .texts(&topup.private)
                .get("description")
                .map(|text| std::borrow::Cow::Owned(text.to_owned())));
        }
        RowKind::ReserveTransaction => "Connect reserve",
        RowKind::CollectionTransfer => "Connect collection transfer",
        RowKind::MinimumHold => "Payout minimum balance hold",
        RowKind::MinimumRelease => "Payout minimum balance release",
        RowKind::Fee => "Instant payout fee",
        RowKind::Advance | RowKind::AdvanceFunding => "Advance for instant payout",
    };
    Ok(Some(std::borrow::Cow::Borrowed(fixed)))
}

fn charge_description(view: &View<'_>, row: &Row) -> Rendered<Option<String>> {
    let birth = row.source.key.birth;
    let flow = view.flow(birth)?;
    let Some(charge) = &flow.charge else { return Ok(None) };
    let found = charge::find(view, birth, charge.attempt)?;
    let texts = view.texts(&found.flow.private);
    let words = Words::new(&texts, found.flow.charge_texts());
    Ok(words.get("description").map(str::to_owned))
}

/// The balance transaction of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let record = view.record(RecordKey::of(id))?;
    let row = record.rows().get(usize::from(id.slot)).ok_or(Stop::Gone)?;
    let (r#type, reporting_category) = kind(row.kind);
    // What was available at once says when it was made; what was pending says the midnight of its day.
    // A payout says the day of its arrival; a debit of a bank account counts at once.
    let arrives = row.kind == RowKind::Payout && row.amount < 0;
    let at_once = row.available_on <= row.made.at.day() && !arrives;
    let available_on = if at_once { row.made.at } else { row.available_on.midnight() };
    let available = at_once || row.available_on <= view.now()?.day();
    sink.put(&BalanceTransaction {
        id: view.id(id),
        object: "balance_transaction",
        amount: row.amount,
        available_on: available_on.seconds(),
        balance_type: "payments",
        created: row.made.at.seconds(),
        currency: row.currency.code(),
        description: description(view, row)?,
        exchange_rate: row.conversion.as_ref().and_then(|conversion| shown_as_number(conversion.rate)),
        fee: row.fee,
        fee_details: fee_details(view, row),
        net: row.net(),
        reporting_category,
        source: is_of_source(row).then(|| view.id(&row.source.id())),
        status: if available { "available" } else { "pending" },
        r#type,
    })
}

/// Whether a row's source is this object: what `source=` filters by.
pub fn has_source(row: &Row, source: &ObjectId) -> bool {
    is_of_source(row) && row.source.id() == *source && source.kind != ObjectKind::BalanceTransaction
}

/// Corrections and fees apart name no source.
fn is_of_source(row: &Row) -> bool {
    !matches!(
        row.kind,
        RowKind::Adjustment
            | RowKind::ProcessingFee
            | RowKind::DisputeFee
            | RowKind::DisputeCounterFee
            | RowKind::Fee
            | RowKind::MinimumHold
            | RowKind::MinimumRelease
    )
}
