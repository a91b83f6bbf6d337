//! A request body, read up to a limit and no further.

use js_sys::{ArrayBuffer, Date, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{ReadableStream, ReadableStreamDefaultReader, Request};

use super::task::{outcome, within};
use crate::host::BodyError;

/// When a body has to be there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(f64);

impl Deadline {
    /// In so many milliseconds.
    pub(super) fn in_ms(milliseconds: u32) -> Self {
        Self(Date::now() + f64::from(milliseconds))
    }

    /// What comes of a promise until then.
    async fn outcome(self, promise: Promise) -> Result<JsValue, BodyError> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as many as were given, or fewer")]
        let left = (self.0 - Date::now()).max(0.0) as u32;
        let value = outcome(within(&promise, left)).await.map_err(|_| BodyError::Interrupted)?;
        if value.is_null() { Err(BodyError::TooSlow) } else { Ok(value) }
    }
}

/// Reads a body that says that it is within the limit. One that is longer all the same (hosts let a `Content-Length` pass
/// beside a chunked body) never gets into the module's memory, which does not shrink.
pub(super) async fn read_whole(request: &Request, limit: usize, deadline: Deadline) -> Result<Vec<u8>, BodyError> {
    let promise = request.array_buffer().map_err(|_| BodyError::Interrupted)?;
    let buffer = deadline.outcome(promise.unchecked_into()).await?;
    let bytes = Uint8Array::new(&buffer.unchecked_into::<ArrayBuffer>());
    if bytes.length() as usize > limit { Err(BodyError::TooLarge) } else { Ok(bytes.to_vec()) }
}

/// Reads a body to its end. Over `limit` bytes the stream is cancelled there and then: `Content-Length` is a claim, the
/// bytes are the truth.
pub(super) async fn read_up_to(
    stream: Option<ReadableStream>,
    limit: usize,
    deadline: Deadline,
) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    let Some(stream) = stream else {
        return Ok(bytes);
    };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    loop {
        let chunk = deadline.outcome(reader.read().unchecked_into()).await;
        if chunk == Err(BodyError::TooSlow) {
            let _ = reader.cancel();
        }
        let chunk = chunk?;
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
