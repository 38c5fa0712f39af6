//! Expansion: ids of an answer replaced by their objects.
//!
//! Owns which properties of which object can be expanded ([`Shape`]s) and the walk that replaces them. Never shows an
//! object to somebody it does not belong to: such an id stays an id.

use serde_json::Value;

use super::expand::{Expand, Property, Shape};
use super::render::{self, Rendered, ToTree, list, newest_children, refund};
use super::view::{Stop, View};
use crate::domain::record::{Record, Slot};
use crate::ledger::AccountNo;
use crate::primitives::id::{ObjectId, ObjectKind};

/// `account`.
pub static ACCOUNT: Shape = Shape {
    properties: &[
        Property::hash("company", &[&WITH_VERIFICATION]),
        Property::expandable("external_accounts", &[&EXTERNAL_ACCOUNTS]),
        Property::expandable("individual", &[&PERSON]),
        Property::hash("settings", &[&SETTINGS]),
    ],
};
static EXTERNAL_ACCOUNTS: Shape = Shape { properties: &[Property::expandable("data", &[&EXTERNAL_ACCOUNT])] };
static SETTINGS: Shape = Shape { properties: &[Property::hash("branding", &[&BRANDING])] };
static BRANDING: Shape =
    Shape { properties: &[Property::expandable("icon", &[&PLAIN]), Property::expandable("logo", &[&PLAIN])] };
static WITH_VERIFICATION: Shape = Shape { properties: &[Property::hash("verification", &[&VERIFICATION])] };
static VERIFICATION: Shape = Shape {
    properties: &[Property::hash("additional_document", &[&DOCUMENT]), Property::hash("document", &[&DOCUMENT])],
};
static DOCUMENT: Shape =
    Shape { properties: &[Property::expandable("back", &[&PLAIN]), Property::expandable("front", &[&PLAIN])] };

/// `person`.
pub static PERSON: Shape = Shape { properties: &[Property::hash("verification", &[&VERIFICATION])] };
/// `application`: an id that stays one.
static APPLICATION: Shape = Shape { properties: &[] };
/// What has nothing to expand.
pub static PLAIN: Shape = Shape { properties: &[] };

static TRANSFER_DATA: Shape = Shape { properties: &[Property::expandable("destination", &[&ACCOUNT])] };
static INVOICE_SETTINGS: Shape =
    Shape { properties: &[Property::expandable("default_payment_method", &[&PAYMENT_METHOD])] };
static LAST_ERROR: Shape = Shape { properties: &[Property::hash("payment_method", &[&PAYMENT_METHOD])] };

/// `customer`.
pub static CUSTOMER: Shape = Shape {
    properties: &[
        Property::expandable("default_source", &[&PLAIN]),
        Property::hash("invoice_settings", &[&INVOICE_SETTINGS]),
        Property::expandable("test_clock", &[&PLAIN]),
    ],
};

/// `payment_method`.
pub static PAYMENT_METHOD: Shape = Shape { properties: &[Property::expandable("customer", &[&CUSTOMER])] };

/// `payment_intent`.
pub static PAYMENT_INTENT: Shape = Shape {
    properties: &[
        Property::expandable("application", &[&APPLICATION]),
        Property::expandable("customer", &[&CUSTOMER]),
        Property::hash("last_payment_error", &[&LAST_ERROR]),
        Property::expandable("latest_charge", &[&CHARGE]),
        Property::expandable("on_behalf_of", &[&ACCOUNT]),
        Property::expandable("payment_method", &[&PAYMENT_METHOD]),
        Property::expandable("review", &[&PLAIN]),
        Property::expandable("split_rule", &[&PLAIN]),
        Property::hash("transfer_data", &[&TRANSFER_DATA]),
    ],
};

/// `charge`.
pub static CHARGE: Shape = Shape {
    properties: &[
        Property::expandable("application", &[&APPLICATION]),
        Property::expandable("application_fee", &[&APPLICATION_FEE]),
        Property::expandable("balance_transaction", &[&BALANCE_TRANSACTION]),
        Property::expandable("customer", &[&CUSTOMER]),
        Property::expandable("dispute", &[&DISPUTE]),
        Property::expandable("failure_balance_transaction", &[&BALANCE_TRANSACTION]),
        Property::expandable("on_behalf_of", &[&ACCOUNT]),
        Property::expandable("payment_intent", &[&PAYMENT_INTENT]),
        Property::expandable("refunds", &[&REFUNDS]),
        Property::expandable("review", &[&PLAIN]),
        Property::expandable("source_transfer", &[&TRANSFER]),
        Property::expandable("transfer", &[&TRANSFER]),
        Property::hash("transfer_data", &[&TRANSFER_DATA]),
    ],
};
static REFUNDS: Shape = Shape { properties: &[Property::expandable("data", &[&REFUND])] };
static REVERSALS: Shape = Shape { properties: &[Property::expandable("data", &[&REVERSAL])] };
static FEE_REFUNDS: Shape = Shape { properties: &[Property::expandable("data", &[&FEE_REFUND])] };

/// `refund`.
pub static REFUND: Shape = Shape {
    properties: &[
        Property::expandable("balance_transaction", &[&BALANCE_TRANSACTION]),
        Property::expandable("charge", &[&CHARGE]),
        Property::expandable("customer", &[&CUSTOMER]),
        Property::expandable("failure_balance_transaction", &[&BALANCE_TRANSACTION]),
        Property::expandable("payment_intent", &[&PAYMENT_INTENT]),
        Property::expandable("payment_method", &[&PAYMENT_METHOD]),
        Property::expandable("source_transfer_reversal", &[&REVERSAL]),
        Property::expandable("transfer_reversal", &[&REVERSAL]),
    ],
};

/// `transfer`.
pub static TRANSFER: Shape = Shape {
    properties: &[
        Property::expandable("balance_transaction", &[&BALANCE_TRANSACTION]),
        Property::expandable("destination", &[&ACCOUNT]),
        Property::expandable("destination_payment", &[&CHARGE]),
        Property::expandable("reversals", &[&REVERSALS]),
        Property::expandable("source_transaction", &[&CHARGE]),
    ],
};

/// `transfer_reversal`.
pub static REVERSAL: Shape = Shape {
    properties: &[
        Property::expandable("balance_transaction", &[&BALANCE_TRANSACTION]),
        Property::expandable("destination_payment_refund", &[&REFUND]),
        Property::expandable("source_refund", &[&REFUND]),
        Property::expandable("transfer", &[&TRANSFER]),
    ],
};

/// `application_fee`.
pub static APPLICATION_FEE: Shape = Shape {
    properties: &[
        Property::expandable("account", &[&ACCOUNT]),
        Property::expandable("application", &[&APPLICATION]),
        Property::expandable("balance_transaction", &[&BALANCE_TRANSACTION]),
        Property::expandable("charge", &[&CHARGE]),
        Property::expandable("originating_transaction", &[&CHARGE]),
        Property::expandable("refunds", &[&FEE_REFUNDS]),
    ],
};

/// `fee_refund`.
pub static FEE_REFUND: Shape = Shape {
    properties: &[
        Property::expandable("balance_transaction", &[&BALANCE_TRANSACTION]),
        Property::expandable("fee", &[&APPLICATION_FEE]),
    ],
};

/// `payout`.
pub static PAYOUT: Shape = Shape {
    properties: &[
        Property::expandable("application_fee", &[&APPLICATION_FEE]),
        Property::expandable("balance_transaction", &[&BALANCE_TRANSACTION]),
        Property::expandable("destination", &[&EXTERNAL_ACCOUNT]),
        Property::expandable("failure_balance_transaction", &[&BALANCE_TRANSACTION]),
        Property::expandable("original_payout", &[&PAYOUT]),
        Property::expandable("reversed_by", &[&PAYOUT]),
    ],
};

/// `topup`.
pub static TOPUP: Shape = Shape { properties: &[Property::expandable("balance_transaction", &[&BALANCE_TRANSACTION])] };

/// `balance`.
pub static BALANCE: Shape = Shape { properties: &[Property::hash("instant_available", &[&INSTANT_AVAILABLE])] };
static INSTANT_AVAILABLE: Shape = Shape { properties: &[Property::expandable("net_available", &[])] };

/// `bank_account`, or `card`: where an account's payouts go.
pub static EXTERNAL_ACCOUNT: Shape = Shape { properties: &[Property::expandable("account", &[&ACCOUNT])] };

/// `capability`.
pub static CAPABILITY: Shape = Shape { properties: &[Property::expandable("account", &[&ACCOUNT])] };

/// `balance_transaction`.
pub static BALANCE_TRANSACTION: Shape = Shape {
    properties: &[Property::expandable(
        "source",
        &[&CHARGE, &REFUND, &TRANSFER, &APPLICATION_FEE, &FEE_REFUND, &PAYOUT, &REVERSAL, &DISPUTE, &TOPUP],
    )],
};

static SETUP_ERROR: Shape = Shape { properties: &[Property::hash("payment_method", &[&PAYMENT_METHOD])] };

/// `setup_intent`.
pub static SETUP_INTENT: Shape = Shape {
    properties: &[
        Property::expandable("application", &[&APPLICATION]),
        Property::expandable("customer", &[&CUSTOMER]),
        Property::hash("last_setup_error", &[&SETUP_ERROR]),
        Property::expandable("latest_attempt", &[&SETUP_ATTEMPT]),
        Property::expandable("mandate", &[&PLAIN]),
        Property::expandable("on_behalf_of", &[&ACCOUNT]),
        Property::expandable("payment_method", &[&PAYMENT_METHOD]),
        Property::expandable("single_use_mandate", &[&PLAIN]),
    ],
};

/// `setup_attempt`.
pub static SETUP_ATTEMPT: Shape = Shape {
    properties: &[
        Property::expandable("application", &[&APPLICATION]),
        Property::expandable("customer", &[&CUSTOMER]),
        Property::expandable("on_behalf_of", &[&ACCOUNT]),
        Property::expandable("payment_method", &[&PAYMENT_METHOD]),
        Property::expandable("setup_intent", &[&SETUP_INTENT]),
    ],
};

/// An intent as the payer's side sees it.
pub static FOR_PAYER: Shape = Shape { properties: &[Property::expandable("payment_method", &[&PLAIN])] };

/// `dispute`.
pub static DISPUTE: Shape = Shape {
    properties: &[
        Property::hash("balance_transactions", &[&BALANCE_TRANSACTION]),
        Property::expandable("charge", &[&CHARGE]),
        Property::expandable("payment_intent", &[&PAYMENT_INTENT]),
    ],
};

/// `product`.
pub static PRODUCT: Shape = Shape { properties: &[Property::expandable("default_price", &[&PRICE])] };

/// `price`.
pub static PRICE: Shape = Shape { properties: &[Property::expandable("product", &[&PRODUCT])] };

/// `florin.adjustment`.
pub static ADJUSTMENT: Shape =
    Shape { properties: &[Property::expandable("balance_transactions", &[&BALANCE_TRANSACTION])] };

/// Whether `acting` may see an object of `owner`: its own, and a platform what it made on its accounts.
fn may_see(acting: AccountNo, owner: AccountNo) -> bool {
    acting == owner || acting.is_platform()
}

/// Replaces what is asked for in an object. Gaps are noted and filled in the next round.
///
/// # Errors
/// [`Stop::Missing`] where a record is not at hand.
pub fn apply(view: &View<'_>, acting: AccountNo, object: &mut Value, expand: &Expand) -> Rendered<()> {
    if expand.is_empty() {
        return Ok(());
    }
    let mut done = Ok(());
    match object {
        Value::Array(items) => {
            for item in items {
                if let Err(stop) = value(view, acting, item, expand) {
                    done = Err(worse(done, stop));
                }
            }
        }
        Value::Object(map) => {
            if expand.wants("refunds") && map.get("object").and_then(Value::as_str) == Some("charge") {
                match refunds(view, map.get("id").and_then(Value::as_str).unwrap_or_default()) {
                    Ok(list) => {
                        map.insert("refunds".to_owned(), list);
                    }
                    Err(stop) => done = Err(worse(done, stop)),
                }
            }
            for (name, inside) in map.iter_mut() {
                if let Some(wanted) = expand.child(name)
                    && let Err(stop) = value(view, acting, inside, wanted)
                {
                    done = Err(worse(done, stop));
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    done
}

/// An error outlives a gap: fetching would not help.
fn worse(before: Rendered<()>, now: Stop) -> Stop {
    match before {
        Err(error @ Stop::Error(_)) => error,
        _ => now,
    }
}

fn value(view: &View<'_>, acting: AccountNo, value: &mut Value, expand: &Expand) -> Rendered<()> {
    match value {
        Value::String(text) => {
            let Ok(id) = view.ids.decode(text) else { return Ok(()) };
            match fetched(view, acting, &id) {
                Ok(Some(mut object)) => {
                    apply(view, acting, &mut object, expand)?;
                    *value = object;
                }
                Ok(None) | Err(Stop::Gone) => {}
                Err(stop) => return Err(stop),
            }
            Ok(())
        }
        Value::Array(items) => {
            let mut done = Ok(());
            for item in items {
                if let Err(stop) = self::value(view, acting, item, expand) {
                    done = Err(worse(done, stop));
                }
            }
            done
        }
        object => apply(view, acting, object, expand),
    }
}

fn fetched(view: &View<'_>, acting: AccountNo, id: &ObjectId) -> Rendered<Option<Value>> {
    // The platform as its accounts see it is no object of the ledger: id and name are all there is.
    if id.kind == ObjectKind::Application {
        let id = view.id(id);
        return Ok(Some(serde_json::json!({ "id": id, "object": "application", "name": null })));
    }
    let own = match id.kind {
        ObjectKind::Account => id.birth == acting.0,
        // The platform's, shown to the account that paid it.
        ObjectKind::ApplicationFee => view.flow(id.birth)?.fee(id.slot).is_some_and(|of| of.payer == acting),
        _ => false,
    };
    if !own && !may_see(acting, render::owner(view, id)?) {
        return Ok(None);
    }
    render::object(view, id, ToTree).map(Some)
}

/// A charge's newest refunds, as a list.
fn refunds(view: &View<'_>, charge: &str) -> Rendered<Value> {
    let id = view.ids.decode(charge).map_err(|_| Stop::Gone)?;
    let url = format!("/v1/charges/{charge}/refunds");
    let flow = view.flow(id.birth)?;
    let (newest, all) = match id.kind {
        ObjectKind::Payment => {
            let transfer = flow.transfers.get(usize::from(id.slot)).ok_or(Stop::Gone)?;
            (vec![transfer.recent_reversals.as_slice(), &flow.recent_refunds], transfer.amount_reversed)
        }
        _ => {
            let latest = flow.charge.as_ref().filter(|charge| charge.attempt == id.slot && charge.captured);
            (vec![flow.recent_refunds.as_slice()], latest.map_or(0, |charge| charge.amount_refunded))
        }
    };
    let found = newest_children(view, id.birth, &newest, |key, record| {
        let payment = || key.id(ObjectKind::PaymentRefund, id.slot);
        match (id.kind, record) {
            (ObjectKind::Payment, Record::Refund(refund)) => {
                let part = refund.reversals.iter().find(|part| part.transfer == id.slot)?;
                Some(refund::render_payment(view, &payment(), ToTree).map(|object| (part.amount, object)))
            }
            (ObjectKind::Payment, Record::Reversal(reversal)) if reversal.part.transfer == id.slot => {
                Some(refund::render_payment(view, &payment(), ToTree).map(|object| (reversal.part.amount, object)))
            }
            (ObjectKind::Charge, Record::Refund(refund)) if refund.charge_attempt == id.slot => {
                let card = key.id(ObjectKind::Refund, Slot::MAIN);
                let counted = if refund.counts() { refund.amount } else { 0 };
                Some(refund::render_card(view, &card, ToTree).map(|object| (counted, object)))
            }
            _ => None,
        }
    })?;
    let shown: i64 = found.iter().map(|(amount, _)| amount).sum();
    let items = found.into_iter().map(|(_, object)| object).collect();
    Ok(list::page_tree(items, shown < all, &url))
}
