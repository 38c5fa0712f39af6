//! `requirements`, of accounts, capabilities, persons and bank accounts.

use serde::Serialize;

use super::super::view::View;
use crate::domain::facts::{Field, Finding};
use crate::domain::person::person_id;
use crate::domain::record::{AccountRecord, BusinessType, Capability, ExternalAccount};
use crate::domain::requirements::{
    Ask, Need, Stage, capability_disabled_reason, disabled_reason as of_account, need_of,
};
use crate::ledger::AccountNo;

/// `requirements` of an account or a capability.
#[derive(Serialize)]
pub struct Requirements {
    alternatives: Vec<Alternative>,
    current_deadline: Option<i64>,
    currently_due: Vec<String>,
    disabled_reason: Option<String>,
    errors: Vec<Error>,
    eventually_due: Vec<String>,
    past_due: Vec<String>,
    pending_verification: Vec<String>,
}

/// `requirements` of a person: without a reason and a deadline.
#[derive(Default, Serialize)]
pub struct PersonRequirements {
    alternatives: Vec<Alternative>,
    currently_due: Vec<String>,
    errors: Vec<Error>,
    eventually_due: Vec<String>,
    past_due: Vec<String>,
    pending_verification: Vec<String>,
}

/// `requirements` of a bank account.
#[derive(Default, Serialize)]
pub struct BankRequirements {
    currently_due: Vec<&'static str>,
    errors: Vec<Error>,
    past_due: Vec<&'static str>,
    pending_verification: Vec<&'static str>,
}

#[derive(Serialize)]
struct Alternative {
    alternative_fields_due: Vec<String>,
    original_fields_due: Vec<String>,
}

/// What was wrong with a value.
#[derive(Serialize)]
struct Error {
    code: &'static str,
    reason: &'static str,
    requirement: String,
}

/// Where asks of somebody lie: what stands before the paths of a person's fields.
enum Named {
    /// In the account's lists: `individual.`, `representative.` or `person_….`.
    InAccount(AccountNo, Option<BusinessType>),
    /// In the person's own: nothing.
    InPerson,
}

impl Named {
    fn paths(&self, view: &View<'_>, ask: &Ask) -> Vec<String> {
        let prefix = match *self {
            Named::InPerson => String::new(),
            Named::InAccount(no, _) if ask.person != 0 => format!("{}.", view.id(&person_id(no, ask.person)).as_str()),
            Named::InAccount(..) if !ask.field.is_personal() => String::new(),
            Named::InAccount(_, None) => "representative.".to_owned(),
            Named::InAccount(_, Some(BusinessType::Individual)) => "individual.".to_owned(),
            Named::InAccount(_, Some(_)) => String::new(),
        };
        ask.field.paths().into_iter().map(|path| format!("{prefix}{path}")).collect()
    }
}

/// Asks as lists: past due is due now, and what is due now is due some day.
fn lists<'a>(view: &View<'_>, named: &Named, asks: impl Iterator<Item = &'a Ask> + Clone) -> PersonRequirements {
    let of = |stages: &[Stage]| {
        let chosen = asks.clone().filter(|ask| stages.contains(&ask.stage));
        let mut paths: Vec<String> = chosen.flat_map(|ask| named.paths(view, ask)).collect();
        paths.sort_unstable();
        paths
    };
    let mut errors = Vec::new();
    for ask in asks.clone() {
        let error = ask.wrong.and_then(Finding::error);
        if let (Some((code, reason)), Some(requirement)) = (error, named.paths(view, ask).into_iter().next()) {
            errors.push(Error { code, reason, requirement });
        }
    }
    let alternatives = asks.clone().filter(|ask| ask.field == Field::Url && ask.wrong.is_none());
    PersonRequirements {
        alternatives: alternatives
            .map(|ask| Alternative {
                alternative_fields_due: vec![Field::Description.path().to_owned()],
                original_fields_due: vec![ask.field.path().to_owned()],
            })
            .collect(),
        currently_due: of(&[Stage::Current, Stage::Past]),
        errors,
        eventually_due: of(&[Stage::Eventual, Stage::Current, Stage::Past]),
        past_due: of(&[Stage::Past]),
        pending_verification: of(&[Stage::Pending]),
    }
}

fn needed(view: &View<'_>, no: AccountNo, account: &AccountRecord, by: u8, reason: Option<String>) -> Requirements {
    let asks = account.asks.iter().filter(move |ask| ask.by & by != 0);
    let is_graced = asks.clone().any(|ask| ask.stage == Stage::Current);
    let of = lists(view, &Named::InAccount(no, account.business_type), asks);
    Requirements {
        alternatives: of.alternatives,
        current_deadline: account.deadline.filter(|_| is_graced).map(|at| at.seconds()),
        currently_due: of.currently_due,
        disabled_reason: reason,
        errors: of.errors,
        eventually_due: of.eventually_due,
        past_due: of.past_due,
        pending_verification: of.pending_verification,
    }
}

/// What an account still owes.
pub fn account(view: &View<'_>, no: AccountNo, account: &AccountRecord) -> Requirements {
    needed(view, no, account, Need::ALL, of_account(account))
}

/// What one of its capabilities waits for.
pub fn capability(view: &View<'_>, no: AccountNo, account: &AccountRecord, capability: &Capability) -> Requirements {
    let reason = capability_disabled_reason(account, capability).map(str::to_owned);
    needed(view, no, account, need_of(&capability.name), reason)
}

/// Nothing.
pub fn nothing() -> Requirements {
    let none = PersonRequirements::default();
    Requirements {
        alternatives: none.alternatives,
        current_deadline: None,
        currently_due: none.currently_due,
        disabled_reason: None,
        errors: none.errors,
        eventually_due: none.eventually_due,
        past_due: none.past_due,
        pending_verification: none.pending_verification,
    }
}

/// What a person still owes.
pub fn person(view: &View<'_>, account: &AccountRecord, child: u32) -> PersonRequirements {
    let asks = account.asks.iter().filter(move |ask| ask.person == child && ask.field.is_personal());
    lists(view, &Named::InPerson, asks)
}

/// What a bank account still owes.
pub fn bank(external: &ExternalAccount) -> BankRequirements {
    let path = Field::BankOwnership.path();
    let error =
        |finding: Finding| finding.error().map(|(code, reason)| Error { code, reason, requirement: path.to_owned() });
    match external.check {
        Some(Finding::Pending) => BankRequirements { pending_verification: vec![path], ..BankRequirements::default() },
        Some(finding @ Finding::OwnershipUnproven) => BankRequirements {
            currently_due: vec![path],
            errors: error(finding).into_iter().collect(),
            past_due: vec![path],
            pending_verification: Vec::new(),
        },
        _ => BankRequirements::default(),
    }
}
