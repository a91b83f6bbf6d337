//! `GET /summary`: what a person's events come to.

use shared::answer::Problem;
use shared::auth::Caller;
use shared::edge::Query;
use shared::host::Response;
use shared::request::{Request, Within};
use shared::upstream::Database;

/// Longest time a summary looks back, in days. Without `days` the database looks back 7.
const MAX_DAYS: u32 = 365;

/// How far a summary looks back.
#[derive(Debug, Request)]
pub(crate) struct Summary {
    /// So many days; 7 if not given.
    pub(crate) days: Option<Within<MAX_DAYS>>,
}

/// Reads the caller's own statistics.
pub(crate) async fn summary(
    caller: Caller,
    Query(summary): Query<Summary>,
    database: Database,
) -> Result<Response, Problem> {
    database.call("get_analytics_summary", &caller, &summary).await
}
