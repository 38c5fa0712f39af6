//! Latency and throughput, as a run goes on. All times are microseconds.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Longest time that is told apart from longer ones: an hour.
const LONGEST_US: u64 = 3_600_000_000;

/// Percentiles of one kind of time.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many were measured.
    pub count: u64,
    /// Mean.
    pub mean_us: f64,
    /// Median.
    pub p50_us: u64,
    /// Nine of ten are quicker.
    pub p90_us: u64,
    /// 99 of a hundred are quicker.
    pub p99_us: u64,
    /// 999 of a thousand are quicker.
    pub p999_us: u64,
    /// The slowest one.
    pub max_us: u64,
    /// Share of requests, and the time within which they were done: the curve of the report.
    pub spectrum: Vec<(f64, u64)>,
}

/// One second of a run.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Interval {
    /// Seconds since the start of the run.
    pub second: u64,
    /// Requests answered.
    pub requests: u64,
    /// … of them refused, failed or lost.
    pub errors: u64,
    /// Median latency of this second; 0 without requests.
    pub p50_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// The slowest.
    pub max_us: u64,
}

/// Collects times.
#[derive(Debug)]
pub struct Recorder {
    latency: Histogram<u64>,
    service: Histogram<u64>,
    now: Histogram<u64>,
    interval: Interval,
    series: Vec<Interval>,
}

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder::new()
    }
}

impl Recorder {
    /// An empty one.
    pub fn new() -> Recorder {
        Recorder {
            latency: histogram(3),
            service: histogram(3),
            now: histogram(2),
            interval: Interval::default(),
            series: Vec::new(),
        }
    }

    /// Takes one answer: when it came (since the start of the run), how long after its intended start, and how long the
    /// request itself took. Answers come in order of time.
    pub fn record(&mut self, at: Duration, latency: Duration, service: Duration, failed: bool) {
        self.seek(at.as_secs());
        let latency_us = micros(latency);
        self.latency.saturating_record(latency_us);
        self.service.saturating_record(micros(service));
        self.now.saturating_record(latency_us);
        self.interval.requests += 1;
        self.interval.errors += u64::from(failed);
    }

    /// Takes a request that was due but never sent: it would have taken at least this long.
    pub fn record_unsent(&mut self, at_least: Duration) {
        self.latency.saturating_record(micros(at_least));
    }

    /// Latency from the intended start.
    pub fn latency(&self) -> Percentiles {
        percentiles(&self.latency)
    }

    /// Time of the requests themselves.
    pub fn service(&self) -> Percentiles {
        percentiles(&self.service)
    }

    /// The seconds of the run, the last one included.
    pub fn into_series(mut self) -> Vec<Interval> {
        if self.interval.requests > 0 {
            self.close();
        }
        self.series
    }

    fn seek(&mut self, second: u64) {
        while self.interval.second < second {
            self.close();
        }
    }

    fn close(&mut self) {
        let second = self.interval.second;
        if !self.now.is_empty() {
            self.interval.p50_us = self.now.value_at_quantile(0.5);
            self.interval.p99_us = self.now.value_at_quantile(0.99);
            self.interval.max_us = self.now.max();
            self.now.reset();
        }
        self.series.push(self.interval);
        self.interval = Interval { second: second + 1, ..Interval::default() };
    }
}

/// Percentiles of a histogram of microseconds.
pub fn percentiles(histogram: &Histogram<u64>) -> Percentiles {
    if histogram.is_empty() {
        return Percentiles::default();
    }
    const POINTS: [f64; 14] = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1.0];
    let at = |share: f64| histogram.value_at_quantile(share);
    Percentiles {
        count: histogram.len(),
        mean_us: histogram.mean(),
        p50_us: at(0.5),
        p90_us: at(0.9),
        p99_us: at(0.99),
        p999_us: at(0.999),
        max_us: histogram.max(),
        spectrum: POINTS.iter().map(|&share| (share, at(share))).collect(),
    }
}

/// A histogram of 1 µs to an hour; its only failure would be bounds that these are not.
#[expect(clippy::expect_used, reason = "the bounds are constants, which a test exercises")]
pub fn histogram(significant_digits: u8) -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_US, significant_digits).expect("bounds of a histogram")
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_without_answers_are_part_of_the_series() {
        let mut recorder = Recorder::new();
        let ms = Duration::from_millis;
        recorder.record(ms(100), ms(1), ms(1), false);
        recorder.record(ms(3_100), ms(2_000), ms(1), true);
        recorder.record_unsent(ms(9_000));
        assert_eq!(recorder.latency().count, 3);
        assert!(recorder.latency().max_us >= 9_000_000);
        assert_eq!(recorder.service().count, 2);
        let series = recorder.into_series();
        assert_eq!(
            series.iter().map(|s| (s.second, s.requests, s.errors)).collect::<Vec<_>>(),
            [(0, 1, 0), (1, 0, 0), (2, 0, 0), (3, 1, 1)]
        );
        assert!(series[3].max_us >= 1_980_000, "{series:?}");
    }

    #[test]
    fn a_time_out_of_range_is_the_longest_one() {
        let mut recorder = Recorder::new();
        recorder.record(Duration::ZERO, Duration::from_secs(10_000), Duration::ZERO, false);
        assert!(recorder.latency().max_us >= LONGEST_US);
    }
}
