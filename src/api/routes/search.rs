//! `/v1/charges/search`, `/v1/payment_intents/search`, `/v1/customers/search`.
//!
//! There is no index of fields: a search walks the list, newest first, and matches what the objects show. So it sees
//! what a list sees, at once, and costs what it walks; a page ends where enough was looked at.

use serde_json::{Map, Value};

use super::super::error::ApiError;
use super::super::expand::{Expand, Shape};
use super::super::expansion::{self, CHARGE, CUSTOMER, PAYMENT_INTENT};
use super::super::list::{self, CHARGES, CUSTOMERS, INTENTS, Listed};
use super::super::paging::{Cursor, LIMIT_DEFAULT, LIMIT_MAX, Page};
use super::super::render::{self, ToTree};
use super::super::request::Call;
use super::super::respond::Done;
use super::super::search::{self, Query, Searched};
use super::super::view::{Stage, Stop, render as painted};
use super::Answered;
use crate::primitives::id::ObjectId;

/// Characters of a query.
const QUERY_CHARS_MAX: usize = 5_000;
/// Objects looked at in one go.
const LOOKED_AT_ONCE: usize = LIMIT_MAX;
/// Objects looked at for a page that has something on it.
const LOOKED_AT: usize = 10_000;
/// … and for one that has nothing.
const LOOKED_AT_IN_VAIN: usize = 200_000;

/// GET /v1/charges/search
pub async fn charges(call: Call) -> Answered {
    run(&call, &search::CHARGES, CHARGES, &CHARGE).await
}

/// GET /v1/payment_intents/search
pub async fn payment_intents(call: Call) -> Answered {
    run(&call, &search::PAYMENT_INTENTS, INTENTS, &PAYMENT_INTENT).await
}

/// GET /v1/customers/search
pub async fn customers(call: Call) -> Answered {
    run(&call, &search::CUSTOMERS, CUSTOMERS, &CUSTOMER).await
}

async fn run(call: &Call, searched: &Searched, listed: Listed, shape: &'static Shape) -> Answered {
    let fields = call.fields();
    let expand = Expand::parse(&fields)?;
    expand.check_list(shape)?;
    let limit = match fields.integer_within("limit", 1, LIMIT_MAX as i64)? {
        Some(limit) => usize::try_from(limit).unwrap_or(LIMIT_MAX),
        None => LIMIT_DEFAULT,
    };
    let after = fields.text("page")?;
    let query = fields.text_up_to("query", QUERY_CHARS_MAX)?;
    let query = fields.or_defer("query", query, "");
    fields.finish()?;
    let query = Query::parse(query, searched)?;
    let created = query.created();
    let cursor = match after {
        None => Cursor::None,
        Some(text) => Cursor::StartingAfter(text.to_owned()),
    };
    let mut page = Page { limit: LOOKED_AT_ONCE, cursor };
    let mut stage = Stage::default();
    let mut found: Vec<(ObjectId, Value)> = Vec::new();
    let (mut looked_at, mut last, mut ended) = (0, None, false);
    while found.len() <= limit {
        let bound = if found.is_empty() { LOOKED_AT_IN_VAIN } else { LOOKED_AT };
        if looked_at >= bound {
            break;
        }
        let ids = list::walk(call, listed, &page, &created, &mut stage, |_, _| Ok(true)).await.map_err(of_page)?;
        found.extend(matching(call, &mut stage, &ids.ids, &query).await?);
        looked_at += ids.ids.len();
        last = ids.ids.last().copied().or(last);
        if !ids.has_more {
            ended = true;
            break;
        }
        if let Some(last) = last {
            page.cursor = Cursor::StartingAfter(call.platform().ids().encode(&last));
        }
        stage.sweep();
        // A long walk lets others in.
        tokio::task::yield_now().await;
    }
    // The next page begins behind the last object shown, or behind the last one looked at.
    let more = found.len() > limit || !ended;
    if found.len() > limit {
        last = found.get(limit.saturating_sub(1)).map(|(id, _)| *id);
    }
    found.truncate(limit);
    let next = last.filter(|_| more).map(|id| call.platform().ids().encode(&id));
    let objects = expanded(call, &mut stage, found.into_iter().map(|(_, object)| object).collect(), &expand).await?;
    let mut result = Map::new();
    result.insert("object".to_owned(), Value::from("search_result"));
    result.insert("data".to_owned(), Value::Array(objects));
    result.insert("has_more".to_owned(), Value::from(more));
    result.insert("next_page".to_owned(), next.map_or(Value::Null, Value::from));
    result.insert("url".to_owned(), Value::from(call.path.as_str()));
    Done::of(&result)
}

/// A page that leads nowhere.
fn of_page(error: ApiError) -> ApiError {
    if error.param.as_deref() != Some("starting_after") {
        return error;
    }
    ApiError::invalid("page", "Invalid page: give the next_page of an earlier answer to the same search.")
}

/// Of these, the ones that a query means.
async fn matching(
    call: &Call,
    stage: &mut Stage,
    ids: &[ObjectId],
    query: &Query,
) -> Result<Vec<(ObjectId, Value)>, ApiError> {
    let found = painted(call.platform(), call.secrets(), stage, |view| {
        let (mut found, mut gap) = (Vec::new(), false);
        for id in ids {
            match render::object(view, id, ToTree) {
                Ok(object) if query.matches(&object) => found.push((*id, object)),
                Ok(_) | Err(Stop::Gone) => {}
                Err(Stop::Missing) => gap = true,
                Err(stop) => return Err(stop),
            }
        }
        if gap { Err(Stop::Missing) } else { Ok(found) }
    });
    Ok(found.await?.unwrap_or_default())
}

async fn expanded(
    call: &Call,
    stage: &mut Stage,
    objects: Vec<Value>,
    expand: &Expand,
) -> Result<Vec<Value>, ApiError> {
    let items = expand.items();
    if items.is_empty() {
        return Ok(objects);
    }
    let done = painted(call.platform(), call.secrets(), stage, |view| {
        let (mut done, mut gap) = (Vec::with_capacity(objects.len()), false);
        for object in &objects {
            let mut object = object.clone();
            match expansion::apply(view, call.acting, &mut object, items) {
                Ok(()) => done.push(object),
                Err(Stop::Missing) => gap = true,
                Err(stop) => return Err(stop),
            }
        }
        if gap { Err(Stop::Missing) } else { Ok(done) }
    });
    done.await?.ok_or_else(ApiError::internal)
}
