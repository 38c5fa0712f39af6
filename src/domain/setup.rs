//! Setup intents: a payment method made ready for later payments, without one now (section 6.4).
//!
//! The machine is that of a payment intent without money: each confirmation is an attempt, which the issuer agrees to,
//! declines, or wants the payer to authenticate for. What succeeds belongs to the customer from then on.

use super::account;
use super::authentication::{self, Answer, Circumstances, Step};
use super::command::{MethodInput, Request, SetupInput};
use super::customer;
use super::decide::{Change, Context, Facts, Halt, Outcome, Refusal, Reply};
use super::draft::{Draft, out_of_range};
use super::event::EventKind;
use super::method::{self, Resolved};
use super::payment::{is_open, takes_cards};
use super::record::{
    ATTEMPT_CHILDREN, Authentication, CancellationReason, Decline, FutureUsage, IntentStatus, MethodRef, Recipe,
    Record, RecordKey, SetupAttempt, SetupAttemptRecord, SetupAttemptStatus, SetupRecord, Slot, ThreeDSecure,
};
use super::seal::{Sealed, TextPatch};
use crate::primitives::id::{ObjectId, ObjectKind};

/// Creates a setup intent, and confirms it when asked to.
///
/// # Errors
/// A refusal, or a missing fact. A decline is no error.
pub fn create(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, input: &SetupInput) -> Result<Outcome, Halt> {
    let draft = Draft::new(facts, ctx);
    let setup = SetupRecord {
        owner: request.acting,
        made: draft.made(),
        status: IntentStatus::RequiresPaymentMethod,
        customer: None,
        method: None,
        usage: input.usage.unwrap_or(FutureUsage::OffSession),
        last_error: None,
        attempt: None,
        authentication: None,
        automatic_methods: input.automatic_methods,
        method_types: Vec::new(),
        options: None,
        on_behalf_of: None,
        cancellation_reason: None,
        children: 0,
        private: Sealed::default(),
    };
    let mut work = Work { draft, setup, key: RecordKey::head(ctx.seq) };
    work.event(EventKind::SetupIntentCreated);
    if let Some(account) = input.on_behalf_of {
        account::connected(facts, ctx, account, "on_behalf_of")?;
        work.setup.on_behalf_of = Some(account);
    }
    work.amend(input, &request.texts)?;
    let reply = if input.confirm { work.confirm(input)? } else { work.reply() };
    work.finish(&request.texts, reply)
}

/// Changes a setup intent. One that is finished takes new texts only.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn update(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    birth: u64,
    input: &SetupInput,
) -> Result<Outcome, Halt> {
    let mut work = Work::load(facts, ctx, request, birth)?;
    let only_texts = *input == SetupInput::default();
    if !is_open(work.setup.status) && (!only_texts || work.setup.status == IntentStatus::Canceled) {
        return Err(work.unexpected_state("updated"));
    }
    work.amend(input, &request.texts)?;
    let reply = work.reply();
    work.finish(&request.texts, reply)
}

/// Confirms a setup intent.
///
/// # Errors
/// A refusal, or a missing fact. A decline is no error.
pub fn confirm_setup(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    birth: u64,
    input: &SetupInput,
) -> Result<Outcome, Halt> {
    let mut work = Work::load(facts, ctx, request, birth)?;
    if !is_open(work.setup.status) {
        return Err(work.unexpected_state("confirmed"));
    }
    work.amend(input, &request.texts)?;
    let reply = work.confirm(input)?;
    work.finish(&request.texts, reply)
}

/// Cancels a setup intent that did not succeed.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn cancel(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    birth: u64,
    reason: Option<CancellationReason>,
) -> Result<Outcome, Halt> {
    let mut work = Work::load(facts, ctx, request, birth)?;
    if !is_open(work.setup.status) {
        return Err(work.unexpected_state("canceled"));
    }
    work.abandon();
    work.setup.status = IntentStatus::Canceled;
    work.setup.cancellation_reason = reason;
    work.event(EventKind::SetupIntentCanceled);
    let reply = work.reply();
    work.finish(&TextPatch::default(), reply)
}

/// The payer's answer to an authentication.
///
/// # Errors
/// A refusal where that authentication waits no more, or a missing fact. A decline is no error.
pub fn authenticated(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    birth: u64,
    number: u16,
    passed: bool,
) -> Result<Outcome, Halt> {
    let mut work = Work::load(facts, ctx, request, birth)?;
    let waits = work.setup.authentication.is_some_and(|waits| waits.number == number);
    if !waits || work.setup.status != IntentStatus::RequiresAction {
        let message = "This authentication was answered already, or the SetupIntent went on without it.";
        return Err(Refusal::new(message).code("setup_intent_unexpected_state").intent(birth).into());
    }
    if passed {
        let resolved = work.resolved()?;
        let asked = Circumstances::asked(work.setup.options);
        if let Step::Answer(answer) = authentication::set_up(resolved.card.recipe, asked, true) {
            work.answered(resolved, answer)?;
        }
    } else {
        if let Some(attempt) = work.setup.attempt.as_mut() {
            attempt.three_d_secure = Some(ThreeDSecure::Failed);
        }
        work.failed(Recipe::AuthenticationFailed);
    }
    let reply = work.reply();
    work.finish(&TextPatch::default(), reply)
}

/// A setup intent's id.
pub fn setup_id(birth: u64) -> ObjectId {
    RecordKey::head(birth).id(ObjectKind::SetupIntent, Slot::MAIN)
}

/// Where a superseded attempt lies.
pub fn attempt_key(birth: u64, number: u16) -> RecordKey {
    RecordKey { birth, child: ATTEMPT_CHILDREN + u32::from(number) }
}

/// A setup intent on its way through one decision.
struct Work<'a> {
    draft: Draft<'a>,
    setup: SetupRecord,
    key: RecordKey,
}

impl<'a> Work<'a> {
    fn load(facts: &'a dyn Facts, ctx: &'a Context<'a>, request: &Request, birth: u64) -> Result<Work<'a>, Halt> {
        let key = RecordKey::head(birth);
        let record = facts.record(key)?;
        match record.as_deref() {
            Some(Record::Setup(setup)) if setup.owner == request.acting => {
                let setup = setup.as_ref().clone();
                Ok(Work { draft: Draft::new(facts, ctx), setup, key })
            }
            _ => {
                let message = format!("No such setupintent: '{}'", ctx.ids.encode(&setup_id(birth)));
                Err(Refusal { status: 404, ..Refusal::new(message) }.code("resource_missing").param("intent").into())
            }
        }
    }

    fn event(&mut self, kind: EventKind) {
        self.draft.event(self.setup.owner, kind, setup_id(self.key.birth));
    }

    fn reply(&self) -> Reply {
        Reply::Object(setup_id(self.key.birth))
    }

    fn unexpected_state(&self, wanted: &str) -> Halt {
        let message = format!(
            "This SetupIntent could not be {wanted} because it has a status of {}. Only a SetupIntent with one of the \
             following statuses may be {wanted}: requires_payment_method, requires_confirmation or requires_action.",
            self.setup.status.wire()
        );
        Refusal::new(message).code("setup_intent_unexpected_state").intent(self.key.birth).into()
    }

    /// Applies parameters that create, update and confirm share.
    fn amend(&mut self, input: &SetupInput, texts: &TextPatch) -> Result<(), Halt> {
        let owner = self.setup.owner;
        if let Some(customer) = input.customer {
            customer::live(&self.draft, self.draft.ctx, owner, customer, "customer")?;
            if let Some(have) = self.setup.customer.filter(|have| *have != customer) {
                let message = format!(
                    "The customer of this SetupIntent is {} and cannot be changed. Create another SetupIntent.",
                    self.draft.ctx.ids.encode(&customer::customer_id(have))
                );
                return Err(Refusal::new(message).param("customer").into());
            }
            self.setup.customer = Some(customer);
        }
        if !input.method_types.is_empty() {
            self.setup.method_types.clone_from(&input.method_types);
        }
        if let Some(options) = input.options {
            self.setup.options = Some(self.setup.options.unwrap_or_default().amended(options));
        }
        if input.clear_method == Some(true) {
            self.take(None);
        }
        let Some(given) = &input.method else { return Ok(()) };
        takes_cards(&self.setup.method_types)?;
        let resolved = method::resolve(&self.draft, self.draft.ctx, owner, given, self.setup.customer)?;
        for change in resolved.changes {
            self.draft.change(change);
        }
        let method = match resolved.saved {
            Some(method) => method,
            None => {
                let child = self.setup.children.checked_add(1).filter(|&n| n < ATTEMPT_CHILDREN);
                self.setup.children = child.ok_or_else(out_of_range)?;
                let at = RecordKey { birth: self.key.birth, child: self.setup.children };
                method::of_intent(&mut self.draft, owner, at, resolved.card, texts)?
            }
        };
        self.take(Some(method));
        Ok(())
    }

    /// Another payment method, or none: what the payer was asked about the earlier one matters no more.
    fn take(&mut self, method: Option<MethodRef>) {
        self.abandon();
        self.setup.method = method;
        self.setup.status = match method {
            Some(_) => IntentStatus::RequiresConfirmation,
            None => IntentStatus::RequiresPaymentMethod,
        };
        self.setup.last_error = None;
    }

    /// An attempt that waits for the payer waits no longer.
    fn abandon(&mut self) {
        if let Some(attempt) = self.setup.attempt.as_mut()
            && attempt.status == SetupAttemptStatus::RequiresAction
        {
            attempt.status = SetupAttemptStatus::Abandoned;
        }
    }

    fn resolved(&self) -> Result<Resolved, Halt> {
        let method = self.setup.method.ok_or_else(|| {
            let message = "You cannot confirm this SetupIntent because it's missing a payment method. Give \
                           `payment_method` or `payment_method_data` with the confirmation, or update it first.";
            Halt::from(Refusal::new(message).code("setup_intent_unexpected_state").intent(self.key.birth))
        })?;
        let input = MethodInput::Saved(method);
        let mut resolved = method::resolve(&self.draft, self.draft.ctx, self.setup.owner, &input, self.setup.customer)?;
        // Setting it up is no payment: it stays fresh.
        resolved.spent = None;
        Ok(resolved)
    }

    /// Makes an attempt: the payer is asked to authenticate, or the issuer answers.
    fn confirm(&mut self, input: &SetupInput) -> Result<Reply, Halt> {
        let by_sdk = input.by_sdk == Some(true);
        let resolved = self.resolved()?;
        let asked = Circumstances::asked(self.setup.options);
        let step = authentication::set_up(resolved.card.recipe, asked, false);
        self.abandon();
        let mut number = 0;
        if let Some(earlier) = self.setup.attempt.take() {
            number = earlier.number.checked_add(1).ok_or_else(out_of_range)?;
            let record = SetupAttemptRecord { owner: self.setup.owner, attempt: earlier };
            let at = attempt_key(self.key.birth, record.attempt.number);
            self.draft.change(Change::of(at, Record::SetupAttempt(record)));
        }
        self.setup.attempt = Some(SetupAttempt {
            made: self.draft.made(),
            number,
            status: SetupAttemptStatus::RequiresAction,
            method: resolved.saved.ok_or_else(out_of_range)?,
            card: resolved.card,
            customer: self.setup.customer,
            error: None,
            three_d_secure: None,
        });
        self.setup.last_error = None;
        match step {
            Step::Challenge => {
                let earlier = self.setup.authentication;
                self.setup.authentication = Some(Authentication::after(earlier, by_sdk, input.return_url)?);
                self.setup.status = IntentStatus::RequiresAction;
                self.event(EventKind::SetupIntentRequiresAction);
                Ok(self.reply())
            }
            Step::Answer(answer) => self.answered(resolved, answer),
        }
    }

    /// The issuer agrees to the attempt, or declines it.
    fn answered(&mut self, resolved: Resolved, answer: Answer) -> Result<Reply, Halt> {
        if let Some(attempt) = self.setup.attempt.as_mut() {
            attempt.three_d_secure = answer.three_d_secure;
        }
        if let Some(recipe) = answer.failure {
            self.failed(recipe);
            return Ok(Reply::Declined(setup_id(self.key.birth)));
        }
        if let Some(attempt) = self.setup.attempt.as_mut() {
            attempt.status = SetupAttemptStatus::Succeeded;
        }
        self.setup.status = IntentStatus::Succeeded;
        let place = resolved.saved.ok_or_else(out_of_range)?;
        method::keep(&mut self.draft, self.setup.owner, place, self.setup.customer, self.setup.usage)?;
        self.event(EventKind::SetupIntentSucceeded);
        Ok(self.reply())
    }

    /// The attempt came to nothing; another payment method may be tried.
    fn failed(&mut self, recipe: Recipe) {
        let error = Some(Decline { recipe });
        if let Some(attempt) = self.setup.attempt.as_mut() {
            attempt.status = SetupAttemptStatus::Failed;
            attempt.error = error;
        }
        self.setup.status = IntentStatus::RequiresPaymentMethod;
        self.setup.method = None;
        self.setup.last_error = error;
        self.event(EventKind::SetupIntentFailed);
    }

    /// Seals the texts and hands the record over.
    fn finish(mut self, patch: &TextPatch, reply: Reply) -> Result<Outcome, Halt> {
        let key_no = method::owner_key(&self.draft, self.setup.owner)?;
        let patch = method::without_method(patch);
        if !patch.is_empty() {
            let mut texts = self.draft.ctx.open(&self.setup.private);
            texts.apply("", &patch);
            self.setup.private = self.draft.seal(key_no, &texts)?;
        }
        self.draft.change(Change::of(self.key, Record::Setup(Box::new(self.setup))));
        let mut outcome = self.draft.finish(reply);
        outcome.text_key_no = key_no;
        Ok(outcome)
    }
}
