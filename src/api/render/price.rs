//! `price`.

use serde::Serialize;

use super::super::view::{Id, Stop, View};
use super::{Hash, Rendered, Sink, Words};
use crate::domain::catalog::{Interval, PriceRecord, TaxBehavior, UnitAmount, product_id};
use crate::domain::record::{Record, RecordKey};
use crate::primitives::id::ObjectId;

#[derive(Serialize)]
struct Price<'a> {
    id: Id,
    object: &'static str,
    active: bool,
    billing_scheme: &'static str,
    created: i64,
    currency: &'static str,
    custom_unit_amount: Option<&'static str>,
    livemode: bool,
    lookup_key: Option<&'a str>,
    metadata: Hash<'a>,
    nickname: Option<&'a str>,
    product: Id,
    recurring: Option<Recurring>,
    tax_behavior: Option<&'static str>,
    tiers_mode: Option<&'static str>,
    transform_quantity: Option<&'static str>,
    r#type: &'static str,
    unit_amount: Option<i64>,
    unit_amount_decimal: String,
}

#[derive(Serialize)]
struct Recurring {
    interval: &'static str,
    interval_count: u16,
    meter: Option<&'static str>,
    trial_period_days: Option<u32>,
    usage_type: &'static str,
}

/// An interval's word.
pub fn interval(interval: Interval) -> &'static str {
    match interval {
        Interval::Day => "day",
        Interval::Week => "week",
        Interval::Month => "month",
        Interval::Year => "year",
    }
}

fn tax_behavior(behavior: TaxBehavior) -> &'static str {
    match behavior {
        TaxBehavior::Exclusive => "exclusive",
        TaxBehavior::Inclusive => "inclusive",
        TaxBehavior::Unspecified => "unspecified",
    }
}

/// `one_time`, or `recurring`.
pub fn kind(price: &PriceRecord) -> &'static str {
    if price.terms.recurring.is_some() { "recurring" } else { "one_time" }
}

/// The price of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let Record::Price(price) = view.record(RecordKey::of(id))? else { return Err(Stop::Gone) };
    let texts = view.texts(&price.private);
    let words = Words::new(&texts, "");
    let (unit_amount, unit_amount_decimal) = match &price.terms.amount {
        UnitAmount::Whole(minor) => (Some(*minor), minor.to_string()),
        UnitAmount::Fraction(text) => (None, text.clone()),
    };
    sink.put(&Price {
        id: view.id(id),
        object: "price",
        active: price.active,
        billing_scheme: "per_unit",
        created: price.made.at.seconds(),
        currency: price.terms.currency.code(),
        custom_unit_amount: None,
        livemode: false,
        lookup_key: words.get("lookup_key"),
        metadata: words.metadata(),
        nickname: words.get("nickname"),
        product: view.id(&product_id(price.product)),
        recurring: price.terms.recurring.map(|recurring| Recurring {
            interval: interval(recurring.interval),
            interval_count: recurring.count,
            meter: None,
            trial_period_days: None,
            usage_type: "licensed",
        }),
        tax_behavior: price.tax_behavior.map(tax_behavior),
        tiers_mode: None,
        transform_quantity: None,
        r#type: kind(price),
        unit_amount,
        unit_amount_decimal,
    })
}
