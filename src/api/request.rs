//! Requests: who calls, for whom, with which parameters.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::MatchedPath;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request as HttpRequest};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use smallvec::SmallVec;
use tokio::time::{Instant, timeout_at};

use super::ApiState;
use super::dry::Notes;
use super::error::{ApiError, Place};
use super::fields::{Deferred, Fields};
use super::keys::{Grant, KeyKind, Tenant};
use super::operations::{self, Operation};
use super::params::{Tree, parse_form, parse_json, parse_query};
use super::permissions;
use super::respond::Echo;
use super::secrets::{Secrets, letters};
use super::version::API_VERSION;
use super::view::account_id;
use crate::domain::command::{Command, IdempotencyKey, Request};
use crate::domain::record::{Record, RecordKey};
use crate::domain::seal::TextPatch;
use crate::engine::platform::{Answer, Platform};
use crate::ledger::AccountNo;
use crate::primitives::id::{IdCipher, ObjectId, ObjectKind};

/// A body must be there this long after its head.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// How long, and how much, the rest of a refused body is read.
const REST_WITHIN: Duration = Duration::from_secs(2);
const REST_BYTES_MAX: usize = 16 << 20;
const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;
const REQUEST_ID_LETTERS: usize = 14;

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
static STRIPE_ACCOUNT: HeaderName = HeaderName::from_static("stripe-account");
static STRIPE_CONTEXT: HeaderName = HeaderName::from_static("stripe-context");
static STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");

/// Labels of the keyed hashes of idempotency.
mod label {
    pub const KEY: u8 = 1;
    pub const ENDPOINT: u8 = 2;
}

/// Whom an operation serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Secret and restricted keys.
    Secret,
    /// Publishable ones too.
    Publishable,
}

/// A request, authenticated and parsed.
pub struct Call {
    /// The API's state.
    pub state: Arc<ApiState>,
    tenant: Arc<Tenant>,
    /// Kind of key it was made with.
    pub key_kind: KeyKind,
    /// HTTP method.
    pub method: Method,
    /// Path without the query.
    pub path: String,
    /// Parameters of the path, in order.
    pub path_params: SmallVec<[String; 2]>,
    /// The account acted for.
    pub acting: AccountNo,
    /// Parameters of body or query.
    pub tree: Tree,
    deferred: Deferred,
    /// What was right once and time has made wrong: told only where no earlier answer is kept under the key.
    pub timely: Deferred,
    idempotency: Option<IdempotencyKey>,
    request_id: String,
}

impl Call {
    /// A request that only shows which parameters its operation reads: see [`super::dry`].
    pub fn dry(state: Arc<ApiState>, tenant: Arc<Tenant>, operation: &Operation, tree: Tree, notes: Notes) -> Call {
        // The platform's own account is the one object that every platform has.
        let account = tenant.platform.ids().encode(&account_id(AccountNo::PLATFORM));
        let names = operation.path.split('/').filter(|segment| segment.starts_with('{'));
        let path_params = names.map(|name| if name == "{account}" { account.clone() } else { String::new() }).collect();
        Call {
            state,
            tenant,
            key_kind: KeyKind::Secret,
            method: operation.method.clone(),
            path: operation.path.to_owned(),
            path_params,
            acting: AccountNo::PLATFORM,
            tree,
            deferred: Deferred::noting(notes),
            timely: Deferred::default(),
            idempotency: None,
            request_id: String::new(),
        }
    }

    /// Whether nothing is to be done: see [`Call::dry`].
    pub fn is_dry(&self) -> bool {
        self.deferred.is_dry()
    }

    /// The platform of the key.
    pub fn platform(&self) -> &Platform {
        &self.tenant.platform
    }

    /// The platform with the secrets of its edge.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// Keys of the edge.
    pub fn secrets(&self) -> &Secrets {
        &self.tenant.secrets
    }

    /// What turns parameters into ids and fingerprints.
    pub fn edge(&self) -> Edge<'_> {
        Edge { ids: self.platform().ids(), secrets: self.secrets() }
    }

    /// A reader of the parameters.
    pub fn fields(&self) -> Fields<'_> {
        Fields::deferring(&self.tree, self.deferred.clone())
    }

    /// What was deferred while reading.
    ///
    /// # Errors
    /// Just that.
    pub fn check_deferred(&self) -> Result<(), ApiError> {
        self.deferred.check()
    }

    /// Whether it is a POST.
    pub fn is_post(&self) -> bool {
        self.method == Method::POST
    }

    /// A request to the domain.
    pub fn request(&self, command: Command, texts: TextPatch) -> Request {
        Request {
            acting: self.acting,
            command,
            texts,
            idempotency: self.idempotency.clone(),
            request_id: self.request_id.clone(),
        }
    }

    /// `req_…`, as the answer's `Request-Id`.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// What this request came to when it was first sent under its idempotency key.
    pub async fn earlier(&self) -> Option<Answer> {
        self.platform().earlier(self.idempotency.as_ref()?).await
    }

    /// The idempotency key as given.
    pub fn idempotency_text(&self) -> Option<&str> {
        self.idempotency.as_ref().map(|key| key.text.as_str())
    }

    /// Parameter `place` of the path, as text.
    pub fn path_text(&self, place: usize) -> &str {
        self.path_params.get(place).map(String::as_str).unwrap_or_default()
    }

    /// Parameter `place` of the path, as the id of an object of one of these kinds.
    ///
    /// # Errors
    /// 404.
    pub fn path_id(&self, place: usize, kinds: &[ObjectKind], noun: &str, param: &str) -> Result<ObjectId, ApiError> {
        let text = self.path_text(place);
        self.id_of(text, kinds).ok_or_else(|| ApiError::no_such(noun, text, param, Place::Path))
    }

    /// A parameter as the id of an object of one of these kinds. What is none is a 400 when all parameters are known
    /// (see [`Deferred`]); until then a stand-in goes on.
    pub fn body_id(&self, text: &str, kinds: &[ObjectKind], noun: &str, param: &str) -> ObjectId {
        self.id_of(text, kinds).unwrap_or_else(|| {
            self.deferred.put(ApiError::no_such(noun, text, param, Place::Parameter));
            nowhere(kinds.first().copied().unwrap_or(ObjectKind::Account))
        })
    }

    /// An id of one of these kinds, if the text is one.
    pub fn id_of(&self, text: &str, kinds: &[ObjectKind]) -> Option<ObjectId> {
        let stand_in = || kinds.first().filter(|_| self.is_dry()).map(|kind| nowhere(*kind));
        self.edge().id_of(text, kinds).or_else(stand_in)
    }

    /// A parameter as an account; see [`Call::body_id`].
    pub fn body_account(&self, text: &str, noun: &str, param: &str) -> AccountNo {
        AccountNo(self.body_id(text, &[ObjectKind::Account], noun, param).birth)
    }
}

/// An id that leads nowhere: a stand-in.
pub fn nowhere(kind: ObjectKind) -> ObjectId {
    ObjectId { kind, birth: ObjectId::MAX_BIRTH, child: 0, slot: 0 }
}

/// What turns parameters into ids and fingerprints: all that reading them needs of a platform.
#[derive(Clone, Copy)]
pub struct Edge<'a> {
    /// Text to ids.
    pub ids: &'a IdCipher,
    /// Keys of fingerprints.
    pub secrets: &'a Secrets,
}

impl Edge<'_> {
    /// A parameter as the id of an object of one of these kinds.
    ///
    /// # Errors
    /// 400.
    pub fn body_id(&self, text: &str, kinds: &[ObjectKind], noun: &str, param: &str) -> Result<ObjectId, ApiError> {
        self.id_of(text, kinds).ok_or_else(|| ApiError::no_such(noun, text, param, Place::Parameter))
    }

    /// An id of one of these kinds, if the text is one.
    pub fn id_of(&self, text: &str, kinds: &[ObjectKind]) -> Option<ObjectId> {
        self.ids.decode(text).ok().filter(|id| kinds.contains(&id.kind))
    }
}

/// `req_…`.
pub fn request_id() -> String {
    let mut bytes = [0; REQUEST_ID_LETTERS];
    // Without randomness the id is only less useful.
    let _ = getrandom::fill(&mut bytes);
    let mut id = String::with_capacity(4 + REQUEST_ID_LETTERS);
    id.push_str("req_");
    id.push_str(&letters(&bytes));
    id
}

/// What the headers of the answer will echo, whatever becomes of the request.
pub fn echo(method: &Method, headers: &HeaderMap) -> Echo {
    let key = headers.get(&IDEMPOTENCY_KEY).filter(|_| *method == Method::POST);
    let is_post = *method == Method::POST;
    Echo {
        request_id: request_id(),
        is_post,
        idempotency_key: key.cloned(),
        account: headers.get(&STRIPE_ACCOUNT).cloned(),
    }
}

/// Reads a request.
///
/// # Errors
/// 401 and 403 of the key layer, 400 and 413 of what cannot be read.
pub async fn read(
    state: Arc<ApiState>,
    access: Access,
    path_params: SmallVec<[String; 2]>,
    request: HttpRequest<Body>,
    request_id: String,
) -> Result<Call, ApiError> {
    let (parts, body) = request.into_parts();
    let key = api_key(&parts.headers)?;
    let Some(grant) = state.keys.find(&key) else { return Err(ApiError::invalid_api_key(&key)) };
    // Where the route is without a name, nothing is granted beyond what a secret key may.
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    may(&key, &grant, access, &parts.method, route)?;
    let Grant { tenant, kind, .. } = grant;
    if let Some(limiter) = &state.limiter {
        limiter.admit(tenant.platform.number(), &parts.method, route)?;
    }
    note_version(&parts.headers);
    let acting = acting(&tenant, &key, &parts.headers).await?;
    let query = parts.uri.query().unwrap_or_default();
    let tree = if parts.method == Method::POST {
        let bytes = read_body(body, state.body_bytes_max).await?;
        parse_body(&parts.headers, &bytes, query)?
    } else {
        parse_query(query)?
    };
    let path = parts.uri.path().to_owned();
    let idempotency = match parts.headers.get(&IDEMPOTENCY_KEY) {
        Some(value) if parts.method == Method::POST => {
            Some(idempotency_key(&tenant.secrets, value, acting, &parts.method, &path, &tree)?)
        }
        _ => None,
    };
    Ok(Call {
        state,
        tenant,
        key_kind: kind,
        method: parts.method,
        path,
        path_params,
        acting,
        tree,
        deferred: Deferred::default(),
        timely: Deferred::default(),
        idempotency,
        request_id,
    })
}

/// Whether a key opens an operation.
fn may(key: &str, grant: &Grant, access: Access, method: &Method, route: &str) -> Result<(), ApiError> {
    if grant.revoked {
        return Err(ApiError::expired_api_key(key));
    }
    match grant.kind {
        KeyKind::Secret => Ok(()),
        KeyKind::Publishable if access == Access::Publishable => Ok(()),
        KeyKind::Publishable => Err(ApiError::secret_key_required()),
        KeyKind::Restricted => match operations::permission(method, route) {
            Some(needed) if grant.permissions.allow(needed) => Ok(()),
            needed => {
                let platform = &grant.tenant.platform;
                let account = platform.ids().encode(&account_id(AccountNo::PLATFORM));
                Err(ApiError::permission_missing(key, &account, needed.map(permissions::name).as_deref()))
            }
        },
    }
}

/// Answers have one version; what clients expect otherwise is worth a line in a detailed log.
fn note_version(headers: &HeaderMap) {
    if let Some(wanted) = headers.get(&STRIPE_VERSION)
        && wanted.as_bytes() != API_VERSION.as_bytes()
    {
        tracing::debug!(?wanted, answered = API_VERSION, "a client expects another version of the API");
    }
}

/// The key of a Bearer or Basic header.
fn api_key(headers: &HeaderMap) -> Result<String, ApiError> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(ApiError::no_api_key)?;
    let (scheme, rest) = header.split_once(' ').ok_or_else(ApiError::no_api_key)?;
    let key = if scheme.eq_ignore_ascii_case("bearer") {
        rest.trim().to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let plain = decode_base64(rest.trim()).and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        plain.split(':').next().unwrap_or_default().to_owned()
    } else {
        return Err(ApiError::no_api_key());
    };
    if key.is_empty() { Err(ApiError::no_api_key()) } else { Ok(key) }
}

/// Standard alphabet, padding optional.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = (held << 6 | u32::from(value)) & 0xFF_FFFF;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    Some(bytes)
}

/// The account named by `Stripe-Account` or `Stripe-Context`, if it is one of the platform's.
async fn acting(tenant: &Tenant, key: &str, headers: &HeaderMap) -> Result<AccountNo, ApiError> {
    let Some(value) = headers.get(&STRIPE_ACCOUNT).or_else(|| headers.get(&STRIPE_CONTEXT)) else {
        return Ok(AccountNo::PLATFORM);
    };
    let text = value.to_str().unwrap_or_default();
    let refused = || ApiError::account_invalid(key, text);
    let id = tenant.platform.ids().decode(text).map_err(|_| refused())?;
    if id.kind != ObjectKind::Account {
        return Err(refused());
    }
    let account = AccountNo(id.birth);
    if account.is_platform() {
        return Ok(account);
    }
    let found = tenant.platform.records(&[RecordKey::head(account.0)]).await.pop().flatten();
    match found.as_deref() {
        Some(Record::Account(record)) if !record.deleted => Ok(account),
        _ => Err(refused()),
    }
}

async fn read_body(mut body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    // Announced too long: there is no need to wait for it.
    if body.size_hint().lower() > bytes_max as u64 {
        drop_rest(body);
        return Err(ApiError::body_too_large(bytes_max));
    }
    let deadline = Instant::now() + BODY_WITHIN;
    let mut bytes = BytesMut::new();
    loop {
        match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else { continue };
                if bytes.len() + data.len() > bytes_max {
                    drop_rest(body);
                    return Err(ApiError::body_too_large(bytes_max));
                }
                bytes.extend_from_slice(&data);
            }
            Ok(Some(Err(_))) => {
                return Err(ApiError::malformed("The request body ended early. Send it again, whole."));
            }
            Ok(None) => return Ok(bytes.freeze()),
            Err(_) => {
                return Err(ApiError::malformed("The request body did not come in time. Send it again, faster."));
            }
        }
    }
}

/// Reads and drops what still comes of a refused body, for a while: a client that writes everything before it reads
/// sees the answer, and not a broken pipe.
fn drop_rest(mut body: Body) {
    tokio::spawn(async move {
        let deadline = Instant::now() + REST_WITHIN;
        let mut left = REST_BYTES_MAX;
        while let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    });
}

fn parse_body(headers: &HeaderMap, body: &[u8], query: &str) -> Result<Tree, ApiError> {
    let content_type = match headers.get(CONTENT_TYPE) {
        Some(value) => value.to_str().unwrap_or_default(),
        None => "",
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "" | "application/x-www-form-urlencoded" if query.is_empty() => parse_form(body),
        "" | "application/x-www-form-urlencoded" => {
            let mut both = Vec::with_capacity(query.len() + 1 + body.len());
            both.extend_from_slice(query.as_bytes());
            both.push(b'&');
            both.extend_from_slice(body);
            parse_form(&both)
        }
        "application/json" if query.is_empty() => parse_json(body),
        "application/json" if body.is_empty() => parse_query(query),
        "application/json" => {
            Err(ApiError::malformed("Give the parameters in the body or in the query string, not in both."))
        }
        // Without a body its type does not matter.
        _ if body.is_empty() => parse_query(query),
        _ => Err(ApiError::unsupported_content_type(content_type)),
    }
}

fn idempotency_key(
    secrets: &Secrets,
    value: &HeaderValue,
    acting: AccountNo,
    method: &Method,
    path: &str,
    tree: &Tree,
) -> Result<IdempotencyKey, ApiError> {
    let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
    let chars = text.chars().count();
    if chars == 0 || chars > IDEMPOTENCY_KEY_CHARS_MAX {
        return Err(ApiError::idempotency_key_invalid(chars));
    }
    Ok(IdempotencyKey {
        key: secrets.idempotency(label::KEY, &[&acting.0.to_le_bytes(), text.as_bytes()]),
        endpoint: secrets.idempotency(label::ENDPOINT, &[method.as_str().as_bytes(), path.as_bytes()]),
        parameters: secrets.parameters(tree),
        text,
        path: format!("{method} {path}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(authorization: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
        headers
    }

    #[test]
    fn bearer_and_basic_carry_the_same_key() {
        assert_eq!(api_key(&headers("Bearer sk_test_1")).unwrap(), "sk_test_1");
        assert_eq!(api_key(&headers("bearer  sk_test_1 ")).unwrap(), "sk_test_1");
        assert_eq!(api_key(&headers("Basic c2tfdGVzdF8xOg==")).unwrap(), "sk_test_1");
        assert_eq!(api_key(&headers("Basic c2tfdGVzdF8x")).unwrap(), "sk_test_1");
        for bad in ["Basic ???", "Digest x", "sk_test_1", "Bearer "] {
            assert_eq!(api_key(&headers(bad)).unwrap_err().status, 401, "{bad}");
        }
        assert_eq!(api_key(&HeaderMap::new()).unwrap_err().status, 401);
    }

    #[test]
    fn bodies_are_read_by_their_type() {
        let typed = |content_type: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            headers
        };
        let form = parse_body(&typed("application/x-www-form-urlencoded; charset=utf-8"), b"a[b]=1", "").unwrap();
        assert_eq!(form, parse_body(&typed("application/json"), br#"{"a":{"b":1}}"#, "").unwrap());
        assert_eq!(form, parse_body(&HeaderMap::new(), b"", "a[b]=1").unwrap());
        assert_eq!(parse_body(&typed("text/xml"), b"<a/>", "").unwrap_err().status, 400);
        assert!(parse_body(&typed("application/json"), b"{}", "a=1").is_err());
    }

    #[test]
    fn request_ids_differ() {
        let (one, other) = (request_id(), request_id());
        assert_ne!(one, other);
        assert_eq!(one.len(), 18);
    }
}
