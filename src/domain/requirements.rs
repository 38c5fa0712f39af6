//! Requirements: what an account still has to tell, by when, and what that leaves enabled (sections 3.3 to 3.5).
//!
//! [`wanted`] is the table of what is asked of whom. [`refresh`] is the one place that turns it into asks, capabilities
//! and the three flags; every change of an account ends there. What goes wrong with an account that is already active
//! has [`GRACE_DAYS`] until it takes something away; what a fresh account lacks is past due at once.

use minicbor::{Decode, Encode};

use super::draft::Draft;
use super::due::{DueKey, DueKind};
use super::facts::{Facts, Field, Finding};
use super::record::{AccountRecord, BankStatus, BusinessType, Capability, CapabilityStatus, ExternalAccount, Member};
use crate::ledger::AccountNo;
use crate::primitives::country::Country;
use crate::primitives::time::Timestamp;

/// Days to mend what was verified and was changed to something that is not.
pub const GRACE_DAYS: i32 = 7;
/// How long a verification takes that does not end at once.
pub const VERIFICATION_S: i64 = 2;
/// Places of an account's own due items, under its birth.
const VERIFICATION: u16 = 28;
const DEADLINE: u16 = 29;

/// Who needs an ask to be met, as bits.
#[derive(Debug)]
pub struct Need;

impl Need {
    /// Receiving transfers.
    pub const RECEIVE: u8 = 1;
    /// Being charged.
    pub const CHARGE: u8 = 2;
    /// Paying out.
    pub const PAYOUT: u8 = 4;
    /// All of them.
    pub const ALL: u8 = 7;
}

/// Something that an account is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ask {
    /// Whom: 0 for the account and its individual, else the child number of one of its persons.
    #[n(0)]
    pub person: u32,
    /// For what.
    #[n(1)]
    pub field: Field,
    /// How urgently.
    #[n(2)]
    pub stage: Stage,
    /// Who needs it: bits of [`Need`].
    #[n(3)]
    pub by: u8,
    /// What is wrong with what was given; `None` where nothing was given.
    #[n(4)]
    pub wrong: Option<Finding>,
}

/// How urgent an ask is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Stage {
    /// Some day.
    #[n(0)]
    Eventual,
    /// By the account's deadline.
    #[n(1)]
    Current,
    /// Now: what needs it is off.
    #[n(2)]
    Past,
    /// It was given and is being verified.
    #[n(3)]
    Pending,
}

/// How much a capability asks for: one of [`Need::RECEIVE`] and [`Need::CHARGE`].
pub fn need_of(capability: &str) -> u8 {
    if capability.ends_with("_payments") { Need::CHARGE } else { Need::RECEIVE }
}

/// Whether the account may have no capability at all, whatever it tells.
fn is_blocked(account: &AccountRecord) -> bool {
    account.rejected.is_some() || is_listed(account)
}

/// Whether somebody of the account is on a list of sanctions.
pub fn is_listed(account: &AccountRecord) -> bool {
    let listed = |facts: &Facts| facts.get(Field::Dob) == Some(Finding::Listed);
    listed(&account.facts) || account.persons.iter().any(|person| listed(&person.facts))
}

/// Whether nobody uses the account: its capabilities to be charged pause.
pub fn is_inactive(account: &AccountRecord) -> bool {
    account.facts.get(Field::Url) == Some(Finding::Inactive)
}

/// Computes asks, capabilities and flags from what the account has told. What is new has no time to be mended; see
/// [`assess`] for changes that give it.
pub fn refresh(account: &mut AccountRecord) {
    work_out(account, None);
}

/// As [`refresh`], with [`GRACE_DAYS`] for what an active account lacks from now on, and with the due items that end
/// them and the verifications in progress.
pub fn assess(draft: &mut Draft<'_>, no: AccountNo, account: &mut AccountRecord) {
    let before = (account.verification_ends, account.deadline);
    let grace_ends = draft.ctx.now.plus_days(GRACE_DAYS);
    work_out(account, grace_ends);
    let verifying = account.asks.iter().any(|ask| ask.stage == Stage::Pending);
    account.verification_ends = match (verifying, account.verification_ends) {
        (false, _) => None,
        (true, Some(ends)) => Some(ends),
        (true, None) => draft.ctx.now.plus_seconds(VERIFICATION_S),
    };
    let after = (account.verification_ends, account.deadline);
    replan(draft, no, VERIFICATION, before.0, after.0, DueKind::VerificationEnds(no));
    replan(draft, no, DEADLINE, before.1, after.1, DueKind::RequirementsFallDue(no));
}

fn replan(
    draft: &mut Draft<'_>,
    no: AccountNo,
    ordinal: u16,
    before: Option<Timestamp>,
    after: Option<Timestamp>,
    kind: DueKind,
) {
    if before == after {
        return;
    }
    if let Some(at) = before {
        draft.unschedule(DueKey { at, birth: no.0, ordinal });
    }
    if let Some(at) = after {
        draft.schedule_as(at, no.0, ordinal, kind);
    }
}

/// Nothing of the account is due any more: it is deleted.
pub fn drop_due(draft: &mut Draft<'_>, no: AccountNo, account: &mut AccountRecord) {
    let (verification, deadline) = (account.verification_ends.take(), account.deadline.take());
    replan(draft, no, VERIFICATION, verification, None, DueKind::VerificationEnds(no));
    replan(draft, no, DEADLINE, deadline, None, DueKind::RequirementsFallDue(no));
}

/// The verifications in progress end well.
pub fn verify(account: &mut AccountRecord) {
    account.verification_ends = None;
    account.facts.settle();
    for person in &mut account.persons {
        person.facts.settle();
    }
    for bank in account.external_accounts.iter_mut().filter(|bank| bank.check == Some(Finding::Pending)) {
        bank.check = Some(Finding::Good);
    }
}

/// The deadline passes: what was due by it is past due.
pub fn fall_due(account: &mut AccountRecord) {
    account.deadline = None;
    for ask in account.asks.iter_mut().filter(|ask| ask.stage == Stage::Current) {
        ask.stage = Stage::Past;
    }
}

fn work_out(account: &mut AccountRecord, grace_ends: Option<Timestamp>) {
    let mut asks: Vec<Ask> = wanted(account)
        .into_iter()
        .map(|ask| Ask { stage: stage(account, &ask, grace_ends.is_some()), ..ask })
        .collect();
    asks.sort_unstable_by_key(|ask| (ask.person, ask.field));
    account.asks = asks;
    let is_graced = account.asks.iter().any(|ask| ask.stage == Stage::Current);
    account.deadline = account.deadline.or(grace_ends).filter(|_| is_graced);

    let (blocked, inactive) = (is_blocked(account), is_inactive(account));
    let due = |by: u8, stage: Stage| account.asks.iter().any(|ask| ask.stage == stage && ask.by & by != 0);
    let status = |capability: &Capability| {
        let (need, was_active) = (need_of(&capability.name), capability.status == CapabilityStatus::Active);
        let paused = blocked || (inactive && need == Need::CHARGE);
        if paused || due(need, Stage::Past) || (due(need, Stage::Current) && !was_active) {
            CapabilityStatus::Inactive
        } else if due(need, Stage::Pending) && !was_active {
            CapabilityStatus::Pending
        } else {
            CapabilityStatus::Active
        }
    };
    let statuses: Vec<CapabilityStatus> = account.capabilities.iter().map(status).collect();
    let has_bank = account.external_accounts.iter().any(is_usable);
    let pays_out = !account.capabilities.is_empty()
        && has_bank
        && !is_listed(account)
        && (account.rejected.is_none() || account.pays_out_rejected)
        && !due(Need::PAYOUT, Stage::Past)
        && (account.payouts_enabled || !(due(Need::PAYOUT, Stage::Pending) || due(Need::PAYOUT, Stage::Current)));

    for (capability, status) in account.capabilities.iter_mut().zip(statuses) {
        capability.status = status;
    }
    account.payouts_enabled = pays_out;
    let mut charging = account.capabilities.iter().filter(|have| need_of(&have.name) == Need::CHARGE).peekable();
    account.charges_enabled = if charging.peek().is_some() {
        charging.any(|capability| capability.status == CapabilityStatus::Active)
    } else {
        account.is_active(super::capability::TRANSFERS)
    };
    let lacks = |ask: &Ask| {
        ask.wrong.is_none()
            && matches!(ask.stage, Stage::Current | Stage::Past)
            && !matches!(ask.field, Field::ExternalAccount)
    };
    account.details_submitted |= !account.capabilities.is_empty() && !account.asks.iter().any(lacks);
}

/// Whether payouts may go there.
fn is_usable(bank: &ExternalAccount) -> bool {
    !bank.deleted && bank.status == BankStatus::New
}

/// An ask that was there keeps its urgency. A new one is past due, unless something that needs it is active: that goes
/// on for a while.
fn stage(account: &AccountRecord, ask: &Ask, is_grace_given: bool) -> Stage {
    if matches!(ask.stage, Stage::Eventual | Stage::Pending) {
        return ask.stage;
    }
    let same = |have: &&Ask| {
        (have.person, have.field) == (ask.person, ask.field) && matches!(have.stage, Stage::Current | Stage::Past)
    };
    if let Some(have) = account.asks.iter().find(same) {
        return have.stage;
    }
    let needs = |capability: &&Capability| need_of(&capability.name) & ask.by != 0;
    let mut needing = account.capabilities.iter().filter(needs).peekable();
    let is_active = match needing.peek() {
        Some(_) => needing.any(|capability| capability.status == CapabilityStatus::Active),
        None => account.payouts_enabled,
    };
    // Where there is no place to send it, money cannot be paid out however much time there is.
    let can_wait = ask.field != Field::ExternalAccount;
    if is_grace_given && is_active && can_wait { Stage::Current } else { Stage::Past }
}

// ---------------------------------------------------------------------------------------------------------------
// What is asked of whom

/// Gathers asks; their stage tells only what is eventual, pending or open.
struct Wanted {
    /// Needs of what was requested: others ask for nothing.
    mask: u8,
    asks: Vec<Ask>,
}

impl Wanted {
    fn add(&mut self, by: u8, person: u32, field: Field, stage: Stage, wrong: Option<Finding>) {
        let by = by & self.mask;
        if by != 0 {
            self.asks.push(Ask { person, field, stage, by, wrong });
        }
    }

    /// Asks for fields of the account that were not given.
    fn give(&mut self, by: u8, facts: &Facts, fields: &[Field]) {
        self.give_of(by, 0, facts, fields);
    }

    /// Asks for fields of a person that were not given.
    fn give_of(&mut self, by: u8, person: u32, facts: &Facts, fields: &[Field]) {
        for field in fields.iter().filter(|field| !facts.has(**field)) {
            self.add(by, person, *field, Stage::Past, None);
        }
    }

    /// Asks for `instead` where a field was given and did not pass; waits where it is being verified.
    fn pass(&mut self, by: u8, person: u32, facts: &Facts, field: Field, instead: Field) {
        match facts.get(field) {
            Some(Finding::Pending) => self.add(by, person, field, Stage::Pending, None),
            Some(finding) if finding.error().is_some() => self.add(by, person, instead, Stage::Past, Some(finding)),
            Some(_) | None => {}
        }
    }

    /// As [`Wanted::pass`], where a document stands in for the field.
    fn pass_by_document(&mut self, by: u8, person: u32, facts: &Facts, field: Field, document: Field) {
        match facts.get(document) {
            Some(Finding::Good) => {}
            Some(finding @ Finding::DocumentFailed) if !facts.is_fine(field) => {
                self.add(by, person, document, Stage::Past, Some(finding));
            }
            _ => self.pass(by, person, facts, field, document),
        }
    }
}

/// The list of section 3.5 for this account.
fn wanted(account: &AccountRecord) -> Vec<Ask> {
    let mut mask = account.capabilities.iter().fold(0, |mask, capability| mask | need_of(&capability.name));
    if mask != 0 {
        mask |= Need::PAYOUT;
    }
    let mut wanted = Wanted { mask, asks: Vec::new() };
    business(&mut wanted, account);
    match account.business_type {
        None => representative(&mut wanted, account),
        Some(BusinessType::Individual) => {
            let from = From { country: account.country, person: 0, facts: &account.facts };
            identity(&mut wanted, &from, Need::ALL);
        }
        Some(kind @ (BusinessType::Company | BusinessType::NonProfit | BusinessType::GovernmentEntity)) => {
            company(&mut wanted, account);
            persons(&mut wanted, account, kind);
        }
    }
    wanted.asks
}

fn business(wanted: &mut Wanted, account: &AccountRecord) {
    let facts = &account.facts;
    wanted.give(Need::CHARGE, facts, &[Field::Mcc]);
    if facts.has(Field::Url) {
        wanted.pass(Need::CHARGE, 0, facts, Field::Url, Field::Url);
    } else if facts.has(Field::Description) {
        wanted.pass(Need::CHARGE, 0, facts, Field::Description, Field::Url);
    } else {
        wanted.give(Need::CHARGE, facts, &[Field::Url]);
    }
    for field in [Field::TradeName, Field::Descriptor, Field::Prefix] {
        wanted.pass(Need::CHARGE, 0, facts, field, field);
    }
    // A website or a name gives the descriptor; without them it has to be told.
    if account.country == Country::US && !facts.has(Field::Url) && !facts.has(Field::TradeName) {
        wanted.give(Need::CHARGE, facts, &[Field::Descriptor]);
    }
    wanted.give(Need::ALL, facts, &[Field::TosDate, Field::TosIp]);
    if account.business_type.is_none() {
        wanted.add(Need::ALL, 0, Field::BusinessType, Stage::Past, None);
    }
    if !account.external_accounts.iter().any(is_usable) {
        wanted.add(Need::PAYOUT, 0, Field::ExternalAccount, Stage::Past, None);
    }
    for check in account.external_accounts.iter().filter(|bank| !bank.deleted).filter_map(|bank| bank.check) {
        let (stage, wrong) = match check {
            Finding::Pending => (Stage::Pending, None),
            Finding::OwnershipUnproven => (Stage::Past, Some(check)),
            _ => continue,
        };
        if !wanted.asks.iter().any(|ask| ask.field == Field::BankOwnership) {
            wanted.add(Need::PAYOUT, 0, Field::BankOwnership, stage, wrong);
        }
    }
}

const ADDRESS: [Field; 3] = [Field::Line1, Field::City, Field::PostalCode];

/// Whose identity is asked for.
struct From<'a> {
    country: Country,
    person: u32,
    facts: &'a Facts,
}

/// As long as nobody said what kind of business it is, its representative is asked for what everybody is.
fn representative(wanted: &mut Wanted, account: &AccountRecord) {
    let facts = &account.facts;
    wanted.give(Need::ALL, facts, &[Field::Dob, Field::FirstName, Field::LastName]);
    wanted.give(Need::CHARGE, facts, &[Field::Email]);
    if account.country != Country::US {
        wanted.give(Need::ALL, facts, &ADDRESS);
        wanted.give(Need::CHARGE, facts, &[Field::Phone]);
    }
}

/// Name, birthday, address, contact and number of a person, and what did not verify. `by` is who needs names.
fn identity(wanted: &mut Wanted, from: &From<'_>, by: u8) {
    let &From { country, person, facts } = from;
    let charge = Need::CHARGE;
    wanted.give_of(by, person, facts, &[Field::FirstName, Field::LastName, Field::Dob]);
    wanted.give_of(charge, person, facts, &[Field::Email, Field::Phone]);
    if country == Country::US {
        wanted.give_of(charge, person, facts, &ADDRESS);
        wanted.give_of(charge, person, facts, &[Field::State]);
    } else {
        wanted.give_of(by, person, facts, &ADDRESS);
    }
    verified(wanted, from, by);
    if facts.has(Field::IdNumber) {
        wanted.pass_by_number(by, from, Field::IdNumber);
    } else {
        // The whole number says more than its last four digits.
        wanted.pass_by_number(by, from, Field::SsnLast4);
        if country == Country::US {
            wanted.give_of(charge, person, facts, &[Field::SsnLast4]);
            if facts.get(Field::SsnLast4).is_none_or(Finding::is_fine) {
                wanted.add(charge, person, Field::IdNumber, Stage::Eventual, None);
            }
        }
    }
}

/// Birthday and address that were given and did not pass: documents stand in for them.
fn verified(wanted: &mut Wanted, from: &From<'_>, by: u8) {
    let &From { person, facts, .. } = from;
    wanted.pass_by_document(by, person, facts, Field::Dob, Field::Document);
    wanted.pass_by_document(by, person, facts, Field::Line1, Field::AdditionalDocument);
}

impl Wanted {
    /// A number that did not pass is asked for again, unless a document says who it is.
    fn pass_by_number(&mut self, by: u8, from: &From<'_>, field: Field) {
        if from.facts.get(Field::Document) != Some(Finding::Good) {
            self.pass(by, from.person, from.facts, field, Field::IdNumber);
        }
    }
}

fn company(wanted: &mut Wanted, account: &AccountRecord) {
    let facts = &account.facts;
    wanted.give(Need::ALL, facts, &[Field::CompanyName, Field::TaxId]);
    wanted.give(Need::CHARGE, facts, &[Field::CompanyPhone]);
    let address = [Field::CompanyLine1, Field::CompanyCity, Field::CompanyPostalCode];
    if account.country == Country::US {
        wanted.give(Need::CHARGE, facts, &address);
        wanted.give(Need::CHARGE, facts, &[Field::CompanyState]);
    } else {
        wanted.give(Need::ALL, facts, &address);
    }
    match facts.get(Field::CompanyDocument) {
        Some(Finding::Good) => return,
        Some(_) => wanted.pass(Need::ALL, 0, facts, Field::CompanyDocument, Field::CompanyDocument),
        None => {}
    }
    wanted.pass(Need::ALL, 0, facts, Field::CompanyName, Field::CompanyName);
    wanted.pass(Need::ALL, 0, facts, Field::TaxId, Field::TaxId);
    // A company whose place is right may be charged; it is not paid out to.
    let by = if facts.get(Field::CompanyLine1) == Some(Finding::AddressUnknown) { Need::PAYOUT } else { Need::ALL };
    wanted.pass(by, 0, facts, Field::CompanyLine1, Field::CompanyLine1);
}

/// The people of a company: who represents it, who owns and who leads it.
fn persons(wanted: &mut Wanted, account: &AccountRecord, kind: BusinessType) {
    let (charge, facts) = (Need::CHARGE, &account.facts);
    let is_us = account.country == Country::US;
    let has = |role: Field| account.persons.iter().any(|person| person.facts.has(role));
    if kind == BusinessType::Company {
        wanted.give(charge, facts, &[Field::OwnersProvided]);
        if !is_us {
            wanted.give(charge, facts, &[Field::DirectorsProvided, Field::ExecutivesProvided]);
        }
    }
    if !has(Field::Representative) {
        wanted.add(Need::ALL, 0, Field::Representative, Stage::Past, None);
    }
    let lacks_executive = is_us && !has(Field::Executive) && !facts.has(Field::ExecutivesProvided);
    for Member { child, facts, .. } in &account.persons {
        let from = From { country: account.country, person: *child, facts };
        if facts.has(Field::Representative) {
            identity(wanted, &from, Need::ALL);
            wanted.give_of(charge, *child, facts, &[Field::Title]);
            if lacks_executive {
                wanted.give_of(charge, *child, facts, &[Field::Executive]);
            }
        } else if facts.has(Field::Owner) {
            identity(wanted, &from, charge);
        } else if facts.has(Field::Director) || facts.has(Field::Executive) {
            wanted.give_of(charge, *child, facts, &[Field::FirstName, Field::LastName, Field::Dob]);
            verified(wanted, &from, charge);
        }
    }
    let of_directors = account.persons.iter().filter(|person| person.facts.has(Field::Director));
    let wrong = of_directors.filter_map(|person| person.facts.get(Field::FirstName));
    if let Some(wrong) = wrong.into_iter().find(|finding| finding.error().is_some()) {
        wanted.asks.retain(|ask| ask.field != Field::DirectorsProvided);
        wanted.add(charge, 0, Field::DirectorsProvided, Stage::Past, Some(wrong));
    }
}

// ---------------------------------------------------------------------------------------------------------------
// What an account is told of them

/// Why the account is not wholly enabled, as the API words it.
pub fn disabled_reason(account: &AccountRecord) -> Option<String> {
    if let Some(reason) = &account.rejected {
        return Some(format!("rejected.{reason}"));
    }
    if account.charges_enabled && account.payouts_enabled {
        return None;
    }
    let any = |stage: Stage| account.asks.iter().any(|ask| ask.stage == stage);
    let reason = if is_listed(account) {
        "listed"
    } else if account.capabilities.is_empty() {
        "action_required.requested_capabilities"
    } else if any(Stage::Past) {
        "requirements.past_due"
    } else if any(Stage::Pending) {
        "requirements.pending_verification"
    } else {
        "other"
    };
    Some(reason.to_owned())
}

/// Why a capability is not active, as the API words it.
pub fn capability_disabled_reason(account: &AccountRecord, capability: &Capability) -> Option<&'static str> {
    let need = need_of(&capability.name);
    match capability.status {
        CapabilityStatus::Active => None,
        _ if account.rejected.is_some() => Some("rejected.other"),
        _ if is_listed(account) => Some("pending.review"),
        _ if is_inactive(account) && need == Need::CHARGE => Some("paused.inactivity"),
        CapabilityStatus::Pending => Some("pending.review"),
        CapabilityStatus::Inactive => Some("requirements.fields_needed"),
    }
}

/// Where the verification of a person stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Too little was given, or something did not pass.
    Unverified,
    /// In progress.
    Pending,
    /// Done.
    Verified,
}

/// Where the verification of a person stands, and what did not pass.
pub fn verification(facts: &Facts) -> (Verification, Option<Finding>) {
    let by_document = |field: Field, document: Field| match facts.get(document) {
        Some(Finding::Good) => Some(Finding::Good),
        _ => facts.get(field),
    };
    let number =
        by_document(if facts.has(Field::IdNumber) { Field::IdNumber } else { Field::SsnLast4 }, Field::Document);
    let results =
        [by_document(Field::Dob, Field::Document), by_document(Field::Line1, Field::AdditionalDocument), number];
    let given: Vec<Finding> = results.into_iter().flatten().collect();
    if let Some(wrong) = given.iter().find(|finding| !finding.is_fine()) {
        return (Verification::Unverified, Some(*wrong));
    }
    let status = match given.contains(&Finding::Pending) {
        _ if given.len() < 2 => Verification::Unverified,
        true => Verification::Pending,
        false => Verification::Verified,
    };
    (status, None)
}

/// What a fresh account of a country and kind is asked for at once, and what some day: paths without the persons of a
/// company, whom nobody knows yet.
pub fn fresh_fields(country: Country, kind: BusinessType) -> (Vec<String>, Vec<String>) {
    let mut wanted = Wanted { mask: Need::ALL, asks: Vec::new() };
    let nothing = Facts::default();
    wanted.give(Need::CHARGE, &nothing, &[Field::Mcc, Field::Url]);
    wanted.give(Need::ALL, &nothing, &[Field::TosDate, Field::TosIp, Field::BusinessType, Field::ExternalAccount]);
    let prefix = match kind {
        BusinessType::Individual => {
            identity(&mut wanted, &From { country, person: 0, facts: &nothing }, Need::ALL);
            "individual."
        }
        BusinessType::Company | BusinessType::NonProfit | BusinessType::GovernmentEntity => {
            wanted.give(Need::ALL, &nothing, &[Field::CompanyName, Field::TaxId, Field::OwnersProvided]);
            wanted.give(Need::ALL, &nothing, &[Field::CompanyPhone, Field::CompanyLine1, Field::CompanyCity]);
            wanted.give(Need::ALL, &nothing, &[Field::CompanyPostalCode, Field::Representative]);
            ""
        }
    };
    let paths = |is_eventual: bool| {
        let asks = wanted.asks.iter().filter(|ask| (ask.stage == Stage::Eventual) == is_eventual);
        let mut paths: Vec<String> = asks
            .flat_map(|ask| {
                let prefix = if ask.field.is_personal() { prefix } else { "" };
                ask.field.paths().into_iter().map(move |path| format!("{prefix}{path}"))
            })
            .collect();
        paths.sort_unstable();
        paths
    };
    (paths(false), paths(true))
}
