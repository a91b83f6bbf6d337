//! `chat-message`: saves chat messages and reads them back, as the caller.
//!
//! | request | answer |
//! |---|---|
//! | `POST /` | 201 `{message, session, replayed: false}`; the same ids and content again: 200 `replayed: true` |
//! | `GET /?session_id=&limit=&before=&order=` | 200 `{messages, next}` |
//! | `GET /sessions?limit=&before=` | 200 `{sessions, next}` |
//! | `GET /sessions/{id}`, `DELETE /sessions/{id}` | 200, the session; 204 |
//! | `PUT`, `GET /sessions/{id}/summaries/{type}` | 201 or 200, the summary |
//! | `GET /risk-detections?session_id=&limit=&before=` | 200 `{risk_detections, next}` |
//!
//! Every operation is one database function, so one round trip and one transaction; they are in `migrations/`. A message
//! is identified by its session and an id the *client* makes, which is what lets a lost answer be asked for again
//! without a second message appearing. A message with `risk` is answered with `crisis`, whatever else happens.

mod crisis;
mod cursor;
mod history;
mod risk_detections;
mod save;
mod sessions;
mod summaries;

use shared::code::Code;
use shared::config::Variables;
use shared::function::{Access, Function, Operation};
use shared::http::Request;
use shared::json::digits;
use shared::postgrest::Raised;
use shared::problem::{Problem, RETRY_AFTER};

pub use crisis::CRISIS;
pub use save::{MESSAGE_MAX_CHARS, ROLES, USER_MESSAGE_MAX_CHARS};
pub use summaries::SUMMARY_TYPES;

/// The session is not there, or not the caller's: the two look the same.
pub const SESSION_NOT_FOUND: Code = Code { name: "session_not_found", status: 404, title: "No such session" };
/// The session has no summary of this type.
pub const SUMMARY_NOT_FOUND: Code = Code { name: "summary_not_found", status: 404, title: "No such summary" };
/// The id stands for another message.
pub const ID_REUSED: Code = Code { name: "id_reused", status: 409, title: "The id is already in use" };
/// The caller writes more messages than anybody may.
pub const RATE_LIMITED: Code = Code { name: "rate_limited", status: 429, title: "Too many messages" };

/// The function.
#[derive(Debug)]
pub struct ChatMessage;

/// Its own configuration.
#[derive(Debug)]
pub struct Settings {
    /// Longest message of a user, in characters (`MESSAGE_MAX_CHARS`).
    pub user_message_max_chars: usize,
}

const fn user(
    method: &'static str,
    route: &'static str,
    plan: fn(&shared::function::Exchange<Settings>) -> Result<shared::function::Step, Problem>,
) -> Operation<Settings> {
    Operation { method, route, access: Access::User, plan }
}

impl Function for ChatMessage {
    const NAME: &'static str = "chat-message";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    /// The longest message is 32 KB of four-byte characters; `meta` and the rest fit beside it.
    const BODY_LIMIT: usize = 64 * 1024;
    const RAISED: &'static [Raised] = &[
        Raised::new(&SESSION_NOT_FOUND, "There is no such session, or it is not the caller's."),
        Raised::new(&SUMMARY_NOT_FOUND, "The session has no summary of this type."),
        Raised::new(
            &ID_REUSED,
            "This id already stands for another message of the session. Make a new id for a new message.",
        ),
        Raised::new(&RATE_LIMITED, "Wait as long as Retry-After says, then send the same message again.")
            .with(&[RETRY_AFTER]),
    ];
    type Settings = Settings;

    fn settings(variables: &mut Variables) -> Settings {
        let limit = variables.number("MESSAGE_MAX_CHARS", |text| {
            digits(text).filter(|limit| (1..=MESSAGE_MAX_CHARS as u64).contains(limit))
        });
        let user_message_max_chars =
            limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(USER_MESSAGE_MAX_CHARS);
        Settings { user_message_max_chars }
    }

    fn resource(path: &[&str]) -> &'static [Operation<Settings>] {
        match path {
            [] => const { &[user("GET", "/", history::history), user("POST", "/", save::save)] },
            ["sessions"] => const { &[user("GET", "/sessions", sessions::list)] },
            ["sessions", _] => {
                const { &[user("GET", "/sessions/{id}", sessions::read), user("DELETE", "/sessions/{id}", sessions::delete)] }
            }
            ["sessions", _, "summaries", summary_type] if SUMMARY_TYPES.contains(summary_type) => {
                const {
                    &[
                        user("GET", "/sessions/{id}/summaries/{type}", summaries::read),
                        user("PUT", "/sessions/{id}/summaries/{type}", summaries::store),
                    ]
                }
            }
            ["risk-detections"] => const { &[user("GET", "/risk-detections", risk_detections::list)] },
            _ => &[],
        }
    }

    fn attend(request: &Request, problem: &mut Problem) {
        // Whatever the path: nobody in a crisis should be told of a typing error alone.
        if matches!(request.method.as_str(), "POST" | "PUT") && save::may_be_risky(request) {
            crisis::add_to_problem(problem);
        }
    }
}

shared::serve!(ChatMessage);
