//! Keyed hashes of the edge: fingerprints, idempotency keys, client secrets, and links that open without a key.
//!
//! The keys are the platform's, one per purpose; what shares a key is told apart by a label, so that no hash of one
//! purpose can stand for another's.

use std::sync::Arc;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CLIENT_SECRET_LENGTH: usize = 25;
const PAGE_LETTERS: usize = 25;

/// Keys of the edge for one platform.
#[derive(Clone)]
pub struct Secrets {
    fingerprints: [u8; 32],
    idempotency: [u8; 32],
    client: [u8; 32],
    public_url: Arc<str>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(secret)")
    }
}

impl Secrets {
    /// Keys for fingerprints, idempotency and client secrets.
    pub fn new(fingerprints: [u8; 32], idempotency: [u8; 32], client: [u8; 32]) -> Secrets {
        Secrets { fingerprints, idempotency, client, public_url: Arc::from("") }
    }

    /// With the address that links begin with: `https://pay.example.com`.
    #[must_use]
    pub fn serving_at(mut self, public_url: Arc<str>) -> Secrets {
        self.public_url = public_url;
        self
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

/// Pages that payers open without a key: the link itself is what lets them in.
impl Secrets {
    /// Where the payer answers authentication number `number` of the intent with this id.
    pub fn authentication_url(&self, id: &str, number: u16) -> String {
        let hash = self.authentication(id, number);
        format!("{}/florin/authenticate/{id}/{number}-{}", self.public_url, letters(&hash.as_bytes()[..PAGE_LETTERS]))
    }

    /// The number of the authentication that a link's last part opens; `None` for one that was not made here.
    pub fn authentication_number(&self, id: &str, text: &str) -> Option<u16> {
        let (number, given) = text.split_once('-')?;
        let number: u16 = number.parse().ok()?;
        let hash = self.authentication(id, number);
        // Comparing hashes takes as long however much of the text is right.
        let right = letters(&hash.as_bytes()[..PAGE_LETTERS]);
        (blake3::hash(given.as_bytes()) == blake3::hash(right.as_bytes())).then_some(number)
    }

    fn authentication(&self, id: &str, number: u16) -> blake3::Hash {
        // A client secret hashes an id, which has no zero byte: the two never meet.
        let mut hasher = blake3::Hasher::new_keyed(&self.client);
        hasher.update(b"authenticate\0").update(id.as_bytes()).update(&[0]).update(&number.to_le_bytes());
        hasher.finalize()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_opens_one_authentication_of_one_intent() {
        let secrets = Secrets::new([1; 32], [2; 32], [3; 32]).serving_at(Arc::from("https://pay.example.com"));
        let url = secrets.authentication_url("pi_1", 2);
        let token = url.strip_prefix("https://pay.example.com/florin/authenticate/pi_1/").unwrap();
        assert_eq!(token.len(), 2 + PAGE_LETTERS);
        assert_eq!(secrets.authentication_number("pi_1", token), Some(2));
        assert_eq!(secrets.authentication_number("pi_2", token), None);
        let (_, letters) = token.split_once('-').unwrap();
        for other in [format!("3-{letters}"), letters.to_owned(), format!("2-{}", &letters[1..]), String::new()] {
            assert_eq!(secrets.authentication_number("pi_1", &other), None, "{other}");
        }
        let elsewhere = Secrets::new([1; 32], [2; 32], [4; 32]);
        assert_eq!(elsewhere.authentication_number("pi_1", token), None);
    }
}
