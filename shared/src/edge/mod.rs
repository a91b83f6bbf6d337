//! Handles every request; one [`Edge`] per isolate.
//!
//! Host adapter → [`Edge::respond`] → route → extractors → handler → response.

pub mod adapter;
mod context;
mod cors;
mod extract;
mod handler;
mod health;
mod log;
#[cfg(not(target_arch = "wasm32"))]
pub mod openapi;
mod route;
mod services;
#[cfg(any(test, target_arch = "wasm32"))]
mod warm_up;

use std::rc::Rc;

use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Method, StatusCode};

use crate::answer::{self, ETag, Problem, code, set_header};
use crate::host::{Body, BodyError, Host, Request, Response};
use crate::request::{Id, RequestBody};
use context::Record;
pub use context::{Arrival, Context};
pub use extract::{CarriesToken, Credentials, Extract, Head, Input, Query, Signed, Visitor};
pub use handler::{Handler, Outcome};
use health::Health;
use log::Line;
pub use route::{BODY_LIMIT, Function, Layer, Methods, get, post};
use route::{Operation, Route, not_allowed};
use services::Services;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Longest request id that is echoed, in characters.
const REQUEST_ID_MAX_CHARS: usize = 128;

/// A function on a host, for as long as the isolate lives.
pub struct Edge<S> {
    function: Function<S>,
    services: Rc<Services<S>>,
    health: Health,
}

impl<S: 'static> Edge<S> {
    /// Reads the configuration and begins to serve.
    pub fn new(host: Rc<dyn Host>, function: Function<S>, lookup: &dyn Fn(&str) -> Option<String>) -> Rc<Self> {
        let services = Rc::new(Services::new(host, function.settings, lookup));
        Rc::new(Self { function, services, health: Health::default() })
    }

    /// Longest request body read, in bytes.
    pub fn body_limit(&self) -> usize {
        self.function.body_limit
    }

    /// How many tokens and how many keys it remembers.
    #[cfg(feature = "fake")]
    pub fn remembered(&self) -> (usize, usize) {
        self.services.authenticator.remembered()
    }

    /// Notes a request's arrival.
    pub fn arrival(&self, request: Request) -> Arrival {
        let request_id = match request.header(X_REQUEST_ID) {
            Some(id) if is_request_id(id) => id.into(),
            _ => Id::new(&*self.services.host).to_string().into(),
        };
        Arrival { request: Rc::new(request), request_id, started_ms: self.services.host.now_ms() }
    }

    /// Responds to a request.
    pub async fn respond(self: Rc<Self>, arrival: Rc<Arrival>, body: Result<Vec<u8>, BodyError>) -> Response {
        let request = Rc::clone(&arrival.request);
        let path = self.path_below(&request.path);
        let found = self.function.find(&path);
        let (route, params) = found.map_or((None, Vec::new()), |(route, params)| (Some(route), params));
        let operation = route.and_then(|route| route.operation(&request.method));
        let context = Rc::new(Context {
            services: Rc::clone(&self.services),
            arrival,
            body: RequestBody::new(body),
            params,
            raises: operation.map_or(&[], |operation| operation.raises),
            record: Record::default(),
            id: Default::default(),
        });
        let outcome = if path == [health::PATH] {
            self.health.respond(&self.function, &context).await
        } else {
            self.handle(route, operation, &context).await
        };
        self.finish(&context.arrival, &context.body, outcome, &context.record)
    }

    /// What is left to do once a response is on its way, and nobody waits for: fetching the key set before it is old.
    pub fn afterwards(self: &Rc<Self>) -> Option<impl Future<Output = ()> + 'static> {
        let edge = Rc::clone(self);
        let refresh = async move { edge.services.authenticator.refresh().await };
        self.services.authenticator.is_refresh_due().then_some(refresh)
    }

    /// Responds to a request whose handling trapped: a panic, or memory that ran out.
    pub fn trapped(&self, arrival: &Arrival) -> Response {
        let problem = Problem::new(
            &code::INTERNAL,
            "The function broke while it answered. A write may have happened: send the same ids again to find out.",
        );
        let record = Record::default();
        if let Some((route, _)) = self.function.find(&self.path_below(&arrival.request.path)) {
            record.route.set(route.path);
        }
        self.finish(arrival, &RequestBody::lost(), Err(problem), &record)
    }

    /// Calls the handler, if there is one.
    async fn handle(
        &self,
        route: Option<&Route<S>>,
        operation: Option<&Operation<S>>,
        context: &Rc<Context<S>>,
    ) -> Outcome {
        let request = &context.arrival.request;
        let Some(route) = route else {
            return if cors::is_preflight(request) {
                // So that the page may ask, and read that there is nothing.
                Ok(cors::allow(["GET", "HEAD", "POST", "PUT", "DELETE"].into_iter()))
            } else {
                Err(Problem::new(&code::NOT_FOUND, "The function has no resource at this path."))
            };
        };
        context.record.route.set(route.path);
        match operation {
            Some(operation) => {
                self.services.check_configuration()?;
                route::handle(operation, Rc::clone(context)).await
            }
            None => {
                let methods = route.methods.iter().map(|operation| &operation.method);
                not_allowed(request, methods.flat_map(with_head))
            }
        }
    }

    /// Every response, of whatever kind, comes through here.
    fn finish(&self, arrival: &Arrival, body: &RequestBody, outcome: Outcome, record: &Record) -> Response {
        let Arrival { request, request_id, started_ms } = arrival;
        let mut code = None;
        let layers = |response: &mut Response| {
            self.function.layers.iter().try_for_each(|layer| layer(&self.services.settings, request, body, response))
        };
        let outcome = outcome.and_then(|mut response| layers(&mut response).map(|()| response));
        let mut response = outcome.unwrap_or_else(|problem| {
            code = Some(problem.code.name);
            let mut response = problem.into_response(request_id, &self.services.config.problem_type_base);
            // A problem is whole: everything can be added to it.
            let _ = layers(&mut response);
            response
        });
        revalidate(request, &mut response);
        if request.method == Method::HEAD {
            *response.body_mut() = Body::Empty;
        }
        cors::apply(&self.services.config.allowed_origins, request, &mut response);
        let now_ms = self.services.host.now_ms();
        let dur_ms = now_ms.saturating_sub(*started_ms);
        let (auth_ms, db_ms) = (record.auth_ms.get(), record.stats.db_ms.get());
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        set_header(headers, X_REQUEST_ID, request_id);
        set_header(headers, SERVER_TIMING, &format!("auth;dur={auth_ms}, db;dur={db_ms}, total;dur={dur_ms}"));
        let status = response.status().as_u16();
        if log::level(status) >= self.services.config.log_level {
            self.services.host.log(&log::line(&Line {
                ts: &self.services.host.timestamp(*started_ms),
                level: log::level(status).name(),
                function: self.function.name,
                request_id,
                trace_id: request.header(TRACEPARENT).and_then(log::trace_id),
                method: request.method.as_str(),
                route: record.route.get(),
                status,
                code,
                user: record.user.get().map(|user| format!("{user:016x}")),
                dur_ms,
                db_ms,
                retries: record.stats.retries.get(),
                breaker: self.services.upstream.breaker.state(now_ms),
            }));
        }
        response
    }

    /// The path's segments below the function: a Worker is asked for `/…`, a function behind Supabase's gateway for
    /// `/<name>/…`, and one whose gateway strips nothing for `/functions/v1/<name>/…`.
    fn path_below<'a>(&self, path: &'a str) -> Vec<&'a str> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let mut segments: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
        if segments == [""] {
            segments.clear();
        }
        let prefix = match segments.as_slice() {
            ["functions", "v1", name, ..] if *name == self.function.name => 3,
            [name, ..] if *name == self.function.name => 1,
            _ => 0,
        };
        segments.split_off(prefix)
    }
}

/// The names of a method, and of `HEAD` where there is `GET`.
fn with_head(method: &Method) -> impl Iterator<Item = &str> {
    [method.as_str()].into_iter().chain((*method == Method::GET).then_some("HEAD"))
}

/// Makes 304 of a response whose tag the caller has already (RFC 9110 section 13.1.2).
fn revalidate(request: &Request, response: &mut Response) {
    let is_read = response.status() == StatusCode::OK && matches!(request.method, Method::GET | Method::HEAD);
    let Some(tag) = response.headers().get(ETAG).filter(|_| is_read).cloned() else { return };
    let known = request.header(IF_NONE_MATCH);
    if known.is_some_and(|known| tag.to_str().is_ok_and(|tag| ETag::is_listed(tag, known))) {
        *response = answer::empty(StatusCode::NOT_MODIFIED);
        response.headers_mut().insert(ETAG, tag);
    }
}

/// A request id is 1 to 128 visible ASCII characters.
fn is_request_id(text: &str) -> bool {
    (1..=REQUEST_ID_MAX_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
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
