//! `balance`.

use serde::Serialize;

use super::super::view::{Id, View};
use crate::domain::account::{external_id, settlement_currencies};
use crate::domain::payout::{is_instant, pays_own_fee};
use crate::domain::record::{AccountRecord, BankStatus};
use crate::ledger::{AccountNo, Books, Bucket, ReserveKind, SourceType};
use crate::primitives::currency::Currency;
use crate::primitives::time::Day;

/// `balance`.
#[derive(Debug, Serialize)]
pub struct Balance {
    object: &'static str,
    available: Vec<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_reserved: Option<Vec<Amount>>,
    instant_available: Vec<Instant>,
    livemode: bool,
    pending: Vec<Amount>,
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

/// What could be paid out at once.
#[derive(Debug, Serialize)]
struct Instant {
    #[serde(flatten)]
    amount: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    net_available: Option<Vec<Net>>,
}

/// The same by external account, less the fee where the account pays it.
#[derive(Debug, Serialize)]
struct Net {
    amount: i64,
    destination: Id,
    source_types: SourceTypes,
}

/// Totals beyond an i64 show as its end: no wire integer is wider.
fn shown(minor: i128) -> i64 {
    i64::try_from(minor).unwrap_or(if minor < 0 { i64::MIN } else { i64::MAX })
}

fn amount_of(currency: Currency, card: i128, bank: i128) -> Amount {
    Amount {
        amount: shown(card + bank),
        currency: currency.code(),
        source_types: SourceTypes { bank_account: (bank != 0).then_some(shown(bank)), card: shown(card) },
    }
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
    amount_of(currency, of(SourceType::Card), of(SourceType::BankAccount))
}

/// Card money counts while it is pending, money of bank debits when it has settled; for currencies in which an
/// external account takes instant payouts. `net_of` is the fee in millionths, where the net amounts are asked for.
fn instant(
    view: &View<'_>,
    books: &Books,
    no: AccountNo,
    account: &AccountRecord,
    currency: Currency,
    today: Day,
    net_of: Option<u32>,
) -> Option<Instant> {
    let usable = account.external_accounts.iter().enumerate().filter(|(_, bank)| {
        bank.currency == currency && !bank.deleted && bank.status == BankStatus::New && is_instant(bank)
    });
    let places: Vec<u16> = usable.filter_map(|(place, _)| u16::try_from(place + 1).ok()).collect();
    if places.is_empty() {
        return None;
    }
    let of = |source| books.available_from(currency, source, today).max(0);
    let card =
        books.available_from(currency, SourceType::Card, today) + books.pending_from(currency, SourceType::Card, today);
    let (card, bank) = (card.max(0), of(SourceType::BankAccount));
    let net = |minor: i128, ppm: u32| {
        if pays_own_fee(account, no) { minor * 1_000_000 / (1_000_000 + i128::from(ppm)) } else { minor }
    };
    let net_available = net_of.map(|ppm| {
        let each = amount_of(currency, net(card, ppm), net(bank, ppm));
        let destination = |slot: &u16| Net {
            amount: each.amount,
            destination: view.id(&external_id(no, *slot)),
            source_types: each.source_types.clone(),
        };
        places.iter().map(destination).collect()
    });
    Some(Instant { amount: amount_of(currency, card, bank), net_available })
}

/// An account's balance: one entry per currency that it holds or may settle. With `net_of`, the fee of an instant
/// payout in millionths, its net amounts are shown as well.
pub fn of(
    view: &View<'_>,
    books: &Books,
    no: AccountNo,
    account: &AccountRecord,
    today: Day,
    net_of: Option<u32>,
) -> Balance {
    let mut currencies = settlement_currencies(account);
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
    let instant_available =
        currencies.iter().filter_map(|currency| instant(view, books, no, account, *currency, today, net_of)).collect();
    Balance {
        object: "balance",
        available,
        connect_reserved: no.is_platform().then_some(reserved),
        instant_available,
        livemode: false,
        pending,
    }
}
