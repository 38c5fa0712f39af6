//! The digest of a platform's state: BLAKE3 over chart, books, records and due items in canonical order.
//!
//! It covers what is true, not how it was written: no journal bytes, request ids or delivery state.

use std::fmt;

use super::state::State;
use crate::domain::record::RecordKey;
use crate::ledger::{AccountNo, Books};

/// A digest in the making.
#[derive(Debug)]
pub struct Digester {
    hasher: blake3::Hasher,
}

/// A platform's digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Digester {
    /// Takes the router's share: sequence, time, chart, tables, rules and due items.
    pub fn new(state: &State) -> Digester {
        let mut digest = Digester { hasher: blake3::Hasher::new() };
        digest.part("florin digest 1", &(state.seq, state.now, state.next_key_no));
        for (house, currency, minor) in state.house.iter() {
            digest.part("house", &(house, currency, minor.to_be_bytes()));
        }
        for (currency, totals) in &state.totals {
            digest.part("totals", &(currency, totals));
        }
        digest.part("tables", &state.tables);
        for (name, birth) in &state.rules {
            digest.part("rule", &(name, birth));
        }
        for (key, kind) in &state.due {
            digest.part("due", &(key, kind));
        }
        digest
    }

    /// Takes an account's books, in the order of account numbers, as they stand at the state's time. Empty books
    /// leave no trace.
    pub fn books(&mut self, state: &State, account: AccountNo, books: &Books) {
        let books = books.canonical(state.now.day());
        if !books.holdings().is_empty() {
            self.part("books", &(account, &books));
        }
    }

    /// Takes a record as stored, in the order of keys.
    pub fn record(&mut self, key: RecordKey, bytes: &[u8]) {
        self.part("record", &(key, bytes.len() as u64));
        self.hasher.update(bytes);
    }

    /// The digest.
    pub fn finish(&self) -> Digest {
        Digest(*self.hasher.finalize().as_bytes())
    }

    fn part<T: minicbor::Encode<()>>(&mut self, name: &str, value: &T) {
        // Writing to a Vec cannot fail; lengths keep the parts apart.
        let bytes = minicbor::to_vec((name, value)).unwrap_or_default();
        self.hasher.update(&(bytes.len() as u64).to_be_bytes());
        self.hasher.update(&bytes);
    }
}
