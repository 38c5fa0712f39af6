//! Makes the next segment before it is needed, on a thread of its own: writing 64 MiB of zeros takes longer than any
//! commit may wait.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use super::segment::make_spare;
use super::storage::{Storage, StorageFile};

type Made = io::Result<Arc<dyn StorageFile>>;

/// One spare at a time: asked for with [`prepare`](SpareMaker::prepare), fetched with [`take`](SpareMaker::take).
pub struct SpareMaker {
    storage: Arc<dyn Storage>,
    bytes: u64,
    orders: Option<Sender<()>>,
    made: Receiver<Made>,
    thread: Option<JoinHandle<()>>,
    ordered: bool,
}

impl SpareMaker {
    /// Must not be called from the writer thread, whose real-time priority the new thread would inherit.
    pub fn start(storage: Arc<dyn Storage>, bytes: u64) -> io::Result<SpareMaker> {
        let (orders, inbox) = channel::<()>();
        let (outbox, made) = channel();
        let disk = storage.clone();
        let thread = thread::Builder::new().name("journal-spare".into()).spawn(move || {
            while inbox.recv().is_ok() {
                let spare = make_spare(&*disk, bytes);
                if let Err(error) = &spare {
                    tracing::warn!(%error, "journal: cannot make the next segment ahead of time; is the disk full?");
                }
                if outbox.send(spare).is_err() {
                    return;
                }
            }
        })?;
        Ok(SpareMaker { storage, bytes, orders: Some(orders), made, thread: Some(thread), ordered: false })
    }

    /// Sees to it that a spare is there or under way.
    pub fn prepare(&mut self) {
        if !self.ordered {
            self.ordered = self.orders.as_ref().is_some_and(|orders| orders.send(()).is_ok());
        }
    }

    /// The spare, waited for if it is still being made. One that failed is tried once more, from nothing: since then
    /// somebody may have made room.
    pub fn take(&mut self) -> Made {
        let ahead = if self.ordered { self.made.recv().ok() } else { None };
        self.ordered = false;
        match ahead {
            Some(Ok(spare)) => Ok(spare),
            Some(Err(_)) | None => make_spare(&*self.storage, self.bytes),
        }
    }
}

impl Drop for SpareMaker {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // Its panic was printed, and a spare that is not there is made on demand.
            let _ = thread.join();
        }
    }
}
