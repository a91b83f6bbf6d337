//! A request body, read up to a limit and no further.

use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{ReadableStream, ReadableStreamDefaultReader};

use crate::http::BodyError;
use crate::web::task::outcome;

/// Reads a stream to its end: what came, and what kept the rest away. Over `limit` bytes the stream is cancelled there
/// and then: `Content-Length` is a claim, the bytes are the truth.
pub(super) async fn read(stream: Option<ReadableStream>, limit: usize) -> (Vec<u8>, Option<BodyError>) {
    let mut bytes = Vec::new();
    let Some(stream) = stream else {
        return (bytes, None);
    };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    loop {
        let chunk = outcome(reader.read()).await;
        let Ok(value) = chunk.and_then(|chunk| Reflect::get(&chunk, &JsValue::from_str("value"))) else {
            return (bytes, Some(BodyError::Interrupted));
        };
        if value.is_undefined() {
            return (bytes, None);
        }
        let value: Uint8Array = value.unchecked_into();
        let start = bytes.len();
        let end = start + value.length() as usize;
        if end > limit {
            let _ = reader.cancel();
            return (bytes, Some(BodyError::TooLarge));
        }
        bytes.resize(end, 0);
        if let Some(space) = bytes.get_mut(start..) {
            value.copy_to(space);
        }
    }
}
