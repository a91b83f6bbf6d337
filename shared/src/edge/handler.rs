//! Handlers: asynchronous functions from what they extract of a request to a response.

use std::rc::Rc;

use super::context::Context;
use super::extract::Extract;
use crate::answer::Problem;
use crate::host::{LocalFuture, Response};

/// What comes of a request: a response, or a problem that becomes one.
pub type Outcome = Result<Response, Problem>;

/// A handler whose arguments are known to nobody else.
pub(crate) type BoxedHandler<S> = Box<dyn Fn(Rc<Context<S>>) -> LocalFuture<'static, Outcome>>;

/// An `async fn` whose arguments are extractors ([`Extract`]), taken in their order: what the first refuses, the second
/// never sees. `A` is the tuple of their types.
pub trait Handler<S, A>: Copy + 'static {
    /// Extracts the arguments and calls the function.
    fn call(self, context: Rc<Context<S>>) -> impl Future<Output = Outcome> + 'static;

    /// Describes its arguments, for OpenAPI.
    #[cfg(not(target_arch = "wasm32"))]
    fn describe(described: &mut super::openapi::Described);
}

pub(crate) fn boxed<S: 'static, A: 'static>(handler: impl Handler<S, A>) -> BoxedHandler<S> {
    Box::new(move |context| Box::pin(handler.call(context)))
}

macro_rules! handler_of {
    ($($argument:ident),*) => {
        impl<S: 'static, F, R, $($argument: Extract<S>),*> Handler<S, ($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> R + Copy + 'static,
            R: Future<Output = Outcome> + 'static,
        {
            async fn call(self, context: Rc<Context<S>>) -> Outcome {
                self($($argument::extract(&context).await?),*).await
            }

            #[cfg(not(target_arch = "wasm32"))]
            fn describe(described: &mut super::openapi::Described) {
                $($argument::describe(described);)*
            }
        }
    };
}

handler_of!(A1);
handler_of!(A1, A2);
handler_of!(A1, A2, A3);
handler_of!(A1, A2, A3, A4);
