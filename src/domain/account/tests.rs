//! Accounts of a platform in memory.

#![cfg(test)]

use std::collections::BTreeSet;

use super::super::capability::{capability_id, capability_name};
use super::super::command::{Command, MethodInput};
use super::super::decide::IndexRow;
use super::super::due::DueKind;
use super::super::facts::{Facts, Field, Finding, active_individual};
use super::super::record::{BankStatus, Recipe};
use super::super::requirements::Stage;
use super::world::{World, bank, card};
use super::*;

/// The facts of an active individual, with one of them told otherwise.
fn but(field: Field, finding: Finding) -> Facts {
    let mut facts = active_individual();
    facts.learn(&told(field, finding));
    facts
}

/// One fact alone.
fn told(field: Field, finding: Finding) -> Facts {
    let mut facts = Facts::default();
    facts.set(field, finding);
    facts
}

/// What the account has to tell, by field.
fn due(record: &AccountRecord) -> Vec<Field> {
    let asks = record.asks.iter().filter(|ask| matches!(ask.stage, Stage::Current | Stage::Past));
    asks.map(|ask| ask.field).collect()
}

fn capabilities(names: &[&str]) -> Vec<(String, bool)> {
    names.iter().map(|name| ((*name).to_owned(), true)).collect()
}

/// The recipe of section 3.9: active at once.
fn recipe() -> AccountInput {
    AccountInput {
        country: Some(Country::US),
        kind: Some(AccountKind::Custom),
        business_type: Some(BusinessType::Individual),
        capabilities: capabilities(&[CARD_PAYMENTS, TRANSFERS]),
        facts: active_individual(),
        external_account: Some(Box::new(bank(Currency::USD))),
        tos_accepted_at: Some(World::now()),
        ..AccountInput::default()
    }
}

fn create(world: &mut World, input: AccountInput) -> AccountNo {
    AccountNo(world.make(Command::CreateAccount(Box::new(input))).birth)
}

fn update(account: AccountNo, input: AccountInput) -> Command {
    Command::UpdateAccount { account, input: Box::new(input) }
}

fn country(code: &str) -> Country {
    code.parse().unwrap()
}

fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

#[test]
fn the_recipe_makes_an_account_active_at_once() {
    let mut world = World::new();
    let texts = [
        ("email", "jenny@example.com"),
        ("external_account[account_holder_name]", "Jenny Rosen"),
        ("metadata[shop]", "17"),
    ];
    let id = world.make_as(AccountNo::PLATFORM, Command::CreateAccount(Box::new(recipe())), &texts);
    let account = AccountNo(id.birth);
    assert_eq!(id, account_id(account));

    let record = world.account(account);
    assert_eq!((record.kind, record.default_currency, record.delay_days), (AccountKind::Custom, Currency::USD, 2));
    assert!(record.is_active(CARD_PAYMENTS) && record.is_active(TRANSFERS));
    assert!(record.charges_enabled && record.payouts_enabled && record.details_submitted);
    assert!(!record.debit_negative_balances);
    assert_eq!(record.asks, []);
    let [external] = record.external_accounts.as_slice() else { panic!("one external account") };
    assert!(external.default_for_currency && !external.deleted);
    assert_eq!((external.status, external.made), (BankStatus::New, record.made));
    let texts = world.texts(&record.private);
    assert_eq!(texts.get("external_accounts[1][account_holder_name]"), Some("Jenny Rosen"));
    assert_eq!(texts.get("email"), Some("jenny@example.com"));
    assert_eq!(texts.0.len(), 3);

    let outcome = world.last.as_ref().unwrap();
    assert_eq!((outcome.keys_taken, outcome.text_key_no, record.key_no), (1, 1, 1));
    let index: Vec<IndexRow> = outcome.changes.iter().flat_map(|change| change.index.clone()).collect();
    assert_eq!(
        index,
        [
            IndexRow { account: AccountNo::PLATFORM, class: Class::Account, kinds: Kinds::ACCOUNT },
            IndexRow { account, class: Class::Account, kinds: Kinds::EVENT },
        ]
    );
    let kinds = [
        EventKind::ExternalAccountCreated,
        EventKind::PersonCreated,
        EventKind::CapabilityUpdated,
        EventKind::CapabilityUpdated,
        EventKind::AccountUpdated,
    ];
    assert_eq!(world.events(), kinds.map(|kind| (account, kind)));
}

#[test]
fn defaults_follow_the_country() {
    // country, currency, delay_days, interval
    for (code, money, delay, interval) in [
        ("US", "usd", 2, PayoutInterval::Daily),
        ("DE", "eur", 7, PayoutInterval::Daily),
        ("GB", "gbp", 7, PayoutInterval::Daily),
        ("JP", "jpy", 4, PayoutInterval::Weekly),
        ("AU", "aud", 2, PayoutInterval::Daily),
    ] {
        let mut world = World::new();
        let input = AccountInput { country: Some(country(code)), ..AccountInput::default() };
        let account = create(&mut world, input);
        let record = world.account(account);
        assert_eq!((record.default_currency, record.delay_days), (currency(money), delay), "{code}");
        assert_eq!(record.payout_interval, interval, "{code}");
    }
    let mut world = World::new();
    let account = create(&mut world, AccountInput::default());
    let record = world.account(account);
    assert_eq!((record.country, record.kind), (Country::US, AccountKind::Standard));
    assert!(record.debit_negative_balances);
    let names: Vec<&str> = record.capabilities.iter().map(|capability| capability.name.as_str()).collect();
    assert_eq!(names, [CARD_PAYMENTS, TRANSFERS]);
}

#[test]
fn kinds_and_controllers_are_those_of_the_reference() {
    let custom = Controller { fees: FeesPayer::Application, ..CUSTOM };
    let express = Controller { fees: FeesPayer::Application, ..EXPRESS };
    let losses = "controller[losses][payments]";
    let fees = "controller[fees][payer]";
    let dashboard = "controller[stripe_dashboard][type]";
    type Case = (Option<AccountKind>, Option<Controller>, Result<(AccountKind, Controller), &'static str>);
    let cases: [Case; 17] = [
        (None, None, Ok((AccountKind::Standard, STANDARD))),
        (Some(AccountKind::Custom), Some(CUSTOM), Ok((AccountKind::Custom, CUSTOM))),
        (Some(AccountKind::None), Some(custom), Ok((AccountKind::None, custom))),
        (Some(AccountKind::None), Some(CUSTOM), Err(fees)),
        (Some(AccountKind::Standard), None, Ok((AccountKind::Standard, STANDARD))),
        (Some(AccountKind::Express), None, Ok((AccountKind::Express, EXPRESS))),
        (Some(AccountKind::Custom), None, Ok((AccountKind::Custom, CUSTOM))),
        (Some(AccountKind::None), None, Err("type")),
        (Some(AccountKind::Custom), Some(custom), Err("type")),
        (None, Some(STANDARD), Ok((AccountKind::Standard, STANDARD))),
        (None, Some(custom), Ok((AccountKind::None, custom))),
        (None, Some(express), Ok((AccountKind::None, express))),
        (None, Some(CUSTOM), Err(fees)),
        (None, Some(Controller { losses_application: false, ..custom }), Err(losses)),
        (None, Some(Controller { fees: FeesPayer::Account, ..custom }), Err(fees)),
        (None, Some(Controller { dashboard: Dashboard::Full, ..custom }), Err(dashboard)),
        (None, Some(Controller { losses_application: false, ..express }), Err(losses)),
    ];
    for (kind, controller, expected) in cases {
        let mut world = World::new();
        let input = AccountInput { kind, controller, ..AccountInput::default() };
        match (world.run(Command::CreateAccount(Box::new(input))), expected) {
            (Ok(Reply::Object(id)), Ok((kind, controller))) => {
                let record = world.account(AccountNo(id.birth));
                assert_eq!((record.kind, record.controller), (kind, controller));
            }
            (Err(refusal), Err(param)) => assert_eq!(refusal.param.as_deref(), Some(param), "{refusal:?}"),
            (got, expected) => panic!("{kind:?} {controller:?}: {got:?}, not {expected:?}"),
        }
    }
}

#[test]
fn test_values_decide() {
    use Field::{
        AdditionalDocument, CompanyCity, CompanyLine1, CompanyName, CompanyPhone, CompanyPostalCode, CompanyState, Dob,
        Document, IdNumber, Line1, Mcc, OwnersProvided, Representative, SsnLast4, TaxId,
    };
    use Finding::{AddressUnknown, Gone, Good, IdentityUnknown, NumberMismatch};
    let individual = BusinessType::Individual;
    let company = BusinessType::Company;
    let changed = |changes: &[(Field, Finding)]| {
        let mut facts = active_individual();
        for (field, finding) in changes {
            facts.learn(&told(*field, *finding));
        }
        facts
    };
    let business = |changes: &[(Field, Finding)]| {
        let mut facts = Facts::good(&[CompanyName, CompanyPhone, CompanyLine1, CompanyCity, CompanyPostalCode]);
        facts.learn(&Facts::good(&[CompanyState, TaxId, OwnersProvided]));
        facts.learn(&active_individual().personal(false));
        for (field, finding) in changes {
            facts.learn(&told(*field, *finding));
        }
        facts
    };
    // what is given, what is due then, charges enabled, payouts enabled
    let cases: [(BusinessType, Facts, &[Field], bool, bool); 13] = [
        (individual, active_individual(), &[], true, true),
        (individual, changed(&[(Dob, IdentityUnknown)]), &[Document], false, false),
        (individual, changed(&[(Line1, AddressUnknown)]), &[AdditionalDocument], false, false),
        (
            individual,
            changed(&[(Dob, IdentityUnknown), (Line1, AddressUnknown)]),
            &[Document, AdditionalDocument],
            false,
            false,
        ),
        (individual, changed(&[(Dob, IdentityUnknown), (Document, Good)]), &[], true, true),
        (
            individual,
            changed(&[(Dob, IdentityUnknown), (Document, Finding::DocumentFailed)]),
            &[Document],
            false,
            false,
        ),
        (individual, changed(&[(IdNumber, NumberMismatch)]), &[IdNumber], false, false),
        (individual, changed(&[(IdNumber, Gone), (SsnLast4, Good)]), &[], true, true),
        (individual, changed(&[(IdNumber, Gone), (SsnLast4, NumberMismatch)]), &[IdNumber], false, false),
        // Being charged asks for more than being paid does.
        (individual, changed(&[(Mcc, Gone)]), &[Mcc], false, true),
        (company, business(&[]), &[Representative], false, false),
        (company, business(&[(TaxId, Finding::TaxIdMismatch)]), &[TaxId, Representative], false, false),
        (company, business(&[(CompanyLine1, AddressUnknown)]), &[CompanyLine1, Representative], false, false),
    ];
    for (business_type, facts, expected, charges, payouts) in cases {
        let mut world = World::new();
        let input = AccountInput { business_type: Some(business_type), facts: facts.clone(), ..recipe() };
        let account = create(&mut world, input);
        let record = world.account(account);
        assert_eq!(due(record), expected, "{facts:?}");
        assert_eq!((record.charges_enabled, record.payouts_enabled), (charges, payouts), "{facts:?}");
        assert_eq!(record.is_active(CARD_PAYMENTS), charges, "{facts:?}");
        assert_eq!(record.is_active(TRANSFERS), payouts, "{facts:?}");
    }
}

#[test]
fn what_was_verified_and_is_changed_has_a_week() {
    let mut world = World::new();
    let account = create(&mut world, recipe());
    let wrong = told(Field::Dob, Finding::IdentityUnknown);
    world.run(update(account, AccountInput { facts: wrong, ..AccountInput::default() })).unwrap();
    let record = world.account(account);
    assert_eq!(record.asks.iter().map(|ask| ask.stage).collect::<Vec<_>>(), [Stage::Current]);
    assert!(record.charges_enabled && record.payouts_enabled);
    let deadline = World::now().plus_days(7).unwrap();
    assert_eq!(record.deadline, Some(deadline));
    let [item] = world.last.as_ref().unwrap().due.as_slice() else { panic!("one due item") };
    assert_eq!((item.key.at, item.kind), (deadline, DueKind::RequirementsFallDue(account)));
    let item = *item;

    // Another mistake does not move the deadline.
    world.clock = World::now().plus_days(3).unwrap();
    let wrong = told(Field::Line1, Finding::AddressUnknown);
    world.run(update(account, AccountInput { facts: wrong, ..AccountInput::default() })).unwrap();
    assert_eq!(world.account(account).deadline, Some(deadline));
    assert!(world.last.as_ref().unwrap().due.is_empty());

    world.clock = deadline;
    world.run(Command::Due(item)).unwrap();
    let record = world.account(account);
    assert!(!record.charges_enabled && !record.payouts_enabled && record.deadline.is_none());
    assert_eq!(due(record), [Field::Document, Field::AdditionalDocument]);
    let kinds = [EventKind::CapabilityUpdated, EventKind::CapabilityUpdated, EventKind::AccountUpdated];
    assert_eq!(world.events(), kinds.map(|kind| (account, kind)));

    let facts = Facts::good(&[Field::Dob, Field::Line1]);
    world.run(update(account, AccountInput { facts, ..AccountInput::default() })).unwrap();
    assert!(world.account(account).charges_enabled);
    // It fired already: the second time there is nothing to do.
    world.run(Command::Due(item)).unwrap();
    assert_eq!(world.events(), []);
}

#[test]
fn what_is_mended_in_time_is_forgotten() {
    let mut world = World::new();
    let account = create(&mut world, recipe());
    let wrong = told(Field::Dob, Finding::IdentityUnknown);
    world.run(update(account, AccountInput { facts: wrong, ..AccountInput::default() })).unwrap();
    let item = world.last.as_ref().unwrap().due[0];
    let facts = told(Field::Dob, Finding::Good);
    world.run(update(account, AccountInput { facts, ..AccountInput::default() })).unwrap();
    assert_eq!(world.last.as_ref().unwrap().undue, [item.key]);
    assert_eq!((world.account(account).deadline, world.account(account).asks.as_slice()), (None, &[][..]));
}

#[test]
fn a_verification_that_takes_a_moment_ends_by_itself() {
    let mut world = World::new();
    let account = create(&mut world, AccountInput { facts: but(Field::Dob, Finding::Pending), ..recipe() });
    let record = world.account(account);
    let statuses: Vec<CapabilityStatus> = record.capabilities.iter().map(|capability| capability.status).collect();
    assert_eq!(statuses, [CapabilityStatus::Pending; 2]);
    assert!(!record.charges_enabled && !record.payouts_enabled && record.details_submitted);
    assert_eq!(requirements::disabled_reason(record).as_deref(), Some("requirements.pending_verification"));
    let [item] = world.last.as_ref().unwrap().due.as_slice() else { panic!("one due item") };
    let item = *item;
    assert_eq!(item.kind, DueKind::VerificationEnds(account));

    world.clock = item.key.at;
    world.run(Command::Due(item)).unwrap();
    let record = world.account(account);
    assert!(record.charges_enabled && record.payouts_enabled && record.verification_ends.is_none());
    let kinds = [
        EventKind::PersonUpdated,
        EventKind::CapabilityUpdated,
        EventKind::CapabilityUpdated,
        EventKind::AccountUpdated,
    ];
    assert_eq!(world.events(), kinds.map(|kind| (account, kind)));
}

#[test]
fn sanctions_and_inactivity_stop_an_account_whatever_it_tells() {
    let mut world = World::new();
    let listed = create(&mut world, AccountInput { facts: but(Field::Dob, Finding::Listed), ..recipe() });
    let record = world.account(listed);
    assert!(!record.charges_enabled && !record.payouts_enabled && due(record).is_empty());
    assert_eq!(requirements::disabled_reason(record).as_deref(), Some("listed"));

    let idle = create(&mut world, AccountInput { facts: but(Field::Url, Finding::Inactive), ..recipe() });
    let record = world.account(idle);
    assert!(!record.charges_enabled && record.payouts_enabled && record.is_active(TRANSFERS));
    let paused = requirements::capability_disabled_reason(record, &record.capabilities[0]);
    assert_eq!(paused, Some("paused.inactivity"));
}

#[test]
fn better_values_turn_an_account_active() {
    let mut world = World::new();
    let input = AccountInput { facts: but(Field::Dob, Finding::IdentityUnknown), ..recipe() };
    let account = create(&mut world, input);
    assert!(!world.account(account).charges_enabled);

    let facts = told(Field::Dob, Finding::Good);
    world.run(update(account, AccountInput { facts, ..AccountInput::default() })).unwrap();
    assert!(world.account(account).charges_enabled);
    let kinds = [
        EventKind::PersonUpdated,
        EventKind::CapabilityUpdated,
        EventKind::CapabilityUpdated,
        EventKind::AccountUpdated,
    ];
    assert_eq!(world.events(), kinds.map(|kind| (account, kind)));
    let outcome = world.last.as_ref().unwrap();
    let before = of(outcome.changes[0].before.as_deref().unwrap()).unwrap();
    assert!(!before.charges_enabled);
    assert_eq!(outcome.text_key_no, 1);
}

#[test]
fn without_an_external_account_only_payouts_wait() {
    let mut world = World::new();
    let account = create(&mut world, AccountInput { external_account: None, ..recipe() });
    let record = world.account(account);
    assert_eq!(due(record), [Field::ExternalAccount]);
    assert!(record.charges_enabled && record.details_submitted && !record.payouts_enabled);
}

#[test]
fn an_account_that_only_receives_is_enabled_by_transfers() {
    let mut world = World::new();
    let account = create(&mut world, AccountInput { capabilities: capabilities(&[TRANSFERS]), ..recipe() });
    let record = world.account(account);
    assert!(record.charges_enabled && record.payouts_enabled && record.is_active(TRANSFERS));
    assert!(!record.is_active(CARD_PAYMENTS));
}

#[test]
fn a_new_external_account_takes_the_place_of_the_one_before() {
    let mut world = World::new();
    let account = create(&mut world, recipe());
    let texts = [("account_holder_name", "Jenny R.")];
    let token = Command::CreateBankToken { bank: Box::new(bank(Currency::USD)) };
    let token = world.make_as(AccountNo::PLATFORM, token, &texts);
    assert_eq!(token.kind, ObjectKind::BankAccountToken);

    let input = AccountInput { external_token: Some(token.birth), ..AccountInput::default() };
    world.run(update(account, input.clone())).unwrap();
    let record = world.account(account);
    let shown: Vec<(bool, bool)> =
        record.external_accounts.iter().map(|bank| (bank.default_for_currency, bank.deleted)).collect();
    assert_eq!(shown, [(false, true), (true, false)]);
    let texts = world.texts(&record.private);
    assert_eq!(texts.get("external_accounts[2][account_holder_name]"), Some("Jenny R."));
    let kinds = [EventKind::ExternalAccountDeleted, EventKind::ExternalAccountCreated, EventKind::AccountUpdated];
    assert_eq!(world.events(), kinds.map(|kind| (account, kind)));

    let refusal = world.run(update(account, input)).unwrap_err();
    assert_eq!(refusal.code.as_deref(), Some("token_already_used"));

    let other = AccountInput { external_account: Some(Box::new(bank(Currency::EUR))), ..AccountInput::default() };
    world.run(update(account, other)).unwrap();
    let record = world.account(account);
    assert_eq!(settlement_currencies(record), [Currency::USD, Currency::EUR]);
    assert!(settles(record, Currency::EUR) && !settles(record, Currency::GBP));
    assert!(record.external_accounts[1].default_for_currency);
}

#[test]
fn parameters_that_cannot_be_are_refused() {
    // The card token is made by the entry after the founding.
    const FIRST: u64 = 2;
    let card_token = Command::CreateCardToken { card: card(Recipe::Succeed) };
    let cases: [(AccountInput, Option<&str>, &str); 12] = [
        (AccountInput { country: Some(country("KP")), ..recipe() }, Some("country_unsupported"), "country"),
        (AccountInput { default_currency: Some(currency("brl")), ..recipe() }, None, "default_currency"),
        (
            AccountInput { external_account: Some(Box::new(bank(currency("inr")))), ..recipe() },
            None,
            "external_account[currency]",
        ),
        (AccountInput { external_token: Some(FIRST), ..recipe() }, Some("parameters_exclusive"), "external_account"),
        (
            AccountInput { external_account: None, external_token: Some(77), ..recipe() },
            Some("resource_missing"),
            "external_account",
        ),
        (
            AccountInput { external_account: None, external_token: Some(FIRST), ..recipe() },
            Some("invalid_card_type"),
            "external_account",
        ),
        (AccountInput { capabilities: capabilities(&[CARD_PAYMENTS]), ..recipe() }, None, "capabilities"),
        (
            AccountInput { capabilities: capabilities(&["flying"]), ..recipe() },
            Some("parameter_unknown"),
            "capabilities[flying]",
        ),
        (
            AccountInput {
                country: Some(Country::GB),
                business_type: Some(BusinessType::GovernmentEntity),
                ..recipe()
            },
            None,
            "business_type",
        ),
        (
            AccountInput { country: Some(Country::DE), delay_days: Some(2), external_account: None, ..recipe() },
            None,
            "settings[payouts][schedule][delay_days]",
        ),
        (AccountInput { delay_days: Some(32), ..recipe() }, None, "settings[payouts][schedule][delay_days]"),
        (
            AccountInput {
                country: Some(Country::JP),
                payout_interval: Some(PayoutInterval::Daily),
                external_account: None,
                ..recipe()
            },
            None,
            "settings[payouts][schedule][interval]",
        ),
    ];
    for (input, code, param) in cases {
        let mut world = World::new();
        assert_eq!(world.make(card_token.clone()).birth, FIRST);
        let refusal = world.run(Command::CreateAccount(Box::new(input))).unwrap_err();
        assert_eq!((refusal.status, refusal.code.as_deref()), (400, code), "{refusal:?}");
        assert_eq!(refusal.param.as_deref(), Some(param), "{refusal:?}");
    }
}

#[test]
fn what_creation_fixed_stays() {
    let mut world = World::new();
    let account = create(&mut world, recipe());
    for (input, param) in [
        (AccountInput { country: Some(Country::DE), ..AccountInput::default() }, "country"),
        (AccountInput { kind: Some(AccountKind::Express), ..AccountInput::default() }, "type"),
        (AccountInput { controller: Some(CUSTOM), ..AccountInput::default() }, "controller"),
    ] {
        let refusal = world.run(update(account, input)).unwrap_err();
        assert_eq!(refusal.param.as_deref(), Some(param));
        assert_eq!(refusal.code.as_deref(), Some("parameter_unknown"));
    }
}

#[test]
fn payout_settings_are_kept() {
    let mut world = World::new();
    let account = create(&mut world, recipe());
    let input = AccountInput {
        payout_interval: Some(PayoutInterval::Manual),
        delay_days: Some(10),
        debit_negative_balances: Some(true),
        default_currency: Some(Currency::EUR),
        ..AccountInput::default()
    };
    world.run(update(account, input)).unwrap();
    let record = world.account(account);
    assert_eq!((record.payout_interval, record.delay_days), (PayoutInterval::Manual, 10));
    assert_eq!((record.debit_negative_balances, record.default_currency), (true, Currency::EUR));

    world.run(update(account, AccountInput { delay_days: Some(0), ..AccountInput::default() })).unwrap();
    assert_eq!(world.account(account).delay_days, 2);
}

#[test]
fn an_update_of_nothing_tells_nothing() {
    let mut world = World::new();
    let account = create(&mut world, recipe());
    let before = world.account(account).clone();
    world.run(update(account, AccountInput::default())).unwrap();
    assert_eq!(world.events(), []);
    assert!(world.last.as_ref().unwrap().changes.is_empty());

    let texts = [("metadata[shop]", "18")];
    world.run_as(account, update(account, AccountInput::default()), &texts).unwrap();
    assert_eq!(world.events(), [(account, EventKind::AccountUpdated)]);
    let after = world.account(account);
    assert_eq!(world.texts(&after.private).get("metadata[shop]"), Some("18"));
    assert_eq!(after.private.key_no, before.key_no);
}

#[test]
fn a_capability_is_requested_later_and_taken_back() {
    let mut world = World::new();
    let account = create(&mut world, AccountInput { capabilities: capabilities(&[TRANSFERS]), ..recipe() });
    let set = |name: &str, requested| Command::SetCapability { account, name: name.to_owned(), requested };

    let id = world.make(set(CARD_PAYMENTS, true));
    assert_eq!((id.kind, capability_name(&id)), (ObjectKind::Capability, Some(CARD_PAYMENTS)));
    assert!(world.account(account).is_active(CARD_PAYMENTS));
    let kinds = [EventKind::CapabilityUpdated, EventKind::AccountUpdated];
    assert_eq!(world.events(), kinds.map(|kind| (account, kind)));

    world.run(set(CARD_PAYMENTS, true)).unwrap();
    assert_eq!(world.events(), []);

    let refusal = world.run(set(TRANSFERS, false)).unwrap_err();
    assert_eq!((refusal.status, refusal.param.as_deref()), (400, Some("capabilities")));
    world.run(set(CARD_PAYMENTS, false)).unwrap();
    assert_eq!(world.events(), kinds.map(|kind| (account, kind)));
    world.run(set(TRANSFERS, false)).unwrap();
    assert!(world.account(account).capabilities.is_empty());
    assert!(!world.account(account).charges_enabled);

    let refusal = world.run(set("flying", true)).unwrap_err();
    assert_eq!((refusal.status, refusal.param.as_deref()), (404, Some("capability")));
}

#[test]
fn a_deleted_account_vanishes() {
    let mut world = World::new();
    let account = create(&mut world, recipe());
    let id = account_id(account);
    assert!(receives(&world, &world.ctx(), account, "destination").is_ok());

    let reply = world.run(Command::DeleteAccount { account }).unwrap();
    assert_eq!(reply, Reply::Deleted(id));
    let record = world.account(account);
    assert_eq!((record.deleted, &record.private), (true, &Sealed::default()));
    let again = world.run(Command::DeleteAccount { account }).unwrap_err();
    assert_eq!((again.status, again.param.as_deref()), (404, Some("account")));
    assert_eq!(again.message, format!("No such account: '{}'", world.text(&id)));

    let Err(Halt::Refused(refusal)) = receives(&world, &world.ctx(), account, "destination") else {
        panic!("a deleted account receives")
    };
    assert_eq!((refusal.status, refusal.param.as_deref()), (400, Some("destination")));
    assert_eq!(refusal.message, format!("No such destination: '{}'", world.text(&id)));
    assert!(load(&world, account).is_ok(), "its books are still its own");
}

#[test]
fn only_connected_accounts_with_the_capability_receive() {
    let mut world = World::new();
    let customer = world.make(Command::CreateCustomer { method: None, default: None });
    let inactive = create(&mut world, AccountInput { facts: Facts::default(), ..recipe() });
    let cases = [
        (AccountNo::PLATFORM, "resource_missing"),
        (AccountNo(customer.birth), "resource_missing"),
        (AccountNo(99), "resource_missing"),
        (inactive, "insufficient_capabilities_for_transfer"),
    ];
    for (account, code) in cases {
        match receives(&world, &world.ctx(), account, "destination") {
            Err(Halt::Refused(refusal)) => assert_eq!(refusal.code.as_deref(), Some(code), "{account:?}"),
            other => panic!("{account:?}: {other:?}"),
        }
    }
    assert!(connected(&world, &world.ctx(), inactive, "destination").is_ok());
}

#[test]
fn accounts_are_changed_by_the_platform_or_by_themselves() {
    let mut world = World::new();
    let (one, other) = (create(&mut world, recipe()), create(&mut world, recipe()));
    let change = || update(one, AccountInput { delay_days: Some(5), ..AccountInput::default() });
    assert_eq!(world.run_as(other, change(), &[]).unwrap_err().status, 404);
    assert!(world.run_as(one, change(), &[]).is_ok());
    let create = Command::CreateAccount(Box::new(recipe()));
    let refusal = world.run_as(one, create, &[]).unwrap_err();
    assert_eq!(refusal.code.as_deref(), Some("platform_account_required"));
    assert!(world.run_as(one, Command::DeleteAccount { account: one }, &[]).is_err());
    assert!(world.run(update(AccountNo::PLATFORM, AccountInput::default())).is_err());
    let method = Command::CreateMethod { input: MethodInput::Inline(card(Recipe::Succeed)), customer: None };
    let method = world.make(method);
    assert_eq!(world.run(update(AccountNo(method.birth), AccountInput::default())).unwrap_err().status, 404);
}

#[test]
fn a_rejected_account_neither_charges_nor_pays_out() {
    let mut world = World::new();
    let account = create(&mut world, recipe());
    let mut record = world.account(account).clone();
    record.rejected = Some("fraud".to_owned());
    refresh(&mut record);
    assert!(!record.charges_enabled && !record.payouts_enabled && !record.is_active(TRANSFERS));
    assert!(record.details_submitted);
}

#[test]
fn capabilities_have_places_for_ever() {
    assert_eq!(CAPABILITIES.iter().collect::<BTreeSet<_>>().len(), CAPABILITIES.len());
    for (place, name) in CAPABILITIES.iter().enumerate() {
        let id = capability_id(AccountNo(3), name).unwrap();
        assert_eq!((usize::from(id.slot), capability_name(&id)), (place, Some(*name)));
    }
    // Ids of these are in journals already.
    assert_eq!((CAPABILITIES[16], CAPABILITIES[62]), (CARD_PAYMENTS, TRANSFERS));
    assert_eq!(capability_id(AccountNo(3), "flying"), None);
    assert_eq!(capability_name(&account_id(AccountNo(3))), None);
}
