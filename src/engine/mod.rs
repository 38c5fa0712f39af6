//! engine
pub mod journal;
