//! What can go wrong with a journal, said so that a person at three in the morning knows what to do.

use std::io;

use super::Position;
use super::segment::file_name;

/// Why the journal cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk said no. After a failed write or sync nobody knows what it holds: the process has to end, and
    /// recovery settles it by checksum.
    #[error("journal: cannot {doing}: {source}; check the disk (space, health, permissions), then start again")]
    Io { doing: String, source: io::Error },

    /// Another process has the journal open for writing.
    #[error(
        "journal in {place} is in use by another process; two writers would tear it. Stop the other daemon, or give \
         this one a data folder of its own"
    )]
    Locked { place: String },

    /// Bytes that were durable are not what was written. Never repaired here.
    #[error(
        "journal segment {} is damaged at byte {offset}: {what}. Nothing was changed. Restore this file from a copy \
         (backup or standby) and start again; a journal is never edited by hand", file_name(*.segment)
    )]
    Damaged { segment: u32, offset: u64, what: String },

    /// A file between two others is gone.
    #[error(
        "journal segment {} is missing in {place}. Nothing was changed. Restore this file from a copy (backup or \
         standby) and start again", file_name(*.segment)
    )]
    MissingSegment { segment: u32, place: String },

    /// Entries that were durable are not there.
    #[error(
        "journal ends at entry {end} of platform {platform}, but the folders beside it (objects, snapshots) have seen \
         entry {seen}: it lost acknowledged entries. Nothing was changed. Restore the journal from a copy (backup or \
         standby) and start again. Only if those two folders belong to another journal, remove them"
    )]
    EndLost { platform: u32, end: u64, seen: u64 },

    /// Written by a newer release.
    #[error(
        "journal segment {} has format version {version}, this release reads up to {}: start the newer release",
        file_name(*.segment), super::format::VERSION
    )]
    NewerFormat { segment: u32, version: u32 },

    /// Nothing was read wrongly: there just is no frame at the position that was asked for.
    #[error(
        "journal has no frame at segment {} byte {}: {what}. The index that named it is ahead of the journal or is not \
         of this journal: rebuild it", .position.segment, .position.offset
    )]
    NoFrame { position: Position, what: String },

    /// Refused before anything of its batch was queued.
    #[error("journal entry {seq} of platform {platform} has {bytes} bytes, the largest allowed is {max}")]
    EntryTooLarge { platform: u32, seq: u64, bytes: usize, max: usize },

    /// An option that no journal can be written with.
    #[error("journal option {option} is {value}; it must be {must_be}")]
    BadOption { option: &'static str, value: u64, must_be: &'static str },

    /// Asked to append after a failure or after the end.
    #[error("journal no longer takes entries: {reason}; nothing of this batch was written, start the daemon again")]
    Stopped { reason: String },

    /// A bug of ours in the writer thread.
    #[error("journal writer stopped by a bug: {message}; nothing unacknowledged counts, start the daemon again")]
    WriterPanicked { message: String },
}

impl JournalError {
    /// For `map_err`: names what was being done.
    pub(in crate::engine) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> JournalError {
        move |source| JournalError::Io { doing: doing.into(), source }
    }

    pub(super) fn damaged(segment: u32, offset: u64, what: impl Into<String>) -> JournalError {
        JournalError::Damaged { segment, offset, what: what.into() }
    }
}
