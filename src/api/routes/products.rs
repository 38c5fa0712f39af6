//! `/v1/products`.

use super::super::error::ApiError;
use super::super::expansion::PRODUCT;
use super::super::fields::{Fields, Patch};
use super::super::list::{self, PRODUCTS};
use super::super::paging::Range;
use super::super::request::Call;
use super::super::respond;
use super::super::texts::Texts;
use super::super::view::{Stage, Stop};
use super::{Answered, expansion, paging, prices, retrieve as read};
use crate::domain::catalog::{BESIDE, ProductInput};
use crate::domain::command::Command;
use crate::domain::record::{Record, RecordKey};
use crate::domain::seal::TextPatch;
use crate::primitives::id::{ObjectId, ObjectKind};

const IMAGES_MAX: usize = 8;
const FEATURES_MAX: usize = 15;

fn id(call: &Call) -> Result<ObjectId, ApiError> {
    call.path_id(0, &[ObjectKind::Product], "product", "id")
}

/// What create and update share.
fn shared(fields: &Fields<'_>, texts: &mut Texts) -> Result<ProductInput, ApiError> {
    texts.texts(fields, &["description", "unit_label", "url", "tax_code"])?;
    texts.descriptor(fields, "statement_descriptor")?;
    texts.metadata(fields)?;
    match fields.clearable_texts("images")? {
        Patch::Keep => {}
        Patch::Clear => texts.clear("images"),
        Patch::Set(images) if images.len() > IMAGES_MAX => {
            return Err(ApiError::invalid("images", format!("A product has at most {IMAGES_MAX} images.")));
        }
        Patch::Set(images) => {
            texts.clear("images");
            for (place, image) in images.into_iter().enumerate() {
                texts.set(format!("images[{place}]"), image);
            }
        }
    }
    match fields.clearable_hashes("marketing_features")? {
        Patch::Keep => {}
        Patch::Clear => texts.clear("marketing_features"),
        Patch::Set(features) if features.len() > FEATURES_MAX => {
            let message = format!("A product has at most {FEATURES_MAX} marketing features.");
            return Err(ApiError::invalid("marketing_features", message));
        }
        Patch::Set(features) => {
            texts.clear("marketing_features");
            for (place, feature) in features.iter().enumerate() {
                texts.set(format!("marketing_features[{place}][name]"), feature.required_text("name")?);
            }
        }
    }
    Ok(ProductInput {
        active: fields.boolean("active")?,
        shippable: fields.boolean("shippable")?,
        ..ProductInput::default()
    })
}

/// Texts that lie in a hash, as those of the object that is made beside the main one.
pub fn beside(patch: TextPatch, hash: &str) -> TextPatch {
    let moved = patch.0.into_iter().map(|(path, text)| {
        // `hash[a][b]` is `a[b]` of the other object.
        let inner = path.strip_prefix(hash).and_then(|rest| rest.strip_prefix('['));
        let path = match inner.and_then(|inner| inner.split_once(']')) {
            Some((first, rest)) => format!("{BESIDE}{first}{rest}"),
            None => path,
        };
        (path, text)
    });
    TextPatch(moved.collect())
}

/// POST /v1/products
pub async fn create(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &PRODUCT)?;
    let mut texts = Texts::default();
    let name = fields.or_defer("name", fields.text("name")?, "");
    texts.set("name", name);
    if let Some(kind) = fields.one_of("type", &[("good", "good"), ("service", "service")])? {
        texts.set("type", kind);
    }
    if fields.is_given("id") {
        fields.ignore("id");
        let message = "Florin makes the ids of products itself. Keep an id of your own in metadata.";
        return Err(ApiError::invalid("id", message));
    }
    let mut input = shared(&fields, &mut texts)?;
    let mut patch = TextPatch::default();
    if let Some(price) = fields.hash("default_price_data")? {
        let mut own = Texts::default();
        own.metadata(&price)?;
        input.price = Some(prices::terms(&price)?);
        patch = beside(own.into_patch(), "default_price_data");
    }
    fields.finish()?;
    let mut all = texts.into_patch();
    all.0.extend(patch.0);
    respond::submit(&call, Command::CreateProduct(Box::new(input)), all, &expand).await
}

/// GET /v1/products/{id}
pub async fn retrieve(call: Call) -> Answered {
    read(&call, id(&call)?, &PRODUCT, "product", "id").await
}

/// POST /v1/products/{id}
pub async fn update(call: Call) -> Answered {
    let product = id(&call)?.birth;
    let fields = call.fields();
    let expand = expansion(&fields, &PRODUCT)?;
    let mut texts = Texts::default();
    if let Some(name) = fields.text("name")? {
        texts.set("name", name);
    }
    let mut input = shared(&fields, &mut texts)?;
    if let Some(price) = fields.text("default_price")? {
        input.default_price = Some(call.body_id(price, &[ObjectKind::Price], "price", "default_price"));
    }
    fields.finish()?;
    let command = Command::UpdateProduct { product, input: Box::new(input) };
    respond::submit(&call, command, texts.into_patch(), &expand).await
}

/// DELETE /v1/products/{id}
pub async fn delete(call: Call) -> Answered {
    let product = id(&call)?.birth;
    let fields = call.fields();
    let expand = expansion(&fields, &PRODUCT)?;
    fields.finish()?;
    respond::submit(&call, Command::DeleteProduct { product }, Default::default(), &expand).await
}

/// GET /v1/products
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &PRODUCT)?;
    let created = Range::parse(&fields, "created")?;
    let (active, shippable) = (fields.boolean("active")?, fields.boolean("shippable")?);
    let (url, kind) = (fields.text("url")?, fields.one_of("type", &[("good", "good"), ("service", "service")])?);
    let product = |text| call.body_id(text, &[ObjectKind::Product], "product", "ids");
    let wanted: Option<Vec<ObjectId>> = fields.texts("ids")?.map(|texts| texts.into_iter().map(product).collect());
    fields.finish()?;
    let mut stage = Stage::default();
    let ids = list::walk(&call, PRODUCTS, &page, &created, &mut stage, |view, id| {
        if wanted.as_ref().is_some_and(|wanted| !wanted.contains(id)) {
            return Ok(false);
        }
        let Record::Product(product) = view.record(RecordKey::of(id))? else { return Err(Stop::Gone) };
        if active.is_some_and(|active| active != product.active)
            || shippable.is_some_and(|shippable| Some(shippable) != product.shippable)
        {
            return Ok(false);
        }
        if url.is_none() && kind.is_none() {
            return Ok(true);
        }
        let texts = view.texts(&product.private);
        Ok(url.is_none_or(|url| texts.get("url") == Some(url))
            && kind.is_none_or(|kind| texts.get("type").unwrap_or("service") == kind))
    })
    .await?;
    list::respond(&call, ids, &mut stage, &expand, "/v1/products").await
}
