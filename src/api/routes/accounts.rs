//! `/v1/accounts`, their capabilities and external accounts, and `/v1/account`.

use super::super::cards;
use super::super::error::{ApiError, Place};
use super::super::expand::Expand;
use super::super::expansion::{ACCOUNT, BANK_ACCOUNT, CAPABILITY};
use super::super::fields::Fields;
use super::super::identity;
use super::super::list::{self, ACCOUNTS, Ids, Listed};
use super::super::paging::Range;
use super::super::render::list::Embedded;
use super::super::render::{bank_account, capability};
use super::super::request::{Call, Edge};
use super::super::respond::{self, Done};
use super::super::texts::Texts;
use super::super::view::{Stage, Stop, account_id, render as painted};
use super::tokens::{bank, country};
use super::{Answered, currency, expansion, paging};
use crate::domain::account::capability_id;
use crate::domain::command::{AccountInput, Command};
use crate::domain::decide::{Class, Kinds};
use crate::domain::record::{
    AccountKind, BusinessType, Controller, Dashboard, FeesPayer, Identity, PayoutInterval, TestResult,
};
use crate::ledger::AccountNo;
use crate::primitives::id::{ObjectId, ObjectKind};
use crate::primitives::time::Timestamp;

const BANKS: Listed = Listed { classes: &[Class::Account], bit: Kinds::ACCOUNT, noun: "external account" };
/// The longest delay that a platform may ask for.
const DELAY_DAYS_MAX: i64 = 31;

/// The account that the path names: a connected one of the platform, or the caller's own.
async fn account(call: &Call, stage: &mut Stage) -> Result<AccountNo, ApiError> {
    let text = call.path_text(0);
    let refused = || ApiError::no_such("account", text, "account", Place::Path);
    let id = call.id_of(text, &[ObjectKind::Account]).ok_or_else(refused)?;
    let account = AccountNo(id.birth);
    if !call.acting.is_platform() && account != call.acting {
        return Err(refused());
    }
    let found = painted(call.platform(), call.secrets(), stage, |view| {
        if view.account(account)?.deleted { Err(Stop::Gone) } else { Ok(()) }
    });
    found.await?.map(|()| account).ok_or_else(refused)
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

fn business_profile(fields: &Fields<'_>, texts: &mut Texts, identity: &mut Identity) -> Result<(), ApiError> {
    let Some(profile) = fields.hash("business_profile")? else { return Ok(()) };
    identity.mcc |= texts.text(&profile, "mcc")?;
    identity.url_or_description |= texts.text(&profile, "url")?;
    identity.url_or_description |= texts.text(&profile, "product_description")?;
    texts.texts(&profile, &["name", "support_phone", "support_url", "estimated_worker_count"])?;
    texts.email(&profile, "support_email")?;
    texts.address(&profile, "support_address")?;
    for name in ["annual_revenue", "monthly_estimated_revenue", "minority_owned_business_designation"] {
        profile.ignore(name);
    }
    Ok(())
}

/// Documents that a verification takes: ids of files.
fn documents(fields: &Fields<'_>, texts: &mut Texts, names: &[&'static str]) -> Result<(), ApiError> {
    let Some(verification) = fields.hash("verification")? else { return Ok(()) };
    for name in names {
        if let Some(document) = verification.hash(name)? {
            texts.texts(&document, &["back", "front"])?;
        }
    }
    Ok(())
}

fn company(fields: &Fields<'_>, texts: &mut Texts, identity: &mut Identity) -> Result<(), ApiError> {
    let Some(company) = fields.hash("company")? else { return Ok(()) };
    identity.company_name |= texts.text(&company, "name")?;
    identity.phone |= texts.text(&company, "phone")?;
    texts.text(&company, "structure")?;
    for name in ["directors_provided", "executives_provided", "owners_provided"] {
        texts.flag(&company, name)?;
    }
    if let Some(line1) = texts.address(&company, "address")? {
        identity.address = Some(identity::address(line1));
    }
    if let Some(number) = company.text("tax_id")? {
        identity.tax_id = Some(identity::tax_id(number));
    }
    if company.text("vat_id")?.is_some() {
        texts.set("company[vat_id_provided]", "true");
    }
    documents(&company, texts, &["document"])?;
    // Register numbers are not shown and not checked: they are not kept.
    for name in
        ["registration_number", "ownership_declaration", "address_kana", "address_kanji", "name_kana", "name_kanji"]
    {
        company.ignore(name);
    }
    Ok(())
}

fn dob(person: &Fields<'_>, texts: &mut Texts) -> Result<Option<TestResult>, ApiError> {
    let Some(hash) = person.hash("dob")? else { return Ok(None) };
    let day = hash.integer_within("day", 1, 31)?.ok_or_else(|| ApiError::missing(hash.name_of("day")))?;
    let month = hash.integer_within("month", 1, 12)?.ok_or_else(|| ApiError::missing(hash.name_of("month")))?;
    let year = hash.integer_within("year", 1900, 2200)?.ok_or_else(|| ApiError::missing(hash.name_of("year")))?;
    for (name, number) in [("day", day), ("month", month), ("year", year)] {
        texts.set(hash.name_of(name), number.to_string());
    }
    Ok(Some(identity::dob(year, month, day)))
}

fn individual(fields: &Fields<'_>, texts: &mut Texts, identity: &mut Identity) -> Result<(), ApiError> {
    let Some(person) = fields.hash("individual")? else { return Ok(()) };
    identity.first_name |= texts.text(&person, "first_name")?;
    identity.last_name |= texts.text(&person, "last_name")?;
    identity.email |= texts.email(&person, "email")?;
    identity.phone |= texts.text(&person, "phone")?;
    texts.text(&person, "political_exposure")?;
    if let Some(line1) = texts.address(&person, "address")? {
        identity.address = Some(identity::address(line1));
    }
    identity.dob = dob(&person, texts)?.or(identity.dob);
    if let Some(number) = person.text("id_number")? {
        identity.id_number = Some(identity::id_number(number));
    }
    if let Some(number) = person.text("ssn_last_4")? {
        identity.ssn_last_4 = Some(identity::ssn_last_4(number));
    }
    if let Some(relationship) = person.hash("relationship")? {
        for name in ["director", "executive", "owner"] {
            texts.flag(&relationship, name)?;
        }
        texts.texts(&relationship, &["percent_ownership", "title"])?;
    }
    texts.metadata(&person)?;
    documents(&person, texts, &["additional_document", "document"])?;
    // Numbers of a second kind, and names in other scripts, are not kept.
    for name in [
        "id_number_secondary",
        "gender",
        "maiden_name",
        "full_name_aliases",
        "registered_address",
        "address_kana",
        "address_kanji",
        "first_name_kana",
        "first_name_kanji",
        "last_name_kana",
        "last_name_kanji",
    ] {
        person.ignore(name);
    }
    Ok(())
}

fn schedule(payouts: &Fields<'_>, texts: &mut Texts, input: &mut AccountInput) -> Result<(), ApiError> {
    let Some(schedule) = payouts.hash("schedule")? else { return Ok(()) };
    let intervals = [
        ("daily", PayoutInterval::Daily),
        ("manual", PayoutInterval::Manual),
        ("monthly", PayoutInterval::Monthly),
        ("weekly", PayoutInterval::Weekly),
    ];
    input.payout_interval = schedule.one_of("interval", &intervals)?;
    // 0 stands for the country's minimum.
    input.delay_days = match schedule.text("delay_days")? {
        None => None,
        Some("minimum") => Some(0),
        Some(_) => schedule.integer_within("delay_days", 0, DELAY_DAYS_MAX)?.and_then(|days| u8::try_from(days).ok()),
    };
    texts.texts(&schedule, &["monthly_anchor", "weekly_anchor"])?;
    schedule.ignore("monthly_payout_days");
    schedule.ignore("weekly_payout_days");
    Ok(())
}

fn settings(fields: &Fields<'_>, texts: &mut Texts, input: &mut AccountInput) -> Result<(), ApiError> {
    let Some(settings) = fields.hash("settings")? else { return Ok(()) };
    if let Some(branding) = settings.hash("branding")? {
        texts.texts(&branding, &["icon", "logo", "primary_color", "secondary_color"])?;
    }
    if let Some(cards) = settings.hash("card_payments")? {
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
        texts.descriptor(&payments, "statement_descriptor")?;
        payments.ignore("statement_descriptor_kana");
        payments.ignore("statement_descriptor_kanji");
    }
    if let Some(payouts) = settings.hash("payouts")? {
        input.debit_negative_balances = payouts.boolean("debit_negative_balances")?;
        schedule(&payouts, texts, input)?;
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
    let has_ip = texts.text(&tos, "ip")?;
    texts.texts(&tos, &["user_agent", "service_agreement"])?;
    if let Some(date) = tos.integer_within("date", 0, i64::from(u32::MAX))? {
        input.tos_accepted_at = Some(Timestamp::from_seconds(date));
        input.identity.tos = has_ip;
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

/// `external_account`: a token, or a bank account as a hash.
fn external_account(
    edge: Edge<'_>,
    fields: &Fields<'_>,
    texts: &mut Texts,
    input: &mut AccountInput,
) -> Result<(), ApiError> {
    let Some(node) = fields.raw("external_account") else { return Ok(()) };
    if let super::super::params::Node::Text(_) = node {
        let text = fields.text("external_account")?.unwrap_or_default();
        if let Some(bank) = cards::named_bank(edge.secrets, text) {
            input.external_account = Some(Box::new(bank));
            return Ok(());
        }
        let id = edge.body_id(text, &[ObjectKind::BankAccountToken], "token", "external_account")?;
        input.external_token = Some(id.birth);
        return Ok(());
    }
    let hash = fields.required_hash("external_account")?;
    let objects = [("bank_account", ())];
    hash.one_of("object", &objects)?;
    if let Some(name) = hash.text("account_holder_name")? {
        texts.set(hash.name_of("account_holder_name"), name);
    }
    hash.ignore("default_for_currency");
    texts.metadata(&hash)?;
    input.external_account = Some(Box::new(bank(edge, &hash)?));
    Ok(())
}

/// What creating and updating share.
fn shared(edge: Edge<'_>, fields: &Fields<'_>) -> Result<(AccountInput, Texts), ApiError> {
    let mut texts = Texts::default();
    let kinds = [
        ("individual", BusinessType::Individual),
        ("company", BusinessType::Company),
        ("non_profit", BusinessType::NonProfit),
        ("government_entity", BusinessType::GovernmentEntity),
    ];
    let mut input = AccountInput {
        default_currency: currency(fields, "default_currency")?,
        business_type: fields.one_of("business_type", &kinds)?,
        capabilities: capabilities(fields)?,
        ..AccountInput::default()
    };
    texts.email(fields, "email")?;
    let mut identity = Identity::default();
    business_profile(fields, &mut texts, &mut identity)?;
    company(fields, &mut texts, &mut identity)?;
    individual(fields, &mut texts, &mut identity)?;
    input.identity = identity;
    tos(fields, &mut texts, &mut input)?;
    settings(fields, &mut texts, &mut input)?;
    external_account(edge, fields, &mut texts, &mut input)?;
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
    let (input, texts) = shared(call.edge(), &fields)?;
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
    let account = account(&call, &mut Stage::default()).await?;
    let fields = call.fields();
    let expand = expansion(&fields, &ACCOUNT)?;
    let (input, texts) = shared(call.edge(), &fields)?;
    fields.finish()?;
    let command = Command::UpdateAccount { account, input: Box::new(input) };
    respond::submit(&call, command, texts.into_patch(), &expand).await
}

/// DELETE /v1/accounts/{account}
pub async fn delete(call: Call) -> Answered {
    let account = account(&call, &mut Stage::default()).await?;
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
    expansion(&fields, &CAPABILITY)?;
    fields.finish()?;
    let mut stage = Stage::default();
    let account = account(&call, &mut stage).await?;
    let url = call.path.clone();
    let body = painted(call.platform(), call.secrets(), &mut stage, |view| {
        let record = view.account(account)?;
        let all = record.capabilities.iter().map(|of| capability::of(view, account, record, &of.name)).collect();
        serde_json::to_vec(&Embedded::new(all, false, url.clone())).map_err(|_| ApiError::internal().into())
    });
    Ok(Done::json(body.await?.ok_or_else(ApiError::internal)?))
}

async fn one_capability(call: &Call, stage: &mut Stage, account: AccountNo, name: &str) -> Answered {
    if capability_id(account, name).is_none() {
        return Err(ApiError::no_such("capability", name, "capability", Place::Path));
    }
    let body = painted(call.platform(), call.secrets(), stage, |view| {
        let record = view.account(account)?;
        serde_json::to_vec(&capability::of(view, account, record, name)).map_err(|_| ApiError::internal().into())
    });
    Ok(Done::json(body.await?.ok_or_else(ApiError::internal)?))
}

/// GET /v1/accounts/{account}/capabilities/{capability}
pub async fn capability_retrieve(call: Call) -> Answered {
    let fields = call.fields();
    expansion(&fields, &CAPABILITY)?;
    fields.finish()?;
    let mut stage = Stage::default();
    let account = account(&call, &mut stage).await?;
    one_capability(&call, &mut stage, account, call.path_text(1)).await
}

/// POST /v1/accounts/{account}/capabilities/{capability}
pub async fn capability_update(call: Call) -> Answered {
    let account = account(&call, &mut Stage::default()).await?;
    let name = call.path_text(1).to_owned();
    let fields = call.fields();
    expansion(&fields, &CAPABILITY)?;
    let requested = fields.boolean("requested")?;
    fields.finish()?;
    let Some(requested) = requested else {
        return one_capability(&call, &mut Stage::default(), account, &name).await;
    };
    let command = Command::SetCapability { account, name: name.clone(), requested };
    respond::submit_painted(&call, command, Default::default(), |view| {
        let record = view.account(account)?;
        serde_json::to_vec(&capability::of(view, account, record, &name)).map_err(|_| ApiError::internal().into())
    })
    .await
}

fn bank_id(call: &Call, account: AccountNo) -> Result<ObjectId, ApiError> {
    let text = call.path_text(1);
    let id = call.id_of(text, &[ObjectKind::BankAccount]).filter(|id| id.birth == account.0);
    id.ok_or_else(|| ApiError::no_such("external account", text, "id", Place::Path))
}

/// GET /v1/accounts/{account}/external_accounts
pub async fn external_accounts(call: Call) -> Answered {
    let fields = call.fields();
    let (page, expand) = paging(&fields, &BANK_ACCOUNT)?;
    let only_banks = fields.one_of("object", &[("bank_account", true), ("card", false)])?.unwrap_or(true);
    fields.finish()?;
    let mut stage = Stage::default();
    let account = account(&call, &mut stage).await?;
    let all = painted(call.platform(), call.secrets(), &mut stage, |view| {
        let banks = view.account(account)?.external_accounts.iter().enumerate().rev();
        Ok(banks
            .filter(|(_, bank)| only_banks && !bank.deleted)
            .map(|(place, _)| bank_account::id(account, place))
            .collect())
    });
    let all: Vec<ObjectId> = all.await?.unwrap_or_default();
    let ids: Ids = list::cut(call.platform().ids(), BANKS, &page, all)?;
    list::respond(&call, ids, &mut stage, &expand, &call.path).await
}

/// POST /v1/accounts/{account}/external_accounts
pub async fn external_account_create(call: Call) -> Answered {
    let account = account(&call, &mut Stage::default()).await?;
    let fields = call.fields();
    expansion(&fields, &BANK_ACCOUNT)?;
    if !fields.is_given("external_account") {
        return Err(ApiError::missing("external_account"));
    }
    let (mut input, mut texts) = (AccountInput::default(), Texts::default());
    external_account(call.edge(), &fields, &mut texts, &mut input)?;
    fields.boolean("default_for_currency")?;
    fields.finish()?;
    let command = Command::UpdateAccount { account, input: Box::new(input) };
    respond::submit_painted(&call, command, texts.into_patch(), |view| {
        let place = view.account(account)?.external_accounts.len().checked_sub(1).ok_or(Stop::Gone)?;
        super::super::render::object(view, &bank_account::id(account, place), super::super::render::ToBytes)
    })
    .await
}

/// GET /v1/accounts/{account}/external_accounts/{id}
pub async fn external_account_retrieve(call: Call) -> Answered {
    let fields = call.fields();
    let expand = expansion(&fields, &BANK_ACCOUNT)?;
    fields.finish()?;
    let mut stage = Stage::default();
    let account = account(&call, &mut stage).await?;
    let id = bank_id(&call, account)?;
    let body = respond::body(&call, &mut stage, &id, &expand).await?;
    let gone = || ApiError::no_such("external account", call.path_text(1), "id", Place::Path);
    Ok(Done::json(body.ok_or_else(gone)?))
}

#[cfg(test)]
mod tests {
    use super::super::super::params::parse_form;
    use super::super::super::secrets::Secrets;
    use super::*;
    use crate::primitives::id::IdCipher;

    type Written = Vec<(String, Option<String>)>;

    fn read(form: &str) -> Result<(AccountInput, Written), ApiError> {
        let (ids, secrets) = (IdCipher::new([7; 16]), Secrets::new([1; 32], [2; 32], [3; 32]));
        let tree = parse_form(form.as_bytes())?;
        let fields = Fields::new(&tree);
        let (input, texts) = shared(Edge { ids: &ids, secrets: &secrets }, &fields)?;
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
        let verified = Some(TestResult::Verified);
        let want = Identity {
            dob: verified,
            address: verified,
            id_number: verified,
            first_name: true,
            last_name: true,
            email: true,
            phone: true,
            mcc: true,
            url_or_description: true,
            tos: true,
            ..Identity::default()
        };
        assert_eq!(input.identity, want);
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
