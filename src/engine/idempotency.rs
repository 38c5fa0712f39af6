//! Idempotency keys of the last 24 hours: those of recent entries in memory, older ones in the store.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::command::IdempotencyKey;
use crate::primitives::time::Timestamp;

/// How long a key lives.
pub const LIFE_MS: i64 = 24 * 3_600_000;

/// How many keys stay in memory; beyond it the oldest are looked up in the store.
const IN_MEMORY: usize = 1_000_000;

/// What a key was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// The entry that it led to.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Method and path, hashed.
    pub endpoint: [u8; 8],
    /// Parameters, hashed.
    pub parameters: [u8; 16],
}

/// Recent keys, in memory.
#[derive(Clone, Debug, Default)]
pub struct Idempotency {
    uses: BTreeMap<[u8; 16], Use>,
    order: VecDeque<(Timestamp, [u8; 16])>,
    /// Keys were dropped from memory while they still lived.
    overflowed: bool,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It was used.
    Used(Use),
    /// It was not.
    Fresh,
    /// Not in memory; the store may know it.
    AskStore,
}

impl Idempotency {
    /// Looks a key up as of `now`.
    pub fn find(&self, key: &[u8; 16], now: Timestamp) -> Known {
        match self.uses.get(key) {
            Some(used) if lives(used.at, now) => Known::Used(*used),
            Some(_) => Known::Fresh,
            None if self.overflowed => Known::AskStore,
            None => Known::Fresh,
        }
    }

    /// Remembers a use, and forgets what has outlived its day or no longer fits.
    pub fn insert(&mut self, key: &IdempotencyKey, seq: u64, now: Timestamp) {
        let used = Use { seq, at: now, endpoint: key.endpoint, parameters: key.parameters };
        self.uses.insert(key.key, used);
        self.order.push_back((now, key.key));
        while let Some(&(at, oldest)) = self.order.front() {
            let alive = lives(at, now);
            if alive && self.order.len() <= IN_MEMORY {
                break;
            }
            self.overflowed |= alive;
            self.order.pop_front();
            if self.uses.get(&oldest).is_some_and(|used| used.at == at) {
                self.uses.remove(&oldest);
            }
        }
    }

    /// Marks the memory as incomplete: after a start from a snapshot older keys are in the store.
    pub fn ask_store(&mut self) {
        self.overflowed = true;
    }
}

/// Whether a key used at `at` still counts.
pub fn lives(at: Timestamp, now: Timestamp) -> bool {
    now.millis_since(at) < LIFE_MS
}
