//! `POST /`: one move of a session, which is made if it is new.

use shared::fields::{self, Fields};
use shared::function::Exchange;
use shared::host::Host;
use shared::http::Response;
use shared::id::Id;
use shared::json::{Object, ObjectWriter};
use shared::problem::{Fault, Problem, Rule};

use crate::{FsmTransition, VERSION_CONFLICT, VERSION_CONFLICT_IF_MATCH, state};

static OTHER_VERSION: Rule = Rule { code: "if_match_mismatch", detail: "differs from the If-Match header" };
static NOT_AN_ETAG: Rule = Rule { code: "invalid_etag", detail: "must be the ETag of the session's state" };

/// Longest answer to a step, in characters: what the database holds.
pub(crate) const RESPONSE_MAX_CHARS: usize = 1000;

/// A move to make.
#[derive(Debug)]
struct Move {
    /// `None`: the client made none, and cannot ask for this move again.
    id: Option<Id>,
    session_id: Id,
    event: String,
    response: Option<String>,
    expected_version: Option<u64>,
    /// The version came as `If-Match`.
    by_if_match: bool,
    machine: Option<String>,
}

/// Makes a move.
pub(crate) async fn transition<H: Host>(exchange: &Exchange<'_, H, FsmTransition>) -> Result<Response, Problem> {
    let caller = exchange.authenticate().await?;
    exchange.query().finish()?;
    let wanted =
        Move::parse(exchange.body()?, exchange.request.header("idempotency-key"), exchange.request.header("if-match"))?;
    let made;
    let id = match &wanted.id {
        Some(id) => id,
        None => {
            made = Id::new(exchange.host);
            &made
        }
    };
    let answer = exchange.rpc(&caller, "transition_session", &wanted.arguments(id)).await.map_err(|problem| {
        if wanted.by_if_match && *problem.code == VERSION_CONFLICT {
            problem.recoded(&VERSION_CONFLICT_IF_MATCH)
        } else {
            problem
        }
    })?;
    let etag = Object::of_bytes(&answer)
        .as_ref()
        .and_then(state::etag)
        .ok_or_else(|| Problem::new(&shared::code::UPSTREAM_ERROR, "transition_session did not answer with a move."))?;
    Ok(Response::json(200, answer).with("etag", etag))
}

impl Move {
    fn parse(mut body: Fields, idempotency_key: Option<&str>, if_match: Option<&str>) -> Result<Self, Problem> {
        let id = body.idempotency_id(idempotency_key);
        let session_id = body.required("session_id", fields::id);
        let event = body.required("event", fields::name);
        let response = body.optional("response", |value| fields::text(value, RESPONSE_MAX_CHARS));
        let version_in_body = body.optional("expected_version", fields::whole_number);
        // `*` asks only that there be a state, and there always is one.
        let version_in_header =
            if_match.filter(|etag| *etag != "*").and_then(|etag| body.keep("expected_version", version_of(etag)));
        if let (Some(in_body), Some(in_header)) = (version_in_body, version_in_header)
            && in_body != in_header
        {
            body.fault("expected_version", OTHER_VERSION.broken());
        }
        let machine = body.optional("machine", fields::name);
        body.finish()?;
        let (Some(session_id), Some(event)) = (session_id, event) else {
            return Err(Problem::invalid(Vec::new())); // unreachable: finish() reports a required field without value
        };
        let by_if_match = version_in_body.is_none() && version_in_header.is_some();
        let expected_version = version_in_body.or(version_in_header);
        Ok(Self { id, session_id, event, response, expected_version, by_if_match, machine })
    }

    /// The parameters of `transition_session`.
    fn arguments(&self, id: &Id) -> String {
        let mut arguments = ObjectWriter::new();
        arguments.string("session_id", self.session_id.as_str());
        arguments.string("id", id.as_str());
        arguments.string("event", &self.event);
        if let Some(response) = &self.response {
            arguments.string("response", response);
        }
        if let Some(version) = self.expected_version {
            arguments.number("expected_version", version);
        }
        if let Some(machine) = &self.machine {
            arguments.string("machine", machine);
        }
        arguments.finish()
    }
}

/// The version an entity tag stands for: a session's tag is its version in quotes.
fn version_of(etag: &str) -> Result<u64, Fault> {
    let version = etag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    version.and_then(fields::digits).ok_or(NOT_AN_ETAG.broken())
}
