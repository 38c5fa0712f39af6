//! The journal: the truth of the house, as files that only grow.
//!
//! **Owns** order on disk: what [`Writer`] has reported as [`Durable`] survives a power cut, in the order of each
//! platform's sequence, and nobody can change it unseen (one BLAKE3 chain per platform).
//! **Never** looks into a payload, knows actors, decides about money, or repairs: a journal that is damaged is refused.
//! **Why our own:** of the engines tried, none told a damaged middle from a torn tail in every case;
//! the measurements are in `docs/architecture.md`.
//!
//! # Life of an entry
//! [`Writer::append`] queues it; the writer thread packs what queued during the last sync into one *group*, writes it
//! with one `pwrite`, syncs it with one `fdatasync`, moves the durable mark and only then calls `on_durable`.
//!
//! # Bytes (little endian; [`format`] has the offsets)
//! ```text
//! 00000001.seg   64 MiB, zero-filled and synced before its first use
//!   segment header   magic, version, number, journal identity, first group, length, every platform's head, CRC-32C
//!   group            header: magic, identity, number, own position, length, count, body CRC, header CRC
//!     frame          CRC-32C, length, way back to the group, previous BLAKE3, platform, sequence, payload
//!     frame ...      then zeros to the next multiple of 8
//!   group ...        then zeros to the end
//! ```
//! **The group is the unit of validity.** The pages of one write reach the disk in any order, so a torn group can hold
//! sound frames. A group is written only after the sync of the one before has returned, so at most one can be torn.
//! That is what lets recovery tell a torn tail (cut, with a warning) from damage (refused): see [`recovery`].
//!
//! A segment gets its name (`next.tmp` -> `0000000N.seg`) only when its header is on disk and every earlier group is
//! too. So a segment that has its name has a sound header, and nothing before it can be torn: otherwise it is damage.

mod chain;
pub mod error;
mod format;
mod metrics;
mod queue;
mod reader;
pub mod recovery;
mod segment;
#[doc(hidden)]
pub mod sim;
mod spare;
pub mod storage;
mod tail;
mod walk;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

pub use error::JournalError;
pub use format::chain_hash;
pub use metrics::{Metrics, Totals};
pub use reader::{Check, Frame, Frames, ReadFrom, Reader};
pub use recovery::{Journal, Locked, Opened, ScanFrom, TornTail};
pub use storage::{FileStorage, Storage};
pub use writer::{OnDurable, OnFailure, Writer, start};

/// An entry on its way into the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    pub platform: u32,
    /// The platform's sequence: 1 for its first entry, then without gaps. Anything else is our bug, and asserted.
    pub seq: u64,
    pub payload: Bytes,
}

/// An entry that is on disk: replies that depend on it may leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable {
    pub platform: u32,
    pub seq: u64,
    pub position: Position,
    pub payload: Bytes,
    /// The platform's chain up to and including this entry.
    pub hash: [u8; 32],
}

/// Where a frame begins. Orders as the journal does; an index can store it as one integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Number of the segment, counted from 1.
    pub segment: u32,
    /// Bytes from the start of the segment's file.
    pub offset: u32,
}

impl Position {
    #[must_use]
    pub fn to_u64(self) -> u64 {
        (u64::from(self.segment) << 32) | u64::from(self.offset)
    }

    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // the two halves are what is wanted
    pub fn from_u64(packed: u64) -> Position {
        Position { segment: (packed >> 32) as u32, offset: packed as u32 }
    }
}

/// The newest entry of a platform: its sequence and the hash of the chain that ends there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub seq: u64,
    pub hash: [u8; 32],
}

impl Head {
    /// A platform that has no entry yet.
    pub const GENESIS: Head = Head { seq: 0, hash: [0; 32] };
}

/// How a journal is written. Reading needs none of it: every segment says how long it is.
#[derive(Clone, Debug)]
pub struct Options {
    /// Length of new segments. One that could not hold its header and the largest entry is made longer.
    pub segment_bytes: u64,
    /// Largest payload that is accepted, at most 4 MiB.
    pub max_entry_bytes: usize,
    /// Ask for `SCHED_RR` priority 1 for the writer thread; without `CAP_SYS_NICE` it warns and goes on. On a busy
    /// machine most of a commit is the writer waiting for a CPU after its I/O: 1-3 ms became 115-158 us.
    pub realtime: bool,
    /// Marks the groups of a new journal as its own, so that no payload can pass for a group. Random when `None`,
    /// as it should be outside tests: who can guess it can forge a "valid group behind a torn one".
    pub identity: Option<u64>,
}

impl Default for Options {
    fn default() -> Options {
        Options { segment_bytes: 64 << 20, max_entry_bytes: 1 << 20, realtime: false, identity: None }
    }
}

/// How far the journal is on disk: the end of the last synced group. The writer moves it, readers stop at it, so that
/// nobody sees what a crash could take back.
#[derive(Debug)]
pub(crate) struct DurableMark(AtomicU64);

impl DurableMark {
    fn new(end: Position) -> DurableMark {
        DurableMark(AtomicU64::new(end.to_u64()))
    }

    fn get(&self) -> Position {
        Position::from_u64(self.0.load(Ordering::Acquire))
    }

    fn advance(&self, end: Position) {
        let before = self.0.swap(end.to_u64(), Ordering::AcqRel);
        assert!(before < end.to_u64(), "the durable mark goes forward only");
    }
}
