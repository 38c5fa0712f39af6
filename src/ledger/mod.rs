//! Double entry.
//!
//! Owns the chart of accounts, postings, the balanced entry, an account's books and the trial balance.
//! Never knows what a payment is, never does I/O.
//! Why: whatever the rooms above decide, money only moves through [`Entry::balanced`], and an entry that does not
//! sum to zero in each of its currencies cannot be built.

mod books;
mod chart;
mod entry;
mod trial_balance;

pub use books::{Books, Holding};
pub use chart::{AccountNo, Bucket, FeeKind, House, Leg, LegError, Rail, ReserveKind, SourceType};
pub use entry::{Entry, EntryError, Posting};
pub use trial_balance::{HouseBooks, TrialBalance};
