//! `account`: the platform's own, and connected ones.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::super::view::{Id, Stop, View};
use super::bank_account::{self, External};
use super::list::Embedded;
use super::person::{self, Document, Person, document};
use super::requirements::{self, Requirements};
use super::{Address, Hash, Rendered, Sink, Words, schedule};
use crate::domain::facts::{Facts, Field};
use crate::domain::person::{INDIVIDUAL, has_individual};
use crate::domain::record::{
    AccountKind, AccountRecord, BusinessType, Capability, CapabilityStatus, Controller as ControllerRecord, Dashboard,
    FeesPayer,
};
use crate::ledger::AccountNo;
use crate::primitives::id::ObjectId;

#[derive(Serialize)]
struct Account<'a> {
    id: Id,
    object: &'static str,
    business_profile: BusinessProfile<'a>,
    business_type: Option<&'static str>,
    capabilities: Capabilities<'a>,
    charges_enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    company: Option<Company<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    controller: Option<Controller>,
    country: String,
    created: i64,
    default_currency: &'static str,
    details_submitted: bool,
    email: Option<&'a str>,
    external_accounts: Embedded<External<'a>>,
    future_requirements: Requirements,
    groups: Groups,
    #[serde(skip_serializing_if = "Option::is_none")]
    individual: Option<Person<'a>>,
    metadata: Hash<'a>,
    payouts_enabled: bool,
    requirements: Requirements,
    settings: Settings<'a>,
    tos_acceptance: TosAcceptance<'a>,
    r#type: &'static str,
}

#[derive(Serialize)]
struct BusinessProfile<'a> {
    annual_revenue: Option<AnnualRevenue<'a>>,
    estimated_worker_count: Option<u64>,
    mcc: Option<&'a str>,
    minority_owned_business_designation: Option<&'a str>,
    name: Option<&'a str>,
    product_description: Option<&'a str>,
    specified_commercial_transactions_act_url: Option<&'a str>,
    support_address: Option<Address<'a>>,
    support_email: Option<&'a str>,
    support_phone: Option<&'a str>,
    support_url: Option<&'a str>,
    url: Option<&'a str>,
}

#[derive(Serialize)]
struct AnnualRevenue<'a> {
    amount: Option<i64>,
    currency: Option<&'a str>,
    fiscal_year_end: Option<&'a str>,
}

struct Capabilities<'a>(&'a [Capability]);

impl Serialize for Capabilities<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for capability in self.0 {
            map.serialize_entry(&capability.name, status(capability.status))?;
        }
        map.end()
    }
}

/// A capability's status in a word.
pub fn status(status: CapabilityStatus) -> &'static str {
    match status {
        CapabilityStatus::Inactive => "inactive",
        CapabilityStatus::Pending => "pending",
        CapabilityStatus::Active => "active",
    }
}

#[derive(Serialize)]
struct Company<'a> {
    address: Address<'a>,
    directors_provided: bool,
    executives_provided: bool,
    name: Option<&'a str>,
    owners_provided: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ownership_declaration: Option<OwnershipDeclaration<'a>>,
    phone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    structure: Option<&'a str>,
    tax_id_provided: bool,
    vat_id_provided: bool,
    verification: CompanyVerification<'a>,
}

#[derive(Serialize)]
struct OwnershipDeclaration<'a> {
    date: Option<i64>,
    ip: Option<&'a str>,
    user_agent: Option<&'a str>,
}

#[derive(Serialize)]
struct CompanyVerification<'a> {
    document: Document<'a>,
}

#[derive(Serialize)]
struct Controller {
    fees: Fees,
    is_controller: bool,
    losses: Losses,
    requirement_collection: &'static str,
    stripe_dashboard: DashboardType,
    r#type: &'static str,
}

#[derive(Serialize)]
struct Fees {
    payer: &'static str,
}

#[derive(Serialize)]
struct Losses {
    payments: &'static str,
}

#[derive(Serialize)]
struct DashboardType {
    r#type: &'static str,
}

#[derive(Serialize)]
struct Groups {
    payments_pricing: Option<&'static str>,
}

#[derive(Serialize)]
struct Settings<'a> {
    bacs_debit_payments: Bacs,
    branding: Branding<'a>,
    card_issuing: CardIssuing,
    card_payments: CardPayments<'a>,
    dashboard: DashboardSettings<'a>,
    invoices: Invoices,
    payments: Payments<'a>,
    payouts: Payouts<'a>,
    sepa_debit_payments: super::Empty,
}

#[derive(Serialize)]
struct Bacs {
    display_name: Option<&'static str>,
    service_user_number: Option<&'static str>,
}

#[derive(Serialize)]
struct Branding<'a> {
    icon: Option<&'a str>,
    logo: Option<&'a str>,
    primary_color: Option<&'a str>,
    secondary_color: Option<&'a str>,
}

#[derive(Serialize)]
struct CardIssuing {
    tos_acceptance: IssuingTos,
}

#[derive(Serialize)]
struct IssuingTos {
    date: Option<i64>,
    ip: Option<&'static str>,
}

#[derive(Serialize)]
struct CardPayments<'a> {
    decline_on: DeclineOn,
    statement_descriptor_prefix: Option<&'a str>,
    statement_descriptor_prefix_kana: Option<&'a str>,
    statement_descriptor_prefix_kanji: Option<&'a str>,
}

#[derive(Serialize)]
struct DeclineOn {
    avs_failure: bool,
    cvc_failure: bool,
}

#[derive(Serialize)]
struct DashboardSettings<'a> {
    display_name: Option<&'a str>,
    timezone: &'a str,
}

#[derive(Serialize)]
struct Invoices {
    default_account_tax_ids: Option<&'static str>,
    hosted_payment_method_save: Option<&'static str>,
}

#[derive(Serialize)]
struct Payments<'a> {
    statement_descriptor: Option<&'a str>,
    statement_descriptor_kana: Option<&'a str>,
    statement_descriptor_kanji: Option<&'a str>,
    statement_descriptor_prefix_kana: Option<&'a str>,
    statement_descriptor_prefix_kanji: Option<&'a str>,
}

#[derive(Serialize)]
struct Payouts<'a> {
    debit_negative_balances: bool,
    schedule: Schedule,
    statement_descriptor: Option<&'a str>,
}

#[derive(Serialize)]
struct Schedule {
    delay_days: u8,
    interval: &'static str,
    #[serde(flatten)]
    days: schedule::Days,
}

#[derive(Serialize)]
struct TosAcceptance<'a> {
    date: Option<i64>,
    ip: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_agreement: Option<&'a str>,
    user_agent: Option<&'a str>,
}

fn kind(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::Standard => "standard",
        AccountKind::Express => "express",
        AccountKind::Custom => "custom",
        AccountKind::None => "none",
    }
}

fn business_type(business: BusinessType) -> &'static str {
    match business {
        BusinessType::Individual => "individual",
        BusinessType::Company => "company",
        BusinessType::NonProfit => "non_profit",
        BusinessType::GovernmentEntity => "government_entity",
    }
}

fn party(application: bool) -> &'static str {
    if application { "application" } else { "stripe" }
}

fn controller(of: &ControllerRecord) -> Controller {
    Controller {
        fees: Fees {
            payer: match of.fees {
                FeesPayer::Account => "account",
                FeesPayer::Application => "application",
                FeesPayer::ApplicationCustom => "application_custom",
                FeesPayer::ApplicationExpress => "application_express",
            },
        },
        is_controller: true,
        losses: Losses { payments: party(of.losses_application) },
        requirement_collection: party(of.requirements_application),
        stripe_dashboard: DashboardType {
            r#type: match of.dashboard {
                Dashboard::Full => "full",
                Dashboard::Express => "express",
                Dashboard::None => "none",
            },
        },
        r#type: "application",
    }
}

fn flag(text: Option<&str>) -> bool {
    text == Some("true")
}

fn business_profile(words: Words<'_>) -> BusinessProfile<'_> {
    let of = |field: &str| words.inside("business_profile", field);
    let revenue = |field: &str| words.inside("business_profile[annual_revenue]", field);
    BusinessProfile {
        annual_revenue: words.has("business_profile[annual_revenue]").then(|| AnnualRevenue {
            amount: revenue("amount").and_then(|text| text.parse().ok()),
            currency: revenue("currency"),
            fiscal_year_end: revenue("fiscal_year_end"),
        }),
        estimated_worker_count: of("estimated_worker_count").and_then(|text| text.parse().ok()),
        mcc: of("mcc"),
        minority_owned_business_designation: None,
        name: of("name"),
        product_description: of("product_description"),
        specified_commercial_transactions_act_url: None,
        support_address: words.some_address("business_profile[support_address]"),
        support_email: of("support_email"),
        support_phone: of("support_phone"),
        support_url: of("support_url"),
        url: of("url"),
    }
}

fn company<'a>(words: Words<'a>, facts: &Facts) -> Company<'a> {
    let of = |field: &str| words.inside("company", field);
    let declared = |field: &str| words.inside("company[ownership_declaration]", field);
    Company {
        address: words.address("company[address]"),
        directors_provided: facts.has(Field::DirectorsProvided),
        executives_provided: facts.has(Field::ExecutivesProvided),
        name: of("name"),
        owners_provided: facts.has(Field::OwnersProvided),
        ownership_declaration: words.has("company[ownership_declaration]").then(|| OwnershipDeclaration {
            date: declared("date").and_then(|text| text.parse().ok()),
            ip: declared("ip"),
            user_agent: declared("user_agent"),
        }),
        phone: of("phone"),
        structure: of("structure"),
        tax_id_provided: facts.has(Field::TaxId),
        vat_id_provided: facts.has(Field::VatId),
        verification: CompanyVerification {
            document: document(words, "company[verification][document]", facts.get(Field::CompanyDocument)),
        },
    }
}

fn settings<'a>(account: &AccountRecord, words: Words<'a>) -> Settings<'a> {
    let branding = |field: &str| words.inside("settings[branding]", field);
    let decline_on = |field: &str| flag(words.inside("settings[card_payments][decline_on]", field));
    Settings {
        bacs_debit_payments: Bacs { display_name: None, service_user_number: None },
        branding: Branding {
            icon: branding("icon"),
            logo: branding("logo"),
            primary_color: branding("primary_color"),
            secondary_color: branding("secondary_color"),
        },
        card_issuing: CardIssuing { tos_acceptance: IssuingTos { date: None, ip: None } },
        card_payments: CardPayments {
            decline_on: DeclineOn { avs_failure: decline_on("avs_failure"), cvc_failure: decline_on("cvc_failure") },
            statement_descriptor_prefix: words.inside("settings[card_payments]", "statement_descriptor_prefix"),
            statement_descriptor_prefix_kana: None,
            statement_descriptor_prefix_kanji: None,
        },
        dashboard: DashboardSettings {
            display_name: words
                .inside("settings[dashboard]", "display_name")
                .or_else(|| words.inside("business_profile", "name")),
            timezone: words.inside("settings[dashboard]", "timezone").unwrap_or("Etc/UTC"),
        },
        invoices: Invoices { default_account_tax_ids: None, hosted_payment_method_save: None },
        payments: Payments {
            statement_descriptor: words.inside("settings[payments]", "statement_descriptor"),
            statement_descriptor_kana: None,
            statement_descriptor_kanji: None,
            statement_descriptor_prefix_kana: None,
            statement_descriptor_prefix_kanji: None,
        },
        payouts: Payouts {
            debit_negative_balances: account.debit_negative_balances,
            schedule: Schedule {
                delay_days: account.delay_days,
                interval: schedule::interval(account.payout_interval),
                days: schedule::days(account),
            },
            statement_descriptor: words.inside("settings[payouts]", "statement_descriptor"),
        },
        sepa_debit_payments: super::Empty {},
    }
}

/// The account of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let no = AccountNo(id.birth);
    let account = view.account(no)?;
    if account.deleted {
        return Err(Stop::Gone);
    }
    let texts = view.texts(&account.private);
    let words = Words::new(&texts, "");
    let own_id = view.id(id);
    let paths = bank_account::paths(account);
    let banks = bank_account::all(view, no, account, words, &paths);
    let is_individual = account.business_type == Some(BusinessType::Individual);
    let has_company = account.business_type.is_some() && !is_individual || words.has("company");
    let has_individual = person::is_shown(account) && has_individual(account, &texts);
    let individual = || {
        let created = account.made.at.seconds();
        person::of(view, no, account, 0, created, &account.facts, words.within(INDIVIDUAL))
    };
    sink.put(&Account {
        id: own_id,
        object: "account",
        business_profile: business_profile(words),
        business_type: account.business_type.map(business_type),
        capabilities: Capabilities(&account.capabilities),
        charges_enabled: account.charges_enabled,
        company: has_company.then(|| company(words, &account.facts)),
        controller: (!no.is_platform()).then(|| controller(&account.controller)),
        country: account.country.code().to_owned(),
        created: account.made.at.seconds(),
        default_currency: account.default_currency.code(),
        details_submitted: account.details_submitted,
        email: words.get("email"),
        external_accounts: Embedded::new(banks, false, format!("/v1/accounts/{}/external_accounts", own_id.as_str()))
            .counted(),
        future_requirements: requirements::nothing(),
        groups: Groups { payments_pricing: None },
        individual: has_individual.then(individual),
        metadata: words.metadata(),
        payouts_enabled: account.payouts_enabled,
        requirements: requirements::account(view, no, account),
        settings: settings(account, words),
        tos_acceptance: TosAcceptance {
            date: account.tos_accepted_at.map(|at| at.seconds()),
            ip: words.inside("tos_acceptance", "ip"),
            service_agreement: words.inside("tos_acceptance", "service_agreement"),
            user_agent: words.inside("tos_acceptance", "user_agent"),
        },
        r#type: kind(account.kind),
    })
}
