//! Objects that only pass through.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::fault::NOT_AN_OBJECT;
use super::storable::Storable;
use super::value::{Field, Value};
use crate::answer::Fault;

const NOT_STORABLE: Fault =
    Fault::new("not_storable", "holds a NUL character, half a surrogate pair or a number out of range");

/// Deepest object that is stored, in levels of objects and arrays.
const MAX_DEPTH: usize = 16;

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
        let too_large = || Fault::bounded("too_large", format!("must be at most {MAX} bytes of JSON"));
        if !json.starts_with('{') {
            return Err(NOT_AN_OBJECT);
        }
        if json.len() > MAX {
            return Err(too_large());
        }
        let storable = Storable::of(json);
        if storable.depth > MAX_DEPTH {
            return Err(Fault::bounded("too_deep", format!("must be at most {MAX_DEPTH} levels deep")));
        }
        // `1e300` is 5 bytes here and 301 in the database, which takes twice the limit of what it prints itself.
        if storable.expansion > MAX / 2 {
            return Err(too_large());
        }
        if !storable.is_storable {
            return Err(NOT_STORABLE);
        }
        RawValue::from_string(json.to_owned()).map(Self).map_err(|_| NOT_AN_OBJECT)
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "object", "additionalProperties": true })
    }
}
