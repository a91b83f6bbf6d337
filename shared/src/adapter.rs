//! Host adapters: the only code that knows where it runs.
//!
//! [`serve!`](crate::serve) goes once into each function crate and makes its export, for the host whose feature is
//! on: `workers` makes the `fetch` event of a Cloudflare Worker (crate `worker`), `supabase` makes `handle` for
//! `Deno.serve` in `index.ts`. Both only fetch the isolate's [`Edge`](crate::edge::Edge), translate, and call it.

/// Exports a [`Function`](crate::function::Function) to the host.
#[macro_export]
macro_rules! serve {
    ($function:ty) => {
        #[cfg(all(target_arch = "wasm32", any(feature = "workers", feature = "supabase")))]
        mod export {
            use super::*;
            use $crate::edge::Edge;
            use $crate::function::Function;
            use $crate::host::Host as _;
            use $crate::web::{self, WebHost};

            thread_local! {
                /// One per isolate: configuration and keys are read once. After a trap there is another: nobody knows in
                /// what state the request that trapped has left this one. The requests that still use it end with it.
                static EDGE: std::cell::Cell<Option<&'static Edge<WebHost, $function>>> =
                    const { std::cell::Cell::new(None) };
            }

            fn respond(request: web_sys::Request, lookup: &dyn Fn(&str) -> Option<String>) -> web::Promise {
                let edge = EDGE.get().unwrap_or_else(|| Box::leak(Box::new(Edge::new(WebHost, lookup))));
                EDGE.set(Some(edge));
                let mut head = web::read_head(&request);
                let request_id = edge.request_id(&head);
                let (lost, lost_id, started_ms) = (head.clone(), request_id.clone(), edge.host().now_ms());
                web::run(
                    async move {
                        web::read_body(&request, <$function as Function>::BODY_LIMIT, &mut head).await;
                        web::write_response(&edge.respond(&head, &request_id).await).into()
                    },
                    move || {
                        EDGE.set(None);
                        web::write_response(&edge.trapped(&lost, &lost_id, started_ms)).into()
                    },
                )
            }

            // An error that cannot be: with any other, `worker`'s own Response and all it needs come along (20 KB).
            #[cfg(feature = "workers")]
            #[worker::event(fetch)]
            async fn fetch(
                request: web_sys::Request,
                env: worker::Env,
                _: worker::Context,
            ) -> Result<web_sys::Response, std::convert::Infallible> {
                let lookup = |name: &str| {
                    worker::js_sys::Reflect::get(&env, &name.into()).ok().and_then(|value| value.as_string())
                };
                // The promise is kept, whatever happens: see `web::run`.
                let response =
                    wasm_bindgen_futures::JsFuture::from(respond(request, &lookup)).await.unwrap_or_default();
                Ok(wasm_bindgen::JsCast::unchecked_into(response))
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
            pub fn handle(request: web_sys::Request) -> web::Promise {
                respond(request, &|name| variable(name))
            }
        }
    };
}
