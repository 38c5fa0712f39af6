//! API keys: which key opens which platform.
//!
//! Only hashes of keys are held. A key is looked up by its hash, so how long it takes tells nothing about other keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::secrets::Secrets;
use crate::engine::platform::Platform;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// `sk_…`: everything.
    Secret,
    /// `rk_…`: everything until permissions exist.
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
}

/// The keys in force.
#[derive(Debug, Default)]
pub struct Keys {
    by_hash: BTreeMap<[u8; 32], Grant>,
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

    /// Lets a key open a platform.
    ///
    /// # Errors
    /// [`BadKey`] where its prefix says nothing.
    pub fn grant(&mut self, key: &str, tenant: &Arc<Tenant>) -> Result<(), BadKey> {
        let kind = kind(key).ok_or(BadKey)?;
        self.by_hash.insert(hash(key), Grant { tenant: Arc::clone(tenant), kind });
        Ok(())
    }

    /// What a key opens.
    pub fn find(&self, key: &str) -> Option<Grant> {
        self.by_hash.get(&hash(key)).cloned()
    }

    /// Every platform.
    pub fn tenants(&self) -> &[Arc<Tenant>] {
        &self.tenants
    }
}

fn hash(key: &str) -> [u8; 32] {
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
