//! What the OpenAPI document says of this function beyond its types and routes. Not in the wasm.
#![expect(dead_code, reason = "these types only describe responses, which the database writes")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use shared::edge::openapi::{Answer, Api, Operation, Wire};
use shared::http::Method;
use shared::request::Id;
use shared::serde_json::{Map, Value, json};
use shared::upstream::DatabaseError;

use crate::{MACHINE_CONFLICT, MACHINE_NOT_FOUND, VERSION_CONFLICT_IF_MATCH};

/// A move.
#[derive(JsonSchema)]
struct Move {
    session_id: Wire<Id>,
    /// The state before it.
    from: String,
    /// The state after it.
    to: String,
    event: String,
    /// The session's version after it.
    version: u32,
    /// How often the step had been tried without success.
    attempt_count: u32,
    /// Whether the step was left because its attempts were exhausted.
    forced: bool,
    /// Whether the session has reached its machine's end.
    completed: bool,
    /// The events that the new state takes.
    allowed_events: Vec<String>,
    /// Whether it had been made before: then nothing was written.
    replayed: bool,
}

/// Where a session is.
#[derive(JsonSchema)]
struct SessionState {
    state: String,
    version: u32,
    /// The events that the state takes.
    allowed_events: Vec<String>,
    /// What the person answered, by step.
    responses: BTreeMap<String, String>,
    /// How often a step was tried without success, by step.
    attempts: BTreeMap<String, u32>,
    completed: bool,
    machine: SessionMachine,
}

/// The machine a session is on.
#[derive(JsonSchema)]
struct SessionMachine {
    id: String,
    version: u32,
}

/// A machine: a subset of XState's machine config. docs/machines.md describes it.
#[derive(JsonSchema)]
struct Machine {
    id: String,
    version: String,
    meta: Map<String, Value>,
    /// The state a session begins in.
    initial: String,
    /// The states by name, each with the events it takes in `on`.
    states: BTreeMap<String, Map<String, Value>>,
}

const SESSION_ID: &str = "9748cf0b-bb36-4b1e-abb8-6d609107d720";

/// The document, or what is wrong with this declaration.
pub fn openapi() -> Result<Value, String> {
    Api::new(
        "Selvedge: fsm-transition",
        "Moves a conversation from state to state, as its machine allows. The database decides every move.",
    )
    .problem_member::<String>("state", "The state the session is in.")
    .problem_member::<u32>("version", "The version the session is at.")
    .problem_member::<Vec<String>>("allowed_events", "The events that the state takes.")
    .problem_member::<String>("machine", "The machine the session is on.")
    .operation(Method::POST, "/", transition())
    .operation(Method::GET, "/", state())
    .operation(Method::GET, "/machines/{id}", machine())
    .document(&crate::function())
}

fn transition() -> Operation {
    let id = "0193d5a0-3b1e-7c55-8f0e-6d8b3a6d2f10";
    Operation::new("transition_session", "Makes a move")
        .description(
            "Makes the session if it is new. Make `id` yourself, and a request whose response got lost can be sent \
             again: the move is made once.",
        )
        .request("application/json", "first_move", json!({ "id": id, "session_id": SESSION_ID, "event": "next_step" }))
        .request(
            "application/json",
            "answer",
            json!({ "session_id": SESSION_ID, "event": "next_step", "response": "My aunt", "expected_version": 1 }),
        )
        .answer(
            Answer::json::<Move>(
                200,
                "The move is made, or had been made before.",
                json!({
                    "session_id": SESSION_ID, "from": "welcome", "to": "support_people", "event": "next_step",
                    "version": 1, "attempt_count": 0, "forced": false, "completed": false,
                    "allowed_events": ["next_step", "unclear"], "replayed": false,
                }),
            )
            .header("ETag", "The session's version after the move, in quotes."),
        )
        .problem(DatabaseError::new(&VERSION_CONFLICT_IF_MATCH, "").with(&["state", "version"]))
}

fn state() -> Operation {
    Operation::new("get_session_state", "Where a session is").answer(
        Answer::json::<SessionState>(
            200,
            "The session's state.",
            json!({
                "state": "strengths", "version": 2, "allowed_events": ["next_step", "unclear"],
                "responses": { "support_people": "My aunt" }, "attempts": { "support_people": 1 }, "completed": false,
                "machine": { "id": "supportive-yarn", "version": 1 },
            }),
        )
        .header("ETag", "The session's version, in quotes."),
    )
}

fn machine() -> Operation {
    Operation::new("get_machine", "A machine, as its definition, as a Mermaid diagram, or as a picture")
        .description(
            "`format` says how, or else `Accept`. With a `session_id`, for which a token is needed, the state that the \
             session is in is marked.",
        )
        .answer(
            Answer::json::<Machine>(
                200,
                "The machine.",
                json!({
                    "id": "greeting", "version": "1", "meta": { "title": "Greeting" }, "initial": "hello",
                    "states": { "hello": { "on": { "leave": { "target": "bye" } } }, "bye": { "type": "final" } },
                }),
            )
            .or_as::<String>("text/vnd.mermaid", json!("stateDiagram-v2\n    [*] --> hello\n"))
            .or_as::<String>("image/svg+xml", json!("<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>"))
            .header("Content-Security-Policy", "Of diagrams and pictures: nothing in them runs or loads."),
        )
        .problem(DatabaseError::new(&MACHINE_NOT_FOUND, ""))
        .problem(DatabaseError::new(&MACHINE_CONFLICT, "").with(&["machine"]))
}
