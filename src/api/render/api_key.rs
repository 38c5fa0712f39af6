//! `florin.key`: Florin's own.

use serde::Serialize;
use serde::ser::SerializeMap;

use super::super::permissions::Level;
use super::super::view::{Id, Stop, View};
use super::{Rendered, Sink, Words};
use crate::domain::api_key::KeyLevel;
use crate::domain::record::{Record, RecordKey};
use crate::primitives::id::ObjectId;

#[derive(Serialize)]
struct ApiKey<'a> {
    id: Id,
    object: &'static str,
    created: i64,
    /// The key with its middle masked.
    hint: &'a str,
    livemode: bool,
    name: Option<&'a str>,
    permissions: Opens<'a>,
    revoked_at: Option<i64>,
    /// Told once, by the answer that makes the key.
    secret: Option<&'static str>,
}

struct Opens<'a>(&'a [(String, KeyLevel)]);

impl Serialize for Opens<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (resource, level) in self.0 {
            map.serialize_entry(resource, Level::from(*level).word())?;
        }
        map.end()
    }
}

/// The restricted key of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let Record::ApiKey(key) = view.record(RecordKey::of(id))? else { return Err(Stop::Gone) };
    let texts = view.texts(&key.private);
    let words = Words::new(&texts, "");
    sink.put(&ApiKey {
        id: view.id(id),
        object: "florin.key",
        created: key.made.at.seconds(),
        hint: &key.hint,
        livemode: false,
        name: words.get("name"),
        permissions: Opens(&key.permissions),
        revoked_at: key.revoked_at.map(|at| at.seconds()),
        secret: None,
    })
}
