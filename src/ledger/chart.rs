//! The chart of accounts of one platform.
//!
//! An account's balance is what the platform owes it, so account legs are credit-normal: a credit raises the balance.
//! House legs are the other side: what an acquirer or bank owes (debit-normal), fees earned, exchange positions.

use std::fmt;

use minicbor::{Decode, Encode};

use crate::primitives::time::Day;

/// An account of a platform: the sequence number that created it. The platform's own account is number 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct AccountNo(#[n(0)] pub u64);

impl AccountNo {
    /// The platform's own account.
    pub const PLATFORM: AccountNo = AccountNo(0);

    /// Whether this is the platform itself and not one of its connected accounts.
    pub fn is_platform(self) -> bool {
        self == AccountNo::PLATFORM
    }
}

/// Which kind of payment the money came from; payouts and transfers draw on one of them (section 9.1 of the API's
/// balance object: `source_types`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum SourceType {
    /// Cards, wallets, and transfers of such money.
    #[n(0)]
    Card,
    /// Bank debits, and transfers of such money.
    #[n(1)]
    BankAccount,
}

/// Why money of an account is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum ReserveKind {
    /// A platform's cover for negative balances of its connected accounts.
    #[n(0)]
    Connect,
    /// Money under dispute.
    #[n(1)]
    Dispute,
    /// A hold placed by the platform.
    #[n(2)]
    Hold,
    /// A refund that waits for money.
    #[n(3)]
    Refund,
    /// A minimum balance kept back from payouts.
    #[n(4)]
    Minimum,
}

/// The part of an account's balance that a posting touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Bucket {
    /// May be paid out, transferred or refunded from now.
    #[n(0)]
    Available,
    /// Becomes available at this day's midnight, UTC. No posting is made when it does.
    #[n(1)]
    Pending(#[n(0)] Day),
    /// Set aside.
    #[n(2)]
    Reserved(#[n(0)] ReserveKind),
}

/// How money reaches or leaves Florin's world on the payer's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Rail {
    /// Card networks.
    #[n(0)]
    Card,
}

/// What a fee was charged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum FeeKind {
    /// Processing a payment.
    #[n(0)]
    Processing,
    /// The mark-up of a currency conversion.
    #[n(1)]
    Conversion,
    /// A dispute.
    #[n(2)]
    Dispute,
    /// An instant payout.
    #[n(3)]
    Payout,
}

/// A ledger account of the house: everything that is not a balance of the platform or of a connected account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum House {
    /// Owed by the acquirer of a rail.
    #[n(0)]
    Clearing(#[n(0)] Rail),
    /// Money with the bank: payouts in flight, top-ups.
    #[n(1)]
    Bank,
    /// Fees earned by the operator.
    #[n(2)]
    Fees(#[n(0)] FeeKind),
    /// The exchange position in one currency.
    #[n(3)]
    Fx,
    /// Money held by card networks while a dispute runs.
    #[n(4)]
    Disputes,
    /// Whole units that rounding to a currency's multiple gained or lost.
    #[n(5)]
    Rounding,
}

/// Where a posting lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Leg {
    /// A bucket of an account's balance.
    #[n(0)]
    Account {
        /// Whose balance.
        #[n(0)]
        account: AccountNo,
        /// Which kind of money.
        #[n(1)]
        source: SourceType,
        /// Available, pending or reserved.
        #[n(2)]
        bucket: Bucket,
    },
    /// A ledger account of the house.
    #[n(1)]
    House(#[n(0)] House),
}

impl Leg {
    /// An account's card money in `bucket`.
    pub fn account(account: AccountNo, bucket: Bucket) -> Leg {
        Leg::Account { account, source: SourceType::Card, bucket }
    }
}

impl fmt::Display for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            House::Clearing(Rail::Card) => "clearing:card",
            House::Bank => "bank",
            House::Fees(FeeKind::Processing) => "fees:processing",
            House::Fees(FeeKind::Conversion) => "fees:conversion",
            House::Fees(FeeKind::Dispute) => "fees:dispute",
            House::Fees(FeeKind::Payout) => "fees:payout",
            House::Fx => "fx",
            House::Disputes => "disputes",
            House::Rounding => "rounding",
        })
    }
}

/// The text names no ledger account of the house.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no ledger account; use clearing:card, bank, fees:processing, fees:conversion, fees:dispute, fees:payout, fx, disputes or rounding"
)]
pub struct LegError(pub String);

impl House {
    /// Every ledger account of the house, in the order of the chart.
    pub const ALL: [House; 9] = [
        House::Clearing(Rail::Card),
        House::Bank,
        House::Fees(FeeKind::Processing),
        House::Fees(FeeKind::Conversion),
        House::Fees(FeeKind::Dispute),
        House::Fees(FeeKind::Payout),
        House::Fx,
        House::Disputes,
        House::Rounding,
    ];
}

impl std::str::FromStr for House {
    type Err = LegError;

    fn from_str(text: &str) -> Result<House, LegError> {
        House::ALL.into_iter().find(|house| house.to_string() == text).ok_or_else(|| LegError(text.to_owned()))
    }
}
