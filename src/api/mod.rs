//! The wire.
//!
//! **Owns** HTTP: keys, parameters, routes, the shapes of objects, errors, lists, expansion. Turns a request into a
//! [`Command`](crate::domain::command::Command) and an answer's records into JSON.
//!
//! **Never** decides about money, never stores anything, never lets a card number, a security code, a bank account or
//! an identity number pass: they become test recipes, last digits and keyed fingerprints in `cards` and `identity`.
//!
//! **Why** here: the rooms below know meaning only; what a client sends and sees may change without touching a rule.
//!
//! Reading order: [`request`] (who asks for what), [`routes`] (one function per operation), [`respond`] (what became of
//! it), [`view`] and [`render`] (records to objects), [`list`] and [`expansion`] (many objects, objects in objects),
//! [`server`] (connections); beside them [`operations`] (what is known of every route), with [`permissions`], [`limits`],
//! [`dry`] and [`openapi`] that go by it.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{Method, Response};
use axum::routing::{delete, get, post};
use tokio::sync::OnceCell;

pub mod bank_formats;
pub mod cards;
pub mod dry;
pub mod error;
pub mod expand;
pub mod expansion;
pub mod fields;
pub mod identity;
pub mod keys;
pub mod limits;
pub mod list;
pub mod metrics;
pub mod openapi;
pub mod operations;
pub mod paging;
pub mod params;
pub mod payer;
pub mod permissions;
pub mod render;
pub mod request;
pub mod respond;
pub mod routes;
pub mod search;
pub mod secrets;
pub mod server;
pub mod texts;
pub mod version;
pub mod view;

use error::ApiError;
use keys::Keys;
use limits::Limiter;
use metrics::Metrics;
use operations::{Operation, Route, Routes};
use request::{Access, Call};
use respond::{Done, answer};
use routes::{
    Answered, accounts, application_fees, balance, balance_settings, balance_transactions, charges, country_specs,
    customers, disputes, events, exchange_rates, external_accounts, florin, keys as restricted_keys, methods,
    payment_intents, payouts, persons, prices, products, refunds, search as searches, setup_intents, split_rules,
    tokens, topups, transfers,
};

/// Bytes of a request's body, where nothing else is configured.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// What every request sees.
#[derive(Debug)]
pub struct ApiState {
    /// Which key opens which platform.
    pub keys: Keys,
    /// Bytes of a request's body.
    pub body_bytes_max: usize,
    /// When the daemon started.
    pub started: Instant,
    /// What is counted.
    pub metrics: Metrics,
    /// Rate limits, where there are any.
    pub limiter: Option<Limiter>,
}

impl ApiState {
    /// A state that serves these keys.
    pub fn new(keys: Keys) -> ApiState {
        let (started, metrics) = (Instant::now(), Metrics::default());
        ApiState { keys, body_bytes_max: BODY_BYTES_MAX, started, metrics, limiter: None }
    }
}

/// An operation as a handler: read the request, run it, answer.
macro_rules! operation {
    ($method:ident, $access:expr, $run:path) => {
        Route::keyed(
            method_of(stringify!($method)),
            stringify!($run),
            $access,
            |call| Box::pin($run(call)),
            $method(|State(state): State<Arc<ApiState>>, path: RawPathParams, request: Request| {
                handle(state, $access, path, request, $run)
            }),
        )
    };
}

/// The method that a routing function is named after.
fn method_of(name: &str) -> Method {
    match name {
        "post" => Method::POST,
        "delete" => Method::DELETE,
        _ => Method::GET,
    }
}

macro_rules! reads {
    ($run:path) => {
        operation!(get, Access::Secret, $run)
    };
}

macro_rules! writes {
    ($run:path) => {
        operation!(post, Access::Secret, $run)
    };
}

macro_rules! deletes {
    ($run:path) => {
        operation!(delete, Access::Secret, $run)
    };
}

async fn handle<F, Run>(
    state: Arc<ApiState>,
    access: Access,
    path: RawPathParams,
    request: Request,
    run: F,
) -> Response<Body>
where
    F: Fn(Call) -> Run,
    Run: Future<Output = Answered>,
{
    let started = Instant::now();
    let method = request.method().clone();
    let echo = request::echo(&method, request.headers());
    let path_params = path.iter().map(|(_, value)| value.to_owned()).collect();
    let read = request::read(Arc::clone(&state), access, path_params, request, echo.request_id.clone()).await;
    let result = match read {
        Ok(call) => run(call).await,
        Err(error) => Err(error),
    };
    let response = answer(&echo, result);
    state.metrics.answered(&method, response.status().as_u16(), started.elapsed());
    response
}

/// Everything that Florin answers.
pub fn router(state: Arc<ApiState>) -> Router {
    let routes = routes();
    let own = Arc::new(Own { operations: routes.operations().into(), document: OnceCell::new() });
    let document = move |state: State<Arc<ApiState>>, request: Request| openapi(state, Arc::clone(&own), request);
    let router = routes.into_router().route(OPENAPI, get(document));
    router.fallback(unrecognized).method_not_allowed_fallback(unrecognized).with_state(state)
}

/// Every operation.
fn routes() -> Routes {
    let routes = Routes::default();
    let routes = accounts_routes(routes);
    let routes = payment_routes(routes);
    let routes = money_routes(routes);
    let routes = catalog_routes(routes);
    own_routes(routes)
}

/// Where the document of all of them is.
const OPENAPI: &str = "/florin/openapi.json";

fn catalog_routes(routes: Routes) -> Routes {
    routes
        .route("/v1/products", reads!(products::index).merge(writes!(products::create)))
        .route(
            "/v1/products/{id}",
            reads!(products::retrieve).merge(writes!(products::update)).merge(deletes!(products::delete)),
        )
        .route("/v1/prices", reads!(prices::index).merge(writes!(prices::create)))
        .route("/v1/prices/{price}", reads!(prices::retrieve).merge(writes!(prices::update)))
        .route("/v1/exchange_rates", reads!(exchange_rates::index))
        .route("/v1/exchange_rates/{rate_id}", reads!(exchange_rates::retrieve))
        .route("/v1/charges/search", reads!(searches::charges))
        .route("/v1/customers/search", reads!(searches::customers))
        .route("/v1/payment_intents/search", reads!(searches::payment_intents))
}

fn accounts_routes(routes: Routes) -> Routes {
    let capability: Route = reads!(accounts::capability_retrieve).merge(writes!(accounts::capability_update));
    let external: Route = reads!(external_accounts::retrieve)
        .merge(writes!(external_accounts::update))
        .merge(deletes!(external_accounts::delete));
    routes
        .route("/v1/account", reads!(accounts::own))
        .route("/v1/accounts", reads!(accounts::index).merge(writes!(accounts::create)))
        .route(
            "/v1/accounts/{account}",
            reads!(accounts::retrieve).merge(writes!(accounts::update)).merge(deletes!(accounts::delete)),
        )
        .route("/v1/accounts/{account}/capabilities", reads!(accounts::capabilities_list))
        .route("/v1/accounts/{account}/capabilities/{capability}", capability)
        .route(
            "/v1/accounts/{account}/external_accounts",
            reads!(external_accounts::index).merge(writes!(external_accounts::create)),
        )
        .route("/v1/accounts/{account}/external_accounts/{id}", external)
        .route("/v1/accounts/{account}/persons", reads!(persons::index).merge(writes!(persons::create)))
        .route(
            "/v1/accounts/{account}/persons/{person}",
            reads!(persons::retrieve).merge(writes!(persons::update)).merge(deletes!(persons::delete)),
        )
        .route("/v1/accounts/{account}/reject", writes!(accounts::reject))
        .route("/v1/accounts/{account}/unreject", writes!(accounts::unreject))
        .route("/v1/country_specs", reads!(country_specs::index))
        .route("/v1/country_specs/{country}", reads!(country_specs::retrieve))
        .route("/v1/customers", reads!(customers::index).merge(writes!(customers::create)))
        .route(
            "/v1/customers/{customer}",
            reads!(customers::retrieve).merge(writes!(customers::update)).merge(deletes!(customers::delete)),
        )
        .route("/v1/customers/{customer}/payment_methods", reads!(customers::payment_methods))
        .route("/v1/customers/{customer}/payment_methods/{payment_method}", reads!(customers::payment_method))
}

fn payment_routes(routes: Routes) -> Routes {
    let create_method: Route = operation!(post, Access::Publishable, methods::create);
    let create_token: Route = operation!(post, Access::Publishable, tokens::create);
    let read_intent: Route = operation!(get, Access::Publishable, payment_intents::retrieve);
    let confirm_intent: Route = operation!(post, Access::Publishable, payment_intents::confirm);
    let routes = setup_routes(routes);
    routes
        .route("/v1/payment_methods", reads!(methods::index).merge(create_method))
        .route("/v1/payment_methods/{payment_method}", reads!(methods::retrieve).merge(writes!(methods::update)))
        .route("/v1/payment_methods/{payment_method}/attach", writes!(methods::attach))
        .route("/v1/payment_methods/{payment_method}/detach", writes!(methods::detach))
        .route("/v1/tokens", create_token)
        .route("/v1/tokens/{token}", reads!(tokens::retrieve))
        .route("/v1/payment_intents", reads!(payment_intents::index).merge(writes!(payment_intents::create)))
        .route("/v1/payment_intents/{intent}", read_intent.merge(writes!(payment_intents::update)))
        .route("/v1/payment_intents/{intent}/confirm", confirm_intent)
        .route("/v1/payment_intents/{intent}/capture", writes!(payment_intents::capture))
        .route("/v1/payment_intents/{intent}/cancel", writes!(payment_intents::cancel))
        .route("/v1/charges", reads!(charges::index).merge(writes!(charges::create)))
        .route("/v1/charges/{charge}", reads!(charges::retrieve).merge(writes!(charges::update)))
        .route("/v1/charges/{charge}/capture", writes!(charges::capture))
        .route("/v1/charges/{charge}/refunds", reads!(charges::refunds).merge(writes!(charges::refund)))
        .route("/v1/refunds", reads!(refunds::index).merge(writes!(refunds::create)))
        .route("/v1/refunds/{refund}", reads!(refunds::retrieve).merge(writes!(refunds::update)))
        .route("/v1/refunds/{refund}/cancel", writes!(refunds::cancel))
        .route("/v1/test_helpers/refunds/{refund}/expire", writes!(refunds::expire))
}

fn setup_routes(routes: Routes) -> Routes {
    let read: Route = operation!(get, Access::Publishable, setup_intents::retrieve);
    let confirm: Route = operation!(post, Access::Publishable, setup_intents::confirm);
    routes
        .route("/v1/setup_intents", reads!(setup_intents::index).merge(writes!(setup_intents::create)))
        .route("/v1/setup_intents/{intent}", read.merge(writes!(setup_intents::update)))
        .route("/v1/setup_intents/{intent}/confirm", confirm)
        .route("/v1/setup_intents/{intent}/cancel", writes!(setup_intents::cancel))
        .route("/v1/setup_attempts", reads!(setup_intents::attempts))
}

fn money_routes(routes: Routes) -> Routes {
    routes
        .route("/v1/transfers", reads!(transfers::index).merge(writes!(transfers::create)))
        .route("/v1/transfers/{transfer}", reads!(transfers::retrieve).merge(writes!(transfers::update)))
        .route("/v1/transfers/{transfer}/reversals", reads!(transfers::reversals).merge(writes!(transfers::reverse)))
        .route(
            "/v1/transfers/{transfer}/reversals/{reversal}",
            reads!(transfers::reversal).merge(writes!(transfers::update_reversal)),
        )
        .route("/v1/application_fees", reads!(application_fees::index))
        .route("/v1/application_fees/{fee}", reads!(application_fees::retrieve))
        .route(
            "/v1/application_fees/{fee}/refunds",
            reads!(application_fees::refunds).merge(writes!(application_fees::refund)),
        )
        .route(
            "/v1/application_fees/{fee}/refunds/{refund}",
            reads!(application_fees::fee_refund).merge(writes!(application_fees::update_refund)),
        )
        .route("/v1/balance", reads!(balance::retrieve))
        .route("/v1/balance_settings", reads!(balance_settings::retrieve).merge(writes!(balance_settings::update)))
        .route("/v1/balance_transactions", reads!(balance_transactions::index))
        .route("/v1/balance_transactions/{id}", reads!(balance_transactions::retrieve))
        .route("/v1/payouts", reads!(payouts::index).merge(writes!(payouts::create)))
        .route("/v1/payouts/{payout}", reads!(payouts::retrieve).merge(writes!(payouts::update)))
        .route("/v1/payouts/{payout}/cancel", writes!(payouts::cancel))
        .route("/v1/disputes", reads!(disputes::index))
        .route("/v1/disputes/{dispute}", reads!(disputes::retrieve).merge(writes!(disputes::update)))
        .route("/v1/disputes/{dispute}/close", writes!(disputes::close))
        .route("/v1/payouts/{payout}/reverse", writes!(payouts::reverse))
        .route("/v1/topups", reads!(topups::index).merge(writes!(topups::create)))
        .route("/v1/topups/{topup}", reads!(topups::retrieve).merge(writes!(topups::update)))
        .route("/v1/topups/{topup}/cancel", writes!(topups::cancel))
        .route("/v1/events", reads!(events::index))
        .route("/v1/events/{event}", reads!(events::retrieve))
}

fn own_routes(routes: Routes) -> Routes {
    routes
        .route("/florin/health", Route::open("health", get(health)))
        .route("/metrics", Route::open("metrics", get(exposition)))
        .route("/florin/keys", reads!(restricted_keys::index).merge(writes!(restricted_keys::create)))
        .route("/florin/keys/{key}", reads!(restricted_keys::retrieve))
        .route("/florin/keys/{key}/revoke", writes!(restricted_keys::revoke))
        .route("/florin/trial_balance", reads!(florin::trial_balance))
        .route("/florin/adjustments", reads!(florin::adjustments).merge(writes!(florin::adjust)))
        .route("/florin/adjustments/{adjustment}", reads!(florin::adjustment))
        .route("/florin/split_rules", reads!(split_rules::index).merge(writes!(split_rules::create)))
        .route("/florin/split_rules/{rule}", reads!(split_rules::retrieve))
        .route("/florin/clock/advance", writes!(florin::advance))
}

/// No such address, or not with this method.
async fn unrecognized(State(state): State<Arc<ApiState>>, request: Request) -> Response<Body> {
    let started = Instant::now();
    let (method, path): (Method, &str) = (request.method().clone(), request.uri().path());
    let echo = request::echo(&method, request.headers());
    let response = answer(&echo, Err(ApiError::unrecognized_url(method.as_str(), path)));
    state.metrics.answered(&method, response.status().as_u16(), started.elapsed());
    response
}

#[derive(serde::Serialize)]
struct Health {
    object: &'static str,
    platforms: usize,
    status: &'static str,
    uptime_s: u64,
    version: &'static str,
}

/// GET /florin/health: no key needed.
async fn health(State(state): State<Arc<ApiState>>, request: Request) -> Response<Body> {
    let echo = request::echo(request.method(), request.headers());
    let health = Health {
        object: "florin.health",
        platforms: state.keys.tenants().len(),
        status: "ok",
        uptime_s: state.started.elapsed().as_secs(),
        version: env!("CARGO_PKG_VERSION"),
    };
    answer(&echo, Done::of(&health))
}

/// What the daemon says of itself, made when it is first asked for.
struct Own {
    operations: Vec<Operation>,
    document: OnceCell<Vec<u8>>,
}

/// GET /florin/openapi.json: no key needed.
async fn openapi(state: State<Arc<ApiState>>, own: Arc<Own>, request: Request) -> Response<Body> {
    let echo = request::echo(request.method(), request.headers());
    let document = own.document.get_or_try_init(|| openapi::document(&state.0, &own.operations));
    answer(&echo, document.await.map(|document| Done::json(document.clone())))
}

/// GET /metrics: no key needed.
async fn exposition(State(state): State<Arc<ApiState>>, request: Request) -> Response<Body> {
    let echo = request::echo(request.method(), request.headers());
    let body = state.metrics.text().into_bytes();
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    answer(&echo, Ok(Done { content_type, ..Done::json(body) }))
}
