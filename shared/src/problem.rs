//! Problems: every error a caller sees, as RFC 9457 `application/problem+json`.
//!
//! Both types here are small to pass on (a pointer; two words and nothing to drop), because nearly every function
//! returns one or nothing, and each place that does is paid for in wasm bytes.

use std::borrow::Cow;

use crate::code::{self, Code};
use crate::http::Response;
use crate::json::{self, ObjectWriter, push_number};
use crate::text::{concat, parts};

/// What a problem's `type` begins with; the code follows. A reference, relative to wherever the docs are served
/// from (RFC 9457 section 3.1.1 allows that): this project has no home page to promise.
pub const TYPE_BASE: &str = "/docs/errors.md#";

/// Seconds after which a caller may try again when something the function needs is out of reach.
const RETRY_AFTER_SECONDS: &str = "1";

/// The member that says when to try again, in seconds.
pub const RETRY_AFTER: &str = "retry_after";

/// As much is shown of the name of a field at fault, in characters: the longest of ours are shorter.
const NAME_SHOWN: usize = 64;

/// Most fields at fault that are listed: an answer stays bounded, whatever was sent.
pub const MAX_ERRORS: usize = 100;

/// An error on its way to the caller. Nothing in it may come from the database's own words.
#[derive(Debug)]
pub struct Problem(Box<Content>);

/// What a [`Problem`] says.
#[derive(Debug)]
pub struct Content {
    /// What kind of problem.
    pub code: &'static Code,
    /// What happened this time, in words a developer can act on.
    pub detail: Cow<'static, str>,
    /// Every field at fault, when fields are.
    pub errors: Vec<FieldError>,
    /// The methods there are, when the one asked for is not among them.
    pub allow: Option<String>,
    /// Further members (RFC 9457 section 3.2): name, and value as JSON text.
    pub members: Vec<(&'static str, String)>,
}

/// One field at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where: a JSON Pointer (RFC 6901) into the body. Query parameters and headers that stand for a field have
    /// the field's pointer.
    pub pointer: String,
    /// What is wrong there.
    pub fault: Fault,
}

/// A rule that a value breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The rule.
    pub rule: &'static Rule,
    /// The bound it sets, when it sets one.
    pub bound: u64,
}

/// A rule about values.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable name.
    pub code: &'static str,
    /// The rule in words; `#` stands for the bound.
    pub detail: &'static str,
}

impl Rule {
    /// A value that breaks this rule.
    pub fn broken(&'static self) -> Fault {
        self.broken_at(0)
    }

    /// A value that breaks this rule, whose bound this is.
    pub fn broken_at(&'static self, bound: u64) -> Fault {
        Fault { rule: self, bound }
    }
}

impl Fault {
    /// This fault, as that of the member `name` of the object that `at` points to; without a name, of the object itself.
    #[inline(never)]
    pub fn at(self, at: &str, name: &str) -> FieldError {
        let mut pointer = String::from(at);
        if !name.is_empty() {
            pointer.push('/');
        }
        // An answer stays short, whatever was sent.
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
        FieldError { pointer, fault: self }
    }
}

impl FieldError {
    /// What the caller sees of it.
    pub fn to_json(&self) -> String {
        let mut detail = String::new();
        for (place, part) in parts(self.fault.rule.detail, b'#').enumerate() {
            if place > 0 {
                push_number(&mut detail, self.fault.bound);
            }
            detail.push_str(part);
        }
        let mut error = ObjectWriter::new();
        error.string("pointer", &self.pointer);
        error.string("code", self.fault.rule.code);
        error.string("detail", &detail);
        error.finish()
    }
}

impl std::ops::Deref for Problem {
    type Target = Content;

    fn deref(&self) -> &Content {
        &self.0
    }
}

impl Problem {
    /// A problem with nothing but its code and a detail.
    #[inline(never)]
    pub fn new(code: &'static Code, detail: &'static str) -> Self {
        Self(Box::new(Content {
            code,
            detail: Cow::Borrowed(detail),
            errors: Vec::new(),
            allow: None,
            members: Vec::new(),
        }))
    }

    /// As [`Problem::new`], with a detail made for the occasion.
    #[inline(never)]
    pub fn detailed(code: &'static Code, detail: String) -> Self {
        let mut problem = Self::new(code, "");
        problem.0.detail = Cow::Owned(detail);
        problem
    }

    /// 422 with every field at fault.
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

    /// Adds a member, whose value is JSON.
    pub fn add_member(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.members.push((name, value.into()));
    }

    /// The same problem, which may be gone in so many seconds. Callers learn of it in `Retry-After` too.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        let mut value = String::new();
        push_number(&mut value, seconds);
        self.add_member(RETRY_AFTER, value);
        self
    }

    /// The same problem under another code.
    #[must_use]
    pub fn recoded(mut self, code: &'static Code) -> Self {
        self.0.code = code;
        self
    }

    /// The answer the caller gets.
    pub fn into_response(self, request_id: &str) -> Response {
        let Content { code, detail, errors, allow, members } = *self.0;
        let mut body = ObjectWriter::new();
        body.string("type", &concat(&[TYPE_BASE, code.name]));
        body.string("title", code.title);
        body.number("status", code.status.into());
        body.string("detail", &detail);
        body.string("code", code.name);
        body.string("request_id", request_id);
        let mut response = Response::empty(code.status);
        response.add("content-type", "application/problem+json");
        let mut retry_after = (code.status == 503).then_some(RETRY_AFTER_SECONDS);
        for (name, value) in &members {
            body.raw(name, value);
            // In the header only what RFC 9110 section 10.2.3 has there, whatever the database says.
            if *name == RETRY_AFTER && json::digits(value).is_some() {
                retry_after = Some(value);
            }
        }
        if let Some(seconds) = retry_after {
            response.add("retry-after", seconds);
        }
        if !errors.is_empty() {
            body.raw("errors", &json::array_of(errors.iter().take(MAX_ERRORS).map(FieldError::to_json)));
            if errors.len() > MAX_ERRORS {
                body.number("errors_omitted", (errors.len() - MAX_ERRORS) as u64);
            }
        }
        if let Some(allow) = allow {
            response.add("allow", allow);
        }
        if let Some(challenge) = challenge(code) {
            response.add("www-authenticate", challenge);
        }
        response.body = Some(body.finish().into_bytes());
        response
    }
}

/// How a caller may prove who they are (RFC 6750 section 3): nothing said of an error where no token was sent.
fn challenge(code: &Code) -> Option<String> {
    if *code == code::MISSING_TOKEN {
        Some("Bearer".to_owned())
    } else if code.status == 401 {
        Some(concat(&["Bearer error=\"invalid_token\", error_description=\"", code.title, "\""]))
    } else if *code == code::ROLE_NOT_ALLOWED {
        Some("Bearer error=\"insufficient_scope\"".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Problem, Rule};
    use crate::code;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    static TOO_LONG: Rule = Rule { code: "too_long", detail: "must be at most # characters long" };

    #[test]
    fn pointers_escape_as_rfc_6901_says() {
        assert_eq!(TOO_LONG.broken().at("/x", "a/b~c").pointer, "/x/a~1b~0c");
        assert_eq!(TOO_LONG.broken().at("", "").pointer, "", "the body itself");
    }

    #[test]
    fn a_problem_names_its_code_status_request_and_fields() {
        let response = Problem::invalid(vec![TOO_LONG.broken_at(9).at("", "message")]).into_response("r-1");
        assert_eq!(response.status, 422);
        assert_eq!(response.header("content-type"), Some("application/problem+json"));
        assert_eq!(
            String::from_utf8(response.body.unwrap()).unwrap(),
            r#"{"type":"/docs/errors.md#validation_failed","title":"Some fields are not valid","status":422,"detail":"Some fields are not valid; errors lists them all.","code":"validation_failed","request_id":"r-1","errors":[{"pointer":"/message","code":"too_long","detail":"must be at most 9 characters long"}]}"#
        );
    }

    #[test]
    fn refusals_say_what_rfc_6750_says() {
        let challenge = |code| Problem::new(code, "x").into_response("r").header("www-authenticate").map(str::to_owned);
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
            let pointer = TOO_LONG.broken().at("/events/7", &name).pointer;
            let escaped = pointer.strip_prefix("/events/7/").unwrap();
            prop_assert!(!escaped.contains('/'));
            let back = escaped.replace("~1", "/").replace("~0", "~");
            let shown: String = name.chars().take(super::NAME_SHOWN).collect();
            prop_assert_eq!(back, if shown == name { shown } else { shown + "…" });
        }
    }
}
