//! `GET /health`: that the function is up, and with `?deep=1` whether the database is.

use std::cell::Cell;
use std::rc::Rc;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::context::Context;
use super::handler::Outcome;
use super::route::{Function, not_allowed};
use super::services::Services;
use crate::answer;
use crate::host::{Host, Response};
use crate::request::{Flag, FromRequest as _, Primary, Request};
use crate::upstream::Rpc;

/// The resource every function has besides its own.
pub(super) const PATH: &str = "health";
/// The database function the probe calls, as nobody: it says that it was called, and reads nothing.
const PROBE: &str = "database_is_there";
/// How long a result is cached, in milliseconds: a monitor, or many, must not become load.
const CACHED_MS: u64 = 10_000;
/// How long the probe may take, retries and all, in milliseconds: what takes longer is not healthy, and others wait.
const TIMEOUT_MS: u64 = 2000;
/// How often a concurrent caller looks for the result of another's probe, in milliseconds.
const WAIT_MS: u32 = 20;

/// What a caller may ask of `/health`.
#[derive(Request)]
pub(super) struct Ask {
    /// Whether to ask the database too.
    deep: Option<Flag>,
}

/// What a probe found.
#[derive(Debug, Clone, Copy)]
struct Probe {
    is_connected: bool,
    latency_ms: u64,
    retries: u32,
    checked_ms: u64,
}

/// What an isolate last found, and whether somebody is asking.
#[derive(Debug, Default)]
pub(super) struct Health {
    last: Cell<Option<Probe>>,
    /// When the probe under way must be done, in milliseconds since 1970.
    probing_until_ms: Cell<u64>,
}

impl Health {
    /// What was found in the last ten seconds; `None` asks the caller to probe, and then to call [`Health::found`].
    async fn recent(&self, host: &dyn Host, timeout_ms: u64) -> Option<Probe> {
        loop {
            let now = host.now_ms();
            if let Some(last) = self.last.get()
                && now.abs_diff(last.checked_ms) < CACHED_MS
            {
                return Some(last);
            }
            // For longer than a probe may take only a clock says that was set back.
            let wait_ms = self.probing_until_ms.get().saturating_sub(now);
            if wait_ms == 0 || wait_ms > timeout_ms {
                self.probing_until_ms.set(now + timeout_ms);
                return None;
            }
            // Not by waiting for the other's promise: on Workers a request may not touch another's I/O.
            host.sleep(WAIT_MS).await;
        }
    }

    fn found(&self, found: Probe) {
        self.last.set(Some(found));
        self.probing_until_ms.set(0);
    }

    /// Responds to a request for the health of a function.
    pub(super) async fn respond<S>(&self, function: &Function<S>, context: &Rc<Context<S>>) -> Outcome {
        let request = &context.arrival.request;
        context.record.route.set("/health");
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return not_allowed(request, ["GET", "HEAD"].into_iter());
        }
        let ask = context.with_parts(|parts| Ask::from_request(parts, Primary::Query, &()))?;
        let services = &context.services;
        let found = match ask.deep {
            Some(Flag) => {
                services.check_configuration()?;
                Some(self.probe(services, context).await)
            }
            None => None,
        };
        Ok(report(function, services, found))
    }

    async fn probe<S>(&self, services: &Services<S>, context: &Context<S>) -> Probe {
        let timeout_ms = services.config.timeout_ms.min(TIMEOUT_MS);
        if let Some(recent) = self.recent(&*services.host, timeout_ms).await {
            return recent;
        }
        let stats = &context.record.stats;
        let rpc = Rpc {
            function: PROBE,
            arguments: "{}",
            token: None,
            request: &context.arrival.request,
            request_id: &context.arrival.request_id,
            timeout_ms,
            reads_whole: true,
            stats,
        };
        let found = services.upstream.call(rpc).await;
        let fresh = Probe {
            is_connected: found.is_ok_and(|found| found.status == StatusCode::OK),
            latency_ms: stats.db_ms.get(),
            retries: stats.retries.get(),
            checked_ms: services.host.now_ms(),
        };
        self.found(fresh);
        fresh
    }
}

/// The response: shallow, or with what a probe found.
fn report<S>(function: &Function<S>, services: &Services<S>, found: Option<Probe>) -> Response {
    let is_ok = found.is_none_or(|found| found.is_connected);
    let mut body = Map::new();
    let mut add = |name: &str, value: Value| body.insert(name.to_owned(), value);
    add("status", json!(if is_ok { "ok" } else { "degraded" }));
    add("function", json!(function.name));
    add("version", json!(function.version));
    for (name, value) in &function.health {
        add(name, value.clone());
    }
    if let Some(Probe { latency_ms, retries, checked_ms, .. }) = found {
        add("database", json!(if is_ok { "connected" } else { "disconnected" }));
        add("latency_ms", json!(latency_ms));
        add("breaker", json!(services.upstream.breaker.state(services.host.now_ms())));
        add("retries", json!(retries));
        add("checked_at", json!(services.host.timestamp(checked_ms)));
    }
    let status = if is_ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer::json(status, Value::Object(body).to_string())
}
