//! Keyed hashes of the edge: fingerprints, idempotency keys, client secrets.
//!
//! The keys are the platform's, one per purpose; what shares a key is told apart by a label, so that no hash of one
//! purpose can stand for another's.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CLIENT_SECRET_LENGTH: usize = 25;

/// Keys of the edge for one platform.
#[derive(Clone)]
pub struct Secrets {
    fingerprints: [u8; 32],
    idempotency: [u8; 32],
    client: [u8; 32],
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(secret)")
    }
}

impl Secrets {
    /// Keys for fingerprints, idempotency and client secrets.
    pub fn new(fingerprints: [u8; 32], idempotency: [u8; 32], client: [u8; 32]) -> Secrets {
        Secrets { fingerprints, idempotency, client }
    }

    /// Fingerprint of a card number.
    pub fn card_fingerprint(&self, number: &str) -> [u8; 8] {
        let mut hasher = blake3::Hasher::new_keyed(&self.fingerprints);
        hasher.update(b"card").update(&[0]).update(number.as_bytes());
        first(hasher.finalize())
    }

    /// Fingerprint of a bank account: routing and account number.
    pub fn bank_fingerprint(&self, routing: &str, number: &str) -> [u8; 8] {
        let mut hasher = blake3::Hasher::new_keyed(&self.fingerprints);
        hasher.update(b"bank").update(&[0]).update(routing.as_bytes()).update(&[0]).update(number.as_bytes());
        first(hasher.finalize())
    }

    /// Hash of an idempotency purpose: a label and its parts, each with its length before it.
    pub fn idempotency<const N: usize>(&self, label: u8, parts: &[&[u8]]) -> [u8; N] {
        let mut hasher = blake3::Hasher::new_keyed(&self.idempotency);
        hasher.update(&[label]);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        first(hasher.finalize())
    }

    /// Fingerprint of a request's parameters.
    pub fn parameters(&self, tree: &super::params::Tree) -> [u8; 16] {
        tree.fingerprint(&self.idempotency)
    }

    /// The secret part of an intent's client secret, from its id.
    pub fn client_secret(&self, id: &str) -> ClientSecret {
        let hash = blake3::keyed_hash(&self.client, id.as_bytes());
        let mut text = [0_u8; CLIENT_SECRET_LENGTH];
        for (digit, byte) in text.iter_mut().zip(hash.as_bytes()) {
            *digit = ALPHABET[usize::from(*byte) % ALPHABET.len()];
        }
        ClientSecret(text)
    }
}

/// The part of a client secret that follows `_secret_`.
#[derive(Clone, Copy)]
pub struct ClientSecret([u8; CLIENT_SECRET_LENGTH]);

impl ClientSecret {
    /// The text.
    pub fn as_str(&self) -> &str {
        // ASCII by construction, so the fallback cannot be reached.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).map(char::from).collect()
}

/// Text of the alphabet from random bytes; a bias of 256 mod 62 does not matter for what it is used for.
pub fn letters(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

fn first<const N: usize>(hash: blake3::Hash) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&hash.as_bytes()[..N]);
    bytes
}
