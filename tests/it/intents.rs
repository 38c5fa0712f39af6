//! Payment and setup intents: what each test card does, every move of the machine, authentication, saved cards.

use std::path::Path;

use florin::api::cards::{self, RawCard};
use florin::api::secrets::Secrets;
use florin::domain::command::{Command, IntentInput, MethodInput, Request, SetupInput, TextPatch};
use florin::domain::decide::{Refusal, Reply};
use florin::domain::declines;
use florin::domain::event::EventKind;
use florin::domain::record::{
    CaptureMethod, Card, CardOptions, CardUsage, Decline, FutureUsage, IntentStatus, MethodRecord, MethodRef, Recipe,
    Record, RecordKey, SetupAttemptStatus, SetupRecord, Slot, ThreeDSecure, ThreeDSecureRequest,
};
use florin::domain::setup::{attempt_key, setup_id};
use florin::engine::entry::JournalEntry;
use florin::engine::plain::Told;
use florin::ledger::AccountNo;
use florin::primitives::id::{ObjectId, ObjectKind};
use florin::primitives::{Country, Currency};
use toml::Value;

use crate::story::{decide_again, fresh};
use crate::town::{Done, NOON, Town, card, intent, intent_id};

const USD: Currency = Currency::USD;
const PLATFORM: AccountNo = AccountNo::PLATFORM;

impl Town {
    fn customer(&mut self) -> u64 {
        self.done(Command::CreateCustomer { method: None, default: None }).seq
    }

    fn saved(&mut self, recipe: Recipe, customer: u64) -> MethodRef {
        let method = MethodInput::Inline(card(recipe));
        match self.done(Command::AttachMethod { method, customer }).reply {
            Reply::Object(id) => place(&id),
            other => panic!("{other:?}"),
        }
    }

    fn method(&self, place: MethodRef) -> MethodRecord {
        match &*self.record(place.key) {
            Record::PaymentMethod(method) => method.clone(),
            other => panic!("no payment method: {other:?}"),
        }
    }

    fn setup(&self, birth: u64) -> SetupRecord {
        match &*self.record(RecordKey::head(birth)) {
            Record::Setup(setup) => setup.as_ref().clone(),
            other => panic!("no setup intent: {other:?}"),
        }
    }

    fn status(&self, birth: u64) -> IntentStatus {
        self.flow(birth).intent.expect("an intent").status
    }

    /// The payer answers whatever an intent waits for.
    fn authenticate(&mut self, id: ObjectId, passed: bool) -> Done {
        let waits = match &*self.record(RecordKey::of(&id)) {
            Record::Flow(flow) => flow.intent.as_ref().and_then(|intent| intent.authentication),
            Record::Setup(setup) => setup.authentication,
            other => panic!("no intent: {other:?}"),
        };
        let number = waits.expect("an authentication").number;
        self.done(Command::Authenticate { intent: id, number, passed })
    }

    /// The kinds of the events of the last entry.
    fn events(&self) -> Vec<EventKind> {
        let entry = JournalEntry::from_bytes(self.plain.entries.last().expect("an entry")).expect("it reads back");
        entry.events.iter().map(|event| event.kind).collect()
    }

    /// An intent that waits for the payer.
    fn waiting(&mut self, with: impl FnOnce(&mut IntentInput)) -> u64 {
        let done = self.charge(10_000, USD, |input| {
            input.method = Some(MethodInput::Inline(card(Recipe::AuthenticateAlways)));
            with(input);
        });
        assert_eq!(self.status(done.seq), IntentStatus::RequiresAction);
        done.seq
    }
}

fn place(id: &ObjectId) -> MethodRef {
    MethodRef { key: RecordKey::of(id), slot: id.slot }
}

/// The status that an intent stands at, or the words of the error that its latest attempt came to.
fn outcome(town: &Town, id: ObjectId) -> String {
    let (status, error) = match &*town.record(RecordKey::of(&id)) {
        Record::Flow(flow) => {
            let intent = flow.intent.as_ref().expect("an intent");
            (intent.status, intent.last_error)
        }
        Record::Setup(setup) => (setup.status, setup.last_error),
        other => panic!("no intent: {other:?}"),
    };
    match error {
        None => status.wire().to_owned(),
        Some(Decline { recipe }) => {
            assert_eq!(status, IntentStatus::RequiresPaymentMethod);
            let words = declines::of(recipe).expect("a decline");
            format!("{} {}", words.code, words.decline_code)
        }
    }
}

fn paid(town: &mut Town, method: MethodInput, with: impl FnOnce(&mut IntentInput)) -> ObjectId {
    let done = town.charge(10_000, USD, |input| {
        input.method = Some(method);
        with(input);
    });
    let id = intent_id(done.seq);
    let declined = town.flow(done.seq).intent.is_some_and(|intent| intent.last_error.is_some());
    assert_eq!(done.reply, if declined { Reply::Declined(id) } else { Reply::Object(id) });
    id
}

fn table() -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tables/cards.toml");
    let text = std::fs::read_to_string(path).expect("the table");
    let table: toml::Table = toml::from_str(&text).expect("TOML");
    let texts = |row: &Value| -> Vec<String> {
        row.as_array().expect("a row").iter().map(|cell| cell.as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(texts(&table["columns"]), ["number", "name", "on", "passed", "off", "setup", "later"]);
    table["rows"].as_array().expect("rows").iter().map(texts).collect()
}

#[test]
fn every_test_card_does_what_the_table_says() {
    let secrets = Secrets::new([1; 32], [2; 32], [3; 32]);
    let rows = table();
    assert!(rows.len() > 30);
    for row in rows {
        let [number, name, on, passed, off, setup, later] = row.as_slice() else { panic!("{row:?}") };
        let cvc = if number.len() == 15 { "1234" } else { "123" };
        let given = RawCard { number, exp_month: 12, exp_year: 2034, cvc: Some(cvc) };
        let card = cards::raw(&secrets, &given, NOON).expect("a test card");
        if !name.is_empty() {
            let named = cards::named(&secrets, &format!("pm_card_{name}")).expect("a name");
            assert_eq!((named.fingerprint, named.recipe), (card.fingerprint, card.recipe), "{name}");
        }
        let mut town = Town::new();
        let inline = MethodInput::Inline(card);

        let id = paid(&mut town, inline.clone(), |_| {});
        assert_eq!(outcome(&town, id), *on, "{number} on session");
        if !passed.is_empty() {
            town.authenticate(id, true);
            assert_eq!(outcome(&town, id), *passed, "{number} after authentication");
            let charge = town.flow(id.birth).charge.expect("a charge");
            assert_eq!(charge.three_d_secure, Some(ThreeDSecure::Challenged), "{number}");
        }
        let id = paid(&mut town, inline, |input| input.off_session = true);
        assert_eq!(outcome(&town, id), *off, "{number} off session");

        let customer = town.customer();
        let saved = set_up(&mut town, card, Some(customer));
        if town.setup(saved).status == IntentStatus::RequiresAction {
            town.authenticate(setup_id(saved), true);
        }
        assert_eq!(outcome(&town, setup_id(saved)), *setup, "{number} set up");
        if later.is_empty() {
            assert_eq!(town.setup(saved).method, None, "{number}: what failed is taken off");
        } else {
            let method = town.setup(saved).method.expect("a payment method");
            assert_eq!(town.method(method).customer, Some(customer), "{number}");
            let id = paid(&mut town, MethodInput::Saved(method), |input| {
                input.customer = Some(customer);
                input.off_session = true;
            });
            assert_eq!(outcome(&town, id), *later, "{number} off session after the setup");
        }
        town.expect_books_closed();
    }
}

fn set_up(town: &mut Town, card: Card, customer: Option<u64>) -> u64 {
    let input =
        SetupInput { confirm: true, method: Some(MethodInput::Inline(card)), customer, ..SetupInput::default() };
    town.done(Command::CreateSetup(Box::new(input))).seq
}

// ---------------------------------------------------------------------------------------------------------------
// The machine

/// An intent in each of its states.
fn in_state(town: &mut Town, status: IntentStatus) -> u64 {
    let birth = match status {
        IntentStatus::RequiresPaymentMethod => {
            town.charge(10_000, USD, |input| {
                input.confirm = false;
                input.method = None;
            })
            .seq
        }
        IntentStatus::RequiresConfirmation => town.charge(10_000, USD, |input| input.confirm = false).seq,
        IntentStatus::RequiresAction => town.waiting(|_| {}),
        IntentStatus::RequiresCapture => {
            town.charge(10_000, USD, |input| input.capture_method = Some(CaptureMethod::Manual)).seq
        }
        IntentStatus::Succeeded => town.charge(10_000, USD, |_| {}).seq,
        IntentStatus::Canceled => {
            let birth = in_state(town, IntentStatus::RequiresPaymentMethod);
            town.done(Command::CancelIntent { intent: birth, reason: None });
            birth
        }
        IntentStatus::Processing => panic!("no card payment is ever there"),
    };
    assert_eq!(town.status(birth), status);
    birth
}

#[test]
fn every_move_is_allowed_where_the_machine_has_it_and_an_error_elsewhere() {
    use IntentStatus::*;
    let confirm = |intent| Command::ConfirmIntent { intent, input: Box::default() };
    let confirm_with = |intent| {
        let method = Some(MethodInput::Inline(card(Recipe::Succeed)));
        Command::ConfirmIntent { intent, input: Box::new(IntentInput { method, ..IntentInput::default() }) }
    };
    let capture =
        |intent| Command::CaptureIntent { intent, amount: None, application_fee: None, transfer_amount: None };
    let cancel = |intent| Command::CancelIntent { intent, reason: None };
    let reprice = |intent| {
        let input = IntentInput { amount: Some(9_000), ..IntentInput::default() };
        Command::UpdateIntent { intent, input: Box::new(input) }
    };
    let exchange = |intent| {
        let method = Some(MethodInput::Inline(card(Recipe::Succeed)));
        Command::UpdateIntent { intent, input: Box::new(IntentInput { method, ..IntentInput::default() }) }
    };
    let no: Option<IntentStatus> = None;
    type Move<'a> = (&'a str, &'a dyn Fn(u64) -> Command, [Option<IntentStatus>; 6]);
    let from = [RequiresPaymentMethod, RequiresConfirmation, RequiresAction, RequiresCapture, Succeeded, Canceled];
    let to = Some;
    #[rustfmt::skip]
    let moves: [Move<'_>; 6] = [
        ("confirm", &confirm,           [no, to(Succeeded), to(RequiresAction), no, no, no]),
        ("confirm with a card", &confirm_with, [to(Succeeded), to(Succeeded), to(Succeeded), no, no, no]),
        ("capture", &capture,           [no, no, no, to(Succeeded), no, no]),
        ("cancel", &cancel,             [to(Canceled), to(Canceled), to(Canceled), to(Canceled), no, no]),
        ("reprice", &reprice,           [to(RequiresPaymentMethod), to(RequiresConfirmation), no, no, no, no]),
        ("exchange the card", &exchange, [to(RequiresConfirmation), to(RequiresConfirmation), to(RequiresConfirmation), no, no, no]),
    ];
    for (name, make, results) in moves {
        for (status, result) in from.into_iter().zip(results) {
            let mut town = Town::new();
            let birth = in_state(&mut town, status);
            match result {
                Some(after) => {
                    town.done(make(birth));
                    assert_eq!(town.status(birth), after, "{name} from {status:?}");
                }
                None => {
                    let refusal = town.refused(make(birth));
                    assert_eq!(refusal.code.as_deref(), Some("payment_intent_unexpected_state"), "{name}: {refusal:?}");
                    assert_eq!(refusal.intent, Some(RecordKey::head(birth)), "{name} from {status:?} shows the intent");
                    assert_eq!(town.status(birth), status);
                }
            }
            town.expect_books_closed();
        }
    }
}

#[test]
fn words_may_change_as_long_as_there_is_something_to_describe() {
    for status in [IntentStatus::RequiresAction, IntentStatus::RequiresCapture, IntentStatus::Succeeded] {
        let mut town = Town::new();
        let intent = in_state(&mut town, status);
        let command = Command::UpdateIntent { intent, input: Box::default() };
        let mut texts = TextPatch::default();
        texts.set("description", "Two chairs");
        match town.told(&Request { texts, ..Town::request(command) }) {
            Told::Decided(_) => assert_eq!(town.status(intent), status),
            other => panic!("{status:?}: {other:?}"),
        }
    }
    let mut town = Town::new();
    let intent = in_state(&mut town, IntentStatus::Canceled);
    assert!(town.refused(Command::UpdateIntent { intent, input: Box::default() }).intent.is_some());
}

// ---------------------------------------------------------------------------------------------------------------
// Authentication

#[test]
fn a_payment_waits_for_the_payer_and_goes_on_with_the_answer() {
    let mut town = Town::new();
    let seller = town.seller(Country::US, USD);
    let birth = town.waiting(|input| {
        input.destination = Some(seller);
        input.application_fee = Some(Some(1_000));
    });
    let created = [EventKind::PaymentIntentCreated, EventKind::PaymentIntentRequiresAction];
    assert_eq!(town.events(), created);
    assert!(town.flow(birth).charge.is_none() && town.rows().is_empty(), "nothing moves before the answer");

    let done = town.authenticate(intent_id(birth), true);
    assert_eq!(done.reply, Reply::Object(intent_id(birth)));
    assert_eq!(town.status(birth), IntentStatus::Succeeded);
    assert_eq!(town.events()[0], EventKind::ChargeSucceeded);
    assert!(town.events().contains(&EventKind::PaymentIntentSucceeded));
    assert_eq!(town.total(seller, USD), 9_000);
    let charge = town.flow(birth).charge.expect("a charge");
    assert_eq!((charge.three_d_secure, charge.attempt), (Some(ThreeDSecure::Challenged), 0));
    town.expect_books_closed();

    let again = Command::Authenticate { intent: intent_id(birth), number: 1, passed: true };
    let refusal = town.refused(again);
    assert_eq!(refusal.code.as_deref(), Some("payment_intent_unexpected_state"));
}

#[test]
fn a_payer_who_fails_leaves_no_charge_and_may_try_again() {
    let mut town = Town::new();
    let birth = town.waiting(|_| {});
    town.authenticate(intent_id(birth), false);
    assert_eq!(town.events(), [EventKind::PaymentIntentFailed]);
    let failed = town.flow(birth);
    let intent = failed.intent.expect("an intent");
    assert_eq!(intent.status, IntentStatus::RequiresPaymentMethod);
    assert_eq!(intent.last_error, Some(Decline { recipe: Recipe::AuthenticationFailed }));
    assert!(intent.method.is_none() && intent.failed_method.is_some() && failed.charge.is_none());

    let method = Some(MethodInput::Inline(card(Recipe::AuthenticateAlways)));
    let input = Box::new(IntentInput { method, ..IntentInput::default() });
    town.done(Command::ConfirmIntent { intent: birth, input });
    assert_eq!(town.status(birth), IntentStatus::RequiresAction);
    let number = town.flow(birth).intent.and_then(|intent| intent.authentication).expect("one").number;
    assert_eq!(number, 2);
    let old = Command::Authenticate { intent: intent_id(birth), number: 1, passed: true };
    assert!(town.refused(old).intent.is_some(), "the first link opens nothing any more");
    town.authenticate(intent_id(birth), true);
    let intent = town.flow(birth).intent.expect("an intent");
    assert_eq!((intent.status, intent.last_error, intent.failed_method), (IntentStatus::Succeeded, None, None));
    town.expect_books_closed();
}

#[test]
fn an_authenticated_authorization_is_captured_later() {
    let mut town = Town::new();
    for with in [
        (|input: &mut IntentInput| input.capture_method = Some(CaptureMethod::Manual)) as fn(&mut IntentInput),
        |input| input.options = Some(CardOptions { capture_manual: Some(true), ..CardOptions::default() }),
    ] {
        let birth = town.waiting(with);
        town.authenticate(intent_id(birth), true);
        assert_eq!(town.status(birth), IntentStatus::RequiresCapture);
        let capture =
            Command::CaptureIntent { intent: birth, amount: Some(6_000), application_fee: None, transfer_amount: None };
        town.done(capture);
        let flow = town.flow(birth);
        let intent = flow.intent.expect("an intent");
        assert_eq!((intent.status, intent.amount_received), (IntentStatus::Succeeded, 6_000));
        assert_eq!(flow.charge.expect("a charge").three_d_secure, Some(ThreeDSecure::Challenged));
    }
    town.expect_books_closed();
}

#[test]
fn with_manual_confirmation_the_server_has_the_last_word() {
    let mut town = Town::new();
    let confirm = |intent| Command::ConfirmIntent { intent, input: Box::default() };
    let birth = town.waiting(|input| input.confirmation_manual = Some(true));
    town.authenticate(intent_id(birth), true);
    assert_eq!(town.status(birth), IntentStatus::RequiresConfirmation);
    assert_eq!(town.events(), []);
    town.done(confirm(birth));
    assert_eq!(town.status(birth), IntentStatus::Succeeded);

    // Another amount is another question.
    let birth = town.waiting(|input| input.confirmation_manual = Some(true));
    town.authenticate(intent_id(birth), true);
    let input = Box::new(IntentInput { amount: Some(12_000), ..IntentInput::default() });
    town.done(Command::UpdateIntent { intent: birth, input });
    town.done(confirm(birth));
    assert_eq!(town.status(birth), IntentStatus::RequiresAction);

    let birth = in_state(&mut town, IntentStatus::RequiresConfirmation);
    let by_payer =
        |amount_to_confirm| IntentInput { by_payer: Some(true), amount_to_confirm, ..IntentInput::default() };
    let wrong = Command::ConfirmIntent { intent: birth, input: Box::new(by_payer(Some(1))) };
    assert_eq!(town.refused(wrong).param.as_deref(), Some("amount_to_confirm"));
    town.done(Command::ConfirmIntent { intent: birth, input: Box::new(by_payer(Some(10_000))) });
    let manual = town
        .charge(500, USD, |input| {
            input.confirm = false;
            input.confirmation_manual = Some(true);
        })
        .seq;
    let refusal = town.refused(Command::ConfirmIntent { intent: manual, input: Box::new(by_payer(None)) });
    assert_eq!(refusal.code.as_deref(), Some("payment_intent_unexpected_state"));
}

#[test]
fn where_action_is_an_error_the_payment_fails_at_once() {
    let mut town = Town::new();
    let method = MethodInput::Inline(card(Recipe::AuthenticateAlways));
    let id = paid(&mut town, method, |input| input.error_on_requires_action = true);
    assert_eq!(outcome(&town, id), "authentication_required authentication_required");
    let failed = [EventKind::PaymentIntentCreated, EventKind::ChargeFailed, EventKind::PaymentIntentFailed];
    assert_eq!(town.events(), failed);
}

#[test]
fn sellers_may_ask_for_authentication() {
    let any = CardOptions { three_d_secure: Some(ThreeDSecureRequest::Any), ..CardOptions::default() };
    for (recipe, asked, status, how) in [
        (Recipe::AuthenticateIfAsked, None, IntentStatus::Succeeded, None),
        (Recipe::AuthenticateIfAsked, Some(any), IntentStatus::RequiresAction, None),
        (Recipe::Succeed, Some(any), IntentStatus::Succeeded, Some(ThreeDSecure::NotEnrolled)),
        (Recipe::AuthenticateSilently, None, IntentStatus::Succeeded, Some(ThreeDSecure::Silent)),
        (Recipe::AuthenticationUnsupported, Some(any), IntentStatus::Succeeded, None),
    ] {
        let mut town = Town::new();
        let id = paid(&mut town, MethodInput::Inline(card(recipe)), |input| input.options = asked);
        let flow = town.flow(id.birth);
        assert_eq!(flow.intent.expect("an intent").status, status, "{recipe:?}");
        assert_eq!(flow.charge.and_then(|charge| charge.three_d_secure), how, "{recipe:?}");
    }
}

#[test]
fn an_intent_without_cards_takes_none_and_one_with_redirects_needs_a_way_back() {
    let mut town = Town::new();
    let command = intent(500, USD, |input| input.method_types = vec!["sepa_debit".to_owned()]);
    let refusal = town.refused(command);
    assert_eq!(refusal.code.as_deref(), Some("payment_intent_incompatible_payment_method"));
    assert!(refusal.message.contains("sepa_debit"));

    let open = town
        .charge(500, USD, |input| {
            input.confirm = false;
            input.automatic_methods = Some(true);
        })
        .seq;
    let confirm = |input| Command::ConfirmIntent { intent: open, input: Box::new(input) };
    let refusal = town.refused(confirm(IntentInput::default()));
    assert_eq!((refusal.code.as_deref(), refusal.param.as_deref()), (None, None));
    assert!(refusal.message.contains("`return_url`"));
    town.done(confirm(IntentInput { return_url: true, ..IntentInput::default() }));
    assert_eq!(town.status(open), IntentStatus::Succeeded);
}

// ---------------------------------------------------------------------------------------------------------------
// Saving cards

#[test]
fn a_payment_saves_its_card_when_it_is_asked_to_and_succeeds() {
    let mut town = Town::new();
    let customer = town.customer();
    let usage = |usage| {
        move |input: &mut IntentInput| {
            input.customer = Some(customer);
            input.setup_future_usage = usage;
        }
    };
    let inline = |recipe| MethodInput::Inline(card(recipe));

    let id = paid(&mut town, inline(Recipe::Succeed), usage(Some(FutureUsage::OffSession)));
    let attached = [EventKind::PaymentIntentCreated, EventKind::PaymentMethodAttached, EventKind::ChargeSucceeded];
    assert_eq!(town.events()[..3], attached);
    let flow = town.flow(id.birth);
    let place = flow.charge.expect("a charge").method;
    assert_eq!(flow.intent.expect("an intent").method, Some(place));
    let kept = town.method(place);
    assert_eq!((kept.customer, kept.set_up, kept.consumed), (Some(customer), Some(true), false));
    let again = paid(&mut town, MethodInput::Saved(place), usage(None));
    assert_eq!(outcome(&town, again), "succeeded");

    // On session only: the issuer agreed to nothing else.
    let id = paid(&mut town, inline(Recipe::AuthenticateUnlessSetUp), usage(Some(FutureUsage::OnSession)));
    town.authenticate(id, true);
    let place = town.flow(id.birth).charge.expect("a charge").method;
    assert_eq!((town.method(place).customer, town.method(place).set_up), (Some(customer), None));
    let off = paid(&mut town, MethodInput::Saved(place), |input| {
        input.customer = Some(customer);
        input.off_session = true;
    });
    assert_eq!(outcome(&town, off), "authentication_required authentication_required");

    // Set up by a payment that the payer authenticated, it pays without the payer.
    let id = paid(&mut town, MethodInput::Saved(place), usage(Some(FutureUsage::OffSession)));
    town.authenticate(id, true);
    assert_eq!(town.method(place).set_up, Some(true));
    let off = paid(&mut town, MethodInput::Saved(place), |input| {
        input.customer = Some(customer);
        input.off_session = true;
    });
    assert_eq!(outcome(&town, off), "succeeded");
    town.expect_books_closed();
}

#[test]
fn nothing_is_saved_of_a_payment_that_fails_or_has_no_customer() {
    let mut town = Town::new();
    let customer = town.customer();
    let future = |customer| {
        move |input: &mut IntentInput| {
            input.customer = customer;
            input.setup_future_usage = Some(FutureUsage::OffSession);
        }
    };
    for (recipe, customer) in [(Recipe::LostCard, Some(customer)), (Recipe::Succeed, None)] {
        let id = paid(&mut town, MethodInput::Inline(card(recipe)), future(customer));
        let place = town.flow(id.birth).charge.expect("a charge").method;
        let method = town.method(place);
        assert_eq!((method.customer, method.consumed), (None, true), "{recipe:?}");
        assert!(!town.events().contains(&EventKind::PaymentMethodAttached), "{recipe:?}");
    }
    // A card's own option takes the intent's place.
    let id = paid(&mut town, MethodInput::Inline(card(Recipe::Succeed)), |input| {
        future(Some(customer))(input);
        input.options = Some(CardOptions { future_usage: Some(CardUsage::None), ..CardOptions::default() });
    });
    let place = town.flow(id.birth).charge.expect("a charge").method;
    assert_eq!(place.slot, Slot::INLINE_METHOD, "the card stays the payment's own");
}

#[test]
fn a_card_that_came_before_the_wish_to_keep_it_is_kept_too() {
    let mut town = Town::new();
    let customer = town.customer();
    let done = town.charge(700, USD, |input| {
        input.confirm = false;
        input.customer = Some(customer);
    });
    let usage = Some(FutureUsage::OnSession);
    let input = Box::new(IntentInput { setup_future_usage: usage, ..IntentInput::default() });
    town.done(Command::ConfirmIntent { intent: done.seq, input });
    let place = town.flow(done.seq).charge.expect("a charge").method;
    assert_eq!(town.method(place).customer, Some(customer));

    // A saved card that no customer had yet becomes this customer's, instead of being used up.
    let loose = MethodInput::Inline(card(Recipe::Succeed));
    let loose = match town.done(Command::CreateMethod { input: loose, customer: None }).reply {
        Reply::Object(id) => self::place(&id),
        other => panic!("{other:?}"),
    };
    paid(&mut town, MethodInput::Saved(loose), |input| {
        input.customer = Some(customer);
        input.setup_future_usage = usage;
    });
    let kept = town.method(loose);
    assert_eq!((kept.customer, kept.consumed), (Some(customer), false));
}

#[test]
fn a_platforms_card_is_copied_to_a_seller_by_who_names_its_customer() {
    let mut town = Town::new();
    let seller = town.seller(Country::US, USD);
    let (customer, other) = (town.customer(), town.customer());
    let saved = town.saved(Recipe::Succeed, customer);
    let copy = |customer| Command::CreateMethod { input: MethodInput::Saved(saved), customer };
    let refused = |town: &mut Town, command| match town.told(&Request { acting: seller, ..Town::request(command) }) {
        Told::Refused(refusal) => *refusal,
        other => panic!("{other:?}"),
    };
    let Refusal { param, message, .. } = refused(&mut town, copy(None));
    assert!(param.as_deref() == Some("payment_method") && message.contains("Give `customer`"), "{message}");
    assert!(refused(&mut town, copy(Some(other))).message.contains("not to"));
    let copied = match town.done_as(seller, copy(Some(customer))).reply {
        Reply::Object(id) => place(&id),
        other => panic!("{other:?}"),
    };
    let method = town.method(copied);
    assert_eq!((method.owner, method.customer, method.card), (seller, None, card(Recipe::Succeed)));
    assert!(town.method(saved).customer.is_some(), "the original stays where it is");
    let pay = intent(5_000, USD, |input| input.method = Some(MethodInput::Saved(copied)));
    let paid = town.done_as(seller, pay).seq;
    assert_eq!(town.status(paid), IntentStatus::Succeeded);
}

// ---------------------------------------------------------------------------------------------------------------
// Setup intents

#[test]
fn a_setup_goes_through_its_attempts() {
    let mut town = Town::new();
    let customer = town.customer();
    let input = SetupInput { customer: Some(customer), ..SetupInput::default() };
    let setup = town.done(Command::CreateSetup(Box::new(input))).seq;
    assert_eq!(town.events(), [EventKind::SetupIntentCreated]);
    assert_eq!(town.setup(setup).status, IntentStatus::RequiresPaymentMethod);
    let confirm = |recipe: Option<Recipe>| {
        let method = recipe.map(|recipe| MethodInput::Inline(card(recipe)));
        Command::ConfirmSetup { setup, input: Box::new(SetupInput { method, ..SetupInput::default() }) }
    };
    assert_eq!(town.refused(confirm(None)).code.as_deref(), Some("setup_intent_unexpected_state"));

    assert_eq!(town.done(confirm(Some(Recipe::LostCard))).reply, Reply::Declined(setup_id(setup)));
    assert_eq!(town.events(), [EventKind::SetupIntentFailed]);
    town.done(confirm(Some(Recipe::AuthenticateAlways)));
    assert_eq!(town.events(), [EventKind::SetupIntentRequiresAction]);
    // The payer starts over before the answer.
    town.done(confirm(Some(Recipe::AuthenticateAlways)));
    town.authenticate(setup_id(setup), false);
    assert_eq!(town.events(), [EventKind::SetupIntentFailed]);
    assert_eq!(town.setup(setup).last_error, Some(Decline { recipe: Recipe::AuthenticationFailed }));
    town.done(confirm(Some(Recipe::AuthenticateAlways)));
    town.authenticate(setup_id(setup), true);
    assert_eq!(town.events(), [EventKind::PaymentMethodAttached, EventKind::SetupIntentSucceeded]);

    let done = town.setup(setup);
    assert_eq!((done.status, done.last_error), (IntentStatus::Succeeded, None));
    let kept = town.method(done.method.expect("a payment method"));
    assert_eq!((kept.customer, kept.set_up), (Some(customer), Some(true)));
    let attempts: Vec<_> = (0..4)
        .map(|number| match &*town.record(attempt_key(setup, number)) {
            Record::SetupAttempt(record) => (record.attempt.status, record.attempt.three_d_secure),
            other => panic!("{other:?}"),
        })
        .take(3)
        .collect();
    use SetupAttemptStatus::*;
    assert_eq!(attempts, [(Failed, None), (Abandoned, None), (Failed, Some(ThreeDSecure::Failed))]);
    let latest = done.attempt.expect("an attempt");
    assert_eq!((latest.number, latest.status), (3, Succeeded));

    for command in [
        confirm(Some(Recipe::Succeed)),
        Command::CancelSetup { setup, reason: None },
        Command::Authenticate { intent: setup_id(setup), number: 3, passed: true },
    ] {
        let refusal = town.refused(command);
        assert_eq!(refusal.code.as_deref(), Some("setup_intent_unexpected_state"));
        assert_eq!(refusal.intent, Some(RecordKey::head(setup)));
    }
}

#[test]
fn a_setup_is_canceled_and_keeps_to_its_owner_and_customer() {
    let mut town = Town::new();
    let (customer, other) = (town.customer(), town.customer());
    let mine = town.saved(Recipe::Succeed, customer);
    let create = |customer, method| {
        let input =
            SetupInput { confirm: true, customer, method: Some(MethodInput::Saved(method)), ..SetupInput::default() };
        Command::CreateSetup(Box::new(input))
    };
    for wrong in [None, Some(other)] {
        assert_eq!(town.refused(create(wrong, mine)).param.as_deref(), Some("payment_method"));
    }
    let set_up = town.done(create(Some(customer), mine)).seq;
    assert_eq!(town.method(mine).set_up, Some(true));
    assert_eq!(town.events(), [EventKind::SetupIntentCreated, EventKind::SetupIntentSucceeded]);

    let setup = self::set_up(&mut town, card(Recipe::AuthenticateAlways), None);
    let seller = town.seller(Country::US, USD);
    let cancel = Command::CancelSetup { setup, reason: None };
    match town.told(&Request { acting: seller, ..Town::request(cancel.clone()) }) {
        Told::Refused(refusal) => assert_eq!(refusal.status, 404),
        other => panic!("{other:?}"),
    }
    town.done(cancel);
    assert_eq!(town.events(), [EventKind::SetupIntentCanceled]);
    let canceled = town.setup(setup);
    assert_eq!(canceled.status, IntentStatus::Canceled);
    assert_eq!(canceled.attempt.expect("an attempt").status, SetupAttemptStatus::Abandoned);
    assert_eq!(town.setup(set_up).attempt.expect("an attempt").status, SetupAttemptStatus::Succeeded);

    // Without a customer the card is free to be attached later.
    let free = self::set_up(&mut town, card(Recipe::Succeed), None);
    let method = town.setup(free).method.expect("a payment method");
    assert_eq!(town.method(method).customer, None);
    town.done(Command::AttachMethod { method: MethodInput::Saved(method), customer });
}

// ---------------------------------------------------------------------------------------------------------------
// The journal

#[test]
fn what_was_decided_is_decided_again_from_the_journal() {
    let mut town = Town::new();
    let customer = town.customer();
    let setup = set_up(&mut town, card(Recipe::AuthenticateUnlessSetUp), Some(customer));
    town.authenticate(setup_id(setup), true);
    let method = town.setup(setup).method;
    let update = SetupInput { method_types: vec!["card".to_owned()], ..SetupInput::default() };
    let open = town.done(Command::CreateSetup(Box::default())).seq;
    town.done(Command::UpdateSetup { setup: open, input: Box::new(update) });
    town.done(Command::CancelSetup { setup: open, reason: None });
    let later = town.done(Command::CreateSetup(Box::default())).seq;
    let with = SetupInput { method: Some(MethodInput::Inline(card(Recipe::StolenCard))), ..SetupInput::default() };
    town.done(Command::ConfirmSetup { setup: later, input: Box::new(with) });
    let options = CardOptions { three_d_secure: Some(ThreeDSecureRequest::Any), ..CardOptions::default() };
    let birth = town.waiting(|input| {
        input.options = Some(options);
        input.setup_future_usage = Some(FutureUsage::OffSession);
        input.customer = Some(customer);
    });
    town.authenticate(intent_id(birth), true);
    town.charge(900, USD, |input| {
        input.method = method.map(MethodInput::Saved);
        input.customer = Some(customer);
        input.off_session = true;
    });
    assert_eq!(PLATFORM, town.flow(birth).owner);
    let (mut plain, vault) = fresh();
    for entry in &town.plain.entries {
        assert_eq!(JournalEntry::from_bytes(entry).expect("an entry").to_bytes(), entry[..]);
        decide_again(&mut plain, &vault, entry);
    }
    assert_eq!(plain.digest(), town.plain.digest());
    assert_eq!(intent_id(birth).kind, ObjectKind::PaymentIntent);
}

#[test]
fn what_was_cleared_is_cleared_again_from_the_journal() {
    let mut town = Town::new();
    let seller = town.seller(Country::US, USD);
    let birth = town
        .charge(10_000, USD, |input| {
            input.confirm = false;
            input.destination = Some(seller);
            input.application_fee = Some(Some(100));
        })
        .seq;
    let cleared = IntentInput { application_fee: Some(None), ..IntentInput::default() };
    town.done(Command::UpdateIntent { intent: birth, input: Box::new(cleared) });
    let customer = town.customer();
    let method = town.saved(Recipe::Succeed, customer);
    for default_method in [Some(Some(method)), None, Some(None)] {
        town.done(Command::UpdateCustomer { customer, default_method });
    }
    match &*town.record(RecordKey::head(customer)) {
        Record::Customer(customer) => assert_eq!(customer.default_method, None),
        other => panic!("{other:?}"),
    }
    let (mut plain, vault) = fresh();
    for entry in &town.plain.entries {
        decide_again(&mut plain, &vault, entry);
    }
}
