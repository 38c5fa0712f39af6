//! `topup`.

use serde::Serialize;

use super::super::view::{Id, Stop, View};
use super::{Hash, Rendered, Sink, Words, payout};
use crate::domain::record::{ExternalAccount, Record, RecordKey, TopupRecord, TopupStatus};
use crate::primitives::id::{ObjectId, ObjectKind};

#[derive(Serialize)]
struct Topup<'a> {
    id: Id,
    object: &'static str,
    amount: i64,
    balance_transaction: Option<Id>,
    created: i64,
    currency: &'static str,
    description: Option<&'a str>,
    expected_availability_date: Option<i64>,
    failure_code: Option<&'static str>,
    failure_message: Option<&'static str>,
    initiated_by: &'static str,
    livemode: bool,
    metadata: Hash<'a>,
    source: Source<'a>,
    statement_descriptor: Option<&'a str>,
    status: &'static str,
    transfer_group: Option<&'a str>,
}

/// Where the money comes from, in the API's older form.
#[derive(Serialize)]
struct Source<'a> {
    id: Id,
    object: &'static str,
    ach_debit: AchDebit<'a>,
    allow_redisplay: &'static str,
    amount: Option<i64>,
    client_secret: String,
    created: i64,
    currency: &'static str,
    flow: &'static str,
    livemode: bool,
    metadata: super::Empty,
    owner: Option<()>,
    statement_descriptor: Option<&'a str>,
    status: &'static str,
    r#type: &'static str,
    usage: &'static str,
}

#[derive(Serialize)]
struct AchDebit<'a> {
    bank_name: &'static str,
    country: &'a str,
    fingerprint: &'a str,
    last4: &'a str,
    routing_number: Option<&'a str>,
    r#type: &'a str,
}

fn source<'a>(view: &View<'_>, key: RecordKey, topup: &'a TopupRecord) -> Source<'a> {
    let bank: &ExternalAccount = &topup.bank;
    let id = view.id(&key.id(ObjectKind::Source, 0));
    // A source is spent by its one top-up: its secret opens nothing.
    let client_secret = format!("src_client_secret_{}", id.as_str().trim_start_matches("src_"));
    Source {
        id,
        object: "source",
        ach_debit: AchDebit {
            bank_name: "FLORIN TEST BANK",
            country: bank.country.code(),
            fingerprint: &bank.fingerprint,
            last4: &bank.last4,
            routing_number: bank.routing_number.as_deref(),
            r#type: bank.holder_type.as_deref().unwrap_or("company"),
        },
        allow_redisplay: "unspecified",
        amount: None,
        client_secret,
        created: topup.made.at.seconds(),
        currency: bank.currency.code(),
        flow: "code_verification",
        livemode: false,
        metadata: super::Empty {},
        owner: None,
        statement_descriptor: None,
        status: "chargeable",
        r#type: "ach_debit",
        usage: "reusable",
    }
}

/// The top-up of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let key = RecordKey::of(id);
    let Record::Topup(topup) = view.record(key)? else { return Err(Stop::Gone) };
    let texts = view.texts(&topup.private);
    let words = Words::new(&texts, "");
    let failed = topup.failure.and_then(payout::failure);
    let is_expected = matches!(topup.status, TopupStatus::Pending | TopupStatus::Succeeded | TopupStatus::Reversed);
    sink.put(&Topup {
        id: view.id(id),
        object: "topup",
        amount: topup.amount,
        balance_transaction: topup.rows.first().map(|_| view.id(&key.id(ObjectKind::BalanceTransaction, 0))),
        created: topup.made.at.seconds(),
        currency: topup.currency.code(),
        description: words.get("description"),
        expected_availability_date: is_expected.then(|| topup.expected_on.midnight().seconds()),
        failure_code: failed.map(|(code, _)| code),
        failure_message: failed.map(|(_, message)| message),
        initiated_by: "user",
        livemode: false,
        metadata: words.metadata(),
        source: source(view, key, topup),
        statement_descriptor: words.get("statement_descriptor"),
        status: topup.status.wire(),
        transfer_group: words.get("transfer_group"),
    })
}
