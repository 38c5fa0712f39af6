//! One idempotency key, one effect: 200 connections send the same request at the same moment, and whoever is not first
//! waits and gets the same answer. Also where the daemon is killed between the effect and the answers.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::daemon::{Client, Daemon, Reply, form, seller, text};

const CONNECTIONS: usize = 200;
/// Kills at most, until one hit the moment that is looked for.
const KILLS: u32 = 40;
/// … and at least.
const KILLS_MIN: u32 = 5;

/// A request under a key.
#[derive(Clone)]
struct Order {
    path: &'static str,
    form: String,
    key: String,
}

impl Order {
    fn send(&self, client: &mut Client) -> std::io::Result<Reply> {
        client.send("POST", self.path, &[("Idempotency-Key", &self.key)], &self.form)
    }
}

fn charge(key: &str) -> Order {
    let parameters = [
        ("amount", "1000"),
        ("currency", "usd"),
        ("confirm", "true"),
        ("payment_method", "pm_card_bypassPending"),
        ("payment_method_types[]", "card"),
        ("metadata[key]", key),
    ];
    Order { path: "/v1/payment_intents", form: form(&parameters), key: key.to_owned() }
}

/// Sends an order over 200 connections at the same moment.
fn rush(daemon: &Daemon, order: &Order) -> Vec<std::io::Result<Reply>> {
    let gate = Arc::new(Barrier::new(CONNECTIONS));
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (gate, order, mut client) = (Arc::clone(&gate), order.clone(), daemon.client());
            std::thread::spawn(move || {
                // The connection is there before the race begins.
                client.get("/florin/health");
                gate.wait();
                order.send(&mut client)
            })
        })
        .collect();
    senders.into_iter().map(|sender| sender.join().expect("no surprise")).collect()
}

/// The objects of a list that carry the key.
fn made_under(client: &mut Client, order: &Order) -> usize {
    let list = client.list(None, order.path);
    list.iter().filter(|object| object["metadata"]["key"] == *order.key).count()
}

#[test]
fn two_hundred_requests_at_once_under_one_key_make_one_effect() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(&folder.path().join("data"));
    let client = &mut daemon.client();
    let destination = seller(client, "US", "Seller");
    client.post(
        "/v1/payment_intents",
        &[
            ("amount", "90000000"),
            ("currency", "usd"),
            ("confirm", "true"),
            ("payment_method", "pm_card_bypassPending"),
            ("payment_method_types[]", "card"),
        ],
    );
    let paid = text(&charge("paid").send(client).expect("an answer").ok()["id"]).to_owned();
    let order = |path, key: &str, parameters: &[(&str, &str)]| Order {
        path,
        form: form(&[parameters, &[("metadata[key]", key)]].concat()),
        key: key.to_owned(),
    };
    let orders = [
        charge("charge"),
        order("/v1/refunds", "refund", &[("payment_intent", &paid), ("amount", "10")]),
        order("/v1/transfers", "transfer", &[("amount", "7"), ("currency", "usd"), ("destination", &destination)]),
        order("/v1/customers", "customer", &[("name", "Jenny")]),
    ];
    for order in &orders {
        let began = Instant::now();
        let replies: Vec<Reply> =
            rush(&daemon, order).into_iter().map(|reply| reply.expect("everybody is answered")).collect();
        let took = began.elapsed();
        let first = replies.iter().filter(|reply| !reply.is_replay()).count();
        assert_eq!(first, 1, "of {}", order.key);
        for reply in &replies {
            assert_eq!((reply.status, &reply.body), (200, &replies[0].body), "of {}", order.key);
            assert_eq!(reply.header("idempotency-key"), Some(&*order.key));
            assert_eq!(reply.header("original-request"), replies[0].header("original-request"));
        }
        assert_eq!(made_under(client, order), 1, "of {}", order.key);
        println!("{}: {CONNECTIONS} answers in {took:?}", order.key);
    }
    // What was decided on state is one answer for all as well, and what was refused before that leaves no trace.
    let declined =
        Order { form: charge("declined").form.replace("bypassPending", "visa_chargeDeclined"), ..charge("declined") };
    let replies = rush(&daemon, &declined);
    let replies: Vec<Reply> = replies.into_iter().map(|reply| reply.expect("everybody is answered")).collect();
    assert_eq!(replies.iter().filter(|reply| reply.status == 402 && reply.is_replay()).count(), CONNECTIONS - 1);
    assert_eq!(made_under(client, &declined), 1);
    let wrong = Order { form: charge("wrong").form.replace("amount=1000", "amount=1"), ..charge("wrong") };
    for reply in rush(&daemon, &wrong) {
        let reply = reply.expect("everybody is answered");
        assert_eq!((reply.status, reply.is_replay()), (400, false));
    }
    assert_eq!(made_under(client, &wrong), 0);
    assert!(!charge("wrong").send(client).expect("an answer").is_replay(), "the key is free for the corrected request");
    assert!(daemon.stop().status.success());
}

#[test]
fn other_parameters_in_the_same_moment_are_refused_and_one_of_the_two_is_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(&folder.path().join("data"));
    let gate = Arc::new(Barrier::new(CONNECTIONS));
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|n| {
            let (gate, mut client) = (Arc::clone(&gate), daemon.client());
            let mut order = charge("mixed");
            if n % 2 == 1 {
                order.form = order.form.replace("amount=1000", "amount=2000");
            }
            std::thread::spawn(move || {
                gate.wait();
                let reply = order.send(&mut client).expect("everybody is answered");
                (reply.status, reply.json())
            })
        })
        .collect();
    let replies: Vec<(u16, Value)> = senders.into_iter().map(|sender| sender.join().expect("no surprise")).collect();
    let refused =
        replies.iter().filter(|(status, body)| *status == 400 && body["error"]["type"] == "idempotency_error");
    assert_eq!(refused.count(), CONNECTIONS / 2);
    assert_eq!(made_under(&mut daemon.client(), &charge("mixed")), 1);
}

#[test]
fn a_daemon_killed_between_effect_and_answer_still_makes_one_effect() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mut daemon = Daemon::start(&data);
    let (mut shortest, mut longest) = (Duration::ZERO, Duration::from_millis(400));
    let (mut unanswered, mut answered, mut hits) = (0, 0, 0);
    for kill in 1..=KILLS {
        let order = charge(&format!("kill {kill}"));
        let delay = (shortest + longest) / 2;
        let sent = rush_until_killed(&daemon, &order, delay);
        daemon.kill();
        daemon = Daemon::start(&data);
        let before: Vec<Reply> = sent.into_iter().flatten().collect();
        assert!(before.iter().filter(|reply| !reply.is_replay()).count() <= 1);
        let again: Vec<Reply> =
            rush(&daemon, &order).into_iter().map(|reply| reply.expect("everybody is answered")).collect();
        let first_now = again.iter().filter(|reply| !reply.is_replay()).count();
        let ids: std::collections::BTreeSet<String> =
            before.iter().chain(&again).map(|reply| text(&reply.ok()["id"]).to_owned()).collect();
        assert_eq!(ids.len(), 1, "one effect under {}", order.key);
        assert_eq!(made_under(&mut daemon.client(), &order), 1, "one effect under {}", order.key);
        assert!(first_now == 0 || before.is_empty(), "what was acknowledged is not done again");
        unanswered += CONNECTIONS - before.len();
        answered += before.len();
        // Aim: late enough for the effect, too early for the answers.
        match (before.is_empty(), first_now) {
            (true, 0) => hits += 1,
            (true, _) => shortest = delay.min(longest / 2),
            (false, _) => longest = delay.max(Duration::from_micros(200)),
        }
        if hits > 0 && kill >= KILLS_MIN {
            break;
        }
        if longest - shortest < Duration::from_micros(200) {
            (shortest, longest) = (shortest / 2, longest * 2);
        }
    }
    println!(
        "{answered} answers before a kill, {unanswered} requests without one; {hits} kills between effect and answers"
    );
    assert!(unanswered > 0 && answered + hits > 0, "no kill came while requests were under way");
}

/// Sends an order over many connections, and kills the daemon `delay` after the start.
fn rush_until_killed(daemon: &Daemon, order: &Order, delay: Duration) -> Vec<Option<Reply>> {
    let gate = Arc::new(Barrier::new(CONNECTIONS + 1));
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (gate, order, mut client) = (Arc::clone(&gate), order.clone(), daemon.client());
            std::thread::spawn(move || {
                client.get("/florin/health");
                gate.wait();
                order.send(&mut client).ok()
            })
        })
        .collect();
    gate.wait();
    std::thread::sleep(delay);
    daemon.kill_now();
    senders.into_iter().map(|sender| sender.join().expect("no surprise")).collect()
}
