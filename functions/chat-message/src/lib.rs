//! `chat-message`: saves chat messages and reads them back, as the caller.
//!
//! | request | response |
//! |---|---|
//! | `POST /` | 201 `{message, session, replayed: false}`; the same ids and content again: 200 `replayed: true` |
//! | `GET /?session_id=&limit=&before=&after=&order=&include=` | 200 `{messages, next, last_seq}` |
//! | `GET /sessions?limit=&before=` | 200 `{sessions, next}` |
//! | `GET`, `PATCH`, `DELETE /sessions/{id}` | 200, the session; 204 |
//! | `PUT`, `GET /sessions/{id}/summaries/{type}` | 201 or 200, the summary |
//! | `GET /risk-detections?session_id=&limit=&before=` | 200 `{risk_detections, next}` |
//!
//! Every operation is one database function, so one round trip and one transaction; they are in `migrations/`. A message
//! is identified by its session and an id the *client* makes: a request whose response got lost is sent again, and no
//! second message appears. Every response to a message with `risk` has `crisis`, errors too.

mod crisis;
mod history;
#[cfg(not(target_arch = "wasm32"))]
mod openapi;
mod risk_detections;
mod save;
mod sessions;
mod summaries;

use shared::answer::problem::RETRY_AFTER_MEMBER;
use shared::answer::{Code, code};
use shared::config::{Variables, whole};
use shared::edge::{Function, get};
use shared::upstream::DatabaseError;

pub use crisis::CRISIS;
#[cfg(not(target_arch = "wasm32"))]
pub use openapi::openapi;
pub use save::{MESSAGE_MAX_CHARS, Role, USER_MESSAGE_MAX_CHARS, USER_MESSAGE_MOST_CHARS};
pub use summaries::SummaryType;

/// The session is not there, or not the caller's: the two look the same.
pub const SESSION_NOT_FOUND: Code = Code { name: "session_not_found", status: 404, title: "No such session" };
/// The session was deleted.
pub const SESSION_DELETED: Code = Code { name: "session_deleted", status: 410, title: "The session was deleted" };
/// The session has no summary of this type.
pub const SUMMARY_NOT_FOUND: Code = Code { name: "summary_not_found", status: 404, title: "No such summary" };
/// There is no such machine.
pub const MACHINE_NOT_FOUND: Code = Code { name: "machine_not_found", status: 404, title: "No such machine" };
/// The session is on another machine.
pub const MACHINE_CONFLICT: Code =
    Code { name: "machine_conflict", status: 409, title: "The session is on another machine" };
/// Bot and system messages come from a backend here.
pub const ROLE_NOT_ALLOWED_HERE: Code =
    Code { name: "role_not_allowed_here", status: 403, title: "Callers may not write messages of this role here" };
/// The id stands for another message.
pub const ID_REUSED: Code = Code { name: "id_reused", status: 409, title: "The id is already in use" };

const NO_SESSION: DatabaseError =
    DatabaseError::new(&SESSION_NOT_FOUND, "There is no such session, or it is not the caller's.");
const DELETED_SESSION: DatabaseError =
    DatabaseError::new(&SESSION_DELETED, "The session was deleted; its id is never used again.");
const TOO_MANY: DatabaseError =
    DatabaseError::new(&code::RATE_LIMITED, "Wait as long as Retry-After says, then send the same again.")
        .with(&[RETRY_AFTER_MEMBER]);
/// What database functions that take a session raise.
const OF_SESSIONS: &[DatabaseError] = &[NO_SESSION, DELETED_SESSION];
/// What `save_message` raises.
const OF_SAVING: &[DatabaseError] = &[
    NO_SESSION,
    DELETED_SESSION,
    DatabaseError::new(
        &ID_REUSED,
        "This id already stands for another message of the session. Make a new id for a new message.",
    ),
    DatabaseError::new(&MACHINE_NOT_FOUND, "There is no machine of this name."),
    DatabaseError::new(&MACHINE_CONFLICT, "The session has moved, so it stays on its machine.").with(&["machine"]),
    DatabaseError::new(
        &ROLE_NOT_ALLOWED_HERE,
        "This project's backend writes the messages of bot and system. Callers write those of user.",
    ),
    TOO_MANY,
];
/// What `put_session_summary` raises.
const OF_STORING: &[DatabaseError] = &[NO_SESSION, DELETED_SESSION, TOO_MANY];
/// What `get_session_summary` raises.
const OF_SUMMARIES: &[DatabaseError] =
    &[NO_SESSION, DELETED_SESSION, DatabaseError::new(&SUMMARY_NOT_FOUND, "The session has no summary of this type.")];

/// Configuration of this function's own.
#[derive(Debug)]
pub struct Settings {
    /// Longest message of a user, in characters (`MESSAGE_MAX_CHARS`).
    pub user_message_max_chars: usize,
    /// The helplines, as a JSON object (`CRISIS_RESOURCES`); [`CRISIS`] if not given.
    pub crisis: Option<String>,
}

impl Settings {
    fn read(variables: &mut Variables) -> Self {
        let limit = variables.read("MESSAGE_MAX_CHARS", |text| whole(text, 1..=USER_MESSAGE_MOST_CHARS as u32));
        Self {
            user_message_max_chars: limit.map_or(USER_MESSAGE_MAX_CHARS, |limit| limit as usize),
            crisis: variables.read("CRISIS_RESOURCES", crisis::read),
        }
    }
}

/// The function.
pub fn function() -> Function<Settings> {
    Function::with_settings("chat-message", env!("CARGO_PKG_VERSION"), Settings::read)
        .route("/", get(history::history).raises(OF_SESSIONS).post(save::save).raises(OF_SAVING))
        .route("/sessions", get(sessions::list))
        .route(
            "/sessions/{id}",
            get(sessions::read)
                .raises(OF_SESSIONS)
                .patch(sessions::update)
                .raises(OF_SESSIONS)
                .delete(sessions::delete)
                .raises(OF_SESSIONS),
        )
        .route(
            "/sessions/{id}/summaries/{type}",
            get(summaries::read).raises(OF_SUMMARIES).put(summaries::store).raises(OF_STORING),
        )
        .route("/risk-detections", get(risk_detections::list).raises(OF_SESSIONS))
        .layer(crisis::always)
}

shared::serve!(function, Settings);
