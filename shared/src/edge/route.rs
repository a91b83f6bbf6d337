//! A function: its routes and what they lead to. Built once per isolate.

use std::rc::Rc;

use http::Method;

use super::context::Context;
use super::cors;
use super::handler::{BoxedHandler, Handler, Outcome, boxed};
use crate::answer::Problem;
use crate::config::Variables;
use crate::host::{Request, Response};
use crate::request::RequestBody;
use crate::upstream::DatabaseError;

/// What one edge function brings: its name, its limits, its routes.
pub struct Function<S> {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) body_limit: usize,
    pub(crate) settings: fn(&mut Variables) -> S,
    pub(crate) routes: Vec<Route<S>>,
    pub(crate) layers: Vec<Layer<S>>,
    pub(crate) health: Vec<(&'static str, serde_json::Value)>,
}

/// Something done to every response of a function, whatever came of the request: also to problems. Where it fails, the
/// response is its problem, to which all layers are applied; so they must not fail for a problem.
pub type Layer<S> = fn(&S, &Request, &RequestBody, &mut Response) -> Result<(), Problem>;

impl Function<()> {
    /// A function without configuration of its own. `name` is that in the URL: `/functions/v1/<name>`.
    pub fn new(name: &'static str, version: &'static str) -> Self {
        Self::with_settings(name, version, |_| ())
    }
}

impl<S: 'static> Function<S> {
    /// A function that reads variables of its own. What is wrong with them is noted in the [`Variables`].
    pub fn with_settings(name: &'static str, version: &'static str, settings: fn(&mut Variables) -> S) -> Self {
        let (routes, layers, health) = (Vec::new(), Vec::new(), Vec::new());
        Self { name, version, body_limit: BODY_LIMIT, settings, routes, layers, health }
    }

    /// Longest request body read, in bytes, where it is not [`BODY_LIMIT`].
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Adds a resource: a path below the function, with parameters in braces (`/sessions/{id}`), and its methods. The
    /// log shows the path as it is written here, never as it was asked for.
    #[must_use]
    pub fn route(mut self, path: &'static str, methods: Methods<S>) -> Self {
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let segments =
            segments.map(|segment| if segment.starts_with('{') { Segment::Param } else { Segment::Is(segment) });
        self.routes.push(Route { path, segments: segments.collect(), methods: methods.0 });
        self
    }

    /// Adds a layer around all routes.
    #[must_use]
    pub fn layer(mut self, layer: Layer<S>) -> Self {
        self.layers.push(layer);
        self
    }

    /// Adds a member to what `/health` shows.
    #[must_use]
    pub fn health(mut self, name: &'static str, value: serde_json::Value) -> Self {
        self.health.push((name, value));
        self
    }

    /// The route of a path below the function, and its parameters.
    pub(crate) fn find(&self, path: &[&str]) -> Option<(&Route<S>, Vec<String>)> {
        self.routes.iter().find_map(|route| Some((route, route.params(path)?)))
    }

    /// Every problem its database functions raise.
    pub fn raises(&self) -> impl Iterator<Item = &'static DatabaseError> {
        self.routes.iter().flat_map(|route| &route.methods).flat_map(|operation| operation.raises)
    }
}

/// Longest request body of a function that does not say otherwise, in bytes: a message with its parts, or a batch of
/// events.
pub const BODY_LIMIT: usize = 512 * 1024;

/// A resource.
pub(crate) struct Route<S> {
    pub(crate) path: &'static str,
    segments: Vec<Segment>,
    pub(crate) methods: Vec<Operation<S>>,
}

enum Segment {
    Is(&'static str),
    Param,
}

impl<S> Route<S> {
    /// The path's parameters, if the path is this route's.
    fn params(&self, path: &[&str]) -> Option<Vec<String>> {
        let is_route = self.segments.len() == path.len()
            && self.segments.iter().zip(path).all(|(segment, part)| match segment {
                Segment::Is(name) => name == part,
                Segment::Param => true,
            });
        let params = self.segments.iter().zip(path).filter(|(segment, _)| matches!(segment, Segment::Param));
        is_route.then(|| params.map(|(_, part)| (*part).to_owned()).collect())
    }

    /// The operation of a method. `GET` brings `HEAD`.
    pub(crate) fn operation(&self, method: &Method) -> Option<&Operation<S>> {
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        self.methods.iter().find(|operation| operation.method == *wanted)
    }
}

/// What a method does to a resource.
pub(crate) struct Operation<S> {
    pub(crate) method: Method,
    pub(crate) handler: BoxedHandler<S>,
    pub(crate) raises: &'static [DatabaseError],
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) describe: fn(&mut super::openapi::Described),
}

/// The methods of a resource, each with its handler.
pub struct Methods<S>(Vec<Operation<S>>);

/// A resource that can be read by `handler`.
pub fn get<S: 'static, A: 'static>(handler: impl Handler<S, A>) -> Methods<S> {
    Methods(Vec::new()).on(Method::GET, handler)
}

/// A resource to which `handler` takes what is posted.
pub fn post<S: 'static, A: 'static>(handler: impl Handler<S, A>) -> Methods<S> {
    Methods(Vec::new()).on(Method::POST, handler)
}

impl<S: 'static> Methods<S> {
    /// `POST` as well.
    #[must_use]
    pub fn post<A: 'static>(self, handler: impl Handler<S, A>) -> Self {
        self.on(Method::POST, handler)
    }

    /// `PUT` as well.
    #[must_use]
    pub fn put<A: 'static>(self, handler: impl Handler<S, A>) -> Self {
        self.on(Method::PUT, handler)
    }

    /// `PATCH` as well.
    #[must_use]
    pub fn patch<A: 'static>(self, handler: impl Handler<S, A>) -> Self {
        self.on(Method::PATCH, handler)
    }

    /// `DELETE` as well.
    #[must_use]
    pub fn delete<A: 'static>(self, handler: impl Handler<S, A>) -> Self {
        self.on(Method::DELETE, handler)
    }

    /// The problems that the database function of the last method raises.
    #[must_use]
    pub fn raises(mut self, raises: &'static [DatabaseError]) -> Self {
        if let Some(last) = self.0.last_mut() {
            last.raises = raises;
        }
        self
    }

    fn on<H: Handler<S, A>, A: 'static>(mut self, method: Method, handler: H) -> Self {
        self.0.push(Operation {
            method,
            handler: boxed(handler),
            raises: &[],
            #[cfg(not(target_arch = "wasm32"))]
            describe: H::describe,
        });
        self
    }
}

/// Calls an operation's handler.
pub(crate) async fn handle<S>(operation: &Operation<S>, context: Rc<Context<S>>) -> Outcome {
    (operation.handler)(context).await
}

/// A response to a method that a resource does not have.
pub(super) fn not_allowed<'a>(request: &Request, methods: impl Iterator<Item = &'a str>) -> Outcome {
    let allow = cors::allow(methods);
    if request.method == Method::OPTIONS {
        return Ok(allow);
    }
    let methods = allow.headers().get(http::header::ALLOW).and_then(|methods| methods.to_str().ok());
    Err(Problem::method_not_allowed(methods.unwrap_or_default().to_owned()))
}
