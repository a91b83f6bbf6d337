//! Problems: every error a caller sees, as RFC 9457 `application/problem+json`.

use std::borrow::Cow;
use std::ops::Deref;

use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::value::RawValue;

use super::code::{self, Code};
use super::{of_type, set_header};
use crate::host::Response;

/// Where a problem's `type` points, below `PROBLEM_TYPE_BASE`; the code follows. The base is `/` by default, which makes it
/// a reference relative to wherever the docs are served from (RFC 9457 section 3.1.1 allows that).
pub const TYPE_PATH: &str = "docs/errors.md#";

/// Seconds after which a caller may try again when something the function needs is out of reach.
const UNAVAILABLE_SECONDS: u64 = 1;

/// The member that says when to try again, in seconds. In the header too, if it is a number (RFC 9110 section 10.2.3).
pub const RETRY_AFTER_MEMBER: &str = "retry_after";

/// Most characters shown of the name of a faulty field: the longest of ours are shorter.
const NAME_SHOWN: usize = 64;

/// Most faulty fields that are listed: a response stays bounded, whatever was sent.
pub const MAX_ERRORS: usize = 100;

/// An error on its way to the caller. Nothing in it may come from the database's own words. (A pointer: nearly every
/// function returns one or nothing.)
#[derive(Debug)]
pub struct Problem(Box<Content>);

/// What a [`Problem`] says.
#[derive(Debug)]
pub struct Content {
    /// What kind of problem.
    pub code: &'static Code,
    /// What happened this time, in words a developer can act on.
    pub detail: Cow<'static, str>,
    /// Every faulty field, when fields are at fault.
    pub errors: Vec<FieldError>,
    /// The methods there are, when the one asked for is not among them.
    pub allow: Option<String>,
    /// Further members (RFC 9457 section 3.2): name and JSON.
    pub members: Vec<(&'static str, Box<RawValue>)>,
}

/// One faulty field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where: a JSON Pointer (RFC 6901) into the body. Query parameters and headers that stand for a field have
    /// the field's pointer.
    pub pointer: String,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Stable name of the rule that is broken.
    pub code: &'static str,
    /// The rule in words.
    pub detail: Cow<'static, str>,
}

impl Fault {
    /// A rule without bounds.
    pub const fn new(code: &'static str, detail: &'static str) -> Self {
        Self { code, detail: Cow::Borrowed(detail) }
    }

    /// A rule whose words name its bound.
    pub fn bounded(code: &'static str, detail: String) -> Self {
        Self { code, detail: Cow::Owned(detail) }
    }
}

/// Appends a reference token to a JSON Pointer, escaped as RFC 6901 section 3 says; of a long name, the beginning.
pub(crate) fn push_token(pointer: &mut String, name: &str) {
    pointer.push('/');
    for (place, character) in name.chars().enumerate() {
        match character {
            _ if place == NAME_SHOWN => {
                pointer.push('…');
                break;
            }
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

impl Serialize for FieldError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("pointer", &self.pointer)?;
        map.serialize_entry("code", self.fault.code)?;
        map.serialize_entry("detail", &self.fault.detail)?;
        map.end()
    }
}

impl Deref for Problem {
    type Target = Content;

    fn deref(&self) -> &Content {
        &self.0
    }
}

impl Problem {
    /// A problem with nothing but its code and a detail.
    pub fn new(code: &'static Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        Self(Box::new(Content { code, detail, errors: Vec::new(), allow: None, members: Vec::new() }))
    }

    /// 422 with every faulty field.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new(&code::VALIDATION_FAILED, "Some fields are not valid; errors lists them all.");
        problem.0.errors = errors;
        problem
    }

    /// 405 with the methods there are.
    pub fn method_not_allowed(allow: String) -> Self {
        let mut problem = Self::new(&code::METHOD_NOT_ALLOWED, "Allow lists the methods this resource has.");
        problem.0.allow = Some(allow);
        problem
    }

    /// Adds a member.
    pub fn add_member(&mut self, name: &'static str, value: Box<RawValue>) {
        self.0.members.push((name, value));
    }

    /// The same problem, which may be gone in so many seconds. Callers learn of it in `Retry-After` too.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        if let Ok(seconds) = serde_json::value::to_raw_value(&seconds) {
            self.add_member(RETRY_AFTER_MEMBER, seconds);
        }
        self
    }

    /// The same problem under another code.
    #[must_use]
    pub fn recoded(mut self, code: &'static Code) -> Self {
        self.0.code = code;
        self
    }

    /// The response the caller gets. `type_base` is `PROBLEM_TYPE_BASE`.
    pub fn into_response(self, request_id: &str, type_base: &str) -> Response {
        let Content { code, members, allow, .. } = &*self.0;
        let body = serde_json::to_string(&Document { content: &self, request_id, type_base }).unwrap_or_default();
        let mut response = of_type(code.status(), "application/problem+json", body);
        let headers = response.headers_mut();
        let retry_after = members.iter().rfind(|(name, _)| *name == RETRY_AFTER_MEMBER);
        // Only a number, whatever the database says.
        let retry_after = retry_after.and_then(|(_, value)| value.get().parse().ok());
        if let Some(seconds) = retry_after.or((code.status == 503).then_some(UNAVAILABLE_SECONDS)) {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Some(allow) = allow {
            set_header(headers, ALLOW, allow);
        }
        if let Some(challenge) = challenge(code) {
            set_header(headers, WWW_AUTHENTICATE, &challenge);
        }
        response
    }
}

/// A problem as JSON.
struct Document<'a> {
    content: &'a Content,
    request_id: &'a str,
    type_base: &'a str,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Content { code, detail, errors, members, .. } = self.content;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &format!("{}{TYPE_PATH}{}", self.type_base, code.name))?;
        map.serialize_entry("title", code.title)?;
        map.serialize_entry("status", &code.status)?;
        map.serialize_entry("detail", detail)?;
        map.serialize_entry("code", code.name)?;
        map.serialize_entry("request_id", self.request_id)?;
        for (name, value) in members {
            map.serialize_entry(name, value)?;
        }
        if !errors.is_empty() {
            map.serialize_entry("errors", errors.get(..MAX_ERRORS).unwrap_or(errors))?;
        }
        if errors.len() > MAX_ERRORS {
            map.serialize_entry("errors_omitted", &(errors.len() - MAX_ERRORS))?;
        }
        map.end()
    }
}

/// How a caller may prove who they are (RFC 6750 section 3): nothing about an error where no token was sent.
fn challenge(code: &Code) -> Option<String> {
    if *code == code::MISSING_TOKEN {
        Some("Bearer".to_owned())
    } else if code.status == 401 {
        Some(format!("Bearer error=\"invalid_token\", error_description=\"{}\"", code.title))
    } else if *code == code::ROLE_NOT_ALLOWED {
        Some("Bearer error=\"insufficient_scope\"".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, FieldError, Problem, push_token};
    use crate::answer::code;
    use crate::host::Response;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    fn header(response: &Response, name: &str) -> Option<String> {
        response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn pointers_escape_as_rfc_6901_says() {
        let mut pointer = "/x".to_owned();
        push_token(&mut pointer, "a/b~c");
        assert_eq!(pointer, "/x/a~1b~0c");
    }

    #[test]
    fn a_problem_names_its_code_status_request_and_fields() {
        let fault = Fault::bounded("too_long", "must be at most 9 characters long".to_owned());
        let response =
            Problem::invalid(vec![FieldError { pointer: "/message".to_owned(), fault }]).into_response("r-1", "/");
        assert_eq!(response.status(), 422);
        assert_eq!(header(&response, "content-type").as_deref(), Some("application/problem+json"));
        assert_eq!(
            String::from_utf8(response.into_body().into_bytes().unwrap()).unwrap(),
            r#"{"type":"/docs/errors.md#validation_failed","title":"Some fields are not valid","status":422,"detail":"Some fields are not valid; errors lists them all.","code":"validation_failed","request_id":"r-1","errors":[{"pointer":"/message","code":"too_long","detail":"must be at most 9 characters long"}]}"#
        );
    }

    #[test]
    fn only_a_number_of_seconds_becomes_retry_after() {
        let retry_after = |json: &str| {
            let mut problem = Problem::new(&code::UPSTREAM_UNAVAILABLE, "x");
            problem.add_member("retry_after", serde_json::from_str(json).unwrap());
            header(&problem.into_response("r", "/"), "retry-after")
        };
        for (json, expected) in [("7", "7"), ("-7", "1"), ("\"7\"", "1"), ("1.5", "1"), ("null", "1")] {
            assert_eq!(retry_after(json).as_deref(), Some(expected), "{json}");
        }
    }

    #[test]
    fn refusals_say_what_rfc_6750_says() {
        let challenge = |code| header(&Problem::new(code, "x").into_response("r", "/"), "www-authenticate");
        assert_eq!(challenge(&code::MISSING_TOKEN).as_deref(), Some("Bearer"));
        assert_eq!(
            challenge(&code::TOKEN_EXPIRED).as_deref(),
            Some("Bearer error=\"invalid_token\", error_description=\"The access token has expired\"")
        );
        assert_eq!(challenge(&code::ROLE_NOT_ALLOWED).as_deref(), Some("Bearer error=\"insufficient_scope\""));
        assert_eq!(challenge(&code::NOT_FOUND), None);
    }

    #[test]
    fn code_names_are_unique() {
        let mut names: Vec<_> = code::ALL.iter().map(|code| code.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    proptest! {
        #[test]
        fn a_pointer_reads_back_as_the_name_it_is_of(name in "[a/~é1]{1,70}") {
            let mut pointer = "/events/7".to_owned();
            push_token(&mut pointer, &name);
            let escaped = pointer.strip_prefix("/events/7/").unwrap();
            prop_assert!(!escaped.contains('/'));
            let back = escaped.replace("~1", "/").replace("~0", "~");
            let shown: String = name.chars().take(super::NAME_SHOWN).collect();
            prop_assert_eq!(back, if shown == name { shown } else { shown + "…" });
        }
    }
}
