//! `setup_intent` and `setup_attempt`.

use serde::Serialize;

use super::super::secrets::hex;
use super::super::view::{Id, Stop, View};
use super::authentication::{self, NextAction, ThreeDSecure, next_action};
use super::decline::{self, LastError, Tried};
use super::payment_intent::{AutomaticMethods, ClientSecret, MethodTypes, future_usage, reason, status};
use super::payment_method::{self, Checks, Last4, brand, checks, funding};
use super::{Hash, Rendered, Sink, Words};
use crate::domain::record::{
    CardOptions, MethodRef, Record, RecordKey, SetupAttempt as AttemptRecord, SetupAttemptStatus, SetupRecord,
};
use crate::domain::setup::{attempt_key, setup_id};
use crate::primitives::id::{ObjectId, ObjectKind};

#[derive(Serialize)]
struct SetupIntent<'a> {
    id: Id,
    object: &'static str,
    allowed_payment_method_types: Option<&'a [String]>,
    application: Option<Id>,
    automatic_payment_methods: Option<AutomaticMethods>,
    cancellation_reason: Option<&'static str>,
    client_secret: ClientSecret<'a>,
    created: i64,
    customer: Option<Id>,
    customer_account: Option<&'static str>,
    description: Option<&'a str>,
    excluded_payment_method_types: Option<&'static str>,
    flow_directions: Option<&'static str>,
    last_setup_error: Option<LastError<'a>>,
    latest_attempt: Option<Id>,
    livemode: bool,
    mandate: Option<&'static str>,
    metadata: Hash<'a>,
    next_action: Option<NextAction<'a>>,
    on_behalf_of: Option<Id>,
    payment_method: Option<Id>,
    payment_method_configuration_details: Option<&'static str>,
    payment_method_options: MethodOptions,
    payment_method_types: MethodTypes<'a>,
    single_use_mandate: Option<&'static str>,
    status: &'static str,
    usage: &'static str,
}

#[derive(Serialize)]
struct MethodOptions {
    card: CardOptionsShown,
}

#[derive(Serialize)]
struct CardOptionsShown {
    mandate_options: Option<&'static str>,
    network: Option<&'static str>,
    request_three_d_secure: &'static str,
}

#[derive(Serialize)]
struct SetupAttempt<'a> {
    id: Id,
    object: &'static str,
    application: Option<Id>,
    created: i64,
    customer: Option<Id>,
    customer_account: Option<&'static str>,
    flow_directions: Option<&'static str>,
    livemode: bool,
    on_behalf_of: Option<Id>,
    payment_method: Id,
    payment_method_details: Details,
    setup_error: Option<LastError<'a>>,
    setup_intent: Id,
    status: &'static str,
    usage: &'static str,
}

#[derive(Serialize)]
struct Details {
    card: CardDetails,
    r#type: &'static str,
}

#[derive(Serialize)]
struct CardDetails {
    brand: &'static str,
    checks: Checks,
    country: String,
    exp_month: u8,
    exp_year: u16,
    fingerprint: String,
    funding: &'static str,
    last4: Last4,
    network: &'static str,
    three_d_secure: Option<ThreeDSecure>,
    wallet: Option<&'static str>,
}

/// A setup intent's record.
///
/// # Errors
/// [`Stop`].
pub fn find<'a>(view: &View<'a>, birth: u64) -> Rendered<&'a SetupRecord> {
    match view.record(RecordKey::head(birth))? {
        Record::Setup(setup) => Ok(setup),
        _ => Err(Stop::Gone),
    }
}

/// An attempt: in its intent's record while it is the latest, then in a record of its own.
///
/// # Errors
/// [`Stop`].
pub fn attempt<'a>(view: &View<'a>, birth: u64, number: u16) -> Rendered<&'a AttemptRecord> {
    let latest = find(view, birth)?.attempt.as_ref();
    if let Some(attempt) = latest.filter(|attempt| attempt.number == number) {
        return Ok(attempt);
    }
    match view.record(attempt_key(birth, number))? {
        Record::SetupAttempt(record) => Ok(&record.attempt),
        _ => Err(Stop::Gone),
    }
}

/// The id of an attempt.
pub fn attempt_id(birth: u64, number: u16) -> ObjectId {
    RecordKey::head(birth).id(ObjectKind::SetupAttempt, number)
}

/// The payment method that an attempt was made with, if it can still be shown.
fn method_of<'a>(
    view: &View<'a>,
    attempt: &AttemptRecord,
) -> Rendered<Option<(MethodRef, payment_method::Source<'a>)>> {
    match payment_method::source(view, &attempt.method) {
        Ok(source) => Ok(Some((attempt.method, source))),
        Err(Stop::Gone) => Ok(None),
        Err(stop) => Err(stop),
    }
}

fn options(options: Option<CardOptions>) -> MethodOptions {
    let request = options.and_then(|options| options.three_d_secure).unwrap_or_default();
    MethodOptions {
        card: CardOptionsShown {
            mandate_options: None,
            network: None,
            request_three_d_secure: authentication::requested(request),
        },
    }
}

/// The setup intent of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let setup = find(view, id.birth)?;
    let texts = view.texts(&setup.private);
    let words = Words::new(&texts, "");
    let tried = match (setup.last_error, &setup.attempt) {
        (Some(_), Some(attempt)) => method_of(view, attempt)?,
        _ => None,
    };
    let last_setup_error = setup.last_error.map(|error| {
        decline::last_error(view, error.recipe, Tried::Setup, tried.as_ref().map(|(place, source)| (*place, source)))
    });
    let own_id = view.id(id);
    sink.put(&SetupIntent {
        id: own_id,
        object: "setup_intent",
        allowed_payment_method_types: (!setup.method_types.is_empty()).then_some(&setup.method_types),
        application: (!setup.owner.is_platform()).then(|| view.application()),
        automatic_payment_methods: setup.automatic_methods.map(AutomaticMethods::new),
        cancellation_reason: setup.cancellation_reason.map(reason),
        client_secret: ClientSecret { id: own_id, secrets: view.secrets },
        created: setup.made.at.seconds(),
        customer: setup.customer.map(|birth| view.customer_id(birth)),
        customer_account: None,
        description: words.get("description"),
        excluded_payment_method_types: None,
        flow_directions: None,
        last_setup_error,
        latest_attempt: setup.attempt.as_ref().map(|attempt| view.id(&attempt_id(id.birth, attempt.number))),
        livemode: false,
        mandate: None,
        metadata: words.metadata(),
        next_action: next_action(view, own_id, setup.status, setup.authentication, words),
        on_behalf_of: setup.on_behalf_of.map(|account| view.account_id(account)),
        payment_method: setup.method.map(|method| view.method_id(&method)),
        payment_method_configuration_details: None,
        payment_method_options: options(setup.options),
        payment_method_types: MethodTypes(&setup.method_types),
        single_use_mandate: None,
        status: status(setup.status),
        usage: future_usage(setup.usage),
    })
}

/// The attempt of an id.
///
/// # Errors
/// [`Stop`].
pub fn render_attempt<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let setup = find(view, id.birth)?;
    let attempt = attempt(view, id.birth, id.slot)?;
    let tried = if attempt.error.is_some() { method_of(view, attempt)? } else { None };
    let setup_error = attempt.error.map(|error| {
        decline::last_error(view, error.recipe, Tried::Setup, tried.as_ref().map(|(place, source)| (*place, source)))
    });
    let card = &attempt.card;
    sink.put(&SetupAttempt {
        id: view.id(id),
        object: "setup_attempt",
        application: (!setup.owner.is_platform()).then(|| view.application()),
        created: attempt.made.at.seconds(),
        customer: attempt.customer.map(|birth| view.customer_id(birth)),
        customer_account: None,
        flow_directions: None,
        livemode: false,
        on_behalf_of: setup.on_behalf_of.map(|account| view.account_id(account)),
        payment_method: view.method_id(&attempt.method),
        payment_method_details: Details {
            card: CardDetails {
                brand: brand(card.brand),
                checks: checks(card),
                country: card.country.code().to_owned(),
                exp_month: card.exp_month,
                exp_year: card.exp_year,
                fingerprint: hex(&card.fingerprint),
                funding: funding(card.funding),
                last4: Last4(card.last4),
                network: brand(card.brand),
                three_d_secure: attempt.three_d_secure.map(|how| authentication::three_d_secure(how, card.brand)),
                wallet: None,
            },
            r#type: "card",
        },
        setup_error,
        setup_intent: view.id(&setup_id(id.birth)),
        status: match attempt.status {
            SetupAttemptStatus::RequiresAction => "requires_action",
            SetupAttemptStatus::Succeeded => "succeeded",
            SetupAttemptStatus::Failed => "failed",
            SetupAttemptStatus::Abandoned => "abandoned",
        },
        usage: future_usage(setup.usage),
    })
}
