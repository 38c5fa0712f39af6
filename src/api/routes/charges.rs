//! `/v1/charges`.

use super::super::error::ApiError;
use super::super::expansion::{CHARGE, REFUND};
use super::super::fields::Fields;
use super::super::list::{self, CHARGES, REFUNDS};
use super::super::paging::Range;
use super::super::params::Node;
use super::super::render::{self, Words, payment_intent};
use super::super::request::Call;
use super::super::respond;
use super::super::texts::Texts;
use super::super::view::Stage;
use super::refunds as refund_routes;
use super::{Answered, amount, customer, expansion, methods, must_own, paging, required_currency, retrieve as read};
use crate::domain::command::{Command, IntentInput, MethodInput};
use crate::domain::record::CaptureMethod;
use crate::ledger::AccountNo;
use crate::primitives::id::{ObjectId, ObjectKind};

/// Card charges, and payments from transfers.
pub const KINDS: &[ObjectKind] = &[ObjectKind::Charge, ObjectKind::Payment];

fn id(call: &Call) -> Result<ObjectId, ApiError> {
    call.path_id(0, KINDS, "charge", "id")
}

/// What is accepted and changes nothing yet.
fn ignore_unused(fields: &Fields<'_>) {
    fields.ignore("radar_options");
}

/// `application_fee_amount`, or its name of old.
fn application_fee(fields: &Fields<'_>) -> Result<Option<i64>, ApiError> {
    fields.at_most_one(&["application_fee_amount", "application_fee"])?;
    match amount(fields, "application_fee_amount")? {
        Some(fee) => Ok(Some(fee)),
        None => amount(fields, "application_fee"),
    }
}

/// `transfer_data`, or `destination` as it was before: an account, or a hash with one.
fn destination(call: &Call, fields: &Fields<'_>, input: &mut IntentInput, texts: &mut Texts) -> Result<(), ApiError> {
    fields.at_most_one(&["transfer_data", "destination"])?;
    let account_in = |data: &Fields<'_>, name: &'static str| -> Result<AccountNo, ApiError> {
        let text = data.or_defer(name, data.text(name)?, "");
        Ok(call.body_account(text, "destination", &data.name_of(name)))
    };
    if let Some(data) = fields.hash("transfer_data")? {
        input.destination = Some(account_in(&data, "destination")?);
        input.transfer_amount = amount(&data, "amount")?;
        texts.text(&data, "description")?;
        texts.metadata(&data)?;
    } else if let Some(Node::Text(_)) = fields.raw("destination") {
        input.destination = Some(account_in(fields, "destination")?);
    } else if let Some(data) = fields.hash("destination")? {
        input.destination = Some(account_in(&data, "account")?);
        input.transfer_amount = amount(&data, "amount")?;
    }
    Ok(())
}

/// `source`: a token, a saved payment method, a test name, or a card as a hash; an account's balance is a debit.
enum Source {
    Method(Option<MethodInput>),
    Balance(AccountNo),
}

async fn source(call: &Call, fields: &Fields<'_>) -> Result<Source, ApiError> {
    match fields.raw("source") {
        None => Ok(Source::Method(None)),
        Some(Node::Text(text)) if text.starts_with("acct_") => {
            Ok(Source::Balance(call.body_account(text, "account", "source")))
        }
        Some(Node::Text(_)) => Ok(Source::Method(methods::given(call, fields, "source")?)),
        Some(Node::Hash(_) | Node::List(_)) => {
            let hash = fields.required_hash("source")?;
            hash.one_of("object", &[("card", ())])?;
            hash.ignore("name");
            Ok(Source::Method(Some(methods::card(call, &hash).await?)))
        }
    }
}

/// POST /v1/charges
pub async fn create(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &CHARGE)?;
    let mut texts = Texts::default();
    let minor = fields.or_defer("amount", fields.integer("amount")?, 0);
    let currency = required_currency(&fields, "currency")?;
    texts.texts(&fields, &["description", "transfer_group"])?;
    texts.metadata(&fields)?;
    let method = match source(&call, &fields).await? {
        Source::Method(method) => method,
        Source::Balance(account) => {
            ignore_unused(&fields);
            fields.finish()?;
            let command = Command::DebitAccount { account, amount: minor, currency };
            return respond::submit(&call, command, texts.into_patch(), &expand).await;
        }
    };
    let capture = fields.boolean("capture")?.unwrap_or(true);
    let mut input = IntentInput {
        amount: Some(minor),
        currency: Some(currency),
        confirm: true,
        customer: customer(&call, &fields)?,
        capture_method: Some(if capture { CaptureMethod::Automatic } else { CaptureMethod::Manual }),
        application_fee: application_fee(&fields)?.map(Some),
        method,
        ..IntentInput::default()
    };
    destination(&call, &fields, &mut input, &mut texts)?;
    if let Some(account) = fields.text("on_behalf_of")? {
        input.on_behalf_of = Some(call.body_account(account, "account", "on_behalf_of"));
    }
    texts.email(&fields, "receipt_email")?;
    texts.descriptor(&fields, "statement_descriptor")?;
    texts.descriptor(&fields, "statement_descriptor_suffix")?;
    texts.shipping(&fields)?;
    ignore_unused(&fields);
    fields.finish()?;
    respond::submit(&call, Command::CreateCharge(Box::new(input)), texts.into_patch(), &expand).await
}

/// POST /v1/charges/{charge}/capture
pub async fn capture(call: Call) -> Answered {
    let charge = call.path_id(0, &[ObjectKind::Charge], "charge", "charge")?;
    let fields = call.fields();
    let expand = expansion(&fields, &CHARGE)?;
    let mut texts = Texts::default();
    texts.email(&fields, "receipt_email")?;
    texts.descriptor(&fields, "statement_descriptor")?;
    texts.descriptor(&fields, "statement_descriptor_suffix")?;
    texts.text(&fields, "transfer_group")?;
    let transfer_amount = match fields.hash("transfer_data")? {
        Some(data) => amount(&data, "amount")?,
        None => None,
    };
    let command = Command::CaptureCharge {
        charge,
        amount: amount(&fields, "amount")?,
        application_fee: application_fee(&fields)?,
        transfer_amount,
    };
    fields.finish()?;
    respond::submit(&call, command, texts.into_patch(), &expand).await
}

/// GET /v1/charges/{charge}
pub async fn retrieve(call: Call) -> Answered {
    read(&call, id(&call)?, &CHARGE, "charge", "id").await
}

/// POST /v1/charges/{charge}
pub async fn update(call: Call) -> Answered {
    let charge = id(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &CHARGE)?;
    let mut texts = Texts::default();
    let customer = customer(&call, &fields)?;
    texts.texts(&fields, &["description", "transfer_group"])?;
    texts.email(&fields, "receipt_email")?;
    texts.shipping(&fields)?;
    texts.metadata(&fields)?;
    if let Some(fraud) = fields.hash("fraud_details")? {
        let report = fraud.required_one_of("user_report", &[("fraudulent", "fraudulent"), ("safe", "safe")])?;
        texts.set("fraud_details[user_report]", report);
    }
    fields.finish()?;
    respond::submit(&call, Command::UpdateCharge { charge, customer }, texts.into_patch(), &expand).await
}

/// GET /v1/charges
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &CHARGE)?;
    let created = Range::parse(&fields, "created")?;
    let customer = customer(&call, &fields)?;
    let group = fields.text("transfer_group")?;
    let intent = match fields.text("payment_intent")? {
        Some(text) => {
            let kinds = &[ObjectKind::PaymentIntent];
            Some(call.body_id(text, kinds, "payment_intent", "payment_intent").birth)
        }
        None => None,
    };
    fields.finish()?;
    let mut stage = Stage::default();
    let ids = list::walk(&call, CHARGES, &page, &created, &mut stage, |view, id| {
        if intent.is_some_and(|birth| birth != id.birth || id.kind == ObjectKind::Payment) {
            return Ok(false);
        }
        if let Some(customer) = customer
            && (id.kind == ObjectKind::Payment
                || render::charge::find(view, id.birth, id.slot)?.customer != Some(customer))
        {
            return Ok(false);
        }
        let Some(group) = group else { return Ok(true) };
        if id.kind == ObjectKind::Payment {
            return Ok(false);
        }
        let flow = view.flow(id.birth)?;
        let texts = view.texts(&flow.private);
        let words = Words::new(&texts, flow.charge_texts());
        Ok(payment_intent::group(view, id.birth, flow, words).is_some_and(|own| own.is(group)))
    })
    .await?;
    list::respond(&call, ids, &mut stage, &expand, "/v1/charges").await
}

/// GET /v1/charges/{charge}/refunds
pub async fn refunds(call: Call) -> Answered {
    let charge = id(&call)?;
    let fields = call.fields();
    let (page, expand) = paging(&fields, &REFUND)?;
    fields.finish()?;
    let mut stage = Stage::default();
    must_own(&call, &mut stage, &charge, "charge", "id").await?;
    let all = refund_routes::of_charge(&call, &mut stage, charge).await?;
    let ids = list::cut(call.platform().ids(), REFUNDS, &page, all)?;
    list::respond(&call, ids, &mut stage, &expand, &call.path).await
}

/// POST /v1/charges/{charge}/refunds
pub async fn refund(call: Call) -> Answered {
    let charge = id(&call)?;
    refund_routes::of(&call, Some(charge)).await
}
