//! Permissions of restricted keys: what of a platform a key may read, and what it may write.

use crate::domain::api_key::KeyLevel as Stored;

/// How far a permission goes; to write includes to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// GET.
    Read,
    /// The rest.
    Write,
}

impl Level {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Level::Read => "read",
            Level::Write => "write",
        }
    }
}

impl From<Stored> for Level {
    fn from(stored: Stored) -> Level {
        match stored {
            Stored::Read => Level::Read,
            Stored::Write => Level::Write,
        }
    }
}

macro_rules! resources {
    ($($(#[$doc:meta])* $name:ident $word:literal;)*) => {
        /// What a permission is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Resource {
            $($(#[$doc])* $name,)*
        }

        impl Resource {
            /// Every one.
            pub const ALL: &'static [Resource] = &[$(Resource::$name,)*];

            /// The word in `rak_<word>_read`.
            pub fn word(self) -> &'static str {
                match self { $(Resource::$name => $word,)* }
            }
        }
    };
}

resources! {
    /// Corrections of the books (Florin's own).
    Adjustment "adjustment";
    /// Application fees and their refunds.
    ApplicationFee "application_fee";
    /// Balances, and the trial balance.
    Balance "balance";
    /// Payout schedule and other settings of the balance.
    BalanceSettings "balance_settings";
    /// Balance transactions.
    BalanceTransactionSource "balance_transaction_source";
    /// Charges and refunds.
    Charge "charge";
    /// Accounts with all that belongs to them.
    ConnectedAccount "connected_account";
    /// Customers.
    Customer "customer";
    /// Disputes.
    Dispute "dispute";
    /// Events.
    Event "event";
    /// Exchange rates.
    ExchangeRate "exchange_rate";
    /// FX quotes.
    FxQuote "fx_quote";
    /// Payment intents.
    PaymentIntent "payment_intent";
    /// Payment methods and mandates.
    PaymentMethod "payment_method";
    /// Payouts.
    Payout "payout";
    /// Prices.
    Price "plan";
    /// Products.
    Product "product";
    /// Setup intents and their attempts.
    SetupIntent "setup_intent";
    /// Split rules (Florin's own).
    SplitRule "split_rule";
    /// Tokens.
    Token "token";
    /// Top-ups.
    Topup "topup";
    /// Transfers and their reversals.
    Transfer "transfer";
}

impl Resource {
    /// The resource of a word.
    pub fn from_word(word: &str) -> Option<Resource> {
        Resource::ALL.iter().copied().find(|resource| resource.word() == word)
    }
}

/// What a restricted key may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(Vec<(Resource, Level)>);

impl Permissions {
    /// From pairs; the last of a resource counts.
    pub fn new(pairs: impl IntoIterator<Item = (Resource, Level)>) -> Permissions {
        let mut permissions: Vec<(Resource, Level)> = Vec::new();
        for (resource, level) in pairs {
            match permissions.iter_mut().find(|(have, _)| *have == resource) {
                Some(place) => place.1 = level,
                None => permissions.push((resource, level)),
            }
        }
        Permissions(permissions)
    }

    /// Whether they include this one.
    pub fn allow(&self, (resource, level): (Resource, Level)) -> bool {
        self.0.iter().any(|&(have, up_to)| have == resource && level <= up_to)
    }
}

/// The name of a permission: `rak_charge_write`.
pub fn name((resource, level): (Resource, Level)) -> String {
    format!("rak_{}_{}", resource.word(), level.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_write_includes_to_read_and_nothing_else() {
        let key = Permissions::new([(Resource::Charge, Level::Write), (Resource::Payout, Level::Read)]);
        for (resource, level, allowed) in [
            (Resource::Charge, Level::Read, true),
            (Resource::Charge, Level::Write, true),
            (Resource::Payout, Level::Read, true),
            (Resource::Payout, Level::Write, false),
            (Resource::Balance, Level::Read, false),
        ] {
            assert_eq!(key.allow((resource, level)), allowed, "{resource:?} {level:?}");
        }
        assert_eq!(name((Resource::Charge, Level::Write)), "rak_charge_write");
        for resource in Resource::ALL {
            assert_eq!(Resource::from_word(resource.word()), Some(*resource));
        }
    }
}
