//! Fields of a request: each parsed into its type or reported, all of them before the caller hears of any.
//!
//! A body's members and a query's parameters are read the same way.

use crate::id::Id;
use crate::json::{Object, Raw};
use crate::problem::{Fault, FieldError, Problem, Rule};
use crate::query;

static REQUIRED: Rule = Rule { code: "required", detail: "is required" };
static UNKNOWN: Rule = Rule { code: "unknown_field", detail: "no such field or parameter" };
static DUPLICATE: Rule = Rule { code: "duplicate_field", detail: "stands more than once" };
static NOT_A_UUID: Rule =
    Rule { code: "invalid_uuid", detail: "must be a UUID such as 018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e" };
static OTHER_KEY: Rule = Rule { code: "idempotency_key_mismatch", detail: "differs from the Idempotency-Key header" };
static NOT_A_STRING: Rule = Rule { code: "wrong_type", detail: "must be a string" };
static NOT_AN_OBJECT: Rule = Rule { code: "wrong_type", detail: "must be a JSON object" };
static INVALID_STRING: Rule = Rule { code: "invalid_string", detail: "holds half a surrogate pair" };
static BLANK: Rule = Rule { code: "blank", detail: "must not be blank" };
static NUL_CHARACTER: Rule = Rule { code: "nul_character", detail: "must not hold a NUL character" };
static TOO_LONG: Rule = Rule { code: "too_long", detail: "must be at most # characters long" };
static TOO_LARGE: Rule = Rule { code: "too_large", detail: "must be at most # bytes of JSON" };
static TOO_DEEP: Rule = Rule { code: "too_deep", detail: "must be at most # levels deep" };
static NOT_STORABLE: Rule =
    Rule { code: "not_storable", detail: "holds a NUL character, half a surrogate pair or a number out of range" };
static OUT_OF_RANGE: Rule = Rule { code: "out_of_range", detail: "must be a whole number from 1 to #" };
static NOT_A_COUNT: Rule = Rule { code: "out_of_range", detail: "must be a whole number from 0 to #" };
static NOT_A_NAME: Rule =
    Rule { code: "invalid_name", detail: "must be lower-case letters, digits, _ or -, at most 64, a letter first" };

/// Parameters that clients of Supabase add to any URL; they are for the gateway, not for the function.
const GATEWAY_PARAMETERS: &[&str] = &["apikey", "forceFunctionRegion"];

/// The value of a field, not yet of any type.
#[derive(Debug)]
pub enum Value<'a> {
    /// A member of a body.
    Json(Raw<'a>),
    /// A query parameter or a header.
    Text(String),
}

/// The fields of a request on their way into types. Take every field, then [`Fields::finish`].
#[derive(Debug, Default)]
pub struct Fields<'a> {
    fields: Vec<(String, Value<'a>)>,
    errors: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    /// Begins with the members of a body.
    pub fn of_body(body: Raw<'a>) -> Self {
        let mut fields = Self::default();
        match Object::read(body) {
            Some(object) => {
                for (name, value) in object.members {
                    fields.add(name, Value::Json(value));
                }
            }
            None => fields.fault("", NOT_AN_OBJECT.broken()),
        }
        fields
    }

    /// Begins with the parameters of a query.
    pub fn of_query(query: &str) -> Self {
        let mut fields = Self::default();
        for (name, value) in query::parse(query) {
            if !GATEWAY_PARAMETERS.contains(&name.as_str()) {
                fields.add(name, Value::Text(value));
            }
        }
        fields
    }

    /// A name that stands twice is at fault; its first value counts.
    fn add(&mut self, name: String, value: Value<'a>) {
        if self.fields.iter().any(|(earlier, _)| *earlier == name) {
            self.fault(&name, DUPLICATE.broken());
        } else {
            self.fields.push((name, value));
        }
    }

    /// Takes a field that may be missing or `null`. `None` also when it is at fault: see [`Fields::finish`].
    pub fn optional<T>(&mut self, name: &str, parse: impl FnOnce(Value<'a>) -> Result<T, Fault>) -> Option<T> {
        let value = self.take(name)?;
        self.keep(name, parse(value))
    }

    /// Takes a field that must be there. `None` when it is not or is at fault: see [`Fields::finish`].
    pub fn required<T>(&mut self, name: &str, parse: impl FnOnce(Value<'a>) -> Result<T, Fault>) -> Option<T> {
        let parsed = self.take(name).ok_or(REQUIRED.broken()).and_then(parse);
        self.keep(name, parsed)
    }

    /// Takes the request's own `id`, which may come as the `Idempotency-Key` header instead.
    pub fn idempotency_id(&mut self, idempotency_key: Option<&str>) -> Option<Id> {
        let in_body = self.optional("id", id);
        let in_header = idempotency_key.and_then(|key| self.keep("id", id(Value::Text(key.to_owned()))));
        if in_body.is_some() && in_header.is_some() && in_body != in_header {
            self.fault("id", OTHER_KEY.broken());
        }
        in_body.or(in_header)
    }

    /// The value of a field parsed elsewhere, or its fault reported.
    pub fn keep<T>(&mut self, name: &str, parsed: Result<T, Fault>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(fault) => {
                self.fault(name, fault);
                None
            }
        }
    }

    fn take(&mut self, name: &str) -> Option<Value<'a>> {
        let place = self.fields.iter().position(|(field, _)| field == name)?;
        match self.fields.swap_remove(place) {
            (_, Value::Json(raw)) if raw.text() == "null" => None,
            (_, value) => Some(value),
        }
    }

    /// Adds a fault.
    pub fn fault(&mut self, name: &str, fault: Fault) {
        self.errors.push(fault.at(name));
    }

    /// Reports every fault, fields nobody took among them. A body that is no object has no other fault.
    pub fn finish(mut self) -> Result<(), Problem> {
        if let Some(whole) = self.errors.iter().position(|error| error.pointer.is_empty()) {
            return Err(Problem::invalid(vec![self.errors.swap_remove(whole)]));
        }
        for (name, _) in &self.fields {
            self.errors.push(UNKNOWN.broken().at(name));
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::invalid(self.errors)) }
    }
}

/// A UUID in its canonical text form (RFC 9562 section 4), any version.
pub fn id(value: Value) -> Result<Id, Fault> {
    Id::parse(&string(value)?).ok_or(NOT_A_UUID.broken())
}

/// A string.
pub fn string(value: Value) -> Result<String, Fault> {
    match value {
        Value::Text(text) => Ok(text),
        Value::Json(raw) => raw.string().ok_or_else(|| {
            let rule = if raw.text().starts_with('"') { &INVALID_STRING } else { &NOT_A_STRING };
            rule.broken()
        }),
    }
}

/// A text of 1 to `limit` characters (Unicode scalar values) once the white space around it is taken off.
pub fn text(value: Value, limit: usize) -> Result<String, Fault> {
    let given = string(value)?;
    let text = given.trim();
    if text.is_empty() {
        return Err(BLANK.broken());
    }
    if text.contains('\0') {
        return Err(NUL_CHARACTER.broken());
    }
    if text.chars().count() > limit {
        return Err(TOO_LONG.broken_at(limit as u64));
    }
    Ok(text.to_owned())
}

/// A whole number from 1 to `most`, in a query.
pub fn integer(value: Value, most: u64) -> Result<u64, Fault> {
    match digits(&string(value)?) {
        Some(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(OUT_OF_RANGE.broken_at(most)),
    }
}

/// A JSON number that counts something: 0 to 2 147 483 647, PostgreSQL's `integer`.
pub fn whole_number(value: Value) -> Result<u64, Fault> {
    const MOST: u64 = i32::MAX as u64;
    match value {
        Value::Json(raw) => digits(raw.text()).filter(|number| *number <= MOST),
        Value::Text(_) => None,
    }
    .ok_or(NOT_A_COUNT.broken_at(MOST))
}

/// The number that decimal digits, and nothing but digits, write.
pub fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// The name of something that names are given to beforehand: lower-case letters, digits, `_` and `-`, at most 64, a
/// letter first.
pub fn name(value: Value) -> Result<String, Fault> {
    let text = string(value)?;
    let is_name = (1..=64).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
    if is_name { Ok(text) } else { Err(NOT_A_NAME.broken()) }
}

/// A JSON object to be stored as `jsonb`, at most `max_bytes` as written and `max_depth` levels deep.
pub fn stored_object<'a>(value: Value<'a>, max_bytes: usize, max_depth: usize) -> Result<Raw<'a>, Fault> {
    let Value::Json(raw) = value else { return Err(NOT_AN_OBJECT.broken()) };
    if !raw.text().starts_with('{') {
        return Err(NOT_AN_OBJECT.broken());
    }
    if raw.text().len() > max_bytes {
        return Err(TOO_LARGE.broken_at(max_bytes as u64));
    }
    let measure = raw.measure();
    if measure.depth > max_depth {
        return Err(TOO_DEEP.broken_at(max_depth as u64));
    }
    if measure.unstorable {
        return Err(NOT_STORABLE.broken());
    }
    Ok(raw)
}

#[cfg(test)]
mod tests {
    use super::{Fields, Value, id, integer, name, stored_object, string, text, whole_number};
    use crate::json::Raw;

    fn json(text: &str) -> Value<'_> {
        Value::Json(Raw::parse(text).unwrap())
    }

    fn faults(fields: Fields) -> Vec<(String, &'static str)> {
        let problem = fields.finish().unwrap_err();
        problem.errors.iter().map(|error| (error.pointer.clone(), error.fault.rule.code)).collect()
    }

    fn expected(faults: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
        faults.iter().map(|(pointer, code)| ((*pointer).to_owned(), *code)).collect()
    }

    #[test]
    fn every_fault_of_a_body_is_reported_at_once() {
        let body = r#"{"id":"x","role":7,"extra":1,"more/so":2,"extra":3,"a":null}"#;
        let mut fields = Fields::of_body(Raw::parse(body).unwrap());
        assert_eq!(fields.required("id", id), None);
        assert_eq!(fields.required("role", string), None);
        assert_eq!(fields.required("message", string), None);
        assert_eq!(fields.required("a", string), None, "null is a missing field");
        assert_eq!(fields.optional("meta", string), None);
        let mut found = faults(fields);
        found.sort();
        let mut wanted = expected(&[
            ("/id", "invalid_uuid"),
            ("/role", "wrong_type"),
            ("/message", "required"),
            ("/a", "required"),
            ("/extra", "duplicate_field"),
            ("/extra", "unknown_field"),
            ("/more~1so", "unknown_field"),
        ]);
        wanted.sort();
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_body_that_is_no_object_has_that_one_fault() {
        let mut fields = Fields::of_body(Raw::parse("[1]").unwrap());
        assert_eq!(fields.required("id", id), None);
        assert_eq!(faults(fields), expected(&[("", "wrong_type")]));
    }

    #[test]
    fn unknown_repeated_missing_and_wrong_parameters_are_all_named() {
        let mut query = Fields::of_query("limt=5&limit=0&order=asc&order=desc&apikey=x&forceFunctionRegion=eu-west-1");
        assert_eq!(query.optional("limit", |value| integer(value, 200)), None);
        assert_eq!(query.optional("order", string), Some("asc".to_owned()));
        assert_eq!(query.required("session_id", id), None);
        assert_eq!(
            faults(query),
            expected(&[
                ("/order", "duplicate_field"),
                ("/limit", "out_of_range"),
                ("/session_id", "required"),
                ("/limt", "unknown_field"),
            ])
        );
    }

    #[test]
    fn text_is_trimmed_and_counted_in_characters() {
        assert_eq!(text(json(r#"" \u00a0hi\n""#), 2).unwrap(), "hi");
        assert_eq!(text(json("\"\u{1F469}\u{200D}\u{1F469}\""), 3).unwrap(), "\u{1F469}\u{200D}\u{1F469}");
        assert_eq!(text(json(r#""abc""#), 2).unwrap_err().rule.code, "too_long");
        assert_eq!(text(json(r#"" \u2003 ""#), 2).unwrap_err().rule.code, "blank");
        assert_eq!(text(json(r#""a\u0000""#), 9).unwrap_err().rule.code, "nul_character");
        assert_eq!(text(json(r#""\ud800""#), 9).unwrap_err().rule.code, "invalid_string");
    }

    #[test]
    fn integers_are_digits_within_bounds() {
        let read = |text: &str| integer(Value::Text(text.to_owned()), 200);
        assert_eq!(read("200").ok(), Some(200));
        for text in ["", "0", "201", "+5", "-1", "1.0", " 1", "99999999999"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn counts_are_json_numbers_without_sign_fraction_or_exponent() {
        assert_eq!(whole_number(json("0")).ok(), Some(0));
        assert_eq!(whole_number(json("2147483647")).ok(), Some(2_147_483_647));
        for text in ["-1", "1.0", "1e3", "2147483648", "\"1\"", "true", "99999999999999999999"] {
            assert!(whole_number(json(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_plain() {
        assert!(name(json(r#""supportive-yarn""#)).is_ok() && name(json(r#""next_step""#)).is_ok());
        for text in [
            "\"\"".to_owned(),
            r#""Next""#.into(),
            r#""1a""#.into(),
            r#""a b""#.into(),
            format!("\"{}\"", "a".repeat(65)),
        ] {
            assert_eq!(name(json(&text)).unwrap_err().rule.code, "invalid_name", "{text}");
        }
    }

    #[test]
    fn a_stored_object_is_bounded() {
        assert!(stored_object(json(r#"{"a":[{}]}"#), 10, 3).is_ok());
        for (value, code) in [
            ("[]", "wrong_type"),
            (r#""{}""#, "wrong_type"),
            (r#"{"a":[{}] }"#, "too_large"),
            (r#"{"":[[]]}"#, "too_deep"),
            (r#"{"":1e400}"#, "not_storable"),
        ] {
            let limit = if code == "too_deep" { 2 } else { 3 };
            assert_eq!(stored_object(json(value), 10, limit).unwrap_err().rule.code, code, "{value}");
        }
    }
}
