//! A function: what each one brings, and the way every request goes through it.
//!
//! Host adapter → [`Edge::respond`] → router → authenticate → plan → forward → answer. What a function brings is a list
//! of operations ([`Operation`]), and of each only what is its own: a plan (from the request to one call of a database
//! function) and an answer (from what the database said to the response). Neither waits for anything or knows a host.

use crate::auth::{self, Authenticator, Caller};
use crate::breaker::Breaker;
use crate::code::{self, Code};
use crate::config::{Config, Level, Variables};
use crate::cors::{AllowedOrigins, is_preflight};
use crate::form::{Field, Form};
use crate::health::{self, Found, Health};
use crate::host::Host;
use crate::http::{BodyError, Request, Response};
use crate::id::Id;
use crate::json::{self, Object, ObjectWriter, Raw, push_number};
use crate::log::{Line, Record};
use crate::postgrest::{self, Raised, Rpc};
use crate::problem::Problem;
use crate::text::{cut, parts};

/// What one edge function brings: its name, its limits, its resources and how they answer.
pub trait Function: Sized + 'static {
    /// Name, as in the URL: `/functions/v1/<NAME>`.
    const NAME: &'static str;
    /// Version of the crate, told by `/health`.
    const VERSION: &'static str;
    /// Longest request body read, in bytes.
    const BODY_LIMIT: usize;
    /// The problems its database functions raise.
    const RAISED: &'static [Raised];
    /// Configuration of its own.
    type Settings: 'static;

    /// Reads its own variables. What is wrong is remembered in `variables`.
    fn settings(variables: &mut Variables) -> Self::Settings;

    /// The operations of the resource at a path below the function. None: no such resource.
    fn resource(path: &[&str]) -> &'static [Operation<Self::Settings>];

    /// Adds to what `/health` tells.
    fn health(_body: &mut ObjectWriter) {}

    /// Adds to a problem what must not go missing with the answer it takes the place of.
    fn attend(_request: &Request, _problem: &mut Problem) {}
}

/// What a method does to a resource.
#[derive(Debug)]
pub struct Operation<S: 'static> {
    /// Method. `GET` brings `HEAD` along.
    pub method: &'static str,
    /// The resource as the log names it: `/sessions/{id}`.
    pub route: &'static str,
    /// Who may.
    pub access: Access,
    /// From the request to what is to be done.
    pub plan: fn(&Exchange<S>) -> Result<Step, Problem>,
}

/// Who may carry an operation out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A signed-in user: told before anything of the request is looked at.
    User,
    /// Anybody who does not make the plan ask the database; for that, a signed-in user.
    Public,
    /// A signed-in user, or somebody who sends no token: the role `anon`. The plan is made first, as the token may be in
    /// the body.
    Anonymous,
}

/// What is to be done about a request.
pub enum Step {
    /// The answer is known.
    Answer(Response),
    /// The database is to be asked.
    Call(Call),
}

/// One call of a database function as the caller: one transaction, one round trip.
pub struct Call {
    function: &'static str,
    arguments: String,
    token: Option<String>,
    done: Option<&'static Code>,
    answer: Answer,
}

/// From what the database said, or why it did not, to the response.
type Answer = Box<dyn FnOnce(Result<Vec<u8>, Problem>) -> Result<Response, Problem>>;

impl Step {
    /// Calls `function` with a JSON object of its parameters; the response is made by `answer`.
    pub fn call(
        function: &'static str,
        arguments: String,
        answer: impl FnOnce(Result<Vec<u8>, Problem>) -> Result<Response, Problem> + 'static,
    ) -> Self {
        Self::call_as(None, function, arguments, answer)
    }

    /// As [`Step::call`], for a caller whose token was in the body. One in the `Authorization` header goes before.
    pub fn call_as(
        token: Option<String>,
        function: &'static str,
        arguments: String,
        answer: impl FnOnce(Result<Vec<u8>, Problem>) -> Result<Response, Problem> + 'static,
    ) -> Self {
        Self::Call(Call { function, arguments, token, done: None, answer: Box::new(answer) })
    }

    /// The same step, for whose call a problem of this kind means, when it comes from a retry, that an earlier try has
    /// done it all: what is to be deleted is gone. The answer is then made from an empty object.
    #[must_use]
    pub fn done_if_retried(mut self, code: &'static Code) -> Self {
        if let Self::Call(call) = &mut self {
            call.done = Some(code);
        }
        self
    }

    /// Calls `function`, whose answer is the response's body as it is.
    pub fn pass_on(function: &'static str, arguments: String) -> Self {
        Self::call(function, arguments, |found| handed_on(200, found?))
    }
}

/// One request and all there is to plan with.
#[derive(Debug)]
pub struct Exchange<'a, S> {
    /// The request.
    pub request: &'a Request,
    /// The path's segments below the function.
    pub path: &'a [&'a str],
    /// Settings of the function's own.
    pub settings: &'a S,
    /// An id made for this request, should it have brought none.
    pub id: Id,
}

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

impl<S> Exchange<'_, S> {
    /// The parameters of the query.
    pub fn query(&self, fields: &'static [Field]) -> Form {
        Form::of_query(&self.request.query, fields)
    }

    /// The members of the body, which must be a JSON object; the query must have no parameters.
    pub fn body(&self, fields: &'static [Field]) -> Result<Form, Problem> {
        if !self.is_sent_as("application/json", true) {
            return Err(Problem::new(&code::UNSUPPORTED_MEDIA_TYPE, "Send the body as application/json, in UTF-8."));
        }
        let text = self.text()?;
        let mut form = self.query(&[]);
        form.add_object(parse(text)?, fields, "");
        Ok(form)
    }

    /// The body, as text.
    pub fn text(&self) -> Result<&str, Problem> {
        match self.request.body_error {
            Some(BodyError::TooLarge) => {
                return Err(Problem::new(&code::BODY_TOO_LARGE, "The body is longer than this function reads."));
            }
            Some(BodyError::Interrupted) => {
                return Err(Problem::new(&code::BODY_INTERRUPTED, "The connection broke before the body's end."));
            }
            None => {}
        }
        std::str::from_utf8(&self.request.body)
            .map_err(|error| not_json("Not UTF-8 from byte # on.", &[error.valid_up_to()]))
    }

    /// Whether the body is of a media type, in UTF-8 (or says nothing of its characters). One that does not say what it
    /// is, is of the type that may go without saying.
    pub fn is_sent_as(&self, media_type: &str, goes_without_saying: bool) -> bool {
        self.request.header("content-type").map_or(goes_without_saying, |given| is_utf8(given, media_type))
    }

    /// What is sent with `Idempotency-Key`.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.request.header("idempotency-key")
    }
}

/// Reads JSON, or says where it stops being any.
pub fn parse(text: &str) -> Result<Raw<'_>, Problem> {
    Raw::parse(text).map_err(|at| {
        let (line, column) = json::position(text, at);
        not_json("Not JSON at line #, column #.", &[line, column])
    })
}

fn not_json(detail: &str, numbers: &[usize]) -> Problem {
    let mut numbers = numbers.iter();
    let mut text = String::new();
    for (place, part) in parts(detail, b'#').enumerate() {
        if place > 0 {
            push_number(&mut text, numbers.next().map_or(0, |number| *number as u64));
        }
        text.push_str(part);
    }
    Problem::detailed(&code::INVALID_JSON, text)
}

/// The database's answer as the caller's. Something between it and here may have said 200 with a page of its own, or cut
/// the answer short: that is no success.
pub fn handed_on(status: u16, found: Vec<u8>) -> Result<Response, Problem> {
    if Object::of_bytes(&found).is_none() {
        return Err(unexpected());
    }
    Ok(Response::json(status, found))
}

/// What the database said, when that is not what its function promises.
pub fn unexpected() -> Problem {
    Problem::new(&code::UPSTREAM_ERROR, "The database did not answer with what its function promises.")
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

/// Whether a `Content-Type` is of a media type, with no charset but UTF-8 (RFC 8259 section 8.1).
fn is_utf8(content_type: &str, media_type: &str) -> bool {
    let mut parts = parts(content_type, b';').map(str::trim_ascii);
    parts.next().is_some_and(|given| given.eq_ignore_ascii_case(media_type))
        && parts.all(|parameter| match cut(parameter, b'=') {
            (name, Some(value)) if name.eq_ignore_ascii_case("charset") => {
                value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("\"utf-8\"")
            }
            _ => true,
        })
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
    use super::{is_request_id, is_utf8};
    use proptest::prelude::{any, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn a_media_type_is_known_whatever_its_case_and_parameters(
            media_type in "(?i)application/json|text/plain", charset in "(?i)utf-8|\"utf-8\"|latin1", blank in " {0,2}"
        ) {
            let given = format!("{media_type}{blank};{blank}Charset={charset}");
            let is_json = media_type.eq_ignore_ascii_case("application/json") && !charset.eq_ignore_ascii_case("latin1");
            prop_assert_eq!(is_utf8(&given, "application/json"), is_json);
            prop_assert_eq!(is_utf8(&format!("{media_type};version=1"), "text/plain"), media_type.len() == 10);
        }

        #[test]
        fn no_header_makes_a_reader_panic(text in any::<String>()) {
            let _ = is_utf8(&text, "application/json");
            let is_visible = text.chars().all(|character| ('!'..='~').contains(&character));
            prop_assert_eq!(is_request_id(&text), is_visible && (1..=128).contains(&text.len()));
        }
    }
}
