//! Florin's tests, in one binary.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test says what it expects
#![allow(clippy::type_complexity)] // tables of cases are types of their own

mod abuse;
mod accounts;
mod catalog;
mod charge_models;
mod crash;
mod daemon;
mod damage;
mod disk;
mod disputes;
mod edge;
mod erasure;
mod fuzz;
mod golden;
mod intents;
mod market;
mod one_effect;
mod payouts;
mod power;
mod properties;
mod rates;
mod refund_tables;
mod refunds;
mod replays;
mod simulation;
mod story;
mod tidy;
mod town;
mod wire;
mod worked_tables;
