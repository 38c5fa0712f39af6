//! Measurements, not checks: `cargo test --lib journal::tests::speed -- --ignored --nocapture`.

use std::time::Instant;

use super::*;

const ENTRY_BYTES: usize = 600;

#[test]
#[ignore = "writes a gigabyte to a real disk and prints what it took"]
fn how_fast_a_real_disk_takes_and_gives_entries() {
    let base = std::env::var_os("FLORIN_SPEED_FOLDER").map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(base).unwrap();
    let storage: Arc<dyn Storage> = Arc::new(FileStorage::create(folder.path()).unwrap());
    let options = Options { realtime: true, ..Options::default() };
    let body = payload(1, 1, ENTRY_BYTES);
    for in_flight in [1_usize, 8, 64, 512, 4096] {
        let groups = if in_flight < 64 { 4000 } else { 400_000 / in_flight };
        let opened = Journal::open(storage.clone(), options.clone(), ScanFrom::Beginning).unwrap();
        let mut seq = opened.heads.get(&1).map_or(0, |head| head.seq);
        let (told, durable) = channel();
        let on_durable = Box::new(move |group: Vec<Durable>| told.send(group.len()).unwrap());
        let writer = start(opened, on_durable, Box::new(|error| panic!("{error}"))).unwrap();
        let began = Instant::now();
        for _ in 0..groups {
            let entries = (0..in_flight).map(|_| {
                seq += 1;
                Append { platform: 1, seq, payload: body.clone() }
            });
            writer.append(entries.collect()).unwrap();
            let mut left = in_flight;
            while left > 0 {
                left -= durable.recv().unwrap();
            }
        }
        let took = began.elapsed();
        let totals = writer.metrics().totals();
        writer.stop().unwrap();
        println!(
            "append, groups of {in_flight:4}: {:9.0} entries/s, sync p50 < {} us, p99 < {} us, max {} us, mean {} us",
            totals.entries as f64 / took.as_secs_f64(),
            totals.sync_micros_at(0.5),
            totals.sync_micros_at(0.99),
            totals.sync_micros_max,
            totals.sync_micros / totals.groups,
        );
    }
    let began = Instant::now();
    let opened = Journal::open(storage.clone(), options, ScanFrom::Beginning).unwrap();
    let entries = opened.scanned.entries as f64;
    println!("open with full check: {:9.0} entries/s ({entries} entries)", entries / began.elapsed().as_secs_f64());
    drop(opened);
    for check in [Check::Checksums, Check::Chain] {
        let began = Instant::now();
        let reader = Reader::offline(storage.clone());
        let bytes: usize =
            reader.frames_from(ReadFrom::Beginning, check).unwrap().map(|frame| frame.unwrap().payload.len()).sum();
        println!(
            "read with {check:?}: {:9.0} entries/s, {:.0} MB/s",
            entries / began.elapsed().as_secs_f64(),
            bytes as f64 / 1e6 / began.elapsed().as_secs_f64(),
        );
    }
    let reader = Reader::offline(storage);
    let positions: Vec<Position> = reader
        .frames_from(ReadFrom::Beginning, Check::Checksums)
        .unwrap()
        .step_by(97)
        .map(|frame| frame.unwrap().position)
        .collect();
    let began = Instant::now();
    positions.iter().for_each(|position| drop(reader.read_at(*position).unwrap()));
    println!("read_at: {:.1} us each", began.elapsed().as_secs_f64() * 1e6 / positions.len() as f64);
}
