//! What an event is made of.

use shared::form::{Field, Form, Kind};
use shared::json::{Object, quoted};
use shared::problem::Rule;

use crate::date_time;

/// Largest event, in bytes as the caller wrote it.
const EVENT_MAX_BYTES: u32 = 32 * 1024;
/// Longest type of an event, in characters.
const TYPE_MAX_CHARS: usize = 64;

static TOO_LARGE: Rule = Rule { code: "too_large", detail: "must be at most # bytes of JSON" };
static NOT_A_TYPE: Rule =
    Rule { code: "invalid_event_type", detail: "must be lower-case letters, digits and _, at most 64, a letter first" };

/// The fields of an event.
pub(crate) static FIELDS: &[Field] = &[
    Field::optional("id", Kind::Id),
    Field::required("event_type", Kind::Parsed(event_type, &NOT_A_TYPE)),
    Field::optional("event_data", Kind::Object(EVENT_MAX_BYTES)),
    Field::optional("session_id", Kind::Id),
    Field::optional("occurred_at", date_time::KIND),
];

/// Reads the event that `at` points to, out of so many bytes of JSON.
pub(crate) fn read(event: Option<Object>, bytes: usize, at: &str) -> Form {
    let mut form = Form::default();
    if bytes > EVENT_MAX_BYTES as usize {
        // Nothing more is said of it, nor done with it.
        form.fault_at(at, "", TOO_LARGE.broken_at(EVENT_MAX_BYTES.into()));
        return form;
    }
    form.add_members(event, FIELDS, at);
    form
}

fn event_type(text: &str) -> Option<String> {
    let is_type = text.len() <= TYPE_MAX_CHARS
        && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    is_type.then(|| quoted(text))
}

#[cfg(test)]
mod tests {
    use super::event_type;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn a_type_is_what_its_pattern_says(good in "[a-z][a-z0-9_]{0,63}", bad in "[A-Z0-9_-][a-z]{0,9}|[a-z][a-z0-9_]{64}|[a-z]{1,3}[-. é]|") {
            prop_assert_eq!(event_type(&good), Some(format!("\"{good}\"")));
            prop_assert_eq!(event_type(&bad), None);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>()) {
            let _ = event_type(&text);
        }
    }
}
