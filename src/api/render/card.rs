//! `card`: inside a token, and as the source of a charge.

use serde::Serialize;

use super::super::secrets::hex;
use super::super::view::{Id, View};
use super::payment_method::{Last4, check, funding};
use super::{BillingDetails, Hash, Words};
use crate::domain::record::{Brand, Card as CardRecord, ExternalAccount};
use crate::ledger::AccountNo;
use crate::primitives::id::{ObjectId, ObjectKind};

/// `card`.
#[derive(Serialize)]
pub struct Card<'a> {
    id: Id,
    object: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Id>,
    address_city: Option<&'a str>,
    address_country: Option<&'a str>,
    address_line1: Option<&'a str>,
    address_line1_check: Option<&'static str>,
    address_line2: Option<&'a str>,
    address_state: Option<&'a str>,
    address_zip: Option<&'a str>,
    address_zip_check: Option<&'static str>,
    allow_redisplay: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    available_payout_methods: Option<[&'static str; 2]>,
    brand: &'static str,
    country: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'static str>,
    cvc_check: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_for_currency: Option<bool>,
    dynamic_last4: Option<&'static str>,
    exp_month: u8,
    exp_year: u16,
    fingerprint: String,
    funding: &'static str,
    last4: Last4,
    metadata: Option<Hash<'a>>,
    name: Option<&'a str>,
    networks: Networks,
    regulated_status: &'static str,
    tokenization_method: Option<&'static str>,
}

#[derive(Serialize)]
struct Networks {
    preferred: Option<&'static str>,
}

/// Brands as cards, older than payment methods, spell them.
fn brand(brand: Brand) -> &'static str {
    match brand {
        Brand::Visa => "Visa",
        Brand::Mastercard => "MasterCard",
        Brand::Amex => "American Express",
        Brand::Discover => "Discover",
        Brand::Diners => "Diners Club",
        Brand::Jcb => "JCB",
        Brand::Unionpay => "UnionPay",
    }
}

/// A card that was charged without a payment intent, with its holder's name and address.
pub fn charged<'a>(view: &View<'_>, id: &ObjectId, card: &CardRecord, holder: &BillingDetails<'a>) -> Card<'a> {
    let address = holder.address;
    Card {
        address_city: address.city,
        address_country: address.country,
        address_line1: address.line1,
        address_line2: address.line2,
        address_state: address.state,
        address_zip: address.postal_code,
        name: holder.name,
        ..of(view.id(id), card)
    }
}

/// A debit card that an account's payouts go to.
pub fn external<'a>(
    view: &View<'_>,
    id: &ObjectId,
    external: &ExternalAccount,
    card: &CardRecord,
    owner: AccountNo,
    words: Words<'a>,
) -> Card<'a> {
    Card {
        id: view.id(id),
        account: Some(view.account_id(owner)),
        available_payout_methods: Some(["standard", "instant"]),
        currency: Some(external.currency.code()),
        default_for_currency: Some(external.default_for_currency),
        ..in_token(view, id, card, words)
    }
}

/// A card inside a token.
pub fn in_token<'a>(view: &View<'_>, token: &ObjectId, card: &CardRecord, words: Words<'a>) -> Card<'a> {
    Card {
        address_city: words.get("address_city"),
        address_country: words.get("address_country"),
        address_line1: words.get("address_line1"),
        address_line2: words.get("address_line2"),
        address_state: words.get("address_state"),
        address_zip: words.get("address_zip"),
        metadata: Some(words.metadata()),
        name: words.get("name"),
        ..of(view.id(&ObjectId { kind: ObjectKind::Card, ..*token }), card)
    }
}

/// What the card itself tells.
fn of<'a>(id: Id, card: &CardRecord) -> Card<'a> {
    Card {
        account: None,
        id,
        object: "card",
        address_city: None,
        address_country: None,
        address_line1: None,
        address_line1_check: None,
        address_line2: None,
        address_state: None,
        address_zip: None,
        address_zip_check: None,
        allow_redisplay: "unspecified",
        available_payout_methods: None,
        brand: brand(card.brand),
        country: card.country.code().to_owned(),
        currency: None,
        cvc_check: check(card.cvc_check),
        default_for_currency: None,
        dynamic_last4: None,
        exp_month: card.exp_month,
        exp_year: card.exp_year,
        fingerprint: hex(&card.fingerprint),
        funding: funding(card.funding),
        last4: Last4(card.last4),
        metadata: None,
        name: None,
        networks: Networks { preferred: None },
        regulated_status: "unregulated",
        tokenization_method: None,
    }
}
