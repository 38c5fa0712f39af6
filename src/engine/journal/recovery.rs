//! Opening a journal: read it to its end, decide what the end is, and only then touch anything.
//!
//! | found                                              | meaning        | done                                    |
//! |----------------------------------------------------|----------------|-----------------------------------------|
//! | sound groups, then zeros                           | clean          | goes on behind them                     |
//! | an unsound group, no sound one behind it anywhere  | torn tail      | cut with a warning, zeroed, synced      |
//! | an unsound group, a sound group or segment behind  | damage         | refused, nothing changed                |
//! | wrong chain, sequence, group number, header, file  | damage         | refused, nothing changed                |
//!
//! What this cannot know: whether the last group, when it is unsound, had been durable once (a disk that forgets what
//! it synced). Whoever holds a snapshot or an index compares: the journal must reach at least as far as they do.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chain::ChainCheck;
use super::format::{GroupHeader, PAGE, SegmentHeader};
use super::segment::{self, Segment, file_name};
use super::storage::{Access, Storage, StorageLock};
use super::walk::{Step, Until, Walk, frames};
use super::{Head, JournalError, Options, Position};

/// The door to a journal's files.
#[derive(Debug)]
pub struct Journal;

/// Where the scan begins. Every segment opens with every platform's head, so any segment will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanFrom {
    Beginning,
    /// Segments before this one are not looked at, and need not be there.
    Segment(u32),
}

/// A journal's folder, taken for this process alone.
pub struct Locked {
    storage: Arc<dyn Storage>,
    lock: StorageLock,
}

/// The write that was under way when the power went. It had not been acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    pub segment: u32,
    pub offset: u64,
    pub what: &'static str,
}

/// A journal that was read to its end, and is locked for this process. [`start`](super::start) continues it.
pub struct Opened {
    /// Every platform's newest entry.
    pub heads: BTreeMap<u32, Head>,
    /// What was cut.
    pub truncated: Option<TornTail>,
    /// What the scan went over; less than the journal when it began at a later segment.
    pub scanned: Scanned,
    /// Where the next group goes: the end of everything durable.
    pub end: Position,
    pub(super) tail: Segment,
    pub(super) next_group: u64,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) options: Options,
    pub(super) lock: StorageLock,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    pub segments: u64,
    pub groups: u64,
    pub entries: u64,
}

impl Journal {
    /// Takes the folder for writing, checks the journal from `from` to its end and makes the end fit to write behind.
    /// An empty folder becomes a new journal.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when another process writes here; [`JournalError::Damaged`] and
    /// [`JournalError::MissingSegment`] before anything has been changed.
    pub fn open(storage: Arc<dyn Storage>, options: Options, from: ScanFrom) -> Result<Opened, JournalError> {
        Journal::lock(storage)?.open(options, from, &BTreeMap::new())
    }

    /// Takes the folder for writing, before anything is read: whoever comes second must not touch a thing.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when another process writes here.
    pub fn lock(storage: Arc<dyn Storage>) -> Result<Locked, JournalError> {
        let place = storage.place();
        match storage.lock().map_err(JournalError::io(format!("lock {place}")))? {
            Some(lock) => Ok(Locked { storage, lock }),
            None => Err(JournalError::Locked { place }),
        }
    }

    /// The same check without a lock and without changing anything: for `verify`, and for copies. A torn tail is
    /// reported, not cut. Of a journal that is being written it may see a group whose sync has not returned yet.
    pub fn check(storage: &Arc<dyn Storage>, from: ScanFrom) -> Result<Checked, JournalError> {
        let scan = scan(storage, from)?;
        Ok(scan.map_or_else(Checked::default, |scan| Checked {
            heads: scan.heads,
            torn: scan.torn,
            scanned: scan.scanned,
        }))
    }
}

impl Locked {
    /// As [`Journal::open`]. `seen` is what caches know to have been durable, the newest entry of each platform: an
    /// unsound last group looks like a torn tail, and only they can tell that it had been acknowledged.
    ///
    /// # Errors
    /// As [`Journal::open`]; [`JournalError::EndLost`] before anything has been changed.
    pub fn open(self, options: Options, from: ScanFrom, seen: &BTreeMap<u32, u64>) -> Result<Opened, JournalError> {
        options.check()?;
        let Locked { storage, lock } = self;
        let scan = scan(&storage, from)?;
        for (&platform, &seen) in seen {
            let head = scan.as_ref().and_then(|scan| scan.heads.get(&platform));
            let end = head.map_or(0, |head| head.seq);
            if end < seen {
                return Err(JournalError::EndLost { platform, end, seen });
            }
        }
        match scan {
            None => create(storage, options, lock),
            Some(scan) => repair(storage, options, lock, scan),
        }
    }
}

/// What [`Journal::check`] found to be in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    pub heads: BTreeMap<u32, Head>,
    pub torn: Option<TornTail>,
    pub scanned: Scanned,
}

impl Options {
    fn check(&self) -> Result<(), JournalError> {
        let bad = |option, value, must_be| Err(JournalError::BadOption { option, value, must_be });
        if !self.segment_bytes.is_multiple_of(PAGE) || !(4 * PAGE..=1 << 31).contains(&self.segment_bytes) {
            return bad("segment_bytes", self.segment_bytes, "a multiple of 4096 from 16 KiB to 2 GiB");
        }
        if self.max_entry_bytes > 4 << 20 {
            return bad("max_entry_bytes", self.max_entry_bytes as u64, "at most 4 MiB");
        }
        Ok(())
    }
}

struct Scan {
    tail: Segment,
    end: u64,
    /// Offset of the last group, when the last segment has one.
    last_group: Option<u64>,
    next_group: u64,
    heads: BTreeMap<u32, Head>,
    torn: Option<TornTail>,
    scanned: Scanned,
}

/// Reads everything, changes nothing. `None`: there is no segment.
fn scan(storage: &Arc<dyn Storage>, from: ScanFrom) -> Result<Option<Scan>, JournalError> {
    let segments = segment::list(&**storage)?;
    let first = match from {
        ScanFrom::Beginning => 1,
        ScanFrom::Segment(number) => number,
    };
    let last = match segments.last() {
        Some(last) => *last,
        None if first == 1 => return Ok(None),
        None => return Err(JournalError::MissingSegment { segment: first, place: storage.place() }),
    };
    if let Some(segment) = (first..=last.max(first)).find(|number| segments.binary_search(number).is_err()) {
        return Err(JournalError::MissingSegment { segment, place: storage.place() });
    }
    let mut walk = Walk::from_segment(storage.clone(), Until::LastSegment(last), first);
    let mut chain = ChainCheck::default();
    let mut scanned = Scanned::default();
    let mut next_group = 1;
    let mut last_group = None;
    loop {
        match walk.next()? {
            Step::Segment(header) => {
                chain.enter(&header)?;
                scanned.segments += 1;
                next_group = header.first_group;
                last_group = None;
            }
            Step::Group(header) => {
                scanned.groups += 1;
                scanned.entries += follow_group(&mut chain, header, walk.body())?;
                next_group = header.group + 1;
                last_group = Some(u64::from(header.place.offset));
            }
            Step::End => break,
        }
    }
    let torn = walk.torn().map(|(at, what)| TornTail { segment: at.segment, offset: u64::from(at.offset), what });
    // Every walk ends inside a segment.
    let Some((tail, end)) = walk.into_place() else { return Ok(None) };
    Ok(Some(Scan { tail, end, last_group, next_group, heads: chain.heads, torn, scanned }))
}

fn follow_group(chain: &mut ChainCheck, header: GroupHeader, group: &[u8]) -> Result<u64, JournalError> {
    let mut entries = 0;
    for frame in frames(header, group) {
        let (position, frame) = frame?;
        chain.follow(position, &frame)?;
        entries += 1;
    }
    Ok(entries)
}

/// A new journal: its first segment, with nothing before it.
fn create(storage: Arc<dyn Storage>, options: Options, lock: StorageLock) -> Result<Opened, JournalError> {
    let doing = || format!("create a journal in {}", storage.place());
    let identity = match options.identity {
        Some(identity) => identity,
        None => getrandom::u64()
            .map_err(|error| JournalError::Io { doing: doing(), source: std::io::Error::other(error) })?,
    };
    let segment_bytes = segment::bytes_needed(&options, 0);
    let spare = segment::make_spare(&*storage, segment_bytes).map_err(JournalError::io(doing()))?;
    let header = SegmentHeader { segment: 1, identity, first_group: 1, segment_bytes, heads: BTreeMap::new() };
    let tail = segment::publish(&*storage, spare, header)?;
    Ok(Opened {
        heads: BTreeMap::new(),
        truncated: None,
        scanned: Scanned::default(),
        end: position(1, tail.data_start)?,
        tail,
        next_group: 1,
        storage,
        options,
        lock,
    })
}

/// Makes the end fit to write behind, now that everything before it is known to be sound.
fn repair(storage: Arc<dyn Storage>, options: Options, lock: StorageLock, scan: Scan) -> Result<Opened, JournalError> {
    let Scan { mut tail, end, last_group, next_group, heads, torn, scanned } = scan;
    let segment = tail.header.segment;
    let name = file_name(segment);
    let failed = || JournalError::io(format!("make the end of {name} fit to write behind"));
    segment::remove_spare(&*storage).map_err(failed())?;
    tail.file = storage.open(&name, Access::ReadWrite).map_err(failed())?;
    if let Some(TornTail { offset, what, .. }) = &torn {
        let cut_bytes = tail.header.segment_bytes - offset;
        tracing::warn!(
            segment,
            offset,
            cut_bytes,
            what,
            "journal: cut a torn tail; it was never acknowledged, a power cut or kill during a write leaves it behind"
        );
        segment::zero_fill(&*tail.file, end, tail.header.segment_bytes).map_err(failed())?;
        tail.file_bytes = tail.header.segment_bytes;
    }
    // The last group may be only in the page cache: the process before us may have died before its sync, or of a
    // failed one, after which the cache calls clean what the disk never got. Writing it again makes it count.
    if let Some(start) = last_group {
        let mut group = vec![0; (end - start) as usize];
        let filled = tail.file.read_at(&mut group, start).map_err(failed())?;
        assert_eq!(filled, group.len(), "the last group was just read whole");
        tail.file.write_at(&group, start).map_err(failed())?;
    }
    tail.file.sync_data().map_err(failed())?;
    storage.sync_dir().map_err(failed())?;
    let end = position(segment, end)?;
    Ok(Opened { heads, truncated: torn, scanned, end, tail, next_group, storage, options, lock })
}

fn position(segment: u32, offset: u64) -> Result<Position, JournalError> {
    match u32::try_from(offset) {
        Ok(offset) => Ok(Position { segment, offset }),
        Err(_) => Err(JournalError::damaged(segment, offset, "a segment is shorter than 4 GiB")),
    }
}
