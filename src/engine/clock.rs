//! The wall clock. Nothing else in the house reads it to decide.

use crate::primitives::time::Timestamp;

/// Milliseconds since 1970 by the machine's clock; the epoch itself if the clock stands before it.
#[allow(clippy::disallowed_methods)] // the one place that reads it
pub fn wall() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
