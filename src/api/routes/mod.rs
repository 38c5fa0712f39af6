//! Operations: one file per resource, one function per operation. Each reads its parameters into a command and answers
//! with what became of it, or reads an object and renders it.

use super::error::{ApiError, Place};
use super::expand::{Expand, Shape};
use super::fields::Fields;
use super::paging::Page;
use super::render::{self, Rendered};
use super::request::Call;
use super::respond::{self, Done};
use super::view::{Stage, Stop, View, render as painted};
use crate::primitives::currency::Currency;
use crate::primitives::id::{ObjectId, ObjectKind};

pub mod accounts;
pub mod application_fees;
pub mod balance;
pub mod balance_settings;
pub mod balance_transactions;
pub mod charges;
pub mod country_specs;
pub mod customers;
pub mod disputes;
pub mod events;
pub mod exchange_rates;
pub mod external_accounts;
pub mod florin;
pub mod keys;
pub mod methods;
pub mod payment_intents;
pub mod payouts;
pub mod persons;
pub mod prices;
pub mod products;
pub mod refunds;
pub mod search;
pub mod setup_intents;
pub mod split_rules;
pub mod tokens;
pub mod topups;
pub mod transfers;

/// What an operation comes to.
pub type Answered = Result<Done, ApiError>;

/// `expand[]` of an object.
fn expansion(fields: &Fields<'_>, shape: &Shape) -> Result<Expand, ApiError> {
    let expand = Expand::parse(fields)?;
    expand.check(shape)?;
    Ok(expand)
}

/// Page and `expand[]` of a list.
fn paging(fields: &Fields<'_>, shape: &'static Shape) -> Result<(Page, Expand), ApiError> {
    let page = Page::parse(fields)?;
    let expand = Expand::parse(fields)?;
    expand.check_list(shape)?;
    Ok((page, expand))
}

/// Reads an object that the path names: whoever owns it sees it.
async fn retrieve(call: &Call, id: ObjectId, shape: &Shape, noun: &str, param: &str) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, shape)?;
    fields.finish()?;
    shown(call, id, &expand, noun, param).await
}

/// An object, to its owner.
async fn shown(call: &Call, id: ObjectId, expand: &Expand, noun: &str, param: &str) -> Answered {
    let mut stage = Stage::default();
    let acting = call.acting;
    let found = painted(call.platform(), call.secrets(), &mut stage, |view| owned(view, acting, &id)).await?;
    let body = match found {
        Some(()) => respond::body(call, &mut stage, &id, expand).await?,
        None => None,
    };
    match body {
        Some(body) => Ok(Done::json(body)),
        None => Err(ApiError::no_such(noun, call.platform().ids().text(&id).as_str(), param, Place::Path)),
    }
}

fn owned(view: &View<'_>, acting: crate::ledger::AccountNo, id: &ObjectId) -> Rendered<()> {
    if render::owner(view, id)? == acting { Ok(()) } else { Err(Stop::Gone) }
}

/// The paths's object must be the caller's: for lists that hang on it.
async fn must_own(call: &Call, stage: &mut Stage, id: &ObjectId, noun: &str, param: &str) -> Result<(), ApiError> {
    if call.is_dry() {
        return Ok(());
    }
    let acting = call.acting;
    let found = painted(call.platform(), call.secrets(), stage, |view| owned(view, acting, id)).await?;
    found.ok_or_else(|| ApiError::no_such(noun, call.platform().ids().text(id).as_str(), param, Place::Path))
}

/// A currency.
fn currency(fields: &Fields<'_>, name: &'static str) -> Result<Option<Currency>, ApiError> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    match text.parse() {
        Ok(currency) => Ok(Some(currency)),
        Err(_) => Err(ApiError::invalid(
            fields.name_of(name),
            format!("Invalid currency: {}. Give a three-letter ISO code such as usd.", super::error::echo(text)),
        )),
    }
}

fn required_currency(fields: &Fields<'_>, name: &'static str) -> Result<Currency, ApiError> {
    Ok(fields.or_defer(name, currency(fields, name)?, Currency::USD))
}

/// A positive amount, where one is given.
fn amount(fields: &Fields<'_>, name: &'static str) -> Result<Option<i64>, ApiError> {
    fields.integer_within(name, 1, crate::primitives::money::MAX_MINOR)
}

/// A customer, where one is given.
fn customer(call: &Call, fields: &Fields<'_>) -> Result<Option<u64>, ApiError> {
    let Some(text) = fields.text("customer")? else { return Ok(None) };
    Ok(Some(call.body_id(text, &[ObjectKind::Customer], "customer", &fields.name_of("customer")).birth))
}

/// What belongs to the platform as a whole is not for its accounts.
fn platform_only(call: &Call) -> Result<(), ApiError> {
    if call.acting.is_platform() {
        return Ok(());
    }
    let message = "Only the platform itself can make this call. Leave the Stripe-Account header out.";
    Err(ApiError::malformed(message).with_code("platform_account_required"))
}

/// `source_type`.
fn source_type(fields: &Fields<'_>) -> Result<crate::ledger::SourceType, ApiError> {
    use crate::ledger::SourceType;
    let choices = [("card", SourceType::Card), ("bank_account", SourceType::BankAccount)];
    Ok(fields.one_of("source_type", &choices)?.unwrap_or(SourceType::Card))
}
