//! `charge`: a card charge (`ch_`), and the payment that an account gets from a transfer (`py_`).

use serde::Serialize;

use super::super::secrets::hex;
use super::super::view::{Id, Stop, View, account_id};
use super::account;
use super::authentication::{ThreeDSecure, three_d_secure};
use super::card::{self, Card};
use super::payment_intent::{self, Group};
use super::payment_method::{self, Checks, Last4, brand, checks, funding};
use super::{BillingDetails, Hash, Rendered, Shipping, Sink, ToTree, Words, attempt_key, decline, row_among};
use crate::domain::record::{
    Charge as ChargeRecord, FlowRecord, Record, RecordKey, RowSource, Slot, Split, Transfer, TransferSource,
};
use crate::domain::seal::{CHARGED_CARD, Sealed, Texts};
use crate::ledger::AccountNo;
use crate::primitives::id::{ObjectId, ObjectKind};
use crate::primitives::time::Timestamp;

/// Risk score of a card that nothing speaks against; scoring comes later.
pub const RISK_SCORE: u8 = 12;
/// Risk score of a blocked test card.
pub const RISK_SCORE_BLOCKED: u8 = 92;

#[derive(Serialize)]
struct Charge<'a> {
    id: Id,
    object: &'static str,
    amount: i64,
    amount_captured: i64,
    amount_refunded: i64,
    application: Option<Id>,
    application_fee: Option<Id>,
    application_fee_amount: Option<i64>,
    balance_transaction: Option<Id>,
    billing_details: BillingDetails<'a>,
    calculated_statement_descriptor: Option<&'a str>,
    captured: bool,
    created: i64,
    currency: &'static str,
    customer: Option<Id>,
    description: Option<&'a str>,
    destination: Option<Id>,
    dispute: Option<Id>,
    disputed: bool,
    failure_balance_transaction: Option<&'static str>,
    failure_code: Option<&'static str>,
    failure_message: Option<&'static str>,
    fraud_details: FraudDetails<'a>,
    livemode: bool,
    metadata: Hash<'a>,
    on_behalf_of: Option<Id>,
    outcome: decline::Outcome,
    paid: bool,
    payment_intent: Option<Id>,
    payment_method: Option<Id>,
    payment_method_details: Details,
    receipt_email: Option<&'a str>,
    receipt_number: Option<&'static str>,
    receipt_url: Option<&'static str>,
    refunded: bool,
    review: Option<&'static str>,
    shipping: Option<Shipping<'a>>,
    source: Option<Source<'a>>,
    source_transfer: Option<Id>,
    statement_descriptor: Option<&'a str>,
    statement_descriptor_suffix: Option<&'a str>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer: Option<Id>,
    transfer_data: Option<TransferData>,
    transfer_group: Option<Group<'a>>,
}

/// What was charged, as it was before payment intents: shown where there is none.
#[derive(Serialize)]
#[serde(untagged)]
enum Source<'a> {
    Card(Box<Card<'a>>),
    Account(Box<serde_json::Value>),
}

#[derive(Serialize)]
struct FraudDetails<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_report: Option<&'a str>,
}

#[derive(Serialize)]
struct TransferData {
    amount: Option<i64>,
    destination: Id,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Details {
    Card { card: Box<CardDetails>, r#type: &'static str },
    Account { stripe_account: super::Empty, r#type: &'static str },
}

#[derive(Serialize)]
struct CardDetails {
    amount_authorized: Option<i64>,
    authorization_code: Option<&'static str>,
    brand: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    capture_before: Option<i64>,
    checks: Checks,
    country: String,
    electronic_commerce_indicator: Option<&'static str>,
    exp_month: u8,
    exp_year: u16,
    extended_authorization: Status,
    fingerprint: String,
    funding: &'static str,
    incremental_authorization: Status,
    installments: Option<&'static str>,
    last4: Last4,
    mandate: Option<&'static str>,
    multicapture: Status,
    network: &'static str,
    network_token: NetworkToken,
    network_transaction_id: Option<&'static str>,
    overcapture: Overcapture,
    regulated_status: &'static str,
    three_d_secure: Option<ThreeDSecure>,
    transaction_link_id: Option<&'static str>,
    wallet: Option<&'static str>,
}

#[derive(Serialize)]
struct Status {
    status: &'static str,
}

#[derive(Serialize)]
struct NetworkToken {
    used: bool,
}

#[derive(Serialize)]
struct Overcapture {
    maximum_amount_capturable: i64,
    status: &'static str,
}

/// A card charge, where it lies now.
pub struct Found<'a> {
    /// Whose charge it is.
    pub owner: AccountNo,
    /// The charge.
    pub charge: &'a ChargeRecord,
    /// The flow it belongs to.
    pub flow: &'a FlowRecord,
    /// Birth of the customer.
    pub customer: Option<u64>,
    /// The texts that it is in.
    pub private: &'a Sealed,
    /// It is not the flow's latest charge.
    superseded: bool,
}

/// The charge of an attempt: in the flow's head while it is the latest, then in a record of its own.
///
/// # Errors
/// [`Stop`].
pub fn find<'a>(view: &View<'a>, birth: u64, attempt: u16) -> Rendered<Found<'a>> {
    let flow = view.flow(birth)?;
    if let Some(charge) = flow.charge.as_ref().filter(|charge| charge.attempt == attempt) {
        let customer = flow.intent.as_ref().and_then(|intent| intent.customer);
        return Ok(Found { owner: flow.owner, charge, flow, customer, private: &flow.private, superseded: false });
    }
    match view.record(attempt_key(birth, attempt))? {
        Record::Attempt(record) => Ok(Found {
            owner: record.owner,
            charge: &record.charge,
            flow,
            customer: record.customer,
            private: &record.private,
            superseded: true,
        }),
        _ => Err(Stop::Gone),
    }
}

fn card_details(charge: &ChargeRecord, capture_before: Option<Timestamp>) -> Details {
    let card = &charge.card;
    Details::Card {
        card: Box::new(CardDetails {
            amount_authorized: charge.failure.is_none().then_some(charge.amount),
            authorization_code: None,
            brand: brand(card.brand),
            capture_before: capture_before.map(Timestamp::seconds),
            checks: checks(card),
            country: card.country.code().to_owned(),
            electronic_commerce_indicator: None,
            exp_month: card.exp_month,
            exp_year: card.exp_year,
            extended_authorization: Status { status: "disabled" },
            fingerprint: hex(&card.fingerprint),
            funding: funding(card.funding),
            incremental_authorization: Status { status: "unavailable" },
            installments: None,
            last4: Last4(card.last4),
            mandate: None,
            multicapture: Status { status: "unavailable" },
            network: brand(card.brand),
            network_token: NetworkToken { used: false },
            network_transaction_id: None,
            overcapture: Overcapture { maximum_amount_capturable: charge.amount, status: "unavailable" },
            regulated_status: "unregulated",
            three_d_secure: charge.three_d_secure.map(|how| three_d_secure(how, card.brand)),
            transaction_link_id: None,
            wallet: None,
        }),
        r#type: "card",
    }
}

/// The first transfer of a charge's own and what it shows of it: only a destination charge has one.
fn destination_transfer(flow: &FlowRecord) -> Option<(u16, &Transfer)> {
    let intent = flow.intent.as_ref()?;
    match intent.split {
        Split::Destination { .. } | Split::DestinationAmount { .. } => {
            let place = flow.transfers.iter().position(|transfer| transfer.source == TransferSource::OwnCharge)?;
            Some((u16::try_from(place).ok()?, flow.transfers.get(place)?))
        }
        Split::Keep | Split::Rule(_) | Split::Direct(_) => None,
    }
}

/// Who a charge's card belonged to.
pub enum Payer<'a> {
    /// Kept with the charge's texts.
    Kept(&'a Texts),
    /// A charge of the first rules did not keep it: then it is what its payment method says, if that is still there.
    Method(Option<payment_method::Source<'a>>),
}

impl<'a> Payer<'a> {
    /// Of a charge with these texts.
    ///
    /// # Errors
    /// [`Stop`], but not where the payment method is gone.
    pub fn of(view: &View<'a>, charge: &ChargeRecord, texts: &'a Texts) -> Rendered<Payer<'a>> {
        if texts.under(CHARGED_CARD).next().is_some() {
            return Ok(Payer::Kept(texts));
        }
        match payment_method::source(view, &charge.method) {
            Ok(source) => Ok(Payer::Method(Some(source))),
            Err(Stop::Gone) => Ok(Payer::Method(None)),
            Err(stop) => Err(stop),
        }
    }

    /// The billing details.
    pub fn billing(&self) -> BillingDetails<'_> {
        match self {
            Payer::Kept(texts) => Words::new(texts, CHARGED_CARD).billing("billing_details"),
            Payer::Method(method) => method.as_ref().map(payment_method::Source::billing).unwrap_or_default(),
        }
    }
}

/// The charge of a `ch_` id.
///
/// # Errors
/// [`Stop`].
pub fn render_card<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let Found { owner, charge, flow, customer, private, superseded } = find(view, id.birth, id.slot)?;
    let key = RecordKey::head(id.birth);
    let texts = view.texts(private);
    let own_texts = if superseded { texts.under("ch.").next().is_some() } else { flow.charge_text_split };
    let words = Words::new(&texts, if own_texts { "ch." } else { "pi." });
    let payer = Payer::of(view, charge, &texts)?;
    let billing = payer.billing();
    let transfer = if superseded || charge.failure.is_some() { None } else { destination_transfer(flow) };
    let slot_id = |kind, slot| view.id(&key.id(kind, slot));
    let fee_slot = transfer.map_or(Slot::MAIN, |(slot, _)| slot);
    let fee = if superseded { None } else { flow.fee(fee_slot).map(|of| of.fee) };
    let (destination, transfer_amount, asked_fee) = match flow.intent.as_ref().map(|intent| &intent.split) {
        Some(Split::Destination { account, application_fee }) => (Some(*account), None, *application_fee),
        Some(Split::DestinationAmount { account, amount }) => (Some(*account), Some(*amount), None),
        Some(Split::Direct(fee)) => (None, None, Some(*fee)),
        Some(Split::Keep | Split::Rule(_)) | None => (None, None, None),
    };
    let source = RowSource { kind: ObjectKind::Charge, key, slot: charge.attempt };
    let failure = charge.failure.map(|failure| failure.recipe);
    let failed = failure.map(decline::words);
    let disputes = charge.disputes.as_deref();
    let capture_before = flow.intent.as_ref().and_then(|intent| intent.capture_before);
    let on_behalf_of = flow.intent.as_ref().and_then(|intent| intent.on_behalf_of);
    let card = flow.shown_intent().is_none().then(|| {
        let id = ObjectId { kind: ObjectKind::Card, ..charge.method.id() };
        Source::Card(Box::new(card::charged(view, &id, &charge.card, &billing)))
    });
    sink.put(&Charge {
        id: view.id(id),
        object: "charge",
        amount: charge.amount,
        amount_captured: charge.amount_captured,
        amount_refunded: charge.amount_refunded,
        application: (!owner.is_platform()).then(|| view.application()),
        application_fee: fee.map(|_| slot_id(ObjectKind::ApplicationFee, fee_slot)),
        application_fee_amount: fee.map(|fee| fee.amount).or(asked_fee),
        balance_transaction: row_among(view, key, &flow.rows, &source),
        billing_details: billing,
        calculated_statement_descriptor: words
            .get("statement_descriptor")
            .or_else(|| words.get("calculated_statement_descriptor"))
            .or_else(|| words.get("statement_descriptor_suffix")),
        captured: charge.captured,
        created: charge.made.at.seconds(),
        currency: charge.currency.code(),
        customer: customer.map(|birth| view.customer_id(birth)),
        description: words.get("description"),
        destination: destination.map(|account| view.account_id(account)),
        dispute: disputes.map(|d| view.id(&RecordKey { child: d.latest, ..key }.id(ObjectKind::Dispute, Slot::MAIN))),
        disputed: disputes.is_some(),
        failure_balance_transaction: None,
        failure_code: failed.map(|words| words.code),
        failure_message: failed.map(|words| words.message),
        fraud_details: FraudDetails { user_report: words.inside("fraud_details", "user_report") },
        livemode: false,
        metadata: words.metadata(),
        on_behalf_of: on_behalf_of.map(|account| view.account_id(account)),
        outcome: decline::outcome(failure),
        paid: failure.is_none(),
        payment_intent: flow.shown_intent().is_some().then(|| payment_intent::id_of(view, id.birth)),
        payment_method: Some(view.method_id(&charge.method)),
        payment_method_details: card_details(charge, if superseded { None } else { capture_before }),
        receipt_email: words.get("receipt_email"),
        receipt_number: None,
        receipt_url: None,
        // An uncaptured authorization that was released counts as refunded; the rest of a partial capture does not.
        refunded: failure.is_none()
            && if charge.captured { charge.refundable() == 0 } else { charge.amount_refunded == charge.amount },
        review: None,
        shipping: words.shipping(),
        source: card,
        source_transfer: None,
        statement_descriptor: words.get("statement_descriptor"),
        statement_descriptor_suffix: words.get("statement_descriptor_suffix"),
        status: if failure.is_none() { "succeeded" } else { "failed" },
        transfer: transfer.map(|(slot, _)| slot_id(ObjectKind::Transfer, slot)),
        transfer_data: destination
            .map(|account| TransferData { amount: transfer_amount, destination: view.account_id(account) }),
        transfer_group: if superseded { None } else { payment_intent::group(view, id.birth, flow, words) },
    })
}

/// The account whose balance was charged, unless it is gone.
fn debited<'a>(view: &View<'_>, account: AccountNo) -> Rendered<Option<Source<'a>>> {
    match account::render(view, &account_id(account), ToTree) {
        Ok(object) => Ok(Some(Source::Account(Box::new(object)))),
        Err(Stop::Gone) => Ok(None),
        Err(stop) => Err(stop),
    }
}

/// The payment of a `py_` id: what the destination of a transfer sees.
///
/// # Errors
/// [`Stop`].
pub fn render_payment<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let flow = view.flow(id.birth)?;
    let transfer = flow.transfers.get(usize::from(id.slot)).ok_or(Stop::Gone)?;
    let key = RecordKey::head(id.birth);
    let texts = view.texts(&flow.private);
    let prefix = format!("py{}.", id.slot);
    let words = Words::new(&texts, &prefix);
    let fee = transfer.fee.as_ref();
    let source = RowSource { kind: ObjectKind::Payment, key, slot: id.slot };
    sink.put(&Charge {
        id: view.id(id),
        object: "charge",
        amount: transfer.amount,
        amount_captured: transfer.amount,
        amount_refunded: transfer.amount_reversed,
        application: fee.map(|_| view.application()),
        application_fee: fee.map(|_| view.id(&key.id(ObjectKind::ApplicationFee, id.slot))),
        application_fee_amount: fee.map(|fee| if fee.currency == transfer.currency { fee.amount } else { fee.charged }),
        balance_transaction: row_among(view, key, &flow.rows, &source),
        billing_details: BillingDetails::default(),
        calculated_statement_descriptor: None,
        captured: true,
        created: transfer.made.at.seconds(),
        currency: transfer.currency.code(),
        customer: None,
        description: words.get("description"),
        destination: None,
        dispute: None,
        disputed: false,
        failure_balance_transaction: None,
        failure_code: None,
        failure_message: None,
        fraud_details: FraudDetails { user_report: None },
        livemode: false,
        metadata: words.metadata(),
        on_behalf_of: None,
        outcome: decline::not_assessed(),
        paid: true,
        payment_intent: None,
        payment_method: None,
        payment_method_details: Details::Account { stripe_account: super::Empty {}, r#type: "stripe_account" },
        receipt_email: None,
        receipt_number: None,
        receipt_url: None,
        refunded: transfer.amount_reversed == transfer.amount,
        review: None,
        shipping: None,
        source: if transfer.destination.is_platform() { debited(view, flow.owner)? } else { None },
        source_transfer: Some(view.id(&key.id(ObjectKind::Transfer, id.slot))),
        statement_descriptor: None,
        statement_descriptor_suffix: None,
        status: "succeeded",
        transfer: None,
        transfer_data: None,
        transfer_group: None,
    })
}
