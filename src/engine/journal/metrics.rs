//! What the writer thread counts, cheap enough to count always.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const BUCKETS: usize = 26;

/// Counters of one writer since its start. Reading them never waits for the writer.
#[derive(Debug, Default)]
pub struct Metrics {
    groups: AtomicU64,
    entries: AtomicU64,
    bytes: AtomicU64,
    sync_micros: AtomicU64,
    sync_micros_max: AtomicU64,
    /// Bucket n counts the syncs that took less than 2^n microseconds and no less than half of that.
    sync_buckets: [AtomicU64; BUCKETS],
}

/// The counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub groups: u64,
    pub entries: u64,
    /// Group headers and padding included, segment headers not.
    pub bytes: u64,
    /// Time in `fdatasync`, of all groups.
    pub sync_micros: u64,
    pub sync_micros_max: u64,
    /// Pair of upper bound (exclusive, microseconds) and how many syncs stayed below it but not below the one before.
    pub sync_histogram: Vec<(u64, u64)>,
}

impl Metrics {
    pub(super) fn group_synced(&self, entries: u64, bytes: u64, sync: Duration) {
        let micros = u64::try_from(sync.as_micros()).unwrap_or(u64::MAX);
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.entries.fetch_add(entries, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.sync_micros.fetch_add(micros, Ordering::Relaxed);
        self.sync_micros_max.fetch_max(micros, Ordering::Relaxed);
        let bucket = (u64::BITS - micros.leading_zeros()) as usize;
        self.sync_buckets[bucket.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    #[must_use]
    pub fn totals(&self) -> Totals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            groups: read(&self.groups),
            entries: read(&self.entries),
            bytes: read(&self.bytes),
            sync_micros: read(&self.sync_micros),
            sync_micros_max: read(&self.sync_micros_max),
            sync_histogram: self.sync_buckets.iter().enumerate().map(|(n, count)| (1 << n, read(count))).collect(),
        }
    }
}

impl Totals {
    /// Upper bound, within a factor of two, of the sync time that a share of all syncs (0.99 for p99) stayed below.
    #[must_use]
    pub fn sync_micros_at(&self, share: f64) -> u64 {
        let wanted = (self.groups as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bound, count) in &self.sync_histogram {
            seen += count;
            if seen >= wanted {
                return *bound;
            }
        }
        self.sync_micros_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_come_out_of_the_buckets() {
        let metrics = Metrics::default();
        for _ in 0..99 {
            metrics.group_synced(4, 100, Duration::from_micros(100));
        }
        metrics.group_synced(4, 100, Duration::from_millis(3));
        let totals = metrics.totals();
        assert_eq!((totals.groups, totals.entries, totals.bytes), (100, 400, 10_000));
        assert_eq!((totals.sync_micros_at(0.5), totals.sync_micros_at(1.0)), (128, 4096));
        assert_eq!(totals.sync_micros_max, 3000);
    }
}
