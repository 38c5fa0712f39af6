//! Ids that look random and lead to their record without an index.
//!
//! An id is a prefix, an underscore and 22 characters: one AES-128 block in base 62. The block holds where the object
//! lives (birth of its flow, child, slot), what kind it is, and four zero bytes. Under a secret key of the platform the
//! block is a permutation, so
//!
//! - nobody outside can count objects or guess one: a made-up id passes the check once in 2^40 tries (check and kind);
//! - no look-up table is needed, and no two objects share an id, since a permutation maps nothing twice;
//! - the same id comes out on every machine and in every replay, since it is a function of the journal alone.
//!
//! The layout below and the numbers of [`ObjectKind`] are fixed for ever: ids are stored by others.

use std::fmt;

use aes::Aes128;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use minicbor::{Decode, Decoder, Encode, Encoder};

/// Defines the kinds once: name, number, prefix, meaning.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $prefix:literal;)*) => {
        /// What an id names. The number is part of every id and of the journal: it never changes and is never reused; a
        /// new kind takes the next free one. Prefixes are those of the reference, section 2.
        #[derive(Copy, Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
        #[repr(u8)]
        pub enum ObjectKind {
            $($(#[$doc])* $name = $number,)*
        }

        impl ObjectKind {
            /// Every kind, in the order of their numbers.
            pub const ALL: &'static [ObjectKind] = &[$(ObjectKind::$name,)*];

            /// The part of an id before its last underscore: `ch`, `cs_test`.
            pub const fn prefix(self) -> &'static str {
                match self { $(ObjectKind::$name => $prefix,)* }
            }

            /// The kind whose ids begin with this prefix (without its last underscore).
            pub fn from_prefix(prefix: &str) -> Option<ObjectKind> {
                match prefix { $($prefix => Some(ObjectKind::$name),)* _ => None }
            }

            /// The kind with this number.
            pub const fn from_number(number: u8) -> Option<ObjectKind> {
                match number { $($number => Some(ObjectKind::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    /// Connected account.
    Account = 1, "acct";
    /// Person of an account.
    Person = 2, "person";
    /// Bank account.
    BankAccount = 3, "ba";
    /// Card as an external account, or as a legacy source.
    Card = 4, "card";
    /// Token of a bank account.
    BankAccountToken = 5, "btok";
    /// Token of a card.
    Token = 6, "tok";
    /// Token of an account.
    AccountToken = 7, "ct";
    /// Token of a person.
    PersonToken = 8, "cpt";
    /// Customer.
    Customer = 9, "cus";
    /// Payment method.
    PaymentMethod = 10, "pm";
    /// Payment intent.
    PaymentIntent = 11, "pi";
    /// Charge by card.
    Charge = 12, "ch";
    /// Charge of another kind, and what an account gets from a transfer.
    Payment = 13, "py";
    /// Transfer.
    Transfer = 14, "tr";
    /// Transfer reversal.
    TransferReversal = 15, "trr";
    /// Application fee.
    ApplicationFee = 16, "fee";
    /// Application fee refund.
    FeeRefund = 17, "fr";
    /// Balance transaction.
    BalanceTransaction = 18, "txn";
    /// Refund of a [`Charge`](ObjectKind::Charge).
    Refund = 19, "re";
    /// Refund of a [`Payment`](ObjectKind::Payment), and an account's side of a transfer reversal.
    PaymentRefund = 20, "pyr";
    /// Payout.
    Payout = 21, "po";
    /// Top-up.
    Topup = 22, "tu";
    /// Dispute.
    Dispute = 23, "du";
    /// Event.
    Event = 24, "evt";
    /// Webhook endpoint.
    WebhookEndpoint = 25, "we";
    /// Setup intent.
    SetupIntent = 26, "seti";
    /// Setup attempt.
    SetupAttempt = 27, "setatt";
    /// Mandate.
    Mandate = 28, "mandate";
    /// Legacy source.
    Source = 29, "src";
    /// File.
    File = 30, "file";
    /// File link.
    FileLink = 31, "link";
    /// Report run.
    ReportRun = 32, "frr";
    /// Early fraud warning.
    EarlyFraudWarning = 33, "issfr";
    /// Radar value list.
    ValueList = 34, "rsl";
    /// Item of a Radar value list.
    ValueListItem = 35, "rsli";
    /// Review.
    Review = 36, "prv";
    /// Test clock.
    TestClock = 37, "clock";
    /// Product.
    Product = 38, "prod";
    /// Price.
    Price = 39, "price";
    /// Payment link.
    PaymentLink = 40, "plink";
    /// Checkout session of a test platform.
    CheckoutSession = 41, "cs_test";
    /// Checkout session of a live platform.
    CheckoutSessionLive = 42, "cs_live";
    /// Line item.
    LineItem = 43, "li";
    /// FX quote.
    FxQuote = 44, "fxq";
    /// Application: the platform as its accounts see it.
    Application = 45, "ca";
    /// Connect collection transfer.
    ConnectCollectionTransfer = 46, "cct";
    /// Reserve row of a platform.
    Reserve = 47, "rsv";
    /// Request; made at the edge, outside the journal.
    Request = 48, "req";
    /// Split of a charge between several accounts (Florin's own).
    Split = 49, "split";
    /// Balanced adjustment of the books (Florin's own).
    Adjustment = 50, "adj";
    /// Capability of an account. On the wire it goes by its name; an id leads events and answers to it.
    Capability = 51, "cap";
    /// Restricted API key (Florin's own).
    ApiKey = 52, "key";
}

impl<C> Encode<C> for ObjectKind {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.u8(*self as u8)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for ObjectKind {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<ObjectKind, minicbor::decode::Error> {
        let position = d.position();
        let number = d.u8()?;
        ObjectKind::from_number(number)
            .ok_or_else(|| minicbor::decode::Error::message("no object kind has this number").at(position))
    }
}

/// Where an object lives and what it is: what an id says to those who hold the key.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Encode, Decode)]
pub struct ObjectId {
    /// What it is.
    #[n(0)]
    pub kind: ObjectKind,
    /// Birth of its flow: the sequence number of the entry that began it. At most [`ObjectId::MAX_BIRTH`].
    #[n(1)]
    pub birth: u64,
    /// Which child record of the flow (attempt, refund, reversal, dispute …); 0 is the head. At most
    /// [`ObjectId::MAX_CHILD`].
    #[n(2)]
    pub child: u32,
    /// Which object inside that record, where it holds several of a kind.
    #[n(3)]
    pub slot: u16,
}

impl ObjectId {
    /// The last birth that fits in an id: 2^48 − 1, a hundred years of 80 000 flows a second.
    pub const MAX_BIRTH: u64 = (1 << 48) - 1;
    /// The last child that fits in an id: 2^24 − 1. Whatever makes children refuses one more.
    pub const MAX_CHILD: u32 = (1 << 24) - 1;

    /// An id, if birth and child fit.
    pub const fn new(kind: ObjectKind, birth: u64, child: u32, slot: u16) -> Option<ObjectId> {
        if birth > ObjectId::MAX_BIRTH || child > ObjectId::MAX_CHILD {
            return None;
        }
        Some(ObjectId { kind, birth, child, slot })
    }

    /// birth 6 bytes | child 3 | slot 2 | kind 1 | check 4 (zero), the most significant first.
    fn block(&self) -> u128 {
        assert!(
            self.birth <= ObjectId::MAX_BIRTH && self.child <= ObjectId::MAX_CHILD,
            "no room in an id for {self:?}: it would name another object"
        );
        u128::from(self.birth) << 80
            | u128::from(self.child) << 56
            | u128::from(self.slot) << 40
            | u128::from(self.kind as u8) << 32
    }
}

/// The text is not an id of this platform. Which of the three it was is for logs: a caller outside gets the same
/// "no such object" for each.
#[derive(Copy, Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadId {
    /// No kind has this prefix.
    #[error("no kind of object has this prefix")]
    UnknownPrefix,
    /// What follows the prefix is not 22 characters of base 62 below 2^128.
    #[error("not the shape of an id")]
    Shape,
    /// It decrypts to something else than an object of the kind that its prefix names: made up, mistyped, or from
    /// another platform.
    #[error("not an id of this platform")]
    Foreign,
}

/// Turns places into ids and back, under the secret key of one platform.
#[derive(Clone)]
pub struct IdCipher {
    aes: Aes128,
}

impl fmt::Debug for IdCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdCipher(secret)")
    }
}

impl IdCipher {
    /// A cipher for this key. The key never changes during a platform's life: all its ids would.
    pub fn new(key: [u8; 16]) -> IdCipher {
        IdCipher { aes: Aes128::new(&Array::from(key)) }
    }

    /// The id as a String.
    ///
    /// # Panics
    /// When birth or child are beyond their bounds (see [`ObjectId::new`]): the id would name another object.
    pub fn encode(&self, id: &ObjectId) -> String {
        self.text(id).as_str().to_owned()
    }

    /// Appends the id to a text, such as a response in the making.
    ///
    /// # Panics
    /// As [`IdCipher::encode`].
    pub fn encode_into(&self, id: &ObjectId, out: &mut String) {
        out.push_str(self.text(id).as_str());
    }

    /// The id as a text on the stack: no allocation.
    ///
    /// # Panics
    /// As [`IdCipher::encode`].
    pub fn text(&self, id: &ObjectId) -> IdText {
        let mut block = Array::from(id.block().to_be_bytes());
        self.aes.encrypt_block(&mut block);
        let prefix = id.kind.prefix().as_bytes();
        let mut text = IdText { bytes: [b'_'; ID_TEXT_MAX], len: (prefix.len() + 1 + DIGITS) as u8 };
        text.bytes[..prefix.len()].copy_from_slice(prefix);
        write_base62(u128::from_be_bytes(block.into()), &mut text.bytes[prefix.len() + 1..][..DIGITS]);
        text
    }

    /// Reads an id back.
    ///
    /// # Errors
    /// [`BadId`] for everything that [`IdCipher::encode`] with the same key has not made. Never panics.
    pub fn decode(&self, text: &str) -> Result<ObjectId, BadId> {
        let (prefix, digits) = text.rsplit_once('_').ok_or(BadId::UnknownPrefix)?;
        let kind = ObjectKind::from_prefix(prefix).ok_or(BadId::UnknownPrefix)?;
        let mut block = Array::from(read_base62(digits.as_bytes()).ok_or(BadId::Shape)?.to_be_bytes());
        self.aes.decrypt_block(&mut block);
        let block = u128::from_be_bytes(block.into());
        let id = ObjectId {
            kind,
            birth: (block >> 80) as u64,
            child: (block >> 56) as u32 & ObjectId::MAX_CHILD,
            slot: (block >> 40) as u16,
        };
        // Kind and check at once: only what `block` builds passes.
        if id.block() == block { Ok(id) } else { Err(BadId::Foreign) }
    }
}

const LONGEST_PREFIX: usize = 7;
/// 62^22 > 2^128, so 22 digits hold every block; always all of them, so that a block has one text only.
const DIGITS: usize = 22;
const ID_TEXT_MAX: usize = LONGEST_PREFIX + 1 + DIGITS;

/// An id as text on the stack.
#[derive(Copy, Clone, Eq, PartialEq, Hash)]
pub struct IdText {
    bytes: [u8; ID_TEXT_MAX],
    len: u8,
}

impl IdText {
    /// The text.
    pub fn as_str(&self) -> &str {
        // ASCII by construction, so the fallback cannot be reached.
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl AsRef<str> for IdText {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl std::ops::Deref for IdText {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// Base 62 of a 128-bit number: 2 + 10 + 10 digits, so that all but two divisions are of 64 bits by a constant.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const TEN_DIGITS: u64 = 62_u64.pow(10);
const NO_DIGIT: u8 = u8::MAX;

/// All pairs of digits, so that one division yields two characters.
static PAIRS: [[u8; 2]; 62 * 62] = {
    let mut pairs = [[0; 2]; 62 * 62];
    let mut i = 0;
    while i < pairs.len() {
        pairs[i] = [ALPHABET[i / 62], ALPHABET[i % 62]];
        i += 1;
    }
    pairs
};

static VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut i = 0;
    while i < ALPHABET.len() {
        values[ALPHABET[i] as usize] = i as u8;
        i += 1;
    }
    values
};

fn write_base62(number: u128, digits: &mut [u8]) {
    let (high, low) = split_off_ten(number);
    let (top, middle) = split_off_ten(high);
    // top < 2^128 / 62^20 < 62^2: one pair.
    digits[..2].copy_from_slice(&PAIRS[top as usize]);
    write_ten(middle, &mut digits[2..12]);
    write_ten(low, &mut digits[12..22]);
}

/// What stands before the last ten digits, and these. The remainder by multiplying back: a 128-bit division is what
/// costs here, and `%` would be a second one.
fn split_off_ten(number: u128) -> (u128, u64) {
    let high = number / u128::from(TEN_DIGITS);
    (high, (number - high * u128::from(TEN_DIGITS)) as u64)
}

fn write_ten(mut number: u64, digits: &mut [u8]) {
    for pair in digits.chunks_exact_mut(2).rev() {
        pair.copy_from_slice(&PAIRS[(number % 3844) as usize]);
        number /= 3844;
    }
}

fn read_base62(digits: &[u8]) -> Option<u128> {
    if digits.len() != DIGITS {
        return None;
    }
    let read = |part: &[u8]| {
        part.iter().try_fold(0_u64, |number, &digit| match VALUES[usize::from(digit)] {
            NO_DIGIT => None,
            value => Some(number * 62 + u64::from(value)),
        })
    };
    let (top, middle, low) = (read(&digits[..2])?, read(&digits[2..12])?, read(&digits[12..])?);
    // The largest text is above 2^128: such a one names no block.
    let high = u128::from(top) * u128::from(TEN_DIGITS) + u128::from(middle);
    high.checked_mul(u128::from(TEN_DIGITS))?.checked_add(u128::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const KEY: [u8; 16] = *b"0123456789abcdef";

    fn ids() -> impl Strategy<Value = ObjectId> {
        let kinds = (0..ObjectKind::ALL.len()).prop_map(|place| ObjectKind::ALL[place]);
        (kinds, 0..=ObjectId::MAX_BIRTH, 0..=ObjectId::MAX_CHILD, any::<u16>())
            .prop_map(|(kind, birth, child, slot)| ObjectId { kind, birth, child, slot })
    }

    /// Ids are stored by others: if this fails, every id ever given out has changed. The texts were computed apart from
    /// this code, with OpenSSL's AES.
    #[test]
    fn the_layout_is_fixed_for_ever() {
        let cipher = IdCipher::new(KEY);
        for (kind, birth, child, slot, text) in [
            (ObjectKind::Charge, 1, 0, 0, "ch_76CMiXUFeKy7FNXb4WZIh2"),
            (ObjectKind::Account, 42, 7, 1, "acct_0LRzbPIRheI2RVptGd2iYX"),
            (
                ObjectKind::CheckoutSession,
                ObjectId::MAX_BIRTH,
                ObjectId::MAX_CHILD,
                u16::MAX,
                "cs_test_26wi3QgtcAO5PxbNnr4APL",
            ),
        ] {
            let id = ObjectId { kind, birth, child, slot };
            assert_eq!(cipher.encode(&id), text);
        }
    }

    #[test]
    fn kinds_have_their_own_number_and_prefix() {
        let prefixes: BTreeSet<&str> = ObjectKind::ALL.iter().map(|kind| kind.prefix()).collect();
        assert_eq!(prefixes.len(), ObjectKind::ALL.len());
        for (place, &kind) in ObjectKind::ALL.iter().enumerate() {
            assert_eq!(kind as usize, place + 1, "numbers run on without a gap");
            assert_eq!(ObjectKind::from_number(kind as u8), Some(kind));
            assert_eq!(ObjectKind::from_prefix(kind.prefix()), Some(kind));
            assert!(kind.prefix().len() <= LONGEST_PREFIX);
            let bytes = minicbor::to_vec(kind).unwrap();
            assert_eq!(minicbor::decode::<ObjectKind>(&bytes).unwrap(), kind);
        }
        assert_eq!(ObjectKind::from_number(0), None);
    }

    #[test]
    fn a_charge_is_not_a_refund_of_the_same_place() {
        let cipher = IdCipher::new(KEY);
        let charge = cipher.encode(&ObjectId { kind: ObjectKind::Charge, birth: 9, child: 0, slot: 0 });
        assert_eq!(charge.len(), 3 + 22);
        let forged = charge.replace("ch_", "re_");
        assert_eq!(cipher.decode(&forged), Err(BadId::Foreign));
        assert_eq!(cipher.decode(&charge.replace("ch_", "xx_")), Err(BadId::UnknownPrefix));
        assert_eq!(cipher.decode(&charge[..24]), Err(BadId::Shape));
        assert_eq!(cipher.decode(&format!("{charge}0")), Err(BadId::Shape));
        assert_eq!(cipher.decode("ch_zzzzzzzzzzzzzzzzzzzzzz"), Err(BadId::Shape), "above 2^128");
        assert_eq!(cipher.decode("ch_0000000000000000000000"), Err(BadId::Foreign));
        for special in ["", "_", "ch_", "pm_card_visa", "tok_visa", "ch", "ch_ßßßßßßßßßßß"] {
            assert!(cipher.decode(special).is_err(), "{special}");
        }
    }

    #[test]
    #[should_panic(expected = "no room in an id")]
    fn a_child_too_many_is_never_given_an_id() {
        IdCipher::new(KEY).encode(&ObjectId { kind: ObjectKind::Refund, birth: 1, child: 1 << 24, slot: 0 });
    }

    #[test]
    fn the_key_does_not_show() {
        assert_eq!(format!("{:?}", IdCipher::new(KEY)), "IdCipher(secret)");
        assert_eq!(ObjectId::new(ObjectKind::Charge, 1 << 48, 0, 0), None);
        assert_eq!(ObjectId::new(ObjectKind::Charge, 0, 1 << 24, 0), None);
    }

    proptest! {
        #[test]
        fn an_id_leads_back_to_its_place(key: [u8; 16], id in ids()) {
            let cipher = IdCipher::new(key);
            let text = cipher.encode(&id);
            prop_assert_eq!(cipher.decode(&text), Ok(id));
            let on_the_stack = cipher.text(&id);
            prop_assert_eq!(on_the_stack.as_str(), &text);
            let mut out = String::from("id: ");
            cipher.encode_into(&id, &mut out);
            prop_assert_eq!(&out[4..], &text);
            let bytes = minicbor::to_vec(id).unwrap();
            prop_assert_eq!(minicbor::decode::<ObjectId>(&bytes).unwrap(), id);
        }

        #[test]
        fn another_platform_refuses_it(key: [u8; 16], other: [u8; 16], id in ids()) {
            prop_assume!(key != other);
            let text = IdCipher::new(key).encode(&id);
            prop_assert_eq!(IdCipher::new(other).decode(&text), Err(BadId::Foreign));
        }

        #[test]
        fn one_wrong_character_is_refused(id in ids(), place in 0..22_usize, digit in 0..62_usize) {
            let cipher = IdCipher::new(KEY);
            let mut text = cipher.encode(&id).into_bytes();
            let at = text.len() - 22 + place;
            prop_assume!(text[at] != ALPHABET[digit]);
            text[at] = ALPHABET[digit];
            prop_assert!(cipher.decode(&String::from_utf8(text).unwrap()).is_err());
        }

        #[test]
        fn made_up_ids_are_refused(text in "(ch|py|acct|cs_test)_[0-9A-Za-z]{22}") {
            prop_assert!(IdCipher::new(KEY).decode(&text).is_err());
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,40}") {
            let _ = IdCipher::new(KEY).decode(&text);
        }

        #[test]
        fn base_62_holds_every_block(number: u128) {
            let mut digits = [0; DIGITS];
            write_base62(number, &mut digits);
            prop_assert_eq!(read_base62(&digits), Some(number));
        }
    }
}
