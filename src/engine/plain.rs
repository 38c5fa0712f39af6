//! The machine without actors, threads or disk: one command at a time. The reference that everything else must equal,
//! and what `verify` decides entries again with.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::digest::Digest;
use super::entry::{JournalEntry, decode_record};
use super::idempotency::{Use, lives};
use super::machine::{Decided, Fetch, Machine, Proposal, Step};
use super::recovery::{ReplayError, Replayed};
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
        match self.propose(request, now) {
            Ok(proposal) => self.accept(request, proposal),
            Err(told) => told,
        }
    }

    /// Decides one request and applies nothing.
    ///
    /// # Errors
    /// What it came to instead.
    pub fn propose(&mut self, request: &Request, now: Timestamp) -> Result<Proposal, Told> {
        loop {
            match self.machine.propose(request, now) {
                Ok(proposal) => return Ok(proposal),
                Err(Step::Missing(Fetch::Fact(Need::Books(account)))) => {
                    self.machine.give_books(account, self.world.books.get(&account).cloned().unwrap_or_default());
                }
                Err(Step::Missing(Fetch::Fact(Need::Record(key)))) => {
                    let record = self.world.records.get(&key).and_then(|bytes| decode_record(bytes).ok());
                    self.machine.give_record(key, record);
                }
                Err(Step::Missing(Fetch::Key(key))) => {
                    let used = self.keys.get(&key).copied().filter(|used| lives(used.at, now));
                    self.machine.give_key(key, used);
                }
                Err(Step::Decided(decided)) => return Err(Told::Decided(decided)),
                Err(Step::Refused(refusal)) => return Err(Told::Refused(refusal)),
                Err(Step::Replay(seq)) => return Err(Told::Replay(seq)),
                Err(Step::KeyReused { other_endpoint, .. }) => return Err(Told::KeyReused(other_endpoint)),
                Err(Step::Panicked) => return Err(Told::Panicked),
            }
        }
    }

    /// Applies what was just proposed.
    pub fn accept(&mut self, request: &Request, proposal: Proposal) -> Told {
        let decided = self.machine.accept(proposal);
        // The entry goes through the same bytes as it would through a journal.
        let read = self.world.read(&decided.bytes);
        debug_assert!(read.is_ok(), "an entry that was decided reads back: {read:?}");
        self.keep(decided.seq, decided.now, &decided.bytes, request.idempotency.as_ref());
        Told::Decided(Box::new(decided))
    }

    /// Applies the next entry of a journal as it stands there.
    ///
    /// # Errors
    /// [`ReplayError`]: it cannot belong there.
    pub fn follow(&mut self, payload: &Bytes) -> Result<(), ReplayError> {
        let seq = self.world.state.seq + 1;
        self.world.read(payload)?;
        let unreadable = |what: String| ReplayError::Unreadable { seq, what };
        let entry = JournalEntry::from_bytes(payload).map_err(|error| unreadable(error.to_string()))?;
        self.machine
            .follow(&entry)
            .ok_or_else(|| unreadable("a record in it is none, or its market rates are missing".to_owned()))?;
        self.keep(seq, entry.now, payload, entry.idempotency.as_ref());
        Ok(())
    }

    fn keep(&mut self, seq: u64, now: Timestamp, payload: &Bytes, key: Option<&IdempotencyKey>) {
        if let Some(key) = key {
            let used = Use { seq, at: now, endpoint: key.endpoint, parameters: key.parameters };
            self.keys.insert(key.key, used);
        }
        let _ = self.machine.take_posts();
        self.machine.sweep(seq);
        if self.keep_entries {
            self.entries.push(payload.clone());
        }
    }

    /// The digest of what the entries made.
    pub fn digest(&self) -> Digest {
        self.world.digest()
    }
}
