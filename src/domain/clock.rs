//! Time as decisions see it: advancing the virtual clock, and money that matures.

use std::sync::Arc;

use super::decide::{Change, Context, Facts, Halt, Matured, Outcome, Refusal, Reply};
use super::draft::Draft;
use super::event::EventKind;
use super::record::{Record, RecordKey, Slot};
use crate::ledger::AccountNo;
use crate::primitives::id::ObjectKind;
use crate::primitives::time::{Day, Timestamp};

/// How far one advance may go, days.
const MAX_ADVANCE_DAYS: i32 = 366 * 10;

/// Sets the target of an advance; the router fires what is due on the way.
///
/// # Errors
/// A target in the past or absurdly far ahead.
pub fn advance(ctx: &Context<'_>, to: Timestamp) -> Result<Outcome, Halt> {
    if to < ctx.now {
        let message = format!("The clock never goes back: it stands at {}.", ctx.now.seconds());
        return Err(Refusal::new(message).param("to").into());
    }
    if ctx.now.plus_days(MAX_ADVANCE_DAYS).is_none_or(|limit| to > limit) {
        return Err(Refusal::new("One advance goes at most ten years ahead.").param("to").into());
    }
    Ok(Outcome::answer(Reply::Done))
}

/// Money of an account and day has become available. Maturing posts nothing: its books are only tidied. An account with
/// a payout schedule is paid out in the same entry. `birth` is the entry that made the first of that day's money.
///
/// # Errors
/// Missing facts.
pub fn mature(facts: &dyn Facts, ctx: &Context<'_>, account: AccountNo, day: Day, birth: u64) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let books = facts.books(account)?.canonical(day);
    let key = RecordKey::head(account.0);
    // The account's record is written even where it is unchanged: the event's place in the account's list hangs on it.
    let record = super::account::load(facts, account)?;
    draft.event(account, EventKind::BalanceAvailable, key.id(ObjectKind::Account, Slot::MAIN));
    match super::automatic::on_matured(&mut draft, account, super::account::of(&record)?, birth)? {
        Some(after) => draft.change(Change::of(key, Record::Account(Box::new(after)))),
        None => draft.change(Change { key, after: Arc::clone(&record), before: None, index: Vec::new() }),
    }
    for holding in books.holdings() {
        draft.resume_refunds(account, holding.currency);
    }
    let mut outcome = draft.finish(Reply::Done);
    outcome.matured = Some(Matured { account, day, books });
    Ok(outcome)
}
