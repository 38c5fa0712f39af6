//! `/v1/customers`.

use super::super::error::ApiError;
use super::super::expansion::{CUSTOMER, PAYMENT_METHOD};
use super::super::fields::{Fields, Patch};
use super::super::list::{self, CUSTOMERS, METHODS};
use super::super::paging::Range;
use super::super::request::Call;
use super::super::respond;
use super::super::texts::Texts;
use super::super::view::{Stage, Stop};
use super::{Answered, expansion, methods, must_own, paging, retrieve as read};
use crate::domain::command::Command;
use crate::domain::record::{MethodRef, Record, RecordKey};
use crate::primitives::id::{ObjectId, ObjectKind};

fn id(call: &Call) -> Result<ObjectId, ApiError> {
    call.path_id(0, &[ObjectKind::Customer], "customer", "id")
}

fn texts(fields: &Fields<'_>) -> Result<Texts, ApiError> {
    let mut texts = Texts::default();
    texts.email(fields, "email")?;
    texts.texts(fields, &["name", "phone", "description"])?;
    texts.address(fields, "address")?;
    texts.shipping(fields)?;
    texts.metadata(fields)?;
    // What belongs to billing, tax and locales has no use here yet.
    for name in [
        "balance",
        "business_name",
        "individual_name",
        "cash_balance",
        "invoice_prefix",
        "next_invoice_sequence",
        "preferred_locales",
        "tax",
        "tax_exempt",
        "tax_id_data",
        "validate",
    ] {
        fields.ignore(name);
    }
    Ok(texts)
}

/// `invoice_settings[default_payment_method]`.
fn default_method(call: &Call, fields: &Fields<'_>) -> Result<Option<Option<MethodRef>>, ApiError> {
    let Some(settings) = fields.hash("invoice_settings")? else { return Ok(None) };
    let method = settings.clearable_text("default_payment_method")?;
    for name in ["custom_fields", "footer", "rendering_options"] {
        settings.ignore(name);
    }
    match method {
        Patch::Keep => Ok(None),
        Patch::Clear => Ok(Some(None)),
        Patch::Set(text) => {
            let param = settings.name_of("default_payment_method");
            let id = call.body_id(text, &[ObjectKind::PaymentMethod], "payment_method", &param);
            Ok(Some(Some(MethodRef { key: RecordKey::of(&id), slot: id.slot })))
        }
    }
}

/// The same of a new customer, which has no other payment method than the one it comes with.
fn default_of_new(fields: &Fields<'_>) -> Result<Option<bool>, ApiError> {
    let Some(settings) = fields.hash("invoice_settings")? else { return Ok(None) };
    let wanted = settings.clearable_text("default_payment_method")?.value();
    for name in ["custom_fields", "footer", "rendering_options"] {
        settings.ignore(name);
    }
    let Some(wanted) = wanted else { return Ok(None) };
    if fields.text("payment_method")? == Some(wanted) {
        return Ok(Some(true));
    }
    let message = format!(
        "The customer does not have a payment method with the ID {}. The payment method must be attached to the \
         customer: give it as `payment_method` too.",
        super::super::error::echo(wanted)
    );
    Err(ApiError::invalid(settings.name_of("default_payment_method"), message).with_code("resource_missing"))
}

/// POST /v1/customers
pub async fn create(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &CUSTOMER)?;
    let texts = texts(&fields)?;
    fields.at_most_one(&["payment_method", "source"])?;
    let method = match methods::given(&call, &fields, "payment_method")? {
        Some(method) => Some(method),
        None => methods::given(&call, &fields, "source")?,
    };
    let default = default_of_new(&fields)?;
    fields.finish()?;
    respond::submit(&call, Command::CreateCustomer { method, default }, texts.into_patch(), &expand).await
}

/// GET /v1/customers/{customer}
pub async fn retrieve(call: Call) -> Answered {
    read(&call, id(&call)?, &CUSTOMER, "customer", "id").await
}

/// POST /v1/customers/{customer}
pub async fn update(call: Call) -> Answered {
    let customer = id(&call)?.birth;
    let fields = call.fields();
    let expand = expansion(&fields, &CUSTOMER)?;
    let texts = texts(&fields)?;
    let default_method = default_method(&call, &fields)?;
    fields.finish()?;
    respond::submit(&call, Command::UpdateCustomer { customer, default_method }, texts.into_patch(), &expand).await
}

/// DELETE /v1/customers/{customer}
pub async fn delete(call: Call) -> Answered {
    let customer = id(&call)?.birth;
    let fields = call.fields();
    let expand = expansion(&fields, &CUSTOMER)?;
    fields.finish()?;
    respond::submit(&call, Command::DeleteCustomer { customer }, Default::default(), &expand).await
}

/// GET /v1/customers
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &CUSTOMER)?;
    let created = Range::parse(&fields, "created")?;
    let email = fields.text("email")?;
    fields.finish()?;
    let mut stage = Stage::default();
    let ids = list::walk(&call, CUSTOMERS, &page, &created, &mut stage, |view, id| {
        let Some(email) = email else { return Ok(true) };
        let Record::Customer(customer) = view.record(RecordKey::of(id))? else { return Err(Stop::Gone) };
        Ok(view.texts(&customer.private).get("email") == Some(email))
    })
    .await?;
    list::respond(&call, ids, &mut stage, &expand, "/v1/customers").await
}

/// GET /v1/customers/{customer}/payment_methods
pub async fn payment_methods(call: Call) -> Answered {
    let customer = id(&call)?;
    let fields = call.fields();
    let (page, expand) = paging(&fields, &PAYMENT_METHOD)?;
    let only_cards = methods::lists_cards(&fields)?;
    fields.finish()?;
    let mut stage = Stage::default();
    must_own(&call, &mut stage, &customer, "customer", "id").await?;
    let ids = list::walk(&call, METHODS, &page, &None, &mut stage, |view, id| {
        Ok(only_cards && methods::customer_of(view, id)? == Some(customer.birth))
    })
    .await?;
    list::respond(&call, ids, &mut stage, &expand, &call.path).await
}

/// GET /v1/customers/{customer}/payment_methods/{payment_method}
pub async fn payment_method(call: Call) -> Answered {
    let customer = id(&call)?;
    let method = call.path_id(1, &[ObjectKind::PaymentMethod], "payment_method", "payment_method")?;
    let fields = call.fields();
    let expand = expansion(&fields, &PAYMENT_METHOD)?;
    fields.finish()?;
    let mut stage = Stage::default();
    must_own(&call, &mut stage, &customer, "customer", "id").await?;
    let of = super::super::view::render(call.platform(), call.secrets(), &mut stage, |view| {
        methods::customer_of(view, &method)
    });
    if of.await?.flatten() != Some(customer.birth) {
        let place = super::super::error::Place::Path;
        return Err(ApiError::no_such("payment_method", call.path_text(1), "payment_method", place));
    }
    super::shown(&call, method, &expand, "payment_method", "payment_method").await
}
