//! Capabilities of an account: their names, their ids, and asking for them (section 3.3).

use super::account;
use super::command::Request;
use super::decide::{Context, Facts, Halt, Outcome, Refusal, Reply};
use super::draft::Draft;
use super::record::{AccountRecord, Capability, CapabilityStatus, RecordKey};
use super::requirements;
use crate::ledger::AccountNo;
use crate::primitives::id::{ObjectId, ObjectKind};
use crate::primitives::time::Timestamp;

/// May be charged directly or on behalf of.
pub const CARD_PAYMENTS: &str = "card_payments";
/// May receive transfers and destination charges.
pub const TRANSFERS: &str = "transfers";
/// Any one of these lets an account receive transfers.
pub const RECEIVING: [&str; 3] = [TRANSFERS, "crypto_transfers", "legacy_payments"];
/// Any one of these lets an account be charged by card.
pub const CHARGING: [&str; 2] = [CARD_PAYMENTS, "legacy_payments"];

/// Every capability. Its place here is its slot in ids, so the order is fixed for ever and new ones go to the end.
#[rustfmt::skip]
pub const CAPABILITIES: [&str; 70] = [
    "acss_debit_payments", "affirm_payments", "afterpay_clearpay_payments", "alma_payments", "amazon_pay_payments",
    "app_distribution", "au_becs_debit_payments", "bacs_debit_payments", "bancontact_payments",
    "bank_transfer_payments", "billie_payments", "bizum_payments", "blik_payments", "blik_recurring_payments",
    "boleto_payments", "card_issuing", "card_payments", "cartes_bancaires_payments", "cashapp_payments",
    "crypto_payments", "eps_payments", "fpx_payments", "gb_bank_transfer_payments", "giropay_payments",
    "grabpay_payments", "ideal_payments", "india_international_payments", "jcb_payments", "jp_bank_transfer_payments",
    "kakao_pay_payments", "klarna_payments", "konbini_payments", "kr_card_payments", "legacy_payments",
    "link_payments", "mb_way_payments", "mobilepay_payments", "multibanco_payments", "mx_bank_transfer_payments",
    "naver_pay_payments", "nz_bank_account_becs_debit_payments", "oxxo_payments", "p24_payments",
    "pay_by_bank_payments", "payco_payments", "paynow_payments", "paypay_payments", "payto_payments", "pix_payments",
    "promptpay_payments", "revolut_pay_payments", "samsung_pay_payments", "satispay_payments", "scalapay_payments",
    "sepa_bank_transfer_payments", "sepa_debit_payments", "sequra_payments", "sofort_payments", "sunbit_payments",
    "swish_payments", "tax_reporting_us_1099_k", "tax_reporting_us_1099_misc", "transfers", "treasury",
    "twint_payments", "upi_payments", "us_bank_account_ach_payments", "us_bank_transfer_payments", "wero_payments",
    "zip_payments",
];

/// The id of an account's capability; `None` where no capability has this name.
pub fn capability_id(account: AccountNo, name: &str) -> Option<ObjectId> {
    let slot = u16::try_from(CAPABILITIES.iter().position(|have| *have == name)?).ok()?;
    Some(RecordKey::head(account.0).id(ObjectKind::Capability, slot))
}

/// The name of the capability that an id leads to.
pub fn capability_name(id: &ObjectId) -> Option<&'static str> {
    CAPABILITIES.get(usize::from(id.slot)).copied().filter(|_| id.kind == ObjectKind::Capability)
}

/// Requests a capability, or takes the request back.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn set(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    account: AccountNo,
    name: &str,
    requested: bool,
) -> Result<Outcome, Halt> {
    let before = account::target(facts, ctx, request, account)?;
    let mut record = account::of(&before)?.clone();
    let id = capability_id(account, name).ok_or_else(|| {
        let message = format!("No such capability: '{name}'");
        Halt::from(Refusal { status: 404, ..Refusal::new(message) }.code("resource_missing").param("capability"))
    })?;
    ask_for(&mut record, name, requested, ctx.now);
    check(&record)?;
    let mut draft = Draft::new(facts, ctx);
    requirements::assess(&mut draft, account, &mut record);
    account::close(draft, account, &before, record, &request.texts, Reply::Object(id))
}

/// Adds a capability to those requested, or takes it out.
pub fn ask_for(record: &mut AccountRecord, name: &str, requested: bool, now: Timestamp) {
    let place = record.capabilities.binary_search_by(|have| have.name.as_str().cmp(name));
    match (place, requested) {
        (Ok(_), true) | (Err(_), false) => {}
        (Ok(at), false) => {
            record.capabilities.remove(at);
        }
        (Err(at), true) => {
            let status = CapabilityStatus::Inactive;
            record.capabilities.insert(at, Capability { name: name.to_owned(), status, requested_at: now });
        }
    }
}

/// Which capabilities go together, and which an agreement excludes.
///
/// # Errors
/// 400.
pub fn check(record: &AccountRecord) -> Result<(), Halt> {
    let requested = |name: &str| record.capabilities.iter().any(|capability| capability.name == name);
    if requested(CARD_PAYMENTS) && !requested(TRANSFERS) {
        let message = "The `card_payments` capability needs the `transfers` capability: request both.";
        return Err(Refusal::new(message).param("capabilities").into());
    }
    if record.is_recipient && requested(CARD_PAYMENTS) {
        let message = "An account under the recipient service agreement only receives transfers: it cannot have the \
                       `card_payments` capability. Request `transfers` alone, or accept the full agreement.";
        return Err(Refusal::new(message).param("capabilities").into());
    }
    Ok(())
}

/// Tells of each capability whose status moved.
pub fn tell(draft: &mut Draft<'_>, account: AccountNo, before: Option<&AccountRecord>, after: &AccountRecord) -> bool {
    let status = |record: &AccountRecord, name: &str| {
        record.capabilities.iter().find(|capability| capability.name == name).map(|capability| capability.status)
    };
    let mut told = false;
    for name in CAPABILITIES {
        if before.and_then(|record| status(record, name)) != status(after, name)
            && let Some(id) = capability_id(account, name)
        {
            draft.event(account, super::event::EventKind::CapabilityUpdated, id);
            told = true;
        }
    }
    told
}
