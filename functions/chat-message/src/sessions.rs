//! `/sessions`: a person's conversations, one of them, and its end.

use shared::answer::{Page, Problem, RowPlace};
use shared::auth::Caller;
use shared::edge::Query;
use shared::host::Response;
use shared::request::{Id, Request};
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

/// `DELETE /sessions/{id}`: everything of it goes, statistics stay.
pub(crate) async fn delete(
    caller: Caller,
    Query(session): Query<OneSession>,
    database: Database,
) -> Result<Response, Problem> {
    database.delete("delete_session", &caller, &session, &SESSION_DELETED).await
}
