//! What a declined card says, as `domain::declines` has it: in the intent's last error and the charge's outcome.

use serde::Serialize;

use super::super::view::{Id, View};
use super::payment_method::Method;
use super::{charge, payment_method};
use crate::domain::declines::{self, DeclineText};
use crate::domain::record::{MethodRef, Recipe};

/// How a recipe declines. One that succeeds never asks; it would decline like most do.
pub fn words(recipe: Recipe) -> &'static DeclineText {
    declines::of(recipe).unwrap_or(&declines::GENERIC)
}

/// What a payment method was tried for.
#[derive(Clone, Copy, Debug)]
pub enum Tried {
    /// A payment, which may have left a failed charge.
    Payment {
        /// The latest charge.
        charge: Option<Id>,
    },
    /// Later payments.
    Setup,
}

/// `payment_intent.last_payment_error`, `setup_intent.last_setup_error`.
#[derive(Serialize)]
pub struct LastError<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    advice_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<Id>,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    decline_code: Option<&'static str>,
    doc_url: String,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_advice_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_decline_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_method: Option<Method<'a>>,
    r#type: &'static str,
}

/// The last error of an intent: what was tried, and the method that it was tried with.
pub fn last_error<'a>(
    view: &View<'_>,
    recipe: Recipe,
    tried: Tried,
    method: Option<(MethodRef, &'a payment_method::Source<'a>)>,
) -> LastError<'a> {
    let payment_method = method.map(|(place, source)| payment_method::of(view, &place, source));
    if recipe == Recipe::AuthenticationFailed {
        return not_authenticated(tried, payment_method);
    }
    let words = words(recipe);
    LastError {
        advice_code: words.advice_code,
        charge: match tried {
            Tried::Payment { charge } => charge,
            Tried::Setup => None,
        },
        code: words.code,
        decline_code: Some(words.decline_code),
        doc_url: super::super::error::doc_url(words.code),
        message: words.message,
        network_advice_code: words.network_advice_code,
        network_decline_code: words.network_decline_code,
        param: words.param,
        payment_method,
        r#type: "card_error",
    }
}

/// The payer failed to authenticate: no issuer declined, and there is no charge.
fn not_authenticated<'a>(tried: Tried, payment_method: Option<Method<'a>>) -> LastError<'a> {
    let code = match tried {
        Tried::Payment { .. } => "payment_intent_authentication_failure",
        Tried::Setup => "setup_intent_authentication_failure",
    };
    LastError {
        advice_code: None,
        charge: None,
        code,
        decline_code: None,
        doc_url: super::super::error::doc_url(code),
        message: "The payer did not pass the authentication that the card asks for. Confirm again with this payment \
                  method or another one.",
        network_advice_code: None,
        network_decline_code: None,
        param: None,
        payment_method,
        r#type: "invalid_request_error",
    }
}

/// `charge.outcome`.
#[derive(Serialize)]
pub struct Outcome {
    advice_code: Option<&'static str>,
    network_advice_code: Option<&'static str>,
    network_decline_code: Option<&'static str>,
    network_status: &'static str,
    reason: Option<&'static str>,
    risk_level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    risk_score: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
    seller_message: &'static str,
    r#type: &'static str,
}

/// How a payment that is no card's came out.
pub fn not_assessed() -> Outcome {
    Outcome { risk_level: "not_assessed", risk_score: None, ..outcome(None) }
}

/// How a card charge came out. Scores come with risk scoring; until then every card is a normal one.
pub fn outcome(failure: Option<Recipe>) -> Outcome {
    let Some(recipe) = failure else {
        return Outcome {
            advice_code: None,
            network_advice_code: None,
            network_decline_code: None,
            network_status: "approved_by_network",
            reason: None,
            risk_level: "normal",
            risk_score: Some(charge::RISK_SCORE),
            rule: None,
            seller_message: "Payment complete.",
            r#type: "authorized",
        };
    };
    let words = words(recipe);
    let blocked = words.outcome.kind == "blocked";
    Outcome {
        advice_code: words.advice_code,
        network_advice_code: words.network_advice_code,
        network_decline_code: words.network_decline_code,
        network_status: words.outcome.network_status,
        reason: Some(words.outcome.reason),
        risk_level: words.outcome.risk_level,
        risk_score: Some(if blocked { charge::RISK_SCORE_BLOCKED } else { charge::RISK_SCORE }),
        rule: None,
        seller_message: words.outcome.seller_message,
        r#type: words.outcome.kind,
    }
}
