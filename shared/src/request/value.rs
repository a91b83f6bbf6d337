//! The value of a field, before it is known to be valid.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::fault::{At, Faults, push};
use crate::answer::Fault;

const NOT_A_STRING: Fault = Fault::new("wrong_type", "must be a string");
const INVALID_STRING: Fault = Fault::new("invalid_string", "holds half a surrogate pair");

/// The value of a field.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// Of a member of the body: JSON.
    Json(&'a str),
    /// Of a query parameter, a header, or a part of the path.
    Text(&'a str),
}

impl<'a> From<&'a RawValue> for Value<'a> {
    fn from(value: &'a RawValue) -> Self {
        Self::Json(value.get())
    }
}

impl<'a> Value<'a> {
    /// Whether it is `null`, which is the same as not being there.
    pub fn is_null(self) -> bool {
        matches!(self, Self::Json("null"))
    }

    /// The text of a string.
    pub fn string(self) -> Result<String, Fault> {
        match self {
            Self::Text(text) => Ok(text.to_owned()),
            Self::Json(json) if !json.starts_with('"') => Err(NOT_A_STRING),
            Self::Json(json) => serde_json::from_str(json).map_err(|_| INVALID_STRING),
        }
    }

    /// The text that should be a number. In a query it stands as in JSON.
    pub(super) fn number(self) -> &'a str {
        match self {
            Self::Json(text) | Self::Text(text) => text,
        }
    }

    /// The JSON text; of what is none, an empty one.
    pub fn json(self) -> &'a str {
        match self {
            Self::Json(json) => json,
            Self::Text(_) => "",
        }
    }
}

/// A type of field: it can be read from a value, and what was read is valid.
pub trait Field: Sized {
    /// Whether `null` is a value of its own. For other types it is the same as not being there.
    const TAKES_NULL: bool = false;

    /// Reads a value, or tells its one fault.
    fn parse(value: Value<'_>) -> Result<Self, Fault>;

    /// Reads a value. Types with fields of their own note several faults.
    fn read(value: Value<'_>, at: &At<'_>, faults: &mut Faults) -> Option<Self> {
        Self::parse(value).map_err(|fault| push(faults, at, fault)).ok()
    }

    /// The JSON Schema of it, without a description.
    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> serde_json::Value;
}

/// A value that `null` takes away, in a request that changes only what it names (RFC 7396).
#[derive(Debug, Clone)]
pub struct Nullable<T>(pub Option<T>);

impl<T: Serialize> Serialize for Nullable<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: Field> Field for Nullable<T> {
    const TAKES_NULL: bool = true;

    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        if value.is_null() { Ok(Self(None)) } else { T::parse(value).map(|value| Self(Some(value))) }
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "anyOf": [T::schema(), { "type": "null" }] })
    }
}

impl Field for String {
    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        value.string()
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string" })
    }
}
