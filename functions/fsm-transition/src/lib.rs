//! `fsm-transition`: moves a conversation through its state machine, and only as the machine allows.
//!
//! | request | response |
//! |---|---|
//! | `POST /` | 200, the move; the same `id` again: the first answer, `replayed: true` |
//! | `GET /?session_id=` | 200, where the session is; 304 where `If-None-Match` knows |
//! | `GET /machines/{id}` | 200, the machine: its definition, a Mermaid diagram, or a picture |
//!
//! The database decides: `transition_session` and the trigger on `session_transitions` in `migrations/`. A caller who
//! goes around this function meets the same rule there. What this crate adds is early, exact refusal. The machines
//! are data, `machines/*.json`, checked when the crate is built; `docs/machines.md` tells how to write one.

#[cfg(not(target_arch = "wasm32"))]
pub mod machine;
pub mod machines;
#[cfg(not(target_arch = "wasm32"))]
mod openapi;
mod picture;
mod state;
mod transition;

use shared::answer::problem::RETRY_AFTER_MEMBER;
use shared::answer::{Code, code};
use shared::edge::{Function, get};
use shared::serde_json::json;
use shared::upstream::DatabaseError;

#[cfg(not(target_arch = "wasm32"))]
pub use openapi::openapi;

/// The session is not there, or not the caller's: the two look the same.
pub const SESSION_NOT_FOUND: Code = Code { name: "session_not_found", status: 404, title: "No such session" };
/// The session was deleted.
pub const SESSION_DELETED: Code = Code { name: "session_deleted", status: 410, title: "The session was deleted" };
/// There is no such machine.
pub const MACHINE_NOT_FOUND: Code = Code { name: "machine_not_found", status: 404, title: "No such machine" };
/// The id stands for another move.
pub const ID_REUSED: Code = Code { name: "id_reused", status: 409, title: "The id is already in use" };
/// The session is on another machine.
pub const MACHINE_CONFLICT: Code =
    Code { name: "machine_conflict", status: 409, title: "The session is on another machine" };
/// The session has moved meanwhile.
pub const VERSION_CONFLICT: Code = Code { name: "version_conflict", status: 409, title: "The session has moved on" };
/// The same, said of `If-Match` (RFC 9110 section 13.1.1).
pub const VERSION_CONFLICT_IF_MATCH: Code =
    Code { name: "version_conflict", status: 412, title: "The session has moved on" };
/// The state does not take the event.
pub const ILLEGAL_TRANSITION: Code =
    Code { name: "illegal_transition", status: 422, title: "The session's state does not take this event" };
/// A step wants an answer.
pub const RESPONSE_REQUIRED: Code =
    Code { name: "response_required", status: 422, title: "This event needs a response" };
/// Only a step takes an answer.
pub const RESPONSE_REFUSED: Code =
    Code { name: "response_refused", status: 422, title: "This event takes no response" };

/// The machine of a session that names none. It is the database that puts it there: `transition_session`.
pub const DEFAULT_MACHINE: &str = "supportive-yarn";

/// The session is not there.
const NO_SESSION: DatabaseError =
    DatabaseError::new(&SESSION_NOT_FOUND, "There is no such session, or it is not the caller's.");
/// The session was there.
const DELETED_SESSION: DatabaseError =
    DatabaseError::new(&SESSION_DELETED, "The session was deleted; its id is never used again.");
/// What `get_session_state` raises.
const OF_STATES: &[DatabaseError] = &[NO_SESSION, DELETED_SESSION];
/// What `transition_session` raises.
const OF_MOVES: &[DatabaseError] = &[
    NO_SESSION,
    DELETED_SESSION,
    DatabaseError::new(&MACHINE_NOT_FOUND, "There is no machine of this name."),
    DatabaseError::new(&ID_REUSED, "This id already stands for another move of the session."),
    DatabaseError::new(&MACHINE_CONFLICT, "The session has moved, so it stays on its machine.").with(&["machine"]),
    DatabaseError::new(&VERSION_CONFLICT, "The session has moved since.").with(&["state", "version"]),
    DatabaseError::new(&ILLEGAL_TRANSITION, "The session cannot do that where it is.").with(&[
        "state",
        "version",
        "allowed_events",
    ]),
    DatabaseError::new(&RESPONSE_REQUIRED, "Send what the person answered as response.").with(&["state"]),
    DatabaseError::new(&RESPONSE_REFUSED, "The session is not in a step.").with(&["state"]),
    DatabaseError::new(&code::RATE_LIMITED, "Wait as long as Retry-After says, then send the same again.")
        .with(&[RETRY_AFTER_MEMBER]),
];

/// The function.
pub fn function() -> Function<()> {
    let default = machines::find(DEFAULT_MACHINE, None);
    Function::new("fsm-transition", env!("CARGO_PKG_VERSION"))
        .route("/", get(state::state).raises(OF_STATES).post(transition::transition).raises(OF_MOVES))
        .route("/machines/{id}", get(picture::machine).raises(OF_STATES))
        .health("machine", default.map_or(json!({}), |machine| json!({ "id": machine.id, "version": machine.version })))
}

shared::serve!(function, ());
