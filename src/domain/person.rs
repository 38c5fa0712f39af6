//! Persons of an account: who holds, represents, owns and leads it (section 3.6).
//!
//! An individual's person is the account itself: its facts and texts lie in the account's record, under `individual`,
//! and its id has child 0. So the many accounts of individuals cost one record each. The persons of a company are child
//! records with their texts; what was found of them lies in the account's record, where requirements are decided.

use std::sync::Arc;

use super::account;
use super::command::{PersonInput, Request, TextPatch};
use super::decide::{Change, Context, Facts, Halt, Outcome, Refusal, Reply};
use super::draft::Draft;
use super::event::EventKind;
use super::facts::{self, Field, Finding};
use super::method;
use super::record::{AccountRecord, BusinessType, Member, PersonRecord, Record, RecordKey, Shared, Slot};
use super::refund::no_such;
use super::requirements::{self, Verification};
use super::seal::{Sealed, Texts, inside};
use crate::ledger::AccountNo;
use crate::primitives::id::{ObjectId, ObjectKind};

/// Persons of one account.
const PERSONS_MAX: usize = 200;
/// Where the texts of an account's individual lie.
pub const INDIVIDUAL: &str = "individual";

/// The id of a person; child 0 is the account's individual.
pub fn person_id(account: AccountNo, child: u32) -> ObjectId {
    key(account, child).id(ObjectKind::Person, Slot::MAIN)
}

/// Where the record of a person lies; that of the individual is the account's.
pub fn key(account: AccountNo, child: u32) -> RecordKey {
    RecordKey { birth: account.0, child }
}

/// Whether anything is known of the account's individual. An account of another kind has none, whatever was told.
pub fn has_individual(record: &AccountRecord, texts: &Texts) -> bool {
    !record.facts.personal(true).is_empty() || texts.under("individual[").next().is_some()
}

/// Creates a person. That of an individual's account is its individual.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn create(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    account: AccountNo,
    input: &PersonInput,
) -> Result<Outcome, Halt> {
    let before = account::target(facts, ctx, request, account)?;
    let mut record = account::of(&before)?.clone();
    account::check_editable(ctx, account, &record)?;
    let mut draft = Draft::new(facts, ctx);
    if record.business_type == Some(BusinessType::Individual) {
        if has_individual(&record, &ctx.open(&record.private)) {
            let message = format!(
                "An account with `business_type` = individual has one person. Update {} instead.",
                ctx.ids.encode(&person_id(account, 0))
            );
            return Err(Refusal::new(message).into());
        }
        draft.event(account, EventKind::PersonCreated, person_id(account, 0));
        return amend_individual(draft, request, account, &before, record, input);
    }
    if record.persons.len() >= PERSONS_MAX {
        let message = format!("An account can have at most {PERSONS_MAX} persons. Delete one first.");
        return Err(Refusal::new(message).into());
    }
    record.children += 1;
    let child = record.children;
    let patch = with_token(&mut draft, request, input)?;
    let made = draft.made();
    record.persons.push(Member { child, made, facts: facts::Facts::default() });
    learn(&mut draft, account, &mut record, child, &patch.facts)?;
    let mut texts = Texts::default();
    texts.apply("", &patch.texts);
    let private = draft.seal(record.key_no, &texts)?;
    let person = PersonRecord { account, made, private };
    draft.change(Change::of(key(account, child), Record::Person(person)));
    draft.event(account, EventKind::PersonCreated, person_id(account, child));
    finish(draft, account, &before, record, Reply::Object(person_id(account, child)))
}

/// Changes a person.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn update(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    account: AccountNo,
    child: u32,
    input: &PersonInput,
) -> Result<Outcome, Halt> {
    let before = account::target(facts, ctx, request, account)?;
    let mut record = account::of(&before)?.clone();
    account::check_editable(ctx, account, &record)?;
    let mut draft = Draft::new(facts, ctx);
    if child == 0 {
        if !has_individual(&record, &ctx.open(&record.private)) {
            return Err(unknown(ctx, account, child));
        }
        draft.event(account, EventKind::PersonUpdated, person_id(account, 0));
        return amend_individual(draft, request, account, &before, record, input);
    }
    let (image, mut person) = load(facts, ctx, account, &record, child)?;
    let patch = with_token(&mut draft, request, input)?;
    learn(&mut draft, account, &mut record, child, &patch.facts)?;
    if patch.texts.is_empty() && record == *account::of(&before)? {
        let mut outcome = Outcome::answer(Reply::Object(person_id(account, child)));
        outcome.text_key_no = record.key_no;
        return Ok(outcome);
    }
    let mut texts = ctx.open(&person.private);
    texts.apply("", &patch.texts);
    person.private = draft.seal(record.key_no, &texts)?;
    draft.change(Change::of(key(account, child), Record::Person(person)).from(&image));
    draft.event(account, EventKind::PersonUpdated, person_id(account, child));
    finish(draft, account, &before, record, Reply::Object(person_id(account, child)))
}

/// Deletes a person: not the one that represents the account, and not the last executive that is verified.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn delete(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    account: AccountNo,
    child: u32,
) -> Result<Outcome, Halt> {
    let before = account::target(facts, ctx, request, account)?;
    let mut record = account::of(&before)?.clone();
    account::check_editable(ctx, account, &record)?;
    if child == 0 && has_individual(&record, &ctx.open(&record.private)) {
        let message = "The person of an individual's account cannot be deleted. Delete the account instead.";
        return Err(Refusal::new(message).into());
    }
    let (image, mut person) = load(facts, ctx, account, &record, child)?;
    let of = |member: &&Member| member.child == child;
    let gone = record.persons.iter().find(of).map(|member| member.facts.clone()).unwrap_or_default();
    if gone.has(Field::Representative) {
        let message = "You cannot delete the representative of an account. Give another person \
                       `relationship[representative]` = true first.";
        return Err(Refusal::new(message).into());
    }
    let leads = |facts: &facts::Facts| {
        facts.has(Field::Executive) && requirements::verification(facts).0 == Verification::Verified
    };
    let others_lead = record.persons.iter().any(|member| member.child != child && leads(&member.facts));
    if leads(&gone) && !others_lead {
        let message = "You cannot delete the only verified executive of an account. Add another one first.";
        return Err(Refusal::new(message).into());
    }
    record.persons.retain(|member| member.child != child);
    let mut draft = Draft::new(facts, ctx);
    person.private = Sealed::default();
    // The event shows the person as it was.
    draft.change(Change::of(key(account, child), Record::Person(person)).from(&image));
    draft.event(account, EventKind::PersonDeleted, person_id(account, child));
    finish(draft, account, &before, record, Reply::Deleted(person_id(account, child)))
}

/// The person's record, and the typed copy of it.
fn load(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    account: AccountNo,
    record: &AccountRecord,
    child: u32,
) -> Result<(Shared, PersonRecord), Halt> {
    let is_there = record.persons.iter().any(|member| member.child == child);
    let image = if is_there { facts.record(key(account, child))? } else { None };
    match image {
        Some(image) if matches!(&*image, Record::Person(_)) => {
            let Record::Person(person) = &*image else { return Err(unknown(ctx, account, child)) };
            let person = person.clone();
            Ok((Arc::clone(&image), person))
        }
        _ => Err(unknown(ctx, account, child)),
    }
}

fn unknown(ctx: &Context<'_>, account: AccountNo, child: u32) -> Halt {
    no_such(ctx, "person", &person_id(account, child), "person")
}

/// What a request tells, with what its token tells.
struct Told {
    facts: facts::Facts,
    texts: TextPatch,
}

fn with_token(draft: &mut Draft<'_>, request: &Request, input: &PersonInput) -> Result<Told, Halt> {
    let mut told = Told { facts: input.facts.clone(), texts: request.texts.clone() };
    if let Some(birth) = input.token {
        let (facts, texts, used) = method::take_person_token(draft.facts, draft.ctx, request.acting, birth)?;
        draft.change(used);
        for (field, finding) in facts.iter() {
            told.facts.set(field, finding);
        }
        for (path, text) in texts.0 {
            told.texts.set(path, text);
        }
    }
    Ok(told)
}

/// A person learns; who becomes the representative takes that over from whoever it was.
fn learn(
    draft: &mut Draft<'_>,
    account: AccountNo,
    record: &mut AccountRecord,
    child: u32,
    told: &facts::Facts,
) -> Result<(), Halt> {
    let represents = told.get(Field::Representative) == Some(Finding::Good);
    for member in &mut record.persons {
        if member.child == child {
            member.facts.learn(told);
        } else if represents && member.facts.has(Field::Representative) {
            let mut over = facts::Facts::default();
            over.set(Field::Representative, Finding::Gone);
            member.facts.learn(&over);
            tell_updated(draft, account, member.child)?;
        }
    }
    Ok(())
}

/// Tells that something else than its texts changed of a person; its record goes along, as the event shows both.
fn tell_updated(draft: &mut Draft<'_>, account: AccountNo, child: u32) -> Result<(), Halt> {
    let key = key(account, child);
    if let Some(image) = draft.facts.record(key)? {
        draft.change(Change { key, after: Arc::clone(&image), before: Some(image), index: Vec::new() });
    }
    draft.event(account, EventKind::PersonUpdated, person_id(account, child));
    Ok(())
}

/// The individual in step with its account: the account's record is the person's.
fn amend_individual(
    mut draft: Draft<'_>,
    request: &Request,
    account: AccountNo,
    before: &Shared,
    mut record: AccountRecord,
    input: &PersonInput,
) -> Result<Outcome, Halt> {
    let told = with_token(&mut draft, request, input)?;
    let mut facts = told.facts;
    // It represents the account by nature.
    facts.set(Field::Representative, Finding::Good);
    record.facts.learn(&facts);
    let texts = told.texts.0.into_iter().map(|(path, text)| (inside(INDIVIDUAL, &path), text));
    let patch = TextPatch(texts.collect());
    requirements::assess(&mut draft, account, &mut record);
    account::close(draft, account, before, record, &patch, Reply::Object(person_id(account, 0)))
}

/// Hands account and person over; the account tells of itself where anything but the person changed.
fn finish(
    mut draft: Draft<'_>,
    account: AccountNo,
    before: &Shared,
    mut record: AccountRecord,
    reply: Reply,
) -> Result<Outcome, Halt> {
    requirements::assess(&mut draft, account, &mut record);
    let was = account::of(before)?;
    let key_no = record.key_no;
    let shows = |record: &AccountRecord| {
        (
            record.asks.clone(),
            record.capabilities.clone(),
            record.deadline,
            record.charges_enabled,
            record.payouts_enabled,
        )
    };
    if shows(was) != shows(&record) {
        account::tell(&mut draft, account, Some(was), &record);
    }
    draft.change(Change::of(RecordKey::head(account.0), Record::Account(Box::new(record))).from(before));
    let mut outcome = draft.finish(reply);
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// `individual` is for individuals, `company` for the others.
///
/// # Errors
/// 400.
pub fn check_individual(record: &AccountRecord, patch: &TextPatch) -> Result<(), Halt> {
    let told = |hash: &str| patch.0.iter().any(|(path, text)| text.is_some() && path.starts_with(hash));
    match record.business_type {
        Some(BusinessType::Company | BusinessType::NonProfit | BusinessType::GovernmentEntity)
            if told("individual[") =>
        {
            let message = "`individual` is only for accounts with `business_type` = individual. Add the persons of a \
                           company with POST /v1/accounts/{account}/persons.";
            Err(Refusal::new(message).param(INDIVIDUAL).into())
        }
        _ => Ok(()),
    }
}

/// Tells of the individual that a request to its account made or changed.
pub fn tell_individual(
    draft: &mut Draft<'_>,
    account: AccountNo,
    record: &AccountRecord,
    told: &facts::Facts,
    patch: &TextPatch,
) {
    let of_individual = |path: &str| path.starts_with("individual[");
    let is_told = !told.personal(true).is_empty() || patch.0.iter().any(|(path, _)| of_individual(path));
    if !is_told {
        return;
    }
    let mut before = record.facts.personal(true);
    for (field, _) in told.iter() {
        let mut gone = facts::Facts::default();
        gone.set(field, Finding::Gone);
        before.learn(&gone);
    }
    let was_there = draft.ctx.open(&record.private).under("individual[").next().is_some() || !before.is_empty();
    let kind = if was_there { EventKind::PersonUpdated } else { EventKind::PersonCreated };
    draft.event(account, kind, person_id(account, 0));
}

/// Tells of the persons whose verification ended.
///
/// # Errors
/// A missing fact.
pub fn tell_verified(
    draft: &mut Draft<'_>,
    account: AccountNo,
    before: &AccountRecord,
    after: &AccountRecord,
) -> Result<(), Halt> {
    if before.facts.personal(true) != after.facts.personal(true) {
        draft.event(account, EventKind::PersonUpdated, person_id(account, 0));
    }
    for (was, now) in before.persons.iter().zip(&after.persons) {
        if was.facts != now.facts {
            tell_updated(draft, account, now.child)?;
        }
    }
    Ok(())
}

/// The texts of an account's persons go with it.
///
/// # Errors
/// A missing fact.
pub fn forget(draft: &mut Draft<'_>, account: AccountNo, record: &AccountRecord) -> Result<(), Halt> {
    for member in &record.persons {
        let key = key(account, member.child);
        if let Some(Record::Person(person)) = draft.facts.record(key)?.as_deref() {
            draft
                .change(Change::of(key, Record::Person(PersonRecord { private: Sealed::default(), ..person.clone() })));
        }
    }
    Ok(())
}
