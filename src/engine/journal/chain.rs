//! Follows every platform's hash chain through what is read.

use std::collections::BTreeMap;

use super::format::{FrameView, SegmentHeader};
use super::{Head, JournalError, Position};

/// The heads as read so far.
#[derive(Debug, Default)]
pub struct ChainCheck {
    pub heads: BTreeMap<u32, Head>,
    /// Whether every platform's head is known. Not so after a start amid a segment: then the first frame of each
    /// platform is taken at its word, and the next segment header fills in the rest.
    complete: bool,
}

impl ChainCheck {
    /// A segment begins: its heads are what the segments before it led to.
    pub fn enter(&mut self, header: &SegmentHeader) -> Result<(), JournalError> {
        let agrees = if self.complete {
            self.heads == header.heads
        } else {
            self.heads.iter().all(|(platform, head)| header.heads.get(platform) == Some(head))
        };
        if !agrees {
            let what = "its heads are not what the entries before it led to";
            return Err(JournalError::damaged(header.segment, 0, what));
        }
        if !self.complete {
            self.heads.clone_from(&header.heads);
            self.complete = true;
        }
        Ok(())
    }

    /// An entry follows: it must continue its platform's chain. Returns its hash.
    pub fn follow(&mut self, position: Position, frame: &FrameView<'_>) -> Result<[u8; 32], JournalError> {
        let FrameView { platform, seq, previous, .. } = *frame;
        let known = self.heads.get(&platform).copied();
        let before = match known {
            Some(head) => head,
            None if self.complete => Head::GENESIS,
            None => Head { seq: seq.wrapping_sub(1), hash: previous },
        };
        let damaged = |what| JournalError::damaged(position.segment, u64::from(position.offset), what);
        if Some(seq) != before.seq.checked_add(1) {
            return Err(damaged(format!("platform {platform} goes from entry {} to entry {seq}", before.seq)));
        }
        if previous != before.hash {
            return Err(damaged(format!("entry {seq} of platform {platform} does not continue the platform's chain")));
        }
        let hash = frame.hash();
        self.heads.insert(platform, Head { seq, hash });
        Ok(hash)
    }
}
