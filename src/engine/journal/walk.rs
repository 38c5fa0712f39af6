//! Goes from group to group and from segment to segment, and trusts nothing on the way.
//!
//! Recovery and [`Reader`](super::Reader) walk by this same code, so they cannot disagree about what the journal holds.

use std::sync::Arc;

use super::format::{FrameView, GROUP_HEADER, GroupHeader, SegmentHeader};
use super::segment::{Segment, file_name};
use super::storage::{Access, Storage};
use super::tail::{self, Rest};
use super::{DurableMark, JournalError, Position};

/// Where a walk stops.
#[derive(Clone)]
pub enum Until {
    /// At what a running writer has made durable; everything before it must be sound.
    Durable(Arc<DurableMark>),
    /// Behind the last sound group of this segment, the last there is; the rest is judged.
    LastSegment(u32),
}

/// What the walk came upon.
#[derive(Debug)]
pub enum Step {
    Segment(SegmentHeader),
    /// Its frames are in [`Walk::body`].
    Group(GroupHeader),
    End,
}

pub struct Walk {
    storage: Arc<dyn Storage>,
    until: Until,
    /// The segment to open when none is.
    next_segment: u32,
    current: Option<Segment>,
    /// In `current`: where the next group begins.
    offset: u64,
    window: Window,
    body: std::ops::Range<usize>,
    /// What the group to come must say. `None` until the first is read.
    next_group: Option<u64>,
    identity: Option<u64>,
    /// Where the segment before the current one ended, to name when groups turn out to be missing there.
    previous_end: Option<(u32, u64)>,
    /// Why the tail counts as torn.
    torn: Option<&'static str>,
}

impl Walk {
    pub fn from_segment(storage: Arc<dyn Storage>, until: Until, segment: u32) -> Walk {
        Walk {
            storage,
            until,
            next_segment: segment,
            current: None,
            offset: 0,
            window: Window::default(),
            body: 0..0,
            next_group: None,
            identity: None,
            previous_end: None,
            torn: None,
        }
    }

    /// Begins with the group at `place`.
    pub fn from_group(storage: Arc<dyn Storage>, until: Until, place: Position) -> Result<Walk, JournalError> {
        let mut walk = Walk::from_segment(storage, until, place.segment);
        let segment = Segment::open(&*walk.storage, place.segment, Access::Read)?;
        walk.offset = u64::from(place.offset);
        walk.identity = Some(segment.header.identity);
        walk.current = Some(segment);
        Ok(walk)
    }

    /// Header and frames of the group that [`next`](Self::next) returned.
    pub fn body(&self) -> &[u8] {
        &self.window.bytes[self.body.clone()]
    }

    /// The segment the walk is in, and how far it got there.
    pub fn into_place(self) -> Option<(Segment, u64)> {
        let offset = self.offset;
        self.current.map(|segment| (segment, offset))
    }

    /// After the end: why what lies behind it is a torn tail, and where that begins.
    pub fn torn(&self) -> Option<(Position, &'static str)> {
        Some((self.here()?, self.torn?))
    }

    pub fn next(&mut self) -> Result<Step, JournalError> {
        loop {
            let Some(segment) = &self.current else { return self.enter() };
            let number = segment.header.segment;
            let limit = match &self.until {
                Until::LastSegment(_) => segment.file_bytes,
                Until::Durable(mark) => {
                    let mark = mark.get();
                    if self.here() >= Some(mark) {
                        return Ok(Step::End);
                    }
                    // Never read ahead of the mark: what is not there yet would be remembered as zeros.
                    if mark.segment == number { u64::from(mark.offset) } else { segment.file_bytes }
                }
            };
            match read_group(&mut self.window, segment, self.offset, limit)? {
                Found::Group(header) => {
                    if let Some(expected) = self.next_group
                        && header.group != expected
                    {
                        let what = format!("group {expected} should stand here, group {} does", header.group);
                        return Err(JournalError::damaged(number, self.offset, what));
                    }
                    let start = self.window.index_of(self.offset);
                    self.body = start..start + header.group_bytes() as usize;
                    self.offset += header.group_bytes();
                    self.next_group = Some(header.group + 1);
                    return Ok(Step::Group(header));
                }
                Found::Nothing if self.goes_on_behind(number) => {
                    self.previous_end = Some((number, self.offset));
                    self.next_segment = number + 1;
                    self.current = None;
                }
                // A segment gets its name only after every group before it is durable: this one was.
                Found::Broken(what) if self.goes_on_behind(number) => {
                    return Err(JournalError::damaged(number, self.offset, what));
                }
                Found::Nothing => return self.end("what is written here is not the beginning of a group"),
                Found::Broken(what) => return self.end(what),
            }
        }
    }

    fn here(&self) -> Option<Position> {
        let segment = self.current.as_ref()?;
        let offset = u32::try_from(self.offset).unwrap_or(u32::MAX);
        Some(Position { segment: segment.header.segment, offset })
    }

    fn goes_on_behind(&self, segment: u32) -> bool {
        match &self.until {
            Until::Durable(mark) => segment < mark.get().segment,
            Until::LastSegment(last) => segment < *last,
        }
    }

    /// Opens the next segment and compares what it says about those before it with what was found there.
    fn enter(&mut self) -> Result<Step, JournalError> {
        let number = self.next_segment;
        let segment = Segment::open(&*self.storage, number, Access::Read)?;
        let header = segment.header.clone();
        if self.identity.is_some_and(|identity| identity != header.identity) {
            return Err(JournalError::damaged(number, 0, "the segment belongs to another journal"));
        }
        if let (Some(expected), Some((before, end))) = (self.next_group, self.previous_end)
            && header.first_group != expected
        {
            let what = format!(
                "nothing more stands in this segment, but the next one begins with group {}, so the groups from \
                 {expected} on are missing",
                header.first_group
            );
            return Err(JournalError::damaged(before, end, what));
        }
        self.identity = Some(header.identity);
        self.next_group = Some(header.first_group);
        self.offset = segment.data_start;
        self.window.clear();
        self.current = Some(segment);
        Ok(Step::Segment(header))
    }

    /// No sound group stands at the current offset of the last segment: end, torn tail or damage?
    fn end(&mut self, what: &'static str) -> Result<Step, JournalError> {
        let Some(segment) = &self.current else { return Ok(Step::End) };
        let number = segment.header.segment;
        if matches!(self.until, Until::Durable(_)) {
            let what = format!("it was durable, but now: {what}");
            return Err(JournalError::damaged(number, self.offset, what));
        }
        match tail::judge(segment, self.offset)? {
            Rest::Blank if segment.file_bytes == segment.header.segment_bytes => self.torn = None,
            Rest::Blank => self.torn = Some("the file is shorter than its header says"),
            Rest::Torn => self.torn = Some(what),
            Rest::SoundGroup { offset, group } => {
                let what = format!("{what}, yet group {group} at byte {offset} behind it is whole");
                return Err(JournalError::damaged(number, self.offset, what));
            }
        }
        Ok(Step::End)
    }
}

enum Found {
    Group(GroupHeader),
    /// Zeros, or the end of the file.
    Nothing,
    Broken(&'static str),
}

fn read_group(window: &mut Window, segment: &Segment, offset: u64, limit: u64) -> Result<Found, JournalError> {
    let number = segment.header.segment;
    let Ok(place) = u32::try_from(offset) else { return Ok(Found::Nothing) };
    let start = window.get(segment, offset, GROUP_HEADER, limit)?;
    let start = &start[..start.len().min(GROUP_HEADER)];
    if start.iter().all(|byte| *byte == 0) {
        return Ok(Found::Nothing);
    }
    let header = match GroupHeader::decode(start, segment.header.identity, Position { segment: number, offset: place })
    {
        Ok(header) => header,
        Err(what) => return Ok(Found::Broken(what)),
    };
    if offset + header.group_bytes() > segment.header.segment_bytes {
        return Ok(Found::Broken("a group says it reaches beyond its segment"));
    }
    let whole = header.group_bytes() as usize;
    let bytes = window.get(segment, offset, whole, limit)?;
    match bytes.get(GROUP_HEADER..whole) {
        None => Ok(Found::Broken("the file ends inside a group")),
        Some(body) if crc32c::crc32c(body) != header.body_crc => {
            Ok(Found::Broken("the checksum of a group does not match"))
        }
        Some(_) => Ok(Found::Group(header)),
    }
}

/// The frames of a group, with their places. `group` is the header and the frames, its checksums already right.
pub fn frames<'a>(
    header: GroupHeader,
    group: &'a [u8],
) -> impl Iterator<Item = Result<(Position, FrameView<'a>), JournalError>> {
    let mut at = GROUP_HEADER;
    (0..header.entry_count).map(move |_| {
        let (position, view) = frame_in_group(header, group, at)?;
        at += view.frame_bytes();
        Ok((position, view))
    })
}

/// The frame `at` bytes into a group. An error here is a bug of the writer or a forged group: the checksums were right.
pub fn frame_in_group(header: GroupHeader, group: &[u8], at: usize) -> Result<(Position, FrameView<'_>), JournalError> {
    let Position { segment, offset } = header.place;
    let offset = u64::from(offset) + at as u64;
    let damaged = |what| JournalError::damaged(segment, offset, what);
    let view = FrameView::decode(group.get(at..).unwrap_or_default()).map_err(damaged)?;
    match (u32::try_from(offset), u32::try_from(at)) {
        (Ok(offset), Ok(at)) if at == view.back => Ok((Position { segment, offset }, view)),
        _ => Err(damaged("a frame does not know its own group")),
    }
}

/// A piece of the file in memory, read ahead in growing steps: small for a look at one group, large for a replay.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    /// How much of `bytes` was read.
    filled: usize,
    /// Where in the file `bytes` begins.
    at: u64,
    step: usize,
}

impl Window {
    const STEP_MIN: usize = 64 << 10;
    const STEP_MAX: usize = 2 << 20;

    fn clear(&mut self) {
        self.filled = 0;
    }

    fn index_of(&self, offset: u64) -> usize {
        (offset - self.at) as usize
    }

    /// At least `need` bytes from `offset` on, or as many as there are before `limit` and the end of the file.
    fn get(&mut self, segment: &Segment, offset: u64, need: usize, limit: u64) -> Result<&[u8], JournalError> {
        let held = self.at..self.at + self.filled as u64;
        let enough = held.contains(&offset) && held.end - offset >= need as u64;
        if !enough {
            self.step = (self.step * 2).clamp(Self::STEP_MIN, Self::STEP_MAX);
            let wanted = (need.max(self.step) as u64).min(limit.saturating_sub(offset)) as usize;
            if self.bytes.len() < wanted {
                self.bytes.resize(wanted, 0);
            }
            let doing = || format!("read {} at byte {offset}", file_name(segment.header.segment));
            let read = segment.file.read_at(&mut self.bytes[..wanted], offset);
            self.filled = read.map_err(|source| JournalError::Io { doing: doing(), source })?;
            self.at = offset;
        }
        let start = self.index_of(offset);
        Ok(&self.bytes[start..self.filled])
    }
}
