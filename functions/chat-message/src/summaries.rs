//! `/sessions/{id}/summaries/{type}`: what a conversation comes down to, the latest of each type.

use shared::answer::Problem;
use shared::auth::Caller;
use shared::edge::{Input, Query};
use shared::host::Response;
use shared::request::{Id, JsonObject, Request, Word};
use shared::upstream::Database;

/// Largest summary, in bytes as the caller wrote it: what fits into a body beside its braces.
const SUMMARY_MAX_BYTES: usize = 64 * 1024;

/// Types of summaries. The database's CHECK has the same words; a test holds the two together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Word)]
pub enum SummaryType {
    /// Of a conversation that goes on.
    Partial,
    /// Of a conversation that has ended.
    Complete,
    /// What a language model is told of the conversation so far.
    LlmContext,
}

/// One summary, named by the path.
#[derive(Debug, Request)]
pub(crate) struct OneSummary {
    /// The session.
    #[request(path)]
    pub(crate) session_id: Id,
    /// The type.
    #[request(path)]
    pub(crate) summary_type: SummaryType,
}

/// A summary to store.
#[derive(Debug, Request)]
pub(crate) struct StoreSummary {
    /// The session.
    #[request(path)]
    pub(crate) session_id: Id,
    /// The type.
    #[request(path)]
    pub(crate) summary_type: SummaryType,
    /// An object of the client's, at most 64 KiB and 16 levels, stored as it is.
    pub(crate) summary_data: JsonObject<SUMMARY_MAX_BYTES>,
}

/// `PUT`: stores a summary in place of the one there was. Safe to repeat.
pub(crate) async fn store(
    caller: Caller,
    Input(summary): Input<StoreSummary>,
    database: Database,
) -> Result<Response, Problem> {
    database.call("put_session_summary", &caller, &summary).await
}

/// `GET`: the summary there is.
pub(crate) async fn read(
    caller: Caller,
    Query(summary): Query<OneSummary>,
    database: Database,
) -> Result<Response, Problem> {
    database.call("get_session_summary", &caller, &summary).await
}
