//! Extractors: what a handler may ask of a request.

use std::rc::Rc;

use super::context::Context;
use crate::answer::Problem;
use crate::auth::{self, Caller};
use crate::host::Request;
use crate::request::{FromRequest, Primary};
use crate::upstream::Database;

/// Something a handler takes as an argument.
#[expect(async_fn_in_trait, reason = "isolates are single-threaded: no future here has to be Send")]
pub trait Extract<S>: Sized + 'static {
    /// Extracts it, or answers in the handler's place.
    async fn extract(context: &Rc<Context<S>>) -> Result<Self, Problem>;

    /// Describes it, for OpenAPI.
    #[cfg(not(target_arch = "wasm32"))]
    fn describe(_: &mut super::openapi::Described) {}
}

/// The signed-in user: 401 or 403 before anything else of the request is looked at.
impl<S: 'static> Extract<S> for Caller {
    async fn extract(context: &Rc<Context<S>>) -> Result<Self, Problem> {
        context.caller().await?.ok_or_else(auth::missing)
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn describe(described: &mut super::openapi::Described) {
        described.caller = Some(super::openapi::Access::User);
    }
}

/// The request's body as a request type: 400, 413, 415, or 422 with every fault.
pub struct Input<T>(pub T);

impl<S: 'static, T: FromRequest<S> + 'static> Extract<S> for Input<T> {
    async fn extract(context: &Rc<Context<S>>) -> Result<Self, Problem> {
        context.with_parts(|parts| T::from_request(parts, Primary::Body, &context.services.settings)).map(Self)
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn describe(described: &mut super::openapi::Described) {
        described.reads = Some(T::fields());
        described.bodies = T::bodies();
    }
}

/// The URL's query as a request type: 422 with every fault.
pub struct Query<T>(pub T);

impl<S: 'static, T: FromRequest<S> + 'static> Extract<S> for Query<T> {
    async fn extract(context: &Rc<Context<S>>) -> Result<Self, Problem> {
        context.with_parts(|parts| T::from_request(parts, Primary::Query, &context.services.settings)).map(Self)
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn describe(described: &mut super::openapi::Described) {
        described.reads = Some(T::fields());
    }
}

/// The signed-in user, or a visitor who sent no token. A token that is there and is bad is refused, never taken for none.
pub struct Visitor(pub Option<Caller>);

impl<S: 'static> Extract<S> for Visitor {
    async fn extract(context: &Rc<Context<S>>) -> Result<Self, Problem> {
        let caller = context.caller().await?;
        if caller.is_none() {
            context.admit_visitor()?;
        }
        Ok(Self(caller))
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn describe(described: &mut super::openapi::Described) {
        described.caller = Some(super::openapi::Access::Anonymous);
    }
}

/// A request type that may carry its sender's token, because `navigator.sendBeacon` can set no headers.
pub trait CarriesToken {
    /// Takes the token out: it is no part of what is sent on.
    fn take_token(&mut self) -> Option<String>;
}

/// A body from a signed-in user or from a visitor, whose token is in the header, in the body, or nowhere. A token that
/// is there and is bad is refused, never taken for none.
pub struct Signed<T> {
    /// The signed-in user; a visitor is `None`.
    pub caller: Option<Caller>,
    /// The body.
    pub input: T,
}

impl<S: 'static, T: FromRequest<S> + CarriesToken + 'static> Extract<S> for Signed<T> {
    async fn extract(context: &Rc<Context<S>>) -> Result<Self, Problem> {
        // A token in the header is judged before the body is looked at.
        let in_header = context.caller().await?;
        let Input(mut input) = Input::<T>::extract(context).await?;
        let caller = match (in_header, input.take_token()) {
            (None, Some(token)) => Some(context.verify(&token).await?),
            (caller, _) => caller,
        };
        if caller.is_none() {
            context.admit_visitor()?;
        }
        Ok(Self { caller, input })
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn describe(described: &mut super::openapi::Described) {
        <Input<T> as Extract<S>>::describe(described);
        described.caller = Some(super::openapi::Access::Anonymous);
    }
}

/// The caller, verified only if the handler needs to know: for what anybody may read in part.
pub struct Credentials<S>(Rc<Context<S>>);

impl<S: 'static> Credentials<S> {
    /// Verifies the caller.
    pub async fn verify(self) -> Result<Caller, Problem> {
        self.0.caller().await?.ok_or_else(auth::missing)
    }
}

impl<S: 'static> Extract<S> for Credentials<S> {
    async fn extract(context: &Rc<Context<S>>) -> Result<Self, Problem> {
        Ok(Self(Rc::clone(context)))
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn describe(described: &mut super::openapi::Described) {
        described.caller = Some(super::openapi::Access::Public);
    }
}

/// The head of the request, for headers that are no part of a request type.
pub struct Head(pub Rc<Request>);

impl<S: 'static> Extract<S> for Head {
    async fn extract(context: &Rc<Context<S>>) -> Result<Self, Problem> {
        Ok(Self(Rc::clone(&context.arrival.request)))
    }
}

impl<S: 'static> Extract<S> for Database {
    async fn extract(context: &Rc<Context<S>>) -> Result<Self, Problem> {
        let (arrival, stats) = (&context.arrival, Rc::clone(&context.record.stats));
        let (request, id) = (Rc::clone(&arrival.request), Rc::clone(&arrival.request_id));
        Ok(Self::new(Rc::clone(&context.services.upstream), request, id, stats, context.raises))
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn describe(described: &mut super::openapi::Described) {
        described.calls_database = true;
    }
}
