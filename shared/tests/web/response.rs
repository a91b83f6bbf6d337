//! From a plain response to the web's.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::Uint8Array;
use shared::answer;
use shared::host::web::{WebHost, write_response};
use shared::host::{Body, Host, Response};
use shared::http::{HeaderName, HeaderValue, StatusCode};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::driven::driven;
use crate::fetch::{BUFFER, post};
use crate::upstream::{Reply, Upstream};

fn written(response: Response) -> web_sys::Response {
    write_response(response).unchecked_into()
}

async fn read(response: &web_sys::Response) -> Result<Vec<u8>, JsValue> {
    Ok(Uint8Array::new(&JsFuture::from(response.array_buffer()?).await?).to_vec())
}

async fn body(response: &web_sys::Response) -> Vec<u8> {
    read(response).await.unwrap()
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap()
}

fn with(mut response: Response, headers: &[(&'static str, &str)]) -> Response {
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).unwrap();
        response.headers_mut().append(HeaderName::from_static(name), value);
    }
    response
}

/// What a caller gets of the response of a server that replies so.
async fn passed_on(mut send: impl FnMut(&Reply) + 'static) -> web_sys::Response {
    let upstream = Upstream::start(move |_, reply| send(&reply)).await;
    let found = post(&upstream.url, 5000).await.unwrap();
    let response = written(answer::json(found.status, found.body));
    // The server must outlive what is still on its way.
    std::mem::forget(upstream);
    response
}

#[wasm_bindgen_test]
async fn status_headers_and_body_go_out_as_they_are() {
    let bytes: Vec<u8> = (0..=255).collect();
    let response = answer::json(StatusCode::CREATED, bytes.clone());
    let written = written(with(response, &[("location", "?a=1&b=%20"), ("x-request-id", "r-1")]));
    assert_eq!(written.status(), 201);
    for (name, value) in [("content-type", "application/json"), ("location", "?a=1&b=%20"), ("x-request-id", "r-1")] {
        assert_eq!(written.headers().get(name).unwrap().as_deref(), Some(value), "{name}");
    }
    assert_eq!(body(&written).await, bytes);
}

#[wasm_bindgen_test]
fn a_header_given_twice_goes_out_twice() {
    let response = with(answer::empty(StatusCode::NO_CONTENT), &[("vary", "Origin"), ("vary", "Accept")]);
    assert_eq!(written(response).headers().get("vary").unwrap().as_deref(), Some("Origin, Accept"));
}

#[wasm_bindgen_test]
async fn no_body_is_none_and_an_empty_one_is_one() {
    for code in [204, 304, 200] {
        let written = written(answer::empty(status(code)));
        assert_eq!(written.status(), code);
        assert!(written.body().is_none(), "{code}");
    }
    let written = written(answer::json(StatusCode::OK, ""));
    assert!(written.body().is_some());
    assert_eq!(body(&written).await, b"");
}

#[wasm_bindgen_test]
fn what_is_no_response_is_an_error_and_no_panic() {
    for none in [answer::empty(status(199)), answer::empty(status(600)), answer::json(StatusCode::NO_CONTENT, "{}")] {
        let text = format!("{none:?}");
        assert_eq!(written(none).type_(), web_sys::ResponseType::Error, "{text}");
    }
}

#[wasm_bindgen_test]
async fn a_body_that_stayed_in_javascript_goes_out_unchanged() {
    // Bytes of all values: it is nobody's text on the way.
    let bytes: Vec<u8> = (0..=255).cycle().take(BUFFER).collect();
    let sent = bytes.clone();
    let response = passed_on(move |reply| {
        reply.head(200, "{}");
        reply.write_bytes(&sent);
        reply.end();
    })
    .await;
    assert_eq!(body(&response).await, bytes);
    let response = passed_on(|reply| {
        reply.head(200, "{}");
        reply.end();
    })
    .await;
    assert_eq!(body(&response).await, b"");
}

#[wasm_bindgen_test]
async fn a_streamed_body_arrives_byte_for_byte() {
    for length in [BUFFER + 1, 64 * 1024 + 1, 3 * 1024 * 1024] {
        let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
        for (chunk, head) in [
            (length, "{}".to_owned()),
            (997, "{}".to_owned()),
            (64 * 1024, format!(r#"{{"content-length":"{length}"}}"#)),
        ] {
            let sent = bytes.clone();
            let response = passed_on(move |reply| {
                reply.head(200, &head);
                for part in sent.chunks(chunk) {
                    reply.write_bytes(part);
                }
                reply.end();
            })
            .await;
            assert!(body(&response).await == bytes, "{length} bytes by {chunk}");
        }
    }
}

#[wasm_bindgen_test]
async fn a_streamed_body_that_breaks_off_is_an_error_and_no_end() {
    let response = passed_on(|reply| {
        reply.head(200, "{}");
        reply.write_bytes(&[b'a'; 2 * BUFFER]);
        reply.break_soon();
    })
    .await;
    assert!(read(&response).await.is_err());
}

#[wasm_bindgen_test]
async fn a_streamed_body_that_stalls_is_an_error_when_the_time_is_up() {
    let upstream = Upstream::start(|_, reply| {
        reply.head(200, "{}");
        reply.write_bytes(&[b'a'; 2 * BUFFER]);
    })
    .await;
    let found = post(&upstream.url, 300).await.unwrap();
    assert!(read(&written(answer::json(found.status, found.body))).await.is_err());
}

/// The time is for the upstream, not for a reader whose connection is slow.
#[wasm_bindgen_test]
async fn a_slow_reader_is_not_cut_off() {
    let bytes: Vec<u8> = (0..=250).cycle().take(8 * 1024 * 1024).collect();
    let sent = bytes.clone();
    let upstream = Upstream::start(move |_, reply| {
        reply.head(200, "{}");
        reply.write_bytes(&sent);
        reply.end();
    })
    .await;
    let found = post(&upstream.url, 300).await.unwrap();
    let response = written(answer::json(found.status, found.body));
    driven(async { WebHost::default().sleep(900).await }).await;
    assert!(body(&response).await == bytes);
}

/// As for `HEAD`, and where the page is known already.
#[wasm_bindgen_test]
async fn a_stream_that_goes_into_no_response_stops_the_sender() {
    let closed = Rc::new(Cell::new(false));
    let noted = Rc::clone(&closed);
    let upstream = Upstream::start(move |_, reply| {
        let noted = Rc::clone(&noted);
        reply.on_close(move || noted.set(true));
        reply.head(200, "{}");
        reply.write_bytes(&[b'a'; 2 * BUFFER]);
    })
    .await;
    drop(post(&upstream.url, 5000).await.unwrap());
    for _ in 0..100 {
        if closed.get() {
            return;
        }
        driven(async { WebHost::default().sleep(20).await }).await;
    }
    panic!("the connection is still open");
}

#[wasm_bindgen_test]
async fn who_reads_no_further_stops_the_sender() {
    let closed = Rc::new(Cell::new(false));
    let noted = Rc::clone(&closed);
    let response = passed_on(move |reply| {
        let noted = Rc::clone(&noted);
        reply.on_close(move || noted.set(true));
        reply.head(200, "{}");
        reply.write_bytes(&[b'a'; 2 * BUFFER]);
    })
    .await;
    assert!(!closed.get());
    JsFuture::from(response.body().unwrap().cancel()).await.unwrap();
    for _ in 0..100 {
        if closed.get() {
            return;
        }
        driven(async { WebHost::default().sleep(20).await }).await;
    }
    panic!("the connection is still open");
}

#[wasm_bindgen_test]
async fn a_body_from_memory_goes_out_like_one_that_stayed() {
    let response = written(answer::json(StatusCode::OK, Body::Bytes(b"{}".to_vec())));
    assert_eq!(body(&response).await, b"{}");
}
