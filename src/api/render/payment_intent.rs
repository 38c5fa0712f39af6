//! `payment_intent`.

use serde::{Serialize, Serializer};

use super::super::view::{Id, Stop, View};
use super::authentication::{NextAction, next_action, requested};
use super::decline::Tried;
use super::{Hash, Rendered, Shipping, Sink, Words, decline, payment_method};
use crate::domain::record::{
    CancellationReason, CaptureMethod, CardUsage, FlowRecord, FutureUsage, Intent, IntentStatus, Recipe, RecordKey,
    Slot, Split,
};
use crate::primitives::id::{ObjectId, ObjectKind};

#[derive(Serialize)]
struct PaymentIntent<'a> {
    id: Id,
    object: &'static str,
    allowed_payment_method_types: Option<&'a [String]>,
    amount: i64,
    amount_capturable: i64,
    amount_details: AmountDetails,
    amount_received: i64,
    application: Option<Id>,
    application_fee_amount: Option<i64>,
    automatic_payment_methods: Option<AutomaticMethods>,
    canceled_at: Option<i64>,
    cancellation_reason: Option<&'static str>,
    capture_method: &'static str,
    client_secret: ClientSecret<'a>,
    confirmation_method: &'static str,
    created: i64,
    currency: &'static str,
    customer: Option<Id>,
    customer_account: Option<&'static str>,
    description: Option<&'a str>,
    excluded_payment_method_types: Option<&'static str>,
    last_payment_error: Option<decline::LastError<'a>>,
    latest_charge: Option<Id>,
    livemode: bool,
    managed_payments: Option<&'static str>,
    metadata: Hash<'a>,
    next_action: Option<NextAction<'a>>,
    on_behalf_of: Option<Id>,
    payment_method: Option<Id>,
    payment_method_configuration_details: Option<&'static str>,
    payment_method_options: MethodOptions,
    payment_method_types: MethodTypes<'a>,
    payment_record: Option<&'static str>,
    processing: Option<&'static str>,
    receipt_email: Option<&'a str>,
    review: Option<&'static str>,
    setup_future_usage: Option<&'static str>,
    shipping: Option<Shipping<'a>>,
    source: Option<&'static str>,
    /// Florin's own: the rule that divides this payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    split_rule: Option<Id>,
    statement_descriptor: Option<&'a str>,
    statement_descriptor_suffix: Option<&'a str>,
    status: &'static str,
    transfer_data: Option<TransferData<'a>>,
    transfer_group: Option<Group<'a>>,
}

#[derive(Serialize)]
struct AmountDetails {
    tip: super::Empty,
}

/// `automatic_payment_methods`.
#[derive(Serialize)]
pub struct AutomaticMethods {
    allow_redirects: &'static str,
    enabled: bool,
}

impl AutomaticMethods {
    /// Whatever there is, with redirects or without.
    pub fn new(redirects: bool) -> AutomaticMethods {
        AutomaticMethods { allow_redirects: if redirects { "always" } else { "never" }, enabled: true }
    }
}

#[derive(Serialize)]
struct MethodOptions {
    card: CardOptions,
}

#[derive(Serialize)]
struct CardOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    capture_method: Option<&'static str>,
    installments: Option<&'static str>,
    mandate_options: Option<&'static str>,
    network: Option<&'static str>,
    request_three_d_secure: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    setup_future_usage: Option<&'static str>,
}

#[derive(Serialize)]
struct TransferData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    destination: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Hash<'a>>,
}

/// Card unless the caller named types.
pub struct MethodTypes<'a>(pub &'a [String]);

impl Serialize for MethodTypes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() { ["card"].serialize(serializer) } else { self.0.serialize(serializer) }
    }
}

/// `pi_…_secret_…`.
pub struct ClientSecret<'a> {
    /// The intent.
    pub id: Id,
    /// What the secret derives from.
    pub secrets: &'a super::super::secrets::Secrets,
}

impl Serialize for ClientSecret<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let secret = self.secrets.client_secret(self.id.as_str());
        serializer.collect_str(&format_args!("{}_secret_{}", self.id.as_str(), secret.as_str()))
    }
}

/// What ties transfers to a charge: the caller's own word, or one made from the payment's id.
#[derive(Clone, Copy)]
pub enum Group<'a> {
    /// As given.
    Given(&'a str),
    /// `group_pi_…`.
    Made(Id),
}

impl Serialize for Group<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Group::Given(text) => serializer.serialize_str(text),
            Group::Made(id) => serializer.collect_str(&format_args!("group_{}", id.as_str())),
        }
    }
}

/// The transfer group of a payment: given, or made as soon as something was transferred of its charge, by the id of its
/// intent or (where the API knows none) its charge.
pub fn group<'a>(view: &View<'_>, birth: u64, flow: &FlowRecord, words: Words<'a>) -> Option<Group<'a>> {
    if let Some(given) = words.get("transfer_group") {
        return Some(Group::Given(given));
    }
    let transferred = flow.charge.as_ref().is_some_and(|charge| charge.transferred > 0);
    if !transferred && flow.transfers.is_empty() {
        return None;
    }
    let charge = || flow.charge.as_ref().map(|charge| RecordKey::head(birth).id(ObjectKind::Charge, charge.attempt));
    let of = if flow.shown_intent().is_some() { Some(id_of(view, birth)) } else { charge().map(|id| view.id(&id)) };
    of.map(Group::Made)
}

/// The id of a flow's intent.
pub fn id_of(view: &View<'_>, birth: u64) -> Id {
    view.id(&RecordKey::head(birth).id(ObjectKind::PaymentIntent, Slot::MAIN))
}

/// A status's word.
pub fn status(status: IntentStatus) -> &'static str {
    match status {
        IntentStatus::RequiresPaymentMethod => "requires_payment_method",
        IntentStatus::RequiresConfirmation => "requires_confirmation",
        IntentStatus::RequiresAction => "requires_action",
        IntentStatus::Processing => "processing",
        IntentStatus::RequiresCapture => "requires_capture",
        IntentStatus::Succeeded => "succeeded",
        IntentStatus::Canceled => "canceled",
    }
}

/// A cancellation's reason.
pub fn reason(reason: CancellationReason) -> &'static str {
    match reason {
        CancellationReason::Abandoned => "abandoned",
        CancellationReason::Duplicate => "duplicate",
        CancellationReason::Fraudulent => "fraudulent",
        CancellationReason::RequestedByCustomer => "requested_by_customer",
        CancellationReason::Automatic => "automatic",
    }
}

fn capture_method(method: CaptureMethod) -> &'static str {
    match method {
        CaptureMethod::AutomaticAsync => "automatic_async",
        CaptureMethod::Automatic => "automatic",
        CaptureMethod::Manual => "manual",
    }
}

/// A usage's word.
pub fn future_usage(usage: FutureUsage) -> &'static str {
    match usage {
        FutureUsage::OnSession => "on_session",
        FutureUsage::OffSession => "off_session",
    }
}

fn transfer_data<'a>(view: &View<'_>, intent: &Intent, words: Words<'a>) -> Option<TransferData<'a>> {
    let (account, amount) = match intent.split {
        Split::Destination { account, .. } => (account, None),
        Split::DestinationAmount { account, amount } => (account, Some(amount)),
        Split::Keep | Split::Rule(_) | Split::Direct(_) => return None,
    };
    Some(TransferData {
        amount,
        description: words.inside("transfer_data", "description"),
        destination: view.account_id(account),
        metadata: words.has("transfer_data[metadata]").then(|| words.hash("transfer_data[metadata]")),
    })
}

/// The payment intent of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let flow = view.flow(id.birth)?;
    let intent = flow.shown_intent().ok_or(Stop::Gone)?;
    let key = RecordKey::head(id.birth);
    let texts = view.texts(&flow.private);
    let words = Words::new(&texts, "pi.");
    let latest = intent.attempts.checked_sub(1).map(|attempt| view.id(&key.id(ObjectKind::Charge, attempt)));
    let failed = match intent.last_error {
        None => None,
        Some(error) => {
            let charged = flow.charge.as_ref().map(|charge| charge.method);
            let method = if error.recipe == Recipe::AuthenticationFailed { intent.failed_method } else { charged };
            match method.map(|method| payment_method::source(view, &method).map(|source| (method, source))) {
                None | Some(Err(Stop::Gone)) => Some((error.recipe, None)),
                Some(Ok(found)) => Some((error.recipe, Some(found))),
                Some(Err(stop)) => return Err(stop),
            }
        }
    };
    let last_payment_error = failed.as_ref().map(|(recipe, method)| {
        let method = method.as_ref().map(|(place, source)| (*place, source));
        decline::last_error(view, *recipe, Tried::Payment { charge: latest }, method)
    });
    let options = intent.options.unwrap_or_default();
    let (application_fee_amount, split_rule) = match intent.split {
        Split::Destination { application_fee, .. } => (application_fee, None),
        Split::Direct(fee) => (Some(fee), None),
        Split::Rule(birth) => (None, Some(view.id(&RecordKey::head(birth).id(ObjectKind::Split, Slot::MAIN)))),
        Split::Keep | Split::DestinationAmount { .. } => (None, None),
    };
    let own_id = view.id(id);
    sink.put(&PaymentIntent {
        id: own_id,
        object: "payment_intent",
        allowed_payment_method_types: (!intent.method_types.is_empty()).then_some(&intent.method_types),
        amount: intent.amount,
        amount_capturable: intent.amount_capturable,
        amount_details: AmountDetails { tip: super::Empty {} },
        amount_received: intent.amount_received,
        application: (!flow.owner.is_platform()).then(|| view.application()),
        application_fee_amount,
        automatic_payment_methods: intent.automatic_methods.map(AutomaticMethods::new),
        canceled_at: intent.canceled_at.map(|at| at.seconds()),
        cancellation_reason: intent.cancellation_reason.map(reason),
        capture_method: capture_method(intent.capture_method),
        client_secret: ClientSecret { id: own_id, secrets: view.secrets },
        confirmation_method: if intent.confirmation_manual { "manual" } else { "automatic" },
        created: flow.made.at.seconds(),
        currency: intent.currency.code(),
        customer: intent.customer.map(|birth| view.customer_id(birth)),
        customer_account: None,
        description: words.get("description"),
        excluded_payment_method_types: None,
        last_payment_error,
        latest_charge: latest,
        livemode: false,
        managed_payments: None,
        metadata: words.metadata(),
        next_action: next_action(view, own_id, intent.status, intent.authentication, words),
        on_behalf_of: intent.on_behalf_of.map(|account| view.account_id(account)),
        payment_method: intent.method.map(|method| view.method_id(&method)),
        payment_method_configuration_details: None,
        payment_method_options: MethodOptions {
            card: CardOptions {
                capture_method: (options.capture_manual == Some(true)).then_some("manual"),
                installments: None,
                mandate_options: None,
                network: None,
                request_three_d_secure: requested(options.three_d_secure.unwrap_or_default()),
                setup_future_usage: options.future_usage.map(|usage| match usage {
                    CardUsage::None => "none",
                    CardUsage::OnSession => "on_session",
                    CardUsage::OffSession => "off_session",
                }),
            },
        },
        payment_method_types: MethodTypes(&intent.method_types),
        payment_record: None,
        processing: None,
        receipt_email: words.get("receipt_email"),
        review: None,
        setup_future_usage: intent.setup_future_usage.map(future_usage),
        shipping: words.shipping(),
        source: None,
        split_rule,
        statement_descriptor: words.get("statement_descriptor"),
        statement_descriptor_suffix: words.get("statement_descriptor_suffix"),
        status: status(intent.status),
        transfer_data: transfer_data(view, intent, words),
        transfer_group: group(view, id.birth, flow, words),
    })
}

impl Group<'_> {
    /// Whether it reads so.
    pub fn is(&self, text: &str) -> bool {
        match self {
            Group::Given(given) => *given == text,
            Group::Made(id) => text.strip_prefix("group_") == Some(id.as_str()),
        }
    }
}
