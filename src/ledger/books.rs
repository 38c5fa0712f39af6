//! An account's books: what its actor owns.

use minicbor::{Decode, Encode};
use smallvec::SmallVec;

use super::chart::{Bucket, ReserveKind, SourceType};
use crate::primitives::{currency::Currency, money::Money, time::Day};

/// One total of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Holding {
    /// In which currency.
    #[n(0)]
    pub currency: Currency,
    /// Which kind of money.
    #[n(1)]
    pub source: SourceType,
    /// Available, pending or reserved.
    #[n(2)]
    pub bucket: Bucket,
    /// Minor units; may be negative.
    #[cbor(n(3), with = "crate::primitives::wide")]
    pub minor: i128,
}

impl Holding {
    fn key(&self) -> (Currency, SourceType, Bucket) {
        (self.currency, self.source, self.bucket)
    }
}

/// The balance of one account: totals per currency, source type and bucket, in canonical order, none of them zero.
///
/// Pending money whose day has come counts as available: it is a function of the books and the day asked
/// ([`Books::available`]); [`Books::mature`] only tidies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    holdings: SmallVec<[Holding; 2]>,
}

impl Books {
    /// Books with these totals.
    pub fn from_holdings(holdings: impl IntoIterator<Item = Holding>) -> Option<Books> {
        let mut books = Books::default();
        for holding in holdings {
            books.add(holding.currency, holding.source, holding.bucket, holding.minor)?;
        }
        Some(books)
    }

    /// The totals, in canonical order.
    pub fn holdings(&self) -> &[Holding] {
        &self.holdings
    }

    /// Posts signed money. `None` where a total would leave 128 bits; then nothing changed.
    #[must_use]
    pub fn post(&mut self, source: SourceType, bucket: Bucket, money: Money) -> Option<()> {
        self.add(money.currency(), source, bucket, i128::from(money.minor()))
    }

    fn add(&mut self, currency: Currency, source: SourceType, bucket: Bucket, minor: i128) -> Option<()> {
        let key = (currency, source, bucket);
        match self.holdings.binary_search_by_key(&key, Holding::key) {
            Ok(at) => {
                let sum = self.holdings[at].minor.checked_add(minor)?;
                if sum == 0 {
                    self.holdings.remove(at);
                } else {
                    self.holdings[at].minor = sum;
                }
            }
            Err(_) if minor == 0 => {}
            Err(at) => self.holdings.insert(at, Holding { currency, source, bucket, minor }),
        }
        Some(())
    }

    /// What may be paid out, transferred or refunded on `today` from one source type.
    pub fn available_from(&self, currency: Currency, source: SourceType, today: Day) -> i128 {
        self.sum(|h| h.currency == currency && h.source == source && is_available(h.bucket, today))
    }

    /// What is available on `today`, of all source types.
    pub fn available(&self, currency: Currency, today: Day) -> i128 {
        self.sum(|h| h.currency == currency && is_available(h.bucket, today))
    }

    /// What becomes available after `today` from one source type.
    pub fn pending_from(&self, currency: Currency, source: SourceType, today: Day) -> i128 {
        self.sum(|h| {
            h.currency == currency && h.source == source && matches!(h.bucket, Bucket::Pending(on) if on > today)
        })
    }

    /// What becomes available after `today`.
    pub fn pending(&self, currency: Currency, today: Day) -> i128 {
        self.sum(|h| h.currency == currency && matches!(h.bucket, Bucket::Pending(on) if on > today))
    }

    /// What is set aside for one reason.
    pub fn reserved(&self, currency: Currency, kind: ReserveKind) -> i128 {
        self.sum(|h| h.currency == currency && h.bucket == Bucket::Reserved(kind))
    }

    /// Everything in one currency.
    pub fn total(&self, currency: Currency) -> i128 {
        self.sum(|h| h.currency == currency)
    }

    fn sum(&self, counts: impl Fn(&Holding) -> bool) -> i128 {
        self.holdings.iter().filter(|h| counts(h)).map(|h| h.minor).sum()
    }

    /// Folds what has become available by `today` into the available totals. No balance changes by it.
    pub fn mature(&mut self, today: Day) {
        let due: SmallVec<[Holding; 2]> =
            self.holdings.iter().copied().filter(|h| matches!(h.bucket, Bucket::Pending(on) if on <= today)).collect();
        self.holdings.retain(|h| !matches!(h.bucket, Bucket::Pending(on) if on <= today));
        for h in due {
            // Sums of totals that were in range on both sides of the fold: cannot leave 128 bits.
            let _ = self.add(h.currency, h.source, Bucket::Available, h.minor);
        }
    }

    /// The same books as they stand on `today`, in the one form that digests and comparisons use.
    #[must_use]
    pub fn canonical(&self, today: Day) -> Books {
        let mut books = self.clone();
        books.mature(today);
        books
    }
}

fn is_available(bucket: Bucket, today: Day) -> bool {
    match bucket {
        Bucket::Available => true,
        Bucket::Pending(on) => on <= today,
        Bucket::Reserved(_) => false,
    }
}

impl<C> Encode<C> for Books {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        self.holdings.as_slice().encode(e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for Books {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Books, minicbor::decode::Error> {
        let holdings = Vec::<Holding>::decode(d, ctx)?;
        Books::from_holdings(holdings).ok_or_else(|| minicbor::decode::Error::message("totals out of range"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(minor: i64) -> Money {
        Money::new(minor, Currency::USD)
    }

    #[test]
    fn pending_money_is_available_when_its_day_comes_without_a_posting() {
        let mut books = Books::default();
        books.post(SourceType::Card, Bucket::Pending(Day(10)), usd(9_680)).unwrap();
        assert_eq!((books.available(Currency::USD, Day(9)), books.pending(Currency::USD, Day(9))), (0, 9_680));
        assert_eq!((books.available(Currency::USD, Day(10)), books.pending(Currency::USD, Day(10))), (9_680, 0));
        let before = books.canonical(Day(10));
        books.mature(Day(10));
        assert_eq!(books, before);
        assert_eq!(books.holdings().len(), 1);
    }

    #[test]
    fn a_total_of_zero_leaves_no_trace() {
        let mut books = Books::default();
        books.post(SourceType::Card, Bucket::Available, usd(5)).unwrap();
        books.post(SourceType::Card, Bucket::Available, usd(-5)).unwrap();
        assert_eq!(books, Books::default());
    }
}
