//! The power goes at every operation of a run, with every subset of what was not synced.

use std::collections::BTreeSet;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::super::sim::{CutPlan, Disk, PageId};
use super::*;

/// Up to here every subset of unsynced pages is tried, above it so many are drawn.
const SUBSETS_MAX: usize = 256;

/// Every fate that a cut can bring, or a fair sample of them.
fn fates(disk: &Disk, rng: &mut rand_chacha::ChaCha8Rng) -> Vec<CutPlan> {
    let pages = disk.unsynced_pages();
    let name_changes = 0..=disk.pending_name_changes();
    let subset = |bits: u64| -> BTreeSet<PageId> {
        pages.iter().enumerate().filter(|(n, _)| bits >> (n % 64) & 1 == 1).map(|(_, page)| *page).collect()
    };
    let mut plans = Vec::new();
    for name_changes in name_changes {
        if pages.len() <= 8 {
            plans.extend((0..1 << pages.len()).map(|bits| CutPlan { landed: subset(bits), torn: None, name_changes }));
        } else {
            plans.extend([0, u64::MAX].map(|bits| CutPlan { landed: subset(bits), torn: None, name_changes }));
            let drawn: Vec<u64> = (0..SUBSETS_MAX).map(|_| rng.random()).collect();
            plans.extend(drawn.iter().map(|bits| CutPlan { landed: subset(*bits), torn: None, name_changes }));
        }
        for torn in &pages {
            let torn = Some((*torn, rng.random_range(1..8)));
            plans.extend([0, u64::MAX, rng.random()].map(|bits| CutPlan { landed: subset(bits), torn, name_changes }));
        }
    }
    plans
}

#[test]
fn power_loss_at_every_moment_loses_nothing_acknowledged() {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(11);
    let mut house = House::roomy(&SimStorage::new());
    house.write(&[(1, 300), (2, 700), (1, 20)]);
    house.write(&[(1, 27_000)]); // seven or eight pages
    house.write(&[(3, 0)]);
    house.write(&[(2, 9000), (3, 1500), (1, 8000)]); // into the second segment
    house.write(&[(1, 6000), (2, 2000)]);
    house.write(&[(3, 100); 5]);
    house.write(&[(2, 29_000)]); // and the third
    house.write(&[(1, 4000), (2, 1), (3, 4000)]);
    let acknowledged = house.acknowledged.clone();
    let disk = house.stop();
    let written: Vec<_> = acknowledged.lock().unwrap().iter().map(|(_, entry)| told(entry)).collect();
    let history = disk.history();
    let (mut lives, mut cuts) = (0, 0);
    for moment in 0..=history.operations.len() {
        let promised = acknowledged.lock().unwrap().iter().filter(|(operations, _)| *operations <= moment).count();
        for plan in fates(&history.disk_after(moment), &mut rng) {
            let survivor = history.disk_after(moment).cut(&plan);
            let opened = Journal::open(Arc::new(survivor.clone()), tiny(), ScanFrom::Beginning)
                .unwrap_or_else(|error| panic!("moment {moment}, {plan:?}: {error}"));
            let recovered: Vec<_> = read_all(&survivor).iter().map(read).collect();
            assert!(recovered.len() >= promised, "moment {moment}, {plan:?}: {} of {promised}", recovered.len());
            assert!(written.starts_with(&recovered), "moment {moment}, {plan:?}: not a prefix");
            cuts += usize::from(opened.truncated.is_some());
            lives += 1;
            drop(opened);
            if lives % 7 == 0 {
                life_goes_on(&survivor, &recovered);
            }
        }
    }
    assert!(lives > 2000 && cuts > 500, "{lives} lives, {cuts} torn tails");
    println!("{lives} lives, {cuts} torn tails");
}

/// Appending after a recovery, and a second, quiet recovery after that.
fn life_goes_on(survivor: &SimStorage, recovered: &[(u32, u64, Position, Bytes, [u8; 32])]) {
    let mut house = House::roomy(survivor);
    let more: Vec<_> = house.write(&[(1, 50), (2, 2500), (9, 0)]).iter().map(told).collect();
    let survivor = house.stop();
    let all: Vec<_> = read_all(&survivor).iter().map(read).collect();
    assert_eq!(all, [recovered, &more].concat());
    let again = Journal::open(Arc::new(survivor), tiny(), ScanFrom::Beginning).unwrap();
    assert_eq!(again.truncated, None, "a cut tail is gone for good");
}

#[test]
fn a_process_killed_at_any_moment_and_a_power_cut_in_its_next_life_lose_nothing() {
    // A kill leaves everything written readable, synced or not. What the next life takes over from it has to be made
    // durable, names included, before anything is built on it.
    let mut house = House::open(&SimStorage::new());
    house.write(&[(1, 3000), (2, 700)]);
    house.write(&[(1, 8000)]);
    house.write(&[(1, 8000)]);
    let acknowledged = house.acknowledged.clone();
    let history = house.stop().history();
    for moment in 0..=history.operations.len() {
        let promised = acknowledged.lock().unwrap().iter().filter(|(operations, _)| *operations <= moment).count();
        let mut next = House::open(&SimStorage::from(history.disk_after(moment)));
        let taken_over: Vec<_> = next.read_all().iter().map(read).collect();
        assert!(taken_over.len() >= promised, "moment {moment}");
        let after_restart = next.disk.cut(&CutPlan::default());
        drop(Journal::open(Arc::new(after_restart.clone()), tiny(), ScanFrom::Beginning).unwrap());
        assert_eq!(read_all(&after_restart).iter().map(read).collect::<Vec<_>>(), taken_over, "moment {moment}");
        let more: Vec<_> = next.write(&[(1, 500)]).iter().map(told).collect();
        let after_append = next.disk.cut(&CutPlan::default());
        drop(Journal::open(Arc::new(after_append.clone()), tiny(), ScanFrom::Beginning).unwrap());
        let all: Vec<_> = read_all(&after_append).iter().map(read).collect();
        assert_eq!(all, [taken_over, more].concat(), "moment {moment}");
    }
}

#[test]
fn a_power_cut_during_recovery_is_recovered_from_too() {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(12);
    let mut house = House::open(&SimStorage::new());
    house.write(&[(1, 300), (2, 700)]);
    let before = house.disk.operation_count();
    house.write(&[(1, 9000)]);
    let disk = house.stop();
    // The last group was written and not synced; its middle landed.
    let history = disk.history();
    let write = before + 1;
    let torn = history.disk_after(write);
    let landed = torn.unsynced_pages().into_iter().skip(1).take(1).collect();
    let first = torn.cut(&CutPlan { landed, ..CutPlan::default() });
    let opened = Journal::open(Arc::new(first.clone()), tiny(), ScanFrom::Beginning).unwrap();
    assert!(opened.truncated.is_some());
    drop(opened);
    let history = first.history();
    for moment in 0..=history.operations.len() {
        for plan in fates(&history.disk_after(moment), &mut rng) {
            let second = history.disk_after(moment).cut(&plan);
            let opened = Journal::open(Arc::new(second.clone()), tiny(), ScanFrom::Beginning).unwrap();
            assert_eq!(opened.heads.values().map(|head| head.seq).collect::<Vec<_>>(), [1, 1]);
        }
    }
}

#[test]
fn old_bytes_behind_the_cut_never_come_back() {
    // A torn group whose first page is lost and whose others are not; then short groups grow over its remains, and
    // the power goes after each of them.
    let mut house = House::open(&SimStorage::new());
    house.write(&[(1, 100)]);
    let before = house.disk.operation_count();
    house.write(&[(1, 9000)]);
    let disk = house.stop();
    let torn = disk.history().disk_after(before + 1);
    let landed = torn.unsynced_pages().into_iter().skip(1).collect();
    let mut survivor = torn.cut(&CutPlan { landed, ..CutPlan::default() });
    for seq in 2..10 {
        let mut house = House::open(&survivor);
        let written = house.write(&[(1, 700)]);
        assert_eq!(written[0].seq, seq);
        survivor = house.stop().cut(&CutPlan::default());
        let frames = read_all(&survivor);
        assert_eq!(frames.last().map(|frame| frame.seq), Some(seq));
        assert!(frames.iter().all(|frame| frame.payload.len() <= 700));
    }
}

#[test]
fn a_group_that_only_the_cache_had_counts_after_recovery_only_once_it_is_on_disk() {
    // The sync fails, the process dies, and Linux calls the pages clean from now on: readable, yet not on disk.
    let disk = SimStorage::new();
    let mut house = House::open(&disk);
    house.write(&[(1, 100)]);
    disk.fail_sync(1);
    let entries = house.entries(&[(1, 5000)]);
    house.writer.append(entries).unwrap();
    house.failure.recv_timeout(WAIT).unwrap();
    drop(house);
    let opened = Journal::open(Arc::new(disk.clone()), tiny(), ScanFrom::Beginning).unwrap();
    let seen = opened.heads[&1].seq;
    let after_cut = disk.cut(&CutPlan::default());
    let opened = Journal::open(Arc::new(after_cut), tiny(), ScanFrom::Beginning).unwrap();
    assert_eq!(opened.heads[&1].seq, seen, "what recovery reported survives the next power cut");
    assert_eq!(seen, 2);
}

#[test]
fn whatever_is_asked_of_the_disk_in_any_run_a_cut_leaves_a_prefix() {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(13);
    for _ in 0..20 {
        let mut house = House::open(&SimStorage::new());
        for _ in 0..rng.random_range(1..12) {
            let batch: Vec<(u32, usize)> =
                (0..rng.random_range(1..6)).map(|_| (rng.random_range(1..4), rng.random_range(0..3000))).collect();
            house.write(&batch);
        }
        let acknowledged = house.acknowledged.clone();
        let disk = house.stop();
        let written: Vec<_> = acknowledged.lock().unwrap().iter().map(|(_, entry)| told(entry)).collect();
        let history = disk.history();
        for _ in 0..40 {
            let moment = rng.random_range(0..=history.operations.len());
            let promised = acknowledged.lock().unwrap().iter().filter(|(operations, _)| *operations <= moment).count();
            let plans = fates(&history.disk_after(moment), &mut rng);
            let survivor = history.disk_after(moment).cut(plans.choose(&mut rng).unwrap());
            drop(Journal::open(Arc::new(survivor.clone()), tiny(), ScanFrom::Beginning).unwrap());
            let recovered: Vec<_> = read_all(&survivor).iter().map(read).collect();
            assert!(recovered.len() >= promised && written.starts_with(&recovered));
        }
    }
}
