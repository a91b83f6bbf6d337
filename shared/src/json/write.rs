//! Writing: objects and arrays, member by member.

use crate::id::push_hex;

/// Writes a JSON object, member by member.
#[derive(Debug)]
pub struct ObjectWriter(String);

impl ObjectWriter {
    /// An object without members.
    #[expect(clippy::new_without_default, reason = "an open brace is not a default anyone would expect")]
    pub fn new() -> Self {
        Self(String::from("{"))
    }

    /// Adds a string.
    pub fn string(&mut self, name: &str, value: &str) {
        self.raw(name, "");
        push_string(&mut self.0, value);
    }

    /// Adds a whole number.
    pub fn number(&mut self, name: &str, value: u64) {
        self.raw(name, "");
        push_number(&mut self.0, value);
    }

    /// Adds a value that is JSON text already.
    pub fn raw(&mut self, name: &str, value: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        push_string(&mut self.0, name);
        self.0.push(':');
        self.0.push_str(value);
    }

    /// The object's text.
    pub fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A JSON array of values that are JSON text already.
pub fn array_of(items: impl Iterator<Item = String>) -> String {
    let mut array = String::from("[");
    for item in items {
        if array.len() > 1 {
            array.push(',');
        }
        array.push_str(&item);
    }
    array.push(']');
    array
}

/// Writes a whole number in decimal digits. (`to_string()` would bring the formatting machinery into the wasm.)
pub fn push_number(out: &mut String, value: u64) {
    if value >= 10 {
        push_number(out, value / 10);
    }
    out.push(char::from(b'0' + (value % 10) as u8));
}

/// A JSON string that says `value`.
pub fn quoted(value: &str) -> String {
    let mut quoted = String::new();
    push_string(&mut quoted, value);
    quoted
}

/// Writes a string with the escapes RFC 8259 section 7 demands.
fn push_string(out: &mut String, value: &str) {
    out.push('"');
    for character in value.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            control @ '\0'..='\u{1f}' => {
                out.push_str("\\u00");
                push_hex(out, control as u8);
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::push_number;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn numbers_are_written_as_rust_writes_them(value in any::<u64>()) {
            let mut written = String::new();
            push_number(&mut written, value);
            prop_assert_eq!(written, value.to_string());
        }
    }
}
