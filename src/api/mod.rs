//! api
pub mod error;
pub mod params;
