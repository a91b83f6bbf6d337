//! Host adapters: the exports of a function's wasm module.
//!
//! [`serve!`](crate::serve) goes once into each function crate and makes its export, for the host whose feature is
//! on: `workers` makes the `fetch` handler of a Cloudflare Worker (types of the crate `worker`), `supabase` makes
//! `handle` for `Deno.serve` in `index.ts`. Both only find the isolate's [`Edge`] and call [`respond`].

use std::cell::RefCell;
use std::rc::Rc;
#[cfg(target_arch = "wasm32")]
use std::thread::LocalKey;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen::JsValue;

use super::Edge;
#[cfg(target_arch = "wasm32")]
use super::Function;
#[cfg(target_arch = "wasm32")]
use crate::host::web::{self, Promise, WebHost};

/// The isolate's [`Edge`]: configuration and keys are read once. After a trap there is another, because nobody knows in
/// what state the request that trapped has left this one. Requests that still use it end with it.
pub type Isolate<S> = RefCell<Option<Rc<Edge<S>>>>;

/// How long a body may take to arrive, in milliseconds. A body of 512 KiB arrives in time at 2 KB a second; one that trickles in
/// forever would hold its request's memory as long.
#[cfg(target_arch = "wasm32")]
const BODY_MS: u32 = 5 * 60 * 1000;

/// Responds to a request of the host's. `keep` is called with each promise for which the host must keep the request alive.
#[cfg(target_arch = "wasm32")]
pub fn respond<S: 'static>(
    isolate: &'static LocalKey<Isolate<S>>,
    function: fn() -> Function<S>,
    request: web::Request,
    lookup: &dyn Fn(&str) -> Option<String>,
    keep: impl Fn(&Promise) + Clone + 'static,
) -> Promise {
    let edge = isolate.with_borrow(Option::clone).unwrap_or_else(|| {
        // Made while nothing is borrowed: a host that throws here must not lock the isolate.
        let edge = Edge::new(Rc::new(WebHost::new()), function(), lookup);
        isolate.set(Some(Rc::clone(&edge)));
        edge
    });
    let arrival = Rc::new(edge.arrival(web::read_head(&request)));
    let (trapped_edge, trapped) = (Rc::clone(&edge), Rc::clone(&arrival));
    let keep_afterwards = keep.clone();
    let response = web::run(
        async move {
            let body = web::read_body(&request, &arrival.request, edge.body_limit(), BODY_MS).await;
            let response = Rc::clone(&edge).respond(arrival, body).await;
            if let Some(afterwards) = edge.afterwards() {
                keep_afterwards(&run_afterwards(isolate, afterwards));
            }
            web::write_response(response)
        },
        move || {
            isolate.set(None);
            web::write_response(trapped_edge.trapped(&trapped))
        },
    );
    keep(&response);
    response
}

/// Runs what no response waits for.
#[cfg(target_arch = "wasm32")]
fn run_afterwards<S: 'static>(
    isolate: &'static LocalKey<Isolate<S>>,
    afterwards: impl Future<Output = ()> + 'static,
) -> Promise {
    let future = async move {
        afterwards.await;
        JsValue::UNDEFINED
    };
    web::run(future, move || {
        isolate.set(None);
        JsValue::UNDEFINED
    })
}

/// Prepares for requests; called once, when the host starts the module.
#[cfg(target_arch = "wasm32")]
pub fn start<S: 'static>(function: fn() -> Function<S>) {
    super::warm_up::warm_up(function);
}

/// Exports a function to the host: `serve!(function, Settings)`, where `function` makes the [`Function`].
#[macro_export]
macro_rules! serve {
    ($function:path, $settings:ty) => {
        #[cfg(all(target_arch = "wasm32", any(feature = "workers", feature = "supabase")))]
        mod export {
            use super::*;
            use $crate::edge::adapter::{Isolate, respond};
            use $crate::host::web;

            thread_local! {
                static ISOLATE: Isolate<$settings> = const { std::cell::RefCell::new(None) };
            }

            #[wasm_bindgen::prelude::wasm_bindgen(start)]
            fn start() {
                $crate::edge::adapter::start($function);
            }

            /// The `fetch` handler. The host keeps the request alive until the promise is kept, even where the caller
            /// goes away: what the request holds of the module's memory is then released.
            #[cfg(feature = "workers")]
            #[wasm_bindgen::prelude::wasm_bindgen]
            pub fn fetch(
                request: web::Request,
                env: worker::Env,
                context: worker::worker_sys::Context,
            ) -> web::Promise {
                let lookup = |name: &str| {
                    worker::js_sys::Reflect::get(&env, &name.into()).ok().and_then(|value| value.as_string())
                };
                let context = std::rc::Rc::new(context);
                respond(&ISOLATE, $function, request, &lookup, move |promise| {
                    // Fails only where the host has no such thing; then the request lives as long as its caller waits.
                    let _ = context.wait_until(promise);
                })
            }

            #[cfg(feature = "supabase")]
            #[wasm_bindgen::prelude::wasm_bindgen]
            extern "C" {
                /// One variable at a time: the service key is in the same environment, and never asked for.
                #[wasm_bindgen(js_namespace = ["Deno", "env"], js_name = get)]
                fn variable(name: &str) -> Option<String>;
            }

            /// Answers a request.
            #[cfg(feature = "supabase")]
            #[wasm_bindgen::prelude::wasm_bindgen]
            pub fn handle(request: web::Request) -> web::Promise {
                respond(&ISOLATE, $function, request, &|name| variable(name), |_| ())
            }
        }
    };
}
