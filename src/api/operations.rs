//! Operations: every route with what is known of it beside its handler.
//!
//! Routes are built through [`Routes`], which notes each operation as it is added; so the list that permissions, rate
//! limits and the OpenAPI document go by is the list of routes itself, and cannot differ from it. What an operation
//! answers with and which permission it asks for follow from the collections in its path ([`COLLECTIONS`]).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::routing::MethodRouter;

use super::ApiState;
use super::permissions::{Level, Resource};
use super::request::{Access, Call};
use super::routes::Answered;

/// Runs an operation.
pub type Run = fn(Call) -> Pin<Box<dyn Future<Output = Answered> + Send>>;

/// An operation: a method on a path.
#[derive(Clone, Debug)]
pub struct Operation {
    /// HTTP method.
    pub method: Method,
    /// Path with its parameters in braces.
    pub path: &'static str,
    /// The handler's name, with its room: `charges::retrieve`.
    pub name: &'static str,
    /// Whom it serves; `None`: anybody, without a key.
    pub access: Option<Access>,
    /// Runs it; `None` for what takes no parameters and no key.
    pub run: Option<Run>,
}

/// What answers on one path.
#[derive(Debug, Default)]
pub struct Route {
    methods: MethodRouter<Arc<ApiState>>,
    operations: Vec<Operation>,
}

impl Route {
    /// An operation that reads parameters under a key.
    pub fn keyed(
        method: Method,
        name: &'static str,
        access: Access,
        run: Run,
        methods: MethodRouter<Arc<ApiState>>,
    ) -> Route {
        let operation = Operation { method, path: "", name, access: Some(access), run: Some(run) };
        Route { methods, operations: vec![operation] }
    }

    /// A page that anybody may read.
    pub fn open(name: &'static str, methods: MethodRouter<Arc<ApiState>>) -> Route {
        let operation = Operation { method: Method::GET, path: "", name, access: None, run: None };
        Route { methods, operations: vec![operation] }
    }

    /// Both, on the same path.
    #[must_use]
    pub fn merge(mut self, other: Route) -> Route {
        self.operations.extend(other.operations);
        Route { methods: self.methods.merge(other.methods), operations: self.operations }
    }
}

/// Handlers that are no operations of the API: pages for people.
impl From<MethodRouter<Arc<ApiState>>> for Route {
    fn from(methods: MethodRouter<Arc<ApiState>>) -> Route {
        Route { methods, operations: Vec::new() }
    }
}

/// All routes, and the operations that they are.
#[derive(Debug, Default)]
pub struct Routes {
    router: Router<Arc<ApiState>>,
    operations: Vec<Operation>,
}

impl Routes {
    /// Adds what answers on a path.
    #[must_use]
    pub fn route(mut self, path: &'static str, route: impl Into<Route>) -> Routes {
        let route = route.into();
        self.operations.extend(route.operations.into_iter().map(|operation| Operation { path, ..operation }));
        Routes { router: self.router.route(path, route.methods), operations: self.operations }
    }

    /// The operations so far.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The routes as handlers.
    pub fn into_router(self) -> Router<Arc<ApiState>> {
        self.router
    }
}

// ---------------------------------------------------------------------------------------------------------------
// What follows from a path

/// A collection of objects, by its name in paths.
#[derive(Debug)]
pub struct Collection {
    /// The segment.
    pub segment: &'static str,
    /// `object` of what is in it.
    pub objects: &'static [&'static str],
    /// There is one for an account, without an id: `/v1/balance`.
    pub single: bool,
    /// Which permission of a restricted key opens it; `None`: secret keys only.
    pub resource: Option<Resource>,
}

const fn many(segment: &'static str, objects: &'static [&'static str], resource: Resource) -> Collection {
    Collection { segment, objects, single: false, resource: Some(resource) }
}

const fn single(segment: &'static str, objects: &'static [&'static str], resource: Resource) -> Collection {
    Collection { single: true, ..many(segment, objects, resource) }
}

const fn secret_only(segment: &'static str, objects: &'static [&'static str], single: bool) -> Collection {
    Collection { segment, objects, single, resource: None }
}

/// Every collection. A path's last one says what is answered, its first one which permission is asked for.
pub const COLLECTIONS: &[Collection] = &[
    single("account", &["account"], Resource::ConnectedAccount),
    many("accounts", &["account"], Resource::ConnectedAccount),
    many("capabilities", &["capability"], Resource::ConnectedAccount),
    many("external_accounts", &["bank_account", "card"], Resource::ConnectedAccount),
    many("persons", &["person"], Resource::ConnectedAccount),
    many("country_specs", &["country_spec"], Resource::ConnectedAccount),
    many("application_fees", &["application_fee"], Resource::ApplicationFee),
    single("balance", &["balance"], Resource::Balance),
    single("balance_settings", &["balance_settings"], Resource::BalanceSettings),
    many("balance_transactions", &["balance_transaction"], Resource::BalanceTransactionSource),
    many("charges", &["charge"], Resource::Charge),
    many("refunds", &["refund"], Resource::Charge),
    many("customers", &["customer"], Resource::Customer),
    many("payment_methods", &["payment_method"], Resource::PaymentMethod),
    many("payment_intents", &["payment_intent"], Resource::PaymentIntent),
    many("setup_intents", &["setup_intent"], Resource::SetupIntent),
    many("setup_attempts", &["setup_attempt"], Resource::SetupIntent),
    many("mandates", &["mandate"], Resource::PaymentMethod),
    many("tokens", &["token"], Resource::Token),
    many("disputes", &["dispute"], Resource::Dispute),
    many("transfers", &["transfer"], Resource::Transfer),
    many("reversals", &["transfer_reversal"], Resource::Transfer),
    many("payouts", &["payout"], Resource::Payout),
    many("topups", &["topup"], Resource::Topup),
    many("exchange_rates", &["exchange_rate"], Resource::ExchangeRate),
    many("fx_quotes", &["fx_quote"], Resource::FxQuote),
    many("events", &["event"], Resource::Event),
    many("products", &["product"], Resource::Product),
    many("prices", &["price"], Resource::Price),
    many("split_rules", &["florin.split_rule"], Resource::SplitRule),
    many("adjustments", &["florin.adjustment"], Resource::Adjustment),
    single("trial_balance", &["florin.trial_balance"], Resource::Balance),
    secret_only("keys", &["florin.key"], false),
    secret_only("clock", &["florin.clock"], true),
    secret_only("health", &["florin.health"], true),
];

/// What an operation answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// One object, of one of these.
    One(&'static [&'static str]),
    /// A list of them.
    List(&'static [&'static str]),
    /// A search result of them.
    Search(&'static [&'static str]),
    /// `{id, object, deleted}`.
    Stub(&'static [&'static str]),
    /// No object of the API: a text, or this very document.
    Page,
}

impl Operation {
    /// What it answers with.
    pub fn answers(&self) -> Answers {
        let Some((place, last)) = collections(self.path).last() else { return Answers::Page };
        // The refunds of an application fee are objects of their own.
        let of_fee = last.segment == "refunds" && self.path.contains("/application_fees/");
        let objects: &[&str] = if of_fee { &["fee_refund"] } else { last.objects };
        let after: Vec<&str> = self.path.split('/').skip(place + 1).collect();
        match (&self.method, after.as_slice()) {
            (&Method::DELETE, _) => Answers::Stub(objects),
            (&Method::GET, ["search"]) => Answers::Search(objects),
            (&Method::GET, []) if !last.single => Answers::List(objects),
            _ => Answers::One(objects),
        }
    }

    /// The permission that a restricted key needs for it; `None`: no restricted key may do it.
    pub fn permission(&self) -> Option<(Resource, Level)> {
        permission(&self.method, self.path)
    }
}

/// The collections of a path, with their places in it.
fn collections(path: &str) -> impl Iterator<Item = (usize, &'static Collection)> {
    path.split('/').enumerate().filter_map(|(place, segment)| {
        COLLECTIONS.iter().find(|collection| collection.segment == segment).map(|collection| (place, collection))
    })
}

/// The permission that a method on a path asks for; `None`: only secret keys may.
pub fn permission(method: &Method, path: &str) -> Option<(Resource, Level)> {
    let (_, first) = collections(path).next()?;
    let reads = matches!(*method, Method::GET | Method::HEAD);
    Some((first.resource?, if reads { Level::Read } else { Level::Write }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(method: Method, path: &'static str) -> Operation {
        Operation { method, path, name: "", access: Some(Access::Secret), run: None }
    }

    #[test]
    fn a_path_says_what_is_answered_and_what_is_needed() {
        use Answers::{List, One, Page, Search, Stub};
        use Level::{Read, Write};
        for (method, path, answers, permission) in [
            (Method::GET, "/v1/charges", List(&["charge"]), Some((Resource::Charge, Read))),
            (Method::GET, "/v1/charges/search", Search(&["charge"]), Some((Resource::Charge, Read))),
            (Method::GET, "/v1/charges/{charge}", One(&["charge"]), Some((Resource::Charge, Read))),
            (Method::POST, "/v1/charges/{charge}/capture", One(&["charge"]), Some((Resource::Charge, Write))),
            (Method::POST, "/v1/charges/{charge}/refunds", One(&["refund"]), Some((Resource::Charge, Write))),
            (Method::GET, "/v1/balance", One(&["balance"]), Some((Resource::Balance, Read))),
            (
                Method::GET,
                "/v1/application_fees/{fee}/refunds",
                List(&["fee_refund"]),
                Some((Resource::ApplicationFee, Read)),
            ),
            (
                Method::DELETE,
                "/v1/accounts/{account}/external_accounts/{id}",
                Stub(&["bank_account", "card"]),
                Some((Resource::ConnectedAccount, Write)),
            ),
            (Method::POST, "/florin/keys", One(&["florin.key"]), None),
            (Method::GET, "/metrics", Page, None),
        ] {
            let operation = operation(method, path);
            assert_eq!((operation.answers(), operation.permission()), (answers, permission), "{path}");
        }
    }
}
