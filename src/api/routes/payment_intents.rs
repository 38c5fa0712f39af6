//! `/v1/payment_intents`.

use super::super::error::{ApiError, Place};
use super::super::expansion::PAYMENT_INTENT;
use super::super::fields::{Fields, Patch};
use super::super::list::{self, INTENTS};
use super::super::paging::Range;
use super::super::payer;
use super::super::request::Call;
use super::super::respond;
use super::super::texts::Texts;
use super::super::view::Stage;
use super::{Answered, amount, currency, customer, expansion, methods, paging};
use crate::domain::command::{Command, IntentInput};
use crate::domain::record::{
    CancellationReason, CaptureMethod, CardOptions, CardUsage, FutureUsage, ThreeDSecureRequest,
};
use crate::primitives::id::{ObjectId, ObjectKind};

const CAPTURE_METHODS: [(&str, CaptureMethod); 3] = [
    ("automatic", CaptureMethod::Automatic),
    ("automatic_async", CaptureMethod::AutomaticAsync),
    ("manual", CaptureMethod::Manual),
];
/// `usage`, `setup_future_usage`.
pub const FUTURE_USAGES: [(&str, FutureUsage); 2] =
    [("off_session", FutureUsage::OffSession), ("on_session", FutureUsage::OnSession)];
const CARD_USAGES: [(&str, CardUsage); 3] =
    [("none", CardUsage::None), ("off_session", CardUsage::OffSession), ("on_session", CardUsage::OnSession)];
/// `request_three_d_secure`.
pub const THREE_D_SECURE_REQUESTS: [(&str, ThreeDSecureRequest); 3] = [
    ("automatic", ThreeDSecureRequest::Automatic),
    ("any", ThreeDSecureRequest::Any),
    ("challenge", ThreeDSecureRequest::Challenge),
];

fn id(call: &Call) -> Result<ObjectId, ApiError> {
    call.path_id(0, &[ObjectKind::PaymentIntent], "payment_intent", "intent")
}

/// What is accepted and changes nothing yet.
fn ignore_unused(fields: &Fields<'_>) {
    for name in [
        "amount_details",
        "excluded_payment_method_types",
        "hooks",
        "mandate",
        "mandate_data",
        "payment_details",
        "payment_method_configuration",
        "radar_options",
    ] {
        fields.ignore(name);
    }
}

/// Texts that create and update share.
fn shared_texts(fields: &Fields<'_>, texts: &mut Texts) -> Result<(), ApiError> {
    texts.texts(fields, &["description", "transfer_group"])?;
    texts.email(fields, "receipt_email")?;
    texts.descriptor(fields, "statement_descriptor")?;
    texts.descriptor(fields, "statement_descriptor_suffix")?;
    texts.shipping(fields)?;
    texts.metadata(fields)
}

/// Payment method types: the current name and the one that older clients send.
///
/// # Errors
/// 400.
pub fn method_types(fields: &Fields<'_>) -> Result<Vec<String>, ApiError> {
    fields.at_most_one(&["allowed_payment_method_types", "payment_method_types"])?;
    let types = match fields.texts("allowed_payment_method_types")? {
        Some(types) => Some(types),
        None => fields.texts("payment_method_types")?,
    };
    Ok(types.unwrap_or_default().into_iter().map(str::to_owned).collect())
}

/// `automatic_payment_methods`: whether redirects are allowed.
///
/// # Errors
/// 400.
pub fn automatic_methods(fields: &Fields<'_>) -> Result<Option<bool>, ApiError> {
    let Some(hash) = fields.hash("automatic_payment_methods")? else { return Ok(None) };
    let enabled = hash.boolean("enabled")?.ok_or_else(|| ApiError::missing(hash.name_of("enabled")))?;
    let redirects = hash.one_of("allow_redirects", &[("always", true), ("never", false)])?;
    Ok(enabled.then_some(redirects.unwrap_or(true)))
}

/// Without a word on methods a payment takes whatever there is, redirects included.
fn default_methods(fields: &Fields<'_>, input: &mut IntentInput) {
    if input.method_types.is_empty() && !fields.is_given("automatic_payment_methods") {
        input.automatic_methods = Some(true);
    }
}

/// `off_session`: a flag, or the reason of it.
fn off_session(fields: &Fields<'_>) -> Result<bool, ApiError> {
    let choices = [("true", true), ("false", false), ("one_off", true), ("recurring", true)];
    Ok(fields.one_of("off_session", &choices)?.unwrap_or(false))
}

/// The payment method, by name or as data.
async fn method(call: &Call, fields: &Fields<'_>, input: &mut IntentInput, texts: &mut Texts) -> Result<(), ApiError> {
    fields.at_most_one(&["payment_method", "payment_method_data"])?;
    if fields.is_unset("payment_method") {
        input.clear_method = true;
        return Ok(());
    }
    input.method = match methods::given(call, fields, "payment_method")? {
        Some(method) => Some(method),
        None => methods::data(call, fields, texts).await?,
    };
    Ok(())
}

/// What confirming looks at.
fn confirmation(fields: &Fields<'_>, input: &mut IntentInput, texts: &mut Texts) -> Result<(), ApiError> {
    input.off_session = off_session(fields)?;
    input.error_on_requires_action = fields.boolean("error_on_requires_action")?.unwrap_or(false);
    if let Some(url) = payer::return_url(fields)? {
        input.return_url = true;
        texts.set("return_url", url);
    }
    input.by_sdk = fields.boolean("use_stripe_sdk")?.filter(|by_sdk| *by_sdk);
    Ok(())
}

/// What says how to confirm says nothing without a confirmation.
///
/// # Errors
/// 400.
pub fn only_with_confirm(fields: &Fields<'_>, confirm: bool, names: &[&'static str]) -> Result<(), ApiError> {
    match names.iter().find(|name| !confirm && fields.is_given(name)) {
        None => Ok(()),
        Some(name) => {
            let message = format!(
                "`{name}` belongs to a confirmation: give it with `confirm` = true, or later with the call that confirms."
            );
            Err(ApiError::invalid(fields.name_of(name), message))
        }
    }
}

/// `payment_method_options`: only cards are there, so only what is said of cards counts.
fn options(fields: &Fields<'_>) -> Result<Option<CardOptions>, ApiError> {
    let Some(options) = fields.hash("payment_method_options")? else { return Ok(None) };
    let card = options.hash("card")?;
    options.ignore_rest();
    let Some(card) = card else { return Ok(None) };
    let given = CardOptions {
        three_d_secure: card.one_of("request_three_d_secure", &THREE_D_SECURE_REQUESTS)?,
        capture_manual: match card.clearable_one_of("capture_method", &[("manual", true)])? {
            Patch::Keep => None,
            Patch::Clear => Some(false),
            Patch::Set(manual) => Some(manual),
        },
        future_usage: card.one_of("setup_future_usage", &CARD_USAGES)?,
    };
    for name in [
        "cvc_token",
        "installments",
        "mandate_options",
        "moto",
        "network",
        "request_extended_authorization",
        "request_incremental_authorization",
        "request_multicapture",
        "request_overcapture",
        "require_cvc_recollection",
        "setup_credential_usage",
        "statement_descriptor_suffix_kana",
        "statement_descriptor_suffix_kanji",
        "stored_credential_usage",
        "three_d_secure",
    ] {
        card.ignore(name);
    }
    Ok(Some(given))
}

/// `setup_future_usage`, which an update may unset.
fn future_usage(fields: &Fields<'_>, input: &mut IntentInput) -> Result<(), ApiError> {
    match fields.clearable_one_of("setup_future_usage", &FUTURE_USAGES)? {
        Patch::Keep => {}
        Patch::Clear => input.clear_future_usage = Some(true),
        Patch::Set(usage) => input.setup_future_usage = Some(usage),
    }
    Ok(())
}

/// The rule of an id or a name.
async fn split_rule(call: &Call, fields: &Fields<'_>) -> Result<Option<u64>, ApiError> {
    let Some(text) = fields.text("split_rule")? else { return Ok(None) };
    if let Some(id) = call.id_of(text, &[ObjectKind::Split]) {
        return Ok(Some(id.birth));
    }
    match call.platform().split_rule(text).await {
        Some(birth) => Ok(Some(birth)),
        None => Err(ApiError::no_such("split rule", text, fields.name_of("split_rule"), Place::Parameter)),
    }
}

/// `transfer_data`. Only creation names the destination.
fn transfer_data(
    call: &Call,
    fields: &Fields<'_>,
    creating: bool,
    input: &mut IntentInput,
    texts: &mut Texts,
) -> Result<(), ApiError> {
    let Some(data) = fields.hash("transfer_data")? else { return Ok(()) };
    if creating {
        let destination = data.or_defer("destination", data.text("destination")?, "");
        let account = call.body_account(destination, "destination", &data.name_of("destination"));
        input.destination = Some(account);
    }
    input.transfer_amount = amount(&data, "amount")?;
    texts.text(&data, "description")?;
    texts.metadata(&data)
}

fn application_fee(fields: &Fields<'_>) -> Result<Option<Option<i64>>, ApiError> {
    match fields.clearable_integer("application_fee_amount")? {
        Patch::Keep => Ok(None),
        Patch::Clear => Ok(Some(None)),
        Patch::Set(amount) if amount < 1 => Err(ApiError::integer_below("application_fee_amount", 1)),
        Patch::Set(amount) => Ok(Some(Some(amount))),
    }
}

/// POST /v1/payment_intents
pub async fn create(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &PAYMENT_INTENT)?;
    let mut texts = Texts::default();
    let mut input = IntentInput {
        amount: Some(fields.or_defer("amount", fields.integer("amount")?, 0)),
        currency: Some(super::required_currency(&fields, "currency")?),
        confirm: fields.boolean("confirm")?.unwrap_or(false),
        customer: customer(&call, &fields)?,
        capture_method: fields.one_of("capture_method", &CAPTURE_METHODS)?,
        confirmation_manual: fields.one_of("confirmation_method", &[("automatic", false), ("manual", true)])?,
        setup_future_usage: fields.one_of("setup_future_usage", &FUTURE_USAGES)?,
        options: options(&fields)?,
        automatic_methods: automatic_methods(&fields)?,
        method_types: method_types(&fields)?,
        application_fee: application_fee(&fields)?,
        split_rule: split_rule(&call, &fields).await?,
        ..IntentInput::default()
    };
    let of_confirmation = ["error_on_requires_action", "off_session", "return_url", "use_stripe_sdk"];
    only_with_confirm(&fields, input.confirm, &of_confirmation)?;
    confirmation(&fields, &mut input, &mut texts)?;
    transfer_data(&call, &fields, true, &mut input, &mut texts)?;
    if let Some(account) = fields.text("on_behalf_of")? {
        input.on_behalf_of = Some(call.body_account(account, "account", "on_behalf_of"));
    }
    shared_texts(&fields, &mut texts)?;
    method(&call, &fields, &mut input, &mut texts).await?;
    ignore_unused(&fields);
    default_methods(&fields, &mut input);
    fields.finish()?;
    respond::submit(&call, Command::CreateIntent(Box::new(input)), texts.into_patch(), &expand).await
}

/// GET /v1/payment_intents/{intent}
pub async fn retrieve(call: Call) -> Answered {
    let id = id(&call)?;
    let fields = call.fields();
    payer::admit(&call, &fields)?;
    let expand = payer::expansion(&call, &fields, &PAYMENT_INTENT)?;
    fields.finish()?;
    payer::shown(&call, super::shown(&call, id, &expand, "payment_intent", "intent").await)
}

/// POST /v1/payment_intents/{intent}
pub async fn update(call: Call) -> Answered {
    let intent = id(&call)?.birth;
    let fields = call.fields();
    let expand = expansion(&fields, &PAYMENT_INTENT)?;
    let mut texts = Texts::default();
    let mut input = IntentInput {
        amount: fields.integer("amount")?,
        currency: currency(&fields, "currency")?,
        customer: customer(&call, &fields)?,
        capture_method: fields.one_of("capture_method", &CAPTURE_METHODS)?,
        options: options(&fields)?,
        method_types: method_types(&fields)?,
        application_fee: application_fee(&fields)?,
        split_rule: split_rule(&call, &fields).await?,
        ..IntentInput::default()
    };
    future_usage(&fields, &mut input)?;
    transfer_data(&call, &fields, false, &mut input, &mut texts)?;
    shared_texts(&fields, &mut texts)?;
    method(&call, &fields, &mut input, &mut texts).await?;
    ignore_unused(&fields);
    fields.finish()?;
    let input = Box::new(input);
    respond::submit(&call, Command::UpdateIntent { intent, input }, texts.into_patch(), &expand).await
}

/// POST /v1/payment_intents/{intent}/confirm
pub async fn confirm(call: Call) -> Answered {
    let intent = id(&call)?.birth;
    let fields = call.fields();
    payer::admit(&call, &fields)?;
    payer::only_from_seller(&call, &fields, &["capture_method", "error_on_requires_action", "off_session"])?;
    let expand = payer::expansion(&call, &fields, &PAYMENT_INTENT)?;
    let mut texts = Texts::default();
    let mut input = IntentInput {
        confirm: true,
        capture_method: fields.one_of("capture_method", &CAPTURE_METHODS)?,
        options: options(&fields)?,
        method_types: method_types(&fields)?,
        by_payer: payer::asks(&call).then_some(true),
        amount_to_confirm: amount(&fields, "amount_to_confirm")?,
        ..IntentInput::default()
    };
    if payer::asks(&call) && input.options.is_some_and(|options| options.capture_manual.is_some()) {
        let message = "How the payment is captured can only be said with a secret key, from your server.";
        return Err(ApiError::invalid("payment_method_options[card][capture_method]", message));
    }
    future_usage(&fields, &mut input)?;
    confirmation(&fields, &mut input, &mut texts)?;
    texts.email(&fields, "receipt_email")?;
    texts.shipping(&fields)?;
    method(&call, &fields, &mut input, &mut texts).await?;
    ignore_unused(&fields);
    fields.finish()?;
    let input = Box::new(input);
    let answered = respond::submit(&call, Command::ConfirmIntent { intent, input }, texts.into_patch(), &expand).await;
    payer::shown(&call, answered)
}

/// POST /v1/payment_intents/{intent}/capture
pub async fn capture(call: Call) -> Answered {
    let intent = id(&call)?.birth;
    let fields = call.fields();
    let expand = expansion(&fields, &PAYMENT_INTENT)?;
    let mut texts = Texts::default();
    texts.descriptor(&fields, "statement_descriptor")?;
    texts.descriptor(&fields, "statement_descriptor_suffix")?;
    texts.metadata(&fields)?;
    let transfer_amount = match fields.hash("transfer_data")? {
        Some(data) => amount(&data, "amount")?,
        None => None,
    };
    let command = Command::CaptureIntent {
        intent,
        amount: amount(&fields, "amount_to_capture")?,
        application_fee: amount(&fields, "application_fee_amount")?,
        transfer_amount,
    };
    if fields.boolean("final_capture")? == Some(false) {
        let message = "Only one capture of a payment is possible: leave `final_capture` out or set it to true.";
        return Err(ApiError::invalid("final_capture", message));
    }
    ignore_unused(&fields);
    fields.finish()?;
    respond::submit(&call, command, texts.into_patch(), &expand).await
}

/// POST /v1/payment_intents/{intent}/cancel
pub async fn cancel(call: Call) -> Answered {
    let intent = id(&call)?.birth;
    let fields = call.fields();
    let expand = expansion(&fields, &PAYMENT_INTENT)?;
    let reasons = [
        ("abandoned", CancellationReason::Abandoned),
        ("duplicate", CancellationReason::Duplicate),
        ("fraudulent", CancellationReason::Fraudulent),
        ("requested_by_customer", CancellationReason::RequestedByCustomer),
    ];
    let reason = fields.one_of("cancellation_reason", &reasons)?;
    fields.finish()?;
    respond::submit(&call, Command::CancelIntent { intent, reason }, Default::default(), &expand).await
}

/// GET /v1/payment_intents
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &PAYMENT_INTENT)?;
    let created = Range::parse(&fields, "created")?;
    let customer = customer(&call, &fields)?;
    fields.finish()?;
    let mut stage = Stage::default();
    let ids = list::walk(&call, INTENTS, &page, &created, &mut stage, |view, id| {
        let Some(customer) = customer else { return Ok(true) };
        Ok(view.flow(id.birth)?.intent.as_ref().and_then(|intent| intent.customer) == Some(customer))
    })
    .await?;
    list::respond(&call, ids, &mut stage, &expand, "/v1/payment_intents").await
}
