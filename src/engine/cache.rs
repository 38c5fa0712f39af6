//! Records at hand: what was decided and is not in the store yet (never dropped), and what was read lately.

use std::collections::BTreeMap;

use crate::domain::record::{RecordKey, Shared};

/// How many records stay at hand.
const CAPACITY: usize = 40_000;

#[derive(Debug)]
struct Slot {
    record: Option<Shared>,
    /// Entry that wrote it; 0 for one read from the store.
    seq: u64,
    /// Generation of its last use.
    used: u32,
}

/// Records at hand.
#[derive(Debug, Default)]
pub struct RecordCache {
    slots: BTreeMap<RecordKey, Slot>,
    generation: u32,
}

impl RecordCache {
    /// The record; `None`: not at hand; `Some(None)`: known not to exist.
    pub fn get(&self, key: RecordKey) -> Option<Option<Shared>> {
        self.slots.get(&key).map(|slot| slot.record.clone())
    }

    /// Keeps what an entry wrote, or what was read from the store (`seq` 0).
    pub fn put(&mut self, key: RecordKey, record: Option<Shared>, seq: u64) {
        let used = self.generation;
        self.slots.insert(key, Slot { record, seq, used });
    }

    /// Marks as used, so that it survives the next sweep.
    pub fn touch(&mut self, key: RecordKey) {
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.used = self.generation;
        }
    }

    /// Drops what the store has and nobody used lately, once there is too much.
    pub fn sweep(&mut self, projected: u64) {
        if self.slots.len() <= CAPACITY {
            return;
        }
        let current = self.generation;
        self.slots.retain(|_, slot| slot.seq > projected || slot.used == current && slot.seq == 0);
        self.generation = self.generation.wrapping_add(1);
    }
}
