//! Damaged data folders: the journal and the keys are the truth, and a damaged truth is refused; everything else is a
//! cache, and is built again, the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use florin::engine::boot::{Engine, EngineOptions, Founding, Snapshots};
use florin::engine::journal::{Check, FileStorage, ReadFrom, Reader};
use florin::engine::platform::SubmitError;
use florin::engine::router::Settled;
use florin::engine::snapshot::Guard;
use florin::primitives::{Country, Currency};
use serde_json::Value;
use tempfile::TempDir;

use crate::daemon::{Daemon, Ended, files, run, seller, text};
use crate::story::Story;
use crate::town::NOON;

/// How a damaged journal, damaged keys, or a folder in use end a start.
const REFUSED: Option<i32> = Some(3);

const CHARGES: usize = 64;

/// A data folder that a daemon made: an account and charges, two from each of many connections at once, so that the
/// last groups of the journal hold several entries each. Stopped by Ctrl-C.
static MADE: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(folder.path());
    let seller = seller(&mut daemon.client(), "US", "Ada");
    std::thread::scope(|threads| {
        for _ in 0..CHARGES / 2 {
            threads.spawn(|| {
                let client = &mut daemon.client();
                for _ in 0..2 {
                    let charge = [
                        ("amount", "1000"),
                        ("currency", "usd"),
                        ("confirm", "true"),
                        ("payment_method", "pm_card_visa"),
                        ("payment_method_types[]", "card"),
                        ("transfer_data[destination]", &seller),
                    ];
                    client.post("/v1/payment_intents", &charge).ok();
                }
            });
        }
    });
    let ended = daemon.stop();
    assert!(ended.status.success(), "{}", ended.log);
    folder
});

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let at = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &at);
        } else {
            fs::copy(entry.path(), at).expect("a copy");
        }
    }
}

fn copy_of(folder: &Path) -> TempDir {
    let own = tempfile::tempdir().expect("a folder");
    copy(folder, own.path());
    own
}

fn segment(data: &Path) -> PathBuf {
    data.join("journal/00000001.seg")
}

/// Where the last group of a segment ends: behind it are zeros.
fn end_of(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).expect("a journal that is not empty") + 1
}

/// Where the next group goes: an entry may end in zeros.
fn end_of_groups(data: &Path) -> usize {
    let reader = Reader::offline(Arc::new(FileStorage::at(data.join("journal"))));
    let frames = reader.frames_from(ReadFrom::Beginning, Check::Chain).expect("a journal");
    let last = frames.last().expect("it has entries").expect("a whole journal");
    const FRAME_HEADER: usize = 56;
    (last.position.offset as usize + FRAME_HEADER + last.payload.len()).next_multiple_of(8)
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("a file");
    change(&mut bytes);
    fs::write(path, bytes).expect("it is written");
}

fn flip(bytes: &mut [u8], at: usize) {
    let end = (at + 16).min(bytes.len());
    bytes[at..end].iter_mut().for_each(|byte| *byte ^= 0xff);
}

/// The truth: what no refused start may touch.
fn truth(data: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let kept = |(path, _): &(PathBuf, Vec<u8>)| !path.ends_with("journal.lock");
    ["journal", "keys"]
        .iter()
        .filter(|name| data.join(name).exists())
        .flat_map(|name| files(&data.join(name)).into_iter().filter(kept))
        .collect()
}

fn expect_refusal(data: &Path, words: &[&str]) -> Ended {
    let before = truth(data);
    let Err(ended) = Daemon::try_start(data, |_| {}) else { panic!("it started; expected {words:?}") };
    assert_eq!(ended.status.code(), REFUSED, "{}", ended.log);
    for word in words {
        assert!(ended.log.contains(word), "{word:?} is not in: {}", ended.log);
    }
    assert!(before == truth(data), "a refused start changed the journal or the keys");
    ended
}

/// How many payments a start finds.
fn payments(data: &Path) -> usize {
    let daemon = Daemon::start(data);
    let client = &mut daemon.client();
    assert_eq!(client.get("/florin/trial_balance").ok()["balanced"], Value::Bool(true));
    let found = client.list(None, "/v1/payment_intents").len();
    let ended = daemon.stop();
    assert!(ended.status.success(), "{}", ended.log);
    found
}

#[test]
fn a_journal_that_is_damaged_in_the_middle_is_refused_with_its_place() {
    type Damage = Box<dyn Fn(&mut Vec<u8>)>;
    let damages: [(&str, Damage); 4] = [
        (
            "sixteen bytes flipped",
            Box::new(|bytes| {
                let middle = end_of(bytes) / 2;
                flip(bytes, middle);
            }),
        ),
        (
            "a page zeroed",
            Box::new(|bytes| {
                let page = end_of(bytes) / 2 / 4_096 * 4_096;
                bytes[page..page + 4_096].fill(0);
            }),
        ),
        ("the segment's header flipped", Box::new(|bytes| flip(bytes, 4))),
        ("the first group flipped", Box::new(|bytes| flip(bytes, 4_096 + 100))),
    ];
    for (what, damage) in damages {
        // With the caches and without them: they do not help to miss it.
        for caches in [true, false] {
            let own = copy_of(MADE.path());
            change(&segment(own.path()), &damage);
            if !caches {
                fs::remove_dir_all(own.path().join("objects")).expect("it was there");
            }
            println!("{what}, caches {caches}");
            let ended = expect_refusal(own.path(), &["00000001.seg", "is damaged at byte", "Restore this file"]);
            println!("  {}", ended.log.lines().last().unwrap_or_default());
            for command in ["verify", "replay"] {
                let done = run(&[command, own.path().to_str().expect("a path")]);
                assert_eq!(done.status.code(), REFUSED, "florin {command} of {what}");
            }
        }
    }
}

#[test]
fn a_journal_that_lost_its_acknowledged_end_is_refused_as_long_as_a_cache_remembers_it() {
    type Damage = Box<dyn Fn(&mut Vec<u8>)>;
    let damages: [(&str, Damage); 3] = [
        (
            "its last group flipped",
            Box::new(|bytes| {
                let late = end_of(bytes) - 200;
                flip(bytes, late);
            }),
        ),
        ("truncated in the middle", Box::new(|bytes| bytes.truncate(end_of(bytes) / 2))),
        (
            "its second half zeroed",
            Box::new(|bytes| {
                let middle = end_of(bytes) / 2;
                bytes[middle..].fill(0);
            }),
        ),
    ];
    for (what, damage) in damages {
        let own = copy_of(MADE.path());
        change(&segment(own.path()), &damage);
        println!("{what}");
        let ended = expect_refusal(own.path(), &["lost acknowledged entries"]);
        println!("  {}", ended.log.lines().last().unwrap_or_default());
        // Without any memory of it, it is a torn tail.
        fs::remove_dir_all(own.path().join("objects")).expect("it was there");
        let _ = fs::remove_dir_all(own.path().join("snapshots"));
        let found = payments(own.path());
        assert!(found < CHARGES, "{found} payments");
        assert_eq!(run(&["verify", own.path().to_str().expect("a path")]).status.code(), Some(0));
    }
}

#[test]
fn no_byte_of_an_acknowledged_entry_is_lost_unseen() {
    let bytes = fs::read(segment(MADE.path())).expect("a segment");
    let end = end_of(&bytes);
    let mut accepted = Vec::new();
    for at in (end.saturating_sub(12_000)..end - 16).step_by(397).chain([end - 16]) {
        let own = copy_of(MADE.path());
        change(&segment(own.path()), |bytes| flip(bytes, at));
        let before = truth(own.path());
        match Daemon::try_start(own.path(), |_| {}) {
            Ok(daemon) => {
                let found = daemon.client().list(None, "/v1/payment_intents").len();
                accepted.push(format!("sixteen bytes flipped at {at} of {end}: started with {found} of {CHARGES}"));
            }
            Err(ended) => {
                assert_eq!(ended.status.code(), REFUSED, "{}", ended.log);
                assert!(
                    before == truth(own.path()),
                    "flipped at {at}: a refused start changed something: {}",
                    ended.log
                );
            }
        }
    }
    assert!(accepted.is_empty(), "{accepted:#?}");
}

#[test]
fn a_journal_that_is_gone_is_missed_by_the_caches() {
    for gone in ["journal", "journal and objects"] {
        let (sound, _) = &*CACHED;
        let own = copy_of(sound.path());
        for name in gone.split(" and ") {
            fs::remove_dir_all(own.path().join(name)).expect("it was there");
        }
        let Err(ended) = Daemon::try_start(own.path(), |_| {}) else { panic!("it started without its {gone}") };
        assert_eq!(ended.status.code(), REFUSED, "{}", ended.log);
        assert!(ended.log.contains("lost acknowledged entries"), "{}", ended.log);
    }
}

#[test]
fn a_torn_tail_is_cut_and_nothing_acknowledged_is_missing() {
    let bytes = fs::read(segment(MADE.path())).expect("a segment");
    let end = end_of(&bytes);
    let at = end_of_groups(MADE.path());
    let tails: [(&str, Vec<u8>); 3] = [
        ("noise", (0..3_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 | 1).collect()),
        ("what looks like a group of this journal", bytes[end - 900..end].to_vec()),
        ("one byte", vec![0x46]),
    ];
    for (what, tail) in tails {
        let own = copy_of(MADE.path());
        change(&segment(own.path()), |bytes| bytes[at..at + tail.len()].copy_from_slice(&tail));
        println!("{what}");
        assert_eq!(payments(own.path()), CHARGES, "{what}");
        assert_eq!(run(&["verify", own.path().to_str().expect("a path")]).status.code(), Some(0), "{what}");
    }
}

#[test]
fn missing_or_damaged_keys_are_refused_and_the_journal_is_left_alone() {
    let own = copy_of(MADE.path());
    fs::remove_dir_all(own.path().join("keys")).expect("it was there");
    let journal = files(&own.path().join("journal"));
    expect_refusal_of_keys(own.path(), "is missing");
    assert!(journal == files(&own.path().join("journal")), "the journal is as it was");

    for (file, _) in files(&MADE.path().join("keys")) {
        let name = file.strip_prefix(MADE.path()).expect("below it");
        let own = copy_of(MADE.path());
        fs::remove_file(own.path().join(name)).expect("it was there");
        expect_refusal_of_keys(own.path(), "is missing");
        let own = copy_of(MADE.path());
        change(&own.path().join(name), |bytes| {
            // A file of many keys has its header twice.
            flip(bytes, 12);
            if bytes.len() > 8_192 {
                flip(bytes, 4_096 + 12);
            }
        });
        expect_refusal_of_keys(own.path(), "is damaged");
    }
}

fn expect_refusal_of_keys(data: &Path, words: &str) {
    let Err(ended) = Daemon::try_start(data, |_| {}) else { panic!("it started; expected {words}") };
    assert_eq!(ended.status.code(), REFUSED, "{}", ended.log);
    assert!(ended.log.contains("keys: ") && ended.log.contains(words), "{}", ended.log);
    assert!(ended.log.to_lowercase().contains("restore"), "it says what to do: {}", ended.log);
}

#[test]
fn a_second_daemon_on_the_same_folder_is_refused_and_the_first_goes_on() {
    let own = copy_of(MADE.path());
    let first = Daemon::start(own.path());
    for _ in 0..2 {
        let Err(second) = Daemon::try_start(own.path(), |_| {}) else { panic!("both run") };
        assert_eq!(second.status.code(), REFUSED, "{}", second.log);
        assert!(second.log.contains("in use by another process"), "{}", second.log);
    }
    let client = &mut first.client();
    let customer = client.post("/v1/customers", &[("name", "Grace")]).ok();
    client.get(&format!("/v1/customers/{}", text(&customer["id"]))).ok();
    assert_eq!(client.list(None, "/v1/payment_intents").len(), CHARGES);
    let ended = first.stop();
    assert!(ended.status.success(), "{}", ended.log);
    assert_eq!(payments(own.path()), CHARGES);
}

// ---------------------------------------------------------------------------------------------------------------
// Caches

/// What an engine in a process of its own finds: it may be stopped by what it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    digest: String,
    seq: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Caches {
    Snapshots,
    /// Snapshots whose keeper never answers.
    Hanging,
}

fn child(data: &Path, caches: Caches, story: bool) -> Result<Found, String> {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--exact", "damage::an_engine_as_a_child", "--ignored", "--nocapture"]);
    command.env("FLORIN_CHILD_DATA", data).env("FLORIN_CHILD_STORY", if story { "1" } else { "0" });
    let caches = match caches {
        Caches::Snapshots => "snapshots",
        Caches::Hanging => "hanging",
    };
    command.env("FLORIN_CHILD_CACHES", caches).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().expect("it runs");
    let until = Instant::now() + Duration::from_secs(60);
    while running.try_wait().expect("it can be asked").is_none() {
        if Instant::now() > until {
            running.kill().expect("it is running");
            let done = running.wait_with_output().expect("it ended");
            return Err(format!("it hangs\n{}", String::from_utf8_lossy(&done.stderr)));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let done = running.wait_with_output().expect("it ended");
    let output = String::from_utf8_lossy(&done.stdout).into_owned();
    let found = output.lines().find_map(|line| {
        let mut words = line.split("found ").nth(1)?.split_whitespace();
        Some(Found { digest: words.next()?.to_owned(), seq: words.next()?.parse().ok()? })
    });
    match found {
        Some(found) if done.status.success() => Ok(found),
        _ => Err(format!("{}\n{output}\n{}", done.status, String::from_utf8_lossy(&done.stderr))),
    }
}

#[test]
#[ignore = "a child of the tests here"]
fn an_engine_as_a_child() {
    let Some(data) = std::env::var_os("FLORIN_CHILD_DATA").map(PathBuf::from) else { return };
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|text| text == value);
    let guard = if is("FLORIN_CHILD_CACHES", "hanging") {
        Guard::new(Duration::from_secs(1), |_, _, _| {
            let mut command = Command::new("sleep");
            command.arg("600");
            command
        })
    } else {
        Guard::new(Duration::from_secs(60), |task, half, limit| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_florin"));
            command.arg(task.name()).arg(half).arg(limit.as_millis().to_string());
            command
        })
    };
    let story = is("FLORIN_CHILD_STORY", "1");
    let made = Story::told(3);
    let options = EngineOptions {
        platforms: vec![Founding { country: Country::US, currency: Currency::USD, clock: Some(NOON) }],
        tables: made.town.plain.world.state.tables.clone(),
        seed: Some(7),
        snapshots: Some(Snapshots { every: Duration::from_millis(50), guard }),
        ..EngineOptions::new(&data)
    };
    florin::cli::serve::log_to_stderr();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    actix::System::with_tokio_rt(runtime).block_on(async {
        let engine = Engine::start(options, &|_| {}).await.expect("it starts");
        let platform = &engine.platforms()[0];
        if story {
            let (early, late) = made.requests.split_at(made.requests.len() / 2);
            for (part, half) in [(early, "a"), (late, "b")] {
                for (request, at) in part {
                    match platform.enqueue(request.clone(), Some(*at)).await.expect("an answer") {
                        Ok(Settled::Answer(_)) | Err(SubmitError::Refused(_)) => {}
                        other => panic!("{other:?}"),
                    }
                }
                // Both halves of the snapshots get something.
                let until = Instant::now() + Duration::from_secs(30);
                let manifest = data.join("snapshots").join(half).join("manifest");
                while !manifest.exists() {
                    assert!(Instant::now() < until, "no snapshot comes");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        let (digest, seq) = platform.digest().await.expect("nothing is under way");
        println!("found {digest} {seq}");
        engine.stop().await;
    });
}

/// A data folder with both caches, and what is in it.
static CACHED: LazyLock<(TempDir, Found)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let found = child(folder.path(), Caches::Snapshots, true).expect("a sound folder");
    let expected = Story::told(3).town.plain.digest().to_string();
    assert_eq!(found.digest, expected, "actors and the reference agree");
    (folder, found)
});

/// What is done to a cache's folder, in words and in deed.
type Damage = (&'static str, Box<dyn Fn(&Path)>);

fn damages() -> Vec<Damage> {
    fn each(folder: &Path, damage: impl Fn(&mut Vec<u8>)) {
        for (path, _) in files(folder) {
            change(&path, &damage);
        }
    }
    fn last_of(bytes: &[u8]) -> usize {
        bytes.iter().rposition(|byte| *byte != 0).unwrap_or_default()
    }
    vec![
        ("deleted", Box::new(|folder| fs::remove_dir_all(folder).expect("it was there"))),
        (
            "empty",
            Box::new(|folder| {
                fs::remove_dir_all(folder).expect("it was there");
                fs::create_dir(folder).expect("an empty folder");
            }),
        ),
        (
            "a file in its place",
            Box::new(|folder| {
                fs::remove_dir_all(folder).expect("it was there");
                fs::write(folder, "no folder").expect("a file");
            }),
        ),
        (
            "flipped in the middle of every file",
            Box::new(|folder| {
                each(folder, |bytes| {
                    let at = last_of(bytes) / 2;
                    flip(bytes, at);
                })
            }),
        ),
        ("flipped at the start of every file", Box::new(|folder| each(folder, |bytes| flip(bytes, 0)))),
        ("every file cut to its half", Box::new(|folder| each(folder, |bytes| bytes.truncate(last_of(bytes) / 2)))),
        (
            "a page zeroed in every file",
            Box::new(|folder| {
                each(folder, |bytes| {
                    let at = last_of(bytes) / 2;
                    let end = (at + 4_096).min(bytes.len());
                    bytes[at..end].fill(0);
                })
            }),
        ),
        (
            "half-written: every second file is missing",
            Box::new(|folder| {
                for (path, _) in files(folder).into_iter().step_by(2) {
                    fs::remove_file(path).expect("it was there");
                }
            }),
        ),
        (
            "half-written: the other files are missing",
            Box::new(|folder| {
                for (path, _) in files(folder).into_iter().skip(1).step_by(2) {
                    fs::remove_file(path).expect("it was there");
                }
            }),
        ),
        ("every file empty", Box::new(|folder| each(folder, Vec::clear))),
    ]
}

fn expect_rebuilt(cache: &str) {
    let (sound, expected) = &*CACHED;
    for (what, damage) in damages() {
        let own = copy_of(sound.path());
        damage(&own.path().join(cache));
        let began = Instant::now();
        for life in ["first", "second"] {
            match child(own.path(), Caches::Snapshots, false) {
                Ok(found) => assert_eq!(&found, expected, "{cache} {what}, {life} start"),
                Err(output) => panic!("{cache} {what}, {life} start: {output}"),
            }
        }
        println!("{cache} {what}: the same digest, twice, after {} ms", began.elapsed().as_millis());
    }
}

#[test]
fn a_damaged_object_store_is_rebuilt_the_same() {
    expect_rebuilt("objects");
}

#[test]
fn damaged_snapshots_are_put_aside_and_the_state_is_the_same() {
    expect_rebuilt("snapshots");
}

#[test]
fn each_file_of_the_caches_alone_may_be_damaged() {
    let (sound, expected) = &*CACHED;
    let mut tried = 0;
    for cache in ["objects", "snapshots"] {
        for (path, bytes) in files(&sound.path().join(cache)) {
            let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else { continue };
            let own = copy_of(sound.path());
            let path = own.path().join(path.strip_prefix(sound.path()).expect("below it"));
            change(&path, |bytes| flip(bytes, last / 2));
            match child(own.path(), Caches::Snapshots, false) {
                Ok(found) => assert_eq!(&found, expected, "{}", path.display()),
                Err(output) => panic!("{}: {output}", path.display()),
            }
            tried += 1;
        }
    }
    println!("{tried} files");
}

#[test]
fn caches_of_another_journal_are_not_believed() {
    let (sound, expected) = &*CACHED;
    for (entries, cache) in [(20, "objects"), (20, "snapshots"), (400, "objects"), (400, "snapshots")] {
        let own = copy_of(sound.path());
        let other = tempfile::tempdir().expect("a folder");
        let often = other.path().join("config.toml");
        fs::write(&often, "snapshot_seconds = 1\n").expect("a configuration");
        let daemon = Daemon::try_start(&other.path().join("data"), |command| {
            command.arg("--config").arg(&often);
        });
        let Ok(daemon) = daemon else { panic!("it starts") };
        let client = &mut daemon.client();
        for n in 0..entries {
            client.post("/v1/customers", &[("name", &format!("Customer {n}"))]).ok();
        }
        let until = Instant::now() + Duration::from_secs(30);
        while !other.path().join("data/snapshots/a/manifest").exists() {
            assert!(Instant::now() < until, "no snapshot comes");
            std::thread::sleep(Duration::from_millis(20));
        }
        daemon.stop();
        fs::remove_dir_all(own.path().join(cache)).expect("it was there");
        copy(&other.path().join("data").join(cache), &own.path().join(cache));
        match child(own.path(), Caches::Snapshots, false) {
            Ok(found) => assert_eq!(&found, expected, "foreign {cache}"),
            // It has seen more entries than there are: that might as well be a journal without its end.
            Err(output) if entries > expected.seq => assert!(output.contains("EndLost"), "{output}"),
            Err(output) => panic!("foreign {cache}: {output}"),
        }
    }
}

#[test]
fn snapshots_that_hang_cost_their_time_limit_and_nothing_else() {
    let (sound, expected) = &*CACHED;
    let own = copy_of(sound.path());
    let began = Instant::now();
    let found = child(own.path(), Caches::Hanging, false).expect("it starts");
    assert_eq!(&found, expected);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}
