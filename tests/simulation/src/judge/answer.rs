//! What a caller gets: one of the documented answers, meant for this request and no other, and true.

use serde_json::Value;
use shared::answer::code;
use shared::answer::problem::TYPE_PATH;
use shared::host::{Body, Response};
use shared::http::HeaderMap;

use super::breaker::Lets;
use super::exchange::Brought;
use super::{Verdict, ensure};
use crate::host::Stream;
use crate::isolate::Which;
use crate::task::Task;
use crate::world::World;

/// What `docs/errors.md` says; a test of the conformance suite holds it to the code.
const ERRORS: &str = include_str!("../../../../docs/errors.md");
/// Most tokens an isolate remembers.
const MOST_TOKENS: usize = 256;

/// An answer as its caller reads it.
struct Answer {
    status: u16,
    headers: HeaderMap,
    /// `None` if reading it fails.
    body: Option<Vec<u8>>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn json(&self) -> Value {
        self.body.as_deref().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default()
    }

    fn is_success(&self) -> bool {
        matches!(self.status, 200 | 201 | 204)
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        let (head, body) = response.into_parts();
        let body = match body {
            Body::Held(held) => held
                .as_any()
                .downcast_ref::<Stream>()
                .filter(|stream| stream.is_whole || !stream.breaks)
                .map(|stream| stream.bytes.clone()),
            other => other.into_bytes().ok(),
        };
        Self { status: head.status.as_u16(), headers: head.headers, body }
    }
}

/// Holds an answer to the rules. Returns whether it acknowledges what was asked for.
pub(crate) fn judge(world: &World, task: &Task, response: Response, is_trapped: bool) -> Result<bool, String> {
    let answer = Answer::from(response);
    let id = &*task.arrival.request_id;
    let plan = &task.plan;
    ensure!(answer.header("x-request-id") == id, "an answer has the id of another request");
    ensure!(plan.request_id.as_deref().is_none_or(|given| given == id), "the caller's request id is lost");
    ensure!(answer.header("cache-control") == "no-store", "an answer may be stored");
    ensure!(answer.header("x-content-type-options") == "nosniff", "a browser may guess what an answer is");
    memory(world, task)?;
    if answer.body.is_none() {
        world.note(|| "its caller reads half of it".to_owned());
        return Ok(false);
    }
    if answer.status >= 400 {
        problem(&answer, task)?;
    } else {
        ensure!([200, 201, 204, 304].contains(&answer.status), "an undocumented status: {}", answer.status);
        success(&answer, task)?;
    }
    if plan.has_risk {
        ensure!(answer.json().get("crisis").is_some(), "no help in a crisis: {}", answer.status);
    }
    if !is_trapped {
        let lets = task.instance.host.mirror.borrow().lets(world.now_ms());
        ended(world, task, &answer, lets)?;
        task.exchange.ends(world.now_ms(), lets == Lets::Through)?;
    }
    acknowledged(world, task, &answer)
}

/// What an isolate keeps has bounds.
fn memory(world: &World, task: &Task) -> Verdict {
    let (tokens, keys) = task.instance.edge.remembered();
    ensure!(tokens <= MOST_TOKENS, "{tokens} tokens are remembered");
    let most = world.issuer.borrow().keys() + 2;
    ensure!(keys <= most, "{keys} keys are remembered, and there have been {most}");
    Ok(())
}

/// A problem is documented, well formed, and about this request.
fn problem(answer: &Answer, task: &Task) -> Verdict {
    let (status, json) = (answer.status, answer.json());
    let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
    if status == 503 && task.plan.target.starts_with("/health") {
        ensure!(text("database") == "disconnected", "the health is strange: {json}");
        return Ok(());
    }
    ensure!(answer.header("content-type") == "application/problem+json", "a problem is no problem+json: {status}");
    let name = text("code");
    let raised = task.instance.raises.iter().map(|raised| raised.code);
    let mut known = code::ALL.iter().copied().chain(raised).chain([&fsm_transition::VERSION_CONFLICT_IF_MATCH]);
    ensure!(known.any(|code| code.name == name && code.status == status), "there is no such code: {name} {status}");
    ensure!(ERRORS.contains(&format!("### `{name}` — {status}")), "errors.md lacks a code: {name} {status}");
    ensure!(text("type").ends_with(&format!("{TYPE_PATH}{name}")), "a type of another code: {json}");
    ensure!(json.get("status").and_then(Value::as_u64) == Some(status.into()), "a problem has another status: {json}");
    ensure!(!text("title").is_empty() && !text("detail").is_empty(), "a problem says nothing: {json}");
    ensure!(text("request_id") == &*task.arrival.request_id, "a problem is about another request: {json}");
    let after = answer.header("retry-after");
    ensure!(after.is_empty() || after.parse::<u64>().is_ok(), "Retry-After is no number: {after}");
    ensure!(status != 503 || !after.is_empty(), "503 without Retry-After");
    Ok(())
}

/// A success is the database's, to this request of this caller.
fn success(answer: &Answer, task: &Task) -> Verdict {
    let plan = &task.plan;
    let is_passed = plan.calls.is_some_and(|called| called != "database_is_there");
    if !is_passed || matches!(answer.status, 204 | 304) || answer.header("content-type") != "application/json" {
        return Ok(());
    }
    let json = answer.json();
    ensure!(json.is_object(), "a success is no JSON object: {:?}", answer.body.as_deref().map(String::from_utf8_lossy));
    let text = |name: &str| json.pointer(name).and_then(Value::as_str);
    let id = &*task.arrival.request_id;
    ensure!(text("/echo/request_id") == Some(id), "the answer to another request: {:?}", json.get("echo"));
    let user = plan.identity().map(|token| token.user.as_str());
    ensure!(text("/echo/user") == user, "the answer to another caller: {:?}", json.get("echo"));
    Ok(())
}

/// The answer follows from what the database said and from who the caller is.
fn ended(world: &World, task: &Task, answer: &Answer, lets: Lets) -> Verdict {
    let (plan, status, json) = (&task.plan, answer.status, answer.json());
    let code = json.get("code").and_then(Value::as_str).unwrap_or_default();
    let last = task.exchange.last();
    if task.is_refused && plan.calls.is_some_and(|called| called != "database_is_there") {
        let is_refusal = matches!(status, 401 | 403) || code == "keys_unavailable";
        ensure!(is_refusal, "a token that must be refused is answered with {status} {code}: {}", plan.line());
    }
    if code == "upstream_unavailable" && task.exchange.tries() == 0 {
        ensure!(lets != Lets::Through, "it is refused without a try, and the breaker is not open");
    }
    if let Some(Brought::Answer(200 | 201)) = last {
        let may_be = [200, 201, 204, 304, 409, 502];
        ensure!(may_be.contains(&status), "the database did it, and the answer is {status} {code}");
    }
    if answer.is_success() && plan.calls.is_some_and(|called| called != "database_is_there") {
        let is_gone = plan.calls == Some("delete_session") && last == Some(Brought::Answer(410));
        let is_done = matches!(last, Some(Brought::Answer(200 | 201))) || is_gone && task.exchange.tries() > 1;
        ensure!(is_done, "a success without one of the database's: {last:?}");
    }
    let is_user = plan.identity().is_some() || plan.takes_visitors() && task.takes_visitors;
    if world.conditions.is_calm() && !task.is_refused && is_user && plan.calls.is_some() {
        let is_fine = status < 500 && !matches!(status, 401 | 403 | 429);
        ensure!(is_fine, "nothing is wrong, and a good request is answered with {status} {code}");
    }
    if plan.calls.is_none() && task.which == Which::ChatMessage && plan.method != "GET" {
        ensure!(!answer.is_success(), "a faulty request is answered with {status}");
    }
    Ok(())
}

/// What is acknowledged has happened, exactly once.
fn acknowledged(world: &World, task: &Task, answer: &Answer) -> Result<bool, String> {
    let plan = &task.plan;
    if !answer.is_success() || plan.calls.is_none() {
        return Ok(false);
    }
    let database = world.database.borrow();
    for mark in &plan.marks {
        let count = database.count(mark);
        let is_right = if plan.replaces { count >= 1 } else { count == 1 };
        ensure!(is_right, "an acknowledged write is stored {count} times: {mark}");
    }
    // Where a retry finds nothing, somebody may have begun the session since.
    if plan.calls == Some("delete_session") && task.exchange.last() == Some(Brought::Answer(200)) {
        let user = plan.identity().map(|token| token.user.as_str()).unwrap_or_default();
        ensure!(!database.has(&plan.session, user), "an acknowledged deletion has not happened");
    }
    Ok(true)
}
