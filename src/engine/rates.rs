//! The folder `tables`: market rates beside the journal, each under the name by which entries put it in force.
//!
//! **Owns** `tables/<BLAKE3>.csv`. Entries name rates and do not hold them, so these files are truth as the journal is:
//! written and synced before the first entry that names them, then never changed and never removed.
//! **Never** hands out what its name does not say, and never writes over a file that is there.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Weak};

use super::journal::storage::{Access, Storage, StorageFile, create_whole};
use crate::primitives::market::{BadRates, MarketRates, RatesDigest};

/// Market rates that are needed and cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RatesError {
    /// There is no such file.
    #[error(
        "the market rates {digest} are missing, and the journal's conversions were decided with them: there is no \
         {file}. Restore it from a backup; any copy with this BLAKE3 will do"
    )]
    Missing {
        /// Their name.
        digest: RatesDigest,
        /// Where they should be.
        file: String,
    },
    /// The file is not what was written.
    #[error(
        "the market rates {digest} are damaged, and the journal's conversions were decided with them: {file} has the \
         BLAKE3 {found}. Nothing was changed. Restore it from a backup"
    )]
    Damaged {
        /// Their name.
        digest: RatesDigest,
        /// Where they are.
        file: String,
        /// What is there instead.
        found: RatesDigest,
    },
    /// The file is what was written, and this Florin cannot read it.
    #[error("the market rates {file} cannot be read, {problem}: use the Florin that put them in force, or a newer one")]
    Unreadable {
        /// Where they are.
        file: String,
        /// What this Florin finds wrong.
        problem: BadRates,
    },
    /// The system refused.
    #[error("cannot {doing} the market rates {file}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        file: String,
        /// The system's answer.
        source: io::Error,
    },
}

/// Market rates by name: the files of a folder, and what is at hand without one.
pub struct RatesFolder {
    storage: Arc<dyn Storage>,
    at_hand: Vec<Arc<MarketRates>>,
    /// Those that somebody still uses: platforms share them.
    loaded: BTreeMap<RatesDigest, Weak<MarketRates>>,
}

impl RatesFolder {
    /// A folder, which need not be there to read from, and the table that is built in.
    pub fn new(storage: Arc<dyn Storage>) -> RatesFolder {
        RatesFolder { storage, at_hand: vec![MarketRates::built_in()], loaded: BTreeMap::new() }
    }

    /// With a table that may have no file yet.
    #[must_use]
    pub fn with(mut self, rates: Arc<MarketRates>) -> RatesFolder {
        self.at_hand.push(rates);
        self
    }

    /// Whether rates can be had.
    ///
    /// # Errors
    /// [`RatesError`]: they cannot.
    pub fn check(&self, digest: RatesDigest) -> Result<(), RatesError> {
        if digest == RatesDigest::NONE || self.open(digest)?.is_some() || self.at_hand(digest).is_some() {
            return Ok(());
        }
        Err(self.missing(digest))
    }

    /// The rates of this name.
    ///
    /// # Errors
    /// [`RatesError`].
    pub fn load(&mut self, digest: RatesDigest) -> Result<Arc<MarketRates>, RatesError> {
        if digest == RatesDigest::NONE {
            return Ok(MarketRates::none());
        }
        if let Some(rates) = self.loaded.get(&digest).and_then(Weak::upgrade) {
            return Ok(rates);
        }
        let rates = match (self.open(digest)?, self.at_hand(digest)) {
            (_, Some(rates)) => Arc::clone(rates),
            (Some(Found { csv, .. }), None) => {
                let unreadable = |problem| RatesError::Unreadable { file: self.file(digest), problem };
                Arc::new(MarketRates::from_csv(csv).map_err(unreadable)?)
            }
            (None, None) => return Err(self.missing(digest)),
        };
        self.loaded.insert(digest, Arc::downgrade(&rates));
        Ok(rates)
    }

    /// Makes sure that the file of these rates is on disk, to be called before an entry names them: one that is not
    /// there is made of what is at hand. Tells whether it was made.
    ///
    /// # Errors
    /// [`RatesError`].
    pub fn keep(&self, digest: RatesDigest) -> Result<bool, RatesError> {
        if digest == RatesDigest::NONE {
            return Ok(false);
        }
        if let Some(Found { file, .. }) = self.open(digest)? {
            // Whoever put it there may not have waited for the disk.
            file.sync_data().and_then(|()| self.storage.sync_dir()).map_err(self.io("sync", digest))?;
            return Ok(false);
        }
        let rates = self.at_hand(digest).ok_or_else(|| self.missing(digest))?;
        create_whole(&*self.storage, &name(digest), rates.csv()).map_err(self.io("write", digest))?;
        Ok(true)
    }

    fn at_hand(&self, digest: RatesDigest) -> Option<&Arc<MarketRates>> {
        self.at_hand.iter().find(|rates| rates.digest() == digest)
    }

    /// A file that is there and is what its name says.
    fn open(&self, digest: RatesDigest) -> Result<Option<Found>, RatesError> {
        let file = match self.storage.open(&name(digest), Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io("open", digest)(error)),
        };
        let csv = read_all(&*file).map_err(self.io("read", digest))?;
        let found = RatesDigest::of(&csv);
        if found != digest {
            return Err(RatesError::Damaged { digest, file: self.file(digest), found });
        }
        Ok(Some(Found { file, csv }))
    }

    fn file(&self, digest: RatesDigest) -> String {
        format!("{}/{}", self.storage.place(), name(digest))
    }

    fn missing(&self, digest: RatesDigest) -> RatesError {
        RatesError::Missing { digest, file: self.file(digest) }
    }

    fn io(&self, doing: &'static str, digest: RatesDigest) -> impl FnOnce(io::Error) -> RatesError {
        let file = self.file(digest);
        move |source| RatesError::Io { doing, file, source }
    }
}

/// A file of rates, and what is in it.
struct Found {
    file: Arc<dyn StorageFile>,
    csv: Vec<u8>,
}

fn name(digest: RatesDigest) -> String {
    format!("{digest}.csv")
}

fn read_all(file: &dyn StorageFile) -> io::Result<Vec<u8>> {
    let length = usize::try_from(file.file_bytes()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; length];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::journal::sim::{CutPlan, SimStorage};
    use crate::primitives::{Currency, Day};

    fn francs() -> Arc<MarketRates> {
        Arc::new(MarketRates::from_csv(b"date,CHF\n2024-01-02,0.5\n".as_slice()).unwrap())
    }

    #[test]
    fn what_was_kept_survives_a_power_cut_and_reads_back_whatever_is_at_hand() {
        let (disk, francs) = (SimStorage::new(), francs());
        let folder = RatesFolder::new(Arc::new(disk.clone())).with(Arc::clone(&francs));
        assert!(folder.keep(francs.digest()).unwrap(), "written");
        assert!(folder.keep(MarketRates::built_in().digest()).unwrap());
        let survivor = disk.cut(&CutPlan::default());
        let mut folder = RatesFolder::new(Arc::new(survivor));
        assert!(!folder.keep(francs.digest()).unwrap(), "it is there already");
        let loaded = folder.load(francs.digest()).unwrap();
        assert_eq!(loaded.csv(), francs.csv());
        let rate = loaded.lookup(Currency::EUR, "chf".parse().unwrap(), Day(20_000)).unwrap();
        assert_eq!(rate.base.to_string(), "0.5");
        assert!(Arc::ptr_eq(&loaded, &folder.load(francs.digest()).unwrap()), "read once while it is in use");
    }

    #[test]
    fn a_write_that_was_cut_short_is_made_again() {
        let (whole, francs) = (SimStorage::new(), francs());
        RatesFolder::new(Arc::new(whole.clone())).with(Arc::clone(&francs)).keep(francs.digest()).unwrap();
        let history = whole.history();
        for moment in 0..=history.operations.len() {
            let disk = history.disk_after(moment);
            for name_changes in 0..=disk.pending_name_changes() {
                let landed = disk.unsynced_pages().into_iter().collect();
                let survivor = disk.cut(&CutPlan { name_changes, landed, torn: None });
                let mut folder = RatesFolder::new(Arc::new(survivor)).with(Arc::clone(&francs));
                folder.keep(francs.digest()).unwrap();
                folder.at_hand.clear();
                assert_eq!(folder.load(francs.digest()).unwrap().csv(), francs.csv(), "cut after {moment} operations");
            }
        }
    }

    #[test]
    fn rates_that_cannot_be_had_say_which_where_and_what_to_do() {
        let (disk, francs) = (SimStorage::new(), francs());
        let name = name(francs.digest());
        let mut folder = RatesFolder::new(Arc::new(disk.clone()));
        for error in [folder.load(francs.digest()).err(), folder.check(francs.digest()).err()] {
            let text = error.unwrap().to_string();
            assert!(text.contains("missing") && text.contains(&name) && text.contains("Restore it"), "{text}");
        }
        create_whole(&disk, &name, francs.csv()).unwrap();
        folder.check(francs.digest()).unwrap();
        disk.damage(&name, |bytes| bytes[20] ^= 1);
        let at_hand = RatesFolder::new(Arc::new(disk.clone())).with(Arc::clone(&francs));
        let errors = [folder.load(francs.digest()).err(), folder.check(francs.digest()).err()];
        for error in errors.into_iter().chain([at_hand.keep(francs.digest()).err()]) {
            let text = error.unwrap().to_string();
            assert!(text.contains("damaged") && text.contains(&name) && text.contains("Restore it"), "{text}");
        }
        assert_ne!(disk.file(&name), francs.csv(), "a damaged file is not written over");
        folder.check(RatesDigest::NONE).unwrap();
        assert_eq!(folder.load(RatesDigest::NONE).unwrap().digest(), RatesDigest::NONE);
    }

    #[test]
    fn a_file_that_this_florin_cannot_read_is_not_called_damaged() {
        let disk = SimStorage::new();
        let csv = b"date,CHF\n2024-01-02,1/2\n";
        let digest = RatesDigest::of(csv);
        create_whole(&disk, &name(digest), csv).unwrap();
        let text = RatesFolder::new(Arc::new(disk)).load(digest).unwrap_err().to_string();
        assert!(text.contains("line 2: CHF: \"1/2\" is no decimal number"), "{text}");
    }
}
