//! Words out of a closed list.

use serde::{Serialize, Serializer};

use super::value::{Field, Value};
use crate::answer::Fault;

/// The code of a word that is not on the list. In the path it means that there is no such resource.
pub(super) const NOT_ALLOWED: &str = "not_allowed";

/// A word out of a closed list, made by `#[derive(Word)]`: the variants in `snake_case`, or as
/// `#[word(UPPERCASE)]` has them.
pub trait Word: Copy + 'static {
    /// All of them, in order, each with its word.
    const ALL: &'static [(&'static str, Self)];

    /// The word for it.
    fn word(self) -> &'static str;
}

/// Reads a word.
pub fn read_word<W: Word>(value: Value<'_>) -> Result<W, Fault> {
    let text = value.string()?;
    let found = W::ALL.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    found
        .ok_or_else(|| Fault::bounded(NOT_ALLOWED, format!("must be {}", listed(W::ALL.iter().map(|(word, _)| *word)))))
}

/// `a`, `a or b`, `a, b or c`.
fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.collect();
    match words.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// A query parameter that is `1` or not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag;

impl Serialize for Flag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(true)
    }
}

impl Field for Flag {
    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        if value.string()? == "1" { Ok(Self) } else { Err(Fault::new(NOT_ALLOWED, "must be 1")) }
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "const": "1" })
    }
}
