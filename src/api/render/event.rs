//! `event`: a function of its own journal entry. The snapshot is rendered from the entry's after-images, what changed
//! from its before-images, and what it names beside them as the entry left it; nothing of it is stored as text.

use serde::Serialize;
use serde_json::Value;

use super::super::error::ApiError;
use super::super::secrets::Secrets;
use super::super::version::API_VERSION;
use super::super::view::{Id, Stage, Stop, account_id, render as painted};
use super::{ToTree, balance, balance_settings, object};
use crate::domain::event::{Event as Happened, EventKind};
use crate::domain::record::RecordKey;
use crate::engine::entry::{JournalEntry, decode_record};
use crate::engine::platform::Platform;
use crate::ledger::Books;
use crate::primitives::id::{ObjectId, ObjectKind};

/// `event`.
#[derive(Serialize)]
pub struct Event {
    id: Id,
    object: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Id>,
    api_version: &'static str,
    created: i64,
    data: Data,
    livemode: bool,
    pending_webhooks: u32,
    request: Request,
    r#type: &'static str,
}

#[derive(Serialize)]
struct Data {
    object: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_attributes: Option<Value>,
}

#[derive(Serialize)]
struct Request {
    id: Option<String>,
    idempotency_key: Option<String>,
}

/// The id of event number `ordinal` of an entry.
pub fn id(seq: u64, ordinal: u16) -> ObjectId {
    RecordKey::head(seq).id(ObjectKind::Event, ordinal)
}

/// Only changes tell what was before.
fn tells_before(kind: EventKind) -> bool {
    kind.wire().ends_with(".updated")
}

/// What is gone afterwards shows as it was.
fn shows_before(kind: EventKind) -> bool {
    kind.wire().ends_with(".deleted")
}

/// Records after the entry, and before it where it says so. What the entry did not change was the same before.
fn stages(seq: u64, entry: &JournalEntry) -> Result<(Stage, Option<Stage>), ApiError> {
    let broken = |_| ApiError::internal();
    let stage = || Stage::after(seq, entry.now, Vec::new());
    let (mut after, mut before, mut has_before) = (stage(), stage(), false);
    for change in &entry.changes {
        let record = change.record().map_err(broken)?;
        let earlier = match &change.before {
            Some(bytes) => {
                has_before = true;
                decode_record(bytes).map_err(broken)?
            }
            None => record.clone(),
        };
        after.put(change.key, Some(record));
        before.put(change.key, Some(earlier));
    }
    Ok((after, has_before.then_some(before)))
}

/// What the earlier object had otherwise: the changed keys with their old values, hashes inside likewise.
pub fn difference(earlier: &Value, later: &Value) -> Option<Value> {
    let (Value::Object(earlier), Value::Object(later)) = (earlier, later) else {
        return (earlier != later).then(|| earlier.clone());
    };
    let mut changed = serde_json::Map::new();
    for (key, now) in later {
        let was = earlier.get(key).unwrap_or(&Value::Null);
        if let Some(old) = difference(was, now) {
            changed.insert(key.clone(), old);
        }
    }
    for (key, was) in earlier {
        if !later.contains_key(key) {
            changed.insert(key.clone(), was.clone());
        }
    }
    (!changed.is_empty()).then_some(Value::Object(changed))
}

async fn snapshot(
    platform: &Platform,
    secrets: &Secrets,
    stage: &mut Stage,
    entry: &JournalEntry,
    happened: &Happened,
    books: Option<&Books>,
) -> Result<Option<Value>, ApiError> {
    let account = happened.account;
    painted(platform, secrets, stage, |view| match books {
        Some(books) if happened.kind == EventKind::BalanceAvailable => {
            let balance = balance::of(view, books, account, view.account(account)?, entry.now.day(), None);
            serde_json::to_value(&balance).map_err(|_| Stop::from(ApiError::internal()))
        }
        _ if happened.kind == EventKind::BalanceSettingsUpdated => balance_settings::render(view, account, ToTree),
        _ => object(view, &happened.subject, ToTree),
    })
    .await
}

/// Event number `ordinal` of an entry, if there is one.
///
/// # Errors
/// An entry whose records cannot be read.
pub async fn of(
    platform: &Platform,
    secrets: &Secrets,
    seq: u64,
    entry: &JournalEntry,
    ordinal: u16,
) -> Result<Option<Event>, ApiError> {
    let Some(happened) = entry.events.get(usize::from(ordinal)) else { return Ok(None) };
    let (mut after, before) = stages(seq, entry)?;
    let books = entry.matured.as_ref().map(|matured| &matured.books);
    let mut object = snapshot(platform, secrets, &mut after, entry, happened, books).await?;
    let mut previous_attributes = None;
    if let Some(mut stage) = before
        && (tells_before(happened.kind) || shows_before(happened.kind))
    {
        let earlier = snapshot(platform, secrets, &mut stage, entry, happened, None).await?;
        if shows_before(happened.kind) {
            object = earlier.or(object);
        } else if let (Some(earlier), Some(later)) = (&earlier, &object) {
            previous_attributes = difference(earlier, later);
        }
    }
    // An account's removal leaves nothing to show but the fact.
    let object = object.unwrap_or(Value::Null);
    let ids = platform.ids();
    Ok(Some(Event {
        id: Id(ids.text(&id(seq, ordinal))),
        object: "event",
        account: (!happened.account.is_platform()).then(|| Id(ids.text(&account_id(happened.account)))),
        api_version: API_VERSION,
        created: entry.now.seconds(),
        data: Data { object, previous_attributes },
        livemode: false,
        pending_webhooks: 0,
        request: Request {
            id: (!entry.request_id.is_empty()).then(|| entry.request_id.clone()),
            idempotency_key: entry
                .request(platform.vault())
                .idempotency
                .map(|key| key.text)
                .filter(|key| !key.is_empty()),
        },
        r#type: happened.kind.wire(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_changed_keys_are_told() {
        let earlier = json!({ "a": 1, "hash": { "x": 1, "y": 2 }, "list": [1], "metadata": { "gone": "1" } });
        let later = json!({ "a": 1, "hash": { "x": 1, "y": 3 }, "list": [1, 2], "metadata": { "new": "2" } });
        let told = json!({ "hash": { "y": 2 }, "list": [1], "metadata": { "gone": "1", "new": null } });
        assert_eq!(difference(&earlier, &later), Some(told));
        assert_eq!(difference(&earlier, &earlier), None);
    }
}
