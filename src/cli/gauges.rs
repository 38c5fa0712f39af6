//! The engine's figures for Prometheus: journal, projection, snapshots.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::engine::boot::Engine;
use crate::engine::journal::Metrics;
use crate::engine::projector::Progress;

/// Reads the engine's counters when asked.
pub struct EngineGauges {
    journal: Arc<Metrics>,
    progress: Progress,
}

impl std::fmt::Debug for EngineGauges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineGauges").finish_non_exhaustive()
    }
}

impl EngineGauges {
    /// Of a running engine.
    pub fn of(engine: &Engine) -> EngineGauges {
        EngineGauges { journal: engine.journal_metrics(), progress: engine.progress() }
    }
}

impl Collector for EngineGauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut put = |name: &str, help: &str, metric: &dyn EncodeAny| -> Result<(), std::fmt::Error> {
            metric.put(&mut encoder, name, help)
        };
        let journal = self.journal.totals();
        put("journal_groups", "Groups written: one write and one sync each", &ConstCounter::new(journal.groups))?;
        put("journal_entries", "Entries made durable", &ConstCounter::new(journal.entries))?;
        put("journal_bytes", "Bytes of groups written", &ConstCounter::new(journal.bytes))?;
        put("journal_sync_microseconds", "Time in fdatasync", &ConstCounter::new(journal.sync_micros))?;
        let lag = self.progress.lag();
        let entries = i64::try_from(lag.entries).unwrap_or(i64::MAX);
        put("projection_lag_entries", "Durable entries that the object store lacks", &ConstGauge::new(entries))?;
        let age = ConstGauge::new(lag.age.as_secs_f64());
        put("projection_lag_seconds", "Since when the oldest of them is durable", &age)
    }
}

trait EncodeAny {
    fn put(&self, encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str) -> Result<(), std::fmt::Error>;
}

impl<M: EncodeMetric> EncodeAny for M {
    fn put(&self, encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str) -> Result<(), std::fmt::Error> {
        self.encode(encoder.encode_descriptor(name, help, None, self.metric_type())?)
    }
}
