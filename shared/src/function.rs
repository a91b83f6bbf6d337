//! A function: what each one brings, and the way every request goes through it.
//!
//! Host adapter → [`Edge::respond`] → router → handler → authenticate → validate → forward → answer. Data flows that
//! way only; a handler reads top to bottom as that sentence.

use std::cell::Cell;

use crate::auth::{Authenticator, Caller};
use crate::code;
use crate::config::{Config, Variables};
use crate::cors::AllowedOrigins;
use crate::fields::Fields;
use crate::host::Host;
use crate::http::{BodyError, Request, Response};
use crate::id::Id;
use crate::json::{self, ObjectWriter, Raw};
use crate::postgrest::{self, Raised, Rpc};
use crate::problem::Problem;

/// What one edge function brings: its name, its limits, its resources and how they answer.
#[expect(async_fn_in_trait, reason = "isolates are single-threaded: no future here has to be Send")]
pub trait Function: Sized + 'static {
    /// Name, as in the URL: `/functions/v1/<NAME>`.
    const NAME: &'static str;
    /// Version of the crate, told by `/health`.
    const VERSION: &'static str;
    /// Longest request body read, in bytes.
    const BODY_LIMIT: usize;
    /// The problems its database functions raise.
    const RAISED: &'static [Raised];
    /// One of its operations.
    type Route: Copy + 'static;
    /// Configuration of its own.
    type Settings;

    /// Reads its own variables. What is wrong is remembered in `variables`.
    fn settings(variables: &mut Variables) -> Self::Settings;

    /// The methods of the resource at a path below the function, with their operations. None: no such resource.
    fn methods(path: &[&str]) -> &'static [(&'static str, Self::Route)];

    /// Carries an operation out.
    async fn handle<H: Host>(route: Self::Route, exchange: &Exchange<'_, H, Self>) -> Result<Response, Problem>;
}

/// A function on a host, for as long as the isolate lives.
pub struct Edge<H: Host, F: Function> {
    host: H,
    origins: AllowedOrigins,
    setup: Result<Setup<F>, Vec<&'static str>>,
    authenticator: Authenticator<H::Key>,
}

/// A configuration without faults.
struct Setup<F: Function> {
    config: Config,
    settings: F::Settings,
}

/// One request and all there is to answer it with.
pub struct Exchange<'a, H: Host, F: Function> {
    /// The request.
    pub request: &'a Request,
    /// The path's segments below the function.
    pub path: &'a [&'a str],
    /// Settings of the function's own.
    pub settings: &'a F::Settings,
    /// The host.
    pub host: &'a H,
    config: &'a Config,
    authenticator: &'a Authenticator<H::Key>,
    request_id: &'a str,
    timing: &'a Timing,
}

/// How long the parts of a request took, in milliseconds.
#[derive(Debug, Default)]
struct Timing {
    auth: Cell<u64>,
    db: Cell<u64>,
}

/// The resource every function has besides its own.
const HEALTH: &str = "health";

impl<H: Host, F: Function> Edge<H, F> {
    /// Reads the configuration and begins to serve.
    pub fn new(host: H, lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut variables = Variables::new(lookup);
        let config = Config::read(&mut variables);
        let origins = Config::read_allowed_origins(&mut variables);
        let settings = F::settings(&mut variables);
        let setup = match variables.faulty() {
            [] => Ok(Setup { config, settings }),
            faulty => Err(faulty.to_vec()),
        };
        let authenticator = Authenticator::new(&host);
        Self { host, origins, setup, authenticator }
    }

    /// The host it runs on.
    pub fn host(&self) -> &H {
        &self.host
    }

    /// Answers a request. Every answer, error or not, comes through here.
    pub async fn respond(&self, request: Request) -> Response {
        let started = self.host.now_ms();
        let request_id = match request.header("x-request-id") {
            Some(id) if is_request_id(id) => id.to_owned(),
            _ => Id::new(&self.host).as_str().to_owned(),
        };
        let timing = Timing::default();
        let mut response = match self.route(&request, &request_id, &timing).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(&request_id),
        };
        if request.method == "HEAD" {
            response.body = None;
        }
        self.origins.apply(&request, &mut response);
        let total = self.host.now_ms().saturating_sub(started);
        response.with("cache-control", "no-store").with("x-request-id", request_id).with(
            "server-timing",
            format!("auth;dur={}, db;dur={}, total;dur={total}", timing.auth.get(), timing.db.get()),
        )
    }

    async fn route(&self, request: &Request, request_id: &str, timing: &Timing) -> Result<Response, Problem> {
        let path: Vec<&str> = path_below::<F>(&request.path);
        if path == [HEALTH] {
            return match request.method.as_str() {
                "GET" | "HEAD" => health::<F>(request),
                "OPTIONS" => Ok(options(request, "GET, HEAD, OPTIONS")),
                _ => Err(Problem::method_not_allowed("GET, HEAD, OPTIONS".to_owned())),
            };
        }
        let methods = F::methods(&path);
        if methods.is_empty() {
            return Err(Problem::new(&code::NOT_FOUND, "The function has no resource at this path."));
        }
        let wanted = if request.method == "HEAD" { "GET" } else { &request.method };
        let Some((_, route)) = methods.iter().find(|(method, _)| *method == wanted) else {
            let allow = allow(methods);
            return if request.method == "OPTIONS" {
                Ok(options(request, &allow))
            } else {
                Err(Problem::method_not_allowed(allow))
            };
        };
        let setup = self.setup.as_ref().map_err(|faulty| misconfigured(faulty))?;
        let exchange = Exchange {
            request,
            path: &path,
            settings: &setup.settings,
            host: &self.host,
            config: &setup.config,
            authenticator: &self.authenticator,
            request_id,
            timing,
        };
        F::handle(*route, &exchange).await
    }
}

impl<H: Host, F: Function> Exchange<'_, H, F> {
    /// Finds out who is calling. First in every handler that touches a person's rows.
    pub async fn authenticate(&self) -> Result<Caller, Problem> {
        let started = self.host.now_ms();
        let caller = self.authenticator.authenticate(self.host, self.config, self.request).await;
        self.timing.auth.set(self.host.now_ms().saturating_sub(started));
        caller
    }

    /// The body, as a JSON object on its way into types.
    pub fn body(&self) -> Result<Fields<'_>, Problem> {
        if !self.request.header("content-type").is_none_or(is_json) {
            return Err(Problem::new(&code::UNSUPPORTED_MEDIA_TYPE, "Send the body as application/json, in UTF-8."));
        }
        let bytes = self.request.body.as_ref().map_err(|error| match error {
            BodyError::TooLarge => Problem::detailed(
                &code::BODY_TOO_LARGE,
                format!("The body may be at most {} KiB large.", F::BODY_LIMIT / 1024),
            ),
            BodyError::Interrupted => {
                Problem::new(&code::BODY_INTERRUPTED, "The connection broke before the body's end.")
            }
        })?;
        let text = std::str::from_utf8(bytes).map_err(|error| {
            Problem::detailed(&code::INVALID_JSON, format!("Not UTF-8 from byte {} on.", error.valid_up_to()))
        })?;
        let body = Raw::parse(text).map_err(|at| {
            let (line, column) = json::position(text, at);
            Problem::detailed(&code::INVALID_JSON, format!("Not JSON at line {line}, column {column}."))
        })?;
        Ok(Fields::of_body(body))
    }

    /// The query, on its way into types.
    pub fn query(&self) -> Fields<'static> {
        Fields::of_query(&self.request.query)
    }

    /// Calls a database function as the caller: the one upstream request of an operation.
    pub async fn rpc(&self, caller: &Caller, function: &str, arguments: &str) -> Result<Vec<u8>, Problem> {
        let started = self.host.now_ms();
        let rpc = Rpc { function, arguments, raised: F::RAISED };
        let answer = postgrest::rpc(self.host, self.config, self.request, self.request_id, caller, rpc).await;
        self.timing.db.set(self.host.now_ms().saturating_sub(started));
        answer
    }
}

/// The path's segments below the function: a Worker is asked for `/…`, a function behind Supabase's gateway for
/// `/<name>/…`, and one whose gateway strips nothing for `/functions/v1/<name>/…`.
fn path_below<F: Function>(path: &str) -> Vec<&str> {
    let mut segments: Vec<&str> = path.split('/').skip(1).collect();
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

/// A request id is 1 to 128 visible ASCII characters.
fn is_request_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// `application/json`, with no charset but UTF-8 (RFC 8259 section 8.1).
fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json"))
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
                value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

fn allow<R>(methods: &[(&'static str, R)]) -> String {
    let mut allow = String::new();
    for (method, _) in methods {
        allow.push_str(method);
        allow.push_str(if *method == "GET" { ", HEAD, " } else { ", " });
    }
    allow + "OPTIONS"
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

/// The answer to OPTIONS: a preflight where a browser asks for one, else what RFC 9110 section 9.3.7 says.
fn options(request: &Request, allow: &str) -> Response {
    if request.header("access-control-request-method").is_some() {
        AllowedOrigins::preflight(allow)
    } else {
        Response::empty(204).with("allow", allow)
    }
}

/// The function is up: said without asking anyone.
fn health<F: Function>(request: &Request) -> Result<Response, Problem> {
    Fields::of_query(&request.query).finish()?;
    let mut body = ObjectWriter::new();
    body.string("status", "ok");
    body.string("function", F::NAME);
    body.string("version", F::VERSION);
    Ok(Response::json(200, body.finish()))
}
