//! The function's OpenAPI document. Not in the wasm.

/// The document.
pub fn openapi() {}

/// What a batch or an event may be.
pub(crate) fn batch_fields() -> shared::request::schema::Fields {
    Vec::new()
}
