//! `GET /`: where a session is.

use shared::answer::Problem;
use shared::auth::Caller;
use shared::edge::Query;
use shared::host::Response;
use shared::request::{Id, Request};
use shared::upstream::Database;

/// Which session.
#[derive(Debug, Request)]
pub(crate) struct OneSession {
    /// The session.
    pub(crate) session_id: Id,
}

/// Reads a session's state.
pub(crate) async fn state(
    caller: Caller,
    Query(session): Query<OneSession>,
    database: Database,
) -> Result<Response, Problem> {
    database.call("get_session_state", &caller, &session).await
}
