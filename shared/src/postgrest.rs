//! Forwarding: one request to PostgREST, as the caller, and its errors in the caller's terms.
//!
//! What leaves is listed here and nowhere else: the caller's token byte for byte, the publishable key, the request
//! id and the trace headers. No other key exists in this program.

use crate::auth::Caller;
use crate::code::{self, Code};
use crate::config::Config;
use crate::host::{FetchError, Host, Inbound, Outbound};
use crate::http::Request;
use crate::json::{Object, Raw};
use crate::problem::Problem;

/// A problem the database raises on purpose: `raise sqlstate 'PT409' using message = '<code>'`. PostgREST turns
/// `PTxyz` into the status; the message is the code's name. The words are ours, never the database's.
#[derive(Debug)]
pub struct Raised {
    /// What kind of problem.
    pub code: &'static Code,
    /// The words for it.
    pub detail: &'static str,
    /// Members of the problem whose values the database gives, in a JSON object as the error's `detail`.
    pub members: &'static [&'static str],
}

impl Raised {
    /// A problem that says nothing but its code.
    pub const fn new(code: &'static Code, detail: &'static str) -> Self {
        Self { code, detail, members: &[] }
    }

    /// The same with members the database gives.
    #[must_use]
    pub const fn with(self, members: &'static [&'static str]) -> Self {
        Self { members, ..self }
    }
}

/// A database function to call.
pub(crate) struct Rpc<'a> {
    /// Name.
    pub(crate) function: &'a str,
    /// A JSON object with one member for each of its parameters.
    pub(crate) arguments: &'a str,
    /// What it may raise.
    pub(crate) raised: &'static [Raised],
}

/// Calls a database function as the caller, on behalf of a request.
pub(crate) async fn rpc<H: Host>(
    host: &H,
    config: &Config,
    request: &Request,
    request_id: &str,
    caller: &Caller,
    rpc: Rpc<'_>,
) -> Result<Vec<u8>, Problem> {
    let authorization = format!("Bearer {}", caller.token);
    let mut headers = vec![
        ("authorization", authorization.as_str()),
        ("apikey", config.publishable_key.as_str()),
        ("content-type", "application/json"),
        ("x-request-id", request_id),
    ];
    for name in ["traceparent", "tracestate"] {
        headers.extend(request.header(name).map(|value| (name, value)));
    }
    let outbound = Outbound {
        method: "POST",
        url: format!("{}/rest/v1/rpc/{}", config.supabase_url, rpc.function),
        headers,
        body: Some(rpc.arguments),
        timeout_ms: config.timeout_ms,
    };
    match host.fetch(outbound).await {
        Ok(answer) if answer.status == 200 => Ok(answer.body),
        Ok(answer) => Err(problem(&answer, rpc.raised)),
        Err(FetchError::Timeout) => Err(timeout()),
        Err(FetchError::Unreachable) => Err(unavailable()),
    }
}

/// What an unsuccessful answer means to the caller.
fn problem(answer: &Inbound, raised: &[Raised]) -> Problem {
    let body = std::str::from_utf8(&answer.body).ok().and_then(Object::parse).unwrap_or_default();
    let member = |name| body.get(name).and_then(Raw::string).unwrap_or_default();
    let (sqlstate, message) = (member("code"), member("message"));
    if sqlstate.starts_with("PT")
        && let Some(raised) = raised.iter().find(|raised| raised.code.name == message)
    {
        let mut problem = Problem::new(raised.code, raised.detail);
        let details = member("details");
        if let Some(details) = Object::parse(&details) {
            for name in raised.members {
                if let Some(value) = details.get(name) {
                    problem.add_member(name, value);
                }
            }
        }
        return problem;
    }
    match (sqlstate.as_str(), answer.status) {
        ("PGRST301" | "PGRST302" | "PGRST303", _) | (_, 401) => Problem::new(
            &code::TOKEN_REJECTED,
            "PostgREST does not accept this token: check that it and the function use the same key set.",
        ),
        ("42501", _) | (_, 403) => {
            Problem::new(&code::FORBIDDEN, "A policy or a missing grant refuses this to the caller.")
        }
        ("23503", _) => Problem::new(
            &code::CONFLICT,
            "A row this request refers to does not exist: most often the token's user, who has been deleted.",
        ),
        ("23505", _) => Problem::new(&code::CONFLICT, "A value that must be unique is already taken."),
        (state, _) if state.starts_with("22") || state.starts_with("23") => {
            Problem::new(&code::VALIDATION_FAILED, "A value breaks a rule of the database.")
        }
        ("57014", _) | (_, 504) => timeout(),
        ("PGRST000" | "PGRST001" | "PGRST002" | "PGRST003", _) | (_, 502 | 503 | 520) => unavailable(),
        ("PGRST202", _) => Problem::new(
            &code::UPSTREAM_ERROR,
            "The database has not the function this needs: apply the migrations, then reload PostgREST's schema cache.",
        ),
        _ => Problem::new(&code::UPSTREAM_ERROR, "The database answered in a way this function does not know."),
    }
}

fn timeout() -> Problem {
    Problem::new(
        &code::UPSTREAM_TIMEOUT,
        "The database did not answer in time. The write may have happened: send the same ids again to find out.",
    )
}

fn unavailable() -> Problem {
    Problem::new(&code::UPSTREAM_UNAVAILABLE, "The database cannot be reached. Send the same request again shortly.")
}

#[cfg(test)]
mod tests {
    use super::{Raised, problem};
    use crate::code::Code;
    use crate::host::Inbound;

    const GONE: Code = Code { name: "session_not_found", status: 404, title: "No such session" };
    const MOVED: Code = Code { name: "version_conflict", status: 409, title: "Moved on" };
    const RAISED: &[Raised] =
        &[Raised::new(&GONE, "No such session."), Raised::new(&MOVED, "Moved on.").with(&["state", "version"])];

    #[test]
    fn a_raised_problem_has_the_members_it_names_and_no_others() {
        let body =
            r#"{"code":"PT409","message":"version_conflict","details":"{\"state\":\"goals\",\"version\":4,\"x\":1}"}"#;
        let problem = problem(&Inbound { status: 409, body: body.as_bytes().to_vec() }, RAISED);
        assert_eq!(problem.members, [("state", r#""goals""#.to_owned()), ("version", "4".to_owned())]);
    }

    #[test]
    fn every_answer_has_its_meaning_and_leaks_no_sql() {
        for (status, body, code) in [
            (404, r#"{"code":"PT404","message":"session_not_found","details":"secret"}"#, "session_not_found"),
            (404, r#"{"code":"PT404","message":"secret"}"#, "upstream_error"),
            (404, r#"{"code":"42883","message":"session_not_found"}"#, "upstream_error"),
            (401, r#"{"code":"PGRST301","message":"secret"}"#, "token_rejected"),
            (401, r#"{"message":"Invalid API key"}"#, "token_rejected"),
            (403, r#"{"code":"42501","message":"permission denied for table secret"}"#, "forbidden"),
            (409, r#"{"code":"23505","message":"secret"}"#, "conflict"),
            (409, r#"{"code":"23503","message":"secret"}"#, "conflict"),
            (400, r#"{"code":"23514","message":"secret"}"#, "validation_failed"),
            (400, r#"{"code":"22P02","message":"secret"}"#, "validation_failed"),
            (500, r#"{"code":"57014","message":"secret"}"#, "upstream_timeout"),
            (504, "<html>secret", "upstream_timeout"),
            (503, r#"{"code":"PGRST001","message":"secret"}"#, "upstream_unavailable"),
            (502, "", "upstream_unavailable"),
            (404, r#"{"code":"PGRST202","message":"secret"}"#, "upstream_error"),
            (500, "\u{0}secret", "upstream_error"),
            (302, "secret", "upstream_error"),
        ] {
            let problem = problem(&Inbound { status, body: body.as_bytes().to_vec() }, RAISED);
            assert_eq!(problem.code.name, code, "{status} {body}");
            assert!(!problem.detail.contains("secret"), "{status} {body}");
        }
    }
}
