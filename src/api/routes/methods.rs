//! `/v1/payment_methods`, and how any request names or brings a payment method.

use super::super::cards::{self, BadCard, RawCard};
use super::super::error::{ApiError, Fate};
use super::super::expand::Expand;
use super::super::expansion::PAYMENT_METHOD;
use super::super::fields::Fields;
use super::super::keys::KeyKind;
use super::super::list::{self, METHODS};
use super::super::render::{Rendered, ToBytes, payment_method};
use super::super::request::Call;
use super::super::respond::{self, Done};
use super::super::texts::Texts;
use super::super::view::{Stage, View, render as painted};
use super::{Answered, customer, expansion, paging, retrieve as read};
use crate::domain::command::{Command, MethodInput};
use crate::domain::record::{MethodRef, Record, RecordKey};
use crate::primitives::id::{ObjectId, ObjectKind};

const KINDS: &[ObjectKind] = &[ObjectKind::PaymentMethod];

fn id(call: &Call) -> Result<ObjectId, ApiError> {
    call.path_id(0, KINDS, "PaymentMethod", "payment_method")
}

fn reference(id: &ObjectId) -> MethodRef {
    MethodRef { key: RecordKey::of(id), slot: id.slot }
}

/// A payment method named by a parameter: an id, a test name, or a token.
///
/// # Errors
/// 400 where it names nothing.
pub fn given(call: &Call, fields: &Fields<'_>, name: &'static str) -> Result<Option<MethodInput>, ApiError> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    named(call, text, &fields.name_of(name)).map(Some)
}

/// The same from its text.
///
/// # Errors
/// 400 where it names nothing.
pub fn named(call: &Call, text: &str, param: &str) -> Result<MethodInput, ApiError> {
    if let Some(card) = cards::named(call.secrets(), text) {
        return Ok(MethodInput::Inline(card));
    }
    let noun = if text.starts_with("tok_") { "token" } else { "PaymentMethod" };
    let id = call.body_id(text, &[ObjectKind::PaymentMethod, ObjectKind::Token], noun, param);
    Ok(match id.kind {
        ObjectKind::Token => MethodInput::Token(id.birth),
        _ => MethodInput::Saved(reference(&id)),
    })
}

/// A card that cannot be used: the request stops, nothing is kept of it.
pub fn bad_card(bad: BadCard) -> ApiError {
    let error = ApiError::card(bad.code, bad.message).with_param(bad.param).with_fate(Fate::Refused);
    match bad.decline_code {
        Some(code) => error.with_decline_code(code),
        None => error,
    }
}

/// A test card like any other.
const STAND_IN: &str = "pm_card_visa";

/// A card given as a hash: its number, or a token. Number and code go no further than here.
///
/// # Errors
/// 402 where the card cannot be used.
pub async fn card(call: &Call, card: &Fields<'_>) -> Result<MethodInput, ApiError> {
    card.ignore("networks");
    if let Some(token) = card.text("token")? {
        return named(call, token, &card.name_of("token"));
    }
    let number = card.required_text("number")?;
    let exp_month = card.required_integer("exp_month")?;
    let exp_year = card.required_integer("exp_year")?;
    let cvc = card.text("cvc")?;
    let now = call.platform().now().await;
    let given = RawCard { number, exp_month, exp_year, cvc };
    let card = match cards::raw(call.secrets(), &given, now) {
        Ok(card) => card,
        Err(bad) => {
            let error = bad_card(bad);
            // It may have expired since it was first given. What goes on in its place is never used.
            call.timely.put(error.clone());
            cards::named(call.secrets(), STAND_IN).ok_or(error)?
        }
    };
    Ok(MethodInput::Inline(card))
}

/// Only cards are served yet.
fn must_be_card(fields: &Fields<'_>) -> Result<(), ApiError> {
    let kind = fields.required_text("type")?;
    if kind == "card" { Ok(()) } else { Err(ApiError::invalid_enum(fields.name_of("type"), ["card"])) }
}

/// `payment_method_data`: a card with its billing details.
///
/// # Errors
/// 400, 402.
pub async fn data(call: &Call, fields: &Fields<'_>, texts: &mut Texts) -> Result<Option<MethodInput>, ApiError> {
    let Some(data) = fields.hash("payment_method_data")? else { return Ok(None) };
    must_be_card(&data)?;
    texts.billing(&data)?;
    texts.metadata(&data)?;
    data.ignore("allow_redisplay");
    data.ignore("radar_options");
    let hash = data.required_hash("card")?;
    card(call, &hash).await.map(Some)
}

/// The customer of a method.
///
/// # Errors
/// `Stop`.
pub fn customer_of(view: &View<'_>, id: &ObjectId) -> Rendered<Option<u64>> {
    Ok(match view.record(RecordKey::of(id))? {
        Record::PaymentMethod(method) => method.customer,
        _ => None,
    })
}

/// Whether a list asks for what there is: cards.
///
/// # Errors
/// 400.
pub fn lists_cards(fields: &Fields<'_>) -> Result<bool, ApiError> {
    fields.ignore("allow_redisplay");
    Ok(fields.text("type")?.is_none_or(|kind| kind == "card"))
}

/// POST /v1/payment_methods
pub async fn create(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &PAYMENT_METHOD)?;
    if fields.is_given("payment_method") {
        return copy(&call, fields, &expand).await;
    }
    must_be_card(&fields)?;
    let mut texts = Texts::default();
    texts.billing(&fields)?;
    texts.metadata(&fields)?;
    fields.ignore("allow_redisplay");
    fields.ignore("radar_options");
    let hash = fields.required_hash("card")?;
    let input = card(&call, &hash).await?;
    fields.finish()?;
    respond::submit(&call, Command::CreateMethod { input, customer: None }, texts.into_patch(), &expand).await
}

/// A copy, on a connected account, of a payment method of the platform (and of the platform's customer, if it has one).
async fn copy(call: &Call, fields: Fields<'_>, expand: &Expand) -> Answered {
    // A publishable key is in everybody's hands: it must not take cards from one account to another.
    if call.key_kind == KeyKind::Publishable {
        return Err(ApiError::secret_key_required());
    }
    let text = fields.required_text("payment_method")?;
    let input = named(call, text, "payment_method")?;
    let customer = customer(call, &fields)?;
    fields.ignore("type");
    fields.finish()?;
    respond::submit(call, Command::CreateMethod { input, customer }, Default::default(), expand).await
}

/// GET /v1/payment_methods/{payment_method}
pub async fn retrieve(call: Call) -> Answered {
    let name = call.path_text(0);
    let test_card = cards::named(call.secrets(), name).filter(|_| name.starts_with("pm_"));
    let Some(card) = test_card else {
        return read(&call, id(&call)?, &PAYMENT_METHOD, "PaymentMethod", "payment_method").await;
    };
    // A test name stands for no object: each use of it makes one. Looking at it makes none, so that there is nothing
    // to expand either.
    let fields = call.fields();
    expansion(&fields, &PAYMENT_METHOD)?;
    fields.finish()?;
    let mut stage = Stage::default();
    let paint = |view: &View<'_>| payment_method::render_test_card(view, name, &card, ToBytes);
    let body = painted(call.platform(), call.secrets(), &mut stage, paint).await?;
    body.map(Done::json).ok_or_else(ApiError::internal)
}

/// POST /v1/payment_methods/{payment_method}
pub async fn update(call: Call) -> Answered {
    let method = reference(&id(&call)?);
    let fields = call.fields();
    let expand = expansion(&fields, &PAYMENT_METHOD)?;
    let mut texts = Texts::default();
    texts.billing(&fields)?;
    texts.metadata(&fields)?;
    fields.ignore("allow_redisplay");
    let (mut exp_month, mut exp_year) = (None, None);
    if let Some(card) = fields.hash("card")? {
        card.ignore("networks");
        exp_month = card.integer_within("exp_month", 1, 12)?.and_then(|month| u8::try_from(month).ok());
        exp_year = card.integer_within("exp_year", 1970, 2200)?.and_then(|year| u16::try_from(year).ok());
    }
    fields.finish()?;
    let command = Command::UpdateMethod { method, exp_month, exp_year };
    respond::submit(&call, command, texts.into_patch(), &expand).await
}

/// GET /v1/payment_methods
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &PAYMENT_METHOD)?;
    let only_cards = lists_cards(&fields)?;
    let customer = customer(&call, &fields)?;
    fields.finish()?;
    let mut stage = Stage::default();
    let ids = list::walk(&call, METHODS, &page, &None, &mut stage, |view, id| {
        Ok(only_cards && (customer.is_none() || customer_of(view, id)? == customer))
    })
    .await?;
    list::respond(&call, ids, &mut stage, &expand, "/v1/payment_methods").await
}

/// POST /v1/payment_methods/{payment_method}/attach
pub async fn attach(call: Call) -> Answered {
    let method = match cards::named(call.secrets(), call.path_text(0)) {
        Some(card) => MethodInput::Inline(card),
        None => MethodInput::Saved(reference(&id(&call)?)),
    };
    let fields = call.fields();
    let expand = expansion(&fields, &PAYMENT_METHOD)?;
    let customer = customer(&call, &fields)?.ok_or_else(|| ApiError::missing("customer"))?;
    fields.finish()?;
    respond::submit(&call, Command::AttachMethod { method, customer }, Default::default(), &expand).await
}

/// POST /v1/payment_methods/{payment_method}/detach
pub async fn detach(call: Call) -> Answered {
    let method = reference(&id(&call)?);
    let fields = call.fields();
    let expand = expansion(&fields, &PAYMENT_METHOD)?;
    fields.finish()?;
    respond::submit(&call, Command::DetachMethod { method }, Default::default(), &expand).await
}
