//! `/v1/setup_intents` and `/v1/setup_attempts`.

use super::super::error::ApiError;
use super::super::expansion::{SETUP_ATTEMPT, SETUP_INTENT};
use super::super::fields::Fields;
use super::super::list::{self, Listed, SETUPS};
use super::super::paging::Range;
use super::super::payer;
use super::super::render::setup_intent::{attempt_id, find};
use super::super::request::Call;
use super::super::respond;
use super::super::texts::Texts;
use super::super::view::{Stage, render as painted};
use super::payment_intents::{FUTURE_USAGES, THREE_D_SECURE_REQUESTS, automatic_methods, method_types};
use super::{Answered, customer, expansion, methods, must_own, paging};
use crate::domain::command::{Command, SetupInput};
use crate::domain::decide::{Class, Kinds};
use crate::domain::record::{CancellationReason, CardOptions, MethodRef, RecordKey};
use crate::primitives::id::{ObjectId, ObjectKind};

/// Attempts are listed whole, from their intent.
const ATTEMPTS: Listed = Listed { classes: &[Class::Setup], bit: Kinds::SETUP, noun: "setup_attempt" };

fn id(call: &Call) -> Result<ObjectId, ApiError> {
    call.path_id(0, &[ObjectKind::SetupIntent], "setupintent", "intent")
}

/// What is accepted and changes nothing yet, and what would: that is refused.
fn ignore_unused(fields: &Fields<'_>) -> Result<(), ApiError> {
    for name in ["excluded_payment_method_types", "mandate_data", "payment_method_configuration"] {
        fields.ignore(name);
    }
    if fields.boolean("attach_to_self")? == Some(true) || fields.is_given("flow_directions") {
        let message = "Florin sets payment methods up for payments by customers only: leave `attach_to_self` and \
                       `flow_directions` out.";
        return Err(ApiError::malformed(message));
    }
    if fields.is_given("single_use") {
        let message = "Florin sets payment methods up for any number of payments: leave `single_use` out.";
        return Err(ApiError::invalid("single_use", message));
    }
    Ok(())
}

/// `payment_method_options[card]`, as far as it concerns a setup.
fn options(fields: &Fields<'_>) -> Result<Option<CardOptions>, ApiError> {
    let Some(options) = fields.hash("payment_method_options")? else { return Ok(None) };
    let card = options.hash("card")?;
    options.ignore_rest();
    let Some(card) = card else { return Ok(None) };
    let three_d_secure = card.one_of("request_three_d_secure", &THREE_D_SECURE_REQUESTS)?;
    for name in ["mandate_options", "moto", "network", "setup_credential_usage", "three_d_secure"] {
        card.ignore(name);
    }
    Ok(Some(CardOptions { three_d_secure, ..CardOptions::default() }))
}

/// The payment method, by name or as data.
async fn method(call: &Call, fields: &Fields<'_>, input: &mut SetupInput, texts: &mut Texts) -> Result<(), ApiError> {
    fields.at_most_one(&["payment_method", "payment_method_data"])?;
    if fields.is_unset("payment_method") {
        input.clear_method = Some(true);
        return Ok(());
    }
    input.method = match methods::given(call, fields, "payment_method")? {
        Some(method) => Some(method),
        None => methods::data(call, fields, texts).await?,
    };
    Ok(())
}

/// What confirming looks at.
fn confirmation(fields: &Fields<'_>, input: &mut SetupInput, texts: &mut Texts) -> Result<(), ApiError> {
    if let Some(url) = payer::return_url(fields)? {
        input.return_url = true;
        texts.set("return_url", url);
    }
    input.by_sdk = fields.boolean("use_stripe_sdk")?.filter(|by_sdk| *by_sdk);
    Ok(())
}

fn shared_texts(fields: &Fields<'_>, texts: &mut Texts) -> Result<(), ApiError> {
    texts.text(fields, "description")?;
    texts.metadata(fields)
}

/// POST /v1/setup_intents
pub async fn create(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &SETUP_INTENT)?;
    let mut texts = Texts::default();
    let mut input = SetupInput {
        confirm: fields.boolean("confirm")?.unwrap_or(false),
        customer: customer(&call, &fields)?,
        usage: fields.one_of("usage", &FUTURE_USAGES)?,
        automatic_methods: automatic_methods(&fields)?,
        method_types: method_types(&fields)?,
        options: options(&fields)?,
        ..SetupInput::default()
    };
    super::payment_intents::only_with_confirm(&fields, input.confirm, &["return_url", "use_stripe_sdk"])?;
    confirmation(&fields, &mut input, &mut texts)?;
    if let Some(account) = fields.text("on_behalf_of")? {
        input.on_behalf_of = Some(call.body_account(account, "account", "on_behalf_of"));
    }
    shared_texts(&fields, &mut texts)?;
    method(&call, &fields, &mut input, &mut texts).await?;
    ignore_unused(&fields)?;
    if input.method_types.is_empty() && !fields.is_given("automatic_payment_methods") {
        input.automatic_methods = Some(true);
    }
    fields.finish()?;
    respond::submit(&call, Command::CreateSetup(Box::new(input)), texts.into_patch(), &expand).await
}

/// GET /v1/setup_intents/{intent}
pub async fn retrieve(call: Call) -> Answered {
    let id = id(&call)?;
    let fields = call.fields();
    payer::admit(&call, &fields)?;
    let expand = payer::expansion(&call, &fields, &SETUP_INTENT)?;
    fields.finish()?;
    payer::shown(&call, super::shown(&call, id, &expand, "setupintent", "intent").await)
}

/// POST /v1/setup_intents/{intent}
pub async fn update(call: Call) -> Answered {
    let setup = id(&call)?.birth;
    let fields = call.fields();
    let expand = expansion(&fields, &SETUP_INTENT)?;
    let mut texts = Texts::default();
    let mut input = SetupInput {
        customer: customer(&call, &fields)?,
        method_types: method_types(&fields)?,
        options: options(&fields)?,
        ..SetupInput::default()
    };
    shared_texts(&fields, &mut texts)?;
    method(&call, &fields, &mut input, &mut texts).await?;
    ignore_unused(&fields)?;
    fields.finish()?;
    let input = Box::new(input);
    respond::submit(&call, Command::UpdateSetup { setup, input }, texts.into_patch(), &expand).await
}

/// POST /v1/setup_intents/{intent}/confirm
pub async fn confirm(call: Call) -> Answered {
    let setup = id(&call)?.birth;
    let fields = call.fields();
    payer::admit(&call, &fields)?;
    let expand = payer::expansion(&call, &fields, &SETUP_INTENT)?;
    let mut texts = Texts::default();
    let mut input = SetupInput {
        confirm: true,
        method_types: method_types(&fields)?,
        options: options(&fields)?,
        ..SetupInput::default()
    };
    confirmation(&fields, &mut input, &mut texts)?;
    method(&call, &fields, &mut input, &mut texts).await?;
    ignore_unused(&fields)?;
    fields.finish()?;
    let input = Box::new(input);
    let answered = respond::submit(&call, Command::ConfirmSetup { setup, input }, texts.into_patch(), &expand).await;
    payer::shown(&call, answered)
}

/// POST /v1/setup_intents/{intent}/cancel
pub async fn cancel(call: Call) -> Answered {
    let setup = id(&call)?.birth;
    let fields = call.fields();
    let expand = expansion(&fields, &SETUP_INTENT)?;
    let reasons = [
        ("abandoned", CancellationReason::Abandoned),
        ("duplicate", CancellationReason::Duplicate),
        ("requested_by_customer", CancellationReason::RequestedByCustomer),
    ];
    let reason = fields.one_of("cancellation_reason", &reasons)?;
    fields.finish()?;
    respond::submit(&call, Command::CancelSetup { setup, reason }, Default::default(), &expand).await
}

/// GET /v1/setup_intents
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &SETUP_INTENT)?;
    let created = Range::parse(&fields, "created")?;
    let customer = customer(&call, &fields)?;
    let method = fields.text("payment_method")?.map(|text| {
        let id = call.body_id(text, &[ObjectKind::PaymentMethod], "PaymentMethod", "payment_method");
        MethodRef { key: RecordKey::of(&id), slot: id.slot }
    });
    // Florin makes none for itself.
    let none = fields.boolean("attach_to_self")? == Some(true);
    fields.finish()?;
    let mut stage = Stage::default();
    let ids = list::walk(&call, SETUPS, &page, &created, &mut stage, |view, id| {
        let setup = find(view, id.birth)?;
        Ok(!none && (customer.is_none() || setup.customer == customer) && (method.is_none() || setup.method == method))
    })
    .await?;
    list::respond(&call, ids, &mut stage, &expand, "/v1/setup_intents").await
}

/// GET /v1/setup_attempts
pub async fn attempts(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &SETUP_ATTEMPT)?;
    let created = Range::parse(&fields, "created")?;
    let text = fields.or_defer("setup_intent", fields.text("setup_intent")?, "");
    let setup = call.body_id(text, &[ObjectKind::SetupIntent], "setupintent", "setup_intent");
    fields.finish()?;
    call.check_deferred()?;
    let mut stage = Stage::default();
    must_own(&call, &mut stage, &setup, "setupintent", "setup_intent").await?;
    let made = painted(call.platform(), call.secrets(), &mut stage, |view| {
        Ok(find(view, setup.birth)?.attempt.as_ref().map_or(0, |latest| u32::from(latest.number) + 1))
    });
    let made = made.await?.unwrap_or_default();
    let all =
        (0..u16::try_from(made).unwrap_or(u16::MAX)).rev().map(|number| attempt_id(setup.birth, number)).collect();
    let all = list::made_within(&call, &mut stage, all, &created).await?;
    let ids = list::cut(call.platform().ids(), ATTEMPTS, &page, all)?;
    list::respond(&call, ids, &mut stage, &expand, "/v1/setup_attempts").await
}
