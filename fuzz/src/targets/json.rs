//! The JSON reader and writer, held to `serde_json`.

use serde_json::Value;
use serde_json::value::RawValue;
use shared::json::{Object, Raw, digits, position, quoted};

use super::reference::Members;
use crate::engine::Verdict;
use crate::input::expand_text;

/// Feeds one text.
pub(crate) fn run(input: &str) -> Verdict {
    let text = expand_text(input);
    let said = quoted(&text);
    ensure!(serde_json::from_str::<String>(&said).is_ok_and(|read| read == text), "a string is written wrong: {said}");
    let number = (!text.starts_with('+')).then(|| text.parse::<u64>().ok()).flatten();
    ensure!(digits(&text) == number, "digits are read wrong: {text:?}");
    let theirs = serde_json::from_str::<Value>(&text);
    match (Raw::parse(&text), theirs) {
        (Ok(ours), Ok(theirs)) => {
            let measure = ours.measure();
            ensure!(measure.depth == depth(&text), "the depth is wrong: {}", measure.depth);
            let is_storable = !text.contains("\\u0000") || measure.unstorable || text.contains("\\\\u0000");
            ensure!(is_storable, "a NUL character is overlooked: {text:?}");
            same(ours, &theirs)?;
            Ok(format!("{} {} {}", kind(&theirs), measure.depth.min(9), measure.unstorable))
        }
        // serde_json refuses half surrogates, great numbers and deep nesting as syntax; this reader later, by field.
        (Ok(ours), Err(error)) => {
            let measure = ours.measure();
            ensure!(
                measure.unstorable || measure.depth > 120 || error.to_string().contains("out of range"),
                "what is no JSON is taken: {error}"
            );
            Ok(format!("later {} {}", measure.depth > 120, measure.unstorable))
        }
        (Err(at), Ok(_)) => Err(format!("JSON is refused: at byte {at}")),
        (Err(at), Err(_)) => {
            ensure!(text.is_char_boundary(at) || at < text.len(), "a mistake beyond the text: {at}");
            let (line, column) = position(&text, at);
            ensure!(line >= 1 && column >= 1 && line <= text.lines().count() + 1, "a position beyond the text: {line}");
            Ok(format!("refused at {:?}", text.as_bytes().get(at)))
        }
    }
}

/// Whether both read the same in a value, all the way down.
fn same(ours: Raw, theirs: &Value) -> Result<(), String> {
    let again = serde_json::from_str::<Value>(ours.text());
    ensure!(again.is_ok_and(|again| again == *theirs), "the text of a value is another value: {}", ours.text());
    ensure!(ours.string().as_deref() == theirs.as_str(), "a string is read wrong: {}", ours.text());
    ensure!(ours.boolean() == theirs.as_bool(), "a boolean is read wrong: {}", ours.text());
    ensure!(ours.is_null() == theirs.is_null(), "null is read wrong: {}", ours.text());
    match (ours.array(), theirs.as_array()) {
        (Some(ours), Some(theirs)) => {
            ensure!(ours.len() == theirs.len(), "items are lost: {}", ours.len());
            ours.into_iter().zip(theirs).try_for_each(|(ours, theirs)| same(ours, theirs))?;
        }
        (ours_is, theirs_is) => {
            ensure!(ours_is.is_none() && theirs_is.is_none(), "an array is read wrong: {}", ours.text())
        }
    }
    let Some(object) = Object::read(ours) else {
        ensure!(!theirs.is_object(), "an object is overlooked: {}", ours.text());
        return Ok(());
    };
    let members =
        Members::of(ours.text()).ok_or_else(|| format!("what is no object is read as one: {}", ours.text()))?;
    let texts = object.members.iter().map(|(name, value)| (name.as_str(), value.text()));
    ensure!(
        texts.eq(members.0.iter().map(|(name, value)| (name.as_str(), value.get()))),
        "members differ: {}",
        ours.text()
    );
    ensure!(object.duplicate().is_some() == members.repeats(), "a repeated name is overlooked: {}", ours.text());
    if !members.repeats() {
        object.members.iter().try_for_each(|(name, value)| same(*value, theirs.get(name).unwrap_or(&Value::Null)))?;
    }
    Ok(())
}

/// Not of a [`Value`]: of members of the same name that one keeps the last alone.
fn depth(text: &str) -> usize {
    let deepest = |all: &mut dyn Iterator<Item = &RawValue>| all.map(|value| depth(value.get())).max().unwrap_or(0);
    if let Some(members) = Members::of(text) {
        1 + deepest(&mut members.0.iter().map(|(_, value)| *value))
    } else if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) {
        1 + deepest(&mut items.into_iter())
    } else {
        0
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
