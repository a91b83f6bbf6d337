//! Runs what every request runs, once, before the first request arrives.
//!
//! V8 compiles a function of a wasm module when it is first called, and a first request calls some 200: that took 10 of
//! its 20 ms. Hosts start a module before they have a request for it (Cloudflare: while TLS is negotiated), so the time
//! is spent there. The requests made here reach nobody: their [`Host`] sends nothing, logs nothing and accepts no
//! signature, and all they leave behind is dropped.

use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use http::header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN};

use super::{Edge, Function};
use crate::host::{Algorithm, FetchError, Host, Inbound, Key, LocalFuture, Outbound, Request, Response};

/// A token of the usual form, signed by nobody: `{"alg":"ES256","typ":"JWT","kid":"1"}`, `{}`.
const TOKEN: &str = "Bearer eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjEifQ.e30.AAAA";

/// Handles a request by a host that reaches nobody.
#[cfg(target_arch = "wasm32")]
pub(super) fn warm_up<S: 'static>(function: fn() -> Function<S>) {
    drop(rehearse(function));
}

/// The response to the request of the rehearsal: a refusal, because no signature is good here.
fn rehearse<S: 'static>(function: fn() -> Function<S>) -> Poll<Response> {
    let variable = |name: &str| match name {
        "SUPABASE_URL" => Some("http://127.0.0.1".to_owned()),
        "SUPABASE_PUBLISHABLE_KEY" => Some("sb_publishable_1".to_owned()),
        "SUPABASE_JWKS" => Some(r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","alg":"ES256"}]}"#.to_owned()),
        _ => None,
    };
    let edge = Edge::new(Rc::new(Nowhere), function(), &variable);
    let mut request = Request::new("POST", "https://a.example/");
    for (name, value) in [(AUTHORIZATION, TOKEN), (CONTENT_TYPE, "application/json"), (ORIGIN, "https://a.example")] {
        request.add_header(name, value);
    }
    let arrival = Rc::new(edge.arrival(request));
    pin!(edge.respond(arrival, Ok(b"{}".to_vec()))).poll(&mut Context::from_waker(Waker::noop()))
}

/// A host that reaches nobody, and accepts no signature.
struct Nowhere;

impl Host for Nowhere {
    fn fetch<'a>(&'a self, _: Outbound<'a>) -> LocalFuture<'a, Result<Inbound, FetchError>> {
        Box::pin(async { Err(FetchError::Unreachable) })
    }

    fn import_key<'a>(&'a self, _: Algorithm, _: &'a str) -> LocalFuture<'a, Option<Key>> {
        Box::pin(async { Some(Key::new(())) })
    }

    fn verify<'a>(&'a self, _: Algorithm, _: &'a Key, _: &'a [u8], _: &'a [u8]) -> LocalFuture<'a, bool> {
        Box::pin(async { false })
    }

    fn sleep(&self, _: u32) -> LocalFuture<'_, ()> {
        Box::pin(async {})
    }

    fn log(&self, _: &str) {}

    fn now_ms(&self) -> u64 {
        0
    }

    fn timestamp(&self, _: u64) -> String {
        String::new()
    }

    fn random(&self, _: &mut [u8]) {}
}

#[cfg(test)]
mod tests {
    use super::rehearse;
    use crate::answer;
    use crate::auth::Caller;
    use crate::edge::{Function, Outcome, post};
    use http::StatusCode;
    use std::task::Poll;

    async fn admit(_: Caller) -> Outcome {
        Ok(answer::empty(StatusCode::NO_CONTENT))
    }

    #[test]
    fn the_rehearsal_ends_at_the_signature() {
        let function = || Function::new("rehearsed", "1").route("/", post(admit));
        let Poll::Ready(response) = rehearse(function) else { panic!("it waits for somebody") };
        let body = String::from_utf8(response.into_body().into_bytes().unwrap()).unwrap();
        assert!(body.contains(r#""code":"bad_signature""#), "{body}");
    }
}
