//! `POST /`: one move of a session, which is made if it is new.

use shared::answer::Problem;
use shared::auth::Caller;
use shared::edge::Input;
use shared::host::Response;
use shared::request::{ExpectedVersion, Id, Name, Request, Text};
use shared::upstream::Database;

use crate::{VERSION_CONFLICT, VERSION_CONFLICT_IF_MATCH};

/// Longest answer to a step, in characters: what the database holds.
const RESPONSE_MAX_CHARS: usize = 1000;

/// A move to make.
#[derive(Debug, Request)]
pub(crate) struct Transition {
    /// Made by the client, so that the move can be sent again; or the `Idempotency-Key` header. One is made if both are
    /// missing.
    #[request(idempotency_key)]
    pub(crate) id: Id,
    /// Made by the client; a new session begins in its machine's first state.
    pub(crate) session_id: Id,
    /// What happened, such as `next_step`.
    pub(crate) event: Name,
    /// What the person answered: in steps.
    pub(crate) response: Option<Text<RESPONSE_MAX_CHARS>>,
    /// The version the client has seen; or the `If-Match` header. If the session has moved since, the move is refused.
    #[request(if_match)]
    pub(crate) expected_version: Option<ExpectedVersion>,
    /// The machine of a session that this begins; until its first move, the machine to put it on. The database's setting
    /// `default_machine` if not given.
    pub(crate) machine: Option<Name>,
}

/// Makes a move.
pub(crate) async fn transition(
    caller: Caller,
    Input(transition): Input<Transition>,
    database: Database,
) -> Result<Response, Problem> {
    let is_precondition = transition.expected_version.is_some_and(|expected| expected.is_precondition);
    database.call("transition_session", &caller, &transition).await.map_err(|problem| {
        if is_precondition && *problem.code == VERSION_CONFLICT {
            problem.recoded(&VERSION_CONFLICT_IF_MATCH)
        } else {
            problem
        }
    })
}
