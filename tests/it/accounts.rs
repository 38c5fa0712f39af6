//! Accounts' life, over HTTP: the table of what is told and what is asked for, persons, external accounts, rejection.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::daemon::{Client, Daemon, Reply, form, seller, text};

const TABLE: &str = include_str!("../../fixtures/tables/accounts.toml");

type Parameters = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    base: BTreeMap<String, Parameters>,
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    base: String,
    #[serde(default)]
    leave: Vec<String>,
    #[serde(default)]
    give: Parameters,
    #[serde(default)]
    people: Vec<Given>,
    #[serde(default = "yes")]
    charges: bool,
    #[serde(default = "yes")]
    payouts: bool,
    #[serde(default = "yes")]
    details: bool,
    /// Of both capabilities, where it is the same.
    status: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    due: Vec<String>,
    /// Beyond what is due.
    #[serde(default)]
    eventually: Vec<String>,
    #[serde(default)]
    pending: Vec<String>,
    #[serde(default)]
    errors: Vec<String>,
    /// Everything is enabled once the verifications have ended.
    #[serde(default)]
    later: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(default)]
    leave: Vec<String>,
    #[serde(default)]
    give: Parameters,
}

fn yes() -> bool {
    true
}

fn put_together(base: &Parameters, leave: &[String], give: &Parameters) -> String {
    let mut parameters = base.clone();
    parameters.retain(|name, _| !leave.iter().any(|left| name.starts_with(left.as_str())));
    parameters.extend(give.clone());
    let pairs: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    form(&pairs)
}

fn post(client: &mut Client, path: &str, form: &str) -> Reply {
    client.send("POST", path, &[], form).unwrap_or_else(|error| panic!("POST {path}: {error}"))
}

fn delete(client: &mut Client, path: &str) -> Reply {
    client.send("DELETE", path, &[], "").unwrap_or_else(|error| panic!("DELETE {path}: {error}"))
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(text).collect()
}

impl Case {
    fn check(&self, account: &Value, people: &[String]) {
        let name = &self.name;
        let named = |paths: &[String]| -> Vec<String> {
            let mut named: Vec<String> = paths
                .iter()
                .map(|path| {
                    let numbered = people.iter().enumerate();
                    numbered
                        .fold(path.clone(), |path, (n, id)| path.replace(&format!("p{}.", n + 1), &format!("{id}.")))
                })
                .collect();
            named.sort_unstable();
            named
        };
        let flags =
            ["charges_enabled", "payouts_enabled", "details_submitted"].map(|flag| account[flag] == json!(true));
        assert_eq!(flags, [self.charges, self.payouts, self.details], "{name}: {:#}", account["requirements"]);
        let owed = &account["requirements"];
        assert_eq!(texts(&owed["currently_due"]), named(&self.due), "{name}");
        assert_eq!(texts(&owed["past_due"]), named(&self.due), "{name}: nothing of a fresh account can wait");
        let mut eventually = named(&self.eventually);
        eventually.extend(named(&self.due));
        eventually.sort_unstable();
        assert_eq!(texts(&owed["eventually_due"]), eventually, "{name}");
        assert_eq!(texts(&owed["pending_verification"]), named(&self.pending), "{name}");
        assert_eq!(owed["disabled_reason"].as_str(), self.reason.as_deref(), "{name}");
        assert_eq!(owed["current_deadline"], Value::Null, "{name}");
        let errors: Vec<String> = owed["errors"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|error| format!("{} {}", text(&error["code"]), text(&error["requirement"])))
            .collect();
        let mut errors = errors;
        errors.sort_unstable();
        assert_eq!(errors, named(&self.errors), "{name}");
        if let Some(status) = &self.status {
            for (capability, have) in account["capabilities"].as_object().expect("a hash") {
                assert_eq!(have, status, "{name}: {capability}");
            }
        }
    }
}

#[test]
fn what_is_told_decides_what_is_asked_for() {
    let table: Table = toml::from_str(TABLE).expect("a table");
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(&folder.path().join("data"));
    let mut client = daemon.client();
    let mut later = Vec::new();
    for case in &table.case {
        let made = post(&mut client, "/v1/accounts", &put_together(&table.base[&case.base], &case.leave, &case.give));
        assert_eq!(made.status, 200, "{}: {}", case.name, String::from_utf8_lossy(&made.body));
        let account = made.json();
        let path = format!("/v1/accounts/{}", text(&account["id"]));
        let mut people = Vec::new();
        for given in &case.people {
            let form = put_together(&table.base["person"], &given.leave, &given.give);
            let person = post(&mut client, &format!("{path}/persons"), &form).ok();
            people.push(text(&person["id"]).to_owned());
        }
        let account = client.get(&path).ok();
        case.check(&account, &people);
        if case.later {
            later.push((case, path));
        }
    }
    client.post("/florin/clock/advance", &[("seconds", "5")]).ok();
    for (case, path) in &later {
        let account = client.get(path).ok();
        let flags = ["charges_enabled", "payouts_enabled"].map(|flag| account[flag] == json!(true));
        assert_eq!(flags, [true, true], "{}: {account:#}", case.name);
        assert_eq!(account["requirements"]["pending_verification"], json!([]), "{}", case.name);
    }
    assert!(table.case.len() > 60 && later.len() > 4);
}

/// A charge of an account's own.
const DIRECT: [(&str, &str); 6] = [
    ("amount", "1000"),
    ("currency", "usd"),
    ("payment_method", "pm_card_visa"),
    ("confirm", "true"),
    ("automatic_payment_methods[enabled]", "true"),
    ("automatic_payment_methods[allow_redirects]", "never"),
];

fn on_fresh_ground(test: impl FnOnce(&mut Client, &Path)) {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let daemon = Daemon::start(&data);
    test(&mut daemon.client(), &data);
}

#[test]
fn a_mistake_of_an_active_account_has_a_deadline_and_an_event_for_each_step() {
    on_fresh_ground(|client, _| {
        let account = seller(client, "US", "Jenny");
        let path = format!("/v1/accounts/{account}");
        client.post("/florin/clock/advance", &[("seconds", "1")]).ok();
        let changed = client.post(
            &path,
            &[("individual[dob][day]", "1"), ("individual[dob][month]", "1"), ("individual[dob][year]", "1990")],
        );
        let changed = changed.ok();
        let owed = &changed["requirements"];
        assert_eq!(
            (texts(&owed["currently_due"]), texts(&owed["past_due"])),
            (vec!["individual.verification.document"], vec![])
        );
        assert!(owed["current_deadline"].as_i64().is_some() && owed["disabled_reason"].is_null());
        assert_eq!(changed["charges_enabled"], json!(true));
        assert_eq!(changed["individual"]["verification"]["status"], "unverified");

        client.post("/florin/clock/advance", &[("seconds", "604800")]).ok();
        let after = client.get(&path).ok();
        assert_eq!((&after["charges_enabled"], &after["payouts_enabled"]), (&json!(false), &json!(false)));
        assert_eq!(after["requirements"]["disabled_reason"], "requirements.past_due");
        let events = client.list(Some(&account), "/v1/events?type=account.updated");
        let before = &events[0]["data"]["previous_attributes"];
        assert_eq!(before["charges_enabled"], json!(true), "{before:#}");
        assert_eq!(before["requirements"]["past_due"], json!([]));
        let moved = client.list(Some(&account), "/v1/events?type=capability.updated");
        assert_eq!(moved[0]["data"]["previous_attributes"]["status"], "active", "{:#}", moved[0]);

        let refused = client.send("POST", "/v1/payment_intents", &[("Stripe-Account", &account)], &form(&DIRECT));
        let refused = refused.expect("an answer").json();
        assert!(text(&refused["error"]["message"]).starts_with("Your account cannot currently make charges"));
    });
}

#[test]
fn external_accounts_are_added_made_default_and_deleted() {
    on_fresh_ground(|client, _| {
        let account = seller(client, "US", "Jenny");
        let path = format!("/v1/accounts/{account}/external_accounts");
        let first = client.list(None, &path).remove(0);
        assert_eq!(first["default_for_currency"], json!(true));
        let bank = |currency: &'static str| {
            [
                ("external_account[object]", "bank_account"),
                ("external_account[country]", "US"),
                ("external_account[currency]", currency),
                ("external_account[routing_number]", "110000000"),
                ("external_account[account_number]", "000123456789"),
                ("external_account[account_holder_name]", "Jenny Rosen"),
            ]
        };
        let second = client.post(&path, &bank("usd")).ok();
        assert_eq!(
            (&second["default_for_currency"], &second["account_holder_name"]),
            (&json!(false), &json!("Jenny Rosen"))
        );
        let euro = client.post(&path, &bank("eur")).ok();
        assert_eq!(euro["default_for_currency"], json!(true));
        let card = client.post(&path, &[("external_account", "tok_visa_debit"), ("default_for_currency", "true")]).ok();
        assert_eq!((&card["object"], &card["default_for_currency"]), (&json!("card"), &json!(true)));
        assert_eq!(client.list(None, &format!("{path}?object=card")).len(), 1);
        assert_eq!(client.list(None, &format!("{path}?object=bank_account")).len(), 3);
        let credit = client.post(&path, &[("external_account", "tok_visa")]);
        assert_eq!((credit.status, credit.json()["error"]["code"].clone()), (400, json!("invalid_card_type")));
        let wrong =
            client.post(&path, &[bank("usd").as_slice(), &[("external_account[routing_number]", "123")]].concat());
        assert_eq!((wrong.status, wrong.json()["error"]["code"].clone()), (400, json!("routing_number_invalid")));

        let of = |object: &Value| format!("{path}/{}", text(&object["id"]));
        let refused = delete(client, &of(&card));
        assert_eq!(refused.status, 400);
        assert!(
            text(&refused.json()["error"]["message"]).starts_with("You cannot delete the default external account")
        );
        let changed = client.post(&of(&second), &[("default_for_currency", "true"), ("metadata[a]", "1")]).ok();
        assert_eq!((&changed["default_for_currency"], &changed["metadata"]), (&json!(true), &json!({ "a": "1" })));
        assert_eq!(client.get(&of(&card)).ok()["default_for_currency"], json!(false));
        let expiry = client.post(&of(&card), &[("exp_month", "11"), ("exp_year", "2035"), ("name", "Jenny")]).ok();
        assert_eq!(
            (&expiry["exp_month"], &expiry["exp_year"], &expiry["name"]),
            (&json!(11), &json!(2035), &json!("Jenny"))
        );
        let gone = delete(client, &of(&card)).ok();
        assert_eq!((&gone["object"], &gone["deleted"]), (&json!("card"), &json!(true)));
        assert_eq!(client.get(&of(&card)).status, 404);
        // A default of another currency than the account's may go.
        delete(client, &of(&euro)).ok();
        let shown = client.get(&format!("/v1/accounts/{account}")).ok();
        assert_eq!(shown["external_accounts"]["total_count"], json!(2));

        // By the account itself one replaces the default.
        client.post(&format!("/v1/accounts/{account}"), &bank("usd")).ok();
        let left = client.list(None, &path);
        let defaults: Vec<&Value> = left.iter().map(|bank| &bank["default_for_currency"]).collect();
        assert_eq!(defaults, [&json!(true), &json!(false)]);
        let kinds: Vec<Value> = client
            .list(Some(&account), "/v1/events")
            .iter()
            .filter(|event| text(&event["type"]).contains("external_account"))
            .map(|event| event["type"].clone())
            .collect();
        let count = |end: &str| kinds.iter().filter(|kind| text(kind).ends_with(end)).count();
        // Added: first, second, euro, card, the replacement. Changed: twice by a new default, and by two updates.
        assert_eq!((count("created"), count("updated"), count("deleted")), (5, 4, 3), "{kinds:?}");
    });
}

#[test]
fn people_of_a_company_come_and_go() {
    on_fresh_ground(|client, _| {
        let company = [("type", "custom"), ("country", "US"), ("business_type", "company")];
        let account = client.post("/v1/accounts", &company).ok();
        let account = text(&account["id"]).to_owned();
        let path = format!("/v1/accounts/{account}/persons");
        let jenny = client
            .post(
                &path,
                &[
                    ("first_name", "Jenny"),
                    ("id_number", "583920174"),
                    ("relationship[representative]", "true"),
                    ("relationship[percent_ownership]", "33.5"),
                    ("metadata[role]", "boss"),
                ],
            )
            .ok();
        assert!(text(&jenny["id"]).starts_with("person_"));
        assert_eq!((&jenny["id_number_provided"], &jenny["metadata"]), (&json!(true), &json!({ "role": "boss" })));
        assert_eq!(jenny["relationship"]["percent_ownership"], json!(33.5));
        assert_eq!(jenny["account"], account.as_str());

        let token =
            client.post("/v1/tokens", &[("person[first_name]", "Rosa"), ("person[relationship][owner]", "true")]);
        let token = text(&token.ok()["id"]).to_owned();
        assert!(token.starts_with("cpt_"));
        let rosa = client.post(&path, &[("person_token", &token)]).ok();
        assert_eq!((&rosa["first_name"], &rosa["relationship"]["owner"]), (&json!("Rosa"), &json!(true)));
        let again = client.post(&path, &[("person_token", &token)]);
        assert_eq!(again.json()["error"]["code"], "token_already_used");

        let owners = client.list(None, &format!("{path}?relationship[owner]=true"));
        assert_eq!(owners.iter().map(|person| &person["id"]).collect::<Vec<_>>(), [&rosa["id"]]);
        assert_eq!(client.list(None, &path).len(), 2);
        let page = client.get(&format!("{path}?limit=1&starting_after={}", text(&rosa["id"]))).ok();
        assert_eq!(page["data"][0]["id"], jenny["id"]);

        let of = |person: &Value| format!("{path}/{}", text(&person["id"]));
        assert_eq!(delete(client, &of(&jenny)).status, 400, "she represents the account");
        let rosa = client.post(&of(&rosa), &[("relationship[representative]", "true"), ("last_name", "Rosen")]).ok();
        assert_eq!((&rosa["relationship"]["representative"], &rosa["last_name"]), (&json!(true), &json!("Rosen")));
        assert_eq!(client.get(&of(&jenny)).ok()["relationship"]["representative"], json!(false));
        let gone = delete(client, &of(&jenny)).ok();
        assert_eq!(gone, json!({ "id": jenny["id"], "object": "person", "deleted": true }));
        assert_eq!(client.get(&of(&jenny)).status, 404);

        let events = client.list(Some(&account), "/v1/events");
        let of_people: Vec<&str> = events.iter().rev().map(|event| text(&event["type"])).collect();
        let of_people: Vec<&str> = of_people.into_iter().filter(|kind| kind.starts_with("person.")).collect();
        let [created, updated, deleted] = ["person.created", "person.updated", "person.deleted"];
        assert_eq!(of_people, [created, created, updated, updated, deleted]);
        let last = events.iter().find(|event| event["type"] == "person.deleted").expect("an event");
        assert_eq!(last["data"]["object"]["first_name"], "Jenny");
        let changed = events
            .iter()
            .find(|event| event["type"] == "person.updated" && event["data"]["object"]["id"] == jenny["id"]);
        let before = &changed.expect("an event")["data"]["previous_attributes"];
        assert_eq!(before["relationship"]["representative"], json!(true), "{before:#}");
    });
}

#[test]
fn an_individual_is_the_person_of_its_account() {
    on_fresh_ground(|client, _| {
        let account = seller(client, "US", "Jenny");
        let path = format!("/v1/accounts/{account}/persons");
        let person = client.list(None, &path).remove(0);
        let shown = client.get(&format!("/v1/accounts/{account}")).ok();
        assert_eq!(shown["individual"], person);
        assert_eq!(person["verification"]["status"], "verified");
        let one = format!("{path}/{}", text(&person["id"]));
        let changed = client.post(&one, &[("email", "other@example.com")]).ok();
        assert_eq!(changed["email"], "other@example.com");
        let shown = client.get(&format!("/v1/accounts/{account}")).ok();
        assert_eq!(shown["individual"]["email"], "other@example.com");
        assert_eq!(client.post(&path, &[("first_name", "Rosa")]).status, 400);
        assert_eq!(delete(client, &one).status, 400);

        let bare = [("type", "custom"), ("country", "US"), ("business_type", "individual")];
        let bare = client.post("/v1/accounts", &bare).ok();
        assert!(bare.get("individual").is_none());
        let path = format!("/v1/accounts/{}/persons", text(&bare["id"]));
        assert!(client.list(None, &path).is_empty());
        let person = client.post(&path, &[("first_name", "Rosa")]).ok();
        let shown = client.get(&format!("/v1/accounts/{}", text(&bare["id"]))).ok();
        assert_eq!(shown["individual"], person);

        let company = [("type", "custom"), ("business_type", "company"), ("individual[first_name]", "Rosa")];
        let refused = client.post("/v1/accounts", &company);
        assert_eq!((refused.status, refused.json()["error"]["param"].clone()), (400, json!("individual")));
    });
}

#[test]
fn an_account_token_carries_what_its_platform_never_sees() {
    on_fresh_ground(|client, _| {
        let token = client.post(
            "/v1/tokens",
            &[
                ("account[business_type]", "company"),
                ("account[company][name]", "Rosen Inc"),
                ("account[company][tax_id]", "222222222"),
                ("account[tos_shown_and_accepted]", "true"),
            ],
        );
        let token = token.ok();
        assert_eq!((&token["type"], &token["used"]), (&json!("account"), &json!(false)));
        let id = text(&token["id"]).to_owned();
        assert!(id.starts_with("ct_"));
        let account = client.post("/v1/accounts", &[("type", "custom"), ("account_token", &id)]).ok();
        assert_eq!((&account["business_type"], &account["company"]["name"]), (&json!("company"), &json!("Rosen Inc")));
        assert_eq!(account["company"]["tax_id_provided"], json!(true));
        assert!(account["tos_acceptance"]["date"].as_i64().is_some());
        assert_eq!(client.get(&format!("/v1/tokens/{id}")).ok()["used"], json!(true));
        let both = [("type", "custom"), ("account_token", id.as_str()), ("company[name]", "Other")];
        assert_eq!(client.post("/v1/accounts", &both).json()["error"]["code"], "parameters_exclusive");
    });
}

#[test]
fn a_rejected_account_neither_charges_nor_receives_nor_pays_out() {
    on_fresh_ground(|client, _| {
        let account = seller(client, "US", "Jenny");
        let path = format!("/v1/accounts/{account}");
        let paid = |account: &str| {
            form(&[
                ("amount", "1000"),
                ("currency", "usd"),
                ("payment_method", "pm_card_bypassPending"),
                ("confirm", "true"),
                ("automatic_payment_methods[enabled]", "true"),
                ("automatic_payment_methods[allow_redirects]", "never"),
                ("transfer_data[destination]", account),
            ])
        };
        post(client, "/v1/payment_intents", &paid(&account)).ok();
        let rejected = client.post(&format!("{path}/reject"), &[("reason", "fraud")]).ok();
        assert_eq!((&rejected["charges_enabled"], &rejected["payouts_enabled"]), (&json!(false), &json!(false)));
        assert_eq!(rejected["requirements"]["disabled_reason"], "rejected.platform_fraud");
        let transfers = client.get(&format!("{path}/capabilities/transfers")).ok();
        assert_eq!(
            (&transfers["status"], &transfers["requirements"]["disabled_reason"]),
            (&json!("inactive"), &json!("rejected.other"))
        );

        let code = |reply: Reply| reply.json()["error"]["code"].clone();
        let charge = post(client, "/v1/payment_intents", &paid(&account));
        assert_eq!(code(charge), "insufficient_capabilities_for_transfer");
        let transfer = [("amount", "100"), ("currency", "usd"), ("destination", account.as_str())];
        assert_eq!(code(client.post("/v1/transfers", &transfer)), "insufficient_capabilities_for_transfer");
        let as_account = [("Stripe-Account", account.as_str())];
        let mut by_account = |path: &str, parameters: &[(&str, &str)]| {
            client.send("POST", path, &as_account, &form(parameters)).expect("an answer")
        };
        let refused = by_account("/v1/payment_intents", &DIRECT).json();
        assert!(text(&refused["error"]["message"]).starts_with("Your account cannot currently make charges"));
        assert_eq!(code(by_account("/v1/payouts", &[("amount", "100"), ("currency", "usd")])), "payouts_not_allowed");

        assert_eq!(client.post(&format!("{path}/reject"), &[("reason", "boredom")]).status, 400);
        let back = client.post(&format!("{path}/unreject"), &[]).ok();
        assert_eq!((&back["charges_enabled"], &back["payouts_enabled"]), (&json!(true), &json!(true)));
        assert_eq!(client.post(&format!("{path}/unreject"), &[]).status, 400);
        let wound_up = [("reason", "terms_of_service"), ("payouts_action", "none")];
        let wound_up = client.post(&format!("{path}/reject"), &wound_up).ok();
        assert_eq!((&wound_up["charges_enabled"], &wound_up["payouts_enabled"]), (&json!(false), &json!(true)));
    });
}

#[test]
fn a_deleted_account_is_gone_with_its_people() {
    on_fresh_ground(|client, _| {
        let company = [("type", "custom"), ("country", "US"), ("business_type", "company")];
        let account = text(&client.post("/v1/accounts", &company).ok()["id"]).to_owned();
        let path = format!("/v1/accounts/{account}");
        let person = client.post(&format!("{path}/persons"), &[("first_name", "Jenny")]).ok();
        assert_eq!(delete(client, &path).ok(), json!({ "id": account, "object": "account", "deleted": true }));
        for gone in [path.clone(), format!("{path}/persons"), format!("{path}/persons/{}", text(&person["id"]))] {
            assert_eq!(client.get(&gone).status, 404, "{gone}");
        }
        assert_eq!(client.post(&path, &[("email", "a@b.c")]).status, 404);
        assert_eq!(client.get_as(Some(&account), "/v1/balance").status, 403);
        let transfer = [("amount", "100"), ("currency", "usd"), ("destination", account.as_str())];
        assert_eq!(client.post("/v1/transfers", &transfer).json()["error"]["code"], "resource_missing");
    });
}

#[test]
fn once_submitted_the_holder_of_an_express_account_speaks_for_itself() {
    on_fresh_ground(|client, _| {
        let table: Table = toml::from_str(TABLE).expect("a table");
        let give = Parameters::from([("type".to_owned(), "express".to_owned())]);
        let form_of = put_together(&table.base["individual"], &[], &give);
        let account = post(client, "/v1/accounts", &form_of).ok();
        assert_eq!(account["details_submitted"], json!(true));
        let path = format!("/v1/accounts/{}", text(&account["id"]));
        for (path, parameters) in [
            (path.clone(), [("individual[first_name]", "Rosa")]),
            (path.clone(), [("external_account", "btok_us_verified")]),
            (format!("{path}/external_accounts"), [("external_account", "btok_us_verified")]),
            (format!("{path}/persons"), [("first_name", "Rosa")]),
        ] {
            let refused = client.post(&path, &parameters);
            assert_eq!(refused.status, 403, "{path}: {}", String::from_utf8_lossy(&refused.body));
            assert!(text(&refused.json()["error"]["message"]).contains("required permissions"));
        }
        client.post(&path, &[("business_profile[name]", "Rosen"), ("metadata[a]", "1")]).ok();
    });
}

#[test]
fn parameters_that_cannot_be_are_refused_and_change_nothing() {
    on_fresh_ground(|client, _| {
        let account = seller(client, "US", "Jenny");
        let path = format!("/v1/accounts/{account}");
        let before = client.get(&path).ok();
        let long = "x".repeat(5_001);
        for (parameters, param) in [
            ([("nickname", "J")], "nickname"),
            ([("business_profile[mcc]", "57")], "business_profile[mcc]"),
            ([("business_profile[url]", "no website")], "business_profile[url]"),
            ([("business_profile[name]", long.as_str())], "business_profile[name]"),
            ([("company[structure]", "castle")], "company[structure]"),
            ([("business_type", "company")], "business_type"),
            ([("country", "DE")], "country"),
            ([("tos_acceptance[ip]", "home")], "tos_acceptance[ip]"),
            ([("individual[dob][day]", "1")], "individual[dob][month]"),
            ([("individual[relationship][percent_ownership]", "101")], "individual[relationship][percent_ownership]"),
            (
                [("individual[verification][document][front]", "file_other")],
                "individual[verification][document][front]",
            ),
            ([("individual[political_exposure]", "some")], "individual[political_exposure]"),
            ([("tos_acceptance[service_agreement]", "recipient")], "capabilities"),
        ] {
            let refused = client.post(&path, &parameters);
            assert_eq!(refused.status, 400, "{parameters:?}");
            assert_eq!(refused.json()["error"]["param"], param, "{}", String::from_utf8_lossy(&refused.body));
        }
        assert_eq!(client.get(&path).ok(), before);
    });
}

#[test]
fn countries_tell_what_their_accounts_settle_in_and_are_asked_for() {
    on_fresh_ground(|client, _| {
        let us = client.get("/v1/country_specs/US").ok();
        assert_eq!((&us["id"], &us["default_currency"]), (&json!("US"), &json!("usd")));
        assert!(us["supported_bank_account_currencies"]["eur"].is_array());
        assert!(texts(&us["verification_fields"]["individual"]["minimum"]).contains(&"individual.ssn_last_4"));
        assert_eq!(texts(&us["verification_fields"]["individual"]["additional"]), ["individual.id_number"]);
        assert_eq!(client.get("/v1/country_specs/XX").status, 404);
        let all = client.list(None, "/v1/country_specs");
        assert!(all.len() > 60 && all.iter().any(|spec| spec["id"] == "DE"));
    });
}

#[test]
fn what_an_account_holds_expands() {
    on_fresh_ground(|client, _| {
        let account = seller(client, "US", "Jenny");
        let path = format!("/v1/accounts/{account}");
        let expanded = client.get(&format!(
            "{path}?expand[]=external_accounts.data.account&expand[]=individual.verification.document.front"
        ));
        let expanded = expanded.ok();
        assert_eq!(expanded["external_accounts"]["data"][0]["account"]["id"], account.as_str());
        assert_eq!(client.get(&format!("{path}?expand[]=business_profile")).status, 400);
        let capability = client.get(&format!("{path}/capabilities/transfers?expand[]=account")).ok();
        assert_eq!(capability["account"]["id"], account.as_str(), "{capability:#}");
        let capabilities = client.get(&format!("{path}/capabilities?expand[]=data.account")).ok();
        assert_eq!(capabilities["data"][1]["account"]["id"], account.as_str());
    });
}
