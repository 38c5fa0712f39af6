//! `payment_method`: a saved one from its own record, or the one made inside a flow.

use std::borrow::Cow;

use serde::Serialize;

use super::super::secrets::hex;
use super::super::view::{Id, Stop, View};
use super::{BillingDetails, Hash, Rendered, Sink, Words};
use crate::domain::record::{Brand, Card, Check, Funding, MethodRef, Recipe, Record, RecordKey};
use crate::domain::seal::Texts;
use crate::primitives::id::ObjectId;
use crate::primitives::time::Timestamp;

/// A payment method as it lies in its record, with its texts opened.
pub struct Source<'a> {
    card: &'a Card,
    created: i64,
    customer: Option<u64>,
    texts: Texts,
    /// Where the billing details lie.
    billing: &'static str,
    /// Where the metadata lie.
    metadata: &'static str,
}

/// The card of a method, wherever it lies.
///
/// # Errors
/// A record is missing or is no payment method.
pub fn source<'a>(view: &View<'a>, place: &MethodRef) -> Rendered<Source<'a>> {
    match view.record(place.key)? {
        Record::PaymentMethod(method) => Ok(Source {
            card: &method.card,
            created: method.made.at.seconds(),
            customer: method.customer,
            texts: view.texts(&method.private),
            billing: "billing_details",
            metadata: "metadata",
        }),
        Record::Flow(flow) => {
            let inline = flow.inline_method.as_ref().filter(|inline| inline.slot == place.slot).ok_or(Stop::Gone)?;
            Ok(Source {
                card: &inline.card,
                created: inline.made.at.seconds(),
                customer: None,
                texts: view.texts(&flow.private),
                billing: "pi.payment_method_data[billing_details]",
                metadata: "pi.payment_method_data[metadata]",
            })
        }
        _ => Err(Stop::Gone),
    }
}

/// A test card that no method was made of: each use of its name makes one.
fn unsaved(card: &Card, now: Timestamp) -> Source<'_> {
    Source {
        card,
        created: now.seconds(),
        customer: None,
        texts: Texts::default(),
        billing: "billing_details",
        metadata: "metadata",
    }
}

impl Source<'_> {
    /// The card.
    pub fn card(&self) -> &Card {
        self.card
    }

    /// Who pays.
    pub fn billing(&self) -> BillingDetails<'_> {
        Words::new(&self.texts, "").billing(self.billing)
    }
}

/// `payment_method`.
#[derive(Serialize)]
pub struct Method<'a> {
    id: Cow<'a, str>,
    object: &'static str,
    allow_redisplay: &'static str,
    billing_details: BillingDetails<'a>,
    card: MethodCard,
    created: i64,
    customer: Option<Id>,
    customer_account: Option<&'static str>,
    livemode: bool,
    metadata: Hash<'a>,
    r#type: &'static str,
}

/// `payment_method.card`.
#[derive(Serialize)]
pub struct MethodCard {
    brand: &'static str,
    checks: Checks,
    country: String,
    display_brand: &'static str,
    exp_month: u8,
    exp_year: u16,
    fingerprint: String,
    funding: &'static str,
    generated_from: Option<&'static str>,
    last4: Last4,
    networks: Networks,
    regulated_status: &'static str,
    three_d_secure_usage: ThreeDSecureUsage,
    wallet: Option<&'static str>,
}

#[derive(Serialize)]
struct Networks {
    available: [&'static str; 1],
    preferred: Option<&'static str>,
}

#[derive(Serialize)]
struct ThreeDSecureUsage {
    supported: bool,
}

/// Results of checks.
#[derive(Serialize)]
pub struct Checks {
    address_line1_check: Option<&'static str>,
    address_postal_code_check: Option<&'static str>,
    cvc_check: Option<&'static str>,
}

/// The last four digits, with leading zeros.
#[derive(Clone, Copy, Debug)]
pub struct Last4(pub u16);

impl Serialize for Last4 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut digits = [b'0'; 4];
        let mut rest = self.0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        serializer.serialize_str(std::str::from_utf8(&digits).unwrap_or_default())
    }
}

/// Checks of a card as the API shows them.
pub fn checks(card: &Card) -> Checks {
    Checks { address_line1_check: None, address_postal_code_check: None, cvc_check: check(card.cvc_check) }
}

/// A check's word.
pub fn check(check: Check) -> Option<&'static str> {
    match check {
        Check::Absent => None,
        Check::Pass => Some("pass"),
        Check::Fail => Some("fail"),
        Check::Unchecked => Some("unchecked"),
    }
}

/// A brand's word.
pub fn brand(brand: Brand) -> &'static str {
    match brand {
        Brand::Visa => "visa",
        Brand::Mastercard => "mastercard",
        Brand::Amex => "amex",
        Brand::Discover => "discover",
        Brand::Diners => "diners",
        Brand::Jcb => "jcb",
        Brand::Unionpay => "unionpay",
    }
}

/// A funding's word.
pub fn funding(funding: Funding) -> &'static str {
    match funding {
        Funding::Credit => "credit",
        Funding::Debit => "debit",
        Funding::Prepaid => "prepaid",
    }
}

/// A method, as an object.
pub fn of<'a>(view: &View<'_>, place: &MethodRef, source: &'a Source<'_>) -> Method<'a> {
    named(view, view.method_id(place).as_str().to_owned(), source)
}

fn named<'a>(view: &View<'_>, id: impl Into<Cow<'a, str>>, source: &'a Source<'_>) -> Method<'a> {
    let card = source.card;
    Method {
        id: id.into(),
        object: "payment_method",
        allow_redisplay: "unspecified",
        billing_details: source.billing(),
        card: MethodCard {
            brand: brand(card.brand),
            checks: checks(card),
            country: card.country.code().to_owned(),
            display_brand: brand(card.brand),
            exp_month: card.exp_month,
            exp_year: card.exp_year,
            fingerprint: hex(&card.fingerprint),
            funding: funding(card.funding),
            generated_from: None,
            last4: Last4(card.last4),
            networks: Networks { available: [brand(card.brand)], preferred: None },
            regulated_status: "unregulated",
            three_d_secure_usage: ThreeDSecureUsage { supported: card.recipe != Recipe::AuthenticationUnsupported },
            wallet: None,
        },
        created: source.created,
        customer: source.customer.map(|birth| view.customer_id(birth)),
        customer_account: None,
        livemode: false,
        metadata: Words::new(&source.texts, "").hash(source.metadata),
        r#type: "card",
    }
}

/// A test card under its name, which every parameter takes in place of an id: looking at it makes nothing.
///
/// # Errors
/// [`Stop`].
pub fn render_test_card<S: Sink>(view: &View<'_>, name: &str, card: &Card, sink: S) -> Rendered<S::Out> {
    let source = unsaved(card, view.now()?);
    sink.put(&named(view, name, &source))
}

/// The payment method of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let place = MethodRef { key: RecordKey::of(id), slot: id.slot };
    let source = source(view, &place)?;
    sink.put(&of(view, &place, &source))
}
