//! `/v1/tokens`.

use super::super::cards::{self, BadBank, RawBank};
use super::super::error::ApiError;
use super::super::expansion::PLAIN;
use super::super::fields::Fields;
use super::super::request::{Call, Edge};
use super::super::respond;
use super::super::texts::Texts;
use super::{Answered, accounts, currency, expansion, methods, persons, retrieve as read};
use crate::domain::command::{Command, MethodInput};
use crate::domain::facts::Facts;
use crate::domain::record::{AccountToken, ExternalAccount, TokenContent};
use crate::primitives::country::Country;
use crate::primitives::id::ObjectKind;

const KINDS: [ObjectKind; 4] =
    [ObjectKind::Token, ObjectKind::BankAccountToken, ObjectKind::AccountToken, ObjectKind::PersonToken];

/// A country.
///
/// # Errors
/// 400.
pub fn country(fields: &Fields<'_>, name: &'static str) -> Result<Option<Country>, ApiError> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        let message =
            format!("Country '{}' is unknown. Give a two-letter ISO code such as US.", super::super::error::echo(text));
        ApiError::invalid(fields.name_of(name), message).with_code("country_code_invalid")
    })
}

fn bad_bank(bad: BadBank, fields: &Fields<'_>) -> ApiError {
    ApiError::invalid(fields.name_of(bad.param), bad.message).with_code(bad.code)
}

/// A bank account given as a hash. Its number goes no further than here.
///
/// # Errors
/// 400.
pub fn bank(edge: Edge<'_>, fields: &Fields<'_>) -> Result<ExternalAccount, ApiError> {
    let country = country(fields, "country")?.ok_or_else(|| ApiError::missing(fields.name_of("country")))?;
    let currency = match currency(fields, "currency")? {
        Some(currency) => currency,
        None => country.default_currency().ok_or_else(|| ApiError::missing(fields.name_of("currency")))?,
    };
    let kinds = [("individual", "individual"), ("company", "company")];
    let given = RawBank {
        country,
        currency,
        routing_number: fields.text("routing_number")?,
        account_number: fields.required_text("account_number")?,
        holder_type: fields.one_of("account_holder_type", &kinds)?,
    };
    cards::bank(edge.secrets, &given).map_err(|bad| bad_bank(bad, fields))
}

/// Texts of a token have no prefix: there is only one thing inside.
fn keep(texts: &mut Texts, fields: &Fields<'_>, names: &[&'static str]) -> Result<(), ApiError> {
    for name in names {
        if let Some(text) = fields.text(name)? {
            texts.set(*name, text);
        }
    }
    Ok(())
}

/// POST /v1/tokens
pub async fn create(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &PLAIN)?;
    fields.at_most_one(&["account", "bank_account", "card", "person"])?;
    let mut texts = Texts::default();
    // Texts lie where they lie without the hash that holds them all.
    let mut lifted = None;
    let command = if let Some(card) = fields.hash("card")? {
        let lines =
            ["address_city", "address_country", "address_line1", "address_line2", "address_state", "address_zip"];
        keep(&mut texts, &card, &lines)?;
        keep(&mut texts, &card, &["name"])?;
        card.ignore("currency");
        match methods::card(&call, &card).await? {
            MethodInput::Inline(card) => Command::CreateCardToken { card },
            MethodInput::Saved(_) | MethodInput::Token(_) => {
                return Err(ApiError::invalid("card[token]", "A token cannot be made from another token."));
            }
        }
    } else if let Some(hash) = fields.hash("bank_account")? {
        keep(&mut texts, &hash, &["account_holder_name", "account_type"])?;
        Command::CreateBankToken { bank: Box::new(bank(call.edge(), &hash)?) }
    } else if let Some(hash) = fields.hash("account")? {
        let mut token = AccountToken { business_type: accounts::business_type(&hash)?, ..AccountToken::default() };
        accounts::company(&hash, &mut texts, &mut token.facts)?;
        if let Some(individual) = hash.hash("individual")? {
            persons::person(&individual, &mut texts, &mut token.facts)?;
        }
        token.tos_accepted = hash.boolean("tos_shown_and_accepted")?.unwrap_or(false);
        lifted = Some("account");
        Command::CreateIdentityToken { content: Box::new(TokenContent::Account(token)) }
    } else if let Some(hash) = fields.hash("person")? {
        let mut facts = Facts::default();
        persons::person(&hash, &mut texts, &mut facts)?;
        lifted = Some("person");
        Command::CreateIdentityToken { content: Box::new(TokenContent::Person(facts)) }
    } else {
        return Err(ApiError::malformed("You must give one of these parameters: card, bank_account, account, person.")
            .with_code("parameter_missing")
            .with_param("card"));
    };
    fields.finish()?;
    let patch = match lifted {
        Some(hash) => texts.lifted_out_of(hash),
        None => texts.into_patch(),
    };
    respond::submit(&call, command, patch, &expand).await
}

/// GET /v1/tokens/{token}
pub async fn retrieve(call: Call) -> Answered {
    let id = call.path_id(0, &KINDS, "token", "token")?;
    read(&call, id, &PLAIN, "token", "token").await
}
