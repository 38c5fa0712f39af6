//! The version of the wire that Florin speaks.

/// Echoed on every answer and named by every event.
pub const API_VERSION: &str = "2026-10-28.endive";
