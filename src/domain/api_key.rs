//! Restricted API keys: which part of a platform a key opens. The key itself is known to its holder alone; what is kept
//! is its hash.

use minicbor::{Decode, Encode};

use super::command::Request;
use super::decide::{Change, Class, Context, Facts, Halt, Kinds, Outcome, Refusal, Reply};
use super::draft::Draft;
use super::method::owner_key;
use super::record::{Made, Record, RecordKey, Shared, Slot};
use super::refund::no_such;
use super::seal::{Sealed, Texts};
use crate::ledger::AccountNo;
use crate::primitives::id::{ObjectId, ObjectKind};
use crate::primitives::time::Timestamp;

/// Permissions of one key.
const PERMISSIONS_MAX: usize = 100;

/// A restricted key.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct ApiKeyRecord {
    #[n(0)]
    pub made: Made,
    /// BLAKE3 of the key.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub hash: [u8; 32],
    /// The key with its middle masked, to recognise it by.
    #[n(2)]
    pub hint: String,
    /// What it opens, by resource; nothing else.
    #[n(3)]
    pub permissions: Vec<(String, KeyLevel)>,
    #[n(4)]
    pub revoked_at: Option<Timestamp>,
    /// name.
    #[n(5)]
    pub private: Sealed,
}

/// How far a permission goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum KeyLevel {
    #[n(0)]
    Read,
    /// To read as well.
    #[n(1)]
    Write,
}

/// A key's id.
pub fn id(key: u64) -> ObjectId {
    RecordKey::head(key).id(ObjectKind::ApiKey, Slot::MAIN)
}

/// Keeps a restricted key.
///
/// # Errors
/// A key that opens nothing; a missing fact.
pub fn create(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    hash: [u8; 32],
    hint: &str,
    permissions: &[(String, KeyLevel)],
) -> Result<Outcome, Halt> {
    if permissions.is_empty() || permissions.len() > PERMISSIONS_MAX {
        let message = "A restricted key needs at least one permission, such as permissions[charge]=read.";
        return Err(Refusal::new(message).param("permissions").code("parameter_missing").into());
    }
    let key_no = owner_key(facts, AccountNo::PLATFORM)?;
    let mut draft = Draft::new(facts, ctx);
    let mut texts = Texts::default();
    texts.apply("", &request.texts);
    let record = ApiKeyRecord {
        made: draft.made(),
        hash,
        hint: hint.to_owned(),
        permissions: permissions.to_vec(),
        revoked_at: None,
        private: draft.seal(key_no, &texts)?,
    };
    let change = Change::of(RecordKey::head(ctx.seq), Record::ApiKey(record));
    draft.change(change.listed(AccountNo::PLATFORM, Class::Key, Kinds::KEY));
    let mut outcome = draft.finish(Reply::Object(id(ctx.seq)));
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// Revokes a key for good. One that was revoked stays as it is.
///
/// # Errors
/// 404; a missing fact.
pub fn revoke(facts: &dyn Facts, ctx: &Context<'_>, key: u64) -> Result<Outcome, Halt> {
    let before: Option<Shared> = facts.record(RecordKey::head(key))?;
    let Some((before, Record::ApiKey(was))) = before.as_ref().map(|record| (record, &**record)) else {
        return Err(no_such(ctx, "key", &id(key), "key"));
    };
    if was.revoked_at.is_some() {
        return Ok(Outcome::answer(Reply::Object(id(key))));
    }
    let record = ApiKeyRecord { revoked_at: Some(ctx.now), ..was.clone() };
    let mut draft = Draft::new(facts, ctx);
    draft.change(Change::of(RecordKey::head(key), Record::ApiKey(record)).from(before));
    Ok(draft.finish(Reply::Object(id(key))))
}
