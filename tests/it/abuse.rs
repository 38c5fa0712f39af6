//! Clients that behave badly, signals, panics and secrets: none of it may cost others their service, or leave a trace
//! that it must not leave.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use florin::domain::command::{Command, Request};
use florin::engine::boot::{EngineOptions, TestHooks};
use florin::engine::plain::Told;
use florin::primitives::Currency;
use serde_json::{Value, json};

use crate::daemon::{Client, Daemon, Inside, KEY, files, form, read_reply, seller, text};
use crate::market::{expect_sound_journal, expect_zero_trial_balance};
use crate::story::Story;
use crate::town::{Town, intent, refund};

/// What the rest of the world may have to wait while somebody misbehaves.
const SOON: Duration = Duration::from_secs(1);
const IDLE: u64 = 10_000;
/// Files that a process needs for itself.
const OWN_FILES: u64 = 500;

fn start() -> (tempfile::TempDir, Daemon) {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(&folder.path().join("data"));
    (folder, daemon)
}

fn charge(client: &mut Client) -> Value {
    let charge = [
        ("amount", "1000"),
        ("currency", "usd"),
        ("confirm", "true"),
        ("payment_method", "pm_card_visa"),
        ("payment_method_types[]", "card"),
    ];
    client.post("/v1/payment_intents", &charge).ok()
}

/// A charge and a read, over a new connection and over a kept one, each answered soon.
fn expect_service(daemon: &Daemon, kept: &mut Client, while_what: &str) {
    for _ in 0..5 {
        for client in [&mut *kept, &mut daemon.client()] {
            let began = Instant::now();
            let made = charge(client);
            client.get(&format!("/v1/payment_intents/{}", text(&made["id"]))).ok();
            assert!(began.elapsed() < SOON, "{:?} while {while_what}", began.elapsed());
        }
    }
}

fn connect(daemon: &Daemon) -> TcpStream {
    let stream = TcpStream::connect(daemon.address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
    stream
}

fn head(length: usize) -> String {
    format!(
        "POST /v1/customers HTTP/1.1\r\nHost: florin\r\nAuthorization: Bearer {KEY}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n"
    )
}

#[test]
fn bodies_over_the_limit_are_refused_and_their_senders_alone_pay() {
    let (_folder, daemon) = start();
    let kept = &mut daemon.client();
    charge(kept);
    // Announced too long: refused before it is sent.
    let mut stream = connect(&daemon);
    stream.write_all(head(2 << 20).as_bytes()).expect("a head");
    let reply = read_reply(&mut BufReader::new(&stream)).expect("an answer");
    assert_eq!(reply.status, 413, "{:?}", String::from_utf8_lossy(&reply.body));
    assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
    // Not announced: cut off when it is too long.
    let mut stream = connect(&daemon);
    let chunked = head(0).replace("Content-Length: 0", "Transfer-Encoding: chunked");
    stream.write_all(chunked.as_bytes()).expect("a head");
    let chunk = [b"10000\r\n", &[b'a'; 0x1_0000][..], b"\r\n"].concat();
    let mut sent = 0;
    while sent < 64 << 20 && stream.write_all(&chunk).is_ok() {
        sent += chunk.len();
    }
    assert!(sent < 32 << 20, "{sent} bytes were taken");
    // A head without an end.
    let mut stream = connect(&daemon);
    let long = format!("GET /v1/balance HTTP/1.1\r\nX: {}", "a".repeat(200_000));
    let _ = stream.write_all(long.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    expect_service(&daemon, kept, "bodies are too long");
    assert!(daemon.stop().status.success());
}

#[test]
fn half_sent_heads_and_bodies_hold_up_nobody() {
    let (_folder, daemon) = start();
    let kept = &mut daemon.client();
    let mut held = Vec::new();
    for _ in 0..200 {
        let mut stream = connect(&daemon);
        stream.write_all(format!("{}name=Gra", head(1_000)).as_bytes()).expect("half a body");
        held.push(stream);
        let mut stream = connect(&daemon);
        stream.write_all(b"GET /v1/balance HTTP/1.1\r\nHost: flo").expect("half a head");
        held.push(stream);
    }
    expect_service(&daemon, kept, "400 requests are half sent");
    // A head that comes byte by byte is given up in the end.
    let began = Instant::now();
    let mut slow = connect(&daemon);
    let given_up = (0..300).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        slow.write_all(b"X").is_err()
    });
    assert!(given_up && began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    expect_service(&daemon, kept, "200 bodies are half sent");
}

// ---------------------------------------------------------------------------------------------------------------
// Idle connections

/// How many files this process may open, after asking for as many as it can get.
#[allow(unsafe_code)]
fn raise_file_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a limit of their own stack frame.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
    }
    limit.rlim_cur
}

/// Sets the limits of a process to be: how many files it may open, and how many it may ask for.
#[allow(unsafe_code)]
fn with_file_limit(command: &mut Process, soft: u64, hard: u64) {
    // SAFETY: between fork and exec only one system call is made, and nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
            if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0 {
                Ok(())
            } else {
                Err(std::io::Error::last_os_error())
            }
        });
    }
}

/// Another process that holds idle connections, until it is let go.
struct Idlers {
    child: Child,
    held: u64,
}

impl Idlers {
    fn hold(daemon: &Daemon, count: u64) -> Idlers {
        let mut child = Process::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "abuse::idle_connections_as_a_child", "--ignored", "--nocapture"])
            .env("FLORIN_CHILD_ADDRESS", daemon.address.to_string())
            .env("FLORIN_CHILD_COUNT", count.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut told = String::new();
        let mut stdout = child.stdout.take().expect("a pipe");
        let mut byte = [0];
        while !told.contains("holding ") || !told.ends_with('\n') {
            assert_eq!(stdout.read(&mut byte).expect("it talks"), 1, "it ended: {told}");
            told.push(char::from(byte[0]));
        }
        let held = told.split("holding ").nth(1).and_then(|rest| rest.trim().parse().ok()).expect("a number");
        Idlers { child, held }
    }
}

impl Drop for Idlers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "a child of the tests here"]
fn idle_connections_as_a_child() {
    let Ok(address) = std::env::var("FLORIN_CHILD_ADDRESS") else { return };
    let count: u64 = std::env::var("FLORIN_CHILD_COUNT").expect("a count").parse().expect("a number");
    raise_file_limit();
    let mut held = Vec::new();
    for _ in 0..count {
        match TcpStream::connect_timeout(&address.parse().expect("an address"), Duration::from_secs(2)) {
            Ok(stream) => held.push(stream),
            Err(error) => {
                eprintln!("after {}: {error}", held.len());
                break;
            }
        }
    }
    println!("holding {}", held.len());
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn ten_thousand_idle_connections_stop_nobody() {
    let limit = raise_file_limit();
    let wanted = IDLE.min(limit.saturating_sub(OWN_FILES));
    if wanted < IDLE {
        println!("only {wanted} idle connections: a process may open {limit} files here (ulimit -n)");
    }
    let folder = tempfile::tempdir().expect("a folder");
    // As a shell starts it: it has to ask for more by itself.
    let daemon = Daemon::try_start(&folder.path().join("data"), |command| with_file_limit(command, 1_024, limit));
    let Ok(daemon) = daemon else { panic!("it starts") };
    let kept = &mut daemon.client();
    charge(kept);
    let began = Instant::now();
    let idlers = Idlers::hold(&daemon, wanted);
    println!("{} idle connections after {:?}", idlers.held, began.elapsed());
    assert_eq!(idlers.held, wanted);
    assert!(began.elapsed() < Duration::from_secs(20), "they are let in slowly");
    expect_service(&daemon, kept, "idle connections are open");
    let began = Instant::now();
    let ended = daemon.stop();
    assert!(ended.status.success(), "{}", ended.log);
    assert!(began.elapsed() < Duration::from_secs(8), "idle connections held the drain: {:?}", began.elapsed());
}

#[test]
fn more_connections_than_files_cost_neither_the_daemon_nor_what_it_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let daemon = Daemon::try_start(&data, |command| with_file_limit(command, 256, 256));
    let Ok(mut daemon) = daemon else { panic!("it starts with 256 files") };
    let kept = &mut daemon.client();
    charge(kept);
    let idlers = Idlers::hold(&daemon, 600);
    for _ in 0..300 {
        let made = charge(kept);
        kept.get(&format!("/v1/payment_intents/{}", text(&made["id"]))).ok();
    }
    assert_eq!(kept.list(None, "/v1/payment_intents").len(), 301);
    assert!(daemon.has_ended().is_none());
    drop(idlers);
    let until = Instant::now() + Duration::from_secs(10);
    while daemon.client().send("GET", "/v1/balance", &[], "").is_err() {
        assert!(Instant::now() < until, "nobody is let in any more");
    }
    let ended = daemon.stop();
    assert!(ended.status.success(), "{}", ended.log);
    assert!(ended.log.lines().count() < 1_000, "{} lines of log", ended.log.lines().count());
}

// ---------------------------------------------------------------------------------------------------------------
// Signals

#[test]
fn ctrl_c_lets_a_request_finish_that_has_begun() {
    let (folder, daemon) = start();
    let body = form(&[("name", "Grace"), ("description", "half way")]);
    let (early, late) = body.split_at(8);
    let mut stream = connect(&daemon);
    stream.write_all(head(body.len()).as_bytes()).expect("a head");
    stream.write_all(early.as_bytes()).expect("half a body");
    std::thread::sleep(Duration::from_millis(200));
    daemon.interrupt();
    std::thread::sleep(Duration::from_millis(300));
    assert!(TcpStream::connect(daemon.address).is_err(), "it takes nobody new");
    stream.write_all(late.as_bytes()).expect("the rest");
    let made = read_reply(&mut BufReader::new(&stream)).expect("an answer").ok();
    let began = Instant::now();
    let ended = daemon.ended();
    assert!(ended.status.success(), "{}", ended.log);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let daemon = Daemon::start(&folder.path().join("data"));
    daemon.client().get(&format!("/v1/customers/{}", text(&made["id"]))).ok();
}

#[test]
fn a_body_that_never_comes_holds_the_end_for_ten_seconds_at_most() {
    let (_folder, daemon) = start();
    let mut stream = connect(&daemon);
    stream.write_all(format!("{}name=Gra", head(1_000)).as_bytes()).expect("half a body");
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    let ended = daemon.stop();
    assert!(ended.status.success(), "{}", ended.log);
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let (_folder, daemon) = start();
    let mut stream = connect(&daemon);
    stream.write_all(format!("{}name=Gra", head(1_000)).as_bytes()).expect("half a body");
    std::thread::sleep(Duration::from_millis(200));
    daemon.interrupt();
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    let ended = daemon.stop();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(ended.status.code(), Some(130), "{}", ended.log);
}

// ---------------------------------------------------------------------------------------------------------------
// Panics

#[test]
fn a_panic_in_a_decision_changes_nothing_and_stops_nothing() {
    let mut story = Story::told(1);
    let paid = story.town.charge(5_000, Currency::USD, |_| {}).seq;
    let plain = &mut story.town.plain;
    plain.machine.planted_panic = Some(|request| matches!(request.command, Command::CreateRefund { .. }));
    let before = (plain.digest(), plain.world.state.seq, plain.entries.len());
    let now = story.town.now;
    for _ in 0..3 {
        let told = story.town.plain.submit(&Town::request(refund(paid, Some(100), false, false)), now);
        assert!(matches!(told, Told::Panicked), "{told:?}");
        let plain = &story.town.plain;
        assert_eq!((plain.digest(), plain.world.state.seq, plain.entries.len()), before);
    }
    // Others are served, and so is the same request once the fault is gone.
    let next = story.town.plain.submit(&Town::request(intent(700, Currency::USD, |_| {})), now);
    assert!(matches!(next, Told::Decided(_)), "{next:?}");
    story.town.plain.machine.planted_panic = None;
    let again = story.town.plain.submit(&Town::request(refund(paid, Some(100), false, false)), now);
    assert!(matches!(again, Told::Decided(_)), "{again:?}");
    story.town.expect_books_closed();
}

/// Whether there is a fault that requests for [`UNLUCKY`] run into.
static FAULT: AtomicBool = AtomicBool::new(false);
const UNLUCKY: i64 = 66_613;

fn runs_into_the_fault(request: &Request) -> bool {
    let unlucky = matches!(&request.command, Command::CreateIntent(input) if input.amount == Some(UNLUCKY));
    unlucky && FAULT.load(Ordering::Relaxed)
}

/// Everything that a platform and its seller can see of their money, and how many entries there are.
fn all_that_can_be_seen(client: &mut Client, seller: &str) -> Vec<Value> {
    let mut seen = vec![client.get("/florin/trial_balance").ok()];
    for account in [None, Some(seller)] {
        seen.push(client.get_as(account, "/v1/balance").ok());
        for list in ["payment_intents", "charges", "transfers", "application_fees", "balance_transactions", "events"] {
            seen.extend(client.list(account, &format!("/v1/{list}")));
        }
    }
    seen
}

#[test]
fn a_request_whose_decision_panics_is_a_500_that_changes_nothing_and_may_be_sent_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let hooks = TestHooks { planted_panic: Some(runs_into_the_fault), ..TestHooks::default() };
    let daemon = Inside::start(EngineOptions { hooks, ..EngineOptions::new(folder.path()) });
    let client = &mut daemon.client();
    let seller = seller(client, "US", "Ada");
    let charge = |client: &mut Client, amount: i64, key: &str| {
        let charge = [
            ("amount", amount.to_string().as_str()),
            ("currency", "usd"),
            ("confirm", "true"),
            ("payment_method", "pm_card_visa"),
            ("payment_method_types[]", "card"),
            ("transfer_data[destination]", &seller),
            ("application_fee_amount", "100"),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        let charge: Vec<(&str, &str)> = charge.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let headers: Vec<(&str, &str)> = [("Idempotency-Key", key)].into_iter().filter(|_| !key.is_empty()).collect();
        client.send("POST", "/v1/payment_intents", &headers, &form(&charge)).expect("an answer")
    };
    charge(client, 5_000, "before").ok();
    let before = all_that_can_be_seen(client, &seller);

    FAULT.store(true, Ordering::Relaxed);
    for key in ["unlucky", "unlucky", ""] {
        let reply = charge(client, UNLUCKY, key);
        assert_eq!(reply.status, 500);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("stripe-should-retry"), Some("true"));
        let request = reply.header("request-id").expect("an id").to_owned();
        let error = reply.json()["error"].clone();
        assert_eq!(error["type"], "api_error", "{error}");
        for words in [request.as_str(), "Nothing was changed", "safe to send it again", "Idempotency-Key"] {
            assert!(text(&error["message"]).contains(words), "{words}: {error}");
        }
        assert_eq!(all_that_can_be_seen(client, &seller), before);
    }

    // Others are served in the midst of it, from the same batches.
    std::thread::scope(|threads| {
        for n in 0..8 {
            let (daemon, charge) = (&daemon, &charge);
            threads.spawn(move || {
                let client = &mut daemon.client();
                for round in 0..20 {
                    let (amount, status) = if n % 2 == 0 { (1_000, 200) } else { (UNLUCKY, 500) };
                    let reply = charge(client, amount, &format!("{n} {round}"));
                    assert_eq!(reply.status, status, "{:?}", String::from_utf8_lossy(&reply.body));
                }
            });
        }
    });
    assert_eq!(client.list(None, "/v1/payment_intents").len(), 1 + 4 * 20);

    // The fault is gone: the same request, under its old key.
    FAULT.store(false, Ordering::Relaxed);
    let made = charge(client, UNLUCKY, "unlucky");
    assert!(!made.is_replay());
    let made = made.ok();
    let again = charge(client, UNLUCKY, "unlucky");
    assert!(again.is_replay());
    assert_eq!(again.ok()["id"], made["id"]);
    assert_eq!(client.list(None, "/v1/payment_intents").len(), 2 + 4 * 20);
    expect_zero_trial_balance(client);
    drop(daemon);
    expect_sound_journal(folder.path());
}

// ---------------------------------------------------------------------------------------------------------------
// Secrets

/// What must not be on disk. Short ones are sought as whole numbers only: four digits in a row are everywhere.
const SECRETS: [&str; 20] = [
    KEY,
    "sk_test_unknown0unknown0unknown",
    "4242424242424242",
    "4242 4242 4242 4242",
    "5555555555554444",
    "378282246310005",
    "4000000000000002",
    "4242424242424241",
    "4539578763621486",
    "7391",
    "918273645012",
    "000123456789",
    "DE89370400440532013000",
    "89370400440532013000",
    "583920174",
    "583-92-0174",
    "8527",
    "981357924",
    "98-1357924",
    "135792468",
];

/// Something that is no secret and that is kept in the open: that it is found shows that the search works.
const CONTROL: &str = "control0rule";

/// Which of the words are in these bytes.
fn found_in(bytes: &[u8], words: &[&str]) -> Vec<String> {
    let mut by_first: Vec<Vec<&[u8]>> = vec![Vec::new(); 256];
    for word in words {
        by_first[usize::from(word.as_bytes()[0])].push(word.as_bytes());
    }
    let mut found = Vec::new();
    for (at, first) in bytes.iter().enumerate() {
        for word in &by_first[usize::from(*first)] {
            if bytes[at..].starts_with(word) {
                let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
                let inside_a_number = is_digit(at.checked_sub(1)) || is_digit(Some(at + word.len()));
                if word.len() > 4 || !inside_a_number {
                    let around = &bytes[at.saturating_sub(60)..(at + word.len() + 30).min(bytes.len())];
                    found.push(format!("{} in {:?}", String::from_utf8_lossy(word), String::from_utf8_lossy(around)));
                }
            }
        }
    }
    found
}

/// `a[b][c]=d` as JSON.
fn nested(parameters: &[(&str, &str)]) -> Value {
    let mut root = json!({});
    for (path, value) in parameters {
        let mut at = &mut root;
        for name in path.split(['[', ']']).filter(|name| !name.is_empty()) {
            at = at.as_object_mut().expect("an object").entry(name).or_insert_with(|| json!({}));
        }
        *at = if path.ends_with("[]") { json!([value]) } else { json!(value) };
    }
    root
}

struct Sender {
    client: Client,
    sent: u32,
    statuses: std::collections::BTreeMap<u16, u32>,
}

impl Sender {
    /// Sends parameters as a form and as JSON, each under an idempotency key.
    fn send(&mut self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let json = nested(parameters).to_string();
        let mut last = Value::Null;
        for (kind, body) in [("application/json", json), ("application/x-www-form-urlencoded", form(parameters))] {
            self.sent += 1;
            let key = format!("secret-{}", self.sent);
            let headers = [("Content-Type", kind), ("Idempotency-Key", key.as_str())];
            let reply = self.client.send("POST", path, &headers, &body).expect("an answer");
            assert!(reply.status < 500, "{path}: {}", String::from_utf8_lossy(&reply.body));
            *self.statuses.entry(reply.status).or_default() += 1;
            last = reply.json();
        }
        last
    }
}

#[test]
fn what_must_not_be_kept_is_nowhere_in_the_data_folder_or_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let daemon = Daemon::try_start(&data, |command| {
        command.env("FLORIN_LOG", "trace");
    });
    let Ok(daemon) = daemon else { panic!("it starts") };
    let mut sender = Sender { client: daemon.client(), sent: 0, statuses: Default::default() };
    let to = &mut sender;
    let account = seller(&mut to.client, "US", "Ada");
    let customer = to.send("/v1/customers", &[("name", "Grace")]);
    let customer = text(&customer["id"]).to_owned();

    let numbers = [
        "4242424242424242",
        "4242 4242 4242 4242",
        "5555555555554444",
        "378282246310005",
        "4000000000000002",
        "4242424242424241",
        "4539578763621486",
    ];
    for number in numbers {
        let cvc = if number.starts_with('3') { "7391" } else { "739" };
        let card = |prefix: &str| -> Vec<(String, String)> {
            [("number", number), ("exp_month", "12"), ("exp_year", "2034"), ("cvc", cvc)]
                .map(|(name, value)| (format!("{prefix}[{name}]"), value.to_owned()))
                .to_vec()
        };
        let with = |fixed: &[(&str, &str)], card: &[(String, String)]| -> Vec<(String, String)> {
            let fixed = fixed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            fixed.chain(card.iter().cloned()).collect()
        };
        let mut post = |path: &str, parameters: Vec<(String, String)>| -> Value {
            let borrowed: Vec<(&str, &str)> = parameters.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            to.send(path, &borrowed)
        };
        post("/v1/tokens", card("card"));
        post("/v1/payment_methods", with(&[("type", "card")], &card("card")));
        let data = card("payment_method_data[card]");
        let pay = [("amount", "900"), ("currency", "usd"), ("payment_method_types[]", "card"), ("customer", &customer)];
        let typed = [("payment_method_data[type]", "card")];
        post("/v1/payment_intents", with(&[&pay[..], &typed, &[("confirm", "true")]].concat(), &data));
        let later = post("/v1/payment_intents", with(&pay, &[]));
        let later = text(&later["id"]).to_owned();
        post(&format!("/v1/payment_intents/{later}"), with(&typed, &data));
        post(&format!("/v1/payment_intents/{later}/confirm"), with(&typed, &data));
        // Where it does not belong.
        post("/v1/customers", with(&[("source", number)], &card("card")));
        post("/v1/customers", with(&[("name", number), ("description", number), ("metadata[card]", number)], &[]));
        post(&format!("/v1/customers/{customer}"), with(&[("metadata[card]", number), ("phone", number)], &[]));
        post(
            "/v1/payment_intents",
            with(
                &[
                    &pay[..],
                    &[
                        ("metadata[cvc]", cvc),
                        ("metadata[card]", number),
                        ("description", number),
                        ("transfer_group", number),
                        ("statement_descriptor_suffix", &format!("A{number}")),
                    ],
                ]
                .concat(),
                &[],
            ),
        );
        post("/v1/payment_intents", with(&[&pay[..3], &[("customer", number)]].concat(), &[]));
        post("/v1/payment_intents", with(&[("amount", number), ("currency", number)], &[]));
        post(
            "/v1/payment_intents",
            with(&[&pay[..], &[("payment_method", number), ("confirm", "true")]].concat(), &[]),
        );
        post("/v1/refunds", with(&[("payment_intent", &later), ("reason", number), (number, "1")], &[]));
        post("/v1/transfers", with(&[("amount", "100"), ("currency", "usd"), ("destination", number)], &[]));
        post("/v1/payouts", with(&[("amount", "100"), ("currency", "usd"), ("destination", number)], &[]));
        post("/v1/accounts", with(&[("type", number), ("country", number), ("email", number)], &[]));
        post(
            "/v1/accounts",
            with(
                &[("type", "custom"), ("country", "US"), (&format!("capabilities[{number}][requested]"), "true")],
                &[],
            ),
        );
        post("/florin/adjustments", with(&[("repairs", number), ("reason", number), ("author", number)], &[]));
        let url = number.replace(' ', "%20");
        for path in [
            format!("/v1/charges?number={url}"),
            format!("/v1/customers/{url}"),
            format!("/v1/events?type={url}"),
            format!("/{url}"),
        ] {
            let reply = to.client.get(&path);
            assert!(reply.status < 500, "{path}: {}", reply.status);
        }
        let headers = [("Stripe-Account", number)];
        assert!(to.client.send("GET", "/v1/balance", &headers, "").expect("an answer").status >= 400);
        let headers = [("Idempotency-Key", number)];
        to.client.send("POST", "/v1/customers", &headers, "name=Grace").expect("an answer").ok();
    }

    for number in ["918273645012", "000123456789", "DE89370400440532013000"] {
        let (country, currency) = if number.starts_with("DE") { ("DE", "eur") } else { ("US", "usd") };
        for prefix in ["bank_account", "external_account"] {
            let named = |name: &str| format!("{prefix}[{name}]");
            let mut bank = vec![
                (named("country"), country),
                (named("currency"), currency),
                (named("account_number"), number),
                (named("account_holder_name"), "Ada"),
                (named("account_holder_type"), "individual"),
            ];
            if country == "US" {
                bank.push((named("routing_number"), "110000000"));
            }
            if prefix == "external_account" {
                bank.push((named("object"), "bank_account"));
            }
            let mut bank: Vec<(&str, &str)> = bank.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            if prefix == "bank_account" {
                to.send("/v1/tokens", &bank);
                continue;
            }
            to.send(&format!("/v1/accounts/{account}/external_accounts"), &bank);
            to.send(&format!("/v1/accounts/{account}"), &bank);
            bank.extend([("type", "custom"), ("country", country)]);
            to.send("/v1/accounts", &bank);
        }
    }

    let person = [
        ("individual[first_name]", "Ada"),
        ("individual[id_number]", "583920174"),
        ("individual[ssn_last_4]", "8527"),
        ("individual[metadata][id]", "583-92-0174"),
    ];
    let company = [("company[name]", "Ada"), ("company[tax_id]", "98-1357924"), ("company[vat_id]", "DE135792468")];
    let person_again = [("individual[id_number]", "583-92-0174"), ("individual[id_number_secondary]", "583920174")];
    for (kind, identity) in [("individual", &person[..]), ("company", &company), ("individual", &person_again)] {
        let fresh = [&[("type", "custom"), ("country", "US"), ("business_type", kind)], identity].concat();
        let made = to.send("/v1/accounts", &fresh);
        to.send(&format!("/v1/accounts/{}", text(&made["id"])), identity);
    }
    let bare = [("company[tax_id]", "981357924")];
    to.send(
        "/v1/accounts",
        &[&[("type", "custom"), ("country", "US"), ("business_type", "company")], &bare[..]].concat(),
    );

    let mut stranger = daemon.client();
    stranger.key = "sk_test_unknown0unknown0unknown".to_owned();
    assert_eq!(stranger.get("/v1/balance").status, 401);
    let rule = [("name", CONTROL), ("shares[0][account]", account.as_str()), ("shares[0][percent]", "50")];
    to.client.post("/florin/split_rules", &rule).ok();
    println!("{:?}", sender.statuses);
    assert!(sender.statuses[&200] > 100, "much of it was taken");
    drop((sender, stranger));
    let ended = daemon.stop();
    assert!(ended.status.success(), "{}", ended.log);
    assert!(!ended.log.is_empty(), "a log at its most talkative");

    let mut kept_in_the_open = false;
    let mut found = found_in(ended.log.as_bytes(), &SECRETS);
    for (path, bytes) in files(&data) {
        if path.starts_with(data.join("tables")) {
            continue; // exchange rates: public, and full of digits
        }
        kept_in_the_open |= !found_in(&bytes, &[CONTROL]).is_empty();
        let name = path.strip_prefix(&data).unwrap_or(Path::new("?")).display().to_string();
        found.extend(found_in(&bytes, &SECRETS).into_iter().map(|what| format!("{name}: {what}")));
    }
    assert!(kept_in_the_open, "the search finds what is there");
    assert!(found.is_empty(), "{} places: {found:#?}", found.len());
}
