//! What the OpenAPI document says of this function beyond its types and routes. Not in the wasm.
#![expect(dead_code, reason = "these types only describe responses, which the database writes")]

use schemars::JsonSchema;
use shared::edge::openapi::{Answer, Api, Operation, Wire};
use shared::http::Method;
use shared::request::{DateTime, Id};
use shared::serde_json::{Map, Value, json};

use crate::{Role, SummaryType};

/// A saved message.
#[derive(JsonSchema)]
struct Saved {
    message: Message,
    session: Session,
    /// Whether it had been saved before: then nothing was written.
    replayed: bool,
    /// Where to turn to; only in responses to a message with `risk`.
    #[schemars(with = "Crisis", skip_serializing_if = "Option::is_none")]
    crisis: Option<Crisis>,
}

/// A message.
#[derive(JsonSchema)]
struct Message {
    id: Wire<Id>,
    session_id: Wire<Id>,
    role: Wire<Role>,
    message: String,
    /// What an AI SDK calls the parts of a message, as they were written; not there if there are none.
    #[schemars(with = "Vec<Value>", skip_serializing_if = "Option::is_none")]
    parts: Option<Vec<Value>>,
    meta: Map<String, Value>,
    /// 1, 2, 3 … within the session.
    seq: u64,
    /// When it was written, by the client's clock; not there if it did not say.
    #[schemars(with = "Wire<DateTime>", skip_serializing_if = "Option::is_none")]
    written_at: Option<Wire<DateTime>>,
    created_at: Wire<DateTime>,
    /// `caller`, or `service` for what a backend wrote with `save_message_as`.
    written_by: WrittenBy,
    /// Its intent, or null: only with `include=intent`.
    #[schemars(with = "Option<Intent>", skip_serializing_if = "Option::is_none")]
    intent: Option<Intent>,
    /// Its risk, or null: only with `include=risk`.
    #[schemars(with = "Option<Risk>", skip_serializing_if = "Option::is_none")]
    risk: Option<Risk>,
}

/// Who wrote a message.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum WrittenBy {
    /// Whoever owns the session.
    Caller,
    /// A backend with the service key.
    Service,
}

/// What a message was taken for.
#[derive(JsonSchema)]
struct Intent {
    label: String,
    /// How sure the classifier was, from 0 to 1.
    confidence: Option<f64>,
    method: String,
    fsm_state: Option<String>,
    inference_time_ms: Option<f64>,
}

/// A danger that was seen in a message.
#[derive(JsonSchema)]
struct Risk {
    label: String,
    trigger_phrase: Option<String>,
    /// How sure the detector was, from 0 to 1.
    confidence: Option<f64>,
    method: Option<String>,
    model: Option<String>,
    details: Map<String, Value>,
}

/// A session.
#[derive(JsonSchema)]
struct Session {
    session_id: Wire<Id>,
    /// What a list shows; null until one is given.
    title: Option<String>,
    meta: Map<String, Value>,
    /// The machine it is on.
    machine: String,
    /// The state of its machine.
    fsm_state: String,
    /// How many moves it has made.
    version: u32,
    created_at: Wire<DateTime>,
    last_activity: Wire<DateTime>,
    /// Whether it has reached its machine's end.
    completed: bool,
}

/// A session in a list.
#[derive(JsonSchema)]
struct ListedSession {
    #[serde(flatten)]
    session: Session,
    message_count: u64,
    /// Null where there is no message.
    last_message: Option<LastMessage>,
}

/// The newest message of a session.
#[derive(JsonSchema)]
struct LastMessage {
    role: Wire<Role>,
    /// Its first 140 characters.
    preview: String,
    created_at: Wire<DateTime>,
}

/// A page of a session's messages.
#[derive(JsonSchema)]
struct History {
    messages: Vec<Message>,
    /// Send it as `before` for the page that follows; null at the end.
    next: Option<String>,
    /// The `seq` of the session's newest message; 0 where there is none.
    last_seq: u64,
}

/// A page of sessions.
#[derive(JsonSchema)]
struct Sessions {
    sessions: Vec<ListedSession>,
    /// Send it as `before` for the page that follows; null at the end.
    next: Option<String>,
}

/// A page of risk detections.
#[derive(JsonSchema)]
struct RiskDetections {
    risk_detections: Vec<RiskDetection>,
    /// Send it as `before` for the page that follows; null at the end.
    next: Option<String>,
}

/// A danger that was seen in a message.
#[derive(JsonSchema)]
struct RiskDetection {
    id: Wire<Id>,
    session_id: Wire<Id>,
    message_id: Wire<Id>,
    label: String,
    /// The words that gave it away.
    trigger_phrase: Option<String>,
    /// How sure the detector was, from 0 to 1.
    confidence: Option<f64>,
    method: Option<String>,
    model: Option<String>,
    details: Map<String, Value>,
    detected_at: Wire<DateTime>,
    /// Whether the response to the message had `crisis`.
    resources_shown: bool,
}

/// What a conversation comes down to.
#[derive(JsonSchema)]
struct Summary {
    session_id: Wire<Id>,
    summary_type: Wire<SummaryType>,
    summary_data: Map<String, Value>,
    generated_at: Wire<DateTime>,
}

/// Where to turn in a crisis.
#[derive(JsonSchema)]
struct Crisis {
    resources: Vec<Resource>,
}

/// Somebody to turn to: at least one of `phone`, `text` and `url` is there.
#[derive(JsonSchema)]
struct Resource {
    name: String,
    /// ISO 3166-1.
    country: String,
    #[schemars(with = "String", skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    #[schemars(with = "String", skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[schemars(with = "String", skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[schemars(with = "String", skip_serializing_if = "Option::is_none")]
    hours: Option<String>,
}

const JSON: &str = "application/json";
const SESSION_ID: &str = "9748cf0b-bb36-4b1e-abb8-6d609107d720";
const MESSAGE_ID: &str = "eb36b44c-bf54-429f-acee-24cacd296a32";
const NOW: &str = "2026-11-21T12:02:50.747121+00:00";

/// The document, or what is wrong with this declaration.
pub fn openapi() -> Result<Value, String> {
    Api::new("Selvedge: chat-message", "Saves chat messages and reads them back, as the caller.")
        .problem_member::<Crisis>("crisis", "Where to turn to. In every problem, if `risk` was sent.")
        .problem_member::<String>("machine", "The machine the session is on.")
        .field_codes(&["not_together"])
        .operation(Method::POST, "/", save())
        .operation(
            Method::GET,
            "/",
            Operation::new("get_history", "A page of a session's messages")
                .description(
                    "Newest first, unless `order=asc`. With `after=<seq>`, what is newer than that message, oldest \
                     first. A page is stable while messages arrive.",
                )
                .answer(Answer::json::<History>(
                    200,
                    "The page.",
                    json!({ "messages": [message()], "next": null, "last_seq": 1 }),
                )),
        )
        .operation(
            Method::GET,
            "/sessions",
            Operation::new("list_sessions", "A page of the caller's sessions, the latest active first").answer(
                Answer::json::<Sessions>(200, "The page.", json!({ "sessions": [listed_session()], "next": null })),
            ),
        )
        .operation(
            Method::GET,
            "/sessions/{id}",
            Operation::new("get_session", "One session").answer(Answer::json::<Session>(
                200,
                "The session.",
                session(),
            )),
        )
        .operation(
            Method::PATCH,
            "/sessions/{id}",
            Operation::new("update_session", "Changes the title, the meta or both of a session")
                .description("Members that are not sent stay as they are; `null` takes a value away.")
                .request(JSON, "title", json!({ "title": "Worried about school" }))
                .answer(Answer::json::<Session>(200, "The session.", session())),
        )
        .operation(
            Method::DELETE,
            "/sessions/{id}",
            Operation::new("delete_session", "Deletes a session and all that belongs to it")
                .description("For good: its id is never used again. Statistics stay, without ids and without words.")
                .answer(Answer::empty(204, "The session is deleted.")),
        )
        .operation(
            Method::GET,
            "/sessions/{id}/summaries/{type}",
            Operation::new("get_session_summary", "The latest summary of a type").answer(Answer::json::<Summary>(
                200,
                "The summary.",
                summary(),
            )),
        )
        .operation(
            Method::PUT,
            "/sessions/{id}/summaries/{type}",
            Operation::new("put_session_summary", "Stores a summary in place of the one there was")
                .request(JSON, "summary", json!({ "summary_data": { "text": "Worried about school" } }))
                .answer(Answer::json::<Summary>(201, "The first summary of its type.", summary()))
                .answer(Answer::json::<Summary>(200, "It has replaced an earlier one.", summary())),
        )
        .operation(
            Method::GET,
            "/risk-detections",
            Operation::new(
                "list_risk_detections",
                "A page of what was detected in the caller's messages, latest first",
            )
            .answer(Answer::json::<RiskDetections>(
                200,
                "The page.",
                json!({ "risk_detections": [risk_detection()], "next": null }),
            )),
        )
        .document(&crate::function())
}

fn save() -> Operation {
    let saved = |replayed: bool| json!({ "message": message(), "session": session(), "replayed": replayed });
    let risk = json!({ "label": "suicidal_ideation", "trigger_phrase": "go on", "confidence": 0.9 });
    Operation::new("save_message", "Saves a message")
        .description(
            "Makes the session if it is new. Make `id` and `session_id` yourself, and a request whose response got lost \
             can be sent again: the message is saved once. Send what a classifier has found as `intent` or `risk`.",
        )
        .request(
            JSON,
            "message",
            json!({ "id": MESSAGE_ID, "session_id": SESSION_ID, "role": "user", "message": "Hello" }),
        )
        .request(
            JSON,
            "risk",
            json!({ "session_id": SESSION_ID, "role": "user", "message": "I do not want to go on", "risk": risk }),
        )
        .answer(
            Answer::json::<Saved>(201, "The message is saved.", saved(false))
                .header("Location", "The query that reads the message."),
        )
        .answer(Answer::json::<Saved>(200, "It had been saved before; nothing was written.", saved(true)))
}

fn message() -> Value {
    json!({
        "id": MESSAGE_ID, "session_id": SESSION_ID, "role": "user", "message": "Hello", "meta": {}, "seq": 1,
        "created_at": NOW, "written_by": "caller",
    })
}

fn session() -> Value {
    json!({
        "session_id": SESSION_ID, "title": null, "meta": {}, "machine": "supportive-yarn", "fsm_state": "welcome",
        "version": 0, "created_at": NOW, "last_activity": NOW, "completed": false,
    })
}

fn listed_session() -> Value {
    json!({
        "session_id": SESSION_ID, "title": null, "meta": {}, "machine": "supportive-yarn", "fsm_state": "welcome",
        "version": 0, "created_at": NOW, "last_activity": NOW, "completed": false, "message_count": 1,
        "last_message": { "role": "user", "preview": "Hello", "created_at": NOW },
    })
}

fn summary() -> Value {
    json!({
        "session_id": SESSION_ID, "summary_type": "llm_context", "summary_data": { "text": "Worried about school" },
        "generated_at": NOW,
    })
}

fn risk_detection() -> Value {
    json!({
        "id": "5c1f4a9e-7a3c-4a3e-9a55-0b6f3c1d2e4f", "session_id": SESSION_ID, "message_id": MESSAGE_ID,
        "label": "suicidal_ideation", "trigger_phrase": "go on", "confidence": 0.9, "method": null, "model": null,
        "details": {}, "detected_at": NOW, "resources_shown": true,
    })
}
