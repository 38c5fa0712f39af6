//! Commands: wishes, typed and free of anything that must not be written (card numbers, security codes, bank account
//! and identity numbers never get this far: `api/` turns them into recipes, last digits and keyed fingerprints).
//!
//! Personal and free text rides beside a command as [`TextPatch`]es and is sealed before it is journalled.

use minicbor::{Decode, Encode};

use super::api_key::KeyLevel;
use super::catalog::{PriceInput, ProductInput, TaxBehavior};
use super::facts::{Facts, Finding};
use super::record::{
    AccountKind, BusinessType, CancellationReason, CaptureMethod, Card, CardOptions, Controller, DisputeReason,
    EvidenceWords, ExternalAccount, FutureUsage, MethodRef, PayoutInterval, RefundReason, Share, TokenContent,
};
use crate::ledger::{AccountNo, Posting, SourceType};
use crate::primitives::{country::Country, currency::Currency, id::ObjectId, time::Timestamp};

/// What a caller wants, with the account it acts for and the texts that go with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The account acted for: the platform, or the one named by `Stripe-Account`.
    pub acting: AccountNo,
    /// The wish.
    pub command: Command,
    /// Texts for the command's main object, and (`tr.` prefix) for the transfers it makes.
    pub texts: TextPatch,
    /// Idempotency, where a key was given.
    pub idempotency: Option<IdempotencyKey>,
    /// `req_…`, made at the edge; no part of any digest.
    pub request_id: String,
}

pub use super::seal::TextPatch;

/// A key and what it was used with, as keyed hashes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct IdempotencyKey {
    /// Of (acting account, key).
    #[cbor(n(0), with = "minicbor::bytes")]
    pub key: [u8; 16],
    /// Of method and path.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub endpoint: [u8; 8],
    /// Of the parsed parameters.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub parameters: [u8; 16],
    /// The key as given, for `request.idempotency_key` of events. It may name people: it is journalled among the
    /// sealed texts only.
    #[cbor(skip)]
    pub text: String,
    /// Method and path in words, for the error that names both.
    #[n(3)]
    pub path: String,
}

/// A new or named payment method.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum MethodInput {
    /// An existing payment method.
    #[n(0)]
    Saved(#[n(0)] MethodRef),
    /// A card given in the call (raw test number or a `pm_card_…` recipe).
    #[n(1)]
    Inline(#[n(0)] Card),
    /// A card token, consumed by the call.
    #[n(2)]
    Token(#[n(0)] u64),
}

/// `None`: not given; `Some(None)`: cleared; `Some(Some(v))`: set.
pub type Change<T> = Option<Option<T>>;

/// How a [`Change`] lies in a command: absent, null for cleared, or the value. Decoding `Option` twice over would take
/// null for absent, and a wish to clear would be lost when the journal is read.
mod change_cbor {
    use minicbor::data::Type;
    use minicbor::decode::{Decode, Decoder, Error as DecodeError};
    use minicbor::encode::{Encode, Encoder, Error as EncodeError, Write};

    use super::Change;

    pub fn encode<C, T: Encode<C>, W: Write>(
        change: &Change<T>,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        match change {
            Some(Some(value)) => value.encode(e, ctx),
            Some(None) | None => e.null()?.ok(),
        }
    }

    pub fn decode<'b, C, T: Decode<'b, C>>(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Change<T>, DecodeError> {
        if d.datatype()? == Type::Null {
            d.skip()?;
            return Ok(Some(None));
        }
        T::decode(d, ctx).map(|value| Some(Some(value)))
    }

    pub fn nil<T>() -> Option<Change<T>> {
        Some(None)
    }

    pub fn is_nil<T>(change: &Change<T>) -> bool {
        change.is_none()
    }
}

/// Every wish that Florin knows. Numbers are fixed for ever.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Command {
    #[n(0)]
    CreateAccount(#[n(0)] Box<AccountInput>),
    #[n(1)]
    UpdateAccount {
        #[n(0)]
        account: AccountNo,
        #[n(1)]
        input: Box<AccountInput>,
    },
    #[n(2)]
    DeleteAccount {
        #[n(0)]
        account: AccountNo,
    },
    #[n(3)]
    SetCapability {
        #[n(0)]
        account: AccountNo,
        #[n(1)]
        name: String,
        #[n(2)]
        requested: bool,
    },
    #[n(4)]
    CreateCustomer {
        #[n(0)]
        method: Option<MethodInput>,
        /// Whether the method becomes the default one.
        #[n(1)]
        default: Option<bool>,
    },
    #[n(5)]
    UpdateCustomer {
        #[n(0)]
        customer: u64,
        #[cbor(n(1), with = "change_cbor", has_nil)]
        default_method: Change<MethodRef>,
    },
    #[n(6)]
    DeleteCustomer {
        #[n(0)]
        customer: u64,
    },
    #[n(7)]
    CreateCardToken {
        #[n(0)]
        card: Card,
    },
    #[n(8)]
    CreateBankToken {
        #[n(0)]
        bank: Box<ExternalAccount>,
    },
    #[n(9)]
    CreateMethod {
        #[n(0)]
        input: MethodInput,
        /// The customer that has the payment method to copy.
        #[n(1)]
        customer: Option<u64>,
    },
    #[n(10)]
    UpdateMethod {
        #[n(0)]
        method: MethodRef,
        #[n(1)]
        exp_month: Option<u8>,
        #[n(2)]
        exp_year: Option<u16>,
    },
    #[n(11)]
    AttachMethod {
        #[n(0)]
        method: MethodInput,
        #[n(1)]
        customer: u64,
    },
    #[n(12)]
    DetachMethod {
        #[n(0)]
        method: MethodRef,
    },
    #[n(13)]
    CreateIntent(#[n(0)] Box<IntentInput>),
    #[n(14)]
    UpdateIntent {
        #[n(0)]
        intent: u64,
        #[n(1)]
        input: Box<IntentInput>,
    },
    #[n(15)]
    ConfirmIntent {
        #[n(0)]
        intent: u64,
        #[n(1)]
        input: Box<IntentInput>,
    },
    #[n(16)]
    CaptureIntent {
        #[n(0)]
        intent: u64,
        #[n(1)]
        amount: Option<i64>,
        #[n(2)]
        application_fee: Option<i64>,
        #[n(3)]
        transfer_amount: Option<i64>,
    },
    #[n(17)]
    CancelIntent {
        #[n(0)]
        intent: u64,
        #[n(1)]
        reason: Option<CancellationReason>,
    },
    /// Texts of a charge, also of a `py_` on a connected account; and its customer, where it has none.
    #[n(18)]
    UpdateCharge {
        #[n(0)]
        charge: ObjectId,
        #[n(1)]
        customer: Option<u64>,
    },
    #[n(19)]
    CreateRefund {
        /// The charge (`ch_`), or the intent (`pi_`).
        #[n(0)]
        target: ObjectId,
        #[n(1)]
        amount: Option<i64>,
        #[n(2)]
        reason: Option<RefundReason>,
        #[n(3)]
        reverse_transfer: bool,
        #[n(4)]
        refund_application_fee: bool,
        /// The payer must say first where the money shall go (a test value of `instructions_email` asks for it).
        #[n(5)]
        asks_payer: Option<bool>,
    },
    #[n(20)]
    UpdateRefund {
        #[n(0)]
        refund: ObjectId,
    },
    #[n(21)]
    CreateTransfer {
        #[n(0)]
        amount: Option<i64>,
        #[n(1)]
        currency: Currency,
        #[n(2)]
        destination: AccountNo,
        #[n(3)]
        source_transaction: Option<ObjectId>,
        #[n(4)]
        source_type: SourceType,
    },
    #[n(22)]
    UpdateTransfer {
        #[n(0)]
        transfer: ObjectId,
    },
    #[n(23)]
    ReverseTransfer {
        #[n(0)]
        transfer: ObjectId,
        #[n(1)]
        amount: Option<i64>,
        #[n(2)]
        refund_application_fee: bool,
    },
    #[n(24)]
    UpdateReversal {
        #[n(0)]
        reversal: ObjectId,
    },
    #[n(25)]
    RefundFee {
        #[n(0)]
        fee: ObjectId,
        #[n(1)]
        amount: Option<i64>,
    },
    #[n(26)]
    UpdateFeeRefund {
        #[n(0)]
        fee_refund: ObjectId,
    },
    #[n(27)]
    CreatePayout {
        #[n(0)]
        amount: i64,
        #[n(1)]
        currency: Currency,
        #[n(2)]
        destination: Option<ObjectId>,
        #[n(3)]
        source_type: SourceType,
    },
    #[n(28)]
    UpdatePayout {
        #[n(0)]
        payout: u64,
    },
    #[n(29)]
    CancelPayout {
        #[n(0)]
        payout: u64,
    },
    #[n(30)]
    CreateSplitRule {
        #[n(0)]
        name: String,
        #[n(1)]
        shares: Vec<Share>,
    },
    #[n(31)]
    Adjust {
        /// Sequence number of the entry to repair.
        #[n(0)]
        repairs: u64,
        #[n(1)]
        postings: Vec<Posting>,
    },
    /// Moves the virtual clock (and makes the platform's clock virtual).
    #[n(32)]
    AdvanceClock {
        #[n(0)]
        to: Timestamp,
    },
    /// Puts tables in force: prices, mark-ups, fixed rates.
    #[n(33)]
    PutTables(#[n(0)] Box<super::tables::Tables>),
    /// Something that was due, fired by the router.
    #[n(34)]
    Due(#[n(0)] super::due::DueItem),
    /// The platform's own account: the first entry after its tables.
    #[n(35)]
    FoundPlatform {
        #[n(0)]
        country: Country,
        #[n(1)]
        currency: Currency,
        /// Frozen from the start, for simulations.
        #[n(2)]
        virtual_clock: bool,
    },
    /// Charges a card without a payment intent.
    #[n(36)]
    CreateCharge(#[n(0)] Box<IntentInput>),
    /// Captures a charge that was authorized so.
    #[n(37)]
    CaptureCharge {
        #[n(0)]
        charge: ObjectId,
        #[n(1)]
        amount: Option<i64>,
        #[n(2)]
        application_fee: Option<i64>,
        #[n(3)]
        transfer_amount: Option<i64>,
    },
    /// Charges the balance of a connected account.
    #[n(38)]
    DebitAccount {
        #[n(0)]
        account: AccountNo,
        #[n(1)]
        amount: i64,
        #[n(2)]
        currency: Currency,
    },
    /// The payer's answer to an authentication, from the hosted page.
    #[n(40)]
    Authenticate {
        /// The payment or setup intent.
        #[n(0)]
        intent: ObjectId,
        /// Which of its authentications.
        #[n(1)]
        number: u16,
        #[n(2)]
        passed: bool,
    },
    #[n(41)]
    CreateSetup(#[n(0)] Box<SetupInput>),
    #[n(42)]
    UpdateSetup {
        #[n(0)]
        setup: u64,
        #[n(1)]
        input: Box<SetupInput>,
    },
    #[n(43)]
    ConfirmSetup {
        #[n(0)]
        setup: u64,
        #[n(1)]
        input: Box<SetupInput>,
    },
    #[n(44)]
    CancelSetup {
        #[n(0)]
        setup: u64,
        #[n(1)]
        reason: Option<CancellationReason>,
    },
    #[n(100)]
    AddExternalAccount {
        #[n(0)]
        account: AccountNo,
        #[n(1)]
        input: Box<ExternalInput>,
    },
    #[n(101)]
    UpdateExternalAccount {
        /// `ba_…` or `card_…`.
        #[n(0)]
        external: ObjectId,
        #[n(1)]
        change: ExternalPatch,
    },
    #[n(102)]
    DeleteExternalAccount {
        #[n(0)]
        external: ObjectId,
    },
    #[n(103)]
    CreatePerson {
        #[n(0)]
        account: AccountNo,
        #[n(1)]
        input: Box<PersonInput>,
    },
    #[n(104)]
    UpdatePerson {
        #[n(0)]
        account: AccountNo,
        /// Child number; 0 is the account's individual.
        #[n(1)]
        person: u32,
        #[n(2)]
        input: Box<PersonInput>,
    },
    #[n(105)]
    DeletePerson {
        #[n(0)]
        account: AccountNo,
        #[n(1)]
        person: u32,
    },
    #[n(106)]
    RejectAccount {
        #[n(0)]
        account: AccountNo,
        #[n(1)]
        reason: RejectReason,
        /// `payouts_action` = none: what it has may still be paid out.
        #[n(2)]
        pays_out: bool,
    },
    #[n(107)]
    UnrejectAccount {
        #[n(0)]
        account: AccountNo,
    },
    /// An account token or a person token.
    #[n(108)]
    CreateIdentityToken {
        #[n(0)]
        content: Box<TokenContent>,
    },
    /// Evidence, metadata and their submission.
    #[n(55)]
    UpdateDispute {
        #[n(0)]
        dispute: ObjectId,
        /// `None`: submits if there is evidence in this call.
        #[n(1)]
        submit: Option<bool>,
        /// Whether the call gives evidence.
        #[n(2)]
        evidence: bool,
        /// What its test words ask for, where `evidence[uncategorized_text]` is given.
        #[n(3)]
        words: Option<EvidenceWords>,
    },
    /// The charge's owner accepts the loss.
    #[n(56)]
    CloseDispute {
        #[n(0)]
        dispute: ObjectId,
    },
    /// Test action: the payer disputes a charge.
    #[n(57)]
    OpenDispute {
        #[n(0)]
        charge: ObjectId,
        /// Minor units of the presentment currency; `None`: all that is left.
        #[n(1)]
        amount: Option<i64>,
        #[n(2)]
        reason: DisputeReason,
        /// An inquiry takes no money.
        #[n(3)]
        inquiry: bool,
    },
    /// Test action: the issuer decides a dispute, answered or not.
    #[n(58)]
    DecideDispute {
        #[n(0)]
        dispute: ObjectId,
        #[n(1)]
        verdict: Verdict,
    },
    /// Takes a paid payout back from the bank account that it went to.
    #[n(65)]
    ReversePayout {
        #[n(0)]
        payout: u64,
    },
    /// A payout that arrives at once.
    #[n(66)]
    CreateInstantPayout {
        #[n(0)]
        amount: i64,
        #[n(1)]
        currency: Currency,
        #[n(2)]
        destination: Option<ObjectId>,
        #[n(3)]
        source_type: SourceType,
    },
    /// Changes how the acting account is paid out.
    #[n(67)]
    UpdateBalanceSettings(#[n(0)] Box<AccountInput>),
    #[n(68)]
    CreateTopup(#[n(0)] Box<TopupInput>),
    #[n(69)]
    UpdateTopup {
        #[n(0)]
        topup: u64,
    },
    #[n(70)]
    CancelTopup {
        #[n(0)]
        topup: u64,
    },
    /// A restricted key, by its hash.
    #[n(90)]
    CreateKey {
        #[cbor(n(0), with = "minicbor::bytes")]
        hash: [u8; 32],
        /// The key with its middle masked.
        #[n(1)]
        hint: String,
        #[n(2)]
        permissions: Vec<(String, KeyLevel)>,
    },
    #[n(91)]
    RevokeKey {
        #[n(0)]
        key: u64,
    },
    #[n(92)]
    CreateProduct(#[n(0)] Box<ProductInput>),
    #[n(93)]
    UpdateProduct {
        #[n(0)]
        product: u64,
        #[n(1)]
        input: Box<ProductInput>,
    },
    #[n(94)]
    DeleteProduct {
        #[n(0)]
        product: u64,
    },
    #[n(95)]
    CreatePrice(#[n(0)] Box<PriceInput>),
    #[n(96)]
    UpdatePrice {
        #[n(0)]
        price: ObjectId,
        #[n(1)]
        active: Option<bool>,
        #[n(2)]
        tax_behavior: Option<TaxBehavior>,
    },
    #[n(50)]
    CancelRefund {
        #[n(0)]
        refund: ObjectId,
    },
    /// The payer's time to act is over (a test helper).
    #[n(51)]
    ExpireRefund {
        #[n(0)]
        refund: ObjectId,
    },
}

/// What an issuer makes of a dispute. An inquiry cannot be won or lost: it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Verdict {
    /// For the seller.
    #[n(0)]
    Won,
    /// For the payer.
    #[n(1)]
    Lost,
    /// An inquiry becomes a chargeback.
    #[n(2)]
    Escalated,
}

/// Parameters of a top-up, as far as decisions need them.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct TopupInput {
    #[n(0)]
    pub amount: i64,
    #[n(1)]
    pub currency: Currency,
    /// A bank account by its test token …
    #[n(2)]
    pub bank: Option<Box<ExternalAccount>>,
    /// … or by a token made before (birth). Neither: the platform's own bank account.
    #[n(3)]
    pub token: Option<u64>,
    /// The bank takes the money back after its arrival.
    #[n(4)]
    pub returns: Option<bool>,
}

impl Command {
    /// Whether the command of this number changes the router's state by itself, beside what its outcome lists: rules,
    /// clock, tables, due items, the founding.
    pub fn changes_state(number: u32) -> bool {
        matches!(number, 30 | 32..=35)
    }
}

/// Parameters of an account, as far as decisions need them; the rest are texts. Number 6 is used up by an earlier form.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct AccountInput {
    #[n(0)]
    pub country: Option<Country>,
    #[n(1)]
    pub default_currency: Option<Currency>,
    #[n(2)]
    pub kind: Option<AccountKind>,
    #[n(3)]
    pub controller: Option<Controller>,
    #[n(4)]
    pub business_type: Option<BusinessType>,
    /// (wire name, requested)
    #[n(5)]
    pub capabilities: Vec<(String, bool)>,
    /// A bank account or debit card given as a hash.
    #[n(7)]
    pub external_account: Option<Box<ExternalAccount>>,
    /// … or as a token (birth).
    #[n(8)]
    pub external_token: Option<u64>,
    #[n(9)]
    pub tos_accepted_at: Option<Timestamp>,
    #[n(10)]
    pub payout_interval: Option<PayoutInterval>,
    /// 0 stands for `minimum`.
    #[n(11)]
    pub delay_days: Option<u8>,
    #[n(12)]
    pub debit_negative_balances: Option<bool>,
    /// What the call tells of the account and its individual.
    #[n(20)]
    pub facts: Facts,
    /// … and what a token tells (birth).
    #[n(21)]
    pub account_token: Option<u64>,
    /// Weekdays of a weekly schedule, Monday as bit 0.
    #[n(13)]
    pub weekly_days: Option<u8>,
    /// Days of a monthly schedule, the first as bit 0.
    #[n(14)]
    pub monthly_days: Option<u32>,
    /// What automatic payouts leave in the balance; `None` of a currency removes its figure.
    #[n(15)]
    pub minimum_balances: Option<Vec<(Currency, Option<i64>)>>,
    /// All figures of [`AccountInput::minimum_balances`] are removed before the given ones are set.
    #[n(16)]
    pub clear_minimum_balances: Option<bool>,
    /// Whether the service agreement is the recipient's.
    #[n(22)]
    pub is_recipient: Option<bool>,
}

/// An external account to add.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct ExternalInput {
    /// Given as a hash …
    #[n(0)]
    pub account: Option<Box<ExternalAccount>>,
    /// … or as a token of a bank account or a card (birth).
    #[n(1)]
    pub token: Option<u64>,
    /// `default_for_currency`.
    #[n(2)]
    pub default: Option<bool>,
}

/// Changes to an external account beside its texts.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct ExternalPatch {
    #[n(0)]
    pub default: Option<bool>,
    #[n(1)]
    pub exp_month: Option<u8>,
    #[n(2)]
    pub exp_year: Option<u16>,
    /// `Some(None)` clears it.
    #[n(3)]
    pub holder_type: Change<String>,
    /// What a document says of who owns it.
    #[n(4)]
    pub ownership: Option<Finding>,
}

/// What a call tells of a person, beside its texts.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct PersonInput {
    #[n(0)]
    pub facts: Facts,
    /// A person token (birth).
    #[n(1)]
    pub token: Option<u64>,
}

/// Why a platform rejects an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum RejectReason {
    #[n(0)]
    Fraud,
    #[n(1)]
    TermsOfService,
    #[n(2)]
    Other,
}

impl RejectReason {
    /// `disabled_reason` after `rejected.`: what says that it was the platform.
    pub fn disabled_reason(self) -> &'static str {
        match self {
            RejectReason::Fraud => "platform_fraud",
            RejectReason::TermsOfService => "platform_terms_of_service",
            RejectReason::Other => "platform_other",
        }
    }
}

/// Parameters of a payment intent; create, update and confirm share them.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct IntentInput {
    #[n(0)]
    pub amount: Option<i64>,
    #[n(1)]
    pub currency: Option<Currency>,
    #[n(2)]
    pub confirm: bool,
    #[n(3)]
    pub method: Option<MethodInput>,
    /// Cleared by an empty string (update).
    #[n(4)]
    pub clear_method: bool,
    #[n(5)]
    pub customer: Option<u64>,
    #[n(6)]
    pub capture_method: Option<CaptureMethod>,
    #[n(7)]
    pub confirmation_manual: Option<bool>,
    #[n(8)]
    pub setup_future_usage: Option<FutureUsage>,
    #[n(9)]
    pub off_session: bool,
    #[n(10)]
    pub error_on_requires_action: bool,
    /// `Some(true)`: allow_redirects=always.
    #[n(11)]
    pub automatic_methods: Option<bool>,
    #[n(12)]
    pub method_types: Vec<String>,
    /// Whether a `return_url` was given.
    #[n(13)]
    pub return_url: bool,
    #[n(14)]
    pub destination: Option<AccountNo>,
    #[n(15)]
    pub transfer_amount: Option<i64>,
    /// `Some(None)` clears it.
    #[cbor(n(16), with = "change_cbor", has_nil)]
    pub application_fee: Change<i64>,
    /// Birth of a split rule.
    #[n(17)]
    pub split_rule: Option<u64>,
    #[n(18)]
    pub on_behalf_of: Option<AccountNo>,
    /// `use_stripe_sdk`: the caller's own code shows an authentication.
    #[n(24)]
    pub by_sdk: Option<bool>,
    /// `payment_method_options[card]`; what is not given stays.
    #[n(25)]
    pub options: Option<CardOptions>,
    /// `setup_future_usage` was given empty.
    #[n(26)]
    pub clear_future_usage: Option<bool>,
    /// The payer's side asks, with a publishable key.
    #[n(27)]
    pub by_payer: Option<bool>,
    /// `amount_to_confirm`.
    #[n(28)]
    pub amount_to_confirm: Option<i64>,
}

/// Parameters of a setup intent; create, update and confirm share them.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct SetupInput {
    #[n(0)]
    pub confirm: bool,
    #[n(1)]
    pub method: Option<MethodInput>,
    /// Cleared by an empty string (update).
    #[n(2)]
    pub clear_method: Option<bool>,
    #[n(3)]
    pub customer: Option<u64>,
    #[n(4)]
    pub usage: Option<FutureUsage>,
    /// As [`IntentInput::automatic_methods`].
    #[n(5)]
    pub automatic_methods: Option<bool>,
    #[n(6)]
    pub method_types: Vec<String>,
    /// Whether a `return_url` was given.
    #[n(7)]
    pub return_url: bool,
    /// As [`IntentInput::by_sdk`].
    #[n(8)]
    pub by_sdk: Option<bool>,
    #[n(9)]
    pub options: Option<CardOptions>,
    #[n(10)]
    pub on_behalf_of: Option<AccountNo>,
}
