//! The platform's own account: record 0 of its journal.

use super::decide::{self, Change, Context, Halt, Outcome, Reply};
use super::draft::Draft;
use super::facts::Facts;
use super::record::{
    AccountKind, AccountRecord, BankOutcome, BankStatus, BusinessType, Capability, CapabilityStatus, Controller,
    Dashboard, ExternalAccount, FeesPayer, PayoutInterval, Record, RecordKey, Slot,
};
use super::seal::Sealed;
use crate::primitives::country::Country;
use crate::primitives::currency::Currency;
use crate::primitives::id::ObjectKind;

/// Founds the platform: an active account with a test bank account in its currency, paid out by request.
///
/// # Errors
/// A missing fact.
pub fn found(
    facts: &dyn decide::Facts,
    ctx: &Context<'_>,
    country: Country,
    currency: Currency,
) -> Result<Outcome, Halt> {
    if facts.record(RecordKey::PLATFORM)?.is_some() {
        return Ok(Outcome::answer(Reply::Done));
    }
    let mut draft = Draft::new(facts, ctx);
    let made = draft.made();
    let capability =
        |name: &str| Capability { name: name.to_owned(), status: CapabilityStatus::Active, requested_at: made.at };
    let bank = ExternalAccount {
        made,
        country,
        currency,
        routing_number: Some("110000000".to_owned()),
        last4: "6789".to_owned(),
        fingerprint: "platform".to_owned(),
        default_for_currency: true,
        outcome: BankOutcome::Paid,
        status: BankStatus::New,
        holder_type: Some("company".to_owned()),
        deleted: false,
        card: None,
        check: None,
        instant: None,
    };
    let record = AccountRecord {
        made,
        country,
        default_currency: currency,
        kind: AccountKind::Standard,
        controller: Controller {
            losses_application: false,
            fees: FeesPayer::Account,
            dashboard: Dashboard::Full,
            requirements_application: false,
        },
        business_type: Some(BusinessType::Company),
        capabilities: vec![capability("card_payments"), capability("transfers")],
        details_submitted: true,
        charges_enabled: true,
        payouts_enabled: true,
        tos_accepted_at: Some(made.at),
        delay_days: country.delay_days(),
        payout_interval: PayoutInterval::Manual,
        debit_negative_balances: true,
        external_accounts: vec![bank],
        private: Sealed::default(),
        key_no: facts.next_key_no(),
        deleted: false,
        rejected: None,
        facts: Facts::default(),
        persons: Vec::new(),
        children: 0,
        asks: Vec::new(),
        deadline: None,
        verification_ends: None,
        pays_out_rejected: false,
        is_recipient: false,
        paying: None,
    };
    draft.change(Change::of(RecordKey::PLATFORM, Record::Account(Box::new(record))));
    let mut outcome = draft.finish(Reply::Object(RecordKey::PLATFORM.id(ObjectKind::Account, Slot::MAIN)));
    outcome.keys_taken = 1;
    Ok(outcome)
}
