//! `GET /`: where a session is.

use shared::auth::Caller;
use shared::fields;
use shared::function::Exchange;
use shared::host::Host;
use shared::http::Response;
use shared::id::Id;
use shared::json::{Object, ObjectWriter};
use shared::problem::Problem;

use crate::FsmTransition;

/// Tells a session's state.
pub(crate) async fn state<H: Host>(exchange: &Exchange<'_, H, FsmTransition>) -> Result<Response, Problem> {
    let caller = exchange.authenticate().await?;
    let mut query = exchange.query();
    let session_id = query.required("session_id", fields::id);
    query.finish()?;
    let Some(session_id) = session_id else {
        return Err(Problem::invalid(Vec::new())); // unreachable: finish() reports a required field without value
    };
    let found = read(exchange, &caller, &session_id).await?;
    let etag = Object::of_bytes(&found).as_ref().and_then(etag).ok_or_else(unexpected)?;
    let known = exchange.request.header("if-none-match");
    if known.is_some_and(|known| matches(known, &etag)) {
        return Ok(Response::empty(304).with("etag", etag));
    }
    Ok(Response::json(200, found).with("etag", etag))
}

/// Asks the database for a session's state.
pub(crate) async fn read<H: Host>(
    exchange: &Exchange<'_, H, FsmTransition>,
    caller: &Caller,
    session_id: &Id,
) -> Result<Vec<u8>, Problem> {
    let mut arguments = ObjectWriter::new();
    arguments.string("session_id", session_id.as_str());
    exchange.rpc(caller, "get_session_state", &arguments.finish()).await
}

pub(crate) fn unexpected() -> Problem {
    Problem::new(&shared::code::UPSTREAM_ERROR, "get_session_state did not answer with a state.")
}

/// The entity tag of an answer that has a version.
pub(crate) fn etag(answer: &Object) -> Option<String> {
    let version = fields::digits(answer.get("version")?.text())?;
    Some(format!("\"{version}\""))
}

/// Whether `If-None-Match` (RFC 9110 section 13.1.2) knows a tag; comparison is weak.
fn matches(known: &str, etag: &str) -> bool {
    known.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn if_none_match_is_a_list_compared_weakly() {
        for known in ["\"3\"", "W/\"3\"", "\"2\", \"3\"", "*", "\"2\",W/\"3\""] {
            assert!(matches(known, "\"3\""), "{known}");
        }
        for known in ["", "\"33\"", "3", "\"2\""] {
            assert!(!matches(known, "\"3\""), "{known}");
        }
    }
}
