//! Requests to other servers, and responses whose bodies stay in JavaScript.

use std::any::Any;
use std::cell::Cell;

use http::{HeaderMap, HeaderValue, StatusCode};
use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use super::task::outcome;
use crate::host::{Body, HeldBody, INBOUND_HEADERS, Inbound, Outbound};

#[wasm_bindgen(module = "/src/host/web/glue.js")]
extern "C" {
    /// What `sendRequest` brings.
    type Fetched;

    #[wasm_bindgen(method, getter)]
    fn status(this: &Fetched) -> u16;

    #[wasm_bindgen(method, getter)]
    fn head(this: &Fetched) -> String;

    #[wasm_bindgen(method, getter)]
    fn body(this: &Fetched) -> JsValue;

    #[wasm_bindgen(method, getter, js_name = isWhole)]
    fn is_whole(this: &Fetched) -> bool;

    #[wasm_bindgen(method, getter)]
    fn first(this: &Fetched) -> Option<u8>;

    fn discard(stream: &JsValue);

    #[wasm_bindgen(js_name = sendRequest)]
    fn send(
        method: &str,
        url: &str,
        headers: &str,
        body: &JsValue,
        timeout_ms: u32,
        buffer: u32,
        names: &Array,
    ) -> Promise;
}

thread_local! {
    /// [`INBOUND_HEADERS`] for JavaScript, made once.
    static NAMES: Array = INBOUND_HEADERS.iter().map(|name| JsValue::from_str(name.as_str())).collect();
}

/// Sends a request. What it was rejected with, if it was.
pub(super) async fn fetch(request: Outbound<'_>) -> Result<Inbound, JsValue> {
    let mut headers = String::with_capacity(1024);
    for (name, value) in request.headers {
        for part in [name, value] {
            if !headers.is_empty() {
                headers.push('\n');
            }
            headers.push_str(part);
        }
    }
    let body = request.body.map_or(JsValue::UNDEFINED, |body| Uint8Array::from(body.as_bytes()).into());
    let promise = NAMES
        .with(|names| send(request.method, request.url, &headers, &body, request.timeout_ms, request.buffer, names));
    let found: Fetched = outcome(promise).await?.unchecked_into();
    let head = found.head();
    let mut lines = head.split('\n');
    let mut headers = HeaderMap::new();
    while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
        let known = INBOUND_HEADERS.iter().find(|known| known.as_str() == name);
        if let (Some(known), Ok(value)) = (known, HeaderValue::from_str(value)) {
            headers.insert(known.clone(), value);
        }
    }
    Ok(Inbound {
        status: StatusCode::from_u16(found.status()).unwrap_or(StatusCode::BAD_GATEWAY),
        headers,
        body: Body::Held(Box::new(HeldValue {
            value: found.body(),
            is_whole: found.is_whole(),
            first: found.first(),
            is_taken: Cell::new(false),
        })),
    })
}

/// A body that stays in JavaScript: a `Uint8Array` where it is whole, and else a stream.
pub(super) struct HeldValue {
    value: JsValue,
    is_whole: bool,
    /// The first byte of a stream, where somebody has seen it.
    first: Option<u8>,
    /// Whether it has gone into a response.
    is_taken: Cell<bool>,
}

impl HeldValue {
    /// The value, for a response.
    pub(super) fn take(&self) -> JsValue {
        self.is_taken.set(true);
        self.value.clone()
    }
}

impl Drop for HeldValue {
    /// A stream that goes into no response (`HEAD`, 304, an error) would keep its upstream connection.
    fn drop(&mut self) {
        if !self.is_whole && !self.is_taken.get() {
            discard(&self.value);
        }
    }
}

impl HeldBody for HeldValue {
    fn bytes(&self) -> Option<Vec<u8>> {
        self.is_whole.then(|| self.value.unchecked_ref::<Uint8Array>().to_vec())
    }

    fn ends(&self) -> (Option<u8>, Option<u8>) {
        if !self.is_whole {
            return (self.first, None);
        }
        let bytes = self.value.unchecked_ref::<Uint8Array>();
        match bytes.length() {
            0 => (None, None),
            length => (Some(bytes.get_index(0)), Some(bytes.get_index(length - 1))),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Texts as a JavaScript array.
pub(super) fn array(texts: &[&str]) -> Array {
    texts.iter().map(|text| JsValue::from_str(text)).collect()
}
