//! `/sessions`: a person's conversations, one of them, and its end.

use shared::answer::{Page, Problem, RowPlace};
use shared::auth::Caller;
use shared::edge::{Input, Query};
use shared::host::Response;
use shared::request::{Id, JsonObject, Nullable, Request, Text};
use shared::serde::Serialize;
use shared::upstream::Database;

use crate::SESSION_DELETED;

/// Which page of the caller's sessions.
#[derive(Debug, Request)]
pub(crate) struct ListSessions {
    /// Which page.
    #[request(flatten)]
    pub(crate) page: Page<RowPlace>,
}

/// One session, named by the path.
#[derive(Debug, Request)]
pub(crate) struct OneSession {
    /// The session.
    #[request(path)]
    pub(crate) session_id: Id,
}

/// Longest title, in characters.
const TITLE_MAX_CHARS: usize = 200;
/// Largest object stored with a session, in bytes as the caller wrote it.
const META_MAX_BYTES: usize = 8 * 1024;

/// What to change of a session: the members that are sent, and no others. `null` takes a value away.
#[derive(Debug, Request)]
pub(crate) struct UpdateSession {
    /// The session.
    #[request(path)]
    pub(crate) session_id: Id,
    /// What a list shows: 1 to 200 characters, without the white space around it.
    pub(crate) title: Option<Nullable<Text<TITLE_MAX_CHARS>>>,
    /// An object of the client's, at most 8 KiB and 16 levels, stored as it is.
    pub(crate) meta: Option<Nullable<JsonObject<META_MAX_BYTES>>>,
}

/// The parameters of the database function.
#[derive(Debug, Serialize)]
#[serde(crate = "shared::serde")]
struct Update {
    session_id: Id,
    changes: Changes,
}

#[derive(Debug, Serialize)]
#[serde(crate = "shared::serde")]
struct Changes {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<Nullable<Text<TITLE_MAX_CHARS>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<Nullable<JsonObject<META_MAX_BYTES>>>,
}

/// `GET /sessions`: a page of the caller's sessions, the one with the latest activity first.
pub(crate) async fn list(
    caller: Caller,
    Query(page): Query<ListSessions>,
    database: Database,
) -> Result<Response, Problem> {
    database.call("list_sessions", &caller, &page).await
}

/// `GET /sessions/{id}`.
pub(crate) async fn read(
    caller: Caller,
    Query(session): Query<OneSession>,
    database: Database,
) -> Result<Response, Problem> {
    database.call("get_session", &caller, &session).await
}

/// `PATCH /sessions/{id}`.
pub(crate) async fn update(
    caller: Caller,
    Input(UpdateSession { session_id, title, meta }): Input<UpdateSession>,
    database: Database,
) -> Result<Response, Problem> {
    database.call("update_session", &caller, &Update { session_id, changes: Changes { title, meta } }).await
}

/// `DELETE /sessions/{id}`: everything of it goes, statistics stay.
pub(crate) async fn delete(
    caller: Caller,
    Query(session): Query<OneSession>,
    database: Database,
) -> Result<Response, Problem> {
    database.delete("delete_session", &caller, &session, &SESSION_DELETED).await
}
