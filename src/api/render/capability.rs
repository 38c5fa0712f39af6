//! `capability`.

use serde::Serialize;

use super::super::view::{Id, Stop, View};
use super::account::status;
use super::requirements::{self, Requirements};
use super::{Rendered, Sink};
use crate::domain::capability::capability_name;
use crate::domain::record::AccountRecord;
use crate::ledger::AccountNo;
use crate::primitives::id::ObjectId;

/// `capability`.
#[derive(Serialize)]
pub struct Capability<'a> {
    id: &'a str,
    object: &'static str,
    account: Id,
    future_requirements: Requirements,
    requested: bool,
    requested_at: Option<i64>,
    requirements: Requirements,
    status: &'static str,
}

/// One capability of an account; one that was never requested is unrequested.
pub fn of<'a>(view: &View<'_>, no: AccountNo, account: &'a AccountRecord, name: &'a str) -> Capability<'a> {
    let found = account.capabilities.iter().find(|capability| capability.name == name);
    Capability {
        id: name,
        object: "capability",
        account: view.account_id(no),
        future_requirements: requirements::nothing(),
        requested: found.is_some(),
        requested_at: found.map(|capability| capability.requested_at.seconds()),
        requirements: match found {
            Some(capability) => requirements::capability(view, no, account, capability),
            None => requirements::nothing(),
        },
        status: found.map_or("unrequested", |capability| status(capability.status)),
    }
}

/// The capability that an event is about.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let no = AccountNo(id.birth);
    let account = view.account(no)?;
    let name = capability_name(id).ok_or(Stop::Gone)?;
    sink.put(&of(view, no, account, name))
}
