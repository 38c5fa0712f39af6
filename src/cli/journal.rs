//! `florin replay`, `florin verify`, `florin journal cat|stat`: what reads a journal that no daemon writes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::Serialize;

use super::Failure;
use crate::domain::command::Command;
use crate::domain::command::Request;
use crate::domain::seal::{Nonce, Sealed, Vault};
use crate::engine::digest::Digest;
use crate::engine::entry::{DECISION_VERSION, JournalEntry};
use crate::engine::journal::{Check, FileStorage, Frame, ReadFrom, Reader, Storage, chain_hash};
use crate::engine::machine::Proposal;
use crate::engine::plain::{Plain, Told};
use crate::engine::rates::RatesFolder;
use crate::engine::read_ahead::read_ahead;
use crate::engine::recovery::Replayed;
use crate::engine::vault::{Absent, KeyVault, Root};
use crate::ledger::TrialBalance;
use crate::primitives::id::IdCipher;
use crate::simulation::progress;

/// A data folder, or the journal folder inside one.
pub struct JournalFolder {
    storage: Arc<dyn Storage>,
    keys: PathBuf,
    tables: PathBuf,
}

impl JournalFolder {
    /// Finds the journal at a path.
    ///
    /// # Errors
    /// No journal there.
    pub fn at(path: &Path) -> Result<JournalFolder, Failure> {
        let folder = if path.join("journal").is_dir() { path.join("journal") } else { path.to_owned() };
        let has_segments = std::fs::read_dir(&folder)
            .is_ok_and(|files| files.flatten().any(|file| file.path().extension().is_some_and(|ext| ext == "seg")));
        if !has_segments {
            return Err(Failure::usage(format!(
                "no journal at {}: give a data folder, or the folder with its .seg files",
                path.display()
            )));
        }
        let beside = folder.parent().unwrap_or(Path::new("."));
        let (keys, tables) = (beside.join("keys"), beside.join("tables"));
        Ok(JournalFolder { storage: Arc::new(FileStorage::at(folder)), keys, tables })
    }

    fn frames(&self, check: Check) -> Result<impl Iterator<Item = Result<Frame, Failure>>, Failure> {
        let frames = read_ahead(Reader::offline(Arc::clone(&self.storage)), ReadFrom::Beginning, check)?;
        Ok(frames.map(|frame| frame.map_err(Failure::from)))
    }

    /// The market rates beside the journal.
    fn rates(&self) -> RatesFolder {
        RatesFolder::new(Arc::new(FileStorage::at(&self.tables)))
    }

    fn secrets(&self, platform: u32) -> Result<(Arc<IdCipher>, KeyVault), Failure> {
        let (root, vault) = crate::engine::boot::secrets(&self.keys, platform, Absent::Refuse)
            .map_err(|error| Failure::damaged(format!("{error}: decisions cannot be made again without the keys")))?;
        Ok((Arc::new(IdCipher::new(Root::platform(&root, platform).ids)), vault))
    }
}

/// What a replay or verification found of one platform.
#[derive(Debug, Serialize)]
pub struct PlatformReport {
    platform: u32,
    entries: u64,
    digest: String,
    trial_balance: Vec<BalanceRow>,
    balanced: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_again: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_by_law: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    texts_erased: Option<u64>,
}

#[derive(Debug, Serialize)]
struct BalanceRow {
    account: String,
    currency: String,
    minor: i128,
}

#[derive(Debug, Serialize)]
struct Report {
    platforms: Vec<PlatformReport>,
    entries: u64,
    seconds: f64,
    entries_per_second: u64,
}

fn rows(balance: &TrialBalance) -> Vec<BalanceRow> {
    balance
        .rows()
        .map(|(account, currency, minor)| BalanceRow {
            account: account.to_owned(),
            currency: currency.to_string(),
            minor,
        })
        .collect()
}

fn platform_report(platform: u32, entries: u64, digest: Digest, balance: &TrialBalance) -> PlatformReport {
    PlatformReport {
        platform,
        entries,
        digest: digest.to_string(),
        trial_balance: rows(balance),
        balanced: balance.is_zero(),
        decided_again: None,
        checked_by_law: None,
        texts_erased: None,
    }
}

/// Rebuilds every platform from its journal and prints digest and trial balance.
///
/// # Errors
/// A damaged journal, or books that do not balance.
pub fn replay(path: &Path, json: bool) -> Result<(), Failure> {
    let folder = JournalFolder::at(path)?;
    let started = Instant::now();
    let bar = progress::bar("replaying", None, !json);
    let mut platforms: BTreeMap<u32, Replayed> = BTreeMap::new();
    let mut entries = 0;
    for frame in folder.frames(Check::Chain)? {
        let frame = frame?;
        let platform = platforms.entry(frame.platform).or_insert_with(|| Replayed::new(true));
        platform
            .read(&frame.payload)
            .map_err(|error| Failure::damaged(format!("platform {}: {error}", frame.platform)))?;
        entries += 1;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let rates = folder.rates();
    for digest in platforms.values().flat_map(|platform| &platform.state.rates_named).collect::<BTreeSet<_>>() {
        if let Err(error) = rates.check(*digest) {
            eprintln!(
                "florin: warning: {error}. A replay needs none, but no daemon starts on this journal without them"
            );
        }
    }
    let reports = platforms
        .iter()
        .map(|(&number, platform)| {
            platform_report(number, platform.state.seq, platform.digest(), &platform.trial_balance())
        })
        .collect();
    finish(reports, entries, started, json)
}

/// Checks everything that can be checked: chain, checksums, zero sums, and every decision made again and compared.
///
/// # Errors
/// Whatever is off, with platform and sequence.
pub fn verify(path: &Path, json: bool) -> Result<(), Failure> {
    let folder = JournalFolder::at(path)?;
    let started = Instant::now();
    let bar = progress::bar("verifying", None, !json);
    let mut rates = folder.rates();
    let mut platforms: BTreeMap<u32, Verified> = BTreeMap::new();
    let mut entries = 0;
    for frame in folder.frames(Check::Chain)? {
        let frame = frame?;
        if let std::collections::btree_map::Entry::Vacant(vacant) = platforms.entry(frame.platform) {
            let (ids, vault) = folder.secrets(frame.platform)?;
            let vault = Arc::new(Noting { vault, erased: AtomicBool::new(false) });
            let plain = Plain::new(ids, Arc::clone(&vault) as Arc<_>, false);
            vacant.insert(Verified { plain, vault, decided_again: 0, by_law: 0, erased: 0 });
        }
        let Some(platform) = platforms.get_mut(&frame.platform) else { continue };
        platform.check(&frame, &mut rates)?;
        entries += 1;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let mut reports = Vec::new();
    for (&number, verified) in &platforms {
        let world = &verified.plain.world;
        if world.trial_balance() != world.state.trial_balance() {
            return Err(Failure::damaged(format!("platform {number}: accounts' books and running totals differ")));
        }
        let mut report = platform_report(number, world.state.seq, world.digest(), &world.trial_balance());
        report.decided_again = Some(verified.decided_again);
        report.checked_by_law = Some(verified.by_law);
        report.texts_erased = Some(verified.erased);
        reports.push(report);
    }
    finish(reports, entries, started, json)
}

/// A vault that notes whether somebody asked for a key that was erased.
struct Noting {
    vault: KeyVault,
    erased: AtomicBool,
}

impl Noting {
    fn note(&self, key_no: u32) {
        if self.vault.is_erased(key_no) {
            self.erased.store(true, Ordering::Relaxed);
        }
    }
}

impl Vault for Noting {
    fn seal(&self, key_no: u32, nonce: Nonce, plain: &[u8]) -> Vec<u8> {
        self.note(key_no);
        self.vault.seal(key_no, nonce, plain)
    }

    fn open(&self, sealed: &Sealed) -> Option<Vec<u8>> {
        self.note(sealed.key_no);
        self.vault.open(sealed)
    }
}

struct Verified {
    plain: Plain,
    vault: Arc<Noting>,
    decided_again: u64,
    by_law: u64,
    /// Of those decided again, how many had texts that nobody can read any more.
    erased: u64,
}

impl Verified {
    fn check(&mut self, frame: &Frame, rates: &mut RatesFolder) -> Result<(), Failure> {
        let off = |what: String| Failure::damaged(format!("platform {} entry {}: {what}", frame.platform, frame.seq));
        // Decoding proves that the postings sum to zero per currency: no other entry can be built.
        let entry = JournalEntry::from_bytes(&frame.payload).map_err(|error| off(error.to_string()))?;
        let follow = |plain: &mut Plain| plain.follow(&frame.payload).map_err(|error| off(error.to_string()));
        if let Command::PutTables(tables) = &entry.command {
            self.plain.machine.offer_rates(rates.load(tables.rates_digest).map_err(|error| off(error.to_string()))?);
        }
        if entry.version != DECISION_VERSION {
            follow(&mut self.plain)?;
            self.by_law += 1;
        } else {
            self.vault.erased.store(false, Ordering::Relaxed);
            let request = entry.request(&*self.vault);
            match self.plain.propose(&request, entry.now) {
                Ok(proposal) if proposal.bytes == frame.payload => {
                    self.plain.accept(&request, proposal);
                }
                decided
                    if self.vault.erased.load(Ordering::Relaxed) && self.does_the_same(request, &entry, &decided) =>
                {
                    follow(&mut self.plain)?;
                    self.erased += 1;
                }
                decided => return Err(off(different(decided, frame))),
            }
            self.decided_again += 1;
        }
        // An advance that has fired everything ends; the next entry carries its time.
        self.plain.machine.state.settle_clock();
        Ok(())
    }

    /// Texts that were erased cannot be sealed again; everything else must come out as it did. Nobody knows whether
    /// there were any beside the idempotency key, and a request without texts may change nothing: either will do.
    fn does_the_same(&mut self, mut request: Request, entry: &JournalEntry, decided: &Result<Proposal, Told>) -> bool {
        let same = |decided: &Result<Proposal, Told>| decided.as_ref().is_ok_and(|again| again.entry.does_as(entry));
        if same(decided) {
            return true;
        }
        request.texts.set("\u{1}erased", "");
        same(&self.plain.propose(&request, entry.now))
    }
}

/// How a decision that was made again came out, where it should have been as in the journal.
fn different(decided: Result<Proposal, Told>, frame: &Frame) -> String {
    match decided {
        Ok(proposal) => format!(
            "deciding it again gives another entry (hash {} instead of {}): the journal was not written by these rules",
            short(&proposal.bytes),
            short(&frame.payload)
        ),
        Err(Told::Refused(refusal)) => format!("deciding it again refuses: {}", refusal.message),
        Err(Told::Replay(seq)) => format!("deciding it again finds its idempotency key used by entry {seq}"),
        Err(Told::KeyReused(_)) => "deciding it again finds its idempotency key used".to_owned(),
        Err(Told::Panicked | Told::Decided(_)) => "deciding it again panics".to_owned(),
    }
}

fn short(payload: &[u8]) -> String {
    chain_hash(&[0; 32], 0, 0, payload)[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn finish(platforms: Vec<PlatformReport>, entries: u64, started: Instant, json: bool) -> Result<(), Failure> {
    let seconds = started.elapsed().as_secs_f64();
    let balanced = platforms.iter().all(|platform| platform.balanced);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    // a speed, for people
    let entries_per_second = (entries as f64 / seconds.max(1e-9)) as u64;
    let report = Report { platforms, entries, seconds, entries_per_second };
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        for platform in &report.platforms {
            writeln!(out, "platform {}  {} entries  digest {}", platform.platform, platform.entries, platform.digest)?;
            for row in &platform.trial_balance {
                writeln!(out, "  {:<24} {} {:>22}", row.account, row.currency, row.minor)?;
            }
            let closed = if platform.balanced { "zero in every currency" } else { "NOT ZERO" };
            writeln!(out, "  trial balance: {closed}")?;
            if let (Some(again), Some(law)) = (platform.decided_again, platform.checked_by_law) {
                writeln!(out, "  {again} decisions made again and equal; {law} of older rules checked by law")?;
            }
            if let Some(erased @ 1..) = platform.texts_erased {
                writeln!(out, "  {erased} of them but for texts whose keys are erased")?;
            }
        }
        writeln!(out, "{entries} entries in {seconds:.2} s, {entries_per_second} per second")?;
    }
    if balanced { Ok(()) } else { Err(Failure::damaged("the trial balance is not zero".to_owned())) }
}

/// Prints entries as JSON lines.
///
/// # Errors
/// A damaged journal.
pub fn cat(path: &Path, platform: Option<u32>, from: u64) -> Result<(), Failure> {
    let folder = JournalFolder::at(path)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for frame in folder.frames(Check::Checksums)? {
        let frame = frame?;
        if platform.is_some_and(|wanted| wanted != frame.platform) || frame.seq < from {
            continue;
        }
        let entry = JournalEntry::from_bytes(&frame.payload)
            .map_err(|error| Failure::damaged(format!("platform {} entry {}: {error}", frame.platform, frame.seq)))?;
        serde_json::to_writer(&mut out, &Line::of(&frame, &entry))?;
        writeln!(out)?;
    }
    out.flush()?;
    Ok(())
}

/// An entry as people read it: money in full, records and texts by size.
#[derive(Serialize)]
struct Line {
    platform: u32,
    seq: u64,
    segment: u32,
    offset: u32,
    now: String,
    version: u16,
    request: String,
    command: String,
    postings: Vec<String>,
    events: Vec<&'static str>,
    records: Vec<String>,
    due: usize,
    reply: String,
    bytes: usize,
}

impl Line {
    fn of(frame: &Frame, entry: &JournalEntry) -> Line {
        Line {
            platform: frame.platform,
            seq: frame.seq,
            segment: frame.position.segment,
            offset: frame.position.offset,
            now: entry.now.to_string(),
            version: entry.version,
            request: entry.request_id.clone(),
            command: format!("{:?}", entry.command),
            postings: entry
                .postings
                .postings()
                .iter()
                .map(|posting| format!("{:?} {}", posting.leg(), posting.money()))
                .collect(),
            events: entry.events.iter().map(|event| event.kind.wire()).collect(),
            records: entry
                .changes
                .iter()
                .map(|change| format!("{}/{} {} bytes", change.key.birth, change.key.child, change.after.len()))
                .collect(),
            due: entry.due.len(),
            reply: format!("{:?}", entry.reply),
            bytes: frame.payload.len(),
        }
    }
}

/// Prints counts and sizes.
///
/// # Errors
/// A damaged journal.
pub fn stat(path: &Path, json: bool) -> Result<(), Failure> {
    #[derive(Default, Serialize)]
    struct Stat {
        entries: u64,
        bytes: u64,
        largest: usize,
        first: Option<String>,
        last: Option<String>,
        commands: BTreeMap<String, u64>,
    }
    let folder = JournalFolder::at(path)?;
    let mut platforms: BTreeMap<u32, Stat> = BTreeMap::new();
    for frame in folder.frames(Check::Checksums)? {
        let frame = frame?;
        let entry = JournalEntry::from_bytes(&frame.payload)
            .map_err(|error| Failure::damaged(format!("platform {} entry {}: {error}", frame.platform, frame.seq)))?;
        let stat = platforms.entry(frame.platform).or_default();
        stat.entries += 1;
        stat.bytes += frame.payload.len() as u64;
        stat.largest = stat.largest.max(frame.payload.len());
        stat.first.get_or_insert_with(|| entry.now.to_string());
        stat.last = Some(entry.now.to_string());
        let name = format!("{:?}", entry.command);
        let name: String = name.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
        *stat.commands.entry(name).or_default() += 1;
    }
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &platforms)?;
        writeln!(out)?;
        return Ok(());
    }
    for (platform, stat) in &platforms {
        let mean = stat.bytes / stat.entries.max(1);
        writeln!(
            out,
            "platform {platform}: {} entries, {} bytes ({mean} each, largest {})",
            stat.entries, stat.bytes, stat.largest
        )?;
        writeln!(out, "  from {} to {}", stat.first.as_deref().unwrap_or("-"), stat.last.as_deref().unwrap_or("-"))?;
        for (command, count) in &stat.commands {
            writeln!(out, "  {command:<24} {count:>12}")?;
        }
    }
    Ok(())
}
