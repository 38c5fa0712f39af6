//! `customer`.

use serde::Serialize;

use super::super::view::{Id, Stop, View};
use super::{Address, Hash, Rendered, Shipping, Sink, Stub, Words};
use crate::domain::record::{Record, RecordKey};
use crate::primitives::id::ObjectId;

#[derive(Serialize)]
struct Customer<'a> {
    id: Id,
    object: &'static str,
    address: Option<Address<'a>>,
    balance: i64,
    created: i64,
    currency: Option<&'static str>,
    customer_account: Option<&'static str>,
    default_source: Option<&'static str>,
    delinquent: bool,
    description: Option<&'a str>,
    discount: Option<&'static str>,
    email: Option<&'a str>,
    invoice_prefix: Option<&'static str>,
    invoice_settings: InvoiceSettings,
    livemode: bool,
    metadata: Hash<'a>,
    name: Option<&'a str>,
    next_invoice_sequence: u32,
    phone: Option<&'a str>,
    preferred_locales: [&'static str; 0],
    shipping: Option<Shipping<'a>>,
    tax_exempt: &'static str,
    test_clock: Option<&'static str>,
}

#[derive(Serialize)]
struct InvoiceSettings {
    custom_fields: Option<&'static str>,
    default_payment_method: Option<Id>,
    footer: Option<&'static str>,
    rendering_options: Option<&'static str>,
}

/// The customer of an id; a deleted one is a stub.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let Record::Customer(customer) = view.record(RecordKey::of(id))? else { return Err(Stop::Gone) };
    if customer.deleted {
        return sink.put(&Stub { id: view.id(id), object: "customer", deleted: true });
    }
    let texts = view.texts(&customer.private);
    let words = Words::new(&texts, "");
    sink.put(&Customer {
        id: view.id(id),
        object: "customer",
        address: words.some_address("address"),
        balance: 0,
        created: customer.made.at.seconds(),
        currency: None,
        customer_account: None,
        default_source: None,
        delinquent: false,
        description: words.get("description"),
        discount: None,
        email: words.get("email"),
        invoice_prefix: None,
        invoice_settings: InvoiceSettings {
            custom_fields: None,
            default_payment_method: customer.default_method.map(|method| view.method_id(&method)),
            footer: None,
            rendering_options: None,
        },
        livemode: false,
        metadata: words.metadata(),
        name: words.get("name"),
        next_invoice_sequence: 1,
        phone: words.get("phone"),
        preferred_locales: [],
        shipping: words.shipping(),
        tax_exempt: "none",
        test_clock: None,
    })
}
