//! Payouts (section 9): the balance drops when they are made, not when they arrive. Made by request, by an account's
//! schedule ([`super::automatic`]), or, with a negative amount, to collect what an account owes.

use std::sync::Arc;

use super::account;
use super::command::Request;
use super::decide::{Change, Context, Facts, Halt, Outcome, Refusal, Reply};
use super::draft::{Draft, RowSpec, out_of_range, source};
use super::due::{DueKey, DueKind};
use super::event::EventKind;
use super::record::{
    AccountRecord, BankOutcome, BankStatus, Dashboard, ExternalAccount, FeesPayer, PayoutRecord, PayoutStatus, Record,
    RecordKey, Row, RowKind, Shared, Slot, Window,
};
use super::refund::{negative, no_such};
use super::seal::Texts;
use crate::ledger::{AccountNo, Bucket, FeeKind, House, SourceType};
use crate::primitives::country::Country;
use crate::primitives::currency::Currency;
use crate::primitives::id::{ObjectId, ObjectKind};
use crate::primitives::money::Money;
use crate::primitives::share::percent_half_up;
use crate::primitives::time::Timestamp;

/// Arrivals have one place per payout in the due queue, so that canceling finds it.
const ARRIVAL: u16 = u16::MAX;
/// Until then a paid payout can be taken back, days.
const REVERSIBLE_DAYS: i64 = 90;
/// Where instant payouts reach bank accounts, beside the countries of the euro.
const INSTANT: [&str; 10] = ["AE", "AU", "CA", "GB", "HK", "MY", "NO", "NZ", "SG", "US"];
/// The most that one instant payout may be in US dollars, cents.
const INSTANT_USD_MAX: i64 = 999_900;

/// What a caller asks of a payout.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Minor units.
    pub amount: i64,
    /// In which currency.
    pub currency: Currency,
    /// To which external account; default: the currency's default one.
    pub destination: Option<ObjectId>,
    /// Which kind of money it draws on.
    pub source_type: SourceType,
    /// At once, for a fee; pending card money counts too.
    pub instant: bool,
}

/// The smallest payout of a currency, minor units: one of them in the currencies of the US, Canada, Australia, New
/// Zealand and Japan, one whole unit elsewhere.
pub fn smallest(currency: Currency) -> i64 {
    match currency.code() {
        "usd" | "cad" | "aud" | "nzd" | "jpy" => currency.payout_multiple(),
        _ => 10_i64.pow(currency.exponent()).max(currency.payout_multiple()),
    }
}

/// Whether the country's currency is the euro.
pub(super) fn in_euro(country: Country) -> bool {
    country.default_currency() == Some(Currency::EUR)
}

/// Whether instant payouts reach a bank account.
pub fn is_instant(bank: &ExternalAccount) -> bool {
    bank.card.is_some()
        || bank.instant.unwrap_or_else(|| in_euro(bank.country) || INSTANT.contains(&bank.country.code()))
}

/// Whether an account pays the fee for its instant payouts itself; else the platform does.
pub fn pays_own_fee(owner: &AccountRecord, account: AccountNo) -> bool {
    account.is_platform() || owner.controller.fees == FeesPayer::Account
}

// ---------------------------------------------------------------------------------------------------------------
// By request

/// Pays available money out to a bank account.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn create(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, asked: Asked) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let account = request.acting;
    let owner_record = account::load(facts, account)?;
    let owner = account::of(&owner_record)?;
    let Asked { amount, currency, source_type, .. } = asked;
    check_amount(amount, currency)?;
    if !account.is_platform() && owner.controller.dashboard == Dashboard::Full {
        let message = "This account has a dashboard of its own and pays itself out. A platform creates payouts only \
                       for accounts without the full dashboard.";
        return Err(Refusal::new(message).code("not_allowed_on_standard_account").into());
    }
    if !owner.payouts_enabled {
        let message = "Payouts are not enabled on this account: its `requirements` say what is missing.";
        return Err(Refusal::new(message).code("payouts_not_allowed").into());
    }
    let bank = bank(facts, ctx, owner, account, &asked)?;
    let mut issue = Issue::new(amount, currency, source_type, bank);
    if asked.instant {
        issue.instant = Some(check_instant(&draft, owner, account, &asked, bank)?);
    } else {
        check_available(&draft, account, currency, source_type, amount)?;
    }
    issue.texts.apply("", &request.texts);
    let id = issue.make(&mut draft, account, owner)?;
    let mut outcome = draft.finish(Reply::Object(id));
    outcome.text_key_no = owner.key_no;
    Ok(outcome)
}

fn check_amount(amount: i64, currency: Currency) -> Result<(), Halt> {
    let refuse = |message: String| Err(Refusal::new(message).code("parameter_invalid_integer").param("amount").into());
    if amount < 1 {
        return refuse("This value must be greater than or equal to 1.".to_owned());
    }
    if amount % currency.payout_multiple() != 0 {
        return refuse(format!("Payouts in {currency} must be divisible by {}.", currency.payout_multiple()));
    }
    if amount < smallest(currency) {
        let least = Money::new(smallest(currency), currency).display_major();
        let message = format!("The smallest payout in {currency} is {least}.");
        return Err(Refusal::new(message).code("amount_too_small").param("amount").into());
    }
    Ok(())
}

fn check_available(
    draft: &Draft<'_>,
    account: AccountNo,
    currency: Currency,
    source_type: SourceType,
    minor: i64,
) -> Result<(), Halt> {
    let books = draft.facts.books(account)?;
    let have = books.available_from(currency, source_type, draft.today());
    if have >= i128::from(minor) { Ok(()) } else { Err(insufficient(have, currency, source_type)) }
}

fn insufficient(have: i128, currency: Currency, source_type: SourceType) -> Halt {
    let kind = match source_type {
        SourceType::Card => "card",
        SourceType::BankAccount => "bank_account",
    };
    let have = i64::try_from(have).map_or_else(|_| have.to_string(), |have| Money::new(have, currency).display_major());
    let message = format!(
        "You have insufficient funds in your account for this transfer. Your {kind} balance is too low: {have} is \
         available. GET /v1/balance shows it; test charges with the card 4000 0000 0000 0077 (pm_card_bypassPending) \
         are available at once."
    );
    Refusal::new(message).code("balance_insufficient").into()
}

/// What an instant payout needs besides: pending money to advance, and its fee.
#[derive(Clone, Copy, Debug)]
struct Instant {
    /// Taken out of the pending balance, minor units.
    advance: i64,
    /// Minor units.
    fee: i64,
    /// Who pays the fee.
    payer: AccountNo,
}

fn check_instant(
    draft: &Draft<'_>,
    owner: &AccountRecord,
    account: AccountNo,
    asked: &Asked,
    bank: u16,
) -> Result<Instant, Halt> {
    let Asked { amount, currency, source_type, .. } = *asked;
    let fits = |bank: &ExternalAccount| bank.currency == currency && is_instant(bank);
    if !owner.external_accounts.get(usize::from(bank)).is_some_and(fits) {
        let message = "The external account does not support instant payouts: its `available_payout_methods` say what \
                       it does. Leave `method` out, or name another `destination`.";
        return Err(Refusal::new(message).code("instant_payouts_unsupported").param("method").into());
    }
    if currency == Currency::USD && amount > INSTANT_USD_MAX {
        let most = Money::new(INSTANT_USD_MAX, currency).display_major();
        let message = format!("The bank takes instant payouts of up to {most}. Make several.");
        return Err(Refusal::new(message).param("amount").into());
    }
    let fee = percent_half_up(amount, draft.ctx.tables.instant_ppm());
    let payer = if pays_own_fee(owner, account) { account } else { AccountNo::PLATFORM };
    let own_fee = if payer == account { fee } else { 0 };
    let books = draft.facts.books(account)?;
    let today = draft.today();
    let available = books.available_from(currency, source_type, today);
    // Card money counts while it is pending; money of bank debits only when it has settled.
    let pending = match source_type {
        SourceType::Card => books.pending_from(currency, source_type, today),
        SourceType::BankAccount => 0,
    };
    let wanted = i128::from(amount) + i128::from(own_fee);
    if available + pending < wanted {
        return Err(insufficient(available + pending, currency, source_type));
    }
    let advance = i64::try_from((wanted - available).max(0)).map_err(|_| out_of_range())?;
    Ok(Instant { advance, fee, payer })
}

fn bank(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    owner: &AccountRecord,
    account: AccountNo,
    asked: &Asked,
) -> Result<u16, Halt> {
    let found = match asked.destination {
        Some(id) => {
            let index = usize::from(id.slot).checked_sub(1);
            let bank = index.and_then(|index| owner.external_accounts.get(index)).filter(|bank| !bank.deleted);
            if id.birth != account.0 || bank.is_none() {
                let message = format!("No such external account: '{}'", ctx.ids.encode(&id));
                return Err(Refusal::new(message).code("resource_missing").param("destination").into());
            }
            index.filter(|&index| owner.external_accounts[index].currency == asked.currency)
        }
        None => match default_bank(owner, asked.currency) {
            Some(index) => Some(index),
            // A balance in a currency without a bank account goes to the default one, converted when it arrives.
            None => {
                let have = facts.books(account)?.available_from(asked.currency, asked.source_type, ctx.now.day());
                let converts = asked.currency != owner.default_currency && have >= i128::from(asked.amount);
                default_bank(owner, owner.default_currency).filter(|_| converts)
            }
        },
    };
    let index = found.and_then(|index| u16::try_from(index).ok()).ok_or_else(|| {
        let message = format!("Sorry, you don't have any external accounts in that currency ({}).", asked.currency);
        Halt::from(Refusal::new(message).param("currency"))
    })?;
    let bank = &owner.external_accounts[usize::from(index)];
    if bank.currency != asked.currency
        && (asked.instant || Draft::new(facts, ctx).rate(asked.currency, bank.currency).is_err())
    {
        let message = format!(
            "{} money cannot be paid out to a bank account in {}: add an external account in {}.",
            asked.currency, bank.currency, asked.currency
        );
        return Err(Refusal::new(message).param("currency").into());
    }
    if bank.status == BankStatus::Errored {
        let message = "An earlier payout to this external account failed. Replace it, or name another `destination`.";
        return Err(Refusal::new(message).code("bank_account_unusable").param("destination").into());
    }
    Ok(index)
}

/// The external account that payouts in a currency go to.
pub(super) fn default_bank(owner: &AccountRecord, currency: Currency) -> Option<usize> {
    let fits = |bank: &ExternalAccount| bank.currency == currency && bank.default_for_currency && !bank.deleted;
    owner.external_accounts.iter().position(fits)
}

// ---------------------------------------------------------------------------------------------------------------
// Making one

/// A payout to be made; a negative amount debits the bank account.
pub(super) struct Issue {
    amount: i64,
    currency: Currency,
    source_type: SourceType,
    bank: u16,
    instant: Option<Instant>,
    /// Made by the schedule; which rows it owns.
    pub(super) automatic: Option<Window>,
    /// What it leaves in the balance, minor units.
    pub(super) keep: i64,
    original: Option<u64>,
    pub(super) texts: Texts,
}

impl Issue {
    /// A standard payout made by request.
    pub(super) fn new(amount: i64, currency: Currency, source_type: SourceType, bank: u16) -> Issue {
        let (instant, automatic, original) = (None, None, None);
        Issue { amount, currency, source_type, bank, instant, automatic, keep: 0, original, texts: Texts::default() }
    }

    /// Posts it, records it and says when it arrives.
    pub(super) fn make(
        self,
        draft: &mut Draft<'_>,
        account: AccountNo,
        owner: &AccountRecord,
    ) -> Result<ObjectId, Halt> {
        let ctx = draft.ctx;
        let key = RecordKey::head(ctx.seq);
        let id = key.id(ObjectKind::Payout, Slot::MAIN);
        let money = Money::new(self.amount, self.currency);
        let arrives = arrival(ctx, ctx.now)?;
        draft.house(House::Bank, money);
        let mut row = draft.row(self.row(draft, account, RowKind::Payout, negative(money)?.minor()))?;
        // It counts from now on, and shows the day of its arrival. What a bank account is debited for counts at once.
        if self.amount > 0 && self.instant.is_none() {
            row.available_on = arrives.day();
        }
        let mut rows = vec![row];
        if self.keep > 0 {
            rows.push(draft.row(self.row(draft, account, RowKind::MinimumHold, -self.keep))?);
            rows.push(draft.row(self.row(draft, account, RowKind::MinimumRelease, self.keep))?);
        }
        if let Some(instant) = &self.instant {
            self.advance(draft, account, instant, &mut rows)?;
        }
        draft.schedule_as(arrives, ctx.seq, ARRIVAL, DueKind::PayoutArrives(ctx.seq));
        draft.event(account, EventKind::PayoutCreated, id);
        let private = draft.seal(owner.key_no, &self.texts)?;
        let record = PayoutRecord {
            owner: account,
            made: draft.made(),
            amount: self.amount,
            currency: self.currency,
            status: PayoutStatus::Pending,
            arrival_on: if self.instant.is_some() { draft.today() } else { arrives.day() },
            bank: self.bank,
            source_type: self.source_type,
            failure: None,
            rows,
            private,
            automatic: self.automatic.map(Box::new),
            instant: self.instant.map(|_| true),
            original: self.original,
            reversed_by: None,
            reconciled: None,
            arrived: None,
        };
        draft.change(Change::of(key, Record::Payout(record)));
        Ok(id)
    }

    fn row(&self, draft: &Draft<'_>, account: AccountNo, kind: RowKind, gross: i64) -> RowSpec {
        RowSpec {
            account,
            kind,
            gross: Money::new(gross, self.currency),
            processing_fee: 0,
            application_fee: 0,
            source: source(ObjectKind::Payout, RecordKey::head(draft.ctx.seq), Slot::MAIN),
            available_on: draft.today(),
            source_type: self.source_type,
            conversion: None,
        }
    }

    /// Pending money becomes available before its day, the soonest first; and the fee is taken.
    fn advance(
        &self,
        draft: &mut Draft<'_>,
        account: AccountNo,
        instant: &Instant,
        rows: &mut Vec<Row>,
    ) -> Result<(), Halt> {
        if instant.advance > 0 {
            rows.push(draft.row(self.row(draft, account, RowKind::Advance, instant.advance))?);
            let mut left = i128::from(instant.advance);
            for holding in draft.facts.books(account)?.holdings() {
                let Bucket::Pending(on) = holding.bucket else { continue };
                let theirs = (holding.currency, holding.source) == (self.currency, self.source_type);
                let part = holding.minor.min(left);
                if !theirs || on <= draft.today() || part <= 0 {
                    continue;
                }
                let part_minor = i64::try_from(part).map_err(|_| out_of_range())?;
                let spec = self.row(draft, account, RowKind::AdvanceFunding, -part_minor);
                rows.push(draft.row(RowSpec { available_on: on, ..spec })?);
                left -= part;
            }
        }
        if instant.fee > 0 {
            draft.house(House::Fees(FeeKind::Payout), Money::new(instant.fee, self.currency));
            rows.push(draft.row(self.row(draft, instant.payer, RowKind::Fee, -instant.fee))?);
        }
        Ok(())
    }
}

fn arrival(ctx: &Context<'_>, made: Timestamp) -> Result<Timestamp, Halt> {
    made.plus_seconds(i64::from(ctx.tables.payout_arrival_s)).ok_or_else(out_of_range)
}

// ---------------------------------------------------------------------------------------------------------------
// What becomes of one

/// Changes a payout's metadata.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn update(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, birth: u64) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let (before, mut payout) = load(facts, ctx, request.acting, birth)?;
    let key_no = account::of(&*account::load(facts, request.acting)?)?.key_no;
    let mut texts = ctx.open(&payout.private);
    texts.apply("", &request.texts);
    payout.private = draft.seal(key_no, &texts)?;
    let key = RecordKey::head(birth);
    let id = key.id(ObjectKind::Payout, Slot::MAIN);
    draft.event(payout.owner, EventKind::PayoutUpdated, id);
    draft.change(Change::of(key, Record::Payout(payout)).from(&before));
    let mut outcome = draft.finish(Reply::Object(id));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// Takes a payout back that has not been sent.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn cancel(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, birth: u64) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let (_, mut payout) = load(facts, ctx, request.acting, birth)?;
    if payout.status != PayoutStatus::Pending {
        let message = format!(
            "Payouts can only be canceled while they are pending. This one is {}.",
            payout.status.wire().replace('_', " ")
        );
        return Err(Refusal::new(message).into());
    }
    let kind = match &payout {
        payout if payout.automatic.is_some() => Some("automatic"),
        payout if payout.instant == Some(true) => Some("instant"),
        payout if payout.amount < 0 => Some("a debit"),
        _ => None,
    };
    if let Some(kind) = kind {
        let message = format!("Only manual standard payouts can be canceled. This one is {kind}.");
        return Err(Refusal::new(message).into());
    }
    come_back(&mut draft, &mut payout, birth, RowKind::PayoutCancel)?;
    payout.status = PayoutStatus::Canceled;
    draft.unschedule(DueKey { at: arrival(ctx, payout.made.at)?, birth, ordinal: ARRIVAL });
    let key = RecordKey::head(birth);
    let id = key.id(ObjectKind::Payout, Slot::MAIN);
    draft.event(payout.owner, EventKind::PayoutCanceled, id);
    draft.change(Change::of(key, Record::Payout(payout)));
    Ok(draft.finish(Reply::Object(id)))
}

/// Debits the bank account for a payout that it got.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn reverse(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, birth: u64) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let (before, mut payout) = load(facts, ctx, request.acting, birth)?;
    let owner_record = account::load(facts, payout.owner)?;
    let owner = account::of(&owner_record)?;
    let bank = owner.external_accounts.get(usize::from(payout.bank));
    let refuse = |message: &str| Err(Halt::from(Refusal::new(message).param("payout")));
    if payout.reversed_by.is_some() {
        return refuse("This payout has been reversed already: `reversed_by` names the payout that did it.");
    }
    if payout.amount < 0 {
        return refuse("This payout is a debit itself; only money that was paid out can be taken back.");
    }
    if payout.instant == Some(true) {
        return refuse("Instant payouts cannot be reversed.");
    }
    if payout.status != PayoutStatus::Paid {
        return refuse("Payouts can only be reversed once they are paid. Cancel it while it is pending.");
    }
    if ctx.now.day().days_since(payout.made.at.day()) >= REVERSIBLE_DAYS {
        return refuse("Payouts can only be reversed within 90 days.");
    }
    if !bank.is_some_and(|bank| !bank.deleted && matches!(bank.country, Country::US | Country::CA)) {
        return refuse("Only payouts to bank accounts in the US and Canada can be reversed.");
    }
    let mut issue = Issue::new(-payout.amount, payout.currency, payout.source_type, payout.bank);
    issue.original = Some(birth);
    issue.texts.apply("", &request.texts);
    let id = issue.make(&mut draft, payout.owner, owner)?;
    let key = RecordKey::head(birth);
    payout.reversed_by = Some(ctx.seq);
    draft.event(payout.owner, EventKind::PayoutUpdated, key.id(ObjectKind::Payout, Slot::MAIN));
    draft.change(Change::of(key, Record::Payout(payout)).from(&before));
    let mut outcome = draft.finish(Reply::Object(id));
    outcome.text_key_no = owner.key_no;
    Ok(outcome)
}

fn of_due(facts: &dyn Facts, birth: u64, status: PayoutStatus) -> Result<Option<PayoutRecord>, Halt> {
    let record = facts.record(RecordKey::head(birth))?;
    let Some(Record::Payout(payout)) = record.as_deref() else { return Ok(None) };
    Ok((payout.status == status).then(|| payout.clone()))
}

fn outcome_of(owner: &AccountRecord, payout: &PayoutRecord) -> BankOutcome {
    owner.external_accounts.get(usize::from(payout.bank)).map_or(BankOutcome::Paid, |bank| bank.outcome)
}

/// A payout reaches the bank. Where the test number of the bank account says so (section 13.4), the bank sends it back
/// later.
///
/// # Errors
/// A missing fact.
pub fn arrive(facts: &dyn Facts, ctx: &Context<'_>, birth: u64) -> Result<Outcome, Halt> {
    let Some(mut payout) = of_due(facts, birth, PayoutStatus::Pending)? else {
        return Ok(Outcome::answer(Reply::Done));
    };
    let key = RecordKey::head(birth);
    let id = key.id(ObjectKind::Payout, Slot::MAIN);
    let mut draft = Draft::new(facts, ctx);
    let owner_record = account::load(facts, payout.owner)?;
    let owner = account::of(&owner_record)?;
    payout.status = PayoutStatus::Paid;
    draft.event(payout.owner, EventKind::PayoutPaid, id);
    if payout.automatic.is_some() {
        payout.reconciled = Some(true);
        draft.event(payout.owner, EventKind::PayoutReconciled, id);
    }
    if outcome_of(owner, &payout) == BankOutcome::Paid {
        convert(&mut draft, &mut payout, owner)?;
    } else {
        let kind = DueKind::PayoutFails(birth);
        draft.schedule_as(arrival(ctx, ctx.now)?, birth, ARRIVAL, kind);
    }
    draft.change(Change::of(key, Record::Payout(payout)));
    Ok(draft.finish(Reply::Done))
}

/// Money on its way to a bank account in another currency is exchanged when it arrives. A pair that has lost its rate
/// since the payout was made stays in the books of the bank as it is.
fn convert(draft: &mut Draft<'_>, payout: &mut PayoutRecord, owner: &AccountRecord) -> Result<(), Halt> {
    let to = owner.external_accounts.get(usize::from(payout.bank)).map_or(payout.currency, |bank| bank.currency);
    if to == payout.currency || draft.rate(payout.currency, to).is_err() {
        return Ok(());
    }
    let money = Money::new(payout.amount, payout.currency);
    let converted = draft.convert_in(money, to, owner)?;
    draft.house(House::Bank, negative(money)?);
    draft.house(House::Bank, converted.target);
    payout.arrived = Some((converted.target.minor(), to));
    Ok(())
}

/// The bank sends a payout back: the money returns, and the bank account is used no more.
///
/// # Errors
/// A missing fact.
pub fn fail(facts: &dyn Facts, ctx: &Context<'_>, birth: u64) -> Result<Outcome, Halt> {
    let Some(mut payout) = of_due(facts, birth, PayoutStatus::Paid)?.filter(|payout| payout.reversed_by.is_none())
    else {
        return Ok(Outcome::answer(Reply::Done));
    };
    let mut draft = Draft::new(facts, ctx);
    let owner_record = account::load(facts, payout.owner)?;
    let owner = account::of(&owner_record)?;
    come_back(&mut draft, &mut payout, birth, RowKind::PayoutFailure)?;
    payout.status = PayoutStatus::Failed;
    payout.failure = Some(outcome_of(owner, &payout));
    let key = RecordKey::head(birth);
    draft.event(payout.owner, EventKind::PayoutFailed, key.id(ObjectKind::Payout, Slot::MAIN));
    let mut after = owner.clone();
    if let Some(bank) = after.external_accounts.get_mut(usize::from(payout.bank)) {
        bank.status = BankStatus::Errored;
    }
    account::refresh(&mut after);
    let at = RecordKey::head(payout.owner.0);
    let bank_id = account::external_id(payout.owner, payout.bank.saturating_add(1));
    draft.event(payout.owner, EventKind::ExternalAccountUpdated, bank_id);
    if after.payouts_enabled != owner.payouts_enabled {
        draft.event(payout.owner, EventKind::AccountUpdated, account::account_id(payout.owner));
    }
    draft.change(Change::of(at, Record::Account(Box::new(after))).from(&owner_record));
    draft.change(Change::of(key, Record::Payout(payout)));
    Ok(draft.finish(Reply::Done))
}

/// The money of a payout comes back to the balance, by a new row.
fn come_back(draft: &mut Draft<'_>, payout: &mut PayoutRecord, birth: u64, kind: RowKind) -> Result<(), Halt> {
    let money = Money::new(payout.amount, payout.currency);
    draft.house(House::Bank, negative(money)?);
    let row = draft.row(RowSpec {
        account: payout.owner,
        kind,
        gross: money,
        processing_fee: 0,
        application_fee: 0,
        source: source(ObjectKind::Payout, RecordKey::head(birth), Slot::MAIN),
        available_on: draft.today(),
        source_type: payout.source_type,
        conversion: None,
    })?;
    payout.rows.push(row);
    Ok(())
}

fn load(facts: &dyn Facts, ctx: &Context<'_>, acting: AccountNo, birth: u64) -> Result<(Shared, PayoutRecord), Halt> {
    let key = RecordKey::head(birth);
    if let Some(record) = facts.record(key)?
        && let Record::Payout(payout) = &*record
        && payout.owner == acting
    {
        let payout = payout.clone();
        return Ok((Arc::clone(&record), payout));
    }
    Err(no_such(ctx, "payout", &key.id(ObjectKind::Payout, Slot::MAIN), "payout"))
}

impl PayoutStatus {
    /// The status on the wire.
    pub fn wire(self) -> &'static str {
        match self {
            PayoutStatus::Pending => "pending",
            PayoutStatus::InTransit => "in_transit",
            PayoutStatus::Paid => "paid",
            PayoutStatus::Canceled => "canceled",
            PayoutStatus::Failed => "failed",
        }
    }
}

/// Whether a payout was taken back or sent back: such a row is its `failure_balance_transaction`.
pub fn is_return(kind: RowKind) -> bool {
    matches!(kind, RowKind::PayoutCancel | RowKind::PayoutFailure)
}
