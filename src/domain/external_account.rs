//! External accounts: the bank accounts and debit cards that an account's payouts go to (section 3.7).
//!
//! They are a list in their account's record: an account has one or two, and whoever charges or pays out needs to know
//! its currencies anyway. One per currency is the default of that currency, and an account settles in the currencies
//! that it has one for.

use super::account;
use super::command::{AccountInput, ExternalInput, ExternalPatch, Request, TextPatch};
use super::decide::{Context, Facts, Halt, Outcome, Refusal, Reply};
use super::draft::Draft;
use super::event::EventKind;
use super::method;
use super::record::{AccountRecord, BankStatus, ExternalAccount, Funding, RecordKey};
use super::requirements;
use super::seal::Texts;
use crate::ledger::AccountNo;
use crate::primitives::country::Country;
use crate::primitives::currency::Currency;
use crate::primitives::id::{ObjectId, ObjectKind};

/// External accounts that an account may ever have had.
const EXTERNAL_MAX: usize = 500;
const PARAM: &str = "external_account";

/// Countries whose accounts may settle in several currencies; elsewhere an account settles in its country's own.
#[rustfmt::skip]
const MANY_CURRENCIES: [&[u8; 2]; 41] = [
    b"AT", b"AU", b"BE", b"BG", b"CA", b"CH", b"CY", b"CZ", b"DE", b"DK", b"EE", b"ES", b"FI", b"FR", b"GB", b"GI",
    b"GR", b"HK", b"HR", b"HU", b"IE", b"IS", b"IT", b"LI", b"LT", b"LU", b"LV", b"MC", b"MT", b"NL", b"NO", b"NZ",
    b"PL", b"PT", b"RO", b"SE", b"SG", b"SI", b"SK", b"US", b"AE",
];

/// What those may settle in beside their country's own currency.
const SETTLEMENT_CODES: [&str; 17] = [
    "aud", "cad", "chf", "czk", "dkk", "eur", "gbp", "hkd", "huf", "jpy", "nok", "nzd", "pln", "ron", "sek", "sgd",
    "usd",
];

/// Whether the account holds a balance in `currency`: its default one, or one that it has an external account for.
pub fn settles(account: &AccountRecord, currency: Currency) -> bool {
    account.default_currency == currency
        || account.external_accounts.iter().any(|bank| !bank.deleted && bank.currency == currency)
}

/// The currencies that the account holds balances in: the default one, then others as external accounts brought them.
pub fn settlement_currencies(account: &AccountRecord) -> Vec<Currency> {
    let mut currencies = vec![account.default_currency];
    for bank in account.external_accounts.iter().filter(|bank| !bank.deleted) {
        if !currencies.contains(&bank.currency) {
            currencies.push(bank.currency);
        }
    }
    currencies
}

/// The id of an account's external account by its slot (index + 1), as a bank account: what payouts go to.
pub fn external_id(account: AccountNo, slot: u16) -> ObjectId {
    RecordKey::head(account.0).id(ObjectKind::BankAccount, slot)
}

/// The id of external account number `index` of an account; a debit card goes by `card_…`.
pub fn id_of(account: AccountNo, index: usize, external: &ExternalAccount) -> ObjectId {
    let kind = if external.card.is_some() { ObjectKind::Card } else { ObjectKind::BankAccount };
    ObjectId { kind, ..external_id(account, slot_of(index)) }
}

/// The slot of external account number `index`.
pub fn slot_of(index: usize) -> u16 {
    // `push` keeps them below.
    u16::try_from(index).unwrap_or(u16::MAX).saturating_add(1)
}

/// Where the texts of an external account lie among its account's: `external_accounts[1]`, followed by
/// `[account_holder_name]` and the like.
pub fn external_texts(slot: u16) -> String {
    format!("external_accounts[{slot}]")
}

/// What accounts of a country may settle in, their own currency first.
pub fn currencies_of(country: Country) -> Vec<Currency> {
    let own = country.default_currency();
    let many = MANY_CURRENCIES.iter().any(|code| code.as_slice() == country.code().as_bytes());
    let others = SETTLEMENT_CODES.iter().filter(|_| many).filter_map(|code| code.parse().ok());
    own.into_iter().chain(others.filter(|other| Some(*other) != own)).collect()
}

/// Whether an account of this country may hold a balance in this currency.
///
/// # Errors
/// 400.
pub fn check_settles_in(country: Country, currency: Currency, param: &str) -> Result<(), Halt> {
    let own = country.default_currency() == Some(currency);
    let many = MANY_CURRENCIES.iter().any(|code| code.as_slice() == country.code().as_bytes());
    if own || (many && SETTLEMENT_CODES.contains(&currency.code())) {
        return Ok(());
    }
    let message = match country.default_currency() {
        Some(default) => format!("Accounts in {country} cannot settle in {currency}. Use {default}, for example."),
        None => format!("Accounts in {country} cannot settle in {currency}."),
    };
    Err(Refusal::new(message).param(param).into())
}

/// Adds an external account. The first of its currency is that currency's default; a later one where it is asked for.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn add(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    account: AccountNo,
    input: &ExternalInput,
) -> Result<Outcome, Halt> {
    let before = account::target(facts, ctx, request, account)?;
    let mut record = account::of(&before)?.clone();
    account::check_editable(ctx, account, &record)?;
    let mut draft = Draft::new(facts, ctx);
    let (external, token_texts) = taken(&mut draft, request, &record, input.account.as_deref(), input.token)?;
    let currency = external.currency;
    let is_first = !live(&record).any(|(_, have)| have.currency == currency);
    let index = push(&draft, &mut record, external)?;
    let patch = texts_of(&request.texts, index, &token_texts);
    draft.event(account, EventKind::ExternalAccountCreated, id_of(account, index, &record.external_accounts[index]));
    if is_first || input.default == Some(true) {
        make_default(&mut draft, account, &mut record, index);
    }
    requirements::assess(&mut draft, account, &mut record);
    let reply = Reply::Object(id_of(account, index, &record.external_accounts[index]));
    account::close(draft, account, &before, record, &patch, reply)
}

/// Changes an external account: its texts, the expiry of a card, whether it is its currency's default.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn update(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    id: &ObjectId,
    change: &ExternalPatch,
) -> Result<Outcome, Halt> {
    let account = AccountNo(id.birth);
    let before = account::target(facts, ctx, request, account)?;
    let mut record = account::of(&before)?.clone();
    account::check_editable(ctx, account, &record)?;
    let index = find(ctx, account, &record, id)?;
    let mut draft = Draft::new(facts, ctx);
    let external = &mut record.external_accounts[index];
    if let Some(card) = &mut external.card {
        card.exp_month = change.exp_month.unwrap_or(card.exp_month);
        card.exp_year = change.exp_year.unwrap_or(card.exp_year);
    } else if change.exp_month.is_some() || change.exp_year.is_some() {
        let message = "A bank account does not expire: give `exp_month` and `exp_year` for debit cards only.";
        return Err(Refusal::new(message).code("parameter_unknown").param("exp_month").into());
    }
    if let Some(holder_type) = &change.holder_type {
        external.holder_type.clone_from(holder_type);
    }
    if external.check.is_some() && change.ownership.is_some() {
        external.check = change.ownership;
    }
    let patch = texts_of(&request.texts, index, &Texts::default());
    let is_changed = *external != account::of(&before)?.external_accounts[index];
    let mut told = is_changed || !patch.is_empty();
    if change.default == Some(true) && !record.external_accounts[index].default_for_currency {
        make_default(&mut draft, account, &mut record, index);
        told = true;
    }
    if told {
        draft.event(account, EventKind::ExternalAccountUpdated, *id);
    }
    requirements::assess(&mut draft, account, &mut record);
    account::close(draft, account, &before, record, &patch, Reply::Object(*id))
}

/// Deletes an external account. That of the account's default currency has to be replaced first; where another
/// currency loses its default, its oldest other one takes the place.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn delete(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, id: &ObjectId) -> Result<Outcome, Halt> {
    let account = AccountNo(id.birth);
    let before = account::target(facts, ctx, request, account)?;
    let mut record = account::of(&before)?.clone();
    account::check_editable(ctx, account, &record)?;
    let index = find(ctx, account, &record, id)?;
    let ExternalAccount { currency, default_for_currency, .. } = record.external_accounts[index];
    if default_for_currency && currency == record.default_currency {
        let message = "You cannot delete the default external account for your default currency. Please make another \
                       external account the default using the `default_for_currency` param, and then delete this one.";
        return Err(Refusal::new(message).into());
    }
    let mut draft = Draft::new(facts, ctx);
    let mut patch = TextPatch::default();
    drop_one(&mut draft, account, &mut record, index, &mut patch);
    let next = live(&record).find(|(_, have)| have.currency == currency).map(|(next, _)| next);
    if let Some(next) = next.filter(|_| default_for_currency) {
        make_default(&mut draft, account, &mut record, next);
        draft.event(account, EventKind::ExternalAccountUpdated, id_of(account, next, &record.external_accounts[next]));
    }
    requirements::assess(&mut draft, account, &mut record);
    account::close(draft, account, &before, record, &patch, Reply::Deleted(*id))
}

/// What creating or updating an account does with `external_account`: it becomes the default of its currency and takes
/// the place of the one before it, which is deleted. Gives the texts of the whole request back, sorted.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn replace(
    draft: &mut Draft<'_>,
    request: &Request,
    account: AccountNo,
    record: &mut AccountRecord,
    input: &AccountInput,
) -> Result<TextPatch, Halt> {
    if input.external_account.is_none() && input.external_token.is_none() {
        return Ok(sort_texts(&request.texts, None));
    }
    let given = input.external_account.as_deref();
    let (external, token_texts) = taken(draft, request, record, given, input.external_token)?;
    let currency = external.currency;
    let before = live(record).find(|(_, have)| have.currency == currency && have.default_for_currency);
    let before = before.map(|(before, _)| before);
    let index = push(draft, record, external)?;
    let mut patch = sort_texts(&request.texts, Some(slot_of(index)));
    put_texts(&mut patch, index, &token_texts);
    if let Some(before) = before {
        drop_one(draft, account, record, before, &mut patch);
    }
    record.external_accounts[index].default_for_currency = true;
    draft.event(account, EventKind::ExternalAccountCreated, id_of(account, index, &record.external_accounts[index]));
    Ok(patch)
}

/// The external account that was given as a hash or as a token, which is used up.
fn taken(
    draft: &mut Draft<'_>,
    request: &Request,
    record: &AccountRecord,
    given: Option<&ExternalAccount>,
    token: Option<u64>,
) -> Result<(ExternalAccount, Texts), Halt> {
    let (external, texts) = match (given, token) {
        (Some(_), Some(_)) => {
            let message = "Give one external account: a token or a hash, not both.";
            return Err(Refusal::new(message).code("parameters_exclusive").param(PARAM).into());
        }
        (None, None) => {
            return Err(Refusal::new(format!("Missing required param: {PARAM}."))
                .code("parameter_missing")
                .param(PARAM)
                .into());
        }
        (Some(external), None) => (external.clone(), Texts::default()),
        (None, Some(birth)) => {
            let (external, texts, used) =
                method::take_external_token(draft.facts, draft.ctx, request.acting, birth, PARAM)?;
            draft.change(used);
            (external, texts)
        }
    };
    check_settles_in(record.country, external.currency, "external_account[currency]")?;
    if external.card.is_some_and(|card| card.funding != Funding::Debit) {
        let message = "The card provided as an external account is not supported for payouts. Provide a non-prepaid \
                       debit card instead.";
        return Err(Refusal::new(message).code("invalid_card_type").param(PARAM).into());
    }
    Ok((external, texts))
}

fn push(draft: &Draft<'_>, record: &mut AccountRecord, external: ExternalAccount) -> Result<usize, Halt> {
    let index = record.external_accounts.len();
    if index >= EXTERNAL_MAX {
        return Err(Refusal::new("This account has had too many external accounts.").param(PARAM).into());
    }
    record.external_accounts.push(ExternalAccount {
        made: draft.made(),
        default_for_currency: false,
        status: BankStatus::New,
        deleted: false,
        ..external
    });
    Ok(index)
}

/// Makes one the default of its currency, and tells of the one that was.
fn make_default(draft: &mut Draft<'_>, account: AccountNo, record: &mut AccountRecord, index: usize) {
    let currency = record.external_accounts[index].currency;
    for (other, have) in record.external_accounts.iter_mut().enumerate() {
        if other != index && have.currency == currency && have.default_for_currency {
            have.default_for_currency = false;
            draft.event(account, EventKind::ExternalAccountUpdated, id_of(account, other, have));
        }
    }
    record.external_accounts[index].default_for_currency = true;
}

fn drop_one(
    draft: &mut Draft<'_>,
    account: AccountNo,
    record: &mut AccountRecord,
    index: usize,
    patch: &mut TextPatch,
) {
    let old = &mut record.external_accounts[index];
    old.deleted = true;
    old.default_for_currency = false;
    patch.clear(external_texts(slot_of(index)));
    draft.event(account, EventKind::ExternalAccountDeleted, id_of(account, index, old));
}

/// Those that are not deleted, each with its place.
pub fn live(record: &AccountRecord) -> impl DoubleEndedIterator<Item = (usize, &ExternalAccount)> {
    record.external_accounts.iter().enumerate().filter(|(_, external)| !external.deleted)
}

fn find(ctx: &Context<'_>, account: AccountNo, record: &AccountRecord, id: &ObjectId) -> Result<usize, Halt> {
    let found = live(record).find(|(index, external)| id_of(account, *index, external) == *id);
    found.map(|(index, _)| index).ok_or_else(|| super::refund::no_such(ctx, "external account", id, "id"))
}

/// The request's texts as those of external account number `index`, with those of its token.
fn texts_of(texts: &TextPatch, index: usize, token_texts: &Texts) -> TextPatch {
    let mut patch = TextPatch(texts.0.iter().map(|(path, text)| (path_of(index, path), text.clone())).collect());
    put_texts(&mut patch, index, token_texts);
    patch
}

fn put_texts(patch: &mut TextPatch, index: usize, token_texts: &Texts) {
    for (path, text) in &token_texts.0 {
        patch.set(path_of(index, path), text);
    }
}

fn path_of(index: usize, path: &str) -> String {
    super::seal::inside(&external_texts(slot_of(index)), path)
}

/// The request's texts, with those of a new external account moved to its slot.
fn sort_texts(texts: &TextPatch, slot: Option<u16>) -> TextPatch {
    let sorted = texts.0.iter().filter_map(|(path, text)| {
        let below = path.strip_prefix("external_account").filter(|below| below.starts_with('['));
        let path = match (below, slot) {
            (None, _) => path.clone(),
            (Some(below), Some(slot)) => format!("{}{below}", external_texts(slot)),
            (Some(_), None) => return None,
        };
        Some((path, text.clone()))
    });
    TextPatch(sorted.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_settlement_currency_exists() {
        for code in SETTLEMENT_CODES {
            assert_eq!(code.parse::<Currency>().unwrap().code(), code);
        }
        for code in MANY_CURRENCIES {
            let country: Country = std::str::from_utf8(code).unwrap().parse().unwrap();
            assert!(country.default_currency().is_some());
        }
    }
}
