//! A request body, read up to a limit and no further.

use js_sys::{ArrayBuffer, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{ReadableStream, ReadableStreamDefaultReader, Request};

use super::task::outcome;
use crate::host::BodyError;

/// Reads a body that says that it is within the limit. One that is longer all the same (hosts let a `Content-Length` pass
/// beside a chunked body) never gets into the module's memory, which does not shrink.
pub(super) async fn read_whole(request: &Request, limit: usize) -> Result<Vec<u8>, BodyError> {
    let promise = request.array_buffer().map_err(|_| BodyError::Interrupted)?;
    let buffer = outcome(promise.unchecked_into()).await.map_err(|_| BodyError::Interrupted)?;
    let bytes = Uint8Array::new(&buffer.unchecked_into::<ArrayBuffer>());
    if bytes.length() as usize > limit { Err(BodyError::TooLarge) } else { Ok(bytes.to_vec()) }
}

/// Reads a body to its end. Over `limit` bytes the stream is cancelled there and then: `Content-Length` is a claim, the
/// bytes are the truth.
pub(super) async fn read_up_to(stream: Option<ReadableStream>, limit: usize) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    let Some(stream) = stream else {
        return Ok(bytes);
    };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    loop {
        let chunk = outcome(reader.read().unchecked_into()).await;
        let Ok(value) = chunk.and_then(|chunk| Reflect::get(&chunk, &JsValue::from_str("value"))) else {
            return Err(BodyError::Interrupted);
        };
        if value.is_undefined() {
            return Ok(bytes);
        }
        let value: Uint8Array = value.unchecked_into();
        let start = bytes.len();
        let end = start + value.length() as usize;
        if end > limit {
            let _ = reader.cancel();
            return Err(BodyError::TooLarge);
        }
        bytes.resize(end, 0);
        if let Some(space) = bytes.get_mut(start..) {
            value.copy_to(space);
        }
    }
}
