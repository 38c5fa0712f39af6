//! The shape of a decision: what it may look at, what it gives back, and how it refuses.
//!
//! `decide` may refuse; what it gives back can always be applied. It sees only [`Facts`] and [`Context`]: no clock, no
//! randomness, no I/O. Where a fact is not at hand it stops with [`Halt::Missing`]; the caller fetches it and decides
//! again from the start, so a decision never sees half of the world.

use std::sync::Arc;

use minicbor::{Decode, Encode};

use super::command::Request;
use super::due::{DueItem, DueKey, Owed};
use super::event::Event;
use super::record::{Record, RecordKey, Shared};
use super::seal::{Nonce, Sealed, TextPatch, Texts, Vault};
use super::tables::Tables;
use crate::ledger::{AccountNo, Books, Entry};
use crate::primitives::currency::Currency;
use crate::primitives::id::{IdCipher, ObjectId};
use crate::primitives::market::MarketRates;
use crate::primitives::time::{Day, Timestamp};

/// What a decision may look at.
pub trait Facts {
    /// A record as the latest decided entry left it; `Ok(None)`: there is none.
    ///
    /// # Errors
    /// [`Halt::Missing`] where it is not at hand.
    fn record(&self, key: RecordKey) -> Result<Option<Shared>, Halt>;

    /// An account's books.
    ///
    /// # Errors
    /// [`Halt::Missing`] where they are not at hand.
    fn books(&self, account: AccountNo) -> Result<&Books, Halt>;

    /// Whether money of this account and day already has its due item.
    fn matures(&self, account: AccountNo, day: Day) -> bool;

    /// Whether something stands at this place of the due queue.
    fn is_due(&self, key: DueKey) -> bool;

    /// What the platform holds for an account that is below zero in a currency, while it does.
    fn owes(&self, account: AccountNo, currency: Currency) -> Option<Owed>;

    /// Of the refunds that wait for money of an account in a currency, the oldest: the next one to be made.
    fn waiting_refund(&self, account: AccountNo, currency: Currency) -> Option<RecordKey>;

    /// The next free key of the vault.
    fn next_key_no(&self) -> u32;

    /// The birth of the split rule of this name.
    fn split_rule(&self, name: &str) -> Option<u64>;
}

/// What comes in with the command.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The platform's time.
    pub now: Timestamp,
    /// The sequence number that the entry will have: the birth of what it makes.
    pub seq: u64,
    /// Tables in force.
    pub tables: &'a Tables,
    /// The market rates that the tables name.
    pub rates: &'a MarketRates,
    /// Turns ids into text for error messages.
    pub ids: &'a IdCipher,
    /// Seals and opens texts.
    pub vault: &'a dyn Vault,
}

/// Why a decision stopped.
#[derive(Debug)]
pub enum Halt {
    /// A fact is not at hand: fetch it and decide again.
    Missing(Need),
    /// The answer is no; nothing changes.
    Refused(Box<Refusal>),
}

/// A fact to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A record from cache or store.
    Record(RecordKey),
    /// An account's books, from its actor.
    Books(AccountNo),
}

/// A refusal, worded for the caller. Moves nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Refusal {
    /// HTTP status: 400, 403 or 404.
    #[n(0)]
    pub status: u16,
    /// Machine-readable code, where the API has one.
    #[n(1)]
    pub code: Option<String>,
    /// What was wrong and what to do.
    #[n(2)]
    pub message: String,
    /// The parameter at fault, in bracket notation.
    #[n(3)]
    pub param: Option<String>,
    /// A payment or setup intent to show with the error.
    #[n(4)]
    pub intent: Option<RecordKey>,
}

impl Refusal {
    /// 400 with a message only.
    pub fn new(message: impl Into<String>) -> Refusal {
        Refusal { status: 400, message: message.into(), ..Refusal::default() }
    }

    /// With a code.
    #[must_use]
    pub fn code(mut self, code: &str) -> Refusal {
        self.code = Some(code.to_owned());
        self
    }

    /// At a parameter.
    #[must_use]
    pub fn param(mut self, param: &str) -> Refusal {
        self.param = Some(param.to_owned());
        self
    }

    /// Whether the request was refused before it was executed: a corrected one may use the same idempotency key.
    pub fn is_validation(&self) -> bool {
        match (&self.code, self.param.as_deref()) {
            (Some(code), _) => {
                let of_amount = matches!(code.as_str(), "amount_too_small" | "amount_too_large");
                code.starts_with("parameter")
                    || code == "resource_missing"
                    || code.ends_with("_invalid_parameter")
                    || (of_amount && self.param.as_deref() == Some("amount"))
            }
            (None, param) => param == Some("metadata"),
        }
    }

    /// Showing a payment or setup intent.
    #[must_use]
    pub fn intent(mut self, birth: u64) -> Refusal {
        self.intent = Some(RecordKey::head(birth));
        self
    }
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Halt {
        Halt::Refused(Box::new(refusal))
    }
}

/// A record that an entry changed: its image afterwards, and before where an event tells what changed.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which record.
    pub key: RecordKey,
    /// Afterwards.
    pub after: Shared,
    /// Before, for `previous_attributes`.
    pub before: Option<Shared>,
    /// List entries that it makes.
    pub index: Vec<IndexRow>,
}

/// An entry of a list index: under `account` and `class`, at the entry's sequence, objects of `kinds` were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct IndexRow {
    /// Whose list.
    #[n(0)]
    pub account: AccountNo,
    /// Which family of lists.
    #[n(1)]
    pub class: Class,
    /// What was made, as bits of [`Kinds`].
    #[n(2)]
    pub kinds: u32,
}

/// Families of list indexes: objects that are made together share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Class {
    /// Payments, charges, transfers, fees and their balance transactions.
    #[n(0)]
    Payment,
    /// Refunds, reversals, fee refunds and theirs.
    #[n(1)]
    Refund,
    /// Payouts and theirs.
    #[n(2)]
    Payout,
    /// Customers.
    #[n(3)]
    Customer,
    /// Saved payment methods.
    #[n(4)]
    Method,
    /// Connected accounts.
    #[n(5)]
    Account,
    /// Split rules, adjustments and what else is rare.
    #[n(6)]
    Other,
    /// Setup intents.
    #[n(7)]
    Setup,
    /// Disputes and their balance transactions.
    #[n(8)]
    Dispute,
    /// Restricted keys: read as a whole at every start, so apart from the rest.
    #[n(12)]
    Key,
}

/// Bits of [`IndexRow::kinds`].
#[derive(Debug)]
pub struct Kinds;

#[allow(missing_docs)]
impl Kinds {
    pub const INTENT: u32 = 1;
    pub const CHARGE: u32 = 1 << 1;
    pub const TRANSFER: u32 = 1 << 2;
    pub const FEE: u32 = 1 << 3;
    pub const ROW: u32 = 1 << 4;
    pub const REFUND: u32 = 1 << 5;
    pub const REVERSAL: u32 = 1 << 6;
    pub const FEE_REFUND: u32 = 1 << 7;
    pub const PAYOUT: u32 = 1 << 8;
    pub const CUSTOMER: u32 = 1 << 9;
    pub const METHOD: u32 = 1 << 10;
    pub const ACCOUNT: u32 = 1 << 11;
    pub const RULE: u32 = 1 << 12;
    pub const ADJUSTMENT: u32 = 1 << 13;
    /// The entry has events for this account.
    pub const EVENT: u32 = 1 << 14;
    pub const DISPUTE: u32 = 1 << 15;
    pub const TOPUP: u32 = 1 << 16;
    pub const SETUP: u32 = 1 << 17;
    pub const QUOTE: u32 = 1 << 18;
    pub const PRODUCT: u32 = 1 << 24;
    pub const PRICE: u32 = 1 << 25;
    pub const KEY: u32 = 1 << 26;
}

/// What the caller is told.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Reply {
    /// 200 with an object.
    #[n(0)]
    Object(#[n(0)] ObjectId),
    /// 200 with a deleted stub.
    #[n(1)]
    Deleted(#[n(0)] ObjectId),
    /// 402: the parameters were fine and the card was declined. The payment intent (with its failed charge) or setup
    /// intent exists.
    #[n(2)]
    Declined(#[n(0)] ObjectId),
    /// 402 for a payment method that was to be attached or saved.
    #[n(3)]
    MethodDeclined(#[n(0)] super::record::Recipe),
    /// A refusal that is kept under an idempotency key.
    #[n(4)]
    Refused(#[n(0)] Box<Refusal>),
    /// 200 of Florin's own endpoints: nothing but the new time or number.
    #[n(5)]
    Done,
}

/// An account whose matured money is folded into its available totals, and how its books stand then (what
/// `balance.available` shows).
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Matured {
    /// Whose money.
    #[n(0)]
    pub account: AccountNo,
    /// Up to which day.
    #[n(1)]
    pub day: Day,
    /// The account's books afterwards.
    #[n(2)]
    pub books: Books,
}

/// A decision that can be applied.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What moves.
    pub entry: Entry,
    /// What the records look like afterwards.
    pub changes: Vec<Change>,
    /// What happened.
    pub events: Vec<Event>,
    /// Due items to add.
    pub due: Vec<DueItem>,
    /// Due items to drop.
    pub undue: Vec<DueKey>,
    /// Account whose matured money is folded into its available totals.
    pub matured: Option<Matured>,
    /// Keys of the vault that this entry takes into use.
    pub keys_taken: u32,
    /// Which key seals the command's own texts in the journal.
    pub text_key_no: u32,
    /// What to answer.
    pub reply: Reply,
}

impl Outcome {
    /// Nothing but an answer.
    pub fn answer(reply: Reply) -> Outcome {
        Outcome {
            entry: Entry::default(),
            changes: Vec::new(),
            events: Vec::new(),
            due: Vec::new(),
            undue: Vec::new(),
            matured: None,
            keys_taken: 0,
            text_key_no: 0,
            reply,
        }
    }
}

impl Context<'_> {
    /// Opens a record's texts; erased ones are empty.
    pub fn open(&self, sealed: &Sealed) -> Texts {
        if sealed.bytes.is_empty() {
            return Texts::default();
        }
        self.vault.open(sealed).and_then(|bytes| Texts::from_bytes(&bytes)).unwrap_or_default()
    }

    /// Seals texts as sealing number `ordinal` of this entry.
    pub fn seal(&self, key_no: u32, ordinal: u32, texts: &Texts) -> Sealed {
        if texts.0.is_empty() {
            return Sealed::default();
        }
        let nonce = Nonce { seq: self.seq, ordinal };
        Sealed { key_no, nonce, bytes: self.vault.seal(key_no, nonce, &texts.to_bytes()) }
    }

    /// Seals a record's texts after a patch.
    pub fn patch(&self, sealed: &Sealed, key_no: u32, ordinal: u32, prefix: &str, patch: &TextPatch) -> Sealed {
        if patch.is_empty() {
            return sealed.clone();
        }
        let mut texts = self.open(sealed);
        texts.apply(prefix, patch);
        self.seal(key_no, ordinal, &texts)
    }
}

impl Change {
    /// A changed record that makes no list entry.
    pub fn of(key: RecordKey, after: Record) -> Change {
        Change { key, after: Arc::new(after), before: None, index: Vec::new() }
    }

    /// With its image before.
    #[must_use]
    pub fn from(mut self, before: &Shared) -> Change {
        self.before = Some(Arc::clone(before));
        self
    }

    /// With a list entry.
    #[must_use]
    pub fn listed(mut self, account: AccountNo, class: Class, kinds: u32) -> Change {
        self.index.push(IndexRow { account, class, kinds });
        self
    }
}

/// Decides a request. The only door of the domain.
///
/// # Errors
/// [`Halt`]: a fact is missing, or the answer is no.
pub fn decide(facts: &dyn Facts, ctx: &Context<'_>, request: &Request) -> Result<Outcome, Halt> {
    super::cover::follow(facts, ctx, super::dispatch(facts, ctx, request)?)
}
