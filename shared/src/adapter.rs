//! Host adapters: the only code that knows where it runs.
//!
//! [`serve!`](crate::serve) goes once into each function crate and makes its export, for the host whose feature is
//! on: `workers` makes the `fetch` event of a Cloudflare Worker (crate `worker`), `supabase` makes `handle` for
//! `Deno.serve` in `index.ts`. Both only fetch the isolate's [`Edge`](crate::function::Edge), translate, and call it.

/// Exports a [`Function`](crate::function::Function) to the host.
#[macro_export]
macro_rules! serve {
    ($function:ty) => {
        #[cfg(all(target_arch = "wasm32", any(feature = "workers", feature = "supabase")))]
        mod export {
            use super::*;
            use $crate::function::{Edge, Function};
            use $crate::web::{self, WebHost};

            thread_local! {
                /// One per isolate: configuration and keys are read once.
                static EDGE: std::cell::OnceCell<&'static Edge<WebHost, $function>> = const { std::cell::OnceCell::new() };
            }

            async fn respond(
                request: web_sys::Request,
                lookup: &dyn Fn(&str) -> Option<String>,
            ) -> web_sys::Response {
                let edge = EDGE.with(|edge| *edge.get_or_init(|| Box::leak(Box::new(Edge::new(WebHost, lookup)))));
                let request = web::read_request(&request, <$function as Function>::BODY_LIMIT).await;
                web::write_response(&edge.respond(request).await)
            }

            // An error that cannot be: with any other, `worker`'s own Response and all it needs come along (20 KB).
            #[cfg(feature = "workers")]
            #[worker::event(fetch)]
            async fn fetch(
                request: web_sys::Request,
                env: worker::Env,
                _: worker::Context,
            ) -> Result<web_sys::Response, std::convert::Infallible> {
                let lookup =
                    |name: &str| worker::js_sys::Reflect::get(&env, &name.into()).ok().and_then(|value| value.as_string());
                Ok(respond(request, &lookup).await)
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
            pub async fn handle(request: web_sys::Request) -> web_sys::Response {
                respond(request, &|name| variable(name)).await
            }
        }
    };
}
