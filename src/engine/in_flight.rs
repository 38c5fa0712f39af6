//! Idempotency keys whose request is on its way through the router.
//!
//! One effect per key is the router's doing, which decides one request after another. What is here is the waiting: who
//! comes with a key that is under way stands by until its first request is answered, and finds that answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

type Key = [u8; 16];

/// Keys under way. Somebody waits for a key where it has a semaphore, which closes when the key's first request ends.
#[derive(Debug, Default)]
pub struct InFlight(Mutex<BTreeMap<Key, Option<Arc<Semaphore>>>>);

/// A request's turn under its key; ends when dropped, also where the caller hung up.
#[derive(Debug)]
pub struct Turn<'a> {
    keys: &'a InFlight,
    /// The key, for the first request under it.
    leads: Option<Key>,
}

impl InFlight {
    /// Begins a request under a key. Behind another one that is under way it waits for its end, at most for `patience`.
    ///
    /// `None` when the other one still runs then.
    pub async fn enter(&self, key: Key, patience: Duration) -> Option<Turn<'_>> {
        let Some(first) = self.join(key) else { return Some(Turn { keys: self, leads: Some(key) }) };
        match timeout(patience, first.acquire()).await {
            // Never granted, only closed.
            Ok(_) => Some(Turn { keys: self, leads: None }),
            Err(_) => None,
        }
    }

    /// Takes the lead under a key, or gives what tells of the leader's end.
    fn join(&self, key: Key) -> Option<Arc<Semaphore>> {
        let mut keys = self.keys();
        let Some(first) = keys.get_mut(&key) else {
            keys.insert(key, None);
            return None;
        };
        Some(Arc::clone(first.get_or_insert_with(|| Arc::new(Semaphore::new(0)))))
    }

    fn keys(&self) -> MutexGuard<'_, BTreeMap<Key, Option<Arc<Semaphore>>>> {
        // Single insertions and removals: a panic leaves the map whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some(key) = self.leads else { return };
        if let Some(Some(waited_for)) = self.keys.keys().remove(&key) {
            waited_for.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(30);

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    #[test]
    fn who_comes_second_waits_for_the_end_of_the_first() {
        run(async {
            let keys = InFlight::default();
            let first = keys.enter([1; 16], LONG).await.expect("nobody is before it");
            assert!(keys.enter([2; 16], SHORT).await.is_some(), "another key has nothing to do with it");
            let second = keys.enter([1; 16], LONG);
            let ends = async {
                tokio::time::sleep(SHORT).await;
                drop(first);
            };
            let (second, ()) = tokio::join!(second, ends);
            assert!(second.is_some(), "the first one ended");
            assert!(keys.keys().is_empty(), "nothing is kept of a key that is not under way");
        });
    }

    #[test]
    fn patience_ends_where_the_first_still_runs() {
        run(async {
            let keys = InFlight::default();
            let first = keys.enter([1; 16], LONG).await;
            for _ in 0..3 {
                assert!(keys.enter([1; 16], SHORT).await.is_none());
            }
            drop(first);
            assert!(keys.enter([1; 16], SHORT).await.is_some());
        });
    }

    #[test]
    fn a_caller_that_hangs_up_frees_the_key() {
        run(async {
            let keys = InFlight::default();
            let gone = timeout(SHORT, async {
                let _turn = keys.enter([1; 16], LONG).await;
                std::future::pending::<()>().await;
            });
            assert!(gone.await.is_err());
            assert!(keys.enter([1; 16], SHORT).await.is_some());
        });
    }
}
