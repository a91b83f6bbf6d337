//! `GET /health`, which every function has.

use std::borrow::Cow;

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::{Answer, Described, Operation};
use crate::edge::health::{Ask, PATH};
use crate::edge::route::Function;
use crate::request::FromRequest;

/// Whether a function is up. Functions add members of their own to its schema.
pub(super) struct Health;

impl JsonSchema for Health {
    fn schema_name() -> Cow<'static, str> {
        "Health".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "status": { "type": "string", "enum": ["ok", "degraded"] },
                "function": { "type": "string" },
                "version": { "type": "string" },
                "database": { "type": "string", "enum": ["connected", "disconnected"] },
                "latency_ms": { "type": "integer", "description": "How long the database took, retries and all." },
                "breaker": { "type": "string", "enum": ["closed", "open", "half_open"] },
                "retries": { "type": "integer" },
                "checked_at": { "type": "string", "format": "date-time" },
            },
            "required": ["status", "function", "version"],
        })
    }
}

/// Its route.
pub(super) fn path() -> String {
    format!("/{PATH}")
}

/// What it reads.
pub(super) fn described() -> Described {
    Described { reads: Some(<Ask as FromRequest<()>>::fields()), ..Described::default() }
}

/// Its declaration.
pub(super) fn declared<S>(function: &Function<S>) -> ((String, String), Operation) {
    let example = |status: &str, probe: Value| {
        let mut example = Map::new();
        example.insert("status".to_owned(), json!(status));
        example.insert("function".to_owned(), json!(function.name));
        example.insert("version".to_owned(), json!(function.version));
        example.extend(function.health.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        example.extend(probe.as_object().cloned().unwrap_or_default());
        Value::Object(example)
    };
    let probe = json!({
        "database": "disconnected", "latency_ms": 2000, "breaker": "open", "retries": 3,
        "checked_at": "2026-11-21T12:02:51.508Z",
    });
    let operation = Operation::new("health", "Whether the function is up")
        .description(
            "Without `deep` it asks nobody. With `deep=1` it asks the database, and the response also has `database`, \
             `latency_ms`, `breaker`, `retries` and `checked_at`. The result is cached for 10 s.",
        )
        .answer(Answer::json::<Health>(200, "The function is up.", example("ok", json!({}))))
        .answer(Answer::json::<Health>(503, "The database cannot be reached.", example("degraded", probe)));
    ((Method::GET.to_string(), path()), operation)
}
