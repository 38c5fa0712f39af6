//! Balance settings: the acting account's payout schedule, delay and limits by their newer name. They are the same
//! settings that an account shows under `settings.payouts`.

use super::account;
use super::command::{AccountInput, Request};
use super::decide::{Change, Context, Facts, Halt, Outcome, Reply};
use super::draft::Draft;
use super::event::EventKind;
use super::record::{AccountRecord, Record, RecordKey};
use super::schedule::{self, Wording};

/// Changes how the acting account is paid out.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn update(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, input: &AccountInput) -> Result<Outcome, Halt> {
    let before = account::load(facts, request.acting)?;
    let was = account::of(&before)?;
    let id = account::account_id(request.acting);
    let mut record = was.clone();
    schedule::amend(&mut record, input, Wording::BalanceSettings)?;
    let key_no = record.key_no;
    let mut draft = Draft::new(facts, ctx);
    if request.texts.is_empty() && !differ(was, &record) {
        let mut outcome = Outcome::answer(Reply::Object(id));
        outcome.text_key_no = key_no;
        return Ok(outcome);
    }
    if !request.texts.is_empty() {
        let mut texts = ctx.open(&record.private);
        texts.apply("", &request.texts);
        record.private = draft.seal(key_no, &texts)?;
    }
    draft.event(request.acting, EventKind::BalanceSettingsUpdated, id);
    if !request.acting.is_platform() {
        draft.event(request.acting, EventKind::AccountUpdated, id);
    }
    let key = RecordKey::head(request.acting.0);
    draft.change(Change::of(key, Record::Account(Box::new(record))).from(&before));
    let mut outcome = draft.finish(Reply::Object(id));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// Whether two states of an account have different balance settings. Whether payouts are enabled is no setting.
pub fn differ(was: &AccountRecord, is: &AccountRecord) -> bool {
    let shown = |record: &AccountRecord| {
        let paying = record.paying.as_deref().cloned().unwrap_or_default();
        let switches = (record.payout_interval, record.debit_negative_balances);
        (switches, record.delay_days, paying.weekly_days, paying.monthly_days, paying.minimum_balances)
    };
    shown(was) != shown(is)
}
