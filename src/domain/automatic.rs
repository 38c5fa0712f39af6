//! Automatic payouts (section 9.4): an account's schedule pays out everything that is available of one currency and source
//! type, or debits the bank account for what is owed.
//!
//! Which rows a payout owns follows from its [`Cut`] and the one before it, so no entry ever lists rows: see
//! [`PayoutRecord::owns`](super::record::PayoutRecord::owns).

use super::account;
use super::decide::{Change, Context, Facts, Halt, Outcome, Reply};
use super::draft::Draft;
use super::due::{DueKey, DueKind};
use super::payout::{Issue, default_bank, in_euro, smallest};
use super::record::{AccountRecord, BankStatus, Cut, ExternalAccount, Record, RecordKey, Window};
use super::schedule::{is_payout_day, next_payout_day};
use crate::ledger::{AccountNo, Books, SourceType};
use crate::primitives::currency::Currency;
use crate::primitives::money::MAX_MINOR;
use crate::primitives::time::Day;

/// Where bank accounts can be debited for what their owner owes, beside the countries of the euro (section 9.10).
#[rustfmt::skip]
const DEBITED: [&str; 15] = [
    "AU", "CA", "CH", "CZ", "DK", "GB", "HU", "IS", "LI", "NO", "NZ", "PL", "RO", "SE", "US",
];

/// What the schedule pays out, or collects, of one currency and source type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    currency: Currency,
    source_type: SourceType,
    bank: u16,
    /// Minor units; negative: a debit.
    amount: i64,
    /// Stays in the balance, minor units.
    keep: i64,
}

/// All that is to be paid out or collected today, in the order of currencies.
fn runs(owner: &AccountRecord, account: AccountNo, books: &Books, today: Day) -> Vec<Run> {
    let mut runs = Vec::new();
    if !owner.is_paid_out() && !owner.is_debited(account) {
        return runs;
    }
    let mut seen: Option<(Currency, SourceType)> = None;
    for holding in books.holdings() {
        let (currency, source_type) = (holding.currency, holding.source);
        // Holdings are in the order of these.
        if seen.replace((currency, source_type)) == Some((currency, source_type)) {
            continue;
        }
        let Some(index) = default_bank(owner, currency) else { continue };
        let bank = &owner.external_accounts[index];
        if bank.status == BankStatus::Errored {
            continue;
        }
        let Ok(index) = u16::try_from(index) else { continue };
        let have = books.available_from(currency, source_type, today);
        let all = books.available(currency, today);
        if have > 0 && owner.is_paid_out() {
            // While another kind of money of the currency is below zero, only the difference is the account's.
            let minimum = if source_type == SourceType::Card { owner.minimum_balance(currency) } else { 0 };
            let most = (have.min(all) - i128::from(minimum)).min(i128::from(MAX_MINOR));
            let most = i64::try_from(most).unwrap_or(0).max(0);
            let amount = most - most % currency.payout_multiple();
            let keep = have - i128::from(amount);
            if amount >= smallest(currency) && keep <= i128::from(MAX_MINOR) {
                let keep = i64::try_from(keep).unwrap_or(0);
                runs.push(Run { currency, source_type, bank: index, amount, keep });
            }
        } else if have < 0 && all < 0 && owner.is_debited(account) && can_be_debited(bank) {
            let amount = i64::try_from(have.max(all).max(-i128::from(MAX_MINOR))).unwrap_or(0);
            runs.push(Run { currency, source_type, bank: index, amount, keep: 0 });
        }
    }
    runs
}

fn can_be_debited(bank: &ExternalAccount) -> bool {
    bank.card.is_none() && (in_euro(bank.country) || DEBITED.contains(&bank.country.code()))
}

/// Whether there is something to pay out or to collect.
pub fn is_payable(owner: &AccountRecord, account: AccountNo, books: &Books, today: Day) -> bool {
    !runs(owner, account, books, today).is_empty()
}

/// Money of the account has matured: on a payout day it is paid out, else its payout is put into the queue. Gives the
/// account back where that changed it. `birth` is the entry that made the first of the matured rows.
///
/// # Errors
/// Missing facts.
pub fn on_matured(
    draft: &mut Draft<'_>,
    account: AccountNo,
    owner: &AccountRecord,
    birth: u64,
) -> Result<Option<AccountRecord>, Halt> {
    // Nearly every account is one of these: nothing is paid out by a schedule, nothing ever was.
    let has_cut = owner.paying.as_ref().is_some_and(|paying| paying.cuts.is_some());
    if !has_cut && !owner.is_paid_out() && !owner.is_debited(account) {
        return Ok(None);
    }
    let mut after = owner.clone();
    for cut in after.paying.iter_mut().filter_map(|paying| paying.cuts.as_mut()).flatten() {
        cut.rows_from = Some(cut.rows_from.map_or(birth, |from| from.min(birth)));
    }
    let midnight = draft.today().midnight();
    if pay_first(draft, account, &mut after, 1)? {
        // What was put into the queue for this day has nothing left to do.
        let key = DueKey::pay_out(account, midnight, 0);
        if draft.facts.is_due(key) {
            draft.unschedule(key);
        }
    }
    Ok((after != *owner).then_some(after))
}

/// The schedule's day has come.
///
/// # Errors
/// Missing facts.
pub fn pay_out(facts: &dyn Facts, ctx: &Context<'_>, account: AccountNo, key: DueKey) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let record = account::load(facts, account)?;
    let owner = account::of(&record)?;
    let mut after = owner.clone();
    pay_first(&mut draft, account, &mut after, key.ordinal.saturating_add(1))?;
    if after != *owner {
        draft.change(Change::of(RecordKey::head(account.0), Record::Account(Box::new(after))));
    }
    Ok(draft.finish(Reply::Done))
}

/// Pays the first run of today and puts the next one into the queue as number `turn`; where today is no payout day,
/// the queue gets all of it. Whether something was paid.
fn pay_first(draft: &mut Draft<'_>, account: AccountNo, owner: &mut AccountRecord, turn: u16) -> Result<bool, Halt> {
    let (today, ctx) = (draft.today(), draft.ctx);
    let books = draft.facts.books(account)?;
    let runs = runs(owner, account, books, today);
    let Some(&run) = runs.first() else { return Ok(false) };
    if !is_payout_day(owner, today) {
        let key = DueKey::pay_out(account, next_payout_day(owner, today).midnight(), 0);
        if !draft.facts.is_due(key) {
            draft.schedule_as(key.at, key.birth, key.ordinal, DueKind::PayOut(account));
        }
        return Ok(false);
    }
    let window = cut(owner, &run, ctx.seq, today);
    let mut issue = Issue::new(run.amount, run.currency, run.source_type, run.bank);
    issue.automatic = Some(window);
    issue.keep = run.keep;
    if let Some(words) = ctx.open(&owner.private).get("settings[payouts][statement_descriptor]") {
        issue.texts.0.insert("statement_descriptor".to_owned(), words.to_owned());
    }
    issue.make(draft, account, owner)?;
    if runs.len() > 1 {
        let key = DueKey::pay_out(account, ctx.now, turn);
        draft.schedule_as(key.at, key.birth, key.ordinal, DueKind::PayOut(account));
    }
    Ok(true)
}

/// Notes in the account where this payout ends, and says which rows it owns.
fn cut(owner: &mut AccountRecord, run: &Run, seq: u64, day: Day) -> Window {
    let cuts = owner.paying_mut().cuts.get_or_insert_default();
    let place = cuts.iter().position(|cut| (cut.currency, cut.source_type) == (run.currency, run.source_type));
    let after = place.map(|place| cuts.swap_remove(place));
    cuts.push(Cut { currency: run.currency, source_type: run.source_type, seq, day, rows_from: None });
    cuts.sort_unstable_by_key(|cut| (cut.currency, cut.source_type));
    let since = after.map_or(0, |cut| cut.rows_from.map_or(cut.seq, |from| from.min(cut.seq)));
    Window { day, since, after }
}
