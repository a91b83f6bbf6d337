//! Objects and arrays that only pass through.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::fault::{NOT_AN_ARRAY, NOT_AN_OBJECT};
use super::storable::Storable;
use super::value::{Field, Value};
use crate::answer::Fault;

const NOT_STORABLE: Fault =
    Fault::new("not_storable", "holds a NUL character, half a surrogate pair or a number out of range");

/// Deepest object that is stored, in levels of objects and arrays.
const OBJECT_MAX_DEPTH: usize = 16;
/// Deepest array: a message's parts hold what tools were called with, and what they returned.
const ARRAY_MAX_DEPTH: usize = 64;

/// A JSON object to be stored as `jsonb`, of at most `MAX` bytes as written and 16 levels. It goes on as its sender
/// wrote it: numbers keep their digits, members their order.
#[derive(Debug, Clone)]
pub struct JsonObject<const MAX: usize>(Box<RawValue>);

impl<const MAX: usize> Serialize for JsonObject<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<const MAX: usize> Field for JsonObject<MAX> {
    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        let json = value.json();
        if !json.starts_with('{') {
            return Err(NOT_AN_OBJECT);
        }
        // `1e300` is 5 bytes here and 301 in the database, which takes twice the limit of what it prints itself.
        as_written(json, MAX, OBJECT_MAX_DEPTH, MAX / 2)?.map(Self).ok_or(NOT_AN_OBJECT)
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "object", "additionalProperties": true })
    }
}

/// A JSON array to be stored as it is, of at most `MAX` bytes as written and 64 levels.
#[derive(Debug, Clone)]
pub struct JsonArray<const MAX: usize>(Box<RawValue>);

impl<const MAX: usize> Serialize for JsonArray<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<const MAX: usize> Field for JsonArray<MAX> {
    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        let json = value.json();
        if !json.starts_with('[') {
            return Err(NOT_AN_ARRAY);
        }
        // The database takes four times the limit of what it would print itself.
        as_written(json, MAX, ARRAY_MAX_DEPTH, 2 * MAX)?.map(Self).ok_or(NOT_AN_ARRAY)
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "array" })
    }
}

/// A JSON text that PostgreSQL can store, within a size as written, a depth, and an expansion of its numbers.
fn as_written(json: &str, max: usize, max_depth: usize, max_expansion: usize) -> Result<Option<Box<RawValue>>, Fault> {
    let too_large = || Fault::bounded("too_large", format!("must be at most {max} bytes of JSON"));
    if json.len() > max {
        return Err(too_large());
    }
    let storable = Storable::of(json);
    if storable.depth > max_depth {
        return Err(Fault::bounded("too_deep", format!("must be at most {max_depth} levels deep")));
    }
    if storable.expansion > max_expansion {
        return Err(too_large());
    }
    if !storable.is_storable {
        return Err(NOT_STORABLE);
    }
    Ok(RawValue::from_string(json.to_owned()).ok())
}
