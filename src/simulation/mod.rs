//! Simulation: a marketplace's traffic, made from a seed.
//!
//! *Owns* what happens outside a ledger: when buyers come, how much they spend, with whom, what they send back, and how
//! that becomes requests. *Never* decides about money, and never looks into the engine: a driver turns [`Action`]s into
//! requests of its own kind, so the same day can run in process or over HTTP. *Why*: one scenario and one seed make one
//! plan, on every machine and in every build, so two runs can be compared to the byte.
//!
//! - [`scenario`] the file format of `simulations/*.toml`
//! - [`draws`] portable random draws from named sub-streams
//! - [`traffic`] scenario and seed → actions in order of virtual time
//! - [`in_process`] the driver behind `florin simulate`
//! - [`http`] the driver behind `florin load`
//! - [`statistics`] latency and throughput as a run goes on
//! - [`report`] what a run leaves behind: JSON, CSV, one HTML page; [`charts`] draws its charts
//! - [`progress`] bars on a terminal

pub mod charts;
pub mod draws;
pub mod http;
pub mod in_process;
pub mod progress;
pub mod report;
pub mod scenario;
pub mod statistics;
pub mod traffic;

pub use http::{LoadError, LoadOptions, LoadReport, Pace};
pub use report::RunReport;
pub use scenario::{Scenario, ScenarioError};
pub use traffic::{Action, ActionKind, Plan, PlanError};
