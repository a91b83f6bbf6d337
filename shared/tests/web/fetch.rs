//! Requests to other servers: what is sent, what comes back, and how it fails.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::Reflect;
use shared::host::{FetchError, Host, Inbound, Outbound};
use shared::web::WebHost;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::driven::driven;
use crate::upstream::Upstream;

/// Sends a POST and allows it so many milliseconds.
async fn post(url: &str, timeout_ms: u32) -> Result<Inbound, FetchError> {
    let url = url.to_owned();
    driven(async move {
        let headers = &[("authorization", "Bearer a.b.c"), ("content-type", "application/json")];
        let body = Some("{\"a\":\"é\"}");
        WebHost.fetch(Outbound { method: "POST", url: &url, headers, body, timeout_ms }).await
    })
    .await
}

#[wasm_bindgen_test]
async fn method_headers_and_body_arrive_and_status_and_body_come_back() {
    let authorization = Rc::new(RefCell::new(None));
    let noted = Rc::clone(&authorization);
    let upstream = Upstream::start(move |request, reply| {
        *noted.borrow_mut() = Reflect::get(&request.headers(), &"authorization".into()).unwrap().as_string();
        reply.head(418, "{}");
        request.echo(&reply);
    })
    .await;
    let answer = post(&format!("{}/rest/v1/rpc/x?a=1", upstream.url), 5000).await.unwrap();
    assert_eq!(answer.status, 418);
    assert_eq!(answer.body, "{\"a\":\"é\"}".as_bytes());
    assert_eq!(*upstream.arrived.borrow(), ["POST /rest/v1/rpc/x?a=1"]);
    assert_eq!(authorization.borrow().as_deref(), Some("Bearer a.b.c"));
}

#[wasm_bindgen_test]
async fn a_redirect_is_not_followed() {
    let upstream = Upstream::start(|_, reply| {
        reply.head(307, r#"{"location":"/elsewhere"}"#);
        reply.end();
    })
    .await;
    assert_eq!(post(&upstream.url, 5000).await.unwrap().status, 307);
    assert_eq!(*upstream.arrived.borrow(), ["POST /"], "a token must not go where the answer points");
}

#[wasm_bindgen_test]
async fn a_port_where_nobody_listens_is_unreachable() {
    let url = Upstream::start(|_, _| ()).await.url.clone();
    assert_eq!(post(&url, 5000).await.err(), Some(FetchError::Unreachable));
}

#[wasm_bindgen_test]
async fn a_connection_that_breaks_is_unreachable() {
    let before_the_head = Upstream::start(|_, reply| reply.destroy()).await;
    assert_eq!(post(&before_the_head.url, 5000).await.err(), Some(FetchError::Unreachable));
    let within_the_body = Upstream::start(|_, reply| {
        reply.head(200, r#"{"content-length":"100"}"#);
        reply.write("[");
        reply.destroy();
    })
    .await;
    assert_eq!(post(&within_the_body.url, 5000).await.err(), Some(FetchError::Unreachable));
}

#[wasm_bindgen_test]
async fn a_server_that_never_answers_is_a_timeout() {
    let upstream = Upstream::start(|_, _| ()).await;
    let began = WebHost.now_ms();
    assert_eq!(post(&upstream.url, 200).await.err(), Some(FetchError::Timeout));
    let took = WebHost.now_ms() - began;
    assert!((190..3000).contains(&took), "{took} ms");
    assert_eq!(*upstream.arrived.borrow(), ["POST /"]);
}

#[wasm_bindgen_test]
async fn a_server_that_begins_to_answer_and_stops_is_a_timeout() {
    let upstream = Upstream::start(|_, reply| {
        reply.head(200, "{}");
        reply.write("[");
    })
    .await;
    assert_eq!(post(&upstream.url, 200).await.err(), Some(FetchError::Timeout));
}
