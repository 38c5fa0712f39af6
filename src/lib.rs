//! Florin: a ledger daemon that runs a marketplace's money.
//!
//! Rooms, bottom to top; arrows point only downwards (`tests/tidy.rs` checks it):
//!
//! - [`primitives`] values that mean the same everywhere
//! - [`ledger`] double entry
//! - [`domain`] what may happen to money, as pure decisions
//! - [`engine`] order, durability, recovery; alone knows actix, sled and fjall
//! - [`api`] the wire
//! - [`web`] pages for payers' browsers
//! - [`simulation`] traffic, in process and over HTTP
//! - [`cli`] wiring

pub mod api;
pub mod cli;
pub mod domain;
pub mod engine;
pub mod ledger;
pub mod primitives;
pub mod simulation;
pub mod web;
