//! Postings, and the entry that balances by construction.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use super::chart::Leg;
use crate::primitives::{currency::Currency, money::Money};

/// One leg of a journal entry. A credit carries a positive amount, a debit a negative one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Posting {
    #[n(0)]
    leg: Leg,
    #[n(1)]
    money: Money,
}

impl Posting {
    /// Raises an account's balance, a fee earned, or what the house owes.
    pub fn credit(leg: Leg, money: Money) -> Posting {
        Posting { leg, money }
    }

    /// Lowers an account's balance, or raises what the acquirer or bank owes.
    ///
    /// # Errors
    /// [`EntryError::Overflow`] where the amount cannot be negated.
    pub fn debit(leg: Leg, money: Money) -> Result<Posting, EntryError> {
        Ok(Posting { leg, money: money.checked_neg().map_err(|_| EntryError::Overflow)? })
    }

    /// Where it lands.
    pub fn leg(&self) -> Leg {
        self.leg
    }

    /// Signed amount: credits positive.
    pub fn money(&self) -> Money {
        self.money
    }
}

/// Why postings are no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The postings of one currency do not sum to zero.
    #[error("postings in {currency} miss zero by {excess_minor} minor units")]
    Unbalanced {
        /// The currency that is off.
        currency: Currency,
        /// Sum of its postings; credits positive.
        excess_minor: i128,
    },
    /// An amount left the range of checked arithmetic.
    #[error("an amount is out of range")]
    Overflow,
}

/// Postings that sum to zero in each of their currencies. This is the only door through which money moves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    postings: Vec<Posting>,
}

impl Entry {
    /// Builds an entry; postings of nothing are left out.
    ///
    /// # Errors
    /// [`EntryError::Unbalanced`] naming the currency and by how much.
    pub fn balanced(mut postings: Vec<Posting>) -> Result<Entry, EntryError> {
        postings.retain(|posting| posting.money.minor() != 0);
        let mut net_minor: BTreeMap<Currency, i128> = BTreeMap::new();
        for posting in &postings {
            let net = net_minor.entry(posting.money.currency()).or_default();
            *net = net.checked_add(i128::from(posting.money.minor())).ok_or(EntryError::Overflow)?;
        }
        match net_minor.into_iter().find(|&(_, excess)| excess != 0) {
            None => Ok(Entry { postings }),
            Some((currency, excess_minor)) => Err(EntryError::Unbalanced { currency, excess_minor }),
        }
    }

    /// The legs, in the order in which they were posted.
    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }

    /// Whether nothing moves.
    pub fn is_empty(&self) -> bool {
        self.postings.is_empty()
    }
}

impl<C> Encode<C> for Entry {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        self.postings.encode(e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for Entry {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Entry, minicbor::decode::Error> {
        let postings = Vec::<Posting>::decode(d, ctx)?;
        Entry::balanced(postings).map_err(minicbor::decode::Error::custom)
    }
}
