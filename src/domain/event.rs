//! Events: past-tense facts that an entry leaves behind. They are rendered from the entry, never stored as text.

use minicbor::{Decode, Encode};

use crate::ledger::AccountNo;
use crate::primitives::id::ObjectId;

/// An event of an entry; its place in the entry's list is its ordinal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Event {
    /// Whose event it is.
    #[n(0)]
    pub account: AccountNo,
    /// What happened.
    #[n(1)]
    pub kind: EventKind,
    /// To which object.
    #[n(2)]
    pub subject: ObjectId,
}

macro_rules! event_kinds {
    ($($number:literal $name:ident $wire:literal;)*) => {
        /// Every event type that Florin produces; numbers are fixed for ever.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
        #[cbor(index_only)]
        #[allow(missing_docs)]
        pub enum EventKind { $(#[n($number)] $name,)* }

        impl EventKind {
            /// The `type` on the wire.
            pub fn wire(self) -> &'static str {
                match self { $(EventKind::$name => $wire,)* }
            }

            /// Every type.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$name,)*];
        }
    };
}

event_kinds! {
    0 AccountUpdated "account.updated";
    1 CapabilityUpdated "capability.updated";
    2 ExternalAccountCreated "account.external_account.created";
    3 ExternalAccountUpdated "account.external_account.updated";
    4 ApplicationFeeCreated "application_fee.created";
    5 ApplicationFeeRefunded "application_fee.refunded";
    6 ApplicationFeeRefundUpdated "application_fee.refund.updated";
    7 BalanceAvailable "balance.available";
    8 ChargeSucceeded "charge.succeeded";
    9 ChargeFailed "charge.failed";
    10 ChargeCaptured "charge.captured";
    11 ChargeExpired "charge.expired";
    12 ChargeRefunded "charge.refunded";
    13 ChargeUpdated "charge.updated";
    14 ChargeRefundUpdated "charge.refund.updated";
    15 CustomerCreated "customer.created";
    16 CustomerUpdated "customer.updated";
    17 CustomerDeleted "customer.deleted";
    18 PaymentCreated "payment.created";
    19 PaymentIntentCreated "payment_intent.created";
    20 PaymentIntentSucceeded "payment_intent.succeeded";
    21 PaymentIntentFailed "payment_intent.payment_failed";
    22 PaymentIntentCanceled "payment_intent.canceled";
    23 PaymentIntentCapturable "payment_intent.amount_capturable_updated";
    24 PaymentMethodAttached "payment_method.attached";
    25 PaymentMethodDetached "payment_method.detached";
    26 PaymentMethodUpdated "payment_method.updated";
    27 PayoutCreated "payout.created";
    28 PayoutUpdated "payout.updated";
    29 PayoutPaid "payout.paid";
    30 PayoutFailed "payout.failed";
    31 PayoutCanceled "payout.canceled";
    32 RefundCreated "refund.created";
    33 RefundUpdated "refund.updated";
    34 TransferCreated "transfer.created";
    35 TransferUpdated "transfer.updated";
    36 TransferReversed "transfer.reversed";
    37 ExternalAccountDeleted "account.external_account.deleted";
    45 PaymentIntentRequiresAction "payment_intent.requires_action";
    46 SetupIntentCreated "setup_intent.created";
    47 SetupIntentSucceeded "setup_intent.succeeded";
    48 SetupIntentFailed "setup_intent.setup_failed";
    49 SetupIntentRequiresAction "setup_intent.requires_action";
    50 SetupIntentCanceled "setup_intent.canceled";
    100 PersonCreated "person.created";
    101 PersonUpdated "person.updated";
    102 PersonDeleted "person.deleted";
    60 DisputeCreated "charge.dispute.created";
    61 DisputeUpdated "charge.dispute.updated";
    62 DisputeClosed "charge.dispute.closed";
    63 DisputeFundsWithdrawn "charge.dispute.funds_withdrawn";
    64 DisputeFundsReinstated "charge.dispute.funds_reinstated";
    70 PayoutReconciled "payout.reconciliation_completed";
    71 BalanceSettingsUpdated "balance_settings.updated";
    72 TopupCreated "topup.created";
    73 TopupSucceeded "topup.succeeded";
    74 TopupFailed "topup.failed";
    75 TopupCanceled "topup.canceled";
    76 TopupReversed "topup.reversed";
    95 ProductCreated "product.created";
    96 ProductUpdated "product.updated";
    97 ProductDeleted "product.deleted";
    98 PriceCreated "price.created";
    99 PriceUpdated "price.updated";
    55 RefundFailed "refund.failed";
}
