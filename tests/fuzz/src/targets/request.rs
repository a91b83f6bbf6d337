//! Whole requests, through every operation of every function, and what any answer must be like.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;
use std::sync::LazyLock;

use chat_message::CRISIS;
use fsm_transition::VERSION_CONFLICT_IF_MATCH;
use serde_json::Value;
use shared::answer::code;
use shared::answer::problem::TYPE_PATH;
use shared::edge::{Edge, Function};
use shared::host::fake::{FakeHost, Sent, run as finish};
use shared::host::{Body, BodyError, Inbound, Request, Response};
use shared::http::header::{AsHeaderName, ETAG, IF_NONE_MATCH, LOCATION};
use shared::http::{HeaderMap, Method, StatusCode};
use shared::upstream::DatabaseError;

use super::Verdict;
use super::reference::Members;
use super::sent::{self, Calls};
use crate::input::{Answer, Message};

/// What `docs/errors.md` says; a test of the conformance suite holds it to the code.
const ERRORS: &str = include_str!("../../../../docs/errors.md");
/// Longest problem, and longest answer that is not what the database said.
const MOST_BYTES: usize = 64 * 1024;
/// Members any problem may have; others only where the database's answer may name them.
const MEMBERS: &[&str] =
    &["type", "title", "status", "detail", "code", "request_id", "errors", "errors_omitted", "retry_after", "crisis"];
/// What the contract says is in a line of the log.
const LOGGED: &[&str] = &[
    "ts",
    "level",
    "function",
    "request_id",
    "trace_id",
    "method",
    "route",
    "status",
    "code",
    "user",
    "dur_ms",
    "db_ms",
    "retries",
    "breaker",
];

/// Members the edge adds to what the database says.
const ADDED: &[&str] = &["crisis", "rejected", "rejected_omitted"];

/// A request and everything that came of it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) request: Request,
    pub(crate) body: Result<Vec<u8>, BodyError>,
    /// The answers the database gave, one for each request that was sent to it, and those that were left over.
    pub(crate) answers: Vec<Answer>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) response: Answered,
    pub(crate) raised: Vec<&'static DatabaseError>,
}

/// A response.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// `None` if it has no body.
    pub(crate) body: Option<Vec<u8>>,
    /// The body, if it is JSON.
    pub(crate) json: Value,
}

impl fmt::Debug for Answered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:?} {}", self.status, self.headers, self.text())
    }
}

impl From<Response> for Answered {
    fn from(response: Response) -> Self {
        let (head, body) = response.into_parts();
        let body = if matches!(body, Body::Empty) { None } else { body.into_bytes().ok() };
        let json = body.as_deref().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
        Self { status: head.status.as_u16(), headers: head.headers, body, json }
    }
}

impl Answered {
    /// A header, if it is there and consists of visible characters.
    pub(crate) fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as text; an empty one if there is none.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.body.as_deref().unwrap_or_default())
    }
}

/// Feeds one message.
pub(crate) fn run(input: &str) -> Verdict {
    tell(input, &|_| {}).map(drop)
}

/// Where the project publishes its keys.
const KEY_SET: &str = "https://abc.supabase.co/auth/v1/.well-known/jwks.json";

/// The variables of a project whose one key is `k1`.
pub(crate) fn variables(name: &str) -> Option<String> {
    let value = match name {
        "SUPABASE_URL" => "https://abc.supabase.co".to_owned(),
        "SUPABASE_PUBLISHABLE_KEY" => "sb_publishable_x".to_owned(),
        "SUPABASE_JWKS" => FakeHost::key_set(&["k1"]),
        "ALLOWED_ORIGINS" => "https://app.example".to_owned(),
        _ => return None,
    };
    Some(value)
}

/// Whether there is such a code, with such a status.
pub(crate) fn known_code(name: &str, status: u16, raised: &[&DatabaseError]) -> Result<(), String> {
    let raised = raised.iter().map(|raised| raised.code).chain([&VERSION_CONFLICT_IF_MATCH]);
    let mut all = code::ALL.iter().copied().chain(raised);
    ensure!(all.any(|code| code.name == name && code.status == status), "there is no such code: {name} {status}");
    ensure!(ERRORS.contains(&format!("### `{name}` — {status}")), "errors.md lacks a code: {name} {status}");
    Ok(())
}

/// Feeds a message, its answers changed, to the function its path names, and holds what comes of it to the rules.
pub(crate) fn tell(input: &str, change: &dyn Fn(&mut Message)) -> Result<Told, String> {
    let target = input.lines().next().unwrap_or_default();
    let named = FUNCTIONS.iter().copied().filter(|name| target.contains(&format!("/{}", name.replace('_', "-"))));
    let name = named.max_by_key(|name| name.len()).unwrap_or(CHAT);
    let told = ask_function(name, input, change)?;
    ensure!(name != CHAT || is_helped(&told), "no help in a crisis: {:?}", told.response);
    Ok(told)
}

/// The function that a path without a function's name is for.
const CHAT: &str = "chat_message";

/// `FUNCTIONS`, and `ask_function`, which calls [`ask`] for one of them.
macro_rules! functions {
    ($($function:ident)*) => {
        const FUNCTIONS: &[&str] = &[$(stringify!($function)),*];

        fn ask_function(name: &str, input: &str, change: &dyn Fn(&mut Message)) -> Result<Told, String> {
            match name {
                $(stringify!($function) => {
                    static CALLS: LazyLock<Calls> = LazyLock::new(|| Calls::of($function::openapi()));
                    ask($function::function(), &CALLS, input, change)
                })*
                _ => Err(format!("there is no function {name}")),
            }
        }
    };
}
// Written by build.rs: `functions!` with every folder of `functions/`.
include!(concat!(env!("OUT_DIR"), "/functions.rs"));

fn ask<S: 'static>(
    function: Function<S>,
    calls: &Calls,
    input: &str,
    change: &dyn Fn(&mut Message),
) -> Result<Told, String> {
    let raised: Vec<_> = function.raises().collect();
    let host = Rc::new(FakeHost::default());
    let edge = Edge::new(Rc::<FakeHost>::clone(&host), function, &variables);
    let mut message = Message::parse(input, edge.body_limit());
    change(&mut message);
    let Message { request, body, mut answers } = message;
    let inbound = |(status, headers, body): (_, _, Vec<u8>)| Inbound { status, headers, body: body.into() };
    host.responses.borrow_mut().extend(answers.iter().cloned().map(|answer| answer.map(inbound)));
    let arrival = Rc::new(edge.arrival(request.clone()));
    let id = Rc::clone(&arrival.request_id);
    let response = finish(edge.respond(arrival, body.clone())).ok_or("it waits for ever")?.into();
    let mut sent = host.sent.borrow().clone();
    // A token that names an unknown key makes the function fetch the key set first, on nobody's behalf.
    if sent.first().is_some_and(|first| first.url == KEY_SET) {
        let fetched = sent.remove(0);
        let is_nobodys = fetched.headers.iter().all(|(name, _)| *name == "apikey") && fetched.body.is_none();
        ensure!(is_nobodys && fetched.method == "GET", "the key set is fetched on somebody's behalf: {fetched:?}");
        answers.drain(..1.min(answers.len()));
    }
    let told = Told { request, body, answers, sent, response, raised };
    told.judge(&id)?;
    sent::judge(&told, calls)?;
    let slept: u32 = host.slept.borrow().iter().sum();
    ensure!(slept < 10_000, "it waits past the deadline: {slept} ms");
    for line in host.logged.borrow().iter() {
        let line: Value =
            serde_json::from_str(line).map_err(|error| format!("a log line is no JSON: {error} {line}"))?;
        let names = line.as_object().map(|members| members.keys().map(String::as_str).collect()).unwrap_or_default();
        unknown(names, LOGGED)?;
    }
    ensure!(host.logged.borrow().len() == 1, "a request has one line in the log");
    Ok(told)
}

fn unknown(names: Vec<&str>, known: &[&str]) -> Result<(), String> {
    names
        .into_iter()
        .find(|name| !known.contains(name))
        .map_or(Ok(()), |name| Err(format!("an unknown member: {name}")))
}

impl Told {
    /// What any response must be like.
    fn judge(&self, id: &str) -> Result<(), String> {
        let response = &self.response;
        let status = response.status;
        for (name, value) in &response.headers {
            let is_plain = value.as_bytes().iter().all(|byte| *byte == b' ' || byte.is_ascii_graphic());
            ensure!(is_plain && !value.is_empty(), "a header with strange characters: {name} {value:?}");
            ensure!(response.headers.get_all(name).iter().count() == 1, "a header stands twice: {name}");
        }
        ensure!(response.header("x-request-id") == Some(id), "the request id is lost: {id}");
        ensure!(response.header("cache-control") == Some("no-store"), "an answer may be stored: {status}");
        ensure!(response.header("x-content-type-options") == Some("nosniff"), "a browser may guess: {status}");
        let says_conflict = |body: &[u8]| {
            let said = Members::of(std::str::from_utf8(body).unwrap_or_default());
            said.and_then(|said| said.string("message")).is_some_and(|message| message == "version_conflict")
        };
        let is_conflict = self.answers.iter().flatten().any(|(_, _, body)| says_conflict(body));
        ensure!(status != 412 || is_conflict, "a conflict nobody speaks of: {response:?}");
        self.passed_through()?;
        let Some(body) = &response.body else { return Ok(()) };
        ensure!(!matches!(status, 204 | 304), "a body where none may be: {status}");
        let media_type = response.header("content-type").unwrap_or_default();
        if status == 200 && matches!(media_type, "text/vnd.mermaid; charset=utf-8" | "image/svg+xml") {
            std::str::from_utf8(body).map_err(|error| format!("a body is not UTF-8: {error}"))?;
            return Ok(());
        }
        let found: usize = self.answers.iter().flatten().map(|(_, _, body)| body.len()).sum();
        ensure!(body.len() < MOST_BYTES + if status < 300 { found } else { 0 }, "a long answer: {} bytes", body.len());
        if media_type == "application/json" {
            let is_known = matches!(status, 200 | 201) || status == 503 && response.json.get("database").is_some();
            ensure!(is_known, "no problem: {status}");
            // What the database says passes through as it is, JSON or not.
            let is_object = response.json.is_object() || Members::of(&response.text()).is_some();
            ensure!(is_object || self.source().is_some(), "an answer is no object: {response:?}");
            return Ok(());
        }
        ensure!(media_type == "application/problem+json", "an unknown media type: {media_type}");
        ensure!(response.json.is_object(), "a problem is no object: {response:?}");
        problem(response, &self.raised)
    }

    /// The database's answer, if it is what a successful response has to pass through: all but for the function's own
    /// `/health` and `/machines`.
    fn source(&self) -> Option<&(StatusCode, HeaderMap, Vec<u8>)> {
        let path = self.request.path.trim_end_matches('/');
        let is_own = path.ends_with("health") || path.contains("machines/");
        let last = self.sent.len().checked_sub(1).filter(|_| !is_own)?;
        self.answers.get(last)?.as_ref().ok()
    }

    /// A success is the database's: its status, its `Location` and `ETag`, and its body, byte for byte. The edge adds
    /// members at the end, and makes 304 of an answer the caller has already.
    fn passed_through(&self) -> Result<(), String> {
        let response = &self.response;
        let (location, etag) = (response.headers.get(LOCATION), response.headers.get(ETAG));
        let is_success = matches!(response.status, 200 | 201 | 304);
        let Some((status, headers, body)) = self.source().filter(|_| is_success) else {
            ensure!(location.is_none() && etag.is_none(), "a header from nowhere: {location:?} {etag:?}");
            ensure!(response.status != 304, "a 304 from nowhere");
            return Ok(());
        };
        let is_read = matches!(self.request.method, Method::GET | Method::HEAD);
        let known = self.request.header(IF_NONE_MATCH).unwrap_or_default();
        let opaque = |tag: &str| tag.trim_matches([' ', '\t']).trim_start_matches("W/").to_owned();
        let tag = headers.get(ETAG).and_then(|tag| tag.to_str().ok()).map(opaque);
        let is_known = tag.is_some_and(|tag| known.split(',').map(opaque).any(|known| known == "*" || known == tag));
        let expected = if is_read && is_known && *status == 200 { 304 } else { status.as_u16() };
        ensure!(response.status == expected, "another status than the database's: {} {expected}", response.status);
        ensure!(etag == headers.get(ETAG), "another ETag than the database's: {etag:?}");
        if expected == 304 {
            return Ok(());
        }
        ensure!(location == headers.get(LOCATION), "another Location than the database's: {location:?}");
        let Some(ours) = &response.body else {
            ensure!(self.request.method == Method::HEAD, "the database's body is lost");
            return Ok(());
        };
        if ours == body {
            return Ok(());
        }
        let added = body.trim_ascii_end().strip_suffix(b"}").and_then(|start| ours.strip_prefix(start));
        let added = added.and_then(|added| std::str::from_utf8(added).ok()).unwrap_or_default();
        let added = format!("{{{}", added.strip_prefix(',').unwrap_or(added));
        let names = Members::of(&added).map(|added| added.0.into_iter().map(|(name, _)| name).collect::<Vec<_>>());
        ensure!(
            names.as_ref().is_some_and(|names| names.iter().all(|name| ADDED.contains(&&**name))),
            "another body than the database's: {names:?} {:?}",
            String::from_utf8_lossy(ours)
        );
        Ok(())
    }
}

/// What any problem must be like.
fn problem(response: &Answered, raised: &[&DatabaseError]) -> Result<(), String> {
    let Answered { status, json, .. } = response;
    let text = |name| json.get(name).and_then(Value::as_str).unwrap_or_default();
    let code = text("code");
    known_code(code, *status, raised)?;
    // A gateway that refuses the function's key is the one fault of a configuration that a request finds.
    let is_refused = code == "misconfigured" && text("detail").contains("SUPABASE_PUBLISHABLE_KEY");
    ensure!(*status != 500 || is_refused, "it broke: {json}");
    ensure!(json.get("status") == Some(&Value::from(*status)), "another status inside than outside: {json}");
    ensure!(text("type") == ["/", TYPE_PATH, code].concat(), "another type than code: {json}");
    ensure!(!text("title").is_empty() && (1..400).contains(&text("detail").len()), "an empty or a long word: {json}");
    let extra = raised.iter().filter(|raised| raised.code.name == code).flat_map(|raised| raised.members).copied();
    let known: Vec<_> = MEMBERS.iter().copied().chain(extra).collect();
    unknown(json.as_object().map(|members| members.keys().map(String::as_str).collect()).unwrap_or_default(), &known)?;
    let errors = json.get("errors").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    ensure!(errors.len() <= 100 && (errors.is_empty() || code == "validation_failed"), "errors: {json}");
    for error in errors {
        let text = |name| error.get(name).and_then(Value::as_str).unwrap_or_default();
        ensure!(ERRORS.contains(&format!("| `{}` |", text("code"))), "an unknown field code: {error}");
        let pointer = text("pointer");
        ensure!(pointer.is_empty() || pointer.starts_with('/'), "no JSON pointer: {error}");
        let is_escaped = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        ensure!(is_escaped && pointer.chars().count() < 400, "no JSON pointer: {error}");
        ensure!(!text("detail").is_empty() && !text("detail").contains('#'), "no words: {error}");
    }
    Ok(())
}

/// Whether a message that shows a risk, or may show one, is answered with the helplines.
fn is_helped(told: &Told) -> bool {
    let text = told.body.as_deref().ok().and_then(|body| std::str::from_utf8(body).ok());
    let members = text.and_then(Members::of);
    let is_risky =
        members.is_none_or(|body| body.0.iter().any(|(name, value)| name == "risk" && value.get() != "null"));
    let crisis = || match &told.response.json {
        // The database's body was no JSON: then the helplines stand at its end all the same.
        Value::Null => told.response.text().ends_with(&format!("\"crisis\":{CRISIS}}}")),
        json => json
            .get("crisis")
            .is_some_and(|crisis| serde_json::from_str(CRISIS).is_ok_and(|help: Value| help == *crisis)),
    };
    !matches!(told.request.method, Method::POST | Method::PUT) || !is_risky || crisis()
}
