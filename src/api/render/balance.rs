//! `balance`.

use serde::Serialize;

use crate::ledger::{Books, Bucket, ReserveKind, SourceType};
use crate::primitives::currency::Currency;
use crate::primitives::time::Day;

/// `balance`.
#[derive(Debug, Serialize)]
pub struct Balance {
    object: &'static str,
    available: Vec<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_reserved: Option<Vec<Amount>>,
    instant_available: Vec<Amount>,
    livemode: bool,
    pending: Vec<Amount>,
    refund_and_dispute_prefunding: Prefunding,
}

#[derive(Clone, Debug, Serialize)]
struct Amount {
    amount: i64,
    currency: &'static str,
    source_types: SourceTypes,
}

#[derive(Clone, Debug, Serialize)]
struct SourceTypes {
    #[serde(skip_serializing_if = "Option::is_none")]
    bank_account: Option<i64>,
    card: i64,
}

#[derive(Debug, Serialize)]
struct Prefunding {
    available: Vec<Amount>,
    pending: Vec<Amount>,
}

/// Totals beyond an i64 show as its end: no wire integer is wider.
fn shown(minor: i128) -> i64 {
    i64::try_from(minor).unwrap_or(if minor < 0 { i64::MIN } else { i64::MAX })
}

fn amount(books: &Books, currency: Currency, counts: impl Fn(Bucket) -> bool) -> Amount {
    let of = |source: SourceType| -> i128 {
        books
            .holdings()
            .iter()
            .filter(|h| h.currency == currency && h.source == source && counts(h.bucket))
            .map(|h| h.minor)
            .sum()
    };
    let (card, bank) = (of(SourceType::Card), of(SourceType::BankAccount));
    Amount {
        amount: shown(card + bank),
        currency: currency.code(),
        source_types: SourceTypes { bank_account: (bank != 0).then_some(shown(bank)), card: shown(card) },
    }
}

/// An account's balance: one entry per currency that it holds, and always its default one.
pub fn of(books: &Books, default_currency: Currency, today: Day, is_platform: bool) -> Balance {
    let mut currencies: Vec<Currency> = vec![default_currency];
    for holding in books.holdings() {
        if !currencies.contains(&holding.currency) {
            currencies.push(holding.currency);
        }
    }
    let all = |counts: &dyn Fn(Bucket) -> bool| -> Vec<Amount> {
        currencies.iter().map(|currency| amount(books, *currency, counts)).collect()
    };
    let available = all(&|bucket| match bucket {
        Bucket::Available => true,
        Bucket::Pending(on) => on <= today,
        Bucket::Reserved(_) => false,
    });
    let pending = all(&|bucket| matches!(bucket, Bucket::Pending(on) if on > today));
    let reserved = all(&|bucket| bucket == Bucket::Reserved(ReserveKind::Connect));
    Balance {
        object: "balance",
        available,
        connect_reserved: is_platform.then_some(reserved),
        instant_available: Vec::new(),
        livemode: false,
        pending,
        refund_and_dispute_prefunding: Prefunding { available: Vec::new(), pending: Vec::new() },
    }
}
