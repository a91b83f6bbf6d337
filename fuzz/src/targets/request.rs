//! Whole requests, through every operation of every function, and what any answer must be like.

use std::collections::BTreeSet;

use analytics::Analytics;
use chat_message::{CRISIS, ChatMessage};
use fsm_transition::{FsmTransition, VERSION_CONFLICT_IF_MATCH};
use serde_json::Value;
use shared::code;
use shared::edge::Edge;
use shared::fake::{FakeHost, Sent, run as finish};
use shared::function::Function;
use shared::http::{Request, Response};
use shared::postgrest::Raised;
use shared::problem::TYPE_BASE;

use super::reference::Members;
use super::sent;
use crate::engine::Verdict;
use crate::input::Message;

/// What `docs/errors.md` says; a test of the conformance suite holds it to the code.
const ERRORS: &str = include_str!("../../../docs/errors.md");
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

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) request: Request,
    pub(crate) response: Response,
    /// The answer's body, where it is JSON.
    pub(crate) json: Value,
    pub(crate) sent: Vec<Sent>,
    pub(crate) raised: &'static [Raised],
}

/// Feeds one message.
pub(crate) fn run(input: &str) -> Verdict {
    tell(input, &|_| {}).map(|told| told.sight())
}

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
pub(crate) fn known_code(name: &str, status: u16, raised: &[Raised]) -> Result<(), String> {
    let raised = raised.iter().map(|raised| raised.code).chain([&VERSION_CONFLICT_IF_MATCH]);
    let mut all = code::ALL.iter().copied().chain(raised);
    ensure!(all.any(|code| code.name == name && code.status == status), "there is no such code: {name} {status}");
    ensure!(ERRORS.contains(&format!("### `{name}` — {status}")), "errors.md lacks a code: {name} {status}");
    Ok(())
}

/// Feeds a message, its answers changed, to the function its path names, and holds what comes of it to the rules.
pub(crate) fn tell(input: &str, change: &dyn Fn(&mut Message)) -> Result<Told, String> {
    let target = input.lines().next().unwrap_or_default();
    if target.contains("/fsm-transition") {
        ask::<FsmTransition>(input, change)
    } else if target.contains("/analytics") {
        ask::<Analytics>(input, change)
    } else {
        ask::<ChatMessage>(input, change)
    }
}

fn ask<F: Function>(input: &str, change: &dyn Fn(&mut Message)) -> Result<Told, String> {
    let mut message = Message::parse(input, F::BODY_LIMIT);
    change(&mut message);
    let Message { request, answers } = message;
    let found: usize = answers.iter().flatten().map(|answer| answer.body.len()).sum();
    let says_conflict = |body: &[u8]| {
        let said = Members::of(std::str::from_utf8(body).unwrap_or_default());
        said.and_then(|said| said.string("message")).is_some_and(|message| message == "version_conflict")
    };
    let is_conflict = answers.iter().flatten().any(|answer| says_conflict(&answer.body));
    let host = FakeHost::default();
    host.answers.borrow_mut().extend(answers);
    let edge = Edge::<_, F>::new(host, &variables);
    let id = edge.request_id(&request);
    let response = finish(edge.respond(&request, &id)).ok_or("it waits for ever")?;
    let json = judge(&response, &id, F::RAISED, found)?;
    ensure!(response.status != 412 || is_conflict, "a conflict nobody speaks of: {json}");
    if F::NAME == ChatMessage::NAME {
        ensure!(is_helped(&request, &json), "no help in a crisis: {json}");
    }
    let sent = edge.host().sent.borrow().clone();
    let told = Told { request, response, json, sent, raised: F::RAISED };
    sent::judge(&told)?;
    let slept: u32 = edge.host().slept.borrow().iter().sum();
    ensure!(slept < 10_000, "it waits past the deadline: {slept} ms");
    for line in edge.host().logged.borrow().iter() {
        let line: Value =
            serde_json::from_str(line).map_err(|error| format!("a log line is no JSON: {error} {line}"))?;
        let names = line.as_object().map(|members| members.keys().map(String::as_str).collect()).unwrap_or_default();
        unknown(names, LOGGED)?;
    }
    ensure!(edge.host().logged.borrow().len() == 1, "a request has one line in the log");
    Ok(told)
}

fn unknown(names: Vec<&str>, known: &[&str]) -> Result<(), String> {
    names
        .into_iter()
        .find(|name| !known.contains(name))
        .map_or(Ok(()), |name| Err(format!("an unknown member: {name}")))
}

/// What any answer must be like. Its body, where it is JSON.
fn judge(response: &Response, id: &str, raised: &[Raised], found: usize) -> Result<Value, String> {
    let status = response.status;
    for (name, value) in &response.headers {
        let is_plain = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        ensure!(is_plain && !value.is_empty(), "a header with strange characters: {name} {value:?}");
        let count = response.headers.iter().filter(|(other, _)| other == name).count();
        ensure!(count == 1, "a header stands twice: {name}");
    }
    ensure!(response.header("x-request-id") == Some(id), "the request id is lost: {id}");
    ensure!(response.header("cache-control") == Some("no-store"), "an answer may be stored: {status}");
    let Some(body) = &response.body else { return Ok(Value::Null) };
    ensure!(!matches!(status, 204 | 304), "a body where none may be: {status}");
    let media_type = response.header("content-type").unwrap_or_default();
    let text = std::str::from_utf8(body).map_err(|error| format!("a body is not UTF-8: {error}"))?;
    if status == 200 && matches!(media_type, "text/vnd.mermaid; charset=utf-8" | "image/svg+xml") {
        return Ok(Value::Null);
    }
    ensure!(body.len() < MOST_BYTES + if status < 300 { found } else { 0 }, "a long answer: {} bytes", body.len());
    let json: Value = match serde_json::from_str(text) {
        // What the database itself says is handed on as it is.
        Err(error) if status < 300 && Members::of(text).is_some() => Value::String(error.to_string()),
        read => read.map_err(|error| format!("an answer is no JSON: {error} {text}"))?,
    };
    ensure!(json.is_object() || Members::of(text).is_some(), "an answer is no object: {text}");
    if media_type == "application/json" {
        ensure!(matches!(status, 200 | 201) || status == 503 && json.get("database").is_some(), "no problem: {status}");
        return Ok(json);
    }
    ensure!(media_type == "application/problem+json", "an unknown media type: {media_type}");
    problem(status, &json, raised)?;
    Ok(json)
}

/// What any problem must be like.
fn problem(status: u16, json: &Value, raised: &[Raised]) -> Result<(), String> {
    let text = |name| json.get(name).and_then(Value::as_str).unwrap_or_default();
    let code = text("code");
    known_code(code, status, raised)?;
    ensure!(status != 500, "it broke: {json}");
    ensure!(json.get("status") == Some(&status.into()), "another status inside than outside: {json}");
    ensure!(text("type") == [TYPE_BASE, code].concat(), "another type than code: {json}");
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

/// Whether whoever may be in danger is told where to turn.
fn is_helped(request: &Request, json: &Value) -> bool {
    let body = std::str::from_utf8(&request.body).ok().and_then(Members::of);
    let is_risky = body.is_none_or(|body| body.0.iter().any(|(name, value)| name == "risk" && value.get() != "null"));
    let crisis = json.get("crisis").map(Value::to_string).unwrap_or_default();
    let resources = || serde_json::from_str::<Value>(CRISIS).unwrap_or_default().to_string();
    request.method != "POST" || !is_risky || crisis == resources()
}

impl Told {
    /// What was seen, in a few words.
    pub(crate) fn sight(&self) -> String {
        let errors = self.json.get("errors").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let text = |error: &Value, name| error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        // Names and numbers of the caller's own say nothing new, however many there are.
        let place = |error: &Value| text(error, "pointer").replace(|character: char| character.is_ascii_digit(), "");
        let known = errors.iter().filter(|error| text(error, "code") != "unknown_field");
        let faults: BTreeSet<_> = known.map(|error| text(error, "code") + &place(error)).take(3).collect();
        let sent: Vec<_> = self.sent.iter().map(|sent| sent.url.rsplit('/').next().unwrap_or_default()).collect();
        let code = self.json.get("code").and_then(Value::as_str).unwrap_or_default();
        let media_type = self.response.header("content-type");
        format!("{} {media_type:?} {code} {faults:?} {sent:?}", self.response.status)
    }
}
