//! `/v1/balance`.

use super::super::error::ApiError;
use super::super::expansion::PLAIN;
use super::super::render::balance;
use super::super::request::Call;
use super::super::respond::Done;
use super::super::view::{Stage, render as painted};
use super::{Answered, expansion};

/// GET /v1/balance
pub async fn retrieve(call: Call) -> Answered {
    let fields = call.fields();
    expansion(&fields, &PLAIN)?;
    fields.finish()?;
    let account = call.acting;
    let (books, now) = call.platform().books(account).await;
    let mut stage = Stage::at(now);
    let currency =
        painted(call.platform(), call.secrets(), &mut stage, |view| Ok(view.account(account)?.default_currency));
    let currency = currency.await?.ok_or_else(ApiError::internal)?;
    Done::of(&balance::of(&books, currency, now.day(), account.is_platform()))
}
