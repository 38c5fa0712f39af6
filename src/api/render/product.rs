//! `product`.

use serde::Serialize;

use super::super::view::{Id, Stop, View};
use super::{Hash, Rendered, Sink, Words};
use crate::domain::catalog::price_id;
use crate::domain::record::{Record, RecordKey};
use crate::domain::seal::Texts;
use crate::primitives::id::ObjectId;

#[derive(Serialize)]
struct Product<'a> {
    id: Id,
    object: &'static str,
    active: bool,
    created: i64,
    default_price: Option<Id>,
    description: Option<&'a str>,
    images: Vec<&'a str>,
    livemode: bool,
    marketing_features: Vec<Feature<'a>>,
    metadata: Hash<'a>,
    name: &'a str,
    package_dimensions: Option<&'static str>,
    shippable: Option<bool>,
    statement_descriptor: Option<&'a str>,
    tax_code: Option<&'a str>,
    tax_details: Option<&'static str>,
    r#type: &'a str,
    unit_label: Option<&'a str>,
    updated: i64,
    url: Option<&'a str>,
}

#[derive(Serialize)]
struct Feature<'a> {
    name: &'a str,
}

/// The product of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let Record::Product(product) = view.record(RecordKey::of(id))? else { return Err(Stop::Gone) };
    if product.deleted {
        return Err(Stop::Gone);
    }
    let texts = view.texts(&product.private);
    let words = Words::new(&texts, "");
    sink.put(&Product {
        id: view.id(id),
        object: "product",
        active: product.active,
        created: product.made.at.seconds(),
        default_price: product.default_price.map(|key| view.id(&price_id(key))),
        description: words.get("description"),
        images: in_order(&texts, "images["),
        livemode: false,
        marketing_features: in_order(&texts, "marketing_features[").into_iter().map(|name| Feature { name }).collect(),
        metadata: words.metadata(),
        name: words.get("name").unwrap_or_default(),
        package_dimensions: None,
        shippable: product.shippable,
        statement_descriptor: words.get("statement_descriptor"),
        tax_code: words.get("tax_code"),
        tax_details: None,
        r#type: words.get("type").unwrap_or("service"),
        unit_label: words.get("unit_label"),
        updated: product.updated_at.seconds(),
        url: words.get("url"),
    })
}

/// Texts that lie under the numbers of a list.
fn in_order<'a>(texts: &'a Texts, start: &'static str) -> Vec<&'a str> {
    let mut found: Vec<(usize, &str)> =
        texts.under(start).filter_map(|(rest, text)| Some((rest.split(']').next()?.parse().ok()?, text))).collect();
    found.sort_unstable();
    found.into_iter().map(|(_, text)| text).collect()
}
