//! `/v1/accounts/{account}/persons`, and how any request tells of a person.

use super::super::error::{ApiError, Place};
use super::super::expansion::PERSON;
use super::super::fields::{Fields, Patch};
use super::super::identity;
use super::super::list::{self, Listed};
use super::super::render::person::people;
use super::super::request::Call;
use super::super::respond;
use super::super::texts::Texts;
use super::super::view::{Stage, render as painted};
use super::accounts::{account, in_path};
use super::{Answered, expansion, paging};
use crate::domain::command::{Command, PersonInput};
use crate::domain::decide::Class;
use crate::domain::facts::{Facts, Field, Finding};
use crate::domain::person::person_id;
use crate::ledger::AccountNo;
use crate::primitives::id::{ObjectId, ObjectKind};

const PERSONS: Listed = Listed { classes: &[Class::Account], bit: 0, noun: "person" };

const ROLES: [(&str, Field); 6] = [
    ("authorizer", Field::Authorizer),
    ("director", Field::Director),
    ("executive", Field::Executive),
    ("legal_guardian", Field::LegalGuardian),
    ("owner", Field::Owner),
    ("representative", Field::Representative),
];

/// Names in other scripts, numbers of a second kind and statistics: accepted, not shown, not kept.
const NOT_KEPT: [&str; 13] = [
    "address_kana",
    "address_kanji",
    "documents",
    "first_name_kana",
    "first_name_kanji",
    "full_name_aliases",
    "gender",
    "id_number_secondary",
    "last_name_kana",
    "last_name_kanji",
    "maiden_name",
    "registered_address",
    "us_cfpb_data",
];

// ---------------------------------------------------------------------------------------------------------------
// Parameters

/// What a text makes of a field: found, or cleared.
pub fn note(facts: &mut Facts, field: Field, text: Patch<&str>, find: impl FnOnce(&str) -> Finding) {
    match text {
        Patch::Keep => {}
        Patch::Clear => facts.set(field, Finding::Gone),
        Patch::Set(text) => facts.set(field, find(text)),
    }
}

fn good(_: &str) -> Finding {
    Finding::Good
}

/// A text that is shown and that requirements may ask for.
///
/// # Errors
/// 400.
pub fn tell(
    fields: &Fields<'_>,
    texts: &mut Texts,
    facts: &mut Facts,
    name: &'static str,
    field: Field,
    find: impl FnOnce(&str) -> Finding,
) -> Result<(), ApiError> {
    note(facts, field, fields.clearable_text(name)?, find);
    texts.text(fields, name).map(|_| ())
}

/// An address, line by line.
///
/// # Errors
/// 400.
pub fn address(
    fields: &Fields<'_>,
    texts: &mut Texts,
    facts: &mut Facts,
    [line1, city, postal_code, state]: [Field; 4],
) -> Result<(), ApiError> {
    match fields.address("address")? {
        Patch::Keep => {}
        Patch::Clear => {
            for field in [line1, city, postal_code, state] {
                facts.set(field, Finding::Gone);
            }
        }
        Patch::Set(lines) => {
            note(facts, line1, lines.line1, identity::address);
            note(facts, city, lines.city, good);
            note(facts, postal_code, lines.postal_code, good);
            note(facts, state, lines.state, good);
        }
    }
    texts.address(fields, "address").map(|_| ())
}

/// A flag of which only `true` is a fact.
///
/// # Errors
/// 400.
pub fn flag(fields: &Fields<'_>, facts: &mut Facts, name: &'static str, field: Field) -> Result<(), ApiError> {
    if let Some(given) = fields.boolean(name)? {
        facts.set(field, if given { Finding::Good } else { Finding::Gone });
    }
    Ok(())
}

/// Documents that a verification takes, front and back: the test files, as nothing can be uploaded yet.
///
/// # Errors
/// 400 for any other file.
pub fn documents(
    fields: &Fields<'_>,
    texts: &mut Texts,
    facts: &mut Facts,
    documents: &[(&'static str, Field)],
) -> Result<(), ApiError> {
    let Some(verification) = fields.hash("verification")? else { return Ok(()) };
    for (name, field) in documents {
        let Some(document) = verification.hash(name)? else { continue };
        for side in ["back", "front"] {
            match document.clearable_text(side)? {
                Patch::Keep => {}
                Patch::Clear => facts.set(*field, Finding::Gone),
                Patch::Set(file) => facts.set(*field, file_found(file, &document.name_of(side))?),
            }
            texts.text(&document, side)?;
        }
    }
    Ok(())
}

/// What a test file shows.
///
/// # Errors
/// 400 for any other file.
pub fn file_found(file: &str, param: &str) -> Result<Finding, ApiError> {
    identity::document(file).ok_or_else(|| ApiError::no_such("file upload", file, param, Place::Parameter))
}

fn dob(person: &Fields<'_>, texts: &mut Texts, facts: &mut Facts) -> Result<(), ApiError> {
    let hash = match person.clearable_hash("dob")? {
        Patch::Keep => return Ok(()),
        Patch::Clear => {
            facts.set(Field::Dob, Finding::Gone);
            texts.clear(person.name_of("dob"));
            return Ok(());
        }
        Patch::Set(hash) => hash,
    };
    let day = hash.integer_within("day", 1, 31)?.ok_or_else(|| ApiError::missing(hash.name_of("day")))?;
    let month = hash.integer_within("month", 1, 12)?.ok_or_else(|| ApiError::missing(hash.name_of("month")))?;
    let year = hash.integer_within("year", 1900, 2200)?.ok_or_else(|| ApiError::missing(hash.name_of("year")))?;
    for (name, number) in [("day", day), ("month", month), ("year", year)] {
        texts.set(hash.name_of(name), number.to_string());
    }
    facts.set(Field::Dob, identity::dob(year, month, day));
    Ok(())
}

fn relationship(person: &Fields<'_>, texts: &mut Texts, facts: &mut Facts) -> Result<(), ApiError> {
    let Some(relationship) = person.hash("relationship")? else { return Ok(()) };
    for (name, field) in ROLES {
        flag(&relationship, facts, name, field)?;
    }
    tell(&relationship, texts, facts, "title", Field::Title, good)?;
    if let Patch::Set(share) = relationship.clearable_text("percent_ownership")?
        && !share.parse::<f64>().is_ok_and(|share| (0.0..=100.0).contains(&share))
    {
        let message = "Invalid percent_ownership: expected a number from 0 to 100.";
        return Err(ApiError::invalid(relationship.name_of("percent_ownership"), message));
    }
    texts.text(&relationship, "percent_ownership").map(|_| ())
}

/// The fields of a person, wherever they are: `individual`, a person, a token. Numbers go no further than here.
///
/// # Errors
/// 400.
pub fn person(person: &Fields<'_>, texts: &mut Texts, facts: &mut Facts) -> Result<(), ApiError> {
    tell(person, texts, facts, "first_name", Field::FirstName, identity::first_name)?;
    tell(person, texts, facts, "last_name", Field::LastName, good)?;
    tell(person, texts, facts, "phone", Field::Phone, good)?;
    note(facts, Field::Email, person.clearable_text_up_to("email", 512)?, good);
    texts.email(person, "email")?;
    address(person, texts, facts, [Field::Line1, Field::City, Field::PostalCode, Field::State])?;
    dob(person, texts, facts)?;
    note(facts, Field::IdNumber, person.clearable_text("id_number")?, identity::id_number);
    note(facts, Field::SsnLast4, person.clearable_text("ssn_last_4")?, identity::ssn_last_4);
    person.one_of("political_exposure", &[("existing", ()), ("none", ())])?;
    texts.texts(person, &["nationality", "political_exposure"])?;
    relationship(person, texts, facts)?;
    documents(
        person,
        texts,
        facts,
        &[("additional_document", Field::AdditionalDocument), ("document", Field::Document)],
    )?;
    if let Some(acceptances) = person.hash("additional_tos_acceptances")?
        && let Some(account) = acceptances.hash("account")?
    {
        texts.texts(&account, &["date", "ip", "user_agent"])?;
    }
    texts.metadata(person)?;
    for name in NOT_KEPT {
        person.ignore(name);
    }
    Ok(())
}

/// What a call tells of a person: its fields, or those that a token carries.
fn told(call: &Call, fields: &Fields<'_>) -> Result<(PersonInput, Texts), ApiError> {
    let (mut input, mut texts) = (PersonInput::default(), Texts::default());
    if let Some(token) = fields.text("person_token")? {
        let id = call.body_id(token, &[ObjectKind::PersonToken], "token", "person_token");
        input.token = Some(id.birth);
    }
    person(fields, &mut texts, &mut input.facts)?;
    Ok((input, texts))
}

fn id(call: &Call, account: AccountNo) -> Result<ObjectId, ApiError> {
    let text = call.path_text(1);
    let id = call.id_of(text, &[ObjectKind::Person]).filter(|id| id.birth == account.0);
    id.ok_or_else(|| ApiError::no_such("person", text, "person", Place::Path))
}

// ---------------------------------------------------------------------------------------------------------------
// Operations

/// POST /v1/accounts/{account}/persons
pub async fn create(call: Call) -> Answered {
    let account = in_path(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &PERSON)?;
    let (input, texts) = told(&call, &fields)?;
    fields.finish()?;
    let command = Command::CreatePerson { account, input: Box::new(input) };
    respond::submit(&call, command, texts.into_patch(), &expand).await
}

/// GET /v1/accounts/{account}/persons/{person}
pub async fn retrieve(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &PERSON)?;
    fields.finish()?;
    let mut stage = Stage::default();
    let account = account(&call, &mut stage).await?;
    let id = id(&call, account)?;
    let body = respond::body(&call, &mut stage, &id, &expand).await?;
    let gone = || ApiError::no_such("person", call.path_text(1), "person", Place::Path);
    Ok(respond::Done::json(body.ok_or_else(gone)?))
}

/// POST /v1/accounts/{account}/persons/{person}
pub async fn update(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &PERSON)?;
    let (input, texts) = told(&call, &fields)?;
    fields.finish()?;
    let account = in_path(&call)?;
    let id = id(&call, account)?;
    let command = Command::UpdatePerson { account, person: id.child, input: Box::new(input) };
    respond::submit(&call, command, texts.into_patch(), &expand).await
}

/// DELETE /v1/accounts/{account}/persons/{person}
pub async fn delete(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &PERSON)?;
    fields.finish()?;
    let account = in_path(&call)?;
    let id = id(&call, account)?;
    let command = Command::DeletePerson { account, person: id.child };
    respond::submit(&call, command, Default::default(), &expand).await
}

/// GET /v1/accounts/{account}/persons
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &PERSON)?;
    let mut roles = Vec::new();
    if let Some(relationship) = fields.hash("relationship")? {
        for (name, field) in ROLES {
            if let Some(wanted) = relationship.boolean(name)? {
                roles.push((field, wanted));
            }
        }
    }
    fields.finish()?;
    let mut stage = Stage::default();
    let account = account(&call, &mut stage).await?;
    let all = painted(call.platform(), call.secrets(), &mut stage, |view| {
        let people = people(view, account)?;
        let plays = |facts: &Facts| roles.iter().all(|(role, wanted)| facts.has(*role) == *wanted);
        let chosen = people.into_iter().filter(|(_, facts)| plays(facts));
        Ok(chosen.map(|(child, _)| person_id(account, child)).collect())
    });
    let all: Vec<ObjectId> = all.await?.unwrap_or_default();
    let ids = list::cut(call.platform().ids(), PERSONS, &page, all)?;
    list::respond(&call, ids, &mut stage, &expand, &call.path).await
}
