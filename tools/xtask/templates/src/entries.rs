//! `POST /` and `GET /`: a person's entries.

use shared::answer::{Page, Problem, RowPlace};
use shared::auth::Caller;
use shared::edge::{Input, Query};
use shared::host::Response;
use shared::request::{Id, Request, Text};
use shared::upstream::Database;

/// Longest text, in characters. The table holds it to the same.
const TEXT_MAX_CHARS: usize = 1000;

/// An entry to save.
#[derive(Debug, Request)]
pub(crate) struct SaveEntry {
    /// Made by the client, so that the entry can be sent again; or the `Idempotency-Key` header. One is made if both
    /// are missing.
    #[request(idempotency_key)]
    pub(crate) id: Id,
    /// 1 to 1000 characters, without the white space around it.
    pub(crate) text: Text<TEXT_MAX_CHARS>,
}

/// Which page of the caller's entries.
#[derive(Debug, Request)]
pub(crate) struct ListEntries {
    /// Which page.
    #[request(flatten)]
    pub(crate) page: Page<RowPlace>,
}

/// `POST /`: saves an entry.
pub(crate) async fn save(
    caller: Caller,
    Input(entry): Input<SaveEntry>,
    database: Database,
) -> Result<Response, Problem> {
    database.call("save_{{stem}}", &caller, &entry).await
}

/// `GET /`: a page of the caller's entries, the newest first.
pub(crate) async fn list(
    caller: Caller,
    Query(page): Query<ListEntries>,
    database: Database,
) -> Result<Response, Problem> {
    database.call("list_{{stem}}", &caller, &page).await
}
