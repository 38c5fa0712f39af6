//! `/v1/prices`.

use rust_decimal::Decimal;

use super::super::error::{ApiError, echo};
use super::super::expansion::PRICE;
use super::super::fields::Fields;
use super::super::list::{self, PRICES};
use super::super::paging::Range;
use super::super::render::price;
use super::super::request::Call;
use super::super::respond;
use super::super::texts::Texts;
use super::super::view::{Stage, Stop};
use super::{Answered, currency, expansion, paging, products, required_currency, retrieve as read};
use crate::domain::catalog::{Interval, PriceInput, PriceTerms, Recurring, TaxBehavior, UnitAmount};
use crate::domain::command::Command;
use crate::domain::record::{Record, RecordKey};
use crate::domain::seal::TextPatch;
use crate::primitives::id::{ObjectId, ObjectKind};

/// The largest price of one unit, in minor units.
const UNIT_AMOUNT_MAX: i64 = 99_999_999;
const DECIMALS_MAX: u32 = 12;
const LOOKUP_KEYS_MAX: usize = 10;
const LOOKUP_KEY_CHARS_MAX: usize = 200;
/// Nothing is asked for more rarely than every three years, by interval.
const INTERVALS: [(&str, Interval, i64); 4] = [
    ("day", Interval::Day, 3 * 365),
    ("week", Interval::Week, 3 * 52),
    ("month", Interval::Month, 36),
    ("year", Interval::Year, 3),
];
const TAX_BEHAVIORS: [(&str, TaxBehavior); 3] = [
    ("exclusive", TaxBehavior::Exclusive),
    ("inclusive", TaxBehavior::Inclusive),
    ("unspecified", TaxBehavior::Unspecified),
];

fn id(call: &Call) -> Result<ObjectId, ApiError> {
    call.path_id(0, &[ObjectKind::Price], "price", "price")
}

fn unit_amount(fields: &Fields<'_>) -> Result<UnitAmount, ApiError> {
    fields.at_most_one(&["unit_amount", "unit_amount_decimal"])?;
    let whole = fields.integer_within("unit_amount", 0, UNIT_AMOUNT_MAX)?;
    let Some(text) = fields.text("unit_amount_decimal")? else {
        return Ok(UnitAmount::Whole(fields.or_defer("unit_amount", whole, 0)));
    };
    let param = fields.name_of("unit_amount_decimal");
    let refuse = || {
        let message = format!(
            "Invalid decimal: {}; must be from 0 to {UNIT_AMOUNT_MAX} minor units with at most {DECIMALS_MAX} decimals",
            echo(text)
        );
        ApiError::invalid(param.clone(), message)
    };
    let decimal: Decimal = text.parse::<Decimal>().map_err(|_| refuse())?.normalize();
    if decimal.is_sign_negative() || decimal.scale() > DECIMALS_MAX || decimal > Decimal::from(UNIT_AMOUNT_MAX) {
        return Err(refuse());
    }
    match decimal.to_string().parse() {
        Ok(minor) => Ok(UnitAmount::Whole(minor)),
        Err(_) => Ok(UnitAmount::Fraction(decimal.to_string())),
    }
}

fn recurring(fields: &Fields<'_>) -> Result<Option<Recurring>, ApiError> {
    let Some(hash) = fields.hash("recurring")? else { return Ok(None) };
    let choices = INTERVALS.map(|(word, interval, most)| (word, (interval, most)));
    let (interval, most) = hash.required_one_of("interval", &choices)?;
    let count = hash.integer_within("interval_count", 1, most)?.unwrap_or(1);
    hash.one_of("usage_type", &[("licensed", ())])?;
    Ok(Some(Recurring { interval, count: u16::try_from(count).unwrap_or(u16::MAX) }))
}

/// What every new price has, wherever it is given.
///
/// # Errors
/// 400.
pub fn terms(fields: &Fields<'_>) -> Result<PriceInput, ApiError> {
    let terms = PriceTerms {
        currency: required_currency(fields, "currency")?,
        amount: unit_amount(fields)?,
        recurring: recurring(fields)?,
    };
    let tax_behavior = fields.one_of("tax_behavior", &TAX_BEHAVIORS)?;
    Ok(PriceInput { product: None, terms, active: None, tax_behavior, product_active: None })
}

/// What create and update share.
fn shared(fields: &Fields<'_>, texts: &mut Texts) -> Result<(), ApiError> {
    texts.text(fields, "nickname")?;
    fields.clearable_text_up_to("lookup_key", LOOKUP_KEY_CHARS_MAX)?;
    texts.text(fields, "lookup_key")?;
    texts.metadata(fields)
}

/// POST /v1/prices
pub async fn create(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &PRICE)?;
    let mut texts = Texts::default();
    fields.at_most_one(&["product", "product_data"])?;
    fields.one_of("billing_scheme", &[("per_unit", ())])?;
    let mut input = PriceInput { active: fields.boolean("active")?, ..terms(&fields)? };
    shared(&fields, &mut texts)?;
    let mut patch = TextPatch::default();
    match (fields.text("product")?, fields.hash("product_data")?) {
        (Some(product), _) => {
            input.product = Some(call.body_id(product, &[ObjectKind::Product], "product", "product").birth);
        }
        (None, Some(product)) => {
            let mut own = Texts::default();
            let name = product.or_defer("name", product.text("name")?, "");
            own.set("product_data[name]", name);
            own.texts(&product, &["unit_label", "tax_code"])?;
            own.descriptor(&product, "statement_descriptor")?;
            own.metadata(&product)?;
            input.product_active = product.boolean("active")?;
            patch = products::beside(own.into_patch(), "product_data");
        }
        (None, None) => fields.or_defer("product", None, ()),
    }
    fields.finish()?;
    let mut all = texts.into_patch();
    all.0.extend(patch.0);
    respond::submit(&call, Command::CreatePrice(Box::new(input)), all, &expand).await
}

/// GET /v1/prices/{price}
pub async fn retrieve(call: Call) -> Answered {
    read(&call, id(&call)?, &PRICE, "price", "price").await
}

/// POST /v1/prices/{price}
pub async fn update(call: Call) -> Answered {
    let price = id(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &PRICE)?;
    let mut texts = Texts::default();
    shared(&fields, &mut texts)?;
    let (active, tax_behavior) = (fields.boolean("active")?, fields.one_of("tax_behavior", &TAX_BEHAVIORS)?);
    fields.finish()?;
    respond::submit(&call, Command::UpdatePrice { price, active, tax_behavior }, texts.into_patch(), &expand).await
}

/// GET /v1/prices
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &PRICE)?;
    let created = Range::parse(&fields, "created")?;
    let (active, currency) = (fields.boolean("active")?, currency(&fields, "currency")?);
    let kind = fields.one_of("type", &[("one_time", "one_time"), ("recurring", "recurring")])?;
    let product = fields.text("product")?;
    let product = product.map(|text| call.body_id(text, &[ObjectKind::Product], "product", "product").birth);
    let lookup_keys = fields.texts("lookup_keys")?;
    if lookup_keys.as_ref().is_some_and(|keys| keys.len() > LOOKUP_KEYS_MAX) {
        return Err(ApiError::invalid("lookup_keys", format!("Give at most {LOOKUP_KEYS_MAX} lookup keys.")));
    }
    let interval = match fields.hash("recurring")? {
        Some(hash) => {
            hash.one_of("usage_type", &[("licensed", ())])?;
            hash.one_of("interval", &INTERVALS.map(|(word, interval, _)| (word, interval)))?
        }
        None => None,
    };
    fields.finish()?;
    let mut stage = Stage::default();
    let ids = list::walk(&call, PRICES, &page, &created, &mut stage, |view, id| {
        let Record::Price(price) = view.record(RecordKey::of(id))? else { return Err(Stop::Gone) };
        if active.is_some_and(|active| active != price.active)
            || currency.is_some_and(|currency| currency != price.terms.currency)
            || kind.is_some_and(|kind| kind != price::kind(price))
            || product.is_some_and(|product| product != price.product)
            || interval.is_some_and(|interval| price.terms.recurring.map(|has| has.interval) != Some(interval))
        {
            return Ok(false);
        }
        let Some(keys) = &lookup_keys else { return Ok(true) };
        let texts = view.texts(&price.private);
        Ok(texts.get("lookup_key").is_some_and(|have| keys.contains(&have)))
    })
    .await?;
    list::respond(&call, ids, &mut stage, &expand, "/v1/prices").await
}
