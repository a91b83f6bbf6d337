//! Between the web's `Request` and `Response` and the plain ones of [`crate::http`].

use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use web_sys::{Headers, ResponseInit};

use crate::http::{READ_HEADERS, Request, Response};
use crate::web::body;

/// Takes a request in but for its body: the headers a function may read.
pub fn read_head(request: &web_sys::Request) -> Request {
    let (path, query) = Request::split_url(&request.url());
    let given = request.headers();
    let mut headers = Vec::new();
    for name in READ_HEADERS {
        if let Ok(Some(value)) = given.get(name) {
            headers.push((*name, value));
        }
    }
    Request { method: request.method(), path, query, headers, body: Vec::new(), body_error: None }
}

/// Takes a request's body in, up to `limit` bytes.
pub async fn read_body(request: &web_sys::Request, limit: usize, into: &mut Request) {
    (into.body, into.body_error) = body::read(request.body(), limit).await;
}

/// Hands a response out.
pub fn write_response(response: &Response) -> web_sys::Response {
    // Fails only for a status or header that is none, and every one of them is written in this repository.
    build(response).unwrap_or_else(|_| web_sys::Response::error())
}

fn build(response: &Response) -> Result<web_sys::Response, JsValue> {
    let headers = Headers::new()?;
    for (name, value) in &response.headers {
        headers.append(name, value)?;
    }
    let init = ResponseInit::new();
    init.set_status(response.status);
    init.set_headers(&headers);
    let body = response.body.as_ref().map(|body| Uint8Array::from(body.as_slice()));
    web_sys::Response::new_with_opt_buffer_source_and_init(body.as_deref(), &init)
}
