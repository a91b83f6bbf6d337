//! What a message is made of. A value of these types is valid: it can only be made by parsing.

use shared::fields::{self, Value};
use shared::json::Raw;
use shared::problem::{Fault, Rule};

static NOT_A_ROLE: Rule = Rule { code: "not_allowed", detail: "must be user, bot or system" };

/// Longest message of a user unless configured otherwise, in characters (Unicode scalar values).
pub const USER_MESSAGE_MAX_CHARS: usize = 1000;
/// Longest message of anyone, in characters: what the database holds.
pub const MESSAGE_MAX_CHARS: usize = 8000;
/// Largest `meta`, in bytes as the caller wrote it.
const META_MAX_BYTES: usize = 8 * 1024;
/// Deepest `meta`, in levels of objects and arrays.
const META_MAX_DEPTH: usize = 16;

/// Whose message it is. The database's CHECK has the same words; a test holds the two together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The person.
    User,
    /// The chatbot.
    Bot,
    /// Neither: instructions and notices.
    System,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::User, Self::Bot, Self::System];

    /// The word for it in JSON and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Bot => "bot",
            Self::System => "system",
        }
    }

    /// Reads a role.
    pub fn parse(value: Value) -> Result<Self, Fault> {
        let name = fields::string(value)?;
        Self::ALL.into_iter().find(|role| role.name() == name).ok_or(NOT_A_ROLE.broken())
    }
}

/// A message's text, without the white space around it, not blank and not too long for its role.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text(String);

impl Text {
    /// Reads the text of a message by `role`; of an unknown role the widest limit holds.
    pub(crate) fn parse(value: Value, role: Option<Role>, user_limit: usize) -> Result<Self, Fault> {
        let limit = if role == Some(Role::User) { user_limit } else { MESSAGE_MAX_CHARS };
        fields::text(value, limit).map(Self)
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the client wants kept with a message: an object, as the client wrote it.
#[derive(Debug)]
pub(crate) struct Meta<'a>(Raw<'a>);

impl<'a> Meta<'a> {
    /// Reads a `meta`.
    pub(crate) fn parse(value: Value<'a>) -> Result<Self, Fault> {
        fields::stored_object(value, META_MAX_BYTES, META_MAX_DEPTH).map(Self)
    }

    /// Its JSON text.
    pub(crate) fn as_json(&self) -> &'a str {
        self.0.text()
    }
}

#[cfg(test)]
mod tests {
    use super::{MESSAGE_MAX_CHARS, Meta, Role, Text};
    use shared::fields::Value;
    use shared::json::Raw;

    fn json(text: &str) -> Value<'_> {
        Value::Json(Raw::parse(text).unwrap())
    }

    #[test]
    fn only_a_user_is_held_to_the_users_limit() {
        let longest = format!("\"{}\"", "x".repeat(MESSAGE_MAX_CHARS));
        assert_eq!(Text::parse(json(&longest), Some(Role::User), 1000).unwrap_err().rule.code, "too_long");
        for role in [Some(Role::Bot), Some(Role::System), None] {
            assert!(Text::parse(json(&longest), role, 1000).is_ok(), "{role:?}");
        }
        let longer = format!("\"{}\"", "x".repeat(MESSAGE_MAX_CHARS + 1));
        assert_eq!(Text::parse(json(&longer), Some(Role::Bot), 1000).unwrap_err().rule.code, "too_long");
    }

    #[test]
    fn roles_are_three_words() {
        for role in Role::ALL {
            assert_eq!(Role::parse(json(&format!("\"{}\"", role.name()))).unwrap(), role);
        }
        for value in [r#""User""#, r#""assistant""#, r#""""#] {
            assert_eq!(Role::parse(json(value)).unwrap_err().rule.code, "not_allowed", "{value}");
        }
        assert_eq!(Role::parse(json("1")).unwrap_err().rule.code, "wrong_type");
    }

    #[test]
    fn meta_is_at_most_sixteen_levels_and_eight_kib() {
        let nested = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert!(Meta::parse(json(&nested(16))).is_ok());
        assert_eq!(Meta::parse(json(&nested(17))).unwrap_err().rule.code, "too_deep");
        assert_eq!(Meta::parse(json(&nested(1000))).unwrap_err().rule.code, "too_deep");
        let sized = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
        assert!(Meta::parse(json(&sized(8192))).is_ok());
        assert_eq!(Meta::parse(json(&sized(8193))).unwrap_err().rule.code, "too_large");
    }
}
