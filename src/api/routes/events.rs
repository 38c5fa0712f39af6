//! `/v1/events`.

use super::super::error::{ApiError, Place};
use super::super::expansion::PLAIN;
use super::super::list::{EVENTS, Walk};
use super::super::paging::{Cursor, Range};
use super::super::render::{event, list};
use super::super::request::Call;
use super::super::respond::Done;
use super::{Answered, expansion, paging};
use crate::engine::entry::JournalEntry;
use crate::primitives::id::{ObjectId, ObjectKind};

/// Types of one filter.
const TYPES_MAX: usize = 20;
/// Entries looked at in one go.
const BATCH: usize = 64;

/// An event of the account acted for. A platform sees those of its accounts by acting for them.
fn is_visible(call: &Call, entry: &JournalEntry, ordinal: u16) -> bool {
    entry.events.get(usize::from(ordinal)).is_some_and(|event| event.account == call.acting)
}

/// GET /v1/events/{event}
pub async fn retrieve(call: Call) -> Answered {
    let id = call.path_id(0, &[ObjectKind::Event], "event", "id")?;
    let fields = call.fields();
    expansion(&fields, &PLAIN)?;
    fields.finish()?;
    let gone = || ApiError::no_such("event", call.path_text(0), "id", Place::Path);
    let entry = call.platform().entry(id.birth).await.ok_or_else(gone)?;
    if !is_visible(&call, &entry, id.slot) {
        return Err(gone());
    }
    let event = event::of(call.platform(), call.secrets(), id.birth, &entry, id.slot).await?.ok_or_else(gone)?;
    Done::of(&event)
}

/// What a type filter says: a whole type, or `payout.*`.
fn matches(wanted: &str, have: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(start) => have.starts_with(start),
        None => wanted == have,
    }
}

/// GET /v1/events
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, _) = paging(&fields, &PLAIN)?;
    let created = Range::parse(&fields, "created")?;
    fields.at_most_one(&["type", "types"])?;
    let mut types: Vec<&str> = fields.texts("types")?.unwrap_or_default();
    if types.len() > TYPES_MAX {
        return Err(ApiError::invalid("types", format!("Give at most {TYPES_MAX} types.")));
    }
    types.extend(fields.text("type")?);
    fields.boolean("delivery_success")?;
    fields.finish()?;

    let cursor: Option<ObjectId> = match page.cursor.id() {
        None => None,
        Some(text) => Some(call.id_of(text, &[ObjectKind::Event]).ok_or_else(|| page.cursor.no_such("event"))?),
    };
    if let Some(cursor) = cursor {
        let entry = call.platform().entry(cursor.birth).await;
        if !entry.is_some_and(|entry| is_visible(&call, &entry, cursor.slot)) {
            return Err(page.cursor.no_such("event"));
        }
    }
    let descending = !matches!(page.cursor, Cursor::EndingBefore(_));
    let from = cursor.map(|cursor| cursor.birth);
    let mut walk = Walk::new(call.platform(), call.acting, EVENTS, from, descending, BATCH);
    let mut found = Vec::with_capacity(page.limit + 1);
    let mut last_seq = None;
    'pages: loop {
        let places = walk.next(page.limit + 2).await;
        if places.is_empty() {
            break;
        }
        for place in places {
            // Several places of an entry may say that it has events.
            if last_seq.replace(place.seq) == Some(place.seq) {
                continue;
            }
            let Some(entry) = call.platform().entry(place.seq).await else { continue };
            let at = entry.now.seconds();
            if let Some(range) = &created {
                if (descending && at < range.first) || (!descending && at > range.last) {
                    break 'pages;
                }
                if !range.contains(at) {
                    continue;
                }
            }
            let mut ordinals: Vec<u16> = (0..u16::try_from(entry.events.len()).unwrap_or(u16::MAX)).collect();
            if descending {
                ordinals.reverse();
            }
            for ordinal in ordinals {
                let Some(happened) = entry.events.get(usize::from(ordinal)) else { continue };
                let beyond = match cursor {
                    Some(cursor) if cursor.birth == place.seq => {
                        if descending {
                            ordinal < cursor.slot
                        } else {
                            ordinal > cursor.slot
                        }
                    }
                    _ => true,
                };
                let wanted = types.is_empty() || types.iter().any(|wanted| matches(wanted, happened.kind.wire()));
                if beyond && wanted && happened.account == call.acting {
                    found.push((place.seq, ordinal, entry.clone()));
                    if found.len() > page.limit {
                        break 'pages;
                    }
                }
            }
        }
    }
    let has_more = found.len() > page.limit;
    found.truncate(page.limit);
    if !descending {
        found.reverse();
    }
    let mut events = Vec::with_capacity(found.len());
    for (seq, ordinal, entry) in found {
        if let Some(event) = event::of(call.platform(), call.secrets(), seq, &entry, ordinal).await? {
            events.push(serde_json::to_vec(&event).map_err(|_| ApiError::internal())?);
        }
    }
    Ok(Done::json(list::page(&events, has_more, "/v1/events")))
}
