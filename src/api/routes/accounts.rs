//! `/v1/accounts` and their capabilities, and `/v1/account`.

use std::net::IpAddr;

use super::super::error::{ApiError, Place, echo};
use super::super::expand::Expand;
use super::super::expansion::{ACCOUNT, CAPABILITY};
use super::super::fields::{Fields, Patch};
use super::super::identity;
use super::super::list::{self, ACCOUNTS, Ids};
use super::super::paging::Range;
use super::super::request::{Call, Edge};
use super::super::respond::{self, Done};
use super::super::texts::Texts;
use super::super::view::{Stage, Stop, account_id, render as painted};
use super::balance_settings::{INTERVALS, payout_days};
use super::external_accounts::{self, External};
use super::tokens::country;
use super::{Answered, currency, expansion, paging, persons};
use crate::domain::capability::capability_id;
use crate::domain::command::{AccountInput, Command, RejectReason};
use crate::domain::facts::{Facts, Field, Finding};
use crate::domain::record::{AccountKind, BusinessType, Controller, Dashboard, FeesPayer};
use crate::ledger::AccountNo;
use crate::primitives::id::{ObjectId, ObjectKind};
use crate::primitives::time::Timestamp;

/// The longest delay that a platform may ask for.
const DELAY_DAYS_MAX: i64 = 31;

/// The account that the path names: a connected one of the platform, or the caller's own.
pub async fn account(call: &Call, stage: &mut Stage) -> Result<AccountNo, ApiError> {
    let account = in_path(call)?;
    let found = painted(call.platform(), call.secrets(), stage, |view| {
        if view.account(account)?.deleted { Err(Stop::Gone) } else { Ok(()) }
    });
    found.await?.map(|()| account).ok_or_else(|| no_such(call))
}

/// The same for a command, which looks itself whether the account is still there: a replay must not.
pub fn in_path(call: &Call) -> Result<AccountNo, ApiError> {
    let id = call.id_of(call.path_text(0), &[ObjectKind::Account]).ok_or_else(|| no_such(call))?;
    let account = AccountNo(id.birth);
    if !call.acting.is_platform() && account != call.acting {
        return Err(no_such(call));
    }
    Ok(account)
}

fn no_such(call: &Call) -> ApiError {
    ApiError::no_such("account", call.path_text(0), "account", Place::Path)
}

async fn shown(call: &Call, stage: &mut Stage, account: AccountNo, expand: &Expand) -> Answered {
    let body = respond::body(call, stage, &account_id(account), expand).await?;
    Ok(Done::json(body.ok_or_else(ApiError::internal)?))
}

// ---------------------------------------------------------------------------------------------------------------
// Parameters

fn controller(fields: &Fields<'_>) -> Result<Option<Controller>, ApiError> {
    let Some(hash) = fields.hash("controller")? else { return Ok(None) };
    let fees = match hash.hash("fees")? {
        Some(fees) => {
            let payers = [("account", FeesPayer::Account), ("application", FeesPayer::Application)];
            fees.one_of("payer", &payers)?
        }
        None => None,
    };
    let parties = [("application", true), ("stripe", false)];
    let losses = match hash.hash("losses")? {
        Some(losses) => losses.one_of("payments", &parties)?,
        None => None,
    };
    let dashboard = match hash.hash("stripe_dashboard")? {
        Some(dashboard) => {
            let types = [("express", Dashboard::Express), ("full", Dashboard::Full), ("none", Dashboard::None)];
            dashboard.one_of("type", &types)?
        }
        None => None,
    };
    let controller = Controller {
        losses_application: losses.unwrap_or(false),
        fees: fees.unwrap_or(FeesPayer::Account),
        dashboard: dashboard.unwrap_or(Dashboard::Full),
        requirements_application: hash.one_of("requirement_collection", &parties)?.unwrap_or(false),
    };
    let bears_all = controller.losses_application && controller.fees == FeesPayer::Application;
    if controller.requirements_application && !bears_all {
        let message = "Who collects requirements must bear losses and fees: give controller[losses][payments]=application \
                       and controller[fees][payer]=application too.";
        return Err(ApiError::invalid(hash.name_of("requirement_collection"), message));
    }
    if controller.dashboard == Dashboard::Express && !controller.losses_application {
        let message = "An express dashboard needs controller[losses][payments]=application.";
        return Err(ApiError::invalid(hash.name_of("stripe_dashboard"), message));
    }
    Ok(Some(controller))
}

/// What a legacy type stands for.
fn legacy(kind: AccountKind) -> Controller {
    match kind {
        AccountKind::Standard | AccountKind::None => Controller {
            losses_application: false,
            fees: FeesPayer::Account,
            dashboard: Dashboard::Full,
            requirements_application: false,
        },
        AccountKind::Express => Controller {
            losses_application: true,
            fees: FeesPayer::ApplicationExpress,
            dashboard: Dashboard::Express,
            requirements_application: false,
        },
        AccountKind::Custom => Controller {
            losses_application: true,
            fees: FeesPayer::ApplicationCustom,
            dashboard: Dashboard::None,
            requirements_application: true,
        },
    }
}

/// `type`, or the controller that says the same and more.
fn kind(fields: &Fields<'_>) -> Result<(AccountKind, Controller), ApiError> {
    fields.at_most_one(&["type", "controller"])?;
    let types =
        [("custom", AccountKind::Custom), ("express", AccountKind::Express), ("standard", AccountKind::Standard)];
    if let Some(kind) = fields.one_of("type", &types)? {
        return Ok((kind, legacy(kind)));
    }
    let standard = legacy(AccountKind::Standard);
    Ok(match controller(fields)? {
        Some(controller) if controller == standard => (AccountKind::Standard, controller),
        Some(controller) => (AccountKind::None, controller),
        None => (AccountKind::Standard, standard),
    })
}

fn business_profile(fields: &Fields<'_>, texts: &mut Texts, facts: &mut Facts) -> Result<(), ApiError> {
    let Some(profile) = fields.hash("business_profile")? else { return Ok(()) };
    if let Patch::Set(mcc) = profile.clearable_text("mcc")?
        && !(mcc.len() == 4 && mcc.bytes().all(|byte| byte.is_ascii_digit()))
    {
        let message = "Invalid mcc: expected the four digits of a merchant category code, such as 5734.";
        return Err(ApiError::invalid(profile.name_of("mcc"), message));
    }
    for name in ["url", "support_url"] {
        if let Patch::Set(url) = profile.clearable_text(name)?
            && !is_url(url)
        {
            return Err(ApiError::invalid_url(profile.name_of(name), url));
        }
    }
    persons::tell(&profile, texts, facts, "mcc", Field::Mcc, |_| Finding::Good)?;
    persons::tell(&profile, texts, facts, "url", Field::Url, identity::url)?;
    persons::tell(&profile, texts, facts, "product_description", Field::Description, identity::description)?;
    persons::tell(&profile, texts, facts, "name", Field::TradeName, identity::trade_name)?;
    texts.texts(&profile, &["support_phone", "support_url"])?;
    if let Some(count) = profile.integer_within("estimated_worker_count", 0, i64::from(u32::MAX))? {
        texts.set(profile.name_of("estimated_worker_count"), count.to_string());
    }
    texts.email(&profile, "support_email")?;
    texts.address(&profile, "support_address")?;
    if let Some(revenue) = profile.hash("annual_revenue")? {
        texts.texts(&revenue, &["amount", "currency", "fiscal_year_end"])?;
    }
    for name in ["monthly_estimated_revenue", "minority_owned_business_designation"] {
        profile.ignore(name);
    }
    Ok(())
}

/// A host with a dot in it, perhaps behind `http://` or `https://`: what is worth checking without asking there.
fn is_url(url: &str) -> bool {
    let rest = match url.split_once("://") {
        Some(("http" | "https", rest)) => rest,
        Some(_) => return false,
        None => url,
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    host.split('.').count() > 1 && host.split('.').all(|label| !label.is_empty()) && !url.contains(char::is_whitespace)
}

/// `company`, of an account or of a token.
///
/// # Errors
/// 400.
pub fn company(fields: &Fields<'_>, texts: &mut Texts, facts: &mut Facts) -> Result<(), ApiError> {
    let Some(company) = fields.hash("company")? else { return Ok(()) };
    persons::tell(&company, texts, facts, "name", Field::CompanyName, identity::company_name)?;
    persons::tell(&company, texts, facts, "phone", Field::CompanyPhone, |_| Finding::Good)?;
    company.clearable_one_of("structure", &STRUCTURES.map(|name| (name, ())))?;
    texts.text(&company, "structure")?;
    for (name, field) in [
        ("directors_provided", Field::DirectorsProvided),
        ("executives_provided", Field::ExecutivesProvided),
        ("owners_provided", Field::OwnersProvided),
    ] {
        persons::flag(&company, facts, name, field)?;
    }
    let address = [Field::CompanyLine1, Field::CompanyCity, Field::CompanyPostalCode, Field::CompanyState];
    persons::address(&company, texts, facts, address)?;
    persons::note(facts, Field::TaxId, company.clearable_text("tax_id")?, identity::tax_id);
    persons::note(facts, Field::VatId, company.clearable_text("vat_id")?, |_| Finding::Good);
    persons::documents(&company, texts, facts, &[("document", Field::CompanyDocument)])?;
    if let Some(declaration) = company.hash("ownership_declaration")? {
        texts.texts(&declaration, &["date", "ip", "user_agent"])?;
    }
    // Register numbers are not shown and not checked: they are not kept.
    for name in COMPANY_NOT_KEPT {
        company.ignore(name);
    }
    Ok(())
}

const STRUCTURES: [&str; 23] = [
    "free_zone_establishment",
    "free_zone_llc",
    "government_instrumentality",
    "governmental_unit",
    "incorporated_non_profit",
    "incorporated_partnership",
    "limited_liability_partnership",
    "llc",
    "multi_member_llc",
    "private_company",
    "private_corporation",
    "private_partnership",
    "public_company",
    "public_corporation",
    "public_partnership",
    "registered_charity",
    "single_member_llc",
    "sole_establishment",
    "sole_proprietorship",
    "tax_exempt_government_instrumentality",
    "unincorporated_association",
    "unincorporated_non_profit",
    "unincorporated_partnership",
];

const COMPANY_NOT_KEPT: [&str; 14] = [
    "registration_number",
    "ownership_declaration_shown_and_signed",
    "ownership_exemption_reason",
    "directorship_declaration",
    "representative_declaration",
    "registration_date",
    "export_license_id",
    "export_purpose_code",
    "tax_id_registrar",
    "address_kana",
    "address_kanji",
    "name_kana",
    "name_kanji",
    "administrative_address",
];

fn individual(fields: &Fields<'_>, texts: &mut Texts, facts: &mut Facts) -> Result<(), ApiError> {
    match fields.hash("individual")? {
        Some(individual) => persons::person(&individual, texts, facts),
        None => Ok(()),
    }
}

fn schedule(payouts: &Fields<'_>, input: &mut AccountInput) -> Result<(), ApiError> {
    let Some(schedule) = payouts.hash("schedule")? else { return Ok(()) };
    input.payout_interval = schedule.one_of("interval", &INTERVALS)?;
    // 0 stands for the country's minimum.
    input.delay_days = match schedule.text("delay_days")? {
        None => None,
        Some("minimum") => Some(0),
        Some(_) => schedule.integer_within("delay_days", 0, DELAY_DAYS_MAX)?.and_then(|days| u8::try_from(days).ok()),
    };
    payout_days(&schedule, input)
}

fn settings(fields: &Fields<'_>, texts: &mut Texts, input: &mut AccountInput) -> Result<(), ApiError> {
    let Some(settings) = fields.hash("settings")? else { return Ok(()) };
    if let Some(branding) = settings.hash("branding")? {
        texts.texts(&branding, &["icon", "logo", "primary_color", "secondary_color"])?;
    }
    if let Some(cards) = settings.hash("card_payments")? {
        let text = cards.clearable_text("statement_descriptor_prefix")?;
        persons::note(&mut input.facts, Field::Prefix, text, identity::prefix);
        texts.descriptor(&cards, "statement_descriptor_prefix")?;
        if let Some(decline_on) = cards.hash("decline_on")? {
            texts.flag(&decline_on, "avs_failure")?;
            texts.flag(&decline_on, "cvc_failure")?;
        }
        cards.ignore("statement_descriptor_prefix_kana");
        cards.ignore("statement_descriptor_prefix_kanji");
    }
    if let Some(dashboard) = settings.hash("dashboard")? {
        texts.texts(&dashboard, &["display_name", "timezone"])?;
    }
    if let Some(payments) = settings.hash("payments")? {
        let text = payments.clearable_text("statement_descriptor")?;
        persons::note(&mut input.facts, Field::Descriptor, text, identity::descriptor);
        texts.descriptor(&payments, "statement_descriptor")?;
        payments.ignore("statement_descriptor_kana");
        payments.ignore("statement_descriptor_kanji");
    }
    if let Some(payouts) = settings.hash("payouts")? {
        input.debit_negative_balances = payouts.boolean("debit_negative_balances")?;
        schedule(&payouts, input)?;
        texts.descriptor(&payouts, "statement_descriptor")?;
    }
    for name in
        ["bacs_debit_payments", "card_issuing", "invoices", "paypay_payments", "sepa_debit_payments", "treasury"]
    {
        settings.ignore(name);
    }
    Ok(())
}

fn tos(fields: &Fields<'_>, texts: &mut Texts, input: &mut AccountInput) -> Result<(), ApiError> {
    let Some(tos) = fields.hash("tos_acceptance")? else { return Ok(()) };
    if let Patch::Set(ip) = tos.clearable_text("ip")?
        && ip.parse::<IpAddr>().is_err()
    {
        let message = format!("Invalid IP address: {}. Give an IPv4 or IPv6 address.", echo(ip));
        return Err(ApiError::invalid(tos.name_of("ip"), message));
    }
    persons::tell(&tos, texts, &mut input.facts, "ip", Field::TosIp, |_| Finding::Good)?;
    input.is_recipient = tos.one_of("service_agreement", &[("full", false), ("recipient", true)])?;
    texts.texts(&tos, &["user_agent", "service_agreement"])?;
    if let Some(date) = tos.integer_within("date", 0, i64::from(u32::MAX))? {
        input.tos_accepted_at = Some(Timestamp::from_seconds(date));
        input.facts.set(Field::TosDate, Finding::Good);
    }
    Ok(())
}

fn capabilities(fields: &Fields<'_>) -> Result<Vec<(String, bool)>, ApiError> {
    let Some(hash) = fields.hash("capabilities")? else { return Ok(Vec::new()) };
    let mut asked = Vec::new();
    for (name, of) in hash.children()? {
        if let Some(requested) = of.boolean("requested")? {
            asked.push((name.to_owned(), requested));
        }
    }
    Ok(asked)
}

/// `business_type`, of an account or of a token.
///
/// # Errors
/// 400.
pub fn business_type(fields: &Fields<'_>) -> Result<Option<BusinessType>, ApiError> {
    let kinds = [
        ("company", BusinessType::Company),
        ("government_entity", BusinessType::GovernmentEntity),
        ("individual", BusinessType::Individual),
        ("non_profit", BusinessType::NonProfit),
    ];
    fields.one_of("business_type", &kinds)
}

/// What creating and updating share.
fn shared(edge: Edge<'_>, now: Timestamp, fields: &Fields<'_>) -> Result<(AccountInput, Texts), ApiError> {
    let mut texts = Texts::default();
    let mut input = AccountInput {
        default_currency: currency(fields, "default_currency")?,
        business_type: business_type(fields)?,
        capabilities: capabilities(fields)?,
        ..AccountInput::default()
    };
    if let Some(token) = fields.text("account_token")? {
        for told in ["business_type", "company", "individual", "tos_acceptance"] {
            fields.at_most_one(&["account_token", told])?;
        }
        let id = edge.body_id(token, &[ObjectKind::AccountToken], "token", "account_token")?;
        input.account_token = Some(id.birth);
    }
    texts.email(fields, "email")?;
    business_profile(fields, &mut texts, &mut input.facts)?;
    company(fields, &mut texts, &mut input.facts)?;
    individual(fields, &mut texts, &mut input.facts)?;
    tos(fields, &mut texts, &mut input)?;
    settings(fields, &mut texts, &mut input)?;
    match external_accounts::given(edge, now, fields, &mut texts)? {
        Some(External::Account(external)) => input.external_account = Some(external),
        Some(External::Token(birth)) => input.external_token = Some(birth),
        None => {}
    }
    texts.metadata(fields)?;
    fields.ignore("documents");
    fields.ignore("groups");
    Ok((input, texts))
}

// ---------------------------------------------------------------------------------------------------------------
// Operations

/// POST /v1/accounts
pub async fn create(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &ACCOUNT)?;
    let (kind, controller) = kind(&fields)?;
    let country = country(&fields, "country")?;
    let (input, texts) = shared(call.edge(), call.platform().now().await, &fields)?;
    fields.finish()?;
    let input = AccountInput { country, kind: Some(kind), controller: Some(controller), ..input };
    respond::submit(&call, Command::CreateAccount(Box::new(input)), texts.into_patch(), &expand).await
}

/// GET /v1/accounts/{account}
pub async fn retrieve(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &ACCOUNT)?;
    fields.finish()?;
    let mut stage = Stage::default();
    let account = account(&call, &mut stage).await?;
    shown(&call, &mut stage, account, &expand).await
}

/// GET /v1/account
pub async fn own(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &ACCOUNT)?;
    fields.finish()?;
    shown(&call, &mut Stage::default(), call.acting, &expand).await
}

/// POST /v1/accounts/{account}
pub async fn update(call: Call) -> Answered {
    let account = in_path(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &ACCOUNT)?;
    let (input, texts) = shared(call.edge(), call.platform().now().await, &fields)?;
    fields.finish()?;
    let command = Command::UpdateAccount { account, input: Box::new(input) };
    respond::submit(&call, command, texts.into_patch(), &expand).await
}

/// DELETE /v1/accounts/{account}
pub async fn delete(call: Call) -> Answered {
    let account = in_path(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &ACCOUNT)?;
    fields.finish()?;
    respond::submit(&call, Command::DeleteAccount { account }, Default::default(), &expand).await
}

/// GET /v1/accounts
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &ACCOUNT)?;
    let created = Range::parse(&fields, "created")?;
    fields.finish()?;
    let mut stage = Stage::default();
    let ids = list::walk(&call, ACCOUNTS, &page, &created, &mut stage, |_, _| Ok(true)).await?;
    list::respond(&call, ids, &mut stage, &expand, "/v1/accounts").await
}

/// GET /v1/accounts/{account}/capabilities
pub async fn capabilities_list(call: Call) -> Answered {
    let fields = call.fields();
    let expand = Expand::parse(&fields)?;
    expand.check_list(&CAPABILITY)?;
    fields.finish()?;
    let mut stage = Stage::default();
    let account = account(&call, &mut stage).await?;
    let ids = painted(call.platform(), call.secrets(), &mut stage, |view| {
        let requested = view.account(account)?.capabilities.iter();
        Ok(requested.filter_map(|capability| capability_id(account, &capability.name)).collect())
    });
    let ids = Ids { ids: ids.await?.unwrap_or_default(), has_more: false };
    list::respond(&call, ids, &mut stage, &expand, &call.path).await
}

/// The capability in the path.
fn capability(call: &Call, account: AccountNo) -> Result<ObjectId, ApiError> {
    let name = call.path_text(1);
    capability_id(account, name).ok_or_else(|| ApiError::no_such("capability", name, "capability", Place::Path))
}

/// GET /v1/accounts/{account}/capabilities/{capability}
pub async fn capability_retrieve(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &CAPABILITY)?;
    fields.finish()?;
    let mut stage = Stage::default();
    let account = account(&call, &mut stage).await?;
    let body = respond::body(&call, &mut stage, &capability(&call, account)?, &expand).await?;
    Ok(Done::json(body.ok_or_else(ApiError::internal)?))
}

/// POST /v1/accounts/{account}/capabilities/{capability}
pub async fn capability_update(call: Call) -> Answered {
    let account = in_path(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &CAPABILITY)?;
    let requested = fields.boolean("requested")?;
    fields.finish()?;
    let id = capability(&call, account)?;
    let Some(requested) = requested else {
        let mut stage = Stage::default();
        self::account(&call, &mut stage).await?;
        let body = respond::body(&call, &mut stage, &id, &expand).await?;
        return Ok(Done::json(body.ok_or_else(ApiError::internal)?));
    };
    let command = Command::SetCapability { account, name: call.path_text(1).to_owned(), requested };
    respond::submit(&call, command, Default::default(), &expand).await
}

/// POST /v1/accounts/{account}/reject
pub async fn reject(call: Call) -> Answered {
    let account = in_path(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &ACCOUNT)?;
    let reason = fields.required_one_of("reason", &REASONS)?;
    let pays_out = fields.one_of("payouts_action", &[("none", true), ("pause", false)])?.unwrap_or(false);
    fields.finish()?;
    respond::submit(&call, Command::RejectAccount { account, reason, pays_out }, Default::default(), &expand).await
}

/// Why an account is rejected: the closed list of this version, and the three words of those before.
const REASONS: [(&str, RejectReason); 8] = [
    ("credit", RejectReason::Other),
    ("fraud", RejectReason::Fraud),
    ("fraud_no_intent_to_fulfill", RejectReason::Fraud),
    ("fraud_other", RejectReason::Fraud),
    ("fraud_payment_method_casher", RejectReason::Fraud),
    ("fraud_payment_method_tester", RejectReason::Fraud),
    ("other", RejectReason::Other),
    ("terms_of_service", RejectReason::TermsOfService),
];

/// POST /v1/accounts/{account}/unreject
pub async fn unreject(call: Call) -> Answered {
    let account = in_path(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &ACCOUNT)?;
    fields.finish()?;
    respond::submit(&call, Command::UnrejectAccount { account }, Default::default(), &expand).await
}

#[cfg(test)]
mod tests {
    use super::super::super::params::parse_form;
    use super::super::super::secrets::Secrets;
    use super::*;
    use crate::domain::facts::active_individual;
    use crate::domain::record::PayoutInterval;
    use crate::primitives::id::IdCipher;

    type Written = Vec<(String, Option<String>)>;

    fn read(form: &str) -> Result<(AccountInput, Written), ApiError> {
        let (ids, secrets) = (IdCipher::new([7; 16]), Secrets::new([1; 32], [2; 32], [3; 32]));
        let tree = parse_form(form.as_bytes())?;
        let fields = Fields::new(&tree);
        let now = Timestamp::from_seconds(1_790_000_000);
        let (input, texts) = shared(Edge { ids: &ids, secrets: &secrets }, now, &fields)?;
        fields.finish()?;
        Ok((input, texts.into_patch().0))
    }

    #[test]
    fn numbers_of_persons_and_accounts_never_get_into_a_command() {
        let bank = "external_account[object]=bank_account&external_account[country]=US&external_account[currency]=usd\
                    &external_account[routing_number]=110000000&external_account[account_number]=";
        for (form, number) in [
            ("individual[id_number]=222222222".to_owned(), "222222222"),
            ("individual[id_number]=000-00-7777".to_owned(), "7777"),
            ("individual[ssn_last_4]=4321".to_owned(), "4321"),
            ("company[tax_id]=98-7654321".to_owned(), "7654321"),
            ("company[vat_id]=DE123456789".to_owned(), "123456789"),
            ("company[registration_number]=HRB998877".to_owned(), "998877"),
            ("individual[id_number_secondary]=998877665".to_owned(), "998877665"),
            (format!("{bank}000123456789"), "000123456789"),
        ] {
            let (input, texts) = read(&form).unwrap();
            let written = [minicbor::to_vec(&input).unwrap(), format!("{texts:?}").into_bytes()].concat();
            let survives = written.windows(number.len()).any(|window| window == number.as_bytes());
            assert!(!survives, "{form}");
        }
        let iban = "external_account[country]=DE&external_account[account_number]=DE89370400440532013000";
        let (input, _) = read(iban).unwrap();
        assert_eq!(input.external_account.unwrap().last4, "3000");
    }

    #[test]
    fn the_recipe_of_an_active_account_is_read_whole() {
        let (input, texts) = read(
            "business_type=individual&business_profile[mcc]=5734&business_profile[url]=https%3A%2F%2Faccessible.stripe.com\
             &capabilities[transfers][requested]=true&individual[first_name]=A&individual[last_name]=B\
             &individual[email]=a%40b.c&individual[phone]=0000000000&individual[dob][day]=1&individual[dob][month]=1\
             &individual[dob][year]=1902&individual[address][line1]=address_full_match&individual[id_number]=222222222\
             &tos_acceptance[date]=1700000000&tos_acceptance[ip]=127.0.0.1&settings[payouts][schedule][interval]=manual\
             &settings[payouts][schedule][delay_days]=minimum",
        )
        .unwrap();
        let mut want = active_individual();
        for field in [Field::City, Field::PostalCode, Field::State] {
            want.set(field, Finding::Gone);
        }
        want.learn(&Facts::default());
        assert_eq!(input.facts, want);
        assert_eq!(input.capabilities, [("transfers".to_owned(), true)]);
        assert_eq!((input.payout_interval, input.delay_days), (Some(PayoutInterval::Manual), Some(0)));
        assert_eq!(input.tos_accepted_at, Some(Timestamp::from_seconds(1_700_000_000)));
        assert!(texts.contains(&("individual[dob][year]".to_owned(), Some("1902".to_owned()))));
    }

    #[test]
    fn who_collects_requirements_bears_losses_and_fees() {
        let kind_of = |form: &str| {
            let tree = parse_form(form.as_bytes())?;
            kind(&Fields::new(&tree)).map(|(kind, _)| kind)
        };
        assert_eq!(kind_of("").unwrap(), AccountKind::Standard);
        assert_eq!(kind_of("type=express").unwrap(), AccountKind::Express);
        assert_eq!(kind_of("controller[fees][payer]=account").unwrap(), AccountKind::Standard);
        let application = "controller[fees][payer]=application&controller[losses][payments]=application\
                           &controller[requirement_collection]=application&controller[stripe_dashboard][type]=none";
        assert_eq!(kind_of(application).unwrap(), AccountKind::None);
        assert!(kind_of("controller[requirement_collection]=application").is_err());
        assert!(kind_of("type=custom&controller[fees][payer]=account").is_err());
    }
}
