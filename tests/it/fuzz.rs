//! What decodes bytes of a disk takes any bytes: it answers or refuses, and takes no more memory than they could fill.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::LazyLock;

use bytes::Bytes;
use florin::domain::seal::{TextPatch, Texts};
use florin::engine::entry::{Effects, JournalEntry, decode_record};
use florin::engine::snapshot::PlatformState;
use florin::engine::store::EntryView;
use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::story::Story;

/// Counts what each thread asks for.
struct Counting;

thread_local! {
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator as it came.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ASKED.try_with(|asked| asked.set(asked.get() + layout.size()));
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = ASKED.try_with(|asked| asked.set(asked.get() + size));
        // SAFETY: the caller's promises are the same.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Vectors double as they grow, and a struct may be this much larger than its shortest encoding.
const BYTES_PER_BYTE: usize = 256;
const BYTES_AT_LEAST: usize = 16 << 10;

/// Every decoder of stored bytes.
fn decode_everything(bytes: &[u8]) {
    let before = ASKED.get();
    let _ = JournalEntry::from_bytes(bytes);
    let _ = Effects::from_bytes(bytes).map(|effects| effects.view().postings.postings().len());
    let _ = EntryView::from_bytes(bytes);
    let _ = decode_record(bytes);
    let _ = PlatformState::from_bytes(bytes);
    let _ = Texts::from_bytes(bytes);
    let _ = TextPatch::from_bytes(bytes);
    let asked = ASKED.get() - before;
    let allowed = BYTES_AT_LEAST + BYTES_PER_BYTE * bytes.len();
    assert!(asked <= allowed, "{asked} bytes of memory for {} bytes: {bytes:02x?}", bytes.len());
}

/// Entries, records and states that are what they should be.
static CORPUS: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
    let story = Story::told(1);
    let world = &story.town.plain.world;
    let mut corpus = story.town.plain.entries.clone();
    corpus.extend(world.records.values().map(|record| Bytes::copy_from_slice(record)));
    corpus.push(Bytes::from(PlatformState::of(&world.state).to_bytes()));
    corpus
});

/// A small change to something sound.
#[derive(Clone, Debug)]
enum Mutation {
    Flip {
        at: u32,
        bit: u8,
    },
    Set {
        at: u32,
        byte: u8,
    },
    Remove {
        at: u32,
        count: u8,
    },
    Insert {
        at: u32,
        bytes: Vec<u8>,
    },
    Truncate {
        at: u32,
    },
    /// A length where there was another: what makes decoders reserve.
    Length {
        at: u32,
        kind: u8,
        length: u64,
    },
    Splice {
        other: u32,
        from: u32,
        at: u32,
        count: u16,
    },
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<u32>;
    prop_oneof![
        (at(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip { at, bit }),
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set { at, byte }),
        (at(), 1..40_u8).prop_map(|(at, count)| Mutation::Remove { at, count }),
        (at(), proptest::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Mutation::Insert { at, bytes }),
        at().prop_map(|at| Mutation::Truncate { at }),
        (at(), 2..7_u8, any::<u64>()).prop_map(|(at, kind, length)| Mutation::Length { at, kind, length }),
        (at(), at(), at(), any::<u16>()).prop_map(|(other, from, at, count)| Mutation::Splice {
            other,
            from,
            at,
            count: count % 400
        }),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    let place = |at: u32, len: usize| at as usize % (len + 1);
    match mutation {
        Mutation::Flip { at, bit } => {
            let at = place(*at, bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        Mutation::Set { at, byte } => {
            let at = place(*at, bytes.len());
            if let Some(place) = bytes.get_mut(at) {
                *place = *byte;
            }
        }
        Mutation::Remove { at, count } => {
            let at = place(*at, bytes.len());
            let end = (at + usize::from(*count)).min(bytes.len());
            bytes.drain(at..end);
        }
        Mutation::Insert { at, bytes: new } => {
            let at = place(*at, bytes.len());
            bytes.splice(at..at, new.iter().copied());
        }
        Mutation::Truncate { at } => bytes.truncate(place(*at, bytes.len())),
        Mutation::Length { at, kind, length } => {
            let at = place(*at, bytes.len());
            // Major type with an eight-byte length: byte string, text, array, map, tag.
            let head = [&[kind << 5 | 27][..], &length.to_be_bytes()[..]].concat();
            let end = (at + 1).min(bytes.len());
            bytes.splice(at..end, head);
        }
        Mutation::Splice { other, from, at, count } => {
            let other = &CORPUS[*other as usize % CORPUS.len()];
            let from = place(*from, other.len());
            let end = (from + usize::from(*count)).min(other.len());
            let at = place(*at, bytes.len());
            bytes.splice(at..at, other[from..end].iter().copied());
        }
    }
}

fn cases(few: u32) -> Config {
    let cases = std::env::var("FLORIN_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(few);
    Config { cases, failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn random_bytes_are_refused_quietly(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        decode_everything(&bytes);
    }

    #[test]
    fn damaged_entries_and_records_are_refused_or_read_quietly(
        which in any::<u32>(),
        mutations in proptest::collection::vec(mutation(), 1..6),
    ) {
        let mut bytes = CORPUS[which as usize % CORPUS.len()].to_vec();
        for mutation in &mutations {
            mutate(&mut bytes, mutation);
        }
        decode_everything(&bytes);
    }
}

#[test]
fn deep_and_endless_structures_end_quietly() {
    for head in [0x81_u8, 0x9f, 0xa1, 0xbf, 0xd8, 0x5f, 0x7f, 0xc1, 0x9b, 0xbb, 0x5b, 0x7b] {
        decode_everything(&vec![head; 100_000]);
        for entry in CORPUS.iter().take(20) {
            // Where a field of a sound entry begins.
            let mut bytes = entry[..entry.len() / 2].to_vec();
            bytes.extend(vec![head; 100_000]);
            decode_everything(&bytes);
        }
    }
    // The last field of a map that nobody knows: skipped, however deep it is.
    let mut bytes = CORPUS[0].to_vec();
    if bytes[0] & 0xe0 == 0xa0 {
        bytes[0] += 1;
        bytes.extend([0x18, 200]);
        bytes.extend(vec![0x81; 200_000]);
        bytes.push(0);
        decode_everything(&bytes);
    }
}
