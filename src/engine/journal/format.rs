//! The bytes of segments, groups and frames. Pure: no file is touched here.
//!
//! All integers are little endian. What is decided here is on people's disks for ten years: a change is a new
//! [`VERSION`], and readers of the old one stay.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut};

use super::{Head, Position};

/// Version of everything in this file; stands in each segment's header.
pub const VERSION: u32 = 1;

/// Unit in which disks and page caches tear. Groups begin on a page of their own behind the segment header, so that
/// no group's write ever touches the header again.
pub const PAGE: u64 = 4096;

const SEGMENT_MAGIC: [u8; 8] = *b"FLORINSG";
pub const GROUP_MAGIC: [u8; 8] = *b"FLORINGR";

/// magic 8, version 4, segment 4, identity 8, first group 8, segment bytes 8, head count 4, header length 4.
pub const SEGMENT_HEADER_FIXED: usize = 48;
/// platform 4, sequence 8, hash 32.
const HEAD: usize = 44;
/// magic 8, identity 8, group 8, segment 4, offset 4, body length 4, entry count 4, body CRC 4, header CRC 4.
pub const GROUP_HEADER: usize = 48;
/// CRC 4, payload length 4, distance back to the group's header 4, previous hash 32, platform 4, sequence 8.
pub const FRAME_HEADER: usize = 56;
/// Where the hashed part of a frame begins: previous hash, platform, sequence, payload, in one run.
const HASHED: usize = 12;
/// Groups begin on multiples of this, so that the search for one behind a torn group need not look at every byte.
pub const GROUP_ALIGN: u64 = 8;

/// The chain of a platform, one entry on: `BLAKE3(previous || platform || seq || payload)`.
#[must_use]
pub fn chain_hash(previous: &[u8; 32], platform: u32, seq: u64, payload: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(previous).update(&platform.to_le_bytes()).update(&seq.to_le_bytes()).update(payload);
    *hasher.finalize().as_bytes()
}

/// What a segment says about itself before its first group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    pub segment: u32,
    /// The same in every segment of a journal, and in every group.
    pub identity: u64,
    /// Number of the group that comes next; groups are numbered through from 1 over all segments.
    pub first_group: u64,
    /// Full length of the file.
    pub segment_bytes: u64,
    /// Every platform's head as it stood when the segment began, so that a scan may begin here.
    pub heads: BTreeMap<u32, Head>,
}

/// Why bytes are not a segment header.
#[derive(Debug, PartialEq, Eq)]
pub enum HeaderFault {
    Newer(u32),
    Broken(&'static str),
}

impl SegmentHeader {
    pub fn encoded_bytes(head_count: usize) -> usize {
        SEGMENT_HEADER_FIXED + HEAD * head_count + 4
    }

    /// Where the first group of a segment with so many heads begins.
    pub fn data_start(head_count: usize) -> u64 {
        (Self::encoded_bytes(head_count) as u64).next_multiple_of(PAGE)
    }

    pub fn encode(&self) -> Vec<u8> {
        let length = Self::encoded_bytes(self.heads.len());
        let mut out = Vec::with_capacity(length);
        out.put_slice(&SEGMENT_MAGIC);
        out.put_u32_le(VERSION);
        out.put_u32_le(self.segment);
        out.put_u64_le(self.identity);
        out.put_u64_le(self.first_group);
        out.put_u64_le(self.segment_bytes);
        out.put_u32_le(u32_of(self.heads.len()));
        out.put_u32_le(u32_of(length));
        for (platform, head) in &self.heads {
            out.put_u32_le(*platform);
            out.put_u64_le(head.seq);
            out.put_slice(&head.hash);
        }
        out.put_u32_le(crc32c::crc32c(&out));
        assert_eq!(out.len(), length, "segment header has the length it states");
        out
    }

    /// How many bytes [`decode`](Self::decode) wants, from the first [`SEGMENT_HEADER_FIXED`] of them.
    pub fn length_of(fixed: &[u8]) -> Result<usize, HeaderFault> {
        let Some(mut bytes) = fixed.get(..SEGMENT_HEADER_FIXED) else {
            return Err(HeaderFault::Broken("the file ends inside the segment header"));
        };
        if bytes[..8] != SEGMENT_MAGIC {
            return Err(HeaderFault::Broken("the file does not begin as a segment does"));
        }
        bytes.advance(8);
        match bytes.get_u32_le() {
            VERSION => {}
            newer if newer > VERSION => return Err(HeaderFault::Newer(newer)),
            _ => return Err(HeaderFault::Broken("the segment header has no format version")),
        }
        bytes.advance(28);
        let head_count = bytes.get_u32_le() as usize;
        let length = bytes.get_u32_le() as usize;
        if length != Self::encoded_bytes(head_count) {
            return Err(HeaderFault::Broken("the segment header contradicts its own length"));
        }
        Ok(length)
    }

    /// `bytes` has the length that [`length_of`](Self::length_of) asked for.
    pub fn decode(bytes: &[u8]) -> Result<SegmentHeader, HeaderFault> {
        let length = Self::length_of(bytes)?;
        if bytes.len() < length {
            return Err(HeaderFault::Broken("the file ends inside the segment header"));
        }
        let (covered, mut crc) = bytes[..length].split_at(length - 4);
        if crc32c::crc32c(covered) != crc.get_u32_le() {
            return Err(HeaderFault::Broken("the checksum of the segment header does not match"));
        }
        let mut rest = &covered[12..];
        let segment = rest.get_u32_le();
        let identity = rest.get_u64_le();
        let first_group = rest.get_u64_le();
        let segment_bytes = rest.get_u64_le();
        rest.advance(8);
        let mut heads = BTreeMap::new();
        while rest.has_remaining() {
            let platform = rest.get_u32_le();
            let seq = rest.get_u64_le();
            let mut hash = [0; 32];
            rest.copy_to_slice(&mut hash);
            heads.insert(platform, Head { seq, hash });
        }
        Ok(SegmentHeader { segment, identity, first_group, segment_bytes, heads })
    }
}

/// What stands in front of a group's frames. Identity, number and place are in it so that neither an older group nor
/// bytes inside a payload can pass for this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupHeader {
    pub identity: u64,
    pub group: u64,
    pub place: Position,
    /// Frames and padding, without this header.
    pub body_bytes: u32,
    pub entry_count: u32,
    pub body_crc: u32,
}

impl GroupHeader {
    /// Header and body.
    pub fn group_bytes(&self) -> u64 {
        GROUP_HEADER as u64 + u64::from(self.body_bytes)
    }

    pub fn encode(&self) -> [u8; GROUP_HEADER] {
        let mut bytes = [0; GROUP_HEADER];
        let mut out = &mut bytes[..];
        out.put_slice(&GROUP_MAGIC);
        out.put_u64_le(self.identity);
        out.put_u64_le(self.group);
        out.put_u32_le(self.place.segment);
        out.put_u32_le(self.place.offset);
        out.put_u32_le(self.body_bytes);
        out.put_u32_le(self.entry_count);
        out.put_u32_le(self.body_crc);
        let crc = crc32c::crc32c(&bytes[..GROUP_HEADER - 4]);
        bytes[GROUP_HEADER - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Only a header of this journal that stands where it says it stands is one. The body's checksum is the caller's.
    pub fn decode(bytes: &[u8], identity: u64, place: Position) -> Result<GroupHeader, &'static str> {
        let Some(bytes) = bytes.get(..GROUP_HEADER) else {
            return Err("the file ends inside a group header");
        };
        let (covered, mut crc) = bytes.split_at(GROUP_HEADER - 4);
        if covered[..8] != GROUP_MAGIC {
            return Err("no group begins here, though something is written here");
        }
        if crc32c::crc32c(covered) != crc.get_u32_le() {
            return Err("the checksum of a group header does not match");
        }
        let mut rest = &covered[8..];
        let header = GroupHeader {
            identity: rest.get_u64_le(),
            group: rest.get_u64_le(),
            place: Position { segment: rest.get_u32_le(), offset: rest.get_u32_le() },
            body_bytes: rest.get_u32_le(),
            entry_count: rest.get_u32_le(),
            body_crc: rest.get_u32_le(),
        };
        if header.identity != identity {
            return Err("a group of another journal stands here");
        }
        if header.place != place {
            return Err("a group of another place stands here");
        }
        Ok(header)
    }
}

/// Fills one buffer with one group; the buffer is kept for the next.
#[derive(Debug, Default)]
pub struct GroupEncoder {
    bytes: Vec<u8>,
    entry_count: u32,
}

impl GroupEncoder {
    pub fn begin(&mut self) {
        self.bytes.clear();
        self.bytes.resize(GROUP_HEADER, 0);
        self.entry_count = 0;
    }

    /// Length of the whole group, padding included, if a payload of so many bytes were added.
    pub fn bytes_with(&self, payload_bytes: usize) -> u64 {
        ((self.bytes.len() + FRAME_HEADER + payload_bytes) as u64).next_multiple_of(GROUP_ALIGN)
    }

    pub fn is_empty(&self) -> bool {
        self.entry_count == 0
    }

    /// Adds a frame. Returns where it begins, counted from the start of the group, and the platform's new hash.
    pub fn push(&mut self, previous: &[u8; 32], platform: u32, seq: u64, payload: &[u8]) -> (u32, [u8; 32]) {
        let start = self.bytes.len();
        let out = &mut self.bytes;
        out.put_u32_le(0); // the checksum, once the rest is there
        out.put_u32_le(u32_of(payload.len()));
        out.put_u32_le(u32_of(start));
        out.put_slice(previous);
        out.put_u32_le(platform);
        out.put_u64_le(seq);
        out.put_slice(payload);
        let crc = crc32c::crc32c(&out[start + 4..]);
        out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
        self.entry_count += 1;
        (u32_of(start), *blake3::hash(&out[start + HASHED..]).as_bytes())
    }

    /// Pads, writes the header and hands out what goes to disk.
    pub fn finish(&mut self, identity: u64, group: u64, place: Position) -> &[u8] {
        assert!(!self.is_empty(), "a group has at least one entry");
        let padded = (self.bytes.len() as u64).next_multiple_of(GROUP_ALIGN);
        while (self.bytes.len() as u64) < padded {
            self.bytes.push(0);
        }
        let body = &self.bytes[GROUP_HEADER..];
        let header = GroupHeader {
            identity,
            group,
            place,
            body_bytes: u32_of(body.len()),
            entry_count: self.entry_count,
            body_crc: crc32c::crc32c(body),
        };
        self.bytes[..GROUP_HEADER].copy_from_slice(&header.encode());
        &self.bytes
    }
}

/// A frame, still lying in the buffer it was read into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameView<'a> {
    pub previous: [u8; 32],
    pub platform: u32,
    pub seq: u64,
    pub payload: &'a [u8],
    /// Bytes from the group's header to this frame.
    pub back: u32,
    hashed: &'a [u8],
}

impl<'a> FrameView<'a> {
    /// Length of the frame that begins with these [`FRAME_HEADER`] bytes. Not checked: the CRC comes with the rest.
    pub fn length_of(header: &[u8]) -> usize {
        let mut length = &header[4..8];
        FRAME_HEADER + length.get_u32_le() as usize
    }

    /// The frame at the start of `bytes`, which may go on behind it.
    pub fn decode(bytes: &'a [u8]) -> Result<FrameView<'a>, &'static str> {
        if bytes.len() < FRAME_HEADER {
            return Err("the group ends inside the header of a frame");
        }
        let Some(frame) = bytes.get(..Self::length_of(bytes)) else {
            return Err("the group ends inside a frame");
        };
        let mut header = frame;
        if header.get_u32_le() != crc32c::crc32c(&frame[4..]) {
            return Err("the checksum of a frame does not match");
        }
        header.advance(4);
        let back = header.get_u32_le();
        let mut previous = [0; 32];
        header.copy_to_slice(&mut previous);
        let platform = header.get_u32_le();
        let seq = header.get_u64_le();
        Ok(FrameView { previous, platform, seq, payload: header, back, hashed: &frame[HASHED..] })
    }

    pub fn frame_bytes(&self) -> usize {
        FRAME_HEADER + self.payload.len()
    }

    pub fn hash(&self) -> [u8; 32] {
        *blake3::hash(self.hashed).as_bytes()
    }
}

/// Lengths inside a segment, which is shorter than 4 GiB by [`Options`](super::Options) being checked.
fn u32_of(length: usize) -> u32 {
    assert!(u32::try_from(length).is_ok(), "a length inside a segment fits 32 bits: {length}");
    length as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Position = Position { segment: 3, offset: 4096 };

    #[test]
    fn a_segment_header_reads_back_and_any_flipped_byte_is_noticed() {
        let heads = (1..=3).map(|n| (n, Head { seq: u64::from(n) * 7, hash: [n as u8; 32] })).collect();
        let header = SegmentHeader { segment: 9, identity: 77, first_group: 1234, segment_bytes: 1 << 20, heads };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x40;
            assert!(SegmentHeader::decode(&flipped).is_err(), "byte {at}");
        }
    }

    #[test]
    fn frames_of_a_group_read_back_and_their_hash_is_the_chain() {
        let mut encoder = GroupEncoder::default();
        encoder.begin();
        let (first, hash) = encoder.push(&[0; 32], 5, 1, b"opening");
        let (second, _) = encoder.push(&hash, 5, 2, b"");
        assert_eq!(hash, chain_hash(&[0; 32], 5, 1, b"opening"));
        let bytes = encoder.finish(77, 8, PLACE).to_vec();
        assert_eq!(bytes.len() % 8, 0);
        let header = GroupHeader::decode(&bytes, 77, PLACE).unwrap();
        assert_eq!((header.group, header.entry_count, header.group_bytes()), (8, 2, bytes.len() as u64));
        let frame = FrameView::decode(&bytes[first as usize..]).unwrap();
        assert_eq!((frame.platform, frame.seq, frame.payload, frame.back), (5, 1, &b"opening"[..], first));
        let frame = FrameView::decode(&bytes[second as usize..]).unwrap();
        assert_eq!((frame.seq, frame.payload, frame.previous), (2, &b""[..], hash));
    }

    #[test]
    fn a_group_counts_only_in_its_own_journal_and_place() {
        let header = GroupHeader { identity: 77, group: 1, place: PLACE, body_bytes: 64, entry_count: 1, body_crc: 0 };
        let bytes = header.encode();
        assert_eq!(GroupHeader::decode(&bytes, 77, PLACE), Ok(header));
        assert!(GroupHeader::decode(&bytes, 78, PLACE).is_err());
        assert!(GroupHeader::decode(&bytes, 77, Position { offset: 8192, ..PLACE }).is_err());
        assert!(GroupHeader::decode(&bytes[..40], 77, PLACE).is_err());
    }
}
