//! The journal entry: what is written, and what everything else is rebuilt from.
//!
//! It holds the command and its outcome with the full after-image of every record that changed, so applying it is a
//! put and needs no rule. Numbers are fixed for ever; journals of every released format must replay.

use std::sync::Arc;

use minicbor::{Decode, Encode};

use crate::domain::command::{Command, IdempotencyKey, Request, TextPatch};
use crate::domain::decide::{Change, Context, IndexRow, Matured, Outcome, Reply};
use crate::domain::due::{DueItem, DueKey};
use crate::domain::event::Event;
use crate::domain::record::{Record, RecordKey, Shared};
use crate::domain::seal::{Nonce, Sealed, Vault};
use crate::ledger::{AccountNo, Entry};
use crate::primitives::time::Timestamp;

/// Version of the rules that decided an entry. `verify` decides entries of this version again; older ones it checks
/// by law. Raise it with every change that gives some command another outcome.
///
/// 2: payments' texts lie under their owner's key and no longer under the customer's, charges keep the billing details
/// of their cards, and the key of a deleted customer is erased.
pub const DECISION_VERSION: u16 = 2;

/// From this version on, a deleted customer's key seals nothing that has to stay.
const ERASING_VERSION: u16 = 2;

/// One entry of a platform's journal.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct JournalEntry {
    /// Rules that decided it.
    #[n(0)]
    pub version: u16,
    /// The platform's time.
    #[n(1)]
    pub now: Timestamp,
    /// Account acted for.
    #[n(2)]
    pub acting: AccountNo,
    /// `req_…` of the call; empty for what was due. Not part of any digest.
    #[n(3)]
    pub request_id: String,
    /// Idempotency of the call.
    #[n(4)]
    pub idempotency: Option<IdempotencyKey>,
    /// The wish.
    #[n(5)]
    pub command: Command,
    /// The wish's texts, sealed.
    #[n(6)]
    pub texts: Sealed,
    /// What moved.
    #[n(7)]
    pub postings: Entry,
    /// Records that changed.
    #[n(8)]
    pub changes: Vec<StoredChange>,
    /// What happened.
    #[n(9)]
    pub events: Vec<Event>,
    /// Due items added.
    #[n(10)]
    pub due: Vec<DueItem>,
    /// Due items dropped.
    #[n(11)]
    pub undue: Vec<DueKey>,
    /// Matured money folded.
    #[n(12)]
    pub matured: Option<Matured>,
    /// Keys of the vault taken into use.
    #[n(13)]
    pub keys_taken: u32,
    /// What was answered.
    #[n(14)]
    pub reply: Reply,
}

/// What an entry does to the state: all that recovery needs, read without looking at the rest.
#[derive(Debug, Decode)]
#[cbor(map)]
pub struct Effects<'b> {
    #[n(0)]
    version: u16,
    #[n(1)]
    now: Timestamp,
    #[n(5)]
    command: StateCommand,
    #[n(7)]
    postings: Entry,
    /// Records that changed.
    #[b(8)]
    pub changes: Vec<RecordImage<'b>>,
    #[n(10)]
    due: Vec<DueItem>,
    #[n(11)]
    undue: Vec<DueKey>,
    #[n(12)]
    matured: Option<Matured>,
    #[n(13)]
    keys_taken: u32,
}

/// A changed record's image, where it lies.
#[derive(Debug, Decode)]
pub struct RecordImage<'b> {
    /// Which record.
    #[n(0)]
    pub key: RecordKey,
    /// Encoded record afterwards.
    #[cbor(b(1), with = "minicbor::bytes")]
    pub after: &'b [u8],
}

/// A command, where it changes the router's state by itself; most do not.
#[derive(Debug)]
struct StateCommand(Option<Command>);

impl<'b, C> Decode<'b, C> for StateCommand {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<StateCommand, minicbor::decode::Error> {
        let start = d.position();
        d.array()?;
        let number = d.u32()?;
        d.set_position(start);
        if Command::changes_state(number) {
            return Ok(StateCommand(Some(Command::decode(d, ctx)?)));
        }
        d.skip()?;
        Ok(StateCommand(None))
    }
}

/// The effects of an entry, wherever they are kept.
#[derive(Clone, Copy, Debug)]
pub struct EffectsRef<'a> {
    /// Rules that decided it.
    pub version: u16,
    /// The platform's time.
    pub now: Timestamp,
    /// The command, where it changes the router's state by itself.
    pub command: Option<&'a Command>,
    /// What moved.
    pub postings: &'a Entry,
    /// Due items added.
    pub due: &'a [DueItem],
    /// Due items dropped.
    pub undue: &'a [DueKey],
    /// Matured money folded.
    pub matured: Option<&'a Matured>,
    /// Keys of the vault taken into use.
    pub keys_taken: u32,
    /// Idempotency of the call; recovery leaves it to the store.
    pub idempotency: Option<&'a IdempotencyKey>,
}

impl<'b> Effects<'b> {
    /// Reads an entry's effects.
    ///
    /// # Errors
    /// Bytes that are no entry, or postings that do not balance.
    pub fn from_bytes(bytes: &'b [u8]) -> Result<Effects<'b>, minicbor::decode::Error> {
        minicbor::decode(bytes)
    }

    /// As references.
    pub fn view(&self) -> EffectsRef<'_> {
        EffectsRef {
            version: self.version,
            now: self.now,
            command: self.command.0.as_ref(),
            postings: &self.postings,
            due: &self.due,
            undue: &self.undue,
            matured: self.matured.as_ref(),
            keys_taken: self.keys_taken,
            idempotency: None,
        }
    }
}

/// A changed record as bytes: recovery and projection move them without looking inside.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StoredChange {
    /// Which record.
    #[n(0)]
    pub key: RecordKey,
    /// Encoded [`Record`] afterwards.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub after: Vec<u8>,
    /// … and before, where an event tells what changed.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub before: Option<Vec<u8>>,
    /// List entries.
    #[n(3)]
    pub index: Vec<IndexRow>,
}

impl StoredChange {
    fn of(change: &Change) -> StoredChange {
        StoredChange {
            key: change.key,
            after: encode_record(&change.after),
            before: change.before.as_deref().map(encode_record),
            index: change.index.clone(),
        }
    }

    /// The record afterwards.
    ///
    /// # Errors
    /// Bytes that are no record: damage that checksums did not catch, or a newer format.
    pub fn record(&self) -> Result<Shared, minicbor::decode::Error> {
        decode_record(&self.after)
    }
}

/// A record as stored.
pub fn encode_record(record: &Record) -> Vec<u8> {
    // Writing to a Vec cannot fail.
    minicbor::to_vec(record).unwrap_or_default()
}

/// The key that goes when this image of a record, written by rules of `version`, is durable: that of a customer who was
/// deleted.
///
/// # Errors
/// Bytes that are no record.
pub fn erased_key(version: u16, after: &[u8]) -> Result<Option<u32>, minicbor::decode::Error> {
    if version < ERASING_VERSION || !Record::is_customer(after)? {
        return Ok(None);
    }
    Ok(match &*decode_record(after)? {
        Record::Customer(customer) if customer.deleted => Some(customer.key_no),
        _ => None,
    })
}

/// Reads a stored record.
///
/// # Errors
/// Bytes that are no record.
pub fn decode_record(bytes: &[u8]) -> Result<Shared, minicbor::decode::Error> {
    minicbor::decode::<Record>(bytes).map(Arc::new)
}

impl JournalEntry {
    /// The entry of a decided request.
    pub fn of(request: &Request, outcome: &Outcome, ctx: &Context<'_>) -> JournalEntry {
        JournalEntry {
            version: DECISION_VERSION,
            now: ctx.now,
            acting: request.acting,
            request_id: request.request_id.clone(),
            idempotency: request.idempotency.clone(),
            command: request.command.clone(),
            texts: seal_patch(ctx, outcome.text_key_no, request),
            postings: outcome.entry.clone(),
            changes: outcome.changes.iter().map(StoredChange::of).collect(),
            events: outcome.events.clone(),
            due: outcome.due.clone(),
            undue: outcome.undue.clone(),
            matured: outcome.matured.clone(),
            keys_taken: outcome.keys_taken,
            reply: outcome.reply.clone(),
        }
    }

    /// Whether another entry does the same but for texts: it moves the same money, plans and tells the same, and
    /// changes no other records.
    pub fn does_as(&self, other: &JournalEntry) -> bool {
        let keys = |entry: &JournalEntry| entry.changes.iter().map(|change| change.key).collect::<Vec<_>>();
        self.postings == other.postings
            && self.events == other.events
            && (&self.due, &self.undue, &self.matured) == (&other.due, &other.undue, &other.matured)
            && self.keys_taken == other.keys_taken
            && self.reply == other.reply
            && keys(self) == keys(other)
    }

    /// What it does to the state.
    pub fn effects(&self) -> EffectsRef<'_> {
        EffectsRef {
            version: self.version,
            now: self.now,
            command: Some(&self.command),
            postings: &self.postings,
            due: &self.due,
            undue: &self.undue,
            matured: self.matured.as_ref(),
            keys_taken: self.keys_taken,
            idempotency: self.idempotency.as_ref(),
        }
    }

    /// Encoded for the journal.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Writing to a Vec cannot fail.
        minicbor::to_vec(self).unwrap_or_default()
    }

    /// Reads an entry of the journal.
    ///
    /// # Errors
    /// Bytes that are no entry, or postings that do not balance.
    pub fn from_bytes(bytes: &[u8]) -> Result<JournalEntry, minicbor::decode::Error> {
        minicbor::decode(bytes)
    }

    /// The request that was decided, with its texts opened (empty if their key was erased).
    pub fn request(&self, vault: &dyn Vault) -> Request {
        let mut texts = if self.texts.bytes.is_empty() {
            TextPatch::default()
        } else {
            vault.open(&self.texts).and_then(|bytes| TextPatch::from_bytes(&bytes)).unwrap_or_default()
        };
        let mut idempotency = self.idempotency.clone();
        if texts.0.last().is_some_and(|(path, _)| path == KEY_PATH)
            && let (Some((_, text)), Some(key)) = (texts.0.pop(), &mut idempotency)
        {
            key.text = text.unwrap_or_default();
        }
        Request {
            acting: self.acting,
            command: self.command.clone(),
            texts,
            idempotency,
            request_id: self.request_id.clone(),
        }
    }
}

/// Where the idempotency key lies among a command's sealed texts: last, under a path that no parameter has.
const KEY_PATH: &str = "\u{1}idempotency_key";

/// The command's texts are sealing number `u32::MAX` of their entry: no record uses it.
fn seal_patch(ctx: &Context<'_>, key_no: u32, request: &Request) -> Sealed {
    let mut patch = request.texts.clone();
    if let Some(key) = &request.idempotency {
        patch.set(KEY_PATH, key.text.as_str());
    }
    if patch.is_empty() {
        return Sealed::default();
    }
    let nonce = Nonce { seq: ctx.seq, ordinal: u32::MAX };
    Sealed { key_no, nonce, bytes: ctx.vault.seal(key_no, nonce, &patch.to_bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::due::DueKind;
    use crate::primitives::{Country, Currency};

    fn entry(command: Command) -> JournalEntry {
        JournalEntry {
            version: DECISION_VERSION,
            now: Timestamp(7),
            acting: AccountNo::PLATFORM,
            request_id: "req_1".to_owned(),
            idempotency: None,
            command,
            texts: Sealed::default(),
            postings: Entry::default(),
            changes: Vec::new(),
            events: Vec::new(),
            due: Vec::new(),
            undue: Vec::new(),
            matured: None,
            keys_taken: 1,
            reply: Reply::Done,
        }
    }

    #[test]
    fn recovery_reads_the_commands_that_change_the_routers_state_and_skips_the_rest() {
        let key = DueKey { at: Timestamp(9), birth: 3, ordinal: 0 };
        let due = DueItem { key, kind: DueKind::PayoutArrives(3) };
        let table = [
            (Command::CreateIntent(Box::default()), false),
            (Command::CancelPayout { payout: 4 }, false),
            (Command::CreateSplitRule { name: "cart".to_owned(), shares: Vec::new() }, true),
            (Command::Adjust { repairs: 1, postings: Vec::new() }, false),
            (Command::AdvanceClock { to: Timestamp(8) }, true),
            (Command::PutTables(Box::default()), true),
            (Command::Due(due), true),
            (Command::FoundPlatform { country: Country::US, currency: Currency::USD, virtual_clock: true }, true),
        ];
        for (command, changes_state) in table {
            let entry = entry(command);
            let bytes = entry.to_bytes();
            let effects = Effects::from_bytes(&bytes).unwrap();
            let seen = effects.view();
            assert_eq!(seen.command, changes_state.then_some(&entry.command));
            assert_eq!((seen.now, seen.keys_taken), (entry.now, entry.keys_taken));
        }
    }
}
