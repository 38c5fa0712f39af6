//! Products and prices: what is sold, and for how much. No money moves here; whoever charges names an amount.

use minicbor::{Decode, Encode};

use super::command::Request;
use super::decide::{Change, Context, Facts, Halt, Outcome, Refusal, Reply};
use super::draft::Draft;
use super::event::EventKind;
use super::method::owner_key;
use super::record::{Made, Record, RecordKey, Shared, Slot};
use super::refund::no_such;
use super::seal::{Sealed, TextPatch, Texts};
use crate::ledger::AccountNo;
use crate::primitives::currency::Currency;
use crate::primitives::id::{ObjectId, ObjectKind};
use crate::primitives::time::Timestamp;

/// Where the record of a price lies that is made in one entry with its product.
const PRICE_CHILD: u32 = 1;
/// Texts of a price that comes with its product, and of a product that comes with its price, have this before them.
pub const BESIDE: &str = "beside.";

/// A product.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct ProductRecord {
    #[n(0)]
    pub owner: AccountNo,
    #[n(1)]
    pub made: Made,
    #[n(2)]
    pub updated_at: Timestamp,
    #[n(3)]
    pub active: bool,
    #[n(4)]
    pub shippable: Option<bool>,
    /// Where its default price lies.
    #[n(5)]
    pub default_price: Option<RecordKey>,
    /// How many prices it has: with any, it cannot be deleted.
    #[n(6)]
    pub prices: u32,
    /// name, description, images, url, unit_label, statement_descriptor, tax_code, marketing features, metadata.
    #[n(7)]
    pub private: Sealed,
    #[n(8)]
    pub deleted: bool,
}

/// A price of a product.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct PriceRecord {
    #[n(0)]
    pub owner: AccountNo,
    #[n(1)]
    pub made: Made,
    #[n(2)]
    pub product: u64,
    #[n(3)]
    pub active: bool,
    #[n(4)]
    pub terms: PriceTerms,
    #[n(5)]
    pub tax_behavior: Option<TaxBehavior>,
    /// nickname, lookup_key, metadata.
    #[n(6)]
    pub private: Sealed,
}

/// What a price asks for.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct PriceTerms {
    #[n(0)]
    pub currency: Currency,
    /// Whole minor units, or a decimal number of them with a fraction.
    #[n(1)]
    pub amount: UnitAmount,
    /// How often, where it is asked for again and again.
    #[n(2)]
    pub recurring: Option<Recurring>,
}

/// An amount for one unit.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum UnitAmount {
    /// Minor units.
    #[n(0)]
    Whole(#[n(0)] i64),
    /// Minor units with up to twelve decimals, as given.
    #[n(1)]
    Fraction(#[n(0)] String),
}

/// How often a price is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Recurring {
    #[n(0)]
    pub interval: Interval,
    /// Of intervals between two times.
    #[n(1)]
    pub count: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Interval {
    #[n(0)]
    Day,
    #[n(1)]
    Week,
    #[n(2)]
    Month,
    #[n(3)]
    Year,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum TaxBehavior {
    #[n(0)]
    Exclusive,
    #[n(1)]
    Inclusive,
    #[n(2)]
    Unspecified,
}

/// Parameters of a product; create and update share them.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct ProductInput {
    #[n(0)]
    pub active: Option<bool>,
    #[n(1)]
    pub shippable: Option<bool>,
    /// A price of its own (update).
    #[n(2)]
    pub default_price: Option<ObjectId>,
    /// A price that is made with it and becomes its default (create).
    #[n(3)]
    pub price: Option<PriceInput>,
}

/// Parameters of a new price.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct PriceInput {
    /// The product it belongs to; `None`: one that is made with it.
    #[n(0)]
    pub product: Option<u64>,
    #[n(1)]
    pub terms: PriceTerms,
    #[n(2)]
    pub active: Option<bool>,
    #[n(3)]
    pub tax_behavior: Option<TaxBehavior>,
    /// Whether the product that is made with it is active.
    #[n(4)]
    pub product_active: Option<bool>,
}

/// A product's id.
pub fn product_id(product: u64) -> ObjectId {
    RecordKey::head(product).id(ObjectKind::Product, Slot::MAIN)
}

/// A price's id.
pub fn price_id(key: RecordKey) -> ObjectId {
    key.id(ObjectKind::Price, Slot::MAIN)
}

// ---------------------------------------------------------------------------------------------------------------
// Products

/// Creates a product, with a default price where one is given.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn create_product(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    input: &ProductInput,
) -> Result<Outcome, Halt> {
    let key_no = owner_key(facts, request.acting)?;
    let mut draft = Draft::new(facts, ctx);
    let (own, beside) = parted(&request.texts);
    let price = RecordKey { birth: ctx.seq, child: PRICE_CHILD };
    let mut product = fresh_product(&mut draft, request.acting, key_no, &own)?;
    product.active = input.active.unwrap_or(true);
    product.shippable = input.shippable;
    if input.price.is_some() {
        (product.default_price, product.prices) = (Some(price), 1);
    }
    draft.change(Change::of(RecordKey::head(ctx.seq), Record::Product(product)));
    draft.event(request.acting, EventKind::ProductCreated, product_id(ctx.seq));
    if let Some(input) = &input.price {
        let record = fresh_price(&mut draft, request.acting, ctx.seq, key_no, input, &beside)?;
        draft.change(Change::of(price, Record::Price(record)));
        draft.event(request.acting, EventKind::PriceCreated, price_id(price));
    }
    let mut outcome = draft.finish(Reply::Object(product_id(ctx.seq)));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// Changes a product.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn update_product(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    product: u64,
    input: &ProductInput,
) -> Result<Outcome, Halt> {
    let before = product_in_path(facts, ctx, request.acting, product)?;
    let was = product_of(&before)?;
    let mut record = was.clone();
    record.active = input.active.unwrap_or(was.active);
    record.shippable = input.shippable.or(was.shippable);
    if let Some(wanted) = input.default_price {
        record.default_price = Some(default_price(facts, ctx, request.acting, product, &wanted)?);
    }
    let key_no = owner_key(facts, request.acting)?;
    let reply = Reply::Object(product_id(product));
    let mut outcome = if request.texts.is_empty() && record == *was {
        Outcome::answer(reply)
    } else {
        let mut draft = Draft::new(facts, ctx);
        record.updated_at = ctx.now;
        record.private = patched(&mut draft, &record.private, key_no, &request.texts)?;
        draft.change(Change::of(RecordKey::head(product), Record::Product(record)).from(&before));
        draft.event(request.acting, EventKind::ProductUpdated, product_id(product));
        draft.finish(reply)
    };
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// Deletes a product that has no prices.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn delete_product(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, product: u64) -> Result<Outcome, Halt> {
    let before = product_in_path(facts, ctx, request.acting, product)?;
    let was = product_of(&before)?;
    if was.prices > 0 {
        let message = "This product cannot be deleted because it has prices. Archive it instead, with active=false.";
        return Err(Refusal::new(message).into());
    }
    let record = ProductRecord { deleted: true, private: Sealed::default(), ..was.clone() };
    let mut draft = Draft::new(facts, ctx);
    draft.change(Change::of(RecordKey::head(product), Record::Product(record)).from(&before));
    draft.event(request.acting, EventKind::ProductDeleted, product_id(product));
    Ok(draft.finish(Reply::Deleted(product_id(product))))
}

fn fresh_product(
    draft: &mut Draft<'_>,
    owner: AccountNo,
    key_no: u32,
    texts: &TextPatch,
) -> Result<ProductRecord, Halt> {
    Ok(ProductRecord {
        owner,
        made: draft.made(),
        updated_at: draft.ctx.now,
        active: true,
        shippable: None,
        default_price: None,
        prices: 0,
        private: patched(draft, &Sealed::default(), key_no, texts)?,
        deleted: false,
    })
}

/// The price that is to be a product's default: one of its own that is in use.
fn default_price(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    owner: AccountNo,
    product: u64,
    wanted: &ObjectId,
) -> Result<RecordKey, Halt> {
    let key = RecordKey::of(wanted);
    match facts.record(key)?.as_deref() {
        Some(Record::Price(price)) if price.owner == owner && price.product == product && price.active => Ok(key),
        Some(Record::Price(price)) if price.owner == owner => {
            let message = format!(
                "The price {} is not an active price of this product. Give one that is.",
                ctx.ids.encode(wanted)
            );
            Err(Refusal::new(message).param("default_price").into())
        }
        _ => {
            let message = format!("No such price: '{}'", ctx.ids.encode(wanted));
            Err(Refusal::new(message).code("resource_missing").param("default_price").into())
        }
    }
}

fn product_in_path(facts: &dyn Facts, ctx: &Context<'_>, owner: AccountNo, product: u64) -> Result<Shared, Halt> {
    living(facts, owner, product)?.ok_or_else(|| no_such(ctx, "product", &product_id(product), "id"))
}

fn living(facts: &dyn Facts, owner: AccountNo, product: u64) -> Result<Option<Shared>, Halt> {
    let record = facts.record(RecordKey::head(product))?;
    Ok(record.filter(|record| matches!(&**record, Record::Product(p) if p.owner == owner && !p.deleted)))
}

fn product_of(record: &Record) -> Result<&ProductRecord, Halt> {
    match record {
        Record::Product(product) => Ok(product),
        _ => Err(Refusal::new("This object is no product.").param("product").into()),
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Prices

/// Creates a price, with its product where that is new too.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn create_price(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    input: &PriceInput,
) -> Result<Outcome, Halt> {
    let owner = request.acting;
    let key_no = owner_key(facts, owner)?;
    let mut draft = Draft::new(facts, ctx);
    let (own, beside) = parted(&request.texts);
    let (product, key) = match input.product {
        Some(product) => {
            let Some(before) = living(facts, owner, product)? else {
                let message = format!("No such product: '{}'", ctx.ids.encode(&product_id(product)));
                return Err(Refusal::new(message).code("resource_missing").param("product").into());
            };
            let was = product_of(&before)?;
            let record = ProductRecord { prices: was.prices.saturating_add(1), ..was.clone() };
            draft.change(Change::of(RecordKey::head(product), Record::Product(record)).from(&before));
            (product, RecordKey::head(ctx.seq))
        }
        None => {
            let mut record = fresh_product(&mut draft, owner, key_no, &beside)?;
            (record.active, record.prices) = (input.product_active.unwrap_or(true), 1);
            draft.change(Change::of(RecordKey::head(ctx.seq), Record::Product(record)));
            draft.event(owner, EventKind::ProductCreated, product_id(ctx.seq));
            (ctx.seq, RecordKey { birth: ctx.seq, child: PRICE_CHILD })
        }
    };
    let record = fresh_price(&mut draft, owner, product, key_no, input, &own)?;
    draft.change(Change::of(key, Record::Price(record)));
    draft.event(owner, EventKind::PriceCreated, price_id(key));
    let mut outcome = draft.finish(Reply::Object(price_id(key)));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// Changes what of a price may change: not what it asks for.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn update_price(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    price: &ObjectId,
    active: Option<bool>,
    tax_behavior: Option<TaxBehavior>,
) -> Result<Outcome, Halt> {
    let key = RecordKey::of(price);
    let before: Option<Shared> = facts.record(key)?;
    let found = before.as_ref().map(|record| (record, &**record));
    let Some((before, Record::Price(was))) = found else { return Err(no_such(ctx, "price", price, "price")) };
    if was.owner != request.acting {
        return Err(no_such(ctx, "price", price, "price"));
    }
    let mut record = was.clone();
    record.active = active.unwrap_or(was.active);
    if let Some(wanted) = tax_behavior {
        if was.tax_behavior.is_some_and(|have| have != TaxBehavior::Unspecified && have != wanted) {
            let message = "The tax_behavior of a price cannot be changed once it is set. Create another price.";
            return Err(Refusal::new(message).param("tax_behavior").into());
        }
        record.tax_behavior = Some(wanted);
    }
    if was.active && !record.active && is_default(facts, was.product, key)? {
        let message = "This price cannot be archived because it is the default price of its product. Give the product \
                       another default price first.";
        return Err(Refusal::new(message).param("active").into());
    }
    let key_no = owner_key(facts, request.acting)?;
    let mut outcome = if request.texts.is_empty() && record == *was {
        Outcome::answer(Reply::Object(*price))
    } else {
        let mut draft = Draft::new(facts, ctx);
        record.private = patched(&mut draft, &record.private, key_no, &request.texts)?;
        draft.change(Change::of(key, Record::Price(record)).from(before));
        draft.event(request.acting, EventKind::PriceUpdated, *price);
        draft.finish(Reply::Object(*price))
    };
    outcome.text_key_no = key_no;
    Ok(outcome)
}

fn is_default(facts: &dyn Facts, product: u64, price: RecordKey) -> Result<bool, Halt> {
    let record = facts.record(RecordKey::head(product))?;
    Ok(matches!(record.as_deref(), Some(Record::Product(product)) if product.default_price == Some(price)))
}

fn fresh_price(
    draft: &mut Draft<'_>,
    owner: AccountNo,
    product: u64,
    key_no: u32,
    input: &PriceInput,
    texts: &TextPatch,
) -> Result<PriceRecord, Halt> {
    Ok(PriceRecord {
        owner,
        made: draft.made(),
        product,
        active: input.active.unwrap_or(true),
        terms: input.terms.clone(),
        tax_behavior: Some(input.tax_behavior.unwrap_or(TaxBehavior::Unspecified)),
        private: patched(draft, &Sealed::default(), key_no, texts)?,
    })
}

// ---------------------------------------------------------------------------------------------------------------
// Texts

/// A request's own texts, and those of what comes with its main object.
fn parted(patch: &TextPatch) -> (TextPatch, TextPatch) {
    let (mut own, mut beside) = (TextPatch::default(), TextPatch::default());
    for (path, text) in &patch.0 {
        match path.strip_prefix(BESIDE) {
            Some(path) => beside.0.push((path.to_owned(), text.clone())),
            None => own.0.push((path.clone(), text.clone())),
        }
    }
    (own, beside)
}

fn patched(draft: &mut Draft<'_>, sealed: &Sealed, key_no: u32, patch: &TextPatch) -> Result<Sealed, Halt> {
    if patch.is_empty() {
        return Ok(sealed.clone());
    }
    let mut texts: Texts = draft.ctx.open(sealed);
    texts.apply("", patch);
    draft.seal(key_no, &texts)
}
