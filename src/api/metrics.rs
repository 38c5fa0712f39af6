//! What is counted, for Prometheus.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds in seconds: from what memory costs to what a stuck disk costs.
const BOUNDS_S: [f64; 12] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: &'static str,
    status: u16,
}

/// The counters of the wire, and the registry that other rooms add theirs to.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<Labels, Counter>,
    seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let requests = Family::<Labels, Counter>::default();
        let seconds = Histogram::new(BOUNDS_S);
        let mut registry = Registry::with_prefix("florin");
        registry.register("http_requests", "Answered HTTP requests", requests.clone());
        registry.register("http_request_seconds", "From a request's head to its answer", seconds.clone());
        Metrics { registry: Mutex::new(registry), requests, seconds }
    }
}

impl Metrics {
    /// Counts an answered request.
    pub fn answered(&self, method: &Method, status: u16, took: Duration) {
        let method = match method.as_str() {
            "GET" => "GET",
            "POST" => "POST",
            "DELETE" => "DELETE",
            _ => "other",
        };
        self.requests.get_or_create(&Labels { method, status }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// The registry, to add to.
    pub fn registry(&self) -> MutexGuard<'_, Registry> {
        // A registry is a list: a panic while adding to it leaves it whole.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All metrics as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry());
        text
    }
}
