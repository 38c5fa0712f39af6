//! What happens later: held by the router, fired as an internal command with its own entry.

use minicbor::{Decode, Encode};

use super::record::RecordKey;
use crate::ledger::AccountNo;
use crate::primitives::currency::Currency;
use crate::primitives::time::{Day, Timestamp};

/// Order in which due items fire: time, then birth, then ordinal within the entry that made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct DueKey {
    /// When.
    #[n(0)]
    pub at: Timestamp,
    /// Sequence number of the entry that scheduled it.
    #[n(1)]
    pub birth: u64,
    /// Which of that entry's items.
    #[n(2)]
    pub ordinal: u16,
}

impl DueKey {
    /// Where an account's next automatic payout stands: behind everything that matures at that midnight. `turn` tells
    /// the payouts of one day apart.
    pub fn pay_out(account: AccountNo, at: Timestamp, turn: u16) -> DueKey {
        DueKey { at, birth: u64::MAX - account.0, ordinal: turn }
    }

    /// Where the platform's reserve for an account and currency is settled: behind its payouts.
    pub fn reserve(account: AccountNo, currency: Currency, at: Timestamp) -> DueKey {
        DueKey { at, birth: u64::MAX - account.0, ordinal: RESERVE_ORDINAL + currency.numeric() }
    }
}

/// Numbers of currencies have three digits; turns of a payout stay far below.
const RESERVE_ORDINAL: u16 = 0x4000;

/// A reserve that the platform holds for an account below zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// Where the end of the debt stands in the queue.
    pub key: DueKey,
    /// How much is held, minor units.
    pub held: i64,
}

/// Something that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DueItem {
    /// Its place in the queue.
    #[n(0)]
    pub key: DueKey,
    /// What to do.
    #[n(1)]
    pub kind: DueKind,
}

/// Kinds of due items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum DueKind {
    /// An account's money of this day becomes available.
    #[n(0)]
    Mature {
        #[n(0)]
        account: AccountNo,
        #[n(1)]
        day: Day,
    },
    /// A payout arrives, or fails.
    #[n(1)]
    PayoutArrives(#[n(0)] u64),
    /// An authorization that was not captured ends.
    #[n(2)]
    AuthorizationExpires(#[n(0)] u64),
    /// What was told of an account is verified.
    #[n(28)]
    VerificationEnds(#[n(0)] AccountNo),
    /// The time to tell what is due of an account is over.
    #[n(29)]
    RequirementsFallDue(#[n(0)] AccountNo),
    /// The payer of a payment (birth) disputes it.
    #[n(10)]
    DisputeOpens(#[n(0)] u64),
    /// A dispute was not answered in time, or an inquiry came to nothing.
    #[n(11)]
    DisputeEnds(#[n(0)] RecordKey),
    /// The issuer decides an answered dispute.
    #[n(12)]
    DisputeDecided(#[n(0)] RecordKey),
    /// An account is paid out by its schedule, or its bank account debited for what it owes.
    #[n(15)]
    PayOut(#[n(0)] AccountNo),
    /// A connected account has been below zero for too long: the platform pays. Until then it holds a reserve.
    #[n(16)]
    Collect {
        #[n(0)]
        account: AccountNo,
        #[n(1)]
        currency: Currency,
        /// What the platform has set aside for it, minor units.
        #[n(2)]
        held: i64,
    },
    /// A payout that was paid comes back.
    #[n(17)]
    PayoutFails(#[n(0)] u64),
    /// A top-up arrives, or fails.
    #[n(18)]
    TopupArrives(#[n(0)] u64),
    /// A top-up that arrived is taken back by the bank.
    #[n(19)]
    TopupReturns(#[n(0)] u64),
    /// The platform's reserve for a connected account is brought up to what it owes.
    #[n(20)]
    Reserve {
        #[n(0)]
        account: AccountNo,
        #[n(1)]
        currency: Currency,
    },
    /// What becomes of a refund after its answer: it arrives, it comes back, or the payer's time to act is over.
    #[n(7)]
    RefundSettles(#[n(0)] RecordKey),
    /// A refund has waited for money too long. While this item is in the queue, the refund waits.
    #[n(8)]
    RefundExpires {
        #[n(0)]
        account: AccountNo,
        #[n(1)]
        currency: Currency,
        #[n(2)]
        refund: RecordKey,
    },
    /// An account got money that refunds wait for.
    #[n(9)]
    RefundsResume {
        #[n(0)]
        account: AccountNo,
        #[n(1)]
        currency: Currency,
    },
}
