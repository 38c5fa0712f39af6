//! Journals of every format that was ever released replay for ever.
//!
//! `FLORIN_BLESS=1 cargo test --test it golden::` writes `fixtures/journals/v1` anew: only while v1 is not released.

use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use florin::engine::entry::{DECISION_VERSION, JournalEntry};
use florin::engine::journal::{Append, Check, FileStorage, Frame, Journal, Options, ReadFrom, Reader, ScanFrom, start};
use florin::engine::recovery::Replayed;
use serde_json::{Value, json};

use crate::daemon::{Daemon, files, run, text};
use crate::story::{DUE_KINDS, KINDS, Story, decide_again, fresh, kinds};

/// The first format's journal; written anew where that is asked for.
static V1: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/journals/v1");
    if std::env::var_os("FLORIN_BLESS").is_some() {
        bless(&folder);
    }
    folder
});

/// Entries per group, in turn: a journal in which every group is alone would show less.
const GROUPS: [usize; 4] = [1, 5, 2, 8];

/// Writes the story as a journal of small segments, with the seed of its keys and what must come out.
fn bless(folder: &Path) {
    let story = Story::told(1);
    let _ = std::fs::remove_dir_all(folder);
    let journal = folder.join("journal");
    let storage = Arc::new(FileStorage::create(&journal).expect("a folder"));
    let options =
        Options { segment_bytes: 16 << 10, max_entry_bytes: 8 << 10, realtime: false, identity: Some(0x601d_e201) };
    let opened = Journal::open(storage, options, ScanFrom::Beginning).expect("a new journal");
    let (told, durable) = channel();
    let on_durable = Box::new(move |group: Vec<_>| told.send(group.len()).expect("somebody waits"));
    let writer = start(opened, on_durable, Box::new(|error| panic!("{error}"))).expect("it starts");
    let entries = &story.town.plain.entries;
    let (mut seq, mut sizes) = (0, GROUPS.iter().cycle());
    let mut rest = entries.as_slice();
    while !rest.is_empty() {
        let (group, later) = rest.split_at((*sizes.next().expect("a cycle")).min(rest.len()));
        rest = later;
        let append = |payload: &bytes::Bytes| {
            seq += 1;
            Append { platform: 1, seq, payload: payload.clone() }
        };
        let mut group: Vec<Append> = group.iter().map(append).collect();
        // Together, and only then the next ones: the files are the same whenever they are made.
        let mut waits = group.len();
        writer.append(std::mem::take(&mut group)).expect("it takes them");
        while waits > 0 {
            waits -= durable.recv_timeout(Duration::from_secs(20)).expect("they become durable");
        }
    }
    writer.stop().expect("a clean end");
    for file in std::fs::read_dir(&journal).expect("the folder").flatten() {
        if file.path().extension().is_none_or(|extension| extension != "seg") {
            std::fs::remove_file(file.path()).expect("a file of no use");
        }
    }
    std::fs::create_dir_all(folder.join("keys")).expect("a folder");
    std::fs::write(folder.join("keys/seed"), "7").expect("the seed");
    let expected = json!({
        "decision_version": DECISION_VERSION,
        "entries": seq,
        "digest": story.town.plain.digest().to_string(),
    });
    let text = serde_json::to_string_pretty(&expected).expect("JSON");
    std::fs::write(folder.join("expected.json"), text + "\n").expect("what must come out");
}

fn frames(folder: &Path) -> Vec<Frame> {
    let reader = Reader::offline(Arc::new(FileStorage::at(folder.join("journal"))));
    let frames = reader.frames_from(ReadFrom::Beginning, Check::Chain).expect("a journal");
    frames.map(|frame| frame.expect("a whole journal")).collect()
}

fn expected(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("expected.json")).expect("expected.json");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn the_journal_of_format_1_replays_to_its_digest_and_is_decided_again_equally() {
    let expected = expected(&V1);
    let frames = frames(&V1);
    assert_eq!(expected["entries"], frames.len());
    let (commands, due) = kinds(frames.iter().map(|frame| &frame.payload[..]));
    assert_eq!((commands.len(), due.len()), (KINDS, DUE_KINDS), "it has every kind of command: {commands:?}, {due:?}");

    let mut replayed = Replayed::new(true);
    for frame in &frames {
        replayed.read(&frame.payload).expect("an entry");
        let entry = JournalEntry::from_bytes(&frame.payload).expect("an entry");
        assert_eq!(entry.to_bytes(), frame.payload, "entry {} is written as it was", frame.seq);
    }
    assert!(replayed.trial_balance().is_zero());
    assert_eq!(replayed.digest().to_string(), expected["digest"]);

    if expected["decision_version"] == DECISION_VERSION {
        let (mut plain, vault) = fresh();
        for frame in &frames {
            decide_again(&mut plain, &vault, &frame.payload);
        }
        assert_eq!(plain.digest(), replayed.digest());
    }
}

/// An old journal is an old data folder: it is served, its texts open, and it goes on by today's rules.
#[test]
fn the_journal_of_format_1_is_served_and_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    for (path, bytes) in files(&V1) {
        let to = data.join(path.strip_prefix(&*V1).expect("inside"));
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        std::fs::write(to, bytes).expect("a copy");
    }
    let daemon = Daemon::start(&data);
    let client = &mut daemon.client();
    let customer = client.list(None, "/v1/customers").last().cloned().expect("a customer");
    assert_eq!(customer["name"], "Grace");
    let path = format!("/v1/payment_intents?customer={}", text(&customer["id"]));
    let paid = client.list(None, &path).last().cloned().expect("a payment");
    assert_eq!((&paid["description"], &paid["metadata"]["order"]), (&json!("Two chairs"), &json!("o-1")));
    let charge = format!("/v1/charges/{}", text(&paid["latest_charge"]));
    assert_eq!(client.get(&charge).ok()["description"], "Two red chairs");
    client.post(&charge, &[("metadata[order]", "o-2")]).ok();
    let charge = client.get(&charge).ok();
    assert_eq!((&charge["description"], &charge["metadata"]["order"]), (&json!("Two red chairs"), &json!("o-2")));
    client.post("/v1/refunds", &[("charge", text(&charge["id"])), ("amount", "1")]).ok();
    daemon.stop();

    let done = run(&["verify", data.to_str().expect("a path"), "--json"]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let report: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let (old, all) = (expected(&V1)["entries"].as_u64().expect("a count"), report["entries"].as_u64());
    assert_eq!(all.map(|all| all > old), Some(true), "{report}");
    let by_law = report["platforms"][0]["checked_by_law"].as_u64();
    let is_old = expected(&V1)["decision_version"] != DECISION_VERSION;
    assert_eq!(by_law, Some(if is_old { old } else { 0 }), "{report}");
}

#[test]
fn the_commands_for_journals_read_the_journal_of_format_1() {
    let expected = expected(&V1);
    let path = V1.to_str().expect("a path");
    for command in ["replay", "verify"] {
        let done = run(&[command, path, "--json"]);
        assert_eq!(done.status.code(), Some(0), "florin {command}: {}", String::from_utf8_lossy(&done.stderr));
        let report: Value = serde_json::from_slice(&done.stdout).expect("JSON");
        assert_eq!(report["platforms"][0]["digest"], expected["digest"], "florin {command}");
        assert_eq!(report["entries"], expected["entries"], "florin {command}");
    }
    let done = run(&["journal", "cat", path]);
    let lines = String::from_utf8(done.stdout).expect("text");
    assert_eq!(expected["entries"], lines.lines().count());
}
