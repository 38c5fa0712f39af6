//! Writing, rotating, reading beside the writer, and failing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use proptest::prelude::*;

use super::super::sim::Operation;
use super::*;

#[test]
fn entries_come_back_as_they_were_acknowledged() {
    let mut house = House::open(&SimStorage::new());
    let mut written = house.write(&[(1, 300), (2, 0), (1, 20)]);
    written.extend(house.write(&[(2, 9000)]));
    assert_eq!(written[0].hash, chain_hash(&[0; 32], 1, 1, &payload(1, 1, 300)));
    assert_eq!(written[2].hash, chain_hash(&written[0].hash, 1, 2, &payload(1, 2, 20)));
    let frames = house.read_all();
    assert_eq!(frames.iter().map(read).collect::<Vec<_>>(), written.iter().map(told).collect::<Vec<_>>());
    let reader = house.writer.reader();
    for (entry, frame) in written.iter().zip(&frames) {
        assert_eq!(&reader.read_at(entry.position).unwrap(), frame);
    }
}

#[test]
fn what_queues_during_a_sync_goes_out_as_one_group() {
    let mut house = House::open(&SimStorage::new());
    house.disk.hold_syncs();
    let first = house.entries(&[(1, 10)]);
    house.writer.append(first).unwrap();
    wait_until(|| house.disk.syncs_waiting() > 0);
    for _ in 0..20 {
        let more = house.entries(&[(1, 10), (2, 10)]);
        house.writer.append(more).unwrap();
    }
    assert!(house.durable.try_recv().is_err(), "nothing is acknowledged while the sync is out");
    house.disk.release_syncs();
    assert_eq!(house.durable.recv_timeout(WAIT).unwrap().len(), 1);
    assert_eq!(house.durable.recv_timeout(WAIT).unwrap().len(), 40);
    let totals = house.writer.metrics().totals();
    assert_eq!((totals.groups, totals.entries), (2, 41));
}

fn spare_is_ready(disk: &SimStorage) -> bool {
    let operations = disk.history().operations;
    operations.iter().enumerate().any(|(n, operation)| match operation {
        Operation::Create { name, file } if n > 5 && name == "next.tmp" => {
            operations[n..].iter().any(|later| matches!(later, Operation::Sync { file: synced, .. } if synced == file))
        }
        _ => false,
    })
}

fn wait_until(condition: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !condition() {
        assert!(began.elapsed() < WAIT, "waited in vain");
        thread::yield_now();
    }
}

#[test]
fn a_reader_beside_the_writer_never_sees_what_is_not_durable() {
    let mut house = House::open(&SimStorage::new());
    let written = house.write(&[(1, 100)]);
    let reader = house.writer.reader();
    let mut frames = reader.frames_from(ReadFrom::Beginning, Check::Chain).unwrap();
    assert_eq!(read(&frames.next().unwrap().unwrap()), told(&written[0]));
    house.disk.hold_syncs();
    let pending = house.entries(&[(1, 100)]);
    house.writer.append(pending).unwrap();
    wait_until(|| house.disk.syncs_waiting() > 0);
    let end = house.writer.durable_end();
    assert!(frames.next().is_none(), "written, but the sync has not returned");
    let there = Position { offset: end.offset + 48, ..end };
    assert!(matches!(reader.read_at(there), Err(JournalError::NoFrame { .. })));
    house.disk.release_syncs();
    let entry = &house.durable.recv_timeout(WAIT).unwrap()[0];
    assert_eq!(entry.position, there);
    assert_eq!(read(&frames.next().unwrap().unwrap()), told(entry), "the same iterator goes on");
    assert_eq!(read(&reader.read_at(there).unwrap()), told(entry));
}

#[test]
fn a_reader_follows_a_busy_writer_across_segments() {
    let mut house = House::open(&SimStorage::new());
    let mut frames = house.writer.reader().frames_from(ReadFrom::Beginning, Check::Chain).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let finished = done.clone();
    let follower = thread::spawn(move || {
        let mut seen = 0;
        loop {
            let last_round = finished.load(Ordering::SeqCst);
            for frame in frames.by_ref() {
                seen += 1;
                assert_eq!(frame.unwrap().seq, seen);
            }
            if last_round {
                return seen;
            }
            thread::yield_now();
        }
    });
    (0..300).for_each(|_| drop(house.write(&[(1, 700)])));
    assert!(house.writer.durable_end().segment > 10);
    done.store(true, Ordering::SeqCst);
    assert_eq!(follower.join().unwrap(), 300);
}

#[test]
fn segments_follow_each_other_and_open_with_every_head() {
    let mut house = House::open(&SimStorage::new());
    let mut written = Vec::new();
    for n in 0..60 {
        written.extend(house.write(&[(1 + n % 4, 900)]));
    }
    let disk = house.stop();
    let segments: Vec<String> = disk.list().unwrap().into_iter().filter(|name| name.ends_with(".seg")).collect();
    assert_eq!(segments.len(), written.last().unwrap().position.segment as usize);
    for (n, name) in segments.iter().enumerate() {
        let header = super::super::format::SegmentHeader::decode(&disk.file(name)).unwrap();
        let mut heads = BTreeMap::new();
        for entry in written.iter().filter(|entry| entry.position.segment as usize <= n) {
            heads.insert(entry.platform, Head { seq: entry.seq, hash: entry.hash });
        }
        assert_eq!(header.heads, heads, "{name}");
    }
    // Any segment is a place to begin, and leads to the same heads.
    let whole = Journal::open(Arc::new(disk.clone()), tiny(), ScanFrom::Beginning).unwrap().heads;
    for first in 1..=segments.len() as u32 {
        let opened = Journal::open(Arc::new(disk.clone()), tiny(), ScanFrom::Segment(first)).unwrap();
        assert_eq!(opened.heads, whole);
        assert_eq!(opened.scanned.segments as usize, segments.len() + 1 - first as usize);
    }
    let beyond = ScanFrom::Segment(segments.len() as u32 + 1);
    assert!(matches!(Journal::open(Arc::new(disk), tiny(), beyond), Err(JournalError::MissingSegment { .. })));
}

#[test]
fn reading_may_begin_anywhere() {
    let mut house = House::open(&SimStorage::new());
    let mut written = Vec::new();
    for n in 0..30 {
        written.extend(house.write(&[(1 + n % 3, 900), (1, 40), (2, 1)]));
    }
    let disk = house.stop();
    let reader = Reader::offline(Arc::new(disk));
    let from = |from, check| -> Vec<_> {
        reader.frames_from(from, check).unwrap().map(|frame| read(&frame.unwrap())).collect()
    };
    let all: Vec<_> = written.iter().map(told).collect();
    for check in [Check::Checksums, Check::Chain] {
        assert_eq!(from(ReadFrom::Beginning, check), all);
        for (n, entry) in written.iter().enumerate() {
            assert_eq!(from(ReadFrom::Frame(entry.position), check), all[n..]);
            assert_eq!(from(ReadFrom::After(entry.position), check), all[n + 1..]);
        }
        for segment in 1..=3 {
            let first = written.iter().position(|entry| entry.position.segment == segment).unwrap();
            assert_eq!(from(ReadFrom::Segment(segment), check), all[first..]);
        }
    }
}

#[test]
fn a_position_where_no_frame_begins_is_an_error_and_not_a_panic() {
    let mut house = House::open(&SimStorage::new());
    let frames: Vec<u32> = house.write(&[(1, 100), (2, 3000)]).iter().map(|entry| entry.position.offset).collect();
    for reader in [house.writer.reader(), Reader::offline(Arc::new(house.disk.clone()))] {
        for offset in (0..u32::from(u16::MAX)).step_by(3).filter(|offset| !frames.contains(offset)) {
            let error = reader.read_at(Position { segment: 1, offset }).unwrap_err();
            assert!(matches!(error, JournalError::NoFrame { .. }), "{error}");
        }
        assert!(reader.read_at(Position { segment: 8, offset: 0 }).is_err());
        assert!(reader.frames_from(ReadFrom::Frame(Position { segment: 1, offset: 9 }), Check::Chain).is_err());
    }
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_any_more() {
    for fault in ["sync", "write", "short write"] {
        let mut house = House::open(&SimStorage::new());
        house.write(&[(1, 100)]);
        match fault {
            "sync" => house.disk.fail_sync(1),
            "write" => house.disk.fail_write(1, 0),
            _ => house.disk.fail_write(1, 50),
        }
        let doomed = house.entries(&[(1, 100)]);
        house.writer.append(doomed).unwrap();
        let error = house.failure.recv_timeout(WAIT).unwrap();
        assert!(matches!(error, JournalError::Io { .. }), "{fault}: {error}");
        let late = house.entries(&[(1, 100)]);
        let refused = house.writer.append(late).unwrap_err();
        assert!(matches!(refused, JournalError::Stopped { .. }), "{fault}: {refused}");
        assert!(house.durable.try_recv().is_err(), "{fault}");
        assert_eq!(house.writer.reader().frames_from(ReadFrom::Beginning, Check::Chain).unwrap().count(), 1);
        assert!(house.writer.stop().is_err(), "{fault}");
        // The next life finds the entry, or does not; it was promised to nobody.
        let next = House::open(&house.disk);
        assert!([2, 3].contains(&next.next_seq[&1]), "{fault}");
    }
}

#[test]
fn a_failure_while_the_next_segment_comes_into_use_stops_acknowledging_too() {
    for operation in 1..=2 {
        let disk = SimStorage::new();
        let mut house = House::open(&disk);
        house.write(&[(1, 3000)]);
        house.write(&[(1, 8000)]);
        wait_until(|| spare_is_ready(&disk));
        disk.fail_sync(operation);
        let doomed = house.entries(&[(1, 8000)]);
        house.writer.append(doomed).unwrap();
        assert!(matches!(house.failure.recv_timeout(WAIT).unwrap(), JournalError::Io { .. }));
        assert_eq!(house.writer.durable_end().segment, 1);
        drop(house);
        let mut next = House::open(&disk);
        assert_eq!(next.next_seq[&1], 3);
        next.write(&[(1, 8000)]);
    }
}

#[test]
fn a_spare_that_could_not_be_made_ahead_is_made_when_it_is_needed() {
    let disk = SimStorage::new();
    let mut house = House::open(&disk);
    // The group's own write and the one of the spare's zeros.
    disk.fail_write(2, 0);
    house.write(&[(1, 8000)]);
    wait_until(|| disk.list().unwrap().contains(&"next.tmp".to_owned()));
    house.write(&[(1, 8000)]);
    assert_eq!(house.writer.durable_end().segment, 2);
}

#[test]
fn a_panic_in_the_callback_is_a_failure_and_not_a_silent_end() {
    let disk: Arc<dyn Storage> = Arc::new(SimStorage::new());
    let opened = Journal::open(disk, tiny(), ScanFrom::Beginning).unwrap();
    let (failed, failure) = channel();
    let writer =
        start(opened, Box::new(|_| panic!("on purpose")), Box::new(move |error| failed.send(error).unwrap())).unwrap();
    writer.append(vec![Append { platform: 1, seq: 1, payload: Bytes::new() }]).unwrap();
    let error = failure.recv_timeout(WAIT).unwrap();
    assert!(matches!(&error, JournalError::WriterPanicked { message } if message == "on purpose"), "{error}");
}

#[test]
fn an_entry_that_is_too_large_is_refused_with_its_whole_batch() {
    let mut house = House::open(&SimStorage::new());
    let mut entries = house.entries(&[(1, 10), (1, 10)]);
    entries[1].payload = payload(1, 2, (9 << 10) + 1);
    let error = house.writer.append(entries).unwrap_err();
    assert!(error.to_string().contains("entry 2 of platform 1 has 9217 bytes, the largest allowed is 9216"), "{error}");
    house.next_seq.clear();
    house.write(&[(1, 9 << 10)]);
}

#[test]
#[should_panic(expected = "platform 1 must append its entries in sequence")]
fn a_gap_in_a_sequence_never_reaches_the_disk() {
    let house = House::open(&SimStorage::new());
    let _ = house.writer.append(vec![Append { platform: 1, seq: 2, payload: Bytes::new() }]);
}

#[test]
fn a_second_daemon_is_kept_out_until_the_first_has_stopped() {
    let disk = SimStorage::new();
    let house = House::open(&disk);
    let error = reopen_error(&disk);
    assert!(error.to_string().contains("in use by another process"), "{error}");
    house.stop();
    House::open(&disk);
}

#[test]
fn segments_of_other_options_are_continued() {
    let mut house = House::try_open(&SimStorage::new(), Options { max_entry_bytes: 100, ..tiny() }).unwrap();
    house.write(&[(1, 100)]);
    let disk = house.stop();
    // Entries that no segment so far could hold, and more platforms than a segment of that length has room for.
    let mut house = House::try_open(&disk, Options { max_entry_bytes: 100_000, ..tiny() }).unwrap();
    house.write(&[(1, 100_000), (1, 5), (1, 99_000)]);
    house.write(&(2..1000).map(|platform| (platform, 10)).collect::<Vec<_>>());
    house.write(&[(1, 100_000), (1, 100_000)]);
    assert_eq!(house.read_all().len(), 4 + 998 + 2);
    let disk = house.stop();
    let opened = Journal::open(Arc::new(disk), tiny(), ScanFrom::Beginning).unwrap();
    assert_eq!(opened.heads.len(), 999);
}

#[test]
fn options_no_journal_can_be_written_with_are_refused() {
    for segment_bytes in [0, 4096, 100_000, 1 << 32] {
        let disk: Arc<dyn Storage> = Arc::new(SimStorage::new());
        let opened = Journal::open(disk, Options { segment_bytes, ..tiny() }, ScanFrom::Beginning);
        assert!(matches!(opened, Err(JournalError::BadOption { option: "segment_bytes", .. })));
    }
}

#[test]
fn the_folder_of_real_files_behaves_as_the_simulated_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let storage: Arc<dyn Storage> = Arc::new(FileStorage::create(&path).unwrap());
    let options = Options { realtime: true, identity: None, ..tiny() };
    let mut seq = 0;
    for life in 1..=3 {
        let opened = Journal::open(storage.clone(), options.clone(), ScanFrom::Beginning).unwrap();
        assert_eq!(opened.heads.get(&1).map_or(0, |head| head.seq), seq);
        assert_eq!(opened.truncated, None);
        let second = Journal::open(storage.clone(), options.clone(), ScanFrom::Beginning);
        assert!(matches!(second, Err(JournalError::Locked { .. })));
        let writer = start(opened, Box::new(|_| {}), Box::new(|error| panic!("{error}"))).unwrap();
        for _ in 0..50 {
            seq += 1;
            writer.append(vec![Append { platform: 1, seq, payload: payload(1, seq, 700) }]).unwrap();
        }
        writer.stop().unwrap();
        let frames = Reader::offline(Arc::new(FileStorage::at(&path))).frames_from(ReadFrom::Beginning, Check::Chain);
        assert_eq!(frames.unwrap().map(Result::unwrap).count(), life * 50);
    }
    // Every file has its full length from the start.
    for name in storage.list().unwrap().into_iter().filter(|name| name.ends_with(".seg")) {
        assert_eq!(std::fs::metadata(path.join(name)).unwrap().len(), 16 << 10);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_appended_in_whatever_batches_and_lives_reads_back(
        lives in proptest::collection::vec(
            proptest::collection::vec(proptest::collection::vec((1u32..5, 0usize..2500), 1..12), 0..8),
            1..5,
        )
    ) {
        let disk = SimStorage::new();
        let mut written = Vec::new();
        for batches in lives {
            let mut house = House::open(&disk);
            for batch in batches {
                // Without waiting: batches meet in the queue as they like.
                let entries = house.entries(&batch);
                house.writer.append(entries).unwrap();
            }
            let acknowledged = house.acknowledged.clone();
            house.stop();
            written.extend(acknowledged.lock().unwrap().iter().map(|(_, entry)| told(entry)));
            let recovered: Vec<_> = read_all(&disk).iter().map(read).collect();
            prop_assert_eq!(&recovered, &written);
        }
    }
}
