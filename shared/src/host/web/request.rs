//! Between the web's `Request` and `Response` and the plain ones.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method};
use js_sys::{Array, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::body::{self, Deadline};
use super::fetch::{HeldValue, array};
use crate::host::{Body, BodyError, READ_BY_METHOD, READ_HEADERS, Request, Response};

#[wasm_bindgen(module = "/src/host/web/glue.js")]
extern "C" {
    #[wasm_bindgen(js_name = readHead)]
    fn head_of(request: &web_sys::Request, names: &Array) -> String;

    #[wasm_bindgen(js_name = makeResponse, catch)]
    fn make_response(status: u16, headers: &str, body: &JsValue) -> Result<JsValue, JsValue>;
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = Response, js_name = error)]
    fn no_response() -> JsValue;
}

thread_local! {
    /// [`READ_BY_METHOD`] for JavaScript, made once.
    static NAMES: Array =
        READ_BY_METHOD.iter().map(|(methods, names)| Array::of2(&array(methods), &array(names))).collect();
}

/// Reads the head of a request: the headers a function may read.
pub fn read_head(request: &web_sys::Request) -> Request {
    let head = NAMES.with(|names| head_of(request, names));
    let mut lines = head.split('\n');
    let (method, url) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut read = Request::new(method, url);
    for line in lines {
        if let Some((name, value)) = line.split_once(':')
            && let Some(known) = READ_HEADERS.iter().find(|known| known.as_str() == name)
        {
            read.add_header(known.clone(), value);
        }
    }
    read
}

/// Reads a request's body, up to `limit` bytes, for at most so many milliseconds.
pub async fn read_body(
    request: &web_sys::Request,
    head: &Request,
    limit: usize,
    patience_ms: u32,
) -> Result<Vec<u8>, BodyError> {
    if matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(Vec::new());
    }
    let deadline = Deadline::in_ms(patience_ms);
    let length = head.header(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    // A chunked body is as long as it is, whatever `Content-Length` says beside it (RFC 9112 section 6.3).
    if length.is_some_and(|length| length <= limit) && head.header(TRANSFER_ENCODING).is_none() {
        return body::read_whole(request, limit, deadline).await;
    }
    body::read_up_to(request.body(), limit, deadline).await
}

/// Makes the web's response.
pub fn write_response(response: Response) -> JsValue {
    let (head, body) = response.into_parts();
    let body = match body {
        Body::Empty => JsValue::NULL,
        Body::Bytes(bytes) => Uint8Array::from(bytes.as_slice()).into(),
        Body::Held(held) => held.as_any().downcast_ref().map_or(JsValue::NULL, HeldValue::take),
    };
    // Fails only for a body where there may be none, or a header that is none: nothing in this repository makes one.
    make_response(head.status.as_u16(), &lines(&head.headers), &body).unwrap_or_else(|_| no_response())
}

/// Headers, a name and a value by turns, each a line.
fn lines(headers: &HeaderMap) -> String {
    let mut lines = String::with_capacity(512);
    for (name, value) in headers {
        if let Ok(value) = value.to_str() {
            for part in [name.as_str(), value] {
                if !lines.is_empty() {
                    lines.push('\n');
                }
                lines.push_str(part);
            }
        }
    }
    lines
}
