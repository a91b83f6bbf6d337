//! `GET /risk-detections`: a page of what was detected in the caller's messages, the latest first.

use shared::answer::{Page, Problem, RowPlace};
use shared::auth::Caller;
use shared::edge::Query;
use shared::host::Response;
use shared::request::{Id, Request};
use shared::upstream::Database;

/// Which page of the caller's risk detections.
#[derive(Debug, Request)]
pub(crate) struct ListRiskDetections {
    /// Only those of this session.
    pub(crate) session_id: Option<Id>,
    /// Which page.
    #[request(flatten)]
    pub(crate) page: Page<RowPlace>,
}

/// Reads a page.
pub(crate) async fn list(
    caller: Caller,
    Query(page): Query<ListRiskDetections>,
    database: Database,
) -> Result<Response, Problem> {
    database.call("list_risk_detections", &caller, &page).await
}
