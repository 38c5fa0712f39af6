//! Reading a journal in a thread of its own, while another applies what was read: checksums and chain on one core,
//! decoding and applying on the other.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use super::journal::{Check, Frame, JournalError, ReadFrom, Reader};

/// Entries handed over at once.
const BATCH: usize = 1_024;
/// Batches that may lie ready: enough to bridge a pause, small enough to stay in memory.
const READY: usize = 4;

/// All frames from a place on, in order; ends with the first error.
///
/// # Errors
/// The place does not exist, or no thread can be started.
pub fn read_ahead(reader: Reader, from: ReadFrom, check: Check) -> Result<ReadAhead, JournalError> {
    let frames = reader.frames_from(from, check)?;
    let (out, batches) = sync_channel::<Result<Vec<Frame>, JournalError>>(READY);
    let read = move || {
        let mut frames = frames;
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            let mut failed = None;
            while batch.len() < BATCH {
                match frames.next() {
                    Some(Ok(frame)) => batch.push(frame),
                    Some(Err(error)) => {
                        failed = Some(error);
                        break;
                    }
                    None => break,
                }
            }
            let ended = batch.len() < BATCH;
            // Nobody listens any more: the reader of the other end gave up.
            if (!batch.is_empty() && out.send(Ok(batch)).is_err()) || ended {
                if let Some(error) = failed {
                    let _ = out.send(Err(error));
                }
                return;
            }
        }
    };
    thread::Builder::new()
        .name("read ahead".to_owned())
        .spawn(read)
        .map_err(JournalError::io("start a thread to read the journal"))?;
    Ok(ReadAhead { batches, ready: Vec::new().into_iter() })
}

/// Frames that were read ahead.
#[derive(Debug)]
pub struct ReadAhead {
    batches: Receiver<Result<Vec<Frame>, JournalError>>,
    ready: std::vec::IntoIter<Frame>,
}

impl Iterator for ReadAhead {
    type Item = Result<Frame, JournalError>;

    fn next(&mut self) -> Option<Result<Frame, JournalError>> {
        loop {
            if let Some(frame) = self.ready.next() {
                return Some(Ok(frame));
            }
            match self.batches.recv() {
                Ok(Ok(batch)) => self.ready = batch.into_iter(),
                Ok(Err(error)) => return Some(Err(error)),
                Err(_) => return None,
            }
        }
    }
}
