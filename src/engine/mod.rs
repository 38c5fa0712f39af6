//! Order, durability and recovery.
//!
//! Owns the machine of each platform, the actors that carry it, the journal, the snapshots, the object store.
//! Alone knows actix, sled and fjall; nothing below knows a clock or a disk.
//! Why: one order per platform, and nothing acknowledged that a crash could take back.

pub mod account_actor;
pub mod boot;
pub mod cache;
pub mod clock;
pub mod digest;
pub mod entry;
pub mod idempotency;
pub mod in_flight;
pub mod journal;
pub mod machine;
pub mod plain;
pub mod platform;
pub mod projector;
pub mod rates;
pub mod read_ahead;
pub mod recovery;
pub mod router;
pub mod snapshot;
pub mod state;
pub mod store;
pub mod vault;
