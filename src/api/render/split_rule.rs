//! `florin.split_rule`: Florin's own.

use serde::Serialize;

use super::super::view::{Id, Stop, View};
use super::{Hash, Rendered, Sink, Words};
use crate::domain::record::{Record, RecordKey, Share as ShareRecord, ShareTerms};
use crate::primitives::exchange::Decimal;
use crate::primitives::id::ObjectId;

#[derive(Serialize)]
struct SplitRule<'a> {
    id: Id,
    object: &'static str,
    created: i64,
    description: Option<&'a str>,
    livemode: bool,
    metadata: Hash<'a>,
    name: &'a str,
    shares: Vec<Share>,
}

#[derive(Serialize)]
struct Share {
    account: Id,
    #[serde(flatten)]
    terms: Terms,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Terms {
    Percent { percent: f64, r#type: &'static str },
    Amount { amount: i64, r#type: &'static str },
    Tiers { tiers: Vec<Tier>, r#type: &'static str },
    Remainder { r#type: &'static str, weight: u32 },
}

#[derive(Serialize)]
struct Tier {
    percent: f64,
    up_to: Option<i64>,
}

/// Millionths as percent: exact, since four decimals survive a float.
fn percent(ppm: u32) -> f64 {
    Decimal::new(i64::from(ppm), 4).to_string().parse().unwrap_or_default()
}

fn share(view: &View<'_>, share: &ShareRecord) -> Share {
    Share {
        account: view.account_id(share.account),
        terms: match &share.terms {
            ShareTerms::Percent(ppm) => Terms::Percent { percent: percent(*ppm), r#type: "percent" },
            ShareTerms::Fixed(amount) => Terms::Amount { amount: *amount, r#type: "amount" },
            ShareTerms::Tiers(tiers) => Terms::Tiers {
                tiers: tiers.iter().map(|tier| Tier { percent: percent(tier.ppm), up_to: tier.up_to }).collect(),
                r#type: "tiers",
            },
            ShareTerms::Remainder(weight) => Terms::Remainder { r#type: "remainder", weight: *weight },
        },
    }
}

/// The split rule of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let Record::SplitRule(rule) = view.record(RecordKey::of(id))? else { return Err(Stop::Gone) };
    let texts = view.texts(&rule.private);
    let words = Words::new(&texts, "");
    sink.put(&SplitRule {
        id: view.id(id),
        object: "florin.split_rule",
        created: rule.made.at.seconds(),
        description: words.get("description"),
        livemode: false,
        metadata: words.metadata(),
        name: &rule.name,
        shares: rule.shares.iter().map(|of| share(view, of)).collect(),
    })
}
