//! Payment methods and the single-use tokens that cards and bank accounts come in (sections 6.4 and 6.8).
//!
//! A payment method is usable while it is fresh or saved to a customer. Detaching it, or charging it without having
//! saved it, uses it up.

use super::account;
use super::command::{MethodInput, Request, TextPatch};
use super::customer;
use super::decide::{Change, Class, Context, Facts, Halt, Kinds, Outcome, Refusal, Reply};
use super::declines;
use super::draft::Draft;
use super::event::EventKind;
use super::record::{
    AccountToken, BankStatus, Card, Check, CustomerRecord, ExternalAccount, FutureUsage, MethodRecord, MethodRef,
    Recipe, Record, RecordKey, Shared, Slot, TokenContent, TokenRecord,
};
use super::refund::no_such;
use super::seal::Texts;
use crate::ledger::AccountNo;
use crate::primitives::id::{ObjectId, ObjectKind};

/// A card to charge, and where it lies.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The card.
    pub card: Card,
    /// Its payment method's record; `None`: given in the call, and the payment keeps it.
    pub saved: Option<MethodRef>,
    /// What naming it changes already: a token is used up.
    pub changes: Vec<Change>,
    /// What charging it changes: a payment method that no customer has is used up by its first charge.
    pub spent: Option<Change>,
    /// It was set up for payments without the payer.
    pub set_up: bool,
}

/// Looks up the payment method that a payment is to use, of the account acted for and (once saved) of the payment's
/// customer.
///
/// # Errors
/// 400 for what is unknown, another owner's, another customer's or used up; a missing fact.
pub fn resolve(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    acting: AccountNo,
    input: &MethodInput,
    customer: Option<u64>,
) -> Result<Resolved, Halt> {
    match *input {
        MethodInput::Inline(card) => Ok(Resolved::fresh(card)),
        MethodInput::Token(birth) => {
            let (card, _, used) = take_card_token(facts, ctx, acting, birth, "payment_method_data[card][token]")?;
            Ok(Resolved { changes: vec![used], ..Resolved::fresh(card) })
        }
        MethodInput::Saved(place) => {
            let unknown = || unknown_method(ctx, place, "payment_method");
            let (_, method) = find(facts, acting, place)?.ok_or_else(unknown)?.usable()?;
            let spent = match (method.customer, customer) {
                (None, _) => {
                    let record = MethodRecord { consumed: true, ..method.clone() };
                    Some(Change::of(place.key, Record::PaymentMethod(record)))
                }
                (Some(have), Some(wanted)) if have == wanted => {
                    customer::live(facts, ctx, acting, have, "customer")?;
                    None
                }
                (Some(have), wanted) => return Err(not_of_customer(ctx, place, have, wanted)),
            };
            let set_up = method.set_up == Some(true);
            Ok(Resolved { saved: Some(place), spent, set_up, ..Resolved::fresh(method.card) })
        }
    }
}

impl Resolved {
    /// A card that no payment method holds yet.
    pub fn fresh(card: Card) -> Resolved {
        Resolved { card, saved: None, changes: Vec::new(), spent: None, set_up: false }
    }
}

/// Makes a payment method of its own, at `key`, of a card that was given in an intent's call: one that is to be saved
/// must outlive the intent. `texts` are those of the call; the payment method takes the ones that are its own. They are
/// the owner's until it is saved.
///
/// # Errors
/// Too many metadata keys, or a missing fact.
pub fn of_intent(
    draft: &mut Draft<'_>,
    owner: AccountNo,
    key: RecordKey,
    card: Card,
    texts: &TextPatch,
) -> Result<MethodRef, Halt> {
    let key_no = owner_key(draft, owner)?;
    let own = |(path, text): &(String, Option<String>)| Some((own_path(path)?, text.clone()));
    let patch = TextPatch(texts.0.iter().filter_map(own).collect());
    fresh(draft, owner, key, card, None, key_no, Texts::default(), &patch)?;
    Ok(method_ref(key))
}

/// `payment_method_data[billing_details][name]` as the payment method itself has it; `None` for what is not its own.
fn own_path(path: &str) -> Option<String> {
    let inside = path.strip_prefix("payment_method_data[")?;
    let (name, rest) = inside.split_once(']')?;
    Some(format!("{name}{rest}"))
}

/// The texts of a call without those that a payment method of its own took.
pub fn without_method(texts: &TextPatch) -> TextPatch {
    TextPatch(texts.0.iter().filter(|(path, _)| own_path(path).is_none()).cloned().collect())
}

/// Saves the payment method of an intent that succeeded to the intent's customer, for payments without the payer where
/// it was set up for them. Without a customer, for a deleted one, and for a card that is only the intent's own, nothing is saved.
///
/// # Errors
/// A missing fact.
pub fn keep(
    draft: &mut Draft<'_>,
    owner: AccountNo,
    place: MethodRef,
    customer: Option<u64>,
    usage: FutureUsage,
) -> Result<bool, Halt> {
    let Some(customer) = customer else { return Ok(false) };
    let Some(buyer) = customer::find(draft, owner, customer)? else { return Ok(false) };
    let key_no = customer::of(&buyer)?.key_no;
    let Some(Found::Saved(before, mut record)) = find(draft, owner, place)? else { return Ok(false) };
    let attached = record.customer == Some(customer);
    let set_up = record.set_up == Some(true) || usage == FutureUsage::OffSession;
    if attached && record.set_up == set_up.then_some(true) {
        return Ok(true);
    }
    record.set_up = set_up.then_some(true);
    if attached {
        draft.change(Change::of(place.key, Record::PaymentMethod(record)).from(&before));
        return Ok(true);
    }
    let texts = draft.ctx.open(&record.private);
    record.private = draft.seal(key_no, &texts)?;
    record.card = checked(record.card);
    record.customer = Some(customer);
    draft.change(Change::of(place.key, Record::PaymentMethod(record)).listed(owner, Class::Method, Kinds::METHOD));
    draft.event(owner, EventKind::PaymentMethodAttached, place.id());
    Ok(true)
}

fn not_of_customer(ctx: &Context<'_>, place: MethodRef, have: u64, wanted: Option<u64>) -> Halt {
    let method = ctx.ids.encode(&place.id());
    let have = ctx.ids.encode(&customer::customer_id(have));
    let message = match wanted {
        None => {
            format!("The payment method {method} belongs to the customer {have}. Give `customer` = {have} to use it.")
        }
        Some(wanted) => format!(
            "The payment method {method} belongs to the customer {have}, not to {}. Use one of that customer's own \
             payment methods.",
            ctx.ids.encode(&customer::customer_id(wanted))
        ),
    };
    Refusal::new(message).param("payment_method").into()
}

// ---------------------------------------------------------------------------------------------------------------
// Tokens

/// Creates a card token. Its texts have no prefix, as there is one thing inside: `name`, `address_line1`, …
///
/// # Errors
/// A missing fact.
pub fn create_card_token(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    card: &Card,
) -> Result<Outcome, Halt> {
    create_token(facts, ctx, request, TokenContent::Card(*card), ObjectKind::Token)
}

/// Creates a bank account token. Its text has no prefix: `account_holder_name`.
///
/// # Errors
/// A missing fact.
pub fn create_bank_token(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    bank: &ExternalAccount,
) -> Result<Outcome, Halt> {
    let made = Draft::new(facts, ctx).made();
    let bank =
        ExternalAccount { made, default_for_currency: false, status: BankStatus::New, deleted: false, ..bank.clone() };
    create_token(facts, ctx, request, TokenContent::Bank(bank), ObjectKind::BankAccountToken)
}

/// Creates a token of an account's legal entity, or of a person. Texts as [`TokenContent`] says.
///
/// # Errors
/// A missing fact.
pub fn create_identity_token(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    content: &TokenContent,
) -> Result<Outcome, Halt> {
    create_token(facts, ctx, request, content.clone(), token_id(0, content).kind)
}

fn create_token(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    content: TokenContent,
    kind: ObjectKind,
) -> Result<Outcome, Halt> {
    let key_no = owner_key(facts, request.acting)?;
    let mut draft = Draft::new(facts, ctx);
    let mut texts = Texts::default();
    texts.apply("", &request.texts);
    let private = draft.seal(key_no, &texts)?;
    let key = RecordKey::head(ctx.seq);
    let record = TokenRecord { owner: request.acting, made: draft.made(), content, used: false, private };
    draft.change(Change::of(key, Record::Token(record)));
    let mut outcome = draft.finish(Reply::Object(key.id(kind, Slot::MAIN)));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// Uses a card token up: its card, its texts, and the change to record.
fn take_card_token(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    owner: AccountNo,
    birth: u64,
    param: &str,
) -> Result<(Card, Texts, Change), Halt> {
    let (token, used) = take_token(facts, ctx, owner, birth, ObjectKind::Token, param)?;
    match token.content {
        TokenContent::Card(card) => Ok((card, ctx.open(&token.private), used)),
        TokenContent::Bank(_) => {
            let message = "This token holds a bank account; a card token is needed here.";
            Err(Refusal::new(message).param(param).into())
        }
        TokenContent::Account(_) | TokenContent::Person(_) => Err(other_token(param)),
    }
}

/// Uses a token of a bank account or of a debit card up, as where payouts go.
///
/// # Errors
/// 400 for what is unknown, another owner's, neither of both or used up; a missing fact.
pub fn take_external_token(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    owner: AccountNo,
    birth: u64,
    param: &str,
) -> Result<(ExternalAccount, Texts, Change), Halt> {
    let (token, used) = take_token(facts, ctx, owner, birth, ObjectKind::BankAccountToken, param)?;
    let texts = ctx.open(&token.private);
    match token.content {
        TokenContent::Bank(bank) => Ok((bank, texts, used)),
        TokenContent::Card(card) => {
            let currency = card.country.default_currency().ok_or_else(|| {
                let message = format!("Debit cards of {} cannot be paid out to. Give a bank account.", card.country);
                Halt::from(Refusal::new(message).code("invalid_card_type").param(param))
            })?;
            Ok((ExternalAccount::debit_card(card, currency), texts, used))
        }
        TokenContent::Account(_) | TokenContent::Person(_) => Err(other_token(param)),
    }
}

/// Uses an account token up.
///
/// # Errors
/// As [`take_external_token`].
pub fn take_account_token(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    owner: AccountNo,
    birth: u64,
) -> Result<(AccountToken, Texts, Change), Halt> {
    const PARAM: &str = "account_token";
    let (token, used) = take_token(facts, ctx, owner, birth, ObjectKind::AccountToken, PARAM)?;
    match token.content {
        TokenContent::Account(account) => Ok((account, ctx.open(&token.private), used)),
        _ => Err(other_token(PARAM)),
    }
}

/// Uses a person token up.
///
/// # Errors
/// As [`take_external_token`].
pub fn take_person_token(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    owner: AccountNo,
    birth: u64,
) -> Result<(super::facts::Facts, Texts, Change), Halt> {
    const PARAM: &str = "person_token";
    let (token, used) = take_token(facts, ctx, owner, birth, ObjectKind::PersonToken, PARAM)?;
    match token.content {
        TokenContent::Person(person) => Ok((person, ctx.open(&token.private), used)),
        _ => Err(other_token(PARAM)),
    }
}

fn other_token(param: &str) -> Halt {
    Refusal::new("This token holds something else than what is needed here.").param(param).into()
}

fn take_token(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    owner: AccountNo,
    birth: u64,
    kind: ObjectKind,
    param: &str,
) -> Result<(TokenRecord, Change), Halt> {
    let key = RecordKey::head(birth);
    let id = |kind| ctx.ids.encode(&key.id(kind, Slot::MAIN));
    let record = facts.record(key)?;
    let token = match record.as_deref() {
        Some(Record::Token(token)) if token.owner == owner => token.clone(),
        _ => {
            let message = format!("No such token: '{}'", id(kind));
            return Err(Refusal::new(message).code("resource_missing").param(param).into());
        }
    };
    if token.used {
        let id = ctx.ids.encode(&token_id(birth, &token.content));
        let message = format!("You cannot use a token more than once: {id}. Create a new one.");
        return Err(Refusal::new(message).code("token_already_used").param(param).into());
    }
    let used = TokenRecord { used: true, ..token.clone() };
    Ok((token, Change::of(key, Record::Token(used))))
}

/// What a card token says of its holder, as billing details.
fn billing_texts(token: &Texts) -> Texts {
    let mut billing = Texts::default();
    for (from, to) in [
        ("name", "billing_details[name]"),
        ("address_line1", "billing_details[address][line1]"),
        ("address_line2", "billing_details[address][line2]"),
        ("address_city", "billing_details[address][city]"),
        ("address_state", "billing_details[address][state]"),
        ("address_zip", "billing_details[address][postal_code]"),
        ("address_country", "billing_details[address][country]"),
    ] {
        if let Some(text) = token.get(from) {
            billing.0.insert(to.to_owned(), text.to_owned());
        }
    }
    billing
}

// ---------------------------------------------------------------------------------------------------------------
// Payment methods

/// Creates a payment method of a card, a card token, or (on a connected account) as a copy of the platform's.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn create_method(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    input: &MethodInput,
    customer: Option<u64>,
) -> Result<Outcome, Halt> {
    let owner = request.acting;
    let key_no = owner_key(facts, owner)?;
    let mut draft = Draft::new(facts, ctx);
    let (card, texts) = match *input {
        MethodInput::Inline(card) => (card, Texts::default()),
        MethodInput::Token(birth) => {
            let (card, texts, used) = take_card_token(facts, ctx, owner, birth, "card[token]")?;
            draft.change(used);
            (card, billing_texts(&texts))
        }
        MethodInput::Saved(place) => copied(facts, ctx, owner, place, customer)?,
    };
    let key = RecordKey::head(ctx.seq);
    fresh(&mut draft, owner, key, card, None, key_no, texts, &request.texts)?;
    let mut outcome = draft.finish(Reply::Object(method_ref(key).id()));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// The platform's payment method, for a copy on a connected account. One that a customer has is copied only by who
/// names that customer.
fn copied(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    owner: AccountNo,
    place: MethodRef,
    customer: Option<u64>,
) -> Result<(Card, Texts), Halt> {
    if owner.is_platform() {
        let message = "Copies of a payment method are made on connected accounts: name one in the Stripe-Account \
                       header.";
        return Err(Refusal::new(message).param("payment_method").into());
    }
    let unknown = || unknown_method(ctx, place, "payment_method");
    let (_, method) = find(facts, AccountNo::PLATFORM, place)?.ok_or_else(unknown)?.usable()?;
    if let Some(customer) = customer {
        customer::live(facts, ctx, AccountNo::PLATFORM, customer, "customer")?;
    }
    match method.customer {
        Some(have) if customer != Some(have) => return Err(not_of_customer(ctx, place, have, customer)),
        None if customer.is_some() => {
            let message = "This payment method belongs to no customer: leave `customer` out, or attach it first.";
            return Err(Refusal::new(message).param("customer").into());
        }
        _ => {}
    }
    let mut texts = ctx.open(&method.private);
    texts.0.retain(|path, _| path.starts_with("billing_details["));
    Ok((method.card, texts))
}

/// Changes a payment method that a customer has.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn update_method(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    place: MethodRef,
    exp_month: Option<u8>,
    exp_year: Option<u16>,
) -> Result<Outcome, Halt> {
    let owner = request.acting;
    let Found::Saved(before, mut record) = in_path(facts, ctx, owner, place)? else {
        return Err(save_first());
    };
    let key_no = match record.customer {
        Some(customer) => customer::of(&*customer::live(facts, ctx, owner, customer, "customer")?)?.key_no,
        None => return Err(save_first()),
    };
    if let Some(month) = exp_month {
        if !(1..=12).contains(&month) {
            let message = "Your card's expiration month is invalid: it is 1 to 12.";
            return Err(Refusal::new(message).code("invalid_expiry_month").param("card[exp_month]").into());
        }
        record.card.exp_month = month;
    }
    if let Some(year) = exp_year {
        record.card.exp_year = year;
    }
    let mut draft = Draft::new(facts, ctx);
    if !request.texts.is_empty() {
        let mut texts = ctx.open(&record.private);
        texts.apply("", &request.texts);
        record.private = draft.seal(key_no, &texts)?;
    }
    draft.change(Change::of(place.key, Record::PaymentMethod(record)).from(&before));
    draft.event(owner, EventKind::PaymentMethodUpdated, place.id());
    let mut outcome = draft.finish(Reply::Object(place.id()));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

fn save_first() -> Halt {
    Refusal::new("You must save this PaymentMethod to a customer before you can update it.").into()
}

/// Saves a payment method to a customer.
///
/// # Errors
/// A refusal, or a missing fact. A card that declines when it is saved is no error: the reply says so, and nothing
/// changes.
pub fn attach(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    input: &MethodInput,
    customer: u64,
) -> Result<Outcome, Halt> {
    let owner = request.acting;
    let mut draft = Draft::new(facts, ctx);
    let key_no = customer::of(&*customer::live(facts, ctx, owner, customer, "customer")?)?.key_no;
    let fresh = RecordKey::head(ctx.seq);
    let saving = Saving { owner, customer, key_no, fresh, param: "payment_method", in_path: true };
    let mut outcome = match save(&mut draft, &saving, input, &request.texts)? {
        Ok(place) => draft.finish(Reply::Object(place.id())),
        Err(recipe) => Outcome::answer(Reply::MethodDeclined(recipe)),
    };
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// To whom a payment method is to be saved.
#[derive(Clone, Copy, Debug)]
pub struct Saving<'a> {
    /// Whose customer it is.
    pub owner: AccountNo,
    /// The customer; it may be one that this entry makes.
    pub customer: u64,
    /// The customer's key.
    pub key_no: u32,
    /// Where a payment method goes that is made by this.
    pub fresh: RecordKey,
    /// The parameter that names the payment method.
    pub param: &'a str,
    /// Whether it is named in the path of the call: then an unknown one is a 404.
    pub in_path: bool,
}

/// Saves a payment method to a customer, with its event. A decline leaves nothing in the draft that may be used.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn save(
    draft: &mut Draft<'_>,
    saving: &Saving<'_>,
    input: &MethodInput,
    patch: &TextPatch,
) -> Result<Result<MethodRef, Recipe>, Halt> {
    let (facts, ctx, owner) = (draft.facts, draft.ctx, saving.owner);
    let (card, texts) = match *input {
        MethodInput::Saved(place) => return save_known(draft, saving, place, patch),
        MethodInput::Inline(card) => (card, Texts::default()),
        MethodInput::Token(birth) => {
            let (card, texts, used) = take_card_token(facts, ctx, owner, birth, saving.param)?;
            draft.change(used);
            (card, billing_texts(&texts))
        }
    };
    if declines::declines_saving(card.recipe) {
        return Ok(Err(card.recipe));
    }
    fresh(draft, owner, saving.fresh, checked(card), Some(saving.customer), saving.key_no, texts, patch)?;
    let place = method_ref(saving.fresh);
    draft.event(owner, EventKind::PaymentMethodAttached, place.id());
    Ok(Ok(place))
}

fn save_known(
    draft: &mut Draft<'_>,
    saving: &Saving<'_>,
    place: MethodRef,
    patch: &TextPatch,
) -> Result<Result<MethodRef, Recipe>, Halt> {
    let (facts, ctx, owner) = (draft.facts, draft.ctx, saving.owner);
    let found = if saving.in_path {
        in_path(facts, ctx, owner, place)?
    } else {
        find(facts, owner, place)?.ok_or_else(|| unknown_method(ctx, place, saving.param))?
    };
    let (_, mut record) = found.usable()?;
    if record.customer.is_some() {
        let message = "The payment method you provided has already been attached to a customer.";
        return Err(Refusal::new(message).into());
    }
    if declines::declines_saving(record.card.recipe) {
        return Ok(Err(record.card.recipe));
    }
    let mut texts = ctx.open(&record.private);
    texts.apply("", patch);
    // From now on it belongs to the customer, and goes when the customer's key goes.
    record.private = draft.seal(saving.key_no, &texts)?;
    record.card = checked(record.card);
    record.customer = Some(saving.customer);
    let change = Change::of(place.key, Record::PaymentMethod(record));
    draft.change(change.listed(owner, Class::Method, Kinds::METHOD));
    draft.event(owner, EventKind::PaymentMethodAttached, place.id());
    Ok(Ok(place))
}

/// Takes a payment method from its customer. It cannot be used again.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn detach(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, place: MethodRef) -> Result<Outcome, Halt> {
    let owner = request.acting;
    let unattached = || {
        let message = "The payment method you provided is not attached to a customer so detachment is impossible.";
        Halt::from(Refusal::new(message))
    };
    let Found::Saved(before, mut record) = in_path(facts, ctx, owner, place)? else {
        return Err(unattached());
    };
    let customer = record.customer.take().ok_or_else(unattached)?;
    let key_no = customer::of(&*customer::find(facts, owner, customer)?.ok_or_else(unattached)?)?.key_no;
    record.consumed = true;
    let mut draft = Draft::new(facts, ctx);
    if !request.texts.is_empty() {
        let mut texts = ctx.open(&record.private);
        texts.apply("", &request.texts);
        record.private = draft.seal(key_no, &texts)?;
    }
    draft.change(Change::of(place.key, Record::PaymentMethod(record)).from(&before));
    draft.event(owner, EventKind::PaymentMethodDetached, place.id());
    forget_default(&mut draft, customer, place)?;
    let mut outcome = draft.finish(Reply::Object(place.id()));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// A customer's default payment method that goes is its default no more.
fn forget_default(draft: &mut Draft<'_>, customer: u64, place: MethodRef) -> Result<(), Halt> {
    let key = RecordKey::head(customer);
    let Some(before) = draft.facts.record(key)? else { return Ok(()) };
    if let Record::Customer(have) = &*before
        && have.default_method == Some(place)
    {
        let record = CustomerRecord { default_method: None, ..have.clone() };
        draft.change(Change::of(key, Record::Customer(record)).from(&before));
        draft.event(have.owner, EventKind::CustomerUpdated, customer::customer_id(customer));
    }
    Ok(())
}

// ---------------------------------------------------------------------------------------------------------------
// Parts

/// A payment method that exists.
enum Found {
    /// With a record of its own.
    Saved(Shared, MethodRecord),
    /// Made inside a payment, for that payment.
    Inline,
}

impl Found {
    /// It can still be used.
    fn usable(self) -> Result<(Shared, MethodRecord), Halt> {
        match self {
            Found::Saved(record, method) if !method.consumed => Ok((record, method)),
            Found::Saved(..) | Found::Inline => {
                let message = "This PaymentMethod was previously used without being attached to a Customer or was \
                               detached from a Customer, and may not be used again. To use one several times, attach \
                               it to a Customer first.";
                Err(Refusal::new(message).into())
            }
        }
    }
}

/// A payment method of `owner`.
fn find(facts: &dyn Facts, owner: AccountNo, place: MethodRef) -> Result<Option<Found>, Halt> {
    let Some(record) = facts.record(place.key)? else { return Ok(None) };
    Ok(match &*record {
        Record::PaymentMethod(method) if place.slot == Slot::MAIN && method.owner == owner => {
            let method = method.clone();
            Some(Found::Saved(record, method))
        }
        Record::Flow(flow)
            if flow.owner == owner && flow.inline_method.is_some_and(|inline| inline.slot == place.slot) =>
        {
            Some(Found::Inline)
        }
        _ => None,
    })
}

fn in_path(facts: &dyn Facts, ctx: &Context<'_>, owner: AccountNo, place: MethodRef) -> Result<Found, Halt> {
    find(facts, owner, place)?.ok_or_else(|| no_such(ctx, "PaymentMethod", &place.id(), "payment_method"))
}

fn unknown_method(ctx: &Context<'_>, place: MethodRef, param: &str) -> Halt {
    let message = format!(
        "No such PaymentMethod: '{}'. A payment method works only on the account that it was made on.",
        ctx.ids.encode(&place.id())
    );
    Refusal::new(message).code("resource_missing").param(param).into()
}

fn method_ref(key: RecordKey) -> MethodRef {
    MethodRef { key, slot: Slot::MAIN }
}

/// The key of the account that owns what no customer does.
pub fn owner_key(facts: &dyn Facts, owner: AccountNo) -> Result<u32, Halt> {
    Ok(account::of(&*account::load(facts, owner)?)?.key_no)
}

/// Saving a card checks its security code.
fn checked(card: Card) -> Card {
    match card.cvc_check {
        Check::Unchecked => Card { cvc_check: Check::Pass, ..card },
        Check::Absent | Check::Pass | Check::Fail => card,
    }
}

#[expect(clippy::too_many_arguments, reason = "a payment method's record has this many sides")]
fn fresh(
    draft: &mut Draft<'_>,
    owner: AccountNo,
    key: RecordKey,
    card: Card,
    customer: Option<u64>,
    key_no: u32,
    mut texts: Texts,
    patch: &TextPatch,
) -> Result<(), Halt> {
    texts.apply("", patch);
    let private = draft.seal(key_no, &texts)?;
    let record = MethodRecord { owner, made: draft.made(), card, customer, consumed: false, private, set_up: None };
    draft.change(Change::of(key, Record::PaymentMethod(record)).listed(owner, Class::Method, Kinds::METHOD));
    Ok(())
}

/// A token's id, by what it holds.
pub fn token_id(birth: u64, content: &TokenContent) -> ObjectId {
    let kind = match content {
        TokenContent::Card(_) => ObjectKind::Token,
        TokenContent::Bank(_) => ObjectKind::BankAccountToken,
        TokenContent::Account(_) => ObjectKind::AccountToken,
        TokenContent::Person(_) => ObjectKind::PersonToken,
    };
    RecordKey::head(birth).id(kind, Slot::MAIN)
}

#[cfg(test)]
mod tests {
    use super::super::account::world::{World, card};
    use super::super::command::Command;
    use super::*;

    fn method<'a>(world: &'a World, id: &ObjectId) -> &'a MethodRecord {
        match world.get(RecordKey::of(id)) {
            Record::PaymentMethod(record) => record,
            other => panic!("{other:?}"),
        }
    }

    fn place(id: &ObjectId) -> MethodRef {
        MethodRef { key: RecordKey::of(id), slot: id.slot }
    }

    fn inline(recipe: Recipe) -> MethodInput {
        MethodInput::Inline(card(recipe))
    }

    fn create(world: &mut World) -> ObjectId {
        world.make(Command::CreateMethod { input: inline(Recipe::Succeed), customer: None })
    }

    fn customer(world: &mut World) -> u64 {
        world.make(Command::CreateCustomer { method: None, default: None }).birth
    }

    fn account(world: &mut World) -> AccountNo {
        AccountNo(world.make(Command::CreateAccount(Box::default())).birth)
    }

    fn refused(world: &World, acting: AccountNo, input: &MethodInput, customer: Option<u64>) -> Refusal {
        match resolve(world, &world.ctx(), acting, input, customer) {
            Err(Halt::Refused(refusal)) => *refusal,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_payment_method_is_created_for_its_owner() {
        let mut world = World::new();
        let seller = account(&mut world);
        let texts = [("billing_details[name]", "Jenny Rosen")];
        let command = Command::CreateMethod { input: inline(Recipe::Succeed), customer: None };
        let id = world.make_as(seller, command, &texts);
        assert_eq!(id.kind, ObjectKind::PaymentMethod);
        let record = method(&world, &id);
        assert_eq!((record.owner, record.customer, record.consumed), (seller, None, false));
        assert_eq!(record.card.cvc_check, Check::Unchecked);
        assert_eq!(world.texts(&record.private).get("billing_details[name]"), Some("Jenny Rosen"));
        assert_eq!(record.private.key_no, world.account(seller).key_no);
        let outcome = world.last.as_ref().unwrap();
        assert_eq!((outcome.events.len(), outcome.text_key_no), (0, record.private.key_no));
        let [row] = outcome.changes[0].index.as_slice() else { panic!("one list entry") };
        assert_eq!((row.account, row.class, row.kinds), (seller, Class::Method, Kinds::METHOD));
    }

    #[test]
    fn a_token_is_used_once() {
        let mut world = World::new();
        let texts = [("name", "Jenny Rosen"), ("address_zip", "94111")];
        let command = Command::CreateCardToken { card: card(Recipe::Succeed) };
        let token = world.make_as(AccountNo::PLATFORM, command, &texts);
        assert_eq!(token.kind, ObjectKind::Token);
        let Record::Token(record) = world.get(RecordKey::of(&token)) else { panic!("a token") };
        assert_eq!(token_id(token.birth, &record.content), token);

        let create = Command::CreateMethod { input: MethodInput::Token(token.birth), customer: None };
        let texts = [("billing_details[email]", "jenny@example.com")];
        let id = world.make_as(AccountNo::PLATFORM, create.clone(), &texts);
        let texts = world.texts(&method(&world, &id).private);
        assert_eq!(texts.get("billing_details[name]"), Some("Jenny Rosen"));
        assert_eq!(texts.get("billing_details[address][postal_code]"), Some("94111"));
        assert_eq!(texts.get("billing_details[email]"), Some("jenny@example.com"));

        let refusal = world.run(create).unwrap_err();
        assert_eq!((refusal.status, refusal.code.as_deref()), (400, Some("token_already_used")));
        assert!(refusal.message.contains(&world.text(&token)));
        let refusal = refused(&world, AccountNo::PLATFORM, &MethodInput::Token(token.birth), None);
        assert_eq!(refusal.code.as_deref(), Some("token_already_used"));
    }

    #[test]
    fn a_payment_uses_a_token_up() {
        let mut world = World::new();
        let token = world.make(Command::CreateCardToken { card: card(Recipe::Succeed) });
        let input = MethodInput::Token(token.birth);
        let resolved = resolve(&world, &world.ctx(), AccountNo::PLATFORM, &input, None).unwrap();
        assert_eq!((resolved.card, resolved.saved), (card(Recipe::Succeed), None));
        let [used] = resolved.changes.as_slice() else { panic!("one change") };
        assert!(matches!(&*used.after, Record::Token(token) if token.used));
        assert!(resolved.spent.is_none());

        let seller = account(&mut world);
        let refusal = refused(&world, seller, &input, None);
        assert_eq!(refusal.code.as_deref(), Some("resource_missing"));
        assert_eq!(refusal.message, format!("No such token: '{}'", world.text(&token)));
    }

    #[test]
    fn a_payment_finds_its_method_or_says_why_not() {
        let mut world = World::new();
        let platform = AccountNo::PLATFORM;
        let seller = account(&mut world);
        let (one, other) = (customer(&mut world), customer(&mut world));
        let loose = MethodInput::Saved(place(&create(&mut world)));
        let attach = Command::AttachMethod { method: inline(Recipe::Succeed), customer: one };
        let saved = MethodInput::Saved(place(&world.make(attach.clone())));
        let detached = place(&world.make(attach));
        world.run(Command::DetachMethod { method: detached }).unwrap();
        let detached = MethodInput::Saved(detached);
        let unknown = MethodInput::Saved(MethodRef { key: RecordKey::head(99), slot: Slot::MAIN });

        let missing = Some("resource_missing");
        let at_method = Some("payment_method");
        // input, acting, customer; code, param, part of the message
        for (input, acting, customer, code, param, part) in [
            (&unknown, platform, None, missing, at_method, "No such PaymentMethod: 'pm_"),
            (&loose, seller, None, missing, at_method, "No such PaymentMethod: 'pm_"),
            (&saved, platform, None, None, at_method, "Give `customer` = cus_"),
            (&saved, platform, Some(other), None, at_method, "belongs to the customer cus_"),
            (&detached, platform, Some(one), None, None, "may not be used again"),
            (&detached, platform, None, None, None, "may not be used again"),
        ] {
            let refusal = refused(&world, acting, input, customer);
            assert_eq!((refusal.status, refusal.code.as_deref()), (400, code), "{refusal:?}");
            assert_eq!(refusal.param.as_deref(), param, "{refusal:?}");
            assert!(refusal.message.contains(part), "{refusal:?}");
        }

        let found = resolve(&world, &world.ctx(), platform, &saved, Some(one)).unwrap();
        assert!(found.saved.is_some() && found.changes.is_empty() && found.spent.is_none());
        let found = resolve(&world, &world.ctx(), platform, &loose, Some(one)).unwrap();
        let spent = found.spent.unwrap();
        assert!(matches!(&*spent.after, Record::PaymentMethod(method) if method.consumed));
        let found = resolve(&world, &world.ctx(), platform, &inline(Recipe::LostCard), None).unwrap();
        assert_eq!((found.card.recipe, found.saved), (Recipe::LostCard, None));

        world.run(Command::DeleteCustomer { customer: one }).unwrap();
        let refusal = refused(&world, platform, &saved, Some(one));
        assert_eq!((refusal.code.as_deref(), refusal.param.as_deref()), (missing, Some("customer")));
    }

    #[test]
    fn attaching_makes_a_fresh_one_or_takes_the_one_there_is() {
        let mut world = World::new();
        let buyer = customer(&mut world);
        let key_no = customer::of(world.get(RecordKey::head(buyer))).unwrap().key_no;
        let fresh = world.make(Command::AttachMethod { method: inline(Recipe::Succeed), customer: buyer });
        assert_eq!(world.events(), [(AccountNo::PLATFORM, EventKind::PaymentMethodAttached)]);
        let record = method(&world, &fresh);
        assert_eq!((record.customer, record.card.cvc_check), (Some(buyer), Check::Pass));

        let texts = [("billing_details[name]", "Jenny Rosen")];
        let create = Command::CreateMethod { input: inline(Recipe::Succeed), customer: None };
        let known = world.make_as(AccountNo::PLATFORM, create, &texts);
        let attach = Command::AttachMethod { method: MethodInput::Saved(place(&known)), customer: buyer };
        assert_eq!(world.make(attach.clone()), known);
        let record = method(&world, &known);
        assert_eq!(record.customer, Some(buyer));
        assert_eq!(record.private.key_no, key_no, "its texts go when the customer's key goes");
        assert_eq!(world.texts(&record.private).get("billing_details[name]"), Some("Jenny Rosen"));
        let outcome = world.last.as_ref().unwrap();
        let [row] = outcome.changes[0].index.as_slice() else { panic!("one list entry") };
        assert_eq!((row.class, row.kinds), (Class::Method, Kinds::METHOD | Kinds::EVENT));

        let refusal = world.run(attach).unwrap_err();
        assert_eq!((refusal.status, refusal.code, refusal.param), (400, None, None));
        assert!(refusal.message.contains("already been attached"));
    }

    #[test]
    fn attaching_needs_what_there_is() {
        let mut world = World::new();
        let seller = account(&mut world);
        let buyer = customer(&mut world);
        let unknown = MethodInput::Saved(MethodRef { key: RecordKey::head(99), slot: Slot::MAIN });
        for (acting, input, customer, status, param) in [
            (AccountNo::PLATFORM, unknown, buyer, 404, "payment_method"),
            (AccountNo::PLATFORM, inline(Recipe::Succeed), 99, 400, "customer"),
            (seller, inline(Recipe::Succeed), buyer, 400, "customer"),
            (AccountNo::PLATFORM, MethodInput::Token(buyer), buyer, 400, "payment_method"),
        ] {
            let command = Command::AttachMethod { method: input, customer };
            let refusal = world.run_as(acting, command, &[]).unwrap_err();
            assert_eq!((refusal.status, refusal.param.as_deref()), (status, Some(param)), "{refusal:?}");
            assert_eq!(refusal.code.as_deref(), Some("resource_missing"));
        }
    }

    #[test]
    fn cards_that_decline_cannot_be_saved() {
        for (recipe, saved) in [
            (Recipe::Succeed, true),
            (Recipe::BypassPending, true),
            (Recipe::ChargeCustomerFail, true),
            (Recipe::AuthenticationRequired, true),
            (Recipe::GenericDecline, false),
            (Recipe::InsufficientFunds, false),
            (Recipe::LostCard, false),
            (Recipe::StolenCard, false),
            (Recipe::ExpiredCard, false),
            (Recipe::IncorrectCvc, false),
            (Recipe::ProcessingError, false),
            (Recipe::VelocityExceeded, false),
            (Recipe::Fraudulent, false),
        ] {
            let mut world = World::new();
            let buyer = customer(&mut world);
            let known = world.make(Command::CreateMethod { input: inline(recipe), customer: None });
            let token = world.make(Command::CreateCardToken { card: card(recipe) });
            for input in [inline(recipe), MethodInput::Saved(place(&known)), MethodInput::Token(token.birth)] {
                let reply = world.run(Command::AttachMethod { method: input, customer: buyer }).unwrap();
                let outcome = world.last.as_ref().unwrap();
                if saved {
                    assert!(matches!(reply, Reply::Object(_)), "{recipe:?}");
                } else {
                    assert_eq!(reply, Reply::MethodDeclined(recipe));
                    assert!(outcome.changes.is_empty() && outcome.events.is_empty(), "{recipe:?}");
                }
            }
        }
    }

    #[test]
    fn detaching_uses_it_up() {
        let mut world = World::new();
        let buyer = customer(&mut world);
        let id = world.make(Command::AttachMethod { method: inline(Recipe::Succeed), customer: buyer });
        let detach = Command::DetachMethod { method: place(&id) };
        assert_eq!(world.make(detach.clone()), id);
        assert_eq!(world.events(), [(AccountNo::PLATFORM, EventKind::PaymentMethodDetached)]);
        let record = method(&world, &id);
        assert_eq!((record.customer, record.consumed), (None, true));

        let again = world.run(detach).unwrap_err();
        assert_eq!((again.status, again.code, again.param), (400, None, None));
        let attach = Command::AttachMethod { method: MethodInput::Saved(place(&id)), customer: buyer };
        let refusal = world.run(attach).unwrap_err();
        assert_eq!((refusal.status, refusal.code, refusal.param), (400, None, None));
        let unknown = MethodRef { key: RecordKey::head(99), slot: Slot::MAIN };
        assert_eq!(world.run(Command::DetachMethod { method: unknown }).unwrap_err().status, 404);
    }

    #[test]
    fn only_a_saved_one_is_updated() {
        let mut world = World::new();
        let buyer = customer(&mut world);
        let loose = create(&mut world);
        let update = |id: &ObjectId, month| Command::UpdateMethod {
            method: place(id),
            exp_month: Some(month),
            exp_year: Some(2035),
        };
        assert!(world.run(update(&loose, 2)).unwrap_err().message.contains("save this PaymentMethod"));

        let id = world.make(Command::AttachMethod { method: inline(Recipe::Succeed), customer: buyer });
        let texts = [("billing_details[phone]", "0000000000")];
        world.run_as(AccountNo::PLATFORM, update(&id, 2), &texts).unwrap();
        let record = method(&world, &id);
        assert_eq!((record.card.exp_month, record.card.exp_year), (2, 2035));
        assert_eq!(world.texts(&record.private).get("billing_details[phone]"), Some("0000000000"));
        assert_eq!(world.events(), [(AccountNo::PLATFORM, EventKind::PaymentMethodUpdated)]);
        assert!(world.last.as_ref().unwrap().changes[0].before.is_some());
        let refusal = world.run(update(&id, 13)).unwrap_err();
        assert_eq!(refusal.code.as_deref(), Some("invalid_expiry_month"));
    }

    #[test]
    fn a_connected_account_gets_a_copy_of_the_platforms_card() {
        let mut world = World::new();
        let seller = account(&mut world);
        let texts = [("billing_details[name]", "Jenny Rosen"), ("metadata[a]", "1")];
        let command = Command::CreateMethod { input: inline(Recipe::Succeed), customer: None };
        let original = world.make_as(AccountNo::PLATFORM, command, &texts);
        let copy = Command::CreateMethod { input: MethodInput::Saved(place(&original)), customer: None };
        let refusal = world.run(copy.clone()).unwrap_err();
        assert_eq!(refusal.param.as_deref(), Some("payment_method"));
        let copy = world.make_as(seller, copy, &[]);
        let record = method(&world, &copy);
        assert_eq!((record.owner, record.card), (seller, method(&world, &original).card));
        let texts = world.texts(&record.private);
        assert_eq!((texts.get("billing_details[name]"), texts.get("metadata[a]")), (Some("Jenny Rosen"), None));
    }
}
