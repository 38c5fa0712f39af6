//! What a payer's side may do and see with a publishable key: such a key is in everybody's hands, so an intent opens
//! only with its own client secret, and shows only what belongs on the payer's screen.

use serde_json::Value;

use super::error::ApiError;
use super::expand::{Expand, Shape};
use super::expansion::FOR_PAYER;
use super::fields::Fields;
use super::keys::KeyKind;
use super::request::Call;
use super::respond::Done;

/// Fields of payment and setup intents that a publishable key shows.
const SHOWN: &[&str] = &[
    "id",
    "object",
    "amount",
    "amount_details",
    "automatic_payment_methods",
    "canceled_at",
    "cancellation_reason",
    "capture_method",
    "client_secret",
    "confirmation_method",
    "created",
    "currency",
    "description",
    "last_payment_error",
    "last_setup_error",
    "livemode",
    "next_action",
    "payment_method",
    "payment_method_configuration_details",
    "payment_method_types",
    "processing",
    "receipt_email",
    "setup_future_usage",
    "shipping",
    "source",
    "status",
    "usage",
];

/// Whether a call comes from the payer's side.
pub fn asks(call: &Call) -> bool {
    call.key_kind == KeyKind::Publishable
}

/// Lets a call at the intent that its path names: a publishable key only with the client secret, a secret key also
/// without.
///
/// # Errors
/// 400 where the secret is missing or wrong; 404 is left to those who look the intent up.
pub fn admit(call: &Call, fields: &Fields<'_>) -> Result<(), ApiError> {
    let given = fields.text("client_secret")?;
    if !asks(call) && given.is_none() {
        return Ok(());
    }
    let Some(given) = given else { return Err(ApiError::missing("client_secret")) };
    let text = call.path_text(0);
    let right = format!("{text}_secret_{}", call.secrets().client_secret(text).as_str());
    // Comparing hashes takes as long however much of the text is right.
    if blake3::hash(given.as_bytes()) == blake3::hash(right.as_bytes()) {
        return Ok(());
    }
    let message = "The client_secret provided does not match the client_secret of this intent.";
    Err(ApiError::invalid("client_secret", message))
}

/// `expand[]`, as far as the caller may look.
///
/// # Errors
/// 400.
pub fn expansion(call: &Call, fields: &Fields<'_>, shape: &Shape) -> Result<Expand, ApiError> {
    let expand = Expand::parse(fields)?;
    expand.check(if asks(call) { &FOR_PAYER } else { shape })?;
    Ok(expand)
}

/// An answer about an intent, as the caller may see it.
///
/// # Errors
/// The error that it is, with less in it.
pub fn shown(call: &Call, answered: Result<Done, ApiError>) -> Result<Done, ApiError> {
    if !asks(call) {
        return answered;
    }
    match answered {
        Ok(done) => {
            let mut body: Value = serde_json::from_slice(&done.body).map_err(|_| ApiError::internal())?;
            match body.get_mut("error") {
                Some(error) => {
                    for name in ["payment_intent", "setup_intent"] {
                        error.get_mut(name).into_iter().for_each(retain);
                    }
                }
                None => retain(&mut body),
            }
            let body = serde_json::to_vec(&body).map_err(|_| ApiError::internal())?;
            Ok(Done { body, ..done })
        }
        Err(error) => {
            let (payment, setup) = (error.payment_intent.clone(), error.setup_intent.clone());
            Err([(payment, false), (setup, true)].into_iter().fold(error, |error, (intent, is_setup)| match intent {
                None => error,
                Some(mut intent) => {
                    retain(&mut intent);
                    if is_setup { error.with_setup_intent(intent) } else { error.with_payment_intent(intent) }
                }
            }))
        }
    }
}

fn retain(intent: &mut Value) {
    if let Value::Object(map) = intent {
        map.retain(|name, _| SHOWN.contains(&name.as_str()));
    }
}

/// A `return_url`: any scheme that an app may have, except those that run code.
///
/// # Errors
/// 400.
pub fn return_url<'a>(fields: &Fields<'a>) -> Result<Option<&'a str>, ApiError> {
    let Some(url) = fields.text_up_to("return_url", 2048)? else { return Ok(None) };
    let is_url = url.bytes().all(|byte| byte.is_ascii_graphic())
        && url.split_once("://").is_some_and(|(scheme, rest)| {
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
            scheme.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
                && scheme.bytes().all(letters)
                && !scheme.eq_ignore_ascii_case("javascript")
                && !rest.is_empty()
        });
    if is_url { Ok(Some(url)) } else { Err(ApiError::invalid_url(fields.name_of("return_url"), url)) }
}

/// What only the seller's side may say.
///
/// # Errors
/// 400 for the payer's.
pub fn only_from_seller(call: &Call, fields: &Fields<'_>, names: &[&'static str]) -> Result<(), ApiError> {
    match names.iter().find(|name| asks(call) && fields.is_given(name)) {
        None => Ok(()),
        Some(name) => {
            let message = format!("`{name}` can only be given with a secret key, from your server.");
            Err(ApiError::invalid(fields.name_of(name), message))
        }
    }
}
