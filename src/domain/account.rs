//! Connected accounts: kinds, capabilities, requirements and external accounts (section 3).
//!
//! An account is what its holder has told and what the test values of section 3.9 make of it. [`refresh`] is the one
//! place that turns that into requirements, capabilities and the three flags; every change of an account ends there.

use super::command::{AccountInput, Request, TextPatch};
use super::decide::{Change, Class, Context, Facts, Halt, Kinds, Outcome, Refusal, Reply};
use super::draft::Draft;
use super::event::EventKind;
use super::method;
use super::record::{
    AccountKind, AccountRecord, BankStatus, BusinessType, Capability, CapabilityStatus, Controller, Dashboard,
    ExternalAccount, FeesPayer, Identity, Made, PayoutInterval, Record, RecordKey, Shared, Slot, TestResult,
};
use super::refund::no_such;
use super::seal::{Sealed, Texts};
use crate::ledger::AccountNo;
use crate::primitives::country::Country;
use crate::primitives::currency::Currency;
use crate::primitives::id::{ObjectId, ObjectKind};
use crate::primitives::time::Timestamp;

/// May be charged directly or on behalf of.
const CARD_PAYMENTS: &str = "card_payments";
/// May receive transfers and destination charges.
const TRANSFERS: &str = "transfers";
/// Any one of these lets an account receive transfers.
const RECEIVING: [&str; 3] = [TRANSFERS, "crypto_transfers", "legacy_payments"];
/// The longest delay that a platform may set.
const DELAY_DAYS_MAX: u8 = 31;

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

/// Countries whose accounts may settle in several currencies; elsewhere an account settles in its country's own.
#[rustfmt::skip]
const MANY_CURRENCIES: [&[u8; 2]; 41] = [
    b"AT", b"AU", b"BE", b"BG", b"CA", b"CH", b"CY", b"CZ", b"DE", b"DK", b"EE", b"ES", b"FI", b"FR", b"GB", b"GI",
    b"GR", b"HK", b"HR", b"HU", b"IE", b"IS", b"IT", b"LI", b"LT", b"LU", b"LV", b"MC", b"MT", b"NL", b"NO", b"NZ",
    b"PL", b"PT", b"RO", b"SE", b"SG", b"SI", b"SK", b"US", b"AE",
];

/// What those may settle in beside their country's own currency.
const SETTLEMENT_CODES: [&str; 17] = [
    "aud", "cad", "chf", "czk", "dkk", "eur", "gbp", "hkd", "huf", "jpy", "nok", "nzd", "pln", "ron", "sek", "sgd",
    "usd",
];

// ---------------------------------------------------------------------------------------------------------------
// What other rooms of the domain ask

/// An account's record: the platform's own, or a connected one, deleted or not (its books outlive it).
///
/// # Errors
/// 403 where there is none; a missing fact.
pub fn load(facts: &dyn Facts, account: AccountNo) -> Result<Shared, Halt> {
    let record = facts.record(RecordKey::head(account.0))?;
    record.filter(|record| matches!(&**record, Record::Account(_))).ok_or_else(no_access)
}

/// The account in a record that [`load`] or its kin gave.
///
/// # Errors
/// 403 where the record is something else.
pub fn of(record: &Record) -> Result<&AccountRecord, Halt> {
    match record {
        Record::Account(account) => Ok(account),
        _ => Err(no_access()),
    }
}

/// A connected account that a parameter names.
///
/// # Errors
/// 400 where it is the platform itself, deleted, or no account; a missing fact.
pub fn connected(facts: &dyn Facts, ctx: &Context<'_>, account: AccountNo, param: &str) -> Result<Shared, Halt> {
    let found = if account.is_platform() { None } else { facts.record(RecordKey::head(account.0))? };
    found.filter(|record| matches!(&**record, Record::Account(account) if !account.deleted)).ok_or_else(|| {
        let message = format!("No such destination: '{}'", ctx.ids.encode(&account_id(account)));
        Refusal::new(message).code("resource_missing").param(param).into()
    })
}

/// A connected account that a parameter names and that may receive transfers.
///
/// # Errors
/// As [`connected`]; 400 without a capability for it.
pub fn receives(facts: &dyn Facts, ctx: &Context<'_>, account: AccountNo, param: &str) -> Result<Shared, Halt> {
    let record = connected(facts, ctx, account, param)?;
    if RECEIVING.iter().any(|name| of(&record).is_ok_and(|account| account.is_active(name))) {
        return Ok(record);
    }
    let message = "Your destination account needs to have at least one of the following capabilities enabled: \
                   transfers, crypto_transfers, legacy_payments";
    Err(Refusal::new(message).code("insufficient_capabilities_for_transfer").into())
}

/// Whether the account holds a balance in `currency`: its default one, or one that it has an external account for.
pub fn settles(account: &AccountRecord, currency: Currency) -> bool {
    account.default_currency == currency
        || account.external_accounts.iter().any(|bank| !bank.deleted && bank.currency == currency)
}

/// The currencies that the account holds balances in: the default one, then others as external accounts brought them.
pub fn settlement_currencies(account: &AccountRecord) -> Vec<Currency> {
    let mut currencies = vec![account.default_currency];
    for bank in account.external_accounts.iter().filter(|bank| !bank.deleted) {
        if !currencies.contains(&bank.currency) {
            currencies.push(bank.currency);
        }
    }
    currencies
}

/// An account's id.
pub fn account_id(account: AccountNo) -> ObjectId {
    RecordKey::head(account.0).id(ObjectKind::Account, Slot::MAIN)
}

/// The id of an account's external account by its slot (index + 1).
pub fn external_id(account: AccountNo, slot: u16) -> ObjectId {
    RecordKey::head(account.0).id(ObjectKind::BankAccount, slot)
}

/// The id of an account's capability; `None` where no capability has this name.
pub fn capability_id(account: AccountNo, name: &str) -> Option<ObjectId> {
    let slot = u16::try_from(CAPABILITIES.iter().position(|have| *have == name)?).ok()?;
    Some(RecordKey::head(account.0).id(ObjectKind::Capability, slot))
}

/// The name of the capability that an id leads to.
pub fn capability_name(id: &ObjectId) -> Option<&'static str> {
    CAPABILITIES.get(usize::from(id.slot)).copied().filter(|_| id.kind == ObjectKind::Capability)
}

/// Where the texts of an external account lie among its account's: `external_accounts[1]`, followed by
/// `[account_holder_name]` and the like.
pub fn external_texts(slot: u16) -> String {
    format!("external_accounts[{slot}]")
}

fn no_access() -> Halt {
    let message =
        "The key has no access to this account, or it does not exist. Application access may have been revoked.";
    Refusal { status: 403, ..Refusal::new(message) }.code("account_invalid").into()
}

// ---------------------------------------------------------------------------------------------------------------
// Commands

/// Creates a connected account.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn create(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, input: &AccountInput) -> Result<Outcome, Halt> {
    if !request.acting.is_platform() {
        let message = "Only a platform creates accounts. Leave the Stripe-Account header out.";
        return Err(Refusal::new(message).code("platform_account_required").into());
    }
    let country = match input.country {
        Some(country) => country,
        None => of(&*load(facts, AccountNo::PLATFORM)?)?.country,
    };
    let default_currency = country.default_currency().ok_or_else(|| {
        let message = format!("Accounts in {country} are not supported. Give the two-letter code of another country.");
        Halt::from(Refusal::new(message).code("country_unsupported").param("country"))
    })?;
    let (kind, controller) = kind_of(input)?;

    let mut draft = Draft::new(facts, ctx);
    let account = AccountNo(ctx.seq);
    let key_no = facts.next_key_no();
    let mut record = blank(draft.made(), country, default_currency, kind, controller, key_no);
    if input.capabilities.is_empty() && !controller.requirements_application {
        // Hosted onboarding asks for both unless the platform chose.
        for name in [CARD_PAYMENTS, TRANSFERS] {
            request_capability(&mut record, name, true, ctx.now);
        }
    }
    let patch = amend(&mut draft, request, account, &mut record, input)?;
    refresh(&mut record);
    tell(&mut draft, account, None, &record);
    let mut texts = Texts::default();
    texts.apply("", &patch);
    record.private = draft.seal(key_no, &texts)?;
    let change = Change::of(RecordKey::head(ctx.seq), Record::Account(Box::new(record)));
    draft.change(change.listed(AccountNo::PLATFORM, Class::Account, Kinds::ACCOUNT));
    let mut outcome = draft.finish(Reply::Object(account_id(account)));
    outcome.keys_taken = 1;
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// Changes a connected account.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn update(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    account: AccountNo,
    input: &AccountInput,
) -> Result<Outcome, Halt> {
    let before = target(facts, ctx, request, account)?;
    let mut record = of(&before)?.clone();
    for (given, param) in [
        (input.kind.is_some(), "type"),
        (input.controller.is_some(), "controller"),
        (input.country.is_some(), "country"),
    ] {
        if given {
            let message = format!("`{param}` is fixed when an account is created. Create another account instead.");
            return Err(Refusal::new(message).code("parameter_unknown").param(param).into());
        }
    }
    let mut draft = Draft::new(facts, ctx);
    let patch = amend(&mut draft, request, account, &mut record, input)?;
    refresh(&mut record);
    close(draft, account, &before, record, &patch, Reply::Object(account_id(account)))
}

/// Requests a capability, or takes the request back.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn set_capability(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    account: AccountNo,
    name: &str,
    requested: bool,
) -> Result<Outcome, Halt> {
    let before = target(facts, ctx, request, account)?;
    let mut record = of(&before)?.clone();
    let id = capability_id(account, name).ok_or_else(|| {
        let message = format!("No such capability: '{name}'");
        Halt::from(Refusal { status: 404, ..Refusal::new(message) }.code("resource_missing").param("capability"))
    })?;
    request_capability(&mut record, name, requested, ctx.now);
    check_capabilities(&record)?;
    refresh(&mut record);
    close(Draft::new(facts, ctx), account, &before, record, &request.texts, Reply::Object(id))
}

/// Deletes a connected account. Every account is a test one, and those go at any time (section 3.8); what its books
/// hold stays there.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn delete(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, account: AccountNo) -> Result<Outcome, Halt> {
    if !request.acting.is_platform() {
        let message = "Only the platform deletes a connected account. Leave the Stripe-Account header out.";
        return Err(Refusal::new(message).code("platform_account_required").into());
    }
    let before = target(facts, ctx, request, account)?;
    let mut record = of(&before)?.clone();
    record.deleted = true;
    record.private = Sealed::default();
    record.charges_enabled = false;
    record.payouts_enabled = false;
    let key_no = record.key_no;
    let mut draft = Draft::new(facts, ctx);
    draft.change(Change::of(RecordKey::head(account.0), Record::Account(Box::new(record))).from(&before));
    let mut outcome = draft.finish(Reply::Deleted(account_id(account)));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// The connected account in a path: by the platform, or by the account itself.
fn target(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, account: AccountNo) -> Result<Shared, Halt> {
    let unknown = || no_such(ctx, "account", &account_id(account), "account");
    if account.is_platform() {
        let message = "The platform's own account is set up in Florin's configuration; this call changes connected \
                       accounts.";
        return Err(Refusal::new(message).param("account").into());
    }
    if !request.acting.is_platform() && request.acting != account {
        return Err(unknown());
    }
    let found = facts.record(RecordKey::head(account.0))?;
    found.filter(|record| matches!(&**record, Record::Account(account) if !account.deleted)).ok_or_else(unknown)
}

/// Seals the texts and hands a changed account over. A request that changes nothing makes no event.
fn close(
    mut draft: Draft<'_>,
    account: AccountNo,
    before: &Shared,
    mut record: AccountRecord,
    patch: &TextPatch,
    reply: Reply,
) -> Result<Outcome, Halt> {
    let was = of(before)?;
    let key_no = record.key_no;
    let mut outcome = if patch.is_empty() && record == *was {
        Outcome::answer(reply)
    } else {
        tell(&mut draft, account, Some(was), &record);
        if !patch.is_empty() {
            let mut texts = draft.ctx.open(&record.private);
            texts.apply("", patch);
            record.private = draft.seal(key_no, &texts)?;
        }
        draft.change(Change::of(RecordKey::head(account.0), Record::Account(Box::new(record))).from(before));
        draft.finish(reply)
    };
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// Events of a change: each capability whose status moved, then the account. A fresh account tells of itself only
/// where it already has something to tell.
fn tell(draft: &mut Draft<'_>, account: AccountNo, before: Option<&AccountRecord>, after: &AccountRecord) {
    let status = |record: &AccountRecord, name: &str| {
        record.capabilities.iter().find(|capability| capability.name == name).map(|capability| capability.status)
    };
    let mut told = false;
    for name in CAPABILITIES {
        if before.and_then(|record| status(record, name)) != status(after, name)
            && let Some(id) = capability_id(account, name)
        {
            draft.event(account, EventKind::CapabilityUpdated, id);
            told = true;
        }
    }
    if before.is_some() || told || !after.external_accounts.is_empty() {
        draft.event(account, EventKind::AccountUpdated, account_id(account));
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Kinds

const STANDARD: Controller = Controller {
    losses_application: false,
    fees: FeesPayer::Account,
    dashboard: Dashboard::Full,
    requirements_application: false,
};

const EXPRESS: Controller = Controller {
    losses_application: true,
    fees: FeesPayer::ApplicationExpress,
    dashboard: Dashboard::Express,
    requirements_application: false,
};

const CUSTOM: Controller = Controller {
    losses_application: true,
    fees: FeesPayer::ApplicationCustom,
    dashboard: Dashboard::None,
    requirements_application: true,
};

/// The kind that was asked for, and who bears what (section 3.1). Both may be given where they say the same.
fn kind_of(input: &AccountInput) -> Result<(AccountKind, Controller), Halt> {
    let kind = match input.kind {
        Some(kind @ (AccountKind::Standard | AccountKind::Express | AccountKind::Custom)) => kind,
        Some(AccountKind::None) if input.controller.is_none() => {
            let message = "Invalid type: must be one of standard, express or custom. For another arrangement give \
                           `controller` instead.";
            return Err(Refusal::new(message).param("type").into());
        }
        Some(AccountKind::None) | None => {
            let controller = input.controller.unwrap_or(STANDARD);
            check_controller(&controller)?;
            let kind = if controller == STANDARD { AccountKind::Standard } else { AccountKind::None };
            return Ok((kind, controller));
        }
    };
    let stands_for = match kind {
        AccountKind::Standard | AccountKind::None => STANDARD,
        AccountKind::Express => EXPRESS,
        AccountKind::Custom => CUSTOM,
    };
    if input.controller.is_some_and(|controller| controller != stands_for) {
        let message = "You may not provide the `type` parameter and `controller` parameters together. They are \
                       mutually exclusive: `controller` says in detail what `type` says in short.";
        return Err(Refusal::new(message).code("parameters_exclusive").param("type").into());
    }
    Ok((kind, stands_for))
}

fn check_controller(controller: &Controller) -> Result<(), Halt> {
    let refuse = |message: &str, param: &str| Err(Refusal::new(message).param(param).into());
    if matches!(controller.fees, FeesPayer::ApplicationCustom | FeesPayer::ApplicationExpress) {
        let message = "Invalid controller[fees][payer]: must be one of account or application. The other values only \
                       describe accounts made with `type`.";
        return refuse(message, "controller[fees][payer]");
    }
    if controller.requirements_application {
        if controller.dashboard != Dashboard::None {
            let message = "A platform that collects requirements itself (`controller[requirement_collection]` = \
                           application) needs `controller[stripe_dashboard][type]` = none.";
            return refuse(message, "controller[stripe_dashboard][type]");
        }
        if !controller.losses_application {
            let message = "A platform that collects requirements itself (`controller[requirement_collection]` = \
                           application) bears the losses: give `controller[losses][payments]` = application.";
            return refuse(message, "controller[losses][payments]");
        }
        if controller.fees != FeesPayer::Application {
            let message = "A platform that collects requirements itself (`controller[requirement_collection]` = \
                           application) pays the fees: give `controller[fees][payer]` = application.";
            return refuse(message, "controller[fees][payer]");
        }
    }
    if controller.dashboard == Dashboard::Express && !controller.losses_application {
        let message = "Accounts with the express dashboard need `controller[losses][payments]` = application.";
        return refuse(message, "controller[losses][payments]");
    }
    Ok(())
}

fn blank(
    made: Made,
    country: Country,
    default_currency: Currency,
    kind: AccountKind,
    controller: Controller,
    key_no: u32,
) -> AccountRecord {
    // Japan pays out weekly at most.
    let payout_interval = if country == Country::JP { PayoutInterval::Weekly } else { PayoutInterval::Daily };
    AccountRecord {
        made,
        country,
        default_currency,
        kind,
        controller,
        business_type: None,
        capabilities: Vec::new(),
        currently_due: Vec::new(),
        details_submitted: false,
        charges_enabled: false,
        payouts_enabled: false,
        tos_accepted_at: None,
        delay_days: country.delay_days(),
        payout_interval,
        debit_negative_balances: !controller.requirements_application,
        external_accounts: Vec::new(),
        identity: Identity::default(),
        private: Sealed::default(),
        key_no,
        deleted: false,
        rejected: None,
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Parameters

/// Applies what create and update share, and gives back the texts to write.
fn amend(
    draft: &mut Draft<'_>,
    request: &Request,
    account: AccountNo,
    record: &mut AccountRecord,
    input: &AccountInput,
) -> Result<TextPatch, Halt> {
    let now = draft.ctx.now;
    if let Some(currency) = input.default_currency {
        check_settles_in(record.country, currency, "default_currency")?;
        record.default_currency = currency;
    }
    if let Some(business_type) = input.business_type {
        if business_type == BusinessType::GovernmentEntity && record.country != Country::US {
            let message = "Only accounts in the US can have `business_type` = government_entity.";
            return Err(Refusal::new(message).param("business_type").into());
        }
        record.business_type = Some(business_type);
    }
    for (name, requested) in &input.capabilities {
        if !CAPABILITIES.contains(&name.as_str()) {
            let param = format!("capabilities[{name}]");
            let message = format!("Received unknown parameter: {param}. No capability has this name.");
            return Err(Refusal::new(message).code("parameter_unknown").param(&param).into());
        }
        request_capability(record, name, *requested, now);
    }
    check_capabilities(record)?;
    learn(&mut record.identity, &input.identity);
    if input.tos_accepted_at.is_some() {
        record.tos_accepted_at = input.tos_accepted_at;
    }
    amend_payouts(record, input)?;
    amend_external(draft, request, account, record, input)
}

fn amend_payouts(record: &mut AccountRecord, input: &AccountInput) -> Result<(), Halt> {
    let country = record.country;
    if let Some(interval) = input.payout_interval {
        let allowed = match country.code() {
            "JP" => interval != PayoutInterval::Daily,
            "BR" | "IN" => interval == PayoutInterval::Daily,
            _ => true,
        };
        if !allowed {
            let rule = if country == Country::JP { "weekly, monthly or manual, not daily" } else { "daily" };
            let message = format!("The payout schedule of accounts in {country} is {rule}.");
            return Err(Refusal::new(message).param("settings[payouts][schedule][interval]").into());
        }
        record.payout_interval = interval;
    }
    match input.delay_days {
        None => {}
        Some(0) => record.delay_days = country.delay_days(),
        Some(days) => {
            let min = country.delay_days();
            if !(min..=DELAY_DAYS_MAX).contains(&days) {
                let message = format!(
                    "`delay_days` of accounts in {country} is {min} to {DELAY_DAYS_MAX}; give `minimum` for {min}."
                );
                return Err(Refusal::new(message).param("settings[payouts][schedule][delay_days]").into());
            }
            record.delay_days = days;
        }
    }
    if let Some(debit) = input.debit_negative_balances {
        record.debit_negative_balances = debit;
    }
    Ok(())
}

/// Adds an external account given as a hash or as a token. It becomes the default of its currency and takes the place
/// of the one before it, which is deleted.
///
/// By the reference only a platform that collects requirements itself sets them. Until hosted onboarding exists there
/// is no other way to give them, so every kind of account takes them.
fn amend_external(
    draft: &mut Draft<'_>,
    request: &Request,
    account: AccountNo,
    record: &mut AccountRecord,
    input: &AccountInput,
) -> Result<TextPatch, Halt> {
    let (bank, token_texts) = match (&input.external_account, input.external_token) {
        (Some(_), Some(_)) => {
            let message = "Give one external account: a token or a hash, not both.";
            return Err(Refusal::new(message).code("parameters_exclusive").param("external_account").into());
        }
        (None, None) => return Ok(sort_texts(&request.texts, None)),
        (Some(bank), None) => ((**bank).clone(), Texts::default()),
        (None, Some(birth)) => {
            let (bank, texts, used) =
                method::take_bank_token(draft.facts, draft.ctx, request.acting, birth, "external_account")?;
            draft.change(used);
            (bank, texts)
        }
    };
    check_settles_in(record.country, bank.currency, "external_account[currency]")?;
    let slot = u16::try_from(record.external_accounts.len()).ok().and_then(|count| count.checked_add(1));
    let slot = slot.ok_or_else(|| {
        Halt::from(Refusal::new("This account has had too many external accounts.").param("external_account"))
    })?;
    let mut patch = sort_texts(&request.texts, Some(slot));
    for (path, text) in &token_texts.0 {
        patch.set(format!("{}[{path}]", external_texts(slot)), text);
    }
    for (index, old) in record.external_accounts.iter_mut().enumerate() {
        if old.currency == bank.currency
            && !old.deleted
            && let Some(old_slot) = u16::try_from(index).ok().and_then(|index| index.checked_add(1))
        {
            old.deleted = true;
            old.default_for_currency = false;
            patch.clear(external_texts(old_slot));
            draft.event(account, EventKind::ExternalAccountDeleted, external_id(account, old_slot));
        }
    }
    record.external_accounts.push(ExternalAccount {
        made: draft.made(),
        default_for_currency: true,
        status: BankStatus::New,
        deleted: false,
        ..bank
    });
    draft.event(account, EventKind::ExternalAccountCreated, external_id(account, slot));
    Ok(patch)
}

/// The request's texts, with those of a new external account moved to its slot.
fn sort_texts(texts: &TextPatch, slot: Option<u16>) -> TextPatch {
    let sorted = texts.0.iter().filter_map(|(path, text)| {
        let below = path.strip_prefix("external_account").filter(|below| below.starts_with('['));
        let path = match (below, slot) {
            (None, _) => path.clone(),
            (Some(below), Some(slot)) => format!("{}{below}", external_texts(slot)),
            (Some(_), None) => return None,
        };
        Some((path, text.clone()))
    });
    TextPatch(sorted.collect())
}

fn check_settles_in(country: Country, currency: Currency, param: &str) -> Result<(), Halt> {
    let own = country.default_currency() == Some(currency);
    let many = MANY_CURRENCIES.iter().any(|code| code.as_slice() == country.code().as_bytes());
    if own || (many && SETTLEMENT_CODES.contains(&currency.code())) {
        return Ok(());
    }
    let message = match country.default_currency() {
        Some(default) => format!("Accounts in {country} cannot settle in {currency}. Use {default}, for example."),
        None => format!("Accounts in {country} cannot settle in {currency}."),
    };
    Err(Refusal::new(message).param(param).into())
}

fn request_capability(record: &mut AccountRecord, name: &str, requested: bool, now: Timestamp) {
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

fn check_capabilities(record: &AccountRecord) -> Result<(), Halt> {
    let requested = |name: &str| record.capabilities.iter().any(|capability| capability.name == name);
    if requested(CARD_PAYMENTS) && !requested(TRANSFERS) {
        let message = "The `card_payments` capability needs the `transfers` capability: request both.";
        return Err(Refusal::new(message).param("capabilities").into());
    }
    Ok(())
}

/// What was given in this call replaces what was known; what was not given stays.
fn learn(known: &mut Identity, given: &Identity) {
    *known = Identity {
        dob: given.dob.or(known.dob),
        address: given.address.or(known.address),
        id_number: given.id_number.or(known.id_number),
        ssn_last_4: given.ssn_last_4.or(known.ssn_last_4),
        tax_id: given.tax_id.or(known.tax_id),
        first_name: given.first_name || known.first_name,
        last_name: given.last_name || known.last_name,
        email: given.email || known.email,
        phone: given.phone || known.phone,
        company_name: given.company_name || known.company_name,
        mcc: given.mcc || known.mcc,
        url_or_description: given.url_or_description || known.url_or_description,
        tos: given.tos || known.tos,
    };
}

// ---------------------------------------------------------------------------------------------------------------
// Requirements

/// How much a capability asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// Receiving transfers: who it is.
    Receive,
    /// Being charged: also what the business does and how to reach it.
    Charge,
}

/// What is still to be given, and what was given and did not pass.
#[derive(Debug, Default)]
struct Needs {
    missing: Vec<&'static str>,
    failed: Vec<&'static str>,
}

impl Needs {
    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.failed.is_empty()
    }

    fn ask(&mut self, given: bool, paths: &[&'static str]) {
        if !given {
            self.missing.extend(paths);
        }
    }

    fn check(&mut self, result: Option<TestResult>, missing: &[&'static str], failed: &[&'static str]) {
        match result {
            None => self.missing.extend(missing),
            Some(TestResult::Failed) => self.failed.extend(failed),
            Some(TestResult::Verified) => {}
        }
    }
}

/// Computes requirements, capabilities and flags from what the account has given.
pub fn refresh(account: &mut AccountRecord) {
    let receive = needs(account, Depth::Receive);
    let charge = needs(account, Depth::Charge);
    let rejected = account.rejected.is_some();
    for capability in &mut account.capabilities {
        let open = match depth(&capability.name) {
            Depth::Receive => receive.is_empty(),
            Depth::Charge => charge.is_empty(),
        };
        let active = open && !rejected;
        capability.status = if active { CapabilityStatus::Active } else { CapabilityStatus::Inactive };
    }

    let requested = !account.capabilities.is_empty();
    let charges = account.capabilities.iter().any(|capability| depth(&capability.name) == Depth::Charge);
    let asked = if charges { &charge } else { &receive };
    let bank = account.external_accounts.iter().any(|bank| !bank.deleted);
    account.currently_due = if requested {
        let mut due: Vec<String> = asked.missing.iter().chain(&asked.failed).map(|&path| path.to_owned()).collect();
        if !bank {
            due.push("external_account".to_owned());
        }
        due.sort_unstable();
        due.dedup();
        due
    } else {
        Vec::new()
    };
    account.details_submitted |= requested && asked.missing.is_empty();
    account.charges_enabled = if charges {
        let active = |capability: &Capability| capability.status == CapabilityStatus::Active;
        account.capabilities.iter().any(|capability| depth(&capability.name) == Depth::Charge && active(capability))
    } else {
        account.is_active(TRANSFERS)
    };
    let usable_bank = account.external_accounts.iter().any(|bank| !bank.deleted && bank.status == BankStatus::New);
    account.payouts_enabled = requested && receive.is_empty() && usable_bank && !rejected;
}

fn depth(capability: &str) -> Depth {
    if capability.ends_with("_payments") { Depth::Charge } else { Depth::Receive }
}

/// The list of section 3.5 at this depth. A company's persons are not asked for: accounts have none yet.
fn needs(account: &AccountRecord, depth: Depth) -> Needs {
    let mut needs = Needs::default();
    let given = &account.identity;
    let us = account.country == Country::US;
    let charge = depth == Depth::Charge;
    if charge {
        needs.ask(given.mcc, &["business_profile.mcc"]);
        needs.ask(given.url_or_description, &["business_profile.url"]);
    }
    needs.ask(account.tos_accepted_at.is_some() || given.tos, &["tos_acceptance.date"]);
    needs.ask(given.tos, &["tos_acceptance.ip"]);
    match account.business_type {
        None => {
            needs.ask(false, &["business_type"]);
            needs.ask(given.dob.is_some(), &REPRESENTATIVE_BIRTH);
            needs.ask(given.first_name, &["representative.first_name"]);
            needs.ask(given.last_name, &["representative.last_name"]);
            if charge {
                needs.ask(given.email, &["representative.email"]);
            }
            if !us {
                needs.ask(given.address.is_some(), &REPRESENTATIVE_ADDRESS);
                if charge {
                    needs.ask(given.phone, &["representative.phone"]);
                }
            }
        }
        Some(BusinessType::Individual) => {
            needs.ask(given.first_name, &["individual.first_name"]);
            needs.ask(given.last_name, &["individual.last_name"]);
            needs.check(given.dob, &INDIVIDUAL_BIRTH, &["individual.verification.document"]);
            if charge {
                needs.ask(given.email, &["individual.email"]);
                needs.ask(given.phone, &["individual.phone"]);
            }
            let address: &[&str] = match (us, charge) {
                (true, true) => &INDIVIDUAL_ADDRESS_US,
                (true, false) => &[],
                (false, _) => &INDIVIDUAL_ADDRESS,
            };
            needs.check(given.address, address, &["individual.verification.additional_document"]);
            needs.check(given.id_number, &[], &["individual.id_number"]);
            // The whole number says more than its last four digits.
            if given.id_number.is_none() {
                let digits: &[&str] = if us && charge { &["individual.ssn_last_4"] } else { &[] };
                needs.check(given.ssn_last_4, digits, &["individual.id_number"]);
            }
        }
        Some(BusinessType::Company | BusinessType::NonProfit | BusinessType::GovernmentEntity) => {
            needs.ask(given.company_name, &["company.name"]);
            needs.check(given.tax_id, &["company.tax_id"], &["company.tax_id"]);
            if charge {
                needs.ask(given.phone, &["company.phone"]);
            }
            let address: &[&str] = match (us, charge) {
                (true, true) => &COMPANY_ADDRESS_US,
                (true, false) => &[],
                (false, _) => &COMPANY_ADDRESS,
            };
            needs.check(given.address, address, &["company.address.line1"]);
        }
    }
    needs
}

const REPRESENTATIVE_BIRTH: [&str; 3] =
    ["representative.dob.day", "representative.dob.month", "representative.dob.year"];
const REPRESENTATIVE_ADDRESS: [&str; 3] =
    ["representative.address.city", "representative.address.line1", "representative.address.postal_code"];
const INDIVIDUAL_BIRTH: [&str; 3] = ["individual.dob.day", "individual.dob.month", "individual.dob.year"];
const INDIVIDUAL_ADDRESS: [&str; 3] =
    ["individual.address.city", "individual.address.line1", "individual.address.postal_code"];
const INDIVIDUAL_ADDRESS_US: [&str; 4] = [
    "individual.address.city",
    "individual.address.line1",
    "individual.address.postal_code",
    "individual.address.state",
];
const COMPANY_ADDRESS: [&str; 3] = ["company.address.city", "company.address.line1", "company.address.postal_code"];
const COMPANY_ADDRESS_US: [&str; 4] =
    ["company.address.city", "company.address.line1", "company.address.postal_code", "company.address.state"];

/// A platform in memory, for the tests of accounts, customers and payment methods.
#[cfg(test)]
pub(in crate::domain) mod world {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::super::command::{Command, Request, TextPatch};
    use super::super::decide::{Context, Facts, Halt, Outcome, Refusal, Reply, decide};
    use super::super::event::EventKind;
    use super::super::record::{
        AccountRecord, BankOutcome, BankStatus, Brand, Card, Check, ExternalAccount, Funding, Made, Recipe, Record,
        RecordKey, Shared,
    };
    use super::super::seal::{Nonce, Sealed, Texts, Vault};
    use super::super::tables::Tables;
    use crate::ledger::{AccountNo, Books};
    use crate::primitives::country::Country;
    use crate::primitives::currency::Currency;
    use crate::primitives::id::{IdCipher, ObjectId};
    use crate::primitives::market::MarketRates;
    use crate::primitives::time::{Day, Timestamp};

    /// Texts under another key or nonce come out as nothing, as with a real vault.
    struct Plain;

    impl Vault for Plain {
        fn seal(&self, key_no: u32, nonce: Nonce, plain: &[u8]) -> Vec<u8> {
            [&key_no.to_be_bytes()[..], &nonce.seq.to_be_bytes(), &nonce.ordinal.to_be_bytes(), plain].concat()
        }

        fn open(&self, sealed: &Sealed) -> Option<Vec<u8>> {
            let head = self.seal(sealed.key_no, sealed.nonce, &[]);
            sealed.bytes.strip_prefix(head.as_slice()).map(<[u8]>::to_vec)
        }
    }

    /// A platform whose entries are applied one after another.
    pub struct World {
        records: BTreeMap<RecordKey, Shared>,
        books: Books,
        seq: u64,
        next_key_no: u32,
        tables: Tables,
        rates: Arc<MarketRates>,
        ids: IdCipher,
        /// What the last entry did.
        pub last: Option<Outcome>,
    }

    impl Facts for World {
        fn record(&self, key: RecordKey) -> Result<Option<Shared>, Halt> {
            Ok(self.records.get(&key).cloned())
        }

        fn books(&self, _: AccountNo) -> Result<&Books, Halt> {
            Ok(&self.books)
        }

        fn matures(&self, _: AccountNo, _: Day) -> bool {
            false
        }

        fn next_key_no(&self) -> u32 {
            self.next_key_no
        }

        fn split_rule(&self, _: &str) -> Option<u64> {
            None
        }
    }

    impl World {
        /// A platform in the US.
        pub fn new() -> World {
            let mut world = World {
                records: BTreeMap::new(),
                books: Books::default(),
                seq: 0,
                next_key_no: 0,
                tables: Tables::default(),
                rates: MarketRates::built_in(),
                ids: IdCipher::new([7; 16]),
                last: None,
            };
            let (country, currency) = (Country::US, Currency::USD);
            world.make(Command::FoundPlatform { country, currency, virtual_clock: true });
            world
        }

        pub fn now() -> Timestamp {
            Timestamp::from_seconds(1_790_000_000)
        }

        pub fn ctx(&self) -> Context<'_> {
            let (now, seq) = (World::now(), self.seq + 1);
            Context { now, seq, tables: &self.tables, rates: &self.rates, ids: &self.ids, vault: &Plain }
        }

        /// Decides as the platform.
        pub fn run(&mut self, command: Command) -> Result<Reply, Refusal> {
            self.run_as(AccountNo::PLATFORM, command, &[])
        }

        /// Decides, applies and answers.
        pub fn run_as(
            &mut self,
            acting: AccountNo,
            command: Command,
            texts: &[(&str, &str)],
        ) -> Result<Reply, Refusal> {
            let mut patch = TextPatch::default();
            for (path, text) in texts {
                if text.is_empty() { patch.clear(*path) } else { patch.set(*path, *text) }
            }
            let request =
                Request { acting, command, texts: patch, idempotency: None, request_id: "req_test".to_owned() };
            let outcome = match decide(self, &self.ctx(), &request) {
                Ok(outcome) => outcome,
                Err(Halt::Refused(refusal)) => return Err(*refusal),
                Err(Halt::Missing(need)) => panic!("a world has all there is, and misses {need:?}"),
            };
            assert!(outcome.text_key_no < self.next_key_no + outcome.keys_taken, "texts under a key that is not there");
            for change in &outcome.changes {
                self.records.insert(change.key, Arc::clone(&change.after));
            }
            self.seq += 1;
            self.next_key_no += outcome.keys_taken;
            let reply = outcome.reply.clone();
            self.last = Some(outcome);
            Ok(reply)
        }

        /// The object that a command gives.
        pub fn make(&mut self, command: Command) -> ObjectId {
            self.make_as(AccountNo::PLATFORM, command, &[])
        }

        pub fn make_as(&mut self, acting: AccountNo, command: Command, texts: &[(&str, &str)]) -> ObjectId {
            match self.run_as(acting, command, texts).unwrap() {
                Reply::Object(id) => id,
                other => panic!("{other:?}"),
            }
        }

        pub fn get(&self, key: RecordKey) -> &Record {
            &self.records[&key]
        }

        pub fn account(&self, account: AccountNo) -> &AccountRecord {
            super::of(self.get(RecordKey::head(account.0))).unwrap()
        }

        pub fn texts(&self, sealed: &Sealed) -> Texts {
            self.ctx().open(sealed)
        }

        pub fn text(&self, id: &ObjectId) -> String {
            self.ids.encode(id)
        }

        /// Events of the last entry, with whose they are.
        pub fn events(&self) -> Vec<(AccountNo, EventKind)> {
            self.last.iter().flat_map(|outcome| &outcome.events).map(|event| (event.account, event.kind)).collect()
        }
    }

    pub fn card(recipe: Recipe) -> Card {
        Card {
            brand: Brand::Visa,
            funding: Funding::Credit,
            country: Country::US,
            last4: 4242,
            exp_month: 12,
            exp_year: 2030,
            fingerprint: [1; 8],
            recipe,
            cvc_check: Check::Unchecked,
        }
    }

    pub fn bank(currency: Currency) -> ExternalAccount {
        ExternalAccount {
            made: Made { seq: 0, at: Timestamp::from_seconds(0) },
            country: Country::US,
            currency,
            routing_number: Some("110000000".to_owned()),
            last4: "6789".to_owned(),
            fingerprint: "f".to_owned(),
            default_for_currency: false,
            outcome: BankOutcome::Paid,
            status: BankStatus::Errored,
            holder_type: None,
            deleted: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::command::{Command, MethodInput};
    use super::super::decide::IndexRow;
    use super::super::record::Recipe;
    use super::world::{World, bank, card};
    use super::*;

    const VERIFIED: Option<TestResult> = Some(TestResult::Verified);
    const FAILED: Option<TestResult> = Some(TestResult::Failed);

    fn everything() -> Identity {
        Identity {
            dob: VERIFIED,
            address: VERIFIED,
            id_number: VERIFIED,
            ssn_last_4: None,
            tax_id: None,
            first_name: true,
            last_name: true,
            email: true,
            phone: true,
            company_name: false,
            mcc: true,
            url_or_description: true,
            tos: true,
        }
    }

    fn capabilities(names: &[&str]) -> Vec<(String, bool)> {
        names.iter().map(|name| ((*name).to_owned(), true)).collect()
    }

    /// The recipe of section 3.9: active at once.
    fn recipe() -> AccountInput {
        AccountInput {
            country: Some(Country::US),
            kind: Some(AccountKind::Custom),
            business_type: Some(BusinessType::Individual),
            capabilities: capabilities(&[CARD_PAYMENTS, TRANSFERS]),
            identity: everything(),
            external_account: Some(Box::new(bank(Currency::USD))),
            tos_accepted_at: Some(World::now()),
            ..AccountInput::default()
        }
    }

    fn create(world: &mut World, input: AccountInput) -> AccountNo {
        AccountNo(world.make(Command::CreateAccount(Box::new(input))).birth)
    }

    fn update(account: AccountNo, input: AccountInput) -> Command {
        Command::UpdateAccount { account, input: Box::new(input) }
    }

    fn country(code: &str) -> Country {
        code.parse().unwrap()
    }

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn the_recipe_makes_an_account_active_at_once() {
        let mut world = World::new();
        let texts = [
            ("email", "jenny@example.com"),
            ("external_account[account_holder_name]", "Jenny Rosen"),
            ("metadata[shop]", "17"),
        ];
        let id = world.make_as(AccountNo::PLATFORM, Command::CreateAccount(Box::new(recipe())), &texts);
        let account = AccountNo(id.birth);
        assert_eq!(id, account_id(account));

        let record = world.account(account);
        assert_eq!((record.kind, record.default_currency, record.delay_days), (AccountKind::Custom, Currency::USD, 2));
        assert!(record.is_active(CARD_PAYMENTS) && record.is_active(TRANSFERS));
        assert!(record.charges_enabled && record.payouts_enabled && record.details_submitted);
        assert!(!record.debit_negative_balances);
        assert_eq!(record.currently_due, [""; 0]);
        let [external] = record.external_accounts.as_slice() else { panic!("one external account") };
        assert!(external.default_for_currency && !external.deleted);
        assert_eq!((external.status, external.made), (BankStatus::New, record.made));
        let texts = world.texts(&record.private);
        assert_eq!(texts.get("external_accounts[1][account_holder_name]"), Some("Jenny Rosen"));
        assert_eq!(texts.get("email"), Some("jenny@example.com"));
        assert_eq!(texts.0.len(), 3);

        let outcome = world.last.as_ref().unwrap();
        assert_eq!((outcome.keys_taken, outcome.text_key_no, record.key_no), (1, 1, 1));
        let index: Vec<IndexRow> = outcome.changes.iter().flat_map(|change| change.index.clone()).collect();
        assert_eq!(
            index,
            [
                IndexRow { account: AccountNo::PLATFORM, class: Class::Account, kinds: Kinds::ACCOUNT },
                IndexRow { account, class: Class::Account, kinds: Kinds::EVENT },
            ]
        );
        let kinds = [
            EventKind::ExternalAccountCreated,
            EventKind::CapabilityUpdated,
            EventKind::CapabilityUpdated,
            EventKind::AccountUpdated,
        ];
        assert_eq!(world.events(), kinds.map(|kind| (account, kind)));
    }

    #[test]
    fn defaults_follow_the_country() {
        // country, currency, delay_days, interval
        for (code, money, delay, interval) in [
            ("US", "usd", 2, PayoutInterval::Daily),
            ("DE", "eur", 7, PayoutInterval::Daily),
            ("GB", "gbp", 7, PayoutInterval::Daily),
            ("JP", "jpy", 4, PayoutInterval::Weekly),
            ("AU", "aud", 2, PayoutInterval::Daily),
        ] {
            let mut world = World::new();
            let input = AccountInput { country: Some(country(code)), ..AccountInput::default() };
            let account = create(&mut world, input);
            let record = world.account(account);
            assert_eq!((record.default_currency, record.delay_days), (currency(money), delay), "{code}");
            assert_eq!(record.payout_interval, interval, "{code}");
        }
        let mut world = World::new();
        let account = create(&mut world, AccountInput::default());
        let record = world.account(account);
        assert_eq!((record.country, record.kind), (Country::US, AccountKind::Standard));
        assert!(record.debit_negative_balances);
        let names: Vec<&str> = record.capabilities.iter().map(|capability| capability.name.as_str()).collect();
        assert_eq!(names, [CARD_PAYMENTS, TRANSFERS]);
    }

    #[test]
    fn kinds_and_controllers_are_those_of_the_reference() {
        let custom = Controller { fees: FeesPayer::Application, ..CUSTOM };
        let express = Controller { fees: FeesPayer::Application, ..EXPRESS };
        let losses = "controller[losses][payments]";
        let fees = "controller[fees][payer]";
        let dashboard = "controller[stripe_dashboard][type]";
        type Case = (Option<AccountKind>, Option<Controller>, Result<(AccountKind, Controller), &'static str>);
        let cases: [Case; 17] = [
            (None, None, Ok((AccountKind::Standard, STANDARD))),
            (Some(AccountKind::Custom), Some(CUSTOM), Ok((AccountKind::Custom, CUSTOM))),
            (Some(AccountKind::None), Some(custom), Ok((AccountKind::None, custom))),
            (Some(AccountKind::None), Some(CUSTOM), Err(fees)),
            (Some(AccountKind::Standard), None, Ok((AccountKind::Standard, STANDARD))),
            (Some(AccountKind::Express), None, Ok((AccountKind::Express, EXPRESS))),
            (Some(AccountKind::Custom), None, Ok((AccountKind::Custom, CUSTOM))),
            (Some(AccountKind::None), None, Err("type")),
            (Some(AccountKind::Custom), Some(custom), Err("type")),
            (None, Some(STANDARD), Ok((AccountKind::Standard, STANDARD))),
            (None, Some(custom), Ok((AccountKind::None, custom))),
            (None, Some(express), Ok((AccountKind::None, express))),
            (None, Some(CUSTOM), Err(fees)),
            (None, Some(Controller { losses_application: false, ..custom }), Err(losses)),
            (None, Some(Controller { fees: FeesPayer::Account, ..custom }), Err(fees)),
            (None, Some(Controller { dashboard: Dashboard::Full, ..custom }), Err(dashboard)),
            (None, Some(Controller { losses_application: false, ..express }), Err(losses)),
        ];
        for (kind, controller, expected) in cases {
            let mut world = World::new();
            let input = AccountInput { kind, controller, ..AccountInput::default() };
            match (world.run(Command::CreateAccount(Box::new(input))), expected) {
                (Ok(Reply::Object(id)), Ok((kind, controller))) => {
                    let record = world.account(AccountNo(id.birth));
                    assert_eq!((record.kind, record.controller), (kind, controller));
                }
                (Err(refusal), Err(param)) => assert_eq!(refusal.param.as_deref(), Some(param), "{refusal:?}"),
                (got, expected) => panic!("{kind:?} {controller:?}: {got:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn what_is_due_is_what_is_missing() {
        let both: &[&str] = &[CARD_PAYMENTS, TRANSFERS];
        let fresh_us = "business_profile.mcc business_profile.url business_type external_account \
                        representative.dob.day representative.dob.month representative.dob.year \
                        representative.email representative.first_name representative.last_name \
                        tos_acceptance.date tos_acceptance.ip";
        let fresh_de = "business_profile.mcc business_profile.url business_type external_account \
                        representative.address.city representative.address.line1 representative.address.postal_code \
                        representative.dob.day representative.dob.month representative.dob.year \
                        representative.email representative.first_name representative.last_name \
                        representative.phone tos_acceptance.date tos_acceptance.ip";
        let individual_us = "business_profile.mcc business_profile.url external_account individual.address.city \
                             individual.address.line1 individual.address.postal_code individual.address.state \
                             individual.dob.day individual.dob.month individual.dob.year individual.email \
                             individual.first_name individual.last_name individual.phone individual.ssn_last_4 \
                             tos_acceptance.date tos_acceptance.ip";
        let receiver_us = "external_account individual.dob.day individual.dob.month individual.dob.year \
                           individual.first_name individual.last_name tos_acceptance.date tos_acceptance.ip";
        let company_us = "business_profile.mcc business_profile.url company.address.city company.address.line1 \
                          company.address.postal_code company.address.state company.name company.phone \
                          company.tax_id external_account tos_acceptance.date tos_acceptance.ip";
        for (code, business_type, asked, due) in [
            ("US", None, both, fresh_us),
            ("DE", None, both, fresh_de),
            ("US", Some(BusinessType::Individual), both, individual_us),
            ("US", Some(BusinessType::Individual), &[TRANSFERS][..], receiver_us),
            ("US", Some(BusinessType::Company), both, company_us),
            ("US", Some(BusinessType::Individual), &[][..], ""),
        ] {
            let mut world = World::new();
            let input = AccountInput {
                country: Some(country(code)),
                kind: Some(AccountKind::Custom),
                business_type,
                capabilities: capabilities(asked),
                ..AccountInput::default()
            };
            let account = create(&mut world, input);
            let record = world.account(account);
            let due: Vec<&str> = due.split_whitespace().collect();
            assert_eq!(record.currently_due, due, "{code} {business_type:?} {asked:?}");
            assert!(!record.charges_enabled && !record.payouts_enabled && !record.details_submitted);
        }
    }

    #[test]
    fn test_values_decide() {
        let individual = BusinessType::Individual;
        let company = BusinessType::Company;
        let business = Identity { tax_id: VERIFIED, company_name: true, ..everything() };
        // what is given, what is due then, charges enabled, payouts enabled
        let cases: [(BusinessType, Identity, &[&str], bool, bool); 11] = [
            (individual, everything(), &[], true, true),
            (individual, Identity { dob: FAILED, ..everything() }, &["individual.verification.document"], false, false),
            (
                individual,
                Identity { address: FAILED, ..everything() },
                &["individual.verification.additional_document"],
                false,
                false,
            ),
            (
                individual,
                Identity { dob: FAILED, address: FAILED, ..everything() },
                &["individual.verification.additional_document", "individual.verification.document"],
                false,
                false,
            ),
            (individual, Identity { id_number: FAILED, ..everything() }, &["individual.id_number"], false, false),
            (individual, Identity { id_number: None, ssn_last_4: VERIFIED, ..everything() }, &[], true, true),
            (
                individual,
                Identity { id_number: None, ssn_last_4: FAILED, ..everything() },
                &["individual.id_number"],
                false,
                false,
            ),
            // Being charged asks for more than being paid does.
            (individual, Identity { mcc: false, ..everything() }, &["business_profile.mcc"], false, true),
            (company, business, &[], true, true),
            (company, Identity { tax_id: FAILED, ..business }, &["company.tax_id"], false, false),
            (company, Identity { address: FAILED, ..business }, &["company.address.line1"], false, false),
        ];
        for (business_type, identity, due, charges, payouts) in cases {
            let mut world = World::new();
            let input = AccountInput { business_type: Some(business_type), identity, ..recipe() };
            let account = create(&mut world, input);
            let record = world.account(account);
            assert_eq!(record.currently_due, due, "{identity:?}");
            assert_eq!((record.charges_enabled, record.payouts_enabled), (charges, payouts), "{identity:?}");
            assert_eq!(record.is_active(CARD_PAYMENTS), charges, "{identity:?}");
            assert_eq!(record.is_active(TRANSFERS), payouts, "{identity:?}");
            assert_eq!(record.details_submitted, identity.mcc, "{identity:?}");
        }
    }

    #[test]
    fn better_values_turn_an_account_active() {
        let mut world = World::new();
        let input = AccountInput { identity: Identity { dob: FAILED, ..everything() }, ..recipe() };
        let account = create(&mut world, input);
        assert!(!world.account(account).charges_enabled);

        let identity = Identity { dob: VERIFIED, ..Identity::default() };
        world.run(update(account, AccountInput { identity, ..AccountInput::default() })).unwrap();
        assert!(world.account(account).charges_enabled);
        let kinds = [EventKind::CapabilityUpdated, EventKind::CapabilityUpdated, EventKind::AccountUpdated];
        assert_eq!(world.events(), kinds.map(|kind| (account, kind)));
        let outcome = world.last.as_ref().unwrap();
        let before = of(outcome.changes[0].before.as_deref().unwrap()).unwrap();
        assert!(!before.charges_enabled);
        assert_eq!(outcome.text_key_no, 1);
    }

    #[test]
    fn without_an_external_account_only_payouts_wait() {
        let mut world = World::new();
        let account = create(&mut world, AccountInput { external_account: None, ..recipe() });
        let record = world.account(account);
        assert_eq!(record.currently_due, ["external_account"]);
        assert!(record.charges_enabled && record.details_submitted && !record.payouts_enabled);
    }

    #[test]
    fn an_account_that_only_receives_is_enabled_by_transfers() {
        let mut world = World::new();
        let account = create(&mut world, AccountInput { capabilities: capabilities(&[TRANSFERS]), ..recipe() });
        let record = world.account(account);
        assert!(record.charges_enabled && record.payouts_enabled && record.is_active(TRANSFERS));
        assert!(!record.is_active(CARD_PAYMENTS));
    }

    #[test]
    fn a_new_external_account_takes_the_place_of_the_one_before() {
        let mut world = World::new();
        let account = create(&mut world, recipe());
        let texts = [("account_holder_name", "Jenny R.")];
        let token = Command::CreateBankToken { bank: Box::new(bank(Currency::USD)) };
        let token = world.make_as(AccountNo::PLATFORM, token, &texts);
        assert_eq!(token.kind, ObjectKind::BankAccountToken);

        let input = AccountInput { external_token: Some(token.birth), ..AccountInput::default() };
        world.run(update(account, input.clone())).unwrap();
        let record = world.account(account);
        let shown: Vec<(bool, bool)> =
            record.external_accounts.iter().map(|bank| (bank.default_for_currency, bank.deleted)).collect();
        assert_eq!(shown, [(false, true), (true, false)]);
        let texts = world.texts(&record.private);
        assert_eq!(texts.get("external_accounts[2][account_holder_name]"), Some("Jenny R."));
        let kinds = [EventKind::ExternalAccountDeleted, EventKind::ExternalAccountCreated, EventKind::AccountUpdated];
        assert_eq!(world.events(), kinds.map(|kind| (account, kind)));

        let refusal = world.run(update(account, input)).unwrap_err();
        assert_eq!(refusal.code.as_deref(), Some("token_already_used"));

        let other = AccountInput { external_account: Some(Box::new(bank(Currency::EUR))), ..AccountInput::default() };
        world.run(update(account, other)).unwrap();
        let record = world.account(account);
        assert_eq!(settlement_currencies(record), [Currency::USD, Currency::EUR]);
        assert!(settles(record, Currency::EUR) && !settles(record, Currency::GBP));
        assert!(record.external_accounts[1].default_for_currency);
    }

    #[test]
    fn parameters_that_cannot_be_are_refused() {
        // The card token is made by the entry after the founding.
        const FIRST: u64 = 2;
        let card_token = Command::CreateCardToken { card: card(Recipe::Succeed) };
        let cases: [(AccountInput, Option<&str>, &str); 12] = [
            (AccountInput { country: Some(country("KP")), ..recipe() }, Some("country_unsupported"), "country"),
            (AccountInput { default_currency: Some(currency("brl")), ..recipe() }, None, "default_currency"),
            (
                AccountInput { external_account: Some(Box::new(bank(currency("inr")))), ..recipe() },
                None,
                "external_account[currency]",
            ),
            (
                AccountInput { external_token: Some(FIRST), ..recipe() },
                Some("parameters_exclusive"),
                "external_account",
            ),
            (
                AccountInput { external_account: None, external_token: Some(77), ..recipe() },
                Some("resource_missing"),
                "external_account",
            ),
            (
                AccountInput { external_account: None, external_token: Some(FIRST), ..recipe() },
                None,
                "external_account",
            ),
            (AccountInput { capabilities: capabilities(&[CARD_PAYMENTS]), ..recipe() }, None, "capabilities"),
            (
                AccountInput { capabilities: capabilities(&["flying"]), ..recipe() },
                Some("parameter_unknown"),
                "capabilities[flying]",
            ),
            (
                AccountInput {
                    country: Some(Country::GB),
                    business_type: Some(BusinessType::GovernmentEntity),
                    ..recipe()
                },
                None,
                "business_type",
            ),
            (
                AccountInput { country: Some(Country::DE), delay_days: Some(2), external_account: None, ..recipe() },
                None,
                "settings[payouts][schedule][delay_days]",
            ),
            (AccountInput { delay_days: Some(32), ..recipe() }, None, "settings[payouts][schedule][delay_days]"),
            (
                AccountInput {
                    country: Some(Country::JP),
                    payout_interval: Some(PayoutInterval::Daily),
                    external_account: None,
                    ..recipe()
                },
                None,
                "settings[payouts][schedule][interval]",
            ),
        ];
        for (input, code, param) in cases {
            let mut world = World::new();
            assert_eq!(world.make(card_token.clone()).birth, FIRST);
            let refusal = world.run(Command::CreateAccount(Box::new(input))).unwrap_err();
            assert_eq!((refusal.status, refusal.code.as_deref()), (400, code), "{refusal:?}");
            assert_eq!(refusal.param.as_deref(), Some(param), "{refusal:?}");
        }
    }

    #[test]
    fn what_creation_fixed_stays() {
        let mut world = World::new();
        let account = create(&mut world, recipe());
        for (input, param) in [
            (AccountInput { country: Some(Country::DE), ..AccountInput::default() }, "country"),
            (AccountInput { kind: Some(AccountKind::Express), ..AccountInput::default() }, "type"),
            (AccountInput { controller: Some(CUSTOM), ..AccountInput::default() }, "controller"),
        ] {
            let refusal = world.run(update(account, input)).unwrap_err();
            assert_eq!(refusal.param.as_deref(), Some(param));
            assert_eq!(refusal.code.as_deref(), Some("parameter_unknown"));
        }
    }

    #[test]
    fn payout_settings_are_kept() {
        let mut world = World::new();
        let account = create(&mut world, recipe());
        let input = AccountInput {
            payout_interval: Some(PayoutInterval::Manual),
            delay_days: Some(10),
            debit_negative_balances: Some(true),
            default_currency: Some(Currency::EUR),
            ..AccountInput::default()
        };
        world.run(update(account, input)).unwrap();
        let record = world.account(account);
        assert_eq!((record.payout_interval, record.delay_days), (PayoutInterval::Manual, 10));
        assert_eq!((record.debit_negative_balances, record.default_currency), (true, Currency::EUR));

        world.run(update(account, AccountInput { delay_days: Some(0), ..AccountInput::default() })).unwrap();
        assert_eq!(world.account(account).delay_days, 2);
    }

    #[test]
    fn an_update_of_nothing_tells_nothing() {
        let mut world = World::new();
        let account = create(&mut world, recipe());
        let before = world.account(account).clone();
        world.run(update(account, AccountInput::default())).unwrap();
        assert_eq!(world.events(), []);
        assert!(world.last.as_ref().unwrap().changes.is_empty());

        let texts = [("metadata[shop]", "18")];
        world.run_as(account, update(account, AccountInput::default()), &texts).unwrap();
        assert_eq!(world.events(), [(account, EventKind::AccountUpdated)]);
        let after = world.account(account);
        assert_eq!(world.texts(&after.private).get("metadata[shop]"), Some("18"));
        assert_eq!(after.private.key_no, before.key_no);
    }

    #[test]
    fn a_capability_is_requested_later_and_taken_back() {
        let mut world = World::new();
        let account = create(&mut world, AccountInput { capabilities: capabilities(&[TRANSFERS]), ..recipe() });
        let set = |name: &str, requested| Command::SetCapability { account, name: name.to_owned(), requested };

        let id = world.make(set(CARD_PAYMENTS, true));
        assert_eq!((id.kind, capability_name(&id)), (ObjectKind::Capability, Some(CARD_PAYMENTS)));
        assert!(world.account(account).is_active(CARD_PAYMENTS));
        let kinds = [EventKind::CapabilityUpdated, EventKind::AccountUpdated];
        assert_eq!(world.events(), kinds.map(|kind| (account, kind)));

        world.run(set(CARD_PAYMENTS, true)).unwrap();
        assert_eq!(world.events(), []);

        let refusal = world.run(set(TRANSFERS, false)).unwrap_err();
        assert_eq!((refusal.status, refusal.param.as_deref()), (400, Some("capabilities")));
        world.run(set(CARD_PAYMENTS, false)).unwrap();
        assert_eq!(world.events(), kinds.map(|kind| (account, kind)));
        world.run(set(TRANSFERS, false)).unwrap();
        assert!(world.account(account).capabilities.is_empty());
        assert!(!world.account(account).charges_enabled);

        let refusal = world.run(set("flying", true)).unwrap_err();
        assert_eq!((refusal.status, refusal.param.as_deref()), (404, Some("capability")));
    }

    #[test]
    fn a_deleted_account_vanishes() {
        let mut world = World::new();
        let account = create(&mut world, recipe());
        let id = account_id(account);
        assert!(receives(&world, &world.ctx(), account, "destination").is_ok());

        let reply = world.run(Command::DeleteAccount { account }).unwrap();
        assert_eq!(reply, Reply::Deleted(id));
        let record = world.account(account);
        assert_eq!((record.deleted, &record.private), (true, &Sealed::default()));
        let again = world.run(Command::DeleteAccount { account }).unwrap_err();
        assert_eq!((again.status, again.param.as_deref()), (404, Some("account")));
        assert_eq!(again.message, format!("No such account: '{}'", world.text(&id)));

        let Err(Halt::Refused(refusal)) = receives(&world, &world.ctx(), account, "destination") else {
            panic!("a deleted account receives")
        };
        assert_eq!((refusal.status, refusal.param.as_deref()), (400, Some("destination")));
        assert_eq!(refusal.message, format!("No such destination: '{}'", world.text(&id)));
        assert!(load(&world, account).is_ok(), "its books are still its own");
    }

    #[test]
    fn only_connected_accounts_with_the_capability_receive() {
        let mut world = World::new();
        let customer = world.make(Command::CreateCustomer { method: None, default: None });
        let inactive = create(&mut world, AccountInput { identity: Identity::default(), ..recipe() });
        let cases = [
            (AccountNo::PLATFORM, "resource_missing"),
            (AccountNo(customer.birth), "resource_missing"),
            (AccountNo(99), "resource_missing"),
            (inactive, "insufficient_capabilities_for_transfer"),
        ];
        for (account, code) in cases {
            match receives(&world, &world.ctx(), account, "destination") {
                Err(Halt::Refused(refusal)) => assert_eq!(refusal.code.as_deref(), Some(code), "{account:?}"),
                other => panic!("{account:?}: {other:?}"),
            }
        }
        assert!(connected(&world, &world.ctx(), inactive, "destination").is_ok());
    }

    #[test]
    fn accounts_are_changed_by_the_platform_or_by_themselves() {
        let mut world = World::new();
        let (one, other) = (create(&mut world, recipe()), create(&mut world, recipe()));
        let change = || update(one, AccountInput { delay_days: Some(5), ..AccountInput::default() });
        assert_eq!(world.run_as(other, change(), &[]).unwrap_err().status, 404);
        assert!(world.run_as(one, change(), &[]).is_ok());
        let create = Command::CreateAccount(Box::new(recipe()));
        let refusal = world.run_as(one, create, &[]).unwrap_err();
        assert_eq!(refusal.code.as_deref(), Some("platform_account_required"));
        assert!(world.run_as(one, Command::DeleteAccount { account: one }, &[]).is_err());
        assert!(world.run(update(AccountNo::PLATFORM, AccountInput::default())).is_err());
        let method = Command::CreateMethod { input: MethodInput::Inline(card(Recipe::Succeed)), customer: None };
        let method = world.make(method);
        assert_eq!(world.run(update(AccountNo(method.birth), AccountInput::default())).unwrap_err().status, 404);
    }

    #[test]
    fn a_rejected_account_neither_charges_nor_pays_out() {
        let mut world = World::new();
        let account = create(&mut world, recipe());
        let mut record = world.account(account).clone();
        record.rejected = Some("fraud".to_owned());
        refresh(&mut record);
        assert!(!record.charges_enabled && !record.payouts_enabled && !record.is_active(TRANSFERS));
        assert!(record.details_submitted);
    }

    #[test]
    fn capabilities_have_places_for_ever() {
        assert_eq!(CAPABILITIES.iter().collect::<BTreeSet<_>>().len(), CAPABILITIES.len());
        for (place, name) in CAPABILITIES.iter().enumerate() {
            let id = capability_id(AccountNo(3), name).unwrap();
            assert_eq!((usize::from(id.slot), capability_name(&id)), (place, Some(*name)));
        }
        // Ids of these are in journals already.
        assert_eq!((CAPABILITIES[16], CAPABILITIES[62]), (CARD_PAYMENTS, TRANSFERS));
        assert_eq!(capability_id(AccountNo(3), "flying"), None);
        assert_eq!(capability_name(&account_id(AccountNo(3))), None);
    }

    #[test]
    fn every_settlement_currency_exists() {
        for code in SETTLEMENT_CODES {
            assert_eq!(currency(code).code(), code);
        }
        for code in MANY_CURRENCIES {
            assert!(country(std::str::from_utf8(code).unwrap()).default_currency().is_some());
        }
    }
}
