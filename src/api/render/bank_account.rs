//! `bank_account` and `card` where an account's payouts go.

use serde::Serialize;

use super::super::view::{Id, Stop, View};
use super::card::{self, Card};
use super::requirements::{self, BankRequirements};
use super::{Hash, Rendered, Sink, Words};
use crate::domain::external_account::{external_texts, id_of, live, slot_of};
use crate::domain::payout::is_instant;
use crate::domain::record::{AccountRecord, BankStatus, ExternalAccount};
use crate::ledger::AccountNo;
use crate::primitives::id::{ObjectId, ObjectKind};

/// `bank_account`.
#[derive(Serialize)]
pub struct BankAccount<'a> {
    id: Id,
    object: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Id>,
    account_holder_name: Option<&'a str>,
    account_holder_type: Option<String>,
    account_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    available_payout_methods: Option<&'static [&'static str]>,
    bank_name: &'static str,
    country: String,
    currency: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_for_currency: Option<bool>,
    fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    future_requirements: Option<BankRequirements>,
    last4: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Hash<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requirements: Option<BankRequirements>,
    routing_number: Option<String>,
    status: &'static str,
}

/// A bank account, or a debit card.
#[derive(Serialize)]
#[serde(untagged)]
pub enum External<'a> {
    /// `bank_account`.
    Bank(Box<BankAccount<'a>>),
    /// `card`.
    Card(Box<Card<'a>>),
}

fn external<'a>(
    view: &View<'_>,
    id: &ObjectId,
    external: &ExternalAccount,
    owner: AccountNo,
    words: Words<'a>,
) -> External<'a> {
    match &external.card {
        Some(card) => External::Card(Box::new(card::external(view, id, external, card, owner, words))),
        None => External::Bank(Box::new(of(view, id, external, Some(owner), words))),
    }
}

fn payout_methods(bank: &ExternalAccount) -> &'static [&'static str] {
    if is_instant(bank) { &["standard", "instant"] } else { &["standard"] }
}

fn of<'a>(
    view: &View<'_>,
    id: &ObjectId,
    bank: &ExternalAccount,
    owner: Option<AccountNo>,
    words: Words<'a>,
) -> BankAccount<'a> {
    BankAccount {
        id: view.id(id),
        object: "bank_account",
        account: owner.map(|account| view.account_id(account)),
        account_holder_name: words.get("account_holder_name"),
        account_holder_type: bank.holder_type.clone(),
        account_type: words.get("account_type"),
        available_payout_methods: owner.map(|_| payout_methods(bank)),
        bank_name: "FLORIN TEST BANK",
        country: bank.country.code().to_owned(),
        currency: bank.currency.code(),
        default_for_currency: owner.map(|_| bank.default_for_currency),
        fingerprint: bank.fingerprint.clone(),
        future_requirements: owner.map(|_| BankRequirements::default()),
        last4: bank.last4.clone(),
        metadata: owner.map(|_| words.metadata()),
        requirements: owner.map(|_| requirements::bank(bank)),
        routing_number: bank.routing_number.clone(),
        status: match bank.status {
            BankStatus::New => "new",
            BankStatus::Errored => "errored",
        },
    }
}

/// Where the texts of an account's bank accounts lie, by slot, dressed for reading: see [`Words::within`].
pub fn paths(account: &AccountRecord) -> Vec<String> {
    (0..account.external_accounts.len()).map(|place| external_texts(slot_of(place))).collect()
}

/// An account's external accounts, newest first. `paths` comes from [`paths`].
pub fn all<'a>(
    view: &View<'_>,
    no: AccountNo,
    account: &AccountRecord,
    words: Words<'a>,
    paths: &'a [String],
) -> Vec<External<'a>> {
    let live = live(account).rev().zip(live(account).rev().filter_map(|(index, _)| paths.get(index)));
    live.map(|((index, have), path)| external(view, &id_of(no, index, have), have, no, words.within(path))).collect()
}

/// A bank account inside a token.
pub fn in_token<'a>(view: &View<'_>, token: &ObjectId, bank: &ExternalAccount, words: Words<'a>) -> BankAccount<'a> {
    let id = ObjectId { kind: ObjectKind::BankAccount, ..*token };
    of(view, &id, bank, None, words)
}

/// The bank account of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let no = AccountNo(id.birth);
    let account = view.account(no)?;
    let index = usize::from(id.slot).checked_sub(1).ok_or(Stop::Gone)?;
    // A payout knows the place only; what it finds there may be a card.
    let have = account.external_accounts.get(index).filter(|have| !have.deleted).ok_or(Stop::Gone)?;
    let texts = view.texts(&account.private);
    let path = external_texts(id.slot);
    let id = id_of(no, index, have);
    sink.put(&external(view, &id, have, no, Words::new(&texts, "").within(&path)))
}
