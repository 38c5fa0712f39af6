//! Payment intents: the machine of section 6.1 and its charge.

use std::borrow::Cow;
use std::sync::Arc;

use super::account;
use super::authentication::{self, Answer, Circumstances, Step};
use super::charge_model;
use super::command::{IntentInput, MethodInput, Request};
use super::customer;
use super::decide::{Change, Context, Facts, Halt, Outcome, Refusal, Reply};
use super::draft::{Draft, out_of_range};
use super::due::DueKind;
use super::event::EventKind;
use super::method::{self, Resolved};
use super::record::{
    ATTEMPT_CHILDREN, AttemptRecord, Authentication, CancellationReason, CaptureMethod, Card, CardOptions, CardUsage,
    Charge, Decline, FlowRecord, FutureUsage, InlineMethod, Intent, IntentStatus, MethodRef, Recipe, Record, RecordKey,
    Shared, Slot, Split,
};
use super::refund::next_child;
use super::seal::{CHARGED_CARD, TextPatch, Texts};
use super::settle::{self, settlement_currency};
use crate::ledger::AccountNo;
use crate::primitives::id::ObjectKind;
use crate::primitives::money::Money;

/// Creates a payment intent, and confirms it when asked to.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn create(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, input: &IntentInput) -> Result<Outcome, Halt> {
    make(facts, ctx, request, input, false)
}

/// The same, also for a charge whose intent the API does not know.
///
/// # Errors
/// As [`create`].
pub(super) fn make(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    input: &IntentInput,
    without_object: bool,
) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let key = RecordKey::head(ctx.seq);
    let amount = input.amount.ok_or_else(|| missing("amount"))?;
    let currency = input.currency.ok_or_else(|| missing("currency"))?;
    let mut flow = FlowRecord {
        owner: request.acting,
        made: draft.made(),
        intent: Some(Intent {
            amount,
            currency,
            status: IntentStatus::RequiresPaymentMethod,
            capture_method: CaptureMethod::AutomaticAsync,
            confirmation_manual: false,
            customer: None,
            method: None,
            split: Split::Keep,
            amount_capturable: 0,
            amount_received: 0,
            canceled_at: None,
            cancellation_reason: None,
            last_error: None,
            attempts: 0,
            automatic_methods: None,
            method_types: Vec::new(),
            setup_future_usage: None,
            capture_before: None,
            on_behalf_of: None,
            without_object,
            options: None,
            authentication: None,
            failed_method: None,
        }),
        charge: None,
        transfers: Vec::new(),
        rows: Vec::new(),
        children: 0,
        recent_refunds: Vec::new(),
        inline_method: None,
        private: super::seal::Sealed::default(),
        charge_text_split: false,
        direct_fee: None,
    };
    draft.event(flow.owner, EventKind::PaymentIntentCreated, intent_id(key));
    amend(&mut draft, &mut flow, key, input, &request.texts)?;
    check_amount(&draft, &flow)?;
    let patch = own_texts(&flow, key, &request.texts).into_owned();
    let (reply, texts) = if input.confirm {
        confirm(&mut draft, &mut flow, key, input, &patch)?
    } else {
        (Reply::Object(intent_id(key)), patch_intent_texts(&draft, &mut flow, &patch))
    };
    let texts = settled_texts(&draft, &flow, texts)?;
    finish(draft, flow, key, None, texts, reply)
}

/// Changes a payment intent that is not finished.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn update(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    birth: u64,
    input: &IntentInput,
) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let (_, mut flow) = load(facts, ctx, request.acting, birth)?;
    let key = RecordKey::head(birth);
    let status = intent(&flow)?.status;
    let only_texts = *input == IntentInput::default();
    if !is_open(status) && (!only_texts || status == IntentStatus::Canceled) {
        return Err(unexpected_state(
            &flow,
            birth,
            "updated",
            "requires_payment_method, requires_confirmation or requires_action",
        ));
    }
    let priced = (intent(&flow)?.amount, intent(&flow)?.currency);
    amend(&mut draft, &mut flow, key, input, &request.texts)?;
    if status == IntentStatus::RequiresAction && priced != (intent(&flow)?.amount, intent(&flow)?.currency) {
        // The payer was shown the old amount.
        return Err(unexpected_state(&flow, birth, "repriced", "requires_payment_method or requires_confirmation"));
    }
    check_amount(&draft, &flow)?;
    let patch = own_texts(&flow, key, &request.texts).into_owned();
    let texts = patch_intent_texts(&draft, &mut flow, &patch);
    finish(draft, flow, key, None, texts, Reply::Object(intent_id(key)))
}

/// Confirms a payment intent.
///
/// # Errors
/// A refusal, or a missing fact. A decline is no error.
pub fn confirm_intent(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    birth: u64,
    input: &IntentInput,
) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let (_, mut flow) = load(facts, ctx, request.acting, birth)?;
    let key = RecordKey::head(birth);
    if !is_open(intent(&flow)?.status) {
        let allowed = "requires_payment_method, requires_confirmation or requires_action";
        return Err(unexpected_state(&flow, birth, "confirmed", allowed));
    }
    check_confirmation(&flow, birth, input)?;
    amend(&mut draft, &mut flow, key, input, &request.texts)?;
    let patch = own_texts(&flow, key, &request.texts).into_owned();
    let (reply, texts) = confirm(&mut draft, &mut flow, key, input, &patch)?;
    let texts = settled_texts(&draft, &flow, texts)?;
    finish(draft, flow, key, None, texts, reply)
}

/// What a confirmation must bring, beside a payment method.
fn check_confirmation(flow: &FlowRecord, birth: u64, input: &IntentInput) -> Result<(), Halt> {
    let intent = intent(flow)?;
    let by_payer = input.by_payer == Some(true);
    if by_payer && intent.confirmation_manual {
        let message = "This PaymentIntent has `confirmation_method` = manual, so only your server can confirm it, with \
                       the secret key.";
        return Err(Refusal::new(message).code("payment_intent_unexpected_state").intent(birth).into());
    }
    if let Some(amount) = input.amount_to_confirm.filter(|amount| *amount != intent.amount) {
        let (asked, whole) = (Money::new(amount, intent.currency), Money::new(intent.amount, intent.currency));
        let message = format!(
            "`amount_to_confirm` ({}) must equal the amount of the PaymentIntent ({}). Update the amount first.",
            asked.display_major(),
            whole.display_major()
        );
        return Err(Refusal::new(message).code("payment_intent_invalid_parameter").param("amount_to_confirm").into());
    }
    Ok(())
}

/// The payer's answer to an authentication (section 6.1): the payment goes on, or waits for another payment method.
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
    let mut draft = Draft::new(facts, ctx);
    let (_, mut flow) = load(facts, ctx, request.acting, birth)?;
    let key = RecordKey::head(birth);
    let intent = intent_mut(&mut flow)?;
    let waits = intent.authentication.filter(|waits| waits.number == number);
    let mut texts = None;
    let (Some(waits), IntentStatus::RequiresAction) = (waits, intent.status) else {
        let message = "This authentication was answered already, or the PaymentIntent went on without it.";
        return Err(Refusal::new(message).code("payment_intent_unexpected_state").intent(birth).into());
    };
    if !passed {
        intent.status = IntentStatus::RequiresPaymentMethod;
        intent.failed_method = intent.method.take();
        intent.last_error = Some(Decline { recipe: Recipe::AuthenticationFailed });
        draft.event(flow.owner, EventKind::PaymentIntentFailed, intent_id(key));
    } else if intent.confirmation_manual {
        intent.status = IntentStatus::RequiresConfirmation;
        intent.authentication = Some(Authentication { passed, ..waits });
    } else {
        let resolved = resolved(&draft, &flow, key)?;
        let at = Circumstances { authenticated: true, ..Circumstances::default() };
        if let Step::Answer(answer) = authentication::charge(resolved.card.recipe, at) {
            (_, texts) = charge(&mut draft, &mut flow, key, resolved, answer, &TextPatch::default())?;
        }
    }
    // The page that asked still has to send the payer back: the address stays.
    let texts = note_descriptor(&draft, &flow, texts)?;
    finish(draft, flow, key, None, texts, Reply::Object(intent_id(key)))
}

/// Captures an authorized payment, in full or in part (section 6.3).
///
/// # Errors
/// A refusal, or a missing fact.
pub fn capture(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    birth: u64,
    amount: Option<i64>,
    application_fee: Option<i64>,
    transfer_amount: Option<i64>,
) -> Result<Outcome, Halt> {
    let (_, flow) = load(facts, ctx, request.acting, birth)?;
    capture_flow(facts, ctx, request, flow, (amount, "amount_to_capture"), application_fee, transfer_amount)
}

/// The same of a flow at hand; `amount` with the parameter that names it.
///
/// # Errors
/// As [`capture`].
pub(super) fn capture_flow(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    mut flow: FlowRecord,
    (amount, param): (Option<i64>, &str),
    application_fee: Option<i64>,
    transfer_amount: Option<i64>,
) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let birth = flow.made.seq;
    let key = RecordKey::head(birth);
    let (status, capturable, currency) = {
        let intent = intent(&flow)?;
        (intent.status, intent.amount_capturable, intent.currency)
    };
    if status != IntentStatus::RequiresCapture {
        return Err(unexpected_state(&flow, birth, "captured", "requires_capture"));
    }
    let captured = amount.unwrap_or(capturable);
    if captured < 1 {
        return Err(positive(param));
    }
    if captured > capturable {
        let message = format!(
            "The amount to capture ({}) is greater than what is authorized ({}). Capture that much or less.",
            Money::new(captured, currency).display_major(),
            Money::new(capturable, currency).display_major(),
        );
        return Err(Refusal::new(message).code("amount_too_large").param(param).into());
    }
    amend_split(&mut flow, application_fee, transfer_amount, captured)?;
    settle::settle(&mut draft, &mut flow, key, captured)?;
    let attempt = flow.charge.as_ref().map_or(0, |charge| charge.attempt);
    {
        let intent = intent_mut(&mut flow)?;
        intent.status = IntentStatus::Succeeded;
        intent.amount_capturable = 0;
        intent.amount_received = captured;
        if let Some(at) = intent.capture_before.take() {
            draft.unschedule(super::due::DueKey { at, birth, ordinal: authorization_ordinal() });
        }
    }
    draft.event(flow.owner, EventKind::ChargeCaptured, key.id(ObjectKind::Charge, attempt));
    draft.event(flow.owner, EventKind::PaymentIntentSucceeded, intent_id(key));
    if captured < capturable {
        super::refund::uncaptured_rest(&mut draft, &mut flow, key, capturable - captured)?;
    }
    let texts = patch_intent_texts(&draft, &mut flow, &request.texts);
    finish(draft, flow, key, None, texts, Reply::Object(intent_id(key)))
}

/// Cancels a payment intent that did not succeed; releases an authorization.
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
    let mut draft = Draft::new(facts, ctx);
    let (_, mut flow) = load(facts, ctx, request.acting, birth)?;
    if matches!(intent(&flow)?.status, IntentStatus::Succeeded | IntentStatus::Canceled | IntentStatus::Processing) {
        let allowed = "requires_payment_method, requires_capture, requires_confirmation or requires_action";
        return Err(unexpected_state(&flow, birth, "canceled", allowed));
    }
    release(&mut draft, &mut flow, birth, reason, false)?;
    let key = RecordKey::head(birth);
    finish(draft, flow, key, None, None, Reply::Object(intent_id(key)))
}

/// An authorization ran out.
///
/// # Errors
/// A missing fact.
pub fn expire(facts: &dyn Facts, ctx: &Context<'_>, birth: u64) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let key = RecordKey::head(birth);
    let Some(before) = facts.record(key)? else { return Ok(Outcome::answer(Reply::Done)) };
    let Record::Flow(flow) = &*before else { return Ok(Outcome::answer(Reply::Done)) };
    let mut flow = flow.as_ref().clone();
    if intent(&flow)?.status != IntentStatus::RequiresCapture {
        return Ok(Outcome::answer(Reply::Done));
    }
    release(&mut draft, &mut flow, birth, Some(CancellationReason::Automatic), true)?;
    finish(draft, flow, key, None, None, Reply::Done)
}

/// Lets go of what was not captured: no balance moves.
pub(super) fn release(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    birth: u64,
    reason: Option<CancellationReason>,
    expired: bool,
) -> Result<(), Halt> {
    let key = RecordKey::head(birth);
    let authorized = intent(flow)?.status == IntentStatus::RequiresCapture;
    if authorized && let Some(charge) = flow.charge.as_mut() {
        // The released authorization counts as refunded on the charge; no balance moves (section 6.3).
        charge.amount_refunded = charge.amount;
        charge.uncaptured_rest = charge.amount;
        let kind = if expired { EventKind::ChargeExpired } else { EventKind::ChargeRefunded };
        draft.event(flow.owner, kind, key.id(ObjectKind::Charge, charge.attempt));
    }
    let intent = intent_mut(flow)?;
    intent.status = IntentStatus::Canceled;
    intent.canceled_at = Some(draft.ctx.now);
    intent.cancellation_reason = reason;
    intent.amount_capturable = 0;
    if let Some(at) = intent.capture_before.take()
        && !expired
    {
        draft.unschedule(super::due::DueKey { at, birth, ordinal: authorization_ordinal() });
    }
    draft.event(flow.owner, EventKind::PaymentIntentCanceled, intent_id(key));
    Ok(())
}

/// Changes the texts of a charge, or of a payment on a connected account.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn update_charge(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    charge: crate::primitives::id::ObjectId,
    customer: Option<u64>,
) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let key = RecordKey::head(charge.birth);
    let before = facts.record(key)?.ok_or_else(|| no_such_charge(ctx, &charge))?;
    let Record::Flow(flow) = &*before else { return Err(no_such_charge(ctx, &charge)) };
    let mut flow = flow.as_ref().clone();
    let mut texts = ctx.open(&flow.private);
    let owner = match charge.kind {
        ObjectKind::Payment => {
            let transfer = flow.transfers.get(usize::from(charge.slot)).ok_or_else(|| no_such_charge(ctx, &charge))?;
            texts.apply(&format!("py{}.", charge.slot), &request.texts);
            transfer.destination
        }
        _ => {
            if flow.charge.as_ref().is_none_or(|have| have.attempt != charge.slot) {
                return Err(no_such_charge(ctx, &charge));
            }
            split_charge_text(&mut flow, &mut texts);
            texts.apply(flow.charge_texts(), &request.texts);
            if let Some(customer) = customer {
                take_customer(facts, ctx, &mut flow, customer)?;
            }
            flow.owner
        }
    };
    if owner != request.acting {
        return Err(no_such_charge(ctx, &charge));
    }
    draft.event(owner, EventKind::ChargeUpdated, charge);
    finish(draft, flow, key, Some(before), Some(texts), Reply::Object(charge))
}

/// A charge gets a customer, if it has none.
fn take_customer(facts: &dyn Facts, ctx: &Context<'_>, flow: &mut FlowRecord, customer: u64) -> Result<(), Halt> {
    customer::live(facts, ctx, flow.owner, customer, "customer")?;
    let have = &mut intent_mut(flow)?.customer;
    if have.is_some_and(|have| have != customer) {
        let message = "This charge belongs to another customer already; only a charge without one can be given one.";
        return Err(Refusal::new(message).param("customer").into());
    }
    *have = Some(customer);
    Ok(())
}

fn no_such_charge(ctx: &Context<'_>, charge: &crate::primitives::id::ObjectId) -> Halt {
    let message = format!("No such charge: '{}'", ctx.ids.encode(charge));
    Refusal { status: 404, ..Refusal::new(message) }.code("resource_missing").param("id").into()
}

// ---------------------------------------------------------------------------------------------------------------
// Parts

/// Nothing is paid or authorized yet, and it may still be.
pub fn is_open(status: IntentStatus) -> bool {
    match status {
        IntentStatus::RequiresPaymentMethod | IntentStatus::RequiresConfirmation | IntentStatus::RequiresAction => true,
        IntentStatus::Processing | IntentStatus::RequiresCapture | IntentStatus::Succeeded | IntentStatus::Canceled => {
            false
        }
    }
}

/// Applies parameters that create, update and confirm share.
fn amend(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    key: RecordKey,
    input: &IntentInput,
    texts: &TextPatch,
) -> Result<(), Halt> {
    let (facts, ctx, owner) = (draft.facts, draft.ctx, flow.owner);
    {
        let intent = intent_mut(flow)?;
        if let Some(amount) = input.amount {
            intent.amount = amount;
        }
        if let Some(currency) = input.currency {
            intent.currency = currency;
        }
        if let Some(customer) = input.customer {
            customer::live(facts, ctx, owner, customer, "customer")?;
            intent.customer = Some(customer);
        }
        if let Some(capture) = input.capture_method {
            intent.capture_method = capture;
        }
        if let Some(manual) = input.confirmation_manual {
            intent.confirmation_manual = manual;
        }
        if let Some(usage) = input.setup_future_usage {
            intent.setup_future_usage = Some(usage);
        } else if input.clear_future_usage == Some(true) {
            intent.setup_future_usage = None;
        }
        if let Some(options) = input.options {
            intent.options = Some(intent.options.unwrap_or_default().amended(options));
        }
        let changes_payment = input.amount.is_some() || input.currency.is_some() || input.method.is_some();
        if let Some(passed) = intent.authentication.as_mut().filter(|_| changes_payment) {
            passed.passed = false;
        }
        if let Some(redirects) = input.automatic_methods {
            intent.automatic_methods = Some(redirects);
        }
        if !input.method_types.is_empty() {
            intent.method_types.clone_from(&input.method_types);
        }
        if input.clear_method {
            intent.method = None;
            intent.status = IntentStatus::RequiresPaymentMethod;
        }
    }
    amend_parties(draft, flow, input)?;
    if let Some(method) = &input.method {
        take_method(draft, flow, key, method, texts)?;
    }
    Ok(())
}

impl CardOptions {
    /// With what an update gives.
    #[must_use]
    pub fn amended(self, by: CardOptions) -> CardOptions {
        CardOptions {
            three_d_secure: by.three_d_secure.or(self.three_d_secure),
            capture_manual: by.capture_manual.or(self.capture_manual),
            future_usage: by.future_usage.or(self.future_usage),
        }
    }
}

impl Intent {
    /// What the payment method is to be kept for, if it is.
    fn future_usage(&self) -> Option<FutureUsage> {
        match self.options.and_then(|options| options.future_usage) {
            None => self.setup_future_usage,
            Some(CardUsage::None) => None,
            Some(CardUsage::OnSession) => Some(FutureUsage::OnSession),
            Some(CardUsage::OffSession) => Some(FutureUsage::OffSession),
        }
    }

    /// The charge is only authorized at first.
    fn captures_manually(&self) -> bool {
        let for_cards = self.options.and_then(|options| options.capture_manual);
        self.capture_method == CaptureMethod::Manual || for_cards == Some(true)
    }
}

/// Destination, fee, transfer amount and rule exclude one another as section 5 states.
fn amend_parties(draft: &Draft<'_>, flow: &mut FlowRecord, input: &IntentInput) -> Result<(), Halt> {
    let (facts, ctx) = (draft.facts, draft.ctx);
    let is_direct = !flow.owner.is_platform();
    for (given, param) in [
        (input.destination.is_some(), "transfer_data[destination]"),
        (input.on_behalf_of.is_some(), "on_behalf_of"),
        (input.split_rule.is_some(), "split_rule"),
    ] {
        if is_direct && given {
            let message = format!(
                "`{param}` is for charges of the platform: leave the Stripe-Account header out to make one, or leave \
                 `{param}` out to charge on the connected account itself."
            );
            return Err(Refusal::new(message).param(param).into());
        }
    }
    if let Some(account) = input.on_behalf_of {
        charge_model::may_settle(facts, ctx, account)?;
        intent_mut(flow)?.on_behalf_of = Some(account);
    }
    if let Some(birth) = input.split_rule {
        if input.destination.is_some() || input.application_fee.is_some() || input.transfer_amount.is_some() {
            let message = "A split rule divides the whole charge: give either `split_rule`, or `transfer_data` and \
                           `application_fee_amount`.";
            return Err(Refusal::new(message).param("split_rule").code("parameters_exclusive").into());
        }
        let record = facts.record(RecordKey::head(birth))?;
        let Some(Record::SplitRule(rule)) = record.as_deref() else {
            return Err(Refusal::new("No such split rule.").param("split_rule").code("resource_missing").into());
        };
        for share in rule.shares.iter().filter(|share| !share.account.is_platform()) {
            account::receives(facts, ctx, share.account, "split_rule")?;
        }
        intent_mut(flow)?.split = Split::Rule(birth);
    }
    let intent = intent_mut(flow)?;
    if let Some(account) = input.destination {
        account::receives(facts, ctx, account, "transfer_data[destination]")?;
        intent.split = Split::Destination { account, application_fee: None };
    }
    if input.transfer_amount.is_some() && matches!(input.application_fee, Some(Some(_))) {
        let message = "You can give `application_fee_amount` or `transfer_data[amount]`, not both.";
        return Err(Refusal::new(message).param("transfer_data[amount]").code("parameters_exclusive").into());
    }
    let amount = intent.amount;
    match input.application_fee {
        None => {}
        Some(fee) => amend_fee(intent, is_direct, fee, amount)?,
    }
    if let Some(minor) = input.transfer_amount {
        amend_transfer_amount(intent, minor, amount)?;
    }
    Ok(())
}

fn amend_fee(intent: &mut Intent, is_direct: bool, fee: Option<i64>, amount: i64) -> Result<(), Halt> {
    let split = match intent.split {
        Split::Destination { account, .. } | Split::DestinationAmount { account, .. } => {
            Split::Destination { account, application_fee: fee }
        }
        Split::Keep | Split::Direct(_) if is_direct => fee.map_or(Split::Keep, Split::Direct),
        Split::Keep | Split::Direct(_) | Split::Rule(_) => {
            let message = "Can only apply an application_fee_amount when the payment is made for another account: on it \
                           (using an OAuth key or the Stripe-Account header), or with `transfer_data[destination]`.";
            return Err(Refusal::new(message).param("application_fee_amount").into());
        }
    };
    if let Some(minor) = fee {
        if minor < 1 {
            return Err(positive("application_fee_amount"));
        }
        if minor >= amount {
            let message = "`application_fee_amount` must be less than the amount of the payment.";
            return Err(Refusal::new(message).param("application_fee_amount").into());
        }
    }
    intent.split = split;
    Ok(())
}

fn amend_transfer_amount(intent: &mut Intent, minor: i64, amount: i64) -> Result<(), Halt> {
    let account = match intent.split {
        Split::Destination { account, .. } | Split::DestinationAmount { account, .. } => account,
        Split::Keep | Split::Rule(_) | Split::Direct(_) => {
            let message = "`transfer_data[amount]` needs `transfer_data[destination]`.";
            return Err(Refusal::new(message).param("transfer_data[destination]").code("parameter_missing").into());
        }
    };
    if minor < 1 {
        return Err(positive("transfer_data[amount]"));
    }
    if minor > amount {
        let message = "`transfer_data[amount]` must not be greater than the amount of the payment.";
        return Err(Refusal::new(message).param("transfer_data[amount]").into());
    }
    intent.split = Split::DestinationAmount { account, amount: minor };
    Ok(())
}

/// At capture the fee may be lowered or set, and what goes beyond the captured amount is cut down to it.
fn amend_split(flow: &mut FlowRecord, fee: Option<i64>, sent: Option<i64>, captured: i64) -> Result<(), Halt> {
    let is_direct = !flow.owner.is_platform();
    let intent = intent_mut(flow)?;
    if let Some(fee) = fee {
        amend_fee(intent, is_direct, Some(fee), intent.amount)?;
    }
    if let Some(sent) = sent {
        amend_transfer_amount(intent, sent, captured)?;
    }
    if let Split::DestinationAmount { account, amount } = intent.split {
        intent.split = Split::DestinationAmount { account, amount: amount.min(captured) };
    }
    Ok(())
}

fn take_method(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    key: RecordKey,
    input: &MethodInput,
    texts: &TextPatch,
) -> Result<(), Halt> {
    let (customer, keeps) = {
        let intent = intent(flow)?;
        takes_cards(&intent.method_types)?;
        (intent.customer, intent.future_usage().is_some())
    };
    let resolved = match unused_inline(flow, key, input) {
        Some(own) => own,
        None => method::resolve(draft.facts, draft.ctx, flow.owner, input, customer)?,
    };
    for change in resolved.changes {
        draft.change(change);
    }
    let method = match resolved.saved {
        Some(method) => method,
        None if keeps => own_method(draft, flow, key, resolved.card, texts)?,
        None => {
            let slot = flow.inline_method.map_or(Slot::INLINE_METHOD, |have| have.slot.saturating_add(1));
            flow.inline_method = Some(InlineMethod { card: resolved.card, made: draft.made(), slot });
            MethodRef { key, slot }
        }
    };
    let intent = intent_mut(flow)?;
    intent.method = Some(method);
    intent.status = IntentStatus::RequiresConfirmation;
    intent.last_error = None;
    intent.failed_method = None;
    Ok(())
}

/// The intent's own card, given by its id again: it is fresh as long as nothing was charged to it (the payer failed to
/// authenticate, say).
fn unused_inline(flow: &FlowRecord, key: RecordKey, input: &MethodInput) -> Option<Resolved> {
    let MethodInput::Saved(place) = *input else { return None };
    let inline = flow.inline_method.filter(|inline| place == MethodRef { key, slot: inline.slot })?;
    let charged = flow.charge.as_ref().is_some_and(|charge| charge.method == place);
    (!charged).then(|| Resolved { saved: Some(place), ..Resolved::fresh(inline.card) })
}

/// A card can be used only where the caller let cards in.
///
/// # Errors
/// 400.
pub fn takes_cards(method_types: &[String]) -> Result<(), Halt> {
    if method_types.is_empty() || method_types.iter().any(|kind| kind == "card") {
        return Ok(());
    }
    let message = format!(
        "The payment method is a card, and the allowed payment method types are: {}. Give one of these types, or allow \
         `card`.",
        method_types.join(", ")
    );
    Err(Refusal::new(message).code("payment_intent_incompatible_payment_method").param("payment_method").into())
}

/// A payment method that may be kept has a record of its own.
fn own_method(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    key: RecordKey,
    card: Card,
    texts: &TextPatch,
) -> Result<MethodRef, Halt> {
    let at = RecordKey { birth: key.birth, child: next_child(flow)? };
    method::of_intent(draft, flow.owner, at, card, texts)
}

/// A card that came before it was known that it is to be kept gets its own record after all.
fn adopt_inline(draft: &mut Draft<'_>, flow: &mut FlowRecord, key: RecordKey) -> Result<(), Halt> {
    let method = intent(flow)?.method;
    let Some(inline) = flow.inline_method.filter(|inline| method == Some(MethodRef { key, slot: inline.slot })) else {
        return Ok(());
    };
    let texts = draft.ctx.open(&flow.private);
    let patch = TextPatch(texts.under("pi.").map(|(path, text)| (path.to_owned(), Some(text.to_owned()))).collect());
    let own = own_method(draft, flow, key, inline.card, &patch)?;
    intent_mut(flow)?.method = Some(own);
    Ok(())
}

/// Uses the intent's payment method: the payer is asked to authenticate, or the issuer answers. Also the flow's texts,
/// where `patch` or the new charge changes them.
fn confirm(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    key: RecordKey,
    input: &IntentInput,
    patch: &TextPatch,
) -> Result<(Reply, Option<Texts>), Halt> {
    if intent(flow)?.future_usage().is_some() {
        adopt_inline(draft, flow, key)?;
    }
    let resolved = resolved(draft, flow, key)?;
    check_way_back(draft, flow, key, input)?;
    account::may_be_charged(draft.facts, flow.owner)?;
    charge_model::check_parties(draft.facts, draft.ctx, flow)?;
    let at = {
        let intent = intent(flow)?;
        Circumstances {
            off_session: input.off_session,
            set_up: resolved.set_up,
            asked: Circumstances::asked(intent.options),
            authenticated: intent.authentication.is_some_and(|answered| answered.passed),
        }
    };
    match authentication::charge(resolved.card.recipe, at) {
        Step::Answer(answer) => charge(draft, flow, key, resolved, answer, patch),
        Step::Challenge if input.error_on_requires_action => {
            let answer = Answer { failure: Some(Recipe::AuthenticationRequired), three_d_secure: None };
            charge(draft, flow, key, resolved, answer, patch)
        }
        Step::Challenge => {
            let intent = intent_mut(flow)?;
            intent.status = IntentStatus::RequiresAction;
            intent.last_error = None;
            intent.failed_method = None;
            let by_sdk = input.by_sdk == Some(true);
            intent.authentication = Some(Authentication::after(intent.authentication, by_sdk, input.return_url)?);
            draft.event(flow.owner, EventKind::PaymentIntentRequiresAction, intent_id(key));
            Ok((Reply::Object(intent_id(key)), patch_intent_texts(draft, flow, patch)))
        }
    }
}

/// A refusal that shows the intent; one that is only being made cannot be shown.
fn refused(draft: &Draft<'_>, key: RecordKey, refusal: Refusal) -> Halt {
    if key.birth < draft.ctx.seq { refusal.intent(key.birth).into() } else { refusal.into() }
}

/// A payer who may be sent away needs an address to come back to. The payer's own browser knows its way.
fn check_way_back(draft: &Draft<'_>, flow: &FlowRecord, key: RecordKey, input: &IntentInput) -> Result<(), Halt> {
    let here = input.by_sdk == Some(true) || input.by_payer == Some(true);
    if here || input.return_url || !may_redirect(intent(flow)?) {
        return Ok(());
    }
    let message = "This payment accepts methods that may redirect the payer, so its confirmation needs a `return_url`. \
                   Give one, or create the payment with `automatic_payment_methods[enabled]` true and \
                   `automatic_payment_methods[allow_redirects]` never.";
    Err(refused(draft, key, Refusal::new(message)))
}

/// The card of the intent's payment method, as this entry leaves it.
fn resolved(draft: &Draft<'_>, flow: &FlowRecord, key: RecordKey) -> Result<Resolved, Halt> {
    let intent = intent(flow)?;
    let method = intent.method.ok_or_else(|| {
        let message = "You cannot confirm this PaymentIntent because it's missing a payment method. Give \
                       `payment_method` or `payment_method_data` with the confirmation, or update it first.";
        refused(draft, key, Refusal::new(message).code("payment_intent_unexpected_state"))
    })?;
    if let Some(inline) = flow.inline_method.filter(|inline| method == MethodRef { key, slot: inline.slot }) {
        return Ok(Resolved { saved: Some(method), ..Resolved::fresh(inline.card) });
    }
    method::resolve(draft, draft.ctx, flow.owner, &MethodInput::Saved(method), intent.customer)
}

/// Charges a card, as its issuer answers. Also the flow's texts, which `patch` and the new charge change.
fn charge(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    key: RecordKey,
    resolved: Resolved,
    answer: Answer,
    patch: &TextPatch,
) -> Result<(Reply, Option<Texts>), Halt> {
    let (amount, currency, customer, usage, manual, attempt) = {
        let intent = intent(flow)?;
        let manual = intent.captures_manually();
        (intent.amount, intent.currency, intent.customer, intent.future_usage(), manual, intent.attempts)
    };
    let owner = flow.owner;
    let method = resolved.saved.ok_or_else(out_of_range)?;
    let kept = match usage {
        Some(usage) if answer.failure.is_none() => method::keep(draft, owner, method, customer, usage)?,
        _ => false,
    };
    if !kept && let Some(spent) = resolved.spent {
        draft.change(spent);
    }
    let texts = begin_attempt(draft, flow, key, method, patch)?;
    let failure = answer.failure.map(|recipe| Decline { recipe });
    flow.charge = Some(Charge {
        made: draft.made(),
        attempt,
        amount,
        amount_captured: 0,
        amount_refunded: 0,
        currency,
        captured: false,
        failure,
        rail: settle::RAIL,
        card: resolved.card,
        method,
        available_on: None,
        uncaptured_rest: 0,
        transferred: 0,
        three_d_secure: answer.three_d_secure,
        disputes: None,
        waiting: 0,
    });
    let charge_id = key.id(ObjectKind::Charge, attempt);
    {
        let intent = intent_mut(flow)?;
        intent.attempts = attempt.checked_add(1).ok_or_else(out_of_range)?;
        intent.last_error = failure;
        intent.failed_method = None;
        if let Some(answered) = intent.authentication.as_mut() {
            answered.passed = false;
        }
    }
    if failure.is_some() {
        let intent = intent_mut(flow)?;
        intent.status = IntentStatus::RequiresPaymentMethod;
        intent.method = None;
        draft.event(owner, EventKind::ChargeFailed, charge_id);
        draft.event(owner, EventKind::PaymentIntentFailed, intent_id(key));
        return Ok((Reply::Declined(intent_id(key)), Some(texts)));
    }
    draft.event(owner, EventKind::ChargeSucceeded, charge_id);
    if manual {
        let days = i32::from(draft.ctx.tables.authorization_days);
        let until = draft.ctx.now.plus_days(days).ok_or_else(out_of_range)?;
        let intent = intent_mut(flow)?;
        intent.status = IntentStatus::RequiresCapture;
        intent.amount_capturable = amount;
        intent.capture_before = Some(until);
        draft.schedule_as(until, key.birth, authorization_ordinal(), DueKind::AuthorizationExpires(key.birth));
        draft.event(owner, EventKind::PaymentIntentCapturable, intent_id(key));
    } else {
        settle::settle(draft, flow, key, amount)?;
        let intent = intent_mut(flow)?;
        intent.status = IntentStatus::Succeeded;
        intent.amount_received = amount;
        draft.event(owner, EventKind::PaymentIntentSucceeded, intent_id(key));
    }
    Ok((Reply::Object(intent_id(key)), Some(texts)))
}

/// Whether the payer may be sent away to pay: all methods are welcome, and nothing narrows them down to cards.
fn may_redirect(intent: &Intent) -> bool {
    intent.automatic_methods == Some(true) && intent.method_types.is_empty()
}

/// Authorizations have an ordinal of their own in the due queue, so that capturing or canceling finds them.
fn authorization_ordinal() -> u16 {
    u16::MAX
}

/// Makes room for a new charge, which begins with the intent's texts as `patch` changes them and keeps its card's billing
/// details. A failed charge before it goes to a record of its own, with the texts that it had.
fn begin_attempt(
    draft: &mut Draft<'_>,
    flow: &mut FlowRecord,
    key: RecordKey,
    method: MethodRef,
    patch: &TextPatch,
) -> Result<Texts, Halt> {
    let mut texts = draft.ctx.open(&flow.private);
    if let Some(earlier) = flow.charge.take() {
        let child = ATTEMPT_CHILDREN.checked_add(u32::from(earlier.attempt)).ok_or_else(out_of_range)?;
        let at = RecordKey { birth: key.birth, child };
        let (owner, customer) = (flow.owner, intent(flow)?.customer);
        let private = if std::mem::take(&mut flow.charge_text_split) {
            let mut own = texts.split_off("ch.");
            own.0.extend(texts.split_off(CHARGED_CARD).0);
            draft.seal(text_key(draft.facts, flow)?, &own)?
        } else {
            flow.private.clone()
        };
        draft.change(Change::of(at, Record::Attempt(AttemptRecord { owner, charge: earlier, customer, private })));
    }
    texts.apply("pi.", patch);
    keep_billing(draft, key, method, &mut texts)?;
    Ok(texts)
}

/// A charge keeps the billing details of its payment method as they are now: they may change, and they go when its
/// customer is deleted. Where there are none it keeps that, so that nobody looks for them later.
fn keep_billing(draft: &Draft<'_>, key: RecordKey, method: MethodRef, texts: &mut Texts) -> Result<(), Halt> {
    texts.clear(CHARGED_CARD);
    let kept = format!("{CHARGED_CARD}billing_details");
    if method.key == key {
        texts.copy("pi.payment_method_data[billing_details]", &kept);
    } else if let Some(Record::PaymentMethod(record)) = draft.record(method.key)?.as_deref() {
        for (path, text) in draft.ctx.open(&record.private).under("billing_details") {
            texts.0.insert(format!("{kept}{path}"), text.to_owned());
        }
    }
    if texts.under(CHARGED_CARD).next().is_none() {
        texts.0.insert(CHARGED_CARD.to_owned(), String::new());
    }
    Ok(())
}

fn check_amount(draft: &Draft<'_>, flow: &FlowRecord) -> Result<(), Halt> {
    let intent = intent(flow)?;
    let merchant = draft.account_record(charge_model::settlement_merchant(flow))?;
    let merchant = account::of(&merchant)?;
    let (amount, currency) = (intent.amount, intent.currency);
    if amount < 0 {
        return Err(positive("amount"));
    }
    let digits = currency.max_charge_digits();
    if amount.checked_ilog10().unwrap_or(0) >= digits {
        let message = format!("Amount must be no more than {digits} digits in {currency}.");
        return Err(Refusal::new(message).code("amount_too_large").param("amount").into());
    }
    let multiple = currency.charge_multiple();
    if amount % multiple != 0 {
        let message = format!("Invalid amount: amounts in {currency} must be divisible by {multiple}.");
        return Err(Refusal::new(message).code("parameter_invalid_integer").param("amount").into());
    }
    let settled_in = settlement_currency(merchant, currency);
    let minimum = settled_in.min_charge().unwrap_or(1);
    let too_small = |message: String| Err(Refusal::new(message).code("amount_too_small").param("amount").into());
    let least = Money::new(minimum, settled_in);
    if settled_in == currency {
        if amount >= minimum {
            return Ok(());
        }
        return too_small(format!("Amount must be at least {}", with_code(least)));
    }
    let presented = Money::new(amount, currency);
    let worth = draft.worth(presented, settled_in)?;
    if amount >= 1 && worth.minor() >= minimum {
        return Ok(());
    }
    too_small(format!(
        "Amount must convert to at least {}. {} converts to approximately {}.",
        charge_model::spoken(least),
        presented.display_major(),
        worth.display_major()
    ))
}

/// `$0.50 usd`, as the API writes least amounts.
fn with_code(money: Money) -> String {
    match money.currency().symbol() {
        Some(_) => format!("{} {}", money.display_major(), money.currency()),
        None => money.display_major(),
    }
}

/// The flow of a payment intent of `acting`, as it is and as a copy to change.
pub fn load(facts: &dyn Facts, ctx: &Context<'_>, acting: AccountNo, birth: u64) -> Result<(Shared, FlowRecord), Halt> {
    let key = RecordKey::head(birth);
    let record = facts.record(key)?;
    if let Some(record) = record
        && let Record::Flow(flow) = &*record
        && flow.owner == acting
        && flow.shown_intent().is_some()
    {
        let flow = flow.as_ref().clone();
        return Ok((record, flow));
    }
    let message = format!("No such payment_intent: '{}'", ctx.ids.encode(&intent_id(key)));
    Err(Refusal { status: 404, ..Refusal::new(message) }.code("resource_missing").param("intent").into())
}

fn intent(flow: &FlowRecord) -> Result<&Intent, Halt> {
    flow.intent.as_ref().ok_or_else(|| Refusal::new("This object is no payment.").into())
}

fn intent_mut(flow: &mut FlowRecord) -> Result<&mut Intent, Halt> {
    flow.intent.as_mut().ok_or_else(|| Refusal::new("This object is no payment.").into())
}

fn intent_id(key: RecordKey) -> crate::primitives::id::ObjectId {
    key.id(ObjectKind::PaymentIntent, Slot::MAIN)
}

/// The intent's texts change; a charge that still shares them gets its own copy first.
fn patch_intent_texts(draft: &Draft<'_>, flow: &mut FlowRecord, patch: &TextPatch) -> Option<Texts> {
    if patch.is_empty() {
        return None;
    }
    let mut texts = draft.ctx.open(&flow.private);
    if flow.charge.is_some() {
        split_charge_text(flow, &mut texts);
    }
    texts.apply("pi.", patch);
    Some(texts)
}

/// A call's texts, without those that went to a payment method of its own.
fn own_texts<'a>(flow: &FlowRecord, key: RecordKey, texts: &'a TextPatch) -> Cow<'a, TextPatch> {
    let method = flow.intent.as_ref().and_then(|intent| intent.method);
    match method {
        Some(method) if method.key.birth == key.birth && method.key != key => Cow::Owned(method::without_method(texts)),
        _ => Cow::Borrowed(texts),
    }
}

/// The texts as a confirmation leaves them: where to send the payer back to is kept only while the payer is away, and a
/// new charge has its statement descriptor.
fn settled_texts(draft: &Draft<'_>, flow: &FlowRecord, mut texts: Option<Texts>) -> Result<Option<Texts>, Halt> {
    let status = flow.intent.as_ref().map(|intent| intent.status);
    if let Some(texts) = texts.as_mut()
        && status != Some(IntentStatus::RequiresAction)
    {
        texts.0.remove("pi.return_url");
    }
    note_descriptor(draft, flow, texts)
}

/// A charge whose intent nobody sees has its texts for itself.
fn split_charge_text(flow: &mut FlowRecord, texts: &mut Texts) {
    if !flow.charge_text_split && flow.shown_intent().is_some() {
        texts.copy("pi.", "ch.");
        flow.charge_text_split = true;
    }
}

/// The key that seals a flow's texts: its owner's. A payment stays readable when its customer is erased.
pub fn text_key(facts: &dyn Facts, flow: &FlowRecord) -> Result<u32, Halt> {
    method::owner_key(facts, flow.owner)
}

/// A charge that was just made keeps what the payer's statement says, where the settlement merchant has words of its own.
fn note_descriptor(draft: &Draft<'_>, flow: &FlowRecord, texts: Option<Texts>) -> Result<Option<Texts>, Halt> {
    if flow.charge.as_ref().is_none_or(|charge| charge.made.seq != draft.ctx.seq) {
        return Ok(texts);
    }
    let merchant = draft.account_record(charge_model::settlement_merchant(flow))?;
    let private = &account::of(&merchant)?.private;
    if private.bytes.is_empty() {
        return Ok(texts);
    }
    let mut texts = texts.unwrap_or_else(|| draft.ctx.open(&flow.private));
    let suffix = texts.get("pi.statement_descriptor_suffix");
    if let Some(text) = charge_model::statement_descriptor(&draft.ctx.open(private), suffix) {
        texts.0.insert(charge_model::CALCULATED_DESCRIPTOR.to_owned(), text);
    }
    Ok(Some(texts))
}

/// Seals the texts and hands the flow's record over. Of an intent that the API does not know nothing is told; what the
/// caller gets is the charge.
pub(super) fn finish(
    mut draft: Draft<'_>,
    mut flow: FlowRecord,
    key: RecordKey,
    before: Option<Shared>,
    texts: Option<Texts>,
    mut reply: Reply,
) -> Result<Outcome, Halt> {
    if flow.shown_intent().is_none() {
        draft.keep_quiet_of(ObjectKind::PaymentIntent);
        if let (Reply::Object(id) | Reply::Declined(id), Some(charge)) = (&mut reply, &flow.charge)
            && id.kind == ObjectKind::PaymentIntent
        {
            *id = key.id(ObjectKind::Charge, charge.attempt);
        }
    }
    let key_no = text_key(draft.facts, &flow)?;
    if let Some(texts) = texts {
        flow.private = draft.seal(key_no, &texts)?;
    }
    draft.change(Change { key, after: Arc::new(Record::Flow(Box::new(flow))), before, index: Vec::new() });
    let mut outcome = draft.finish(reply);
    outcome.text_key_no = key_no;
    Ok(outcome)
}

fn missing(param: &str) -> Halt {
    Refusal::new(format!("Missing required param: {param}.")).code("parameter_missing").param(param).into()
}

fn positive(param: &str) -> Halt {
    Refusal::new("This value must be greater than or equal to 1.").code("parameter_invalid_integer").param(param).into()
}

fn unexpected_state(flow: &FlowRecord, birth: u64, wanted: &str, allowed: &str) -> Halt {
    let status = flow.intent.as_ref().map_or("", |intent| intent.status.wire());
    let message = format!(
        "This PaymentIntent could not be {wanted} because it has a status of {status}. \
         Only a PaymentIntent with one of the following statuses may be {wanted}: {allowed}."
    );
    Refusal::new(message).code("payment_intent_unexpected_state").intent(birth).into()
}

impl IntentStatus {
    /// The status on the wire.
    pub fn wire(self) -> &'static str {
        match self {
            IntentStatus::RequiresPaymentMethod => "requires_payment_method",
            IntentStatus::RequiresConfirmation => "requires_confirmation",
            IntentStatus::RequiresAction => "requires_action",
            IntentStatus::Processing => "processing",
            IntentStatus::RequiresCapture => "requires_capture",
            IntentStatus::Succeeded => "succeeded",
            IntentStatus::Canceled => "canceled",
        }
    }
}
