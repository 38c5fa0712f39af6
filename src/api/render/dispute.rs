//! `dispute`.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::super::view::{Id, Stop, View};
use super::payment_method::brand;
use super::{
    Address, BillingDetails, Hash, Rendered, Sink, ToTree, Words, balance_transaction, charge, payment_intent,
};
use crate::domain::record::{Brand, DisputeCase, DisputeReason, DisputeRecord, Enhanced, Record, RecordKey, RowKind};
use crate::domain::seal::Texts;
use crate::primitives::id::{ObjectId, ObjectKind};

/// Where Visa's Compelling Evidence 3.0 lies among the texts.
const CE3: &str = "evidence[enhanced_evidence][visa_compelling_evidence_3]";
const DISPUTED: &str = "evidence[enhanced_evidence][visa_compelling_evidence_3][disputed_transaction]";
const PRIOR: &str = "evidence[enhanced_evidence][visa_compelling_evidence_3][prior_undisputed_transactions][";
/// Earlier payments that Visa wants to see.
const PRIOR_AT_LEAST: usize = 2;

#[derive(Serialize)]
struct Dispute<'a> {
    id: Id,
    object: &'static str,
    amount: i64,
    balance_transactions: Vec<Value>,
    charge: Id,
    created: i64,
    currency: &'static str,
    enhanced_eligibility_types: Vec<&'static str>,
    evidence: Evidence<'a>,
    evidence_details: EvidenceDetails,
    intended_submission_method: Option<&'a str>,
    is_charge_refundable: bool,
    livemode: bool,
    metadata: Hash<'a>,
    network_reason_code: Option<&'static str>,
    payment_intent: Option<Id>,
    payment_method_details: MethodDetails,
    reason: &'static str,
    status: &'static str,
}

#[derive(Serialize)]
struct Evidence<'a> {
    access_activity_log: Option<&'a str>,
    appeal: Option<&'static str>,
    billing_address: Option<&'a str>,
    cancellation_policy: Option<&'a str>,
    cancellation_policy_disclosure: Option<&'a str>,
    cancellation_rebuttal: Option<&'a str>,
    customer_communication: Option<&'a str>,
    customer_email_address: Option<&'a str>,
    customer_name: Option<&'a str>,
    customer_purchase_ip: Option<&'a str>,
    customer_signature: Option<&'a str>,
    duplicate_charge_documentation: Option<&'a str>,
    duplicate_charge_explanation: Option<&'a str>,
    duplicate_charge_id: Option<&'a str>,
    enhanced_evidence: EnhancedEvidence<'a>,
    product_description: Option<&'a str>,
    receipt: Option<&'a str>,
    refund_policy: Option<&'a str>,
    refund_policy_disclosure: Option<&'a str>,
    refund_refusal_explanation: Option<&'a str>,
    service_date: Option<&'a str>,
    service_documentation: Option<&'a str>,
    shipping_address: Option<&'a str>,
    shipping_carrier: Option<&'a str>,
    shipping_date: Option<&'a str>,
    shipping_documentation: Option<&'a str>,
    shipping_tracking_number: Option<&'a str>,
    uncategorized_file: Option<&'a str>,
    uncategorized_text: Option<&'a str>,
}

#[derive(Serialize)]
struct EnhancedEvidence<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mastercard_compliance: Option<Acknowledged>,
    #[serde(skip_serializing_if = "Option::is_none")]
    visa_compelling_evidence_3: Option<Ce3<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    visa_compliance: Option<Acknowledged>,
}

#[derive(Serialize)]
struct Acknowledged {
    fee_acknowledged: bool,
}

#[derive(Serialize)]
struct Ce3<'a> {
    disputed_transaction: Option<DisputedTransaction<'a>>,
    prior_undisputed_transactions: Vec<PriorTransaction<'a>>,
}

#[derive(Serialize)]
struct DisputedTransaction<'a> {
    #[serde(flatten)]
    facts: TransactionFacts<'a>,
    merchandise_or_services: Option<&'a str>,
}

#[derive(Serialize)]
struct PriorTransaction<'a> {
    charge: Option<&'a str>,
    #[serde(flatten)]
    facts: TransactionFacts<'a>,
}

#[derive(Serialize)]
struct TransactionFacts<'a> {
    customer_account_id: Option<&'a str>,
    customer_device_fingerprint: Option<&'a str>,
    customer_device_id: Option<&'a str>,
    customer_email_address: Option<&'a str>,
    customer_purchase_ip: Option<&'a str>,
    product_description: Option<&'a str>,
    shipping_address: Option<Address<'a>>,
}

#[derive(Serialize)]
struct EvidenceDetails {
    due_by: i64,
    enhanced_eligibility: Eligibility,
    has_evidence: bool,
    past_due: bool,
    submission_count: u16,
    submission_method: &'static str,
}

#[derive(Default, Serialize)]
struct Eligibility {
    #[serde(skip_serializing_if = "Option::is_none")]
    mastercard_compliance: Option<ComplianceStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    visa_compelling_evidence_3: Option<Ce3Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    visa_compliance: Option<ComplianceStatus>,
}

#[derive(Serialize)]
struct ComplianceStatus {
    status: &'static str,
}

#[derive(Serialize)]
struct Ce3Status {
    required_actions: Vec<&'static str>,
    status: &'static str,
}

#[derive(Serialize)]
struct MethodDetails {
    card: CardDetails,
    r#type: &'static str,
}

#[derive(Serialize)]
struct CardDetails {
    brand: &'static str,
    case_type: &'static str,
    network: &'static str,
    network_reason_code: Option<&'static str>,
}

/// The dispute in a record.
///
/// # Errors
/// [`Stop`].
pub fn find<'a>(view: &View<'a>, key: RecordKey) -> Rendered<&'a DisputeRecord> {
    match view.record(key)? {
        Record::Dispute(dispute) => Ok(dispute),
        _ => Err(Stop::Gone),
    }
}

fn transaction<'a>(words: &Words<'a>, hash: &str) -> TransactionFacts<'a> {
    let get = |field: &str| words.inside(hash, field);
    TransactionFacts {
        customer_account_id: get("customer_account_id"),
        customer_device_fingerprint: get("customer_device_fingerprint"),
        customer_device_id: get("customer_device_id"),
        customer_email_address: get("customer_email_address"),
        customer_purchase_ip: get("customer_purchase_ip"),
        product_description: get("product_description"),
        shipping_address: words.some_address(&format!("{hash}[shipping_address]")),
    }
}

impl TransactionFacts<'_> {
    /// Visa recognizes a payer by two of these, one of which is the place or the device of the purchase.
    fn identifies(&self) -> bool {
        let device = self.customer_device_id.or(self.customer_device_fingerprint).is_some();
        let place = self.customer_purchase_ip.is_some();
        let others = [
            self.customer_account_id.is_some(),
            self.customer_email_address.is_some(),
            self.shipping_address.is_some(),
            device && place,
        ];
        (device || place) && others.contains(&true)
    }
}

fn ce3<'a>(texts: &'a Texts, words: &Words<'a>) -> Option<Ce3<'a>> {
    if !words.has(CE3) {
        return None;
    }
    let places: BTreeSet<usize> =
        texts.under(PRIOR).filter_map(|(path, _)| path.split(']').next()?.parse().ok()).collect();
    let prior = places.into_iter().map(|place| {
        let hash = format!("{PRIOR}{place}]");
        PriorTransaction { charge: words.inside(&hash, "charge"), facts: transaction(words, &hash) }
    });
    Some(Ce3 {
        disputed_transaction: words.has(DISPUTED).then(|| DisputedTransaction {
            facts: transaction(words, DISPUTED),
            merchandise_or_services: words.inside(DISPUTED, "merchandise_or_services"),
        }),
        prior_undisputed_transactions: prior.collect(),
    })
}

/// What is still missing for Visa to side with the seller.
fn ce3_status(given: Option<&Ce3<'_>>) -> Ce3Status {
    let disputed = given.and_then(|ce3| ce3.disputed_transaction.as_ref());
    let prior = given.map_or(&[][..], |ce3| &ce3.prior_undisputed_transactions);
    let missing = [
        (
            "missing_customer_identifiers",
            !disputed.is_some_and(|d| d.facts.identifies()) || !prior.iter().all(|p| p.facts.identifies()),
        ),
        ("missing_disputed_transaction_description", disputed.is_none_or(|d| d.facts.product_description.is_none())),
        ("missing_merchandise_or_services", disputed.is_none_or(|d| d.merchandise_or_services.is_none())),
        (
            "missing_prior_undisputed_transaction_description",
            prior.is_empty() || prior.iter().any(|p| p.facts.product_description.is_none()),
        ),
        ("missing_prior_undisputed_transactions", prior.len() < PRIOR_AT_LEAST),
    ];
    let required_actions: Vec<&'static str> =
        missing.into_iter().filter(|(_, is_missing)| *is_missing).map(|(action, _)| action).collect();
    Ce3Status { status: if required_actions.is_empty() { "qualified" } else { "requires_action" }, required_actions }
}

fn acknowledged(words: &Words<'_>, network: &str) -> Option<Acknowledged> {
    let given = words.get(&format!("evidence[enhanced_evidence][{network}][fee_acknowledged]"))?;
    Some(Acknowledged { fee_acknowledged: given == "true" })
}

fn compliance(given: Option<&Acknowledged>) -> ComplianceStatus {
    let acknowledged = given.is_some_and(|given| given.fee_acknowledged);
    ComplianceStatus { status: if acknowledged { "fee_acknowledged" } else { "requires_fee_acknowledgement" } }
}

fn eligibility(dispute: &DisputeRecord, given: &EnhancedEvidence<'_>) -> Eligibility {
    match dispute.enhanced {
        None => Eligibility::default(),
        Some(Enhanced::VisaCe3) => Eligibility {
            visa_compelling_evidence_3: Some(ce3_status(given.visa_compelling_evidence_3.as_ref())),
            ..Eligibility::default()
        },
        Some(Enhanced::VisaCompliance) => {
            Eligibility { visa_compliance: Some(compliance(given.visa_compliance.as_ref())), ..Eligibility::default() }
        }
        Some(Enhanced::MastercardCompliance) => Eligibility {
            mastercard_compliance: Some(compliance(given.mastercard_compliance.as_ref())),
            ..Eligibility::default()
        },
    }
}

/// What the payer's name and address are, as far as the charge says, stands in the evidence until it is given.
fn evidence<'a>(texts: &'a Texts, payer: &BillingDetails<'a>) -> Evidence<'a> {
    let words = Words::new(texts, "");
    let get = |field: &str| words.inside("evidence", field);
    Evidence {
        access_activity_log: get("access_activity_log"),
        appeal: None,
        billing_address: get("billing_address"),
        cancellation_policy: get("cancellation_policy"),
        cancellation_policy_disclosure: get("cancellation_policy_disclosure"),
        cancellation_rebuttal: get("cancellation_rebuttal"),
        customer_communication: get("customer_communication"),
        customer_email_address: get("customer_email_address").or(payer.email),
        customer_name: get("customer_name").or(payer.name),
        customer_purchase_ip: get("customer_purchase_ip"),
        customer_signature: get("customer_signature"),
        duplicate_charge_documentation: get("duplicate_charge_documentation"),
        duplicate_charge_explanation: get("duplicate_charge_explanation"),
        duplicate_charge_id: get("duplicate_charge_id"),
        enhanced_evidence: EnhancedEvidence {
            mastercard_compliance: acknowledged(&words, "mastercard_compliance"),
            visa_compelling_evidence_3: ce3(texts, &words),
            visa_compliance: acknowledged(&words, "visa_compliance"),
        },
        product_description: get("product_description"),
        receipt: get("receipt"),
        refund_policy: get("refund_policy"),
        refund_policy_disclosure: get("refund_policy_disclosure"),
        refund_refusal_explanation: get("refund_refusal_explanation"),
        service_date: get("service_date"),
        service_documentation: get("service_documentation"),
        shipping_address: get("shipping_address"),
        shipping_carrier: get("shipping_carrier"),
        shipping_date: get("shipping_date"),
        shipping_documentation: get("shipping_documentation"),
        shipping_tracking_number: get("shipping_tracking_number"),
        uncategorized_file: get("uncategorized_file"),
        uncategorized_text: get("uncategorized_text"),
    }
}

/// What moved on the owner's balance, as objects: fees that the platform pays for it are not shown to the account.
fn rows(view: &View<'_>, key: RecordKey, dispute: &DisputeRecord) -> Rendered<Vec<Value>> {
    let mut objects = Vec::with_capacity(2);
    for (place, row) in dispute.rows.iter().enumerate() {
        if matches!(row.kind, RowKind::Dispute | RowKind::DisputeReversal) {
            let slot = u16::try_from(place).map_err(|_| Stop::Gone)?;
            objects.push(balance_transaction::render(view, &key.id(ObjectKind::BalanceTransaction, slot), ToTree)?);
        }
    }
    Ok(objects)
}

/// The dispute of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let key = RecordKey::of(id);
    view.want([key, RecordKey::head(id.birth)])?;
    let dispute = find(view, key)?;
    let of = charge::find(view, id.birth, dispute.charge_attempt)?;
    let charged = view.texts(of.private);
    let payer = charge::Payer::of(view, of.charge, &charged)?;
    let payer = payer.billing();
    let texts = view.texts(&dispute.private);
    let words = Words::new(&texts, "");
    let evidence = evidence(&texts, &payer);
    let enhanced_eligibility = eligibility(dispute, &evidence.enhanced_evidence);
    let network = brand(of.charge.card.brand);
    let network_reason_code = network_code(of.charge.card.brand, dispute.reason);
    sink.put(&Dispute {
        id: view.id(id),
        object: "dispute",
        amount: dispute.amount,
        balance_transactions: rows(view, key, dispute)?,
        charge: view.id(&RecordKey::head(id.birth).id(ObjectKind::Charge, dispute.charge_attempt)),
        created: dispute.made.at.seconds(),
        currency: dispute.currency.code(),
        enhanced_eligibility_types: dispute.enhanced.map(enhanced_word).into_iter().collect(),
        evidence_details: EvidenceDetails {
            due_by: dispute.due_by.seconds(),
            enhanced_eligibility,
            has_evidence: dispute.has_evidence,
            past_due: dispute.submissions == 0 && view.now()? > dispute.due_by,
            submission_count: dispute.submissions,
            submission_method: if dispute.submissions == 0 { "not_submitted" } else { "manual" },
        },
        evidence,
        intended_submission_method: words.get("intended_submission_method"),
        is_charge_refundable: dispute.leaves_refundable() && of.charge.disputable() > 0,
        livemode: false,
        metadata: words.metadata(),
        network_reason_code,
        payment_intent: of.flow.intent.is_some().then(|| payment_intent::id_of(view, id.birth)),
        payment_method_details: MethodDetails {
            card: CardDetails {
                brand: network,
                case_type: match dispute.case {
                    DisputeCase::Inquiry => "inquiry",
                    DisputeCase::Chargeback => "chargeback",
                    DisputeCase::Compliance => "compliance",
                },
                network,
                network_reason_code,
            },
            r#type: "card",
        },
        reason: reason(dispute.reason),
        status: dispute.status.wire(),
    })
}

fn enhanced_word(enhanced: Enhanced) -> &'static str {
    match enhanced {
        Enhanced::VisaCe3 => "visa_compelling_evidence_3",
        Enhanced::VisaCompliance => "visa_compliance",
        Enhanced::MastercardCompliance => "mastercard_compliance",
    }
}

/// A reason's word.
fn reason(reason: DisputeReason) -> &'static str {
    match reason {
        DisputeReason::Fraudulent => "fraudulent",
        DisputeReason::ProductNotReceived => "product_not_received",
        DisputeReason::ProductUnacceptable => "product_unacceptable",
        DisputeReason::Duplicate => "duplicate",
        DisputeReason::CreditNotProcessed => "credit_not_processed",
        DisputeReason::SubscriptionCanceled => "subscription_canceled",
        DisputeReason::Unrecognized => "unrecognized",
        DisputeReason::General => "general",
        DisputeReason::Noncompliant => "noncompliant",
    }
}

/// The network's code for a reason, where it has one.
fn network_code(brand: Brand, reason: DisputeReason) -> Option<&'static str> {
    use DisputeReason::{
        CreditNotProcessed, Duplicate, Fraudulent, General, Noncompliant, ProductNotReceived, ProductUnacceptable,
        SubscriptionCanceled, Unrecognized,
    };
    match (brand, reason) {
        (Brand::Visa, Fraudulent | Unrecognized) => Some("10.4"),
        (Brand::Visa, ProductNotReceived) => Some("13.1"),
        (Brand::Visa, SubscriptionCanceled) => Some("13.2"),
        (Brand::Visa, ProductUnacceptable) => Some("13.3"),
        (Brand::Visa, CreditNotProcessed) => Some("13.6"),
        (Brand::Visa, Duplicate) => Some("12.6.1"),
        (Brand::Mastercard, Fraudulent | Unrecognized) => Some("4837"),
        (Brand::Mastercard, Duplicate) => Some("4834"),
        (Brand::Mastercard, ProductNotReceived | ProductUnacceptable | CreditNotProcessed | SubscriptionCanceled) => {
            Some("4853")
        }
        (Brand::Amex, Fraudulent | Unrecognized) => Some("F29"),
        (Brand::Amex, CreditNotProcessed) => Some("C02"),
        (Brand::Amex, ProductNotReceived) => Some("C08"),
        (Brand::Amex, Duplicate) => Some("C14"),
        (Brand::Amex, SubscriptionCanceled) => Some("C28"),
        (Brand::Amex, ProductUnacceptable) => Some("C31"),
        (Brand::Visa | Brand::Mastercard | Brand::Amex, General | Noncompliant)
        | (Brand::Discover | Brand::Diners | Brand::Jcb | Brand::Unionpay, _) => None,
    }
}
