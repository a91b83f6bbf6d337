//! A request body, read up to a limit and no further.

use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStream, ReadableStreamDefaultReader};

use crate::http::BodyError;

/// Reads a stream to its end. Over `limit` bytes it is cancelled there and then: `Content-Length` is a claim, the
/// bytes are the truth.
pub(super) async fn read(stream: Option<ReadableStream>, limit: usize) -> Result<Vec<u8>, BodyError> {
    let Some(stream) = stream else {
        return Ok(Vec::new());
    };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let mut bytes = Vec::new();
    loop {
        let chunk = JsFuture::from(reader.read()).await.map_err(|_| BodyError::Interrupted)?;
        let value = Reflect::get(&chunk, &JsValue::from_str("value")).map_err(|_| BodyError::Interrupted)?;
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
