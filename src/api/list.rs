//! Lists: one driver for every resource.
//!
//! Lists are ordered by the entry that made an object, newest first. An index place says that an entry made objects of
//! some kinds in a record; the record says which. So a page is: walk the index from the cursor's entry on, load the
//! records, enumerate, filter, stop when the page is full.

use std::collections::VecDeque;

use super::error::ApiError;
use super::expand::Expand;
use super::expansion;
use super::paging::{Cursor, Page, Range};
use super::render::{self, Rendered, ToBytes, ToTree, attempt_key, list};
use super::request::Call;
use super::respond::Done;
use super::view::{Stage, Stop, View, render as painted};
use crate::domain::decide::{Class, Kinds};
use crate::domain::record::{Made, Record, RecordKey, Slot};
use crate::engine::platform::{IndexHit, Platform};
use crate::ledger::AccountNo;
use crate::primitives::id::{IdCipher, ObjectId, ObjectKind};

/// Places looked at in one go after the first.
const BATCH: usize = 256;
/// Records held before the stage is swept.
const STAGE_MAX: usize = 4 * BATCH;

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Indexes that can hold it.
    pub classes: &'static [Class],
    /// Its bit in them.
    pub bit: u32,
    /// The word in an error about a cursor.
    pub noun: &'static str,
}

impl Listed {
    /// Whether a cursor of this kind can stand in it.
    fn holds(self, kind: ObjectKind) -> bool {
        match self.bit {
            Kinds::INTENT => kind == ObjectKind::PaymentIntent,
            Kinds::CHARGE => matches!(kind, ObjectKind::Charge | ObjectKind::Payment),
            Kinds::TRANSFER => kind == ObjectKind::Transfer,
            Kinds::FEE => kind == ObjectKind::ApplicationFee,
            Kinds::ROW => kind == ObjectKind::BalanceTransaction,
            Kinds::REFUND => matches!(kind, ObjectKind::Refund | ObjectKind::PaymentRefund),
            Kinds::PAYOUT => kind == ObjectKind::Payout,
            Kinds::CUSTOMER => kind == ObjectKind::Customer,
            Kinds::METHOD => kind == ObjectKind::PaymentMethod,
            Kinds::ACCOUNT => kind == ObjectKind::Account,
            Kinds::RULE => kind == ObjectKind::Split,
            Kinds::ADJUSTMENT => kind == ObjectKind::Adjustment,
            Kinds::SETUP => matches!(kind, ObjectKind::SetupIntent | ObjectKind::SetupAttempt),
            Kinds::DISPUTE => kind == ObjectKind::Dispute,
            Kinds::TOPUP => kind == ObjectKind::Topup,
            Kinds::KEY => kind == ObjectKind::ApiKey,
            Kinds::PRODUCT => kind == ObjectKind::Product,
            Kinds::PRICE => kind == ObjectKind::Price,
            _ => true,
        }
    }
}

const fn listed(classes: &'static [Class], bit: u32, noun: &'static str) -> Listed {
    Listed { classes, bit, noun }
}

/// Payment intents.
pub const INTENTS: Listed = listed(&[Class::Payment], Kinds::INTENT, "payment_intent");
/// Charges, and payments from transfers.
pub const CHARGES: Listed = listed(&[Class::Payment], Kinds::CHARGE, "charge");
/// Transfers.
pub const TRANSFERS: Listed = listed(&[Class::Payment], Kinds::TRANSFER, "transfer");
/// Application fees.
pub const FEES: Listed = listed(&[Class::Payment], Kinds::FEE, "application_fee");
/// Balance transactions.
pub const ROWS: Listed = listed(
    &[Class::Payment, Class::Refund, Class::Payout, Class::Other, Class::Dispute],
    Kinds::ROW,
    "balance_transaction",
);
/// Refunds.
pub const REFUNDS: Listed = listed(&[Class::Refund], Kinds::REFUND, "refund");
/// Payouts.
pub const PAYOUTS: Listed = listed(&[Class::Payout], Kinds::PAYOUT, "payout");
/// Top-ups.
pub const TOPUPS: Listed = listed(&[Class::Payout], Kinds::TOPUP, "topup");
/// Customers.
pub const CUSTOMERS: Listed = listed(&[Class::Customer], Kinds::CUSTOMER, "customer");
/// Saved payment methods.
pub const METHODS: Listed = listed(&[Class::Method], Kinds::METHOD, "payment_method");
/// Connected accounts.
pub const ACCOUNTS: Listed = listed(&[Class::Account], Kinds::ACCOUNT, "account");
/// Split rules.
pub const RULES: Listed = listed(&[Class::Other], Kinds::RULE, "split_rule");
/// Adjustments.
pub const ADJUSTMENTS: Listed = listed(&[Class::Other], Kinds::ADJUSTMENT, "adjustment");
/// Setup intents.
pub const SETUPS: Listed = listed(&[Class::Setup], Kinds::SETUP, "setupintent");

/// Disputes.
pub const DISPUTES: Listed = listed(&[Class::Dispute], Kinds::DISPUTE, "dispute");
/// Restricted keys.
pub const KEYS: Listed = listed(&[Class::Key], Kinds::KEY, "key");
/// Products.
pub const PRODUCTS: Listed = listed(&[Class::Other], Kinds::PRODUCT, "product");
/// Prices.
pub const PRICES: Listed = listed(&[Class::Other], Kinds::PRICE, "price");

/// Entries with events.
pub const EVENTS: Listed = listed(
    &[
        Class::Payment,
        Class::Refund,
        Class::Payout,
        Class::Customer,
        Class::Method,
        Class::Account,
        Class::Other,
        Class::Setup,
        Class::Dispute,
    ],
    Kinds::EVENT,
    "event",
);

// ---------------------------------------------------------------------------------------------------------------
// Walking

/// Index places of several classes in one order.
pub struct Walk<'a> {
    platform: &'a Platform,
    account: AccountNo,
    bit: u32,
    descending: bool,
    batch: usize,
    streams: Vec<Stream>,
}

struct Stream {
    class: Class,
    after: Option<(u64, u16)>,
    places: VecDeque<IndexHit>,
    ended: bool,
}

impl<'a> Walk<'a> {
    /// From the entry `from` on (inclusive), or from the end.
    pub fn new(
        platform: &'a Platform,
        account: AccountNo,
        listed: Listed,
        from: Option<u64>,
        descending: bool,
        batch: usize,
    ) -> Walk<'a> {
        // Strictly beyond this place in the direction of travel lies all of entry `from`.
        let after = match (from, descending) {
            (None, _) => None,
            (Some(seq), true) => seq.checked_add(1).map(|next| (next, 0)),
            (Some(seq), false) => seq.checked_sub(1).map(|before| (before, u16::MAX)),
        };
        let streams = listed
            .classes
            .iter()
            .map(|class| Stream { class: *class, after, places: VecDeque::new(), ended: false })
            .collect();
        Walk { platform, account, bit: listed.bit, descending, batch, streams }
    }

    /// Up to `limit` places that have the bit; empty at the end.
    pub async fn next(&mut self, limit: usize) -> Vec<IndexHit> {
        let mut out = Vec::with_capacity(limit);
        while out.len() < limit {
            for stream in &mut self.streams {
                // A batch may hold nothing of the kind: go on until something is there.
                while stream.places.is_empty() && !stream.ended {
                    let places = self
                        .platform
                        .index(self.account, stream.class, stream.after, self.descending, self.batch)
                        .await;
                    stream.ended = places.len() < self.batch;
                    if let Some(last) = places.last() {
                        stream.after = Some((last.seq, last.ordinal));
                    }
                    stream.places.extend(places.into_iter().filter(|place| place.kinds & self.bit != 0));
                }
            }
            let place_of = |stream: &Stream| stream.places.front().map(|place| (place.seq, place.ordinal));
            let candidates = self.streams.iter().enumerate().filter_map(|(n, stream)| Some((place_of(stream)?, n)));
            let next = if self.descending { candidates.max() } else { candidates.min() };
            let Some((_, n)) = next else { break };
            match self.streams.get_mut(n).and_then(|stream| stream.places.pop_front()) {
                Some(place) => out.push(place),
                None => break,
            }
        }
        out
    }
}

// ---------------------------------------------------------------------------------------------------------------
// What a record made

/// The objects of a kind that the entry `seq` made in a record for an account, newest first.
fn made_there(view: &View<'_>, listed: Listed, account: AccountNo, place: &IndexHit) -> Rendered<Vec<ObjectId>> {
    let key = place.key;
    let seq = place.seq;
    let record = view.record(key)?;
    let slots = |count: usize| (0..u16::try_from(count).unwrap_or(u16::MAX)).rev();
    let main = |kind: ObjectKind| vec![key.id(kind, Slot::MAIN)];
    if listed.bit == Kinds::ROW {
        let of = |slot: &u16| {
            record.rows().get(usize::from(*slot)).is_some_and(|row| row.made.seq == seq && row.account == account)
        };
        let rows = slots(record.rows().len()).filter(of);
        return Ok(rows.map(|slot| key.id(ObjectKind::BalanceTransaction, slot)).collect());
    }
    let mut found = Vec::new();
    match record {
        Record::Flow(flow) => match listed.bit {
            Kinds::INTENT if flow.shown_intent().is_some() && flow.made.seq == seq && flow.owner == account => {
                return Ok(main(ObjectKind::PaymentIntent));
            }
            Kinds::CHARGE => {
                for slot in slots(flow.transfers.len()) {
                    let transfer = &flow.transfers[usize::from(slot)];
                    if transfer.made.seq == seq && transfer.destination == account {
                        found.push(key.id(ObjectKind::Payment, slot));
                    }
                }
                if flow.owner != account {
                    return Ok(found);
                }
                let latest = flow.charge.as_ref();
                if let Some(charge) = latest.filter(|charge| charge.made.seq == seq) {
                    found.push(key.id(ObjectKind::Charge, charge.attempt));
                } else {
                    let earlier = 0..latest.map_or(0, |charge| charge.attempt);
                    view.want(earlier.clone().map(|attempt| attempt_key(key.birth, attempt)))?;
                    for attempt in earlier.rev() {
                        if let Some(Record::Attempt(record)) = view.find(attempt_key(key.birth, attempt))?
                            && record.charge.made.seq == seq
                        {
                            found.push(key.id(ObjectKind::Charge, attempt));
                        }
                    }
                }
            }
            Kinds::TRANSFER if flow.owner == account => {
                for slot in slots(flow.transfers.len()) {
                    if flow.transfers[usize::from(slot)].made.seq == seq {
                        found.push(key.id(ObjectKind::Transfer, slot));
                    }
                }
            }
            Kinds::FEE if account.is_platform() => {
                for slot in flow.fee_slots().into_iter().rev() {
                    if flow.fee(slot).is_some_and(|of| of.made.seq == seq) {
                        found.push(key.id(ObjectKind::ApplicationFee, slot));
                    }
                }
            }
            _ => {}
        },
        Record::Refund(refund) if listed.bit == Kinds::REFUND => {
            let parts = refund.reversals.iter().rev().filter(|_| refund.moved().seq == seq);
            for part in parts.filter(|part| part.destination == account) {
                found.push(key.id(ObjectKind::PaymentRefund, part.transfer));
            }
            if refund.owner == account && refund.made.seq == seq {
                found.push(key.id(ObjectKind::Refund, Slot::MAIN));
            }
        }
        Record::Reversal(reversal) if listed.bit == Kinds::REFUND && reversal.made.seq == seq => {
            if reversal.part.destination == account {
                found.push(key.id(ObjectKind::PaymentRefund, reversal.part.transfer));
            }
        }
        Record::Payout(payout) if payout.made.seq == seq => return Ok(main(ObjectKind::Payout)),
        Record::Topup(topup) if topup.made.seq == seq => return Ok(main(ObjectKind::Topup)),
        Record::Customer(customer) if customer.made.seq == seq && !customer.deleted => {
            return Ok(main(ObjectKind::Customer));
        }
        Record::PaymentMethod(method) if method.made.seq == seq => return Ok(main(ObjectKind::PaymentMethod)),
        Record::Account(record) if record.made.seq == seq && !record.deleted && key != RecordKey::PLATFORM => {
            return Ok(main(ObjectKind::Account));
        }
        Record::Dispute(dispute) if dispute.made.seq == seq && dispute.owner == account => {
            return Ok(main(ObjectKind::Dispute));
        }
        Record::SplitRule(rule) if rule.made.seq == seq => return Ok(main(ObjectKind::Split)),
        Record::Adjustment(adjustment) if adjustment.made.seq == seq => return Ok(main(ObjectKind::Adjustment)),
        Record::Setup(setup) if setup.made.seq == seq => return Ok(main(ObjectKind::SetupIntent)),
        Record::ApiKey(record) if record.made.seq == seq => return Ok(main(ObjectKind::ApiKey)),
        Record::Product(record) if listed.bit == Kinds::PRODUCT && record.made.seq == seq && !record.deleted => {
            return Ok(main(ObjectKind::Product));
        }
        Record::Price(record) if listed.bit == Kinds::PRICE && record.made.seq == seq => {
            return Ok(main(ObjectKind::Price));
        }
        Record::Refund(_)
        | Record::Reversal(_)
        | Record::FeeRefund(_)
        | Record::Payout(_)
        | Record::Dispute(_)
        | Record::Customer(_)
        | Record::PaymentMethod(_)
        | Record::Account(_)
        | Record::SplitRule(_)
        | Record::Adjustment(_)
        | Record::Topup(_)
        | Record::Reserve(_)
        | Record::Collection(_)
        | Record::ApiKey(_)
        | Record::Product(_)
        | Record::Price(_)
        | Record::Token(_)
        | Record::Attempt(_)
        | Record::Person(_)
        | Record::Setup(_)
        | Record::SetupAttempt(_) => {}
    }
    Ok(found)
}

/// When an object was made.
///
/// # Errors
/// [`Stop`].
pub fn made(view: &View<'_>, id: &ObjectId) -> Rendered<Made> {
    let slot = usize::from(id.slot);
    match id.kind {
        ObjectKind::Charge => return Ok(render::charge::find(view, id.birth, id.slot)?.charge.made),
        ObjectKind::SetupAttempt => return Ok(render::setup_intent::attempt(view, id.birth, id.slot)?.made),
        ObjectKind::ApplicationFee => {
            return view.flow(id.birth)?.fee(id.slot).map(|of| of.made).ok_or(Stop::Gone);
        }
        ObjectKind::Payment | ObjectKind::Transfer => {
            return view.flow(id.birth)?.transfers.get(slot).map(|transfer| transfer.made).ok_or(Stop::Gone);
        }
        ObjectKind::BalanceTransaction => {
            return view.record(RecordKey::of(id))?.rows().get(slot).map(|row| row.made).ok_or(Stop::Gone);
        }
        _ => {}
    }
    Ok(match view.record(RecordKey::of(id))? {
        Record::Account(record) => record.made,
        Record::Customer(record) => record.made,
        Record::PaymentMethod(record) => record.made,
        Record::Token(record) => record.made,
        Record::Flow(record) => record.made,
        Record::Attempt(record) => record.charge.made,
        Record::Refund(record) if id.kind == ObjectKind::Refund => record.made,
        Record::Refund(record) => record.moved(),
        Record::Reversal(record) => record.made,
        Record::FeeRefund(record) => record.made,
        Record::Payout(record) => record.made,
        Record::SplitRule(record) => record.made,
        Record::Adjustment(record) => record.made,
        Record::Setup(record) => record.made,
        Record::SetupAttempt(record) => record.attempt.made,
        Record::Person(record) => record.made,
        Record::Dispute(record) => record.made,
        Record::Topup(record) => record.made,
        Record::Reserve(record) => record.made,
        Record::Collection(record) => record.made,
        Record::ApiKey(record) => record.made,
        Record::Product(record) => record.made,
        Record::Price(record) => record.made,
    })
}

// ---------------------------------------------------------------------------------------------------------------
// Pages

/// A page of ids, newest first.
#[derive(Debug, Default)]
pub struct Ids {
    /// What is on it.
    pub ids: Vec<ObjectId>,
    /// Whether more lie in the direction of travel.
    pub has_more: bool,
}

/// Whether a time filter lets something through.
pub fn within(range: &Option<Range>, made: &Made) -> bool {
    range.as_ref().is_none_or(|range| range.contains(made.at.seconds()))
}

fn cursor_id(ids: &IdCipher, page: &Page, listed: Listed) -> Result<Option<ObjectId>, ApiError> {
    match page.cursor.id() {
        None => Ok(None),
        Some(text) => match ids.decode(text) {
            Ok(id) if listed.holds(id.kind) => Ok(Some(id)),
            _ => Err(page.cursor.no_such(listed.noun)),
        },
    }
}

/// A page of a list, by walking its index. `keep` filters; `created` ends the walk early where it can.
///
/// # Errors
/// A cursor that leads nowhere.
pub async fn walk(
    call: &Call,
    listed: Listed,
    page: &Page,
    created: &Option<Range>,
    stage: &mut Stage,
    keep: impl Fn(&View<'_>, &ObjectId) -> Rendered<bool>,
) -> Result<Ids, ApiError> {
    walk_between(call, listed, page, created, (0, u64::MAX), stage, keep).await
}

/// The same among the entries `first` to `last`.
///
/// # Errors
/// A cursor that leads nowhere.
pub async fn walk_between(
    call: &Call,
    listed: Listed,
    page: &Page,
    created: &Option<Range>,
    (first, last): (u64, u64),
    stage: &mut Stage,
    keep: impl Fn(&View<'_>, &ObjectId) -> Rendered<bool>,
) -> Result<Ids, ApiError> {
    let descending = !matches!(page.cursor, Cursor::EndingBefore(_));
    let cursor = match cursor_id(call.platform().ids(), page, listed)? {
        None => None,
        Some(id) => {
            let acting = call.acting;
            let found = painted(call.platform(), call.secrets(), stage, |view| {
                let own = id.kind == ObjectKind::Account || render::owner(view, &id)? == acting;
                if own { made(view, &id) } else { Err(Stop::Gone) }
            })
            .await?;
            Some((id, found.ok_or_else(|| page.cursor.no_such(listed.noun))?.seq))
        }
    };
    let from = match (cursor, descending) {
        (Some((_, seq)), _) => Some(seq),
        (None, true) => Some(last).filter(|&last| last < u64::MAX),
        (None, false) => Some(first).filter(|&first| first > 0),
    };
    let mut walk = Walk::new(call.platform(), call.acting, listed, from, descending, page.limit.max(16) * 2);
    let mut ids = Vec::with_capacity(page.limit + 1);
    let mut passing = cursor;
    'pages: loop {
        let places = walk.next(if ids.is_empty() { page.limit + 2 } else { BATCH.min(page.limit * 2 + 2) }).await;
        if places.is_empty() {
            break;
        }
        if stage.len() > STAGE_MAX {
            stage.sweep();
        }
        let acting = call.acting;
        let batch = painted(call.platform(), call.secrets(), stage, |view| {
            let mut batch = Vec::with_capacity(places.len());
            let mut gap = false;
            for place in &places {
                match objects_of(view, listed, acting, place, created, &keep) {
                    Ok(found) => batch.push((place.seq, found)),
                    Err(Stop::Missing) => gap = true,
                    Err(Stop::Gone) => {}
                    Err(stop) => return Err(stop),
                }
            }
            if gap { Err(Stop::Missing) } else { Ok(batch) }
        })
        .await?
        .unwrap_or_default();
        for (seq, mut found) in batch {
            if if descending { seq < first } else { seq > last } {
                break 'pages;
            }
            let ends_walk = found.ends_walk(descending);
            if !descending {
                found.objects.reverse();
            }
            for (id, kept) in found.objects {
                if let Some((cursor, at)) = passing {
                    if seq == at {
                        if id == cursor {
                            passing = None;
                        }
                        continue;
                    }
                    passing = None;
                }
                if !kept {
                    continue;
                }
                ids.push(id);
                if ids.len() > page.limit {
                    break 'pages;
                }
            }
            if ends_walk {
                break 'pages;
            }
        }
    }
    let has_more = ids.len() > page.limit;
    ids.truncate(page.limit);
    if !descending {
        ids.reverse();
    }
    Ok(Ids { ids, has_more })
}

struct Found {
    /// Each with whether the filter keeps it.
    objects: Vec<(ObjectId, bool)>,
    /// Made before, or after, all that the time filter lets through.
    too_old: bool,
    too_new: bool,
}

impl Found {
    fn ends_walk(&self, descending: bool) -> bool {
        if descending { self.too_old } else { self.too_new }
    }
}

fn objects_of(
    view: &View<'_>,
    listed: Listed,
    account: AccountNo,
    place: &IndexHit,
    created: &Option<Range>,
    keep: &impl Fn(&View<'_>, &ObjectId) -> Rendered<bool>,
) -> Rendered<Found> {
    let mut found = Found { objects: Vec::new(), too_old: false, too_new: false };
    for id in made_there(view, listed, account, place)? {
        let at = made(view, &id)?.at.seconds();
        if let Some(range) = created {
            found.too_old |= at < range.first;
            found.too_new |= at > range.last;
        }
        let in_time = created.as_ref().is_none_or(|range| range.contains(at));
        found.objects.push((id, in_time && keep(view, &id)?));
    }
    Ok(found)
}

/// A page of a list that is at hand as a whole, newest first.
///
/// # Errors
/// A cursor that is not in it.
pub fn cut(ids: &IdCipher, listed: Listed, page: &Page, all: Vec<ObjectId>) -> Result<Ids, ApiError> {
    let place = match cursor_id(ids, page, listed)? {
        None => None,
        Some(id) => Some(all.iter().position(|have| *have == id).ok_or_else(|| page.cursor.no_such(listed.noun))?),
    };
    Ok(match (&page.cursor, place) {
        (Cursor::EndingBefore(_), Some(place)) => {
            let start = place.saturating_sub(page.limit);
            Ids { ids: all[start..place].to_vec(), has_more: start > 0 }
        }
        (_, place) => {
            let start = place.map_or(0, |place| place + 1);
            let end = (start + page.limit).min(all.len());
            Ids { ids: all[start..end].to_vec(), has_more: end < all.len() }
        }
    })
}

/// The children of a flow whose records `pick` chooses objects from, newest first.
///
/// # Errors
/// Those of rendering.
pub async fn children(
    call: &Call,
    birth: u64,
    stage: &mut Stage,
    pick: impl Fn(RecordKey, &Record) -> Option<ObjectId>,
) -> Result<Vec<ObjectId>, ApiError> {
    let found = painted(call.platform(), call.secrets(), stage, |view| {
        let count = view.flow(birth)?.children;
        let keys = (1..=count).rev().map(|child| RecordKey { birth, child });
        view.want(keys.clone())?;
        let mut ids = Vec::new();
        for key in keys {
            if let Some(record) = view.find(key)?
                && let Some(id) = pick(key, record)
            {
                ids.push(id);
            }
        }
        Ok(ids)
    });
    Ok(found.await?.unwrap_or_default())
}

/// Renders a page.
///
/// # Errors
/// Those of rendering.
pub async fn respond(call: &Call, page: Ids, stage: &mut Stage, expand: &Expand, url: &str) -> Result<Done, ApiError> {
    let items = expand.items();
    let acting = call.acting;
    let body = painted(call.platform(), call.secrets(), stage, |view| {
        let mut gap = false;
        let (mut bytes, mut trees) = (Vec::new(), Vec::new());
        for id in &page.ids {
            let rendered = if items.is_empty() {
                render::object(view, id, ToBytes).map(|object| bytes.push(object))
            } else {
                render::object(view, id, ToTree).and_then(|mut object| {
                    expansion::apply(view, acting, &mut object, items)?;
                    trees.push(object);
                    Ok(())
                })
            };
            match rendered {
                Ok(()) => {}
                Err(Stop::Missing) => gap = true,
                // Deleted between the walk and now.
                Err(Stop::Gone) => {}
                Err(stop) => return Err(stop),
            }
        }
        if gap {
            return Err(Stop::Missing);
        }
        if items.is_empty() {
            return Ok(list::page(&bytes, page.has_more, url));
        }
        let tree = list::page_tree(trees, page.has_more, url);
        serde_json::to_vec(&tree).map_err(|_| Stop::from(ApiError::internal()))
    })
    .await?;
    Ok(Done::json(body.ok_or_else(ApiError::internal)?))
}

/// Of these, what a time filter lets through.
///
/// # Errors
/// Those of rendering.
pub async fn made_within(
    call: &Call,
    stage: &mut Stage,
    ids: Vec<ObjectId>,
    range: &Option<Range>,
) -> Result<Vec<ObjectId>, ApiError> {
    if range.is_none() {
        return Ok(ids);
    }
    let found = painted(call.platform(), call.secrets(), stage, |view| {
        let mut kept = Vec::with_capacity(ids.len());
        for id in &ids {
            if within(range, &made(view, id)?) {
                kept.push(*id);
            }
        }
        Ok(kept)
    });
    Ok(found.await?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_list_is_cut_in_both_directions() {
        let ids = IdCipher::new([7; 16]);
        let all: Vec<ObjectId> =
            (1..=5).rev().map(|birth| RecordKey::head(birth).id(ObjectKind::Payout, Slot::MAIN)).collect();
        let page = |limit, cursor| {
            let page = cut(&ids, PAYOUTS, &Page { limit, cursor }, all.clone())?;
            Ok::<_, ApiError>((page.ids.iter().map(|id| id.birth).collect::<Vec<_>>(), page.has_more))
        };
        let after = |birth: u64| Cursor::StartingAfter(ids.encode(&all[5 - birth as usize]));
        let before = |birth: u64| Cursor::EndingBefore(ids.encode(&all[5 - birth as usize]));
        assert_eq!(page(2, Cursor::None).unwrap(), (vec![5, 4], true));
        assert_eq!(page(2, after(4)).unwrap(), (vec![3, 2], true));
        assert_eq!(page(2, after(2)).unwrap(), (vec![1], false));
        assert_eq!(page(2, before(2)).unwrap(), (vec![4, 3], true));
        assert_eq!(page(2, before(4)).unwrap(), (vec![5], false));
        assert_eq!(page(2, Cursor::StartingAfter("po_nope".to_owned())).unwrap_err().status, 400);
    }
}
