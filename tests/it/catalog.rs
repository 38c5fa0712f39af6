//! Products, prices and restricted keys as decisions: what they keep, what they refuse, and that their journal decides
//! alike again.

use florin::domain::api_key::KeyLevel;
use florin::domain::catalog::{
    Interval, PriceInput, PriceTerms, ProductInput, Recurring, TaxBehavior, UnitAmount, price_id, product_id,
};
use florin::domain::command::Command;
use florin::domain::decide::Reply;
use florin::domain::event::EventKind;
use florin::domain::record::{Record, RecordKey};
use florin::engine::entry::JournalEntry;
use florin::engine::plain::Told;
use florin::ledger::AccountNo;
use florin::primitives::Currency;
use florin::primitives::id::ObjectId;

use crate::story::{decide_again, fresh};
use crate::town::{Done, Town};

const EUR: Currency = Currency::EUR;

fn terms(minor: i64) -> PriceTerms {
    PriceTerms { currency: EUR, amount: UnitAmount::Whole(minor), recurring: None }
}

fn price(product: Option<u64>, minor: i64) -> PriceInput {
    PriceInput { product, terms: terms(minor), active: None, tax_behavior: None, product_active: None }
}

fn events(done: &Done) -> Vec<EventKind> {
    JournalEntry::from_bytes(&done.bytes).expect("an entry").events.iter().map(|event| event.kind).collect()
}

fn made(done: &Done) -> ObjectId {
    match done.reply {
        Reply::Object(id) => id,
        ref other => panic!("{other:?}"),
    }
}

/// How many prices a product has, and which is its default.
fn prices(town: &Town, product: u64) -> (u32, Option<RecordKey>) {
    match &*town.record(RecordKey::head(product)) {
        Record::Product(product) => (product.prices, product.default_price),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_product_and_its_first_price_are_one_entry() {
    let mut town = Town::new();
    let input = ProductInput { price: Some(price(None, 900)), ..ProductInput::default() };
    let done = town.done(Command::CreateProduct(Box::new(input)));
    assert_eq!(events(&done), [EventKind::ProductCreated, EventKind::PriceCreated]);
    assert_eq!(made(&done), product_id(done.seq));
    let first = RecordKey { birth: done.seq, child: 1 };
    assert_eq!(prices(&town, done.seq), (1, Some(first)));
    // The other way round, the price is what is answered, and it is nobody's default.
    let done = town.done(Command::CreatePrice(Box::new(price(None, 100))));
    assert_eq!(events(&done), [EventKind::ProductCreated, EventKind::PriceCreated]);
    assert_eq!(made(&done), price_id(RecordKey { birth: done.seq, child: 1 }));
    assert_eq!(prices(&town, done.seq), (1, None));
}

#[test]
fn a_product_keeps_its_prices_and_its_default_among_them() {
    let mut town = Town::new();
    let product = town.done(Command::CreateProduct(Box::default())).seq;
    let other = town.done(Command::CreateProduct(Box::default())).seq;
    let monthly = PriceInput {
        terms: PriceTerms { recurring: Some(Recurring { interval: Interval::Month, count: 1 }), ..terms(500) },
        ..price(Some(product), 0)
    };
    let done = town.done(Command::CreatePrice(Box::new(monthly)));
    assert_eq!(events(&done), [EventKind::PriceCreated], "the product's own fields did not change");
    let monthly = made(&done);
    let update = |product, default_price| {
        let input = ProductInput { default_price: Some(default_price), ..ProductInput::default() };
        Command::UpdateProduct { product, input: Box::new(input) }
    };
    let refusal = town.refused(update(other, monthly));
    assert_eq!(refusal.param.as_deref(), Some("default_price"));
    let missing = town.refused(update(product, product_id(product)));
    assert_eq!(missing.code.as_deref(), Some("resource_missing"));
    assert_eq!(events(&town.done(update(product, monthly))), [EventKind::ProductUpdated]);
    assert_eq!(events(&town.done(update(product, monthly))), [], "nothing changed");
    // The default stays in use, and a product with prices stays.
    let archive = |price| Command::UpdatePrice { price, active: Some(false), tax_behavior: None };
    assert_eq!(town.refused(archive(monthly)).param.as_deref(), Some("active"));
    assert!(town.refused(Command::DeleteProduct { product }).message.contains("prices"));
    let yearly = made(&town.done(Command::CreatePrice(Box::new(price(Some(product), 5_000)))));
    town.done(update(product, yearly));
    assert_eq!(events(&town.done(archive(monthly))), [EventKind::PriceUpdated]);
    // How it is taxed can be said once.
    let tax = |wanted| Command::UpdatePrice { price: yearly, active: None, tax_behavior: Some(wanted) };
    town.done(tax(TaxBehavior::Inclusive));
    assert_eq!(town.refused(tax(TaxBehavior::Exclusive)).param.as_deref(), Some("tax_behavior"));
    let gone = town.done(Command::DeleteProduct { product: other });
    assert_eq!((events(&gone), &gone.reply), (vec![EventKind::ProductDeleted], &Reply::Deleted(product_id(other))));
    assert_eq!(town.refused(Command::DeleteProduct { product: other }).status, 404);
    let orphan = town.refused(Command::CreatePrice(Box::new(price(Some(other), 1))));
    assert_eq!((orphan.status, orphan.param.as_deref()), (400, Some("product")));
}

#[test]
fn a_catalog_belongs_to_one_account() {
    let mut town = Town::new();
    let seller = town.seller(florin::primitives::Country::US, Currency::USD);
    let product = town.done_as(seller, Command::CreateProduct(Box::default())).seq;
    assert_eq!(town.refused(Command::DeleteProduct { product }).status, 404, "the platform's view");
    assert_eq!(town.refused(Command::CreatePrice(Box::new(price(Some(product), 1)))).status, 400);
    town.done_as(seller, Command::CreatePrice(Box::new(price(Some(product), 1))));
}

#[test]
fn a_key_is_kept_as_its_hash_and_revoked_once() {
    let mut town = Town::new();
    let key = |permissions: &[(&str, KeyLevel)]| Command::CreateKey {
        hash: [7; 32],
        hint: "rk_test_****abcd".to_owned(),
        permissions: permissions.iter().map(|(word, level)| ((*word).to_owned(), *level)).collect(),
    };
    assert_eq!(town.refused(key(&[])).param.as_deref(), Some("permissions"));
    let made = town.done(key(&[("charge", KeyLevel::Read)])).seq;
    town.done(Command::RevokeKey { key: made });
    let revoked_at = |town: &Town| match &*town.record(RecordKey::head(made)) {
        Record::ApiKey(key) => key.revoked_at,
        other => panic!("{other:?}"),
    };
    assert_eq!(revoked_at(&town), Some(town.now));
    town.advance_days(1);
    town.done(Command::RevokeKey { key: made });
    assert_ne!(revoked_at(&town), Some(town.now), "it was revoked before");
    assert_eq!(town.refused(Command::RevokeKey { key: made + 1 }).status, 404);
}

#[test]
fn their_journal_decides_alike_again() {
    let mut town = Town::new();
    let product = ProductInput { price: Some(price(None, 900)), ..ProductInput::default() };
    let mut request = florin::domain::command::Request {
        acting: AccountNo::PLATFORM,
        ..Town::request(Command::CreateProduct(Box::new(product)))
    };
    for (path, text) in [("name", "Chair"), ("images[0]", "https://example.com/1"), ("beside.metadata[a]", "b")] {
        request.texts.set(path, text);
    }
    let Told::Decided(done) = town.told(&request) else { panic!("it is decided") };
    town.done(Command::CreatePrice(Box::new(price(Some(done.seq), 70))));
    let (mut again, vault) = fresh();
    for payload in town.plain.entries.clone() {
        decide_again(&mut again, &vault, &payload);
    }
    assert_eq!(again.digest(), town.plain.digest());
}
