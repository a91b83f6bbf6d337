//! Texts.

use std::ops::Deref;

use serde::{Serialize, Serializer};

use super::value::{Field, Value};
use crate::answer::Fault;

const BLANK: Fault = Fault::new("blank", "must not be blank");
const NUL_CHARACTER: Fault = Fault::new("nul_character", "must not hold a NUL character");
const NOT_A_NAME: Fault =
    Fault::new("invalid_name", "must be lower-case letters, digits, _ or -, at most 64, a letter first");

/// Longest name, in characters.
const NAME_MAX_CHARS: usize = 64;

/// A text of 1 to `MAX` characters (Unicode scalar values), without the white space around it and without NUL, which
/// PostgreSQL does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// What a text over a limit that is known only at run time gets.
    pub fn too_long(limit: usize) -> Fault {
        Fault::bounded("too_long", format!("must be at most {limit} characters long"))
    }

    /// How many characters it has.
    pub fn characters(&self) -> usize {
        self.0.chars().count()
    }
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Serialize for Text<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<const MAX: usize> Field for Text<MAX> {
    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        let given = value.string()?;
        let text = given.trim();
        if text.is_empty() {
            return Err(BLANK);
        }
        if text.contains('\0') {
            return Err(NUL_CHARACTER);
        }
        if text.len() > MAX && text.chars().count() > MAX {
            return Err(Self::too_long(MAX));
        }
        Ok(Self(if text.len() == given.len() { given } else { text.to_owned() }))
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "minLength": 1, "maxLength": MAX, "pattern": r"\S" })
    }
}

/// The name of something that is named beforehand: lower-case letters, digits, `_` and `-`, at most 64, a letter first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Field for Name {
    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        let name = value.string()?;
        let is_name = name.len() <= NAME_MAX_CHARS
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
        if is_name { Ok(Self(name)) } else { Err(NOT_A_NAME) }
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^[a-z][a-z0-9_-]{0,63}$" })
    }
}
