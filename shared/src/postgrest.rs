//! Forwarding: one request to PostgREST, as the caller, and its errors in the caller's terms.
//!
//! What leaves is listed here and nowhere else: the caller's token byte for byte, the publishable key, the request
//! id and the trace headers. No other key exists in this program.

use std::cell::Cell;

use crate::breaker::Breaker;
use crate::code::{self, Code};
use crate::config::Config;
use crate::host::{FetchError, Host, Inbound, Outbound};
use crate::http::Request;
use crate::json::{Object, Raw};
use crate::problem::Problem;
use crate::text::concat;

/// Longest wait before the first retry, in milliseconds; before each further one, twice as long.
const FIRST_BACKOFF_MS: u64 = 50;

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

/// A database function to call, on behalf of a request.
#[derive(Debug)]
pub(crate) struct Rpc<'a> {
    /// Name.
    pub(crate) function: &'a str,
    /// A JSON object with one member for each of its parameters.
    pub(crate) arguments: &'a str,
    /// The caller's token. Nobody's: the role `anon`.
    pub(crate) token: Option<&'a str>,
    /// The request it is for.
    pub(crate) request: &'a Request,
    /// The request's id.
    pub(crate) request_id: &'a str,
    /// How long all its tries together may take, in milliseconds.
    pub(crate) timeout_ms: u64,
}

/// Calls a database function, and again while that may help: nothing else of an operation leaves the function.
///
/// Every call is safe to repeat (ids are made before the first try), so one that failed for reasons that pass is tried
/// again after a while, at most `SUPABASE_MAX_RETRIES` times and never past `SUPABASE_TIMEOUT`, which is for all of it.
/// `retries` counts. What comes back is the last answer, unless there was none.
pub(crate) async fn call<H: Host>(
    host: &H,
    config: &Config,
    breaker: &Breaker,
    rpc: Rpc<'_>,
    retries: &Cell<u64>,
) -> Result<Inbound, Problem> {
    let authorization = rpc.token.map(|token| concat(&["Bearer ", token]));
    let mut headers = vec![
        ("apikey", config.publishable_key.as_str()),
        ("content-type", "application/json"),
        ("x-request-id", rpc.request_id),
    ];
    headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
    for name in ["traceparent", "tracestate"] {
        headers.extend(rpc.request.header(name).map(|value| (name, value)));
    }
    let url = concat(&[&config.supabase_url, "/rest/v1/rpc/", rpc.function]);
    let deadline = host.now_ms() + rpc.timeout_ms;
    loop {
        let now = host.now_ms();
        breaker.admit(now).map_err(|wait| unavailable().retry_after(wait.div_ceil(1000)))?;
        let left = u32::try_from(deadline.saturating_sub(now)).unwrap_or(0).max(1);
        let request =
            Outbound { method: "POST", url: &url, headers: &headers, body: Some(rpc.arguments), timeout_ms: left };
        let (failure, after) = match host.fetch(request).await {
            Ok(answer) if !is_passing(&answer) => {
                breaker.succeeded();
                return Ok(answer);
            }
            Ok(answer) if answer.status == 504 => (timeout(), answer.retry_after),
            Ok(answer) => (unavailable(), answer.retry_after),
            // The probe is given less time than a request: that it ran out says nothing of requests.
            Err(FetchError::Timeout) if rpc.timeout_ms < config.timeout_ms => return Err(timeout()),
            Err(FetchError::Timeout) => (timeout(), None),
            Err(FetchError::Unreachable) => (unavailable(), None),
        };
        let now = host.now_ms();
        breaker.failed(now);
        // PostgREST says `Retry-After: 0` of what it is mending already; that is no reason to hurry.
        let pause = after.unwrap_or(0).saturating_mul(1000).max(backoff(host, retries.get()));
        if retries.get() >= config.max_retries || now.saturating_add(pause) >= deadline {
            return Err(match after {
                Some(seconds) => failure.retry_after(seconds.max(1)),
                None => failure,
            });
        }
        host.sleep(u32::try_from(pause).unwrap_or(u32::MAX)).await;
        retries.set(retries.get() + 1);
    }
}

/// Whether an answer is of the kind that passes: the gateway's, PostgREST's or PostgreSQL's own trouble, which says
/// nothing of the request.
fn is_passing(answer: &Inbound) -> bool {
    match answer.status {
        502 | 503 | 504 | 520 => true,
        // PostgreSQL went away in the middle of it: connection exceptions, and shutdowns of all kinds. Where the connection
        // was torn, PostgREST (12.0.2, killed databases) has no words at all: a 400 with an empty code.
        400 | 500 => {
            let body = Object::of_bytes(&answer.body).unwrap_or_default();
            let sqlstate = body.get("code").and_then(Raw::string);
            sqlstate.is_some_and(|code| code.is_empty() || code.starts_with("08") || code.starts_with("57P0"))
        }
        _ => false,
    }
}

/// How long to wait before the next try: anything up to twice what it was before ("full jitter", so that callers who
/// failed together do not come back together).
fn backoff<H: Host>(host: &H, retries: u64) -> u64 {
    let mut random = [0; 2];
    host.random(&mut random);
    let most = FIRST_BACKOFF_MS << retries.min(5);
    u64::from(u16::from_le_bytes(random)) * most / u64::from(u16::MAX)
}

/// What an unsuccessful answer means to the caller.
pub(crate) fn problem(answer: &Inbound, raised: &[Raised]) -> Problem {
    let body = Object::of_bytes(&answer.body).unwrap_or_default();
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
                    problem.add_member(name, value.text());
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
        ("57014", _) => timeout(),
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
    use std::cell::Cell;

    use super::{Raised, Rpc, call, is_passing, problem};
    use crate::breaker::Breaker;
    use crate::code::Code;
    use crate::config::{Config, Variables};
    use crate::fake::{FakeHost, run};
    use crate::host::{FetchError, Inbound};
    use crate::http::Request;
    use proptest::prelude::{any, prop_assert, proptest};

    const GONE: Code = Code { name: "session_not_found", status: 404, title: "No such session" };
    const MOVED: Code = Code { name: "version_conflict", status: 409, title: "Moved on" };
    const RAISED: &[Raised] =
        &[Raised::new(&GONE, "No such session."), Raised::new(&MOVED, "Moved on.").with(&["state", "version"])];

    /// Status, `Retry-After` and body of an answer, or why there is none.
    type Coming = Result<(u16, Option<u64>, &'static str), FetchError>;

    /// Calls with these answers to come, and three retries; what came of it, and the host.
    fn called(answers: &[Coming], breaker: &Breaker) -> (String, FakeHost) {
        called_within(10_000, answers, breaker)
    }

    /// The same within so many milliseconds.
    fn called_within(timeout_ms: u64, answers: &[Coming], breaker: &Breaker) -> (String, FakeHost) {
        let host = FakeHost::default();
        for answer in answers {
            host.answers.borrow_mut().push_back(answer.map(|(status, retry_after, body)| Inbound {
                status,
                retry_after,
                body: body.as_bytes().to_vec(),
            }));
        }
        let lookup = |name: &str| match name {
            "SUPABASE_URL" => Some("https://abc.supabase.co".to_owned()),
            "SUPABASE_PUBLISHABLE_KEY" => Some("sb_publishable_x".to_owned()),
            _ => None,
        };
        let config = Config::read(&mut Variables::new(&lookup));
        let request = Request {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            query: String::new(),
            headers: Vec::new(),
            body: Vec::new(),
            body_error: None,
        };
        let rpc = Rpc { function: "f", arguments: "{}", token: None, request: &request, request_id: "r-1", timeout_ms };
        let outcome = match run(call(&host, &config, breaker, rpc, &Cell::new(0))).unwrap() {
            Ok(answer) => answer.status.to_string(),
            Err(problem) => {
                let after = problem.members.iter().find(|(name, _)| *name == "retry_after");
                format!("{} {}", problem.code.name, after.map_or("", |(_, value)| value))
            }
        };
        (outcome.trim().to_owned(), host)
    }

    #[test]
    fn what_passes_is_tried_again_and_nothing_else_is() {
        let passing = [
            Err(FetchError::Unreachable),
            Ok((502, None, "")),
            Ok((503, None, r#"{"code":"PGRST001"}"#)),
            Ok((504, None, "")),
            Ok((520, None, "")),
            Ok((500, None, r#"{"code":"57P01"}"#)),
            Ok((500, None, r#"{"code":"08006"}"#)),
            Ok((400, None, r#"{"code":"","message":""}"#)),
        ];
        for first in passing {
            let (outcome, host) = called(&[first, Ok((200, None, ""))], &Breaker::default());
            assert_eq!((outcome.as_str(), host.sent.borrow().len()), ("200", 2), "{first:?}");
        }
        let lasting = [
            (500, r#"{"code":"57014"}"#),
            (500, r#"{"code":"XX000"}"#),
            (400, "{}"),
            (401, "{}"),
            (404, "{}"),
            (409, "{}"),
            (429, "{}"),
            (302, ""),
        ];
        for (status, body) in lasting {
            let (outcome, host) = called(&[Ok((status, None, body)), Ok((200, None, ""))], &Breaker::default());
            assert_eq!((outcome, host.sent.borrow().len()), (status.to_string(), 1), "{status} {body}");
        }
    }

    #[test]
    fn a_probe_that_runs_out_of_its_shorter_time_opens_no_breaker() {
        let breaker = Breaker::default();
        for _ in 0..9 {
            let (outcome, host) = called_within(2000, &[Err(FetchError::Timeout)], &breaker);
            assert_eq!((outcome.as_str(), host.sent.borrow().len()), ("upstream_timeout", 1));
        }
        assert_eq!(breaker.state(0), "closed");
        let refused = [Err(FetchError::Unreachable); 9];
        called_within(2000, &refused, &breaker);
        called_within(2000, &refused, &breaker);
        assert_ne!(breaker.state(0), "closed", "whoever is not there at all is not there for requests either");
    }

    #[test]
    fn retries_are_three_and_wait_longer_each_time() {
        let (outcome, host) = called(&[Ok((503, None, "")); 9], &Breaker::default());
        assert_eq!((outcome.as_str(), host.sent.borrow().len()), ("upstream_unavailable", 4));
        let slept = host.slept.borrow();
        assert_eq!(slept.len(), 3);
        assert!(slept.iter().zip([50, 100, 200]).all(|(slept, most)| *slept <= most), "{slept:?}");
        assert_eq!(called(&[Ok((504, None, "")); 9], &Breaker::default()).0, "upstream_timeout");
    }

    #[test]
    fn retry_after_is_respected_and_told_when_it_is_past_the_deadline() {
        let (outcome, host) = called(&[Ok((503, Some(2), "")), Ok((200, None, ""))], &Breaker::default());
        assert_eq!((outcome.as_str(), host.slept.borrow().as_slice()), ("200", &[2000][..]));
        assert_eq!(called(&[Ok((503, Some(0), "")); 9], &Breaker::default()).0, "upstream_unavailable 1");
        let (outcome, host) = called(&[Ok((503, Some(10), "")), Ok((200, None, ""))], &Breaker::default());
        assert_eq!((outcome.as_str(), host.sent.borrow().len()), ("upstream_unavailable 10", 1));
    }

    #[test]
    fn every_try_has_only_the_time_that_is_left() {
        let (_, host) =
            called(&[Ok((503, Some(4), "")), Ok((503, Some(4), "")), Ok((200, None, ""))], &Breaker::default());
        let left: Vec<_> = host.sent.borrow().iter().map(|sent| sent.timeout_ms).collect();
        assert_eq!(left, [10_000, 6000, 2000]);
    }

    #[test]
    fn an_open_breaker_answers_at_once() {
        let breaker = Breaker::default();
        assert_eq!(called(&[], &breaker).0, "upstream_unavailable");
        let (outcome, host) = called(&[], &breaker);
        assert_eq!(
            (outcome.as_str(), host.sent.borrow().len()),
            ("upstream_unavailable 5", 1),
            "it opens at the fifth"
        );
        let (outcome, host) = called(&[Ok((200, None, ""))], &breaker);
        assert_eq!((outcome.as_str(), host.sent.borrow().len()), ("upstream_unavailable 5", 0));
    }

    #[test]
    fn a_raised_problem_has_the_members_it_names_and_no_others() {
        let body =
            r#"{"code":"PT409","message":"version_conflict","details":"{\"state\":\"goals\",\"version\":4,\"x\":1}"}"#;
        let problem = problem(&Inbound { status: 409, retry_after: None, body: body.as_bytes().to_vec() }, RAISED);
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
            (404, r#"{"code":"PGRST202","message":"secret"}"#, "upstream_error"),
            (500, "\u{0}secret", "upstream_error"),
            (302, "secret", "upstream_error"),
        ] {
            let problem = problem(&Inbound { status, retry_after: None, body: body.as_bytes().to_vec() }, RAISED);
            assert_eq!(problem.code.name, code, "{status} {body}");
            assert!(!problem.detail.contains("secret"), "{status} {body}");
        }
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
                let inbound = Inbound { status, retry_after: None, body };
                let problem = problem(&inbound, RAISED);
                prop_assert!((400..600).contains(&problem.code.status));
                prop_assert!(!problem.detail.contains("zq") && problem.members.is_empty());
                let _ = is_passing(&inbound);
            }
        }
    }
}
