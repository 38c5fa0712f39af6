//! Connected accounts: kinds, life and parameters (section 3).
//!
//! An account is what its holder has told and what the test values of section 3.9 make of it. What is told by persons,
//! capabilities and external accounts has files of its own beside this one; all of them end in
//! [`requirements`](super::requirements), which says what is still due and what is enabled.

use super::capability::{self, CAPABILITIES, CARD_PAYMENTS, CHARGING, RECEIVING, TRANSFERS};
use super::command::{AccountInput, RejectReason, Request, TextPatch};
use super::decide::{Change, Class, Context, Facts, Halt, Kinds, Outcome, Refusal, Reply};
use super::draft::Draft;
use super::event::EventKind;
use super::external_account;
use super::facts::{self, Field};
use super::method;
use super::person;
use super::record::{
    AccountKind, AccountRecord, BusinessType, CapabilityStatus, Controller, Dashboard, FeesPayer, Made, PayoutInterval,
    Record, RecordKey, Shared, Slot,
};
use super::refund::no_such;
use super::requirements;
use super::schedule::{self, Wording};
use super::seal::{Sealed, Texts};
use crate::ledger::AccountNo;
use crate::primitives::country::Country;
use crate::primitives::currency::Currency;
use crate::primitives::id::{ObjectId, ObjectKind};

pub use super::external_account::{external_id, settlement_currencies, settles};
pub use super::requirements::refresh;

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

/// Whether an account may be charged itself, directly or by another on its behalf.
///
/// # Errors
/// 400 without a capability for it; a missing fact.
pub fn may_be_charged(facts: &dyn Facts, account: AccountNo) -> Result<(), Halt> {
    if account.is_platform() {
        return Ok(());
    }
    let record = load(facts, account)?;
    if CHARGING.iter().any(|name| of(&record).is_ok_and(|account| account.is_active(name))) {
        return Ok(());
    }
    let message = "Your account cannot currently make charges. The `card_payments` capability of the account has to be \
                   active: its `requirements` say what is missing.";
    Err(Refusal::new(message).into())
}

/// An account's id.
pub fn account_id(account: AccountNo) -> ObjectId {
    RecordKey::head(account.0).id(ObjectKind::Account, Slot::MAIN)
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
            capability::ask_for(&mut record, name, true, ctx.now);
        }
    }
    let patch = amend(&mut draft, request, account, &mut record, input)?;
    requirements::assess(&mut draft, account, &mut record);
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
    if tells_of_holder(request, input) {
        check_editable(ctx, account, &record)?;
    }
    let mut draft = Draft::new(facts, ctx);
    let patch = amend(&mut draft, request, account, &mut record, input)?;
    requirements::assess(&mut draft, account, &mut record);
    close(draft, account, &before, record, &patch, Reply::Object(account_id(account)))
}

/// Deletes a connected account. Every account is a test one, and those go at any time (section 3.8); what its books
/// hold stays there.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn delete(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, account: AccountNo) -> Result<Outcome, Halt> {
    by_platform(request, "deletes")?;
    let before = target(facts, ctx, request, account)?;
    let mut record = of(&before)?.clone();
    let mut draft = Draft::new(facts, ctx);
    person::forget(&mut draft, account, &record)?;
    requirements::drop_due(&mut draft, account, &mut record);
    record.deleted = true;
    record.private = Sealed::default();
    record.charges_enabled = false;
    record.payouts_enabled = false;
    record.facts = facts::Facts::default();
    record.persons.clear();
    record.asks.clear();
    for capability in &mut record.capabilities {
        capability.status = CapabilityStatus::Inactive;
    }
    let key_no = record.key_no;
    draft.change(Change::of(RecordKey::head(account.0), Record::Account(Box::new(record))).from(&before));
    let mut outcome = draft.finish(Reply::Deleted(account_id(account)));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// Rejects an account: its capabilities go, and by default its payouts (section 3.8).
///
/// # Errors
/// A refusal, or a missing fact.
pub fn reject(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    account: AccountNo,
    reason: RejectReason,
    pays_out: bool,
) -> Result<Outcome, Halt> {
    by_platform(request, "rejects")?;
    change(facts, ctx, request, account, |record| {
        record.rejected = Some(reason.disabled_reason().to_owned());
        record.pays_out_rejected = pays_out;
        Ok(())
    })
}

/// Takes a rejection back.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn unreject(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, account: AccountNo) -> Result<Outcome, Halt> {
    by_platform(request, "takes the rejection back of")?;
    change(facts, ctx, request, account, |record| {
        if record.rejected.is_none() {
            return Err(Refusal::new("This account has not been rejected: there is nothing to take back.").into());
        }
        record.rejected = None;
        record.pays_out_rejected = false;
        Ok(())
    })
}

fn by_platform(request: &Request, does: &str) -> Result<(), Halt> {
    if request.acting.is_platform() {
        return Ok(());
    }
    let message = format!("Only the platform {does} a connected account. Leave the Stripe-Account header out.");
    Err(Refusal::new(message).code("platform_account_required").into())
}

/// Changes an account's record, and what follows from it.
fn change(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    account: AccountNo,
    with: impl FnOnce(&mut AccountRecord) -> Result<(), Halt>,
) -> Result<Outcome, Halt> {
    let before = target(facts, ctx, request, account)?;
    let mut record = of(&before)?.clone();
    with(&mut record)?;
    let mut draft = Draft::new(facts, ctx);
    requirements::assess(&mut draft, account, &mut record);
    close(draft, account, &before, record, &request.texts, Reply::Object(account_id(account)))
}

/// The verifications that were in progress end.
///
/// # Errors
/// A missing fact.
pub fn verification_ends(facts: &dyn Facts, ctx: &Context<'_>, account: AccountNo) -> Result<Outcome, Halt> {
    fire(facts, ctx, account, |record| {
        let ends = record.verification_ends.is_some_and(|at| at <= ctx.now);
        if ends {
            requirements::verify(record);
        }
        ends
    })
}

/// An account's deadline passes.
///
/// # Errors
/// A missing fact.
pub fn requirements_fall_due(facts: &dyn Facts, ctx: &Context<'_>, account: AccountNo) -> Result<Outcome, Halt> {
    fire(facts, ctx, account, |record| {
        let falls = record.deadline.is_some_and(|at| at <= ctx.now);
        if falls {
            requirements::fall_due(record);
        }
        falls
    })
}

/// Something that was due for an account, unless it is gone by now.
fn fire(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    account: AccountNo,
    with: impl FnOnce(&mut AccountRecord) -> bool,
) -> Result<Outcome, Halt> {
    let before = load(facts, account)?;
    let mut record = of(&before)?.clone();
    if record.deleted || !with(&mut record) {
        return Ok(Outcome::answer(Reply::Done));
    }
    let mut draft = Draft::new(facts, ctx);
    for bank in record.external_accounts.iter().zip(&of(&before)?.external_accounts).enumerate() {
        let (index, (now, was)) = bank;
        if now != was {
            let id = external_account::id_of(account, index, now);
            draft.event(account, EventKind::ExternalAccountUpdated, id);
        }
    }
    person::tell_verified(&mut draft, account, of(&before)?, &record)?;
    requirements::assess(&mut draft, account, &mut record);
    close(draft, account, &before, record, &TextPatch::default(), Reply::Done)
}

/// The connected account in a path: by the platform, or by the account itself.
///
/// # Errors
/// 400 for the platform's own, 404 for what is deleted, unknown or another's; a missing fact.
pub fn target(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, account: AccountNo) -> Result<Shared, Halt> {
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

/// Whether a platform may still tell of the holder of an account (section 3.1): always where it collects requirements
/// itself, else until the holder has told everything. From then on that is the holder's own affair.
///
/// # Errors
/// 403.
pub fn check_editable(ctx: &Context<'_>, account: AccountNo, record: &AccountRecord) -> Result<(), Halt> {
    if record.controller.requirements_application || !record.details_submitted {
        return Ok(());
    }
    let message = format!(
        "This application does not have the required permissions for this endpoint on account '{}'. Its holder has \
         submitted its details, and the platform does not collect the requirements of this account \
         (controller.requirement_collection is stripe).",
        ctx.ids.encode(&account_id(account))
    );
    Err(Refusal { status: 403, ..Refusal::new(message) }.into())
}

/// Whether an update tells of who holds the account, and not only of what it sells and how it is set up.
fn tells_of_holder(request: &Request, input: &AccountInput) -> bool {
    let of_business = |field: Field| field <= Field::Prefix;
    let of_holder = |path: &str| {
        ["individual[", "company[", "tos_acceptance[", "external_account["].iter().any(|hash| path.starts_with(hash))
    };
    input.business_type.is_some()
        || input.account_token.is_some()
        || input.external_account.is_some()
        || input.external_token.is_some()
        || input.tos_accepted_at.is_some()
        || input.facts.iter().any(|(field, _)| !of_business(field))
        || request.texts.0.iter().any(|(path, _)| of_holder(path))
}

/// Seals the texts and hands a changed account over. A request that changes nothing makes no event.
///
/// # Errors
/// Too much metadata.
pub fn close(
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
pub fn tell(draft: &mut Draft<'_>, account: AccountNo, before: Option<&AccountRecord>, after: &AccountRecord) {
    let told = capability::tell(draft, account, before, after);
    if before.is_some() || told || !after.external_accounts.is_empty() {
        draft.event(account, EventKind::AccountUpdated, account_id(account));
    }
    if before.is_some_and(|before| super::balance_settings::differ(before, after)) {
        draft.event(account, EventKind::BalanceSettingsUpdated, account_id(account));
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
        details_submitted: false,
        charges_enabled: false,
        payouts_enabled: false,
        tos_accepted_at: None,
        delay_days: country.delay_days(),
        payout_interval,
        debit_negative_balances: !controller.requirements_application,
        external_accounts: Vec::new(),
        private: Sealed::default(),
        key_no,
        deleted: false,
        rejected: None,
        facts: facts::Facts::default(),
        persons: Vec::new(),
        children: 0,
        asks: Vec::new(),
        deadline: None,
        verification_ends: None,
        pays_out_rejected: false,
        is_recipient: false,
        paying: schedule::default_days(country),
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
        external_account::check_settles_in(record.country, currency, "default_currency")?;
        record.default_currency = currency;
    }
    if let Some(business_type) = input.business_type {
        amend_business_type(record, business_type)?;
    }
    for (name, requested) in &input.capabilities {
        if !CAPABILITIES.contains(&name.as_str()) {
            let param = format!("capabilities[{name}]");
            let message = format!("Received unknown parameter: {param}. No capability has this name.");
            return Err(Refusal::new(message).code("parameter_unknown").param(&param).into());
        }
        capability::ask_for(record, name, *requested, now);
    }
    if let Some(is_recipient) = input.is_recipient {
        record.is_recipient = is_recipient;
    }
    capability::check(record)?;
    record.facts.learn(&input.facts);
    if input.tos_accepted_at.is_some() {
        record.tos_accepted_at = input.tos_accepted_at;
    }
    schedule::amend(record, input, Wording::Account)?;
    let mut patch = external_account::replace(draft, request, account, record, input)?;
    if let Some(birth) = input.account_token {
        amend_by_token(draft, request, record, birth, &mut patch)?;
    }
    person::check_individual(record, &patch)?;
    person::tell_individual(draft, account, record, &input.facts, &patch);
    Ok(patch)
}

fn amend_business_type(record: &mut AccountRecord, business_type: BusinessType) -> Result<(), Halt> {
    if business_type == BusinessType::GovernmentEntity && record.country != Country::US {
        let message = "Only accounts in the US can have `business_type` = government_entity.";
        return Err(Refusal::new(message).param("business_type").into());
    }
    let is_verified = record.capabilities.iter().any(|have| have.status == CapabilityStatus::Active);
    if is_verified && record.business_type.is_some_and(|have| have != business_type) {
        let message = "You cannot change `business_type` via API if an account is verified.";
        return Err(Refusal::new(message).param("business_type").into());
    }
    record.business_type = Some(business_type);
    Ok(())
}

/// What an account token carries: the legal entity, and whether the terms were accepted where it was made.
fn amend_by_token(
    draft: &mut Draft<'_>,
    request: &Request,
    record: &mut AccountRecord,
    birth: u64,
    patch: &mut TextPatch,
) -> Result<(), Halt> {
    let (token, texts, used) = method::take_account_token(draft.facts, draft.ctx, request.acting, birth)?;
    draft.change(used);
    if let Some(business_type) = token.business_type {
        amend_business_type(record, business_type)?;
    }
    record.facts.learn(&token.facts);
    if token.tos_accepted {
        record.tos_accepted_at = Some(draft.ctx.now);
        record.facts.learn(&facts::Facts::good(&[Field::TosDate, Field::TosIp]));
    }
    for (path, text) in texts.0 {
        patch.set(path, text);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(in crate::domain) mod world;
