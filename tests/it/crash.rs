//! Nothing acknowledged is lost: `kill -9` at random moments under load, and everything is looked for again.
//!
//! `FLORIN_CRASHES=200 cargo test --release --test it crash:: -- --nocapture` for a night; `FLORIN_SEED` repeats a run's draws.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::daemon::{Daemon, florin};
use crate::market::{Ledger, Market, Seen, expect_lists, expect_sound_journal};

const CONNECTIONS: u64 = 64;
/// Crashes of a normal run.
const CRASHES: u64 = 10;
/// Whole lists, from the newest object to the oldest, are read so often in a run: they grow with every crash.
const LISTS_READ: u64 = 2;
/// A daemon is killed this long after its load began, at most.
const LOAD_MS: u64 = 400;
/// … and one that is just starting, this long after its process began.
const START_MS: u64 = 150;

pub fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn a_daemon_that_is_killed_under_load_loses_nothing_that_it_acknowledged() {
    let began = Instant::now();
    let crashes = number("FLORIN_CRASHES", CRASHES);
    let seed = number("FLORIN_SEED", u64::from(std::process::id()));
    println!("{crashes} crashes, FLORIN_SEED={seed}");
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut ledger = Ledger::default();
    let mut snapshots_loaded = 0;
    // Snapshots so often that the starts use them, and that they are killed while they are written.
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "snapshot_seconds = 1\n").expect("a configuration");
    let start = || {
        let daemon = Daemon::try_start(&data, |command| {
            command.arg("--config").arg(&config);
        });
        daemon.unwrap_or_else(|ended| panic!("the daemon did not start, {}:\n{}", ended.status, ended.log))
    };
    let mut daemon = start();
    let market = Arc::new(Market::open(&mut daemon.client()));
    for round in 1..=crashes {
        let connections = market.trade_all(daemon.address, round, CONNECTIONS, &mut rng);
        std::thread::sleep(Duration::from_millis(rng.random_range(5..LOAD_MS)));
        snapshots_loaded += u32::from(daemon.kill().log.contains("snapshot loaded"));
        let seen: Vec<Seen> = connections.into_iter().map(|trade| trade.join().expect("no surprise")).collect();
        // The journal as the crash left it.
        expect_sound_journal(&data);

        // A second crash in the middle of the recovery from the first.
        if rng.random() {
            let mut starting = florin();
            starting.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data).arg("--config").arg(&config);
            let mut starting = starting.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
            std::thread::sleep(Duration::from_millis(rng.random_range(1..START_MS)));
            starting.kill().expect("it is running");
            starting.wait().expect("it ended");
        }
        let started = Instant::now();
        daemon = start();
        let started = started.elapsed();
        let client = &mut daemon.client();
        let (acknowledged, unanswered) = ledger.expect_nothing_lost(client, seen);
        if round % crashes.div_ceil(LISTS_READ) == 0 || round == crashes {
            expect_lists(client, &market, &ledger);
        }
        println!(
            "crash {round}: {acknowledged} acknowledged and found, {unanswered} unanswered; started again in {} ms, \
             checked after {:.1} s",
            started.as_millis(),
            began.elapsed().as_secs_f64()
        );
    }
    let ended = daemon.stop();
    assert!(ended.status.success(), "{}: {}", ended.status, ended.log);
    expect_sound_journal(&data);
    println!(
        "{} orders; {snapshots_loaded} starts from a snapshot; of the unanswered requests, {} had happened before the \
         crash and {} happened at the retry",
        ledger.acknowledged.len(),
        ledger.effects_before_the_crash,
        ledger.effects_after_it
    );
    assert!(ledger.effects_before_the_crash + ledger.effects_after_it > 0, "no request was under way at any crash");
}
