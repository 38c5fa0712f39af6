//! `/v1/balance`.

use super::super::error::ApiError;
use super::super::expansion::BALANCE;
use super::super::render::balance;
use super::super::request::Call;
use super::super::respond::Done;
use super::super::view::{Stage, render as painted};
use super::{Answered, expansion};

/// GET /v1/balance
pub async fn retrieve(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &BALANCE)?;
    fields.finish()?;
    let account = call.acting;
    let (books, now) = call.platform().books(account).await;
    let mut stage = Stage::at(now);
    // What an instant payout costs is asked for only where its net amounts are.
    let net_of = match expand.inside("instant_available").wants("net_available") {
        true => Some(call.platform().tables().await.ok_or_else(ApiError::internal)?.instant_ppm()),
        false => None,
    };
    let balance = painted(call.platform(), call.secrets(), &mut stage, |view| {
        Ok(balance::of(view, &books, account, view.account(account)?, now.day(), net_of))
    });
    Done::of(&balance.await?.ok_or_else(ApiError::internal)?)
}
