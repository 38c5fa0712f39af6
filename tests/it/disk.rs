//! A disk that fails under a daemon in full work: from then on nothing is acknowledged, the process ends, and the next
//! start finds everything that was acknowledged.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use florin::engine::boot::{EngineOptions, TestHooks};
use florin::engine::journal::storage::{Access, StorageFile, StorageLock};
use florin::engine::journal::{FileStorage, Storage};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::crash::number;
use crate::daemon::{Daemon, Ended, PATIENCE, serve};
use crate::market::{Ledger, Market, Seen, expect_lists, expect_sound_journal};

const CONNECTIONS: u64 = 24;
/// Requests that come after the failure.
const LATE: u64 = 8;
/// How long the disk takes to admit that a sync failed.
const ADMITS_AFTER: Duration = Duration::from_millis(300);

/// What is on the disk of the writes whose sync failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    All,
    Half,
    Nothing,
}

impl Left {
    const EACH: [Left; 3] = [Left::All, Left::Half, Left::Nothing];

    fn named(name: &str) -> Left {
        Left::EACH.into_iter().find(|left| format!("{left:?}") == name).expect("a name")
    }
}

/// The journal's folder on a disk whose n-th sync fails, and every one after it.
struct DyingDisk {
    files: FileStorage,
    health: Arc<Health>,
}

struct Health {
    good_syncs_left: AtomicU64,
    left: Left,
    /// A file that appears when a sync fails, before anybody is told.
    mark: PathBuf,
}

struct DyingFile {
    file: Arc<dyn StorageFile>,
    /// Offsets and lengths of what was written since the last sync.
    unsynced: Mutex<Vec<(u64, usize)>>,
    health: Arc<Health>,
}

impl DyingDisk {
    fn wrapped(&self, file: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
        Arc::new(DyingFile { file, unsynced: Mutex::default(), health: Arc::clone(&self.health) })
    }
}

impl Storage for DyingDisk {
    fn place(&self) -> String {
        self.files.place()
    }

    fn lock(&self) -> io::Result<Option<StorageLock>> {
        self.files.lock()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.files.list()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(self.wrapped(self.files.create(name)?))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn StorageFile>> {
        Ok(self.wrapped(self.files.open(name, access)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.files.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.files.sync_dir()
    }
}

impl StorageFile for DyingFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.unsynced.lock().expect("unpoisoned").push((offset, bytes.len()));
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut unsynced = self.unsynced.lock().expect("unpoisoned");
        let left = &self.health.good_syncs_left;
        if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            unsynced.clear();
            return self.file.sync_data();
        }
        for (offset, bytes) in unsynced.drain(..) {
            let kept = match self.health.left {
                Left::All => bytes,
                Left::Half => bytes / 2,
                Left::Nothing => 0,
            };
            // Groups are written onto zeros.
            self.file.write_at(&vec![0; bytes - kept], offset + kept as u64)?;
        }
        std::fs::write(&self.health.mark, "").expect("a mark");
        std::thread::sleep(ADMITS_AFTER);
        Err(io::Error::from_raw_os_error(libc::EIO))
    }

    fn file_bytes(&self) -> io::Result<u64> {
        self.file.file_bytes()
    }
}

/// A daemon on a disk that dies at its n-th sync: in a process of its own, because it ends that process.
fn start_on_a_dying_disk(data: &Path, good_syncs: u64, left: Left, mark: &Path) -> Daemon {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command
        .args(["--exact", "disk::a_daemon_on_a_dying_disk_as_a_child", "--ignored", "--nocapture"])
        .env("FLORIN_CHILD_DATA", data)
        .env("FLORIN_CHILD_SYNCS", good_syncs.to_string())
        .env("FLORIN_CHILD_LEFT", format!("{left:?}"))
        .env("FLORIN_CHILD_MARK", mark);
    Daemon::of(command).unwrap_or_else(|ended| panic!("{}: {}", ended.status, ended.log))
}

#[test]
#[ignore = "a child of the tests here"]
fn a_daemon_on_a_dying_disk_as_a_child() {
    let Some(data) = std::env::var_os("FLORIN_CHILD_DATA").map(PathBuf::from) else { return };
    let given = |name: &str| std::env::var(name).expect("it is given");
    let health = Health {
        good_syncs_left: AtomicU64::new(given("FLORIN_CHILD_SYNCS").parse().expect("a number")),
        left: Left::named(&given("FLORIN_CHILD_LEFT")),
        mark: given("FLORIN_CHILD_MARK").into(),
    };
    let disk = DyingDisk { files: FileStorage::at(data.join("journal")), health: Arc::new(health) };
    let hooks = TestHooks { journal_disk: Some(Arc::new(disk)), ..TestHooks::default() };
    florin::cli::serve::log_to_stderr();
    let greet = |address| println!("\nlistens on http://{address}\ntry curl ");
    serve(EngineOptions { hooks, ..EngineOptions::new(data) }, greet, std::future::pending());
}

/// The daemon stopped itself, and its log says why.
fn expect_stopped_itself(ended: &Ended, because: &str) {
    assert_eq!(ended.status.signal(), Some(libc::SIGABRT), "{}: {}", ended.status, ended.log);
    assert!(ended.log.lines().any(|line| line.contains("stopping")), "{}", ended.log);
    assert!(ended.log.contains(because), "{}", ended.log);
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_and_a_new_start_finds_all_that_was() {
    let seed = number("FLORIN_SEED", u64::from(std::process::id()));
    println!("FLORIN_SEED={seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mut ledger = Ledger::default();
    let daemon = Daemon::start(&data);
    let market = Arc::new(Market::open(&mut daemon.client()));
    assert!(daemon.stop().status.success());

    let rounds = [Left::EACH, Left::EACH].concat();
    for (round, left) in (1..).zip(rounds.iter().copied()) {
        let mark = folder.path().join(format!("failed {round}"));
        let daemon = start_on_a_dying_disk(&data, rng.random_range(15..60), left, &mark);
        let address = daemon.address;
        let connections = market.trade_all(address, round, CONNECTIONS, &mut rng);
        let until = Instant::now() + PATIENCE;
        while !mark.exists() {
            assert!(Instant::now() < until, "no sync fails");
            std::thread::sleep(Duration::from_millis(1));
        }
        // The sync has failed. Nobody knows it yet but the disk.
        let late: Vec<_> = (0..LATE)
            .map(|n| {
                let (market, draws) = (Arc::clone(&market), ChaCha8Rng::seed_from_u64(rng.random()));
                let connection = (round, CONNECTIONS + n);
                std::thread::spawn(move || market.expect_no_acknowledgement(address, connection, draws))
            })
            .collect();
        let ended = daemon.ended();
        expect_stopped_itself(&ended, "journal: cannot sync 00000001.seg");
        let seen: Vec<Seen> =
            connections.into_iter().chain(late).map(|trade| trade.join().expect("no surprise")).collect();
        expect_sound_journal(&data);

        let before = (ledger.effects_before_the_crash, ledger.effects_after_it);
        let daemon = Daemon::start(&data);
        let client = &mut daemon.client();
        let (acknowledged, unanswered) = ledger.expect_nothing_lost(client, seen);
        if round == rounds.len() as u64 {
            expect_lists(client, &market, &ledger);
        }
        let ended = daemon.stop();
        assert!(ended.status.success(), "{}", ended.log);
        assert_eq!(ended.log.contains("cut a torn tail"), left == Left::Half, "{}", ended.log);
        // The group whose sync failed is there or not; no more can be said of it, and it is the same to everybody.
        let happened = ledger.effects_before_the_crash - before.0;
        let again = ledger.effects_after_it - before.1;
        println!(
            "round {round}, {left:?} left: {acknowledged} acknowledged and found; of {unanswered} unanswered, {happened} \
             had happened and {again} happened at the retry"
        );
        assert!(again >= LATE, "what came after the failure did not happen before the new start");
        assert!(left != Left::All || happened > 0, "the group was on the disk");
    }
    expect_sound_journal(&data);
}

/// A small disk of its own. Gone when dropped.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Only root may have one, and not in every container.
    fn mount(at: &Path, mib: u32) -> Result<SmallDisk, String> {
        std::fs::create_dir_all(at).expect("a folder");
        let size = format!("size={mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        let mounted = mounted.map_err(|error| format!("mount: {error}"))?;
        if mounted.status.success() {
            Ok(SmallDisk { at: at.to_owned() })
        } else {
            Err(String::from_utf8_lossy(&mounted.stderr).trim().to_owned())
        }
    }

    fn grow(&self, mib: u32) {
        let size = format!("remount,size={mib}m");
        let grown = Command::new("mount").args(["-o", &size]).arg(&self.at).status();
        assert!(grown.is_ok_and(|status| status.success()), "more space");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Also while a daemon that a failed test left still has files open there.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

/// A daemon in full work whose disk has no space left: below this folder of its data.
fn fill_up(small: &str, mib: u32) {
    let seed = number("FLORIN_SEED", u64::from(std::process::id()));
    println!("FLORIN_SEED={seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let disk = match SmallDisk::mount(&data.join(small), mib) {
        Ok(disk) => disk,
        Err(why) => return println!("skipped: this test needs a small disk, and none can be mounted here: {why}"),
    };
    let daemon = Daemon::start(&data);
    let market = Arc::new(Market::open(&mut daemon.client()).with_heavy_orders());
    let connections = market.trade_all(daemon.address, 1, CONNECTIONS, &mut rng);
    let ended = daemon.ended();
    expect_stopped_itself(&ended, "No space left on device");
    let seen: Vec<Seen> = connections.into_iter().map(|trade| trade.join().expect("no surprise")).collect();
    expect_sound_journal(&data);

    // Nothing was freed. What is there can be looked at, unless the caches need space that is not there.
    match Daemon::try_start(&data, |_| {}) {
        Ok(daemon) => seen.iter().for_each(|seen| seen.expect_found(&mut daemon.client())),
        Err(ended) => {
            assert_eq!(small, "", "the journal needs no space to be read: {}", ended.log);
            assert!(ended.log.contains("No space left on device"), "{}", ended.log);
        }
    }

    disk.grow(1_024);
    let daemon = Daemon::start(&data);
    let mut ledger = Ledger::default();
    let (acknowledged, unanswered) = ledger.expect_nothing_lost(&mut daemon.client(), seen);
    assert!(ledger.effects_after_it > 0, "there was no space for some");
    expect_lists(&mut daemon.client(), &market, &ledger);
    let ended = daemon.stop();
    assert!(ended.status.success(), "{}", ended.log);
    expect_sound_journal(&data);
    println!("{acknowledged} acknowledged and found, {unanswered} unanswered and settled");
}

#[test]
fn a_journal_without_space_stops_acknowledging_and_goes_on_when_there_is_some() {
    // Room for one segment, and not for the next.
    fill_up("journal", 72);
}

#[test]
fn a_data_folder_without_space_stops_acknowledging_and_goes_on_when_there_is_some() {
    fill_up("", 160);
}
