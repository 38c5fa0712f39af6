//! Which lists an entry's records appear in: derived from what each record says was made by this entry.

use std::collections::BTreeMap;

use super::decide::{Change, Class, IndexRow, Kinds};
use super::event::Event;
use super::record::{Record, RecordKey};
use crate::ledger::AccountNo;

/// Adds the list entries of a changed record.
pub fn list(change: &mut Change, seq: u64) {
    let mut kinds: BTreeMap<AccountNo, u32> = BTreeMap::new();
    let mut add = |account: AccountNo, bits: u32| *kinds.entry(account).or_default() |= bits;
    for row in change.after.rows().iter().filter(|row| row.made.seq == seq) {
        add(row.account, Kinds::ROW);
    }
    match &*change.after {
        Record::Flow(flow) => {
            if flow.made.seq == seq && flow.shown_intent().is_some() {
                add(flow.owner, Kinds::INTENT);
            }
            if flow.charge.as_ref().is_some_and(|charge| charge.made.seq == seq) {
                add(flow.owner, Kinds::CHARGE);
            }
            for transfer in flow.transfers.iter().filter(|transfer| transfer.made.seq == seq) {
                add(flow.owner, Kinds::TRANSFER);
                add(transfer.destination, Kinds::CHARGE);
                if transfer.fee.is_some() {
                    add(AccountNo::PLATFORM, Kinds::FEE);
                }
            }
            if flow.direct_fee.as_ref().is_some_and(|direct| direct.made.seq == seq) {
                add(AccountNo::PLATFORM, Kinds::FEE);
            }
        }
        Record::Refund(refund) if refund.made.seq == seq || refund.moved().seq == seq => {
            if refund.made.seq == seq {
                add(refund.owner, Kinds::REFUND);
            }
            for part in &refund.reversals {
                add(refund.owner, Kinds::REVERSAL);
                add(part.destination, Kinds::REFUND);
            }
            if !refund.fee_refunds.is_empty() {
                add(AccountNo::PLATFORM, Kinds::FEE_REFUND);
            }
        }
        Record::Reversal(reversal) if reversal.made.seq == seq => {
            add(reversal.owner, Kinds::REVERSAL);
            add(reversal.part.destination, Kinds::REFUND);
            if reversal.fee_refund.is_some() {
                add(AccountNo::PLATFORM, Kinds::FEE_REFUND);
            }
        }
        Record::FeeRefund(refund) if refund.made.seq == seq => add(refund.owner, Kinds::FEE_REFUND),
        Record::Payout(payout) if payout.made.seq == seq => add(payout.owner, Kinds::PAYOUT),
        Record::Dispute(dispute) if dispute.made.seq == seq => add(dispute.owner, Kinds::DISPUTE),
        Record::SplitRule(rule) if rule.made.seq == seq => add(AccountNo::PLATFORM, Kinds::RULE),
        Record::Adjustment(adjustment) if adjustment.made.seq == seq => add(AccountNo::PLATFORM, Kinds::ADJUSTMENT),
        Record::Product(product) if product.made.seq == seq => add(product.owner, Kinds::PRODUCT),
        Record::Price(price) if price.made.seq == seq => add(price.owner, Kinds::PRICE),
        Record::Setup(setup) if setup.made.seq == seq => add(setup.owner, Kinds::SETUP),
        Record::Topup(topup) if topup.made.seq == seq => add(topup.owner, Kinds::TOPUP),
        // Accounts, customers, payment methods and keys state their own list entries.
        Record::Account(_)
        | Record::Customer(_)
        | Record::PaymentMethod(_)
        | Record::Token(_)
        | Record::Attempt(_)
        | Record::Refund(_)
        | Record::Reversal(_)
        | Record::FeeRefund(_)
        | Record::Payout(_)
        | Record::Dispute(_)
        | Record::SplitRule(_)
        | Record::Adjustment(_)
        | Record::Person(_)
        | Record::Setup(_)
        | Record::SetupAttempt(_)
        | Record::Topup(_)
        | Record::Reserve(_)
        | Record::Collection(_)
        | Record::ApiKey(_)
        | Record::Product(_)
        | Record::Price(_) => {}
    }
    let class = class_of(&change.after);
    for (account, bits) in kinds {
        note(&mut change.index, account, class, bits);
    }
}

/// Notes an event at the record that it is about.
pub fn list_event(changes: &mut [Change], event: &Event) {
    let key = RecordKey::of(&event.subject);
    let at = changes.iter().position(|change| change.key == key).or(if changes.is_empty() { None } else { Some(0) });
    if let Some(change) = at.and_then(|at| changes.get_mut(at)) {
        let class = class_of(&change.after);
        note(&mut change.index, event.account, class, Kinds::EVENT);
    }
}

/// Adds what was made to a record's list entries: one for each account and family.
pub fn note(index: &mut Vec<IndexRow>, account: AccountNo, class: Class, bits: u32) {
    match index.iter_mut().find(|row| row.account == account && row.class == class) {
        Some(row) => row.kinds |= bits,
        None => index.push(IndexRow { account, class, kinds: bits }),
    }
}

/// The family of lists that a record's objects appear in.
pub fn class_of(record: &Record) -> Class {
    match record {
        Record::Flow(_) | Record::Attempt(_) => Class::Payment,
        Record::Refund(_) | Record::Reversal(_) | Record::FeeRefund(_) => Class::Refund,
        Record::Payout(_) | Record::Topup(_) | Record::Reserve(_) | Record::Collection(_) => Class::Payout,
        Record::Customer(_) => Class::Customer,
        Record::PaymentMethod(_) | Record::Token(_) => Class::Method,
        Record::Account(_) | Record::Person(_) => Class::Account,
        Record::SplitRule(_) | Record::Adjustment(_) => Class::Other,
        Record::Setup(_) | Record::SetupAttempt(_) => Class::Setup,
        Record::Dispute(_) => Class::Dispute,
        Record::Product(_) | Record::Price(_) => Class::Other,
        Record::ApiKey(_) => Class::Key,
    }
}
