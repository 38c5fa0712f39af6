//! What lies behind the last sound group: nothing, the rest of a torn one, or a group that must not be there.

use super::format::{GROUP_ALIGN, GROUP_HEADER, GROUP_MAGIC, GroupHeader, PAGE};
use super::segment::{Segment, file_name};
use super::{JournalError, Position};

const CHUNK: usize = 1 << 20;
const BLANK_PAGE: [u8; PAGE as usize] = [0; PAGE as usize];

/// The rest of a segment, from an offset on at which no sound group stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Rest {
    /// Zeros to the end.
    Blank,
    /// Something is written, but no sound group: the write that was under way when the power went.
    Torn,
    /// A sound group, so what is in front of it had been durable and is now damaged.
    SoundGroup { offset: u64, group: u64 },
}

/// Reads the segment to its end. Zeros, usually all there is, pass at memory speed.
///
/// Bytes that look like a group's beginning prove nothing, since payloads may hold anything; what counts is a header
/// of this journal (identity), for this place, with both checksums right.
pub fn judge(segment: &Segment, from: u64) -> Result<Rest, JournalError> {
    assert!(from.is_multiple_of(GROUP_ALIGN), "groups begin on multiples of {GROUP_ALIGN}, not at {from}");
    let mut chunk = vec![0; CHUNK];
    let mut rest = Rest::Blank;
    let mut at = from;
    while at < segment.file_bytes {
        let filled = read(segment, &mut chunk, at)?;
        if filled == 0 {
            break;
        }
        for (n, page) in chunk[..filled].chunks(PAGE as usize).enumerate() {
            if page == &BLANK_PAGE[..page.len()] {
                continue;
            }
            rest = Rest::Torn;
            for (k, start) in page.chunks_exact(GROUP_ALIGN as usize).enumerate() {
                let offset = at + n as u64 * PAGE + k as u64 * GROUP_ALIGN;
                if start == GROUP_MAGIC
                    && let Some(group) = sound_group(segment, offset)?
                {
                    return Ok(Rest::SoundGroup { offset, group });
                }
            }
        }
        at += filled as u64;
    }
    Ok(rest)
}

/// The number of the group at `offset`, if it is sound.
fn sound_group(segment: &Segment, offset: u64) -> Result<Option<u64>, JournalError> {
    let mut header = [0; GROUP_HEADER];
    let filled = read(segment, &mut header, offset)?;
    let Ok(place) = u32::try_from(offset) else { return Ok(None) };
    let place = Position { segment: segment.header.segment, offset: place };
    // Its own checksum is tried first: a made-up length must not make us read megabytes at every candidate.
    let Ok(header) = GroupHeader::decode(&header[..filled], segment.header.identity, place) else { return Ok(None) };
    if offset + header.group_bytes() > segment.file_bytes {
        return Ok(None);
    }
    let mut body = vec![0; header.body_bytes as usize];
    read(segment, &mut body, offset + GROUP_HEADER as u64)?;
    Ok((crc32c::crc32c(&body) == header.body_crc).then_some(header.group))
}

fn read(segment: &Segment, buffer: &mut [u8], at: u64) -> Result<usize, JournalError> {
    let doing = || format!("read {} at byte {at}", file_name(segment.header.segment));
    segment.file.read_at(buffer, at).map_err(|source| JournalError::Io { doing: doing(), source })
}
