//! The machine without actors, threads or disk: one command at a time. The reference that everything else must equal,
//! and what `verify` decides entries again with.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::digest::Digest;
use super::entry::decode_record;
use super::idempotency::{Use, lives};
use super::machine::{Decided, Fetch, Machine, Step};
use super::recovery::Replayed;
use super::state::Clock;
use crate::domain::command::{Command, IdempotencyKey, Request};
use crate::domain::decide::{Need, Refusal};
use crate::domain::seal::Vault;
use crate::primitives::id::IdCipher;
use crate::primitives::market::MarketRates;
use crate::primitives::time::Timestamp;

/// A platform in memory.
pub struct Plain {
    /// Decides.
    pub machine: Machine,
    /// Stands in for account actors, store and journal: everything that the entries alone make.
    pub world: Replayed,
    /// The journal.
    pub entries: Vec<Bytes>,
    keep_entries: bool,
    keys: BTreeMap<[u8; 16], Use>,
}

/// What a request came to.
#[derive(Debug)]
pub enum Told {
    /// Decided.
    Decided(Box<Decided>),
    /// Refused; nothing changed.
    Refused(Box<Refusal>),
    /// Answered as the entry that used its key first.
    Replay(u64),
    /// Its key was used otherwise (`true`: with another endpoint).
    KeyReused(bool),
    /// The decision panicked; nothing changed.
    Panicked,
}

impl Plain {
    /// A platform before its first entry. It knows the market rates that are built in; others are offered to its machine.
    pub fn new(ids: Arc<IdCipher>, vault: Arc<dyn Vault + Send + Sync>, keep_entries: bool) -> Plain {
        let world = Replayed::new(true);
        let machine = Machine::new(world.state.clone(), MarketRates::built_in(), ids, vault);
        Plain { machine, world, entries: Vec::new(), keep_entries, keys: BTreeMap::new() }
    }

    /// Decides a request, then fires what is due at once; an advance of the clock fires what is due on the way.
    pub fn submit(&mut self, request: &Request, now: Timestamp) -> Told {
        let told = self.decide(request, now);
        if let (Told::Decided(_), Command::AdvanceClock { to }) = (&told, &request.command) {
            self.fire_until(*to);
            self.machine.state.settle_clock();
        } else if matches!(told, Told::Decided(_)) && self.machine.state.clock == Clock::Virtual {
            self.fire_until(self.machine.state.now);
        }
        told
    }

    /// Fires everything due by `until`, each at its due time.
    pub fn fire_until(&mut self, until: Timestamp) {
        while let Some((request, at)) = self.machine.due_request(until) {
            if !matches!(self.decide(&request, at), Told::Decided(_)) {
                break;
            }
        }
    }

    /// Decides one request and nothing else.
    pub fn decide(&mut self, request: &Request, now: Timestamp) -> Told {
        loop {
            match self.machine.decide(request, now) {
                Step::Missing(Fetch::Fact(Need::Books(account))) => {
                    self.machine.give_books(account, self.world.books.get(&account).cloned().unwrap_or_default());
                }
                Step::Missing(Fetch::Fact(Need::Record(key))) => {
                    let record = self.world.records.get(&key).and_then(|bytes| decode_record(bytes).ok());
                    self.machine.give_record(key, record);
                }
                Step::Missing(Fetch::Key(key)) => {
                    let used = self.keys.get(&key).copied().filter(|used| lives(used.at, now));
                    self.machine.give_key(key, used);
                }
                Step::Decided(decided) => {
                    self.keep(&decided, request.idempotency.as_ref());
                    return Told::Decided(decided);
                }
                Step::Refused(refusal) => return Told::Refused(refusal),
                Step::Replay(seq) => return Told::Replay(seq),
                Step::KeyReused { other_endpoint, .. } => return Told::KeyReused(other_endpoint),
                Step::Panicked => return Told::Panicked,
            }
        }
    }

    /// The entry goes through the same bytes as it would through a journal.
    fn keep(&mut self, decided: &Decided, key: Option<&IdempotencyKey>) {
        let read = self.world.read(&decided.bytes);
        debug_assert!(read.is_ok(), "an entry that was decided reads back: {read:?}");
        if let Some(key) = key {
            let used = Use { seq: decided.seq, at: decided.now, endpoint: key.endpoint, parameters: key.parameters };
            self.keys.insert(key.key, used);
        }
        let _ = self.machine.take_posts();
        self.machine.sweep(decided.seq);
        if self.keep_entries {
            self.entries.push(decided.bytes.clone());
        }
    }

    /// The digest of what the entries made.
    pub fn digest(&self) -> Digest {
        self.world.digest()
    }
}
