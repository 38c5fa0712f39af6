//! Answers: status, headers and body of what a request came to.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;

use super::error::{ApiError, Fate};
use super::expand::Expand;
use super::expansion;
use super::render::{self, Rendered, Stub, ToBytes, ToTree, decline, object_name};
use super::request::Call;
use super::version::API_VERSION;
use super::view::{Id, Stage, Stop, View, render as painted};
use crate::domain::command::Command;
use crate::domain::decide::{Refusal, Reply};
use crate::domain::declines::DeclineText;
use crate::domain::record::{Record, RecordKey, Slot};
use crate::domain::seal::TextPatch;
use crate::engine::platform::{Answer, SubmitError};
use crate::primitives::id::{ObjectId, ObjectKind};

/// What a handler hands back.
#[derive(Debug)]
pub struct Done {
    /// HTTP status.
    pub status: u16,
    /// JSON, or what `content_type` says.
    pub body: Vec<u8>,
    /// Media type.
    pub content_type: &'static str,
    /// `Stripe-Should-Retry`.
    pub should_retry: Option<bool>,
    /// The request that was replayed.
    pub replay_of: Option<String>,
}

const JSON: &str = "application/json";

impl Done {
    /// 200 with a JSON body.
    pub fn json(body: Vec<u8>) -> Done {
        Done { status: 200, body, content_type: JSON, should_retry: None, replay_of: None }
    }

    /// 200 with this.
    ///
    /// # Errors
    /// Where it cannot be written, which no struct here does.
    pub fn of(object: &impl serde::Serialize) -> Result<Done, ApiError> {
        serde_json::to_vec(object).map(Done::json).map_err(|_| ApiError::internal())
    }
}

/// How soon an overloaded daemon wants to be asked again.
const OVERLOADED_RETRY_S: u32 = 1;
/// How soon a stopping one does: the time of a restart.
const STOPPING_RETRY_S: u32 = 5;

static STRIPE_SHOULD_RETRY: HeaderName = HeaderName::from_static("stripe-should-retry");
static STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");
static STRIPE_ACCOUNT: HeaderName = HeaderName::from_static("stripe-account");
static RATE_LIMITED_REASON: HeaderName = HeaderName::from_static("stripe-rate-limited-reason");
static REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
static ORIGINAL_REQUEST: HeaderName = HeaderName::from_static("original-request");
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
static IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What the headers of an answer echo of its request.
#[derive(Clone, Debug, Default)]
pub struct Echo {
    /// `req_…`.
    pub request_id: String,
    /// Whether it was a POST: those name the request that first ran.
    pub is_post: bool,
    /// As sent, with a POST.
    pub idempotency_key: Option<HeaderValue>,
    /// As sent.
    pub account: Option<HeaderValue>,
}

fn put(headers: &mut HeaderMap, name: &HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name.clone(), value);
    }
}

/// The HTTP answer to what a handler came to.
pub fn answer(echo: &Echo, result: Result<Done, ApiError>) -> Response<Body> {
    let mut headers = HeaderMap::with_capacity(12);
    let done = result.unwrap_or_else(|error| {
        if let Some(seconds) = error.retry_after_s {
            put(&mut headers, &RETRY_AFTER, &seconds.to_string());
        }
        if let Some(reason) = error.rate_limited_reason {
            headers.insert(RATE_LIMITED_REASON.clone(), HeaderValue::from_static(reason));
        }
        if let Some(challenge) = error.www_authenticate() {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        failed(&error)
    });
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(done.content_type));
    put(&mut headers, &REQUEST_ID, &echo.request_id);
    headers.insert(STRIPE_VERSION.clone(), HeaderValue::from_static(API_VERSION));
    if let Some(retry) = done.should_retry {
        headers.insert(STRIPE_SHOULD_RETRY.clone(), HeaderValue::from_static(if retry { "true" } else { "false" }));
    }
    if let Some(account) = &echo.account {
        headers.insert(STRIPE_ACCOUNT.clone(), account.clone());
    }
    if let Some(key) = &echo.idempotency_key {
        headers.insert(IDEMPOTENCY_KEY.clone(), key.clone());
    }
    if echo.is_post {
        put(&mut headers, &ORIGINAL_REQUEST, done.replay_of.as_deref().unwrap_or(&echo.request_id));
    }
    if done.replay_of.is_some() {
        headers.insert(IDEMPOTENT_REPLAYED.clone(), HeaderValue::from_static("true"));
    }
    let mut response = Response::new(Body::from(done.body));
    *response.status_mut() = StatusCode::from_u16(done.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}

fn failed(error: &ApiError) -> Done {
    Done {
        status: error.status,
        body: error.to_json().into_bytes(),
        content_type: JSON,
        should_retry: error.should_retry(),
        replay_of: None,
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Commands

/// Submits a command and answers with what it came to.
///
/// # Errors
/// What was refused.
pub async fn submit(call: &Call, command: Command, texts: TextPatch, expand: &Expand) -> Result<Done, ApiError> {
    let answer = decided(call, command, texts).await?;
    of_answer(call, answer, expand).await
}

/// Submits a command.
///
/// # Errors
/// What was refused.
pub async fn decided(call: &Call, command: Command, texts: TextPatch) -> Result<Answer, ApiError> {
    call.check_deferred()?;
    if let Err(error) = call.timely.check() {
        return call.earlier().await.ok_or(error);
    }
    match call.platform().submit(call.request(command, texts)).await {
        Ok(answer) => Ok(answer),
        Err(error) => Err(not_submitted(call, error).await),
    }
}

/// The same for answers that the reply's object alone does not make: `paint` draws them from the entry's images.
///
/// # Errors
/// What was refused.
pub async fn submit_painted(
    call: &Call,
    command: Command,
    texts: TextPatch,
    paint: impl Fn(&View<'_>) -> Rendered<Vec<u8>>,
) -> Result<Done, ApiError> {
    let answer = decided(call, command, texts).await?;
    if !matches!(answer.reply, Reply::Object(_) | Reply::Done) {
        return of_answer(call, answer, &Expand::default()).await;
    }
    let mut stage = Stage::after(answer.seq, answer.now, answer.images);
    let body = painted(call.platform(), call.secrets(), &mut stage, paint).await?.ok_or_else(ApiError::internal)?;
    Ok(Done { should_retry: Some(false), replay_of: answer.replay_of, ..Done::json(body) })
}

async fn not_submitted(call: &Call, error: SubmitError) -> ApiError {
    let key = call.idempotency_text().unwrap_or_default();
    match error {
        SubmitError::Refused(refusal) => refused(call, &refusal, &mut Stage::default()).await,
        SubmitError::KeyReused { other_endpoint: true, seq } => {
            let first = call.platform().entry(seq).await;
            let first = first.as_ref().and_then(|entry| entry.idempotency.as_ref());
            // As `POST /v1/…`.
            let first = first.and_then(|first| first.path.split_once(' ')).map(|(_, path)| path);
            ApiError::idempotency_other_endpoint(key, &call.path, first)
        }
        SubmitError::KeyReused { other_endpoint: false, .. } => ApiError::idempotency_mismatch(key),
        SubmitError::KeyInFlight => ApiError::idempotency_in_use(key),
        SubmitError::Overloaded => ApiError::overloaded(OVERLOADED_RETRY_S),
        SubmitError::Stopping => ApiError::overloaded(STOPPING_RETRY_S),
        SubmitError::Panicked => ApiError::undecided(call.request_id()),
    }
}

/// Answers from the entry that a command made: a function of the journal up to there, now and in every replay.
///
/// # Errors
/// What was refused.
pub async fn of_answer(call: &Call, answer: Answer, expand: &Expand) -> Result<Done, ApiError> {
    let Answer { reply, seq, now, images, replay_of } = answer;
    let mut stage = Stage::after(seq, now, images);
    let mut done = match reply {
        Reply::Object(id) => {
            let body = body(call, &mut stage, &id, expand).await?.ok_or_else(ApiError::internal)?;
            Done::json(body)
        }
        Reply::Deleted(id) => {
            let text = Id(call.platform().ids().text(&id));
            Done::of(&Stub { id: text, object: object_name(id.kind), deleted: true })?
        }
        Reply::Declined(id) => failed(&declined(call, &mut stage, &id).await?),
        Reply::MethodDeclined(recipe) => failed(&card_error(decline::words(recipe))),
        Reply::Refused(refusal) => failed(&refused(call, &refusal, &mut stage).await),
        Reply::Done => Done::of(&Plain { livemode: false, now: now.seconds() })?,
    };
    if call.is_post() {
        done.should_retry = done.should_retry.or(if done.status == 200 { Some(false) } else { None });
    }
    done.replay_of = replay_of;
    Ok(done)
}

#[derive(serde::Serialize)]
struct Plain {
    livemode: bool,
    now: i64,
}

/// An object as a body, with what is asked for expanded; `None` where it does not exist.
///
/// # Errors
/// What rendering refuses.
pub async fn body(call: &Call, stage: &mut Stage, id: &ObjectId, expand: &Expand) -> Result<Option<Vec<u8>>, ApiError> {
    painted(call.platform(), call.secrets(), stage, |view| {
        if expand.is_empty() {
            return render::object(view, id, ToBytes);
        }
        let mut object = render::object(view, id, ToTree)?;
        expansion::apply(view, call.acting, &mut object, expand)?;
        serde_json::to_vec(&object).map_err(|_| Stop::from(ApiError::internal()))
    })
    .await
}

/// 402 with the words of a decline.
fn card_error(words: &DeclineText) -> ApiError {
    let error = ApiError::card(words.code, words.message).with_decline_code(words.decline_code).with_advice(
        words.advice_code.map(Into::into),
        words.network_decline_code.map(Into::into),
        words.network_advice_code.map(Into::into),
    );
    match words.param {
        Some(param) => error.with_param(param),
        None => error,
    }
}

/// 402 with the whole setup intent and the payment method.
async fn setup_declined(call: &Call, stage: &mut Stage, setup: &ObjectId) -> Result<ApiError, ApiError> {
    let found = painted(call.platform(), call.secrets(), stage, |view| {
        let attempt = render::setup_intent::find(view, setup.birth)?.attempt.as_ref().ok_or(Stop::Gone)?;
        let words = decline::words(attempt.error.ok_or(Stop::Gone)?.recipe);
        let method = render::object(view, &attempt.method.id(), ToTree)?;
        Ok((words, render::object(view, setup, ToTree)?, method))
    })
    .await?;
    let (words, object, method) = found.ok_or_else(ApiError::internal)?;
    Ok(card_error(words).with_setup_intent(object).with_payment_method(method).with_payment_method_type("card"))
}

/// 402 with the failed charge, the whole intent and the payment method.
async fn declined(call: &Call, stage: &mut Stage, intent: &ObjectId) -> Result<ApiError, ApiError> {
    if intent.kind == ObjectKind::SetupIntent {
        return setup_declined(call, stage, intent).await;
    }
    let found = painted(call.platform(), call.secrets(), stage, |view| {
        let flow = view.flow(intent.birth)?;
        let charge = flow.charge.as_ref().ok_or(Stop::Gone)?;
        let words = decline::words(charge.failure.ok_or(Stop::Gone)?.recipe);
        let charge_id = RecordKey::head(intent.birth).id(ObjectKind::Charge, charge.attempt);
        // A charge made without an intent says no more than its own id.
        if intent.kind == ObjectKind::Charge {
            return Ok((words, None, None, view.id(&charge_id)));
        }
        let object = Some(render::object(view, intent, ToTree)?);
        let method = match render::object(view, &charge.method.id(), ToTree) {
            Ok(method) => Some(method),
            Err(Stop::Gone) => None,
            Err(stop) => return Err(stop),
        };
        Ok((words, object, method, view.id(&charge_id)))
    })
    .await?;
    let (words, object, method, charge) = found.ok_or_else(ApiError::internal)?;
    let mut error = card_error(words).with_charge(charge.as_str());
    if let Some(object) = object {
        error = error.with_payment_intent(object).with_payment_method_type("card");
    }
    if let Some(method) = method {
        error = error.with_payment_method(method);
    }
    Ok(error)
}

/// A refusal of the domain, for the wire.
async fn refused(call: &Call, refusal: &Refusal, stage: &mut Stage) -> ApiError {
    let mut error = ApiError::rejected_without_code(refusal.message.clone()).with_status(refusal.status);
    if let Some(code) = &refusal.code {
        error = error.with_code(code.clone());
    }
    if refusal.is_validation() {
        error = error.with_fate(Fate::Refused);
    }
    if let Some(param) = &refusal.param {
        error = error.with_param(param.clone());
    }
    if let Some(key) = refusal.intent
        && let Some((kind, intent)) = intent_tree(call, stage, key).await
    {
        error = match kind {
            ObjectKind::SetupIntent => error.with_setup_intent(intent),
            _ => error.with_payment_intent(intent),
        };
    }
    error
}

async fn intent_tree(call: &Call, stage: &mut Stage, key: RecordKey) -> Option<(ObjectKind, Value)> {
    let rendered = painted(call.platform(), call.secrets(), stage, |view| {
        let kind = match view.record(key)? {
            Record::Flow(flow) if flow.owner == call.acting => ObjectKind::PaymentIntent,
            Record::Setup(setup) if setup.owner == call.acting => ObjectKind::SetupIntent,
            _ => return Err(Stop::Gone),
        };
        Ok((kind, render::object(view, &key.id(kind, Slot::MAIN), ToTree)?))
    });
    rendered.await.ok().flatten()
}
