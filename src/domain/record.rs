//! The records of a platform: what the API's objects are rendered from, and what a decision reads and writes.
//!
//! A record has a key (the birth of its flow, and which child of it), one owner, and typed fields. Names, addresses,
//! descriptions, metadata and other personal or free text lie in [`Sealed`] form beside them. Every number that is
//! written here (`#[n(..)]`, [`Slot`]) is fixed for ever: journals of every released format must replay.

use std::sync::Arc;

use minicbor::{Decode, Encode};
use rust_decimal::Decimal;

use super::api_key::ApiKeyRecord;
use super::catalog::{PriceRecord, ProductRecord};
use super::due::DueKey;
use super::facts::{Facts, Finding};
use super::requirements::Ask;
use super::seal::Sealed;
use crate::ledger::{AccountNo, Rail, SourceType};
use crate::primitives::{
    country::Country,
    currency::Currency,
    exchange::RateSource,
    id::{ObjectId, ObjectKind},
    time::{Day, Timestamp},
};

/// Where a record lies: the birth of its flow and its number within it. The head of a flow is child 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct RecordKey {
    /// Sequence number of the entry that began the flow.
    #[n(0)]
    pub birth: u64,
    /// 0 for the head; refunds, reversals, fee refunds, disputes and superseded attempts count up from 1.
    #[n(1)]
    pub child: u32,
}

impl RecordKey {
    /// The platform's own account.
    pub const PLATFORM: RecordKey = RecordKey { birth: 0, child: 0 };

    /// The head record of a flow.
    pub fn head(birth: u64) -> RecordKey {
        RecordKey { birth, child: 0 }
    }

    /// The record that an object id leads to.
    pub fn of(id: &ObjectId) -> RecordKey {
        RecordKey { birth: id.birth, child: id.child }
    }

    /// The id of the object of `kind` in slot `slot` of this record.
    pub fn id(self, kind: ObjectKind, slot: u16) -> ObjectId {
        ObjectId { kind, birth: self.birth, child: self.child, slot }
    }
}

/// Slots of the objects inside one record. Transfer number `i` of a flow and what hangs on it share slot `i`.
#[derive(Debug)]
pub struct Slot;

impl Slot {
    /// The main object of a record.
    pub const MAIN: u16 = 0;
    /// Where a payment's inline payment method lies in its flow record.
    pub const INLINE_METHOD: u16 = 1;
}

/// Any record.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Record {
    /// A connected account, or the platform's own.
    #[n(0)]
    Account(#[n(0)] Box<AccountRecord>),
    /// A customer.
    #[n(1)]
    Customer(#[n(0)] CustomerRecord),
    /// A saved payment method.
    #[n(2)]
    PaymentMethod(#[n(0)] MethodRecord),
    /// A single-use token.
    #[n(3)]
    Token(#[n(0)] TokenRecord),
    /// A payment and all that it makes, or a transfer without a payment.
    #[n(4)]
    Flow(#[n(0)] Box<FlowRecord>),
    /// A charge that failed and was superseded by a later attempt of its payment intent.
    #[n(5)]
    Attempt(#[n(0)] AttemptRecord),
    /// A refund and what it moved.
    #[n(6)]
    Refund(#[n(0)] RefundRecord),
    /// A transfer reversal made by itself.
    #[n(7)]
    Reversal(#[n(0)] ReversalRecord),
    /// An application fee refund made by itself.
    #[n(8)]
    FeeRefund(#[n(0)] FeeRefundRecord),
    /// A payout.
    #[n(9)]
    Payout(#[n(0)] PayoutRecord),
    /// A named split rule.
    #[n(10)]
    SplitRule(#[n(0)] SplitRuleRecord),
    /// A correction.
    #[n(11)]
    Adjustment(#[n(0)] AdjustmentRecord),
    /// A setup intent with its latest attempt.
    #[n(12)]
    Setup(#[n(0)] Box<SetupRecord>),
    /// An attempt of a setup intent that a later one superseded.
    #[n(13)]
    SetupAttempt(#[n(0)] SetupAttemptRecord),
    /// A person of a company's account.
    #[n(20)]
    Person(#[n(0)] PersonRecord),
    /// A dispute of a charge.
    #[n(14)]
    Dispute(#[n(0)] DisputeRecord),
    /// Money that the platform put into its balance from a bank account.
    #[n(15)]
    Topup(#[n(0)] Box<TopupRecord>),
    /// What an entry set aside, or set free, for connected accounts below zero.
    #[n(16)]
    Reserve(#[n(0)] ReserveRecord),
    /// A connected account's old debt, paid by the platform.
    #[n(17)]
    Collection(#[n(0)] CollectionRecord),
    /// A restricted API key.
    #[n(19)]
    ApiKey(#[n(0)] ApiKeyRecord),
    /// A product.
    #[n(23)]
    Product(#[n(0)] ProductRecord),
    /// A price.
    #[n(24)]
    Price(#[n(0)] PriceRecord),
}

impl Record {
    /// Whether an encoded record is a customer's, told by its first bytes.
    ///
    /// # Errors
    /// Bytes that are no record.
    pub fn is_customer(bytes: &[u8]) -> Result<bool, minicbor::decode::Error> {
        let mut head = minicbor::Decoder::new(bytes);
        head.array()?;
        Ok(head.u32()? == 1)
    }

    /// The account that the record's main object belongs to.
    pub fn owner(&self) -> AccountNo {
        match self {
            Record::Account(_) => AccountNo::PLATFORM,
            Record::Customer(r) => r.owner,
            Record::PaymentMethod(r) => r.owner,
            Record::Token(r) => r.owner,
            Record::Flow(r) => r.owner,
            Record::Attempt(r) => r.owner,
            Record::Refund(r) => r.owner,
            Record::Reversal(r) => r.owner,
            Record::FeeRefund(r) => r.owner,
            Record::Payout(r) => r.owner,
            Record::Dispute(r) => r.owner,
            Record::SplitRule(_) | Record::Adjustment(_) => AccountNo::PLATFORM,
            Record::Setup(r) => r.owner,
            Record::SetupAttempt(r) => r.owner,
            Record::Person(r) => r.account,
            Record::Topup(r) => r.owner,
            Record::Reserve(_) | Record::Collection(_) => AccountNo::PLATFORM,
            Record::ApiKey(_) => AccountNo::PLATFORM,
            Record::Product(r) => r.owner,
            Record::Price(r) => r.owner,
        }
    }

    /// The balance transactions that lie in this record; a row's slot is its place here.
    pub fn rows(&self) -> &[Row] {
        match self {
            Record::Flow(r) => &r.rows,
            Record::Refund(r) => &r.rows,
            Record::Reversal(r) => &r.rows,
            Record::FeeRefund(r) => &r.rows,
            Record::Payout(r) => &r.rows,
            Record::Adjustment(r) => &r.rows,
            Record::Dispute(r) => &r.rows,
            Record::Topup(r) => &r.rows,
            Record::Reserve(r) => &r.rows,
            Record::Collection(r) => &r.rows,
            Record::Account(_)
            | Record::Customer(_)
            | Record::PaymentMethod(_)
            | Record::Token(_)
            | Record::Attempt(_)
            | Record::SplitRule(_)
            | Record::Person(_)
            | Record::Setup(_)
            | Record::SetupAttempt(_)
            | Record::ApiKey(_)
            | Record::Product(_)
            | Record::Price(_) => &[],
        }
    }
}

/// When and by which entry an object was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Made {
    /// The entry's sequence number; lists are ordered by it.
    #[n(0)]
    pub seq: u64,
    /// The entry's time.
    #[n(1)]
    pub at: Timestamp,
}

// ---------------------------------------------------------------------------------------------------------------
// Balance transactions

/// A balance transaction: the only thing that moves an account's balance. `net = amount - fee`, always.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Row {
    /// Whose balance.
    #[n(0)]
    pub account: AccountNo,
    /// The `type` on the wire.
    #[n(1)]
    pub kind: RowKind,
    /// Settlement currency.
    #[n(2)]
    pub currency: Currency,
    /// Signed gross, minor units.
    #[n(3)]
    pub amount: i64,
    /// What was withheld, minor units; negative when given back.
    #[n(4)]
    pub fee: i64,
    /// Of [`Row::fee`], the part that is an application fee; the rest is processing.
    #[n(5)]
    pub application_fee: i64,
    /// The object that the row belongs to.
    #[n(6)]
    pub source: RowSource,
    /// The day from whose midnight the money is available; the day of `made` where it was at once.
    #[n(7)]
    pub available_on: Day,
    /// By which entry.
    #[n(8)]
    pub made: Made,
    /// How it was converted, if it was.
    #[n(9)]
    pub conversion: Option<RowConversion>,
    /// Which kind of money; `None` is card money.
    #[n(10)]
    pub source_type: Option<SourceType>,
}

impl Row {
    /// Which kind of money the row moves.
    pub fn source_type(&self) -> SourceType {
        self.source_type.unwrap_or(SourceType::Card)
    }

    /// From which day the row counts as available. A payout's does from its creation on, whatever day it shows.
    pub fn counts_from(&self) -> Day {
        match self.kind {
            RowKind::Payout => self.made.at.day(),
            _ => self.available_on,
        }
    }

    /// What the row adds to the balance.
    pub fn net(&self) -> i64 {
        // Both are bounded at 10^15 by `decide`.
        self.amount - self.fee
    }
}

/// The exchange that a row went through: rate, date and source are kept for ever with it. Where `from` is the row's own
/// currency nothing was exchanged: an application fee in presentment currency shows the rate of its charge.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct RowConversion {
    /// Source currency.
    #[n(0)]
    pub from: Currency,
    /// Minor units in the source currency; signed like the row.
    #[n(1)]
    pub from_minor: i64,
    /// Target minor units per source minor unit, fee included: the wire's `exchange_rate`.
    #[cbor(n(2), with = "crate::primitives::exchange::decimal_cbor")]
    pub rate: Decimal,
    /// Market rate, target major units per source major unit.
    #[cbor(n(3), with = "crate::primitives::exchange::decimal_cbor")]
    pub base: Decimal,
    /// The day that the market rate was published.
    #[n(4)]
    pub rate_day: Day,
    /// By whom.
    #[n(5)]
    pub rate_source: RateSource,
    /// Whether that day lies so far back that the rate is marked stale.
    #[n(6)]
    pub stale: bool,
    /// What the rounding of this conversion left over, in 10^-9 minor units of the target.
    #[n(7)]
    pub residue_nano: i64,
}

/// A balance transaction's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum RowKind {
    #[n(0)]
    Charge,
    #[n(1)]
    Payment,
    #[n(2)]
    Transfer,
    #[n(3)]
    ApplicationFee,
    #[n(4)]
    Refund,
    /// The uncaptured rest of a partial capture: `refund`, category `partial_capture_reversal`.
    #[n(5)]
    PartialCaptureReversal,
    #[n(6)]
    PaymentRefund,
    #[n(7)]
    TransferRefund,
    #[n(8)]
    ApplicationFeeRefund,
    /// A connected account gets an application fee back: `adjustment`, category `fee`.
    #[n(9)]
    FeeAdjustment,
    #[n(10)]
    Payout,
    #[n(11)]
    PayoutCancel,
    #[n(12)]
    PayoutFailure,
    /// A manual correction: `adjustment`, category `other_adjustment`.
    #[n(13)]
    Adjustment,
    /// Processing that the platform pays for a connected account's charge: `stripe_fee`, category `fee`.
    #[n(14)]
    ProcessingFee,
    /// A chargeback takes money, with its fee: `adjustment`, category `dispute`.
    #[n(25)]
    Dispute,
    /// A chargeback that was won gives it back: `adjustment`, category `dispute_reversal`.
    #[n(26)]
    DisputeReversal,
    /// The platform pays an account's dispute fee, or (positive) gets it back: `stripe_fee`.
    #[n(27)]
    DisputeFee,
    /// What answering a chargeback costs, or (positive) comes back when it is won: `stripe_fee`.
    #[n(28)]
    DisputeCounterFee,
    #[n(30)]
    Topup,
    #[n(31)]
    TopupReversal,
    /// A platform's cover for connected accounts below zero.
    #[n(32)]
    ReserveTransaction,
    /// A connected account's old debt moves to the platform.
    #[n(33)]
    CollectionTransfer,
    /// What an automatic payout leaves in the balance …
    #[n(34)]
    MinimumHold,
    /// … and hands on to the next one.
    #[n(35)]
    MinimumRelease,
    /// A fee charged by itself: `stripe_fee`.
    #[n(36)]
    Fee,
    /// Pending money paid out before its day: what the balance gets …
    #[n(37)]
    Advance,
    /// … and what the pending balance loses.
    #[n(38)]
    AdvanceFunding,
    /// The money of a refund that did not reach the payer.
    #[n(20)]
    RefundFailure,
}

/// The object that a balance transaction names as its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RowSource {
    /// Kind of object.
    #[n(0)]
    pub kind: ObjectKind,
    /// Its record.
    #[n(1)]
    pub key: RecordKey,
    /// Its slot there.
    #[n(2)]
    pub slot: u16,
}

impl RowSource {
    /// As an object id.
    pub fn id(&self) -> ObjectId {
        self.key.id(self.kind, self.slot)
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Accounts

/// A connected account, or the platform's own account (record 0). Numbers 7 and 16 are used up by an earlier form.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct AccountRecord {
    #[n(0)]
    pub made: Made,
    #[n(1)]
    pub country: Country,
    #[n(2)]
    pub default_currency: Currency,
    #[n(3)]
    pub kind: AccountKind,
    /// Where dispute, fee, loss and requirement duties lie. Legacy types fill it too.
    #[n(4)]
    pub controller: Controller,
    #[n(5)]
    pub business_type: Option<BusinessType>,
    /// Requested capabilities, by wire name, in the order of the name.
    #[n(6)]
    pub capabilities: Vec<Capability>,
    #[n(8)]
    pub details_submitted: bool,
    #[n(9)]
    pub charges_enabled: bool,
    #[n(10)]
    pub payouts_enabled: bool,
    #[n(11)]
    pub tos_accepted_at: Option<Timestamp>,
    /// Days from charge to availability: business or calendar days by country.
    #[n(12)]
    pub delay_days: u8,
    #[n(13)]
    pub payout_interval: PayoutInterval,
    #[n(14)]
    pub debit_negative_balances: bool,
    /// Bank accounts and debit cards for payouts, in order of creation; slot = index + 1.
    #[n(15)]
    pub external_accounts: Vec<ExternalAccount>,
    /// Everything that names a person or business, and metadata: by parameter path.
    #[n(17)]
    pub private: Sealed,
    /// Which key seals this account's private fields.
    #[n(18)]
    pub key_no: u32,
    #[n(19)]
    pub deleted: bool,
    /// Why the platform rejected it, if it did: `disabled_reason` after `rejected.`.
    #[n(20)]
    pub rejected: Option<String>,
    /// What was told of the account, and of its individual.
    #[n(35)]
    pub facts: Facts,
    /// The persons of a company, in order of creation, and what was found of each.
    #[cbor(n(36), default, skip_if = "Vec::is_empty")]
    pub persons: Vec<Member>,
    /// Child records that the account has ever had; the next one takes the next number.
    #[cbor(n(37), default, skip_if = "is_zero")]
    pub children: u32,
    /// What is still to be told, or is being verified, in the order of person and field.
    #[cbor(n(38), default, skip_if = "Vec::is_empty")]
    pub asks: Vec<Ask>,
    /// Until when what is due now can wait.
    #[n(39)]
    pub deadline: Option<Timestamp>,
    /// When the verifications in progress end.
    #[n(40)]
    pub verification_ends: Option<Timestamp>,
    /// Rejected, and what it has may still be paid out.
    #[cbor(n(41), default, skip_if = "is_false")]
    pub pays_out_rejected: bool,
    /// Under the recipient service agreement: it receives transfers only.
    #[cbor(n(42), default, skip_if = "is_false")]
    pub is_recipient: bool,
    /// More about its payouts; `None` says nothing beyond the defaults.
    #[n(21)]
    pub paying: Option<Box<Paying>>,
}

fn is_zero<N: PartialEq + From<u8>>(number: &N) -> bool {
    *number == N::from(0)
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A person of a company, in its account's record: all that decisions need of it.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Member {
    /// Number of its record.
    #[n(0)]
    pub child: u32,
    #[n(1)]
    pub made: Made,
    /// What was told of it, roles among it.
    #[n(2)]
    pub facts: Facts,
}

/// A person of a company: its texts. What was found of it lies in the account's record.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct PersonRecord {
    /// Whose person.
    #[n(0)]
    pub account: AccountNo,
    #[n(1)]
    pub made: Made,
    /// Names, address, birthday, contact, metadata: under the account's key.
    #[n(2)]
    pub private: Sealed,
}

/// When and how an account is paid out, beyond interval and delay, and how far its automatic payouts are.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Paying {
    /// Weekdays of a weekly schedule, Monday as bit 0.
    #[n(0)]
    pub weekly_days: Option<u8>,
    /// Days of a monthly schedule, the first as bit 0.
    #[n(1)]
    pub monthly_days: Option<u32>,
    /// What automatic payouts leave in the balance, minor units by currency.
    #[n(2)]
    pub minimum_balances: Option<Vec<(Currency, i64)>>,
    /// The latest automatic payout of each currency and source type.
    #[n(3)]
    pub cuts: Option<Vec<Cut>>,
}

/// Where an automatic payout ends: it owns what was available by then and what no earlier one owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Cut {
    /// Of which currency.
    #[n(0)]
    pub currency: Currency,
    /// Of which kind of money.
    #[n(1)]
    pub source_type: SourceType,
    /// The payout's entry: rows of later ones come later.
    #[n(2)]
    pub seq: u64,
    /// Its day: money available later comes later.
    #[n(3)]
    pub day: Day,
    /// The first entry that made rows which have matured since.
    #[n(4)]
    pub rows_from: Option<u64>,
}

impl Cut {
    /// Whether a row lies before the cut. What a payout hands on is made with it and belongs to the next one.
    pub fn covers(&self, row: &Row) -> bool {
        let in_time = row.made.seq < self.seq || (row.made.seq == self.seq && row.kind != RowKind::MinimumRelease);
        in_time && row.counts_from() <= self.day
    }
}

impl AccountRecord {
    /// Whether `name` is a capability in force.
    pub fn is_active(&self, name: &str) -> bool {
        self.capabilities.iter().any(|c| c.name == name && c.status == CapabilityStatus::Active)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum AccountKind {
    #[n(0)]
    Standard,
    #[n(1)]
    Express,
    #[n(2)]
    Custom,
    /// Made with controller values that match no legacy type.
    #[n(3)]
    None,
}

/// Who bears what. `true` is the platform (`application`), `false` the operator or the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Controller {
    #[n(0)]
    pub losses_application: bool,
    /// `controller.fees.payer`.
    #[n(1)]
    pub fees: FeesPayer,
    #[n(2)]
    pub dashboard: Dashboard,
    #[n(3)]
    pub requirements_application: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum FeesPayer {
    #[n(0)]
    Account,
    #[n(1)]
    Application,
    #[n(2)]
    ApplicationCustom,
    #[n(3)]
    ApplicationExpress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Dashboard {
    #[n(0)]
    Full,
    #[n(1)]
    Express,
    #[n(2)]
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum BusinessType {
    #[n(0)]
    Individual,
    #[n(1)]
    Company,
    #[n(2)]
    NonProfit,
    #[n(3)]
    GovernmentEntity,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Capability {
    /// Wire name, for example `card_payments`.
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub status: CapabilityStatus,
    #[n(2)]
    pub requested_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum CapabilityStatus {
    #[n(0)]
    Inactive,
    #[n(1)]
    Pending,
    #[n(2)]
    Active,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum PayoutInterval {
    #[n(0)]
    Manual,
    #[n(1)]
    Daily,
    #[n(2)]
    Weekly,
    #[n(3)]
    Monthly,
}

/// A bank account or debit card that payouts go to. Its number was never stored: `last4` and a keyed fingerprint stay.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct ExternalAccount {
    #[n(0)]
    pub made: Made,
    #[n(1)]
    pub country: Country,
    #[n(2)]
    pub currency: Currency,
    #[n(3)]
    pub routing_number: Option<String>,
    #[n(4)]
    pub last4: String,
    #[n(5)]
    pub fingerprint: String,
    #[n(6)]
    pub default_for_currency: bool,
    /// What payouts to it will do, from the test number it was made with.
    #[n(7)]
    pub outcome: BankOutcome,
    #[n(8)]
    pub status: BankStatus,
    /// `individual` or `company`, as given.
    #[n(9)]
    pub holder_type: Option<String>,
    #[n(10)]
    pub deleted: bool,
    /// A debit card; `None`: a bank account.
    #[n(11)]
    pub card: Option<Card>,
    /// Where the check of its ownership stands, if there is one.
    #[n(12)]
    pub check: Option<Finding>,
    /// `Some(false)`: instant payouts never reach it, by its test number. `None`: its country decides.
    #[n(16)]
    pub instant: Option<bool>,
}

impl ExternalAccount {
    /// A debit card that payouts go to. Its place and time are the decision's affair.
    pub fn debit_card(card: Card, currency: Currency) -> ExternalAccount {
        ExternalAccount {
            made: Made { seq: 0, at: Timestamp(0) },
            country: card.country,
            currency,
            routing_number: None,
            last4: format!("{:04}", card.last4),
            fingerprint: card.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect(),
            default_for_currency: false,
            outcome: BankOutcome::Paid,
            status: BankStatus::New,
            holder_type: None,
            deleted: false,
            card: Some(card),
            check: None,
            instant: None,
        }
    }
}

/// What happens to a payout sent to a test bank account (section 13.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum BankOutcome {
    #[n(0)]
    Paid,
    #[n(1)]
    NoAccount,
    #[n(2)]
    AccountClosed,
    #[n(3)]
    InsufficientFunds,
    #[n(4)]
    DebitNotAuthorized,
    #[n(5)]
    InvalidCurrency,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum BankStatus {
    #[n(0)]
    New,
    #[n(1)]
    Errored,
}

// ---------------------------------------------------------------------------------------------------------------
// Customers, payment methods, tokens

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct CustomerRecord {
    #[n(0)]
    pub owner: AccountNo,
    #[n(1)]
    pub made: Made,
    /// `invoice_settings.default_payment_method`.
    #[n(2)]
    pub default_method: Option<MethodRef>,
    /// email, name, phone, description, address, shipping, metadata.
    #[n(3)]
    pub private: Sealed,
    #[n(4)]
    pub key_no: u32,
    #[n(5)]
    pub deleted: bool,
}

/// Where a payment method lies: in a record of its own, or inside the flow that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct MethodRef {
    #[n(0)]
    pub key: RecordKey,
    /// [`Slot::MAIN`] for a record of its own, [`Slot::INLINE_METHOD`] inside a flow.
    #[n(1)]
    pub slot: u16,
}

impl MethodRef {
    /// As an object id.
    pub fn id(&self) -> ObjectId {
        self.key.id(ObjectKind::PaymentMethod, self.slot)
    }
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct MethodRecord {
    #[n(0)]
    pub owner: AccountNo,
    #[n(1)]
    pub made: Made,
    #[n(2)]
    pub card: Card,
    /// Birth of the customer it is attached to.
    #[n(3)]
    pub customer: Option<u64>,
    /// It was detached, or used without a customer: it cannot be used again.
    #[n(4)]
    pub consumed: bool,
    /// billing_details, metadata.
    #[n(5)]
    pub private: Sealed,
    /// Its issuer agreed to later payments without the payer: it was set up for `off_session`.
    #[n(6)]
    pub set_up: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct TokenRecord {
    #[n(0)]
    pub owner: AccountNo,
    #[n(1)]
    pub made: Made,
    #[n(2)]
    pub content: TokenContent,
    #[n(3)]
    pub used: bool,
    /// Name and address given with it.
    #[n(4)]
    pub private: Sealed,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum TokenContent {
    #[n(0)]
    Card(#[n(0)] Card),
    #[n(1)]
    Bank(#[n(0)] ExternalAccount),
    /// The legal entity of an account; texts at the paths of an account's parameters.
    #[n(2)]
    Account(#[n(0)] AccountToken),
    /// A person; texts at the paths of a person's parameters.
    #[n(3)]
    Person(#[n(0)] Facts),
}

/// What an account token tells.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct AccountToken {
    #[n(0)]
    pub business_type: Option<BusinessType>,
    #[n(1)]
    pub facts: Facts,
    /// The terms were shown and accepted where it was made.
    #[n(2)]
    pub tos_accepted: bool,
}

/// What is kept of a card. The number and the security code never get here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Card {
    #[n(0)]
    pub brand: Brand,
    #[n(1)]
    pub funding: Funding,
    #[n(2)]
    pub country: Country,
    /// The last four digits, as a number.
    #[n(3)]
    pub last4: u16,
    #[n(4)]
    pub exp_month: u8,
    #[n(5)]
    pub exp_year: u16,
    /// Keyed hash of the number.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub fingerprint: [u8; 8],
    /// What a charge of it does, from the test number (section 13).
    #[n(7)]
    pub recipe: Recipe,
    /// Whether a security code was given and what the check says.
    #[n(8)]
    pub cvc_check: Check,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Brand {
    #[n(0)]
    Visa,
    #[n(1)]
    Mastercard,
    #[n(2)]
    Amex,
    #[n(3)]
    Discover,
    #[n(4)]
    Diners,
    #[n(5)]
    Jcb,
    #[n(6)]
    Unionpay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Funding {
    #[n(0)]
    Credit,
    #[n(1)]
    Debit,
    #[n(2)]
    Prepaid,
}

/// The result of a check of the security code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Check {
    /// None was given: null on the wire.
    #[n(0)]
    Absent,
    #[n(1)]
    Pass,
    #[n(2)]
    Fail,
    /// Given, not checked yet (saved card, before its first charge).
    #[n(3)]
    Unchecked,
}

/// What a test card does when it is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Recipe {
    #[n(0)]
    Succeed,
    /// Succeeds, and the money is available at once.
    #[n(1)]
    BypassPending,
    #[n(2)]
    GenericDecline,
    #[n(3)]
    InsufficientFunds,
    #[n(4)]
    LostCard,
    #[n(5)]
    StolenCard,
    #[n(6)]
    ExpiredCard,
    #[n(7)]
    IncorrectCvc,
    #[n(8)]
    ProcessingError,
    #[n(9)]
    VelocityExceeded,
    #[n(10)]
    Fraudulent,
    /// Can be attached to a customer; a charge declines.
    #[n(11)]
    ChargeCustomerFail,
    /// The decline of a payment that needs the payer to authenticate, who is not there. Cards of the time before
    /// authentication have it as their own recipe.
    #[n(12)]
    AuthenticationRequired,
    /// Demands authentication of payers who are there, and of absent ones unless it was set up for them.
    #[n(13)]
    AuthenticateUnlessSetUp,
    /// Demands authentication always.
    #[n(14)]
    AuthenticateAlways,
    /// Demands authentication of payers who are there; absent ones pay as if it had been set up.
    #[n(15)]
    AuthenticateOnSession,
    /// As [`Recipe::AuthenticateUnlessSetUp`]; then every payment declines for lack of funds.
    #[n(16)]
    AuthenticateThenInsufficientFunds,
    /// Demands authentication, then declines.
    #[n(17)]
    AuthenticateThenDecline,
    /// Demands authentication, and asking for it fails: declines.
    #[n(18)]
    AuthenticationError,
    /// Authenticates only where the seller asks for it.
    #[n(19)]
    AuthenticateIfAsked,
    /// Authenticates without asking the payer.
    #[n(20)]
    AuthenticateSilently,
    /// Succeeds, and cannot be authenticated.
    #[n(21)]
    AuthenticationUnsupported,
    /// The payer failed to authenticate. No card's recipe: the reason of a failure without a charge.
    #[n(22)]
    AuthenticationFailed,
    /// Succeeds, and is charged back as fraudulent.
    #[n(25)]
    Dispute,
    /// … as not received.
    #[n(26)]
    DisputeNotReceived,
    /// Succeeds, and the issuer inquires.
    #[n(27)]
    DisputeInquiry,
    /// Succeeds, and is charged back in two parts.
    #[n(28)]
    DisputeTwice,
    /// Succeeds, and is charged back as fraudulent, where earlier payments of the payer may count as evidence.
    #[n(29)]
    DisputeCe3,
    /// Succeeds, and is disputed for breach of the network's rules.
    #[n(30)]
    DisputeCompliance,
    /// Succeeds; its refunds are pending, and succeed a little later.
    #[n(40)]
    RefundPending,
    /// Succeeds; its refunds succeed, and fail a little later.
    #[n(41)]
    RefundFails,
}

// ---------------------------------------------------------------------------------------------------------------
// Flows

/// The head record of a flow: a payment intent with its charge, transfers and fees, or a transfer alone.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct FlowRecord {
    #[n(0)]
    pub owner: AccountNo,
    #[n(1)]
    pub made: Made,
    #[n(2)]
    pub intent: Option<Intent>,
    /// The latest attempt's charge.
    #[n(3)]
    pub charge: Option<Charge>,
    /// What the flow sent to accounts. Slot of a transfer, its payment and its fee = index.
    #[n(4)]
    pub transfers: Vec<Transfer>,
    /// Balance transactions of charge, transfers and fees; slot = index.
    #[n(5)]
    pub rows: Vec<Row>,
    /// Child records made so far: the next one's number is this plus 1.
    #[n(6)]
    pub children: u32,
    /// Of the children, the refunds (their numbers), newest last; at most the last 10 are kept here.
    #[n(7)]
    pub recent_refunds: Vec<u32>,
    /// The payment method made by this flow's own confirmation (a test recipe or raw card), if any.
    #[n(8)]
    pub inline_method: Option<InlineMethod>,
    /// Text by path: `pi.description`, `pi.metadata[order]`, `ch.…` once the charge's differs, `tr0.…`.
    #[n(9)]
    pub private: Sealed,
    /// The charge has text of its own: metadata changed on one side after it was made.
    #[n(10)]
    pub charge_text_split: bool,
    /// What the platform earned of a direct charge. It is the only fee of its flow: its slot is [`Slot::MAIN`].
    #[n(11)]
    pub direct_fee: Option<DirectFee>,
}

impl FlowRecord {
    /// The intent that the API shows: a charge made without one has none.
    pub fn shown_intent(&self) -> Option<&Intent> {
        self.intent.as_ref().filter(|intent| !intent.without_object)
    }

    /// Under which prefix the charge's texts lie.
    pub fn charge_texts(&self) -> &'static str {
        if self.charge_text_split { "ch." } else { "pi." }
    }

    /// The application fee of slot `slot`, with who paid it, when it was taken and from when its money is available.
    pub fn fee(&self, slot: u16) -> Option<FeeOf<'_>> {
        if let Some(direct) = self.direct_fee.as_ref().filter(|_| slot == Slot::MAIN) {
            let (payer, made, available_on) = (self.owner, direct.made, direct.available_on);
            return Some(FeeOf { fee: &direct.fee, payer, made, available_on });
        }
        let transfer = self.transfers.get(usize::from(slot))?;
        let fee = transfer.fee.as_ref()?;
        Some(FeeOf { fee, payer: transfer.destination, made: transfer.made, available_on: transfer.available_on })
    }

    /// The same fee, to change.
    pub fn fee_mut(&mut self, slot: u16) -> Option<&mut ApplicationFee> {
        match &mut self.direct_fee {
            Some(direct) if slot == Slot::MAIN => Some(&mut direct.fee),
            _ => self.transfers.get_mut(usize::from(slot))?.fee.as_mut(),
        }
    }

    /// The slots that have an application fee.
    pub fn fee_slots(&self) -> Vec<u16> {
        let direct = self.direct_fee.iter().map(|_| Slot::MAIN);
        let sent = (0_u16..).zip(&self.transfers).filter(|(_, transfer)| transfer.fee.is_some());
        direct.chain(sent.map(|(slot, _)| slot)).collect()
    }
}

/// An application fee in its flow.
#[derive(Clone, Copy, Debug)]
pub struct FeeOf<'a> {
    pub fee: &'a ApplicationFee,
    /// The connected account that paid it.
    pub payer: AccountNo,
    pub made: Made,
    pub available_on: Day,
}

/// The application fee of a direct charge.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct DirectFee {
    #[n(0)]
    pub made: Made,
    #[n(1)]
    pub fee: ApplicationFee,
    /// With the charge that it came from.
    #[n(2)]
    pub available_on: Day,
}

/// A payment method made inside a flow.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct InlineMethod {
    #[n(0)]
    pub card: Card,
    #[n(1)]
    pub made: Made,
    /// Its slot: [`Slot::INLINE_METHOD`] for the flow's first one, one more for each that replaced it.
    #[n(2)]
    pub slot: u16,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Intent {
    /// Presentment amount, minor units.
    #[n(0)]
    pub amount: i64,
    /// Presentment currency.
    #[n(1)]
    pub currency: Currency,
    #[n(2)]
    pub status: IntentStatus,
    #[n(3)]
    pub capture_method: CaptureMethod,
    #[n(4)]
    pub confirmation_manual: bool,
    /// Birth of the customer.
    #[n(5)]
    pub customer: Option<u64>,
    #[n(6)]
    pub method: Option<MethodRef>,
    #[n(7)]
    pub split: Split,
    #[n(8)]
    pub amount_capturable: i64,
    #[n(9)]
    pub amount_received: i64,
    #[n(10)]
    pub canceled_at: Option<Timestamp>,
    #[n(11)]
    pub cancellation_reason: Option<CancellationReason>,
    /// Why the latest attempt failed.
    #[n(12)]
    pub last_error: Option<Decline>,
    /// Charges made so far; the latest one's slot is this minus 1.
    #[n(13)]
    pub attempts: u16,
    /// `automatic_payment_methods`: Some(allow_redirects=always).
    #[n(14)]
    pub automatic_methods: Option<bool>,
    /// Given `payment_method_types` or `allowed_payment_method_types`; empty: the default, card.
    #[n(15)]
    pub method_types: Vec<String>,
    #[n(16)]
    pub setup_future_usage: Option<FutureUsage>,
    /// An authorization ends then.
    #[n(17)]
    pub capture_before: Option<Timestamp>,
    /// The account that the charge settles for, where that is not its owner.
    #[n(18)]
    pub on_behalf_of: Option<AccountNo>,
    /// `POST /v1/charges` made it: the machine is the same, but the API knows no payment intent.
    #[cbor(n(19), default, skip_if = "is_false")]
    pub without_object: bool,
    /// `payment_method_options[card]`.
    #[n(23)]
    pub options: Option<CardOptions>,
    /// The latest authentication that was asked for.
    #[n(24)]
    pub authentication: Option<Authentication>,
    /// The payment method of [`Intent::last_error`] where it was no charge that failed.
    #[n(25)]
    pub failed_method: Option<MethodRef>,
}

/// What the caller wants of cards in particular.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CardOptions {
    #[n(0)]
    pub three_d_secure: Option<ThreeDSecureRequest>,
    /// `capture_method=manual`, for cards only.
    #[n(1)]
    pub capture_manual: Option<bool>,
    /// In place of the intent's own.
    #[n(2)]
    pub future_usage: Option<CardUsage>,
}

/// `request_three_d_secure`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ThreeDSecureRequest {
    #[default]
    #[n(0)]
    Automatic,
    #[n(1)]
    Any,
    #[n(2)]
    Challenge,
}

/// `payment_method_options[card][setup_future_usage]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum CardUsage {
    #[n(0)]
    None,
    #[n(1)]
    OnSession,
    #[n(2)]
    OffSession,
}

/// An authentication that a payer was asked for. It waits for an answer while its intent `requires_action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Authentication {
    /// Counts the intent's authentications from 1, so that the link of an earlier one opens nothing.
    #[n(0)]
    pub number: u16,
    /// The caller's own code shows it (`use_stripe_sdk`), not a redirect.
    #[n(1)]
    pub by_sdk: bool,
    /// A `return_url` came with the confirmation; it lies among the texts.
    #[n(2)]
    pub returns: bool,
    /// It was passed, and the caller has to confirm once more (`confirmation_method=manual`).
    #[n(3)]
    pub passed: bool,
}

/// How a payment was authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ThreeDSecure {
    /// The payer passed a challenge.
    #[n(0)]
    Challenged,
    /// The issuer was content without one.
    #[n(1)]
    Silent,
    /// The card takes no part in it, and the issuer answers for that.
    #[n(2)]
    NotEnrolled,
    /// Asking the issuer failed.
    #[n(3)]
    LookupFailed,
    /// The payer failed a challenge.
    #[n(4)]
    Failed,
}

/// How a payment's money is divided.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Split {
    /// The owner keeps it.
    #[n(0)]
    Keep,
    /// A destination charge with `application_fee_amount` (or none).
    #[n(1)]
    Destination {
        #[n(0)]
        account: AccountNo,
        /// Presentment currency, minor units.
        #[n(1)]
        application_fee: Option<i64>,
    },
    /// A destination charge with `transfer_data[amount]`.
    #[n(2)]
    DestinationAmount {
        #[n(0)]
        account: AccountNo,
        #[n(1)]
        amount: i64,
    },
    /// By a named rule (birth of its record), as it stands when the charge is captured.
    #[n(3)]
    Rule(#[n(0)] u64),
    /// A direct charge whose owner pays the platform this `application_fee_amount`: presentment currency, minor units.
    #[n(4)]
    Direct(#[n(0)] i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum IntentStatus {
    #[n(0)]
    RequiresPaymentMethod,
    #[n(1)]
    RequiresConfirmation,
    #[n(2)]
    RequiresAction,
    #[n(3)]
    Processing,
    #[n(4)]
    RequiresCapture,
    #[n(5)]
    Succeeded,
    #[n(6)]
    Canceled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum CaptureMethod {
    #[n(0)]
    AutomaticAsync,
    #[n(1)]
    Automatic,
    #[n(2)]
    Manual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum FutureUsage {
    #[n(0)]
    OnSession,
    #[n(1)]
    OffSession,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum CancellationReason {
    #[n(0)]
    Abandoned,
    #[n(1)]
    Duplicate,
    #[n(2)]
    Fraudulent,
    #[n(3)]
    RequestedByCustomer,
    /// The authorization expired.
    #[n(4)]
    Automatic,
}

/// A decline, as issuer and network word it (section 13.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Decline {
    /// Which recipe declined; code, decline code, advice and text follow from it.
    #[n(0)]
    pub recipe: Recipe,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Charge {
    #[n(0)]
    pub made: Made,
    /// Attempt number from 0: the charge's slot.
    #[n(1)]
    pub attempt: u16,
    #[n(2)]
    pub amount: i64,
    #[n(3)]
    pub amount_captured: i64,
    /// Refunds that did not fail, those that wait for money and the uncaptured rest of a partial capture among them.
    #[n(4)]
    pub amount_refunded: i64,
    #[n(5)]
    pub currency: Currency,
    #[n(6)]
    pub captured: bool,
    /// Why it failed; `None` is a success.
    #[n(7)]
    pub failure: Option<Decline>,
    #[n(8)]
    pub rail: Rail,
    #[n(9)]
    pub card: Card,
    #[n(10)]
    pub method: MethodRef,
    /// When the captured money becomes available.
    #[n(11)]
    pub available_on: Option<Day>,
    /// Of `amount_refunded`, the uncaptured rest; it cannot be refunded again.
    #[n(12)]
    pub uncaptured_rest: i64,
    /// What transfers took of it, in its settlement currency; they may take no more than it brought.
    #[n(13)]
    pub transferred: i64,
    /// How the payer was authenticated, if that was tried.
    #[n(18)]
    pub three_d_secure: Option<ThreeDSecure>,
    /// What disputes made of it; `None`: it never was disputed.
    #[n(25)]
    pub disputes: Option<Box<Disputes>>,
    /// Of `amount_refunded`, refunds that wait for money: nothing has moved for them yet.
    #[cbor(n(23), default, skip_if = "is_zero")]
    pub waiting: i64,
}

impl Charge {
    /// What refunds may still take, presentment currency.
    pub fn refundable(&self) -> i64 {
        self.amount_captured - (self.amount_refunded - self.uncaptured_rest)
    }

    /// What chargebacks that are open or lost took, presentment currency.
    pub fn charged_back(&self) -> i64 {
        self.disputes.as_ref().map_or(0, |disputes| disputes.charged_back)
    }

    /// What a further dispute may be about: refunds and chargebacks together never exceed what was captured.
    pub fn disputable(&self) -> i64 {
        self.refundable() - self.charged_back()
    }
}

/// What disputes made of a charge.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Disputes {
    /// Child number of the newest one.
    #[n(0)]
    pub latest: u32,
    /// Under chargebacks that are open or lost, presentment currency.
    #[n(1)]
    pub charged_back: i64,
    /// Child number of the inquiry that is open.
    #[n(2)]
    pub inquiry: Option<u32>,
}

/// A transfer with the payment that it makes on its destination.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Transfer {
    #[n(0)]
    pub made: Made,
    #[n(1)]
    pub destination: AccountNo,
    /// What leaves the owner, in its settlement currency.
    #[n(2)]
    pub amount: i64,
    #[n(3)]
    pub currency: Currency,
    #[n(4)]
    pub amount_reversed: i64,
    /// Whether it came from a charge: this flow's, or `source` of another flow.
    #[n(5)]
    pub source: TransferSource,
    /// What the destination's balance got, gross, in its currency.
    #[n(6)]
    pub payment_amount: i64,
    #[n(7)]
    pub payment_currency: Currency,
    #[n(8)]
    pub payment_refunded: i64,
    #[n(9)]
    pub fee: Option<ApplicationFee>,
    #[n(10)]
    pub source_type: SourceType,
    /// Child numbers of its reversals, newest last; at most the last 10 are kept here.
    #[n(11)]
    pub recent_reversals: Vec<u32>,
    #[n(12)]
    pub available_on: Day,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum TransferSource {
    /// No charge behind it.
    #[n(0)]
    Balance,
    /// This flow's own charge.
    #[n(1)]
    OwnCharge,
    /// The charge of another flow (`source_transaction`), by birth and attempt.
    #[n(2)]
    Charge {
        #[n(0)]
        birth: u64,
        #[n(1)]
        attempt: u16,
    },
}

/// An application fee.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct ApplicationFee {
    /// As asked for: presentment currency.
    #[n(0)]
    pub amount: i64,
    #[n(1)]
    pub currency: Currency,
    #[n(2)]
    pub amount_refunded: i64,
    /// What the connected account's payment paid of it, in its currency.
    #[n(3)]
    pub charged: i64,
    #[n(4)]
    pub charged_currency: Currency,
    /// What it got back of that.
    #[n(5)]
    pub charged_refunded: i64,
    /// Child numbers of its refunds, newest last; at most the last 10 are kept here.
    #[n(6)]
    pub recent_refunds: Vec<u32>,
    /// The currency that the platform got [`ApplicationFee::amount`] in (direct charges, and those on behalf of an
    /// account). `None`: it got just what was charged, in that currency.
    #[n(7)]
    pub earned_currency: Option<Currency>,
}

/// A failed charge that a later attempt superseded. Its id keeps pointing at its flow; the slot leads here.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct AttemptRecord {
    #[n(0)]
    pub owner: AccountNo,
    #[n(1)]
    pub charge: Charge,
    /// Birth of the customer at that time.
    #[n(2)]
    pub customer: Option<u64>,
    #[n(3)]
    pub private: Sealed,
}

/// Child numbers of superseded attempts lie above all others: attempt `n` is child `ATTEMPT_CHILDREN + n`.
pub const ATTEMPT_CHILDREN: u32 = 0x80_0000;

/// A refund with the reversal and fee refund that it took along.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct RefundRecord {
    #[n(0)]
    pub owner: AccountNo,
    #[n(1)]
    pub made: Made,
    /// Birth of the flow is the record's own; which of its charges.
    #[n(2)]
    pub charge_attempt: u16,
    /// Presentment currency.
    #[n(3)]
    pub amount: i64,
    #[n(4)]
    pub currency: Currency,
    #[n(5)]
    pub reason: Option<RefundReason>,
    #[n(6)]
    pub reversals: Vec<ReversalPart>,
    #[n(7)]
    pub fee_refunds: Vec<FeeRefundPart>,
    #[n(8)]
    pub rows: Vec<Row>,
    /// It is the uncaptured rest of a partial capture.
    #[n(9)]
    pub uncaptured_rest: bool,
    /// metadata, instructions_email.
    #[n(10)]
    pub private: Sealed,
    /// How far it got.
    #[cbor(n(11), default, skip_if = "RefundStatus::is_succeeded")]
    pub status: RefundStatus,
    /// Why it failed or was canceled.
    #[n(12)]
    pub failure: Option<RefundFailure>,
    /// While it waits for money: how it is to be made. Nothing has moved for it yet.
    #[n(13)]
    pub waits: Option<RefundTerms>,
    /// When its money moved, where that was later than it was made.
    #[n(14)]
    pub moved_later: Option<Made>,
}

impl RefundRecord {
    /// When its money moved, and with it what it took along.
    pub fn moved(&self) -> Made {
        self.moved_later.unwrap_or(self.made)
    }

    /// Whether it counts among what was refunded of its charge.
    pub fn counts(&self) -> bool {
        !matches!(self.status, RefundStatus::Failed | RefundStatus::Canceled)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum RefundStatus {
    #[default]
    #[n(0)]
    Succeeded,
    /// On its way; or, see [`RefundRecord::waits`], waiting for money.
    #[n(1)]
    Pending,
    /// The payer has to say where the money shall go.
    #[n(2)]
    RequiresAction,
    #[n(3)]
    Failed,
    #[n(4)]
    Canceled,
}

impl RefundStatus {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that the encoding asks for")]
    fn is_succeeded(&self) -> bool {
        *self == RefundStatus::Succeeded
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum RefundFailure {
    #[n(0)]
    ExpiredOrCanceledCard,
    #[n(1)]
    InsufficientFunds,
    /// The caller canceled it.
    #[n(2)]
    MerchantRequest,
    #[n(3)]
    Unknown,
}

/// How a refund is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RefundTerms {
    /// Takes the destinations' shares back.
    #[n(0)]
    pub reverse_transfer: bool,
    /// Gives the application fees back.
    #[n(1)]
    pub refund_application_fee: bool,
    /// The payer must say first where the money shall go.
    #[n(2)]
    pub asks_payer: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum RefundReason {
    #[n(0)]
    Duplicate,
    #[n(1)]
    Fraudulent,
    #[n(2)]
    RequestedByCustomer,
}

/// The reversal of one transfer. Its id (`trr_`) and that of the destination's refund (`pyr_`) have the slot of the
/// transfer in the record that holds it.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct ReversalPart {
    /// Index of the transfer in its flow.
    #[n(0)]
    pub transfer: u16,
    #[n(1)]
    pub destination: AccountNo,
    /// In the transfer's currency.
    #[n(2)]
    pub amount: i64,
    #[n(3)]
    pub currency: Currency,
    /// What the destination lost, in its currency.
    #[n(4)]
    pub payment_amount: i64,
    #[n(5)]
    pub payment_currency: Currency,
}

/// The refund of one application fee (`fr_`), slot = index of its transfer.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct FeeRefundPart {
    #[n(0)]
    pub transfer: u16,
    #[n(1)]
    pub account: AccountNo,
    /// Of the fee's amount, in the fee's currency.
    #[n(2)]
    pub amount: i64,
    #[n(3)]
    pub currency: Currency,
    /// What the connected account got back, in its currency.
    #[n(4)]
    pub returned: i64,
    #[n(5)]
    pub returned_currency: Currency,
}

/// A transfer reversal that no refund made.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct ReversalRecord {
    #[n(0)]
    pub owner: AccountNo,
    #[n(1)]
    pub made: Made,
    #[n(2)]
    pub part: ReversalPart,
    #[n(3)]
    pub fee_refund: Option<FeeRefundPart>,
    #[n(4)]
    pub rows: Vec<Row>,
    /// description, metadata.
    #[n(5)]
    pub private: Sealed,
}

/// An application fee refund that no refund made.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct FeeRefundRecord {
    #[n(0)]
    pub owner: AccountNo,
    #[n(1)]
    pub made: Made,
    #[n(2)]
    pub part: FeeRefundPart,
    #[n(3)]
    pub rows: Vec<Row>,
    /// metadata.
    #[n(4)]
    pub private: Sealed,
}

// ---------------------------------------------------------------------------------------------------------------
// Disputes

/// A dispute of a charge: an inquiry, or a chargeback with what it took. A child of the payment's flow.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct DisputeRecord {
    /// The charge's owner: it answers, and it is debited.
    #[n(0)]
    pub owner: AccountNo,
    #[n(1)]
    pub made: Made,
    /// Which charge of the flow.
    #[n(2)]
    pub charge_attempt: u16,
    /// Presentment currency, minor units.
    #[n(3)]
    pub amount: i64,
    #[n(4)]
    pub currency: Currency,
    #[n(5)]
    pub reason: DisputeReason,
    #[n(6)]
    pub case: DisputeCase,
    #[n(7)]
    pub status: DisputeStatus,
    /// Until when an answer counts.
    #[n(8)]
    pub due_by: Timestamp,
    /// The due item that ends the waiting, while one is in the queue.
    #[n(9)]
    pub deadline: Option<DueKey>,
    /// The due item of the issuer's decision, while one is in the queue.
    #[n(10)]
    pub review: Option<DueKey>,
    /// Whether evidence was given, staged or submitted.
    #[n(11)]
    pub has_evidence: bool,
    #[n(12)]
    pub submissions: u16,
    /// What the evidence's test words ask for.
    #[n(13)]
    pub words: EvidenceWords,
    /// What the chargeback took, and what it costs; `None` for an inquiry.
    #[n(14)]
    pub taken: Option<Taken>,
    /// Which special evidence the network takes.
    #[n(15)]
    pub enhanced: Option<Enhanced>,
    #[n(16)]
    pub rows: Vec<Row>,
    /// evidence, metadata, intended_submission_method.
    #[n(17)]
    pub private: Sealed,
}

/// What a chargeback took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Taken {
    /// Of the owner's balance, in the charge's settlement currency, minor units.
    #[n(0)]
    pub amount: i64,
    #[n(1)]
    pub currency: Currency,
    /// Who pays the fees: the owner, or the platform for it.
    #[n(2)]
    pub payer: AccountNo,
    /// The dispute fee, in `fee_currency`, minor units.
    #[n(3)]
    pub fee: i64,
    /// What answering it cost, in `fee_currency`, minor units.
    #[n(4)]
    pub counter_fee: i64,
    #[n(5)]
    pub fee_currency: Currency,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum DisputeStatus {
    #[n(0)]
    WarningNeedsResponse,
    #[n(1)]
    WarningUnderReview,
    #[n(2)]
    WarningClosed,
    #[n(3)]
    NeedsResponse,
    #[n(4)]
    UnderReview,
    #[n(5)]
    Won,
    #[n(6)]
    Lost,
}

/// What kind of case the network made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum DisputeCase {
    #[n(0)]
    Inquiry,
    #[n(1)]
    Chargeback,
    #[n(2)]
    Compliance,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum DisputeReason {
    #[n(0)]
    Fraudulent,
    #[n(1)]
    ProductNotReceived,
    #[n(2)]
    ProductUnacceptable,
    #[n(3)]
    Duplicate,
    #[n(4)]
    CreditNotProcessed,
    #[n(5)]
    SubscriptionCanceled,
    #[n(6)]
    Unrecognized,
    #[n(7)]
    General,
    #[n(8)]
    Noncompliant,
}

/// What `evidence[uncategorized_text]` says, as far as it decides a test dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum EvidenceWords {
    /// Nothing that decides: the case stays under review.
    #[n(0)]
    None,
    /// `winning_evidence`.
    #[n(1)]
    Winning,
    /// `losing_evidence`.
    #[n(2)]
    Losing,
    /// `escalate_inquiry_evidence`: the inquiry becomes a chargeback.
    #[n(3)]
    Escalating,
}

/// Special evidence that a network takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Enhanced {
    /// Visa Compelling Evidence 3.0.
    #[n(0)]
    VisaCe3,
    /// Visa compliance: its fee must be acknowledged.
    #[n(1)]
    VisaCompliance,
    /// Mastercard compliance: its fee must be acknowledged.
    #[n(2)]
    MastercardCompliance,
}

// ---------------------------------------------------------------------------------------------------------------
// Payouts, split rules, adjustments

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct PayoutRecord {
    #[n(0)]
    pub owner: AccountNo,
    #[n(1)]
    pub made: Made,
    #[n(2)]
    pub amount: i64,
    #[n(3)]
    pub currency: Currency,
    #[n(4)]
    pub status: PayoutStatus,
    #[n(5)]
    pub arrival_on: Day,
    /// Index into the owner's external accounts.
    #[n(6)]
    pub bank: u16,
    #[n(7)]
    pub source_type: SourceType,
    #[n(8)]
    pub failure: Option<BankOutcome>,
    /// Row 0 is the payout's; row 1 its cancellation or failure.
    #[n(9)]
    pub rows: Vec<Row>,
    /// description, statement_descriptor, metadata.
    #[n(10)]
    pub private: Sealed,
    /// Made by the schedule; which rows it owns.
    #[n(11)]
    pub automatic: Option<Box<Window>>,
    /// Sent at once, for a fee.
    #[n(12)]
    pub instant: Option<bool>,
    /// Birth of the payout that this one takes back.
    #[n(13)]
    pub original: Option<u64>,
    /// Birth of the payout that took this one back.
    #[n(14)]
    pub reversed_by: Option<u64>,
    /// Its rows have been told of: `reconciliation_status` is `completed`.
    #[n(15)]
    pub reconciled: Option<bool>,
    /// What reached the bank, where the bank account is in another currency.
    #[n(16)]
    pub arrived: Option<(i64, Currency)>,
}

/// The rows that an automatic payout owns: all between the cut before it and its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Window {
    /// The payout's day.
    #[n(0)]
    pub day: Day,
    /// No entry before this one made a row of it.
    #[n(1)]
    pub since: u64,
    /// The cut before it.
    #[n(2)]
    pub after: Option<Cut>,
}

impl PayoutRecord {
    /// Whether an automatic payout owns a row; its own row is one of them.
    pub fn owns(&self, row: &Row) -> bool {
        let Some(window) = &self.automatic else { return false };
        let same = (row.account, row.currency, row.source_type()) == (self.owner, self.currency, self.source_type);
        same && self.cut(window).covers(row) && !window.after.is_some_and(|cut| cut.covers(row))
    }

    fn cut(&self, window: &Window) -> Cut {
        let (currency, source_type) = (self.currency, self.source_type);
        Cut { currency, source_type, seq: self.made.seq, day: window.day, rows_from: None }
    }
}

/// Money put into the platform's balance from a bank account.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct TopupRecord {
    #[n(0)]
    pub owner: AccountNo,
    #[n(1)]
    pub made: Made,
    #[n(2)]
    pub amount: i64,
    #[n(3)]
    pub currency: Currency,
    #[n(4)]
    pub status: TopupStatus,
    /// When it is expected to arrive.
    #[n(5)]
    pub expected_on: Day,
    /// Where it comes from.
    #[n(6)]
    pub bank: ExternalAccount,
    #[n(7)]
    pub failure: Option<BankOutcome>,
    /// Row 0 is the arrival; row 1 its reversal.
    #[n(8)]
    pub rows: Vec<Row>,
    /// description, statement_descriptor, transfer_group, metadata.
    #[n(9)]
    pub private: Sealed,
    /// The bank takes it back after its arrival.
    #[n(10)]
    pub returns: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum TopupStatus {
    #[n(0)]
    Pending,
    #[n(1)]
    Succeeded,
    #[n(2)]
    Failed,
    #[n(3)]
    Canceled,
    #[n(4)]
    Reversed,
}

/// Changes of the platform's reserve in one entry: row `i` is for account `i`.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct ReserveRecord {
    #[n(0)]
    pub made: Made,
    #[n(1)]
    pub accounts: Vec<AccountNo>,
    #[n(2)]
    pub rows: Vec<Row>,
}

/// Child number of the reserve record beside what its entry made: above all attempts.
pub const RESERVE_CHILD: u32 = 0x90_0000;

/// A debt that the platform paid for an account. Row 0 is the platform's, row 1 the account's.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct CollectionRecord {
    #[n(0)]
    pub made: Made,
    #[n(1)]
    pub account: AccountNo,
    #[n(2)]
    pub rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum PayoutStatus {
    #[n(0)]
    Pending,
    #[n(1)]
    InTransit,
    #[n(2)]
    Paid,
    #[n(3)]
    Canceled,
    #[n(4)]
    Failed,
}

/// A named rule that divides a charge (Florin's own; no other API has it in this form).
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct SplitRuleRecord {
    #[n(0)]
    pub made: Made,
    #[n(1)]
    pub name: String,
    #[n(2)]
    pub shares: Vec<Share>,
    #[n(3)]
    pub private: Sealed,
}

/// One party's share under a rule.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Share {
    /// [`AccountNo::PLATFORM`] keeps its share.
    #[n(0)]
    pub account: AccountNo,
    #[n(1)]
    pub terms: ShareTerms,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum ShareTerms {
    /// Millionths of the charge.
    #[n(0)]
    Percent(#[n(0)] u32),
    /// A fixed amount, minor units of the charge's settlement currency.
    #[n(1)]
    Fixed(#[n(0)] i64),
    /// Millionths by size of the charge: the first tier whose bound the charge does not exceed; the last is unbounded.
    #[n(2)]
    Tiers(#[n(0)] Vec<Tier>),
    /// What the others leave; with several, in proportion to their weights.
    #[n(3)]
    Remainder(#[n(0)] u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Tier {
    /// Largest charge of this tier, minor units; `None` for the last.
    #[n(0)]
    pub up_to: Option<i64>,
    /// Millionths.
    #[n(1)]
    pub ppm: u32,
}

/// A balanced correction that refers to the entry it repairs.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct AdjustmentRecord {
    #[n(0)]
    pub made: Made,
    /// Sequence number of the entry that was wrong.
    #[n(1)]
    pub repairs: u64,
    #[n(2)]
    pub rows: Vec<Row>,
    /// reason, author.
    #[n(3)]
    pub private: Sealed,
}

// ---------------------------------------------------------------------------------------------------------------
// Setup intents

/// A wish to use a payment method later, and what became of it.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct SetupRecord {
    #[n(0)]
    pub owner: AccountNo,
    #[n(1)]
    pub made: Made,
    /// As of a payment intent; never `requires_capture`.
    #[n(2)]
    pub status: IntentStatus,
    /// Birth of the customer.
    #[n(3)]
    pub customer: Option<u64>,
    #[n(4)]
    pub method: Option<MethodRef>,
    #[n(5)]
    pub usage: FutureUsage,
    #[n(6)]
    pub last_error: Option<Decline>,
    /// The latest attempt.
    #[n(7)]
    pub attempt: Option<SetupAttempt>,
    #[n(8)]
    pub authentication: Option<Authentication>,
    /// As [`Intent::automatic_methods`].
    #[n(9)]
    pub automatic_methods: Option<bool>,
    /// As [`Intent::method_types`].
    #[n(10)]
    pub method_types: Vec<String>,
    #[n(11)]
    pub options: Option<CardOptions>,
    #[n(12)]
    pub on_behalf_of: Option<AccountNo>,
    #[n(13)]
    pub cancellation_reason: Option<CancellationReason>,
    /// Payment methods made so far; the next one is the child of this number plus 1.
    #[n(14)]
    pub children: u32,
    /// description, return_url, metadata.
    #[n(15)]
    pub private: Sealed,
}

/// One try to set a payment method up.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct SetupAttempt {
    #[n(0)]
    pub made: Made,
    /// From 0: its slot.
    #[n(1)]
    pub number: u16,
    #[n(2)]
    pub status: SetupAttemptStatus,
    #[n(3)]
    pub method: MethodRef,
    #[n(4)]
    pub card: Card,
    /// Birth of the customer at that time.
    #[n(5)]
    pub customer: Option<u64>,
    #[n(6)]
    pub error: Option<Decline>,
    #[n(7)]
    pub three_d_secure: Option<ThreeDSecure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum SetupAttemptStatus {
    #[n(0)]
    RequiresAction,
    #[n(1)]
    Succeeded,
    #[n(2)]
    Failed,
    /// Another attempt or a cancellation came before the payer's answer.
    #[n(3)]
    Abandoned,
}

/// A superseded attempt. Its id keeps pointing at its setup intent; the slot leads here.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct SetupAttemptRecord {
    #[n(0)]
    pub owner: AccountNo,
    #[n(1)]
    pub attempt: SetupAttempt,
}

/// A record as decisions share it.
pub type Shared = Arc<Record>;
