//! A torn tail is cut, damage is refused: which is which.

use super::*;

/// Two full segments and a third that has begun: seven groups in the last, one entry each.
fn journal() -> (SimStorage, Vec<Durable>) {
    let mut house = House::open(&SimStorage::new());
    let mut written = Vec::new();
    for n in 0..33 {
        written.extend(house.write(&[(1 + n % 3, 800)]));
    }
    assert_eq!(house.writer.durable_end().segment, 3);
    (house.stop(), written)
}

const FIRST: &str = "00000001.seg";
const MIDDLE: &str = "00000002.seg";
const LAST: &str = "00000003.seg";

/// Opens after a damage. What comes back: entries, and whether a tail was cut.
fn reopened(disk: &SimStorage) -> Result<(usize, bool), JournalError> {
    let opened = Journal::open(Arc::new(disk.clone()), tiny(), ScanFrom::Beginning)?;
    let torn = opened.truncated.is_some();
    drop(opened);
    Ok((read_all(disk).len(), torn))
}

fn expect_damage(disk: &SimStorage, segment: u32, what: &str) {
    let before = [FIRST, MIDDLE, LAST].map(|name| disk.file(name));
    let error = reopened(disk).unwrap_err();
    let text = error.to_string();
    match error {
        JournalError::Damaged { segment: found, what: found_what, .. } => {
            assert_eq!(found, segment, "{text}");
            assert!(found_what.contains(what), "wanted {what:?}: {text}");
        }
        other => panic!("{other}"),
    }
    assert!(text.contains("Restore this file from a copy"), "{text}");
    assert_eq!(before, [FIRST, MIDDLE, LAST].map(|name| disk.file(name)), "a refused journal is not touched");
}

#[test]
fn an_undamaged_journal_opens_and_nothing_is_cut() {
    let (disk, written) = journal();
    assert_eq!(reopened(&disk).unwrap(), (written.len(), false));
}

#[test]
fn a_torn_tail_is_cut_whatever_tore_it() {
    let (disk, written) = journal();
    let last = written.last().unwrap().position.offset as usize;
    let end = last + 56 + 800;
    type Tear = Box<dyn FnOnce(&mut Vec<u8>)>;
    let tears: Vec<(&str, Tear)> = vec![
        ("truncated inside the last frame", Box::new(move |bytes| bytes.truncate(last + 100))),
        ("sixteen bytes of its payload flipped", Box::new(move |bytes| flip(bytes, last + 300))),
        ("sixteen bytes at its beginning flipped", Box::new(move |bytes| flip(bytes, last - 48))),
        ("its last half zeroed", Box::new(move |bytes| bytes[end - 400..end].fill(0))),
        ("its header zeroed", Box::new(move |bytes| bytes[last - 48..last].fill(0))),
    ];
    for (what, tear) in tears {
        let (disk, _) = journal();
        disk.damage(LAST, tear);
        assert_eq!(reopened(&disk).unwrap(), (written.len() - 1, true), "{what}");
        assert_eq!(disk.file(LAST).len(), 16 << 10, "{what}: the file has its length again");
        assert!(disk.file(LAST)[last - 48..].iter().all(|byte| *byte == 0), "{what}: the rest is zeros");
        assert_eq!(reopened(&disk).unwrap(), (written.len() - 1, false), "{what}: and it stays cut");
    }
    // A whole page at the end takes several groups along; none is left behind it.
    disk.damage(LAST, |bytes| bytes[end - 4096..].fill(0));
    let (entries, _) = reopened(&disk).unwrap();
    assert!((written.len() - 6..written.len()).contains(&entries), "{entries}");
}

fn flip(bytes: &mut [u8], at: usize) {
    bytes[at..at + 16].iter_mut().for_each(|byte| *byte ^= 0xff);
}

#[test]
fn a_last_segment_that_lost_only_zeros_gets_its_length_back() {
    let (disk, written) = journal();
    let end = written.last().unwrap().position.offset as usize + 56 + 800;
    for length in [end, end + 5000] {
        disk.damage(LAST, |bytes| bytes.truncate(length));
        assert_eq!(reopened(&disk).unwrap(), (written.len(), true));
        assert_eq!(disk.file(LAST).len(), 16 << 10);
        assert_eq!(reopened(&disk).unwrap(), (written.len(), false));
    }
}

#[test]
fn a_damaged_middle_is_refused_in_every_segment() {
    for (number, name) in [(1, FIRST), (2, MIDDLE), (3, LAST)] {
        for at in (4096..8192).step_by(199) {
            if name == LAST && at > 7000 {
                continue; // the last groups of the last segment: a tail
            }
            let (disk, _) = journal();
            disk.damage(name, |bytes| flip(bytes, at));
            expect_damage(&disk, number, "");
        }
    }
}

#[test]
fn a_zeroed_page_in_the_middle_is_refused_in_every_segment() {
    let (disk, _) = journal();
    disk.damage(FIRST, |bytes| bytes[4096..8192].fill(0));
    expect_damage(&disk, 1, "the groups from 1 on are missing");
    let (disk, _) = journal();
    disk.damage(MIDDLE, |bytes| bytes[8192..12288].fill(0));
    expect_damage(&disk, 2, "");
    let (disk, _) = journal();
    disk.damage(LAST, |bytes| bytes[4096..8192].fill(0));
    expect_damage(&disk, 3, "behind it is whole");
}

#[test]
fn a_cut_off_segment_that_others_follow_is_refused() {
    let (disk, _) = journal();
    disk.damage(MIDDLE, |bytes| bytes.truncate(9000));
    expect_damage(&disk, 2, "");
    let (disk, _) = journal();
    disk.damage(FIRST, |bytes| bytes.truncate(0));
    expect_damage(&disk, 1, "inside the segment header");
}

#[test]
fn a_damaged_segment_header_is_refused_even_in_the_last_segment() {
    for (number, name) in [(1, FIRST), (2, MIDDLE), (3, LAST)] {
        for at in [0, 14, 20, 60] {
            let (disk, _) = journal();
            disk.damage(name, |bytes| flip(bytes, at));
            expect_damage(&disk, number, "");
        }
    }
    let (disk, _) = journal();
    disk.damage(LAST, |bytes| bytes.push(1));
    expect_damage(&disk, 3, "the file goes on");
}

#[test]
fn a_missing_segment_is_refused() {
    let (disk, _) = journal();
    disk.remove(MIDDLE).unwrap();
    let error = reopened(&disk).unwrap_err();
    assert!(matches!(error, JournalError::MissingSegment { segment: 2, .. }), "{error}");
    assert!(error.to_string().contains("00000002.seg is missing"), "{error}");
    let (disk, _) = journal();
    disk.remove(FIRST).unwrap();
    assert!(matches!(reopened(&disk), Err(JournalError::MissingSegment { segment: 1, .. })));
}

#[test]
fn segments_in_each_others_place_are_refused() {
    let (disk, _) = journal();
    let first = disk.file(FIRST);
    disk.damage(MIDDLE, |bytes| *bytes = first);
    expect_damage(&disk, 2, "somebody renamed it");
    // The same segment of another journal.
    let (disk, _) = journal();
    let options = Options { identity: Some(1), ..tiny() };
    let mut other = House::try_open(&SimStorage::new(), options).unwrap();
    (0..40).for_each(|n| drop(other.write(&[(1 + n % 3, 800)])));
    let other = other.stop().file(MIDDLE);
    disk.damage(MIDDLE, |bytes| *bytes = other);
    expect_damage(&disk, 2, "another journal");
}

#[test]
fn a_segment_whose_heads_are_not_those_of_the_entries_before_it_is_refused() {
    let (disk, _) = journal();
    disk.damage(MIDDLE, |bytes| {
        let mut header = super::super::format::SegmentHeader::decode(bytes).unwrap();
        header.heads.insert(9, Head { seq: 1, hash: [1; 32] });
        let header = header.encode();
        bytes[..header.len()].copy_from_slice(&header);
    });
    expect_damage(&disk, 2, "its heads are not what the entries before it led to");
}

#[test]
fn an_older_copy_of_a_segment_is_refused() {
    let mut house = House::open(&SimStorage::new());
    (0..5).for_each(|_| drop(house.write(&[(1, 800)])));
    let old = house.disk.file(FIRST);
    (0..20).for_each(|_| drop(house.write(&[(1, 800)])));
    let disk = house.stop();
    disk.damage(FIRST, |bytes| *bytes = old);
    expect_damage(&disk, 1, "the groups from 6 on are missing");
}

/// Puts a group of these frames (platform, sequence, previous hash) behind the end of a journal, as a broken writer
/// could.
fn forge(disk: &SimStorage, place: Position, group: u64, frames: &[(u32, u64, [u8; 32])]) {
    let mut encoder = super::super::format::GroupEncoder::default();
    encoder.begin();
    for (platform, seq, previous) in frames {
        encoder.push(previous, *platform, *seq, b"forged");
    }
    let bytes = encoder.finish(0x7e57, group, place).to_vec();
    let at = place.offset as usize;
    disk.damage(LAST, |file| file[at..at + bytes.len()].copy_from_slice(&bytes));
}

#[test]
fn entries_that_do_not_continue_their_chain_are_refused() {
    let end = |disk: &SimStorage| {
        let opened = Journal::open(Arc::new(disk.clone()), tiny(), ScanFrom::Beginning).unwrap();
        (opened.end, opened.next_group, opened.heads[&1])
    };
    let (disk, _) = journal();
    let (place, group, head) = end(&disk);
    forge(&disk, place, group, &[(1, head.seq + 1, head.hash), (1, head.seq + 3, [1; 32])]);
    expect_damage(&disk, 3, &format!("platform 1 goes from entry {} to entry {}", head.seq + 1, head.seq + 3));
    let (disk, _) = journal();
    forge(&disk, place, group, &[(1, head.seq + 1, [9; 32])]);
    expect_damage(&disk, 3, "does not continue the platform's chain");
    let (disk, _) = journal();
    forge(&disk, place, group, &[(7, 2, [0; 32])]);
    expect_damage(&disk, 3, "platform 7 goes from entry 0 to entry 2");
    let (disk, _) = journal();
    forge(&disk, place, group + 1, &[(1, head.seq + 1, head.hash)]);
    expect_damage(&disk, 3, &format!("group {group} should stand here"));
}

#[test]
fn a_payload_that_holds_a_whole_group_is_not_taken_for_one() {
    // Somebody who knows the format writes a group of another journal's identity into an entry, in every alignment.
    // The entry tears, and what lies inside must not make the torn tail look like damage.
    for shift in 0..8 {
        let mut house = House::open(&SimStorage::new());
        house.write(&[(1, 100)]);
        let end = house.writer.durable_end();
        let mut bytes = vec![0; shift];
        for n in 0..20 {
            let mut forged = super::super::format::GroupEncoder::default();
            forged.begin();
            forged.push(&[0; 32], 1, 2, b"to steal");
            let inside = end.offset + 48 + 56 + bytes.len() as u32;
            bytes.extend(forged.finish(0xbad, n, Position { offset: inside, ..end }));
        }
        bytes.extend([7; 400]);
        house.writer.append(vec![Append { platform: 1, seq: 2, payload: bytes.into() }]).unwrap();
        let torn = house.durable.recv_timeout(WAIT).unwrap()[0].position.offset as usize;
        let disk = house.stop();
        assert_eq!(reopened(&disk).unwrap(), (2, false));
        disk.damage(FIRST, |bytes| flip(bytes, torn));
        assert_eq!(reopened(&disk).unwrap(), (1, true));
    }
}

#[test]
fn a_newer_format_is_named_as_such() {
    let (disk, _) = journal();
    disk.damage(LAST, |bytes| bytes[8] = 2);
    let text = reopen_error(&disk).to_string();
    assert!(text.contains("00000003.seg has format version 2, this release reads up to 1"), "{text}");
}

#[test]
fn checking_changes_nothing_and_reports_the_torn_tail() {
    let (disk, written) = journal();
    let last = written.last().unwrap().position.offset as usize;
    disk.damage(LAST, |bytes| flip(bytes, last));
    let before = disk.file(LAST);
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let checked = Journal::check(&storage, ScanFrom::Beginning).unwrap();
    assert_eq!(checked.scanned.entries, written.len() as u64 - 1);
    assert_eq!(checked.torn.unwrap().offset, last as u64 - 48);
    assert_eq!(disk.file(LAST), before);
    let mut frames = Reader::offline(storage).frames_from(ReadFrom::Beginning, Check::Chain).unwrap();
    assert_eq!(frames.by_ref().filter(Result::is_ok).count(), written.len() - 1);
    assert_eq!(frames.torn().unwrap().offset, last as u64 - 48);
}
