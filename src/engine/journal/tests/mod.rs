//! Stories about the journal, told on a simulated disk.

mod damage;
mod power_cut;
mod speed;
mod writing;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use super::sim::SimStorage;
use super::*;

const WAIT: Duration = Duration::from_secs(20);

fn tiny() -> Options {
    Options { segment_bytes: 16 << 10, max_entry_bytes: 9 << 10, realtime: false, identity: Some(0x7e57) }
}

/// With room for groups of many pages.
fn roomy() -> Options {
    Options { segment_bytes: 48 << 10, max_entry_bytes: 30_000, ..tiny() }
}

/// A payload that can be told from all others, of the wanted length.
fn payload(platform: u32, seq: u64, bytes: usize) -> Bytes {
    let text = format!("{platform}/{seq};");
    text.bytes().cycle().take(bytes).collect()
}

/// A daemon's journal on one disk, with everything it has acknowledged.
struct House {
    disk: SimStorage,
    writer: Writer,
    next_seq: BTreeMap<u32, u64>,
    durable: Receiver<Vec<Durable>>,
    failure: Receiver<JournalError>,
    /// What was acknowledged, and how many operations the disk had seen by then.
    acknowledged: Arc<Mutex<Vec<(usize, Durable)>>>,
}

impl House {
    fn open(disk: &SimStorage) -> House {
        House::try_open(disk, tiny()).unwrap()
    }

    fn roomy(disk: &SimStorage) -> House {
        House::try_open(disk, roomy()).unwrap()
    }

    fn try_open(disk: &SimStorage, options: Options) -> Result<House, JournalError> {
        let opened = Journal::open(Arc::new(disk.clone()), options, ScanFrom::Beginning)?;
        let next_seq = opened.heads.iter().map(|(platform, head)| (*platform, head.seq + 1)).collect();
        let (told, durable) = channel();
        let (failed, failure) = channel();
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let (log, watched) = (acknowledged.clone(), disk.clone());
        let on_durable = Box::new(move |group: Vec<Durable>| {
            let operations = watched.operation_count();
            log.lock().unwrap().extend(group.iter().map(|entry| (operations, entry.clone())));
            let _ = told.send(group);
        });
        let on_failure = Box::new(move |error| {
            let _ = failed.send(error);
        });
        let writer = start(opened, on_durable, on_failure)?;
        Ok(House { disk: disk.clone(), writer, next_seq, durable, failure, acknowledged })
    }

    /// The next entries of these platforms, with payloads of these lengths.
    fn entries(&mut self, wanted: &[(u32, usize)]) -> Vec<Append> {
        let mut entries = Vec::new();
        for (platform, bytes) in wanted {
            let next = self.next_seq.entry(*platform).or_insert(1);
            entries.push(Append { platform: *platform, seq: *next, payload: payload(*platform, *next, *bytes) });
            *next += 1;
        }
        entries
    }

    /// Appends and waits until all of it is acknowledged.
    fn write(&mut self, wanted: &[(u32, usize)]) -> Vec<Durable> {
        let entries = self.entries(wanted);
        self.writer.append(entries).unwrap();
        let mut written = Vec::new();
        while written.len() < wanted.len() {
            written.extend(self.durable.recv_timeout(WAIT).unwrap());
        }
        written
    }

    fn read_all(&self) -> Vec<Frame> {
        read_all(&self.disk)
    }

    fn stop(self) -> SimStorage {
        self.writer.stop().unwrap();
        self.disk
    }
}

fn read_all(disk: &SimStorage) -> Vec<Frame> {
    let reader = Reader::offline(Arc::new(disk.clone()));
    reader.frames_from(ReadFrom::Beginning, Check::Chain).unwrap().map(Result::unwrap).collect()
}

fn reopen_error(disk: &SimStorage) -> JournalError {
    match Journal::open(Arc::new(disk.clone()), tiny(), ScanFrom::Beginning) {
        Ok(_) => panic!("the journal opened"),
        Err(error) => error,
    }
}

/// What identifies an entry, for comparing what was written with what is read.
fn told(entry: &Durable) -> (u32, u64, Position, Bytes, [u8; 32]) {
    (entry.platform, entry.seq, entry.position, entry.payload.clone(), entry.hash)
}

fn read(frame: &Frame) -> (u32, u64, Position, Bytes, [u8; 32]) {
    (frame.platform, frame.seq, frame.position, frame.payload.clone(), frame.hash())
}
