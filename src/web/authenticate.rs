//! The page on which a payer passes or fails 3-D Secure: the bank's page of the test world.

use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request as HttpRequest, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, Method, Response, StatusCode};
use form_urlencoded::{Serializer, parse};
use minijinja::context;

use super::page;
use crate::api::ApiState;
use crate::api::keys::Tenant;
use crate::api::render::payment_method::{self, brand};
use crate::api::request::request_id;
use crate::api::view::{Stage, Stop, View, render as painted};
use crate::domain::command::{Command, Request, TextPatch};
use crate::domain::record::{Authentication, Brand, IntentStatus, MethodRef, Recipe, Record, RecordKey};
use crate::domain::seal::Texts;
use crate::engine::platform::SubmitError;
use crate::ledger::AccountNo;
use crate::primitives::id::{ObjectId, ObjectKind};
use crate::primitives::money::Money;

/// A form of two buttons.
const FORM_BYTES_MAX: usize = 4096;

/// What a link leads to.
struct Scene {
    tenant: Arc<Tenant>,
    intent: ObjectId,
    /// Its id, as the link has it.
    id: String,
    /// Which of its authentications the link is for.
    number: u16,
    owner: AccountNo,
    status: IntentStatus,
    latest: Option<Authentication>,
    /// Why the latest attempt failed.
    failure: Option<Recipe>,
    /// `None`: a card is set up.
    amount: Option<Money>,
    /// Brand and last digits.
    card: Option<String>,
    /// Who sells.
    merchant: Option<String>,
    return_url: Option<String>,
}

/// GET /florin/authenticate/{intent}/{token}
pub async fn show(State(state): State<Arc<ApiState>>, Path((intent, token)): Path<(String, String)>) -> Response<Body> {
    let started = Instant::now();
    let response = match find(&state, &intent, &token).await {
        Some(scene) => scene.page(StatusCode::OK, None),
        None => nothing(),
    };
    state.metrics.answered(&Method::GET, response.status().as_u16(), started.elapsed());
    response
}

/// POST /florin/authenticate/{intent}/{token}
pub async fn answer(
    State(state): State<Arc<ApiState>>,
    Path((intent, token)): Path<(String, String)>,
    request: HttpRequest,
) -> Response<Body> {
    let started = Instant::now();
    let response = answered(&state, &intent, &token, request).await;
    state.metrics.answered(&Method::POST, response.status().as_u16(), started.elapsed());
    response
}

async fn answered(state: &ApiState, intent: &str, token: &str, request: HttpRequest) -> Response<Body> {
    let Some(scene) = find(state, intent, token).await else { return nothing() };
    let form = to_bytes(request.into_body(), FORM_BYTES_MAX).await.unwrap_or_default();
    let outcome = parse(&form).find(|(name, _)| name == "outcome").map(|(_, value)| value.into_owned());
    let passed = match outcome.as_deref() {
        Some("complete") => true,
        Some("fail") => false,
        _ => {
            let note = "Choose one of the two: the form has `outcome` = `complete` or `fail`.";
            return scene.page(StatusCode::BAD_REQUEST, Some(note));
        }
    };
    if scene.waits() {
        let request = Request {
            acting: scene.owner,
            command: Command::Authenticate { intent: scene.intent, number: scene.number, passed },
            texts: TextPatch::default(),
            idempotency: None,
            request_id: request_id(),
        };
        match scene.tenant.platform.submit(request).await {
            Ok(_) => {}
            // Somebody else was faster, or the payment method is not what it was: the page shows how it stands.
            Err(SubmitError::Refused(refusal)) => tracing::debug!(message = refusal.message, "not authenticated"),
            Err(_) => {
                let note = "The answer could not be taken in time. Try again in a moment.";
                return scene.page(StatusCode::SERVICE_UNAVAILABLE, Some(note));
            }
        }
    }
    match find(state, intent, token).await {
        Some(after) => after.leave(),
        None => nothing(),
    }
}

fn nothing() -> Response<Body> {
    page(StatusCode::NOT_FOUND, "nothing.html", context! {})
}

/// What a link leads to, if it is one of ours.
async fn find(state: &ApiState, intent: &str, token: &str) -> Option<Scene> {
    for tenant in state.keys.tenants() {
        // Ids of another platform do not decode here.
        let Ok(id) = tenant.platform.ids().decode(intent) else { continue };
        let Some(number) = tenant.secrets.authentication_number(intent, token) else { continue };
        let mut stage = Stage::default();
        let scene = painted(&tenant.platform, &tenant.secrets, &mut stage, |view| {
            scene(view, Arc::clone(tenant), intent, id, number)
        });
        return scene.await.ok().flatten();
    }
    None
}

fn scene(view: &View<'_>, tenant: Arc<Tenant>, text: &str, intent: ObjectId, number: u16) -> Result<Scene, Stop> {
    let text_of = |texts: &Texts, path: &str| texts.get(path).map(str::to_owned);
    let (owner, status, latest, failure, method, amount, return_url) =
        match (view.record(RecordKey::of(&intent))?, intent.kind) {
            (Record::Flow(flow), ObjectKind::PaymentIntent) => {
                let it = flow.intent.as_ref().ok_or(Stop::Gone)?;
                let amount = Some(Money::new(it.amount, it.currency));
                let return_url = text_of(&view.texts(&flow.private), "pi.return_url");
                (flow.owner, it.status, it.authentication, it.last_error, it.method, amount, return_url)
            }
            (Record::Setup(it), ObjectKind::SetupIntent) => {
                let return_url = text_of(&view.texts(&it.private), "return_url");
                (it.owner, it.status, it.authentication, it.last_error, it.method, None, return_url)
            }
            _ => return Err(Stop::Gone),
        };
    let account = view.texts(&view.account(owner)?.private);
    let merchant =
        text_of(&account, "business_profile[name]").or_else(|| text_of(&account, "settings[dashboard][display_name]"));
    Ok(Scene {
        tenant,
        intent,
        id: text.to_owned(),
        number,
        owner,
        status,
        latest,
        failure: failure.map(|failure| failure.recipe),
        amount,
        card: card(view, method)?,
        merchant,
        return_url: return_url.filter(|_| latest.is_some_and(|latest| latest.returns)),
    })
}

fn card(view: &View<'_>, method: Option<MethodRef>) -> Result<Option<String>, Stop> {
    let Some(method) = method else { return Ok(None) };
    match payment_method::source(view, &method) {
        Ok(source) => {
            let card = source.card();
            Ok(Some(format!("{} •••• {:04}", brand_name(card.brand), card.last4)))
        }
        Err(Stop::Gone) => Ok(None),
        Err(stop) => Err(stop),
    }
}

/// A brand as people write it.
fn brand_name(of: Brand) -> String {
    match of {
        Brand::Amex => "American Express".to_owned(),
        Brand::Jcb => "JCB".to_owned(),
        Brand::Unionpay => "UnionPay".to_owned(),
        Brand::Visa | Brand::Mastercard | Brand::Discover | Brand::Diners => {
            let (first, rest) = brand(of).split_at(1);
            format!("{}{rest}", first.to_ascii_uppercase())
        }
    }
}

impl Scene {
    /// Whether this link's authentication still waits for its answer.
    fn waits(&self) -> bool {
        self.status == IntentStatus::RequiresAction && self.is_latest()
    }

    fn is_latest(&self) -> bool {
        self.latest.is_some_and(|latest| latest.number == self.number)
    }

    fn has_passed(&self) -> bool {
        match self.status {
            IntentStatus::Succeeded | IntentStatus::RequiresCapture | IntentStatus::Processing => true,
            // Only a manual confirmation comes back to this state with the authentication passed.
            IntentStatus::RequiresConfirmation => self.latest.is_some_and(|latest| latest.passed),
            IntentStatus::RequiresPaymentMethod | IntentStatus::RequiresAction | IntentStatus::Canceled => false,
        }
    }

    /// Where the payer goes on, with what the shop's page needs to know.
    fn back(&self) -> Option<String> {
        let url = self.return_url.as_deref()?;
        let noun = if self.amount.is_some() { "payment_intent" } else { "setup_intent" };
        let secret = format!("{}_secret_{}", self.id, self.tenant.secrets.client_secret(&self.id).as_str());
        let query = Serializer::new(String::new())
            .append_pair(noun, &self.id)
            .append_pair(&format!("{noun}_client_secret"), &secret)
            .append_pair("redirect_status", if self.has_passed() { "succeeded" } else { "failed" })
            .finish();
        Some(with_query(url, &query))
    }

    /// After the answer: back to the shop, or to this page, which now says how it ended.
    fn leave(&self) -> Response<Body> {
        let here = || self.tenant.secrets.authentication_url(&self.id, self.number);
        let to = self.back().filter(|_| !self.waits()).unwrap_or_else(here);
        let mut response = self.page(StatusCode::SEE_OTHER, None);
        match HeaderValue::from_str(&to) {
            Ok(to) => {
                response.headers_mut().insert(LOCATION, to);
            }
            Err(_) => *response.status_mut() = StatusCode::OK,
        }
        response
    }

    fn page(&self, status: StatusCode, note: Option<&str>) -> Response<Body> {
        let state = match () {
            () if self.waits() => "waits",
            () if !self.is_latest() => "superseded",
            () if self.has_passed() => "passed",
            () if self.failure == Some(Recipe::AuthenticationFailed) => "failed",
            () if self.failure.is_some() => "declined",
            () => "over",
        };
        let shown = context! {
            state => state,
            note => note,
            purpose => if self.amount.is_some() { "payment" } else { "setup" },
            amount => self.amount.map(Money::display_major),
            currency => self.amount.map(|money| money.currency().code().to_ascii_uppercase()),
            card => &self.card,
            merchant => &self.merchant,
            reference => &self.id,
            back => if state == "waits" { None } else { self.back() },
        };
        page(status, "authenticate.html", shown)
    }
}

/// An address with more in its query: before its fragment, behind what it has.
fn with_query(url: &str, query: &str) -> String {
    let (url, fragment) = match url.split_once('#') {
        Some((url, fragment)) => (url, format!("#{fragment}")),
        None => (url, String::new()),
    };
    let joint = match url.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{url}{joint}{query}{fragment}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_goes_before_the_fragment_and_behind_what_is_there() {
        for (url, want) in [
            ("https://a.example", "https://a.example?x=1"),
            ("https://a.example/?", "https://a.example/?x=1"),
            ("https://a.example/?y=2", "https://a.example/?y=2&x=1"),
            ("https://a.example/#top", "https://a.example/?x=1#top"),
            ("app://done?y=2#top?z", "app://done?y=2&x=1#top?z"),
        ] {
            assert_eq!(with_query(url, "x=1"), want);
        }
    }
}
