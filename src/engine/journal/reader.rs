//! Reading: all frames from some place on, or the one at a position.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::chain::ChainCheck;
use super::format::{FRAME_HEADER, FrameView, GROUP_ALIGN, GROUP_HEADER, GroupHeader, chain_hash};
use super::recovery::TornTail;
use super::segment::{self, file_name};
use super::storage::{Access, Storage, StorageFile};
use super::walk::{Step, Until, Walk, frame_in_group};
use super::{DurableMark, JournalError, Position};

/// Files that [`Reader::read_at`] keeps open. A process may have some 1,000 in all.
const OPEN_FILES_MAX: usize = 128;

/// An entry as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub platform: u32,
    pub seq: u64,
    pub position: Position,
    /// Hash of the platform's entry before this one.
    pub previous: [u8; 32],
    /// Shares the memory of its whole group (at most 8 MiB) when it came out of [`Frames`]: copy what you keep long.
    pub payload: Bytes,
}

impl Frame {
    /// The platform's chain up to and including this entry. Computed on each call.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        chain_hash(&self.previous, self.platform, self.seq, &self.payload)
    }
}

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    Beginning,
    Segment(u32),
    /// With the frame at this position.
    Frame(Position),
    /// With the one behind it.
    After(Position),
}

/// How much is checked. Group checksums, numbers and places always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    Checksums,
    /// Also that every platform's entries follow each other and that their hashes are a chain: BLAKE3 over everything.
    Chain,
}

/// Reads a journal; any number of them, on any thread, beside one writer.
pub struct Reader {
    storage: Arc<dyn Storage>,
    durable: Option<Arc<DurableMark>>,
    files: Mutex<BTreeMap<u32, Arc<dyn StorageFile>>>,
}

impl Reader {
    /// Of a journal that nobody writes: for replay before the start, `cat`, `verify`, copies. Stops before a torn tail.
    pub fn offline(storage: Arc<dyn Storage>) -> Reader {
        Reader { storage, durable: None, files: Mutex::default() }
    }

    /// Of a journal that is being written: sees what is durable, never what a crash could take back.
    pub(super) fn following(storage: Arc<dyn Storage>, durable: Arc<DurableMark>) -> Reader {
        Reader { storage, durable: Some(durable), files: Mutex::default() }
    }

    /// All frames from a place on, in the order of the journal.
    ///
    /// # Errors
    /// When the place does not exist. Damage comes out of the iterator, which ends with it.
    pub fn frames_from(&self, from: ReadFrom, check: Check) -> Result<Frames, JournalError> {
        let until = match &self.durable {
            Some(mark) => Until::Durable(mark.clone()),
            None => match segment::list(&*self.storage)?.last() {
                Some(last) => Until::LastSegment(*last),
                None => return Ok(Frames::nothing()),
            },
        };
        let at_segment = |number| Walk::from_segment(self.storage.clone(), until.clone(), number);
        let at_frame = |position| {
            self.refuse_undurable(position)?;
            let (_, group) = read_frame(&*self.file(position.segment)?, position)?;
            Walk::from_group(self.storage.clone(), until.clone(), group)
        };
        let (walk, skip) = match from {
            ReadFrom::Beginning => (at_segment(1), None),
            ReadFrom::Segment(number) => (at_segment(number), None),
            ReadFrom::Frame(position) => (at_frame(position)?, Some((position, false))),
            ReadFrom::After(position) => (at_frame(position)?, Some((position, true))),
        };
        let chain = (check == Check::Chain).then(ChainCheck::default);
        Ok(Frames { walk: Some(walk), group: None, chain, skip, torn: None })
    }

    /// The frame at a position, by one read in most cases.
    ///
    /// # Errors
    /// [`JournalError::NoFrame`] when none begins there, or none that is durable.
    pub fn read_at(&self, position: Position) -> Result<Frame, JournalError> {
        self.refuse_undurable(position)?;
        let (frame, _) = read_frame(&*self.file(position.segment)?, position)?;
        Ok(frame)
    }

    fn refuse_undurable(&self, position: Position) -> Result<(), JournalError> {
        match &self.durable {
            Some(mark) if position >= mark.get() => {
                Err(JournalError::NoFrame { position, what: "it is behind the end of what is durable".into() })
            }
            _ => Ok(()),
        }
    }

    fn file(&self, number: u32) -> Result<Arc<dyn StorageFile>, JournalError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get(&number) {
            return Ok(file.clone());
        }
        let name = file_name(number);
        let file = self.storage.open(&name, Access::Read).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => {
                JournalError::MissingSegment { segment: number, place: self.storage.place() }
            }
            _ => JournalError::Io { doing: format!("open {name}"), source },
        })?;
        if files.len() >= OPEN_FILES_MAX {
            files.pop_first();
        }
        files.insert(number, file.clone());
        Ok(file)
    }
}

/// The frame at `position`, checked, and the place of its group.
fn read_frame(file: &dyn StorageFile, position: Position) -> Result<(Frame, Position), JournalError> {
    /// Most entries are 400-800 bytes: one read gets them whole.
    const GUESS: usize = 2048;
    let Position { segment, offset } = position;
    let failed = || JournalError::io(format!("read {} at byte {offset}", file_name(segment)));
    let no_frame = |what: &str| JournalError::NoFrame { position, what: what.into() };
    let mut bytes = vec![0; GUESS];
    let filled = file.read_at(&mut bytes, u64::from(offset)).map_err(failed())?;
    if filled < FRAME_HEADER {
        return Err(no_frame("the file ends before it"));
    }
    let length = FrameView::length_of(&bytes);
    if length as u64 + u64::from(offset) > file.file_bytes().map_err(failed())? {
        return Err(no_frame("it would reach beyond the end of the file"));
    }
    if length > filled {
        bytes.resize(length, 0);
        file.read_at(&mut bytes[filled..], u64::from(offset) + filled as u64).map_err(failed())?;
    }
    bytes.truncate(length);
    let bytes = Bytes::from(bytes);
    let view = FrameView::decode(&bytes).map_err(no_frame)?;
    let group = offset.checked_sub(view.back).filter(|group| u64::from(*group).is_multiple_of(GROUP_ALIGN));
    let group = group.ok_or_else(|| no_frame("what stands there belongs to no group"))?;
    let payload = bytes.slice_ref(view.payload);
    let frame = Frame { platform: view.platform, seq: view.seq, position, previous: view.previous, payload };
    Ok((frame, Position { segment, offset: group }))
}

/// Iterator over frames. Beside a running writer, `None` means "nothing more for now": ask again after the next group.
pub struct Frames {
    /// `None` after an error, and for a journal without segments.
    walk: Option<Walk>,
    group: Option<Group>,
    chain: Option<ChainCheck>,
    /// Leave out what lies before this position, and the frame at it if told so.
    skip: Option<(Position, bool)>,
    torn: Option<TornTail>,
}

struct Group {
    header: GroupHeader,
    bytes: Bytes,
    /// Where in `bytes` the next frame begins.
    at: usize,
    left: u32,
}

impl Frames {
    fn nothing() -> Frames {
        Frames { walk: None, group: None, chain: None, skip: None, torn: None }
    }

    /// After the last frame: what lies behind it, if that is a torn write.
    pub fn torn(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    fn advance(&mut self) -> Result<Option<Frame>, JournalError> {
        loop {
            if let Some(group) = &mut self.group
                && group.left > 0
            {
                let frame = group.next_frame(self.chain.as_mut())?;
                match self.skip {
                    Some((from, exclusive)) if frame.position < from || (exclusive && frame.position == from) => {}
                    Some(_) | None => {
                        self.skip = None;
                        return Ok(Some(frame));
                    }
                }
                continue;
            }
            let Some(walk) = &mut self.walk else { return Ok(None) };
            match walk.next()? {
                Step::Segment(header) => {
                    if let Some(chain) = &mut self.chain {
                        chain.enter(&header)?;
                    }
                }
                Step::Group(header) => {
                    let bytes = Bytes::copy_from_slice(walk.body());
                    self.group = Some(Group { header, bytes, at: GROUP_HEADER, left: header.entry_count });
                }
                Step::End => {
                    self.torn = walk.torn().map(|(at, what)| TornTail {
                        segment: at.segment,
                        offset: u64::from(at.offset),
                        what,
                    });
                    return Ok(None);
                }
            }
        }
    }
}

impl Group {
    fn next_frame(&mut self, chain: Option<&mut ChainCheck>) -> Result<Frame, JournalError> {
        let (position, view) = frame_in_group(self.header, &self.bytes, self.at)?;
        if let Some(chain) = chain {
            chain.follow(position, &view)?;
        }
        self.at += view.frame_bytes();
        self.left -= 1;
        Ok(Frame {
            platform: view.platform,
            seq: view.seq,
            position,
            previous: view.previous,
            payload: self.bytes.slice_ref(view.payload),
        })
    }
}

impl Iterator for Frames {
    type Item = Result<Frame, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if let Some(Err(_)) = &next {
            self.walk = None;
            self.group = None;
        }
        next
    }
}
