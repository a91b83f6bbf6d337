//! The problems that an operation can answer with, by what it extracts of a request.

use std::borrow::Cow;

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::{Access, Described};
use crate::answer::{Code, code};
use crate::request::schema::From;

/// Those of every operation.
const ALWAYS: &[&Code] = &[&code::INTERNAL, &code::MISCONFIGURED];
/// Those of an operation that reads fields, from wherever.
const OF_FIELDS: &[&Code] = &[&code::VALIDATION_FAILED];
/// Those of one that reads a body.
const OF_BODIES: &[&Code] = &[
    &code::INVALID_JSON,
    &code::BODY_INTERRUPTED,
    &code::REQUEST_TIMEOUT,
    &code::BODY_TOO_LARGE,
    &code::UNSUPPORTED_MEDIA_TYPE,
];
/// Those of one that verifies its caller.
const OF_CALLERS: &[&Code] = &[
    &code::MISSING_TOKEN,
    &code::TOKEN_TOO_LARGE,
    &code::API_KEY_AS_TOKEN,
    &code::MALFORMED_TOKEN,
    &code::UNSUPPORTED_ALGORITHM,
    &code::UNKNOWN_KEY,
    &code::BAD_SIGNATURE,
    &code::TOKEN_EXPIRED,
    &code::TOKEN_NOT_YET_VALID,
    &code::WRONG_ISSUER,
    &code::WRONG_AUDIENCE,
    &code::INVALID_CLAIMS,
    &code::ROLE_NOT_ALLOWED,
    &code::KEYS_UNAVAILABLE,
];
/// Those of one that takes writes of visitors.
const OF_VISITORS: &[&Code] = &[&code::ORIGIN_NOT_ALLOWED];
/// Those of one that calls the database.
const OF_DATABASE: &[&Code] = &[
    &code::TOKEN_REJECTED,
    &code::FORBIDDEN,
    &code::VALIDATION_FAILED,
    &code::RATE_LIMITED,
    &code::UPSTREAM_ERROR,
    &code::CLOCK_SKEW,
    &code::UPSTREAM_UNAVAILABLE,
    &code::UPSTREAM_TIMEOUT,
];
/// Those of one that writes.
const OF_WRITES: &[&Code] = &[&code::CONFLICT];
/// Those of one whose path has a word out of a list.
const OF_PATHS: &[&Code] = &[&code::NOT_FOUND];
/// Those of requests that are of no operation.
#[cfg(test)]
const OF_NONE: &[&Code] = &[&code::METHOD_NOT_ALLOWED];

/// The codes of faulty fields. A test holds them to the sources and to `docs/errors.md`.
pub const FIELD_CODES: &[&str] = &[
    "blank",
    "duplicate_field",
    "idempotency_key_mismatch",
    "if_match_mismatch",
    "invalid_cursor",
    "invalid_date_time",
    "invalid_etag",
    "invalid_name",
    "invalid_string",
    "invalid_uuid",
    "not_allowed",
    "not_storable",
    "nul_character",
    "out_of_range",
    "required",
    "too_deep",
    "too_large",
    "too_long",
    "too_many",
    "unknown_field",
    "wrong_type",
];

/// What is wrong with a field, as responses show it. The document adds the codes of its function.
pub struct FieldError(());

impl JsonSchema for FieldError {
    fn schema_name() -> Cow<'static, str> {
        "FieldError".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "pointer": {
                    "type": "string",
                    "description": "JSON Pointer (RFC 6901) into the body; that of a query parameter is its name.",
                },
                "code": {
                    "type": "string", "enum": FIELD_CODES, "description": "Stable name of the rule that is broken.",
                },
                "detail": { "type": "string", "description": "The rule in words." },
            },
            "required": ["pointer", "code", "detail"],
        })
    }
}

/// The codes that come of what an operation extracts.
pub(super) fn codes(method: &Method, described: &Described) -> Vec<&'static Code> {
    let reads = described.reads.as_deref().unwrap_or_default();
    let is_word = |from: From, schema: &Value| from == From::Path && schema.get("enum").is_some();
    let groups = [
        (true, ALWAYS),
        (described.reads.is_some(), OF_FIELDS),
        (!described.bodies.is_empty(), OF_BODIES),
        (described.caller.is_some(), OF_CALLERS),
        (described.caller == Some(Access::Anonymous) && *method != Method::GET, OF_VISITORS),
        (described.calls_database, OF_DATABASE),
        (described.calls_database && *method != Method::GET, OF_WRITES),
        (reads.iter().any(|field| is_word(field.from, &field.schema)), OF_PATHS),
    ];
    let mut codes: Vec<_> =
        groups.into_iter().filter(|(is_on, _)| *is_on).flat_map(|(_, codes)| codes).copied().collect();
    codes.sort_by_key(|code| (code.status, code.name));
    codes.dedup();
    codes
}

/// The response of a status, with the codes it may have.
pub(super) fn response(status: u16, codes: &[&Code]) -> Value {
    let lines: Vec<_> = codes.iter().map(|code| format!("- `{}`: {}", code.name, code.title)).collect();
    let names: Vec<_> = codes.iter().map(|code| code.name).collect();
    let mut headers = common_headers();
    let mut add = |name: &str, component: &str| headers.insert(name.to_owned(), header(component));
    if matches!(status, 429 | 503) {
        add("Retry-After", "RetryAfter");
    }
    if status == 401 || codes.contains(&&code::ROLE_NOT_ALLOWED) {
        add("WWW-Authenticate", "Challenge");
    }
    json!({
        "description": lines.join("\n"),
        "headers": headers,
        "content": { "application/problem+json": { "schema": { "allOf": [
            { "$ref": "#/components/schemas/Problem" },
            { "type": "object", "properties": { "code": { "type": "string", "enum": names } }, "required": ["code"] },
        ] } } },
    })
}

/// The headers of every response.
pub(super) fn common_headers() -> Map<String, Value> {
    [("X-Request-Id", "RequestId"), ("Server-Timing", "ServerTiming")]
        .map(|(name, component)| (name.to_owned(), header(component)))
        .into_iter()
        .collect()
}

fn header(component: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{component}") })
}

/// The headers that responses refer to.
pub(super) fn headers() -> Value {
    let header = |description: &str, schema: Value| json!({ "description": description, "schema": schema });
    let text = json!({ "type": "string" });
    json!({
        "RequestId": header("The request's `X-Request-Id`, or a new one. It is in every line of the log.", text.clone()),
        "ServerTiming": header("`auth;dur=…, db;dur=…, total;dur=…`, in milliseconds.", text.clone()),
        "RetryAfter": header("Seconds after which the same request may succeed.", json!({ "type": "integer" })),
        "Challenge": header("How a caller proves who they are (RFC 6750).", text),
    })
}

/// The schema of a problem with these members beside the usual ones.
pub(super) fn schema(members: Map<String, Value>) -> Value {
    let mut schema = json!({
        "type": "object",
        "description": "A problem (RFC 9457). docs/errors.md lists every code with cause and cure.",
        "properties": {
            "type": { "type": "string", "format": "uri-reference", "description": "Ends in the code." },
            "title": { "type": "string", "description": "The same every time." },
            "status": { "type": "integer", "description": "The HTTP status." },
            "detail": { "type": "string", "description": "What happened this time, for a developer." },
            "code": { "type": "string", "description": "Stable. Branch on it." },
            "request_id": { "type": "string", "description": "As in `X-Request-Id`." },
            "retry_after": { "type": "integer", "description": "As in `Retry-After`, in seconds." },
            "errors": {
                "type": "array",
                "description": "The faulty fields: at most 100.",
                "items": { "$ref": "#/components/schemas/FieldError" },
            },
            "errors_omitted": { "type": "integer", "description": "How many more faulty fields there are." },
        },
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "examples": [{
            "type": "/docs/errors.md#validation_failed",
            "title": code::VALIDATION_FAILED.title,
            "status": code::VALIDATION_FAILED.status,
            "detail": "Some fields are not valid; errors lists them all.",
            "code": code::VALIDATION_FAILED.name,
            "request_id": "01a0c5ee-6f0c-7a51-8b9d-3c2f5e9a7b14",
            "errors": [{ "pointer": "/session_id", "code": "required", "detail": "is required" }],
        }],
    });
    if let Some(properties) = schema.pointer_mut("/properties").and_then(Value::as_object_mut) {
        properties.extend(members);
    }
    schema
}

/// How callers say who they are.
pub(super) fn security_schemes() -> Value {
    json!({
        "user": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "The access token of a signed-in user; an anonymous one will do.",
        },
        "apikey": {
            "type": "apiKey", "in": "header", "name": "apikey",
            "description": "The publishable key, for Supabase's gateway. A Worker does not ask for it.",
        },
    })
}

/// The security requirement of an operation.
pub(super) fn security(caller: Option<Access>) -> Value {
    match caller {
        Some(Access::User) => json!([{ "user": [], "apikey": [] }]),
        Some(Access::Anonymous | Access::Public) => json!([{ "user": [], "apikey": [] }, {}]),
        None => json!([{}]),
    }
}

#[cfg(test)]
mod tests {
    use super::{ALWAYS, OF_BODIES, OF_CALLERS, OF_DATABASE, OF_FIELDS, OF_NONE, OF_PATHS, OF_VISITORS, OF_WRITES};
    use crate::answer::code;

    #[test]
    fn every_code_comes_of_something() {
        let groups =
            [ALWAYS, OF_BODIES, OF_CALLERS, OF_DATABASE, OF_FIELDS, OF_NONE, OF_PATHS, OF_VISITORS, OF_WRITES].concat();
        let missing: Vec<_> = code::ALL.iter().filter(|code| !groups.contains(code)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
