//! Charge models (section 5): for whom a charge settles, and who pays and bears what.
//!
//! A charge on a connected account is direct; one on the platform sends its money to a destination at once, or later by
//! transfers. `on_behalf_of` makes another account the settlement merchant without moving the charge.

use super::account;
use super::decide::{Context, Facts, Halt, Refusal};
use super::record::{AccountRecord, FeesPayer, FlowRecord, Record, RecordKey, Split};
use super::seal::Texts;
use crate::ledger::AccountNo;
use crate::primitives::currency::Currency;
use crate::primitives::money::Money;

/// Characters of a statement descriptor.
const DESCRIPTOR_CHARS_MAX: usize = 22;

/// How a charge stands between a platform and its accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// On the connected account itself.
    Direct,
    /// On the platform, sent on when it is captured: to one destination, or by a split rule.
    Destination,
    /// On the platform, which keeps it; transfers may follow.
    Separate,
}

/// The model of a payment.
pub fn model(flow: &FlowRecord) -> Model {
    if !flow.owner.is_platform() {
        return Model::Direct;
    }
    match flow.intent.as_ref().map(|intent| &intent.split) {
        Some(Split::Destination { .. } | Split::DestinationAmount { .. } | Split::Rule(_)) => Model::Destination,
        Some(Split::Keep | Split::Direct(_)) | None => Model::Separate,
    }
}

/// The account whose country, currencies, delay and statement descriptor a charge settles by.
pub fn settlement_merchant(flow: &FlowRecord) -> AccountNo {
    flow.intent.as_ref().and_then(|intent| intent.on_behalf_of).unwrap_or(flow.owner)
}

/// Who covers a balance that stays below zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Losses {
    /// The platform.
    Platform,
    /// The operator (`controller.losses.payments` = stripe).
    Operator,
}

/// Whose balances a charge's costs come out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bearers {
    /// The processing fee, and the conversion fee of the charge.
    pub processing_fee: AccountNo,
    /// What goes back to the payer by a refund.
    pub refund: AccountNo,
    /// The amount of a dispute.
    pub dispute: AccountNo,
    /// The fee for a dispute.
    pub dispute_fee: AccountNo,
    /// In the end, what these leave below zero.
    pub losses: Losses,
}

/// Who bears what of a payment (tables 5.1 and 5.7). `owner` is the record of `flow.owner`.
pub fn who_bears(flow: &FlowRecord, owner: &AccountRecord) -> Bearers {
    let fees = match (model(flow), owner.controller.fees) {
        // The values of legacy types say that the account pays (section 3.1).
        (Model::Direct, FeesPayer::Account | FeesPayer::ApplicationCustom | FeesPayer::ApplicationExpress) => {
            flow.owner
        }
        (Model::Direct, FeesPayer::Application) | (Model::Destination | Model::Separate, _) => AccountNo::PLATFORM,
    };
    let of_platform = flow.owner.is_platform() || owner.controller.losses_application;
    Bearers {
        processing_fee: fees,
        refund: flow.owner,
        dispute: flow.owner,
        dispute_fee: fees,
        losses: if of_platform { Losses::Platform } else { Losses::Operator },
    }
}

// ---------------------------------------------------------------------------------------------------------------
// May it

/// A settlement merchant must be allowed to charge cards.
///
/// # Errors
/// 400 without an active `card_payments` (or `legacy_payments`), or where the platform rejected the account.
pub fn must_charge(ctx: &Context<'_>, no: AccountNo, record: &AccountRecord) -> Result<(), Halt> {
    if record.rejected.is_none() && CHARGING.iter().any(|name| record.is_active(name)) {
        return Ok(());
    }
    let message = format!(
        "Your account cannot currently make charges. The settlement merchant {} needs the `card_payments` capability to \
         be active: request it, and look at the account's `requirements` for what is missing.",
        ctx.ids.encode(&account::account_id(no))
    );
    Err(Refusal::new(message).into())
}

/// The account that `on_behalf_of` names: connected, and allowed to charge cards.
///
/// # Errors
/// 400; a missing fact.
pub fn may_settle(facts: &dyn Facts, ctx: &Context<'_>, no: AccountNo) -> Result<(), Halt> {
    let found = if no.is_platform() { None } else { facts.record(RecordKey::head(no.0))? };
    match found.as_deref() {
        Some(Record::Account(record)) if !record.deleted => must_charge(ctx, no, record),
        _ => {
            let message = format!("No such account: '{}'", ctx.ids.encode(&account::account_id(no)));
            Err(Refusal::new(message).code("resource_missing").param("on_behalf_of").into())
        }
    }
}

/// Any one of these lets an account be charged for.
const CHARGING: [&str; 2] = ["card_payments", "legacy_payments"];

/// What a charge of this flow needs of its parties at the moment when it is made: the settlement merchant may charge,
/// the destination may receive.
///
/// # Errors
/// 400 where a capability is missing; a missing fact.
pub fn check_parties(facts: &dyn Facts, ctx: &Context<'_>, flow: &FlowRecord) -> Result<(), Halt> {
    let merchant = settlement_merchant(flow);
    if !merchant.is_platform() {
        let record = account::load(facts, merchant)?;
        must_charge(ctx, merchant, account::of(&record)?)?;
    }
    match flow.intent.as_ref().map(|intent| &intent.split) {
        Some(Split::Destination { account, .. } | Split::DestinationAmount { account, .. }) => {
            account::receives(facts, ctx, *account, "transfer_data[destination]").map(|_| ())
        }
        Some(Split::Keep | Split::Rule(_) | Split::Direct(_)) | None => Ok(()),
    }
}

/// The currency in which the platform gets the application fee of a charge that settles for `merchant`: that of
/// presentment where its balance can hold it, else its default one (section 10.5).
pub fn earned_currency(
    flow: &FlowRecord,
    platform: &AccountRecord,
    presentment: Currency,
    settled: Currency,
) -> Currency {
    // On behalf of an account the charge itself brought the settlement currency onto the platform's balance.
    let holds = account::settles(platform, presentment) || (flow.owner.is_platform() && presentment == settled);
    if holds { presentment } else { platform.default_currency }
}

// ---------------------------------------------------------------------------------------------------------------
// What the payer's statement says

/// Where the merchant's own words lie among a payment's texts, from the moment of its charge.
pub const CALCULATED_DESCRIPTOR: &str = "pi.calculated_statement_descriptor";

/// What the statement shows where the payment does not say it itself: the settlement merchant's descriptor, or its
/// prefix with the payment's suffix. `own`: the texts of the merchant's account.
pub fn statement_descriptor(own: &Texts, suffix: Option<&str>) -> Option<String> {
    let descriptor = own.get("settings[payments][statement_descriptor]");
    let prefix = own.get("settings[card_payments][statement_descriptor_prefix]");
    let text = match (prefix.or(descriptor), suffix) {
        (Some(prefix), Some(suffix)) => format!("{prefix}* {suffix}"),
        (None, Some(suffix)) => suffix.to_owned(),
        (prefix, None) => descriptor.or(prefix)?.to_owned(),
    };
    Some(text.chars().take(DESCRIPTOR_CHARS_MAX).collect())
}

// ---------------------------------------------------------------------------------------------------------------
// Words

/// A least amount as the API speaks it: `50 cents`, `30 pence`, else with its code.
pub fn spoken(money: Money) -> String {
    const CENTS: [Currency; 3] = [Currency::USD, Currency::EUR, Currency::CAD];
    match money.currency() {
        currency if CENTS.contains(&currency) => format!("{} cents", money.minor()),
        Currency::GBP => format!("{} pence", money.minor()),
        _ => money.display_major(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: &[(&str, &str)]) -> Texts {
        Texts(words.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect())
    }

    #[test]
    fn the_statement_speaks_for_the_merchant() {
        let descriptor = ("settings[payments][statement_descriptor]", "JENNYS CHAIRS");
        let prefix = ("settings[card_payments][statement_descriptor_prefix]", "JENNY");
        // The merchant's words, the payment's suffix, what the statement says.
        type Line<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>, Option<&'a str>);
        let table: [Line<'_>; 7] = [
            (&[], None, None),
            (&[], Some("ORDER 7"), Some("ORDER 7")),
            (&[descriptor], None, Some("JENNYS CHAIRS")),
            (&[prefix], None, Some("JENNY")),
            (&[descriptor, prefix], None, Some("JENNYS CHAIRS")),
            (&[descriptor, prefix], Some("ORDER 7"), Some("JENNY* ORDER 7")),
            // At most 22 characters.
            (&[descriptor], Some("ORDER 7777"), Some("JENNYS CHAIRS* ORDER 7")),
        ];
        for (own, suffix, says) in table {
            assert_eq!(statement_descriptor(&texts(own), suffix).as_deref(), says, "{own:?} {suffix:?}");
        }
    }

    #[test]
    fn least_amounts_are_spoken_as_people_do() {
        let chf: Currency = Currency::CHF;
        for (money, words) in [
            (Money::new(50, Currency::USD), "50 cents"),
            (Money::new(30, Currency::GBP), "30 pence"),
            (Money::new(50, Currency::JPY), "50 jpy"),
            (Money::new(50, chf), "0.50 chf"),
        ] {
            assert_eq!(spoken(money), words);
        }
    }
}
