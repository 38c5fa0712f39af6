//! `GET /florin/openapi.json`: what this daemon answers, said by the daemon.
//!
//! Paths and methods are the routes themselves, parameters are what the operations asked for in a dry run
//! ([`super::dry`]), and objects follow from the collections of a path. The objects' fields are those of the compatible
//! API and are not repeated here.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::ApiState;
use super::dry::{self, ANY, Kind, Parameter, Parameters};
use super::error::ApiError;
use super::operations::{Answers, Operation};
use super::permissions;
use super::request::Access;
use super::version::API_VERSION;
use axum::http::Method;

/// The document.
///
/// # Errors
/// A daemon without a platform.
pub async fn document(state: &Arc<ApiState>, operations: &[Operation]) -> Result<Vec<u8>, ApiError> {
    let tenant = state.keys.tenants().first().cloned().ok_or_else(ApiError::internal)?;
    let mut paths: Map<String, Value> = Map::new();
    let mut objects: BTreeMap<&str, ()> = BTreeMap::new();
    for operation in operations {
        let parameters = dry::parameters(state, &tenant, operation).await;
        let path = paths.entry(operation.path.to_owned()).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.method.as_str().to_lowercase(), described(operation, &parameters));
        }
        let (Answers::One(of) | Answers::List(of) | Answers::Search(of) | Answers::Stub(of)) = operation.answers()
        else {
            continue;
        };
        objects.extend(of.iter().map(|object| (*object, ())));
    }
    let mut schemas: Map<String, Value> =
        objects.into_keys().map(|object| (object.to_owned(), schema_of(object))).collect();
    schemas.insert("error".to_owned(), error_schema());
    let document = json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Florin",
            "version": env!("CARGO_PKG_VERSION"),
            "description": format!("What this daemon answers, in the shapes of API version {API_VERSION}."),
        },
        "security": [{"bearer": []}, {"basic": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
    });
    serde_json::to_vec(&document).map_err(|_| ApiError::internal())
}

fn described(operation: &Operation, parameters: &Parameters) -> Value {
    let mut described = Map::new();
    described.insert("operationId".to_owned(), Value::from(operation.name.replace("::", "_")));
    let mut places: Vec<Value> = operation
        .path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    let tree = Node::of(parameters);
    if operation.method == Method::POST {
        let body = json!({"content": {"application/x-www-form-urlencoded": {"schema": tree.schema()}}});
        described.insert("requestBody".to_owned(), body);
    } else {
        for (name, node) in &tree.inside {
            let schema = node.schema();
            let mut place = json!({"name": name, "in": "query", "required": node.required(), "schema": schema});
            if !node.inside.is_empty()
                && let Some(place) = place.as_object_mut()
            {
                place.insert("style".to_owned(), Value::from("deepObject"));
                place.insert("explode".to_owned(), Value::from(true));
            }
            places.push(place);
        }
    }
    if !places.is_empty() {
        described.insert("parameters".to_owned(), Value::Array(places));
    }
    let mut responses = Map::new();
    let (content_type, answer) = answer_schema(operation);
    responses.insert("200".to_owned(), json!({"description": "Done.", "content": {content_type: {"schema": answer}}}));
    if operation.access.is_some() {
        let error = json!({"application/json": {"schema": {"$ref": "#/components/schemas/error"}}});
        responses.insert("default".to_owned(), json!({"description": "Refused.", "content": error}));
    }
    described.insert("responses".to_owned(), Value::Object(responses));
    match operation.access {
        None => {
            described.insert("security".to_owned(), json!([]));
        }
        Some(access) => {
            if let Some(needed) = operation.permission() {
                described.insert("x-permission".to_owned(), Value::from(permissions::name(needed)));
            }
            described.insert("x-publishable".to_owned(), Value::from(access == Access::Publishable));
        }
    }
    Value::Object(described)
}

fn answer_schema(operation: &Operation) -> (&'static str, Value) {
    let one = |objects: &[&str]| match objects {
        [only] => reference(only),
        several => json!({"anyOf": several.iter().map(|object| reference(object)).collect::<Vec<_>>()}),
    };
    let page = |kind: &str, objects: &[&str]| {
        json!({
            "type": "object",
            "required": ["object", "data", "has_more", "url"],
            "properties": {
                "object": {"type": "string", "enum": [kind]},
                "data": {"type": "array", "items": one(objects)},
                "has_more": {"type": "boolean"},
                "url": {"type": "string"},
            },
        })
    };
    let schema = match operation.answers() {
        Answers::One(objects) => one(objects),
        Answers::List(objects) => page("list", objects),
        Answers::Search(objects) => page("search_result", objects),
        Answers::Stub(objects) => json!({
            "type": "object",
            "required": ["id", "object", "deleted"],
            "properties": {
                "id": {"type": "string"},
                "object": {"type": "string", "enum": objects},
                "deleted": {"type": "boolean", "enum": [true]},
            },
        }),
        Answers::Page if operation.path == "/metrics" => return ("text/plain", json!({"type": "string"})),
        Answers::Page => json!({"type": "object"}),
    };
    ("application/json", schema)
}

fn reference(object: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{object}")})
}

fn schema_of(object: &str) -> Value {
    json!({
        "type": "object",
        "required": ["object"],
        "properties": {"id": {"type": "string"}, "object": {"type": "string", "enum": [object]}},
    })
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["type", "message"],
                "properties": {
                    "type": {
                        "type": "string",
                        "enum": ["api_error", "card_error", "idempotency_error", "invalid_request_error"],
                    },
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                    "param": {"type": "string"},
                    "doc_url": {"type": "string"},
                },
            },
        },
    })
}

/// Parameters as the tree that their names spell.
#[derive(Default)]
struct Node {
    parameter: Parameter,
    inside: BTreeMap<String, Node>,
}

impl Node {
    fn of(parameters: &Parameters) -> Node {
        let mut root = Node::default();
        for (name, parameter) in parameters {
            let mut node = &mut root;
            for step in name.split('[').map(|step| step.trim_end_matches(']')) {
                node = node.inside.entry(step.to_owned()).or_default();
            }
            node.parameter = parameter.clone();
        }
        root
    }

    fn required(&self) -> bool {
        self.parameter.required
    }

    /// Its names, where it is a hash.
    fn names(&self) -> Value {
        let properties: Map<String, Value> = self
            .inside
            .iter()
            .filter(|(name, _)| *name != ANY)
            .map(|(name, node)| (name.clone(), node.schema()))
            .collect();
        let required: Vec<&String> =
            self.inside.iter().filter(|(name, node)| *name != ANY && node.required()).map(|(name, _)| name).collect();
        let mut schema = json!({"type": "object", "properties": properties});
        if let Some(schema) = schema.as_object_mut() {
            if !required.is_empty() {
                schema.insert("required".to_owned(), json!(required));
            }
            if let Some(others) = self.inside.get(ANY) {
                schema.insert("additionalProperties".to_owned(), others.schema());
            }
        }
        schema
    }

    fn schema(&self) -> Value {
        if self.parameter.kinds.is_empty() {
            // The outermost, or a hash that is known by its names only.
            return self.names();
        }
        let mut forms: Vec<Value> = Vec::new();
        for kind in &self.parameter.kinds {
            let form = match kind {
                Kind::Text => json!({"type": "string"}),
                Kind::Integer => json!({"type": "integer"}),
                Kind::Boolean => json!({"type": "boolean"}),
                Kind::Choice => json!({"type": "string", "enum": self.parameter.choices}),
                // Read both ways, it is the map that has names of its own.
                Kind::Hash if self.parameter.kinds.contains(&Kind::Map) => continue,
                Kind::Hash | Kind::Map => self.names(),
                Kind::Metadata => json!({"type": "object", "additionalProperties": {"type": "string"}}),
                Kind::Texts if self.parameter.choices.is_empty() => {
                    json!({"type": "array", "items": {"type": "string"}})
                }
                Kind::Texts => json!({"type": "array", "items": {"type": "string", "enum": self.parameter.choices}}),
                Kind::Hashes => {
                    let items = self.inside.get(ANY).map_or_else(|| json!({"type": "object"}), Node::names);
                    json!({"type": "array", "items": items})
                }
                Kind::Any => json!({}),
            };
            forms.push(form);
        }
        match forms.len() {
            1 => forms.pop().unwrap_or_default(),
            _ => json!({"anyOf": forms}),
        }
    }
}
