//! `/v1/accounts/{account}/external_accounts`, and how any request brings an external account.

use super::super::cards::{self, RawCard};
use super::super::error::{ApiError, Place};
use super::super::expansion::EXTERNAL_ACCOUNT;
use super::super::fields::{Fields, Patch};
use super::super::list::{self, Listed};
use super::super::params::Node;
use super::super::request::{Call, Edge};
use super::super::respond::{self, Done};
use super::super::texts::Texts;
use super::super::view::{Stage, render as painted};
use super::accounts::{account, in_path};
use super::tokens::bank;
use super::{Answered, currency, expansion, methods, paging, persons};
use crate::domain::command::{Command, ExternalInput, ExternalPatch};
use crate::domain::decide::Class;
use crate::domain::external_account::{id_of, live};
use crate::domain::facts::Finding;
use crate::domain::record::ExternalAccount;
use crate::ledger::AccountNo;
use crate::primitives::currency::Currency;
use crate::primitives::id::{ObjectId, ObjectKind};
use crate::primitives::time::Timestamp;

const EXTERNAL: Listed = Listed { classes: &[Class::Account], bit: 0, noun: "external account" };
const KINDS: [ObjectKind; 2] = [ObjectKind::BankAccount, ObjectKind::Card];
const PARAM: &str = "external_account";
/// What a card's holder says of the address.
const CARD_TEXTS: [&str; 7] =
    ["address_city", "address_country", "address_line1", "address_line2", "address_state", "address_zip", "name"];

// ---------------------------------------------------------------------------------------------------------------
// Parameters

/// An external account that a request brings.
pub enum External {
    /// As a hash, or by a test name.
    Account(Box<ExternalAccount>),
    /// As a token (birth).
    Token(u64),
}

/// `external_account`: a token, or a bank account or debit card as a hash. Its number goes no further than here.
///
/// # Errors
/// 400, 402 where a card cannot be used.
pub fn given(
    edge: Edge<'_>,
    now: Timestamp,
    fields: &Fields<'_>,
    texts: &mut Texts,
) -> Result<Option<External>, ApiError> {
    let Some(node) = fields.raw(PARAM) else { return Ok(None) };
    if let Node::Text(_) = node {
        let text = fields.text(PARAM)?.unwrap_or_default();
        return named(edge, text, PARAM).map(Some);
    }
    let hash = fields.required_hash(PARAM)?;
    let is_card = hash.one_of("object", &[("bank_account", false), ("card", true)])?.unwrap_or(false);
    if let Some(token) = hash.text("token")? {
        return named(edge, token, &hash.name_of("token")).map(Some);
    }
    let external = if is_card {
        card(edge, now, &hash, texts)?
    } else {
        texts.texts(&hash, &["account_holder_name", "account_type"])?;
        bank(edge, &hash)?
    };
    hash.ignore("default_for_currency");
    texts.metadata(&hash)?;
    Ok(Some(External::Account(Box::new(external))))
}

/// A token, or the test name of a bank account or card.
fn named(edge: Edge<'_>, text: &str, param: &str) -> Result<External, ApiError> {
    if let Some(bank) = cards::named_bank(edge.secrets, text) {
        return Ok(External::Account(Box::new(bank)));
    }
    if let Some(card) = cards::named(edge.secrets, text) {
        let currency = card.country.default_currency().unwrap_or(Currency::USD);
        return Ok(External::Account(Box::new(ExternalAccount::debit_card(card, currency))));
    }
    let id = edge.body_id(text, &[ObjectKind::BankAccountToken, ObjectKind::Token], "token", param)?;
    Ok(External::Token(id.birth))
}

fn card(edge: Edge<'_>, now: Timestamp, hash: &Fields<'_>, texts: &mut Texts) -> Result<ExternalAccount, ApiError> {
    let given = RawCard {
        number: hash.required_text("number")?,
        exp_month: hash.required_integer("exp_month")?,
        exp_year: hash.required_integer("exp_year")?,
        cvc: hash.text("cvc")?,
    };
    let card = cards::raw(edge.secrets, &given, now).map_err(methods::bad_card)?;
    texts.texts(hash, &CARD_TEXTS)?;
    let currency = match currency(hash, "currency")? {
        Some(currency) => currency,
        None => card.country.default_currency().ok_or_else(|| ApiError::missing(hash.name_of("currency")))?,
    };
    Ok(ExternalAccount::debit_card(card, currency))
}

fn id(call: &Call, account: AccountNo) -> Result<ObjectId, ApiError> {
    let text = call.path_text(1);
    let id = call.id_of(text, &KINDS).filter(|id| id.birth == account.0);
    id.ok_or_else(|| ApiError::no_such("external account", text, "id", Place::Path))
}

fn changes(fields: &Fields<'_>, texts: &mut Texts) -> Result<ExternalPatch, ApiError> {
    let change = ExternalPatch {
        default: fields.boolean("default_for_currency")?,
        exp_month: fields.integer_within("exp_month", 1, 12)?.and_then(|month| u8::try_from(month).ok()),
        exp_year: fields.integer_within("exp_year", 2000, 2100)?.and_then(|year| u16::try_from(year).ok()),
        holder_type: match fields
            .clearable_one_of("account_holder_type", &[("company", "company"), ("individual", "individual")])?
        {
            Patch::Keep => None,
            Patch::Clear => Some(None),
            Patch::Set(kind) => Some(Some(kind.to_owned())),
        },
        ownership: ownership(fields)?,
    };
    fields.clearable_one_of("account_type", &["checking", "futsu", "savings", "toza"].map(|kind| (kind, ())))?;
    texts.texts(fields, &["account_holder_name", "account_type"])?;
    texts.texts(fields, &CARD_TEXTS)?;
    texts.metadata(fields)?;
    Ok(change)
}

/// `documents[bank_account_ownership_verification][files]`.
fn ownership(fields: &Fields<'_>) -> Result<Option<Finding>, ApiError> {
    let Some(documents) = fields.hash("documents")? else { return Ok(None) };
    let Some(ownership) = documents.hash("bank_account_ownership_verification")? else { return Ok(None) };
    let mut found = None;
    for file in ownership.texts("files")?.unwrap_or_default() {
        found = Some(match persons::file_found(file, &ownership.name_of("files"))? {
            Finding::Good => Finding::Good,
            _ => Finding::OwnershipUnproven,
        });
    }
    Ok(found)
}

// ---------------------------------------------------------------------------------------------------------------
// Operations

/// POST /v1/accounts/{account}/external_accounts
pub async fn create(call: Call) -> Answered {
    let account = in_path(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &EXTERNAL_ACCOUNT)?;
    let mut texts = Texts::default();
    let external = given(call.edge(), call.platform().now().await, &fields, &mut texts)?;
    let mut input = ExternalInput { default: fields.boolean("default_for_currency")?, ..ExternalInput::default() };
    match external.ok_or_else(|| ApiError::missing(PARAM))? {
        External::Account(account) => input.account = Some(account),
        External::Token(birth) => input.token = Some(birth),
    }
    let mut patch = texts.lifted_out_of(PARAM);
    let mut texts = Texts::default();
    texts.metadata(&fields)?;
    patch.0.extend(texts.into_patch().0);
    fields.finish()?;
    respond::submit(&call, Command::AddExternalAccount { account, input: Box::new(input) }, patch, &expand).await
}

/// GET /v1/accounts/{account}/external_accounts/{id}
pub async fn retrieve(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &EXTERNAL_ACCOUNT)?;
    fields.finish()?;
    let mut stage = Stage::default();
    let account = account(&call, &mut stage).await?;
    let id = id(&call, account)?;
    let body = respond::body(&call, &mut stage, &id, &expand).await?;
    let gone = || ApiError::no_such("external account", call.path_text(1), "id", Place::Path);
    Ok(Done::json(body.ok_or_else(gone)?))
}

/// POST /v1/accounts/{account}/external_accounts/{id}
pub async fn update(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &EXTERNAL_ACCOUNT)?;
    let mut texts = Texts::default();
    let change = changes(&fields, &mut texts)?;
    fields.finish()?;
    let external = id(&call, in_path(&call)?)?;
    respond::submit(&call, Command::UpdateExternalAccount { external, change }, texts.into_patch(), &expand).await
}

/// DELETE /v1/accounts/{account}/external_accounts/{id}
pub async fn delete(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &EXTERNAL_ACCOUNT)?;
    fields.finish()?;
    let external = id(&call, in_path(&call)?)?;
    let command = Command::DeleteExternalAccount { external };
    respond::submit(&call, command, Default::default(), &expand).await
}

/// GET /v1/accounts/{account}/external_accounts
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &EXTERNAL_ACCOUNT)?;
    let kind = fields.one_of("object", &[("bank_account", ObjectKind::BankAccount), ("card", ObjectKind::Card)])?;
    fields.finish()?;
    let mut stage = Stage::default();
    let account = account(&call, &mut stage).await?;
    let all = painted(call.platform(), call.secrets(), &mut stage, |view| {
        let ids = live(view.account(account)?).rev().map(|(index, external)| id_of(account, index, external));
        Ok(ids.filter(|id| kind.is_none_or(|kind| id.kind == kind)).collect())
    });
    let all: Vec<ObjectId> = all.await?.unwrap_or_default();
    let ids = list::cut(call.platform().ids(), EXTERNAL, &page, all)?;
    list::respond(&call, ids, &mut stage, &expand, &call.path).await
}
