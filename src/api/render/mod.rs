//! Objects of the wire, rendered from records.
//!
//! One file per object: a `Serialize` struct with the API's field names, filled from a record by a function that takes
//! a [`View`]. Nothing here decides anything; nothing here is stored.

use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::Value;

use super::view::{Stop, View};
use crate::domain::record::{ATTEMPT_CHILDREN, Record, RecordKey, RowSource};
use crate::domain::seal::Texts;
use crate::ledger::AccountNo;
use crate::primitives::id::{ObjectId, ObjectKind};

pub mod account;
pub mod adjustment;
pub mod api_key;
pub mod application_fee;
pub mod authentication;
pub mod balance;
pub mod balance_settings;
pub mod balance_transaction;
pub mod bank_account;
pub mod capability;
pub mod card;
pub mod charge;
pub mod customer;
pub mod decline;
pub mod dispute;
pub mod event;
pub mod fee_refund;
#[cfg(test)]
mod goldens;
pub mod list;
pub mod payment_intent;
pub mod payment_method;
pub mod payout;
pub mod person;
pub mod price;
pub mod product;
pub mod refund;
pub mod requirements;
pub mod reversal;
pub mod schedule;
pub mod setup_intent;
pub mod split_rule;
pub mod token;
pub mod topup;
pub mod transfer;

/// What a rendering gives: the object in the sink's form, or why not.
pub type Rendered<T> = Result<T, Stop>;

/// Where an object goes: straight to bytes, or to a tree that expansion and comparison work on.
pub trait Sink: Copy {
    /// What comes out.
    type Out;

    /// Takes an object.
    ///
    /// # Errors
    /// [`Stop::Error`] where it cannot be written, which no struct here does.
    fn put(self, object: &impl Serialize) -> Rendered<Self::Out>;
}

/// Straight to bytes.
#[derive(Clone, Copy, Debug)]
pub struct ToBytes;

impl Sink for ToBytes {
    type Out = Vec<u8>;

    fn put(self, object: &impl Serialize) -> Rendered<Vec<u8>> {
        // Most objects fit; a list of reversals grows it.
        let mut bytes = Vec::with_capacity(2560);
        serde_json::to_writer(&mut bytes, object).map_err(|_| super::error::ApiError::internal())?;
        Ok(bytes)
    }
}

/// To a tree.
#[derive(Clone, Copy, Debug)]
pub struct ToTree;

impl Sink for ToTree {
    type Out = Value;

    fn put(self, object: &impl Serialize) -> Rendered<Value> {
        Ok(serde_json::to_value(object).map_err(|_| super::error::ApiError::internal())?)
    }
}

/// The object of an id.
///
/// # Errors
/// [`Stop::Gone`] where there is none.
pub fn object<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    match id.kind {
        ObjectKind::Account => account::render(view, id, sink),
        ObjectKind::Capability => capability::render(view, id, sink),
        ObjectKind::BankAccount | ObjectKind::Card => bank_account::render(view, id, sink),
        ObjectKind::Customer => customer::render(view, id, sink),
        ObjectKind::PaymentMethod => payment_method::render(view, id, sink),
        ObjectKind::Token | ObjectKind::BankAccountToken | ObjectKind::AccountToken | ObjectKind::PersonToken => {
            token::render(view, id, sink)
        }
        ObjectKind::Person => person::render(view, id, sink),
        ObjectKind::PaymentIntent => payment_intent::render(view, id, sink),
        ObjectKind::Charge => charge::render_card(view, id, sink),
        ObjectKind::Payment => charge::render_payment(view, id, sink),
        ObjectKind::Transfer => transfer::render(view, id, sink),
        ObjectKind::TransferReversal => reversal::render(view, id, sink),
        ObjectKind::ApplicationFee => application_fee::render(view, id, sink),
        ObjectKind::FeeRefund => fee_refund::render(view, id, sink),
        ObjectKind::Refund => refund::render_card(view, id, sink),
        ObjectKind::PaymentRefund => refund::render_payment(view, id, sink),
        ObjectKind::BalanceTransaction => balance_transaction::render(view, id, sink),
        ObjectKind::Payout => payout::render(view, id, sink),
        ObjectKind::Topup => topup::render(view, id, sink),
        ObjectKind::Split => split_rule::render(view, id, sink),
        ObjectKind::Adjustment => adjustment::render(view, id, sink),
        ObjectKind::ApiKey => api_key::render(view, id, sink),
        ObjectKind::Product => product::render(view, id, sink),
        ObjectKind::Price => price::render(view, id, sink),
        ObjectKind::Dispute => dispute::render(view, id, sink),
        ObjectKind::SetupIntent => setup_intent::render(view, id, sink),
        ObjectKind::SetupAttempt => setup_intent::render_attempt(view, id, sink),
        ObjectKind::Event
        | ObjectKind::WebhookEndpoint
        | ObjectKind::Mandate
        | ObjectKind::Source
        | ObjectKind::File
        | ObjectKind::FileLink
        | ObjectKind::ReportRun
        | ObjectKind::EarlyFraudWarning
        | ObjectKind::ValueList
        | ObjectKind::ValueListItem
        | ObjectKind::Review
        | ObjectKind::TestClock
        | ObjectKind::PaymentLink
        | ObjectKind::CheckoutSession
        | ObjectKind::CheckoutSessionLive
        | ObjectKind::LineItem
        | ObjectKind::FxQuote
        | ObjectKind::Application
        | ObjectKind::ConnectCollectionTransfer
        | ObjectKind::Reserve
        | ObjectKind::Request => Err(Stop::Gone),
    }
}

/// Whose object an id names. Only its owner may see it (a platform also what its transfers made on an account, by
/// expansion).
///
/// # Errors
/// [`Stop::Gone`] where there is no such object.
pub fn owner(view: &View<'_>, id: &ObjectId) -> Rendered<AccountNo> {
    let slot = usize::from(id.slot);
    match id.kind {
        ObjectKind::Account => Ok(AccountNo::PLATFORM),
        ObjectKind::BankAccount | ObjectKind::Card | ObjectKind::Capability | ObjectKind::Person => {
            Ok(AccountNo(id.birth))
        }
        ObjectKind::Payment => {
            view.flow(id.birth)?.transfers.get(slot).map(|transfer| transfer.destination).ok_or(Stop::Gone)
        }
        // Also those of charges that are an account's own.
        ObjectKind::ApplicationFee | ObjectKind::FeeRefund => {
            view.record(RecordKey::of(id))?;
            Ok(AccountNo::PLATFORM)
        }
        ObjectKind::PaymentRefund => Ok(reversal::find(view, id)?.part.destination),
        ObjectKind::BalanceTransaction => {
            view.record(RecordKey::of(id))?.rows().get(slot).map(|row| row.account).ok_or(Stop::Gone)
        }
        ObjectKind::Charge => Ok(charge::find(view, id.birth, id.slot)?.owner),
        _ => Ok(view.record(RecordKey::of(id))?.owner()),
    }
}

/// Where a record's id leads when the object was superseded: failed charges move to a child of their own.
pub fn attempt_key(birth: u64, attempt: u16) -> RecordKey {
    RecordKey { birth, child: ATTEMPT_CHILDREN + u32::from(attempt) }
}

/// The balance transaction of a source inside a record, by kind of source and slot.
pub fn row_of(view: &View<'_>, key: RecordKey, record: &Record, source: &RowSource) -> Option<super::view::Id> {
    row_among(view, key, record.rows(), source)
}

/// The same among the rows of a record.
pub fn row_among(
    view: &View<'_>,
    key: RecordKey,
    rows: &[crate::domain::record::Row],
    source: &RowSource,
) -> Option<super::view::Id> {
    let place = rows.iter().position(|row| row.source == *source)?;
    Some(view.id(&key.id(ObjectKind::BalanceTransaction, u16::try_from(place).ok()?)))
}

/// Of a flow's newest children, those that `pick` finds something in, newest first. `newest` are the places where the
/// flow keeps their numbers: a refund of the charge may have reversed a transfer or given a fee back.
///
/// # Errors
/// [`Stop`].
pub fn newest_children<T>(
    view: &View<'_>,
    birth: u64,
    newest: &[&[u32]],
    pick: impl Fn(&RecordKey, &Record) -> Option<Rendered<T>>,
) -> Rendered<Vec<T>> {
    let mut children: Vec<u32> = newest.concat();
    children.sort_unstable_by(|a, b| b.cmp(a));
    children.dedup();
    let keys = children.into_iter().map(|child| RecordKey { birth, child });
    view.want(keys.clone())?;
    let mut found = Vec::new();
    for key in keys {
        if let Some(record) = view.find(key)?
            && let Some(object) = pick(&key, record)
        {
            found.push(object?);
        }
    }
    found.truncate(EMBEDDED_MAX);
    Ok(found)
}

/// Objects in a list that is inside another object.
const EMBEDDED_MAX: usize = 10;

/// Texts of one object: paths under a prefix, or inside a hash.
#[derive(Clone, Copy)]
pub struct Words<'a> {
    texts: &'a Texts,
    prefix: &'a str,
    /// Path of the hash that all of them lie in; empty for none.
    within: &'a str,
}

impl<'a> Words<'a> {
    /// Texts under a prefix: `pi.`, or nothing.
    pub fn new(texts: &'a Texts, prefix: &'a str) -> Words<'a> {
        Words { texts, prefix, within: "" }
    }

    /// Those inside a hash: `name` then reads `hash[name]`.
    #[must_use]
    pub fn within(self, hash: &'a str) -> Words<'a> {
        Words { within: hash, ..self }
    }

    /// The whole path of a name.
    fn path(&self, name: &str) -> String {
        let (prefix, within) = (self.prefix, self.within);
        if within.is_empty() {
            return format!("{prefix}{name}");
        }
        // `a[b]` inside `h` is `h[a][b]`.
        match name.split_once('[') {
            Some((first, rest)) => format!("{prefix}{within}[{first}][{rest}"),
            None => format!("{prefix}{within}[{name}]"),
        }
    }

    /// The text at a path.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        if self.texts.0.is_empty() {
            return None;
        }
        if self.prefix.is_empty() && self.within.is_empty() {
            return self.texts.get(name);
        }
        self.texts.get(&self.path(name))
    }

    /// The text of a field inside a hash: `address[city]`.
    pub fn inside(&self, hash: &str, field: &str) -> Option<&'a str> {
        if self.texts.0.is_empty() { None } else { self.get(&format!("{hash}[{field}]")) }
    }

    /// Whether anything lies inside a hash.
    pub fn has(&self, hash: &str) -> bool {
        if self.texts.0.is_empty() {
            return false;
        }
        let start = format!("{}[", self.path(hash));
        self.texts.0.range(start.clone()..).next().is_some_and(|(path, _)| path.starts_with(&start))
    }

    /// The keys and values of a hash of free keys: `metadata`.
    pub fn hash(&self, hash: &'a str) -> Hash<'a> {
        Hash { words: *self, hash }
    }

    /// `metadata`.
    pub fn metadata(&self) -> Hash<'a> {
        self.hash("metadata")
    }

    /// An address, all of whose fields may be null.
    pub fn address(&self, hash: &str) -> Address<'a> {
        Address {
            city: self.inside(hash, "city"),
            country: self.inside(hash, "country"),
            line1: self.inside(hash, "line1"),
            line2: self.inside(hash, "line2"),
            postal_code: self.inside(hash, "postal_code"),
            state: self.inside(hash, "state"),
        }
    }

    /// An address, if any of its fields is there.
    pub fn some_address(&self, hash: &str) -> Option<Address<'a>> {
        self.has(hash).then(|| self.address(hash))
    }

    /// `shipping`, if there is any.
    pub fn shipping(&self) -> Option<Shipping<'a>> {
        self.has("shipping").then(|| Shipping {
            address: self.address("shipping[address]"),
            carrier: self.inside("shipping", "carrier"),
            name: self.inside("shipping", "name"),
            phone: self.inside("shipping", "phone"),
            tracking_number: self.inside("shipping", "tracking_number"),
        })
    }

    /// `billing_details` under a hash of that name.
    pub fn billing(&self, hash: &str) -> BillingDetails<'a> {
        if !self.has(hash) {
            return BillingDetails::default();
        }
        BillingDetails {
            address: self.address(&format!("{hash}[address]")),
            email: self.inside(hash, "email"),
            name: self.inside(hash, "name"),
            phone: self.inside(hash, "phone"),
            tax_id: None,
        }
    }
}

/// A hash whose keys are the caller's.
#[derive(Clone, Copy)]
pub struct Hash<'a> {
    words: Words<'a>,
    hash: &'a str,
}

impl Serialize for Hash<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.words.texts.0.is_empty() {
            let start = format!("{}[", self.words.path(self.hash));
            for (path, text) in self.words.texts.under(&start) {
                map.serialize_entry(path.strip_suffix(']').unwrap_or(path), text)?;
            }
        }
        map.end()
    }
}

/// A postal address.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Address<'a> {
    city: Option<&'a str>,
    country: Option<&'a str>,
    line1: Option<&'a str>,
    line2: Option<&'a str>,
    postal_code: Option<&'a str>,
    state: Option<&'a str>,
}

/// Where goods go.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Shipping<'a> {
    address: Address<'a>,
    carrier: Option<&'a str>,
    name: Option<&'a str>,
    phone: Option<&'a str>,
    tracking_number: Option<&'a str>,
}

/// Who pays.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct BillingDetails<'a> {
    address: Address<'a>,
    email: Option<&'a str>,
    name: Option<&'a str>,
    phone: Option<&'a str>,
    tax_id: Option<&'a str>,
}

/// `{"id":…,"object":…,"deleted":true}`.
#[derive(Serialize)]
pub struct Stub {
    /// The id that was.
    pub id: super::view::Id,
    /// Kind of object.
    pub object: &'static str,
    /// Always true.
    pub deleted: bool,
}

/// An empty hash.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Empty {}

/// The `object` of a kind.
pub fn object_name(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Account => "account",
        ObjectKind::BankAccount => "bank_account",
        ObjectKind::Card => "card",
        ObjectKind::Token | ObjectKind::BankAccountToken | ObjectKind::AccountToken | ObjectKind::PersonToken => {
            "token"
        }
        ObjectKind::Person => "person",
        ObjectKind::Customer => "customer",
        ObjectKind::PaymentMethod => "payment_method",
        ObjectKind::PaymentIntent => "payment_intent",
        ObjectKind::Charge | ObjectKind::Payment => "charge",
        ObjectKind::Transfer => "transfer",
        ObjectKind::TransferReversal => "transfer_reversal",
        ObjectKind::ApplicationFee => "application_fee",
        ObjectKind::FeeRefund => "fee_refund",
        ObjectKind::Refund | ObjectKind::PaymentRefund => "refund",
        ObjectKind::BalanceTransaction => "balance_transaction",
        ObjectKind::Payout => "payout",
        ObjectKind::Topup => "topup",
        ObjectKind::Event => "event",
        ObjectKind::Split => "florin.split_rule",
        ObjectKind::Adjustment => "florin.adjustment",
        ObjectKind::SetupIntent => "setup_intent",
        ObjectKind::SetupAttempt => "setup_attempt",
        ObjectKind::Dispute => "dispute",
        ObjectKind::ApiKey => "florin.key",
        ObjectKind::Product => "product",
        ObjectKind::Price => "price",
        _ => "object",
    }
}
