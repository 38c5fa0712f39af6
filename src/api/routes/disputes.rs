//! `/v1/disputes`.

use super::super::error::{ApiError, Place};
use super::super::expansion::DISPUTE;
use super::super::fields::{Fields, Patch};
use super::super::list::{self, DISPUTES};
use super::super::paging::Range;
use super::super::request::Call;
use super::super::respond;
use super::super::texts::Texts;
use super::super::view::{Stage, render as painted};
use super::{Answered, expansion, owned, paging, retrieve as read};
use crate::domain::command::Command;
use crate::domain::record::{EvidenceWords, Record, Slot};
use crate::primitives::id::{ObjectId, ObjectKind};

/// Longest text of an answer's longer fields, in characters.
const LONG_CHARS_MAX: usize = 20_000;
const CHARGES: &[ObjectKind] = &[ObjectKind::Charge];

const LONG: [&str; 8] = [
    "access_activity_log",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "duplicate_charge_explanation",
    "product_description",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "uncategorized_text",
];
const SHORT: [&str; 10] = [
    "billing_address",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "duplicate_charge_id",
    "service_date",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_tracking_number",
];
const FILES: [&str; 9] = [
    "cancellation_policy",
    "customer_communication",
    "customer_signature",
    "duplicate_charge_documentation",
    "receipt",
    "refund_policy",
    "service_documentation",
    "shipping_documentation",
    "uncategorized_file",
];
const TRANSACTION: [&str; 6] = [
    "customer_account_id",
    "customer_device_fingerprint",
    "customer_device_id",
    "customer_email_address",
    "customer_purchase_ip",
    "product_description",
];
const SUBMISSION_METHODS: [(&str, &str); 4] = [
    ("manual", "manual"),
    ("prefer_manual", "prefer_manual"),
    ("prefer_smart_disputes", "prefer_smart_disputes"),
    ("smart_disputes", "smart_disputes"),
];
const GOODS: [(&str, &str); 2] = [("merchandise", "merchandise"), ("services", "services")];

fn id(call: &Call) -> Result<ObjectId, ApiError> {
    call.path_id(0, &[ObjectKind::Dispute], "dispute", "dispute")
}

/// GET /v1/disputes/{dispute}
pub async fn retrieve(call: Call) -> Answered {
    read(&call, id(&call)?, &DISPUTE, "dispute", "dispute").await
}

/// What the words of a test say about its outcome.
fn words(text: Option<&str>) -> EvidenceWords {
    match text {
        Some("winning_evidence") => EvidenceWords::Winning,
        Some("losing_evidence") => EvidenceWords::Losing,
        Some("escalate_inquiry_evidence") => EvidenceWords::Escalating,
        _ => EvidenceWords::None,
    }
}

/// `evidence`: its texts, and what its test words ask for where they are given.
fn evidence(call: &Call, evidence: &Fields<'_>, texts: &mut Texts) -> Result<Option<EvidenceWords>, ApiError> {
    texts.texts(evidence, &SHORT)?;
    for name in LONG {
        texts.text_up_to(evidence, name, LONG_CHARS_MAX)?;
    }
    for name in FILES {
        if texts.text(evidence, name)? {
            let file = evidence.text(name)?.unwrap_or_default();
            if call.id_of(file, &[ObjectKind::File]).is_none() {
                return Err(ApiError::no_such("file upload", file, evidence.name_of(name), Place::Parameter));
            }
        }
    }
    if !matches!(evidence.clearable_hash("appeal")?, Patch::Keep | Patch::Clear) {
        let message = "This dispute cannot be appealed: Florin decides disputes once.";
        return Err(ApiError::invalid(evidence.name_of("appeal"), message));
    }
    match evidence.clearable_hash("enhanced_evidence")? {
        Patch::Keep => {}
        Patch::Clear => texts.clear(evidence.name_of("enhanced_evidence")),
        Patch::Set(enhanced) => enhanced_evidence(&enhanced, texts)?,
    }
    Ok(match evidence.is_given("uncategorized_text") {
        true => Some(words(evidence.clearable_text_up_to("uncategorized_text", LONG_CHARS_MAX)?.value())),
        false => None,
    })
}

fn enhanced_evidence(enhanced: &Fields<'_>, texts: &mut Texts) -> Result<(), ApiError> {
    for network in ["mastercard_compliance", "visa_compliance"] {
        if let Some(compliance) = enhanced.hash(network)? {
            texts.flag(&compliance, "fee_acknowledged")?;
        }
    }
    let Some(ce3) = enhanced.hash("visa_compelling_evidence_3")? else { return Ok(()) };
    if let Some(disputed) = ce3.hash("disputed_transaction")? {
        texts.texts(&disputed, &TRANSACTION)?;
        texts.address(&disputed, "shipping_address")?;
        if let Some(goods) = disputed.one_of("merchandise_or_services", &GOODS)? {
            texts.set(disputed.name_of("merchandise_or_services"), goods);
        }
    }
    if let Some(prior) = ce3.hashes("prior_undisputed_transactions")? {
        texts.clear(ce3.name_of("prior_undisputed_transactions"));
        for transaction in prior {
            let charge = transaction.required_text("charge")?;
            texts.set(transaction.name_of("charge"), charge);
            texts.texts(&transaction, &TRANSACTION)?;
            texts.address(&transaction, "shipping_address")?;
        }
    }
    Ok(())
}

/// POST /v1/disputes/{dispute}
pub async fn update(call: Call) -> Answered {
    let dispute = id(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &DISPUTE)?;
    let mut texts = Texts::default();
    let given = fields.hash("evidence")?;
    let words = match &given {
        Some(given) => evidence(&call, given, &mut texts)?,
        None => None,
    };
    if let Some(method) = fields.one_of("intended_submission_method", &SUBMISSION_METHODS)? {
        texts.set("intended_submission_method", method);
    }
    texts.metadata(&fields)?;
    let command =
        Command::UpdateDispute { dispute, submit: fields.boolean("submit")?, evidence: given.is_some(), words };
    fields.finish()?;
    respond::submit(&call, command, texts.into_patch(), &expand).await
}

/// POST /v1/disputes/{dispute}/close
pub async fn close(call: Call) -> Answered {
    let dispute = id(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &DISPUTE)?;
    fields.finish()?;
    respond::submit(&call, Command::CloseDispute { dispute }, Texts::default().into_patch(), &expand).await
}

/// GET /v1/disputes
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &DISPUTE)?;
    let created = Range::parse(&fields, "created")?;
    fields.at_most_one(&["charge", "payment_intent"])?;
    let of = match (fields.text("charge")?, fields.text("payment_intent")?) {
        (Some(text), _) => Some(call.body_id(text, CHARGES, "charge", "charge")),
        (None, Some(text)) => {
            Some(call.body_id(text, &[ObjectKind::PaymentIntent], "payment_intent", "payment_intent"))
        }
        (None, None) => None,
    };
    fields.finish()?;
    let mut stage = Stage::default();
    let ids = match of {
        None => list::walk(&call, DISPUTES, &page, &created, &mut stage, |_, _| Ok(true)).await?,
        Some(of) => {
            let acting = call.acting;
            let own = painted(call.platform(), call.secrets(), &mut stage, |view| owned(view, acting, &of)).await?;
            let all = match own {
                Some(()) => {
                    list::children(&call, of.birth, &mut stage, |key, record| match record {
                        Record::Dispute(dispute)
                            if of.kind == ObjectKind::PaymentIntent || dispute.charge_attempt == of.slot =>
                        {
                            Some(key.id(ObjectKind::Dispute, Slot::MAIN))
                        }
                        _ => None,
                    })
                    .await?
                }
                None => Vec::new(),
            };
            let all = list::made_within(&call, &mut stage, all, &created).await?;
            list::cut(call.platform().ids(), DISPUTES, &page, all)?
        }
    };
    list::respond(&call, ids, &mut stage, &expand, "/v1/disputes").await
}
