//! `/florin/keys`: restricted keys.

use serde_json::Value;

use super::super::error::{ApiError, echo, masked_key};
use super::super::expand::Expand;
use super::super::expansion::PLAIN;
use super::super::fields::{Fields, MetadataPatch};
use super::super::keys;
use super::super::list::{self, KEYS};
use super::super::paging::Range;
use super::super::permissions::Resource;
use super::super::request::Call;
use super::super::respond::{self, Done};
use super::super::secrets::letters;
use super::super::texts::Texts;
use super::super::view::Stage;
use super::{Answered, expansion, paging, platform_only, retrieve as read};
use crate::domain::api_key::KeyLevel;
use crate::domain::command::Command;
use crate::domain::record::RecordKey;
use crate::primitives::id::{ObjectId, ObjectKind};

/// Letters of a key after its prefix: 142 bits.
const SECRET_LETTERS: usize = 24;

fn id(call: &Call) -> Result<ObjectId, ApiError> {
    call.path_id(0, &[ObjectKind::ApiKey], "key", "key")
}

/// `permissions[<resource>]`: `none`, `read` or `write`.
fn permissions(fields: &Fields<'_>) -> Result<Vec<(String, KeyLevel)>, ApiError> {
    let given = match fields.metadata_named("permissions")? {
        None | Some(MetadataPatch::ClearAll) => return Ok(fields.or_defer("permissions", None, Vec::new())),
        Some(MetadataPatch::Change(given)) => given,
    };
    let mut permissions = Vec::with_capacity(given.len());
    for (word, level) in given {
        let param = format!("permissions[{word}]");
        let Some(resource) = Resource::from_word(&word) else {
            let known: Vec<&str> = Resource::ALL.iter().map(|resource| resource.word()).collect();
            let message = format!("There is no permission for '{}'. There are: {}.", echo(&word), known.join(", "));
            return Err(ApiError::invalid(param, message));
        };
        match level.as_deref() {
            Some("none") | None => {}
            Some("read") => permissions.push((resource.word().to_owned(), KeyLevel::Read)),
            Some("write") => permissions.push((resource.word().to_owned(), KeyLevel::Write)),
            Some(_) => return Err(ApiError::invalid_enum(param, ["none", "read", "write"])),
        }
    }
    Ok(permissions)
}

fn fresh_key() -> Result<String, ApiError> {
    let mut bytes = [0; SECRET_LETTERS];
    // A key that can be guessed is worse than none.
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "no randomness for a key");
        ApiError::internal()
    })?;
    Ok(format!("rk_test_{}", letters(&bytes)))
}

/// POST /florin/keys
pub async fn create(call: Call) -> Answered {
    platform_only(&call)?;
    let fields = call.fields();
    let expand = expansion(&fields, &PLAIN)?;
    let mut texts = Texts::default();
    texts.text(&fields, "name")?;
    let permissions = permissions(&fields)?;
    fields.finish()?;
    let key = fresh_key()?;
    let command = Command::CreateKey { hash: keys::hash(&key), hint: masked_key(&key), permissions };
    let done = respond::submit(&call, command, texts.into_patch(), &expand).await?;
    let done = learnt(&call, done).await?;
    // Only the answer that made the key can tell it: nothing keeps it.
    if done.replay_of.is_some() { Ok(done) } else { with_secret(done, key) }
}

fn with_secret(done: Done, key: String) -> Answered {
    if done.status != 200 {
        return Ok(done);
    }
    let mut object: Value = serde_json::from_slice(&done.body).map_err(|_| ApiError::internal())?;
    if let Some(secret) = object.get_mut("secret") {
        *secret = Value::String(key);
    }
    let body = serde_json::to_vec(&object).map_err(|_| ApiError::internal())?;
    Ok(Done { body, ..done })
}

/// The key as it is now is in force before the answer leaves.
async fn learnt(call: &Call, done: Done) -> Answered {
    if done.status != 200 {
        return Ok(done);
    }
    let object: Value = serde_json::from_slice(&done.body).map_err(|_| ApiError::internal())?;
    let id = object.get("id").and_then(Value::as_str).and_then(|text| call.id_of(text, &[ObjectKind::ApiKey]));
    if let Some(id) = id {
        call.state.keys.learn(call.tenant(), &[RecordKey::of(&id)]).await;
    }
    Ok(done)
}

/// GET /florin/keys/{key}
pub async fn retrieve(call: Call) -> Answered {
    platform_only(&call)?;
    read(&call, id(&call)?, &PLAIN, "key", "key").await
}

/// POST /florin/keys/{key}/revoke
pub async fn revoke(call: Call) -> Answered {
    platform_only(&call)?;
    let key = id(&call)?.birth;
    let fields = call.fields();
    expansion(&fields, &PLAIN)?;
    fields.finish()?;
    let done = respond::submit(&call, Command::RevokeKey { key }, Default::default(), &Expand::default()).await?;
    learnt(&call, done).await
}

/// GET /florin/keys
pub async fn index(call: Call) -> Answered {
    platform_only(&call)?;
    let fields = call.fields();
    let (page, expand) = paging(&fields, &PLAIN)?;
    let created = Range::parse(&fields, "created")?;
    fields.finish()?;
    let mut stage = Stage::default();
    let ids = list::walk(&call, KEYS, &page, &created, &mut stage, |_, _| Ok(true)).await?;
    list::respond(&call, ids, &mut stage, &expand, "/florin/keys").await
}
