//! The function's OpenAPI document. Not in the wasm.

/// The document.
pub fn openapi() {}
