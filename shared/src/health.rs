//! `GET /health`: that the function is up, and with `?deep=1` whether the database is.

use std::cell::Cell;

use crate::breaker::Breaker;
use crate::form::{Field, Form, Kind};
use crate::function::Function;
use crate::host::Host;
use crate::http::{Request, Response};
use crate::json::ObjectWriter;
use crate::problem::{Problem, Rule};

/// The resource every function has besides its own.
pub(crate) const PATH: &str = "health";
/// The database function the probe calls, as nobody: it says that it was called, and reads nothing.
pub(crate) const PROBE: &str = "database_is_there";
/// How long what was found is told again, in milliseconds: a monitor, or many, must not become load.
const REMEMBERED_MS: u64 = 10_000;
/// How long the probe may take, retries and all, in milliseconds: what takes longer is not healthy, and others wait.
pub(crate) const TIMEOUT_MS: u64 = 2000;
/// How long to wait for somebody else's probe before looking again, in milliseconds.
const WAIT_MS: u32 = 20;

static NOT_ONE: Rule = Rule { code: "not_allowed", detail: "must be 1" };
static PARAMETERS: &[Field] = &[Field::optional("deep", Kind::Word(&["1"], &NOT_ONE))];

/// Whether a deep look was asked for.
pub(crate) fn is_deep(request: &Request) -> Result<bool, Problem> {
    let mut form = Form::of_query(&request.query, PARAMETERS);
    form.finish()?;
    Ok(form.json("deep").is_some())
}

/// What a deep look found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) is_connected: bool,
    pub(crate) latency_ms: u64,
    pub(crate) retries: u64,
    pub(crate) checked_ms: u64,
}

/// What an isolate last found, and whether somebody is looking.
#[derive(Debug, Default)]
pub(crate) struct Health {
    last: Cell<Option<Found>>,
    /// When the one who is looking must be done, in milliseconds since 1970.
    looking_until_ms: Cell<u64>,
}

impl Health {
    /// What was found no longer than ten seconds ago; `None` asks the caller to look, and to tell [`Health::found`].
    pub(crate) async fn recent<H: Host>(&self, host: &H, timeout_ms: u64) -> Option<Found> {
        loop {
            let now = host.now_ms();
            if let Some(last) = self.last.get()
                && now.saturating_sub(last.checked_ms) < REMEMBERED_MS
            {
                return Some(last);
            }
            if now >= self.looking_until_ms.get() {
                self.looking_until_ms.set(now + timeout_ms);
                return None;
            }
            // Not by waiting for the other's promise: on Workers a request may not touch another's I/O.
            host.sleep(WAIT_MS).await;
        }
    }

    /// Remembers what was found.
    pub(crate) fn found(&self, found: Found) {
        self.last.set(Some(found));
        self.looking_until_ms.set(0);
    }
}

/// The answer: shallow, or with what a deep look found.
pub(crate) fn answer<H: Host, F: Function>(host: &H, found: Option<Found>, breaker: &Breaker) -> Response {
    let is_ok = found.is_none_or(|found| found.is_connected);
    let mut body = ObjectWriter::new();
    body.string("status", if is_ok { "ok" } else { "degraded" });
    body.string("function", F::NAME);
    body.string("version", F::VERSION);
    F::health(&mut body);
    if let Some(found) = found {
        body.string("database", if is_ok { "connected" } else { "disconnected" });
        body.number("latency_ms", found.latency_ms);
        body.string("breaker", breaker.state(host.now_ms()));
        body.number("retries", found.retries);
        body.string("checked_at", &host.timestamp(found.checked_ms));
    }
    Response::json(if is_ok { 200 } else { 503 }, body.finish())
}
