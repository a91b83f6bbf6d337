//! PostgREST's errors, in the caller's terms.

use http::header::RETRY_AFTER;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::answer::{Code, Problem, code};
use crate::host::Inbound;
use crate::members::Members;

/// A problem the database raises on purpose: `raise sqlstate 'PT409' using message = '<code>'`. PostgREST turns
/// `PTxyz` into the status; the message is the code's name. The words are ours, never the database's.
#[derive(Debug, Clone, Copy)]
pub struct DatabaseError {
    /// What kind of problem.
    pub code: &'static Code,
    /// The words for it.
    pub detail: &'static str,
    /// Members of the problem whose values the database gives, in a JSON object as the error's `detail`.
    pub members: &'static [&'static str],
}

impl DatabaseError {
    /// A problem with nothing but its code.
    pub const fn new(code: &'static Code, detail: &'static str) -> Self {
        Self { code, detail, members: &[] }
    }

    /// The same with members the database gives.
    #[must_use]
    pub const fn with(self, members: &'static [&'static str]) -> Self {
        Self { members, ..self }
    }
}

/// What an unsuccessful response means to the caller, for whom the database may raise these.
pub(crate) fn problem(response: Inbound, raises: &[DatabaseError]) -> Problem {
    let status = response.status.as_u16();
    let after = response.headers.get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
    // One so long that it is still on its way is no error of PostgREST's.
    let body = response.body.into_bytes().unwrap_or_default();
    let error = Members::parse(std::str::from_utf8(&body).unwrap_or_default()).ok();
    let member = |name| error.as_ref().and_then(|error| error.string(name)).unwrap_or_default();
    let (sqlstate, message) = (member("code"), member("message"));
    if sqlstate.starts_with("PT")
        && let Some(raised) = raises.iter().find(|raised| raised.code.name == message)
    {
        let mut problem = Problem::new(raised.code, raised.detail);
        let details = member("details");
        if let Ok(details) = Members::parse(&details) {
            for name in raised.members {
                // JSON that not every client can read (`1e400`) is left out.
                let is_readable = |value: &&RawValue| serde_json::from_str::<Value>(value.get()).is_ok();
                if let Some(value) = details.get(name).filter(|value| is_readable(value)) {
                    problem.add_member(name, value.to_owned());
                }
            }
        }
        return problem;
    }
    match (sqlstate.as_str(), status) {
        // PostgREST's own refusals have a code.
        ("", 401 | 403) if is_about_the_key(&message) => Problem::new(
            &code::MISCONFIGURED,
            "Supabase's gateway does not accept the function's key. Check SUPABASE_PUBLISHABLE_KEY: it must be the project's \
             own, and not disabled.",
        ),
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
        ("57014", _) => timeout(),
        // Not the database's own limit, which a function raises: somebody's before it.
        (_, 429) => {
            let problem =
                Problem::new(&code::RATE_LIMITED, "Wait as long as Retry-After says, then send the same again.");
            match after {
                Some(seconds) => problem.retry_after(seconds),
                None => problem,
            }
        }
        ("PGRST202", _) => Problem::new(
            &code::UPSTREAM_ERROR,
            "The database has not the function this needs: apply the migrations, then reload PostgREST's schema cache.",
        ),
        _ => Problem::new(&code::UPSTREAM_ERROR, "The database answered in a way this function does not know."),
    }
}

/// Whether a gateway's refusal is about the key in `apikey`, which is the function's, and not about the caller's token.
/// Supabase's own says "Invalid API key", "Unregistered API key", "Legacy API keys are disabled" and the like; Kong, in front
/// of a self-hosted project, says the others (its plugins key-auth and acl).
fn is_about_the_key(message: &str) -> bool {
    message.contains("API key")
        || ["Invalid authentication credentials", "You cannot consume this service"].contains(&message)
}

/// The database took too long.
pub(crate) fn timeout() -> Problem {
    Problem::new(
        &code::UPSTREAM_TIMEOUT,
        "The database did not answer in time. The write may have happened: send the same ids again to find out.",
    )
}

/// PostgREST finds that the token was issued in the future, and still does a moment later.
pub(crate) fn clock_skew() -> Problem {
    Problem::new(
        &code::CLOCK_SKEW,
        "The database's clock is behind that of the token's issuer. Send the same request again shortly.",
    )
}

/// The database cannot be reached.
pub(crate) fn unavailable() -> Problem {
    Problem::new(&code::UPSTREAM_UNAVAILABLE, "The database cannot be reached. Send the same request again shortly.")
}

/// A success that is not what the database function promises.
pub(crate) fn unexpected() -> Problem {
    Problem::new(&code::UPSTREAM_ERROR, "The database did not answer with what its function promises.")
}

#[cfg(test)]
mod tests {
    use super::{DatabaseError, problem};
    use crate::answer::Code;
    use crate::host::Inbound;
    use crate::host::fake::inbound;
    use http::{HeaderMap, StatusCode};
    use proptest::prelude::{any, prop_assert, proptest};

    const GONE: Code = Code { name: "session_not_found", status: 404, title: "No such session" };
    const MOVED: Code = Code { name: "version_conflict", status: 409, title: "Moved on" };
    const RAISED: &[DatabaseError] = &[
        DatabaseError::new(&GONE, "No such session."),
        DatabaseError::new(&MOVED, "Moved on.").with(&["state", "version"]),
    ];

    #[test]
    fn a_raised_problem_has_the_members_it_names_and_no_others() {
        let body =
            r#"{"code":"PT409","message":"version_conflict","details":"{\"state\":\"goals\",\"version\":4,\"x\":1}"}"#;
        let problem = problem(inbound(409, &[], body), RAISED);
        let members: Vec<_> = problem.members.iter().map(|(name, value)| (*name, value.get())).collect();
        assert_eq!(members, [("state", r#""goals""#), ("version", "4")]);
    }

    #[test]
    fn a_member_that_not_every_client_can_read_is_left_out() {
        let body =
            r#"{"code":"PT409","message":"version_conflict","details":"{\"state\":\"goals\",\"version\":1e3081}"}"#;
        let problem = problem(inbound(409, &[], body), RAISED);
        assert_eq!(problem.members.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["state"]);
    }

    #[test]
    fn every_answer_has_its_meaning_and_leaks_no_sql() {
        for (status, body, code) in [
            (404, r#"{"code":"PT404","message":"session_not_found","details":"secret"}"#, "session_not_found"),
            (404, r#"{"code":"PT404","message":"secret"}"#, "upstream_error"),
            (404, r#"{"code":"42883","message":"session_not_found"}"#, "upstream_error"),
            (401, r#"{"code":"PGRST301","message":"secret"}"#, "token_rejected"),
            (401, r#"{"message":"secret"}"#, "token_rejected"),
            (401, "secret", "token_rejected"),
            (401, r#"{"code":"PGRST301","message":"No API key found in request"}"#, "token_rejected"),
            (403, r#"{"code":"42501","message":"Invalid API key"}"#, "forbidden"),
            (403, r#"{"message":"secret"}"#, "forbidden"),
            (403, r#"{"code":"42501","message":"permission denied for table secret"}"#, "forbidden"),
            (409, r#"{"code":"23505","message":"secret"}"#, "conflict"),
            (409, r#"{"code":"23503","message":"secret"}"#, "conflict"),
            (400, r#"{"code":"23514","message":"secret"}"#, "validation_failed"),
            (400, r#"{"code":"22P02","message":"secret"}"#, "validation_failed"),
            (500, r#"{"code":"57014","message":"secret"}"#, "upstream_timeout"),
            (404, r#"{"code":"PGRST202","message":"secret"}"#, "upstream_error"),
            (500, "\u{0}secret", "upstream_error"),
            (302, "secret", "upstream_error"),
            (429, "secret", "rate_limited"),
        ] {
            let problem = problem(inbound(status, &[], body), RAISED);
            assert_eq!(problem.code.name, code, "{status} {body}");
            assert!(!problem.detail.contains("secret"), "{status} {body}");
        }
    }

    #[test]
    fn a_gateway_that_refuses_the_functions_key_is_a_fault_of_the_configuration() {
        for (status, message) in [
            (401, "Invalid API key"),
            (401, "No API key found in request"),
            (401, "Unregistered API key"),
            (401, "Legacy API keys are disabled"),
            (401, "Invalid authentication credentials"),
            (403, "You cannot consume this service"),
        ] {
            let body = format!(r#"{{"message":"{message}","hint":"Double check your API key."}}"#);
            let problem = problem(inbound(status, &[], &body), RAISED);
            assert_eq!(problem.code.name, "misconfigured", "{message}");
            assert!(problem.detail.contains("SUPABASE_PUBLISHABLE_KEY"), "{}", problem.detail);
        }
    }

    #[test]
    fn a_limit_before_the_database_is_the_callers_with_its_retry_after() {
        let limited = problem(inbound(429, &[("retry-after", "2")], "slow down"), RAISED).into_response("r", "/");
        assert_eq!((limited.status().as_u16(), &limited.headers()["retry-after"]), (429, &"2".parse().unwrap()));
        let limited = problem(inbound(429, &[], ""), RAISED).into_response("r", "/");
        assert!(!limited.headers().contains_key("retry-after"));
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic_and_none_of_its_words_get_out(
            status in 201_u16..600,
            body in any::<Vec<u8>>(),
            code in "PT404|PT409|42501|23505|PGRST301|[0-9A-Z]{5}",
            message in "session_not_found|version_conflict|zq[a-z ]{0,9}",
            details in "\\{\\}|zq[a-z ]{0,9}"
        ) {
            let json = format!(r#"{{"code":"{code}","message":"{message}","details":"{details}","hint":"zq"}}"#);
            for body in [body, json.into_bytes()] {
                let status = StatusCode::from_u16(status).unwrap();
                let problem = problem(Inbound { status, headers: HeaderMap::new(), body: body.into() }, RAISED);
                prop_assert!((400..600).contains(&problem.code.status));
                prop_assert!(!problem.detail.contains("zq") && problem.members.is_empty());
            }
        }
    }
}
