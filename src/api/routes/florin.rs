//! `/florin/…`: what goes beyond the compatible API.

use serde::Serialize;

use super::super::error::ApiError;
use super::super::expand::Expand;
use super::super::expansion::{ADJUSTMENT, PLAIN};
use super::super::fields::Fields;
use super::super::list::{self, ADJUSTMENTS};
use super::super::paging::Range;
use super::super::request::Call;
use super::super::respond::{self, Done};
use super::super::texts::Texts;
use super::super::view::Stage;
use super::{Answered, currency, expansion, paging, platform_only, retrieve as read};
use crate::domain::command::Command;
use crate::ledger::{Bucket, House, Leg, Posting};
use crate::primitives::id::ObjectKind;
use crate::primitives::money::{MAX_MINOR, Money};
use crate::primitives::time::{Day, Timestamp};

#[derive(Serialize)]
struct Row {
    account: String,
    amount: i128,
    currency: &'static str,
}

#[derive(Serialize)]
struct Sum {
    amount: i128,
    currency: &'static str,
}

#[derive(Serialize)]
struct Balances {
    object: &'static str,
    balanced: bool,
    livemode: bool,
    rows: Vec<Row>,
    sequence: u64,
    sums: Vec<Sum>,
}

/// GET /florin/trial_balance
pub async fn trial_balance(call: Call) -> Answered {
    platform_only(&call)?;
    let fields = call.fields();
    expansion(&fields, &PLAIN)?;
    fields.finish()?;
    let (balance, sequence) = call.platform().trial_balance().await;
    Done::of(&Balances {
        object: "florin.trial_balance",
        balanced: balance.is_zero(),
        livemode: false,
        rows: balance
            .rows()
            .map(|(account, currency, amount)| Row { account: account.to_owned(), amount, currency: currency.code() })
            .collect(),
        sequence,
        sums: balance.sums().into_iter().map(|(currency, amount)| Sum { amount, currency: currency.code() }).collect(),
    })
}

/// A bucket: `available`, or `pending:2026-10-30`.
fn bucket(fields: &Fields<'_>) -> Result<Bucket, ApiError> {
    let Some(text) = fields.text("bucket")? else { return Ok(Bucket::Available) };
    let refuse = || {
        let message = "Invalid bucket: give available, or pending with its day, such as pending:2026-10-30.";
        ApiError::invalid(fields.name_of("bucket"), message)
    };
    match text.split_once(':') {
        None if text == "available" => Ok(Bucket::Available),
        Some(("pending", day)) => day.parse::<Day>().map(Bucket::Pending).map_err(|_| refuse()),
        _ => Err(refuse()),
    }
}

fn posting(call: &Call, fields: &Fields<'_>) -> Result<Posting, ApiError> {
    let account = fields.required_text("account")?;
    let leg = if account == "platform" {
        Leg::account(crate::ledger::AccountNo::PLATFORM, bucket(fields)?)
    } else if account.starts_with("acct_") {
        Leg::account(call.body_account(account, "account", &fields.name_of("account")), bucket(fields)?)
    } else {
        let house: House = account.parse().map_err(|error: crate::ledger::LegError| {
            ApiError::invalid(fields.name_of("account"), error.to_string())
        })?;
        Leg::House(house)
    };
    let amount = fields
        .integer_within("amount", -MAX_MINOR, MAX_MINOR)?
        .ok_or_else(|| ApiError::missing(fields.name_of("amount")))?;
    let currency = currency(fields, "currency")?.ok_or_else(|| ApiError::missing(fields.name_of("currency")))?;
    Ok(Posting::credit(leg, Money::new(amount, currency)))
}

/// POST /florin/adjustments
pub async fn adjust(call: Call) -> Answered {
    platform_only(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &ADJUSTMENT)?;
    let repairs = fields.or_defer("repairs", fields.integer("repairs")?, 1);
    let repairs = u64::try_from(repairs).map_err(|_| ApiError::integer_below("repairs", 1))?;
    let hashes = fields.or_defer("postings", fields.hashes("postings")?, Vec::new());
    let postings = hashes.iter().map(|hash| posting(&call, hash)).collect::<Result<_, _>>()?;
    let mut texts = Texts::default();
    for name in ["reason", "author"] {
        texts.set(name, fields.or_defer(name, fields.text(name)?, ""));
    }
    fields.finish()?;
    respond::submit(&call, Command::Adjust { repairs, postings }, texts.into_patch(), &expand).await
}

/// GET /florin/adjustments/{adjustment}
pub async fn adjustment(call: Call) -> Answered {
    let id = call.path_id(0, &[ObjectKind::Adjustment], "adjustment", "id")?;
    read(&call, id, &ADJUSTMENT, "adjustment", "id").await
}

/// GET /florin/adjustments
pub async fn adjustments(call: Call) -> Answered {
    platform_only(&call)?;
    let fields = call.fields();
    let (page, expand) = paging(&fields, &ADJUSTMENT)?;
    let created = Range::parse(&fields, "created")?;
    fields.finish()?;
    let mut stage = Stage::default();
    let ids = list::walk(&call, ADJUSTMENTS, &page, &created, &mut stage, |_, _| Ok(true)).await?;
    list::respond(&call, ids, &mut stage, &expand, "/florin/adjustments").await
}

#[derive(Serialize)]
struct Clock {
    object: &'static str,
    livemode: bool,
    now: i64,
}

/// POST /florin/clock/advance
pub async fn advance(call: Call) -> Answered {
    platform_only(&call)?;
    let fields = call.fields();
    expansion(&fields, &PLAIN)?;
    fields.at_most_one(&["seconds", "to"])?;
    let now = call.platform().now().await;
    let to = match (fields.integer("seconds")?, fields.integer("to")?) {
        (Some(seconds), _) if seconds < 0 => return Err(ApiError::integer_below("seconds", 0)),
        (Some(seconds), _) => now.plus_seconds(seconds),
        (None, Some(to)) => {
            let to = Timestamp::from_seconds(to);
            if to.seconds() < now.seconds() {
                let message = format!("A clock never goes back: it is {} now. Give a later time.", now.seconds());
                call.timely.put(ApiError::invalid("to", message));
            }
            Some(to)
        }
        (None, None) => fields.or_defer("seconds", None, Some(now)),
    };
    let to = to.ok_or_else(|| ApiError::invalid("seconds", "That is further than a clock can go."))?;
    fields.finish()?;
    let answer = respond::decided(&call, Command::AdvanceClock { to }, Default::default()).await?;
    // A replay says where that advance ended, and not where a later one did.
    let entry = call.platform().entry(answer.seq).await.ok_or_else(ApiError::internal)?;
    let done = respond::of_answer(&call, answer, &Expand::default()).await?;
    match entry.command {
        Command::AdvanceClock { to } if done.status == 200 => {
            let clock = Done::of(&Clock { object: "florin.clock", livemode: false, now: to.seconds() })?;
            Ok(Done { body: clock.body, ..done })
        }
        _ => Ok(done),
    }
}
