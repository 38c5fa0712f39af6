//! The edge over HTTP: what restricted and publishable keys open, rate limits, what the daemon says of itself, and the
//! methods that are no operations.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::daemon::{Client, Daemon, Reply, form, text};

fn start_with(config: &str) -> (tempfile::TempDir, Daemon) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.toml");
    std::fs::write(&file, config).expect("a configuration");
    let daemon = start_in(folder.path(), &file);
    (folder, daemon)
}

fn start_in(folder: &Path, config: &Path) -> Daemon {
    let started = Daemon::try_start(&folder.join("data"), |command| {
        command.arg("--config").arg(config);
    });
    started.unwrap_or_else(|ended| panic!("the daemon did not start, {}:\n{}", ended.status, ended.log))
}

fn with_key(daemon: &Daemon, key: &str) -> Client {
    let mut client = daemon.client();
    client.key = key.to_owned();
    client
}

fn send(client: &mut Client, method: &str, path: &str) -> Reply {
    client.send(method, path, &[], "").unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

/// Operations of the daemon's own document: method, path, and what is said of it.
fn operations(daemon: &Daemon) -> Vec<(String, String, Value)> {
    let document = daemon.client().get("/florin/openapi.json").ok();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            all.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    all
}

/// A path with something in the place of its parameters.
fn filled(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "nothing_1" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

fn restricted_key(client: &mut Client, permissions: &[(&str, &str)]) -> Value {
    let names: Vec<(String, &str)> =
        permissions.iter().map(|(word, level)| (format!("permissions[{word}]"), *level)).collect();
    let mut parameters = vec![("name", "Cash desk")];
    parameters.extend(names.iter().map(|(name, level)| (name.as_str(), *level)));
    client.post("/florin/keys", &parameters).ok()
}

#[test]
fn every_operation_asks_a_restricted_key_for_its_permission_and_for_no_other() {
    let (_folder, daemon) = start_with("");
    let client = &mut daemon.client();
    let operations = operations(&daemon);
    let keyed: Vec<_> = operations.iter().filter(|(_, _, said)| said["security"].is_null()).collect();
    assert!(keyed.len() > 70, "{} operations", keyed.len());
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    let mut words = Vec::new();
    for (_, _, said) in &keyed {
        let Some(needed) = said["x-permission"].as_str() else { continue };
        let (word, level) =
            needed.strip_prefix("rak_").and_then(|name| name.rsplit_once('_')).expect("rak_<word>_<level>");
        if !keys.contains_key(needed) {
            let key = restricted_key(client, &[(word, level)]);
            keys.insert(needed.to_owned(), text(&key["secret"]).to_owned());
            words.push(word.to_owned());
        }
    }
    let nothing = text(&restricted_key(client, &[("topup", "read")])["secret"]).to_owned();
    for (method, path, said) in keyed {
        let url = filled(path);
        let refused = send(&mut with_key(&daemon, &nothing), method, &url);
        let needed = said["x-permission"].as_str();
        if needed == Some("rak_topup_read") {
            continue;
        }
        let error = refused.json()["error"].clone();
        assert_eq!((refused.status, &error["type"]), (403, &Value::from("invalid_request_error")), "{method} {path}");
        let message = text(&error["message"]);
        assert!(message.starts_with("The provided key 'rk_test_****"), "{message}");
        assert!(
            message.contains("does not have the required permissions for this endpoint on account 'acct_"),
            "{message}"
        );
        match needed {
            // Keys and the clock are the secret key's alone.
            None => assert!(path.starts_with("/florin/keys") || path.starts_with("/florin/clock"), "{method} {path}"),
            Some(needed) => {
                let way = format!("Having the '{needed}' permission would allow this request to continue.");
                assert!(message.ends_with(&way), "{message}");
                let key = &keys[needed];
                let reply = send(&mut with_key(&daemon, key), method, &url);
                assert_ne!(reply.status, 403, "{method} {path} with {needed}");
                assert_ne!(reply.status, 401, "{method} {path} with {needed}");
                // To write includes to read.
                if needed.ends_with("_read")
                    && let Some(write) = keys.get(&needed.replace("_read", "_write"))
                {
                    assert_ne!(send(&mut with_key(&daemon, write), method, &url).status, 403, "{method} {path}");
                }
                if needed.ends_with("_write")
                    && let Some(read) = keys.get(&needed.replace("_write", "_read"))
                {
                    assert_eq!(send(&mut with_key(&daemon, read), method, &url).status, 403, "{method} {path}");
                }
            }
        }
    }
}

#[test]
fn a_publishable_key_opens_what_says_so_and_nothing_else() {
    let (_folder, daemon) = start_with("");
    let client = &mut with_key(&daemon, &daemon.publishable);
    let mut open = Vec::new();
    for (method, path, said) in operations(&daemon).iter().filter(|(_, _, said)| said["security"].is_null()) {
        let reply = send(client, method, &filled(path));
        if said["x-publishable"] == Value::Bool(true) {
            assert!(reply.status == 400 || reply.status == 404, "{method} {path}: {}", reply.status);
            open.push(format!("{method} {path}"));
        } else {
            let error = &reply.json()["error"];
            let refused = (reply.status, &error["code"]);
            assert_eq!(refused, (403, &Value::from("secret_key_required")), "{method} {path}");
        }
    }
    for expected in ["POST /v1/payment_methods", "POST /v1/tokens", "GET /v1/payment_intents/{intent}"] {
        assert!(open.iter().any(|have| have == expected), "{expected} among {open:?}");
    }
    // An intent is shown to who has its secret.
    let parameters = [("amount", "1000"), ("currency", "usd")];
    let intent = daemon.client().post("/v1/payment_intents", &parameters).ok();
    let (id, secret) = (text(&intent["id"]), text(&intent["client_secret"]));
    assert_eq!(client.get(&format!("/v1/payment_intents/{id}")).status, 400);
    assert_eq!(client.get(&format!("/v1/payment_intents/{id}?client_secret={id}_secret_x")).status, 400);
    assert_eq!(client.get(&format!("/v1/payment_intents/{id}?client_secret={secret}")).ok()["id"], intent["id"]);
}

#[test]
fn a_restricted_key_lives_through_a_restart_until_it_is_revoked() {
    let (folder, daemon) = start_with("");
    let client = &mut daemon.client();
    let made = client
        .send(
            "POST",
            "/florin/keys",
            &[("Idempotency-Key", "one")],
            &form(&[("name", "Desk"), ("permissions[customer]", "write"), ("permissions[payout]", "none")]),
        )
        .expect("an answer")
        .ok();
    let secret = text(&made["secret"]).to_owned();
    let id = text(&made["id"]).to_owned();
    assert!(secret.starts_with("rk_test_") && secret.len() == 32, "{made}");
    assert_eq!(made["permissions"], serde_json::json!({"customer": "write"}));
    assert_eq!(made["hint"], format!("rk_test_****{}", &secret[28..]));
    // It is told once.
    assert_eq!(client.get(&format!("/florin/keys/{id}")).ok()["secret"], Value::Null);
    let again = client
        .send(
            "POST",
            "/florin/keys",
            &[("Idempotency-Key", "one")],
            &form(&[("name", "Desk"), ("permissions[customer]", "write"), ("permissions[payout]", "none")]),
        )
        .expect("an answer");
    assert!(again.is_replay());
    assert_eq!((&again.ok()["id"], &again.ok()["secret"]), (&made["id"], &Value::Null));
    let works = |daemon: &Daemon| with_key(daemon, &secret).post("/v1/customers", &[("name", "Jenny")]).status;
    assert_eq!(works(&daemon), 200);
    // Nothing of the key is on the disk.
    daemon.kill();
    for (path, bytes) in crate::daemon::files(&folder.path().join("data")) {
        let tail = &secret.as_bytes()[8..];
        assert!(!bytes.windows(tail.len()).any(|window| window == tail), "{} tells the key", path.display());
    }
    let daemon = start_in(folder.path(), &folder.path().join("config.toml"));
    assert_eq!(works(&daemon), 200, "after a restart");
    let client = &mut daemon.client();
    assert_eq!(client.list(None, "/florin/keys").len(), 1);
    let revoked = client.post(&format!("/florin/keys/{id}/revoke"), &[]).ok();
    assert!(revoked["revoked_at"].as_i64().is_some(), "{revoked}");
    let refused = with_key(&daemon, &secret).get("/v1/customers");
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (401, &Value::from("api_key_expired")));
    drop(daemon);
    let daemon = start_in(folder.path(), &folder.path().join("config.toml"));
    assert_eq!(works(&daemon), 401, "also after another restart");
}

#[test]
fn permissions_that_cannot_be_are_refused() {
    let (_folder, daemon) = start_with("");
    let client = &mut daemon.client();
    for (parameters, param, words) in [
        (vec![], "permissions", "Missing required param: permissions."),
        (vec![("permissions[charges]", "read")], "permissions[charges]", "There is no permission for 'charges'."),
        (
            vec![("permissions[charge]", "all")],
            "permissions[charge]",
            "Invalid permissions[charge]: must be one of none",
        ),
        (vec![("permissions[charge]", "none")], "permissions", "A restricted key needs at least one permission"),
    ] {
        let reply = client.post("/florin/keys", &parameters);
        let error = &reply.json()["error"];
        assert_eq!((reply.status, &error["param"]), (400, &Value::from(param)), "{error}");
        assert!(text(&error["message"]).starts_with(words), "{error}");
    }
    assert!(client.list(None, "/florin/keys").is_empty());
}

#[test]
fn keys_of_the_configuration_open_what_it_says() {
    let key = "rk_test_0123456789";
    let (_folder, daemon) =
        start_with(&format!("[[platform.keys]]\nkey = \"{key}\"\npermissions = {{ customer = \"read\" }}\n"));
    let client = &mut with_key(&daemon, key);
    assert_eq!(client.get("/v1/customers").status, 200);
    assert_eq!(client.get("/v1/charges").status, 403);
    assert_eq!(client.post("/v1/customers", &[]).status, 403);
}

#[test]
fn rate_limits_are_off_by_default_and_public_ones_are_those_of_test_keys() {
    let (_folder, daemon) = start_with("");
    let client = &mut daemon.client();
    assert!((0..200).all(|_| client.get("/v1/balance").status == 200));
    drop(daemon);

    let (_folder, daemon) = start_with("[rate_limit]\nprofile = \"public\"\n");
    let client = &mut daemon.client();
    let began = Instant::now();
    let replies: Vec<Reply> = (0..120).map(|_| client.get("/v1/balance")).collect();
    let passed = replies.iter().filter(|reply| reply.status == 200).count();
    let refilled = usize::try_from(began.elapsed().as_millis() / 40).expect("few") + 1;
    assert!((25..=25 + refilled).contains(&passed), "{passed} of 120 passed");
    let limited = replies.iter().find(|reply| reply.status == 429).expect("some are limited");
    let error = &limited.json()["error"];
    assert_eq!((&error["type"], &error["code"]), (&"invalid_request_error".into(), &"rate_limit".into()));
    assert!(text(&error["message"]).starts_with("Request rate limit exceeded."), "{error}");
    assert_eq!(limited.header("stripe-rate-limited-reason"), Some("global-rate"));
    assert_eq!((limited.header("stripe-should-retry"), limited.header("retry-after")), (None, None));
    // Writes are counted apart; a limited one has not begun, so its key is free.
    let limited = (0..60).find_map(|n| {
        let key = format!("key-{n}");
        let reply = client.send("POST", "/v1/customers", &[("Idempotency-Key", &key)], "name=A").expect("an answer");
        (reply.status == 429).then_some(key)
    });
    let key = limited.expect("some write is limited");
    std::thread::sleep(Duration::from_millis(300));
    let again = client.send("POST", "/v1/customers", &[("Idempotency-Key", &key)], "name=A").expect("an answer");
    assert!(again.status == 200 && !again.is_replay(), "{}", again.status);
    // What needs no key is not limited.
    assert!((0..60).all(|_| client.get("/florin/health").status == 200));
    drop(daemon);

    // Searches have a limit of their own, also where reads have a higher one.
    let (_folder, daemon) = start_with("[rate_limit]\nprofile = \"public\"\nread_per_second = 100000\n");
    let client = &mut daemon.client();
    let searches: Vec<Reply> = (0..200).map(|_| client.get("/v1/customers/search?query=name:%22A%22")).collect();
    let limited = searches.iter().find(|reply| reply.status == 429).expect("some search is limited");
    assert_eq!(limited.header("stripe-rate-limited-reason"), Some("endpoint-rate"));
    assert_eq!(client.get("/v1/customers").status, 200);
}

#[test]
fn the_document_of_the_daemon_is_the_daemon() {
    let (_folder, daemon) = start_with("");
    let client = &mut daemon.client();
    let before = client.get("/florin/trial_balance").ok()["sequence"].clone();
    let operations = operations(&daemon);
    assert!(operations.len() > 80, "{}", operations.len());
    assert_eq!(client.get("/florin/trial_balance").ok()["sequence"], before, "asking for it changes nothing");
    for (method, path, said) in &operations {
        // Every operation is one: no address that it names is unknown to the router.
        let reply = send(client, method, &filled(path));
        let message = reply.json_or_null()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(!message.starts_with("Unrecognized request URL"), "{method} {path}: {message}");
        // What can be expanded anywhere can be here, and what an operation names it reads: it is not unknown there.
        if said["security"].is_null() {
            let names = parameter_names(said);
            assert!(names.iter().any(|name| name == "expand"), "{method} {path} reads {names:?}");
        }
    }
    let of = |method: &str, path: &str| {
        let found = operations.iter().find(|(m, p, _)| m == method && p == path);
        found.unwrap_or_else(|| panic!("{method} {path}")).2.clone()
    };
    // Some of what is known to be read, with its kind.
    let create = of("POST", "/v1/payment_intents");
    let body = &create["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"];
    assert_eq!(body["properties"]["amount"]["type"], "integer");
    assert_eq!(body["properties"]["confirm"]["type"], "boolean");
    assert_eq!(
        body["properties"]["capture_method"]["enum"],
        serde_json::json!(["automatic", "automatic_async", "manual"])
    );
    assert!(body["required"].as_array().expect("some").contains(&"amount".into()), "{body}");
    let destination = &body["properties"]["transfer_data"]["properties"]["destination"];
    assert_eq!(destination["type"], "string", "{}", body["properties"]["transfer_data"]);
    assert_eq!(
        create["responses"]["200"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/payment_intent"
    );
    let names = parameter_names(&of("GET", "/v1/charges"));
    for name in ["limit", "starting_after", "ending_before", "created", "customer", "payment_intent", "transfer_group"]
    {
        assert!(names.iter().any(|have| have == name), "{name} among {names:?}");
    }
    let account = of("POST", "/v1/accounts");
    let body = &account["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]["properties"];
    assert_eq!(body["capabilities"]["additionalProperties"]["properties"]["requested"]["type"], "boolean");
    let token = of("POST", "/v1/tokens");
    let body = &token["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]["properties"];
    assert!(
        body["card"]["properties"]["number"].is_object() && body["bank_account"]["properties"].is_object(),
        "{body}"
    );
}

fn parameter_names(said: &Value) -> Vec<String> {
    let of_body = &said["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]["properties"];
    let of_body = of_body.as_object().into_iter().flat_map(|names| names.keys().cloned());
    let of_query =
        said["parameters"].as_array().into_iter().flatten().map(|parameter| text(&parameter["name"]).to_owned());
    of_body.chain(of_query).collect()
}

#[test]
fn methods_and_addresses_that_are_no_operations() {
    let (_folder, daemon) = start_with("");
    let client = &mut daemon.client();
    for (method, path) in [
        ("GET", "/v1/foo"),
        ("GET", "/v1/charges/"),
        ("PUT", "/v1/charges"),
        ("PATCH", "/v1/charges/ch_1"),
        ("DELETE", "/v1/charges/ch_1"),
        ("POST", "/v1/balance"),
        ("POST", "/v1/charges/search"),
        ("GET", "//v1/charges"),
        ("GET", "/V1/charges"),
    ] {
        let reply = send(client, method, path);
        let error = &reply.json()["error"];
        assert_eq!((reply.status, &error["code"]), (404, &Value::Null), "{method} {path}");
        let words = format!("Unrecognized request URL ({method}: {path}). ");
        assert!(text(&error["message"]).starts_with(&words), "{error}");
    }
    // The head of an answer without its body.
    let mut stream = std::net::TcpStream::connect(daemon.address).expect("it listens");
    let key = crate::daemon::KEY;
    let head =
        format!("HEAD /v1/balance HTTP/1.1\r\nHost: f\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n");
    std::io::Write::write_all(&mut stream, head.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).expect("it is answered");
    let lower = answer.to_ascii_lowercase();
    assert!(
        lower.starts_with("http/1.1 200") && lower.contains("request-id: req_") && lower.ends_with("\r\n\r\n"),
        "{answer}"
    );
}

#[test]
fn a_search_reads_so_far_and_says_where_to_go_on() {
    const CUSTOMERS: usize = 10_150;
    let (_folder, daemon) = start_with("");
    let name =
        |client: &mut Client, name: &str| text(&client.post("/v1/customers", &[("name", name)]).ok()["id"]).to_owned();
    let client = &mut daemon.client();
    let oldest = name(client, "needle");
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let mut client = daemon.client();
            std::thread::spawn(move || {
                for _ in 0..CUSTOMERS / 8 {
                    client.post("/v1/customers", &[("name", "hay")]).ok();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().expect("no surprise");
    }
    let newest = name(client, "needle");
    let search = |client: &mut Client, query: &str| client.get(&format!("/v1/customers/search?{query}")).ok();
    let ids = |page: &Value| -> Vec<String> {
        page["data"].as_array().expect("a page").iter().map(|found| text(&found["id"]).to_owned()).collect()
    };
    // Something was found, and enough was read: the page ends, and the next one goes on from there.
    let first = search(client, "query=name:needle");
    assert_eq!((ids(&first), &first["has_more"]), (vec![newest.clone()], &Value::Bool(true)));
    let next = text(&first["next_page"]).to_owned();
    let second = search(client, &format!("query=name:needle&page={next}"));
    assert_eq!(
        (ids(&second), &second["has_more"], &second["next_page"]),
        (vec![oldest], &Value::Bool(false), &Value::Null)
    );
    // Nothing was found yet: it reads on.
    let alone = search(client, "query=name:needle%20-name:hay%20created%3E0&limit=1");
    assert_eq!(ids(&alone), [newest]);
    let nothing = search(client, "query=name:nobody");
    assert_eq!((ids(&nothing).len(), &nothing["has_more"]), (0, &Value::Bool(false)));
    // A lower bound of creation ends the reading early.
    let began = Instant::now();
    let future = search(client, "query=created%3E4000000000");
    assert_eq!((ids(&future).len(), &future["has_more"]), (0, &Value::Bool(false)));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn balances_can_be_read_while_others_write() {
    let (_folder, daemon) = start_with("");
    std::thread::scope(|scope| {
        for n in 0..32 {
            let mut client = daemon.client();
            scope.spawn(move || {
                for round in 0..60 {
                    if (n + round) % 2 == 0 {
                        assert_eq!(client.get("/v1/balance").status, 200);
                    } else {
                        assert_eq!(client.post("/v1/customers", &[("name", "Grace")]).status, 200);
                    }
                }
            });
        }
    });
    assert_eq!(daemon.client().list(None, "/v1/customers").len(), 32 * 30);
}
