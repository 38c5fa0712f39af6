//! `/v1/exchange_rates`: what Florin converts by today, before its conversion fee.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::error::{ApiError, Place};
use super::super::expand::Shape;
use super::super::expansion::PLAIN;
use super::super::paging::Cursor;
use super::super::render::list;
use super::super::request::Call;
use super::super::respond::Done;
use super::{Answered, expansion, paging};
use crate::engine::platform::RatesInForce;
use crate::primitives::currency::Currency;

static SHAPE: &Shape = &PLAIN;

/// `exchange_rate`: from the currency of its id.
#[derive(Serialize)]
struct ExchangeRate {
    id: &'static str,
    object: &'static str,
    rates: BTreeMap<&'static str, f64>,
}

fn of(rates: &RatesInForce, from: Currency) -> Option<ExchangeRate> {
    let to = |to: Currency| {
        let rate = rates.from_to(from, to)?;
        // Printed and read again: the nearest float, whatever the decimals.
        Some((to.code(), rate.to_string().parse().ok()?))
    };
    let found: BTreeMap<&'static str, f64> = rates.currencies().into_iter().filter_map(to).collect();
    (!found.is_empty()).then(|| ExchangeRate { id: from.code(), object: "exchange_rate", rates: found })
}

async fn in_force(call: &Call) -> Result<RatesInForce, ApiError> {
    call.platform().rates().await.ok_or_else(ApiError::internal)
}

/// GET /v1/exchange_rates/{rate_id}
pub async fn retrieve(call: Call) -> Answered {
    let fields = call.fields();
    expansion(&fields, SHAPE)?;
    fields.finish()?;
    let text = call.path_text(0);
    let gone = || ApiError::no_such("exchange rate", text, "rate_id", Place::Path);
    let currency: Currency = text.parse().map_err(|_| gone())?;
    Done::of(&of(&in_force(&call).await?, currency).ok_or_else(gone)?)
}

/// GET /v1/exchange_rates
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, _) = paging(&fields, SHAPE)?;
    fields.finish()?;
    let rates = in_force(&call).await?;
    let all: Vec<Currency> = rates.currencies();
    let place = match page.cursor.id() {
        None => None,
        Some(text) => {
            let place = text.parse().ok().and_then(|wanted: Currency| all.iter().position(|have| *have == wanted));
            Some(place.ok_or_else(|| page.cursor.no_such("exchange rate"))?)
        }
    };
    let (start, end, has_more) = match (&page.cursor, place) {
        (Cursor::EndingBefore(_), Some(place)) => {
            let start = place.saturating_sub(page.limit);
            (start, place, start > 0)
        }
        (_, place) => {
            let start = place.map_or(0, |place| place + 1);
            let end = (start + page.limit).min(all.len());
            (start, end, end < all.len())
        }
    };
    let mut items = Vec::with_capacity(end.saturating_sub(start));
    for currency in &all[start.min(end)..end] {
        if let Some(rate) = of(&rates, *currency) {
            items.push(serde_json::to_vec(&rate).map_err(|_| ApiError::internal())?);
        }
    }
    Ok(Done::json(list::page(&items, has_more, "/v1/exchange_rates")))
}
