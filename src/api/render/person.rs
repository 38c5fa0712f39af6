//! `person`: of a company, or the one that an individual's account is.

use serde::Serialize;

use super::super::view::{Id, Stop, View};
use super::requirements::{self, PersonRequirements};
use super::{Address, Hash, Rendered, Sink, Words};
use crate::domain::facts::{Facts, Field, Finding};
use crate::domain::person::{INDIVIDUAL, has_individual, key, person_id};
use crate::domain::record::{AccountRecord, BusinessType, Record};
use crate::domain::requirements::{Verification, verification};
use crate::ledger::AccountNo;
use crate::primitives::id::ObjectId;

/// `person`.
#[derive(Serialize)]
pub struct Person<'a> {
    id: Id,
    object: &'static str,
    account: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_tos_acceptances: Option<TosAcceptances<'a>>,
    address: Address<'a>,
    created: i64,
    dob: Dob,
    email: Option<&'a str>,
    first_name: Option<&'a str>,
    future_requirements: PersonRequirements,
    id_number_provided: bool,
    last_name: Option<&'a str>,
    metadata: Hash<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nationality: Option<&'a str>,
    phone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    political_exposure: Option<&'a str>,
    relationship: Relationship<'a>,
    requirements: PersonRequirements,
    ssn_last_4_provided: bool,
    verification: PersonVerification<'a>,
}

#[derive(Serialize)]
struct TosAcceptances<'a> {
    account: TosAcceptance<'a>,
}

#[derive(Serialize)]
struct TosAcceptance<'a> {
    date: Option<i64>,
    ip: Option<&'a str>,
    user_agent: Option<&'a str>,
}

#[derive(Serialize)]
struct Dob {
    day: Option<u64>,
    month: Option<u64>,
    year: Option<u64>,
}

#[derive(Serialize)]
struct Relationship<'a> {
    authorizer: bool,
    director: bool,
    executive: bool,
    legal_guardian: bool,
    owner: bool,
    percent_ownership: Option<f64>,
    representative: bool,
    title: Option<&'a str>,
}

#[derive(Serialize)]
struct PersonVerification<'a> {
    additional_document: Document<'a>,
    details: Option<&'static str>,
    details_code: Option<&'static str>,
    document: Document<'a>,
    status: &'static str,
}

/// A document of a verification, with what was wrong with it.
#[derive(Default, Serialize)]
pub struct Document<'a> {
    back: Option<&'a str>,
    details: Option<&'static str>,
    details_code: Option<&'static str>,
    front: Option<&'a str>,
}

/// The document whose files lie in a hash.
pub fn document<'a>(words: Words<'a>, hash: &str, found: Option<Finding>) -> Document<'a> {
    let failed = found.filter(|finding| *finding == Finding::DocumentFailed);
    Document {
        back: words.inside(hash, "back"),
        details: failed.and_then(Finding::error).map(|(_, reason)| reason),
        details_code: failed.map(|_| "document_failed_test_mode"),
        front: words.inside(hash, "front"),
    }
}

/// What was wrong with a person, as the person's own code.
fn details_code(finding: Finding) -> Option<&'static str> {
    match finding {
        Finding::AddressUnknown | Finding::AddressLineUnknown => Some("failed_other"),
        Finding::IdentityUnknown | Finding::NumberMismatch => Some("failed_keyed_identity"),
        _ => None,
    }
}

/// The person with these facts and words; `child` 0 is the account's individual.
pub fn of<'a>(
    view: &View<'_>,
    no: AccountNo,
    account: &AccountRecord,
    child: u32,
    created: i64,
    facts: &Facts,
    words: Words<'a>,
) -> Person<'a> {
    let number = |field: &str| words.inside("dob", field).and_then(|text| text.parse().ok());
    let acceptance = |field: &str| words.inside("additional_tos_acceptances[account]", field);
    let role = |role: Field| facts.has(role);
    let (status, wrong) = verification(facts);
    Person {
        id: view.id(&person_id(no, child)),
        object: "person",
        account: view.account_id(no),
        additional_tos_acceptances: words.has("additional_tos_acceptances[account]").then(|| TosAcceptances {
            account: TosAcceptance {
                date: acceptance("date").and_then(|text| text.parse().ok()),
                ip: acceptance("ip"),
                user_agent: acceptance("user_agent"),
            },
        }),
        address: words.address("address"),
        created,
        dob: Dob { day: number("day"), month: number("month"), year: number("year") },
        email: words.get("email"),
        first_name: words.get("first_name"),
        future_requirements: PersonRequirements::default(),
        id_number_provided: facts.has(Field::IdNumber),
        last_name: words.get("last_name"),
        metadata: words.metadata(),
        nationality: words.get("nationality"),
        phone: words.get("phone"),
        political_exposure: words.get("political_exposure"),
        relationship: Relationship {
            authorizer: role(Field::Authorizer),
            director: role(Field::Director),
            executive: role(Field::Executive),
            legal_guardian: role(Field::LegalGuardian),
            owner: role(Field::Owner),
            percent_ownership: words.inside("relationship", "percent_ownership").and_then(|text| text.parse().ok()),
            representative: child == 0 || role(Field::Representative),
            title: words.inside("relationship", "title"),
        },
        requirements: requirements::person(view, account, child),
        // Who gave the whole number gave its end too.
        ssn_last_4_provided: facts.has(Field::SsnLast4),
        verification: PersonVerification {
            additional_document: document(
                words,
                "verification[additional_document]",
                facts.get(Field::AdditionalDocument),
            ),
            details: wrong.and_then(Finding::error).map(|(_, reason)| reason),
            details_code: wrong.and_then(details_code),
            document: document(words, "verification[document]", facts.get(Field::Document)),
            status: match status {
                Verification::Unverified => "unverified",
                Verification::Pending => "pending",
                Verification::Verified => "verified",
            },
        },
    }
}

/// The persons of an account, newest first: child numbers, and what was found of each.
///
/// # Errors
/// [`Stop::Missing`] where a record is not at hand.
pub fn people(view: &View<'_>, no: AccountNo) -> Rendered<Vec<(u32, Facts)>> {
    let account = view.account(no)?;
    let mut people: Vec<(u32, Facts)> =
        account.persons.iter().rev().map(|person| (person.child, person.facts.clone())).collect();
    if is_shown(account) && has_individual(account, &view.texts(&account.private)) {
        let mut facts = account.facts.personal(true);
        facts.set(Field::Representative, Finding::Good);
        people.push((0, facts));
    }
    Ok(people)
}

/// Whether the account's individual is a person: not where the account is a company.
pub fn is_shown(account: &AccountRecord) -> bool {
    matches!(account.business_type, None | Some(BusinessType::Individual))
}

/// The person of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let no = AccountNo(id.birth);
    let account = view.account(no)?;
    if id.child == 0 {
        let texts = view.texts(&account.private);
        if account.deleted || !is_shown(account) || !has_individual(account, &texts) {
            return Err(Stop::Gone);
        }
        let words = Words::new(&texts, "").within(INDIVIDUAL);
        return sink.put(&of(view, no, account, 0, account.made.at.seconds(), &account.facts, words));
    }
    let member = account.persons.iter().find(|person| person.child == id.child).ok_or(Stop::Gone)?;
    let Record::Person(person) = view.record(key(no, id.child))? else { return Err(Stop::Gone) };
    let texts = view.texts(&person.private);
    let words = Words::new(&texts, "");
    sink.put(&of(view, no, account, id.child, person.made.at.seconds(), &member.facts, words))
}
