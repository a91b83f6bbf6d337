//! The way of every request through a function, for as long as the isolate lives.
//!
//! Host adapter → [`Edge::respond`] → router → authenticate → plan → forward → answer.

use crate::auth::{self, Authenticator, Caller};
use crate::breaker::Breaker;
use crate::code;
use crate::config::{Config, Level, Variables};
use crate::cors::{AllowedOrigins, is_preflight};
use crate::function::{Access, Exchange, Function, Operation, Step};
use crate::health::{self, Found, Health};
use crate::host::Host;
use crate::http::{Request, Response};
use crate::id::Id;
use crate::json::push_number;
use crate::log::{Line, Record};
use crate::postgrest::{self, Rpc};
use crate::problem::Problem;
use crate::text::parts;

/// A function on a host, for as long as the isolate lives.
pub struct Edge<H: Host, F: Function> {
    host: H,
    origins: AllowedOrigins,
    log_level: Level,
    setup: Result<Setup<F>, Vec<&'static str>>,
    authenticator: Authenticator<H::Key>,
    breaker: Breaker,
    health: Health,
}

/// A configuration without faults.
struct Setup<F: Function> {
    config: Config,
    settings: F::Settings,
}

impl<H: Host, F: Function> Edge<H, F> {
    /// Reads the configuration and begins to serve.
    pub fn new(host: H, lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut variables = Variables::new(lookup);
        let config = Config::read(&mut variables);
        let origins = Config::read_allowed_origins(&mut variables);
        let settings = F::settings(&mut variables);
        let log_level = config.log_level;
        let setup = match variables.faulty() {
            [] => Ok(Setup { config, settings }),
            faulty => Err(faulty.to_vec()),
        };
        let authenticator = Authenticator::new(&host);
        Self { host, origins, log_level, setup, authenticator, breaker: Breaker::default(), health: Health::default() }
    }

    /// The host it runs on.
    pub fn host(&self) -> &H {
        &self.host
    }

    /// The id of a request: the caller's own, or a new one.
    pub fn request_id(&self, request: &Request) -> String {
        match request.header("x-request-id") {
            Some(id) if is_request_id(id) => id.to_owned(),
            _ => Id::new(&self.host).as_str().to_owned(),
        }
    }

    /// Answers a request.
    pub async fn respond(&self, request: &Request, request_id: &str) -> Response {
        let started_ms = self.host.now_ms();
        let record = Record::default();
        let outcome = self.route(request, request_id, &record).await;
        self.finish(request, request_id, outcome, &record, started_ms)
    }

    /// Answers a request whose handling trapped: a panic, or memory that ran out.
    pub fn trapped(&self, request: &Request, request_id: &str, started_ms: u64) -> Response {
        let problem = Problem::new(
            &code::INTERNAL,
            "The function broke while it answered. A write may have happened: send the same ids again to find out.",
        );
        let record = Record::default();
        if let Some(operation) = operation_of(F::resource(&path_below::<F>(&request.path)), &request.method) {
            record.route.set(operation.route);
        }
        self.finish(request, request_id, Err(problem), &record, started_ms)
    }

    /// Every answer, error or not, comes through here.
    fn finish(
        &self,
        request: &Request,
        request_id: &str,
        outcome: Result<Response, Problem>,
        record: &Record,
        started_ms: u64,
    ) -> Response {
        let mut code = None;
        let mut response = outcome.unwrap_or_else(|mut problem| {
            F::attend(request, &mut problem);
            code = Some(problem.code.name);
            problem.into_response(request_id)
        });
        if request.method == "HEAD" {
            response.body = None;
        }
        self.origins.apply(request, &mut response);
        response.add("cache-control", "no-store");
        response.add("x-request-id", request_id);
        let now_ms = self.host.now_ms();
        let total_ms = now_ms.saturating_sub(started_ms);
        let mut timing = String::from("auth;dur=");
        push_number(&mut timing, record.auth_ms.get());
        timing.push_str(", db;dur=");
        push_number(&mut timing, record.db_ms.get());
        timing.push_str(", total;dur=");
        push_number(&mut timing, total_ms);
        response.add("server-timing", timing);
        let line = Line {
            ts: &self.host.timestamp(started_ms),
            function: F::NAME,
            request_id,
            method: &request.method,
            status: response.status,
            code,
            total_ms,
            breaker: self.breaker.state(now_ms),
        };
        if line.level() >= self.log_level {
            self.host.log(&line.to_json(record));
        }
        response
    }

    async fn route(&self, request: &Request, request_id: &str, record: &Record) -> Result<Response, Problem> {
        let path: Vec<&str> = path_below::<F>(&request.path);
        let is_health = path == [health::PATH];
        let operations = F::resource(&path);
        if let Some(operation) = operations.first() {
            record.route.set(operation.route);
        }
        let mut allow = String::new();
        if is_health {
            allow.push_str("GET, HEAD, ");
        }
        for operation in operations {
            allow.push_str(operation.method);
            allow.push_str(if operation.method == "GET" { ", HEAD, " } else { ", " });
        }
        if allow.is_empty() {
            if !is_preflight(request) {
                return Err(Problem::new(&code::NOT_FOUND, "The function has no resource at this path."));
            }
            // So that the page may ask, and read that there is nothing.
            allow.push_str("GET, HEAD, POST, PUT, DELETE, ");
        }
        allow.push_str("OPTIONS");
        if is_health && matches!(request.method.as_str(), "GET" | "HEAD") {
            record.route.set("/health");
            return self.health(request, request_id, record).await;
        }
        let Some(operation) = operation_of(operations, &request.method) else {
            return if request.method == "OPTIONS" {
                Ok(Response::empty(204).with("allow", allow))
            } else {
                Err(Problem::method_not_allowed(allow))
            };
        };
        self.carry_out(operation, request, &path, request_id, record).await
    }

    /// Verifies the caller, plans, asks the database, answers.
    async fn carry_out(
        &self,
        operation: &Operation<F::Settings>,
        request: &Request,
        path: &[&str],
        request_id: &str,
        record: &Record,
    ) -> Result<Response, Problem> {
        let setup = self.setup()?;
        let mut caller = None;
        if operation.access == Access::User {
            caller = self.authenticate(request, None, operation.access, record).await?;
        }
        let exchange = Exchange { request, path, settings: &setup.settings, id: Id::new(&self.host) };
        let call = match (operation.plan)(&exchange)? {
            Step::Answer(response) => return Ok(response),
            Step::Call(call) => call,
        };
        if caller.is_none() {
            caller = self.authenticate(request, call.token.as_deref(), operation.access, record).await?;
        }
        let started_ms = self.host.now_ms();
        let rpc = Rpc {
            function: call.function,
            arguments: &call.arguments,
            token: caller.as_ref().map(|caller| caller.token.as_str()),
            request,
            request_id,
            timeout_ms: setup.config.timeout_ms,
        };
        let found = postgrest::call(&self.host, &setup.config, &self.breaker, rpc, &record.retries).await;
        record.db_ms.set(self.host.now_ms().saturating_sub(started_ms));
        (call.answer)(found.and_then(|answer| match answer.status {
            200 => Ok(answer.body),
            _ => match postgrest::problem(&answer, F::RAISED) {
                problem if record.retries.get() > 0 && call.done == Some(problem.code) => Ok(b"{}".to_vec()),
                problem => Err(problem),
            },
        }))
    }

    fn setup(&self) -> Result<&Setup<F>, Problem> {
        self.setup.as_ref().map_err(|faulty| misconfigured(faulty))
    }

    /// Finds out who is calling, by the token of the header, or else by one that was in the body.
    async fn authenticate(
        &self,
        request: &Request,
        in_body: Option<&str>,
        access: Access,
        record: &Record,
    ) -> Result<Option<Caller>, Problem> {
        let Some(token) = auth::bearer(request)?.or(in_body) else {
            return if access == Access::Anonymous { Ok(None) } else { Err(auth::missing()) };
        };
        let started_ms = self.host.now_ms();
        let caller = self.authenticator.authenticate(&self.host, &self.setup()?.config, token).await;
        record.auth_ms.set(self.host.now_ms().saturating_sub(started_ms));
        let caller = caller?;
        record.user.set(Some(caller.user));
        Ok(Some(caller))
    }

    async fn health(&self, request: &Request, request_id: &str, record: &Record) -> Result<Response, Problem> {
        let mut found = None;
        if health::is_deep(request)? {
            let config = &self.setup()?.config;
            let timeout_ms = config.timeout_ms.min(health::TIMEOUT_MS);
            found = self.health.recent(&self.host, timeout_ms).await;
            if found.is_none() {
                let started_ms = self.host.now_ms();
                let rpc =
                    Rpc { function: health::PROBE, arguments: "{}", token: None, request, request_id, timeout_ms };
                let answer = postgrest::call(&self.host, config, &self.breaker, rpc, &record.retries).await;
                let checked_ms = self.host.now_ms();
                record.db_ms.set(checked_ms.saturating_sub(started_ms));
                let fresh = Found {
                    is_connected: answer.is_ok_and(|answer| answer.status == 200),
                    latency_ms: record.db_ms.get(),
                    retries: record.retries.get(),
                    checked_ms,
                };
                self.health.found(fresh);
                found = Some(fresh);
            }
        }
        Ok(health::answer::<H, F>(&self.host, found, &self.breaker))
    }
}

/// The path's segments below the function: a Worker is asked for `/…`, a function behind Supabase's gateway for
/// `/<name>/…`, and one whose gateway strips nothing for `/functions/v1/<name>/…`.
fn path_below<F: Function>(path: &str) -> Vec<&str> {
    let mut segments: Vec<&str> = parts(path, b'/').skip(1).collect();
    if segments.last() == Some(&"") {
        segments.pop();
    }
    let prefix = match segments.as_slice() {
        ["functions", "v1", name, ..] if *name == F::NAME => 3,
        [name, ..] if *name == F::NAME => 1,
        _ => 0,
    };
    segments.split_off(prefix)
}

/// The operation of a method out of a resource's.
fn operation_of<S>(operations: &'static [Operation<S>], method: &str) -> Option<&'static Operation<S>> {
    let wanted = if method == "HEAD" { "GET" } else { method };
    operations.iter().find(|operation| operation.method == wanted)
}

/// A request id is 1 to 128 visible ASCII characters.
fn is_request_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Names the variables at fault, never their values.
fn misconfigured(faulty: &[&str]) -> Problem {
    let mut detail = String::from("Missing or wrong: ");
    for (place, name) in faulty.iter().enumerate() {
        detail.push_str(if place == 0 { "" } else { ", " });
        detail.push_str(name);
    }
    Problem::detailed(&code::MISCONFIGURED, detail + ". See docs/configuration.md.")
}

#[cfg(test)]
mod tests {
    use super::is_request_id;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn a_request_id_is_short_and_visible(text in any::<String>()) {
            let is_visible = text.chars().all(|character| ('!'..='~').contains(&character));
            prop_assert_eq!(is_request_id(&text), is_visible && (1..=128).contains(&text.len()));
        }
    }
}
