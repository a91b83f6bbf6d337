//! `POST /logs`: a line of a client's log.

use shared::answer::Problem;
use shared::edge::{Input, Visitor};
use shared::host::Response;
use shared::request::{Id, Request, Text, Word};
use shared::upstream::Database;

/// What the columns hold, in characters.
const COMPONENT_MAX_CHARS: usize = 128;
const MESSAGE_MAX_CHARS: usize = 4000;
const TRACE_MAX_CHARS: usize = 16_000;

/// A line of a client's log.
#[derive(Debug, Request)]
pub(crate) struct RecordLog {
    /// Made by the client, so that the line can be sent again; or the `Idempotency-Key` header.
    #[request(idempotency_key)]
    pub(crate) id: Id,
    /// How severe it is.
    pub(crate) log_level: LogLevel,
    /// The part of the client that wrote it.
    pub(crate) component: Text<COMPONENT_MAX_CHARS>,
    /// What it says.
    pub(crate) message: Text<MESSAGE_MAX_CHARS>,
    /// A session of the caller's.
    pub(crate) session_id: Option<Id>,
    /// Where in the client's code.
    pub(crate) error_trace: Option<Text<TRACE_MAX_CHARS>>,
}

/// Severity of a line. The database's CHECK has the same words; a test holds the two together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Word)]
#[word(UPPERCASE)]
pub enum LogLevel {
    /// For whoever develops the client.
    Debug,
    /// All is well.
    Info,
    /// Something is odd.
    Warning,
    /// Something failed.
    Error,
    /// The client cannot go on.
    Critical,
}

/// Keeps a line.
pub(crate) async fn record(
    Visitor(caller): Visitor,
    Input(line): Input<RecordLog>,
    database: Database,
) -> Result<Response, Problem> {
    database.call("record_log", &caller, &line).await
}
