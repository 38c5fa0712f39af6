//! One segment as a file: its name, how it is made ahead of time, how it comes into use, how it is opened.

use std::io;
use std::sync::Arc;

use super::format::{FRAME_HEADER, GROUP_HEADER, HeaderFault, PAGE, SEGMENT_HEADER_FIXED, SegmentHeader};
use super::storage::{Access, Storage, StorageFile};
use super::{JournalError, Options};

/// A segment that is being made, or waits for its turn. It means nothing until it is renamed.
pub const SPARE: &str = "next.tmp";

/// Zeros are written and synced in pieces, so that a commit that runs beside them waits for one piece at most: with
/// 8 MiB per sync the worst commits took 3-7 ms, with 1 MiB 1-2 ms.
static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

pub fn file_name(segment: u32) -> String {
    format!("{segment:08}.seg")
}

/// The number in a segment's file name; `None` for all other files.
pub fn number_of(name: &str) -> Option<u32> {
    let number = name.strip_suffix(".seg")?.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

/// Numbers of all segments, in order.
pub fn list(storage: &dyn Storage) -> Result<Vec<u32>, JournalError> {
    let names = storage.list().map_err(JournalError::io(format!("list {}", storage.place())))?;
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// An open segment whose header is sound.
pub struct Segment {
    pub file: Arc<dyn StorageFile>,
    pub header: SegmentHeader,
    /// Where the first group begins.
    pub data_start: u64,
    /// Length of the file now: the header's `segment_bytes`, or less when somebody cut it.
    pub file_bytes: u64,
}

impl Segment {
    pub fn open(storage: &dyn Storage, number: u32, access: Access) -> Result<Segment, JournalError> {
        let name = file_name(number);
        let file = storage.open(&name, access).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => JournalError::MissingSegment { segment: number, place: storage.place() },
            _ => JournalError::Io { doing: format!("open {name}"), source },
        })?;
        let file_bytes = file.file_bytes().map_err(JournalError::io(format!("measure {name}")))?;
        let fault = |fault| match fault {
            HeaderFault::Newer(version) => JournalError::NewerFormat { segment: number, version },
            HeaderFault::Broken(what) => JournalError::damaged(number, 0, what),
        };
        let read = |bytes: usize| {
            let mut buffer = vec![0; bytes];
            let filled = file.read_at(&mut buffer, 0).map_err(JournalError::io(format!("read {name} at byte 0")))?;
            buffer.truncate(filled);
            Ok::<_, JournalError>(buffer)
        };
        let header_bytes = SegmentHeader::length_of(&read(SEGMENT_HEADER_FIXED)?).map_err(fault)?;
        if header_bytes as u64 > file_bytes {
            return Err(JournalError::damaged(number, 0, "the file ends inside the segment header"));
        }
        let header = SegmentHeader::decode(&read(header_bytes)?).map_err(fault)?;
        let data_start = SegmentHeader::data_start(header.heads.len());
        if read(data_start as usize)?[header_bytes..].iter().any(|byte| *byte != 0) {
            return Err(JournalError::damaged(number, header_bytes as u64, "zeros should follow the segment header"));
        }
        if header.segment != number {
            let what = format!("the file says it is segment {}; somebody renamed it", header.segment);
            return Err(JournalError::damaged(number, 0, what));
        }
        if file_bytes > header.segment_bytes {
            let what = format!("the file goes on to byte {file_bytes}, its header says it ends here");
            return Err(JournalError::damaged(number, header.segment_bytes, what));
        }
        Ok(Segment { file, header, data_start, file_bytes })
    }
}

/// Length of a new segment: as configured, or as long as its header and the largest entry need.
pub fn bytes_needed(options: &Options, head_count: usize) -> u64 {
    let largest_group = (GROUP_HEADER + FRAME_HEADER + options.max_entry_bytes) as u64;
    (SegmentHeader::data_start(head_count) + largest_group).max(options.segment_bytes).next_multiple_of(PAGE)
}

/// Really writes zeros, and syncs them: a commit into a file that grows costs 1.4-3.5 times as much.
pub fn zero_fill(file: &dyn StorageFile, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let piece = (to - at).min(ZEROS.len() as u64);
        file.write_at(&ZEROS[..piece as usize], at)?;
        file.sync_data()?;
        at += piece;
    }
    Ok(())
}

/// Makes the next segment under a name that recovery ignores, in place of one that an earlier life left.
pub fn make_spare(storage: &dyn Storage, bytes: u64) -> io::Result<Arc<dyn StorageFile>> {
    remove_spare(storage)?;
    let file = storage.create(SPARE)?;
    zero_fill(&*file, 0, bytes)?;
    Ok(file)
}

pub fn remove_spare(storage: &dyn Storage) -> io::Result<()> {
    match storage.remove(SPARE) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Turns the spare into a segment. The order is the contract: header on disk, then the name, then the name on disk.
/// So whoever finds a segment's name finds a sound header, or damage.
pub fn publish(
    storage: &dyn Storage,
    spare: Arc<dyn StorageFile>,
    header: SegmentHeader,
) -> Result<Segment, JournalError> {
    let name = file_name(header.segment);
    let failed = || JournalError::io(format!("bring {name} into use"));
    let spare_bytes = spare.file_bytes().map_err(failed())?;
    if spare_bytes < header.segment_bytes {
        zero_fill(&*spare, spare_bytes, header.segment_bytes).map_err(failed())?;
    }
    spare.write_at(&header.encode(), 0).map_err(failed())?;
    spare.sync_data().map_err(failed())?;
    storage.rename(SPARE, &name).map_err(failed())?;
    storage.sync_dir().map_err(failed())?;
    let data_start = SegmentHeader::data_start(header.heads.len());
    let file_bytes = header.segment_bytes;
    Ok(Segment { file: spare, header, data_start, file_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_of_segments_match_both_ways() {
        for number in [1, 42, 99_999_999, 123_456_789] {
            assert_eq!(number_of(&file_name(number)), Some(number));
        }
        for name in ["1.seg", "next.tmp", "00000001.seg.bak", "0000000x.seg", "journal.lock", "000000001.seg"] {
            assert_eq!(number_of(name), None, "{name}");
        }
    }
}
