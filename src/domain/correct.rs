//! Corrections: the only repair. History is never edited; a balanced entry refers to the one it repairs.

use super::command::Request;
use super::decide::{Change, Context, Facts, Halt, Outcome, Refusal, Reply};
use super::draft::{Draft, source};
use super::record::{AdjustmentRecord, Record, RecordKey, Row, RowKind, Slot};
use super::seal::Texts;
use crate::ledger::{AccountNo, Bucket, Entry, Leg, Posting, SourceType};
use crate::primitives::id::ObjectKind;

/// Posts a balanced correction.
///
/// # Errors
/// Postings that do not balance, an unknown account, or an entry that does not exist yet.
pub fn adjust(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    repairs: u64,
    postings: &[Posting],
) -> Result<Outcome, Halt> {
    if repairs == 0 || repairs >= ctx.seq {
        let message = format!(
            "`repairs` is the sequence number of the entry to correct: 1 to {}. `florin journal cat` shows them.",
            ctx.seq.saturating_sub(1)
        );
        return Err(Refusal::new(message).param("repairs").into());
    }
    let entry = Entry::balanced(postings.to_vec()).map_err(|error| {
        Halt::from(Refusal::new(format!("The {error}. A correction must balance.")).param("postings"))
    })?;
    if entry.is_empty() {
        return Err(Refusal::new("A correction moves something: give at least two postings.").param("postings").into());
    }
    let mut draft = Draft::new(facts, ctx);
    let key = RecordKey::head(ctx.seq);
    let mut rows = Vec::new();
    for (i, posting) in entry.postings().iter().enumerate() {
        if let Leg::Account { account, bucket, source: kind } = posting.leg() {
            if !account.is_platform() {
                super::account::connected(facts, ctx, account, &format!("postings[{i}][account]"))?;
            }
            rows.push(Row {
                account,
                kind: RowKind::Adjustment,
                currency: posting.money().currency(),
                amount: posting.money().minor(),
                fee: 0,
                application_fee: 0,
                source: source(ObjectKind::Adjustment, key, Slot::MAIN),
                available_on: match bucket {
                    Bucket::Pending(day) => day,
                    Bucket::Available | Bucket::Reserved(_) => draft.today(),
                },
                made: draft.made(),
                conversion: None,
                source_type: (kind != SourceType::Card).then_some(kind),
            });
        }
        draft.post(*posting);
    }
    let key_no = super::account::of(&*super::account::load(facts, AccountNo::PLATFORM)?)?.key_no;
    let mut texts = Texts::default();
    texts.apply("", &request.texts);
    let private = draft.seal(key_no, &texts)?;
    let record = AdjustmentRecord { made: draft.made(), repairs, rows, private };
    draft.change(Change::of(key, Record::Adjustment(record)));
    let mut outcome = draft.finish(Reply::Object(key.id(ObjectKind::Adjustment, Slot::MAIN)));
    outcome.text_key_no = key_no;
    Ok(outcome)
}
