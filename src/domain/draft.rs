//! A decision in the making: rows and their postings, changed records, events and due items, gathered into an
//! [`Outcome`]. Whatever moves an account's balance goes through [`Draft::row`], so rows and postings cannot drift.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::account;
use super::decide::{Change, Context, Facts, Halt, Outcome, Refusal, Reply};
use super::due::{DueItem, DueKey, DueKind, Owed};
use super::event::{Event, EventKind};
use super::record::{AccountRecord, Made, Record, RecordKey, Row, RowConversion, RowKind, RowSource, Shared};
use super::seal::{METADATA_KEYS_MAX, Sealed, Texts};
use crate::ledger::{AccountNo, Books, Bucket, Entry, EntryError, FeeKind, House, Leg, Posting, SourceType};
use crate::primitives::currency::Currency;
use crate::primitives::exchange::{Conversion, ExchangeError, Rate, convert};
use crate::primitives::id::{ObjectId, ObjectKind};
use crate::primitives::market::NoRate;
use crate::primitives::money::{MAX_MINOR, Money};
use crate::primitives::time::Day;

/// What a balance transaction is to be.
#[derive(Debug)]
pub struct RowSpec {
    /// Whose balance.
    pub account: AccountNo,
    /// Its type.
    pub kind: RowKind,
    /// Signed gross, in settlement currency.
    pub gross: Money,
    /// Processing fee withheld.
    pub processing_fee: i64,
    /// Application fee withheld.
    pub application_fee: i64,
    /// The object it belongs to.
    pub source: RowSource,
    /// From when the money is available.
    pub available_on: Day,
    /// Which kind of money.
    pub source_type: SourceType,
    /// How it was converted.
    pub conversion: Option<RowConversion>,
}

/// A decision in the making.
pub struct Draft<'a> {
    /// What the decision may look at.
    pub facts: &'a dyn Facts,
    /// Time, sequence, tables.
    pub ctx: &'a Context<'a>,
    postings: Vec<Posting>,
    changes: Vec<Change>,
    events: Vec<Event>,
    due: Vec<DueItem>,
    undue: Vec<DueKey>,
    seals: u32,
}

impl<'a> Draft<'a> {
    /// Nothing yet.
    pub fn new(facts: &'a dyn Facts, ctx: &'a Context<'a>) -> Draft<'a> {
        Draft {
            facts,
            ctx,
            postings: Vec::with_capacity(8),
            changes: Vec::with_capacity(2),
            events: Vec::with_capacity(6),
            due: Vec::new(),
            undue: Vec::new(),
            seals: 0,
        }
    }

    /// The mark of everything that this entry makes.
    pub fn made(&self) -> Made {
        Made { seq: self.ctx.seq, at: self.ctx.now }
    }

    /// Today, on the platform's clock.
    pub fn today(&self) -> Day {
        self.ctx.now.day()
    }

    /// Posts a row's net to its account and its processing fee to the operator, and gives the row back.
    /// The other side is the caller's.
    ///
    /// # Errors
    /// Amounts out of range.
    pub fn row(&mut self, spec: RowSpec) -> Result<Row, Halt> {
        let fee = spec.processing_fee.checked_add(spec.application_fee).ok_or_else(out_of_range)?;
        let net = spec.gross.minor().checked_sub(fee).ok_or_else(out_of_range)?;
        in_range(spec.gross.minor())?;
        in_range(net)?;
        let currency = spec.gross.currency();
        self.account(spec.account, spec.source_type, spec.available_on, Money::new(net, currency));
        let earned = match spec.kind {
            RowKind::Dispute | RowKind::DisputeReversal => FeeKind::Dispute,
            _ => FeeKind::Processing,
        };
        self.house(House::Fees(earned), Money::new(spec.processing_fee, currency));
        Ok(Row {
            account: spec.account,
            kind: spec.kind,
            currency,
            amount: spec.gross.minor(),
            fee,
            application_fee: spec.application_fee,
            source: spec.source,
            available_on: spec.available_on.max(self.today()),
            made: self.made(),
            conversion: spec.conversion,
            source_type: (spec.source_type != SourceType::Card).then_some(spec.source_type),
        })
    }

    /// Credits (or, negative, debits) an account, available from `on`.
    fn account(&mut self, account: AccountNo, source: SourceType, on: Day, money: Money) {
        let bucket = if on > self.today() { Bucket::Pending(on) } else { Bucket::Available };
        if let Bucket::Pending(day) = bucket {
            self.mature_later(account, day);
        }
        self.postings.push(Posting::credit(Leg::Account { account, source, bucket }, money));
    }

    /// Credits (or, negative, debits) a ledger account of the house.
    pub fn house(&mut self, house: House, money: Money) {
        self.postings.push(Posting::credit(Leg::House(house), money));
    }

    /// Posts as given (adjustments).
    pub fn post(&mut self, posting: Posting) {
        if let Leg::Account { account, bucket: Bucket::Pending(day), .. } = posting.leg() {
            self.mature_later(account, day);
        }
        self.postings.push(posting);
    }

    /// The first pending money of an account and day makes the one due item that tells of its maturing.
    fn mature_later(&mut self, account: AccountNo, day: Day) {
        let kind = DueKind::Mature { account, day };
        if self.facts.matures(account, day) || self.due.iter().any(|item| item.kind == kind) {
            return;
        }
        self.schedule(day.midnight(), kind);
    }

    /// Refunds that wait for money of this account get another chance, right after this entry.
    pub fn resume_refunds(&mut self, account: AccountNo, currency: Currency) {
        let kind = DueKind::RefundsResume { account, currency };
        if self.facts.waiting_refund(account, currency).is_some() && !self.due.iter().any(|item| item.kind == kind) {
            self.schedule(self.ctx.now, kind);
        }
    }

    /// Adds a due item.
    pub fn schedule(&mut self, at: crate::primitives::time::Timestamp, kind: DueKind) -> DueKey {
        let ordinal = u16::try_from(self.due.len()).unwrap_or(u16::MAX);
        let key = DueKey { at, birth: self.ctx.seq, ordinal };
        self.due.push(DueItem { key, kind });
        key
    }

    /// Adds a due item under a place of its own, so that it can be found again.
    pub fn schedule_as(&mut self, at: crate::primitives::time::Timestamp, birth: u64, ordinal: u16, kind: DueKind) {
        self.due.push(DueItem { key: DueKey { at, birth, ordinal }, kind });
    }

    /// Drops a due item.
    pub fn unschedule(&mut self, key: DueKey) {
        self.undue.push(key);
    }

    /// Tells of something that happened.
    pub fn event(&mut self, account: AccountNo, kind: EventKind, subject: ObjectId) {
        self.events.push(Event { account, kind, subject });
    }

    /// Takes back what was told of objects of a kind: the API does not know this one.
    pub fn keep_quiet_of(&mut self, kind: ObjectKind) {
        self.events.retain(|event| event.subject.kind != kind);
    }

    /// Records a changed record. A record changes once in an entry: a later change takes an earlier one's place.
    pub fn change(&mut self, change: Change) {
        match self.changes.iter_mut().find(|have| have.key == change.key) {
            None => self.changes.push(change),
            Some(have) => {
                have.after = change.after;
                for row in change.index {
                    super::listing::note(&mut have.index, row.account, row.class, row.kinds);
                }
            }
        }
    }

    /// Seals a record's texts.
    ///
    /// # Errors
    /// More than [`METADATA_KEYS_MAX`] keys in one metadata.
    pub fn seal(&mut self, key_no: u32, texts: &Texts) -> Result<Sealed, Halt> {
        if let Some((param, keys)) = texts.crowded_metadata() {
            let message = format!(
                "Metadata can have at most {METADATA_KEYS_MAX} keys; with these it would have {keys}. \
                 Remove keys by giving them an empty value."
            );
            return Err(Refusal::new(message).param(param).into());
        }
        let ordinal = self.seals;
        self.seals += 1;
        Ok(self.ctx.seal(key_no, ordinal, texts))
    }

    /// The rate for a conversion into the balance of `into`: fixed pair, else the last one of the market rates in
    /// force.
    ///
    /// # Errors
    /// 400 where no rate is known.
    pub fn rate(&self, from: Currency, to: Currency) -> Result<Rate, Halt> {
        self.ctx.tables.rate(self.ctx.rates, from, to, self.ctx.now).map_err(|no| no_rate(&no).into())
    }

    /// Converts money that comes in to `account`: the conversion fee is inside the rate. Posts the exchange, mark-up
    /// and rounding; what is left for the caller to credit is `Conversion::target`.
    ///
    /// # Errors
    /// 400 where no rate is known or an amount leaves the range.
    pub fn convert_in(&mut self, money: Money, to: Currency, account: &AccountRecord) -> Result<Converted, Halt> {
        let rate = self.rate(money.currency(), to)?;
        self.exchange(money, &rate, self.markup_ppm(account))
    }

    /// Converts money that goes back, at the base rate of the day without fee (refunds and reversals).
    ///
    /// # Errors
    /// As [`Draft::convert_in`].
    pub fn convert_back(&mut self, money: Money, to: Currency) -> Result<Converted, Halt> {
        let rate = self.rate(money.currency(), to)?;
        self.exchange(money, &rate, 0)
    }

    /// What `money` is worth in `to` at the base rate of the day; posts nothing.
    ///
    /// # Errors
    /// As [`Draft::convert_in`].
    pub fn worth(&self, money: Money, to: Currency) -> Result<Money, Halt> {
        if money.currency() == to {
            return Ok(money);
        }
        let rate = self.rate(money.currency(), to)?;
        convert(money, &rate, 0).map(|c| c.at_base).map_err(|e| exchange_refused(&e))
    }

    /// The base rate of the day from `money` to `to`, as a row shows it that exchanges nothing itself.
    ///
    /// # Errors
    /// As [`Draft::convert_in`].
    pub fn shown(&self, money: Money, to: Currency) -> Result<RowConversion, Halt> {
        let rate = self.rate(money.currency(), to)?;
        let c = convert(money, &rate, 0).map_err(|e| exchange_refused(&e))?;
        Ok(RowConversion { residue_nano: 0, ..conversion_of(money, &rate, &c) })
    }

    /// The conversion fee of an account's country, millionths.
    pub fn markup_ppm(&self, account: &AccountRecord) -> u32 {
        if account.country.code() == "US" {
            self.ctx.tables.conversion_us_ppm
        } else {
            self.ctx.tables.conversion_other_ppm
        }
    }

    /// Clearing accounts close each currency alone: source currency into `fx`, target currency out of it.
    fn exchange(&mut self, money: Money, rate: &Rate, markup_ppm: u32) -> Result<Converted, Halt> {
        let c: Conversion = convert(money, rate, markup_ppm).map_err(|e| exchange_refused(&e))?;
        let to = c.target.currency();
        let markup = c.at_base.minor().checked_sub(c.target.minor()).ok_or_else(out_of_range)?;
        self.house(House::Fx, money);
        let out = c.at_base.minor().checked_add(c.rounding_units).ok_or_else(out_of_range)?;
        self.house(House::Fx, Money::new(out.checked_neg().ok_or_else(out_of_range)?, to));
        self.house(House::Fees(FeeKind::Conversion), Money::new(markup, to));
        self.house(House::Rounding, Money::new(c.rounding_units, to));
        in_range(c.target.minor())?;
        Ok(Converted { target: c.target, rate_minor: c.exchange_rate_minor, row: conversion_of(money, rate, &c) })
    }

    /// The account that a request acts for or names, as a record.
    ///
    /// # Errors
    /// Missing facts.
    pub fn account_record(&self, account: AccountNo) -> Result<Arc<Record>, Halt> {
        account::load(self.facts, account)
    }

    /// Closes the decision.
    ///
    /// # Errors
    /// Never for a caller's fault: postings that do not balance are a bug of ours and panic, so that nothing is
    /// written (the caller answers 500).
    pub fn finish(mut self, reply: Reply) -> Outcome {
        for at in 0..self.postings.len() {
            let (leg, money) = (self.postings[at].leg(), self.postings[at].money());
            if let Leg::Account { account, bucket: Bucket::Available, .. } = leg
                && money.minor() > 0
            {
                self.resume_refunds(account, money.currency());
            }
        }
        let entry = match Entry::balanced(self.postings) {
            Ok(entry) => entry,
            Err(error @ (EntryError::Unbalanced { .. } | EntryError::Overflow)) => {
                panic!("decision at {} does not balance: {error}", self.ctx.seq)
            }
        };
        let seq = self.ctx.seq;
        let mut changes = self.changes;
        for change in &mut changes {
            super::listing::list(change, seq);
        }
        for event in &self.events {
            super::listing::list_event(&mut changes, event);
        }
        Outcome { entry, changes, events: self.events, due: self.due, undue: self.undue, ..Outcome::answer(reply) }
    }
}

fn conversion_of(money: Money, rate: &Rate, c: &Conversion) -> RowConversion {
    RowConversion {
        from: money.currency(),
        from_minor: money.minor(),
        rate: c.exchange_rate_minor,
        base: rate.base,
        rate_day: rate.date,
        rate_source: rate.source,
        stale: rate.stale,
        residue_nano: c.residue_nano,
    }
}

/// A decision sees what it has changed itself.
impl Facts for Draft<'_> {
    fn record(&self, key: RecordKey) -> Result<Option<Shared>, Halt> {
        match self.changes.iter().find(|change| change.key == key) {
            Some(change) => Ok(Some(Arc::clone(&change.after))),
            None => self.facts.record(key),
        }
    }

    fn books(&self, account: AccountNo) -> Result<&Books, Halt> {
        self.facts.books(account)
    }

    fn matures(&self, account: AccountNo, day: Day) -> bool {
        self.facts.matures(account, day)
    }

    fn is_due(&self, key: DueKey) -> bool {
        self.facts.is_due(key)
    }

    fn owes(&self, account: AccountNo, currency: Currency) -> Option<Owed> {
        self.facts.owes(account, currency)
    }

    fn waiting_refund(&self, account: AccountNo, currency: Currency) -> Option<RecordKey> {
        self.facts.waiting_refund(account, currency)
    }

    fn next_key_no(&self) -> u32 {
        self.facts.next_key_no()
    }

    fn split_rule(&self, name: &str) -> Option<u64> {
        self.facts.split_rule(name)
    }
}

/// A conversion that was posted.
#[derive(Debug)]
pub struct Converted {
    /// What the account gets or loses, in its currency.
    pub target: Money,
    /// Target minor units per source minor unit, fee included.
    pub rate_minor: Decimal,
    /// What the row keeps of it.
    pub row: RowConversion,
}

/// The record's place of a source.
pub fn source(kind: ObjectKind, key: RecordKey, slot: u16) -> RowSource {
    RowSource { kind, key, slot }
}

/// An amount left the range of money.
pub fn out_of_range() -> Halt {
    Refusal::new("An amount of this request leaves the range that Florin keeps books for (10^15 minor units).")
        .code("amount_too_large")
        .into()
}

fn in_range(minor: i64) -> Result<(), Halt> {
    if minor.unsigned_abs() <= MAX_MINOR.unsigned_abs() { Ok(()) } else { Err(out_of_range()) }
}

fn no_rate(no: &NoRate) -> Refusal {
    Refusal::new(format!("No exchange rate: {no}")).param("currency")
}

fn exchange_refused(error: &ExchangeError) -> Halt {
    Refusal::new(format!("This amount cannot be converted: {error}")).param("amount").into()
}
