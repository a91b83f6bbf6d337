//! The body of a request: read once, taken apart once, for whoever asks.

use std::cell::OnceCell;
use std::ops::Range;

use serde_json::value::RawValue;

use super::fault::NOT_AN_OBJECT;
use crate::answer::{FieldError, Problem, code};
use crate::host::BodyError;
use crate::members::Members;

/// The body of a request.
#[derive(Debug)]
pub struct RequestBody {
    text: Result<String, Unreadable>,
    object: OnceCell<Result<Vec<Member>, Malformed>>,
}

/// Why there is no text.
#[derive(Debug, Clone, Copy)]
enum Unreadable {
    Interrupted(BodyError),
    /// Not UTF-8 from this byte on.
    NotUtf8(usize),
    /// It was lost with the request's state in a trap.
    Lost,
}

/// Why the text is no JSON object.
#[derive(Debug, Clone, Copy)]
enum Malformed {
    /// Not JSON: line and column, both from 1.
    NotJson(usize, usize),
    /// JSON of another type.
    NotAnObject,
}

/// A member of the body: its name, and where in the text its value is.
#[derive(Debug)]
struct Member {
    name: String,
    value: Range<usize>,
}

impl RequestBody {
    /// A body as the host has read it.
    pub fn new(read: Result<Vec<u8>, BodyError>) -> Self {
        let text = read.map_err(Unreadable::Interrupted).and_then(|bytes| {
            String::from_utf8(bytes).map_err(|error| Unreadable::NotUtf8(error.utf8_error().valid_up_to()))
        });
        Self { text, object: OnceCell::new() }
    }

    /// The body of a request that trapped: nobody knows what it said.
    pub fn lost() -> Self {
        Self { text: Err(Unreadable::Lost), object: OnceCell::new() }
    }

    /// The body, as text.
    pub fn text(&self) -> Result<&str, Problem> {
        self.text.as_deref().map_err(|unreadable| match unreadable {
            Unreadable::Interrupted(BodyError::TooLarge) => {
                Problem::new(&code::BODY_TOO_LARGE, "The body is longer than this function reads.")
            }
            Unreadable::Interrupted(BodyError::Interrupted) | Unreadable::Lost => {
                Problem::new(&code::BODY_INTERRUPTED, "The connection broke before the body's end.")
            }
            Unreadable::Interrupted(BodyError::TooSlow) => {
                Problem::new(&code::REQUEST_TIMEOUT, "The body's end did not come within five minutes.")
            }
            Unreadable::NotUtf8(at) => Problem::new(&code::INVALID_JSON, format!("Not UTF-8 from byte {at} on.")),
        })
    }

    /// The members of the body, which must be a JSON object.
    pub fn members(&self) -> Result<Vec<(&str, &str)>, Problem> {
        let text = self.text()?;
        match self.object.get_or_init(|| split(text)) {
            Ok(members) => {
                let value = |member: &Member| text.get(member.value.clone()).unwrap_or_default();
                Ok(members.iter().map(|member| (member.name.as_str(), value(member))).collect())
            }
            Err(Malformed::NotJson(line, column)) => {
                Err(Problem::new(&code::INVALID_JSON, format!("Not JSON at line {line}, column {column}.")))
            }
            Err(Malformed::NotAnObject) => {
                Err(Problem::invalid(vec![FieldError { pointer: String::new(), fault: NOT_AN_OBJECT }]))
            }
        }
    }

    /// Whether it has a member of this name that is not null (any of them, should it stand twice). `None` if the body
    /// cannot be read, so that nobody knows.
    pub fn has(&self, name: &str) -> Option<bool> {
        let members = self.members().ok()?;
        Some(members.into_iter().any(|(member, value)| member == name && value != "null"))
    }
}

fn split(text: &str) -> Result<Vec<Member>, Malformed> {
    let not_json = |error: serde_json::Error| Malformed::NotJson(error.line().max(1), error.column().max(1));
    match Members::parse(text) {
        Ok(members) => {
            let place = |value: &RawValue| {
                let start = value.get().as_ptr().addr().saturating_sub(text.as_ptr().addr());
                start..start + value.get().len()
            };
            Ok(members
                .0
                .into_iter()
                .map(|(name, value)| Member { name: name.into_owned(), value: place(value) })
                .collect())
        }
        // Of another type, or no JSON at all: only a second look tells. (serde_json calls `1e400` a syntax error.)
        Err(_) => match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => Err(Malformed::NotAnObject),
            Err(error) => Err(not_json(error)),
        },
    }
}

/// Whether a `Content-Type` is of a media type, with no charset but UTF-8 (RFC 8259 section 8.1) in any usual spelling.
pub fn is_utf8(content_type: &str, media_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim_ascii);
    parts.next().is_some_and(|given| given.eq_ignore_ascii_case(media_type))
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
                let charset = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
                charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
            }
            _ => true,
        })
}

#[cfg(test)]
mod tests {
    use super::{RequestBody, is_utf8};
    use crate::host::BodyError;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    fn body(text: &str) -> RequestBody {
        RequestBody::new(Ok(text.as_bytes().to_vec()))
    }

    #[test]
    fn members_are_found_where_they_stand() {
        let body = body(" {\"a\" : [1.50 , {}],\"b\\u0062\":\"x\" } ");
        for _ in 0..2 {
            assert_eq!(body.members().unwrap(), [("a", "[1.50 , {}]"), ("bb", "\"x\"")]);
        }
    }

    #[test]
    fn what_is_no_object_is_told_from_what_is_no_json() {
        for (text, code) in [
            ("[1]", "validation_failed"),
            ("7", "validation_failed"),
            ("\"{}\"", "validation_failed"),
            ("null", "validation_failed"),
            ("1e400", "validation_failed"),
            ("\"\\ud800\"", "validation_failed"),
            ("[1", "invalid_json"),
            ("", "invalid_json"),
            ("{} {}", "invalid_json"),
            ("\"\\ud800", "invalid_json"),
        ] {
            assert_eq!(body(text).members().unwrap_err().code.name, code, "{text}");
        }
    }

    #[test]
    fn a_member_that_is_null_is_not_there_and_of_what_cannot_be_read_nobody_knows() {
        assert_eq!(body(r#"{"a":null,"a":1}"#).has("a"), Some(true));
        assert_eq!(body(r#"{"a":null}"#).has("a"), Some(false));
        assert_eq!((body("{").has("a"), RequestBody::lost().has("a")), (None, None));
    }

    #[test]
    fn a_body_that_did_not_come_whole_says_why() {
        for (error, code) in [
            (BodyError::TooLarge, "body_too_large"),
            (BodyError::Interrupted, "body_interrupted"),
            (BodyError::TooSlow, "request_timeout"),
        ] {
            assert_eq!(RequestBody::new(Err(error)).members().unwrap_err().code.name, code);
        }
    }

    proptest! {
        #[test]
        fn a_media_type_is_known_whatever_its_case_and_parameters(
            media_type in "(?i)application/json|text/plain", charset in "(?i)utf-?8|\"utf-?8\"|latin1", blank in " {0,2}"
        ) {
            let given = format!("{media_type}{blank};{blank}Charset={charset}");
            let is_json = media_type.eq_ignore_ascii_case("application/json") && !charset.eq_ignore_ascii_case("latin1");
            prop_assert_eq!(is_utf8(&given, "application/json"), is_json);
            prop_assert_eq!(is_utf8(&format!("{media_type};version=1"), "text/plain"), media_type.len() == 10);
        }

        #[test]
        fn no_header_and_no_body_makes_the_reader_panic(text in any::<String>()) {
            let _ = (is_utf8(&text, "application/json"), body(&text).members().is_ok());
        }
    }
}
