//! Outside errors: what a caller reads when a request is refused.
//!
//! Owns the error object of the wire and the texts in it. Never carries an inside error: no constructor takes one and
//! there is no blanket `From`, so a path, a query or a panic message cannot reach a caller by accident. Whoever holds
//! an inside error logs it where it happened and answers [`ApiError::internal`], which takes no text at all.
//!
//! A text says what was wrong, with which parameter, and what to do about it. Where client code is known to match on a
//! sentence (idempotency, unknown objects, other mode) its opening words are part of the wire and stay as they are.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::Serialize;
use serde_json::Value;

/// Where a code is explained; the code follows as the anchor.
const DOC_URL_BASE: &str = "docs/errors.md#";
/// Where a code is explained.
pub fn doc_url(code: &str) -> String {
    format!("{DOC_URL_BASE}{code}")
}

/// A value of the caller's that is repeated in an error text is cut to this many characters.
const ECHO_CHARS_MAX: usize = 120;
/// Card numbers have 13 to 19 digits; a value that looks like one is never repeated in full.
const CARD_DIGITS_MIN: usize = 13;

/// The four types of the wire. Libraries make their exception classes from these and from the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorType {
    ApiError,
    CardError,
    IdempotencyError,
    InvalidRequestError,
}

/// How far the request came before it failed. Idempotency and the retry header follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Stopped before execution (validation, keys, unknown objects): nothing is stored under the idempotency key, so
    /// a corrected request may use the same key.
    Refused,
    /// Execution began and failed for good (wrong state, declined, not enough balance): stored and replayed.
    Executed,
    /// Nothing happened and the same request may succeed in a moment.
    TryAgain,
    /// The daemon failed and cannot say. Nothing is stored; repeating with the same idempotency key is safe.
    Unknown,
}

/// Where the id of a missing object stood: in the path it is a 404, in a parameter a 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Path,
    Parameter,
}

/// The answer to a request that did not succeed. Boxed, so that a `Result` stays small on the way of success.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError(Box<Details>);

/// The fields of the error object, in the order in which they are written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Details {
    #[serde(skip)]
    pub status: u16,
    #[serde(skip)]
    pub fate: Fate,
    /// Value of `Retry-After`, in seconds.
    #[serde(skip)]
    pub retry_after_s: Option<u32>,
    /// Value of `Stripe-Rate-Limited-Reason`.
    #[serde(skip)]
    pub rate_limited_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice_code: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charge: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decline_code: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc_url: Option<String>,
    pub message: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_advice_code: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_decline_code: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// The whole object, rendered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_intent: Option<Value>,
    /// The whole object, rendered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_method_type: Option<Cow<'static, str>>,
    /// The whole object, rendered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setup_intent: Option<Value>,
    #[serde(rename = "type")]
    pub kind: ErrorType,
}

impl Deref for ApiError {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

impl Serialize for ApiError {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a Details,
        }
        Body { error: &self.0 }.serialize(serializer)
    }
}

/// What follows from an error for the rest of the answer.
impl ApiError {
    /// The body, `{"error": {...}}`.
    pub fn to_json(&self) -> String {
        // Only text, numbers and JSON values inside: writing them cannot fail. If it ever does, an answer without an
        // error object would make the libraries throw something generic, so the fallback has one too.
        serde_json::to_string(self).unwrap_or_else(|_| {
            r#"{"error":{"message":"The error could not be written.","type":"api_error"}}"#.to_owned()
        })
    }

    /// Whether the answer is stored under the idempotency key and replayed.
    pub fn is_stored(&self) -> bool {
        self.fate == Fate::Executed
    }

    /// Value of `Stripe-Should-Retry`; absent where the client should go by the status.
    pub fn should_retry(&self) -> Option<bool> {
        match self.fate {
            Fate::Executed => Some(false),
            Fate::TryAgain => Some(true),
            Fate::Refused | Fate::Unknown => None,
        }
    }

    /// Value of `WWW-Authenticate`, which a 401 must carry.
    pub fn www_authenticate(&self) -> Option<&'static str> {
        (self.status == 401).then_some("Basic realm=\"Stripe\"")
    }
}

/// Building blocks. Prefer the named constructors below; these serve one-off rules of one endpoint.
impl ApiError {
    fn new(status: u16, kind: ErrorType, fate: Fate, message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError(Box::new(Details {
            status,
            fate,
            retry_after_s: None,
            rate_limited_reason: None,
            advice_code: None,
            charge: None,
            code: None,
            decline_code: None,
            doc_url: None,
            message: message.into(),
            network_advice_code: None,
            network_decline_code: None,
            param: None,
            payment_intent: None,
            payment_method: None,
            payment_method_type: None,
            setup_intent: None,
            kind,
        }))
    }

    /// 400 before execution: a parameter is wrong in a way that has no constructor of its own.
    pub fn invalid(param: impl Into<String>, message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::malformed(message).with_param(param)
    }

    /// 400 before execution that belongs to no single parameter.
    pub fn malformed(message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(400, ErrorType::InvalidRequestError, Fate::Refused, message)
    }

    /// 400 of an executed request: wrong state, not enough balance, refunded before.
    pub fn rejected(code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::rejected_without_code(message).with_code(code)
    }

    /// As [`ApiError::rejected`], for the few refusals that have no code on the wire.
    pub fn rejected_without_code(message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(400, ErrorType::InvalidRequestError, Fate::Executed, message)
    }

    /// 402: the parameters were fine and the card or bank said no. The text may be shown to the payer.
    pub fn card(code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(402, ErrorType::CardError, Fate::Executed, message).with_code(code)
    }

    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> ApiError {
        let code = code.into();
        self.0.doc_url = Some(doc_url(&code));
        self.0.code = Some(code);
        self
    }

    pub fn with_status(mut self, status: u16) -> ApiError {
        self.0.status = status;
        self
    }

    pub fn with_param(mut self, param: impl Into<String>) -> ApiError {
        self.0.param = Some(param.into());
        self
    }

    pub fn with_decline_code(mut self, decline_code: impl Into<Cow<'static, str>>) -> ApiError {
        self.0.decline_code = Some(decline_code.into());
        self
    }

    /// What the issuer advises and the raw codes of the network, where there are any.
    pub fn with_advice(
        mut self,
        advice_code: Option<Cow<'static, str>>,
        network_decline_code: Option<Cow<'static, str>>,
        network_advice_code: Option<Cow<'static, str>>,
    ) -> ApiError {
        self.0.advice_code = advice_code;
        self.0.network_decline_code = network_decline_code;
        self.0.network_advice_code = network_advice_code;
        self
    }

    pub fn with_charge(mut self, charge: impl Into<String>) -> ApiError {
        self.0.charge = Some(charge.into());
        self
    }

    pub fn with_payment_intent(mut self, payment_intent: Value) -> ApiError {
        self.0.payment_intent = Some(payment_intent);
        self
    }

    pub fn with_payment_method(mut self, payment_method: Value) -> ApiError {
        self.0.payment_method = Some(payment_method);
        self
    }

    pub fn with_payment_method_type(mut self, payment_method_type: impl Into<Cow<'static, str>>) -> ApiError {
        self.0.payment_method_type = Some(payment_method_type.into());
        self
    }

    pub fn with_setup_intent(mut self, setup_intent: Value) -> ApiError {
        self.0.setup_intent = Some(setup_intent);
        self
    }

    /// Changes how far the request came, where an endpoint knows better than the constructor.
    pub fn with_fate(mut self, fate: Fate) -> ApiError {
        self.0.fate = fate;
        self
    }
}

/// Parameters.
impl ApiError {
    pub fn unknown_parameter(param: &str, did_you_mean: Option<&str>) -> ApiError {
        let shown = echo(param);
        let message = match did_you_mean {
            Some(known) => format!("Received unknown parameter: {shown}. Did you mean {known}?"),
            None => format!("Received unknown parameter: {shown}"),
        };
        ApiError::invalid(shown, message).with_code("parameter_unknown")
    }

    pub fn missing(param: impl Into<String>) -> ApiError {
        let param = param.into();
        let message = format!("Missing required param: {param}.");
        ApiError::invalid(param, message).with_code("parameter_missing")
    }

    /// An empty value asks to unset, which this parameter does not allow.
    pub fn invalid_empty(param: impl Into<String>) -> ApiError {
        let param = param.into();
        let message = format!(
            "You passed an empty string for '{param}'. An empty value is taken as a wish to unset a parameter, and \
             '{param}' cannot be unset. Leave '{param}' out of the request or give it a value."
        );
        ApiError::invalid(param, message).with_code("parameter_invalid_empty")
    }

    /// Only white space where a text is due.
    pub fn invalid_blank(param: impl Into<String>) -> ApiError {
        let param = param.into();
        let message = format!("'{param}' must not be blank. Leave '{param}' out of the request or give it a value.");
        ApiError::invalid(param, message).with_code("parameter_invalid_string_blank")
    }

    pub fn invalid_integer(param: impl Into<String>, value: &str) -> ApiError {
        ApiError::invalid(param, format!("Invalid integer: {}", echo(value))).with_code("parameter_invalid_integer")
    }

    pub fn integer_below(param: impl Into<String>, least: i64) -> ApiError {
        ApiError::invalid(param, format!("This value must be greater than or equal to {least}."))
            .with_code("parameter_invalid_integer")
    }

    pub fn integer_above(param: impl Into<String>, most: i64) -> ApiError {
        ApiError::invalid(param, format!("This value must be less than or equal to {most}."))
            .with_code("parameter_invalid_integer")
    }

    pub fn invalid_boolean(param: impl Into<String>, value: &str) -> ApiError {
        ApiError::invalid(param, format!("Invalid boolean: {}", echo(value)))
    }

    /// A hash or a list where a text is due; `value` is its JSON.
    pub fn invalid_string(param: impl Into<String>, value: &str) -> ApiError {
        ApiError::invalid(param, format!("Invalid string: {}", echo(value)))
    }

    pub fn text_too_long(param: impl Into<String>, value: &str, chars_max: usize) -> ApiError {
        let start = echo_up_to(value, 20);
        ApiError::invalid(param, format!("Invalid string: {start}; must be at most {chars_max} characters"))
    }

    /// A text or a list where a hash is due.
    pub fn invalid_object(param: impl Into<String>) -> ApiError {
        ApiError::invalid(param, "Invalid object")
    }

    /// A text or a hash with names where a list is due.
    pub fn invalid_array(param: impl Into<String>) -> ApiError {
        ApiError::invalid(param, "Invalid array")
    }

    pub fn invalid_enum<'a>(param: impl Into<String>, allowed: impl IntoIterator<Item = &'a str>) -> ApiError {
        let param = param.into();
        let allowed: Vec<&str> = allowed.into_iter().collect();
        let values = match allowed.as_slice() {
            [] => "left out".to_owned(),
            [only] => (*only).to_owned(),
            [first, last] => format!("one of {first} or {last}"),
            [firsts @ .., last] => format!("one of {}, or {last}", firsts.join(", ")),
        };
        let message = format!("Invalid {param}: must be {values}");
        ApiError::invalid(param, message)
    }

    /// Parameters of which at most one may be given.
    pub fn parameters_exclusive(params: &[&str]) -> ApiError {
        let message = format!("You may only specify one of these parameters: {}.", params.join(", "));
        ApiError::malformed(message)
            .with_param(params.first().copied().unwrap_or_default())
            .with_code("parameters_exclusive")
    }

    pub fn invalid_email(param: impl Into<String>, value: &str) -> ApiError {
        ApiError::invalid(param, format!("Invalid email address: {}", echo(value))).with_code("email_invalid")
    }

    pub fn invalid_url(param: impl Into<String>, value: &str) -> ApiError {
        ApiError::invalid(param, format!("Not a valid URL: {}. Give the whole address, with https://.", echo(value)))
            .with_code("url_invalid")
    }

    /// A path that was asked for in `expand` and leads to nothing that can be expanded.
    pub fn cannot_expand(path: &str, try_instead: Option<&str>) -> ApiError {
        let path = echo(path);
        let message = match try_instead {
            Some(other) => {
                format!("This property cannot be expanded ({path}). You may want to try expanding '{other}' instead.")
            }
            None => format!("This property cannot be expanded ({path})."),
        };
        ApiError::invalid("expand", message)
    }

    pub fn expand_too_deep(path: &str, levels_max: usize) -> ApiError {
        let message =
            format!("You cannot expand more than {levels_max} levels of a property. Property: {}", echo(path));
        ApiError::invalid("expand", message)
    }

    pub fn both_cursors() -> ApiError {
        ApiError::invalid(
            "ending_before",
            "Received both starting_after and ending_before parameters. Please pass in only one.",
        )
    }
}

/// Objects, keys and addresses.
impl ApiError {
    /// No such object. `resource` is the word in the sentence (`transfer`, `payment_intent`, `setupintent`).
    pub fn no_such(resource: &str, id: &str, param: impl Into<String>, place: Place) -> ApiError {
        let mut error =
            ApiError::invalid(param, format!("No such {resource}: '{}'", echo(id))).with_code("resource_missing");
        error.0.status = match place {
            Place::Path => 404,
            Place::Parameter => 400,
        };
        error
    }

    /// As [`ApiError::no_such`] for an id that exists, but for keys of the other mode.
    pub fn no_such_in_this_mode(
        resource: &str,
        id: &str,
        param: impl Into<String>,
        place: Place,
        key_is_live: bool,
    ) -> ApiError {
        let (there, here) = if key_is_live { ("test", "live") } else { ("live", "test") };
        let mut error = ApiError::no_such(resource, id, param, place);
        error.0.message = Cow::Owned(format!(
            "{}; a similar object exists in {there} mode, but a {here} mode key was used to make this request.",
            error.0.message
        ));
        error
    }

    pub fn no_api_key() -> ApiError {
        ApiError::unauthorized(
            "You did not provide an API key. Send your key in the Authorization header, either as a bearer token \
             (Authorization: Bearer YOUR_SECRET_KEY) or as the user name of basic authentication with an empty \
             password.",
        )
    }

    pub fn invalid_api_key(key: &str) -> ApiError {
        ApiError::unauthorized(format!("Invalid API Key provided: {}", masked_key(key)))
    }

    pub fn expired_api_key(key: &str) -> ApiError {
        ApiError::unauthorized(format!("Expired API Key provided: {}. Use a key that is in force.", masked_key(key)))
            .with_code("api_key_expired")
    }

    fn unauthorized(message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(401, ErrorType::InvalidRequestError, Fate::Refused, message)
    }

    /// A publishable key where a secret one is needed.
    pub fn secret_key_required() -> ApiError {
        ApiError::forbidden(
            "This call cannot be made with a publishable API key. Use a secret API key (sk_…), from your server only.",
        )
        .with_code("secret_key_required")
    }

    /// A restricted key without the permission that the endpoint asks for; `None`: restricted keys never have it.
    pub fn permission_missing(key: &str, account: &str, permission: Option<&str>) -> ApiError {
        let way = match permission {
            Some(permission) => format!("Having the '{permission}' permission would allow this request to continue."),
            None => "Only a secret key (sk_…) allows this request to continue.".to_owned(),
        };
        ApiError::forbidden(format!(
            "The provided key '{}' does not have the required permissions for this endpoint on account '{account}'. {way}",
            masked_key(key)
        ))
    }

    /// The account named in a header is not connected to the platform, or does not exist.
    pub fn account_invalid(key: &str, account: &str) -> ApiError {
        ApiError::forbidden(format!(
            "The provided key '{}' does not have access to account '{}' (or that account does not exist). Application \
             access may have been revoked.",
            masked_key(key),
            echo(account)
        ))
        .with_code("account_invalid")
    }

    fn forbidden(message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(403, ErrorType::InvalidRequestError, Fate::Refused, message)
    }

    /// No such address, or not with this method. `path` is without the query.
    pub fn unrecognized_url(method: &str, path: &str) -> ApiError {
        let hint = if path.len() > 1 && path.ends_with('/') {
            "To list objects, leave the slash at the end out; to read one, check that its id is not empty."
        } else {
            "Check the method and the path; every path starts with /v1/ or /florin/."
        };
        let message = format!("Unrecognized request URL ({}: {}). {hint}", echo(method), echo(path));
        ApiError::new(404, ErrorType::InvalidRequestError, Fate::Refused, message)
    }

    pub fn unsupported_content_type(content_type: &str) -> ApiError {
        ApiError::malformed(format!(
            "Unsupported content type: {}. Send parameters as application/x-www-form-urlencoded or application/json, \
             files as multipart/form-data.",
            echo(content_type)
        ))
    }

    pub fn body_too_large(bytes_max: usize) -> ApiError {
        let message = format!("The request body is too large; at most {bytes_max} bytes are accepted.");
        ApiError::new(413, ErrorType::InvalidRequestError, Fate::Refused, message)
    }
}

/// Idempotency.
impl ApiError {
    fn idempotency(message: String) -> ApiError {
        ApiError::new(400, ErrorType::IdempotencyError, Fate::Refused, message)
    }

    pub fn idempotency_key_invalid(chars: usize) -> ApiError {
        ApiError::idempotency(format!(
            "Idempotency keys must have 1 to 255 characters; yours has {chars}. A random UUID is a good key."
        ))
    }

    /// Same key, other parameters.
    pub fn idempotency_mismatch(key: &str) -> ApiError {
        ApiError::idempotency(format!(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. Try \
             using a key other than '{}' if you meant to execute a different request.",
            cut(key, 255)
        ))
    }

    /// Same key, other path.
    pub fn idempotency_other_endpoint(key: &str, path: &str, first_path: Option<&str>) -> ApiError {
        let first = match first_path {
            Some(first_path) => format!("'{}'", cut(first_path, ECHO_CHARS_MAX)),
            None => "another one".to_owned(),
        };
        ApiError::idempotency(format!(
            "Keys for idempotent requests can only be used for the same endpoint they were first used for ('{}' vs \
             {first}). Try using a key other than '{}' if you meant to execute a different request.",
            cut(path, ECHO_CHARS_MAX),
            cut(key, 255)
        ))
    }

    /// Same key, and the first request has not been answered yet. Libraries retry a 409 by themselves.
    pub fn idempotency_in_use(key: &str) -> ApiError {
        let message = format!(
            "There is currently another in-progress request using this Idempotent Key (that probably means you \
             submitted twice, and the other request is still going through): {}. Please try again later.",
            cut(key, 255)
        );
        ApiError::new(409, ErrorType::InvalidRequestError, Fate::Refused, message).with_code("idempotency_key_in_use")
    }
}

/// Load and failure.
impl ApiError {
    /// Too many requests in a moment. Without `Retry-After`, as on the wire: clients wait with growing pauses.
    pub fn rate_limit(reason: &'static str) -> ApiError {
        let mut error = ApiError::new(
            429,
            ErrorType::InvalidRequestError,
            Fate::Refused,
            "Request rate limit exceeded. Send requests more slowly and repeat refused ones with growing pauses.",
        )
        .with_code("rate_limit");
        error.0.rate_limited_reason = Some(reason);
        error
    }

    /// Another request holds the object.
    pub fn lock_timeout() -> ApiError {
        ApiError::new(
            429,
            ErrorType::InvalidRequestError,
            Fate::TryAgain,
            "This object cannot be accessed right now because another request is changing it. Nothing was done; send \
             the request again.",
        )
        .with_code("lock_timeout")
    }

    /// The daemon failed. Takes no text, so that nothing from inside can leak.
    pub fn internal() -> ApiError {
        ApiError::new(
            500,
            ErrorType::ApiError,
            Fate::Unknown,
            "An error occurred inside the server. Send the request again with the same Idempotency-Key; if it goes on, \
             look the Request-Id up in the server's log.",
        )
    }

    /// The daemon failed before it did anything. Names the request for the log, and nothing from inside.
    pub fn undecided(request_id: &str) -> ApiError {
        ApiError::new(
            500,
            ErrorType::ApiError,
            Fate::TryAgain,
            format!(
                "An error occurred inside the server while it decided this request ({request_id}). Nothing was changed: \
                 it is safe to send it again, under the same Idempotency-Key too. If it goes on, look {request_id} up \
                 in the server's log."
            ),
        )
    }

    /// The daemon is full or stopping; nothing was done.
    pub fn overloaded(retry_after_s: u32) -> ApiError {
        let mut error = ApiError::new(
            503,
            ErrorType::ApiError,
            Fate::TryAgain,
            "The server is too busy to take this request. Nothing was done; send it again in a moment.",
        );
        error.0.retry_after_s = Some(retry_after_s);
        error
    }
}

/// A caller's text as it may be repeated in an error: short, printable, and without card numbers. Errors end up in
/// logs on both sides, and a card number in the wrong parameter is a common slip.
pub(crate) fn echo(text: &str) -> String {
    echo_up_to(text, ECHO_CHARS_MAX)
}

fn echo_up_to(text: &str, chars_max: usize) -> String {
    // Masked before it is cut, so that no card number is cut down to something that does not look like one.
    cut(&without_card_numbers(cut(text, chars_max + ECHO_CHARS_MAX)), chars_max)
}

/// Short and printable only, for texts that are not secret whatever digits they have.
fn cut(text: &str, chars_max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(chars_max));
    let mut chars = text.chars();
    for c in chars.by_ref().take(chars_max) {
        shown.push(if c.is_control() { ' ' } else { c });
    }
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Masks every run of 13 digits or more, counting across single blanks and dashes, but for its last four. A run that
/// continues a word (`cus_0000000000001`) is part of a name and stays.
fn without_card_numbers(text: String) -> String {
    if text.bytes().filter(u8::is_ascii_digit).count() < CARD_DIGITS_MIN {
        return text;
    }
    let mut bytes = text.into_bytes();
    let mut position = 0;
    while position < bytes.len() {
        if !bytes[position].is_ascii_alphanumeric() && bytes[position] != b'_' {
            position += 1;
            continue;
        }
        let mut digits: Vec<usize> = Vec::new();
        while position < bytes.len() {
            let next_is_digit = bytes.get(position + 1).is_some_and(u8::is_ascii_digit);
            match bytes[position] {
                byte if byte.is_ascii_digit() => digits.push(position),
                b' ' | b'-' if next_is_digit && !digits.is_empty() => {}
                _ => break,
            }
            position += 1;
        }
        if digits.len() >= CARD_DIGITS_MIN {
            for &digit in &digits[..digits.len() - 4] {
                bytes[digit] = b'*';
            }
        }
        while position < bytes.len() && (bytes[position].is_ascii_alphanumeric() || bytes[position] == b'_') {
            position += 1;
        }
    }
    // Only ASCII bytes were exchanged for ASCII bytes.
    String::from_utf8(bytes).unwrap_or_default()
}

/// A key with its middle masked: enough to recognise it by, not enough to use it.
pub fn masked_key(key: &str) -> String {
    let is_plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_plain || key.len() > 255 {
        return "****".to_owned();
    }
    let prefix_len = ["sk_test_", "sk_live_", "pk_test_", "pk_live_", "rk_test_", "rk_live_"]
        .into_iter()
        .find(|prefix| key.starts_with(prefix))
        .map_or(0, str::len);
    // Four shown characters must leave at least as many hidden ones.
    let (prefix, secret) = key.split_at(prefix_len);
    let tail = if secret.len() >= 8 { &secret[secret.len() - 4..] } else { "" };
    format!("{prefix}****{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every refusal as a caller sees it: reviewing the wording is reading this table.
    #[test]
    fn gallery() {
        let invalid = "invalid_request_error";
        let gallery = [
            (
                ApiError::unknown_parameter("transfer_data[foo]", None),
                400,
                invalid,
                "parameter_unknown",
                "transfer_data[foo]",
                "Received unknown parameter: transfer_data[foo]",
            ),
            (
                ApiError::unknown_parameter("custmer", Some("customer")),
                400,
                invalid,
                "parameter_unknown",
                "custmer",
                "Received unknown parameter: custmer. Did you mean customer?",
            ),
            (
                ApiError::missing("currency"),
                400,
                invalid,
                "parameter_missing",
                "currency",
                "Missing required param: currency.",
            ),
            (
                ApiError::invalid_empty("name"),
                400,
                invalid,
                "parameter_invalid_empty",
                "name",
                "You passed an empty string for 'name'. An empty value is taken as a wish to unset a parameter, and 'name' cannot be unset. Leave 'name' out of the request or give it a value.",
            ),
            (
                ApiError::invalid_blank("name"),
                400,
                invalid,
                "parameter_invalid_string_blank",
                "name",
                "'name' must not be blank. Leave 'name' out of the request or give it a value.",
            ),
            (
                ApiError::invalid_integer("amount", "10.5"),
                400,
                invalid,
                "parameter_invalid_integer",
                "amount",
                "Invalid integer: 10.5",
            ),
            (
                ApiError::integer_below("amount", 1),
                400,
                invalid,
                "parameter_invalid_integer",
                "amount",
                "This value must be greater than or equal to 1.",
            ),
            (
                ApiError::integer_above("limit", 100),
                400,
                invalid,
                "parameter_invalid_integer",
                "limit",
                "This value must be less than or equal to 100.",
            ),
            (ApiError::invalid_boolean("confirm", "x"), 400, invalid, "", "confirm", "Invalid boolean: x"),
            (
                ApiError::invalid_string("name", "{\"0\":\"a\"}"),
                400,
                invalid,
                "",
                "name",
                "Invalid string: {\"0\":\"a\"}",
            ),
            (
                ApiError::text_too_long("statement_descriptor", "A DESCRIPTOR THAT IS TOO LONG", 22),
                400,
                invalid,
                "",
                "statement_descriptor",
                "Invalid string: A DESCRIPTOR THAT IS…; must be at most 22 characters",
            ),
            (ApiError::invalid_object("transfer_data"), 400, invalid, "", "transfer_data", "Invalid object"),
            (ApiError::invalid_array("expand"), 400, invalid, "", "expand", "Invalid array"),
            (
                ApiError::invalid_enum("capture_method", ["automatic", "automatic_async", "manual"]),
                400,
                invalid,
                "",
                "capture_method",
                "Invalid capture_method: must be one of automatic, automatic_async, or manual",
            ),
            (
                ApiError::invalid_enum("allow_redirects", ["always", "never"]),
                400,
                invalid,
                "",
                "allow_redirects",
                "Invalid allow_redirects: must be one of always or never",
            ),
            (
                ApiError::invalid_enum("usage", ["off_session"]),
                400,
                invalid,
                "",
                "usage",
                "Invalid usage: must be off_session",
            ),
            (
                ApiError::parameters_exclusive(&["application_fee_amount", "transfer_data[amount]"]),
                400,
                invalid,
                "parameters_exclusive",
                "application_fee_amount",
                "You may only specify one of these parameters: application_fee_amount, transfer_data[amount].",
            ),
            (
                ApiError::invalid_email("email", "me@"),
                400,
                invalid,
                "email_invalid",
                "email",
                "Invalid email address: me@",
            ),
            (
                ApiError::invalid_url("url", "example"),
                400,
                invalid,
                "url_invalid",
                "url",
                "Not a valid URL: example. Give the whole address, with https://.",
            ),
            (
                ApiError::cannot_expand("foo", None),
                400,
                invalid,
                "",
                "expand",
                "This property cannot be expanded (foo).",
            ),
            (
                ApiError::cannot_expand("customer", Some("data.customer")),
                400,
                invalid,
                "",
                "expand",
                "This property cannot be expanded (customer). You may want to try expanding 'data.customer' instead.",
            ),
            (
                ApiError::expand_too_deep("a.b.c.d.e", 4),
                400,
                invalid,
                "",
                "expand",
                "You cannot expand more than 4 levels of a property. Property: a.b.c.d.e",
            ),
            (
                ApiError::both_cursors(),
                400,
                invalid,
                "",
                "ending_before",
                "Received both starting_after and ending_before parameters. Please pass in only one.",
            ),
            (
                ApiError::no_such("transfer", "tr_x", "transfer", Place::Path),
                404,
                invalid,
                "resource_missing",
                "transfer",
                "No such transfer: 'tr_x'",
            ),
            (
                ApiError::no_such("destination", "acct_x", "transfer_data[destination]", Place::Parameter),
                400,
                invalid,
                "resource_missing",
                "transfer_data[destination]",
                "No such destination: 'acct_x'",
            ),
            (
                ApiError::no_such_in_this_mode("customer", "cus_x", "id", Place::Path, true),
                404,
                invalid,
                "resource_missing",
                "id",
                "No such customer: 'cus_x'; a similar object exists in test mode, but a live mode key was used to make this request.",
            ),
            (
                ApiError::no_api_key(),
                401,
                invalid,
                "",
                "",
                "You did not provide an API key. Send your key in the Authorization header, either as a bearer token (Authorization: Bearer YOUR_SECRET_KEY) or as the user name of basic authentication with an empty password.",
            ),
            (
                ApiError::invalid_api_key("sk_test_0123456789abcd"),
                401,
                invalid,
                "",
                "",
                "Invalid API Key provided: sk_test_****abcd",
            ),
            (
                ApiError::expired_api_key("sk_test_0123456789abcd"),
                401,
                invalid,
                "api_key_expired",
                "",
                "Expired API Key provided: sk_test_****abcd. Use a key that is in force.",
            ),
            (
                ApiError::secret_key_required(),
                403,
                invalid,
                "secret_key_required",
                "",
                "This call cannot be made with a publishable API key. Use a secret API key (sk_…), from your server only.",
            ),
            (
                ApiError::permission_missing("rk_test_0123456789abcd", "acct_1", Some("rak_charge_write")),
                403,
                invalid,
                "",
                "",
                "The provided key 'rk_test_****abcd' does not have the required permissions for this endpoint on account 'acct_1'. Having the 'rak_charge_write' permission would allow this request to continue.",
            ),
            (
                ApiError::account_invalid("sk_test_0123456789abcd", "acct_x"),
                403,
                invalid,
                "account_invalid",
                "",
                "The provided key 'sk_test_****abcd' does not have access to account 'acct_x' (or that account does not exist). Application access may have been revoked.",
            ),
            (
                ApiError::unrecognized_url("GET", "/v1/nope"),
                404,
                invalid,
                "",
                "",
                "Unrecognized request URL (GET: /v1/nope). Check the method and the path; every path starts with /v1/ or /florin/.",
            ),
            (
                ApiError::unrecognized_url("GET", "/v1/charges/"),
                404,
                invalid,
                "",
                "",
                "Unrecognized request URL (GET: /v1/charges/). To list objects, leave the slash at the end out; to read one, check that its id is not empty.",
            ),
            (
                ApiError::unsupported_content_type("text/xml"),
                400,
                invalid,
                "",
                "",
                "Unsupported content type: text/xml. Send parameters as application/x-www-form-urlencoded or application/json, files as multipart/form-data.",
            ),
            (
                ApiError::body_too_large(1_048_576),
                413,
                invalid,
                "",
                "",
                "The request body is too large; at most 1048576 bytes are accepted.",
            ),
            (
                ApiError::idempotency_key_invalid(300),
                400,
                "idempotency_error",
                "",
                "",
                "Idempotency keys must have 1 to 255 characters; yours has 300. A random UUID is a good key.",
            ),
            (
                ApiError::idempotency_mismatch("2026-11-24-0000001"),
                400,
                "idempotency_error",
                "",
                "",
                "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '2026-11-24-0000001' if you meant to execute a different request.",
            ),
            (
                ApiError::idempotency_other_endpoint("k", "/v1/refunds", Some("/v1/charges")),
                400,
                "idempotency_error",
                "",
                "",
                "Keys for idempotent requests can only be used for the same endpoint they were first used for ('/v1/refunds' vs '/v1/charges'). Try using a key other than 'k' if you meant to execute a different request.",
            ),
            (
                ApiError::idempotency_in_use("k"),
                409,
                invalid,
                "idempotency_key_in_use",
                "",
                "There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): k. Please try again later.",
            ),
            (
                ApiError::rate_limit("global-rate"),
                429,
                invalid,
                "rate_limit",
                "",
                "Request rate limit exceeded. Send requests more slowly and repeat refused ones with growing pauses.",
            ),
            (
                ApiError::lock_timeout(),
                429,
                invalid,
                "lock_timeout",
                "",
                "This object cannot be accessed right now because another request is changing it. Nothing was done; send the request again.",
            ),
            (
                ApiError::internal(),
                500,
                "api_error",
                "",
                "",
                "An error occurred inside the server. Send the request again with the same Idempotency-Key; if it goes on, look the Request-Id up in the server's log.",
            ),
            (
                ApiError::overloaded(1),
                503,
                "api_error",
                "",
                "",
                "The server is too busy to take this request. Nothing was done; send it again in a moment.",
            ),
        ];
        for (error, status, kind, code, param, message) in gallery {
            let mut expected = serde_json::json!({ "message": message, "type": kind });
            if !code.is_empty() {
                expected["code"] = code.into();
                expected["doc_url"] = format!("docs/errors.md#{code}").into();
            }
            if !param.is_empty() {
                expected["param"] = param.into();
            }
            let json: Value = serde_json::from_str(&error.to_json()).unwrap();
            assert_eq!(json, serde_json::json!({ "error": expected }));
            assert_eq!(error.status, status, "{message}");
            assert!(!error.is_stored(), "{message}");
            assert_eq!(error.www_authenticate().is_some(), status == 401, "{message}");
        }
    }

    #[test]
    fn a_decline_is_written_whole_and_in_order() {
        let error = ApiError::card("card_declined", "Your card was declined.")
            .with_decline_code("insufficient_funds")
            .with_advice(Some("try_again_later".into()), Some("51".into()), Some("02".into()))
            .with_charge("ch_1")
            .with_payment_intent(serde_json::json!({ "id": "pi_1", "object": "payment_intent" }))
            .with_payment_method(serde_json::json!({ "id": "pm_1" }))
            .with_payment_method_type("card");
        assert_eq!(
            error.to_json(),
            "{\"error\":{\"advice_code\":\"try_again_later\",\"charge\":\"ch_1\",\"code\":\"card_declined\",\
             \"decline_code\":\"insufficient_funds\",\"doc_url\":\"docs/errors.md#card_declined\",\
             \"message\":\"Your card was declined.\",\"network_advice_code\":\"02\",\"network_decline_code\":\"51\",\
             \"payment_intent\":{\"id\":\"pi_1\",\"object\":\"payment_intent\"},\"payment_method\":{\"id\":\"pm_1\"},\
             \"payment_method_type\":\"card\",\"type\":\"card_error\"}}"
        );
        assert_eq!((error.status, error.is_stored(), error.should_retry()), (402, true, Some(false)));
    }

    #[test]
    fn the_retry_header_follows_from_how_far_the_request_came() {
        assert_eq!(ApiError::rejected("charge_already_refunded", "x").should_retry(), Some(false));
        assert_eq!(ApiError::lock_timeout().should_retry(), Some(true));
        assert_eq!(ApiError::overloaded(2).should_retry(), Some(true));
        assert_eq!(ApiError::overloaded(2).retry_after_s, Some(2));
        assert_eq!(ApiError::missing("currency").should_retry(), None);
        assert_eq!(ApiError::internal().should_retry(), None);
        assert_eq!(ApiError::rate_limit("global-rate").rate_limited_reason, Some("global-rate"));
        assert_eq!(ApiError::lock_timeout().rate_limited_reason, None);
    }

    #[test]
    fn a_key_is_never_shown_whole() {
        for (key, shown) in [
            ("sk_test_0123456789abcd", "sk_test_****abcd"),
            ("rk_live_01234567", "rk_live_****4567"),
            ("sk_test_short", "sk_test_****"),
            ("sk_test_", "sk_test_****"),
            ("password1", "****ord1"),
            ("hunter2", "****"),
            ("", "****"),
            ("sk_test_ä0123456789", "****"),
            ("a b\r\nX-Header: 1", "****"),
        ] {
            assert_eq!(masked_key(key), shown);
        }
        assert_eq!(masked_key(&"k".repeat(300)), "****");
    }

    #[test]
    fn echoes_are_short_printable_and_without_card_numbers() {
        for (text, shown) in [
            ("10.5", "10.5"),
            ("a\r\nb\0", "a  b "),
            ("4242424242424242", "************4242"),
            (
                "{\"number\":\"4242 4242-4242 4242\",\"cvc\":\"123\"}",
                "{\"number\":\"**** ****-**** 4242\",\"cvc\":\"123\"}",
            ),
            ("my card: 378282246310005", "my card: ***********0005"),
            ("cus_0000000000000001", "cus_0000000000000001"),
            ("999999999999", "999999999999"),
            ("é4242424242424242é", "é************4242é"),
            ("-4242424242424242", "-************4242"),
            ("4242424242424242-", "************4242-"),
        ] {
            assert_eq!(echo(text), shown);
        }
        assert_eq!(echo(&"é".repeat(500)), format!("{}…", "é".repeat(120)));
        assert_eq!(
            echo(&format!("{}4242424242424242", " ".repeat(110))),
            format!("{}{}…", " ".repeat(110), "*".repeat(10))
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_an_echo_long_or_shows_a_card_number(text in "([0-9 -]|[a-zé_\\n]|\\PC){0,300}", card in "[0-9]{13,19}") {
            let shown = echo(&format!("{text}: {card}"));
            proptest::prop_assert!(shown.chars().count() <= ECHO_CHARS_MAX + 1 && !shown.contains(&card));
            masked_key(&text);
        }
    }
}
