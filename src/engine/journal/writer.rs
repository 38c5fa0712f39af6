//! The one thread that writes. Durable before visible: write, sync, mark, and only then tell anybody.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::iter::Peekable;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;
use std::vec;

use super::format::{GroupEncoder, SegmentHeader};
use super::queue::Queue;
use super::recovery::Opened;
use super::segment::{self, Segment, file_name};
use super::spare::SpareMaker;
use super::storage::{Storage, StorageLock};
use super::{Append, Durable, DurableMark, Head, JournalError, Metrics, Options, Position, Reader};

/// Called on the writer thread, once per group, with all its entries in order. What it does delays the next group.
pub type OnDurable = Box<dyn FnMut(Vec<Durable>) + Send>;

/// Called on the writer thread, at most once; no [`OnDurable`] comes after it. The daemon ends here.
pub type OnFailure = Box<dyn FnOnce(JournalError) + Send>;

/// Largest group: what one sync may carry before those at its front have waited too long.
const GROUP_BYTES_MAX: u64 = 8 << 20;

/// Hands entries to the writer thread. Dropping it drains the queue, as [`stop`](Writer::stop) does.
pub struct Writer {
    queue: Arc<Queue>,
    max_entry_bytes: usize,
    metrics: Arc<Metrics>,
    durable: Arc<DurableMark>,
    storage: Arc<dyn Storage>,
    thread: Option<JoinHandle<()>>,
}

/// Continues an opened journal with one writer thread.
///
/// # Errors
/// [`JournalError::Io`] when a thread cannot be started.
pub fn start(opened: Opened, on_durable: OnDurable, on_failure: OnFailure) -> Result<Writer, JournalError> {
    let Opened { heads, end, tail, next_group, storage, options, lock, .. } = opened;
    let failed = || JournalError::io("start the writer thread");
    let queue = Arc::new(Queue::continuing(&heads));
    let metrics = Arc::new(Metrics::default());
    let durable = Arc::new(DurableMark::new(end));
    let max_entry_bytes = options.max_entry_bytes;
    let spares = SpareMaker::start(storage.clone(), options.segment_bytes).map_err(failed())?;
    let work = Work {
        heads,
        segment: tail,
        offset: u64::from(end.offset),
        next_group,
        encoder: GroupEncoder::default(),
        on_durable,
        storage: storage.clone(),
        options,
        spares,
        metrics: metrics.clone(),
        durable: durable.clone(),
        _lock: lock,
    };
    let inbox = queue.clone();
    let thread = thread::Builder::new().name("journal".into()).spawn(move || work.run(&inbox, on_failure));
    let thread = Some(thread.map_err(failed())?);
    Ok(Writer { queue, max_entry_bytes, metrics, durable, storage, thread })
}

impl Writer {
    /// Queues entries, all or none of them, without waiting for anything.
    ///
    /// # Errors
    /// [`JournalError::EntryTooLarge`]; [`JournalError::Stopped`] after a failure.
    ///
    /// # Panics
    /// When a platform's sequence has a gap or repeats: a bug of ours that must not reach the disk.
    pub fn append(&self, entries: Vec<Append>) -> Result<(), JournalError> {
        let max = self.max_entry_bytes;
        if let Some(Append { platform, seq, payload }) = entries.iter().find(|entry| entry.payload.len() > max) {
            return Err(JournalError::EntryTooLarge { platform: *platform, seq: *seq, bytes: payload.len(), max });
        }
        self.queue.put(entries)
    }

    /// Writes what is queued, then ends the thread and lets go of the folder.
    ///
    /// # Errors
    /// [`JournalError::Stopped`] with the reason if the writer had failed: what was queued then is not written.
    pub fn stop(mut self) -> Result<(), JournalError> {
        self.close();
        self.queue.outcome()
    }

    /// Reads what is durable, while this writer runs and after it.
    pub fn reader(&self) -> Reader {
        Reader::following(self.storage.clone(), self.durable.clone())
    }

    /// The end of everything durable.
    pub fn durable_end(&self) -> Position {
        self.durable.get()
    }

    pub fn metrics(&self) -> Arc<Metrics> {
        self.metrics.clone()
    }

    fn close(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // The thread catches its own panics and reports them as a failure.
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

/// What the writer thread owns.
struct Work {
    heads: BTreeMap<u32, Head>,
    segment: Segment,
    /// In `segment`: where the next group goes.
    offset: u64,
    next_group: u64,
    encoder: GroupEncoder,
    on_durable: OnDurable,
    storage: Arc<dyn Storage>,
    options: Options,
    /// Before the lock, so that its thread has ended when the folder is let go.
    spares: SpareMaker,
    metrics: Arc<Metrics>,
    durable: Arc<DurableMark>,
    _lock: StorageLock,
}

impl Work {
    fn run(mut self, queue: &Queue, on_failure: OnFailure) {
        if self.options.realtime
            && let Err(error) = ask_for_realtime()
        {
            tracing::warn!(
                %error,
                "journal: no real-time priority for the writer thread (needs CAP_SYS_NICE); commits take longer on a \
                 busy machine"
            );
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| self.write_all(queue)));
        let error = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(panic) => JournalError::WriterPanicked { message: panic_text(&*panic) },
        };
        queue.fail(error.to_string());
        on_failure(error);
    }

    /// Until the queue is closed and drained. No linger: while one group syncs, the next one queues.
    fn write_all(&mut self, queue: &Queue) -> Result<(), JournalError> {
        while let Some(entries) = queue.take() {
            let mut entries = entries.into_iter().peekable();
            while entries.peek().is_some() {
                let group = self.pack(&mut entries);
                if group.is_empty() {
                    self.rotate()?;
                } else {
                    self.commit(group)?;
                }
            }
        }
        Ok(())
    }

    /// Encodes as many entries as fit into one group. None: the segment is full.
    fn pack(&mut self, entries: &mut Peekable<vec::IntoIter<Append>>) -> Vec<Durable> {
        let room = (self.segment.header.segment_bytes - self.offset).min(GROUP_BYTES_MAX);
        let at = self.place();
        let mut group = Vec::new();
        self.encoder.begin();
        while let Some(Append { platform, seq, payload }) =
            entries.next_if(|next| self.encoder.bytes_with(next.payload.len()) <= room)
        {
            let head = self.heads.entry(platform).or_insert(Head::GENESIS);
            assert_eq!(seq, head.seq + 1, "platform {platform} is written in sequence");
            let (start, hash) = self.encoder.push(&head.hash, platform, seq, &payload);
            *head = Head { seq, hash };
            let position = Position { offset: at.offset + start, ..at };
            group.push(Durable { platform, seq, position, payload, hash });
        }
        group
    }

    /// The order is the contract: an entry is told of only after `fdatasync` has returned. On an error the daemon
    /// ends rather than tries again: after a failed sync nobody knows what the disk holds.
    fn commit(&mut self, group: Vec<Durable>) -> Result<(), JournalError> {
        let name = file_name(self.segment.header.segment);
        let place = self.place();
        let bytes = self.encoder.finish(self.segment.header.identity, self.next_group, place);
        let group_bytes = bytes.len() as u64;
        let written = self.segment.file.write_at(bytes, self.offset);
        written.map_err(JournalError::io(format!("write {name} at byte {}", self.offset)))?;
        let began = Instant::now();
        let synced = self.segment.file.sync_data();
        synced.map_err(JournalError::io(format!("sync {name} behind byte {}", self.offset)))?;
        self.metrics.group_synced(group.len() as u64, group_bytes, began.elapsed());
        self.offset += group_bytes;
        self.next_group += 1;
        self.durable.advance(self.place());
        (self.on_durable)(group);
        // A quarter in, so that a journal that stays small never pays for a second segment.
        let data_start = self.segment.data_start;
        if self.offset - data_start >= (self.segment.header.segment_bytes - data_start) / 4 {
            self.spares.prepare();
        }
        Ok(())
    }

    /// The next segment. All groups of this one are durable: the one before was synced, and there is no other.
    fn rotate(&mut self) -> Result<(), JournalError> {
        let before = &self.segment.header;
        let segment_bytes = segment::bytes_needed(&self.options, self.heads.len());
        // Only a segment made under smaller options may be too small for an entry while it is empty. Anything else
        // would make segments for ever.
        let used = self.offset > self.segment.data_start;
        assert!(used || before.segment_bytes < segment_bytes, "a new segment holds any entry");
        let header = SegmentHeader {
            segment: before.segment + 1,
            identity: before.identity,
            first_group: self.next_group,
            segment_bytes,
            heads: self.heads.clone(),
        };
        let spare = self.spares.take().map_err(JournalError::io(format!("create {}", file_name(header.segment))))?;
        self.segment = segment::publish(&*self.storage, spare, header)?;
        self.offset = self.segment.data_start;
        self.durable.advance(self.place());
        Ok(())
    }

    fn place(&self) -> Position {
        assert!(self.offset <= u64::from(u32::MAX), "segments are shorter than 4 GiB");
        Position { segment: self.segment.header.segment, offset: self.offset as u32 }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "a panic without a message".to_owned(),
    }
}

/// `SCHED_RR` at its lowest priority, for the calling thread alone: threads that it starts do not inherit it.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn ask_for_realtime() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: thread 0 is the calling thread, and the parameters are only read, during the call.
    let answer =
        unsafe { libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &raw const parameters) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(target_os = "linux"))]
fn ask_for_realtime() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
