//! Split rules: a charge divided between sellers and the platform, to the last minor unit.

use super::command::Request;
use super::decide::{Change, Class, Context, Facts, Halt, Kinds, Outcome, Refusal, Reply};
use super::draft::Draft;
use super::record::{Record, RecordKey, Share, ShareTerms, Slot, SplitRuleRecord};
use crate::ledger::AccountNo;
use crate::primitives::id::ObjectKind;
use crate::primitives::share::largest_remainder;

const MILLION: u64 = 1_000_000;

/// Stores a named rule.
///
/// # Errors
/// A name in use, an account that is not connected, or shares that cannot add up.
pub fn create(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    name: &str,
    shares: &[Share],
) -> Result<Outcome, Halt> {
    if name.trim().is_empty() {
        return Err(Refusal::new("A split rule needs a name.").param("name").code("parameter_invalid_empty").into());
    }
    if facts.split_rule(name).is_some() {
        let message =
            format!("A split rule named '{name}' exists already. Rules are never changed: choose a new name.");
        return Err(Refusal::new(message).param("name").code("resource_already_exists").into());
    }
    check_shares(shares)?;
    let mut draft = Draft::new(facts, ctx);
    for (i, share) in shares.iter().enumerate() {
        if !share.account.is_platform() {
            super::account::connected(facts, ctx, share.account, &format!("shares[{i}][account]"))?;
        }
    }
    let key = RecordKey::head(ctx.seq);
    let mut texts = super::seal::Texts::default();
    texts.apply("", &request.texts);
    let private = draft.seal(0, &texts)?;
    let record = SplitRuleRecord { made: draft.made(), name: name.to_owned(), shares: shares.to_vec(), private };
    draft.change(Change::of(key, Record::SplitRule(record)).listed(AccountNo::PLATFORM, Class::Other, Kinds::RULE));
    Ok(draft.finish(Reply::Object(key.id(ObjectKind::Split, Slot::MAIN))))
}

fn check_shares(shares: &[Share]) -> Result<(), Halt> {
    if shares.is_empty() || shares.len() > 100 {
        return Err(Refusal::new("A split rule has 1 to 100 shares.").param("shares").into());
    }
    let mut highest_ppm: u64 = 0;
    for (i, share) in shares.iter().enumerate() {
        let param = format!("shares[{i}]");
        highest_ppm += match &share.terms {
            ShareTerms::Percent(0) | ShareTerms::Remainder(0) => {
                return Err(Refusal::new("A share of nothing is no share: give more than 0.").param(&param).into());
            }
            ShareTerms::Percent(ppm) => u64::from(*ppm),
            ShareTerms::Fixed(minor) if *minor < 1 => {
                return Err(Refusal::new("A fixed share is at least 1 minor unit.").param(&param).into());
            }
            ShareTerms::Fixed(_) | ShareTerms::Remainder(_) => 0,
            ShareTerms::Tiers(tiers) => {
                let bounds: Vec<Option<i64>> = tiers.iter().map(|tier| tier.up_to).collect();
                let ascending = bounds.windows(2).all(|w| match (w[0], w[1]) {
                    (Some(a), Some(b)) => 0 < a && a < b,
                    (Some(a), None) => a > 0,
                    (None, _) => false,
                });
                if !ascending || bounds.last() != Some(&None) {
                    let message = "Tiers rise by `up_to`, and the last one has none: it takes every larger charge.";
                    return Err(Refusal::new(message).param(&param).into());
                }
                tiers.iter().map(|tier| u64::from(tier.ppm)).max().unwrap_or(0)
            }
        };
    }
    if highest_ppm > MILLION {
        let message = "The percentages of a split rule (the highest tier of each) add up to more than 100.";
        return Err(Refusal::new(message).param("shares").into());
    }
    Ok(())
}

/// Divides `total` minor units by a rule. One amount per share, and they add up to `total` together with what nobody
/// was given, which the platform keeps (second value).
///
/// Percentages and tiers are rounded by largest remainder against the rest; fixed amounts come out of the rest; what
/// is left goes to the remainder shares in proportion to their weights, again by largest remainder.
///
/// # Errors
/// The fixed shares exceed what the percentages leave.
pub fn divide(total: i64, shares: &[Share]) -> Result<(Vec<i64>, i64), Halt> {
    let ppm_of = |terms: &ShareTerms| -> u64 {
        match terms {
            ShareTerms::Percent(ppm) => u64::from(*ppm),
            ShareTerms::Tiers(tiers) => tiers
                .iter()
                .find(|tier| tier.up_to.is_none_or(|bound| total <= bound))
                .map_or(0, |tier| u64::from(tier.ppm)),
            ShareTerms::Fixed(_) | ShareTerms::Remainder(_) => 0,
        }
    };
    let mut weights: Vec<u64> = shares.iter().map(|share| ppm_of(&share.terms)).collect();
    let given: u64 = weights.iter().sum();
    weights.push(MILLION.saturating_sub(given));
    let mut amounts = largest_remainder(total, &weights);
    let mut rest = amounts.pop().unwrap_or(0);
    for (amount, share) in amounts.iter_mut().zip(shares) {
        if let ShareTerms::Fixed(minor) = share.terms {
            *amount = minor;
            rest = rest.checked_sub(minor).filter(|left| *left >= 0).ok_or_else(|| {
                Halt::from(
                    Refusal::new(format!(
                        "The fixed shares of this split rule exceed what a charge of {total} minor units leaves for them. \
                         Charge more, or use a rule with smaller fixed shares."
                    ))
                    .param("split_rule"),
                )
            })?;
        }
    }
    let takers: Vec<usize> =
        (0..shares.len()).filter(|&i| matches!(shares[i].terms, ShareTerms::Remainder(_))).collect();
    if !takers.is_empty() {
        let weights: Vec<u64> = takers
            .iter()
            .map(|&i| match shares[i].terms {
                ShareTerms::Remainder(weight) => u64::from(weight),
                ShareTerms::Percent(_) | ShareTerms::Fixed(_) | ShareTerms::Tiers(_) => 0,
            })
            .collect();
        for (&i, part) in takers.iter().zip(largest_remainder(rest, &weights)) {
            amounts[i] = part;
        }
        rest = 0;
    }
    Ok((amounts, rest))
}
