//! `payout`.

use serde::Serialize;

use super::super::view::{Id, Stop, View};
use super::{Hash, Rendered, Sink, Words, transfer};
use crate::domain::payout::is_return;
use crate::domain::record::{BankOutcome, PayoutStatus, Record, RecordKey, RowKind, Slot};
use crate::primitives::id::{ObjectId, ObjectKind};

#[derive(Serialize)]
struct Payout<'a> {
    id: Id,
    object: &'static str,
    amount: i64,
    application_fee: Option<Id>,
    application_fee_amount: Option<i64>,
    arrival_date: i64,
    automatic: bool,
    balance_transaction: Option<Id>,
    created: i64,
    currency: &'static str,
    description: Option<&'a str>,
    destination: Option<Id>,
    failure_balance_transaction: Option<Id>,
    failure_code: Option<&'static str>,
    failure_message: Option<&'static str>,
    livemode: bool,
    metadata: Hash<'a>,
    method: &'static str,
    original_payout: Option<Id>,
    payout_method: Option<Id>,
    reconciliation_status: &'static str,
    reversed_by: Option<Id>,
    source_type: &'static str,
    statement_descriptor: Option<&'a str>,
    status: &'static str,
    trace_id: Option<TraceId>,
    r#type: &'static str,
}

#[derive(Serialize)]
struct TraceId {
    status: &'static str,
    value: Option<&'static str>,
}

/// A status's word.
pub fn status(status: PayoutStatus) -> &'static str {
    match status {
        PayoutStatus::Pending => "pending",
        PayoutStatus::InTransit => "in_transit",
        PayoutStatus::Paid => "paid",
        PayoutStatus::Canceled => "canceled",
        PayoutStatus::Failed => "failed",
    }
}

/// Why a bank sent it back: code and sentence.
pub fn failure(outcome: BankOutcome) -> Option<(&'static str, &'static str)> {
    match outcome {
        BankOutcome::Paid => None,
        BankOutcome::NoAccount => Some(("no_account", "The bank account could not be located.")),
        BankOutcome::AccountClosed => Some(("account_closed", "The bank account has been closed.")),
        BankOutcome::InsufficientFunds => {
            Some(("insufficient_funds", "There were not enough funds to make this payout."))
        }
        BankOutcome::DebitNotAuthorized => {
            Some(("debit_not_authorized", "Debit transactions are not approved on this bank account."))
        }
        BankOutcome::InvalidCurrency => {
            Some(("invalid_currency", "The bank could not take this payout in its currency."))
        }
    }
}

/// The payout of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let key = RecordKey::of(id);
    let Record::Payout(payout) = view.record(key)? else { return Err(Stop::Gone) };
    let texts = view.texts(&payout.private);
    let words = Words::new(&texts, "");
    let row = |is_it: &dyn Fn(RowKind) -> bool| {
        let slot = u16::try_from(payout.rows.iter().position(|row| is_it(row.kind))?).ok()?;
        Some(view.id(&key.id(ObjectKind::BalanceTransaction, slot)))
    };
    let other = |birth: u64| view.id(&RecordKey::head(birth).id(ObjectKind::Payout, Slot::MAIN));
    let is_automatic = payout.automatic.is_some();
    let is_instant = payout.instant == Some(true);
    let bank = RecordKey::head(payout.owner.0).id(ObjectKind::BankAccount, payout.bank.saturating_add(1));
    let failed = payout.failure.and_then(failure);
    sink.put(&Payout {
        id: view.id(id),
        object: "payout",
        amount: payout.amount,
        application_fee: None,
        application_fee_amount: None,
        // An instant payout arrives as it is made; others on a day.
        arrival_date: if is_instant { payout.made.at.seconds() } else { payout.arrival_on.midnight().seconds() },
        automatic: is_automatic,
        balance_transaction: row(&|kind| kind == RowKind::Payout),
        created: payout.made.at.seconds(),
        currency: payout.currency.code(),
        description: words.get("description").or(is_automatic.then_some("STRIPE PAYOUT")),
        destination: Some(view.id(&bank)),
        failure_balance_transaction: row(&is_return),
        failure_code: failed.map(|(code, _)| code),
        failure_message: failed.map(|(_, message)| message),
        livemode: false,
        metadata: words.metadata(),
        method: if is_instant { "instant" } else { "standard" },
        original_payout: payout.original.map(other),
        payout_method: None,
        reconciliation_status: match (is_automatic, payout.reconciled) {
            (false, _) => "not_applicable",
            (true, Some(true)) => "completed",
            (true, _) => "in_progress",
        },
        reversed_by: payout.reversed_by.map(other),
        source_type: transfer::source_type(payout.source_type),
        statement_descriptor: words.get("statement_descriptor"),
        status: status(payout.status),
        trace_id: Some(TraceId { status: "pending", value: None }),
        r#type: "bank_account",
    })
}
