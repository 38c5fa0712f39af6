//! What waits for the writer thread.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{Append, Head, JournalError};

/// Entries in the order of their arrival. Many threads put, one takes.
pub struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
}

struct Inner {
    entries: Vec<Append>,
    /// What each platform must append next: asserted here, where the caller's stack shows who was wrong.
    next_seq: BTreeMap<u32, u64>,
    state: State,
}

enum State {
    Open,
    Closing,
    Failed(String),
}

impl Queue {
    pub fn continuing(heads: &BTreeMap<u32, Head>) -> Queue {
        let next_seq = heads.iter().map(|(platform, head)| (*platform, head.seq + 1)).collect();
        let inner = Inner { entries: Vec::new(), next_seq, state: State::Open };
        Queue { inner: Mutex::new(inner), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic under this lock can only be the assertion in `put`: its batch is not queued, and the daemon aborts.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them or none; never waits for the disk.
    pub fn put(&self, entries: Vec<Append>) -> Result<(), JournalError> {
        let mut inner = self.lock();
        match &inner.state {
            State::Open => {}
            State::Closing => return Err(JournalError::Stopped { reason: "it is shutting down".into() }),
            State::Failed(reason) => return Err(JournalError::Stopped { reason: reason.clone() }),
        }
        for Append { platform, seq, .. } in &entries {
            let next = inner.next_seq.entry(*platform).or_insert(1);
            assert_eq!(*seq, *next, "platform {platform} must append its entries in sequence");
            *next += 1;
        }
        if inner.entries.is_empty() {
            inner.entries = entries;
        } else {
            inner.entries.extend(entries);
        }
        drop(inner);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for entries and takes all of them. `None` when closed and drained.
    pub fn take(&self) -> Option<Vec<Append>> {
        let mut inner = self.lock();
        while inner.entries.is_empty() {
            match inner.state {
                State::Open => inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner),
                State::Closing | State::Failed(_) => return None,
            }
        }
        Some(std::mem::take(&mut inner.entries))
    }

    /// No more entries are let in; those that wait are still to be taken.
    pub fn close(&self) {
        let mut inner = self.lock();
        if matches!(inner.state, State::Open) {
            inner.state = State::Closing;
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// How it ended: with everything taken, or by a failure.
    pub fn outcome(&self) -> Result<(), JournalError> {
        match &self.lock().state {
            State::Failed(reason) => Err(JournalError::Stopped { reason: reason.clone() }),
            State::Open | State::Closing => Ok(()),
        }
    }

    /// Nothing more is taken or written; who appends is told why.
    pub fn fail(&self, reason: String) {
        let mut inner = self.lock();
        inner.entries.clear();
        inner.state = State::Failed(reason);
    }
}
