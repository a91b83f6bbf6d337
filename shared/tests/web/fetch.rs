//! Requests to other servers: what is sent, what comes back, and how it fails.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, Object, Reflect};
use shared::host::web::WebHost;
use shared::host::{Body, FetchError, Host, Inbound, Outbound};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::driven::driven;
use crate::upstream::Upstream;

/// What is read completely before a response is passed on, in these tests.
pub(crate) const BUFFER: usize = 1000;

/// Sends a POST and allows it so many milliseconds.
pub(crate) async fn post(url: &str, timeout_ms: u32) -> Result<Inbound, FetchError> {
    let url = url.to_owned();
    driven(async move {
        let headers = &[("authorization", "Bearer a.b.c"), ("content-type", "application/json")];
        let (body, buffer) = (Some("{\"a\":\"é\"}"), BUFFER as u32);
        let request = Outbound { method: "POST", url: &url, headers, body, timeout_ms, buffer };
        WebHost::default().fetch(request).await
    })
    .await
}

/// The body, if it came whole.
fn whole(body: &Body) -> Option<Vec<u8>> {
    match body {
        Body::Held(held) => held.bytes(),
        Body::Empty | Body::Bytes(_) => panic!("{body:?} did not stay in JavaScript"),
    }
}

#[wasm_bindgen_test]
async fn method_headers_and_body_arrive_and_status_and_body_come_back() {
    let names = Rc::new(RefCell::new(Vec::new()));
    let authorization = Rc::new(RefCell::new(None));
    let (noted, noted_names) = (Rc::clone(&authorization), Rc::clone(&names));
    let upstream = Upstream::start(move |request, reply| {
        let headers = request.headers();
        *noted.borrow_mut() = Reflect::get(&headers, &"authorization".into()).unwrap().as_string();
        let sent: Array = Object::keys(&headers.into());
        noted_names.borrow_mut().extend(sent.iter().filter_map(|name| name.as_string()));
        reply.head(418, "{}");
        request.echo(&reply);
    })
    .await;
    let answer = post(&format!("{}/rest/v1/rpc/x?a=1", upstream.url), 5000).await.unwrap();
    assert_eq!(answer.status, 418);
    assert_eq!(answer.body.into_bytes().unwrap(), "{\"a\":\"é\"}".as_bytes());
    assert_eq!(*upstream.arrived.borrow(), ["POST /rest/v1/rpc/x?a=1"]);
    assert_eq!(authorization.borrow().as_deref(), Some("Bearer a.b.c"));
    assert!(!names.borrow().iter().any(|name| name == "cookie" || name == "referer"), "{names:?}");
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
async fn three_headers_are_read_and_no_others() {
    let upstream = Upstream::start(|_, reply| {
        let headers = r#"{
            "Location": "?session_id=a&limit=6", "ETag": "\"4\"", "Retry-After": "7",
            "Content-Type": "application/json; charset=utf-8", "Content-Location": "/rpc/x",
            "Content-Profile": "public", "Set-Cookie": "a=b", "Server": "postgrest", "sb-project-ref": "p"
        }"#;
        reply.head(201, headers);
        reply.end();
    })
    .await;
    let found = post(&upstream.url, 5000).await.unwrap();
    let mut headers: Vec<_> =
        found.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    headers.sort_unstable();
    assert_eq!(headers, [("etag", "\"4\""), ("location", "?session_id=a&limit=6"), ("retry-after", "7")]);
    let upstream = Upstream::start(|_, reply| {
        reply.head(200, "{}");
        reply.end();
    })
    .await;
    assert!(post(&upstream.url, 5000).await.unwrap().headers.is_empty());
}

#[wasm_bindgen_test]
async fn a_response_of_at_most_the_buffer_comes_whole() {
    for length in [0, 1, BUFFER - 1, BUFFER] {
        let text = text(length);
        // With Content-Length; in one chunk; in several.
        let replies: [fn(&crate::upstream::Reply, &str); 3] = [
            |reply, text| {
                reply.head(200, &format!(r#"{{"content-length":"{}"}}"#, text.len()));
                reply.write(text);
            },
            |reply, text| {
                reply.head(200, "{}");
                reply.write(text);
            },
            |reply, text| {
                reply.head(200, "{}");
                for part in text.as_bytes().chunks(7) {
                    reply.write(std::str::from_utf8(part).unwrap());
                }
            },
        ];
        for (way, send) in replies.into_iter().enumerate() {
            let sent = text.clone();
            let upstream = Upstream::start(move |_, reply| {
                send(&reply, &sent);
                reply.end();
            })
            .await;
            let body = post(&upstream.url, 5000).await.unwrap().body;
            assert!(whole(&body) == Some(text.clone().into_bytes()), "{length} bytes, way {way}");
            assert!(body.into_bytes().unwrap() == text.as_bytes(), "{length} bytes, way {way}");
        }
    }
}

#[wasm_bindgen_test]
async fn a_longer_response_is_streamed() {
    for head in ["{}".to_owned(), format!(r#"{{"content-length":"{}"}}"#, BUFFER + 1)] {
        let upstream = Upstream::start(move |_, reply| {
            reply.head(200, &head);
            reply.write(&text(BUFFER + 1));
            reply.end();
        })
        .await;
        let body = post(&upstream.url, 5000).await.unwrap().body;
        assert_eq!(whole(&body), None);
    }
}

#[wasm_bindgen_test]
async fn a_response_without_a_body_comes_whole() {
    let upstream = Upstream::start(|_, reply| {
        reply.head(204, "{}");
        reply.end();
    })
    .await;
    let found = post(&upstream.url, 5000).await.unwrap();
    assert_eq!(found.status, 204);
    assert_eq!(whole(&found.body), Some(Vec::new()));
}

#[wasm_bindgen_test]
async fn an_object_is_known_by_its_ends_without_leaving_javascript() {
    for (text, is_object) in
        [(r#"{"a":1}"#, true), ("{}", true), ("[]", false), ("", false), (r#"{"a":"018f"#, false), ("<html>", false)]
    {
        let upstream = Upstream::start(move |_, reply| {
            reply.head(200, "{}");
            reply.write(text);
            reply.end();
        })
        .await;
        let body = post(&upstream.url, 5000).await.unwrap().body;
        assert_eq!(body.is_json_object(), is_object, "{text}");
    }
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
    for head in [r#"{"content-length":"100"}"#, "{}"] {
        let within_the_body = Upstream::start(|_, reply| {
            reply.head(200, head);
            reply.write("[");
            reply.destroy();
        })
        .await;
        assert_eq!(post(&within_the_body.url, 5000).await.err(), Some(FetchError::Unreachable), "{head}");
    }
}

#[wasm_bindgen_test]
async fn a_response_that_breaks_within_the_buffer_is_unreachable() {
    let upstream = Upstream::start(|_, reply| {
        reply.head(200, "{}");
        reply.write(&text(BUFFER - 1));
        reply.break_soon();
    })
    .await;
    assert_eq!(post(&upstream.url, 5000).await.err(), Some(FetchError::Unreachable));
}

#[wasm_bindgen_test]
async fn a_server_that_never_answers_is_a_timeout() {
    let upstream = Upstream::start(|_, _| ()).await;
    let began = WebHost::default().now_ms();
    assert_eq!(post(&upstream.url, 200).await.err(), Some(FetchError::Timeout));
    let took = WebHost::default().now_ms() - began;
    assert!((190..3000).contains(&took), "{took} ms");
    assert_eq!(*upstream.arrived.borrow(), ["POST /"]);
}

#[wasm_bindgen_test]
async fn a_server_that_begins_to_answer_and_stops_is_a_timeout() {
    for head in ["{}", r#"{"content-length":"100"}"#] {
        let upstream = Upstream::start(|_, reply| {
            reply.head(200, head);
            reply.write("[");
        })
        .await;
        assert_eq!(post(&upstream.url, 200).await.err(), Some(FetchError::Timeout), "{head}");
    }
}

/// A text of so many ASCII characters.
fn text(length: usize) -> String {
    ('a'..='z').cycle().take(length).collect()
}
