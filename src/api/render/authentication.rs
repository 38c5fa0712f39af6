//! What authentication leaves in other objects: `next_action` of an intent, `three_d_secure` of a charge or attempt.

use serde::Serialize;

use super::super::view::{Id, View};
use super::Words;
use crate::domain::record::{Authentication, Brand, IntentStatus, ThreeDSecure as Result3ds, ThreeDSecureRequest};

/// `next_action`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NextAction<'a> {
    /// Send the payer there.
    RedirectToUrl {
        /// …
        redirect_to_url: Redirect<'a>,
    },
    /// The caller's own code shows the page.
    UseStripeSdk {
        /// …
        use_stripe_sdk: Sdk,
    },
}

/// `next_action.redirect_to_url`.
#[derive(Serialize)]
pub struct Redirect<'a> {
    return_url: Option<&'a str>,
    url: String,
}

/// `next_action.use_stripe_sdk`.
#[derive(Serialize)]
pub struct Sdk {
    stripe_js: String,
    r#type: &'static str,
}

/// What the payer has to do next: answer the authentication that waits.
pub fn next_action<'a>(
    view: &View<'_>,
    id: Id,
    status: IntentStatus,
    authentication: Option<Authentication>,
    words: Words<'a>,
) -> Option<NextAction<'a>> {
    let waits = authentication.filter(|_| status == IntentStatus::RequiresAction)?;
    let url = view.secrets.authentication_url(id.as_str(), waits.number);
    Some(if waits.returns && !waits.by_sdk {
        NextAction::RedirectToUrl { redirect_to_url: Redirect { return_url: words.get("return_url"), url } }
    } else {
        NextAction::UseStripeSdk { use_stripe_sdk: Sdk { stripe_js: url, r#type: "three_d_secure_redirect" } }
    })
}

/// `three_d_secure`.
#[derive(Serialize)]
pub struct ThreeDSecure {
    authentication_flow: Option<&'static str>,
    electronic_commerce_indicator: Option<&'static str>,
    exemption_indicator: Option<&'static str>,
    result: &'static str,
    result_reason: Option<&'static str>,
    transaction_id: Option<&'static str>,
    version: &'static str,
}

/// How a card was authenticated.
pub fn three_d_secure(how: Result3ds, brand: Brand) -> ThreeDSecure {
    let (authenticated, attempted) = match brand {
        Brand::Mastercard => ("02", "01"),
        Brand::Visa | Brand::Amex | Brand::Discover | Brand::Diners | Brand::Jcb | Brand::Unionpay => ("05", "06"),
    };
    let (flow, indicator, result, reason) = match how {
        Result3ds::Challenged => (Some("challenge"), Some(authenticated), "authenticated", None),
        Result3ds::Silent => (Some("frictionless"), Some(authenticated), "authenticated", None),
        Result3ds::NotEnrolled => (None, Some(attempted), "attempt_acknowledged", Some("card_not_enrolled")),
        Result3ds::LookupFailed => (None, None, "processing_error", Some("protocol_error")),
        Result3ds::Failed => (Some("challenge"), None, "failed", Some("rejected")),
    };
    ThreeDSecure {
        authentication_flow: flow,
        electronic_commerce_indicator: indicator,
        exemption_indicator: None,
        result,
        result_reason: reason,
        transaction_id: None,
        version: "2.2.0",
    }
}

/// `request_three_d_secure`.
pub fn requested(request: ThreeDSecureRequest) -> &'static str {
    match request {
        ThreeDSecureRequest::Automatic => "automatic",
        ThreeDSecureRequest::Any => "any",
        ThreeDSecureRequest::Challenge => "challenge",
    }
}
