//! What an event is made of.

use shared::answer::Fault;
use shared::request::{DateTime, Draft, Field, Id, JsonObject, Request, Value};
use shared::serde::{Serialize, Serializer};

/// Largest event, in bytes as the caller wrote it.
pub(crate) const EVENT_MAX_BYTES: usize = 32 * 1024;
/// Longest type of an event, in characters.
const TYPE_MAX_CHARS: usize = 64;

const NOT_A_TYPE: Fault =
    Fault::new("invalid_event_type", "must be lower-case letters, digits and _, at most 64, a letter first");

/// Something that happened.
#[derive(Debug, Request)]
pub(crate) struct Event {
    /// Made by the client, so that the event can be sent again. Without one, a request's `Idempotency-Key` gives its
    /// events ids; else they are made.
    pub(crate) id: Option<Id>,
    /// What kind of event.
    pub(crate) event_type: EventType,
    /// An object of the client's, at most 32 KiB and 16 levels, stored as it is.
    pub(crate) event_data: Option<JsonObject<EVENT_MAX_BYTES>>,
    /// The session it belongs to; it need not exist.
    pub(crate) session_id: Option<Id>,
    /// When it happened, by the client's clock; now if not given.
    pub(crate) occurred_at: Option<DateTime>,
}

impl EventDraft {
    /// Gives the event an id, unless it has one or has a faulty one.
    pub(crate) fn identify(&mut self, id: Id) {
        if self.id == Draft::Missing {
            self.id = Draft::Valid(id);
        }
    }
}

/// The type of an event: `^[a-z][a-z0-9_]{0,63}$`.
#[derive(Debug)]
pub(crate) struct EventType(String);

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Field for EventType {
    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        let text = value.string()?;
        let is_type = text.len() <= TYPE_MAX_CHARS
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if is_type { Ok(Self(text)) } else { Err(NOT_A_TYPE) }
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> shared::serde_json::Value {
        shared::serde_json::json!({ "type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::EventType;
    use proptest::prelude::{any, prop_assert, proptest};
    use shared::request::{Field, Value};

    proptest! {
        #[test]
        fn a_type_is_what_its_pattern_says(good in "[a-z][a-z0-9_]{0,63}", bad in "[A-Z0-9_-][a-z]{0,9}|[a-z][a-z0-9_]{64}|[a-z]{1,3}[-. é]|") {
            prop_assert!(EventType::parse(Value::Text(&good)).is_ok());
            prop_assert!(EventType::parse(Value::Text(&bad)).is_err());
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>()) {
            let _ = EventType::parse(Value::Text(&text));
        }
    }
}
