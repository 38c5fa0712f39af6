//! API keys: which key opens which platform.
//!
//! Only hashes of keys are held. A key is looked up by its hash, so how long it takes tells nothing about other keys.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::permissions::{Level, Permissions, Resource};
use super::secrets::Secrets;
use crate::domain::api_key::ApiKeyRecord;
use crate::domain::decide::Class;
use crate::domain::record::{Record, RecordKey};
use crate::engine::platform::Platform;
use crate::ledger::AccountNo;

/// Restricted keys read in one go at the start.
const LOADED_AT_ONCE: usize = 256;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// `sk_…`: everything.
    Secret,
    /// `rk_…`: what its permissions say.
    Restricted,
    /// `pk_…`: make tokens and payment methods, read an intent by its client secret.
    Publishable,
}

/// A platform with the secrets of its edge.
#[derive(Debug)]
pub struct Tenant {
    /// The platform.
    pub platform: Platform,
    /// Keys for fingerprints, idempotency and client secrets.
    pub secrets: Secrets,
}

impl Tenant {
    /// The edge of a platform, whose links begin with `public_url`.
    pub fn new(platform: Platform, public_url: Arc<str>) -> Tenant {
        let keys = platform.secrets();
        let secrets = Secrets::new(keys.fingerprints, keys.idempotency, keys.client_secrets).serving_at(public_url);
        Tenant { platform, secrets }
    }
}

/// What a key opens.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Whose platform.
    pub tenant: Arc<Tenant>,
    /// With which rights.
    pub kind: KeyKind,
    /// What a restricted key may do.
    pub permissions: Arc<Permissions>,
    /// Not in force any more.
    pub revoked: bool,
}

/// The keys in force.
#[derive(Debug, Default)]
pub struct Keys {
    by_hash: RwLock<BTreeMap<[u8; 32], Grant>>,
    tenants: Vec<Arc<Tenant>>,
    public_url: Arc<str>,
}

/// The text is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an API key begins with sk_test_, rk_test_ or pk_test_ and has at least one character after it")]
pub struct BadKey;

impl Keys {
    /// No keys yet, of a daemon that payers and clients reach at `public_url`.
    pub fn serving_at(public_url: &str) -> Keys {
        Keys { public_url: Arc::from(public_url), ..Keys::default() }
    }

    /// Adds a platform.
    pub fn tenant(&mut self, platform: Platform) -> Arc<Tenant> {
        let tenant = Arc::new(Tenant::new(platform, Arc::clone(&self.public_url)));
        self.tenants.push(Arc::clone(&tenant));
        tenant
    }

    /// Lets a key open a platform; a restricted one opens nothing of it.
    ///
    /// # Errors
    /// [`BadKey`] where its prefix says nothing.
    pub fn grant(&mut self, key: &str, tenant: &Arc<Tenant>) -> Result<(), BadKey> {
        self.grant_with(key, tenant, Permissions::default())
    }

    /// Lets a restricted key open a part of a platform.
    ///
    /// # Errors
    /// [`BadKey`] where its prefix says nothing.
    pub fn grant_with(&mut self, key: &str, tenant: &Arc<Tenant>, permissions: Permissions) -> Result<(), BadKey> {
        let kind = kind(key).ok_or(BadKey)?;
        let (tenant, permissions) = (Arc::clone(tenant), Arc::new(permissions));
        self.put(hash(key), Grant { tenant, kind, permissions, revoked: false });
        Ok(())
    }

    fn put(&self, hash: [u8; 32], grant: Grant) {
        // One insertion: a panic leaves the map whole.
        self.by_hash.write().unwrap_or_else(PoisonError::into_inner).insert(hash, grant);
    }

    /// What a key opens.
    pub fn find(&self, key: &str) -> Option<Grant> {
        self.by_hash.read().unwrap_or_else(PoisonError::into_inner).get(&hash(key)).cloned()
    }

    /// Takes every restricted key of a platform into force, as its records have it.
    pub async fn load(&self, tenant: &Arc<Tenant>) {
        let mut after = None;
        loop {
            let places = tenant.platform.index(AccountNo::PLATFORM, Class::Key, after, false, LOADED_AT_ONCE).await;
            let keys: Vec<RecordKey> = places.iter().map(|place| place.key).collect();
            self.learn(tenant, &keys).await;
            match places.last() {
                Some(last) if places.len() == LOADED_AT_ONCE => after = Some((last.seq, last.ordinal)),
                _ => return,
            }
        }
    }

    /// Takes these restricted keys into force, or out of it, as their records have it.
    pub async fn learn(&self, tenant: &Arc<Tenant>, keys: &[RecordKey]) {
        for record in tenant.platform.records(keys).await.into_iter().flatten() {
            let Record::ApiKey(record) = &*record else { continue };
            let ApiKeyRecord { hash, permissions, revoked_at, .. } = record;
            // A resource that only another version knows opens nothing.
            let known =
                permissions.iter().filter_map(|(word, level)| Some((Resource::from_word(word)?, Level::from(*level))));
            let permissions = Arc::new(Permissions::new(known));
            let (tenant, revoked) = (Arc::clone(tenant), revoked_at.is_some());
            self.put(*hash, Grant { tenant, kind: KeyKind::Restricted, permissions, revoked });
        }
    }

    /// Every platform.
    pub fn tenants(&self) -> &[Arc<Tenant>] {
        &self.tenants
    }
}

/// What is kept of a key.
pub fn hash(key: &str) -> [u8; 32] {
    *blake3::hash(key.as_bytes()).as_bytes()
}

fn kind(key: &str) -> Option<KeyKind> {
    let (kind, rest) =
        [("sk_test_", KeyKind::Secret), ("rk_test_", KeyKind::Restricted), ("pk_test_", KeyKind::Publishable)]
            .into_iter()
            .find_map(|(prefix, kind)| key.strip_prefix(prefix).map(|rest| (kind, rest)))?;
    (!rest.is_empty()).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_says_what_a_key_may_do() {
        assert_eq!(kind("sk_test_1"), Some(KeyKind::Secret));
        assert_eq!(kind("rk_test_1"), Some(KeyKind::Restricted));
        assert_eq!(kind("pk_test_1"), Some(KeyKind::Publishable));
        for bad in ["sk_test_", "sk_live_1", "1", ""] {
            assert_eq!(kind(bad), None, "{bad}");
        }
    }
}
