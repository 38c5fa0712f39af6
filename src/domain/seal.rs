//! Personal and free text: sealed before it is written.
//!
//! Names, addresses, e-mail, descriptions and metadata lie in the journal only as ciphertext, under a key per subject
//! (customer, account). Erasing a person is deleting that key. Decisions never look inside, but for merging an update
//! into what is there and for what a charge keeps of its card.
//!
//! A customer's key seals the customer and its payment methods, and nothing else: what payments say lies under the key
//! of the account that they belong to. After a customer was deleted no decision seals or opens anything under its key,
//! so it makes no difference when the key goes.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

/// Keys of one metadata.
pub const METADATA_KEYS_MAX: usize = 50;

/// Prefix of what a charge keeps of its payment method: `card.billing_details[name]`. The bare prefix says that it kept
/// all there was, which may be nothing; charges of the first rules did not.
pub const CHARGED_CARD: &str = "card.";

/// Text by parameter path: `description`, `metadata[order]`, `shipping[address][line1]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(pub BTreeMap<String, String>);

/// Changes to [`Texts`]: a value sets its path; `None` removes the path and all below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextPatch(pub Vec<(String, Option<String>)>);

/// Ciphertext with the number of its key. Empty when there is nothing to hide.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Sealed {
    /// Which key of the vault.
    #[n(0)]
    pub key_no: u32,
    /// Nonce-free: the nonce derives from where the text was first written (see [`Nonce`]).
    #[n(1)]
    pub nonce: Nonce,
    /// Authenticated ciphertext; empty for no text at all.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

/// Unique for every sealing under any key: the entry's sequence number and a counter within the entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Nonce {
    /// Sequence number of the entry that sealed it.
    #[n(0)]
    pub seq: u64,
    /// Which sealing of that entry.
    #[n(1)]
    pub ordinal: u32,
}

/// Seals and opens. Implemented by the engine's vault; deterministic given the keys.
pub trait Vault {
    /// Encrypts under key `key_no`.
    fn seal(&self, key_no: u32, nonce: Nonce, plain: &[u8]) -> Vec<u8>;
    /// Decrypts; `None` when the key was erased or the text was tampered with.
    fn open(&self, sealed: &Sealed) -> Option<Vec<u8>>;
}

impl Texts {
    /// The text at a path.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// Paths under a prefix, without it: `under("pi.")`.
    pub fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .range(prefix.to_owned()..)
            .take_while(move |(path, _)| path.starts_with(prefix))
            .map(move |(path, text)| (&path[prefix.len()..], text.as_str()))
    }

    /// Applies changes, each path prefixed.
    pub fn apply(&mut self, prefix: &str, patch: &TextPatch) {
        for (path, change) in &patch.0 {
            let path = format!("{prefix}{path}");
            match change {
                Some(text) => {
                    self.0.insert(path, text.clone());
                }
                None => {
                    let below = format!("{path}[");
                    self.0.retain(|have, _| *have != path && !have.starts_with(&below));
                }
            }
        }
    }

    /// The first metadata with too many keys, and how many it has.
    pub fn crowded_metadata(&self) -> Option<(&'static str, usize)> {
        const NAME: &str = "metadata[";
        if self.0.len() <= METADATA_KEYS_MAX {
            return None;
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for path in self.0.keys() {
            // The first one: keys have no square brackets, so what follows is the key.
            if let Some(at) = path.find(NAME) {
                *counts.entry(&path[..at]).or_default() += 1;
            }
        }
        counts.into_values().find(|count| *count > METADATA_KEYS_MAX).map(|count| ("metadata", count))
    }

    /// Copies everything under one prefix to another, replacing what was there.
    pub fn copy(&mut self, from: &str, to: &str) {
        let copies: Vec<(String, String)> =
            self.under(from).map(|(path, text)| (format!("{to}{path}"), text.to_owned())).collect();
        self.clear(to);
        self.0.extend(copies);
    }

    /// Takes away everything under a prefix.
    #[must_use]
    pub fn split_off(&mut self, prefix: &str) -> Texts {
        let (off, rest) = std::mem::take(&mut self.0).into_iter().partition(|(path, _)| path.starts_with(prefix));
        self.0 = rest;
        Texts(off)
    }

    /// Removes everything under a prefix.
    pub fn clear(&mut self, prefix: &str) {
        self.0.retain(|path, _| !path.starts_with(prefix));
    }

    /// Canonical bytes: a CBOR map in path order.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads [`Texts::to_bytes`] back.
    pub fn from_bytes(bytes: &[u8]) -> Option<Texts> {
        minicbor::decode(bytes).ok().map(Texts)
    }
}

impl TextPatch {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets a path.
    pub fn set(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.0.push((path.into(), Some(text.into())));
    }

    /// What a path is set to.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.0.iter().rev().find(|(have, _)| have == path).and_then(|(_, text)| text.as_deref())
    }

    /// Removes a path and all below it.
    pub fn clear(&mut self, path: impl Into<String>) {
        self.0.push((path.into(), None));
    }

    /// Canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        minicbor::to_vec(&self.0).unwrap_or_default()
    }

    /// Reads [`TextPatch::to_bytes`] back.
    pub fn from_bytes(bytes: &[u8]) -> Option<TextPatch> {
        minicbor::decode(bytes).ok().map(TextPatch)
    }
}

/// A path inside a hash: `a[b]` inside `h` is `h[a][b]`.
pub fn inside(hash: &str, path: &str) -> String {
    match path.split_once('[') {
        Some((first, rest)) => format!("{hash}[{first}][{rest}"),
        None => format!("{hash}[{path}]"),
    }
}

fn encode(texts: &Texts) -> Vec<u8> {
    // Writing to a Vec cannot fail.
    minicbor::to_vec(&texts.0).unwrap_or_default()
}
