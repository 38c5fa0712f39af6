//! `/florin/split_rules`: Florin's own.

use super::super::error::{ApiError, Place};
use super::super::expansion::PLAIN;
use super::super::fields::Fields;
use super::super::list::{self, RULES};
use super::super::paging::Range;
use super::super::request::Call;
use super::super::respond;
use super::super::texts::Texts;
use super::super::view::Stage;
use super::{Answered, amount, expansion, paging, platform_only, retrieve as read};
use crate::domain::command::Command;
use crate::domain::record::{RecordKey, Share, ShareTerms, Slot, Tier};
use crate::ledger::AccountNo;
use crate::primitives::exchange::Decimal;
use crate::primitives::id::ObjectKind;

/// How a share that is the platform's own may name its account; leaving the account out says the same.
const PLATFORM: &str = "platform";
const NAME_CHARS_MAX: usize = 100;

/// Percent with up to four decimals, as millionths.
fn percent(fields: &Fields<'_>, name: &'static str) -> Result<Option<u32>, ApiError> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    let refuse = || {
        ApiError::invalid(
            fields.name_of(name),
            "Invalid percentage: give a number from 0 to 100 with at most 4 decimals.",
        )
    };
    let percent: Decimal = text.parse().map_err(|_| refuse())?;
    let ppm = (percent * Decimal::from(10_000)).normalize();
    if ppm.scale() > 0 || ppm.is_sign_negative() || percent > Decimal::from(100) {
        return Err(refuse());
    }
    u32::try_from(ppm.mantissa()).map(Some).map_err(|_| refuse())
}

fn tier(fields: &Fields<'_>) -> Result<Tier, ApiError> {
    let ppm = percent(fields, "percent")?.ok_or_else(|| ApiError::missing(fields.name_of("percent")))?;
    // As elsewhere, `inf` ends the last tier; leaving the bound out does too.
    let up_to = if fields.text("up_to")? == Some("inf") { None } else { fields.integer("up_to")? };
    Ok(Tier { up_to, ppm })
}

fn share(call: &Call, fields: &Fields<'_>) -> Result<Share, ApiError> {
    let account = match fields.text("account")? {
        None | Some(PLATFORM) => AccountNo::PLATFORM,
        Some(text) => call.body_account(text, "account", &fields.name_of("account")),
    };
    fields.at_most_one(&["percent", "amount", "tiers", "remainder"])?;
    let weight = fields.integer_within("weight", 1, 1_000_000)?.and_then(|weight| u32::try_from(weight).ok());
    let terms = if let Some(ppm) = percent(fields, "percent")? {
        ShareTerms::Percent(ppm)
    } else if let Some(amount) = amount(fields, "amount")? {
        ShareTerms::Fixed(amount)
    } else if let Some(tiers) = fields.hashes("tiers")? {
        ShareTerms::Tiers(tiers.iter().map(tier).collect::<Result<_, _>>()?)
    } else if fields.boolean("remainder")? == Some(true) || weight.is_some() {
        return Ok(Share { account, terms: ShareTerms::Remainder(weight.unwrap_or(1)) });
    } else {
        let message =
            "A share needs terms: give `percent`, `amount`, `tiers`, or `remainder` with an optional `weight`.";
        return Err(ApiError::invalid(fields.name_of("percent"), message).with_code("parameter_missing"));
    };
    if weight.is_some() {
        let message = "Only shares of the remainder have a weight.";
        return Err(ApiError::invalid(fields.name_of("weight"), message));
    }
    Ok(Share { account, terms })
}

/// POST /florin/split_rules
pub async fn create(call: Call) -> Answered {
    platform_only(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &PLAIN)?;
    let name = fields.or_defer("name", fields.text_up_to("name", NAME_CHARS_MAX)?, "").to_owned();
    let shares = fields.or_defer("shares", fields.hashes("shares")?, Vec::new());
    let weightless = |hash: &&Fields<'_>| hash.is_given("remainder") && !hash.is_given("weight");
    let sharing = |hash: &&Fields<'_>| hash.is_given("remainder") || hash.is_given("weight");
    if shares.iter().filter(sharing).count() > 1 && shares.iter().any(|hash| weightless(&hash)) {
        let message =
            "Several shares of the remainder need a `weight` each: without one, one share takes all that is left.";
        return Err(ApiError::invalid("shares", message));
    }
    let shares = shares.iter().map(|hash| share(&call, hash)).collect::<Result<_, _>>()?;
    let mut texts = Texts::default();
    texts.text(&fields, "description")?;
    texts.metadata(&fields)?;
    fields.finish()?;
    respond::submit(&call, Command::CreateSplitRule { name, shares }, texts.into_patch(), &expand).await
}

/// GET /florin/split_rules/{rule}: by id or by name.
pub async fn retrieve(call: Call) -> Answered {
    let text = call.path_text(0);
    let id = match call.id_of(text, &[ObjectKind::Split]) {
        Some(id) => id,
        None => match call.platform().split_rule(text).await {
            Some(birth) => RecordKey::head(birth).id(ObjectKind::Split, Slot::MAIN),
            None => return Err(ApiError::no_such("split rule", text, "split_rule", Place::Path)),
        },
    };
    read(&call, id, &PLAIN, "split rule", "split_rule").await
}

/// GET /florin/split_rules
pub async fn index(call: Call) -> Answered {
    platform_only(&call)?;
    let fields = call.fields();
    let (page, expand) = paging(&fields, &PLAIN)?;
    let created = Range::parse(&fields, "created")?;
    fields.finish()?;
    let mut stage = Stage::default();
    let ids = list::walk(&call, RULES, &page, &created, &mut stage, |_, _| Ok(true)).await?;
    list::respond(&call, ids, &mut stage, &expand, "/florin/split_rules").await
}
