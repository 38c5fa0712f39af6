//! What happens later: held by the router, fired as an internal command with its own entry.

use minicbor::{Decode, Encode};

use super::record::RecordKey;
use crate::ledger::AccountNo;
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
}
