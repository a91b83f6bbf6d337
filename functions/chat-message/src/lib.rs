//! `chat-message`: saves chat messages and reads them back, as the caller.
//!
//! | request | answer |
//! |---|---|
//! | `POST /` | 201 `{message, session, replayed: false}`; the same ids and content again: 200 `replayed: true` |
//! | `GET /?session_id=&limit=&before=&order=` | 200 `{messages, next}` |
//!
//! Every operation is one database function, so one round trip and one transaction: `save_message` and
//! `get_history` in `migrations/`. A message is identified by its session and an id the *client* makes, which is
//! what lets a lost answer be asked for again without a second message appearing.

mod cursor;
mod history;
mod message;
mod save;

use shared::code::Code;
use shared::config::Variables;
use shared::function::{Exchange, Function};
use shared::host::Host;
use shared::http::Response;
use shared::postgrest::Raised;
use shared::problem::Problem;

pub use message::{MESSAGE_MAX_CHARS, Role, USER_MESSAGE_MAX_CHARS};

/// The session is not there, or not the caller's: the two look the same.
pub const SESSION_NOT_FOUND: Code = Code { name: "session_not_found", status: 404, title: "No such session" };
/// The id stands for another message.
pub const ID_REUSED: Code = Code { name: "id_reused", status: 409, title: "The id is already in use" };

/// The function.
#[derive(Debug)]
pub struct ChatMessage;

/// Its operations.
#[derive(Debug, Clone, Copy)]
pub enum Route {
    /// `POST /`
    Save,
    /// `GET /`
    History,
}

/// Its own configuration.
#[derive(Debug)]
pub struct Settings {
    /// Longest message of a user, in characters (`MESSAGE_MAX_CHARS`).
    pub user_message_max_chars: usize,
}

impl Function for ChatMessage {
    const NAME: &'static str = "chat-message";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    /// The longest message is 32 KB of four-byte characters; `meta` and the rest fit beside it.
    const BODY_LIMIT: usize = 64 * 1024;
    const RAISED: &'static [Raised] = &[
        Raised::new(&SESSION_NOT_FOUND, "There is no such session, or it is not the caller's."),
        Raised::new(
            &ID_REUSED,
            "This id already stands for another message of the session. Make a new id for a new message.",
        ),
    ];
    type Route = Route;
    type Settings = Settings;

    fn settings(variables: &mut Variables) -> Settings {
        Settings {
            user_message_max_chars: variables
                .parsed("MESSAGE_MAX_CHARS", |text| {
                    let limit: u64 = text.parse().ok()?;
                    usize::try_from(limit).ok().filter(|limit| (1..=MESSAGE_MAX_CHARS).contains(limit))
                })
                .unwrap_or(USER_MESSAGE_MAX_CHARS),
        }
    }

    fn methods(path: &[&str]) -> &'static [(&'static str, Route)] {
        match path {
            [] => &[("GET", Route::History), ("POST", Route::Save)],
            _ => &[],
        }
    }

    async fn handle<H: Host>(route: Route, exchange: &Exchange<'_, H, Self>) -> Result<Response, Problem> {
        match route {
            Route::Save => save::save(exchange).await,
            Route::History => history::history(exchange).await,
        }
    }
}

shared::serve!(ChatMessage);
