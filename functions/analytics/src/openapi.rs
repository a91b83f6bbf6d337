//! What the OpenAPI document says of this function beyond its types and routes. Not in the wasm.
#![expect(dead_code, reason = "these types only describe responses, which the database writes")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use shared::edge::openapi::{Answer, Api, FieldError, Operation, Wire};
use shared::http::Method;
use shared::request::schema::{FieldSchema, Fields, From, object, titled};
use shared::request::{Field, Flatten, Id};
use shared::serde_json::{Value, json};

use crate::event::Event;
use crate::events::{Beside, Envelope, MAX_EVENTS, Options};

/// What became of events.
#[derive(JsonSchema)]
struct Recorded {
    /// How many were stored by this request.
    accepted: u32,
    /// How many had been stored before.
    duplicates: u32,
    /// With `Prefer: handling=lenient`: what is wrong with the events that were left out, at most 100 faults.
    #[schemars(with = "Vec<FieldError>", skip_serializing_if = "Option::is_none")]
    rejected: Option<Vec<FieldError>>,
    /// How many more faults there are.
    #[schemars(with = "u32", skip_serializing_if = "Option::is_none")]
    rejected_omitted: Option<u32>,
}

/// A line of a log that is kept.
#[derive(JsonSchema)]
struct Line {
    id: Wire<Id>,
    /// Whether it had been kept before: then nothing was written.
    replayed: bool,
}

/// What the caller's events come to.
#[derive(JsonSchema)]
struct Summary {
    /// How many events, by type: the 100 most frequent.
    event_counts: BTreeMap<String, u64>,
    completion_stats: CompletionStats,
    /// How many events, by day and type: at most 1000 entries, the latest first.
    daily: Vec<Daily>,
    omitted: Omitted,
}

/// Of the sessions that began in these days.
#[derive(JsonSchema)]
struct CompletionStats {
    total_sessions: u64,
    completed: u64,
    /// In percent.
    completion_rate: f64,
}

/// The events of a type and a day.
#[derive(JsonSchema)]
struct Daily {
    /// A day of UTC.
    date: Date,
    event_type: String,
    count: u64,
}

/// How many entries were left out.
#[derive(JsonSchema)]
struct Omitted {
    event_counts: u64,
    daily: u64,
}

/// A day.
#[derive(JsonSchema)]
#[schemars(inline, extend("format" = "date"))]
struct Date(String);

/// The document, or what is wrong with this declaration.
pub fn openapi() -> Result<Value, String> {
    Api::new(
        "Selvedge: analytics",
        "Takes events in batches, counts each once, and tells callers their own statistics.",
    )
    .field_codes(&[
        "access_token_mismatch",
        "handling_mismatch",
        "invalid_event_type",
        "invalid_json",
        "invalid_time_zone",
    ])
    .operation(Method::POST, "/", events())
    .operation(
        Method::POST,
        "/logs",
        Operation::new("record_log", "Keeps a line of a client's log")
            .request(
                "application/json",
                "error",
                json!({ "log_level": "ERROR", "component": "composer", "message": "could not render" }),
            )
            .answer(Answer::json::<Line>(
                201,
                "The line is kept.",
                json!({ "id": "5c1f4a9e-7a3c-4a3e-9a55-0b6f3c1d2e4f", "replayed": false }),
            )),
    )
    .operation(
        Method::GET,
        "/summary",
        Operation::new("get_analytics_summary", "What the caller's events come to").answer(Answer::json::<Summary>(
            200,
            "The statistics.",
            json!({
                "event_counts": { "llm_turn_completed": 5 },
                "completion_stats": { "total_sessions": 3, "completed": 1, "completion_rate": 33.33 },
                "daily": [{ "date": "2026-11-21", "event_type": "llm_turn_completed", "count": 5 }],
                "omitted": { "event_counts": 0, "daily": 0 },
            }),
        )),
    )
    .document(&crate::function())
}

fn events() -> Operation {
    let event = json!({
        "id": "0193d5a0-3b1e-7c55-8f0e-6d8b3a6d2f10", "event_type": "llm_turn_completed", "event_data": { "turns": 3 },
        "occurred_at": "2026-11-21T11:00:00Z",
    });
    Operation::new("record_events", "Stores events, each once")
        .description(
            "One event, a batch of up to 500, or a line of JSON for each. All or none are stored, unless \
             `Prefer: handling=lenient` asks to leave out those with faults. Visitors without a token may add events too.",
        )
        .header("Prefer", "`handling=lenient` leaves out events with faults.", json!({ "type": "string" }))
        .request("application/json", "event", json!({ "event_type": "page_opened" }))
        .request("application/json", "batch", json!({ "sent_at": "2026-11-21T11:00:02Z", "events": [event] }))
        .request(NDJSON, "lines", json!("{\"event_type\":\"page_opened\"}\n{\"event_type\":\"page_closed\"}\n"))
        .request(BEACON, "beacon", json!("{\"access_token\":\"eyJ…\",\"events\":[{\"event_type\":\"page_closed\"}]}"))
        .answer(
            Answer::json::<Recorded>(201, "The events are stored.", json!({ "accepted": 2, "duplicates": 0 }))
                .header("Preference-Applied", "`handling=lenient`, if it was asked for."),
        )
        .answer(Answer::empty(204, "The same, in response to `beacon=1`."))
}

const NDJSON: &str = "application/x-ndjson";
const BEACON: &str = "text/plain";

/// What a request with events has beside its body.
pub(crate) fn fields() -> Fields {
    let beside_the_body = |field: FieldSchema| FieldSchema { from: From::Query, ..field };
    let mut fields: Fields = Options::fields().into_iter().map(beside_the_body).collect();
    fields.push(FieldSchema {
        name: "id",
        description: "",
        from: From::IdempotencyKey,
        is_required: false,
        schema: Id::schema(),
    });
    fields
}

/// The forms of a body: one event or a batch, as JSON; lines of events; the JSON again as a browser's beacon sends it.
pub(crate) fn bodies() -> Vec<(&'static str, Value)> {
    let one: Fields = Event::fields().into_iter().chain(Beside::fields()).collect();
    let mut around = Envelope::fields();
    around.push(FieldSchema {
        name: "events",
        description: "The events. All of them, or none, are stored.",
        from: From::Primary,
        is_required: true,
        schema: json!({ "type": "array", "items": Event::schema(), "maxItems": MAX_EVENTS }),
    });
    let one = titled("SingleEvent", "One event, perhaps with its sender's token.", object(one.iter()));
    let batch = titled("Batch", "Events, and what is around them.", object(around.iter()));
    let json = json!({ "oneOf": [one, batch] });
    let lines = json!({ "type": "string", "description": "A line of JSON for each event: at most 500." });
    let beacon = json!({
        "type": "string", "description": "What `navigator.sendBeacon` sends: the same JSON.",
        "contentMediaType": "application/json", "contentSchema": json,
    });
    vec![("application/json", json), (NDJSON, lines), (BEACON, beacon)]
}
