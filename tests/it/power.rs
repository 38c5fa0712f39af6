//! The power goes at every write of a short run, with every subset of what was not synced; then everything that was
//! acknowledged is there, the books close, every decision can be made again, and life goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use florin::engine::journal::sim::{CutPlan, Disk, PageId, SimStorage};
use florin::engine::journal::{
    Append, Check, Frame, Journal, JournalError, Options, ReadFrom, Reader, ScanFrom, Writer, start,
};
use florin::engine::plain::Plain;
use florin::engine::recovery::Replayed;
use florin::engine::vault::KeyVault;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::story::{Story, decide_again, fresh};

const WAIT: Duration = Duration::from_secs(20);
/// Up to so many unsynced pages every subset is tried; of more, a sample.
const ALL_SUBSETS_OF: usize = 8;
const SAMPLE: usize = 256;

/// Segments so small that the run goes through several.
fn options() -> Options {
    Options { segment_bytes: 48 << 10, max_entry_bytes: 16 << 10, realtime: false, identity: Some(0xf10) }
}

/// A journal under way on a disk, and what it has acknowledged by which of the disk's operations.
struct House {
    writer: Writer,
    durable: Receiver<usize>,
    failure: Receiver<JournalError>,
    acknowledged: Arc<Mutex<Vec<(usize, u32, u64)>>>,
}

impl House {
    fn open(disk: &SimStorage) -> House {
        let opened = Journal::open(Arc::new(disk.clone()), options(), ScanFrom::Beginning).expect("it opens");
        let (told, durable) = channel();
        let (failed, failure) = channel();
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let (log, watched) = (Arc::clone(&acknowledged), disk.clone());
        let writer = start(
            opened,
            Box::new(move |group| {
                let operations = watched.operation_count();
                let entries = group.iter().map(|entry| (operations, entry.platform, entry.seq));
                log.lock().expect("unpoisoned").extend(entries);
                let _ = told.send(group.len());
            }),
            Box::new(move |error| {
                let _ = failed.send(error);
            }),
        );
        House { writer: writer.expect("it starts"), durable, failure, acknowledged }
    }

    /// Appends entries together and waits for them. `false`: the journal failed.
    fn write(&self, entries: &[Append]) -> bool {
        if self.writer.append(entries.to_vec()).is_err() {
            return false;
        }
        let mut written = 0;
        while written < entries.len() {
            match self.durable.recv_timeout(WAIT) {
                Ok(count) => written += count,
                Err(_) => return false,
            }
        }
        true
    }

    fn acknowledged(&self) -> Vec<(usize, u32, u64)> {
        self.acknowledged.lock().expect("unpoisoned").clone()
    }
}

/// Two platforms' entries, interleaved, in groups of one to nine.
fn run() -> Vec<Vec<Append>> {
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    let stories = [Story::told(1), Story::told(1)];
    let mut queues: Vec<(u32, u64, std::vec::IntoIter<Bytes>)> = Vec::new();
    for (platform, story) in (1..).zip(stories) {
        let mut entries = story.town.plain.entries;
        // The platforms differ in how far they get.
        entries.truncate(if platform == 1 { 60 } else { 35 });
        queues.push((platform, 0, entries.into_iter()));
    }
    let mut groups = Vec::new();
    while !queues.is_empty() {
        let mut group = Vec::new();
        for _ in 0..rng.random_range(1..10) {
            if queues.is_empty() {
                break;
            }
            let at = rng.random_range(0..queues.len());
            let (platform, seq, entries) = &mut queues[at];
            match entries.next() {
                Some(payload) => {
                    *seq += 1;
                    group.push(Append { platform: *platform, seq: *seq, payload });
                }
                None => drop(queues.remove(at)),
            }
        }
        if !group.is_empty() {
            groups.push(group);
        }
    }
    groups
}

/// Every fate that a cut can bring, or a fair sample of them.
fn fates(disk: &Disk, rng: &mut ChaCha8Rng) -> Vec<CutPlan> {
    let pages = disk.unsynced_pages();
    let subset = |bits: u64| -> BTreeSet<PageId> {
        pages.iter().enumerate().filter(|(n, _)| bits >> (n % 64) & 1 == 1).map(|(_, page)| *page).collect()
    };
    let mut plans = Vec::new();
    for name_changes in 0..=disk.pending_name_changes() {
        let all = 1_u64 << pages.len().min(ALL_SUBSETS_OF);
        let drawn: Vec<u64> = if pages.len() <= ALL_SUBSETS_OF {
            (0..all).collect()
        } else {
            [0, u64::MAX].into_iter().chain((0..SAMPLE).map(|_| rng.random())).collect()
        };
        plans.extend(drawn.iter().map(|bits| CutPlan { landed: subset(*bits), torn: None, name_changes }));
        for torn in &pages {
            let torn = Some((*torn, rng.random_range(1..8)));
            plans.extend([0, u64::MAX, rng.random()].map(|bits| CutPlan { landed: subset(bits), torn, name_changes }));
        }
    }
    plans
}

fn read_all(disk: &SimStorage) -> Vec<Frame> {
    let reader = Reader::offline(Arc::new(disk.clone()));
    reader
        .frames_from(ReadFrom::Beginning, Check::Chain)
        .expect("a journal")
        .map(|frame| frame.expect("whole"))
        .collect()
}

/// The platforms as their entries make them again: replayed, and decided again.
fn platforms(frames: &[Frame]) -> BTreeMap<u32, (Replayed, Plain, KeyVault)> {
    let mut platforms: BTreeMap<u32, (Replayed, Plain, KeyVault)> = BTreeMap::new();
    for frame in frames {
        let (replayed, plain, vault) = platforms.entry(frame.platform).or_insert_with(|| {
            let (plain, vault) = fresh();
            (Replayed::new(true), plain, vault)
        });
        assert_eq!(frame.seq, replayed.state.seq + 1, "no entry is missing");
        replayed.read(&frame.payload).expect("an entry");
        decide_again(plain, vault, &frame.payload);
    }
    for (replayed, plain, _) in platforms.values() {
        assert!(replayed.trial_balance().is_zero(), "{:?}", replayed.trial_balance());
        assert_eq!(replayed.trial_balance(), replayed.state.trial_balance());
        assert_eq!(replayed.digest(), plain.digest());
    }
    platforms
}

#[test]
fn a_power_cut_at_every_write_leaves_what_was_acknowledged_and_books_that_close() {
    let groups = run();
    let disk = SimStorage::new();
    let house = House::open(&disk);
    for group in &groups {
        assert!(house.write(group));
    }
    let acknowledged = house.acknowledged();
    house.writer.stop().expect("a clean end");
    let written: Vec<(u32, u64, &Bytes)> =
        groups.iter().flatten().map(|entry| (entry.platform, entry.seq, &entry.payload)).collect();
    let history = disk.history();
    let mut rng = ChaCha8Rng::seed_from_u64(22);
    let (mut lives, mut torn) = (0_u32, 0_u32);
    let mut lengths: BTreeSet<usize> = BTreeSet::new();
    for moment in 0..=history.operations.len() {
        let promised = acknowledged.iter().filter(|(operations, ..)| *operations <= moment).count();
        let before = history.disk_after(moment);
        for plan in fates(&before, &mut rng) {
            let survivor = before.cut(&plan);
            let opened = Journal::open(Arc::new(survivor.clone()), options(), ScanFrom::Beginning)
                .unwrap_or_else(|error| panic!("moment {moment}, {plan:?}: {error}"));
            torn += u32::from(opened.truncated.is_some());
            drop(opened);
            let frames = read_all(&survivor);
            let found: Vec<(u32, u64, &Bytes)> =
                frames.iter().map(|frame| (frame.platform, frame.seq, &frame.payload)).collect();
            assert!(found.len() >= promised, "moment {moment}, {plan:?}: {} of {promised}", found.len());
            assert!(written.starts_with(&found), "moment {moment}, {plan:?}: not the beginning of what was written");
            // The same entries make the same platforms: once for each number of them.
            if lengths.insert(found.len()) {
                platforms(&frames);
            }
            lives += 1;
            if lives % 50 == 0 {
                life_goes_on(&survivor, &written[found.len()..]);
            }
        }
    }
    println!(
        "{lives} power cuts at {} operations, {torn} torn tails, {} different ends",
        history.operations.len(),
        lengths.len()
    );
    // How many depends on when the thread that makes segments ahead got its turns.
    assert!(lives > 1_000 && torn > 50 && lengths.len() > 10);
}

/// What was lost is asked for again, and what comes of it is the same.
fn life_goes_on(survivor: &SimStorage, lost: &[(u32, u64, &Bytes)]) {
    let before = read_all(survivor).len();
    let house = House::open(survivor);
    let again: Vec<Append> = lost
        .iter()
        .take(12)
        .map(|(platform, seq, payload)| Append { platform: *platform, seq: *seq, payload: (*payload).clone() })
        .collect();
    assert!(house.write(&again));
    house.writer.stop().expect("a clean end");
    let frames = read_all(&survivor.cut(&CutPlan::default()));
    assert_eq!(frames.len(), before + again.len());
    platforms(&frames);
}

#[test]
fn after_a_failed_sync_nothing_more_is_acknowledged_and_nothing_acknowledged_is_lost() {
    let groups = run();
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    let mut failed_runs = 0;
    // Some syncs are of segments made ahead: those fail without harm.
    for n in 1..groups.len() as u64 + 20 {
        let disk = SimStorage::new();
        let house = House::open(&disk);
        disk.fail_sync(n);
        let written = groups.iter().take_while(|group| house.write(group)).count();
        if written == groups.len() {
            continue;
        }
        failed_runs += 1;
        let error = house.failure.recv_timeout(WAIT).expect("the journal tells of its failure");
        assert!(error.to_string().contains("sync"), "{error}");
        let told = house.acknowledged();
        assert!(told.len() >= groups[..written].iter().map(Vec::len).sum());
        let refused = house.writer.append(vec![groups[written][0].clone()]).expect_err("it is over");
        assert!(matches!(refused, JournalError::Stopped { .. }), "{refused}");
        assert_eq!(house.acknowledged(), told, "not a word after the failure");
        assert!(house.writer.stop().is_err());
        let plans = fates(&disk.history().disk_after(disk.operation_count()), &mut rng);
        for plan in plans.iter().take(16) {
            let survivor = disk.cut(plan);
            drop(Journal::open(Arc::new(survivor.clone()), options(), ScanFrom::Beginning).expect("it opens"));
            let frames = read_all(&survivor);
            let found: BTreeSet<(u32, u64)> = frames.iter().map(|frame| (frame.platform, frame.seq)).collect();
            assert!(told.iter().all(|(_, platform, seq)| found.contains(&(*platform, *seq))), "sync {n}, {plan:?}");
        }
    }
    println!("{failed_runs} syncs failed, one in each run");
    assert!(failed_runs > 10);
}
