//! What a change of balance brings with it later: the next automatic payout, and, for connected accounts below zero, the
//! platform's reserve and in the end its money (section 5.8).
//!
//! [`follow`] looks at every entry's postings, whichever command made them, and only ever adds due items: no payment,
//! refund or dispute has to know of schedules and reserves. It must cost next to nothing where there is nothing to do.

use smallvec::SmallVec;

use super::account;
use super::automatic;
use super::decide::{Change, Context, Facts, Halt, Outcome, Reply};
use super::draft::{Draft, RowSpec, out_of_range, source};
use super::due::{DueItem, DueKey, DueKind};
use super::record::{
    AccountRecord, CollectionRecord, RESERVE_CHILD, Record, RecordKey, ReserveRecord, Row, RowKind, Slot,
};
use super::schedule::next_payout_day;
use crate::ledger::{AccountNo, Books, Bucket, Entry, Leg, Posting, ReserveKind, SourceType};
use crate::primitives::currency::Currency;
use crate::primitives::id::ObjectKind;
use crate::primitives::money::Money;
use crate::primitives::time::{Day, Timestamp};

/// Time of day at which reserves are settled, UTC.
const RESERVE_HOUR: i64 = 22;
/// So long the platform only sets money aside for an account below zero; then it pays.
const COLLECT_DAYS: i32 = 180;

/// What an entry does to one balance.
#[derive(Clone, Copy, Debug)]
struct Move {
    account: AccountNo,
    currency: Currency,
    /// Of available and pending money together.
    total: i128,
    available: i128,
}

fn moves(entry: &Entry, today: Day) -> SmallVec<[Move; 4]> {
    let mut moves: SmallVec<[Move; 4]> = SmallVec::new();
    for posting in entry.postings() {
        let Leg::Account { account, bucket, .. } = posting.leg() else { continue };
        let available = match bucket {
            Bucket::Available => true,
            Bucket::Pending(on) => on <= today,
            Bucket::Reserved(_) => continue,
        };
        let (currency, minor) = (posting.money().currency(), i128::from(posting.money().minor()));
        let known = moves.iter().position(|m| m.account == account && m.currency == currency);
        let place = known.unwrap_or_else(|| {
            moves.push(Move { account, currency, total: 0, available: 0 });
            moves.len() - 1
        });
        moves[place].total += minor;
        moves[place].available += if available { minor } else { 0 };
    }
    moves
}

/// Whether some posting can make anything due. Credits to accounts that owe nothing, all of them pending, cannot: nearly
/// every payment ends here.
fn is_telling(facts: &dyn Facts, entry: &Entry, today: Day) -> bool {
    entry.postings().iter().any(|posting| match posting.leg() {
        Leg::House(_) => false,
        Leg::Account { account, bucket, .. } => {
            let is_pending = matches!(bucket, Bucket::Pending(on) if on > today);
            let money = posting.money();
            !is_pending
                || !account.is_platform() && (money.minor() < 0 || facts.owes(account, money.currency()).is_some())
        }
    })
}

/// Adds what an outcome makes due.
///
/// # Errors
/// Missing facts.
pub fn follow(facts: &dyn Facts, ctx: &Context<'_>, mut outcome: Outcome) -> Result<Outcome, Halt> {
    let today = ctx.now.day();
    if !is_telling(facts, &outcome.entry, today) {
        settings_changed(facts, ctx, &mut outcome)?;
        return Ok(outcome);
    }
    for m in moves(&outcome.entry, today) {
        let may_owe = !m.account.is_platform() && (m.total < 0 || facts.owes(m.account, m.currency).is_some());
        if !may_owe && m.available == 0 {
            continue;
        }
        let record = latest(facts, &outcome, m.account)?;
        let owner = account::of(&record)?;
        if may_owe && owner.is_covered(m.account) {
            settle_reserve(facts, ctx, &mut outcome, m)?;
        }
        let pays = m.available > 0 && owner.is_paid_out();
        let collects = m.available < 0 && owner.is_debited(m.account);
        if pays || collects {
            let after = facts.books(m.account)?.available(m.currency, today) + m.available;
            if (pays && after > 0) || (collects && after < 0) {
                pay_later(facts, &mut outcome, m.account, owner, today);
            }
        }
    }
    settings_changed(facts, ctx, &mut outcome)?;
    Ok(outcome)
}

/// The account as this outcome leaves it.
fn latest(facts: &dyn Facts, outcome: &Outcome, account: AccountNo) -> Result<super::record::Shared, Halt> {
    let key = RecordKey::head(account.0);
    match outcome.changes.iter().find(|change| change.key == key) {
        Some(change) => Ok(std::sync::Arc::clone(&change.after)),
        None => account::load(facts, account),
    }
}

fn add(facts: &dyn Facts, outcome: &mut Outcome, key: DueKey, kind: DueKind) {
    if !facts.is_due(key) && !outcome.due.iter().any(|item| item.key == key) {
        outcome.due.push(DueItem { key, kind });
    }
}

fn pay_later(facts: &dyn Facts, outcome: &mut Outcome, account: AccountNo, owner: &AccountRecord, today: Day) {
    let at = next_payout_day(owner, today).midnight();
    add(facts, outcome, DueKey::pay_out(account, at, 0), DueKind::PayOut(account));
}

/// Another schedule, or payouts that are enabled again, may leave money that waits for nobody.
fn settings_changed(facts: &dyn Facts, ctx: &Context<'_>, outcome: &mut Outcome) -> Result<(), Halt> {
    let today = ctx.now.day();
    let mut waiting: SmallVec<[(AccountNo, usize); 1]> = SmallVec::new();
    for (place, change) in outcome.changes.iter().enumerate() {
        if let (Record::Account(after), Some(Record::Account(before))) = (&*change.after, change.before.as_deref()) {
            let account = AccountNo(change.key.birth);
            let same = before.external_accounts == after.external_accounts
                && before.payouts_enabled == after.payouts_enabled
                && !super::balance_settings::differ(before, after);
            if !same && automatic::is_payable(after, account, facts.books(account)?, today) {
                waiting.push((account, place));
            }
        }
    }
    for (account, place) in waiting {
        let record = std::sync::Arc::clone(&outcome.changes[place].after);
        pay_later(facts, outcome, account, account::of(&record)?, today);
    }
    Ok(())
}

/// Available and pending money.
fn total(books: &Books, currency: Currency, today: Day) -> i128 {
    books.available(currency, today) + books.pending(currency, today)
}

/// The balance of a connected account whose losses are the platform's has changed: where it is or was below zero, the
/// reserve follows in the evening.
fn settle_reserve(facts: &dyn Facts, ctx: &Context<'_>, outcome: &mut Outcome, m: Move) -> Result<(), Halt> {
    let owes = facts.owes(m.account, m.currency).is_some();
    let after = total(facts.books(m.account)?, m.currency, ctx.now.day()) + m.total;
    if owes || after < 0 {
        let key = DueKey::reserve(m.account, m.currency, evening(ctx.now));
        add(facts, outcome, key, DueKind::Reserve { account: m.account, currency: m.currency });
    }
    Ok(())
}

/// The next time that reserves are settled.
fn evening(now: Timestamp) -> Timestamp {
    let hour = RESERVE_HOUR * 3_600_000;
    let today = now.day().midnight();
    let until = if now.millis_of_day() < hour { hour } else { hour + 86_400_000 };
    today.plus_millis(until).unwrap_or(now)
}

/// Brings the platform's reserve for an account up, or down, to what the account owes.
///
/// # Errors
/// Missing facts.
pub fn reserve(facts: &dyn Facts, ctx: &Context<'_>, account: AccountNo, currency: Currency) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let owed = facts.owes(account, currency);
    let held = owed.map_or(0, |owed| owed.held);
    let due = (-total(facts.books(account)?, currency, draft.today())).max(0);
    let due = i64::try_from(due).map_err(|_| out_of_range())?;
    if due == held {
        return Ok(Outcome::answer(Reply::Done));
    }
    hold(&mut draft, account, currency, due.checked_sub(held).ok_or_else(out_of_range)?)?;
    if let Some(owed) = owed {
        draft.unschedule(owed.key);
    }
    if due > 0 {
        // The days count from when the account fell below zero, however the debt changed since.
        let kind = DueKind::Collect { account, currency, held: due };
        let at = match owed {
            Some(owed) => owed.key.at,
            None => ctx.now.plus_days(COLLECT_DAYS).ok_or_else(out_of_range)?,
        };
        draft.schedule(at, kind);
    }
    Ok(draft.finish(Reply::Done))
}

/// Moves money of the platform's card balance into its reserve; negative: back.
fn hold(draft: &mut Draft<'_>, account: AccountNo, currency: Currency, minor: i64) -> Result<(), Halt> {
    let key = RecordKey { birth: draft.ctx.seq, child: RESERVE_CHILD };
    let row = row(draft, AccountNo::PLATFORM, RowKind::ReserveTransaction, Money::new(-minor, currency), key)?;
    let bucket = Bucket::Reserved(ReserveKind::Connect);
    draft.post(Posting::credit(Leg::account(AccountNo::PLATFORM, bucket), Money::new(minor, currency)));
    let record = ReserveRecord { made: draft.made(), accounts: vec![account], rows: vec![row] };
    draft.change(Change::of(key, Record::Reserve(record)));
    Ok(())
}

fn row(draft: &mut Draft<'_>, account: AccountNo, kind: RowKind, gross: Money, key: RecordKey) -> Result<Row, Halt> {
    let of = match kind {
        RowKind::CollectionTransfer => ObjectKind::ConnectCollectionTransfer,
        _ => ObjectKind::Reserve,
    };
    draft.row(RowSpec {
        account,
        kind,
        gross,
        processing_fee: 0,
        application_fee: 0,
        source: source(of, key, Slot::MAIN),
        available_on: draft.today(),
        source_type: SourceType::Card,
        conversion: None,
    })
}

/// The platform pays what an account has owed for too long, and its reserve is free again.
///
/// # Errors
/// Missing facts.
pub fn collect(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    account: AccountNo,
    currency: Currency,
    held: i64,
) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let due = (-total(facts.books(account)?, currency, draft.today())).max(0);
    let due = i64::try_from(due).map_err(|_| out_of_range())?;
    if due > 0 {
        let key = RecordKey::head(ctx.seq);
        let collection = RowKind::CollectionTransfer;
        let rows = vec![
            row(&mut draft, AccountNo::PLATFORM, collection, Money::new(-due, currency), key)?,
            row(&mut draft, account, collection, Money::new(due, currency), key)?,
        ];
        draft.change(Change::of(key, Record::Collection(CollectionRecord { made: draft.made(), account, rows })));
    }
    if held > 0 {
        hold(&mut draft, account, currency, -held)?;
    }
    Ok(draft.finish(Reply::Done))
}
